/*
 * Guest instructions to the intermediate form. What is not here ends the block with IR_STEP: the
 * interpreter executes it.
 */
#include "engine/jit/front.h"

#include "core/memory.h"
#include "riscv/csr.h"

void front_begin(struct front *f, struct ir_block *block, uint64_t pc)
{
    memset(f, 0, offsetof(struct front, now));
    front_know_nothing(&f->now);
    f->block = block;
    f->pc = block->pc = pc;
    block->count = block->bytes = 0;
    block->region = false;
}

void front_know_nothing(struct front_facts *facts)
{
    facts->known = facts->moves = facts->words = facts->apart = 0;
}

void front_meet(struct front_facts *facts, const struct front_facts *other)
{
    facts->words &= other->words;
    facts->known &= other->known & ~(facts->moves ^ other->moves);
    facts->apart &= other->apart;
    for (uint32_t rest = facts->known; rest != 0; rest &= rest - 1) {
        const int reg = __builtin_ctz(rest);
        if (facts->value[reg] != other->value[reg])
            facts->known &= ~(1u << reg);
    }
    for (uint32_t rest = facts->apart; rest != 0; rest &= rest - 1) {
        const int reg = __builtin_ctz(rest);
        if (facts->root[reg] != other->root[reg] || facts->distance[reg] != other->distance[reg])
            facts->apart &= ~(1u << reg);
    }
}

struct ir *front_add(struct front *f, enum ir_op op)
{
    struct ir *ir = &f->block->code[f->block->count++];
    *ir = (struct ir){.op = (uint8_t)op,
                      .b = IR_NONE,
                      .c = IR_NONE,
                      .at = f->at,
                      .done = f->done,
                      .length = f->length};
    return ir;
}

static bool is_known(const struct front *f, unsigned reg)
{
    return reg == 0 || (f->now.known >> reg & 1) != 0;
}

/* Known, and it moves with the block. */
static bool is_address(const struct front *f, unsigned reg)
{
    return reg != 0 && (f->now.known & f->now.moves) >> reg & 1;
}

static uint64_t value_of(const struct front *f, unsigned reg)
{
    return reg == 0 ? 0 : f->now.value[reg];
}

/* Of the registers that are known by a distance: those that are it from this one. */
static uint32_t depend_on(const struct front_facts *facts, uint32_t apart, unsigned reg)
{
    uint32_t found = 0;
    for (; apart != 0; apart &= apart - 1) {
        const int other = __builtin_ctz(apart);
        found |= facts->root[other] == reg ? 1u << other : 0;
    }
    return found;
}

/* The register is written. */
void front_forget(struct front *f, unsigned reg)
{
    struct front_facts *now = &f->now;
    now->known &= ~(1u << reg);
    now->words &= ~(1u << reg);
    now->apart &= ~(1u << reg | depend_on(now, now->apart, reg));
}

static void keep_distance(struct front_facts *facts, unsigned reg, int64_t distance)
{
    const bool near = distance >= -(1 << 20) && distance <= 1 << 20;
    facts->distance[reg] = near ? (int32_t)distance : 0;
    facts->apart |= near ? 1u << reg : 0;
}

/* `ir` is rd = a + imm, just settled; `apart`: before. A sum of rd itself that comes from another
 * register is written as what it is. */
static void settle_distance(struct front *f, struct ir *ir, uint32_t apart)
{
    struct front_facts *now = &f->now;
    const unsigned rd = ir->dst, from = ir->a;
    const bool known_by = (apart >> from & 1) != 0 && from != rd;
    const unsigned root = known_by ? now->root[from] : from;
    const int64_t distance = ir->imm + (known_by ? now->distance[from] : 0);
    if (root != rd) {
        now->root[rd] = (uint8_t)root;
        keep_distance(now, rd, distance);
        return;
    }
    ir->op = IR_ADD;
    ir->a = IR_X(rd);
    ir->imm = distance;
    /* What depends on it stays where it is, and it is further from what it depends on. */
    for (uint32_t rest = depend_on(now, apart, rd); rest != 0; rest &= rest - 1) {
        const unsigned other = (unsigned)__builtin_ctz(rest);
        keep_distance(now, other, now->distance[other] - distance);
    }
    if (apart >> rd & 1)
        keep_distance(now, rd, now->distance[rd] + distance);
}

/* [a + imm] by the register that others are known by, so that accesses near it share a look. Where
 * registers are not placed by their use, only the stack is worth it. */
static void from_root(const struct front *f, struct ir *ir)
{
    const struct front_facts *now = &f->now;
    if ((now->apart >> ir->a & 1) == 0 || (!f->block->region && now->root[ir->a] != 2))
        return;
    ir->imm += now->distance[ir->a];
    ir->a = IR_X(now->root[ir->a]);
}

static bool is_word(const struct front *f, ir_reg reg)
{
    return reg == IR_X(0) || (reg < 32 && (f->now.words >> reg & 1) != 0);
}

