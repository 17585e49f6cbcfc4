/*
 * The virtio devices against a hostile driver. The input is a program of register accesses, writes
 * to guest RAM, well-formed-looking chains and notifications; all five devices share one small RAM,
 * so that rings, tables and buffers overlap. Whatever it does must stay inside that RAM (ASan sees
 * to it) and must end.
 */
#include "core/state.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_GPA   0x80000000ULL
#define RAM_SIZE  0x10000ULL
#define DISK_SIZE 0x4000
#define DEVICES   5
#define HELD_MAX  16
#define STEPS_MAX 2000

struct machine {
    uint8_t *ram;
    _Atomic uint8_t flags[RAM_SIZE / MEM_PAGE_SIZE];
    struct memory mem;
    struct virtio_mmio mmio[DEVICES];
    struct virtio_blk *blk;
    struct virtio_blk_request *requests;
    struct virtio_net net;
    struct virtio_console console;
    struct virtio_rng rng;
    struct virtio_balloon balloon;
    struct {
        struct block_backend backend; /* first */
        uint8_t bytes[DISK_SIZE];
        struct block_request *held[HELD_MAX];
        unsigned count;
    } disk;
    struct net_backend wire;
    struct stream_backend terminal;
    struct entropy_backend entropy;
    struct reclaim_backend reclaim;
};

/* A backend checks nothing: whatever reaches it must lie inside the disk. */
static void disk_execute(struct machine *m, struct block_request *r)
{
    uint64_t at = r->offset;

    if (r->offset > DISK_SIZE || r->length > DISK_SIZE - r->offset)
        abort();
    for (unsigned i = 0; i < r->buffer_count; i++) {
        if (r->buffers[i].len > r->offset + r->length - at)
            abort();
        if (r->op == BLOCK_READ)
            memcpy(r->buffers[i].base, m->disk.bytes + at, r->buffers[i].len);
        else
            memmove(m->disk.bytes + at, r->buffers[i].base, r->buffers[i].len);
        at += r->buffers[i].len;
    }
    if (r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES)
        memset(m->disk.bytes + r->offset, 0, r->length);
    r->done(r, 0);
}

static struct machine *machine_of_disk(struct block_backend *backend)
{
    return (struct machine *)(void *)((uint8_t *)backend - offsetof(struct machine, disk));
}

static void disk_drain(struct machine *m)
{
    while (m->disk.count > 0) {
        struct block_request *r = m->disk.held[--m->disk.count];

        disk_execute(m, r);
    }
}

/* Odd sectors complete later. */
static void disk_submit(struct block_backend *backend, struct block_request *r)
{
    struct machine *m = machine_of_disk(backend);

    if ((r->offset & 512) != 0 && m->disk.count < HELD_MAX)
        m->disk.held[m->disk.count++] = r;
    else
        disk_execute(m, r);
}

static void wire_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                      const struct net_checksum *checksum)
{
    static uint8_t frame[VIRTIO_NET_FRAME_MAX];
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].len > sizeof(frame) - len)
            abort();
        memcpy(frame + len, buffers[i].base, buffers[i].len);
        len += buffers[i].len;
    }
    if (checksum != NULL) {
        if (checksum->start + checksum->offset + 2U > len)
            abort();
        memset(frame + checksum->start + checksum->offset, 0xcc, 2);
    }
    backend->receive(backend->device, frame, len);
}

static void wire_resume(struct net_backend *backend)
{
    static const uint8_t frame[3000];

    backend->receive(backend->device, frame, sizeof(frame));
}

static size_t terminal_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    uint8_t echo[100];

    if (len > sizeof(echo))
        len = sizeof(echo);
    memcpy(echo, bytes, len);
    return backend->receive(backend->device, echo, len);
}

static int entropy_fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    (void)backend;
    memset(bytes, 0xa5, len);
    return 0;
}

