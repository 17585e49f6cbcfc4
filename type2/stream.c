#define _GNU_SOURCE

#include "type2/stream.h"

#include "core/error.h"
#include "core/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_SIZE     (256U << 10) /* the guest's bytes before they are spread */
#define OUT_RESERVE  (16U << 10)  /* of these: for writers that may not wait */
#define SINK_SIZE    (64U << 10)  /* what one slow reader may be behind */
#define HISTORY_SIZE (16U << 10)  /* for replay */
#define INPUT_SIZE   (4U << 10)
#define CHUNK        4096U
#define PAUSE_NS     1000000ULL /* between two drains: a UART sends byte by byte */

/* A bounded queue of bytes. */
struct ring {
    uint8_t *bytes;
    size_t size, head, count;
};

static size_t ring_room(const struct ring *ring)
{
    return ring->size - ring->count;
}

static size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t len)
{
    if (len > ring_room(ring))
        len = ring_room(ring);
    size_t tail = (ring->head + ring->count) % ring->size;
    size_t first = len < ring->size - tail ? len : ring->size - tail;
    memcpy(ring->bytes + tail, bytes, first);
    memcpy(ring->bytes, bytes + first, len - first);
    ring->count += len;
    return len;
}

/* The longest piece that lies in one go. */
static size_t ring_peek(const struct ring *ring, const uint8_t **bytes)
{
    size_t run = ring->size - ring->head;

    *bytes = ring->bytes + ring->head;
    return ring->count < run ? ring->count : run;
}

static void ring_drop(struct ring *ring, size_t len)
{
    ring->head = (ring->head + len) % ring->size;
    ring->count -= len;
}

static size_t ring_take(struct ring *ring, uint8_t *to, size_t len)
{
    size_t taken = 0;

    while (taken < len && ring->count > 0) {
        const uint8_t *from;
        size_t run = ring_peek(ring, &from);
        if (run > len - taken)
            run = len - taken;
        memcpy(to + taken, from, run);
        ring_drop(ring, run);
        taken += run;
    }
    return taken;
}

enum sink_kind { SINK_OUTPUT, SINK_LOG, SINK_ATTACHED, SINK_TAP };

struct stream_sink {
    struct stream_mux *mux;
    struct stream_sink *next;
    enum sink_kind kind;
    bool lossless;
    bool dead;    /* its other side has gone: takes everything, does nothing */
    bool socket;  /* send() instead of write() */
    bool waits;   /* write() may wait, but for a file's disk only */
    bool chary;   /* a pipe or terminal that we could not reopen: small pieces, after a poll */
    bool foreign; /* the descriptor is the caller's: not to be closed */
    bool no_more_input;
    struct loop_fd watch;
    struct ring behind; /* what its descriptor has not taken yet */
    void (*tap)(void *arg, const void *bytes, size_t len);
    void (*closed)(void *arg);
    void *arg;
    char *path; /* log */
    uint64_t limit, written;
};

struct stream_mux {
    struct stream_backend backend;
    struct loop *loop;
    char name[48];

    /* The loop's thread. */
    struct stream_sink *sinks;
    struct ring history;
    struct loop_work drain_work, drain_now_work, input_work;
    struct loop_timer drain_timer;
    uint64_t drained_at;
    uint64_t delivered; /* bytes spread to the sinks */
    void (*input_ready)(void *arg);
    void *input_ready_arg;
    bool input_refused;
    bool warned;

    pthread_mutex_t lock;
    pthread_cond_t progress; /* there is room, or `reached` has grown */
    struct ring out;
    uint64_t taken;   /* bytes accepted from the guest */
    uint64_t reached; /* of these: in all lossless sinks' descriptors */
    bool patient;     /* the guest waits for slow readers */
    struct ring input;
    _Atomic uint64_t lost;
};

static struct stream_mux *mux_of(struct stream_backend *backend)
{
    return (struct stream_mux *)backend;
}

static void mux_lose(struct stream_mux *mux, size_t len, const char *why)
{
    if (len == 0)
        return;
    if (atomic_fetch_add(&mux->lost, len) == 0)
        host_log(HOST_LOG_WARNING, "%s: console output is being lost: %s", mux->name, why);
}

/* ---- writing to one sink ---- */

