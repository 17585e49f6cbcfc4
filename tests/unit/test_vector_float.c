/* Vector floating point (V, 13, 14.3, 14.4; Zvfhmin) against riscv/fp, which has its own tests,
 * element by element. */
#include <math.h>

#include "riscv/fp.h"
#include "tests/unit/vector_test.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RUNS     3000

#define SIGN(eew)   (1ULL << ((8u << (eew)) - 1))
#define NAN_OF(eew) ((eew) == 3 ? 0x7ff8000000000000ULL : (eew) == 2 ? 0x7fc00000ULL : 0x7e00ULL)

/* ---- operands ---- */

/* Zeros, infinities, NaNs, the ends of the subnormal and the normal numbers, and numbers whose
 * sums, products and conversions meet them, cancel, tie or are exact. */
static uint64_t number(unsigned eew)
{
    static const unsigned frac_bits[4] = {0, 10, 23, 52};
    const unsigned frac = frac_bits[eew], width = 8u << eew;
    const uint64_t inf = (1ULL << (width - 1)) - (1ULL << frac), ulp = vt_below(3) - 1ULL;
    const uint64_t bias = (inf >> frac) / 2;
    uint64_t bits;
    switch (vt_below(12)) {
    case 0: bits = vt_below(3) == 0 ? 0 : vt_below(4); break;
    case 1: bits = inf + (vt_below(3) == 0 ? vt_below(3) : 0); break;
    case 2: bits = vt_below(2) != 0 ? NAN_OF(eew) : inf + 1 + vt_below(1000); break;
    case 3: bits = (1ULL << frac) + ulp; break;
    case 4: bits = inf - 1 - vt_below(2); break;
    case 5:
    case 6: bits = (bias + vt_below(64)) << frac | (vt_random() << (frac - vt_below(8))); break;
    case 7: bits = (bias + (inf >> frac) / 4 * vt_below(3) - 1) << frac | vt_random() >> 40; break;
    case 8: bits = ((bias + 7u + vt_below(58)) << frac) + ulp; break; /* about 2^n */
    case 9: bits = vt_random() & ((1ULL << frac) - 1); break;
    default: bits = vt_random(); break;
    }
    bits &= SIGN(eew) - 1;
    return vt_below(2) != 0 ? bits : bits | SIGN(eew);
}

struct ft {
    unsigned rm;
    uint32_t fflags, raised; /* before; by the instruction */
    uint64_t f_before[32];
};

static void prepare(struct vt *t, struct ft *f)
{
    struct riscv_vcpu *hart = t->hart;
    vt_prepare(t);
    for (unsigned reg = 1; reg < 32; reg++) {
        const unsigned eew = 1 + vt_below(12) / 4; /* a third of each */
        const unsigned used = vt_below(2) != 0 && t->sew != 0 ? t->sew : eew;
        for (uint64_t i = 0; i < t->vlen / 8 >> used; i++)
            vt_set(hart->v, t, reg, used, i, number(used));
    }
    memcpy(t->before, hart->v, sizeof t->before);
    memcpy(t->want, hart->v, sizeof t->want);
    for (unsigned i = 0; i < 32; i++) {
        hart->f[i] = vt_below(3) == 0 ? number(3) : number(2) | 0xffffffff00000000;
        if (vt_below(20) == 0)
            hart->f[i] &= ~(1ULL << (32 + vt_below(32)));
    }
    memcpy(f->f_before, hart->f, sizeof hart->f);
    f->rm = vt_below(2) != 0 ? 0 : vt_below(30) == 0 ? 5 + vt_below(3) : vt_below(5);
    f->fflags = vt_below(2) != 0 ? 0 : vt_below(32);
    f->raised = 0;
    hart->frm = f->rm;
    hart->fflags = f->fflags;
    hart->mstatus = MSTATUS_FS_INITIAL | MSTATUS_VS;
}

static void check(struct vt *t, struct ft *f, bool legal)
{
    if (!legal)
        f->raised = 0;
    vt_check(t, legal);
    if (t->hart->fflags != (f->fflags | f->raised)) {
        print_error("%s: sew %u vlen %u vl %u vstart %u%s rm %u: fflags %02x, not %02x\n",
                    insn_table[t->op].mnemonic, t->sew, t->vlen, (unsigned)t->vl,
                    (unsigned)t->vstart, t->masked ? " masked" : "", f->rm, t->hart->fflags,
                    f->fflags | f->raised);
        fail();
    }
    assert_int_equal(t->hart->mstatus & MSTATUS_FS, legal ? MSTATUS_FS : MSTATUS_FS_INITIAL);
}

