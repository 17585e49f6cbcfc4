/*
 * The vector extension (Unprivileged ISA 20240411, "V" 1.0, Zvfhmin, Zvbb, Zvbc, Zvkg, Zvkned,
 * Zvknhb): what each instruction of riscv/insn_v.def does to a hart. Engines fetch and decode;
 * memory they give by functions.
 */
#ifndef RISCV_VECTOR_H
#define RISCV_VECTOR_H

#include "riscv/vcpu.h"

/* vtype (V, 3.4); VILL is bit XLEN-1. */
#define VTYPE_LMUL      7u
#define VTYPE_SEW_SHIFT 3
#define VTYPE_SEW       (7u << VTYPE_SEW_SHIFT)
#define VTYPE_VTA       (1u << 6)
#define VTYPE_VMA       (1u << 7)
#define VTYPE_VILL      (1ULL << 63)

/* How an engine accesses memory for an instruction; false: it traps, and the engine knows why. */
struct riscv_vmemory {
    void *engine;
    /* `width` is 1, 2, 4 or 8; the address may be misaligned. */
    bool (*load)(void *engine, uint64_t va, unsigned width, uint64_t *value);
    bool (*store)(void *engine, uint64_t va, unsigned width, uint64_t value);
    /*
     * Where [va, va + len) is in the host if it lies in one page of RAM that may be read (written,
     * `store`) now without anything else to do; else NULL, which says nothing.
     */
    void *(*at)(void *engine, uint64_t va, uint64_t len, bool store);
};

enum riscv_vresult {
    VECTOR_DONE,
    VECTOR_ILLEGAL, /* nothing has changed */
    VECTOR_TRAP,    /* a memory function refused; vstart is the element's */
};

/*
 * Executes the instruction `raw` whose row is `op`. Checks VS (and FS where the row has FP). vd,
 * vl, vtype, vstart, vxsat, x and f registers, fflags and the dirty states in mstatus change; pc
 * and instret are the caller's.
 *
 * Floating point may be the host FPU's, to nearest before and after. Flags that stand there before
 * are not the instruction's: one that hart->fflags has not got is cleared. Those that stand there
 * afterwards are in hart->fflags.
 */
enum riscv_vresult riscv_vector(struct riscv_vcpu *hart, unsigned op, uint32_t raw,
                                const struct riscv_vmemory *memory);

/* CSRs of V, once access is allowed; false: not one of them. */
bool riscv_vector_read(const struct riscv_vcpu *hart, unsigned csr, uint64_t *value);
bool riscv_vector_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value);
/* What is saved; a state that no instruction could have brought about is refused. */
void riscv_vector_reset(struct riscv_vcpu *hart);
void riscv_vector_state(struct riscv_vcpu *hart, struct state *state);
bool riscv_vector_is_sound(const struct riscv_vcpu *hart);

/* A vtype that vset* sets; else it sets VILL. */
bool riscv_vtype_is_supported(uint64_t vtype);
/* VLMAX of a vtype that is not ill, for registers of `vlen` bits (V, 3.4.2). */
uint64_t riscv_vlmax(uint64_t vtype, unsigned vlen);

/*
 * vsha2ms, vsha2ch and vsha2cl of one group of four elements of 64 bits (Zvknhb): the next four
 * words of the message, and two rounds with two words. For translated code; `d` may be what it was
 * made of.
 */
void riscv_vsha512ms(uint64_t d[4], const uint64_t s1[4], const uint64_t s2[4]);
void riscv_vsha512c(uint64_t d[4], const uint64_t words[2], const uint64_t s2[4]);

#endif
