/*
 * Disk and network throughput. The environment says where: BENCH_DISK is a block device whose
 * contents are destroyed, BENCH_HOST (IPv4) and BENCH_PORT a TCP server that takes one line, "send
 * BYTES" or "receive BYTES", and then receives or sends them; to "send" it answers with one byte
 * when all have come.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static int open_disk(uint64_t *size)
{
    const char *path = getenv("BENCH_DISK");
    if (!path)
        bench_skip("no disk");
    int disk = open(path, O_RDWR | O_DIRECT);
    off_t end = disk < 0 ? -1 : lseek(disk, 0, SEEK_END);
    if (end < MIB)
        bench_fail("cannot use the disk");
    *size = (uint64_t)end / MIB * MIB;
    return disk;
}

/* The runner fills the disk with words that are their own index; disk_write writes the same again.
 */
static uint64_t check_words(const uint64_t *words, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size / 8; i += 512)
        if (words[i] != offset / 8 + i)
            bench_fail("wrong data on the disk");
    return words[size / 8 - 1];
}

static uint64_t disk_read(uint64_t count, uint64_t seed)
{
    uint64_t size, sum = seed, done = 0;
    int disk = open_disk(&size);
    uint64_t *buffer = bench_pages(MIB);
    bench_begin();
    for (; done < count; done += MIB) {
        if (pread(disk, buffer, MIB, (off_t)(done % size)) != MIB)
            bench_fail("short read");
        sum = bench_mix(sum, check_words(buffer, done % size, MIB));
    }
    bench_end(done);
    return sum;
}

static uint64_t disk_write(uint64_t count, uint64_t seed)
{
    uint64_t size, done = 0, sum = seed;
    int disk = open_disk(&size);
    uint64_t *buffer = bench_pages(MIB);
    /* A fixed place for each of 16 buffers, so that filling them is not timed. */
    uint64_t *buffers = bench_pages(16 * MIB);
    for (uint64_t i = 0; i < 16 * MIB / 8; i++)
        buffers[i] = i;
    if (size > 16 * MIB)
        size = 16 * MIB;
    bench_begin();
    for (; done < count; done += MIB)
        if (pwrite(disk, buffers + done % size / 8, MIB, (off_t)(done % size)) != MIB)
            bench_fail("short write");
    bench_end(done);
    if (pread(disk, buffer, MIB, 0) != MIB)
        bench_fail("short read");
    return bench_mix(sum, check_words(buffer, 0, MIB));
}

static uint64_t disk_read_4k(uint64_t count, uint64_t seed)
{
    uint64_t size, sum = seed, state = seed;
    int disk = open_disk(&size);
    uint64_t *buffer = bench_pages(4096);
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t offset = bench_random(&state) % (size / 4096) * 4096;
        if (pread(disk, buffer, 4096, (off_t)offset) != 4096)
            bench_fail("short read");
        sum = bench_mix(sum, check_words(buffer, offset, 4096));
    }
    bench_end(count);
    return sum;
}

static int connect_host(const char *request, uint64_t count)
{
    const char *host = getenv("BENCH_HOST"), *port = getenv("BENCH_PORT");
    if (!host || !port)
        bench_skip("no network");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(s, (struct sockaddr *)&address, sizeof(address)))
        bench_fail("cannot connect");
    dprintf(s, "%s %" PRIu64 "\n", request, count);
    return s;
}

static uint64_t net_send(uint64_t count, uint64_t seed)
{
    enum { CHUNK = 65536 };
    count = (count + CHUNK - 1) / CHUNK * CHUNK;
    int s = connect_host("send", count);
    unsigned char *buffer = bench_pages(CHUNK);
    for (size_t i = 0; i < CHUNK; i++)
        buffer[i] = (unsigned char)i;
    bench_begin();
    for (uint64_t done = 0; done < count;) {
        ssize_t n = write(s, buffer + done % CHUNK, CHUNK - done % CHUNK);
        if (n <= 0)
            bench_fail("connection lost");
        done += (uint64_t)n;
    }
    char answer = 0;
    if (read(s, &answer, 1) != 1 || answer != 'k')
        bench_fail("the host received something else");
    bench_end(count);
    return bench_mix(seed, count);
}

static uint64_t net_receive(uint64_t count, uint64_t seed)
{
    enum { CHUNK = 65536 };
    count = (count + CHUNK - 1) / CHUNK * CHUNK;
    int s = connect_host("receive", count);
    unsigned char *buffer = bench_pages(CHUNK);
    bench_begin();
    for (uint64_t done = 0; done < count;) {
        ssize_t n = read(s, buffer, CHUNK);
        if (n <= 0)
            bench_fail("connection lost");
        if (buffer[0] != (unsigned char)done ||
            buffer[n - 1] != (unsigned char)(done + (uint64_t)n - 1))
            bench_fail("wrong data from the host");
        done += (uint64_t)n;
    }
    bench_end(count);
    return bench_mix(seed, count);
}

const struct bench_group bench_disk = {
    "disk", 1,
    (const struct bench[]){{"disk-read", BENCH_BYTES, 96 * MIB, disk_read},
                           {"disk-write", BENCH_BYTES, 96 * MIB, disk_write},
                           {"disk-read-4k", BENCH_RATE, 1500, disk_read_4k},
                           {0}}};
const struct bench_group bench_network = {
    "network", 1,
    (const struct bench[]){{"tcp-to-host", BENCH_BYTES, 4 * MIB, net_send},
                           {"tcp-to-guest", BENCH_BYTES, 4 * MIB, net_receive},
                           {0}}};
