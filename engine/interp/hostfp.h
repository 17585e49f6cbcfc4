/*
 * Floating point by the host's FPU where that is provably what fp_* gives, else by fp_*: the
 * interpreter's fast path.
 *
 * With round-to-nearest-even and NX already set in *flags, a sum, product, quotient, root or fused
 * product of finite numbers can change the flags only by overflow, underflow, division by zero or
 * invalidity; all of these show in the result (infinite, NaN, or not above the least normal
 * number). So the host's result is taken when it is a number that shows none, and the host's own
 * flags are never read. *flags must hold the hart's accrued fflags; when it does not have NX, or
 * `rm` is another mode, the functions are fp_* themselves.
 *
 * The thread's floating-point environment is the default one (to nearest, subnormals honoured).
 * Formats, `rm` and flags are those of riscv/fp.h.
 */
#ifndef ENGINE_INTERP_HOSTFP_H
#define ENGINE_INTERP_HOSTFP_H

#include "riscv/fp.h"

#include <float.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

/* Whether the compiler's float and double are IEEE 754's, without excess precision. */
#if FLT_EVAL_METHOD == 0 && !defined(__FAST_MATH__)
#define HOSTFP_USABLE 1
#else
#define HOSTFP_USABLE 0
#endif

#define HOSTFP_LIKELY(x) __builtin_expect(x, 1)

static inline bool hostfp_allowed(unsigned rm, const uint32_t *flags)
{
    return HOSTFP_USABLE && rm == FP_RNE && (*flags & FP_NX) != 0;
}

/* Roots: false if this host has no instruction that the compiler lets us name. */
static inline bool hostfp_root_d(double a, double *root)
{
#ifdef __SSE2__
    *root = _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(a), _mm_set_sd(a)));
    return true;
#else
    (void)a, (void)root;
    return false;
#endif
}

static inline bool hostfp_root_s(float a, float *root)
{
#ifdef __SSE2__
    *root = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a)));
    return true;
#else
    (void)a, (void)root;
    return false;
#endif
}

/*
 * Fused multiply-add in hardware. Where it is optional (x86-64) it is asked for at run time, and
 * the instruction is in a function of its own: only code compiled for it may inline it. The
 * library's fma() is slower than fp_fma.
 */
#if defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
#define HOSTFP_FMA static inline
#elif defined(__x86_64__)
#define HOSTFP_FMA static __attribute__((target("fma"), noinline, unused))
#endif

#ifdef HOSTFP_FMA
HOSTFP_FMA double hostfp_fused_d(double a, double b, double c)
{
    return __builtin_fma(a, b, c);
}

