#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/host.h"
#include "type2/net_tap.h"
#include "type2/net_user.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK 0x7f000001U
#define GUEST    0x0a00020fU
#define HOST     0x0a000202U

static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static struct loop loop;

/* ---- the guest's end of the wire ---- */

static struct {
    pthread_mutex_t lock;
    uint8_t frames[64][2048];
    size_t lens[64];
    unsigned count;
    unsigned room;
} wire = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool wire_receive(void *device, const void *frame, size_t len)
{
    bool taken = false;

    assert_ptr_equal(device, &wire);
    pthread_mutex_lock(&wire.lock);
    if (wire.room > 0 && wire.count < 64 && len <= sizeof(wire.frames[0])) {
        memcpy(wire.frames[wire.count], frame, len);
        wire.lens[wire.count++] = len;
        wire.room--;
        taken = true;
    }
    pthread_mutex_unlock(&wire.lock);
    return taken;
}

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

static bool is_arp_request(const uint8_t *f, size_t len)
{
    return len >= 42 && be16(f + 12) == 0x0806 && be16(f + 20) == 1;
}

static bool is_arp_reply(const uint8_t *f, size_t len)
{
    return len >= 42 && be16(f + 12) == 0x0806 && be16(f + 20) == 2;
}

static bool is_dhcp(const uint8_t *f, size_t len)
{
    return len > 282 && be16(f + 12) == 0x0800 && f[23] == 17 && be16(f + 36) == 68;
}

static bool is_tcp(const uint8_t *f, size_t len)
{
    return len >= 54 && be16(f + 12) == 0x0800 && f[23] == 6;
}

static bool is_udp(const uint8_t *f, size_t len)
{
    return len >= 42 && be16(f + 12) == 0x0800 && f[23] == 17;
}

/* Waits for the first frame of a kind; copies it. */
static size_t wire_expect(bool (*kind)(const uint8_t *frame, size_t len), uint8_t *frame)
{
    for (int i = 0; i < 5000; i++) {
        size_t len = 0;
        pthread_mutex_lock(&wire.lock);
        for (unsigned n = 0; n < wire.count && len == 0; n++) {
            if (kind(wire.frames[n], wire.lens[n])) {
                len = wire.lens[n];
                memcpy(frame, wire.frames[n], len);
            }
        }
        pthread_mutex_unlock(&wire.lock);
        if (len > 0)
            return len;
        usleep(1000);
    }
    fail_msg("no such frame came");
    return 0;
}

static void wire_clear(unsigned room)
{
    pthread_mutex_lock(&wire.lock);
    wire.count = 0;
    wire.room = room;
    pthread_mutex_unlock(&wire.lock);
}

