/*
 * Vector instructions. What is done by AVX2 here is that of whole groups: LMUL of 1 or more, no
 * mask, vl all that there is room for. That is looked at before, and where it is not so the
 * instruction is C's. Vector registers are in the hart; a piece of them is 32 bytes, or 16 where
 * there are no more. ymm0 to ymm2 are scratch.
 */
#include "engine/jit/x86/vector.h"

const uint32_t vec_packed_equal[4] = {X86_V(1, 1, 0x74), X86_V(1, 1, 0x75), X86_V(1, 1, 0x76),
                                      X86_V(2, 1, 0x29)};
const uint32_t vec_packed[P_COUNT][4] = {
#define F(opcode)   X86_V(1, 1, opcode)
#define F38(opcode) X86_V(2, 1, opcode)
    [P_ADD] = {F(0xfc), F(0xfd), F(0xfe), F(0xd4)},
    [P_SUB] = {F(0xf8), F(0xf9), F(0xfa), F(0xfb)},
    [P_AND] = {VPAND, VPAND, VPAND, VPAND},
    [P_OR] = {F(0xeb), F(0xeb), F(0xeb), F(0xeb)},
    [P_XOR] = {VPXOR, VPXOR, VPXOR, VPXOR},
    [P_MINU] = {F(0xda), F38(0x3a), F38(0x3b)},
    [P_MIN] = {F38(0x38), F(0xea), F38(0x39)},
    [P_MAXU] = {F(0xde), F38(0x3e), F38(0x3f)},
    [P_MAX] = {F38(0x3c), F(0xee), F38(0x3d)},
    [P_MUL] = {0, F(0xd5), F38(0x40)},
    [P_MULHU] = {0, F(0xe4)},
    [P_MULH] = {0, F(0xe5)},
    [P_GT] = {F(0x64), F(0x65), F(0x66), F38(0x37)},
    [P_SLL] = {0, F(0xf1), F(0xf2), F(0xf3)},
    [P_SRL] = {0, F(0xd1), F(0xd2), F(0xd3)},
    [P_SRA] = {0, F(0xe1), F(0xe2)},
    [P_SLLV] = {0, 0, F38(0x47), X86_V_W(2, 1, 0x47)},
    [P_SRLV] = {0, 0, F38(0x45), X86_V_W(2, 1, 0x45)},
    [P_SRAV] = {0, 0, F38(0x46)},
#undef F
#undef F38
};

struct x86_mem vec_group_at(const struct vector *v, unsigned reg, unsigned at)
{
    return mem_at(R_VCPU, VCPU(v) + (int32_t)(reg * v->vlenb + at));
}

bool vec_is_whole(const struct vector *v, unsigned at)
{
    return !v->halves && v->bytes - at >= PIECE;
}

bool vec_is_fraction(const struct vector *v)
{
    return v->bytes < 16;
}

void vec_resize(struct vector *v, unsigned bytes)
{
    v->bytes = bytes;
    v->regs = bytes > v->vlenb ? bytes / v->vlenb : 1;
}

void vec_load_piece(const struct vector *v, unsigned to, unsigned reg, unsigned at)
{
    x_v_mem(&v->l->c, vec_is_whole(v, at), VMOVDQU_LOAD, to, 0, vec_group_at(v, reg, at));
}

/* A constant of the stubs. */
void vec_load_constant(const struct vector *v, bool y, uint32_t op, unsigned to, unsigned a,
                       const uint8_t *constant)
{
    struct x86_code *c = &v->l->c;
    x_lea_code(c, RDX, x86_stub(v->l, constant));
    x_v_mem(c, y, op, to, a, mem_at(RDX, 0));
}

