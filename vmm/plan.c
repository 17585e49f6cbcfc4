#include "vmm/plan_impl.h"

#define RIGHTS_ALL    (PMP_R | PMP_W | PMP_X)
#define RIGHTS_DEVICE (PMP_R | PMP_W)
#define FREE_MAX      (PLAN_MEMORY_MAX + PLAN_PARTITIONS_MAX + PLAN_WINDOWS_MAX)
#define WEIGHT        100
#define VIRTIO_NET    1 /* virtio 1.2, 5 */
#define VIRTIO_DISK   2

struct making {
    struct plan *plan;
    const struct plan_board *board;
    const struct spec_fleet *fleet;
    struct plan_problem *problem;
    struct plan_range free[FREE_MAX];
    unsigned free_count;
};

static uint64_t align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

static bool power_of_two(uint64_t value)
{
    return (value & (value - 1)) == 0;
}

static uint64_t at_least(uint64_t value, uint64_t least)
{
    return value > least ? value : least;
}

/* ---- Wishes ---- */

/* What spec_check and plan_refuses would not have let through. The firmware has no room for their
 * words. */
static bool is_sound(const struct spec_vm *spec)
{
    bool sound = spec->name != NULL && spec->cpus >= 1 && spec->cpus <= SPEC_CPUS_MAX &&
                 spec->memory >= PLAN_PAGE && spec->memory <= SPEC_MEMORY_MAX &&
                 spec->memory % PLAN_PAGE == 0 && spec->weight <= SPEC_WEIGHT_MAX &&
                 spec->address % PLAN_ALIGN == 0 && spec->firmware == NULL && spec->kernel != NULL;
    unsigned number;
    for (unsigned i = 0; i < spec->disk_count; i++)
        sound = sound && spec_board_index(spec->disks[i].path, &number) && !spec->disks[i].readonly;
    for (unsigned i = 0; i < spec->net_count; i++)
        sound = sound && spec_board_index(spec->nets[i].uplink, &number);
    for (unsigned i = 0; i < spec->passthrough_count; i++)
        sound = sound && spec->passthrough[i] != NULL;
    for (unsigned i = 0; i < spec->shared_count; i++) {
        const struct spec_shared *shared = &spec->shared[i];
        sound = sound && shared->name != NULL && power_of_two(shared->size) &&
                shared->size >= PLAN_PAGE && shared->size <= SPEC_SHARED_SIZE_MAX;
    }
    return sound;
}

static int check_wishes(struct making *m, unsigned p)
{
    if (is_sound(&m->fleet->vms[p]))
        return 0;
    return plan_fail(m->problem, -E_INVAL, "partition %u: its description is damaged", p);
}

/* ---- Harts ---- */

static int add_vcpu(struct making *m, unsigned p, unsigned h)
{
    struct plan_partition *partition = &m->plan->partitions[p];
    struct plan_hart *hart = &m->plan->harts[h];
    const struct spec_vm *spec = partition->spec;

    if (hart->sharer_count == (m->board->aia ? 1 : PLAN_SHARERS_MAX))
        return plan_fail(m->problem, -E_NOSPC,
                         "partition %u (%s): hart %u has %u VCPU%s; give them fewer, or "
                         "other harts",
                         p, spec->name, (unsigned)m->board->harts[h].id, hart->sharer_count,
                         m->board->aia ? " already, and registers of AIA that cannot be shared"
                                       : "s already");
    hart->sharers[hart->sharer_count++] = (struct plan_sharer){
        .partition = (uint8_t)p,
        .vcpu = (uint8_t)partition->vcpu_count,
        .weight = (uint16_t)(spec != NULL && spec->weight != 0 ? spec->weight : WEIGHT),
    };
    partition->harts[partition->vcpu_count++] = (uint8_t)h;
    return 0;
}

static int hart_by_id(const struct plan_board *board, uint64_t id)
{
    for (unsigned h = 0; h < board->hart_count; h++) {
        if (board->harts[h].id == id)
            return (int)h;
    }
    return -1;
}

