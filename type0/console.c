#include "type0/console.h"

#include "core/host.h"
#include "core/print.h"
#include "type0/hart.h"

#define PORTS_MAX  PLAN_PARTITIONS_MAX
#define CTRL_A     1
#define KEYS_MAX   64      /* taken at once */
#define SEND_TRIES 1000000 /* a UART that takes nothing for so long is not there */

/* Registers of a 16550 (PC16550D data sheet, table II). */
enum { UART_DATA = 0, UART_LSR = 5 };
enum { UART_LSR_DR = 0x01, UART_LSR_THRE = 0x20 };

static struct host_lock lock;
static volatile uint8_t *uart, *given; /* given: a partition has it, and uart is NULL */
static unsigned shift, width;
static bool dead;

static struct console_port *ports[PORTS_MAX];
static int port_count;
static struct console_port *entered; /* NULL: overview */
static bool prefix;                  /* Ctrl-A was typed */
static char edit[120];               /* the command being typed */
static unsigned edit_length;
static bool prompt_shown;

static uint8_t uart_read(unsigned reg)
{
    volatile uint8_t *at = uart + ((uintptr_t)reg << shift);
    return width == 4 ? (uint8_t) * (volatile uint32_t *)(volatile void *)at : *at;
}

static void put(char c)
{
    if (uart == NULL)
        return;
    bool ready = false;
    for (unsigned tries = dead ? 1 : SEND_TRIES; !ready && tries != 0; tries--)
        ready = (uart_read(UART_LSR) & UART_LSR_THRE) != 0;
    dead = !ready;
    if (width == 4)
        *(volatile uint32_t *)(volatile void *)uart = (uint8_t)c;
    else
        *uart = (uint8_t)c;
}

static void put_text(const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            put('\r');
        put(*text);
    }
}

void console_emergency(const char *text)
{
    if (given != NULL)
        uart = given;
    put_text(text);
}

void console_give(uint64_t from, uint64_t size)
{
    if ((uint64_t)(uintptr_t)uart - from < size) {
        given = uart;
        uart = NULL;
    }
}

static bool is_uart(const struct fdt *fdt, int node)
{
    const char *text;
    for (unsigned i = 0; (text = fdt_str_at(fdt, node, "compatible", i)) != NULL; i++) {
        if (strcmp(text, "ns16550a") == 0 || strcmp(text, "ns16550") == 0 ||
            strcmp(text, "snps,dw-apb-uart") == 0)
            return true;
    }
    return false;
}

void console_setup(const struct fdt *fdt)
{
    char path[128];
    const char *stdout_path = fdt_str(fdt, fdt_path(fdt, "/chosen"), "stdout-path");
    size_t len = 0;
    uint64_t base, size;
    int node = -1;

    host_lock_init(&lock);
    for (; stdout_path != NULL && stdout_path[len] != 0 && stdout_path[len] != ':' &&
           len + 1 < sizeof path;
         len++)
        path[len] = stdout_path[len];
    path[len] = 0;
    if (path[0] != 0 && path[0] != '/')
        stdout_path = fdt_str(fdt, fdt_path(fdt, "/aliases"), path);
    else
        stdout_path = path;
    if (stdout_path != NULL && stdout_path[0] != 0)
        node = fdt_path(fdt, stdout_path);
    if (node < 0 || !is_uart(fdt, node))
        node = fdt_compatible_next(fdt, -1, "ns16550a");
    if (node < 0)
        node = fdt_compatible_next(fdt, -1, "ns16550");
    if (node < 0 || fdt_reg(fdt, node, 0, &base, &size) != 0)
        return;
    shift = fdt_u32(fdt, node, "reg-shift", 0) & 7;
    width = fdt_u32(fdt, node, "reg-io-width", 1);
    uart = (volatile uint8_t *)(uintptr_t)(base + fdt_u32(fdt, node, "reg-offset", 0));
}

/* ---- Lines ---- */

static void put_bytes(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put(text[i]);
}

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
    put_bytes(edit, edit_length);
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

/* ---- Partitions' output ---- */

static void port_flush(struct console_port *port, bool ended)
{
    static const char digits[] = "632451"; /* cyan, yellow, green, magenta, blue, red: SGR 3x */
    char colour[] = "\033[3xm";
    if (port->length == 0 && !ended)
        return;
    colour[3] = digits[port->colour];
    prompt_hide();
    put_text(colour);
    put_text(port->name);
    put_text(port->cut ? "> \033[0m" : "| \033[0m");
    put_bytes(port->line, port->length);
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

static size_t port_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    struct console_port *port = (struct console_port *)backend;
    const char *text = bytes;
    host_lock_acquire(&lock);
    if (entered == port) {
        put_bytes(text, len);
    } else if (entered == NULL) {
        for (size_t i = 0; i < len; i++)
            port_put(port, text[i]);
        port->touched = ticks_now();
    }
    host_lock_release(&lock);
    return len;
}

