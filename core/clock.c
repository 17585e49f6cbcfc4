#include "core/clock.h"

#include "core/error.h"

void clock_init(struct clock *clock)
{
    host_lock_init(&clock->lock);
    atomic_init(&clock->offset_ns, 0);
    atomic_init(&clock->stopped_ns, 0);
    atomic_init(&clock->running, false);
    clock->timers = NULL;
    clock->guest_hz = CLOCK_HZ;
}

static uint64_t convert(uint64_t ticks, uint64_t from, uint64_t to, uint64_t round)
{
    if (from == to || ticks == UINT64_MAX)
        return ticks;
    uint64_t seconds = ticks / from;
    if (seconds >= UINT64_MAX / to - 1)
        return UINT64_MAX;
    return seconds * to + (ticks % from * to + round) / from;
}

/* Up in one direction and down in the other: there and back again is where it began, or so near
 * that from then on nothing moves. */
uint64_t clock_of_guest(const struct clock *clock, uint64_t ticks)
{
    return convert(ticks, clock->guest_hz, CLOCK_HZ, clock->guest_hz - 1);
}

uint64_t clock_to_guest(const struct clock *clock, uint64_t ticks)
{
    return convert(ticks, CLOCK_HZ, clock->guest_hz, 0);
}

uint64_t clock_now_ns(const struct clock *clock)
{
    /*
     * The pair (running, offset) works as a sequence lock: a stop and start in between changes the
     * offset, or lasted no time at all. stopped_ns is UINT64_MAX only for the few instructions of a
     * start or stop.
     */
    for (;;) {
        if (atomic_load(&clock->running)) {
            uint64_t offset = atomic_load(&clock->offset_ns);
            uint64_t now = host_time_ns() - offset;
            if (atomic_load(&clock->offset_ns) == offset && atomic_load(&clock->running))
                return now;
        } else {
            uint64_t stopped = atomic_load(&clock->stopped_ns);
            if (stopped != UINT64_MAX)
                return stopped;
        }
    }
}

uint64_t clock_now(const struct clock *clock)
{
    return clock_now_ns(clock) / CLOCK_NS_PER_TICK;
}

uint64_t clock_wall_ns(const struct clock *clock)
{
    (void)clock; /* the wall goes on while a VM is paused: its RTC is to be right afterwards */
    return host_wall_ns();
}

uint64_t clock_host_deadline(const struct clock *clock, uint64_t ticks)
{
    if (ticks > UINT64_MAX / CLOCK_NS_PER_TICK || !atomic_load(&clock->running))
        return UINT64_MAX;
    uint64_t guest = ticks * CLOCK_NS_PER_TICK;
    uint64_t offset = atomic_load(&clock->offset_ns);
    /* A restored guest may be older than its host: then the offset is negative. */
    if (offset > INT64_MAX) {
        uint64_t ahead = 0 - offset;
        return guest > ahead ? guest - ahead : 0;
    }
    return guest <= UINT64_MAX - offset ? guest + offset : UINT64_MAX;
}

/* Arms the host's timer as far as needed. Holds timer->lock. */
static void timer_update(struct clock_timer *timer)
{
    if (timer->deadline == UINT64_MAX)
        return;
    uint64_t deadline = clock_host_deadline(timer->clock, timer->deadline);
    /* A host timer that goes off too early arms itself again: cheaper than moving it back each
     * time. */
    if (deadline >= timer->host_deadline)
        return;
    timer->host_deadline = deadline;
    host_timer_arm(&timer->host, deadline);
}

static void timer_fire(void *arg)
{
    struct clock_timer *timer = arg;
    bool due = false;

    host_lock_acquire(&timer->lock);
    timer->host_deadline = UINT64_MAX;
    if (timer->deadline != UINT64_MAX && atomic_load(&timer->clock->running)) {
        due = clock_now(timer->clock) >= timer->deadline;
        if (due)
            timer->deadline = UINT64_MAX;
        else
            timer_update(timer);
    }
    host_lock_release(&timer->lock);

    if (due)
        timer->fn(timer->arg);
}

