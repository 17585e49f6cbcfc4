#include "devices/virtio/queue.h"

#include "core/error.h"
#include "core/host.h"

#include <stdatomic.h>

/* Everything in a ring is little-endian (1.2, section 1.4), and so is every host we run on. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are read in place");

/* 2.7.5 */
struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };

/* The driver and used areas are arrays of 16-bit words: flags, idx, then the entries; 2.7.6, 2.7.8.
 */
enum { RING_FLAGS = 0, RING_IDX = 1, RING_ENTRIES = 2 };

static uint64_t desc_bytes(const struct virtqueue *queue)
{
    return 16ULL * queue->size;
}

static uint64_t avail_bytes(const struct virtqueue *queue)
{
    return 6 + 2ULL * queue->size;
}

static uint64_t used_bytes(const struct virtqueue *queue)
{
    return 6 + 8ULL * queue->size;
}

static uint16_t *avail_map(const struct virtqueue *queue, struct memory *mem)
{
    return mem_map(mem, queue->avail, avail_bytes(queue), false);
}

static uint8_t *used_map(const struct virtqueue *queue, struct memory *mem)
{
    return mem_map(mem, queue->used, used_bytes(queue), true);
}

void virtqueue_reset(struct virtqueue *queue)
{
    *queue = (struct virtqueue){
        .size_max = queue->size_max, .size = queue->size_max, .generation = queue->generation + 1};
}

/* Alignment: 2.7, the table of the three parts. */
static bool queue_is_sound(const struct virtqueue *queue, struct memory *mem)
{
    if (queue->size == 0 || queue->size > queue->size_max || (queue->size & (queue->size - 1)) != 0)
        return false;
    if (queue->desc % 16 != 0 || queue->avail % 2 != 0 || queue->used % 4 != 0)
        return false;
    return mem_map(mem, queue->desc, desc_bytes(queue), false) != NULL &&
           mem_map(mem, queue->avail, avail_bytes(queue), false) != NULL &&
           mem_map(mem, queue->used, used_bytes(queue), true) != NULL;
}

int virtqueue_start(struct virtqueue *queue, struct memory *mem)
{
    if (!queue_is_sound(queue, mem))
        return -E_INVAL;
    queue->next_avail = 0;
    queue->used_idx = 0;
    queue->signalled_valid = false;
    queue->ready = true;
    return 0;
}

void virtqueue_stop(struct virtqueue *queue)
{
    queue->ready = false;
    queue->generation++;
}

/*
 * The guest may rewrite a descriptor while it is checked: it is copied once, and the fence keeps
 * the compiler from reading it a second time.
 */
static struct virtq_desc desc_load(const uint8_t *table, unsigned index)
{
    struct virtq_desc desc;

    memcpy(&desc, table + 16 * (size_t)index, sizeof(desc));
    atomic_signal_fence(memory_order_seq_cst);
    return desc;
}

static int chain_add(struct virtq_chain *chain, struct memory *mem, const struct virtq_desc *desc,
                     bool *seen_writable)
{
    bool writable = (desc->flags & DESC_WRITE) != 0;
    unsigned count = (unsigned)chain->readable_count + chain->writable_count;

    if (!writable && *seen_writable)
        return -E_INVAL;
    *seen_writable = writable;
    if (desc->len == 0)
        return 0;
    if (count == VIRTQ_CHAIN_MAX)
        return -E_INVAL;
    void *base = mem_map(mem, desc->addr, desc->len, writable);
    if (base == NULL)
        return -E_INVAL;
    chain->buffers[count] = (struct buffer){base, desc->len};
    chain->gpas[count] = desc->addr;
    if (writable) {
        chain->writable_count++;
        chain->writable_bytes += desc->len;
    } else {
        chain->readable_count++;
        chain->readable_bytes += desc->len;
    }
    return 0;
}

/*
 * Follows a table of `count` descriptors from `index`. A chain cannot be longer than its table
 * without coming by a descriptor twice, so `count` steps bound it. On return 0, *indirect is a
 * descriptor that refers to an indirect table, which can only be the last one (2.7.5.3.1), or has
 * length 0.
 */
