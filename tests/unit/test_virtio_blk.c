/* The block device, 1.2 section 5.2, over a disk in memory whose completions the test controls. */
#include "virtio_guest.h"

#include "devices/virtio/blk.h"

#include <sys/mman.h>

#define DISK_SECTORS 256

#define T_IN           0
#define T_OUT          1
#define T_FLUSH        4
#define T_GET_ID       8
#define T_DISCARD      11
#define T_WRITE_ZEROES 13

#define S_OK     0
#define S_IOERR  1
#define S_UNSUPP 2

#define F_FLUSH (1ULL << 9)

struct disk {
    struct block_backend backend; /* first */
    uint8_t bytes[DISK_SECTORS * 512];
    bool later; /* keep requests until disk_finish */
    int result;
    struct block_request *held[512];
    unsigned held_count;
    enum block_op ops[1024];
    unsigned op_count;
    bool unmap;
};

static void disk_execute(struct disk *disk, struct block_request *r)
{
    uint64_t at_byte = r->offset;

    assert_true(r->offset <= sizeof(disk->bytes) && r->length <= sizeof(disk->bytes) - r->offset);
    for (unsigned i = 0; i < r->buffer_count && disk->result == 0; i++) {
        if (r->op == BLOCK_READ)
            memcpy(r->buffers[i].base, disk->bytes + at_byte, r->buffers[i].len);
        else
            memcpy(disk->bytes + at_byte, r->buffers[i].base, r->buffers[i].len);
        at_byte += r->buffers[i].len;
    }
    if ((r->op == BLOCK_READ || r->op == BLOCK_WRITE) && disk->result == 0)
        assert_int_equal(at_byte, r->offset + r->length);
    if (r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES) {
        memset(disk->bytes + r->offset, 0, r->length);
        disk->unmap = r->unmap;
    }
    r->done(r, disk->result);
}

static void disk_submit(struct block_backend *backend, struct block_request *r)
{
    struct disk *disk = (struct disk *)backend;

    disk->ops[disk->op_count++ % 1024] = r->op;
    if (disk->later)
        disk->held[disk->held_count++] = r;
    else
        disk_execute(disk, r);
}

static void disk_finish(struct disk *disk)
{
    unsigned count = disk->held_count;
    struct block_request *held[512];

    memcpy(held, disk->held, sizeof(held));
    disk->held_count = 0;
    for (unsigned i = 0; i < count; i++)
        disk_execute(disk, held[i]);
}

static const struct block_ops disk_ops = {.submit = disk_submit};

struct fixture {
    struct guest g;
    struct disk disk;
    struct virtio_blk blk;
    struct virtio_blk_request requests[VIRTIO_BLK_REQUESTS];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    guest_init(&f->g);
    f->disk.backend = (struct block_backend){.ops = &disk_ops,
                                             .size = sizeof(f->disk.bytes),
                                             .discard = true,
                                             .serial = "trivisor-0001"};
    for (unsigned i = 0; i < sizeof(f->disk.bytes); i++)
        f->disk.bytes[i] = (uint8_t)(i / 512 + i);
    virtio_blk_init(&f->blk, &f->g.mem, &f->disk.backend, f->requests);
    guest_attach(&f->g, &f->blk.virtio);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    guest_fini(&f->g);
    test_free(f);
    return 0;
}

#define HEADER (GUEST_DATA)
#define STATUS (GUEST_DATA + 0x800)
#define DATA   (GUEST_DATA + 0x1000)

static void put_header(struct guest *g, uint64_t gpa, uint32_t type, uint64_t sector)
{
    uint32_t words[4] = {type, 0, (uint32_t)sector, (uint32_t)(sector >> 32)};

    memcpy(at(g, gpa), words, sizeof(words));
}

/* Header, `len` bytes of data at DATA, status byte; makes it available and notifies. */
static void send(struct guest *g, uint32_t type, uint64_t sector, uint32_t len, bool writable)
{
    put_header(g, HEADER, type, sector);
    *(uint8_t *)at(g, STATUS) = 0xee;
    uint16_t head = guest_desc_put(g, 0, HEADER, 16, D_NEXT);
    if (len > 0)
        guest_desc_put(g, 0, DATA, len, writable ? D_NEXT | D_WRITE : D_NEXT);
    guest_desc_put(g, 0, STATUS, 1, D_WRITE);
    guest_avail(g, 0, head);
    guest_notify(g, 0);
}

