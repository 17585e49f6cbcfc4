/*
 * Driver, device and backend on threads of their own: with the event index both sides suppress each
 * other's notifications, and one that is wrongly suppressed leaves everybody waiting. The driver
 * here sleeps until it is interrupted and notifies only when 2.7.10.1 says so.
 */
#include "virtio_guest.h"

#include "devices/virtio/blk.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#define REQUESTS 30000
#define DEPTH    4  /* in flight */
#define RING     16 /* entries; a request takes 2 */
#define PATIENCE 20 /* seconds without an interrupt: one was lost */

struct backend {
    struct block_backend block; /* first */
    pthread_mutex_t lock;
    pthread_cond_t added;
    struct block_request *held[VIRTIO_BLK_REQUESTS];
    unsigned head, tail;
    bool stop;
    unsigned turn;
};

struct fixture {
    struct guest g;
    struct backend backend;
    struct virtio_blk blk;
    struct virtio_blk_request requests[VIRTIO_BLK_REQUESTS];
    pthread_mutex_t lock;
    pthread_cond_t rose;
    bool level;
};

/* Every third request finishes inside submit, the others on the backend's thread. */
static void submit(struct block_backend *block, struct block_request *r)
{
    struct backend *b = (struct backend *)block;
    bool now;

    pthread_mutex_lock(&b->lock);
    now = ++b->turn % 3 == 0;
    if (!now) {
        b->held[b->tail++ % VIRTIO_BLK_REQUESTS] = r;
        pthread_cond_signal(&b->added);
    }
    pthread_mutex_unlock(&b->lock);
    if (now)
        r->done(r, 0);
}

static void *work(void *arg)
{
    struct backend *b = arg;

    pthread_mutex_lock(&b->lock);
    while (!b->stop) {
        if (b->head == b->tail) {
            pthread_cond_wait(&b->added, &b->lock);
            continue;
        }
        struct block_request *r = b->held[b->head++ % VIRTIO_BLK_REQUESTS];
        pthread_mutex_unlock(&b->lock);
        r->done(r, 0);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static const struct block_ops ops = {.submit = submit};

static void wire(void *sink, uint32_t line, bool level)
{
    struct fixture *f = sink;

    (void)line;
    pthread_mutex_lock(&f->lock);
    f->level = level;
    if (level)
        pthread_cond_signal(&f->rose);
    pthread_mutex_unlock(&f->lock);
}

static bool wait_for_interrupt(struct fixture *f)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    pthread_mutex_lock(&f->lock);
    while (!f->level && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&f->rose, &f->lock, &until);
    pthread_mutex_unlock(&f->lock);
    return error != ETIMEDOUT;
}

static uint16_t used_index(struct guest *g)
{
    return __atomic_load_n(&used(g, 0)[1], __ATOMIC_ACQUIRE);
}

/* Request `slot` is descriptors 2 * slot and 2 * slot + 1: a flush, so that no data is moved. */
static void request(struct guest *g, unsigned slot)
{
    uint16_t *ring = avail(g, 0);
    uint16_t old = ring[1];

    ring[2 + old % RING] = (uint16_t)(2 * slot);
    __atomic_store_n(&ring[1], (uint16_t)(old + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint16_t event = __atomic_load_n(avail_event(g, 0), __ATOMIC_RELAXED);
    if ((uint16_t)(old + 1 - event - 1) < 1)
        guest_notify(g, 0);
}

static void no_notification_is_lost_between_threads(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct guest *g = &f->g;
    struct irq irq = {.set = wire, .sink = f};
    pthread_t worker;
    unsigned sent = 0, finished = 0;
    bool lost = false;

    (void)state;
    guest_init(g);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->rose, NULL);
    pthread_mutex_init(&f->backend.lock, NULL);
    pthread_cond_init(&f->backend.added, NULL);
    f->backend.block = (struct block_backend){.ops = &ops, .size = 1 << 20};
    virtio_blk_init(&f->blk, &g->mem, &f->backend.block, f->requests);
    virtio_mmio_init(&g->mmio, &f->blk.virtio, &g->mem, irq);
    assert_int_equal(pthread_create(&worker, NULL, work, &f->backend), 0);

    guest_start(g, F_EVENT_IDX | 1 << 9, 1, RING);
    for (unsigned slot = 0; slot < DEPTH; slot++) {
        uint64_t gpa = GUEST_DATA + slot * 64;

        *(uint32_t *)at(g, gpa) = 4; /* VIRTIO_BLK_T_FLUSH */
        *desc(g, 0, 2 * slot) = (struct guest_desc){gpa, 16, D_NEXT, (uint16_t)(2 * slot + 1)};
        *desc(g, 0, 2 * slot + 1) = (struct guest_desc){gpa + 32, 1, D_WRITE, 0};
        request(g, slot);
        sent++;
    }
    while (finished < REQUESTS && !lost) {
        while (used_index(g) != g->seen[0]) {
            uint32_t head;

            guest_used(g, 0, &head);
            finished++;
            if (sent < REQUESTS) {
                request(g, head / 2);
                sent++;
            }
        }
        __atomic_store_n(used_event(g, 0), g->seen[0], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (used_index(g) != g->seen[0] || finished == REQUESTS)
            continue;
        lost = !wait_for_interrupt(f);
        guest_ack(g);
    }

    pthread_mutex_lock(&f->backend.lock);
    f->backend.stop = true;
    pthread_cond_signal(&f->backend.added);
    pthread_mutex_unlock(&f->backend.lock);
    pthread_join(worker, NULL);
    assert_false(lost);
    assert_int_equal(finished, REQUESTS);
    assert_int_equal(virtio_mmio_inflight(&g->mmio), 0);
    guest_fini(g);
    test_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_notification_is_lost_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
