/*
 * Steal-time accounting (SBI 2.0, chapter 16): how long a VCPU that could run had no hart, in
 * memory that the guest names and reads as it likes.
 */
#include "vmm/sbi_impl.h"

/* 16.1, "Set Steal-time Shared Memory Address": little-endian; the rest of the 64 bytes is
 * reserved. */
struct steal_shmem {
    _Atomic uint32_t sequence; /* odd while `steal` changes */
    uint32_t flags;
    _Atomic uint64_t steal; /* ns */
    _Atomic uint8_t preempted;
    uint8_t reserved[47];
};
_Static_assert(sizeof(struct steal_shmem) == 64, "SBI 2.0, 16.1");

struct sbi_result sbi_sta(struct vm *vm, struct riscv_vcpu *hart)
{
    enum { SET_SHMEM = 0 };
    uint64_t low = hart->x[10], high = hart->x[11], flags = hart->x[12];

    if (!vm->steal_time || hart->x[16] != SET_SHMEM)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (flags != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (low == UINT64_MAX && high == UINT64_MAX) {
        hart->steal_gpa = 0;
        return sbi_error(SBI_SUCCESS);
    }
    if (low % sizeof(struct steal_shmem) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    void *shmem =
        high == 0 && low != 0 ? mem_map(&vm->mem, low, sizeof(struct steal_shmem), true) : NULL;
    if (shmem == NULL)
        return sbi_error(SBI_ERR_INVALID_ADDRESS);
    memset(shmem, 0, sizeof(struct steal_shmem));
    mem_done(&vm->mem, low, sizeof(struct steal_shmem));
    hart->steal_gpa = low;
    return sbi_error(SBI_SUCCESS);
}

void sbi_steal(struct vm *vm, struct riscv_vcpu *hart, uint64_t ns, bool preempted)
{
    struct steal_shmem *shmem =
        hart->steal_gpa != 0 ? mem_map(&vm->mem, hart->steal_gpa, sizeof *shmem, true) : NULL;
    if (shmem == NULL)
        return;
    if (ns != 0) {
        atomic_fetch_add(&shmem->sequence, 1);
        atomic_store_explicit(&shmem->steal,
                              atomic_load_explicit(&shmem->steal, memory_order_relaxed) + ns,
                              memory_order_relaxed);
        atomic_fetch_add(&shmem->sequence, 1);
    }
    atomic_store_explicit(&shmem->preempted, preempted, memory_order_release);
    mem_done(&vm->mem, hart->steal_gpa, sizeof *shmem);
}
