/*
 * The loop of a hart: why did the partition trap, and who goes on.
 *
 * A hart that is in M-mode counts as outside the guest (core/vcpu.h): it takes up what others ask
 * of its VCPU before it enters again. Who asks writes first and signals then (MSIP); the loop
 * clears MSIP first and looks then.
 */
#include "core/engine.h"
#include "riscv/csr.h"
#include "type0/context.h"
#include "type0/partition.h"
#include "type0/timer.h"

#define INSN_ECALL_LENGTH 4
#define SLICES            250 /* a second, on a hart that several worlds share */
#define IDLE_LOOKS        1000

/* ---- Requests of others ---- */

static void world_kick(struct vcpu *vcpu)
{
    const struct hart *hart = world_of(vcpu)->hart;
    if (hart != this_hart())
        hart_signal(hart);
}

const struct engine_ops world_engine = {.name = "harts", .kick = world_kick};

static void requests_serve(struct vcpu *vcpu)
{
    uint32_t requests = atomic_exchange(&vcpu->requests, 0);
    if ((requests & VCPU_REQ_TLB_FLUSH) != 0) {
        __asm__ volatile("sfence.vma" ::: "memory");
        if (features.h) {
            hfence_gvma_all();
            hfence_vvma_all();
        }
    }
    if ((requests & (VCPU_REQ_FENCE_I | VCPU_REQ_CODE_FLUSH)) != 0)
        fence_i();
}

/* ---- Entering ---- */

/*
 * Where writes do not change MPV: a trap of our own clears it, and nothing sets it. A partition
 * that was in VS- or VU-mode then goes on in HS-mode, as if an interrupt had come there: a
 * hypervisor that finds none to serve goes back to its guest.
 */
static void give_virtual(struct riscv_vcpu *vcpu)
{
    if (((hcsr_read(MCSR_MSTATUS) ^ vcpu->mstatus) & MSTAT_MPV) == 0)
        return;
    if ((vcpu->mstatus & MSTAT_MPV) == 0)
        trap_once();
    else if (!trap_spurious(vcpu)) {
        vm_power_request(vcpu->vcpu.vm, VM_POWER_FAILED, 1,
                         "this hart cannot go back to its guest (mstatus.MPV)");
        hart_signal(
            this_hart()); /* in HS-mode it is nobody's: it comes back before it does anything */
    }
}

/* Puts the world into the hart's CSRs; its integer registers and pc are switch.S's. */
static void world_give(struct world *world)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    if (world->fresh) {
        context_reset(world);
        atomic_fetch_or(&vcpu->vcpu.requests, VCPU_REQ_TLB_FLUSH | VCPU_REQ_FENCE_I);
        world->fresh = false;
    }
    if ((vcpu->effects & EFFECT_TRANSLATION) != 0)
        hcsr_write(HCSR_SATP, vcpu->satp);
    vcpu->effects = 0;
    if (features.h && !features.mpv_sticks)
        give_virtual(vcpu);
    vcpu->mstatus = (vcpu->mstatus & ~MSTATUS_MPP & ~(uint64_t)MSTATUS_MIE) |
                    (uint64_t)vcpu->priv << MSTATUS_MPP_SHIFT;
    hcsr_write(MCSR_MSTATUS, vcpu->mstatus);
}

/* The registers of another world, or of the first, are to be in the hart. */
static void world_switch(struct hart *hart, struct world *world)
{
    struct world *before = hart->current;

    hart->counts[COUNT_SWITCH]++;
    if (before != NULL) {
        context_save(before);
        if (before->plic != NULL)
            plic_context_leave(&before->partition->plic, before->plic);
    }
    hart->current = world;
    hart->x = world->vcpu->x;
    hart->vid = world->vcpu->vcpu.id;
    if (!world->fresh && world->context != NULL)
        context_load(world);
    if (world->plic != NULL)
        plic_context_enter(&world->partition->plic, world->plic);
    hart_pmp_set(world->pmp);
    atomic_fetch_or(&world->vcpu->vcpu.requests, VCPU_REQ_TLB_FLUSH);
}

/* False: somebody wants attention. */
static bool world_begin(struct hart *hart, struct world *world)
{
    struct vcpu *vcpu = &world->vcpu->vcpu;

    atomic_store_explicit(&vcpu->in_guest, true, memory_order_relaxed);
    /* Who kicks or requests stores first and then looks at in_guest (core/vcpu.c). */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&vcpu->kick, memory_order_relaxed) != 0) {
        atomic_store_explicit(&vcpu->in_guest, false, memory_order_release);
        return false;
    }
    if (hart->current != world)
        world_switch(hart, world);
    world_give(world);
    if (atomic_load_explicit(&vcpu->requests, memory_order_relaxed) != 0)
        requests_serve(vcpu);
    if (atomic_load_explicit(&world->vcpu->mip, memory_order_relaxed) != 0)
        hcsr_set(MCSR_MIP, atomic_exchange(&world->vcpu->mip, 0) & HIRQ_SSI);
    return true;
}

/* Whether the world has something to execute. */
static bool may_run(struct world *world)
{
    struct vcpu *vcpu = &world->vcpu->vcpu;

    if (vm_power_state(vcpu->vm) != VM_POWER_ON) {
        partition_down(world);
        return false;
    }
    switch (atomic_load(&vcpu->run_state)) {
    case VCPU_RUNNING:
        if (world->waiting && riscv_vcpu_wfi_done(world->vcpu))
            world->waiting = false;
        return !world->waiting;
    case VCPU_SUSPENDED:
        if (!riscv_vcpu_wfi_done(world->vcpu))
            return false;
        atomic_store(&vcpu->run_state, VCPU_RUNNING);
        return true;
    default: return false;
    }
}

