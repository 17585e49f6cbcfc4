/* From reset to the first instructions of the partitions. */
#include "core/bundle.h"
#include "core/error.h"
#include "core/host.h"
#include "type0/board.h"
#include "type0/console.h"
#include "type0/context.h"
#include "type0/heap.h"
#include "type0/panic.h"
#include "type0/partition.h"
#include "vmm/partition_tree.h"

#define FDT_SIZE_MAX (2u << 20)
#define FDT_GROWTH   8192u /* what a partition's tree may have more than the board's */
#define FDT_SLACK    8192u /* free room at its end, which boot loaders want for what they add */
#define VIRTIO_MAGIC 0x74726976

/* What the loader says in a2 (OpenSBI, docs/firmware/fw_dynamic.md). */
struct fw_dynamic {
    uint64_t magic, version, next_addr, next_mode, options, boot_hart;
};
#define FW_DYNAMIC_MAGIC 0x4942534f /* "OSBI" */

extern char image_start[], image_end[], heap_start[];
struct hart *boot_main(uint64_t hart_id, const void *blob, const struct fw_dynamic *info,
                       uint64_t began);

static struct hart boot_hart;
static char boot_panic_stack[PANIC_STACK_SIZE] __attribute__((aligned(16)));
static struct fdt fdt; /* a copy of the board's, in our own memory */
static struct plan_board board;
static struct plan plan;
static struct plan_problem problem;
static struct bundle bundle; /* size 0: none */
static struct spec_fleet *fleet;

static _Noreturn void give_up(const char *why)
{
    console_line("%s; nothing is started", why);
    board_power(BOARD_FAILED, 1);
}

/*
 * What is ours: the image, up to image_end; of that, plain firmware reserves no more than it needs.
 * A power of two, and aligned, where the load address allows, so that one PMP entry says it.
 */
static void setup_memory(const void *blob)
{
    uint64_t base = (uint64_t)(uintptr_t)image_start, end = (uint64_t)(uintptr_t)heap_start;
    uint64_t limit = (uint64_t)(uintptr_t)image_end - base;
    uint32_t fdt_size = fdt_total_size(blob);
    uint64_t need = end - base + fdt_size, size = 256 << 10;
    struct fdt given;

    if (fdt_size == 0 || fdt_size > FDT_SIZE_MAX || fdt_open(&given, blob, fdt_size) != 0)
        panic("a1 is no device tree");
    int cpus = fdt_path(&given, "/cpus");
    for (int cpu = fdt_first_child(&given, cpus); cpu >= 0; cpu = fdt_next_sibling(&given, cpu))
        need += sizeof(struct hart) + STACK_SIZE + PANIC_STACK_SIZE + sizeof(struct riscv_vcpu) +
                sizeof(struct world) + 256;
    need += sizeof(struct partition) + 16384; /* and contexts */
    while (size < need && size < limit)
        size *= 2;
    if (bundle.size != 0)
        size = limit;
    heap_setup(end, base + size);
    board.firmware = (struct plan_range){base, size};

    void *copy = host_alloc(fdt_size, 8);
    memcpy(copy, blob, fdt_size);
    fdt_open(&fdt, copy, fdt_size);
}

static void add_harts(void)
{
    for (unsigned i = 0; i < board.hart_count; i++) {
        struct hart *hart = host_alloc(sizeof *hart, 64);
        char *stack = host_alloc(STACK_SIZE, 16), *panic_stack = host_alloc(PANIC_STACK_SIZE, 16);
        if (hart == NULL || stack == NULL || panic_stack == NULL)
            panic("no memory for %u harts", board.hart_count);
        hart->id = board.harts[i].id;
        hart->index = i;
        hart->stack = (uint64_t)(uintptr_t)stack + STACK_SIZE;
        hart->panic_stack = (uint64_t)(uintptr_t)panic_stack + PANIC_STACK_SIZE;
        hart->timer = features.sstc ? TIMER_STIMECMP : TIMER_MACHINE;
        board_hart(&fdt, hart, board.harts[i].intc);
        if (hart->msip == NULL || (hart->mtimecmp == NULL && !features.sstc))
            panic("hart %lu has no software interrupt or timer that the firmware knows",
                  (unsigned long)hart->id);
        harts[hart_count++] = hart;
    }
}

/* What the loader says in the board's tree goes on. */
static struct partition_boot given_boot(void)
{
    int chosen = fdt_path(&fdt, "/chosen");
    uint64_t initrd = fdt_u64(&fdt, chosen, "linux,initrd-start", 0);
    uint64_t end = fdt_u64(&fdt, chosen, "linux,initrd-end", 0);
    struct partition_boot boot = {.initrd = initrd, .initrd_size = end > initrd ? end - initrd : 0};
    uint32_t size = 0;
    boot.seed = fdt_prop(&fdt, chosen, "rng-seed", &size);
    boot.seed_size = size;
    return boot;
}

/* In the header (Devicetree Specification v0.4, 5.2). */
static void put_total_size(uint8_t *blob, uint32_t size)
{
    for (unsigned i = 0; i < 4; i++)
        blob[4 + i] = (uint8_t)(size >> (24 - 8 * i));
}

