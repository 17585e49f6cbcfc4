/*
 * A raw disk image (or a host block device) as a block backend.
 *
 * submit never waits for the disk. What the page cache can answer is answered inside submit.
 * Everything else goes to io_uring and is answered on the loop's thread, except for writes to a
 * regular file: the host makes them one by one, and one thread of ours with less ado than the
 * ring's threads. Where io_uring is not permitted, that thread does all of it. The file is
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
    bool no_try;  /* do not try to answer inside submit (tests) */
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