/* Whether the result is a sign-extended word; `words` is of before the operation. */
static bool gives_word(const struct front *f, const struct ir *ir)
{
    const bool constant = ir->b == IR_NONE;
    switch ((enum ir_op)ir->op) {
    case IR_AND:
        if (constant && ir->imm >= 0)
            return true; /* of 12 bits */
        return is_word(f, ir->a) && (constant || is_word(f, ir->b));
    case IR_OR:
    case IR_XOR: return is_word(f, ir->a) && (constant || is_word(f, ir->b));
    case IR_ANDN:
    case IR_ORN:
    case IR_XNOR:
    case IR_MIN:
    case IR_MAX: return is_word(f, ir->a) && is_word(f, ir->b);
    case IR_MOV: return is_word(f, ir->a);
    case IR_SRL: return constant && ir->imm > 32;
    case IR_SRA: return constant && (ir->imm >= 32 || is_word(f, ir->a));
    case IR_LOAD: return ir->sub != IR_W8 && ir->sub != IR_W4;
    case IR_FCSR_READ:
    case IR_FEQ:
    case IR_FLT:
    case IR_FLE:
    case IR_FCLASS: return true;
    case IR_FMV_TO_X: return ir->sub == IR_S;
    case IR_FCVT_TO_INT: return ir->c == IR_INT_W || ir->c == IR_INT_WU;
    case IR_ZEXT_W: return false;
    default:
        return (ir->op >= IR_ADDW && ir->op <= IR_CPOPW) || ir->op == IR_SLT || ir->op == IR_SLTU;
    }
}

/* Whether only the low words of its operands count; `b` may be another register's. */
static bool takes_words(const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_AND: return ir->b == IR_NONE && ir->imm >= 0; /* of 12 bits */
    case IR_SEXT_B:
    case IR_SEXT_H:
    case IR_SEXT_W:
    case IR_ZEXT_B:
    case IR_ZEXT_H:
    case IR_ZEXT_W: return true;
    default: return ir->op >= IR_ADDW && ir->op <= IR_MULW;
    }
}

/* `ir` overwrites the register that the operation before it wrote, with what it makes of it: a word
 * need not be extended before, and an index that is scaled and added is one operation. */
static void combine(struct front *f)
{
    struct ir *ir = &f->block->code[f->block->count - 1], *last = ir - 1;
    if (f->block->count < 2 || ir->dst == IR_X(0) || last->dst != ir->dst ||
        (ir->a != ir->dst && ir->b != ir->dst))
        return;
    if (takes_words(ir)) {
        switch ((enum ir_op)last->op) {
        case IR_ADDW: last->op = IR_ADD; break;
        case IR_SUBW: last->op = IR_SUB; break;
        case IR_MULW: last->op = IR_MUL; break;
        case IR_SEXT_W: last->op = IR_MOV; break;
        case IR_SLLW:
            if (last->b == IR_NONE) {
                last->op = IR_SLL;
                last->imm &= 31;
            }
            break;
        default: break;
        }
    }
    const ir_reg other = ir->a == ir->dst ? ir->b : ir->a;
    if (ir->op == IR_ADD && ir->b != IR_NONE && other != ir->dst && last->op == IR_SLL &&
        last->b == IR_NONE && (last->imm & 63) >= 1 && (last->imm & 63) <= 3) {
        ir->op = IR_SHADD;
        ir->sub = (uint8_t)(last->imm & 63);
        ir->a = last->a;
        ir->b = other;
        *last = *ir;
        f->block->count--;
    }
}

/* The operation that was just added is all there is to know of rd. */
static void settle(struct front *f, unsigned rd)
{
    combine(f);
    const bool word = gives_word(f, &f->block->code[f->block->count - 1]);
    front_forget(f, rd);
    f->now.words |= word ? 1u << rd : 0;
}

/* rd = rs1 << n, then rd = rd >> `count`, as `op` says: an extension of a part. False: it is none.
 */
static bool extension(struct front *f, unsigned rd, unsigned rs1, enum ir_op op, unsigned count)
{
    struct ir *last = f->block->count > 0 ? &f->block->code[f->block->count - 1] : NULL;
    if (last == NULL || last->op != IR_SLL || last->b != IR_NONE || last->dst != IR_X(rd) ||
        rs1 != rd || rd == 0)
        return false;
    const unsigned shift = (unsigned)last->imm & 63;
    const bool same = shift == count;
    enum ir_op part;
    if (op == IR_SRL && shift == 32 && count <= 32)
        part = IR_ZEXT_W;
    else if (same && shift == 48)
        part = op == IR_SRL ? IR_ZEXT_H : IR_SEXT_H;
    else if (same && shift == 56)
        part = op == IR_SRL ? IR_ZEXT_B : IR_SEXT_B;
    else if (same && shift == 32)
        part = IR_SEXT_W;
    else
        return false;
    *last = (struct ir){.op = (uint8_t)part,
                        .dst = last->dst,
                        .a = last->a,
                        .b = IR_NONE,
                        .c = IR_NONE,
                        .at = f->at,
                        .done = f->done,
                        .length = f->length};
    settle(f, rd);
    if (!same) {
        struct ir *ir = front_add(f, IR_SLL);
        ir->dst = ir->a = IR_X(rd);
        ir->imm = 32 - (int64_t)count;
        settle(f, rd);
    }
    return true;
}

