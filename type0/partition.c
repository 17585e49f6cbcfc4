/*
 * The life of partitions.
 *
 * Power goes off by vm_power_request, from anywhere; every hart sees it, leaves, and counts itself
 * in `left`. When all have, nothing of the partition runs: the last one says what became of it. A
 * wish to start is taken up by the hart of its first VCPU, which copies the memory's content and
 * lets the others in. Boots are counted after the power is on again (partition_down relies on it).
 */
#include "type0/partition.h"

#include "core/error.h"
#include "core/host.h"
#include "core/image.h"
#include "core/print.h"
#include "type0/board.h"
#include "type0/context.h"
#include "type0/panic.h"
#include "vmm/entropy.h"
#include "vmm/partition_tree.h"

#define KERNEL_ALIGN 0x200000ULL
#define PAGE         4096ULL
#define TREE_MAX     0x10000ULL
#define SEED_SIZE    32 /* bytes: what Linux's generator takes as its key */

struct partition *partitions[PLAN_PARTITIONS_MAX];
unsigned partition_count;

static const struct plan *the_plan;
static const struct plan_board *the_board;
static struct entropy_pool pool; /* for the partitions' seeds */

/* ---- Seeds ---- */

static uint64_t clocks(void)
{
    return hcsr_read(MCSR_MCYCLE) << 20 ^ ticks_now();
}

void partitions_seed(const void *seed, size_t size)
{
    entropy_init(&pool, clocks);
    entropy_add(&pool, ENTROPY_SEED, seed, size);
    entropy_settle(&pool);
}

/* ---- Building ---- */

static bool add_memory(struct partition *partition)
{
    const struct plan_partition *plan = partition->plan;
    for (unsigned i = 0; i < plan->ram_count; i++) {
        const struct plan_range *ram = &plan->ram[i];
        /* Nobody logs writes or translates code, so there are no flags. */
        if (mem_slot_add(&partition->vm.mem, ram->base, ram->size, (void *)(uintptr_t)ram->base,
                         NULL) != 0)
            return false;
    }
    return true;
}

/* What walks its page tables here (riscv_translate) knows no PMP but this: the hart checks. */
static void open_pmp(struct riscv_vcpu *vcpu)
{
    vcpu->pmp[0] = (struct riscv_pmp){.last = UINT64_MAX, .cfg = PMP_R | PMP_W | PMP_X};
    vcpu->pmp_count = 1;
}

static void add_world(struct partition *p, unsigned i)
{
    struct riscv_vcpu *vcpu = &p->vcpus[i];
    struct world *world = &p->worlds[i];
    struct hart *hart = harts[p->plan->harts[i]];
    unsigned weight = the_plan->harts[p->plan->harts[i]].sharers[hart->world_count].weight;

    vcpu_init(&vcpu->vcpu, &p->vm, i);
    open_pmp(vcpu);
    *world = (struct world){.vcpu = vcpu, .partition = p, .hart = hart, .weight = weight};
    if (plan_hart_shared(the_plan, p->plan->harts[i])) {
        world->context = context_new();
        if (world->context == NULL)
            panic("no memory");
    }
    vcpu->vcpu.engine_data = world;
    p->vm.vcpus[p->vm.vcpu_count++] = &vcpu->vcpu;
    hart->worlds[hart->world_count++] = world;
    if (plan_pmp(the_plan, the_board, p->index, p->plan->harts[i], world->pmp) < 0)
        panic("too few PMP entries");
}

static void find_files(struct partition *p, const struct bundle *bundle)
{
    const struct spec_vm *spec = p->plan->spec;
    if (spec->kernel != NULL)
        p->kernel = bundle_file(bundle, spec->kernel, &p->kernel_size);
    if (spec->initrd != NULL)
        p->initrd = bundle_file(bundle, spec->initrd, &p->initrd_size);
}

