/* Contexts: translations of one address space in one mode, and the slow paths that fill them. */
#include "core/bus.h"
#include "engine/jit/internal.h"
#include "riscv/csr.h"

typedef uint16_t __attribute__((aligned(1), may_alias)) u16_any;
typedef uint32_t __attribute__((aligned(1), may_alias)) u32_any;
typedef uint64_t __attribute__((aligned(1), may_alias)) u64_any;

#define PAGE_JUMPS  (MEM_PAGE_SIZE / 2) /* entries of the jump cache, which is not smaller */
#define BLOCK_BYTES 64u                 /* of CBO.* */

static unsigned tlb_index(uint64_t va)
{
    return va >> MEM_PAGE_SHIFT & (JIT_TLB_SIZE - 1);
}

static unsigned fetch_index(uint64_t va)
{
    return va >> MEM_PAGE_SHIFT & (JIT_FETCH_SIZE - 1);
}

static uint16_t bit_of(const struct jit_context *context)
{
    return (uint16_t)(1u << (context - context->cpu->contexts));
}

/* ---- emptying ---- */

bool jit_set_take(struct jit_set *set, unsigned *i)
{
    for (unsigned n = 0; n < sizeof set->summary / sizeof set->summary[0]; n++) {
        if (set->summary[n] == 0)
            continue;
        unsigned word = n * 64 + (unsigned)__builtin_ctzll(set->summary[n]);
        *i = word * 64 + (unsigned)__builtin_ctzll(set->words[word]);
        set->words[word] &= set->words[word] - 1;
        if (set->words[word] == 0)
            set->summary[n] &= set->summary[n] - 1;
        return true;
    }
    return false;
}

static void forget_jumps(struct jit_context *context)
{
    unsigned i;
    while (jit_set_take(&context->jump_used, &i))
        context->jump[i].pc = jit_no_jump(i);
    uint16_t *in_jump = context->cpu->in_jump, others = (uint16_t)~bit_of(context);
    for (i = 0; i < JIT_PAGES; i++)
        in_jump[i] &= others;
}

static void forget_page(struct jit_context *context, unsigned i)
{
    context->tlb[i].read = context->tlb[i].write = JIT_EMPTY;
}

/* Windows that show a page with the TLB entry of guest-virtual `page` or, unless that is JIT_EMPTY,
 * host address `hva`; all if both are JIT_EMPTY. */
static void close_windows(struct jit_context *context, uint64_t page, uintptr_t hva)
{
    const uint64_t stack = context->stack.base - (JIT_STACK_SPAN - 1);
    if ((page == JIT_EMPTY || tlb_index(stack) == tlb_index(page)) &&
        (hva == JIT_EMPTY || hva == stack + context->stack.addend))
        context->stack.room = 0;
    for (unsigned word = 0; word < JIT_WINDOWS / 64; word++) {
        for (uint64_t used = context->windows_used[word]; used != 0; used &= used - 1) {
            unsigned i = word * 64 + (unsigned)__builtin_ctzll(used);
            struct jit_window *window = &context->windows[i];
            if ((page != JIT_EMPTY && tlb_index(window->page) != tlb_index(page)) ||
                (hva != JIT_EMPTY && window->page + window->addend != hva))
                continue;
            window->room = 0;
            window->count = UINT64_MAX;
            context->windows_used[word] &= ~(1ULL << i % 64);
        }
    }
}

static void flush(struct jit_context *context)
{
    unsigned i;
    close_windows(context, JIT_EMPTY, JIT_EMPTY);
    while (jit_set_take(&context->tlb_used, &i))
        forget_page(context, i);
    memset(&context->tlb_local, 0, sizeof context->tlb_local);
    forget_jumps(context);
    while (jit_set_take(&context->fetch_used, &i))
        context->fetch[i].page = JIT_EMPTY;
    context->local_code = false;
    context->cpu->large[context - context->cpu->contexts] = (struct jit_large){UINT64_MAX, 0};
}

