/*
 * The board's interrupt controller, as far as the hypervisor's own devices and those that are
 * passed to guests need it: a PLIC (RISC-V PLIC 1.0.0), or an APLIC (RISC-V AIA 1.0, chapter 4)
 * that sends messages to IMSICs (chapter 3) or drives the harts itself. All lines go to S-mode of
 * one hart.
 */
#ifndef TYPE1_DEV_INTC_H
#define TYPE1_DEV_INTC_H

#include "core/fdt.h"
#include "core/host.h"
#include "type1/dev_mmio.h"

#define INTC_LINES_MAX 63 /* identities in one register of an IMSIC */

struct intc;

/* What differs. A line's `place` is where it is in the table. */
struct intc_kind {
    const char *name;
    void (*start)(struct intc *intc);
    void (*enable)(const struct intc *intc, uint32_t line, unsigned place, bool on);
    /* The next line that wants to be handled, shut now; 0: none. */
    uint32_t (*claim)(struct intc *intc);
    void (*complete)(const struct intc *intc, uint32_t line);
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
    uint8_t *base;    /* NULL: there is none */
    unsigned context; /* of the PLIC; an APLIC: the hart's index */
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
    } lines[INTC_LINES_MAX];
    _Atomic unsigned line_count;
};

/* Finds it in the board's device tree, without touching it. -E_NODEV: none, or not for `hart`. */
int intc_find(struct intc *intc, const struct fdt *fdt, uint64_t hart);
/* Once its registers are mapped, on that hart: no line is enabled. */
void intc_start(struct intc *intc, const struct dev_access *access,
                const struct imsic_access *imsic);
/* The line of a device's node; 0: none that comes here. Remembers how it is triggered. */
uint32_t intc_line_of(struct intc *intc, const struct fdt *fdt, int node);
/* -E_NOSPC, -E_EXIST, -E_NODEV no controller or no such line. */
int intc_open(struct intc *intc, uint32_t line, bool (*handle)(void *arg), void *arg);
/* The line is nobody's and shut. Its handler may run a last time. */
void intc_close(struct intc *intc, uint32_t line);
void intc_complete(const struct intc *intc, uint32_t line);
/* The hart's external interrupt is pending; no lock is held. */
void intc_interrupt(struct intc *intc);

/* ---- Between dev_intc.c and dev_aplic.c ---- */

/* The hart's place among those that `node` interrupts in S-mode (interrupts-extended), or negative.
 */
int intc_context_of(const struct fdt *fdt, int node, uint64_t hart);
/* The line is somebody's. */
bool intc_is_open(const struct intc *intc, uint32_t line);
/* As intc_find. */
int aplic_find(struct intc *intc, const struct fdt *fdt, uint64_t hart);

#endif
