#include "devices/virtio/blk.h"

#include "core/error.h"

/* Feature bits, 5.2.3. */
#define BLK_F_SEG_MAX      (1ULL << 2)
#define BLK_F_RO           (1ULL << 5)
#define BLK_F_BLK_SIZE     (1ULL << 6)
#define BLK_F_FLUSH        (1ULL << 9)
#define BLK_F_DISCARD      (1ULL << 13)
#define BLK_F_WRITE_ZEROES (1ULL << 14)

#define SERIAL_BYTES     20
#define DISCARD_SECTORS  0x200000U /* 1 GiB: a hole costs the backend nothing */
#define ZEROES_SECTORS   0x10000U  /* 32 MiB: it may have to be written */
#define RANGE_FLAG_UNMAP 1U

/* 5.2.6 */
enum blk_type {
    BLK_T_IN = 0,
    BLK_T_OUT = 1,
    BLK_T_FLUSH = 4,
    BLK_T_GET_ID = 8,
    BLK_T_DISCARD = 11,
    BLK_T_WRITE_ZEROES = 13,
};
enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

struct blk_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* One range of DISCARD or WRITE_ZEROES. */
struct blk_range {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
};

static struct virtio_blk *blk_of(struct virtio_device *device)
{
    return (struct virtio_blk *)(void *)device;
}

static struct virtio_blk_request *request_take(struct virtio_blk *blk)
{
    struct virtio_blk_request *request = blk->free;

    if (request != NULL)
        blk->free = request->next;
    else if (blk->touched < blk->request_count)
        request = &blk->requests[blk->touched++];
    return request;
}

static void request_give(struct virtio_blk *blk, struct virtio_blk_request *request)
{
    request->next = blk->free;
    blk->free = request;
}

/* The answer is known without the backend. */
static void request_answer(struct virtio_blk_request *request, enum blk_status code)
{
    request->submit = false;
    request->code = (uint8_t)code;
}

/* False: not inside the disk. */
static bool request_place(struct virtio_blk *blk, struct virtio_blk_request *request,
                          uint64_t sector, uint64_t length)
{
    uint64_t sectors = blk->backend->size / VIRTIO_BLK_SECTOR;

    if (length % VIRTIO_BLK_SECTOR != 0 || sector > sectors ||
        length / VIRTIO_BLK_SECTOR > sectors - sector)
        return false;
    request->block.offset = sector * VIRTIO_BLK_SECTOR;
    request->block.length = length;
    return true;
}

static void request_transfer(struct virtio_blk *blk, struct virtio_blk_request *request, bool write,
                             uint64_t sector)
{
    struct virtq_chain *chain = &request->chain;
    uint64_t length =
        write ? chain->readable_bytes - sizeof(struct blk_header) : chain->writable_bytes;
    unsigned first = 0;

    request->block.op = write ? BLOCK_WRITE : BLOCK_READ;
    if ((write && blk->backend->readonly) || length > VIRTIO_BLK_BYTES_MAX ||
        !request_place(blk, request, sector, length)) {
        request_answer(request, BLK_S_IOERR);
        return;
    }
    if (write) {
        size_t skip = sizeof(struct blk_header);

        for (; first < chain->readable_count && skip >= chain->buffers[first].len; first++)
            skip -= chain->buffers[first].len;
        if (skip > 0) {
            chain->buffers[first].base = (uint8_t *)chain->buffers[first].base + skip;
            chain->buffers[first].len -= skip;
        }
        request->block.buffer_count = chain->readable_count - first;
    } else {
        first = chain->readable_count;
        request->block.buffer_count = chain->writable_count;
        request->written = length < UINT32_MAX ? (uint32_t)length + 1 : UINT32_MAX;
    }
    request->block.buffers = &chain->buffers[first];
    if (length == 0)
        request_answer(request, BLK_S_OK);
}

static void request_range(struct virtio_blk *blk, struct virtio_blk_request *request, bool discard)
{
    struct blk_range range;
    uint32_t limit = discard ? DISCARD_SECTORS : ZEROES_SECTORS;

    request->block.op = discard ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES;
    if (blk->backend->readonly || (discard && !blk->backend->discard)) {
        request_answer(request, BLK_S_UNSUPP);
        return;
    }
    /* One range: that is what max_discard_seg and max_write_zeroes_seg say. */
    if (request->chain.readable_bytes != sizeof(struct blk_header) + sizeof(range) ||
        virtq_chain_read(&request->chain, sizeof(struct blk_header), &range, sizeof(range)) !=
            sizeof(range) ||
        range.sectors > limit ||
        !request_place(blk, request, range.sector, range.sectors * VIRTIO_BLK_SECTOR)) {
        request_answer(request, BLK_S_IOERR);
        return;
    }
    /* 5.2.6.2: unknown flags, and unmap in a discard, are not supported. */
    if ((range.flags & ~(discard ? 0U : RANGE_FLAG_UNMAP)) != 0) {
        request_answer(request, BLK_S_UNSUPP);
        return;
    }
    request->block.unmap = (range.flags & RANGE_FLAG_UNMAP) != 0;
    if (range.sectors == 0)
        request_answer(request, BLK_S_OK);
}

