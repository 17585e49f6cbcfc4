/* Between the files that turn the intermediate form into x86-64. */
#ifndef ENGINE_JIT_X86_LOWER_H
#define ENGINE_JIT_X86_LOWER_H

#include "engine/jit/x86/regs.h"

#define LATE_MAX 512 /* rare paths of a block */

enum late_kind { LATE_LOAD, LATE_STORE, LATE_BRANCH, LATE_LEAVE, LATE_KICK, LATE_NAN, LATE_NEXT };

struct late {
    enum late_kind kind;
    x86_hole from;
    const uint8_t *back; /* where to go on */
    const struct ir *ir;
    uint8_t host;  /* where a load's result goes */
    uint8_t width; /* log2 */
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

/* float.c; false: not an operation of floating point */
bool x86_lower_float(struct lowering *l, const struct ir *ir);
void x86_late_nan(struct lowering *l, const struct late *late);

#endif
