/* The console, 1.2 section 5.3. */
#include "virtio_guest.h"

#include "devices/virtio/console.h"

#define RX 0
#define TX 1

struct terminal {
    struct stream_backend backend; /* first */
    char text[256];
    size_t len;
    unsigned resumes;
};

static size_t terminal_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    struct terminal *t = (struct terminal *)backend;

    assert_true(len <= sizeof(t->text) - t->len);
    memcpy(t->text + t->len, bytes, len);
    t->len += len;
    return len;
}

static void terminal_resume(struct stream_backend *backend)
{
    ((struct terminal *)backend)->resumes++;
}

static const struct stream_ops terminal_ops = {.write = terminal_write, .resume = terminal_resume};

struct fixture {
    struct guest g;
    struct terminal terminal;
    struct virtio_console console;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    guest_init(&f->g);
    f->terminal.backend.ops = &terminal_ops;
    virtio_console_init(&f->console, &f->g.mem, &f->terminal.backend);
    guest_attach(&f->g, &f->console.virtio);
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

static size_t type(struct fixture *f, const char *text)
{
    return f->terminal.backend.receive(f->terminal.backend.device, text, strlen(text));
}

static void output_reaches_the_backend_in_order(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 2, 8);
    memcpy(at(g, GUEST_DATA), "hello world", 11);
    uint16_t head = guest_desc_put(g, TX, GUEST_DATA, 6, D_NEXT);
    guest_desc_put(g, TX, GUEST_DATA + 6, 5, 0);
    guest_avail(g, TX, head);
    guest_avail(g, TX, guest_desc_put(g, TX, GUEST_DATA, 1, 0));
    guest_notify(g, TX);
    assert_int_equal(f->terminal.len, 12);
    assert_memory_equal(f->terminal.text, "hello worldh", 12);
    assert_int_equal(guest_used(g, TX, NULL), 0);
    assert_int_equal(guest_used(g, TX, NULL), 0);
    assert_int_equal(guest_ack(g), 1);
}

static void input_fills_buffers_until_there_are_none(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    assert_int_equal(type(f, "early"), 0);
    guest_start(g, F_EVENT_IDX, 2, 8);
    assert_int_equal(f->terminal.resumes, 1);
    guest_avail(g, RX, guest_desc_put(g, RX, GUEST_DATA, 4, D_WRITE));
    guest_avail(g, RX, guest_desc_put(g, RX, GUEST_DATA + 64, 4, D_WRITE));
    guest_notify(g, RX);
    assert_int_equal(type(f, "abcdefghij"), 8);
    assert_int_equal(guest_used(g, RX, NULL), 4);
    assert_int_equal(guest_used(g, RX, NULL), 4);
    assert_memory_equal(at(g, GUEST_DATA), "abcd\0", 5);
    assert_memory_equal(at(g, GUEST_DATA + 64), "efgh\0", 5);
    guest_avail(g, RX, guest_desc_put(g, RX, GUEST_DATA, 4, D_WRITE));
    guest_notify(g, RX);
    assert_int_equal(f->terminal.resumes, 2);
    assert_int_equal(type(f, "ij"), 2);
    assert_int_equal(guest_used(g, RX, NULL), 2);
}

static void read_only_input_buffer_needs_reset(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 2, 8);
    guest_avail(g, RX, guest_desc_put(g, RX, GUEST_DATA, 4, 0));
    guest_notify(g, RX);
    assert_int_equal(type(f, "a"), 0);
    assert_needs_reset(g);
}

static void size_of_the_terminal_is_configuration(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    assert_int_equal(reg(g, 0x008), 3);
    assert_int_equal(guest_offered(g) & 0xffffff, 1);
    guest_start(g, 1, 2, 8);
    virtio_console_resize(&f->console, 132, 50);
    assert_int_equal(guest_ack(g), 2);
    assert_int_equal(config(g, 0, 2), 132);
    assert_int_equal(config(g, 2, 2), 50);
    virtio_console_resize(&f->console, 132, 50);
    assert_int_equal(guest_ack(g), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_reaches_the_backend_in_order),
        TEST(input_fills_buffers_until_there_are_none),
        TEST(read_only_input_buffer_needs_reset),
        TEST(size_of_the_terminal_is_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