/* What is not the same in all address spaces. */
static void flush_local(struct jit_context *context)
{
    unsigned i;
    close_windows(context, JIT_EMPTY, JIT_EMPTY);
    while (jit_set_take(&context->tlb_local, &i))
        forget_page(context, i);
    if (!context->local_code)
        return;
    forget_jumps(context);
    for (i = 0; i < JIT_FETCH_SIZE; i++) {
        if (!context->fetch[i].global && context->fetch[i].page != 0)
            context->fetch[i].page = JIT_EMPTY;
    }
    context->local_code = false;
}

static bool is_large(const struct jit_cpu *cpu, unsigned n, uint64_t va)
{
    return va >= cpu->large[n].low && va <= cpu->large[n].last;
}

static void flush_page(struct jit_context *context, uint64_t va)
{
    struct jit_cpu *cpu = context->cpu;
    const uint16_t bit = bit_of(context);
    if (is_large(cpu, (unsigned)(context - cpu->contexts), va)) {
        flush(context);
        return;
    }
    if ((cpu->in_tlb[tlb_index(va)] & bit) != 0) {
        forget_page(context, tlb_index(va));
        close_windows(context, va, JIT_EMPTY);
        cpu->in_tlb[tlb_index(va)] ^= bit;
    }
    if ((cpu->in_fetch[fetch_index(va)] & bit) != 0) {
        context->fetch[fetch_index(va)].page = JIT_EMPTY;
        cpu->in_fetch[fetch_index(va)] ^= bit;
    }
    if ((cpu->in_jump[jit_page_hash(va)] & bit) == 0)
        return;
    /* Of the jump cache, code of the page has the entries of its offsets. */
    const unsigned first = jit_jump_index(va & ~PAGE_OFFSET);
    for (unsigned word = first / 64; word < (first + PAGE_JUMPS) / 64; word++) {
        for (uint64_t used = context->jump_used.words[word]; used != 0; used &= used - 1) {
            unsigned at = word * 64 + (unsigned)__builtin_ctzll(used);
            if (((context->jump[at].pc ^ va) & ~PAGE_OFFSET) == 0)
                context->jump[at].pc = jit_no_jump(at);
        }
    }
}

void jit_context_flush_all(struct jit_cpu *cpu)
{
    jit_open_update(cpu);
    for (unsigned i = 0; i < JIT_CONTEXTS; i++) {
        if (cpu->contexts[i].valid)
            flush(&cpu->contexts[i]);
    }
}

static bool is_shared(const struct jit_cpu *cpu, unsigned i)
{
    return !cpu->contexts[i].virt && (cpu->keys[i].satp & ~SATP_MODE) == 0 &&
           cpu->keys[i].satp != 0;
}

static uint16_t vmid_of(uint64_t hgatp)
{
    return hgatp >> 44 & 0x3fff;
}

static void fence(struct jit_cpu *cpu, bool virtual, bool has_va, uint64_t va, bool has_asid,
                  uint16_t asid)
{
    uint32_t who = (1u << JIT_CONTEXTS) - 1;
    if (has_va) { /* most know nothing of it, and would have to be looked at all over memory */
        who = cpu->in_tlb[tlb_index(va)] | cpu->in_fetch[fetch_index(va)] |
              cpu->in_jump[jit_page_hash(va)];
        for (unsigned i = 0; i < JIT_CONTEXTS; i++)
            who |= is_large(cpu, i, va) ? 1u << i : 0;
    }
    for (; who != 0; who &= who - 1) {
        const unsigned i = (unsigned)__builtin_ctz(who);
        struct jit_context *context = &cpu->contexts[i];
        if (!context->valid || (has_asid && (uint16_t)(context->satp >> 44) != asid) ||
            context->virt != virtual ||
            (virtual && vmid_of(cpu->keys[i].hgatp) != vmid_of(cpu->hart->hgatp)))
            continue;
        /* Of another than a supervisor's context, global pages are not told apart from others. */
        if (has_va)
            flush_page(context, va);
        else if (has_asid && is_shared(cpu, i))
            flush_local(context);
        else
            flush(context);
    }
}

