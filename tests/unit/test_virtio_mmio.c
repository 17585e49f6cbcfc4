/* The transport's registers, 1.2 section 4.2.2, and saving and loading through it. */
#include "virtio_guest.h"

#include "core/fdt.h"
#include "devices/virtio/balloon.h"

#include <pthread.h>
#include <sched.h>

static void no_release(struct reclaim_backend *backend, void *hva, size_t len)
{
    (void)backend;
    (void)hva;
    (void)len;
}

struct fixture {
    struct guest g;
    struct virtio_balloon balloon;
    struct reclaim_backend backend;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    guest_init(&f->g);
    f->backend.release = no_release;
    virtio_balloon_init(&f->balloon, &f->g.mem, &f->backend);
    guest_attach(&f->g, &f->balloon.virtio);
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

static void identity_registers(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(reg(&f->g, 0x000), 0x74726976);
    assert_int_equal(reg(&f->g, 0x004), 2);
    assert_int_equal(reg(&f->g, 0x008), 5);
    assert_int_equal(reg(&f->g, 0x070), 0);
}

static void control_registers_take_words_only(void **state)
{
    struct fixture *f = *state;
    static const unsigned widths[] = {1, 2, 8};
    uint64_t value;

    for (unsigned i = 0; i < 3; i++) {
        assert_true(virtio_mmio_bus_ops.read(&f->g.mmio, 0, widths[i], &value) < 0);
        assert_true(virtio_mmio_bus_ops.write(&f->g.mmio, 0x70, widths[i], 1) < 0);
    }
    assert_true(virtio_mmio_bus_ops.read(&f->g.mmio, 2, 4, &value) < 0);
    assert_int_equal(reg(&f->g, 0x070), 0);
}

static void features_are_windows_of_32_bits(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(guest_offered(&f->g) & (F_VERSION_1 | F_EVENT_IDX | F_INDIRECT),
                     F_VERSION_1 | F_EVENT_IDX | F_INDIRECT);
    set_reg(&f->g, 0x014, 2);
    assert_int_equal(reg(&f->g, 0x010), 0);
}

static void features_ok_is_refused_for_what_is_not_offered(void **state)
{
    struct fixture *f = *state;

    assert_false(guest_features(&f->g, F_VERSION_1 | 1ULL << 40));
    assert_false(guest_features(&f->g, F_EVENT_IDX));
    /* Without FEATURES_OK the device does not go live. */
    set_reg(&f->g, 0x070, 1 | 2 | 4);
    assert_int_equal(reg(&f->g, 0x070), 1 | 2);
    assert_true(guest_features(&f->g, F_VERSION_1));
}

static void features_are_final_after_features_ok(void **state)
{
    struct fixture *f = *state;

    assert_true(guest_features(&f->g, F_VERSION_1));
    set_reg(&f->g, 0x024, 0);
    set_reg(&f->g, 0x020, (uint32_t)F_EVENT_IDX);
    assert_false(virtio_has(&f->balloon.virtio, VIRTIO_F_EVENT_IDX));
}

static void status_bits_are_only_added(void **state)
{
    struct fixture *f = *state;

    set_reg(&f->g, 0x070, 1 | 2);
    set_reg(&f->g, 0x070, 1);
    assert_int_equal(reg(&f->g, 0x070), 1 | 2);
    /* NEEDS_RESET is the device's. */
    set_reg(&f->g, 0x070, 0x40 | 1);
    assert_int_equal(reg(&f->g, 0x070), 1 | 2);
    set_reg(&f->g, 0x070, 0x80);
    assert_int_equal(reg(&f->g, 0x070), 0x80 | 1 | 2);
}

static void queue_registers_follow_queue_sel(void **state)
{
    struct fixture *f = *state;

    set_reg(&f->g, 0x030, 4);
    assert_int_equal(reg(&f->g, 0x034), 256);
    set_reg(&f->g, 0x030, 5);
    assert_int_equal(reg(&f->g, 0x034), 0);
    assert_int_equal(reg(&f->g, 0x044), 0);
    set_reg(&f->g, 0x044, 1);
    assert_int_equal(reg(&f->g, 0x070), 0);
    /* A queue that does not exist is not notified. */
    set_reg(&f->g, 0x050, 5);
    set_reg(&f->g, 0x050, UINT32_MAX);
}

static void live_queue_keeps_its_addresses(void **state)
{
    struct fixture *f = *state;

    guest_start(&f->g, 0, 1, 8);
    set_reg(&f->g, 0x030, 0);
    set_reg(&f->g, 0x080, 0);
    set_reg(&f->g, 0x038, 16);
    assert_int_equal(f->balloon.virtio.queues[0].desc, ring_desc(0));
    assert_int_equal(f->balloon.virtio.queues[0].size, 8);
}

static void shared_memory_registers_read_minus_one(void **state)
{
    struct fixture *f = *state;

    set_reg(&f->g, 0x0ac, 0);
    for (uint64_t offset = 0x0b0; offset <= 0x0bc; offset += 4)
        assert_int_equal(reg(&f->g, offset), UINT32_MAX);
}

static void configuration_takes_every_width_and_reads_zero_beyond(void **state)
{
    struct fixture *f = *state;

    virtio_balloon_set_target(&f->balloon, 0x11223344);
    assert_int_equal(config(&f->g, 0, 1), 0x44);
    assert_int_equal(config(&f->g, 2, 2), 0x1122);
    assert_int_equal(config(&f->g, 0, 4), 0x11223344);
    assert_int_equal(config(&f->g, 0, 8), 0x11223344);
    assert_int_equal(virtio_mmio_bus_ops.write(&f->g.mmio, 0x104, 4, 0xaabbccdd), 0);
    assert_true(config(&f->g, 0, 8) == 0xaabbccdd11223344ULL);
    assert_int_equal(config(&f->g, 8, 8), 0);
    assert_int_equal(config(&f->g, 0xef8, 8), 0);
    /* num_pages is read-only. */
    assert_int_equal(virtio_mmio_bus_ops.write(&f->g.mmio, 0x100, 4, 0), 0);
    assert_int_equal(config(&f->g, 0, 4), 0x11223344);
}

static void configuration_change_moves_the_generation_and_interrupts(void **state)
{
    struct fixture *f = *state;
    uint32_t before = reg(&f->g, 0x0fc);

    virtio_balloon_set_target(&f->balloon, 1);
    assert_int_not_equal(reg(&f->g, 0x0fc), before);
    /* 2.1.2: no interrupt before DRIVER_OK. */
    assert_false(f->g.wire);
    guest_start(&f->g, 0, 2, 8);
    virtio_balloon_set_target(&f->balloon, 2);
    assert_true(f->g.wire);
    assert_int_equal(reg(&f->g, 0x060), 2);
}

static void wire_falls_when_all_causes_are_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 2, 8);
    guest_avail(g, 1, guest_desc_put(g, 1, GUEST_DATA, 4, 0));
    guest_notify(g, 1);
    virtio_balloon_set_target(&f->balloon, 2);
    assert_int_equal(reg(g, 0x060), 3);
    set_reg(g, 0x064, 2);
    assert_true(g->wire);
    set_reg(g, 0x064, 1);
    assert_false(g->wire);
    assert_int_equal(g->edges, 1);
}

