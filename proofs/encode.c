/*
 * pmp_put: the entries that it appends behind any others match exactly its range, with its rights,
 * and the others stay. So, by induction, whatever regions fit into 16 entries are said exactly:
 * the ranges of the entries are the regions, in their order. (match.c: what that means for an
 * access.)
 */
#include "proofs/proof.h"

int main(void)
{
    struct pmp_entry entries[PMP_ENTRIES], before[PMP_ENTRIES];
    unsigned count = nondet_unsigned(), room = nondet_unsigned();
    ASSUME(count <= room && room <= PMP_ENTRIES);
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        before[i] = entries[i] = any_entry();

    uint64_t base = nondet_u64(), size = nondet_u64(), first, last;
    uint8_t rights = nondet_u8();
    ASSUME(base % 4 == 0 && size % 4 == 0 && size > 0); /* the least grain; others are multiples */
    ASSUME(size <= 1ULL << PMP_PA_BITS && base <= (1ULL << PMP_PA_BITS) - size);
    ASSUME(rights <= RWX);
    unsigned old = count;
    int error = pmp_put(entries, &count, room, base, size, rights);

    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        PROVE((i >= old && i < count) ||
                  (entries[i].addr == before[i].addr && entries[i].cfg == before[i].cfg),
              "other entries stay");
    if (error != 0) {
        PROVE(count == old && (room - count < 2 || base + size == 1ULL << PMP_PA_BITS),
              "refused only without room");
        return 0;
    }
    PROVE(count > old && count <= room && count - old <= pmp_cost(base, size),
          "it takes no more than it costs");
    unsigned top = count - 1;
    uint64_t below = top > 0 ? entries[top - 1].addr : 0;
    PROVE(pmp_entry_range(entries[top].cfg, entries[top].addr, below, &first, &last) &&
              first == base && last == base + (size - 1),
          "the last entry matches the range and nothing else");
    PROVE((entries[top].cfg & ~PMP_A) == rights, "with its rights, and not locked");
    PROVE(entries[top].addr < ADDR_END, "CSRs can hold it");
    if (top > old)
        PROVE(!pmp_entry_range(entries[old].cfg, entries[old].addr, 0, &first, &last) &&
                  entries[old].addr < ADDR_END,
              "the entry before it only says where it begins");
}
