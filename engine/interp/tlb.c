/* Data accesses that the inline path does not answer: TLB misses, page crossings, devices. */
#include "engine/interp/internal.h"

#include "core/bus.h"
#include "riscv/trap.h"

typedef uint16_t __attribute__((aligned(1), may_alias)) u16_any;
typedef uint32_t __attribute__((aligned(1), may_alias)) u32_any;
typedef uint64_t __attribute__((aligned(1), may_alias)) u64_any;

#define PAGE_OFFSET (MEM_PAGE_SIZE - 1)

static inline uint64_t empty_tag(unsigned index)
{
    return (uint64_t)(index ^ 1) << MEM_PAGE_SHIFT;
}

static inline unsigned tlb_index(uint64_t va)
{
    return va >> MEM_PAGE_SHIFT & (TLB_ENTRIES - 1);
}

/* New epochs: nothing that was found by a virtual address of code is known any more. */
static void fetch_flush(struct interp *it)
{
    /* Epochs are never reused: after 2^32 of them the tables that name them are emptied. */
    if (it->epoch_last > UINT32_MAX - 16) {
        memset(it->fetch, 0, sizeof it->fetch);
        memset(it->jump, 0, sizeof it->jump);
        it->epoch_last = 0;
    }
    for (unsigned priv = 0; priv < 8; priv++)
        it->epochs[priv] = ++it->epoch_last;
    it->epoch = it->epochs[riscv_fetch_priv(it->hart)];
    memset(it->fetched, 0, sizeof it->fetched);
}

static void *vector_at(void *engine, uint64_t va, uint64_t len, bool store)
{
    const struct interp *it = engine;
    const struct tlb_entry *e = &it->tlb[it->mode][tlb_index(va)];
    const uint64_t in_page = va - (store ? e->write : e->read);
    return len <= MEM_PAGE_SIZE && in_page <= MEM_PAGE_SIZE - len ? (void *)(e->addend + va) : NULL;
}

static bool vector_load(void *engine, uint64_t va, unsigned width, uint64_t *value)
{
    return interp_load(engine, va, width, value);
}

static bool vector_store(void *engine, uint64_t va, unsigned width, uint64_t value)
{
    return interp_store(engine, va, width, value);
}

void interp_tlb_init(struct interp *it)
{
    it->vmemory = (struct riscv_vmemory){it, vector_load, vector_store, vector_at};
    memset(it->tlb_used, 0xff, sizeof it->tlb_used);
    interp_tlb_flush(it);
}

void interp_tlb_flush(struct interp *it)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned word = 0; word < TLB_ENTRIES / 64; word++) {
            for (uint64_t used = it->tlb_used[mode][word]; used != 0; used &= used - 1) {
                unsigned i = word * 64 + (unsigned)__builtin_ctzll(used);
                it->tlb[mode][i].read = it->tlb[mode][i].write = empty_tag(i);
            }
            it->tlb_used[mode][word] = 0;
        }
    }
    it->large_low = UINT64_MAX;
    it->large_last = 0;
    fetch_flush(it);
}

void interp_tlb_flush_page(struct interp *it, uint64_t va)
{
    if (va >= it->large_low && va <= it->large_last) {
        interp_tlb_flush(it);
        return;
    }
    unsigned i = tlb_index(va);
    for (unsigned mode = 0; mode < TLB_MODES; mode++)
        it->tlb[mode][i].read = it->tlb[mode][i].write = empty_tag(i);
    if (it->fetched[fetched_bit(va) / 64] >> fetched_bit(va) % 64 & 1)
        fetch_flush(it);
}

void interp_mode_update(struct interp *it)
{
    const struct riscv_vcpu *hart = it->hart;
    switch (riscv_data_priv(hart)) {
    case PRIV_U: it->mode = TLB_U; break;
    case PRIV_S: it->mode = hart->mstatus & MSTATUS_SUM ? TLB_S_SUM : TLB_S; break;
    case PRIV_U | PRIV_VIRT: it->mode = TLB_VU; break;
    case PRIV_S | PRIV_VIRT:
        it->mode =
            (hart->virt ? hart->mstatus : hart->bank.status) & MSTATUS_SUM ? TLB_VS_SUM : TLB_VS;
        break;
    default: it->mode = TLB_M; break;
    }
    it->epoch = it->epochs[riscv_fetch_priv(hart)];
}

