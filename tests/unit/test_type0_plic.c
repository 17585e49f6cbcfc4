/* The PLIC as a partition of type 0 sees it (type0/plic.h). The registers are an array. */
#include "type0/plic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 0x600000u

struct fixture {
    uint32_t *registers;
    uint32_t lines[PLIC_WORDS];
    struct plic_context contexts[2];
    struct plic_view view;
};

/* Lines 5 and 40, contexts 1 (its own) and 3 (shared with others, and not its turn). */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->registers = calloc(1, SIZE);
    f->lines[0] = 1u << 5;
    f->lines[1] = 1u << 8;
    f->contexts[0] = (struct plic_context){.number = 1, .live = true};
    f->contexts[1] = (struct plic_context){.number = 3, .shared = true};
    f->view = (struct plic_view){.registers = f->registers,
                                 .size = SIZE,
                                 .lines = f->lines,
                                 .contexts = f->contexts,
                                 .count = 2};
    host_lock_init(&f->view.lock);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    free(f->registers);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint64_t offset, uint32_t value)
{
    assert_int_equal(plic_view_bus_ops.write(&f->view, offset, 4, value), 0);
}

static uint32_t get(struct fixture *f, uint64_t offset)
{
    uint64_t value = 0;
    assert_int_equal(plic_view_bus_ops.read(&f->view, offset, 4, &value), 0);
    return (uint32_t)value;
}

static void priorities_of_foreign_lines_cannot_be_seen_or_changed(void **state)
{
    struct fixture *f = *state;
    f->registers[6] = 7;
    put(f, 4 * 5, 3);
    put(f, 4 * 6, 1);
    assert_int_equal(f->registers[5], 3);
    assert_int_equal(f->registers[6], 7);
    assert_int_equal(get(f, 4 * 5), 3);
    assert_int_equal(get(f, 4 * 6), 0);
}

static void pending_shows_own_lines_alone(void **state)
{
    struct fixture *f = *state;
    f->registers[0x1000 / 4] = 0xffffffff;
    f->registers[0x1004 / 4] = 0xffffffff;
    assert_int_equal(get(f, 0x1000), 1u << 5);
    assert_int_equal(get(f, 0x1004), 1u << 8);
    put(f, 0x1000, 0);
    assert_int_equal(f->registers[0x1000 / 4], 0xffffffff);
}

static void only_own_lines_are_enabled_in_own_contexts(void **state)
{
    struct fixture *f = *state;
    f->registers[0x2100 / 4] = 0x20; /* context 2: somebody else's */
    put(f, 0x2080, 0xffffffff);
    put(f, 0x2084, 0xffffffff);
    put(f, 0x2100, 0);
    assert_int_equal(f->registers[0x2080 / 4], 1u << 5);
    assert_int_equal(f->registers[0x2084 / 4], 1u << 8);
    assert_int_equal(f->registers[0x2100 / 4], 0x20);
    assert_int_equal(get(f, 0x2100), 0);
    assert_int_equal(get(f, 0x2080), 1u << 5);
}

static void a_shared_context_reaches_the_registers_in_its_turn_alone(void **state)
{
    struct fixture *f = *state;
    struct plic_context *shared = &f->contexts[1];
    put(f, 0x2180, 0xffffffff);
    put(f, 0x203000, 4);
    assert_int_equal(f->registers[0x2180 / 4], 0);
    assert_int_equal(f->registers[0x203000 / 4], 0);
    assert_int_equal(get(f, 0x2180), 1u << 5);
    assert_int_equal(get(f, 0x203000), 4);

    plic_context_enter(&f->view, shared);
    assert_int_equal(f->registers[0x2180 / 4], 1u << 5);
    assert_int_equal(f->registers[0x203000 / 4], 4);
    put(f, 0x2180, 0);
    assert_int_equal(f->registers[0x2180 / 4], 0);
    put(f, 0x2180, 1u << 5);

    plic_context_leave(&f->view, shared);
    assert_int_equal(f->registers[0x2180 / 4], 0);
    assert_int_equal(get(f, 0x2180), 1u << 5);
}

static void claims_are_the_context_s_own(void **state)
{
    struct fixture *f = *state;
    f->registers[0x201004 / 4] = 5; /* context 1 would claim line 5 */
    f->registers[0x202004 / 4] = 9; /* context 2 is foreign */
    f->registers[0x203004 / 4] = 6; /* context 3 is not in its turn */
    assert_int_equal(get(f, 0x201004), 5);
    assert_int_equal(get(f, 0x202004), 0);
    assert_int_equal(get(f, 0x203004), 0);
    put(f, 0x201004, 6); /* completes a foreign line */
    assert_int_equal(f->registers[0x201004 / 4], 5);
    put(f, 0x201004, 40);
    assert_int_equal(f->registers[0x201004 / 4], 40);
}

static void what_is_pending_for_a_context_is_what_it_has_enabled(void **state)
{
    struct fixture *f = *state;
    put(f, 0x2184, 1u << 8);
    f->registers[0x1000 / 4] = 1u << 5;
    assert_false(plic_context_pending(&f->view, &f->contexts[1]));
    f->registers[0x1004 / 4] = 1u << 8;
    assert_true(plic_context_pending(&f->view, &f->contexts[1]));
}

static void a_partition_that_is_down_gets_no_interrupts_and_others_keep_theirs(void **state)
{
    struct fixture *f = *state;
    f->registers[6] = 7;
    f->registers[0x2100 / 4] = 0x40;
    put(f, 4 * 5, 3);
    put(f, 0x2080, 1u << 5);
    plic_view_quiesce(&f->view);
    assert_int_equal(f->registers[5], 0);
    assert_int_equal(f->registers[0x2080 / 4], 0);
    assert_int_equal(get(f, 0x2080), 0);
    assert_int_equal(f->registers[6], 7);
    assert_int_equal(f->registers[0x2100 / 4], 0x40);
    assert_int_equal(f->registers[0x201004 / 4], 40); /* the last one that was completed */
}

static void lines_in_service_are_completed_in_the_next_turn_of_a_shared_context(void **state)
{
    struct fixture *f = *state;
    f->contexts[0] = f->contexts[1];
    f->view.count = 1;
    f->registers[0x2180 / 4] = 0x40; /* it is another partition's turn */
    plic_view_quiesce(&f->view);
    assert_int_equal(f->registers[0x2180 / 4], 0x40);
    assert_int_equal(f->registers[0x203004 / 4], 0);
    plic_context_enter(&f->view, &f->contexts[0]);
    assert_int_equal(f->registers[0x203004 / 4], 40);
    assert_int_equal(f->registers[0x2180 / 4], 0);
}

static void accesses_behind_the_end_are_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t value;
    assert_int_not_equal(plic_view_bus_ops.read(&f->view, SIZE, 4, &value), 0);
    assert_int_not_equal(plic_view_bus_ops.write(&f->view, SIZE, 4, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(priorities_of_foreign_lines_cannot_be_seen_or_changed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(pending_shows_own_lines_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(only_own_lines_are_enabled_in_own_contexts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_shared_context_reaches_the_registers_in_its_turn_alone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(claims_are_the_context_s_own, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_pending_for_a_context_is_what_it_has_enabled, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_partition_that_is_down_gets_no_interrupts_and_others_keep_theirs, setup, teardown),
        cmocka_unit_test_setup_teardown(
            lines_in_service_are_completed_in_the_next_turn_of_a_shared_context, setup, teardown),
        cmocka_unit_test_setup_teardown(accesses_behind_the_end_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
