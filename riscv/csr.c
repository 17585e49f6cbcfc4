/* CSR access. Numbers and names: riscv/csr.def; clauses: Privileged ISA 20240411. */
#include "riscv/csr.h"

#include "core/clock.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"

#define MSTATUS_MASK                                                                               \
    (SSTATUS_MASK | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_TVM |        \
     MSTATUS_TW | MSTATUS_TSR)
#define S_INTERRUPTS (1ULL << IRQ_SSI | 1ULL << IRQ_STI | 1ULL << IRQ_SEI)
#define M_INTERRUPTS (1ULL << IRQ_MSI | 1ULL << IRQ_MTI | 1ULL << IRQ_MEI)
/* Every exception that may arise below M-mode, ECALL from M aside (3.1.8). */
#define DELEGABLE 0xb3ffULL
#define MISA                                                                                       \
    (2ULL << 62 | 1u << ('I' - 'A') | 1u << ('M' - 'A') | 1u << ('A' - 'A') | 1u << ('F' - 'A') |  \
     1u << ('D' - 'A') | 1u << ('C' - 'A') | 1u << ('S' - 'A') | 1u << ('U' - 'A'))
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

uint64_t riscv_mip(const struct riscv_vcpu *hart)
{
    uint64_t mip = atomic_load_explicit(&hart->mip, memory_order_acquire);
    return mip | (hart->mip_seip ? 1ULL << IRQ_SEI : 0);
}

uint64_t riscv_mstatus(const struct riscv_vcpu *hart)
{
    uint64_t v = hart->mstatus | MSTATUS_UXL | MSTATUS_SXL;
    return (v & MSTATUS_FS) == MSTATUS_FS ? v | MSTATUS_SD : v;
}

static void mstatus_write(struct riscv_vcpu *hart, uint64_t value, uint64_t mask)
{
    uint64_t old = hart->mstatus, v = (old & ~mask) | (value & mask);
    /* MPP holds only modes that exist; 2 is reserved and leaves it as it was (WARL). */
    if ((v & MSTATUS_MPP) == 2ULL << MSTATUS_MPP_SHIFT)
        v = (v & ~MSTATUS_MPP) | (old & MSTATUS_MPP);
    hart->mstatus = v;
    if ((old ^ v) & (MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MPP))
        hart->effects |= EFFECT_MODE;
    if ((old ^ v) & MSTATUS_MXR)
        hart->effects |= EFFECT_TRANSLATION;
    hart->effects |= EFFECT_INTERRUPTS;
}

static void mip_write(struct riscv_vcpu *hart, uint64_t value, uint64_t mask)
{
    if (hart->menvcfg & ENVCFG_STCE)
        mask &= ~(1ULL << IRQ_STI); /* STIP is read-only when Sstc drives it (Sstc, 2.1) */
    if (mask & 1ULL << IRQ_SEI)
        hart->mip_seip = (value >> IRQ_SEI & 1) != 0;
    mask &= 1ULL << IRQ_SSI | 1ULL << IRQ_STI;
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
    hart->mcountinhibit = value & 5;
    for (unsigned i = 0; i < 3; i += 2)
        hart->counter[i] = hart->mcountinhibit >> i & 1 ? now[i] : now[i] - hart->instret;
}

/* xtvec: modes 2 and 3 are reserved; such a write is ignored (WARL). */
static void tvec_write(uint64_t *tvec, uint64_t value)
{
    if ((value & 2) == 0)
        *tvec = value;
}

static void satp_write(struct riscv_vcpu *hart, uint64_t value)
{
    uint64_t mode = value >> SATP_MODE_SHIFT;
    if (mode != SATP_BARE && (mode < SATP_SV39 || mode > SATP_SV57))
        return; /* an unsupported MODE makes the write have no effect (10.1.11) */
    if (hart->satp != value) {
        hart->satp = value;
        hart->effects |= EFFECT_ADDRESS_SPACE;
    }
}