/* VCPUs go round the harts that the description names. */
static int place_pinned(struct making *m, unsigned p)
{
    const struct spec_vm *spec = &m->fleet->vms[p];
    for (unsigned i = 0; i < spec->pin_count; i++) {
        if (hart_by_id(m->board, spec->pins[i]) < 0)
            return plan_fail(m->problem, -E_INVAL,
                             "partition %u (%s): pin[%u]: the board has no hart %u", p, spec->name,
                             i, spec->pins[i]);
    }
    for (unsigned v = 0; v < spec->cpus; v++) {
        int error = add_vcpu(m, p, (unsigned)hart_by_id(m->board, spec->pins[v % spec->pin_count]));
        if (error != 0)
            return error;
    }
    return 0;
}

static bool is_pinned(const struct making *m, unsigned h)
{
    for (unsigned p = 0; p < m->fleet->vm_count; p++) {
        const struct spec_vm *spec = &m->fleet->vms[p];
        for (unsigned i = 0; i < spec->pin_count; i++) {
            if (spec->pins[i] == m->board->harts[h].id)
                return true;
        }
    }
    return false;
}

/* Each VCPU takes the hart with fewest; of equals one that nobody named. */
static int place_anywhere(struct making *m, unsigned p)
{
    const struct plan_hart *harts = m->plan->harts;
    for (unsigned v = 0; v < m->fleet->vms[p].cpus; v++) {
        unsigned best = 0;
        for (unsigned h = 1; h < m->board->hart_count; h++) {
            if (harts[h].sharer_count < harts[best].sharer_count ||
                (harts[h].sharer_count == harts[best].sharer_count && is_pinned(m, best) &&
                 !is_pinned(m, h)))
                best = h;
        }
        int error = add_vcpu(m, p, best);
        if (error != 0)
            return error;
    }
    return 0;
}

static int place_vcpus(struct making *m)
{
    int error = 0;
    for (unsigned p = 0; p < m->fleet->vm_count && error == 0; p++) {
        if (m->fleet->vms[p].pin_count > 0)
            error = place_pinned(m, p);
    }
    for (unsigned p = 0; p < m->fleet->vm_count && error == 0; p++) {
        if (m->fleet->vms[p].pin_count == 0)
            error = place_anywhere(m, p);
    }
    return error;
}

/* ---- Devices ---- */

static int owner_of(const struct plan *plan, unsigned device)
{
    for (unsigned p = 0; p < plan->partition_count; p++) {
        const struct plan_partition *partition = &plan->partitions[p];
        for (unsigned i = 0; i < partition->device_count; i++) {
            if (partition->devices[i] == device)
                return (int)p;
        }
    }
    return -1;
}

/* `name` is what the description calls it; `index` negative: there is no such device. */
static int give_device(struct making *m, unsigned p, int index, const char *name)
{
    struct plan_partition *partition = &m->plan->partitions[p];
    const char *who = partition->spec->name;

    if (index < 0)
        return plan_fail(m->problem, -E_INVAL,
                         "partition %u (%s): the board has no device '%s' that can be given; name "
                         "a node of its device tree with registers",
                         p, who, name);
    if (partition->device_count == SPEC_PASSTHROUGH_MAX)
        return plan_fail(m->problem, -E_INVAL, "partition %u (%s): more than %u devices", p, who,
                         SPEC_PASSTHROUGH_MAX);
    const struct plan_device *device = &m->board->devices[index];
    int owner = owner_of(m->plan, (unsigned)index);
    if (owner >= 0)
        return plan_fail(m->problem, -E_INVAL, "partition %u (%s): partition %u has %s already", p,
                         who, (unsigned)owner, device->name);
    if (device->partial)
        return plan_fail(m->problem, -E_INVAL,
                         "partition %u (%s): %s has registers or interrupts that cannot be given",
                         p, who, device->name);
    if (device->line_count != 0 && m->board->aplic_node >= 0)
        return plan_fail(m->problem, -E_INVAL,
                         "partition %u (%s): %s interrupts through an APLIC, which type 0 cannot "
                         "divide; leave it out, or use a board with a PLIC",
                         p, who, device->name);
    if (device->master && !partition->spec->trusted_dma)
        return plan_fail(m->problem, -E_INVAL,
                         "partition %u (%s): %s can reach all memory by DMA, which PMP does not "
                         "confine; write trusted_dma: true if the partition is trusted with that",
                         p, who, device->name);
    partition->devices[partition->device_count++] = (uint8_t)index;
    for (unsigned i = 0; i < device->line_count; i++)
        partition->lines[device->lines[i] / 32] |= 1u << device->lines[i] % 32;
    partition->has_uart = partition->has_uart || index == m->board->uart;
    return 0;
}

