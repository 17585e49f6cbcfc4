/* Reports failure with a code. */
#include "bare.h"

void main(void)
{
    put_text("about to fail\n");
    put32(FINISHER, 42u << 16 | 0x3333);
    for (;;)
        ;
}
