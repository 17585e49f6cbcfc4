#include "type1/dev_rng.h"

#include "core/error.h"

#define SPIN_MAX 10000000u /* looks at the ring before the device is given up */

int dev_rng_read(const struct vio *probed, void *bytes, uint32_t len)
{
    struct vio vio = *probed;
    struct vio_queue *queue = host_alloc(sizeof *queue, 64);
    uint32_t written = 0;
    uint16_t head;
    bool taken = false;

    if (queue == NULL)
        return -E_NOMEM;
    int error = vio_start(&vio, 0);
    if (error == 0)
        error = vio_queue_init(queue, &vio, 0, vio_queue_max(&vio, 0) != 0 ? 1 : 0);
    if (error == 0) {
        vio_ready(&vio);
        vio_begin(queue);
        vio_add(queue, bytes, len, true);
        vio_end(queue);
        vio_kick(queue);
        for (unsigned i = 0; i < SPIN_MAX && !taken; i++)
            taken = vio_take(queue, &head, &written);
    }
    vio_stop(&vio);
    host_free(queue->memory, queue->bytes);
    host_free(queue, sizeof *queue);
    if (error != 0)
        return error;
    return taken && written <= len ? (int)written : -E_IO;
}
