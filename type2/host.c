#define _GNU_SOURCE

#include "type2/host.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- time ---- */

#define NS_PER_S 1000000000ULL

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t host_time_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t host_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* ---- memory ---- */

#define MMAP_FROM 65536U /* smaller pieces come from malloc */
#define PAGE      4096U

void *host_alloc(size_t size, size_t align)
{
    if (size == 0 || align == 0 || (align & (align - 1)) != 0 || size > SIZE_MAX / 2 ||
        align > SIZE_MAX / 4)
        return NULL;
    if (size < MMAP_FROM) {
        if (align < sizeof(void *))
            align = sizeof(void *);
        void *p = aligned_alloc(align, (size + align - 1) & ~(align - 1));
        if (p != NULL)
            memset(p, 0, size);
        return p;
    }
    if (align < PAGE)
        align = PAGE;
    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    size_t slack = align - PAGE;
    uint8_t *p =
        mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    size_t head = (size_t)(-(uintptr_t)p & (align - 1));
    if (head > 0)
        munmap(p, head);
    if (slack > head)
        munmap(p + head + size, slack - head);
    return p + head;
}

void host_free(void *p, size_t size)
{
    if (p == NULL)
        return;
    if (size < MMAP_FROM)
        free(p);
    else
        munmap(p, (size + PAGE - 1) & ~(size_t)(PAGE - 1));
}

/* ---- large copies ---- */

#define COPY_SHARED (8U << 20) /* from here on a second thread is worth its start */
#define COPY_PIECE  (2U << 20) /* a huge page */

struct copy {
    uint8_t *to;
    const uint8_t *from;
    size_t len;
    _Atomic size_t taken, done; /* bytes; by pieces */
    struct host_event all_done;
    _Atomic unsigned users;
};

static void copy_pieces(struct copy *copy)
{
    size_t at;

    while ((at = atomic_fetch_add(&copy->taken, COPY_PIECE)) < copy->len) {
        size_t piece = copy->len - at < COPY_PIECE ? copy->len - at : COPY_PIECE;
        memcpy(copy->to + at, copy->from + at, piece);
        if (atomic_fetch_add(&copy->done, piece) + piece == copy->len)
            host_event_set(&copy->all_done);
    }
}

static void copy_leave(struct copy *copy)
{
    if (atomic_fetch_sub(&copy->users, 1) == 1)
        free(copy);
}

static void *copy_thread(void *arg)
{
    copy_pieces(arg);
    copy_leave(arg);
    return NULL;
}

/* Nobody waits for a helper that the host has not let run: its pieces are the caller's too. */
void host_copy(void *restrict to, const void *restrict from, size_t len)
{
    struct copy *copy = len >= COPY_SHARED ? calloc(1, sizeof(*copy)) : NULL;
    pthread_t helper;
    sigset_t all, before;

    if (copy == NULL) {
        memcpy(to, from, len);
        return;
    }
    *copy = (struct copy){.to = to, .from = from, .len = len, .users = 2};
    host_event_init(&copy->all_done);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&helper, NULL, copy_thread, copy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_detach(helper);
    else
        copy_leave(copy);
    copy_pieces(copy);
    while (atomic_load(&copy->done) < len)
        host_event_wait(&copy->all_done, UINT64_MAX);
    copy_leave(copy);
}

/* ---- locks ---- */

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct host_lock),
               "struct host_lock is too small");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct host_lock),
               "struct host_lock alignment");

static pthread_mutex_t *lock_mutex(struct host_lock *lock)
{
    return (pthread_mutex_t *)lock->opaque;
}

void host_lock_init(struct host_lock *lock)
{
    pthread_mutex_init(lock_mutex(lock), NULL);
}

void host_lock_acquire(struct host_lock *lock)
{
    pthread_mutex_lock(lock_mutex(lock));
}

void host_lock_release(struct host_lock *lock)
{
    pthread_mutex_unlock(lock_mutex(lock));
}

/* ---- events ---- */

/* Not set, set, and not set with somebody (perhaps) asleep in the kernel. */
enum { EVENT_CLEAR, EVENT_SET, EVENT_WAITED };

