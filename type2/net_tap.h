/*
 * A tap interface of the host as a net backend (IFF_TAP | IFF_NO_PI). The interface exists already,
 * or is made for as long as the VM runs when the user may do that.
 */
#ifndef TYPE2_NET_TAP_H
#define TYPE2_NET_TAP_H

#include "devices/backend.h"
#include "type2/loop.h"
#include "type2/problem.h"

struct net_tap_options {
    uint8_t mac[6]; /* the guest's */
    const char *ifname;
};

/* NULL with one line: no permission, no such interface, in use, not a tap, no /dev/net/tun. */
struct net_backend *net_tap_open(const struct net_tap_options *options, struct loop *loop,
                                 struct problem *problem);
void net_tap_close(struct net_backend *backend);

#endif
