#include "type1/dev_pci.h"

#include "core/host.h"
#include "type1/dev_virtio.h"

#define VIRTIO_VENDOR 0x1af4
#define CAPS_MAX      48 /* of a function: more than fit */

enum { /* configuration space; words */
       PCI_COMMAND = 4,
       COMMAND_QUIET = 1 << 10, /* interrupts off; no bus master, no memory, no I/O */
       PCI_KIND = 12,
       KIND_BRIDGE = 1,
       KIND_MANY = 0x80, /* functions */
       PCI_BUSES = 0x18,
       PCI_CAPS = 0x34,
       CAP_VENDOR = 9,
};
enum { /* virtio 1.2, 4.1.4: capabilities, and their fields */
       VIRTIO_COMMON = 1,
       VIRTIO_WINDOW = 5,
       CAP_BAR = 4,
       CAP_OFFSET = 8,
       CAP_LENGTH = 12,
       CAP_DATA = 16,
       COMMON_FEATURE_SELECT = 0,
       COMMON_FEATURE = 4,
};

struct function {
    const struct dev_access *access;
    void *base;
};

static uint32_t get(const struct function *f, uint32_t at)
{
    return f->access->read(f->base, at);
}

static void put(const struct function *f, uint32_t at, uint32_t value)
{
    f->access->write(f->base, at, value);
}

bool pci_is_host(const struct fdt *fdt, int node)
{
    const char *name;
    for (unsigned i = 0; (name = fdt_str_at(fdt, node, "compatible", i)) != NULL; i++) {
        if (strcmp(name, "pci-host-ecam-generic") == 0)
            return true;
    }
    return false;
}

/* Through the capability that needs no BAR to be set up (virtio 1.2, 4.1.4.9). */
static bool virtio_translates(const struct function *f)
{
    uint32_t window = 0, bar = 0, common = 0, at = get(f, PCI_CAPS) & 0xfc;
    for (unsigned i = 0; i < CAPS_MAX && at != 0; i++) {
        uint32_t head = get(f, at);
        if ((head & 0xff) == CAP_VENDOR && head >> 24 == VIRTIO_WINDOW)
            window = at;
        if ((head & 0xff) == CAP_VENDOR && head >> 24 == VIRTIO_COMMON) {
            bar = get(f, at + CAP_BAR);
            common = get(f, at + CAP_OFFSET);
        }
        at = head >> 8 & 0xfc;
    }
    if (window == 0)
        return false; /* legacy alone */
    put(f, window + CAP_BAR, bar & 0xff);
    put(f, window + CAP_LENGTH, 4);
    put(f, window + CAP_OFFSET, common + COMMON_FEATURE_SELECT);
    put(f, window + CAP_DATA, 1);
    put(f, window + CAP_OFFSET, common + COMMON_FEATURE);
    return (get(f, window + CAP_DATA) & (uint32_t)(VIO_F_PLATFORM >> 32)) != 0;
}

bool pci_quiet(const struct dev_access *access, uint64_t ecam, unsigned buses)
{
    bool translate = true;
    unsigned last = 0; /* bus behind the bridges that were met */
    for (unsigned at = 0; at >> 8 <= last && at >> 8 < buses; at++) { /* bus, device, function */
        struct function f = {access, (void *)(uintptr_t)(ecam + ((uint64_t)at << 12))};
        uint32_t id = get(&f, 0), kind = get(&f, PCI_KIND) >> 16;
        bool there = (id & 0xffff) != 0xffff;
        if (there && (kind & 0x7f) == KIND_BRIDGE && (get(&f, PCI_BUSES) >> 16 & 0xff) > last)
            last = get(&f, PCI_BUSES) >> 16 & 0xff;
        /* First: QEMU's window fails where a BAR is mapped. */
        if (there)
            put(&f, PCI_COMMAND, COMMAND_QUIET);
        if (there && (id & 0xffff) == VIRTIO_VENDOR && id >> 16 >= 0x1000 && id >> 16 <= 0x107f)
            translate = virtio_translates(&f) && translate;
        if (at % 8 == 0 && (!there || (kind & KIND_MANY) == 0))
            at += 7;
    }
    return translate;
}

static uint64_t two_cells(const uint8_t *cells)
{
    return (uint64_t)fdt_cell(cells) << 32 | fdt_cell(cells + 4);
}

bool pci_window(const struct fdt *fdt, int node, unsigned index, struct pci_window *window)
{
    uint32_t len, cells = fdt_u32(fdt, fdt_parent(fdt, node), "#address-cells", 2);
    const uint8_t *range = fdt_prop(fdt, node, "ranges", &len);
    uint32_t size = 4 * (3 + cells + 2);
    if (range == NULL || cells == 0 || cells > 2 || index >= PCI_WINDOWS_MAX ||
        len < (index + 1) * size)
        return false;
    range += (size_t)index * size;
    for (unsigned i = 0; i < 3; i++, range += 4)
        window->space[i] = fdt_cell(range);
    window->address = cells == 2 ? two_cells(range) : fdt_cell(range);
    window->size = two_cells(range + 4 * (size_t)cells);
    return true;
}

bool pci_next_route(const struct fdt *fdt, int node, uint32_t phandle, struct pci_route *route)
{
    uint32_t len;
    const uint8_t *map = fdt_prop(fdt, node, "interrupt-map", &len);
    while (map != NULL && len - route->at >= 20) {
        const uint8_t *entry = map + route->at;
        int controller = fdt_by_phandle(fdt, fdt_cell(entry + 16));
        uint32_t address = 4 * fdt_u32(fdt, controller, "#address-cells", 0);
        uint32_t size = 4 * fdt_u32(fdt, controller, "#interrupt-cells", 1);
        if (address > 16 || size > 16 || len - route->at < 20 + address + size)
            return false;
        route->at += 20 + address + size;
        if (fdt_cell(entry + 16) != phandle)
            continue;
        route->pin = entry;
        route->cells = entry + 20 + address;
        route->len = size;
        return true;
    }
    return false;
}
