/* Vector fixed-point instructions (V, 12), against an account in 128 bits: quotients and
 * remainders. */
#include "tests/unit/vector_test.h"

#define RUNS 600 /* of each instruction */

__extension__ typedef __int128 s128;

enum what { ADD, SUB, MEAN, HALF, PRODUCT, SHIFT, CLIP };

static const struct row {
    unsigned op;
    enum what what;
    bool sign;
} rows[] = {
    {OP_vsaddu_vv, ADD, false},   {OP_vsaddu_vx, ADD, false},   {OP_vsaddu_vi, ADD, false},
    {OP_vsadd_vv, ADD, true},     {OP_vsadd_vx, ADD, true},     {OP_vsadd_vi, ADD, true},
    {OP_vssubu_vv, SUB, false},   {OP_vssubu_vx, SUB, false},   {OP_vssub_vv, SUB, true},
    {OP_vssub_vx, SUB, true},     {OP_vaaddu_vv, MEAN, false},  {OP_vaaddu_vx, MEAN, false},
    {OP_vaadd_vv, MEAN, true},    {OP_vaadd_vx, MEAN, true},    {OP_vasubu_vv, HALF, false},
    {OP_vasubu_vx, HALF, false},  {OP_vasub_vv, HALF, true},    {OP_vasub_vx, HALF, true},
    {OP_vsmul_vv, PRODUCT, true}, {OP_vsmul_vx, PRODUCT, true}, {OP_vssrl_vv, SHIFT, false},
    {OP_vssrl_vx, SHIFT, false},  {OP_vssrl_vi, SHIFT, false},  {OP_vssra_vv, SHIFT, true},
    {OP_vssra_vx, SHIFT, true},   {OP_vssra_vi, SHIFT, true},   {OP_vnclipu_wv, CLIP, false},
    {OP_vnclipu_wx, CLIP, false}, {OP_vnclipu_wi, CLIP, false}, {OP_vnclip_wv, CLIP, true},
    {OP_vnclip_wx, CLIP, true},   {OP_vnclip_wi, CLIP, true},
};

static s128 read_as(uint64_t value, unsigned sew, bool sign)
{
    const s128 size = (s128)1 << (8 << sew);
    const s128 low = (s128)value % size;
    return sign && low >= size / 2 ? low - size : low;
}

/* value / 2^by: the quotient downwards, and by the remainder the next one (V, 3.8). */
static s128 quotient(s128 value, unsigned by, unsigned vxrm)
{
    const s128 unit = (s128)1 << by, rest = (value % unit + unit) % unit;
    const s128 down = (value - rest) / unit;
    const bool odd = down % 2 != 0;
    switch (vxrm) {
    case 0: return 2 * rest >= unit ? down + 1 : down;
    case 1: return 2 * rest > unit || (2 * rest == unit && odd) ? down + 1 : down;
    case 2: return down;
    default: return rest != 0 && !odd ? down + 1 : down;
    }
}

static s128 saturated(s128 value, unsigned sew, bool sign, bool *vxsat)
{
    const s128 size = (s128)1 << (8 << sew);
    const s128 most = sign ? size / 2 - 1 : size - 1, least = sign ? -size / 2 : 0;
    *vxsat |= value > most || value < least;
    return value > most ? most : value < least ? least : value;
}

static s128 account(const struct vt *t, const struct row *row, s128 x, s128 y, bool *vxsat)
{
    const unsigned bits = 8u << t->sew, vxrm = t->hart->vxrm;
    switch (row->what) {
    case ADD: return saturated(x + y, t->sew, row->sign, vxsat);
    case SUB: return saturated(x - y, t->sew, row->sign, vxsat);
    case MEAN: return quotient(x + y, 1, vxrm);
    case HALF: return quotient(x - y, 1, vxrm);
    case PRODUCT: return saturated(quotient(x * y, bits - 1, vxrm), t->sew, true, vxsat);
    case SHIFT: return quotient(x, (unsigned)(y % bits), vxrm);
    default:
        return saturated(quotient(x, (unsigned)(y % (2 * bits)), vxrm), t->sew, row->sign, vxsat);
    }
}

static bool is_legal(const struct vt *t, const struct row *row, bool vector)
{
    const bool narrows = row->what == CLIP;
    const int emul = t->lmul + narrows;
    const uint64_t d = vt_group(t->vd, t->lmul), s = vt_group(t->vs2, emul);
    const uint64_t s1 = vt_group(t->vs1, t->lmul);

    if ((narrows && t->sew == 3) || !vt_aligned(t->vd, t->lmul) || !vt_aligned(t->vs2, emul) ||
        (t->masked && (t->vd == 0 || t->vs2 == 0)) || ((d & s) != 0 && t->vd != t->vs2))
        return false;
    return !vector || (vt_aligned(t->vs1, t->lmul) && !(t->masked && t->vs1 == 0) &&
                       !(narrows && (s & s1) != 0));
}

