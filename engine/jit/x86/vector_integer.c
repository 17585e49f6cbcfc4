/* Vector integers: of one width, to wider ones, under masks; bits and bytes. */
#include "engine/jit/x86/vector.h"

static enum packed packed_of(unsigned op)
{
    switch (op) {
    case OP_vadd_vv:
    case OP_vadd_vx:
    case OP_vadd_vi: return P_ADD;
    case OP_vsub_vv:
    case OP_vsub_vx: return P_SUB;
    case OP_vrsub_vx:
    case OP_vrsub_vi: return P_RSUB;
    case OP_vand_vv:
    case OP_vand_vx:
    case OP_vand_vi: return P_AND;
    case OP_vor_vv:
    case OP_vor_vx:
    case OP_vor_vi: return P_OR;
    case OP_vxor_vv:
    case OP_vxor_vx:
    case OP_vxor_vi: return P_XOR;
    case OP_vminu_vv:
    case OP_vminu_vx: return P_MINU;
    case OP_vmin_vv:
    case OP_vmin_vx: return P_MIN;
    case OP_vmaxu_vv:
    case OP_vmaxu_vx: return P_MAXU;
    case OP_vmax_vv:
    case OP_vmax_vx: return P_MAX;
    case OP_vmul_vv:
    case OP_vmul_vx: return P_MUL;
    case OP_vmulhu_vv:
    case OP_vmulhu_vx: return P_MULHU;
    case OP_vmulh_vv:
    case OP_vmulh_vx: return P_MULH;
    case OP_vsll_vx:
    case OP_vsll_vi: return P_SLL;
    case OP_vsrl_vx:
    case OP_vsrl_vi: return P_SRL;
    case OP_vsra_vx:
    case OP_vsra_vi: return P_SRA;
    case OP_vsll_vv: return P_SLLV;
    case OP_vsrl_vv: return P_SRLV;
    case OP_vsra_vv: return P_SRAV;
    default: return P_NONE;
    }
}

/* ymm1 (xmm1): by how much is shifted, of which the low bits count; ymm2: those bits. */
static void get_shift(struct vector *v, enum source source)
{
    struct x86_code *c = &v->l->c;
    const int32_t mask = (8 << v->sew) - 1;
    if (source == FROM_V) {
        x_const(c, RAX, mask);
        vec_broadcast(v, 2);
        return;
    }
    if (source == FROM_I) {
        x_const(c, RAX, (int64_t)v->vs1 & mask);
    } else {
        x86_get(v->l, RAX, v->ir->a);
        x_alu_const(c, false, ALU_AND, RAX, mask);
    }
    x_v(c, false, VMOVD_TO, 1, 0, RAX);
}

/* ymm0 = a piece of `reg` * ymm1, by what the host has for half the width, or twice. Clobbers
 * ymm2. */
static void multiply(const struct vector *v, unsigned reg, unsigned at)
{
    struct x86_code *c = &v->l->c;
    const bool y = vec_is_whole(v, at);
    const struct x86_mem m = vec_group_at(v, reg, at);
    const uint32_t words = vec_packed[P_MUL][1], longs = X86_V(1, 1, 0xf4); /* vpmuludq */

    if (v->sew == 0) { /* the odd bytes, and the even ones */
        vec_load_piece(v, 2, reg, at);
        vec_shift_by(v, y, 1, false, 2, 2, 8);
        vec_shift_by(v, y, 1, false, 0, 1, 8);
        x_v(c, y, words, 2, 2, 0);
        vec_shift_by(v, y, 1, true, 2, 2, 8);
        x_v_mem(c, y, words, 0, 1, m);
        vec_shift_by(v, y, 1, true, 0, 0, 8);
        vec_shift_by(v, y, 1, false, 0, 0, 8);
        x_v(c, y, vec_packed[P_OR][0], 0, 0, 2);
    } else { /* both products of a high half and a low one, moved up, and that of the low ones */
        vec_shift_by(v, y, 3, false, 2, 1, 32);
        x_v_mem(c, y, longs, 2, 2, m);
        vec_load_piece(v, 0, reg, at);
        vec_shift_by(v, y, 3, false, 0, 0, 32);
        x_v(c, y, longs, 0, 0, 1);
        x_v(c, y, vec_packed[P_ADD][3], 0, 0, 2);
        vec_shift_by(v, y, 3, true, 0, 0, 32);
        x_v_mem(c, y, longs, 2, 1, m);
        x_v(c, y, vec_packed[P_ADD][3], 0, 0, 2);
    }
}

