/*
 * Walks of page tables in the ordinary case: tables and page in RAM that PMP opens to all, a leaf
 * that allows the access and has its A and D bits. All else is riscv_translate's to find.
 */
#include "engine/jit/internal.h"
#include "riscv/csr.h"

#define PAGE_MASK (MEM_PAGE_SIZE - 1)
#define PMP_RWX   (PMP_R | PMP_W | PMP_X)

/* The largest piece of the largest slot that one entry opens, and that no entry before it touches
 * (3.7.1: the lowest that matches decides). */
void jit_open_update(struct jit_cpu *cpu)
{
    const struct riscv_vcpu *hart = cpu->hart;
    const struct memory *mem = &hart->vcpu.vm->mem;
    const struct mem_slot *slot = NULL;

    cpu->open.size = 0;
    for (unsigned i = 0; i < mem->slot_count; i++) {
        if (!mem->slots[i].readonly && (slot == NULL || mem->slots[i].size > slot->size))
            slot = &mem->slots[i];
    }
    if (slot == NULL || slot->flags == NULL || mem->touch != NULL)
        return;
    uint64_t low = slot->gpa, past = slot->gpa + slot->size;
    for (unsigned i = 0; i < hart->pmp_count && low < past; i++) {
        const struct riscv_pmp *p = &hart->pmp[i];
        if (p->last < low || p->low >= past)
            continue;
        /* Of the range, the pages that the entry matches as a whole, and those it does not touch.
         */
        const bool from_low = p->low <= low, to_past = p->last >= past - 1;
        if ((p->cfg & PMP_RWX) == PMP_RWX) {
            uint64_t first = from_low ? low : (p->low + PAGE_MASK) & ~PAGE_MASK;
            uint64_t end = to_past ? past : (p->last + 1) & ~PAGE_MASK;
            cpu->open.gpa = first;
            cpu->open.size = end > first ? end - first : 0;
            cpu->open.hva = slot->hva + (first - slot->gpa);
            cpu->open.flags = slot->flags + ((first - slot->gpa) >> MEM_PAGE_SHIFT);
            return;
        }
        uint64_t below = from_low ? low : p->low & ~PAGE_MASK;
        uint64_t above = to_past ? past : (p->last + MEM_PAGE_SIZE) & ~PAGE_MASK;
        if (past - above > below - low)
            low = above;
        else
            past = below;
    }
}

static bool walk(struct jit_cpu *cpu, uint64_t va, enum riscv_access access, unsigned priv,
                 struct jit_page *out)
{
    const struct riscv_vcpu *hart = cpu->hart;
    const unsigned mode = (unsigned)(hart->satp >> SATP_MODE_SHIFT);
    const uint64_t need = PTE_V | PTE_A | (access == ACCESS_STORE ? PTE_D : 0);
    struct riscv_page *page = &out->page;
    uint64_t table = (hart->satp & SATP_PPN) << 12, global = 0, offset;

    if (priv >= PRIV_M || mode == SATP_BARE) /* or PRIV_VIRT */
        return false;
    const unsigned levels = mode - SATP_SV39 + 3, unused = 64 - (12 + 9 * levels);
    if ((uint64_t)((int64_t)(va << unused) >> unused) != va)
        return false;
    for (unsigned shift = 12 + 9 * (levels - 1);; shift -= 9) {
        offset = table + (va >> shift & 511) * 8 - cpu->open.gpa;
        if (offset >= cpu->open.size)
            return false;
        const uint64_t pte = atomic_load_explicit(
            (_Atomic uint64_t *)(void *)(cpu->open.hva + offset), memory_order_acquire);
        if ((pte & (PTE_RESERVED | PTE_N | PTE_PBMT)) != 0)
            return false;
        global |= pte & PTE_G;
        table = (pte & PTE_PPN) >> PTE_PPN_SHIFT << 12;
        if ((pte & (PTE_R | PTE_W | PTE_X)) == 0) {
            if ((pte & (PTE_V | PTE_D | PTE_A | PTE_U)) != PTE_V || shift == 12)
                return false;
            continue;
        }
        const uint64_t inside = (1ULL << shift) - 1;
        if ((pte & need) != need || (pte & (PTE_R | PTE_W)) == PTE_W || (table & inside) != 0 ||
            !riscv_leaf_allows(hart, pte, access, priv))
            return false;
        page->pa = table | (va & inside);
        page->span = inside + 1;
        page->read = riscv_leaf_allows(hart, pte, ACCESS_LOAD, priv);
        page->write = (pte & PTE_D) != 0 && riscv_leaf_allows(hart, pte, ACCESS_STORE, priv);
        page->exec = riscv_leaf_allows(hart, pte, ACCESS_FETCH, priv);
        page->uniform = true;
        offset = (page->pa & ~PAGE_MASK) - cpu->open.gpa;
        if (offset >= cpu->open.size)
            return false;
        page->hva = cpu->open.hva + offset;
        out->flags = cpu->open.flags + (offset >> MEM_PAGE_SHIFT);
        out->global = global != 0;
        return true;
    }
}

unsigned jit_translate(struct jit_cpu *cpu, uint64_t va, unsigned len, enum riscv_access access,
                       unsigned priv, struct jit_page *page)
{
    struct memory *mem = &cpu->hart->vcpu.vm->mem;
    if (walk(cpu, va, access, priv, page))
        return 0;
    unsigned cause = riscv_translate(cpu->hart, va, len, access, priv, &page->page);
    page->global = false; /* or not known */
    page->flags = NULL;
    if (cause == 0 && page->page.hva != NULL) {
        const struct mem_slot *slot = mem_slot_find(mem, page->page.pa, 1);
        if (slot->flags != NULL)
            page->flags = slot->flags + ((page->page.pa - slot->gpa) >> MEM_PAGE_SHIFT);
    }
    return cause;
}