static void request_id(struct virtio_blk *blk, struct virtio_blk_request *request)
{
    /* 5.2.6: padded with zero bytes, and not terminated if it takes all 20. */
    char id[SERIAL_BYTES] = {0};
    uint64_t room = request->chain.writable_bytes;
    size_t len = room < sizeof(id) ? (size_t)room : sizeof(id);
    size_t serial = strlen(blk->backend->serial);

    memcpy(id, blk->backend->serial, serial < sizeof(id) ? serial : sizeof(id));
    virtq_chain_write(&request->chain, blk->virtio.mem, 0, id, len);
    request->written = (uint32_t)len + (len == room ? 1 : 0);
    request_answer(request, BLK_S_OK);
}

/* Reads the chain into the request. False: it has no header or no status byte, which no driver may
 * send. */
static bool request_parse(struct virtio_blk *blk, struct virtio_blk_request *request)
{
    struct virtq_chain *chain = &request->chain;
    struct blk_header header;

    if (virtq_chain_read(chain, 0, &header, sizeof(header)) != sizeof(header) ||
        chain->writable_bytes == 0)
        return false;

    /* 5.2.6: the status is the last byte, wherever the descriptors end; the rest of the writable
     * part is data. */
    unsigned last = (unsigned)chain->readable_count + chain->writable_count - 1;
    size_t len = --chain->buffers[last].len;
    request->status = (uint8_t *)chain->buffers[last].base + len;
    request->status_gpa = chain->gpas[last] + len;
    chain->writable_bytes--;
    if (len == 0)
        chain->writable_count--;

    /* 2.7.8.2: bytes are counted from the first writable one; a status byte behind unwritten data
     * does not count. */
    request->written = chain->writable_bytes == 0 ? 1 : 0;
    request->write_through = !virtio_has(&blk->virtio, BLK_F_FLUSH);
    request->submit = true;
    request->block.offset = 0;
    request->block.length = 0;
    request->block.buffers = NULL;
    request->block.buffer_count = 0;
    request->block.unmap = false;

    switch (header.type) {
    case BLK_T_IN: request_transfer(blk, request, false, header.sector); break;
    case BLK_T_OUT: request_transfer(blk, request, true, header.sector); break;
    case BLK_T_FLUSH: request->block.op = BLOCK_FLUSH; break;
    case BLK_T_GET_ID: request_id(blk, request); break;
    case BLK_T_DISCARD: request_range(blk, request, true); break;
    case BLK_T_WRITE_ZEROES: request_range(blk, request, false); break;
    default: request_answer(request, BLK_S_UNSUPP); break;
    }
    return true;
}

static bool has_room(const struct virtio_blk *blk)
{
    return blk->inflight < blk->request_count && blk->bytes < VIRTIO_BLK_BYTES_MAX;
}

static void blk_process(struct virtio_blk *blk);

/* Any thread, no lock held. The request is free afterwards. */
static void request_complete(struct virtio_blk_request *request, enum blk_status code)
{
    struct virtio_blk *blk = request->block.owner;
    struct memory *mem = blk->virtio.mem;
    bool read = request->submit && request->block.op == BLOCK_READ;

    /* A read that failed has written who knows how much. */
    if (read)
        virtq_chain_done(&request->chain, mem, request->chain.writable_bytes);
    *request->status = (uint8_t)code;
    mem_done(mem, request->status_gpa, 1);

    virtio_lock(&blk->virtio);
    virtio_push(&blk->virtio, 0, &request->chain, code != BLK_S_OK && read ? 0 : request->written);
    virtio_signal(&blk->virtio, 0);
    blk->inflight--;
    blk->bytes -= request->bytes;
    request_give(blk, request);

    /* Completions inside a backend's submit come here again, one level deep: only the first
     * resumes. */
    if (!blk->resuming) {
        blk->resuming = true;
        while (blk->starved && has_room(blk)) {
            blk->starved = false;
            virtio_unlock(&blk->virtio);
            blk_process(blk);
            virtio_lock(&blk->virtio);
        }
        blk->resuming = false;
    }
    virtio_unlock(&blk->virtio);
}

