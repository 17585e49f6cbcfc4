/*
 * The I/O thread of a VM's process: an epoll loop with callbacks for file descriptors, timers, and
 * work posted from other threads. Backends do their slow work here, never on a VCPU's thread.
 *
 * Callbacks run on the loop's thread, one at a time. Objects (loop_fd, loop_timer, loop_work) are
 * the caller's memory and must outlive their registration. Between loop_init and loop_start nothing
 * runs, and everything may be registered. "Any thread" functions must not be called with a lock
 * held that a callback takes if they say that they wait.
 */
#ifndef TYPE2_LOOP_H
#define TYPE2_LOOP_H

#include "type2/problem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_BATCH 64

/* A descriptor that is watched. `events`: EPOLLIN and so on, level-triggered. */
struct loop_fd {
    int fd;
    uint32_t events;
    void (*fn)(void *arg, uint32_t events);
    void *arg;
    bool added;
};

/* A one-shot timer of CLOCK_MONOTONIC (host_time_ns). Arm and cancel on the loop's thread only. */
struct loop_timer {
    void (*fn)(void *arg);
    void *arg;
    uint64_t deadline_ns;
    bool armed;
    struct loop_timer *next;
};

/* Work without an allocation: posting it while it is pending does nothing, so it runs at least once
 * after each post. */
struct loop_work {
    void (*fn)(void *arg);
    void *arg;
    struct loop_work *next;
    bool pending;
};

/* Called on the loop's thread right before it sleeps (slirp's set of descriptors is made there). */
struct loop_hook {
    void (*before_sleep)(void *arg);
    void *arg;
    struct loop_hook *next;
};

struct loop {
    int epoll_fd;
    int wake_fd;
    struct loop_fd wake;
    pthread_t thread;
    _Atomic bool started; /* a thread runs the loop */
    bool joinable;        /* it is ours */
    _Atomic bool stopping;
    pthread_mutex_t lock; /* the queue of work */
    struct loop_work *first, *last;
    unsigned queued;           /* how many */
    struct loop_timer *timers; /* sorted by deadline */
    struct loop_hook *hooks;
    struct epoll_event batch[LOOP_BATCH];
    int batch_count, batch_at;
};

/* Makes the loop; no thread yet. 0 or a negative error. */
int loop_init(struct loop *loop, struct problem *problem);
/* Starts the thread (all signals blocked in it). `name` is the thread's name, at most 15
 * characters. */
int loop_start(struct loop *loop, const char *name, struct problem *problem);
/* Ends the thread and joins it; work posted before it is still run. Not from the loop's thread.
 * Idempotent. */
void loop_stop(struct loop *loop);
/* After loop_stop (or never started): closes what loop_init opened. */
void loop_fini(struct loop *loop);
/* True on the loop's thread, and on every thread while the loop has none. */
bool loop_is_current(const struct loop *loop);

/* Any thread. fd.fd, events, fn, arg are filled. 0 or a negative error (-EPERM: a regular file). */
int loop_fd_add(struct loop *loop, struct loop_fd *fd);
/* Changes the events; 0 keeps it registered and silent (but for EPOLLHUP and EPOLLERR). Any thread.
 */
int loop_fd_set(struct loop *loop, struct loop_fd *fd, uint32_t events);
/* After it returns, fn is not running (unless called from it) and will not run. Any thread; waits.
 * Does not close. */
void loop_fd_del(struct loop *loop, struct loop_fd *fd);

void loop_timer_init(struct loop_timer *timer, void (*fn)(void *arg), void *arg);
void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* On the loop's thread, or before it starts. */
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_del(struct loop *loop, struct loop_hook *hook);

void loop_work_init(struct loop_work *work, void (*fn)(void *arg), void *arg);
/* Runs the work on the loop's thread soon. Any thread, does not wait. */
void loop_work_post(struct loop *loop, struct loop_work *work);
/* Takes a pending post back. On the loop's thread, so that it is not running. */
void loop_work_cancel(struct loop *loop, struct loop_work *work);
/* Runs fn(arg) on the loop's thread and waits for it; at once when called on it or when no thread
 * runs. */
void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg);

#endif
