#include "type1/dev_switch.h"

#include "core/error.h"

#define HEADER_SIZE 14           /* destination, source, type */
#define GROUP_BIT   (1ULL << 40) /* of the first byte: multicast and broadcast */

static uint64_t mac_at(const uint8_t *bytes)
{
    uint64_t mac = 0;
    for (unsigned i = 0; i < 6; i++)
        mac = mac << 8 | bytes[i];
    return mac;
}

/* ---- Addresses; the switch's lock is held ---- */

static struct switch_address **bucket_of(struct net_switch *lan, uint64_t mac)
{
    return &lan->buckets[(mac * 0x9e3779b97f4a7c15ULL) >> 56];
}

static struct switch_address *address_find(struct net_switch *lan, uint64_t mac)
{
    struct switch_address *address = *bucket_of(lan, mac);
    while (address != NULL && address->mac != mac)
        address = address->next;
    return address;
}

static void address_remove(struct net_switch *lan, struct switch_address *address)
{
    struct switch_address **link = bucket_of(lan, address->mac);
    while (*link != address)
        link = &(*link)->next;
    *link = address->next;
    address->mac = 0;
}

static void address_add(struct net_switch *lan, struct switch_address *address, uint64_t mac)
{
    struct switch_address **bucket = bucket_of(lan, mac);
    address->mac = mac;
    address->next = *bucket;
    *bucket = address;
}

/* False: the address is another port's own. */
static bool learn(struct switch_port *port, uint64_t mac)
{
    struct net_switch *lan = port->lan;
    struct switch_address *address = address_find(lan, mac);

    if (address != NULL && address->port == port)
        return true;
    if (address != NULL && address->fixed)
        return false;
    if (address != NULL)
        address_remove(lan, address); /* the station has moved */
    /* The first place is kept for the port's own. */
    address = &port->addresses[1 + port->victim];
    port->victim = (port->victim + 1) % (SWITCH_ADDRESSES - 1);
    if (address->mac != 0)
        address_remove(lan, address);
    address_add(lan, address, mac);
    return true;
}

/* ---- Frames ---- */

static void deliver(struct switch_port *port, const void *frame, size_t len)
{
    bool taken = false;
    host_lock_acquire(&port->delivery);
    if (port->backend.receive != NULL)
        taken = port->backend.receive(port->backend.device, frame, len);
    host_lock_release(&port->delivery);
    atomic_fetch_add_explicit(taken ? &port->counts.delivered : &port->counts.no_buffer, 1,
                              memory_order_relaxed);
}

/* A copy is looked at and sent on: the guest may change its own meanwhile. 0: not a frame for us.
 */
static size_t gather(struct switch_port *port, const struct buffer *buffers, unsigned count)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].len > SWITCH_FRAME_MAX - len)
            return 0;
        memcpy(port->frame + len, buffers[i].base, buffers[i].len);
        len += buffers[i].len;
    }
    return len >= HEADER_SIZE ? len : 0;
}

static void switch_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                        const struct net_checksum *checksum)
{
    struct switch_port *port = (struct switch_port *)backend, *to = NULL;
    struct net_switch *lan = port->lan;
    size_t len = gather(port, buffers, count);
    uint64_t destination = mac_at(port->frame), source = mac_at(port->frame + 6);
    bool good = len != 0 && source != 0 && (source & GROUP_BIT) == 0;

    (void)checksum; /* none is left to us */
    if (good) {
        host_lock_acquire(&lan->lock);
        good = learn(port, source);
        struct switch_address *address =
            (destination & GROUP_BIT) == 0 ? address_find(lan, destination) : NULL;
        to = address != NULL ? address->port : NULL;
        host_lock_release(&lan->lock);
    }
    if (!good) {
        atomic_fetch_add_explicit(&port->counts.refused, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&port->counts.sent, 1, memory_order_relaxed);
    if (to != NULL) {
        if (to != port)
            deliver(to, port->frame, len);
        return;
    }
    unsigned ports = atomic_load_explicit(&lan->port_count, memory_order_acquire);
    for (unsigned i = 0; i < ports; i++) {
        if (lan->ports[i] != port)
            deliver(lan->ports[i], port->frame, len);
    }
}

/* ---- Building ---- */

void switch_init(struct net_switch *lan, const char *name)
{
    memset(lan, 0, sizeof *lan);
    lan->name = name;
    host_lock_init(&lan->lock);
}

int switch_add(struct net_switch *lan, struct switch_port *port, const uint8_t *mac)
{
    static const struct net_ops ops = {.send = switch_send};
    int error = 0;

    memset(port, 0, sizeof *port);
    port->backend.ops = &ops;
    port->lan = lan;
    host_lock_init(&port->delivery);
    for (unsigned i = 0; i < SWITCH_ADDRESSES; i++)
        port->addresses[i].port = port;
    host_lock_acquire(&lan->lock);
    unsigned at = atomic_load_explicit(&lan->port_count, memory_order_relaxed);
    if (at == SWITCH_PORTS_MAX) {
        error = -E_NOSPC;
    } else if (mac != NULL) {
        struct switch_address *known = address_find(lan, mac_at(mac));
        if (known != NULL && known->fixed)
            error = -E_EXIST;
        else if (known != NULL)
            address_remove(lan, known);
    }
    if (error == 0) {
        if (mac != NULL) {
            memcpy(port->backend.mac, mac, 6);
            port->addresses[0].fixed = true;
            address_add(lan, &port->addresses[0], mac_at(mac));
        }
        lan->ports[at] = port;
        atomic_store_explicit(&lan->port_count, at + 1, memory_order_release);
    }
    host_lock_release(&lan->lock);
    return error;
}

void switch_unplug(struct switch_port *port)
{
    host_lock_acquire(&port->delivery);
    port->backend.receive = NULL;
    port->backend.device = NULL;
    host_lock_release(&port->delivery);
}
