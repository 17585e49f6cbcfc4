/*
 * The intermediate form of a block of guest code: what the front end makes of guest instructions
 * and a back end turns into host code. It knows no host.
 *
 * Operations work on registers: the guest's integer registers, its floating-point registers, and
 * temporaries that live within one block. All values are 64 bits. A block is a list of operations
 * executed in order; only the branches IR_BRANCH within it leave before its end, which is one of
 * the closing operations. A region is a block with loops: branches and jumps marked IR_INSIDE go to
 * one of its labels, closing operations stand in its middle too, and `done` counts along its
 * operations as they are written down (what was executed is counted from label to label). Guest
 * state is exact at every IR operation whose description says that it may leave: all guest
 * registers written by earlier operations hold their values, and `at` and `done` tell pc and count.
 */
#ifndef ENGINE_JIT_IR_H
#define ENGINE_JIT_IR_H

#include <stdbool.h>
#include <stdint.h>

/* Register numbers. As a destination IR_X(0) means that the result is dropped; it reads 0. */
typedef uint8_t ir_reg;
#define IR_X(n)  ((ir_reg)(n))        /* 0..31 */
#define IR_F(n)  ((ir_reg)(32 + (n))) /* 32..63; raw bits, NaN-boxed */
#define IR_T(n)  ((ir_reg)(64 + (n))) /* 64..64 + IR_TEMPS - 1 */
#define IR_TEMPS 8
#define IR_NONE  0xff

#define IR_INSIDE 0 /* `c` of a branch or jump to a label of its region */

/* The second operand: `b`, or the constant `imm` where b is IR_NONE. */
enum ir_op {
    /* ---- dst = f(a, b or imm); integer registers and temporaries ---- */
    IR_CONST,   /* imm */
    IR_ADDRESS, /* imm, of a block at `pc`; one whose page is elsewhere has it as far from there */
    IR_MOV,
    IR_ADD,
    IR_SUB,
    IR_AND,
    IR_OR,
    IR_XOR,
    IR_ANDN, /* a & ~b */
    IR_ORN,
    IR_XNOR,
    IR_SLL, /* shifts and rotates: by the low 6 bits of b; W forms: the low 5 */
    IR_SRL,
    IR_SRA,
    IR_ROL,
    IR_ROR,
    IR_SLT, /* 1 or 0 */
    IR_SLTU,
    IR_MIN,
    IR_MINU,
    IR_MAX,
    IR_MAXU,
    IR_BSET, /* bit b & 63 of a */
    IR_BCLR,
    IR_BINV,
    IR_BEXT,
    IR_MUL,
    IR_MULH,
    IR_MULHSU,
    IR_MULHU,
    IR_CLMUL,  /* the product over GF(2): bits 63 to 0, */
    IR_CLMULH, /* 127 to 64, */
    IR_CLMULR, /* 126 to 63 */
    IR_DIV,    /* by zero and overflow as the M extension says: never a host fault */
    IR_DIVU,
    IR_REM,
    IR_REMU,
    IR_CZERO_EQZ, /* b == 0 ? 0 : a */
    IR_CZERO_NEZ,
    IR_SHADD,    /* (a << sub) + b, sub 1..3 */
    IR_SHADD_UW, /* (zero-extended low word of a << sub) + b, sub 0..3 */
    IR_SLLI_UW,  /* zero-extended low word of a, shifted left by imm */
    /* The low words, the result sign-extended from 32 bits. */
    IR_ADDW,
    IR_SUBW,
    IR_SLLW,
    IR_SRLW,
    IR_SRAW,
    IR_ROLW,
    IR_RORW,
    IR_MULW,
    IR_DIVW,
    IR_DIVUW,
    IR_REMW,
    IR_REMUW,
    /* Of `a` alone. */
    IR_SEXT_B,
    IR_SEXT_H,
    IR_SEXT_W,
    IR_ZEXT_B,
    IR_ZEXT_H,
    IR_ZEXT_W,
    IR_CLZ,
    IR_CTZ,
    IR_CPOP,
    IR_CLZW,
    IR_CTZW,
    IR_CPOPW,
    IR_REV8,
    IR_ORC_B,