/* Its devices that the firmware plays. */
static bool add_devices(struct partition *p)
{
    const struct plan_board *board = the_board;
    const struct plan_partition *part = p->plan;

    console_port_init(&p->port, p->vm.name, p->index);
    if (board->uart >= 0 && !part->has_uart &&
        bus_add(&p->vm.bus, "uart", board->devices[board->uart].regs[0].base, NS16550A_SIZE,
                &ns16550a_bus_ops, &p->port.uart) != 0)
        return false;
    if (board->plic_node < 0)
        return true;
    p->plic.registers = (volatile uint32_t *)(uintptr_t)board->plic.base;
    p->plic.size = board->plic.size;
    p->plic.lines = part->lines;
    p->plic.contexts = host_alloc(sizeof p->plic.contexts[0] * part->vcpu_count, 8);
    host_lock_init(&p->plic.lock);
    for (unsigned i = 0; i < part->vcpu_count && p->plic.contexts != NULL; i++) {
        uint32_t number = board->harts[part->harts[i]].plic_context;
        bool shared = plan_hart_shared(the_plan, part->harts[i]);
        if (number != PLAN_NONE)
            p->plic.contexts[p->plic.count++] =
                (struct plic_context){.number = number, .shared = shared, .live = !shared};
        if (number != PLAN_NONE && shared)
            p->worlds[i].plic = &p->plic.contexts[p->plic.count - 1];
    }
    return p->plic.contexts != NULL && bus_add(&p->vm.bus, "plic", board->plic.base,
                                               board->plic.size, &plic_view_bus_ops, &p->plic) == 0;
}

struct partition *partition_new(const struct plan *plan, const struct plan_board *board,
                                const struct bundle *bundle, unsigned index)
{
    const struct plan_partition *part = &plan->partitions[index];
    struct partition *p = host_alloc(sizeof *p, 64);
    if (p == NULL)
        return NULL;
    p->vcpus = host_alloc(sizeof p->vcpus[0] * part->vcpu_count, 64);
    p->worlds = host_alloc(sizeof p->worlds[0] * part->vcpu_count, 64);
    if (p->vcpus == NULL || p->worlds == NULL)
        return NULL;
    the_plan = plan;
    the_board = board;
    p->index = index;
    p->plan = part;
    vm_init(&p->vm, part->spec != NULL ? part->spec->name : "board");
    atomic_store(&p->vm.power, VM_POWER_OFF);
    atomic_store(&p->left, part->vcpu_count);
    p->vm.engine = &world_engine;
    p->vm.engine_data = p;
    if (!add_memory(p))
        return NULL;
    for (unsigned i = 0; i < part->vcpu_count; i++)
        add_world(p, i);
    if (bundle != NULL) {
        find_files(p, bundle);
        if (!add_devices(p))
            return NULL;
    }
    return p;
}

/* ---- Windows ---- */

void partition_windows_clear(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->window_count; i++)
        memset((void *)(uintptr_t)plan->windows[i].range.base, 0, plan->windows[i].range.size);
}

bool partition_ring(struct partition *p, uint64_t window)
{
    if (window >= the_plan->window_count)
        return false;
    const unsigned *ends = the_plan->windows[window].partitions;
    if (ends[0] != p->index && ends[1] != p->index)
        return false;
    struct partition *other = partitions[ends[ends[0] == p->index]];
    atomic_fetch_or(&other->rung, UINT32_C(1) << window);
    riscv_vcpu_irq(&other->vcpus[0], IRQ_SSI, true);
    return true;
}

/* ---- Starting ---- */

/* A command finds a partition as it was before partition_begin, or as it is after. */
static struct host_lock life;

void partition_begin(struct partition *p)
{
    for (unsigned i = 0; i < p->vm.vcpu_count; i++) {
        p->worlds[i].locked = 0;
        p->worlds[i].medeleg = features.medeleg;
        if (p->plan->everything) /* nothing that faults is answered by the firmware */
            p->worlds[i].medeleg |= 1 << CAUSE_LOAD_ACCESS | 1 << CAUSE_STORE_ACCESS;
        if (p->worlds[i].context != NULL) /* WFI is to give the hart away */
            p->worlds[i].medeleg &= ~(1ULL << CAUSE_ILLEGAL);
        riscv_vcpu_start_supervisor(&p->vcpus[i], 0, 0);
        atomic_store(&p->vcpus[i].vcpu.run_state, VCPU_STOPPED);
    }
    riscv_vcpu_start_supervisor(&p->vcpus[0], p->entry, p->tree);
    atomic_store(&p->vcpus[0].vcpu.run_state, VCPU_RUNNING);
    atomic_store(&p->left, 0);
    atomic_store(&p->rung, 0);
    p->why[0] = 0;
    /* What was asked while it was loaded: this is the start; who wants it off has it so at once. */
    host_lock_acquire(&life);
    bool stop = atomic_exchange(&p->wish, WISH_NOTHING) == WISH_STOP;
    atomic_store(&p->vm.power, VM_POWER_ON);
    atomic_fetch_add(&p->boots, 1);
    host_lock_release(&life);
    if (stop)
        vm_power_request(&p->vm, VM_POWER_OFF, 0, NULL);
    vm_kick_all(&p->vm);
}

