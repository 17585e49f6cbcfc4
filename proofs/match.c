/*
 * pmp_match over any 16 ranges: an access of BYTES is the lowest entry's that it touches if that
 * holds all of it; so a byte is the lowest entry's that holds it, and no entry's if none does. What
 * is said of entry WHICH alone (run.sh: of each; the solver is faster with one at a time).
 */
#include "proofs/ranges.h"

static _Bool touches(unsigned i, uint64_t pa, uint64_t end)
{
    return ranges[i].any && !(end < ranges[i].first) && !(pa > ranges[i].last);
}

int main(void)
{
    struct pmp_entry entries[PMP_ENTRIES];
    unsigned count = nondet_unsigned();
    uint64_t pa = nondet_u64(), len = BYTES;

    any_ranges();
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        entries[i] = (struct pmp_entry){i, nondet_u8()};
    /* pmp_match does no more than compare: small numbers come in every order that large ones do. */
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        ASSUME(ranges[i].last < 256);
    ASSUME(pa < 256);
    ASSUME(count <= PMP_ENTRIES && pa <= UINT64_MAX - len);
    int match = pmp_match(entries, count, pa, len);
    uint64_t end = pa + (len - 1);
    for (unsigned i = 0; i < WHICH; i++) {
        if (i < count && touches(i, pa, end))
            return 0; /* a lower one's: that one's run is about it */
    }
    _Bool touched = WHICH < count && touches(WHICH, pa, end);
    _Bool held = touched && ranges[WHICH].first <= pa && ranges[WHICH].last >= end;
    PROVE(match < 0 || match >= WHICH, "no lower entry decides, for none is touched");
    PROVE(!touched || match == (held ? WHICH : PMP_STRADDLES), "the first that it touches decides");
    PROVE(touched || match != WHICH, "what is not touched does not decide");
    PROVE(!touched || BYTES > 1 || held, "a byte straddles nothing");
}