static unsigned status(struct guest *g)
{
    return *(uint8_t *)at(g, STATUS);
}

static void configuration_describes_the_disk(void **state)
{
    struct fixture *f = *state;
    uint64_t offered = guest_offered(&f->g);

    assert_int_equal(reg(&f->g, 0x008), 2);
    assert_int_equal(config(&f->g, 0, 8), DISK_SECTORS);
    assert_int_equal(config(&f->g, 12, 4), 256);
    assert_int_equal(config(&f->g, 20, 4), 512);
    assert_true(config(&f->g, 36, 4) > 0 && config(&f->g, 40, 4) == 1);
    assert_true(config(&f->g, 48, 4) > 0 && config(&f->g, 52, 4) == 1);
    assert_int_equal(config(&f->g, 56, 1), 1);
    assert_int_equal(offered & 0xffffff, 1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14);
}

static void read_fills_the_buffers(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, F_FLUSH, 1, 8);
    send(&f->g, T_IN, 3, 1024, true);
    assert_int_equal(guest_used(&f->g, 0, NULL), 1025);
    assert_int_equal(status(&f->g), S_OK);
    assert_memory_equal(at(&f->g, DATA), f->disk.bytes + 3 * 512, 1024);
    assert_int_equal(guest_ack(&f->g), 1);
}

static void write_reaches_the_disk(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, F_FLUSH, 1, 8);
    memset(at(&f->g, DATA), 0x5a, 512);
    send(&f->g, T_OUT, 255, 512, false);
    assert_int_equal(guest_used(&f->g, 0, NULL), 1);
    assert_int_equal(status(&f->g), S_OK);
    assert_memory_equal(f->disk.bytes + 255 * 512, at(&f->g, DATA), 512);
    assert_int_equal(f->disk.op_count, 1);
}

/* 2.7.4.1: the device makes no assumption about how a message is cut into descriptors. */
static void framing_is_free(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_FLUSH, 1, 16);
    put_header(g, HEADER, T_OUT, 1);
    memset(at(g, HEADER + 16), 0xa5, 512);
    uint16_t head = guest_desc_put(g, 0, HEADER, 5, D_NEXT);
    guest_desc_put(g, 0, HEADER + 5, 111, D_NEXT); /* rest of the header, first 100 bytes of data */
    guest_desc_put(g, 0, HEADER + 116, 412, D_NEXT);
    guest_desc_put(g, 0, STATUS, 1, D_WRITE);
    guest_avail(g, 0, head);
    guest_notify(g, 0);
    assert_int_equal(status(g), S_OK);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(f->disk.bytes[512 + i], 0xa5);

    /* Data and status in one descriptor. */
    put_header(g, HEADER, T_IN, 7);
    head = guest_desc_put(g, 0, HEADER, 16, D_NEXT);
    guest_desc_put(g, 0, DATA, 513, D_WRITE);
    guest_avail(g, 0, head);
    *(uint8_t *)at(g, DATA + 512) = 0xee;
    guest_notify(g, 0);
    assert_memory_equal(at(g, DATA), f->disk.bytes + 7 * 512, 512);
    assert_int_equal(*(uint8_t *)at(g, DATA + 512), S_OK);
}

