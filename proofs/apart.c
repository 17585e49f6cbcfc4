/*
 * plan_worlds_apart and plan_world_reaches: where they see no way to a byte, there is none. Of
 * plan_may_reach and plan_covered no more is known than reach.c and covered.c show. Two harts with
 * any 16 entries each.
 *
 * A range stands here for whether the byte is in it: all of memory if so, else an empty one.
 * Neither function looks into a range; they hand it on.
 */
#include "proofs/proof.h"

#include "vmm/plan_check.h"

static struct plan_world a, b;
static int decider_a, decider_b; /* of the byte; PMP_NONE: no entry */
static _Bool in_window;
#ifdef REACHES
static struct plan_range range;
#endif

static _Bool holds(uint64_t first, uint64_t last)
{
#ifdef REACHES
    return first == range.base && last == range.base + (range.size - 1);
#else
    return first == 0 && last == UINT64_MAX;
#endif
}

/* As reach.c shows it. */
bool plan_may_reach(const struct pmp_entry *entries, unsigned i, uint64_t *first, uint64_t *last)
{
    int decider = entries == a.entries ? decider_a : decider_b;
    _Bool must = holds(*first, *last) && decider == (int)i && (entries[i].cfg & RWX) != 0;
    _Bool inside = must || nondet_bool(), answer = must || nondet_bool();
    *first = inside ? 0 : 1;
    *last = inside ? UINT64_MAX : 0;
    return answer;
}

/* As covered.c shows it. */
bool plan_covered(const struct plan_range *ranges, unsigned count, uint64_t first, uint64_t last)
{
    (void)ranges, (void)count;
    return (!holds(first, last) || in_window) && nondet_bool();
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
    decider_a = any_world(&a);
    decider_b = any_world(&b);
    in_window = nondet_bool();
#ifdef REACHES
    range = (struct plan_range){nondet_u64(), nondet_u64()};
    ASSUME(range.size != 0); /* the byte is in it */
    if (!plan_world_reaches(&a, range))
        PROVE(!reachable(&a, decider_a), "what is said to be out of reach is");
#else
    if (plan_worlds_apart(&a, &b, NULL, 0))
        PROVE(in_window || !reachable(&a, decider_a) || !reachable(&b, decider_b),
              "no byte is reached by both but in a window");
#endif
}
