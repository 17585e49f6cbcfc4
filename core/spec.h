/*
 * The description of virtual machines in its flattened form: a device tree blob that type 1 and
 * type 0 read at boot and type 2 makes from YAML. Same fields in both.
 *
 *     / { compatible = "trivisor,fleet"; version = <1>;
 *         vm@0 { label = "web"; cpus = <2>; memory = /bits/ 64 <...>; kernel = "..."; ... disk@0 {
 * path = ...; }; }; };
 *
 * (A device tree reserves the property "name".)
 * Strings point into the blob (or the YAML reader's memory) and live as long as it.
 */
#ifndef CORE_SPEC_H
#define CORE_SPEC_H

#include "core/fdt.h"

#define SPEC_VMS_MAX         32
#define SPEC_DISKS_MAX       6
#define SPEC_NETS_MAX        4
#define SPEC_FORWARDS_MAX    16
#define SPEC_CPUS_MAX        64
#define SPEC_PASSTHROUGH_MAX 8
#define SPEC_PINS_MAX        64
#define SPEC_SHARED_MAX      4
#define SPEC_WEIGHT_MAX      10000
#define SPEC_WATCHDOG_MAX    86400 /* seconds */
#define SPEC_MEMORY_MIN      (8ULL << 20)
#define SPEC_MEMORY_MAX      (1ULL << 40)
#define SPEC_SHARED_SIZE_MAX (64ULL << 20)
#define SPEC_CMDLINE_MAX     2047
#define SPEC_VIRTIO_SLOTS    8 /* for disks, nets, entropy, balloon, console */

/*
 * Where a disk is: a file, or "board:N", the N-th virtio block device of the board (type 1 and 0).
 * Under type 1 and 0 a file is packed into the bundle and becomes a disk in memory, whose changes
 * last as long as the hypervisor runs.
 */
struct spec_disk {
    const char *path;
    const char *serial; /* at most 20 characters; NULL: none */
    bool readonly;
    bool fresh; /* type 1 and 0: the file's content again whenever the operator starts the VM */
};

/* USER and TAP: type 2 alone. SWITCH: type 1 and 0 alone, a segment shared by VMs. */
enum spec_net_kind { SPEC_NET_USER, SPEC_NET_TAP, SPEC_NET_SWITCH };

struct spec_forward {
    bool udp;
    uint32_t host_address; /* IPv4, host byte order */
    uint16_t host_port;
    uint16_t guest_port;
};

struct spec_net {
    enum spec_net_kind kind;
    const char *ifname;  /* TAP: 1 to 15 characters; else NULL */
    const char *network; /* SWITCH: its name, as names of VMs are; else NULL */
    const char *uplink;  /* SWITCH: "board:N", the board's N-th network device joins it; or NULL */
    uint8_t mac[6];      /* all zero: chosen from the VM's name */
    struct spec_forward forwards[SPEC_FORWARDS_MAX];
    unsigned forward_count;
};

/* Memory that two VMs have in common, and a doorbell: both name it, with the same size. */
struct spec_shared {
    const char *name; /* as names of VMs are */
    uint64_t size;    /* bytes, a power of two from 4 KiB to SPEC_SHARED_SIZE_MAX */
};

/* What becomes of a VM that has failed: its kernel said so, it cannot go on, or it hangs. */
enum spec_on_failure { SPEC_FAILURE_STOP, SPEC_FAILURE_RESTART };

