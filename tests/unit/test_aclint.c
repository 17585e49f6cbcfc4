/* ACLINT: software interrupts, machine timers, supervisor software interrupts. */
#include "tests/unit/device_test.h"

#include "devices/aclint.h"

enum { HARTS = 3, MSI = 0, MTI = HARTS, SSI = 2 * HARTS, WIRES = 3 * HARTS };

static struct clock test_clock;
static struct aclint aclint;
static struct wire wires[WIRES];

static int setup(void **state)
{
    (void)state;
    struct aclint_wires harts[HARTS];
    memset(wires, 0, sizeof wires);
    for (uint32_t i = 0; i < HARTS; i++) {
        harts[i].msi = wire_irq(wires, MSI + i);
        harts[i].mti = wire_irq(wires, MTI + i);
        harts[i].ssi = wire_irq(wires, SSI + i);
    }
    clock_init(&test_clock);
    aclint_init(&aclint, &test_clock, HARTS, harts);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_stop(&test_clock);
    aclint_fini(&aclint);
    return 0;
}

static uint64_t rd(uint64_t offset, unsigned width)
{
    return read_reg(&aclint_bus_ops, &aclint, offset, width);
}

static void wr(uint64_t offset, unsigned width, uint64_t value)
{
    write_reg(&aclint_bus_ops, &aclint, offset, width, value);
}

static void msip_drives_the_software_interrupt_of_its_hart(void **state)
{
    (void)state;
    wr(4 * 1, 4, 0xffffffff);
    assert_true(wires[MSI + 1].level);
    assert_false(wires[MSI + 0].level || wires[MSI + 2].level);
    assert_int_equal(rd(4 * 1, 4), 1); /* one bit */
    assert_int_equal(rd(0, 4), 0);
    wr(4 * 1, 4, 0xfffffffe);
    assert_false(wires[MSI + 1].level);
    wr(4 * HARTS, 4, 1);
    assert_int_equal(rd(4 * HARTS, 4), 0);
}

static void mtip_follows_mtime_and_mtimecmp(void **state)
{
    (void)state;
    clock_stand_at(&test_clock, 1000);
    wr(0x4000 + 8 * 2, 8, 1000);
    assert_true(wires[MTI + 2].level);
    wr(0x4000 + 8 * 2, 8, 1001);
    assert_false(wires[MTI + 2].level);
    assert_false(wires[MTI + 0].level || wires[MTI + 1].level);
    assert_int_equal(rd(0x4000 + 8 * 2, 8), 1001);
}

static void mtimecmp_takes_halves(void **state)
{
    (void)state;
    wr(0x4000, 8, 0x1122334455667788);
    wr(0x4000, 4, 0xaabbccdd);
    assert_true(rd(0x4000, 8) == 0x11223344aabbccdd);
    wr(0x4004, 4, 0x01020304);
    assert_true(rd(0x4000, 8) == 0x01020304aabbccdd);
    assert_int_equal(rd(0x4004, 4), 0x01020304);
    assert_int_equal(rd(0x4000, 4), 0xaabbccdd);
}

static void mtime_is_the_clock_of_the_vm_and_read_only(void **state)
{
    (void)state;
    clock_stand_at(&test_clock, 0x123456789a);
    assert_true(rd(0xbff8, 8) == 0x123456789a);
    assert_int_equal(rd(0xbff8, 4), 0x3456789a);
    assert_int_equal(rd(0xbffc, 4), 0x12);
    wr(0xbff8, 8, 5);
    assert_true(rd(0xbff8, 8) == 0x123456789a);
}

static void timer_interrupt_comes_when_the_clock_reaches_mtimecmp(void **state)
{
    (void)state;
    clock_start(&test_clock);
    uint64_t deadline = clock_now(&test_clock) + CLOCK_HZ / 50;
    wr(0x4000, 8, deadline);
    assert_false(wires[MTI].level);
    while (!atomic_load(&wires[MTI].level) && clock_now(&test_clock) < deadline + 20 * CLOCK_HZ)
        host_yield();
    assert_true(wires[MTI].level);
    assert_true(clock_now(&test_clock) >= deadline);
}

