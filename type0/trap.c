/* Exceptions that M-mode takes and S-mode (or VS-mode) is to have. */
#include "riscv/csr.h"
#include "type0/console.h"
#include "type0/world.h"

void trap_read(struct trap *trap)
{
    *trap = (struct trap){.cause = hcsr_read(MCSR_MCAUSE), .value = hcsr_read(MCSR_MTVAL)};
    if (features.h) {
        trap->value2 = hcsr_read(MCSR_MTVAL2);
        trap->insn = hcsr_read(MCSR_MTINST);
    }
}

/* To VS: what the hart would have done with the bit of hedeleg set and V=1 (15.6.2). */
static void redirect_vs(struct riscv_vcpu *vcpu, const struct trap *trap)
{
    uint64_t status = hcsr_read(HCSR_VSSTATUS);
    status = (status & ~(HSTAT_SIE | HSTAT_SPIE | HSTAT_SPP)) |
             ((status & HSTAT_SIE) != 0 ? HSTAT_SPIE : 0) | (vcpu->priv == PRIV_S ? HSTAT_SPP : 0);
    hcsr_write(HCSR_VSSTATUS, status);
    hcsr_write(HCSR_VSCAUSE, trap->cause);
    hcsr_write(HCSR_VSTVAL, trap->value);
    hcsr_write(HCSR_VSEPC, vcpu->pc);
    vcpu->pc = hcsr_read(HCSR_VSTVEC) & ~3UL;
    vcpu->priv = PRIV_S;
}

/* Exceptions that never go to VS (15.2.2, hedeleg). */
#define HS_ALONE                                                                                   \
    (1UL << HCAUSE_VS_ECALL | 1UL << MCAUSE_S_ECALL | 1UL << HCAUSE_FETCH_GUEST_PAGE |             \
     1UL << HCAUSE_LOAD_GUEST_PAGE | 1UL << HCAUSE_VIRTUAL_INSN | 1UL << HCAUSE_STORE_GUEST_PAGE)

/* It cannot take a trap at all: its own handler is where nothing can be fetched. */
static void give_up(struct riscv_vcpu *vcpu, const struct trap *trap)
{
    const uint64_t *x = vcpu->x;
    struct vm *vm = vcpu->vcpu.vm;

    console_answer("%s: hart %u cannot fetch its trap handler (cause %lu at %lx)", vm->name,
                   vcpu->vcpu.id, (unsigned long)trap->cause, (unsigned long)vcpu->pc);
    console_answer("  before: scause %lx sepc %lx stval %lx  satp %lx sie %lx mstatus %lx",
                   (unsigned long)hcsr_read(HCSR_SCAUSE), (unsigned long)hcsr_read(HCSR_SEPC),
                   (unsigned long)hcsr_read(HCSR_STVAL), (unsigned long)hcsr_read(HCSR_SATP),
                   (unsigned long)hcsr_read(HCSR_SIE), (unsigned long)vcpu->mstatus);
    for (unsigned i = 0; i < 32; i += 4)
        console_answer("  x%-2u %016lx %016lx %016lx %016lx", i, (unsigned long)x[i],
                       (unsigned long)x[i + 1], (unsigned long)x[i + 2], (unsigned long)x[i + 3]);
    vm_power_request(vm, VM_POWER_FAILED, 1, "it cannot take a trap");
}

/* To S or HS: what the hart would have done with the bit of medeleg or mideleg set. */
static void redirect_hs(struct riscv_vcpu *vcpu, const struct trap *trap, bool virtual)
{
    uint64_t stvec = hcsr_read(HCSR_STVEC);
    if (features.h) {
        uint64_t hstatus = hcsr_read(HCSR_HSTATUS) & ~(HSTATUS_SPV | HSTATUS_GVA);
        if (virtual)
            hstatus =
                (hstatus & ~HSTATUS_SPVP) | HSTATUS_SPV | (vcpu->priv == PRIV_S ? HSTATUS_SPVP : 0);
        if ((vcpu->mstatus & MSTAT_GVA) != 0)
            hstatus |= HSTATUS_GVA;
        hcsr_write(HCSR_HSTATUS, hstatus);
        hcsr_write(HCSR_HTVAL, trap->value2);
        hcsr_write(HCSR_HTINST, trap->insn);
    }
    vcpu->mstatus &= ~(MSTAT_MPV | MSTAT_GVA);
    hcsr_write(HCSR_SCAUSE, trap->cause);
    hcsr_write(HCSR_STVAL, trap->value);
    hcsr_write(HCSR_SEPC, vcpu->pc);
    vcpu->pc = stvec & ~3UL;
    if ((stvec & 1) != 0 && (trap->cause & HCAUSE_INTERRUPT) != 0)
        vcpu->pc += 4 * (trap->cause & 63);
    uint64_t status = vcpu->mstatus;
    vcpu->mstatus = (status & ~(MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP)) |
                    ((status & MSTATUS_SIE) != 0 ? MSTATUS_SPIE : 0) |
                    (vcpu->priv == PRIV_S ? MSTATUS_SPP : 0);
    vcpu->priv = PRIV_S;
}

bool trap_spurious(struct riscv_vcpu *vcpu)
{
    uint64_t enabled = hcsr_read(MCSR_MIE) & MIRQ_S;
    if (enabled == 0)
        return false;
    /* The software interrupt, if that is enabled: handlers find nothing to do. */
    struct trap trap = {.cause = HCAUSE_INTERRUPT | (uint64_t)__builtin_ctzll(enabled)};
    redirect_hs(vcpu, &trap, true);
    return true;
}

void trap_redirect(struct riscv_vcpu *vcpu, const struct trap *trap)
{
    bool virtual = features.h && (vcpu->mstatus & MSTAT_MPV) != 0;

    if (trap->cause == CAUSE_FETCH_ACCESS && !virtual && vcpu->priv == PRIV_S &&
        vcpu->pc == (hcsr_read(HCSR_STVEC) & ~3UL)) {
        give_up(vcpu, trap);
        return;
    }
    uint64_t bit = 1UL << (trap->cause & 63);

    if (virtual && (hcsr_read(HCSR_HEDELEG) & ~HS_ALONE & bit) != 0) {
        redirect_vs(vcpu, trap);
        return;
    }
    redirect_hs(vcpu, trap, virtual);
}
