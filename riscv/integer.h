/* Integer operations for which C has no operator, for engines whose host has no instruction. */
#ifndef RISCV_INTEGER_H
#define RISCV_INTEGER_H

#include <stdint.h>

#include "riscv/crypto.h"

/* Zbb orc.b: each byte becomes 0x00 or 0xff. */
static inline uint64_t or_combine(uint64_t v)
{
    v |= v >> 4 & 0x0f0f0f0f0f0f0f0fULL;
    v |= v >> 2 & 0x3f3f3f3f3f3f3f3fULL;
    v |= v >> 1 & 0x7f7f7f7f7f7f7f7fULL;
    return (v & 0x0101010101010101ULL) * 0xff;
}

/*
 * Zbc: bits 63 to 0 of the product over GF(2). Integer products of bits that are four apart: no
 * more than 15 ones meet in a bit that counts, so what they carry ends before the next, but for
 * bits 60 to 63, whose 16 are carried out of the word.
 */
static inline uint64_t carryless_low(uint64_t a, uint64_t b)
{
    const uint64_t every_fourth = 0x1111111111111111ULL;
    uint64_t product = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t sum = 0;
        for (unsigned j = 0; j < 4; j++)
            sum ^= (a & every_fourth << j) * (b & every_fourth << ((i - j) & 3));
        product |= sum & every_fourth << i;
    }
    return product;
}

static inline uint64_t reverse_bits(uint64_t v)
{
    return __builtin_bswap64(riscv_reverse_in_bytes(v));
}

/* Bits 127 to 64: those of the mirrored factors' product, which has 127 bits, are its low ones. */
static inline uint64_t carryless_high(uint64_t a, uint64_t b)
{
    return reverse_bits(carryless_low(reverse_bits(a), reverse_bits(b))) >> 1;
}

#endif
