/* pmp_entry_range says of any entry and any byte what the standard says. */
#include "proofs/proof.h"

int main(void)
{
    struct pmp_entry entry = any_entry();
    uint64_t below = nondet_u64(), byte = nondet_u64(), first, last;
    ASSUME(below < ADDR_END);
    _Bool any = pmp_entry_range(entry.cfg, entry.addr, below, &first, &last);
    if (any)
        PROVE(first <= last, "a range has bytes");
    PROVE((any && first <= byte && byte <= last) == spec_matches(entry, below, byte),
          "the decoder says what the standard says");
}
