/* Any bytes as a device tree: what fdt_open accepts, every look-up answers from inside the blob. */
#include "core/fdt.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static bool inside(const struct fdt *fdt, const void *at, size_t len)
{
    const uint8_t *p = at;
    return p >= fdt->blob && len <= fdt->size && p <= fdt->blob + fdt->size - len;
}

static void look_up_everything(const struct fdt *fdt, int node)
{
    uint32_t cursor = 0, len;
    const char *name;
    const void *value;
    uint64_t address, size;

    name = fdt_name(fdt, node);
    expect(inside(fdt, name, strlen(name) + 1));
    while (fdt_next_prop(fdt, node, &cursor, &name, &value, &len)) {
        expect(inside(fdt, name, strlen(name) + 1) && inside(fdt, value, len));
        expect(fdt_prop(fdt, node, name, NULL) != NULL);
        fdt_u32(fdt, node, name, 0);
        fdt_u64(fdt, node, name, 0);
        const char *text;
        for (unsigned i = 0; (text = fdt_str_at(fdt, node, name, i)) != NULL; i++)
            expect(inside(fdt, text, strlen(text) + 1));
    }
    for (unsigned i = 0; i < 4; i++)
        fdt_reg(fdt, node, i, &address, &size);

    unsigned children = 0;
    for (int child = fdt_first_child(fdt, node); child >= 0; child = fdt_next_sibling(fdt, child)) {
        expect(child > node);
        if (children++ < 8)
            expect(fdt_parent(fdt, child) == node);
        look_up_everything(fdt, child);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fdt fdt;
    if (fdt_open(&fdt, data, size) != 0)
        return 0;
    expect(fdt.size <= size && fdt.size == fdt_total_size(data));
    look_up_everything(&fdt, fdt_root(&fdt));
    for (int node = -1; (node = fdt_compatible_next(&fdt, node, "ns16550a")) >= 0;)
        expect(inside(&fdt, fdt_name(&fdt, node), 1));
    fdt_by_phandle(&fdt, 7);
    fdt_path(&fdt, "/soc/serial@10000000");
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    struct fdt_writer w;
    if (index > 1)
        return 0;
    fdt_begin(&w, buf, capacity);
    fdt_reserve(&w, 0x80000000, 0x40000);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node_at(&w, "memory", 0x80000000);
    fdt_put_reg64(&w, 0x80000000, 0x20000000);
    fdt_end(&w);
    if (index == 1) {
        fdt_node(&w, "soc");
        fdt_put_u32(&w, "#address-cells", 1);
        fdt_put_u32(&w, "#size-cells", 0);
        fdt_node_at(&w, "serial", 0x10000000);
        fdt_put_strs(&w, "compatible", (const char *const[]){"ns16550a", "vendor,uart"}, 2);
        fdt_put_u32(&w, "reg", 0x10000000);
        fdt_put_u32(&w, "phandle", 7);
        fdt_put(&w, "bytes", "\x01\x02\x03", 3);
        fdt_end(&w);
        fdt_end(&w);
    }
    fdt_end(&w);
    long size = fdt_finish(&w);
    return size > 0 ? (size_t)size : 0;
}
