/* Instructions on masks (V, 15), by words of 64 elements. */
#include "riscv/v_internal.h"

#define NONE UINT64_MAX

static v_u64 *words(const struct vop *o, unsigned reg)
{
    return (v_u64 *)v_reg(o, reg);
}

static unsigned word_count(const struct vop *o)
{
    return (unsigned)((o->vl + 63) / 64);
}

/* ---- vm*.mm (15.1) ---- */

static uint64_t logic_of(unsigned op, uint64_t a, uint64_t b)
{
    switch (op) {
    case OP_vmand_mm: return a & b;
    case OP_vmnand_mm: return ~(a & b);
    case OP_vmandn_mm: return a & ~b;
    case OP_vmor_mm: return a | b;
    case OP_vmnor_mm: return ~(a | b);
    case OP_vmorn_mm: return a | ~b;
    case OP_vmxor_mm: return a ^ b;
    default: return ~(a ^ b);
    }
}

static bool logic(const struct vop *o)
{
    if (o->vstart >= o->vl)
        return true;
    for (unsigned w = 0; w < word_count(o); w++)
        v_put_bits(o, w, logic_of(o->op, words(o, o->vs2)[w], words(o, o->vs1)[w]));
    v_mask_tail(o);
    return true;
}

/* ---- vcpop, vfirst (15.2, 15.3), vmsbf, vmsif, vmsof (15.4 to 15.6) ---- */

static uint64_t first_set(const struct vop *o)
{
    for (unsigned w = 0; w < word_count(o); w++) {
        const uint64_t set = words(o, o->vs2)[w] & v_active_bits(o, w);
        if (set != 0)
            return 64 * (uint64_t)w + (unsigned)__builtin_ctzll(set);
    }
    return NONE;
}

static bool count(const struct vop *o)
{
    uint64_t n = 0;
    if (o->vstart != 0)
        return false;
    for (unsigned w = 0; w < word_count(o); w++)
        n += (unsigned)__builtin_popcountll(words(o, o->vs2)[w] & v_active_bits(o, w));
    if (o->vd != 0)
        o->hart->x[o->vd] = n;
    return true;
}

static bool find_first(const struct vop *o)
{
    if (o->vstart != 0)
        return false;
    if (o->vd != 0)
        o->hart->x[o->vd] = first_set(o); /* NONE is -1 */
    return true;
}

static bool set_by_first(const struct vop *o)
{
    if (o->vstart != 0 || o->vd == o->vs2 || !v_mask_apart(o))
        return false;
    if (o->vl == 0)
        return true;
    const uint64_t first = first_set(o);
    for (unsigned w = 0; w < word_count(o); w++) {
        const uint64_t before = v_below(first, w), at = first / 64 == w ? 1ULL << first % 64 : 0;
        v_put_bits(o, w, o->op == OP_vmsbf_m ? before : o->op == OP_vmsof_m ? at : before | at);
    }
    v_mask_tail(o);
    return true;
}

/* ---- viota, vid (15.8, 15.9) ---- */

static bool iota(const struct vop *o)
{
    if (o->vstart != 0 || !v_mask_apart(o) || !v_aligned(o->vd, o->lmul) ||
        v_overlap(o->vd, v_group(o->lmul), o->vs2, 1))
        return false;
    if (o->vl == 0)
        return true;
    const uint8_t *const set = v_reg(o, o->vs2), *const mask = o->masked ? o->hart->v : NULL;
    const uint64_t vl = o->vl;
    uint64_t n = 0;
#define IOTA(T)                                                                                    \
    T *const d = (T *)v_reg(o, o->vd);                                                             \
    for (uint64_t i = 0; i < vl; i++) {                                                            \
        if (mask == NULL || v_bit(mask, i)) {                                                      \
            d[i] = (T)n;                                                                           \
            n += v_bit(set, i);                                                                    \
        }                                                                                          \
    }
    V_BY_SEW(o, IOTA)
    v_inactives(o, 0, o->sew);
    v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}

static bool indices(const struct vop *o)
{
    if (!v_mask_apart(o) || !v_aligned(o->vd, o->lmul))
        return false;
    if (o->vstart >= o->vl)
        return true;
    const uint32_t vstart = (uint32_t)o->vstart, vl = (uint32_t)o->vl;
    if (!o->masked) {
#define EACH(T)                                                                                    \
    for (uint32_t i = vstart; i < vl; i++)                                                         \
        ((T *)v_reg(o, o->vd))[i] = (T)i;
        V_BY_SEW(o, EACH)
    } else {
        uint8_t on[V_ELEMENTS];
        v_spread(o, on);
#define EACH_ON(T)                                                                                 \
    T *d = (T *)v_reg(o, o->vd);                                                                   \
    for (uint32_t i = vstart; i < vl; i++)                                                         \
        d[i] = on[i] != 0 ? (T)i : d[i];
        V_BY_SEW(o, EACH_ON)
    }
    v_inactives(o, o->vstart, o->sew);
    v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}

bool v_mask(const struct vop *o)
{
    switch (o->op) {
    case OP_vcpop_m: return count(o);
    case OP_vfirst_m: return find_first(o);
    case OP_vmsbf_m:
    case OP_vmsif_m:
    case OP_vmsof_m: return set_by_first(o);
    case OP_viota_m: return iota(o);
    case OP_vid_v: return indices(o);
    default: return logic(o);
    }
}