static void timer_moved_away_does_not_go_off(void **state)
{
    (void)state;
    clock_start(&test_clock);
    uint64_t deadline = clock_now(&test_clock) + CLOCK_HZ / 50;
    wr(0x4000, 8, deadline);
    wr(0x4000, 8, UINT64_MAX);
    while (clock_now(&test_clock) < deadline + CLOCK_HZ / 50)
        host_yield();
    assert_false(wires[MTI].level);
}

static void setssip_is_an_edge_and_reads_zero(void **state)
{
    (void)state;
    write_reg(&aclint_sswi_bus_ops, &aclint, 4 * 2, 4, 1);
    assert_true(wires[SSI + 2].level);
    assert_int_equal(wires[SSI + 2].edges, 1);
    write_reg(&aclint_sswi_bus_ops, &aclint, 4 * 2, 4, 0);
    write_reg(&aclint_sswi_bus_ops, &aclint, 4 * 2, 4, 2);
    assert_int_equal(wires[SSI + 2].edges, 1); /* the device never lowers it */
    assert_int_equal(read_reg(&aclint_sswi_bus_ops, &aclint, 4 * 2, 4), 0);
    write_reg(&aclint_sswi_bus_ops, &aclint, 4 * HARTS, 4, 1);
    assert_false(wires[SSI + 0].level || wires[SSI + 1].level);
}

static void reset_disarms_timers_and_lowers_wires(void **state)
{
    (void)state;
    clock_stand_at(&test_clock, 100);
    wr(0, 4, 1);
    wr(0x4000, 8, 1);
    aclint_reset(&aclint);
    assert_false(wires[MSI].level || wires[MTI].level);
    assert_true(rd(0x4000, 8) == UINT64_MAX);
    assert_int_equal(rd(0, 4), 0);
}

static void state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    clock_stand_at(&test_clock, 100);
    wr(4 * 1, 4, 1);
    wr(0x4000 + 8 * 2, 8, 100);
    wr(0x4000, 8, 101);
    aclint_state(&aclint, save_open(&file, false));

    teardown(NULL);
    setup(NULL);
    clock_stand_at(&test_clock, 100);
    aclint_state(&aclint, save_open(&file, true));
    assert_int_equal(file.state.error, 0);
    assert_true(wires[MSI + 1].level);
    assert_true(wires[MTI + 2].level);
    assert_false(wires[MTI + 0].level);
    assert_int_equal(rd(0x4000, 8), 101);
}

static void fdt_wires_both_interrupts_of_each_hart(void **state)
{
    (void)state;
    static uint8_t buf[4096];
    const uint32_t intcs[HARTS] = {7, 8, 9};
    const uint8_t expected[] = {0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 7,
                                0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 7,
                                0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 7};
    struct fdt_writer w;
    struct fdt fdt;
    uint32_t len;

    tree_begin(&w, buf, sizeof buf);
    aclint_fdt(&aclint, &w, 0x2000000, intcs);
    aclint_sswi_fdt(&aclint, &w, 0x2f00000, intcs);
    tree_close(&w, &fdt);
    int node = fdt_compatible_next(&fdt, -1, "sifive,clint0");
    assert_string_equal(fdt_name(&fdt, node), "clint@2000000");
    const void *cells = fdt_prop(&fdt, node, "interrupts-extended", &len);
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(cells, expected, sizeof expected);
    assert_true(fdt_compatible_next(&fdt, -1, "riscv,aclint-sswi") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(msip_drives_the_software_interrupt_of_its_hart),
        TEST(mtip_follows_mtime_and_mtimecmp),
        TEST(mtimecmp_takes_halves),
        TEST(mtime_is_the_clock_of_the_vm_and_read_only),
        TEST(timer_interrupt_comes_when_the_clock_reaches_mtimecmp),
        TEST(timer_moved_away_does_not_go_off),
        TEST(setssip_is_an_edge_and_reads_zero),
        TEST(reset_disarms_timers_and_lowers_wires),
        TEST(state_survives_save_and_load),
        TEST(fdt_wires_both_interrupts_of_each_hart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
