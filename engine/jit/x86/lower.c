/*
 * The intermediate form to x86-64. Each operation is turned into code by itself; what ties them
 * together is that guest registers have fixed places (regs.h). Paths that are rarely taken are
 * emitted behind the block.
 */
#include "engine/jit/x86/lower.h"

#include <stdatomic.h>

/* ---- where registers are ---- */

static unsigned host_of(const struct lowering *l, ir_reg reg)
{
    return reg < 32 ? l->place.host[reg] : reg == IR_RDX ? RDX : NO_REG;
}

unsigned x86_xmm(const struct lowering *l, ir_reg reg)
{
    return reg >= 32 && reg < IR_T(0) ? l->place.xmm[reg - 32] : NO_REG;
}

struct x86_mem x86_home(ir_reg reg)
{
    if (reg < 32)
        return mem_at(R_VCPU, VCPU_X(reg));
    if (reg < IR_T(0))
        return mem_at(R_VCPU, VCPU_F(reg - 32));
    return x86_frame(FRAME_TEMPS + 8 * (int32_t)(reg - IR_T(0)));
}

/* The host register that the value was stored from by what was emitted last, or NO_REG. */
static unsigned fresh_in(const struct lowering *l, ir_reg reg)
{
    const bool fresh = l->fresh == reg && l->fresh_at == l->c.at && l->c.joined != l->c.at;
    return fresh ? l->fresh_host : NO_REG;
}

/* The value of `reg` in host register `to`. */
void x86_get(struct lowering *l, unsigned to, ir_reg reg)
{
    if (reg == IR_X(0))
        x_const(&l->c, to, 0);
    else if (host_of(l, reg) != NO_REG)
        x_mov(&l->c, to, host_of(l, reg));
    else if (x86_xmm(l, reg) != NO_REG) /* movq */
        x_reg(&l->c, true, X86_PREFIX(0x66, 0x0f7e), x86_xmm(l, reg), to);
    else if (fresh_in(l, reg) != NO_REG)
        x_mov(&l->c, to, l->fresh_host);
    else
        x_load(&l->c, to, x86_home(reg));
}

/* The value of `reg` in some host register: its own, or `spare`. */
unsigned x86_use(struct lowering *l, ir_reg reg, unsigned spare)
{
    if (reg != IR_X(0) && host_of(l, reg) != NO_REG)
        return host_of(l, reg);
    x86_get(l, spare, reg);
    return spare;
}

/* Where a result for `reg` is best computed: in its own host register, or `spare`. */
unsigned x86_target(const struct lowering *l, ir_reg reg, unsigned spare)
{
    return reg != IR_X(0) && host_of(l, reg) != NO_REG ? host_of(l, reg) : spare;
}

void x86_put(struct lowering *l, ir_reg reg, unsigned from)
{
    if (reg == IR_X(0))
        return;
    if (host_of(l, reg) != NO_REG)
        x_mov(&l->c, host_of(l, reg), from);
    else if (x86_xmm(l, reg) != NO_REG) /* movq */
        x_reg(&l->c, true, X86_PREFIX(0x66, 0x0f6e), x86_xmm(l, reg), from);
    else {
        x_store(&l->c, x86_home(reg), from);
        l->fresh = reg;
        l->fresh_host = (uint8_t)from;
        l->fresh_at = l->c.at;
    }
}

/* ---- rare paths ---- */

void x86_later(struct lowering *l, enum late_kind kind, x86_hole from, const struct ir *ir)
{
    if (l->late_count == LATE_MAX) {
        l->c.full = true;
        return;
    }
    l->late[l->late_count++] = (struct late){
        .kind = kind, .from = from, .back = l->c.at, .ir = ir, .counted = (uint16_t)l->counted};
}

static void call_subroutine(struct lowering *l, bool fill)
{
    if (!l->place.moved)
        return;
    if (l->call_count == LATE_MAX) {
        l->c.full = true;
        return;
    }
    put8(&l->c, 0xe8); /* call rel32, known when the subroutine is there */
    put32(&l->c, 0);
    l->calls[l->call_count].from = l->c.at - 4;
    l->calls[l->call_count++].fill = fill;
}

void x86_spill(struct lowering *l)
{
    call_subroutine(l, false);
}

void x86_fill(struct lowering *l)
{
    call_subroutine(l, true);
}

const uint8_t *x86_stub(const struct lowering *l, const uint8_t *run)
{
    return run + l->to_write;
}

