#include "core/memory.h"

#include "core/error.h"
#include "core/host.h"

void mem_init(struct memory *mem)
{
    memset(mem->slots, 0, sizeof(mem->slots));
    mem->slot_count = 0;
    atomic_init(&mem->dirty_log, false);
    mem->code_changed = NULL;
    mem->code_changed_arg = NULL;
    mem->touch = NULL;
    mem->touch_arg = NULL;
}

int mem_slot_add(struct memory *mem, uint64_t gpa, uint64_t size, void *hva, _Atomic uint8_t *flags)
{
    if (size == 0 || ((gpa | size) & (MEM_PAGE_SIZE - 1)) != 0 || gpa + (size - 1) < gpa)
        return -E_INVAL;
    if (mem->slot_count == MEM_SLOTS_MAX)
        return -E_NOSPC;

    unsigned at = 0;
    while (at < mem->slot_count && mem->slots[at].gpa < gpa)
        at++;
    if (at > 0 && gpa - mem->slots[at - 1].gpa < mem->slots[at - 1].size)
        return -E_EXIST;
    if (at < mem->slot_count && mem->slots[at].gpa - gpa < size)
        return -E_EXIST;

    for (unsigned i = mem->slot_count; i > at; i--)
        mem->slots[i] = mem->slots[i - 1];
    mem->slots[at] = (struct mem_slot){.gpa = gpa, .size = size, .hva = hva, .flags = flags};
    mem->slot_count++;
    return 0;
}

struct mem_slot *mem_slot_find(struct memory *mem, uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < mem->slot_count; i++) {
        struct mem_slot *slot = &mem->slots[i];
        /* Below the slot, the subtraction wraps to something larger than any slot. */
        uint64_t offset = gpa - slot->gpa;
        if (offset < slot->size && len <= slot->size - offset)
            return slot;
    }
    return NULL;
}

void *mem_map(struct memory *mem, uint64_t gpa, uint64_t len, bool write)
{
    struct mem_slot *slot = mem_slot_find(mem, gpa, len);
    if (slot == NULL || (write && slot->readonly))
        return NULL;
    if (mem->touch != NULL)
        mem->touch(mem->touch_arg, gpa, len);
    return slot->hva + (gpa - slot->gpa);
}

/* Tells engines about one run of pages that hold code: the part of [gpa, end) between two page
 * numbers. */
static void code_changed(struct memory *mem, const struct mem_slot *slot, uint64_t first,
                         uint64_t past, uint64_t gpa, uint64_t end)
{
    uint64_t from = slot->gpa + (first << MEM_PAGE_SHIFT);
    uint64_t to = slot->gpa + (past << MEM_PAGE_SHIFT);
    if (from < gpa)
        from = gpa;
    if (to - slot->gpa > end - slot->gpa)
        to = end;
    mem->code_changed(mem->code_changed_arg, from, to - from);
}

void mem_done(struct memory *mem, uint64_t gpa, uint64_t written)
{
    struct mem_slot *slot = mem_slot_find(mem, gpa, written);
    if (slot == NULL || written == 0)
        return;

    /*
     * An engine sets MEM_PAGE_CODE and then reads the bytes it translates; we wrote bytes and now
     * read the flag. The fence on each side makes one of the two see the other.
     */
    atomic_thread_fence(memory_order_seq_cst);
    bool log = atomic_load_explicit(&mem->dirty_log, memory_order_relaxed);
    bool tell = mem->code_changed != NULL;
    if (!log && !tell)
        return;

    uint64_t first = (gpa - slot->gpa) >> MEM_PAGE_SHIFT;
    uint64_t last = (gpa - slot->gpa + written - 1) >> MEM_PAGE_SHIFT;
    uint64_t run = first; /* first page of the current run of code pages */
    for (uint64_t page = first; page <= last; page++) {
        uint8_t flags = atomic_load_explicit(&slot->flags[page], memory_order_relaxed);
        if (log && (flags & MEM_PAGE_DIRTY) == 0)
            atomic_fetch_or_explicit(&slot->flags[page], MEM_PAGE_DIRTY, memory_order_release);
        if (tell && (flags & MEM_PAGE_CODE) != 0)
            continue;
        if (tell && run < page)
            code_changed(mem, slot, run, page, gpa, gpa + written);
        run = page + 1;
    }
    if (tell && run <= last)
        code_changed(mem, slot, run, last + 1, gpa, gpa + written);
}

int mem_read(struct memory *mem, uint64_t gpa, void *to, uint64_t len)
{
    const void *from = mem_map(mem, gpa, len, false);
    if (from == NULL)
        return -E_FAULT;
    memcpy(to, from, len);
    return 0;
}

int mem_write(struct memory *mem, uint64_t gpa, const void *from, uint64_t len)
{
    void *to = mem_map(mem, gpa, len, true);
    if (to == NULL)
        return -E_FAULT;
    memcpy(to, from, len);
    mem_done(mem, gpa, len);
    return 0;
}

void mem_dirty_log(struct memory *mem, bool on)
{
    if (on) {
        for (unsigned i = 0; i < mem->slot_count; i++) {
            struct mem_slot *slot = &mem->slots[i];
            for (uint64_t page = 0; page < slot->size >> MEM_PAGE_SHIFT; page++)
                atomic_fetch_and_explicit(&slot->flags[page], (uint8_t)~MEM_PAGE_DIRTY,
                                          memory_order_relaxed);
        }
    }
    atomic_store(&mem->dirty_log, on);
}

uint64_t mem_total(const struct memory *mem)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < mem->slot_count; i++)
        total += mem->slots[i].readonly ? 0 : mem->slots[i].size;
    return total;
}
