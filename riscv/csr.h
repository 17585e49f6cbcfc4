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
#define MSTATUS_SXL        (2ULL << 34)
#define MSTATUS_SD         (1ULL << 63)
/* What sstatus has of mstatus, and can change; UXL and SD are read there too (10.1.1). */
#define SSTATUS_MASK                                                                               \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)

/* menvcfg, senvcfg (3.1.18, 10.1.10) */
#define ENVCFG_FIOM  (1ULL << 0)
#define ENVCFG_CBIE  (3ULL << 4)
#define ENVCFG_CBCFE (1ULL << 6)
#define ENVCFG_CBZE  (1ULL << 7)
#define ENVCFG_ADUE  (1ULL << 61)
#define ENVCFG_PBMTE (1ULL << 62)
#define ENVCFG_STCE  (1ULL << 63)

#define MSTATEEN_ENVCFG (1ULL << 62)
#define MSTATEEN_SE0    (1ULL << 63)

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

/*
 * What a set or clear of bits starts from: the value read, except that mip.SEIP counts only as
 * software wrote it, without the controller's wire (Privileged ISA, 3.1.9). The write that follows
 * leaves bits of mip and sip alone that it does not change: an interrupt that another hart makes
 * pending meanwhile must not get lost (CSR instructions are atomic; Unprivileged ISA, Zicsr).
 */
static inline uint64_t riscv_csr_base(struct riscv_vcpu *hart, unsigned csr, uint64_t read)
{
    if (csr == CSR_sip || csr == CSR_mip) {
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
