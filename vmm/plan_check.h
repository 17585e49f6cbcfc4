/* What plan_check is made of; proofs/ looks at each by itself. */
#ifndef VMM_PLAN_CHECK_H
#define VMM_PLAN_CHECK_H

#include "vmm/plan.h"

/* The PMP of one hart while it runs one partition. */
struct plan_world {
    struct pmp_entry entries[PMP_ENTRIES];
    unsigned count;
};

/*
 * Narrows first..last (inclusive) to what entry i may let through of it; false: nothing. Of a byte
 * that entry i decides, with any right, it never says false, nor leaves it out: a refusal counts
 * only if it comes before and covers all that is left.
 */
bool plan_may_reach(const struct pmp_entry *entries, unsigned i, uint64_t *first, uint64_t *last);
/* Whether first..last consists of bytes of these ranges (none reaches beyond 2^57). */
bool plan_covered(const struct plan_range *ranges, unsigned count, uint64_t first, uint64_t last);
/* Whether an access of S or U may touch a byte of the range. Never false if it may. */
bool plan_world_reaches(const struct plan_world *world, struct plan_range range);
/* Whether no byte can be touched in both but in one of the windows. Never true if one can. */
bool plan_worlds_apart(const struct plan_world *a, const struct plan_world *b,
                       const struct plan_range *windows, unsigned window_count);

#endif
