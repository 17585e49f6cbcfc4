#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "type1/dev_switch.h"

#include <stdlib.h>
#include <string.h>

#define PORTS 4

static struct net_switch lan;
static struct switch_port ports[PORTS];
static const uint8_t macs[PORTS][6] = {
    {0x52, 0x54, 0, 0, 0, 1}, {0x52, 0x54, 0, 0, 0, 2}, {0x52, 0x54, 0, 0, 0, 3}, {0}};

/* What stands behind a port. */
static struct station {
    unsigned frames;
    bool full;
    uint8_t last[SWITCH_FRAME_MAX];
    size_t len;
} stations[PORTS];

static bool receive(void *device, const void *frame, size_t len)
{
    struct station *station = device;
    if (station->full)
        return false;
    station->frames++;
    memcpy(station->last, frame, len);
    station->len = len;
    return true;
}

/* Three guests, and an uplink behind which nobody is known. */
static int setup(void **state)
{
    (void)state;
    memset(stations, 0, sizeof stations);
    switch_init(&lan, "lan");
    for (unsigned i = 0; i < PORTS; i++) {
        assert_int_equal(switch_add(&lan, &ports[i], i == 3 ? NULL : macs[i]), 0);
        ports[i].backend.device = &stations[i];
        ports[i].backend.receive = receive;
    }
    return 0;
}

/* Sends in three pieces, as a guest's descriptors may be. */
static void send_from(unsigned port, const uint8_t *to, const uint8_t *from, size_t len)
{
    static uint8_t frame[SWITCH_FRAME_MAX + 64];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)(i * 3 + port);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    struct buffer buffers[] = {{frame, 5}, {frame + 5, 8}, {frame + 13, len - 13}};
    ports[port].backend.ops->send(&ports[port].backend, buffers, 3, NULL);
}

