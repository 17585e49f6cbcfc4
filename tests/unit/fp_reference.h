/*
 * What the tests of riscv/fp compare with: the host's FPU. SSE rounds, raises flags and detects
 * tininess (after rounding) as RISC-V does; only NaNs differ and are made canonical here. What the
 * host lacks is derived from it: RMM equals RNE but for ties, which exact quad-precision arithmetic
 * finds; half precision is computed exactly, or rounded to odd, in double and then rounded by
 * ref_half.
 */
#ifndef TESTS_FP_REFERENCE_H
#define TESTS_FP_REFERENCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "riscv/fp.h"

#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOINLINE static __attribute__((noinline, unused))

typedef __float128 quad;

/* ---- bits and formats ---- */

struct format {
    const char *name;
    unsigned exp_bits, frac_bits;
    uint64_t nan;
};

static const struct format half_format = {"h", 5, 10, 0x7e00};
static const struct format single_format = {"s", 8, 23, 0x7fc00000};
static const struct format double_format = {"d", 11, 52, 0x7ff8000000000000};

static inline double as_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline float as_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof(x));
    return x;
}

static inline uint64_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline double half_value(uint64_t bits)
{
    int exp = (int)(bits >> 10 & 31);
    double frac = (double)(bits & 1023);
    double value = exp == 31
                       ? (frac != 0 ? as_double(double_format.nan) : as_double(0x7ffULL << 52))
                   : exp == 0 ? ldexp(frac, -24)
                              : ldexp(frac + 1024, exp - 25);
    return bits & 0x8000 ? -value : value;
}

static inline bool is_nan(const struct format *f, uint64_t a)
{
    uint64_t inf = ((1ULL << f->exp_bits) - 1) << f->frac_bits;
    return (a & ((1ULL << (f->exp_bits + f->frac_bits)) - 1)) > inf;
}

static inline bool is_snan(const struct format *f, uint64_t a)
{
    return is_nan(f, a) && (a >> (f->frac_bits - 1) & 1) == 0;
}

static inline bool is_inf(const struct format *f, uint64_t a)
{
    return (a & ((1ULL << (f->exp_bits + f->frac_bits)) - 1)) ==
           f->nan - (1ULL << (f->frac_bits - 1));
}

static inline bool is_zero(const struct format *f, uint64_t a)
{
    return (a & ((1ULL << (f->exp_bits + f->frac_bits)) - 1)) == 0;
}

static inline uint64_t canonical(const struct format *f, uint64_t a)
{
    return is_nan(f, a) ? f->nan : a;
}

/* ---- operands ---- */

static uint64_t random_state;

