/* The SBI as a supervisor calls it. Numbers are those of the SBI specification, 2.0. */
#include "tests/unit/board_test.h"

#include "vmm/sbi.h"

#include "riscv/csr.h"

#include <pthread.h>

enum { HARTS = 3 };

#define RAM_SIZE (1ULL << 20)

enum {
    SUCCESS = 0,
    NOT_SUPPORTED = -2,
    INVALID_PARAM = -3,
    DENIED = -4,
    INVALID_ADDRESS = -5,
    ALREADY_AVAILABLE = -6,
    ALREADY_STARTED = -7,
    ALREADY_STOPPED = -8,
};

enum {
    BASE = 0x10,
    TIME = 0x54494d45,
    IPI = 0x735049,
    RFENCE = 0x52464e43,
    HSM = 0x48534d,
    SRST = 0x53525354,
    PMU = 0x504d55,
    DBCN = 0x4442434e,
    SUSP = 0x53555350,
    STA = 0x535441,
};

static int setup(void **state)
{
    (void)state;
    assert_int_equal(board_test_init(HARTS, RAM_SIZE, NULL), 0);
    riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_test_fini();
    return 0;
}

struct answer {
    int64_t error;
    uint64_t value;
};

static struct answer call_from(unsigned hart, uint64_t extension, uint64_t function, uint64_t a0,
                               uint64_t a1, uint64_t a2, uint64_t a3)
{
    uint64_t *x = harts[hart].x;
    x[10] = a0;
    x[11] = a1;
    x[12] = a2;
    x[13] = a3;
    x[14] = x[15] = 0;
    x[16] = function;
    x[17] = extension;
    sbi_call(&vm, &harts[hart]);
    return (struct answer){(int64_t)x[10], x[11]};
}

static struct answer call(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1,
                          uint64_t a2)
{
    return call_from(0, extension, function, a0, a1, a2, 0);
}

static bool irq_pending(unsigned hart, unsigned irq)
{
    return (atomic_load(&harts[hart].mip) >> irq & 1) != 0;
}