void clock_start(struct clock *clock)
{
    host_lock_acquire(&clock->lock);
    if (!atomic_load(&clock->running)) {
        atomic_store(&clock->offset_ns, host_time_ns() - atomic_load(&clock->stopped_ns));
        atomic_store(&clock->running, true);
        atomic_store(&clock->stopped_ns, UINT64_MAX);
        for (struct clock_timer *timer = clock->timers; timer != NULL; timer = timer->next) {
            host_lock_acquire(&timer->lock);
            timer_update(timer);
            host_lock_release(&timer->lock);
        }
    }
    host_lock_release(&clock->lock);
}

void clock_stop(struct clock *clock)
{
    host_lock_acquire(&clock->lock);
    if (atomic_load(&clock->running)) {
        /* In this order nobody has read a time later than the one at which we stop. */
        atomic_store(&clock->running, false);
        atomic_store(&clock->stopped_ns, host_time_ns() - atomic_load(&clock->offset_ns));
        for (struct clock_timer *timer = clock->timers; timer != NULL; timer = timer->next) {
            /* Who arms the timer after this lock was held sees that the clock stands. */
            host_lock_acquire(&timer->lock);
            timer->host_deadline = UINT64_MAX;
            host_lock_release(&timer->lock);
            host_timer_cancel(&timer->host);
        }
    }
    host_lock_release(&clock->lock);
}

void clock_reaches(struct clock *clock, uint64_t ticks)
{
    if (ticks > UINT64_MAX / CLOCK_NS_PER_TICK)
        return;
    host_lock_acquire(&clock->lock);
    const uint64_t now = clock_now_ns(clock), then = ticks * CLOCK_NS_PER_TICK;
    if (now < then) {
        if (atomic_load(&clock->running))
            atomic_fetch_sub(&clock->offset_ns, then - now);
        else
            atomic_store(&clock->stopped_ns, then);
    }
    host_lock_release(&clock->lock);
}

void clock_state(struct clock *clock, struct state *state)
{
    state_section(state, "clock", 1);
    if (atomic_load(&clock->running)) {
        state_fail(state, -E_BUSY);
        return;
    }
    uint64_t now = atomic_load(&clock->stopped_ns);
    state_u64(state, &now);
    if (now == UINT64_MAX)
        state_fail(state, -E_INVAL);
    else
        atomic_store(&clock->stopped_ns, now);
}

void clock_timer_init(struct clock_timer *timer, struct clock *clock, void (*fn)(void *arg),
                      void *arg)
{
    host_timer_init(&timer->host, timer_fire, timer);
    timer->clock = clock;
    timer->fn = fn;
    timer->arg = arg;
    host_lock_init(&timer->lock);
    timer->deadline = UINT64_MAX;
    timer->host_deadline = UINT64_MAX;

    host_lock_acquire(&clock->lock);
    timer->next = clock->timers;
    clock->timers = timer;
    host_lock_release(&clock->lock);
}

void clock_timer_arm(struct clock_timer *timer, uint64_t deadline_ticks)
{
    host_lock_acquire(&timer->lock);
    timer->deadline = deadline_ticks;
    timer_update(timer);
    host_lock_release(&timer->lock);
}

void clock_timer_cancel(struct clock_timer *timer)
{
    clock_timer_arm(timer, UINT64_MAX);
}

void clock_timer_fini(struct clock_timer *timer)
{
    clock_timer_cancel(timer);
    host_timer_cancel(&timer->host);

    struct clock *clock = timer->clock;
    host_lock_acquire(&clock->lock);
    struct clock_timer **link = &clock->timers;
    while (*link != NULL && *link != timer)
        link = &(*link)->next;
    if (*link == timer)
        *link = timer->next;
    host_lock_release(&clock->lock);
}
