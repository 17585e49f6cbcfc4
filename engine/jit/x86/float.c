/*
 * Floating point on the host's SSE unit. It rounds as RISC-V does (IEEE 754, tininess after
 * rounding) and its flags gather in MXCSR until the code leaves (stubs.c). What the host cannot say
 * in one operation without raising other flags is left to the interpreter.
 *
 * An XMM register holds all 64 bits of its guest register. The host's operations on singles leave
 * the upper half of their first operand in the result, so that those of boxed singles are boxed.
 * Which registers are known to be is followed through a region (boxed_after).
 *
 * NaN results become the canonical NaN: those in XMM registers not at once, but before anything may
 * see their bits (x86_before_float). Operations on them, and comparisons, take them for what they
 * are.
 */
#include "engine/jit/x86/lower.h"
#include "riscv/csr.h"

enum { XMM0, XMM1, XMM2 };

#define NAN_D 0x7ff8000000000000LL
#define NAN_S (BOX | 0x7fc00000LL)
#define BOX   (-(1LL << 32))

/* `imm`: rm. */
enum { ROUND_ZERO = 1, ROUND_DOWN = 2, ROUND_UP = 3, ROUND_AWAY = 4 };

#define UCOMIS 0x0f2eu
#define COMIS  0x0f2fu
#define MOVAPS 0x0f28u

static uint32_t scalar_of(unsigned format, uint32_t opcode)
{
    return X86_PREFIX(format == IR_D ? 0xf2u : 0xf3u, opcode);
}

static uint32_t scalar(const struct ir *ir, uint32_t opcode)
{
    return scalar_of(ir->sub, opcode);
}

static bool is_float(ir_reg reg)
{
    return reg >= IR_F(0) && reg < IR_T(0);
}

static uint32_t bit_of(ir_reg reg)
{
    return is_float(reg) ? 1u << (reg - IR_F(0)) : 0;
}

static void move(struct x86_code *c, unsigned to, unsigned from)
{
    if (to != from)
        x_reg(c, false, MOVAPS, to, from);
}

/* ---- boxes ---- */

static bool has_third(const struct ir *ir)
{
    return ir->op >= IR_FMADD && ir->op <= IR_FNMADD;
}

/* The registers that the operation reads as singles, which must be boxed. */
static uint32_t reads_singles(const struct ir *ir)
{
    if (ir->op == IR_FCVT_FORMAT)
        return ir->c == IR_S ? bit_of(ir->a) : 0;
    if (ir->op < IR_FADD || ir->op > IR_FCVT_FORMAT || ir->op == IR_FMV_TO_X || ir->sub != IR_S)
        return 0;
    return bit_of(ir->a) | (ir->b != IR_NONE ? bit_of(ir->b) : 0) |
           (has_third(ir) ? bit_of(ir->c) : 0);
}

/* Rounds otherwise than the host does. */
static bool is_static(const struct ir *ir)
{
    return ir->imm >= ROUND_ZERO && ir->imm <= ROUND_AWAY;
}

static bool is_copy(const struct ir *ir)
{
    return ir->op == IR_FSGNJ && ir->a == ir->b;
}

/* What is known to be boxed after the operation. */
static uint32_t boxed_after(uint32_t boxed, const struct ir *ir)
{
    boxed |= reads_singles(ir); /* or it has left */
    if (!is_float(ir->dst))
        return boxed;
    bool is = ir->op == IR_LOAD ? (ir->sub & IR_WIDTH) != IR_W8 : ir->sub == IR_S;
    if (is_copy(ir) && ir->sub == IR_D)
        is = (boxed & bit_of(ir->a)) != 0;
    return is ? boxed | bit_of(ir->dst) : boxed & ~bit_of(ir->dst);
}

static bool ends_here(const struct ir *ir)
{
    return ir->op == IR_JUMP || ir->op == IR_JUMP_REG || ir->op == IR_SYSTEM || ir->op == IR_STEP;
}

/* From what is boxed when the region is entered to what is at its labels. Gives what is read as a
 * single without being known to be. */
