/*
 * plan_worlds_apart and plan_world_reaches: where they see no way to a byte, there is none. Of
 * plan_may_reach and plan_covered no more is known than reach.c and covered.c show. Two harts with
 * any 16 entries each.
 */
#include "proofs/proof.h"

#include "vmm/plan_check.h"

static struct plan_world a, b;
static int decider_a, decider_b; /* of the byte in question; PMP_NONE: no entry */
static uint64_t byte;
static _Bool in_window;

/* As reach.c shows it. */
bool plan_may_reach(const struct pmp_entry *entries, unsigned i, uint64_t *first, uint64_t *last)
{
    int decider = entries == a.entries ? decider_a : decider_b;
    _Bool asked = *first <= byte && byte <= *last, answer = nondet_bool();
    uint64_t low = nondet_u64(), high = nondet_u64();
    if (asked && decider == (int)i && (entries[i].cfg & RWX) != 0)
        ASSUME(answer && low <= byte && byte <= high);
    *first = low;
    *last = high;
    return answer;
}

/* As covered.c shows it. */
bool plan_covered(const struct plan_range *ranges, unsigned count, uint64_t first, uint64_t last)
{
    _Bool answer = nondet_bool();
    (void)ranges, (void)count;
    if (first <= byte && byte <= last && !in_window)
        ASSUME(!answer);
    return answer;
}

static int any_world(struct plan_world *world)
{
    int decider = (int)nondet_unsigned();
    world->count = nondet_unsigned();
    ASSUME(world->count <= PMP_ENTRIES);
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        world->entries[i] = any_entry();
    ASSUME(decider == PMP_NONE || (decider >= 0 && decider < (int)world->count));
    return decider;
}

static _Bool reachable(const struct plan_world *world, int decider)
{
    return decider != PMP_NONE && (world->entries[decider].cfg & RWX) != 0;
}

int main(void)
{
    struct plan_range range = {nondet_u64(), nondet_u64()};
    decider_a = any_world(&a);
    decider_b = any_world(&b);
    byte = nondet_u64();
    in_window = nondet_bool();
    ASSUME(range.size <= 1ULL << PMP_PA_BITS && range.base < 1ULL << PMP_PA_BITS);
    if (range.size != 0 && byte >= range.base && byte <= range.base + (range.size - 1))
        PROVE(plan_world_reaches(&a, range) || !reachable(&a, decider_a),
              "what is said to be out of reach is");
    if (plan_worlds_apart(&a, &b, NULL, 0))
        PROVE(in_window || !reachable(&a, decider_a) || !reachable(&b, decider_b),
              "no byte is reached by both but in a window");
}
