/* CSR access. Numbers and names: riscv/csr.def; clauses: Privileged ISA 20240411. */
#include "riscv/csr.h"

#include "core/clock.h"
#include "riscv/aia.h"
#include "riscv/csr_pmu.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"
#include "riscv/vector.h"

#define MSTATUS_MASK                                                                               \
    (MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW |          \
     MSTATUS_TSR)
#define S_INTERRUPTS (1ULL << IRQ_SSI | 1ULL << IRQ_STI | 1ULL << IRQ_SEI)
#define M_INTERRUPTS (1ULL << IRQ_MSI | 1ULL << IRQ_MTI | 1ULL << IRQ_MEI)
/* Every exception that may arise below M-mode, ECALL from M aside (3.1.8). */
#define DELEGABLE    0xb3ffULL
#define PMPADDR_MASK ((1ULL << 54) - 1)

static const struct {
    uint16_t number;
    const char *name;
} names[] = {
#define CSR(number, name) {number, #name},
#include "riscv/csr.def"
};

const char *riscv_csr_name(unsigned csr)
{
    unsigned low = 0, high = sizeof names / sizeof names[0];
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (names[middle].number < csr)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof names / sizeof names[0] && names[low].number == csr ? names[low].name
                                                                            : NULL;
}

/* MXL is 64 bits, a bit for each extension of one letter, S and U (3.1.1). */
static uint64_t misa(const struct riscv_vcpu *hart)
{
    uint64_t v = 2ULL << 62 | 1u << ('S' - 'A') | 1u << ('U' - 'A');
    for (unsigned i = 0; i < EXT_COUNT; i++)
        if (riscv_has(hart, i) && riscv_extension_names[i][1] == 0)
            v |= 1ULL << (riscv_extension_names[i][0] - 'a');
    return v;
}

uint64_t riscv_mip(const struct riscv_vcpu *hart)
{
    uint64_t mip = atomic_load_explicit(&hart->mip, memory_order_acquire);
    return mip | (hart->mip_seip ? 1ULL << IRQ_SEI : 0);
}

uint64_t riscv_mstatus(const struct riscv_vcpu *hart)
{
    return riscv_with_sd(hart->mstatus | MSTATUS_UXL | MSTATUS_SXL);
}

/* Interrupts that S-mode may have. */
static uint64_t s_interrupts(const struct riscv_vcpu *hart)
{
    return S_INTERRUPTS | (riscv_has_hpm(hart) ? 1ULL << IRQ_LCOFI : 0);
}

uint64_t riscv_h_interrupts(const struct riscv_vcpu *hart)
{
    if (!riscv_has_h(hart))
        return 0;
    return VS_INTERRUPTS | (riscv_aia(hart) != NULL ? 1ULL << IRQ_SGEI : 0);
}

/* State of mstateen0 and hstateen0 that is there to be enabled. */
uint64_t riscv_stateen_mask(const struct riscv_vcpu *hart)
{
    return MSTATEEN_SE0 | MSTATEEN_ENVCFG |
           (riscv_aia(hart) != NULL ? STATEEN_IMSIC | STATEEN_AIA | STATEEN_CSRIND : 0);
}

/* Which programmable counter `csr` is, the first of such being `first`; HPM_COUNTERS: none. */
static unsigned hpm_index(const struct riscv_vcpu *hart, unsigned csr, unsigned first)
{
    return riscv_has_hpm(hart) && csr >= first && csr - first < HPM_COUNTERS ? csr - first
                                                                             : HPM_COUNTERS;
}

static void mstatus_write(struct riscv_vcpu *hart, uint64_t value, uint64_t mask)
{
    uint64_t old = hart->mstatus, v = (old & ~mask) | (value & mask);
    /* MPP holds only modes that exist; 2 is reserved and leaves it as it was (WARL). */
    if ((v & MSTATUS_MPP) == 2ULL << MSTATUS_MPP_SHIFT)
        v = (v & ~MSTATUS_MPP) | (old & MSTATUS_MPP);
    hart->mstatus = v;
    if ((old ^ v) & (MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MPP | MSTATUS_MPV))
        hart->effects |= EFFECT_MODE;
    if ((old ^ v) & MSTATUS_MXR)
        hart->effects |= EFFECT_TRANSLATION;
    hart->effects |= EFFECT_INTERRUPTS;
}