static void base_tells_version_2_and_probes_extensions(void **state)
{
    (void)state;
    static const uint64_t present[] = {BASE, TIME, IPI, RFENCE, HSM, SRST, PMU,
                                       DBCN, SUSP, 0,   1,      2,   8};
    static const uint64_t absent[] = {9, 0xf, 0x4e41434c, 0x535441, 0x43505043, UINT64_MAX};
    assert_int_equal(call(BASE, 0, 0, 0, 0).value, 0x02000000);
    for (unsigned i = 0; i < sizeof present / sizeof present[0]; i++)
        assert_int_equal(call(BASE, 3, present[i], 0, 0).value, 1);
    for (unsigned i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_int_equal(call(BASE, 3, absent[i], 0, 0).value, 0);
    assert_true(call(BASE, 1, 0, 0, 0).value > 11); /* not one of the ids given out */
    for (unsigned function = 4; function <= 6; function++) {
        struct answer answer = call(BASE, function, 5, 5, 0);
        assert_int_equal(answer.error, SUCCESS);
        assert_int_equal(answer.value, 0);
    }
    assert_int_equal(call(BASE, 7, 0, 0, 0).error, NOT_SUPPORTED);
}

static void unknown_calls_are_not_supported(void **state)
{
    (void)state;
    static const uint64_t extensions[] = {TIME, IPI, RFENCE, HSM, SRST, PMU, DBCN, SUSP, 0x99};
    for (unsigned i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        assert_int_equal(call(extensions[i], 99, 0, 0, 0).error, NOT_SUPPORTED);
        assert_int_equal(vm_power_state(&vm), VM_POWER_ON);
    }
}

/* What an engine may have answered before it has brought the VCPU up to date (vmm/sbi.h). */
static void a_call_that_needs_more_than_it_may_have_is_left_alone(void **state)
{
    (void)state;
    static const uint64_t alone[] = {BASE, 0x99, UINT64_MAX}, light[] = {IPI, RFENCE, DBCN, STA},
                          whole[] = {TIME, HSM, SRST, PMU, SUSP, 0, 8};
    uint64_t *x = harts[0].x;
    for (unsigned i = 0; i < sizeof alone / sizeof alone[0]; i++) {
        x[10] = x[11] = 77, x[16] = 99, x[17] = alone[i];
        assert_true(sbi_call_alone(&vm, &harts[0]));
        assert_int_equal((int64_t)x[10], NOT_SUPPORTED);
        assert_int_equal(x[11], 0);
    }
    for (unsigned i = 0; i < sizeof light / sizeof light[0]; i++) {
        x[10] = 77, x[16] = 99, x[17] = light[i];
        assert_false(sbi_call_alone(&vm, &harts[0]));
        assert_int_equal(x[10], 77);
        assert_true(sbi_call_light(&vm, &harts[0]));
        assert_int_equal((int64_t)x[10], NOT_SUPPORTED);
    }
    for (unsigned i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        x[10] = 77, x[16] = 0, x[17] = whole[i];
        assert_false(sbi_call_light(&vm, &harts[0]));
        assert_int_equal(x[10], 77);
    }
    assert_int_equal(vm_power_state(&vm), VM_POWER_ON);
}

static void set_timer_raises_stip_when_due(void **state)
{
    (void)state;
    clock_stand_at(&vm.clock, 1000);
    assert_int_equal(call(TIME, 0, 1000, 0, 0).error, SUCCESS);
    assert_true(irq_pending(0, IRQ_STI));
    assert_int_equal(call(TIME, 0, 1001, 0, 0).error, SUCCESS);
    assert_false(irq_pending(0, IRQ_STI));
}

static void ipi_sets_ssip_of_the_harts_named(void **state)
{
    (void)state;
    for (unsigned i = 1; i < HARTS; i++)
        assert_int_equal(call(HSM, 0, i, BOARD_RAM, 0).error, SUCCESS);
    assert_int_equal(call(IPI, 0, 2, 1, 0).error, SUCCESS); /* bit 1 of base 1: hart 2 */
    assert_true(irq_pending(2, IRQ_SSI));
    assert_false(irq_pending(0, IRQ_SSI) || irq_pending(1, IRQ_SSI));
    assert_int_equal(call(IPI, 0, 0, UINT64_MAX, 0).error, SUCCESS);
    for (unsigned i = 0; i < HARTS; i++)
        assert_true(irq_pending(i, IRQ_SSI));
}

static void hart_that_does_not_exist_is_an_invalid_parameter(void **state)
{
    (void)state;
    assert_int_equal(call(IPI, 0, 8, 0, 0).error, INVALID_PARAM);
    assert_int_equal(call(IPI, 0, 4, 1, 0).error, INVALID_PARAM);
    assert_int_equal(call(IPI, 0, 1, 3, 0).error, INVALID_PARAM);
    assert_int_equal(call(IPI, 0, 1, UINT64_MAX - 1, 0).error, INVALID_PARAM);
    assert_int_equal(call(RFENCE, 0, UINT64_MAX, 0, 0).error, INVALID_PARAM);
    assert_false(irq_pending(0, IRQ_SSI));
}

static void rfence_posts_to_the_targets(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HARTS; i++)
        atomic_store(&harts[i].vcpu.requests, 0);
    assert_int_equal(call(RFENCE, 0, 6, 0, 0).error, SUCCESS);
    assert_int_equal(harts[0].vcpu.requests, 0);
    assert_int_equal(harts[1].vcpu.requests, VCPU_REQ_FENCE_I);
    assert_int_equal(harts[2].vcpu.requests, VCPU_REQ_FENCE_I);
    assert_int_equal(call(RFENCE, 1, 0, UINT64_MAX, 0).error, SUCCESS);
    assert_int_equal(harts[0].vcpu.requests, VCPU_REQ_TLB_FLUSH);
    assert_int_equal(harts[2].vcpu.requests, VCPU_REQ_FENCE_I | VCPU_REQ_TLB_FLUSH);
    assert_int_equal(call(RFENCE, 2, 1, 0, 0).error, SUCCESS);
    for (unsigned function = 3; function <= 6; function++) /* hfence: no H extension */
        assert_int_equal(call(RFENCE, function, 1, 0, 0).error, NOT_SUPPORTED);
}

static _Atomic bool fenced;

static void *fence_thread(void *arg)
{
    sbi_remote(&vm, &harts[0], 2, VCPU_REQ_TLB_FLUSH);
    atomic_store(&fenced, true);
    return arg;
}

