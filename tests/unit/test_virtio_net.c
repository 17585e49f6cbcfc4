/* The network device, 1.2 section 5.1. */
#include "virtio_guest.h"

#include "devices/virtio/net.h"

#define F_CSUM       (1ULL << 0)
#define F_GUEST_CSUM (1ULL << 1)
#define F_MTU        (1ULL << 3)
#define F_MAC        (1ULL << 5)
#define F_MRG        (1ULL << 15)
#define F_STATUS     (1ULL << 16)

#define RX 0
#define TX 1

struct wire {
    struct net_backend backend; /* first */
    uint8_t frame[VIRTIO_NET_FRAME_MAX];
    size_t len;
    unsigned frames, resumes;
    bool partial; /* the latest frame's checksum is left to be made, */
    struct net_checksum checksum;
    bool loop; /* send each frame straight back, from inside send */
    bool looped;
};

static void wire_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                      const struct net_checksum *checksum)
{
    struct wire *wire = (struct wire *)backend;

    wire->len = 0;
    wire->frames++;
    wire->partial = checksum != NULL;
    if (checksum != NULL)
        wire->checksum = *checksum;
    for (unsigned i = 0; i < count; i++) {
        assert_true(buffers[i].len <= sizeof(wire->frame) - wire->len);
        memcpy(wire->frame + wire->len, buffers[i].base, buffers[i].len);
        wire->len += buffers[i].len;
    }
    if (wire->loop)
        wire->looped = backend->receive(backend->device, wire->frame, wire->len);
}

static void wire_resume(struct net_backend *backend)
{
    ((struct wire *)backend)->resumes++;
}

static const struct net_ops wire_ops = {.send = wire_send, .resume = wire_resume};

struct fixture {
    struct guest g;
    struct wire wire;
    struct virtio_net net;
    uint8_t pattern[VIRTIO_NET_FRAME_MAX + 1];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    guest_init(&f->g);
    f->wire.backend =
        (struct net_backend){.ops = &wire_ops, .mac = {0x52, 0x54, 0, 1, 2, 3}, .mtu = 1400};
    virtio_net_init(&f->net, &f->g.mem, &f->wire.backend);
    guest_attach(&f->g, &f->net.virtio);
    for (unsigned i = 0; i < sizeof(f->pattern); i++)
        f->pattern[i] = (uint8_t)(i * 7 + i / 256);
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

static bool receive(struct fixture *f, size_t len)
{
    return f->wire.backend.receive(f->wire.backend.device, f->pattern, len);
}

static void rx_buffer(struct guest *g, uint64_t gpa, uint32_t len)
{
    guest_avail(g, RX, guest_desc_put(g, RX, gpa, len, D_WRITE));
    guest_notify(g, RX);
}

static uint16_t num_buffers(struct guest *g, uint64_t gpa)
{
    uint16_t n;

    memcpy(&n, (uint8_t *)at(g, gpa) + 10, 2);
    return n;
}

static void configuration_has_mac_link_and_mtu(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(reg(&f->g, 0x008), 1);
    assert_true(config(&f->g, 0, 8) == 0x0001030201005452ULL);
    assert_int_equal(config(&f->g, 10, 2), 1400);
    assert_int_equal(guest_offered(&f->g) & 0xffffff, F_MTU | F_MAC | F_MRG | F_STATUS);
    f->wire.backend.mtu = 0;
    virtio_net_init(&f->net, &f->g.mem, &f->wire.backend);
    guest_attach(&f->g, &f->net.virtio);
    assert_int_equal(guest_offered(&f->g) & F_MTU, 0);
}

static void frame_is_sent_without_its_header(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG, 2, 16);
    memset(at(g, GUEST_DATA), 0, 12);
    memcpy(at(g, GUEST_DATA + 12), f->pattern, 60);
    /* 2.7.4.1: header and frame may be cut anywhere. */
    uint16_t head = guest_desc_put(g, TX, GUEST_DATA, 7, D_NEXT);
    guest_desc_put(g, TX, GUEST_DATA + 7, 20, D_NEXT);
    guest_desc_put(g, TX, GUEST_DATA + 27, 45, 0);
    guest_avail(g, TX, head);
    guest_notify(g, TX);
    assert_int_equal(f->wire.frames, 1);
    assert_int_equal(f->wire.len, 60);
    assert_memory_equal(f->wire.frame, f->pattern, 60);
    assert_int_equal(guest_used(g, TX, NULL), 0);
    assert_int_equal(guest_ack(g), 1);
}

static void frames_of_impossible_length_are_dropped(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    static const uint32_t lengths[] = {1, 12, 25, 12 + VIRTIO_NET_FRAME_MAX + 1};

    guest_start(g, F_MRG, 2, 16);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        guest_avail(g, TX, guest_desc_put(g, TX, GUEST_DATA, lengths[i], 0));
        guest_notify(g, TX);
        guest_used(g, TX, NULL);
    }
    assert_int_equal(f->wire.frames, 0);
    guest_avail(g, TX, guest_desc_put(g, TX, GUEST_DATA, 12 + VIRTIO_NET_FRAME_MAX, 0));
    guest_notify(g, TX);
    assert_int_equal(f->wire.frames, 1);
    assert_int_equal(f->wire.len, VIRTIO_NET_FRAME_MAX);
}

