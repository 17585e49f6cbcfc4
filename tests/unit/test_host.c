#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "type2/host.h"
#include "type2/loop.h"
#include "type2/ram.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS 1000000ULL

/* ---- memory ---- */

static void alloc_is_zeroed_and_aligned(void **state)
{
    static const size_t sizes[] = {1, 24, 4096, 65535, 65536, 300000};
    static const size_t aligns[] = {1, 8, 64, 4096, 65536, 2 << 20};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t a = 0; a < sizeof(aligns) / sizeof(aligns[0]); a++) {
            unsigned char *p = host_alloc(sizes[s], aligns[a]);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % aligns[a], 0);
            for (size_t i = 0; i < sizes[s]; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xa5, sizes[s]);
            host_free(p, sizes[s]);
        }
    }
}

static void alloc_refuses_what_cannot_be(void **state)
{
    (void)state;
    assert_null(host_alloc(0, 8));
    assert_null(host_alloc(16, 3));
    assert_null(host_alloc(SIZE_MAX - 100, 8));
    assert_null(host_alloc(1ULL << 60, 8));
}

/* ---- locks ---- */

static struct host_lock counter_lock;
static unsigned long counter;

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100000; i++) {
        host_lock_acquire(&counter_lock);
        counter++;
        host_lock_release(&counter_lock);
    }
    return NULL;
}

static void lock_excludes(void **state)
{
    pthread_t threads[4];

    (void)state;
    host_lock_init(&counter_lock);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, count_up, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, 400000);
}

/* ---- events ---- */

static void event_is_remembered_until_one_wait(void **state)
{
    struct host_event event;

    (void)state;
    host_event_init(&event);
    assert_false(host_event_wait(&event, 0));
    host_event_set(&event);
    host_event_set(&event);
    assert_true(host_event_wait(&event, 0));
    assert_false(host_event_wait(&event, 0));
}

static void event_wait_times_out(void **state)
{
    struct host_event event;

    (void)state;
    host_event_init(&event);
    uint64_t begin = host_time_ns();
    assert_false(host_event_wait(&event, 20 * MS));
    uint64_t took = host_time_ns() - begin;
    assert_true(took >= 20 * MS);
    assert_true(took < 2000 * MS);
    host_event_set(&event);
    assert_true(host_event_wait(&event, UINT64_MAX));
}

struct ping_pong {
    struct host_event ping, pong;
    int rounds;
};

static void *pong_thread(void *arg)
{
    struct ping_pong *game = arg;

    for (int i = 0; i < game->rounds; i++) {
        if (!host_event_wait(&game->ping, 20000 * MS))
            return (void *)(intptr_t)(i + 1);
        host_event_set(&game->pong);
    }
    return NULL;
}

static void event_loses_no_wakeup(void **state)
{
    struct ping_pong game = {.rounds = 50000};
    pthread_t thread;
    void *lost_at;

    (void)state;
    host_event_init(&game.ping);
    host_event_init(&game.pong);
    pthread_create(&thread, NULL, pong_thread, &game);
    for (int i = 0; i < game.rounds; i++) {
        host_event_set(&game.ping);
        assert_true(host_event_wait(&game.pong, 20000 * MS));
    }
    pthread_join(thread, &lost_at);
    assert_null(lost_at);
}

static struct host_event shared_event;
static _Atomic int shared_got;

static void *shared_waiter(void *arg)
{
    (void)arg;
    if (host_event_wait(&shared_event, 20000 * MS))
        atomic_fetch_add(&shared_got, 1);
    return NULL;
}

