/* The interpreter's fast path equals riscv/fp in bits and in flags, whatever flags are set already.
 */
#include "engine/interp/hostfp.h"
#include "tests/unit/fp_reference.h"

#define RANDOM_CASES 400000

struct pair {
    const char *name;
    const struct format *format;
    int arity;
    host_fn *hosted;
    host_fn *soft;
};

#define BOTH(op, s, T, ...)                                                                        \
    static uint64_t hosted_##op##_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm,             \
                                      uint32_t *flags)                                             \
    {                                                                                              \
        (void)a, (void)b, (void)c;                                                                 \
        return hostfp_##op##_##s(__VA_ARGS__, rm, flags);                                          \
    }                                                                                              \
    static uint64_t soft_##op##_##s(uint64_t a, uint64_t b, uint64_t c, unsigned rm,               \
                                    uint32_t *flags)                                               \
    {                                                                                              \
        (void)a, (void)b, (void)c;                                                                 \
        return fp_##op##_##s(__VA_ARGS__, rm, flags);                                              \
    }
#define ALL(s, T)                                                                                  \
    BOTH(add, s, T, (T)a, (T)b)                                                                    \
    BOTH(sub, s, T, (T)a, (T)b)                                                                    \
    BOTH(mul, s, T, (T)a, (T)b)                                                                    \
    BOTH(div, s, T, (T)a, (T)b)                                                                    \
    BOTH(sqrt, s, T, (T)a)                                                                         \
    BOTH(fma, s, T, (T)a, (T)b, (T)c)
ALL(s, uint32_t)
ALL(d, uint64_t)

static const struct pair pairs[] = {
    {"add", &single_format, 2, hosted_add_s, soft_add_s},
    {"sub", &single_format, 2, hosted_sub_s, soft_sub_s},
    {"mul", &single_format, 2, hosted_mul_s, soft_mul_s},
    {"div", &single_format, 2, hosted_div_s, soft_div_s},
    {"sqrt", &single_format, 1, hosted_sqrt_s, soft_sqrt_s},
    {"fma", &single_format, 3, hosted_fma_s, soft_fma_s},
    {"add", &double_format, 2, hosted_add_d, soft_add_d},
    {"sub", &double_format, 2, hosted_sub_d, soft_sub_d},
    {"mul", &double_format, 2, hosted_mul_d, soft_mul_d},
    {"div", &double_format, 2, hosted_div_d, soft_div_d},
    {"sqrt", &double_format, 1, hosted_sqrt_d, soft_sqrt_d},
    {"fma", &double_format, 3, hosted_fma_d, soft_fma_d},
};

static void check_pair(const struct pair *p, const uint64_t *in, unsigned rm, uint32_t accrued)
{
    uint32_t want_flags = accrued, got_flags = accrued;
    uint64_t want = p->soft(in[0], in[1], in[2], rm, &want_flags);
    uint64_t got = p->hosted(in[0], in[1], in[2], rm, &got_flags);

    expect(p->name, p->format, in, rm, want, want_flags, got, got_flags);
}

static void hosted_arithmetic_equals_soft_arithmetic_on_special_operands(void **state)
{
    (void)state;
    for (const struct pair *p = pairs; p < pairs + COUNT(pairs); p++) {
        uint64_t special[MAX_SPECIAL];
        size_t specials = special_operands(p->format, special);
        for (size_t i = 0; i < specials; i++) {
            for (size_t j = 0; j < (p->arity > 1 ? specials : 1); j++) {
                for (size_t k = 0; k < (p->arity > 2 ? specials : 1); k++) {
                    const uint64_t in[3] = {special[i], special[j], special[k]};
                    check_pair(p, in, FP_RNE, FP_NX);
                    check_pair(p, in, FP_RNE, 0);
                    check_pair(p, in, FP_RTZ + (unsigned)k % 4, FP_NX);
                }
            }
        }
    }
}

static void hosted_arithmetic_equals_soft_arithmetic_on_random_operands(void **state)
{
    (void)state;
    for (const struct pair *p = pairs; p < pairs + COUNT(pairs); p++) {
        for (int i = 0; i < RANDOM_CASES; i++) {
            uint64_t a = random_operand(p->format, random_bits());
            uint64_t b = random_operand(p->format, a);
            uint64_t c = random_operand(p->format, i & 1 ? a : random_bits());
            uint32_t r = (uint32_t)random_bits();
            unsigned rm = r & 1 ? FP_RNE : (r >> 1) % 5;
            uint32_t accrued = (r >> 8 & 31) | (r >> 16 & 1 ? FP_NX : 0);
            check_pair(p, (uint64_t[]){a, b, c}, rm, accrued);
        }
    }
}

/* Products and quotients within a few places of the least normal number, from below and above. */
static void hosted_arithmetic_raises_underflow_at_the_border(void **state)
{
    const uint64_t two_to_54 = UINT64_C(54) << 52; /* as a step of the exponent */

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t step = random_bits() % 5 - 2;
        uint64_t factor = (random_bits() & 0xfffffffffffff) | 0x3ff0000000000000;
        uint32_t unused = 0;
        uint64_t other = fp_div_d(0x0010000000000000 + two_to_54, factor, FP_RNE, &unused) + step;
        check_pair(&pairs[8], (uint64_t[]){other, factor - two_to_54, 0}, FP_RNE, FP_NX);
        check_pair(&pairs[11], (uint64_t[]){other, factor - two_to_54, random_bits() & 3}, FP_RNE,
                   FP_NX);
        uint64_t dividend = factor - (1022 - 54) * (UINT64_C(1) << 52) + step;
        check_pair(&pairs[9], (uint64_t[]){dividend, factor + two_to_54, 0}, FP_RNE, FP_NX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosted_arithmetic_equals_soft_arithmetic_on_special_operands),
        cmocka_unit_test(hosted_arithmetic_equals_soft_arithmetic_on_random_operands),
        cmocka_unit_test(hosted_arithmetic_raises_underflow_at_the_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
