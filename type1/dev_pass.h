/*
 * A device of the board given to one guest: its registers are mapped into the guest's G-stage, its
 * line of the board's controller becomes a line of the guest's. The physical claim is completed
 * when the guest completes its own, so a line that stays up does not storm the hypervisor; it goes
 * to the hart where the guest last completed it. Where the board sends messages and the guest's
 * VCPU has a guest interrupt file, they go straight to that.
 *
 * No IOMMU is used (dev_iommu.h), so the device reaches all memory: the guest is trusted with that,
 * and the tree it is given says where its memory really is (dma-ranges). A virtio device that does
 * not ask for platform addresses would ignore that and is not passed on.
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

#define PASS_BASE 0x30000000ULL /* guest-physical; QEMU's board has PCIe there, ours nothing */
#define PASS_SIZE 0x10000000ULL
#define PASS_LINE 32 /* the first of the guest's lines */

struct pass {
    struct intc *intc;
    struct plic *plic;      /* the guest's, ... */
    struct aplic *aplic;    /* ... or this */
    int node;               /* in the board's device tree */
    uint64_t address, size; /* whole pages of the board */
    uint64_t reg_size;
    uint64_t gpa;  /* where the guest sees the first page */
    uint32_t line; /* of the board; 0: none */
    uint32_t guest_line;
    bool virtio;
    _Atomic bool claimed; /* the board's line waits for the guest's completion */
    _Atomic bool missed;  /* it came again meanwhile: an edge */
};

struct pass_set {
    const struct fdt *fdt;           /* the board's */
    const struct dev_access *access; /* to look at virtio devices */
    struct pass passes[SPEC_PASSTHROUGH_MAX];
    unsigned count;
    uint64_t gpa_next;
    uint64_t ram_gpa, ram_hpa, ram_size; /* for dma-ranges */
    struct host_lock route_lock;         /* where lines go is decided by one at a time */
    /* Our index of the hart that calls. */
    unsigned (*here)(void);
    /* What an APLIC's target register says of the VCPU's guest interrupt file; 0: it has none. */
    uint32_t (*file_of)(struct vm *vm, unsigned vcpu);
    struct vm *vm;
};

/* The node that `device` names: a path, or a node's full name anywhere. Negative: there is none. */
int pass_node(const struct fdt *fdt, const char *device);
/* Adds a device to what a guest gets. On an error `*why` says what is wrong, in words. */
int pass_add(struct pass_set *set, struct intc *intc, const char *device, const char **why);
/*
 * Maps the registers and opens the lines, once the guest's board and G-stage are there. The guest
 * has one of the two controllers, the other is NULL.
 */
int pass_wire(struct pass_set *set, struct plic *plic, struct aplic *aplic, struct gstage *gstage);
/* The file of one of the guest's VCPUs is somewhere else now. */
void pass_files_moved(struct pass_set *set);
/* The guest's devices fall silent: before its memory is touched for another boot. */
void pass_reset(struct pass_set *set);
/* The devices are the board's again. */
void pass_close(struct pass_set *set);
/* Writes the node that holds the guest's view of them. `arg`: the struct pass_set. */
void pass_describe(void *arg, struct fdt_writer *w, uint32_t plic_phandle);

#endif
