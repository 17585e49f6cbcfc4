/* Between the files that turn the intermediate form into x86-64. */
#ifndef ENGINE_JIT_X86_LOWER_H
#define ENGINE_JIT_X86_LOWER_H

#include "engine/jit/x86/regs.h"

#define LATE_MAX 1024 /* rare paths of a block */

enum late_kind {
    LATE_LOAD,
    LATE_STORE,
    LATE_ATOMIC,
    LATE_BRANCH,
    LATE_BRANCH_KICK,
    LATE_ASK,
    LATE_LEAVE,
    LATE_KICK,
    LATE_NAN,
    LATE_CLOSE,
    LATE_FLAGS,
    LATE_ROUNDING,
    LATE_NEXT,
    LATE_FULL,
    LATE_CALL,
    LATE_FAR,
    LATE_FAR_OTHER,
    LATE_VECTOR,
    LATE_VECTOR_PART,
};

struct group;

struct late {
    enum late_kind kind;
    x86_hole from;
    const uint8_t *back;  /* where to go on */
    const uint8_t *again; /* where the look at a window begins; LATE_CALL, LATE_FAR: what is
                           * returned to, or NULL */
    const struct ir *ir;
    uint8_t host;               /* where a load's result goes */
    uint8_t width;              /* log2 */
    uint8_t clear;              /* slot of the group whose check failed, or NO_GROUP */
    uint8_t link;               /* LATE_ASK, LATE_FAR: which */
    uint16_t element;           /* LATE_VECTOR: those before it are done */
    uint8_t xmm[2];             /* LATE_NAN: of which at least one is a NaN, */
    bool single;                /* and of what format */
    uint16_t counted;           /* lowering.counted there */
    const struct group *in_rdx; /* of loads and stores: as of lowering, behind it */
};

/*
 * Loads and stores of one block by one base register, close to each other, share one look at the
 * TLB: the first checks for all, and keeps the addend of the page in a slot of the frame,
 * or 0: then each finds its own way.
 */
#define GROUPS_MAX 64
#define GROUP_SPAN 512 /* bytes */
#define NO_GROUP   0xff

struct group {
    int32_t low, high; /* offsets from the base: the first byte, past the last */
    uint16_t first, last, count;
    bool writes;
    uint8_t slot;
    uint8_t kind;    /* enum group_kind */
    uint16_t window; /* of the context, or of the frame */
};

enum group_kind {
    GROUP_PLAIN,
    GROUP_STACK,  /* by sp, not in a region: struct jit_stack */
    GROUP_WINDOW, /* struct jit_window: anywhere in a page */
    GROUP_UP,     /* of the frame: the base only grows, between looks at the TLB; */
    GROUP_DOWN,   /* or only becomes smaller */
};

/*
 * In a region, guest registers are where the region wants them: what it uses most is in host
 * registers. Between blocks all of them are where x86_pins says. XMM registers hold guest
 * floating-point registers only within a region or a block.
 */
#define PLACE_SLIDE 32
struct placement {
    uint8_t host[32];  /* of x0..x31, or NO_REG: in memory */
    uint8_t xmm[32];   /* of f0..f31, or NO_REG */
    bool moved;        /* something is not where x86_pins says */
    uint8_t guest[16]; /* in a pinned host register that holds another guest register than x86_pins
                        * says: which; or PLACE_SLIDE and a word of the frame's windows; else 0 */
    uint8_t slide[2 * X86_SLIDES]; /* of the words of the frame's windows, or NO_REG: there alone */
    uint32_t used;                 /* integer registers of the guest that the region knows */
    uint32_t written, fp_written;  /* guest registers that the region changes */
};

#define LABELS_MAX 64
#define JUMPS_MAX  160

struct label {
    uint64_t pc;
    uint16_t done;
    const uint8_t *at; /* NULL: not yet emitted */
    uint32_t boxed;    /* as lowering.boxed, on all ways here */
};

