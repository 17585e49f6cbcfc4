/* How a VM is to be run by types 1 and 0: weight, pinning, watchdog; where it lies, what it shares.
 */
#include "core/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void plain(struct spec_fleet *fleet)
{
    memset(fleet, 0, sizeof(*fleet));
    fleet->vm_count = 1;
    fleet->vms[0].name = "web";
    fleet->vms[0].cpus = 1;
    fleet->vms[0].memory = 64 << 20;
    fleet->vms[0].kernel = "kernel";
}

static void policy_survives_flattening(void **state)
{
    (void)state;
    struct spec_fleet fleet, back;
    struct spec_problem problem;
    static uint8_t blob[65536];
    plain(&fleet);
    struct spec_vm *vm = &fleet.vms[0];
    vm->weight = 250;
    vm->watchdog = 30;
    vm->budget = 35;
    vm->lazy_memory = true;
    vm->on_failure = SPEC_FAILURE_RESTART;
    vm->irq = "aia";
    vm->pin_count = 2;
    vm->pins[0] = 3;
    vm->pins[1] = 0x12345678;
    vm->disk_count = 1;
    vm->disks[0].path = "disk.raw";
    long size = spec_flatten(&fleet, blob, sizeof(blob));
    assert_true(size > 0);
    assert_int_equal(spec_read(&back, blob, (size_t)size, &problem), 0);
    assert_int_equal(back.vms[0].weight, 250);
    assert_int_equal(back.vms[0].watchdog, 30);
    assert_int_equal(back.vms[0].budget, 35);
    assert_true(back.vms[0].lazy_memory);
    assert_int_equal(back.vms[0].on_failure, SPEC_FAILURE_RESTART);
    assert_string_equal(back.vms[0].irq, "aia");
    assert_int_equal(back.vms[0].pin_count, 2);
    assert_int_equal(back.vms[0].pins[0], 3);
    assert_int_equal(back.vms[0].pins[1], 0x12345678);
}

static void refused(const struct spec_fleet *fleet, const char *words)
{
    struct spec_problem problem;
    assert_int_not_equal(spec_check(fleet, &problem), 0);
    assert_non_null(strstr(problem.text, words));
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    struct spec_fleet fleet;
    plain(&fleet);
    fleet.vms[0].weight = SPEC_WEIGHT_MAX + 1;
    refused(&fleet, "weight: 10001 is more than 10000");
    plain(&fleet);
    fleet.vms[0].watchdog = SPEC_WATCHDOG_MAX + 1;
    refused(&fleet, "watchdog: 86401 seconds are more than 86400");
    plain(&fleet);
    fleet.vms[0].budget = 101;
    refused(&fleet, "budget: 101 percent are more than 100");
    plain(&fleet);
    fleet.vms[0].pin_count = 2;
    fleet.vms[0].pins[0] = fleet.vms[0].pins[1] = 7;
    refused(&fleet, "pin[1]: hart 7 is named twice");
    plain(&fleet);
    fleet.vms[0].pin_count = SPEC_PINS_MAX + 1;
    refused(&fleet, "pin: 65 harts are more than 64");
    plain(&fleet);
    fleet.vms[0].irq = "apic";
    refused(&fleet, "irq: 'apic' is no interrupt controller; write plic or aia");
}

static void policy_is_for_bare_metal_alone(void **state)
{
    (void)state;
    struct spec_fleet fleet;
    struct spec_problem problem;
    plain(&fleet);
    assert_int_equal(spec_check_hosted(&fleet, 0, &problem), 0);
    fleet.vms[0].weight = 100;
    assert_int_not_equal(spec_check_hosted(&fleet, 0, &problem), 0);
    assert_non_null(strstr(problem.text, "weight: is for bare metal alone"));
    plain(&fleet);
    fleet.vms[0].on_failure = SPEC_FAILURE_RESTART;
    assert_int_not_equal(spec_check_hosted(&fleet, 0, &problem), 0);
    assert_non_null(strstr(problem.text, "on_failure: is for bare metal alone"));
    plain(&fleet);
    fleet.vms[0].irq = "aia"; /* type 2's too */
    assert_int_equal(spec_check_hosted(&fleet, 0, &problem), 0);
}

/* Two that share a window. */
static void pair(struct spec_fleet *fleet)
{
    plain(fleet);
    fleet->vm_count = 2;
    fleet->vms[1] = fleet->vms[0];
    fleet->vms[1].name = "db";
    for (unsigned i = 0; i < 2; i++) {
        fleet->vms[i].shared_count = 1;
        fleet->vms[i].shared[0] = (struct spec_shared){"box", 65536};
    }
}

static void place_and_windows_survive_flattening(void **state)
{
    (void)state;
    struct spec_fleet fleet, back;
    struct spec_problem problem;
    static uint8_t blob[65536];
    pair(&fleet);
    fleet.vms[1].placed = fleet.vms[1].control = fleet.vms[1].trusted_dma = true;
    fleet.vms[1].address = 0x88000000;
    long size = spec_flatten(&fleet, blob, sizeof(blob));
    assert_true(size > 0);
    assert_int_equal(spec_read(&back, blob, (size_t)size, &problem), 0);
    assert_false(back.vms[0].placed || back.vms[0].control || back.vms[0].trusted_dma);
    assert_true(back.vms[1].placed && back.vms[1].control && back.vms[1].trusted_dma);
    assert_int_equal(back.vms[1].address, 0x88000000);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(back.vms[i].shared_count, 1);
        assert_string_equal(back.vms[i].shared[0].name, "box");
        assert_int_equal(back.vms[i].shared[0].size, 65536);
    }
}

static void a_window_has_two_ends_of_one_size(void **state)
{
    (void)state;
    struct spec_fleet fleet;
    pair(&fleet);
    fleet.vms[1].shared_count = 0;
    refused(&fleet, "vms[0] (web): shared[0].name: 'box' is named by 1; let two name it");
    pair(&fleet);
    fleet.vms[1].shared[0].size = 4096;
    refused(&fleet, "shared[0].size: vms[1] says 4K; write the same");
    pair(&fleet);
    fleet.vms[0].shared[1] = fleet.vms[0].shared[0];
    fleet.vms[0].shared_count = 2;
    refused(&fleet, "shared[0].name: 'box' is there twice");
    pair(&fleet);
    fleet.vms[2] = fleet.vms[0];
    fleet.vms[2].name = "third";
    fleet.vm_count = 3;
    refused(&fleet, "'box' is named by 3");
    pair(&fleet);
    fleet.vms[0].shared[0].size = fleet.vms[1].shared[0].size = 12288;
    refused(&fleet, "shared[0].size: write a power of two from 4K to 64M");
    pair(&fleet);
    fleet.vms[1].placed = true;
    fleet.vms[1].address = 0x88100000;
    refused(&fleet, "vms[1] (db): address: is not a multiple of 2M");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_survives_flattening),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(policy_is_for_bare_metal_alone),
        cmocka_unit_test(place_and_windows_survive_flattening),
        cmocka_unit_test(a_window_has_two_ends_of_one_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
