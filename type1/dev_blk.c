#include "type1/dev_blk.h"

#include "core/error.h"

/* 5.2.3 */
#define BLK_F_SEG_MAX      (1ULL << 2)
#define BLK_F_RO           (1ULL << 5)
#define BLK_F_FLUSH        (1ULL << 9)
#define BLK_F_WRITE_ZEROES (1ULL << 14)

/* 5.2.4: seg_max, max_write_zeroes_sectors */
#define CONFIG_SEG_MAX    12
#define CONFIG_ZEROES_MAX 48

#define SECTOR      512ULL
#define LENGTH_MAX  0x80000000u /* bytes of one descriptor */
#define DEPTH       16          /* requests of one machine at once */
#define ID_BYTES    20
#define STATUS_NONE 0xff
#define SPIN_MAX    10000000u /* looks at the ring before an answer is given up, at start */

/* 5.2.6 */
enum { BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8, BLK_T_WRITE_ZEROES = 13 };
enum { BLK_S_OK = 0, BLK_S_UNSUPP = 2 };

/* What the device reads and writes besides data. */
struct dev_blk_slot {
    uint32_t type, reserved;
    uint64_t sector;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range;
    uint8_t status; /* written by the device */
    struct block_request *request;
};

/* Header, data or range, status. */
static unsigned descriptors_of(const struct block_request *request)
{
    switch (request->op) {
    case BLOCK_READ:
    case BLOCK_WRITE: return request->buffer_count + 2;
    default: return 3;
    }
}

/* The device's number for the operation, or -1: answered without it. */
static int type_of(const struct dev_blk *blk, enum block_op op)
{
    switch (op) {
    case BLOCK_READ: return BLK_T_IN;
    case BLOCK_WRITE: return BLK_T_OUT;
    case BLOCK_FLUSH: return (blk->vio.features & BLK_F_FLUSH) != 0 ? BLK_T_FLUSH : -1;
    case BLOCK_WRITE_ZEROES:
        return (blk->vio.features & BLK_F_WRITE_ZEROES) != 0 ? BLK_T_WRITE_ZEROES : -1;
    default: return -1;
    }
}

/* The status byte is the last of the chain. Lock held, room checked. */
static uint16_t issue(struct dev_blk *blk, struct block_request *request, int type)
{
    struct vio_queue *queue = &blk->queue;
    uint16_t head = vio_begin(queue);
    struct dev_blk_slot *slot = &blk->slots[head];

    slot->type = (uint32_t)type;
    slot->sector = type == BLK_T_IN || type == BLK_T_OUT ? request->offset / SECTOR : 0;
    slot->status = STATUS_NONE;
    slot->request = request;
    vio_add(queue, &slot->type, 16, false);
    if (type == BLK_T_WRITE_ZEROES) {
        slot->range.sector = request->offset / SECTOR;
        slot->range.sectors = (uint32_t)(request->length / SECTOR);
        slot->range.flags = request->unmap ? 1 : 0;
        vio_add(queue, &slot->range, sizeof slot->range, false);
    } else if (type != BLK_T_FLUSH) {
        for (unsigned i = 0; i < request->buffer_count; i++)
            vio_add(queue, request->buffers[i].base, request->buffers[i].len, type != BLK_T_OUT);
    }
    vio_add(queue, &slot->status, 1, true);
    vio_end(queue);
    return head;
}

static void wait_for_room(struct dev_blk *blk, struct block_request *request)
{
    request->backend[0] = 0;
    if (blk->waiting_first == NULL)
        blk->waiting_first = request;
    else
        blk->waiting_last->backend[0] = (uint64_t)(uintptr_t)request;
    blk->waiting_last = request;
}

static bool fits(const struct dev_blk *blk, const struct block_request *request)
{
    if (request->buffer_count > blk->backend.segments || request->offset > blk->backend.size ||
        request->length > blk->backend.size - request->offset)
        return false;
    for (unsigned i = 0; i < request->buffer_count; i++) {
        if (request->buffers[i].len > LENGTH_MAX)
            return false;
    }
    return true;
}

static void blk_submit(struct block_backend *backend, struct block_request *request)
{
    struct dev_blk *blk = (struct dev_blk *)backend;
    int type = type_of(blk, request->op);

    if (request->op == BLOCK_WRITE_ZEROES && request->length / SECTOR > blk->zeroes_max)
        type = -1;
    if (type < 0) {
        /* A device that knows no flush has no cache that loses writes (5.2.5). */
        request->done(request, request->op == BLOCK_FLUSH ? 0 : -E_NOTSUP);
        return;
    }
    if (!fits(blk, request)) {
        request->done(request, -E_IO);
        return;
    }
    host_lock_acquire(&blk->lock);
    if (blk->waiting_first == NULL && vio_room(&blk->queue, descriptors_of(request))) {
        issue(blk, request, type);
        vio_kick(&blk->queue);
    } else {
        wait_for_room(blk, request);
    }
    host_lock_release(&blk->lock);
}

