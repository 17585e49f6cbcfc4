/* Jumps into memory that nobody wrote, its trap vector never set. */
#include "bare.h"

void main(void)
{
    put_text("about to wander off\n");
    ((void (*)(void))(RAM + 0x2000000))();
}
