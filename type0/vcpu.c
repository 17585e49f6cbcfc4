/*
 * What riscv/ promises of a VCPU, where its state is the hart's own: the functions of riscv/vcpu.h
 * and riscv/csr.h that vmm/ calls. riscv/vcpu.c and riscv/csr.c are not part of this hypervisor.
 */
#include "riscv/csr.h"
#include "type0/context.h"
#include "type0/partition.h"
#include "type0/timer.h"

void riscv_vcpu_irq(struct riscv_vcpu *vcpu, unsigned irq, bool level)
{
    uint64_t bit = 1ULL << irq;
    bool own = this_hart()->current == world_of(&vcpu->vcpu);
    if (!level) {
        atomic_fetch_and(&vcpu->mip, ~bit);
        if (own)
            hcsr_clear(MCSR_MIP, bit & HIRQ_SSI);
    } else if ((atomic_fetch_or(&vcpu->mip, bit) & bit) == 0) {
        vcpu_kick(&vcpu->vcpu);
    }
}

/* Of a world of this hart. */
bool riscv_vcpu_wfi_done(const struct riscv_vcpu *vcpu)
{
    const struct world *world = vcpu->vcpu.engine_data;
    if (this_hart()->current != world)
        return world->context != NULL && context_pending(world);
    uint64_t pending = hcsr_read(MCSR_MIP) | atomic_load(&vcpu->mip);
    return (pending & hcsr_read(MCSR_MIE) & MIRQ_S) != 0;
}

/* Of the world in this hart (SBI 2.0, 6.1). */
void riscv_vcpu_set_stimecmp(struct riscv_vcpu *vcpu, uint64_t ticks)
{
    (void)vcpu;
    timer_set_guest(this_hart(), ticks);
}

void riscv_vcpu_start_supervisor(struct riscv_vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
    memset(vcpu->x, 0, sizeof vcpu->x);
    vcpu->x[10] = vcpu->vcpu.id;
    vcpu->x[11] = opaque;
    vcpu->pc = pc & ~1ULL;
    vcpu->priv = PRIV_S;
    vcpu->satp = 0;
    vcpu->mcountinhibit = 0;
    vcpu->mstatus = MSTATUS_UXL | MSTATUS_SXL | (features.fp ? MSTATUS_FS_INITIAL : 0) |
                    (features.v ? 1UL << 9 : 0);
    if (world_of(&vcpu->vcpu)->context != NULL)
        vcpu->mstatus |= MSTATUS_TW;
    world_of(&vcpu->vcpu)->waiting = false;
    vcpu->effects = 0;
    vcpu->sbi = true;
    atomic_store(&vcpu->mip, 0);
    world_of(&vcpu->vcpu)->fresh = true;
}

/* What vmm/sbi_pmu.c writes as M-mode's software; the hart has the registers. */
bool riscv_csr_write(struct riscv_vcpu *vcpu, unsigned csr, uint64_t value)
{
    switch (csr) {
    case CSR_mcycle: hcsr_write(MCSR_MCYCLE, value); return true;
    case CSR_minstret: hcsr_write(MCSR_MINSTRET, value); return true;
    case CSR_mcountinhibit:
        vcpu->mcountinhibit = (uint32_t)value;
        return try_write(TRY_MCOUNTINHIBIT, value);
    default: return false;
    }
}
