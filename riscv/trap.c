/* Traps: Privileged ISA 20240411, 3.1.6.1, 3.1.7 to 3.1.9, 3.3.2, 10.1.1, 18.6. */
#include "riscv/trap.h"

#include "riscv/aia.h"
#include "riscv/csr.h"
#include "riscv/csr_pmu.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"

static uint64_t vector(uint64_t tvec, bool interrupt, unsigned cause)
{
    uint64_t base = tvec & ~3ULL;
    return interrupt && (tvec & 3) == 1 ? base + 4ULL * cause : base;
}

/*
 * The instruction at hart->pc as htinst and mtinst show one whose access faulted: its address and
 * immediate gone, in place of rs1 how far `va` is from where the access began (18.6.3). 0: not
 * known.
 */
static uint32_t transformed(struct riscv_vcpu *hart, uint64_t va)
{
    const uint64_t gpa = hart->fault_gpa;
    const bool virt = hart->access_virt;
    uint32_t raw = 0;
    struct insn in;

    for (unsigned i = 0; i < 2; i++) { /* halves, since it may cross a page */
        struct riscv_page page;
        uint16_t half;
        if (riscv_translate(hart, hart->pc + 2 * i, 2, ACCESS_FETCH, riscv_fetch_priv(hart),
                            &page) != 0 ||
            page.hva == NULL)
            break;
        memcpy(&half, page.hva + (page.pa & (MEM_PAGE_SIZE - 1)), 2);
        raw |= (uint32_t)half << 16 * i;
        if (insn_length((uint16_t)raw) == 2)
            break;
    }
    hart->fault_gpa = gpa;
    hart->access_virt = virt;
    if (!insn_decode_of(raw, &hart->isa, &in))
        return 0;
    const uint32_t offset = (uint32_t)(va - hart->x[in.rs1] - (uint64_t)(int64_t)in.imm) & 31;
    const uint32_t base = insn_table[in.op].match | offset << 15;
    switch (insn_table[in.op].format) {
    case FMT_LOAD:
    case FMT_FLOAD: return (base | (uint32_t)in.rd << 7) & ~(in.length == 2 ? 2u : 0u);
    case FMT_STORE:
    case FMT_FSTORE: return (base | (uint32_t)in.rs2 << 20) & ~(in.length == 2 ? 2u : 0u);
    case FMT_AMO:
    case FMT_LR:
    case FMT_HLV:
    case FMT_HSV:
    case FMT_CBO: return (in.raw & ~(31u << 15)) | offset << 15;
    default: return 0;
    }
}

/* What a trap tells of H's side: xtval is a guest-virtual address, htval, htinst. */
struct told {
    bool gva;
    uint64_t gpa, inst;
};

static struct told tell(struct riscv_vcpu *hart, unsigned cause, uint64_t tval)
{
    struct told t = {0};
    switch (cause) {
    case CAUSE_FETCH_MISALIGNED:
    case CAUSE_FETCH_ACCESS:
    case CAUSE_FETCH_PAGE_FAULT:
    case CAUSE_FETCH_GUEST_FAULT:
    case CAUSE_BREAKPOINT: t.gva = hart->virt; break;
    case CAUSE_LOAD_MISALIGNED:
    case CAUSE_STORE_MISALIGNED: t.gva = (riscv_data_priv(hart) & PRIV_VIRT) != 0; break;
    case CAUSE_LOAD_ACCESS:
    case CAUSE_STORE_ACCESS:
    case CAUSE_LOAD_PAGE_FAULT:
    case CAUSE_STORE_PAGE_FAULT:
    case CAUSE_LOAD_GUEST_FAULT:
    case CAUSE_STORE_GUEST_FAULT: t.gva = hart->access_virt; break;
    default: break;
    }
    if (cause < CAUSE_FETCH_GUEST_FAULT || cause == CAUSE_VIRTUAL)
        return t;
    t.gpa = hart->fault_gpa >> 2;
    t.inst = hart->fault_inst;
    if (t.inst == 0 && cause != CAUSE_FETCH_GUEST_FAULT)
        t.inst = transformed(hart, tval);
    return t;
}