static uint32_t find_boxed(struct lowering *l, uint32_t entry)
{
    uint32_t unknown = 0;
    bool changed = true;

    for (unsigned i = 0; i < l->label_count; i++)
        l->labels[i].boxed = UINT32_MAX;
    while (changed) {
        uint32_t boxed = entry;
        changed = false;
        unknown = 0;
        for (unsigned i = 0; i < l->block->count; i++) {
            const struct ir *ir = &l->block->code[i];
            struct label *label = NULL;
            if (ir->op == IR_LABEL ||
                ((ir->op == IR_BRANCH || ir->op == IR_JUMP) && ir->c == IR_INSIDE))
                label = x86_label_of(l, (uint64_t)ir->imm);
            if (label != NULL) {
                changed = changed || (label->boxed & ~boxed) != 0;
                label->boxed &= boxed;
                if (ir->op == IR_LABEL)
                    boxed = label->boxed;
            }
            unknown |= reads_singles(ir) & ~boxed;
            boxed = ends_here(ir) ? UINT32_MAX : boxed_after(boxed, ir);
        }
    }
    return unknown;
}

static struct x86_mem high_word(ir_reg reg)
{
    struct x86_mem m = x86_home(reg);
    m.disp += 4;
    return m;
}

void x86_begin_floats(struct lowering *l)
{
    /* What would not be boxed anyway is looked at where it is read. */
    const uint32_t entry = find_boxed(l, 0) & ~find_boxed(l, UINT32_MAX);
    find_boxed(l, entry);
    l->boxed = entry;
    for (unsigned i = 0; i < 32; i++) {
        if ((entry >> i & 1) == 0)
            continue;
        x_alu_mem_const(&l->c, false, ALU_CMP, high_word(IR_F(i)), -1);
        x86_later(l, LATE_LEAVE, x_jcc(&l->c, CC_NE), &l->block->code[0]);
    }
}

/* ---- NaNs ---- */

/* Of the XMM registers a and b at least one may be a NaN: if so, those that are become canonical.
 */
static void check_nans(struct lowering *l, bool single, unsigned a, unsigned b)
{
    x_reg(&l->c, false, single ? UCOMIS : X86_PREFIX(0x66, UCOMIS), a, b);
    x86_later(l, LATE_NAN, x_jcc(&l->c, CC_P), NULL);
    if (l->late_count > 0) {
        struct late *late = &l->late[l->late_count - 1];
        late->xmm[0] = (uint8_t)a;
        late->xmm[1] = (uint8_t)b;
        late->single = single;
    }
}

void x86_late_nan(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    const bool two = late->xmm[0] != late->xmm[1];
    x_const(c, RAX, late->single ? NAN_S : NAN_D);
    for (unsigned i = 0; i < 1u + two; i++) {
        const unsigned xmm = late->xmm[i];
        x86_hole is_number = NULL;
        if (two) {
            x_reg(c, false, late->single ? UCOMIS : X86_PREFIX(0x66, UCOMIS), xmm, xmm);
            is_number = x_jcc(c, CC_NP);
        }
        x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), xmm, RAX); /* movq */
        if (two)
            x_here(c, is_number);
    }
    x_jmp_to(c, late->back);
}

/* The NaNs among these registers become canonical. Clobbers rax. */
static void settle(struct lowering *l, uint32_t regs)
{
    regs &= l->unchecked;
    l->unchecked &= ~regs;
    for (int single = 0; single < 2 && regs != 0; single++) {
        const uint32_t these = single ? regs & l->singles : regs & ~l->singles;
        unsigned first = NO_REG;
        for (unsigned i = 0; i < 32; i++) {
            if ((these >> i & 1) == 0)
                continue;
            if (first != NO_REG)
                check_nans(l, single, first, l->place.xmm[i]);
            first = first == NO_REG ? l->place.xmm[i] : (unsigned)NO_REG;
        }
        if (first != NO_REG)
            check_nans(l, single, first, first);
    }
}

static bool gives_unchecked(const struct ir *ir)
{
    return (ir->op >= IR_FADD && ir->op <= IR_FSQRT) || ir->op == IR_FCVT_FORMAT;
}