/* board:N of that kind: -1 if there is none. */
static int virtio_device(const struct plan_board *board, uint32_t id, const char *name)
{
    unsigned wanted = PLAN_NONE;
    spec_board_index(name, &wanted);
    for (unsigned d = 0; d < board->device_count; d++) {
        const struct plan_device *device = &board->devices[d];
        unsigned before = 0;
        if (!device->virtio || (board->virtio_known && device->virtio_id != id))
            continue;
        for (unsigned i = 0; i < board->device_count; i++) {
            const struct plan_device *other = &board->devices[i];
            bool below = other->regs[0].base < device->regs[0].base;
            if (other->virtio && i != d &&
                (board->virtio_known ? other->virtio_id == id && below
                                     : below == (id == VIRTIO_DISK)))
                before++;
        }
        if (before == wanted)
            return (int)d;
    }
    return -1;
}

static int give_devices(struct making *m, unsigned p)
{
    const struct spec_vm *spec = &m->fleet->vms[p];
    const struct plan_board *board = m->board;
    int error = 0;
    for (unsigned i = 0; i < spec->passthrough_count && error == 0; i++)
        error =
            give_device(m, p, plan_board_device(board, spec->passthrough[i]), spec->passthrough[i]);
    for (unsigned i = 0; i < spec->disk_count && error == 0; i++)
        error = give_device(m, p, virtio_device(board, VIRTIO_DISK, spec->disks[i].path),
                            spec->disks[i].path);
    for (unsigned i = 0; i < spec->net_count && error == 0; i++)
        error = give_device(m, p, virtio_device(board, VIRTIO_NET, spec->nets[i].uplink),
                            spec->nets[i].uplink);
    return error;
}

/* What stands in the way of giving a piece of the address space to a partition; NULL: nothing. */
static const char *obstacle(const struct making *m, unsigned p, struct plan_range range)
{
    const struct plan_board *board = m->board;
    for (unsigned i = 0; i < board->machine_count; i++) {
        if (plan_overlap(range, board->machine[i]))
            return "a device of the firmware";
    }
    for (unsigned i = 0; i < board->memory_count; i++) {
        if (plan_overlap(range, board->memory[i]))
            return "memory";
    }
    if (plan_overlap(range, board->firmware) || plan_overlap(range, board->bundle))
        return "the firmware";
    if (plan_overlap(range, board->plic) || plan_overlap(range, board->aplic))
        return "the interrupt controller";
    for (unsigned h = 0; h < board->hart_count; h++) {
        if (plan_overlap(range, board->harts[h].imsic))
            return "the interrupt controller";
    }
    for (unsigned d = 0; d < board->device_count; d++) {
        for (unsigned i = 0; i < board->devices[d].reg_count; i++) {
            if (plan_overlap(range, board->devices[d].regs[i]) && owner_of(m->plan, d) != (int)p)
                return board->devices[d].name;
        }
    }
    return NULL;
}

static struct plan_range widened(struct plan_range range, uint64_t align)
{
    uint64_t base = align_down(range.base, align);
    return (struct plan_range){base, align_up(range.base + range.size, align) - base};
}

/* ---- Regions ---- */

static bool comes_before(const struct plan_region *a, const struct plan_region *b)
{
    if ((a->rights == 0) != (b->rights == 0))
        return a->rights == 0;
    return a->range.base < b->range.base;
}

