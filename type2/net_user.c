#define _GNU_SOURCE

#include "type2/net_user.h"

#include "core/error.h"
#include "core/host.h"

#include <errno.h>
#include <pthread.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Large frames cost a guest less for each byte. slirp announces a window of at most 65,535 bytes of
 * its 128 KiB, and one that was closed opens again with a message only for two segments or half of
 * the buffer: a sender of larger segments than a third of the window would wait for its own timer.
 */
#define SEGMENT    21840U
#define MTU        (SEGMENT + 40)
#define FRAME_MAX  65550U       /* the largest IP packet with its Ethernet header */
#define QUEUE_SIZE (512U << 10) /* bytes of frames that wait, each way */
#define NETWORK    0x0a000200U  /* 10.0.2.0/24, the addresses of QEMU's user network */
#define NETMASK    0xffffff00U
#define HOST       0x0a000202U
#define NAMESERVER 0x0a000203U
#define GUEST      0x0a00020fU

/* Frames one after the other, each behind its length, from `head` to `tail`; starts over when it
 * has run empty. */
struct frames {
    uint8_t *bytes;
    size_t head, tail;
};

/* A descriptor of slirp's that the loop watches. */
struct slirp_fd {
    struct net_user *net;
    struct slirp_fd *next;
    struct loop_fd watch;
    uint32_t wanted; /* events of the latest fill */
    uint32_t seen;   /* events since the latest poll */
    uint64_t round;  /* of the latest fill that named it */
};

struct net_user {
    struct net_backend backend;
    struct loop *loop;

    pthread_mutex_t lock;
    struct frames out; /* guest to slirp, filled by VCPU threads */

    /* The loop's thread. */
    Slirp *slirp;
    struct frames busy;    /* taken from `out`, on the way into slirp */
    struct frames held;    /* slirp to guest, when the guest had no buffer */
    struct slirp_fd **fds; /* by descriptor */
    size_t fds_size;
    struct slirp_fd *first; /* the same as a list */
    uint64_t round;
    bool poll_due; /* something happened to a descriptor, or time ran out */
    bool fill_due; /* slirp's wishes may have changed */
    struct loop_hook hook;
    struct loop_work out_work, resume_work;
    struct loop_timer timeout;

    const struct net_user_options *options; /* while opening */
    struct problem *problem;
    int error;
};

static struct net_user *net_user_of(struct net_backend *backend)
{
    return (struct net_user *)backend;
}

/* ---- queues of frames ---- */

/* Room for one frame, or NULL. frames_push ends what this began. */
static uint8_t *frames_room(struct frames *frames, size_t len)
{
    size_t need = sizeof(uint32_t) + ((len + 3) & ~(size_t)3);

    if (frames->head == frames->tail)
        frames->head = frames->tail = 0;
    if (need > QUEUE_SIZE - frames->tail && frames->head > QUEUE_SIZE / 2) {
        memmove(frames->bytes, frames->bytes + frames->head, frames->tail - frames->head);
        frames->tail -= frames->head;
        frames->head = 0;
    }
    return need <= QUEUE_SIZE - frames->tail ? frames->bytes + frames->tail + sizeof(uint32_t)
                                             : NULL;
}

static void frames_push(struct frames *frames, size_t len)
{
    uint32_t length = (uint32_t)len;

    memcpy(frames->bytes + frames->tail, &length, sizeof(length));
    frames->tail += sizeof(uint32_t) + ((len + 3) & ~(size_t)3);
}

/* The first frame, or NULL. */
static const uint8_t *frames_first(const struct frames *frames, size_t *len)
{
    uint32_t length;

    if (frames->head == frames->tail)
        return NULL;
    memcpy(&length, frames->bytes + frames->head, sizeof(length));
    *len = length;
    return frames->bytes + frames->head + sizeof(length);
}

static void frames_pop(struct frames *frames, size_t len)
{
    frames->head += sizeof(uint32_t) + ((len + 3) & ~(size_t)3);
}