/* The kernel at the beginning of its memory, the device tree at the end, the initrd before that. */
static int load(struct partition *p)
{
    const struct plan_range *ram = &p->plan->ram[0];
    struct image image;
    uint64_t end;

    if (p->kernel == NULL || (p->plan->spec->initrd != NULL && p->initrd == NULL)) {
        partition_fail(p, "the bundle does not hold its kernel or initrd");
        return -E_NOENT;
    }
    memset((void *)(uintptr_t)ram->base, 0, ram->size);
    if (image_open(&image, p->kernel, p->kernel_size) != 0) {
        partition_fail(p, "its kernel %s", image.problem);
        return -E_NOEXEC;
    }
    uint64_t at = ram->base;
    if (image.kind == IMAGE_LINUX)
        at += image.text_offset & ~(KERNEL_ALIGN - 1);
    p->tree = ram->base + ram->size - TREE_MAX;
    uint64_t initrd = (p->tree - p->initrd_size) & ~(PAGE - 1);
    if (image_load(&image, &p->vm.mem, at, &p->entry, &end) != 0 || p->initrd_size > ram->size ||
        initrd < end || end > p->tree) {
        partition_fail(p, "its kernel and initrd do not fit into its memory; give it more");
        return -E_NOSPC;
    }
    memcpy((void *)(uintptr_t)initrd, p->initrd, p->initrd_size);
    uint8_t seed[SEED_SIZE];
    struct partition_boot boot = {
        .initrd = initrd, .initrd_size = p->initrd_size, .seed = seed, .seed_size = sizeof seed};
    pool.backend.fill(&pool.backend, seed, sizeof seed);
    uint8_t *tree = (uint8_t *)(uintptr_t)p->tree;
    long size = partition_tree_write(tree, TREE_MAX, the_plan, the_board, p->index, &boot);
    if (size < 0) {
        partition_fail(p, "its device tree does not fit");
        return -E_NOSPC;
    }
    memset(tree + size, 0, TREE_MAX - (uint64_t)size); /* what the writer has left there */
    return 0;
}

void partition_boot(struct partition *p)
{
    uint64_t since = ticks_now();
    if (load(p) != 0)
        return;
    uint64_t now = ticks_now(), us = 1000000;
    console_port_reset(&p->port);
    partition_begin(p);
    /* Its first instruction is still to come, but it can be stopped: who reads this may ask for it.
     */
    console_line("%s: begins %lu us after reset, %lu us of them to fill its memory", p->vm.name,
                 (unsigned long)(now * us / features.timebase),
                 (unsigned long)((now - since) * us / features.timebase));
}

/* ---- Stopping ---- */

void partition_fail(struct partition *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vformat(p->why, sizeof p->why, format, arguments);
    va_end(arguments);
    console_line("%s: %s", p->vm.name, p->why);
}

static _Noreturn void board_follows(struct partition *p, enum vm_power power)
{
    board_power(power == VM_POWER_OFF      ? BOARD_OFF
                : power == VM_POWER_REBOOT ? BOARD_REBOOT
                                           : BOARD_FAILED,
                p->vm.power_code);
}

/* Functions that answer are no bus masters any more (PCI 3.0, 6.2.2; ECAM: PCIe 4.0, 7.2.2). */
static void stop_functions(const struct plan_range *ecam)
{
    enum { FUNCTION_SIZE = 4096, COMMAND = 4, BUS_MASTER = 4 };
    for (uint64_t at = ecam->base; at - ecam->base < ecam->size; at += FUNCTION_SIZE) {
        volatile uint16_t *function = (volatile uint16_t *)(uintptr_t)at;
        if (function[0] != 0xffff)
            function[COMMAND / 2] &= (uint16_t)~BUS_MASTER;
    }
}

