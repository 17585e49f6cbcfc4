/*
 * Loops as a whole: the instructions of a page from which a loop's head can be reached again become
 * one block with jumps inside, so that a back end can keep what the loop uses in registers.
 */
#include "engine/jit/front.h"

#define NODES_MAX IR_REGION_MAX
#define NOWHERE   UINT8_MAX

struct node {
    uint16_t at;           /* bytes from the head */
    uint8_t jumps_here;    /* the first of the jumps to this node, or NOWHERE */
    bool reached, returns; /* from the head; to the head */
    bool is_target;
    /* Of those that the head reaches, once they are known. */
    bool known;
    struct insn in;
    bool falls;           /* the next node may follow */
    uint8_t taken;        /* node that a jump goes to, or NOWHERE: out of here */
    uint8_t jumps_beside; /* the next of the jumps to `taken`, or NOWHERE */
    /* Of those in a loop, found by look_at; until then none stops. */
    bool stops; /* it is not translated: the region ends before it */
    bool fp_read, fp_written, fp_nearest, vector_on;
    /* What those know that jump here and were written down; if there are any. */
    bool met;
    struct front_facts facts;
};

struct region {
    struct node nodes[NODES_MAX];
    unsigned count;
    uint8_t at[NODES_MAX * 2]; /* by halfwords from the head: the node that begins there */
    unsigned end;              /* bytes that the nodes have */
    const struct riscv_isa *isa;
    const uint8_t *code;
    unsigned room;
};

/* One node more, if there is room for it. */
static bool extend(struct region *r)
{
    if (r->count == NODES_MAX || r->end + 2 > r->room)
        return false;
    const unsigned length = insn_length(r->code[r->end]);
    if (length > r->room - r->end)
        return false;
    struct node *n = &r->nodes[r->count];
    n->at = (uint16_t)r->end;
    n->known = n->stops = n->reached = n->returns = n->is_target = n->met = false;
    n->jumps_here = NOWHERE;
    r->at[r->end / 2] = (uint8_t)r->count++;
    r->end += length;
    return true;
}

/* The node that begins so many bytes from the head. */
static uint8_t node_at(struct region *r, int64_t at)
{
    while (r->end <= at && extend(r))
        ;
    return at >= 0 && at < r->end ? r->at[at / 2] : NOWHERE;
}

/* Decodes the node and finds where it leads. */
static void know(struct region *r, uint8_t i)
{
    struct node *n = &r->nodes[i];
    n->known = true;
    front_decode(r->isa, r->code + n->at, r->room - n->at, &n->in);
    n->falls = n->in.op != OP_jal && n->in.op != OP_jalr;
    n->taken = NOWHERE;
    const bool branch = n->in.op >= OP_beq && n->in.op <= OP_bgeu;
    if (branch || (n->in.op == OP_jal && n->in.rd == 0))
        n->taken = node_at(r, n->at + (int64_t)n->in.imm);
    if (n->taken == NOWHERE)
        return;
    n->jumps_beside = r->nodes[n->taken].jumps_here;
    r->nodes[n->taken].jumps_here = i;
}

/* Nodes that are still to be gone on from. */
struct work {
    uint8_t nodes[NODES_MAX], count;
};

static void reach(struct region *r, struct work *work, unsigned i)
{
    if (r->nodes[i].reached)
        return;
    r->nodes[i].reached = true;
    work->nodes[work->count++] = (uint8_t)i;
}

static void return_from(struct region *r, struct work *work, unsigned i)
{
    struct node *n = &r->nodes[i];
    if (!n->reached || n->returns || n->stops)
        return;
    n->returns = true;
    work->nodes[work->count++] = (uint8_t)i;
}

/* Marks what the head reaches, and what of that reaches the head. False: it is no loop's. */
static bool find_loop(struct region *r)
{
    struct work work = {.count = 0};
    for (unsigned i = 0; i < r->count; i++)
        r->nodes[i].reached = r->nodes[i].returns = false;
    reach(r, &work, 0);
    while (work.count > 0) {
        const uint8_t i = work.nodes[--work.count];
        struct node *n = &r->nodes[i];
        if (n->stops)
            continue;
        if (!n->known)
            know(r, i);
        if (n->falls && (i + 1u < r->count || extend(r)))
            reach(r, &work, i + 1u);
        if (n->taken != NOWHERE)
            reach(r, &work, n->taken);
    }
    uint8_t i = 0;
    for (;;) {
        for (uint8_t from = r->nodes[i].jumps_here; from != NOWHERE;
             from = r->nodes[from].jumps_beside)
            return_from(r, &work, from);
        if (i > 0 && r->nodes[i - 1].known && r->nodes[i - 1].falls)
            return_from(r, &work, i - 1u);
        if (work.count == 0)
            return r->nodes[0].returns;
        i = work.nodes[--work.count];
    }
}

static bool is_in(const struct region *r, unsigned i)
{
    return i < r->count && r->nodes[i].returns;
}

