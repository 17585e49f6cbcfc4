/* CSRs of the hypervisor extension, and what V=1 changes of others (Privileged ISA 20240411, 18.2).
 */
#include "core/clock.h"
#include "riscv/aia.h"
#include "riscv/csr.h"

#define HSTATUS_MASK                                                                               \
    (HSTATUS_GVA | HSTATUS_SPV | HSTATUS_SPVP | HSTATUS_HU | HSTATUS_VTVM | HSTATUS_VTW |          \
     HSTATUS_VTSR)
/* What VS-mode may get: no calls from S-mode up, no guest-page faults (table 30). */
#define HEDELEG_MASK 0xb1ffULL
#define HGATP_PPN    (SATP_PPN & ~3ULL) /* a root table has 16 KiB */
#define HGATP_VMID   (0x3fffULL << 44)
#define BY_MENVCFG   (ENVCFG_ADUE | ENVCFG_PBMTE | ENVCFG_STCE)

/* What happens to `field`, FS or VS, of the status registers of the world left and of that entered.
 */
static void cross(struct riscv_vcpu *hart, uint64_t field, bool virt, uint64_t *from, uint64_t *to)
{
    if (virt && (*from & field) == 0) { /* it is off in VS-mode if it is off in HS-mode (18.4.1) */
        hart->fs_hidden = (hart->fs_hidden & ~field) | (*to & field);
        *to &= ~field;
    } else if (!virt && (*to & field) == 0) {
        *from |= hart->fs_hidden & field;
        hart->fs_hidden &= ~field;
    } else if (!virt && (*from & field) == field) {
        *to |= field;
    }
}

void riscv_set_virt(struct riscv_vcpu *hart, bool virt)
{
    const struct riscv_bank other = hart->bank;
    const uint64_t mask = riscv_sstatus_mask(hart);
    uint64_t from = hart->mstatus & mask, to = other.status & mask;

    if (hart->virt == virt)
        return;
    cross(hart, MSTATUS_FS, virt, &from, &to);
    cross(hart, MSTATUS_VS, virt, &from, &to);
    hart->bank = (struct riscv_bank){from,         hart->stvec, hart->sscratch, hart->sepc,
                                     hart->scause, hart->stval, hart->satp};
    hart->mstatus = (hart->mstatus & ~mask) | to;
    hart->stvec = other.tvec;
    hart->sscratch = other.scratch;
    hart->sepc = other.epc;
    hart->scause = other.cause;
    hart->stval = other.tval;
    hart->satp = other.atp;
    hart->virt = virt;
    hart->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
}

uint64_t riscv_fs_hide(struct riscv_vcpu *hart, uint64_t status)
{
    static const uint64_t fields[] = {MSTATUS_FS, MSTATUS_VS};
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t field = fields[i];
        if ((hart->bank.status & field) == 0) {
            hart->fs_hidden =
                (hart->fs_hidden & ~field) | (status & field & riscv_sstatus_mask(hart));
            status &= ~field;
        } else if ((hart->mstatus & field) == field) {
            /* What VS has made dirty is dirty for HS, also when VS says that its own is clean. */
            hart->bank.status |= field;
        }
    }
    return status;
}

uint64_t riscv_henvcfg(const struct riscv_vcpu *hart)
{
    return hart->henvcfg & (hart->menvcfg | ~BY_MENVCFG);
}

/* Supervisor timers, of VS too, are M-mode's to allow (Sstc, 2.1.1). */
static bool timer_allowed(const struct riscv_vcpu *hart)
{
    return hart->priv == PRIV_M ||
           ((hart->menvcfg & ENVCFG_STCE) != 0 && (hart->mcounteren & 2) != 0);
}

static bool virtual_allowed(const struct riscv_vcpu *hart, unsigned csr, bool write)
{
    const bool hidden = riscv_aia(hart) != NULL && riscv_aia_hides(hart);
    switch (csr) {
    case CSR_sie:
    case CSR_sip: return !hidden;
    case CSR_satp: return hart->priv != PRIV_S || (hart->hstatus & HSTATUS_VTVM) == 0;
    case CSR_stimecmp:
        return (riscv_henvcfg(hart) & ENVCFG_STCE) != 0 && (hart->hcounteren & 2) != 0 &&
               !(write && hidden);
    case CSR_senvcfg: return (hart->hstateen[0] & MSTATEEN_ENVCFG) != 0;
    case CSR_sstateen0:
    case CSR_sstateen1:
    case CSR_sstateen2:
    case CSR_sstateen3: return (hart->hstateen[csr - CSR_sstateen0] & MSTATEEN_SE0) != 0;
    default:
        return csr < CSR_cycle || csr > CSR_hpmcounter31 ||
               (hart->hcounteren >> (csr - CSR_cycle) & 1) != 0;
    }
}

