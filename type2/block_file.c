#define _GNU_SOURCE

#include "type2/block_file.h"

#include "core/error.h"
#include "core/host.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR       512
#define RING_ENTRIES 128
#define IOV_PER_CALL 1024U        /* the kernel's UIO_MAXIOV */
#define TRY_MAX      (4U << 20)   /* up to this is first tried in the page cache: about 1 ms */
#define ZEROES_SIZE  (256U << 10) /* written at once when the file system cannot make zeroes */
#define RETRY_NS     1000000ULL   /* after the kernel was short of memory */

_Static_assert(sizeof(struct buffer) == sizeof(struct iovec) &&
                   offsetof(struct buffer, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(struct buffer, len) == offsetof(struct iovec, iov_len),
               "struct buffer is not struct iovec");

struct block_file {
    struct block_backend backend;
    struct loop *loop;
    int fd;
    bool use_ring;
    bool one_writer; /* the host lets writes at the file one by one */
    _Atomic bool try_reads, try_writes;
    _Atomic bool can_punch, can_zero;
    _Atomic bool written; /* something is not known to be on the disk */
    _Atomic uint32_t flushes;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t idle;  /* in_flight has become 0 */
    unsigned in_flight;   /* requests taken and not done */

    struct io_uring ring;
    unsigned ring_used;
    struct block_request *first, *last; /* wait for a place in the ring */
    struct loop_fd completions;
    struct loop_work retry_work; /* the ring has entries that the kernel did not take */
    struct loop_timer retry_timer;

    pthread_t worker; /* does what the ring cannot, or everything */
    bool worker_started, worker_stop;
    pthread_cond_t work;
    struct block_request *work_first, *work_last;
};

/* How far a request is; lives in block_request.backend. */
struct progress {
    struct block_request *next;
    uint64_t moved;     /* bytes transferred so far */
    struct iovec *rest; /* what is left after a short transfer; ours */
};
_Static_assert(sizeof(struct progress) <= sizeof(((struct block_request *)0)->backend),
               "struct progress does not fit");

static struct progress *progress_of(struct block_request *request)
{
    return (struct progress *)request->backend;
}

static struct block_file *block_file_of(struct block_backend *backend)
{
    return (struct block_file *)backend;
}

/* ---- one request, step by step ---- */

/* The buffers still to be filled or written, at most IOV_PER_CALL of them. False: no memory. */
static bool request_rest(struct block_request *request, const struct iovec **iov, unsigned *count)
{
    struct progress *progress = progress_of(request);
    unsigned i = 0;
    uint64_t skip = progress->moved;

    if (skip == 0) {
        *iov = (const struct iovec *)request->buffers;
        *count = request->buffer_count < IOV_PER_CALL ? request->buffer_count : IOV_PER_CALL;
        return true;
    }
    while (i < request->buffer_count && skip >= request->buffers[i].len)
        skip -= request->buffers[i++].len;
    unsigned left = request->buffer_count - i;
    if (left > IOV_PER_CALL)
        left = IOV_PER_CALL;
    free(progress->rest);
    progress->rest = malloc((left + 1) * sizeof(*progress->rest));
    if (progress->rest == NULL)
        return false;
    memcpy(progress->rest, &request->buffers[i], left * sizeof(*progress->rest));
    if (left > 0) {
        progress->rest[0].iov_base = (char *)progress->rest[0].iov_base + skip;
        progress->rest[0].iov_len -= (size_t)skip;
    }
    *iov = progress->rest;
    *count = left;
    return true;
}

static int request_fallocate_mode(const struct block_request *request)
{
    bool punch = request->op == BLOCK_DISCARD || request->unmap;

    return FALLOC_FL_KEEP_SIZE | (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

static void request_done(struct block_file *file, struct block_request *request, int result)
{
    free(progress_of(request)->rest);
    progress_of(request)->rest = NULL;
    if (request->op == BLOCK_FLUSH) {
        if (result != 0)
            atomic_store(&file->written, true);
        atomic_fetch_sub(&file->flushes, 1);
    } else if (request->op != BLOCK_READ) {
        atomic_store(&file->written, true);
    }
    request->done(request, result);

    pthread_mutex_lock(&file->lock);
    if (--file->in_flight == 0)
        pthread_cond_broadcast(&file->idle);
    pthread_mutex_unlock(&file->lock);
}

static int error_from(long result)
{
    /* The values are Linux's; what a device may see is only that it failed, or that room is short.
     */
    switch (-result) {
    case ENOSPC:
    case EDQUOT: return -E_NOSPC;
    case ENOMEM: return -E_NOMEM;
    case EROFS: return -E_ROFS;
    default: return -E_IO;
    }
}

enum next_step { STEP_DONE, STEP_AGAIN, STEP_WORKER };

/* What follows from a system call's result (bytes, or a negative errno). */
static enum next_step request_step(struct block_file *file, struct block_request *request,
                                   long result, int *answer)
{
    struct progress *progress = progress_of(request);

    *answer = 0;
    /* ECANCELED: the thread that submitted it has ended (a VCPU that was switched off). */
    if (result == -EINTR || result == -EAGAIN || result == -ECANCELED)
        return STEP_AGAIN;

    switch (request->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        if (result <= 0) {
            /* 0: somebody has made the file shorter. */
            *answer = error_from(result);
            return STEP_DONE;
        }
        progress->moved += (uint64_t)result;
        return progress->moved >= request->length ? STEP_DONE : STEP_AGAIN;

    case BLOCK_FLUSH: *answer = result < 0 ? error_from(result) : 0; return STEP_DONE;

    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES:
        if (result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL) {
            bool punch = (request_fallocate_mode(request) & FALLOC_FL_PUNCH_HOLE) != 0;
            atomic_store(punch ? &file->can_punch : &file->can_zero, false);
            /* A discard is a hint; zeroes are a promise. */
            return request->op == BLOCK_DISCARD ? STEP_DONE : STEP_WORKER;
        }
        *answer = result < 0 ? error_from(result) : 0;
        return STEP_DONE;
    }
    *answer = -E_NOTSUP;
    return STEP_DONE;
}

/* ---- the worker: one thread of plain system calls ---- */

static int worker_write_zeroes(struct block_file *file, const struct block_request *request)
{
    uint64_t at = request->offset, end = request->offset + request->length;
    char *zeroes = calloc(1, ZEROES_SIZE);

    if (zeroes == NULL)
        return -E_NOMEM;
    int result = 0;
    while (at < end && result == 0) {
        size_t part = end - at < ZEROES_SIZE ? (size_t)(end - at) : ZEROES_SIZE;
        ssize_t wrote = pwrite(file->fd, zeroes, part, (off_t)at);
        if (wrote > 0)
            at += (uint64_t)wrote;
        else if (wrote == 0 || errno != EINTR)
            result = wrote == 0 ? -E_IO : error_from(-errno);
    }
    free(zeroes);
    return result;
}

static long worker_call(struct block_file *file, struct block_request *request)
{
    const struct iovec *iov;
    unsigned count;
    long result = 0;

    switch (request->op) {
    case BLOCK_READ:
    case BLOCK_WRITE: {
        off_t at = (off_t)(request->offset + progress_of(request)->moved);
        if (!request_rest(request, &iov, &count))
            return -ENOMEM;
        result = request->op == BLOCK_READ ? preadv(file->fd, iov, (int)count, at)
                                           : pwritev(file->fd, iov, (int)count, at);
        break;
    }
    case BLOCK_FLUSH: result = fdatasync(file->fd); break;
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES:
        result = fallocate(file->fd, request_fallocate_mode(request), (off_t)request->offset,
                           (off_t)request->length);
        break;
    }
    return result < 0 ? -errno : result;
}

static void worker_do(struct block_file *file, struct block_request *request)
{
    int answer = 0;
    bool zeroes_by_hand =
        request->op == BLOCK_WRITE_ZEROES &&
        !atomic_load(request_fallocate_mode(request) & FALLOC_FL_PUNCH_HOLE ? &file->can_punch
                                                                            : &file->can_zero);

    if (!zeroes_by_hand) {
        enum next_step step;
        do
            step = request_step(file, request, worker_call(file, request), &answer);
        while (step == STEP_AGAIN);
        zeroes_by_hand = step == STEP_WORKER;
    }
    if (zeroes_by_hand)
        answer = worker_write_zeroes(file, request);
    request_done(file, request, answer);
}

static void *worker_thread(void *arg)
{
    struct block_file *file = arg;

    pthread_mutex_lock(&file->lock);
    for (;;) {
        struct block_request *request = file->work_first;
        if (request == NULL) {
            if (file->worker_stop)
                break;
            pthread_cond_wait(&file->work, &file->lock);
            continue;
        }
        file->work_first = progress_of(request)->next;
        pthread_mutex_unlock(&file->lock);
        worker_do(file, request);
        pthread_mutex_lock(&file->lock);
    }
    pthread_mutex_unlock(&file->lock);
    return NULL;
}

/* Holds the lock. False: no thread can be had. */
static bool worker_start(struct block_file *file)
{
    sigset_t all, before;

    if (file->worker_started)
        return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    file->worker_started = pthread_create(&file->worker, NULL, worker_thread, file) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (file->worker_started)
        pthread_setname_np(file->worker, "disk");
    return file->worker_started;
}

/* Holds the lock. False: the caller must answer the request with an error. */
static bool worker_push(struct block_file *file, struct block_request *request)
{
    if (!worker_start(file))
        return false;
    progress_of(request)->next = NULL;
    if (file->work_first == NULL)
        file->work_first = request;
    else
        progress_of(file->work_last)->next = request;
    file->work_last = request;
    pthread_cond_signal(&file->work);
    return true;
}

/* ---- the ring ---- */

/* Holds the lock. */
static void ring_submit(struct block_file *file)
{
    int taken = io_uring_submit(&file->ring);

    /* The kernel may be short of memory for a moment; the entries stay in the ring. */
    if (taken < 0)
        loop_work_post(file->loop, &file->retry_work);
}

/* Holds the lock; there is a place in the ring. False: no memory for the list of buffers. */
static bool ring_put(struct block_file *file, struct block_request *request)
{
    const struct iovec *iov;
    unsigned count;
    bool transfer = request->op == BLOCK_READ || request->op == BLOCK_WRITE;

    if (transfer && !request_rest(request, &iov, &count))
        return false;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&file->ring);
    if (sqe == NULL)
        return false;
    switch (request->op) {
    case BLOCK_READ:
        io_uring_prep_readv(sqe, file->fd, iov, count,
                            request->offset + progress_of(request)->moved);
        break;
    case BLOCK_WRITE:
        io_uring_prep_writev(sqe, file->fd, iov, count,
                             request->offset + progress_of(request)->moved);
        break;
    case BLOCK_FLUSH: io_uring_prep_fsync(sqe, file->fd, IORING_FSYNC_DATASYNC); break;
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES:
        io_uring_prep_fallocate(sqe, file->fd, request_fallocate_mode(request),
                                (off_t)request->offset, (off_t)request->length);
        break;
    }
    io_uring_sqe_set_data(sqe, request);
    file->ring_used++;
    return true;
}

/* Holds the lock. False: the caller must answer the request with -E_NOMEM. */
static bool ring_start(struct block_file *file, struct block_request *request)
{
    if (file->ring_used < RING_ENTRIES && file->first == NULL) {
        if (!ring_put(file, request))
            return false;
        ring_submit(file);
        return true;
    }
    progress_of(request)->next = NULL;
    if (file->first == NULL)
        file->first = request;
    else
        progress_of(file->last)->next = request;
    file->last = request;
    return true;
}

/* Holds the lock. Requests that cannot be started are left in *failed. */
static void ring_refill(struct block_file *file, struct block_request **failed)
{
    bool any = false;

    while (file->first != NULL && file->ring_used < RING_ENTRIES) {
        struct block_request *request = file->first;
        file->first = progress_of(request)->next;
        if (ring_put(file, request)) {
            any = true;
        } else {
            progress_of(request)->next = *failed;
            *failed = request;
        }
    }
    if (any)
        ring_submit(file);
}

static void ring_completed(struct block_file *file, struct block_request *request, long result)
{
    struct block_request *failed = NULL;
    int answer;
    bool started = false;

    /* Under the lock, which its submitter held: the kernel's ring is no ordering that C knows. */
    pthread_mutex_lock(&file->lock);
    enum next_step step = request_step(file, request, result, &answer);
    file->ring_used--;
    if (step == STEP_AGAIN)
        started = ring_start(file, request);
    else if (step == STEP_WORKER)
        started = worker_push(file, request);
    ring_refill(file, &failed);
    pthread_mutex_unlock(&file->lock);

    if (!started)
        request_done(file, request, step == STEP_DONE ? answer : -E_NOMEM);
    while (failed != NULL) {
        struct block_request *next = progress_of(failed)->next;
        request_done(file, failed, -E_NOMEM);
        failed = next;
    }
}

static void ring_reap(struct block_file *file)
{
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&file->ring, &cqe) == 0) {
        struct block_request *request = io_uring_cqe_get_data(cqe);
        long result = cqe->res;
        io_uring_cqe_seen(&file->ring, cqe);
        ring_completed(file, request, result);
    }
}