static void rfence_waits_for_a_hart_inside_the_guest(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&fenced, false);
    atomic_store(&harts[1].vcpu.requests, 0);
    atomic_store(&harts[1].vcpu.kick, 0);
    atomic_store(&harts[1].vcpu.in_guest, true);
    assert_int_equal(pthread_create(&thread, NULL, fence_thread, NULL), 0);
    while (atomic_load(&harts[1].vcpu.kick) == 0)
        host_yield();
    for (unsigned i = 0; i < 1000; i++)
        host_yield();
    assert_false(atomic_load(&fenced));
    atomic_fetch_and(&harts[1].vcpu.requests, ~(uint32_t)VCPU_REQ_TLB_FLUSH);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&fenced));
    atomic_store(&harts[1].vcpu.in_guest, false);
}

static void hsm_starts_and_stops_a_second_hart(void **state)
{
    (void)state;
    const uint64_t entry = BOARD_RAM + 0x1000;
    assert_int_equal(call(HSM, 2, 0, 0, 0).value, 0);
    assert_int_equal(call(HSM, 2, 1, 0, 0).value, 1);
    assert_int_equal(call(HSM, 0, 0, entry, 0).error, ALREADY_AVAILABLE);
    assert_int_equal(call(HSM, 0, HARTS, entry, 0).error, INVALID_PARAM);
    assert_int_equal(call(HSM, 0, 1, 0x10000000, 0).error, INVALID_ADDRESS); /* the UART */
    assert_int_equal(call(HSM, 0, 1, BOARD_RAM + RAM_SIZE, 0).error, INVALID_ADDRESS);
    assert_int_equal(harts[1].vcpu.run_state, VCPU_STOPPED);

    atomic_store(&harts[1].vcpu.kick, 0);
    assert_int_equal(call(HSM, 0, 1, entry, 0xabcdef).error, SUCCESS);
    assert_int_equal(harts[1].vcpu.run_state, VCPU_RUNNING);
    assert_int_not_equal(harts[1].vcpu.kick, 0);
    assert_true(harts[1].pc == entry);
    assert_int_equal(harts[1].x[10], 1);
    assert_int_equal(harts[1].x[11], 0xabcdef);
    assert_int_equal(harts[1].priv, PRIV_S);
    assert_int_equal(harts[1].satp, 0);
    assert_true((harts[1].vcpu.requests & VCPU_REQ_TLB_FLUSH) != 0);
    assert_int_equal(call(HSM, 2, 1, 0, 0).value, 0);
    assert_int_equal(call(HSM, 0, 1, entry, 0).error, ALREADY_AVAILABLE);

    call_from(1, HSM, 1, 0, 0, 0, 0);
    assert_int_equal(harts[1].vcpu.run_state, VCPU_STOPPED);
    assert_int_equal(call(HSM, 2, 1, 0, 0).value, 1);
    assert_int_equal(call(HSM, 2, HARTS, 0, 0).error, INVALID_PARAM);
    assert_int_equal(call(HSM, 0, 1, entry + 2, 5).error, SUCCESS);
    assert_true(harts[1].pc == entry + 2);
}

static void retentive_suspend_returns_to_its_caller(void **state)
{
    (void)state;
    harts[0].pc = BOARD_RAM + 0x40;
    harts[0].satp = 8ULL << 60;
    harts[0].x[11] = 99;
    assert_int_equal(call(HSM, 3, 0, 0, 0).error, SUCCESS);
    assert_int_equal(harts[0].vcpu.run_state, VCPU_SUSPENDED);
    assert_true(harts[0].pc == BOARD_RAM + 0x40);
    assert_true(harts[0].satp == 8ULL << 60);
    assert_int_equal(call_from(1, HSM, 2, 0, 0, 0, 0).value, 4);
}

