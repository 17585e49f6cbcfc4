#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/engine.h"
#include "core/vm.h"

#include <string.h>

static unsigned kicks;

static void engine_kick(struct vcpu *vcpu)
{
    (void)vcpu;
    kicks++;
}

static const struct engine_ops kicking = {.name = "kicking", .kick = engine_kick};
static const struct engine_ops silent = {.name = "silent"};

static void name_is_cut_to_its_field(void **state)
{
    (void)state;
    static struct vm vm;
    vm_init(&vm, "a-name-of-more-than-thirty-one-characters");
    assert_string_equal(vm.name, "a-name-of-more-than-thirty-one-");
    assert_int_equal(vm_power_state(&vm), VM_POWER_ON);
    assert_int_equal(vm.vcpu_count, 0);
}

static void kick_sets_the_flag_calls_the_engine_and_wakes(void **state)
{
    (void)state;
    static struct vm vm;
    struct vcpu vcpu;
    vm_init(&vm, "vm");
    vcpu_init(&vcpu, &vm, 3);
    assert_int_equal(vcpu.id, 3);
    assert_int_equal(vcpu.run_state, VCPU_STOPPED);
    assert_false(host_event_wait(&vcpu.wake, 0));

    vcpu_kick(&vcpu); /* no engine yet */
    assert_int_equal(vcpu.kick, 1);
    assert_true(host_event_wait(&vcpu.wake, 0));
    vcpu.engine = &silent;
    vcpu_kick(&vcpu);
    kicks = 0;
    vcpu.engine = &kicking;
    vcpu_kick(&vcpu);
    assert_int_equal(kicks, 1);
}

static void posted_request_is_done_outside_the_guest_or_when_taken(void **state)
{
    (void)state;
    static struct vm vm;
    struct vcpu vcpu;
    vm_init(&vm, "vm");
    vcpu_init(&vcpu, &vm, 0);
    vcpu_post(&vcpu, VCPU_REQ_TLB_FLUSH);
    vcpu_post(&vcpu, VCPU_REQ_FENCE_I);
    assert_int_equal(vcpu.requests, VCPU_REQ_TLB_FLUSH | VCPU_REQ_FENCE_I);
    assert_int_equal(vcpu.kick, 1);
    assert_true(vcpu_post_done(&vcpu, VCPU_REQ_TLB_FLUSH));
    vcpu.in_guest = true;
    assert_false(vcpu_post_done(&vcpu, VCPU_REQ_TLB_FLUSH));
    vcpu.requests = VCPU_REQ_FENCE_I;
    assert_true(vcpu_post_done(&vcpu, VCPU_REQ_TLB_FLUSH));
    assert_false(vcpu_post_done(&vcpu, VCPU_REQ_FENCE_I));
}

static void first_power_request_wins_and_wakes_everybody(void **state)
{
    (void)state;
    static struct vm vm;
    struct vcpu vcpus[2];
    vm_init(&vm, "vm");
    for (unsigned i = 0; i < 2; i++) {
        vcpu_init(&vcpus[i], &vm, i);
        vm.vcpus[vm.vcpu_count++] = &vcpus[i];
    }
    vm_power_request(&vm, VM_POWER_ON, 0, NULL);
    assert_int_equal(vm_power_state(&vm), VM_POWER_ON);
    assert_false(host_event_wait(&vm.power_event, 0));

    vm_power_request(&vm, VM_POWER_FAILED, 42, "why");
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    assert_int_equal(vm_power_state(&vm), VM_POWER_FAILED);
    assert_int_equal(vm.power_code, 42);
    assert_string_equal(vm.power_message, "why");
    assert_true(host_event_wait(&vm.power_event, 0));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vcpus[i].kick, 1);
        assert_true(host_event_wait(&vcpus[i].wake, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_cut_to_its_field),
        cmocka_unit_test(kick_sets_the_flag_calls_the_engine_and_wakes),
        cmocka_unit_test(posted_request_is_done_outside_the_guest_or_when_taken),
        cmocka_unit_test(first_power_request_wins_and_wakes_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