static void request_done(struct block_request *block, int result)
{
    struct virtio_blk_request *request = (struct virtio_blk_request *)(void *)block;
    struct virtio_blk *blk = block->owner;
    bool changes =
        block->op == BLOCK_WRITE || block->op == BLOCK_DISCARD || block->op == BLOCK_WRITE_ZEROES;

    if (result == 0 && changes && request->write_through) {
        block->op = BLOCK_FLUSH;
        block->offset = 0;
        block->length = 0;
        block->buffers = NULL;
        block->buffer_count = 0;
        blk->backend->ops->submit(blk->backend, block);
        return;
    }
    request_complete(request, result == 0           ? BLK_S_OK
                              : result == -E_NOTSUP ? BLK_S_UNSUPP
                                                    : BLK_S_IOERR);
}

/* Takes all that is there under the lock, then hands it to the backend without it. */
static void blk_process(struct virtio_blk *blk)
{
    struct virtio_blk_request *first = NULL, **end = &first;
    struct virtio_blk_request *request;
    bool full = true; /* until the queue has run empty */

    virtio_lock(&blk->virtio);
    while (has_room(blk) && (request = request_take(blk)) != NULL) {
        if (virtio_pop(&blk->virtio, 0, &request->chain) == 0) {
            request_give(blk, request);
            full = false;
            break;
        }
        request->block.done = request_done;
        request->block.owner = blk;
        if (!request_parse(blk, request)) {
            request_give(blk, request);
            virtio_needs_reset(&blk->virtio);
            full = false;
            break;
        }
        blk->inflight++;
        request->bytes =
            request->submit && request->block.op != BLOCK_DISCARD ? request->block.length : 0;
        blk->bytes += request->bytes;
        request->next = NULL;
        *end = request;
        end = &request->next;
    }
    if (full)
        blk->starved = true;
    virtio_unlock(&blk->virtio);

    while (first != NULL) {
        request = first;
        first = request->next;
        if (request->submit)
            blk->backend->ops->submit(blk->backend, &request->block);
        else
            request_complete(request, (enum blk_status)request->code);
    }
}

static void blk_notify(struct virtio_device *device, unsigned queue)
{
    (void)queue;
    blk_process(blk_of(device));
}

static unsigned blk_inflight(struct virtio_device *device)
{
    return blk_of(device)->inflight;
}

static void blk_state(struct virtio_device *device, struct state *state)
{
    struct virtio_blk *blk = blk_of(device);
    uint64_t capacity = blk->config.capacity;

    state_section(state, "virtio-blk", 1);
    state_u64(state, &capacity);
    /* Another disk than the one the guest has mounted. */
    if (state->loading && state->error == 0 && capacity != blk->config.capacity)
        state_fail(state, -E_PROTO);
}

static const struct virtio_ops blk_ops = {
    .notify = blk_notify,
    .state = blk_state,
    .inflight = blk_inflight,
};

unsigned virtio_blk_depth(const struct block_backend *backend)
{
    return backend->depth != 0 && backend->depth < VIRTIO_BLK_REQUESTS ? backend->depth
                                                                       : VIRTIO_BLK_REQUESTS;
}

void virtio_blk_init(struct virtio_blk *blk, struct memory *mem, struct block_backend *backend,
                     struct virtio_blk_request *requests)
{
    uint64_t features = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH;

    if (backend->readonly)
        features |= BLK_F_RO;
    else
        features |= BLK_F_WRITE_ZEROES | (backend->discard ? BLK_F_DISCARD : 0);
    blk->backend = backend;
    blk->config = (struct virtio_blk_config){
        .capacity = backend->size / VIRTIO_BLK_SECTOR,
        .seg_max = backend->segments != 0 && backend->segments < VIRTIO_BLK_SEGMENTS
                       ? backend->segments
                       : VIRTIO_BLK_SEGMENTS,
        .blk_size = VIRTIO_BLK_SECTOR,
        .num_queues = 1,
        .max_discard_sectors = DISCARD_SECTORS,
        .max_discard_seg = 1,
        .discard_sector_alignment = 4096 / VIRTIO_BLK_SECTOR,
        .max_write_zeroes_sectors = ZEROES_SECTORS,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = backend->discard,
    };
    /* The pool itself is left alone: pages of it that are never used are never touched. */
    blk->requests = requests;
    blk->request_count = virtio_blk_depth(backend);
    blk->free = NULL;
    blk->touched = 0;
    blk->inflight = 0;
    blk->bytes = 0;
    blk->starved = false;
    blk->resuming = false;
    virtio_init(&blk->virtio, &blk_ops, VIRTIO_ID_BLOCK, mem, features, 1, &blk->config,
                sizeof(blk->config));
    blk->virtio.queues[0].size_max = blk->virtio.queues[0].size = VIRTIO_BLK_QUEUE;
}
