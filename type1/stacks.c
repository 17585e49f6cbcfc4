#include "type1/stacks.h"

#include "core/host.h"

#define SLOT (2 * STACK_SIZE) /* nothing, then the stack */

static struct host_lock lock;
static struct gstage *table;
static void *(*alloc)(size_t size);
static void (*fence)(void);
static uint64_t used[STACKS_MAX / 64];
static unsigned mapped; /* slots from the first on that have memory */

void stacks_init(struct gstage *own_table, void *(*own_alloc)(size_t size), void (*own_fence)(void))
{
    host_lock_init(&lock);
    table = own_table;
    alloc = own_alloc;
    fence = own_fence;
    mapped = 0;
    memset(used, 0, sizeof used);
}

static bool map_next(void)
{
    /* Tables are indexed by the 39 bits that count. */
    uint64_t at = (STACKS_BASE & ((1ULL << 39) - 1)) + mapped * SLOT + STACK_SIZE;
    void *memory = alloc(STACK_SIZE);
    if (memory == NULL)
        return false;
    if (gstage_map(table, at, (uint64_t)(uintptr_t)memory, STACK_SIZE,
                   PTE_R | PTE_W | PTE_A | PTE_D | PTE_G) != 0) {
        host_free(memory, STACK_SIZE);
        return false;
    }
    mapped++;
    /* A hart may remember that there was nothing. */
    fence();
    return true;
}

void *stack_alloc(void)
{
    uint64_t top = 0;
    host_lock_acquire(&lock);
    for (unsigned i = 0; i < STACKS_MAX / 64 && top == 0; i++) {
        if (~used[i] == 0)
            continue;
        unsigned bit = (unsigned)__builtin_ctzll(~used[i]), slot = 64 * i + bit;
        if (slot == mapped && !map_next())
            break;
        used[i] |= 1ULL << bit;
        top = STACKS_BASE + (slot + 1) * SLOT;
    }
    host_lock_release(&lock);
    return (void *)(uintptr_t)top;
}

void stack_free(void *top)
{
    unsigned slot = (unsigned)(((uint64_t)(uintptr_t)top - STACKS_BASE) / SLOT) - 1;
    host_lock_acquire(&lock);
    used[slot / 64] &= ~(1ULL << slot % 64);
    host_lock_release(&lock);
}

bool stack_below(uint64_t address)
{
    uint64_t at = address - STACKS_BASE;
    return at < STACKS_MAX * SLOT && at % SLOT < STACK_SIZE;
}
