/*
 * A device of the board given to one guest: its registers are mapped into the guest's G-stage, its
 * lines of the board's controller become lines of the guest's. The physical claim is completed
 * when the guest completes its own, so a line that stays up does not storm the hypervisor; it goes
 * to the hart where the guest last completed it. Where the board sends messages and the guest's
 * VCPU has a guest interrupt file, they go straight to that.
 *
 * A device behind the IOMMU (dev_iommu.h) uses guest-physical addresses and reaches what the guest
 * reaches. Any other reaches all memory: the guest is trusted with that, and the tree it is given
 * says where its memory really is (dma-ranges); a virtio device that does not ask for platform
 * addresses would ignore that and is not passed on, nor is a PCI host.
 */
#ifndef TYPE1_DEV_PASS_H
#define TYPE1_DEV_PASS_H

#include "core/fdt.h"
#include "core/spec.h"
#include "core/vm.h"
#include "devices/aplic.h"
#include "devices/plic.h"
#include "engine/hext/gstage.h"
#include "type1/dev_intc.h"
#include "type1/dev_iommu.h"
#include "type1/dev_pci.h"

#define PASS_BASE      0x30000000ULL /* guest-physical; QEMU's board has PCIe there, ours nothing */
#define PASS_SIZE      0x10000000ULL
#define PASS_LINE      32 /* the first of the guest's lines */
#define PASS_LINES_MAX 16
#define PASS_ECAM_MAX  (128 * PCI_BUS_SIZE) /* of a PCI host: room is left for other devices */

/* The guest's line PASS_LINE plus its place in the set. */
struct pass_line {
    struct pass_set *set;
    uint32_t line;        /* of the board */
    bool open;            /* it comes here */
    _Atomic bool claimed; /* the board's line waits for the guest's completion */
    _Atomic bool missed;  /* it came again meanwhile: an edge */
};

struct pass {
    int node;               /* in the board's device tree */
    uint64_t address, size; /* whole pages of the board */
    uint64_t reg_size;
    uint64_t gpa;  /* where the guest sees the first page */
    unsigned line; /* its own in the set, unless it is a PCI host */
    bool has_line;
    bool virtio, pci;
    int grant; /* of the IOMMU; negative: none */
};

struct pass_set {
    struct pass_set *const *all; /* the first of all guests' sets */
    struct pass_set *next;
    /* The hypervisor drives something in these pages of the board. */
    bool (*used)(uint64_t from, uint64_t size);
    const struct fdt *fdt;           /* the board's */
    const struct dev_access *access; /* to look at virtio devices and PCI */
    struct iommu *iommu;
    struct intc *intc;
    struct plic *plic;   /* the guest's, ... */
    struct aplic *aplic; /* ... or this */
    const char *owner;   /* the guest's name */
    struct pass passes[SPEC_PASSTHROUGH_MAX];
    unsigned count;
    struct pass_line lines[PASS_LINES_MAX];
    unsigned line_count;
    uint64_t gpa_next;
    uint64_t ram_gpa, ram_hpa, ram_size; /* for dma-ranges */
    struct host_lock route_lock;         /* where lines go is decided by one at a time */
    /* Our index of the hart that calls. */
    unsigned (*here)(void);
    /* What an APLIC's target register says of the VCPU's guest interrupt file; 0: it has none. */
    uint32_t (*file_of)(struct vm *vm, unsigned vcpu);
    struct vm *vm;
    uint64_t iohgatp; /* the guest's G-stage table */
};

/* The node that `device` names: a path, or a node's full name anywhere. Negative: there is none. */
int pass_node(const struct fdt *fdt, const char *device);
/*
 * Adds a device to what a guest gets. On an error `*why` says what is wrong, in words. Nobody gets
 * memory, what interrupts harts, an IOMMU, what switches the board off, or pages that somebody has.
 */
int pass_add(struct pass_set *set, const char *device, const char **why);
/*
 * Maps the registers and opens the lines, once the guest's board and G-stage are there; again when
 * there is another G-stage. The guest has one of the two controllers, the other is NULL.
 */
int pass_wire(struct pass_set *set, struct plic *plic, struct aplic *aplic, struct gstage *gstage);
/* The file of one of the guest's VCPUs is somewhere else now, and its G-stage says so. */
void pass_files_moved(struct pass_set *set);
/* Those behind the IOMMU reach the guest's memory from now on. 0, or what iommu_open says. */
int pass_start(struct pass_set *set);
/* The guest's devices fall silent: before its memory is touched for another boot. */
void pass_reset(struct pass_set *set);
/* After pass_reset none of them reaches any memory: what the guest had may be another's. */
bool pass_confined(const struct pass_set *set);
/* The devices are the board's again. */
void pass_close(struct pass_set *set);
/* Writes the node that holds the guest's view of them. `arg`: the struct pass_set. The others: as
 * of struct board, describe_more. */
void pass_describe(void *arg, struct fdt_writer *w, uint32_t plic_phandle, uint32_t aplic_phandle);

#endif