static uint64_t scalar(const struct vt *t, const struct ft *f)
{
    const uint64_t bits = f->f_before[t->vs1];
    return t->sew == 3 ? bits : bits >> 32 == UINT32_MAX ? bits & UINT32_MAX : NAN_OF(2);
}

static bool is_vf(const struct vt *t)
{
    return (insn_table[t->op].match >> 12 & 7) == 5;
}

static bool fp_format(const struct vt *t, const struct ft *f)
{
    return t->sew >= 2 && f->rm <= 4;
}

/* ---- what is reserved (V, 5.2, 5.3), by sets of registers ---- */

static bool reads(const struct vt *t, unsigned reg, int emul)
{
    return vt_aligned(reg, emul) && !(t->masked && (vt_group(reg, emul) & 1) != 0);
}

static bool writes(const struct vt *t, int emul)
{
    return vt_aligned(t->vd, emul) && !(t->masked && (vt_group(t->vd, emul) & 1) != 0);
}

/* The destination, of twice the source's width, has it as its last registers or not at all. */
static bool widens(const struct vt *t, unsigned reg)
{
    const uint64_t d = vt_group(t->vd, t->lmul + 1), s = vt_group(reg, t->lmul);
    return (d & s) == 0 || (t->lmul >= 0 && reg == t->vd + (1u << t->lmul) && (d & s) == s);
}

static bool apart(unsigned a, int a_emul, unsigned b, int b_emul)
{
    return (vt_group(a, a_emul) & vt_group(b, b_emul)) == 0;
}

/* ---- arithmetic ---- */

typedef uint64_t operation(unsigned eew, uint64_t a, uint64_t b, uint64_t d, unsigned rm,
                           uint32_t *flags);
enum kind { SINGLE, COMPARE, WIDEN, WIDEN_SUM, WIDEN_W };

#define FP(name, single, of_double)                                                                \
    static uint64_t name(unsigned eew, uint64_t a_, uint64_t b_, uint64_t d_, unsigned rm,         \
                         uint32_t *flags)                                                          \
    {                                                                                              \
        (void)a_, (void)b_, (void)d_, (void)rm, (void)flags;                                       \
        if (eew == 2) {                                                                            \
            const uint32_t a = (uint32_t)a_, b = (uint32_t)b_, d = (uint32_t)d_;                   \
            const uint32_t sign = 0x80000000;                                                      \
            (void)a, (void)b, (void)d, (void)sign;                                                 \
            return single;                                                                         \
        }                                                                                          \
        const uint64_t a = a_, b = b_, d = d_, sign = 1ULL << 63;                                  \
        (void)a, (void)b, (void)d, (void)sign;                                                     \
        return of_double;                                                                          \
    }
#define FP2(name, f, ...) FP(name, f##_s(__VA_ARGS__), f##_d(__VA_ARGS__))
FP2(add, fp_add, a, b, rm, flags)
FP2(sub, fp_sub, a, b, rm, flags)
FP2(rsub, fp_sub, b, a, rm, flags)
FP2(mul, fp_mul, a, b, rm, flags)
FP2(divide, fp_div, a, b, rm, flags)
FP2(rdivide, fp_div, b, a, rm, flags)
FP2(min, fp_min, a, b, flags)
FP2(max, fp_max, a, b, flags)
FP(sgnj, (a & ~sign) | (b & sign), (a & ~sign) | (b & sign))
FP(sgnjn, (a & ~sign) | (~b & sign), (a & ~sign) | (~b & sign))
FP(sgnjx, a ^ (b & sign), a ^ (b & sign))
/* 13.6: the sums of these; a is vs2, b is vs1, d is vd. */
FP2(macc, fp_fma, b, a, d, rm, flags)
FP2(nmacc, fp_fma, b ^ sign, a, d ^ sign, rm, flags)
FP2(msac, fp_fma, b, a, d ^ sign, rm, flags)
FP2(nmsac, fp_fma, b ^ sign, a, d, rm, flags)
FP2(madd, fp_fma, d, b, a, rm, flags)
FP2(nmadd, fp_fma, d ^ sign, b, a ^ sign, rm, flags)
FP2(msub, fp_fma, d, b, a ^ sign, rm, flags)
FP2(nmsub, fp_fma, d ^ sign, b, a, rm, flags)
FP2(eq, fp_eq, a, b, flags)
FP2(ne, !fp_eq, a, b, flags)
FP2(lt, fp_lt, a, b, flags)
FP2(le, fp_le, a, b, flags)
FP2(gt, fp_lt, b, a, flags)
FP2(ge, fp_le, b, a, flags)
FP2(root, fp_sqrt, a, rm, flags)
FP2(class, fp_class, a)

