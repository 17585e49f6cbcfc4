/*
 * A virtio block device of the board (Virtual I/O Device 1.2, 5.2) as a block backend. A guest's
 * buffers are handed to the device as they are; nothing is copied.
 */
#ifndef TYPE1_DEV_BLK_H
#define TYPE1_DEV_BLK_H

#include "devices/backend.h"
#include "type1/dev_virtio.h"

struct dev_blk_slot;

struct dev_blk {
    struct block_backend backend; /* first */
    struct vio vio;
    struct vio_queue queue;
    struct host_lock lock;
    uint32_t zeroes_max;                                /* sectors of one WRITE_ZEROES */
    struct dev_blk_slot *slots;                         /* by the chain's head */
    struct block_request *waiting_first, *waiting_last; /* the ring was full */
};

/* `vio` is probed and a block device. -E_NOMEM, -E_PROTO. */
int dev_blk_init(struct dev_blk *blk, const struct vio *vio);
/* Its line is up. Any hart, no lock held. */
void dev_blk_interrupt(struct dev_blk *blk);

#endif
