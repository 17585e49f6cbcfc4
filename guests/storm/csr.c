/* storm: every CSR number, read and written in all six ways, and put back at once. */
#include "storm.h"

enum { CSR_SATP = 0x180 };

void storm_csr(struct hart *hart)
{
    uint32_t number = (uint32_t)((hart->origin + hart->walked_csrs++) % 4096);

    registers_fill(hart);
    for (uint32_t funct3 = 1; funct3 < 8; funct3++) {
        if (funct3 == 4)
            continue;
        for (int i = 0; i < 3; i++) {
            uint32_t source = i == 0 ? 0 : funct3 < 4 ? 7 : (uint32_t)random_below(hart, 32);
            uint64_t value = random_number(hart);
            /* Translation by garbage would end it: only Bare and the reserved modes. walk.c does
             * more. */
            if (number == CSR_SATP)
                value &= ~(1UL << 63);
            hart->regs[7] = value;
            hart->user = random_below(hart, 8) == 0;
            /* The old value goes to x6 and is written back before anything can happen. */
            run(hart, number << 20 | source << 15 | funct3 << 12 | 6 << 7 | 0x73,
                number << 20 | 6 << 15 | 1 << 12 | 0x73);
        }
    }
    hart->user = false;
}