#define VV(name, kind, f)                                                                          \
    {OP_##name##_vv, kind, f},                                                                     \
    {                                                                                              \
        OP_##name##_vf, kind, f                                                                    \
    }
static const struct {
    unsigned op;
    enum kind kind;
    operation *f;
} arithmetic[] = {
    VV(vfadd, SINGLE, add),         VV(vfsub, SINGLE, sub),       {OP_vfrsub_vf, SINGLE, rsub},
    VV(vfmul, SINGLE, mul),         VV(vfdiv, SINGLE, divide),    {OP_vfrdiv_vf, SINGLE, rdivide},
    VV(vfmin, SINGLE, min),         VV(vfmax, SINGLE, max),       VV(vfsgnj, SINGLE, sgnj),
    VV(vfsgnjn, SINGLE, sgnjn),     VV(vfsgnjx, SINGLE, sgnjx),   VV(vfmacc, SINGLE, macc),
    VV(vfnmacc, SINGLE, nmacc),     VV(vfmsac, SINGLE, msac),     VV(vfnmsac, SINGLE, nmsac),
    VV(vfmadd, SINGLE, madd),       VV(vfnmadd, SINGLE, nmadd),   VV(vfmsub, SINGLE, msub),
    VV(vfnmsub, SINGLE, nmsub),     VV(vmfeq, COMPARE, eq),       VV(vmfne, COMPARE, ne),
    VV(vmflt, COMPARE, lt),         VV(vmfle, COMPARE, le),       {OP_vmfgt_vf, COMPARE, gt},
    {OP_vmfge_vf, COMPARE, ge},     VV(vfwadd, WIDEN, add),       VV(vfwsub, WIDEN, sub),
    VV(vfwmul, WIDEN, mul),         {OP_vfwadd_wv, WIDEN_W, add}, {OP_vfwadd_wf, WIDEN_W, add},
    {OP_vfwsub_wv, WIDEN_W, sub},   {OP_vfwsub_wf, WIDEN_W, sub}, VV(vfwmacc, WIDEN_SUM, macc),
    VV(vfwnmacc, WIDEN_SUM, nmacc), VV(vfwmsac, WIDEN_SUM, msac), VV(vfwnmsac, WIDEN_SUM, nmsac),
};

static bool arithmetic_is_legal(const struct vt *t, enum kind kind)
{
    const bool vf = is_vf(t);
    const int wide = t->lmul + 1;
    switch (kind) {
    case SINGLE:
        return writes(t, t->lmul) && reads(t, t->vs2, t->lmul) && (vf || reads(t, t->vs1, t->lmul));
    case COMPARE: /* v0 may be a source and the mask */
        return vt_aligned(t->vs2, t->lmul) &&
               (t->vd == t->vs2 || apart(t->vd, 0, t->vs2, t->lmul)) &&
               (vf || (vt_aligned(t->vs1, t->lmul) &&
                       (t->vd == t->vs1 || apart(t->vd, 0, t->vs1, t->lmul))));
    case WIDEN:
        return t->sew == 2 && writes(t, wide) && reads(t, t->vs2, t->lmul) && widens(t, t->vs2) &&
               (vf || (reads(t, t->vs1, t->lmul) && widens(t, t->vs1)));
    case WIDEN_SUM: /* vd is read with another EEW than the others */
        return t->sew == 2 && writes(t, wide) && reads(t, t->vs2, t->lmul) &&
               apart(t->vd, wide, t->vs2, t->lmul) &&
               (vf || (reads(t, t->vs1, t->lmul) && apart(t->vd, wide, t->vs1, t->lmul)));
    default:
        return t->sew == 2 && writes(t, wide) && reads(t, t->vs2, wide) &&
               (vf || (reads(t, t->vs1, t->lmul) && widens(t, t->vs1) &&
                       apart(t->vs2, wide, t->vs1, t->lmul)));
    }
}

static uint64_t operand(const struct vt *t, struct ft *f, unsigned reg, uint64_t i, bool widen)
{
    const uint64_t bits = vt_get(t->before, t, reg, t->sew, i);
    return widen ? fp_s_to_d((uint32_t)bits, &f->raised) : bits;
}

static void one_of_arithmetic(struct vt *t, struct ft *f, enum kind kind, operation *operate)
{
    const bool legal = fp_format(t, f) && arithmetic_is_legal(t, kind), widen = kind >= WIDEN;
    const unsigned eew = t->sew + widen;

    for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
        if (!vt_active(t, i))
            continue;
        const uint64_t a =
            kind == WIDEN_W ? vt_get(t->before, t, t->vs2, 3, i) : operand(t, f, t->vs2, i, widen);
        uint64_t b;
        if (!is_vf(t))
            b = operand(t, f, t->vs1, i, widen);
        else
            b = widen ? fp_s_to_d((uint32_t)scalar(t, f), &f->raised) : scalar(t, f);
        const uint64_t d = kind == COMPARE ? 0 : vt_get(t->before, t, t->vd, eew, i);
        const uint64_t value = operate(eew, a, b, d, f->rm, &f->raised);
        if (kind == COMPARE)
            vt_set_bit(t->want, t, t->vd, i, value);
        else
            vt_set(t->want, t, t->vd, eew, i, value);
    }
    if (legal && t->vstart < t->vl && kind != COMPARE)
        vt_policies(t, t->vstart, eew, t->lmul + widen);
    for (uint64_t i = t->vstart;
         legal && kind == COMPARE && t->ones && t->vstart < t->vl && i < t->vlen; i++) {
        if (i >= t->vl || (t->vma && !vt_active(t, i)))
            vt_set_bit(t->want, t, t->vd, i, true);
    }
    check(t, f, legal);
}

