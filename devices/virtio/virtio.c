#include "devices/virtio/virtio.h"

#include "core/error.h"

void virtio_init(struct virtio_device *device, const struct virtio_ops *ops, enum virtio_id id,
                 struct memory *mem, uint64_t offered, unsigned queue_count, void *config,
                 uint32_t config_size)
{
    *device = (struct virtio_device){
        .ops = ops,
        .id = id,
        .mem = mem,
        .offered = offered | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
        .queue_count = queue_count,
        .config = config,
        .config_size = config_size,
    };
    host_lock_init(&device->lock);
    for (unsigned i = 0; i < queue_count; i++) {
        device->queues[i].size_max = VIRTQ_SIZE;
        virtqueue_reset(&device->queues[i]);
    }
}

bool virtio_live(const struct virtio_device *device)
{
    return (device->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
               VIRTIO_STATUS_DRIVER_OK &&
           !atomic_load(&device->frozen);
}

int virtio_pop(struct virtio_device *device, unsigned queue, struct virtq_chain *chain)
{
    if (!virtio_live(device) || !device->queues[queue].ready)
        return 0;
    int result = virtqueue_pop(&device->queues[queue], device->mem, chain);
    if (result < 0) {
        virtio_needs_reset(device);
        return 0;
    }
    return result;
}

void virtio_push_head(struct virtio_device *device, unsigned queue, uint16_t head, uint32_t written)
{
    if (!device->queues[queue].ready)
        return;
    virtqueue_fill(&device->queues[queue], device->mem, 0, head, written);
    virtqueue_publish(&device->queues[queue], device->mem, 1);
}

void virtio_push(struct virtio_device *device, unsigned queue, const struct virtq_chain *chain,
                 uint32_t written)
{
    if (chain->generation == device->queues[queue].generation)
        virtio_push_head(device, queue, chain->head, written);
}

static void interrupt(struct virtio_device *device, enum virtio_interrupt cause)
{
    /* 2.1.2: no notification before DRIVER_OK. */
    if ((device->status & VIRTIO_STATUS_DRIVER_OK) && device->interrupt != NULL)
        device->interrupt(device->transport, cause);
}

void virtio_signal(struct virtio_device *device, unsigned queue)
{
    if (device->queues[queue].ready && virtqueue_should_signal(&device->queues[queue], device->mem))
        interrupt(device, VIRTIO_INTERRUPT_USED);
}

void virtio_needs_reset(struct virtio_device *device)
{
    if (device->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    device->status |= VIRTIO_STATUS_NEEDS_RESET;
    interrupt(device, VIRTIO_INTERRUPT_CONFIG);
}

void virtio_config_changed(struct virtio_device *device)
{
    device->config_generation++;
    interrupt(device, VIRTIO_INTERRUPT_CONFIG);
}

void virtio_reset(struct virtio_device *device)
{
    device->status = 0;
    device->features = 0;
    for (unsigned i = 0; i < device->queue_count; i++)
        virtqueue_reset(&device->queues[i]);
    if (device->ops->reset != NULL)
        device->ops->reset(device);
}

static void features_apply(struct virtio_device *device)
{
    for (unsigned i = 0; i < device->queue_count; i++) {
        device->queues[i].event_idx = virtio_has(device, VIRTIO_F_EVENT_IDX);
        device->queues[i].indirect = virtio_has(device, VIRTIO_F_INDIRECT_DESC);
    }
    if (device->ops->features_set != NULL)
        device->ops->features_set(device);
}

static bool features_are_sound(const struct virtio_device *device)
{
    return (device->features & ~device->offered) == 0 && virtio_has(device, VIRTIO_F_VERSION_1);
}

bool virtio_status_write(struct virtio_device *device, uint32_t status)
{
    uint32_t before = device->status;

    /* 2.1.1: bits are only added; 3.1.1 step 6: FEATURES_OK stays clear for a set that we cannot
     * serve. */
    status &= VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |
              VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED;
    if ((status & ~before & VIRTIO_STATUS_FEATURES_OK) && !features_are_sound(device))
        status &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    if (!((status | before) & VIRTIO_STATUS_FEATURES_OK))
        status &= ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
    device->status |= status;
    if (status & ~before & VIRTIO_STATUS_FEATURES_OK)
        features_apply(device);
    return (status & ~before & VIRTIO_STATUS_DRIVER_OK) != 0;
}

void virtio_queue_ready(struct virtio_device *device, unsigned queue, bool ready)
{
    struct virtqueue *q = &device->queues[queue];

    if (ready == q->ready)
        return;
    if (!ready)
        virtqueue_stop(q);
    else if (virtqueue_start(q, device->mem) != 0) {
        virtio_needs_reset(device);
        return;
    }
    if (device->ops->queue_ready != NULL)
        device->ops->queue_ready(device, queue);
}

void virtio_config_read(struct virtio_device *device, uint32_t offset, void *bytes, uint32_t len)
{
    uint32_t there = offset < device->config_size ? device->config_size - offset : 0;

    memset(bytes, 0, len);
    if (there > 0)
        memcpy(bytes, (const uint8_t *)device->config + offset, there < len ? there : len);
}

void virtio_config_write(struct virtio_device *device, uint32_t offset, const void *bytes,
                         uint32_t len)
{
    if (device->ops->config_write != NULL && offset < device->config_size &&
        len <= device->config_size - offset)
        device->ops->config_write(device, offset, bytes, len);
}

void virtio_state(struct virtio_device *device, struct state *state)
{
    uint32_t id = (uint32_t)device->id;
    uint32_t queue_count = device->queue_count;

    state_section(state, "virtio", 1);
    state_u32(state, &id);
    state_u32(state, &queue_count);
    if (state->loading && (id != (uint32_t)device->id || queue_count != device->queue_count))
        state_fail(state, -E_PROTO);
    state_u32(state, &device->status);
    state_u64(state, &device->features);
    state_u32(state, &device->config_generation);
    for (unsigned i = 0; i < device->queue_count; i++)
        virtqueue_state(&device->queues[i], device->mem, state);
    if (state->loading && state->error == 0 && (device->status & VIRTIO_STATUS_FEATURES_OK)) {
        /* The same device must stand behind it: what the driver relies on cannot be taken back. */
        if (features_are_sound(device))
            features_apply(device);
        else
            state_fail(state, -E_PROTO);
    }
    if (device->ops->state != NULL)
        device->ops->state(device, state);
    if (state->loading && state->error != 0)
        virtio_reset(device);
}

void virtio_notify_all(struct virtio_device *device)
{
    for (unsigned i = 0; i < device->queue_count; i++)
        device->ops->notify(device, i);
}
