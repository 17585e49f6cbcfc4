/*
 * Where the interrupt files for S-mode of a board's IMSICs are (RISC-V AIA 1.0, 3.6), as the device
 * tree's riscv,imsics node says: each hart's own file and behind it those of guests, harts in the
 * order of interrupts-extended through all ranges of `reg`, groups of harts apart.
 */
#ifndef TYPE1_DEV_IMSIC_MAP_H
#define TYPE1_DEV_IMSIC_MAP_H

#include "core/fdt.h"

#define IMSIC_PAGE 4096ULL

struct imsic_map {
    const struct fdt *fdt;
    int node;
    uint32_t ids; /* identities of each file: 63 to 2047 */
    /* Bits of an address: 1 << guest_bits pages of a hart, 1 << hart_bits harts of a group. */
    unsigned guest_bits, hart_bits, group_bits, group_shift;
};

/* -E_NODEV: the node does not describe IMSICs for S-mode that could be used. */
int imsic_map_read(struct imsic_map *map, const struct fdt *fdt, int node);
/* The first whose harts include that one (the firmware's number). -E_NODEV. */
int imsic_map_find(struct imsic_map *map, const struct fdt *fdt, uint64_t hart);
/* The page of a hart's own file; 0: it has none. Its guest file n is n pages further. */
uint64_t imsic_map_page(const struct imsic_map *map, uint64_t hart);
/* The hart index that an APLIC knows the owner of a page by (4.9.1). */
uint32_t imsic_map_index(const struct imsic_map *map, uint64_t page);

#endif