static void arithmetic_is_that_of_each_element(void **state)
{
    struct vt *t = *state;
    struct ft f;
    for (unsigned run = 0; run < RUNS; run++) {
        for (size_t k = 0; k < COUNT(arithmetic); k++) {
            vt_choose(t);
            if (vt_below(8) != 0)
                t->sew = arithmetic[k].kind >= WIDEN || t->lmul < 0 ? 2 : 2 + vt_below(2);
            if (t->lmul < -1 && t->sew == 2)
                t->lmul = -1;
            if (t->lmul < 0 && t->sew == 3)
                t->lmul = 0;
            if (arithmetic[k].kind >= WIDEN && vt_below(4) != 0) {
                const unsigned group = 2u << (t->lmul < 0 ? 0 : t->lmul);
                t->vd &= 31 & ~(group - 1);
                t->vs2 = vt_below(4) == 0 ? (t->vd + group / 2) & 31 : t->vs2;
                t->vs2 &= arithmetic[k].kind == WIDEN_W ? ~(group - 1) : 31;
            }
            t->vl = t->vl > t->vlen ? t->vlen : t->vl;
            t->op = arithmetic[k].op;
            prepare(t, &f);
            t->hart->vl = t->vl = t->vl > t->vlmax ? t->vlmax : t->vl;
            one_of_arithmetic(t, &f, arithmetic[k].kind, arithmetic[k].f);
        }
    }
}

/* ---- one operand ---- */

/* 13.9: to seven bits, of the middle of the 64th of [1, 2) or [2, 4). */
static double rsqrt7_of(double x)
{
    int e;
    double m = frexp(x, &e) * 2; /* [1, 2) */
    e--;
    const bool odd = e % 2 != 0;
    m = 1 + (floor((m - 1) * 64) + 0.5) / 64;
    return ldexp(floor(256 / sqrt(odd ? 2 * m : m) + 0.5) / 256, -(e - odd) / 2);
}

static double rec7_of(double x)
{
    int e;
    double m = frexp(fabs(x), &e) * 2;
    m = 1 + (floor((m - 1) * 128) + 0.5) / 128;
    return copysign(ldexp(floor(256 / m + 0.5) / 256, 1 - e), x);
}

static uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double as_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Both formats by double's numbers, of which single's are some. */
static uint64_t estimate(unsigned eew, uint64_t a, bool root, unsigned rm, uint32_t *flags)
{
    uint32_t none = 0;
    const unsigned class = eew == 2 ? fp_class_s((uint32_t)a) : fp_class_d(a);
    const uint64_t inf = eew == 2 ? 0x7f800000 : 0x7ffULL << 52, sign = a & SIGN(eew);
    const double x = as_double(eew == 2 ? fp_s_to_d((uint32_t)a, &none) : a);
    enum { NEGATIVE = 7, MINUS_ZERO = 8, ZERO = 16, INFINITE = 0x81, SNAN = 0x100, QNAN = 0x200 };
    if (class == QNAN)
        return NAN_OF(eew);
    if (class == SNAN || (root && (class & NEGATIVE) != 0)) {
        *flags |= FP_NV;
        return NAN_OF(eew);
    }
    if (class == ZERO || class == MINUS_ZERO) {
        *flags |= FP_DZ;
        return inf | sign;
    }
    if ((class & INFINITE) != 0)
        return sign;
    if (!root && fabs(x) < ldexp(1, eew == 2 ? -128 : -1024)) {
        *flags |= FP_OF | FP_NX;
        return (inf - (rm == FP_RTZ || rm == (sign ? FP_RUP : FP_RDN))) | sign;
    }
    const uint64_t result = double_bits(root ? rsqrt7_of(x) : rec7_of(x));
    if (eew == 3)
        return result;
    const uint32_t narrow = fp_d_to_s(result, FP_RNE, &none);
    assert_int_equal(none, 0);
    return narrow;
}

static uint64_t rec7(unsigned eew, uint64_t a, uint64_t b, uint64_t d, unsigned rm, uint32_t *flags)
{
    (void)b, (void)d;
    return estimate(eew, a, false, rm, flags);
}

static uint64_t rsqrt7(unsigned eew, uint64_t a, uint64_t b, uint64_t d, unsigned rm,
                       uint32_t *flags)
{
    (void)b, (void)d;
    return estimate(eew, a, true, rm, flags);
}

/* From an element of `from` to one of `to`, widths as SEW's logarithm; NULL: there is none. */
typedef uint64_t conversion(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags);

static uint64_t saturated(uint64_t low, uint64_t high, bool is_signed, unsigned to, uint32_t raised,
                          uint64_t value, uint32_t *flags)
{
    const bool under = is_signed ? (int64_t)value < (int64_t)low : value < low;
    const bool over = is_signed ? (int64_t)value > (int64_t)high : value > high;
    *flags |= under || over ? FP_NV : raised;
    value = under ? low : over ? high : value;
    return to == 3 ? value : value & ((1ULL << (8u << to)) - 1);
}

static uint64_t to_unsigned(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    uint32_t raised = 0;
    const uint64_t value =
        from == 2 ? fp_to_u64_s((uint32_t)x, rm, &raised) : fp_to_u64_d(x, rm, &raised);
    return saturated(0, UINT64_MAX >> (64 - (8u << to)), false, to, raised, value, flags);
}

static uint64_t to_signed(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    uint32_t raised = 0;
    const int64_t value =
        from == 2 ? fp_to_i64_s((uint32_t)x, rm, &raised) : fp_to_i64_d(x, rm, &raised);
    const int64_t high = INT64_MAX >> (64 - (8u << to));
    return saturated((uint64_t)(-high - 1), (uint64_t)high, true, to, raised, (uint64_t)value,
                     flags);
}

static uint64_t to_unsigned_rtz(unsigned from, unsigned to, uint64_t x, unsigned rm,
                                uint32_t *flags)
{
    (void)rm;
    return to_unsigned(from, to, x, FP_RTZ, flags);
}

static uint64_t to_signed_rtz(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    (void)rm;
    return to_signed(from, to, x, FP_RTZ, flags);
}

static uint64_t from_unsigned(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    (void)from;
    return to == 2 ? fp_from_u64_s(x, rm, flags) : fp_from_u64_d(x, rm, flags);
}

static uint64_t from_signed(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    const unsigned shift = 64 - (8u << from);
    const int64_t value = (int64_t)(x << shift) >> shift;
    return to == 2 ? fp_from_i64_s(value, rm, flags) : fp_from_i64_d(value, rm, flags);
}

static uint64_t to_format(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    if (from == 1)
        return fp_h_to_s((uint16_t)x, flags);
    if (from == 2)
        return to == 3 ? fp_s_to_d((uint32_t)x, flags) : fp_s_to_h((uint32_t)x, rm, flags);
    return fp_d_to_s(x, rm, flags);
}

/* To odd: of the two neighbours the one whose last place is 1. */
static uint64_t to_odd(unsigned from, unsigned to, uint64_t x, unsigned rm, uint32_t *flags)
{
    (void)from, (void)to, (void)rm;
    uint32_t none = 0;
    const uint32_t down = fp_d_to_s(x, FP_RDN, &none), up = fp_d_to_s(x, FP_RUP, &none);
    fp_d_to_s(x, FP_RTZ, flags);
    return (down & 1) != 0 ? down : up;
}

