/* Conversions, comparisons, classes and constants of riscv/fp. */
#include "tests/unit/fp_reference.h"

/* Flags accumulate: all start with FP_DZ raised, which nothing here raises, and must keep it. */
static uint32_t raised(uint32_t flags)
{
    assert_true(flags & FP_DZ);
    return flags & ~(uint32_t)FP_DZ;
}

static void narrowing_double_to_single_equals_the_host(void **state)
{
    (void)state;
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = random_operand(&double_format, random_bits());
        if (i & 1) {
            bits = double_bits(as_float(random_operand(&single_format, bits))) +
                   (random_bits() & 3) * 0x10000000 - (random_bits() & 1);
        }
        const uint64_t in[3] = {bits, 0, 0};
        const quad operands[3] = {as_double(bits), 0, 0};
        for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
            uint32_t want_flags = 0, got_flags = FP_DZ;
            uint64_t want = host_in_mode(&single_format, host_d_to_s, exact_value, in, operands, rm,
                                         &want_flags);
            uint64_t got = fp_d_to_s(bits, rm, &got_flags);
            expect("d_to", &single_format, in, rm, canonical(&single_format, want), want_flags, got,
                   raised(got_flags));
        }
    }
}

static void narrowing_to_half_rounds_once(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t single = random_operand(&single_format, random_bits());
        if (i & 1) {
            single = float_bits((float)half_value(random_bits() & 0xffff)) +
                     (random_bits() & 3) * 0x1000;
            single -= single != 0 ? random_bits() & 1 : 0;
        }
        uint64_t wide = i & 2 ? random_operand(&double_format, random_bits())
                              : double_bits(as_float(single)) + (random_bits() % 3 - 1);
        for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
            uint32_t want_flags = is_snan(&single_format, single) ? FP_NV : 0, got_flags = FP_DZ;
            uint64_t want = ref_half(as_float(single), rm, &want_flags);
            uint64_t got = fp_s_to_h((uint32_t)single, rm, &got_flags);
            expect("s_to", &half_format, (uint64_t[]){single, 0, 0}, rm, want, want_flags, got,
                   raised(got_flags));

            want_flags = is_snan(&double_format, wide) ? FP_NV : 0, got_flags = FP_DZ;
            want = ref_half(as_double(wide), rm, &want_flags);
            got = fp_d_to_h(wide, rm, &got_flags);
            expect("d_to", &half_format, (uint64_t[]){wide, 0, 0}, rm, want, want_flags, got,
                   raised(got_flags));
        }
    }
}

static void widening_is_exact(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 0x10000; a++) {
        uint32_t want_flags = is_snan(&half_format, a) ? FP_NV : 0, s_flags = FP_DZ,
                 d_flags = FP_DZ;
        uint64_t want_s = canonical(&single_format, float_bits((float)half_value(a)));
        uint64_t want_d = canonical(&double_format, double_bits(half_value(a)));
        uint64_t s = fp_h_to_s((uint16_t)a, &s_flags), d = fp_h_to_d((uint16_t)a, &d_flags);
        const uint64_t in[3] = {a, 0, 0};
        expect("h_to", &single_format, in, 0, want_s, want_flags, s, raised(s_flags));
        expect("h_to", &double_format, in, 0, want_d, want_flags, d, raised(d_flags));
    }
    for (int i = 0; i < 200000; i++) {
        uint64_t a = random_operand(&single_format, random_bits());
        uint32_t want_flags = is_snan(&single_format, a) ? FP_NV : 0, flags = FP_DZ;
        uint64_t want = canonical(&double_format, double_bits(as_float(a)));
        uint64_t got = fp_s_to_d((uint32_t)a, &flags);
        expect("s_to", &double_format, (uint64_t[]){a, 0, 0}, 0, want, want_flags, got,
               raised(flags));
    }
}

/* The integer nearest to a double in `rm`, from the host's conversion to int64_t; false if out of
 * 65 bits. */
NOINLINE bool host_integer(double x, unsigned rm, __int128 *integer, bool *inexact)
{
    *inexact = false;
    if (!(fabs(x) < 0x1p64)) {
        return false;
    }
    if (fabs(x) >= 0x1p62) {
        *integer = (__int128)x;
        return true;
    }
    volatile double operand = x;
    host_begin(rm == FP_RMM ? FP_RTZ : rm);
    volatile int64_t result = _mm_cvtsd_si64(_mm_set_sd(operand));
    *inexact = (host_end() & FP_NX) != 0;
    *integer = result;
    if (rm == FP_RMM && fabs(x - (double)result) >= 0.5) {
        *integer += signbit(x) ? -1 : 1;
    }
    return true;
}