void x86_compute(struct lowering *l, const struct ir *ir)
{
    x_const(&l->c, RCX, ir->op);
    x86_spill(l);
    x_call_to(&l->c, x86_stub(l, x86_stubs.compute));
    x86_fill(l);
}

/* ---- integer operations ---- */

static const struct {
    uint8_t alu;
    bool commutes;
} alu_ops[IR_OPS] = {
    [IR_ADD] = {ALU_ADD, true},   [IR_SUB] = {ALU_SUB, false}, [IR_AND] = {ALU_AND, true},
    [IR_OR] = {ALU_OR, true},     [IR_XOR] = {ALU_XOR, true},  [IR_ADDW] = {ALU_ADD, true},
    [IR_SUBW] = {ALU_SUB, false},
};

/* to op= second operand; `to` holds the first. Uses rcx for what has no short form. */
static void alu_second(struct lowering *l, const struct ir *ir, bool wide, enum x86_alu op,
                       unsigned to)
{
    struct x86_code *c = &l->c;
    if (x86_is_imm(ir) && fits32(ir->imm)) {
        x_alu_const(c, wide, op, to, (int32_t)ir->imm);
    } else if (x86_is_imm(ir)) {
        x_const(c, RCX, ir->imm);
        x_alu(c, wide, op, to, RCX);
    } else if (ir->b == IR_X(0)) {
        x_alu_const(c, wide, op, to, 0);
    } else if (host_of(l, ir->b) != NO_REG) {
        x_alu(c, wide, op, to, host_of(l, ir->b));
    } else if (fresh_in(l, ir->b) != NO_REG) {
        x_alu(c, wide, op, to, l->fresh_host);
    } else {
        x_alu_mem(c, wide, op, to, x86_home(ir->b));
    }
}

static void lower_alu(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    enum x86_alu op = alu_ops[ir->op].alu;
    bool word = ir->op == IR_ADDW || ir->op == IR_SUBW;
    struct ir swapped = *ir;

    /* dst = a + dst: compute in place. */
    if (!x86_is_imm(ir) && ir->b == ir->dst && ir->a != ir->dst && alu_ops[ir->op].commutes) {
        swapped.a = ir->b;
        swapped.b = ir->a;
        ir = &swapped;
    }
    unsigned to = x86_target(l, ir->dst, RAX);
    if (!x86_is_imm(ir) && ir->b == ir->dst && ir->a != ir->dst)
        to = RAX; /* else the first operand would overwrite the second */
    unsigned a = ir->a != IR_X(0) ? host_of(l, ir->a) : NO_REG;
    if (!word && op == ALU_ADD && a != NO_REG && a != to && x86_is_imm(ir) && fits32(ir->imm)) {
        x_lea(c, to, mem_at(a, (int32_t)ir->imm));
    } else if (!word && op == ALU_ADD && a != NO_REG && a != to && !x86_is_imm(ir) &&
               ir->b != IR_X(0) && host_of(l, ir->b) != NO_REG) {
        x_lea(c, to, mem_indexed(a, host_of(l, ir->b), 0, 0));
    } else {
        x86_get(l, to, ir->a);
        alu_second(l, ir, !word, op, to);
        if (word)
            x_movsxd(c, to, to);
    }
    x86_put(l, ir->dst, to);
}

static void lower_not(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    /* a & ~b, a | ~b, ~(a ^ b) */
    if (x86_is_imm(ir))
        x_const(c, RAX, ir->imm);
    else
        x86_get(l, RAX, ir->b);
    x_group3(c, true, G3_NOT, RAX);
    unsigned a = x86_use(l, ir->a, RDX);
    x_alu(c, true, ir->op == IR_ANDN ? ALU_AND : ir->op == IR_ORN ? ALU_OR : ALU_XOR, RAX, a);
    x86_put(l, ir->dst, RAX);
}

