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

enum riscv_access { ACCESS_FETCH, ACCESS_LOAD, ACCESS_STORE };

/* What is behind a virtual address, for the 4 KiB page it lies in. */
struct riscv_page {
    uint64_t pa;   /* guest-physical address of the byte asked for */
    uint64_t span; /* bytes of the leaf that maps it (4 KiB ... 256 TiB; bare: 4 KiB) */
    uint8_t *hva;  /* host address of the page's first byte, NULL if the page is not RAM */
    bool read, write,
        exec;     /* what this mode may do in the page without another look at the tables */
    bool uniform; /* one PMP decision holds for all of the page: may be cached */
};

/*
 * Translates `va` for an access of `len` bytes that does not cross a page, at privilege `priv`
 * (MPRV already applied) with mstatus.SUM and MXR as they are. Sets A and D where menvcfg.ADUE
 * allows. Returns 0, or the cause of the exception.
 */
unsigned riscv_translate(struct riscv_vcpu *hart, uint64_t va, unsigned len,
                         enum riscv_access access, unsigned priv, struct riscv_page *page);

/* The privilege at which loads and stores are made: MPP if MPRV is set, else the present one. */
unsigned riscv_data_priv(const struct riscv_vcpu *hart);

/* PMP: may [pa, pa + len) be accessed at `priv`? */
bool riscv_pmp_allows(const struct riscv_vcpu *hart, uint64_t pa, uint64_t len,
                      enum riscv_access access, unsigned priv);
/* Computes hart->pmp from pmpcfg and pmpaddr; after every change of these. */
void riscv_pmp_update(struct riscv_vcpu *hart);

/* A leaf that this mode may use for the access (10.3.2, steps 5 to 8). */
static inline bool riscv_leaf_allows(const struct riscv_vcpu *hart, uint64_t pte,
                                     enum riscv_access access, unsigned priv)
{
    if (priv == PRIV_U
            ? (pte & PTE_U) == 0
            : (pte & PTE_U) != 0 && (access == ACCESS_FETCH || (hart->mstatus & MSTATUS_SUM) == 0))
        return false;
    switch (access) {
    case ACCESS_FETCH: return (pte & PTE_X) != 0;
    case ACCESS_STORE: return (pte & PTE_W) != 0;
    default:
        return (pte & PTE_R) != 0 || ((hart->mstatus & MSTATUS_MXR) != 0 && (pte & PTE_X) != 0);
    }
}

/* The access-fault and page-fault causes of an access. */
static inline unsigned riscv_access_fault(enum riscv_access access)
{
    return access == ACCESS_FETCH  ? CAUSE_FETCH_ACCESS
           : access == ACCESS_LOAD ? CAUSE_LOAD_ACCESS
                                   : CAUSE_STORE_ACCESS;
}
static inline unsigned riscv_page_fault(enum riscv_access access)
{
    return access == ACCESS_FETCH  ? CAUSE_FETCH_PAGE_FAULT
           : access == ACCESS_LOAD ? CAUSE_LOAD_PAGE_FAULT
                                   : CAUSE_STORE_PAGE_FAULT;
}

#endif
