/*
 * Virtio entropy device (Virtual I/O Device 1.2, section 5.4).
 */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "devices/backend.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_RNG_BYTES_MAX 4096 /* of one request; the driver asks again for more */

struct virtio_rng {
    struct virtio_device virtio;
    struct entropy_backend *backend;
    bool busy;                /* a thread is filling; it will see what is added meanwhile */
    struct virtq_chain chain; /* of the thread that set busy */
};

void virtio_rng_init(struct virtio_rng *rng, struct memory *mem, struct entropy_backend *backend);

#endif
