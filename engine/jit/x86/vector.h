/* Between the files that lower vector instructions; x86/vector.c says what is common to all. */
#ifndef ENGINE_JIT_X86_VECTOR_H
#define ENGINE_JIT_X86_VECTOR_H

#include "engine/jit/jit.h"
#include "engine/jit/x86/lower.h"
#include "riscv/insn.h"
#include "riscv/vector.h"

#define PIECE 32u

/* AVX and AVX2. */
#define VMOVDQU_LOAD  X86_V(1, 2, 0x6f)
#define VMOVDQU_STORE X86_V(1, 2, 0x7f)
#define VMOVD_TO      X86_V(1, 1, 0x6e)
#define VMOVQ_TO      X86_V_W(1, 1, 0x6e)
#define VPAND         X86_V(1, 1, 0xdb)
#define VPBLENDVB     X86_V(3, 1, 0x4c)
#define VPXOR         X86_V(1, 1, 0xef)
#define VPMOVMSKB     X86_V(1, 1, 0xd7)
#define VPACKSSWB     X86_V(1, 1, 0x63)
#define VEXTRACTI128  X86_V(3, 1, 0x39)

/* An instruction on its way. */
struct vector {
    struct lowering *l;
    const struct ir *ir;
    uint32_t raw;
    unsigned op, vd, vs1, vs2;
    unsigned sew;      /* log2 of the element's bytes */
    unsigned bytes;    /* of a group, or of the part of a register that LMUL below 1 leaves */
    unsigned elements; /* of a group: VLMAX */
    unsigned vlenb, regs;
    unsigned first_late; /* rare paths from here on go on behind the instruction */
    bool masked;         /* only the elements whose bits of v0 are 1 */
    bool part;           /* vl is less than all: rcx is the bytes of the elements that there are */
    bool halves;         /* pieces have 16 bytes, whatever there is */
    x86_hole done[16];   /* `part`: from where no piece follows */
    unsigned done_count;
};

/* Operations on elements side by side. */
enum packed {
    P_NONE,
    P_ADD,
    P_SUB,
    P_RSUB,
    P_AND,
    P_OR,
    P_XOR,
    P_MINU,
    P_MIN,
    P_MAXU,
    P_MAX,
    P_MUL,
    P_MULHU,
    P_MULH,
    P_GT,
    P_SLL,
    P_SRL,
    P_SRA,
    P_SLLV,
    P_SRLV,
    P_SRAV,
    P_COUNT
};
/* By SEW; 0: there is none. */
extern const uint32_t vec_packed[P_COUNT][4], vec_packed_equal[4];

/* ---- pieces: `at` is a piece's first byte in its group ---- */

struct x86_mem vec_group_at(const struct vector *v, unsigned reg, unsigned at);
/* There are 32 bytes of it. */
bool vec_is_whole(const struct vector *v, unsigned at);
/* The group is less than a piece of 16 bytes: what is read behind it is of no account, but has no
 * part in what is found, and is not written. */
bool vec_is_fraction(const struct vector *v);
/* The group has `bytes`. */
void vec_resize(struct vector *v, unsigned bytes);
void vec_load_piece(const struct vector *v, unsigned to, unsigned reg, unsigned at);
/* Of a result, which is not in ymm2: what is inactive, or behind vl, stays. Clobbers ymm2, rax and
 * rdx, if there may be such. */
void vec_store_piece(struct vector *v, unsigned reg, unsigned at, unsigned from);
/* Around each piece of what may be a part, and behind all of them. */
void vec_begin_piece(struct vector *v, unsigned at);
void vec_end_pieces(struct vector *v);
/* reg = a op a constant of the stubs. Clobbers rdx. */
void vec_load_constant(const struct vector *v, bool y, uint32_t op, unsigned to, unsigned a,
                       const uint8_t *constant);
/* ymm2: ones in the elements of a piece whose bits of v0 are 0. Clobbers rax, rdx. */
void vec_find_inactive(const struct vector *v, unsigned at);
/* Upper halves of ymm registers are 0. */
void vec_clear_upper(struct x86_code *c);

/* ---- what is looked at ---- */

/* A rare path from `from`: C executes the instruction, from `element` on. */
void vec_to_c(struct vector *v, x86_hole from, unsigned element);
/* Whole groups, and vtype as the code was made for: else it is C's, or that of a part. Behind what
 * is known when code is made; nothing is emitted before it. */
enum whole { ANY_LENGTH, WHOLE, WHOLE_OR_PART };
void vec_guard(struct vector *v, bool vtype, enum whole vl);
/* Groups of the same width that begin where they may. */
enum source { FROM_V, FROM_X, FROM_I, FROM_F };
bool vec_are_aligned(const struct vector *v, enum source source);
/* The group of `bytes` from `vs` on may be read while a wider one from vd on is written, from its
 * begin: they are apart, or it is at the end of that, and no fraction (V, 5.2). */
bool vec_may_widen(const struct vector *v, unsigned vs, unsigned bytes);
/* There is room in the block for so many bytes of code. */
bool vec_has_share(struct vector *v, unsigned code);
/* What is agnostic behind a group stays as it is; but in an audit. */
bool vec_tail_may_stay(const struct vector *v);
/* The registers from `vs` on are none of the destination's. */
bool vec_is_apart(const struct vector *v, unsigned vs, unsigned regs);

/* ---- the second operand ---- */

enum source vec_source_of(const struct vector *v);
/* rax: the scalar operand. */
void vec_get_scalar(struct vector *v, enum source source);
/* ymm1: it in all elements, if there is one. */
void vec_spread_scalar(struct vector *v, enum source source);
/* All elements of `ymm` are what rax has. */
void vec_broadcast(const struct vector *v, unsigned ymm);
/* ymm = a op the second operand, of this piece or in ymm1 */
void vec_with_source(const struct vector *v, enum source source, uint32_t op, unsigned ymm,
                     unsigned a, unsigned at);

/* ---- more pieces ---- */

void vec_ones(const struct vector *v, unsigned ymm);
/* ymm = a shifted by a constant, to the left or not. `sew` 1 to 3. */
void vec_shift_by(const struct vector *v, bool y, unsigned sew, bool left, unsigned ymm, unsigned a,
                  unsigned count);
/* A wider result's piece from 1/2, 1/4 or 1/8 of a piece. */
void vec_load_extended(const struct vector *v, unsigned to, unsigned reg, unsigned at,
                       unsigned from_sew, unsigned to_sew, bool sign);

/* ---- single elements ---- */

/* The low bytes of `to`, the rest 0 (SEW 64: all), and back. */
void vec_load_low(struct x86_code *c, unsigned sew, unsigned to, struct x86_mem m);
void vec_store_low(struct x86_code *c, unsigned sew, struct x86_mem m, unsigned from);

/* ---- files; false: not one of theirs, or not here: nothing was emitted ---- */

bool vec_lower_memory(struct vector *v);  /* the masked ones too */
bool vec_lower_integer(struct vector *v); /* the masked ones too */
bool vec_lower_mask(struct vector *v);
bool vec_lower_float(struct vector *v);
bool vec_lower_move(struct vector *v);
bool vec_lower_crypto(struct vector *v);

#endif
