/* Between the files that turn the intermediate form into x86-64. */
#ifndef ENGINE_JIT_X86_LOWER_H
#define ENGINE_JIT_X86_LOWER_H

#include "engine/jit/x86/regs.h"

#define LATE_MAX 512 /* rare paths of a block */

enum late_kind {
    LATE_LOAD,
    LATE_STORE,
    LATE_ATOMIC,
    LATE_BRANCH,
    LATE_LEAVE,
    LATE_KICK,
    LATE_NAN,
    LATE_NEXT
};

struct late {
    enum late_kind kind;
    x86_hole from;
    const uint8_t *back; /* where to go on */
    const struct ir *ir;
    uint8_t host;  /* where a load's result goes */
    uint8_t width; /* log2 */
    uint8_t clear; /* slot of the group whose check failed, or NO_GROUP */
};

/*
 * Loads and stores of one block by one base register, close to each other, share one look at the
 * TLB: the first checks for all, and keeps the host's address of the base in a slot of the frame,
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
    uint8_t group_of[IR_BLOCK_MAX]; /* by operation; of loads and stores */
    struct group groups[GROUPS_MAX];
};

/* Where a register is kept in memory. */
struct x86_mem x86_home(ir_reg reg);
/* The value of `reg` in host register `to`. */
void x86_get(struct lowering *l, unsigned to, ir_reg reg);
/* The value of `reg` in some host register: its own, or `spare`. */
unsigned x86_use(struct lowering *l, ir_reg reg, unsigned spare);
/* Where a result for `reg` is best computed: in its own host register, or `spare`. */
unsigned x86_target(ir_reg reg, unsigned spare);
void x86_put(struct lowering *l, ir_reg reg, unsigned from);
/* A rare path from `from`; those that come back do so to what follows. */
void x86_later(struct lowering *l, enum late_kind kind, x86_hole from, const struct ir *ir);

const uint8_t *x86_stub(const struct lowering *l, const uint8_t *run);
/* Before a call of a slow path: where it would trap. Clobbers rcx. */
void x86_say_where(struct lowering *l, const struct ir *ir);

/* memory.c */
void x86_find_groups(struct lowering *l);
void x86_lower_load(struct lowering *l, const struct ir *ir);
void x86_lower_store(struct lowering *l, const struct ir *ir);
void x86_lower_atomic(struct lowering *l, const struct ir *ir);
void x86_late_memory(struct lowering *l, const struct late *late);

/* csr.c: an IR_EXECUTE by itself, where it can; what cannot falls through, to be done by the stub.
 * A hole to be filled behind that, or NULL: nothing was emitted. */
x86_hole x86_lower_csr(struct lowering *l, const struct ir *ir);

/* float.c; false: not an operation of floating point */
bool x86_lower_float(struct lowering *l, const struct ir *ir);
void x86_late_nan(struct lowering *l, const struct late *late);

#endif