struct lowering {
    struct x86_code c;
    const struct ir_block *block;
    ptrdiff_t to_write; /* from run addresses to where they are written */
    uint32_t offset;    /* of the block in the cache */
    const uint8_t *start;
    struct jit_emitted *out;
    struct late late[LATE_MAX];
    unsigned late_count;
    struct placement place;
    unsigned windows; /* given away until now */
    unsigned slides;  /* windows of the frame */
    uint8_t slide_base[X86_SLIDES];
    bool slide_down[X86_SLIDES];
    bool slides_kick; /* a loop relies on their rare paths to look at the kick */
    uint16_t slide_weight[X86_SLIDES];
    uint16_t
        weights[IR_BLOCK_MAX]; /* of a region's operations: how often they are executed, guessed */
    const uint8_t *again;      /* see struct late */
    /* Up to here, and no further, `fresh_host` has the value of `fresh`, which is kept in memory.
     */
    const uint8_t *fresh_at;
    ir_reg fresh;
    uint8_t fresh_host;
    unsigned counted; /* instructions of the block that r14 has in it */
    struct label labels[LABELS_MAX];
    unsigned label_count;
    struct {
        x86_hole from;
        uint8_t label;
    } jumps[JUMPS_MAX]; /* inside, forward */
    unsigned jump_count;
    const uint8_t *spill, *fill; /* subroutines of a region, once they are emitted */
    struct {
        x86_hole from;
        bool fill;
    } calls[LATE_MAX]; /* of them */
    unsigned call_count;
    /* Floating-point registers: known to be boxed singles; and, of those in XMM registers, results
     * whose NaNs are not canonical yet, of doubles and of singles (`singles`). */
    uint32_t boxed, unchecked, singles;
    const struct group *in_rdx;     /* whose window's addend is there, or NULL */
    unsigned vectors;               /* about how many bytes code of vectors has, rare paths too */
    bool upper;                     /* of ymm registers, upper halves may not be 0 */
    uint8_t group_of[IR_BLOCK_MAX]; /* by operation; of loads and stores */
    struct group groups[GROUPS_MAX];
};

/* As the destination of an operation: rdx. */
#define IR_RDX 0xfe

/* Where a register is kept in memory. */
struct x86_mem x86_home(ir_reg reg);
/* Code is come to here by other ways than from what was emitted last. */
static inline void x86_joins(struct lowering *l)
{
    l->c.joined = l->c.at;
}

/* The value of `reg` in host register `to`. */
void x86_get(struct lowering *l, unsigned to, ir_reg reg);
/* The value of `reg` in some host register: its own, or `spare`. */
unsigned x86_use(struct lowering *l, ir_reg reg, unsigned spare);
/* Where a result for `reg` is best computed: in its own host register, or `spare`. */
unsigned x86_target(const struct lowering *l, ir_reg reg, unsigned spare);
/* XMM register of a floating-point register, or NO_REG. */
unsigned x86_xmm(const struct lowering *l, ir_reg reg);
void x86_put(struct lowering *l, ir_reg reg, unsigned from);
/* A rare path from `from`; those that come back do so to what follows. */
void x86_later(struct lowering *l, enum late_kind kind, x86_hole from, const struct ir *ir);

const uint8_t *x86_stub(const struct lowering *l, const uint8_t *run);

/* Around a call of a stub on a rare path: guest registers go where x86_pins says, and back. rax,
 * rdx and rcx keep their values. Nothing where they are there anyway. */
void x86_spill(struct lowering *l);
void x86_fill(struct lowering *l);

/* rax = f(rax, rdx) in C: the operation's, for hosts that have no instructions for it. */
void x86_compute(struct lowering *l, const struct ir *ir);

static inline bool x86_is_imm(const struct ir *ir)
{
    return ir->b == IR_NONE;
}

/* lower.c */
/* Flags as after cmp a, b. */
void x86_compare(struct lowering *l, const struct ir *ir);
/* False: there is no such operation. */
bool x86_lower_one(struct lowering *l, const struct ir *ir);

/* inside.c */
/* The label of `pc`, or NULL. */
struct label *x86_label_of(struct lowering *l, uint64_t pc);
void x86_find_labels(struct lowering *l);
void x86_lower_label(struct lowering *l, const struct ir *ir);
void x86_lower_branch(struct lowering *l, const struct ir *ir);
void x86_lower_any_jump(struct lowering *l, const struct ir *ir);
/* How many operations behind the branch it leads over that become conditional moves; 0: none. */
unsigned x86_is_skip(const struct ir_block *block, unsigned i);
void x86_lower_skip(struct lowering *l, const struct ir *branch, unsigned count);
/* What the operation is lowered to leaves rdx alone. */
bool x86_keeps_rdx(const struct ir *ir);
/* What late code calls, and the jumps inside a region, are known now. */
void x86_end_places(struct lowering *l);

/* go.c */
/* `pc` as it is where the block's page is now. Clobbers rcx if it is far. */
void x86_get_address(struct lowering *l, unsigned to, uint64_t pc);
/* The x86_where of `pc`, with `done` instructions of the block retired. */
int32_t x86_where_of(const struct lowering *l, uint64_t pc, unsigned done);
/* Before a call of a slow path: ecx says where it would trap. */
void x86_say_where(struct lowering *l, const struct ir *ir);
/* r14 counts the instructions of the block up to `done`. Flags stay. */
void x86_count_done(struct lowering *l, unsigned done);
bool x86_is_backward(const struct lowering *l, const struct ir *ir, uint64_t pc);
/* A rare path if vcpu.kick is set. */
void x86_check_kick(struct lowering *l, const struct ir *ir);
/* Goes on at `pc` in other code, or leaves for `why`, with `done` instructions of the block
 * retired. */