/* Lock held. */
static void issue_waiting(struct dev_blk *blk)
{
    bool issued = false;
    struct block_request *request;
    while ((request = blk->waiting_first) != NULL &&
           vio_room(&blk->queue, descriptors_of(request))) {
        blk->waiting_first = (struct block_request *)(uintptr_t)request->backend[0];
        issue(blk, request, type_of(blk, request->op));
        issued = true;
    }
    if (issued)
        vio_kick(&blk->queue);
}

static int result_of(const struct dev_blk_slot *slot)
{
    uint8_t status = *(const volatile uint8_t *)&slot->status;
    return status == BLK_S_OK ? 0 : status == BLK_S_UNSUPP ? -E_NOTSUP : -E_IO;
}

/*
 * Acknowledged before the ring is looked at: what comes later, and so all that a full ring does not
 * hold, interrupts again.
 */
void dev_blk_interrupt(struct dev_blk *blk)
{
    uint16_t head;
    uint32_t written;

    vio_acknowledge(&blk->vio);
    for (unsigned i = 0; i < blk->queue.size; i++) {
        host_lock_acquire(&blk->lock);
        bool taken = vio_take(&blk->queue, &head, &written);
        struct block_request *request = taken ? blk->slots[head].request : NULL;
        int result = taken ? result_of(&blk->slots[head]) : 0;
        issue_waiting(blk);
        host_lock_release(&blk->lock);
        if (!taken)
            return;
        if (request != NULL)
            request->done(request, result);
    }
}

/* ---- The start ---- */

/* Nobody else uses it yet; one that does not answer has no serial number. */
static void read_serial(struct dev_blk *blk)
{
    struct buffer buffer = {.base = blk->slots + blk->queue.size, .len = ID_BYTES};
    struct block_request request = {.buffers = &buffer, .buffer_count = 1};
    uint32_t written;
    uint16_t head = issue(blk, &request, BLK_T_GET_ID), back;

    vio_kick(&blk->queue);
    blk->slots[head].request = NULL;
    for (unsigned i = 0; i < SPIN_MAX; i++) {
        if (!vio_take(&blk->queue, &back, &written))
            continue;
        if (result_of(&blk->slots[head]) == 0)
            memcpy(blk->backend.serial, buffer.base, ID_BYTES);
        break;
    }
    for (unsigned i = 0; i < ID_BYTES; i++) {
        if (blk->backend.serial[i] != 0 &&
            (blk->backend.serial[i] < ' ' || blk->backend.serial[i] > '~'))
            blk->backend.serial[i] = '?';
    }
    vio_acknowledge(&blk->vio);
}

int dev_blk_init(struct dev_blk *blk, const struct vio *vio)
{
    static const struct block_ops ops = {.submit = blk_submit};

    memset(blk, 0, sizeof *blk);
    host_lock_init(&blk->lock);
    blk->vio = *vio;
    int error = vio_start(&blk->vio, BLK_F_SEG_MAX | BLK_F_RO | BLK_F_FLUSH | BLK_F_WRITE_ZEROES);
    if (error != 0)
        return error;
    error = vio_queue_init(&blk->queue, &blk->vio, 0, vio_queue_max(&blk->vio, 0));
    if (error == 0)
        blk->slots = host_alloc(sizeof *blk->slots * blk->queue.size + 64, 64);
    if (error != 0 || blk->slots == NULL) {
        vio_stop(&blk->vio);
        return error != 0 ? error : -E_NOMEM;
    }
    uint64_t sectors = vio_config(&blk->vio, 0) | (uint64_t)vio_config(&blk->vio, 4) << 32;
    blk->backend.ops = &ops;
    blk->backend.depth = DEPTH;
    blk->backend.segments = blk->queue.size - 2u; /* header and status */
    if ((blk->vio.features & BLK_F_SEG_MAX) != 0) {
        uint32_t segments = vio_config(&blk->vio, CONFIG_SEG_MAX);
        if (segments < blk->backend.segments)
            blk->backend.segments = segments;
    }
    blk->backend.size = sectors < UINT64_MAX / SECTOR ? sectors * SECTOR : 0;
    blk->backend.readonly = (blk->vio.features & BLK_F_RO) != 0;
    if ((blk->vio.features & BLK_F_WRITE_ZEROES) != 0)
        blk->zeroes_max = vio_config(&blk->vio, CONFIG_ZEROES_MAX);
    vio_ready(&blk->vio);
    read_serial(blk);
    return 0;
}
