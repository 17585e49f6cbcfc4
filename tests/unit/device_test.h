/* What the tests of the devices share: recorded wires, bus accesses that must work, a save file in
 * memory. */
#ifndef TESTS_UNIT_DEVICE_TEST_H
#define TESTS_UNIT_DEVICE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/fdt.h"
#include "core/irq.h"
#include "core/state.h"

struct wire {
    _Atomic bool level;
    _Atomic unsigned edges; /* how often it was driven */
};

static inline void wire_set(void *sink, uint32_t line, bool level)
{
    struct wire *wires = sink;
    atomic_store(&wires[line].level, level);
    atomic_fetch_add(&wires[line].edges, 1);
}

static inline struct irq wire_irq(struct wire *wires, uint32_t line)
{
    return (struct irq){.set = wire_set, .sink = wires, .line = line};
}

static inline uint64_t read_reg(const struct bus_ops *ops, void *device, uint64_t offset,
                                unsigned width)
{
    uint64_t value = UINT64_MAX;
    assert_int_equal(ops->read(device, offset, width, &value), 0);
    return value;
}

static inline void write_reg(const struct bus_ops *ops, void *device, uint64_t offset,
                             unsigned width, uint64_t value)
{
    assert_int_equal(ops->write(device, offset, width, value), 0);
}

/* A clock that stands still at `ticks`. */
static inline void clock_stand_at(struct clock *clock, uint64_t ticks)
{
    atomic_store(&clock->stopped_ns, ticks * CLOCK_NS_PER_TICK);
}

struct save_file {
    struct state state;
    uint8_t bytes[131072];
    size_t size, at;
};

static inline int save_transfer(struct state *state, void *bytes, size_t len)
{
    struct save_file *file = state->file;
    if (len > (state->loading ? file->size : sizeof file->bytes) - file->at)
        return -E_IO;
    if (state->loading)
        memcpy(bytes, file->bytes + file->at, len);
    else
        memcpy(file->bytes + file->at, bytes, len);
    file->at += len;
    if (!state->loading)
        file->size = file->at;
    return 0;
}

static inline struct state *save_open(struct save_file *file, bool loading)
{
    file->state = (struct state){.transfer = save_transfer, .file = file, .loading = loading};
    file->at = 0;
    if (!loading)
        file->size = 0;
    return &file->state;
}

/* Starts a tree with one node on a bus of two address and size cells; tree_close opens it for
 * reading. */
static inline void tree_begin(struct fdt_writer *w, void *buf, size_t capacity)
{
    fdt_begin(w, buf, capacity);
    fdt_node(w, "");
    fdt_put_u32(w, "#address-cells", 2);
    fdt_put_u32(w, "#size-cells", 2);
}

static inline void tree_close(struct fdt_writer *w, struct fdt *fdt)
{
    fdt_end(w);
    long size = fdt_finish(w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(fdt, w->buf, (size_t)size), 0);
}

#endif
