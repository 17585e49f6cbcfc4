/* PMP: what entries say, against a model that looks at every byte, and what is written for a range.
 */
#include "riscv/pmp.h"
#include "tests/unit/device_test.h"

#include "core/error.h"

static uint64_t state = 1;

static uint64_t random_u64(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/*
 * Whether an entry matches one byte, as 3.7.1 says it: "the address range is [pmpaddr(i-1),
 * pmpaddr(i))" for TOR, and for NAPOT the table of trailing ones.
 */
static bool matches_byte(const struct pmp_entry *entries, unsigned i, uint64_t byte)
{
    uint64_t addr = entries[i].addr, below = i == 0 ? 0 : entries[i - 1].addr, size = 8;
    switch (entries[i].cfg & PMP_A) {
    case PMP_A_OFF: return false;
    case PMP_A_TOR: return byte / 4 >= below && byte / 4 < addr;
    case PMP_A_NA4: return byte / 4 == addr;
    default:
        for (; addr % 2 == 1; addr /= 2)
            size *= 2;
        return byte / size == entries[i].addr * 4 / size;
    }
}

static int model(const struct pmp_entry *entries, unsigned count, uint64_t pa, uint64_t len)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned bytes = 0;
        for (uint64_t b = pa; b < pa + len; b++)
            bytes += matches_byte(entries, i, b);
        if (bytes > 0)
            return bytes == len ? (int)i : PMP_STRADDLES;
    }
    return PMP_NONE;
}

static void the_lowest_entry_that_matches_a_byte_decides(void **unused)
{
    (void)unused;
    static const uint64_t lengths[] = {1, 2, 4, 8, 16};
    unsigned straddles = 0, decided = 0;
    for (unsigned run = 0; run < 20000; run++) {
        struct pmp_entry entries[6];
        for (unsigned i = 0; i < 6; i++)
            entries[i] = (struct pmp_entry){random_u64() % 64, (uint8_t)random_u64() & 0x9f};
        uint64_t pa = random_u64() % 320, len = lengths[random_u64() % 5];
        int expected = model(entries, 6, pa, len);
        straddles += expected == PMP_STRADDLES;
        decided += expected >= 0;
        assert_int_equal(pmp_match(entries, 6, pa, len), expected);
    }
    assert_true(straddles > 500 && decided > 5000);
}

/* Table "NAPOT range encoding in PMP address and configuration registers". */
static void napot_has_as_many_ones_as_the_size_says(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t base, size, addr;
        uint8_t mode;
    } table[] = {
        {0x80000000, 4, 0x20000000, PMP_A_NA4},
        {0x80000000, 8, 0x20000000, PMP_A_NAPOT},
        {0x80000000, 16, 0x20000001, PMP_A_NAPOT},
        {0x80000000, 4096, 0x200001ff, PMP_A_NAPOT},
        {0x80000000, 0x80000000, 0x2fffffff, PMP_A_NAPOT},
        {0, 1ULL << 56, 0x1fffffffffffff, PMP_A_NAPOT},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pmp_entry entry;
        unsigned count = 0;
        uint64_t first, last;
        assert_int_equal(pmp_put(&entry, &count, 1, table[i].base, table[i].size, PMP_R), 0);
        assert_int_equal(count, 1);
        assert_int_equal(entry.addr, table[i].addr);
        assert_int_equal(entry.cfg, table[i].mode | PMP_R);
        assert_true(pmp_entry_range(entry.cfg, entry.addr, 0, &first, &last));
        assert_int_equal(first, table[i].base);
        assert_int_equal(last, table[i].base + table[i].size - 1);
    }
}

