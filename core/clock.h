/*
 * Guest time: the one source of time of a VM.
 *
 * Ticks of 10 MHz (the board's timebase-frequency) that stand still while the VM is paused or saved. Devices
 * and VCPUs read time only here, so that record and replay can take its place. clock_now is safe from any
 * thread and takes no lock.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "core/host.h"
#include "core/state.h"

#include <stdatomic.h>

#define CLOCK_HZ 10000000ULL
#define CLOCK_NS_PER_TICK (1000000000ULL / CLOCK_HZ)

struct clock_timer {
    struct host_timer host;
    struct clock *clock;
    void (*fn)(void *arg);
    void *arg;
    uint64_t deadline; /* ticks; UINT64_MAX: not armed */
    struct clock_timer *next;
};

struct clock {
    struct host_lock lock;       /* timers and pausing */
    _Atomic uint64_t offset_ns;  /* guest ns = host ns - offset_ns, while running */
    _Atomic uint64_t stopped_ns; /* guest ns while not running */
    _Atomic bool running;
    struct clock_timer *timers;
};

/* A clock that stands still at 0; clock_start makes it run. */
void clock_init(struct clock *clock);
void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);
/* Ticks of 10 MHz. */
uint64_t clock_now(const struct clock *clock);
/* Nanoseconds of the same time. */
uint64_t clock_now_ns(const struct clock *clock);
/* Nanoseconds since 1970 for the RTC. */
uint64_t clock_wall_ns(const struct clock *clock);
/* The host_time_ns() value at which guest time reaches `ticks` (UINT64_MAX: never or too far). */
uint64_t clock_host_deadline(const struct clock *clock, uint64_t ticks);
/* Both directions; the clock must be stopped. */
void clock_state(struct clock *clock, struct state *state);

/*
 * Timers of guest time; they stand still with the clock. `fn` runs on another thread, once, when
 * clock_now() >= deadline; it must check its own condition again (the owner may have moved the deadline).
 */
void clock_timer_init(struct clock_timer *timer, struct clock *clock, void (*fn)(void *arg), void *arg);
void clock_timer_arm(struct clock_timer *timer, uint64_t deadline_ticks);
void clock_timer_cancel(struct clock_timer *timer);
/* Cancels and takes the timer off its clock's list. */
void clock_timer_fini(struct clock_timer *timer);

#endif
