#include "devices/ns16550a.h"

#include "core/error.h"
#include "core/hot.h"

/* PC16550D data sheet, table II "Summary of Registers". */
enum uart_register {
    UART_RBR_THR_DLL = 0,
    UART_IER_DLM = 1,
    UART_IIR_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
};

enum {
    UART_IER_ERBFI = 0x01,
    UART_IER_ETBEI = 0x02,
    UART_IER_ELSI = 0x04,
    UART_IER_EDSSI = 0x08,
    UART_IER_MASK = 0x0f,

    UART_IIR_NONE = 0x01,
    UART_IIR_MODEM = 0x00,
    UART_IIR_THRE = 0x02,
    UART_IIR_DATA = 0x04,
    UART_IIR_LINE = 0x06,
    UART_IIR_TIMEOUT = 0x0c,
    UART_IIR_FIFO = 0xc0,

    UART_FCR_ENABLE = 0x01,
    UART_FCR_CLEAR_RX = 0x02,
    UART_FCR_TRIGGER = 0xc0,

    UART_LCR_DLAB = 0x80,

    UART_MCR_DTR = 0x01,
    UART_MCR_RTS = 0x02,
    UART_MCR_OUT1 = 0x04,
    UART_MCR_OUT2 = 0x08,
    UART_MCR_LOOP = 0x10,
    UART_MCR_MASK = 0x1f,

    UART_LSR_DR = 0x01,
    UART_LSR_OE = 0x02,
    UART_LSR_BI = 0x10,
    UART_LSR_THRE = 0x20,
    UART_LSR_TEMT = 0x40,
    UART_LSR_FIFO_ERROR = 0x80,

    UART_MSR_DELTAS = 0x0f,
    UART_MSR_TERI = 0x04,
    UART_MSR_CTS = 0x10,
    UART_MSR_DSR = 0x20,
    UART_MSR_RI = 0x40,
    UART_MSR_DCD = 0x80,
};

static bool fifo_on(const struct ns16550a *uart)
{
    return (uart->fcr & UART_FCR_ENABLE) != 0;
}

static uint32_t rx_depth(const struct ns16550a *uart)
{
    return fifo_on(uart) ? NS16550A_RX_DEPTH : 1;
}

static uint32_t rx_trigger(const struct ns16550a *uart)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return fifo_on(uart) ? levels[(uart->fcr & UART_FCR_TRIGGER) >> 6] : 1;
}

/* The interrupt of the highest priority (table IV, "Interrupt Control Functions"). */
static uint8_t interrupt_id(const struct ns16550a *uart)
{
    if ((uart->ier & UART_IER_ELSI) != 0 && uart->lsr_errors != 0)
        return UART_IIR_LINE;
    if ((uart->ier & UART_IER_ERBFI) != 0 && uart->count != 0)
        return uart->count >= rx_trigger(uart) ? UART_IIR_DATA : UART_IIR_TIMEOUT;
    if ((uart->ier & UART_IER_ETBEI) != 0 && uart->thr_interrupt)
        return UART_IIR_THRE;
    if ((uart->ier & UART_IER_EDSSI) != 0 && (uart->msr & UART_MSR_DELTAS) != 0)
        return UART_IIR_MODEM;
    return UART_IIR_NONE;
}

static void uart_update(struct ns16550a *uart)
{
    bool output = interrupt_id(uart) != UART_IIR_NONE;
    if (output != uart->output) {
        uart->output = output;
        irq_set(&uart->irq, output);
    }
}

static void rx_clear(struct ns16550a *uart)
{
    uart->head = 0;
    uart->count = 0;
    uart->lsr_errors &= (uint8_t)~UART_LSR_BI;
}

/* Errors are revealed when their byte comes to the head of the FIFO (8.4.4, "LSR"). */
static void rx_reveal(struct ns16550a *uart)
{
    if (uart->count != 0 && uart->rx_break[uart->head]) {
        uart->rx_break[uart->head] = false;
        uart->lsr_errors |= UART_LSR_BI;
    }
}

/* Room for input from the line, which loopback mode cuts off. */
static uint32_t rx_room(const struct ns16550a *uart)
{
    uint32_t depth = rx_depth(uart);
    return (uart->mcr & UART_MCR_LOOP) == 0 && uart->count < depth ? depth - uart->count : 0;
}

static void rx_push(struct ns16550a *uart, uint8_t byte, bool is_break)
{
    if (uart->count >= rx_depth(uart)) {
        uart->lsr_errors |= UART_LSR_OE;
        return;
    }
    uint32_t at = (uart->head + uart->count) % NS16550A_RX_DEPTH;
    uart->rx[at] = byte;
    uart->rx_break[at] = is_break;
    uart->count++;
    rx_reveal(uart);
}

static uint8_t rx_pop(struct ns16550a *uart)
{
    uint8_t byte = uart->rx[uart->head];
    if (uart->count == 0)
        return 0;
    uart->head = (uart->head + 1) % NS16550A_RX_DEPTH;
    uart->count--;
    rx_reveal(uart);
    return byte;
}

