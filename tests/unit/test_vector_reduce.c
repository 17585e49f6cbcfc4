/* Vector integer reductions (V, 14.1, 14.2), against an account element by element. */
#include "tests/unit/vector_test.h"

#define RUNS 1500 /* of each instruction */

static const unsigned ops[] = {
    OP_vredsum_vs, OP_vredand_vs,  OP_vredor_vs,  OP_vredxor_vs,   OP_vredminu_vs,
    OP_vredmin_vs, OP_vredmaxu_vs, OP_vredmax_vs, OP_vwredsumu_vs, OP_vwredsum_vs,
};

static int64_t with_sign(uint64_t value, unsigned sew)
{
    const uint64_t top = 1ULL << ((8u << sew) - 1);
    return (int64_t)((value ^ top) - top);
}

static uint64_t step(const struct vt *t, uint64_t sum, uint64_t x)
{
    const int64_t a = with_sign(sum, t->sew), b = with_sign(x, t->sew);
    switch (t->op) {
    case OP_vredand_vs: return sum & x;
    case OP_vredor_vs: return sum | x;
    case OP_vredxor_vs: return sum ^ x;
    case OP_vredminu_vs: return x < sum ? x : sum;
    case OP_vredmaxu_vs: return x > sum ? x : sum;
    case OP_vredmin_vs: return b < a ? x : sum;
    case OP_vredmax_vs: return b > a ? x : sum;
    case OP_vwredsum_vs: return sum + (uint64_t)b;
    default: return sum + x;
    }
}

static void reductions_take_the_active_elements_and_the_scalar(void **state)
{
    struct vt *t = *state;
    for (size_t r = 0; r < sizeof ops / sizeof ops[0]; r++) {
        for (unsigned run = 0; run < RUNS; run++) {
            t->op = ops[r];
            vt_choose(t);
            if (vt_below(4) != 0)
                t->vstart = 0;
            if (vt_below(2) != 0) { /* scalars are in any register */
                t->vd = vt_below(32);
                t->vs1 = vt_below(32);
            }
            vt_prepare(t);
            vt_corners(t);
            const bool wide = t->op == OP_vwredsumu_vs || t->op == OP_vwredsum_vs;
            const bool legal =
                t->vstart == 0 && vt_aligned(t->vs2, t->lmul) && !(wide && t->sew == 3);
            if (legal && t->vl != 0) {
                const unsigned eew = t->sew + wide;
                const uint64_t vl = t->vl;
                uint64_t sum = vt_get(t->before, t, t->vs1, eew, 0);
                for (uint64_t i = 0; i < vl; i++) {
                    if (vt_active(t, i))
                        sum = step(t, sum, vt_get(t->before, t, t->vs2, t->sew, i));
                }
                vt_set(t->want, t, t->vd, eew, 0, sum);
                t->vl = 1; /* what is behind it is tail */
                vt_policies(t, 1, eew, 0);
                t->vl = vl;
            }
            vt_check(t, legal);
        }
    }
}

/* V, 14.1: the scalar alone where no element is active. */
static void what_is_masked_off_altogether_is_the_scalar(void **state)
{
    struct vt *t = *state;
    for (size_t r = 0; r < sizeof ops / sizeof ops[0]; r++) {
        *t = (struct vt){.hart = t->hart, .op = ops[r], .vlen = 128, .sew = 1, .lmul = 1};
        t->vd = 1, t->vs2 = 2, t->vs1 = 4, t->masked = true, t->vl = 16;
        vt_prepare(t);
        memset(t->hart->v, 0, 16);
        memcpy(t->want, t->hart->v, sizeof t->want);
        const unsigned eew = t->op == OP_vwredsumu_vs || t->op == OP_vwredsum_vs ? 2 : 1;
        vt_set(t->want, t, 1, eew, 0, vt_get(t->want, t, 4, eew, 0));
        vt_check(t, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_take_the_active_elements_and_the_scalar),
        cmocka_unit_test(what_is_masked_off_altogether_is_the_scalar),
    };
    return cmocka_run_group_tests(tests, vt_setup, vt_teardown);
}
