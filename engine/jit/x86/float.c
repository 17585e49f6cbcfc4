/*
 * Floating point on the host's SSE unit. It rounds as RISC-V does (IEEE 754, tininess after
 * rounding) and its flags gather in MXCSR until the code leaves (stubs.c). What differs goes to a
 * rare path: a NaN result becomes the canonical one; what the host cannot say in one operation
 * without raising other flags is left to the interpreter.
 */
#include "engine/jit/x86/lower.h"

enum { XMM0, XMM1, XMM2 };

#define NAN_D 0x7ff8000000000000LL
#define NAN_S 0x7fc00000
#define BOX   (-(1LL << 32))

static uint32_t scalar(const struct ir *ir, uint32_t opcode)
{
    return X86_PREFIX(ir->sub == IR_D ? 0xf2u : 0xf3u, opcode);
}

static struct x86_mem high_word(ir_reg reg)
{
    struct x86_mem m = x86_home(reg);
    m.disp += 4;
    return m;
}

/* A single that is not boxed reads as a NaN: the interpreter's. */
static void check_box(struct lowering *l, const struct ir *ir, unsigned format, ir_reg reg)
{
    if (format == IR_D)
        return;
    x_alu_mem_const(&l->c, false, ALU_CMP, high_word(reg), -1);
    x86_later(l, LATE_LEAVE, x_jcc(&l->c, CC_NE), ir);
}

static void load_float(struct lowering *l, const struct ir *ir, unsigned format, unsigned xmm,
                       ir_reg reg)
{
    if (x86_xmm(l, reg) != NO_REG) { /* movaps */
        x_reg(&l->c, false, 0x0f28, xmm, x86_xmm(l, reg));
        return;
    }
    check_box(l, ir, format, reg);
    x_mem(&l->c, false, X86_PREFIX(format == IR_D ? 0xf2u : 0xf3u, 0x0f10), xmm, x86_home(reg));
}

/* xmm = xmm op reg, in the format of `ir` */
static void operate(struct lowering *l, const struct ir *ir, uint32_t opcode, unsigned xmm,
                    ir_reg reg)
{
    if (x86_xmm(l, reg) != NO_REG) {
        x_reg(&l->c, false, scalar(ir, opcode), xmm, x86_xmm(l, reg));
        return;
    }
    check_box(l, ir, ir->sub, reg);
    x_mem(&l->c, false, scalar(ir, opcode), xmm, x86_home(reg));
}

/* The XMM register that has a double, or `spare` with the value. */
static unsigned use_float(struct lowering *l, const struct ir *ir, unsigned spare, ir_reg reg)
{
    if (x86_xmm(l, reg) != NO_REG)
        return x86_xmm(l, reg);
    load_float(l, ir, ir->sub, spare, reg);
    return spare;
}

static void store_float(struct lowering *l, unsigned format, ir_reg reg, unsigned xmm)
{
    struct x86_code *c = &l->c;
    if (x86_xmm(l, reg) != NO_REG) {
        x_reg(c, false, 0x0f28, x86_xmm(l, reg), xmm);
        return;
    }
    if (format == IR_D) {
        x_mem(c, false, X86_PREFIX(0xf2, 0x0f11), xmm, x86_home(reg));
        return;
    }
    x_reg(c, false, X86_PREFIX(0x66, 0x0f7e), xmm, RAX); /* movd eax, xmm */
    x_const(c, RCX, BOX);
    x_alu(c, true, ALU_OR, RAX, RCX);
    x_store(c, x86_home(reg), RAX);
}

/* CF, ZF, PF by xmm `a` against `b`; quiet NaNs raise the invalid flag only if `signaling`. */
static void compare_floats(struct lowering *l, const struct ir *ir, bool signaling, unsigned a,
                           unsigned b)
{
    uint32_t opcode = signaling ? 0x0f2f : 0x0f2e;
    x_reg(&l->c, false, ir->sub == IR_D ? X86_PREFIX(0x66, opcode) : opcode, a, b);
}

/* xmm0 becomes the canonical NaN if it is any NaN. Emitted in line: it is jumped over. */
static void canonical(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    uint32_t ucomi = ir->sub == IR_D ? X86_PREFIX(0x66, 0x0f2e) : 0x0f2e;
    x_reg(c, false, ucomi, XMM0, XMM0);
    x86_later(l, LATE_NAN, x_jcc(c, CC_P), ir);
}

void x86_late_nan(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    x_const(c, RAX, late->ir->sub == IR_D ? NAN_D : NAN_S);
    x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), XMM0, RAX); /* movq xmm0, rax */
    x_jmp_to(c, late->back);
}