    /* ---- memory: may leave (a fault) ---- */
    IR_LOAD,  /* dst = [a + imm]; sub: enum ir_width, | IR_SIGNED. Into IR_F: NaN-boxed */
    IR_STORE, /* [a + imm] = b; sub: enum ir_width */
    /* Sequentially consistent. `sub`: IR_W4 or IR_W8; which: imm, an enum ir_amo. dst = old */
    IR_AMO,
    IR_LR,    /* dst = [a] */
    IR_SC,    /* [a] = b; dst = 0, or 1 if it failed */
    IR_FENCE, /* sub: enum ir_fence */

    /* ---- floating point ---- */
    /* Leaves to the interpreter at this instruction if mstatus.FS is Off; else makes it Dirty if
     * sub is 1. Once before the first FP operation of each of the two kinds. */
    IR_FP_ON,
    /* Leaves to the interpreter at this instruction if frm is not round-to-nearest-even: before
     * what rounds by frm (imm 7). */
    IR_FP_NEAREST,
    /* fflags, frm and fcsr; imm: the CSR's number. Writing (of b) frm takes effect behind the
     * operation, which is its instruction's last; in a region it leaves there if frm changes. */
    IR_FCSR_READ,
    IR_FCSR_WRITE,
    /*
     * dst = f(a, b, c); format in sub (enum ir_float). imm: how it rounds: 0 or 7, to nearest
     * even; 1 to 4, of conversions to and from integers alone, as rm of the ISA. Results bit for
     * bit and flags as RISC-V's; NaN results are canonical; unboxed singles read as NaN. May leave
     * to the interpreter where the host does otherwise.
     */
    IR_FADD,
    IR_FSUB,
    IR_FMUL,
    IR_FDIV,
    IR_FSQRT,
    IR_FMADD,  /*  a * b + c */
    IR_FMSUB,  /*  a * b - c */
    IR_FNMSUB, /* -a * b + c */
    IR_FNMADD, /* -a * b - c */
    IR_FMIN,
    IR_FMAX,
    IR_FSGNJ, /* sign of b */
    IR_FSGNJN,
    IR_FSGNJX,
    IR_FEQ, /* dst integer */
    IR_FLT,
    IR_FLE,
    IR_FCLASS,
    IR_FMV_TO_X,   /* sub IR_S: the low word, sign-extended */
    IR_FMV_FROM_X, /* sub IR_S: boxed */
    /* Conversions: from a format in sub to an integer of enum ir_int in c, and back. */
    IR_FCVT_TO_INT,
    IR_FCVT_FROM_INT,
    IR_FCVT_FORMAT, /* to the format in sub, from the one in c */

    /* ---- vectors ---- */
    /* Leaves to the interpreter at this instruction if mstatus.VS is Off or vstart is not 0; else
     * makes VS Dirty. Once before the first of these. */
    IR_VECTOR_ON,
    /*
     * The instruction that imm says (jit_vector_code). a: the integer or floating-point register of
     * its rs1 field, if it reads one, else x0; b: of its rs2 field, or IR_NONE; dst: the integer or
     * floating-point register that it writes. sub: IR_D. May leave to the interpreter, which
     * executes it, or what is left of it.
     */
    IR_VECTOR,
    IR_VECTOR_LENGTH, /* dst = vl */

    /* ---- the system ---- */
    /* dst = what jit_execute makes of `imm` (jit_code) and of `a` or, where that is IR_NONE, of `c`
     * as a number. Goes on, perhaps in another context, or leaves. */
    IR_EXECUTE,
    IR_LABEL, /* in a region: branches and jumps inside to pc `imm` go here */
    IR_SAME,  /* leaves to the interpreter unless the halfword of code at pc + 2 is `imm` */

