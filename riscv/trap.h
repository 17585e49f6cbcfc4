/*
 * Traps and returns from them (Privileged ISA, 3.1.6 to 3.1.9, 3.3.2, 10.1).
 */
#ifndef RISCV_TRAP_H
#define RISCV_TRAP_H

#include "riscv/vcpu.h"

/* Takes the exception `cause` at hart->pc: sets xepc, xcause, xtval, privilege and pc. */
void riscv_trap(struct riscv_vcpu *hart, unsigned cause, uint64_t tval);
/* The interrupt to take now, for riscv_interrupt, or -1. */
int riscv_interrupt_next(struct riscv_vcpu *hart);
void riscv_interrupt(struct riscv_vcpu *hart, unsigned irq);
/* Beside its number, where it goes whatever is delegated, with S-mode's numbers (AIA). */
enum { RISCV_TO_S = 0x100, RISCV_TO_VS = 0x200 };
/* The first of the bits of mip by the default priorities, or -1 (3.1.9, 18.4.4; AIA 5.1). */
int riscv_interrupt_first(uint64_t interrupts);
/* xRET; false: illegal here. On success pc and privilege are the new ones. */
bool riscv_mret(struct riscv_vcpu *hart);
bool riscv_sret(struct riscv_vcpu *hart);
/* Whether ECALL leaves the guest: it is a call of our own SBI. */
static inline bool riscv_ecall_is_sbi(const struct riscv_vcpu *hart)
{
    return hart->priv == PRIV_S && hart->sbi && !riscv_virt(hart);
}
/* The cause of ECALL here. */
unsigned riscv_ecall_cause(const struct riscv_vcpu *hart);
/* The cause that the instruction `raw` gets which has been refused here: illegal or virtual
 * instruction (18.6.1). */
unsigned riscv_refusal(const struct riscv_vcpu *hart, uint32_t raw);
/* HFENCE.VVMA and HINVAL.VVMA, those of the G stage (`gvma`), HLV and its kin are allowed here. */
bool riscv_hfence_allowed(const struct riscv_vcpu *hart, bool gvma);
bool riscv_hlv_allowed(const struct riscv_vcpu *hart);
/* WFI is allowed here (mstatus.TW, hstatus.VTW); SFENCE.VMA is (mstatus.TVM, hstatus.VTVM). */
bool riscv_wfi_allowed(const struct riscv_vcpu *hart);
bool riscv_sfence_allowed(const struct riscv_vcpu *hart);
/* A cache-block operation is, by the bits `need` (ENVCFG_CB*) of menvcfg, henvcfg and senvcfg
 * (CMO 2.5). */
bool riscv_cbo_allowed(const struct riscv_vcpu *hart, uint64_t need);

#endif