static void lower_arithmetic(struct lowering *l, const struct ir *ir)
{
    static const uint32_t opcodes[IR_OPS] = {
        [IR_FADD] = 0x0f58, [IR_FSUB] = 0x0f5c, [IR_FMUL] = 0x0f59, [IR_FDIV] = 0x0f5e};
    if (ir->op == IR_FSQRT) {
        operate(l, ir, 0x0f51, XMM0, ir->a);
    } else {
        load_float(l, ir, ir->sub, XMM0, ir->a);
        operate(l, ir, opcodes[ir->op], XMM0, ir->b);
    }
    canonical(l, ir);
    store_float(l, ir->sub, ir->dst, XMM0);
}

/* fma(inf, 0, NaN) raises the invalid flag here but not on the host: NaNs are the interpreter's. */
static void lower_fused(struct lowering *l, const struct ir *ir)
{
    static const uint8_t opcodes[IR_OPS] = {
        [IR_FMADD] = 0xa9, [IR_FMSUB] = 0xab, [IR_FNMSUB] = 0xad, [IR_FNMADD] = 0xaf};
    struct x86_code *c = &l->c;
    if (!x86_features.fma) {
        x86_later(l, LATE_LEAVE, x_jmp(c), ir);
        return;
    }
    load_float(l, ir, ir->sub, XMM0, ir->a);
    unsigned b = use_float(l, ir, XMM1, ir->b);
    unsigned addend = use_float(l, ir, XMM2, ir->c);
    /* xmm0 = +-(b * xmm0) +- c */
    x_vex(c, 2, 1, ir->sub == IR_D, opcodes[ir->op], XMM0, b, addend);
    x_reg(c, false, ir->sub == IR_D ? X86_PREFIX(0x66, 0x0f2e) : 0x0f2e, XMM0, XMM0);
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_P), ir);
    store_float(l, ir->sub, ir->dst, XMM0);
}

/* Where the operands differ and neither is a NaN, the host's means the same. */
static void lower_extremum(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    load_float(l, ir, ir->sub, XMM0, ir->a);
    load_float(l, ir, ir->sub, XMM1, ir->b);
    compare_floats(l, ir, false, XMM0, XMM1);
    /* Equal (two zeros of different sign, too) or unordered: ZF. */
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    x_reg(c, false, scalar(ir, ir->op == IR_FMIN ? 0x0f5d : 0x0f5f), XMM0, XMM1);
    store_float(l, ir->sub, ir->dst, XMM0);
}

static void lower_sign(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned bit = ir->sub == IR_D ? 63 : 31;

    check_box(l, ir, ir->sub, ir->a);
    if (ir->b == ir->a && ir->op == IR_FSGNJ && x86_xmm(l, ir->a) != NO_REG &&
        x86_xmm(l, ir->dst) != NO_REG) {
        x_reg(c, false, 0x0f28, x86_xmm(l, ir->dst), x86_xmm(l, ir->a));
        return;
    }
    x86_get(l, RAX, ir->a);
    if (ir->b != ir->a) {
        check_box(l, ir, ir->sub, ir->b);
        x86_get(l, RCX, ir->b);
    } else if (ir->op == IR_FSGNJ) {
        x86_put(l, ir->dst, RAX);
        return;
    } else {
        x_mov(c, RCX, RAX);
    }
    if (ir->op == IR_FSGNJN)
        x_group3(c, true, G3_NOT, RCX);
    x_const(c, RDX, (int64_t)(1ULL << bit));
    x_alu(c, true, ALU_AND, RCX, RDX);
    if (ir->op != IR_FSGNJX) {
        x_reg(c, true, 0x0fba, 6, RAX); /* btr */
        put8(c, bit);
        x_alu(c, true, ALU_OR, RAX, RCX);
    } else {
        x_alu(c, true, ALU_XOR, RAX, RCX);
    }
    x86_put(l, ir->dst, RAX);
}

static void lower_float_compare(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned a = use_float(l, ir, XMM0, ir->a), b = use_float(l, ir, XMM1, ir->b);
    if (ir->op == IR_FEQ) {
        compare_floats(l, ir, false, a, b);
        x_setcc(c, CC_NP, RAX);
        x_setcc(c, CC_E, RCX);
        x_alu(c, false, ALU_AND, RAX, RCX);
    } else {
        /* b against a, because unordered is below */
        compare_floats(l, ir, true, b, a);
        x_setcc(c, ir->op == IR_FLT ? CC_A : CC_AE, RAX);
    }
    x_extend8(c, RAX, RAX, false);
    x86_put(l, ir->dst, RAX);
}

