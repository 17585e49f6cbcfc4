/*
 * The bus: which device answers at a guest-physical address.
 *
 * Ranges are added while the board is built, do not overlap, and are found by binary search. An
 * access must lie in one device's range, be naturally aligned and of a width the device accepts;
 * anything else is a bus error, which the CPU reports to the guest as an access fault. Devices lock
 * themselves. Safe from any thread once built.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_RANGES_MAX 64

/* `width` is 1, 2, 4 or 8 bytes; `offset` is from the range's base. 0 or a negative error (bus
 * error). */
struct bus_ops {
    int (*read)(void *device, uint64_t offset, unsigned width, uint64_t *value);
    int (*write)(void *device, uint64_t offset, unsigned width, uint64_t value);
    uint8_t widths; /* OR of the widths accepted: 1 | 2 | 4 | 8 */
};

struct bus_range {
    uint64_t base;
    uint64_t size;
    const struct bus_ops *ops;
    void *device;
    const char *name;
    _Atomic uint64_t accesses; /* for statistics */
};

struct bus {
    struct bus_range ranges[BUS_RANGES_MAX];
    unsigned count;
};

void bus_init(struct bus *bus);
/* -E_EXIST overlap, -E_NOSPC full, -E_INVAL empty or wrapping. */
int bus_add(struct bus *bus, const char *name, uint64_t base, uint64_t size,
            const struct bus_ops *ops, void *device);
struct bus_range *bus_find(struct bus *bus, uint64_t address);
/* Whether a naturally aligned access of 1, 2, 4 or 8 bytes lies in the range and is one that its
 * device accepts. */
static inline bool bus_range_takes(const struct bus_range *range, uint64_t address, unsigned width)
{
    uint64_t offset = address - range->base;
    return offset < range->size && width <= range->size - offset &&
           (range->ops->widths & width) != 0;
}
/* 0, or -E_FAULT: nothing there, misaligned or a width not accepted, or the device refused. */
int bus_read(struct bus *bus, uint64_t address, unsigned width, uint64_t *value);
int bus_write(struct bus *bus, uint64_t address, unsigned width, uint64_t value);

#endif
