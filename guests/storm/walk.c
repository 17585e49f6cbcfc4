/*
 * storm: translation through page tables full of garbage, with storm itself mapped by gigapages.
 * No entry maps RAM but the scratch, and that not executable: garbage is not to be run.
 */
#include "storm.h"

enum { ROOT39, MIDDLE, LAST, ROOT48, ROOT57 };
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128 };

static uint64_t entry_of(uint64_t address, uint64_t flags)
{
    return address >> 12 << 10 | flags;
}

static uint64_t entry_random(struct hart *hart)
{
    uint64_t random = random_next(hart), flags = random & 0x3ff;

    switch (random >> 61) {
    case 0: return 0;
    case 1: return entry_of((uintptr_t)hart->scratch, flags & ~(uint64_t)PTE_X);
    case 2: return entry_of((uintptr_t)hart->scratch, PTE_V | PTE_R | PTE_W | PTE_A | PTE_D);
    case 3: return entry_of((uintptr_t)hart->tables[MIDDLE], PTE_V);
    case 4:
        return entry_of((uintptr_t)hart->tables[LAST], flags & ~(uint64_t)(PTE_R | PTE_W | PTE_X));
    case 5: /* a device: to read, or as a page table */
        return entry_of(storm.regions[random_below(hart, storm.region_count)].base,
                        flags & ~(uint64_t)(PTE_W | PTE_X));
    case 6: { /* of low addresses a large page may have devices and RAM in it */
        uint64_t hole = random_hole(hart) & ((1UL << 56) - 1);
        return entry_of(hole, hole >> 39 ? flags : flags & ~(uint64_t)(PTE_W | PTE_X));
    }
    default: break;
    }
    uint64_t address = random << 2 & (1UL << 56) - 4096;
    if (touches_ram(address & ~((1UL << 39) - 1), 1UL << 39))
        address |= 1UL << 55;
    return (random & 0xffUL << 54) | entry_of(address, flags);
}

static void tables_fill(struct hart *hart)
{
    uint64_t from = (uintptr_t)image_start >> 30, to = ((uintptr_t)image_end + (1 << 20)) >> 30;

    for (int table = ROOT39; table <= LAST; table++)
        for (int i = 0; i < 512; i += 1 + (int)random_below(hart, 8))
            hart->tables[table][i] = entry_random(hart);
    for (uint64_t gigapage = from; gigapage <= to; gigapage++)
        hart->tables[ROOT39][gigapage] =
            entry_of(gigapage << 30, PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D);
    hart->tables[ROOT48][0] = entry_of((uintptr_t)hart->tables[ROOT39], PTE_V);
    hart->tables[ROOT57][0] = entry_of((uintptr_t)hart->tables[ROOT48], PTE_V);
    hart->tables[ROOT48][1 + random_below(hart, 511)] = entry_random(hart);
    hart->tables[ROOT57][1 + random_below(hart, 511)] = entry_random(hart);
}

static uint64_t address_random(struct hart *hart, int bits)
{
    uint64_t from = (uintptr_t)image_start >> 30, to = ((uintptr_t)image_end + (1 << 20)) >> 30;
    uint64_t address = random_next(hart);

    if (random_below(hart, 16) == 0)
        return address | 1UL << 62; /* mostly not canonical */
    if (random_below(hart, 4))
        address = address << 25 >> 25; /* the lower levels, whatever the mode */
    if (random_below(hart, 4) == 0)
        address = address | 0xff0; /* across pages */
    address = (uint64_t)((int64_t)(address << (64 - bits)) >> (64 - bits));
    if (address >> 39 == 0 && address >> 30 >= from && address >> 30 <= to)
        address ^= 1UL << 38;
    return address;
}

void storm_walk(struct hart *hart)
{
    static const uint32_t words[] = {
        0x00050603, 0x00052603, 0x00053603,
        0x00b50023, 0x00b53023, /* lb lw ld sb sd */
        0x1005262f, 0x00b5362f, 0x08b5262f,
        0x000500e7, 0x0045200f,             /* lr amoadd amoswap jalr cbo.zero */
        0x6c054673, 0x12050073, 0x16050073, /* hlv.d sfence.vma sinval.vma */
    };
    int levels = 3 + (int)random_below(hart, 3);
    int root = levels == 3 ? ROOT39 : levels == 4 ? ROOT48 : ROOT57;
    uint64_t satp = (uint64_t)(levels + 5) << 60 | (random_next(hart) & 0xffffUL << 44) |
                    (uintptr_t)hart->tables[root] >> 12;

    if ((uintptr_t)image_end >> 38)
        return;
    tables_fill(hart);
    __asm__ volatile("sfence.vma" : : : "memory");
    csr_write(satp, satp);
    if (csr_read(satp) >> 60 != satp >> 60)
        return; /* no such mode */
    for (int i = 0; i < 64; i++) {
        registers_fill(hart);
        hart->regs[10] = address_random(hart, 12 + 9 * levels);
        hart->user = i % 8 == 7;
        run(hart, words[random_below(hart, sizeof(words) / sizeof(*words))], 0);
        if (i % 4 == 0)
            hart->tables[MIDDLE][random_below(hart, 512)] = entry_random(hart);
        if (i % 16 == 0)
            __asm__ volatile("sfence.vma" : : : "memory");
    }
    hart->user = false;
    csr_write(satp, 0);
    __asm__ volatile("sfence.vma" : : : "memory");
}
