/* Conversions of vectors (V, 13.17 to 13.19; Zvfhmin): what one element becomes. */
#include "riscv/v_float.h"

#define CONVERT(name, expression)                                                                  \
    static uint64_t name(uint64_t x, uint64_t y, uint64_t z, unsigned rm, uint32_t *flags)         \
    {                                                                                              \
        (void)y, (void)z, (void)rm, (void)flags;                                                   \
        return expression;                                                                         \
    }

/* Of the same width. */
CONVERT(u32_of_s, fp_to_u32_s((uint32_t)x, rm, flags))
CONVERT(i32_of_s, (uint32_t)fp_to_i32_s((uint32_t)x, rm, flags))
CONVERT(s_of_u32, fp_from_u32_s((uint32_t)x, rm, flags))
CONVERT(s_of_i32, fp_from_i32_s((int32_t)x, rm, flags))
CONVERT(u64_of_d, fp_to_u64_d(x, rm, flags))
CONVERT(i64_of_d, (uint64_t)fp_to_i64_d(x, rm, flags))
CONVERT(d_of_u64, fp_from_u64_d(x, rm, flags))
CONVERT(d_of_i64, fp_from_i64_d((int64_t)x, rm, flags))

/* To a wider one. */
CONVERT(u64_of_s, fp_to_u64_s((uint32_t)x, rm, flags))
CONVERT(i64_of_s, (uint64_t)fp_to_i64_s((uint32_t)x, rm, flags))
CONVERT(s_of_u16, fp_from_u32_s((uint16_t)x, rm, flags))
CONVERT(s_of_i16, fp_from_i32_s((int16_t)x, rm, flags))
CONVERT(d_of_u32, fp_from_u32_d((uint32_t)x, rm, flags))
CONVERT(d_of_i32, fp_from_i32_d((int32_t)x, rm, flags))
CONVERT(s_of_h, fp_h_to_s((uint16_t)x, flags))
CONVERT(d_of_s, x) /* the operand has been widened */

/* To a narrower one. */
CONVERT(u32_of_d, fp_to_u32_d(x, rm, flags))
CONVERT(i32_of_d, (uint32_t)fp_to_i32_d(x, rm, flags))
CONVERT(s_of_u64, fp_from_u64_s(x, rm, flags))
CONVERT(s_of_i64, fp_from_i64_s((int64_t)x, rm, flags))
CONVERT(h_of_s, fp_s_to_h((uint32_t)x, rm, flags))
CONVERT(s_of_d, fp_d_to_s(x, rm, flags))

/* What does not fit into 16 bits is invalid, and then not inexact. */
static uint64_t u16_of_s(uint64_t x, uint64_t y, uint64_t z, unsigned rm, uint32_t *flags)
{
    (void)y, (void)z;
    uint32_t raised = 0;
    const uint32_t value = fp_to_u32_s((uint32_t)x, rm, &raised);
    *flags |= value > UINT16_MAX ? FP_NV : raised;
    return value > UINT16_MAX ? UINT16_MAX : value;
}

static uint64_t i16_of_s(uint64_t x, uint64_t y, uint64_t z, unsigned rm, uint32_t *flags)
{
    (void)y, (void)z;
    uint32_t raised = 0;
    const int32_t value = fp_to_i32_s((uint32_t)x, rm, &raised);
    const bool fits = value >= INT16_MIN && value <= INT16_MAX;
    *flags |= fits ? raised : FP_NV;
    return (uint16_t)(fits ? value : value < 0 ? INT16_MIN : INT16_MAX);
}

/* Rounding to odd (13.19): the last place of what was truncated is set if that is inexact. */
static uint64_t s_of_d_odd(uint64_t x, uint64_t y, uint64_t z, unsigned rm, uint32_t *flags)
{
    (void)y, (void)z, (void)rm;
    uint32_t raised = 0;
    const uint32_t value = fp_d_to_s(x, FP_RTZ, &raised);
    *flags |= raised;
    return value | ((raised & FP_NX) != 0);
}

/* By the field vs1: its bits 4 and 3 are the group, of which SEW is `sew` or twice that. */
enum { SAME, TO_WIDER, TO_NARROWER, GROUPS };
enum { XU_F, X_F, F_XU, F_X, F_F, ODD_F_F, RTZ_XU_F, RTZ_X_F, KINDS };
static const uint8_t sew_of[GROUPS] = {2, 1, 1};
static const struct v_conversion conversions[GROUPS][KINDS][2] =
    {
        [SAME] =
            {
                [XU_F] = {{u32_of_s, 0}, {u64_of_d, 0}},
                [X_F] = {{i32_of_s, V_HOST_TO_INT}, {i64_of_d, V_HOST_TO_INT}},
                [F_XU] = {{s_of_u32, 0}, {d_of_u64, 0}},
                [F_X] = {{s_of_i32, V_HOST_FROM_INT}, {d_of_i64, V_HOST_FROM_INT}},
                [RTZ_XU_F] = {{u32_of_s, 0}, {u64_of_d, 0}},
                [RTZ_X_F] = {{i32_of_s, V_HOST_TO_INT_RTZ}, {i64_of_d, V_HOST_TO_INT_RTZ}},
            },
        [TO_WIDER] =
            {
                [XU_F] = {{NULL, 0}, {u64_of_s, 0}},
                [X_F] = {{NULL, 0}, {i64_of_s, 0}},
                [F_XU] = {{s_of_u16, 0}, {d_of_u32, 0}},
                [F_X] = {{s_of_i16, 0}, {d_of_i32, 0}},
                [F_F] = {{s_of_h, 0}, {d_of_s, V_HOST_MOVE}},
                [RTZ_XU_F] = {{NULL, 0}, {u64_of_s, 0}},
                [RTZ_X_F] = {{NULL, 0}, {i64_of_s, 0}},
            },
        [TO_NARROWER] =
            {
                [XU_F] = {{u16_of_s, 0}, {u32_of_d, 0}},
                [X_F] = {{i16_of_s, 0}, {i32_of_d, 0}},
                [F_XU] = {{NULL, 0}, {s_of_u64, 0}},
                [F_X] = {{NULL, 0}, {s_of_i64, 0}},
                [F_F] = {{h_of_s, 0}, {s_of_d, V_HOST_MOVE}},
                [ODD_F_F] = {{NULL, 0}, {s_of_d_odd, 0}},
                [RTZ_XU_F] = {{u16_of_s, 0}, {u32_of_d, 0}},
                [RTZ_X_F] = {{i16_of_s, 0}, {i32_of_d, 0}},
            },
};

const struct v_conversion *v_conversion_of(const struct vop *o)
{
    const unsigned group = o->vs1 >> 3, index = o->sew - sew_of[group];
    if (index > 1)
        return NULL;
    const struct v_conversion *found = &conversions[group][o->vs1 & 7][index];
    return found->soft != NULL ? found : NULL;
}
