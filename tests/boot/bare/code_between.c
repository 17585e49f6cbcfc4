/* Jumps to every halfword of code whose instructions, read from their middles, are others. */
#include "bare.h"

#define AREA  (RAM + (8UL << 20))
#define BYTES 0x20000UL

void main(void)
{
    /* lui a1, 0x45050; its second half is c.li a0, 1. At the end c.jr ra. */
    for (uint64_t at = 0; at < BYTES; at += 4)
        put32(AREA + at, 0x450505b7);
    *(volatile uint16_t *)(AREA + BYTES) = 0x8082;
    __asm__ volatile("fence.i" : : : "memory");
    uint64_t wrong = 0;
    for (uint64_t at = BYTES; at >= 2; at -= 2) {
        uint64_t from = AREA + (at > 0x4000 && at < BYTES - 0x4000 ? BYTES - 2 - at % 0x3ffe : at);
        register uint64_t a0 __asm__("a0") = 7;
        register uint64_t a1 __asm__("a1") = 9;
        __asm__ volatile("jalr %2" : "+r"(a0), "+r"(a1) : "r"(from) : "ra", "memory");
        /* The first halfword is executed only from a middle; a lui only where four bytes are left.
         */
        uint64_t left = AREA + BYTES - from;
        wrong += a0 != ((from & 2) != 0 ? 1 : 7);
        wrong += a1 != (left >= 4 ? 0x45050000UL : 9);
    }
    put_text(wrong == 0 ? "as written\n" : "not as written\n");
    power_off();
}
