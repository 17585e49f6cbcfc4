/*
 * Control and status registers: numbers, fields, and access as an instruction makes it.
 */
#ifndef RISCV_CSR_H
#define RISCV_CSR_H

#include "riscv/vcpu.h"

enum riscv_csr {
#define CSR(number, name) CSR_##name = (number),
#include "riscv/csr.def"
};

/* mstatus (Privileged ISA, 3.1.6) */
#define MSTATUS_SIE        (1ULL << 1)
#define MSTATUS_MIE        (1ULL << 3)
#define MSTATUS_SPIE       (1ULL << 5)
#define MSTATUS_MPIE       (1ULL << 7)
#define MSTATUS_SPP        (1ULL << 8)
#define MSTATUS_VS         (3ULL << 9)
#define MSTATUS_MPP_SHIFT  11
#define MSTATUS_MPP        (3ULL << MSTATUS_MPP_SHIFT)
#define MSTATUS_FS         (3ULL << 13)
#define MSTATUS_FS_INITIAL (1ULL << 13)
#define MSTATUS_MPRV       (1ULL << 17)
#define MSTATUS_SUM        (1ULL << 18)
#define MSTATUS_MXR        (1ULL << 19)
#define MSTATUS_TVM        (1ULL << 20)
#define MSTATUS_TW         (1ULL << 21)
#define MSTATUS_TSR        (1ULL << 22)
#define MSTATUS_UXL        (2ULL << 32)
#define MSTATUS_GVA        (1ULL << 38)
#define MSTATUS_MPV        (1ULL << 39)
#define MSTATUS_SXL        (2ULL << 34)
#define MSTATUS_SD         (1ULL << 63)
/* What sstatus has of mstatus, and can change; UXL and SD are read there too (10.1.1). VS is of V.
 */
#define SSTATUS_MASK                                                                               \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
static inline uint64_t riscv_sstatus_mask(const struct riscv_vcpu *hart)
{
    return SSTATUS_MASK | (riscv_has_v(hart) ? MSTATUS_VS : 0);
}

/* mstatus or sstatus with SD as FS and VS say (3.1.6.6). */
static inline uint64_t riscv_with_sd(uint64_t status)
{
    const bool dirty = (status & MSTATUS_FS) == MSTATUS_FS || (status & MSTATUS_VS) == MSTATUS_VS;
    return dirty ? status | MSTATUS_SD : status;
}

/* menvcfg, senvcfg, henvcfg (3.1.18, 10.1.10, 18.2.5); PMM in mseccfg too */
#define ENVCFG_FIOM  (1ULL << 0)
#define ENVCFG_CBIE  (3ULL << 4)
#define ENVCFG_CBCFE (1ULL << 6)
#define ENVCFG_CBZE  (1ULL << 7)
#define ENVCFG_PMM   (3ULL << 32)
#define ENVCFG_ADUE  (1ULL << 61)
#define ENVCFG_PBMTE (1ULL << 62)
#define ENVCFG_STCE  (1ULL << 63)

/* mseccfg, beside PMM: who may use the seed CSR (Zkr) */
#define MSECCFG_USEED (1ULL << 8)
#define MSECCFG_SSEED (1ULL << 9)

#define MSTATEEN_ENVCFG (1ULL << 62)
#define MSTATEEN_SE0    (1ULL << 63)
/* In mstateen0 and hstateen0 of a hart with AIA (AIA 1.0, 2.5) */
#define STATEEN_IMSIC  (1ULL << 58)
#define STATEEN_AIA    (1ULL << 59)
#define STATEEN_CSRIND (1ULL << 60)

/* hstatus (18.2.1); engine/hext/csr.h, which assembler reads too, has some as well */
#define HSTATUS_GVA         (1UL << 6)
#define HSTATUS_SPV         (1UL << 7)
#define HSTATUS_SPVP        (1UL << 8)
#define HSTATUS_HU          (1UL << 9)
#define HSTATUS_VGEIN_SHIFT 12
#define HSTATUS_VGEIN       (63UL << 12)
#define HSTATUS_VTVM        (1UL << 20)
#define HSTATUS_VTW         (1UL << 21)
#define HSTATUS_VTSR        (1UL << 22)
#define HSTATUS_VSXL        (2UL << 32)
#define HSTATUS_HUPMM       (3ULL << 48) /* as ENVCFG_PMM, of HLV and HSV in U-mode */

/* Interrupts of VS, in mip and mie; what M-mode may delegate of H's causes (18.2.2, 18.4.4). */
#define VS_INTERRUPTS (1ULL << IRQ_VSSI | 1ULL << IRQ_VSTI | 1ULL << IRQ_VSEI)
#define MEDELEG_H     0xf00400ULL

