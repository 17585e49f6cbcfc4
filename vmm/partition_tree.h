/*
 * The device tree of a partition (type 0): the board's own, with only what the plan gives it.
 *
 * Harts are numbered from 0; memory, chosen and reserved memory are its own; devices that it was
 * not given are left out, but for what those it has refer to (clocks, regulators, pin controllers,
 * without their registers' addresses being reachable). The PLIC keeps all its contexts, those of
 * foreign harts marked 0xffffffff, so that context numbers are the board's. Without the real UART
 * it sees a 16550 at the same address, with no interrupt, which the firmware plays.
 */
#ifndef VMM_PARTITION_TREE_H
#define VMM_PARTITION_TREE_H

#include "vmm/plan.h"

struct partition_boot {
    uint64_t initrd, initrd_size; /* size 0: none */
    const void *seed;             /* for rng-seed; NULL: none */
    size_t seed_size;
    const char *bootargs; /* NULL: the description's; plain firmware: the board's */
};

/* Writes the tree. Its size, or a negative error (-E_NOSPC: `capacity` is too small). */
long partition_tree_write(void *buf, size_t capacity, const struct plan *plan,
                          const struct plan_board *board, unsigned partition,
                          const struct partition_boot *boot);

#endif
