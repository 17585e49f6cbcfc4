/*
 * The board's interrupt controller (RISC-V PLIC 1.0.0), as far as the hypervisor's own devices and
 * those that are passed to guests need it. All lines go to the S-mode context of one hart.
 */
#ifndef TYPE1_DEV_INTC_H
#define TYPE1_DEV_INTC_H

#include "core/fdt.h"
#include "core/host.h"
#include "type1/dev_mmio.h"

#define INTC_LINES_MAX 64

struct intc {
    const struct dev_access *access;
    uint8_t *base; /* NULL: there is none */
    unsigned context;
    uint32_t phandle, line_max;
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

/* Finds it in the board's device tree, without touching it. -E_NODEV: no PLIC, or not for `hart`.
 */
int intc_find(struct intc *intc, const struct fdt *fdt, uint64_t hart);
/* Once its registers are mapped: no line is enabled. */
void intc_start(struct intc *intc, const struct dev_access *access);
/* The line of a device's node; 0: none that comes here. */
uint32_t intc_line_of(const struct intc *intc, const struct fdt *fdt, int node);
/* -E_NOSPC, -E_EXIST, -E_NODEV no controller or no such line. */
int intc_open(struct intc *intc, uint32_t line, bool (*handle)(void *arg), void *arg);
/* The line is nobody's and shut. Its handler may run a last time. */
void intc_close(struct intc *intc, uint32_t line);
void intc_complete(const struct intc *intc, uint32_t line);
/* The hart's external interrupt is pending; no lock is held. */
void intc_interrupt(struct intc *intc);

#endif
