/*
 * plan_may_reach over any 16 ranges: if entry WHICH decides about a byte, with some right, it is
 * said to reach it. (run.sh: for each of the 16; the solver is faster with one at a time.)
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
    if (decides(0, PMP_ENTRIES, byte) != WHICH || (entries[WHICH].cfg & RWX) == 0)
        return 0;
    PROVE(plan_may_reach(entries, WHICH, &before, &behind), "it is reached");
    PROVE(before <= byte && byte <= behind, "it is in what is left");
}