/* from, to: less SEW's. least, most: SEW for which it exists. */
static const struct {
    unsigned op, from, to, least, most;
    conversion *f;
} conversions[] = {
    {OP_vfcvt_xu_f_v, 0, 0, 2, 3, to_unsigned},
    {OP_vfcvt_x_f_v, 0, 0, 2, 3, to_signed},
    {OP_vfcvt_f_xu_v, 0, 0, 2, 3, from_unsigned},
    {OP_vfcvt_f_x_v, 0, 0, 2, 3, from_signed},
    {OP_vfcvt_rtz_xu_f_v, 0, 0, 2, 3, to_unsigned_rtz},
    {OP_vfcvt_rtz_x_f_v, 0, 0, 2, 3, to_signed_rtz},
    {OP_vfwcvt_xu_f_v, 0, 1, 2, 2, to_unsigned},
    {OP_vfwcvt_x_f_v, 0, 1, 2, 2, to_signed},
    {OP_vfwcvt_f_xu_v, 0, 1, 1, 2, from_unsigned},
    {OP_vfwcvt_f_x_v, 0, 1, 1, 2, from_signed},
    {OP_vfwcvt_f_f_v, 0, 1, 1, 2, to_format}, /* of half precision: Zvfhmin */
    {OP_vfwcvt_rtz_xu_f_v, 0, 1, 2, 2, to_unsigned_rtz},
    {OP_vfwcvt_rtz_x_f_v, 0, 1, 2, 2, to_signed_rtz},
    {OP_vfncvt_xu_f_w, 1, 0, 1, 2, to_unsigned},
    {OP_vfncvt_x_f_w, 1, 0, 1, 2, to_signed},
    {OP_vfncvt_f_xu_w, 1, 0, 2, 2, from_unsigned},
    {OP_vfncvt_f_x_w, 1, 0, 2, 2, from_signed},
    {OP_vfncvt_f_f_w, 1, 0, 1, 2, to_format},
    {OP_vfncvt_rod_f_f_w, 1, 0, 2, 2, to_odd},
    {OP_vfncvt_rtz_xu_f_w, 1, 0, 1, 2, to_unsigned_rtz},
    {OP_vfncvt_rtz_x_f_w, 1, 0, 1, 2, to_signed_rtz},
};

static void conversions_are_those_of_each_element(void **state)
{
    struct vt *t = *state;
    struct ft f;
    for (unsigned run = 0; run < RUNS; run++) {
        for (size_t k = 0; k < COUNT(conversions); k++) {
            const unsigned from = conversions[k].from, to = conversions[k].to;
            vt_choose(t);
            if (vt_below(2) != 0) {
                const int emul = t->lmul + 1;
                const unsigned group = emul > 0 ? 1u << emul : 1;
                t->vd &= to ? ~(group - 1) : ~0u;
                t->vs2 = from ? t->vs2 & ~(group - 1) : vt_below(2) ? t->vs2 : t->vd + group / 2;
                t->vs2 &= 31;
            }
            t->op = conversions[k].op;
            prepare(t, &f);
            const int semul = t->lmul + (int)from, demul = t->lmul + (int)to;
            const bool legal = f.rm <= 4 && t->sew >= conversions[k].least &&
                               t->sew <= conversions[k].most && writes(t, demul) &&
                               reads(t, t->vs2, semul) && (!to || widens(t, t->vs2)) &&
                               (!from || t->vd == t->vs2 || apart(t->vd, demul, t->vs2, semul));
            for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
                if (vt_active(t, i))
                    vt_set(t->want, t, t->vd, t->sew + to, i,
                           conversions[k].f(t->sew + from, t->sew + to,
                                            vt_get(t->before, t, t->vs2, t->sew + from, i), f.rm,
                                            &f.raised));
            }
            if (legal && t->vstart < t->vl)
                vt_policies(t, t->vstart, t->sew + to, demul);
            check(t, &f, legal);
        }
    }
}

