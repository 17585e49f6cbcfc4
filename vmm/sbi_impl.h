/*
 * Between the files of the SBI: how an extension answers, and the handlers that sbi.c's table
 * names. The arguments of a call are x[10] to x[15] (a0 to a5) of the hart, its function id is
 * x[16] (a6).
 */
#ifndef VMM_SBI_IMPL_H
#define VMM_SBI_IMPL_H

#include "vmm/sbi.h"

/* Standard errors (SBI 2.0, table 1). */
enum sbi_error {
    /* None, and not the byte that a legacy call answers: the registers are not to be written,
     * because the hart does not return from this call, or belongs to another now. */
    SBI_GONE = 0x100,
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_DENIED = -4,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
    SBI_ERR_ALREADY_STARTED = -7,
    SBI_ERR_ALREADY_STOPPED = -8,
    SBI_ERR_DENIED_LOCKED = -14,
};

/* Two words, which the C ABI passes in a0 and a1 as the SBI does. */
struct sbi_result {
    int64_t error;
    uint64_t value;
};

static inline struct sbi_result sbi_error(enum sbi_error error)
{
    return (struct sbi_result){.error = error};
}

static inline struct sbi_result sbi_value(uint64_t value)
{
    return (struct sbi_result){.value = value};
}

struct sbi_result sbi_hsm(struct vm *vm, struct riscv_vcpu *hart);
struct sbi_result sbi_susp(struct vm *vm, struct riscv_vcpu *hart);
struct sbi_result sbi_pmu(struct vm *vm, struct riscv_vcpu *hart);
struct sbi_result sbi_sta(struct vm *vm, struct riscv_vcpu *hart);
struct sbi_result sbi_dbcn(struct vm *vm, struct riscv_vcpu *hart);
/* The console of DBCN and of the legacy calls. Return how many bytes went. */
size_t sbi_console_write(struct vm *vm, const void *bytes, size_t len);
size_t sbi_console_read(struct vm *vm, void *bytes, size_t len);

#endif
