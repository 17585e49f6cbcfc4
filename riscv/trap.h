/*
 * Traps and returns from them (Privileged ISA, 3.1.6 to 3.1.9, 3.3.2, 10.1).
 */
#ifndef RISCV_TRAP_H
#define RISCV_TRAP_H

#include "riscv/vcpu.h"

/* Takes the exception `cause` at hart->pc: sets xepc, xcause, xtval, privilege and pc. */
void riscv_trap(struct riscv_vcpu *hart, unsigned cause, uint64_t tval);
/* The interrupt to take now, or -1. */
int riscv_interrupt_next(const struct riscv_vcpu *hart);
/* Takes it. */
void riscv_interrupt(struct riscv_vcpu *hart, unsigned irq);
/* xRET; false: illegal here. On success pc and privilege are the new ones. */
bool riscv_mret(struct riscv_vcpu *hart);
bool riscv_sret(struct riscv_vcpu *hart);
/* WFI is allowed here (mstatus.TW); SFENCE.VMA is (mstatus.TVM). */
bool riscv_wfi_allowed(const struct riscv_vcpu *hart);
bool riscv_sfence_allowed(const struct riscv_vcpu *hart);
/* A cache-block operation is, by the bits `need` (ENVCFG_CB*) of menvcfg and senvcfg (CMO 2.5). */
bool riscv_cbo_allowed(const struct riscv_vcpu *hart, uint64_t need);

#endif
