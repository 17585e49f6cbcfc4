/*
 * Virtio over MMIO, register layout version 2 (Virtual I/O Device 1.2, section 4.2.2).
 *
 * Control registers take aligned 4-byte accesses only; the configuration space at 0x100 takes 1, 2,
 * 4 and 8.
 *
 * Reset (a write of 0 to Status) never waits. Block requests that a backend still holds go on:
 * their buffers stay valid (RAM does not move), they finish silently and are not returned to the
 * new rings, but a read may still arrive in the old driver's buffers. Whoever reboots a VM
 * therefore drains it first.
 */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include "core/bus.h"
#include "core/fdt.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/state.h"
#include "devices/virtio/virtio.h"

#include <stdint.h>

#define VIRTIO_MMIO_SIZE 0x1000ULL /* bytes of bus that one transport takes */

enum virtio_mmio_register {
    VIRTIO_MMIO_MAGIC = 0x000,
    VIRTIO_MMIO_VERSION = 0x004,
    VIRTIO_MMIO_DEVICE_ID = 0x008,
    VIRTIO_MMIO_VENDOR_ID = 0x00c,
    VIRTIO_MMIO_DEVICE_FEATURES = 0x010,
    VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014,
    VIRTIO_MMIO_DRIVER_FEATURES = 0x020,
    VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024,
    VIRTIO_MMIO_QUEUE_SEL = 0x030,
    VIRTIO_MMIO_QUEUE_NUM_MAX = 0x034,
    VIRTIO_MMIO_QUEUE_NUM = 0x038,
    VIRTIO_MMIO_QUEUE_READY = 0x044,
    VIRTIO_MMIO_QUEUE_NOTIFY = 0x050,
    VIRTIO_MMIO_INTERRUPT_STATUS = 0x060,
    VIRTIO_MMIO_INTERRUPT_ACK = 0x064,
    VIRTIO_MMIO_STATUS = 0x070,
    VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080,
    VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084,
    VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090,
    VIRTIO_MMIO_QUEUE_DRIVER_HIGH = 0x094,
    VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0,
    VIRTIO_MMIO_QUEUE_DEVICE_HIGH = 0x0a4,
    VIRTIO_MMIO_SHM_SEL = 0x0ac,
    VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0,
    VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4,
    VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8,
    VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc,
    VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc,
    VIRTIO_MMIO_CONFIG = 0x100,
};

struct virtio_mmio {
    struct virtio_device *device;
    struct irq irq;
    uint32_t device_features_sel;
    uint32_t driver_features_sel;
    uint32_t queue_sel;
    uint32_t interrupt_status; /* enum virtio_interrupt; the wire is up while it is not 0 */
};

extern const struct bus_ops virtio_mmio_bus_ops;

/* Puts the transport before a device that its own init has prepared with the same `mem`. */
void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device, struct memory *mem,
                      struct irq irq);
/* As at power-on. */
void virtio_mmio_reset(struct virtio_mmio *mmio);
/*
 * While frozen the device takes nothing from its queues and its backend's input is refused, so a
 * thread that works on a queue which never runs empty comes back too. Freeze,
 * wait until virtio_mmio_inflight is 0, save, thaw. Thawing looks at every queue again; a VM that
 * was loaded is thawed too, because its guest may have added buffers just before it was saved.
 */
void virtio_mmio_freeze(struct virtio_mmio *mmio, bool frozen);
/* Transport, queues and device, both directions; the VM is paused and nothing is in flight. */
void virtio_mmio_state(struct virtio_mmio *mmio, struct state *state);
/* Requests that a backend has not finished yet. Any thread. */
unsigned virtio_mmio_inflight(struct virtio_mmio *mmio);
/* Node virtio_mmio@base: compatible "virtio,mmio". */
void virtio_mmio_fdt(struct fdt_writer *fdt, uint64_t base, const struct fdt_line *line);

#endif