bool riscv_hyp_allowed(const struct riscv_vcpu *hart, unsigned csr, bool write)
{
    if (hart->virt)
        return virtual_allowed(hart, csr, write);
    switch (csr) {
    case CSR_hgatp: return hart->priv == PRIV_M || (hart->mstatus & MSTATUS_TVM) == 0;
    case CSR_vstimecmp: return timer_allowed(hart);
    case CSR_henvcfg: return hart->priv == PRIV_M || (hart->mstateen[0] & MSTATEEN_ENVCFG) != 0;
    case CSR_hstateen0:
    case CSR_hstateen1:
    case CSR_hstateen2:
    case CSR_hstateen3:
        return hart->priv == PRIV_M || (hart->mstateen[csr - CSR_hstateen0] & MSTATEEN_SE0) != 0;
    default: return true;
    }
}

static uint64_t status_read(const struct riscv_vcpu *hart, uint64_t status)
{
    return riscv_with_sd((status & riscv_sstatus_mask(hart)) | MSTATUS_UXL);
}

/* VS's interrupts stand one place higher in mip and mie than where VS-mode sees them (18.2.14). */
static uint64_t vs_mask(const struct riscv_vcpu *hart)
{
    return hart->hideleg & VS_INTERRUPTS;
}

/* Present world's CSRs of S-mode that are more than a word: sstatus, sie, sip, stimecmp, time. */
static bool virtual_read(struct riscv_vcpu *hart, unsigned csr, uint64_t *value)
{
    switch (csr) {
    case CSR_sstatus: *value = status_read(hart, hart->mstatus | hart->fs_hidden); return true;
    case CSR_sie: *value = (hart->mie & vs_mask(hart)) >> 1; return true;
    case CSR_sip: *value = (riscv_mip(hart) & vs_mask(hart)) >> 1; return true;
    case CSR_stimecmp: *value = hart->vstimecmp; return true;
    case CSR_time: *value = clock_now(&hart->vcpu.vm->clock) + hart->htimedelta; return true;
    default: return false;
    }
}

bool riscv_hyp_read(struct riscv_vcpu *hart, unsigned csr, uint64_t *value)
{
    if (hart->virt)
        return virtual_read(hart, csr, value);
    switch (csr) {
    case CSR_vsstatus: *value = status_read(hart, hart->bank.status); break;
    case CSR_vsie: *value = (hart->mie & vs_mask(hart)) >> 1; break;
    case CSR_vstvec: *value = hart->bank.tvec; break;
    case CSR_vsscratch: *value = hart->bank.scratch; break;
    case CSR_vsepc: *value = hart->bank.epc; break;
    case CSR_vscause: *value = hart->bank.cause; break;
    case CSR_vstval: *value = hart->bank.tval; break;
    case CSR_vsip: *value = (riscv_mip(hart) & vs_mask(hart)) >> 1; break;
    case CSR_vstimecmp: *value = hart->vstimecmp; break;
    case CSR_vsatp: *value = hart->bank.atp; break;
    case CSR_mtinst: *value = hart->mtinst; break;
    case CSR_mtval2: *value = hart->mtval2; break;
    case CSR_hstatus: *value = hart->hstatus | HSTATUS_VSXL; break;
    case CSR_hedeleg: *value = hart->hedeleg; break;
    case CSR_hideleg: *value = hart->hideleg; break;
    case CSR_hie: *value = hart->mie & riscv_h_interrupts(hart); break;
    case CSR_htimedelta: *value = hart->htimedelta; break;
    case CSR_hcounteren: *value = hart->hcounteren; break;
    case CSR_hgeie: /* GEILEN is 0 */
    case CSR_hgeip: *value = 0; break;
    case CSR_henvcfg: *value = riscv_henvcfg(hart); break;
    case CSR_hstateen0:
    case CSR_hstateen1:
    case CSR_hstateen2:
    case CSR_hstateen3:
        *value = hart->hstateen[csr - CSR_hstateen0] & hart->mstateen[csr - CSR_hstateen0];
        break;
    case CSR_htval: *value = hart->htval; break;
    case CSR_hip: *value = riscv_mip(hart) & riscv_h_interrupts(hart); break;
    case CSR_hvip: *value = hart->hvip | (riscv_mip(hart) & 1ULL << IRQ_VSSI); break;
    case CSR_htinst: *value = hart->htinst; break;
    case CSR_hgatp: *value = hart->hgatp; break;
    default: return false;
    }
    return true;
}

/* VSSIP is writable in hip, hvip and, if delegated, in vsip, at its place in mip. */
static void vssip_write(struct riscv_vcpu *hart, uint64_t value)
{
    riscv_mip_write(hart, value, 1ULL << IRQ_VSSI);
}

static void hvip_write(struct riscv_vcpu *hart, uint64_t value)
{
    vssip_write(hart, value);
    const bool external = (value >> IRQ_VSEI & 1) != 0;
    uint64_t mask = 1ULL << IRQ_VSTI | 1ULL << IRQ_VSEI;
    if (riscv_aia(hart) != NULL) {
        mask |= riscv_has_hpm(hart) ? 1ULL << IRQ_LCOFI : 0;
        riscv_aia_set_vseip(hart, external);
    } else {
        riscv_vcpu_irq(hart, IRQ_VSEI, external);
    }
    value &= mask;
    riscv_vcpu_set_vstimer(hart, &hart->hvip, value);
}

