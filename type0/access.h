/*
 * What a partition's instruction wanted where its hart does not do it: its loads and stores at
 * misaligned addresses, and RDTIME. Pure: memory is reached through functions, so that tests run
 * it.
 */
#ifndef TYPE0_ACCESS_H
#define TYPE0_ACCESS_H

#include "engine/hext/access.h"
#include "riscv/vcpu.h"

/* The partition's memory, as it sees it itself, and the FP registers, which are in the hart. */
struct guest_memory {
    /* The byte that a load with this mstatus (MPRV set) gets; -1: it trapped. */
    long (*load)(uint64_t va, uint64_t mstatus);
    /* False: it trapped. */
    bool (*store)(uint64_t va, uint64_t mstatus, uint8_t byte);
    /* All 32 to `f`, and fcsr as the result; back again, to the hart. */
    uint64_t (*fp_save)(uint64_t *f);
    void (*fp_load)(const uint64_t *f, uint64_t fcsr);
};

enum access_result {
    ACCESS_DONE,
    ACCESS_FAULT,   /* the hart's trap CSRs say why; no register has changed */
    ACCESS_FOREIGN, /* no plain load or store */
};

/*
 * The instruction at pc, read as it is fetched: what may be executed may be read (MXR), and of a
 * compressed one no byte behind it is touched. False: it trapped.
 */
bool access_fetch(const struct guest_memory *memory, const struct riscv_vcpu *vcpu, uint32_t *insn);
/*
 * Does the load or store at `va`, byte by byte, and steps over it. Bytes before the one that faults
 * may be stored already, as the ISA lets a misaligned store be (Unprivileged ISA, 2.6).
 */
enum access_result access_perform(const struct guest_memory *memory, struct riscv_vcpu *vcpu,
                                  const struct hext_access *access, uint64_t va);
/* CSRRS rd, time, x0: whether `insn` is that. */
bool access_is_rdtime(uint32_t insn);
/* Gives rd the time, and steps over it. */
void access_rdtime(struct riscv_vcpu *vcpu, uint32_t insn, uint64_t time);

#endif
