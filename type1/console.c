#include "type1/console.h"

#include "type1/print.h"
#include "type1/sbi.h"

#include <stdatomic.h>

#define PORTS_MAX  32
#define POLL_NS    10000000ULL   /* how often the board's UART is asked for keys */
#define PARTIAL_NS 300000000ULL  /* a line without an end is shown after so long */
#define SEND_NS    1000000000ULL /* a UART that takes nothing for so long is not there */
#define CTRL_A     1

/* What the UART has not taken yet. A guest may add so much at once while there is room for it with
 * names before all of its lines, else a byte. */
#define RING_SIZE  8192u
#define RING_ROOM  4096u
#define OUTPUT_MAX 64u
#define RING_NS    1000000ULL /* a FIFO of 16 bytes at 115200 baud lasts longer */

/* Registers of a 16550 (PC16550D data sheet, table II). */
enum { UART_DATA = 0, UART_IER = 1, UART_IIR = 2, UART_FCR = 2, UART_LSR = 5 };
enum { UART_FCR_ENABLE = 0x01, UART_IIR_FIFO = 0xc0, UART_LSR_DR = 0x01, UART_LSR_THRE = 0x20 };

static struct host_lock lock;
static volatile uint8_t *uart; /* NULL: the firmware's console */
static unsigned uart_shift, uart_width;
static unsigned uart_burst; /* bytes that it takes when it has room */
static bool firmware_dbcn, uart_dead;
static char ring[RING_SIZE];
static unsigned ring_first, ring_count; /* more than RING_SIZE: a panic came between; none */

static struct console_port *ports[PORTS_MAX];
static struct console_port *entered; /* NULL: overview */
static struct host_event keys;
static struct host_timer poll;
static bool plain;     /* no colours */
static bool prefix;    /* Ctrl-A was typed */
static bool used;      /* a command was typed */
static char edit[200]; /* the command being typed */
static unsigned edit_length;
static bool prompt_shown;

/* ---- The wire ---- */

static uint8_t uart_read(unsigned reg)
{
    volatile uint8_t *at = uart + ((uintptr_t)reg << uart_shift);
    return uart_width == 4 ? (uint8_t) * (volatile uint32_t *)(volatile void *)at : *at;
}

static void uart_write(unsigned reg, uint8_t value)
{
    volatile uint8_t *at = uart + ((uintptr_t)reg << uart_shift);
    if (uart_width == 4)
        *(volatile uint32_t *)(volatile void *)at = value;
    else
        *at = value;
}

static bool ring_holds(void)
{
    return ring_count - 1 < RING_SIZE;
}

static char ring_take(void)
{
    char c = ring[ring_first];
    ring_first = (ring_first + 1) % RING_SIZE;
    ring_count--;
    return c;
}

/* As much as the UART takes now; `wait`: at least a byte. */
static void ring_drain(bool wait)
{
    if (uart == NULL)
        return;
    bool ready = (uart_read(UART_LSR) & UART_LSR_THRE) != 0;
    uint64_t since = wait && !ready && !uart_dead ? host_time_ns() : 0;

    /* Bounded: a UART that is not there must not stop the guests. */
    while (wait && !ready && !uart_dead) {
        ready = (uart_read(UART_LSR) & UART_LSR_THRE) != 0;
        uart_dead = !ready && host_time_ns() - since > SEND_NS;
    }
    uart_dead = uart_dead && !ready;
    while (ring_holds() && (ready || (wait && uart_dead))) {
        for (unsigned i = 0; i < uart_burst && ring_holds(); i++)
            uart_write(UART_DATA, (uint8_t)ring_take());
        ready = (uart_read(UART_LSR) & UART_LSR_THRE) != 0;
        if (uart_dead)
            break;
    }
}

static void wire_put(char c)
{
    if (uart != NULL && ring_count == 0 && (uart_read(UART_LSR) & UART_LSR_THRE) != 0) {
        uart_write(UART_DATA, (uint8_t)c);
    } else if (uart != NULL) {
        if (ring_count >= RING_SIZE)
            ring_drain(true);
        ring[(ring_first + ring_count++) % RING_SIZE] = c;
        ring_drain(false);
    } else if (firmware_dbcn) {
        sbi_ecall(SBI_DBCN, 2, (uint8_t)c, 0, 0);
    } else {
        sbi_ecall(SBI_LEGACY_PUTCHAR, 0, (uint8_t)c, 0, 0);
    }
}

