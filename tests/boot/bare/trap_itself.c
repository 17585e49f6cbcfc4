/* Traps into a handler whose first instruction is illegal. */
#include "bare.h"

static uint32_t handler[4] __attribute__((aligned(4))); /* zero: defined to be illegal */

void main(void)
{
    put_text("about to trap\n");
    __asm__ volatile("csrw mtvec, %0\n\t"
                     "ecall" ::"r"(handler));
}