static void estimates_roots_and_classes_are_those_of_each_element(void **state)
{
    static const struct {
        unsigned op;
        operation *f;
    } unary[] = {
        {OP_vfsqrt_v, root}, {OP_vfrsqrt7_v, rsqrt7}, {OP_vfrec7_v, rec7}, {OP_vfclass_v, class}};
    struct vt *t = *state;
    struct ft f;
    for (unsigned run = 0; run < 3 * RUNS; run++) {
        for (size_t k = 0; k < COUNT(unary); k++) {
            vt_choose(t);
            t->op = unary[k].op;
            prepare(t, &f);
            const bool legal = fp_format(t, &f) && writes(t, t->lmul) && reads(t, t->vs2, t->lmul);
            for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
                if (vt_active(t, i))
                    vt_set(t->want, t, t->vd, t->sew, i,
                           unary[k].f(t->sew, vt_get(t->before, t, t->vs2, t->sew, i), 0, 0, f.rm,
                                      &f.raised));
            }
            if (legal && t->vstart < t->vl)
                vt_policies(t, t->vstart, t->sew, t->lmul);
            check(t, &f, legal);
        }
    }
}

/* The tables of 13.9 and 13.10: some of their rows, by the specification's numbers. */
static void estimates_are_those_of_the_tables(void **state)
{
    (void)state;
    uint32_t flags = 0;
    assert_int_equal(fp_rec7_s(0x3f800000, 0, &flags), 0x3f7f0000); /* 1: 127 */
    assert_int_equal(fp_rec7_s(0x3ffff000, 0, &flags), 0x3f000000); /* row 127: 0 */
    assert_int_equal(fp_rec7_s(0x00718abc, 0, &flags), 0x7e900000); /* example of 13.10 */
    assert_int_equal(fp_rec7_s(0x7f765432, 0, &flags), 0x00214000); /* another */
    assert_int_equal(fp_rsqrt7_s(0x00718abc, &flags), 0x5f080000);  /* example of 13.9 */
    assert_int_equal(fp_rsqrt7_s(0x7f765432, &flags), 0x1f820000);  /* another */
    assert_int_equal(flags, 0);
}

/* ---- reductions ---- */

static void reductions_go_from_element_to_element(void **state)
{
    static const struct {
        unsigned op;
        bool widen;
        operation *f;
    } reductions[] = {
        {OP_vfredusum_vs, false, add}, {OP_vfredosum_vs, false, add}, {OP_vfredmin_vs, false, min},
        {OP_vfredmax_vs, false, max},  {OP_vfwredusum_vs, true, add}, {OP_vfwredosum_vs, true, add},
    };
    struct vt *t = *state;
    struct ft f;
    for (unsigned run = 0; run < 2 * RUNS; run++) {
        for (size_t k = 0; k < COUNT(reductions); k++) {
            const bool widen = reductions[k].widen;
            vt_choose(t);
            if (vt_below(4) != 0)
                t->vstart = 0;
            if (t->vl > 8 && vt_below(2) != 0)
                t->vl = vt_below(8);
            t->op = reductions[k].op;
            prepare(t, &f);
            const bool legal = fp_format(t, &f) && t->sew + widen <= 3 && t->vstart == 0 &&
                               vt_aligned(t->vs2, t->lmul);
            if (legal && t->vl != 0) {
                const unsigned eew = t->sew + widen;
                uint64_t sum = vt_get(t->before, t, t->vs1, eew, 0);
                for (uint64_t i = 0; i < t->vl; i++) {
                    if (vt_active(t, i))
                        sum = reductions[k].f(eew, sum, operand(t, &f, t->vs2, i, widen), 0, f.rm,
                                              &f.raised);
                }
                vt_set(t->want, t, t->vd, eew, 0, sum);
                for (uint64_t i = 1; t->ones && t->vta && i < t->vlen / 8 >> eew; i++)
                    vt_set(t->want, t, t->vd, eew, i, UINT64_MAX);
            }
            check(t, &f, legal);
        }
    }
}

/* ---- moves ---- */

