/*
 * Branches, and what is inside a region: labels, loops and what keeps them from going on for ever,
 * branches that become conditional moves.
 */
#include "engine/jit/x86/lower.h"

struct label *x86_label_of(struct lowering *l, uint64_t pc)
{
    for (unsigned i = 0; i < l->label_count; i++) {
        if (l->labels[i].pc == pc)
            return &l->labels[i];
    }
    return NULL;
}

void x86_find_labels(struct lowering *l)
{
    for (unsigned i = 0; i < l->block->count; i++) {
        const struct ir *ir = &l->block->code[i];
        if (ir->op != IR_LABEL)
            continue;
        if (l->label_count == LABELS_MAX) {
            l->c.full = true;
            return;
        }
        l->labels[l->label_count++] = (struct label){.pc = (uint64_t)ir->imm, .done = ir->done};
    }
}

/* Everything executed is counted from here on: so are all who come to a label. */
static void count_all(struct lowering *l, unsigned done)
{
    x86_count_done(l, done);
    l->counted = done;
}

void x86_lower_label(struct lowering *l, const struct ir *ir)
{
    struct label *label = x86_label_of(l, (uint64_t)ir->imm);
    count_all(l, ir->done);
    if (label != NULL)
        label->at = l->c.at;
    x86_joins(l);
}

/* The jump at `from` goes to the label of `pc`. */
static void to_label(struct lowering *l, x86_hole from, uint64_t pc)
{
    struct label *label = x86_label_of(l, pc);
    if (label == NULL || l->jump_count == JUMPS_MAX) {
        l->c.full = true;
    } else if (label->at != NULL) {
        x_fill(&l->c, from, label->at);
    } else {
        l->jumps[l->jump_count].from = from;
        l->jumps[l->jump_count++].label = (uint8_t)(label - l->labels);
    }
}

/* An operation that jumps to a label of the region. */
static bool is_inside(const struct ir *ir)
{
    return (ir->op == IR_BRANCH || ir->op == IR_JUMP) && ir->c == IR_INSIDE;
}

/* Whether all jumps to the label come from between `head` and `end`. */
static bool is_entered_from(const struct lowering *l, const struct ir *label, const struct ir *head,
                            const struct ir *end)
{
    for (unsigned i = 0; i < l->block->count; i++) {
        const struct ir *from = &l->block->code[i];
        if (is_inside(from) && from->imm == label->imm && (from < head || from > end))
            return false;
    }
    return true;
}

/*
 * The loop that ends with `end` cannot go round for long without a rare path that looks at the
 * kick: it has no other loop in it and no other way in than its head, and whatever way it takes
 * there is a look at a window of the frame whose base moves each time.
 */
static bool leaves_its_window(const struct lowering *l, const struct ir *end)
{
    uint32_t moved = 0, looked = 0; /* registers */
    const struct ir *head = end;
    while (head > l->block->code && !(head->op == IR_LABEL && head->imm == end->imm))
        head--;
    const int64_t end_pc = (int64_t)l->block->pc + end->at;
    int64_t skipped_to = INT64_MIN; /* a branch leads over what is before this pc */
    for (const struct ir *ir = head + 1; ir < end; ir++) {
        const int64_t pc = (int64_t)l->block->pc + ir->at;
        if (ir->op == IR_LABEL && !is_entered_from(l, ir, head, end))
            return false;
        if (is_inside(ir) && ir->imm <= pc)
            return false;
        if (is_inside(ir) && ir->imm <= end_pc && ir->imm > skipped_to)
            skipped_to = ir->imm; /* farther on it leaves the loop */
        if (pc < skipped_to)
            continue;
        const struct group *g = x86_group_of(l, ir);
        if (g != NULL && g->kind >= GROUP_UP && &l->block->code[g->first] == ir)
            looked |= 1u << ir->a;
        if (ir->dst < 32 && (x86_stride(ir) != IR_NONE || (ir->op == IR_ADD && ir->a == ir->dst &&
                                                           ir->b == IR_NONE && ir->imm != 0)))
            moved |= 1u << ir->dst;
    }
    return (moved & looked) != 0;
}

/* Before a branch or jump inside: counted is what it says, but for itself if the kick is seen. */
static void before_inside(struct lowering *l, const struct ir *ir)
{
    if (x86_is_backward(l, ir, (uint64_t)ir->imm)) {
        if (leaves_its_window(l, ir))
            l->slides_kick = true;
        else
            x86_check_kick(l, ir);
    }
    count_all(l, ir->done);
}

