/* The exit loop: sleeping, waking, pausing, ending. A fake engine plays the guest. */
#include "tests/unit/board_test.h"

#include "vmm/run.h"

#include "riscv/csr.h"

#include <pthread.h>

enum { HARTS = 4 };

#define RAM_SIZE (1ULL << 20)

/* What the fake engine does when it is run; one a test. */
static enum exit_reason (*behaviour)(struct vcpu *vcpu, struct exit *exit);
static _Atomic unsigned runs[HARTS];
static _Atomic unsigned taken, lent;
static struct vmm_stats stats[HARTS];
static pthread_t threads[HARTS];

static enum exit_reason fake_run(struct vcpu *vcpu, struct exit *exit)
{
    atomic_fetch_add(&runs[vcpu->id], 1);
    return behaviour(vcpu, exit);
}

static void fake_get(struct vcpu *vcpu)
{
    (void)vcpu;
    atomic_fetch_add(&taken, 1);
}

static void fake_put(struct vcpu *vcpu)
{
    (void)vcpu;
    atomic_fetch_add(&lent, 1);
}

static const struct engine_ops fake_engine = {
    .name = "fake", .run = fake_run, .state_get = fake_get, .state_put = fake_put};

static int setup(void **state)
{
    (void)state;
    assert_int_equal(board_test_init(HARTS, RAM_SIZE, NULL), 0);
    memset(stats, 0, sizeof stats);
    atomic_store(&taken, 0);
    atomic_store(&lent, 0);
    for (unsigned i = 0; i < HARTS; i++) {
        harts[i].vcpu.engine = &fake_engine;
        atomic_store(&runs[i], 0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_stop(&vm.clock);
    board_test_fini();
    return 0;
}

static void *vcpu_thread(void *arg)
{
    struct riscv_vcpu *hart = arg;
    vmm_run_vcpu(&vm, hart, &stats[hart->vcpu.id]);
    return NULL;
}

static void start(unsigned running)
{
    for (unsigned i = 0; i < HARTS; i++) {
        riscv_vcpu_start_supervisor(&harts[i], BOARD_RAM, 0);
        atomic_store(&harts[i].vcpu.run_state, i < running ? VCPU_RUNNING : VCPU_STOPPED);
    }
    clock_start(&vm.clock);
    for (unsigned i = 0; i < HARTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, vcpu_thread, &harts[i]), 0);
}

static void join(void)
{
    for (unsigned i = 0; i < HARTS; i++)
        pthread_join(threads[i], NULL);
}

static void wait_for_runs(unsigned hart, unsigned at_least)
{
    while (atomic_load(&runs[hart]) < at_least)
        host_yield();
}

static enum exit_reason spin(struct vcpu *vcpu, struct exit *exit)
{
    (void)exit;
    while (atomic_load(&vcpu->kick) == 0)
        host_yield();
    return EXIT_KICKED;
}

static enum exit_reason sleep_always(struct vcpu *vcpu, struct exit *exit)
{
    (void)vcpu;
    (void)exit;
    return EXIT_WFI;
}

static void power_ends_running_sleeping_and_stopped_harts(void **state)
{
    (void)state;
    behaviour = spin;
    start(2);
    wait_for_runs(0, 1);
    wait_for_runs(1, 1);
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    join();
    assert_int_equal(runs[2] + runs[3], 0);
}

static void wfi_sleeps_until_an_enabled_interrupt(void **state)
{
    (void)state;
    behaviour = sleep_always;
    start(1);
    wait_for_runs(0, 1);
    for (unsigned i = 0; i < 200; i++) {
        riscv_vcpu_irq(&harts[0], IRQ_SSI, true); /* not enabled: sleeps on */
        host_yield();
    }
    assert_int_equal(runs[0], 1);
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    join();
    assert_int_equal(stats[0].exits[EXIT_WFI], 1);
}

/* Takes its interrupt and sleeps again: the guest of the next test. */
static enum exit_reason take_and_sleep(struct vcpu *vcpu, struct exit *exit)
{
    (void)exit;
    riscv_vcpu_irq(riscv_of(vcpu), IRQ_SSI, false);
    return EXIT_WFI;
}

static void no_wake_up_is_lost(void **state)
{
    (void)state;
    enum { ROUNDS = 20000 };
    behaviour = take_and_sleep;
    start(0);
    harts[0].mie = 1ULL << IRQ_SSI;
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    vcpu_kick(&harts[0].vcpu);
    for (unsigned i = 0; i < ROUNDS; i++) {
        riscv_vcpu_irq(&harts[0], IRQ_SSI, true);
        /* A lost wake-up hangs here. */
        while ((atomic_load(&harts[0].mip) & 1ULL << IRQ_SSI) != 0)
            host_yield();
    }
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    join();
    assert_true(runs[0] >= ROUNDS);
}

static void suspended_hart_wakes_on_an_interrupt(void **state)
{
    (void)state;
    behaviour = spin;
    start(0);
    harts[1].mie = 1ULL << IRQ_SSI;
    atomic_store(&harts[1].vcpu.run_state, VCPU_SUSPENDED);
    vcpu_kick(&harts[1].vcpu);
    for (unsigned i = 0; i < 100; i++)
        host_yield();
    assert_int_equal(runs[1], 0);
    riscv_vcpu_irq(&harts[1], IRQ_SSI, true);
    wait_for_runs(1, 1);
    assert_int_equal(harts[1].vcpu.run_state, VCPU_RUNNING);
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    join();
}

static void pause_parks_every_hart_and_stops_time(void **state)
{
    (void)state;
    behaviour = spin;
    start(2); /* two run, two are stopped */
    wait_for_runs(0, 1);
    wait_for_runs(1, 1);
    for (unsigned round = 0; round < 200; round++) {
        vmm_pause(&vm);
        vmm_pause(&vm);
        assert_int_equal(vm.parked, HARTS);
        unsigned before = runs[0] + runs[1];
        uint64_t now = clock_now_ns(&vm.clock);
        for (unsigned i = 0; i < 10; i++)
            host_yield();
        assert_int_equal(runs[0] + runs[1], before);
        assert_true(clock_now_ns(&vm.clock) == now);
        unsigned run0 = runs[0], run1 = runs[1];
        vmm_resume(&vm);
        wait_for_runs(0, run0 + 1);
        wait_for_runs(1, run1 + 1);
    }
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    join();
    assert_int_equal(vm.parked, 0);
    assert_int_equal(taken, lent); /* each hand-over has its way back */
}

static void power_ends_a_paused_machine(void **state)
{
    (void)state;
    behaviour = sleep_always;
    start(HARTS);
    vmm_pause(&vm);
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    join();
    vmm_pause(&vm); /* and pausing what has ended does not hang */
}

static enum exit_reason halt(struct vcpu *vcpu, struct exit *exit)
{
    (void)vcpu;
    exit->message = "trap loop";
    return EXIT_HALTED;
}

static void halted_hart_fails_the_machine(void **state)
{
    (void)state;
    behaviour = halt;
    start(1);
    join();
    assert_int_equal(vm_power_state(&vm), VM_POWER_FAILED);
    assert_string_equal(vm.power_message, "trap loop");
}

static void mmio_exits_are_answered_by_the_bus(void **state)
{
    (void)state;
    struct exit exit = {.address = BOARD_UART, .width = 1, .data = 'x'};
    vmm_handle_exit(&vm, &harts[0], EXIT_MMIO_WRITE, &exit);
    assert_false(exit.fault);
    assert_string_equal(console, "x");
    exit = (struct exit){.address = BOARD_UART + 5, .width = 1, .fault = true};
    vmm_handle_exit(&vm, &harts[0], EXIT_MMIO_READ, &exit);
    assert_false(exit.fault);
    assert_int_equal(exit.data, 0x60);
    exit = (struct exit){.address = 0x70000000, .width = 4};
    vmm_handle_exit(&vm, &harts[0], EXIT_MMIO_READ, &exit);
    assert_true(exit.fault);
    exit = (struct exit){.address = BOARD_PLIC, .width = 1}; /* a width that it refuses */
    vmm_handle_exit(&vm, &harts[0], EXIT_MMIO_WRITE, &exit);
    assert_true(exit.fault);
}

/* Hart 0 starts hart 1 through the SBI, hart 1 stops itself, again and again. */
static enum exit_reason start_and_stop(struct vcpu *vcpu, struct exit *exit)
{
    enum { HSM = 0x48534d, START = 0, STOP = 1 };
    struct riscv_vcpu *hart = riscv_of(vcpu);
    (void)exit;
    if (runs[1] >= 1000)
        vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    hart->x[17] = HSM;
    hart->x[16] = vcpu->id == 0 ? START : STOP;
    hart->x[10] = 1;
    hart->x[11] = BOARD_RAM + 0x100;
    hart->x[12] = 0;
    if (vcpu->id == 1)
        assert_true(hart->pc == BOARD_RAM + 0x100);
    return EXIT_SBI;
}

static void harts_start_and_stop_each_other_through_the_sbi(void **state)
{
    (void)state;
    behaviour = start_and_stop;
    start(1);
    join();
    assert_int_equal(taken, lent);
    assert_int_equal(stats[0].sbi_calls, runs[0]);
    assert_int_equal(stats[1].exits[EXIT_SBI], runs[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(power_ends_running_sleeping_and_stopped_harts),
        TEST(wfi_sleeps_until_an_enabled_interrupt),
        TEST(no_wake_up_is_lost),
        TEST(suspended_hart_wakes_on_an_interrupt),
        TEST(pause_parks_every_hart_and_stops_time),
        TEST(power_ends_a_paused_machine),
        TEST(halted_hart_fails_the_machine),
        TEST(mmio_exits_are_answered_by_the_bus),
        TEST(harts_start_and_stop_each_other_through_the_sbi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
