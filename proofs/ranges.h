/*
 * pmp_entry_range with nothing known of what entries match but that it is a range: an entry is a
 * number here, whose range is any. decode.c shows that the real one gives ranges, and the right
 * ones.
 */
#ifndef PROOFS_RANGES_H
#define PROOFS_RANGES_H

#include "proofs/proof.h"

#define RANGES (2 * PMP_ENTRIES)

static struct {
    _Bool any;
    uint64_t first, last;
} ranges[RANGES];

static inline void any_ranges(void)
{
    /* Twice 16, so that no loop of a proof is longer than those of the code. */
    for (unsigned half = 0; half < RANGES; half += PMP_ENTRIES) {
        for (unsigned i = half; i < half + PMP_ENTRIES; i++) {
            ranges[i].any = nondet_bool();
            ranges[i].first = nondet_u64();
            ranges[i].last = nondet_u64();
            ASSUME(ranges[i].first <= ranges[i].last);
        }
    }
}

bool pmp_entry_range(uint8_t cfg, uint64_t addr, uint64_t below, uint64_t *first, uint64_t *last)
{
    (void)cfg, (void)below;
    *first = ranges[addr].first;
    *last = ranges[addr].last;
    return ranges[addr].any;
}

/* Whether entry `number` matches a byte. */
static inline _Bool in_range(unsigned number, uint64_t byte)
{
    return ranges[number].any && !(byte < ranges[number].first) && !(byte > ranges[number].last);
}

/* The lowest of the `count` entries from number `from` on that matches a byte decides (3.7.1). */
static inline int decides(unsigned from, unsigned count, uint64_t byte)
{
    for (unsigned i = 0; i < count; i++) {
        if (in_range(from + i, byte))
            return (int)i;
    }
    return PMP_NONE;
}

#endif
