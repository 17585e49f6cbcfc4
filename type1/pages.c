#include "type1/pages.h"

static uint64_t round_up(uint64_t value)
{
    return (value + PAGES_SIZE - 1) & ~(PAGES_SIZE - 1);
}

static void remove_at(struct pages *pages, unsigned at)
{
    pages->count--;
    for (unsigned i = at; i < pages->count; i++)
        pages->free[i] = pages->free[i + 1];
}

/* Memory for which there is no room in the list is lost, which loses memory and nothing else. */
static bool insert_at(struct pages *pages, unsigned at, uint64_t base, uint64_t size)
{
    if (pages->count == PAGES_EXTENTS_MAX)
        return false;
    for (unsigned i = pages->count; i > at; i--)
        pages->free[i] = pages->free[i - 1];
    pages->free[at].base = base;
    pages->free[at].size = size;
    pages->count++;
    return true;
}

static void put_back(struct pages *pages, uint64_t base, uint64_t size)
{
    unsigned at = 0;
    while (at < pages->count && pages->free[at].base < base)
        at++;
    bool below = at > 0 && pages->free[at - 1].base + pages->free[at - 1].size == base;
    bool above = at < pages->count && base + size == pages->free[at].base;
    if (below) {
        pages->free[at - 1].size += size;
        if (above) {
            pages->free[at - 1].size += pages->free[at].size;
            remove_at(pages, at);
        }
    } else if (above) {
        pages->free[at].base = base;
        pages->free[at].size += size;
    } else {
        insert_at(pages, at, base, size);
    }
}

/* Cuts [base, end) out of the extent `at`, in which it lies. */
static void cut(struct pages *pages, unsigned at, uint64_t base, uint64_t end)
{
    uint64_t low = pages->free[at].base, high = low + pages->free[at].size;
    if (base > low) {
        pages->free[at].size = base - low;
        if (end < high)
            insert_at(pages, at + 1, end, high - end);
    } else if (end < high) {
        pages->free[at].base = end;
        pages->free[at].size = high - end;
    } else {
        remove_at(pages, at);
    }
}

void pages_reserve(struct pages *pages, uint64_t base, uint64_t size)
{
    uint64_t end = round_up(base + size);
    base &= ~(PAGES_SIZE - 1);
    for (unsigned i = pages->count; i-- > 0;) {
        uint64_t low = pages->free[i].base, high = low + pages->free[i].size;
        uint64_t from = base > low ? base : low, to = end < high ? end : high;
        if (from < to) {
            cut(pages, i, from, to);
            pages->total -= to - from;
        }
    }
}

void pages_add(struct pages *pages, uint64_t base, uint64_t size)
{
    uint64_t end = (base + size) & ~(PAGES_SIZE - 1);
    base = round_up(base);
    if (end <= base)
        return;
    pages_reserve(pages, base, end - base); /* memory that is named twice is there once */
    pages->total += end - base;
    put_back(pages, base, end - base);
}

uint64_t pages_alloc(struct pages *pages, uint64_t size, uint64_t align, bool high)
{
    if (align < PAGES_SIZE)
        align = PAGES_SIZE;
    if (size == 0 || size > UINT64_MAX - PAGES_SIZE)
        return 0;
    size = round_up(size);
    for (unsigned n = 0; n < pages->count; n++) {
        unsigned i = high ? pages->count - 1 - n : n;
        uint64_t base = pages->free[i].base, end = base + pages->free[i].size, at;
        if (pages->free[i].size < size)
            continue;
        if (high) {
            at = (end - size) & ~(align - 1);
            if (at < base)
                continue;
        } else {
            at = (base + align - 1) & ~(align - 1);
            if (at < base || at > end - size)
                continue;
        }
        /* Splitting one in two needs a place in the list. */
        if (at > base && at + size < end && pages->count == PAGES_EXTENTS_MAX)
            continue;
        cut(pages, i, at, at + size);
        pages->used += size;
        return at;
    }
    return 0;
}

void pages_free(struct pages *pages, uint64_t base, uint64_t size)
{
    size = round_up(size);
    pages->used -= size;
    put_back(pages, base, size);
}

uint64_t pages_largest(const struct pages *pages)
{
    uint64_t largest = 0;
    for (unsigned i = 0; i < pages->count; i++) {
        if (pages->free[i].size > largest)
            largest = pages->free[i].size;
    }
    return largest;
}