static void guest_sends(struct net_backend *net, const uint8_t *frame, size_t len)
{
    /* In pieces, as from a descriptor chain. */
    uint8_t copy[2048];
    memcpy(copy, frame, len);
    struct buffer pieces[] = {{copy, 14}, {copy + 14, 1}, {copy + 15, len - 15}};

    net->ops->send(net, pieces, 3, NULL);
    memset(copy, 0xee, sizeof(copy)); /* it was copied before send returned */
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += be16(bytes + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* An IPv4 UDP frame without UDP checksum (RFC 768 allows 0). */
static size_t make_udp(uint8_t *f, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                       const void *payload, size_t len)
{
    memset(f, 0xff, 6);
    if (to != 0xffffffff)
        memcpy(f, "\x52\x55\x0a\x00\x02\x02", 6); /* slirp's own address for 10.0.2.2 */
    memcpy(f + 6, guest_mac, 6);
    put16(f + 12, 0x0800);
    memset(f + 14, 0, 28);
    f[14] = 0x45;
    put16(f + 16, (uint32_t)(28 + len));
    f[22] = 64;
    f[23] = 17;
    put32(f + 26, from);
    put32(f + 30, to);
    put16(f + 24, checksum(f + 14, 20));
    put16(f + 34, from_port);
    put16(f + 36, to_port);
    put16(f + 38, (uint32_t)(8 + len));
    memcpy(f + 42, payload, len);
    return 42 + len;
}

static size_t make_arp(uint8_t *f, uint16_t op, const uint8_t target_mac[6], uint32_t target)
{
    memset(f, 0xff, 6);
    memcpy(f + 6, guest_mac, 6);
    put16(f + 12, 0x0806);
    put16(f + 14, 1);
    put16(f + 16, 0x0800);
    f[18] = 6;
    f[19] = 4;
    put16(f + 20, op);
    memcpy(f + 22, guest_mac, 6);
    put32(f + 28, GUEST);
    memcpy(f + 32, target_mac, 6);
    put32(f + 38, target);
    return 42;
}

static int start_loop(void **state)
{
    struct problem problem;

    (void)state;
    wire_clear(64);
    if (loop_init(&loop, &problem) != 0)
        return -1;
    return loop_start(&loop, "test", &problem);
}

static int stop_loop(void **state)
{
    (void)state;
    loop_stop(&loop);
    loop_fini(&loop);
    return 0;
}

static struct net_backend *open_net(const struct spec_forward *forwards, unsigned count)
{
    struct net_user_options options = {
        .hostname = "web", .forwards = forwards, .forward_count = count};
    struct problem problem = {""};

    memcpy(options.mac, guest_mac, 6);
    struct net_backend *net = net_user_open(&options, &loop, &problem);
    if (net == NULL)
        fail_msg("%s", problem.text);
    assert_memory_equal(net->mac, guest_mac, 6);
    net->device = &wire;
    net->receive = wire_receive;
    return net;
}

/* A socket of the host that listens (TCP) or receives (UDP) on loopback; its port. */
static int host_socket(int type, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, type, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* The value of a DHCP option (RFC 2132), or NULL. */
static const uint8_t *dhcp_option(const uint8_t *frame, size_t len, uint8_t code, uint8_t *size)
{
    for (size_t at = 282; at + 1 < len && frame[at] != 255;) {
        if (frame[at] == code) {
            *size = frame[at + 1];
            return frame + at + 2;
        }
        at += frame[at] == 0 ? 1 : 2U + frame[at + 1];
    }
    return NULL;
}

static size_t make_discover(uint8_t *frame)
{
    uint8_t bootp[300] = {1, 1, 6, 0, 0x11, 0x22, 0x33, 0x44};

    memcpy(bootp + 28, guest_mac, 6);
    put32(bootp + 236, 0x63825363); /* magic cookie, RFC 2131 section 3 */
    memcpy(bootp + 240, "\x35\x01\x01\xff", 4);
    return make_udp(frame, 0, 68, 0xffffffff, 67, bootp, sizeof(bootp));
}

/* ---- tests ---- */

static void dhcp_discover_is_answered_with_an_offer(void **state)
{
    uint8_t frame[2048], size = 0;

    (void)state;
    struct net_backend *net = open_net(NULL, 0);
    guest_sends(net, frame, make_discover(frame));
    size_t len = wire_expect(is_dhcp, frame);
    const uint8_t *bootp = frame + 42;
    assert_int_equal(bootp[0], 2); /* BOOTREPLY */
    assert_memory_equal(bootp + 4, "\x11\x22\x33\x44", 4);
    assert_int_equal(be32(bootp + 16), GUEST);
    const uint8_t *option = dhcp_option(frame, len, 53, &size);
    assert_non_null(option);
    assert_int_equal(option[0], 2); /* DHCPOFFER */
    option = dhcp_option(frame, len, 3, &size);
    assert_non_null(option);
    assert_int_equal(be32(option), HOST); /* router */
    option = dhcp_option(frame, len, 6, &size);
    assert_non_null(option);
    assert_int_equal(be32(option), 0x0a000203); /* name server */
    option = dhcp_option(frame, len, 12, &size);
    assert_non_null(option);
    assert_int_equal(size, 3);
    assert_memory_equal(option, "web", 3);
    net_user_close(net);
}

static void frame_is_kept_until_the_guest_has_a_buffer(void **state)
{
    static const uint8_t unknown[6];
    uint8_t frame[2048];

    (void)state;
    struct net_backend *net = open_net(NULL, 0);
    wire_clear(0);
    guest_sends(net, frame, make_arp(frame, 1, unknown, HOST));
    usleep(50000);
    assert_int_equal(wire.count, 0);
    wire_clear(1);
    net->ops->resume(net);
    wire_expect(is_arp_reply, frame);
    assert_int_equal(be32(frame + 28), HOST);
    net_user_close(net);
}

static void flood_without_buffers_is_bounded(void **state)
{
    static const uint8_t unknown[6];
    uint8_t frame[2048];

    (void)state;
    struct net_backend *net = open_net(NULL, 0);
    wire_clear(0);
    for (int i = 0; i < 50000; i++)
        guest_sends(net, frame, make_arp(frame, 1, unknown, HOST));
    struct buffer huge = {frame, SIZE_MAX};
    net->ops->send(net, &huge, 1, NULL); /* dropped, not read */
    wire_clear(64);
    net->ops->resume(net);
    wire_expect(is_arp_reply, frame);
    net_user_close(net);
}

static void guest_reaches_a_server_on_the_host(void **state)
{
    uint8_t frame[2048];
    char text[16];
    uint16_t port;

    (void)state;
    int server = host_socket(SOCK_DGRAM, &port);
    struct net_backend *net = open_net(NULL, 0);
    static const uint8_t unknown[6];
    guest_sends(net, frame, make_arp(frame, 1, unknown, HOST));
    wire_expect(is_arp_reply, frame);

    guest_sends(net, frame, make_udp(frame, GUEST, 4000, HOST, port, "ping", 4));
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len),
                     4);
    assert_memory_equal(text, "ping", 4);
    assert_int_equal(sendto(server, "pong!", 5, 0, (struct sockaddr *)&from, from_len), 5);
    size_t len = wire_expect(is_udp, frame);
    assert_true(len >= 47);
    assert_int_equal(be32(frame + 26), HOST);
    assert_int_equal(be32(frame + 30), GUEST);
    assert_int_equal(be16(frame + 34), port);
    assert_int_equal(be16(frame + 36), 4000);
    assert_memory_equal(frame + 42, "pong!", 5);
    net_user_close(net);
    close(server);
}

/* slirp drops UDP whose checksum is wrong */
static void partial_checksum_is_filled_in(void **state)
{
    static const uint8_t unknown[6];
    uint8_t frame[2048], payload[1200], text[1200];
    uint16_t port;

    (void)state;
    int server = host_socket(SOCK_DGRAM, &port);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    struct net_backend *net = open_net(NULL, 0);
    assert_true(net->checksums);
    guest_sends(net, frame, make_arp(frame, 1, unknown, HOST));
    wire_expect(is_arp_reply, frame);
    for (unsigned i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 31 + 200);
    for (size_t len = 1; len <= sizeof(payload); len += len < 40 ? 1 : 97) {
        static const struct net_checksum udp = {34, 6}; /* UDP's in IPv4 in Ethernet */
        size_t whole = make_udp(frame, GUEST, 4000, HOST, port, payload, len);
        uint8_t pseudo[12] = {0};
        memcpy(pseudo, frame + 26, 8);
        pseudo[9] = 17;
        put16(pseudo + 10, (uint32_t)(8 + len));
        put16(frame + 40, (uint16_t)~checksum(pseudo, 12));
        struct buffer pieces[] = {{frame, 41}, {frame + 41, whole - 41}};
        net->ops->send(net, pieces, 2, &udp);
        assert_int_equal(recv(server, text, sizeof(text), 0), len);
        assert_memory_equal(text, payload, len);
    }
    net_user_close(net);
    close(server);
}

static void forwarded_connection_reaches_the_guest(void **state)
{
    struct spec_forward forward = {.host_address = LOOPBACK, .guest_port = 80};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK)};
    uint8_t frame[2048], reply[64];

    (void)state;
    close(host_socket(SOCK_STREAM, &forward.host_port)); /* a port that is free */
    struct net_backend *net = open_net(&forward, 1);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    to.sin_port = htons(forward.host_port);
    connect(client, (struct sockaddr *)&to, sizeof(to));
    wire_expect(is_arp_request, frame);
    assert_int_equal(be32(frame + 38), GUEST);
    guest_sends(net, reply, make_arp(reply, 2, frame + 22, be32(frame + 28)));
    wire_expect(is_tcp, frame);
    assert_int_equal(be32(frame + 30), GUEST);
    assert_int_equal(be16(frame + 36), 80);
    assert_int_equal(frame[47] & 0x3f, 0x02); /* SYN */
    close(client);
    net_user_close(net);
}

