/*
 * RISC-V ACLINT (Advanced Core Local Interruptor 1.0-rc4): MSWI and MTIMER in one 64 KiB range with
 * the layout of SiFive's CLINT, and SSWI in a range of its own.
 *
 *     0x0000 + 4 * hart   msip      bit 0 drives the hart's machine software interrupt
 *     0x4000 + 8 * hart   mtimecmp  drives the machine timer interrupt while mtime >= mtimecmp
 *     0xbff8              mtime     the VM's clock (core/clock.h, 10 MHz); writes are ignored,
 * because the time CSR and every other device read the same clock SSWI: 4 * hart      setssip
 * writing bit 0 raises the hart's SSIP once; reads 0
 *
 * mtimecmp and mtime take 4- and 8-byte accesses, the others 4-byte ones (an 8-byte one reaches the
 * first of the two).
 */
#ifndef DEVICES_ACLINT_H
#define DEVICES_ACLINT_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/fdt.h"
#include "core/host.h"
#include "core/irq.h"
#include "core/state.h"

#define ACLINT_SIZE      0x10000ULL
#define ACLINT_SSWI_SIZE 0x4000ULL
#define ACLINT_HARTS_MAX 64

/* The wires of one hart. `ssi` is only ever set to true: an edge that the hart itself clears. */
struct aclint_wires {
    struct irq msi;
    struct irq mti;
    struct irq ssi;
};

struct aclint_hart {
    struct host_lock lock; /* mtimecmp and the mti wire against the timer's callback */
    struct clock *clock;
    struct clock_timer timer;
    struct aclint_wires wires;
    uint64_t mtimecmp;
    bool msip;
};

struct aclint {
    unsigned hart_count;
    struct aclint_hart harts[ACLINT_HARTS_MAX];
};

/* `wires`: hart_count (1..ACLINT_HARTS_MAX) of them. */
void aclint_init(struct aclint *aclint, struct clock *clock, unsigned hart_count,
                 const struct aclint_wires *wires);
extern const struct bus_ops aclint_bus_ops;
extern const struct bus_ops aclint_sswi_bus_ops;
void aclint_reset(struct aclint *aclint);
/* The clock must be stopped. */
void aclint_state(struct aclint *aclint, struct state *state);
/* Writes the node clint@base. */
void aclint_fdt(const struct aclint *aclint, struct fdt_writer *w, uint64_t base,
                const uint32_t *intc_phandles);
/* Writes the node sswi@base. */
void aclint_sswi_fdt(const struct aclint *aclint, struct fdt_writer *w, uint64_t base,
                     const uint32_t *intc_phandles);
void aclint_fini(struct aclint *aclint);

#endif
