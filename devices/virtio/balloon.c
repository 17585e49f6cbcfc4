#include "devices/virtio/balloon.h"

#include "core/error.h"

/* Feature bits, 5.5.3. */
#define BALLOON_F_STATS_VQ       (1ULL << 1)
#define BALLOON_F_DEFLATE_ON_OOM (1ULL << 2)
#define BALLOON_F_REPORTING      (1ULL << 5)

/* Of one chain; Linux sends 256. Page numbers beyond it are not used, which gives nothing wrong
 * back. */
#define PFNS_MAX 16384U

enum balloon_queue { BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_STATS, BALLOON_REPORT };

/* 5.5.6.3; packed, 10 bytes. */
struct balloon_stat {
    uint16_t tag;
    uint8_t value[8];
};
_Static_assert(sizeof(struct balloon_stat) == 10, "5.5.6.3");

static struct virtio_balloon *balloon_of(struct virtio_device *device)
{
    return (struct virtio_balloon *)(void *)device;
}

/*
 * 5.5.2 numbers the reporting queue 4, but drivers skip the numbers of queues that were not
 * negotiated (the free page hint queue is never offered here). No other queue can be meant, so both
 * readings work.
 */
static enum balloon_queue queue_role(const struct virtio_device *device, unsigned queue)
{
    if (queue < 2)
        return (enum balloon_queue)queue;
    if (queue == 2 && virtio_has(device, BALLOON_F_STATS_VQ))
        return BALLOON_STATS;
    return BALLOON_REPORT;
}

/* Gives back [gpa, gpa + len), whole pages of one RAM slot; anything else is left alone. */
static void release(struct virtio_balloon *balloon, uint64_t gpa, uint64_t len)
{
    struct memory *mem = balloon->virtio.mem;
    void *hva = len == 0 ? NULL : mem_map(mem, gpa, len, true);

    if (hva == NULL)
        return;
    balloon->backend->release(balloon->backend, hva, (size_t)len);
    mem_done(mem, gpa, len);
}

static void inflate(struct virtio_balloon *balloon)
{
    const struct virtq_chain *chain = &balloon->chain;
    uint64_t run = 0,
             pages = 0; /* the run of neighbours not yet released: first page number, length */
    uint32_t pfns[64];
    uint64_t at = 0;

    while (at < PFNS_MAX * sizeof(pfns[0])) {
        size_t count = virtq_chain_read(chain, at, pfns, sizeof(pfns)) / sizeof(pfns[0]);

        if (count == 0)
            break;
        at += count * sizeof(pfns[0]);
        for (size_t i = 0; i < count; i++) {
            if (pages > 0 && pfns[i] == run + pages) {
                pages++;
                continue;
            }
            release(balloon, run << MEM_PAGE_SHIFT, pages << MEM_PAGE_SHIFT);
            run = pfns[i];
            pages = 1;
        }
    }
    release(balloon, run << MEM_PAGE_SHIFT, pages << MEM_PAGE_SHIFT);
}

/* 5.5.6.7: each buffer is a free range. */
static void report(struct virtio_balloon *balloon)
{
    const struct virtq_chain *chain = &balloon->chain;
    unsigned end = (unsigned)chain->readable_count + chain->writable_count;

    for (unsigned i = chain->readable_count; i < end; i++) {
        uint64_t first = (chain->gpas[i] + MEM_PAGE_SIZE - 1) & ~(MEM_PAGE_SIZE - 1);
        uint64_t last = (chain->gpas[i] + chain->buffers[i].len) & ~(MEM_PAGE_SIZE - 1);

        if (first < last)
            release(balloon, first, last - first);
    }
}

static void stats_read(struct virtio_balloon *balloon)
{
    struct balloon_stat stat;
    uint64_t at = 0;

    for (unsigned i = 0; i < 64; i++, at += sizeof(stat)) {
        if (virtq_chain_read(&balloon->chain, at, &stat, sizeof(stat)) != sizeof(stat))
            break;
        if (stat.tag < VIRTIO_BALLOON_STATS)
            memcpy(&balloon->stats[stat.tag], stat.value, sizeof(stat.value));
    }
}