HOSTFP_FMA float hostfp_fused_s(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

static inline bool hostfp_has_fma(void)
{
#ifdef __FP_FAST_FMA
    return true;
#else
    return __builtin_cpu_supports("fma");
#endif
}
#else
static inline bool hostfp_has_fma(void)
{
    return false;
}

static inline double hostfp_fused_d(double a, double b, double c)
{
    (void)b, (void)c;
    return a;
}

static inline float hostfp_fused_s(float a, float b, float c)
{
    (void)b, (void)c;
    return a;
}
#endif

/*
 * s: the suffix; T: the bits; F: the type; INF: the bits of infinity; MIN: those of the least
 * normal number, which is excluded because a result may have been rounded up to it.
 */
#define HOSTFP_FORMAT(s, T, F, INF, MIN)                                                           \
    static inline F hostfp_value_##s(T bits)                                                       \
    {                                                                                              \
        F x;                                                                                       \
        memcpy(&x, &bits, sizeof(x));                                                              \
        return x;                                                                                  \
    }                                                                                              \
    static inline T hostfp_bits_##s(F x)                                                           \
    {                                                                                              \
        T bits;                                                                                    \
        memcpy(&bits, &x, sizeof(bits));                                                           \
        return bits;                                                                               \
    }                                                                                              \
    /* Then all operands of a sum or a root were finite, too. Sums do not underflow: they are      \
       exact where they are small. */                                                              \
    static inline bool hostfp_finite_##s(T bits)                                                   \
    {                                                                                              \
        return (bits << 1) < (T)((INF) << 1);                                                      \
    }                                                                                              \
    /* Then all operands of a product, a quotient or a fused product were finite, too. */          \
    static inline bool hostfp_normal_##s(T bits)                                                   \
    {                                                                                              \
        return (T)((bits << 1) - (((MIN) << 1) + 1)) < (T)(((INF) << 1) - (((MIN) << 1) + 1));     \
    }                                                                                              \
    static inline T hostfp_add_##s(T a, T b, unsigned rm, uint32_t *flags)                         \
    {                                                                                              \
        if (HOSTFP_LIKELY(hostfp_allowed(rm, flags))) {                                            \
            T sum = hostfp_bits_##s(hostfp_value_##s(a) + hostfp_value_##s(b));                    \
            if (HOSTFP_LIKELY(hostfp_finite_##s(sum))) {                                           \
                return sum;                                                                        \
            }                                                                                      \
        }                                                                                          \
        return fp_add_##s(a, b, rm, flags);                                                        \
    }                                                                                              \
    static inline T hostfp_sub_##s(T a, T b, unsigned rm, uint32_t *flags)                         \
    {                                                                                              \
        if (HOSTFP_LIKELY(hostfp_allowed(rm, flags))) {                                            \
            T difference = hostfp_bits_##s(hostfp_value_##s(a) - hostfp_value_##s(b));             \
            if (HOSTFP_LIKELY(hostfp_finite_##s(difference))) {                                    \
                return difference;                                                                 \
            }                                                                                      \
        }                                                                                          \
        return fp_sub_##s(a, b, rm, flags);                                                        \
    }                                                                                              \
    static inline T hostfp_mul_##s(T a, T b, unsigned rm, uint32_t *flags)                         \
    {                                                                                              \
        if (HOSTFP_LIKELY(hostfp_allowed(rm, flags))) {                                            \
            T product = hostfp_bits_##s(hostfp_value_##s(a) * hostfp_value_##s(b));                \
            if (HOSTFP_LIKELY(hostfp_normal_##s(product))) {                                       \
                return product;                                                                    \
            }                                                                                      \
        }                                                                                          \
        return fp_mul_##s(a, b, rm, flags);                                                        \
    }                                                                                              \
    static inline T hostfp_div_##s(T a, T b, unsigned rm, uint32_t *flags)                         \
    {                                                                                              \
        if (HOSTFP_LIKELY(hostfp_allowed(rm, flags))) {                                            \
            T quotient = hostfp_bits_##s(hostfp_value_##s(a) / hostfp_value_##s(b));               \
            if (HOSTFP_LIKELY(hostfp_normal_##s(quotient))) {                                      \
                return quotient;                                                                   \
            }                                                                                      \
        }                                                                                          \
        return fp_div_##s(a, b, rm, flags);                                                        \
    }                                                                                              \
    static inline T hostfp_sqrt_##s(T a, unsigned rm, uint32_t *flags)                             \
    {                                                                                              \
        F root;                                                                                    \
        if (HOSTFP_LIKELY(hostfp_allowed(rm, flags)) &&                                            \
            hostfp_root_##s(hostfp_value_##s(a), &root) &&                                         \
            HOSTFP_LIKELY(hostfp_finite_##s(hostfp_bits_##s(root)))) {                             \
            return hostfp_bits_##s(root);                                                          \
        }                                                                                          \
        return fp_sqrt_##s(a, rm, flags);                                                          \
    }                                                                                              \
    static inline T hostfp_fma_##s(T a, T b, T c, unsigned rm, uint32_t *flags)                    \
    {                                                                                              \
        if (HOSTFP_LIKELY(hostfp_allowed(rm, flags)) && hostfp_has_fma()) {                        \
            T sum = hostfp_bits_##s(                                                               \
                hostfp_fused_##s(hostfp_value_##s(a), hostfp_value_##s(b), hostfp_value_##s(c)));  \
            if (HOSTFP_LIKELY(hostfp_normal_##s(sum))) {                                           \
                return sum;                                                                        \
            }                                                                                      \
        }                                                                                          \
        return fp_fma_##s(a, b, c, rm, flags);                                                     \
    }

HOSTFP_FORMAT(s, uint32_t, float, UINT32_C(0x7f800000), UINT32_C(0x00800000))
HOSTFP_FORMAT(d, uint64_t, double, UINT64_C(0x7ff0000000000000), UINT64_C(0x0010000000000000))

#undef HOSTFP_FORMAT
#undef HOSTFP_FMA
#undef HOSTFP_LIKELY
#undef HOSTFP_USABLE

#endif
