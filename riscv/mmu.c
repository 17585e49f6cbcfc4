/* Page-table walks (Privileged ISA 20240411, 10.3.2, 18.5) and PMP (3.7). */
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
    uint8_t need = access == ACCESS_FETCH ? PMP_X : access == ACCESS_STORE ? PMP_W : PMP_R;
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
    if (hart->mstatus & MSTATUS_MPRV && !riscv_virt(hart)) {
        const unsigned priv = hart->mstatus >> MSTATUS_MPP_SHIFT & 3;
        return RISCV_H && (hart->mstatus & MSTATUS_MPV) != 0 && priv != PRIV_M ? priv | PRIV_VIRT
                                                                               : priv;
    }
    return riscv_fetch_priv(hart);
}

unsigned riscv_hlv_priv(const struct riscv_vcpu *hart)
{
    return (hart->hstatus & HSTATUS_SPVP ? PRIV_S : PRIV_U) | PRIV_VIRT;
}

/* MXR of either world counts in the virtual one (18.4.1), and where it does nothing is masked. */
static bool executable_readable(const struct riscv_vcpu *hart, unsigned priv)
{
    const uint64_t other = priv & PRIV_VIRT ? hart->bank.status : 0;
    return ((hart->mstatus | other) & MSTATUS_MXR) != 0;
}

static unsigned pmm_of(uint64_t csr, uint64_t field)
{
    return (unsigned)((csr & field) / (field & -field));
}

unsigned riscv_pmm(const struct riscv_vcpu *hart, unsigned priv)
{
    uint64_t by;
    if (executable_readable(hart, priv))
        return 0;
    switch (priv) {
    case PRIV_M: by = hart->mseccfg; break;
    case PRIV_S: by = hart->menvcfg; break;
    case PRIV_S | PRIV_VIRT: by = hart->henvcfg; break;
    default: by = hart->senvcfg; break;
    }
    return pmm_of(by, ENVCFG_PMM);
}

/* The "ignore" transformation: of virtual addresses the rest is sign-extended, of physical and
 * guest-physical ones zero-extended. */
static uint64_t without_tag(const struct riscv_vcpu *hart, uint64_t va, unsigned pmm, unsigned priv)
{
    const unsigned bits = riscv_tag_bits(pmm);
    const uint64_t atp = (priv & PRIV_VIRT) != 0 && !riscv_virt(hart) ? hart->bank.atp : hart->satp;
    if (priv == PRIV_M || atp >> SATP_MODE_SHIFT == SATP_BARE)
        return va << bits >> bits;
    return (uint64_t)((int64_t)(va << bits) >> bits);
}

uint64_t riscv_data_address(const struct riscv_vcpu *hart, uint64_t va, unsigned priv)
{
    if (((hart->menvcfg | hart->senvcfg | hart->henvcfg | hart->mseccfg) & ENVCFG_PMM) == 0)
        return va;
    const unsigned pmm = riscv_pmm(hart, priv);
    return pmm == 0 ? va : without_tag(hart, va, pmm, priv);
}

uint64_t riscv_hlv_address(const struct riscv_vcpu *hart, uint64_t va)
{
    const unsigned priv = riscv_hlv_priv(hart);
    if (hart->priv != PRIV_U || priv == (PRIV_S | PRIV_VIRT))
        return riscv_data_address(hart, va, priv);
    const unsigned pmm = executable_readable(hart, priv) ? 0 : pmm_of(hart->hstatus, HSTATUS_HUPMM);
    return pmm == 0 ? va : without_tag(hart, va, pmm, priv);
}

/* One stage of a translation, and where it finds what. */
struct stage {
    uint64_t atp;    /* satp, vsatp or hgatp */
    uint64_t status; /* SUM and MXR */
    uint64_t envcfg; /* ADUE and PBMTE */
    unsigned priv;   /* U in the G stage (18.5.1) */
};

static struct stage guest_stage(const struct riscv_vcpu *hart)
{
    /* HS's MXR counts in both stages, VS's in its own (18.4.1). */
    const uint64_t status = hart->virt ? hart->bank.status : hart->mstatus;
    return (struct stage){hart->hgatp, status & MSTATUS_MXR, hart->menvcfg, PRIV_U};
}

/* Pseudoinstructions of implicit accesses to the tables of the VS stage, on RV64 (18.6.3). */
#define INST_TABLE_READ  0x3000
#define INST_TABLE_WRITE 0x3020

static unsigned guest_translate(struct riscv_vcpu *hart, uint64_t gpa, enum riscv_access access,
                                struct riscv_page *page);

/* Where a table entry of the VS stage lies; 0, or the cause that an access of kind `access` gets.
 */
static unsigned table_entry(struct riscv_vcpu *hart, uint64_t gpa, bool write,
                            enum riscv_access access, uint64_t *pa)
{
    struct riscv_page page;
    unsigned cause = guest_translate(hart, gpa, write ? ACCESS_STORE : ACCESS_LOAD, &page);
    *pa = page.pa;
    if (cause == 0)
        return 0;
    if (cause < CAUSE_FETCH_GUEST_FAULT)
        return riscv_access_fault(access);
    hart->fault_inst = write ? INST_TABLE_WRITE : INST_TABLE_READ;
    return riscv_page_fault(access) + (CAUSE_FETCH_GUEST_FAULT - CAUSE_FETCH_PAGE_FAULT);
}

