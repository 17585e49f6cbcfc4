#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/memory.h"

#include <string.h>

#define PAGES 8

static uint8_t ram[PAGES * 4096] __attribute__((aligned(4096)));
static _Atomic uint8_t flags[PAGES];

struct told {
    unsigned count;
    uint64_t gpa[4], len[4];
};

static void remember(void *arg, uint64_t gpa, uint64_t len)
{
    struct told *told = arg;
    told->gpa[told->count] = gpa;
    told->len[told->count++] = len;
}

/* RAM of 8 pages at 0x80000000. */
static struct memory memory_with_ram(struct told *told)
{
    struct memory mem;
    mem_init(&mem);
    memset(ram, 0, sizeof(ram));
    for (unsigned i = 0; i < PAGES; i++)
        flags[i] = 0;
    *told = (struct told){0};
    mem.code_changed = remember;
    mem.code_changed_arg = told;
    assert_int_equal(mem_slot_add(&mem, 0x80000000, sizeof(ram), ram, flags), 0);
    return mem;
}

static void map_stays_inside_one_slot(void **state)
{
    (void)state;
    struct told told;
    struct memory mem = memory_with_ram(&told);
    assert_ptr_equal(mem_map(&mem, 0x80000000, sizeof(ram), false), ram);
    assert_ptr_equal(mem_map(&mem, 0x80007fff, 1, true), ram + 0x7fff);
    assert_ptr_equal(mem_map(&mem, 0x80001000, 0, true), ram + 0x1000);
    assert_null(mem_map(&mem, 0x7fffffff, 1, false));
    assert_null(mem_map(&mem, 0x7fffffff, 2, false));
    assert_null(mem_map(&mem, 0x80007fff, 2, false));
    assert_null(mem_map(&mem, 0x80008000, 1, false));
    assert_null(mem_map(&mem, 0x80000000, UINT64_MAX, false));
    assert_null(mem_map(&mem, 0x80000001, UINT64_MAX - 0x80000000, false));
    assert_null(mem_map(&mem, UINT64_MAX, 1, false));
    assert_null(mem_map(&mem, UINT64_MAX, UINT64_MAX, false));
}

static void slots_are_sorted_and_do_not_overlap(void **state)
{
    (void)state;
    struct memory mem;
    mem_init(&mem);
    assert_int_equal(mem_slot_add(&mem, 0x3000, 0x2000, ram, flags), 0);
    assert_int_equal(mem_slot_add(&mem, 0x4000, 0x1000, ram, flags), -E_EXIST);
    assert_int_equal(mem_slot_add(&mem, 0x2000, 0x2000, ram, flags), -E_EXIST);
    assert_int_equal(mem_slot_add(&mem, 0x1000, 0x8000, ram, flags), -E_EXIST);
    assert_int_equal(mem_slot_add(&mem, 0x1000, 0x2000, ram, flags), 0);
    assert_int_equal(mem_slot_add(&mem, 0x5000, 0x1000, ram, flags), 0);
    assert_int_equal(mem.slots[0].gpa, 0x1000);
    assert_int_equal(mem.slots[1].gpa, 0x3000);
    assert_int_equal(mem.slots[2].gpa, 0x5000);
    assert_int_equal(mem_total(&mem), 0x5000);
    /* Neighbours, but no range may cross from one into the other. */
    assert_null(mem_map(&mem, 0x4fff, 2, false));
}

static void slot_of_a_wrong_shape_is_refused(void **state)
{
    (void)state;
    struct memory mem;
    mem_init(&mem);
    assert_int_equal(mem_slot_add(&mem, 0x1001, 0x1000, ram, flags), -E_INVAL);
    assert_int_equal(mem_slot_add(&mem, 0x1000, 0x1800, ram, flags), -E_INVAL);
    assert_int_equal(mem_slot_add(&mem, 0x1000, 0, ram, flags), -E_INVAL);
    assert_int_equal(mem_slot_add(&mem, UINT64_MAX - 0xfff, 0x2000, ram, flags), -E_INVAL);
    for (unsigned i = 0; i < MEM_SLOTS_MAX; i++)
        assert_int_equal(mem_slot_add(&mem, i * 0x1000, 0x1000, ram, flags), 0);
    assert_int_equal(mem_slot_add(&mem, 0x100000, 0x1000, ram, flags), -E_NOSPC);
}

static void readonly_slot_refuses_writers(void **state)
{
    (void)state;
    struct told told;
    struct memory mem = memory_with_ram(&told);
    mem.slots[0].readonly = true;
    uint32_t word = 1;
    assert_int_equal(mem_write(&mem, 0x80000000, &word, 4), -E_FAULT);
    assert_int_equal(mem_read(&mem, 0x80000000, &word, 4), 0);
    assert_int_equal(word, 0);
}

static void copy_across_the_end_copies_nothing(void **state)
{
    (void)state;
    struct told told;
    struct memory mem = memory_with_ram(&told);
    uint64_t word = 0x1122334455667788;
    assert_int_equal(mem_write(&mem, 0x80007ffc, &word, 8), -E_FAULT);
    assert_int_equal(ram[0x7ffc], 0);
    assert_int_equal(mem_write(&mem, 0x80007ff8, &word, 8), 0);
    uint64_t back = 0;
    assert_int_equal(mem_read(&mem, 0x80007ff8, &back, 8), 0);
    assert_true(back == word);
}

static void writers_mark_pages_dirty_while_logging(void **state)
{
    (void)state;
    struct told told;
    struct memory mem = memory_with_ram(&told);
    mem_done(&mem, 0x80000000, 1);
    assert_int_equal(flags[0], 0);
    mem_dirty_log(&mem, true);
    mem_done(&mem, 0x80001fff, 2);
    mem_done(&mem, 0x80004000, 0);
    assert_int_equal(flags[0], 0);
    assert_int_equal(flags[1], MEM_PAGE_DIRTY);
    assert_int_equal(flags[2], MEM_PAGE_DIRTY);
    assert_int_equal(flags[3], 0);
    assert_int_equal(flags[4], 0);
    mem_dirty_log(&mem, true);
    assert_int_equal(flags[1], 0);
}

static void engines_hear_of_writes_to_code_pages_only(void **state)
{
    (void)state;
    struct told told;
    struct memory mem = memory_with_ram(&told);
    flags[1] = MEM_PAGE_CODE;
    flags[2] = MEM_PAGE_CODE;
    flags[4] = MEM_PAGE_CODE;
    mem_done(&mem, 0x80000000, 4096);
    assert_int_equal(told.count, 0);
    mem_done(&mem, 0x80000ff0, 0x3020);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.gpa[0], 0x80001000);
    assert_int_equal(told.len[0], 0x2000);
    assert_int_equal(told.gpa[1], 0x80004000);
    assert_int_equal(told.len[1], 0x10);
    mem_done(&mem, 0x80001004, 8);
    assert_int_equal(told.count, 3);
    assert_int_equal(told.gpa[2], 0x80001004);
    assert_int_equal(told.len[2], 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_stays_inside_one_slot),
        cmocka_unit_test(slots_are_sorted_and_do_not_overlap),
        cmocka_unit_test(slot_of_a_wrong_shape_is_refused),
        cmocka_unit_test(readonly_slot_refuses_writers),
        cmocka_unit_test(copy_across_the_end_copies_nothing),
        cmocka_unit_test(writers_mark_pages_dirty_while_logging),
        cmocka_unit_test(engines_hear_of_writes_to_code_pages_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
