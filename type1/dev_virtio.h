/*
 * The driver's side of virtio over MMIO (Virtual I/O Device 1.2, 4.2): the board's own devices.
 * Register layouts 2 and 1 (legacy, 4.2.4), split rings (2.7) without event index.
 *
 * Addresses given to the device are the hypervisor's own, which maps memory one to one. What the
 * device writes is checked; a device that leaves the rules loses requests, nothing else.
 */
#ifndef TYPE1_DEV_VIRTIO_H
#define TYPE1_DEV_VIRTIO_H

#include "core/host.h"
#include "type1/dev_mmio.h"

#define VIO_RING_MAX    512
#define VIO_F_VERSION_1 (1ULL << 32)
#define VIO_F_PLATFORM  (1ULL << 33) /* ACCESS_PLATFORM: addresses are the platform's, ours too */
#define VIO_RINGS_ALIGN 4096

struct vio {
    const struct dev_access *access;
    void *registers;
    bool legacy;
    uint32_t id;       /* enum virtio_id; 0: nothing is plugged in */
    uint64_t features; /* agreed on */
};

struct vio_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct vio_queue {
    struct vio *vio;
    uint16_t index, size;
    uint16_t free_count, free_head;
    uint16_t last_used;
    uint16_t head, tail; /* of the chain being written */
    struct vio_descriptor *descriptors;
    uint16_t *available;        /* flags, index, ring */
    uint8_t *used;              /* flags, index, ring of (id, length) */
    uint8_t busy[VIO_RING_MAX]; /* by head: the device has the chain */
    void *memory;
    size_t bytes;
};

/* Looks at the registers. 0; -E_NODEV not virtio, of a version we do not know, or empty. */
int vio_probe(struct vio *vio, const struct dev_access *access, void *registers);
/* Resets the device and agrees on features, of `wanted` those that it has. -E_PROTO it refuses. */
int vio_start(struct vio *vio, uint64_t wanted);
/* The largest ring that the device takes, at most VIO_RING_MAX; 0: there is no such queue. */
unsigned vio_queue_max(struct vio *vio, unsigned index);
/* Between vio_start and vio_ready. `size`: a power of two. -E_NOMEM, -E_NOSPC the device has less.
 */
int vio_queue_init(struct vio_queue *queue, struct vio *vio, unsigned index, unsigned size);
void vio_ready(struct vio *vio);
/* Gives up: the device is reset and touches memory no more. */
void vio_stop(struct vio *vio);
uint32_t vio_config(const struct vio *vio, uint32_t offset); /* a multiple of 4 */
/* Why it interrupted, acknowledged. */
uint32_t vio_acknowledge(const struct vio *vio);

/* A chain of `count` descriptors, which must be free: begin, add each, end. Then the device has it.
 */
static inline bool vio_room(const struct vio_queue *queue, unsigned count)
{
    return queue->free_count >= count;
}
uint16_t vio_begin(struct vio_queue *queue); /* its head, by which it comes back */
void vio_add(struct vio_queue *queue, const void *bytes, size_t len, bool device_writes);
void vio_end(struct vio_queue *queue);
/* Tells the device of chains ended since the last time. */
void vio_kick(struct vio_queue *queue);
/* The next chain that the device is done with. */
bool vio_take(struct vio_queue *queue, uint16_t *head, uint32_t *written);
/* No interrupts for this queue, please. */
void vio_quiet(struct vio_queue *queue);

#endif
