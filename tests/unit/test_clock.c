#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * The clock against a host whose time stands where the test puts it and whose timers go off when
 * the test says so; and, for races, against the real one's promises (threads on an advancing time).
 */
#include "core/clock.h"
#include "core/error.h"
#include "core/host.h"

#include <pthread.h>
#include <string.h>

/* ---- A host for the test ---- */

static _Atomic uint64_t fake_ns;
static _Atomic bool ticking; /* every look at the time moves it on */
static struct host_timer *armed[8];
static unsigned arm_calls;

uint64_t host_time_ns(void)
{
    return ticking ? atomic_fetch_add(&fake_ns, 7) : fake_ns;
}

uint64_t host_wall_ns(void)
{
    return 1700000000000000000;
}

void host_lock_init(struct host_lock *lock)
{
    pthread_mutex_init((pthread_mutex_t *)lock->opaque, NULL);
}

void host_lock_acquire(struct host_lock *lock)
{
    pthread_mutex_lock((pthread_mutex_t *)lock->opaque);
}

void host_lock_release(struct host_lock *lock)
{
    pthread_mutex_unlock((pthread_mutex_t *)lock->opaque);
}

void host_timer_init(struct host_timer *timer, void (*fn)(void *arg), void *arg)
{
    *timer = (struct host_timer){.fn = fn, .arg = arg};
}

void host_timer_cancel(struct host_timer *timer)
{
    for (unsigned i = 0; i < 8; i++) {
        if (armed[i] == timer)
            armed[i] = NULL;
    }
}

void host_timer_arm(struct host_timer *timer, uint64_t deadline_ns)
{
    host_timer_cancel(timer);
    arm_calls++;
    timer->deadline_ns = deadline_ns;
    for (unsigned i = 0; i < 8; i++) {
        if (armed[i] == NULL) {
            armed[i] = timer;
            return;
        }
    }
    fail_msg("too many timers");
}

static bool is_armed(const struct clock_timer *timer)
{
    for (unsigned i = 0; i < 8; i++) {
        if (armed[i] == &timer->host)
            return true;
    }
    return false;
}

/* Host time reaches `ns`; due timers go off. */
static void host_advance_to(uint64_t ns)
{
    fake_ns = ns;
    for (unsigned i = 0; i < 8; i++) {
        struct host_timer *timer = armed[i];
        if (timer != NULL && timer->deadline_ns <= ns) {
            armed[i] = NULL;
            timer->fn(timer->arg);
        }
    }
}

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static int setup(void **state)
{
    (void)state;
    fake_ns = 5000000;
    ticking = false;
    memset(armed, 0, sizeof(armed));
    arm_calls = 0;
    return 0;
}

/* ---- Tests ---- */

static void time_runs_at_10_mhz_from_start_and_stands_while_stopped(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock);
    host_advance_to(6000000);
    assert_int_equal(clock_now(&clock), 0);
    clock_start(&clock);
    host_advance_to(6000000 + 12345);
    assert_int_equal(clock_now_ns(&clock), 12345);
    assert_int_equal(clock_now(&clock), 123);
    clock_stop(&clock);
    host_advance_to(9000000);
    assert_int_equal(clock_now_ns(&clock), 12345);
    clock_start(&clock);
    host_advance_to(9000000 + 1000);
    assert_int_equal(clock_now_ns(&clock), 13345);
}

static void deadline_is_the_host_time_of_a_tick(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock);
    assert_true(clock_host_deadline(&clock, 10) == UINT64_MAX); /* stands still */
    clock_start(&clock);
    assert_int_equal(clock_host_deadline(&clock, 10), 5001000);
    assert_true(clock_host_deadline(&clock, UINT64_MAX) == UINT64_MAX);
    assert_true(clock_host_deadline(&clock, UINT64_MAX / 100) == UINT64_MAX);
}

static void restored_guest_may_be_older_than_its_host(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock);
    clock.stopped_ns = 100000000; /* ran for 100 ms, on a host that is up for 5 ms */
    clock_start(&clock);
    assert_int_equal(clock_now(&clock), 1000000);
    assert_int_equal(clock_host_deadline(&clock, 1000010), 5001000);
    assert_int_equal(clock_host_deadline(&clock, 1), 0); /* long past */
}

static void timer_fires_once_at_its_deadline(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer;
    unsigned fired = 0;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, count, &fired);
    clock_start(&clock);
    clock_timer_arm(&timer, 100); /* 10 us */
    host_advance_to(5000000 + 9999);
    assert_int_equal(fired, 0);
    host_advance_to(5000000 + 10000);
    assert_int_equal(fired, 1);
    host_advance_to(5000000 + 90000);
    assert_int_equal(fired, 1);
    clock_timer_fini(&timer);
}

