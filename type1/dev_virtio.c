#include "type1/dev_virtio.h"

#include "core/error.h"
#include "devices/virtio/mmio.h"

#include <stdatomic.h>

#define MAGIC 0x74726976u /* "virt" */

/* Registers of layout 1 that layout 2 does not have (4.2.4). */
enum { LEGACY_PAGE_SIZE = 0x28, LEGACY_QUEUE_ALIGN = 0x3c, LEGACY_QUEUE_PFN = 0x40 };

enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { RESET_READS = 100000 };

static uint32_t reg_read(const struct vio *vio, uint32_t offset)
{
    return vio->access->read(vio->registers, offset);
}

static void reg_write(const struct vio *vio, uint32_t offset, uint32_t value)
{
    vio->access->write(vio->registers, offset, value);
}

/* ---- The device ---- */

int vio_probe(struct vio *vio, const struct dev_access *access, void *registers)
{
    *vio = (struct vio){.access = access, .registers = registers};
    uint32_t version = 0;
    if (reg_read(vio, VIRTIO_MMIO_MAGIC) == MAGIC)
        version = reg_read(vio, VIRTIO_MMIO_VERSION);
    if (version != 1 && version != 2)
        return -E_NODEV;
    vio->legacy = version == 1;
    vio->id = reg_read(vio, VIRTIO_MMIO_DEVICE_ID);
    return vio->id != 0 ? 0 : -E_NODEV;
}

static void status_add(const struct vio *vio, uint32_t bits)
{
    reg_write(vio, VIRTIO_MMIO_STATUS, reg_read(vio, VIRTIO_MMIO_STATUS) | bits);
}

void vio_stop(struct vio *vio)
{
    reg_write(vio, VIRTIO_MMIO_STATUS, 0);
    /* 2.4.2: it has stopped when it says so. */
    for (unsigned i = 0; i < RESET_READS && reg_read(vio, VIRTIO_MMIO_STATUS) != 0; i++)
        ;
}

