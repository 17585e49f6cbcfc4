/*
 * The virtual board: memory-map compatible with QEMU's `virt`, so that kernels, firmware and disk
 * images made for that board boot unchanged. This is the one place where devices are placed, wired
 * and described.
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "core/image.h"
#include "core/spec.h"
#include "devices/aclint.h"
#include "devices/aplic.h"
#include "devices/backend.h"
#include "devices/finisher.h"
#include "devices/ns16550a.h"
#include "devices/plic.h"
#include "devices/rtc.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "riscv/aia.h"
#include "riscv/vcpu.h"

#define BOARD_ROM_BASE      0x1000ULL /* reset vector, 60 KiB of ROM */
#define BOARD_ROM_SIZE      0xf000ULL
#define BOARD_FINISHER      0x100000ULL
#define BOARD_RTC           0x101000ULL
#define BOARD_CLINT         0x2000000ULL /* MSWI, then MTIMER, as SiFive's CLINT */
#define BOARD_SSWI          0x2f00000ULL /* ACLINT supervisor software interrupts */
#define BOARD_PLIC          0xc000000ULL
#define BOARD_APLIC_M       0xc000000ULL /* AIA, in place of the PLIC: machine level's domain */
#define BOARD_APLIC         0xd000000ULL /* supervisor level's */
#define BOARD_UART          0x10000000ULL
#define BOARD_VIRTIO        0x10001000ULL
#define BOARD_VIRTIO_STRIDE 0x1000ULL
#define BOARD_VIRTIO_SLOTS  8
#define BOARD_IMSIC_M       0x24000000ULL /* interrupt files of machine level, a page a hart */
#define BOARD_IMSIC         0x28000000ULL /* supervisor level: a page a hart, with H 8 */
#define BOARD_RAM           0x80000000ULL
#define BOARD_FDT_MAX       0x20000 /* 64 harts need some 80 KiB */

enum board_line { BOARD_IRQ_VIRTIO = 1, BOARD_IRQ_UART = 10, BOARD_IRQ_RTC = 11 };

/* What the hypervisor puts behind the board's devices. NULL: the device is left out (uart: goes
 * nowhere). */
struct board_backends {
    struct stream_backend *uart;
    struct stream_backend *console; /* virtio console */
    struct block_backend *disks[SPEC_DISKS_MAX];
    unsigned disk_count;
    struct net_backend *nets[SPEC_NETS_MAX];
    unsigned net_count;
    struct entropy_backend *entropy;
    struct reclaim_backend *reclaim; /* balloon */
    /*
     * The harts have interrupt files of imsic_ids identities at BOARD_IMSIC, which the hypervisor
     * provides: there is an APLIC in place of the PLIC, and `imsic` takes its messages. imsic_ids
     * 0: none.
     */
    struct msi imsic;
    uint32_t imsic_ids;
    /*
     * The same, with files that are the board's own (riscv/aia.h): of S-mode, of `aia_guests`
     * guests and, with aia_machine, of M-mode, for whose software there is an APLIC's domain then.
     */
    bool aia, aia_machine;
    unsigned aia_guests; /* 0 or AIA_GUESTS_MAX */
    bool no_rom; /* for guests that start under our own SBI alone: no boot ROM, no firmware */
};

/* Plain blobs, already unpacked. bytes == NULL: none. */
struct board_blob {
    const void *bytes;
    size_t size;
};
struct board_payload {
    struct board_blob kernel, initrd, firmware;
    const char *cmdline;
    uint8_t rng_seed[32]; /* /chosen rng-seed */
};

/* The CPU that the device tree describes; for engines whose guests run on the real one. */
struct board_cpu {
    const char *const *extensions;               /* names in canonical order, NULL at the end */
    const char *mmu_type;                        /* "riscv,sv39", ... or NULL: none is named */
    uint32_t cbom_block, cbop_block, cboz_block; /* bytes; 0: not said */
    uint64_t timebase;                           /* Hz */
};