static void non_retentive_suspend_resumes_at_the_address(void **state)
{
    (void)state;
    harts[0].satp = 8ULL << 60;
    harts[0].mstatus |= MSTATUS_SIE;
    harts[0].mie = 1ULL << IRQ_SSI;
    assert_int_equal(call(HSM, 3, 0x80000000, 0x1234567, 0).error, INVALID_ADDRESS);
    assert_int_equal(harts[0].vcpu.run_state, VCPU_RUNNING);
    call(HSM, 3, 0x80000000, BOARD_RAM + 0x80, 0x77);
    assert_int_equal(harts[0].vcpu.run_state, VCPU_SUSPENDED);
    assert_true(harts[0].pc == BOARD_RAM + 0x80);
    assert_int_equal(harts[0].x[10], 0);
    assert_int_equal(harts[0].x[11], 0x77);
    assert_int_equal(harts[0].satp, 0);
    assert_int_equal(harts[0].mstatus & MSTATUS_SIE, 0);
    assert_true(harts[0].mie == 1ULL << IRQ_SSI); /* or nothing could wake it */
    assert_int_equal(call_from(1, HSM, 3, 1, 0, 0, 0).error, INVALID_PARAM);
    assert_int_equal(call_from(1, HSM, 3, 0x90000000, 0, 0, 0).error, INVALID_PARAM);
}

static void system_suspend_needs_all_other_harts_stopped(void **state)
{
    (void)state;
    assert_int_equal(call(HSM, 0, 2, BOARD_RAM, 0).error, SUCCESS);
    assert_int_equal(call(SUSP, 0, 0, BOARD_RAM, 0).error, DENIED);
    assert_int_equal(call(SUSP, 0, 1, BOARD_RAM, 0).error, INVALID_PARAM);
    assert_int_equal(call(SUSP, 0, 0, 0x100000, 0).error, INVALID_ADDRESS);
    call_from(2, HSM, 1, 0, 0, 0, 0);
    call(SUSP, 0, 0, BOARD_RAM + 4, 9);
    assert_int_equal(harts[0].vcpu.run_state, VCPU_SUSPENDED);
    assert_true(harts[0].pc == BOARD_RAM + 4);
    assert_int_equal(harts[0].x[11], 9);
}

static void srst_maps_types_and_reasons_to_power(void **state)
{
    static const struct {
        uint64_t type, reason;
        enum vm_power power;
    } cases[] = {
        {0, 0, VM_POWER_OFF},         {1, 0, VM_POWER_REBOOT}, {2, 0, VM_POWER_REBOOT},
        {0, 1, VM_POWER_FAILED},      {3, 0, VM_POWER_ON},     {0, 2, VM_POWER_ON},
        {0xf0000000, 0, VM_POWER_ON},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&vm.power, VM_POWER_ON);
        struct answer answer = call(SRST, 0, cases[i].type, cases[i].reason, 0);
        assert_int_equal(vm_power_state(&vm), cases[i].power);
        if (cases[i].power == VM_POWER_ON)
            assert_int_equal(answer.error, INVALID_PARAM);
    }
}

static void dbcn_writes_guest_memory_to_the_console(void **state)
{
    (void)state;
    memcpy(ram + 0x100, "hello, console", 14);
    struct answer answer = call(DBCN, 0, 14, BOARD_RAM + 0x100, 0);
    assert_int_equal(answer.error, SUCCESS);
    assert_int_equal(answer.value, 14);
    assert_string_equal(console, "hello, console");
    assert_int_equal(call(DBCN, 2, '!', 0, 0).error, SUCCESS);
    assert_string_equal(console, "hello, console!");
    assert_int_equal(call(DBCN, 0, 0, BOARD_RAM, 0).error, SUCCESS);
}

static void dbcn_refuses_memory_that_is_not_the_guests(void **state)
{
    (void)state;
    assert_int_equal(call(DBCN, 0, 2, BOARD_RAM + RAM_SIZE - 1, 0).error, INVALID_PARAM);
    assert_int_equal(call(DBCN, 0, UINT64_MAX, BOARD_RAM, 0).error, INVALID_PARAM);
    assert_int_equal(call(DBCN, 0, 1, BOARD_RAM, 1).error, INVALID_PARAM); /* the high half */
    assert_int_equal(call(DBCN, 0, 1, BOARD_UART, 0).error, INVALID_PARAM);
    assert_int_equal(call(DBCN, 1, 1, BOARD_ROM_BASE, 0).error, INVALID_PARAM);
    assert_int_equal(console_len, 0);
}

static void dbcn_reads_what_the_uart_received(void **state)
{
    (void)state;
    console_backend.receive(console_backend.device, "xy", 2); /* FIFO off: one byte */
    struct answer answer = call(DBCN, 1, 16, BOARD_RAM + 0x200, 0);
    assert_int_equal(answer.error, SUCCESS);
    assert_int_equal(answer.value, 1);
    assert_int_equal(ram[0x200], 'x');
    answer = call(DBCN, 1, 16, BOARD_RAM + 0x200, 0);
    assert_int_equal(answer.error, SUCCESS);
    assert_int_equal(answer.value, 0);
}