/*
 * The walk of one stage: fills pa, span, read, write and exec of *page. `second`: the G stage,
 * whose root has four times the entries; `nested`: tables lie in guest-physical memory. Both are
 * constants where it is called, so that each kind of walk is a function of its own.
 */
static inline __attribute__((always_inline)) unsigned
walk(struct riscv_vcpu *hart, const struct stage *st, uint64_t va, enum riscv_access access,
     const bool second, const bool nested, struct riscv_page *page)
{
    struct memory *mem = &hart->vcpu.vm->mem;
    const unsigned mode = (unsigned)(st->atp >> SATP_MODE_SHIFT);
    const unsigned levels = mode - SATP_SV39 + 3, va_bits = 12 + 9 * levels;
    const unsigned page_fault = riscv_page_fault(access);
    if (second ? va >> (va_bits + 2) != 0
               : (uint64_t)((int64_t)(va << (64 - va_bits)) >> (64 - va_bits)) != va)
        return page_fault;

    uint64_t table = (st->atp & SATP_PPN) << 12;
    for (unsigned level = levels; level-- > 0;) {
        const unsigned shift = 12 + 9 * level;
        const uint64_t entries = second && level == levels - 1 ? 2048 : 512;
        const uint64_t entry = table + (va >> shift & (entries - 1)) * 8;
        uint64_t pte_pa = entry, pte, ppn;
        _Atomic uint64_t *slot;
        unsigned cause;
    again:
        if (nested && (cause = table_entry(hart, entry, false, access, &pte_pa)) != 0)
            return cause;
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
            ((st->envcfg & ENVCFG_PBMTE) == 0 || (pte & PTE_PBMT) == PTE_PBMT))
            return page_fault;
        if (!riscv_pte_allows(st->status, pte, access, st->priv))
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
            if ((st->envcfg & ENVCFG_ADUE) == 0)
                return page_fault;
            if (nested && (cause = table_entry(hart, entry, true, access, &pte_pa)) != 0)
                return cause;
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
        page->read = riscv_pte_allows(st->status, pte, ACCESS_LOAD, st->priv);
        page->write =
            (pte & PTE_D) != 0 && riscv_pte_allows(st->status, pte, ACCESS_STORE, st->priv);
        page->exec = riscv_pte_allows(st->status, pte, ACCESS_FETCH, st->priv);
        return 0;
    }
    return page_fault;
}

static void bare(uint64_t va, struct riscv_page *page)
{
    page->pa = va;
    page->span = MEM_PAGE_SIZE;
    page->read = page->write = page->exec = true;
}

/* The G stage (18.5). */
static unsigned guest_translate(struct riscv_vcpu *hart, uint64_t gpa, enum riscv_access access,
                                struct riscv_page *page)
{
    const struct stage st = guest_stage(hart);
    page->pa = 0;
    if (st.atp >> SATP_MODE_SHIFT == SATP_BARE) {
        bare(gpa, page);
        return 0;
    }
    unsigned cause = walk(hart, &st, gpa, access, true, false, page);
    if (cause != riscv_page_fault(access))
        return cause;
    hart->fault_gpa = gpa;
    hart->fault_inst = 0;
    return cause + (CAUSE_FETCH_GUEST_FAULT - CAUSE_FETCH_PAGE_FAULT);
}

/* Both stages. */
static unsigned virtual_translate(struct riscv_vcpu *hart, uint64_t va, unsigned len,
                                  enum riscv_access access, unsigned priv, struct riscv_page *page)
{
    const uint64_t own = hart->virt ? hart->mstatus : hart->bank.status;
    const uint64_t hs = hart->virt ? hart->bank.status : hart->mstatus;
    const struct stage st = {hart->virt ? hart->satp : hart->bank.atp, own | (hs & MSTATUS_MXR),
                             riscv_henvcfg(hart), priv};
    struct riscv_page guest;
    unsigned cause = 0;

    if (st.atp >> SATP_MODE_SHIFT == SATP_BARE)
        bare(va, page);
    else if (hart->hgatp >> SATP_MODE_SHIFT == SATP_BARE)
        cause = walk(hart, &st, va, access, false, false, page);
    else
        cause = walk(hart, &st, va, access, false, true, page);
    if (cause == 0)
        cause = guest_translate(hart, page->pa, access, &guest);
    if (cause != 0)
        return cause;
    page->pa = guest.pa;
    page->read = page->read && guest.read;
    page->write = page->write && guest.write;
    page->exec = page->exec && guest.exec;
    return page_finish(hart, len, access, priv, page);
}

unsigned riscv_translate(struct riscv_vcpu *hart, uint64_t va, unsigned len,
                         enum riscv_access access, unsigned priv, struct riscv_page *page)
{
    if (RISCV_H) {
        hart->access_virt = (priv & PRIV_VIRT) != 0;
        if (hart->access_virt)
            return virtual_translate(hart, va, len, access, priv & ~PRIV_VIRT, page);
    }

    const struct stage st = {hart->satp, hart->mstatus, hart->menvcfg, priv};
    if (priv == PRIV_M || st.atp >> SATP_MODE_SHIFT == SATP_BARE) {
        bare(va, page);
    } else {
        unsigned cause = walk(hart, &st, va, access, false, false, page);
        if (cause != 0)
            return cause;
    }
    return page_finish(hart, len, access, priv, page);
}