static void fixed_point_rounds_by_vxrm_and_saturates_into_vxsat(void **state)
{
    struct vt *t = *state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const struct row *row = &rows[r];
        const unsigned format = insn_table[row->op].format;
        const bool vector = format == FMT_VVV, shifts = row->what == SHIFT || row->what == CLIP;
        for (unsigned run = 0; run < RUNS; run++) {
            t->op = row->op;
            vt_choose(t);
            if (row->what == CLIP && vt_below(4) != 0 && t->lmul >= 0)
                t->vs2 &= ~((2u << t->lmul) - 1);
            if (vt_below(8) == 0)
                t->vs2 = t->vd;
            vt_prepare(t);
            vt_corners(t);
            t->hart->vxrm = (uint8_t)vt_below(4);
            t->hart->vxsat = vt_below(8) == 0;
            bool vxsat = t->hart->vxsat;
            const bool legal = is_legal(t, row, vector);
            for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
                if (!vt_active(t, i))
                    continue;
                const unsigned eew = t->sew + (row->what == CLIP);
                const uint64_t raw = vector              ? vt_get(t->before, t, t->vs1, t->sew, i)
                                     : format == FMT_VVX ? t->x_before[t->vs1]
                                     : format == FMT_VVU ? t->vs1
                                     : t->vs1 < 16       ? t->vs1
                                                         : (uint64_t)t->vs1 - 32;
                const s128 x = read_as(vt_get(t->before, t, t->vs2, eew, i), eew, row->sign);
                const s128 y = read_as(raw, t->sew, row->sign && !shifts);
                vt_set(t->want, t, t->vd, t->sew, i, (uint64_t)account(t, row, x, y, &vxsat));
            }
            if (legal && t->vstart < t->vl)
                vt_policies(t, t->vstart, t->sew, t->lmul);
            vt_check(t, legal);
            assert_int_equal(t->hart->vxsat, vxsat);
        }
    }
}

/* V, 3.8: 2.5, 3.5 and 2.25 by each mode. */
static void modes_of_rounding_are_those_of_the_table(void **state)
{
    static const uint8_t in[3] = {10, 14, 9}, want[4][3] = {
                                                  {3, 4, 2}, /* to nearest, up */
                                                  {2, 4, 2}, /* to nearest, even */
                                                  {2, 3, 2}, /* down */
                                                  {3, 3, 3}, /* to odd */
                                              };
    struct vt *t = *state;
    for (unsigned vxrm = 0; vxrm < 4; vxrm++) {
        *t = (struct vt){.hart = t->hart, .op = OP_vssrl_vi, .vlen = 128, .vl = 3};
        t->vd = 1, t->vs2 = 2, t->vs1 = 2;
        vt_prepare(t);
        t->hart->vxrm = (uint8_t)vxrm;
        memcpy(t->hart->v + 32, in, 3);
        memcpy(t->want, t->hart->v, sizeof t->want);
        memcpy(t->want + 16, want[vxrm], 3);
        vt_check(t, true);
    }
}

/* V, 12.3: the only product that does not fit. */
static void the_least_number_squared_saturates(void **state)
{
    struct vt *t = *state;
    for (unsigned sew = 0; sew < 4; sew++) {
        const uint64_t least = 1ULL << ((8u << sew) - 1);
        *t = (struct vt){.hart = t->hart, .op = OP_vsmul_vv, .vlen = 128, .sew = sew, .vl = 1};
        t->vd = 1, t->vs2 = 2, t->vs1 = 2;
        vt_prepare(t);
        t->hart->vxsat = false;
        vt_set(t->hart->v, t, 2, sew, 0, least);
        memcpy(t->want, t->hart->v, sizeof t->want);
        vt_set(t->want, t, 1, sew, 0, least - 1);
        vt_check(t, true);
        assert_true(t->hart->vxsat);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_point_rounds_by_vxrm_and_saturates_into_vxsat),
        cmocka_unit_test(modes_of_rounding_are_those_of_the_table),
        cmocka_unit_test(the_least_number_squared_saturates),
    };
    return cmocka_run_group_tests(tests, vt_setup, vt_teardown);
}
