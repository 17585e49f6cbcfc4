/* Between the files of the front end: what is known while guest instructions are translated. */
#ifndef ENGINE_JIT_FRONT_H
#define ENGINE_JIT_FRONT_H

#include "engine/jit/internal.h"

/* What is known of the integer registers at an instruction. */
struct front_facts {
    /* Whose value is a constant here; `moves`: an address, as of IR_ADDRESS. */
    uint32_t known, moves;
    uint32_t words; /* whose value is a sign-extended word */
    uint32_t apart; /* whose value is that of register `root`, and `distance` */
    uint8_t root[32];
    int32_t distance[32];
    uint64_t value[32];
};

struct front {
    struct ir_block *block;
    uint64_t pc;              /* of the instruction */
    uint16_t at;              /* its offset in the block */
    uint8_t length;           /* its bytes */
    uint16_t done;            /* instructions before it */
    bool fp_read, fp_written; /* IR_FP_ON was emitted */
    bool fp_nearest;          /* IR_FP_NEAREST, too */
    bool vector_on;           /* IR_VECTOR_ON, too */
    bool vtype_known;         /* by an instruction since the last label */
    uint64_t vtype;           /* that or, if it is not known, what is assumed */
    struct front_facts now;
};

enum front_step {
    FRONT_GO_ON,
    FRONT_LAST,     /* it ends a block */
    FRONT_NOT_HERE, /* the interpreter's; nothing was added */
};

/* The block is empty, and nothing is known. */
void front_begin(struct front *f, struct ir_block *block, uint64_t pc);
/* Nothing is known; or no more than both know. */
void front_know_nothing(struct front_facts *facts);
void front_meet(struct front_facts *facts, const struct front_facts *other);
/* A further operation of the instruction at f->pc. */
struct ir *front_add(struct front *f, enum ir_op op);
enum front_step front_translate(struct front *f, const struct insn *in);
/* rd is written by an operation of which nothing is known. */
void front_forget(struct front *f, unsigned rd);
/* IR_FP_ON, IR_FP_NEAREST, unless they were added. */
void front_fp_on(struct front *f, bool written);
void front_fp_nearest(struct front *f);
/* vector.c */
enum front_step front_vector(struct front *f, const struct insn *in);
/* A CSR that is read with no more to it; false: it is none of V that this is so of. */
bool front_vector_csr(struct front *f, unsigned csr, unsigned rd);
/* The instruction at `code`, of which `room` bytes (2 or more) are there: its length; 0: too long.
 */
unsigned front_decode(const struct riscv_isa *isa, const uint8_t *code, unsigned room,
                      struct insn *in);

#endif