/* What is typed when there is no room is lost. */
static void port_type(struct console_port *port, uint8_t key)
{
    host_lock_acquire(&port->input_lock);
    if (port->input_count < CONSOLE_INPUT_MAX)
        port->input[port->input_count++] = key;
    host_lock_release(&port->input_lock);
}

/* The UART takes what it has room for. */
static void port_deliver(struct stream_backend *backend)
{
    struct console_port *port = (struct console_port *)backend;
    host_lock_acquire(&port->input_lock);
    if (port->input_count != 0) {
        size_t taken = backend->receive(backend->device, port->input, port->input_count);
        port->input_count -= (unsigned)taken;
        memmove(port->input, port->input + taken, port->input_count);
    }
    host_lock_release(&port->input_lock);
}

static const struct stream_ops port_ops = {.write = port_write, .resume = port_deliver};

void console_port_init(struct console_port *port, const char *name, unsigned index)
{
    *port = (struct console_port){.backend.ops = &port_ops, .name = name, .colour = index % 6};
    host_lock_init(&port->input_lock);
    ns16550a_init(&port->uart, &port->backend, (struct irq){0});
    if (port_count < PORTS_MAX)
        ports[port_count++] = port;
}

void console_port_reset(struct console_port *port)
{
    ns16550a_reset(&port->uart);
}

void console_write(struct console_port *port, const void *bytes, size_t len)
{
    if (port != NULL) {
        port_write(&port->backend, bytes, len);
        return;
    }
    host_lock_acquire(&lock);
    put_bytes(bytes, len);
    host_lock_release(&lock);
}

size_t console_read(struct console_port *port, void *bytes, size_t len)
{
    uint8_t *to = bytes;
    size_t count = 0;
    if (port != NULL) {
        /* Each byte taken makes room for the next. */
        while (count < len && ns16550a_take(&port->uart, to + count, 1) == 1)
            count++;
        return count;
    }
    host_lock_acquire(&lock);
    while (uart != NULL && count < len && (uart_read(UART_LSR) & UART_LSR_DR) != 0)
        to[count++] = uart_read(UART_DATA);
    host_lock_release(&lock);
    return count;
}

/* ---- Keys ---- */

void console_enter(struct console_port *port)
{
    if (port != NULL)
        console_answer("--- %s (Ctrl-A 0: back to the overview) ---", port->name);
    host_lock_acquire(&lock);
    entered = port;
    if (port != NULL) {
        put_bytes(port->line, port->length);
        port->length = 0;
    }
    host_lock_release(&lock);
    if (port == NULL)
        console_answer("\n--- overview ---");
}

static void key_after_prefix(uint8_t key)
{
    if (key >= '1' && key <= '9' && key - '1' < port_count) {
        console_enter(ports[key - '1']);
    } else if (key == '0' || key == 'o') {
        console_enter(NULL);
    } else if (key == 'h') {
        console_answer("Ctrl-A 1..9  enter a partition's console");
        console_answer("Ctrl-A 0     overview of all; type 'help' there");
    }
}

static void key_for_command(uint8_t key, void (*command)(char *line))
{
    char line[sizeof edit];
    host_lock_acquire(&lock);
    if (key == '\r' || key == '\n') {
        prompt_hide();
        memcpy(line, edit, edit_length);
        line[edit_length] = 0;
        edit_length = 0;
        host_lock_release(&lock);
        console_answer("trivisor> %s", line);
        command(line);
        return;
    }
    if (key >= ' ' && key < 0x7f && edit_length + 1 < sizeof edit) {
        edit[edit_length++] = (char)key;
        if (prompt_shown)
            put((char)key);
        else
            prompt_show();
    } else if ((key == 8 || key == 0x7f) && edit_length != 0) {
        edit_length--;
        prompt_hide();
        prompt_show();
    }
    host_lock_release(&lock);
}

static void take_key(uint8_t key, void (*command)(char *line))
{
    bool after = prefix;
    prefix = key == CTRL_A && !after;
    if (prefix)
        return;
    if (after && key != CTRL_A)
        key_after_prefix(key);
    else if (entered != NULL)
        port_type(entered, key);
    else
        key_for_command(key, command);
}

void console_poll(void (*command)(char *line))
{
    uint64_t now = ticks_now();
    uint8_t key;
    for (unsigned keys = 0; keys < KEYS_MAX && console_read(NULL, &key, 1) == 1; keys++)
        take_key(key, command);
    for (int i = 0; i < port_count; i++)
        port_deliver(&ports[i]->backend);
    host_lock_acquire(&lock);
    for (int i = 0; i < port_count; i++) {
        if (entered == NULL && now - ports[i]->touched > features.timebase * 3 / 10)
            port_flush(ports[i], false);
    }
    host_lock_release(&lock);
}
