#define _GNU_SOURCE

#include "type2/loop.h"

#include "core/error.h"
#include "core/host.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void loop_woken(void *arg, uint32_t events)
{
    struct loop *loop = arg;
    uint64_t count;

    (void)events;
    while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

static void loop_wake(struct loop *loop)
{
    uint64_t one = 1;

    /* EAGAIN would mean a counter that is full, and so a loop that will wake anyway. */
    while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

int loop_init(struct loop *loop, struct problem *problem)
{
    memset(loop, 0, sizeof(*loop));
    pthread_mutex_init(&loop->lock, NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd >= 0 && loop->wake_fd >= 0) {
        loop->wake =
            (struct loop_fd){.fd = loop->wake_fd, .events = EPOLLIN, .fn = loop_woken, .arg = loop};
        if (loop_fd_add(loop, &loop->wake) == 0)
            return 0;
    }
    int error = errno;
    loop_fini(loop);
    return problem_set(problem, -error, "cannot make an event loop: %s", strerror(error));
}

/* ---- timers ---- */

void loop_timer_init(struct loop_timer *timer, void (*fn)(void *arg), void *arg)
{
    *timer = (struct loop_timer){.fn = fn, .arg = arg};
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    if (!timer->armed)
        return;
    struct loop_timer **at = &loop->timers;
    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
    timer->armed = false;
}

void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
    loop_timer_cancel(loop, timer);
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    struct loop_timer **at = &loop->timers;
    while (*at != NULL && (*at)->deadline_ns <= deadline_ns)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
}

static void loop_run_timers(struct loop *loop)
{
    if (loop->timers == NULL)
        return;
    /* One reading of the clock: a timer that arms itself for "now" must not keep the loop here. */
    uint64_t now = host_time_ns();
    while (loop->timers != NULL && loop->timers->deadline_ns <= now) {
        struct loop_timer *timer = loop->timers;
        loop_timer_cancel(loop, timer);
        timer->fn(timer->arg);
    }
}

/* Milliseconds for epoll_wait, rounded up. */
static int loop_timeout(const struct loop *loop)
{
    if (loop->timers == NULL)
        return -1;
    uint64_t now = host_time_ns();
    if (loop->timers->deadline_ns <= now)
        return 0;
    uint64_t ms = (loop->timers->deadline_ns - now + 999999) / 1000000;
    return ms < 3600000 ? (int)ms : 3600000;
}

/* ---- hooks ---- */

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    hook->next = loop->hooks;
    loop->hooks = hook;
}

void loop_hook_del(struct loop *loop, struct loop_hook *hook)
{
    for (struct loop_hook **at = &loop->hooks; *at != NULL; at = &(*at)->next) {
        if (*at == hook) {
            *at = hook->next;
            return;
        }
    }
}

/* ---- work ---- */

void loop_work_init(struct loop_work *work, void (*fn)(void *arg), void *arg)
{
    *work = (struct loop_work){.fn = fn, .arg = arg};
}

void loop_work_post(struct loop *loop, struct loop_work *work)
{
    pthread_mutex_lock(&loop->lock);
    /* Somebody wakes the loop already when the queue is not empty. */
    bool wake = loop->first == NULL;
    if (!work->pending) {
        work->pending = true;
        work->next = NULL;
        if (loop->first == NULL)
            loop->first = work;
        else
            loop->last->next = work;
        loop->last = work;
        loop->queued++;
    }
    pthread_mutex_unlock(&loop->lock);
    if (wake)
        loop_wake(loop);
}

void loop_work_cancel(struct loop *loop, struct loop_work *work)
{
    pthread_mutex_lock(&loop->lock);
    if (work->pending) {
        struct loop_work *before = NULL;
        for (struct loop_work *at = loop->first; at != work; at = at->next)
            before = at;
        if (before == NULL)
            loop->first = work->next;
        else
            before->next = work->next;
        if (loop->last == work)
            loop->last = before;
        work->pending = false;
        loop->queued--;
    }
    pthread_mutex_unlock(&loop->lock);
}

/* Runs what is queued now; what that posts in turn waits for the next round. */
static void loop_run_work(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    for (unsigned budget = loop->queued; budget > 0 && loop->first != NULL; budget--) {
        struct loop_work *work = loop->first;
        loop->first = work->next;
        loop->queued--;
        work->pending = false;
        void (*fn)(void *) = work->fn;
        void *arg = work->arg;
        pthread_mutex_unlock(&loop->lock);
        fn(arg);
        pthread_mutex_lock(&loop->lock);
    }
    /* Posts that saw a queue that was not empty did not wake us. */
    if (loop->first != NULL)
        loop_wake(loop);
    pthread_mutex_unlock(&loop->lock);
}