void x86_go_on_at(struct lowering *l, uint64_t pc, unsigned done);
void x86_leave_at(struct lowering *l, uint64_t pc, unsigned done, enum jit_leave why);
/* The branch itself can be linked, if what was executed is counted before it. Its comparison, of
 * `length` bytes, comes behind what aligns it. */
bool x86_may_link(const struct lowering *l, const struct ir *ir);
void x86_align_branch(struct lowering *l, unsigned length);
void x86_link_branch(struct lowering *l, enum x86_cc cc, uint64_t pc);
/* To other code. */
void x86_lower_jump(struct lowering *l, const struct ir *ir);
void x86_lower_jump_reg(struct lowering *l, const struct ir *ir);
/* ZF: the context knows where code of the page that rax says is, [r15 + rdx] from its `fetch` on.
 */
void x86_find_fetch(struct x86_code *c);
/* Rare paths of all these. */
void x86_ask_for_link(struct lowering *l, unsigned link);
void x86_lower_far(struct lowering *l, const struct late *late);

/* place.c */
void x86_place_pinned(struct placement *place);
void x86_find_weights(uint16_t weights[IR_BLOCK_MAX], const struct ir_block *block);
/* As pinned, and floating-point registers that a block uses often in XMM registers. */
void x86_place_block(struct placement *place, const struct ir_block *block);
void x86_place_region(struct placement *place, const struct ir_block *block,
                      const uint16_t weights[IR_BLOCK_MAX]);
/* The words of the frame's windows that are used most have host registers too, where any are left.
 */
void x86_place_slides(struct lowering *l);
/* Moves guest registers from where x86_pins says to where the region has them, and back. Only the
 * registers of guests are changed. */
void x86_emit_fill(struct x86_code *c, const struct placement *place, bool entry);
void x86_emit_spill(struct x86_code *c, const struct placement *place);

/* memory.c */
void x86_find_groups(struct lowering *l);
/* The group of a load or store; NULL: it has none. */
const struct group *x86_group_of(const struct lowering *l, const struct ir *ir);
void x86_lower_load(struct lowering *l, const struct ir *ir);
void x86_lower_store(struct lowering *l, const struct ir *ir);
void x86_lower_atomic(struct lowering *l, const struct ir *ir);
/* Windows of the frame show nothing; and again when their base has changed otherwise than they
 * think. Clobber rax. */
void x86_slides_begin(struct lowering *l);
void x86_slides_follow(struct lowering *l, const struct ir *ir);
/* `ir` adds another register to its own: which; or IR_NONE. */
ir_reg x86_stride(const struct ir *ir);
void x86_late_close(struct lowering *l, const struct late *late);
void x86_late_memory(struct lowering *l, const struct late *late);

/* CBO.ZERO where the TLB has its page for stores; else as x86_lower_csr. */
x86_hole x86_lower_zero(struct lowering *l, const struct ir *ir);

/* csr.c: an IR_EXECUTE by itself, where it can; what cannot falls through, to be done by the stub.
 * A hole to be filled behind that, or NULL: nothing was emitted. */
x86_hole x86_lower_csr(struct lowering *l, const struct ir *ir);

/* vector.c */
/* Before each operation: those that are not of vectors find the upper halves of ymm registers 0. */
void x86_before_vector(struct lowering *l, const struct ir *ir);
void x86_lower_vector_on(struct lowering *l, const struct ir *ir);
void x86_lower_vector(struct lowering *l, const struct ir *ir);
void x86_late_vector(struct lowering *l, const struct late *late);
/* vl is less than all. */
void x86_late_vector_part(struct lowering *l, const struct late *late);

/* integer.c, float.c; false: not one of its operations */
bool x86_lower_integer(struct lowering *l, const struct ir *ir);
bool x86_lower_float(struct lowering *l, const struct ir *ir);
void x86_late_nan(struct lowering *l, const struct late *late);
/* Which singles are boxed at the labels of a region; before its first operation leaves if those are
 * not that must be for that. */
void x86_begin_floats(struct lowering *l);
/* Before and after each operation: NaNs become canonical before somebody may see them. */
void x86_before_float(struct lowering *l, const struct ir *ir);
void x86_after_float(struct lowering *l, const struct ir *ir);
void x86_late_flags(struct lowering *l, const struct late *late);
void x86_late_rounding(struct lowering *l, const struct late *late);

#endif
