/*
 * How a board is divided between partitions (type 0): harts, memory, devices, interrupt lines, and
 * the PMP entries that hold it so. Pure: the same code runs in the firmware and in
 * `trivisor validate --type 0`. Addresses are physical; sizes are bytes.
 *
 *     plan_board_read(&board, &fdt, &problem);      the device tree's facts
 *     board.pmp_entries = ...; board.firmware = ...; board.bundle = ...;
 *     plan_make(&plan, &board, &fleet, &problem);   fleet NULL: plain firmware, one partition has
 * all plan_check(&plan, &board, &problem);          an independent look at the result
 *     plan_pmp(&plan, &board, partition, hart, entries);
 *
 * Harts are named by their index in board.harts, which is in the order of hart ids.
 */
#ifndef VMM_PLAN_H
#define VMM_PLAN_H

#include "core/fdt.h"
#include "core/spec.h"
#include "riscv/pmp.h"

#define PLAN_HARTS_MAX      64
#define PLAN_MEMORY_MAX     8
#define PLAN_DEVICES_MAX    64
#define PLAN_REGS_MAX       6
#define PLAN_LINES_MAX      8 /* of one device */
#define PLAN_MACHINE_MAX    8
#define PLAN_PARTITIONS_MAX 16
#define PLAN_SHARERS_MAX    8
#define PLAN_WINDOWS_MAX    16
#define PLAN_REGIONS_MAX    24
#define PLAN_NONE           0xffffffffu

struct plan_range {
    uint64_t base, size;
};

struct plan_board_hart {
    uint64_t id;
    int node;                /* /cpus/cpu@N */
    uint32_t intc;           /* phandle of its interrupt controller */
    uint32_t plic_context;   /* of its S-mode, or PLAN_NONE */
    struct plan_range imsic; /* its S-mode files (with those for guests); size 0: none */
};

/* Anything with registers that a partition may be given. */
struct plan_device {
    int node;
    const char *name; /* the node's: "virtio_mmio@10008000" */
    struct plan_range
        regs[PLAN_REGS_MAX]; /* as addresses of the CPU; of a PCI host also its windows */
    unsigned reg_count;
    uint32_t lines[PLAN_LINES_MAX]; /* of the PLIC or APLIC */
    unsigned line_count;
    bool master;        /* may reach memory by itself: all but what is known not to */
    bool partial;       /* has more registers or lines than are listed here: cannot be given */
    bool virtio;        /* virtio-mmio */
    uint32_t virtio_id; /* what the register DeviceID says: 1 network, 2 disk (see virtio_known) */
};

/* What is known of a board. */
struct plan_board {
    const struct fdt *fdt;
    struct plan_board_hart harts[PLAN_HARTS_MAX];
    unsigned hart_count;
    struct plan_range memory[PLAN_MEMORY_MAX]; /* without what is reserved; sorted, apart */
    unsigned memory_count;
    struct plan_device devices[PLAN_DEVICES_MAX];
    unsigned device_count;
    int uart;      /* index of the console's 16550 in devices, or -1 */
    int plic_node; /* or -1 */
    struct plan_range plic;
    uint32_t plic_lines;        /* riscv,ndev: the highest line */
    int aplic_node, imsic_node; /* of S-mode, or -1 */
    struct plan_range aplic;
    struct plan_range machine[PLAN_MACHINE_MAX]; /* CLINT and all else that is M-mode's alone */
    int machine_nodes[PLAN_MACHINE_MAX];         /* whose each is */
    unsigned machine_count;
    /* The caller's, after plan_board_read, which presumes 16 entries, grain 4, what the tree says
     * of AIA and nothing of ours.
     */
    unsigned pmp_entries; /* that may be used, at most PMP_ENTRIES */
    uint64_t pmp_grain;
    bool aia; /* harts have registers behind siselect, which nobody can switch: none is shared */
    struct plan_range firmware; /* text, data, stacks: nobody's */
    struct plan_range bundle;   /* kept for restarts: nobody's; size 0: none */
    /*
     * The devices' virtio_id are what was read there. Else board:N is taken for the N-th (disks) or
     * the N-th last (networks) virtio-mmio device by address, so that a layout can be checked.
     */
    bool virtio_known;
};

/* A piece of the address space as a partition has it. */
struct plan_region {
    struct plan_range range;
    uint8_t rights; /* PMP_R | PMP_W | PMP_X; 0: refused, comes before what would allow it */
};