/* The device again, with a backend that makes checksums. */
static void with_checksums(struct fixture *f)
{
    f->wire.backend.checksums = true;
    virtio_net_init(&f->net, &f->g.mem, &f->wire.backend);
    guest_attach(&f->g, &f->net.virtio);
}

/* A frame of `len` bytes behind a header with these fields, 5.1.6. */
static void transmit(struct guest *g, uint8_t flags, uint16_t start, uint16_t offset, uint32_t len)
{
    uint8_t *header = at(g, GUEST_DATA);

    memset(header, 0, 12);
    header[0] = flags;
    memcpy(header + 6, &start, 2);
    memcpy(header + 8, &offset, 2);
    guest_avail(g, TX, guest_desc_put(g, TX, GUEST_DATA, 12 + len, 0));
    guest_notify(g, TX);
}

static void checksums_are_offered_where_the_backend_makes_them(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(guest_offered(&f->g) & (F_CSUM | F_GUEST_CSUM), 0);
    with_checksums(f);
    assert_int_equal(guest_offered(&f->g) & (F_CSUM | F_GUEST_CSUM), F_CSUM | F_GUEST_CSUM);
}

/* 5.1.6.2: NEEDS_CSUM is bit 0 of flags. */
static void checksum_is_left_to_the_backend(void **state)
{
    struct fixture *f = *state;

    with_checksums(f);
    guest_start(&f->g, F_CSUM, 2, 16);
    transmit(&f->g, 1, 34, 16, 60);
    assert_int_equal(f->wire.frames, 1);
    assert_true(f->wire.partial);
    assert_int_equal(f->wire.checksum.start, 34);
    assert_int_equal(f->wire.checksum.offset, 16);
    /* Without the flag the fields mean nothing, whatever they are. */
    transmit(&f->g, 0, 0xffff, 0xffff, 60);
    assert_int_equal(f->wire.frames, 2);
    assert_false(f->wire.partial);
}

static void checksum_flag_means_nothing_without_the_feature(void **state)
{
    struct fixture *f = *state;

    with_checksums(f);
    guest_start(&f->g, 0, 2, 16);
    transmit(&f->g, 1, 34, 16, 60);
    assert_int_equal(f->wire.frames, 1);
    assert_false(f->wire.partial);
}

static void checksum_outside_the_frame_drops_it(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint16_t start, offset;
        bool sent;
    } cases[] = {
        {34, 24, true},     {34, 25, false},         {58, 0, true},
        {59, 0, false},     {0xffff, 0, false},      {0, 58, true},
        {0, 0xffff, false}, {0xffff, 0xffff, false}, {0xfff0, 50, false},
    };

    with_checksums(f);
    guest_start(&f->g, F_CSUM, 2, 16);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f->wire.frames = 0;
        transmit(&f->g, 1, cases[i].start, cases[i].offset, 60);
        assert_int_equal(f->wire.frames, cases[i].sent);
        guest_used(&f->g, TX, NULL); /* it comes back all the same */
    }
}

/* 5.1.6.4: DATA_VALID, bit 1 of flags, only if GUEST_CSUM was negotiated; else flags is 0. */
static void received_frame_needs_no_verification(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    with_checksums(f);
    for (unsigned valid = 0; valid < 2; valid++) {
        guest_start(g, F_MRG | (valid ? F_GUEST_CSUM : 0), 2, 16);
        rx_buffer(g, GUEST_DATA, 1000);
        assert_true(receive(f, 60));
        guest_used(g, RX, NULL);
        assert_int_equal(((uint8_t *)at(g, GUEST_DATA))[0], valid ? 2 : 0);
    }
}

static void one_notification_sends_all_frames_with_one_interrupt(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG, 2, 16);
    for (unsigned i = 0; i < 10; i++)
        guest_avail(g, TX, guest_desc_put(g, TX, GUEST_DATA, 100, 0));
    guest_notify(g, TX);
    assert_int_equal(f->wire.frames, 10);
    assert_int_equal(used(g, TX)[1], 10);
    assert_int_equal(g->edges, 1);
}

static void received_frame_has_a_header(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    for (unsigned mrg = 0; mrg < 2; mrg++) {
        guest_start(g, mrg ? F_MRG : 0, 2, 16);
        memset(at(g, GUEST_DATA), 0xff, 2048);
        rx_buffer(g, GUEST_DATA, 2048);
        assert_true(receive(f, 60));
        assert_int_equal(guest_used(g, RX, NULL), 72);
        assert_memory_equal(at(g, GUEST_DATA), "\0\0\0\0\0\0\0\0\0\0\1\0", 12);
        assert_memory_equal(at(g, GUEST_DATA + 12), f->pattern, 60);
        assert_int_equal(guest_ack(g), 1);
    }
}