static int wire_get(void)
{
    enum { SBI_LEGACY_GETCHAR = 2 };
    if (uart != NULL)
        return (uart_read(UART_LSR) & UART_LSR_DR) != 0 ? uart_read(UART_DATA) : -1;
    if (firmware_dbcn) { /* 1: console read, into our own memory, which is mapped as it is */
        static uint8_t byte;
        struct sbi_answer got = sbi_ecall(SBI_DBCN, 1, 1, (uintptr_t)&byte, 0);
        return got.error == 0 && got.value == 1 ? *(volatile uint8_t *)&byte : -1;
    }
    return (int)sbi_ecall(SBI_LEGACY_GETCHAR, 0, 0, 0, 0).error;
}

static void put(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            wire_put('\r');
        wire_put(text[i]);
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

void console_setup(void)
{
    host_lock_init(&lock);
    host_event_init(&keys);
    firmware_dbcn = sbi_has(SBI_DBCN);
}

void console_use_uart(uint64_t base, unsigned shift, unsigned width)
{
    uart_shift = shift;
    uart_width = width;
    uart = (volatile uint8_t *)(uintptr_t)base;
    uart_write(UART_IER, 0);
    uart_write(UART_FCR, UART_FCR_ENABLE);
    uart_burst = (uart_read(UART_IIR) & UART_IIR_FIFO) == UART_IIR_FIFO ? 16 : 1;
}

bool console_uses(uint64_t from, uint64_t size)
{
    return uart != NULL && (uint64_t)(uintptr_t)uart - from < size;
}

void console_plain(void)
{
    plain = true;
}

void console_use_firmware(void)
{
    uart = NULL;
    while (ring_holds())
        wire_put(ring_take());
}

void console_flush(void)
{
    while (uart != NULL && ring_holds())
        ring_drain(true);
}

void console_emergency(const char *text)
{
    put_text(text);
    console_flush();
}

/* ---- Lines of the hypervisor ---- */

static void prompt_hide(void)
{
    if (prompt_shown)
        put_text("\r\033[K");
    prompt_shown = false;
}

/* Only while somebody types: a log without a reader stays free of prompts. */
static void prompt_show(void)
{
    if (entered != NULL || edit_length == 0)
        return;
    put_text("trivisor> ");
    put(edit, edit_length);
    prompt_shown = true;
}

static void line_out(const char *before, const char *format, va_list arguments)
{
    char line[CONSOLE_LINE_MAX];
    text_vformat(line, sizeof line, format, arguments);
    host_lock_acquire(&lock);
    prompt_hide();
    put_text(before);
    put_text(line);
    put_text("\n");
    prompt_show();
    host_lock_release(&lock);
}

void console_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_out("trivisor: ", format, arguments);
    va_end(arguments);
}

void console_answer(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_out("", format, arguments);
    va_end(arguments);
}

/* ---- Guests' output ---- */

static void port_flush(struct console_port *port, bool ended)
{
    static const char *const colours[] = {"\033[36m", "\033[33m", "\033[32m",
                                          "\033[35m", "\033[34m", "\033[31m"};
    if (port->length == 0 && !ended)
        return;
    prompt_hide();
    if (!plain)
        put_text(colours[port->colour]);
    put_text(port->name);
    put_text(port->cut ? "> " : "| ");
    if (!plain)
        put_text("\033[0m");
    put(port->line, port->length);
    put_text("\n");
    prompt_show();
    port->length = 0;
    port->cut = !ended;
}

/* What would move the cursor or change colours of others' lines (ECMA-48, 5.4 and clause 6). */
static bool port_escapes(struct console_port *port, uint8_t c)
{
    enum { TEXT, ESCAPE, SEQUENCE };
    if (c == '\033')
        port->escape = ESCAPE;
    else if (port->escape == ESCAPE && c == '[')
        port->escape = SEQUENCE;
    else if (port->escape == TEXT || c < ' ') /* a control is no part of a sequence */
        return (c < ' ' && c != '\t') || c == 0x7f;
    else if (c >= (port->escape == SEQUENCE ? '@' : '0'))
        port->escape = TEXT;
    return true;
}