static void request_of_256_segments_through_an_indirect_table(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_desc *table = at(g, GUEST_DATA + 0x40000);

    /* 2.7.5.3.1: a chain is no longer than the queue, so this one asks for more than 256 entries.
     */
    assert_true(reg(g, 0x034) >= 258);
    guest_start(g, F_FLUSH | F_INDIRECT, 1, 512);
    assert_int_equal(config(g, 12, 4), 256); /* seg_max */
    put_header(g, HEADER, T_IN, 0);
    table[0] = (struct guest_desc){HEADER, 16, D_NEXT, 1};
    for (unsigned i = 1; i <= 256; i++)
        table[i] =
            (struct guest_desc){DATA + (256 - i) * 512, 512, D_NEXT | D_WRITE, (uint16_t)(i + 1)};
    table[257] = (struct guest_desc){STATUS, 1, D_WRITE, 0};
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA + 0x40000, 258 * 16, D_INDIRECT));
    guest_notify(g, 0);
    assert_int_equal(guest_used(g, 0, NULL), 256 * 512 + 1);
    for (unsigned i = 0; i < 256; i++)
        assert_memory_equal(at(g, DATA + (255 - i) * 512), f->disk.bytes + i * 512, 512);
}

static void backend_of_few_segments_is_asked_for_no_more(void **state)
{
    struct fixture *f = *state;

    f->disk.backend.segments = 100;
    virtio_blk_init(&f->blk, &f->g.mem, &f->disk.backend, f->requests);
    guest_attach(&f->g, &f->blk.virtio);
    guest_start(&f->g, F_FLUSH, 1, 8);
    assert_int_equal(config(&f->g, 12, 4), 100);
}

static void requests_outside_the_disk_fail(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t len;
    } bad[] = {{DISK_SECTORS, 512},     {DISK_SECTORS - 1, 1024}, {UINT64_MAX, 512},
               {UINT64_MAX / 512, 512}, {1ULL << 55, 512},        {0, 511}};
    struct fixture *f = *state;

    guest_start(&f->g, F_FLUSH, 1, 8);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        send(&f->g, T_IN, bad[i].sector, bad[i].len, true);
        assert_int_equal(guest_used(&f->g, 0, NULL), 0);
        assert_int_equal(status(&f->g), S_IOERR);
        send(&f->g, T_OUT, bad[i].sector, bad[i].len, false);
        guest_used(&f->g, 0, NULL);
        assert_int_equal(status(&f->g), S_IOERR);
    }
    assert_int_equal(f->disk.op_count, 0);
}

static void read_only_disk_refuses_writes(void **state)
{
    struct fixture *f = *state;

    f->disk.backend.readonly = true;
    virtio_blk_init(&f->blk, &f->g.mem, &f->disk.backend, f->requests);
    guest_attach(&f->g, &f->blk.virtio);
    assert_int_equal(guest_offered(&f->g) & (1 << 5 | 1 << 13 | 1 << 14), 1 << 5);
    guest_start(&f->g, F_FLUSH, 1, 8);
    send(&f->g, T_OUT, 0, 512, false);
    assert_int_equal(status(&f->g), S_IOERR);
    assert_int_equal(f->disk.op_count, 0);
}

static void backend_error_becomes_ioerr(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, F_FLUSH, 1, 8);
    f->disk.result = -E_IO;
    send(&f->g, T_IN, 0, 512, true);
    assert_int_equal(guest_used(&f->g, 0, NULL), 0);
    assert_int_equal(status(&f->g), S_IOERR);
}

static void flush_and_unknown_types(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, F_FLUSH, 1, 8);
    send(&f->g, T_FLUSH, 0, 0, false);
    assert_int_equal(status(&f->g), S_OK);
    assert_int_equal(f->disk.op_count, 1);
    assert_int_equal(f->disk.ops[0], BLOCK_FLUSH);
    send(&f->g, 99, 0, 0, false);
    assert_int_equal(status(&f->g), S_UNSUPP);
}

/* 5.2.6.2: when the driver did not negotiate FLUSH, a completed write is stable. */
static void write_is_flushed_for_a_driver_that_cannot_flush(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, 0, 1, 8);
    send(&f->g, T_OUT, 0, 512, false);
    assert_int_equal(status(&f->g), S_OK);
    assert_int_equal(f->disk.op_count, 2);
    assert_int_equal(f->disk.ops[0], BLOCK_WRITE);
    assert_int_equal(f->disk.ops[1], BLOCK_FLUSH);
    guest_used(&f->g, 0, NULL);
    assert_false(guest_has_used(&f->g, 0));
}

