/* A virtio entropy device of the board (Virtual I/O Device 1.2, 5.4), asked once at start. */
#ifndef TYPE1_DEV_RNG_H
#define TYPE1_DEV_RNG_H

#include "type1/dev_virtio.h"

/* Reads up to `len` bytes and leaves the device reset. How many, or a negative error. */
int dev_rng_read(const struct vio *vio, void *bytes, uint32_t len);

#endif