void jit_context_fence(struct jit_cpu *cpu, bool has_va, uint64_t va, bool has_asid, uint16_t asid)
{
    fence(cpu, false, has_va, va, has_asid, asid);
}

void jit_context_fence_virtual(struct jit_cpu *cpu, bool has_va, uint64_t va, bool has_asid,
                               uint16_t asid)
{
    fence(cpu, true, has_va, va, has_asid, asid);
}

/* Guest-physical addresses are not looked for: all that was found by way of them goes. */
void jit_context_fence_guest(struct jit_cpu *cpu, bool has_vmid, uint16_t vmid)
{
    for (unsigned i = 0; i < JIT_CONTEXTS; i++) {
        struct jit_context *context = &cpu->contexts[i];
        if (context->valid && context->virt &&
            (!has_vmid || vmid_of(cpu->keys[i].hgatp) == (vmid & 0x3fff)))
            flush(context);
    }
}

void jit_context_fence_op(struct jit_cpu *cpu, unsigned op, bool has_rs1, uint64_t rs1,
                          bool has_rs2, uint64_t rs2)
{
    const bool guest = op == OP_hfence_gvma || op == OP_hinval_gvma;
    const bool vvma = op == OP_hfence_vvma || op == OP_hinval_vvma;

    if (guest)
        jit_context_fence_guest(cpu, has_rs2, (uint16_t)rs2);
    else if (vvma || riscv_virt(cpu->hart))
        jit_context_fence_virtual(cpu, has_rs1, rs1, has_rs2, (uint16_t)rs2);
    else
        jit_context_fence(cpu, has_rs1, rs1, has_rs2, (uint16_t)rs2);
}

void jit_context_forget_code(struct jit_cpu *cpu)
{
    for (unsigned i = 0; i < JIT_CONTEXTS; i++) {
        if (cpu->contexts[i].valid)
            forget_jumps(&cpu->contexts[i]);
    }
}

void jit_context_forget_block(struct jit_cpu *cpu, const struct jit_dropped *block)
{
    /* The entries of one pc, or of all that have its offset in their page. */
    const unsigned first = jit_jump_index(block->page_va | (block->pa & PAGE_OFFSET));
    const unsigned step = block->elsewhere ? PAGE_JUMPS : JIT_JUMP_SIZE;
    for (unsigned i = 0; i < JIT_CONTEXTS; i++) {
        struct jit_jump *jump = cpu->contexts[i].jump;
        for (unsigned n = 0; cpu->contexts[i].valid && n < JIT_JUMP_SIZE; n += step) {
            const unsigned at = (first + n) & (JIT_JUMP_SIZE - 1);
            if (jump[at].code == block->code)
                jump[at].pc = jit_no_jump(at);
        }
    }
    if (jit_found_at(cpu, block->pa)->code == block->code)
        jit_found_at(cpu, block->pa)->code = NULL;
}

/* ---- who may store to a page ---- */

static unsigned writers_of(uintptr_t hva)
{
    return (unsigned)((hva >> MEM_PAGE_SHIFT) * 0x9e3779b97f4a7c15ULL >> 32) & (JIT_WRITERS - 1);
}

/* The page to which a writer lets stores through now, or 0. */
static uintptr_t written_page(const struct jit_cpu *cpu, uint32_t writer)
{
    const struct jit_context *context = &cpu->contexts[writer >> 16 & (JIT_CONTEXTS - 1)];
    unsigned i = writer & (JIT_TLB_SIZE - 1);
    return context->tlb[i].write != JIT_EMPTY ? context->tlb[i].write + context->tlb[i].addend : 0;
}

static void take_writer(struct jit_cpu *cpu, uint32_t writer)
{
    cpu->contexts[writer >> 16 & (JIT_CONTEXTS - 1)].tlb[writer & (JIT_TLB_SIZE - 1)].write =
        JIT_EMPTY;
}

/* Entry `i` of a context lets stores through to the page at `hva` from now on. Where there is no
 * room to know it, another does so no more. */