struct int_case {
    const char *name;
    __int128 min, max;
    uint64_t got;
    uint32_t got_flags;
};

static void check_to_int(const struct format *f, uint64_t bits, unsigned rm)
{
    double x = (double)value_of(f, bits);
    struct int_case cases[] = {{"i32", INT32_MIN, INT32_MAX, 0, FP_DZ},
                               {"u32", 0, UINT32_MAX, 0, FP_DZ},
                               {"i64", INT64_MIN, INT64_MAX, 0, FP_DZ},
                               {"u64", 0, UINT64_MAX, 0, FP_DZ}};

#define TO_INTS(s, T)                                                                              \
    cases[0].got = (uint64_t)(int64_t)fp_to_i32_##s((T)bits, rm, &cases[0].got_flags);             \
    cases[1].got = fp_to_u32_##s((T)bits, rm, &cases[1].got_flags);                                \
    cases[2].got = (uint64_t)fp_to_i64_##s((T)bits, rm, &cases[2].got_flags);                      \
    cases[3].got = fp_to_u64_##s((T)bits, rm, &cases[3].got_flags)
    if (f == &half_format) {
        TO_INTS(h, uint16_t);
    } else if (f == &single_format) {
        TO_INTS(s, uint32_t);
    } else {
        TO_INTS(d, uint64_t);
    }
#undef TO_INTS

    __int128 integer = 0;
    bool inexact;
    bool finite = host_integer(x, rm, &integer, &inexact);
    for (size_t i = 0; i < COUNT(cases); i++) {
        __int128 want = integer;
        uint32_t flags = inexact ? FP_NX : 0;
        if (isnan(x) || (!finite && x > 0) || (finite && integer > cases[i].max)) {
            want = cases[i].max;
            flags = FP_NV;
        } else if (!finite || integer < cases[i].min) {
            want = cases[i].min;
            flags = FP_NV;
        }
        expect(cases[i].name, f, (uint64_t[]){bits, 0, 0}, rm, (uint64_t)want, flags, cases[i].got,
               raised(cases[i].got_flags));
    }
    if (f == &double_format && rm == FP_RTZ) {
        uint32_t flags = FP_DZ;
        int32_t got = fp_cvtmod_w_d(bits, &flags);
        /* From 2^85 on, a double is a multiple of 2^32. */
        uint32_t want = fabs(x) < 0x1p85 ? (uint32_t)(__int128)x : 0;
        expect("cvtmod", f, (uint64_t[]){bits, 0, 0}, rm, want, raised(cases[0].got_flags),
               (uint32_t)got, raised(flags));
    }
}

static void conversions_to_integers_round_and_saturate(void **state)
{
    static const double borders[] = {
        0,      0.5,           1,      1.5,    2.5,    0x1p31 - 1, 0x1p31 - 0.5,
        0x1p31, 0x1p31 + 0.5,  0x1p32, 0x1p52, 0x1p53, 0x1p62,     0x1p63,
        0x1p64, 0x1p32 - 0.25, 0x1p84, 0x1p85, 0x1p83, 0x1p61};
    const struct format *formats[] = {&half_format, &single_format, &double_format};

    (void)state;
    for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
        for (uint32_t a = 0; a < 0x10000; a++) {
            check_to_int(&half_format, a, rm);
        }
        for (size_t i = 0; i < COUNT(borders); i++) {
            for (int step = -2; step <= 2; step++) {
                for (uint64_t sign = 0; sign < 2; sign++) {
                    check_to_int(&double_format,
                                 (double_bits(borders[i]) + (uint64_t)(int64_t)step) ^ sign << 63,
                                 rm);
                    check_to_int(
                        &single_format,
                        (float_bits((float)borders[i]) + (uint64_t)(int64_t)step) & 0x7fffffff, rm);
                }
            }
        }
        for (size_t f = 0; f < COUNT(formats); f++) {
            uint64_t special[MAX_SPECIAL];
            size_t specials = special_operands(formats[f], special);
            for (size_t i = 0; i < specials; i++) {
                check_to_int(formats[f], special[i], rm);
            }
        }
        for (int i = 0; i < 100000; i++) {
            uint64_t r = random_bits();
            uint64_t exp = 1023 - 3 + r % 100;
            check_to_int(&double_format,
                         (random_bits() & (0x800fffffffffffff << (r >> 32) % 52)) | exp << 52, rm);
            exp = 127 - 3 + r % 70;
            check_to_int(&single_format,
                         (random_bits() & 0x807fffff & (~0ULL << (r >> 32) % 23)) | exp << 23, rm);
        }
    }
}