/* Memory that two partitions share, with a doorbell. */
struct plan_window {
    const char *name;
    struct plan_range range;
    unsigned partitions[2];
};

struct plan_partition {
    const struct spec_vm *spec;   /* NULL: plain firmware's */
    bool everything;              /* plain: all but what the firmware needs */
    uint8_t harts[SPEC_CPUS_MAX]; /* by VCPU: index in board.harts */
    unsigned vcpu_count;
    struct plan_range ram[PLAN_MEMORY_MAX]; /* one piece, but for plain firmware */
    unsigned ram_count;
    uint8_t devices[SPEC_PASSTHROUGH_MAX]; /* indexes in board.devices */
    unsigned device_count;
    uint32_t lines[1024 / 32]; /* set: an interrupt line of its own */
    bool has_uart;             /* the console's UART is its own; else the firmware plays one */
    /* What it may reach on every hart: refusals first, then by address, neighbours merged. */
    struct plan_region regions[PLAN_REGIONS_MAX];
    unsigned region_count;
};

/* Who runs on a hart: with more than one VCPU it is shared by time slices. */
struct plan_hart {
    struct plan_sharer {
        uint8_t partition, vcpu;
        uint16_t weight; /* 1 to SPEC_WEIGHT_MAX */
    } sharers[PLAN_SHARERS_MAX];
    unsigned sharer_count;
};

struct plan {
    struct plan_partition partitions[PLAN_PARTITIONS_MAX];
    unsigned partition_count;
    struct plan_hart harts[PLAN_HARTS_MAX];
    struct plan_window windows[PLAN_WINDOWS_MAX];
    unsigned window_count;
};

/* The first thing wrong, in plain words. */
struct plan_problem {
    char text[240];
};

/*
 * Reads a board's device tree; `fdt` must stay. -E_INVAL with `problem` for one that is no board's:
 * no hart, no memory, or more harts than PLAN_HARTS_MAX. Memory, devices and machine-mode ranges
 * that it has no room for are left out of what can be given.
 */
int plan_board_read(struct plan_board *board, const struct fdt *fdt, struct plan_problem *problem);
/* Whether a hart lists the extension, in either form (riscv,isa-extensions, riscv,isa). */
bool plan_lists(const struct fdt *fdt, const char *extension);
/* The device that a description calls `name`, a node's name, path or name before '@'; -1: none. */
int plan_board_device(const struct plan_board *board, const char *name);
/* The page that holds threshold and claim of a PLIC context. */
struct plan_range plan_claim_page(const struct plan_board *board, uint32_t context);

/*
 * What a VM's description asks for that no partition can have, in words; NULL: nothing. plan_make,
 * which the firmware has too, says of such a description no more than that it is damaged.
 */
const char *plan_refuses(const struct spec_vm *spec);
/*
 * 0, or -E_INVAL (the description asks for what type 0 has not), -E_NOSPC (it does not fit) with
 * `problem` filled. `fleet` must stay; spec_check need not have seen it. NULL: plain
 * firmware.
 */
int plan_make(struct plan *plan, const struct plan_board *board, const struct spec_fleet *fleet,
              struct plan_problem *problem);
/*
 * Looks at the entries themselves, not at how they came about: no byte can be reached by two
 * partitions but in a window of both; firmware, bundle, machine-mode devices and the shared pages
 * of the PLIC by none; bus masters are only where the description trusts them. 0 or -E_INVAL with
 * `problem`.
 */
int plan_check(const struct plan *plan, const struct plan_board *board,
               struct plan_problem *problem);
/*
 * The entries for a partition while it runs on a hart; those from the result to PMP_ENTRIES are to
 * be off. On a hart of its own it has its claim page of the PLIC; on a shared one the firmware
 * plays it. Their number, or -E_NOSPC.
 */
int plan_pmp(const struct plan *plan, const struct plan_board *board, unsigned partition,
             unsigned hart, struct pmp_entry entries[PMP_ENTRIES]);
/* Whether the partition reaches its interrupt controller's page on that hart by itself. */
static inline bool plan_hart_shared(const struct plan *plan, unsigned hart)
{
    return plan->harts[hart].sharer_count > 1;
}
static inline bool plan_has_line(const struct plan_partition *partition, uint32_t line)
{
    return line < 1024 && (partition->lines[line / 32] >> line % 32 & 1) != 0;
}
/* The names of windows whose doorbell is theirs: index in plan->windows, or -1. */
int plan_window_of(const struct plan *plan, unsigned partition, const char *name);

#endif