/* Its bus masters stop before its memory is written. Of others than these nothing is known. */
static void stop_devices(const struct partition *p)
{
    enum { VIRTIO_MMIO_STATUS = 0x70 }; /* virtio 1.2, 4.2.2: 0 resets the device */
    for (unsigned i = 0; i < p->plan->device_count; i++) {
        const struct plan_device *device = &the_board->devices[p->plan->devices[i]];
        const char *compatible = fdt_str(the_board->fdt, device->node, "compatible");
        if (device->virtio)
            *(volatile uint32_t *)(uintptr_t)(device->regs[0].base + VIRTIO_MMIO_STATUS) = 0;
        else if (compatible != NULL && strcmp(compatible, "pci-host-ecam-generic") == 0)
            stop_functions(&device->regs[0]);
    }
}

/* All its harts have left. */
static void ended(struct partition *p)
{
    const struct spec_vm *spec = p->plan->spec;
    bool again = false;

    stop_devices(p);
    if (p->plic.registers != NULL)
        plic_view_quiesce(&p->plic);
    switch (vm_power_state(&p->vm)) {
    case VM_POWER_REBOOT:
        again = !spec->no_reboot;
        console_line("%s: %s", p->vm.name, again ? "reboots" : "asks for a reboot, and is off");
        break;
    case VM_POWER_FAILED:
        text_format(p->why, sizeof p->why, "%s",
                    p->vm.power_message != NULL ? p->vm.power_message : "its kernel says so");
        again = spec->on_failure == SPEC_FAILURE_RESTART;
        console_line("%s: has failed: %s%s", p->vm.name, p->why, again ? "; it is restarted" : "");
        break;
    default: console_line("%s: is off", p->vm.name); break;
    }
    uint32_t nothing = WISH_NOTHING; /* else the operator's word goes before */
    if (again)
        atomic_compare_exchange_strong(&p->wish, &nothing, WISH_START);
}

void partition_down(struct world *world)
{
    struct partition *p = world->partition;
    /* In this order: with a count of boots that is new, the power that is off is so anew. */
    uint32_t boots = atomic_load(&p->boots);
    enum vm_power power = vm_power_state(&p->vm);

    if (power == VM_POWER_ON)
        return;
    if (p->plan->everything)
        board_follows(p, power);
    if (world->left != boots) {
        world->left = boots;
        if (atomic_fetch_add(&p->left, 1) + 1 == p->vm.vcpu_count) {
            ended(p);
            hart_signal(p->worlds[0].hart);
        }
    }
    if (world == &p->worlds[0] && atomic_load(&p->left) == p->vm.vcpu_count &&
        atomic_exchange(&p->wish, WISH_NOTHING) == WISH_START)
        partition_boot(p);
}

bool partitions_all_off(bool *failed)
{
    *failed = false;
    for (unsigned i = 0; i < partition_count; i++) {
        const struct partition *p = partitions[i];
        if (partition_is_on(p) || atomic_load(&p->left) != p->vm.vcpu_count ||
            atomic_load(&p->wish) == WISH_START)
            return false;
        *failed = *failed || p->why[0] != 0;
    }
    return true;
}

/* Whether it runs; unless that is to stay so, the wish is noted and it goes down first. */
static bool ask(struct partition *p, enum partition_wish wish, bool stays)
{
    host_lock_acquire(&life);
    bool on = partition_is_on(p);
    if (!on || !stays)
        atomic_store(&p->wish, wish);
    if (on && !stays)
        vm_power_request(&p->vm, VM_POWER_OFF, 0, NULL);
    host_lock_release(&life);
    hart_signal(p->worlds[0].hart);
    return on;
}

bool partition_start(struct partition *p)
{
    return !ask(p, WISH_START, true);
}

bool partition_stop(struct partition *p)
{
    return ask(p, WISH_STOP, false);
}

bool partition_restart(struct partition *p)
{
    ask(p, WISH_START, false);
    return true;
}