static void known_value(struct front *f, unsigned rd, uint64_t value, enum ir_op op)
{
    if (rd == 0)
        return;
    /* The first half of a value that takes two instructions is seen by nobody. */
    const struct ir *last = f->block->count > 0 ? &f->block->code[f->block->count - 1] : NULL;
    if (last != NULL && (last->op == IR_CONST || last->op == IR_ADDRESS) && last->dst == IR_X(rd))
        f->block->count--;
    struct ir *ir = front_add(f, op);
    ir->dst = IR_X(rd);
    ir->imm = (int64_t)value;
    front_forget(f, rd);
    f->now.known |= 1u << rd;
    f->now.moves = (f->now.moves & ~(1u << rd)) | (op == IR_ADDRESS ? 1u << rd : 0);
    f->now.words = (f->now.words & ~(1u << rd)) |
                   (op == IR_CONST && (int64_t)value == (int32_t)value ? 1u << rd : 0);
    f->now.value[rd] = value;
}

static void constant(struct front *f, unsigned rd, uint64_t value)
{
    known_value(f, rd, value, IR_CONST);
}

static void address(struct front *f, unsigned rd, uint64_t value)
{
    known_value(f, rd, value, IR_ADDRESS);
}

static void move(struct front *f, unsigned rd, unsigned from)
{
    if (rd != 0 && is_known(f, from)) {
        known_value(f, rd, value_of(f, from), is_address(f, from) ? IR_ADDRESS : IR_CONST);
        return;
    }
    struct ir *ir = front_add(f, IR_MOV);
    ir->dst = IR_X(rd);
    ir->a = IR_X(from);
    const uint32_t apart = f->now.apart;
    settle(f, rd);
    if (rd != 0)
        settle_distance(f, ir, apart);
}

/* rd = rs1 op rs2 */
static void binary(struct front *f, const struct insn *in, enum ir_op op)
{
    if ((in->rs1 == 0 || in->rs2 == 0) && (op == IR_ADD || op == IR_OR || op == IR_XOR)) {
        move(f, in->rd, in->rs1 | in->rs2); /* C.MV is an ADD */
        return;
    }
    struct ir *ir = front_add(f, op);
    ir->dst = IR_X(in->rd);
    ir->a = IR_X(in->rs1);
    ir->b = IR_X(in->rs2);
    settle(f, in->rd);
}

static void binary_imm(struct front *f, const struct insn *in, enum ir_op op)
{
    if (in->rd == 0)
        return;
    if (op == IR_ADD && is_known(f, in->rs1)) {
        known_value(f, in->rd, value_of(f, in->rs1) + (uint64_t)(int64_t)in->imm,
                    is_address(f, in->rs1) ? IR_ADDRESS : IR_CONST);
        return;
    }
    if (op == IR_ADDW && is_known(f, in->rs1) && !is_address(f, in->rs1)) {
        constant(f, in->rd,
                 (uint64_t)(int64_t)(int32_t)((uint32_t)value_of(f, in->rs1) + (uint32_t)in->imm));
        return;
    }
    if (op == IR_SLL && is_known(f, in->rs1) && !is_address(f, in->rs1)) {
        constant(f, in->rd, value_of(f, in->rs1) << (in->imm & 63));
        return;
    }
    if ((op == IR_SRL || op == IR_SRA) && extension(f, in->rd, in->rs1, op, (unsigned)in->imm & 63))
        return;
    if (op == IR_ADDW && in->imm == 0 && in->rd == in->rs1 && is_word(f, IR_X(in->rd)))
        return;
    struct ir *ir = front_add(f, op);
    ir->dst = IR_X(in->rd);
    ir->a = IR_X(in->rs1);
    ir->imm = in->imm;
    if (op == IR_ADD && in->imm == 0)
        ir->op = IR_MOV;
    if (op == IR_ADDW && in->imm == 0)
        ir->op = is_word(f, ir->a) ? IR_MOV : IR_SEXT_W;
    if (op == IR_AND && in->imm == 255)
        ir->op = IR_ZEXT_B;
    const uint32_t apart = f->now.apart;
    settle(f, in->rd);
    if (op == IR_ADD)
        settle_distance(f, ir, apart);
}

static void unary(struct front *f, const struct insn *in, enum ir_op op)
{
    struct ir *ir = front_add(f, op);
    ir->dst = IR_X(in->rd);
    ir->a = IR_X(in->rs1);
    settle(f, in->rd);
}

void front_fp_on(struct front *f, bool written)
{
    if (written ? f->fp_written : f->fp_read)
        return;
    front_add(f, IR_FP_ON)->sub = written;
    f->fp_read = true;
    f->fp_written = f->fp_written || written;
}

void front_fp_nearest(struct front *f)
{
    if (f->fp_nearest)
        return;
    front_add(f, IR_FP_NEAREST);
    f->fp_nearest = true;
}

static void load(struct front *f, const struct insn *in, unsigned sub, bool fp)
{
    if (fp)
        front_fp_on(f, true);
    struct ir *ir = front_add(f, IR_LOAD);
    ir->dst = fp ? IR_F(in->rd) : IR_X(in->rd);
    ir->a = IR_X(in->rs1);
    ir->imm = in->imm;
    ir->sub = (uint8_t)sub;
    from_root(f, ir);
    if (!fp)
        settle(f, in->rd);
}