/* Into its place; merged with neighbours of the same rights. False: no room. */
static bool add_region(struct plan_region *list, unsigned *count, unsigned max,
                       struct plan_range range, uint8_t rights)
{
    struct plan_region new = {range, rights};
    unsigned kept = 0;

    for (unsigned i = 0; i < *count; i++) {
        struct plan_range old = list[i].range;
        uint64_t end = old.base + old.size, new_end = new.range.base + new.range.size;
        if (list[i].rights != rights || end < new.range.base || old.base > new_end) {
            list[kept++] = list[i];
            continue;
        }
        new.range.base = old.base < new.range.base ? old.base : new.range.base;
        new.range.size = at_least(end, new_end) - new.range.base;
    }
    *count = kept;
    if (kept == max)
        return false;
    unsigned at = (*count)++;
    for (; at > 0 && comes_before(&new, &list[at - 1]); at--)
        list[at] = list[at - 1];
    list[at] = new;
    return true;
}

static int too_many_pieces(struct making *m, unsigned p)
{
    return plan_fail(m->problem, -E_NOSPC,
                     "partition %u (%s): its devices are in more than %u pieces; give it fewer", p,
                     m->plan->partitions[p].spec->name, PLAN_REGIONS_MAX);
}

static int region(struct making *m, unsigned p, struct plan_range range, uint8_t rights)
{
    struct plan_partition *partition = &m->plan->partitions[p];
    return add_region(partition->regions, &partition->region_count, PLAN_REGIONS_MAX, range, rights)
               ? 0
               : too_many_pieces(m, p);
}

/* Whole pages where nothing else is in them, so that neighbours can be merged; else what is needed.
 */
static int device_region(struct making *m, unsigned p, const struct plan_device *device, unsigned i)
{
    struct plan_range range = widened(device->regs[i], at_least(PLAN_PAGE, m->board->pmp_grain));
    if (obstacle(m, p, range) != NULL)
        range = widened(device->regs[i], m->board->pmp_grain);
    const char *why = obstacle(m, p, range);
    if (why != NULL)
        return plan_fail(m->problem, -E_INVAL,
                         "partition %u (%s): the registers of %s share a place with %s; give it "
                         "both, or neither",
                         p, m->plan->partitions[p].spec->name, device->name, why);
    return region(m, p, range, RIGHTS_DEVICE);
}

static int collect_regions(struct making *m, unsigned p)
{
    const struct plan_partition *partition = &m->plan->partitions[p];
    int error = 0;
    for (unsigned i = 0; i < partition->ram_count && error == 0; i++)
        error = region(m, p, partition->ram[i], RIGHTS_ALL);
    /* On each of its harts: a message to another is an interrupt between them (AIA 1.0, chapter 3).
     */
    for (unsigned v = 0; v < partition->vcpu_count && error == 0; v++) {
        struct plan_range imsic = m->board->harts[partition->harts[v]].imsic;
        if (imsic.size != 0)
            error = region(m, p, imsic, RIGHTS_DEVICE);
    }
    for (unsigned d = 0; d < partition->device_count; d++) {
        const struct plan_device *device = &m->board->devices[partition->devices[d]];
        for (unsigned i = 0; i < device->reg_count && error == 0; i++)
            error = device_region(m, p, device, i);
    }
    for (unsigned i = 0; i < m->plan->window_count && error == 0; i++) {
        const struct plan_window *window = &m->plan->windows[i];
        if (window->partitions[0] == p || window->partitions[1] == p)
            error = region(m, p, window->range, RIGHTS_DEVICE);
    }
    return error;
}

/* ---- Memory ---- */

static void take(struct making *m, struct plan_range range)
{
    plan_subtract(m->free, &m->free_count, FREE_MAX, range);
}

/* The lowest free piece of `size` at a multiple of `align`; false: there is none. */
static bool find_free(const struct making *m, uint64_t size, uint64_t align,
                      struct plan_range *found)
{
    for (unsigned i = 0; i < m->free_count; i++) {
        *found = (struct plan_range){align_up(m->free[i].base, align), size};
        if (found->base >= m->free[i].base && plan_inside(*found, m->free[i]))
            return true;
    }
    return false;
}

