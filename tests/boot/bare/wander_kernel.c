/* The same as wander_empty.c in S-mode under the hypervisor's own SBI: an ELF kernel. */
#include "bare.h"

void main(void)
{
    put_text("about to wander off\n");
    __asm__ volatile("csrw stvec, zero\n\t"
                     "jr zero");
}