static void port_put(struct console_port *port, char c)
{
    if (c == '\n') {
        port->escape = 0;
        port_flush(port, true);
        return;
    }
    if (port_escapes(port, (uint8_t)c))
        return;
    if (port->length == CONSOLE_LINE_MAX)
        port_flush(port, false);
    port->line[port->length++] = c;
}

/* The latest bytes are kept, the oldest go. */
static void port_hold(struct console_port *port, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (port->held_count == CONSOLE_HELD_MAX) {
            memmove(port->held, port->held + CONSOLE_HELD_MAX / 4, CONSOLE_HELD_MAX * 3 / 4);
            port->held_count -= CONSOLE_HELD_MAX / 4;
            port->held_lost += CONSOLE_HELD_MAX / 4;
        }
        port->held[port->held_count++] = text[i];
    }
}

static void port_show_held(struct console_port *port)
{
    if (port->held_lost != 0) {
        char line[80];
        text_format(line, sizeof line, "(%lu bytes of %s were not kept)\n",
                    (unsigned long)port->held_lost, port->name);
        put_text(line);
    }
    for (unsigned i = 0; i < port->held_count; i++)
        port_put(port, port->held[i]);
    port->held_count = 0;
    port->held_lost = 0;
}

/* How much of it was taken: the caller holds its hart and, meanwhile, our lock. */
static size_t port_output(struct console_port *port, const char *text, size_t len)
{
    host_lock_acquire(&lock);
    size_t most = uart == NULL || RING_SIZE - ring_count < RING_ROOM ? 1 : OUTPUT_MAX;
    if (len > most)
        len = most;
    if (entered == port) {
        for (size_t i = 0; i < len; i++)
            wire_put(text[i]);
    } else if (entered == NULL) {
        for (size_t i = 0; i < len; i++)
            port_put(port, text[i]);
        port->touched_ns = host_time_ns();
    } else {
        port_hold(port, text, len);
    }
    host_lock_release(&lock);
    return len;
}

static size_t uart_output(struct stream_backend *backend, const void *bytes, size_t len)
{
    return port_output(
        (struct console_port *)((char *)backend - offsetof(struct console_port, uart)), bytes, len);
}

static size_t hvc_output(struct stream_backend *backend, const void *bytes, size_t len)
{
    return port_output(
        (struct console_port *)((char *)backend - offsetof(struct console_port, hvc)), bytes, len);
}

static void port_resume(struct stream_backend *backend)
{
    (void)backend;
    host_event_set(&keys);
}

static const struct stream_ops uart_ops = {.write = uart_output, .resume = port_resume};
static const struct stream_ops hvc_ops = {.write = hvc_output, .resume = port_resume};

void console_port_init(struct console_port *port, const char *name, unsigned index, bool hvc)
{
    *port = (struct console_port){
        .uart.ops = &uart_ops, .hvc.ops = &hvc_ops, .name = name, .colour = index % 6};
    port->input_to = hvc ? &port->hvc : &port->uart;
}

void console_add(struct console_port *port)
{
    for (unsigned i = 0; i < PORTS_MAX; i++) {
        if (ports[i] == NULL) {
            ports[i] = port;
            return;
        }
    }
}

void console_remove(struct console_port *port)
{
    host_lock_acquire(&lock);
    for (unsigned i = 0; i < PORTS_MAX; i++) {
        if (ports[i] == port)
            ports[i] = NULL;
    }
    if (entered == port)
        entered = NULL;
    host_lock_release(&lock);
}

/* ---- Keys ---- */

static void enter(unsigned index)
{
    struct console_port *port = index < PORTS_MAX ? ports[index] : NULL;
    if (port == NULL) {
        console_answer("no guest %u", index + 1);
        return;
    }
    console_answer("--- %s (Ctrl-A 0: back to the overview, Ctrl-A h: help) ---", port->name);
    host_lock_acquire(&lock);
    entered = NULL;
    port_show_held(port);
    put(port->line, port->length);
    port->length = 0;
    entered = port;
    host_lock_release(&lock);
}

