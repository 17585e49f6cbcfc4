#include "type0/timer.h"

#include "type0/console.h"
#include "type0/monitor.h"
#include "type0/partition.h"

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void timer_update(struct hart *hart)
{
    uint64_t next =
        sooner(sooner(hart->guest_timer, hart->slice_end), sooner(hart->poll_at, hart->watch_at));
    if (hart->timer == TIMER_MACHINE || hart->mtimecmp == NULL)
        return;
    *hart->mtimecmp = next;
    if (next != UINT64_MAX)
        hcsr_set(MCSR_MIE, MIRQ_MTI);
    else
        hcsr_clear(MCSR_MIE, MIRQ_MTI);
}

/* ---- Watchdogs ---- */

static unsigned watchdog_of(const struct world *world)
{
    const struct spec_vm *spec = world->partition->plan->spec;
    return spec != NULL ? spec->watchdog : 0;
}

/* The instruction before the one at pc is WFI: the hart sleeps, and was woken by us. */
static bool sleeps(const struct riscv_vcpu *vcpu)
{
    const uint8_t wfi[] = {0x73, 0x00, 0x50, 0x10};
    for (unsigned i = 0; i < sizeof wfi; i++) {
        if (guest_load(vcpu->pc - sizeof wfi + i, vcpu->mstatus | MSTAT_MPRV | MSTAT_MXR) != wfi[i])
            return false;
    }
    return true;
}

/*
 * A world lives if it calls, traps, sets its timer or sleeps. One that computes with its interrupts
 * off for ever does none of these.
 */
static void watch(struct hart *hart, struct world *world, uint64_t now)
{
    uint64_t pulse = 0;
    if (world == hart->current) {
        for (unsigned i = 0; i < COUNTS; i++)
            pulse += i != COUNT_TIMER && i != COUNT_SWITCH ? hart->counts[i] : 0;
        pulse ^= features.sstc ? hcsr_read(HCSR_STIMECMP) << 20 : hart->guest_timer << 20;
    }
    if (world != hart->current || world->waiting || !partition_is_on(world->partition) ||
        atomic_load(&world->vcpu->vcpu.run_state) != VCPU_RUNNING || pulse != world->watch_pulse ||
        sleeps(world->vcpu)) {
        world->watch_pulse = pulse;
        world->watch_since = now;
    } else if (now - world->watch_since > watchdog_of(world) * features.timebase) {
        vm_power_request(&world->partition->vm, VM_POWER_FAILED, 1, "it hangs");
    }
}

static void watch_all(struct hart *hart, uint64_t now)
{
    for (unsigned i = 0; i < hart->world_count; i++) {
        if (watchdog_of(hart->worlds[i]) != 0)
            watch(hart, hart->worlds[i], now);
    }
}

/* ---- The timer ---- */

void timer_setup(struct hart *hart, bool polls)
{
    bool watched = false;
    hart->guest_timer = hart->slice_end = hart->poll_at = hart->watch_at = UINT64_MAX;
    if (polls)
        hart->poll_at = 0;
    for (unsigned i = 0; i < hart->world_count; i++)
        watched = watched || watchdog_of(hart->worlds[i]) != 0;
    if (watched)
        hart->watch_at = 0;
    hart->timer = features.sstc                               ? TIMER_STIMECMP
                  : polls || watched || hart->world_count > 1 ? TIMER_SHARED
                                                              : TIMER_MACHINE;
    if (hart->mtimecmp != NULL)
        *hart->mtimecmp = UINT64_MAX;
    timer_update(hart);
}

void timer_set_guest(struct hart *hart, uint64_t ticks)
{
    if (features.sstc) {
        hcsr_write(HCSR_STIMECMP, ticks);
        return;
    }
    hcsr_clear(MCSR_MIP, HIRQ_STI);
    hart->guest_timer = ticks;
    if (hart->timer == TIMER_MACHINE) {
        *hart->mtimecmp = ticks;
        hcsr_set(MCSR_MIE, MIRQ_MTI);
    } else {
        timer_update(hart);
    }
}

void timer_due(struct hart *hart)
{
    uint64_t now = ticks_now();

    hart->counts[COUNT_TIMER]++;
    if (hart->timer == TIMER_MACHINE) {
        hcsr_clear(MCSR_MIE, MIRQ_MTI);
        hcsr_set(MCSR_MIP, HIRQ_STI);
        return;
    }
    if (now >= hart->guest_timer) {
        hart->guest_timer = UINT64_MAX;
        hcsr_set(MCSR_MIP, HIRQ_STI);
    }
    if (now >= hart->poll_at) {
        hart->poll_at = now + features.timebase / CONSOLE_POLLS_A_SECOND;
        console_poll(monitor_command);
        monitor_look(now);
    }
    if (now >= hart->watch_at) {
        hart->watch_at = now + features.timebase / 4;
        watch_all(hart, now);
    }
    if (now >= hart->slice_end) {
        hart->slice_end = UINT64_MAX;
        hart->look = true;
    }
    timer_update(hart);
}
