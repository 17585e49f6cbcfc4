/* G-stage tables: leaves by alignment, refusals, and what a walk by the specification finds. */
#include "core/error.h"
#include "core/host.h"
#include "engine/hext/gstage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/*
 * An independent walk (Privileged ISA 20240411, 10.3.2 with the changes of 15.5.1): the physical
 * address for `va`, or UINT64_MAX; *pte gets the leaf.
 */
static uint64_t walk(const struct gstage *table, uint64_t va, uint64_t *pte)
{
    const uint64_t *page = table->root;
    for (int i = (int)table->levels - 1; i >= 0; i--) {
        unsigned shift = 12 + 9 * (unsigned)i;
        uint64_t mask = i == (int)table->levels - 1 ? (1ULL << table->root_bits) - 1 : 511;
        *pte = page[va >> shift & mask];
        if ((*pte & 1) == 0)
            return UINT64_MAX;
        if ((*pte & 0xe) != 0) {
            uint64_t base = (*pte >> 10) << 12, low = (1ULL << shift) - 1;
            assert_int_equal(base & low, 0); /* a misaligned superpage would fault */
            return base | (va & low);
        }
        assert_int_equal(*pte & 0xd0, 0); /* D, A and U are reserved in pointers */
        page = (const uint64_t *)(uintptr_t)((*pte >> 10) << 12);
    }
    return UINT64_MAX;
}

static void aligned_memory_is_mapped_by_gigabytes(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    assert_int_equal((uintptr_t)table.root % 16384, 0);
    assert_int_equal(gstage_map(&table, 2 * GIB, 5 * GIB, 2 * GIB, GSTAGE_RWX), 0);
    assert_int_equal(table.leaves[2], 2);
    assert_int_equal(table.leaves[1] + table.leaves[0], 0);
    assert_int_equal(table.table_bytes, 16384);
    assert_int_equal(walk(&table, 3 * GIB + 0x12345678, &pte), 6 * GIB + 0x12345678);
    gstage_fini(&table);
}

static void two_megabytes_are_the_leaf_where_either_side_is_not_gigabyte_aligned(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    assert_int_equal(gstage_map(&table, 2 * GIB, 5 * GIB + 2 * MIB, GIB, GSTAGE_RWX), 0);
    assert_int_equal(table.leaves[2], 0);
    assert_int_equal(table.leaves[1], 512);
    assert_int_equal(table.leaves[0], 0);
    for (uint64_t at = 0; at < GIB; at += 7 * MIB)
        assert_int_equal(walk(&table, 2 * GIB + at, &pte), 5 * GIB + 2 * MIB + at);
    gstage_fini(&table);
}

static void the_ends_of_a_range_are_mapped_by_smaller_leaves(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    /* One page below a 2 MiB border, 2 MiB, and one page behind. */
    assert_int_equal(gstage_map(&table, GIB - 4096, 3 * GIB - 4096, 2 * MIB + 8192, GSTAGE_RWX), 0);
    assert_int_equal(table.leaves[1], 1);
    assert_int_equal(table.leaves[0], 2);
    assert_int_equal(walk(&table, GIB - 4096, &pte), 3 * GIB - 4096);
    assert_int_equal(walk(&table, GIB + 2 * MIB, &pte), 3 * GIB + 2 * MIB);
    assert_int_equal(walk(&table, GIB - 8192, &pte), UINT64_MAX);
    assert_int_equal(walk(&table, GIB + 2 * MIB + 4096, &pte), UINT64_MAX);
    gstage_fini(&table);
}

static void every_leaf_has_u_a_and_d_and_read_only_memory_has_no_w(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    assert_int_equal(gstage_map(&table, 0x1000, 0x5000, 0x1000, GSTAGE_RX), 0);
    assert_int_equal(gstage_map(&table, 2 * GIB, 2 * GIB, 2 * MIB, GSTAGE_RWX), 0);
    walk(&table, 0x1000, &pte);
    assert_int_equal(pte & 0xff, 0x5b); /* A U X R V */
    walk(&table, 2 * GIB, &pte);
    assert_int_equal(pte & 0xff, 0xdf); /* D A U X W R V */
    gstage_fini(&table);
}

static void ranges_that_cannot_be_mapped_are_refused(void **state)
{
    (void)state;
    struct gstage table;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    assert_int_equal(gstage_map(&table, 0x800, 0, 0x1000, GSTAGE_RWX), -E_INVAL);
    assert_int_equal(gstage_map(&table, 0, 0x10, 0x1000, GSTAGE_RWX), -E_INVAL);
    assert_int_equal(gstage_map(&table, 0, 0, 0, GSTAGE_RWX), -E_INVAL);
    /* Sv39x4 has 41 bits. */
    assert_int_equal(gstage_map(&table, (1ULL << 41) - 4096, 0, 8192, GSTAGE_RWX), -E_INVAL);
    assert_int_equal(gstage_map(&table, (1ULL << 41) - 4096, 0, 4096, GSTAGE_RWX), 0);
    assert_int_equal(gstage_map(&table, UINT64_MAX - 4095, 0, 4096, GSTAGE_RWX), -E_INVAL);
    assert_int_equal(gstage_map(&table, 2 * MIB, 2 * MIB, 2 * MIB, GSTAGE_RWX), 0);
    assert_int_equal(gstage_map(&table, 2 * MIB + 4096, 0, 4096, GSTAGE_RWX), -E_EXIST);
    assert_int_equal(gstage_map(&table, 2 * MIB, 2 * MIB, 2 * MIB, GSTAGE_RWX), -E_EXIST);
    gstage_fini(&table);
}