static void ring_event(void *arg, uint32_t events)
{
    struct block_file *file = arg;
    uint64_t count;

    (void)events;
    if (read(file->completions.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return;
    ring_reap(file);
}

static void ring_retry(void *arg)
{
    struct block_file *file = arg;

    pthread_mutex_lock(&file->lock);
    ring_submit(file);
    pthread_mutex_unlock(&file->lock);
}

static void ring_retry_later(void *arg)
{
    struct block_file *file = arg;

    loop_timer_arm(file->loop, &file->retry_timer, host_time_ns() + RETRY_NS);
}

static void ring_retry_cancel(void *arg)
{
    struct block_file *file = arg;

    loop_work_cancel(file->loop, &file->retry_work);
    loop_timer_cancel(file->loop, &file->retry_timer);
}

/* False: io_uring is not permitted here (containers), or not there. */
static bool ring_open(struct block_file *file)
{
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (event < 0)
        return false;
    if (io_uring_queue_init(RING_ENTRIES, &file->ring, 0) == 0) {
        file->completions =
            (struct loop_fd){.fd = event, .events = EPOLLIN, .fn = ring_event, .arg = file};
        loop_work_init(&file->retry_work, ring_retry_later, file);
        loop_timer_init(&file->retry_timer, ring_retry, file);
        if (io_uring_register_eventfd(&file->ring, event) == 0 &&
            loop_fd_add(file->loop, &file->completions) == 0)
            return true;
        io_uring_queue_exit(&file->ring);
    }
    close(event);
    return false;
}

/* ---- the backend ---- */

/* -E_INVAL and so on for what must not reach the file, 1 for what is done already, 0. */
static int request_check(struct block_file *file, const struct block_request *request)
{
    uint64_t sum = 0;

    switch (request->op) {
    case BLOCK_FLUSH: return 0;
    case BLOCK_READ: break;
    case BLOCK_WRITE:
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES:
        if (file->backend.readonly)
            return -E_ROFS;
        break;
    default: return -E_NOTSUP;
    }
    if (request->offset > file->backend.size ||
        request->length > file->backend.size - request->offset)
        return -E_RANGE;
    if (request->op == BLOCK_READ || request->op == BLOCK_WRITE) {
        for (unsigned i = 0; i < request->buffer_count; i++) {
            if (request->buffers[i].len > request->length - sum)
                return -E_INVAL;
            sum += request->buffers[i].len;
        }
        if (sum != request->length)
            return -E_INVAL;
    }
    return request->length == 0 ? 1 : 0;
}

/*
 * Does what needs no waiting for the disk: what is read from the page cache, or written into it
 * where the file system can promise that. True: that was all of it. A file system that cannot is
 * asked once.
 */
static bool request_try(struct block_file *file, struct block_request *request)
{
    bool reads = request->op == BLOCK_READ;
    _Atomic bool *may = reads ? &file->try_reads : &file->try_writes;

    if ((!reads && request->op != BLOCK_WRITE) || request->length > TRY_MAX ||
        request->buffer_count > IOV_PER_CALL || !atomic_load(may))
        return false;
    const struct iovec *iov = (const struct iovec *)request->buffers;
    int count = (int)request->buffer_count;
    off_t at = (off_t)request->offset;
    ssize_t got = reads ? preadv2(file->fd, iov, count, at, RWF_NOWAIT)
                        : pwritev2(file->fd, iov, count, at, RWF_NOWAIT);
    if (got > 0)
        progress_of(request)->moved = (uint64_t)got;
    else if (got < 0 && errno == EOPNOTSUPP)
        atomic_store(may, false);
    return got > 0 && (uint64_t)got == request->length;
}

/* Holds the lock. False: the caller must answer the request with -E_NOMEM. */
static bool request_start(struct block_file *file, struct block_request *request)
{
    bool worker = !file->use_ring;

    if (request->op == BLOCK_WRITE)
        worker |= file->one_writer;
    else if (request->op == BLOCK_WRITE_ZEROES)
        worker |= !atomic_load(request->unmap ? &file->can_punch : &file->can_zero);
    return worker ? worker_push(file, request) : ring_start(file, request);
}

static void block_file_submit(struct block_backend *backend, struct block_request *request)
{
    struct block_file *file = block_file_of(backend);

    *progress_of(request) = (struct progress){0};
    int check = request_check(file, request);
    if (check != 0) {
        request->done(request, check < 0 ? check : 0);
        return;
    }
    if (request->op == BLOCK_DISCARD && !atomic_load(&file->can_punch)) {
        request->done(request, 0);
        return;
    }
    if (request->op == BLOCK_FLUSH) {
        /* Counted first: a second flush must not overtake one that is on its way. */
        if (atomic_fetch_add(&file->flushes, 1) == 0 && !atomic_load(&file->written)) {
            atomic_fetch_sub(&file->flushes, 1);
            request->done(request, 0);
            return;
        }
        atomic_store(&file->written, false);
    }
    if (request_try(file, request)) {
        if (request->op == BLOCK_WRITE)
            atomic_store(&file->written, true);
        request->done(request, 0);
        return;
    }

    pthread_mutex_lock(&file->lock);
    file->in_flight++;
    bool started = request_start(file, request);
    pthread_mutex_unlock(&file->lock);
    if (!started)
        request_done(file, request, -E_NOMEM);
}

/* ---- opening and closing ---- */

static int block_file_lock(struct block_file *file, const char *path, struct problem *problem)
{
    struct flock lock = {.l_type = file->backend.readonly ? F_RDLCK : F_WRLCK,
                         .l_whence = SEEK_SET};

    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return problem_set(problem, -E_BUSY,
                           file->backend.readonly
                               ? "disk %s: in use for writing by another VM; stop it first"
                               : "disk %s: in use by another VM; stop it, or share it ,readonly",
                           path);
    /* Some file systems know no locks; refusing them would help nobody. */
    host_log(HOST_LOG_WARNING, "disk %s: cannot lock it (%s)", path, strerror(errno));
    return 0;
}

static int block_file_measure(struct block_file *file, const char *path, struct problem *problem)
{
    struct stat st;
    char magic[4] = {0};

    if (fstat(file->fd, &st) != 0)
        return problem_set(problem, -errno, "disk %s: %s", path, strerror(errno));
    if (S_ISBLK(st.st_mode)) {
        uint64_t size = 0;
        if (ioctl(file->fd, BLKGETSIZE64, &size) != 0)
            return problem_set(problem, -errno, "disk %s: cannot tell its size: %s", path,
                               strerror(errno));
        file->backend.size = size;
    } else if (S_ISREG(st.st_mode)) {
        file->backend.size = (uint64_t)st.st_size;
        file->one_writer = true;
    } else {
        return problem_set(problem, -E_INVAL,
                           "disk %s: is %s, not a file or a block device; name one of these", path,
                           S_ISDIR(st.st_mode) ? "a folder" : "something special");
    }
    if (file->backend.size == 0)
        return problem_set(problem, -E_INVAL,
                           "disk %s: is empty; give it a size: truncate -s 1G %s", path, path);
    if (file->backend.size % SECTOR != 0)
        return problem_set(problem, -E_INVAL,
                           "disk %s: its size (%llu bytes) is not a multiple of 512; fill it up: "
                           "truncate -s %%512 %s",
                           path, (unsigned long long)file->backend.size, path);
    if (pread(file->fd, magic, sizeof(magic), 0) == sizeof(magic) &&
        memcmp(magic, "QFI\xfb", sizeof(magic)) == 0)
        return problem_set(
            problem, -E_INVAL,
            "disk %s: is a qcow2 image; make a raw one of it: qemu-img convert -O raw "
            "%s NEW.raw",
            path, path);
    return 0;
}

static const struct block_ops block_file_ops = {.submit = block_file_submit};

struct block_backend *block_file_open(const struct block_file_options *options, struct loop *loop,
                                      struct problem *problem)
{
    struct block_file *file = calloc(1, sizeof(*file));

    if (file == NULL) {
        problem_set(problem, -E_NOMEM, "disk %s: out of memory; free some on this host",
                    options->path);
        return NULL;
    }
    file->backend.ops = &block_file_ops;
    file->backend.readonly = options->readonly;
    file->backend.discard = !options->readonly;
    if (options->serial != NULL)
        strncpy(file->backend.serial, options->serial, sizeof(file->backend.serial) - 1);
    file->loop = loop;
    atomic_init(&file->try_reads, !options->no_try);
    atomic_init(&file->try_writes, !options->no_try);
    atomic_init(&file->can_punch, true);
    atomic_init(&file->can_zero, true);
    pthread_mutex_init(&file->lock, NULL);
    pthread_cond_init(&file->idle, NULL);
    pthread_cond_init(&file->work, NULL);

    /* O_NONBLOCK: a named pipe must not hold us up; it would make io_uring fail instead of wait. */
    file->fd = open(options->path,
                    (options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0) {
        int error = errno;
        if (error == ENOENT)
            problem_set(problem, -error, "disk %s: no such file; make one: truncate -s 1G %s",
                        options->path, options->path);
        else if (error == EISDIR)
            problem_set(problem, -error, "disk %s: is a folder, not a file; name a file in it",
                        options->path);
        else
            problem_set(problem, -error, "disk %s: %s; %s", options->path, strerror(error),
                        options->readonly ? "give one that you can read"
                                          : "give one that you can write, or add ,readonly");
        goto failed;
    }
    if (block_file_measure(file, options->path, problem) != 0 ||
        block_file_lock(file, options->path, problem) != 0)
        goto failed;
    fcntl(file->fd, F_SETFL, fcntl(file->fd, F_GETFL) & ~O_NONBLOCK);
    file->use_ring = !options->threads && ring_open(file);
    return &file->backend;

failed:
    if (file->fd >= 0)
        close(file->fd);
    free(file);
    return NULL;
}

void block_file_close(struct block_backend *backend)
{
    if (backend == NULL)
        return;
    struct block_file *file = block_file_of(backend);

    pthread_mutex_lock(&file->lock);
    while (file->in_flight > 0) {
        /* Without a loop's thread nobody else reaps the ring. */
        if (file->use_ring && loop_is_current(file->loop) && file->ring_used > 0) {
            struct io_uring_cqe *cqe;
            pthread_mutex_unlock(&file->lock);
            if (io_uring_wait_cqe(&file->ring, &cqe) == 0)
                ring_reap(file);
            pthread_mutex_lock(&file->lock);
        } else {
            pthread_cond_wait(&file->idle, &file->lock);
        }
    }
    file->worker_stop = true;
    pthread_cond_signal(&file->work);
    pthread_mutex_unlock(&file->lock);
    if (file->worker_started)
        pthread_join(file->worker, NULL);
    if (file->use_ring) {
        loop_fd_del(file->loop, &file->completions);
        loop_call(file->loop, ring_retry_cancel, file);
        close(file->completions.fd);
        io_uring_queue_exit(&file->ring);
    }
    if (atomic_load(&file->written))
        fdatasync(file->fd);
    close(file->fd); /* and with it the lock */
    pthread_mutex_destroy(&file->lock);
    pthread_cond_destroy(&file->idle);
    pthread_cond_destroy(&file->work);
    free(file);
}
