/* Rounding to integers, conversions and the constants of Zfa; see riscv/fp.h. */
#include "riscv/fp_core.h"

/*
 * Whether a magnitude is rounded up to the next integer: `odd` is its integer part's last bit,
 * `frac` its fraction in units of 2^-64 (sticky in bit 0).
 */
FP_INLINE bool fp_rounds_up(bool sign, bool odd, uint64_t frac, unsigned rm)
{
    const uint64_t half = UINT64_C(1) << 63;

    switch (rm) {
    case FP_RNE: return frac > half || (frac == half && odd);
    case FP_RMM: return frac >= half;
    case FP_RDN: return sign && frac != 0;
    case FP_RUP: return !sign && frac != 0;
    default: return false;
    }
}

/* `a` is finite and its magnitude below 2^64. Its integer part, and its fraction in units of 2^-64
 * (sticky). */
FP_INLINE uint64_t fp_split(struct fp_format f, struct fp_num num, uint64_t *frac)
{
    uint64_t sig = num.sig << 1;
    int exp = num.exp - fp_bias(f);

    if (exp < 0) {
        *frac = fp_shift_right_jam(sig, (unsigned)(-1 - exp));
        return 0;
    }
    *frac = exp == 63 ? 0 : sig << (exp + 1);
    return sig >> (63 - exp);
}

/*
 * To an integer in [-max - 1, max] (`max` = INT32_MAX, INT64_MAX) or [0, max] (UINT32_MAX,
 * UINT64_MAX); negative ones in two's complement.
 */
FP_INLINE uint64_t fp_to_int(struct fp_format f, uint64_t a, bool is_signed, uint64_t max,
                             unsigned rm, uint32_t *flags)
{
    bool sign = fp_is_negative(f, a);
    uint64_t limit = !sign ? max : is_signed ? max + 1 : 0;

    if (__builtin_expect(fp_is_nan(f, a), 0)) {
        *flags |= FP_NV;
        return max;
    }
    struct fp_num num = fp_unpack(f, a);
    if (num.exp < fp_bias(f) + 64 && fp_is_finite(f, a)) {
        uint64_t frac;
        uint64_t magnitude = fp_split(f, num, &frac);
        /* A number with a fraction is below 2^53: no overflow. */
        magnitude += fp_rounds_up(sign, magnitude & 1, frac, rm);
        if (magnitude <= limit) {
            if (frac != 0) {
                *flags |= FP_NX;
            }
            return sign ? -magnitude : magnitude;
        }
    }
    *flags |= FP_NV;
    return sign ? -limit : limit;
}

FP_INLINE uint64_t fp_from_int(struct fp_format f, bool sign, uint64_t magnitude, unsigned rm,
                               uint32_t *flags)
{
    if (magnitude == 0) {
        return 0;
    }
    return fp_normalize_round_pack(f, sign, fp_bias(f) + 62, magnitude, rm, flags);
}

FP_INLINE uint64_t fp_from_signed(struct fp_format f, int64_t a, unsigned rm, uint32_t *flags)
{
    return fp_from_int(f, a < 0, a < 0 ? -(uint64_t)a : (uint64_t)a, rm, flags);
}

FP_INLINE uint64_t fp_round(struct fp_format f, uint64_t a, unsigned rm, bool exact,
                            uint32_t *flags)
{
    bool sign = fp_is_negative(f, a);
    uint64_t magnitude = fp_magnitude(f, a);
    int exp = (int)(magnitude >> f.frac_bits) - fp_bias(f);

    if (exp >= (int)f.frac_bits) {
        if (fp_is_nan(f, a)) {
            *flags |= fp_is_snan(f, a) ? FP_NV : 0;
            return fp_nan(f);
        }
        return a;
    }
    uint64_t frac;
    uint64_t integer = fp_split(f, fp_unpack(f, a), &frac);
    if (frac == 0) {
        return a;
    }
    if (exact) {
        *flags |= FP_NX;
    }
    uint64_t increment = fp_rounds_up(sign, integer & 1, frac, rm);
    if (exp < 0) {
        uint64_t one = (uint64_t)fp_bias(f) << f.frac_bits;
        return fp_with_sign(f, sign, increment ? one : 0);
    }
    unsigned shift = f.frac_bits - (unsigned)exp;
    /* A carry moves into the exponent, as it should. */
    return fp_with_sign(f, sign, ((magnitude >> shift) + increment) << shift);
}

/* From format `f` to format `to`. */
FP_INLINE uint64_t fp_convert(struct fp_format f, struct fp_format to, uint64_t a, unsigned rm,
                              uint32_t *flags)
{
    bool sign = fp_is_negative(f, a);

    if (__builtin_expect(!fp_is_finite(f, a), 0)) {
        if (fp_is_snan(f, a)) {
            *flags |= FP_NV;
        }
        return fp_is_nan(f, a) ? fp_nan(to) : fp_with_sign(to, sign, fp_inf(to));
    }
    struct fp_num num = fp_unpack(f, a);
    if (num.sig == 0) {
        return fp_with_sign(to, sign, 0);
    }
    return fp_round_pack(to, sign, num.exp - fp_bias(f) + fp_bias(to), num.sig, rm, flags);
}

/* The finite constants of fli but -1.0 and the least normal number: quarters * 2^(exp - 2),
 * quarters = 4..7. */
static const struct {
    int8_t exp;
    uint8_t quarters;
} fp_li_table[28] = {
    {-16, 4}, {-15, 4}, {-8, 4}, {-7, 4}, {-4, 4}, {-3, 4}, {-2, 4}, {-2, 5}, {-2, 6}, {-2, 7},
    {-1, 4},  {-1, 5},  {-1, 6}, {-1, 7}, {0, 4},  {0, 5},  {0, 6},  {0, 7},  {1, 4},  {1, 5},
    {1, 6},   {2, 4},   {3, 4},  {4, 4},  {7, 4},  {8, 4},  {15, 4}, {16, 4},
};