static void reset_forgets_everything(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 2, 8);
    virtio_balloon_set_target(&f->balloon, 2);
    set_reg(g, 0x070, 0);
    assert_int_equal(reg(g, 0x070), 0);
    assert_int_equal(reg(g, 0x060), 0);
    assert_false(g->wire);
    for (unsigned i = 0; i < 2; i++) {
        set_reg(g, 0x030, i);
        assert_int_equal(reg(g, 0x044), 0);
    }
    assert_int_equal(f->balloon.virtio.features, 0);
}

static void buffers_from_before_driver_ok_are_found(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    assert_true(guest_features(g, F_VERSION_1));
    guest_queue(g, 1, 8);
    guest_avail(g, 1, guest_desc_put(g, 1, GUEST_DATA, 4, 0));
    guest_notify(g, 1);
    assert_false(guest_has_used(g, 1));
    set_reg(g, 0x070, 15);
    assert_true(guest_has_used(g, 1));
}

static void frozen_device_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;

    guest_start(g, 0, 2, 8);
    virtio_mmio_freeze(&g->mmio, true);
    guest_avail(g, 1, guest_desc_put(g, 1, GUEST_DATA, 4, 0));
    guest_notify(g, 1);
    assert_false(guest_has_used(g, 1));
    virtio_mmio_freeze(&g->mmio, false);
    assert_true(guest_has_used(g, 1));
}

static struct guest *feeding;
static _Atomic unsigned fed;

/* Makes the chain that is being worked on available once more: the queue never runs empty. */
static void feed_release(struct reclaim_backend *backend, void *hva, size_t len)
{
    (void)backend;
    (void)hva;
    (void)len;
    avail(feeding, 0)[1]++;
    atomic_fetch_add(&fed, 1);
}

static void *notify_thread(void *arg)
{
    guest_notify(arg, 0);
    return NULL;
}

static void freezing_ends_work_on_a_queue_that_feeds_itself(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    uint32_t pfn = (uint32_t)(GUEST_DATA >> 12) + 1;
    pthread_t thread;

    f->backend.release = feed_release;
    feeding = g;
    atomic_store(&fed, 0);
    guest_start(g, 0, 2, 8);
    memcpy(at(g, GUEST_DATA), &pfn, sizeof(pfn));
    guest_avail(g, 0, guest_desc_put(g, 0, GUEST_DATA, sizeof(pfn), 0));
    assert_int_equal(pthread_create(&thread, NULL, notify_thread, g), 0);
    while (atomic_load(&fed) < 10000)
        sched_yield();
    virtio_mmio_freeze(&g->mmio, true);
    pthread_join(thread, NULL);
}

