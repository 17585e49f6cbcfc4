/*
 * What freestanding code needs from below: time, locks, timers, memory while a VM is built, a log
 * line.
 *
 * core, riscv, devices, vmm and engine/hext use no libc. Each hypervisor (type2/, type1/, type0/)
 * implements this header once. The mem* functions are the four that a C compiler may call by
 * itself; freestanding targets bring their own.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

/* Nanoseconds of a monotonic clock; only core/clock.c may call it. */
uint64_t host_time_ns(void);
/* Nanoseconds since 1970-01-01 UTC; only core/clock.c may call it. */
uint64_t host_wall_ns(void);

/* Zeroed memory, `align` a power of two. Only while a VM is built. NULL if there is none. */
void *host_alloc(size_t size, size_t align);
void host_free(void *p, size_t size);

/* memcpy for what may be tens of megabytes: a host with processors to spare shares the work out.
 * Only while a VM is built or restarted. */
void host_copy(void *restrict to, const void *restrict from, size_t len);

/* A mutual-exclusion lock. Held for short, bounded sections only; never across a backend's blocking
 * call. */
struct host_lock {
    uint64_t opaque[6];
};
void host_lock_init(struct host_lock *lock);
void host_lock_acquire(struct host_lock *lock);
void host_lock_release(struct host_lock *lock);

/*
 * A one-bit event: set is remembered until one wait consumes it, so no wake-up is lost.
 * host_event_wait returns true if the event was set, false when `timeout_ns` ran out (UINT64_MAX:
 * never).
 */
struct host_event {
    _Atomic uint32_t word;
};
void host_event_init(struct host_event *event);
void host_event_set(struct host_event *event);
bool host_event_wait(struct host_event *event, uint64_t timeout_ns);
/* Gives the processor away for a moment while spinning for another thread. */
void host_yield(void);

/*
 * For loops whose length a guest decides, where no lock is held: a host that shares its processors
 * itself lets others run if it is their turn. The caller may go on on another hart.
 */
void host_breathe(void);

/*
 * One-shot timers. `fn` runs on a thread (or in an interrupt) of the host's choosing, with no lock
 * of the host held, at or soon after `deadline_ns` of host_time_ns(). Arming an armed timer moves
 * it. After host_timer_cancel returns, fn is not running and will not run.
 */
struct host_timer {
    void (*fn)(void *arg);
    void *arg;
    uint64_t deadline_ns;
    /* The implementation's. */
    size_t heap_index;
    struct host_timer *child, *next, **link;
};
void host_timer_init(struct host_timer *timer, void (*fn)(void *arg), void *arg);
void host_timer_arm(struct host_timer *timer, uint64_t deadline_ns);
void host_timer_cancel(struct host_timer *timer);

/* One line for the operator, without a newline at its end. %s %u %d %x %lx %lu %ld %c %p and
 * widths. */
enum host_log_level { HOST_LOG_DEBUG, HOST_LOG_INFO, HOST_LOG_WARNING, HOST_LOG_ERROR };
void host_log(enum host_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