static inline uint64_t random_bits(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Fractions that provoke ties and long carries as often as plain ones, exponents near `near` or
 * near the borders. */
static inline uint64_t random_operand(const struct format *f, uint64_t near)
{
    uint64_t r = random_bits();
    uint64_t exp_mask = (1ULL << f->exp_bits) - 1;
    uint64_t frac_mask = (1ULL << f->frac_bits) - 1;
    uint64_t frac = random_bits() & frac_mask;
    uint64_t exp = random_bits() & exp_mask;

    switch (r & 7) {
    case 0: frac &= -(1ULL << (r >> 8) % f->frac_bits); break;
    case 1: frac |= (1ULL << (r >> 8) % f->frac_bits) - 1; break;
    case 2: frac = 1ULL << (r >> 8) % f->frac_bits; break;
    case 3: frac = -(1ULL << (r >> 8) % f->frac_bits) & frac_mask; break;
    case 4: frac = r >> 8 & 3; break;
    }
    switch (r >> 3 & 7) {
    case 0: exp = (near >> f->frac_bits) + (r >> 16) % 7 - 3; break;
    case 1:
        exp = (near >> f->frac_bits) + (r >> 16) % (2 * f->frac_bits + 8) - f->frac_bits - 4;
        break;
    case 2: exp = (r >> 16) % 4; break;
    case 3: exp = exp_mask - (r >> 16) % 4; break;
    case 4: exp = exp_mask / 2 + (r >> 16) % 9 - 4; break;
    }
    exp &= exp_mask;
    return (r >> 63) << (f->exp_bits + f->frac_bits) | exp << f->frac_bits | frac;
}

/* Zero, subnormals, both ends of the normals, ones, a tie's halves, infinity and NaNs, of both
 * signs. */
static inline size_t special_operands(const struct format *f, uint64_t *out)
{
    uint64_t min_normal = 1ULL << f->frac_bits;
    uint64_t one = ((1ULL << (f->exp_bits - 1)) - 1) << f->frac_bits;
    uint64_t inf = ((1ULL << f->exp_bits) - 1) << f->frac_bits;
    const uint64_t values[] = {
        0,
        1,
        2,
        3,
        min_normal / 2,
        min_normal - 1,
        min_normal,
        min_normal + 1,
        2 * min_normal - 1,
        2 * min_normal,
        one - f->frac_bits * min_normal,
        one - (f->frac_bits + 1) * min_normal,
        one - min_normal,
        one - 1,
        one,
        one + 1,
        one + min_normal / 2,
        one + min_normal,
        one + f->frac_bits * min_normal + 1,
        inf - min_normal,
        inf - 1,
        inf,
        f->nan,
        inf + 1,
    };

    for (size_t i = 0; i < COUNT(values); i++) {
        out[2 * i] = values[i];
        out[2 * i + 1] = values[i] | 1ULL << (f->exp_bits + f->frac_bits);
    }
    return 2 * COUNT(values);
}

#define MAX_SPECIAL 64

/* ---- the host's FPU ---- */

static inline void host_begin(unsigned rm)
{
    static const unsigned control[] = {_MM_ROUND_NEAREST, _MM_ROUND_TOWARD_ZERO, _MM_ROUND_DOWN,
                                       _MM_ROUND_UP};
    _mm_setcsr(_MM_MASK_MASK | control[rm]);
    __asm__ volatile("" ::: "memory");
}

static inline uint32_t host_end(void)
{
    __asm__ volatile("" ::: "memory");
    unsigned csr = _mm_getcsr();
    _mm_setcsr(_MM_MASK_MASK);
    return (csr & _MM_EXCEPT_INVALID ? FP_NV : 0u) | (csr & _MM_EXCEPT_DIV_ZERO ? FP_DZ : 0u) |
           (csr & _MM_EXCEPT_OVERFLOW ? FP_OF : 0u) | (csr & _MM_EXCEPT_UNDERFLOW ? FP_UF : 0u) |
           (csr & _MM_EXCEPT_INEXACT ? FP_NX : 0u);
}

/* `rm` is not RMM: the host has no such mode. The volatile accesses keep the operation between
 * begin and end. */
typedef uint64_t host_fn(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags);

#define HOST_OP(name, type, as_type, type_bits, expression, attribute)                             \
    NOINLINE attribute uint64_t name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,              \
                                     uint32_t *flags)                                              \
    {                                                                                              \
        volatile type va = as_type(a), vb = as_type(b), vc = as_type(c), result;                   \
        host_begin(rm);                                                                            \
        type x = va, y = vb, z = vc;                                                               \
        (void)y, (void)z;                                                                          \
        result = expression;                                                                       \
        *flags |= host_end();                                                                      \
        return type_bits(result);                                                                  \
    }

#define HOST_OPS(s, type, as_type, type_bits, sqrt_builtin, fma_builtin)                           \
    HOST_OP(host_add_##s, type, as_type, type_bits, x + y, )                                       \
    HOST_OP(host_sub_##s, type, as_type, type_bits, x - y, )                                       \
    HOST_OP(host_mul_##s, type, as_type, type_bits, x *y, )                                        \
    HOST_OP(host_div_##s, type, as_type, type_bits, x / y, )                                       \
    HOST_OP(host_sqrt_##s, type, as_type, type_bits, sqrt_builtin, )                               \
    HOST_OP(host_fma_##s, type, as_type, type_bits, fma_builtin(x, y, z),                          \
            __attribute__((target("fma"))))

HOST_OPS(d, double, as_double, double_bits,
         _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(x), _mm_set_sd(x))), __builtin_fma)
HOST_OPS(s, float, as_float, float_bits, _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))), __builtin_fmaf)

/* Integers are passed in two's complement. */
#define HOST_CONVERSION(name, from, as_from, to, to_bits)                                          \
    NOINLINE uint64_t name(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)       \
    {                                                                                              \
        volatile from operand = as_from(a);                                                        \
        volatile to result;                                                                        \
        (void)b, (void)c;                                                                          \
        host_begin(rm);                                                                            \
        result = (to)operand;                                                                      \
        *flags |= host_end();                                                                      \
        return to_bits(result);                                                                    \
    }

HOST_CONVERSION(host_d_to_s, double, as_double, float, float_bits)
HOST_CONVERSION(host_i64_to_d, int64_t, (int64_t), double, double_bits)
HOST_CONVERSION(host_i64_to_s, int64_t, (int64_t), float, float_bits)

/* Halving with a sticky bit keeps a number of 64 bits in the signed range and its rounding as it
 * was. */
