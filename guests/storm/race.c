/* storm: sleeping, waking, timers, harts that stop and start. */
#include "storm.h"

enum { HSM_START, HSM_STOP, HSM_STATUS, HSM_SUSPEND };
enum { STATUS_STOPPED = 1 };

void race_stop(struct hart *hart)
{
    (void)hart;
    csr_clear(sstatus, SSTATUS_SIE);
    sbi3(SBI_HSM, HSM_STOP, 0, 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}

static void stopped_start(struct hart *hart)
{
    for (unsigned i = 1; i < storm.hart_count; i++) {
        struct hart *other = &storm.harts[i];
        if (other->state != STOPPING ||
            sbi3(SBI_HSM, HSM_STATUS, other->id, 0, 0).value != STATUS_STOPPED)
            continue;
        other->state = ALIVE;
        sbi3(SBI_HSM, HSM_START, other->id, (uintptr_t)hart_entry, (uintptr_t)other);
        hart->starts++;
    }
}

void storm_race(struct hart *hart)
{
    uint64_t everyone = 0;

    for (unsigned i = 0; i < storm.hart_count; i++)
        if (storm.harts[i].id < 64)
            everyone |= 1UL << storm.harts[i].id;
    if (hart->index == 0) {
        stopped_start(hart);
    } else if (random_below(hart, 8) == 0) {
        hart->state = STOPPING;
        race_stop(hart);
    }
    hart->racing = true;
    csr_write(sie, SIP_SSIP | SIP_STIP | SIP_SEIP);
    sbi3(SBI_TIME, 0, time_now() + 100, 0, 0);
    csr_set(sstatus, SSTATUS_SIE);
    for (int i = 0; i < 32; i++) {
        uint64_t random = random_next(hart);
        if (random & 3)
            sbi3(SBI_IPI, 0, everyone & random >> 8, 0, 0);
        if (random & 4)
            sbi3(SBI_TIME, 0, time_now() + (random >> 54), 0, 0);
        if (random & 8)
            sbi3(SBI_RFENCE, random >> 4 & 1, everyone, 0, random >> 40);
        /* Woken by whatever comes, at the latest by the timer, which arms itself again. */
        __asm__ volatile("wfi");
        hart->sleeps++;
        hart->progress++;
    }
    csr_clear(sstatus, SSTATUS_SIE);
    hart->racing = false;
    /* Suspended with a reason to wake already there; non-retentive comes back by hart_entry. */
    csr_write(sie, SIP_SSIP);
    csr_set(sip, SIP_SSIP);
    if (random_below(hart, 4) == 0)
        sbi3(SBI_HSM, HSM_SUSPEND, random_below(hart, 2) << 31, (uintptr_t)hart_entry,
             (uintptr_t)hart);
    csr_write(sie, 0);
    hart->progress++;
}