int vio_start(struct vio *vio, uint64_t wanted)
{
    uint64_t offered = 0;

    vio_stop(vio);
    status_add(vio, VIRTIO_STATUS_ACKNOWLEDGE);
    status_add(vio, VIRTIO_STATUS_DRIVER);
    if (vio->legacy)
        reg_write(vio, LEGACY_PAGE_SIZE, VIO_RINGS_ALIGN);
    else
        wanted |= VIO_F_VERSION_1 | VIO_F_PLATFORM;
    for (uint32_t word = 0; word < (vio->legacy ? 1 : 2); word++) {
        reg_write(vio, VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
        offered |= (uint64_t)reg_read(vio, VIRTIO_MMIO_DEVICE_FEATURES) << 32 * word;
    }
    vio->features = offered & wanted;
    for (uint32_t word = 0; word < (vio->legacy ? 1 : 2); word++) {
        reg_write(vio, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
        reg_write(vio, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(vio->features >> 32 * word));
    }
    if (vio->legacy)
        return 0;
    status_add(vio, VIRTIO_STATUS_FEATURES_OK);
    if ((vio->features & VIO_F_VERSION_1) == 0 ||
        (reg_read(vio, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK) == 0) {
        status_add(vio, VIRTIO_STATUS_FAILED);
        return -E_PROTO;
    }
    return 0;
}

void vio_ready(struct vio *vio)
{
    status_add(vio, VIRTIO_STATUS_DRIVER_OK);
}

uint32_t vio_config(const struct vio *vio, uint32_t offset)
{
    return reg_read(vio, VIRTIO_MMIO_CONFIG + offset);
}

uint32_t vio_acknowledge(const struct vio *vio)
{
    uint32_t causes = reg_read(vio, VIRTIO_MMIO_INTERRUPT_STATUS);
    if (causes != 0)
        reg_write(vio, VIRTIO_MMIO_INTERRUPT_ACK, causes);
    return causes;
}

/* ---- Rings ---- */

unsigned vio_queue_max(struct vio *vio, unsigned index)
{
    reg_write(vio, VIRTIO_MMIO_QUEUE_SEL, index);
    uint32_t max = reg_read(vio, VIRTIO_MMIO_QUEUE_NUM_MAX);
    unsigned size = VIO_RING_MAX;
    while (size > max)
        size /= 2;
    return size;
}

static uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static void write_address(const struct vio *vio, uint32_t low, const void *p)
{
    reg_write(vio, low, (uint32_t)address_of(p));
    reg_write(vio, low + 4, (uint32_t)(address_of(p) >> 32));
}

/* 2.7.2: the legacy layout, which suits both. */
int vio_queue_init(struct vio_queue *queue, struct vio *vio, unsigned index, unsigned size)
{
    size_t used_at = (16u * size + 6 + 2u * size + VIO_RINGS_ALIGN - 1) & ~(VIO_RINGS_ALIGN - 1u);
    size_t bytes = used_at + 6 + 8u * size;

    memset(queue, 0, sizeof *queue);
    if (size == 0 || size > vio_queue_max(vio, index))
        return -E_NOSPC;
    uint8_t *memory = host_alloc(bytes, VIO_RINGS_ALIGN);
    if (memory == NULL)
        return -E_NOMEM;
    queue->vio = vio;
    queue->index = (uint16_t)index;
    queue->size = queue->free_count = (uint16_t)size;
    queue->memory = memory;
    queue->bytes = bytes;
    queue->descriptors = (struct vio_descriptor *)(void *)memory;
    queue->available = (uint16_t *)(void *)(memory + 16u * size);
    queue->used = memory + used_at;
    for (unsigned i = 0; i < size; i++)
        queue->descriptors[i].next = (uint16_t)(i + 1);

    reg_write(vio, VIRTIO_MMIO_QUEUE_NUM, size);
    if (vio->legacy) {
        reg_write(vio, LEGACY_QUEUE_ALIGN, VIO_RINGS_ALIGN);
        reg_write(vio, LEGACY_QUEUE_PFN, (uint32_t)(address_of(memory) / VIO_RINGS_ALIGN));
        return 0;
    }
    write_address(vio, VIRTIO_MMIO_QUEUE_DESC_LOW, queue->descriptors);
    write_address(vio, VIRTIO_MMIO_QUEUE_DRIVER_LOW, queue->available);
    write_address(vio, VIRTIO_MMIO_QUEUE_DEVICE_LOW, queue->used);
    reg_write(vio, VIRTIO_MMIO_QUEUE_READY, 1);
    return 0;
}

uint16_t vio_begin(struct vio_queue *queue)
{
    queue->head = queue->tail = queue->free_head;
    return queue->head;
}

/*
 * The free list is linked as chains are, so a chain is its first descriptors. `next` was written by
 * us and only by us.
 */
void vio_add(struct vio_queue *queue, const void *bytes, size_t len, bool device_writes)
{
    struct vio_descriptor *descriptor = &queue->descriptors[queue->free_head];
    descriptor->address = address_of(bytes);
    descriptor->length = (uint32_t)len;
    descriptor->flags = (uint16_t)(DESC_NEXT | (device_writes ? DESC_WRITE : 0));
    queue->tail = queue->free_head;
    queue->free_head = descriptor->next;
    queue->free_count--;
}

void vio_end(struct vio_queue *queue)
{
    _Atomic uint16_t *index = (_Atomic uint16_t *)&queue->available[1];
    uint16_t at = atomic_load_explicit(index, memory_order_relaxed);

    queue->descriptors[queue->tail].flags &= (uint16_t)~DESC_NEXT;
    queue->busy[queue->head] = 1;
    queue->available[2 + at % queue->size] = queue->head;
    atomic_store_explicit(index, (uint16_t)(at + 1), memory_order_release);
}

void vio_kick(struct vio_queue *queue)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint16_t flags =
        atomic_load_explicit((_Atomic uint16_t *)(void *)queue->used, memory_order_relaxed);
    if ((flags & USED_NO_NOTIFY) == 0)
        reg_write(queue->vio, VIRTIO_MMIO_QUEUE_NOTIFY, queue->index);
}

/* Gives the chain's descriptors back; at most `size` of them, whatever they look like. */
static void chain_free(struct vio_queue *queue, uint16_t head)
{
    uint16_t last = head;
    unsigned count = 1;
    while ((queue->descriptors[last].flags & DESC_NEXT) != 0 && count < queue->size) {
        last = queue->descriptors[last].next;
        count++;
    }
    queue->descriptors[last].next = queue->free_head;
    queue->free_head = head;
    queue->free_count = (uint16_t)(queue->free_count + count);
}

bool vio_take(struct vio_queue *queue, uint16_t *head, uint32_t *written)
{
    for (;;) {
        uint16_t index = atomic_load_explicit((_Atomic uint16_t *)(void *)(queue->used + 2),
                                              memory_order_acquire);
        if (index == queue->last_used)
            return false;
        const uint8_t *entry = queue->used + 4 + 8u * (queue->last_used % queue->size);
        uint32_t id;
        memcpy(&id, entry, 4);
        memcpy(written, entry + 4, 4);
        queue->last_used++;
        /* A device that names what it does not have is not believed. */
        if (id >= queue->size || queue->busy[id] == 0)
            continue;
        queue->busy[id] = 0;
        chain_free(queue, (uint16_t)id);
        *head = (uint16_t)id;
        return true;
    }
}

void vio_quiet(struct vio_queue *queue)
{
    queue->available[0] = AVAIL_NO_INTERRUPT;
}