    /* ---- leaving ---- */
    /* if a `sub` b (enum ir_condition): go on at pc `imm`, with `done` retired. c: IR_INSIDE or
     * IR_NONE. Backwards inside: vcpu.kick is looked at. */
    IR_BRANCH,
    IR_CHECK, /* leaves for the loop if vcpu.kick is not 0: nothing of `at` was executed */
    /* One of these is last. `done` counts all instructions of the block that were executed. */
    IR_JUMP,     /* go on at pc `imm`; c: as of IR_BRANCH; sub: enum ir_hint */
    IR_JUMP_REG, /* go on at the pc in `a`, whose bit 0 is to be ignored; sub: the same */
    IR_SYSTEM, /* jit_system executes what imm (jit_system_code) says, and what follows is looked up
                */
    IR_STEP, /* the interpreter executes the instruction at pc `imm`, and what follows is looked up
              */
    IR_OPS,
};

enum ir_width { IR_W1, IR_W2, IR_W4, IR_W8, IR_WIDTH = 3, IR_SIGNED = 4 };
enum ir_amo {
    IR_SWAP,
    IR_AMO_ADD,
    IR_AMO_XOR,
    IR_AMO_AND,
    IR_AMO_OR,
    IR_AMO_MIN,
    IR_AMO_MAX,
    IR_AMO_MINU,
    IR_AMO_MAXU
};
enum ir_fence { IR_FENCE_ORDER, IR_FENCE_FULL }; /* FULL: stores before loads too */
enum ir_float { IR_S, IR_D };
enum ir_int { IR_INT_W, IR_INT_WU, IR_INT_L, IR_INT_LU };
enum ir_condition { IR_EQ, IR_NE, IR_LT, IR_GE, IR_LTU, IR_GEU };
/* CALL: ra has the address behind the instruction, where RETURN is likely to go. */
enum ir_hint { IR_PLAIN, IR_CALL, IR_RETURN };

struct ir {
    uint8_t op; /* enum ir_op */
    ir_reg dst, a, b, c;
    uint8_t sub;
    uint16_t at;    /* of its guest instruction: bytes from the block's start */
    uint16_t done;  /* instructions of the block before it; at leaving operations: see there */
    uint8_t length; /* of its guest instruction, bytes */
    int64_t imm;
};

#define IR_BLOCK_MAX  512 /* operations */
#define IR_GUEST_MAX  64  /* guest instructions of a block that is no region */
#define IR_REGION_MAX 128 /* of code that is searched for a region */

struct ir_block {
    /* Virtual address of the first instruction. The block is for every virtual address of its page:
     * pcs in it (`imm` of branches, jumps, labels, IR_STEP and IR_ADDRESS) move with it. */
    uint64_t pc;
    uint16_t bytes; /* of guest code, that IR_STEP executes included */
    uint16_t count; /* of operations */
    bool region;
    uint64_t
        vtype; /* of the hart it is first for, set beforehand: what is assumed where no vset is */
    const struct riscv_isa *isa; /* of the harts, set beforehand; NULL: everything is there */
    struct ir code[IR_BLOCK_MAX];
};

/* front.c: fills `block` from up to `room` bytes of guest code at `code`, which end with the page.
 * False: not even one whole instruction is there. */
bool ir_translate(struct ir_block *block, uint64_t pc, const uint8_t *code, unsigned room);
/* The same for the instruction `raw`, whose second half is in the next page. */
void ir_translate_crossing(struct ir_block *block, uint64_t pc, uint32_t raw);
/* The same for the loop whose head is at `pc`; false: it is none, or has no room. */
bool ir_translate_region(struct ir_block *block, uint64_t pc, const uint8_t *code, unsigned room);
/* One line of text for an operation. */
void ir_describe(const struct ir *ir, char *text, unsigned capacity);

#endif
