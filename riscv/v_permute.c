/* Instructions that move elements (V, 11.15, 11.16, 16). */
#include "riscv/v_internal.h"

/*
 * Active elements from `from` to `to` - 1 of the destination become those of the group at `source`
 * from its element `index` on, which is not below `from` where the groups are the same.
 */
static void copy(const struct vop *o, uint64_t from, uint64_t to, unsigned source, uint64_t index)
{
    if (from >= to)
        return;
    const uint64_t n = to - from;
    uint8_t *const at = v_reg(o, o->vd) + (from << o->sew);
    const uint8_t *const of = v_reg(o, source) + (index << o->sew);
    if (!o->masked) {
        memmove(at, of, n << o->sew);
        return;
    }
    uint8_t on[V_ELEMENTS];
    v_spread(o, on);
#define COPY(T)                                                                                    \
    T *const d = (T *)at;                                                                          \
    const T *const s = (const T *)of;                                                              \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        const T other = d[i], value = s[i];                                                        \
        d[i] = on[from + i] != 0 ? value : other;                                                  \
    }
    V_BY_SEW(o, COPY)
}

/* The same, of one value. */
static void fill(const struct vop *o, uint64_t from, uint64_t to, uint64_t value)
{
    if (!o->masked) {
#define FILL(T)                                                                                    \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    for (uint64_t i = from; i < to; i++)                                                           \
        d[i] = (T)value;
        V_BY_SEW(o, FILL)
        return;
    }
    uint8_t on[V_ELEMENTS];
    v_spread(o, on);
#define FILL_ON(T)                                                                                 \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    for (uint64_t i = from; i < to; i++) {                                                         \
        const T other = d[i];                                                                      \
        d[i] = on[i] != 0 ? (T)value : other;                                                      \
    }
    V_BY_SEW(o, FILL_ON)
}

/* Elements that were not written; those before `from` are not the instruction's. */
static bool done(const struct vop *o, uint64_t from)
{
    v_inactives(o, from, o->sew);
    v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}

static uint64_t simm5(const struct vop *o)
{
    return o->vs1 < 16 ? o->vs1 : o->vs1 | ~31ULL;
}

/* ---- slides (16.3) ---- */

static bool may_slide(const struct vop *o, bool up)
{
    return v_mask_apart(o) && v_source_apart(o, o->vs2) && v_aligned(o->vd, o->lmul) &&
           v_aligned(o->vs2, o->lmul) && !(up && o->vd == o->vs2);
}

static bool slide_up(const struct vop *o, uint64_t offset)
{
    if (!may_slide(o, true))
        return false;
    if (o->vstart >= o->vl)
        return true;
    const uint64_t from = o->vstart > offset ? o->vstart : offset;
    copy(o, from, o->vl, o->vs2, from - offset);
    return done(o, from);
}

static bool slide_down(const struct vop *o, uint64_t offset)
{
    if (!may_slide(o, false))
        return false;
    if (o->vstart >= o->vl)
        return true;
    uint64_t end = offset < o->vlmax ? o->vlmax - offset : 0; /* of what has a source */
    end = end > o->vl ? o->vl : end < o->vstart ? o->vstart : end;
    copy(o, o->vstart, end, o->vs2, o->vstart + offset);
    fill(o, end, o->vl, 0);
    return done(o, o->vstart);
}

bool v_slide1(const struct vop *o, bool up, uint64_t value)
{
    if (!may_slide(o, up))
        return false;
    if (o->vstart >= o->vl)
        return true;
    if (!up) {
        copy(o, o->vstart, o->vl - 1, o->vs2, o->vstart + 1);
        fill(o, o->vl - 1, o->vl, value);
    } else if (o->vstart == 0) {
        fill(o, 0, 1, value);
        copy(o, 1, o->vl, o->vs2, 0);
    } else {
        copy(o, o->vstart, o->vl, o->vs2, o->vstart - 1);
    }
    return done(o, o->vstart);
}

/* ---- vrgather (16.4), vcompress (16.5) ---- */