static bool is_multiply(unsigned op)
{
    return op == OP_vmul_vv || op == OP_vmul_vx;
}

/* vmul of bytes and of 64 bits. */
static bool lower_multiply(struct vector *v)
{
    const enum source source = vec_source_of(v);
    if (!vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE_OR_PART);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        if (source == FROM_V)
            vec_load_piece(v, 1, v->vs1, at);
        multiply(v, v->vs2, at);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

static bool lower_packed(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    enum packed kind = packed_of(v->op);
    const bool reversed = kind == P_RSUB, shift = kind >= P_SLL;
    const uint32_t op = vec_packed[reversed ? P_SUB : kind][v->sew];

    if (op == 0 || !vec_are_aligned(v, source) || (v->masked && shift && source == FROM_V))
        return false;
    vec_guard(v, true, shift && source == FROM_V ? WHOLE : WHOLE_OR_PART); /* ymm2 is taken */
    if (shift)
        get_shift(v, source);
    else
        vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        if (reversed) {
            x_v_mem(c, vec_is_whole(v, at), op, 0, 1, vec_group_at(v, v->vs2, at));
        } else if (shift && source == FROM_V) {
            x_v_mem(c, vec_is_whole(v, at), VPAND, 1, 2, vec_group_at(v, v->vs1, at));
            vec_load_piece(v, 0, v->vs2, at);
            x_v(c, vec_is_whole(v, at), op, 0, 0, 1);
        } else {
            vec_load_piece(v, 0, v->vs2, at);
            vec_with_source(v, source, op, 0, 0, at);
        }
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* vd = vd +- vs1 * vs2, or vs2 +- vs1 * vd */
static bool lower_multiply_add(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const bool add = v->op == OP_vmacc_vv || v->op == OP_vmacc_vx || v->op == OP_vmadd_vv ||
                     v->op == OP_vmadd_vx;
    const bool to_vd = v->op == OP_vmacc_vv || v->op == OP_vmacc_vx || v->op == OP_vnmsac_vv ||
                       v->op == OP_vnmsac_vx;
    const uint32_t op = vec_packed[P_MUL][v->sew];

    if (!vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE_OR_PART);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        const bool y = vec_is_whole(v, at);
        if (op != 0) {
            vec_load_piece(v, 0, to_vd ? v->vs2 : v->vd, at);
            vec_with_source(v, source, op, 0, 0, at);
        } else {
            if (source == FROM_V)
                vec_load_piece(v, 1, v->vs1, at);
            multiply(v, to_vd ? v->vs2 : v->vd, at);
        }
        vec_load_piece(v, 2, to_vd ? v->vd : v->vs2, at);
        x_v(c, y, vec_packed[add ? P_ADD : P_SUB][v->sew], 0, 2, 0);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* vaaddu of bytes and of words of 16 bits, rounded up (vxrm 0). */
static bool lower_average(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const uint32_t op = v->sew == 0 ? X86_V(1, 1, 0xe0) : X86_V(1, 1, 0xe3); /* vpavgb, vpavgw */

    if (v->sew > 1 || !vec_are_aligned(v, source))
        return false;
    vec_guard(v, true, WHOLE);
    x_mem(c, false, 0x0fb6, RAX, mem_at(R_VCPU, VCPU(vxrm))); /* movzx */
    x_test(c, false, RAX, RAX);
    vec_to_c(v, x_jcc(c, CC_NE), 0);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_load_piece(v, 0, v->vs2, at);
        vec_with_source(v, source, op, 0, 0, at);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

#define DIVISIONS_MOST 16u
#define DIVISION_CODE  90u

/* One by one, of 32 and 64 bits; by 0, and by -1 where there are signs, is C's. */
static bool lower_divide(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const unsigned kind = v->raw >> 26 & 3; /* divu, div, remu, rem */
    const bool sign = (kind & 1) != 0, wide = v->sew == 3;

    if (v->sew < 2 || v->elements > DIVISIONS_MOST || !vec_are_aligned(v, source) ||
        !vec_has_share(v, v->elements * DIVISION_CODE))
        return false;
    vec_guard(v, true, WHOLE);
    for (unsigned i = 0; i < v->elements; i++) {
        if (source == FROM_V)
            vec_load_low(c, v->sew, RCX, vec_group_at(v, v->vs1, i << v->sew));
        else
            x86_get(v->l, RCX, v->ir->a);
        x_test(c, wide, RCX, RCX);
        vec_to_c(v, x_jcc(c, CC_E), i);
        if (sign) {
            x_alu_const(c, wide, ALU_CMP, RCX, -1);
            vec_to_c(v, x_jcc(c, CC_E), i);
        }
        vec_load_low(c, v->sew, RAX, vec_group_at(v, v->vs2, i << v->sew));
        if (sign)
            x_cqo(c, wide);
        else
            x_const(c, RDX, 0);
        x_group3(c, wide, sign ? G3_IDIV : G3_DIV, RCX);
        vec_store_low(c, v->sew, vec_group_at(v, v->vd, i << v->sew), kind < 2 ? RAX : RDX);
    }
    return true;
}

/* ---- with masks ---- */

/* vmerge: its mask is an operand. */
static bool lower_merge(struct vector *v)
{
    const enum source source = vec_source_of(v);
    if (!vec_are_aligned(v, source) || vec_is_fraction(v))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        if (source == FROM_V)
            vec_load_piece(v, 1, v->vs1, at);
        vec_find_inactive(v, at);
        x_v_mem(&v->l->c, y, VPBLENDVB, 0, 1, vec_group_at(v, v->vs2, at));
        put8(&v->l->c, 2 << 4);
        x_v_mem(&v->l->c, y, VMOVDQU_STORE, 0, 0, vec_group_at(v, v->vd, at));
    }
    vec_end_pieces(v);
    return true;
}

/* ---- other widths ---- */

/* vpmovsx and vpmovzx by the widths' log2: from, and to less one. */
static const uint8_t extensions[3][3] = {{0x20, 0x21, 0x22}, {0, 0x23, 0x24}, {0, 0, 0x25}};

void vec_load_extended(const struct vector *v, unsigned to, unsigned reg, unsigned at,
                       unsigned from_sew, unsigned to_sew, bool sign)
{
    const uint32_t op = X86_V(2, 1, extensions[from_sew][to_sew - 1] + (sign ? 0u : 0x10u));
    x_v_mem(&v->l->c, vec_is_whole(v, at), op, to, 0,
            vec_group_at(v, reg, at >> (to_sew - from_sew)));
}

bool vec_may_widen(const struct vector *v, unsigned vs, unsigned bytes)
{
    const unsigned regs = bytes > v->vlenb ? bytes / v->vlenb : 1;
    if (vs % regs != 0)
        return false;
    return vec_is_apart(v, vs, regs) || (bytes >= v->vlenb && vs + regs == v->vd + v->regs);
}

/* vzext, vsext */
static bool lower_extend(struct vector *v)
{
    const unsigned by = 4 - (v->vs1 >> 1),
                   from = v->sew - by; /* vs1: vf8 2, 3; vf4 4, 5; vf2 6, 7 */
    if (by > v->sew || v->vd % v->regs != 0 || !vec_may_widen(v, v->vs2, v->bytes >> by) ||
        v->bytes >> by < v->vlenb / 8)
        return false;
    vec_guard(v, true, WHOLE_OR_PART);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        vec_load_extended(v, 0, v->vs2, at, from, v->sew, (v->vs1 & 1) != 0);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* vwadd, vwsub, vwmul and vwmacc of all kinds, to twice the width. */
static bool lower_widen(struct vector *v)
{
    /* Of a product which operand has a sign, by the low bits of funct6: of vwmul vs2, of vwmacc
     * both. */
    static const bool sign1[8] = {false, false, false, true, false, true, false, true},
                      sign2[8] = {false, false, true, true, false, true, true, false};
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const unsigned funct6 = v->raw >> 26, from = v->sew, narrow = v->bytes;
    const bool multiplies = funct6 >= 0x38, adds = funct6 >= 0x3c;
    const bool wide = funct6 >= 0x34 && !multiplies;
    const bool sign = multiplies ? sign1[funct6 & 7] : (funct6 & 1) != 0;
    const bool second = multiplies ? sign2[funct6 & 7] : sign;
    uint32_t op;

    if (from == 3 || v->regs > 4)
        return false;
    if (!multiplies)
        op = vec_packed[(funct6 & 2) != 0 ? P_SUB : P_ADD][from + 1];
    else if (from < 2)
        op = vec_packed[P_MUL][from + 1]; /* all of the product has room */
    else if (sign == second)
        op = sign ? X86_V(2, 1, 0x28) : X86_V(1, 1, 0xf4); /* vpmuldq, vpmuludq */
    else
        return false;
    vec_resize(v, 2 * v->bytes);
    if (v->vd % v->regs != 0 ||
        (wide ? v->vs2 % v->regs != 0 : !vec_may_widen(v, v->vs2, narrow)) ||
        (source == FROM_V && !vec_may_widen(v, v->vs1, narrow)))
        return false;
    const unsigned narrow_regs = narrow > v->vlenb ? narrow / v->vlenb : 1;
    if (wide && source == FROM_V && v->vs1 + narrow_regs > v->vs2 && v->vs1 < v->vs2 + v->regs)
        return false; /* no register is read with two widths (V, 5.2) */
    if (adds && (!vec_is_apart(v, v->vs2, narrow_regs) ||
                 (source == FROM_V && !vec_is_apart(v, v->vs1, narrow_regs))))
        return false;
    /* Of vs2 as wide as the result and vs1 at its end, or of both at its end, pieces are read
     * before they are written. */
    vec_guard(v, true, WHOLE_OR_PART);
    if (v->part)
        x_shift(c, true, SHIFT_SHL, RCX, 1);
    if (source != FROM_V) {
        static const uint32_t signs[3] = {0x0fbe, 0x0fbf, 0x63}, zeros[3] = {0x0fb6, 0x0fb7, 0x8b};
        vec_get_scalar(v, source);
        if (from == 0)
            x_extend8(c, RAX, RAX, sign);
        else
            x_reg(c, sign && from == 2, sign ? signs[from] : zeros[from], RAX, RAX);
        v->sew++;
        vec_broadcast(v, 1);
        v->sew--;
    }
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        if (source == FROM_V)
            vec_load_extended(v, 1, v->vs1, at, from, from + 1, sign);
        if (wide)
            vec_load_piece(v, 0, v->vs2, at);
        else
            vec_load_extended(v, 0, v->vs2, at, from, from + 1, second);
        x_v(c, vec_is_whole(v, at), op, 0, 0, 1);
        if (adds)
            x_v_mem(c, vec_is_whole(v, at), vec_packed[P_ADD][from + 1], 0, 0,
                    vec_group_at(v, v->vd, at));
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* ---- bits and bytes (Zvbb) ---- */

static bool lower_reverse_bytes(struct vector *v)
{
    if (v->vd % v->regs != 0 || v->vs2 % v->regs != 0)
        return false;
    vec_guard(v, true, WHOLE_OR_PART);
    vec_load_constant(v, v->bytes >= PIECE, VMOVDQU_LOAD, 1, 0, x86_stubs.reversed[v->sew]);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        vec_load_piece(v, 0, v->vs2, at);
        x_v(&v->l->c, vec_is_whole(v, at), X86_V(2, 1, 0x00), 0, 0, 1); /* vpshufb */
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

static bool lower_rotate(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const unsigned bits = 8u << v->sew;
    const unsigned count = (v->vs1 | (v->raw >> 26 & 1) << 5) & (bits - 1); /* to the right */
    if (v->sew == 0 || v->vd % v->regs != 0 || v->vs2 % v->regs != 0)
        return false;
    vec_guard(v, true, WHOLE_OR_PART);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        const bool y = vec_is_whole(v, at);
        vec_load_piece(v, 0, v->vs2, at);
        if (count != 0) {
            vec_shift_by(v, y, v->sew, false, 1, 0, count);
            vec_shift_by(v, y, v->sew, true, 0, 0, bits - count);
            x_v(c, y, vec_packed[P_OR][0], 0, 0, 1);
        }
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* vnsrl by a scalar or a constant, and vnsra by so little that what is kept is the same. */
static bool lower_narrow(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const unsigned wide = v->sew + 1, bits = 8u << v->sew;
    const unsigned count = v->vs1 & (2 * bits - 1);

    const unsigned wide_regs = 2 * v->bytes > v->vlenb ? 2 * v->bytes / v->vlenb : 1;
    if (wide > 3 || v->regs > 4 || source == FROM_V || v->vd % v->regs != 0 ||
        v->vs2 % wide_regs != 0 || (v->op == OP_vnsra_wi && count > bits) ||
        !(v->vd == v->vs2 || vec_is_apart(v, v->vs2, wide_regs)))
        return false;
    vec_guard(v, true, WHOLE_OR_PART);
    v->halves = true;
    if (source == FROM_I) {
        x_const(c, RAX, count);
    } else {
        x86_get(v->l, RAX, v->ir->a);
        x_alu_const(c, false, ALU_AND, RAX, (int32_t)(2 * bits - 1));
    }
    x_v(c, false, VMOVD_TO, 1, 0, RAX);
    for (unsigned at = 0; at < v->bytes; at += 16) { /* from 32 bytes each */
        vec_begin_piece(v, at);
        x_v_mem(c, true, VMOVDQU_LOAD, 0, 0, vec_group_at(v, v->vs2, 2 * at));
        if (source == FROM_X || count != 0)
            x_v(c, true, vec_packed[P_SRL][wide], 0, 0, 1);
        if (v->sew == 0) { /* vpsllw, vpsrlw: the low byte of each word */
            vec_shift_by(v, true, wide, true, 0, 0, 8);
            vec_shift_by(v, true, wide, false, 0, 0, 8);
        } else if (v->sew == 1) {
            vec_shift_by(v, true, wide, true, 0, 0, 16);
            vec_shift_by(v, true, wide, false, 0, 0, 16);
        }
        x_v(c, true, VEXTRACTI128, 0, 0, 2);
        put8(c, 1);
        if (v->sew == 2) { /* vshufps: the even words of both */
            x_v(c, false, X86_V(1, 0, 0xc6), 0, 0, 2);
            put8(c, 0x88);
        } else { /* vpackuswb, vpackusdw */
            x_v(c, false, v->sew == 0 ? X86_V(1, 1, 0x67) : X86_V(2, 1, 0x2b), 0, 0, 2);
        }
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    v->l->upper = true;
    return true;
}

/* ---- which ---- */

bool vec_lower_integer(struct vector *v)
{
    if (is_multiply(v->op) && vec_packed[P_MUL][v->sew] == 0)
        return lower_multiply(v);
    if (packed_of(v->op) != P_NONE)
        return lower_packed(v);
    switch (v->op) {
    case OP_vmacc_vv:
    case OP_vmacc_vx:
    case OP_vnmsac_vv:
    case OP_vnmsac_vx:
    case OP_vmadd_vv:
    case OP_vmadd_vx:
    case OP_vnmsub_vv:
    case OP_vnmsub_vx: return lower_multiply_add(v);
    case OP_vaaddu_vv:
    case OP_vaaddu_vx: return lower_average(v);
    case OP_vmerge_vvm:
    case OP_vmerge_vxm:
    case OP_vmerge_vim: return lower_merge(v);
    default: break;
    }
    if (v->masked)
        return false;
    switch (v->op) {
    case OP_vdivu_vv:
    case OP_vdivu_vx:
    case OP_vdiv_vv:
    case OP_vdiv_vx:
    case OP_vremu_vv:
    case OP_vremu_vx:
    case OP_vrem_vv:
    case OP_vrem_vx: return lower_divide(v);
    case OP_vzext_vf8:
    case OP_vsext_vf8:
    case OP_vzext_vf4:
    case OP_vsext_vf4:
    case OP_vzext_vf2:
    case OP_vsext_vf2: return lower_extend(v);
    case OP_vwaddu_vv:
    case OP_vwaddu_vx:
    case OP_vwadd_vv:
    case OP_vwadd_vx:
    case OP_vwsubu_vv:
    case OP_vwsubu_vx:
    case OP_vwsub_vv:
    case OP_vwsub_vx:
    case OP_vwaddu_wv:
    case OP_vwaddu_wx:
    case OP_vwadd_wv:
    case OP_vwadd_wx:
    case OP_vwsubu_wv:
    case OP_vwsubu_wx:
    case OP_vwsub_wv:
    case OP_vwsub_wx:
    case OP_vwmacc_vv:
    case OP_vwmacc_vx:
    case OP_vwmaccu_vv:
    case OP_vwmaccu_vx:
    case OP_vwmaccsu_vv:
    case OP_vwmaccsu_vx:
    case OP_vwmaccus_vx:
    case OP_vwmulsu_vv:
    case OP_vwmulsu_vx:
    case OP_vwmulu_vv:
    case OP_vwmulu_vx:
    case OP_vwmul_vv:
    case OP_vwmul_vx: return lower_widen(v);
    case OP_vnsrl_wv:
    case OP_vnsrl_wx:
    case OP_vnsrl_wi:
    case OP_vnsra_wi: return lower_narrow(v);
    case OP_vrev8_v: return lower_reverse_bytes(v);
    case OP_vror_vi: return lower_rotate(v);
    default: return false;
    }
}
