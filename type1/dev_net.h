/*
 * A virtio network device of the board (Virtual I/O Device 1.2, 5.1) behind a port of a switch: its
 * uplink. No offloads; all frames are taken, whoever they are for.
 */
#ifndef TYPE1_DEV_NET_H
#define TYPE1_DEV_NET_H

#include "devices/backend.h"
#include "type1/dev_virtio.h"

#define DEV_NET_RING   32
#define DEV_NET_BUFFER 2048 /* header and frame */

struct dev_net {
    struct vio vio;
    struct vio_queue rx, tx;
    struct host_lock lock;            /* the transmit ring */
    struct net_backend *port;         /* where frames from the wire go */
    size_t header;                    /* bytes before each frame */
    uint8_t *rx_buffers, *tx_buffers; /* by the chain's head */
    uint8_t mac[6];
    uint64_t dropped;
};

/* `vio` is probed and a network device. -E_NOMEM, -E_PROTO. Silent until dev_net_attach. */
int dev_net_init(struct dev_net *net, const struct vio *vio);
/* Becomes the station behind `port`. */
void dev_net_attach(struct dev_net *net, struct net_backend *port);
/* Its line is up. One call at a time, no lock held. */
void dev_net_interrupt(struct dev_net *net);

#endif
