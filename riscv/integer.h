/* Integer operations for which C has no operator, for engines whose host has no instruction. */
#ifndef RISCV_INTEGER_H
#define RISCV_INTEGER_H

#include <stdint.h>

/* Zbb orc.b: each byte becomes 0x00 or 0xff. */
static inline uint64_t or_combine(uint64_t v)
{
    v |= v >> 4 & 0x0f0f0f0f0f0f0f0fULL;
    v |= v >> 2 & 0x3f3f3f3f3f3f3f3fULL;
    v |= v >> 1 & 0x7f7f7f7f7f7f7f7fULL;
    return (v & 0x0101010101010101ULL) * 0xff;
}

/* Zbc: the product over GF(2), bits 63 to 0 and 127 to 64. */
static inline uint64_t carryless_low(uint64_t a, uint64_t b)
{
    uint64_t r = 0;
    for (; b != 0; b >>= 1, a <<= 1)
        r ^= a & (0 - (b & 1));
    return r;
}

static inline uint64_t carryless_high(uint64_t a, uint64_t b)
{
    uint64_t r = 0;
    for (unsigned i = 1; i < 64; i++)
        r ^= a >> (64 - i) & (0 - (b >> i & 1));
    return r;
}

#endif
