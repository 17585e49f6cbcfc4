/* Split virtqueues: chains, indirect tables, event index, and what a broken driver gets; 1.2, 2.7.
 */
#include "virtio_guest.h"

/* A device that hands every chain back, with the sum of its bytes, and remembers what it saw. */
struct echo {
    struct virtio_device virtio;
    struct virtq_chain chain;
    unsigned chains;
    uint64_t readable, writable;
    unsigned buffers;
    bool hold; /* take, but do not return */
};

static void echo_notify(struct virtio_device *device, unsigned queue)
{
    struct echo *echo = (struct echo *)(void *)device;

    virtio_lock(device);
    while (virtio_pop(device, queue, &echo->chain) != 0) {
        echo->chains++;
        echo->readable = echo->chain.readable_bytes;
        echo->writable = echo->chain.writable_bytes;
        echo->buffers = (unsigned)echo->chain.readable_count + echo->chain.writable_count;
        if (echo->hold)
            continue;
        virtio_push(device, queue, &echo->chain, (uint32_t)echo->writable);
        virtio_signal(device, queue);
    }
    virtio_unlock(device);
}

static const struct virtio_ops echo_ops = {.notify = echo_notify};

struct fixture {
    struct guest g;
    struct echo echo;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    guest_init(&f->g);
    virtio_init(&f->echo.virtio, &echo_ops, VIRTIO_ID_ENTROPY, &f->g.mem, 0, 1, NULL, 0);
    guest_attach(&f->g, &f->echo.virtio);
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

static void chain_becomes_readable_then_writable_buffers(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 1, 8);
    uint16_t head = guest_desc_put(g, 0, GUEST_DATA, 100, D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 0x1000, 0, D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 0x2000, 28, D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 0x3000, 4096, D_NEXT | D_WRITE);
    guest_desc_put(g, 0, GUEST_DATA + 0x5000, 1, D_WRITE);
    guest_avail(g, 0, head);
    guest_notify(g, 0);

    uint32_t id;
    assert_int_equal(guest_used(g, 0, &id), 4097);
    assert_int_equal(id, head);
    assert_int_equal(f->echo.readable, 128);
    assert_int_equal(f->echo.buffers, 4);
    assert_ptr_equal(f->echo.chain.buffers[0].base, at(g, GUEST_DATA));
    assert_ptr_equal(f->echo.chain.buffers[1].base, at(g, GUEST_DATA + 0x2000));
    assert_ptr_equal(f->echo.chain.buffers[2].base, at(g, GUEST_DATA + 0x3000));
    assert_int_equal(f->echo.chain.gpas[3], GUEST_DATA + 0x5000);
    assert_int_equal(guest_ack(g), 1);
    assert_false(g->wire);
}

static void ring_index_wraps_around_2_16(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_EVENT_IDX, 1, 4);
    for (unsigned i = 0; i < 70000; i++) {
        uint16_t head = guest_desc_put(g, 0, GUEST_DATA, 16, D_WRITE);
        uint32_t id;

        *used_event(g, 0) = g->seen[0];
        guest_avail(g, 0, head);
        guest_notify(g, 0);
        assert_int_equal(guest_used(g, 0, &id), 16);
        assert_int_equal(id, head);
        assert_int_equal(guest_ack(g), 1);
        assert_int_equal(*avail_event(g, 0), (uint16_t)(i + 1));
    }
    assert_int_equal(f->echo.chains, 70000);
}

static void chain_of_the_whole_ring_is_accepted_and_a_loop_is_not(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 1, 8);
    for (unsigned i = 0; i < 8; i++)
        guest_desc_put(g, 0, GUEST_DATA, 1, i == 7 ? 0 : D_NEXT);
    guest_avail(g, 0, 0);
    guest_notify(g, 0);
    assert_int_equal(f->echo.readable, 8);

    desc(g, 0, 7)->flags = D_NEXT; /* next is 0 */
    guest_avail(g, 0, 0);
    guest_notify(g, 0);
    assert_int_equal(f->echo.chains, 1);
    assert_needs_reset(g);
}