struct board {
    struct vm *vm;
    const struct board_cpu *cpu; /* NULL (set by board_init): the CPU of our software engines */
    struct riscv_vcpu *harts;    /* vm->vcpu_count of them */
    struct plic plic;
    struct aplic aplic; /* instead, if backends.imsic_ids is not 0 */
    struct imsic_pages imsic_s, imsic_m;
    struct riscv_aia *aia; /* of each hart, if backends.aia */
    struct aclint aclint;
    struct ns16550a uart;
    struct rtc rtc;
    struct finisher finisher;
    struct virtio_mmio slots[BOARD_VIRTIO_SLOTS];
    unsigned slot_count;
    struct virtio_blk *blks[SPEC_DISKS_MAX]; /* each with its requests behind it */
    struct virtio_net *nets[SPEC_NETS_MAX];
    struct virtio_console console;
    struct virtio_rng rng;
    struct virtio_balloon balloon;
    struct board_backends backends;
    /* Adds nodes of devices that are not the board's own to its root. NULL (set by board_init).
     * Lines are those of `plic_phandle`, in one cell, and of `aplic_phandle`, in two; 0: there is
     * none. */
    void (*describe_more)(void *arg, struct fdt_writer *w, uint32_t plic_phandle,
                          uint32_t aplic_phandle);
    void *describe_arg;
    uint8_t *rom; /* BOARD_ROM_SIZE bytes, a read-only slot of guest memory; NULL: there is none */
    _Atomic uint8_t rom_flags[BOARD_ROM_SIZE / MEM_PAGE_SIZE];
    char problem[160]; /* of the last board_boot that failed */
};

/*
 * Builds the machine in `vm` (vm_init done, RAM slot at BOARD_RAM added): VCPUs from `harts`,
 * devices, wiring. 0 or a negative error, and then nothing is left behind: -E_NOSPC more devices
 * than slots, -E_INVAL 0 or more than 64 harts, -E_NOMEM.
 */
int board_init(struct board *board, struct vm *vm, struct riscv_vcpu *harts, unsigned hart_count,
               const struct board_backends *backends);
/*
 * Puts the payload into RAM, makes the device tree and resets every hart and device, ready to run:
 * with firmware from the reset vector (a1 = device tree; a2 = fw_dynamic information when a kernel
 * is given too), else straight into the kernel in S-mode under our own SBI. On an error `*problem`
 * says in plain words what is wrong: -E_NOSPC it does not fit, -E_NOEXEC not an image that can be
 * started, -E_INVAL there is none.
 */
int board_boot(struct board *board, const struct board_payload *payload, const char **problem);
/* What the device tree says besides the board itself. */
struct board_chosen {
    const char *cmdline; /* or NULL */
    uint64_t initrd, initrd_size;
    const uint8_t *rng_seed; /* 32 bytes */
    bool sbi;                /* the kernel runs under our own SBI */
};
/*
 * Writes the device tree into `fdt`, which has BOARD_FDT_MAX bytes; its size, or -E_NOSPC.
 * board_boot does.
 */
long board_describe(struct board *board, const struct board_chosen *chosen, uint8_t *fdt);
/*
 * No virtio device takes anything from a queue any more, until board_thaw, vmm_resume or
 * board_boot. Any thread, VCPUs may run: whoever waits for them freezes first, because two devices
 * that fill each other's rings can keep a VCPU in a notification for ever.
 */
void board_freeze(struct board *board);
/*
 * Freezes the virtio devices and waits until no block request is in flight (VCPUs are parked).
 * Nothing but VCPUs writes guest memory from then on, until board_thaw, vmm_resume or board_boot.
 */
void board_drain(struct board *board);
void board_thaw(struct board *board);
/* VCPUs, controllers and devices; not RAM. The VM is paused and drained. */
void board_state(struct board *board, struct state *state);
void board_fini(struct board *board);

#endif
