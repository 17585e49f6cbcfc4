#include "type1/dev_imsic_map.h"

#include "core/error.h"
#include "type1/dev_intc.h"

#define REGS_MAX 64

int imsic_map_read(struct imsic_map *map, const struct fdt *fdt, int node)
{
    uint32_t len = 0;
    unsigned bits = 0;
    if (fdt_prop(fdt, node, "interrupts-extended", &len) == NULL)
        return -E_NODEV;
    while (1ULL << bits < len / 8)
        bits++;
    *map = (struct imsic_map){
        .fdt = fdt,
        .node = node,
        .ids = fdt_u32(fdt, node, "riscv,num-ids", 0),
        .guest_bits = fdt_u32(fdt, node, "riscv,guest-index-bits", 0),
        .hart_bits = fdt_u32(fdt, node, "riscv,hart-index-bits", bits),
        .group_bits = fdt_u32(fdt, node, "riscv,group-index-bits", 0),
        .group_shift = fdt_u32(fdt, node, "riscv,group-index-shift", 24),
    };
    return map->ids < 63 || map->ids > 2047 || map->ids % 64 != 63 || map->guest_bits > 6 ||
                   map->hart_bits > 14 || map->group_bits > 7 || map->group_shift > 55
               ? -E_NODEV
               : 0;
}

int imsic_map_find(struct imsic_map *map, const struct fdt *fdt, uint64_t hart)
{
    for (int node = fdt_compatible_next(fdt, -1, "riscv,imsics"); node >= 0;
         node = fdt_compatible_next(fdt, node, "riscv,imsics")) {
        if (imsic_map_read(map, fdt, node) == 0 && imsic_map_page(map, hart) != 0)
            return 0;
    }
    return -E_NODEV;
}

uint64_t imsic_map_page(const struct imsic_map *map, uint64_t hart)
{
    uint64_t stride = IMSIC_PAGE << map->guest_bits, base, size;
    int place = intc_context_of(map->fdt, map->node, hart);
    if (place < 0)
        return 0;
    uint64_t offset = (uint64_t)place * stride;
    for (unsigned i = 0; i < REGS_MAX && fdt_reg(map->fdt, map->node, i, &base, &size) == 0; i++) {
        if (offset < size)
            return size - offset >= stride && base % IMSIC_PAGE == 0 ? base + offset : 0;
        offset -= (size + stride - 1) & ~(stride - 1);
    }
    return 0;
}

uint32_t imsic_map_index(const struct imsic_map *map, uint64_t page)
{
    uint64_t hart = page / IMSIC_PAGE >> map->guest_bits & ((1ULL << map->hart_bits) - 1);
    uint64_t group = page >> map->group_shift & ((1ULL << map->group_bits) - 1);
    return (uint32_t)(group << map->hart_bits | hart);
}