/* Those of which the operation may tell somebody, by leaving or because it reads their bits. */
static uint32_t seen_by(const struct lowering *l, const struct ir *ir)
{
    const uint32_t a = bit_of(ir->a), b = bit_of(ir->b);
    if (ir->op < IR_LOAD || gives_unchecked(ir))
        return 0;
    switch ((enum ir_op)ir->op) {
    case IR_LOAD:
    case IR_STORE: {
        const struct group *g = x86_group_of(l, ir);
        if (g == NULL || g->kind == GROUP_PLAIN || &l->block->code[g->first] == ir)
            return UINT32_MAX; /* it may trap */
        return ir->op == IR_STORE ? b : 0;
    }
    case IR_FSGNJ:
    case IR_FSGNJN:
    case IR_FSGNJX: return is_copy(ir) ? 0 : a | b;
    case IR_FMV_TO_X: return a;
    case IR_FCSR_WRITE: return ir->imm == CSR_fflags ? 0 : UINT32_MAX;
    case IR_FCVT_FROM_INT: return ir->c == IR_INT_LU || is_static(ir) ? UINT32_MAX : 0;
    case IR_FEQ:
    case IR_FLT:
    case IR_FLE:
    case IR_FMV_FROM_X:
    case IR_FCSR_READ:
    case IR_FENCE: return 0;
    default: return UINT32_MAX;
    }
}

void x86_before_float(struct lowering *l, const struct ir *ir)
{
    if (ir->op == IR_LABEL && l->block->region) {
        const struct label *label = x86_label_of(l, (uint64_t)ir->imm);
        l->boxed = label != NULL ? label->boxed : 0;
    }
    if (l->unchecked != 0)
        settle(l, seen_by(l, ir));
}

void x86_after_float(struct lowering *l, const struct ir *ir)
{
    const uint32_t dst = bit_of(ir->dst);
    bool unchecked = gives_unchecked(ir), single = ir->sub == IR_S;
    if (ir->op < IR_LOAD)
        return;
    l->boxed = boxed_after(l->boxed, ir);
    if (dst == 0)
        return;
    if (is_copy(ir)) {
        unchecked = (l->unchecked & bit_of(ir->a)) != 0;
        single = (l->singles & bit_of(ir->a)) != 0;
    }
    if (x86_xmm(l, ir->dst) == NO_REG)
        unchecked = false; /* checked at once */
    l->unchecked = unchecked ? l->unchecked | dst : l->unchecked & ~dst;
    l->singles = single ? l->singles | dst : l->singles & ~dst;
}

/* ---- operands ---- */

/* Leaves unless what the operation reads as singles is boxed. First of all that it does. */
static void check_boxes(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const uint32_t regs = reads_singles(ir) & ~l->boxed;
    if (regs == 0)
        return;
    settle(l, UINT32_MAX); /* also because they may be doubles now */
    for (unsigned i = 0; i < 32; i++) {
        if ((regs >> i & 1) == 0)
            continue;
        if (l->place.xmm[i] != NO_REG) {
            x86_get(l, RAX, IR_F(i));
            x_shift(c, true, SHIFT_SAR, RAX, 32);
            x_alu_const(c, false, ALU_CMP, RAX, -1);
        } else {
            x_alu_mem_const(c, false, ALU_CMP, high_word(IR_F(i)), -1);
        }
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_NE), ir);
    }
}

/* All of the register. */
static void load_float(struct lowering *l, unsigned xmm, ir_reg reg)
{
    if (x86_xmm(l, reg) != NO_REG)
        move(&l->c, xmm, x86_xmm(l, reg));
    else
        x_mem(&l->c, false, X86_PREFIX(0xf2, 0x0f10), xmm, x86_home(reg)); /* movsd */
}

/* The XMM register that has it, or `spare` with the value. */
static unsigned use_float(struct lowering *l, unsigned spare, ir_reg reg)
{
    if (x86_xmm(l, reg) != NO_REG)
        return x86_xmm(l, reg);
    load_float(l, spare, reg);
    return spare;
}

/* Where a result is best computed: in its own register, or XMM0. */
static unsigned float_target(const struct lowering *l, const struct ir *ir)
{
    return x86_xmm(l, ir->dst) != NO_REG ? x86_xmm(l, ir->dst) : (unsigned)XMM0;
}

static void store_float(struct lowering *l, ir_reg reg, unsigned xmm)
{
    if (x86_xmm(l, reg) != NO_REG)
        move(&l->c, x86_xmm(l, reg), xmm);
    else
        x_mem(&l->c, false, X86_PREFIX(0xf2, 0x0f11), xmm, x86_home(reg)); /* movsd */
}

/* to = a op b, where a is an XMM register, and what `to` has besides is a's. XMM0 is clobbered if
 * it is not a. */