static void lower_shift(struct lowering *l, const struct ir *ir)
{
    static const struct {
        uint8_t shift;
        bool word;
    } ops[IR_OPS] = {
        [IR_SLL] = {SHIFT_SHL, false}, [IR_SRL] = {SHIFT_SHR, false}, [IR_SRA] = {SHIFT_SAR, false},
        [IR_ROL] = {SHIFT_ROL, false}, [IR_ROR] = {SHIFT_ROR, false}, [IR_SLLW] = {SHIFT_SHL, true},
        [IR_SRLW] = {SHIFT_SHR, true}, [IR_SRAW] = {SHIFT_SAR, true}, [IR_ROLW] = {SHIFT_ROL, true},
        [IR_RORW] = {SHIFT_ROR, true},
    };
    struct x86_code *c = &l->c;
    enum x86_shift shift = ops[ir->op].shift;
    bool word = ops[ir->op].word;
    unsigned to = x86_target(l, ir->dst, RAX);

    if (x86_is_imm(ir)) {
        x86_get(l, to, ir->a);
        unsigned count = (unsigned)ir->imm & (word ? 31 : 63);
        if (count != 0)
            x_shift(c, !word, shift, to, count);
    } else if (x86_features.bmi2 && shift >= SHIFT_SHL) {
        unsigned count = x86_use(l, ir->b, RCX);
        unsigned a = x86_use(l, ir->a, RAX);
        x_shiftx(c, !word, shift, to, a, count);
    } else {
        if (ir->b == ir->dst)
            to = RAX;
        x86_get(l, RCX, ir->b);
        x86_get(l, to, ir->a);
        x_shift_cl(c, !word, shift, to);
    }
    /* A word that was shifted to the right by more than 0 is extended by that. */
    if (word && !(ir->op == IR_SRLW && x86_is_imm(ir) && (ir->imm & 31) != 0))
        x_movsxd(c, to, to);
    x86_put(l, ir->dst, to);
}

void x86_compare(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned a = x86_use(l, ir->a, RAX);
    if ((x86_is_imm(ir) && ir->imm == 0) || ir->b == IR_X(0))
        x_test(c, true, a, a);
    else
        alu_second(l, ir, true, ALU_CMP, a);
}

static void lower_set_less(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    enum x86_cc cc = ir->op == IR_SLT ? CC_L : CC_B;
    x86_compare(l, ir);
    x_setcc(c, cc, RAX);
    unsigned to = x86_target(l, ir->dst, RAX);
    x_extend8(c, to, RAX, false);
    x86_put(l, ir->dst, to);
}

static void lower_min_max(struct lowering *l, const struct ir *ir)
{
    static const uint8_t ccs[IR_OPS] = {
        [IR_MIN] = CC_G, [IR_MINU] = CC_A, [IR_MAX] = CC_L, [IR_MAXU] = CC_B};
    x86_get(l, RAX, ir->a);
    unsigned b = x86_use(l, ir->b, RCX);
    x_alu(&l->c, true, ALU_CMP, RAX, b);
    x_cmov(&l->c, ccs[ir->op], RAX, b);
    x86_put(l, ir->dst, RAX);
}

static void lower_unary(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned to = x86_target(l, ir->dst, RAX), a;
    switch (ir->op) {
    case IR_CONST: x_const(c, to, ir->imm); break;
    case IR_ADDRESS: x86_get_address(l, to, (uint64_t)ir->imm); break;
    case IR_MOV:
        if (ir->a != IR_X(0) && host_of(l, ir->a) != NO_REG)
            to = host_of(l, ir->a);
        else
            x86_get(l, to, ir->a);
        break;
    case IR_SEXT_B:
        a = x86_use(l, ir->a, RAX);
        x_extend8(c, to, a, true);
        break;
    case IR_ZEXT_B:
        a = x86_use(l, ir->a, RAX);
        x_extend8(c, to, a, false);
        break;
    case IR_SEXT_H:
        a = x86_use(l, ir->a, RAX);
        x_extend16(c, to, a, true);
        break;
    case IR_ZEXT_H:
        a = x86_use(l, ir->a, RAX);
        x_extend16(c, to, a, false);
        break;
    case IR_SEXT_W:
        a = x86_use(l, ir->a, RAX);
        x_movsxd(c, to, a);
        break;
    case IR_ZEXT_W:
        a = x86_use(l, ir->a, RAX);
        x_mov32(c, to, a);
        break;
    case IR_REV8:
        x86_get(l, RAX, ir->a);
        x_bswap(c, RAX);
        to = RAX;
        break;
    case IR_ORC_B: /* all bytes but those that equal 0 */
        a = x86_use(l, ir->a, RAX);
        x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), 0, a);  /* movq xmm0 */
        x_reg(c, false, X86_PREFIX(0x66, 0x0fef), 1, 1); /* pxor */
        x_reg(c, false, X86_PREFIX(0x66, 0x0f74), 0, 1); /* pcmpeqb */
        x_reg(c, true, X86_PREFIX(0x66, 0x0f7e), 0, to);
        x_group3(c, true, G3_NOT, to);
        break;
    case IR_CPOP:
    case IR_CPOPW:
        a = x86_use(l, ir->a, RAX);
        x_reg(c, ir->op == IR_CPOP, X86_PREFIX(0xf3, 0x0fb8), to, a);
        break;
    case IR_CTZ:
    case IR_CLZ:
    case IR_CTZW:
    case IR_CLZW:
        if (x86_features.bmi1 && x86_features.lzcnt) {
            bool wide = ir->op == IR_CTZ || ir->op == IR_CLZ;
            bool trailing = ir->op == IR_CTZ || ir->op == IR_CTZW;
            a = x86_use(l, ir->a, RAX);
            x_reg(c, wide, X86_PREFIX(0xf3, trailing ? 0x0fbc : 0x0fbd), to, a);
            break;
        } /* fall through */
    default:
        x86_get(l, RAX, ir->a);
        x86_compute(l, ir);
        to = RAX;
        break;
    }
    x86_put(l, ir->dst, to);
}