static void serial_number_is_padded_with_zeros(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, F_FLUSH, 1, 8);
    memset(at(&f->g, DATA), 0xff, 32);
    send(&f->g, T_GET_ID, 0, 20, true);
    assert_int_equal(guest_used(&f->g, 0, NULL), 21);
    assert_memory_equal(at(&f->g, DATA), "trivisor-0001\0\0\0\0\0\0\0\xff", 21);
}

static void send_range(struct guest *g, uint32_t type, uint64_t sector, uint32_t sectors,
                       uint32_t flags, uint32_t len)
{
    uint32_t words[4] = {(uint32_t)sector, (uint32_t)(sector >> 32), sectors, flags};

    memcpy(at(g, DATA), words, sizeof(words));
    send(g, type, 0, len, false);
    guest_used(g, 0, NULL);
}

static void discard_and_write_zeroes(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    static const uint8_t zeros[1024];

    guest_start(g, F_FLUSH, 1, 8);
    send_range(g, T_DISCARD, 8, 2, 0, 16);
    assert_int_equal(status(g), S_OK);
    assert_memory_equal(f->disk.bytes + 8 * 512, zeros, 1024);
    send_range(g, T_WRITE_ZEROES, 254, 2, 1, 16);
    assert_int_equal(status(g), S_OK);
    assert_true(f->disk.unmap);
    assert_memory_equal(f->disk.bytes + 254 * 512, zeros, 1024);
    assert_int_equal(f->disk.op_count, 2);

    send_range(g, T_DISCARD, 0, 1, 1, 16); /* unmap has no meaning here */
    assert_int_equal(status(g), S_UNSUPP);
    send_range(g, T_WRITE_ZEROES, 0, 1, 2, 16);
    assert_int_equal(status(g), S_UNSUPP);
    send_range(g, T_DISCARD, 255, 2, 0, 16);
    assert_int_equal(status(g), S_IOERR);
    send_range(g, T_WRITE_ZEROES, UINT64_MAX, 2, 0, 16);
    assert_int_equal(status(g), S_IOERR);
    send_range(g, T_DISCARD, 0, UINT32_MAX, 0, 16);
    assert_int_equal(status(g), S_IOERR);
    send_range(g, T_DISCARD, 0, 1, 0, 15);
    assert_int_equal(status(g), S_IOERR);
    uint32_t most = (uint32_t)config(g, 48, 4);
    f->disk.backend.size = (most + 1) * 512ULL; /* large enough: only the limit is in the way */
    send_range(g, T_WRITE_ZEROES, 0, most + 1, 0, 16);
    assert_int_equal(status(g), S_IOERR);
    send_range(g, T_DISCARD, 0, 1, 0, 32); /* more ranges than max_discard_seg */
    assert_int_equal(status(g), S_IOERR);
    assert_int_equal(f->disk.op_count, 2);
}

static void chain_without_header_or_status_needs_reset(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_FLUSH, 1, 8);
    guest_avail(g, 0, guest_desc_put(g, 0, HEADER, 16, 0));
    guest_notify(g, 0);
    assert_needs_reset(g);

    guest_start(g, F_FLUSH, 1, 8);
    uint16_t head = guest_desc_put(g, 0, HEADER, 15, D_NEXT);
    guest_desc_put(g, 0, STATUS, 1, D_WRITE);
    guest_avail(g, 0, head);
    guest_notify(g, 0);
    assert_needs_reset(g);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 0);
}

static void requests_complete_later_and_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_FLUSH, 1, 16);
    f->disk.later = true;
    send(g, T_IN, 0, 512, true);
    send(g, T_IN, 1, 512, true);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 2);
    assert_false(guest_has_used(g, 0));
    struct block_request *first = f->disk.held[0];
    f->disk.held[0] = f->disk.held[1];
    f->disk.held[1] = first;
    disk_finish(&f->disk);
    uint32_t head;
    guest_used(g, 0, &head);
    assert_int_equal(head, 3);
    guest_used(g, 0, &head);
    assert_int_equal(head, 0);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 0);
}