static void sv48x4_reaches_what_sv39x4_does_not(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte, size;
    assert_int_equal(gstage_init(&table, 4, 11), 0);
    assert_int_equal(gstage_mode(&table), 9);
    assert_int_equal(gstage_map(&table, 1ULL << 45, 4 * GIB, GIB, GSTAGE_RWX), 0);
    assert_int_equal(walk(&table, (1ULL << 45) + 0x777000, &pte), 4 * GIB + 0x777000);
    assert_int_equal(gstage_find(&table, (1ULL << 45) + 5, &size), pte);
    assert_int_equal(size, GIB);
    assert_int_equal(gstage_find(&table, 0, &size), 0);
    gstage_fini(&table);
}

static void one_page_comes_and_goes_without_more_memory(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    assert_int_equal(gstage_map(&table, 2 * GIB, 4 * GIB, GIB, GSTAGE_RWX), 0);
    assert_int_equal(gstage_page(&table, 0x28001000, 0, 0), 0);
    assert_int_equal(walk(&table, 0x28001000, &pte), UINT64_MAX);
    uint64_t bytes = table.table_bytes;
    assert_int_equal(gstage_page(&table, 0x28001000, 0x30005000, GSTAGE_RX), 0);
    assert_int_equal(walk(&table, 0x28001678, &pte), 0x30005678);
    assert_int_equal(walk(&table, 0x28002000, &pte), UINT64_MAX);
    assert_int_equal(gstage_page(&table, 0x28001000, 0x30009000, GSTAGE_RX), 0);
    assert_int_equal(walk(&table, 0x28001678, &pte), 0x30009678);
    assert_int_equal(gstage_page(&table, 0x28001000, 0, 0), 0);
    assert_int_equal(walk(&table, 0x28001678, &pte), UINT64_MAX);
    assert_int_equal(table.table_bytes, bytes);
    assert_int_equal(gstage_page(&table, 2 * GIB, 0x30009000, GSTAGE_RX), -E_EXIST);
    gstage_fini(&table);
}

static void hidden_leaves_are_not_there_until_they_are_shown(void **state)
{
    (void)state;
    struct gstage table;
    uint64_t pte, base, size;
    assert_int_equal(gstage_init(&table, 3, 11), 0);
    table.leaf_max = 1;
    assert_int_equal(gstage_map(&table, 2 * GIB, 4 * GIB, GIB + MIB, GSTAGE_RWX), 0);
    assert_int_equal(table.leaves[2], 0);
    assert_int_equal(table.leaves[1], 512);
    assert_int_equal(table.leaves[0], 256);
    uint64_t bytes = table.table_bytes;
    gstage_hide(&table, 2 * GIB, GIB + MIB);
    assert_int_equal(table.leaves[0] + table.leaves[1], 0);
    for (uint64_t at = 0; at < GIB + MIB; at += 4096)
        assert_int_equal(walk(&table, 2 * GIB + at, &pte), UINT64_MAX);
    assert_int_equal(gstage_find(&table, 2 * GIB, &size), 0);

    uint64_t *leaf = gstage_hidden(&table, 2 * GIB + 5 * MIB, &base, &size);
    assert_non_null(leaf);
    assert_int_equal(base, 2 * GIB + 4 * MIB);
    assert_int_equal(size, 2 * MIB);
    gstage_show(&table, leaf, size);
    assert_int_equal(walk(&table, 2 * GIB + 5 * MIB + 7, &pte), 4 * GIB + 5 * MIB + 7);
    assert_int_equal(walk(&table, 2 * GIB + 6 * MIB, &pte), UINT64_MAX);
    assert_null(gstage_hidden(&table, 2 * GIB + 5 * MIB, &base, &size));
    leaf = gstage_hidden(&table, 3 * GIB + 0x7123, &base, &size);
    assert_int_equal(base, 3 * GIB + 0x7000);
    assert_int_equal(size, 4096);
    gstage_show(&table, leaf, size);
    assert_int_equal(walk(&table, 3 * GIB + 0x7123, &pte), 5 * GIB + 0x7123);
    assert_int_equal(table.leaves[0], 1);
    assert_int_equal(table.leaves[1], 1);
    assert_null(gstage_hidden(&table, GIB, &base, &size)); /* never mapped */
    assert_null(gstage_hidden(&table, 1ULL << 41, &base, &size));
    gstage_hide(&table, 2 * GIB, GIB + MIB);
    assert_int_equal(walk(&table, 2 * GIB + 5 * MIB, &pte), UINT64_MAX);
    assert_int_equal(table.table_bytes, bytes);
    gstage_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_memory_is_mapped_by_gigabytes),
        cmocka_unit_test(two_megabytes_are_the_leaf_where_either_side_is_not_gigabyte_aligned),
        cmocka_unit_test(the_ends_of_a_range_are_mapped_by_smaller_leaves),
        cmocka_unit_test(every_leaf_has_u_a_and_d_and_read_only_memory_has_no_w),
        cmocka_unit_test(ranges_that_cannot_be_mapped_are_refused),
        cmocka_unit_test(one_page_comes_and_goes_without_more_memory),
        cmocka_unit_test(hidden_leaves_are_not_there_until_they_are_shown),
        cmocka_unit_test(sv48x4_reaches_what_sv39x4_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