static void pmu_tells_its_fixed_counters(void **state)
{
    (void)state;
    riscv_isa_of("rva22", 0, &harts[0].isa); /* which has no others */
    uint64_t count = call(PMU, 0, 0, 0, 0).value;
    assert_int_equal(count, 3);
    for (uint64_t i = 0; i < count; i++) {
        struct answer answer = call(PMU, 1, i, 0, 0);
        assert_int_equal(answer.error, SUCCESS);
        assert_true(answer.value == (0xc00 + i) + (63ULL << 12)); /* CSR, width - 1, hardware */
    }
    assert_int_equal(call(PMU, 1, count, 0, 0).error, INVALID_PARAM);
}

static uint64_t csr(unsigned number)
{
    uint64_t value = 0;
    uint8_t priv = harts[0].priv;
    harts[0].priv = PRIV_M;
    assert_true(riscv_csr_read(&harts[0], number, false, &value));
    harts[0].priv = priv;
    return value;
}

/* Of Sscofpmf: a counter that takes an event, overflows once until it is started anew, is given
 * back. */
static void pmu_gives_programmable_counters(void **state)
{
    (void)state;
    enum { INSTRUCTIONS = 2, CLEAR_VALUE = 2, SET_UINH = 1 << 5, LCOFI = 13 };
    riscv_isa_of("rva23", 0, &harts[0].isa);
    assert_int_equal(call(PMU, 0, 0, 0, 0).value, 7);
    assert_true(call(PMU, 1, 3, 0, 0).value == 0xc03 + (63ULL << 12));
    for (uint64_t want = 3; want < 7; want++) { /* 0x78: the programmable ones */
        struct answer answer = call_from(0, PMU, 2, 0, 0x78, CLEAR_VALUE | SET_UINH, INSTRUCTIONS);
        assert_int_equal(answer.error, SUCCESS);
        assert_int_equal(answer.value, want);
    }
    assert_int_equal(call_from(0, PMU, 2, 0, 0x78, 0, INSTRUCTIONS).error, NOT_SUPPORTED);
    assert_int_equal(call_from(0, PMU, 2, 0, 0x7f, 0, INSTRUCTIONS).value, 2); /* the fixed one */
    assert_true(csr(CSR_mhpmevent3) == (2 | 1ULL << 60));
    harts[0].instret = 1000;
    for (unsigned turn = 0; turn < 2; turn++) { /* 100 before the overflow */
        assert_int_equal(call_from(0, PMU, 3, 3, 1, 1, (uint64_t)-100).error, SUCCESS);
        assert_int_equal(csr(CSR_mip) >> LCOFI & 1, 0);
        harts[0].instret += 50;
        assert_int_equal(csr(CSR_mhpmevent3) >> 63, 0);
        harts[0].instret += 60;
        assert_true(csr(CSR_mhpmevent3) >> 63 == 1 && csr(CSR_scountovf) == 8);
        assert_int_equal(csr(CSR_mhpmcounter3), 10);
        assert_int_equal(csr(CSR_mip) >> LCOFI & 1, 1);
        riscv_vcpu_irq(&harts[0], LCOFI, false);
        assert_int_equal(call(PMU, 4, 3, 1, 0).error, SUCCESS);
    }
    assert_int_equal(call_from(0, PMU, 3, 4, 1, 0, 0).error, SUCCESS);
    assert_int_equal(call(PMU, 4, 4, 1, 1).error, SUCCESS); /* reset */
    assert_int_equal(call_from(0, PMU, 2, 0, 0x78, 0, INSTRUCTIONS).value, 4);
    assert_int_equal(call(PMU, 4, 3, 1, 1).error, ALREADY_STOPPED); /* and is reset all the same */
    assert_int_equal(call_from(0, PMU, 2, 0, 0x78, 0, INSTRUCTIONS).value, 3);
    riscv_isa_of("rva22", 0, &harts[0].isa);
}

