/* Type 1's drivers of virtio devices, against our own virtio devices and against liars. */
#include "tests/unit/device_test.h"

#include "devices/virtio/blk.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "type1/dev_blk.h"
#include "type1/dev_memdisk.h"
#include "type1/dev_net.h"
#include "type1/dev_rng.h"

#include <stdlib.h>

#define DISK_SIZE (1u << 20)

static struct memory memory;
static struct wire wire;
static struct virtio_mmio transport;
static struct virtio_blk *board_blk;
static struct virtio_blk_request blk_requests[VIRTIO_BLK_REQUESTS];
static struct virtio_net board_net;
static struct virtio_rng board_rng;
static struct memdisk disk;
static struct memdisk_worker worker;
static uint8_t *image;
static struct vio vio;
static struct dev_blk blk;

/* The device's registers, reached as a driver would. */
static uint32_t device_read(void *registers, uint32_t offset)
{
    return (uint32_t)read_reg(&virtio_mmio_bus_ops, registers, offset, 4);
}

static void device_write(void *registers, uint32_t offset, uint32_t value)
{
    write_reg(&virtio_mmio_bus_ops, registers, offset, 4, value);
}

static const struct dev_access device_access = {.read = device_read, .write = device_write};

/* The device sees this process's memory under its own addresses. */
static int setup(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    mem_init(&memory);
    assert_int_equal(mem_slot_add(&memory, 4096, (1ULL << 47) - 4096, (void *)4096, NULL), 0);
    image = calloc(1, DISK_SIZE);
    for (unsigned i = 0; i < DISK_SIZE; i++)
        image[i] = (uint8_t)(i * 5 + i / 512);
    memdisk_worker_init(&worker);
    memdisk_init(&disk, image, DISK_SIZE, false, "board", &worker);
    board_blk = calloc(1, sizeof *board_blk);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(image);
    free(board_blk);
    return 0;
}

static void plug(struct virtio_device *device)
{
    virtio_mmio_init(&transport, device, &memory, wire_irq(&wire, 0));
    assert_int_equal(vio_probe(&vio, &device_access, &transport), 0);
    assert_false(vio.legacy);
}

static void plug_blk(struct block_backend *backend)
{
    virtio_blk_init(board_blk, &memory, backend, blk_requests);
    plug(&board_blk->virtio);
    assert_int_equal(vio.id, VIRTIO_ID_BLOCK);
    assert_int_equal(dev_blk_init(&blk, &vio), 0);
}

static unsigned answers;
static int result;

static void done(struct block_request *request, int error)
{
    (void)request;
    answers++;
    result = error;
}

static int run(enum block_op op, uint64_t offset, struct buffer *buffers, unsigned count,
               uint64_t length)
{
    struct block_request request = {.op = op,
                                    .offset = offset,
                                    .length = length,
                                    .buffers = buffers,
                                    .buffer_count = count,
                                    .done = done};
    unsigned before = answers;
    result = 1;
    blk.backend.ops->submit(&blk.backend, &request);
    if (wire.level)
        dev_blk_interrupt(&blk);
    assert_false(wire.level);
    assert_int_equal(answers, before + 1);
    return result;
}

static void disk_is_what_the_device_says(void **state)
{
    (void)state;
    plug_blk(&disk.backend);
    assert_int_equal(blk.backend.size, DISK_SIZE);
    assert_false(blk.backend.readonly);
    assert_string_equal(blk.backend.serial, "board");
    disk.backend.readonly = true;
    plug_blk(&disk.backend);
    assert_true(blk.backend.readonly);
}

static void requests_go_through_to_the_device(void **state)
{
    (void)state;
    uint8_t a[512], b[1024], expected[1536];
    struct buffer buffers[] = {{a, sizeof a}, {b, sizeof b}};
    plug_blk(&disk.backend);
    memcpy(expected, image + 2048, sizeof expected);
    assert_int_equal(run(BLOCK_READ, 2048, buffers, 2, 1536), 0);
    assert_memory_equal(a, expected, 512);
    assert_memory_equal(b, expected + 512, 1024);
    memset(a, 1, sizeof a);
    memset(b, 2, sizeof b);
    assert_int_equal(run(BLOCK_WRITE, DISK_SIZE - 1536, buffers, 2, 1536), 0);
    assert_memory_equal(image + DISK_SIZE - 1536, a, 512);
    assert_memory_equal(image + DISK_SIZE - 1024, b, 1024);
    assert_int_equal(run(BLOCK_FLUSH, 0, NULL, 0, 0), 0);
    assert_int_equal(run(BLOCK_WRITE_ZEROES, 512, NULL, 0, 1024), 0);
    for (unsigned i = 512; i < 1536; i++)
        assert_int_equal(image[i], 0);
    assert_int_not_equal(image[1536], 0);
    /* Neither beyond the disk nor for operations that the device does not know. */
    assert_int_equal(run(BLOCK_READ, DISK_SIZE - 512, buffers, 2, 1536), -E_IO);
    assert_int_equal(run(BLOCK_DISCARD, 0, NULL, 0, 512), -E_NOTSUP);
}