static void event_wakes_a_second_waiter_with_a_second_set(void **state)
{
    pthread_t threads[3];

    (void)state;
    host_event_init(&shared_event);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, shared_waiter, NULL);
    usleep(20000); /* all of them asleep, most likely */
    for (int i = 0; i < 3; i++) {
        host_event_set(&shared_event);
        for (int wait = 0; wait < 10000 && atomic_load(&shared_got) <= i; wait++)
            usleep(1000);
        assert_int_equal(atomic_load(&shared_got), i + 1);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* ---- timers ---- */

#define TIMERS 200
static struct host_timer many[TIMERS];
static uint64_t fired_at[TIMERS];
static int fired_order[TIMERS];
static _Atomic int fired_count;

static void note_fired(void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;

    fired_at[i] = host_time_ns();
    fired_order[atomic_load(&fired_count)] = (int)i;
    atomic_fetch_add(&fired_count, 1);
}

static void wait_for_count(_Atomic int *count, int wanted)
{
    for (int i = 0; i < 10000 && atomic_load(count) < wanted; i++)
        usleep(1000);
    assert_int_equal(atomic_load(count), wanted);
}

static void timers_fire_in_order_and_not_early(void **state)
{
    uint64_t deadlines[TIMERS];
    unsigned seed = 7;

    (void)state;
    atomic_store(&fired_count, 0);
    uint64_t begin = host_time_ns() + 50 * MS;
    for (size_t i = 0; i < TIMERS; i++) {
        seed = seed * 1103515245 + 12345;
        deadlines[i] = begin + (seed >> 8) % 1000 * 100000; /* within 100 ms */
        host_timer_init(&many[i], note_fired, (void *)(uintptr_t)i);
        host_timer_arm(&many[i], begin + 3600000 * MS);
    }
    for (size_t i = 0; i < TIMERS; i++) /* arming again moves it */
        host_timer_arm(&many[i], deadlines[i]);
    wait_for_count(&fired_count, TIMERS);
    for (int i = 0; i < TIMERS; i++) {
        assert_true(fired_at[i] >= deadlines[i]);
        if (i > 0)
            assert_true(deadlines[fired_order[i - 1]] <= deadlines[fired_order[i]]);
    }
}

static void timer_cancelled_does_not_fire(void **state)
{
    (void)state;
    atomic_store(&fired_count, 0);
    uint64_t soon = host_time_ns() + 30 * MS;
    for (size_t i = 0; i < 20; i++) {
        host_timer_init(&many[i], note_fired, (void *)(uintptr_t)i);
        host_timer_arm(&many[i], soon + i);
    }
    for (size_t i = 0; i < 20; i += 2)
        host_timer_cancel(&many[i]);
    host_timer_cancel(&many[0]); /* not armed: nothing happens */
    wait_for_count(&fired_count, 10);
    usleep(20000);
    assert_int_equal(atomic_load(&fired_count), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(fired_order[i] % 2, 1);
}

static void earlier_timer_overtakes_a_later_one(void **state)
{
    (void)state;
    atomic_store(&fired_count, 0);
    host_timer_init(&many[0], note_fired, (void *)0);
    host_timer_init(&many[1], note_fired, (void *)1);
    uint64_t begin = host_time_ns();
    host_timer_arm(&many[0], begin + 60000 * MS);
    usleep(20000); /* the thread sleeps by now */
    host_timer_arm(&many[1], begin + 40 * MS);
    wait_for_count(&fired_count, 1);
    assert_int_equal(fired_order[0], 1);
    assert_true(fired_at[1] - begin < 5000 * MS);
    host_timer_cancel(&many[0]);
}

static _Atomic int slow_state;

static void slow_callback(void *arg)
{
    (void)arg;
    atomic_store(&slow_state, 1);
    usleep(50000);
    atomic_store(&slow_state, 2);
}

static void cancel_waits_for_a_running_callback(void **state)
{
    struct host_timer timer;

    (void)state;
    host_timer_init(&timer, slow_callback, NULL);
    host_timer_arm(&timer, 0);
    wait_for_count(&slow_state, 1);
    host_timer_cancel(&timer);
    assert_int_equal(atomic_load(&slow_state), 2);
}

static struct host_timer periodic;
static _Atomic int periods;

static void periodic_callback(void *arg)
{
    (void)arg;
    host_timer_arm(&periodic, host_time_ns() + MS);
    if (atomic_fetch_add(&periods, 1) == 4)
        host_timer_cancel(&periodic); /* from inside: does not wait for itself */
}

static void callback_may_arm_and_cancel_itself(void **state)
{
    (void)state;
    host_timer_init(&periodic, periodic_callback, NULL);
    host_timer_arm(&periodic, 0);
    wait_for_count(&periods, 5);
    usleep(20000);
    assert_int_equal(atomic_load(&periods), 5);
}

/* ---- the log ---- */

static void log_is_one_clean_line(void **state)
{
    int ends[2];
    char line[256];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    host_log_set_fd(ends[1]);
    host_log_set_prefix("web");
    host_log(HOST_LOG_DEBUG, "not shown");
    host_log(HOST_LOG_WARNING, "%s and %u", "a\nb\033[2J", 5U);
    host_log_set_fd(STDERR_FILENO);
    ssize_t got = read(ends[0], line, sizeof(line) - 1);
    assert_true(got > 0);
    line[got] = 0;
    assert_string_equal(line, "web: warning: a?b?[2J and 5\n");
    close(ends[0]);
    close(ends[1]);
}

/* ---- the loop ---- */

static struct loop loop;
static _Atomic int loop_seen;
static pthread_t loop_seen_on;

static void loop_note(void *arg)
{
    (void)arg;
    loop_seen_on = pthread_self();
    atomic_fetch_add(&loop_seen, 1);
}

/* Work that notes how often it had been posted when it ran last. */
struct counted_work {
    struct loop_work work;
    _Atomic int posted, seen;
};

static void *loop_poster(void *arg)
{
    struct counted_work *counted = arg;

    for (int i = 0; i < 20000; i++) {
        atomic_fetch_add(&counted->posted, 1);
        loop_work_post(&loop, &counted->work);
    }
    return NULL;
}

static void loop_count(void *arg)
{
    struct counted_work *counted = arg;

    atomic_store(&counted->seen, atomic_load(&counted->posted));
}

static void loop_runs_work_after_each_post(void **state)
{
    struct problem problem;
    static struct counted_work work[3];
    pthread_t threads[3];

    (void)state;
    atomic_store(&loop_seen, 0);
    assert_int_equal(loop_init(&loop, &problem), 0);
    assert_int_equal(loop_start(&loop, "test", &problem), 0);
    for (int i = 0; i < 3; i++) {
        loop_work_init(&work[i].work, loop_count, &work[i]);
        pthread_create(&threads[i], NULL, loop_poster, &work[i]);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    loop_call(&loop, loop_note, NULL);
    assert_int_equal(atomic_load(&loop_seen), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(atomic_load(&work[i].seen), 20000);
    assert_true(pthread_equal(loop_seen_on, loop.thread));
    assert_false(loop_is_current(&loop));
    loop_stop(&loop);
    loop_stop(&loop);
    loop_fini(&loop);
}

static int fd_bytes;

static void fd_readable(void *arg, uint32_t events)
{
    struct loop_fd *fd = arg;
    char byte;

    (void)events;
    if (read(fd->fd, &byte, 1) == 1)
        fd_bytes++;
    atomic_fetch_add(&loop_seen, 1);
}

static void loop_calls_descriptors_until_deleted(void **state)
{
    struct problem problem;
    int ends[2];

    (void)state;
    atomic_store(&loop_seen, 0);
    assert_int_equal(pipe(ends), 0);
    struct loop_fd fd = {.fd = ends[0], .events = EPOLLIN, .fn = fd_readable, .arg = &fd};
    assert_int_equal(loop_init(&loop, &problem), 0);
    assert_int_equal(loop_fd_add(&loop, &fd), 0);
    assert_int_equal(loop_start(&loop, "test", &problem), 0);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    wait_for_count(&loop_seen, 3);
    loop_fd_del(&loop, &fd);
    assert_int_equal(write(ends[1], "d", 1), 1);
    usleep(20000);
    assert_int_equal(atomic_load(&loop_seen), 3);
    assert_int_equal(fd_bytes, 3);
    loop_stop(&loop);
    loop_fini(&loop);
    close(ends[0]);
    close(ends[1]);
}

static struct loop_timer loop_timers[3];
static int loop_timer_order[8];
static _Atomic int loop_timer_count;

static void loop_timer_fired(void *arg)
{
    loop_timer_order[atomic_load(&loop_timer_count)] = (int)(intptr_t)arg;
    atomic_fetch_add(&loop_timer_count, 1);
}

static void arm_three(void *arg)
{
    uint64_t now = host_time_ns();

    (void)arg;
    for (int i = 0; i < 3; i++)
        loop_timer_init(&loop_timers[i], loop_timer_fired, (void *)(intptr_t)i);
    loop_timer_arm(&loop, &loop_timers[0], now + 30 * MS);
    loop_timer_arm(&loop, &loop_timers[1], now + 10 * MS);
    loop_timer_arm(&loop, &loop_timers[2], now + 20 * MS);
    loop_timer_arm(&loop, &loop_timers[2], now + 40 * MS);
    loop_timer_cancel(&loop, &loop_timers[0]);
}

static void loop_timers_fire_in_order(void **state)
{
    struct problem problem;

    (void)state;
    assert_int_equal(loop_init(&loop, &problem), 0);
    assert_int_equal(loop_start(&loop, "test", &problem), 0);
    loop_call(&loop, arm_three, NULL);
    wait_for_count(&loop_timer_count, 2);
    assert_int_equal(loop_timer_order[0], 1);
    assert_int_equal(loop_timer_order[1], 2);
    loop_stop(&loop);
    loop_fini(&loop);
}

/* ---- RAM ---- */

static void large_copies_are_whole(void **state)
{
    static const size_t lengths[] = {0, 1, 4097, (8 << 20) - 1, 8 << 20, (21 << 20) + 12345};
    size_t room = 32 << 20;
    uint8_t *from = malloc(room), *to = malloc(room);

    (void)state;
    assert_non_null(from);
    assert_non_null(to);
    for (size_t i = 0; i < room; i++)
        from[i] = (uint8_t)(i * 31 + (i >> 12) * 7);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memset(to, 0xa5, room);
        host_copy(to + 3, from, lengths[i]);
        assert_memory_equal(to + 3, from, lengths[i]);
        assert_int_equal(to[2], 0xa5);
        assert_int_equal(to[3 + lengths[i]], 0xa5);
    }
    free(from);
    free(to);
}

static void ram_is_zero_and_gives_pages_back(void **state)
{
    struct ram ram;
    struct problem problem;

    (void)state;
    assert_int_equal(ram_init(&ram, "test", 16 << 20, &problem), 0);
    assert_int_equal((uintptr_t)ram.hva % (2 << 20), 0);
    memset(ram.hva, 0x55, 1 << 20);
    uint64_t resident = ram_resident(&ram);
    assert_true(resident >= 1 << 20);
    assert_true(resident < 4 << 20); /* untouched pages cost nothing */
    ram.reclaim.release(&ram.reclaim, ram.hva + 8192, 65536);
    assert_int_equal(ram_resident(&ram), resident - 65536);
    assert_int_equal(ram.hva[8191], 0x55);
    for (int i = 0; i < 65536; i++)
        assert_int_equal(ram.hva[8192 + i], 0);
    assert_int_equal(ram.hva[8192 + 65536], 0x55);
    /* outside of the RAM: nothing happens */
    ram.reclaim.release(&ram.reclaim, ram.hva + ram.size - 4096, 8192);
    assert_int_equal(atomic_load(&ram.released), 65536);
    ram_fini(&ram);
}

static void ram_larger_than_the_host_is_refused(void **state)
{
    struct ram ram;
    struct problem problem = {""};

    (void)state;
    assert_int_equal(ram_init(&ram, "test", 1ULL << 45, &problem), -E_NOMEM);
    assert_non_null(strstr(problem.text, "33554432 MiB asked for"));
    assert_null(strchr(problem.text, '\n'));
    assert_null(ram.hva);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_is_zeroed_and_aligned),
        cmocka_unit_test(alloc_refuses_what_cannot_be),
        cmocka_unit_test(large_copies_are_whole),
        cmocka_unit_test(lock_excludes),
        cmocka_unit_test(event_is_remembered_until_one_wait),
        cmocka_unit_test(event_wait_times_out),
        cmocka_unit_test(event_loses_no_wakeup),
        cmocka_unit_test(event_wakes_a_second_waiter_with_a_second_set),
        cmocka_unit_test(timers_fire_in_order_and_not_early),
        cmocka_unit_test(timer_cancelled_does_not_fire),
        cmocka_unit_test(earlier_timer_overtakes_a_later_one),
        cmocka_unit_test(cancel_waits_for_a_running_callback),
        cmocka_unit_test(callback_may_arm_and_cancel_itself),
        cmocka_unit_test(log_is_one_clean_line),
        cmocka_unit_test(loop_runs_work_after_each_post),
        cmocka_unit_test(loop_calls_descriptors_until_deleted),
        cmocka_unit_test(loop_timers_fire_in_order),
        cmocka_unit_test(ram_is_zero_and_gives_pages_back),
        cmocka_unit_test(ram_larger_than_the_host_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