/* One bad descriptor or ring value, and the device asks for a reset; after one it works again. */
static void expect_broken(struct fixture *f)
{
    struct guest *g = &f->g;
    unsigned before = f->echo.chains;

    guest_notify(g, 0);
    assert_int_equal(f->echo.chains, before);
    assert_needs_reset(g);

    /* Nothing is taken until then, however good. */
    memset(at(g, ring_desc(0)), 0, 0x8000);
    guest_notify(g, 0);
    assert_int_equal(f->echo.chains, before);

    guest_start(g, F_INDIRECT, 1, 8);
    assert_false(g->wire);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
    guest_notify(g, 0);
    assert_int_equal(f->echo.chains, before + 1);
}

static void buffer_outside_ram_needs_reset(void **state)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
    } bad[] = {
        {GUEST_OUTSIDE, 1},
        {GUEST_RAM - 1, 1},
        {GUEST_RAM + GUEST_RAM_SIZE, 1},
        {GUEST_RAM + GUEST_RAM_SIZE - 1, 2},
        {GUEST_RAM, UINT32_MAX},
        {UINT64_MAX, 1},
        {UINT64_MAX - 15, UINT32_MAX},
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
        guest_start(&f->g, 0, 1, 8);
        guest_avail(&f->g, 0,
                    guest_desc_put(&f->g, 0, bad[i / 2].addr, bad[i / 2].len, i % 2 ? D_WRITE : 0));
        expect_broken(f);
    }
}

static void readable_after_writable_needs_reset(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, 0, 1, 8);
    uint16_t head = guest_desc_put(&f->g, 0, GUEST_DATA, 8, D_WRITE | D_NEXT);
    guest_desc_put(&f->g, 0, GUEST_DATA, 8, 0);
    guest_avail(&f->g, 0, head);
    expect_broken(f);
}

static void next_or_head_beyond_the_ring_needs_reset(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, 0, 1, 8);
    uint16_t head = guest_desc_put(&f->g, 0, GUEST_DATA, 8, D_NEXT);
    desc(&f->g, 0, head)->next = 8;
    guest_avail(&f->g, 0, head);
    expect_broken(f);

    guest_start(&f->g, 0, 1, 8);
    guest_avail(&f->g, 0, 8);
    expect_broken(f);
}

static void available_index_too_far_ahead_needs_reset(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, 0, 1, 8);
    avail(&f->g, 0)[1] = 9;
    expect_broken(f);
}

static void misplaced_rings_are_refused(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t value;
    } bad[] = {
        {0x038, 0},          {0x038, 3},          {0x038, 512},        {0x038, 0x10008},
        {0x080, 0x80000008}, {0x080, 0x1000},     {0x084, 1},          {0x090, 0x80002001},
        {0x0a0, 0x80004002}, {0x0a0, 0x800ffffc}, {0x0a4, 0xffffffff},
    };
    struct fixture *f = *state;
    struct guest *g = &f->g;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(guest_features(g, F_VERSION_1));
        guest_queue(g, 0, 8);
        set_reg(g, 0x044, 0);
        set_reg(g, bad[i].offset, bad[i].value);
        set_reg(g, 0x044, 1);
        assert_int_equal(reg(g, 0x044), 0);
        assert_true(reg(g, 0x070) & 0x40);
    }
}

static void indirect_table_is_followed(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_desc *table = at(g, GUEST_DATA + 0x8000);

    guest_start(g, F_INDIRECT, 1, 8);
    for (unsigned i = 0; i < 256; i++)
        table[i] = (struct guest_desc){GUEST_DATA + i, 1, i < 100 ? D_NEXT : D_NEXT | D_WRITE,
                                       (uint16_t)(i + 1)};
    table[255].flags = D_WRITE;
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA + 0x8000, 256 * 16, D_INDIRECT));
    guest_notify(g, 0);
    assert_int_equal(guest_used(g, 0, NULL), 156);
    assert_int_equal(f->echo.readable, 100);
    assert_int_equal(f->echo.buffers, 256);

    /* Direct descriptors may come before the one that refers to a table. */
    uint16_t head = guest_desc_put(g, 0, GUEST_DATA, 7, D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 0x8000 + 255 * 16, 16, D_INDIRECT);
    guest_avail(g, 0, head);
    guest_notify(g, 0);
    assert_int_equal(guest_used(g, 0, NULL), 1);
    assert_int_equal(f->echo.readable, 7);
}

