/*
 * A switch between guests: one Ethernet segment (IEEE 802.1D in spirit) whose ports are net
 * backends. It learns which address is behind which port, floods what it does not know, and drops
 * what a receiver has no buffer for.
 *
 * The address that a port was made with is its own for ever: a frame that claims it on another port
 * is dropped, so no guest takes another's traffic over. Beyond it a port is remembered by at most
 * SWITCH_ADDRESSES - 1 more, of which the oldest is forgotten first; no port can make the switch
 * forget what is behind another. Nothing is allocated here.
 */
#ifndef TYPE1_DEV_SWITCH_H
#define TYPE1_DEV_SWITCH_H

#include "core/host.h"
#include "devices/backend.h"

#include <stdatomic.h>

#define SWITCH_PORTS_MAX 136
#define SWITCH_ADDRESSES 16
#define SWITCH_BUCKETS   256
#define SWITCH_FRAME_MAX 9216 /* bytes with header; longer frames are dropped */

struct switch_port;

struct switch_address {
    uint64_t mac; /* 48 bits; 0: free */
    struct switch_port *port;
    struct switch_address *next; /* of the same bucket */
    bool fixed;
};

struct net_switch {
    const char *name;
    struct host_lock lock; /* addresses and buckets */
    struct switch_address *buckets[SWITCH_BUCKETS];
    struct switch_port *ports[SWITCH_PORTS_MAX];
    _Atomic unsigned port_count;
};

struct switch_counts {
    _Atomic uint64_t sent, delivered;
    _Atomic uint64_t no_buffer; /* dropped: the receiver had none */
    _Atomic uint64_t refused;   /* dropped: too short, too long, or from another's address */
};

struct switch_port {
    struct net_backend backend; /* first; whoever is behind the port sets receive and device */
    struct net_switch *lan;
    struct host_lock delivery; /* one receive at a time */
    struct switch_address addresses[SWITCH_ADDRESSES];
    unsigned victim;
    struct switch_counts counts;
    uint8_t frame[SWITCH_FRAME_MAX]; /* being sent; a port sends one frame at a time */
};

void switch_init(struct net_switch *lan, const char *name);
/*
 * `mac`: the station behind the port, or NULL: none that is known beforehand (an uplink). Other
 * ports may be in use. -E_NOSPC; -E_EXIST another port has the address.
 */
int switch_add(struct net_switch *lan, struct switch_port *port, const uint8_t *mac);
/*
 * Nobody is behind the port any more: once this returns its device is not called, until another
 * one sets receive. The port's address stays its own.
 */
void switch_unplug(struct switch_port *port);

#endif