static void store(struct front *f, const struct insn *in, unsigned sub, bool fp)
{
    if (fp)
        front_fp_on(f, false);
    struct ir *ir = front_add(f, IR_STORE);
    ir->a = IR_X(in->rs1);
    ir->b = fp ? IR_F(in->rs2) : IR_X(in->rs2);
    ir->imm = in->imm;
    ir->sub = (uint8_t)sub;
    from_root(f, ir);
}

static void amo(struct front *f, const struct insn *in, enum ir_op op, unsigned sub,
                enum ir_amo which)
{
    struct ir *ir = front_add(f, op);
    ir->dst = IR_X(in->rd);
    ir->a = IR_X(in->rs1);
    ir->b = op == IR_LR ? IR_NONE : IR_X(in->rs2);
    ir->sub = (uint8_t)sub;
    ir->imm = which;
    front_forget(f, in->rd);
}

static void jump_to(struct front *f, uint64_t pc, enum ir_hint hint)
{
    struct ir *ir = front_add(f, IR_JUMP);
    ir->imm = (int64_t)pc;
    ir->sub = (uint8_t)hint;
    ir->done = (uint16_t)(f->done + 1);
}

static bool csr_number_is_fp(unsigned csr)
{
    return csr == CSR_fflags || csr == CSR_frm || csr == CSR_fcsr;
}

/* A CSR of floating point. The write comes last: with it rounding may be another. */
static void float_csr(struct front *f, const struct insn *in)
{
    const bool immediate = in->op == OP_csrrwi || in->op == OP_csrrsi || in->op == OP_csrrci;
    const bool swap = in->op == OP_csrrw || in->op == OP_csrrwi;
    const bool writes = swap || in->rs1 != 0;
    ir_reg operand = IR_X(in->rs1), old = IR_X(in->rd);

    front_fp_on(f, writes);
    if (writes && immediate) {
        operand = IR_T(1);
        struct ir *ir = front_add(f, IR_CONST);
        ir->dst = operand;
        ir->imm = in->rs1;
    } else if (writes && swap && in->rs1 == in->rd && in->rd != 0) {
        operand = IR_T(1);
        struct ir *ir = front_add(f, IR_MOV);
        ir->dst = operand;
        ir->a = IR_X(in->rs1);
    }
    if (!swap && writes) { /* some bits of it */
        const bool set = in->op == OP_csrrs || in->op == OP_csrrsi;
        old = IR_T(0);
        struct ir *ir = front_add(f, IR_FCSR_READ);
        ir->dst = old;
        ir->imm = in->imm;
        ir = front_add(f, set ? IR_OR : IR_ANDN);
        ir->dst = IR_T(1);
        ir->a = old;
        ir->b = operand;
        operand = IR_T(1);
    }
    if (in->rd != 0) {
        struct ir *ir = front_add(f, old == IR_T(0) ? IR_MOV : IR_FCSR_READ);
        ir->dst = IR_X(in->rd);
        ir->a = old == IR_T(0) ? old : IR_X(0);
        ir->imm = in->imm;
        settle(f, in->rd);
    }
    if (!writes)
        return;
    struct ir *ir = front_add(f, IR_FCSR_WRITE);
    ir->b = operand;
    ir->imm = in->imm;
    if (in->imm != CSR_fflags)
        f->fp_nearest = false;
}

static void csr(struct front *f, const struct insn *in)
{
    if (csr_number_is_fp((unsigned)in->imm)) {
        float_csr(f, in);
        return;
    }
    if (in->rs1 == 0 && (in->op == OP_csrrs || in->op == OP_csrrc) &&
        front_vector_csr(f, (unsigned)in->imm, in->rd))
        return;
    bool immediate = in->op == OP_csrrwi || in->op == OP_csrrsi || in->op == OP_csrrci;
    bool swap = in->op == OP_csrrw || in->op == OP_csrrwi;
    bool set = in->op == OP_csrrs || in->op == OP_csrrsi;
    struct ir *ir = front_add(f, IR_EXECUTE);
    ir->dst = IR_X(in->rd);
    ir->a = immediate ? IR_NONE : IR_X(in->rs1);
    ir->c = immediate ? in->rs1 : 0;
    ir->imm = jit_code((unsigned)in->imm,
                       swap  ? JIT_CSR_WRITE
                       : set ? JIT_CSR_SET
                             : JIT_CSR_CLEAR,
                       !swap || in->rd != 0, swap || in->rs1 != 0);
    front_forget(f, in->rd);
    /* mstatus.FS and VS, and vstart, may be others. */
    f->fp_read = f->fp_written = f->fp_nearest = f->vector_on = false;
}

/* What is no CSR's, and gives nothing; `a`: a register or IR_NONE. */
static void execute(struct front *f, ir_reg a, enum jit_kind kind, unsigned allowed_by)
{
    struct ir *ir = front_add(f, IR_EXECUTE);
    ir->dst = IR_X(0);
    ir->a = a;
    ir->imm = jit_code(allowed_by, kind, false, false);
}

/* A link register (Unprivileged ISA, 2.5.1). The other, t0, is that of few routines. */
static bool is_link(unsigned reg)
{
    return reg == 1;
}

