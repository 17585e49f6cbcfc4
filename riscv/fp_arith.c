/* Addition, multiplication, division, square root and fused multiply-add; see riscv/fp.h. */
#include "riscv/fp_core.h"

/* A NaN among the operands: the canonical NaN, and NV for a signalling one. */
FP_INLINE uint64_t fp_propagate_nan(struct fp_format f, uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fp_is_snan(f, a) || fp_is_snan(f, b)) {
        *flags |= FP_NV;
    }
    return fp_nan(f);
}

/* At least one of `a`, `b` is not finite. */
FP_INLINE uint64_t fp_add_special(struct fp_format f, uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fp_is_nan(f, a) || fp_is_nan(f, b)) {
        return fp_propagate_nan(f, a, b, flags);
    }
    if (fp_is_inf(f, a) && fp_is_inf(f, b) && a != b) {
        return fp_invalid(f, flags);
    }
    return fp_is_inf(f, a) ? a : b;
}

FP_INLINE uint64_t fp_add(struct fp_format f, uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    if (__builtin_expect(!fp_is_finite(f, a) || !fp_is_finite(f, b), 0)) {
        return fp_add_special(f, a, b, flags);
    }
    if (fp_magnitude(f, a) < fp_magnitude(f, b)) {
        uint64_t swap = a;
        a = b;
        b = swap;
    }
    struct fp_num x = fp_unpack(f, a);
    struct fp_num y = fp_unpack(f, b);
    if (x.sig == 0) {
        return a == b ? a : fp_cancelled_zero(f, rm);
    }
    uint64_t sig = fp_shift_right_jam(y.sig, (unsigned)(x.exp - y.exp));
    if (x.sign == y.sign) {
        sig = x.sig + sig;
    } else {
        sig = x.sig - sig;
        if (sig == 0) {
            return fp_cancelled_zero(f, rm);
        }
    }
    return fp_normalize_round_pack(f, x.sign, x.exp, sig, rm, flags);
}

FP_INLINE uint64_t fp_sub(struct fp_format f, uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    return fp_add(f, a, b ^ fp_sign_bit(f), rm, flags);
}

/* At least one of `a`, `b` is not finite. */
FP_INLINE uint64_t fp_mul_special(struct fp_format f, uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fp_is_nan(f, a) || fp_is_nan(f, b)) {
        return fp_propagate_nan(f, a, b, flags);
    }
    if (fp_is_zero(f, a) || fp_is_zero(f, b)) {
        return fp_invalid(f, flags);
    }
    return fp_with_sign(f, fp_is_negative(f, a ^ b), fp_inf(f));
}

FP_INLINE uint64_t fp_mul(struct fp_format f, uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    if (__builtin_expect(!fp_is_finite(f, a) || !fp_is_finite(f, b), 0)) {
        return fp_mul_special(f, a, b, flags);
    }
    struct fp_num x = fp_unpack(f, a);
    struct fp_num y = fp_unpack(f, b);
    bool sign = x.sign != y.sign;
    if (x.sig == 0 || y.sig == 0) {
        return fp_with_sign(f, sign, 0);
    }
    unsigned __int128 product = (unsigned __int128)(x.sig << 1) * (y.sig << 1);
    uint64_t sig = (uint64_t)(product >> 64) | ((uint64_t)product != 0);
    return fp_normalize_round_pack(f, sign, x.exp + y.exp - fp_bias(f), sig, rm, flags);
}

/* At least one of `a`, `b` is zero or not finite. */
FP_INLINE uint64_t fp_div_special(struct fp_format f, uint64_t a, uint64_t b, uint32_t *flags)
{
    bool sign = fp_is_negative(f, a ^ b);

    if (fp_is_nan(f, a) || fp_is_nan(f, b)) {
        return fp_propagate_nan(f, a, b, flags);
    }
    if (fp_is_inf(f, a)) {
        return fp_is_inf(f, b) ? fp_invalid(f, flags) : fp_with_sign(f, sign, fp_inf(f));
    }
    if (fp_is_zero(f, b)) {
        if (fp_is_zero(f, a)) {
            return fp_invalid(f, flags);
        }
        *flags |= FP_DZ;
        return fp_with_sign(f, sign, fp_inf(f));
    }
    return fp_with_sign(f, sign, 0);
}

/*
 * floor(a * 2^54 / b) with the remainder's stickiness in bit 0 of the result, at bits 62..8. b has
 * 53 bits and b <= a < 2b. One hardware division gives 31 good bits of 1/b, one Newton step 60; the
 * quotient is then off by at most one, which the exact remainder, known modulo 2^64, mends.
 */
