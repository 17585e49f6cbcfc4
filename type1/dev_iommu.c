#include "type1/dev_iommu.h"

enum {
    IOMMU_DDTP = 0x10,
    DDTP_MODE = 0xf,
    DDTP_OFF = 0,
    DDTP_BARE = 1,
    IOMMU_REGISTERS = 0x1000,
};

void iommu_find(struct iommu *iommu, const struct fdt *fdt)
{
    *iommu = (struct iommu){.node = fdt_compatible_next(fdt, -1, "riscv,iommu")};
    if (iommu->node >= 0 && (fdt_reg(fdt, iommu->node, 0, &iommu->address, &iommu->size) != 0 ||
                             iommu->size < IOMMU_REGISTERS))
        iommu->node = -1;
    iommu->phandle = fdt_u32(fdt, iommu->node, "phandle", 0);
}

bool iommu_guards(const struct iommu *iommu, const struct fdt *fdt, int node)
{
    return iommu->node >= 0 && fdt_u32(fdt, node, "iommus", 0) == iommu->phandle &&
           iommu->phandle != 0;
}

const char *iommu_mode(const struct iommu *iommu, const struct dev_access *access)
{
    void *registers = (void *)(uintptr_t)iommu->address;
    switch (access->read(registers, IOMMU_DDTP) & DDTP_MODE) {
    case DDTP_OFF: return "off: devices behind it reach no memory";
    case DDTP_BARE: return "bare: devices behind it reach all memory";
    default: return "on, as the firmware left it";
    }
}

const char *iommu_trust(const struct iommu *iommu, const struct fdt *fdt, int node)
{
    if (iommu->node < 0)
        return "there is no IOMMU, so its DMA is trusted";
    if (!iommu_guards(iommu, fdt, node))
        return "it is not behind the IOMMU, so its DMA is trusted";
    return "the IOMMU in front of it is not used, so its DMA is trusted";
}
