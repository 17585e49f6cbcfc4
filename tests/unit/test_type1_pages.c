/* The physical page allocator, against a map of which page belongs to whom. */
#include "type1/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)

static struct pages pages;

static void start(uint64_t base, uint64_t size)
{
    memset(&pages, 0, sizeof pages);
    pages_add(&pages, base, size);
}

static void parts_of_pages_at_the_ends_are_left_out(void **state)
{
    (void)state;
    start(0x1001, 0x3000);
    assert_int_equal(pages.total, 0x2000);
    assert_int_equal(pages_alloc(&pages, 0x2000, 0, false), 0x2000);
    assert_int_equal(pages_alloc(&pages, 1, 0, false), 0);
}

static void reserved_ranges_are_never_given_out(void **state)
{
    (void)state;
    start(16 * MIB, 16 * MIB);
    pages_reserve(&pages, 20 * MIB + 1, 100);
    pages_reserve(&pages, 0, 17 * MIB);
    assert_int_equal(pages.total, 15 * MIB - 4096);
    for (uint64_t at; (at = pages_alloc(&pages, 4096, 0, false)) != 0;) {
        assert_true(at >= 17 * MIB && at < 32 * MIB);
        assert_int_not_equal(at, 20 * MIB);
    }
    assert_int_equal(pages.used, pages.total);
}

static void alignment_holds_from_both_ends(void **state)
{
    (void)state;
    start(3 * MIB, 13 * MIB);
    assert_int_equal(pages_alloc(&pages, 2 * MIB, 2 * MIB, false), 4 * MIB);
    assert_int_equal(pages_alloc(&pages, 2 * MIB, 4 * MIB, true), 12 * MIB);
    assert_int_equal(pages_alloc(&pages, 3 * MIB, 4 * MIB, true), 8 * MIB);
    assert_int_equal(pages_alloc(&pages, 4 * MIB, 4 * MIB, true), 0);
}

static void memory_that_comes_back_is_one_piece_again(void **state)
{
    (void)state;
    uint64_t piece[8];
    start(0x100000, 8 * 4096);
    for (unsigned i = 0; i < 8; i++)
        piece[i] = pages_alloc(&pages, 4096, 0, i % 2 == 0);
    static const unsigned order[] = {3, 0, 7, 1, 6, 2, 5, 4};
    for (unsigned i = 0; i < 8; i++)
        pages_free(&pages, piece[order[i]], 4096);
    assert_int_equal(pages.count, 1);
    assert_int_equal(pages_largest(&pages), 8 * 4096);
    assert_int_equal(pages.used, 0);
}

static void memory_that_is_named_twice_is_there_once(void **state)
{
    (void)state;
    start(16 * MIB, 16 * MIB);
    pages_add(&pages, 24 * MIB, 16 * MIB);
    pages_add(&pages, 8 * MIB, 64 * MIB);
    pages_add(&pages, 20 * MIB, MIB);
    assert_int_equal(pages.total, 64 * MIB);
    assert_int_equal(pages.count, 1);
    assert_int_equal(pages_largest(&pages), 64 * MIB);
}

static void sizes_that_wrap_are_refused(void **state)
{
    (void)state;
    start(0x1000, MIB);
    assert_int_equal(pages_alloc(&pages, UINT64_MAX, 0, false), 0);
    assert_int_equal(pages_alloc(&pages, 0, 0, false), 0);
    assert_int_equal(pages_alloc(&pages, 4096, 1ULL << 63, true), 0);
}

/* No page is given out twice or lost, whatever the order. */
static void random_use_matches_a_map_of_pages(void **state)
{
    (void)state;
    enum { PAGES = 2048, HELD = 64 };
    static uint8_t owned[PAGES];
    struct {
        uint64_t base, size;
    } held[HELD] = {0};
    uint64_t base = 64 * MIB;

    srand(1);
    start(base, PAGES * 4096ULL);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned slot = (unsigned)rand() % HELD;
        if (held[slot].base != 0) {
            memset(owned + (held[slot].base - base) / 4096, 0, held[slot].size / 4096);
            pages_free(&pages, held[slot].base, held[slot].size);
            held[slot].base = 0;
            continue;
        }
        uint64_t size = ((uint64_t)rand() % 100 + 1) * 4096, align = 4096ULL << rand() % 6;
        uint64_t at = pages_alloc(&pages, size, align, rand() % 2 != 0);
        if (at == 0)
            continue;
        assert_int_equal(at % align, 0);
        assert_true(at >= base && at + size <= base + PAGES * 4096ULL);
        for (uint64_t i = 0; i < size / 4096; i++)
            assert_int_equal(owned[(at - base) / 4096 + i]++, 0);
        held[slot].base = at;
        held[slot].size = size;
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i].base != 0)
            pages_free(&pages, held[i].base, held[i].size);
    }
    assert_int_equal(pages_largest(&pages), PAGES * 4096ULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_pages_at_the_ends_are_left_out),
        cmocka_unit_test(reserved_ranges_are_never_given_out),
        cmocka_unit_test(alignment_holds_from_both_ends),
        cmocka_unit_test(memory_that_comes_back_is_one_piece_again),
        cmocka_unit_test(memory_that_is_named_twice_is_there_once),
        cmocka_unit_test(sizes_that_wrap_are_refused),
        cmocka_unit_test(random_use_matches_a_map_of_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
