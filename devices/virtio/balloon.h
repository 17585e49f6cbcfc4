/*
 * Traditional memory balloon (Virtual I/O Device 1.2, section 5.5): inflate, deflate, statistics
 * and free page reporting. Pages that the guest gives up go to a reclaim backend; they read as zero
 * when touched again.
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include "devices/backend.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_BALLOON_STATS   10 /* tags 0..9, 5.5.6.4 */
#define VIRTIO_BALLOON_S_AVAIL 6  /* bytes that could be given without swapping */

/* Configuration space, 5.5.4. Pages of 4096 bytes. */
struct virtio_balloon_config {
    uint32_t num_pages; /* what we ask for */
    uint32_t actual;    /* what the driver has given */
};

struct virtio_balloon {
    struct virtio_device virtio;
    struct reclaim_backend *backend;
    struct virtio_balloon_config config;
    uint64_t stats[VIRTIO_BALLOON_STATS]; /* UINT64_MAX: never told */
    bool stats_held;                      /* the driver's buffer waits with us until we ask again */
    uint16_t stats_head;
    struct virtq_chain chain; /* under the lock */
};

void virtio_balloon_init(struct virtio_balloon *balloon, struct memory *mem,
                         struct reclaim_backend *backend);
/* Asks the guest for `pages` of 4096 bytes in total (it gives them when it can). Any thread. */
void virtio_balloon_set_target(struct virtio_balloon *balloon, uint32_t pages);
/* What it was last asked for. Any thread. */
uint32_t virtio_balloon_target(struct virtio_balloon *balloon);
/* Pages that the guest has given. Any thread. */
uint32_t virtio_balloon_actual(struct virtio_balloon *balloon);
/* The statistic `tag` as last told; UINT64_MAX: unknown. Any thread. */
uint64_t virtio_balloon_stat(struct virtio_balloon *balloon, unsigned tag);
/* Asks the driver for fresh statistics; false if it is not ready to be asked. Any thread. */
bool virtio_balloon_request_stats(struct virtio_balloon *balloon);

#endif