static void operate(struct lowering *l, unsigned format, unsigned opcode, unsigned to, unsigned a,
                    ir_reg reg)
{
    struct x86_code *c = &l->c;
    const unsigned b = x86_xmm(l, reg), prefix = format == IR_D ? 3 : 2;
    if (x86_features.avx) {
        if (b != NO_REG)
            x_avx(c, prefix, opcode, to, a, b);
        else
            x_avx_mem(c, prefix, opcode, to, a, x86_home(reg));
        return;
    }
    const unsigned in = to == b && a != b ? (unsigned)XMM0 : to;
    move(c, in, a);
    if (b != NO_REG)
        x_reg(c, false, scalar_of(format, 0x0f00 | opcode), in, b);
    else
        x_mem(c, false, scalar_of(format, 0x0f00 | opcode), in, x86_home(reg));
    move(c, to, in);
}

/* A result that may be a NaN is in float_target: it is checked now if that is not where it stays.
 */
static void finish(struct lowering *l, const struct ir *ir)
{
    if (x86_xmm(l, ir->dst) != NO_REG)
        return;
    check_nans(l, ir->sub == IR_S, XMM0, XMM0);
    store_float(l, ir->dst, XMM0);
}

/* Ones, without a dependence on what was there. */
static void ones(struct x86_code *c, unsigned xmm)
{
    x_reg(c, false, X86_PREFIX(0x66, 0x0f76), xmm, xmm); /* pcmpeqd */
}

/* CF, ZF, PF by xmm `a` against `b`; quiet NaNs raise the invalid flag only if `signaling`. */
static void compare_floats(struct lowering *l, const struct ir *ir, bool signaling, unsigned a,
                           unsigned b)
{
    const uint32_t opcode = signaling ? COMIS : UCOMIS;
    x_reg(&l->c, false, ir->sub == IR_D ? X86_PREFIX(0x66, opcode) : opcode, a, b);
}

/* ---- operations ---- */

static void lower_arithmetic(struct lowering *l, const struct ir *ir)
{
    static const uint8_t opcodes[IR_OPS] = {
        [IR_FADD] = 0x58, [IR_FSUB] = 0x5c, [IR_FMUL] = 0x59, [IR_FDIV] = 0x5e, [IR_FSQRT] = 0x51};
    check_boxes(l, ir);
    const unsigned a = use_float(l, XMM0, ir->a);
    operate(l, ir->sub, opcodes[ir->op], float_target(l, ir), a,
            ir->op == IR_FSQRT ? ir->a : ir->b);
    finish(l, ir);
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
    check_boxes(l, ir);
    load_float(l, XMM0, ir->a);
    unsigned b = use_float(l, XMM1, ir->b);
    unsigned addend = use_float(l, XMM2, ir->c);
    /* xmm0 = +-(b * xmm0) +- c */
    x_vex(c, 2, 1, ir->sub == IR_D, opcodes[ir->op], XMM0, b, addend);
    compare_floats(l, ir, false, XMM0, XMM0);
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_P), ir);
    store_float(l, ir->dst, XMM0);
}

/* NaNs are the interpreter's. The host gives the second of two equal operands, which may be zeros
 * of different sign: of both orders the bits of either or of both. */
static void lower_extremum(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const uint32_t opcode = scalar(ir, ir->op == IR_FMIN ? 0x0f5d : 0x0f5f);
    check_boxes(l, ir);
    load_float(l, XMM0, ir->a);
    load_float(l, XMM1, ir->b);
    compare_floats(l, ir, false, XMM0, XMM1);
    x86_later(l, LATE_LEAVE, x_jcc(c, CC_P), ir);
    move(c, XMM2, XMM0);
    x_reg(c, false, opcode, XMM0, XMM1);
    x_reg(c, false, opcode, XMM1, XMM2);
    x_reg(c, false, ir->op == IR_FMIN ? 0x0f56 : 0x0f54, XMM0, XMM1); /* orps, andps */
    store_float(l, ir->dst, XMM0);
}

