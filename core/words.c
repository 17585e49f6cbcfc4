#include "core/words.h"

#include <stdint.h>

struct words {
    char *text;
    size_t size, at;
};

static void put_char(struct words *w, char c)
{
    if (w->at + 1 >= w->size)
        return;
    w->text[w->at++] = c >= ' ' && c <= '~' ? c : '?';
    w->text[w->at] = 0;
}

static void put_str(struct words *w, const char *s)
{
    while (*s != 0)
        put_char(w, *s++);
}

static void put_number(struct words *w, uint64_t value, unsigned base)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0)
        put_char(w, digits[--count]);
}

/* In the largest unit that says it exactly: "1025G", "8191K", "8388607 bytes". */
static void put_size(struct words *w, uint64_t bytes)
{
    static const char units[] = "KMGT";
    unsigned unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && unit < sizeof(units) - 1) {
        bytes /= 1024;
        unit++;
    }
    put_number(w, bytes, 10);
    if (unit > 0)
        put_char(w, units[unit - 1]);
    else
        put_str(w, " bytes");
}

size_t words_put(char *text, size_t size, size_t at, const char *format, va_list args)
{
    struct words w = {.text = text, .size = size, .at = at};

    if (at < size)
        text[at] = 0;
    for (; *format != 0; format++) {
        if (*format != '%') {
            put_char(&w, *format);
            continue;
        }
        switch (*++format) {
        case 's': put_str(&w, va_arg(args, const char *)); break;
        case 'u': put_number(&w, va_arg(args, unsigned), 10); break;
        case 'x':
            put_str(&w, "0x");
            put_number(&w, va_arg(args, uint64_t), 16);
            break;
        default: put_size(&w, va_arg(args, uint64_t)); break;
        }
    }
    return w.at;
}