/* Like write(2), but never waits for a reader. -EAGAIN, or another negative errno. */
static ssize_t sink_write(struct stream_sink *sink, const uint8_t *bytes, size_t len)
{
    ssize_t wrote;

    do {
        if (sink->socket) {
            wrote = send(sink->watch.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else if (sink->chary) {
            /* POSIX promises that PIPE_BUF bytes fit when poll says that the pipe is ready. */
            struct pollfd ready = {.fd = sink->watch.fd, .events = POLLOUT};
            if (poll(&ready, 1, 0) <= 0)
                return -EAGAIN;
            wrote = write(sink->watch.fd, bytes, len < 512 ? len : 512);
        } else {
            wrote = write(sink->watch.fd, bytes, len);
        }
    } while (wrote < 0 && errno == EINTR);
    return wrote < 0 ? -errno : wrote;
}

static void log_turn(struct stream_sink *sink)
{
    char *old = NULL;

    if (asprintf(&old, "%s.1", sink->path) < 0)
        return;
    int fd = -1;
    if (rename(sink->path, old) == 0)
        fd = open(sink->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    free(old);
    sink->written = 0;
    if (fd < 0)
        return; /* better a log that is too long than none */
    close(sink->watch.fd);
    sink->watch.fd = fd;
}

static void sink_hang_up(struct stream_sink *sink);

/* Writes directly what it can; returns how many bytes the sink is done with. */
static size_t sink_push(struct stream_sink *sink, const uint8_t *bytes, size_t len)
{
    size_t done = 0;

    while (done < len && !sink->dead) {
        ssize_t wrote = sink_write(sink, bytes + done, len - done);
        if (wrote > 0) {
            done += (size_t)wrote;
            sink->written += (uint64_t)wrote;
            if (sink->kind == SINK_LOG && sink->limit != 0 && sink->written >= sink->limit)
                log_turn(sink);
            continue;
        }
        if (wrote == -EAGAIN)
            return done;
        if (sink->kind == SINK_ATTACHED) {
            sink->dead = true; /* its descriptor's EPOLLHUP ends it */
        } else if (sink->kind == SINK_LOG) {
            mux_lose(sink->mux, len - done, strerror((int)-wrote)); /* a full disk may get room */
            return len;
        } else {
            host_log(HOST_LOG_WARNING, "%s: console output goes nowhere any more: %s",
                     sink->mux->name, wrote < 0 ? strerror((int)-wrote) : "closed");
            sink->dead = true;
            if (sink->watch.added)
                loop_fd_del(sink->mux->loop, &sink->watch);
        }
    }
    return len;
}

/* Room in front of a sink; only the lossless ones hold others up. */
static size_t sink_room(const struct stream_sink *sink)
{
    return sink->dead || !sink->lossless || sink->waits || sink->kind == SINK_TAP
               ? SIZE_MAX
               : ring_room(&sink->behind);
}

static void sink_watch(struct stream_sink *sink)
{
    uint32_t events = 0;

    if (!sink->watch.added)
        return;
    if (sink->behind.count > 0)
        events |= EPOLLOUT;
    if (sink->kind == SINK_ATTACHED && !sink->no_more_input && ring_room(&sink->mux->input) > 0)
        events |= EPOLLIN;
    loop_fd_set(sink->mux->loop, &sink->watch, events);
}

static void sink_deliver(struct stream_sink *sink, const uint8_t *bytes, size_t len)
{
    if (sink->dead)
        return;
    if (sink->kind == SINK_TAP) {
        sink->tap(sink->arg, bytes, len);
        return;
    }
    size_t done = sink->behind.count == 0 ? sink_push(sink, bytes, len) : 0;
    if (done < len) {
        size_t kept = ring_put(&sink->behind, bytes + done, len - done);
        if (sink->lossless)
            mux_lose(sink->mux, len - done - kept, "its reader does not read");
        sink_watch(sink);
    }
}

static void sink_catch_up(struct stream_sink *sink)
{
    const uint8_t *bytes;

    while (sink->behind.count > 0) {
        size_t run = ring_peek(&sink->behind, &bytes);
        size_t done = sink_push(sink, bytes, run);
        ring_drop(&sink->behind, done);
        if (done < run)
            break;
    }
}

/* ---- spreading ---- */

static void mux_history(struct stream_mux *mux, const uint8_t *bytes, size_t len)
{
    if (len > mux->history.size) {
        bytes += len - mux->history.size;
        len = mux->history.size;
    }
    if (len > ring_room(&mux->history))
        ring_drop(&mux->history, len - ring_room(&mux->history));
    ring_put(&mux->history, bytes, len);
}

/* How many bytes all lossless sinks can take. */
static size_t mux_room(const struct stream_mux *mux)
{
    size_t room = SIZE_MAX;

    for (const struct stream_sink *sink = mux->sinks; sink != NULL; sink = sink->next)
        if (sink_room(sink) < room)
            room = sink_room(sink);
    return room;
}

static void mux_drain(void *arg)
{
    struct stream_mux *mux = arg;
    uint8_t chunk[CHUNK];

    for (;;) {
        size_t room = mux_room(mux);
        pthread_mutex_lock(&mux->lock);
        size_t len = ring_take(&mux->out, chunk, room < CHUNK ? room : CHUNK);
        pthread_cond_broadcast(&mux->progress);
        pthread_mutex_unlock(&mux->lock);
        if (len == 0)
            break;
        mux_history(mux, chunk, len);
        for (struct stream_sink *sink = mux->sinks, *next; sink != NULL; sink = next) {
            next = sink->next;
            sink_deliver(sink, chunk, len);
        }
        mux->delivered += len;
    }

    size_t behind = 0;
    for (const struct stream_sink *sink = mux->sinks; sink != NULL; sink = sink->next)
        if (sink->lossless && !sink->dead && sink->behind.count > behind)
            behind = sink->behind.count;
    pthread_mutex_lock(&mux->lock);
    mux->reached = mux->delivered - behind;
    pthread_cond_broadcast(&mux->progress);
    pthread_mutex_unlock(&mux->lock);
    mux->drained_at = host_time_ns();
}

/* A single byte goes out at once, a flood in gulps: one wake-up of the loop a byte would be slow.
 */
static void mux_drain_soon(void *arg)
{
    struct stream_mux *mux = arg;
    uint64_t now = host_time_ns();

    if (now - mux->drained_at >= PAUSE_NS)
        mux_drain(mux);
    else if (!mux->drain_timer.armed)
        loop_timer_arm(mux->loop, &mux->drain_timer, mux->drained_at + PAUSE_NS);
}

/* Absolute time for mux->progress, which goes by CLOCK_MONOTONIC. */
static struct timespec deadline_in(unsigned ms)
{
    uint64_t at = host_time_ns() + ms * 1000000ULL;

    return (struct timespec){.tv_sec = (time_t)(at / 1000000000U),
                             .tv_nsec = (long)(at % 1000000000U)};
}

/* With the lock held. */
static size_t mux_put(struct stream_mux *mux, const uint8_t *bytes, size_t len, size_t reserve)
{
    size_t room = ring_room(&mux->out);
    bool wake = mux->out.count == 0;

    room = room > reserve ? room - reserve : 0;
    size_t part = ring_put(&mux->out, bytes, len < room ? len : room);
    mux->taken += part;
    /* While bytes are waiting, somebody is on the way to drain them. */
    if (wake && part > 0)
        loop_work_post(mux->loop, &mux->drain_work);
    return part;
}

static size_t mux_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    struct stream_mux *mux = mux_of(backend);
    const uint8_t *from = bytes;
    size_t done = 0;
    bool can_wait = !loop_is_current(mux->loop);

    pthread_mutex_lock(&mux->lock);
    for (;;) {
        bool waits = can_wait && mux->patient;
        done += mux_put(mux, from + done, len - done, waits ? OUT_RESERVE : 0);
        if (done == len)
            break;
        if (waits) {
            pthread_cond_wait(&mux->progress, &mux->lock);
            continue;
        }
        if (can_wait)
            break;
        pthread_mutex_unlock(&mux->lock);
        mux_drain(mux);
        pthread_mutex_lock(&mux->lock);
        if (ring_room(&mux->out) == 0)
            break;
    }
    pthread_mutex_unlock(&mux->lock);
    mux_lose(mux, len - done, "its reader does not read");
    return done;
}

void stream_mux_set_patient(struct stream_mux *mux, bool patient)
{
    pthread_mutex_lock(&mux->lock);
    mux->patient = patient;
    pthread_cond_broadcast(&mux->progress);
    pthread_mutex_unlock(&mux->lock);
}

/* ---- input ---- */

static void mux_input_ready(struct stream_mux *mux)
{
    pthread_mutex_lock(&mux->lock);
    bool room = ring_room(&mux->input) >= mux->input.size / 2;
    bool call = room && mux->input_refused && mux->input_ready != NULL;
    if (room)
        mux->input_refused = false;
    pthread_mutex_unlock(&mux->lock);
    if (!room)
        return;
    for (struct stream_sink *sink = mux->sinks; sink != NULL; sink = sink->next)
        if (sink->kind == SINK_ATTACHED)
            sink_watch(sink);
    if (call)
        mux->input_ready(mux->input_ready_arg);
}

/* Hands input to the device, on the loop's thread. */
static void mux_feed_device(void *arg)
{
    struct stream_mux *mux = arg;
    uint8_t chunk[256];

    while (mux->backend.receive != NULL) {
        const uint8_t *bytes;
        pthread_mutex_lock(&mux->lock);
        size_t len = ring_peek(&mux->input, &bytes);
        if (len > sizeof(chunk))
            len = sizeof(chunk);
        memcpy(chunk, bytes, len);
        pthread_mutex_unlock(&mux->lock);
        if (len == 0)
            break;
        /* Without the lock: the device may call us. Only this thread takes from the ring. */
        size_t taken = mux->backend.receive(mux->backend.device, chunk, len);
        pthread_mutex_lock(&mux->lock);
        ring_drop(&mux->input, taken < len ? taken : len);
        pthread_mutex_unlock(&mux->lock);
        if (taken < len)
            break; /* mux_resume calls again */
    }
    mux_input_ready(mux);
}

static void mux_resume(struct stream_backend *backend)
{
    struct stream_mux *mux = mux_of(backend);

    pthread_mutex_lock(&mux->lock);
    bool more = mux->input.count > 0;
    pthread_mutex_unlock(&mux->lock);
    if (more)
        loop_work_post(mux->loop, &mux->input_work);
}

size_t stream_mux_input(struct stream_mux *mux, const void *bytes, size_t len)
{
    pthread_mutex_lock(&mux->lock);
    size_t taken = ring_put(&mux->input, bytes, len);
    if (taken < len)
        mux->input_refused = true;
    pthread_mutex_unlock(&mux->lock);
    if (taken > 0)
        loop_work_post(mux->loop, &mux->input_work);
    return taken;
}

struct input_ready_call {
    struct stream_mux *mux;
    void (*fn)(void *arg);
    void *arg;
};

static void mux_set_input_ready(void *arg)
{
    struct input_ready_call *call = arg;

    call->mux->input_ready = call->fn;
    call->mux->input_ready_arg = call->arg;
}

void stream_mux_set_input_ready(struct stream_mux *mux, void (*fn)(void *arg), void *arg)
{
    struct input_ready_call call = {mux, fn, arg};

    loop_call(mux->loop, mux_set_input_ready, &call);
}

/* ---- sinks come and go ---- */

static void sink_free(struct stream_sink *sink)
{
    if (sink->watch.fd >= 0 && !sink->foreign)
        close(sink->watch.fd);
    free(sink->behind.bytes);
    free(sink->path);
    free(sink);
}

/* On the loop's thread. False if it is not among them. */
static bool sink_take_off(struct stream_mux *mux, struct stream_sink *sink)
{
    for (struct stream_sink **at = &mux->sinks; *at != NULL; at = &(*at)->next) {
        if (*at != sink)
            continue;
        *at = sink->next;
        if (sink->watch.added)
            loop_fd_del(mux->loop, &sink->watch);
        return true;
    }
    return false;
}

static void sink_hang_up(struct stream_sink *sink)
{
    struct stream_mux *mux = sink->mux;
    void (*closed)(void *) = sink->closed;
    void *arg = sink->arg;

    sink_take_off(mux, sink);
    sink_free(sink);
    if (closed != NULL)
        closed(arg);
}

static void sink_event(void *arg, uint32_t events)
{
    struct stream_sink *sink = arg;
    struct stream_mux *mux = sink->mux;
    uint8_t bytes[1024];

    if (events & EPOLLOUT) {
        sink_catch_up(sink);
        sink_watch(sink);
        mux_drain(mux);
    }
    if (sink->kind != SINK_ATTACHED) {
        if ((events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLOUT)) {
            loop_fd_del(mux->loop, &sink->watch); /* would be reported for ever */
            sink->dead = true;
            mux_drain(mux);
        }
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        pthread_mutex_lock(&mux->lock);
        size_t room = ring_room(&mux->input);
        pthread_mutex_unlock(&mux->lock);
        ssize_t got = 0;
        if (!sink->no_more_input && room > 0)
            got = read(sink->watch.fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
        if (got > 0) {
            size_t taken = stream_mux_input(mux, bytes, (size_t)got);
            (void)taken; /* all: only this thread and the terminal's, which is the same, put bytes
                            in */
        } else if (got == 0 && room > 0) {
            sink->no_more_input = true; /* it may go on listening */
        }
        if ((events & (EPOLLHUP | EPOLLERR)) && got <= 0) {
            sink_hang_up(sink);
            return;
        }
        sink_watch(sink);
    }
}

struct sink_call {
    struct stream_mux *mux;
    struct stream_sink *sink;
    size_t replay;
    bool ok;
};

static void sink_put_on(void *arg)
{
    struct sink_call *call = arg;
    struct stream_mux *mux = call->mux;
    struct stream_sink *sink = call->sink;

    call->ok = true;
    if (sink->kind != SINK_TAP && !sink->waits) {
        int error = loop_fd_add(mux->loop, &sink->watch);
        if (error == -EPERM)
            sink->waits = true; /* a device that is always ready: /dev/null */
        else if (error != 0)
            call->ok = false;
    }
    if (!call->ok)
        return;
    if (call->replay > 0) {
        size_t count = mux->history.count, from = count > call->replay ? count - call->replay : 0;
        for (size_t i = from; i < count; i++) {
            uint8_t byte = mux->history.bytes[(mux->history.head + i) % mux->history.size];
            ring_put(&sink->behind, &byte, 1);
        }
        sink_catch_up(sink);
    }
    sink->next = mux->sinks;
    mux->sinks = sink;
    sink_watch(sink);
}

static void sink_take_off_call(void *arg)
{
    struct sink_call *call = arg;

    if (sink_take_off(call->mux, call->sink))
        sink_free(call->sink);
    mux_drain(call->mux); /* it may have been what held up the others */
}

static struct stream_sink *sink_new(struct stream_mux *mux, enum sink_kind kind, bool lossless)
{
    struct stream_sink *sink = calloc(1, sizeof(*sink));

    if (sink == NULL)
        return NULL;
    sink->mux = mux;
    sink->kind = kind;
    sink->lossless = lossless;
    sink->watch.fd = -1;
    sink->watch.fn = sink_event;
    sink->watch.arg = sink;
    if (kind == SINK_TAP)
        return sink;
    sink->behind.size = SINK_SIZE;
    sink->behind.bytes = malloc(SINK_SIZE);
    if (sink->behind.bytes == NULL) {
        free(sink);
        return NULL;
    }
    return sink;
}

/* Puts it on, or frees it (leaving an attached person's descriptor open). */
static struct stream_sink *sink_begin(struct stream_sink *sink, size_t replay)
{
    struct sink_call call = {.mux = sink->mux, .sink = sink, .replay = replay};

    loop_call(sink->mux->loop, sink_put_on, &call);
    if (call.ok)
        return sink;
    sink->foreign = sink->foreign || sink->kind == SINK_ATTACHED;
    sink_free(sink);
    return NULL;
}

struct stream_sink *stream_mux_add_output(struct stream_mux *mux, int fd)
{
    struct stat st;
    char self[32];
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &st) != 0)
        return NULL;
    struct stream_sink *sink = sink_new(mux, SINK_OUTPUT, true);
    if (sink == NULL)
        return NULL;
    sink->watch.fd = -1;
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
        sink->waits = true;
    } else if (S_ISSOCK(st.st_mode)) {
        sink->socket = true;
    } else {
        /*
         * A pipe or terminal is shared with other processes, and so is O_NONBLOCK; opened again it
         * is a description of our own.
         */
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        sink->watch.fd = open(self, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        sink->chary = sink->watch.fd < 0;
    }
    if (sink->watch.fd < 0)
        sink->watch.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (sink->watch.fd < 0) {
        sink_free(sink);
        return NULL;
    }
    return sink_begin(sink, 0);
}

struct stream_sink *stream_mux_add_log(struct stream_mux *mux, const char *path, uint64_t limit,
                                       struct problem *problem)
{
    struct stream_sink *sink = sink_new(mux, SINK_LOG, true);
    struct stat st;

    if (sink == NULL || (sink->path = strdup(path)) == NULL) {
        problem_set(problem, -E_NOMEM, "log %s: out of memory", path);
        if (sink != NULL)
            sink_free(sink);
        return NULL;
    }
    sink->waits = true;
    sink->limit = limit;
    sink->watch.fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (sink->watch.fd < 0) {
        problem_set(problem, -errno, "log %s: %s", path, strerror(errno));
        sink_free(sink);
        return NULL;
    }
    if (fstat(sink->watch.fd, &st) == 0)
        sink->written = (uint64_t)st.st_size;
    return sink_begin(sink, 0);
}

struct stream_sink *stream_mux_attach(struct stream_mux *mux, int fd, size_t replay,
                                      void (*closed)(void *arg), void *arg)
{
    struct stream_sink *sink = sink_new(mux, SINK_ATTACHED, false);
    struct stat st;

    if (sink == NULL)
        return NULL;
    sink->watch.fd = fd;
    sink->closed = closed;
    sink->arg = arg;
    sink->socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    sink->watch.events = EPOLLIN;
    return sink_begin(sink, replay);
}

struct stream_sink *stream_mux_add_tap(struct stream_mux *mux,
                                       void (*fn)(void *arg, const void *bytes, size_t len),
                                       void *arg)
{
    struct stream_sink *sink = sink_new(mux, SINK_TAP, false);

    if (sink == NULL)
        return NULL;
    sink->tap = fn;
    sink->arg = arg;
    return sink_begin(sink, 0);
}

void stream_mux_remove(struct stream_mux *mux, struct stream_sink *sink)
{
    struct sink_call call = {.mux = mux, .sink = sink};

    if (sink != NULL)
        loop_call(mux->loop, sink_take_off_call, &call);
}

/* ---- the whole ---- */

static const struct stream_ops mux_ops = {.write = mux_write, .resume = mux_resume};

struct stream_mux *stream_mux_new(const char *name, struct loop *loop)
{
    struct stream_mux *mux = calloc(1, sizeof(*mux));

    if (mux == NULL)
        return NULL;
    mux->backend.ops = &mux_ops;
    mux->loop = loop;
    mux->patient = true;
    snprintf(mux->name, sizeof(mux->name), "%s", name);
    mux->out = (struct ring){.bytes = malloc(OUT_SIZE), .size = OUT_SIZE};
    mux->history = (struct ring){.bytes = malloc(HISTORY_SIZE), .size = HISTORY_SIZE};
    mux->input = (struct ring){.bytes = malloc(INPUT_SIZE), .size = INPUT_SIZE};
    pthread_mutex_init(&mux->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&mux->progress, &attr);
    pthread_condattr_destroy(&attr);
    loop_work_init(&mux->drain_work, mux_drain_soon, mux);
    loop_work_init(&mux->drain_now_work, mux_drain, mux);
    loop_work_init(&mux->input_work, mux_feed_device, mux);
    loop_timer_init(&mux->drain_timer, mux_drain, mux);
    if (mux->out.bytes == NULL || mux->history.bytes == NULL || mux->input.bytes == NULL) {
        stream_mux_free(mux);
        return NULL;
    }
    return mux;
}

struct stream_backend *stream_mux_backend(struct stream_mux *mux)
{
    return &mux->backend;
}

bool stream_mux_flush(struct stream_mux *mux, unsigned timeout_ms)
{
    struct timespec until = deadline_in(timeout_ms);
    bool in_time = true;

    if (loop_is_current(mux->loop))
        mux_drain(mux);
    else
        loop_work_post(mux->loop, &mux->drain_now_work);
    pthread_mutex_lock(&mux->lock);
    uint64_t target = mux->taken;
    while (mux->reached < target && in_time && !loop_is_current(mux->loop))
        in_time = pthread_cond_timedwait(&mux->progress, &mux->lock, &until) != ETIMEDOUT;
    bool reached = mux->reached >= target;
    pthread_mutex_unlock(&mux->lock);
    return reached;
}

uint64_t stream_mux_lost(const struct stream_mux *mux)
{
    return atomic_load(&mux->lost);
}

static void mux_close(void *arg)
{
    struct stream_mux *mux = arg;

    while (mux->sinks != NULL) {
        struct stream_sink *sink = mux->sinks;
        sink_take_off(mux, sink);
        sink_free(sink);
    }
    loop_timer_cancel(mux->loop, &mux->drain_timer);
    loop_work_cancel(mux->loop, &mux->drain_work);
    loop_work_cancel(mux->loop, &mux->drain_now_work);
    loop_work_cancel(mux->loop, &mux->input_work);
}

void stream_mux_free(struct stream_mux *mux)
{
    if (mux == NULL)
        return;
    if (mux->sinks != NULL)
        stream_mux_flush(mux, STREAM_WAIT_MS);
    loop_call(mux->loop, mux_close, mux);
    pthread_mutex_destroy(&mux->lock);
    pthread_cond_destroy(&mux->progress);
    free(mux->out.bytes);
    free(mux->history.bytes);
    free(mux->input.bytes);
    free(mux);
}