static int chain_walk(struct virtq_chain *chain, struct memory *mem, const uint8_t *table,
                      unsigned count, unsigned index, bool *seen_writable,
                      struct virtq_desc *indirect)
{
    for (unsigned steps = 0; steps < count && index < count; steps++) {
        struct virtq_desc desc = desc_load(table, index);

        if (desc.flags & DESC_INDIRECT) {
            if (desc.flags & DESC_NEXT)
                return -E_INVAL;
            *indirect = desc;
            return desc.len == 0 ? -E_INVAL : 0;
        }
        int error = chain_add(chain, mem, &desc, seen_writable);
        if (error != 0)
            return error;
        if (!(desc.flags & DESC_NEXT))
            return 0;
        index = desc.next;
    }
    return -E_INVAL;
}

static int chain_parse(struct virtqueue *queue, struct memory *mem, uint16_t head,
                       struct virtq_chain *chain)
{
    const uint8_t *table = mem_map(mem, queue->desc, desc_bytes(queue), false);
    struct virtq_desc indirect = {.len = 0}, nested = {.len = 0};
    bool seen_writable = false;

    chain->head = head;
    chain->generation = queue->generation;
    chain->readable_count = chain->writable_count = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    if (table == NULL)
        return -E_INVAL;
    int error = chain_walk(chain, mem, table, queue->size, head, &seen_writable, &indirect);
    if (error != 0 || indirect.len == 0)
        return error;

    /* A table may be longer than a small queue (2.7.5.3.1 forbids it, Linux does it); ours is the
     * bound. */
    if (!queue->indirect || indirect.len % 16 != 0 || indirect.len / 16 > VIRTQ_CHAIN_MAX)
        return -E_INVAL;
    table = mem_map(mem, indirect.addr, indirect.len, false);
    if (table == NULL)
        return -E_INVAL;
    error = chain_walk(chain, mem, table, indirect.len / 16, 0, &seen_writable, &nested);
    return error != 0 || nested.len != 0 ? -E_INVAL : 0;
}

int virtqueue_pop(struct virtqueue *queue, struct memory *mem, struct virtq_chain *chain)
{
    uint16_t *avail = avail_map(queue, mem);

    if (avail == NULL)
        return -E_INVAL;
    uint16_t idx = __atomic_load_n(&avail[RING_IDX], __ATOMIC_ACQUIRE);
    if (idx == queue->next_avail) {
        if (!queue->event_idx)
            return 0;
        /*
         * Ask for a notification at the next entry, then look again: either the driver sees
         * avail_event, or we see its entry. Both sides have a full barrier between their store and
         * their load.
         */
        uint8_t *used = used_map(queue, mem);
        if (used == NULL)
            return -E_INVAL;
        uint64_t event = used_bytes(queue) - 2;
        __atomic_store_n((uint16_t *)(void *)(used + event), queue->next_avail, __ATOMIC_RELAXED);
        mem_done(mem, queue->used + event, 2);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        idx = __atomic_load_n(&avail[RING_IDX], __ATOMIC_ACQUIRE);
        if (idx == queue->next_avail)
            return 0;
    }
    if ((uint16_t)(idx - queue->next_avail) > queue->size)
        return -E_INVAL;
    uint16_t head = __atomic_load_n(&avail[RING_ENTRIES + (queue->next_avail & (queue->size - 1))],
                                    __ATOMIC_RELAXED);
    if (head >= queue->size)
        return -E_INVAL;
    int error = chain_parse(queue, mem, head, chain);
    if (error != 0)
        return error;
    queue->next_avail++;
    return 1;
}

void virtqueue_unpop(struct virtqueue *queue, uint16_t count)
{
    queue->next_avail = (uint16_t)(queue->next_avail - count);
}

void virtqueue_fill(struct virtqueue *queue, struct memory *mem, uint16_t ahead, uint16_t head,
                    uint32_t written)
{
    uint8_t *used = used_map(queue, mem);
    uint64_t at = 4 + 8ULL * ((uint16_t)(queue->used_idx + ahead) & (queue->size - 1));

    if (used == NULL)
        return;
    __atomic_store_n((uint32_t *)(void *)(used + at), head, __ATOMIC_RELAXED);
    __atomic_store_n((uint32_t *)(void *)(used + at + 4), written, __ATOMIC_RELAXED);
    mem_done(mem, queue->used + at, 8);
}

