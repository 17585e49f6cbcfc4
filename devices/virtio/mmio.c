#include "devices/virtio/mmio.h"

#include "core/error.h"
#include "core/hot.h"

#define MAGIC     0x74726976U /* "virt" */
#define VERSION   2U
#define VENDOR_ID 0x56495254U /* "TRIV" */

static void interrupt_status_set(struct virtio_mmio *mmio, uint32_t status)
{
    bool level = status != 0;
    bool before = mmio->interrupt_status != 0;

    mmio->interrupt_status = status;
    if (level != before)
        irq_set(&mmio->irq, level);
}

static void mmio_interrupt(void *transport, enum virtio_interrupt cause)
{
    struct virtio_mmio *mmio = transport;

    interrupt_status_set(mmio, mmio->interrupt_status | (uint32_t)cause);
}

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device, struct memory *mem,
                      struct irq irq)
{
    *mmio = (struct virtio_mmio){.device = device, .irq = irq};
    virtio_lock(device);
    device->mem = mem;
    device->interrupt = mmio_interrupt;
    device->transport = mmio;
    virtio_unlock(device);
}

static void reset_locked(struct virtio_mmio *mmio)
{
    mmio->device_features_sel = 0;
    mmio->driver_features_sel = 0;
    mmio->queue_sel = 0;
    interrupt_status_set(mmio, 0);
    virtio_reset(mmio->device);
}

void virtio_mmio_reset(struct virtio_mmio *mmio)
{
    virtio_lock(mmio->device);
    reset_locked(mmio);
    virtio_unlock(mmio->device);
}

static uint32_t half(uint64_t value, uint32_t select)
{
    if (select > 1)
        return 0;
    return (uint32_t)(value >> (32 * select));
}

static void set_half(uint64_t *value, uint32_t select, uint32_t to)
{
    if (select == 0)
        *value = (*value & 0xffffffff00000000ULL) | to;
    else if (select == 1)
        *value = (*value & 0xffffffffULL) | (uint64_t)to << 32;
}

static uint32_t register_read(struct virtio_mmio *mmio, uint64_t offset)
{
    struct virtio_device *device = mmio->device;
    bool queue = mmio->queue_sel < device->queue_count;

    switch (offset) {
    case VIRTIO_MMIO_MAGIC: return MAGIC;
    case VIRTIO_MMIO_VERSION: return VERSION;
    case VIRTIO_MMIO_DEVICE_ID: return (uint32_t)device->id;
    case VIRTIO_MMIO_VENDOR_ID: return VENDOR_ID;
    case VIRTIO_MMIO_DEVICE_FEATURES: return half(device->offered, mmio->device_features_sel);
    case VIRTIO_MMIO_QUEUE_NUM_MAX: return queue ? device->queues[mmio->queue_sel].size_max : 0;
    case VIRTIO_MMIO_QUEUE_READY: return queue && device->queues[mmio->queue_sel].ready;
    case VIRTIO_MMIO_INTERRUPT_STATUS: return mmio->interrupt_status;
    case VIRTIO_MMIO_STATUS: return device->status;
    /* 4.2.2.1: length and base of a shared memory region that does not exist are -1. */
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH: return UINT32_MAX;
    case VIRTIO_MMIO_CONFIG_GENERATION: return device->config_generation;
    default: return 0;
    }
}

HOT static int mmio_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
    struct virtio_mmio *mmio = opaque;

    /* 4.2.2.2: control registers are accessed by aligned 32-bit words only. */
    if (offset < VIRTIO_MMIO_CONFIG && (width != 4 || offset % 4 != 0))
        return -E_INVAL;
    if (width > sizeof(*value))
        return -E_INVAL;
    virtio_lock(mmio->device);
    *value = 0;
    if (offset >= VIRTIO_MMIO_CONFIG)
        virtio_config_read(mmio->device, (uint32_t)(offset - VIRTIO_MMIO_CONFIG), value, width);
    else
        *value = register_read(mmio, offset);
    virtio_unlock(mmio->device);
    return 0;
}

