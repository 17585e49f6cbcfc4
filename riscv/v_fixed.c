/* Fixed-point instructions (V, 12): saturation, averages, scaling; rounding by vxrm, vxsat where a
 * result does not fit. */
#include "riscv/v_internal.h"

__extension__ typedef __int128 s128;

/* One element: what becomes of x (vs2), y (vs1 or the scalar), both with signs or without, of
 * `bits` bits. */
struct element {
    s128 x, y;
    unsigned bits, vxrm;
    bool saturated;
};

/* x / 2^by as vxrm says (V, 3.8). */
static s128 round_off(s128 x, unsigned by, unsigned vxrm)
{
    if (by == 0)
        return x;
    const bool half = (x >> (by - 1) & 1) != 0, odd = (x >> by & 1) != 0;
    const bool below_half = (x & (((s128)1 << (by - 1)) - 1)) != 0;
    bool up = false;
    switch (vxrm) {
    case 0: up = half; break;                         /* to nearest, up */
    case 1: up = half && (below_half || odd); break;  /* to nearest, even */
    case 3: up = !odd && (half || below_half); break; /* to odd */
    default: break;
    }
    return (x >> by) + up;
}

static s128 clip(struct element *e, s128 value, bool sign)
{
    const s128 most = ((s128)1 << (e->bits - sign)) - 1, least = sign ? -most - 1 : 0;
    if (value >= least && value <= most)
        return value;
    e->saturated = true;
    return value < least ? least : most;
}

static s128 compute(struct element *e, unsigned funct6, bool sign)
{
    switch (funct6) {
    case 0x20:
    case 0x21: return clip(e, e->x + e->y, sign); /* vsaddu, vsadd */
    case 0x22:
    case 0x23: return clip(e, e->x - e->y, sign); /* vssubu, vssub */
    case 0x27: return clip(e, round_off(e->x * e->y, e->bits - 1, e->vxrm), true); /* vsmul */
    case 0x08:
    case 0x09: return round_off(e->x + e->y, 1, e->vxrm); /* vaaddu, vaadd */
    case 0x0a:
    case 0x0b: return round_off(e->x - e->y, 1, e->vxrm); /* vasubu, vasub */
    case 0x2a:
    case 0x2b: return round_off(e->x, (unsigned)e->y & (e->bits - 1), e->vxrm); /* vssrl, vssra */
    default: /* vnclipu, vnclip */
        return clip(e, round_off(e->x, (unsigned)e->y & (2 * e->bits - 1), e->vxrm), sign);
    }
}

/* Element i of 2^sew bytes. */
static s128 get(const uint8_t *group, uint64_t i, unsigned sew, bool sign)
{
    const uint8_t *at = group + (i << sew);
    switch (sew) {
    case 0: return sign ? (s128)(int8_t)*at : (s128)*at;
    case 1: return sign ? (s128)(int16_t) * (const v_u16 *)at : (s128) * (const v_u16 *)at;
    case 2: return sign ? (s128)(int32_t) * (const v_u32 *)at : (s128) * (const v_u32 *)at;
    default: return sign ? (s128)(int64_t) * (const v_u64 *)at : (s128) * (const v_u64 *)at;
    }
}

/* The scalar operand, of SEW bits. */
static s128 scalar(const struct vop *o, bool sign)
{
    uint64_t value = o->hart->x[o->vs1];
    if (insn_table[o->op].format == FMT_VVI)
        value = o->vs1 < 16 ? o->vs1 : o->vs1 | ~31ULL;
    else if (insn_table[o->op].format == FMT_VVU)
        value = o->vs1;
    return get((const uint8_t *)&value, 0, o->sew, sign);
}

bool v_fixed(const struct vop *o)
{
    const unsigned funct6 = o->raw >> 26;
    const bool vector = insn_table[o->op].format == FMT_VVV, narrows = funct6 >= 0x2e;
    /* vsadd, vssub, vaadd, vasub, vssra, vnclip are the odd ones; vsmul is one by chance. Shifts
     * are by what has no sign. */
    const bool sign = (funct6 & 1) != 0, shifts = funct6 >= 0x2a;
    const int emul = o->lmul + narrows; /* of vs2 */

    if ((narrows && (o->sew == 3 || emul > 3)) || !v_mask_apart(o) || !v_source_apart(o, o->vs2) ||
        !v_aligned(o->vd, o->lmul) || !v_aligned(o->vs2, emul) ||
        !v_may_overlap(o->vd, o->lmul, o->vs2, emul))
        return false;
    if (vector && (!v_source_apart(o, o->vs1) || !v_aligned(o->vs1, o->lmul) ||
                   (narrows && v_overlap(o->vs2, v_group(emul), o->vs1, v_group(o->lmul)))))
        return false;
    if (o->vstart >= o->vl)
        return true;
    struct element e = {.bits = 8u << o->sew, .vxrm = o->hart->vxrm};
    const s128 all = vector ? 0 : scalar(o, sign && !shifts);
    for (uint64_t i = o->vstart; i < o->vl; i++) {
        if (!v_active(o, i))
            continue;
        e.x = get(v_reg(o, o->vs2), i, o->sew + narrows, sign);
        e.y = vector ? get(v_reg(o, o->vs1), i, o->sew, sign && !shifts) : all;
        v_set_element(o, o->vd, i, (uint64_t)compute(&e, funct6, sign));
    }
    if (e.saturated)
        o->hart->vxsat = true;
    v_inactives(o, o->vstart, o->sew);
    v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}
