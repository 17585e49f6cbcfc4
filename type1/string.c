/* The functions that a C compiler may call by itself. */
#include "core/host.h"
#include "core/hot.h"

static bool together(const void *a, const void *b)
{
    return (((uintptr_t)a ^ (uintptr_t)b) & 7) == 0;
}

HOT void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (together(d, s)) {
        for (; len != 0 && ((uintptr_t)d & 7) != 0; len--)
            *d++ = *s++;
        uint64_t *dw = (uint64_t *)(void *)d;
        const uint64_t *sw = (const uint64_t *)(const void *)s;
        for (; len >= 64; len -= 64, dw += 8, sw += 8) {
            uint64_t w0 = sw[0], w1 = sw[1], w2 = sw[2], w3 = sw[3];
            uint64_t w4 = sw[4], w5 = sw[5], w6 = sw[6], w7 = sw[7];
            dw[0] = w0, dw[1] = w1, dw[2] = w2, dw[3] = w3;
            dw[4] = w4, dw[5] = w5, dw[6] = w6, dw[7] = w7;
        }
        for (; len >= 8; len -= 8)
            *dw++ = *sw++;
        d = (uint8_t *)dw;
        s = (const uint8_t *)sw;
    }
    for (; len != 0; len--)
        *d++ = *s++;
    return to;
}

HOT void *memmove(void *to, const void *from, size_t len)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (d <= s || d >= s + len) {
        for (; len != 0; len--)
            *d++ = *s++;
        return to;
    }
    while (len-- != 0)
        d[len] = s[len];
    return to;
}

HOT void *memset(void *to, int byte, size_t len)
{
    uint8_t *d = to;
    for (; len != 0 && ((uintptr_t)d & 7) != 0; len--)
        *d++ = (uint8_t)byte;
    uint64_t word = (uint8_t)byte * 0x0101010101010101ULL, *dw = (uint64_t *)(void *)d;
    for (; len >= 128; len -= 128, dw += 16) {
        dw[0] = dw[1] = dw[2] = dw[3] = dw[4] = dw[5] = dw[6] = dw[7] = word;
        dw[8] = dw[9] = dw[10] = dw[11] = dw[12] = dw[13] = dw[14] = dw[15] = word;
    }
    for (; len >= 8; len -= 8)
        *dw++ = word;
    for (d = (uint8_t *)dw; len != 0; len--)
        *d++ = (uint8_t)byte;
    return to;
}

HOT int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i])
            return x[i] - y[i];
    }
    return 0;
}

HOT size_t strlen(const char *s)
{
    size_t len = 0;
    while (s[len] != 0)
        len++;
    return len;
}

HOT int strcmp(const char *a, const char *b)
{
    for (; *a != 0 && *a == *b; a++, b++)
        ;
    return (uint8_t)*a - (uint8_t)*b;
}