static void timer_that_moves_later_does_not_fire_early(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer;
    unsigned fired = 0;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, count, &fired);
    clock_start(&clock);
    clock_timer_arm(&timer, 100);
    unsigned calls = arm_calls;
    for (uint64_t ticks = 101; ticks <= 200; ticks++)
        clock_timer_arm(&timer, ticks);
    assert_int_equal(arm_calls, calls); /* moving later costs the host nothing */
    host_advance_to(5000000 + 10000);
    assert_int_equal(fired, 0);
    host_advance_to(5000000 + 20000);
    assert_int_equal(fired, 1);
    clock_timer_fini(&timer);
}

static void timer_that_moves_earlier_fires_earlier(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer;
    unsigned fired = 0;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, count, &fired);
    clock_start(&clock);
    clock_timer_arm(&timer, 1000);
    clock_timer_arm(&timer, 10);
    host_advance_to(5000000 + 1000);
    assert_int_equal(fired, 1);
    clock_timer_fini(&timer);
}

static void cancelled_timer_does_not_fire(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer;
    unsigned fired = 0;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, count, &fired);
    clock_start(&clock);
    clock_timer_arm(&timer, 10);
    clock_timer_cancel(&timer);
    host_advance_to(6000000);
    assert_int_equal(fired, 0);
    clock_timer_fini(&timer);
    assert_null(clock.timers);
}

static void timers_stand_still_with_the_clock(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer, other;
    unsigned fired = 0, others = 0;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, count, &fired);
    clock_timer_init(&other, &clock, count, &others);
    clock_timer_arm(&timer, 100); /* before the first start */
    assert_false(is_armed(&timer));
    clock_start(&clock);
    host_advance_to(5000000 + 5000);
    clock_stop(&clock);
    assert_false(is_armed(&timer));
    clock_timer_arm(&other, 60);
    host_advance_to(8000000);
    assert_int_equal(fired, 0);
    clock_start(&clock); /* half of it is left */
    host_advance_to(8000000 + 1000);
    assert_int_equal(others, 1);
    host_advance_to(8000000 + 4999);
    assert_int_equal(fired, 0);
    host_advance_to(8000000 + 5000);
    assert_int_equal(fired, 1);
    clock_timer_fini(&other);
    clock_timer_fini(&timer);
    assert_null(clock.timers);
}

/* A callback that was on its way when the clock stopped. */
static void late_callback_of_a_stopped_clock_is_made_good(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer;
    unsigned fired = 0;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, count, &fired);
    clock_start(&clock);
    clock_timer_arm(&timer, 100);
    fake_ns = 5000000 + 10000;
    clock_stop(&clock);
    timer.host.fn(timer.host.arg);
    assert_int_equal(fired, 0);
    clock_start(&clock);
    host_advance_to(fake_ns);
    assert_int_equal(fired, 1);
    clock_timer_fini(&timer);
}

static void arm_again(void *arg)
{
    struct clock_timer *timer = arg;
    clock_timer_arm(timer, clock_now(timer->clock) + 10);
}

static void callback_may_arm_its_timer_again(void **state)
{
    (void)state;
    struct clock clock;
    struct clock_timer timer;
    clock_init(&clock);
    clock_timer_init(&timer, &clock, arm_again, &timer);
    clock_start(&clock);
    clock_timer_arm(&timer, 10);
    host_advance_to(5000000 + 1000);
    assert_true(is_armed(&timer));
    assert_int_equal(timer.host.deadline_ns, 5000000 + 2000);
    clock_timer_fini(&timer);
    assert_false(is_armed(&timer));
}

static int tape(struct state *state, void *bytes, size_t len)
{
    uint8_t **at = state->file;
    if (state->loading)
        memcpy(bytes, *at, len);
    else
        memcpy(*at, bytes, len);
    *at += len;
    return 0;
}

static void saved_time_goes_on_after_loading(void **state)
{
    (void)state;
    uint8_t bytes[64];
    uint8_t *at = bytes;
    struct clock clock, copy;
    clock_init(&clock);
    clock_start(&clock);
    host_advance_to(5000000 + 777);
    struct state running = {.transfer = tape, .file = &at};
    clock_state(&clock, &running);
    assert_int_equal(running.error, -E_BUSY);

    at = bytes;
    clock_stop(&clock);
    struct state save = {.transfer = tape, .file = &at};
    clock_state(&clock, &save);
    assert_int_equal(save.error, 0);

    at = bytes;
    clock_init(&copy);
    struct state load = {.transfer = tape, .file = &at, .loading = true};
    clock_state(&copy, &load);
    assert_int_equal(load.error, 0);
    assert_int_equal(clock_now_ns(&copy), 777);
}

