/* The interpreter where harts, other threads and saved state meet. */
#include "tests/unit/board_test.h"

#include "engine/interp/interp.h"
#include "riscv/csr.h"
#include "vmm/run.h"

#include <pthread.h>
#include <time.h>

#define RAM_SIZE (1ULL << 20)
#define FUNCTION 0x800U  /* in RAM: what the guest calls */
#define SHARED   0x1000U /* in RAM: sequence number, what the call is to return, what it returned */
#define NOPS     60U
#define RUN_NS   700000000ULL
#define INSN_NOP 0x00000013U
#define INSN_RET 0x00008067U
#define INSN_LI  0x00000513U /* li a0, 0 */

static struct vmm_stats stats;

static int setup(void **state)
{
    (void)state;
    memset(&stats, 0, sizeof stats);
    assert_int_equal(board_test_init(1, RAM_SIZE, NULL), 0);
    memset(ram, 0, RAM_SIZE);
    vm.engine = harts[0].vcpu.engine = &interp_engine;
    assert_int_equal(interp_engine.vcpu_init(&harts[0].vcpu), 0);
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    clock_start(&vm.clock);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_stop(&vm.clock);
    interp_engine.vcpu_destroy(&harts[0].vcpu);
    board_test_fini();
    return 0;
}

static void *vcpu_thread(void *arg)
{
    (void)arg;
    vmm_run_vcpu(&vm, &harts[0], &stats);
    return NULL;
}

static void put_code(unsigned at, const uint32_t *code, size_t count)
{
    memcpy(ram + at, code, count * sizeof(*code));
}

static void store_code(unsigned at, uint32_t insn)
{
    atomic_store((_Atomic uint32_t *)(void *)(ram + at), insn);
}

static void wait_ns(uint64_t ns)
{
    const uint64_t end = host_time_ns() + ns;
    while (host_time_ns() < end)
        ;
}

/*
 * Zifencei: a FENCE.I makes what is written before it visible to fetches behind it, also when the
 * old code was being decoded while it was written over.
 */
static void code_written_while_it_is_decoded_is_seen_after_fence_i(void **state)
{
    static const uint32_t guest[] = {
        0x00043283, /* ld t0, 0(s0) */
        0x0220000f, /* fence r, r */
        0x0000100f, /* fence.i */
        0x000480e7, /* jalr s1 */
        0x00843303, /* ld t1, 8(s0) */
        0x0220000f, /* fence r, r */
        0x00043383, /* ld t2, 0(s0) */
        0xfe7292e3, /* bne t0, t2, 0x0 <loop> */
        0x0013f393, /* andi t2, t2, 1 */
        0xfc039ee3, /* bnez t2, 0x0 <loop> */
        0xfc650ce3, /* beq a0, t1, 0x0 <loop> */
        0x00a43823, /* sd a0, 16(s0) */
        0x0000006f, /* j 0x30 <loop+0x30> */
    };
    _Atomic uint64_t *const shared = (_Atomic uint64_t *)(void *)(ram + SHARED);
    pthread_t thread;

    (void)state;
    put_code(0, guest, sizeof guest / sizeof guest[0]);
    store_code(FUNCTION, INSN_LI);
    for (unsigned i = 1; i <= NOPS; i++)
        store_code(FUNCTION + 4 * i, INSN_NOP);
    store_code(FUNCTION + 4 * (NOPS + 1), INSN_RET);
    harts[0].x[8] = BOARD_RAM + SHARED;
    harts[0].x[9] = BOARD_RAM + FUNCTION;
    assert_int_equal(pthread_create(&thread, NULL, vcpu_thread, NULL), 0);

    const uint64_t end = host_time_ns() + RUN_NS;
    for (uint64_t value = 1; shared[2] == 0 && host_time_ns() < end; value++) {
        /* Two writes, the second of which meets the guest decoding the first; then a while to see.
         */
        atomic_fetch_add(&shared[0], 1);
        store_code(FUNCTION, INSN_LI | 1U << 20);
        wait_ns(value * 37 % 4000);
        atomic_store(&shared[1], value & 0x7ff);
        store_code(FUNCTION, INSN_LI | (uint32_t)(value & 0x7ff) << 20);
        atomic_fetch_add(&shared[0], 1);
        wait_ns(10000);
    }
    vm_power_request(&vm, VM_POWER_OFF, 0, NULL);
    pthread_join(thread, NULL);
    assert_true(harts[0].instret > 1000);
    assert_int_equal(shared[2], 0);
}

/* Another hart starts a stopped one, whose timer of before may be going off at that moment. */
static void started_hart_has_no_timer_interrupt_of_before(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
        riscv_vcpu_set_stimecmp(&harts[0], clock_now(&vm.clock) + 1 + round % 20);
        wait_ns(round * 13 % 70000);
        riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
        wait_ns(3000);
        assert_true((atomic_load(&harts[0].mip) & 1ULL << IRQ_STI) == 0);
    }
}

