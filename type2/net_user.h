/*
 * User-mode networking by libslirp: the guest sits behind a NAT in 10.0.2.0/24 with the host
 * at 10.0.2.2, a DNS forwarder at 10.0.2.3 and DHCP that gives 10.0.2.15, as in QEMU. No privilege
 * is needed.
 *
 * slirp runs on the loop's thread alone; frames of the guest go there through a bounded queue.
 */
#ifndef TYPE2_NET_USER_H
#define TYPE2_NET_USER_H

#include "core/spec.h"
#include "devices/backend.h"
#include "type2/loop.h"
#include "type2/problem.h"

struct net_user_options {
    uint8_t mac[6];                      /* the guest's; for the backend's mac */
    const char *hostname;                /* given to the guest by DHCP; NULL: none */
    const struct spec_forward *forwards; /* host address and port to a port of 10.0.2.15 */
    unsigned forward_count;
};

/*
 * NULL with one line ("port 127.0.0.1:8080/tcp: in use ...") when a forward cannot be had: nothing
 * is left open then. Not from a callback of the loop. Set backend->receive and ->device before the
 * loop runs or the guest does.
 */
struct net_backend *net_user_open(const struct net_user_options *options, struct loop *loop,
                                  struct problem *problem);
/* Closes all connections. Any thread but a callback of receive; waits for the loop. */
void net_user_close(struct net_backend *backend);

#endif