static void a_range_that_is_no_power_of_two_takes_two(void **unused)
{
    (void)unused;
    struct pmp_entry e[4];
    unsigned count = 0;
    /* 100 MiB: 64 + 32 + 4 would be three. */
    assert_int_equal(pmp_put(e, &count, 2, 0x88000000, 100 << 20, PMP_R | PMP_W | PMP_X), 0);
    assert_int_equal(count, 2);
    assert_int_equal(e[0].cfg, PMP_A_OFF);
    assert_int_equal(e[0].addr, 0x88000000 >> 2);
    assert_int_equal(e[1].cfg, PMP_A_TOR | PMP_R | PMP_W | PMP_X);
    assert_int_equal(e[1].addr, 0x8e400000 >> 2);
    /* What follows it directly takes one more. */
    assert_int_equal(pmp_put(e, &count, 3, 0x8e400000, 12288, PMP_R), 0);
    assert_int_equal(count, 3);
    assert_int_equal(pmp_match(e, count, 0x8e3ffffc, 4), 1);
    assert_int_equal(pmp_match(e, count, 0x8e3ffffc, 8), PMP_STRADDLES);
    assert_int_equal(pmp_match(e, count, 0x8e402ff8, 8), 2);
    assert_int_equal(pmp_match(e, count, 0x8e403000, 1), PMP_NONE);
    assert_int_equal(pmp_cost(0x88000000, 100 << 20), 2);
    assert_int_equal(pmp_cost(0x88000000, 64 << 20), 1);
    assert_int_equal(pmp_cost(0x8a000000, 64 << 20), 2); /* not at a multiple of its size */
}

static void a_range_from_0_needs_no_entry_to_begin(void **unused)
{
    (void)unused;
    struct pmp_entry e;
    unsigned count = 0;
    assert_int_equal(pmp_put(&e, &count, 1, 0, 12288, PMP_R), 0);
    assert_int_equal(count, 1);
    assert_int_equal(pmp_match(&e, 1, 12287, 1), 0);
    assert_int_equal(pmp_match(&e, 1, 12288, 1), PMP_NONE);
}

static void without_room_nothing_changes(void **unused)
{
    (void)unused;
    struct pmp_entry e[2] = {{1, 1}, {1, 1}};
    unsigned count = 1;
    assert_int_equal(pmp_put(e, &count, 2, 0x88000000, 12288, PMP_R), -E_NOSPC);
    assert_int_equal(pmp_put(e, &count, 1, 0x88000000, 4096, PMP_R), -E_NOSPC);
    assert_int_equal(count, 1);
    assert_int_equal(e[1].addr, 1);
}

static void any_ranges_are_said_exactly(void **unused)
{
    (void)unused;
    for (unsigned run = 0; run < 5000; run++) {
        struct pmp_entry e[PMP_ENTRIES];
        uint64_t base[8], end[8], at = random_u64() % 64 * 4;
        unsigned count = 0, ranges = 0;
        for (; ranges < 8; ranges++) {
            base[ranges] = at;
            end[ranges] = at + 4 * (1 + random_u64() % 32);
            if (pmp_put(e, &count, PMP_ENTRIES, at, end[ranges] - at, PMP_R) != 0)
                break;
            at = end[ranges] + random_u64() % 4 * 4;
        }
        assert_true(ranges == 8);
        for (uint64_t byte = 0; byte < at + 8; byte++) {
            bool inside = false;
            for (unsigned r = 0; r < ranges; r++)
                inside |= byte >= base[r] && byte < end[r];
            assert_int_equal(pmp_allows(e, count, byte, 1, PMP_R), inside);
            assert_false(pmp_allows(e, count, byte, 1, PMP_R | PMP_W));
        }
    }
}

/* 3.7.1: "If G is the index of the least-significant bit set, the PMP granularity is 2^(G+2)". */
static void the_grain_is_told_by_the_lowest_bit(void **unused)
{
    (void)unused;
    assert_int_equal(pmp_grain(0x3fffffffffffff), 4);
    assert_int_equal(pmp_grain(0x3ffffffffffffe), 8);
    assert_int_equal(pmp_grain(0x3ffffffffffc00), 4096);
    assert_int_equal(pmp_grain(0), 1ULL << 56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_entry_that_matches_a_byte_decides),
        cmocka_unit_test(napot_has_as_many_ones_as_the_size_says),
        cmocka_unit_test(a_range_that_is_no_power_of_two_takes_two),
        cmocka_unit_test(a_range_from_0_needs_no_entry_to_begin),
        cmocka_unit_test(without_room_nothing_changes),
        cmocka_unit_test(any_ranges_are_said_exactly),
        cmocka_unit_test(the_grain_is_told_by_the_lowest_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