/* CSRs that the AIA adds, those that a hart without H lacks included. */
static inline bool riscv_csr_is_aia(unsigned csr)
{
    switch (csr) {
    case CSR_siselect:
    case CSR_sireg:
    case CSR_stopei:
    case CSR_stopi:
    case CSR_vsiselect:
    case CSR_vsireg:
    case CSR_vstopei:
    case CSR_vstopi:
    case CSR_mvien:
    case CSR_mvip:
    case CSR_miselect:
    case CSR_mireg:
    case CSR_mtopei:
    case CSR_mtopi:
    case CSR_hvien:
    case CSR_hvictl:
    case CSR_hviprio1:
    case CSR_hviprio2: return true;
    default: return false;
    }
}

#define SATP_MODE_SHIFT 60
#define SATP_PPN        ((1ULL << 44) - 1)
#define SATP_MODE       (15ULL << SATP_MODE_SHIFT)
#define SATP_BARE       0
#define SATP_SV39       8
#define SATP_SV48       9
#define SATP_SV57       10

/*
 * Reads or writes a CSR as an instruction in the hart's present mode does: checks existence,
 * privilege, counter enables, TVM, FS and state enables. hart->instret must be exact. Returns false
 * for an illegal access (then nothing has changed). A write may set bits in hart->effects.
 *
 * `write` of riscv_csr_read: the instruction will write too, so a read-only CSR is refused.
 */
bool riscv_csr_read(struct riscv_vcpu *hart, unsigned csr, bool write, uint64_t *value);
bool riscv_csr_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value);
/* Whether an access now would be one that exists and is allowed. */
bool riscv_csr_allowed(const struct riscv_vcpu *hart, unsigned csr, bool write);

/* H's own bits of mip, mie and (read-only one) mideleg: VS's and that of guest interrupt files. */
uint64_t riscv_h_interrupts(const struct riscv_vcpu *hart);
/* The bits that mstateen0, and hstateen0, has. */
uint64_t riscv_stateen_mask(const struct riscv_vcpu *hart);

/* riscv/csr_hyp.c: what H adds. hyp_allowed is asked of what is allowed otherwise; read and write
 * answer for CSRs of H, and for those of S-mode whose meaning V=1 changes; false: not theirs. */
bool riscv_hyp_allowed(const struct riscv_vcpu *hart, unsigned csr, bool write);
bool riscv_hyp_read(struct riscv_vcpu *hart, unsigned csr, uint64_t *value);
bool riscv_hyp_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value);
/* henvcfg as it reads: what menvcfg does not allow is 0 (18.2.5). */
uint64_t riscv_henvcfg(const struct riscv_vcpu *hart);
/* Enters (V=1) or leaves the virtual world: exchanges its supervisor CSRs. */
void riscv_set_virt(struct riscv_vcpu *hart, bool virt);
/* V=1: sstatus as VS-mode is about to write it, without FS (VS) where HS has that Off; keeps what
 * FS (VS) was for HS. */
uint64_t riscv_fs_hide(struct riscv_vcpu *hart, uint64_t status);
/* What csr.c does for both worlds. */
void riscv_envcfg_write(struct riscv_vcpu *hart, uint64_t *envcfg, uint64_t value, uint64_t mask);
void riscv_atp_write(struct riscv_vcpu *hart, uint64_t *atp, uint64_t value);
/* `value` with its PMM field, the two bits `field`, as in `old` if it is the reserved 1 (WARL). */
static inline uint64_t riscv_pmm_legal(uint64_t value, uint64_t old, uint64_t field)
{
    return (value & field) == (field & -field) ? (value & ~field) | (old & field) : value;
}
/* xtvec: modes 2 and 3 are reserved; such a write is ignored (WARL). */
static inline void riscv_tvec_write(uint64_t *tvec, uint64_t value)
{
    if ((value & 2) == 0)
        *tvec = value;
}
/* The bits `mask` of mip, by software; a set or clear leaves alone what it does not change. */
void riscv_mip_write(struct riscv_vcpu *hart, uint64_t value, uint64_t mask);

/*
 * What a set or clear of bits starts from: the value read, except that mip.SEIP counts only as
 * software wrote it, without the controller's wire (Privileged ISA, 3.1.9). The write that follows
 * leaves bits of mip and sip alone that it does not change: an interrupt that another hart makes
 * pending meanwhile must not get lost (CSR instructions are atomic; Unprivileged ISA, Zicsr).
 */
static inline uint64_t riscv_csr_base(struct riscv_vcpu *hart, unsigned csr, uint64_t read)
{
    if (csr == CSR_sip || csr == CSR_mip || csr == CSR_vsip || csr == CSR_hip || csr == CSR_hvip ||
        csr == CSR_mvip) {
        hart->mip_read = read;
        hart->mip_update = true;
    }
    if (csr != CSR_mip)
        return read;
    return (read & ~(1ULL << IRQ_SEI)) | (uint64_t)hart->mip_seip << IRQ_SEI;
}

/* mip as software reads it. */
uint64_t riscv_mip(const struct riscv_vcpu *hart);
/* The bits that are settable in mstatus, the derived SD bit included in what is read. */
uint64_t riscv_mstatus(const struct riscv_vcpu *hart);

#endif
