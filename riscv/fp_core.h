/*
 * The generic core of riscv/fp*.c: one source for half, single and double. A format is a
 * compile-time constant that every function takes first, so that each instance folds to code of its
 * own. Internal to riscv/fp*.c.
 *
 * A finite number is unpacked to a sign, a biased exponent and a 64-bit significand whose leading
 * one is bit 62 (FP_ONE): value = sig / 2^62 * 2^(exp - bias). Bits below the format's last place,
 * down to a "sticky" bit 0 that stands for everything smaller, let fp_round_pack round once and
 * exactly. The exponent of an unpacked number has no lower bound; only fp_round_pack knows of
 * subnormals.
 */
#ifndef RISCV_FP_CORE_H
#define RISCV_FP_CORE_H

#include "riscv/fp.h"

#define FP_INLINE static inline __attribute__((always_inline))

#define FP_ONE (UINT64_C(1) << 62)
/* Below the exponent of every non-zero number of every format. */
#define FP_EXP_OF_ZERO (-4096)

struct fp_format {
    unsigned exp_bits;
    unsigned frac_bits;
};

static const struct fp_format fp_format_h = {5, 10};
static const struct fp_format fp_format_s = {8, 23};
static const struct fp_format fp_format_d = {11, 52};

struct fp_num {
    bool sign;
    int exp;
    uint64_t sig; /* zero or in [2^62, 2^63) */
};

/* The all-ones exponent of infinities and NaNs. */
FP_INLINE int fp_exp_max(struct fp_format f)
{
    return (1 << f.exp_bits) - 1;
}

FP_INLINE int fp_bias(struct fp_format f)
{
    return fp_exp_max(f) >> 1;
}

FP_INLINE uint64_t fp_sign_bit(struct fp_format f)
{
    return UINT64_C(1) << (f.exp_bits + f.frac_bits);
}

FP_INLINE uint64_t fp_inf(struct fp_format f)
{
    return (uint64_t)fp_exp_max(f) << f.frac_bits;
}

FP_INLINE uint64_t fp_nan(struct fp_format f)
{
    return fp_inf(f) | UINT64_C(1) << (f.frac_bits - 1);
}

FP_INLINE uint64_t fp_magnitude(struct fp_format f, uint64_t a)
{
    return a & (fp_sign_bit(f) - 1);
}

FP_INLINE bool fp_is_negative(struct fp_format f, uint64_t a)
{
    return (a & fp_sign_bit(f)) != 0;
}

FP_INLINE bool fp_is_finite(struct fp_format f, uint64_t a)
{
    return fp_magnitude(f, a) < fp_inf(f);
}

FP_INLINE bool fp_is_inf(struct fp_format f, uint64_t a)
{
    return fp_magnitude(f, a) == fp_inf(f);
}

FP_INLINE bool fp_is_zero(struct fp_format f, uint64_t a)
{
    return fp_magnitude(f, a) == 0;
}

FP_INLINE bool fp_is_nan(struct fp_format f, uint64_t a)
{
    return fp_magnitude(f, a) > fp_inf(f);
}

FP_INLINE bool fp_is_snan(struct fp_format f, uint64_t a)
{
    return fp_is_nan(f, a) && (a >> (f.frac_bits - 1) & 1) == 0;
}

FP_INLINE uint64_t fp_with_sign(struct fp_format f, bool sign, uint64_t magnitude)
{
    return magnitude | (sign ? fp_sign_bit(f) : 0);
}

/* The result of an invalid operation. */
FP_INLINE uint64_t fp_invalid(struct fp_format f, uint32_t *flags)
{
    *flags |= FP_NV;
    return fp_nan(f);
}

/* The zero that a sum of opposite, equal numbers gives (IEEE 754-2019, 6.3). */
FP_INLINE uint64_t fp_cancelled_zero(struct fp_format f, unsigned rm)
{
    return fp_with_sign(f, rm == FP_RDN, 0);
}

/* x / 2^n, with bit 0 set if any bit was lost. */
FP_INLINE uint64_t fp_shift_right_jam(uint64_t x, unsigned n)
{
    if (n > 62) {
        return x != 0;
    }
    return x >> n | ((x & ((UINT64_C(1) << n) - 1)) != 0);
}

/* `a` is finite. */
FP_INLINE struct fp_num fp_unpack(struct fp_format f, uint64_t a)
{
    const unsigned shift = 62 - f.frac_bits;
    uint64_t magnitude = fp_magnitude(f, a);
    uint64_t frac = magnitude & ((UINT64_C(1) << f.frac_bits) - 1);
    struct fp_num num = {fp_is_negative(f, a), (int)(magnitude >> f.frac_bits), 0};

    if (__builtin_expect(num.exp != 0, 1)) {
        num.sig = frac << shift | FP_ONE;
    } else if (frac != 0) {
        unsigned n = (unsigned)__builtin_clzll(frac) - 1;
        num.sig = frac << n;
        num.exp = 1 - (int)(n - shift);
    } else {
        num.exp = FP_EXP_OF_ZERO;
    }
    return num;
}

/*
 * Rounds to the format. `sig` is in [2^62, 2^63); `exp` is biased. Raises NX, OF and UF; tininess
 * is judged after rounding as if the exponent had no lower bound (Unprivileged ISA, "Subnormal
 * Arithmetic").
 */
FP_INLINE uint64_t fp_round_pack(struct fp_format f, bool sign, int exp, uint64_t sig, unsigned rm,
                                 uint32_t *flags)
{
    const unsigned shift = 62 - f.frac_bits;
    const uint64_t half = UINT64_C(1) << (shift - 1);
    const uint64_t mask = 2 * half - 1;
    uint64_t increment = half;

    if (rm != FP_RNE && rm != FP_RMM) {
        increment = rm == (sign ? FP_RDN : FP_RUP) ? mask : 0;
    }
    if (__builtin_expect(exp <= 0, 0)) {
        bool tiny = exp < 0 || sig + increment < 2 * FP_ONE;
        sig = fp_shift_right_jam(sig, (unsigned)(1 - exp));
        exp = 1;
        if (tiny && (sig & mask) != 0) {
            *flags |= FP_UF;
        }
    } else if (__builtin_expect(exp >= fp_exp_max(f) - 1, 0) &&
               (exp >= fp_exp_max(f) || sig + increment >= 2 * FP_ONE)) {
        *flags |= FP_OF | FP_NX;
        return fp_with_sign(f, sign, fp_inf(f) - (increment == 0));
    }

    uint64_t lost = sig & mask;
    if (lost != 0) {
        *flags |= FP_NX;
    }
    sig = (sig + increment) >> shift;
    if (rm == FP_RNE && lost == half) {
        sig &= ~UINT64_C(1);
    }
    /* The leading one of `sig`, if it is there, adds one to the exponent field; so does a carry out
     * of rounding. */
    return fp_with_sign(f, sign, ((uint64_t)(exp - 1) << f.frac_bits) + sig);
}

/* The same for any `sig` but zero: `exp` belongs to bit 62. */
FP_INLINE uint64_t fp_normalize_round_pack(struct fp_format f, bool sign, int exp, uint64_t sig,
                                           unsigned rm, uint32_t *flags)
{
    int n = __builtin_clzll(sig) - 1;

    if (n < 0) {
        sig = fp_shift_right_jam(sig, 1);
    } else {
        sig <<= n;
    }
    return fp_round_pack(f, sign, exp - n, sig, rm, flags);
}

#endif