static void largest_chain_of_a_guest_is_what_the_device_takes(void **state)
{
    (void)state;
    static uint8_t sectors[255][512];
    struct buffer buffers[255];
    for (unsigned i = 0; i < 255; i++)
        buffers[i] = (struct buffer){sectors[i], 512};
    disk.backend.segments = 254; /* the device's seg_max */
    plug_blk(&disk.backend);
    disk.backend.segments = 0;
    assert_int_equal(blk.queue.size, VIRTIO_BLK_QUEUE);
    assert_int_equal(blk.backend.segments, 254);
    for (unsigned round = 0; round < 3; round++) {
        memset(sectors, 0, sizeof sectors);
        result = 1;
        answers = 0;
        struct block_request request = {.op = BLOCK_READ,
                                        .length = 254 * 512,
                                        .buffers = buffers,
                                        .buffer_count = 254,
                                        .done = done};
        blk.backend.ops->submit(&blk.backend, &request);
        dev_blk_interrupt(&blk);
        assert_int_equal(result, 0);
        assert_memory_equal(sectors, image, 254 * 512);
    }
    assert_int_equal(run(BLOCK_READ, 0, buffers, 255, 255 * 512), -E_IO);
    assert_int_equal(blk.queue.free_count, VIRTIO_BLK_QUEUE);
}

/* A disk that answers when it is told to. */
static struct block_request *held[VIRTIO_BLK_QUEUE];
static unsigned held_count;

static void hold(struct block_backend *backend, struct block_request *request)
{
    (void)backend;
    held[held_count++] = request;
}

static void requests_that_find_the_ring_full_wait_their_turn(void **state)
{
    (void)state;
    enum { REQUESTS = 400 };
    static const struct block_ops ops = {.submit = hold};
    struct block_backend slow = {.ops = &ops, .size = DISK_SIZE};
    static uint8_t sectors[REQUESTS][512];
    static struct block_request requests[REQUESTS];
    static struct buffer buffers[REQUESTS];

    plug_blk(&slow);
    held_count = answers = 0;
    for (unsigned i = 0; i < REQUESTS; i++) {
        buffers[i] = (struct buffer){sectors[i], 512};
        requests[i] = (struct block_request){.op = BLOCK_READ,
                                             .offset = i * 512,
                                             .length = 512,
                                             .buffers = &buffers[i],
                                             .buffer_count = 1,
                                             .done = done};
        blk.backend.ops->submit(&blk.backend, &requests[i]);
    }
    assert_int_equal(held_count, VIRTIO_BLK_QUEUE / 3);
    assert_int_equal(answers, 0);
    for (unsigned rounds = 0; answers < REQUESTS && rounds < REQUESTS; rounds++) {
        unsigned count = held_count;
        held_count = 0;
        struct block_request *now[VIRTIO_BLK_QUEUE];
        memcpy(now, held, sizeof now);
        /* Out of order: the last first. */
        while (count-- > 0) {
            memset(now[count]->buffers[0].base, (int)(now[count]->offset / 512), 512);
            now[count]->done(now[count], now[count]->offset == 7 * 512 ? -E_IO : 0);
        }
        dev_blk_interrupt(&blk);
    }
    assert_int_equal(answers, REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        assert_int_equal(sectors[i][511], (uint8_t)i);
    assert_int_equal(blk.queue.free_count, VIRTIO_BLK_QUEUE);
    assert_null(blk.waiting_first);
}

/* ---- Network ---- */

static uint8_t on_the_wire[2048], at_the_port[2048];
static size_t wire_len, port_len;
static unsigned port_frames;

static size_t gather(uint8_t *to, const struct buffer *buffers, unsigned count)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        memcpy(to + len, buffers[i].base, buffers[i].len);
        len += buffers[i].len;
    }
    return len;
}

static void wire_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                      const struct net_checksum *checksum)
{
    (void)backend;
    (void)checksum;
    wire_len = gather(on_the_wire, buffers, count);
}

static void port_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                      const struct net_checksum *checksum)
{
    (void)backend;
    (void)checksum;
    port_len = gather(at_the_port, buffers, count);
    port_frames++;
}

