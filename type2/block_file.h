/*
 * A raw disk image (or a host block device) as a block backend.
 *
 * Requests go to io_uring, or to one thread of pread and pwrite where io_uring is not permitted.
 * submit never waits for the disk. A small read of cached pages is answered inside submit;
 * everything else by a completion on the loop's thread (or the fallback's own thread). The file is
 * locked (open file description lock) while it is open: exclusive for writing, shared for reading
 * only.
 */
#ifndef TYPE2_BLOCK_FILE_H
#define TYPE2_BLOCK_FILE_H

#include "devices/backend.h"
#include "type2/loop.h"
#include "type2/problem.h"

struct block_file_options {
    const char *path;
    const char *serial; /* NULL: none; at most 20 characters are used */
    bool readonly;
    bool threads; /* do not try io_uring (tests) */
    bool no_try;  /* do not try to answer reads inside submit (tests) */
};

/*
 * Opens and locks. The backend's size is the file's, a multiple of 512 and not 0. NULL with one
 * line that names the file: missing, unreadable, a directory, an odd size, in use by another VM.
 * `loop` must be initialised (running or not) and outlive the backend.
 */
struct block_backend *block_file_open(const struct block_file_options *options, struct loop *loop,
                                      struct problem *problem);
/* Waits for the requests in flight, flushes to the disk what was written, unlocks and frees. Not
 * from the loop's thread. */
void block_file_close(struct block_backend *backend);

#endif
