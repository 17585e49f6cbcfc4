/* Vector instructions that move elements (V, 11.15, 11.16, 16), against an account element by
 * element. */
#include "tests/unit/vector_test.h"

#define RUNS 6000

static uint64_t truncated(const struct vt *t, uint64_t value)
{
    return t->sew == 3 ? value : value & ((1ULL << (8 << t->sew)) - 1);
}

static uint64_t old(const struct vt *t, unsigned reg, uint64_t i)
{
    return vt_get(t->before, t, reg, t->sew, i);
}

static bool all_aligned(const struct vt *t)
{
    return vt_aligned(t->vd, t->lmul) && vt_aligned(t->vs2, t->lmul);
}

static bool apart(unsigned a, int a_emul, unsigned b, int b_emul)
{
    return (vt_group(a, a_emul) & vt_group(b, b_emul)) == 0;
}

/* A mask is read with EEW 1, as none of the others is. */
static bool mask_apart(const struct vt *t, unsigned source)
{
    return !t->masked || (vt_group(source, t->lmul) & 1) == 0;
}

/* Each active element of the body from `from` on becomes what `value` says. */
static void expect(struct vt *t, bool legal, uint64_t from,
                   uint64_t value(const struct vt *t, uint64_t i))
{
    if (from < t->vstart)
        from = t->vstart;
    for (uint64_t i = from; legal && i < t->vl; i++) {
        if (vt_active(t, i))
            vt_set(t->want, t, t->vd, t->sew, i, value(t, i));
    }
    if (legal && t->vstart < t->vl)
        vt_policies(t, from, t->sew, t->lmul);
    vt_check(t, legal);
}

static uint64_t scalar(const struct vt *t)
{
    return t->x_before[t->vs1];
}

static uint64_t offset(const struct vt *t)
{
    return t->op == OP_vslideup_vi || t->op == OP_vslidedown_vi || t->op == OP_vrgather_vi
               ? t->vs1
               : scalar(t);
}

static uint64_t slid_up(const struct vt *t, uint64_t i)
{
    return old(t, t->vs2, i - offset(t));
}

static uint64_t slid_down(const struct vt *t, uint64_t i)
{
    return offset(t) < t->vlmax && i + offset(t) < t->vlmax ? old(t, t->vs2, i + offset(t)) : 0;
}

static uint64_t slid_up_by_one(const struct vt *t, uint64_t i)
{
    return i == 0 ? scalar(t) : old(t, t->vs2, i - 1);
}

static uint64_t slid_down_by_one(const struct vt *t, uint64_t i)
{
    return i == t->vl - 1 ? scalar(t) : old(t, t->vs2, i + 1);
}

static void slides_move_by_the_offset(void **state)
{
    static const unsigned ops[] = {OP_vslideup_vx,   OP_vslideup_vi,  OP_vslidedown_vx,
                                   OP_vslidedown_vi, OP_vslide1up_vx, OP_vslide1down_vx};
    struct vt *t = *state;
    for (unsigned run = 0; run < 3 * RUNS; run++) {
        t->op = ops[run % 6];
        vt_choose(t);
        if (vt_below(8) == 0)
            t->vs2 = t->vd;
        vt_prepare(t);
        const bool up =
            t->op == OP_vslideup_vx || t->op == OP_vslideup_vi || t->op == OP_vslide1up_vx;
        const bool legal = all_aligned(t) && !(t->masked && t->vd == 0) && mask_apart(t, t->vs2) &&
                           !(up && !apart(t->vd, t->lmul, t->vs2, t->lmul));
        switch (run % 6) {
        case 0:
        case 1: expect(t, legal, offset(t), slid_up); break;
        case 2:
        case 3: expect(t, legal, 0, slid_down); break;
        case 4: expect(t, legal, 0, slid_up_by_one); break;
        default: expect(t, legal, 0, slid_down_by_one); break;
        }
    }
}

