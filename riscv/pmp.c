#include "riscv/pmp.h"

#include "core/error.h"

#define ADDR_MASK ((1ULL << (PMP_PA_BITS - 2)) - 1)

int pmp_match(const struct pmp_entry *entries, unsigned count, uint64_t pa, uint64_t len)
{
    uint64_t below = 0, end = pa + (len - 1);
    for (unsigned i = 0; i < count; i++) {
        uint64_t first, last;
        bool any = pmp_entry_range(entries[i].cfg, entries[i].addr, below, &first, &last);
        below = entries[i].addr;
        if (!any || end < first || pa > last)
            continue;
        return pa >= first && end <= last ? (int)i : PMP_STRADDLES;
    }
    return PMP_NONE;
}

bool pmp_allows(const struct pmp_entry *entries, unsigned count, uint64_t pa, uint64_t len,
                uint8_t need)
{
    int i = pmp_match(entries, count, pa, len);
    return i >= 0 && (entries[i].cfg & need) == need;
}

/* A power of two, at a multiple of itself. */
static bool natural(uint64_t base, uint64_t size)
{
    return (size & (size - 1)) == 0 && (base & (size - 1)) == 0;
}

unsigned pmp_cost(uint64_t base, uint64_t size)
{
    return natural(base, size) ? 1 : 2;
}

int pmp_put(struct pmp_entry *entries, unsigned *count, unsigned room, uint64_t base, uint64_t size,
            uint8_t rights)
{
    unsigned n = *count;
    uint64_t below = n > 0 ? entries[n - 1].addr : 0;
    bool napot = natural(base, size);
    bool begins = !napot && below != base >> 2; /* an entry that is off says where TOR begins */

    if (n + begins >= room)
        return -E_NOSPC;
    if (!napot && base + size > ADDR_MASK << 2) /* where TOR ends must fit into pmpaddr */
        return -E_RANGE;
    if (begins)
        entries[n++] = (struct pmp_entry){.addr = base >> 2, .cfg = PMP_A_OFF};
    if (!napot)
        entries[n++] = (struct pmp_entry){(base + size) >> 2, PMP_A_TOR | rights};
    else if (size == 4)
        entries[n++] = (struct pmp_entry){base >> 2, PMP_A_NA4 | rights};
    else
        entries[n++] = (struct pmp_entry){(base | (size / 2 - 1)) >> 2, PMP_A_NAPOT | rights};
    *count = n;
    return 0;
}

uint64_t pmp_grain(uint64_t addr)
{
    uint64_t grain = 4;
    for (addr &= ADDR_MASK; grain < 1ULL << PMP_PA_BITS && (addr & 1) == 0; addr >>= 1)
        grain *= 2;
    return grain;
}