struct loop_call {
    void (*fn)(void *arg);
    void *arg;
    struct host_event done;
};

static void loop_call_run(void *arg)
{
    struct loop_call *call = arg;

    call->fn(call->arg);
    host_event_set(&call->done);
}

bool loop_is_current(const struct loop *loop)
{
    return !loop->started || pthread_equal(loop->thread, pthread_self());
}

void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct loop_call call = {.fn = fn, .arg = arg};
    struct loop_work work;

    if (loop_is_current(loop)) {
        fn(arg);
        return;
    }
    host_event_init(&call.done);
    loop_work_init(&work, loop_call_run, &call);
    loop_work_post(loop, &work);
    host_event_wait(&call.done, UINT64_MAX);
}

/* ---- descriptors ---- */

int loop_fd_add(struct loop *loop, struct loop_fd *fd)
{
    struct epoll_event event = {.events = fd->events, .data.ptr = fd};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd->fd, &event) != 0)
        return -errno;
    fd->added = true;
    return 0;
}

int loop_fd_set(struct loop *loop, struct loop_fd *fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = fd};

    if (!fd->added)
        return -E_NOENT;
    if (fd->events == events)
        return 0;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd->fd, &event) != 0)
        return -errno;
    fd->events = events;
    return 0;
}

struct loop_fd_del {
    struct loop *loop;
    struct loop_fd *fd;
};

static void loop_fd_del_here(void *arg)
{
    struct loop_fd_del *del = arg;
    struct loop *loop = del->loop;

    if (!del->fd->added)
        return;
    del->fd->added = false;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, del->fd->fd, NULL);
    /* Events that epoll_wait has already delivered must not reach it any more. */
    for (int i = loop->batch_at; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == del->fd)
            loop->batch[i].data.ptr = NULL;
}

void loop_fd_del(struct loop *loop, struct loop_fd *fd)
{
    struct loop_fd_del del = {loop, fd};

    loop_call(loop, loop_fd_del_here, &del);
}

/* ---- the thread ---- */

static void loop_body(struct loop *loop)
{
    while (!atomic_load(&loop->stopping)) {
        for (struct loop_hook *hook = loop->hooks, *next; hook != NULL; hook = next) {
            next = hook->next;
            hook->before_sleep(hook->arg);
        }
        int count = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, loop_timeout(loop));
        loop->batch_count = count > 0 ? count : 0;
        for (loop->batch_at = 0; loop->batch_at < loop->batch_count;) {
            struct epoll_event *event = &loop->batch[loop->batch_at++];
            struct loop_fd *fd = event->data.ptr;
            if (fd != NULL)
                fd->fn(fd->arg, event->events);
        }
        loop->batch_count = 0;
        loop_run_work(loop);
        loop_run_timers(loop);
    }
}

static void *loop_thread(void *arg)
{
    struct loop *loop = arg;

    /* Callbacks ask loop_is_current: `thread` and `started` must be set first. */
    pthread_mutex_lock(&loop->lock);
    pthread_mutex_unlock(&loop->lock);
    loop_body(loop);
    return NULL;
}

int loop_start(struct loop *loop, const char *name, struct problem *problem)
{
    sigset_t all, before;
    char short_name[16];

    pthread_mutex_lock(&loop->lock);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&loop->thread, NULL, loop_thread, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->started = loop->joinable = error == 0;
    pthread_mutex_unlock(&loop->lock);
    if (error != 0)
        return problem_set(problem, -error, "cannot start the I/O thread: %s", strerror(error));
    strncpy(short_name, name, sizeof(short_name) - 1);
    short_name[sizeof(short_name) - 1] = 0;
    pthread_setname_np(loop->thread, short_name);
    return 0;
}

/* Makes the loop end after the callback that runs now. */
static void loop_request_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    loop_wake(loop);
}

void loop_stop(struct loop *loop)
{
    if (loop->joinable) {
        loop_request_stop(loop);
        pthread_join(loop->thread, NULL);
        loop->started = loop->joinable = false;
        atomic_store(&loop->stopping, false);
    }
    if (loop->epoll_fd >= 0 && loop->wake_fd >= 0)
        loop_run_work(loop);
}

void loop_fini(struct loop *loop)
{
    while (loop->first != NULL) {
        struct loop_work *work = loop->first;
        loop->first = work->next;
        work->pending = false;
    }
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    loop->epoll_fd = loop->wake_fd = -1;
    pthread_mutex_destroy(&loop->lock);
}