/* rdx: the operand */
static void call_execute(struct lowering *l, const struct ir *ir, int64_t code)
{
    struct x86_code *c = &l->c;
    x_const(c, RAX, (uint32_t)x86_where_of(l, l->block->pc + ir->at, ir->done));
    x_const(c, RCX, code);
    x_call_to(c, x86_stub(l, x86_stubs.execute));
}

static void lower_execute(struct lowering *l, const struct ir *ir)
{
    const bool zero = (ir->imm >> 12 & 7) == JIT_ZERO;
    x86_hole done = zero ? x86_lower_zero(l, ir) : x86_lower_csr(l, ir);
    if (ir->a == IR_NONE)
        x_const(&l->c, RDX, ir->c);
    else
        x86_get(l, RDX, ir->a);
    call_execute(l, ir, ir->imm);
    x86_put(l, ir->dst, RAX); /* flags stay */
    if ((ir->imm & JIT_CSR_WRITES) != 0)
        x86_later(l, LATE_NEXT, x_jcc(&l->c, CC_NE), ir);
    if (done != NULL)
        x_here(&l->c, done);
}

/* The halfword is the first of the next page, which is looked for as jit_context_fetch does. */
static void lower_same(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x_load(c, RAX, x86_frame(FRAME_PAGE));
    x_alu_const(c, true, ALU_ADD, RAX, (int32_t)MEM_PAGE_SIZE);
    x86_find_fetch(c);
    x86_hole unknown = x_jcc(c, CC_NE);
    x_load(c, RAX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(fetch[0].hva)));
    x_mem(c, false, 0x0fb7, RAX, mem_at(RAX, 0)); /* movzx */
    x_alu_const(c, false, ALU_CMP, RAX, (int32_t)ir->imm);
    x86_hole same = x_jcc(c, CC_E);
    x_here(c, unknown);
    x_const(c, RDX, ir->imm);
    call_execute(l, ir, jit_code(0, JIT_SAME, false, false));
    x_here(c, same);
}

static void lower_fp_on(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    struct x86_mem status = mem_at(R_VCPU, VCPU(mstatus));
    /* test dword [mstatus], FS */
    x_mem(c, false, 0xf7, 0, status);
    put32(c, 3u << 13);
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    if (ir->sub == 1)
        x_alu_mem_const(c, false, ALU_OR, status, 3 << 13);
}

