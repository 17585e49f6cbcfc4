/* Arithmetic of riscv/fp, in every rounding mode, in results and in flags. */
#include "tests/unit/fp_reference.h"

#define RANDOM_CASES 60000

struct op {
    const char *name;
    const struct format *format;
    int arity;
    host_fn *ours;
    host_fn *host;
    exact_fn *exact; /* NULL: `host` handles RMM */
};

#define OURS(s, T)                                                                                 \
    static uint64_t our_add_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)  \
    {                                                                                              \
        (void)c;                                                                                   \
        return fp_add_##s((T)a, (T)b, rm, flags);                                                  \
    }                                                                                              \
    static uint64_t our_sub_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)  \
    {                                                                                              \
        (void)c;                                                                                   \
        return fp_sub_##s((T)a, (T)b, rm, flags);                                                  \
    }                                                                                              \
    static uint64_t our_mul_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)  \
    {                                                                                              \
        (void)c;                                                                                   \
        return fp_mul_##s((T)a, (T)b, rm, flags);                                                  \
    }                                                                                              \
    static uint64_t our_div_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)  \
    {                                                                                              \
        (void)c;                                                                                   \
        return fp_div_##s((T)a, (T)b, rm, flags);                                                  \
    }                                                                                              \
    static uint64_t our_sqrt_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags) \
    {                                                                                              \
        (void)b, (void)c;                                                                          \
        return fp_sqrt_##s((T)a, rm, flags);                                                       \
    }                                                                                              \
    static uint64_t our_fma_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)  \
    {                                                                                              \
        return fp_fma_##s((T)a, (T)b, (T)c, rm, flags);                                            \
    }
OURS(h, uint16_t)
OURS(s, uint32_t)
OURS(d, uint64_t)

static const struct op half_ops[] = {
    {"add", &half_format, 2, our_add_h, ref_add_h, NULL},
    {"sub", &half_format, 2, our_sub_h, ref_sub_h, NULL},
    {"mul", &half_format, 2, our_mul_h, ref_mul_h, NULL},
    {"div", &half_format, 2, our_div_h, ref_div_h, NULL},
    {"sqrt", &half_format, 1, our_sqrt_h, ref_sqrt_h, NULL},
    {"fma", &half_format, 3, our_fma_h, ref_fma_h, NULL},
};
static const struct op single_ops[] = {
    {"add", &single_format, 2, our_add_s, host_add_s, exact_add},
    {"sub", &single_format, 2, our_sub_s, host_sub_s, exact_sub},
    {"mul", &single_format, 2, our_mul_s, host_mul_s, exact_mul},
    {"div", &single_format, 2, our_div_s, host_div_s, exact_div},
    {"sqrt", &single_format, 1, our_sqrt_s, host_sqrt_s, exact_sqrt},
    {"fma", &single_format, 3, our_fma_s, host_fma_s, exact_fma},
};
static const struct op double_ops[] = {
    {"add", &double_format, 2, our_add_d, host_add_d, exact_add},
    {"sub", &double_format, 2, our_sub_d, host_sub_d, exact_sub},
    {"mul", &double_format, 2, our_mul_d, host_mul_d, exact_mul},
    {"div", &double_format, 2, our_div_d, host_div_d, exact_div},
    {"sqrt", &double_format, 1, our_sqrt_d, host_sqrt_d, exact_sqrt},
    {"fma", &double_format, 3, our_fma_d, host_fma_d, exact_fma},
};

static void check_op(const struct op *op, const uint64_t *in, unsigned rm)
{
    uint32_t want_flags = 0, got_flags = 0;
    uint64_t got = op->ours(in[0], in[1], in[2], rm, &got_flags);
    uint64_t want;

    if (op->exact != NULL) {
        quad operands[3];
        for (int i = 0; i < 3 && rm == FP_RMM; i++) {
            operands[i] = value_of(op->format, in[i]);
        }
        want = host_in_mode(op->format, op->host, op->exact, in, operands, rm, &want_flags);
    } else {
        want = op->host(in[0], in[1], in[2], rm, &want_flags);
    }
    want = canonical(op->format, want);
    if (op->arity == 3) {
        /* x86 leaves NV out for inf * 0 + qNaN, RISC-V demands it ("Single-Precision Floating-Point
         * Computational"). */
        bool inf_zero = (is_inf(op->format, in[0]) && is_zero(op->format, in[1])) ||
                        (is_zero(op->format, in[0]) && is_inf(op->format, in[1]));
        want_flags |= inf_zero ? FP_NV : 0;
    }
    expect(op->name, op->format, in, rm, want, want_flags, got, got_flags);
    /* Flags accumulate: whatever is raised here stays beside what was raised before. */
    uint32_t all = ~want_flags & (FP_NX | FP_UF | FP_OF | FP_DZ | FP_NV);
    (void)op->ours(in[0], in[1], in[2], rm, &all);
    assert_int_equal(all, FP_NX | FP_UF | FP_OF | FP_DZ | FP_NV);
}

