/*
 * Guest time: the one source of time of a VM.
 *
 * Ticks of 10 MHz (the board's timebase-frequency) that stand still while the VM is paused or
 * saved. Devices and VCPUs read time only here, so that record and replay can take its place.
 * clock_now is safe from any thread and takes no lock.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/host.h"
#include "core/state.h"

#include <stdatomic.h>

#define CLOCK_HZ          10000000ULL
#define CLOCK_NS_PER_TICK (1000000000ULL / CLOCK_HZ)

struct clock_timer {
    struct host_timer host;
    struct clock *clock;
    void (*fn)(void *arg);
    void *arg;
    struct host_lock lock;  /* the two deadlines */
    uint64_t deadline;      /* ticks; UINT64_MAX: not armed */
    uint64_t host_deadline; /* for which `host` is armed, never later than needed; UINT64_MAX: not
                               armed */
    struct clock_timer *next;
};

struct clock {
    struct host_lock lock;      /* the list of timers; starting and stopping */
    _Atomic uint64_t offset_ns; /* guest ns = host ns - offset_ns (modulo 2^64), while running */
    _Atomic uint64_t
        stopped_ns; /* guest ns while not running; UINT64_MAX while running or stopping */
    _Atomic bool running;
    struct clock_timer *timers;
    /* Of the guest's time CSR: CLOCK_HZ, but where a guest reads that of a real board. */
    uint64_t guest_hz;
};

/* A clock that stands still at 0; clock_start makes it run. */
void clock_init(struct clock *clock);
void clock_start(struct clock *clock);
/* Waits for timer functions that run: hold no lock that one of them takes. */
void clock_stop(struct clock *clock);
/* Ticks of 10 MHz. */
uint64_t clock_now(const struct clock *clock);
/* What the time CSR, or a value that is compared with it, means in ticks of 10 MHz: the first tick
 * at which it has been reached; and the way back. UINT64_MAX (never) stays. */
uint64_t clock_of_guest(const struct clock *clock, uint64_t ticks);
uint64_t clock_to_guest(const struct clock *clock, uint64_t ticks);
/* Nanoseconds of the same time. */
uint64_t clock_now_ns(const struct clock *clock);
/* Nanoseconds since 1970 for the RTC. */
uint64_t clock_wall_ns(const struct clock *clock);
/* The host_time_ns() value at which guest time reaches `ticks` (UINT64_MAX: never, too far, or
 * stopped). */
uint64_t clock_host_deadline(const struct clock *clock, uint64_t ticks);
/* It is `ticks` now, or later: for guests that read a time that something else drives. */
void clock_reaches(struct clock *clock, uint64_t ticks);
/* Both directions; the clock must be stopped. */
void clock_state(struct clock *clock, struct state *state);

/*
 * Timers of guest time; they stand still with the clock. `fn` runs on another thread, once, when
 * clock_now() >= deadline; it must check its own condition again (the owner may have moved the
 * deadline).
 */
void clock_timer_init(struct clock_timer *timer, struct clock *clock, void (*fn)(void *arg),
                      void *arg);
/* Moves the deadline; cheap when it moves later. UINT64_MAX cancels. May be called from `fn`. */
void clock_timer_arm(struct clock_timer *timer, uint64_t deadline_ticks);
/* Does not wait, so the caller may hold locks that `fn` takes: an `fn` that has begun may still
 * run. */
void clock_timer_cancel(struct clock_timer *timer);
/* Cancels, waits for a running `fn` and takes the timer off its clock's list. */
void clock_timer_fini(struct clock_timer *timer);

#endif
