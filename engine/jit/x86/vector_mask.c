/* Vector masks: comparisons, counts, their own logic. */
#include "engine/jit/x86/vector.h"

/* ---- masks ---- */

/* rax: the bits of a piece's elements, which are all ones or all zeros in ymm0; to the mask
 * register. */
static void store_bits(const struct vector *v, unsigned at, bool inverted)
{
    struct x86_code *c = &v->l->c;
    const bool y = vec_is_whole(v, at);
    const unsigned first = at >> v->sew, left = v->elements - first;
    const unsigned all = (y ? PIECE : 16) >> v->sew, bits = left < all ? left : all;
    const struct x86_mem m = vec_group_at(v, v->vd, first / 8);

    switch (v->sew) {
    case 0: x_v(c, y, VPMOVMSKB, RAX, 0, 0); break;
    case 1:
        if (y) {
            x_v(c, true, VEXTRACTI128, 0, 0, 2);
            put8(c, 1);
        }
        x_v(c, false, VPACKSSWB, 0, 0, y ? 2 : 0);
        x_v(c, false, VPMOVMSKB, RAX, 0, 0);
        break;
    case 2: x_v(c, y, X86_V(1, 0, 0x50), RAX, 0, 0); break;  /* vmovmskps */
    default: x_v(c, y, X86_V(1, 1, 0x50), RAX, 0, 0); break; /* vmovmskpd */
    }
    if (inverted)
        x_group3(c, false, G3_NOT, RAX);
    if (bits == 32) {
        x_store32(c, m, RAX);
    } else if (bits == 16) {
        put8(c, 0x66);
        x_mem(c, false, 0x89, RAX, m);
    } else {
        if (bits < 8) { /* among others */
            const unsigned ones = (1u << bits) - 1;
            x_alu_const(c, false, ALU_AND, RAX, (int32_t)ones);
            if (first % 8 != 0)
                x_shift(c, false, SHIFT_SHL, RAX, first % 8);
            x_mem(c, false, 0x0fb6, RDX, m); /* movzx */
            x_alu_const(c, false, ALU_AND, RDX, (int32_t)(0xff & ~(ones << first % 8)));
            x_alu(c, false, ALU_OR, RAX, RDX);
        }
        x_mem8(c, 0x88, RAX, m);
    }
}

/* Nothing else of the mask register is to be known. */
static bool gives_all(const struct vector *v)
{
    return v->elements == v->vlenb * 8 || !jit_options()->audit;
}

/* The destination, one register, may be the lowest one of a source. */
static bool mask_may_be(const struct vector *v, unsigned vs)
{
    return v->vd <= vs || v->vd >= vs + v->regs;
}

enum comparison { C_NONE, C_EQ, C_GT, C_LT, C_LEU, C_GEU };

struct compared {
    uint8_t how;
    bool inverted;
};

static struct compared comparison_of(unsigned op)
{
    switch (op) {
    case OP_vmseq_vv:
    case OP_vmseq_vx:
    case OP_vmseq_vi: return (struct compared){C_EQ, false};
    case OP_vmsne_vv:
    case OP_vmsne_vx:
    case OP_vmsne_vi: return (struct compared){C_EQ, true};
    case OP_vmsltu_vv:
    case OP_vmsltu_vx: return (struct compared){C_GEU, true};
    case OP_vmslt_vv:
    case OP_vmslt_vx: return (struct compared){C_LT, false};
    case OP_vmsleu_vv:
    case OP_vmsleu_vx:
    case OP_vmsleu_vi: return (struct compared){C_LEU, false};
    case OP_vmsle_vv:
    case OP_vmsle_vx:
    case OP_vmsle_vi: return (struct compared){C_GT, true};
    case OP_vmsgtu_vx:
    case OP_vmsgtu_vi: return (struct compared){C_LEU, true};
    case OP_vmsgt_vx:
    case OP_vmsgt_vi: return (struct compared){C_GT, false};
    default: return (struct compared){C_NONE, false};
    }
}

static bool lower_compare(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    const struct compared compared = comparison_of(v->op);
    const bool unsigned_ = compared.how == C_LEU || compared.how == C_GEU;

    if ((unsigned_ && v->sew == 3) || v->vs2 % v->regs != 0 || !gives_all(v) ||
        !mask_may_be(v, v->vs2) ||
        (source == FROM_V && (v->vs1 % v->regs != 0 || !mask_may_be(v, v->vs1))))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const bool y = vec_is_whole(v, at);
        if (compared.how == C_LT) { /* the second is greater */
            if (source == FROM_V)
                vec_load_piece(v, 1, v->vs1, at);
            x_v_mem(c, y, vec_packed[P_GT][v->sew], 0, 1, vec_group_at(v, v->vs2, at));
        } else if (unsigned_) {
            vec_load_piece(v, 2, v->vs2, at);
            vec_with_source(v, source, vec_packed[compared.how == C_LEU ? P_MINU : P_MAXU][v->sew],
                            0, 2, at);
            x_v(c, y, vec_packed_equal[v->sew], 0, 0, 2);
        } else {
            vec_load_piece(v, 0, v->vs2, at);
            vec_with_source(v, source,
                            compared.how == C_EQ ? vec_packed_equal[v->sew]
                                                 : vec_packed[P_GT][v->sew],
                            0, 0, at);
        }
        store_bits(v, at, compared.inverted);
    }
    vec_end_pieces(v);
    return true;
}

