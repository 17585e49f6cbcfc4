/* plan_covered: what it calls covered by ranges has no byte outside of them. */
#include "proofs/proof.h"

#include "vmm/plan_check.h"

#define COUNT 2

int main(void)
{
    struct plan_range ranges[COUNT];
    uint64_t first = nondet_u64(), last = nondet_u64(), byte = nondet_u64();
    _Bool inside = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        ranges[i] = (struct plan_range){nondet_u64(), nondet_u64()};
        ASSUME(ranges[i].base < 1ULL << PMP_PA_BITS && ranges[i].size <= 1ULL << PMP_PA_BITS);
        inside |= byte >= ranges[i].base && byte - ranges[i].base < ranges[i].size;
    }
    ASSUME(first <= byte && byte <= last);
    if (plan_covered(ranges, COUNT, first, last))
        PROVE(inside, "every byte is in a range");
}