/* ymm2: ones in the elements of a piece whose bits of v0 are 0. Clobbers rax, rdx. */
void vec_find_inactive(const struct vector *v, unsigned at)
{
    struct x86_code *c = &v->l->c;
    const bool y = vec_is_whole(v, at);
    const unsigned first = at >> v->sew;
    const struct x86_mem bits = vec_group_at(v, 0, first / 8);
    const bool few = v->elements <= 8; /* a byte, as it was stored */
    if (few) {
        x_mem(c, false, 0x0fb6, RAX, bits); /* movzx */
        x_v(c, false, VMOVD_TO, 2, 0, RAX);
    }
    switch (v->sew) {
    case 0:
        if (few)
            x_v(c, y, X86_V(2, 1, 0x58), 2, 0, 2); /* vpbroadcastd */
        else
            x_v_mem(c, y, X86_V(2, 1, 0x58), 2, 0, bits);
        vec_load_constant(v, y, X86_V(2, 1, 0x00), 2, 2, x86_stubs.mask_bytes); /* vpshufb */
        break;
    case 1: /* vpbroadcastw */
        if (few)
            x_v(c, y, X86_V(2, 1, 0x79), 2, 0, 2);
        else
            x_v_mem(c, y, X86_V(2, 1, 0x79), 2, 0, bits);
        break;
    default:
        x_mem(c, false, 0x0fb6, RAX, bits); /* movzx */
        if (first % 8 != 0)
            x_shift(c, false, SHIFT_SHR, RAX, first % 8);
        x_v(c, false, VMOVD_TO, 2, 0, RAX);
        x_v(c, y, v->sew == 2 ? X86_V(2, 1, 0x58) : X86_V(2, 1, 0x59), 2, 0, 2);
        break;
    }
    vec_load_constant(v, y, X86_V(1, 1, 0xdf), 2, 2, x86_stubs.mask_bits[v->sew]); /* vpandn */
    x_v_mem(c, y, vec_packed_equal[v->sew], 2, 2, mem_at(RDX, 0));
}

/* Where a bit of ymm2's elements is 0, what is in the register stays. */
static void blend(const struct vector *v, unsigned reg, unsigned at, unsigned ymm)
{
    x_v_mem(&v->l->c, vec_is_whole(v, at), VPBLENDVB, ymm, ymm, vec_group_at(v, reg, at));
    put8(&v->l->c, 2 << 4);
}

/* Of a result, which is not in ymm2. Of a part, what is behind its elements stays. */
void vec_store_piece(struct vector *v, unsigned reg, unsigned at, unsigned from)
{
    struct x86_code *c = &v->l->c;
    if (v->part) {
        const int32_t size = vec_is_whole(v, at) ? PIECE : 16;
        x_lea(c, RAX, mem_at(RCX, -(int32_t)at));
        x_const(c, RDX, size);
        x_alu(c, true, ALU_CMP, RAX, RDX);
        x_cmov(c, CC_A, RAX, RDX);
        x_group3(c, true, G3_NEG, RAX);
        x_lea_code(c, RDX, x86_stub(v->l, x86_stubs.zeros_ones));
        x_v_mem(c, vec_is_whole(v, at), VMOVDQU_LOAD, 2, 0, mem_indexed(RDX, RAX, 0, PIECE));
        blend(v, reg, at, from);
    } else if (v->masked) {
        vec_find_inactive(v, at);
        blend(v, reg, at, from);
    }
    if (vec_is_fraction(v) && !v->part) {
        x_lea_code(c, RDX, x86_stub(v->l, x86_stubs.zeros_ones));
        x_v_mem(c, false, VMOVDQU_LOAD, 2, 0, mem_at(RDX, (int32_t)(PIECE - v->bytes)));
        blend(v, reg, at, from);
    }
    x_v_mem(&v->l->c, vec_is_whole(v, at), VMOVDQU_STORE, from, 0, vec_group_at(v, reg, at));
}

/* No piece follows from here, if the part ends here. */
void vec_begin_piece(struct vector *v, unsigned at)
{
    if (!v->part || at == 0)
        return;
    x_alu_const(&v->l->c, false, ALU_CMP, RCX, (int32_t)at);
    v->done[v->done_count++] = x_jcc(&v->l->c, CC_BE);
}

void vec_end_pieces(struct vector *v)
{
    for (unsigned i = 0; i < v->done_count; i++)
        x_here(&v->l->c, v->done[i]);
    v->l->upper = v->l->upper || v->bytes >= PIECE;
}

void vec_clear_upper(struct x86_code *c)
{
    put8(c, 0xc5); /* vzeroupper */
    put8(c, 0xf8);
    put8(c, 0x77);
}