void interp_tlb_note_span(struct interp *it, uint64_t va, uint64_t span)
{
    if (span > MEM_PAGE_SIZE) {
        uint64_t low = va & ~(span - 1), last = low + span - 1;
        it->large_low = low < it->large_low ? low : it->large_low;
        it->large_last = last > it->large_last ? last : it->large_last;
    }
}

static bool fault(struct interp *it, unsigned cause, uint64_t at)
{
    it->cause = cause;
    it->tval = at;
    return false;
}

static uint64_t data_address(const struct interp *it, uint64_t va)
{
    return riscv_data_address(it->hart, va, riscv_data_priv(it->hart));
}

/* xtval has the address without its tag (Pointer masking 1.0, 2.6). */
static bool data_fault(struct interp *it, unsigned cause, uint64_t va)
{
    return fault(it, cause, data_address(it, va));
}

/* Translated by another engine that executes this hart's code too: each store is told of. */
static bool holds_code(struct memory *mem, uint64_t pa)
{
    const struct mem_slot *slot = mem_slot_find(mem, pa, 1);
    return slot != NULL && (atomic_load_explicit(&slot->flags[(pa - slot->gpa) >> MEM_PAGE_SHIFT],
                                                 memory_order_relaxed) &
                            MEM_PAGE_CODE) != 0;
}

/*
 * Translates [va, va + len) within one page and remembers it if all of the page may be used alike:
 * by its address as it is, tag included, so that nothing else has to know of pointer masking.
 */
static bool translate(struct interp *it, uint64_t va, unsigned len, enum riscv_access access,
                      struct riscv_page *page)
{
    struct riscv_vcpu *hart = it->hart;
    struct memory *mem = &hart->vcpu.vm->mem;
    const unsigned priv = riscv_data_priv(hart);
    const uint64_t at = riscv_data_address(hart, va, priv);
    unsigned cause = riscv_translate(hart, at, len, access, priv, page);

    if (cause != 0)
        return fault(it, cause, at);
    if (page->hva == NULL || !page->uniform)
        return true;

    struct tlb_entry *e = &it->tlb[it->mode][tlb_index(va)];
    const uint64_t tag = va & ~PAGE_OFFSET, empty = empty_tag(tlb_index(va));
    /* Stores reach a clean page through the slow path while the dirty log is on. */
    if (access == ACCESS_STORE)
        mem_done(mem, page->pa & ~PAGE_OFFSET, holds_code(mem, page->pa) ? MEM_PAGE_SIZE : 1);
    bool write = page->write && (access == ACCESS_STORE || !atomic_load(&mem->dirty_log)) &&
                 !holds_code(mem, page->pa);
    it->tlb_used[it->mode][tlb_index(va) / 64] |= 1ULL << tlb_index(va) % 64;
    e->read = page->read ? tag : empty;
    e->write = write ? tag : empty;
    e->addend = (uintptr_t)page->hva - tag;
    interp_tlb_note_span(it, at, page->span);
    return true;
}

