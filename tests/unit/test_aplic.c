/* The APLIC as the AIA specification 1.0 describes it, chapter 4; what it sends goes into a list.
 */
#include "tests/unit/device_test.h"

#include "devices/aplic.h"

enum {
    DOMAINCFG = 0,
    SETIP = 0x1c00,
    SETIPNUM = 0x1cdc,
    IN_CLRIP = 0x1d00,
    CLRIPNUM = 0x1ddc,
    SETIE = 0x1e00,
    SETIENUM = 0x1edc,
    CLRIENUM = 0x1fdc,
    SETIPNUM_LE = 0x2000,
    SETIPNUM_BE = 0x2004,
    GENMSI = 0x3000,
    EDGE_RISING = 4,
    EDGE_FALLING = 5,
    LEVEL_HIGH = 6,
    LEVEL_LOW = 7,
    IMSIC = 0x28000000,
};

static struct aplic aplic;
static struct {
    uint64_t address;
    uint32_t data;
} sent[16];
static unsigned count;

static void take(void *sink, uint64_t address, uint32_t data)
{
    assert_ptr_equal(sink, &aplic);
    assert_true(count < 16);
    sent[count].address = address;
    sent[count++].data = data;
}

static void put(uint64_t offset, uint32_t value)
{
    write_reg(&aplic_bus_ops, &aplic.s, offset, 4, value);
}

static uint32_t get(uint64_t offset)
{
    return (uint32_t)read_reg(&aplic_bus_ops, &aplic.s, offset, 4);
}

static int setup(void **state)
{
    (void)state;
    const struct msi msi = {.send = take, .sink = &aplic};
    aplic_init(&aplic, &(struct aplic_where){.hart_count = 2, .imsic = IMSIC}, &msi);
    count = 0;
    put(DOMAINCFG, 0x100);
    return 0;
}

/* Source 7 to identity 33 of hart 1. */
static void open_source(uint32_t mode)
{
    put(4 * 7, mode);
    put(0x3000 + 4 * 7, 1u << 18 | 33);
    put(SETIENUM, 7);
}

static void came(unsigned n)
{
    assert_int_equal(count, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(sent[i].address, IMSIC + 0x1000);
        assert_int_equal(sent[i].data, 33);
    }
}

static void it_delivers_by_messages_alone(void **state)
{
    (void)state;
    assert_int_equal(get(DOMAINCFG), 0x80000104);
    put(DOMAINCFG, 0);
    assert_int_equal(get(DOMAINCFG), 0x80000004);
}

static void rising_level_sends_one_message_and_another_when_asked(void **state)
{
    (void)state;
    open_source(LEVEL_HIGH);
    aplic_set(&aplic, 7, true);
    came(1);
    aplic_set(&aplic, 7, true);
    came(1);
    assert_int_equal(get(SETIP), 0); /* forwarding clears it */
    assert_int_equal(get(IN_CLRIP), 1u << 7);
    put(SETIPNUM_LE, 7);
    came(2);
    aplic_set(&aplic, 7, false);
    put(SETIPNUM, 7); /* it is down: there is nothing to tell */
    came(2);
    assert_int_equal(get(SETIP), 0);
}

static void level_that_falls_before_it_is_enabled_is_forgotten(void **state)
{
    (void)state;
    put(4 * 7, LEVEL_HIGH);
    put(0x3000 + 4 * 7, 1u << 18 | 33);
    aplic_set(&aplic, 7, true);
    assert_int_equal(get(SETIP), 1u << 7);
    aplic_set(&aplic, 7, false);
    assert_int_equal(get(SETIP), 0);
    aplic_set(&aplic, 7, true);
    put(SETIE, 1u << 7);
    came(1);
}

static void edge_stays_pending_until_it_can_be_sent(void **state)
{
    (void)state;
    put(DOMAINCFG, 0);
    open_source(EDGE_RISING);
    aplic_set(&aplic, 7, true);
    aplic_set(&aplic, 7, false);
    assert_int_equal(get(SETIP), 1u << 7);
    came(0);
    put(DOMAINCFG, 0x100);
    came(1);
    put(CLRIENUM, 7);
    aplic_set(&aplic, 7, true);
    put(CLRIPNUM, 7);
    put(SETIENUM, 7);
    came(1);
    put(SETIPNUM_BE, 7u << 24);
    came(2);
}

static void low_and_falling_inputs_are_turned_round(void **state)
{
    (void)state;
    aplic_set(&aplic, 7, true);
    open_source(LEVEL_LOW);
    came(0);
    aplic_set(&aplic, 7, false);
    came(1);
    put(4 * 7, EDGE_FALLING);
    aplic_set(&aplic, 7, true);
    came(1);
    aplic_set(&aplic, 7, false);
    came(2);
}

static void inactive_sources_hold_nothing(void **state)
{
    (void)state;
    open_source(LEVEL_HIGH);
    put(4 * 7, 0x400); /* delegation: there is no child domain */
    assert_int_equal(get(4 * 7), 0);
    assert_int_equal(get(SETIE), 0);
    assert_int_equal(get(0x3000 + 4 * 7), 0);
    put(SETIENUM, 7);
    put(SETIPNUM, 7);
    put(0x3000 + 4 * 7, 5);
    assert_int_equal(get(SETIE) | get(SETIP) | get(0x3000 + 4 * 7), 0);
    aplic_set(&aplic, 7, true);
    came(0);
}

static void genmsi_sends_at_once(void **state)
{
    (void)state;
    put(GENMSI, 1u << 18 | 33);
    came(1);
    put(GENMSI, 2u << 18 | 33); /* no such hart */
    came(1);
    assert_int_equal(get(GENMSI), 0);
}

