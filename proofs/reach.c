/*
 * plan_may_reach over any 16 ranges: whichever entry decides about a byte, with some right, is said
 * to reach it.
 */
#include "proofs/ranges.h"

#include "vmm/plan_check.h"

int main(void)
{
    struct pmp_entry entries[PMP_ENTRIES];
    uint64_t byte = nondet_u64(), before = nondet_u64(), behind = nondet_u64();

    any_ranges();
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        entries[i] = (struct pmp_entry){i, nondet_u8()};
    ASSUME(before <= byte && byte <= behind); /* whatever is asked for, if the byte is in it */
    int decider = decides(0, PMP_ENTRIES, byte);
    for (int i = 0; i < PMP_ENTRIES; i++) {
        uint64_t first = before, last = behind;
        if (decider != i || (entries[i].cfg & RWX) == 0)
            continue;
        PROVE(plan_may_reach(entries, (unsigned)i, &first, &last), "it is reached");
        PROVE(first <= byte && byte <= last, "it is in what is left");
    }
}
