/* What one entry matches. By itself, so that proofs can put something else in its place. */
#include "riscv/pmp.h"

#define ADDR_MASK ((1ULL << (PMP_PA_BITS - 2)) - 1)

bool pmp_entry_range(uint8_t cfg, uint64_t addr, uint64_t below, uint64_t *first, uint64_t *last)
{
    addr &= ADDR_MASK;
    below &= ADDR_MASK;
    switch (cfg & PMP_A) {
    case PMP_A_OFF: return false;
    case PMP_A_TOR: /* an empty range matches nothing */
        if (below >= addr)
            return false;
        *first = below << 2;
        *last = (addr << 2) - 1;
        return true;
    case PMP_A_NA4:
        *first = addr << 2;
        *last = *first + 3;
        return true;
    default: { /* NAPOT: ones from bit 0 up, then a zero, say the size */
        uint64_t ones = addr ^ (addr + 1); /* trailing ones and the zero above them */
        *first = (addr & ~ones) << 2;
        *last = *first + (ones << 2 | 3);
        return true;
    }
    }
}
