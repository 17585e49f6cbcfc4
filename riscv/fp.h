/*
 * Floating point, exact in results, rounding and flags, by integer arithmetic alone
 * (IEEE 754-2019; Unprivileged ISA, chapters F, D, Zfh, Zfa; tininess is detected after rounding).
 *
 * Values are raw bits: half in uint16_t, single in uint32_t, double in uint64_t; NaN-boxing is the
 * caller's. Results that are NaN are the canonical NaN. `rm` is a resolved rounding mode (0..4,
 * never DYN); flags are ORed into *flags.
 */
#ifndef RISCV_FP_H
#define RISCV_FP_H

#include <stdbool.h>
#include <stdint.h>

enum fp_rm { FP_RNE = 0, FP_RTZ = 1, FP_RDN = 2, FP_RUP = 3, FP_RMM = 4, FP_DYN = 7 };
enum fp_flag { FP_NX = 1, FP_UF = 2, FP_OF = 4, FP_DZ = 8, FP_NV = 16 };

/* For each format: suffix h, s, d; `T` its bits. */
#define FP_FORMAT(s, T)                                                                            \
    T fp_add_##s(T a, T b, unsigned rm, uint32_t *flags);                                          \
    T fp_sub_##s(T a, T b, unsigned rm, uint32_t *flags);                                          \
    T fp_mul_##s(T a, T b, unsigned rm, uint32_t *flags);                                          \
    T fp_div_##s(T a, T b, unsigned rm, uint32_t *flags);                                          \
    T fp_sqrt_##s(T a, unsigned rm, uint32_t *flags);                                              \
    /* a * b + c with one rounding; (inf * 0) + qNaN raises NV. */                                 \
    T fp_fma_##s(T a, T b, T c, unsigned rm, uint32_t *flags);                                     \
    /* fmin, fmax: minimumNumber/maximumNumber; fminm, fmaxm (Zfa): minimum/maximum. */            \
    T fp_min_##s(T a, T b, uint32_t *flags);                                                       \
    T fp_max_##s(T a, T b, uint32_t *flags);                                                       \
    T fp_minm_##s(T a, T b, uint32_t *flags);                                                      \
    T fp_maxm_##s(T a, T b, uint32_t *flags);                                                      \
    /* feq quiet; flt, fle signalling; fltq, fleq (Zfa) quiet. */                                  \
    bool fp_eq_##s(T a, T b, uint32_t *flags);                                                     \
    bool fp_lt_##s(T a, T b, uint32_t *flags);                                                     \
    bool fp_le_##s(T a, T b, uint32_t *flags);                                                     \
    bool fp_ltq_##s(T a, T b, uint32_t *flags);                                                    \
    bool fp_leq_##s(T a, T b, uint32_t *flags);                                                    \
    uint32_t fp_class_##s(T a); /* the 10-bit mask of fclass */                                    \
    /* Zfa fround; `exact`: froundnx, which raises NX. */                                          \
    T fp_round_##s(T a, unsigned rm, bool exact, uint32_t *flags);                                 \
    /* To integers: saturating, NV when out of range or NaN (then the largest value). */           \
    int32_t fp_to_i32_##s(T a, unsigned rm, uint32_t *flags);                                      \
    uint32_t fp_to_u32_##s(T a, unsigned rm, uint32_t *flags);                                     \
    int64_t fp_to_i64_##s(T a, unsigned rm, uint32_t *flags);                                      \
    uint64_t fp_to_u64_##s(T a, unsigned rm, uint32_t *flags);                                     \
    T fp_from_i32_##s(int32_t a, unsigned rm, uint32_t *flags);                                    \
    T fp_from_u32_##s(uint32_t a, unsigned rm, uint32_t *flags);                                   \
    T fp_from_i64_##s(int64_t a, unsigned rm, uint32_t *flags);                                    \
    T fp_from_u64_##s(uint64_t a, unsigned rm, uint32_t *flags);                                   \
    /* Zfa fli: the constant of index 0..31. */                                                    \
    T fp_li_##s(unsigned index);                                                                   \
    /* vfrec7, vfrsqrt7 (V, 13.9, 13.10): 1 / a and 1 / sqrt(a) to seven bits. */                  \
    T fp_rec7_##s(T a, unsigned rm, uint32_t *flags);                                              \
    T fp_rsqrt7_##s(T a, uint32_t *flags);

FP_FORMAT(h, uint16_t)
FP_FORMAT(s, uint32_t)
FP_FORMAT(d, uint64_t)
#undef FP_FORMAT

uint32_t fp_h_to_s(uint16_t a, uint32_t *flags);
uint64_t fp_h_to_d(uint16_t a, uint32_t *flags);
uint64_t fp_s_to_d(uint32_t a, uint32_t *flags);
uint16_t fp_s_to_h(uint32_t a, unsigned rm, uint32_t *flags);
uint16_t fp_d_to_h(uint64_t a, unsigned rm, uint32_t *flags);
uint32_t fp_d_to_s(uint64_t a, unsigned rm, uint32_t *flags);
/* Zfa fcvtmod.w.d: modulo 2^32, truncating; the int32 result is to be sign-extended. */
int32_t fp_cvtmod_w_d(uint64_t a, uint32_t *flags);

#endif