static void enter(struct riscv_vcpu *hart, bool interrupt, unsigned cause, uint64_t tval)
{
    const uint64_t deleg = interrupt ? hart->mideleg : hart->medeleg;
    const uint64_t vs_deleg = interrupt ? hart->hideleg : hart->hedeleg;
    const bool was_virt = riscv_virt(hart);
    const unsigned to = cause & (RISCV_TO_S | RISCV_TO_VS);
    cause &= 63;
    const bool to_m = to == 0 && (hart->priv > PRIV_S || (deleg >> cause & 1) == 0);
    const bool to_vs =
        to == RISCV_TO_VS || (to == 0 && was_virt && !to_m && (vs_deleg >> cause & 1) != 0);
    struct told told = {0};
    uint64_t s;

    if (riscv_has_h(hart) && !interrupt)
        told = tell(hart, cause, tval);
    if (to_vs && interrupt)
        cause -= to == 0; /* VS-mode knows its interrupts by S-mode's numbers (18.2.3) */
    else if (was_virt && !to_vs)
        riscv_set_virt(hart, false);
    const uint64_t xcause = (uint64_t)interrupt << 63 | cause;
    s = hart->mstatus;
    if (!to_m) {
        s &= ~(MSTATUS_SPIE | MSTATUS_SPP);
        s |= (s & MSTATUS_SIE) != 0 ? MSTATUS_SPIE : 0;
        s |= hart->priv == PRIV_S ? MSTATUS_SPP : 0;
        hart->mstatus = s & ~MSTATUS_SIE;
        hart->sepc = hart->pc;
        hart->scause = xcause;
        hart->stval = tval;
        if (riscv_has_h(hart) && !to_vs) {
            hart->hstatus &= ~(HSTATUS_SPV | HSTATUS_GVA);
            hart->hstatus |= (was_virt ? HSTATUS_SPV : 0) | (told.gva ? HSTATUS_GVA : 0);
            if (was_virt)
                hart->hstatus =
                    (hart->hstatus & ~HSTATUS_SPVP) | (hart->priv == PRIV_S ? HSTATUS_SPVP : 0);
            hart->htval = told.gpa;
            hart->htinst = told.inst;
        }
        hart->priv = PRIV_S;
        hart->pc = vector(hart->stvec, interrupt, cause);
    } else {
        s &= ~(MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPV | MSTATUS_GVA);
        s |= (s & MSTATUS_MIE) != 0 ? MSTATUS_MPIE : 0;
        s |= (uint64_t)hart->priv << MSTATUS_MPP_SHIFT;
        s |= (was_virt ? MSTATUS_MPV : 0) | (told.gva ? MSTATUS_GVA : 0);
        hart->mstatus = s & ~MSTATUS_MIE;
        hart->mepc = hart->pc;
        hart->mcause = xcause;
        hart->mtval = tval;
        hart->mtval2 = told.gpa;
        hart->mtinst = told.inst;
        hart->priv = PRIV_M;
        hart->pc = vector(hart->mtvec, interrupt, cause);
    }
    hart->effects |= EFFECT_MODE;
    riscv_hpm_mode(hart);
}

void riscv_trap(struct riscv_vcpu *hart, unsigned cause, uint64_t tval)
{
    hart->traps++;
    enter(hart, false, cause, tval);
}

int riscv_interrupt_first(uint64_t interrupts)
{
    static const uint8_t order[] = {IRQ_MEI,  IRQ_MSI,  IRQ_MTI,  IRQ_SEI,  IRQ_SSI,  IRQ_STI,
                                    IRQ_SGEI, IRQ_VSEI, IRQ_VSSI, IRQ_VSTI, IRQ_LCOFI};
    for (unsigned i = 0; interrupts != 0 && i < sizeof order; i++)
        if (interrupts >> order[i] & 1)
            return order[i];
    return -1;
}

int riscv_interrupt_next(struct riscv_vcpu *hart)
{
    if (atomic_load_explicit(&hart->hpm_due, memory_order_relaxed))
        riscv_hpm_check(hart);
    if (riscv_aia(hart) != NULL)
        return riscv_aia_next(hart);
    const uint64_t pending = riscv_mip(hart) & hart->mie;
    const bool virt = riscv_virt(hart);
    uint64_t take = 0;

    if (pending == 0)
        return -1;
    const bool below_s = hart->priv < PRIV_S;
    const bool sie = hart->priv == PRIV_S && (hart->mstatus & MSTATUS_SIE) != 0; /* VS's if V=1 */
    if (hart->priv < PRIV_M || (hart->mstatus & MSTATUS_MIE) != 0)
        take = pending & ~hart->mideleg;
    if (take == 0 && (virt || below_s || sie))
        take = pending & hart->mideleg & ~hart->hideleg;
    if (take == 0 && virt && (below_s || sie))
        take = pending & hart->mideleg & hart->hideleg;
    return riscv_interrupt_first(take);
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
    const bool virt = riscv_has_h(hart) && (s & MSTATUS_MPV) != 0;
    hart->priv = (uint8_t)(s >> MSTATUS_MPP_SHIFT & 3);
    s &= ~(MSTATUS_MIE | MSTATUS_MPP | MSTATUS_MPV);
    s |= (s & MSTATUS_MPIE) != 0 ? MSTATUS_MIE : 0;
    s |= MSTATUS_MPIE;
    if (hart->priv != PRIV_M)
        s &= ~MSTATUS_MPRV;
    hart->mstatus = s;
    hart->pc = hart->mepc;
    hart->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
    if (virt && hart->priv != PRIV_M)
        riscv_set_virt(hart, true);
    riscv_hpm_mode(hart);
    return true;
}