static void moves_take_the_scalar_as_it_is_boxed(void **state)
{
    static const unsigned ops[] = {OP_vfmv_v_f, OP_vfmerge_vfm, OP_vfslide1up_vf,
                                   OP_vfslide1down_vf};
    struct vt *t = *state;
    struct ft f;
    for (unsigned run = 0; run < 2 * RUNS; run++) {
        for (size_t k = 0; k < COUNT(ops); k++) {
            vt_choose(t);
            t->op = ops[k];
            t->masked = t->op == OP_vfmerge_vfm || (t->op != OP_vfmv_v_f && t->masked);
            if (t->op == OP_vfmv_v_f)
                t->vs2 = 0;
            prepare(t, &f);
            const bool legal = fp_format(t, &f) && writes(t, t->lmul) &&
                               (t->op == OP_vfmv_v_f || reads(t, t->vs2, t->lmul)) &&
                               (t->op != OP_vfslide1up_vf || t->vd != t->vs2);
            for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
                uint64_t value = scalar(t, &f);
                if (t->op == OP_vfmerge_vfm && !vt_active(t, i))
                    value = vt_get(t->before, t, t->vs2, t->sew, i);
                else if (!vt_active(t, i))
                    continue;
                if (t->op == OP_vfslide1up_vf && i > 0)
                    value = vt_get(t->before, t, t->vs2, t->sew, i - 1);
                if (t->op == OP_vfslide1down_vf && i + 1 < t->vl)
                    value = vt_get(t->before, t, t->vs2, t->sew, i + 1);
                vt_set(t->want, t, t->vd, t->sew, i, value);
            }
            if (legal && t->vstart < t->vl) {
                const bool masked = t->masked;
                t->masked = masked && t->op != OP_vfmerge_vfm;
                vt_policies(t, t->vstart, t->sew, t->lmul);
                t->masked = masked;
            }
            check(t, &f, legal);
        }
    }
}

static void the_first_element_moves_whatever_lmul_is(void **state)
{
    struct vt *t = *state;
    struct ft f;
    for (unsigned run = 0; run < 2 * RUNS; run++) {
        vt_choose(t);
        t->masked = false;
        t->op = OP_vfmv_f_s;
        t->vs1 = 0;
        prepare(t, &f);
        check(t, &f, fp_format(t, &f));
        const uint64_t element = vt_get(t->before, t, t->vs2, t->sew, 0);
        assert_int_equal(t->hart->f[t->vd], !fp_format(t, &f) ? f.f_before[t->vd]
                                            : t->sew == 3     ? element
                                                              : element | 0xffffffff00000000);

        vt_choose(t);
        t->masked = false;
        t->op = OP_vfmv_s_f;
        t->vs2 = 0;
        prepare(t, &f);
        if (fp_format(t, &f) && t->vstart < t->vl) {
            vt_set(t->want, t, t->vd, t->sew, 0, scalar(t, &f));
            for (uint64_t i = 1; t->ones && t->vta && i < t->vlen / 8 >> t->sew; i++)
                vt_set(t->want, t, t->vd, t->sew, i, UINT64_MAX);
        }
        check(t, &f, fp_format(t, &f));
    }
}

/* Flags that are set in MXCSR are the hart's afterwards; those before do not count, nor does any of
 * them get lost if they are the hart's. */
static void flags_in_the_hosts_fpu_are_the_harts(void **state)
{
#ifdef __x86_64__
    struct vt *t = *state;
    struct ft f;
    for (unsigned set = 0; set < 64; set++) {
        for (unsigned run = 0; run < 100; run++) {
            uint32_t mxcsr = 0x1f80 | set;
            vt_choose(t);
            t->op = run % 2 != 0 ? OP_vfdiv_vv : OP_vfwadd_vv;
            t->sew = 2, t->lmul = 0, t->vl = 4, t->vstart = 0, t->masked = false;
            t->vd = 8, t->vs2 = 2, t->vs1 = 3;
            prepare(t, &f);
            __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
            one_of_arithmetic(t, &f, run % 2 != 0 ? SINGLE : WIDEN, run % 2 != 0 ? divide : add);
            __asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
            const uint32_t flags = (mxcsr & 1) << 4 | (mxcsr & 4) << 1 | (mxcsr & 8) >> 1 |
                                   (mxcsr & 16) >> 3 | (mxcsr & 32) >> 5;
            if (f.rm < 4)
                assert_int_equal(flags & ~t->hart->fflags, 0);
            assert_int_equal(mxcsr & ~63u, 0x1f80);
        }
    }
    uint32_t none = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(none) : "memory");
#else
    (void)state;
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_that_of_each_element),
        cmocka_unit_test(conversions_are_those_of_each_element),
        cmocka_unit_test(estimates_roots_and_classes_are_those_of_each_element),
        cmocka_unit_test(estimates_are_those_of_the_tables),
        cmocka_unit_test(reductions_go_from_element_to_element),
        cmocka_unit_test(moves_take_the_scalar_as_it_is_boxed),
        cmocka_unit_test(the_first_element_moves_whatever_lmul_is),
        cmocka_unit_test(flags_in_the_hosts_fpu_are_the_harts),
    };
    return cmocka_run_group_tests(tests, vt_setup, vt_teardown);
}
