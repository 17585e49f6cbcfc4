/*
 * The protocol between engine and hypervisor.
 *
 * An engine makes a VCPU's state advance until something happens that it cannot answer itself: an
 * exit. The hypervisor's exit loop (vmm/exit.c) answers it and calls run again. A new engine is one
 * folder and one struct engine_ops; nothing above it changes. The VCPU struct is authoritative only
 * between state_get and state_put (KVM keeps state in its kernel, a JIT in host registers).
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "core/vcpu.h"
#include "core/vm.h"

enum exit_reason {
    EXIT_KICKED,     /* somebody wants attention: power, pause, requests; nothing to answer */
    EXIT_MMIO_READ,  /* address, width; the answer goes into data, completed by the next run */
    EXIT_MMIO_WRITE, /* address, width, data */
    EXIT_SBI,        /* ECALL from S-mode with no M-mode software below; registers hold the call */
    EXIT_WFI,        /* nothing to do until an interrupt */
    EXIT_VIRTUAL_INSN,     /* H: virtual-instruction exception for the hypervisor */
    EXIT_GUEST_PAGE_FAULT, /* H: G-stage fault with no RAM behind it */
    EXIT_DEBUG,            /* breakpoint or single step for a debugger */
    EXIT_HALTED,           /* the VCPU cannot go on (endless trap loop); message says why */
    EXIT_REASONS,
};

struct exit {
    uint64_t address;
    uint64_t data;
    uint8_t width;  /* 1, 2, 4 or 8 */
    bool fault;     /* answer of the hypervisor: the access has no device; the guest takes an access
                       fault */
    bool registers; /* EXIT_SBI: x[10] to x[17] of the VCPU hold the call and are all that it needs,
                       so that no state is taken back for it */
    const char *message; /* EXIT_HALTED */
};

struct engine_ops {
    const char *name;
    /* It starts, stops and lets harts sleep itself (SBI HSM, WFI): it runs them all, and their
     * run_state is part of the state that it gets and puts. */
    bool own_harts;
    /* Called once, when the VM's memory and VCPUs are known. */
    int (*vm_init)(struct vm *vm);
    void (*vm_destroy)(struct vm *vm);
    /* A memory slot was added, removed or moved. */
    void (*slot_changed)(struct vm *vm);
    /* Bytes that the engine may have translated were changed by a device. Any thread. */
    void (*code_changed)(struct vm *vm, uint64_t gpa, uint64_t len);
    /* Writes must be logged (or no longer). All VCPUs are outside the guest. */
    void (*dirty_log)(struct vm *vm, bool on);
    int (*vcpu_init)(struct vcpu *vcpu);
    void (*vcpu_destroy)(struct vcpu *vcpu);
    enum exit_reason (*run)(struct vcpu *vcpu, struct exit *exit);
    /*
     * As run, but for one instruction, trap or interrupt at most: EXIT_KICKED when that is done.
     * May be NULL.
     */
    enum exit_reason (*step)(struct vcpu *vcpu, struct exit *exit);
    /* Makes run return soon. Any thread. */
    void (*kick)(struct vcpu *vcpu);
    /* Interrupt lines of the VCPU changed. Any thread. */
    void (*irq_changed)(struct vcpu *vcpu);
    /* Bring the VCPU struct up to date / take it over. VCPU outside the guest. */
    void (*state_get)(struct vcpu *vcpu);
    void (*state_put)(struct vcpu *vcpu);
    /* Calls `figure` for each thing that the engine counts, for --stats. VCPUs are outside the
     * guest; may be NULL. */
    void (*figures)(struct vm *vm, void (*figure)(void *arg, const char *name, uint64_t value),
                    void *arg);
};

#endif