static void give_ram(struct making *m, unsigned p, struct plan_range range)
{
    m->plan->partitions[p].ram[0] = range;
    m->plan->partitions[p].ram_count = 1;
    take(m, range);
}

static int place_fixed(struct making *m, unsigned p)
{
    const struct spec_vm *spec = &m->fleet->vms[p];
    struct plan_range range = {spec->address, spec->memory};
    for (unsigned i = 0; i < m->free_count; i++) {
        if (!plan_inside(range, m->free[i]))
            continue;
        give_ram(m, p, range);
        return 0;
    }
    return plan_fail(m->problem, -E_NOSPC,
                     "partition %u (%s): %z at %x is not all free memory of the board; choose "
                     "another address, or leave it out",
                     p, spec->name, range.size, range.base);
}

/* The largest that has no memory yet; -1: all have. */
static int next_to_place(const struct making *m)
{
    int best = -1;
    for (unsigned p = 0; p < m->fleet->vm_count; p++) {
        if (m->plan->partitions[p].ram_count == 0 &&
            (best < 0 || m->fleet->vms[p].memory > m->fleet->vms[best].memory))
            best = (int)p;
    }
    return best;
}

/* Large ones first; with `natural`, where one NAPOT entry says it if it can. The one without
 * room, or -1. */
static int place_rest(struct making *m, bool natural)
{
    for (int p = next_to_place(m); p >= 0; p = next_to_place(m)) {
        uint64_t size = m->fleet->vms[p].memory;
        struct plan_range range;
        bool found =
            natural && power_of_two(size) && find_free(m, size, at_least(size, PLAN_ALIGN), &range);
        if (!found && !find_free(m, size, PLAN_ALIGN, &range))
            return p;
        give_ram(m, (unsigned)p, range);
    }
    return -1;
}

static void free_memory(struct making *m)
{
    const struct plan_board *board = m->board;
    m->free_count = board->memory_count;
    memcpy(m->free, board->memory, sizeof board->memory);
    take(m, widened(board->firmware, PLAN_PAGE));
    if (board->bundle.size != 0)
        take(m, widened(board->bundle, PLAN_PAGE));
}

static uint64_t largest_free(const struct making *m)
{
    uint64_t largest = 0;
    for (unsigned i = 0; i < m->free_count; i++) {
        uint64_t lost = align_up(m->free[i].base, PLAN_ALIGN) - m->free[i].base;
        if (m->free[i].size > lost)
            largest = at_least(largest, align_down(m->free[i].size - lost, 1 << 20));
    }
    return largest;
}

static int place_memory(struct making *m)
{
    int left = -1;
    /* Room for natural places may waste what a tight packing needs. */
    for (unsigned tight = 0; tight < 2 && (tight == 0 || left >= 0); tight++) {
        free_memory(m);
        for (unsigned p = 0; p < m->fleet->vm_count; p++) {
            const struct spec_vm *spec = &m->fleet->vms[p];
            m->plan->partitions[p].ram_count = 0;
            if (spec->memory % m->board->pmp_grain != 0)
                return plan_fail(m->problem, -E_INVAL,
                                 "partition %u (%s): memory: %z is no multiple of %z, the grain "
                                 "of the board's PMP",
                                 p, spec->name, spec->memory, m->board->pmp_grain);
            int error = spec->placed ? place_fixed(m, p) : 0;
            if (error != 0)
                return error;
        }
        left = place_rest(m, tight == 0);
    }
    if (left < 0)
        return 0;
    return plan_fail(m->problem, -E_NOSPC,
                     "partition %u (%s): %z of memory do not fit; the largest free piece has %z",
                     (unsigned)left, m->fleet->vms[left].name, m->fleet->vms[left].memory,
                     largest_free(m));
}

int plan_window_of(const struct plan *plan, unsigned partition, const char *name)
{
    for (unsigned i = 0; i < plan->window_count; i++) {
        const struct plan_window *window = &plan->windows[i];
        if ((window->partitions[0] == partition || window->partitions[1] == partition) &&
            strcmp(window->name, name) == 0)
            return (int)i;
    }
    return -1;
}

