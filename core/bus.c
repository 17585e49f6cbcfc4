#include "core/bus.h"

#include "core/error.h"

#include <stdatomic.h>

void bus_init(struct bus *bus)
{
    bus->count = 0;
}

/* Index of the first range whose base is above `address`. */
static unsigned upper_bound(const struct bus *bus, uint64_t address)
{
    unsigned low = 0;
    unsigned high = bus->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bus->ranges[middle].base <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int bus_add(struct bus *bus, const char *name, uint64_t base, uint64_t size,
            const struct bus_ops *ops, void *device)
{
    if (size == 0 || base + (size - 1) < base)
        return -E_INVAL;
    if (bus->count == BUS_RANGES_MAX)
        return -E_NOSPC;

    unsigned at = upper_bound(bus, base);
    if (at > 0 && base - bus->ranges[at - 1].base < bus->ranges[at - 1].size)
        return -E_EXIST;
    if (at < bus->count && bus->ranges[at].base - base < size)
        return -E_EXIST;

    for (unsigned i = bus->count; i > at; i--)
        bus->ranges[i] = bus->ranges[i - 1];
    struct bus_range *range = &bus->ranges[at];
    range->base = base;
    range->size = size;
    range->ops = ops;
    range->device = device;
    range->name = name;
    atomic_init(&range->accesses, 0);
    bus->count++;
    return 0;
}

struct bus_range *bus_find(struct bus *bus, uint64_t address)
{
    unsigned at = upper_bound(bus, address);
    if (at == 0)
        return NULL;
    struct bus_range *range = &bus->ranges[at - 1];
    return address - range->base < range->size ? range : NULL;
}

/* The range that takes an access, or NULL for a bus error. */
static struct bus_range *access_range(struct bus *bus, uint64_t address, unsigned width)
{
    if (width == 0 || width > 8 || (width & (width - 1)) != 0 || (address & (width - 1)) != 0)
        return NULL;
    struct bus_range *range = bus_find(bus, address);
    if (range == NULL || !bus_range_takes(range, address, width))
        return NULL;
    atomic_fetch_add_explicit(&range->accesses, 1, memory_order_relaxed);
    return range;
}

int bus_read(struct bus *bus, uint64_t address, unsigned width, uint64_t *value)
{
    struct bus_range *range = access_range(bus, address, width);
    *value = 0;
    if (range == NULL || range->ops->read == NULL)
        return -E_FAULT;
    return range->ops->read(range->device, address - range->base, width, value) == 0 ? 0 : -E_FAULT;
}

int bus_write(struct bus *bus, uint64_t address, unsigned width, uint64_t value)
{
    struct bus_range *range = access_range(bus, address, width);
    if (range == NULL || range->ops->write == NULL)
        return -E_FAULT;
    return range->ops->write(range->device, address - range->base, width, value) == 0 ? 0
                                                                                      : -E_FAULT;
}
