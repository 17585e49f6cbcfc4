/* Minimum and maximum, comparison and classification; see riscv/fp.h. */
#include "riscv/fp_core.h"

/* Bits of fclass's result (Unprivileged ISA, "Single-Precision Floating-Point Classify
 * Instruction"). */
enum fp_class {
    FP_CLASS_NEG_INF = 1 << 0,
    FP_CLASS_NEG_NORMAL = 1 << 1,
    FP_CLASS_NEG_SUBNORMAL = 1 << 2,
    FP_CLASS_NEG_ZERO = 1 << 3,
    FP_CLASS_POS_ZERO = 1 << 4,
    FP_CLASS_POS_SUBNORMAL = 1 << 5,
    FP_CLASS_POS_NORMAL = 1 << 6,
    FP_CLASS_POS_INF = 1 << 7,
    FP_CLASS_SNAN = 1 << 8,
    FP_CLASS_QNAN = 1 << 9,
};

/* A key that orders all numbers as integers, -0 just below +0. */
FP_INLINE int64_t fp_order(struct fp_format f, uint64_t a)
{
    int64_t magnitude = (int64_t)fp_magnitude(f, a);

    return fp_is_negative(f, a) ? -magnitude - 1 : magnitude;
}

/* fmin and fmax: a number wins over a NaN. fminm and fmaxm (`propagate`): a NaN wins. */
FP_INLINE uint64_t fp_extremum(struct fp_format f, uint64_t a, uint64_t b, bool max, bool propagate,
                               uint32_t *flags)
{
    bool a_nan = fp_is_nan(f, a);
    bool b_nan = fp_is_nan(f, b);

    if (__builtin_expect(a_nan || b_nan, 0)) {
        if (fp_is_snan(f, a) || fp_is_snan(f, b)) {
            *flags |= FP_NV;
        }
        if (propagate || (a_nan && b_nan)) {
            return fp_nan(f);
        }
        return a_nan ? b : a;
    }
    return (fp_order(f, a) < fp_order(f, b)) != max ? a : b;
}

/* True if either operand is a NaN, where every comparison is false. */
FP_INLINE bool fp_unordered(struct fp_format f, uint64_t a, uint64_t b, bool signalling,
                            uint32_t *flags)
{
    if (__builtin_expect(!fp_is_nan(f, a) && !fp_is_nan(f, b), 1)) {
        return false;
    }
    if (signalling || fp_is_snan(f, a) || fp_is_snan(f, b)) {
        *flags |= FP_NV;
    }
    return true;
}

FP_INLINE bool fp_same(struct fp_format f, uint64_t a, uint64_t b)
{
    return a == b || fp_magnitude(f, a | b) == 0;
}

FP_INLINE bool fp_eq(struct fp_format f, uint64_t a, uint64_t b, uint32_t *flags)
{
    return !fp_unordered(f, a, b, false, flags) && fp_same(f, a, b);
}

FP_INLINE bool fp_lt(struct fp_format f, uint64_t a, uint64_t b, bool signalling, uint32_t *flags)
{
    return !fp_unordered(f, a, b, signalling, flags) && fp_order(f, a) < fp_order(f, b) &&
           !fp_same(f, a, b);
}

FP_INLINE bool fp_le(struct fp_format f, uint64_t a, uint64_t b, bool signalling, uint32_t *flags)
{
    return !fp_unordered(f, a, b, signalling, flags) &&
           (fp_order(f, a) < fp_order(f, b) || fp_same(f, a, b));
}

FP_INLINE uint32_t fp_class(struct fp_format f, uint64_t a)
{
    const uint64_t min_normal = UINT64_C(1) << f.frac_bits;
    uint64_t magnitude = fp_magnitude(f, a);
    bool negative = fp_is_negative(f, a);

    if (fp_is_nan(f, a)) {
        return fp_is_snan(f, a) ? FP_CLASS_SNAN : FP_CLASS_QNAN;
    }
    if (fp_is_inf(f, a)) {
        return negative ? FP_CLASS_NEG_INF : FP_CLASS_POS_INF;
    }
    if (magnitude >= min_normal) {
        return negative ? FP_CLASS_NEG_NORMAL : FP_CLASS_POS_NORMAL;
    }
    if (magnitude != 0) {
        return negative ? FP_CLASS_NEG_SUBNORMAL : FP_CLASS_POS_SUBNORMAL;
    }
    return negative ? FP_CLASS_NEG_ZERO : FP_CLASS_POS_ZERO;
}

#define FP_INSTANCE(s, T)                                                                          \
    T fp_min_##s(T a, T b, uint32_t *flags)                                                        \
    {                                                                                              \
        return (T)fp_extremum(fp_format_##s, a, b, false, false, flags);                           \
    }                                                                                              \
    T fp_max_##s(T a, T b, uint32_t *flags)                                                        \
    {                                                                                              \
        return (T)fp_extremum(fp_format_##s, a, b, true, false, flags);                            \
    }                                                                                              \
    T fp_minm_##s(T a, T b, uint32_t *flags)                                                       \
    {                                                                                              \
        return (T)fp_extremum(fp_format_##s, a, b, false, true, flags);                            \
    }                                                                                              \
    T fp_maxm_##s(T a, T b, uint32_t *flags)                                                       \
    {                                                                                              \
        return (T)fp_extremum(fp_format_##s, a, b, true, true, flags);                             \
    }                                                                                              \
    bool fp_eq_##s(T a, T b, uint32_t *flags)                                                      \
    {                                                                                              \
        return fp_eq(fp_format_##s, a, b, flags);                                                  \
    }                                                                                              \
    bool fp_lt_##s(T a, T b, uint32_t *flags)                                                      \
    {                                                                                              \
        return fp_lt(fp_format_##s, a, b, true, flags);                                            \
    }                                                                                              \
    bool fp_le_##s(T a, T b, uint32_t *flags)                                                      \
    {                                                                                              \
        return fp_le(fp_format_##s, a, b, true, flags);                                            \
    }                                                                                              \
    bool fp_ltq_##s(T a, T b, uint32_t *flags)                                                     \
    {                                                                                              \
        return fp_lt(fp_format_##s, a, b, false, flags);                                           \
    }                                                                                              \
    bool fp_leq_##s(T a, T b, uint32_t *flags)                                                     \
    {                                                                                              \
        return fp_le(fp_format_##s, a, b, false, flags);                                           \
    }                                                                                              \
    uint32_t fp_class_##s(T a)                                                                     \
    {                                                                                              \
        return fp_class(fp_format_##s, a);                                                         \
    }

FP_INSTANCE(h, uint16_t)
FP_INSTANCE(s, uint32_t)
FP_INSTANCE(d, uint64_t)