static void large_frame_spreads_over_merged_buffers(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG, 2, 16);
    for (unsigned i = 0; i < 4; i++)
        rx_buffer(g, GUEST_DATA + i * 0x1000, 1000);
    assert_true(receive(f, 2500));
    assert_int_equal(num_buffers(g, GUEST_DATA), 3);
    assert_int_equal(guest_used(g, RX, NULL), 1000);
    assert_int_equal(guest_used(g, RX, NULL), 1000);
    assert_int_equal(guest_used(g, RX, NULL), 2512 - 2000);
    assert_false(guest_has_used(g, RX));
    assert_memory_equal(at(g, GUEST_DATA + 12), f->pattern, 988);
    assert_memory_equal(at(g, GUEST_DATA + 0x1000), f->pattern + 988, 1000);
    assert_memory_equal(at(g, GUEST_DATA + 0x2000), f->pattern + 1988, 512);
    assert_int_equal(g->edges, 1);
}

static void refused_frame_keeps_the_buffers_and_is_resumed(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG | F_EVENT_IDX, 2, 16);
    rx_buffer(g, GUEST_DATA, 1000);
    assert_false(receive(f, 1500));
    assert_false(guest_has_used(g, RX));
    assert_int_equal(f->wire.resumes, 0);
    /* The driver is asked to notify when it adds the second buffer. */
    assert_int_equal(*avail_event(g, RX), 1);
    rx_buffer(g, GUEST_DATA + 0x1000, 1000);
    assert_int_equal(f->wire.resumes, 1);
    assert_true(receive(f, 1500));
    assert_int_equal(num_buffers(g, GUEST_DATA), 2);
    rx_buffer(g, GUEST_DATA, 1000);
    assert_int_equal(f->wire.resumes, 1);
}

static void frame_before_driver_ok_is_refused_and_resumed(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    assert_false(receive(f, 60));
    guest_start(g, F_MRG, 2, 16);
    assert_int_equal(f->wire.resumes, 1);
}

static void frame_too_large_for_an_unmerged_buffer_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 2, 16);
    rx_buffer(g, GUEST_DATA, 1000);
    assert_true(receive(f, 989));
    assert_false(guest_has_used(g, RX));
    assert_true(receive(f, 988));
    assert_int_equal(guest_used(g, RX, NULL), 1000);
}

static void receive_buffer_without_room_for_the_header_needs_reset(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG, 2, 16);
    rx_buffer(g, GUEST_DATA, 12);
    assert_true(receive(f, 60));
    assert_needs_reset(g);
}

/* Backends may answer from inside send: the device must not hold its lock then. */
static void backend_may_receive_from_inside_send(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG, 2, 16);
    rx_buffer(g, GUEST_DATA + 0x1000, 1000);
    f->wire.loop = true;
    guest_avail(g, TX, guest_desc_put(g, TX, GUEST_DATA, 100, 0));
    guest_notify(g, TX);
    assert_true(f->wire.looped);
    assert_int_equal(guest_used(g, RX, NULL), 100);
}

static void link_down_drops_frames_and_tells_the_driver(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_MRG | F_STATUS, 2, 16);
    rx_buffer(g, GUEST_DATA, 1000);
    virtio_net_set_link(&f->net, false);
    assert_int_equal(config(g, 6, 2), 0);
    assert_int_equal(guest_ack(g), 2);
    assert_true(receive(f, 60));
    assert_false(guest_has_used(g, RX));
}

static void mac_address_is_saved(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_file file;

    guest_start(g, F_MRG, 2, 16);
    rx_buffer(g, GUEST_DATA, 1000);
    guest_save(g, &file);
    f->wire.backend.mac[5] = 99;
    virtio_net_init(&f->net, &g->mem, &f->wire.backend);
    guest_attach(g, &f->net.virtio);
    assert_int_equal(guest_load(g, &file), 0);
    assert_int_equal(config(g, 5, 1), 3);
    assert_true(receive(f, 60));
    assert_int_equal(guest_used(g, RX, NULL), 72);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(configuration_has_mac_link_and_mtu),
        TEST(frame_is_sent_without_its_header),
        TEST(frames_of_impossible_length_are_dropped),
        TEST(checksums_are_offered_where_the_backend_makes_them),
        TEST(checksum_is_left_to_the_backend),
        TEST(checksum_flag_means_nothing_without_the_feature),
        TEST(checksum_outside_the_frame_drops_it),
        TEST(received_frame_needs_no_verification),
        TEST(one_notification_sends_all_frames_with_one_interrupt),
        TEST(received_frame_has_a_header),
        TEST(large_frame_spreads_over_merged_buffers),
        TEST(refused_frame_keeps_the_buffers_and_is_resumed),
        TEST(frame_before_driver_ok_is_refused_and_resumed),
        TEST(frame_too_large_for_an_unmerged_buffer_is_dropped),
        TEST(receive_buffer_without_room_for_the_header_needs_reset),
        TEST(backend_may_receive_from_inside_send),
        TEST(link_down_drops_frames_and_tells_the_driver),
        TEST(mac_address_is_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