static void lower_sign(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;

    check_boxes(l, ir);
    if (is_copy(ir)) {
        store_float(l, ir->dst, use_float(l, XMM0, ir->a));
        return;
    }
    /* xmm1: the sign bit, alone */
    ones(c, XMM1);
    x_reg(c, false, X86_PREFIX(0x66, 0x0f73), 6, XMM1); /* psllq */
    put8(c, 63);
    if (ir->sub == IR_S) {
        x_reg(c, false, X86_PREFIX(0x66, 0x0f73), 2, XMM1); /* psrlq */
        put8(c, 32);
    }
    const unsigned a = use_float(l, XMM2, ir->a);
    if (ir->a == ir->b) { /* minus a, or its absolute value */
        x_reg(c, false, ir->op == IR_FSGNJN ? 0x0f57 : 0x0f55, XMM1, a); /* xorps, andnps */
        store_float(l, ir->dst, XMM1);
        return;
    }
    load_float(l, XMM0, ir->b);
    if (ir->op == IR_FSGNJX) {
        x_reg(c, false, 0x0f54, XMM0, XMM1); /* andps */
        x_reg(c, false, 0x0f57, XMM0, a);
    } else if (ir->op == IR_FSGNJ) { /* the bits of b in the mask, and of a beside it */
        x_reg(c, false, 0x0f54, XMM0, XMM1);
        x_reg(c, false, 0x0f55, XMM1, a);
        x_reg(c, false, 0x0f56, XMM0, XMM1);
    } else {
        x_reg(c, false, 0x0f57, XMM0, XMM1); /* minus b */
        x_reg(c, false, 0x0f54, XMM0, XMM1);
        x_reg(c, false, 0x0f55, XMM1, a);
        x_reg(c, false, 0x0f56, XMM0, XMM1);
    }
    store_float(l, ir->dst, XMM0);
}

static void lower_float_compare(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    check_boxes(l, ir);
    unsigned a = use_float(l, XMM0, ir->a), b = use_float(l, XMM1, ir->b);
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
    const unsigned to = x86_target(l, ir->dst, RAX);
    x_extend8(c, to, RAX, false);
    x86_put(l, ir->dst, to);
}

/* FCLASS (Unprivileged ISA, 21.9): the magnitude's class counted by what it reaches, and then by
 * its sign. */
static void lower_class(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const bool wide = ir->sub == IR_D;
    /* A number that is not 0, a normal one, infinity, a NaN, a quiet one; without the sign's bit */
    static const uint64_t doubles[] = {1, 0x0010000000000000ULL << 1, 0x7ff0000000000000ULL << 1,
                                       (0x7ff0000000000000ULL << 1) + 1,
                                       0x7ff8000000000000ULL << 1};
    static const uint32_t singles[] = {1, 0x00800000U << 1, 0x7f800000U << 1,
                                       (0x7f800000U << 1) + 1, 0x7fc00000U << 1};

    check_boxes(l, ir);
    x86_get(l, RCX, ir->a);
    x_const(c, RDX, 4); /* the bit of +0 */
    x_alu(c, wide, ALU_ADD, RCX, RCX);
    x_setcc(c, CC_B, RAX);
    x_extend8(c, RAX, RAX, false);
    x_store(c, x86_frame(FRAME_VALUE), RAX);
    for (unsigned i = 0; i < 5; i++) {
        x_const(c, RAX, wide ? (int64_t)doubles[i] : (int64_t)singles[i]);
        x_alu(c, wide, ALU_CMP, RCX, RAX);
        x_alu_const(c, false, ALU_SBB, RDX, -1); /* one more if it is not below */
    }
    /* Of negative numbers 7 less that. */
    x_mov32(c, RCX, RDX);
    x_alu_const(c, false, ALU_XOR, RCX, 7);
    x_alu_const(c, false, ALU_CMP, RDX, 8);
    x_cmov(c, CC_AE, RCX, RDX);
    x_alu_mem_const(c, false, ALU_CMP, x86_frame(FRAME_VALUE), 0);
    x_cmov(c, CC_E, RCX, RDX);
    x_const(c, RAX, 1);
    x_shift_cl(c, false, SHIFT_SHL, RAX);
    x86_put(l, ir->dst, RAX);
}

/* Of ROUNDSS and ROUNDSD, which say nothing of what they have rounded. */
enum { TO_FLOOR = 9, TO_CEILING = 10, TO_ZERO = 11 };

static void round_to(struct lowering *l, const struct ir *ir, unsigned to, unsigned from,
                     unsigned how)
{
    x_reg(&l->c, false, X86_PREFIX(0x66, ir->sub == IR_D ? 0x0f3a0b : 0x0f3a0a), to, from);
    put8(&l->c, how);
}