void riscv_mip_write(struct riscv_vcpu *hart, uint64_t value, uint64_t mask)
{
    if (hart->menvcfg & ENVCFG_STCE)
        mask &= ~(1ULL << IRQ_STI); /* STIP is read-only when Sstc drives it (Sstc, 2.1) */
    if (riscv_aia(hart) != NULL)
        mask &= ~(hart->aia->mvien & 1ULL << IRQ_SEI); /* it is mvip's alone then (AIA 1.0, 5.3) */
    if (mask & 1ULL << IRQ_SEI)
        hart->mip_seip = (value >> IRQ_SEI & 1) != 0;
    mask &= 1ULL << IRQ_SSI | 1ULL << IRQ_STI | 1ULL << IRQ_VSSI | 1ULL << IRQ_LCOFI;
    if (hart->mip_update)
        mask &= value ^ hart->mip_read;
    hart->mip_update = false;
    atomic_fetch_or(&hart->mip, value & mask);
    atomic_fetch_and(&hart->mip, value | ~mask);
    hart->effects |= EFFECT_INTERRUPTS;
}

/* mcycle counts instructions, as minstret does: one instruction, one cycle. */
static uint64_t counter_read(const struct riscv_vcpu *hart, unsigned index)
{
    bool stopped = hart->mcountinhibit >> index & 1;
    return stopped ? hart->counter[index] : hart->instret + hart->counter[index];
}

static void counter_write(struct riscv_vcpu *hart, unsigned index, uint64_t value)
{
    bool stopped = hart->mcountinhibit >> index & 1;
    /* The writing instruction itself is not counted on top of the value (3.1.10). */
    hart->counter[index] = stopped ? value : value - (hart->instret + 1);
}

static void countinhibit_write(struct riscv_vcpu *hart, uint32_t value)
{
    uint64_t now[3] = {counter_read(hart, 0), 0, counter_read(hart, 2)};
    hart->mcountinhibit = value & (riscv_has_hpm(hart) ? 5 | HPM_MASK : 5);
    for (unsigned i = 0; i < 3; i += 2)
        hart->counter[i] = hart->mcountinhibit >> i & 1 ? now[i] : now[i] - hart->instret;
    if (riscv_has_hpm(hart))
        riscv_hpm_update(hart);
}

void riscv_atp_write(struct riscv_vcpu *hart, uint64_t *atp, uint64_t value)
{
    uint64_t mode = value >> SATP_MODE_SHIFT;
    if (mode != SATP_BARE && (mode < SATP_SV39 || mode > SATP_SV57))
        return; /* an unsupported MODE makes the write have no effect (10.1.11) */
    if (*atp != value) {
        *atp = value;
        hart->effects |= EFFECT_ADDRESS_SPACE;
    }
}

void riscv_envcfg_write(struct riscv_vcpu *hart, uint64_t *envcfg, uint64_t value, uint64_t mask)
{
    /* Fields of extensions that are absent are read-only zero (3.1.18). */
    if (!riscv_has(hart, EXT_ZICBOM))
        mask &= ~(ENVCFG_CBIE | ENVCFG_CBCFE);
    if (!riscv_has(hart, EXT_ZICBOZ))
        mask &= ~ENVCFG_CBZE;
    if (!riscv_has(hart, envcfg == &hart->menvcfg ? EXT_SMNPM : EXT_SSNPM))
        mask &= ~ENVCFG_PMM;
    if ((value & ENVCFG_CBIE) == 2ULL << 4)
        value = (value & ~ENVCFG_CBIE) | (*envcfg & ENVCFG_CBIE); /* 2 is reserved */
    value = riscv_pmm_legal(value, *envcfg, ENVCFG_PMM);
    uint64_t changed = *envcfg ^ (value & mask);
    if (envcfg == &hart->menvcfg)
        riscv_vcpu_set_menvcfg(hart, value & mask);
    else
        *envcfg = value & mask;
    if (changed & (ENVCFG_ADUE | ENVCFG_PBMTE))
        hart->effects |= EFFECT_TRANSLATION;
    if (changed & ENVCFG_PMM)
        hart->effects |= EFFECT_ADDRESS_SPACE;
}