static void balloon_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_balloon *balloon = balloon_of(device);
    bool pushed = false;

    virtio_lock(device);
    while (virtio_pop(device, queue, &balloon->chain) != 0) {
        enum balloon_queue role = queue_role(device, queue);

        if (role == BALLOON_STATS) {
            /* 5.5.6.3.1: one buffer, which stays here until fresh statistics are wanted. */
            stats_read(balloon);
            if (balloon->stats_held) {
                virtio_push_head(device, queue, balloon->stats_head, 0);
                pushed = true;
            }
            balloon->stats_held = true;
            balloon->stats_head = balloon->chain.head;
            continue;
        }
        if (role == BALLOON_INFLATE)
            inflate(balloon);
        else if (role == BALLOON_REPORT)
            report(balloon);
        virtio_push(device, queue, &balloon->chain, 0);
        pushed = true;
    }
    if (pushed)
        virtio_signal(device, queue);
    virtio_unlock(device);
}

static void balloon_reset(struct virtio_device *device)
{
    struct virtio_balloon *balloon = balloon_of(device);

    balloon->stats_held = false;
    balloon->config.actual = 0;
    for (unsigned i = 0; i < VIRTIO_BALLOON_STATS; i++)
        balloon->stats[i] = UINT64_MAX;
}

static void balloon_queue_ready(struct virtio_device *device, unsigned queue)
{
    if (queue == BALLOON_STATS)
        balloon_of(device)->stats_held = false;
}

/* The driver writes `actual` only. */
static void balloon_config_write(struct virtio_device *device, uint32_t offset, const void *bytes,
                                 uint32_t len)
{
    struct virtio_balloon *balloon = balloon_of(device);
    uint32_t first = offsetof(struct virtio_balloon_config, actual);

    if (offset >= first)
        memcpy((uint8_t *)&balloon->config + offset, bytes, len);
}

static void balloon_state(struct virtio_device *device, struct state *state)
{
    struct virtio_balloon *balloon = balloon_of(device);

    state_section(state, "virtio-balloon", 1);
    state_u32(state, &balloon->config.num_pages);
    state_u32(state, &balloon->config.actual);
    state_bool(state, &balloon->stats_held);
    state_u16(state, &balloon->stats_head);
    for (unsigned i = 0; i < VIRTIO_BALLOON_STATS; i++)
        state_u64(state, &balloon->stats[i]);
}

static const struct virtio_ops balloon_ops = {
    .notify = balloon_notify,
    .reset = balloon_reset,
    .queue_ready = balloon_queue_ready,
    .config_write = balloon_config_write,
    .state = balloon_state,
};

void virtio_balloon_init(struct virtio_balloon *balloon, struct memory *mem,
                         struct reclaim_backend *backend)
{
    balloon->backend = backend;
    balloon->config = (struct virtio_balloon_config){.num_pages = 0};
    virtio_init(&balloon->virtio, &balloon_ops, VIRTIO_ID_BALLOON, mem,
                BALLOON_F_STATS_VQ | BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_REPORTING,
                VIRTIO_QUEUES_MAX, &balloon->config, sizeof(balloon->config));
    balloon_reset(&balloon->virtio);
}

void virtio_balloon_set_target(struct virtio_balloon *balloon, uint32_t pages)
{
    virtio_lock(&balloon->virtio);
    if (balloon->config.num_pages != pages) {
        balloon->config.num_pages = pages;
        virtio_config_changed(&balloon->virtio);
    }
    virtio_unlock(&balloon->virtio);
}

uint32_t virtio_balloon_target(struct virtio_balloon *balloon)
{
    uint32_t pages;

    virtio_lock(&balloon->virtio);
    pages = balloon->config.num_pages;
    virtio_unlock(&balloon->virtio);
    return pages;
}

uint32_t virtio_balloon_actual(struct virtio_balloon *balloon)
{
    uint32_t pages;

    virtio_lock(&balloon->virtio);
    pages = balloon->config.actual;
    virtio_unlock(&balloon->virtio);
    return pages;
}

uint64_t virtio_balloon_stat(struct virtio_balloon *balloon, unsigned tag)
{
    uint64_t value;

    if (tag >= VIRTIO_BALLOON_STATS)
        return UINT64_MAX;
    virtio_lock(&balloon->virtio);
    value = balloon->stats[tag];
    virtio_unlock(&balloon->virtio);
    return value;
}

bool virtio_balloon_request_stats(struct virtio_balloon *balloon)
{
    bool asked;

    virtio_lock(&balloon->virtio);
    asked = balloon->stats_held && virtio_live(&balloon->virtio);
    if (asked) {
        balloon->stats_held = false;
        virtio_push_head(&balloon->virtio, BALLOON_STATS, balloon->stats_head, 0);
        virtio_signal(&balloon->virtio, BALLOON_STATS);
    }
    virtio_unlock(&balloon->virtio);
    return asked;
}