static void reclaim_release(struct reclaim_backend *backend, void *hva, size_t len)
{
    struct machine *m =
        (struct machine *)(void *)((uint8_t *)backend - offsetof(struct machine, reclaim));

    if (((uintptr_t)hva - (uintptr_t)m->ram) % MEM_PAGE_SIZE != 0 || len % MEM_PAGE_SIZE != 0 ||
        len == 0)
        abort();
    memset(hva, 0, len);
}

static const struct block_ops disk_ops = {.submit = disk_submit};
static const struct net_ops wire_ops = {.send = wire_send, .resume = wire_resume};
static const struct stream_ops terminal_ops = {.write = terminal_write};

struct input {
    const uint8_t *bytes;
    size_t left;
};

static uint32_t take(struct input *in, unsigned count)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < count && in->left > 0; i++, in->left--)
        value |= (uint32_t)*in->bytes++ << (8 * i);
    return value;
}

static void reg_write(struct machine *m, unsigned d, uint32_t offset, uint32_t value)
{
    virtio_mmio_bus_ops.write(&m->mmio[d], offset, 4, value);
}

struct guest_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* Mostly inside RAM, sometimes at its edges, sometimes anywhere. */
static uint64_t take_gpa(struct input *in)
{
    uint32_t value = take(in, 2);

    if (value < 0xfff0)
        return RAM_GPA + value;
    return value < 0xfff8 ? RAM_GPA + RAM_SIZE - (value & 7)
                          : (uint64_t)take(in, 4) << (value & 31);
}

/* Rings of queue q of device d: 1 KiB at a fixed place, 16 entries. */
static uint64_t ring(unsigned d, unsigned q)
{
    return RAM_GPA + (d * 5 + q) * 0x400ULL;
}

static void start(struct machine *m, unsigned d, uint32_t features, unsigned log_size)
{
    reg_write(m, d, 0x070, 0);
    reg_write(m, d, 0x070, 3);
    reg_write(m, d, 0x024, 0);
    reg_write(m, d, 0x020, features & (uint32_t)m->mmio[d].device->offered);
    reg_write(m, d, 0x024, 1);
    reg_write(m, d, 0x020, 1);
    reg_write(m, d, 0x070, 11);
    for (unsigned q = 0; q < m->mmio[d].device->queue_count; q++) {
        memset(m->ram + (ring(d, q) - RAM_GPA), 0, 0x400);
        reg_write(m, d, 0x030, q);
        reg_write(m, d, 0x038, 1U << (log_size % 5));
        reg_write(m, d, 0x080, (uint32_t)ring(d, q));
        reg_write(m, d, 0x090, (uint32_t)ring(d, q) + 0x200);
        reg_write(m, d, 0x0a0, (uint32_t)ring(d, q) + 0x280);
        reg_write(m, d, 0x084, 0);
        reg_write(m, d, 0x094, 0);
        reg_write(m, d, 0x0a4, 0);
        reg_write(m, d, 0x044, 1);
    }
    reg_write(m, d, 0x070, 15);
}

static void put_desc(struct machine *m, uint64_t table, unsigned index, struct input *in)
{
    struct guest_desc desc;
    static const uint32_t lens[8] = {16, 1, 512, 1024, 12, 4096, 0, 60};
    uint32_t shape = take(in, 1);

    desc.addr = take_gpa(in);
    desc.len = shape & 0x80 ? take(in, 4) : lens[shape >> 4 & 7];
    desc.flags = (uint16_t)(shape & 7);
    desc.next = shape & 8 ? (uint16_t)take(in, 1) : (uint16_t)(index + 1);
    if (table - RAM_GPA + (index + 1) * 16ULL <= RAM_SIZE)
        memcpy(m->ram + (table - RAM_GPA) + index * 16ULL, &desc, sizeof(desc));
}