static bool device_load(struct interp *it, uint64_t at, uint64_t pa, unsigned width,
                        uint64_t *value)
{
    struct vcpu *vcpu = &it->hart->vcpu;
    atomic_store_explicit(&vcpu->mmio_reads,
                          atomic_load_explicit(&vcpu->mmio_reads, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (bus_read(&vcpu->vm->bus, pa, width, value) != 0)
        return fault(it, CAUSE_LOAD_ACCESS, at);
    return true;
}

static bool device_store(struct interp *it, uint64_t at, uint64_t pa, unsigned width,
                         uint64_t value)
{
    struct vcpu *vcpu = &it->hart->vcpu;
    atomic_store_explicit(&vcpu->mmio_writes,
                          atomic_load_explicit(&vcpu->mmio_writes, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (bus_write(&vcpu->vm->bus, pa, width, value) != 0)
        return fault(it, CAUSE_STORE_ACCESS, at);
    return true;
}

static uint64_t ram_load(const void *p, unsigned width)
{
    switch (width) {
    case 1: return *(const volatile uint8_t *)p;
    case 2: return *(const volatile u16_any *)p;
    case 4: return *(const volatile u32_any *)p;
    default: return *(const volatile u64_any *)p;
    }
}

static void ram_store(void *p, unsigned width, uint64_t value)
{
    switch (width) {
    case 1: *(volatile uint8_t *)p = (uint8_t)value; break;
    case 2: *(volatile u16_any *)p = (uint16_t)value; break;
    case 4: *(volatile u32_any *)p = (uint32_t)value; break;
    default: *(volatile u64_any *)p = value; break;
    }
}

bool interp_load(struct interp *it, uint64_t va, unsigned width, uint64_t *value)
{
    struct riscv_page page;
    const uint64_t offset = va & PAGE_OFFSET;

    if (offset + width <= MEM_PAGE_SIZE) {
        if (!translate(it, va, width, ACCESS_LOAD, &page))
            return false;
        if (page.hva == NULL)
            return device_load(it, data_address(it, va), page.pa, width, value);
        *value = ram_load(page.hva + offset, width);
        return true;
    }
    /* Across a page: both halves must be good before anything is read. */
    const unsigned first = (unsigned)(MEM_PAGE_SIZE - offset);
    struct riscv_page second;
    if (!translate(it, va, first, ACCESS_LOAD, &page) ||
        !translate(it, va + first, width - first, ACCESS_LOAD, &second))
        return false;
    if (page.hva == NULL || second.hva == NULL)
        return data_fault(it, CAUSE_LOAD_ACCESS, page.hva == NULL ? va : va + first);
    uint8_t bytes[8] = {0};
    memcpy(bytes, page.hva + offset, first);
    memcpy(bytes + first, second.hva, width - first);
    *value = ram_load(bytes, width);
    return true;
}

bool interp_store(struct interp *it, uint64_t va, unsigned width, uint64_t value)
{
    struct riscv_page page;
    const uint64_t offset = va & PAGE_OFFSET;

    if (offset + width <= MEM_PAGE_SIZE) {
        if (!translate(it, va, width, ACCESS_STORE, &page))
            return false;
        if (page.hva == NULL)
            return device_store(it, data_address(it, va), page.pa, width, value);
        ram_store(page.hva + offset, width, value);
        return true;
    }
    const unsigned first = (unsigned)(MEM_PAGE_SIZE - offset);
    struct riscv_page second;
    if (!translate(it, va, first, ACCESS_STORE, &page) ||
        !translate(it, va + first, width - first, ACCESS_STORE, &second))
        return false;
    if (page.hva == NULL || second.hva == NULL)
        return data_fault(it, CAUSE_STORE_ACCESS, page.hva == NULL ? va : va + first);
    uint8_t bytes[8];
    ram_store(bytes, 8, value);
    memcpy(page.hva + offset, bytes, first);
    memcpy(second.hva, bytes + first, width - first);
    return true;
}

void *interp_atomic_at(struct interp *it, uint64_t va, unsigned width, bool store)
{
    struct tlb_entry *e = &it->tlb[it->mode][tlb_index(va)];
    struct riscv_page page;

    if ((va & (width - 1)) != 0) {
        data_fault(it, store ? CAUSE_STORE_MISALIGNED : CAUSE_LOAD_MISALIGNED, va);
        return NULL;
    }
    if (va - (store ? e->write : e->read) < MEM_PAGE_SIZE)
        return (void *)(e->addend + va);
    if (!translate(it, va, width, store ? ACCESS_STORE : ACCESS_LOAD, &page))
        return NULL;
    if (page.hva == NULL) { /* devices support no atomics (the AMONone PMA) */
        data_fault(it, store ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, va);
        return NULL;
    }
    /* An atomic both reads and writes; a page that is writable but not readable does not exist. */
    return page.hva + (va & PAGE_OFFSET);
}

/* [*va, *va + width) through both stages, into one or two pages; `first`: bytes in the first. *va
 * becomes where that is, without a tag. */
static bool hypervisor_pages(struct interp *it, uint64_t *va, unsigned width,
                             enum riscv_access access, struct riscv_page page[2], unsigned *first)
{
    struct riscv_vcpu *hart = it->hart;
    const unsigned left = (unsigned)(MEM_PAGE_SIZE - (*va & PAGE_OFFSET));

    *first = width < left ? width : left;
    for (unsigned i = 0; i < 1 + (*first < width); i++) {
        const uint64_t part = i == 0 ? *va : *va + *first;
        const uint64_t at = access == ACCESS_HLVX ? part : riscv_hlv_address(hart, part);
        if (i == 0)
            *va = at;
        unsigned cause = riscv_translate(hart, at, i == 0 ? *first : width - *first, access,
                                         riscv_hlv_priv(hart), &page[i]);
        if (cause == 0 && page[i].hva == NULL && *first < width)
            cause = riscv_access_fault(access);
        if (cause != 0)
            return fault(it, cause, at);
    }
    return true;
}

bool interp_hlv(struct interp *it, uint64_t va, unsigned width, enum riscv_access access,
                uint64_t *value)
{
    struct riscv_page page[2];
    unsigned first;

    if (!hypervisor_pages(it, &va, width, access, page, &first))
        return false;
    if (page[0].hva == NULL)
        return device_load(it, va, page[0].pa, width, value);
    if (first == width) {
        *value = ram_load(page[0].hva + (va & PAGE_OFFSET), width);
        return true;
    }
    uint8_t bytes[8] = {0};
    memcpy(bytes, page[0].hva + (va & PAGE_OFFSET), first);
    memcpy(bytes + first, page[1].hva, width - first);
    *value = ram_load(bytes, width);
    return true;
}

bool interp_hsv(struct interp *it, uint64_t va, unsigned width, uint64_t value)
{
    struct memory *mem = &it->hart->vcpu.vm->mem;
    struct riscv_page page[2];
    unsigned first;

    if (!hypervisor_pages(it, &va, width, ACCESS_STORE, page, &first))
        return false;
    if (page[0].hva == NULL)
        return device_store(it, va, page[0].pa, width, value);
    if (first == width) {
        ram_store(page[0].hva + (va & PAGE_OFFSET), width, value);
        mem_done(mem, page[0].pa, width);
        return true;
    }
    uint8_t bytes[8];
    ram_store(bytes, 8, value);
    memcpy(page[0].hva + (va & PAGE_OFFSET), bytes, first);
    memcpy(page[1].hva, bytes + first, width - first);
    mem_done(mem, page[0].pa, first);
    mem_done(mem, page[1].pa, width - first);
    return true;
}

#define CBO_BLOCK 64u

bool interp_cbo(struct interp *it, unsigned op, uint64_t va)
{
    const struct riscv_vcpu *hart = it->hart;
    const uint64_t block = va & ~(uint64_t)(CBO_BLOCK - 1);
    uint64_t need = op == OP_cbo_zero    ? ENVCFG_CBZE
                    : op == OP_cbo_inval ? ENVCFG_CBIE
                                         : ENVCFG_CBCFE;
    struct riscv_page page;

    if (!riscv_cbo_allowed(hart, need)) {
        it->cause = CAUSE_ILLEGAL; /* tval: the caller's, the instruction */
        return false;
    }
    if (op != OP_cbo_zero) {
        /* Allowed where a load or a store is; a refusal is reported as a store's (CMO 2.5.2). */
        if (!translate(it, block, CBO_BLOCK, ACCESS_LOAD, &page) &&
            !translate(it, block, CBO_BLOCK, ACCESS_STORE, &page)) {
            it->tval = data_address(it, va);
            return false;
        }
        /* Where neither memory nor a device is, no load or store is allowed. */
        if (page.hva == NULL && bus_find(&hart->vcpu.vm->bus, page.pa) == NULL)
            return data_fault(it, CAUSE_STORE_ACCESS, va);
        return true;
    }
    const struct tlb_entry *e = &it->tlb[it->mode][tlb_index(block)];
    if (block - e->write < MEM_PAGE_SIZE) {
        memset((void *)(e->addend + block), 0, CBO_BLOCK);
        return true;
    }
    if (!translate(it, block, CBO_BLOCK, ACCESS_STORE, &page)) {
        it->tval = data_address(it, va);
        return false;
    }
    if (page.hva == NULL)
        return data_fault(it, CAUSE_STORE_ACCESS, va);
    memset(page.hva + (block & PAGE_OFFSET), 0, CBO_BLOCK);
    return true;
}