FP_INLINE uint64_t fp_divide_53(uint64_t a, uint64_t b)
{
    uint64_t divisor = b << 11;
    uint64_t guess = UINT64_MAX / (divisor >> 32); /* about 2^96 / divisor, below 2^33 */
    uint64_t unity = (uint64_t)(((unsigned __int128)(guess << 31) * divisor) >> 64);
    int64_t error = (int64_t)((UINT64_C(1) << 63) - unity);
    uint64_t recip = (guess << 31) + (uint64_t)(((int64_t)(guess >> 3) * error) >> 29);
    uint64_t quotient = (uint64_t)(((unsigned __int128)(a << 10) * recip) >> 72);
    int64_t rest = (int64_t)((a << 54) - quotient * b);

    if (rest < 0) {
        quotient--;
        rest += (int64_t)b;
    } else if (rest >= (int64_t)b) {
        quotient++;
        rest -= (int64_t)b;
    }
    return quotient << 8 | (rest != 0);
}

FP_INLINE uint64_t fp_div(struct fp_format f, uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    const unsigned shift = 62 - f.frac_bits;

    if (__builtin_expect(!fp_is_finite(f, a) || !fp_is_finite(f, b) || fp_is_zero(f, a) ||
                             fp_is_zero(f, b),
                         0)) {
        return fp_div_special(f, a, b, flags);
    }
    struct fp_num x = fp_unpack(f, a);
    struct fp_num y = fp_unpack(f, b);
    int exp = x.exp - y.exp + fp_bias(f);
    uint64_t dividend = x.sig >> shift;
    uint64_t divisor = y.sig >> shift;
    if (dividend < divisor) {
        dividend <<= 1;
        exp--;
    }
    uint64_t sig;
    if (f.frac_bits <= 23) {
        /* The quotient is in [2^38, 2^39): enough bits below the last place of a single. */
        dividend <<= 38;
        sig = dividend / divisor << 24 | (dividend % divisor != 0);
    } else {
        sig = fp_divide_53(dividend, divisor);
    }
    return fp_round_pack(f, x.sign != y.sign, exp, sig, rm, flags);
}

/*
 * 256 / sqrt(x) for x in the middle of [i / 32, (i + 1) / 32), i = 32..127: within 2^-6.8 of the
 * truth all over its interval.
 */
static const uint8_t fp_rsqrt_table[96] = {
    254, 250, 247, 243, 240, 236, 233, 230, 228, 225, 222, 220, 217, 215, 212, 210,
    208, 206, 204, 202, 200, 198, 196, 194, 193, 191, 189, 188, 186, 185, 183, 182,
    180, 179, 178, 176, 175, 174, 172, 171, 170, 169, 168, 167, 166, 164, 163, 162,
    161, 160, 159, 158, 158, 157, 156, 155, 154, 153, 152, 151, 151, 150, 149, 148,
    147, 147, 146, 145, 144, 144, 143, 142, 142, 141, 140, 140, 139, 138, 138, 137,
    137, 136, 135, 135, 134, 134, 133, 132, 132, 131, 131, 130, 130, 129, 129, 128,
};

/*
 * floor(2^54 * sqrt(x / 2^62)) with stickiness in bit 0, at bits 62..8; x >= 2^62. Three Newton
 * steps of r <- r (3 - x r^2) / 2 give 29 bits of 1/sqrt(x); one step on the root itself gives 57,
 * so that the 55-bit root is off by at most one.
 */
FP_INLINE uint64_t fp_root_54(uint64_t x)
{
    uint64_t high = x >> 32;
    uint64_t r = (uint64_t)fp_rsqrt_table[(x >> 57) - 32] << 23; /* scaled by 2^31 */

    for (int i = 0; i < 3; i++) {
        uint64_t unity = ((r * r >> 31) * high) >> 30;
        r = r * (3 * (UINT64_C(1) << 31) - unity) >> 32;
    }
    uint64_t coarse = high * r >> 30;
    int64_t rest = (int64_t)(x - coarse * coarse);
    uint64_t root = ((coarse << 32) + (uint64_t)((__int128)rest * (int64_t)r >> 31)) >> 9;

    rest = (int64_t)((x << 46) - root * root);
    if (rest < 0) {
        root--;
        rest += (int64_t)(2 * root + 1);
    } else if (rest > (int64_t)(2 * root)) {
        rest -= (int64_t)(2 * root + 1);
        root++;
    }
    return root << 8 | (rest != 0);
}

FP_INLINE uint64_t fp_sqrt(struct fp_format f, uint64_t a, unsigned rm, uint32_t *flags)
{
    if (fp_is_nan(f, a)) {
        return fp_propagate_nan(f, a, a, flags);
    }
    if (fp_is_zero(f, a)) {
        return a;
    }
    if (fp_is_negative(f, a)) {
        return fp_invalid(f, flags);
    }
    if (fp_is_inf(f, a)) {
        return a;
    }
    struct fp_num x = fp_unpack(f, a);
    int exp = x.exp - fp_bias(f);
    uint64_t sig = fp_root_54(x.sig << (exp & 1));
    return fp_round_pack(f, false, (exp >> 1) + fp_bias(f), sig, rm, flags);
}