static void expect_frames(unsigned a, unsigned b, unsigned c, unsigned d)
{
    const unsigned expected[PORTS] = {a, b, c, d};
    for (unsigned i = 0; i < PORTS; i++)
        assert_int_equal(stations[i].frames, expected[i]);
}

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t multicast[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t stranger[6] = {2, 2, 2, 2, 2, 2};

static void broadcast_reaches_all_but_the_sender(void **state)
{
    (void)state;
    send_from(0, broadcast, macs[0], 60);
    expect_frames(0, 1, 1, 1);
    send_from(1, multicast, macs[1], 60);
    expect_frames(1, 1, 2, 2);
}

static void known_address_gets_the_whole_frame_alone(void **state)
{
    (void)state;
    send_from(0, macs[1], macs[0], 1514);
    expect_frames(0, 1, 0, 0);
    assert_int_equal(stations[1].len, 1514);
    assert_memory_equal(stations[1].last, macs[1], 6);
    assert_memory_equal(stations[1].last + 6, macs[0], 6);
    for (size_t i = 12; i < 1514; i++)
        assert_int_equal(stations[1].last[i], (uint8_t)(i * 3));
    send_from(1, macs[1], macs[1], 60); /* to itself: goes nowhere */
    expect_frames(0, 1, 0, 0);
}

static void unknown_address_is_flooded_and_then_learned(void **state)
{
    (void)state;
    send_from(0, stranger, macs[0], 60);
    expect_frames(0, 1, 1, 1);
    send_from(3, macs[0], stranger, 60);
    expect_frames(1, 1, 1, 1);
    send_from(0, stranger, macs[0], 60);
    expect_frames(1, 1, 1, 2);
}

static void station_that_moves_is_followed(void **state)
{
    (void)state;
    send_from(3, macs[0], stranger, 60);
    send_from(2, macs[0], stranger, 60);
    send_from(0, stranger, macs[0], 60);
    expect_frames(2, 0, 1, 0);
}

static void address_of_a_port_cannot_be_taken_by_another(void **state)
{
    (void)state;
    send_from(1, macs[2], macs[0], 60);
    expect_frames(0, 0, 0, 0);
    assert_int_equal(ports[1].counts.refused, 1);
    send_from(2, macs[0], macs[2], 60);
    expect_frames(1, 0, 0, 0);
    static struct switch_port other;
    assert_int_equal(switch_add(&lan, &other, macs[1]), -E_EXIST);
    assert_int_equal(lan.port_count, PORTS);
}

/* Port 2 invents thousands of addresses: what is behind the uplink stays known. */
static void flood_of_addresses_evicts_the_flooders_own(void **state)
{
    (void)state;
    send_from(3, macs[0], stranger, 60);
    for (unsigned i = 1; i < 5000; i++) {
        uint8_t from[6] = {6, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        send_from(2, macs[0], from, 60);
    }
    memset(stations, 0, sizeof stations);
    send_from(0, stranger, macs[0], 60);
    expect_frames(0, 0, 0, 1);
    /* The newest of its own are known, the oldest forgotten and flooded. */
    uint8_t newest[6] = {6, 0, 0, 0, 4999 >> 8, 4999 & 0xff}, oldest[6] = {6, 0, 0, 0, 0, 1};
    send_from(0, newest, macs[0], 60);
    expect_frames(0, 0, 1, 1);
    send_from(0, oldest, macs[0], 60);
    expect_frames(0, 1, 2, 2);
    unsigned linked = 0;
    for (unsigned i = 0; i < SWITCH_BUCKETS; i++) {
        for (const struct switch_address *a = lan.buckets[i]; a != NULL; a = a->next)
            linked++;
    }
    assert_int_equal(linked, 3 + 1 + SWITCH_ADDRESSES - 1);
}

static void receiver_without_buffers_loses_the_frame_alone(void **state)
{
    (void)state;
    stations[1].full = true;
    send_from(0, broadcast, macs[0], 60);
    expect_frames(0, 0, 1, 1);
    assert_int_equal(ports[1].counts.no_buffer, 1);
    stations[1].full = false;
    send_from(0, macs[1], macs[0], 60);
    expect_frames(0, 1, 1, 1);
}

static void frames_that_no_ethernet_carries_are_dropped(void **state)
{
    (void)state;
    static const uint8_t zero[6];
    send_from(0, broadcast, macs[0], 13);
    send_from(0, broadcast, macs[0], SWITCH_FRAME_MAX + 1);
    send_from(0, broadcast, multicast, 60);
    send_from(0, broadcast, zero, 60);
    ports[0].backend.ops->send(&ports[0].backend, NULL, 0, NULL);
    struct buffer huge = {stations, SIZE_MAX};
    ports[0].backend.ops->send(&ports[0].backend, &huge, 1, NULL);
    expect_frames(0, 0, 0, 0);
    assert_int_equal(ports[0].counts.refused, 6);
    send_from(0, broadcast, macs[0], SWITCH_FRAME_MAX);
    expect_frames(0, 1, 1, 1);
}

static void unplugged_port_keeps_its_address_and_hears_nothing(void **state)
{
    (void)state;
    switch_unplug(&ports[1]);
    send_from(0, broadcast, macs[0], 60);
    send_from(0, macs[1], macs[0], 60);
    expect_frames(0, 0, 1, 1);
    send_from(2, macs[0], macs[1], 60);
    expect_frames(0, 0, 1, 1);
    ports[1].backend.device = &stations[1];
    ports[1].backend.receive = receive;
    send_from(0, macs[1], macs[0], 60);
    expect_frames(0, 1, 1, 1);
}

static void ports_are_bounded(void **state)
{
    (void)state;
    struct switch_port *more = calloc(SWITCH_PORTS_MAX, sizeof *more);
    for (unsigned i = PORTS; i < SWITCH_PORTS_MAX; i++)
        assert_int_equal(switch_add(&lan, &more[i], NULL), 0);
    assert_int_equal(switch_add(&lan, &more[0], NULL), -E_NOSPC);
    free(more);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(broadcast_reaches_all_but_the_sender),
        T(known_address_gets_the_whole_frame_alone),
        T(unknown_address_is_flooded_and_then_learned),
        T(station_that_moves_is_followed),
        T(address_of_a_port_cannot_be_taken_by_another),
        T(flood_of_addresses_evicts_the_flooders_own),
        T(receiver_without_buffers_loses_the_frame_alone),
        T(frames_that_no_ethernet_carries_are_dropped),
        T(unplugged_port_keeps_its_address_and_hears_nothing),
        T(ports_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