/* `value` is what the three results came from; `to_s` and `to_d` take it as `bits`. */
static void check_from_int(const char *name, quad value, uint64_t bits, host_fn *to_s,
                           host_fn *to_d, unsigned rm, const uint64_t *got, const uint32_t *flags)
{
    const uint64_t in[3] = {bits, 0, 0};
    const quad operands[3] = {value, 0, 0};
    uint32_t want_flags = 0;
    uint64_t want = ref_half(odd_from_quad(value), rm, &want_flags);

    expect(name, &half_format, in, rm, want, want_flags, got[0], raised(flags[0]));
    want_flags = 0;
    want = host_in_mode(&single_format, to_s, exact_value, in, operands, rm, &want_flags);
    expect(name, &single_format, in, rm, want, want_flags, got[1], raised(flags[1]));
    want_flags = 0;
    want = host_in_mode(&double_format, to_d, exact_value, in, operands, rm, &want_flags);
    expect(name, &double_format, in, rm, want, want_flags, got[2], raised(flags[2]));
}

#define CHECK_FROM(type, T, bits, to_s, to_d)                                                      \
    do {                                                                                           \
        uint32_t flags[3] = {FP_DZ, FP_DZ, FP_DZ};                                                 \
        uint64_t got[3] = {fp_from_##type##_h((T)a, rm, &flags[0]),                                \
                           fp_from_##type##_s((T)a, rm, &flags[1]),                                \
                           fp_from_##type##_d((T)a, rm, &flags[2])};                               \
        check_from_int(#type, (quad)(T)a, bits, to_s, to_d, rm, got, flags);                       \
    } while (0)

static void check_from_ints(uint64_t a, unsigned rm)
{
    CHECK_FROM(i32, int32_t, (uint64_t)(int32_t)a, host_i64_to_s, host_i64_to_d);
    CHECK_FROM(u32, uint32_t, (uint32_t)a, host_u64_to_s, host_u64_to_d);
    CHECK_FROM(i64, int64_t, a, host_i64_to_s, host_i64_to_d);
    CHECK_FROM(u64, uint64_t, a, host_u64_to_s, host_u64_to_d);
}

static void conversions_from_integers_equal_the_host(void **state)
{
    (void)state;
    for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
        for (unsigned shift = 0; shift < 64; shift++) {
            for (uint64_t step = 0; step < 5; step++) {
                check_from_ints((1ULL << shift) + step - 2, rm);
                check_from_ints(-(1ULL << shift) + step - 2, rm);
                check_from_ints((3ULL << shift) + step - 2, rm);
            }
        }
        for (int i = 0; i < 40000; i++) {
            uint64_t r = random_bits();
            uint64_t a = random_bits() >> r % 64;
            check_from_ints(r >> 32 & 1 ? a & ~0ULL << (r >> 40) % 64 : a, rm);
        }
    }
}

static void check_round(const struct format *f, uint64_t bits, unsigned rm)
{
    double x = (double)value_of(f, bits);
    uint32_t want_flags = is_snan(f, bits) ? FP_NV : 0, flags[2] = {FP_DZ, FP_DZ};
    uint64_t want = bits, got[2];
    bool inexact = false;
    __int128 integer;

    for (int exact = 0; exact < 2; exact++) {
        got[exact] = f == &half_format     ? fp_round_h((uint16_t)bits, rm, exact, &flags[exact])
                     : f == &single_format ? fp_round_s((uint32_t)bits, rm, exact, &flags[exact])
                                           : fp_round_d(bits, rm, exact, &flags[exact]);
    }
    if (host_integer(x, rm, &integer, &inexact) && inexact) {
        double rounded = copysign((double)integer, x);
        uint32_t unused = 0;
        want = f == &half_format     ? ref_half(rounded, FP_RNE, &unused)
               : f == &single_format ? float_bits((float)rounded)
                                     : double_bits(rounded);
    }
    want = canonical(f, want);
    const uint64_t in[3] = {bits, 0, 0};
    expect("round", f, in, rm, want, want_flags, got[0], raised(flags[0]));
    expect("roundnx", f, in, rm, want, want_flags | (inexact ? FP_NX : 0), got[1],
           raised(flags[1]));
}

static void fround_gives_an_integer_of_the_same_format(void **state)
{
    const struct format *formats[] = {&half_format, &single_format, &double_format};

    (void)state;
    for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
        for (uint32_t a = 0; a < 0x10000; a++) {
            check_round(&half_format, a, rm);
        }
        for (size_t f = 0; f < COUNT(formats); f++) {
            uint64_t special[MAX_SPECIAL];
            size_t specials = special_operands(formats[f], special);
            for (size_t i = 0; i < specials; i++) {
                check_round(formats[f], special[i], rm);
            }
            uint64_t bias = (1ULL << (formats[f]->exp_bits - 1)) - 1;
            for (int i = 0; i < 50000; i++) {
                uint64_t near = (bias + random_bits() % (formats[f]->frac_bits + 3) - 2)
                                << formats[f]->frac_bits;
                check_round(formats[f], random_operand(formats[f], near), rm);
            }
        }
    }
}

