/* Prints 1 MiB in numbered lines of 32 bytes, as fast as it can, and powers off. */
#include "bare.h"

void main(void)
{
    for (uint32_t line = 0; line < 32768; line++) {
        for (uint32_t digit = 100000; digit != 0; digit /= 10)
            put_char((char)('0' + line / digit % 10));
        for (uint32_t i = 6; i < 31; i++)
            put_char((char)('!' + (line * 7 + i) % 90));
        put_char('\n');
    }
    power_off();
}