static bool gather(const struct vop *o, unsigned eew)
{
    const int emul = o->lmul + (int)eew - (int)o->sew; /* of the indices */
    const unsigned data = v_group(o->lmul), indices = v_group(emul);
    if (!v_mask_apart(o) || !v_source_apart(o, o->vs2) || !v_source_apart(o, o->vs1) ||
        !v_aligned(o->vd, o->lmul) || !v_aligned(o->vs2, o->lmul) || !v_aligned(o->vs1, emul) ||
        o->vd == o->vs2 || v_overlap(o->vd, data, o->vs1, indices) ||
        (eew != o->sew && v_overlap(o->vs2, data, o->vs1, indices)))
        return false;
    if (o->vstart >= o->vl)
        return true;
    const uint64_t from = o->vstart, to = o->vl, vlmax = o->vlmax;
    const uint8_t *const mask = o->masked ? o->hart->v : NULL;
#define GATHER(T, I)                                                                               \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    const T *const s = (const T *)v_reg(o, o->vs2);                                                \
    const I *const at = (const I *)v_reg(o, o->vs1);                                               \
    for (uint64_t i = from; i < to; i++) {                                                         \
        if (mask == NULL || v_bit(mask, i))                                                        \
            d[i] = at[i] < vlmax ? s[at[i]] : 0;                                                   \
    }
#define GATHER_SAME(T) GATHER(T, T)
#define GATHER_16(T)   GATHER(T, v_u16)
    if (eew == o->sew)
        V_BY_SEW(o, GATHER_SAME)
    else
        V_BY_SEW(o, GATHER_16)
    return done(o, o->vstart);
}

static bool gather_one(const struct vop *o, uint64_t index)
{
    if (!may_slide(o, true))
        return false;
    if (o->vstart >= o->vl)
        return true;
    fill(o, o->vstart, o->vl, index < o->vlmax ? v_element(o, o->vs2, index) : 0);
    return done(o, o->vstart);
}

static bool compress(const struct vop *o)
{
    const unsigned regs = v_group(o->lmul);
    if (o->vstart != 0 || !v_aligned(o->vd, o->lmul) || !v_aligned(o->vs2, o->lmul) ||
        o->vd == o->vs2 || v_overlap(o->vd, regs, o->vs1, 1))
        return false;
    if (o->vl == 0)
        return true;
    const uint8_t *const chosen = v_reg(o, o->vs1);
    const uint64_t vl = o->vl;
    uint64_t n = 0;
#define COMPRESS(T)                                                                                \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    const T *const s = (const T *)v_reg(o, o->vs2);                                                \
    for (uint64_t i = 0; i < vl; i++) {                                                            \
        if (v_bit(chosen, i))                                                                      \
            d[n++] = s[i];                                                                         \
    }
    V_BY_SEW(o, COMPRESS)
    struct vop packed = *o;
    packed.vl = n; /* what follows is tail */
    v_tail(&packed, o->vd, o->sew, o->lmul);
    return true;
}

/* ---- vmerge (11.15), moves (11.16, 16.1, 16.6) ---- */

/* v0 is an operand here, not what masks: none of the body is inactive. */
static bool may_merge(const struct vop *o)
{
    return o->vd != 0 && o->vs2 != 0 && v_aligned(o->vd, o->lmul) && v_aligned(o->vs2, o->lmul);
}

static bool merge(const struct vop *o)
{
    if (!may_merge(o) || o->vs1 == 0 || !v_aligned(o->vs1, o->lmul))
        return false;
    if (o->vstart >= o->vl)
        return true;
    const uint64_t from = o->vstart, to = o->vl;
    uint8_t on[V_ELEMENTS];
    v_spread(o, on);
#define MERGE(T)                                                                                   \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    const T *const no = (const T *)v_reg(o, o->vs2), *const yes = (const T *)v_reg(o, o->vs1);     \
    for (uint64_t i = from; i < to; i++) {                                                         \
        const T value = yes[i], other = no[i];                                                     \
        d[i] = on[i] != 0 ? value : other;                                                         \
    }
    V_BY_SEW(o, MERGE)
    v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}