void x86_before_vector(struct lowering *l, const struct ir *ir)
{
    if (!l->upper || ir->op == IR_VECTOR || ir->op == IR_VECTOR_LENGTH || ir->op < IR_LOAD)
        return;
    vec_clear_upper(&l->c);
    l->upper = false;
}

/* ---- rare paths ---- */

void vec_to_c(struct vector *v, x86_hole from, unsigned element)
{
    struct lowering *l = v->l;
    x86_later(l, LATE_VECTOR, from, v->ir);
    if (l->late_count > 0)
        l->late[l->late_count - 1].element = (uint16_t)element;
}

static void call_c(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const unsigned op = ir->imm >> 32 & 0xffff;
    if (x86_features.avx2)
        vec_clear_upper(c);
    x86_spill(l);
    x_const(c, RAX, (uint32_t)x86_where_of(l, l->block->pc + ir->at, ir->done));
    x_const(c, RCX, op);
    x_const(c, RDX, (uint32_t)ir->imm);
    x_call_to(c, x86_stub(l, x86_stubs.vector));
    x86_fill(l);
}

void x86_late_vector(struct lowering *l, const struct late *late)
{
    if (late->element != 0)
        x_store_const(&l->c, mem_at(R_VCPU, VCPU(vstart)), late->element);
    call_c(l, late->ir);
    x_jmp_to(&l->c, late->back);
}

void vec_guard(struct vector *v, bool vtype, enum whole vl)
{
    struct x86_code *c = &v->l->c;
    if (v->part)
        return;
    if (vtype && (v->ir->imm & (int64_t)JIT_VECTOR_ASSUMED) != 0) {
        x_alu_mem_const(c, true, ALU_CMP, mem_at(R_VCPU, VCPU(vtype)),
                        (int32_t)(v->ir->imm >> 48 & 0x7ff));
        vec_to_c(v, x_jcc(c, CC_NE), 0);
    }
    if (vl != ANY_LENGTH) {
        x_alu_mem_const(c, true, ALU_CMP, mem_at(R_VCPU, VCPU(vl)), (int32_t)v->elements);
        if (vl == WHOLE || v->masked || jit_options()->audit)
            vec_to_c(v, x_jcc(c, CC_NE), 0);
        else
            x86_later(v->l, LATE_VECTOR_PART, x_jcc(c, CC_NE), v->ir);
    }
}

void x86_lower_vector_on(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const struct x86_mem status = mem_at(R_VCPU, VCPU(mstatus));
    x_mem(c, false, 0xf7, 0, status); /* test */
    put32(c, 3u << 9);
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    x_alu_mem_const(c, true, ALU_CMP, mem_at(R_VCPU, VCPU(vstart)), 0);
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_NE), ir);
    x_alu_mem_const(c, false, ALU_OR, status, 3 << 9);
}

/* ---- vset* ---- */

static bool lower_vset(struct vector *v)
{
    struct lowering *l = v->l;
    struct x86_code *c = &l->c;
    const uint64_t vtype = v->op == OP_vsetivli ? v->raw >> 20 & 0x3ff : v->raw >> 20 & 0x7ff;
    const unsigned rd = v->raw >> 7 & 31, rs1 = v->raw >> 15 & 31;

    if (v->op == OP_vsetvl || !riscv_vtype_is_supported(vtype))
        return false;
    const uint64_t vlmax = riscv_vlmax(vtype, v->vlenb * 8);
    if (v->op == OP_vsetivli || (rs1 == 0 && rd != 0)) {
        const bool all = v->op == OP_vsetvli || rs1 > vlmax;
        x_const(c, RAX, all ? (int64_t)vlmax : rs1);
    } else {
        if (rs1 == 0)
            x_load(c, RAX, mem_at(R_VCPU, VCPU(vl)));
        else
            x86_get(l, RAX, v->ir->a);
        x_const(c, RDX, (int64_t)vlmax);
        x_alu(c, true, ALU_CMP, RAX, RDX);
        x_cmov(c, CC_A, RAX, RDX);
    }
    x_store(c, mem_at(R_VCPU, VCPU(vl)), RAX);
    x_store_const(c, mem_at(R_VCPU, VCPU(vtype)), (int32_t)vtype);
    x86_put(l, v->ir->dst, RAX);
    return true;
}

