#include "type2/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* for a terminal that is stopped (Ctrl-S) */

/* States of the filter for control sequences (ECMA-48, clause 5). */
enum {
    TEXT,
    ESCAPE,        /* after ESC */
    SEQUENCE,      /* after ESC [ */
    STRING,        /* inside OSC, DCS and the like, until BEL or ESC \ */
    STRING_ESCAPE, /* ESC inside of one */
    ONE_MORE,      /* ESC ( and the like take one more byte */
};

void line_printer_init(struct line_printer *printer, int fd, const char *name, unsigned name_width,
                       unsigned hue, int colour)
{
    memset(printer, 0, sizeof(*printer));
    printer->fd = fd;
    printer->colour = colour < 0 ? isatty(fd) == 1 : colour > 0;
    printer->hue = hue;
    printer->name_width = name_width < sizeof(printer->name) ? name_width : 0;
    snprintf(printer->name, sizeof(printer->name), "%s", name);
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote > 0) {
            bytes += wrote;
            len -= (size_t)wrote;
            continue;
        }
        if (wrote < 0 && errno == EINTR)
            continue;
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (wrote == 0 || errno != EAGAIN || poll(&ready, 1, PATIENCE_MS) <= 0)
            return;
    }
}

static void print_line(struct line_printer *printer)
{
    static const unsigned char colours[] = {36, 33, 35, 32, 34, 31, 96, 93, 95, 92};
    char text[LINE_PRINTER_MAX + 128];
    int length;

    if (printer->colour)
        length =
            snprintf(text, sizeof(text), "\033[%um%-*s |\033[0m %.*s\033[0m\n",
                     (unsigned)colours[printer->hue % sizeof(colours)], (int)printer->name_width,
                     printer->name, (int)printer->length, printer->line);
    else
        length = snprintf(text, sizeof(text), "%-*s | %.*s\n", (int)printer->name_width,
                          printer->name, (int)printer->length, printer->line);
    printer->length = 0;
    printer->escape_at = 0;
    if (length > 0)
        write_all(printer->fd, text, (size_t)length);
}

static void put(struct line_printer *printer, unsigned char byte)
{
    if (printer->length == LINE_PRINTER_MAX)
        print_line(printer);
    printer->line[printer->length++] = (char)byte;
}

/* One byte of ESC [ ... : kept only if it turns out to be a colour (SGR, ECMA-48 8.3.117). */
static void sequence_byte(struct line_printer *printer, unsigned char byte)
{
    bool end = byte >= 0x40 && byte <= 0x7e;

    if (byte >= 0x20 && byte <= 0x7e && printer->length < LINE_PRINTER_MAX)
        printer->line[printer->length++] = (char)byte;
    else
        end = true;
    if (!end)
        return;
    printer->escape = TEXT;
    if (byte != 'm' || !printer->colour)
        printer->length = printer->escape_at;
}

static void feed_byte(struct line_printer *printer, unsigned char byte)
{
    if (byte == '\n') { /* ends whatever was begun */
        if (printer->escape == SEQUENCE)
            printer->length = printer->escape_at;
        printer->escape = TEXT;
        print_line(printer);
        return;
    }
    switch (printer->escape) {
    case TEXT:
        if (byte == 0x1b)
            printer->escape = ESCAPE;
        else if (byte == '\t' || (byte >= 0x20 && byte != 0x7f))
            put(printer, byte);
        break;
    case ESCAPE:
        printer->escape = TEXT;
        if (byte == '[') {
            if (printer->length + 2 > LINE_PRINTER_MAX)
                print_line(printer);
            printer->escape = SEQUENCE;
            printer->escape_at = printer->length;
            printer->line[printer->length++] = 0x1b;
            printer->line[printer->length++] = '[';
        } else if (strchr("]P_^X", byte) != NULL && byte != 0) {
            printer->escape = STRING;
        } else if (byte >= 0x20 && byte <= 0x2f) {
            printer->escape = ONE_MORE;
        }
        break;
    case SEQUENCE: sequence_byte(printer, byte); break;
    case STRING:
        if (byte == 0x07)
            printer->escape = TEXT;
        else if (byte == 0x1b)
            printer->escape = STRING_ESCAPE;
        break;
    case STRING_ESCAPE: printer->escape = byte == '\\' ? TEXT : STRING; break;
    default: printer->escape = TEXT; break;
    }
}

void line_printer_feed(struct line_printer *printer, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    while (len-- > 0)
        feed_byte(printer, *at++);
}

void line_printer_flush(struct line_printer *printer)
{
    if (printer->escape == SEQUENCE)
        printer->length = printer->escape_at;
    printer->escape = TEXT;
    if (printer->length > 0)
        print_line(printer);
}
