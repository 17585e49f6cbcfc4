/* What the files of the vector extension share. Nothing but riscv/v_*.c includes this. */
#ifndef RISCV_V_INTERNAL_H
#define RISCV_V_INTERNAL_H

#include "riscv/csr.h"
#include "riscv/insn.h"
#include "riscv/vector.h"

/* Elements where they stand, aligned or not. */
typedef uint16_t __attribute__((aligned(1), may_alias)) v_u16;
typedef uint32_t __attribute__((aligned(1), may_alias)) v_u32;
typedef uint64_t __attribute__((aligned(1), may_alias)) v_u64;
typedef int8_t __attribute__((may_alias)) v_s8;
typedef int16_t __attribute__((aligned(1), may_alias)) v_s16;
typedef int32_t __attribute__((aligned(1), may_alias)) v_s32;
typedef int64_t __attribute__((aligned(1), may_alias)) v_s64;
typedef unsigned char __attribute__((vector_size(16), aligned(1), may_alias)) v_u128;

/* BODY(type), where the type is that of unsigned elements as wide as SEW. */
#define V_BY_SEW(o, BODY)                                                                          \
    switch ((o)->sew) {                                                                            \
    case 0: {                                                                                      \
        BODY(uint8_t)                                                                              \
    } break;                                                                                       \
    case 1: {                                                                                      \
        BODY(v_u16)                                                                                \
    } break;                                                                                       \
    case 2: {                                                                                      \
        BODY(v_u32)                                                                                \
    } break;                                                                                       \
    default: {                                                                                     \
        BODY(v_u64)                                                                                \
    } break;                                                                                       \
    }

/* One instruction on its way: its fields, and what vtype says. */
struct vop {
    struct riscv_vcpu *hart;
    unsigned op; /* enum riscv_op */
    uint32_t raw;
    unsigned vd, vs1, vs2; /* fields 11..7, 19..15 (rs1, simm5, uimm5 too), 24..20 */
    bool masked;           /* vm = 0: elements whose bit of v0 is 0 are left alone */
    bool ones;             /* agnostic elements are filled with ones (audits); else left alone */
    unsigned vlenb;
    unsigned sew; /* log2 of the element's bytes, 0..3 */
    int lmul;     /* log2, -3..3 */
    uint64_t vl, vstart, vlmax;
};

static inline uint8_t *v_reg(const struct vop *o, unsigned reg)
{
    return o->hart->v + (size_t)reg * o->vlenb;
}

/* Element i, as wide as SEW, of the group at `reg`. */
static inline uint64_t v_element(const struct vop *o, unsigned reg, uint64_t i)
{
#define V_ELEMENT(T) return ((const T *)v_reg(o, reg))[i];
    V_BY_SEW(o, V_ELEMENT)
}

static inline void v_set_element(const struct vop *o, unsigned reg, uint64_t i, uint64_t value)
{
#define V_SET_ELEMENT(T) ((T *)v_reg(o, reg))[i] = (T)value;
    V_BY_SEW(o, V_SET_ELEMENT)
}

/* Bit i of a mask register (V, 4.5). */
static inline bool v_bit(const uint8_t *mask, uint64_t i)
{
    return (mask[i / 8] >> i % 8 & 1) != 0;
}

static inline void v_set_bit(uint8_t *mask, uint64_t i, bool value)
{
    mask[i / 8] = (uint8_t)((mask[i / 8] & ~(1u << i % 8)) | (unsigned)value << i % 8);
}

/* Whether element i is active: not masked off (V, 5.3). */
static inline bool v_active(const struct vop *o, uint64_t i)
{
    return !o->masked || v_bit(o->hart->v, i);
}

/* Registers of a group of EMUL 2^emul; a fraction has one. */
static inline unsigned v_group(int emul)
{
    return emul > 0 ? 1u << emul : 1;
}

/* A group may begin here, and is not too large (V, 3.4.2). */
static inline bool v_aligned(unsigned reg, int emul)
{
    return emul <= 3 && emul >= -3 && (reg & (v_group(emul) - 1)) == 0;
}

static inline bool v_overlap(unsigned a, unsigned a_regs, unsigned b, unsigned b_regs)
{
    return a < b + b_regs && b < a + a_regs;
}

/*
 * The destination group (elements of 2^deew bytes, EMUL demul) may overlap the source group
 * (V, 5.2): the same width; or it is narrower and at the lowest register of the source; or wider,
 * the source's EMUL is at least 1 and it is the highest part of the destination.
 */
static inline bool v_may_overlap(unsigned vd, int demul, unsigned vs, int semul)
{
    const unsigned d = v_group(demul), s = v_group(semul);
    if (!v_overlap(vd, d, vs, s) || demul == semul)
        return true;
    if (demul < semul)
        return vd == vs;
    return semul >= 0 && vs == vd + d - s;
}

/* A masked instruction's destination is not v0, unless it is a mask (V, 5.3). */
static inline bool v_mask_apart(const struct vop *o)
{
    return !o->masked || o->vd != 0;
}

/* Nor does it read v0 as elements too: one register is read with one EEW, a mask's is 1 (V, 5.2).
 */
static inline bool v_source_apart(const struct vop *o, unsigned vs)
{
    return !o->masked || vs != 0;
}

#define V_ELEMENTS RISCV_VLEN_MAX /* VLMAX of the largest VLEN, SEW 8 and LMUL 8 */

