/* Runs off the end of RAM: from a page of jumps over the last instructions there are. Needs 64 MiB.
 */
#include "bare.h"

#define END (RAM + 0x4000000UL)

void main(void)
{
    for (uint64_t at = END - 4096; at < END; at += 4)
        put32(at, 0x00000013); /* nop */
    __asm__ volatile("fence.i" ::: "memory");
    put_text("about to wander off\n");
    ((void (*)(void))(END - 4096))();
}