static void mseccfg_write(struct riscv_vcpu *hart, uint64_t value)
{
    const uint64_t old = hart->mseccfg;
    const uint64_t mask = (riscv_has(hart, EXT_SMMPM) ? ENVCFG_PMM : 0) |
                          (riscv_has(hart, EXT_ZKR) ? MSECCFG_USEED | MSECCFG_SSEED : 0);
    hart->mseccfg = riscv_pmm_legal(value, old, ENVCFG_PMM) & mask;
    if ((hart->mseccfg ^ old) & ENVCFG_PMM)
        hart->effects |= EFFECT_ADDRESS_SPACE;
}

static uint64_t pmpcfg_read(const struct riscv_vcpu *hart, unsigned first)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)hart->pmpcfg[first + i] << 8 * i;
    return v;
}

static void pmpcfg_write(struct riscv_vcpu *hart, unsigned first, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t cfg = (uint8_t)(value >> 8 * i) & (PMP_R | PMP_W | PMP_X | PMP_A | PMP_L);
        if (hart->pmpcfg[first + i] & PMP_L)
            continue;
        if ((cfg & (PMP_R | PMP_W)) == PMP_W)
            cfg = (uint8_t)(cfg &
                            ~PMP_W); /* R=0 W=1 is reserved; the R, W, X fields are WARL together */
        hart->pmpcfg[first + i] = cfg;
    }
    riscv_pmp_update(hart);
    hart->effects |= EFFECT_TRANSLATION;
}

static void pmpaddr_write(struct riscv_vcpu *hart, unsigned i, uint64_t value)
{
    /* A locked entry locks its address, and the one below it if it is TOR (3.7.1). */
    bool next_tor = i + 1 < PMP_ENTRIES && (hart->pmpcfg[i + 1] & PMP_L) != 0 &&
                    (hart->pmpcfg[i + 1] & PMP_A) == 1 << 3;
    if ((hart->pmpcfg[i] & PMP_L) != 0 || next_tor)
        return;
    hart->pmpaddr[i] = value & PMPADDR_MASK;
    riscv_pmp_update(hart);
    hart->effects |= EFFECT_TRANSLATION;
}

/* The seed CSR (Zkr; Unprivileged ISA 20240411, 33.4): OPST in bits 31:30, 16 bits with ES16. */
#define SEED_WAIT (1ULL << 30) /* the source has none yet */
#define SEED_ES16 (2ULL << 30)
#define SEED_DEAD (3ULL << 30) /* there is no source */

static uint64_t seed_read(struct riscv_vcpu *hart)
{
    uint16_t bits;
    if (hart->entropy == NULL)
        return SEED_DEAD;
    return hart->entropy(hart->entropy_source, &bits, sizeof bits) == 0 ? SEED_ES16 | bits
                                                                        : SEED_WAIT;
}

static bool seed_allowed(const struct riscv_vcpu *hart)
{
    return hart->priv == PRIV_M ||
           (!riscv_virt(hart) &&
            (hart->mseccfg & (hart->priv == PRIV_U ? MSECCFG_USEED : MSECCFG_SSEED)) != 0);
}

/* mcounteren and scounteren gate `cycle` ... `hpmcounter31` (3.1.11, 10.1.5). */
static bool counter_enabled(const struct riscv_vcpu *hart, unsigned index)
{
    if (hart->priv < PRIV_M && (hart->mcounteren >> index & 1) == 0)
        return false;
    return hart->priv != PRIV_U || (hart->scounteren >> index & 1) != 0;
}

/* Levels of CSRs: U, S, HS, M (2.1). */
static bool level_allows(const struct riscv_vcpu *hart, unsigned level)
{
    if (level == 2)
        return riscv_has_h(hart) && hart->priv >= PRIV_S && !riscv_virt(hart);
    return hart->priv >= level;
}

