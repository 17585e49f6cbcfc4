/* tiny: pages and Sv39 page tables (Privileged ISA 20240411, 10.4). */
#include "kernel.h"

/* A and D are set from the start, so that no processor needs to trap for them. */
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128 };
enum { ENTRIES = 512 };

#define POOL_SIZE (4UL << 20)

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memset(void *to, int value, size_t length);

static uint64_t pool_next, pool_end;
static void *free_list; /* a free page's first word points to the next */
static uint64_t *kernel_table;

void *page_alloc(void)
{
    void *page = free_list;

    if (page) {
        free_list = *(void **)page;
    } else if (pool_next < pool_end) {
        page = (void *)pool_next;
        pool_next += PAGE_SIZE;
    } else {
        return NULL;
    }
    return memset(page, 0, PAGE_SIZE);
}

static void page_free(void *page)
{
    *(void **)page = free_list;
    free_list = page;
}

static uint64_t pte_make(const void *page, unsigned flags)
{
    return (uint64_t)page >> 12 << 10 | flags | PTE_V;
}

static void *pte_page(uint64_t pte)
{
    return (void *)(pte >> 10 << 12);
}

/* RAM at its own address, in gigapages, for the kernel alone. */
void memory_init(const struct machine *machine, uint64_t free_from)
{
    uint64_t ram_end = machine->ram + machine->ram_size;

    pool_next = free_from;
    pool_end = ram_end - free_from < POOL_SIZE ? ram_end : free_from + POOL_SIZE;
    kernel_table = page_alloc();
    for (uint64_t giga = machine->ram >> 30; giga << 30 < ram_end && giga < USER_BASE >> 30; giga++)
        kernel_table[giga] = pte_make((void *)(giga << 30), PTE_R | PTE_W | PTE_X | PTE_A | PTE_D);
}

uint64_t kernel_root(void)
{
    return (uint64_t)kernel_table;
}

/* The leaf entry for a user address; the tables to it are made if `make` (NULL then: no memory). */
static uint64_t *pte_find(uint64_t root, uint64_t address, bool make)
{
    uint64_t *table = (uint64_t *)root;

    for (int level = 2; level > 0; level--) {
        uint64_t *entry = &table[address >> (12 + 9 * level) & (ENTRIES - 1)];
        if (!(*entry & PTE_V)) {
            void *page = make ? page_alloc() : NULL;
            if (!page)
                return NULL;
            *entry = pte_make(page, 0);
        }
        table = pte_page(*entry);
    }
    return &table[address >> 12 & (ENTRIES - 1)];
}

static bool map(uint64_t root, uint64_t address, const void *page, unsigned flags)
{
    uint64_t *entry = page ? pte_find(root, address, true) : NULL;

    if (entry)
        *entry = pte_make(page, flags | PTE_U | PTE_A | PTE_D);
    return entry;
}

/* A program's first `shared` bytes are one for all processes (no W); each has its own copy of the
 * others. */
uint64_t space_new(const uint8_t *program, size_t size, size_t shared)
{
    uint64_t *root = page_alloc();
    bool ok = root;

    if (ok)
        memcpy(root, kernel_table, PAGE_SIZE);
    for (size_t at = 0; ok && at < size; at += PAGE_SIZE) {
        if (at < shared) {
            ok = map((uint64_t)root, USER_BASE + at, program + at, PTE_R | PTE_X);
        } else {
            void *page = page_alloc();
            if (page)
                memcpy(page, program + at, PAGE_SIZE);
            ok = map((uint64_t)root, USER_BASE + at, page, PTE_R | PTE_W);
        }
    }
    for (uint64_t i = 1; ok && i <= USER_STACK_PAGES; i++)
        ok = map((uint64_t)root, USER_STACK - i * PAGE_SIZE, page_alloc(), PTE_R | PTE_W);
    if (!ok && root) {
        space_free((uint64_t)root);
        root = NULL;
    }
    return (uint64_t)root;
}

/* The user half of the tree: its tables, and the leaves that are the process's own (W). */
void space_free(uint64_t root)
{
    uint64_t top = ((uint64_t *)root)[USER_BASE >> 30];

    for (unsigned i = 0; top && i < ENTRIES; i++) {
        uint64_t middle = ((uint64_t *)pte_page(top))[i];
        if (!(middle & PTE_V))
            continue;
        for (unsigned j = 0; j < ENTRIES; j++) {
            uint64_t leaf = ((uint64_t *)pte_page(middle))[j];
            if (leaf & PTE_W)
                page_free(pte_page(leaf));
        }
        page_free(pte_page(middle));
    }
    if (top)
        page_free(pte_page(top));
    page_free((void *)root);
}

/* Where a process's byte is, if it may be read (or written); NULL otherwise. */
static uint8_t *user_byte(uint64_t root, uint64_t address, unsigned need)
{
    if (address >> 30 != USER_BASE >> 30)
        return NULL;
    uint64_t *entry = pte_find(root, address, false);
    if (!entry || (*entry & (PTE_V | PTE_U | need)) != (PTE_V | PTE_U | need))
        return NULL;
    return (uint8_t *)pte_page(*entry) + address % PAGE_SIZE;
}

bool copy_in(uint64_t root, void *to, uint64_t from, size_t length)
{
    for (uint8_t *t = to; length; length--) {
        const uint8_t *byte = user_byte(root, from++, PTE_R);
        if (!byte)
            return false;
        *t++ = *byte;
    }
    return true;
}

bool copy_out(uint64_t root, uint64_t to, const void *from, size_t length)
{
    for (const uint8_t *f = from; length; length--) {
        uint8_t *byte = user_byte(root, to++, PTE_W);
        if (!byte)
            return false;
        *byte = *f++;
    }
    return true;
}
