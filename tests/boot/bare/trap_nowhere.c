/* Traps with a vector that points where nothing is. */
#include "bare.h"

void main(void)
{
    put_text("about to trap\n");
    __asm__ volatile("csrw mtvec, %0\n\t"
                     "unimp" ::"r"(0x40000000UL));
}
