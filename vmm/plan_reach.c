/* What the entries of one hart let through. proofs/ shows of each function what its header says. */
#include "vmm/plan_check.h"

bool plan_may_reach(const struct pmp_entry *entries, unsigned i, uint64_t *first, uint64_t *last)
{
    uint64_t low, high;
    if ((entries[i].cfg & (PMP_R | PMP_W | PMP_X)) == 0 ||
        !pmp_entry_range(entries[i].cfg, entries[i].addr, i > 0 ? entries[i - 1].addr : 0, &low,
                         &high))
        return false;
    if (low > *first)
        *first = low;
    if (high < *last)
        *last = high;
    if (*first > *last)
        return false;
    for (unsigned j = 0; j < i; j++) {
        if ((entries[j].cfg & (PMP_R | PMP_W | PMP_X)) == 0 &&
            pmp_entry_range(entries[j].cfg, entries[j].addr, j > 0 ? entries[j - 1].addr : 0, &low,
                            &high) &&
            low <= *first && high >= *last)
            return false;
    }
    return true;
}

bool plan_covered(const struct plan_range *ranges, unsigned count, uint64_t first, uint64_t last)
{
    for (unsigned step = 0; step < count; step++) {
        for (unsigned i = 0; i < count; i++) {
            if (ranges[i].size == 0 || first < ranges[i].base ||
                first - ranges[i].base >= ranges[i].size)
                continue;
            if (last - ranges[i].base < ranges[i].size)
                return true;
            first = ranges[i].base + ranges[i].size;
        }
    }
    return false;
}
