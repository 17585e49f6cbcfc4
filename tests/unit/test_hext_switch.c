/*
 * The engine's switching between VCPUs, over CSRs that are an array: what must be in the hart when
 * a guest is entered, what comes back, and which fences are due in between. A QEMU does not notice
 * a missing fence, since it flushes at each entry.
 */
#include "engine/hext/csr.h"
#include "engine/hext/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint64_t csrs[4096];
static struct hext_hart harts[2], *hart_now;

/* What happened, in order: V hfence.vvma, G hfence.gvma, I fence.i, S vsatp written, E entered. */
static char events[64];

static void event(char what)
{
    size_t len = strlen(events);
    assert_true(len + 1 < sizeof events);
    events[len] = what;
    events[len + 1] = 0;
}

static void csr_written(unsigned number, uint64_t value)
{
    csrs[number] = value;
    /* No walk may see one guest's vsatp with another's hgatp (15.5.3). */
    if (number == HCSR_HGATP)
        assert_int_equal(csrs[HCSR_VSATP], 0);
    if (number == HCSR_VSATP && value != 0)
        event('S');
}

#undef hcsr_read
#undef hcsr_write
#undef hcsr_set
#undef hcsr_clear
#define hcsr_read(csr)         (csrs[csr])
#define hcsr_write(csr, value) csr_written(csr, (uint64_t)(value))
#define hcsr_set(csr, value)   csr_written(csr, csrs[csr] | (value))
#define hcsr_clear(csr, value) csr_written(csr, csrs[csr] & ~(uint64_t)(value))
#define hfence_vvma_all()      event('V')
#define hfence_gvma_all()      event('G')
#define fence_i()              event('I')
#define fence_devices()
#define fence_release_devices()
#define hext_this_hart() hart_now

#include "engine/hext/run.c"
#include "engine/hext/vcpu.c"

/* ---- What is assembly, or type 1's ---- */

static uint64_t fp[32];
static uint32_t fetched;

void hext_enter(uint64_t *x, struct hext_vcpu *v)
{
    (void)x;
    event('E');
    v->reason = EXIT_SBI;
}

uint64_t hext_fetch(uint64_t gva)
{
    (void)gva;
    return fetched;
}

uint64_t hext_fp_save(uint64_t *f)
{
    memcpy(f, fp, sizeof fp);
    return csrs[HCSR_FCSR];
}

void hext_fp_load(const uint64_t *f, uint64_t fcsr)
{
    memcpy(fp, f, sizeof fp);
    csrs[HCSR_FCSR] = fcsr;
}

void hext_v_save_csrs(struct hext_vector *vector)
{
    (void)vector;
}

void hext_v_save(struct hext_vector *vector)
{
    (void)vector;
}

void hext_v_load(const struct hext_vector *vector)
{
    (void)vector;
}

bool hext_probe_read(enum hext_probe csr, uint64_t *value)
{
    (void)csr, (void)value;
    return false;
}

bool hext_probe_write(enum hext_probe csr, uint64_t value)
{
    (void)csr, (void)value;
    return false;
}

void hext_lazy_init(struct vm *vm)
{
    (void)vm;
}

bool hext_lazy_fault(struct hext_vcpu *v, uint64_t gpa)
{
    (void)v, (void)gpa;
    return false;
}

void hext_trace_end(struct hext_vcpu *v, bool answered)
{
    (void)v, (void)answered;
}

void hext_host_ipi(unsigned hart)
{
    (void)hart;
}

void hext_host_interrupt(uint64_t scause)
{
    (void)scause;
}

void hext_host_file(struct hext_vcpu *v)
{
    (void)v;
}

void hext_host_schedule(void)
{
}

/* ---- Guests ---- */

static const struct hext_features features = {.h = true,
                                              .sstc = true,
                                              .fp = true,
                                              .levels = 3,
                                              .vmid_bits = 14,
                                              .senvcfg = true,
                                              .henvcfg = ENVCFG_STCE,
                                              .timebase = CLOCK_HZ};