bool x86_lower_one(struct lowering *l, const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_ADDW:
    case IR_SUBW: lower_alu(l, ir); break;
    case IR_ANDN:
    case IR_ORN:
    case IR_XNOR: lower_not(l, ir); break;
    case IR_SLL:
    case IR_SRL:
    case IR_SRA:
    case IR_ROL:
    case IR_ROR:
    case IR_SLLW:
    case IR_SRLW:
    case IR_SRAW:
    case IR_ROLW:
    case IR_RORW: lower_shift(l, ir); break;
    case IR_SLT:
    case IR_SLTU: lower_set_less(l, ir); break;
    case IR_MIN:
    case IR_MINU:
    case IR_MAX:
    case IR_MAXU: lower_min_max(l, ir); break;
    case IR_CONST:
    case IR_ADDRESS:
    case IR_MOV:
    case IR_SEXT_B:
    case IR_SEXT_H:
    case IR_SEXT_W:
    case IR_ZEXT_B:
    case IR_ZEXT_H:
    case IR_ZEXT_W:
    case IR_CLZ:
    case IR_CTZ:
    case IR_CPOP:
    case IR_CLZW:
    case IR_CTZW:
    case IR_CPOPW:
    case IR_REV8:
    case IR_ORC_B: lower_unary(l, ir); break;
    case IR_LOAD: x86_lower_load(l, ir); break;
    case IR_STORE: x86_lower_store(l, ir); break;
    case IR_AMO:
    case IR_LR:
    case IR_SC: x86_lower_atomic(l, ir); break;
    case IR_FENCE:
        if (ir->sub == IR_FENCE_FULL)
            x_full_fence(&l->c);
        break;
    case IR_FP_ON: lower_fp_on(l, ir); break;
    case IR_LABEL: x86_lower_label(l, ir); break;
    case IR_BRANCH: x86_lower_branch(l, ir); break;
    case IR_CHECK: x86_check_kick(l, ir); break;
    case IR_JUMP: x86_lower_any_jump(l, ir); break;
    case IR_JUMP_REG: x86_lower_jump_reg(l, ir); break;
    case IR_VECTOR_ON: x86_lower_vector_on(l, ir); break;
    case IR_VECTOR: x86_lower_vector(l, ir); break;
    case IR_VECTOR_LENGTH:
        x_load(&l->c, RAX, mem_at(R_VCPU, VCPU(vl)));
        x86_put(l, ir->dst, RAX);
        break;
    case IR_EXECUTE: lower_execute(l, ir); break;
    case IR_SAME: lower_same(l, ir); break;
    case IR_SYSTEM:
        x_const(&l->c, RAX, (uint32_t)x86_where_of(l, l->block->pc + ir->at, ir->done));
        x_const(&l->c, RCX, ir->imm);
        x_jmp_to(&l->c, x86_stub(l, x86_stubs.system));
        break;
    case IR_STEP: x86_leave_at(l, (uint64_t)ir->imm, ir->done, JIT_STEP); break;
    default: return x86_lower_integer(l, ir) || x86_lower_float(l, ir);
    }
    return true;
}

static void lower_late(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    const struct ir *ir = late->ir;
    l->counted = late->counted;
    x_here(c, late->from);
    switch (late->kind) {
    case LATE_LOAD:
    case LATE_STORE:
    case LATE_ATOMIC: x86_late_memory(l, late); break;
    case LATE_BRANCH:
        if (x86_is_backward(l, ir, (uint64_t)ir->imm)) {
            x_alu_mem_const(c, false, ALU_CMP, mem_at(R_VCPU, VCPU(vcpu.kick)), 0);
            x86_later(l, LATE_BRANCH_KICK, x_jcc(c, CC_NE), ir);
        }
        x86_go_on_at(l, (uint64_t)ir->imm, ir->done);
        break;
    case LATE_BRANCH_KICK: x86_leave_at(l, (uint64_t)ir->imm, ir->done, JIT_KICK); break;
    case LATE_ASK: x86_ask_for_link(l, late->link); break;
    case LATE_FULL:
        x_load(c, RSP, x86_frame(FRAME_EMPTY));
        x_jmp_to(c, late->back);
        break;
    case LATE_CALL:
        x_call_to(c, x86_stub(l, x86_stubs.lookup));
        x_jmp_to(c, late->again);
        break;
    case LATE_FAR:
    case LATE_FAR_OTHER: x86_lower_far(l, late); break;
    case LATE_VECTOR: x86_late_vector(l, late); break;
    case LATE_VECTOR_PART: x86_late_vector_part(l, late); break;
    case LATE_NAN: x86_late_nan(l, late); break;
    case LATE_CLOSE: x86_late_close(l, late); break;
    case LATE_FLAGS: x86_late_flags(l, late); break;
    case LATE_ROUNDING: x86_late_rounding(l, late); break;
    case LATE_LEAVE: x86_leave_at(l, l->block->pc + ir->at, ir->done, JIT_STEP); break;
    case LATE_NEXT: x86_leave_at(l, l->block->pc + ir->at + 4, ir->done + 1u, JIT_LOOKUP); break;
    case LATE_KICK:
        if (ir->c == IR_INSIDE && (ir->op == IR_JUMP || ir->op == IR_BRANCH))
            x86_leave_at(l, l->block->pc + ir->at, ir->done - 1u,
                         JIT_KICK); /* it is executed later */
        else if (ir->op == IR_JUMP)
            x86_leave_at(l, (uint64_t)ir->imm, ir->done, JIT_KICK);
        else
            x86_leave_at(l, l->block->pc + ir->at, ir->done, JIT_KICK);
        break;
    }
}