/* ---- guest to world ---- */

/* RFC 1071: the order of the bytes in a word does not matter, nor how many words are added at once.
 */
static uint16_t internet_checksum(const uint8_t *bytes, size_t len)
{
    uint64_t sums[4] = {0}, sum;
    uint32_t words[4];

    for (; len >= sizeof(words); bytes += sizeof(words), len -= sizeof(words)) {
        memcpy(words, bytes, sizeof(words));
        for (unsigned i = 0; i < 4; i++)
            sums[i] += words[i];
    }
    memset(words, 0, sizeof(words));
    memcpy(words, bytes, len);
    sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += sums[i] + words[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void checksum_fill(uint8_t *frame, size_t len, const struct net_checksum *checksum)
{
    uint16_t value = internet_checksum(frame + checksum->start, len - checksum->start);

    if (value == 0) /* RFC 768: in UDP, 0 says that there is none; 0xffff is the same sum */
        value = 0xffff;
    memcpy(frame + checksum->start + checksum->offset, &value, sizeof(value));
}

static void net_user_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                          const struct net_checksum *checksum)
{
    struct net_user *net = net_user_of(backend);
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].len > FRAME_MAX - len)
            return;
        len += buffers[i].len;
    }
    if (len == 0)
        return;
    pthread_mutex_lock(&net->lock);
    bool wake = net->out.head == net->out.tail;
    uint8_t *to = frames_room(&net->out, len);
    if (to != NULL) {
        size_t at = 0;
        for (unsigned i = 0; i < count; at += buffers[i++].len)
            memcpy(to + at, buffers[i].base, buffers[i].len);
        if (checksum != NULL)
            checksum_fill(to, len, checksum);
        frames_push(&net->out, len);
    }
    pthread_mutex_unlock(&net->lock);
    if (wake && to != NULL)
        loop_work_post(net->loop, &net->out_work);
}

static void net_user_out(void *arg)
{
    struct net_user *net = arg;
    const uint8_t *frame;
    size_t len;

    pthread_mutex_lock(&net->lock);
    struct frames taken = net->out;
    net->out = net->busy;
    net->out.head = net->out.tail = 0;
    pthread_mutex_unlock(&net->lock);
    while ((frame = frames_first(&taken, &len)) != NULL) {
        slirp_input(net->slirp, frame, (int)len);
        frames_pop(&taken, len);
    }
    net->busy = taken;
    net->fill_due = true;
}

/* ---- world to guest ---- */

static void net_user_deliver_held(void *arg)
{
    struct net_user *net = arg;
    const uint8_t *frame;
    size_t len;

    while ((frame = frames_first(&net->held, &len)) != NULL) {
        if (!net->backend.receive(net->backend.device, frame, len))
            return;
        frames_pop(&net->held, len);
    }
}

static void net_user_resume(struct net_backend *backend)
{
    struct net_user *net = net_user_of(backend);

    loop_work_post(net->loop, &net->resume_work);
}

static ssize_t slirp_sends(const void *bytes, size_t len, void *opaque)
{
    struct net_user *net = opaque;

    if (net->backend.receive == NULL || len == 0 || len > FRAME_MAX)
        return (ssize_t)len;
    if (net->held.head == net->held.tail && net->backend.receive(net->backend.device, bytes, len))
        return (ssize_t)len;
    uint8_t *to = frames_room(&net->held, len);
    if (to != NULL) { /* else it is lost, as on any network */
        memcpy(to, bytes, len);
        frames_push(&net->held, len);
    }
    return (ssize_t)len;
}

/* ---- slirp's descriptors ---- */

static void slirp_fd_drop(struct net_user *net, struct slirp_fd *fd)
{
    struct slirp_fd **at = &net->first;

    while (*at != fd)
        at = &(*at)->next;
    *at = fd->next;
    net->fds[fd->watch.fd] = NULL;
    if (fd->watch.added)
        loop_fd_del(net->loop, &fd->watch);
    free(fd);
}