static int futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
    struct timespec ts, *until = NULL;

    if (deadline_ns != UINT64_MAX) {
        ts.tv_sec = (time_t)(deadline_ns / NS_PER_S);
        ts.tv_nsec = (long)(deadline_ns % NS_PER_S);
        until = &ts;
    }
    /* WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, until, NULL,
                FUTEX_BITSET_MATCH_ANY) == 0)
        return 0;
    return errno;
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

void host_event_init(struct host_event *event)
{
    atomic_init(&event->word, EVENT_CLEAR);
}

void host_event_set(struct host_event *event)
{
    if (atomic_exchange(&event->word, EVENT_SET) == EVENT_WAITED)
        futex_wake(&event->word);
}

bool host_event_wait(struct host_event *event, uint64_t timeout_ns)
{
    uint64_t deadline = UINT64_MAX;
    /* Who has slept cannot know whether others still do, and so leaves the word WAITED. */
    uint32_t after = EVENT_CLEAR;

    if (timeout_ns != UINT64_MAX && timeout_ns != 0) {
        uint64_t now = host_time_ns();
        deadline = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    }
    for (;;) {
        uint32_t word = EVENT_SET;
        if (atomic_compare_exchange_strong(&event->word, &word, after))
            return true;
        if (timeout_ns == 0)
            return false;
        if (word == EVENT_CLEAR &&
            !atomic_compare_exchange_strong(&event->word, &word, EVENT_WAITED))
            continue;
        after = EVENT_WAITED;
        if (futex_wait(&event->word, EVENT_WAITED, deadline) == ETIMEDOUT)
            timeout_ns = 0; /* one last look */
    }
}

/* The host's own scheduler does. */
void host_breathe(void)
{
}

void host_yield(void)
{
    sched_yield();
}

/* ---- timers: one thread, a binary heap with the earliest deadline at index 1 ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the thread */
    pthread_cond_t done; /* for who waits for a callback's end */
    pthread_t thread;
    bool started;
    uint64_t sleeps_until; /* 0 while the thread is awake */
    struct host_timer *running;
    struct host_timer **heap; /* [1..count]; heap_index 0: not armed */
    size_t count, capacity;
} timers = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void heap_put(size_t at, struct host_timer *timer)
{
    timers.heap[at] = timer;
    timer->heap_index = at;
}

static void heap_up(size_t at, struct host_timer *timer)
{
    while (at > 1 && timers.heap[at / 2]->deadline_ns > timer->deadline_ns) {
        heap_put(at, timers.heap[at / 2]);
        at /= 2;
    }
    heap_put(at, timer);
}

static void heap_down(size_t at, struct host_timer *timer)
{
    for (;;) {
        size_t child = at * 2;
        if (child > timers.count)
            break;
        if (child < timers.count &&
            timers.heap[child + 1]->deadline_ns < timers.heap[child]->deadline_ns)
            child++;
        if (timers.heap[child]->deadline_ns >= timer->deadline_ns)
            break;
        heap_put(at, timers.heap[child]);
        at = child;
    }
    heap_put(at, timer);
}

static void heap_move(size_t at, struct host_timer *timer)
{
    if (at > 1 && timers.heap[at / 2]->deadline_ns > timer->deadline_ns)
        heap_up(at, timer);
    else
        heap_down(at, timer);
}

static void heap_remove(struct host_timer *timer)
{
    size_t at = timer->heap_index;
    struct host_timer *last = timers.heap[timers.count--];

    timer->heap_index = 0;
    if (last != timer)
        heap_move(at, last);
}

static bool heap_reserve(void)
{
    if (timers.count + 1 < timers.capacity)
        return true;
    size_t capacity = timers.capacity == 0 ? 64 : timers.capacity * 2;
    struct host_timer **heap = realloc(timers.heap, capacity * sizeof(*heap));
    if (heap == NULL)
        return false;
    timers.heap = heap;
    timers.capacity = capacity;
    return true;
}

