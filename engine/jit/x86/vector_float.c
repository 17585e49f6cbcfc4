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

/* Any bit of ymm2: from `element` on it is C's. */
static void check_none(struct vector *v, bool y, unsigned element)
{
    struct x86_code *c = &v->l->c;
    x_v(c, y, X86_V(2, 1, 0x17), 2, 0, 2); /* vptest */
    vec_to_c(v, x_jcc(c, CC_NE), element);
}

/* ymm2: where a or b is a NaN. What is quiet gives no flag. */
static void find_nans(const struct vector *v, bool y, unsigned a, unsigned b)
{
    x_v(&v->l->c, y, X86_V(1, v->sew == 3, 0xc2), 2, a, b); /* vcmpps, vcmppd: unordered */
    put8(&v->l->c, 3);
}

/* A NaN in ymm0, from element `at` on: C's, which makes it canonical and knows its flags. */
static void check_nans(struct vector *v, unsigned at)
{
    find_nans(v, vec_is_whole(v, at), 0, 0);
    check_none(v, vec_is_whole(v, at), at >> v->sew);
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

static bool lower_sqrt(struct vector *v)
{
    if (v->sew < 2 || !vec_are_aligned(v, FROM_I))
        return false;
    vec_guard(v, true, WHOLE);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        x_v_mem(&v->l->c, vec_is_whole(v, at), X86_V(1, v->sew == 3, 0x51), 0, 0,
                vec_group_at(v, v->vs2, at));
        check_nans(v, at);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* The host takes the second of two zeros, whatever their signs: of both orders the sign that is
 * wanted. */
static bool lower_min_max(struct vector *v, bool max)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const uint32_t op = X86_V(1, v->sew == 3, max ? 0x5f : 0x5d);

    if (v->sew < 2 || !vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        vec_load_piece(v, 0, v->vs2, at);
        if (source == FROM_V)
            vec_load_piece(v, 1, v->vs1, at);
        find_nans(v, y, 0, 1);
        check_none(v, y, at >> v->sew);
        x_v(c, y, op, 2, 0, 1);
        x_v(c, y, op, 0, 1, 0);
        x_v(c, y, vec_packed[max ? P_AND : P_OR][0], 0, 0, 2);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* The sign of the second operand, its opposite, or both signs' difference: with v0 = vs2,
 * ((v0 ^ b) & sign) ^ v0. */
static bool lower_sign(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const unsigned kind = v->raw >> 26 & 3; /* sgnj, sgnjn, sgnjx */

    if (v->sew < 2 || !vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    vec_ones(v, 2);
    vec_shift_by(v, v->bytes >= PIECE, v->sew, true, 2, 2, v->sew == 3 ? 63 : 31);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        if (kind == 2) {
            vec_with_source(v, source, VPAND, 0, 2, at);
        } else {
            vec_load_piece(v, 0, v->vs2, at);
            vec_with_source(v, source, VPXOR, 0, 0, at);
            x_v(c, y, VPAND, 0, 0, 2);
        }
        if (kind == 1)
            x_v(c, y, VPXOR, 0, 0, 2);
        x_v_mem(c, y, VPXOR, 0, 0, vec_group_at(v, v->vs2, at));
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* Sums one by one, in the order of the elements, which the unordered one may have too. */
static bool lower_sum(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const uint32_t load = X86_V(1, v->sew == 3 ? 3 : 2, 0x10), /* vmovss, vmovsd */
        add = X86_V(1, v->sew == 3 ? 3 : 2, 0x58);

    if (v->sew < 2 || v->elements > 32 || v->vs2 % v->regs != 0 || jit_options()->audit)
        return false;
    vec_guard(v, true, WHOLE);
    x_v_mem(c, false, load, 0, 0, vec_group_at(v, v->vs1, 0));
    for (unsigned i = 0; i < v->elements; i++)
        x_v_mem(c, false, add, 0, 0, vec_group_at(v, v->vs2, i << v->sew));
    find_nans(v, false, 0, 0);
    check_none(v, false, 0);
    x_v_mem(c, false, load + 1, 0, 0, vec_group_at(v, v->vd, 0)); /* to memory */
    return true;
}

/* ---- conversions ---- */

/* ymm1: all elements are the high bit of 32, which the host gives for what has no integer. */
static void get_no_integer(const struct vector *v)
{
    vec_ones(v, 1);
    vec_shift_by(v, v->bytes >= PIECE, 2, true, 1, 1, 31);
}

/* Integers of 32 bits in ymm0, made by the host: one that may have been none is C's. */
static void check_integers(struct vector *v, bool y, unsigned element)
{
    x_v(&v->l->c, y, vec_packed_equal[2], 2, 0, 1);
    check_none(v, y, element);
}

/* To as many bits, which are 32. */
static bool lower_convert(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const bool to_integer = v->op == OP_vfcvt_x_f_v || v->op == OP_vfcvt_rtz_x_f_v;
    const uint32_t op = X86_V(1,
                              v->op == OP_vfcvt_x_f_v       ? 1
                              : v->op == OP_vfcvt_rtz_x_f_v ? 2
                                                            : 0,
                              0x5b);

    if (v->sew != 2 || !vec_are_aligned(v, FROM_I))
        return false;
    vec_guard(v, true, WHOLE);
    if (to_integer) {
        get_no_integer(v);
    } else if (v->op == OP_vfcvt_f_xu_v) {
        x_const(c, RAX, 0x47800000); /* 65536, as a float */
        vec_broadcast(v, 2);
    }
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        if (v->op == OP_vfcvt_f_xu_v) { /* both halves are exact, their sum is rounded once */
            vec_load_piece(v, 0, v->vs2, at);
            vec_shift_by(v, y, 2, false, 1, 0, 16);
            vec_shift_by(v, y, 2, true, 0, 0, 16);
            vec_shift_by(v, y, 2, false, 0, 0, 16);
            x_v(c, y, op, 1, 0, 1);
            x_v(c, y, op, 0, 0, 0);
            x_v(c, y, X86_V(1, 0, 0x59), 1, 1, 2); /* vmulps */
            x_v(c, y, X86_V(1, 0, 0x58), 0, 0, 1); /* vaddps */
        } else {
            x_v_mem(c, y, op, 0, 0, vec_group_at(v, v->vs2, at));
        }
        if (to_integer)
            check_integers(v, y, at >> 2);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* To 64 bits from 32, and from integers of 16 to floats of 32: exact. */
static bool lower_convert_wider(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const unsigned narrow = v->bytes;
    const bool is_float = v->op == OP_vfwcvt_f_f_v, is_signed = v->op == OP_vfwcvt_f_x_v;

    if (v->regs > 4 || v->sew > 2 || (v->sew < 2 && (v->sew == 0 || is_float)))
        return false;
    vec_resize(v, 2 * narrow);
    if (vec_is_fraction(v) || v->vd % v->regs != 0 || !vec_may_widen(v, v->vs2, narrow))
        return false;
    vec_guard(v, true, WHOLE);
    if (v->sew == 2 && !is_float && !is_signed) {
        x_const(c, RAX, 0x4330000000000000); /* 2^52: its last bit is worth 1 */
        v->sew = 3;
        vec_broadcast(v, 1);
        v->sew = 2;
    }
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        const struct x86_mem m = vec_group_at(v, v->vs2, at / 2);
        if (is_float) {
            x_v_mem(c, y, X86_V(1, 0, 0x5a), 0, 0, m); /* vcvtps2pd */
            v->sew = 3;
            check_nans(v, at);
            v->sew = 2;
        } else if (v->sew == 1) {
            vec_load_extended(v, 0, v->vs2, at, 1, 2, is_signed);
            x_v(c, y, X86_V(1, 0, 0x5b), 0, 0, 0); /* vcvtdq2ps */
        } else if (is_signed) {
            x_v_mem(c, y, X86_V(1, 2, 0xe6), 0, 0, m); /* vcvtdq2pd */
        } else {
            vec_load_extended(v, 0, v->vs2, at, 2, 3, false);
            x_v(c, y, vec_packed[P_OR][0], 0, 0, 1);
            x_v(c, y, X86_V(1, 1, 0x5c), 0, 0, 1); /* vsubpd */
        }
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* To 32 bits from 64. */
static bool lower_convert_narrower(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const unsigned wide = 2 * v->bytes, wide_regs = wide > v->vlenb ? wide / v->vlenb : 1;
    const uint32_t op = v->op == OP_vfncvt_f_f_w       ? X86_V(1, 1, 0x5a)  /* vcvtpd2ps */
                        : v->op == OP_vfncvt_rtz_x_f_w ? X86_V(1, 1, 0xe6)  /* vcvttpd2dq */
                                                       : X86_V(1, 3, 0xe6); /* vcvtpd2dq */

    if (v->sew != 2 || wide < 16 || v->regs > 4 || v->vd % v->regs != 0 ||
        v->vs2 % wide_regs != 0 || !(v->vd == v->vs2 || vec_is_apart(v, v->vs2, wide_regs)))
        return false;
    vec_guard(v, true, WHOLE);
    v->halves = true;
    if (v->op != OP_vfncvt_f_f_w)
        get_no_integer(v);
    for (unsigned at = 0; at < v->bytes; at += 16) {
        x_v_mem(c, wide >= PIECE, op, 0, 0, vec_group_at(v, v->vs2, 2 * at));
        if (v->op == OP_vfncvt_f_f_w)
            check_nans(v, at);
        else
            check_integers(v, false, at >> 2);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    v->l->upper = true;
    return true;
}

/* ---- which ---- */

bool vec_lower_float(struct vector *v)
{
    bool reversed;
    switch (v->op) {
    case OP_vfwcvt_f_xu_v:
    case OP_vfwcvt_f_x_v:
    case OP_vfwcvt_f_f_v: return lower_convert_wider(v);
    case OP_vfncvt_f_f_w:
    case OP_vfncvt_x_f_w:
    case OP_vfncvt_rtz_x_f_w: return lower_convert_narrower(v);
    default: break;
    }
    if (vec_is_fraction(v)) /* what is behind it would give flags */
        return false;
    switch (v->op) {
    case OP_vfsqrt_v: return lower_sqrt(v);
    case OP_vfmin_vv:
    case OP_vfmin_vf: return lower_min_max(v, false);
    case OP_vfmax_vv:
    case OP_vfmax_vf: return lower_min_max(v, true);
    case OP_vfsgnj_vv:
    case OP_vfsgnj_vf:
    case OP_vfsgnjn_vv:
    case OP_vfsgnjn_vf:
    case OP_vfsgnjx_vv:
    case OP_vfsgnjx_vf: return lower_sign(v);
    case OP_vfredusum_vs:
    case OP_vfredosum_vs: return lower_sum(v);
    case OP_vfcvt_x_f_v:
    case OP_vfcvt_rtz_x_f_v:
    case OP_vfcvt_f_x_v:
    case OP_vfcvt_f_xu_v: return lower_convert(v);
    default: break;
    }
    if (float_of(v->op, &reversed) != 0)
        return lower_arithmetic(v);
    return v->op >= OP_vfmadd_vv && v->op <= OP_vfnmsac_vf && lower_fused(v);
}
