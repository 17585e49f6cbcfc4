/* Integer reductions (V, 14.1, 14.2): element 0 of vd becomes that of vs1 with all active elements
 * of vs2. */
#include "riscv/v_internal.h"

/*
 * `total` with n elements, of which those count that `on` says, or all if it is NULL. T is of the
 * elements, with a sign or without; W of the sum, which may be wider, and wraps where it has no
 * sign.
 */
#define REDUCE(T, W, first, step)                                                                  \
    {                                                                                              \
        const T *const s = (const T *)from;                                                        \
        W sum = (W)total;                                                                          \
        for (uint64_t i = 0; i < n; i++) {                                                         \
            const W x = on == NULL || on[i] != 0 ? (W)s[i] : (W)(first);                           \
            sum = (W)(step);                                                                       \
        }                                                                                          \
        return (uint64_t)sum;                                                                      \
    }

#define REDUCTION(name, T8, T16, T32, T64, first, step)                                            \
    static uint64_t name(const uint8_t *from, uint64_t n, const uint8_t *on, uint64_t total,       \
                         unsigned sew)                                                             \
    {                                                                                              \
        switch (sew) {                                                                             \
        case 0: REDUCE(T8, T8, first, step)                                                        \
        case 1: REDUCE(T16, T16, first, step)                                                      \
        case 2: REDUCE(T32, T32, first, step)                                                      \
        default: REDUCE(T64, T64, first, step)                                                     \
        }                                                                                          \
    }
#define UNSIGNED(name, first, step) REDUCTION(name, uint8_t, v_u16, v_u32, v_u64, first, step)
#define SIGNED(name, first, step)   REDUCTION(name, int8_t, v_s16, v_s32, v_s64, first, step)

UNSIGNED(sum_of, 0, sum + x)
UNSIGNED(and_of, -1, sum &x)
UNSIGNED(or_of, 0, sum | x)
UNSIGNED(xor_of, 0, sum ^ x)
/* What does not count is what is there anyway. */
UNSIGNED(minu_of, total, sum < x ? sum : x)
UNSIGNED(maxu_of, total, sum > x ? sum : x)
SIGNED(min_of, total, sum < x ? sum : x)
SIGNED(max_of, total, sum > x ? sum : x)

static uint64_t wide_sum_of(const uint8_t *from, uint64_t n, const uint8_t *on, uint64_t total,
                            unsigned sew, bool sign)
{
    switch (sew) {
    case 0:
        if (sign)
            REDUCE(int8_t, v_u16, 0, sum + x)
        REDUCE(uint8_t, v_u16, 0, sum + x)
    case 1:
        if (sign)
            REDUCE(v_s16, v_u32, 0, sum + x)
        REDUCE(v_u16, v_u32, 0, sum + x)
    default:
        if (sign)
            REDUCE(v_s32, v_u64, 0, sum + x)
        REDUCE(v_u32, v_u64, 0, sum + x)
    }
}

bool v_reduce(const struct vop *o)
{
    uint8_t spread[V_ELEMENTS], *on = NULL;
    const bool wide = o->op == OP_vwredsumu_vs || o->op == OP_vwredsum_vs;
    struct vop one = *o; /* of which the scalars are */

    if (o->vstart != 0 || !v_aligned(o->vs2, o->lmul) || (wide && o->sew == 3))
        return false;
    if (o->vl == 0)
        return true;
    if (wide)
        one.sew++;
    if (o->masked) {
        v_spread(o, spread);
        on = spread;
    }
    const uint8_t *const from = v_reg(o, o->vs2);
    uint64_t total = v_element(&one, o->vs1, 0);
    switch (o->op) {
    case OP_vredsum_vs: total = sum_of(from, o->vl, on, total, o->sew); break;
    case OP_vredand_vs: total = and_of(from, o->vl, on, total, o->sew); break;
    case OP_vredor_vs: total = or_of(from, o->vl, on, total, o->sew); break;
    case OP_vredxor_vs: total = xor_of(from, o->vl, on, total, o->sew); break;
    case OP_vredminu_vs: total = minu_of(from, o->vl, on, total, o->sew); break;
    case OP_vredmin_vs: total = min_of(from, o->vl, on, total, o->sew); break;
    case OP_vredmaxu_vs: total = maxu_of(from, o->vl, on, total, o->sew); break;
    case OP_vredmax_vs: total = max_of(from, o->vl, on, total, o->sew); break;
    default: total = wide_sum_of(from, o->vl, on, total, o->sew, o->op == OP_vwredsum_vs); break;
    }
    v_set_element(&one, o->vd, 0, total);
    one.vl = 1; /* what is behind it is tail */
    v_tail(&one, o->vd, one.sew, 0);
    return true;
}