bool v_merge(const struct vop *o, uint64_t value)
{
    if (!may_merge(o))
        return false;
    if (o->vstart >= o->vl)
        return true;
    const uint64_t from = o->vstart, to = o->vl;
    uint8_t on[V_ELEMENTS];
    v_spread(o, on);
#define MERGE_ONE(T)                                                                               \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    const T *const no = (const T *)v_reg(o, o->vs2);                                               \
    for (uint64_t i = from; i < to; i++) {                                                         \
        const T other = no[i];                                                                     \
        d[i] = on[i] != 0 ? (T)value : other;                                                      \
    }
    V_BY_SEW(o, MERGE_ONE)
    v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}

static bool move(const struct vop *o)
{
    if (!v_aligned(o->vd, o->lmul) || !v_aligned(o->vs1, o->lmul))
        return false;
    if (o->vstart >= o->vl)
        return true;
    copy(o, o->vstart, o->vl, o->vs1, o->vstart);
    return done(o, o->vstart);
}

bool v_splat(const struct vop *o, uint64_t value)
{
    if (!v_aligned(o->vd, o->lmul))
        return false;
    if (o->vstart >= o->vl)
        return true;
    fill(o, o->vstart, o->vl, value);
    return done(o, o->vstart);
}

/* Of one register whatever LMUL is; the rest of it is tail. */
bool v_first(const struct vop *o, uint64_t value)
{
    if (o->vstart >= o->vl)
        return true;
    struct vop one = *o;
    one.vl = 1;
    fill(&one, 0, 1, value);
    v_tail(&one, o->vd, o->sew, 0);
    return true;
}

static bool read_first(const struct vop *o)
{
    const unsigned shift = 64 - (8u << o->sew);
    if (o->vd != 0)
        o->hart->x[o->vd] = (uint64_t)((int64_t)(v_element(o, o->vs2, 0) << shift) >> shift);
    return true;
}

/* Whole registers, as many elements as they have, whatever vl is (16.6). */
static bool move_registers(const struct vop *o, int emul)
{
    if (!v_aligned(o->vd, emul) || !v_aligned(o->vs2, emul))
        return false;
    struct vop all = *o;
    all.masked = false;
    copy(&all, o->vstart, (uint64_t)o->vlenb << emul >> o->sew, o->vs2, o->vstart);
    return true;
}

bool v_permute(const struct vop *o)
{
    const uint64_t x = o->hart->x[o->vs1];

    switch (o->op) {
    case OP_vslideup_vx: return slide_up(o, x);
    case OP_vslideup_vi: return slide_up(o, o->vs1);
    case OP_vslidedown_vx: return slide_down(o, x);
    case OP_vslidedown_vi: return slide_down(o, o->vs1);
    case OP_vslide1up_vx: return v_slide1(o, true, x);
    case OP_vslide1down_vx: return v_slide1(o, false, x);
    case OP_vrgather_vv: return gather(o, o->sew);
    case OP_vrgatherei16_vv: return gather(o, 1);
    case OP_vrgather_vx: return gather_one(o, x);
    case OP_vrgather_vi: return gather_one(o, o->vs1);
    case OP_vcompress_vm: return compress(o);
    case OP_vmerge_vvm: return merge(o);
    case OP_vmerge_vxm: return v_merge(o, x);
    case OP_vmerge_vim: return v_merge(o, simm5(o));
    case OP_vmv_v_v: return move(o);
    case OP_vmv_v_x: return v_splat(o, x);
    case OP_vmv_v_i: return v_splat(o, simm5(o));
    case OP_vmv_x_s: return read_first(o);
    case OP_vmv_s_x: return v_first(o, x);
    case OP_vmv1r_v: return move_registers(o, 0);
    case OP_vmv2r_v: return move_registers(o, 1);
    case OP_vmv4r_v: return move_registers(o, 2);
    case OP_vmv8r_v: return move_registers(o, 3);
    default: return false;
    }
}