/* The registers of the selected queue; a live queue's parameters do not change. */
static void queue_write(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    struct virtio_device *device = mmio->device;

    if (mmio->queue_sel >= device->queue_count)
        return;
    struct virtqueue *queue = &device->queues[mmio->queue_sel];
    if (offset == VIRTIO_MMIO_QUEUE_READY) {
        virtio_queue_ready(device, mmio->queue_sel, (value & 1) != 0);
        return;
    }
    if (queue->ready)
        return;
    switch (offset) {
    /* A size out of range is found when the queue is started. */
    case VIRTIO_MMIO_QUEUE_NUM: queue->size = value > queue->size_max ? 0 : (uint16_t)value; break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW: set_half(&queue->desc, 0, value); break;
    case VIRTIO_MMIO_QUEUE_DESC_HIGH: set_half(&queue->desc, 1, value); break;
    case VIRTIO_MMIO_QUEUE_DRIVER_LOW: set_half(&queue->avail, 0, value); break;
    case VIRTIO_MMIO_QUEUE_DRIVER_HIGH: set_half(&queue->avail, 1, value); break;
    case VIRTIO_MMIO_QUEUE_DEVICE_LOW: set_half(&queue->used, 0, value); break;
    case VIRTIO_MMIO_QUEUE_DEVICE_HIGH: set_half(&queue->used, 1, value); break;
    default: break;
    }
}

/* True: every queue is to be looked at. The Linux balloon driver notifies before it sets DRIVER_OK.
 */
static bool register_write(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    struct virtio_device *device = mmio->device;

    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL: mmio->device_features_sel = value; break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL: mmio->driver_features_sel = value; break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        if (!(device->status & VIRTIO_STATUS_FEATURES_OK))
            set_half(&device->features, mmio->driver_features_sel, value);
        break;
    case VIRTIO_MMIO_QUEUE_SEL: mmio->queue_sel = value; break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        interrupt_status_set(mmio, mmio->interrupt_status & ~value);
        break;
    case VIRTIO_MMIO_STATUS:
        if (value != 0)
            return virtio_status_write(device, value);
        reset_locked(mmio);
        break;
    default: queue_write(mmio, offset, value); break;
    }
    return false;
}

HOT static int mmio_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_mmio *mmio = opaque;
    struct virtio_device *device = mmio->device;
    bool notify_all = false;

    if (offset < VIRTIO_MMIO_CONFIG && (width != 4 || offset % 4 != 0))
        return -E_INVAL;
    if (width > sizeof(value))
        return -E_INVAL;
    if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
        if ((uint32_t)value < device->queue_count)
            device->ops->notify(device, (unsigned)value);
        return 0;
    }
    virtio_lock(device);
    if (offset >= VIRTIO_MMIO_CONFIG)
        virtio_config_write(device, (uint32_t)(offset - VIRTIO_MMIO_CONFIG), &value, width);
    else
        notify_all = register_write(mmio, offset, (uint32_t)value);
    virtio_unlock(device);
    if (notify_all)
        virtio_notify_all(device);
    return 0;
}

void virtio_mmio_freeze(struct virtio_mmio *mmio, bool frozen)
{
    /*
     * Whoever works on a queue may hold the lock for as long as there are buffers, which a hostile
     * ring can make for ever: the flag ends that. The lock then waits until he is out.
     */
    atomic_store(&mmio->device->frozen, frozen);
    virtio_lock(mmio->device);
    virtio_unlock(mmio->device);
    if (!frozen)
        virtio_notify_all(mmio->device);
}

void virtio_mmio_state(struct virtio_mmio *mmio, struct state *state)
{
    uint32_t interrupt_status;

    virtio_lock(mmio->device);
    interrupt_status = mmio->interrupt_status;
    state_section(state, "virtio-mmio", 1);
    state_u32(state, &mmio->device_features_sel);
    state_u32(state, &mmio->driver_features_sel);
    state_u32(state, &mmio->queue_sel);
    state_u32(state, &interrupt_status);
    virtio_state(mmio->device, state);
    if (state->loading)
        interrupt_status_set(mmio, state->error == 0 ? interrupt_status & 3 : 0);
    virtio_unlock(mmio->device);
}

unsigned virtio_mmio_inflight(struct virtio_mmio *mmio)
{
    unsigned count = 0;

    virtio_lock(mmio->device);
    if (mmio->device->ops->inflight != NULL)
        count = mmio->device->ops->inflight(mmio->device);
    virtio_unlock(mmio->device);
    return count;
}

void virtio_mmio_fdt(struct fdt_writer *fdt, uint64_t base, const struct fdt_line *line)
{
    fdt_node_at(fdt, "virtio_mmio", base);
    fdt_put_str(fdt, "compatible", "virtio,mmio");
    fdt_put_reg64(fdt, base, VIRTIO_MMIO_SIZE);
    fdt_put_line(fdt, line);
    fdt_end(fdt);
}

const struct bus_ops virtio_mmio_bus_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .widths = 1 | 2 | 4 | 8,
};
