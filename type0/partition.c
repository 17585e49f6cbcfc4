#include "type0/partition.h"

#include "core/host.h"
#include "type0/board.h"
#include "type0/panic.h"

struct partition *partitions[PLAN_PARTITIONS_MAX];
unsigned partition_count;

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

struct partition *partition_new(const struct plan *plan, const struct plan_board *board,
                                unsigned index)
{
    const struct plan_partition *part = &plan->partitions[index];
    struct partition *p = host_alloc(sizeof *p, 64);
    if (p == NULL)
        return NULL;
    p->vcpus = host_alloc(sizeof p->vcpus[0] * part->vcpu_count, 64);
    p->worlds = host_alloc(sizeof p->worlds[0] * part->vcpu_count, 64);
    if (p->vcpus == NULL || p->worlds == NULL)
        return NULL;
    p->index = index;
    p->plan = part;
    vm_init(&p->vm, part->spec != NULL ? part->spec->name : "board");
    p->vm.engine = &world_engine;
    p->vm.engine_data = p;
    if (!add_memory(p))
        return NULL;
    for (unsigned i = 0; i < part->vcpu_count; i++) {
        struct riscv_vcpu *vcpu = &p->vcpus[i];
        struct world *world = &p->worlds[i];
        struct hart *hart = harts[part->harts[i]];
        vcpu_init(&vcpu->vcpu, &p->vm, i);
        *world = (struct world){.vcpu = vcpu, .partition = p, .hart = hart};
        vcpu->vcpu.engine_data = world;
        p->vm.vcpus[p->vm.vcpu_count++] = &vcpu->vcpu;
        hart->worlds[hart->world_count++] = world;
        if (plan_pmp(plan, board, index, part->harts[i], world->pmp) < 0)
            panic("too few PMP entries");
    }
    return p;
}

void partition_begin(struct partition *p)
{
    for (unsigned i = 0; i < p->vm.vcpu_count; i++) {
        p->worlds[i].left = false;
        p->worlds[i].medeleg = features.medeleg;
        if (p->plan->everything) /* nothing that faults is answered by the firmware */
            p->worlds[i].medeleg |=
                1 << CAUSE_FETCH_ACCESS | 1 << CAUSE_LOAD_ACCESS | 1 << CAUSE_STORE_ACCESS;
        riscv_vcpu_start_supervisor(&p->vcpus[i], 0, 0);
        atomic_store(&p->vcpus[i].vcpu.run_state, VCPU_STOPPED);
    }
    riscv_vcpu_start_supervisor(&p->vcpus[0], p->entry, p->tree);
    atomic_store(&p->vcpus[0].vcpu.run_state, VCPU_RUNNING);
    p->boots++;
    atomic_store(&p->left, 0);
    atomic_store(&p->vm.power, VM_POWER_ON);
}

void partition_left(struct world *world)
{
    struct partition *p = world->partition;
    enum vm_power power = vm_power_state(&p->vm);

    if (p->plan->everything)
        board_power(power == VM_POWER_OFF      ? BOARD_OFF
                    : power == VM_POWER_REBOOT ? BOARD_REBOOT
                                               : BOARD_FAILED,
                    p->vm.power_code);
    if (world->left)
        return;
    world->left = true;
    atomic_fetch_add(&p->left, 1);
}