/* At least one operand is not finite. */
FP_INLINE uint64_t fp_fma_special(struct fp_format f, uint64_t a, uint64_t b, uint64_t c,
                                  uint32_t *flags)
{
    bool sign = fp_is_negative(f, a ^ b);

    if ((fp_is_inf(f, a) && fp_is_zero(f, b)) || (fp_is_zero(f, a) && fp_is_inf(f, b))) {
        return fp_invalid(f, flags);
    }
    if (fp_is_nan(f, a) || fp_is_nan(f, b) || fp_is_nan(f, c)) {
        if (fp_is_snan(f, c)) {
            *flags |= FP_NV;
        }
        return fp_propagate_nan(f, a, b, flags);
    }
    if (fp_is_inf(f, a) || fp_is_inf(f, b)) {
        if (fp_is_inf(f, c) && fp_is_negative(f, c) != sign) {
            return fp_invalid(f, flags);
        }
        return fp_with_sign(f, sign, fp_inf(f));
    }
    return c;
}

/* By halves: a variable shift of a 128-bit number would be a call to the compiler's library on some
 * targets. */
FP_INLINE unsigned __int128 fp_shift_right_jam_128(unsigned __int128 x, unsigned n)
{
    uint64_t high = (uint64_t)(x >> 64);
    uint64_t low = (uint64_t)x;

    if (n == 0) {
        return x;
    }
    if (n >= 64) {
        return fp_shift_right_jam(high, n - 64) | (low != 0);
    }
    low = high << (64 - n) | fp_shift_right_jam(low, n);
    return (unsigned __int128)(high >> n) << 64 | low;
}

FP_INLINE uint64_t fp_fma(struct fp_format f, uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                          uint32_t *flags)
{
    if (__builtin_expect(!fp_is_finite(f, a) || !fp_is_finite(f, b) || !fp_is_finite(f, c), 0)) {
        return fp_fma_special(f, a, b, c, flags);
    }
    struct fp_num x = fp_unpack(f, a);
    struct fp_num y = fp_unpack(f, b);
    struct fp_num z = fp_unpack(f, c);
    bool sign = x.sign != y.sign;
    if (x.sig == 0 || y.sig == 0) {
        if (z.sig != 0 || z.sign == sign) {
            return c;
        }
        return fp_cancelled_zero(f, rm);
    }

    /*
     * Both terms as 128-bit numbers, where `exp` belongs to bit 124. The product has at least 20
     * zero bits at its end and the addend 72, so that aligning loses bits only where the difference
     * cancels at most one.
     */
    unsigned __int128 product = (unsigned __int128)x.sig * y.sig;
    unsigned __int128 addend = (unsigned __int128)z.sig << 62;
    int exp = x.exp + y.exp - fp_bias(f);
    if (exp >= z.exp) {
        addend = fp_shift_right_jam_128(addend, (unsigned)(exp - z.exp));
    } else {
        product = fp_shift_right_jam_128(product, (unsigned)(z.exp - exp));
        exp = z.exp;
    }
    unsigned __int128 sum;
    if (sign == z.sign) {
        sum = product + addend;
    } else if (product >= addend) {
        sum = product - addend;
    } else {
        sum = addend - product;
        sign = z.sign;
    }
    if (sum == 0) {
        return fp_cancelled_zero(f, rm);
    }

    uint64_t high = (uint64_t)(sum >> 64);
    uint64_t low = (uint64_t)sum;
    exp += 2;
    if (high == 0) {
        /* Deep cancellation: nothing was shifted out, and the 19 low bits of `sum` are zero. */
        high = low >> 1;
        low <<= 63;
        exp -= 63;
    }
    unsigned n = (unsigned)__builtin_clzll(high) - 1;
    if (n != 0) {
        high = high << n | low >> (64 - n);
        low <<= n;
    }
    return fp_round_pack(f, sign, exp - (int)n, high | (low != 0), rm, flags);
}

#define FP_INSTANCE(s, T)                                                                          \
    T fp_add_##s(T a, T b, unsigned rm, uint32_t *flags)                                           \
    {                                                                                              \
        return (T)fp_add(fp_format_##s, a, b, rm, flags);                                          \
    }                                                                                              \
    T fp_sub_##s(T a, T b, unsigned rm, uint32_t *flags)                                           \
    {                                                                                              \
        return (T)fp_sub(fp_format_##s, a, b, rm, flags);                                          \
    }                                                                                              \
    T fp_mul_##s(T a, T b, unsigned rm, uint32_t *flags)                                           \
    {                                                                                              \
        return (T)fp_mul(fp_format_##s, a, b, rm, flags);                                          \
    }                                                                                              \
    T fp_div_##s(T a, T b, unsigned rm, uint32_t *flags)                                           \
    {                                                                                              \
        return (T)fp_div(fp_format_##s, a, b, rm, flags);                                          \
    }                                                                                              \
    T fp_sqrt_##s(T a, unsigned rm, uint32_t *flags)                                               \
    {                                                                                              \
        return (T)fp_sqrt(fp_format_##s, a, rm, flags);                                            \
    }                                                                                              \
    T fp_fma_##s(T a, T b, T c, unsigned rm, uint32_t *flags)                                      \
    {                                                                                              \
        return (T)fp_fma(fp_format_##s, a, b, c, rm, flags);                                       \
    }

FP_INSTANCE(h, uint16_t)
FP_INSTANCE(s, uint32_t)
FP_INSTANCE(d, uint64_t)