static uint64_t gathered(const struct vt *t, uint64_t i)
{
    const uint64_t index =
        vt_get(t->before, t, t->vs1, t->op == OP_vrgatherei16_vv ? 1 : t->sew, i);
    return index < t->vlmax ? old(t, t->vs2, index) : 0;
}

static uint64_t gathered_one(const struct vt *t, uint64_t i)
{
    (void)i;
    return offset(t) < t->vlmax ? old(t, t->vs2, offset(t)) : 0;
}

static void vrgather_takes_by_index_or_zero(void **state)
{
    struct vt *t = *state;
    for (unsigned run = 0; run < 2 * RUNS; run++) {
        t->op = run % 2 != 0 ? OP_vrgather_vv : OP_vrgatherei16_vv;
        vt_choose(t);
        vt_prepare(t);
        const unsigned eew = t->op == OP_vrgatherei16_vv ? 1 : t->sew;
        const int emul = t->lmul + (int)eew - (int)t->sew;
        if (vt_below(2) != 0 && vt_aligned(t->vs1, emul)) { /* indices of the group, or nearly */
            for (uint64_t i = 0; i < t->vl; i++)
                vt_set(t->hart->v, t, t->vs1, eew, i, vt_below((unsigned)t->vlmax + 2));
            memcpy(t->before, t->hart->v, sizeof t->before);
            memcpy(t->want, t->hart->v, sizeof t->want);
        }
        const bool legal = all_aligned(t) && vt_aligned(t->vs1, emul) &&
                           !(t->masked && t->vd == 0) && mask_apart(t, t->vs2) &&
                           !(t->masked && t->vs1 == 0) && apart(t->vd, t->lmul, t->vs2, t->lmul) &&
                           apart(t->vd, t->lmul, t->vs1, emul) &&
                           (eew == t->sew || apart(t->vs2, t->lmul, t->vs1, emul));
        expect(t, legal, 0, gathered);
    }
}

static void vrgather_of_one_index_splats(void **state)
{
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        t->op = run % 2 != 0 ? OP_vrgather_vx : OP_vrgather_vi;
        vt_choose(t);
        vt_prepare(t);
        expect(t,
               all_aligned(t) && !(t->masked && t->vd == 0) && mask_apart(t, t->vs2) &&
                   apart(t->vd, t->lmul, t->vs2, t->lmul),
               0, gathered_one);
    }
}

static void vcompress_packs_what_is_chosen(void **state)
{
    struct vt *t = *state;
    t->op = OP_vcompress_vm;
    for (unsigned run = 0; run < RUNS; run++) {
        vt_choose(t);
        t->masked = false;
        t->vs1 = vt_below(32);
        vt_prepare(t);
        const bool legal = t->vstart == 0 && all_aligned(t) &&
                           apart(t->vd, t->lmul, t->vs2, t->lmul) &&
                           apart(t->vd, t->lmul, t->vs1, 0);
        uint64_t n = 0;
        for (uint64_t i = 0; legal && i < t->vl; i++) {
            if (vt_get_bit(t->before, t, t->vs1, i))
                vt_set(t->want, t, t->vd, t->sew, n++, old(t, t->vs2, i));
        }
        if (legal && t->vl != 0) {
            const uint64_t vl = t->vl;
            t->vl = n; /* what follows is tail */
            vt_policies(t, 0, t->sew, t->lmul);
            t->vl = vl;
        }
        vt_check(t, legal);
    }
}

static uint64_t immediate(const struct vt *t)
{
    return t->vs1 < 16 ? t->vs1 : (uint64_t)t->vs1 - 32;
}

static uint64_t other(const struct vt *t, uint64_t i)
{
    switch (t->op) {
    case OP_vmerge_vvm:
    case OP_vmv_v_v: return old(t, t->vs1, i);
    case OP_vmerge_vxm:
    case OP_vmv_v_x: return scalar(t);
    default: return immediate(t);
    }
}

