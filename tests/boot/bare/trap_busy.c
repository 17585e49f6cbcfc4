/* Traps again and again, with instructions in between: nobody but the person at the console can
 * tell that it is lost. */
#include "bare.h"

void main(void)
{
    put_text("about to trap\n");
    __asm__ volatile("lla t0, 1f\n\t"
                     "csrw mtvec, t0\n\t"
                     ".balign 4\n"
                     "1: li t1, 0x40000000\n\t"
                     "ld t1, 0(t1)\n\t" ::
                         : "t0", "t1");
}
