/*
 * National Semiconductor PC16550D universal asynchronous receiver/transmitter.
 *
 * Registers are bytes at stride 1; a wider access reaches the register at its address, as on QEMU's
 * virt. Bytes are sent in no time, so THRE and TEMT are always set. The receive FIFO is deeper than
 * the original's; what does not fit stays with the backend until the guest has read. A FIFO below
 * its trigger level interrupts at once (the character timeout of the original, of length 0).
 */
#ifndef DEVICES_NS16550A_H
#define DEVICES_NS16550A_H

#include "core/bus.h"
#include "core/fdt.h"
#include "core/host.h"
#include "core/irq.h"
#include "core/state.h"
#include "devices/backend.h"

#define NS16550A_SIZE     0x100ULL
#define NS16550A_CLOCK_HZ 3686400
#define NS16550A_RX_DEPTH 64 /* a power of two */

struct ns16550a {
    struct host_lock lock;
    struct stream_backend *backend; /* NULL: bytes go nowhere */
    struct irq irq;

    uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
    uint8_t lsr_errors;   /* OE, and BI of the byte at the head of the FIFO until it is reported */
    bool thr_interrupt;   /* THR became empty and IIR has not said so yet */
    bool refused;         /* the backend was refused bytes and waits for resume() */
    bool output;          /* what the wire was last told */
    uint32_t head, count; /* ring of received bytes */
    uint8_t rx[NS16550A_RX_DEPTH];
    bool rx_break[NS16550A_RX_DEPTH]; /* the byte is the 0 of a break condition */
};

/* Registers with `backend` as the receiver of its input. */
void ns16550a_init(struct ns16550a *uart, struct stream_backend *backend, struct irq irq);
extern const struct bus_ops ns16550a_bus_ops;
void ns16550a_reset(struct ns16550a *uart);
void ns16550a_state(struct ns16550a *uart, struct state *state);
/* A break condition on the line (SysRq on Linux consoles). Any thread. */
void ns16550a_break(struct ns16550a *uart);
/* Takes up to `len` received bytes past the registers (SBI consoles). Returns how many. */
size_t ns16550a_take(struct ns16550a *uart, uint8_t *bytes, size_t len);
/* Writes the node serial@base. */
void ns16550a_fdt(const struct ns16550a *uart, struct fdt_writer *w, uint64_t base,
                  const struct fdt_line *line);

#endif