/* ---- comparison, minimum, maximum, class ---- */

static void check_compare(const struct format *f, uint64_t a, uint64_t b)
{
    double x = (double)value_of(f, a), y = (double)value_of(f, b);
    bool nan = is_nan(f, a) || is_nan(f, b);
    uint32_t quiet = is_snan(f, a) || is_snan(f, b) ? FP_NV : 0;
    uint32_t signalling = nan ? FP_NV : 0;
    uint32_t flags[9] = {FP_DZ, FP_DZ, FP_DZ, FP_DZ, FP_DZ, FP_DZ, FP_DZ, FP_DZ, FP_DZ};
    uint64_t got[9];
    bool swap = x == y && x == 0 ? signbit(x) < signbit(y) : y < x; /* b is below a, -0 below +0 */
    uint64_t low = swap ? b : a, high = swap ? a : b;
    const struct {
        const char *name;
        uint64_t want;
        uint32_t flags;
    } wanted[9] = {
        {"eq", x == y, quiet},
        {"lt", isless(x, y), signalling},
        {"le", islessequal(x, y), signalling},
        {"ltq", isless(x, y), quiet},
        {"leq", islessequal(x, y), quiet},
        {"min",
         !nan            ? low
         : !is_nan(f, a) ? a
                         : canonical(f, b),
         quiet},
        {"max",
         !nan            ? high
         : !is_nan(f, a) ? a
                         : canonical(f, b),
         quiet},
        {"minm", nan ? f->nan : low, quiet},
        {"maxm", nan ? f->nan : high, quiet},
    };

#define COMPARE(s, T)                                                                              \
    got[0] = fp_eq_##s((T)a, (T)b, &flags[0]);                                                     \
    got[1] = fp_lt_##s((T)a, (T)b, &flags[1]);                                                     \
    got[2] = fp_le_##s((T)a, (T)b, &flags[2]);                                                     \
    got[3] = fp_ltq_##s((T)a, (T)b, &flags[3]);                                                    \
    got[4] = fp_leq_##s((T)a, (T)b, &flags[4]);                                                    \
    got[5] = fp_min_##s((T)a, (T)b, &flags[5]);                                                    \
    got[6] = fp_max_##s((T)a, (T)b, &flags[6]);                                                    \
    got[7] = fp_minm_##s((T)a, (T)b, &flags[7]);                                                   \
    got[8] = fp_maxm_##s((T)a, (T)b, &flags[8])
    if (f == &half_format) {
        COMPARE(h, uint16_t);
    } else if (f == &single_format) {
        COMPARE(s, uint32_t);
    } else {
        COMPARE(d, uint64_t);
    }
#undef COMPARE
    for (size_t i = 0; i < COUNT(wanted); i++) {
        expect(wanted[i].name, f, (uint64_t[]){a, b, 0}, 0, wanted[i].want, wanted[i].flags, got[i],
               raised(flags[i]));
    }
}