static void add_writer(struct jit_cpu *cpu, unsigned context, unsigned i, uintptr_t hva)
{
    const unsigned at = writers_of(hva);
    uint32_t *writers = cpu->writers[at], writer = JIT_WRITER(context, i);
    unsigned way = JIT_WRITER_WAYS;

    for (unsigned n = 0; n < JIT_WRITER_WAYS; n++) {
        if (writers[n] == writer)
            return;
        /* Another page, or none: that entry is in use for something else by now. */
        uintptr_t page = writers[n] != 0 ? written_page(cpu, writers[n]) : 0;
        if (page == 0 || writers_of(page) != at)
            way = n;
    }
    if (way == JIT_WRITER_WAYS) {
        way = (unsigned)(++cpu->clock % JIT_WRITER_WAYS);
        take_writer(cpu, writers[way]);
    }
    writers[way] = writer;
}

void jit_context_protect(struct jit_cpu *cpu, uintptr_t hva)
{
    const uint32_t *writers = cpu->writers[writers_of(hva)];
    for (unsigned n = 0; n < JIT_CONTEXTS; n++) {
        if (cpu->contexts[n].valid)
            close_windows(&cpu->contexts[n], JIT_EMPTY, hva);
    }
    for (unsigned n = 0; n < JIT_WRITER_WAYS; n++) {
        if (writers[n] != 0 && written_page(cpu, writers[n]) == hva)
            take_writer(cpu, writers[n]);
    }
}

/* ---- choosing ---- */

/* Translated code itself goes from one to the other when the guest changes SUM. */
static void part(struct jit_context *context)
{
    if (context->other_sum != NULL)
        context->other_sum->other_sum = NULL;
    context->other_sum = NULL;
}

static void pair(struct jit_context *a, struct jit_context *b)
{
    part(a);
    part(b);
    a->other_sum = b;
    b->other_sum = a;
}

static struct jit_context *context_make(struct jit_cpu *cpu)
{
    struct jit_context *oldest = &cpu->contexts[0];
    for (unsigned i = 1; i < JIT_CONTEXTS; i++) {
        if (cpu->contexts[i].used_at < oldest->used_at)
            oldest = &cpu->contexts[i];
    }
    if (!oldest->valid) { /* all zero, which only the entries of page and pc 0 would match, */
        forget_page(oldest, 0);
        forget_page(oldest, JIT_TLB_SIZE - 1); /* and an access from the last page into page 0 */
        oldest->jump[0].pc = jit_no_jump(0);
        oldest->fetch[0].page = JIT_EMPTY;
        oldest->cpu = cpu;
        oldest->valid = true;
    }
    part(oldest);
    flush(oldest);
    return oldest;
}

#define KEY_SUM       (1u << 4) /* of jit_cpu.keys[].mode */
#define KEY_MXR       (1u << 5)
#define KEY_VIRT_CODE (1u << 6)
#define KEY_VIRT_DATA (1u << 7)
#define KEY_PMM_SHIFT 8

static bool is_for(const struct jit_cpu *cpu, unsigned n, uint64_t satp, uint64_t hgatp,
                   uint16_t mode)
{
    return cpu->keys[n].mode == mode && cpu->keys[n].satp == satp && cpu->keys[n].valid &&
           cpu->keys[n].hgatp == hgatp;
}

