/*
 * Physical pages: ranges of free memory, handed out by first fit and joined again when they come
 * back. Knows nothing of the hart; the caller locks. Sizes are rounded up to 4 KiB.
 */
#ifndef TYPE1_PAGES_H
#define TYPE1_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PAGES_EXTENTS_MAX 256
#define PAGES_SIZE        4096ULL

struct pages {
    struct {
        uint64_t base, size;
    } free[PAGES_EXTENTS_MAX]; /* sorted, disjoint, not touching */
    unsigned count;
    uint64_t total, used; /* bytes */
};

/*
 * Adds memory, before any is given out. Parts of pages at its ends are left out; what is there
 * already is there once.
 */
void pages_add(struct pages *pages, uint64_t base, uint64_t size);
/* Takes a range away for good, wherever it is free. */
void pages_reserve(struct pages *pages, uint64_t base, uint64_t size);
/* `align`: a power of two. `high`: from the top of memory (guests), else from the bottom. 0: none.
 */
uint64_t pages_alloc(struct pages *pages, uint64_t size, uint64_t align, bool high);
void pages_free(struct pages *pages, uint64_t base, uint64_t size);
/* The largest free range, in bytes. */
uint64_t pages_largest(const struct pages *pages);

#endif