static void jump_reg(struct front *f, const struct insn *in)
{
    uint64_t next = f->pc + in->length;
    unsigned from = in->rs1;
    enum ir_hint hint = is_link(in->rd)                   ? IR_CALL
                        : is_link(in->rs1) && in->rd == 0 ? IR_RETURN
                                                          : IR_PLAIN;
    if (is_address(f, from)) {
        uint64_t target = (value_of(f, from) + (uint64_t)(int64_t)in->imm) & ~1ULL;
        address(f, in->rd, next);
        jump_to(f, target, hint);
        return;
    }
    ir_reg target = IR_X(from);
    if (in->imm != 0 || (in->rd == from && in->rd != 0)) {
        struct ir *sum = front_add(f, IR_ADD);
        sum->dst = IR_T(0);
        sum->a = IR_X(from);
        sum->imm = in->imm;
        target = IR_T(0);
    }
    address(f, in->rd, next);
    struct ir *ir = front_add(f, IR_JUMP_REG);
    ir->a = target;
    ir->sub = (uint8_t)hint;
    ir->done = (uint16_t)(f->done + 1);
}

static void branch(struct front *f, const struct insn *in, enum ir_condition condition)
{
    struct ir *ir = front_add(f, IR_BRANCH);
    ir->a = IR_X(in->rs1);
    ir->b = IR_X(in->rs2);
    ir->sub = (uint8_t)condition;
    ir->imm = (int64_t)(f->pc + (uint64_t)(int64_t)in->imm);
    ir->done = (uint16_t)(f->done + 1);
}

static void shift_add(struct front *f, const struct insn *in, enum ir_op op, unsigned shift)
{
    binary(f, in, op);
    f->block->code[f->block->count - 1].sub = (uint8_t)shift;
}

/* ---- floating point ---- */

enum shape { SHAPE_NONE, FFF, FF, FFFF, XFF, XF_INT, FX_INT, F_F, X_F, F_X };