static void bad_indirect_table_needs_reset(void **state)
{
    enum { TABLE = 0x8000 };
    static const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags;
    } bad[] = {
        {GUEST_DATA + TABLE, 0, D_INDIRECT},
        {GUEST_DATA + TABLE, 17, D_INDIRECT},
        {GUEST_DATA + TABLE, (VIRTQ_CHAIN_MAX + 1) * 16, D_INDIRECT},
        {GUEST_DATA + TABLE, 32, D_INDIRECT | D_NEXT},
        {GUEST_OUTSIDE, 32, D_INDIRECT},
        {GUEST_RAM + GUEST_RAM_SIZE - 16, 32, D_INDIRECT},
    };
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_desc *table = at(g, GUEST_DATA + TABLE);

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        table[0] = (struct guest_desc){GUEST_DATA, 1, D_NEXT, 1};
        table[1] = (struct guest_desc){GUEST_DATA, 1, 0, 0};
        guest_start(g, F_INDIRECT, 1, 8);
        guest_avail(g, 0, guest_desc_put(g, 0, bad[i].addr, bad[i].len, bad[i].flags));
        expect_broken(f);
    }

    /* Inside the table: a loop, a step out of it, another table. */
    for (unsigned i = 0; i < 3; i++) {
        table[0] = (struct guest_desc){GUEST_DATA, 1, D_NEXT, 1};
        table[1] = (struct guest_desc){GUEST_DATA, 1, D_NEXT, 0};
        if (i == 1)
            table[1].next = 2;
        if (i == 2)
            table[1] = (struct guest_desc){GUEST_DATA + TABLE, 16, D_INDIRECT, 0};
        guest_start(g, F_INDIRECT, 1, 8);
        guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA + TABLE, 32, D_INDIRECT));
        expect_broken(f);
    }

    /* Not negotiated. */
    table[0] = (struct guest_desc){GUEST_DATA, 1, 0, 0};
    guest_start(g, 0, 1, 8);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA + TABLE, 16, D_INDIRECT));
    expect_broken(f);
}

static void avail_flag_suppresses_interrupts(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 1, 8);
    avail(g, 0)[0] = 1;
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
    guest_notify(g, 0);
    assert_true(guest_has_used(g, 0));
    assert_int_equal(reg(g, 0x060), 0);
    avail(g, 0)[0] = 0;
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
    guest_notify(g, 0);
    assert_int_equal(reg(g, 0x060), 1);
    /* 2.7.10: without the event index the device uses its flags word, and wants every notification.
     */
    assert_int_equal(used(g, 0)[0], 0);
}

static void event_index_decides_on_interrupts(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_EVENT_IDX, 1, 8);
    /* Interrupt when entry 3 (the fourth) is used; the very first signal has no history and always
     * fires. */
    *used_event(g, 0) = 3;
    for (unsigned i = 0; i < 8; i++) {
        guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
        guest_notify(g, 0);
        assert_int_equal(guest_ack(g), i == 0 || i == 3);
    }
    /* The flag is not looked at: 2.7.7.2. */
    avail(g, 0)[0] = 1;
    *used_event(g, 0) = 8;
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
    guest_notify(g, 0);
    assert_int_equal(guest_ack(g), 1);
}

/* Another VCPU adds a chain between the device's last look at the ring and its request to be
 * notified. */
static void add_behind_the_devices_back(void *arg, uint64_t gpa, uint64_t len)
{
    struct fixture *f = arg;
    struct guest *g = &f->g;

    (void)len;
    if (gpa != ring_used(0) + 4 + 8ULL * g->size[0] || *avail_event(g, 0) != 1)
        return;
    g->mem.code_changed = NULL;
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
}

static void chain_added_while_the_device_goes_idle_is_found(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_EVENT_IDX, 1, 8);
    g->flags[(ring_used(0) - GUEST_RAM) / 4096] = MEM_PAGE_CODE;
    g->mem.code_changed = add_behind_the_devices_back;
    g->mem.code_changed_arg = f;
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
    guest_notify(g, 0);
    assert_int_equal(avail(g, 0)[1], 2);
    assert_int_equal(f->echo.chains, 2);
    assert_int_equal(*avail_event(g, 0), 2);
}