static void make_available(struct machine *m, unsigned d, unsigned q, uint16_t head)
{
    uint16_t size = m->mmio[d].device->queues[q].size;
    uint8_t *avail = m->ram + (ring(d, q) - RAM_GPA) + 0x200;
    uint16_t idx;

    memcpy(&idx, avail + 2, 2);
    if (size != 0)
        memcpy(avail + 4 + 2ULL * (idx % (size < 16 ? size : 16)), &head, 2);
    idx++;
    memcpy(avail + 2, &idx, 2);
}

/* A block request that is nearly right; mutation of descriptors alone hardly ever gets so far. */
static void block_request(struct machine *m, struct input *in)
{
    static const uint32_t types[8] = {0, 1, 4, 8, 11, 13, 0, 1};
    uint32_t shape = take(in, 1);
    uint32_t lens[4] = {16, 512, 1536, take(in, 1)};
    struct {
        uint32_t type, reserved;
        uint64_t sector, range_sector;
        uint32_t range_sectors, range_flags;
    } header = {types[shape & 7], 0, take(in, 1), take(in, 1), take(in, 1), take(in, 1) & 3};
    bool writable = header.type == 0 || header.type == 8;
    unsigned split = shape & 0x40 ? take(in, 1) % 17 : 16;
    struct guest_desc chain[4] = {
        {RAM_GPA + 0xf000, split, 1, 1},
        {RAM_GPA + 0xf000 + split, 16 - split, 1, 2},
        {RAM_GPA + (header.type >= 11 ? 0xf010 : 0x8000), lens[shape >> 3 & 3], writable ? 3 : 1,
         3},
        {RAM_GPA + 0xf800, shape & 0x80 ? 21 : 1, 2, 0},
    };

    memcpy(m->ram + 0xf000, &header, sizeof(header));
    memcpy(m->ram + (ring(0, 0) - RAM_GPA), chain, sizeof(chain));
    for (unsigned i = 0; i < 1 + (shape >> 5 & 1) * 40U; i++) {
        make_available(m, 0, 0, 0);
        if ((i & 15) == 15)
            reg_write(m, 0, 0x050, 0);
    }
    reg_write(m, 0, 0x050, 0);
}

struct file {
    struct state state;
    uint8_t bytes[1024];
    size_t at;
};

static int file_transfer(struct state *state, void *bytes, size_t len)
{
    struct file *file = state->file;

    if (len > sizeof(file->bytes) - file->at)
        return -1;
    if (state->loading)
        memcpy(bytes, file->bytes + file->at, len);
    else
        memcpy(file->bytes + file->at, bytes, len);
    file->at += len;
    return 0;
}

/* Saves the device, damages the file in one or two places, loads it. */
static void save_and_load(struct machine *m, unsigned d, struct input *in)
{
    struct file file = {.at = 0};

    disk_drain(m);
    file.state = (struct state){.transfer = file_transfer, .file = &file};
    virtio_mmio_state(&m->mmio[d], &file.state);
    for (unsigned i = take(in, 1) & 3; i > 0; i--) {
        size_t at = take(in, 2) % sizeof(file.bytes);

        file.bytes[at] = (uint8_t)take(in, 1);
    }
    file.at = 0;
    file.state = (struct state){.transfer = file_transfer, .file = &file, .loading = true};
    virtio_mmio_state(&m->mmio[d], &file.state);
}

