/*
 * A virtio device without its transport (Virtual I/O Device 1.2, chapter 2): feature bits, status,
 * queues and configuration space. Device types embed it as their first member; a transport (mmio.h)
 * drives it.
 *
 * One lock a device guards everything in it. Backends are called without it, because their
 * callbacks take it.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_H
#define DEVICES_VIRTIO_VIRTIO_H

#include "core/host.h"
#include "core/memory.h"
#include "core/state.h"
#include "devices/virtio/queue.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_QUEUES_MAX 5

/* Device types, chapter 5. */
enum virtio_id {
    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_ENTROPY = 4,
    VIRTIO_ID_BALLOON = 5,
};

/* Device status, 2.1. */
enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/* Reserved feature bits, chapter 6. */
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX     (1ULL << 29)
#define VIRTIO_F_VERSION_1     (1ULL << 32)

/* Why a transport interrupts its driver; the bits of InterruptStatus, 4.2.2. */
enum virtio_interrupt { VIRTIO_INTERRUPT_USED = 1, VIRTIO_INTERRUPT_CONFIG = 2 };

struct virtio_device;

/* What a device type does. Every member except notify may be NULL. */
struct virtio_ops {
    /* Called without the lock: the driver has made buffers available (or may have). */
    void (*notify)(struct virtio_device *device, unsigned queue);
    /* The rest with the lock held. The device was reset; its queues already are. */
    void (*reset)(struct virtio_device *device);
    /* The driver's features were accepted; device->features holds them. */
    void (*features_set)(struct virtio_device *device);
    /* The driver started or stopped a queue. */
    void (*queue_ready)(struct virtio_device *device, unsigned queue);
    /* The driver writes `len` bytes (1, 2, 4, 8) inside the configuration space. */
    void (*config_write)(struct virtio_device *device, uint32_t offset, const void *bytes,
                         uint32_t len);
    /* Saves or loads the device type's own fields, in a section of its own. */
    void (*state)(struct virtio_device *device, struct state *state);
    /* Requests that a backend still holds. */
    unsigned (*inflight)(struct virtio_device *device);
};

struct virtio_device {
    const struct virtio_ops *ops;
    enum virtio_id id;
    struct memory *mem;
    struct host_lock lock;
    uint64_t offered;    /* feature bits we offer */
    uint64_t features;   /* those that the driver accepted; final once FEATURES_OK is set */
    uint32_t status;     /* enum virtio_status */
    _Atomic bool frozen; /* nothing is taken from a queue; set without the lock, see mmio.h */
    unsigned queue_count;
    struct virtqueue queues[VIRTIO_QUEUES_MAX];
    void *config; /* configuration space, little-endian, owned by the device type */
    uint32_t config_size;
    uint32_t config_generation; /* changes whenever the device changes `config`; 2.5.1 */
    /* The transport's: makes an interrupt pending. Lock held. */
    void (*interrupt)(void *transport, enum virtio_interrupt cause);
    void *transport;
};

/* For device types. `config` may be NULL with size 0; VERSION_1, EVENT_IDX and INDIRECT_DESC are
 * always offered. */
void virtio_init(struct virtio_device *device, const struct virtio_ops *ops, enum virtio_id id,
                 struct memory *mem, uint64_t offered, unsigned queue_count, void *config,
                 uint32_t config_size);

static inline void virtio_lock(struct virtio_device *device)
{
    host_lock_acquire(&device->lock);
}
static inline void virtio_unlock(struct virtio_device *device)
{
    host_lock_release(&device->lock);
}
static inline bool virtio_has(const struct virtio_device *device, uint64_t feature)
{
    return (device->features & feature) != 0;
}

/*
 * All of these with the lock held.
 *
 * virtio_pop: 1 and a chain, or 0: none, queue or device not live, or the driver broke the queue,
 * which has put the device into NEEDS_RESET. virtio_push returns a chain with `written` bytes; it
 * does nothing if the queue was reset since the chain was taken. virtio_signal interrupts the
 * driver if it wants that.
 */
int virtio_pop(struct virtio_device *device, unsigned queue, struct virtq_chain *chain);
void virtio_push(struct virtio_device *device, unsigned queue, const struct virtq_chain *chain,
                 uint32_t written);
void virtio_signal(struct virtio_device *device, unsigned queue);
/* The same as virtio_push for a chain known by its head, which the queue's resets have not passed.
 */
void virtio_push_head(struct virtio_device *device, unsigned queue, uint16_t head,
                      uint32_t written);
/* The device may take buffers: DRIVER_OK, not NEEDS_RESET, not frozen. */
bool virtio_live(const struct virtio_device *device);
/* 2.1.2: the driver has left the rules; nothing more is taken until it resets the device. */
void virtio_needs_reset(struct virtio_device *device);
/* The device type changed its configuration space. */
void virtio_config_changed(struct virtio_device *device);

/* For transports. Lock held. */
void virtio_reset(struct virtio_device *device);
/* The driver writes the status register (not 0). True if the device became live: notify every
 * queue. */
bool virtio_status_write(struct virtio_device *device, uint32_t status);
void virtio_queue_ready(struct virtio_device *device, unsigned queue, bool ready);
void virtio_config_read(struct virtio_device *device, uint32_t offset, void *bytes, uint32_t len);
void virtio_config_write(struct virtio_device *device, uint32_t offset, const void *bytes,
                         uint32_t len);
/* Status, features, queues, then the device type's own section. */
void virtio_state(struct virtio_device *device, struct state *state);
/* Without the lock: notifies every queue that is ready. */
void virtio_notify_all(struct virtio_device *device);

#endif