/* Readers while another thread stops and starts the clock all the time. */
static struct clock shared;
static _Atomic bool done;

static void *reader(void *arg)
{
    uint64_t last = 0;
    (void)arg;
    while (!done) {
        uint64_t now = clock_now_ns(&shared);
        if (now < last)
            return (void *)1;
        last = now;
    }
    return NULL;
}

static void time_never_runs_backwards_across_stop_and_start(void **state)
{
    (void)state;
    pthread_t threads[2];
    clock_init(&shared);
    clock_start(&shared);
    ticking = true;
    done = false;
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, reader, NULL);
    for (unsigned i = 0; i < 20000; i++) {
        clock_stop(&shared);
        fake_ns += 1000000;
        clock_start(&shared);
    }
    done = true;
    for (unsigned i = 0; i < 2; i++) {
        void *backwards;
        pthread_join(threads[i], &backwards);
        assert_null(backwards);
    }
    /* The 20,000 ms of the pauses are not in it. */
    assert_true(clock_now_ns(&shared) < 10000000000);
}

/* Of the guest's own ticks: 24 MHz are 2.4 a tick of ours, 4 MHz are 0.4. */
static void ticks_of_another_frequency_are_never_early_and_settle(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock);
    assert_int_equal(clock_of_guest(&clock, 12345), 12345);
    clock.guest_hz = 24000000;
    assert_int_equal(clock_of_guest(&clock, 24000000ULL * 3600 + 12), 36000000005);
    assert_int_equal(clock_of_guest(&clock, 13), 6); /* 5.4 */
    assert_int_equal(clock_to_guest(&clock, 6), 14); /* 14.4 */
    assert_int_equal(clock_of_guest(&clock, 14), 6);
    assert_int_equal(clock_of_guest(&clock, UINT64_MAX), UINT64_MAX);
    clock.guest_hz = 4000000;
    assert_int_equal(clock_of_guest(&clock, 3), 8); /* 7.5 */
    assert_int_equal(clock_to_guest(&clock, 8), 3);
    assert_int_equal(clock_of_guest(&clock, UINT64_MAX - 1), UINT64_MAX);
}

/* 50 ms ahead, running and stopped; what has been reached already changes nothing. */
static void time_can_be_said_to_have_come_but_never_to_go_back(void **state)
{
    (void)state;
    struct clock clock;
    clock_init(&clock);
    clock_reaches(&clock, 500000);
    assert_int_equal(clock_now(&clock), 500000);
    clock_reaches(&clock, 400000);
    clock_reaches(&clock, UINT64_MAX);
    assert_int_equal(clock_now(&clock), 500000);
    clock_start(&clock);
    const uint64_t now = clock_now(&clock);
    clock_reaches(&clock, now + 500000000);
    assert_true(clock_now(&clock) >= now + 500000000);
    assert_true(clock_now(&clock) < now + 900000000);
    clock_stop(&clock);
    assert_true(clock_now(&clock) >= now + 500000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(time_runs_at_10_mhz_from_start_and_stands_while_stopped, setup),
        cmocka_unit_test_setup(deadline_is_the_host_time_of_a_tick, setup),
        cmocka_unit_test_setup(restored_guest_may_be_older_than_its_host, setup),
        cmocka_unit_test_setup(timer_fires_once_at_its_deadline, setup),
        cmocka_unit_test_setup(timer_that_moves_later_does_not_fire_early, setup),
        cmocka_unit_test_setup(timer_that_moves_earlier_fires_earlier, setup),
        cmocka_unit_test_setup(cancelled_timer_does_not_fire, setup),
        cmocka_unit_test_setup(timers_stand_still_with_the_clock, setup),
        cmocka_unit_test_setup(late_callback_of_a_stopped_clock_is_made_good, setup),
        cmocka_unit_test_setup(callback_may_arm_its_timer_again, setup),
        cmocka_unit_test_setup(saved_time_goes_on_after_loading, setup),
        cmocka_unit_test_setup(time_never_runs_backwards_across_stop_and_start, setup),
        cmocka_unit_test_setup(ticks_of_another_frequency_are_never_early_and_settle, setup),
        cmocka_unit_test(time_can_be_said_to_have_come_but_never_to_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