void x86_end_places(struct lowering *l)
{
    struct x86_code *c = &l->c;
    for (unsigned i = 0; i < l->jump_count; i++) {
        const struct label *label = &l->labels[l->jumps[i].label];
        if (label->at == NULL)
            c->full = true; /* there is no such region */
        else
            x_fill(c, l->jumps[i].from, label->at);
    }
    const uint8_t *spill = c->at;
    if (l->call_count > 0) {
        x86_emit_spill(c, &l->place);
        x_ret(c);
    }
    const uint8_t *fill = c->at;
    if (l->call_count > 0) {
        x86_emit_fill(c, &l->place, false);
        x_ret(c);
    }
    for (unsigned i = 0; i < l->call_count; i++)
        x_fill(c, l->calls[i].from, l->calls[i].fill ? fill : spill);
}

static const uint8_t branch_cc[] = {CC_E, CC_NE, CC_L, CC_GE, CC_B, CC_AE};

void x86_lower_branch(struct lowering *l, const struct ir *ir)
{
    enum x86_cc cc = branch_cc[ir->sub];
    struct ir operands = *ir; /* its imm is the target */
    operands.imm = 0;
    if (ir->b == IR_NONE)
        operands.b = IR_X(0);
    if (ir->c == IR_INSIDE) {
        before_inside(l, ir);
        x86_compare(l, &operands);
        to_label(l, x_jcc(&l->c, cc), (uint64_t)ir->imm);
        return;
    }
    /* test leaves CF clear, so the unsigned conditions hold against 0 too. */
    if (x86_may_link(l, ir)) {
        count_all(l, ir->done);
        uint8_t *const begin = l->c.at;
        x86_compare(l, &operands); /* for its length: nothing is to be between it and the jump */
        const ptrdiff_t length = l->c.at - begin;
        l->c.at = begin;
        x86_align_branch(l, (unsigned)length);
        if (l->fresh_at == begin)
            l->fresh_at = l->c.at;
        x86_compare(l, &operands);
        x86_link_branch(l, cc, (uint64_t)ir->imm);
        return;
    }
    x86_compare(l, &operands);
    x86_later(l, LATE_BRANCH, x_jcc(&l->c, cc), ir);
}

/* Operations whose lowering leaves rdx alone but as a destination. */
static bool is_plain(const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_SLL:
    case IR_SRL:
    case IR_SRA:
    case IR_SLLW:
    case IR_SRLW:
    case IR_SRAW: return x86_is_imm(ir);
    case IR_CONST:
    case IR_MOV:
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_ADDW:
    case IR_SUBW:
    case IR_SEXT_B:
    case IR_SEXT_H:
    case IR_SEXT_W:
    case IR_ZEXT_B:
    case IR_ZEXT_H:
    case IR_ZEXT_W: return true;
    default: return false;
    }
}

/* Operations whose lowering, and whose rare paths that come back, leave rdx as it is or say so. */
bool x86_keeps_rdx(const struct ir *ir)
{
    switch ((enum ir_op)ir->op) {
    case IR_LOAD:
    case IR_STORE:
    case IR_BRANCH:
    case IR_ADDRESS:
    case IR_SLL:
    case IR_SRL:
    case IR_SRA:
    case IR_SLLW:
    case IR_SRLW:
    case IR_SRAW:
    case IR_SLT:
    case IR_SLTU:
    case IR_SHADD:
    case IR_MUL:
    case IR_MULW: return true;
    default: return is_plain(ir);
    }
}

#define SKIP_MOST 3 /* operations, and instructions */

/*
 * A branch over a few plain operations: nothing is gained by guessing whether it is taken. How many
 * they are; 0: it is none.
 */
unsigned x86_is_skip(const struct ir_block *block, unsigned i)
{
    const struct ir *branch = &block->code[i];
    if (!block->region || branch->op != IR_BRANCH || branch->c != IR_INSIDE)
        return 0;
    for (unsigned n = 1; i + n < block->count; n++) {
        const struct ir *ir = branch + n;
        if (ir->op == IR_LABEL)
            return ir->imm == branch->imm && ir->done - branch->done <= SKIP_MOST ? n - 1 : 0;
        if (n > SKIP_MOST || !is_plain(ir) || ir->dst == IR_X(0) || ir->dst >= 32)
            return 0;
    }
    return 0;
}

