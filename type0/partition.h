/* Partitions: what they have, and their life. */
#ifndef TYPE0_PARTITION_H
#define TYPE0_PARTITION_H

#include "type0/world.h"

struct partition {
    struct vm vm;
    unsigned index;
    const struct plan_partition *plan;
    struct riscv_vcpu *vcpus; /* plan->vcpu_count */
    struct world *worlds;
    uint64_t entry, tree;  /* where its first hart begins, and a1 */
    _Atomic uint32_t left; /* worlds that have left it since it was to go down */
    unsigned boots;
};

extern struct partition *partitions[PLAN_PARTITIONS_MAX];
extern unsigned partition_count;

/* Builds what the plan says, at boot. NULL: no memory. */
struct partition *partition_new(const struct plan *plan, const struct plan_board *board,
                                unsigned index);
/* Every VCPU as after reset; the first is to run. None runs. */
void partition_begin(struct partition *partition);
/* The world's hart has seen that the partition is no longer on. The last one does what was asked.
 */
void partition_left(struct world *world);

#endif