bool riscv_csr_allowed(const struct riscv_vcpu *hart, unsigned csr, bool write)
{
    if (!level_allows(hart, csr >> 8 & 3) || (write && csr >> 10 == 3) ||
        (riscv_has_h(hart) && !riscv_hyp_allowed(hart, csr, write)))
        return false;
    switch (csr) {
    case CSR_fflags:
    case CSR_frm:
    case CSR_fcsr: return (hart->mstatus & MSTATUS_FS) != 0;
    case CSR_vstart:
    case CSR_vxsat:
    case CSR_vxrm:
    case CSR_vcsr:
    case CSR_vl:
    case CSR_vtype:
    case CSR_vlenb: return riscv_has_v(hart) && (hart->mstatus & MSTATUS_VS) != 0;
    case CSR_satp:
        return hart->priv == PRIV_M || riscv_virt(hart) || (hart->mstatus & MSTATUS_TVM) == 0;
    case CSR_stimecmp:
        return hart->priv == PRIV_M ||
               ((hart->menvcfg & ENVCFG_STCE) != 0 && (hart->mcounteren & 2) != 0);
    case CSR_mseccfg: return riscv_has(hart, EXT_SMMPM) || riscv_has(hart, EXT_ZKR);
    case CSR_seed: return write && riscv_has(hart, EXT_ZKR) && seed_allowed(hart);
    case CSR_senvcfg: return hart->priv == PRIV_M || (hart->mstateen[0] & MSTATEEN_ENVCFG) != 0;
    case CSR_sstateen0:
    case CSR_sstateen1:
    case CSR_sstateen2:
    case CSR_sstateen3:
        return hart->priv == PRIV_M || (hart->mstateen[csr - CSR_sstateen0] & MSTATEEN_SE0) != 0;
    case CSR_scountovf: return riscv_has_hpm(hart);
    default:
        if (RISCV_AIA && riscv_csr_is_aia(csr))
            return riscv_aia(hart) != NULL && riscv_aia_allowed(hart, csr);
    }
    if (csr >= CSR_cycle && csr <= CSR_hpmcounter31)
        return counter_enabled(hart, csr - CSR_cycle);
    return true;
}