/* v0 as bytes, one an element, 0 or 0xff: for elements 0 to vl - 1, and some more. */
static inline void v_spread(const struct vop *o, uint8_t on[V_ELEMENTS])
{
    for (uint64_t i = 0; i < o->vl; i += 8) {
        /* Each byte keeps the one bit that is its own; 0x7f more makes that bit 7. */
        const uint64_t bits = o->hart->v[i / 8] * 0x0101010101010101ULL & 0x8040201008040201ULL;
        const uint64_t tops = (bits + 0x7f7f7f7f7f7f7f7fULL) >> 7 & 0x0101010101010101ULL;
        *(v_u64 *)(on + i) = tops * 0xff;
    }
}

/* Elements past vl up to the end of the group of EMUL `emul` (at least one register), of 2^eew
 * bytes: the tail. */
static inline void v_tail(const struct vop *o, unsigned vd, unsigned eew, int emul)
{
    if (!o->ones || (o->hart->vtype & VTYPE_VTA) == 0)
        return;
    const size_t from = (size_t)o->vl << eew, to = (size_t)v_group(emul) * o->vlenb;
    if (from < to)
        memset(v_reg(o, vd) + from, 0xff, to - from);
}

/* What an inactive element becomes if it is agnostic. */
static inline void v_inactive(const struct vop *o, uint8_t *element, unsigned eew)
{
    if (o->ones && (o->hart->vtype & VTYPE_VMA) != 0)
        memset(element, 0xff, (size_t)1 << eew);
}

/* The same of all elements of the destination from `from` to vl. */
static inline void v_inactives(const struct vop *o, uint64_t from, unsigned eew)
{
    if (!o->masked || !o->ones || (o->hart->vtype & VTYPE_VMA) == 0)
        return;
    for (uint64_t i = from; i < o->vl; i++) {
        if (!v_bit(o->hart->v, i))
            memset(v_reg(o, o->vd) + (i << eew), 0xff, (size_t)1 << eew);
    }
}

/* Masks by words of 64 elements: bits of word w that belong to elements below `end`. */
static inline uint64_t v_below(uint64_t end, unsigned w)
{
    const uint64_t first = 64 * (uint64_t)w;
    return end <= first ? 0 : end - first >= 64 ? UINT64_MAX : (1ULL << (end - first)) - 1;
}

static inline uint64_t v_body_bits(const struct vop *o, unsigned w)
{
    return v_below(o->vl, w) & ~v_below(o->vstart, w);
}

static inline uint64_t v_active_bits(const struct vop *o, unsigned w)
{
    return v_body_bits(o, w) & (o->masked ? ((const v_u64 *)v_reg(o, 0))[w] : UINT64_MAX);
}

/* What an instruction that makes a mask says of word w's elements; v_mask_tail is for the rest. */
static inline void v_put_bits(const struct vop *o, unsigned w, uint64_t value)
{
    v_u64 *const mask = (v_u64 *)v_reg(o, o->vd);
    const uint64_t on = v_active_bits(o, w);
    const bool ones = o->ones && (o->hart->vtype & VTYPE_VMA) != 0;
    mask[w] = (mask[w] & ~on) | (value & on) | (ones ? v_body_bits(o, w) & ~on : 0);
}

/* The tail of a mask: agnostic whatever vta is, up to the register's end (V, 3.4.3). */
static inline void v_mask_tail(const struct vop *o)
{
    if (!o->ones)
        return;
    uint8_t *mask = v_reg(o, o->vd);
    if (o->vl % 8 != 0)
        mask[o->vl / 8] |= (uint8_t)(0xff << o->vl % 8);
    for (uint64_t i = (o->vl + 7) / 8; i < o->vlenb; i++)
        mask[i] = 0xff;
}

/*
 * By groups of instructions. False: the encoding is reserved for this vtype, nothing has changed.
 * They are called with vtype not ill, VS on, and (float) FS on; the caller makes VS dirty and
 * vstart 0 after success. With vstart >= vl they check what is reserved and change nothing (but
 * vmv.x.s and vfmv.f.s, which ignore vl, and vcpop and vfirst, which do not let vstart be other
 * than 0).
 */
bool v_integer(const struct vop *o); /* OPIVV, OPIVX, OPIVI, OPMVV and OPMVX by element, Zvbb too */
bool v_fixed(const struct vop *o);   /* saturating, averaging, vsmul, vssrl, vssra, vnclip */
bool v_reduce(const struct vop *o);  /* integer reductions */
bool v_mask(const struct vop *o);    /* vm*.mm, vcpop, vfirst, vmsbf, vmsif, vmsof, viota, vid */
bool v_permute(const struct vop *o); /* slides, gathers, vcompress, vmerge, moves */
bool v_float(const struct vop *o);   /* OPFVV and OPFVF, their moves, slides and reductions too */
bool v_crypto(const struct vop *o);  /* Zvkned, Zvknhb, Zvkg, Zvbc */

/* Of v_permute.c with a scalar's bits, be it of an x or an f register. */
bool v_splat(const struct vop *o, uint64_t value);           /* vmv.v.x */
bool v_merge(const struct vop *o, uint64_t value);           /* vmerge.vxm */
bool v_slide1(const struct vop *o, bool up, uint64_t value); /* vslide1up.vx, vslide1down.vx */
bool v_first(const struct vop *o, uint64_t value);           /* vmv.s.x */

/* v_mem.c: loads and stores. Sets hart->vstart where it traps. */
enum riscv_vresult v_memory(const struct vop *o, const struct riscv_vmemory *memory);

#endif