static void reset_with_requests_in_flight_is_silent(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_FLUSH, 1, 256);
    f->disk.later = true;
    for (unsigned i = 0; i < 80; i++)
        send(g, T_IN, 0, 512, true);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 80);
    guest_start(g, F_FLUSH, 1, 256);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 80);
    send(g, T_IN, 5, 512, true);
    disk_finish(&f->disk);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 0);
    assert_int_equal(guest_used(g, 0, NULL), 513);
    assert_false(guest_has_used(g, 0));
    assert_memory_equal(at(g, DATA), f->disk.bytes + 5 * 512, 512);
}

static void full_pool_waits_for_requests_of_before_the_reset(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    f->disk.later = true;
    for (unsigned round = 0; round < 2; round++) {
        guest_start(g, F_FLUSH, 1, 256);
        put_header(g, HEADER, T_IN, 0);
        uint16_t head = guest_desc_put(g, 0, HEADER, 16, D_NEXT);
        guest_desc_put(g, 0, DATA, 512, D_WRITE | D_NEXT);
        guest_desc_put(g, 0, STATUS, 1, D_WRITE);
        /* A ring full of one chain: 200 of the 256 requests. */
        for (unsigned i = 0; i < 200; i++)
            guest_avail(g, 0, head);
        guest_notify(g, 0);
    }
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 256);
    assert_int_equal(f->disk.held_count, 256);
    f->disk.later = false; /* those that follow complete inside submit */
    disk_finish(&f->disk);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 0);
    assert_int_equal(used(g, 0)[1], 200);
    assert_int_equal(f->disk.op_count, 400);
}

static void a_backend_with_a_depth_never_holds_more_requests(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    for (unsigned depth = 1; depth <= 3; depth++) {
        f->disk.backend.depth = depth;
        virtio_blk_init(&f->blk, &g->mem, &f->disk.backend, f->requests);
        memset(&f->requests[depth], 0xa5, sizeof f->requests[0]); /* nobody's */
        guest_attach(g, &f->blk.virtio);
        guest_start(g, F_FLUSH, 1, 256);
        f->disk.later = true;
        put_header(g, HEADER, T_IN, 0);
        uint16_t head = guest_desc_put(g, 0, HEADER, 16, D_NEXT);
        guest_desc_put(g, 0, DATA, 512, D_WRITE | D_NEXT);
        guest_desc_put(g, 0, STATUS, 1, D_WRITE);
        for (unsigned i = 0; i < 7; i++)
            guest_avail(g, 0, head);
        guest_notify(g, 0);
        for (unsigned answered = 0; answered < 7; answered += depth) {
            unsigned left = 7 - answered;
            assert_int_equal(used(g, 0)[1], answered);
            assert_int_equal(f->disk.held_count, left < depth ? left : depth);
            disk_finish(&f->disk);
        }
        assert_int_equal(used(g, 0)[1], 7);
        for (size_t i = 0; i < sizeof f->requests[0]; i++)
            assert_int_equal(((uint8_t *)&f->requests[depth])[i], 0xa5);
    }
    f->disk.backend.depth = VIRTIO_BLK_REQUESTS + 1;
    assert_int_equal(virtio_blk_depth(&f->disk.backend), VIRTIO_BLK_REQUESTS);
    f->disk.backend.depth = 0;
    assert_int_equal(virtio_blk_depth(&f->disk.backend), VIRTIO_BLK_REQUESTS);
}

static void data_pages_are_marked_dirty_by_reads_only(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    size_t page = (DATA - GUEST_RAM) / 4096;

    guest_start(g, F_FLUSH, 1, 8);
    mem_dirty_log(&g->mem, true);
    send(g, T_OUT, 0, 512, false);
    assert_int_equal(g->flags[page], 0);
    send(g, T_IN, 0, 512, true);
    assert_int_equal(g->flags[page], MEM_PAGE_DIRTY);
    assert_int_equal(g->flags[page - 1], MEM_PAGE_DIRTY); /* the status byte */
}

