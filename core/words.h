/*
 * Sentences for people, made without libc: what is wrong with a description or a plan.
 */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Writes at `text[at]`, always terminated and never beyond `size`; characters that do not print
 * become '?'. %s is a string, %u an unsigned, %z a uint64_t that is a size ("64K", "96M"), %x a
 * uint64_t in hexadecimal ("0x88000000"). Returns where the text ends.
 */
size_t words_put(char *text, size_t size, size_t at, const char *format, va_list args);

#endif
