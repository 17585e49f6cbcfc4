/* Text into a buffer: %s %c %u %d %x %lu %ld %lx %p %%, widths, '0' and '-' flags. */
#ifndef CORE_PRINT_H
#define CORE_PRINT_H

#include <stdarg.h>
#include <stddef.h>

/* At most `capacity` - 1 characters and a NUL; returns how many characters there are. */
size_t text_vformat(char *text, size_t capacity, const char *format, va_list arguments);
size_t text_format(char *text, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
