/* What the proofs share: values of which nothing is known, and PMP as the standard says it. */
#ifndef PROOFS_PROOF_H
#define PROOFS_PROOF_H

#include "riscv/pmp.h"

#include <stddef.h>

uint64_t nondet_u64(void);
uint8_t nondet_u8(void);
unsigned nondet_unsigned(void);
_Bool nondet_bool(void);

#define ASSUME(truth)       __CPROVER_assume(truth)
#define PROVE(truth, words) __CPROVER_assert(truth, words)

#define RWX      (PMP_R | PMP_W | PMP_X)
#define ADDR_END (1ULL << (PMP_PA_BITS - 2))

/* Any entry that CSRs can hold. */
static inline struct pmp_entry any_entry(void)
{
    struct pmp_entry entry = {nondet_u64(), nondet_u8()};
    ASSUME(entry.addr < ADDR_END);
    return entry;
}

/*
 * Whether an entry matches a byte, from the text of 3.7.1 and not from our decoder: TOR "matches
 * any address y such that pmpaddr(i-1) <= y < pmpaddr(i)"; in NAPOT the ones at the end and the
 * zero above them do not take part in the comparison.
 */
static inline _Bool spec_matches(struct pmp_entry entry, uint64_t below, uint64_t byte)
{
    uint64_t y = byte >> 2;
    switch (entry.cfg & PMP_A) {
    case PMP_A_OFF: return 0;
    case PMP_A_TOR: return below <= y && y < entry.addr;
    case PMP_A_NA4: return y == entry.addr;
    default: return (y | (entry.addr ^ (entry.addr + 1))) == (entry.addr | (entry.addr + 1));
    }
}

/* The entry that decides about one byte (the lowest that matches it), or PMP_NONE. */
static inline int spec_decides(const struct pmp_entry *entries, unsigned count, uint64_t byte)
{
    for (unsigned i = 0; i < count; i++) {
        if (spec_matches(entries[i], i > 0 ? entries[i - 1].addr : 0, byte))
            return (int)i;
    }
    return PMP_NONE;
}

#endif
