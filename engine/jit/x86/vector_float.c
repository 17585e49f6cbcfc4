/* Vector floating point: what the host does alike, element by element. */
#include "engine/jit/x86/vector.h"

/* ---- floating point ---- */

/* vs2 op b; by format S, D. */
static uint32_t float_of(unsigned op, bool *reversed)
{
    *reversed = false;
    switch (op) {
    case OP_vfadd_vv:
    case OP_vfadd_vf: return 0x58;
    case OP_vfsub_vv:
    case OP_vfsub_vf: return 0x5c;
    case OP_vfrsub_vf: *reversed = true; return 0x5c;
    case OP_vfmul_vv:
    case OP_vfmul_vf: return 0x59;
    case OP_vfdiv_vv:
    case OP_vfdiv_vf: return 0x5e;
    case OP_vfrdiv_vf: *reversed = true; return 0x5e;
    default: return 0;
    }
}

/* A NaN in ymm0, from element `at` on: C's, which makes it canonical and knows its flags. */
static void check_nans(struct vector *v, unsigned at)
{
    struct x86_code *c = &v->l->c;
    const bool y = vec_is_whole(v, at);
    x_v(c, y, X86_V(1, v->sew == 3, 0xc2), 2, 0, 0); /* vcmpps, vcmppd: unordered */
    put8(c, 3);
    x_v(c, y, X86_V(2, 1, 0x17), 2, 0, 2); /* vptest */
    vec_to_c(v, x_jcc(c, CC_NE), at >> v->sew);
}

static bool lower_arithmetic(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    bool reversed;
    const uint32_t op = X86_V(1, v->sew == 3, float_of(v->op, &reversed));

    if (v->sew < 2 || !vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        if (reversed) {
            x_v_mem(c, vec_is_whole(v, at), op, 0, 1, vec_group_at(v, v->vs2, at));
        } else {
            vec_load_piece(v, 0, v->vs2, at);
            vec_with_source(v, source, op, 0, 0, at);
        }
        check_nans(v, at);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* The 231 form: vd = +-(vs1 * vs2) +- vd; the 213 form: +-(vs1 * vd) +- vs2. */
static bool lower_fused(struct vector *v)
{
    /* vfmadd, vfnmadd, vfmsub, vfnmsub. The host's "nmadd" and "nmsub" are the ISA's exchanged. */
    static const uint8_t opcodes[] = {0xb8, 0xbe, 0xba, 0xbc};
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const bool to_vd = (v->raw >> 26) >= 0x2c; /* vfmacc and its kin */
    const uint32_t op = X86_V(2, 1, opcodes[v->raw >> 26 & 3]) | (v->sew == 3 ? 0x800u : 0u);

    if (!x86_features.fma || v->sew < 2 || !vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        /* ymm0 = +-(ymm2 * second) +- ymm0 */
        vec_load_piece(v, 0, to_vd ? v->vd : v->vs2, at);
        vec_load_piece(v, 2, to_vd ? v->vs2 : v->vd, at);
        if (source == FROM_V)
            x_v_mem(c, y, op, 0, 2, vec_group_at(v, v->vs1, at));
        else
            x_v(c, y, op, 0, 2, 1);
        check_nans(v, at);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* ---- which ---- */

bool vec_lower_float(struct vector *v)
{
    bool reversed;
    if (float_of(v->op, &reversed) != 0)
        return lower_arithmetic(v);
    return v->op >= OP_vfmadd_vv && v->op <= OP_vfnmsac_vf && lower_fused(v);
}