static void envcfg_write(struct riscv_vcpu *hart, uint64_t *envcfg, uint64_t value, uint64_t mask)
{
    if ((value & ENVCFG_CBIE) == 2ULL << 4)
        value = (value & ~ENVCFG_CBIE) | (*envcfg & ENVCFG_CBIE); /* 2 is reserved */
    uint64_t changed = *envcfg ^ (value & mask);
    if (envcfg == &hart->menvcfg)
        riscv_vcpu_set_menvcfg(hart, value & mask);
    else
        *envcfg = value & mask;
    if (changed & (ENVCFG_ADUE | ENVCFG_PBMTE))
        hart->effects |= EFFECT_TRANSLATION;
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

/* mcounteren and scounteren gate `cycle` ... `hpmcounter31` (3.1.11, 10.1.5). */
static bool counter_enabled(const struct riscv_vcpu *hart, unsigned index)
{
    if (hart->priv < PRIV_M && (hart->mcounteren >> index & 1) == 0)
        return false;
    return hart->priv != PRIV_U || (hart->scounteren >> index & 1) != 0;
}

static bool csr_allowed(const struct riscv_vcpu *hart, unsigned csr, bool write)
{
    if (hart->priv < (csr >> 8 & 3) || (write && csr >> 10 == 3))
        return false;
    switch (csr) {
    case CSR_fflags:
    case CSR_frm:
    case CSR_fcsr: return (hart->mstatus & MSTATUS_FS) != 0;
    case CSR_satp: return hart->priv == PRIV_M || (hart->mstatus & MSTATUS_TVM) == 0;
    case CSR_stimecmp:
        return hart->priv == PRIV_M ||
               ((hart->menvcfg & ENVCFG_STCE) != 0 && (hart->mcounteren & 2) != 0);
    case CSR_senvcfg: return hart->priv == PRIV_M || (hart->mstateen[0] & MSTATEEN_ENVCFG) != 0;
    case CSR_sstateen0:
    case CSR_sstateen1:
    case CSR_sstateen2:
    case CSR_sstateen3:
        return hart->priv == PRIV_M || (hart->mstateen[csr - CSR_sstateen0] & MSTATEEN_SE0) != 0;
    default: break;
    }
    if (csr >= CSR_cycle && csr <= CSR_hpmcounter31)
        return counter_enabled(hart, csr - CSR_cycle);
    return true;
}

bool riscv_csr_read(struct riscv_vcpu *hart, unsigned csr, bool write, uint64_t *value)
{
    if (!csr_allowed(hart, csr, write))
        return false;
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
        *value = riscv_mstatus(hart) & (SSTATUS_MASK | MSTATUS_UXL | MSTATUS_SD);
        break;
    case CSR_sie: *value = hart->mie & hart->mideleg; break;
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
    case CSR_sip: *value = riscv_mip(hart) & hart->mideleg; break;
    case CSR_stimecmp: *value = hart->stimecmp; break;
    case CSR_satp: *value = hart->satp; break;
    case CSR_mstatus: *value = riscv_mstatus(hart); break;
    case CSR_misa: *value = MISA; break;
    case CSR_medeleg: *value = hart->medeleg; break;
    case CSR_mideleg: *value = hart->mideleg; break;
    case CSR_mie: *value = hart->mie; break;
    case CSR_mtvec: *value = hart->mtvec; break;
    case CSR_mcounteren: *value = hart->mcounteren; break;
    case CSR_menvcfg: *value = hart->menvcfg; break;
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
    case CSR_mhartid: *value = hart->vcpu.id; break;
    case CSR_mvendorid:
    case CSR_marchid:
    case CSR_mimpid:
    case CSR_mconfigptr: *value = 0; break;
    default:
        if (csr >= CSR_pmpaddr0 && csr <= CSR_pmpaddr15)
            *value = hart->pmpaddr[csr - CSR_pmpaddr0];
        else if ((csr >= CSR_hpmcounter3 && csr <= CSR_hpmcounter31) ||
                 (csr >= CSR_mhpmcounter3 && csr <= CSR_mhpmcounter31) ||
                 (csr >= CSR_mhpmevent3 && csr <= CSR_mhpmevent31))
            *value = 0; /* no programmable counters: read-only zero (3.1.10) */
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
    if (!csr_allowed(hart, csr, true))
        return false;
    switch (csr) {
    case CSR_fflags:
    case CSR_frm:
    case CSR_fcsr: fp_csr_write(hart, csr, value); break;
    case CSR_mcycle: counter_write(hart, 0, value); break;
    case CSR_minstret: counter_write(hart, 2, value); break;
    case CSR_sstatus: mstatus_write(hart, value, SSTATUS_MASK); break;
    case CSR_sie:
        hart->mie = (hart->mie & ~hart->mideleg) | (value & hart->mideleg);
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_stvec: tvec_write(&hart->stvec, value); break;
    case CSR_scounteren: hart->scounteren = (uint32_t)value; break;
    case CSR_senvcfg:
        envcfg_write(hart, &hart->senvcfg, value,
                     ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
        break;
    case CSR_sstateen0: /* no state of sstateen is implemented: read-only zero */
    case CSR_sstateen1:
    case CSR_sstateen2:
    case CSR_sstateen3: break;
    case CSR_sscratch: hart->sscratch = value; break;
    case CSR_sepc: hart->sepc = value & ~1ULL; break;
    case CSR_scause: hart->scause = value; break;
    case CSR_stval: hart->stval = value; break;
    case CSR_sip: mip_write(hart, value, hart->mideleg & 1ULL << IRQ_SSI); break;
    case CSR_stimecmp: riscv_vcpu_set_stimecmp(hart, value); break;
    case CSR_satp: satp_write(hart, value); break;
    case CSR_mstatus: mstatus_write(hart, value, MSTATUS_MASK); break;
    case CSR_misa: break; /* all of it is fixed */
    case CSR_medeleg: hart->medeleg = value & DELEGABLE; break;
    case CSR_mideleg:
        hart->mideleg = value & S_INTERRUPTS;
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_mie:
        hart->mie = value & (S_INTERRUPTS | M_INTERRUPTS);
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_mtvec: tvec_write(&hart->mtvec, value); break;
    case CSR_mcounteren: hart->mcounteren = (uint32_t)value; break;
    case CSR_menvcfg:
        envcfg_write(hart, &hart->menvcfg, value,
                     ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_ADUE |
                         ENVCFG_PBMTE | ENVCFG_STCE);
        break;
    case CSR_mstateen0: hart->mstateen[0] = value & (MSTATEEN_SE0 | MSTATEEN_ENVCFG); break;
    case CSR_mstateen1:
    case CSR_mstateen2:
    case CSR_mstateen3: hart->mstateen[csr - CSR_mstateen0] = value & MSTATEEN_SE0; break;
    case CSR_mcountinhibit: countinhibit_write(hart, (uint32_t)value); break;
    case CSR_mscratch: hart->mscratch = value; break;
    case CSR_mepc: hart->mepc = value & ~1ULL; break;
    case CSR_mcause: hart->mcause = value; break;
    case CSR_mtval: hart->mtval = value; break;
    case CSR_mip: mip_write(hart, value, S_INTERRUPTS); break;
    case CSR_pmpcfg0: pmpcfg_write(hart, 0, value); break;
    case CSR_pmpcfg2: pmpcfg_write(hart, 8, value); break;
    default:
        if (csr >= CSR_pmpaddr0 && csr <= CSR_pmpaddr15)
            pmpaddr_write(hart, csr - CSR_pmpaddr0, value);
        else if (!((csr >= CSR_mhpmcounter3 && csr <= CSR_mhpmcounter31) ||
                   (csr >= CSR_mhpmevent3 && csr <= CSR_mhpmevent31)))
            return false;
    }
    return true;
}