/* ---- operands ---- */

enum source vec_source_of(const struct vector *v)
{
    switch (v->raw >> 12 & 7) {
    case 3: return FROM_I;
    case 4:
    case 6: return FROM_X;
    case 5: return FROM_F;
    default: return FROM_V;
    }
}

static const uint32_t broadcasts[4] = {X86_V(2, 1, 0x78), X86_V(2, 1, 0x79), X86_V(2, 1, 0x58),
                                       X86_V(2, 1, 0x59)};

void vec_ones(const struct vector *v, unsigned ymm)
{
    x_v(&v->l->c, v->bytes >= PIECE, vec_packed_equal[0], ymm, ymm, ymm);
}

void vec_shift_by(const struct vector *v, bool y, unsigned sew, bool left, unsigned ymm, unsigned a,
                  unsigned count)
{
    /* The operation is in the place of a register, and what it gives in that of an operand. */
    x_v(&v->l->c, y, X86_V(1, 1, 0x70 + sew), left ? 6 : 2, ymm, a);
    put8(&v->l->c, count);
}

/* All elements of `ymm` are what rax has. */
void vec_broadcast(const struct vector *v, unsigned ymm)
{
    struct x86_code *c = &v->l->c;
    x_v(c, false, v->sew == 3 ? VMOVQ_TO : VMOVD_TO, ymm, 0, RAX);
    x_v(c, v->bytes >= PIECE, broadcasts[v->sew], ymm, 0, ymm);
}

/* rax: the scalar operand. */
void vec_get_scalar(struct vector *v, enum source source)
{
    struct lowering *l = v->l;
    struct x86_code *c = &l->c;
    if (source == FROM_I) {
        x_const(c, RAX, v->vs1 < 16 ? (int64_t)v->vs1 : (int64_t)v->vs1 - 32);
        return;
    }
    x86_get(l, RAX, v->ir->a);
    if (source == FROM_F && v->sew == 2) { /* what is not boxed is a NaN */
        x_mov(c, RDX, RAX);
        x_shift(c, true, SHIFT_SAR, RDX, 32);
        x_alu_const(c, false, ALU_CMP, RDX, -1);
        vec_to_c(v, x_jcc(c, CC_NE), 0);
    }
}

/* ymm1: the scalar operand in all elements. */
void vec_spread_scalar(struct vector *v, enum source source)
{
    if (source == FROM_V)
        return;
    vec_get_scalar(v, source);
    vec_broadcast(v, 1);
}

/* Groups of the same width that begin where they may. */
bool vec_are_aligned(const struct vector *v, enum source source)
{
    /* With a mask, v0 is not elements too (V, 5.2, 5.3). */
    if (v->masked && (v->vd == 0 || v->vs2 == 0 || (source == FROM_V && v->vs1 == 0)))
        return false;
    return v->vd % v->regs == 0 && v->vs2 % v->regs == 0 &&
           (source != FROM_V || v->vs1 % v->regs == 0);
}

/* ymm = a op the second operand */
void vec_with_source(const struct vector *v, enum source source, uint32_t op, unsigned ymm,
                     unsigned a, unsigned at)
{
    struct x86_code *c = &v->l->c;
    if (source == FROM_V)
        x_v_mem(c, vec_is_whole(v, at), op, ymm, a, vec_group_at(v, v->vs1, at));
    else
        x_v(c, vec_is_whole(v, at), op, ymm, a, 1);
}

bool vec_is_apart(const struct vector *v, unsigned vs, unsigned regs)
{
    return vs + regs <= v->vd || vs >= v->vd + v->regs;
}

/* ---- single elements ---- */

void vec_load_low(struct x86_code *c, unsigned sew, unsigned to, struct x86_mem m)
{
    static const uint32_t load[4] = {0x0fb6, 0x0fb7, 0x8b, 0x8b};
    x_mem(c, sew == 3, load[sew], to, m);
}

void vec_store_low(struct x86_code *c, unsigned sew, struct x86_mem m, unsigned from)
{
    if (sew == 0) {
        x_mem8(c, 0x88, from, m);
        return;
    }
    if (sew == 1)
        put8(c, 0x66);
    x_mem(c, sew == 3, 0x89, from, m);
}

