#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bus.h"
#include "core/error.h"

/* A device that remembers its last access and answers with it. */
struct probe {
    uint64_t offset, value;
    unsigned width, calls;
    int answer;
};

static int probe_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    struct probe *probe = device;
    probe->offset = offset;
    probe->width = width;
    probe->calls++;
    *value = probe->value;
    return probe->answer;
}

static int probe_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct probe *probe = device;
    probe->offset = offset;
    probe->width = width;
    probe->value = value;
    probe->calls++;
    return probe->answer;
}

static const struct bus_ops words_only = {probe_read, probe_write, 4};
static const struct bus_ops any_width = {probe_read, probe_write, 1 | 2 | 4 | 8};

static void access_reaches_the_device_at_its_offset(void **state)
{
    (void)state;
    struct bus bus;
    struct probe low = {.value = 7}, high = {0};
    bus_init(&bus);
    assert_int_equal(bus_add(&bus, "high", 0x2000, 0x100, &any_width, &high), 0);
    assert_int_equal(bus_add(&bus, "low", 0x1000, 0x1000, &any_width, &low), 0);

    uint64_t value;
    assert_int_equal(bus_read(&bus, 0x1ff8, 8, &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(low.offset, 0xff8);
    assert_int_equal(low.width, 8);
    assert_int_equal(bus_write(&bus, 0x20ff, 1, 0xab), 0);
    assert_int_equal(high.offset, 0xff);
    assert_int_equal(high.value, 0xab);
    assert_string_equal(bus_find(&bus, 0x2000)->name, "high");
    assert_string_equal(bus_find(&bus, 0x1fff)->name, "low");
    assert_int_equal(bus_find(&bus, 0x1000)->accesses, 1);
}

static void access_outside_every_range_is_a_fault(void **state)
{
    (void)state;
    struct bus bus;
    struct probe probe = {0};
    uint64_t value;
    bus_init(&bus);
    assert_int_equal(bus_read(&bus, 0, 4, &value), -E_FAULT);
    bus_add(&bus, "probe", 0x1000, 0x10, &any_width, &probe);
    assert_int_equal(bus_read(&bus, 0xffc, 4, &value), -E_FAULT);
    assert_int_equal(bus_read(&bus, 0x1010, 4, &value), -E_FAULT);
    assert_int_equal(bus_write(&bus, UINT64_MAX, 1, 0), -E_FAULT);
    assert_int_equal(probe.calls, 0);
}

static void misaligned_or_unaccepted_widths_are_faults(void **state)
{
    (void)state;
    struct bus bus;
    struct probe word = {0}, odd = {0};
    uint64_t value;
    bus_init(&bus);
    bus_add(&bus, "word", 0x1000, 0x10, &words_only, &word);
    bus_add(&bus, "odd", 0x2000, 6, &any_width, &odd);
    assert_int_equal(bus_read(&bus, 0x1000, 8, &value), -E_FAULT);
    assert_int_equal(bus_read(&bus, 0x1000, 1, &value), -E_FAULT);
    assert_int_equal(bus_read(&bus, 0x1002, 4, &value), -E_FAULT);
    assert_int_equal(bus_write(&bus, 0x1001, 4, 0), -E_FAULT);
    assert_int_equal(bus_read(&bus, 0x1000, 3, &value), -E_FAULT);
    assert_int_equal(bus_read(&bus, 0x1000, 0, &value), -E_FAULT);
    assert_int_equal(bus_read(&bus, 0x1000, 16, &value), -E_FAULT);
    /* The last bytes of a range that a wide access would leave. */
    assert_int_equal(bus_read(&bus, 0x2004, 4, &value), -E_FAULT);
    assert_int_equal(word.calls + odd.calls, 0);
    assert_int_equal(bus_read(&bus, 0x2004, 2, &value), 0);
}

static void a_refusal_of_the_device_is_a_fault(void **state)
{
    (void)state;
    struct bus bus;
    struct probe probe = {.answer = -E_INVAL};
    uint64_t value;
    bus_init(&bus);
    bus_add(&bus, "probe", 0x1000, 0x10, &any_width, &probe);
    assert_int_equal(bus_read(&bus, 0x1000, 4, &value), -E_FAULT);
    assert_int_equal(bus_write(&bus, 0x1000, 4, 0), -E_FAULT);
}

static void ranges_that_overlap_or_wrap_are_refused(void **state)
{
    (void)state;
    struct bus bus;
    struct probe probe = {0};
    bus_init(&bus);
    assert_int_equal(bus_add(&bus, "a", 0x1000, 0x1000, &any_width, &probe), 0);
    assert_int_equal(bus_add(&bus, "b", 0x1fff, 1, &any_width, &probe), -E_EXIST);
    assert_int_equal(bus_add(&bus, "b", 0xfff, 2, &any_width, &probe), -E_EXIST);
    assert_int_equal(bus_add(&bus, "b", 0x1000, 0x1000, &any_width, &probe), -E_EXIST);
    assert_int_equal(bus_add(&bus, "b", 0x3000, 0, &any_width, &probe), -E_INVAL);
    assert_int_equal(bus_add(&bus, "b", UINT64_MAX, 2, &any_width, &probe), -E_INVAL);
    assert_int_equal(bus_add(&bus, "b", UINT64_MAX, 1, &any_width, &probe), 0);
    assert_int_equal(bus_write(&bus, UINT64_MAX, 1, 1), 0);
}

static void a_full_bus_finds_every_range(void **state)
{
    (void)state;
    struct bus bus;
    struct probe probes[BUS_RANGES_MAX] = {0};
    bus_init(&bus);
    /* Added in an order that is neither up nor down. */
    for (unsigned i = 0; i < BUS_RANGES_MAX; i++) {
        unsigned n = i * 29 % BUS_RANGES_MAX;
        assert_int_equal(bus_add(&bus, "x", n * 0x100, 0x80, &any_width, &probes[n]), 0);
    }
    assert_int_equal(bus_add(&bus, "x", 0x100000, 1, &any_width, &probes[0]), -E_NOSPC);
    for (unsigned n = 0; n < BUS_RANGES_MAX; n++) {
        assert_ptr_equal(bus_find(&bus, n * 0x100 + 0x7f)->device, &probes[n]);
        assert_null(bus_find(&bus, n * 0x100 + 0x80));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_reaches_the_device_at_its_offset),
        cmocka_unit_test(access_outside_every_range_is_a_fault),
        cmocka_unit_test(misaligned_or_unaccepted_widths_are_faults),
        cmocka_unit_test(a_refusal_of_the_device_is_a_fault),
        cmocka_unit_test(ranges_that_overlap_or_wrap_are_refused),
        cmocka_unit_test(a_full_bus_finds_every_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
