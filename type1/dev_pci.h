/*
 * A PCI host of the board whose configuration space is memory (PCI Express Base Specification,
 * "ECAM"; Devicetree binding pci-host-ecam-generic), as far as one who gives it to a guest must
 * know it: its functions, windows and interrupt lines.
 */
#ifndef TYPE1_DEV_PCI_H
#define TYPE1_DEV_PCI_H

#include "core/fdt.h"
#include "type1/dev_mmio.h"

#define PCI_BUS_SIZE    (1ULL << 20)
#define PCI_WINDOWS_MAX 4

bool pci_is_host(const struct fdt *fdt, int node);
/*
 * Every function on `buses` buses stops to reach memory and to interrupt. False: one of them is a
 * virtio device that does not offer VIRTIO_F_ACCESS_PLATFORM, which may pass by an IOMMU.
 */
bool pci_quiet(const struct dev_access *access, uint64_t ecam, unsigned buses);

/* A part of the board's addresses at which the host's memory or I/O space is seen ("ranges"). */
struct pci_window {
    uint32_t space[3]; /* phys.hi, phys.mid, phys.low of the PCI binding, IEEE 1275 */
    uint64_t address, size;
};
/* False: there is no window of this number. */
bool pci_window(const struct fdt *fdt, int node, unsigned index, struct pci_window *window);

/* Where a pin's interrupt goes ("interrupt-map"). Start with zeroes; false: that was the last. */
struct pci_route {
    uint32_t at;          /* of the next one */
    const uint8_t *pin;   /* four cells: unit address and pin */
    const uint8_t *cells; /* the interrupt specifier for that controller */
    uint32_t len;         /* bytes of it */
};
/* The next one that goes to the controller with the phandle. */
bool pci_next_route(const struct fdt *fdt, int node, uint32_t phandle, struct pci_route *route);

#endif
