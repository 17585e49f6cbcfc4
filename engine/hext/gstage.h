/*
 * Page tables as RISC-V lays them out, built by software: the G-stage of guests (Privileged ISA
 * 20240411, 15.5.1: SvNNx4) and the hypervisor's own (10.3 to 10.5).
 *
 * Ranges are mapped with the largest leaves that alignment allows: 1 GiB, 2 MiB, 4 KiB. Table
 * memory comes from host_alloc and is addressed by the numbers that it returned (the hypervisor
 * runs on an identity map).
 */
#ifndef ENGINE_HEXT_GSTAGE_H
#define ENGINE_HEXT_GSTAGE_H

#include <stddef.h>
#include <stdint.h>

enum gstage_flag {
    PTE_V = 1 << 0,
    PTE_R = 1 << 1,
    PTE_W = 1 << 2,
    PTE_X = 1 << 3,
    PTE_U = 1 << 4,
    PTE_G = 1 << 5,
    PTE_A = 1 << 6,
    PTE_D = 1 << 7,
};
/* G-stage leaves need U; A and D are preset because not every core updates them itself. */
#define GSTAGE_RWX (PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D)
#define GSTAGE_RX  (PTE_R | PTE_X | PTE_U | PTE_A)

struct gstage {
    uint64_t *root;
    unsigned levels;    /* 3: Sv39, 4: Sv48, 5: Sv57 */
    unsigned root_bits; /* index bits of the root: 11 (SvNNx4, 16 KiB) or 9 */
    unsigned leaf_max;  /* of the sizes below; 2 (set by gstage_init): 1 GiB */
    /* Leaves by size: 4 KiB, 2 MiB, 1 GiB; hidden ones are not counted. And bytes of tables. */
    uint64_t leaves[3];
    uint64_t table_bytes;
};

/* An empty table. -E_NOMEM. */
int gstage_init(struct gstage *table, unsigned levels, unsigned root_bits);
/*
 * Maps [va, va + size) to [pa, pa + size), all multiples of 4 KiB. -E_INVAL misaligned or out of
 * the table's range, -E_EXIST something is mapped there (then a part may be mapped), -E_NOMEM.
 */
int gstage_map(struct gstage *table, uint64_t va, uint64_t pa, uint64_t size, unsigned flags);
/*
 * Maps the one page at `va` to `pa` instead of what is there, which is no larger leaf; `flags` 0:
 * to nothing, and then it can be mapped later without more memory. -E_NOMEM, -E_EXIST. Translations
 * that harts hold are the caller's.
 */
int gstage_page(struct gstage *table, uint64_t va, uint64_t pa, unsigned flags);
/* The leaf that maps `va`, or 0; *size gets its size. */
uint64_t gstage_find(const struct gstage *table, uint64_t va, uint64_t *size);
/*
 * Hides all leaves of [va, va + size), which begins and ends where leaves do: they are as if not
 * there, until gstage_show. Whoever may hold translations flushes them.
 */
void gstage_hide(struct gstage *table, uint64_t va, uint64_t size);
/* The hidden leaf that would map `va`, or NULL; *base and *size get its range. */
uint64_t *gstage_hidden(const struct gstage *table, uint64_t va, uint64_t *base, uint64_t *size);
/* Harts that walk the table see the leaf with all that was stored before. */
void gstage_show(struct gstage *table, uint64_t *leaf, uint64_t size);
void gstage_fini(struct gstage *table);
/* hgatp or satp mode (8: Sv39 or Sv39x4, ...). */
static inline unsigned gstage_mode(const struct gstage *table)
{
    return table->levels + 5;
}

#endif
