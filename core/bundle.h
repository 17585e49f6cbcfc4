/*
 * A bundle: the description of a fleet and all files it names, in one piece, for hypervisors that
 * have no file system. `trivisor bundle` appends it to a hypervisor's image, page-aligned.
 *
 *     header | directory (a device tree) | description (core/spec.h) | files, each page-aligned
 *
 *     directory: / { compatible = "trivisor,bundle"; file@0 { path = "..."; offset; size; }; ... };
 *
 * Offsets are from the header's first byte. The reader trusts nothing in it.
 */
#ifndef CORE_BUNDLE_H
#define CORE_BUNDLE_H

#include "core/fdt.h"

#define BUNDLE_MAGIC "TRIVBNDL"
#define BUNDLE_ALIGN 4096
/* Where an image of type 0 has the payload of plain firmware instead, from its first byte on: as
 * fw_jump. */
#define BUNDLE_PAYLOAD_AT 0x200000

/* Little-endian, as the guests and the hosts that we know. */
struct bundle_header {
    char magic[8];
    uint32_t version; /* 1 */
    uint32_t reserved;
    uint64_t size; /* of all of it */
    uint64_t directory, directory_size;
    uint64_t spec, spec_size;
};

struct bundle {
    const uint8_t *bytes;
    uint64_t size;
    const void *spec;
    uint64_t spec_size;
    struct fdt directory;
};

/*
 * Opens the bundle at `bytes`, of which at most `limit` may be looked at. -E_NOENT there is none,
 * -E_PROTO another version, -E_INVAL malformed.
 */
int bundle_open(struct bundle *bundle, const void *bytes, uint64_t limit);
/* The file that the description calls `path`; NULL: not there. */
const void *bundle_file(const struct bundle *bundle, const char *path, uint64_t *size);

#endif