static void pmu_configures_starts_and_stops_counters(void **state)
{
    (void)state;
    riscv_isa_of("rva22", 0, &harts[0].isa);
    enum { CYCLES = 1, INSTRUCTIONS = 2, CACHE_REFERENCES = 3 };
    harts[0].instret = 1000;
    /* Linux first stops everything. */
    assert_int_equal(call(PMU, 4, 0, 7, 1).error, SUCCESS);
    assert_int_equal(call(PMU, 4, 0, 5, 0).error, ALREADY_STOPPED);
    struct answer answer = call_from(0, PMU, 2, 0, 7, 2, INSTRUCTIONS); /* clear value */
    assert_int_equal(answer.error, SUCCESS);
    assert_int_equal(answer.value, 2);
    assert_int_equal(csr(CSR_minstret), 0);
    harts[0].instret = 2000;
    assert_int_equal(csr(CSR_minstret), 0); /* it stands */
    answer = call_from(0, PMU, 3, 2, 1, 1, 0x5000);
    assert_int_equal(answer.error, SUCCESS);
    harts[0].instret = 2100;
    assert_int_equal(csr(CSR_minstret), 0x5000 + 100);
    assert_int_equal(call_from(0, PMU, 3, 2, 1, 0, 0).error, ALREADY_STARTED);
    assert_int_equal(call(PMU, 4, 2, 1, 0).error, SUCCESS);
    harts[0].instret = 2200;
    assert_int_equal(csr(CSR_minstret), 0x5000 + 100);
    answer = call_from(0, PMU, 2, 0, 7, 4, CYCLES); /* auto start */
    assert_int_equal(answer.error, SUCCESS);
    assert_int_equal(answer.value, 0);
    assert_int_equal(call_from(0, PMU, 3, 0, 1, 0, 0).error, ALREADY_STARTED);

    assert_int_equal(call_from(0, PMU, 2, 0, 7, 0, CACHE_REFERENCES).error, NOT_SUPPORTED);
    assert_int_equal(call_from(0, PMU, 2, 1, 3, 0, CYCLES).error,
                     NOT_SUPPORTED); /* not in the mask */
    assert_int_equal(call_from(0, PMU, 2, 0, 0, 0, CYCLES).error, INVALID_PARAM);
    assert_int_equal(call_from(0, PMU, 2, 2, 6, 0, CYCLES).error, INVALID_PARAM);
    assert_int_equal(call_from(0, PMU, 3, UINT64_MAX, 1, 0, 0).error, INVALID_PARAM);
}

static void legacy_calls_answer_in_a0_alone(void **state)
{
    (void)state;
    harts[0].x[11] = 0;
    struct answer answer = call(1, 0, 'A', 55, 0);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.value, 55);
    assert_string_equal(console, "A");
    assert_int_equal(call(2, 0, 0, 0, 0).error, -1);
    console_backend.receive(console_backend.device, "k", 1);
    assert_int_equal(call(2, 0, 0, 0, 0).error, 'k');
    /* send_ipi: the mask is in the caller's memory (bare: guest-physical). */
    const uint64_t mask = 1;
    memcpy(ram + 0x300, &mask, sizeof mask);
    assert_int_equal(call(4, 0, BOARD_RAM + 0x300, 0, 0).error, 0);
    assert_true(irq_pending(0, IRQ_SSI));
    assert_int_equal(call(3, 0, 0, 0, 0).error, 0);
    assert_false(irq_pending(0, IRQ_SSI));
    assert_int_equal(call(4, 0, BOARD_RAM + RAM_SIZE, 0, 0).error, INVALID_PARAM);
    assert_int_equal(call(4, 0, BOARD_RAM + 0x301, 0, 0).error, INVALID_PARAM);
    assert_int_equal(vm_power_state(&vm), VM_POWER_ON);
    call(8, 0, 0, 0, 0);
    assert_int_equal(vm_power_state(&vm), VM_POWER_OFF);
}

static void steal_time_is_absent_unless_the_hypervisor_shares_harts(void **state)
{
    (void)state;
    assert_int_equal(call(BASE, 3, STA, 0, 0).value, 0);
    assert_int_equal(call(STA, 0, BOARD_RAM, 0, 0).error, NOT_SUPPORTED);
    vm.steal_time = true;
    assert_int_equal(call(BASE, 3, STA, 0, 0).value, 1);
    assert_int_equal(call(STA, 0, BOARD_RAM, 0, 0).error, SUCCESS);
    assert_int_equal(call(STA, 1, BOARD_RAM, 0, 0).error, NOT_SUPPORTED);
}

