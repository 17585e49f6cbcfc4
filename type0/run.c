/*
 * The loop of a hart: why did the partition trap, and who goes on.
 *
 * A hart that is in M-mode counts as outside the guest (core/vcpu.h): it takes up what others ask
 * of its VCPU before it enters again. Who asks writes first and signals then (MSIP); the loop
 * clears MSIP first and looks then.
 */
#include "core/engine.h"
#include "riscv/csr.h"
#include "type0/partition.h"
#include "type0/timer.h"

#define INSN_ECALL_LENGTH 4

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

/* What the world before left in the hart is gone (SBI 2.0, 9.1, leaves it open; partitions do not).
 */
static void world_reset(struct world *world)
{
    static const uint64_t zero[32];
    void hext_fp_load(const uint64_t *f, uint64_t fcsr);

    hcsr_write(HCSR_SATP, 0);
    hcsr_write(HCSR_SIE, 0);
    hcsr_write(HCSR_STVEC, 0);
    hcsr_write(HCSR_SSCRATCH, 0);
    hcsr_write(HCSR_SEPC, 0);
    hcsr_write(HCSR_SCAUSE, 0);
    hcsr_write(HCSR_STVAL, 0);
    hcsr_clear(MCSR_MIE, MIRQ_S);
    timer_set_guest(world->hart, UINT64_MAX);
    hcsr_clear(MCSR_MIP, HIRQ_SSI);
    try_write(TRY_SCOUNTEREN, 7);
    try_write(TRY_SENVCFG, 0);
    if (features.h) {
        hcsr_write(HCSR_HGATP, 0);
        hcsr_write(HCSR_HEDELEG, 0);
        hcsr_write(HCSR_HIDELEG, 0);
        hcsr_write(HCSR_HSTATUS, HSTATUS_VSXL_64);
        hcsr_write(HCSR_HVIP, 0);
        hcsr_write(HCSR_HIE, 0);
        hcsr_write(HCSR_HCOUNTEREN, 0);
        hcsr_write(HCSR_HTIMEDELTA, 0);
        hcsr_write(HCSR_VSATP, 0);
    }
    if (features.fp) {
        hcsr_set(MCSR_MSTATUS, HSTAT_FS);
        hext_fp_load(zero, 0);
    }
    try_write(TRY_MEDELEG, world->medeleg);
    atomic_fetch_or(&world->vcpu->vcpu.requests, VCPU_REQ_TLB_FLUSH | VCPU_REQ_FENCE_I);
    world->fresh = false;
}

/* Puts the world into the hart's CSRs; its integer registers and pc are switch.S's. */
static void world_give(struct world *world)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    if (world->fresh)
        world_reset(world);
    if ((vcpu->effects & EFFECT_TRANSLATION) != 0)
        hcsr_write(HCSR_SATP, vcpu->satp);
    vcpu->effects = 0;
    vcpu->mstatus = (vcpu->mstatus & ~MSTATUS_MPP & ~(uint64_t)MSTATUS_MIE) |
                    (uint64_t)vcpu->priv << MSTATUS_MPP_SHIFT;
    hcsr_write(MCSR_MSTATUS, vcpu->mstatus);
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
    hart->current = world;
    hart->x = world->vcpu->x;
    hart->vid = vcpu->id;
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
    case VCPU_RUNNING: return true;
    case VCPU_SUSPENDED:
        if (!riscv_vcpu_wfi_done(world->vcpu))
            return false;
        atomic_store(&vcpu->run_state, VCPU_RUNNING);
        return true;
    default: return false;
    }
}

/* Until an interrupt of the firmware's, or of a suspended world's own. */
static void idle(struct world *world)
{
    if (atomic_load(&world->vcpu->vcpu.run_state) != VCPU_SUSPENDED ||
        !partition_is_on(world->partition))
        hcsr_clear(MCSR_MIE, MIRQ_S);
    __asm__ volatile("wfi" ::: "memory");
    if ((hcsr_read(MCSR_MIP) & hcsr_read(MCSR_MIE) & MIRQ_MTI) != 0)
        timer_due(this_hart());
}

static void run_next(struct hart *hart)
{
    struct world *world = hart->worlds[0];
    while (world == NULL) /* nobody was given this hart */
        __asm__ volatile("wfi");
    for (;;) {
        if ((hcsr_read(MCSR_MIP) & MIRQ_MSI) != 0) {
            *hart->msip = 0;
            atomic_thread_fence(memory_order_seq_cst);
        }
        atomic_store_explicit(&world->vcpu->vcpu.kick, 0, memory_order_relaxed);
        if (!may_run(world)) {
            /* Other harts' kicks end the wait; this one's own do not. */
            if (atomic_load(&world->vcpu->vcpu.kick) == 0)
                idle(world);
        } else if (world_begin(hart, world))
            return;
    }
}

void hart_main(void)
{
    struct hart *hart = this_hart();
    hcsr_write(MCSR_MTVEC, (uint64_t)(uintptr_t)machine_vector);
    hart_setup();
    timer_setup(hart, !partitions[0]->plan->everything && hart->index == 0);
    if (hart->world_count != 0)
        hart_pmp_set(hart->worlds[0]->pmp);
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