bool riscv_csr_read(struct riscv_vcpu *hart, unsigned csr, bool write, uint64_t *value)
{
    if (!riscv_csr_allowed(hart, csr, write))
        return false;
    if (riscv_aia(hart) != NULL && riscv_aia_read(hart, csr, write, value))
        return true;
    if (riscv_has_h(hart) && riscv_hyp_read(hart, csr, value))
        return true;
    if (riscv_has_v(hart) && riscv_vector_read(hart, csr, value))
        return true;
    switch (csr) {
    case CSR_fflags: *value = hart->fflags; break;
    case CSR_frm: *value = hart->frm; break;
    case CSR_fcsr: *value = hart->frm << 5 | hart->fflags; break;
    case CSR_cycle:
    case CSR_mcycle: *value = counter_read(hart, 0); break;
    case CSR_instret:
    case CSR_minstret: *value = counter_read(hart, 2); break;
    case CSR_time: *value = clock_now(&hart->vcpu.vm->clock); break;
    case CSR_sstatus:
        *value = riscv_mstatus(hart) & (riscv_sstatus_mask(hart) | MSTATUS_UXL | MSTATUS_SD);
        break;
    case CSR_sie: *value = hart->mie & hart->mideleg & s_interrupts(hart); break;
    case CSR_stvec: *value = hart->stvec; break;
    case CSR_scounteren: *value = hart->scounteren; break;
    case CSR_senvcfg: *value = hart->senvcfg; break;
    case CSR_sstateen0:
    case CSR_sstateen1:
    case CSR_sstateen2:
    case CSR_sstateen3: *value = hart->sstateen[csr - CSR_sstateen0]; break;
    case CSR_sscratch: *value = hart->sscratch; break;
    case CSR_sepc: *value = hart->sepc; break;
    case CSR_scause: *value = hart->scause; break;
    case CSR_stval: *value = hart->stval; break;
    case CSR_sip: *value = riscv_mip(hart) & hart->mideleg & s_interrupts(hart); break;
    case CSR_stimecmp: *value = hart->stimecmp; break;
    case CSR_satp: *value = hart->satp; break;
    case CSR_mstatus: *value = riscv_mstatus(hart); break;
    case CSR_misa: *value = misa(hart); break;
    case CSR_medeleg: *value = hart->medeleg; break;
    case CSR_mideleg: *value = hart->mideleg; break;
    case CSR_mie: *value = hart->mie; break;
    case CSR_mtvec: *value = hart->mtvec; break;
    case CSR_mcounteren: *value = hart->mcounteren; break;
    case CSR_menvcfg: *value = hart->menvcfg; break;
    case CSR_mseccfg: *value = hart->mseccfg; break;
    case CSR_seed: *value = seed_read(hart); break;
    case CSR_mstateen0:
    case CSR_mstateen1:
    case CSR_mstateen2:
    case CSR_mstateen3: *value = hart->mstateen[csr - CSR_mstateen0]; break;
    case CSR_mcountinhibit: *value = hart->mcountinhibit; break;
    case CSR_mscratch: *value = hart->mscratch; break;
    case CSR_mepc: *value = hart->mepc; break;
    case CSR_mcause: *value = hart->mcause; break;
    case CSR_mtval: *value = hart->mtval; break;
    case CSR_mip: *value = riscv_mip(hart); break;
    case CSR_pmpcfg0: *value = pmpcfg_read(hart, 0); break;
    case CSR_pmpcfg2: *value = pmpcfg_read(hart, 8); break;
    case CSR_scountovf:
        riscv_hpm_check(hart);
        *value = riscv_hpm_overflown(hart) & (hart->priv == PRIV_M ? ~0U : hart->mcounteren) &
                 (riscv_virt(hart) ? hart->hcounteren : ~0U);
        break;
    case CSR_mhartid: *value = hart->vcpu.id; break;
    case CSR_mvendorid:
    case CSR_marchid:
    case CSR_mimpid:
    case CSR_mconfigptr: *value = 0; break;
    default:
        if (csr >= CSR_pmpaddr0 && csr <= CSR_pmpaddr15)
            *value = hart->pmpaddr[csr - CSR_pmpaddr0];
        else if (hpm_index(hart, csr, CSR_hpmcounter3) < HPM_COUNTERS)
            *value = riscv_hpm_read(hart, csr - CSR_hpmcounter3);
        else if (hpm_index(hart, csr, CSR_mhpmcounter3) < HPM_COUNTERS)
            *value = riscv_hpm_read(hart, csr - CSR_mhpmcounter3);
        else if (hpm_index(hart, csr, CSR_mhpmevent3) < HPM_COUNTERS) {
            riscv_hpm_check(hart);
            *value = hart->hpm[csr - CSR_mhpmevent3].event;
        } else if ((csr >= CSR_hpmcounter3 && csr <= CSR_hpmcounter31) ||
                   (csr >= CSR_mhpmcounter3 && csr <= CSR_mhpmcounter31) ||
                   (csr >= CSR_mhpmevent3 && csr <= CSR_mhpmevent31))
            *value = 0; /* no such counters: read-only zero (3.1.10) */
        else
            return false;
    }
    return true;
}

static void fp_csr_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    if (csr == CSR_fflags || csr == CSR_fcsr)
        hart->fflags = value & 31;
    if (csr == CSR_frm)
        hart->frm = value & 7;
    else if (csr == CSR_fcsr)
        hart->frm = value >> 5 & 7;
    hart->mstatus |= MSTATUS_FS;
}

