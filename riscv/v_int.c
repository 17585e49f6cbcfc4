/*
 * Integer instructions element by element (V, 11; Zvbb). A kernel computes a run of elements, for
 * one width, in a loop that compilers vectorize; a scalar operand is spread to elements before it,
 * and what a mask excludes is put back behind it.
 */
#include "riscv/v_internal.h"

#define BYTES_MAX (RISCV_VLEN_MAX / 8 * 8) /* of a group */

__extension__ typedef __int128 s128;
__extension__ typedef unsigned __int128 u128;

/* d = f(a, b, d) for n elements; a is vs2, b vs1 or the scalar. */
typedef void kernel(uint8_t *d, const uint8_t *a, const uint8_t *b, uint64_t n);

/*
 * x of vs2, y of vs1 and z of vd, of the unsigned types A, B and D; SA and SB are A and B with
 * signs, W is unsigned and no narrower than int.
 */
#define KERNEL(name, D_, A_, SA_, B_, SB_, W_, EXPRESSION)                                         \
    static void name(uint8_t *d_, const uint8_t *a_, const uint8_t *b_, uint64_t n)                \
    {                                                                                              \
        typedef D_ D;                                                                              \
        typedef A_ A __attribute__((unused));                                                      \
        typedef SA_ SA __attribute__((unused));                                                    \
        typedef SB_ SB __attribute__((unused));                                                    \
        typedef W_ W __attribute__((unused));                                                      \
        const unsigned bits __attribute__((unused)) = 8 * sizeof(A_);                              \
        D *d = (D *)d_;                                                                            \
        const A_ *a = (const A_ *)a_;                                                              \
        const B_ *b = (const B_ *)b_;                                                              \
        for (uint64_t i = 0; i < n; i++) {                                                         \
            const A_ x __attribute__((unused)) = a[i];                                             \
            const B_ y __attribute__((unused)) = b[i];                                             \
            const D z __attribute__((unused)) = d[i];                                              \
            d[i] = (D)(EXPRESSION);                                                                \
        }                                                                                          \
    }

