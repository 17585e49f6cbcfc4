/*
 * A guest driver in a few functions, for tests of the virtio devices: 1 MiB of RAM at GUEST_RAM,
 * rings at fixed places in it, and register accesses through the transport's bus operations.
 * Written from the layouts of Virtual I/O Device 1.2 (2.7, 4.2.2), not from the device's code.
 */
#ifndef TESTS_UNIT_VIRTIO_GUEST_H
#define TESTS_UNIT_VIRTIO_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "devices/virtio/mmio.h"

#define GUEST_RAM      0x80000000ULL
#define GUEST_RAM_SIZE 0x100000ULL
#define GUEST_DATA     (GUEST_RAM + 0x40000) /* buffers of the tests */
#define GUEST_OUTSIDE  0x10000ULL            /* no RAM here */

#define D_NEXT     1
#define D_WRITE    2
#define D_INDIRECT 4

#define F_INDIRECT  (1ULL << 28)
#define F_EVENT_IDX (1ULL << 29)
#define F_VERSION_1 (1ULL << 32)

struct guest_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct guest {
    uint8_t *ram;
    _Atomic uint8_t flags[GUEST_RAM_SIZE / MEM_PAGE_SIZE];
    struct memory mem;
    struct virtio_mmio mmio;
    bool wire;      /* the interrupt line */
    unsigned edges; /* how often it rose */
    uint16_t size[VIRTIO_QUEUES_MAX];
    uint16_t next_desc[VIRTIO_QUEUES_MAX];
    uint16_t seen[VIRTIO_QUEUES_MAX]; /* used entries taken */
};

static inline void guest_wire(void *sink, uint32_t line, bool level)
{
    struct guest *g = sink;

    (void)line;
    if (level && !g->wire)
        g->edges++;
    g->wire = level;
}

static inline void guest_init(struct guest *g)
{
    memset(g, 0, sizeof(*g));
    g->ram = aligned_alloc(4096, GUEST_RAM_SIZE);
    assert_non_null(g->ram);
    memset(g->ram, 0, GUEST_RAM_SIZE);
    mem_init(&g->mem);
    assert_int_equal(mem_slot_add(&g->mem, GUEST_RAM, GUEST_RAM_SIZE, g->ram, g->flags), 0);
}

static inline void guest_attach(struct guest *g, struct virtio_device *device)
{
    struct irq irq = {.set = guest_wire, .sink = g, .line = 1};

    virtio_mmio_init(&g->mmio, device, &g->mem, irq);
}

static inline void guest_fini(struct guest *g)
{
    free(g->ram);
}

static inline void *at(struct guest *g, uint64_t gpa)
{
    assert_true(gpa >= GUEST_RAM && gpa < GUEST_RAM + GUEST_RAM_SIZE);
    return g->ram + (gpa - GUEST_RAM);
}

static inline uint32_t reg(struct guest *g, uint64_t offset)
{
    uint64_t value = 0;

    assert_int_equal(virtio_mmio_bus_ops.read(&g->mmio, offset, 4, &value), 0);
    return (uint32_t)value;
}

static inline void set_reg(struct guest *g, uint64_t offset, uint32_t value)
{
    assert_int_equal(virtio_mmio_bus_ops.write(&g->mmio, offset, 4, value), 0);
}

static inline uint64_t config(struct guest *g, uint64_t offset, unsigned width)
{
    uint64_t value = 0;

    assert_int_equal(virtio_mmio_bus_ops.read(&g->mmio, 0x100 + offset, width, &value), 0);
    return value;
}

static inline uint64_t guest_offered(struct guest *g)
{
    set_reg(g, 0x014, 1);
    uint64_t high = reg(g, 0x010);
    set_reg(g, 0x014, 0);
    return high << 32 | reg(g, 0x010);
}

/* Each queue has 32 KiB of RAM: descriptors, driver area, device area. */
static inline uint64_t ring_desc(unsigned queue)
{
    return GUEST_RAM + queue * 0x8000ULL;
}
static inline uint64_t ring_avail(unsigned queue)
{
    return ring_desc(queue) + 0x2000;
}
static inline uint64_t ring_used(unsigned queue)
{
    return ring_desc(queue) + 0x4000;
}
static inline struct guest_desc *desc(struct guest *g, unsigned queue, unsigned index)
{
    return (struct guest_desc *)at(g, ring_desc(queue)) + index;
}
static inline uint16_t *avail(struct guest *g, unsigned queue)
{
    return at(g, ring_avail(queue));
}
static inline uint16_t *used(struct guest *g, unsigned queue)
{
    return at(g, ring_used(queue));
}
static inline uint32_t *used_entry(struct guest *g, unsigned queue, unsigned index)
{
    return (uint32_t *)at(g, ring_used(queue) + 4 + 8 * (index % g->size[queue]));
}
static inline uint16_t *used_event(struct guest *g, unsigned queue)
{
    return avail(g, queue) + 2 + g->size[queue];
}
static inline uint16_t *avail_event(struct guest *g, unsigned queue)
{
    return at(g, ring_used(queue) + 4 + 8ULL * g->size[queue]);
}

