/*
 * SBI 2.0 as the hypervisor answers it for a guest kernel that has no M-mode software of its own.
 * One table of extensions, each registered with its id; types 0 and 1 share it.
 */
#ifndef VMM_SBI_H
#define VMM_SBI_H

#include "riscv/vcpu.h"

#define SBI_SPEC_VERSION (2ULL << 24) /* 2.0 (SBI 2.0, 4.1) */

/* The call is in a7 (extension), a6 (function), a0..a5; the answer goes into a0 (error) and a1
 * (value). */
void sbi_call(struct vm *vm, struct riscv_vcpu *hart);

/*
 * The same for calls whose answer needs no more of the VCPU struct than its integer registers, so
 * that an engine may have them answered while it keeps the rest. False: none of these, nothing was
 * done.
 */
bool sbi_call_light(struct vm *vm, struct riscv_vcpu *hart);

/* Of those, calls that concern nobody but the caller and wait for nothing: it may count as running.
 */
bool sbi_call_alone(struct vm *vm, struct riscv_vcpu *hart);

/*
 * Steal time (SBI 2.0, chapter 16), for hypervisors that set vm->steal_time: the VCPU could have
 * run but waited `ns` more for a hart; `preempted`: it does so now. While it does not run.
 */
void sbi_steal(struct vm *vm, struct riscv_vcpu *hart, uint64_t ns, bool preempted);

/*
 * Posts `requests` (enum vcpu_request) to the harts of `targets` (bit n: hart n) and waits until
 * none of them can run with the old state, serving the caller's own requests meanwhile.
 */
void sbi_remote(struct vm *vm, struct riscv_vcpu *self, uint64_t targets, uint32_t requests);

#endif
