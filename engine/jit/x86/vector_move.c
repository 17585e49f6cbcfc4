/* Vector elements that change their places: moves, slides, gathers; and reductions. */
#include "engine/jit/x86/vector.h"

/* ---- moves ---- */

static bool lower_copy(struct vector *v)
{
    const enum source source = vec_source_of(v);
    if (v->vd % v->regs != 0 || (source == FROM_V && v->vs1 % v->regs != 0))
        return false;
    vec_guard(v, true, v->op == OP_vfmv_v_f ? WHOLE : WHOLE_OR_PART);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_begin_piece(v, at);
        if (source == FROM_V)
            vec_load_piece(v, 1, v->vs1, at);
        vec_store_piece(v, v->vd, at, 1);
    }
    vec_end_pieces(v);
    return true;
}

/* vmv<nr>r.v, if vtype is known not to be ill. */
static bool lower_move_registers(struct vector *v)
{
    v->regs = 1 + v->vs1;
    v->bytes = v->regs * v->vlenb;
    if (v->vd % v->regs != 0 || v->vs2 % v->regs != 0)
        return false;
    vec_guard(v, true, ANY_LENGTH);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_load_piece(v, 0, v->vs2, at);
        vec_store_piece(v, v->vd, at, 0);
    }
    vec_end_pieces(v);
    return true;
}

/* vmv.x.s, vfmv.f.s: whatever vl is. */
static bool lower_first(struct vector *v)
{
    struct lowering *l = v->l;
    struct x86_code *c = &l->c;
    const struct x86_mem m = vec_group_at(v, v->vs2, 0);
    if (v->op == OP_vfmv_f_s && v->sew < 2)
        return false;
    vec_guard(v, true, ANY_LENGTH);
    if (v->op == OP_vfmv_f_s) {
        x_mem(c, v->sew == 3, 0x8b, RAX, m);
        if (v->sew == 2) {
            x_const(c, RDX, -(1LL << 32));
            x_alu(c, true, ALU_OR, RAX, RDX);
        }
    } else {
        static const uint32_t extend[4] = {0x0fbe, 0x0fbf, 0x63, 0x8b};
        x_mem(c, true, extend[v->sew], RAX, m);
    }
    x86_put(l, v->ir->dst, RAX);
    return true;
}

/* ---- slides ---- */

/* `count` bytes from `from` of one group to `to` of another, none of which is read after it is
 * written. */
static void copy_bytes(struct vector *v, unsigned vd, unsigned to, unsigned vs, unsigned from,
                       unsigned count)
{
    static const struct {
        unsigned bytes;
        uint32_t load, store;
    } ways[] = {{32, VMOVDQU_LOAD, VMOVDQU_STORE},
                {16, VMOVDQU_LOAD, VMOVDQU_STORE},
                {8, VMOVQ_TO, X86_V_W(1, 1, 0x7e)},
                {4, VMOVD_TO, X86_V(1, 1, 0x7e)}};
    struct x86_code *c = &v->l->c;
    for (unsigned i = 0; i < 4; i++) {
        for (; count >= ways[i].bytes; count -= ways[i].bytes) {
            x_v_mem(c, ways[i].bytes == 32, ways[i].load, 0, 0, vec_group_at(v, vs, from));
            x_v_mem(c, ways[i].bytes == 32, ways[i].store, 0, 0, vec_group_at(v, vd, to));
            from += ways[i].bytes;
            to += ways[i].bytes;
        }
    }
    for (; count >= 2; count -= 2, from += 2, to += 2) {
        x_mem(c, false, 0x0fb7, RAX, vec_group_at(v, vs, from));
        put8(c, 0x66);
        x_mem(c, false, 0x89, RAX, vec_group_at(v, vd, to));
    }
    if (count != 0) {
        x_mem(c, false, 0x0fb6, RAX, vec_group_at(v, vs, from));
        x_mem8(c, 0x88, RAX, vec_group_at(v, vd, to));
    }
}