static _Noreturn void *timer_thread(void *arg)
{
    (void)arg;
    /* The kernel's default slack of 50 us would be felt as guest timer latency. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    pthread_mutex_lock(&timers.lock);
    for (;;) {
        uint64_t first = timers.count > 0 ? timers.heap[1]->deadline_ns : UINT64_MAX;
        if (timers.count > 0 && first <= host_time_ns()) {
            struct host_timer *timer = timers.heap[1];
            void (*fn)(void *) = timer->fn;
            void *fn_arg = timer->arg;
            heap_remove(timer);
            timers.running = timer;
            pthread_mutex_unlock(&timers.lock);
            fn(fn_arg); /* may free the timer */
            pthread_mutex_lock(&timers.lock);
            timers.running = NULL;
            pthread_cond_broadcast(&timers.done);
            continue;
        }
        timers.sleeps_until = first;
        if (first == UINT64_MAX) {
            pthread_cond_wait(&timers.wake, &timers.lock);
        } else {
            struct timespec ts = {.tv_sec = (time_t)(first / NS_PER_S),
                                  .tv_nsec = (long)(first % NS_PER_S)};
            pthread_cond_timedwait(&timers.wake, &timers.lock, &ts);
        }
        timers.sleeps_until = 0;
    }
}

/* Holds timers.lock. */
static bool timer_thread_start(void)
{
    if (timers.started)
        return true;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&timers.wake, &attr);
    pthread_condattr_destroy(&attr);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    timers.started = pthread_create(&timers.thread, NULL, timer_thread, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (timers.started)
        pthread_setname_np(timers.thread, "timers");
    return timers.started;
}

void host_timer_init(struct host_timer *timer, void (*fn)(void *arg), void *arg)
{
    timer->fn = fn;
    timer->arg = arg;
    timer->deadline_ns = UINT64_MAX;
    timer->heap_index = 0;
}

void host_timer_arm(struct host_timer *timer, uint64_t deadline_ns)
{
    bool failed = false;

    pthread_mutex_lock(&timers.lock);
    if (timer->heap_index != 0) {
        timer->deadline_ns = deadline_ns;
        heap_move(timer->heap_index, timer);
    } else if (timer_thread_start() && heap_reserve()) {
        timer->deadline_ns = deadline_ns;
        timers.count++;
        heap_up(timers.count, timer);
    } else {
        failed = true;
    }
    /* A thread that sleeps too long must be told; one that wakes too early just sleeps again. */
    if (deadline_ns < timers.sleeps_until) {
        timers.sleeps_until = deadline_ns;
        pthread_cond_signal(&timers.wake);
    }
    pthread_mutex_unlock(&timers.lock);
    if (failed)
        host_log(HOST_LOG_ERROR, "no memory for a timer: the guest may stand still");
}

void host_timer_cancel(struct host_timer *timer)
{
    pthread_mutex_lock(&timers.lock);
    for (;;) {
        if (timer->heap_index != 0)
            heap_remove(timer);
        if (timers.running != timer || pthread_equal(timers.thread, pthread_self()))
            break;
        pthread_cond_wait(&timers.done, &timers.lock); /* its callback may arm it again */
    }
    pthread_mutex_unlock(&timers.lock);
}

/* ---- the log ---- */

static _Atomic int log_fd = STDERR_FILENO;
static char log_prefix[48] = "trivisor";

void host_log_set_prefix(const char *prefix)
{
    snprintf(log_prefix, sizeof(log_prefix), "%s", prefix);
}

void host_log_set_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

void host_vlog(enum host_log_level level, const char *format, va_list args)
{
    static const char *const words[] = {"debug: ", "", "warning: ", "error: "};
    static const char *const colours[] = {"\033[2m", "", "\033[33m", "\033[31m"};
    char text[1024], line[1200];

    if (level < HOST_LOG_INFO || level > HOST_LOG_ERROR)
        return;
    int fd = atomic_load(&log_fd);
    bool colour = isatty(fd) && colours[level][0] != 0;
    vsnprintf(text, sizeof(text), format, args);
    /* A guest's words may be in it: they must neither break the line nor drive the terminal. */
    for (char *c = text; *c != 0; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    /* A terminal may be in raw mode. */
    int length =
        snprintf(line, sizeof(line), "%s%s: %s%s%s%s\n", colour ? colours[level] : "", log_prefix,
                 words[level], text, colour ? "\033[0m" : "", isatty(fd) ? "\r" : "");
    if (length > 0)
        while (write(fd, line, (size_t)length) < 0 && errno == EINTR)
            ;
}

void host_log(enum host_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    host_vlog(level, format, args);
    va_end(args);
}
