/* Traps: Privileged ISA 20240411, 3.1.6.1, 3.1.7 to 3.1.9, 3.3.2, 10.1.1. */
#include "riscv/trap.h"

#include "riscv/csr.h"

static uint64_t vector(uint64_t tvec, bool interrupt, unsigned cause)
{
    uint64_t base = tvec & ~3ULL;
    return interrupt && (tvec & 3) == 1 ? base + 4ULL * cause : base;
}

static void enter(struct riscv_vcpu *hart, bool interrupt, unsigned cause, uint64_t tval)
{
    const uint64_t deleg = interrupt ? hart->mideleg : hart->medeleg;
    const uint64_t xcause = (uint64_t)interrupt << 63 | cause;
    uint64_t s = hart->mstatus;

    if (hart->priv <= PRIV_S && (deleg >> cause & 1) != 0) {
        s &= ~(MSTATUS_SPIE | MSTATUS_SPP);
        s |= (s & MSTATUS_SIE) != 0 ? MSTATUS_SPIE : 0;
        s |= hart->priv == PRIV_S ? MSTATUS_SPP : 0;
        hart->mstatus = s & ~MSTATUS_SIE;
        hart->sepc = hart->pc;
        hart->scause = xcause;
        hart->stval = tval;
        hart->priv = PRIV_S;
        hart->pc = vector(hart->stvec, interrupt, cause);
    } else {
        s &= ~(MSTATUS_MPIE | MSTATUS_MPP);
        s |= (s & MSTATUS_MIE) != 0 ? MSTATUS_MPIE : 0;
        s |= (uint64_t)hart->priv << MSTATUS_MPP_SHIFT;
        hart->mstatus = s & ~MSTATUS_MIE;
        hart->mepc = hart->pc;
        hart->mcause = xcause;
        hart->mtval = tval;
        hart->priv = PRIV_M;
        hart->pc = vector(hart->mtvec, interrupt, cause);
    }
    hart->effects |= EFFECT_MODE;
}

void riscv_trap(struct riscv_vcpu *hart, unsigned cause, uint64_t tval)
{
    hart->traps++;
    enter(hart, false, cause, tval);
}

int riscv_interrupt_next(const struct riscv_vcpu *hart)
{
    /* Priority of simultaneous interrupts to one privilege (3.1.9). */
    static const uint8_t order[] = {IRQ_MEI, IRQ_MSI, IRQ_MTI, IRQ_SEI, IRQ_SSI, IRQ_STI};
    const uint64_t pending = riscv_mip(hart) & hart->mie;
    uint64_t take = 0;

    if (pending == 0)
        return -1;
    if (hart->priv < PRIV_M || (hart->mstatus & MSTATUS_MIE) != 0)
        take = pending & ~hart->mideleg;
    if (take == 0 &&
        (hart->priv < PRIV_S || (hart->priv == PRIV_S && (hart->mstatus & MSTATUS_SIE) != 0)))
        take = pending & hart->mideleg;
    for (unsigned i = 0; take != 0 && i < sizeof order; i++)
        if (take >> order[i] & 1)
            return order[i];
    return -1;
}

void riscv_interrupt(struct riscv_vcpu *hart, unsigned irq)
{
    hart->interrupts++;
    enter(hart, true, irq, 0);
}

bool riscv_mret(struct riscv_vcpu *hart)
{
    uint64_t s = hart->mstatus;
    if (hart->priv != PRIV_M)
        return false;
    hart->priv = (uint8_t)(s >> MSTATUS_MPP_SHIFT & 3);
    s &= ~(MSTATUS_MIE | MSTATUS_MPP);
    s |= (s & MSTATUS_MPIE) != 0 ? MSTATUS_MIE : 0;
    s |= MSTATUS_MPIE;
    if (hart->priv != PRIV_M)
        s &= ~MSTATUS_MPRV;
    hart->mstatus = s;
    hart->pc = hart->mepc;
    hart->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
    return true;
}

bool riscv_sret(struct riscv_vcpu *hart)
{
    uint64_t s = hart->mstatus;
    if (hart->priv < PRIV_S || (hart->priv == PRIV_S && (s & MSTATUS_TSR) != 0))
        return false;
    hart->priv = s & MSTATUS_SPP ? PRIV_S : PRIV_U;
    s &= ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    s |= (s & MSTATUS_SPIE) != 0 ? MSTATUS_SIE : 0;
    s |= MSTATUS_SPIE;
    hart->mstatus = s;
    hart->pc = hart->sepc;
    hart->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
    return true;
}

bool riscv_wfi_allowed(const struct riscv_vcpu *hart)
{
    /* U-mode: WFI is illegal here as mstatus.TW allows at once when S-mode exists (3.3.3). */
    return hart->priv == PRIV_M || (hart->priv == PRIV_S && (hart->mstatus & MSTATUS_TW) == 0);
}

bool riscv_sfence_allowed(const struct riscv_vcpu *hart)
{
    return hart->priv == PRIV_M || (hart->priv == PRIV_S && (hart->mstatus & MSTATUS_TVM) == 0);
}

bool riscv_cbo_allowed(const struct riscv_vcpu *hart, uint64_t need)
{
    return (hart->priv == PRIV_M || (hart->menvcfg & need) != 0) &&
           (hart->priv != PRIV_U || (hart->senvcfg & need) != 0);
}
