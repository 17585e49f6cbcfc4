/*
 * Virtio block device (Virtual I/O Device 1.2, section 5.2): one queue in front of a block backend.
 *
 * Read, write, flush, serial number, discard, write-zeroes. Requests lie in a pool of the
 * creator's, so that their number is bounded and nothing is allocated; when the pool is empty
 * (requests of before a reset may hold part of it) chains wait in the ring until one comes back.
 */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include "devices/backend.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_BLK_REQUESTS 256 /* the most */
/* Besides header and status. 1 MiB of scattered pages is one request. */
#define VIRTIO_BLK_SEGMENTS (VIRTQ_CHAIN_MAX - 2)
#define VIRTIO_BLK_QUEUE    512 /* entries: no chain may be longer than its queue, 2.7.5.3.1 */
#define VIRTIO_BLK_SECTOR   512ULL
/*
 * The largest request, and what may be in flight before no more is taken: a chain can name the same
 * RAM 250 times, and who ends or saves a machine waits for what its backends hold.
 */
#define VIRTIO_BLK_BYTES_MAX (1ULL << 30)

/* Configuration space, 5.2.4. */
struct virtio_blk_config {
    uint64_t capacity; /* sectors of 512 bytes */
    uint32_t size_max;
    uint32_t seg_max;
    uint16_t cylinders;
    uint8_t heads;
    uint8_t sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp;
    uint8_t alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback;
    uint8_t unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors;
    uint32_t max_discard_seg;
    uint32_t discard_sector_alignment;
    uint32_t max_write_zeroes_sectors;
    uint32_t max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
};

struct virtio_blk_request {
    struct block_request block; /* first: the backend hands it back; owner is the device */
    struct virtio_blk_request *next;
    uint8_t *status; /* the guest's status byte */
    uint64_t status_gpa;
    uint64_t bytes;     /* counted in virtio_blk.bytes */
    uint32_t written;   /* bytes to report if it succeeds */
    bool submit;        /* the backend is needed; otherwise `code` is the answer */
    bool write_through; /* the driver does not know FLUSH: a write ends with one; 5.2.6.2 */
    uint8_t code;       /* VIRTIO_BLK_S_* */
    struct virtq_chain chain;
};

struct virtio_blk {
    struct virtio_device virtio;
    struct block_backend *backend;
    struct virtio_blk_config config;
    struct virtio_blk_request *requests; /* the pool */
    unsigned request_count;
    struct virtio_blk_request *free; /* given back before; the rest of the pool was never touched */
    unsigned touched;                /* requests[touched ..) are untouched */
    unsigned inflight;
    uint64_t bytes; /* of the requests in flight */
    bool starved;   /* the pool was empty: look at the queue when a request comes back */
    bool resuming;  /* a thread is doing so */
};

/* How large a pool the device in front of the backend wants: requests, 1 to VIRTIO_BLK_REQUESTS. */
unsigned virtio_blk_depth(const struct block_backend *backend);
/* `requests`: virtio_blk_depth(backend) of them, which stay the device's and need not be
 * initialized. */
void virtio_blk_init(struct virtio_blk *blk, struct memory *mem, struct block_backend *backend,
                     struct virtio_blk_request *requests);

#endif