/* Where the results of what is skipped are until it is known whether they count. */
struct skipped {
    uint32_t written;
    ir_reg from[32]; /* by register: the other that has it, a temporary or rdx */
};

static ir_reg renamed(const struct skipped *s, ir_reg reg)
{
    return reg < 32 && (s->written >> reg & 1) != 0 ? s->from[reg] : reg;
}

/* Executes the operations for `s`, and changes no register of the guest. */
static void lower_skipped(struct lowering *l, const struct ir *over, unsigned count,
                          struct skipped *s)
{
    uint32_t all = 0;
    for (unsigned i = 0; i < count; i++)
        all |= 1u << over[i].dst;
    s->written = 0;
    for (unsigned i = 0; i < count; i++) {
        struct ir ir = over[i];
        ir.a = renamed(s, ir.a);
        if (!x86_is_imm(&ir))
            ir.b = renamed(s, ir.b);
        const bool as_it_is =
            ir.op == IR_MOV && ir.a != IR_X(0) && (ir.a >= 32 || (all >> ir.a & 1) == 0);
        ir.dst = i + 1 == count ? IR_RDX : IR_T(i);
        if (!as_it_is)
            x86_lower_one(l, &ir);
        s->from[over[i].dst] = as_it_is ? ir.a : ir.dst;
        s->written |= 1u << over[i].dst;
    }
}

/* to = reg, if cc; flags stay. */
static void move_if(struct lowering *l, enum x86_cc cc, unsigned to, ir_reg reg)
{
    if (x86_target(l, reg, NO_REG) != NO_REG)
        x_cmov(&l->c, cc, to, x86_target(l, reg, NO_REG));
    else
        x_mem(&l->c, true, 0x0f40u | cc, to, x86_home(reg));
}

/* The operations take effect if the branch is not taken; then they count. */
void x86_lower_skip(struct lowering *l, const struct ir *branch, unsigned count)
{
    struct x86_code *c = &l->c;
    struct skipped s;
    struct ir operands = *branch;
    const unsigned instructions = branch[count + 1].done - branch->done;
    const bool zero = branch->b == IR_NONE || branch->b == IR_X(0);
    enum x86_cc taken = branch_cc[branch->sub];

    lower_skipped(l, branch + 1, count, &s);
    count_all(l, branch->done);
    operands.imm = 0;
    if (zero && (branch->sub == IR_EQ || branch->sub == IR_NE)) {
        x_alu_const(c, true, ALU_CMP, x86_use(l, branch->a, RAX), 1); /* below: it is 0 */
        taken = branch->sub == IR_EQ ? CC_B : CC_AE;
    } else {
        if (zero)
            operands.b = IR_X(0);
        x86_compare(l, &operands);
    }
    for (unsigned reg = 1; reg < 32; reg++) {
        if ((s.written >> reg & 1) == 0 || s.from[reg] == reg)
            continue;
        const unsigned to = x86_target(l, (ir_reg)reg, NO_REG);
        if (to == NO_REG)
            x_load(c, RAX, x86_home((ir_reg)reg));
        move_if(l, taken ^ 1, to != NO_REG ? to : RAX, s.from[reg]);
        if (to == NO_REG)
            x_store(c, x86_home((ir_reg)reg), RAX);
    }
    if (instructions == 1 && taken == CC_B) { /* r14 += 1 - CF, or CF */
        x_alu_const(c, true, ALU_SBB, R_INSTRET, -1);
    } else if (instructions == 1 && taken == CC_AE) {
        x_alu_const(c, true, ALU_ADC, R_INSTRET, 0);
    } else {
        x_setcc(c, taken ^ 1, RAX);
        x_extend8(c, RAX, RAX, false);
        if (instructions == 3)
            x_lea(c, RAX, mem_indexed(RAX, RAX, 1, 0));
        x_lea(c, R_INSTRET, mem_indexed(R_INSTRET, RAX, instructions == 2 ? 1 : 0, 0));
    }
    l->counted = branch->done + instructions;
}

void x86_lower_any_jump(struct lowering *l, const struct ir *ir)
{
    if (ir->c == IR_INSIDE) {
        before_inside(l, ir);
        to_label(l, x_jmp(&l->c), (uint64_t)ir->imm);
    } else {
        x86_lower_jump(l, ir);
    }
}