static void frames_pass_between_the_wire_and_the_port(void **state)
{
    (void)state;
    static const struct net_ops wire_ops = {.send = wire_send}, port_ops = {.send = port_send};
    struct net_backend outside = {.ops = &wire_ops, .mac = {2, 3, 4, 5, 6, 7}};
    struct net_backend port = {.ops = &port_ops};
    struct dev_net net;
    uint8_t frame[1514];

    for (unsigned i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)(i * 11);
    virtio_net_init(&board_net, &memory, &outside);
    plug(&board_net.virtio);
    assert_int_equal(dev_net_init(&net, &vio), 0);
    assert_memory_equal(net.mac, outside.mac, 6);
    assert_false(outside.receive(outside.device, frame, sizeof frame)); /* not attached yet */
    dev_net_attach(&net, &port);
    port_frames = 0;
    /* More frames than the ring has buffers. */
    for (unsigned i = 0; i < 3 * DEV_NET_RING; i++) {
        frame[20] = (uint8_t)i;
        assert_true(outside.receive(outside.device, frame, sizeof frame));
        dev_net_interrupt(&net);
        assert_int_equal(port_frames, i + 1);
        assert_int_equal(port_len, sizeof frame);
        assert_memory_equal(at_the_port, frame, sizeof frame);
        assert_true(port.receive(port.device, frame, 60 + i));
        assert_int_equal(wire_len, 60 + i);
        assert_memory_equal(on_the_wire, frame, 60 + i);
    }
    assert_false(port.receive(port.device, frame, DEV_NET_BUFFER));
    for (unsigned i = 0; i < DEV_NET_RING; i++)
        assert_true(outside.receive(outside.device, frame, sizeof frame));
    assert_false(outside.receive(outside.device, frame, sizeof frame));
    dev_net_interrupt(&net);
    assert_true(outside.receive(outside.device, frame, sizeof frame));
}

/* A wire on which a frame follows each that is taken. */
static struct net_backend endless;

static void port_send_endless(struct net_backend *backend, const struct buffer *buffers,
                              unsigned count, const struct net_checksum *checksum)
{
    static const uint8_t frame[60];
    port_send(backend, buffers, count, checksum);
    endless.receive(endless.device, frame, sizeof frame);
}

static void flood_from_the_wire_does_not_hold_the_hart(void **state)
{
    (void)state;
    static const struct net_ops wire_ops = {.send = wire_send};
    static const struct net_ops port_ops = {.send = port_send_endless};
    static const uint8_t frame[60];
    struct net_backend port = {.ops = &port_ops};
    struct dev_net net;

    endless = (struct net_backend){.ops = &wire_ops};
    virtio_net_init(&board_net, &memory, &endless);
    plug(&board_net.virtio);
    assert_int_equal(dev_net_init(&net, &vio), 0);
    dev_net_attach(&net, &port);
    port_frames = 0;
    assert_true(endless.receive(endless.device, frame, sizeof frame));
    dev_net_interrupt(&net);
    assert_int_equal(port_frames, DEV_NET_RING);
    assert_true(wire.level); /* the rest comes with the next interrupt */
    dev_net_interrupt(&net);
    assert_int_equal(port_frames, 2 * DEV_NET_RING);
}

/* ---- Entropy ---- */

static int fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    (void)backend;
    memset(bytes, 0x5a, len);
    return 0;
}

static void entropy_device_is_asked_and_left_reset(void **state)
{
    (void)state;
    struct entropy_backend source = {.fill = fill};
    uint8_t bytes[64] = {0};
    virtio_rng_init(&board_rng, &memory, &source);
    plug(&board_rng.virtio);
    assert_int_equal(dev_rng_read(&vio, bytes, sizeof bytes), 64);
    for (unsigned i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], 0x5a);
    assert_int_equal(board_rng.virtio.status, 0);
    assert_false(board_rng.virtio.queues[0].ready);
}

/* ---- Other devices than ours ---- */

/* Registers that remember what was written. */
static struct {
    uint32_t version, features[2], written[64];
    uint32_t status_sticks; /* bits of Status that it takes */
} fake;

static uint32_t fake_read(void *registers, uint32_t offset)
{
    (void)registers;
    switch (offset) {
    case VIRTIO_MMIO_MAGIC: return 0x74726976;
    case VIRTIO_MMIO_VERSION: return fake.version;
    case VIRTIO_MMIO_DEVICE_ID: return VIRTIO_ID_BLOCK;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return fake.features[fake.written[VIRTIO_MMIO_DEVICE_FEATURES_SEL / 4] & 1];
    case VIRTIO_MMIO_QUEUE_NUM_MAX: return 1000;
    case VIRTIO_MMIO_STATUS: return fake.written[offset / 4] & fake.status_sticks;
    default: return 0;
    }
}

static void fake_write(void *registers, uint32_t offset, uint32_t value)
{
    (void)registers;
    if (offset / 4 < 64)
        fake.written[offset / 4] = value;
}