static void key_after_prefix(uint8_t key)
{
    if (key >= '1' && key <= '9') {
        enter(key - '1');
    } else if (key == '0' || key == 'o') {
        console_answer("\n--- overview ---");
        host_lock_acquire(&lock);
        entered = NULL;
        for (unsigned i = 0; i < PORTS_MAX; i++) {
            if (ports[i] != NULL)
                port_show_held(ports[i]);
        }
        host_lock_release(&lock);
    } else if (key == 'h') {
        console_answer("Ctrl-A 1..9  enter a guest's console");
        console_answer("Ctrl-A 0     overview of all guests; type 'help' there");
        console_answer("Ctrl-A Ctrl-A  one Ctrl-A for the guest");
    } else {
        console_answer("Ctrl-A h lists the keys behind Ctrl-A");
    }
}

static void key_for_command(uint8_t key, void (*command)(char *line))
{
    if (key == '\r' || key == '\n') {
        char line[sizeof edit];
        host_lock_acquire(&lock);
        prompt_hide();
        memcpy(line, edit, edit_length);
        line[edit_length] = 0;
        edit_length = 0;
        host_lock_release(&lock);
        used = true;
        console_answer("trivisor> %s", line);
        command(line);
        return;
    }
    host_lock_acquire(&lock);
    if (key >= ' ' && key < 0x7f && edit_length + 1 < sizeof edit) {
        edit[edit_length++] = (char)key;
        if (prompt_shown)
            wire_put((char)key);
        else
            prompt_show();
    } else {
        prompt_hide();
        if ((key == 0x7f || key == '\b') && edit_length > 0)
            edit_length--;
        else if (key == 0x15) /* Ctrl-U */
            edit_length = 0;
        prompt_show();
    }
    host_lock_release(&lock);
}

static void key(uint8_t key, void (*command)(char *line))
{
    if (prefix) {
        prefix = false;
        if (key != CTRL_A) {
            key_after_prefix(key);
            return;
        }
    } else if (key == CTRL_A) {
        prefix = true;
        return;
    }
    struct console_port *port = entered;
    if (port == NULL)
        key_for_command(key, command);
    else if (port->input_count < CONSOLE_INPUT_MAX)
        port->input[port->input_count++] = key;
}

bool console_type(struct console_port *port, const char *text, size_t length)
{
    if (length > CONSOLE_INPUT_MAX - port->input_count)
        return false;
    memcpy(port->input + port->input_count, text, length);
    port->input_count += (unsigned)length;
    return true;
}

/* The device takes what it has room for and calls resume when it has room again. */
static void deliver(struct console_port *port)
{
    if (port == NULL || port->input_count == 0 || port->input_to->receive == NULL)
        return;
    size_t taken = port->input_to->receive(port->input_to->device, port->input, port->input_count);
    port->input_count -= (unsigned)taken;
    memmove(port->input, port->input + taken, port->input_count);
}

static void show_partial_lines(void)
{
    uint64_t now = host_time_ns();
    host_lock_acquire(&lock);
    for (unsigned i = 0; i < PORTS_MAX && entered == NULL; i++) {
        if (ports[i] != NULL && ports[i]->length != 0 && now - ports[i]->touched_ns > PARTIAL_NS)
            port_flush(ports[i], false);
    }
    host_lock_release(&lock);
}

static void poll_due(void *arg)
{
    (void)arg;
    host_event_set(&keys);
}

bool console_used(void)
{
    return used;
}

_Noreturn void console_run(void (*command)(char *line), void (*look)(void))
{
    host_timer_init(&poll, poll_due, NULL);
    for (;;) {
        for (int c = wire_get(); c >= 0; c = wire_get())
            key((uint8_t)c, command);
        for (unsigned i = 0; i < PORTS_MAX; i++)
            deliver(ports[i]);
        show_partial_lines();
        if (entered == NULL)
            look();
        host_lock_acquire(&lock);
        ring_drain(false);
        uint64_t pause = ring_count != 0 ? RING_NS : POLL_NS;
        host_lock_release(&lock);
        host_timer_arm(&poll, host_time_ns() + pause);
        host_event_wait(&keys, UINT64_MAX);
    }
}