static void saved_device_loads_and_another_disk_is_refused(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_file file;

    guest_start(g, F_FLUSH | F_EVENT_IDX, 1, 8);
    send(g, T_IN, 1, 512, true);
    guest_used(g, 0, NULL);
    guest_save(g, &file);
    virtio_blk_init(&f->blk, &g->mem, &f->disk.backend, f->requests);
    guest_attach(g, &f->blk.virtio);
    assert_int_equal(guest_load(g, &file), 0);
    send(g, T_IN, 2, 512, true);
    assert_int_equal(guest_used(g, 0, NULL), 513);
    assert_memory_equal(at(g, DATA), f->disk.bytes + 2 * 512, 512);

    f->disk.backend.size /= 2;
    virtio_blk_init(&f->blk, &g->mem, &f->disk.backend, f->requests);
    guest_attach(g, &f->blk.virtio);
    assert_int_equal(guest_load(g, &file), -E_PROTO);
}

#define BIG_GPA (1ULL << 32)
#define GIB     (1ULL << 30)

/* Whoever ends a machine waits for what its backends hold: a guest must not make that hours. */
static void what_is_in_flight_is_bounded_in_bytes(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    _Atomic uint8_t *flags = test_calloc(2 * GIB / 4096, 1);
    void *big = mmap(NULL, 2 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_ptr_not_equal(big, MAP_FAILED);
    assert_int_equal(mem_slot_add(&g->mem, BIG_GPA, 2 * GIB, big, flags), 0);
    f->disk.backend.size = 1ULL << 40;
    f->disk.later = true;
    guest_start(g, F_FLUSH, 1, 16);

    put_header(g, HEADER, T_IN, 0);
    for (unsigned i = 0; i < 4; i++) {
        uint16_t head = guest_desc_put(g, 0, HEADER, 16, D_NEXT);
        guest_desc_put(g, 0, BIG_GPA, GIB / 2, D_NEXT | D_WRITE);
        guest_desc_put(g, 0, STATUS, 1, D_WRITE);
        guest_avail(g, 0, head);
    }
    guest_notify(g, 0);
    for (unsigned taken = 2; taken <= 4; taken++) {
        struct block_request *first = f->disk.held[taken - 2];
        assert_int_equal(f->disk.held_count, taken);
        first->done(first, -1);
    }
    f->disk.held[3]->done(f->disk.held[3], -1);
    assert_int_equal(f->disk.held_count, 4);
    for (unsigned i = 0; i < 4; i++)
        guest_used(g, 0, NULL);

    uint16_t head = guest_desc_put(g, 0, HEADER, 16, D_NEXT);
    guest_desc_put(g, 0, BIG_GPA, GIB, D_NEXT | D_WRITE);
    guest_desc_put(g, 0, BIG_GPA, 512, D_NEXT | D_WRITE);
    guest_desc_put(g, 0, STATUS, 1, D_WRITE);
    *(uint8_t *)at(g, STATUS) = 0xee;
    guest_avail(g, 0, head);
    guest_notify(g, 0);
    assert_int_equal(status(g), S_IOERR);
    assert_int_equal(f->disk.held_count, 4);
    munmap(big, 2 * GIB);
    test_free((void *)(uintptr_t)flags);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(configuration_describes_the_disk),
        TEST(read_fills_the_buffers),
        TEST(write_reaches_the_disk),
        TEST(framing_is_free),
        TEST(request_of_256_segments_through_an_indirect_table),
        TEST(backend_of_few_segments_is_asked_for_no_more),
        TEST(requests_outside_the_disk_fail),
        TEST(read_only_disk_refuses_writes),
        TEST(backend_error_becomes_ioerr),
        TEST(flush_and_unknown_types),
        TEST(write_is_flushed_for_a_driver_that_cannot_flush),
        TEST(serial_number_is_padded_with_zeros),
        TEST(discard_and_write_zeroes),
        TEST(chain_without_header_or_status_needs_reset),
        TEST(requests_complete_later_and_in_any_order),
        TEST(reset_with_requests_in_flight_is_silent),
        TEST(full_pool_waits_for_requests_of_before_the_reset),
        TEST(what_is_in_flight_is_bounded_in_bytes),
        TEST(a_backend_with_a_depth_never_holds_more_requests),
        TEST(data_pages_are_marked_dirty_by_reads_only),
        TEST(saved_device_loads_and_another_disk_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