struct guest {
    struct vm vm;
    struct hext_vm hext;
    struct riscv_vcpu harts[2];
};
static struct guest one, two;

static void guest_make(struct guest *guest, unsigned vcpus, uint16_t vmid, uint32_t generation)
{
    memset(guest, 0, sizeof *guest);
    vm_init(&guest->vm, "guest");
    guest->vm.engine = &hext_engine;
    guest->vm.engine_data = &guest->hext;
    guest->hext.features = &features;
    guest->hext.vmid = vmid;
    guest->hext.hgatp = 8ULL << 60 | (uint64_t)vmid << 44 | 0x80000;
    atomic_init(&guest->hext.generation, generation);
    for (unsigned i = 0; i < vcpus; i++) {
        riscv_vcpu_init(&guest->harts[i], &guest->vm, i);
        guest->vm.vcpus[i] = &guest->harts[i].vcpu;
        guest->harts[i].priv = PRIV_S;
        guest->harts[i].satp = 8ULL << 60 | (0x1000 + i);
        assert_int_equal(hext_engine.vcpu_init(&guest->harts[i].vcpu), 0);
    }
    guest->vm.vcpu_count = vcpus;
}

static struct hext_vcpu *vcpu_of(struct guest *guest, unsigned i)
{
    return guest->harts[i].vcpu.engine_data;
}