static void vsie_write(struct riscv_vcpu *hart, uint64_t value)
{
    hart->mie = (hart->mie & ~vs_mask(hart)) | (value << 1 & vs_mask(hart));
    hart->effects |= EFFECT_INTERRUPTS;
}

static void vsip_write(struct riscv_vcpu *hart, uint64_t value)
{
    hart->mip_read <<= 1; /* as vsip has it */
    if ((vs_mask(hart) >> IRQ_VSSI & 1) != 0)
        vssip_write(hart, value << 1);
    hart->mip_update = false;
}

static void vsstatus_write(struct riscv_vcpu *hart, uint64_t value)
{
    const uint64_t changed = (hart->bank.status ^ value) & riscv_sstatus_mask(hart);
    hart->bank.status = value & riscv_sstatus_mask(hart);
    if (changed & MSTATUS_SUM)
        hart->effects |= EFFECT_MODE;
    if (changed & MSTATUS_MXR)
        hart->effects |= EFFECT_TRANSLATION;
}

static void hgatp_write(struct riscv_vcpu *hart, uint64_t value)
{
    uint64_t mode = value >> SATP_MODE_SHIFT, old = hart->hgatp;
    value &= HGATP_PPN | HGATP_VMID;
    /* Unlike with satp, the other fields are written beside a MODE that is not (18.2.10). */
    if (mode == SATP_BARE || (mode >= SATP_SV39 && mode <= SATP_SV57))
        value |= mode << SATP_MODE_SHIFT;
    else
        value |= old & SATP_MODE;
    hart->hgatp = value;
    if (value != old)
        hart->effects |= EFFECT_ADDRESS_SPACE;
}

/* In the virtual world: what is not as it is in the other. */
static bool virtual_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    switch (csr) {
    case CSR_sie: vsie_write(hart, value); return true;
    case CSR_sip: vsip_write(hart, value); return true;
    case CSR_stimecmp: riscv_vcpu_set_vstimer(hart, &hart->vstimecmp, value); return true;
    default: return false;
    }
}

bool riscv_hyp_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    if (hart->virt)
        return virtual_write(hart, csr, value);
    switch (csr) {
    case CSR_vsstatus: vsstatus_write(hart, value); break;
    case CSR_vsie: vsie_write(hart, value); break;
    case CSR_vstvec: riscv_tvec_write(&hart->bank.tvec, value); break;
    case CSR_vsscratch: hart->bank.scratch = value; break;
    case CSR_vsepc: hart->bank.epc = value & ~1ULL; break;
    case CSR_vscause: hart->bank.cause = value; break;
    case CSR_vstval: hart->bank.tval = value; break;
    case CSR_vsip: vsip_write(hart, value); break;
    case CSR_vstimecmp: riscv_vcpu_set_vstimer(hart, &hart->vstimecmp, value); break;
    case CSR_vsatp: riscv_atp_write(hart, &hart->bank.atp, value); break;
    case CSR_mtinst: hart->mtinst = value; break;
    case CSR_mtval2: hart->mtval2 = value; break;
    case CSR_hstatus:
        value = riscv_pmm_legal(value, hart->hstatus, HSTATUS_HUPMM);
        hart->hstatus = value & (HSTATUS_MASK | (riscv_has(hart, EXT_SSNPM) ? HSTATUS_HUPMM : 0));
        if (riscv_aia(hart) != NULL)
            hart->hstatus |=
                riscv_aia_set_vgein(hart, (value & HSTATUS_VGEIN) >> HSTATUS_VGEIN_SHIFT)
                << HSTATUS_VGEIN_SHIFT;
        break;
    case CSR_hedeleg: hart->hedeleg = value & HEDELEG_MASK; break;
    case CSR_hideleg:
        hart->hideleg = value & VS_INTERRUPTS;
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_hie:
        hart->mie = (hart->mie & ~riscv_h_interrupts(hart)) | (value & riscv_h_interrupts(hart));
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_htimedelta: riscv_vcpu_set_vstimer(hart, &hart->htimedelta, value); break;
    case CSR_hcounteren: hart->hcounteren = (uint32_t)value; break;
    case CSR_hgeie: break;
    case CSR_henvcfg: {
        uint64_t next = hart->henvcfg;
        riscv_envcfg_write(hart, &next, value,
                           ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_PMM |
                               (hart->menvcfg & BY_MENVCFG));
        riscv_vcpu_set_vstimer(hart, &hart->henvcfg, next);
        break;
    }
    case CSR_hstateen0:
    case CSR_hstateen1:
    case CSR_hstateen2:
    case CSR_hstateen3: {
        const unsigned i = csr - CSR_hstateen0;
        hart->hstateen[i] =
            value & hart->mstateen[i] & (i == 0 ? riscv_stateen_mask(hart) : MSTATEEN_SE0);
        break;
    }
    case CSR_htval: hart->htval = value; break;
    case CSR_hip: vssip_write(hart, value); break;
    case CSR_hvip: hvip_write(hart, value); break;
    case CSR_htinst: hart->htinst = value; break;
    case CSR_hgatp: hgatp_write(hart, value); break;
    default: return false;
    }
    return true;
}