/* Until an interrupt of the firmware's, or of a suspended or waiting world's own. */
static void idle(struct hart *hart)
{
    const struct world *world = hart->current;
    if (world == NULL || !partition_is_on(world->partition) ||
        (!world->waiting && atomic_load(&world->vcpu->vcpu.run_state) != VCPU_SUSPENDED))
        hcsr_clear(MCSR_MIE, MIRQ_S);
    __asm__ volatile("wfi" ::: "memory");
    if ((hcsr_read(MCSR_MIP) & hcsr_read(MCSR_MIE) & MIRQ_MTI) != 0)
        timer_due(hart);
}

/* ---- Turns ---- */

static void turn_account(struct hart *hart, uint64_t now)
{
    if (hart->current != NULL)
        hart->current->used += (now - hart->turn_began) * SPEC_WEIGHT_MAX / hart->current->weight;
    hart->turn_began = now;
}

/*
 * The next turn ends after a slice, or when the timer of another world interrupts; lines of the
 * PLIC that are not in the hart are looked at then too.
 */
static void turn_end_set(struct hart *hart, const struct world *next, uint64_t now)
{
    uint64_t end = now + features.timebase / (next != NULL ? SLICES : IDLE_LOOKS);
    for (unsigned i = 0; i < hart->world_count; i++) {
        const struct world *world = hart->worlds[i];
        if (world != next && world != hart->current &&
            (world->waiting || atomic_load(&world->vcpu->vcpu.run_state) == VCPU_SUSPENDED)) {
            uint64_t wakes = context_wakes(world);
            end = wakes > now && wakes < end ? wakes : end;
        }
    }
    hart->slice_end = end;
    timer_update(hart);
}

/* Of those that may run the one that has had least; who waited gets no credit for that. */
static struct world *pick(struct hart *hart)
{
    struct world *best = NULL;
    uint64_t now = ticks_now(), least = UINT64_MAX;

    turn_account(hart, now);
    for (unsigned i = 0; i < hart->world_count; i++) {
        struct world *world = hart->worlds[i];
        bool waited = world->waiting;
        if (!may_run(world))
            continue;
        if (waited && hart->current != NULL && world->used < hart->current->used)
            world->used = hart->current->used;
        if (world->used < least) {
            least = world->used;
            best = world;
        }
    }
    turn_end_set(hart, best, now);
    hart->look = false;
    return best;
}

static bool any_kicked(const struct hart *hart)
{
    for (unsigned i = 0; i < hart->world_count; i++) {
        if (atomic_load(&hart->worlds[i]->vcpu->vcpu.kick) != 0)
            return true;
    }
    return false;
}

static void take_signal(struct hart *hart)
{
    if ((hcsr_read(MCSR_MIP) & MIRQ_MSI) == 0)
        return;
    *hart->msip = 0;
    atomic_thread_fence(memory_order_seq_cst);
    hart->look = true;
}

/* Who is to run now, or NULL. */
static struct world *next_world(struct hart *hart)
{
    if (hart->world_count == 1)
        return may_run(hart->worlds[0]) ? hart->worlds[0] : NULL;
    if (!hart->look && hart->current != NULL && may_run(hart->current))
        return hart->current;
    return pick(hart);
}

static void run_next(struct hart *hart)
{
    for (;;) {
        take_signal(hart);
        for (unsigned i = 0; i < hart->world_count; i++)
            atomic_store_explicit(&hart->worlds[i]->vcpu->vcpu.kick, 0, memory_order_relaxed);
        struct world *world = next_world(hart);
        if (world != NULL && world_begin(hart, world))
            return;
        /* Other harts' kicks end the wait; this one's own do not. */
        if (world == NULL && !any_kicked(hart))
            idle(hart);
    }
}

void hart_main(void)
{
    struct hart *hart = this_hart();
    hcsr_write(MCSR_MTVEC, (uint64_t)(uintptr_t)machine_vector);
    hart_setup();
    timer_setup(hart, !partitions[0]->plan->everything && hart->index == 0);
    run_next(hart);
}

/* ---- Leaving ---- */

static void exception(struct hart *hart, struct world *world, uint64_t cause)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    struct trap trap;

    if (cause == MCAUSE_S_ECALL) {
        hart->counts[COUNT_TABLE]++;
        vcpu->pc += INSN_ECALL_LENGTH;
        world_call(world);
        return;
    }
    trap_read(&trap);
    bool done = false;
    enum exit_count count = COUNT_EMULATED;
    if (cause == CAUSE_ILLEGAL) {
        done = emulate_illegal(world, &trap);
    } else if (cause == CAUSE_LOAD_MISALIGNED || cause == CAUSE_STORE_MISALIGNED) {
        done = emulate_misaligned(world, &trap);
    } else if (cause == CAUSE_LOAD_ACCESS || cause == CAUSE_STORE_ACCESS) {
        done = device_access(world, &trap);
        count = COUNT_DEVICE;
    }
    hart->counts[done ? count : COUNT_REDIRECTED]++;
    if (!done)
        trap_redirect(vcpu, &trap);
}

void run_trap(struct hart *hart)
{
    struct world *world = hart->current;
    uint64_t cause = hcsr_read(MCSR_MCAUSE);

    world->vcpu->mstatus = hcsr_read(MCSR_MSTATUS);
    world->vcpu->priv = (uint8_t)((world->vcpu->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT);
    atomic_store_explicit(&world->vcpu->vcpu.in_guest, false, memory_order_release);
    if ((cause & HCAUSE_INTERRUPT) == 0)
        exception(hart, world, cause);
    else if (cause == (HCAUSE_INTERRUPT | IRQ_MTI))
        timer_due(hart);
    else
        hart->counts[COUNT_IPI]++;
    run_next(hart);
}