/* xmm1: xmm0 rounded to an integer, without flags. */
static void round_float(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (ir->imm != ROUND_AWAY) {
        round_to(l, ir, XMM1, XMM0, ir->imm == ROUND_DOWN ? TO_FLOOR : TO_CEILING);
        return;
    }
    /* What is left of half of one or more makes one more: all of this is exact. */
    round_to(l, ir, XMM1, XMM0, TO_ZERO);
    move(c, XMM2, XMM0);
    x_reg(c, false, scalar(ir, 0x0f5c), XMM2, XMM1);
    x_reg(c, false, scalar(ir, 0x0f58), XMM2, XMM2);
    round_to(l, ir, XMM2, XMM2, TO_ZERO);
    x_reg(c, false, scalar(ir, 0x0f58), XMM1, XMM2);
}

/* Out of range: all sign, which is a result, too; the interpreter knows which. */
static void lower_to_int(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const bool wide = ir->c != IR_INT_W;
    const bool rounded = ir->imm >= ROUND_DOWN && ir->imm <= ROUND_AWAY;
    const uint32_t opcode = ir->imm == ROUND_ZERO || rounded ? 0x0f2c : 0x0f2d;
    unsigned from;

    check_boxes(l, ir);
    if (rounded && !x86_features.sse41) {
        x86_later(l, LATE_LEAVE, x_jmp(c), ir);
        return;
    }
    if (rounded) {
        load_float(l, XMM0, ir->a);
        round_float(l, ir);
        from = XMM1;
    } else {
        from = use_float(l, XMM0, ir->a);
    }
    if (ir->c == IR_INT_WU || ir->c == IR_INT_LU) {
        /* Looked at before: the conversion of what is out of range would raise "inexact". */
        int64_t limit = ir->sub == IR_D
                            ? (ir->c == IR_INT_WU ? 0x41f0000000000000 : 0x43e0000000000000)
                            : (ir->c == IR_INT_WU ? 0x4f800000 : 0x5f000000);
        x_const(c, RAX, limit - (ir->c == IR_INT_WU ? (ir->sub == IR_D ? 0x200000 : 1) : 0));
        x_reg(c, true, X86_PREFIX(0x66, 0x0f6e), XMM2, RAX);
        compare_floats(l, ir, true, XMM2, from);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_BE), ir); /* too large, or a NaN */
        x_reg(c, false, 0x0f57, XMM2, XMM2);           /* xorps */
        compare_floats(l, ir, true, from, XMM2);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_B), ir); /* negative */
    }
    x_reg(c, wide, scalar(ir, opcode), RAX, from);
    if (ir->c == IR_INT_W) {
        x_alu_const(c, false, ALU_CMP, RAX, INT32_MIN);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    } else if (ir->c == IR_INT_L) {
        x_const(c, RCX, INT64_MIN);
        x_alu(c, true, ALU_CMP, RAX, RCX);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_E), ir);
    }
    if (rounded) /* it is in range: this raises "inexact" if it is not an integer */
        x_reg(c, true, scalar(ir, 0x0f2c), RCX, XMM0);
    if (ir->c == IR_INT_W || ir->c == IR_INT_WU)
        x_movsxd(c, RAX, RAX);
    x86_put(l, ir->dst, RAX);
}

static void lower_from_int(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const unsigned to = float_target(l, ir);
    unsigned a = x86_use(l, ir->a, RAX);
    if (ir->c == IR_INT_WU) {
        x_mov32(c, RAX, a);
        a = RAX;
    }
    if (ir->c == IR_INT_LU) {
        x_test(c, true, a, a);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_S), ir);
    }
    const bool exact = ir->sub == IR_D && (ir->c == IR_INT_W || ir->c == IR_INT_WU);
    if (is_static(ir) && !exact) {
        /* Exact from -2^n to 2^n - 1; the interpreter rounds the others. */
        const unsigned n = ir->sub == IR_D ? 53 : 24;
        x_const(c, RCX, 1LL << n);
        x_alu(c, true, ALU_ADD, RCX, a);
        x_shift(c, true, SHIFT_SHR, RCX, n + 1);
        x86_later(l, LATE_LEAVE, x_jcc(c, CC_NE), ir);
    }
    ones(c, to); /* singles are boxed */
    x_reg(c, ir->c != IR_INT_W, scalar(ir, 0x0f2a), to, a);
    if (to == XMM0)
        store_float(l, ir->dst, XMM0);
}