static inline uint64_t host_u64_to_d(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                     uint32_t *flags)
{
    if (a >> 63 == 0) {
        return host_i64_to_d(a, b, c, rm, flags);
    }
    return host_i64_to_d(a >> 1 | (a & 1), b, c, rm, flags) + (1ULL << 52);
}

static inline uint64_t host_u64_to_s(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                     uint32_t *flags)
{
    if (a >> 63 == 0) {
        return host_i64_to_s(a, b, c, rm, flags);
    }
    return host_i64_to_s(a >> 1 | (a & 1), b, c, rm, flags) + (1ULL << 23);
}

/* ---- RMM from the host's other modes ---- */

/* Whether `middle` is exactly the result of the operation on these finite operands. */
typedef bool exact_fn(quad a, quad b, quad c, quad middle);

static inline quad magnitude(quad x)
{
    return x < 0 ? -x : x;
}

static inline bool sum_is(quad a, quad b, quad sum)
{
    return magnitude(a) >= magnitude(b) ? sum - a == b : sum - b == a;
}

static inline bool exact_add(quad a, quad b, quad c, quad middle)
{
    (void)c;
    return sum_is(a, b, middle);
}

static inline bool exact_sub(quad a, quad b, quad c, quad middle)
{
    (void)c;
    return sum_is(a, -b, middle);
}

static inline bool exact_mul(quad a, quad b, quad c, quad middle)
{
    (void)c;
    return a * b == middle;
}

static inline bool exact_div(quad a, quad b, quad c, quad middle)
{
    (void)c;
    return middle * b == a;
}

/* A root that is a tie would need a radicand of more than twice the precision. */
static inline bool exact_sqrt(quad a, quad b, quad c, quad middle)
{
    (void)a, (void)b, (void)c, (void)middle;
    return false;
}

static inline bool exact_fma(quad a, quad b, quad c, quad middle)
{
    return sum_is(a * b, c, middle);
}

static inline bool exact_value(quad a, quad b, quad c, quad middle)
{
    (void)b, (void)c;
    return a == middle;
}

static inline quad value_of(const struct format *f, uint64_t bits)
{
    return f == &half_format     ? half_value(bits)
           : f == &single_format ? as_float(bits)
                                 : as_double(bits);
}

/* The host's result in `rm`; `operands` are the exact values, wanted for RMM alone. */
static inline uint64_t host_in_mode(const struct format *to, host_fn *host, exact_fn *exact,
                                    const uint64_t *bits, const quad *operands, unsigned rm,
                                    uint32_t *flags)
{
    uint32_t unused = 0;
    uint64_t nearest = host(bits[0], bits[1], bits[2], rm == FP_RMM ? FP_RNE : rm, flags);

    if (rm != FP_RMM || (*flags & FP_NX) == 0) {
        return nearest;
    }
    uint64_t down = host(bits[0], bits[1], bits[2], FP_RDN, &unused);
    uint64_t up = host(bits[0], bits[1], bits[2], FP_RUP, &unused);
    if (is_inf(to, down) || is_inf(to, up)) {
        return nearest;
    }
    quad low = value_of(to, down), high = value_of(to, up);
    if (!exact(operands[0], operands[1], operands[2], low + (high - low) / 2)) {
        return nearest;
    }
    return magnitude(low) > magnitude(high) ? down : up;
}

/* ---- half precision from exact or odd-rounded doubles ---- */

/* The multiple of 2^unit that `x` rounds to (in units); x / 2^unit is below 2^62. */
static inline int64_t round_to_units(double x, int unit, unsigned rm, bool *inexact)
{
    double scaled = ldexp(fabs(x), -unit);
    int64_t whole = (int64_t)scaled;
    double rest = scaled - (double)whole;
    bool negative = signbit(x), up = false;

    *inexact = rest != 0;
    switch (rm) {
    case FP_RNE: up = rest > 0.5 || (rest == 0.5 && whole % 2 != 0); break;
    case FP_RMM: up = rest >= 0.5; break;
    case FP_RDN: up = negative && rest != 0; break;
    case FP_RUP: up = !negative && rest != 0; break;
    }
    return whole + up;
}

