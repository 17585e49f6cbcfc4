#include "devices/virtio/rng.h"

/* Fills the front of the chain; 0 if the source failed. Without the lock; busy keeps the chain
 * ours.
 */
static uint32_t rng_fill(struct virtio_rng *rng)
{
    struct virtq_chain *chain = &rng->chain;
    unsigned end = (unsigned)chain->readable_count + chain->writable_count;
    uint32_t filled = 0;

    for (unsigned i = chain->readable_count; i < end && filled < VIRTIO_RNG_BYTES_MAX; i++) {
        size_t len = chain->buffers[i].len;

        if (len > VIRTIO_RNG_BYTES_MAX - filled)
            len = VIRTIO_RNG_BYTES_MAX - filled;
        if (rng->backend->fill(rng->backend, chain->buffers[i].base, len) != 0)
            break;
        filled += (uint32_t)len;
    }
    virtq_chain_done(chain, rng->virtio.mem, filled);
    return filled;
}

static void rng_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_rng *rng = (struct virtio_rng *)(void *)device;
    bool pushed = false;

    virtio_lock(device);
    /* The thread that fills looks at the queue once more, under the lock, before it leaves. */
    if (rng->busy) {
        virtio_unlock(device);
        return;
    }
    rng->busy = true;
    while (virtio_pop(device, queue, &rng->chain) != 0) {
        virtio_unlock(device);
        uint32_t filled = rng_fill(rng);
        host_breathe();
        virtio_lock(device);

        /* 5.4.6.2: at least one byte. A request without room, or a dry source, cannot be answered.
         */
        if (filled == 0) {
            virtio_needs_reset(device);
            break;
        }
        virtio_push(device, queue, &rng->chain, filled);
        pushed = true;
    }
    rng->busy = false;
    if (pushed)
        virtio_signal(device, queue);
    virtio_unlock(device);
}

static const struct virtio_ops rng_ops = {
    .notify = rng_notify,
};

void virtio_rng_init(struct virtio_rng *rng, struct memory *mem, struct entropy_backend *backend)
{
    rng->backend = backend;
    rng->busy = false;
    virtio_init(&rng->virtio, &rng_ops, VIRTIO_ID_ENTROPY, mem, 0, 1, NULL, 0);
}