struct spec_vm {
    const char *name;   /* 1 to 31 of [A-Za-z0-9_.-], the first not of [.-]; unique in the fleet */
    unsigned cpus;      /* 1 to 64 */
    uint64_t memory;    /* bytes, a multiple of 4 KiB */
    const char *kernel; /* NULL if firmware alone */
    const char *initrd; /* or NULL */
    const char *firmware; /* or NULL: our own SBI */
    const char *cmdline;  /* or NULL */
    const char *cpu;      /* type 2: the model of its harts; NULL: the default */
    unsigned vlen;        /* type 2: bits of a vector register, 128, 256 or 512; 0: the default */
    const char *engine;   /* "interp", "jit", "kvm"; NULL: the default */
    bool no_reboot;       /* a reboot request ends the VM */
    bool no_balloon;      /* leave the balloon device out */
    bool lazy_memory;     /* type 1: memory is cleared and mapped when it is first touched */
    bool virtio_console;  /* add a virtio console (hvc0) beside the UART */
    struct spec_disk disks[SPEC_DISKS_MAX];
    unsigned disk_count;
    struct spec_net nets[SPEC_NETS_MAX];
    unsigned net_count;
    /* Type 1 and 0: devices of the board given to this VM, by node name or path in its device tree.
     */
    const char *passthrough[SPEC_PASSTHROUGH_MAX];
    unsigned passthrough_count;
    /* Type 1 alone: its share of the harts, and its keeper. */
    unsigned weight;              /* 1 to SPEC_WEIGHT_MAX; 0: the default, 100 */
    unsigned budget;              /* percent of a hart that each VCPU may have, 1 to 100; 0: all */
    unsigned pins[SPEC_PINS_MAX]; /* the board's harts that may run its VCPUs, by number */
    unsigned pin_count;           /* 0: all */
    unsigned watchdog; /* seconds without a sign of life after which it has failed; 0: never */
    enum spec_on_failure on_failure;
    /* Type 2 and 1: its interrupt controller, "plic" or "aia"; NULL: the PLIC, or what suits the
     * board. */
    const char *irq;
    /* Type 0 alone. */
    bool placed;      /* its RAM begins at `address` (a multiple of 2 MiB); else where it suits */
    bool trusted_dma; /* may have bus masters, which PMP does not confine */
    bool control;     /* may ask the firmware to start and stop others */
    uint64_t address;
    struct spec_shared shared[SPEC_SHARED_MAX];
    unsigned shared_count;
};

struct spec_fleet {
    struct spec_vm vms[SPEC_VMS_MAX];
    unsigned vm_count;
};

/* The first thing wrong with a description, in plain words: "vms[1] (db): cpus: 65 is more than
 * 64". */
struct spec_problem {
    char text[200];
    int vm;         /* which VM it is about, or -1 */
    unsigned words; /* where in `text` the part "key: what is wrong" begins */
};

/* Whether `text` is "board:N" (N at most 99, without leading zeros); *index gets N. */
bool spec_board_index(const char *text, unsigned *index);
/*
 * Whether the VM's /dev/console is its virtio console: it has one, and the last console= of the
 * command line names hvc.
 */
bool spec_console_is_hvc(const struct spec_vm *vm);
/* The address of the network `index` of the VM `name` when none is given. */
void spec_default_mac(const char *name, unsigned index, uint8_t mac[6]);
/*
 * What of the VM's description type 2 cannot do ("disks[0].path: 'board:0' is for bare metal alone
 * ..."), put into `problem`. 0 if there is nothing.
 */
int spec_check_hosted(const struct spec_fleet *fleet, unsigned vm, struct spec_problem *problem);
/*
 * Where disks are the files themselves and no copies: that none is written by one VM and used by
 * another. 0, or -E_INVAL with `problem` filled. Of a description that spec_check accepts.
 */
int spec_check_files(const struct spec_fleet *fleet, struct spec_problem *problem);
/* Checks values, ranges and names across the fleet. 0, or -E_INVAL with `problem` filled. */
int spec_check(const struct spec_fleet *fleet, struct spec_problem *problem);
/* Writes the flattened form of a description that spec_check accepts. Its size, or a negative
 * error. */
long spec_flatten(const struct spec_fleet *fleet, void *buf, size_t capacity);
/* Reads it back (and checks it). */
int spec_read(struct spec_fleet *fleet, const void *blob, size_t size,
              struct spec_problem *problem);

/*
 * The same without spec_check: for firmware, which has little room and checks what it makes of the
 * description. Strings, counts and arrays are sound.
 */
int spec_decode(struct spec_fleet *fleet, const void *blob, size_t size,
                struct spec_problem *problem);

#endif
