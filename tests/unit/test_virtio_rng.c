/* The entropy device, 1.2 section 5.4. */
#include "virtio_guest.h"

#include "devices/virtio/rng.h"

struct source {
    struct entropy_backend backend; /* first */
    uint8_t next;
    int result;
};

static int source_fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    struct source *source = (struct source *)backend;

    if (source->result == 0)
        memset(bytes, ++source->next, len);
    return source->result;
}

struct fixture {
    struct guest g;
    struct source source;
    struct virtio_rng rng;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    guest_init(&f->g);
    f->source.backend.fill = source_fill;
    virtio_rng_init(&f->rng, &f->g.mem, &f->source.backend);
    guest_attach(&f->g, &f->rng.virtio);
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

static void every_buffer_of_a_request_is_filled(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    assert_int_equal(reg(g, 0x008), 4);
    guest_start(g, 0, 1, 8);
    uint16_t head = guest_desc_put(g, 0, GUEST_DATA, 3, D_WRITE | D_NEXT);
    guest_desc_put(g, 0, GUEST_DATA + 64, 2, D_WRITE);
    guest_avail(g, 0, head);
    guest_notify(g, 0);
    assert_int_equal(guest_used(g, 0, NULL), 5);
    assert_memory_equal(at(g, GUEST_DATA), "\1\1\1\0", 4);
    assert_memory_equal(at(g, GUEST_DATA + 64), "\2\2\0", 3);
    assert_int_equal(guest_ack(g), 1);
}

static void large_request_gets_a_first_part(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 1, 8);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 0x10000, D_WRITE));
    guest_notify(g, 0);
    assert_int_equal(guest_used(g, 0, NULL), VIRTIO_RNG_BYTES_MAX);
    assert_int_equal(*(uint8_t *)at(g, GUEST_DATA + VIRTIO_RNG_BYTES_MAX - 1), 1);
    assert_int_equal(*(uint8_t *)at(g, GUEST_DATA + VIRTIO_RNG_BYTES_MAX), 0);
}

static void dry_source_or_no_room_needs_reset(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 1, 8);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 16, 0));
    guest_notify(g, 0);
    assert_needs_reset(g);

    f->source.result = -E_IO;
    guest_start(g, 0, 1, 8);
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, 16, D_WRITE));
    guest_notify(g, 0);
    assert_needs_reset(g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_buffer_of_a_request_is_filled),
        TEST(large_request_gets_a_first_part),
        TEST(dry_source_or_no_room_needs_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