/* A number that is exact, or rounded to odd to 53 bits, to half. */
static inline uint64_t ref_half(double x, unsigned rm, uint32_t *flags)
{
    uint64_t sign = signbit(x) ? 0x8000 : 0;
    bool inexact, ignored;
    int exp;

    if (isnan(x)) {
        return 0x7e00;
    }
    if (isinf(x) || x == 0) {
        return sign | (x == 0 ? 0 : 0x7c00);
    }
    (void)frexp(x, &exp);
    exp--;
    double unbounded = ldexp((double)round_to_units(x, exp - 10, rm, &ignored), exp - 10);
    int unit = (exp < -14 ? -14 : exp) - 10;
    int64_t units = round_to_units(x, unit, rm, &inexact);
    double value = ldexp((double)units, unit);
    if (value > 65504) {
        bool to_inf = rm == FP_RNE || rm == FP_RMM || rm == (sign ? FP_RDN : FP_RUP);
        *flags |= FP_OF | FP_NX;
        return sign | (to_inf ? 0x7c00 : 0x7bff);
    }
    *flags |= inexact ? FP_NX : 0;
    if (inexact && unbounded < 0x1p-14) {
        *flags |= FP_UF;
    }
    if (value < 0x1p-14) {
        return sign | (uint64_t)ldexp(value, 24);
    }
    (void)frexp(value, &exp);
    return sign | (uint64_t)(exp + 14) << 10 | ((uint64_t)ldexp(value, 11 - exp) & 1023);
}

/* Toward zero, with the last bit set when inexact; host flags but the rounding's are passed on. */
static inline double odd_host(host_fn *host, double a, double b, double c, uint32_t *flags)
{
    uint32_t raised = 0;
    uint64_t bits = host(double_bits(a), double_bits(b), double_bits(c), FP_RTZ, &raised);

    *flags |= raised & (FP_NV | FP_DZ);
    return as_double(bits | (raised & FP_NX ? 1 : 0));
}

static inline double odd_from_quad(quad x)
{
    double d = (double)x;
    uint64_t bits = double_bits(d);

    if ((quad)d != x) {
        bits -= magnitude(d) > magnitude(x);
        bits |= 1;
    }
    return as_double(bits);
}

static inline uint32_t half_snan_flag(uint64_t a, uint64_t b, uint64_t c)
{
    bool any = is_snan(&half_format, a) || is_snan(&half_format, b) || is_snan(&half_format, c);
    return any ? FP_NV : 0;
}

#define HALF_REF(name, arity)                                                                      \
    static inline uint64_t ref_##name##_h(uint64_t a, uint64_t b, uint64_t c, unsigned rm,         \
                                          uint32_t *flags)                                         \
    {                                                                                              \
        *flags |= half_snan_flag(a, (arity) > 1 ? b : 0, 0);                                       \
        double x = odd_host(host_##name##_d, half_value(a), half_value(b), half_value(c), flags);  \
        if (x == 0 && rm == FP_RDN) { /* the sign of a cancelled zero depends on the mode */       \
            uint32_t unused = 0;                                                                   \
            x = as_double(host_##name##_d(double_bits(half_value(a)), double_bits(half_value(b)),  \
                                          0, rm, &unused));                                        \
        }                                                                                          \
        return ref_half(x, rm, flags);                                                             \
    }
HALF_REF(add, 2)
HALF_REF(sub, 2)
HALF_REF(mul, 2)
HALF_REF(div, 2)
HALF_REF(sqrt, 1)

static inline uint64_t ref_fma_h(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags)
{
    double x = half_value(a), y = half_value(b), z = half_value(c);

    *flags |= half_snan_flag(a, b, c);
    if (!isfinite(x) || !isfinite(y) || !isfinite(z)) {
        if ((isinf(x) && y == 0) || (x == 0 && isinf(y))) {
            *flags |= FP_NV;
            return 0x7e00;
        }
        return ref_half(odd_host(host_add_d, x * y, z, 0, flags), rm, flags);
    }
    quad sum = (quad)(x * y) + z;
    if (sum == 0) {
        uint32_t unused = 0;
        unsigned zero_rm = rm == FP_RMM ? FP_RNE : rm;
        return ref_half(
            as_double(host_add_d(double_bits(x * y), double_bits(z), 0, zero_rm, &unused)), rm,
            flags);
    }
    return ref_half(odd_from_quad(sum), rm, flags);
}

/* ---- comparison ---- */

static inline void expect(const char *what, const struct format *f, const uint64_t *in, unsigned rm,
                          uint64_t want, uint32_t want_flags, uint64_t got, uint32_t got_flags)
{
    if (want != got || want_flags != got_flags) {
        fail_msg("%s.%s(%llx, %llx, %llx) rm %u: expected %llx flags %x, got %llx flags %x", what,
                 f->name, (unsigned long long)in[0], (unsigned long long)in[1],
                 (unsigned long long)in[2], rm, (unsigned long long)want, want_flags,
                 (unsigned long long)got, got_flags);
    }
}

#endif