/* Plain firmware: all is one partition's, which begins where the loader says. */
static void start_plain(void *blob, const struct fw_dynamic *info)
{
    struct partition *p = partition_new(&plan, &board, NULL, 0);
    struct partition_boot boot = given_boot();
    if (p == NULL)
        panic("no memory");
    p->entry = (uint64_t)(uintptr_t)image_start + BUNDLE_PAYLOAD_AT;
    /* It may be anything, and what is meant in a ROM. */
    if (((uintptr_t)info & 7) == 0 && guest_load((uintptr_t)info, 0) >= 0 &&
        info->magic == FW_DYNAMIC_MAGIC && info->next_addr != 0)
        p->entry = info->next_addr;
    p->tree = (uint64_t)(uintptr_t)blob;
    uint32_t capacity = fdt.size + FDT_GROWTH;
    long size = -E_NOSPC;
    if (mem_slot_find(&p->vm.mem, p->tree, capacity + FDT_SLACK))
        size = partition_tree_write(blob, capacity, &plan, &board, 0, &boot);
    if (size < 0)
        panic("no room for the device tree");
    put_total_size(blob, (uint32_t)size + FDT_SLACK);
    if (!mem_slot_find(&p->vm.mem, p->entry, 4))
        give_up("there is no memory where the payload is to be");
    partitions[partition_count++] = p;
    partition_begin(p);
}

/* Each is begun by the hart of its first VCPU. */
static void start_partitions(void)
{
    struct partition_boot boot = given_boot();
    partitions_seed(boot.seed, boot.seed_size);
    partition_windows_clear(&plan);
    for (unsigned i = 0; i < plan.partition_count; i++) {
        struct partition *p = partition_new(&plan, &board, &bundle, i);
        if (p == NULL)
            panic("no memory for %u partitions", plan.partition_count);
        partitions[partition_count++] = p;
        atomic_store(&p->wish, WISH_START);
    }
}

/* Who has the UART would else type what the operator is believed to. */
static void give_devices(void)
{
    for (unsigned i = 0; i < plan.partition_count; i++) {
        const struct plan_partition *p = &plan.partitions[i];
        for (unsigned j = 0; j < p->device_count; j++) {
            const struct plan_device *device = &board.devices[p->devices[j]];
            if (device->master)
                console_line("%s: has %s; there is no IOMMU, so its DMA is trusted", p->spec->name,
                             device->name);
            console_give(device->regs[0].base, device->regs[0].size);
        }
    }
}

/* The bundle behind us, if there is one; where its end is unknown, its own header limits it. */
static void find_bundle(void)
{
    int error = bundle_open(&bundle, image_end, UINT64_MAX >> 1);
    if (error == -E_NOENT)
        bundle.size = 0;
    else if (error != 0)
        panic("the bundle behind the firmware is damaged");
}

/* Which disk or network is behind each virtio-mmio device (virtio 1.2, 4.2.2). */
static void look_at_devices(void)
{
    for (unsigned i = 0; i < board.device_count; i++) {
        struct plan_device *device = &board.devices[i];
        const volatile uint32_t *registers =
            (const volatile uint32_t *)(uintptr_t)device->regs[0].base;
        if (device->virtio && registers[0] == VIRTIO_MAGIC)
            device->virtio_id = registers[2];
    }
    board.virtio_known = true;
}

static void read_fleet(void)
{
    struct spec_problem wrong;
    fleet = host_alloc(sizeof *fleet, 64);
    if (fleet == NULL)
        panic("no memory");
    if (spec_decode(fleet, bundle.spec, bundle.spec_size, &wrong) != 0)
        give_up(wrong.text);
}

/* `began`: ticks at the first instruction, 0 without a time CSR. Returns the boot hart, whose
 * hart_main follows. */
struct hart *boot_main(uint64_t hart_id, const void *blob, const struct fw_dynamic *info,
                       uint64_t began)
{
    struct hart *self = NULL;

    boot_hart.id = hart_id;
    boot_hart.panic_stack = (uint64_t)(uintptr_t)boot_panic_stack + PANIC_STACK_SIZE;
    boot_hart.current = NULL;
    __asm__ volatile("mv tp, %0" ::"r"(&boot_hart) : "memory");
    hcsr_write(MCSR_MSCRATCH, (uint64_t)(uintptr_t)&boot_hart);
    hcsr_write(MCSR_MTVEC, (uint64_t)(uintptr_t)machine_vector);

    find_bundle();
    setup_memory(blob);
    board_setup(&fdt);
    console_setup(&fdt);
    struct plan_range firmware = board.firmware;
    hart_probe(&fdt);
    if (plan_board_read(&board, &fdt, &problem) != 0)
        give_up(problem.text);
    board.firmware = firmware;
    board.bundle = (struct plan_range){(uint64_t)(uintptr_t)image_end, bundle.size};
    board.pmp_entries = features.pmp_entries;
    board.pmp_grain = features.pmp_grain;
    board.aia |= try_read(TRY_SISELECT, &(uint64_t){0});
    if (bundle.size != 0) {
        look_at_devices();
        read_fleet();
    }
    if (plan_make(&plan, &board, fleet, &problem) != 0 || plan_check(&plan, &board, &problem) != 0)
        give_up(problem.text);
    add_harts();
    if (!context_setup())
        panic("no memory");
    if (fleet != NULL)
        start_partitions();
    else
        start_plain((void *)(uintptr_t)blob, info);

    for (unsigned i = 0; i < hart_count; i++) {
        if (harts[i]->id == hart_id)
            self = harts[i];
    }
    if (self == NULL)
        panic("this hart is not in the device tree");
    console_line("type 0, %u hart%s, %u PMP entries, %s%s; ready after %lu us", hart_count,
                 hart_count == 1 ? "" : "s", features.pmp_entries,
                 features.sstc ? "Sstc" : "no Sstc", features.h ? ", H" : "",
                 (unsigned long)(host_time_ns() / 1000 - began * 1000000 / features.timebase));
    if (features.h && !features.mpv_sticks)
        console_line("mstatus.MPV cannot be written: partitions enter their guests from HS-mode");
    give_devices();
    hart_table_ready = 1;
    for (unsigned i = 0; i < hart_count; i++) {
        if (harts[i] != self)
            hart_signal(harts[i]);
    }
    return self;
}