/* vfirst.m, vcpop.m */
static bool lower_count(struct vector *v)
{
    struct lowering *l = v->l;
    struct x86_code *c = &l->c;
    const bool first = v->op == OP_vfirst_m;
    const unsigned words = (v->elements + 63) / 64, left = v->elements % 64;
    x86_hole found[8];

    if (!x86_features.bmi1 || words > 8)
        return false;
    vec_guard(v, true, WHOLE);
    if (!first)
        x_const(c, RDX, 0);
    for (unsigned i = 0; i < words; i++) {
        const struct x86_mem m = vec_group_at(v, v->vs2, 8 * i);
        if (left == 0) {
            x_load(c, RAX, m);
        } else {
            x_load(c, RAX, m);
            x_shift(c, true, SHIFT_SHL, RAX, 64 - left);
            x_shift(c, true, SHIFT_SHR, RAX, 64 - left);
        }
        if (!first) {
            x_reg(c, true, X86_PREFIX(0xf3, 0x0fb8), RAX, RAX); /* popcnt */
            x_alu(c, true, ALU_ADD, RDX, RAX);
            continue;
        }
        x_reg(c, true, X86_PREFIX(0xf3, 0x0fbc), RAX, RAX); /* tzcnt; CF: it is 0 */
        if (i > 0)
            x_lea(c, RAX, mem_at(RAX, (int32_t)(64 * i)));
        found[i] = x_jcc(c, CC_AE);
    }
    if (first) {
        x_const(c, RAX, -1);
        for (unsigned i = 0; i < words; i++)
            x_here(c, found[i]);
    }
    x86_put(l, v->ir->dst, first ? RAX : RDX);
    return true;
}

/* vmfeq and its kin: vcmpps predicates. */
static bool lower_float_compare(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const enum source source = vec_source_of(v);
    unsigned predicate;

    switch (v->raw >> 26) {
    case 0x18: predicate = 0; break;    /* vmfeq: EQ_OQ */
    case 0x19: predicate = 2; break;    /* vmfle: LE_OS */
    case 0x1b: predicate = 1; break;    /* vmflt: LT_OS */
    case 0x1c: predicate = 4; break;    /* vmfne: NEQ_UQ */
    case 0x1d: predicate = 0x0e; break; /* vmfgt: GT_OS */
    case 0x1f: predicate = 0x0d; break; /* vmfge: GE_OS */
    default: return false;
    }
    if (v->sew < 2 || vec_is_fraction(v) || v->vs2 % v->regs != 0 || !gives_all(v) ||
        !mask_may_be(v, v->vs2) ||
        (source == FROM_V && (v->vs1 % v->regs != 0 || !mask_may_be(v, v->vs1))))
        return false;
    vec_guard(v, true, WHOLE);
    vec_spread_scalar(v, source);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        vec_load_piece(v, 0, v->vs2, at);
        vec_with_source(v, source, X86_V(1, v->sew == 3, 0xc2), 0, 0, at);
        put8(c, predicate);
        store_bits(v, at, false);
    }
    vec_end_pieces(v);
    return true;
}

/* vmand.mm and its kin: words of masks of which all bits count. */
static bool lower_mask_logic(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const unsigned kind = v->raw >> 26 & 7; /* andn, and, or, xor, orn, nand, nor, xnor */
    static const uint8_t alu[8] = {ALU_AND, ALU_AND, ALU_OR, ALU_XOR,
                                   ALU_OR,  ALU_AND, ALU_OR, ALU_XOR};
    const bool second_not = kind == 0 || kind == 4, result_not = kind > 4;
    if (v->elements % 64 != 0 || (v->elements != v->vlenb * 8 && jit_options()->audit))
        return false;
    vec_guard(v, true, WHOLE);
    for (unsigned at = 0; at < v->elements / 8; at += 8) {
        x_load(c, RAX, vec_group_at(v, v->vs1, at));
        if (second_not)
            x_group3(c, true, G3_NOT, RAX);
        x_alu_mem(c, true, alu[kind], RAX, vec_group_at(v, v->vs2, at));
        if (result_not)
            x_group3(c, true, G3_NOT, RAX);
        x_store(c, vec_group_at(v, v->vd, at), RAX);
    }
    return true;
}

/* ---- which ---- */

bool vec_lower_mask(struct vector *v)
{
    if (comparison_of(v->op).how != C_NONE)
        return lower_compare(v);
    switch (v->op) {
    case OP_vmfeq_vv:
    case OP_vmfeq_vf:
    case OP_vmfle_vv:
    case OP_vmfle_vf:
    case OP_vmflt_vv:
    case OP_vmflt_vf:
    case OP_vmfne_vv:
    case OP_vmfne_vf:
    case OP_vmfgt_vf:
    case OP_vmfge_vf: return lower_float_compare(v);
    case OP_vmandn_mm:
    case OP_vmand_mm:
    case OP_vmor_mm:
    case OP_vmxor_mm:
    case OP_vmorn_mm:
    case OP_vmnand_mm:
    case OP_vmnor_mm:
    case OP_vmxnor_mm: return lower_mask_logic(v);
    case OP_vfirst_m:
    case OP_vcpop_m: return lower_count(v);
    default: return false;
    }
}