/* True once when there is room again for a backend that was refused. */
static bool rx_wants_more(struct ns16550a *uart)
{
    if (!uart->refused || rx_room(uart) < (rx_depth(uart) + 1) / 2)
        return false;
    uart->refused = false;
    return true;
}

static void backend_resume(struct ns16550a *uart, bool wanted)
{
    if (wanted && uart->backend != NULL && uart->backend->ops->resume != NULL)
        uart->backend->ops->resume(uart->backend);
}

/* The modem inputs: tied to our outputs in loopback mode, else a peer that is always ready. */
static void modem_update(struct ns16550a *uart)
{
    uint8_t lines = UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD;
    if ((uart->mcr & UART_MCR_LOOP) != 0) {
        lines = 0;
        lines |= (uart->mcr & UART_MCR_RTS) != 0 ? UART_MSR_CTS : 0;
        lines |= (uart->mcr & UART_MCR_DTR) != 0 ? UART_MSR_DSR : 0;
        lines |= (uart->mcr & UART_MCR_OUT1) != 0 ? UART_MSR_RI : 0;
        lines |= (uart->mcr & UART_MCR_OUT2) != 0 ? UART_MSR_DCD : 0;
    }
    uint8_t changed = (uint8_t)((uart->msr ^ lines) & ~UART_MSR_DELTAS);
    /* The ring indicator counts only when it goes away (8.8, "TERI"). */
    changed &= (uint8_t) ~(lines & UART_MSR_RI);
    uart->msr = (uint8_t)(lines | (uart->msr & UART_MSR_DELTAS) | changed >> 4);
}

static uint8_t lsr_read(struct ns16550a *uart)
{
    uint8_t lsr = UART_LSR_THRE | UART_LSR_TEMT | uart->lsr_errors;
    if (uart->count != 0)
        lsr |= UART_LSR_DR;
    if (fifo_on(uart) && (uart->lsr_errors & UART_LSR_BI) != 0)
        lsr |= UART_LSR_FIFO_ERROR;
    uart->lsr_errors = 0;
    return lsr;
}

static uint8_t iir_read(struct ns16550a *uart)
{
    uint8_t id = interrupt_id(uart);
    if (id == UART_IIR_THRE)
        uart->thr_interrupt = false;
    return (uint8_t)(id | (fifo_on(uart) ? UART_IIR_FIFO : 0));
}

HOT static int uart_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    (void)width;
    struct ns16550a *uart = device;
    bool dlab, resume = false;
    uint8_t result = 0;

    host_lock_acquire(&uart->lock);
    dlab = (uart->lcr & UART_LCR_DLAB) != 0;
    switch (offset) {
    case UART_RBR_THR_DLL:
        if (dlab) {
            result = uart->dll;
        } else {
            result = rx_pop(uart);
            resume = rx_wants_more(uart);
        }
        break;
    case UART_IER_DLM: result = dlab ? uart->dlm : uart->ier; break;
    case UART_IIR_FCR: result = iir_read(uart); break;
    case UART_LCR: result = uart->lcr; break;
    case UART_MCR: result = uart->mcr; break;
    case UART_LSR: result = lsr_read(uart); break;
    case UART_MSR:
        result = uart->msr;
        uart->msr &= (uint8_t)~UART_MSR_DELTAS;
        break;
    case UART_SCR: result = uart->scr; break;
    default: break;
    }
    uart_update(uart);
    host_lock_release(&uart->lock);

    backend_resume(uart, resume);
    *value = result;
    return 0;
}

static void fcr_write(struct ns16550a *uart, uint8_t value)
{
    /* The other bits count only together with the enable bit; changing it clears the FIFOs (8.5).
     */
    if ((value & UART_FCR_ENABLE) == 0)
        value = 0;
    if (((uart->fcr ^ value) & UART_FCR_ENABLE) != 0 || (value & UART_FCR_CLEAR_RX) != 0)
        rx_clear(uart);
    uart->fcr = value & (UART_FCR_ENABLE | UART_FCR_TRIGGER);
}

HOT static int uart_write(void *device, uint64_t offset, unsigned width, uint64_t value64)
{
    (void)width;
    struct ns16550a *uart = device;
    uint8_t value = (uint8_t)value64;
    bool dlab, send = false, resume = false;

    host_lock_acquire(&uart->lock);
    dlab = (uart->lcr & UART_LCR_DLAB) != 0;
    switch (offset) {
    case UART_RBR_THR_DLL:
        if (dlab) {
            uart->dll = value;
        } else {
            send = (uart->mcr & UART_MCR_LOOP) == 0;
            if (!send)
                rx_push(uart, value, false);
            uart->thr_interrupt = true;
        }
        break;
    case UART_IER_DLM:
        if (dlab) {
            uart->dlm = value;
        } else {
            /* Enabling the interrupt while THR is empty raises it; Linux tests for this. */
            if ((value & ~uart->ier & UART_IER_ETBEI) != 0)
                uart->thr_interrupt = true;
            uart->ier = value & UART_IER_MASK;
        }
        break;
    case UART_IIR_FCR:
        fcr_write(uart, value);
        resume = rx_wants_more(uart);
        break;
    case UART_LCR: uart->lcr = value; break;
    case UART_MCR:
        uart->mcr = value & UART_MCR_MASK;
        modem_update(uart);
        resume = rx_wants_more(uart);
        break;
    case UART_SCR: uart->scr = value; break;
    default: break;
    }
    uart_update(uart);
    host_lock_release(&uart->lock);

    if (send && uart->backend != NULL)
        uart->backend->ops->write(uart->backend, &value, 1);
    backend_resume(uart, resume);
    return 0;
}

