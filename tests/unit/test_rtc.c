/* Goldfish RTC and the test finisher. */
#include "tests/unit/device_test.h"

#include "devices/finisher.h"
#include "devices/rtc.h"

#include <time.h>

enum {
    TIME_LOW = 0,
    TIME_HIGH = 4,
    ALARM_LOW = 8,
    ALARM_HIGH = 0xc,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c
};

#define SECOND 1000000000ULL

static struct clock test_clock;
static struct rtc rtc;
static struct wire wire;

static int setup(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof wire);
    clock_init(&test_clock);
    rtc_init(&rtc, &test_clock, wire_irq(&wire, 0));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_stop(&test_clock);
    rtc_fini(&rtc);
    return 0;
}

static uint32_t rd(uint64_t offset)
{
    return (uint32_t)read_reg(&rtc_bus_ops, &rtc, offset, 4);
}

static void wr(uint64_t offset, uint64_t value)
{
    write_reg(&rtc_bus_ops, &rtc, offset, 4, (uint32_t)value);
}

static uint64_t guest_time(void)
{
    uint64_t low = rd(TIME_LOW);
    return low | (uint64_t)rd(TIME_HIGH) << 32;
}

static void set_alarm(uint64_t when)
{
    wr(ALARM_HIGH, when >> 32);
    wr(ALARM_LOW, when);
}

static void time_is_the_wall_clock_of_the_host(void **state)
{
    (void)state;
    struct timespec ts;
    uint64_t guest = guest_time();
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t host = (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
    assert_true(guest <= host && host - guest < 10 * SECOND);
}

static void time_high_is_latched_by_time_low(void **state)
{
    (void)state;
    /* Just before the low half wraps: the high half must be the one that belongs to it. */
    wr(TIME_HIGH, 5);
    wr(TIME_LOW, 0xffffff00);
    rd(TIME_LOW);
    uint32_t latched = rd(TIME_HIGH);
    wr(TIME_HIGH, 77);
    assert_int_equal(rd(TIME_HIGH), latched);
    rd(TIME_LOW);
    assert_in_range(rd(TIME_HIGH), 77, 78);
}

static void writes_move_the_clock(void **state)
{
    (void)state;
    const uint64_t when = 946684800 * SECOND; /* 2000-01-01 */
    wr(TIME_HIGH, when >> 32);
    wr(TIME_LOW, when);
    uint64_t now = guest_time();
    assert_true(now >= when && now - when < 10 * SECOND);
    rtc_reset(&rtc);
    now = guest_time();
    assert_true(now >= when && now - when < 10 * SECOND);
}

static void alarm_in_the_past_rings_at_once(void **state)
{
    (void)state;
    set_alarm(guest_time() - SECOND);
    assert_int_equal(rd(ALARM_STATUS), 0);
    assert_false(wire.level); /* not enabled yet */
    wr(IRQ_ENABLED, 1);
    assert_true(wire.level);
    wr(CLEAR_INTERRUPT, 1);
    assert_false(wire.level);
}

static void alarm_rings_when_it_is_due(void **state)
{
    (void)state;
    clock_start(&test_clock);
    uint64_t when = guest_time() + SECOND / 20;
    wr(IRQ_ENABLED, 1);
    set_alarm(when);
    assert_int_equal(rd(ALARM_STATUS), 1);
    assert_int_equal(rd(ALARM_LOW), (uint32_t)when);
    assert_int_equal(rd(ALARM_HIGH), (uint32_t)(when >> 32));
    assert_false(wire.level);
    while (!atomic_load(&wire.level) && guest_time() < when + 20 * SECOND)
        host_yield();
    assert_true(wire.level);
    assert_true(guest_time() >= when);
    assert_int_equal(rd(ALARM_STATUS), 0);
}

static void cleared_alarm_does_not_ring(void **state)
{
    (void)state;
    clock_start(&test_clock);
    uint64_t when = guest_time() + SECOND / 50;
    wr(IRQ_ENABLED, 1);
    set_alarm(when);
    wr(CLEAR_ALARM, 1);
    assert_int_equal(rd(ALARM_STATUS), 0);
    while (guest_time() < when + SECOND / 50)
        host_yield();
    assert_false(wire.level);
}

static void state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    const uint64_t when = 1000 * SECOND;
    wr(TIME_HIGH, when >> 32);
    wr(TIME_LOW, when);
    wr(IRQ_ENABLED, 1);
    set_alarm(1);
    assert_true(wire.level);
    set_alarm(when + 1000 * SECOND);
    rtc_state(&rtc, save_open(&file, false));

    teardown(NULL);
    setup(NULL);
    rtc_state(&rtc, save_open(&file, true));
    assert_int_equal(file.state.error, 0);
    uint64_t now = guest_time();
    assert_true(now >= when && now - when < 10 * SECOND);
    assert_true(wire.level);
    assert_int_equal(rd(ALARM_STATUS), 1);
}

static unsigned finishes;
static enum finisher_event last_event;
static uint32_t last_code;

static void record(void *arg, enum finisher_event event, uint32_t code)
{
    assert_ptr_equal(arg, &finishes);
    finishes++;
    last_event = event;
    last_code = code;
}

static void finisher_tells_the_board(void **state)
{
    (void)state;
    struct finisher finisher;
    finisher_init(&finisher, record, &finishes);
    finishes = 0;
    write_reg(&finisher_bus_ops, &finisher, 0, 4, 0x5555);
    assert_int_equal(last_event, FINISHER_PASS);
    write_reg(&finisher_bus_ops, &finisher, 0, 4, 0x7777);
    assert_int_equal(last_event, FINISHER_RESET);
    write_reg(&finisher_bus_ops, &finisher, 0, 4, 0x00073333);
    assert_int_equal(last_event, FINISHER_FAIL);
    assert_int_equal(last_code, 7);
    write_reg(&finisher_bus_ops, &finisher, 0, 2, 0x5555);
    assert_int_equal(finishes, 4);
    write_reg(&finisher_bus_ops, &finisher, 4, 4, 0x5555);
    write_reg(&finisher_bus_ops, &finisher, 0, 4, 0x1234);
    assert_int_equal(finishes, 4);
    assert_int_equal(read_reg(&finisher_bus_ops, &finisher, 0, 4), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(time_is_the_wall_clock_of_the_host),
        TEST(time_high_is_latched_by_time_low),
        TEST(writes_move_the_clock),
        TEST(alarm_in_the_past_rings_at_once),
        TEST(alarm_rings_when_it_is_due),
        TEST(cleared_alarm_does_not_ring),
        TEST(state_survives_save_and_load),
        cmocka_unit_test(finisher_tells_the_board),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
