#include "type0/timer.h"

#include "type0/console.h"
#include "type0/monitor.h"

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void timer_update(struct hart *hart)
{
    uint64_t next = sooner(sooner(hart->guest_timer, hart->slice_end), hart->poll_at);
    if (hart->timer == TIMER_MACHINE || hart->mtimecmp == NULL)
        return;
    *hart->mtimecmp = next;
    if (next != UINT64_MAX)
        hcsr_set(MCSR_MIE, MIRQ_MTI);
    else
        hcsr_clear(MCSR_MIE, MIRQ_MTI);
}

void timer_setup(struct hart *hart, bool polls)
{
    hart->guest_timer = hart->slice_end = hart->poll_at = UINT64_MAX;
    if (polls)
        hart->poll_at = 0;
    hart->timer = features.sstc                    ? TIMER_STIMECMP
                  : polls || hart->world_count > 1 ? TIMER_SHARED
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
    }
    if (now >= hart->slice_end) {
        hart->slice_end = UINT64_MAX;
        hart->look = true;
    }
    timer_update(hart);
}
