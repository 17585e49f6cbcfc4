#include "devices/virtio/net.h"

#include "core/error.h"

/* Feature bits, 5.1.3. */
#define NET_F_CSUM       (1ULL << 0)
#define NET_F_GUEST_CSUM (1ULL << 1)
#define NET_F_MTU        (1ULL << 3)
#define NET_F_MAC        (1ULL << 5)
#define NET_F_MRG_RXBUF  (1ULL << 15)
#define NET_F_STATUS     (1ULL << 16)

#define NET_S_LINK_UP 1
#define FRAME_MIN     14 /* an Ethernet header */

enum { NET_RX = 0, NET_TX = 1 };

enum net_flags { NET_HDR_F_NEEDS_CSUM = 1, NET_HDR_F_DATA_VALID = 2 };

/* 5.1.6; what no negotiated feature fills is zero. */
struct net_header {
    uint8_t flags; /* enum net_flags */
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t num_buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "5.1.6");

static struct virtio_net *net_of(struct virtio_device *device)
{
    return (struct virtio_net *)(void *)device;
}

/* The frame without its header, to the world. Without the lock; tx_busy keeps the chain ours. */
static void net_send(struct virtio_net *net)
{
    struct virtq_chain *chain = &net->tx;
    struct net_header header;
    struct net_checksum checksum;
    size_t skip = sizeof(header);
    unsigned first = 0;

    if (chain->readable_bytes < skip + FRAME_MIN ||
        chain->readable_bytes > skip + VIRTIO_NET_FRAME_MAX)
        return;
    virtq_chain_read(chain, 0, &header, sizeof(header));
    checksum = (struct net_checksum){header.csum_start, header.csum_offset};
    /* 5.1.6.2: without the flag, the two are not looked at. */
    bool partial =
        virtio_has(&net->virtio, NET_F_CSUM) && (header.flags & NET_HDR_F_NEEDS_CSUM) != 0;
    if (partial && checksum.start + checksum.offset + 2ULL > chain->readable_bytes - skip)
        return;
    for (; skip >= chain->buffers[first].len; first++)
        skip -= chain->buffers[first].len;
    chain->buffers[first].base = (uint8_t *)chain->buffers[first].base + skip;
    chain->buffers[first].len -= skip;
    net->backend->ops->send(net->backend, &chain->buffers[first], chain->readable_count - first,
                            partial ? &checksum : NULL);
}

static void net_transmit(struct virtio_net *net)
{
    struct virtio_device *device = &net->virtio;
    bool sent = false;

    virtio_lock(device);
    /* The thread that sends looks at the queue once more, under the lock, before it leaves. */
    if (net->tx_busy) {
        virtio_unlock(device);
        return;
    }
    net->tx_busy = true;
    while (virtio_pop(device, NET_TX, &net->tx) != 0) {
        virtio_unlock(device);
        net_send(net);
        host_breathe();
        virtio_lock(device);
        virtio_push(device, NET_TX, &net->tx, 0);
        sent = true;
    }
    net->tx_busy = false;
    if (sent)
        virtio_signal(device, NET_TX);
    virtio_unlock(device);
}

static void net_notify(struct virtio_device *device, unsigned queue)
{
    struct virtio_net *net = net_of(device);
    bool resume;

    if (queue == NET_TX) {
        net_transmit(net);
        return;
    }
    virtio_lock(device);
    resume = net->rx_waiting && virtio_live(device);
    if (resume)
        net->rx_waiting = false;
    virtio_unlock(device);
    if (resume && net->backend->ops->resume != NULL)
        net->backend->ops->resume(net->backend);
}

/*
 * Puts a header and the frame into as many chains as it takes (one, without MRG_RXBUF) and
 * publishes them together; 5.1.6.4. False: not enough buffers yet, and none was taken.
 */
static bool net_deliver(struct virtio_net *net, const uint8_t *frame, size_t len)
{
    struct virtio_device *device = &net->virtio;
    struct virtqueue *queue = &device->queues[NET_RX];
    struct net_header header = {.flags = virtio_has(device, NET_F_GUEST_CSUM) ? NET_HDR_F_DATA_VALID
                                                                              : 0};
    size_t placed = 0;
    uint16_t count = 0;

    do {
        struct virtq_chain *chain = count == 0 ? &net->rx_first : &net->rx_more;
        size_t start = count == 0 ? sizeof(header) : 0;

        if (virtio_pop(device, NET_RX, chain) == 0) {
            virtqueue_unpop(queue, count);
            return false;
        }
        if (chain->writable_bytes <= start) {
            virtio_needs_reset(device);
            return true;
        }
        if (!virtio_has(device, NET_F_MRG_RXBUF) && chain->writable_bytes < start + len) {
            virtqueue_unpop(queue, 1);
            return true;
        }
        size_t piece = virtq_chain_write(chain, device->mem, start, frame + placed, len - placed);
        virtqueue_fill(queue, device->mem, count, chain->head, (uint32_t)(start + piece));
        placed += piece;
        count++;
    } while (placed < len);

    header.num_buffers = count;
    virtq_chain_write(&net->rx_first, device->mem, 0, &header, sizeof(header));
    virtqueue_publish(queue, device->mem, count);
    virtio_signal(device, NET_RX);
    return true;
}

/* From the backend's thread. Frames that no Ethernet carries, or that come while the link is down,
 * are lost. */
static bool net_receive(void *opaque, const void *frame, size_t len)
{
    struct virtio_net *net = opaque;
    bool taken = true;

    if (len < FRAME_MIN || len > VIRTIO_NET_FRAME_MAX)
        return true;
    virtio_lock(&net->virtio);
    if (net->config.status & NET_S_LINK_UP) {
        taken = net_deliver(net, frame, len);
        if (!taken)
            net->rx_waiting = true;
    }
    virtio_unlock(&net->virtio);
    return taken;
}

static void net_state(struct virtio_device *device, struct state *state)
{
    struct virtio_net *net = net_of(device);

    state_section(state, "virtio-net", 1);
    state_bytes(state, net->config.mac, sizeof(net->config.mac));
    state_u16(state, &net->config.status);
    state_u16(state, &net->config.mtu);
}

static const struct virtio_ops net_ops = {
    .notify = net_notify,
    .state = net_state,
};

void virtio_net_init(struct virtio_net *net, struct memory *mem, struct net_backend *backend)
{
    net->backend = backend;
    net->config = (struct virtio_net_config){
        .status = NET_S_LINK_UP,
        .max_virtqueue_pairs = 1,
        .mtu = backend->mtu,
    };
    memcpy(net->config.mac, backend->mac, sizeof(net->config.mac));
    net->tx_busy = false;
    net->rx_waiting = false;
    uint64_t features = NET_F_MAC | NET_F_STATUS | NET_F_MRG_RXBUF;
    if (backend->mtu >= 68) /* 5.1.4.1: a smaller one must not be offered */
        features |= NET_F_MTU;
    if (backend->checksums)
        features |= NET_F_CSUM | NET_F_GUEST_CSUM;
    virtio_init(&net->virtio, &net_ops, VIRTIO_ID_NET, mem, features, 2, &net->config,
                sizeof(net->config));
    backend->device = net;
    backend->receive = net_receive;
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
    uint16_t status = up ? NET_S_LINK_UP : 0;

    virtio_lock(&net->virtio);
    if (net->config.status != status) {
        net->config.status = status;
        virtio_config_changed(&net->virtio);
    }
    virtio_unlock(&net->virtio);
}
