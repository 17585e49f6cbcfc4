/* Stacks of type 1: each is mapped, and what lies below it is not. */
#include "type1/stacks.h"

#include "core/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAGE 4096ULL
#define MANY 200 /* more than a leaf table of 2 MiB holds */

static struct gstage table;
static unsigned fences;
static uint64_t tops[MANY];

static void *pages(size_t size)
{
    return host_alloc(size, PAGE);
}

static void count_fence(void)
{
    fences++;
}

static int setup(void **state)
{
    (void)state;
    fences = 0;
    assert_int_equal(gstage_init(&table, 3, 9), 0);
    stacks_init(&table, pages, count_fence);
    for (unsigned i = 0; i < MANY; i++) {
        tops[i] = (uint64_t)(uintptr_t)stack_alloc();
        assert_int_not_equal(tops[i], 0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gstage_fini(&table);
    return 0;
}

/* The leaf of a virtual address: tables are indexed by its low 39 bits (Sv39, 10.4.1). */
static uint64_t leaf(uint64_t address)
{
    uint64_t size = 0, pte = gstage_find(&table, address & ((1ULL << 39) - 1), &size);
    assert_true(pte == 0 || size == PAGE);
    return pte;
}

static void each_stack_is_mapped_above_a_hole_of_its_size(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        /* Canonical: bits 63 to 38 are the same (Sv39, 10.4.1). */
        assert_int_equal((int64_t)tops[i] >> 38, -1);
        assert_int_equal(tops[i] % 16, 0);
        for (uint64_t at = PAGE; at <= STACK_SIZE; at += PAGE) {
            /* Readable and writable by the hypervisor alone, and no code. */
            assert_int_equal(leaf(tops[i] - at) & 0xff,
                             PTE_V | PTE_R | PTE_W | PTE_A | PTE_D | PTE_G);
            assert_false(stack_below(tops[i] - at));
        }
        for (uint64_t at = STACK_SIZE + PAGE; at <= 2 * STACK_SIZE; at += PAGE) {
            assert_int_equal(leaf(tops[i] - at), 0);
            assert_true(stack_below(tops[i] - at));
        }
    }
    assert_false(stack_below(0x80200000));
    assert_false(stack_below(STACKS_BASE - 1));
}

static void no_page_belongs_to_two_stacks(void **state)
{
    static uint64_t seen[MANY * (STACK_SIZE / PAGE)];
    size_t count = 0;
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        for (uint64_t at = PAGE; at <= STACK_SIZE; at += PAGE) {
            uint64_t page = leaf(tops[i] - at) >> 10;
            for (size_t n = 0; n < count; n++)
                assert_int_not_equal(seen[n], page);
            seen[count++] = page;
        }
    }
}

static void harts_are_told_of_new_stacks_and_old_ones_are_used_again(void **state)
{
    (void)state;
    assert_int_equal(fences, MANY);
    stack_free((void *)(uintptr_t)tops[77]);
    stack_free((void *)(uintptr_t)tops[3]);
    uint64_t a = (uint64_t)(uintptr_t)stack_alloc(), b = (uint64_t)(uintptr_t)stack_alloc();
    assert_true((a == tops[3] && b == tops[77]) || (a == tops[77] && b == tops[3]));
    assert_int_equal(fences, MANY);
    assert_int_equal(table.leaves[0], MANY * (STACK_SIZE / PAGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_stack_is_mapped_above_a_hole_of_its_size, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_page_belongs_to_two_stacks, setup, teardown),
        cmocka_unit_test_setup_teardown(harts_are_told_of_new_stacks_and_old_ones_are_used_again,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
