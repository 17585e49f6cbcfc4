/* Between the files of the front end: what is known while guest instructions are translated. */
#ifndef ENGINE_JIT_FRONT_H
#define ENGINE_JIT_FRONT_H

#include "engine/jit/internal.h"

struct front {
    struct ir_block *block;
    uint64_t pc;              /* of the instruction */
    uint16_t at;              /* its offset in the block */
    uint8_t length;           /* its bytes */
    uint16_t done;            /* instructions before it */
    bool fp_read, fp_written; /* IR_FP_ON was emitted */
    bool fp_nearest;          /* IR_FP_NEAREST, too */
    /* Integer registers whose value is a constant here; `moves`: an address, as of IR_ADDRESS. */
    uint32_t known, moves;
    uint32_t words; /* integer registers whose value is a sign-extended word */
    uint64_t value[32];
};

enum front_step {
    FRONT_GO_ON,
    FRONT_LAST,     /* it ends a block */
    FRONT_NOT_HERE, /* the interpreter's; nothing was added */
};

/* The block is empty, and nothing is known. */
void front_begin(struct front *f, struct ir_block *block, uint64_t pc);
/* A further operation of the instruction at f->pc. */
struct ir *front_add(struct front *f, enum ir_op op);
enum front_step front_translate(struct front *f, const struct insn *in);
/* The instruction at `code`, of which `room` bytes (2 or more) are there: its length; 0: too long.
 */
unsigned front_decode(const uint8_t *code, unsigned room, struct insn *in);

#endif
