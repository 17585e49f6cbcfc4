/*
 * Loops as a whole: the instructions of a page from which a loop's head can be reached again become
 * one block with jumps inside, so that a back end can keep what the loop uses in registers.
 */
#include "engine/jit/front.h"

#define NODES_MAX IR_REGION_MAX
#define NOWHERE   UINT16_MAX

struct node {
    struct insn in;
    uint16_t at;    /* bytes from the head */
    uint16_t taken; /* node that a jump goes to, or NOWHERE: out of here */
    bool falls;     /* the next node may follow */
    bool stops;     /* it is not translated: the region ends before it */
    bool fp_read, fp_written, fp_nearest;
    bool reached, returns; /* from the head; to the head */
    bool is_target;
};

struct region {
    struct node nodes[NODES_MAX];
    unsigned count;
};

static uint16_t node_at(const struct region *r, int64_t at)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->nodes[i].at == at)
            return (uint16_t)i;
    }
    return NOWHERE;
}

/* What becomes of an instruction, found by translating it into `scratch`. */
static void look_at(struct node *n, uint64_t pc, struct ir_block *scratch)
{
    struct front f = {.block = scratch, .pc = pc};
    scratch->count = 0;
    enum front_step step = front_translate(&f, &n->in);
    n->stops = step == FRONT_NOT_HERE;
    n->falls = step == FRONT_GO_ON;
    n->fp_nearest = f.fp_nearest;
    for (unsigned i = 0; i < scratch->count; i++) {
        const struct ir *ir = &scratch->code[i];
        n->stops = n->stops || ir->op == IR_SYSTEM || ir->op == IR_EXECUTE;
        n->fp_read = n->fp_read || ir->op == IR_FP_ON;
        n->fp_written = n->fp_written || (ir->op == IR_FP_ON && ir->sub == 1);
    }
}

static bool is_branch(const struct node *n)
{
    return n->in.op >= OP_beq && n->in.op <= OP_bgeu;
}

static void decode(struct region *r, uint64_t pc, const uint8_t *code, unsigned room,
                   struct ir_block *scratch)
{
    unsigned at = 0, length;
    for (r->count = 0; r->count < NODES_MAX && at + 2 <= room; at += length) {
        struct node *n = &r->nodes[r->count];
        *n = (struct node){.at = (uint16_t)at, .taken = NOWHERE};
        length = front_decode(code + at, room - at, &n->in);
        if (length == 0)
            break;
        look_at(n, pc + at, scratch);
        r->count++;
    }
    for (unsigned i = 0; i < r->count; i++) {
        struct node *n = &r->nodes[i];
        if (is_branch(n) || (n->in.op == OP_jal && n->in.rd == 0))
            n->taken = node_at(r, n->at + n->in.imm);
    }
}

static bool has_next(const struct region *r, unsigned i)
{
    return r->nodes[i].falls && i + 1 < r->count;
}

/* Marks what the head reaches, and what reaches the head. False: it is no loop's. */
static bool find_loop(struct region *r)
{
    bool changed = true;
    r->nodes[0].reached = true;
    while (changed) {
        changed = false;
        for (unsigned i = 0; i < r->count; i++) {
            struct node *n = &r->nodes[i];
            if (n->stops)
                continue;
            struct node *next = has_next(r, i) ? n + 1 : NULL;
            struct node *taken = n->taken != NOWHERE ? &r->nodes[n->taken] : NULL;
            if (n->reached) {
                changed = changed || (next != NULL && !next->reached) ||
                          (taken != NULL && !taken->reached);
                if (next != NULL)
                    next->reached = true;
                if (taken != NULL)
                    taken->reached = true;
            }
            if (!n->returns && ((taken != NULL && (taken == r->nodes || taken->returns)) ||
                                (next != NULL && next->returns)))
                n->returns = changed = true;
        }
    }
    return r->nodes[0].returns;
}

static bool is_in(const struct region *r, unsigned i)
{
    return i < r->count && r->nodes[i].reached && r->nodes[i].returns;
}

static void exit_to(struct front *f, uint64_t pc)
{
    struct ir *ir = front_add(f, IR_JUMP);
    ir->imm = (int64_t)pc;
    ir->done = f->done;
}

static void emit(const struct region *r, unsigned i, struct front *f)
{
    const struct node *n = &r->nodes[i];
    const uint64_t head = f->block->pc;

    f->at = n->at;
    f->pc = head + n->at;
    if (n->is_target) {
        front_add(f, IR_LABEL)->imm = (int64_t)f->pc;
        f->known = 0;
    }
    front_translate(f, &n->in);
    f->done++;
    f->block->bytes = (uint16_t)(n->at + n->in.length);
    if (n->taken != NOWHERE && is_in(r, n->taken))
        f->block->code[f->block->count - 1].c = IR_INSIDE;
    if (n->falls && !is_in(r, i + 1)) {
        f->at = f->block->bytes;
        exit_to(f, head + f->at);
    }
}

bool ir_translate_region(struct ir_block *block, uint64_t pc, const uint8_t *code, unsigned room)
{
    static _Thread_local struct region r;
    /* What floating point needs is looked at once, before the loop: no instruction of it changes
     * mstatus.FS or frm. */
    struct front f = {.block = block, .fp_read = true, .fp_written = true, .fp_nearest = true};
    bool fp_read = false, fp_written = false, fp_nearest = false;

    block->pc = pc;
    decode(&r, pc, code, room, block);
    if (r.count == 0 || !find_loop(&r))
        return false;
    for (unsigned i = 0; i < r.count; i++) {
        const struct node *n = &r.nodes[i];
        if (!is_in(&r, i))
            continue;
        fp_read = fp_read || n->fp_read;
        fp_written = fp_written || n->fp_written;
        fp_nearest = fp_nearest || n->fp_nearest;
        if (n->taken != NOWHERE)
            r.nodes[n->taken].is_target = true;
    }
    block->count = 0;
    block->bytes = 0;
    if (fp_read)
        front_add(&f, IR_FP_ON)->sub = fp_written;
    if (fp_nearest)
        front_add(&f, IR_FP_NEAREST);
    for (unsigned i = 0; i < r.count; i++) {
        if (block->count + 8 > IR_BLOCK_MAX)
            return false;
        if (is_in(&r, i))
            emit(&r, i, &f);
    }
    block->region = true;
    return true;
}