bool riscv_sret(struct riscv_vcpu *hart)
{
    uint64_t s = hart->mstatus;
    const bool was_virt = riscv_virt(hart);
    if (hart->priv < PRIV_S ||
        (hart->priv == PRIV_S &&
         (was_virt ? (hart->hstatus & HSTATUS_VTSR) != 0 : (s & MSTATUS_TSR) != 0)))
        return false;
    hart->priv = s & MSTATUS_SPP ? PRIV_S : PRIV_U;
    s &= ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    s |= (s & MSTATUS_SPIE) != 0 ? MSTATUS_SIE : 0;
    s |= MSTATUS_SPIE;
    hart->mstatus = s;
    hart->pc = hart->sepc;
    hart->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
    if (riscv_has_h(hart) && !was_virt) {
        const bool virt = (hart->hstatus & HSTATUS_SPV) != 0;
        hart->hstatus &= ~HSTATUS_SPV;
        riscv_set_virt(hart, virt);
    }
    riscv_hpm_mode(hart);
    return true;
}

bool riscv_wfi_allowed(const struct riscv_vcpu *hart)
{
    /* U-mode: WFI is illegal here as mstatus.TW allows at once when S-mode exists (3.3.3). */
    return hart->priv == PRIV_M || (hart->priv == PRIV_S && (hart->mstatus & MSTATUS_TW) == 0 &&
                                    !(riscv_virt(hart) && (hart->hstatus & HSTATUS_VTW) != 0));
}

bool riscv_sfence_allowed(const struct riscv_vcpu *hart)
{
    if (riscv_virt(hart))
        return hart->priv == PRIV_S && (hart->hstatus & HSTATUS_VTVM) == 0;
    return hart->priv == PRIV_M || (hart->priv == PRIV_S && (hart->mstatus & MSTATUS_TVM) == 0);
}

bool riscv_hfence_allowed(const struct riscv_vcpu *hart, bool gvma)
{
    return riscv_has_h(hart) && !hart->virt &&
           (hart->priv == PRIV_M ||
            (hart->priv == PRIV_S && (!gvma || (hart->mstatus & MSTATUS_TVM) == 0)));
}

bool riscv_hlv_allowed(const struct riscv_vcpu *hart)
{
    return riscv_has_h(hart) && !hart->virt &&
           (hart->priv != PRIV_U || (hart->hstatus & HSTATUS_HU) != 0);
}

bool riscv_cbo_allowed(const struct riscv_vcpu *hart, uint64_t need)
{
    return (hart->priv == PRIV_M || (hart->menvcfg & need) != 0) &&
           (!riscv_virt(hart) || (hart->henvcfg & need) != 0) &&
           (hart->priv != PRIV_U || (hart->senvcfg & need) != 0);
}

unsigned riscv_ecall_cause(const struct riscv_vcpu *hart)
{
    return riscv_virt(hart) && hart->priv == PRIV_S ? CAUSE_ECALL_VS : CAUSE_ECALL_U + hart->priv;
}

unsigned riscv_refusal(const struct riscv_vcpu *hart, uint32_t raw)
{
    struct insn in;
    bool virtual = false;

    if (!riscv_virt(hart) || !insn_decode_of(raw, &hart->isa, &in))
        return CAUSE_ILLEGAL;
    switch (insn_table[in.op].format) {
    case FMT_CSR:
    case FMT_CSRI: {
        /* What HS-mode might do, but for mstatus.TVM. */
        struct riscv_vcpu hs = {.priv = PRIV_S, .isa = hart->isa};
        const bool write = in.op == OP_csrrw || in.op == OP_csrrwi || in.rs1 != 0;
        if (riscv_aia(hart) != NULL && riscv_csr_is_aia((unsigned)in.imm)) {
            virtual = riscv_aia_is_virtual(hart, (unsigned)in.imm, write);
            break;
        }
        hs.mstatus = hart->mstatus & (MSTATUS_FS | MSTATUS_VS);
        hs.menvcfg = hart->menvcfg;
        hs.mseccfg = hart->mseccfg;
        hs.mcounteren = hart->mcounteren;
        memcpy(hs.mstateen, hart->mstateen, sizeof hs.mstateen);
        virtual = riscv_csr_name((unsigned)in.imm) != NULL &&
                  riscv_csr_allowed(&hs, (unsigned)in.imm, write);
        break;
    }
    case FMT_HLV:
    case FMT_HSV: virtual = true; break;
    case FMT_CBO: {
        const uint64_t need = in.op == OP_cbo_zero    ? ENVCFG_CBZE
                              : in.op == OP_cbo_inval ? ENVCFG_CBIE
                                                      : ENVCFG_CBCFE;
        virtual = (hart->menvcfg & need) != 0;
        break;
    }
    default:
        switch (in.op) {
        case OP_wfi: virtual = (hart->mstatus & MSTATUS_TW) == 0; break;
        case OP_sret:
        case OP_sfence_vma:
        case OP_sinval_vma:
        case OP_sfence_w_inval:
        case OP_sfence_inval_ir:
        case OP_hfence_vvma:
        case OP_hfence_gvma:
        case OP_hinval_vvma:
        case OP_hinval_gvma: virtual = true; break;
        default: break;
        }
    }
    return virtual ? CAUSE_VIRTUAL : CAUSE_ILLEGAL;
}
