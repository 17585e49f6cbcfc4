/*
 * Interrupts as a device sees them: a wire that it drives, or a message that it sends.
 *
 * A device never names an interrupt controller. The board (vmm/board.c) connects each `struct irq`
 * to a PLIC input, an APLIC input or straight to a VCPU. Safe from any thread.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct irq {
    void (*set)(void *sink, uint32_t line, bool level);
    void *sink;
    uint32_t line;
};

/* Drives the wire. An unconnected wire (set == NULL) goes nowhere. */
static inline void irq_set(const struct irq *irq, bool level)
{
    if (irq->set != NULL)
        irq->set(irq->sink, irq->line, level);
}

/* Message-signalled interrupts: a 32-bit write of `data` to guest-physical `address`. */
struct msi {
    void (*send)(void *sink, uint64_t address, uint32_t data);
    void *sink;
};

static inline void msi_send(const struct msi *msi, uint64_t address, uint32_t data)
{
    if (msi->send != NULL)
        msi->send(msi->sink, address, data);
}

#endif
