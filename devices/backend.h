/*
 * Backends: what stands behind a device. A device knows its registers and its guest's memory;
 * files, sockets and terminals are behind these structs of a few function pointers, which each
 * hypervisor fills.
 *
 * Requests are asynchronous and owned by the caller; their number is bounded by the queue's size,
 * so that a VM can be drained. `done` may be called from inside submit (a try that does not wait)
 * or later from another thread. Never call into a backend while holding a lock that its callbacks
 * take.
 */
#ifndef DEVICES_BACKEND_H
#define DEVICES_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of memory; the same layout as POSIX struct iovec. */
struct buffer {
    void *base;
    size_t len;
};

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };

struct block_request {
    enum block_op op;
    uint64_t offset; /* bytes from the start of the disk */
    uint64_t length; /* bytes; READ and WRITE: the sum of the buffers */
    const struct buffer *buffers;
    unsigned buffer_count;
    bool unmap; /* WRITE_ZEROES may deallocate */
    /* `result`: 0 or a negative error. Any thread; the request is the caller's again. */
    void (*done)(struct block_request *request, int result);
    void *owner;
    uint64_t backend[6]; /* the backend's own use while it holds the request */
};

struct block_backend;
struct block_ops {
    void (*submit)(struct block_backend *backend, struct block_request *request);
};
struct block_backend {
    const struct block_ops *ops;
    uint64_t size; /* bytes */
    bool readonly;
    bool discard;      /* DISCARD is worth offering */
    char serial[21];   /* "" if none */
    unsigned depth;    /* no more requests at once do it any good; 0: as many as a queue holds */
    unsigned segments; /* the most buffers of a request; 0: as many as a queue's chain holds */
};

/*
 * What is left to do in a frame: the Internet checksum (RFC 1071) of its bytes from `start` to the
 * end goes to the two bytes at `start + offset`, which lie inside the frame and hold the sum of a
 * pseudo header.
 */
struct net_checksum {
    uint16_t start, offset;
};

struct net_backend;
struct net_ops {
    /* Guest to world: one Ethernet frame, gathered. Copies before it returns; drops what it cannot
     * take. `checksum`: NULL, or what is to be filled in, which only a backend that `checksums` is
     * asked for. */
    void (*send)(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                 const struct net_checksum *checksum);
    /* The device has room again after receive returned false. */
    void (*resume)(struct net_backend *backend);
};
struct net_backend {
    const struct net_ops *ops;
    /*
     * World to guest, set by the device: one frame; false when the guest has given no buffer (the
     * backend keeps or drops the frame). Called from the backend's thread, one call at a time.
     */
    bool (*receive)(void *device, const void *frame, size_t len);
    void *device;
    uint8_t mac[6];
    uint16_t mtu;   /* 0: not said (1500) */
    bool checksums; /* it fills in checksums, and no frame that it delivers needs to be verified */
};

struct stream_backend;
struct stream_ops {
    /* Guest to world. Returns how many bytes were taken (a full pipe takes fewer; the rest may be
     * dropped). */
    size_t (*write)(struct stream_backend *backend, const void *bytes, size_t len);
    /* The device has room for input again. */
    void (*resume)(struct stream_backend *backend);
};
struct stream_backend {
    const struct stream_ops *ops;
    /* World to guest, set by the device: returns how many bytes were taken. From the backend's
     * thread. */
    size_t (*receive)(void *device, const void *bytes, size_t len);
    void *device;
};

struct entropy_backend {
    /* Fills all of it without waiting. 0 or a negative error. */
    int (*fill)(struct entropy_backend *backend, void *bytes, size_t len);
};

/* Memory given back by the guest (balloon, free page reporting). */
struct reclaim_backend {
    /* The bytes may be dropped; they read as zero afterwards. Page-aligned. */
    void (*release)(struct reclaim_backend *backend, void *hva, size_t len);
};

#endif
