/* Writes functions all over 32 MiB, and calls each; twice, with other results. */
#include "bare.h"

#define AREA   (RAM + (8UL << 20))
#define STRIDE 64UL
#define COUNT  ((32UL << 20) / STRIDE)

typedef uint64_t function(void);

void main(void)
{
    for (uint32_t round = 0; round < 2; round++) {
        uint64_t sum = 0, expected = 0;
        for (uint64_t i = 0; i < COUNT; i++) {
            uint32_t value = (uint32_t)(i * 2654435761U + round) & 0x3ffff;
            put32(AREA + i * STRIDE, value << 12 | 10 << 7 | 0x37); /* lui a0, value */
            put32(AREA + i * STRIDE + 4, 0x00008067);               /* ret */
            expected += (uint64_t)value << 12;
        }
        __asm__ volatile("fence.i" : : : "memory");
        for (uint64_t i = 0; i < COUNT; i++)
            sum += ((function *)(AREA + i * STRIDE))();
        put_text(sum == expected ? "as written\n" : "not as written\n");
    }
    power_off();
}
