/*
 * A split virtqueue (Virtual I/O Device 1.2, section 2.7): the device's side.
 *
 * The ring lives in guest RAM and every word of it may be wrong, or change while we look: each is
 * read once, atomically, and checked. A chain becomes host buffers through core/memory; a chain
 * that loops, is too long, leaves RAM or misuses an indirect table is an error, never an access
 * outside RAM.
 *
 * A queue has no lock of its own: its device's lock is held around every call here.
 */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include "core/memory.h"
#include "core/state.h"
#include "devices/backend.h"

#include <stdbool.h>
#include <stdint.h>

#define VIRTQ_SIZE      256 /* entries offered, where a device has no reason for more */
#define VIRTQ_CHAIN_MAX 258 /* descriptors of one chain, those of its indirect table included */

struct virtqueue {
    uint16_t size_max;      /* QueueNumMax, a power of two; survives resets */
    uint16_t size;          /* entries, a power of two once ready */
    bool ready;             /* the three addresses are aligned and in RAM */
    bool event_idx;         /* VIRTIO_F_EVENT_IDX was negotiated */
    bool indirect;          /* VIRTIO_F_INDIRECT_DESC was negotiated */
    uint64_t desc;          /* guest-physical addresses: descriptor table, */
    uint64_t avail;         /* driver area, */
    uint64_t used;          /* device area */
    uint16_t next_avail;    /* index of the next available entry to take, modulo 2^16 */
    uint16_t used_idx;      /* the index last published */
    uint16_t signalled_idx; /* used_idx when the driver was last interrupted */
    bool signalled_valid;   /* signalled_idx means something */
    uint32_t generation;    /* counts resets: chains taken before one are never returned after it */
};

/*
 * One descriptor chain: device-readable buffers first, then device-writable ones (2.7.4.2).
 * Descriptors of length 0 are left out. Device code may shorten and skip buffers in place.
 */
struct virtq_chain {
    uint16_t head;
    uint16_t readable_count; /* buffers[0 .. readable_count) */
    uint16_t writable_count; /* the next writable_count */
    uint32_t generation;
    uint64_t readable_bytes;
    uint64_t writable_bytes;
    struct buffer buffers[VIRTQ_CHAIN_MAX];
    uint64_t gpas[VIRTQ_CHAIN_MAX]; /* of each buffer */
};

/* Back to the state after power-on, with size_max entries. */
void virtqueue_reset(struct virtqueue *queue);
/* Makes the queue live. -E_INVAL: size not a power of two up to size_max, misaligned or not
 * in RAM. */
int virtqueue_start(struct virtqueue *queue, struct memory *mem);
/* Stops it; chains in flight are forgotten. */
void virtqueue_stop(struct virtqueue *queue);

/*
 * Takes the next chain. 1: `chain` is filled; 0: none there, and the driver will notify when it
 * adds one (2.7.10); -E_INVAL: the driver broke the rules, the device needs a reset.
 */
int virtqueue_pop(struct virtqueue *queue, struct memory *mem, struct virtq_chain *chain);
/* Puts the last `count` chains back, as if never taken (nothing else was popped meanwhile). */
void virtqueue_unpop(struct virtqueue *queue, uint16_t count);

/* Fills the used entry `ahead` places after the last published one; 2.7.8. */
void virtqueue_fill(struct virtqueue *queue, struct memory *mem, uint16_t ahead, uint16_t head,
                    uint32_t written);
/* Publishes `count` filled entries. */
void virtqueue_publish(struct virtqueue *queue, struct memory *mem, uint16_t count);
/* Whether the driver wants an interrupt for what was published since the last call; 2.7.7.
 */
bool virtqueue_should_signal(struct virtqueue *queue, struct memory *mem);

/* Loading: -E_INVAL through state_fail for values that no queue can have. */
void virtqueue_state(struct virtqueue *queue, struct memory *mem, struct state *state);

/* Copies from the readable bytes at `offset`; returns how many there were, up to `len`. */
size_t virtq_chain_read(const struct virtq_chain *chain, uint64_t offset, void *to, size_t len);
/* Copies to the writable bytes at `offset` and marks them written; returns how many fitted. */
size_t virtq_chain_write(const struct virtq_chain *chain, struct memory *mem, uint64_t offset,
                         const void *from, size_t len);
/* The first `written` writable bytes were written through the buffers. */
void virtq_chain_done(const struct virtq_chain *chain, struct memory *mem, uint64_t written);

#endif