/* rax to an element. */
static void store_element(struct vector *v, unsigned reg, unsigned i)
{
    vec_store_low(&v->l->c, v->sew, vec_group_at(v, reg, i << v->sew), RAX);
}

/* vmv.s.x, vfmv.s.f: nothing if vl is 0. */
static bool lower_to_first(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    if ((source == FROM_F && v->sew < 2) || jit_options()->audit)
        return false;
    vec_guard(v, true, ANY_LENGTH);
    x_alu_mem_const(c, true, ALU_CMP, mem_at(R_VCPU, VCPU(vl)), 0);
    vec_to_c(v, x_jcc(c, CC_E), 0);
    vec_get_scalar(v, source);
    store_element(v, v->vd, 0);
    return true;
}

/* By a constant, or by one and with a scalar. */
static bool lower_slide(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const bool one = v->op == OP_vslide1up_vx || v->op == OP_vslide1down_vx;
    const bool up = v->op == OP_vslide1up_vx || v->op == OP_vslideup_vi;
    const unsigned by = one ? 1 : v->vs1, distance = by << v->sew;

    if (!vec_are_aligned(v, FROM_X) || (up && v->vd == v->vs2))
        return false;
    vec_guard(v, true, WHOLE);
    const unsigned moved = distance < v->bytes ? v->bytes - distance : 0;
    if (up) {
        copy_bytes(v, v->vd, distance, v->vs2, 0, moved);
    } else {
        copy_bytes(v, v->vd, 0, v->vs2, distance, moved);
        if (!one && moved < v->bytes) {
            x_const(c, RAX, 0);
            for (unsigned i = moved >> v->sew; i < v->elements; i++)
                store_element(v, v->vd, i);
        }
    }
    if (one) {
        x86_get(v->l, RAX, v->ir->a);
        store_element(v, v->vd, up ? 0 : v->elements - 1);
    }
    vec_end_pieces(v);
    return true;
}

/* From up to 16 bytes, of 8 words of 32 bits too: what is behind them is 0. */
static bool lower_gather(struct vector *v)
{
    static const uint32_t permutes[4] = {X86_V(2, 1, 0x00), X86_V(2, 1, 0x00), X86_V(2, 1, 0x0c),
                                         X86_V(2, 1, 0x0d)}; /* vpshufb, vpermilps, vpermilpd */
    struct x86_code *c = &v->l->c;
    const bool words = v->sew == 2 && v->bytes == 32;
    if ((v->bytes > 16 && !words) || !vec_are_aligned(v, FROM_V) ||
        !vec_is_apart(v, v->vs1, v->regs) || !vec_is_apart(v, v->vs2, v->regs))
        return false;
    vec_guard(v, true, WHOLE);
    vec_load_piece(v, 1, v->vs1, 0);
    if (words) {
        x_v_mem(c, true, X86_V(2, 1, 0x36), 0, 1, vec_group_at(v, v->vs2, 0)); /* vpermd */
    } else {
        vec_load_piece(v, 2, v->vs1, 0);
        if (v->sew == 1) { /* bytes 2 i and 2 i + 1 */
            x_const(c, RAX, 0x0100);
            vec_broadcast(v, 0);
            vec_shift_by(v, false, 1, true, 2, 2, 9);
            x_v(c, false, vec_packed[P_ADD][1], 2, 2, 1);
            x_v(c, false, vec_packed[P_ADD][1], 2, 2, 1);
            x_v(c, false, vec_packed[P_OR][0], 2, 2, 0);
        }
        if (v->sew == 3) /* bit 1 counts */
            x_v(c, false, vec_packed[P_ADD][3], 2, 2, 2);
        vec_load_piece(v, 0, v->vs2, 0);
        x_v(c, false, permutes[v->sew], 0, 0, 2);
    }
    /* Where an index has more than the low bits: 0. */
    x_const(c, RAX, -(int64_t)v->elements);
    vec_broadcast(v, 2);
    x_v(c, words, VPAND, 1, 1, 2);
    x_v(c, words, VPXOR, 2, 2, 2);
    x_v(c, words, vec_packed_equal[v->sew], 1, 1, 2);
    x_v(c, words, VPAND, 0, 0, 1);
    vec_store_piece(v, v->vd, 0, 0);
    vec_end_pieces(v);
    return true;
}