void jit_context_choose(struct jit_cpu *cpu)
{
    const struct riscv_vcpu *hart = cpu->hart;
    const unsigned data_priv = riscv_data_priv(hart), data = data_priv & ~PRIV_VIRT;
    const bool virt = (data_priv & PRIV_VIRT) != 0; /* of code too, but for MPRV with MPV */
    const bool other = virt && !hart->virt;
    const uint64_t status = other ? hart->bank.status : hart->mstatus;
    bool translated = hart->priv < PRIV_M || data < PRIV_M;
    const uint64_t satp = !translated ? 0 : other ? hart->bank.atp : hart->satp;
    const uint64_t hgatp = virt ? hart->hgatp : 0;
    uint64_t key = satp;
    const unsigned pmm = riscv_pmm(hart, data_priv);
    uint16_t mode =
        (uint16_t)(hart->priv | data << 2 | (status & MSTATUS_SUM ? KEY_SUM : 0) |
                   (status & MSTATUS_MXR ? KEY_MXR : 0) | (riscv_virt(hart) ? KEY_VIRT_CODE : 0) |
                   (virt ? KEY_VIRT_DATA : 0) | pmm << KEY_PMM_SHIFT);
    const unsigned before = (unsigned)(cpu->context - cpu->contexts);
    unsigned n = before;

    if (cpu->global_seen && hart->priv == PRIV_S && data == PRIV_S && !virt)
        key &= SATP_MODE;
    if (!is_for(cpu, n, key, hgatp, mode)) {
        n = cpu->before; /* there and back, as a rule */
        if (!is_for(cpu, n, key, hgatp, mode)) {
            for (n = 0; n < JIT_CONTEXTS && !is_for(cpu, n, key, hgatp, mode);)
                n++;
        }
        cpu->before = before;
        if (n == JIT_CONTEXTS) {
            n = (unsigned)(context_make(cpu) - cpu->contexts);
            cpu->keys[n].mode = mode;
            cpu->keys[n].satp = key;
            cpu->keys[n].hgatp = hgatp;
            cpu->contexts[n].virt = virt;
            cpu->contexts[n].tag_bits = (uint8_t)riscv_tag_bits(pmm);
            cpu->keys[n].valid = true;
            cpu->contexts[n].satp = satp;
        }
        cpu->context = &cpu->contexts[n];
        cpu->context->used_at = ++cpu->clock;
        if (cpu->context->other_sum != NULL)
            cpu->context->other_sum->used_at = cpu->clock;
    }
    if (cpu->context->satp != satp) {
        part(cpu->context);
        flush_local(cpu->context);
        cpu->context->satp = satp;
    }
    if ((cpu->keys[before].mode ^ mode) == KEY_SUM && cpu->keys[before].satp == key &&
        cpu->keys[before].hgatp == hgatp && cpu->keys[before].valid &&
        cpu->contexts[before].satp == satp)
        pair(&cpu->contexts[before], cpu->context);
}

/* ---- slow paths ---- */

/* xtval has the address without its tag (Pointer masking 1.0, 2.6). */
static bool fault(struct jit_cpu *cpu, unsigned cause, uint64_t va)
{
    cpu->cause = cause;
    cpu->tval = riscv_data_address(cpu->hart, va, riscv_data_priv(cpu->hart));
    return false;
}

static void note_span(struct jit_context *context, uint64_t va, uint64_t span)
{
    if (span > MEM_PAGE_SIZE) {
        struct jit_large *large = &context->cpu->large[context - context->cpu->contexts];
        uint64_t low = va & ~(span - 1), last = low + span - 1;
        large->low = low < large->low ? low : large->low;
        large->last = last > large->last ? last : large->last;
    }
}

/*
 * Stores may go to the page unseen: it holds no code, and nobody wants to know what is written.
 * Said in its flags before it is looked at, so that whoever makes code of the page later knows.
 */
static bool may_store(struct jit_cpu *cpu, _Atomic uint8_t *flags)
{
    if (flags == NULL || cpu->audit != NULL ||
        atomic_load_explicit(&cpu->hart->vcpu.vm->mem.dirty_log, memory_order_relaxed))
        return false;
    uint8_t now = atomic_load_explicit(flags, memory_order_relaxed);
    if ((now & MEM_PAGE_STORED) == 0)
        now = atomic_fetch_or(flags, MEM_PAGE_STORED);
    return (now & MEM_PAGE_CODE) == 0;
}

