#include "type1/policy.h"

#include <stddef.h>

void policy_account(struct policy_entity *entity, uint64_t ns)
{
    entity->vruntime += ns * POLICY_WEIGHT_UNIT / entity->weight;
    if (entity->budget != 0)
        entity->used_ns += ns;
}

uint64_t policy_allowance(struct policy_entity *entity, uint64_t now_ns)
{
    uint64_t budget_ns = POLICY_PERIOD_NS / 100 * entity->budget;
    if (entity->budget == 0)
        return UINT64_MAX;
    if (now_ns >= entity->period_end_ns) {
        uint64_t periods = (now_ns - entity->period_end_ns) / POLICY_PERIOD_NS + 1;
        uint64_t refill = periods * budget_ns; /* at most the time since the start */
        entity->used_ns = entity->used_ns > refill ? entity->used_ns - refill : 0;
        entity->period_end_ns += periods * POLICY_PERIOD_NS;
    }
    return entity->used_ns < budget_ns ? budget_ns - entity->used_ns : 0;
}

void policy_join(struct policy_entity *entity, uint64_t now, uint64_t slice_ns)
{
    uint64_t least = now > slice_ns ? now - slice_ns : 0;
    if (entity->vruntime < least)
        entity->vruntime = least;
}

/* What being at home on the hart is worth. */
static uint64_t rank(const struct policy_entity *entity, unsigned hart, uint64_t slice_ns)
{
    return entity->vruntime + (entity->last_hart == hart ? 0 : slice_ns);
}

bool policy_before(const struct policy_entity *a, const struct policy_entity *b, unsigned hart,
                   uint64_t slice_ns)
{
    if ((a->harts >> hart & 1) == 0)
        return false;
    return b == NULL || rank(a, hart, slice_ns) < rank(b, hart, slice_ns);
}
