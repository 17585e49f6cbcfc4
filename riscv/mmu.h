/*
 * Address translation and physical memory protection (Privileged ISA, 3.7 and 10.3 to 10.5;
 * Svnapot, Svpbmt, Svade, Svadu). Engines cache what this says in TLBs of their own.
 */
#ifndef RISCV_MMU_H
#define RISCV_MMU_H

#include "riscv/vcpu.h"

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