bool riscv_csr_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    if (!riscv_csr_allowed(hart, csr, true))
        return false;
    if (riscv_aia(hart) != NULL && riscv_aia_write(hart, csr, value))
        return true;
    if (riscv_has_h(hart) && riscv_hyp_write(hart, csr, value))
        return true;
    if (riscv_has_v(hart) && riscv_vector_write(hart, csr, value))
        return true;
    switch (csr) {
    case CSR_fflags:
    case CSR_frm:
    case CSR_fcsr: fp_csr_write(hart, csr, value); break;
    case CSR_mcycle: counter_write(hart, 0, value); break;
    case CSR_minstret: counter_write(hart, 2, value); break;
    case CSR_sstatus:
        if (riscv_virt(hart))
            value = riscv_fs_hide(hart, value);
        mstatus_write(hart, value, riscv_sstatus_mask(hart));
        break;
    case CSR_sie:
        hart->mie = (hart->mie & ~(hart->mideleg & s_interrupts(hart))) |
                    (value & hart->mideleg & s_interrupts(hart));
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_stvec: riscv_tvec_write(&hart->stvec, value); break;
    case CSR_scounteren: hart->scounteren = (uint32_t)value; break;
    case CSR_senvcfg:
        riscv_envcfg_write(hart, &hart->senvcfg, value,
                           ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_PMM);
        break;
    case CSR_sstateen0: /* no state of sstateen is implemented: read-only zero */
    case CSR_sstateen1:
    case CSR_sstateen2:
    case CSR_sstateen3: break;
    case CSR_sscratch: hart->sscratch = value; break;
    case CSR_sepc: hart->sepc = value & ~1ULL; break;
    case CSR_scause: hart->scause = value; break;
    case CSR_stval: hart->stval = value; break;
    case CSR_sip:
        riscv_mip_write(hart, value, hart->mideleg & (1ULL << IRQ_SSI | 1ULL << IRQ_LCOFI));
        break;
    case CSR_stimecmp: riscv_vcpu_set_stimecmp(hart, value); break;
    case CSR_satp: riscv_atp_write(hart, &hart->satp, value); break;
    case CSR_mstatus:
        mstatus_write(hart, value,
                      MSTATUS_MASK | riscv_sstatus_mask(hart) |
                          (riscv_has_h(hart) ? MSTATUS_MPV | MSTATUS_GVA : 0));
        break;
    case CSR_misa: break; /* all of it is fixed */
    case CSR_medeleg:
        hart->medeleg = value & (DELEGABLE | (riscv_has_h(hart) ? MEDELEG_H : 0));
        break;
    case CSR_mideleg:
        hart->mideleg = (value & s_interrupts(hart)) | riscv_h_interrupts(hart);
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_mie:
        hart->mie = value & (s_interrupts(hart) | M_INTERRUPTS | riscv_h_interrupts(hart));
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_mtvec: riscv_tvec_write(&hart->mtvec, value); break;
    case CSR_mcounteren: hart->mcounteren = (uint32_t)value; break;
    case CSR_menvcfg:
        riscv_envcfg_write(hart, &hart->menvcfg, value,
                           ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_PMM |
                               ENVCFG_ADUE | ENVCFG_PBMTE | ENVCFG_STCE);
        break;
    case CSR_mseccfg: mseccfg_write(hart, value); break;
    case CSR_seed: break; /* what is written is ignored */
    case CSR_mstateen0: hart->mstateen[0] = value & riscv_stateen_mask(hart); break;
    case CSR_mstateen1:
    case CSR_mstateen2:
    case CSR_mstateen3: hart->mstateen[csr - CSR_mstateen0] = value & MSTATEEN_SE0; break;
    case CSR_mcountinhibit: countinhibit_write(hart, (uint32_t)value); break;
    case CSR_mscratch: hart->mscratch = value; break;
    case CSR_mepc: hart->mepc = value & ~1ULL; break;
    case CSR_mcause: hart->mcause = value; break;
    case CSR_mtval: hart->mtval = value; break;
    case CSR_mip:
        riscv_mip_write(hart, value,
                        s_interrupts(hart) | (riscv_has_h(hart) ? 1ULL << IRQ_VSSI : 0));
        break;
    case CSR_pmpcfg0: pmpcfg_write(hart, 0, value); break;
    case CSR_pmpcfg2: pmpcfg_write(hart, 8, value); break;
    default:
        if (csr >= CSR_pmpaddr0 && csr <= CSR_pmpaddr15)
            pmpaddr_write(hart, csr - CSR_pmpaddr0, value);
        else if (hpm_index(hart, csr, CSR_mhpmcounter3) < HPM_COUNTERS)
            riscv_hpm_write(hart, csr - CSR_mhpmcounter3, value);
        else if (hpm_index(hart, csr, CSR_mhpmevent3) < HPM_COUNTERS)
            riscv_hpm_set_event(hart, csr - CSR_mhpmevent3, value);
        else if (!((csr >= CSR_mhpmcounter3 && csr <= CSR_mhpmcounter31) ||
                   (csr >= CSR_mhpmevent3 && csr <= CSR_mhpmevent31)))
            return false;
    }
    return true;
}