static void port_in_use_is_named_and_nothing_stays_open(void **state)
{
    struct spec_forward forwards[2] = {
        {.host_address = LOOPBACK, .guest_port = 80},
        {.host_address = LOOPBACK, .guest_port = 22},
    };
    struct net_user_options options = {.forwards = forwards, .forward_count = 2};
    char wanted[64];

    (void)state;
    for (int udp = 0; udp < 2; udp++) {
        struct problem problem = {""};
        int type = udp ? SOCK_DGRAM : SOCK_STREAM;
        forwards[0].udp = forwards[1].udp = udp;
        close(host_socket(type, &forwards[0].host_port));
        int other = host_socket(type, &forwards[1].host_port);
        assert_null(net_user_open(&options, &loop, &problem));
        snprintf(wanted, sizeof(wanted), "port 127.0.0.1:%u/%s: in use", forwards[1].host_port,
                 udp ? "udp" : "tcp");
        if (strstr(problem.text, wanted) == NULL)
            fail_msg("'%s' does not say '%s'", problem.text, wanted);
        close(other);
        /* Both can be had now, and again after it was closed. */
        for (int i = 0; i < 2; i++)
            net_user_close(open_net(forwards, 2));
    }
}

static void address_that_the_host_lacks_is_named(void **state)
{
    struct spec_forward forward = {
        .host_address = 0xc0000201, .host_port = 40000, .guest_port = 1}; /* 192.0.2.1, RFC 5737 */
    struct net_user_options options = {.forwards = &forward, .forward_count = 1};
    struct problem problem = {""};

    (void)state;
    assert_null(net_user_open(&options, &loop, &problem));
    assert_non_null(strstr(problem.text, "port 192.0.2.1:40000/tcp: this host does not have"));
}

static void tap_that_cannot_be_had_is_named(void **state)
{
    struct net_tap_options options = {.ifname = "a-name-that-is-much-too-long"};
    struct problem problem = {""};

    (void)state;
    assert_null(net_tap_open(&options, &loop, &problem));
    assert_non_null(strstr(problem.text, options.ifname));
    assert_null(strchr(problem.text, '\n'));
    options.ifname = "lo"; /* is no tap, whoever asks */
    assert_null(net_tap_open(&options, &loop, &problem));
    assert_non_null(strstr(problem.text, "lo"));
}

int main(void)
{
#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, start_loop, stop_loop)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(dhcp_discover_is_answered_with_an_offer),
        LOOP_TEST(frame_is_kept_until_the_guest_has_a_buffer),
        LOOP_TEST(flood_without_buffers_is_bounded),
        LOOP_TEST(guest_reaches_a_server_on_the_host),
        LOOP_TEST(partial_checksum_is_filled_in),
        LOOP_TEST(forwarded_connection_reaches_the_guest),
        LOOP_TEST(port_in_use_is_named_and_nothing_stays_open),
        LOOP_TEST(address_that_the_host_lacks_is_named),
        LOOP_TEST(tap_that_cannot_be_had_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
