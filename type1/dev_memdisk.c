#include "type1/dev_memdisk.h"

#include "core/error.h"

/* Use of block_request.backend while we hold it. */
enum { REQUEST_NEXT, REQUEST_DISK };

static struct block_request *request_at(uint64_t word)
{
    return (struct block_request *)(uintptr_t)word;
}

/* ---- The work itself ---- */

static void pause_between(uint64_t *since, uint64_t done, void (*breathe)(void))
{
    *since += done;
    if (breathe != NULL && *since >= MEMDISK_PIECE) {
        *since = 0;
        breathe();
    }
}

static void transfer(struct memdisk *disk, const struct block_request *request,
                     void (*breathe)(void))
{
    uint8_t *at = disk->bytes + request->offset;
    uint64_t left = request->length, since = 0;

    for (unsigned i = 0; i < request->buffer_count && left > 0; i++) {
        uint8_t *buffer = request->buffers[i].base;
        uint64_t len = request->buffers[i].len < left ? request->buffers[i].len : left;
        left -= len;
        while (len > 0) {
            size_t piece = len < MEMDISK_PIECE ? (size_t)len : MEMDISK_PIECE;
            if (request->op == BLOCK_READ)
                memcpy(buffer, at, piece);
            else
                memcpy(at, buffer, piece);
            at += piece;
            buffer += piece;
            len -= piece;
            pause_between(&since, piece, breathe);
        }
    }
}

static void zero(struct memdisk *disk, const struct block_request *request, void (*breathe)(void))
{
    uint64_t since = 0;
    for (uint64_t done = 0; done < request->length;) {
        uint64_t left = request->length - done;
        size_t piece = left < MEMDISK_PIECE ? (size_t)left : MEMDISK_PIECE;
        memset(disk->bytes + request->offset + done, 0, piece);
        done += piece;
        pause_between(&since, piece, breathe);
    }
}

static int serve(struct memdisk *disk, const struct block_request *request, void (*breathe)(void))
{
    if (request->op == BLOCK_FLUSH)
        return 0;
    if (request->offset > disk->backend.size ||
        request->length > disk->backend.size - request->offset)
        return -E_INVAL;
    if (request->op != BLOCK_READ && disk->backend.readonly)
        return -E_IO;
    switch (request->op) {
    case BLOCK_READ:
    case BLOCK_WRITE: transfer(disk, request, breathe); return 0;
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES: zero(disk, request, breathe); return 0;
    default: return -E_NOTSUP;
    }
}

/* ---- Who does it ---- */

static void defer(struct memdisk *disk, struct block_request *request)
{
    struct memdisk_worker *worker = disk->worker;
    request->backend[REQUEST_NEXT] = 0;
    request->backend[REQUEST_DISK] = (uint64_t)(uintptr_t)disk;
    host_lock_acquire(&worker->lock);
    if (worker->first == NULL)
        worker->first = request;
    else
        worker->last->backend[REQUEST_NEXT] = (uint64_t)(uintptr_t)request;
    worker->last = request;
    host_lock_release(&worker->lock);
    host_event_set(&worker->event);
}

static void memdisk_submit(struct block_backend *backend, struct block_request *request)
{
    struct memdisk *disk = (struct memdisk *)backend;
    if (request->op != BLOCK_FLUSH && request->length > MEMDISK_INLINE)
        defer(disk, request);
    else
        request->done(request, serve(disk, request, NULL));
}

void memdisk_work(struct memdisk_worker *worker, void (*breathe)(void))
{
    for (;;) {
        host_lock_acquire(&worker->lock);
        struct block_request *request = worker->first;
        if (request != NULL)
            worker->first = request_at(request->backend[REQUEST_NEXT]);
        host_lock_release(&worker->lock);
        if (request == NULL)
            return;
        struct memdisk *disk = (struct memdisk *)(uintptr_t)request->backend[REQUEST_DISK];
        request->done(request, serve(disk, request, breathe));
        if (breathe != NULL)
            breathe();
    }
}

void memdisk_worker_init(struct memdisk_worker *worker)
{
    host_lock_init(&worker->lock);
    host_event_init(&worker->event);
    worker->first = worker->last = NULL;
}

void memdisk_init(struct memdisk *disk, const void *bytes, uint64_t size, bool readonly,
                  const char *serial, struct memdisk_worker *worker)
{
    static const struct block_ops ops = {.submit = memdisk_submit};
    size_t len = serial != NULL ? strlen(serial) : 0;

    *disk = (struct memdisk){
        .backend = {.ops = &ops,
                    .size = (size + MEMDISK_SECTOR - 1) & ~(MEMDISK_SECTOR - 1),
                    .readonly = readonly,
                    .depth = 2}, /* one that is worked on, and the next */
        .bytes = (uint8_t *)(uintptr_t)bytes,
        .worker = worker,
    };
    if (len >= sizeof disk->backend.serial)
        len = sizeof disk->backend.serial - 1;
    if (len > 0)
        memcpy(disk->backend.serial, serial, len);
}
