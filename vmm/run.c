#include "vmm/run.h"

#include "core/error.h"
#include "vmm/board.h"
#include "vmm/sbi.h"

/* How often vmm_pause looks at the power while VCPUs come in: leaving threads do not signal it. */
#define PARK_LOOK_NS 10000000ULL

/*
 * An engine may hold the VCPU's state (core/engine.h). It is lent to the engine just before it runs
 * and taken back before anybody else may look at the VCPU or change it.
 */
static void lend(struct vcpu *vcpu, bool *lent)
{
    if (!*lent && vcpu->engine->state_put != NULL)
        vcpu->engine->state_put(vcpu);
    *lent = true;
}

static void take_back(struct vcpu *vcpu, bool *lent)
{
    if (*lent && vcpu->engine->state_get != NULL)
        vcpu->engine->state_get(vcpu);
    *lent = false;
}

static void park(struct vm *vm, struct vcpu *vcpu)
{
    atomic_fetch_add(&vm->parked, 1);
    host_event_set(&vm->parked_event);
    while (atomic_load(&vm->paused) && vm_power_state(vm) == VM_POWER_ON)
        host_event_wait(&vcpu->wake, UINT64_MAX);
    atomic_fetch_sub(&vm->parked, 1);
}

/*
 * No wake-up is lost: whoever changes what is looked at here changes it first and kicks then, and a
 * kick is remembered by the event. Requests need no wake-up, the engine sees them before its first
 * instruction.
 */
static void wait_for_interrupt(struct vm *vm, struct riscv_vcpu *hart)
{
    while (!riscv_vcpu_wfi_done(hart) && vm_power_state(vm) == VM_POWER_ON &&
           !atomic_load(&vm->paused))
        host_event_wait(&hart->vcpu.wake, UINT64_MAX);
}

void vmm_handle_exit(struct vm *vm, struct riscv_vcpu *hart, enum exit_reason reason,
                     struct exit *exit)
{
    switch (reason) {
    case EXIT_KICKED: break;
    case EXIT_MMIO_READ:
        exit->fault = bus_read(&vm->bus, exit->address, exit->width, &exit->data) != 0;
        break;
    case EXIT_MMIO_WRITE:
        exit->fault = bus_write(&vm->bus, exit->address, exit->width, exit->data) != 0;
        break;
    case EXIT_SBI: sbi_call(vm, hart); break;
    case EXIT_WFI: wait_for_interrupt(vm, hart); break;
    case EXIT_HALTED:
        vm_power_request(vm, VM_POWER_FAILED, 0,
                         exit->message != NULL ? exit->message : "a VCPU cannot go on");
        break;
    default:
        vm_power_request(vm, VM_POWER_FAILED, 0, "an exit that this hypervisor does not answer");
        break;
    }
}

/* Sleeps unless the hart may run; true when it may. */
static bool may_run(struct riscv_vcpu *hart)
{
    struct vcpu *vcpu = &hart->vcpu;
    uint32_t run_state = atomic_load(&vcpu->run_state);
    if (run_state == VCPU_SUSPENDED && riscv_vcpu_wfi_done(hart)) {
        atomic_store(&vcpu->run_state, VCPU_RUNNING);
        return true;
    }
    if (run_state == VCPU_RUNNING)
        return true;
    host_event_wait(&vcpu->wake, UINT64_MAX);
    return false;
}

/* Only this thread writes it: no locked instruction is needed. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void vmm_run_vcpu(struct vm *vm, struct riscv_vcpu *hart, struct vmm_stats *stats)
{
    struct vcpu *vcpu = &hart->vcpu;
    struct exit exit = {0};
    bool lent = false;

    for (;;) {
        /* Cleared before we look around, so that a later kick makes us look again. */
        atomic_store(&vcpu->kick, 0);
        if (vm_power_state(vm) != VM_POWER_ON)
            break;
        if (atomic_load(&vm->paused)) {
            take_back(vcpu, &lent);
            park(vm, vcpu);
            continue;
        }
        if (!vcpu->engine->own_harts && !may_run(hart))
            continue;
        lend(vcpu, &lent);
        enum exit_reason reason = vcpu->engine->run(vcpu, &exit);
        if (reason < EXIT_REASONS)
            count(&stats->exits[reason]);
        if (reason == EXIT_SBI) {
            count(&stats->sbi_calls);
            if (!exit.registers)
                take_back(vcpu, &lent);
        }
        vmm_handle_exit(vm, hart, reason, &exit);
    }
    take_back(vcpu, &lent);
    host_event_set(&vm->parked_event);
}

void vmm_pause(struct vm *vm)
{
    atomic_store(&vm->paused, true);
    if (vm->board != NULL)
        board_freeze(vm->board);
    vm_kick_all(vm);
    while (atomic_load(&vm->parked) < vm->vcpu_count && vm_power_state(vm) == VM_POWER_ON)
        host_event_wait(&vm->parked_event, PARK_LOOK_NS);
    clock_stop(&vm->clock);
}

void vmm_resume(struct vm *vm)
{
    if (vm->board != NULL)
        board_thaw(vm->board);
    clock_start(&vm->clock);
    atomic_store(&vm->paused, false);
    vm_kick_all(vm);
}
