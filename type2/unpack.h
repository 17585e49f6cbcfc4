/*
 * Files that people hand us: mapped read-only, and unpacked until they are plain.
 *
 * Known wrappings: gzip (RFC 1952), zstd (RFC 8878), and EFI zboot, the PE file around a compressed
 * kernel that Linux makes with CONFIG_EFI_ZBOOT. A kernel or firmware goes through here before
 * core/image looks at it; an initrd does not (Linux unpacks that itself).
 */
#ifndef TYPE2_UNPACK_H
#define TYPE2_UNPACK_H

#include "type2/problem.h"

#include <stddef.h>
#include <stdint.h>

#define UNPACK_SIZE_MAX (1ULL << 30) /* bytes that any one wrapping may unpack to */

/* Bytes of a file, or what was unpacked from them. */
struct blob {
    const uint8_t *bytes;
    size_t size;
    enum blob_kind { BLOB_NONE, BLOB_BORROWED, BLOB_MAPPED, BLOB_ALLOCATED } kind;
};

/*
 * Maps a regular file. `what` names its part in messages ("kernel"). A negative error with one line
 * in `problem`: missing, unreadable, empty, a directory.
 */
int blob_map(struct blob *blob, const char *what, const char *path, struct problem *problem);
/* blob_map, then unpack. */
int blob_map_unpacked(struct blob *blob, const char *what, const char *path,
                      struct problem *problem);
/* Frees or unmaps; a zeroed or freed blob may be freed again. */
void blob_free(struct blob *blob);

/*
 * Takes off all wrappings of `size` bytes. Plain bytes are not copied: then the blob borrows them.
 * -E_NOEXEC (truncated, corrupt, or a compression we do not know), -E_NOSPC (larger than
 * UNPACK_SIZE_MAX, or wrapped too often), -E_NOMEM: *reason says it in words that go on a sentence
 * about the file ("is truncated").
 */
int unpack(struct blob *blob, const void *bytes, size_t size, const char **reason);
/* The same with another limit than UNPACK_SIZE_MAX: a power of two, at least 1 MiB. */
int unpack_limited(struct blob *blob, const void *bytes, size_t size, size_t limit,
                   const char **reason);

#endif
