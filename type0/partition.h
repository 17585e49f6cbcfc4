/* Partitions: what they have, and their life. */
#ifndef TYPE0_PARTITION_H
#define TYPE0_PARTITION_H

#include "core/bundle.h"
#include "type0/console.h"
#include "type0/plic.h"
#include "type0/world.h"

enum partition_wish { WISH_NOTHING, WISH_START, WISH_STOP };

struct partition {
    struct vm vm;
    unsigned index;
    const struct plan_partition *plan;
    struct riscv_vcpu *vcpus; /* plan->vcpu_count */
    struct world *worlds;
    struct console_port port;
    struct plic_view plic;       /* registers NULL: the board has none */
    const void *kernel, *initrd; /* in the bundle */
    uint64_t kernel_size, initrd_size;
    uint64_t entry, tree;  /* where its first hart begins, and a1 */
    _Atomic uint32_t left; /* worlds that have left it since it was to go down */
    _Atomic uint32_t wish; /* enum partition_wish, for when it is down */
    _Atomic uint32_t boots;
    _Atomic uint32_t rung; /* bit n: the doorbell of window n, not yet taken up */
    char why[120];         /* why it failed; "" if it did not */
};

extern struct partition *partitions[PLAN_PARTITIONS_MAX];
extern unsigned partition_count;

/*
 * Once, before any begins: of the board's seed (size 0: it has none) and of this hart's clocks each
 * partition gets another seed in its device tree at each boot.
 */
void partitions_seed(const void *seed, size_t size);
/* Builds what the plan says, at boot; `bundle` NULL: plain firmware. NULL: no memory. */
struct partition *partition_new(const struct plan *plan, const struct plan_board *board,
                                const struct bundle *bundle, unsigned index);
/* Every VCPU as after reset; the first is to run. None runs. */
void partition_begin(struct partition *partition);
/* A copy of its memory's content, and begin. Its first hart does it; none of its harts is in it. */
void partition_boot(struct partition *partition);
/* The world's hart has seen that the partition is not on. The last one does what was asked. */
void partition_down(struct world *world);
/* From anywhere: false if it is on already (start) or off (stop, restart). */
bool partition_start(struct partition *partition);
bool partition_stop(struct partition *partition);
bool partition_restart(struct partition *partition);
/* Once, before any begins. */
void partition_windows_clear(const struct plan *plan);
/*
 * Rings the bell of the window's other partition: a software interrupt for its first hart. False:
 * the window is not this partition's.
 */
bool partition_ring(struct partition *partition, uint64_t window);
/* None runs or is about to; *failed: one of them has failed. */
bool partitions_all_off(bool *failed);
static inline bool partition_is_on(const struct partition *partition)
{
    return vm_power_state(&partition->vm) == VM_POWER_ON;
}
/* It cannot go on: `format` says why. */
void partition_fail(struct partition *partition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
