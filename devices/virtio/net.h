/*
 * Virtio network device (Virtual I/O Device 1.2, section 5.1): one receive and one transmit queue
 * in front of a net backend. Mergeable receive buffers; checksums where the backend makes them;
 * no segmentation offload: an MTU of up to 64 KiB does the same for less.
 */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "devices/backend.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_NET_FRAME_MAX 65550 /* bytes of one frame, 5.1.6.3.1 */

/* Configuration space, 5.1.4, as far as we offer it. */
struct virtio_net_config {
    uint8_t mac[6];
    uint16_t status;
    uint16_t max_virtqueue_pairs;
    uint16_t mtu;
};

struct virtio_net {
    struct virtio_device virtio;
    struct net_backend *backend;
    struct virtio_net_config config;
    bool tx_busy;          /* a thread is sending; it will see what is added meanwhile */
    bool rx_waiting;       /* a frame was refused: tell the backend when there are buffers */
    struct virtq_chain tx; /* of the thread that set tx_busy */
    struct virtq_chain rx_first, rx_more; /* under the lock */
};

/* Fills backend->receive and backend->device. */
void virtio_net_init(struct virtio_net *net, struct memory *mem, struct net_backend *backend);
/* The cable is in or out. Any thread. */
void virtio_net_set_link(struct virtio_net *net, bool up);

#endif
