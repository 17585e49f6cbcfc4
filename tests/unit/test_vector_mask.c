/* Vector instructions on masks (V, 15), against a bit by bit account. */
#include "tests/unit/vector_test.h"

#define RUNS 4000

static bool logic(unsigned op, bool a, bool b)
{
    switch (op) {
    case OP_vmand_mm: return a && b;
    case OP_vmnand_mm: return !(a && b);
    case OP_vmandn_mm: return a && !b;
    case OP_vmxor_mm: return a != b;
    case OP_vmor_mm: return a || b;
    case OP_vmnor_mm: return !(a || b);
    case OP_vmorn_mm: return a || !b;
    default: return a == b; /* vmxnor */
    }
}

/* A mask's tail is agnostic whatever vta says. */
static void mask_policies(struct vt *t)
{
    for (uint64_t i = 0; t->ones && t->vma && i < t->vl; i++) {
        if (!vt_active(t, i))
            vt_set_bit(t->want, t, t->vd, i, true);
    }
    for (uint64_t i = t->vl; t->ones && i < t->vlen; i++)
        vt_set_bit(t->want, t, t->vd, i, true);
}

/* Often sparse, so that the first one is not always near. */
static void thin(struct vt *t)
{
    if (vt_below(2) != 0)
        return;
    for (unsigned i = 0; i < t->vlen; i++) {
        if (vt_below(64) != 0)
            vt_set_bit(t->hart->v, t, t->vs2, i, false);
    }
    memcpy(t->before, t->hart->v, sizeof t->before);
    memcpy(t->want, t->hart->v, sizeof t->want);
}

static void mask_logic_is_by_bit(void **state)
{
    static const unsigned ops[] = {OP_vmand_mm, OP_vmnand_mm, OP_vmandn_mm, OP_vmxor_mm,
                                   OP_vmor_mm,  OP_vmnor_mm,  OP_vmorn_mm,  OP_vmxnor_mm};
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        t->op = ops[run % 8];
        vt_choose(t);
        t->masked = false;
        vt_prepare(t);
        for (uint64_t i = t->vstart; i < t->vl; i++)
            vt_set_bit(t->want, t, t->vd, i,
                       logic(t->op, vt_get_bit(t->before, t, t->vs2, i),
                             vt_get_bit(t->before, t, t->vs1, i)));
        if (t->vstart < t->vl)
            mask_policies(t);
        vt_check(t, true);
    }
}

/* Of the active ones: how many, and which is the first (vl: none). */
static unsigned count_active(const struct vt *t, uint64_t *first)
{
    unsigned n = 0;
    *first = t->vl;
    for (uint64_t i = 0; i < t->vl; i++) {
        if (vt_active(t, i) && vt_get_bit(t->before, t, t->vs2, i) && n++ == 0)
            *first = i;
    }
    return n;
}

static void vcpop_and_vfirst_regard_active_elements(void **state)
{
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        uint64_t first;
        t->op = run % 2 != 0 ? OP_vcpop_m : OP_vfirst_m;
        vt_choose(t);
        vt_prepare(t);
        thin(t);
        const unsigned n = count_active(t, &first);
        const bool legal = t->vstart == 0;
        vt_check(t, legal);
        uint64_t want = t->x_before[t->vd];
        if (legal && t->vd != 0)
            want = t->op == OP_vcpop_m ? n : n == 0 ? UINT64_MAX : first;
        assert_int_equal(t->hart->x[t->vd], want);
    }
}

static void vmsbf_vmsif_vmsof_are_set_by_the_first_one(void **state)
{
    static const unsigned ops[] = {OP_vmsbf_m, OP_vmsif_m, OP_vmsof_m};
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        uint64_t first;
        t->op = ops[run % 3];
        vt_choose(t);
        vt_prepare(t);
        thin(t);
        (void)count_active(t, &first);
        for (uint64_t i = 0; i < t->vl; i++) {
            if (vt_active(t, i))
                vt_set_bit(t->want, t, t->vd, i,
                           t->op == OP_vmsbf_m   ? i < first
                           : t->op == OP_vmsif_m ? i <= first
                                                 : i == first);
        }
        if (t->vl != 0)
            mask_policies(t);
        vt_check(t, t->vstart == 0 && t->vd != t->vs2 && !(t->masked && t->vd == 0));
    }
}

static void viota_counts_the_ones_before(void **state)
{
    struct vt *t = *state;
    t->op = OP_viota_m;
    for (unsigned run = 0; run < RUNS; run++) {
        vt_choose(t);
        vt_prepare(t);
        uint64_t n = 0;
        for (uint64_t i = 0; i < t->vl; i++) {
            if (!vt_active(t, i))
                continue;
            if (vt_aligned(t->vd, t->lmul))
                vt_set(t->want, t, t->vd, t->sew, i, n);
            n += vt_get_bit(t->before, t, t->vs2, i);
        }
        const bool legal = t->vstart == 0 && vt_aligned(t->vd, t->lmul) &&
                           !(t->masked && t->vd == 0) &&
                           (vt_group(t->vd, t->lmul) & vt_group(t->vs2, 0)) == 0;
        if (legal && t->vl != 0)
            vt_policies(t, 0, t->sew, t->lmul);
        vt_check(t, legal);
    }
}

static void vid_numbers_elements(void **state)
{
    struct vt *t = *state;
    t->op = OP_vid_v;
    for (unsigned run = 0; run < RUNS; run++) {
        vt_choose(t);
        vt_prepare(t);
        const bool legal = vt_aligned(t->vd, t->lmul) && !(t->masked && t->vd == 0);
        for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
            if (vt_active(t, i))
                vt_set(t->want, t, t->vd, t->sew, i, i);
        }
        if (legal && t->vstart < t->vl)
            vt_policies(t, t->vstart, t->sew, t->lmul);
        vt_check(t, legal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_logic_is_by_bit),
        cmocka_unit_test(vcpop_and_vfirst_regard_active_elements),
        cmocka_unit_test(vmsbf_vmsif_vmsof_are_set_by_the_first_one),
        cmocka_unit_test(viota_counts_the_ones_before),
        cmocka_unit_test(vid_numbers_elements),
    };
    return cmocka_run_group_tests(tests, vt_setup, vt_teardown);
}
