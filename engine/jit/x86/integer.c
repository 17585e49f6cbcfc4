/* Integer operations that x86-64 has no single instruction for, or only with fixed registers. */
#include "engine/jit/x86/lower.h"

static void lower_bit(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    static const uint32_t by_reg[] = {0x0fab, 0x0fb3, 0x0fbb, 0x0fa3}; /* BTS BTR BTC BT */
    unsigned which = ir->op - IR_BSET;
    static const uint8_t by_imm[] = {5, 6, 7, 4};

    x86_get(l, RAX, ir->a);
    if (ir->b == IR_NONE) {
        x_reg(c, true, 0x0fba, by_imm[which], RAX);
        put8(c, (unsigned)ir->imm & 63);
    } else {
        unsigned b = x86_use(l, ir->b, RCX);
        x_reg(c, true, by_reg[which], b, RAX);
    }
    if (ir->op == IR_BEXT) {
        x_setcc(c, CC_B, RAX);
        x_extend8(c, RAX, RAX, false);
    }
    x86_put(l, ir->dst, RAX);
}

static void lower_mul(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned b, to;
    switch (ir->op) {
    case IR_MUL:
    case IR_MULW:
        to = x86_target(l, ir->dst, RAX);
        b = x86_use(l, ir->b, RCX);
        if (b == to && ir->a != ir->b) { /* the first operand would overwrite the second */
            x_imul(c, ir->op == IR_MUL, to, x86_use(l, ir->a, RAX));
        } else {
            x86_get(l, to, ir->a);
            x_imul(c, ir->op == IR_MUL, to, b);
        }
        if (ir->op == IR_MULW)
            x_movsxd(c, to, to);
        x86_put(l, ir->dst, to);
        break;
    case IR_MULHSU: /* unsigned product, less b if a is negative */
        x86_get(l, RAX, ir->a);
        b = x86_use(l, ir->b, RCX);
        x_group3(c, true, G3_MUL, b);
        x86_get(l, RAX, ir->a);
        x_shift(c, true, SHIFT_SAR, RAX, 63);
        b = x86_use(l, ir->b, RCX);
        x_alu(c, true, ALU_AND, RAX, b);
        x_alu(c, true, ALU_SUB, RDX, RAX);
        x86_put(l, ir->dst, RDX);
        break;
    default:
        x86_get(l, RAX, ir->a);
        b = x86_use(l, ir->b, RCX);
        x_group3(c, true, ir->op == IR_MULH ? G3_IMUL : G3_MUL, b);
        x86_put(l, ir->dst, RDX);
        break;
    }
}

static void lower_carryless(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (!x86_features.pclmul) {
        x86_get(l, RAX, ir->a);
        x86_get(l, RDX, ir->b);
        x86_compute(l, ir);
        x86_put(l, ir->dst, RAX);
        return;
    }
    unsigned a = x86_use(l, ir->a, RAX), b = x86_use(l, ir->b, RCX);
    x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), 0, a); /* movq xmm0 */
    x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), 1, b);
    x_reg(c, false, X86_PREFIX(0x66, 0x0f3a44), 0, 1); /* pclmulqdq of the low halves */
    put8(c, 0);
    if (ir->op != IR_CLMULH)
        x_reg(c, true, X86_PREFIX(0x66, 0x0f7e), 0, RAX);
    if (ir->op != IR_CLMUL) {
        x_reg(c, false, X86_PREFIX(0x66, 0x0f6d), 0, 0); /* punpckhqdq */
        x_reg(c, true, X86_PREFIX(0x66, 0x0f7e), 0, RDX);
    }
    if (ir->op == IR_CLMULR) {
        x_alu(c, true, ALU_ADD, RAX, RAX);
        x_alu(c, true, ALU_ADC, RDX, RDX);
    }
    x86_put(l, ir->dst, ir->op == IR_CLMUL ? RAX : RDX);
}

/* M: division by zero gives all ones (remainder: the dividend); overflow gives the dividend (0). */
static void lower_div(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    bool word = ir->op >= IR_DIVW;
    bool sign = ir->op == IR_DIV || ir->op == IR_REM || ir->op == IR_DIVW || ir->op == IR_REMW;
    bool rem = ir->op == IR_REM || ir->op == IR_REMU || ir->op == IR_REMW || ir->op == IR_REMUW;
    x86_hole minus_one = NULL, done[3];
    unsigned count = 0;

    x86_get(l, RCX, ir->b);
    x86_get(l, RAX, ir->a);
    x_test(c, !word, RCX, RCX);
    x86_hole zero = x_jcc(c, CC_E);
    if (sign) {
        x_alu_const(c, !word, ALU_CMP, RCX, -1);
        minus_one = x_jcc(c, CC_E);
        x_cqo(c, !word);
    } else {
        x_const(c, RDX, 0);
    }
    x_group3(c, !word, sign ? G3_IDIV : G3_DIV, RCX);
    if (rem)
        x_mov(c, RAX, RDX);
    done[count++] = x_jmp(c);
    if (sign) {
        x_here(c, minus_one);
        if (rem)
            x_const(c, RAX, 0);
        else
            x_group3(c, !word, G3_NEG, RAX);
        done[count++] = x_jmp(c);
    }
    x_here(c, zero);
    if (!rem)
        x_const(c, RAX, -1);
    while (count > 0)
        x_here(c, done[--count]);
    if (word)
        x_movsxd(c, RAX, RAX);
    x86_put(l, ir->dst, RAX);
}

static void lower_czero(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x86_get(l, RAX, ir->a);
    unsigned b = x86_use(l, ir->b, RCX);
    x_const(c, RDX, 0);
    x_test(c, true, b, b);
    x_cmov(c, ir->op == IR_CZERO_EQZ ? CC_E : CC_NE, RAX, RDX);
    x86_put(l, ir->dst, RAX);
}

static void lower_shift_add(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned a;
    if (ir->op == IR_SHADD_UW || ir->op == IR_SLLI_UW) {
        a = x86_use(l, ir->a, RAX);
        x_mov32(c, RAX, a);
        a = RAX;
    } else {
        a = x86_use(l, ir->a, RAX);
    }
    unsigned to = x86_target(l, ir->dst, RAX);
    if (ir->op == IR_SLLI_UW) {
        x_shift(c, true, SHIFT_SHL, RAX, (unsigned)ir->imm & 63);
        to = RAX;
    } else {
        unsigned b = x86_use(l, ir->b, RCX);
        x_lea(c, to, mem_indexed(b, a, ir->sub, 0));
    }
    x86_put(l, ir->dst, to);
}

bool x86_lower_integer(struct lowering *l, const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_BSET:
    case IR_BCLR:
    case IR_BINV:
    case IR_BEXT: lower_bit(l, ir); return true;
    case IR_MUL:
    case IR_MULH:
    case IR_MULHSU:
    case IR_MULHU:
    case IR_MULW: lower_mul(l, ir); return true;
    case IR_CLMUL:
    case IR_CLMULH:
    case IR_CLMULR: lower_carryless(l, ir); return true;
    case IR_DIV:
    case IR_DIVU:
    case IR_REM:
    case IR_REMU:
    case IR_DIVW:
    case IR_DIVUW:
    case IR_REMW:
    case IR_REMUW: lower_div(l, ir); return true;
    case IR_CZERO_EQZ:
    case IR_CZERO_NEZ: lower_czero(l, ir); return true;
    case IR_SHADD:
    case IR_SHADD_UW:
    case IR_SLLI_UW: lower_shift_add(l, ir); return true;
    default: return false;
    }
}