/* The TLB has the page for addresses with another tag (pointer masking): it is for `va` now. */
static void retag(struct jit_cpu *cpu, uint64_t va)
{
    struct jit_tlb *entry = &cpu->context->tlb[tlb_index(va)];
    const uint64_t has = entry->read != JIT_EMPTY ? entry->read : entry->write;
    const uint64_t page = va & ~PAGE_OFFSET;

    if (has == JIT_EMPTY || (has ^ page) << cpu->context->tag_bits != 0)
        return;
    if (entry->read != JIT_EMPTY)
        entry->read = page;
    if (entry->write != JIT_EMPTY)
        entry->write = page;
    entry->addend += has - page;
}

/*
 * Translates [va, va + len) within one page and remembers it if all of the page may be used alike:
 * by its address as it is, tag included, so that translated code has not to know of pointer
 * masking. Pages with code are never remembered for stores, and a clean page is not while the dirty
 * log is on.
 */
static bool translate(struct jit_cpu *cpu, uint64_t va, unsigned len, enum riscv_access access,
                      struct riscv_page *page)
{
    struct jit_context *context = cpu->context;
    struct jit_page found;
    const unsigned priv = riscv_data_priv(cpu->hart);
    const uint64_t at = riscv_data_address(cpu->hart, va, priv);
    unsigned cause = jit_translate(cpu, at, len, access, priv, &found);

    if (cause != 0)
        return fault(cpu, cause, va);
    *page = found.page;
    if (page->hva == NULL || !page->uniform)
        return true;
    bool write = page->write && may_store(cpu, found.flags);
    unsigned i = tlb_index(va);
    jit_count(&cpu->counts.tlb_fills);
    jit_set_add(&context->tlb_used, i);
    cpu->in_tlb[i] |= bit_of(context);
    if (found.global)
        cpu->global_seen = true;
    else
        jit_set_add(&context->tlb_local, i);
    context->tlb[i].read = page->read ? va & ~PAGE_OFFSET : JIT_EMPTY;
    context->tlb[i].write = write ? va & ~PAGE_OFFSET : JIT_EMPTY;
    context->tlb[i].addend = (uintptr_t)page->hva - (va & ~PAGE_OFFSET);
    if (write)
        add_writer(cpu, (unsigned)(context - cpu->contexts), i, (uintptr_t)page->hva);
    note_span(context, at, page->span);
    return true;
}

