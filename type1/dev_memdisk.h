/*
 * Disks in memory: a file of the bundle as a guest's disk. Read-only ones are read where they lie;
 * a writable one is the guest's own copy, which lives as long as the guest is known.
 *
 * Small requests are answered at once, on the VCPU that asks; large ones are left to a worker that
 * lets others run between pieces, so that no guest can hold a hart with one descriptor.
 */
#ifndef TYPE1_DEV_MEMDISK_H
#define TYPE1_DEV_MEMDISK_H

#include "core/host.h"
#include "devices/backend.h"

#define MEMDISK_INLINE (128u << 10) /* bytes; what is longer goes to the worker */
#define MEMDISK_PIECE  (1u << 20)   /* what the worker copies in one go */
#define MEMDISK_SECTOR 512ULL

struct memdisk_worker {
    struct host_lock lock;
    struct host_event event; /* something is queued */
    struct block_request *first, *last;
};

struct memdisk {
    struct block_backend backend; /* first */
    uint8_t *bytes;
    struct memdisk_worker *worker;
};

void memdisk_worker_init(struct memdisk_worker *worker);
/* Answers everything that is queued. `breathe` (or NULL) is called between pieces. One at a time.
 */
void memdisk_work(struct memdisk_worker *worker, void (*breathe)(void));
/*
 * `size` in bytes, rounded up to whole sectors: that many bytes must be there. `serial`: at most 20
 * characters, or NULL. `bytes` of a readonly disk are never written.
 */
void memdisk_init(struct memdisk *disk, const void *bytes, uint64_t size, bool readonly,
                  const char *serial, struct memdisk_worker *worker);

#endif