#define SAME(name, e)                                                                              \
    KERNEL(name##_1, uint8_t, uint8_t, v_s8, uint8_t, v_s8, uint32_t, e)                           \
    KERNEL(name##_2, v_u16, v_u16, v_s16, v_u16, v_s16, uint32_t, e)                               \
    KERNEL(name##_4, v_u32, v_u32, v_s32, v_u32, v_s32, uint32_t, e)                               \
    KERNEL(name##_8, v_u64, v_u64, v_s64, v_u64, v_s64, uint64_t, e)                               \
    static kernel *const name[4] = {name##_1, name##_2, name##_4, name##_8};
/* A result of twice the width, of two narrow operands; and of one that is wide. */
#define WIDEN(name, e)                                                                             \
    KERNEL(name##_1, v_u16, uint8_t, v_s8, uint8_t, v_s8, uint32_t, e)                             \
    KERNEL(name##_2, v_u32, v_u16, v_s16, v_u16, v_s16, uint32_t, e)                               \
    KERNEL(name##_4, v_u64, v_u32, v_s32, v_u32, v_s32, uint64_t, e)                               \
    static kernel *const name[4] = {name##_1, name##_2, name##_4, NULL};
#define WIDE(name, e)                                                                              \
    KERNEL(name##_1, v_u16, v_u16, v_s16, uint8_t, v_s8, uint32_t, e)                              \
    KERNEL(name##_2, v_u32, v_u32, v_s32, v_u16, v_s16, uint32_t, e)                               \
    KERNEL(name##_4, v_u64, v_u64, v_s64, v_u32, v_s32, uint64_t, e)                               \
    static kernel *const name[4] = {name##_1, name##_2, name##_4, NULL};
/* A result of half the width of vs2. */
#define NARROW(name, e)                                                                            \
    KERNEL(name##_1, uint8_t, v_u16, v_s16, uint8_t, v_s8, uint32_t, e)                            \
    KERNEL(name##_2, v_u16, v_u32, v_s32, v_u16, v_s16, uint32_t, e)                               \
    KERNEL(name##_4, v_u32, v_u64, v_s64, v_u32, v_s32, uint64_t, e)                               \
    static kernel *const name[4] = {name##_1, name##_2, name##_4, NULL};

SAME(add, x + y)
SAME(sub, x - y)
SAME(reverse_sub, y - x)
SAME(bit_and, x &y)
SAME(bit_or, x | y)
SAME(bit_xor, x ^ y)
SAME(bit_andn, x & ~y)
SAME(minu, x < y ? x : y)
SAME(maxu, x > y ? x : y)
SAME(min, (SA)x < (SB)y ? x : y)
SAME(max, (SA)x > (SB)y ? x : y)
SAME(sll, (W)x << (y & (bits - 1)))
SAME(srl, x >> (y & (bits - 1)))
SAME(sra, (SA)x >> (y & (bits - 1)))
SAME(rol, (W)x << (y & (bits - 1)) | x >> ((0 - y) & (bits - 1)))
SAME(ror, x >> (y & (bits - 1)) | (W)x << ((0 - y) & (bits - 1)))
SAME(mul, (W)x *y)
SAME(macc, z + (W)x * y)
SAME(nmsac, z - (W)x * y)
SAME(madd, x + (W)z * y)
SAME(nmsub, x - (W)z * y)

/* Division never traps (V, 11.11). */
SAME(divu, y == 0 ? UINT64_MAX : x / (y == 0 ? 1 : y))
SAME(remu, y == 0 ? x : x % (y == 0 ? 1 : y))
SAME(divide, y == 0        ? UINT64_MAX
             : (SB)y == -1 ? 0 - (uint64_t)x
                           : (uint64_t)((SA)x / ((SB)y == 0 ? 1 : (SB)y)))
SAME(rem, y == 0 ? x : (SB)y == -1 ? 0 : (uint64_t)((SA)x % ((SB)y == 0 ? 1 : (SB)y)))

/*
 * The high halves of products, which W holds (here with a sign if they have one). Not by wider
 * ones: GCC 12 vectorizes signed ones of 16 bits in 64 as if they were unsigned.
 */
#define HIGH(name, W12, W4, W8, e)                                                                 \
    KERNEL(name##_1, uint8_t, uint8_t, v_s8, uint8_t, v_s8, W12, (e) >> bits)                      \
    KERNEL(name##_2, v_u16, v_u16, v_s16, v_u16, v_s16, W12, (e) >> bits)                          \
    KERNEL(name##_4, v_u32, v_u32, v_s32, v_u32, v_s32, W4, (e) >> bits)                           \
    KERNEL(name##_8, v_u64, v_u64, v_s64, v_u64, v_s64, W8, (e) >> bits)                           \
    static kernel *const name[4] = {name##_1, name##_2, name##_4, name##_8};
HIGH(mulhu, uint32_t, uint64_t, u128, (W)x *(W)y)
HIGH(mulh, int32_t, int64_t, s128, (W)(SA)x *(W)(SB)y)
HIGH(mulhsu, int32_t, int64_t, s128, (W)(SA)x *(W)y)

WIDEN(wide_addu, (D)x + y)
WIDEN(wide_add, (D)(SA)x + (D)(SB)y)
WIDEN(wide_subu, (D)x - y)
WIDEN(wide_sub, (D)(SA)x - (D)(SB)y)
WIDEN(wide_mulu, (W)x *(W)y)
WIDEN(wide_mul, (W)(SA)x *(W)(SB)y)
WIDEN(wide_mulsu, (W)(SA)x *(W)y)
WIDEN(wide_maccu, z + (W)x * (W)y)
WIDEN(wide_macc, z + (W)(SA)x * (W)(SB)y)
WIDEN(wide_maccsu, z + (W)x * (W)(SB)y) /* vs1 has a sign */
WIDEN(wide_maccus, z + (W)(SA)x * (W)y)
WIDEN(wide_sll, (uint64_t)x << (y & (2 * bits - 1)))
WIDE(from_wide_addu, x + y)
WIDE(from_wide_add, x + (D)(SB)y)
WIDE(from_wide_subu, x - y)
WIDE(from_wide_sub, x - (D)(SB)y)
NARROW(narrow_srl, x >> (y & (bits - 1)))
NARROW(narrow_sra, (SA)x >> (y & (bits - 1)))

/* ---- of one operand ---- */

static inline uint64_t reverse_in_bytes(uint64_t x)
{
    x = (x >> 1 & 0x5555555555555555ULL) | (x & 0x5555555555555555ULL) << 1;
    x = (x >> 2 & 0x3333333333333333ULL) | (x & 0x3333333333333333ULL) << 2;
    return (x >> 4 & 0x0f0f0f0f0f0f0f0fULL) | (x & 0x0f0f0f0f0f0f0f0fULL) << 4;
}

static inline unsigned leading_zeros(uint64_t x, unsigned bits)
{
    return x == 0 ? bits : (unsigned)__builtin_clzll(x) - (64 - bits);
}

static inline unsigned trailing_zeros(uint64_t x, unsigned bits)
{
    return x == 0 ? bits : (unsigned)__builtin_ctzll(x);
}

SAME(brev8, reverse_in_bytes(x))
SAME(rev8, __builtin_bswap64(x) >> (64 - bits))
SAME(brev, __builtin_bswap64(reverse_in_bytes(x)) >> (64 - bits))
SAME(clz, leading_zeros(x, bits))
SAME(ctz, trailing_zeros(x, bits))
SAME(cpop, __builtin_popcountll(x))

/* By the log2 of how much wider the result is, and of the result's width. */
#define EXTEND(D, S, name) KERNEL(name, D, S, S, S, S, uint64_t, (D)x)
EXTEND(v_u16, uint8_t, zext_2_1)
EXTEND(v_u32, v_u16, zext_4_2)
EXTEND(v_u64, v_u32, zext_8_4)
EXTEND(v_u32, uint8_t, zext_4_1)
EXTEND(v_u64, v_u16, zext_8_2)
EXTEND(v_u64, uint8_t, zext_8_1)
EXTEND(v_u16, v_s8, sext_2_1)
EXTEND(v_u32, v_s16, sext_4_2)
EXTEND(v_u64, v_s32, sext_8_4)
EXTEND(v_u32, v_s8, sext_4_1)
EXTEND(v_u64, v_s16, sext_8_2)
EXTEND(v_u64, v_s8, sext_8_1)
static kernel *const extensions[2][3][4] = {
    {{NULL, zext_2_1, zext_4_2, zext_8_4},
     {NULL, NULL, zext_4_1, zext_8_2},
     {NULL, NULL, NULL, zext_8_1}},
    {{NULL, sext_2_1, sext_4_2, sext_8_4},
     {NULL, NULL, sext_4_1, sext_8_2},
     {NULL, NULL, NULL, sext_8_1}},
};

/* ---- operands ---- */

static bool has_vs1(const struct vop *o)
{
    const unsigned format = insn_table[o->op].format;
    return format == FMT_VVV || format == FMT_VMV;
}

static uint64_t scalar(const struct vop *o)
{
    switch (insn_table[o->op].format) {
    case FMT_VVX:
    case FMT_VMX: return o->hart->x[o->vs1];
    case FMT_VVU: return o->vs1;
    case FMT_VVU6: return o->vs1 | (o->raw >> 26 & 1) << 5;
    default: return o->vs1 < 16 ? o->vs1 : o->vs1 | ~31ULL;
    }
}

/* The second operand from element `from` on: vs1's, or the scalar in all of `room`. */
static const uint8_t *second(const struct vop *o, uint64_t from, uint8_t room[BYTES_MAX])
{
    if (has_vs1(o))
        return v_reg(o, o->vs1) + (from << o->sew);
    const uint64_t value = scalar(o);
#define SPREAD(T)                                                                                  \
    for (uint64_t i = 0; i < o->vl - from; i++)                                                    \
        ((T *)room)[i] = (T)value;
    V_BY_SEW(o, SPREAD)
    return room;
}

static bool sources_apart(const struct vop *o)
{
    return v_source_apart(o, o->vs2) && (!has_vs1(o) || v_source_apart(o, o->vs1));
}

/* Elements of `d` from `from` on that the mask excludes become what they were. */
static void put_back(const struct vop *o, uint64_t from, unsigned sew, const uint8_t *old)
{
    uint8_t on[V_ELEMENTS];
    struct vop wide = *o; /* for the width of the result */
    wide.sew = sew;
    v_spread(o, on);
    uint8_t *const d = v_reg(o, o->vd) + (from << sew);
#define PUT_BACK(T)                                                                                \
    for (uint64_t i = 0; i < o->vl - from; i++) {                                                  \
        const T new = ((T *)d)[i], before = ((const T *)old)[i];                                   \
        ((T *)d)[i] = on[from + i] != 0 ? new : before;                                            \
    }
    V_BY_SEW(&wide, PUT_BACK)
    v_inactives(o, from, sew);
}

/* Runs the kernel into vd, whose elements are of 2^sew bytes and EMUL 2^emul; vs2's are of
 * 2^from_sew bytes. */
static bool run(const struct vop *o, kernel *f, unsigned sew, int emul, unsigned from_sew)
{
    const uint64_t from = o->vstart;
    uint8_t spread[BYTES_MAX], old[BYTES_MAX];

    if (from >= o->vl)
        return true;
    const uint64_t n = o->vl - from;
    uint8_t *d = v_reg(o, o->vd) + (from << sew);
    if (o->masked)
        memcpy(old, d, n << sew);
    const bool one = insn_table[o->op].format == FMT_VV;
    f(d, v_reg(o, o->vs2) + (from << from_sew), one ? spread : second(o, from, spread), n);
    if (o->masked)
        put_back(o, from, sew, old);
    v_tail(o, o->vd, sew, emul);
    return true;
}

static bool same_width(const struct vop *o, kernel *const f[4])
{
    if (!v_mask_apart(o) || !sources_apart(o) || !v_aligned(o->vd, o->lmul) ||
        !v_aligned(o->vs2, o->lmul) || (has_vs1(o) && !v_aligned(o->vs1, o->lmul)))
        return false;
    return run(o, f[o->sew], o->sew, o->lmul, o->sew);
}

/* Groups that are read as elements of different widths are apart (V, 5.2). */
static bool are_apart(const struct vop *o, unsigned wide, unsigned narrow)
{
    return !v_overlap(wide, v_group(o->lmul + 1), narrow, v_group(o->lmul));
}

/* `wide_vs2`: vs2 is as wide as the result. `adds`: to what vd has. */
static bool widening(const struct vop *o, kernel *const f[4], bool wide_vs2, bool adds)
{
    const int wide = o->lmul + 1;
    if (o->sew == 3 || wide > 3 || !v_mask_apart(o) || !sources_apart(o) || !v_aligned(o->vd, wide))
        return false;
    if (wide_vs2 ? !v_aligned(o->vs2, wide) || (has_vs1(o) && !are_apart(o, o->vs2, o->vs1))
                 : !v_aligned(o->vs2, o->lmul) || !v_may_overlap(o->vd, wide, o->vs2, o->lmul))
        return false;
    if (has_vs1(o) && (!v_aligned(o->vs1, o->lmul) || !v_may_overlap(o->vd, wide, o->vs1, o->lmul)))
        return false;
    if (adds && (!are_apart(o, o->vd, o->vs2) || (has_vs1(o) && !are_apart(o, o->vd, o->vs1))))
        return false;
    return run(o, f[o->sew], o->sew + 1, wide, o->sew + wide_vs2);
}

static bool narrowing(const struct vop *o, kernel *const f[4])
{
    const int wide = o->lmul + 1;
    if (o->sew == 3 || wide > 3 || !v_mask_apart(o) || !sources_apart(o) ||
        !v_aligned(o->vd, o->lmul) || !v_aligned(o->vs2, wide) ||
        !v_may_overlap(o->vd, o->lmul, o->vs2, wide))
        return false;
    if (has_vs1(o) && (!v_aligned(o->vs1, o->lmul) || !are_apart(o, o->vs2, o->vs1)))
        return false;
    return run(o, f[o->sew], o->sew, o->lmul, o->sew + 1);
}

/* vzext, vsext from 1 / 2^by of the width. */
static bool extend(const struct vop *o, unsigned by, bool sign)
{
    const int emul = o->lmul - (int)by;
    if (by > o->sew || !v_mask_apart(o) || !v_source_apart(o, o->vs2) ||
        !v_aligned(o->vd, o->lmul) || !v_aligned(o->vs2, emul) ||
        !v_may_overlap(o->vd, o->lmul, o->vs2, emul))
        return false;
    return run(o, extensions[sign][by - 1][o->sew], o->sew, o->lmul, o->sew - by);
}

/* ---- comparisons, carries ---- */

/* Bytes 0 or 1, one an element; those of `d` at first: a carry, where the kernel takes one. */
#define FLAG(name, e)                                                                              \
    KERNEL(name##_1, uint8_t, uint8_t, v_s8, uint8_t, v_s8, uint32_t, e)                           \
    KERNEL(name##_2, uint8_t, v_u16, v_s16, v_u16, v_s16, uint32_t, e)                             \
    KERNEL(name##_4, uint8_t, v_u32, v_s32, v_u32, v_s32, uint32_t, e)                             \
    KERNEL(name##_8, uint8_t, v_u64, v_s64, v_u64, v_s64, uint64_t, e)                             \
    static kernel *const name[4] = {name##_1, name##_2, name##_4, name##_8};
FLAG(equal, x == y)
FLAG(not_equal, x != y)
FLAG(less_unsigned, x < y)
FLAG(less, (SA)x < (SB)y)
FLAG(less_equal_unsigned, x <= y)
FLAG(less_equal, (SA)x <= (SB)y)
FLAG(greater_unsigned, x > y)
FLAG(greater, (SA)x > (SB)y)
/* Whether x + y + z needs a bit more, whether x - y - z is below 0. */
FLAG(carry, (A)(x + y + z) < x || (z != 0 && (A)(x + y + z) == x))
FLAG(borrow, x < y || (z != 0 && x == y))

/* The mask's single register may be the lowest one of a source (V, 5.2). That v0 is read as
 * elements and as the mask is reserved; QEMU 10 does it here, with carries and in reductions. */
static bool may_be_mask(const struct vop *o, unsigned vs)
{
    return v_aligned(vs, o->lmul) && (o->vd == vs || !v_overlap(o->vd, 1, vs, v_group(o->lmul)));
}

/* `carries`: v0 is an operand, if it is read, and all elements are active. */
static bool to_mask(const struct vop *o, kernel *const f[4], bool carries)
{
    _Alignas(8) uint8_t flags[V_ELEMENTS] = {0};
    uint8_t spread[BYTES_MAX];
    struct vop all = *o;

    if (!may_be_mask(o, o->vs2) || (has_vs1(o) && !may_be_mask(o, o->vs1)))
        return false;
    if (o->vstart >= o->vl)
        return true;
    if (carries && o->masked) {
        v_spread(o, flags);
        for (uint64_t i = 0; i < (o->vl + 7) / 8 * 8; i++) /* all that v_spread writes */
            flags[i] &= 1;
    }
    if (carries)
        all.masked = false;
    f[o->sew](flags, v_reg(o, o->vs2), second(o, 0, spread), o->vl);
    for (unsigned w = 0; 64 * (uint64_t)w < o->vl; w++) {
        uint64_t bits = 0;
        for (unsigned at = 0; at < 64; at += 8) /* bit 56 + i is byte i's */
            bits |= (*(const v_u64 *)(flags + 64 * w + at) * 0x0102040810204080ULL >> 56) << at;
        v_put_bits(&all, w, bits);
    }
    v_mask_tail(o);
    return true;
}

/* vadc, vsbc: v0 is an operand, all elements are active. */
static bool with_carry(const struct vop *o, bool subtract)
{
    uint8_t on[V_ELEMENTS];
    struct vop all = *o;

    if (o->vd == 0)
        return false;
    all.masked = false;
    v_spread(o, on);
    if (!same_width(&all, subtract ? sub : add))
        return false;
#define CARRY(T)                                                                                   \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    for (uint64_t i = o->vstart; i < o->vl; i++)                                                   \
        d[i] = (T)(subtract ? d[i] - (on[i] & 1) : d[i] + (on[i] & 1));
    V_BY_SEW(o, CARRY)
    return true;
}

/* ---- which ---- */

/* The forms of an instruction. */
/* clang-format off */
#define VV_VX(name, call) \
    case OP_##name##_vv: \
    case OP_##name##_vx: return call

#define VX_VI(name, call) \
    case OP_##name##_vx: \
    case OP_##name##_vi: return call

#define VV_VX_VI(name, call) \
    case OP_##name##_vv: \
    case OP_##name##_vx: \
    case OP_##name##_vi: return call
/* clang-format on */

bool v_integer(const struct vop *o)
{
    switch (o->op) {
        VV_VX_VI(vadd, same_width(o, add));
        VV_VX(vsub, same_width(o, sub));
        VX_VI(vrsub, same_width(o, reverse_sub));
        VV_VX_VI(vand, same_width(o, bit_and));
        VV_VX_VI(vor, same_width(o, bit_or));
        VV_VX_VI(vxor, same_width(o, bit_xor));
        VV_VX(vandn, same_width(o, bit_andn));
        VV_VX(vminu, same_width(o, minu));
        VV_VX(vmaxu, same_width(o, maxu));
        VV_VX(vmin, same_width(o, min));
        VV_VX(vmax, same_width(o, max));
        VV_VX_VI(vsll, same_width(o, sll));
        VV_VX_VI(vsrl, same_width(o, srl));
        VV_VX_VI(vsra, same_width(o, sra));
        VV_VX(vrol, same_width(o, rol));
        VV_VX_VI(vror, same_width(o, ror));
        VV_VX(vmul, same_width(o, mul));
        VV_VX(vmulhu, same_width(o, mulhu));
        VV_VX(vmulh, same_width(o, mulh));
        VV_VX(vmulhsu, same_width(o, mulhsu));
        VV_VX(vdivu, same_width(o, divu));
        VV_VX(vdiv, same_width(o, divide));
        VV_VX(vremu, same_width(o, remu));
        VV_VX(vrem, same_width(o, rem));
        VV_VX(vmacc, same_width(o, macc));
        VV_VX(vnmsac, same_width(o, nmsac));
        VV_VX(vmadd, same_width(o, madd));
        VV_VX(vnmsub, same_width(o, nmsub));
        VV_VX(vwaddu, widening(o, wide_addu, false, false));
        VV_VX(vwadd, widening(o, wide_add, false, false));
        VV_VX(vwsubu, widening(o, wide_subu, false, false));
        VV_VX(vwsub, widening(o, wide_sub, false, false));
        VV_VX(vwmulu, widening(o, wide_mulu, false, false));
        VV_VX(vwmul, widening(o, wide_mul, false, false));
        VV_VX(vwmulsu, widening(o, wide_mulsu, false, false));
        VV_VX(vwmaccu, widening(o, wide_maccu, false, true));
        VV_VX(vwmacc, widening(o, wide_macc, false, true));
        VV_VX(vwmaccsu, widening(o, wide_maccsu, false, true));
        VV_VX_VI(vwsll, widening(o, wide_sll, false, false));
        VV_VX_VI(vmseq, to_mask(o, equal, false));
        VV_VX_VI(vmsne, to_mask(o, not_equal, false));
        VV_VX(vmsltu, to_mask(o, less_unsigned, false));
        VV_VX(vmslt, to_mask(o, less, false));
        VV_VX_VI(vmsleu, to_mask(o, less_equal_unsigned, false));
        VV_VX_VI(vmsle, to_mask(o, less_equal, false));
        VX_VI(vmsgtu, to_mask(o, greater_unsigned, false));
        VX_VI(vmsgt, to_mask(o, greater, false));
        VV_VX_VI(vmadc, to_mask(o, carry, true));
        VV_VX(vmsbc, to_mask(o, borrow, true));
    case OP_vmadc_vvm:
    case OP_vmadc_vxm:
    case OP_vmadc_vim: return to_mask(o, carry, true);
    case OP_vmsbc_vvm:
    case OP_vmsbc_vxm: return to_mask(o, borrow, true);
    case OP_vadc_vvm:
    case OP_vadc_vxm:
    case OP_vadc_vim: return with_carry(o, false);
    case OP_vsbc_vvm:
    case OP_vsbc_vxm: return with_carry(o, true);
    case OP_vwmaccus_vx: return widening(o, wide_maccus, false, true);
    case OP_vwaddu_wv:
    case OP_vwaddu_wx: return widening(o, from_wide_addu, true, false);
    case OP_vwadd_wv:
    case OP_vwadd_wx: return widening(o, from_wide_add, true, false);
    case OP_vwsubu_wv:
    case OP_vwsubu_wx: return widening(o, from_wide_subu, true, false);
    case OP_vwsub_wv:
    case OP_vwsub_wx: return widening(o, from_wide_sub, true, false);
    case OP_vnsrl_wv:
    case OP_vnsrl_wx:
    case OP_vnsrl_wi: return narrowing(o, narrow_srl);
    case OP_vnsra_wv:
    case OP_vnsra_wx:
    case OP_vnsra_wi: return narrowing(o, narrow_sra);
    case OP_vzext_vf2: return extend(o, 1, false);
    case OP_vzext_vf4: return extend(o, 2, false);
    case OP_vzext_vf8: return extend(o, 3, false);
    case OP_vsext_vf2: return extend(o, 1, true);
    case OP_vsext_vf4: return extend(o, 2, true);
    case OP_vsext_vf8: return extend(o, 3, true);
    case OP_vbrev8_v: return same_width(o, brev8);
    case OP_vrev8_v: return same_width(o, rev8);
    case OP_vbrev_v: return same_width(o, brev);
    case OP_vclz_v: return same_width(o, clz);
    case OP_vctz_v: return same_width(o, ctz);
    case OP_vcpop_v: return same_width(o, cpop);
    default: return false;
    }
}