/* Unprivileged ISA, chapter Zfa, "Load-Immediate Instructions". 2^16 is infinite in half precision.
 */
FP_INLINE uint64_t fp_li(struct fp_format f, unsigned index)
{
    uint32_t unused = 0;

    switch (index &= 31) {
    case 0: return fp_with_sign(f, true, (uint64_t)fp_bias(f) << f.frac_bits);
    case 1: return UINT64_C(1) << f.frac_bits;
    case 30: return fp_inf(f);
    case 31: return fp_nan(f);
    default:
        return fp_round_pack(f, false, fp_li_table[index - 2].exp + fp_bias(f),
                             (uint64_t)fp_li_table[index - 2].quarters << 60, FP_RNE, &unused);
    }
}

#define FP_INSTANCE(s, T)                                                                          \
    T fp_round_##s(T a, unsigned rm, bool exact, uint32_t *flags)                                  \
    {                                                                                              \
        return (T)fp_round(fp_format_##s, a, rm, exact, flags);                                    \
    }                                                                                              \
    int32_t fp_to_i32_##s(T a, unsigned rm, uint32_t *flags)                                       \
    {                                                                                              \
        return (int32_t)fp_to_int(fp_format_##s, a, true, INT32_MAX, rm, flags);                   \
    }                                                                                              \
    uint32_t fp_to_u32_##s(T a, unsigned rm, uint32_t *flags)                                      \
    {                                                                                              \
        return (uint32_t)fp_to_int(fp_format_##s, a, false, UINT32_MAX, rm, flags);                \
    }                                                                                              \
    int64_t fp_to_i64_##s(T a, unsigned rm, uint32_t *flags)                                       \
    {                                                                                              \
        return (int64_t)fp_to_int(fp_format_##s, a, true, INT64_MAX, rm, flags);                   \
    }                                                                                              \
    uint64_t fp_to_u64_##s(T a, unsigned rm, uint32_t *flags)                                      \
    {                                                                                              \
        return fp_to_int(fp_format_##s, a, false, UINT64_MAX, rm, flags);                          \
    }                                                                                              \
    T fp_from_i32_##s(int32_t a, unsigned rm, uint32_t *flags)                                     \
    {                                                                                              \
        return (T)fp_from_signed(fp_format_##s, a, rm, flags);                                     \
    }                                                                                              \
    T fp_from_u32_##s(uint32_t a, unsigned rm, uint32_t *flags)                                    \
    {                                                                                              \
        return (T)fp_from_int(fp_format_##s, false, a, rm, flags);                                 \
    }                                                                                              \
    T fp_from_i64_##s(int64_t a, unsigned rm, uint32_t *flags)                                     \
    {                                                                                              \
        return (T)fp_from_signed(fp_format_##s, a, rm, flags);                                     \
    }                                                                                              \
    T fp_from_u64_##s(uint64_t a, unsigned rm, uint32_t *flags)                                    \
    {                                                                                              \
        return (T)fp_from_int(fp_format_##s, false, a, rm, flags);                                 \
    }                                                                                              \
    T fp_li_##s(unsigned index)                                                                    \
    {                                                                                              \
        return (T)fp_li(fp_format_##s, index);                                                     \
    }

FP_INSTANCE(h, uint16_t)
FP_INSTANCE(s, uint32_t)
FP_INSTANCE(d, uint64_t)

uint32_t fp_h_to_s(uint16_t a, uint32_t *flags)
{
    return (uint32_t)fp_convert(fp_format_h, fp_format_s, a, FP_RNE, flags);
}

uint64_t fp_h_to_d(uint16_t a, uint32_t *flags)
{
    return fp_convert(fp_format_h, fp_format_d, a, FP_RNE, flags);
}

uint64_t fp_s_to_d(uint32_t a, uint32_t *flags)
{
    return fp_convert(fp_format_s, fp_format_d, a, FP_RNE, flags);
}

uint16_t fp_s_to_h(uint32_t a, unsigned rm, uint32_t *flags)
{
    return (uint16_t)fp_convert(fp_format_s, fp_format_h, a, rm, flags);
}

uint16_t fp_d_to_h(uint64_t a, unsigned rm, uint32_t *flags)
{
    return (uint16_t)fp_convert(fp_format_d, fp_format_h, a, rm, flags);
}

uint32_t fp_d_to_s(uint64_t a, unsigned rm, uint32_t *flags)
{
    return (uint32_t)fp_convert(fp_format_d, fp_format_s, a, rm, flags);
}

/* Unprivileged ISA, chapter Zfa: the flags are those of fcvt.w.d; NaN and infinity give 0. */
int32_t fp_cvtmod_w_d(uint64_t a, uint32_t *flags)
{
    (void)fp_to_i32_d(a, FP_RTZ, flags);
    if (!fp_is_finite(fp_format_d, a)) {
        return 0;
    }
    struct fp_num num = fp_unpack(fp_format_d, a);
    int exp = num.exp - fp_bias(fp_format_d);
    uint32_t low = 0;
    /* Bit 62 of the significand has weight 2^exp; from 2^84 on its last place, bit 10, is beyond
     * bit 31. */
    if (exp >= 62 && exp < 84) {
        low = (uint32_t)(num.sig << (exp - 62));
    } else if (exp >= 0 && exp < 62) {
        low = (uint32_t)(num.sig >> (62 - exp));
    }
    return (int32_t)(num.sign ? -low : low);
}