static void comparisons_and_extrema_equal_the_host(void **state)
{
    const struct format *formats[] = {&half_format, &single_format, &double_format};

    (void)state;
    for (size_t f = 0; f < COUNT(formats); f++) {
        uint64_t special[MAX_SPECIAL];
        size_t specials = special_operands(formats[f], special);
        for (size_t i = 0; i < specials * specials; i++) {
            check_compare(formats[f], special[i / specials], special[i % specials]);
        }
        for (int i = 0; i < 200000; i++) {
            uint64_t a = random_operand(formats[f], random_bits());
            uint64_t b = i & 1 ? a ^ (random_bits() & 1) : random_operand(formats[f], a);
            check_compare(formats[f], a, b);
        }
    }
}

/* The bit of fclass that C's classification calls for. */
static unsigned class_bit(double x, int kind, bool snan)
{
    unsigned positive = kind == FP_ZERO ? 4 : kind == FP_SUBNORMAL ? 5 : kind == FP_NORMAL ? 6 : 7;

    if (kind == FP_NAN) {
        return snan ? 8 : 9;
    }
    return signbit(x) ? 7 - positive : positive;
}

static void class_names_each_kind_of_number(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t d = random_operand(&double_format, random_bits());
        uint64_t s = random_operand(&single_format, random_bits());
        double x = as_double(d);
        float y = as_float(s);
        assert_int_equal(fp_class_d(d),
                         1u << class_bit(x, fpclassify(x), is_snan(&double_format, d)));
        assert_int_equal(fp_class_s((uint32_t)s),
                         1u << class_bit(y, fpclassify(y), is_snan(&single_format, s)));
    }
    assert_int_equal(fp_class_h(0xfc00), 1 << 0);
    assert_int_equal(fp_class_h(0x8400), 1 << 1);
    assert_int_equal(fp_class_h(0x83ff), 1 << 2);
    assert_int_equal(fp_class_h(0x8000), 1 << 3);
    assert_int_equal(fp_class_h(0x0000), 1 << 4);
    assert_int_equal(fp_class_h(0x0001), 1 << 5);
    assert_int_equal(fp_class_h(0x7bff), 1 << 6);
    assert_int_equal(fp_class_h(0x7c00), 1 << 7);
    assert_int_equal(fp_class_h(0x7c01), 1 << 8);
    assert_int_equal(fp_class_h(0x7e00), 1 << 9);
}

/* Unprivileged ISA, chapter Zfa, table of FLI.S values. */
static void fli_constants_are_those_of_the_specification(void **state)
{
    static const double table[32] = {-1,   0,      0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625, 0.125,
                                     0.25, 0.3125, 0.375,   0.4375,  0.5,    0.625,  0.75,   0.875,
                                     1,    1.25,   1.5,     1.75,    2,      2.5,    3,      4,
                                     8,    16,     128,     256,     0x1p15, 0x1p16, 0,      0};

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        if (i != 1 && i < 30) {
            assert_true(as_double(fp_li_d(i)) == table[i]);
            assert_true(as_float(fp_li_s(i)) == (float)table[i]);
            if (i != 29) {
                assert_true(half_value(fp_li_h(i)) == table[i]);
            }
        }
    }
    assert_int_equal(fp_li_h(1), 0x0400);
    assert_int_equal(fp_li_s(1), 0x00800000);
    assert_int_equal(fp_li_d(1), 0x0010000000000000);
    assert_int_equal(fp_li_h(2), 0x0100);
    assert_int_equal(fp_li_h(3), 0x0200);
    assert_int_equal(fp_li_h(29), 0x7c00);
    assert_int_equal(fp_li_h(30), 0x7c00);
    assert_int_equal(fp_li_s(30), 0x7f800000);
    assert_int_equal(fp_li_d(30), 0x7ff0000000000000);
    assert_int_equal(fp_li_h(31), 0x7e00);
    assert_int_equal(fp_li_s(31), 0x7fc00000);
    assert_int_equal(fp_li_d(31), 0x7ff8000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrowing_double_to_single_equals_the_host),
        cmocka_unit_test(narrowing_to_half_rounds_once),
        cmocka_unit_test(widening_is_exact),
        cmocka_unit_test(conversions_to_integers_round_and_saturate),
        cmocka_unit_test(conversions_from_integers_equal_the_host),
        cmocka_unit_test(fround_gives_an_integer_of_the_same_format),
        cmocka_unit_test(comparisons_and_extrema_equal_the_host),
        cmocka_unit_test(class_names_each_kind_of_number),
        cmocka_unit_test(fli_constants_are_those_of_the_specification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