static void check_ops(const struct op *ops, size_t count)
{
    uint64_t special[MAX_SPECIAL];

    for (const struct op *op = ops; op < ops + count; op++) {
        size_t specials = special_operands(op->format, special);
        if (op->arity == 3 && op->exact != NULL && !__builtin_cpu_supports("fma")) {
            print_message("this host has no FMA: fma.%s is not compared\n", op->format->name);
            continue;
        }
        for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
            for (size_t i = 0; i < specials; i++) {
                for (size_t j = 0; j < (op->arity > 1 ? specials : 1); j++) {
                    for (size_t k = 0; k < (op->arity > 2 ? specials : 1); k++) {
                        check_op(op, (uint64_t[]){special[i], special[j], special[k]}, rm);
                    }
                }
            }
            for (int i = 0; i < RANDOM_CASES; i++) {
                uint64_t a = random_operand(op->format, random_bits());
                uint64_t b = random_operand(op->format, a);
                uint64_t c = random_operand(op->format,
                                            i & 1 ? a : op->ours(a, b, 0, FP_RNE, &(uint32_t){0}));
                check_op(op, (uint64_t[]){a, b, c}, rm);
            }
        }
    }
}

static void half_arithmetic_rounds_once_with_exact_flags(void **state)
{
    (void)state;
    check_ops(half_ops, COUNT(half_ops));
}

static void single_arithmetic_equals_the_host(void **state)
{
    (void)state;
    check_ops(single_ops, COUNT(single_ops));
}

static void double_arithmetic_equals_the_host(void **state)
{
    (void)state;
    check_ops(double_ops, COUNT(double_ops));
}

static void every_half_square_root_is_exact(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 0x10000; a++) {
        for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++) {
            check_op(&half_ops[4], (uint64_t[]){a, 0, 0}, rm);
        }
    }
}

/* Squares of 27-bit numbers and their neighbours: where a root that is off by one shows. */
static void double_square_roots_near_squares_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t root = random_bits() >> (37 + i % 3);
        uint64_t bits = double_bits((double)(root * root)) + random_bits() % 3 - 1;
        check_op(&double_ops[4], (uint64_t[]){bits, 0, 0}, (unsigned)i % 5);
    }
}

/* (a * b) / b for a product without error, and its neighbours. */
static void double_quotients_near_exact_ones_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t b = (random_bits() >> 38) | 1;
        uint64_t product = double_bits((double)((random_bits() >> 37) * b)) + random_bits() % 3 - 1;
        check_op(&double_ops[3], (uint64_t[]){product, double_bits((double)b), 0}, (unsigned)i % 5);
        uint64_t divisor = 0x3fffffffffffffff - (random_bits() & 7);
        check_op(&double_ops[3], (uint64_t[]){random_operand(&double_format, divisor), divisor, 0},
                 (unsigned)i % 5);
    }
}

static void fma_of_infinity_and_zero_is_invalid_even_with_a_quiet_nan(void **state)
{
    (void)state;
    uint32_t flags = 0;
    assert_int_equal(fp_fma_s(0x7f800000, 0, 0x7fc00000, FP_RNE, &flags), 0x7fc00000);
    assert_int_equal(flags, FP_NV);
}

/* Each flag raised by an operation that raises nothing else but NX, beside all the others. */
static void flags_accumulate(void **state)
{
    static const struct {
        uint64_t (*op)(uint64_t, uint64_t, uint64_t, unsigned, uint32_t *);
        uint64_t a, b;
        uint32_t raised;
    } cases[] = {
        {our_div_d, 0x3ff0000000000000, 0x0000000000000000, FP_DZ},         /* 1 / 0 */
        {our_div_d, 0x3ff0000000000000, 0x4008000000000000, FP_NX},         /* 1 / 3 */
        {our_div_d, 0x0000000000000000, 0x0000000000000000, FP_NV},         /* 0 / 0 */
        {our_mul_d, 0x7fefffffffffffff, 0x4000000000000000, FP_OF | FP_NX}, /* max * 2 */
        {our_mul_d, 0x0010000000000001, 0x3fe0000000000000, FP_UF | FP_NX}, /* subnormal */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint32_t before = 0; before < 32; before++) {
            uint32_t flags = before;
            (void)cases[i].op(cases[i].a, cases[i].b, 0, FP_RNE, &flags);
            assert_int_equal(flags, before | cases[i].raised);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_arithmetic_rounds_once_with_exact_flags),
        cmocka_unit_test(single_arithmetic_equals_the_host),
        cmocka_unit_test(double_arithmetic_equals_the_host),
        cmocka_unit_test(every_half_square_root_is_exact),
        cmocka_unit_test(double_square_roots_near_squares_are_exact),
        cmocka_unit_test(double_quotients_near_exact_ones_are_exact),
        cmocka_unit_test(fma_of_infinity_and_zero_is_invalid_even_with_a_quiet_nan),
        cmocka_unit_test(flags_accumulate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
