/* Sharing of harts by weighted virtual time, in a simulation of one or two harts. */
#include "type1/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SLICE 5000000ULL

static const struct policy_entity fresh = {.weight = 100, .harts = UINT64_MAX, .last_hart = 99};

static int pick(const struct policy_entity *entities, unsigned count, unsigned hart, int taken)
{
    int best = -1;
    for (unsigned i = 0; i < count; i++) {
        if ((int)i != taken &&
            policy_before(&entities[i], best >= 0 ? &entities[best] : NULL, hart, SLICE))
            best = (int)i;
    }
    return best;
}

static void time_is_shared_by_weight(void **state)
{
    (void)state;
    struct policy_entity entities[3] = {fresh, fresh, fresh};
    uint64_t ran[3] = {0};
    entities[1].weight = 200;
    entities[2].weight = 50;
    for (unsigned i = 0; i < 7000; i++) {
        int next = pick(entities, 3, 0, -1);
        entities[next].last_hart = 0;
        policy_account(&entities[next], SLICE);
        ran[next] += SLICE;
    }
    /* 100 : 200 : 50 of 7000 turns. */
    assert_in_range(ran[0] / SLICE, 1990, 2010);
    assert_in_range(ran[1] / SLICE, 3990, 4010);
    assert_in_range(ran[2] / SLICE, 990, 1010);
}

static void nobody_waits_longer_than_the_others_turns(void **state)
{
    (void)state;
    struct policy_entity entities[5] = {fresh, fresh, fresh, fresh, fresh};
    unsigned waited[5] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        int next = pick(entities, 5, 0, -1);
        for (int j = 0; j < 5; j++)
            waited[j] = j == next ? 0 : waited[j] + 1;
        for (int j = 0; j < 5; j++)
            assert_true(waited[j] <= 10);
        entities[next].last_hart = 0;
        policy_account(&entities[next], SLICE);
    }
}

static void a_sleeper_comes_soon_but_has_saved_nothing(void **state)
{
    (void)state;
    struct policy_entity sleeper = fresh, worker = fresh;
    worker.vruntime = 1000 * SLICE;
    policy_join(&sleeper, worker.vruntime, SLICE);
    assert_true(policy_before(&sleeper, &worker, 0, 0));
    policy_account(&sleeper, 2 * SLICE);
    assert_false(policy_before(&sleeper, &worker, 0, 0));
    /* One that had more than its share keeps that. */
    sleeper.vruntime = 5000 * SLICE;
    policy_join(&sleeper, worker.vruntime, SLICE);
    assert_int_equal(sleeper.vruntime, 5000 * SLICE);
}

static void a_pinned_entity_runs_only_on_its_harts(void **state)
{
    (void)state;
    struct policy_entity pinned = fresh;
    pinned.harts = 2;
    assert_false(policy_before(&pinned, NULL, 0, SLICE));
    assert_true(policy_before(&pinned, NULL, 1, SLICE));
}

static void the_one_at_home_is_preferred_by_no_more_than_a_slice(void **state)
{
    (void)state;
    struct policy_entity home = fresh, stranger = fresh;
    home.last_hart = 0;
    home.vruntime = SLICE - 1;
    assert_true(policy_before(&home, &stranger, 0, SLICE));
    home.vruntime = SLICE + 1;
    assert_false(policy_before(&home, &stranger, 0, SLICE));
    assert_true(policy_before(&stranger, &home, 0, SLICE));
}

static void a_budget_is_what_it_gets_of_a_free_hart(void **state)
{
    (void)state;
    struct policy_entity entity = fresh;
    uint64_t now = 123456789, end = now + 100 * POLICY_PERIOD_NS, ran = 0;
    entity.budget = 30;
    while (now < end) {
        uint64_t allowance = policy_allowance(&entity, now);
        if (allowance == 0) {
            assert_in_range(entity.period_end_ns, now + 1, now + POLICY_PERIOD_NS);
            now = entity.period_end_ns;
            continue;
        }
        uint64_t step = allowance < SLICE ? allowance : SLICE;
        policy_account(&entity, step);
        ran += step;
        now += step;
    }
    /* A period may have been cut at each end. */
    assert_in_range(ran, 29 * POLICY_PERIOD_NS, 31 * POLICY_PERIOD_NS);
}

static void what_was_had_beyond_the_budget_is_taken_from_the_next_periods(void **state)
{
    (void)state;
    struct policy_entity entity = fresh;
    entity.budget = 10;
    assert_int_equal(policy_allowance(&entity, 0), POLICY_PERIOD_NS / 10);
    policy_account(&entity, POLICY_PERIOD_NS / 4);
    assert_int_equal(policy_allowance(&entity, POLICY_PERIOD_NS / 4), 0);
    assert_int_equal(policy_allowance(&entity, POLICY_PERIOD_NS), 0);
    assert_int_equal(policy_allowance(&entity, 2 * POLICY_PERIOD_NS), POLICY_PERIOD_NS / 20);
    /* A long sleep saves nothing up. */
    assert_int_equal(policy_allowance(&entity, 1000 * POLICY_PERIOD_NS), POLICY_PERIOD_NS / 10);
    entity.budget = 0;
    assert_true(policy_allowance(&entity, 0) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_shared_by_weight),
        cmocka_unit_test(nobody_waits_longer_than_the_others_turns),
        cmocka_unit_test(a_sleeper_comes_soon_but_has_saved_nothing),
        cmocka_unit_test(a_pinned_entity_runs_only_on_its_harts),
        cmocka_unit_test(the_one_at_home_is_preferred_by_no_more_than_a_slice),
        cmocka_unit_test(a_budget_is_what_it_gets_of_a_free_hart),
        cmocka_unit_test(what_was_had_beyond_the_budget_is_taken_from_the_next_periods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
