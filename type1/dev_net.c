#include "type1/dev_net.h"

#include "core/error.h"

#define NET_F_MAC (1ULL << 5) /* 5.1.3 */

/* 5.1.6.1: a legacy device's header has no num_buffers unless it merges them, which we do not ask.
 */
#define HEADER_LEGACY 10
#define HEADER_SIZE   12

static uint8_t *buffer_of(uint8_t *buffers, uint16_t head)
{
    return buffers + (size_t)head * DEV_NET_BUFFER;
}

/* ---- To the wire ---- */

static bool transmit(void *device, const void *frame, size_t len)
{
    struct dev_net *net = device;
    uint16_t head;
    uint32_t written;

    if (len > DEV_NET_BUFFER - net->header)
        return false;
    host_lock_acquire(&net->lock);
    while (vio_take(&net->tx, &head, &written))
        ;
    bool room = vio_room(&net->tx, 1);
    if (room) {
        head = vio_begin(&net->tx);
        uint8_t *buffer = buffer_of(net->tx_buffers, head);
        memset(buffer, 0, net->header);
        memcpy(buffer + net->header, frame, len);
        vio_add(&net->tx, buffer, net->header + len, false);
        vio_end(&net->tx);
        vio_kick(&net->tx);
    } else {
        net->dropped++;
    }
    host_lock_release(&net->lock);
    return room;
}

/* ---- From the wire ---- */

static void offer_buffer(struct dev_net *net)
{
    uint16_t head = vio_begin(&net->rx);
    vio_add(&net->rx, buffer_of(net->rx_buffers, head), DEV_NET_BUFFER, true);
    vio_end(&net->rx);
}

void dev_net_interrupt(struct dev_net *net)
{
    uint16_t head;
    uint32_t written;
    bool any = false;

    /* What a full ring does not hold has come after the acknowledgement, and interrupts again. */
    vio_acknowledge(&net->vio);
    for (unsigned i = 0; i < DEV_NET_RING && vio_take(&net->rx, &head, &written); i++) {
        struct buffer frame = {.base = buffer_of(net->rx_buffers, head) + net->header};
        if (written > net->header && written <= DEV_NET_BUFFER && net->port != NULL) {
            frame.len = written - net->header;
            net->port->ops->send(net->port, &frame, 1, NULL);
        }
        offer_buffer(net);
        any = true;
    }
    if (any)
        vio_kick(&net->rx);
}

/* ---- The start ---- */

void dev_net_attach(struct dev_net *net, struct net_backend *port)
{
    port->device = net;
    port->receive = transmit;
    net->port = port;
    while (vio_room(&net->rx, 1))
        offer_buffer(net);
    vio_kick(&net->rx);
}

static int queue_start(struct dev_net *net, struct vio_queue *queue, unsigned index)
{
    unsigned size = vio_queue_max(&net->vio, index);
    return vio_queue_init(queue, &net->vio, index, size < DEV_NET_RING ? size : DEV_NET_RING);
}

int dev_net_init(struct dev_net *net, const struct vio *vio)
{
    memset(net, 0, sizeof *net);
    host_lock_init(&net->lock);
    net->vio = *vio;
    net->header = vio->legacy ? HEADER_LEGACY : HEADER_SIZE;
    int error = vio_start(&net->vio, NET_F_MAC);
    if (error == 0)
        error = queue_start(net, &net->rx, 0);
    if (error == 0)
        error = queue_start(net, &net->tx, 1);
    if (error == 0) {
        net->rx_buffers = host_alloc((size_t)DEV_NET_RING * DEV_NET_BUFFER, 64);
        net->tx_buffers = host_alloc((size_t)DEV_NET_RING * DEV_NET_BUFFER, 64);
        if (net->rx_buffers == NULL || net->tx_buffers == NULL)
            error = -E_NOMEM;
    }
    if (error != 0) {
        vio_stop(&net->vio);
        return error;
    }
    uint32_t words[2] = {vio_config(&net->vio, 0), vio_config(&net->vio, 4)};
    if ((net->vio.features & NET_F_MAC) != 0)
        memcpy(net->mac, words, sizeof net->mac);
    vio_quiet(&net->tx);
    vio_ready(&net->vio);
    return 0;
}