static void steal_time_goes_where_the_guest_wants_it(void **state)
{
    /* 16.1: sequence at 0, flags at 4, steal at 8, preempted at 16, 64 bytes in all */
    uint8_t *shmem = ram + 0x400, expected[64] = {0};
    (void)state;
    vm.steal_time = true;
    memset(shmem, 0xff, 65);
    sbi_steal(&vm, &harts[0], 5, true); /* nobody has asked yet */
    assert_int_equal(call(STA, 0, BOARD_RAM + 0x400, 0, 0).error, SUCCESS);
    assert_memory_equal(shmem, expected, 64);
    assert_int_equal(shmem[64], 0xff);
    sbi_steal(&vm, &harts[0], 0x300, true);
    sbi_steal(&vm, &harts[0], 0x21, true);
    expected[0] = 4;
    expected[8] = 0x21, expected[9] = 3;
    expected[16] = 1;
    assert_memory_equal(shmem, expected, 64);
    sbi_steal(&vm, &harts[1], 7, true); /* another hart's */
    sbi_steal(&vm, &harts[0], 0, false);
    expected[16] = 0;
    assert_memory_equal(shmem, expected, 64);
    assert_int_equal(call(STA, 0, UINT64_MAX, UINT64_MAX, 0).error, SUCCESS);
    sbi_steal(&vm, &harts[0], 9, true);
    assert_memory_equal(shmem, expected, 64);
}

static void steal_time_refuses_what_is_not_64_aligned_bytes_of_ram(void **state)
{
    (void)state;
    vm.steal_time = true;
    assert_int_equal(call(STA, 0, BOARD_RAM + 32, 0, 0).error, INVALID_PARAM);
    assert_int_equal(call(STA, 0, BOARD_RAM, 0, 1).error, INVALID_PARAM);
    assert_int_equal(call(STA, 0, BOARD_RAM, 1, 0).error, INVALID_ADDRESS);
    assert_int_equal(call(STA, 0, BOARD_RAM + RAM_SIZE, 0, 0).error, INVALID_ADDRESS);
    assert_int_equal(call(STA, 0, BOARD_ROM_BASE, 0, 0).error, INVALID_ADDRESS); /* read-only */
    assert_int_equal(call(STA, 0, 0, 0, 0).error, INVALID_ADDRESS);
}

static void a_reset_hart_has_no_steal_time(void **state)
{
    (void)state;
    vm.steal_time = true;
    assert_int_equal(call(STA, 0, BOARD_RAM + 0x400, 0, 0).error, SUCCESS);
    riscv_vcpu_reset(&harts[0], BOARD_ROM_BASE);
    sbi_steal(&vm, &harts[0], 5, true);
    assert_int_equal(ram[0x408], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base_tells_version_2_and_probes_extensions),
        TEST(unknown_calls_are_not_supported),
        TEST(a_call_that_needs_more_than_it_may_have_is_left_alone),
        TEST(set_timer_raises_stip_when_due),
        TEST(ipi_sets_ssip_of_the_harts_named),
        TEST(hart_that_does_not_exist_is_an_invalid_parameter),
        TEST(rfence_posts_to_the_targets),
        TEST(rfence_waits_for_a_hart_inside_the_guest),
        TEST(hsm_starts_and_stops_a_second_hart),
        TEST(retentive_suspend_returns_to_its_caller),
        TEST(non_retentive_suspend_resumes_at_the_address),
        TEST(system_suspend_needs_all_other_harts_stopped),
        TEST(srst_maps_types_and_reasons_to_power),
        TEST(dbcn_writes_guest_memory_to_the_console),
        TEST(dbcn_refuses_memory_that_is_not_the_guests),
        TEST(dbcn_reads_what_the_uart_received),
        TEST(pmu_tells_its_fixed_counters),
        TEST(pmu_gives_programmable_counters),
        TEST(pmu_configures_starts_and_stops_counters),
        TEST(legacy_calls_answer_in_a0_alone),
        TEST(steal_time_is_absent_unless_the_hypervisor_shares_harts),
        TEST(steal_time_goes_where_the_guest_wants_it),
        TEST(steal_time_refuses_what_is_not_64_aligned_bytes_of_ram),
        TEST(a_reset_hart_has_no_steal_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