static int setup(void **state)
{
    (void)state;
    memset(csrs, 0, sizeof csrs);
    memset(harts, 0, sizeof harts);
    memset(fp, 0, sizeof fp);
    harts[1].index = 1;
    hart_now = &harts[0];
    guest_make(&one, 1, 1, 1);
    guest_make(&two, 2, 2, 2);
    events[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hext_engine.vcpu_destroy(&one.harts[0].vcpu);
    hext_engine.vcpu_destroy(&two.harts[0].vcpu);
    hext_engine.vcpu_destroy(&two.harts[1].vcpu);
    return 0;
}

/* A turn of the VCPU on a hart; what happened until it was entered. */
static const char *turn(struct guest *guest, unsigned vcpu, unsigned hart)
{
    struct exit exit;
    hart_now = &harts[hart];
    events[0] = 0;
    assert_int_equal(hext_run(&guest->harts[vcpu].vcpu, &exit), EXIT_SBI);
    hext_switch_out(&guest->harts[vcpu].vcpu, false);
    return events;
}

/* ---- Fences ---- */

static void all_is_flushed_before_the_first_turn_of_a_vm_on_a_hart(void **state)
{
    (void)state;
    /* After hgatp has its VMID, before vsatp has its tables. */
    assert_string_equal(turn(&one, 0, 0), "GVISE");
    assert_string_equal(turn(&two, 0, 0), "GVISE");
    assert_string_equal(turn(&two, 0, 1), "GVISE");
}

static void a_vcpu_alone_on_its_hart_flushes_nothing(void **state)
{
    (void)state;
    turn(&one, 0, 0);
    assert_string_equal(turn(&one, 0, 0), "SE");
    turn(&two, 0, 0);
    /* The VMID keeps the two apart. */
    assert_string_equal(turn(&one, 0, 0), "SE");
}

static void a_vcpu_flushes_what_another_of_its_vm_left(void **state)
{
    (void)state;
    turn(&two, 0, 0);
    assert_string_equal(turn(&two, 1, 0), "VISE");
    assert_string_equal(turn(&two, 0, 0), "VISE");
    assert_string_equal(turn(&two, 0, 0), "SE");
}

static void a_vcpu_that_comes_back_to_a_hart_flushes_what_it_left_there(void **state)
{
    (void)state;
    turn(&one, 0, 0);
    turn(&one, 0, 1);
    assert_string_equal(turn(&one, 0, 0), "VISE");
    assert_string_equal(turn(&one, 0, 1), "VISE");
    assert_string_equal(turn(&one, 0, 1), "SE");
}

static void pages_taken_from_a_vm_are_flushed_on_each_hart(void **state)
{
    (void)state;
    turn(&one, 0, 0);
    atomic_store(&one.hext.generation, 3);
    assert_string_equal(turn(&one, 0, 0), "GVISE");
    assert_string_equal(turn(&one, 0, 0), "SE");
    /* All of that hart was flushed, the other VM's too. */
    assert_string_equal(turn(&two, 0, 0), "VISE");
}

static void a_vm_without_a_vmid_of_its_own_flushes_at_each_turn(void **state)
{
    (void)state;
    one.hext.vmid = 0;
    turn(&one, 0, 0);
    assert_string_equal(turn(&one, 0, 0), "GVISE");
}

static void fences_that_others_asked_for_are_done_before_the_guest_goes_on(void **state)
{
    (void)state;
    turn(&one, 0, 0);
    atomic_store(&one.harts[0].vcpu.requests, VCPU_REQ_TLB_FLUSH);
    assert_string_equal(turn(&one, 0, 0), "SVE");
    atomic_store(&one.harts[0].vcpu.requests, VCPU_REQ_FENCE_I);
    assert_string_equal(turn(&one, 0, 0), "SIE");
    assert_int_equal(atomic_load(&one.harts[0].vcpu.requests), 0);
    assert_string_equal(turn(&one, 0, 0), "SE");
}

static void a_fence_for_the_caller_alone_is_done_at_once(void **state)
{
    enum { RFENCE = 0x52464e43 };
    struct hext_vcpu *v = vcpu_of(&one, 0);
    (void)state;
    for (uint64_t function = 0; function < 3; function++) {
        hext_load(v);
        events[0] = 0;
        v->hart->x[17] = RFENCE;
        v->hart->x[16] = function;
        v->hart->x[10] = 1;
        v->hart->x[11] = 0;
        assert_int_equal(hext_answer(v, HCAUSE_VS_ECALL), HEXT_GO_ON);
        assert_string_equal(events, function == 0 ? "I" : "V");
    }
}

/* ---- State ---- */

static void registers_of_one_guest_are_not_those_of_the_next(void **state)
{
    static const unsigned numbers[] = {HCSR_VSTVEC,  HCSR_VSSCRATCH, HCSR_VSEPC, HCSR_VSCAUSE,
                                       HCSR_VSTVAL,  HCSR_VSIE,      HCSR_VSATP, HCSR_SCOUNTEREN,
                                       HCSR_SENVCFG, HCSR_VSTIMECMP};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    struct hext_vcpu *a = vcpu_of(&one, 0), *b = vcpu_of(&two, 0);
    uint64_t before[COUNT];
    (void)state;
    hext_load(a);
    for (unsigned i = 0; i < COUNT; i++)
        csrs[numbers[i]] = 0x100 + i;
    hext_unload(a);
    hext_load(b);
    for (unsigned i = 0; i < COUNT; i++) {
        before[i] = csrs[numbers[i]];
        assert_int_not_equal(before[i], 0x100 + i);
        csrs[numbers[i]] = 0x200 + i;
    }
    hext_unload(b);
    hext_load(a);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(csrs[numbers[i]], 0x100 + i);
    hext_unload(a);
}

static void a_software_interrupt_that_is_pending_stays_so(void **state)
{
    struct hext_vcpu *a = vcpu_of(&one, 0);
    (void)state;
    turn(&one, 0, 0);
    riscv_vcpu_irq(&one.harts[0], IRQ_SSI, true);
    atomic_store(&one.harts[0].vcpu.kick, 0);
    turn(&one, 0, 0);
    assert_int_equal(csrs[HCSR_HVIP], 0); /* it is nobody's while the next one runs */
    turn(&one, 0, 0);
    hext_load(a);
    assert_true(guest_begin(a));
    assert_int_equal(csrs[HCSR_HVIP], HVIP_VSSIP);
    /* The guest clears it itself; then it is not pending again. */
    csrs[HCSR_HVIP] = 0;
    hext_unload(a);
    hext_load(a);
    assert_true(guest_begin(a));
    assert_int_equal(csrs[HCSR_HVIP], 0);
    hext_unload(a);
}

static void floating_point_registers_of_two_guests_are_kept_apart(void **state)
{
    struct hext_vcpu *a = vcpu_of(&one, 0), *b = vcpu_of(&two, 0);
    (void)state;
    hext_load(a);
    fp[7] = 1234;
    csrs[HCSR_FCSR] = 0x61;
    a->world.sstatus |= HSTAT_FS_DIRTY;
    hext_unload(a);
    hext_load(b);
    assert_int_equal(fp[7], 0);
    assert_int_equal(csrs[HCSR_FCSR], 0);
    fp[7] = 99;
    b->world.sstatus |= HSTAT_FS_DIRTY;
    hext_unload(b);
    hext_load(a);
    assert_int_equal(fp[7], 1234);
    assert_int_equal(csrs[HCSR_FCSR], 0x61);
    hext_unload(a);
}

/* ---- Calls ---- */

static bool not_answered(struct vm *vm, struct riscv_vcpu *hart)
{
    (void)vm, (void)hart;
    return false;
}

/* SBI calls that name harts (SBI 2.0, 3.1): what is answered without the others' knowing. */
static void calls_to_others_are_not_taken_for_calls_to_oneself(void **state)
{
    enum { IPI = 0x735049, RFENCE = 0x52464e43, VSSIP = 1 << 2 };
    static const struct {
        uint64_t mask, base;
        bool self;
    } calls[] = {
        {1, 0, true},
        {2, 0, false},
        {3, 0, false},
        {1, 1, false},
        {0, UINT64_MAX, false},     /* all */
        {2, UINT64_MAX, false},     /* all: a base of -1 means that, whatever the mask */
        {4, UINT64_MAX - 1, false}, /* no such harts: the table's answer is an error */
        {1, 1ULL << 63, false},
    };
    (void)state;
    struct hext_vcpu *v = vcpu_of(&two, 0);
    /* What is not answered at once leaves. */
    two.hext.sbi_light = two.hext.sbi_alone = not_answered;
    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (unsigned extension = 0; extension < 2; extension++) {
            uint64_t *x = two.harts[0].x;
            hext_load(v);
            csrs[HCSR_HVIP] = 0;
            x[17] = extension == 0 ? IPI : RFENCE;
            x[16] = extension;
            x[10] = calls[i].mask;
            x[11] = calls[i].base;
            uint64_t what = hext_answer(v, HCAUSE_VS_ECALL);
            assert_int_equal(what != HEXT_LEAVE, calls[i].self);
            if (extension == 0)
                assert_int_equal((csrs[HCSR_HVIP] & VSSIP) != 0, calls[i].self);
            hext_unload(v);
        }
    }
}

