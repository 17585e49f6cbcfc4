/*
 * Hart state management and system suspend (SBI 2.0, chapters 9 and 13).
 *
 * A hart that is STOPPED sleeps in vmm_run_vcpu and leaves its registers alone; whoever moves it
 * from STOPPED to START_PENDING owns them until it says RUNNING.
 */
#include "vmm/sbi_impl.h"

#include "riscv/csr.h"

enum {
    SUSPEND_RETENTIVE = 0x00000000,
    SUSPEND_NON_RETENTIVE = 0x80000000,
};

static bool executable(struct vm *vm, uint64_t address)
{
    return address % 2 == 0 && mem_slot_find(&vm->mem, address, 2) != NULL;
}

static struct sbi_result hart_start(struct vm *vm, uint64_t id, uint64_t address, uint64_t opaque)
{
    if (id >= vm->vcpu_count)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (!executable(vm, address))
        return sbi_error(SBI_ERR_INVALID_ADDRESS);

    struct vcpu *target = vm->vcpus[id];
    uint32_t expected = VCPU_STOPPED;
    if (!atomic_compare_exchange_strong(&target->run_state, &expected, VCPU_START_PENDING))
        return sbi_error(SBI_ERR_ALREADY_AVAILABLE);
    riscv_vcpu_start_supervisor(riscv_of(target), address, opaque);
    vcpu_post(target, VCPU_REQ_TLB_FLUSH | VCPU_REQ_FENCE_I);
    atomic_store(&target->run_state, VCPU_RUNNING);
    vcpu_kick(target);
    return sbi_error(SBI_SUCCESS);
}

static struct sbi_result hart_stop(struct riscv_vcpu *hart)
{
    atomic_store(&hart->vcpu.run_state, VCPU_STOPPED);
    return sbi_error(SBI_GONE);
}

static struct sbi_result hart_status(struct vm *vm, uint64_t id)
{
    /* 9.2, "HSM Hart States". */
    enum { STARTED = 0, STOPPED = 1, START_PENDING = 2, SUSPENDED = 4 };
    if (id >= vm->vcpu_count)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    switch (atomic_load(&vm->vcpus[id]->run_state)) {
    case VCPU_STOPPED: return sbi_value(STOPPED);
    case VCPU_START_PENDING: return sbi_value(START_PENDING);
    case VCPU_SUSPENDED: return sbi_value(SUSPENDED);
    default: return sbi_value(STARTED);
    }
}

/*
 * Goes on at `address` in S-mode with satp 0 and interrupts off; what else the hart held stays,
 * which the specification leaves open.
 */
static struct sbi_result suspend_and_resume_at(struct riscv_vcpu *hart, uint64_t address,
                                               uint64_t opaque)
{
    hart->pc = address;
    hart->priv = PRIV_S;
    hart->satp = 0;
    hart->mstatus &= ~MSTATUS_SIE;
    hart->x[10] = hart->vcpu.id;
    hart->x[11] = opaque;
    hart->effects |= EFFECT_TRANSLATION | EFFECT_MODE | EFFECT_INTERRUPTS;
    atomic_store(&hart->vcpu.run_state, VCPU_SUSPENDED);
    return sbi_error(SBI_GONE);
}

static struct sbi_result hart_suspend(struct vm *vm, struct riscv_vcpu *hart, uint32_t type,
                                      uint64_t address, uint64_t opaque)
{
    switch (type) {
    case SUSPEND_RETENTIVE:
        atomic_store(&hart->vcpu.run_state, VCPU_SUSPENDED);
        return sbi_error(SBI_SUCCESS);
    case SUSPEND_NON_RETENTIVE:
        if (!executable(vm, address))
            return sbi_error(SBI_ERR_INVALID_ADDRESS);
        return suspend_and_resume_at(hart, address, opaque);
    default: return sbi_error(SBI_ERR_INVALID_PARAM);
    }
}

struct sbi_result sbi_hsm(struct vm *vm, struct riscv_vcpu *hart)
{
    const uint64_t *a = &hart->x[10];
    switch (hart->x[16]) {
    case 0: return hart_start(vm, a[0], a[1], a[2]);
    case 1: return hart_stop(hart);
    case 2: return hart_status(vm, a[0]);
    case 3: return hart_suspend(vm, hart, (uint32_t)a[0], a[1], a[2]);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}

struct sbi_result sbi_susp(struct vm *vm, struct riscv_vcpu *hart)
{
    enum { SUSPEND_TO_RAM = 0 };
    if (hart->x[16] != 0)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if ((uint32_t)hart->x[10] != SUSPEND_TO_RAM)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if (!executable(vm, hart->x[11]))
        return sbi_error(SBI_ERR_INVALID_ADDRESS);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (vm->vcpus[i] != &hart->vcpu && atomic_load(&vm->vcpus[i]->run_state) != VCPU_STOPPED)
            return sbi_error(SBI_ERR_DENIED);
    }
    return suspend_and_resume_at(hart, hart->x[11], hart->x[12]);
}
