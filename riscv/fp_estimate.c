/* Estimates of reciprocals and of those of square roots (V, 13.9 and 13.10). */
#include "riscv/fp_core.h"

/* A finite number but zero: 2^(exp - bias) * (1 + frac / 2^frac_bits). */
struct normal {
    int exp;
    uint64_t frac;
};

FP_INLINE struct normal normalized(struct fp_format f, uint64_t a)
{
    const struct fp_num num = fp_unpack(f, a);
    return (struct normal){num.exp, (num.sig - FP_ONE) >> (62 - f.frac_bits)};
}

/*
 * 256 / sqrt(x) - 128 to the nearest for x in the middle of each 64th of [2, 4), then of [1, 2):
 * the table of 13.9.
 */
static const uint8_t rsqrt7_table[128] = {
    52,  51,  50,  48,  47,  46, 44, 43,  42,  41,  40,  39,  38,  36,  35,  34,  33,  32,  31,
    30,  30,  29,  28,  27,  26, 25, 24,  23,  23,  22,  21,  20,  19,  19,  18,  17,  16,  16,
    15,  14,  14,  13,  12,  12, 11, 10,  10,  9,   9,   8,   7,   7,   6,   6,   5,   4,   4,
    3,   3,   2,   2,   1,   1,  0,  127, 125, 123, 121, 119, 118, 116, 114, 113, 111, 109, 108,
    106, 105, 103, 102, 100, 99, 97, 96,  95,  93,  92,  91,  90,  88,  87,  86,  85,  84,  83,
    82,  80,  79,  78,  77,  76, 75, 74,  73,  72,  71,  70,  70,  69,  68,  67,  66,  65,  64,
    63,  63,  62,  61,  60,  59, 59, 58,  57,  56,  56,  55,  54,  53,
};

FP_INLINE uint64_t rsqrt7(struct fp_format f, uint64_t a, uint32_t *flags)
{
    if (fp_is_zero(f, a)) {
        *flags |= FP_DZ;
        return fp_with_sign(f, fp_is_negative(f, a), fp_inf(f));
    }
    if (fp_is_nan(f, a) && !fp_is_snan(f, a))
        return fp_nan(f);
    if (fp_is_nan(f, a) || fp_is_negative(f, a))
        return fp_invalid(f, flags);
    if (fp_is_inf(f, a))
        return 0;

    const struct normal x = normalized(f, a);
    const unsigned index = (unsigned)(x.exp & 1) << 6 | (unsigned)(x.frac >> (f.frac_bits - 6));
    const unsigned exp = (unsigned)(3 * fp_bias(f) - 1 - x.exp) / 2;
    return (uint64_t)exp << f.frac_bits | (uint64_t)rsqrt7_table[index] << (f.frac_bits - 7);
}

/* 256 / x - 128 to the nearest for x in the middle of the 128th `i` of [1, 2): table of 13.10. */
FP_INLINE unsigned rec7_of(unsigned i)
{
    const unsigned middle = 257 + 2 * i; /* of 256 */
    return (2 * 65536 + middle) / (2 * middle) - 128;
}

FP_INLINE uint64_t rec7(struct fp_format f, uint64_t a, unsigned rm, uint32_t *flags)
{
    const bool sign = fp_is_negative(f, a);

    if (fp_is_nan(f, a))
        return fp_is_snan(f, a) ? fp_invalid(f, flags) : fp_nan(f);
    if (fp_is_inf(f, a))
        return fp_with_sign(f, sign, 0);
    if (fp_is_zero(f, a)) {
        *flags |= FP_DZ;
        return fp_with_sign(f, sign, fp_inf(f));
    }

    const struct normal x = normalized(f, a);
    if (x.exp < -1) { /* below 2^-(bias + 1): the reciprocal is too large */
        *flags |= FP_OF | FP_NX;
        const bool down = rm == FP_RTZ || rm == (sign ? FP_RUP : FP_RDN);
        return fp_with_sign(f, sign, fp_inf(f) - down);
    }
    uint64_t frac = (uint64_t)rec7_of((unsigned)(x.frac >> (f.frac_bits - 7))) << (f.frac_bits - 7);
    int exp = 2 * fp_bias(f) - 1 - x.exp;
    if (exp <= 0) { /* 0 or -1: subnormal, of which the leading one is a bit */
        frac = (frac | UINT64_C(1) << f.frac_bits) >> (1 - exp);
        exp = 0;
    }
    return fp_with_sign(f, sign, (uint64_t)exp << f.frac_bits | frac);
}

#define ESTIMATES(s, T)                                                                            \
    T fp_rec7_##s(T a, unsigned rm, uint32_t *flags)                                               \
    {                                                                                              \
        return (T)rec7(fp_format_##s, a, rm, flags);                                               \
    }                                                                                              \
    T fp_rsqrt7_##s(T a, uint32_t *flags)                                                          \
    {                                                                                              \
        return (T)rsqrt7(fp_format_##s, a, flags);                                                 \
    }

ESTIMATES(h, uint16_t)
ESTIMATES(s, uint32_t)
ESTIMATES(d, uint64_t)
