#define _GNU_SOURCE

#include "type2/net_tap.h"

#include "core/error.h"
#include "core/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAME_MAX  65550U
#define PIECES_MAX 64U
#define BATCH      64 /* frames before others on the loop have their turn */

struct net_tap {
    struct net_backend backend;
    struct loop *loop;
    struct loop_fd watch;
    struct loop_work resume_work;
    char ifname[IFNAMSIZ];
    size_t held; /* length of the frame in `frame` that the guest had no buffer for; 0: none */
    uint8_t frame[FRAME_MAX];
};

static struct net_tap *net_tap_of(struct net_backend *backend)
{
    return (struct net_tap *)backend;
}

/* A tap's write puts the frame into the host's stack and returns: it waits for nobody. */
static void net_tap_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                         const struct net_checksum *checksum)
{
    struct net_tap *tap = net_tap_of(backend);
    struct iovec pieces[PIECES_MAX];
    uint8_t *joined = NULL;
    size_t len = 0;

    (void)checksum; /* none is left to us */
    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].len > FRAME_MAX - len)
            return;
        if (i < PIECES_MAX)
            pieces[i] = (struct iovec){buffers[i].base, buffers[i].len};
        len += buffers[i].len;
    }
    if (len == 0)
        return;
    if (count > PIECES_MAX) {
        joined = malloc(len);
        if (joined == NULL)
            return;
        size_t at = 0;
        for (unsigned i = 0; i < count; at += buffers[i++].len)
            memcpy(joined + at, buffers[i].base, buffers[i].len);
        pieces[0] = (struct iovec){joined, len};
        count = 1;
    }
    /* A full queue drops it, as a network does. */
    while (writev(tap->watch.fd, pieces, (int)count) < 0 && errno == EINTR)
        ;
    free(joined);
}

static bool net_tap_deliver(struct net_tap *tap, size_t len)
{
    return tap->backend.receive == NULL ||
           tap->backend.receive(tap->backend.device, tap->frame, len);
}

static void net_tap_readable(void *arg, uint32_t events)
{
    struct net_tap *tap = arg;

    (void)events;
    for (int i = 0; i < BATCH && tap->held == 0; i++) {
        ssize_t got = read(tap->watch.fd, tap->frame, sizeof(tap->frame));
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (got < 0 && errno == EIO)
            return; /* the interface is down: nothing comes until it is up again */
        if (got <= 0) {
            host_log(HOST_LOG_WARNING, "tap %s: %s; the guest is off the network", tap->ifname,
                     got < 0 ? strerror(errno) : "closed");
            loop_fd_del(tap->loop, &tap->watch);
            return;
        }
        if (!net_tap_deliver(tap, (size_t)got))
            tap->held = (size_t)got;
    }
    if (tap->held != 0)
        loop_fd_set(tap->loop, &tap->watch, 0);
}

static void net_tap_resumed(void *arg)
{
    struct net_tap *tap = arg;

    if (tap->held == 0 || !net_tap_deliver(tap, tap->held))
        return;
    tap->held = 0;
    loop_fd_set(tap->loop, &tap->watch, EPOLLIN);
}

static void net_tap_resume(struct net_backend *backend)
{
    struct net_tap *tap = net_tap_of(backend);

    loop_work_post(tap->loop, &tap->resume_work);
}

/* An interface that we have made is down; who may make it may set it up. */
static void net_tap_up(const char *ifname)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    strncpy(request.ifr_name, ifname, IFNAMSIZ - 1);
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
        request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
        if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
            host_log(HOST_LOG_WARNING, "tap %s: is down; set it up with: ip link set %s up", ifname,
                     ifname);
    }
    close(fd);
}

static const struct net_ops net_tap_ops = {.send = net_tap_send, .resume = net_tap_resume};

struct net_backend *net_tap_open(const struct net_tap_options *options, struct loop *loop,
                                 struct problem *problem)
{
    const char *name = options->ifname;
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

    if (name == NULL || name[0] == 0 || strlen(name) >= IFNAMSIZ) {
        problem_set(problem, -E_INVAL,
                    "tap %s: an interface's name has 1 to 15 characters; write tap0",
                    name != NULL ? name : "");
        return NULL;
    }
    struct net_tap *tap = calloc(1, sizeof(*tap));
    if (tap == NULL) {
        problem_set(problem, -E_NOMEM, "tap %s: out of memory; free some on this host", name);
        return NULL;
    }
    tap->backend.ops = &net_tap_ops;
    memcpy(tap->backend.mac, options->mac, sizeof(tap->backend.mac));
    tap->loop = loop;
    strcpy(tap->ifname, name);
    loop_work_init(&tap->resume_work, net_tap_resumed, tap);

    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        problem_set(problem, -errno, "tap %s: /dev/net/tun: %s; %s", name, strerror(errno),
                    errno == ENOENT || errno == ENODEV || errno == ENXIO
                        ? "load the host's kernel module: modprobe tun"
                        : "run as root, or let root open it to you: chmod a+rw /dev/net/tun");
        goto failed;
    }
    strcpy(request.ifr_name, name);
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        int error = errno;
        const char *why = strerror(error);
        bool there = if_nametoindex(name) != 0;
        if ((error == EPERM || error == EACCES) && there)
            why = "no permission to use it; be root, or let root make one for you";
        else if (error == EPERM || error == EACCES)
            why = "no such interface, and no permission to make one; be root, or let root make it";
        else if (error == EBUSY)
            why = "in use by another VM; stop that, or make another";
        else if (error == EINVAL && there)
            why = "is not a tap interface; name or make one that is";
        problem_set(problem, -error, "tap %s: %s%s: ip tuntap add %s mode tap user $USER", name,
                    why, strchr(why, ';') == NULL ? "; try another" : "", there ? "NEWNAME" : name);
        goto failed;
    }
    net_tap_up(name);
    tap->watch = (struct loop_fd){.fd = fd, .events = EPOLLIN, .fn = net_tap_readable, .arg = tap};
    int error = loop_fd_add(loop, &tap->watch);
    if (error == 0)
        return &tap->backend;
    problem_set(problem, error, "tap %s: cannot be watched: %s", name, strerror(-error));

failed:
    if (fd >= 0)
        close(fd);
    free(tap);
    return NULL;
}

static void net_tap_end(void *arg)
{
    struct net_tap *tap = arg;

    if (tap->watch.added)
        loop_fd_del(tap->loop, &tap->watch);
    loop_work_cancel(tap->loop, &tap->resume_work);
}

void net_tap_close(struct net_backend *backend)
{
    if (backend == NULL)
        return;
    struct net_tap *tap = net_tap_of(backend);

    loop_call(tap->loop, net_tap_end, tap);
    close(tap->watch.fd);
    free(tap);
}