/* ---- Accesses ---- */

static void an_instruction_that_became_0_is_no_access(void **state)
{
    struct hext_vcpu *a = vcpu_of(&one, 0);
    (void)state;
    hext_load(a);
    fetched = 0;
    csrs[HCSR_SEPC] = 0x80200000;
    assert_int_equal(hext_answer(a, HCAUSE_LOAD_GUEST_PAGE), HEXT_GO_ON);
    assert_int_equal(csrs[HCSR_SEPC], 0x80200000);
    hext_unload(a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_flushed_before_the_first_turn_of_a_vm_on_a_hart),
        TEST(a_vcpu_alone_on_its_hart_flushes_nothing),
        TEST(a_vcpu_flushes_what_another_of_its_vm_left),
        TEST(a_vcpu_that_comes_back_to_a_hart_flushes_what_it_left_there),
        TEST(pages_taken_from_a_vm_are_flushed_on_each_hart),
        TEST(a_vm_without_a_vmid_of_its_own_flushes_at_each_turn),
        TEST(fences_that_others_asked_for_are_done_before_the_guest_goes_on),
        TEST(a_fence_for_the_caller_alone_is_done_at_once),
        TEST(registers_of_one_guest_are_not_those_of_the_next),
        TEST(a_software_interrupt_that_is_pending_stays_so),
        TEST(floating_point_registers_of_two_guests_are_kept_apart),
        TEST(calls_to_others_are_not_taken_for_calls_to_oneself),
        TEST(an_instruction_that_became_0_is_no_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
