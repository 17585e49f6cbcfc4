/*
 * The board's IOMMU (RISC-V IOMMU 1.0): whether there is one, what it does, and which devices are
 * behind it. It is not programmed yet: DMA of a device that is passed to a guest is trusted in any
 * case.
 */
#ifndef TYPE1_DEV_IOMMU_H
#define TYPE1_DEV_IOMMU_H

#include "core/fdt.h"
#include "type1/dev_mmio.h"

struct iommu {
    int node; /* in the board's device tree; negative: there is none */
    uint32_t phandle;
    uint64_t address, size;
};

/* Finds it without touching it. */
void iommu_find(struct iommu *iommu, const struct fdt *fdt);
/* The device's accesses to memory pass through it (Devicetree binding "iommus"). */
bool iommu_guards(const struct iommu *iommu, const struct fdt *fdt, int node);
/* What it lets those do that are behind it, in plain words. */
const char *iommu_mode(const struct iommu *iommu, const struct dev_access *access);
/* Whether and why a device's DMA is trusted, in plain words. */
const char *iommu_trust(const struct iommu *iommu, const struct fdt *fdt, int node);

#endif
