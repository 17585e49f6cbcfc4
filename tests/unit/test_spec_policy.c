/* How a VM is to be run by type 1: weight, pinning, watchdog, what becomes of a failed one. */
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
    fleet.vms[0].irq = "plic";
    assert_int_not_equal(spec_check_hosted(&fleet, 0, &problem), 0);
    assert_non_null(strstr(problem.text, "irq: is for bare metal alone"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_survives_flattening),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(policy_is_for_bare_metal_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
