/*
 * Who runs next: weighted fair sharing by virtual time. Knows no harts and no time of its own.
 *
 * An entity's virtual time grows with the time it has run, divided by its weight; the one with the
 * least is next. One that slept joins at the present virtual time, less one slice, so that it is
 * served soon and yet cannot save up.
 *
 * An entity may have a budget: so much of each period, whoever else wants to run or not. What it
 * has had beyond that is taken from the next periods.
 */
#ifndef TYPE1_POLICY_H
#define TYPE1_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_WEIGHT_UNIT 100
#define POLICY_PERIOD_NS   50000000ULL

struct policy_entity {
    uint64_t vruntime;  /* ns of an entity of weight POLICY_WEIGHT_UNIT */
    unsigned weight;    /* 1 to 10000 */
    uint64_t harts;     /* where it may run */
    unsigned last_hart; /* where it ran last */
    unsigned budget;    /* percent of a hart, 1 to 100; 0: none is set */
    uint64_t used_ns;   /* of this period's budget; only with one */
    uint64_t period_end_ns;
};

/* It ran for `ns`. */
void policy_account(struct policy_entity *entity, uint64_t ns);
/*
 * How long it may run from the time `now_ns` on; UINT64_MAX without a budget, 0: not before
 * period_end_ns.
 */
uint64_t policy_allowance(struct policy_entity *entity, uint64_t now_ns);
/* It becomes ready after a sleep; `now` is the virtual time of what runs. */
void policy_join(struct policy_entity *entity, uint64_t now, uint64_t slice_ns);
/*
 * Whether `a` goes before `b` (NULL: nobody yet) on `hart`. At most `slice_ns` behind, the one that
 * ran there last is preferred: its translations are still there.
 */
bool policy_before(const struct policy_entity *a, const struct policy_entity *b, unsigned hart,
                   uint64_t slice_ns);

#endif