static int add_window(struct making *m, unsigned p, const struct spec_shared *shared)
{
    struct plan *plan = m->plan;
    for (unsigned i = 0; i < plan->window_count; i++) {
        struct plan_window *old = &plan->windows[i];
        if (strcmp(old->name, shared->name) != 0)
            continue;
        if (old->partitions[0] != old->partitions[1] || old->range.size != shared->size)
            return plan_fail(m->problem, -E_INVAL,
                             "partition %u (%s): shared '%s' has other ends, or another size", p,
                             m->fleet->vms[p].name, shared->name);
        old->partitions[1] = p;
        return 0;
    }
    struct plan_window *window = &plan->windows[plan->window_count];
    if (plan->window_count == PLAN_WINDOWS_MAX)
        return plan_fail(m->problem, -E_NOSPC, "shared: more than %u windows", PLAN_WINDOWS_MAX);
    window->name = shared->name;
    window->partitions[0] = window->partitions[1] = p;
    if (!find_free(m, shared->size, at_least(shared->size, m->board->pmp_grain), &window->range))
        return plan_fail(m->problem, -E_NOSPC,
                         "partition %u (%s): no memory is left for the %z of shared '%s'", p,
                         m->fleet->vms[p].name, shared->size, shared->name);
    take(m, window->range);
    plan->window_count++;
    return 0;
}

/* ---- PMP entries ---- */

int plan_pmp(const struct plan *plan, const struct plan_board *board, unsigned partition,
             unsigned hart, struct pmp_entry entries[PMP_ENTRIES])
{
    const struct plan_partition *owner = &plan->partitions[partition];
    struct plan_region regions[PLAN_REGIONS_MAX + 1];
    unsigned count = owner->region_count, used = 0;

    memcpy(regions, owner->regions, sizeof owner->regions);
    if (!owner->everything && !plan_hart_shared(plan, hart)) {
        struct plan_range page = plan_claim_page(board, board->harts[hart].plic_context);
        if (page.size != 0 &&
            !add_region(regions, &count, PLAN_REGIONS_MAX + 1, page, RIGHTS_DEVICE))
            return -E_NOSPC;
    }
    for (unsigned i = 0; i < count; i++) {
        int error = pmp_put(entries, &used, board->pmp_entries, regions[i].range.base,
                            regions[i].range.size, regions[i].rights);
        if (error != 0)
            return error;
    }
    return (int)used;
}

/* How many it would take had the hart as many as we can count. */
static unsigned entries_needed(const struct making *m, unsigned p, unsigned h)
{
    const struct plan_partition *owner = &m->plan->partitions[p];
    unsigned needed = 0;
    uint64_t end = 0;
    for (unsigned i = 0; i < owner->region_count; i++) {
        struct plan_range range = owner->regions[i].range;
        needed += range.base == end ? 1 : pmp_cost(range.base, range.size);
        end = range.base + range.size;
    }
    if (!plan_hart_shared(m->plan, h))
        needed += plan_claim_page(m->board, m->board->harts[h].plic_context).size != 0;
    return needed;
}

static int say_entries(struct making *m, unsigned p, unsigned h)
{
    const struct plan_partition *partition = &m->plan->partitions[p];
    struct plan_range ram = partition->ram[0];
    unsigned needed = entries_needed(m, p, h), hart = (unsigned)m->board->harts[h].id;
    uint64_t size = PLAN_ALIGN;

    while (size < ram.size)
        size *= 2;
    if (pmp_cost(ram.base, ram.size) > 1)
        return plan_fail(m->problem, -E_NOSPC,
                         "partition %u (%s) needs %u PMP entries on hart %u, which has %u; its %z "
                         "at %x take 2, %z at %x would take 1",
                         p, partition->spec->name, needed, hart, m->board->pmp_entries, ram.size,
                         ram.base, size, align_down(ram.base, size));
    return plan_fail(m->problem, -E_NOSPC,
                     "partition %u (%s) needs %u PMP entries on hart %u, which has %u; give it "
                     "fewer devices, or such as lie side by side",
                     p, partition->spec->name, needed, hart, m->board->pmp_entries);
}

