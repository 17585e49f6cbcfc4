/*
 * The board's interrupt controller, as far as the hypervisor's own devices and those that are
 * passed to guests need it: a PLIC (RISC-V PLIC 1.0.0), or an APLIC (RISC-V AIA 1.0, chapter 4)
 * that sends messages to IMSICs (chapter 3) or drives the harts itself. A line goes to S-mode of
 * one hart at a time, at first the one that boots; by messages, also to a guest's interrupt file.
 */
#ifndef TYPE1_DEV_INTC_H
#define TYPE1_DEV_INTC_H

#include "core/fdt.h"
#include "core/host.h"
#include "type1/dev_mmio.h"

#define INTC_LINES_MAX 63 /* identities in one register of an IMSIC */
#define INTC_HARTS_MAX 64
#define INTC_NOWHERE   ~0u /* of contexts: no interrupts go to that hart */

struct intc;

/* What differs. A line's `place` is where it is in the table. */
struct intc_kind {
    const char *name;
    bool messages;
    /* A hart's context among those of intc->node, which lies in its registers; or negative. */
    int (*context)(const struct intc *intc, uint64_t hart);
    void (*start)(struct intc *intc);
    void (*start_context)(const struct intc *intc, unsigned context);
    /* The lock is held by these two. */
    void (*enable)(const struct intc *intc, unsigned place, bool on);
    void (*complete)(const struct intc *intc, unsigned place);
    /* The next line that wants to be handled by the calling hart, shut now; 0: none. */
    uint32_t (*claim)(struct intc *intc, unsigned context);
};

/* The interrupt file of the hart that calls. */
struct imsic_access {
    /* Identities 1 to `ids` (at most 63) are taken, and none that is larger. */
    void (*start)(unsigned ids);
    /* The identity that is next, no longer pending; 0: none. */
    uint32_t (*claim)(void);
};
extern const struct imsic_access dev_imsic;

struct intc {
    const struct dev_access *access;
    const struct imsic_access *imsic;
    const struct intc_kind *kind;
    const struct fdt *fdt;
    int node;
    uint8_t *base; /* NULL: there is none */
    /* By our own index of a hart: its context of the PLIC, its hart index for the APLIC. */
    unsigned contexts[INTC_HARTS_MAX];
    uint32_t phandle, line_max;
    uint32_t falling[1024 / 32]; /* APLIC: lines that are active when low, ... */
    uint32_t edges[1024 / 32];   /* ... or by their edges, as the device tree says */
    uint64_t address, size;
    struct host_lock lock; /* the lines and the enable registers */
    struct {
        _Atomic uint32_t line; /* 0: nobody's */
        /* False: intc_complete will follow; the line is shut until then. */
        bool (*handle)(void *arg);
        void *arg;
        unsigned hart;  /* our own index: where it goes */
        uint32_t aimed; /* not 0: it goes to a guest's file instead, an APLIC's target register */
    } lines[INTC_LINES_MAX];
    _Atomic unsigned line_count;
};

/* Finds it in the board's device tree, without touching it. -E_NODEV: none, or not for `hart`. */
int intc_find(struct intc *intc, const struct fdt *fdt, uint64_t hart);
/* Another hart, before intc_start; `index` is our own, that of intc_find is 0. False: no interrupts
 * can go there. */
bool intc_add_hart(struct intc *intc, unsigned index, uint64_t hart);
/* Once its registers are mapped: no line is enabled. With messages, each hart starts its file. */
void intc_start(struct intc *intc, const struct dev_access *access,
                const struct imsic_access *imsic);
/* The line of a device's node; 0: none that comes here. Remembers how it is triggered. */
uint32_t intc_line_of(struct intc *intc, const struct fdt *fdt, int node);
/* The same of an interrupt specifier: the line and, where there are two cells, its kind as
 * everywhere in Linux: 1, 2 edges; 4, 8 levels. `len`: bytes. */
uint32_t intc_take_line(struct intc *intc, const uint8_t *cells, uint32_t len);
/* -E_NOSPC, -E_EXIST, -E_NODEV no controller or no such line. */
int intc_open(struct intc *intc, uint32_t line, bool (*handle)(void *arg), void *arg);
/* The line is nobody's and shut. Its handler may run a last time. */
void intc_close(struct intc *intc, uint32_t line);
/* A level that is still up comes again, wherever the line goes. */
void intc_complete(struct intc *intc, uint32_t line);
/* It goes to that hart from now on, if it can. What was claimed is still to be completed. */
void intc_move(struct intc *intc, uint32_t line, unsigned index);
/*
 * As messages with this target (AIA 1.0, 4.5.16), straight to a guest; 0: to us again. False: this
 * controller cannot.
 */
bool intc_aim(struct intc *intc, uint32_t line, uint32_t target);
/* The external interrupt of the hart that calls is pending; no lock is held. */
void intc_interrupt(struct intc *intc, unsigned index);

/* ---- Between dev_intc.c and dev_aplic.c ---- */

/* The hart's place among those that `node` interrupts in S-mode (interrupts-extended), or negative.
 */
int intc_context_of(const struct fdt *fdt, int node, uint64_t hart);
/* Sets `kind` and where it is. As intc_find. */
int aplic_find(struct intc *intc, const struct fdt *fdt, uint64_t hart);

#endif
