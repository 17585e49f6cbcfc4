#include "core/print.h"

#include "core/host.h"

struct out {
    char *text;
    size_t capacity, length;
};

static void put(struct out *out, char c)
{
    if (out->length + 1 < out->capacity)
        out->text[out->length++] = c;
}

static void put_padded(struct out *out, const char *text, size_t length, unsigned width, bool left,
                       char pad)
{
    for (size_t i = length; !left && i < width; i++)
        put(out, pad);
    for (size_t i = 0; i < length; i++)
        put(out, text[i]);
    for (size_t i = length; left && i < width; i++)
        put(out, ' ');
}

static void put_number(struct out *out, uint64_t value, bool negative, unsigned base,
                       unsigned width, bool left, char pad)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative)
        digits[--at] = '-';
    put_padded(out, digits + at, sizeof digits - at, width, left, pad);
}

size_t text_vformat(char *text, size_t capacity, const char *format, va_list arguments)
{
    struct out out = {.text = text, .capacity = capacity};

    for (; *format != 0; format++) {
        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        bool left = false;
        char pad = ' ';
        unsigned width = 0, longs = 0;
        for (format++; *format == '-' || *format == '0'; format++) {
            left = left || *format == '-';
            pad = *format == '0' ? '0' : pad;
        }
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        for (; *format == 'l'; format++)
            longs++;
        switch (*format) {
        case 's': {
            const char *s = va_arg(arguments, const char *);
            s = s != NULL ? s : "(none)";
            put_padded(&out, s, strlen(s), width, left, ' ');
            break;
        }
        case 'c': put(&out, (char)va_arg(arguments, int)); break;
        case 'u':
        case 'x': {
            uint64_t value = longs ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            put_number(&out, value, false, *format == 'x' ? 16 : 10, width, left, pad);
            break;
        }
        case 'd': {
            int64_t value = longs ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
            put_number(&out, magnitude, value < 0, 10, width, left, pad);
            break;
        }
        case 'p':
            put_number(&out, (uint64_t)(uintptr_t)va_arg(arguments, void *), false, 16, 16, false,
                       '0');
            break;
        case '%': put(&out, '%'); break;
        default: goto end;
        }
    }
end:
    if (capacity != 0)
        text[out.length] = 0;
    return out.length;
}

size_t text_format(char *text, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = text_vformat(text, capacity, format, arguments);
    va_end(arguments);
    return length;
}