static const struct dev_access fake_access = {.read = fake_read, .write = fake_write};

static void fake_setup(uint32_t version)
{
    memset(&fake, 0, sizeof fake);
    fake.version = version;
    fake.status_sticks = UINT32_MAX;
}

static void legacy_device_gets_pages_instead_of_addresses(void **state)
{
    (void)state;
    struct vio_queue queue;
    fake_setup(1);
    fake.features[0] = 1u << 9 | 1u << 5;
    assert_int_equal(vio_probe(&vio, &fake_access, NULL), 0);
    assert_true(vio.legacy);
    assert_int_equal(vio_start(&vio, 1ULL << 9), 0);
    assert_int_equal(vio.features, 1ULL << 9);
    assert_int_equal(fake.written[0x20 / 4], 1u << 9);
    assert_int_equal(fake.written[0x28 / 4], 4096);
    assert_int_equal(vio_queue_init(&queue, &vio, 0, vio_queue_max(&vio, 0)), 0);
    assert_int_equal(queue.size, 512);
    /* 2.7.2: descriptors, available ring, then the used ring at the next page. */
    uintptr_t base = (uintptr_t)queue.descriptors;
    assert_int_equal(base % 4096, 0);
    assert_int_equal(fake.written[0x40 / 4], (uint32_t)(base / 4096));
    assert_int_equal(fake.written[0x3c / 4], 4096);
    assert_int_equal((uintptr_t)queue.available - base, 16 * 512);
    assert_int_equal((uintptr_t)queue.used - base, 12288);
    vio_ready(&vio);
    assert_int_equal(fake.written[VIRTIO_MMIO_STATUS / 4], 1 | 2 | 4); /* no FEATURES_OK */
    host_free(queue.memory, queue.bytes);
}

static void device_that_refuses_our_features_is_not_used(void **state)
{
    (void)state;
    fake_setup(2);
    assert_int_equal(vio_probe(&vio, &fake_access, NULL), 0);
    assert_int_equal(vio_start(&vio, 0), -E_PROTO); /* no VERSION_1 */
    fake.features[1] = 1;
    assert_int_equal(vio_start(&vio, 0), 0);
    fake.status_sticks = ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    assert_int_equal(vio_start(&vio, 0), -E_PROTO);
    fake_setup(3);
    assert_int_equal(vio_probe(&vio, &fake_access, NULL), -E_NODEV);
}

static void publish(struct vio_queue *queue, uint16_t index, uint32_t id, uint32_t len)
{
    memcpy(queue->used + 4 + 8 * (index % queue->size), &id, 4);
    memcpy(queue->used + 8 + 8 * (index % queue->size), &len, 4);
    index++;
    memcpy(queue->used + 2, &index, 2);
}

static void used_entries_that_cannot_be_are_passed_over(void **state)
{
    (void)state;
    struct vio_queue queue;
    uint8_t byte;
    uint16_t head;
    uint32_t written;

    fake_setup(2);
    fake.features[1] = 1;
    assert_int_equal(vio_probe(&vio, &fake_access, NULL), 0);
    assert_int_equal(vio_start(&vio, 0), 0);
    assert_int_equal(vio_queue_init(&queue, &vio, 0, 8), 0);
    uint16_t mine = vio_begin(&queue);
    vio_add(&queue, &byte, 1, false);
    vio_add(&queue, &byte, 1, true);
    vio_end(&queue);
    assert_int_equal(queue.free_count, 6);
    publish(&queue, 0, 8, 1);          /* there are 0 to 7 */
    publish(&queue, 1, 0xffffffff, 1); /* nowhere */
    publish(&queue, 2, mine + 1u, 1);  /* not a head */
    assert_false(vio_take(&queue, &head, &written));
    publish(&queue, 3, mine, 1);
    publish(&queue, 4, mine, 1); /* twice */
    assert_true(vio_take(&queue, &head, &written));
    assert_int_equal(head, mine);
    assert_false(vio_take(&queue, &head, &written));
    assert_int_equal(queue.free_count, 8);
    host_free(queue.memory, queue.bytes);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(disk_is_what_the_device_says),
        T(requests_go_through_to_the_device),
        T(largest_chain_of_a_guest_is_what_the_device_takes),
        T(requests_that_find_the_ring_full_wait_their_turn),
        T(frames_pass_between_the_wire_and_the_port),
        T(flood_from_the_wire_does_not_hold_the_hart),
        T(entropy_device_is_asked_and_left_reset),
        T(legacy_device_gets_pages_instead_of_addresses),
        T(device_that_refuses_our_features_is_not_used),
        T(used_entries_that_cannot_be_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
