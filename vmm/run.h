/*
 * The exit loop: what a hypervisor's thread (or hart) does with one VCPU.
 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include "core/engine.h"
#include "riscv/vcpu.h"

/* Exits by reason; one per VCPU, written by its thread, read by any. */
struct vmm_stats {
    _Atomic uint64_t exits[EXIT_REASONS];
    _Atomic uint64_t sbi_calls;
};

/*
 * Runs `hart` until the VM's power leaves VM_POWER_ON: run, answer the exit, again; sleeps while
 * the VCPU is stopped, suspended or in WFI; parks while the VM is paused.
 */
void vmm_run_vcpu(struct vm *vm, struct riscv_vcpu *hart, struct vmm_stats *stats);
/* Answers one exit. EXIT_SBI: the VCPU struct is authoritative (state_get). */
void vmm_handle_exit(struct vm *vm, struct riscv_vcpu *hart, enum exit_reason reason,
                     struct exit *exit);

/* Stops all VCPUs at a loop edge and the clock with them; returns when all are parked. Idempotent.
 */
void vmm_pause(struct vm *vm);
void vmm_resume(struct vm *vm);

#endif
