/*
 * Saved machines on disk: `struct state` over a file.
 *
 * Form (all integers little-endian): 24 bytes of header: "TRIVISOR", u32 version, u32 flags (1: the
 * body is a zstd stream), u64 0; the body; 24 bytes of trailer: u64 bytes before the trailer, u32
 * CRC-32 (ISO-HDLC, zlib's) of all bytes before the trailer, u32 0, "RETSAVED". Nothing half-made
 * is ever seen: the file is written without a name or under a temporary one, and takes its name
 * when it is whole and on the disk.
 */
#ifndef TYPE2_SAVEFILE_H
#define TYPE2_SAVEFILE_H

#include "core/state.h"
#include "type2/problem.h"

#include <stdbool.h>
#include <stdint.h>

#define SAVEFILE_VERSION 1

struct savefile;

/* Begins to save to `path` (readable by the owner only). NULL with one line. */
struct savefile *savefile_create(const char *path, bool compress, struct problem *problem);
/*
 * Begins to load: the whole file is checked first (magic, version, length, checksum), so that a
 * foreign, truncated or corrupt file changes nothing. NULL with one line.
 */
struct savefile *savefile_open(const char *path, struct problem *problem);
/* For board_state and the like. Valid until finish or abort. */
struct state *savefile_state(struct savefile *file);
/*
 * RAM of `size` bytes (a multiple of 4096) at `hva`, in the direction of the file. Pages that are
 * all zero take no room, and such as were never touched are not looked at. Loading expects RAM that
 * reads as zero (fresh from ram_init) and checks that the size is the same. The error is also in
 * the state. 0 or a negative error.
 */
int savefile_ram(struct savefile *file, void *hva, uint64_t size);
/*
 * Ends it: 0, or a negative error with one line (also for an error met earlier by savefile_state's
 * user: the section is named). Saving: the file gets its name now, or leaves no trace. Frees in any
 * case.
 */
int savefile_finish(struct savefile *file, struct problem *problem);
/* Gives up; leaves no trace. */
void savefile_abort(struct savefile *file);

#endif