static void loaded_device_goes_on_where_the_saved_one_stopped(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_file file;
    struct virtio_balloon other;

    guest_start(g, F_EVENT_IDX, 3, 8);
    virtio_balloon_set_target(&f->balloon, 7);
    for (unsigned i = 0; i < 5; i++) {
        guest_avail(g, 1, guest_desc_put(g, 1, GUEST_DATA, 4, 0));
        guest_notify(g, 1);
        guest_used(g, 1, NULL);
    }
    set_reg(g, 0x030, 2);
    guest_save(g, &file);

    /* The same RAM, a new device and transport. */
    virtio_balloon_init(&other, &g->mem, &f->backend);
    g->wire = false;
    guest_attach(g, &other.virtio);
    assert_int_equal(guest_load(g, &file), 0);
    assert_int_equal(file.at, file.len);
    assert_true(g->wire);
    assert_int_equal(guest_ack(g), 3);
    assert_int_equal(reg(g, 0x070), 15);
    assert_int_equal(reg(g, 0x044), 1);
    assert_int_equal(config(g, 0, 4), 7);
    *used_event(g, 1) = 5;
    guest_avail(g, 1, guest_desc_put(g, 1, GUEST_DATA, 4, 0));
    guest_notify(g, 1);
    guest_used(g, 1, NULL);
    assert_int_equal(used(g, 1)[1], 6);
    assert_int_equal(reg(g, 0x060), 1);
}

static void damaged_state_is_refused_and_leaves_a_reset_device(void **state)
{
    struct fixture *f = *state;
    struct guest *g = &f->g;
    struct guest_file file;

    guest_start(g, F_EVENT_IDX, 3, 8);
    guest_save(g, &file);
    size_t len = file.len;
    for (file.len = 0; file.len < len; file.len++) {
        assert_true(guest_load(g, &file) < 0);
        assert_int_equal(reg(g, 0x070), 0);
        assert_false(f->balloon.virtio.queues[0].ready);
    }
    /* Another device's file; its id is the first field of the section "virtio". */
    f->balloon.virtio.id = VIRTIO_ID_BLOCK;
    assert_int_equal(guest_load(g, &file), -E_PROTO);
    f->balloon.virtio.id = VIRTIO_ID_BALLOON;
    /* A feature that is no longer offered. */
    f->balloon.virtio.offered &= ~VIRTIO_F_EVENT_IDX;
    assert_int_equal(guest_load(g, &file), -E_PROTO);
    f->balloon.virtio.offered |= VIRTIO_F_EVENT_IDX;
    assert_int_equal(guest_load(g, &file), 0);
    /* RAM that is smaller than the saved rings need. */
    g->mem.slots[0].size = 0x4000;
    assert_int_equal(guest_load(g, &file), -E_INVAL);
    assert_int_equal(reg(g, 0x070), 0);
}

static void device_tree_node_names_window_and_interrupt(void **state)
{
    static uint8_t blob[4096];
    struct fdt_writer w;
    struct fdt fdt;
    uint64_t address, size;

    (void)state;
    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    virtio_mmio_fdt(&w, 0x10003000, &(struct fdt_line){.parent = 9, .line = 3});
    fdt_end(&w);
    long total = fdt_finish(&w);
    assert_true(total > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)total), 0);
    int node = fdt_path(&fdt, "/virtio_mmio@10003000");
    assert_true(node > 0);
    assert_string_equal(fdt_str(&fdt, node, "compatible"), "virtio,mmio");
    assert_int_equal(fdt_reg(&fdt, node, 0, &address, &size), 0);
    assert_int_equal(address, 0x10003000);
    assert_int_equal(size, 0x1000);
    assert_int_equal(fdt_u32(&fdt, node, "interrupts", 0), 3);
    assert_int_equal(fdt_u32(&fdt, node, "interrupt-parent", 0), 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identity_registers),
        TEST(control_registers_take_words_only),
        TEST(features_are_windows_of_32_bits),
        TEST(features_ok_is_refused_for_what_is_not_offered),
        TEST(features_are_final_after_features_ok),
        TEST(status_bits_are_only_added),
        TEST(queue_registers_follow_queue_sel),
        TEST(live_queue_keeps_its_addresses),
        TEST(shared_memory_registers_read_minus_one),
        TEST(configuration_takes_every_width_and_reads_zero_beyond),
        TEST(configuration_change_moves_the_generation_and_interrupts),
        TEST(wire_falls_when_all_causes_are_acknowledged),
        TEST(reset_forgets_everything),
        TEST(buffers_from_before_driver_ok_are_found),
        TEST(frozen_device_takes_nothing),
        TEST(freezing_ends_work_on_a_queue_that_feeds_itself),
        TEST(loaded_device_goes_on_where_the_saved_one_stopped),
        TEST(damaged_state_is_refused_and_leaves_a_reset_device),
        TEST(device_tree_node_names_window_and_interrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