/* CSRRC of sip with other bits, between whose read and write another hart sends an IPI. */
static void interrupt_that_comes_within_a_csr_instruction_is_kept(void **state)
{
    struct riscv_vcpu *hart = &harts[0];
    uint64_t sip;

    (void)state;
    riscv_vcpu_start_supervisor(hart, BOARD_RAM, 0);
    assert_true(riscv_csr_read(hart, CSR_sip, true, &sip));
    uint64_t value = riscv_csr_base(hart, CSR_sip, sip) & ~(1ULL << IRQ_STI);
    riscv_vcpu_irq(hart, IRQ_SSI, true);
    assert_true(riscv_csr_write(hart, CSR_sip, value));
    assert_true((riscv_mip(hart) & 1ULL << IRQ_SSI) != 0);

    /* What it names is cleared, and a plain write counts as a whole. */
    assert_true(riscv_csr_read(hart, CSR_sip, true, &sip));
    value = riscv_csr_base(hart, CSR_sip, sip) & ~(1ULL << IRQ_SSI);
    assert_true(riscv_csr_write(hart, CSR_sip, value));
    assert_true((riscv_mip(hart) & 1ULL << IRQ_SSI) == 0);
    riscv_vcpu_irq(hart, IRQ_SSI, true);
    assert_true(riscv_csr_write(hart, CSR_sip, 0));
    assert_true((riscv_mip(hart) & 1ULL << IRQ_SSI) == 0);
}

/* ---- saved state ---- */

static uint8_t saved[4096];
static size_t saved_size, saved_at;

static int saved_transfer(struct state *state, void *bytes, size_t len)
{
    if (state->loading) {
        if (len > saved_size - saved_at)
            return -1;
        memcpy(bytes, saved + saved_at, len);
        saved_at += len;
    } else {
        memcpy(saved + saved_size, bytes, len);
        saved_size += len;
    }
    return 0;
}

static int hart_state(bool loading)
{
    struct state state = {.transfer = saved_transfer, .loading = loading};

    saved_at = 0;
    saved_size = loading ? saved_size : 0;
    riscv_vcpu_state(&harts[0], &state);
    return state.error;
}

/* What masks pointers, and no other register of M-mode would tell of. */
static void settings_of_pointer_masking_are_saved(void **state)
{
    (void)state;
    uint64_t *const fields[] = {&harts[0].menvcfg, &harts[0].senvcfg, &harts[0].henvcfg,
                                &harts[0].mseccfg, &harts[0].hstatus};
    for (size_t i = 0; i < 5; i++)
        *fields[i] = i < 4 ? 2ULL << 32 : HSTATUS_HUPMM;
    assert_int_equal(hart_state(false), 0);
    for (size_t i = 0; i < 5; i++)
        *fields[i] = 0;
    assert_int_equal(hart_state(true), 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(*fields[i], i < 4 ? 2ULL << 32 : HSTATUS_HUPMM);
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(*fields[i], 0);
}

/* A walk with a MODE that no write can set would shift by more than a word has bits. */
static void hart_that_no_guest_can_have_made_is_not_loaded(void **state)
{
    (void)state;
    const struct {
        uint64_t *field;
        uint64_t bad, good;
    } cases[] = {
        {&harts[0].satp, 15ULL << SATP_MODE_SHIFT, (uint64_t)SATP_SV57 << SATP_MODE_SHIFT},
        {&harts[0].satp, 1ULL << SATP_MODE_SHIFT, (uint64_t)SATP_SV39 << SATP_MODE_SHIFT},
        {&harts[0].mstatus, 2ULL << MSTATUS_MPP_SHIFT, 3ULL << MSTATUS_MPP_SHIFT},
        {&harts[0].sepc, 1, 2},
        {&harts[0].mepc, BOARD_RAM + 1, BOARD_RAM + 2},
        {&harts[0].stvec, 2, 1},
        {&harts[0].mtvec, 3, 1},
        {&harts[0].pc, BOARD_RAM + 0xfff, BOARD_RAM + 0xffe},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint64_t before = *cases[i].field;
        *cases[i].field = cases[i].bad;
        assert_int_equal(hart_state(false), 0);
        assert_int_not_equal(hart_state(true), 0);
        *cases[i].field = cases[i].good;
        assert_int_equal(hart_state(false), 0);
        assert_int_equal(hart_state(true), 0);
        *cases[i].field = before;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(code_written_while_it_is_decoded_is_seen_after_fence_i,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(started_hart_has_no_timer_interrupt_of_before, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(interrupt_that_comes_within_a_csr_instruction_is_kept,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(settings_of_pointer_masking_are_saved, setup, teardown),
        cmocka_unit_test_setup_teardown(hart_that_no_guest_can_have_made_is_not_loaded, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