static inline void guest_queue(struct guest *g, unsigned queue, uint16_t size)
{
    memset(at(g, ring_desc(queue)), 0, 0x8000);
    g->size[queue] = size;
    g->next_desc[queue] = 0;
    g->seen[queue] = 0;
    set_reg(g, 0x030, queue);
    set_reg(g, 0x038, size);
    set_reg(g, 0x080, (uint32_t)ring_desc(queue));
    set_reg(g, 0x084, (uint32_t)(ring_desc(queue) >> 32));
    set_reg(g, 0x090, (uint32_t)ring_avail(queue));
    set_reg(g, 0x094, (uint32_t)(ring_avail(queue) >> 32));
    set_reg(g, 0x0a0, (uint32_t)ring_used(queue));
    set_reg(g, 0x0a4, (uint32_t)(ring_used(queue) >> 32));
    set_reg(g, 0x044, 1);
    assert_int_equal(reg(g, 0x044), 1);
}

static inline bool guest_features(struct guest *g, uint64_t features)
{
    set_reg(g, 0x070, 0);
    set_reg(g, 0x070, 1);
    set_reg(g, 0x070, 1 | 2);
    set_reg(g, 0x024, 0);
    set_reg(g, 0x020, (uint32_t)features);
    set_reg(g, 0x024, 1);
    set_reg(g, 0x020, (uint32_t)(features >> 32));
    set_reg(g, 0x070, 1 | 2 | 8);
    return (reg(g, 0x070) & 8) != 0;
}

/* 3.1.1, with `queues` queues of `size` entries. */
static inline void guest_start(struct guest *g, uint64_t features, unsigned queues, uint16_t size)
{
    assert_true(guest_features(g, features | F_VERSION_1));
    for (unsigned i = 0; i < queues; i++)
        guest_queue(g, i, size);
    set_reg(g, 0x070, 1 | 2 | 8 | 4);
    assert_int_equal(reg(g, 0x070), 1 | 2 | 8 | 4);
}

/* Writes one descriptor; `flags` without D_NEXT ends the chain. Returns its index. */
static inline uint16_t guest_desc_put(struct guest *g, unsigned queue, uint64_t addr, uint32_t len,
                                      uint16_t flags)
{
    uint16_t index = (uint16_t)(g->next_desc[queue] % g->size[queue]);

    g->next_desc[queue]++;
    *desc(g, queue, index) =
        (struct guest_desc){addr, len, flags, (uint16_t)((index + 1) % g->size[queue])};
    return index;
}

static inline void guest_avail(struct guest *g, unsigned queue, uint16_t head)
{
    uint16_t *ring = avail(g, queue);

    ring[2 + ring[1] % g->size[queue]] = head;
    ring[1]++;
}

static inline void guest_notify(struct guest *g, unsigned queue)
{
    set_reg(g, 0x050, queue);
}

/* The next used entry: its length; *head gets the chain (may be NULL). Fails the test if there is
 * none. */
static inline uint32_t guest_used(struct guest *g, unsigned queue, uint32_t *head)
{
    assert_int_not_equal(__atomic_load_n(&used(g, queue)[1], __ATOMIC_ACQUIRE), g->seen[queue]);
    uint32_t *entry = used_entry(g, queue, g->seen[queue]++);

    if (head != NULL)
        *head = entry[0];
    return entry[1];
}

static inline bool guest_has_used(struct guest *g, unsigned queue)
{
    return used(g, queue)[1] != g->seen[queue];
}

/* The driver's interrupt handler: what was pending, acknowledged. */
static inline uint32_t guest_ack(struct guest *g)
{
    uint32_t status = reg(g, 0x060);

    set_reg(g, 0x064, status);
    return status;
}

static inline void assert_needs_reset(struct guest *g)
{
    assert_true(reg(g, 0x070) & 0x40);
    assert_true(reg(g, 0x060) & 2);
    assert_true(g->wire);
}

/* A state file in memory. */
struct guest_file {
    struct state state;
    uint8_t bytes[8192];
    size_t len, at;
};

static inline int guest_file_transfer(struct state *state, void *bytes, size_t len)
{
    struct guest_file *file = state->file;

    if (state->loading) {
        if (len > file->len - file->at)
            return -E_INVAL;
        memcpy(bytes, file->bytes + file->at, len);
        file->at += len;
        return 0;
    }
    if (len > sizeof(file->bytes) - file->len)
        return -E_NOSPC;
    memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
    return 0;
}

static inline void guest_save(struct guest *g, struct guest_file *file)
{
    file->len = file->at = 0;
    file->state = (struct state){.transfer = guest_file_transfer, .file = file};
    virtio_mmio_state(&g->mmio, &file->state);
    assert_int_equal(file->state.error, 0);
}

static inline int guest_load(struct guest *g, struct guest_file *file)
{
    file->at = 0;
    file->state = (struct state){.transfer = guest_file_transfer, .file = file, .loading = true};
    virtio_mmio_state(&g->mmio, &file->state);
    return file->state.error;
}

#endif