static void slirp_fd_event(void *arg, uint32_t events)
{
    struct slirp_fd *fd = arg;

    fd->seen |= events;
    fd->net->poll_due = true;
}

static struct slirp_fd *slirp_fd_find(struct net_user *net, int fd)
{
    return fd >= 0 && (size_t)fd < net->fds_size ? net->fds[fd] : NULL;
}

static struct slirp_fd *slirp_fd_new(struct net_user *net, int fd)
{
    if ((size_t)fd >= net->fds_size) {
        size_t size = ((size_t)fd + 64) & ~(size_t)63;
        struct slirp_fd **fds = realloc(net->fds, size * sizeof(struct slirp_fd *));
        if (fds == NULL)
            return NULL;
        memset(fds + net->fds_size, 0, (size - net->fds_size) * sizeof(struct slirp_fd *));
        net->fds = fds;
        net->fds_size = size;
    }
    struct slirp_fd *new = calloc(1, sizeof(*new));
    if (new == NULL)
        return NULL;
    new->net = net;
    new->watch = (struct loop_fd){.fd = fd, .fn = slirp_fd_event, .arg = new};
    new->next = net->first;
    net->first = new;
    net->fds[fd] = new;
    return new;
}

/* slirp names a descriptor that it wants watched; the answer is what get_events is asked with. */
static int slirp_add_poll(int number, int events, void *opaque)
{
    struct net_user *net = opaque;
    struct slirp_fd *fd = slirp_fd_find(net, number);

    if (fd == NULL && (number < 0 || (fd = slirp_fd_new(net, number)) == NULL))
        return -1;
    if (fd->round != net->round) {
        fd->round = net->round;
        fd->wanted = 0;
    }
    fd->wanted |= (events & SLIRP_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                  (events & SLIRP_POLL_OUT ? (uint32_t)EPOLLOUT : 0) |
                  (events & SLIRP_POLL_PRI ? (uint32_t)EPOLLPRI : 0);
    return number;
}

static int slirp_get_events(int number, void *opaque)
{
    struct slirp_fd *fd = slirp_fd_find(opaque, number);

    if (fd == NULL)
        return 0;
    return (fd->seen & EPOLLIN ? SLIRP_POLL_IN : 0) | (fd->seen & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
           (fd->seen & EPOLLPRI ? SLIRP_POLL_PRI : 0) | (fd->seen & EPOLLERR ? SLIRP_POLL_ERR : 0) |
           (fd->seen & EPOLLHUP ? SLIRP_POLL_HUP : 0);
}

static void net_user_fill(struct net_user *net)
{
    uint32_t timeout_ms = UINT32_MAX;

    net->fill_due = false;
    net->round++;
    slirp_pollfds_fill(net->slirp, &timeout_ms, slirp_add_poll, net);
    for (struct slirp_fd *fd = net->first, *next; fd != NULL; fd = next) {
        next = fd->next;
        if (fd->round != net->round) {
            slirp_fd_drop(net, fd);
        } else if (fd->watch.added) {
            loop_fd_set(net->loop, &fd->watch, fd->wanted);
        } else {
            fd->watch.events = fd->wanted;
            loop_fd_add(net->loop, &fd->watch);
        }
    }
    if (timeout_ms == UINT32_MAX)
        loop_timer_cancel(net->loop, &net->timeout);
    else
        loop_timer_arm(net->loop, &net->timeout, host_time_ns() + timeout_ms * 1000000ULL);
}

static void net_user_before_sleep(void *arg)
{
    struct net_user *net = arg;

    if (net->poll_due) {
        net->poll_due = false;
        slirp_pollfds_poll(net->slirp, 0, slirp_get_events, net);
        for (struct slirp_fd *fd = net->first; fd != NULL; fd = fd->next)
            fd->seen = 0;
        net->fill_due = true;
    }
    if (net->fill_due)
        net_user_fill(net);
}

static void net_user_timeout(void *arg)
{
    struct net_user *net = arg;

    net->poll_due = true;
}

/* ---- what slirp asks of us ---- */

struct slirp_timer {
    struct net_user *net;
    struct loop_timer timer;
    SlirpTimerCb fn;
    void *arg;
};

static void slirp_timer_fired(void *arg)
{
    struct slirp_timer *timer = arg;

    timer->net->fill_due = true;
    timer->fn(timer->arg);
}

static void *slirp_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
    struct slirp_timer *timer = calloc(1, sizeof(*timer));

    if (timer == NULL)
        return NULL;
    timer->net = opaque;
    timer->fn = fn;
    timer->arg = arg;
    loop_timer_init(&timer->timer, slirp_timer_fired, timer);
    return timer;
}

static void slirp_timer_free(void *arg, void *opaque)
{
    struct slirp_timer *timer = arg;

    (void)opaque;
    if (timer == NULL)
        return;
    loop_timer_cancel(timer->net->loop, &timer->timer);
    free(timer);
}

static void slirp_timer_mod(void *arg, int64_t expire_ms, void *opaque)
{
    struct slirp_timer *timer = arg;

    (void)opaque;
    if (timer != NULL)
        loop_timer_arm(timer->net->loop, &timer->timer,
                       expire_ms > 0 ? (uint64_t)expire_ms * 1000000U : 0);
}

static int64_t slirp_clock(void *opaque)
{
    (void)opaque;
    return (int64_t)host_time_ns();
}

static void slirp_guest_error(const char *message, void *opaque)
{
    (void)opaque;
    host_log(HOST_LOG_DEBUG, "user network: the guest sent nonsense: %s", message);
}

/* A number that is registered anew is another socket than the one that we knew by it. */
static void slirp_fd_changed(int number, void *opaque)
{
    struct net_user *net = opaque;
    struct slirp_fd *fd = slirp_fd_find(net, number);

    if (fd != NULL)
        slirp_fd_drop(net, fd);
    net->fill_due = true;
}

static void slirp_notify(void *opaque)
{
    struct net_user *net = opaque;

    net->fill_due = true;
}

static const SlirpCb slirp_calls = {
    .send_packet = slirp_sends,
    .guest_error = slirp_guest_error,
    .clock_get_ns = slirp_clock,
    .timer_new = slirp_timer_new,
    .timer_free = slirp_timer_free,
    .timer_mod = slirp_timer_mod,
    .register_poll_fd = slirp_fd_changed,
    .unregister_poll_fd = slirp_fd_changed,
    .notify = slirp_notify,
};

/* ---- opening and closing, on the loop's thread ---- */

static struct in_addr address(uint32_t ipv4)
{
    return (struct in_addr){.s_addr = htonl(ipv4)};
}

static int net_user_forward(struct net_user *net, const struct spec_forward *forward)
{
    errno = 0;
    if (slirp_add_hostfwd(net->slirp, forward->udp, address(forward->host_address),
                          forward->host_port, address(GUEST), forward->guest_port) >= 0)
        return 0;
    int error = errno != 0 ? errno : EADDRINUSE;
    const char *why = "cannot be forwarded; choose another";
    if (error == EADDRINUSE)
        why = "in use by another program; choose another port or stop that program";
    else if (error == EACCES || error == EPERM)
        why = "no permission: ports below 1024 are for root; choose one above";
    else if (error == EADDRNOTAVAIL)
        why = "this host does not have that address; take 127.0.0.1 or one of 'ip address'";
    uint32_t host = forward->host_address;
    return problem_set(net->problem, -error, "port %u.%u.%u.%u:%u/%s: %s", host >> 24,
                       host >> 16 & 0xff, host >> 8 & 0xff, host & 0xff, forward->host_port,
                       forward->udp ? "udp" : "tcp", why);
}

static void net_user_end(void *arg)
{
    struct net_user *net = arg;

    loop_hook_del(net->loop, &net->hook);
    loop_work_cancel(net->loop, &net->out_work);
    loop_work_cancel(net->loop, &net->resume_work);
    if (net->slirp != NULL) {
        const struct net_user_options *options = net->options;
        /* slirp_cleanup leaves listening sockets to us where opening has failed half-way. */
        for (unsigned i = 0; options != NULL && i < options->forward_count; i++)
            slirp_remove_hostfwd(net->slirp, options->forwards[i].udp,
                                 address(options->forwards[i].host_address),
                                 options->forwards[i].host_port);
        net->backend.receive = NULL;
        slirp_cleanup(net->slirp);
    }
    while (net->first != NULL)
        slirp_fd_drop(net, net->first);
    loop_timer_cancel(net->loop, &net->timeout);
}

static void net_user_begin(void *arg)
{
    struct net_user *net = arg;
    SlirpConfig config = {
        .version = 1,
        .in_enabled = true,
        .vnetwork = address(NETWORK),
        .vnetmask = address(NETMASK),
        .vhost = address(HOST),
        .vdhcp_start = address(GUEST),
        .vnameserver = address(NAMESERVER),
        .vhostname = net->options->hostname,
        .if_mtu = MTU,
        .if_mru = MTU,
    };

    net->slirp = slirp_new(&config, &slirp_calls, net);
    if (net->slirp == NULL) {
        net->error =
            problem_set(net->problem, -E_NOMEM,
                        "user network: slirp does not start; free some memory on this host");
        return;
    }
    for (unsigned i = 0; i < net->options->forward_count && net->error == 0; i++)
        net->error = net_user_forward(net, &net->options->forwards[i]);
    if (net->error != 0) {
        net_user_end(net);
        return;
    }
    net->fill_due = true;
    loop_hook_add(net->loop, &net->hook);
}

static void net_user_free(struct net_user *net)
{
    free(net->out.bytes);
    free(net->busy.bytes);
    free(net->held.bytes);
    free(net->fds);
    pthread_mutex_destroy(&net->lock);
    free(net);
}

static const struct net_ops net_user_ops = {.send = net_user_send, .resume = net_user_resume};

struct net_backend *net_user_open(const struct net_user_options *options, struct loop *loop,
                                  struct problem *problem)
{
    struct net_user *net = calloc(1, sizeof(*net));

    if (net == NULL) {
        problem_set(problem, -E_NOMEM, "user network: out of memory; free some on this host");
        return NULL;
    }
    net->backend.ops = &net_user_ops;
    net->backend.mtu = MTU;
    net->backend.checksums = true; /* what slirp delivers was made here, or verified by the host */
    memcpy(net->backend.mac, options->mac, sizeof(net->backend.mac));
    net->loop = loop;
    pthread_mutex_init(&net->lock, NULL);
    net->out.bytes = malloc(QUEUE_SIZE);
    net->busy.bytes = malloc(QUEUE_SIZE);
    net->held.bytes = malloc(QUEUE_SIZE);
    net->hook = (struct loop_hook){.before_sleep = net_user_before_sleep, .arg = net};
    loop_work_init(&net->out_work, net_user_out, net);
    loop_work_init(&net->resume_work, net_user_deliver_held, net);
    loop_timer_init(&net->timeout, net_user_timeout, net);
    if (net->out.bytes == NULL || net->busy.bytes == NULL || net->held.bytes == NULL) {
        problem_set(problem, -E_NOMEM, "user network: out of memory; free some on this host");
        net_user_free(net);
        return NULL;
    }
    net->options = options;
    net->problem = problem;
    loop_call(loop, net_user_begin, net);
    net->options = NULL;
    net->problem = NULL;
    if (net->error != 0) {
        net_user_free(net);
        return NULL;
    }
    return &net->backend;
}

void net_user_close(struct net_backend *backend)
{
    if (backend == NULL)
        return;
    struct net_user *net = net_user_of(backend);

    loop_call(net->loop, net_user_end, net);
    net_user_free(net);
}