static bool is_rare(const struct late *late)
{
    return late->kind != LATE_BRANCH;
}

static bool x86_emit(const struct ir_block *block, struct jit_room *room, struct jit_emitted *out)
{
    struct lowering l; /* field by field: most of it is room for rare paths */
    l.c = (struct x86_code){.at = room->write, .end = room->write + room->size};
    l.block = block;
    l.to_write = room->write - room->run;
    l.offset = room->offset;
    l.start = room->write;
    l.out = out;
    l.late_count = l.label_count = l.jump_count = l.call_count = 0;
    l.counted = 0;
    l.windows = room->windows;
    l.slides = 0;
    l.slides_kick = false;
    l.boxed = l.unchecked = l.singles = 0;
    l.fresh_at = NULL;
    l.upper = false;
    l.vectors = 0;
    l.in_rdx = NULL;
    if (block->region) {
        x86_find_weights(l.weights, block);
        x86_place_region(&l.place, block, l.weights);
        x86_find_labels(&l);
    } else {
        x86_place_block(&l.place, block);
    }
    x86_find_groups(&l);
    if (block->region)
        x86_place_slides(&l);
    out->size = 0;
    out->link_count = 0;
    if (l.place.moved)
        x86_emit_fill(&l.c, &l.place, true);
    x86_slides_begin(&l);
    if (block->region)
        x86_begin_floats(&l);
    for (unsigned i = 0; i < block->count && !l.c.full; i++) {
        out->op_at[i] = (uint32_t)(l.c.at - room->write);
        x86_before_vector(&l, &block->code[i]);
        x86_before_float(&l, &block->code[i]);
        const unsigned skips = x86_is_skip(block, i);
        if (skips > 0)
            x86_lower_skip(&l, &block->code[i], skips);
        else if (!x86_lower_one(&l, &block->code[i]))
            return false;
        if (skips > 0 || !x86_keeps_rdx(&block->code[i]))
            l.in_rdx = NULL;
        for (unsigned n = 0; n < skips; n++) {
            out->op_at[++i] = (uint32_t)(l.c.at - room->write);
            if (l.slides > 0 && n + 1 < skips)
                x86_slides_follow(&l, &block->code[i]);
        }
        x86_after_float(&l, &block->code[i]);
        if (l.slides > 0)
            x86_slides_follow(&l, &block->code[i]);
    }
    const bool split = room->rare != NULL && !block->region;
    for (unsigned i = 0; i < l.late_count && !l.c.full; i++) {
        if (!split || !is_rare(&l.late[i]))
            lower_late(&l, &l.late[i]);
    }
    if (!split)
        x86_end_places(&l);
    out->size = (uint32_t)(l.c.at - room->write);
    if (l.c.full)
        return false;
    l.c = (struct x86_code){.at = room->rare, .end = room->rare + room->rare_size};
    for (unsigned i = 0; split && i < l.late_count && !l.c.full; i++) {
        if (is_rare(&l.late[i]))
            lower_late(&l, &l.late[i]);
    }
    if (split)
        x86_end_places(&l);
    out->rare_size = (uint32_t)(l.c.at - room->rare);
    room->windows = l.windows;
    return !l.c.full;
}

/* ---- links ---- */

static void patch(uint8_t *cache, uint32_t site, int32_t distance)
{
    atomic_store_explicit((_Atomic int32_t *)(void *)(cache + site), distance,
                          memory_order_release);
}

static void x86_link(uint8_t *cache, uint32_t site, uint32_t target)
{
    patch(cache, site, (int32_t)(target - (site + 4)));
}

static void x86_unlink(uint8_t *cache, uint32_t site, uint32_t ask)
{
    x86_link(cache, site, ask);
}

static enum jit_leave x86_enter(struct jit_context *context, struct riscv_vcpu *hart,
                                const void *code)
{
    enum jit_leave (*enter)(struct jit_context *, uint64_t *, const void *);
    const void *address = x86_stubs.enter;
    memcpy(&enter, &address, sizeof enter);
    return enter(context, &hart->x[16], code);
}

static const struct jit_backend backend = {
    .name = "x86-64",
    .disassembler = "i386:x86-64 -M intel",
    .init = x86_init,
    .emit = x86_emit,
    .link = x86_link,
    .unlink = x86_unlink,
    .enter = x86_enter,
};

const struct jit_backend *const jit_host_backend = &backend;
