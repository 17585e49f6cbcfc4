/*
 * Where the board's devices and the guests' meet: finds the board's virtio devices and interrupt
 * controller, starts those that somebody asks for, and puts backends behind a guest's devices as
 * its description says.
 */
#ifndef TYPE1_DEV_BOARD_H
#define TYPE1_DEV_BOARD_H

#include "core/bundle.h"
#include "core/spec.h"
#include "engine/hext/gstage.h"
#include "type1/dev_memdisk.h"
#include "type1/dev_pass.h"
#include "type1/dev_switch.h"
#include "vmm/board.h"

/* A guest's part. */
struct dev_guest {
    const struct spec_vm *spec;
    struct memdisk disks[SPEC_DISKS_MAX];
    /* What a writable memory disk began as. */
    struct board_blob images[SPEC_DISKS_MAX];
    struct switch_port *ports[SPEC_NETS_MAX];
    struct pass_set passes;
    struct board *board;
    struct host_event tick; /* nobody sets it: to wait for a while */
};

/*
 * Finds what the board has, without touching it, and maps its registers into `table`. `hart`: the
 * one that runs this, to which interrupts go at first.
 */
void dev_find(const struct fdt *fdt, uint64_t hart, struct gstage *table);
/* With paging and the clock on: what there is, and a line about it. Then on that hart SEI is
 * enabled. */
void dev_start(void);
/* Before dev_start: the hart that will have that index has that number of the firmware's. */
void dev_add_hart(unsigned index, uint64_t hart);
/* On that hart: whether the board's devices can interrupt it. */
bool dev_hart_start(void);
/* SEI is pending. */
void dev_interrupt(void);
/* From time to time: what the IOMMU has stopped. */
void dev_poll(void);
/* Tells the operator of the board's devices and the networks. */
void dev_show(void);
/* Random bytes for anything but the guests' devices. */
void dev_random(void *bytes, size_t len);

/*
 * Fills disks, nets and entropy of `backends` and remembers what is to be passed on. On an error
 * `why` says what is missing, in plain words.
 */
int dev_guest_open(struct dev_guest *guest, const struct spec_vm *spec, const struct bundle *bundle,
                   struct board_backends *backends, char *why, size_t why_size);
/* After board_init and the engine's vm_init. `ram`: the guest's memory. */
int dev_guest_wire(struct dev_guest *guest, struct board *board, struct gstage *gstage,
                   const void *ram);
/*
 * Before the guest's memory is touched for another boot: its devices take nothing more, and what
 * they still do is waited for. From a task that is no VCPU's.
 */
void dev_guest_quiet(struct dev_guest *guest);
/* The operator starts it: disks described as fresh are what their files are. The same. */
void dev_guest_renew(struct dev_guest *guest);
/*
 * The copies of its disks in memory are given back; and made again from the bundle: -E_NOMEM, and
 * then there are none. The guest is off, and none of its requests is in flight.
 */
void dev_guest_give_disks(struct dev_guest *guest);
int dev_guest_take_disks(struct dev_guest *guest);
/* After board_boot. */
void dev_guest_booted(struct dev_guest *guest);
/*
 * The guest is quiet and its board is about to be freed: memory and devices are given back, except
 * for its places on networks. The struct stays, for another dev_guest_open with the same `spec`.
 */
void dev_guest_close(struct dev_guest *guest);

#endif
