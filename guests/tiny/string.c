/* The functions that a compiler takes for granted; linked into the kernel and into the program. */
#include "tiny.h"

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memset(void *to, int value, size_t length);

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    while (length--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t length)
{
    uint8_t *t = to;

    while (length--)
        *t++ = (uint8_t)value;
    return to;
}