/* ---- reductions ---- */

static enum packed reduction_of(unsigned op)
{
    switch (op) {
    case OP_vredsum_vs: return P_ADD;
    case OP_vredand_vs: return P_AND;
    case OP_vredor_vs: return P_OR;
    case OP_vredxor_vs: return P_XOR;
    case OP_vredminu_vs: return P_MINU;
    case OP_vredmin_vs: return P_MIN;
    case OP_vredmaxu_vs: return P_MAXU;
    case OP_vredmax_vs: return P_MAX;
    default: return P_NONE;
    }
}

/* All elements, then what is left of them by halves. */
static bool lower_reduction(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const uint32_t op = vec_packed[reduction_of(v->op)][v->sew];
    if (op == 0 || vec_is_fraction(v) || v->vs2 % v->regs != 0 || jit_options()->audit)
        return false;
    vec_guard(v, true, WHOLE);
    vec_load_piece(v, 0, v->vs2, 0);
    for (unsigned at = PIECE; at < v->bytes; at += PIECE)
        x_v_mem(c, vec_is_whole(v, at), op, 0, 0, vec_group_at(v, v->vs2, at));
    if (v->bytes >= PIECE) {
        x_v(c, true, VEXTRACTI128, 0, 0, 2);
        put8(c, 1);
        x_v(c, false, op, 0, 0, 2);
    }
    for (unsigned half = 3; half + 1 > v->sew + 0 && half >= v->sew;
         half--) { /* log2 of its bytes */
        if (half >= 2) {
            x_v(c, false, X86_V(1, 1, 0x70), 2, 0, 0); /* vpshufd */
            put8(c, half == 3 ? 0x4e : 0xb1);
        } else { /* vpsrld, vpsrlw */
            x_v(c, false, X86_V(1, 1, half == 1 ? 0x72 : 0x71), 2, 2, 0);
            put8(c, half == 1 ? 16 : 8);
        }
        x_v(c, false, op, 0, 0, 2);
        if (half == v->sew)
            break;
    }
    x_v_mem(c, false, op, 0, 0, vec_group_at(v, v->vs1, 0)); /* of which one element counts */
    x_v(c, false, X86_V_W(1, 1, 0x7e), 0, 0, RAX);           /* vmovq */
    store_element(v, v->vd, 0);
    vec_end_pieces(v);
    return true;
}

/* ---- which ---- */

bool vec_lower_move(struct vector *v)
{
    if (reduction_of(v->op) != P_NONE)
        return lower_reduction(v);
    switch (v->op) {
    case OP_vmv_x_s:
    case OP_vfmv_f_s: return lower_first(v);
    case OP_vmv_s_x:
    case OP_vfmv_s_f: return lower_to_first(v);
    case OP_vmv_v_v:
    case OP_vmv_v_x:
    case OP_vmv_v_i: return lower_copy(v);
    case OP_vfmv_v_f: return v->sew >= 2 && lower_copy(v);
    case OP_vmv1r_v:
    case OP_vmv2r_v:
    case OP_vmv4r_v:
    case OP_vmv8r_v: return lower_move_registers(v);
    case OP_vslideup_vi:
    case OP_vslidedown_vi:
    case OP_vslide1up_vx:
    case OP_vslide1down_vx: return lower_slide(v);
    case OP_vrgather_vv: return lower_gather(v);
    default: return false;
    }
}
