#include "riscv/csr_pmu.h"

#include "core/clock.h"

static bool runs(const struct riscv_vcpu *hart, unsigned i)
{
    const uint64_t event = hart->hpm[i].event;
    const bool user = hart->priv == PRIV_U;
    const uint64_t inhibit = hart->priv == PRIV_M ? HPM_MINH
                             : riscv_virt(hart)   ? (user ? HPM_VUINH : HPM_VSINH)
                                                  : (user ? HPM_UINH : HPM_SINH);
    return (event & HPM_SELECTOR) != 0 && (event & inhibit) == 0 &&
           (hart->mcountinhibit >> (i + HPM_FIRST) & 1) == 0;
}

uint64_t riscv_hpm_read(const struct riscv_vcpu *hart, unsigned i)
{
    return hart->hpm[i].value + ((hart->hpm_running >> i & 1) != 0 ? hart->instret : 0);
}

static void store(struct riscv_vcpu *hart, unsigned i, uint64_t value)
{
    hart->hpm[i].value = value - ((hart->hpm_running >> i & 1) != 0 ? hart->instret : 0);
}

/* Has the hart look when the first that runs and has OF clear may have overflowed. */
static void arm(struct riscv_vcpu *hart, bool moved)
{
    /* Few instructions: 20 us, so that the host does more than look. None since the last look: the
     * hart sleeps. */
    enum { PER_TICK = 400, TICKS_MIN = 200, TICKS_IDLE = 10000 };
    const uint64_t far = 1ULL << 48;
    uint64_t least = far;
    for (unsigned i = 0; i < HPM_COUNTERS; i++)
        if ((hart->hpm_running >> i & 1) != 0 && (hart->hpm[i].event & HPM_OF) == 0 &&
            0 - riscv_hpm_read(hart, i) < least)
            least = 0 - riscv_hpm_read(hart, i);
    if (least == far) {
        clock_timer_cancel(&hart->hpm_timer);
        return;
    }
    uint64_t ticks = least / PER_TICK;
    if (ticks < TICKS_MIN)
        ticks = TICKS_MIN;
    if (!moved && ticks < TICKS_IDLE)
        ticks = TICKS_IDLE;
    clock_timer_arm(&hart->hpm_timer, clock_now(&hart->vcpu.vm->clock) + ticks);
}

/* Sets OF where it is due; whether any has counted since the last look. */
static bool look(struct riscv_vcpu *hart)
{
    bool moved = false;
    for (unsigned i = 0; i < HPM_COUNTERS; i++) {
        struct riscv_hpm *hpm = &hart->hpm[i];
        const uint64_t value = riscv_hpm_read(hart, i);
        const bool over = value < hpm->seen;
        moved |= value != hpm->seen;
        hpm->seen = value;
        if (over && (hpm->event & HPM_OF) == 0) {
            hpm->event |= HPM_OF;
            riscv_vcpu_irq(hart, IRQ_LCOFI, true);
            hart->effects |= EFFECT_INTERRUPTS;
        }
    }
    return moved;
}

void riscv_hpm_check(struct riscv_vcpu *hart)
{
    atomic_store_explicit(&hart->hpm_due, false, memory_order_relaxed);
    arm(hart, look(hart));
}

void riscv_hpm_update(struct riscv_vcpu *hart)
{
    bool changed = false;
    look(hart);
    for (unsigned i = 0; i < HPM_COUNTERS; i++) {
        const uint64_t value = riscv_hpm_read(hart, i);
        if (runs(hart, i) == ((hart->hpm_running >> i & 1) != 0))
            continue;
        hart->hpm_running ^= 1U << i;
        store(hart, i, value);
        changed = true;
    }
    if (changed)
        arm(hart, true);
}

void riscv_hpm_write(struct riscv_vcpu *hart, unsigned i, uint64_t value)
{
    store(hart, i, value);
    hart->hpm[i].seen = value;
    arm(hart, true);
}

static void modes(struct riscv_vcpu *hart)
{
    hart->hpm_modes = false;
    for (unsigned i = 0; i < HPM_COUNTERS; i++)
        hart->hpm_modes |=
            (hart->hpm[i].event & (HPM_MINH | HPM_SINH | HPM_UINH | HPM_VSINH | HPM_VUINH)) != 0;
}

void riscv_hpm_set_event(struct riscv_vcpu *hart, unsigned i, uint64_t event)
{
    look(hart); /* what was counted before is of the old event */
    if ((event & HPM_SELECTOR) > 2)
        event &= ~HPM_SELECTOR; /* no such event (WARL): nothing is counted */
    hart->hpm[i].event = event & (HPM_OF | HPM_MINH | HPM_SINH | HPM_UINH | HPM_SELECTOR |
                                  (riscv_has_h(hart) ? HPM_VSINH | HPM_VUINH : 0));
    modes(hart);
    riscv_hpm_update(hart);
    arm(hart, true);
}

uint32_t riscv_hpm_overflown(const struct riscv_vcpu *hart)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < HPM_COUNTERS; i++)
        bits |= (uint32_t)(hart->hpm[i].event >> 63) << (i + HPM_FIRST);
    return bits;
}

void riscv_hpm_loaded(struct riscv_vcpu *hart)
{
    modes(hart);
    atomic_store_explicit(&hart->hpm_due, hart->hpm_running != 0, memory_order_relaxed);
}

void riscv_hpm_fired(void *arg)
{
    struct riscv_vcpu *hart = arg;
    atomic_store_explicit(&hart->hpm_due, true, memory_order_relaxed);
    vcpu_kick(&hart->vcpu);
}
