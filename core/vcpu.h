/*
 * A VCPU: the state of a CPU as its guest believes it to be, and nothing that executes.
 *
 * This is the part that every guest ISA shares; struct riscv_vcpu (riscv/vcpu.h) has it as its
 * first member. Fields belong to the thread that runs the VCPU, except those marked atomic.
 */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include "core/host.h"

#include <stdatomic.h>

struct vm;
struct engine_ops;

/* What the hypervisor lets the VCPU do (SBI HSM, "hart states", maps onto it). */
enum vcpu_run_state {
    VCPU_STOPPED,       /* waits to be started */
    VCPU_START_PENDING, /* start requested, not yet taken up by its thread */
    VCPU_RUNNING,       /* an engine advances it, or it sleeps in WFI */
    VCPU_SUSPENDED,     /* suspended by SBI; an interrupt resumes it */
};

/* Work that another thread asks of a VCPU before it executes its next instruction; OR of these. */
enum vcpu_request {
    VCPU_REQ_FENCE_I = 1,    /* make writes to code visible */
    VCPU_REQ_TLB_FLUSH = 2,  /* drop all cached translations */
    VCPU_REQ_CODE_FLUSH = 4, /* drop all translated code */
};

struct vcpu {
    struct vm *vm;
    unsigned id; /* 0.. ; the hart number of the board */
    const struct engine_ops *engine;
    void *engine_data;
    _Atomic uint32_t run_state; /* enum vcpu_run_state */
    _Atomic uint32_t kick;      /* not 0: leave the guest at the next loop edge and look around */
    _Atomic uint32_t requests;  /* enum vcpu_request */
    _Atomic bool in_guest;      /* the engine may be using cached translations */
    struct host_event wake;     /* WFI, stopped and paused VCPUs sleep on it */
    _Atomic uint64_t instructions; /* retired; published by the engine at each exit */
    /* Accesses that a software engine answered by calling the bus itself, without an exit. */
    _Atomic uint64_t mmio_reads, mmio_writes;
};

void vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned id);
/* Makes a running engine return to its loop edge and wakes a sleeping VCPU. Any thread. */
void vcpu_kick(struct vcpu *vcpu);
/* Posts requests and kicks; does not wait. Any thread. */
void vcpu_post(struct vcpu *vcpu, uint32_t requests);
/* True once `requests` posted to `vcpu` cannot be missed: carried out, or the VCPU is outside the
 * guest. */
bool vcpu_post_done(struct vcpu *vcpu, uint32_t requests);

#endif
