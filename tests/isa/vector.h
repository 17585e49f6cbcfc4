/*
 * Vector instructions in the ISA tests: one at a time, on a state given and looked at as a whole.
 * The machine is of the model with V; test_main() turns V on.
 */
#ifndef TESTS_ISA_VECTOR_H
#define TESTS_ISA_VECTOR_H

/* Offsets in struct vector_state, for the assembler. */
#define VS_CSRS 0
#define VS_A    40
#define VS_F    64
#define VS_ON   80
#define VS_V    88

#ifndef __ASSEMBLER__
#include "isa.h"

enum {
    VSTART = 0x008,
    VXSAT = 0x009,
    VXRM = 0x00a,
    VCSR = 0x00f,
    VL = 0xc20,
    VTYPE = 0xc21,
    VLENB = 0xc22
};
#define MSTATUS_VS    (3ULL << 9)
#define MSTATUS_VS_ON (1ULL << 9) /* Initial */
#define VTYPE_VILL    (1ULL << 63)
/* log2 of SEW in bytes, and of LMUL (-3 to 3). */
#define E(sew, lmul) ((unsigned)(sew) << 3 | ((unsigned)(lmul)&7))
enum { E8, E16, E32, E64 };

/* vl is at most VLMAX. v: the registers, one behind the other, at most 512 bits each. */
struct vector_state {
    uint64_t vl, vtype, vstart, vcsr, fcsr;
    uint64_t a[3]; /* a0 to a2 */
    uint64_t fa0, fa1;
    uint64_t on; /* sstatus.VS; it is Initial before the instruction */
    uint8_t v[2048];
};
_Static_assert(offsetof(struct vector_state, v) == VS_V && offsetof(struct vector_state, a) == VS_A,
               "as vector.S has it");

/*
 * Executes `word` on the state in a mode, M or S, which becomes what it left; a0, fa0 are taken
 * back, a1, a2, fa1 not. `trap` is cleared before. An instruction that trapped is passed over.
 */
void vector_execute(enum mode mode, struct vector_state *state, uint32_t word);
/* Address of register `reg` in the state. */
uint8_t *vector_register(struct vector_state *state, unsigned reg);
/* Fills all registers with bytes that differ from each other (vector.py knows them), the rest with
 * 0, vtype as given and vl VLMAX. */
void vector_fill(struct vector_state *state, unsigned vtype);
uint64_t vector_vlmax(unsigned vtype);

/* What vector.py makes: LMUL 1, VLEN 128; a0 and fa1 are x and f, mask v0, vs2 v16, vs1 v24 and vd
 * v8, of which 128 bytes are looked at. */
struct vector_case {
    const char *name;
    uint32_t word;
    uint8_t vtype, vl, vcsr, want_vcsr;
    uint8_t fcsr, want_fcsr;
    uint64_t x, want_x, f, want_f;
    uint64_t mask[2], vs2[4], vs1[4], want[16];
};
void check_vector_cases(const struct vector_case *cases, size_t count);
#endif

#endif