const struct bus_ops ns16550a_bus_ops = {
    .read = uart_read, .write = uart_write, .widths = 1 | 2 | 4 | 8};

static size_t uart_receive(void *device, const void *bytes, size_t len)
{
    struct ns16550a *uart = device;
    const uint8_t *from = bytes;
    size_t taken = 0;

    host_lock_acquire(&uart->lock);
    while (taken < len && rx_room(uart) != 0)
        rx_push(uart, from[taken++], false);
    uart->refused |= taken < len;
    uart_update(uart);
    host_lock_release(&uart->lock);
    return taken;
}

void ns16550a_break(struct ns16550a *uart)
{
    host_lock_acquire(&uart->lock);
    rx_push(uart, 0, true);
    uart_update(uart);
    host_lock_release(&uart->lock);
}

size_t ns16550a_take(struct ns16550a *uart, uint8_t *bytes, size_t len)
{
    size_t taken = 0;
    bool resume;

    host_lock_acquire(&uart->lock);
    while (taken < len && uart->count != 0)
        bytes[taken++] = rx_pop(uart);
    resume = rx_wants_more(uart);
    uart_update(uart);
    host_lock_release(&uart->lock);
    backend_resume(uart, resume);
    return taken;
}

static void registers_reset(struct ns16550a *uart)
{
    uart->ier = uart->fcr = uart->lcr = uart->scr = 0;
    uart->dll = 12; /* 9600 baud, like QEMU's; nothing depends on it */
    uart->dlm = 0;
    uart->lsr_errors = 0;
    uart->thr_interrupt = false;
    uart->mcr = 0;
    modem_update(uart);
    uart->msr &= (uint8_t)~UART_MSR_DELTAS;
}

void ns16550a_init(struct ns16550a *uart, struct stream_backend *backend, struct irq irq)
{
    memset(uart, 0, sizeof *uart);
    host_lock_init(&uart->lock);
    uart->irq = irq;
    registers_reset(uart);
    uart->backend = backend;
    if (backend != NULL) {
        backend->device = uart;
        backend->receive = uart_receive;
    }
}

void ns16550a_reset(struct ns16550a *uart)
{
    host_lock_acquire(&uart->lock);
    registers_reset(uart);
    rx_clear(uart);
    bool resume = rx_wants_more(uart);
    uart_update(uart);
    host_lock_release(&uart->lock);
    backend_resume(uart, resume);
}

void ns16550a_state(struct ns16550a *uart, struct state *state)
{
    bool resume = false;
    state_section(state, "ns16550a", 1);
    host_lock_acquire(&uart->lock);
    uint8_t *const registers[] = {&uart->ier, &uart->fcr, &uart->lcr, &uart->mcr,       &uart->msr,
                                  &uart->scr, &uart->dll, &uart->dlm, &uart->lsr_errors};
    for (unsigned i = 0; i < sizeof registers / sizeof registers[0]; i++)
        state_u8(state, registers[i]);
    state_bool(state, &uart->thr_interrupt);
    state_u32(state, &uart->head);
    state_u32(state, &uart->count);
    state_bytes(state, uart->rx, sizeof uart->rx);
    for (unsigned i = 0; i < NS16550A_RX_DEPTH; i++)
        state_bool(state, &uart->rx_break[i]);
    if (state->loading) {
        if (uart->head >= NS16550A_RX_DEPTH || uart->count > NS16550A_RX_DEPTH) {
            rx_clear(uart);
            state_fail(state, -E_INVAL);
        }
        uart->lsr_errors &= UART_LSR_OE | UART_LSR_BI;
        uart->output = interrupt_id(uart) != UART_IIR_NONE;
        irq_set(&uart->irq, uart->output);
        /* What the new backend was refused so far it may try again. */
        resume = uart->refused && rx_room(uart) != 0;
        uart->refused &= !resume;
    }
    host_lock_release(&uart->lock);
    backend_resume(uart, resume);
}

void ns16550a_fdt(const struct ns16550a *uart, struct fdt_writer *w, uint64_t base,
                  const struct fdt_line *line)
{
    (void)uart;
    fdt_node_at(w, "serial", base);
    fdt_put_str(w, "compatible", "ns16550a");
    fdt_put_reg64(w, base, NS16550A_SIZE);
    fdt_put_u32(w, "clock-frequency", NS16550A_CLOCK_HZ);
    fdt_put_line(w, line);
    fdt_end(w);
}
