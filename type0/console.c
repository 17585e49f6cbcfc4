#include "type0/console.h"

#include "core/host.h"
#include "type0/hart.h"
#include "type1/print.h"

#define SEND_TRIES 1000000 /* a UART that takes nothing for so long is not there */

/* Registers of a 16550 (PC16550D data sheet, table II). */
enum { UART_DATA = 0, UART_LSR = 5 };
enum { UART_LSR_DR = 0x01, UART_LSR_THRE = 0x20 };

static struct host_lock lock;
static volatile uint8_t *uart;
static unsigned shift, width;
static bool dead;

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

void console_emergency(const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            put('\r');
        put(*text);
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

void console_line(const char *format, ...)
{
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    text_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    host_lock_acquire(&lock);
    console_emergency("trivisor: ");
    console_emergency(line);
    console_emergency("\n");
    host_lock_release(&lock);
}

void console_write(const void *bytes, size_t len)
{
    const char *text = bytes;
    host_lock_acquire(&lock);
    for (size_t i = 0; i < len; i++)
        put(text[i]);
    host_lock_release(&lock);
}

size_t console_read(void *bytes, size_t len)
{
    uint8_t *to = bytes;
    size_t count = 0;
    host_lock_acquire(&lock);
    while (uart != NULL && count < len && (uart_read(UART_LSR) & UART_LSR_DR) != 0)
        to[count++] = uart_read(UART_DATA);
    host_lock_release(&lock);
    return count;
}
