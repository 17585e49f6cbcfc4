/*
 * Vector floating point by the host's FPU, sixteen bytes of the result at a time.
 *
 * SSE's operations are those of IEEE 754, detect tininess after rounding, and gather their flags
 * (MXCSR), as RISC-V wants it; but NaNs are propagated there, and (inf * 0) + qNaN raises nothing.
 * So a chunk that has a NaN (or an integer that may be out of range) is computed by riscv/fp, which
 * raises the flags again. Lanes that are not active compute with 1, which raises none in any
 * operation here. Vectors are explicit so that a compiler adds no lanes of its own.
 *
 * Loads from and stores to the registers stay between the accesses to MXCSR because those may
 * change memory; so what is computed from the ones for the others does.
 */
#include "riscv/v_float.h"

#ifdef __x86_64__

#define INLINE static inline __attribute__((always_inline))

typedef float v4f __attribute__((vector_size(16)));
typedef double v2d __attribute__((vector_size(16)));
typedef uint32_t v4u __attribute__((vector_size(16)));
typedef int32_t v4i __attribute__((vector_size(16)));
typedef uint64_t v2u __attribute__((vector_size(16)));
typedef int64_t v2i __attribute__((vector_size(16)));

/* ---- MXCSR ---- */

#define MXCSR_MASKED 0x1f80u /* no exception traps; to nearest; nothing is flushed to zero */
#define MXCSR_RC     13
#define MXCSR_FLAGS  0x3fu

INLINE uint32_t get_mxcsr(void)
{
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value;
}

INLINE void set_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

/* By frm; RMM is none of the host's. */
static const uint8_t rounding[] = {[FP_RNE] = 0, [FP_RTZ] = 3, [FP_RDN] = 1, [FP_RUP] = 2};

/* MXCSR: IE DE ZE OE UE PE from bit 0; fflags: NX UF OF DZ NV. */
INLINE uint32_t flags_of(uint32_t mxcsr)
{
    return (mxcsr & 1) << 4 | (mxcsr >> 2 & 1) << 3 | (mxcsr >> 3 & 1) << 2 |
           (mxcsr >> 4 & 1) << 1 | (mxcsr >> 5 & 1);
}

/* To clear a flag takes longer than most instructions: it is done if the hart has not got it. */
INLINE void begin(const struct v_job *j)
{
    const uint32_t now = get_mxcsr(), wanted = MXCSR_MASKED | (uint32_t)rounding[j->rm] << MXCSR_RC;
    if ((now & ~MXCSR_FLAGS) != wanted || (flags_of(now) & ~j->o->hart->fflags) != 0)
        set_mxcsr(wanted);
}

INLINE void end(struct v_job *j)
{
    const uint32_t now = get_mxcsr();
    j->flags |= flags_of(now);
    if (j->rm != FP_RNE)
        set_mxcsr(MXCSR_MASKED | (now & MXCSR_FLAGS));
}

/* ---- lanes ---- */

/* All ones in the lanes whose bit is set. */
#define LANE(bits, n) (((bits) >> (n)&1) != 0 ? UINT32_MAX : 0)
#define LANES(bits)                                                                                \
    {                                                                                              \
        LANE(bits, 0), LANE(bits, 1), LANE(bits, 2), LANE(bits, 3)                                 \
    }