/* What becomes of an instruction, found by translating it into `scratch`. */
static void look_at(struct node *n, uint64_t pc, struct ir_block *scratch)
{
    struct front f;
    front_begin(&f, scratch, pc);
    n->stops = front_translate(&f, &n->in) == FRONT_NOT_HERE;
    n->fp_nearest = f.fp_nearest;
    n->vector_on = f.vector_on;
    n->fp_read = n->fp_written = false;
    for (unsigned i = 0; i < scratch->count; i++) {
        const struct ir *ir = &scratch->code[i];
        n->stops = n->stops || ir->op == IR_SYSTEM || ir->op == IR_EXECUTE;
        n->fp_read = n->fp_read || ir->op == IR_FP_ON;
        n->fp_written = n->fp_written || (ir->op == IR_FP_ON && ir->sub == 1);
    }
}

/* The loop by jumps alone, then without what is not translated. */
static bool find_region(struct region *r, uint64_t pc, struct ir_block *scratch)
{
    bool stops = false;
    r->count = r->end = 0;
    memset(r->at, NOWHERE, sizeof r->at);
    if (!extend(r) || !find_loop(r))
        return false;
    for (unsigned i = 0; i < r->count; i++) {
        if (!is_in(r, i))
            continue;
        look_at(&r->nodes[i], pc + r->nodes[i].at, scratch);
        stops = stops || r->nodes[i].stops;
    }
    return !stops || find_loop(r);
}

static void exit_to(struct front *f, uint64_t pc)
{
    struct ir *ir = front_add(f, IR_JUMP);
    ir->imm = (int64_t)pc;
    ir->done = f->done;
}

/* `to` may come next, with what is known now. */
static void meet(struct node *to, const struct front_facts *now)
{
    if (to->met)
        front_meet(&to->facts, now);
    else
        to->facts = *now;
    to->met = true;
}

/* Whether a jump to the node comes from where nothing was written down yet. */
static bool is_head(const struct region *r, unsigned i)
{
    for (uint8_t from = r->nodes[i].jumps_here; from != NOWHERE; from = r->nodes[from].jumps_beside)
        if (from >= i && is_in(r, from))
            return true;
    return false;
}

static void emit_label(struct region *r, unsigned i, struct front *f)
{
    struct node *n = &r->nodes[i];
    front_add(f, IR_LABEL)->imm = (int64_t)f->pc;
    if (i > 0 && is_in(r, i - 1) && r->nodes[i - 1].falls)
        meet(n, &f->now);
    f->vtype_known = false;
    if (is_head(r, i) || !n->met)
        front_know_nothing(&f->now);
    else
        f->now = n->facts;
}

static void emit(struct region *r, unsigned i, struct front *f)
{
    struct node *n = &r->nodes[i];
    const uint64_t head = f->block->pc;

    f->at = n->at;
    f->pc = head + n->at;
    if (n->is_target)
        emit_label(r, i, f);
    front_translate(f, &n->in);
    f->done++;
    f->block->bytes = (uint16_t)(n->at + n->in.length);
    if (n->taken != NOWHERE && is_in(r, n->taken)) {
        f->block->code[f->block->count - 1].c = IR_INSIDE;
        if (n->taken > i)
            meet(&r->nodes[n->taken], &f->now);
    }
    if (n->falls && !is_in(r, i + 1))
        exit_to(f, head + f->block->bytes);
}

bool ir_translate_region(struct ir_block *block, uint64_t pc, const uint8_t *code, unsigned room)
{
    static _Thread_local struct region r;
    struct front f;
    bool fp_read = false, fp_written = false, fp_nearest = false, vector_on = false;

    r.isa = block->isa;
    r.code = code;
    r.room = room;
    if (!find_region(&r, pc, block))
        return false;
    for (unsigned i = 0; i < r.count; i++) {
        const struct node *n = &r.nodes[i];
        if (!is_in(&r, i))
            continue;
        fp_read = fp_read || n->fp_read;
        fp_written = fp_written || n->fp_written;
        fp_nearest = fp_nearest || n->fp_nearest;
        vector_on = vector_on || n->vector_on;
        if (n->taken != NOWHERE)
            r.nodes[n->taken].is_target = true;
    }
    front_begin(&f, block, pc);
    block->region = true;
    /* What floating point and vectors need is looked at once, before the loop: no instruction of it
     * changes mstatus.FS, VS or frm, and vstart stays 0. */
    f.fp_read = f.fp_written = f.fp_nearest = f.vector_on = true;
    if (fp_read)
        front_add(&f, IR_FP_ON)->sub = fp_written;
    if (fp_nearest)
        front_add(&f, IR_FP_NEAREST);
    if (vector_on)
        front_add(&f, IR_VECTOR_ON);
    for (unsigned i = 0; i < r.count; i++) {
        if (block->count + 8 > IR_BLOCK_MAX)
            return false;
        if (is_in(&r, i))
            emit(&r, i, &f);
    }
    return true;
}
