/*
 * The board's IOMMU (RISC-V IOMMU Architecture Specification 1.0): what is behind it reaches no
 * memory, but for devices that a grant names, which see what a guest's G-stage table maps.
 *
 * The form that is a device of the board's bus is driven ("riscv,iommu"), not the one that is a PCI
 * function. Interrupts of its own are not used: the fault queue is looked at from time to time, so
 * a device that faults without end costs no more than that. Every wait for it is bounded, and an
 * IOMMU that does not answer is switched off, which stops everything behind it.
 */
#ifndef TYPE1_DEV_IOMMU_H
#define TYPE1_DEV_IOMMU_H

#include "core/fdt.h"
#include "core/host.h"
#include "type1/dev_mmio.h"

#define IOMMU_GRANTS_MAX 16
#define IOMMU_EVENTS     256 /* causes below are faults of an address (4.2) */

/* Device ids that belong together: of one device, or all that a PCI host's requesters have. */
struct iommu_grant {
    uint32_t first, count; /* count 0: the place is free */
    const char *owner;     /* the guest; NULL: nobody, or the hypervisor itself */
    const char *device;    /* its name in the board's device tree */
    uint64_t *shared;      /* the leaf table in all places that are the grant's alone */
};

struct iommu {
    int node; /* in the board's device tree; negative: there is none */
    uint32_t phandle;
    uint64_t address, size;
    const struct dev_access *access;
    unsigned levels;  /* of the device directory; 0: the IOMMU is not used */
    unsigned id_bits; /* of a device id, that a leaf table takes */
    uint32_t modes;   /* of G-stage tables: bit 0 Sv39x4, 1 Sv48x4, 2 Sv57x4 */
    uint64_t *root, *commands, *faults;
    uint32_t tail, head;   /* of the command queue, of the fault queue */
    struct host_lock lock; /* the directory and the command queue */
    struct iommu_grant grants[IOMMU_GRANTS_MAX];
};

/* A record of the fault queue (4.2). */
struct iommu_fault {
    uint32_t cause, device;
    uint64_t address;
    bool write;
};

/* Finds it without touching it. */
void iommu_find(struct iommu *iommu, const struct fdt *fdt);
/* There is one, but it is a PCI function. */
bool iommu_of_pci(const struct fdt *fdt);
/*
 * Takes it over, once its registers are mapped: an empty directory, so nothing behind it reaches
 * memory. Returns what it does now, in plain words.
 */
const char *iommu_start(struct iommu *iommu, const struct dev_access *access);
/*
 * The device is `owner`'s, and still reaches nothing. Returns the grant's number. -E_NODEV: it is
 * not behind the IOMMU (Devicetree bindings "iommus", "iommu-map"), or that is not used; -E_BUSY it
 * is somebody's; -E_RANGE its ids are too large for the directory; -E_NOSPC, -E_NOMEM.
 */
int iommu_grant(struct iommu *iommu, const struct fdt *fdt, int node, const char *owner);
/* It is nobody's any more. */
void iommu_revoke(struct iommu *iommu, int grant);
/*
 * What it reaches from now on: what the G-stage table maps that `iohgatp` names (MODE and PPN as in
 * hgatp; GSCID is the grant's own, so that it may be used where harts have no VMIDs); 0: all
 * memory. -E_NOTSUP: the IOMMU does not know that form of table. -E_IO: it does not answer.
 */
int iommu_open(struct iommu *iommu, int grant, uint64_t iohgatp);
/* The G-stage table has changed: nothing of what it was is used any more when this returns. */
void iommu_flush(struct iommu *iommu, int grant);
/* It reaches nothing when this returns; no translation of its own is kept. */
void iommu_close(struct iommu *iommu, int grant);
/* Takes the oldest fault from the queue; false: there is none. */
bool iommu_next_fault(struct iommu *iommu, struct iommu_fault *fault);
void iommu_decode_fault(const uint64_t record[4], struct iommu_fault *fault);
/* Whose device it is; NULL: nobody's. */
const struct iommu_grant *iommu_grant_of(const struct iommu *iommu, uint32_t device);

#endif
