/* Prints a number for each tenth of a second of guest time, for ever. */
#include "bare.h"

static uint64_t ticks(void)
{
    return *(volatile uint64_t *)0x200bff8UL; /* CLINT's mtime, 10 MHz */
}

void main(void)
{
    uint64_t next = ticks();

    for (uint64_t n = 0;; n++) {
        put_text("tick ");
        put_number(n);
        put_text("\n");
        next += 1000000;
        while (ticks() < next)
            ;
    }
}
