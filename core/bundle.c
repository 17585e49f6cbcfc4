#include "core/bundle.h"

#include "core/error.h"
#include "core/host.h"

static bool inside(uint64_t offset, uint64_t size, uint64_t total)
{
    return offset <= total && size <= total - offset;
}

int bundle_open(struct bundle *bundle, const void *bytes, uint64_t limit)
{
    struct bundle_header header;

    if (limit < sizeof header)
        return -E_NOENT;
    memcpy(&header, bytes, sizeof header);
    if (memcmp(header.magic, BUNDLE_MAGIC, sizeof header.magic) != 0)
        return -E_NOENT;
    if (header.version != 1)
        return -E_PROTO;
    if (header.size > limit || header.size < sizeof header ||
        !inside(header.directory, header.directory_size, header.size) ||
        !inside(header.spec, header.spec_size, header.size) || (header.directory & 7) != 0 ||
        (header.spec & 7) != 0)
        return -E_INVAL;
    bundle->bytes = bytes;
    bundle->size = header.size;
    bundle->spec = bundle->bytes + header.spec;
    bundle->spec_size = header.spec_size;
    return fdt_open(&bundle->directory, bundle->bytes + header.directory, header.directory_size);
}

const void *bundle_file(const struct bundle *bundle, const char *path, uint64_t *size)
{
    const struct fdt *fdt = &bundle->directory;
    for (int node = fdt_first_child(fdt, fdt_root(fdt)); node >= 0;
         node = fdt_next_sibling(fdt, node)) {
        const char *name = fdt_str(fdt, node, "path");
        if (name == NULL || strcmp(name, path) != 0)
            continue;
        uint64_t offset = fdt_u64(fdt, node, "offset", UINT64_MAX);
        *size = fdt_u64(fdt, node, "size", UINT64_MAX);
        return inside(offset, *size, bundle->size) ? bundle->bytes + offset : NULL;
    }
    return NULL;
}
