/*
 * Programmable counters and their overflow interrupts (Privileged ISA 20240411, 3.1.10, and
 * "Sscofpmf"). Of a hart that has Sscofpmf. Events: 1 cycles, 2 instructions, which are the same
 * here. An overflow is seen a little after it happened, as on hardware: where the VCPU looks at
 * interrupts, after a timer had it look.
 */
#ifndef RISCV_CSR_PMU_H
#define RISCV_CSR_PMU_H

#include "riscv/vcpu.h"

#define HPM_FIRST    3
#define HPM_MASK     (((1U << HPM_COUNTERS) - 1) << HPM_FIRST) /* in mcountinhibit and the like */
#define HPM_OF       (1ULL << 63)
#define HPM_MINH     (1ULL << 62)
#define HPM_SINH     (1ULL << 61)
#define HPM_UINH     (1ULL << 60)
#define HPM_VSINH    (1ULL << 59)
#define HPM_VUINH    (1ULL << 58)
#define HPM_SELECTOR 0xffULL

/* Counter i is mhpmcounter(i + HPM_FIRST). */
uint64_t riscv_hpm_read(const struct riscv_vcpu *hart, unsigned i);
void riscv_hpm_write(struct riscv_vcpu *hart, unsigned i, uint64_t value);
void riscv_hpm_set_event(struct riscv_vcpu *hart, unsigned i, uint64_t event);
/* scountovf, of all counters. */
uint32_t riscv_hpm_overflown(const struct riscv_vcpu *hart);
/* After mcountinhibit or the mode has changed, without an instruction between; of the mode
 * alone riscv_hpm_mode. */
void riscv_hpm_update(struct riscv_vcpu *hart);
static inline void riscv_hpm_mode(struct riscv_vcpu *hart)
{
    if (hart->hpm_modes)
        riscv_hpm_update(hart);
}
/* Sets OF and LCOFIP of those that have overflowed. */
void riscv_hpm_check(struct riscv_vcpu *hart);
/* After a load: what is derived. */
void riscv_hpm_loaded(struct riscv_vcpu *hart);
/* The timer's callback, of a struct riscv_vcpu. */
void riscv_hpm_fired(void *arg);

#endif