static const v4u four_lanes[16] = {
    LANES(0), LANES(1), LANES(2),  LANES(3),  LANES(4),  LANES(5),  LANES(6),  LANES(7),
    LANES(8), LANES(9), LANES(10), LANES(11), LANES(12), LANES(13), LANES(14), LANES(15),
};
static const v2u two_lanes[4] = {
    {0, 0}, {UINT64_MAX, 0}, {0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};

/* The active ones of `count` lanes from element i on, a multiple of `count`. */
INLINE unsigned active_lanes(const struct vop *o, uint64_t i, unsigned count)
{
    unsigned lanes = (1u << count) - 1;
    if (i + count > o->vl)
        lanes &= (1u << (o->vl - i)) - 1;
    if (i < o->vstart)
        lanes &= ~0u << (o->vstart - i);
    return o->masked ? lanes & o->hart->v[i / 8] >> i % 8 : lanes;
}

#define ONE_s UINT32_C(0x3f800000)
#define ONE_d UINT64_C(0x3ff0000000000000)

INLINE v2u bits_at(const uint8_t *at)
{
    v2u bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

INLINE v2d doubles_at(const struct v_operand *p, uint64_t i, unsigned lanes)
{
    const v2u on = two_lanes[lanes];
    return (v2d)((bits_at(p->at + 8 * i * p->step) & on) | (~on & ONE_d));
}

/* cvtps2pd, cvtpd2ps: two lanes, the others of a v4f are 0. */
INLINE v2d widened(v4f x)
{
    v2d r;
    __asm__("cvtps2pd %1, %0" : "=x"(r) : "x"(x));
    return r;
}

INLINE v4f narrowed(v2d x)
{
    v4f r;
    __asm__("cvtpd2ps %1, %0" : "=x"(r) : "x"(x));
    return r;
}

INLINE v4f load_s(const struct v_operand *p, uint64_t i, unsigned lanes)
{
    if (p->eew == 3) {
        const v2u low = (v2u)narrowed(doubles_at(p, i, lanes & 3)),
                  high = (v2u)narrowed(doubles_at(p, i + 2, lanes >> 2));
        return (v4f)(v2u){low[0], high[0]};
    }
    const v4u on = four_lanes[lanes], bits = (v4u)bits_at(p->at + 4 * i * p->step);
    return (v4f)(((bits ^ (uint32_t)p->flip) & on) | (~on & ONE_s));
}

INLINE v2d load_d(const struct v_operand *p, uint64_t i, unsigned lanes)
{
    if (!p->widen)
        return (v2d)((v2u)doubles_at(p, i, lanes) ^ p->flip);
    uint64_t bits;
    memcpy(&bits, p->at + 4 * i * p->step, sizeof bits);
    const uint64_t on = ((v2u)four_lanes[lanes])[0];
    bits = (bits & on) | (~on & ((uint64_t)ONE_s << 32 | ONE_s));
    return (v2d)((v2u)widened((v4f)(v2u){bits, 0}) ^ p->flip);
}

INLINE bool any(v2u bits)
{
    return (bits[0] | bits[1]) != 0;
}

/* ---- loops ---- */

/* What makes a chunk one for riscv/fp. */
enum care { NEVER, NAN_RESULT, NAN_OPERAND, LEAST_INTEGER };

/* s: the suffix; N: lanes; F, U: vectors of the type and of its bits. */
#define LOOPS(s, N, F, U)                                                                          \
    INLINE void loop_##s(struct v_job *j, F (*operation)(F, F, F), unsigned operands,              \
                         enum care care)                                                           \
    {                                                                                              \
        const struct vop *o = j->o;                                                                \
        uint8_t *const to = v_reg(o, o->vd);                                                       \
        for (uint64_t i = o->vstart & ~(N - 1ULL); i < o->vl; i += N) {                            \
            const unsigned lanes = active_lanes(o, i, N);                                          \
            if (lanes == 0)                                                                        \
                continue;                                                                          \
            const U on = lanes_##s(lanes);                                                         \
            const F x = load_##s(&j->x, i, lanes),                                                 \
                    y = operands > 1 ? load_##s(&j->y, i, lanes) : x,                              \
                    z = operands > 2 ? load_##s(&j->z, i, lanes) : x;                              \
            const F r = operation(x, y, z);                                                        \
            const U odd = care == NAN_RESULT      ? (U)(r != r)                                    \
                          : care == NAN_OPERAND   ? (U)((x != x) | (y != y))                       \
                          : care == LEAST_INTEGER ? (U)((U)r == SIGN_##s)                          \
                                                  : (U){0};                                        \
            if (care != NEVER && __builtin_expect(any((v2u)odd), 0)) {                             \
                const uint64_t from = i > o->vstart ? i : o->vstart;                               \
                v_by_elements(j, from, i + N < o->vl ? i + N : o->vl);                             \
                continue;                                                                          \
            }                                                                                      \
            U result = (U)r;                                                                       \
            if (lanes != (1u << N) - 1)                                                            \
                result = (result & on) | ((U)bits_at(to + i * (16 / N)) & ~on);                    \
            memcpy(to + i * (16 / N), &result, sizeof result);                                     \
        }                                                                                          \
    }                                                                                              \
    INLINE void compare_##s(struct v_job *j, U (*comparison)(F, F))                                \
    {                                                                                              \
        const struct vop *o = j->o;                                                                \
        for (uint64_t i = o->vstart & ~(N - 1ULL); i < o->vl; i += N) {                            \
            const unsigned lanes = active_lanes(o, i, N);                                          \
            const U r = comparison(load_##s(&j->x, i, lanes), load_##s(&j->y, i, lanes));          \
            j->mask[i / 64] |= (uint64_t)(lanes & signs_##s(r)) << i % 64;                         \
        }                                                                                          \
    }

INLINE v4u lanes_s(unsigned lanes)
{
    return four_lanes[lanes];
}

INLINE v2u lanes_d(unsigned lanes)
{
    return two_lanes[lanes];
}

INLINE unsigned signs_s(v4u x)
{
    unsigned bits;
    __asm__("movmskps %1, %0" : "=r"(bits) : "x"(x));
    return bits;
}

INLINE unsigned signs_d(v2u x)
{
    unsigned bits;
    __asm__("movmskpd %1, %0" : "=r"(bits) : "x"(x));
    return bits;
}

LOOPS(s, 4, v4f, v4u)
LOOPS(d, 2, v2d, v2u)

/* ---- operations ---- */

#define OPERATION(name, s, F, expression)                                                          \
    INLINE F name##_##s(F x, F y, F z)                                                             \
    {                                                                                              \
        (void)y, (void)z;                                                                          \
        return expression;                                                                         \
    }
/* fmin and fmax tell -0 from +0: the order of the bits, with those of negative numbers inverted. */
#define ORDER(x, I, U, s)         ((I)((U)(x) ^ ((U)((I)(x) < 0) & ~SIGN_##s)))
#define CHOOSE(which, x, y, F, U) (F)(((U)(x) & (U)(which)) | ((U)(y) & ~(U)(which)))
#define OPERATIONS(s, F, I, U, suffix)                                                             \
    OPERATION(add, s, F, x + y)                                                                    \
    OPERATION(sub, s, F, x - y)                                                                    \
    OPERATION(mul, s, F, x *y)                                                                     \
    OPERATION(div, s, F, x / y)                                                                    \
    OPERATION(move, s, F, x)                                                                       \
    OPERATION(min, s, F, CHOOSE(ORDER(x, I, U, s) < ORDER(y, I, U, s), x, y, F, U))                \
    OPERATION(max, s, F, CHOOSE(ORDER(x, I, U, s) > ORDER(y, I, U, s), x, y, F, U))                \
    OPERATION(sgnj, s, F, (F)(((U)x & ~SIGN_##s) | ((U)y & SIGN_##s)))                             \
    OPERATION(sgnjn, s, F, (F)(((U)x & ~SIGN_##s) | (~(U)y & SIGN_##s)))                           \
    OPERATION(sgnjx, s, F, (F)((U)x ^ ((U)y & SIGN_##s)))                                          \
    INLINE F sqrt_##s(F x, F y, F z)                                                               \
    {                                                                                              \
        (void)y, (void)z;                                                                          \
        F r;                                                                                       \
        __asm__("sqrt" suffix " %1, %0" : "=x"(r) : "x"(x));                                       \
        return r;                                                                                  \
    }                                                                                              \
    /* The instruction is FMA's: v_by_host asks for it. */                                         \
    INLINE F fma_##s(F x, F y, F z)                                                                \
    {                                                                                              \
        __asm__("vfmadd231" suffix " %2, %1, %0" : "+x"(z) : "x"(x), "x"(y));                      \
        return z;                                                                                  \
    }                                                                                              \
    /* Quiet ones and signalling ones, as RISC-V's are. */                                         \
    INLINE U eq_##s(F x, F y)                                                                      \
    {                                                                                              \
        return (U)(x == y);                                                                        \
    }                                                                                              \
    INLINE U ne_##s(F x, F y)                                                                      \
    {                                                                                              \
        return (U)(x != y);                                                                        \
    }                                                                                              \
    INLINE U lt_##s(F x, F y)                                                                      \
    {                                                                                              \
        return (U)(x < y);                                                                         \
    }                                                                                              \
    INLINE U le_##s(F x, F y)                                                                      \
    {                                                                                              \
        return (U)(x <= y);                                                                        \
    }
OPERATIONS(s, v4f, v4i, v4u, "ps")
OPERATIONS(d, v2d, v2i, v2u, "pd")

/* To and from signed integers of the same width; out of range or NaN: the least integer. */
#define CONVERSION_s(name, instruction)                                                            \
    INLINE v4f name##_s(v4f x, v4f y, v4f z)                                                       \
    {                                                                                              \
        (void)y, (void)z;                                                                          \
        v4f r;                                                                                     \
        __asm__(instruction " %1, %0" : "=x"(r) : "x"(x));                                         \
        return r;                                                                                  \
    }
CONVERSION_s(to_int, "cvtps2dq") CONVERSION_s(to_int_rtz, "cvttps2dq")
    CONVERSION_s(from_int, "cvtdq2ps")

#define TO_INT_d(name, instruction)                                                                \
    INLINE v2d name##_d(v2d x, v2d y, v2d z)                                                       \
    {                                                                                              \
        (void)y, (void)z;                                                                          \
        const double low = x[0], high = x[1];                                                      \
        v2i r = {0};                                                                               \
        int64_t n;                                                                                 \
        __asm__(instruction " %1, %0" : "=r"(n) : "x"(low));                                       \
        r[0] = n;                                                                                  \
        __asm__(instruction " %1, %0" : "=r"(n) : "x"(high));                                      \
        r[1] = n;                                                                                  \
        return (v2d)r;                                                                             \
    }
        TO_INT_d(to_int, "cvtsd2siq") TO_INT_d(to_int_rtz, "cvttsd2siq")

            INLINE v2d from_int_d(v2d x, v2d y, v2d z)
{
    (void)y, (void)z;
    return (v2d){(double)((v2i)x)[0], (double)((v2i)x)[1]};
}

#define RUN(s)                                                                                     \
    static void run_##s(struct v_job *j)                                                           \
    {                                                                                              \
        switch (j->host) {                                                                         \
        case V_HOST_ADD: loop_##s(j, add_##s, 2, NAN_RESULT); break;                               \
        case V_HOST_SUB: loop_##s(j, sub_##s, 2, NAN_RESULT); break;                               \
        case V_HOST_MUL: loop_##s(j, mul_##s, 2, NAN_RESULT); break;                               \
        case V_HOST_DIV: loop_##s(j, div_##s, 2, NAN_RESULT); break;                               \
        case V_HOST_SQRT: loop_##s(j, sqrt_##s, 1, NAN_RESULT); break;                             \
        case V_HOST_FMA: loop_##s(j, fma_##s, 3, NAN_RESULT); break;                               \
        case V_HOST_MIN: loop_##s(j, min_##s, 2, NAN_OPERAND); break;                              \
        case V_HOST_MAX: loop_##s(j, max_##s, 2, NAN_OPERAND); break;                              \
        case V_HOST_SGNJ: loop_##s(j, sgnj_##s, 2, NEVER); break;                                  \
        case V_HOST_SGNJN: loop_##s(j, sgnjn_##s, 2, NEVER); break;                                \
        case V_HOST_SGNJX: loop_##s(j, sgnjx_##s, 2, NEVER); break;                                \
        case V_HOST_EQ: compare_##s(j, eq_##s); break;                                             \
        case V_HOST_NE: compare_##s(j, ne_##s); break;                                             \
        case V_HOST_LT: compare_##s(j, lt_##s); break;                                             \
        case V_HOST_LE: compare_##s(j, le_##s); break;                                             \
        case V_HOST_TO_INT: loop_##s(j, to_int_##s, 1, LEAST_INTEGER); break;                      \
        case V_HOST_TO_INT_RTZ: loop_##s(j, to_int_rtz_##s, 1, LEAST_INTEGER); break;              \
        case V_HOST_FROM_INT: loop_##s(j, from_int_##s, 1, NEVER); break;                          \
        case V_HOST_MOVE: loop_##s(j, move_##s, 1, NAN_RESULT); break;                             \
        case V_HOST_NONE: break;                                                                   \
        }                                                                                          \
    }
RUN(s)
RUN(d)

static bool is_able(const struct v_job *j)
{
    return j->host != V_HOST_NONE && j->rm < FP_RMM &&
           (j->host != V_HOST_FMA || __builtin_cpu_supports("fma"));
}

bool v_by_host(struct v_job *j)
{
    if (!is_able(j))
        return false;
    begin(j);
    if (j->eew == 2)
        run_s(j);
    else
        run_d(j);
    end(j);
    return true;
}

/* ---- sums ---- */

/* Volatile: a compiler may not add, and raise flags, where the program does not. */
INLINE uint64_t sum_s(const struct v_job *j, uint64_t sum)
{
    const struct vop *o = j->o;
    const v_u32 *const x = (const v_u32 *)j->x.at;
    v4u total = {(uint32_t)sum};
    for (uint64_t i = 0; i < o->vl; i++) {
        if (v_active(o, i))
            __asm__ volatile("addss %1, %0" : "+x"(total) : "m"(x[i]));
    }
    return (total[0] & ~SIGN_s) > INF_s ? NAN_s : total[0];
}

INLINE uint64_t sum_d(const struct v_job *j, uint64_t sum)
{
    const struct vop *o = j->o;
    const v_u64 *const x = (const v_u64 *)j->x.at;
    const v_u32 *const narrow = (const v_u32 *)j->x.at;
    v2u total = {sum};
    v4u wide;
    for (uint64_t i = 0; i < o->vl; i++) {
        if (!v_active(o, i))
            continue;
        if (j->x.widen)
            __asm__ volatile("cvtss2sd %2, %1\n\taddsd %1, %0"
                             : "+x"(total), "=&x"(wide)
                             : "m"(narrow[i]));
        else
            __asm__ volatile("addsd %1, %0" : "+x"(total) : "m"(x[i]));
    }
    return (total[0] & ~SIGN_d) > INF_d ? NAN_d : total[0];
}

bool v_sum_by_host(struct v_job *j, uint64_t *sum)
{
    if (!is_able(j) || j->host != V_HOST_ADD)
        return false;
    begin(j);
    *sum = j->eew == 2 ? sum_s(j, *sum) : sum_d(j, *sum);
    end(j);
    return true;
}

#else

bool v_by_host(struct v_job *j)
{
    (void)j;
    return false;
}

bool v_sum_by_host(struct v_job *j, uint64_t *sum)
{
    (void)j, (void)sum;
    return false;
}

#endif