static void every_register_takes_every_value(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < APLIC_SIZE; offset += 4) {
        count = 0;
        put(offset, UINT32_MAX);
        get(offset);
        put(offset, (uint32_t)offset);
    }
    aplic_set(&aplic, 0, true);
    aplic_set(&aplic, APLIC_SOURCES, true);
    aplic_set(&aplic, UINT32_MAX, true);
}

static void reset_keeps_the_wires_alone(void **state)
{
    (void)state;
    open_source(LEVEL_HIGH);
    aplic_set(&aplic, 7, true);
    came(1);
    aplic_reset(&aplic);
    assert_int_equal(get(DOMAINCFG), 0x80000004);
    assert_int_equal(get(SETIE) | get(SETIP) | get(4 * 7), 0);
    put(DOMAINCFG, 0x100);
    open_source(LEVEL_HIGH);
    came(2);
}

/* ---- With a domain of machine level above, and guests ---- */

static int setup_two(void **state)
{
    (void)state;
    const struct msi msi = {.send = take, .sink = &aplic};
    aplic_init(&aplic,
               &(struct aplic_where){.hart_count = 2,
                                     .imsic = IMSIC,
                                     .guest_bits = 3,
                                     .machine = true,
                                     .imsic_m = 0x24000000},
               &msi);
    count = 0;
    put(DOMAINCFG, 0x100);
    write_reg(&aplic_bus_ops, &aplic.m, DOMAINCFG, 4, 0x100);
    return 0;
}

static void put_m(uint64_t offset, uint32_t value)
{
    write_reg(&aplic_bus_ops, &aplic.m, offset, 4, value);
}

static uint32_t get_m(uint64_t offset)
{
    return (uint32_t)read_reg(&aplic_bus_ops, &aplic.m, offset, 4);
}

static void sources_are_machine_levels_until_it_delegates_them(void **state)
{
    (void)state;
    open_source(LEVEL_HIGH);
    assert_int_equal(get(4 * 7) | get(SETIE) | get(0x3000 + 4 * 7), 0);
    put_m(4 * 7, LEVEL_HIGH);
    put_m(0x3000 + 4 * 7, 1u << 18 | 5 << 12 | 33);
    assert_int_equal(get_m(0x3000 + 4 * 7), 1u << 18 | 33); /* no guests there */
    put_m(SETIENUM, 7);
    aplic_set(&aplic, 7, true);
    assert_int_equal(count, 1);
    assert_int_equal(sent[0].address, 0x24001000);
    assert_int_equal(sent[0].data, 33);

    put_m(4 * 7, 0x400);
    assert_int_equal(get_m(4 * 7), 0x400);
    assert_int_equal(get_m(SETIE) | get_m(0x3000 + 4 * 7) | get_m(IN_CLRIP), 0);
    put(4 * 7, LEVEL_HIGH);
    put(0x3000 + 4 * 7, 1u << 18 | 5 << 12 | 34);
    put(SETIENUM, 7);
    assert_int_equal(count, 2);
    assert_int_equal(sent[1].address, IMSIC + 0x8000 + 0x5000);
    assert_int_equal(sent[1].data, 34);

    put_m(4 * 7, 0);
    assert_int_equal(get(4 * 7) | get(SETIE) | get(0x3000 + 4 * 7), 0);
    aplic_set(&aplic, 7, false);
    aplic_set(&aplic, 7, true);
    assert_int_equal(count, 2);
}

static void addresses_of_messages_read_as_locked(void **state)
{
    (void)state;
    for (uint64_t offset = 0x1bc0; offset < 0x1bd0; offset += 4) {
        put_m(offset, UINT32_MAX);
        assert_int_equal(get_m(offset), offset == 0x1bc4 ? 0x80000000 : 0);
        assert_int_equal(get(offset), 0);
    }
}

static void state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    put_m(4 * 7, 0x400);
    put(DOMAINCFG, 0);
    open_source(EDGE_RISING);
    put_m(4 * 8, EDGE_RISING);
    aplic_set(&aplic, 7, true);
    aplic_set(&aplic, 8, true);
    aplic_state(&aplic, save_open(&file, false));
    setup_two(NULL);
    aplic_state(&aplic, save_open(&file, true));
    assert_int_equal(file.state.error, 0);
    assert_int_equal(get_m(4 * 7), 0x400);
    assert_int_equal(get_m(SETIP), 1 << 8);
    assert_int_equal(get(SETIP), 1 << 7);
    put(DOMAINCFG, 0x100);
    assert_int_equal(count, 1);
    /* One without machine level is another. */
    setup(NULL);
    aplic_state(&aplic, save_open(&file, true));
    assert_int_not_equal(file.state.error, 0);
}

#define TEST(name)     cmocka_unit_test_setup(name, setup)
#define TEST_TWO(name) cmocka_unit_test_setup(name, setup_two)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_delivers_by_messages_alone),
        TEST(rising_level_sends_one_message_and_another_when_asked),
        TEST(level_that_falls_before_it_is_enabled_is_forgotten),
        TEST(edge_stays_pending_until_it_can_be_sent),
        TEST(low_and_falling_inputs_are_turned_round),
        TEST(inactive_sources_hold_nothing),
        TEST(genmsi_sends_at_once),
        TEST(every_register_takes_every_value),
        TEST(reset_keeps_the_wires_alone),
        TEST_TWO(sources_are_machine_levels_until_it_delegates_them),
        TEST_TWO(addresses_of_messages_read_as_locked),
        TEST_TWO(every_register_takes_every_value),
        TEST_TWO(state_survives_save_and_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