static void step(struct machine *m, struct input *in)
{
    uint32_t code = take(in, 1);
    unsigned d = code % DEVICES;
    unsigned q = take(in, 1) % m->mmio[d].device->queue_count;
    uint64_t value;

    switch (code / DEVICES % 12) {
    case 0: reg_write(m, d, take(in, 1) << 2 & 0x1fc, take(in, 4)); break;
    case 1:
        virtio_mmio_bus_ops.read(&m->mmio[d], take(in, 2) & 0xfff, 1U << (code & 3), &value);
        break;
    case 2:
        virtio_mmio_bus_ops.write(&m->mmio[d], 0x100 + (take(in, 1)), 1U << (code & 3),
                                  take(in, 4));
        break;
    case 3: start(m, d, take(in, 4), q); break;
    case 4: {
        uint64_t gpa = take_gpa(in);
        uint32_t word = take(in, 4);

        (void)mem_write(&m->mem, gpa, &word, sizeof(word));
        break;
    }
    case 5:
    case 6: {
        unsigned first = take(in, 1);
        unsigned count = (first >> 4 & 7) + 1;

        first &= 15;
        for (unsigned i = 0; i < count; i++)
            put_desc(m, ring(d, q), first + i, in);
        make_available(m, d, q, (uint16_t)first);
        reg_write(m, d, 0x050, q);
        break;
    }
    case 7: {
        uint64_t table = take_gpa(in) & ~15ULL;
        unsigned count = take(in, 1) & 31;

        for (unsigned i = 0; i < count && table - RAM_GPA < RAM_SIZE; i++)
            put_desc(m, table, i, in);
        break;
    }
    case 8: reg_write(m, d, 0x050, q); break;
    case 9: block_request(m, in); break;
    case 10: save_and_load(m, d, in); break;
    default:
        if (q == 0)
            disk_drain(m);
        else if (d < 2)
            virtio_balloon_set_target(&m->balloon, take(in, 4));
        else if (d == 2)
            virtio_balloon_request_stats(&m->balloon);
        else
            virtio_mmio_freeze(&m->mmio[d], (take(in, 1) & 1) != 0);
        break;
    }
}

static void machine_init(struct machine *m)
{
    struct irq nowhere = {.set = NULL};

    m->ram = aligned_alloc(MEM_PAGE_SIZE, RAM_SIZE);
    m->blk = calloc(1, sizeof(*m->blk));
    m->requests = calloc(VIRTIO_BLK_REQUESTS, sizeof(*m->requests));
    if (m->ram == NULL || m->blk == NULL || m->requests == NULL)
        abort();
    memset(m->ram, 0, RAM_SIZE);
    mem_init(&m->mem);
    if (mem_slot_add(&m->mem, RAM_GPA, RAM_SIZE, m->ram, m->flags) != 0)
        abort();
    mem_dirty_log(&m->mem, true);
    m->disk.backend = (struct block_backend){.ops = &disk_ops, .size = DISK_SIZE, .discard = true};
    m->wire.ops = &wire_ops;
    m->wire.checksums = true;
    m->terminal.ops = &terminal_ops;
    m->entropy.fill = entropy_fill;
    m->reclaim.release = reclaim_release;
    virtio_blk_init(m->blk, &m->mem, &m->disk.backend, m->requests);
    virtio_net_init(&m->net, &m->mem, &m->wire);
    virtio_console_init(&m->console, &m->mem, &m->terminal);
    virtio_rng_init(&m->rng, &m->mem, &m->entropy);
    virtio_balloon_init(&m->balloon, &m->mem, &m->reclaim);
    virtio_mmio_init(&m->mmio[0], &m->blk->virtio, &m->mem, nowhere);
    virtio_mmio_init(&m->mmio[1], &m->net.virtio, &m->mem, nowhere);
    virtio_mmio_init(&m->mmio[2], &m->console.virtio, &m->mem, nowhere);
    virtio_mmio_init(&m->mmio[3], &m->rng.virtio, &m->mem, nowhere);
    virtio_mmio_init(&m->mmio[4], &m->balloon.virtio, &m->mem, nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine *m = calloc(1, sizeof(*m));
    struct input in = {data, size};

    if (m == NULL)
        abort();
    machine_init(m);
    for (unsigned d = 0; d < DEVICES; d++)
        start(m, d, UINT32_MAX, 4);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
        step(m, &in);
    disk_drain(m);
    if (virtio_mmio_inflight(&m->mmio[0]) != 0)
        abort();
    free(m->requests);
    free(m->blk);
    free(m->ram);
    free(m);
    return 0;
}