static void vmerge_chooses_by_the_mask(void **state)
{
    static const unsigned ops[] = {OP_vmerge_vvm, OP_vmerge_vxm, OP_vmerge_vim};
    struct vt *t = *state;
    for (unsigned run = 0; run < 2 * RUNS; run++) {
        t->op = ops[run % 3];
        vt_choose(t);
        t->masked = t->vma = false; /* the mask is an operand: no element is inactive */
        vt_prepare(t);
        bool legal = all_aligned(t) && t->vd != 0 && t->vs2 != 0;
        if (t->op == OP_vmerge_vvm)
            legal = legal && vt_aligned(t->vs1, t->lmul) && t->vs1 != 0;
        for (uint64_t i = t->vstart; legal && i < t->vl; i++)
            vt_set(t->want, t, t->vd, t->sew, i,
                   vt_get_bit(t->before, t, 0, i) ? other(t, i) : old(t, t->vs2, i));
        if (legal && t->vstart < t->vl)
            vt_policies(t, t->vstart, t->sew, t->lmul);
        vt_check(t, legal);
    }
}

static void vmv_v_copies_or_splats(void **state)
{
    static const unsigned ops[] = {OP_vmv_v_v, OP_vmv_v_x, OP_vmv_v_i};
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        t->op = ops[run % 3];
        vt_choose(t);
        t->masked = false;
        vt_prepare(t);
        expect(t,
               vt_aligned(t->vd, t->lmul) && (t->op != OP_vmv_v_v || vt_aligned(t->vs1, t->lmul)),
               0, other);
    }
}

static void vmv_s_x_and_vmv_x_s_regard_one_element_of_any_register(void **state)
{
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        t->op = run % 2 != 0 ? OP_vmv_s_x : OP_vmv_x_s;
        vt_choose(t);
        t->masked = false;
        vt_prepare(t);
        uint64_t want = t->x_before[t->vd];
        if (t->op == OP_vmv_x_s) {
            const uint64_t value = old(t, t->vs2, 0), sign = 1ULL << ((8u << t->sew) - 1);
            if (t->vd != 0)
                want = (value ^ sign) - sign;
        } else if (t->vstart < t->vl) {
            const uint64_t vl = t->vl;
            vt_set(t->want, t, t->vd, t->sew, 0, truncated(t, scalar(t)));
            t->vl = 1;
            vt_policies(t, 1, t->sew, 0);
            t->vl = vl;
        }
        vt_check(t, true);
        assert_int_equal(t->hart->x[t->vd], want);
    }
}

static void vmvr_copies_registers_whatever_vl_is(void **state)
{
    static const unsigned ops[] = {OP_vmv1r_v, OP_vmv2r_v, OP_vmv4r_v, OP_vmv8r_v};
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        const int emul = (int)(run % 4);
        t->op = ops[emul];
        vt_choose(t);
        t->masked = false;
        if (vt_below(4) != 0) {
            t->vd &= 31 & ~((1u << emul) - 1);
            t->vs2 &= 31 & ~((1u << emul) - 1);
        }
        vt_prepare(t);
        const bool legal = vt_aligned(t->vd, emul) && vt_aligned(t->vs2, emul);
        const uint64_t evl = (uint64_t)t->vlen / 8 << emul >> t->sew;
        for (uint64_t i = t->vstart; legal && i < evl; i++)
            vt_set(t->want, t, t->vd, t->sew, i, old(t, t->vs2, i));
        vt_check(t, legal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slides_move_by_the_offset),
        cmocka_unit_test(vrgather_takes_by_index_or_zero),
        cmocka_unit_test(vrgather_of_one_index_splats),
        cmocka_unit_test(vcompress_packs_what_is_chosen),
        cmocka_unit_test(vmerge_chooses_by_the_mask),
        cmocka_unit_test(vmv_v_copies_or_splats),
        cmocka_unit_test(vmv_s_x_and_vmv_x_s_regard_one_element_of_any_register),
        cmocka_unit_test(vmvr_copies_registers_whatever_vl_is),
    };
    return cmocka_run_group_tests(tests, vt_setup, vt_teardown);
}
