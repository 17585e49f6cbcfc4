/* Any bytes as a bundle: refused, or every file that it names lies inside, and its fleet is one
 * that spec_check takes. */
#include "core/bundle.h"
#include "core/spec.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static uint64_t sum; /* kept: reading is the test */

static void read_file(const struct bundle *bundle, const char *path)
{
    uint64_t size = 0;
    if (path == NULL)
        return;
    const uint8_t *bytes = bundle_file(bundle, path, &size);
    if (bytes == NULL)
        return;
    expect(bytes >= bundle->bytes && size <= bundle->size &&
           (uint64_t)(bytes - bundle->bytes) <= bundle->size - size);
    for (uint64_t at = 0; at < size; at += 61)
        sum += bytes[at];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spec_fleet fleet;
    struct spec_problem problem;
    struct bundle bundle;
    uint64_t length;

    /* As the hypervisor finds it: page-aligned, of exactly that size, so that a sanitizer sees
     * every byte beyond. */
    uint8_t *bytes =
        aligned_alloc(BUNDLE_ALIGN, (size + BUNDLE_ALIGN) & ~(size_t)(BUNDLE_ALIGN - 1));
    expect(bytes != NULL);
    memcpy(bytes, data, size);
    if (bundle_open(&bundle, bytes, size) == 0) {
        expect(bundle.size <= size);
        bundle_file(&bundle, "no such file", &length);
        if (spec_read(&fleet, bundle.spec, bundle.spec_size, &problem) == 0) {
            expect(spec_check(&fleet, &problem) == 0);
            for (unsigned i = 0; i < fleet.vm_count; i++) {
                read_file(&bundle, fleet.vms[i].kernel);
                read_file(&bundle, fleet.vms[i].initrd);
                for (unsigned d = 0; d < fleet.vms[i].disk_count; d++)
                    read_file(&bundle, fleet.vms[i].disks[d].path);
            }
        } else {
            expect(problem.text[0] != 0);
        }
    }
    free(bytes);
    return 0;
}

static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    enum { SPEC_AT = 64, DIRECTORY_AT = 2048, FILE_AT = 4096, SIZE = 4352 };
    static struct spec_fleet fleet;
    struct fdt_writer w;

    if (index > 1 || capacity < SIZE)
        return 0;
    memset(buf, 0, SIZE);
    memset(&fleet, 0, sizeof fleet);
    fleet.vm_count = 1;
    fleet.vms[0].name = "web";
    fleet.vms[0].cpus = 2;
    fleet.vms[0].memory = 64 << 20;
    fleet.vms[0].kernel = "k";
    fleet.vms[0].pin_count = index;
    fleet.vms[0].disk_count = index;
    fleet.vms[0].disks[0].path = "d";
    long spec_size = spec_flatten(&fleet, buf + SPEC_AT, DIRECTORY_AT - SPEC_AT);
    fdt_begin(&w, buf + DIRECTORY_AT, FILE_AT - DIRECTORY_AT);
    fdt_node(&w, "");
    fdt_put_str(&w, "compatible", "trivisor,bundle");
    for (unsigned i = 0; i <= index; i++) {
        fdt_node_at(&w, "file", i);
        fdt_put_str(&w, "path", i == 0 ? "k" : "d");
        fdt_put_u64(&w, "offset", FILE_AT + 128 * i);
        fdt_put_u64(&w, "size", 128);
        fdt_end(&w);
    }
    fdt_end(&w);
    long directory_size = fdt_finish(&w);
    if (spec_size < 0 || directory_size < 0)
        abort();
    memcpy(buf, BUNDLE_MAGIC, 8);
    buf[8] = 1;
    put_u64(buf + 16, SIZE);
    put_u64(buf + 24, DIRECTORY_AT);
    put_u64(buf + 32, (uint64_t)directory_size);
    put_u64(buf + 40, SPEC_AT);
    put_u64(buf + 48, (uint64_t)spec_size);
    return SIZE;
}
