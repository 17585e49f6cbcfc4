#include "engine/hext/gstage.h"

#include "core/error.h"
#include "core/host.h"

#include <stdbool.h>

#define PAGE_SIZE 4096ULL
#define PTE_PPN   (((1ULL << 44) - 1) << 10)
/* Leaves above 1 GiB exist (Sv48, Sv57) but no RAM of ours is aligned for them. */
#define LEAF_LEVEL_MAX 2

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * level;
}

static unsigned level_bits(const struct gstage *table, unsigned level)
{
    return level == table->levels - 1 ? table->root_bits : 9;
}

static size_t table_size(unsigned bits)
{
    return (size_t)8 << bits;
}

static uint64_t *next_table(uint64_t pte)
{
    return (uint64_t *)(uintptr_t)((pte & PTE_PPN) << 2);
}

static bool is_leaf(uint64_t pte)
{
    return (pte & (PTE_R | PTE_W | PTE_X)) != 0;
}

int gstage_init(struct gstage *table, unsigned levels, unsigned root_bits)
{
    *table = (struct gstage){.levels = levels, .root_bits = root_bits, .leaf_max = LEAF_LEVEL_MAX};
    /* The root of SvNNx4 is aligned to its 16 KiB (15.5.1). */
    table->root = host_alloc(table_size(root_bits), table_size(root_bits));
    if (table->root == NULL)
        return -E_NOMEM;
    table->table_bytes = table_size(root_bits);
    return 0;
}

/* The entry for `va` at `level`, making tables on the way; NULL: -E_NOMEM or -E_EXIST in *error. */
static uint64_t *entry_at(struct gstage *table, uint64_t va, unsigned level, int *error)
{
    uint64_t *entries = table->root;
    for (unsigned at = table->levels - 1;; at--) {
        uint64_t index = va >> level_shift(at) & ((1ULL << level_bits(table, at)) - 1);
        uint64_t *entry = &entries[index];
        if (at == level)
            return entry;
        if ((*entry & PTE_V) == 0) {
            uint64_t *below = host_alloc(PAGE_SIZE, PAGE_SIZE);
            if (below == NULL) {
                *error = -E_NOMEM;
                return NULL;
            }
            table->table_bytes += PAGE_SIZE;
            *entry = (uint64_t)(uintptr_t)below >> 2 | PTE_V;
        } else if (is_leaf(*entry)) {
            *error = -E_EXIST;
            return NULL;
        }
        entries = next_table(*entry);
    }
}

int gstage_map(struct gstage *table, uint64_t va, uint64_t pa, uint64_t size, unsigned flags)
{
    unsigned top = level_shift(table->levels - 1) + table->root_bits;
    int error = 0;

    if (((va | pa | size) & (PAGE_SIZE - 1)) != 0 || size == 0 || va + (size - 1) < va ||
        (va + (size - 1)) >> top != 0)
        return -E_INVAL;
    while (size != 0) {
        unsigned level = table->levels - 1 < table->leaf_max ? table->levels - 1 : table->leaf_max;
        while (((va | pa) & ((1ULL << level_shift(level)) - 1)) != 0 ||
               size < 1ULL << level_shift(level))
            level--;
        uint64_t *entry = entry_at(table, va, level, &error);
        if (entry == NULL)
            return error;
        /* As many as this table has; a larger leaf is looked for where one may begin. */
        uint64_t step = 1ULL << level_shift(level), above = (step << 9) - 1, done = 0;
        uint64_t limit = above + 1 - (va & above), limit_pa = above + 1 - (pa & above);
        limit = limit_pa < limit ? limit_pa : limit;
        limit = size < limit ? size & ~(step - 1) : limit;
        uint64_t pte = pa >> 2 | flags | PTE_V;
        for (; done < limit && (*entry & PTE_V) == 0; pte += step >> 2, done += step)
            *entry++ = pte;
        table->leaves[level] += done >> level_shift(level);
        if (done < limit)
            return -E_EXIST;
        va += done;
        pa += done;
        size -= done;
    }
    return 0;
}

int gstage_page(struct gstage *table, uint64_t va, uint64_t pa, unsigned flags)
{
    int error = 0;
    uint64_t *entry = entry_at(table, va, 0, &error);
    if (entry != NULL)
        __atomic_store_n(entry, flags != 0 ? pa >> 2 | flags | PTE_V : 0, __ATOMIC_SEQ_CST);
    return error;
}

/* The leaf for `va`, hidden or not, or NULL; *level gets its size. */
static uint64_t *leaf_at(const struct gstage *table, uint64_t va, unsigned *level)
{
    uint64_t *entries = table->root;
    if (va >> (level_shift(table->levels - 1) + table->root_bits) != 0)
        return NULL;
    for (unsigned at = table->levels; at-- > 0;) {
        uint64_t *entry = &entries[va >> level_shift(at) & ((1ULL << level_bits(table, at)) - 1)];
        if (is_leaf(*entry)) {
            *level = at;
            return entry;
        }
        if ((*entry & PTE_V) == 0)
            return NULL;
        entries = next_table(*entry);
    }
    return NULL;
}

uint64_t gstage_find(const struct gstage *table, uint64_t va, uint64_t *size)
{
    unsigned level;
    const uint64_t *leaf = leaf_at(table, va, &level);
    if (leaf == NULL || (*leaf & PTE_V) == 0)
        return 0;
    *size = 1ULL << level_shift(level);
    return *leaf;
}

void gstage_hide(struct gstage *table, uint64_t va, uint64_t size)
{
    unsigned level;
    for (uint64_t step, end = va + size; va < end; va += step) {
        uint64_t *leaf = leaf_at(table, va, &level);
        step = leaf != NULL ? 1ULL << level_shift(level) : PAGE_SIZE;
        if (leaf == NULL || (*leaf & PTE_V) == 0)
            continue;
        *leaf &= ~(uint64_t)PTE_V;
        table->leaves[level]--;
    }
}

uint64_t *gstage_hidden(const struct gstage *table, uint64_t va, uint64_t *base, uint64_t *size)
{
    unsigned level;
    uint64_t *leaf = leaf_at(table, va, &level);
    if (leaf == NULL || (*leaf & PTE_V) != 0)
        return NULL;
    *size = 1ULL << level_shift(level);
    *base = va & ~(*size - 1);
    return leaf;
}

void gstage_show(struct gstage *table, uint64_t *leaf, uint64_t size)
{
    unsigned level = 0;
    while (1ULL << level_shift(level) < size)
        level++;
    table->leaves[level]++;
    __atomic_store_n(leaf, *leaf | PTE_V, __ATOMIC_RELEASE);
}

/* Depth is at most the number of levels. */
static void free_below(struct gstage *table, uint64_t *entries, unsigned level)
{
    uint64_t count = 1ULL << level_bits(table, level);
    for (uint64_t i = 0; level > 0 && i < count; i++) {
        if ((entries[i] & PTE_V) != 0 && !is_leaf(entries[i]))
            free_below(table, next_table(entries[i]), level - 1);
    }
    host_free(entries, table_size(level_bits(table, level)));
}

void gstage_fini(struct gstage *table)
{
    if (table->root != NULL)
        free_below(table, table->root, table->levels - 1);
    table->root = NULL;
}