static const struct {
    uint8_t shape, op, sub;
    uint8_t c; /* conversions: the other format */
} floats[OP_COUNT] = {
#define BOTH(name, shape, op)                                                                      \
    [OP_##name##_s] = {shape, op, IR_S, 0}, [OP_##name##_d] = {shape, op, IR_D, 0}
    BOTH(fadd, FFF, IR_FADD),
    BOTH(fsub, FFF, IR_FSUB),
    BOTH(fmul, FFF, IR_FMUL),
    BOTH(fdiv, FFF, IR_FDIV),
    BOTH(fsqrt, FF, IR_FSQRT),
    BOTH(fmadd, FFFF, IR_FMADD),
    BOTH(fmsub, FFFF, IR_FMSUB),
    BOTH(fnmsub, FFFF, IR_FNMSUB),
    BOTH(fnmadd, FFFF, IR_FNMADD),
    BOTH(fmin, FFF, IR_FMIN),
    BOTH(fmax, FFF, IR_FMAX),
    BOTH(fsgnj, FFF, IR_FSGNJ),
    BOTH(fsgnjn, FFF, IR_FSGNJN),
    BOTH(fsgnjx, FFF, IR_FSGNJX),
    BOTH(feq, XFF, IR_FEQ),
    BOTH(flt, XFF, IR_FLT),
    BOTH(fle, XFF, IR_FLE),
#undef BOTH
#define INT(name, int)                                                                             \
    [OP_fcvt_##name##_s] = {XF_INT, IR_FCVT_TO_INT, IR_S, int},                                    \
    [OP_fcvt_##name##_d] = {XF_INT, IR_FCVT_TO_INT, IR_D, int},                                    \
    [OP_fcvt_s_##name] = {FX_INT, IR_FCVT_FROM_INT, IR_S, int},                                    \
    [OP_fcvt_d_##name] = {FX_INT, IR_FCVT_FROM_INT, IR_D, int}
    INT(w, IR_INT_W),
    INT(wu, IR_INT_WU),
    INT(l, IR_INT_L),
    INT(lu, IR_INT_LU),
#undef INT
    [OP_fcvt_s_d] = {F_F, IR_FCVT_FORMAT, IR_S, IR_D},
    [OP_fcvt_d_s] = {F_F, IR_FCVT_FORMAT, IR_D, IR_S},
    [OP_fclass_s] = {X_F, IR_FCLASS, IR_S, 0},
    [OP_fclass_d] = {X_F, IR_FCLASS, IR_D, 0},
    [OP_fmv_x_w] = {X_F, IR_FMV_TO_X, IR_S, 0},
    [OP_fmv_x_d] = {X_F, IR_FMV_TO_X, IR_D, 0},
    [OP_fmv_w_x] = {F_X, IR_FMV_FROM_X, IR_S, 0},
    [OP_fmv_d_x] = {F_X, IR_FMV_FROM_X, IR_D, 0},
};

/* The rounding mode as the instruction has it counts for what rounds; others have it 0 here. */
static bool rounds(const struct insn *in)
{
    switch (insn_table[in->op].format) {
    case FMT_FR:
    case FMT_FR4:
    case FMT_FCVT:
    case FMT_FTOX:
    case FMT_FFROMX: return true;
    default: return false;
    }
}

static enum front_step floating(struct front *f, const struct insn *in)
{
    unsigned shape = floats[in->op].shape;
    bool to_x = shape == XFF || shape == XF_INT || shape == X_F;
    bool from_x = shape == FX_INT || shape == F_X;
    /* Only what the back end does by itself: nearest even; all modes to and from integers. */
    const bool integer = shape == XF_INT || shape == FX_INT;
    if (shape == SHAPE_NONE ||
        (rounds(in) && in->rm != 0 && in->rm != 7 && !(in->rm <= 4 && integer)))
        return FRONT_NOT_HERE;
    front_fp_on(f, shape != X_F);
    if (rounds(in) && in->rm == 7)
        front_fp_nearest(f);
    struct ir *ir = front_add(f, (enum ir_op)floats[in->op].op);
    ir->sub = floats[in->op].sub;
    ir->dst = to_x ? IR_X(in->rd) : IR_F(in->rd);
    ir->a = from_x ? IR_X(in->rs1) : IR_F(in->rs1);
    if (shape == FFF || shape == FFFF || shape == XFF)
        ir->b = IR_F(in->rs2);
    ir->c = shape == FFFF ? IR_F(in->rs3) : floats[in->op].c;
    ir->imm = rounds(in) ? in->rm : 0;
    if (to_x)
        settle(f, in->rd);
    return FRONT_GO_ON;
}

#define SUCC_READ  2
#define PRED_WRITE (1 << 4)

enum front_step front_translate(struct front *f, const struct insn *in)
{
    static const struct {
        uint8_t kind; /* 1: binary, 2: binary_imm, 3: unary */
        uint8_t op;
    } plain[OP_COUNT] = {
        [OP_add] = {1, IR_ADD},
        [OP_sub] = {1, IR_SUB},
        [OP_and] = {1, IR_AND},
        [OP_or] = {1, IR_OR},
        [OP_xor] = {1, IR_XOR},
        [OP_andn] = {1, IR_ANDN},
        [OP_orn] = {1, IR_ORN},
        [OP_xnor] = {1, IR_XNOR},
        [OP_sll] = {1, IR_SLL},
        [OP_srl] = {1, IR_SRL},
        [OP_sra] = {1, IR_SRA},
        [OP_rol] = {1, IR_ROL},
        [OP_ror] = {1, IR_ROR},
        [OP_slt] = {1, IR_SLT},
        [OP_sltu] = {1, IR_SLTU},
        [OP_min] = {1, IR_MIN},
        [OP_minu] = {1, IR_MINU},
        [OP_max] = {1, IR_MAX},
        [OP_maxu] = {1, IR_MAXU},
        [OP_bset] = {1, IR_BSET},
        [OP_bclr] = {1, IR_BCLR},
        [OP_binv] = {1, IR_BINV},
        [OP_bext] = {1, IR_BEXT},
        [OP_mul] = {1, IR_MUL},
        [OP_mulh] = {1, IR_MULH},
        [OP_mulhsu] = {1, IR_MULHSU},
        [OP_mulhu] = {1, IR_MULHU},
        [OP_clmul] = {1, IR_CLMUL},
        [OP_clmulh] = {1, IR_CLMULH},
        [OP_clmulr] = {1, IR_CLMULR},
        [OP_div] = {1, IR_DIV},
        [OP_divu] = {1, IR_DIVU},
        [OP_rem] = {1, IR_REM},
        [OP_remu] = {1, IR_REMU},
        [OP_addw] = {1, IR_ADDW},
        [OP_subw] = {1, IR_SUBW},
        [OP_sllw] = {1, IR_SLLW},
        [OP_srlw] = {1, IR_SRLW},
        [OP_sraw] = {1, IR_SRAW},
        [OP_rolw] = {1, IR_ROLW},
        [OP_rorw] = {1, IR_RORW},
        [OP_mulw] = {1, IR_MULW},
        [OP_divw] = {1, IR_DIVW},
        [OP_divuw] = {1, IR_DIVUW},
        [OP_remw] = {1, IR_REMW},
        [OP_remuw] = {1, IR_REMUW},
        [OP_czero_eqz] = {1, IR_CZERO_EQZ},
        [OP_czero_nez] = {1, IR_CZERO_NEZ},
        [OP_addi] = {2, IR_ADD},
        [OP_andi] = {2, IR_AND},
        [OP_ori] = {2, IR_OR},
        [OP_xori] = {2, IR_XOR},
        [OP_slli] = {2, IR_SLL},
        [OP_srli] = {2, IR_SRL},
        [OP_srai] = {2, IR_SRA},
        [OP_rori] = {2, IR_ROR},
        [OP_slti] = {2, IR_SLT},
        [OP_sltiu] = {2, IR_SLTU},
        [OP_bseti] = {2, IR_BSET},
        [OP_bclri] = {2, IR_BCLR},
        [OP_binvi] = {2, IR_BINV},
        [OP_bexti] = {2, IR_BEXT},
        [OP_addiw] = {2, IR_ADDW},
        [OP_slliw] = {2, IR_SLLW},
        [OP_srliw] = {2, IR_SRLW},
        [OP_sraiw] = {2, IR_SRAW},
        [OP_roriw] = {2, IR_RORW},
        [OP_slli_uw] = {2, IR_SLLI_UW},
        [OP_sext_b] = {3, IR_SEXT_B},
        [OP_sext_h] = {3, IR_SEXT_H},
        [OP_zext_h] = {3, IR_ZEXT_H},
        [OP_clz] = {3, IR_CLZ},
        [OP_ctz] = {3, IR_CTZ},
        [OP_cpop] = {3, IR_CPOP},
        [OP_clzw] = {3, IR_CLZW},
        [OP_ctzw] = {3, IR_CTZW},
        [OP_cpopw] = {3, IR_CPOPW},
        [OP_rev8] = {3, IR_REV8},
        [OP_orc_b] = {3, IR_ORC_B},
    };
    static const uint8_t amos[OP_COUNT] = {
        [OP_amoswap_w] = 1 + IR_SWAP,        [OP_amoadd_w] = 1 + IR_AMO_ADD,
        [OP_amoxor_w] = 1 + IR_AMO_XOR,      [OP_amoand_w] = 1 + IR_AMO_AND,
        [OP_amoor_w] = 1 + IR_AMO_OR,        [OP_amomin_w] = 1 + IR_AMO_MIN,
        [OP_amomax_w] = 1 + IR_AMO_MAX,      [OP_amominu_w] = 1 + IR_AMO_MINU,
        [OP_amomaxu_w] = 1 + IR_AMO_MAXU,    [OP_amoswap_d] = 0x41 + IR_SWAP,
        [OP_amoadd_d] = 0x41 + IR_AMO_ADD,   [OP_amoxor_d] = 0x41 + IR_AMO_XOR,
        [OP_amoand_d] = 0x41 + IR_AMO_AND,   [OP_amoor_d] = 0x41 + IR_AMO_OR,
        [OP_amomin_d] = 0x41 + IR_AMO_MIN,   [OP_amomax_d] = 0x41 + IR_AMO_MAX,
        [OP_amominu_d] = 0x41 + IR_AMO_MINU, [OP_amomaxu_d] = 0x41 + IR_AMO_MAXU,
    };

    f->length = in->length;
    if (insn_table[in->op].flags & INSN_VEC)
        return front_vector(f, in);
    switch (plain[in->op].kind) {
    case 1: binary(f, in, plain[in->op].op); return FRONT_GO_ON;
    case 2: binary_imm(f, in, plain[in->op].op); return FRONT_GO_ON;
    case 3: unary(f, in, plain[in->op].op); return FRONT_GO_ON;
    default: break;
    }
    if (amos[in->op] != 0) {
        bool wide = (amos[in->op] & 0x40) != 0;
        amo(f, in, IR_AMO, wide ? IR_W8 : IR_W4, (enum ir_amo)((amos[in->op] & 0x3f) - 1));
        return FRONT_GO_ON;
    }
    switch (in->op) {
    case OP_lui: constant(f, in->rd, (uint64_t)(int64_t)in->imm); return FRONT_GO_ON;
    case OP_auipc: address(f, in->rd, f->pc + (uint64_t)(int64_t)in->imm); return FRONT_GO_ON;
    case OP_sh1add: shift_add(f, in, IR_SHADD, 1); return FRONT_GO_ON;
    case OP_sh2add: shift_add(f, in, IR_SHADD, 2); return FRONT_GO_ON;
    case OP_sh3add: shift_add(f, in, IR_SHADD, 3); return FRONT_GO_ON;
    case OP_add_uw: shift_add(f, in, IR_SHADD_UW, 0); return FRONT_GO_ON;
    case OP_sh1add_uw: shift_add(f, in, IR_SHADD_UW, 1); return FRONT_GO_ON;
    case OP_sh2add_uw: shift_add(f, in, IR_SHADD_UW, 2); return FRONT_GO_ON;
    case OP_sh3add_uw: shift_add(f, in, IR_SHADD_UW, 3); return FRONT_GO_ON;
    case OP_lb: load(f, in, IR_W1 | IR_SIGNED, false); return FRONT_GO_ON;
    case OP_lh: load(f, in, IR_W2 | IR_SIGNED, false); return FRONT_GO_ON;
    case OP_lw: load(f, in, IR_W4 | IR_SIGNED, false); return FRONT_GO_ON;
    case OP_ld: load(f, in, IR_W8, false); return FRONT_GO_ON;
    case OP_lbu: load(f, in, IR_W1, false); return FRONT_GO_ON;
    case OP_lhu: load(f, in, IR_W2, false); return FRONT_GO_ON;
    case OP_lwu: load(f, in, IR_W4, false); return FRONT_GO_ON;
    case OP_flw: load(f, in, IR_W4, true); return FRONT_GO_ON;
    case OP_fld: load(f, in, IR_W8, true); return FRONT_GO_ON;
    case OP_sb: store(f, in, IR_W1, false); return FRONT_GO_ON;
    case OP_sh: store(f, in, IR_W2, false); return FRONT_GO_ON;
    case OP_sw: store(f, in, IR_W4, false); return FRONT_GO_ON;
    case OP_sd: store(f, in, IR_W8, false); return FRONT_GO_ON;
    case OP_fsw: store(f, in, IR_W4, true); return FRONT_GO_ON;
    case OP_fsd: store(f, in, IR_W8, true); return FRONT_GO_ON;
    case OP_lr_w: amo(f, in, IR_LR, IR_W4, 0); return FRONT_GO_ON;
    case OP_lr_d: amo(f, in, IR_LR, IR_W8, 0); return FRONT_GO_ON;
    case OP_sc_w: amo(f, in, IR_SC, IR_W4, 0); return FRONT_GO_ON;
    case OP_sc_d: amo(f, in, IR_SC, IR_W8, 0); return FRONT_GO_ON;
    case OP_fence:
        front_add(f, IR_FENCE)->sub =
            (in->imm & (PRED_WRITE | SUCC_READ)) == (PRED_WRITE | SUCC_READ) ? IR_FENCE_FULL
                                                                             : IR_FENCE_ORDER;
        return FRONT_GO_ON;
    case OP_pause: execute(f, IR_NONE, JIT_PAUSE, 0); return FRONT_GO_ON;
    case OP_cbo_zero: execute(f, IR_X(in->rs1), JIT_ZERO, ENVCFG_CBZE); return FRONT_GO_ON;
    case OP_cbo_inval: execute(f, IR_X(in->rs1), JIT_MANAGE, ENVCFG_CBIE); return FRONT_GO_ON;
    case OP_cbo_clean:
    case OP_cbo_flush: execute(f, IR_X(in->rs1), JIT_MANAGE, ENVCFG_CBCFE); return FRONT_GO_ON;
    case OP_prefetch_i:
    case OP_prefetch_r:
    case OP_prefetch_w: return FRONT_GO_ON;
    case OP_beq: branch(f, in, IR_EQ); return FRONT_GO_ON;
    case OP_bne: branch(f, in, IR_NE); return FRONT_GO_ON;
    case OP_blt: branch(f, in, IR_LT); return FRONT_GO_ON;
    case OP_bge: branch(f, in, IR_GE); return FRONT_GO_ON;
    case OP_bltu: branch(f, in, IR_LTU); return FRONT_GO_ON;
    case OP_bgeu: branch(f, in, IR_GEU); return FRONT_GO_ON;
    case OP_jal:
        address(f, in->rd, f->pc + in->length);
        jump_to(f, f->pc + (uint64_t)(int64_t)in->imm, is_link(in->rd) ? IR_CALL : IR_PLAIN);
        return FRONT_LAST;
    case OP_jalr: jump_reg(f, in); return FRONT_LAST;
    case OP_csrrw:
    case OP_csrrs:
    case OP_csrrc:
    case OP_csrrwi:
    case OP_csrrsi:
    case OP_csrrci: csr(f, in); return FRONT_GO_ON;
    case OP_ecall:
    case OP_sret:
    case OP_mret:
    case OP_fence_i:
    case OP_sfence_vma:
    case OP_sinval_vma:
        front_add(f, IR_SYSTEM)->imm = jit_system_code(in->op, in->rs1, in->rs2);
        return FRONT_LAST;
    default: return floating(f, in);
    }
}

unsigned front_decode(const struct riscv_isa *isa, const uint8_t *code, unsigned room,
                      struct insn *in)
{
    uint32_t raw = (uint32_t)code[0] | (uint32_t)code[1] << 8;
    unsigned length = insn_length((uint16_t)raw);
    if (length > room)
        return 0;
    if (length == 4)
        raw |= (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
    insn_decode_of(raw, isa, in);
    return length;
}

void ir_translate_crossing(struct ir_block *block, uint64_t pc, uint32_t raw)
{
    struct front f;
    struct insn in;

    front_begin(&f, block, pc);
    block->bytes = 2; /* in this page */
    insn_decode_of(raw, block->isa, &in);
    front_add(&f, IR_SAME)->imm = raw >> 16;
    enum front_step step = front_translate(&f, &in);
    if (step == FRONT_NOT_HERE)
        front_add(&f, IR_STEP)->imm = (int64_t)pc;
    else if (step == FRONT_GO_ON)
        jump_to(&f, pc + 4, IR_PLAIN);
}

bool ir_translate(struct ir_block *block, uint64_t pc, const uint8_t *code, unsigned room)
{
    struct front f;
    bool branched = false;

    front_begin(&f, block, pc);
    while (f.done < IR_GUEST_MAX && block->bytes + 2u <= room && block->count + 8 < IR_BLOCK_MAX) {
        struct insn in;
        unsigned length = front_decode(block->isa, code + block->bytes, room - block->bytes, &in);
        if (length == 0)
            break; /* crosses into the next page */
        f.at = block->bytes;
        f.pc = pc + f.at;
        enum front_step step = front_translate(&f, &in);
        if (step == FRONT_NOT_HERE) {
            struct ir *ir = front_add(&f, IR_STEP);
            ir->imm = (int64_t)f.pc;
            block->bytes = (uint16_t)(block->bytes + length);
            return true;
        }
        block->bytes = (uint16_t)(block->bytes + length);
        f.done++;
        if (step == FRONT_LAST)
            return true;
        /* What falls through goes on, but not for ever: blocks are found where they are jumped to.
         */
        const struct ir *last = &block->code[block->count - 1];
        if (block->count > 0 && last->op == IR_BRANCH && last->at == f.at) {
            if (branched)
                break;
            branched = true;
        }
    }
    if (f.done == 0)
        return false;
    f.done--; /* jump_to counts the instruction that it is; this is none */
    jump_to(&f, pc + block->bytes, IR_PLAIN);
    return true;
}