void virtqueue_publish(struct virtqueue *queue, struct memory *mem, uint16_t count)
{
    uint8_t *used = used_map(queue, mem);

    queue->used_idx = (uint16_t)(queue->used_idx + count);
    if (used == NULL)
        return;
    __atomic_store_n((uint16_t *)(void *)(used + 2), queue->used_idx, __ATOMIC_RELEASE);
    mem_done(mem, queue->used + 2, 2);
}

bool virtqueue_should_signal(struct virtqueue *queue, struct memory *mem)
{
    uint16_t *avail = avail_map(queue, mem);

    if (avail == NULL)
        return false;
    /* used.idx must be visible before used_event or the flags are read: the mirror image of
     * virtqueue_pop. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!queue->event_idx)
        return !(__atomic_load_n(&avail[RING_FLAGS], __ATOMIC_RELAXED) & AVAIL_NO_INTERRUPT);

    uint16_t event = __atomic_load_n(&avail[RING_ENTRIES + queue->size], __ATOMIC_RELAXED);
    uint16_t now = queue->used_idx;
    uint16_t before = queue->signalled_idx;
    bool valid = queue->signalled_valid;

    queue->signalled_idx = now;
    queue->signalled_valid = true;
    return !valid || (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

void virtqueue_state(struct virtqueue *queue, struct memory *mem, struct state *state)
{
    state_u16(state, &queue->size);
    state_bool(state, &queue->ready);
    state_u64(state, &queue->desc);
    state_u64(state, &queue->avail);
    state_u64(state, &queue->used);
    state_u16(state, &queue->next_avail);
    state_u16(state, &queue->used_idx);
    state_u16(state, &queue->signalled_idx);
    state_bool(state, &queue->signalled_valid);
    if (state->loading && state->error == 0 && queue->ready && !queue_is_sound(queue, mem))
        state_fail(state, -E_INVAL);
    if (state->loading && state->error != 0)
        queue->ready = false;
}

size_t virtq_chain_read(const struct virtq_chain *chain, uint64_t offset, void *to, size_t len)
{
    size_t copied = 0;

    for (unsigned i = 0; i < chain->readable_count && copied < len; i++) {
        const struct buffer *buffer = &chain->buffers[i];

        if (offset >= buffer->len) {
            offset -= buffer->len;
            continue;
        }
        size_t piece = buffer->len - (size_t)offset;
        if (piece > len - copied)
            piece = len - copied;
        memcpy((uint8_t *)to + copied, (const uint8_t *)buffer->base + offset, piece);
        copied += piece;
        offset = 0;
    }
    atomic_signal_fence(memory_order_seq_cst);
    return copied;
}

size_t virtq_chain_write(const struct virtq_chain *chain, struct memory *mem, uint64_t offset,
                         const void *from, size_t len)
{
    size_t copied = 0;
    unsigned end = (unsigned)chain->readable_count + chain->writable_count;

    for (unsigned i = chain->readable_count; i < end && copied < len; i++) {
        const struct buffer *buffer = &chain->buffers[i];

        if (offset >= buffer->len) {
            offset -= buffer->len;
            continue;
        }
        size_t piece = buffer->len - (size_t)offset;
        if (piece > len - copied)
            piece = len - copied;
        memcpy((uint8_t *)buffer->base + offset, (const uint8_t *)from + copied, piece);
        mem_done(mem, chain->gpas[i] + offset, piece);
        copied += piece;
        offset = 0;
    }
    return copied;
}

void virtq_chain_done(const struct virtq_chain *chain, struct memory *mem, uint64_t written)
{
    unsigned end = (unsigned)chain->readable_count + chain->writable_count;

    for (unsigned i = chain->readable_count; i < end && written > 0; i++) {
        uint64_t piece = chain->buffers[i].len < written ? chain->buffers[i].len : written;

        mem_done(mem, chain->gpas[i], piece);
        written -= piece;
    }
}