static void unpopped_chain_is_taken_again(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct virtqueue *queue = &f->echo.virtio.queues[0];

    guest_start(g, F_EVENT_IDX, 1, 8);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 11, 0));
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 22, 0));
    assert_int_equal(virtqueue_pop(queue, &g->mem, &f->echo.chain), 1);
    assert_int_equal(virtqueue_pop(queue, &g->mem, &f->echo.chain), 1);
    assert_int_equal(virtqueue_pop(queue, &g->mem, &f->echo.chain), 0);
    /* The driver is to tell about the third entry. */
    assert_int_equal(*avail_event(g, 0), 2);
    virtqueue_unpop(queue, 2);
    assert_int_equal(virtqueue_pop(queue, &g->mem, &f->echo.chain), 1);
    assert_int_equal(f->echo.chain.readable_bytes, 11);
}

static void chain_of_before_a_reset_is_not_returned(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    for (unsigned how = 0; how < 2; how++) {
        guest_start(g, 0, 1, 8);
        f->echo.hold = true;
        guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, D_WRITE));
        guest_notify(g, 0);
        if (how == 0)
            guest_start(g, 0, 1, 8);
        else {
            set_reg(g, 0x044, 0);
            guest_queue(g, 0, 8);
        }
        virtio_lock(&f->echo.virtio);
        virtio_push(&f->echo.virtio, 0, &f->echo.chain, 1);
        virtio_unlock(&f->echo.virtio);
        assert_false(guest_has_used(g, 0));
    }
}

static void ring_writes_are_marked_dirty(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, F_EVENT_IDX, 1, 8);
    mem_dirty_log(&g->mem, true);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 1, 0));
    guest_notify(g, 0);
    assert_int_equal(g->flags[(ring_used(0) - GUEST_RAM) / 4096], MEM_PAGE_DIRTY);
    assert_int_equal(g->flags[(ring_avail(0) - GUEST_RAM) / 4096], 0);
    assert_int_equal(g->flags[(ring_desc(0) - GUEST_RAM) / 4096], 0);
}

static void chain_copies_cross_buffer_boundaries(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    uint8_t out[16];

    guest_start(g, 0, 1, 8);
    f->echo.hold = true;
    memcpy(at(g, GUEST_DATA), "abc", 3);
    memcpy(at(g, GUEST_DATA + 0x1000), "defgh", 5);
    uint16_t head = guest_desc_put(g, 0, GUEST_DATA, 3, D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 0x1000, 5, D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 0x2000, 2, D_NEXT | D_WRITE);
    guest_desc_put(g, 0, GUEST_DATA + 0x3000, 4, D_WRITE);
    guest_avail(g, 0, head);
    guest_notify(g, 0);
    assert_int_equal(virtq_chain_read(&f->echo.chain, 2, out, 4), 4);
    assert_memory_equal(out, "cdef", 4);
    assert_int_equal(virtq_chain_read(&f->echo.chain, 6, out, 16), 2);
    assert_int_equal(virtq_chain_read(&f->echo.chain, 8, out, 16), 0);
    assert_int_equal(virtq_chain_write(&f->echo.chain, &g->mem, 1, "12345678", 8), 5);
    assert_memory_equal(at(g, GUEST_DATA + 0x2001), "1\0", 2);
    assert_memory_equal(at(g, GUEST_DATA + 0x3000), "2345\0", 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chain_becomes_readable_then_writable_buffers),
        TEST(ring_index_wraps_around_2_16),
        TEST(chain_of_the_whole_ring_is_accepted_and_a_loop_is_not),
        TEST(buffer_outside_ram_needs_reset),
        TEST(readable_after_writable_needs_reset),
        TEST(next_or_head_beyond_the_ring_needs_reset),
        TEST(available_index_too_far_ahead_needs_reset),
        TEST(misplaced_rings_are_refused),
        TEST(indirect_table_is_followed),
        TEST(bad_indirect_table_needs_reset),
        TEST(avail_flag_suppresses_interrupts),
        TEST(event_index_decides_on_interrupts),
        TEST(chain_added_while_the_device_goes_idle_is_found),
        TEST(unpopped_chain_is_taken_again),
        TEST(chain_of_before_a_reset_is_not_returned),
        TEST(ring_writes_are_marked_dirty),
        TEST(chain_copies_cross_buffer_boundaries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
