/* Page-table walks (Privileged ISA 20240411, 10.3.2) and PMP (3.7). */
#include "riscv/mmu.h"

#include "riscv/csr.h"

#define PA_LIMIT (1ULL << 56)

void riscv_pmp_update(struct riscv_vcpu *hart)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PMP_ENTRIES; i++) {
        struct riscv_pmp *p = &hart->pmp[n];
        p->cfg = hart->pmpcfg[i];
        n += pmp_entry_range(p->cfg, hart->pmpaddr[i], i == 0 ? 0 : hart->pmpaddr[i - 1], &p->low,
                             &p->last);
    }
    hart->pmp_count = n;
}

/* Whether some entry is set at all: with none, S and U may access nothing (3.7.1). */
static bool pmp_permits(const struct riscv_pmp *p, enum riscv_access access, unsigned priv)
{
    if (priv == PRIV_M && (p->cfg & PMP_L) == 0)
        return true;
    uint8_t need = access == ACCESS_FETCH ? PMP_X : access == ACCESS_LOAD ? PMP_R : PMP_W;
    return (p->cfg & need) != 0;
}

bool riscv_pmp_allows(const struct riscv_vcpu *hart, uint64_t pa, uint64_t len,
                      enum riscv_access access, unsigned priv)
{
    uint64_t last = pa + len - 1;
    for (unsigned i = 0; i < hart->pmp_count; i++) {
        const struct riscv_pmp *p = &hart->pmp[i];
        if (last < p->low || pa > p->last)
            continue;
        /* The lowest entry that matches any byte decides, and must match all of them. */
        return pa >= p->low && last <= p->last && pmp_permits(p, access, priv);
    }
    return priv == PRIV_M;
}

/* Fills what PMP says of a whole page at once; page->uniform tells whether it could. */
static void pmp_page(const struct riscv_vcpu *hart, unsigned priv, struct riscv_page *page)
{
    uint64_t low = page->pa & ~(MEM_PAGE_SIZE - 1), last = low + MEM_PAGE_SIZE - 1;
    page->uniform = true;
    for (unsigned i = 0; i < hart->pmp_count; i++) {
        const struct riscv_pmp *p = &hart->pmp[i];
        if (last < p->low || low > p->last)
            continue;
        if (low < p->low || last > p->last) {
            page->uniform = false;
            return;
        }
        page->read = page->read && pmp_permits(p, ACCESS_LOAD, priv);
        page->write = page->write && pmp_permits(p, ACCESS_STORE, priv);
        page->exec = page->exec && pmp_permits(p, ACCESS_FETCH, priv);
        return;
    }
    /* No entry: M-mode, which may do all. riscv_pmp_allows has refused the others. */
}

static unsigned page_finish(struct riscv_vcpu *hart, unsigned len, enum riscv_access access,
                            unsigned priv, struct riscv_page *page)
{
    struct mem_slot *slot;
    if (page->pa >= PA_LIMIT || !riscv_pmp_allows(hart, page->pa, len, access, priv))
        return riscv_access_fault(access);
    pmp_page(hart, priv, page);
    slot = mem_slot_find(&hart->vcpu.vm->mem, page->pa & ~(MEM_PAGE_SIZE - 1), MEM_PAGE_SIZE);
    page->hva = NULL;
    if (slot != NULL) {
        page->hva = slot->hva + ((page->pa & ~(MEM_PAGE_SIZE - 1)) - slot->gpa);
        if (slot->readonly) {
            page->write = false;
            if (access == ACCESS_STORE)
                return CAUSE_STORE_ACCESS;
        }
    }
    return 0;
}

unsigned riscv_data_priv(const struct riscv_vcpu *hart)
{
    if (hart->mstatus & MSTATUS_MPRV)
        return hart->mstatus >> MSTATUS_MPP_SHIFT & 3;
    return hart->priv;
}

unsigned riscv_translate(struct riscv_vcpu *hart, uint64_t va, unsigned len,
                         enum riscv_access access, unsigned priv, struct riscv_page *page)
{
    const unsigned mode = (unsigned)(hart->satp >> SATP_MODE_SHIFT);
    struct memory *mem = &hart->vcpu.vm->mem;

    if (priv == PRIV_M || mode == SATP_BARE) {
        page->pa = va;
        page->span = MEM_PAGE_SIZE;
        page->read = page->write = page->exec = true;
        return page_finish(hart, len, access, priv, page);
    }

    const unsigned levels = mode - SATP_SV39 + 3, va_bits = 12 + 9 * levels;
    const unsigned page_fault = riscv_page_fault(access);
    if ((uint64_t)((int64_t)(va << (64 - va_bits)) >> (64 - va_bits)) != va)
        return page_fault;

    uint64_t table = (hart->satp & SATP_PPN) << 12;
    for (unsigned level = levels; level-- > 0;) {
        const unsigned shift = 12 + 9 * level;
        const uint64_t pte_pa = table + (va >> shift & 511) * 8;
        _Atomic uint64_t *slot;
        uint64_t pte, ppn;
    again:
        slot = mem_map(mem, pte_pa, 8, false);
        if (slot == NULL || !riscv_pmp_allows(hart, pte_pa, 8, ACCESS_LOAD, PRIV_S))
            return riscv_access_fault(access);
        pte = atomic_load_explicit(slot, memory_order_acquire);
        if ((pte & PTE_V) == 0 || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED) != 0)
            return page_fault;
        ppn = (pte & PTE_PPN) >> PTE_PPN_SHIFT;
        if ((pte & (PTE_R | PTE_X)) == 0) { /* pointer to the next level */
            if (pte & (PTE_D | PTE_A | PTE_U | PTE_N | PTE_PBMT))
                return page_fault;
            table = ppn << 12;
            continue;
        }
        if ((pte & PTE_PBMT) != 0 &&
            ((hart->menvcfg & ENVCFG_PBMTE) == 0 || (pte & PTE_PBMT) == PTE_PBMT))
            return page_fault;
        if (!riscv_leaf_allows(hart, pte, access, priv))
            return page_fault;
        if (pte & PTE_N) { /* Svnapot: only 64 KiB is defined */
            if (level != 0 || (ppn & 15) != 8)
                return page_fault;
            ppn = (ppn & ~15ULL) | (va >> 12 & 15);
        }
        if ((ppn & ((1ULL << 9 * level) - 1)) != 0)
            return page_fault; /* misaligned superpage */
        const uint64_t want = pte | PTE_A | (access == ACCESS_STORE ? PTE_D : 0);
        if (want != pte) {
            if ((hart->menvcfg & ENVCFG_ADUE) == 0)
                return page_fault;
            slot = mem_map(mem, pte_pa, 8, true);
            if (slot == NULL || !riscv_pmp_allows(hart, pte_pa, 8, ACCESS_STORE, PRIV_S))
                return riscv_access_fault(access);
            uint64_t expected = pte;
            if (!atomic_compare_exchange_strong(slot, &expected, want))
                goto again; /* somebody else changed it meanwhile: look again */
            mem_done(mem, pte_pa, 8);
            pte = want;
        }
        page->pa = ppn << 12 | (va & ((1ULL << shift) - 1));
        page->span = pte & PTE_N ? 0x10000 : 1ULL << shift;
        page->read = riscv_leaf_allows(hart, pte, ACCESS_LOAD, priv);
        page->write = (pte & PTE_D) != 0 && riscv_leaf_allows(hart, pte, ACCESS_STORE, priv);
        page->exec = riscv_leaf_allows(hart, pte, ACCESS_FETCH, priv);
        return page_finish(hart, len, access, priv, page);
    }
    return page_fault;
}
