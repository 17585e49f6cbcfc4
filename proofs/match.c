/*
 * pmp_match over any 16 ranges. Any one byte is the lowest entry's that holds it. An access of more
 * bytes is the lowest entry's that it touches if that holds all of it, and refused if not.
 */
#include "proofs/ranges.h"

int main(void)
{
    struct pmp_entry entries[PMP_ENTRIES];
    unsigned count = nondet_unsigned();
    uint64_t pa = nondet_u64(), len = nondet_u64();

    any_ranges();
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        entries[i] = (struct pmp_entry){i, nondet_u8()};
    ASSUME(count <= PMP_ENTRIES);
    PROVE(pmp_match(entries, count, pa, 1) == decides(0, count, pa), "a byte's entry decides it");

    ASSUME(len >= 1 && len <= 4096 && pa <= UINT64_MAX - len);
    int match = pmp_match(entries, count, pa, len), expected = PMP_NONE;
    uint64_t end = pa + (len - 1);
    for (unsigned i = 0; i < count && expected == PMP_NONE; i++) {
        if (ranges[i].any && ranges[i].first <= end && ranges[i].last >= pa)
            expected = ranges[i].first <= pa && ranges[i].last >= end ? (int)i : PMP_STRADDLES;
    }
    PROVE(match == expected,
          "the lowest entry that it touches decides an access, and holds it all");
}
