/*
 * Platform-level interrupt controller (RISC-V PLIC 1.0.0) as on QEMU's virt board.
 *
 * 95 level-triggered sources (source 0 does not exist), priorities 0..7, and two contexts a hart: 2
 * * hart drives its M-mode external interrupt, 2 * hart + 1 its S-mode one. 32-bit accesses only.
 * Registers that do not exist read 0 and ignore writes.
 *
 * Invariants, under the lock: a source is never pending and in service at once; `enabled_in` and
 * `at_priority` are the enable bits and the priorities turned round; a context's `output` is what
 * its wire was last told.
 */
#ifndef DEVICES_PLIC_H
#define DEVICES_PLIC_H

#include "core/bus.h"
#include "core/fdt.h"
#include "core/host.h"
#include "core/irq.h"
#include "core/state.h"

#define PLIC_SIZE          0x600000ULL
#define PLIC_SOURCES       96 /* with source 0 */
#define PLIC_WORDS         (PLIC_SOURCES / 32)
#define PLIC_PRIORITY_MAX  7
#define PLIC_HARTS_MAX     64
#define PLIC_CONTEXTS_MAX  (2 * PLIC_HARTS_MAX)
#define PLIC_CONTEXT_WORDS (PLIC_CONTEXTS_MAX / 64)

struct plic_context {
    struct irq irq;
    uint32_t enable[PLIC_WORDS];
    uint8_t threshold;
    bool output;
};

struct plic {
    struct host_lock lock;
    unsigned context_count;
    uint32_t level[PLIC_WORDS];      /* input wires */
    uint32_t pending[PLIC_WORDS];    /* forwarded by the gateway, not yet claimed */
    uint32_t in_service[PLIC_WORDS]; /* claimed, not yet completed: the gateway is shut */
    uint8_t priority[PLIC_SOURCES];
    uint32_t at_priority[PLIC_PRIORITY_MAX + 1][PLIC_WORDS];
    uint64_t enabled_in[PLIC_SOURCES][PLIC_CONTEXT_WORDS];
    /* Told of each completion, under the lock; for lines of real devices. NULL: nobody. */
    void (*completed)(void *arg, uint32_t source);
    void *completed_arg;
    struct plic_context contexts[PLIC_CONTEXTS_MAX];
};

/* `outputs`: 2 * hart_count wires, in the order of the contexts. hart_count: 1..PLIC_HARTS_MAX. */
void plic_init(struct plic *plic, unsigned hart_count, const struct irq *outputs);
extern const struct bus_ops plic_bus_ops;
/* A struct irq sink: drives input `line` (1..95; others go nowhere). Any thread. */
void plic_set(void *plic, uint32_t line, bool level);
/* Registers back to 0; the input wires keep their levels. */
void plic_reset(struct plic *plic);
void plic_state(struct plic *plic, struct state *state);
/*
 * Writes the node plic@base. `intc_phandles`: the interrupt controller of each hart, hart_count of
 * them. A device names line n of it as interrupts = <n>.
 */
void plic_fdt(const struct plic *plic, struct fdt_writer *w, uint64_t base, uint32_t phandle,
              const uint32_t *intc_phandles);

#endif
