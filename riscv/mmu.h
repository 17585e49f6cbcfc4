/*
 * Address translation and physical memory protection (Privileged ISA, 3.7 and 10.3 to 10.5;
 * Svnapot, Svpbmt, Svade, Svadu). Engines cache what this says in TLBs of their own.
 */
#ifndef RISCV_MMU_H
#define RISCV_MMU_H

#include "riscv/csr.h"
#include "riscv/vcpu.h"

/* Page-table entries (10.3.1; Svpbmt, Svnapot) */
#define PTE_V         (1ULL << 0)
#define PTE_R         (1ULL << 1)
#define PTE_W         (1ULL << 2)
#define PTE_X         (1ULL << 3)
#define PTE_U         (1ULL << 4)
#define PTE_G         (1ULL << 5)
#define PTE_A         (1ULL << 6)
#define PTE_D         (1ULL << 7)
#define PTE_PPN_SHIFT 10
#define PTE_PPN       (((1ULL << 44) - 1) << PTE_PPN_SHIFT)
#define PTE_RESERVED  (0x7fULL << 54)
#define PTE_PBMT      (3ULL << 61)
#define PTE_N         (1ULL << 63)

/* ACCESS_HLVX: a load by HLVX, where what may be executed may be read, and nothing else. */
enum riscv_access { ACCESS_FETCH, ACCESS_LOAD, ACCESS_STORE, ACCESS_HLVX };

/* What is behind a virtual address, for the 4 KiB page it lies in. */
struct riscv_page {
    uint64_t pa;   /* guest-physical address of the byte asked for */
    uint64_t span; /* bytes of the leaf that maps it (4 KiB ... 256 TiB; bare: 4 KiB); of the VS
                    * stage's where there are two */
    uint8_t *hva;  /* host address of the page's first byte, NULL if the page is not RAM */
    bool read, write,
        exec;     /* what this mode may do in the page without another look at the tables */
    bool uniform; /* one PMP decision holds for all of the page: may be cached */
};

/*
 * Translates `va` for an access of `len` bytes that does not cross a page, at privilege `priv`
 * (MPRV already applied; PRIV_VIRT added: through VS stage and G stage, whose combination the page
 * is) with SUM and MXR of its world as they are. Sets A and D where xenvcfg.ADUE allows. Returns 0,
 * or the cause of the exception, of which the hart then knows more (fault_gpa, fault_inst).
 */
unsigned riscv_translate(struct riscv_vcpu *hart, uint64_t va, unsigned len,
                         enum riscv_access access, unsigned priv, struct riscv_page *page);

/* The privilege at which loads and stores are made: MPP if MPRV is set, else the present one; with
 * PRIV_VIRT where that is virtual. */
unsigned riscv_data_priv(const struct riscv_vcpu *hart);
/* The same of fetches, which MPRV is nothing to. */
static inline unsigned riscv_fetch_priv(const struct riscv_vcpu *hart)
{
    return hart->priv | (riscv_virt(hart) ? PRIV_VIRT : 0);
}
/* The same of HLV, HLVX and HSV (18.3). */
unsigned riscv_hlv_priv(const struct riscv_vcpu *hart);

/*
 * The address that a load or store to `va` is made at, `priv` being as for riscv_translate: without
 * its tag where pointer masking is on (Pointer masking 1.0, 2.2 to 2.6). An access that crosses a
 * page is two. Not for fetches.
 */
uint64_t riscv_data_address(const struct riscv_vcpu *hart, uint64_t va, unsigned priv);
/* The same for HLV and HSV; HLVX is not masked. */
uint64_t riscv_hlv_address(const struct riscv_vcpu *hart, uint64_t va);
/* The PMM that counts at `priv`: 0, 2 (7 bits) or 3 (16 bits). */
unsigned riscv_pmm(const struct riscv_vcpu *hart, unsigned priv);
static inline unsigned riscv_tag_bits(unsigned pmm)
{
    return pmm == 0 ? 0 : pmm == 3 ? 16 : 7;
}

/* PMP: may [pa, pa + len) be accessed at `priv`? */
bool riscv_pmp_allows(const struct riscv_vcpu *hart, uint64_t pa, uint64_t len,
                      enum riscv_access access, unsigned priv);
/* Computes hart->pmp from pmpcfg and pmpaddr; after every change of these. */
void riscv_pmp_update(struct riscv_vcpu *hart);

/* A leaf that U or S may use for the access (10.3.2, steps 5 to 8), by SUM and MXR of `status`. */
static inline bool riscv_pte_allows(uint64_t status, uint64_t pte, enum riscv_access access,
                                    unsigned priv)
{
    if (priv == PRIV_U
            ? (pte & PTE_U) == 0
            : (pte & PTE_U) != 0 && (access == ACCESS_FETCH || (status & MSTATUS_SUM) == 0))
        return false;
    switch (access) {
    case ACCESS_FETCH:
    case ACCESS_HLVX: return (pte & PTE_X) != 0;
    case ACCESS_STORE: return (pte & PTE_W) != 0;
    default: return (pte & PTE_R) != 0 || ((status & MSTATUS_MXR) != 0 && (pte & PTE_X) != 0);
    }
}

static inline bool riscv_leaf_allows(const struct riscv_vcpu *hart, uint64_t pte,
                                     enum riscv_access access, unsigned priv)
{
    return riscv_pte_allows(hart->mstatus, pte, access, priv);
}

/* The access-fault and page-fault causes of an access. */
static inline unsigned riscv_access_fault(enum riscv_access access)
{
    return access == ACCESS_FETCH   ? CAUSE_FETCH_ACCESS
           : access == ACCESS_STORE ? CAUSE_STORE_ACCESS
                                    : CAUSE_LOAD_ACCESS;
}
static inline unsigned riscv_page_fault(enum riscv_access access)
{
    return access == ACCESS_FETCH   ? CAUSE_FETCH_PAGE_FAULT
           : access == ACCESS_STORE ? CAUSE_STORE_PAGE_FAULT
                                    : CAUSE_LOAD_PAGE_FAULT;
}

#endif