static int check_entries(struct making *m, unsigned p)
{
    const struct plan_partition *partition = &m->plan->partitions[p];
    struct pmp_entry entries[PMP_ENTRIES];
    for (unsigned v = 0; v < partition->vcpu_count; v++) {
        if (plan_pmp(m->plan, m->board, p, partition->harts[v], entries) < 0)
            return say_entries(m, p, partition->harts[v]);
    }
    return 0;
}

/* ---- All of it ---- */

/* One partition that has everything but what the firmware needs. */
static int make_plain(struct making *m)
{
    struct plan_partition *all = &m->plan->partitions[0];
    const struct plan_board *board = m->board;
    bool fits = true;

    m->plan->partition_count = 1;
    all->everything = true;
    all->has_uart = true;
    for (unsigned h = 0; h < board->hart_count; h++)
        add_vcpu(m, 0, h);
    free_memory(m);
    for (; all->ram_count < m->free_count && all->ram_count < PLAN_MEMORY_MAX; all->ram_count++)
        all->ram[all->ram_count] = m->free[all->ram_count];
    for (unsigned i = 0; i < sizeof all->lines / sizeof all->lines[0]; i++)
        all->lines[i] = UINT32_MAX;
    const struct plan_range own[] = {board->firmware, board->bundle};
    for (unsigned i = 0; i < 2; i++) {
        if (own[i].size != 0)
            fits &= add_region(all->regions, &all->region_count, PLAN_REGIONS_MAX,
                               widened(own[i], at_least(PLAN_PAGE, board->pmp_grain)), 0);
    }
    for (unsigned i = 0; i < board->machine_count; i++)
        fits &= add_region(all->regions, &all->region_count, PLAN_REGIONS_MAX,
                           widened(board->machine[i], board->pmp_grain), 0);
    fits &= add_region(all->regions, &all->region_count, PLAN_REGIONS_MAX,
                       (struct plan_range){0, PLAN_LIMIT}, RIGHTS_ALL);
    if (board->pmp_entries == 0) /* no PMP at all: S and U may do what they like (3.7.1) */
        all->region_count = 0;
    struct pmp_entry entries[PMP_ENTRIES];
    if (!fits || plan_pmp(m->plan, board, 0, 0, entries) < 0)
        return plan_fail(m->problem, -E_NOSPC,
                         "the firmware needs more PMP entries than the harts have (%u)",
                         board->pmp_entries);
    return 0;
}

int plan_make(struct plan *plan, const struct plan_board *board, const struct spec_fleet *fleet,
              struct plan_problem *problem)
{
    struct making m = {.plan = plan, .board = board, .fleet = fleet, .problem = problem};
    int error = 0;

    memset(plan, 0, sizeof *plan);
    problem->text[0] = 0;
    if (fleet == NULL)
        return make_plain(&m);
    if (fleet->vm_count > PLAN_PARTITIONS_MAX)
        return plan_fail(problem, -E_NOSPC, "vms: %u are more than the %u that type 0 can have",
                         fleet->vm_count, PLAN_PARTITIONS_MAX);
    plan->partition_count = fleet->vm_count;
    for (unsigned p = 0; p < fleet->vm_count && error == 0; p++) {
        plan->partitions[p].spec = &fleet->vms[p];
        error = check_wishes(&m, p);
    }
    if (error == 0)
        error = place_vcpus(&m);
    for (unsigned p = 0; p < fleet->vm_count && error == 0; p++)
        error = give_devices(&m, p);
    if (error == 0)
        error = place_memory(&m);
    for (unsigned p = 0; p < fleet->vm_count; p++) {
        for (unsigned i = 0; i < fleet->vms[p].shared_count && error == 0; i++)
            error = add_window(&m, p, &fleet->vms[p].shared[i]);
    }
    for (unsigned p = 0; p < fleet->vm_count && error == 0; p++)
        error = collect_regions(&m, p);
    for (unsigned p = 0; p < fleet->vm_count && error == 0; p++)
        error = check_entries(&m, p);
    return error;
}