bool vec_tail_may_stay(const struct vector *v)
{
    return v->bytes >= v->vlenb || !jit_options()->audit;
}

/* ---- which ---- */

static bool lower_whole(struct vector *v)
{
    if (v->masked)
        return vec_lower_integer(v);
    return vec_lower_integer(v) || vec_lower_mask(v) || vec_lower_float(v) || vec_lower_move(v) ||
           vec_lower_crypto(v);
}

/*
 * Blocks have a largest size (EMIT_ROOM): when vectors have had their share of it, they are C's.
 * A piece has about 30 bytes, and 90 more in the rare path of a part.
 */
#define VECTORS_MOST (16u << 10)
#define PIECE_CODE   120u

bool vec_has_share(struct vector *v, unsigned code)
{
    if (v->part)
        return true;
    if (v->l->vectors + code > VECTORS_MOST)
        return false;
    v->l->vectors += code;
    return true;
}

/* False: nothing was emitted. */
static bool lower_here(struct vector *v)
{
    const struct ir_block *block = v->l->block;
    const uint64_t vtype = v->ir->imm >> 48 & 0x7ff;
    const bool memory = (insn_table[v->op].flags & INSN_MEM) != 0;

    if (!x86_features.avx2 || block->isa == NULL)
        return false;
    v->vlenb = block->isa->vlen / 8u;
    if (v->op == OP_vsetvli || v->op == OP_vsetivli || v->op == OP_vsetvl)
        return lower_vset(v);
    if (!riscv_vtype_is_supported(vtype))
        return false;
    v->sew = vtype >> VTYPE_SEW_SHIFT & 7;
    v->elements = (unsigned)riscv_vlmax(vtype, block->isa->vlen);
    vec_resize(v, v->elements << v->sew);
    v->masked = (v->raw >> 25 & 1) == 0;
    if (!vec_has_share(v, v->bytes / PIECE * PIECE_CODE + PIECE_CODE))
        return false;
    if (v->masked && jit_options()->audit)
        return false;
    if (memory)
        return vec_lower_memory(v);
    if (v->masked)
        return lower_whole(v);
    if (!vec_tail_may_stay(v))
        return false;
    if (v->op == OP_vmv_x_s || v->op == OP_vfmv_f_s || v->op == OP_vmv_s_x || v->op == OP_vfmv_s_f)
        return vec_lower_move(v); /* whatever LMUL is */
    if (v->op == OP_vfirst_m || v->op == OP_vcpop_m)
        return vec_lower_mask(v);
    return lower_whole(v);
}

static struct vector begin(struct lowering *l, const struct ir *ir)
{
    const uint32_t raw = (uint32_t)ir->imm;
    return (struct vector){
        .l = l,
        .ir = ir,
        .raw = raw,
        .op = ir->imm >> 32 & 0xffff,
        .vd = raw >> 7 & 31,
        .vs1 = raw >> 15 & 31,
        .vs2 = raw >> 20 & 31,
        .first_late = l->late_count,
    };
}

void x86_late_vector_part(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    const bool upper = l->upper;
    struct vector v = begin(l, late->ir);
    v.part = true;
    x_load(c, RCX, mem_at(R_VCPU, VCPU(vl)));
    x_test(c, true, RCX, RCX);
    x_jcc_to(c, CC_E, late->back);
    const unsigned sew = late->ir->imm >> (48 + VTYPE_SEW_SHIFT) & 7;
    if (sew != 0)
        x_shift(c, true, SHIFT_SHL, RCX, sew);
    lower_here(&v);
    vec_clear_upper(c);
    for (unsigned i = v.first_late; i < l->late_count; i++)
        l->late[i].back = late->back;
    x_jmp_to(c, late->back);
    l->upper = upper;
}

void x86_lower_vector(struct lowering *l, const struct ir *ir)
{
    struct vector v = begin(l, ir);
    if (!lower_here(&v)) {
        call_c(l, ir);
        l->upper = false;
    }
    for (unsigned i = v.first_late; i < l->late_count; i++)
        l->late[i].back = l->c.at;
    x86_joins(l);
}