static void lower_format(struct lowering *l, const struct ir *ir)
{
    check_boxes(l, ir);
    const unsigned from = use_float(l, XMM1, ir->a);
    ones(&l->c, XMM0); /* singles are boxed */
    x_reg(&l->c, false, scalar_of(ir->c, 0x0f5a), XMM0, from);
    if (x86_xmm(l, ir->dst) != NO_REG)
        move(&l->c, x86_xmm(l, ir->dst), XMM0);
    finish(l, ir);
}

static void lower_move(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (ir->op == IR_FMV_TO_X) {
        unsigned to = x86_target(l, ir->dst, RAX);
        if (x86_xmm(l, ir->a) != NO_REG) {
            x86_get(l, to, ir->a);
            if (ir->sub == IR_S)
                x_movsxd(c, to, to);
        } else {
            x_mem(c, true, ir->sub == IR_D ? 0x8b : 0x63, to, x86_home(ir->a));
        }
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
    x86_put(l, ir->dst, RAX);
}

/* ---- fcsr ---- */

static void lower_fcsr_read(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (ir->imm != CSR_frm)
        x86_get_flags(c, x86_stub(l, x86_stubs.flags));
    if (ir->imm != CSR_fflags) {
        const unsigned frm = ir->imm == CSR_frm ? RAX : RCX;
        x_mem(c, false, 0x8b, frm, mem_at(R_VCPU, VCPU(frm)));
        if (ir->imm == CSR_fcsr) {
            x_shift(c, false, SHIFT_SHL, RCX, 5);
            x_alu(c, false, ALU_OR, RAX, RCX);
        }
    }
    x86_put(l, ir->dst, RAX);
}

/* edx: what frm is to be. */
static void rounding_operand(struct lowering *l, const struct ir *ir)
{
    x86_get(l, RDX, ir->b);
    if (ir->imm == CSR_fcsr)
        x_shift(&l->c, false, SHIFT_SHR, RDX, 5);
    x_alu_const(&l->c, false, ALU_AND, RDX, 7);
}

/* Mostly they are put back as they are: flags around a comparison, rounding in a library. */
static void lower_fcsr_write(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (ir->imm != CSR_frm) {
        x86_get_flags(c, x86_stub(l, x86_stubs.flags));
        x_alu(c, false, ALU_XOR, RAX, x86_use(l, ir->b, RDX));
        put8(c, 0xa8); /* test al */
        put8(c, 31);
        x86_later(l, LATE_FLAGS, x_jcc(c, CC_NE), ir);
    }
    if (ir->imm == CSR_fflags)
        return;
    rounding_operand(l, ir);
    if (l->block->region) {
        x_mem(c, false, 0x39, RDX, mem_at(R_VCPU, VCPU(frm))); /* cmp */
        x86_later(l, LATE_ROUNDING, x_jcc(c, CC_NE), ir);
    } else {
        x_mem(c, false, 0x89, RDX, mem_at(R_VCPU, VCPU(frm)));
    }
}

void x86_late_flags(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    x86_get(l, RDX, late->ir->b);
    x_alu_const(c, false, ALU_AND, RDX, 31);
    x_mem(c, false, 0x89, RDX, mem_at(R_VCPU, VCPU(fflags)));
    x86_clear_flags(c);
    x_jmp_to(c, late->back);
}

/* What the region does is for the rounding that it was entered with. */
void x86_late_rounding(struct lowering *l, const struct late *late)
{
    const struct ir *ir = late->ir;
    rounding_operand(l, ir);
    x_mem(&l->c, false, 0x89, RDX, mem_at(R_VCPU, VCPU(frm)));
    x86_go_on_at(l, l->block->pc + ir->at + ir->length, ir->done + 1u);
}

bool x86_lower_float(struct lowering *l, const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_FCSR_READ: lower_fcsr_read(l, ir); return true;
    case IR_FCSR_WRITE: lower_fcsr_write(l, ir); return true;
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
    case IR_FCLASS: lower_class(l, ir); return true;
    case IR_FMV_TO_X:
    case IR_FMV_FROM_X: lower_move(l, ir); return true;
    default: return false;
    }
}