const struct jit_fetch *jit_context_fetch(struct jit_cpu *cpu, uint64_t va)
{
    struct jit_context *context = cpu->context;
    struct jit_fetch *fetch = &context->fetch[fetch_index(va)];
    struct jit_page found;

    if (fetch->page == (va & ~PAGE_OFFSET))
        return fetch;
    unsigned cause = jit_translate(cpu, va, 2, ACCESS_FETCH, riscv_fetch_priv(cpu->hart), &found);
    if (cause != 0 || found.page.hva == NULL || !found.page.uniform)
        return NULL;
    note_span(context, va, found.page.span);
    cpu->in_fetch[fetch_index(va)] |= bit_of(context);
    fetch->page = va & ~PAGE_OFFSET;
    fetch->pa = found.page.pa & ~PAGE_OFFSET;
    fetch->hva = found.page.hva;
    fetch->pfn = (uint32_t)(found.page.pa >> MEM_PAGE_SHIFT);
    fetch->global = found.global;
    jit_set_add(&context->fetch_used, fetch_index(va));
    context->local_code = context->local_code || !found.global;
    return fetch;
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

/* Where loads or stores at va may go straight to, by the TLB; NULL: it does not say. */
static uint8_t *known_by_tlb(struct jit_cpu *cpu, uint64_t va, bool store)
{
    if (cpu->context->tag_bits != 0)
        retag(cpu, va);
    const struct jit_tlb *entry = &cpu->context->tlb[tlb_index(va)];
    const bool known = (store ? entry->write : entry->read) == (va & ~PAGE_OFFSET);
    return known ? (uint8_t *)(entry->addend + (uintptr_t)va) : NULL;
}

void *jit_known_at(struct jit_cpu *cpu, uint64_t va, uint64_t len, bool store)
{
    return (va & PAGE_OFFSET) + len <= MEM_PAGE_SIZE ? known_by_tlb(cpu, va, store) : NULL;
}

bool jit_load(struct jit_cpu *cpu, uint64_t va, unsigned width, uint64_t *value)
{
    struct vcpu *vcpu = &cpu->hart->vcpu;
    struct riscv_page page, second;
    const uint64_t offset = va & PAGE_OFFSET;

    jit_count(&cpu->counts.slow_loads);
    if (offset + width <= MEM_PAGE_SIZE) {
        const uint8_t *known = cpu->context->tag_bits != 0 ? known_by_tlb(cpu, va, false) : NULL;
        if (known != NULL) { /* by another tag */
            *value = ram_load(known, width);
            return true;
        }
        if (!translate(cpu, va, width, ACCESS_LOAD, &page))
            return false;
        if (page.hva != NULL) {
            *value = ram_load(page.hva + offset, width);
            return true;
        }
        if (cpu->audit != NULL)
            return fault(cpu, JIT_AUDIT_STOP, va);
        jit_count(&vcpu->mmio_reads);
        return bus_read(&vcpu->vm->bus, page.pa, width, value) == 0 ||
               fault(cpu, CAUSE_LOAD_ACCESS, va);
    }
    /* Across a page: both halves must be good before anything is read. */
    const unsigned first = (unsigned)(MEM_PAGE_SIZE - offset);
    const uint8_t *low = known_by_tlb(cpu, va, false);
    const uint8_t *high = known_by_tlb(cpu, va + first, false);
    if (low == NULL || high == NULL) {
        if (!translate(cpu, va, first, ACCESS_LOAD, &page) ||
            !translate(cpu, va + first, width - first, ACCESS_LOAD, &second))
            return false;
        if (page.hva == NULL || second.hva == NULL)
            return fault(cpu, CAUSE_LOAD_ACCESS, page.hva == NULL ? va : va + first);
        low = page.hva + offset;
        high = second.hva;
    }
    uint8_t bytes[8] = {0};
    memcpy(bytes, low, first);
    memcpy(bytes + first, high, width - first);
    *value = ram_load(bytes, width);
    return true;
}

/* `len` bytes of RAM at `pa` were written around the TLB. */
static void written(struct jit_cpu *cpu, uint64_t pa, unsigned len)
{
    struct vm *vm = cpu->hart->vcpu.vm;
    if (jit_page_has_code(cpu->vm, pa))
        jit_code_written(cpu->vm, cpu, pa, len);
    if (atomic_load_explicit(&vm->mem.dirty_log, memory_order_relaxed)) {
        struct mem_slot *slot = mem_slot_find(&vm->mem, pa, len);
        if (slot != NULL && slot->flags != NULL)
            atomic_fetch_or(&slot->flags[(pa - slot->gpa) >> MEM_PAGE_SHIFT], MEM_PAGE_DIRTY);
    }
}

bool jit_store(struct jit_cpu *cpu, uint64_t va, unsigned width, uint64_t value)
{
    struct vcpu *vcpu = &cpu->hart->vcpu;
    struct riscv_page page, second;
    const uint64_t offset = va & PAGE_OFFSET;

    jit_count(&cpu->counts.slow_stores);
    if (offset + width <= MEM_PAGE_SIZE) {
        uint8_t *known = cpu->context->tag_bits != 0 ? known_by_tlb(cpu, va, true) : NULL;
        if (known != NULL) { /* by another tag; no code, dirty, and not audited */
            ram_store(known, width, value);
            return true;
        }
        if (!translate(cpu, va, width, ACCESS_STORE, &page))
            return false;
        if (page.hva != NULL) {
            if (cpu->audit != NULL && !jit_audit_note(cpu->audit, page.hva + offset, width))
                return fault(cpu, JIT_AUDIT_STOP, va);
            ram_store(page.hva + offset, width, value);
            written(cpu, page.pa, width);
            return true;
        }
        if (cpu->audit != NULL)
            return fault(cpu, JIT_AUDIT_STOP, va);
        jit_count(&vcpu->mmio_writes);
        return bus_write(&vcpu->vm->bus, page.pa, width, value) == 0 ||
               fault(cpu, CAUSE_STORE_ACCESS, va);
    }
    const unsigned first = (unsigned)(MEM_PAGE_SIZE - offset);
    uint8_t bytes[8];
    ram_store(bytes, 8, value);
    uint8_t *low = known_by_tlb(cpu, va, true);
    uint8_t *high = known_by_tlb(cpu, va + first, true);
    if (low != NULL && high != NULL) { /* no code, dirty, and not audited */
        memcpy(low, bytes, first);
        memcpy(high, bytes + first, width - first);
        return true;
    }
    if (!translate(cpu, va, first, ACCESS_STORE, &page) ||
        !translate(cpu, va + first, width - first, ACCESS_STORE, &second))
        return false;
    if (page.hva == NULL || second.hva == NULL)
        return fault(cpu, CAUSE_STORE_ACCESS, page.hva == NULL ? va : va + first);
    if (cpu->audit != NULL && !(jit_audit_note(cpu->audit, page.hva + offset, first) &&
                                jit_audit_note(cpu->audit, second.hva, width - first)))
        return fault(cpu, JIT_AUDIT_STOP, va);
    memcpy(page.hva + offset, bytes, first);
    memcpy(second.hva, bytes + first, width - first);
    written(cpu, page.pa, first);
    written(cpu, second.pa, width - first);
    return true;
}

bool jit_zero(struct jit_cpu *cpu, uint64_t va)
{
    struct riscv_page page;

    va &= ~(uint64_t)(BLOCK_BYTES - 1);
    uint8_t *known = known_by_tlb(cpu, va, true);
    if (known != NULL) {
        memset(known, 0, BLOCK_BYTES);
        return true;
    }
    if (!translate(cpu, va, BLOCK_BYTES, ACCESS_STORE, &page) || page.hva == NULL)
        return false;
    memset(page.hva + (va & PAGE_OFFSET), 0, BLOCK_BYTES);
    written(cpu, page.pa, BLOCK_BYTES);
    return true;
}

bool jit_manage(struct jit_cpu *cpu, uint64_t va)
{
    const uint64_t block = va & ~(uint64_t)(BLOCK_BYTES - 1);
    struct riscv_page page;

    /* Allowed where a load or a store is. */
    if (known_by_tlb(cpu, va, false) != NULL || known_by_tlb(cpu, va, true) != NULL)
        return true;
    return (translate(cpu, block, BLOCK_BYTES, ACCESS_LOAD, &page) ||
            translate(cpu, block, BLOCK_BYTES, ACCESS_STORE, &page)) &&
           page.hva != NULL;
}

void *jit_atomic_at(struct jit_cpu *cpu, uint64_t va, unsigned width, bool store)
{
    struct riscv_page page;

    jit_count(&cpu->counts.atomics);
    if ((va & (width - 1)) != 0) {
        fault(cpu, store ? CAUSE_STORE_MISALIGNED : CAUSE_LOAD_MISALIGNED, va);
        return NULL;
    }
    void *known = known_by_tlb(cpu, va, store);
    if (known != NULL)
        return known;
    if (!translate(cpu, va, width, store ? ACCESS_STORE : ACCESS_LOAD, &page))
        return NULL;
    if (page.hva == NULL) { /* devices support no atomics (the AMONone PMA) */
        fault(cpu, store ? CAUSE_STORE_ACCESS : CAUSE_LOAD_ACCESS, va);
        return NULL;
    }
    if (store && cpu->audit != NULL &&
        !jit_audit_note(cpu->audit, page.hva + (va & PAGE_OFFSET), width)) {
        fault(cpu, JIT_AUDIT_STOP, va);
        return NULL;
    }
    /* Whether it writes or not: code is dropped before its bytes change under it, and what is
     * translated in between is looked at again at the next FENCE.I. */
    if (store)
        written(cpu, page.pa, width);
    return page.hva + (va & PAGE_OFFSET);
}