/* Out of range: all sign, which is a result, too; the interpreter knows which. */
static void lower_to_int(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    bool wide = ir->c != IR_INT_W;
    uint32_t opcode = ir->imm == 1 ? 0x0f2c : 0x0f2d;

    load_float(l, ir, ir->sub, XMM0, ir->a);
    if (ir->c == IR_INT_WU || ir->c == IR_INT_LU) {
        /* Looked at before: the conversion of what is out of range would raise "inexact". */
        int64_t limit = ir->sub == IR_D
                            ? (ir->c == IR_INT_WU ? 0x41f0000000000000 : 0x43e0000000000000)
                            : (ir->c == IR_INT_WU ? 0x4f800000 : 0x5f000000);
        x_const(c, RAX, limit - (ir->c == IR_INT_WU ? (ir->sub == IR_D ? 0x200000 : 1) : 0));
        x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), XMM1, RAX);
        compare_floats(l, ir, true, XMM1, XMM0);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_BE), ir); /* too large, or a NaN */
        x_const(c, RAX, 0);
        x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), XMM1, RAX);
        compare_floats(l, ir, true, XMM0, XMM1);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_B), ir); /* negative */
    }
    x_reg(c, wide, scalar(ir, opcode), RAX, XMM0);
    if (ir->c == IR_INT_W) {
        x_alu_const(c, false, ALU_CMP, RAX, INT32_MIN);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    } else if (ir->c == IR_INT_L) {
        x_const(c, RCX, INT64_MIN);
        x_alu(c, true, ALU_CMP, RAX, RCX);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    }
    if (ir->c == IR_INT_W || ir->c == IR_INT_WU)
        x_movsxd(c, RAX, RAX);
    x86_put(l, ir->dst, RAX);
}

static void lower_from_int(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x86_get(l, RAX, ir->a);
    if (ir->c == IR_INT_WU)
        x_mov32(c, RAX, RAX);
    if (ir->c == IR_INT_LU) {
        x_test(c, true, RAX, RAX);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_S), ir);
    }
    x_reg(c, false, 0x0f57, XMM0, XMM0); /* xorps: no dependence on what was there */
    x_reg(c, ir->c != IR_INT_W, scalar(ir, 0x0f2a), XMM0, RAX);
    store_float(l, ir->sub, ir->dst, XMM0);
}

static void lower_format(struct lowering *l, const struct ir *ir)
{
    unsigned from = ir->c;
    load_float(l, ir, from, XMM0, ir->a);
    x_reg(&l->c, false, X86_PREFIX(from == IR_D ? 0xf2u : 0xf3u, 0x0f5a), XMM0, XMM0);
    canonical(l, ir);
    store_float(l, ir->sub, ir->dst, XMM0);
}

static void lower_move(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (ir->op == IR_FMV_TO_X) {
        unsigned to = x86_target(l, ir->dst, RAX);
        if (x86_xmm(l, ir->a) != NO_REG)
            x86_get(l, to, ir->a);
        else
            x_mem(c, true, ir->sub == IR_D ? 0x8b : 0x63, to, x86_home(ir->a));
        x86_put(l, ir->dst, to);
        return;
    }
    if (ir->sub == IR_D) {
        x86_put(l, ir->dst, x86_use(l, ir->a, RAX));
        return;
    }
    unsigned a = x86_use(l, ir->a, RAX);
    x_mov32(c, RAX, a);
    x_const(c, RCX, BOX);
    x_alu(c, true, ALU_OR, RAX, RCX);
    x_store(c, x86_home(ir->dst), RAX);
}

bool x86_lower_float(struct lowering *l, const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_FP_NEAREST:
        x_alu_mem_const(&l->c, false, ALU_CMP, mem_at(R_VCPU, VCPU(frm)), 0);
        x86_later(l, LATE_LEAVE, x_jcc(&l->c, CC_NE), ir);
        return true;
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV:
    case IR_FSQRT: lower_arithmetic(l, ir); return true;
    case IR_FMADD:
    case IR_FMSUB:
    case IR_FNMSUB:
    case IR_FNMADD: lower_fused(l, ir); return true;
    case IR_FMIN:
    case IR_FMAX: lower_extremum(l, ir); return true;
    case IR_FSGNJ:
    case IR_FSGNJN:
    case IR_FSGNJX: lower_sign(l, ir); return true;
    case IR_FEQ:
    case IR_FLT:
    case IR_FLE: lower_float_compare(l, ir); return true;
    case IR_FCVT_TO_INT: lower_to_int(l, ir); return true;
    case IR_FCVT_FROM_INT: lower_from_int(l, ir); return true;
    case IR_FCVT_FORMAT: lower_format(l, ir); return true;
    case IR_FMV_TO_X:
    case IR_FMV_FROM_X: lower_move(l, ir); return true;
    default: return false;
    }
}
