/* Translated code and what becomes of it when the guest's code is written. */
#define _GNU_SOURCE

#include "tests/unit/board_test.h"

#include "engine/interp/interp.h"
#include "engine/jit/internal.h"
#include "engine/jit/jit.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define RAM_SIZE (1ULL << 20)
#define A0       harts[0].x[10]

static uint64_t found; /* by figure */
static const char *wanted;

static void take(void *arg, const char *name, uint64_t value)
{
    (void)arg;
    if (strcmp(name, wanted) == 0)
        found = value;
}

static uint64_t figure(const char *name)
{
    found = UINT64_MAX;
    wanted = name;
    jit_engine.figures(&vm, take, NULL);
    assert_true(found != UINT64_MAX);
    return found;
}

static void put(unsigned at, uint32_t insn)
{
    memcpy(ram + at, &insn, 4);
}

static int setup(void **state)
{
    (void)state;
    jit_set_options(&(struct jit_options){0});
    jit_set_reference(&interp_engine);
    assert_int_equal(board_test_init(1, RAM_SIZE, NULL), 0);
    memset(ram, 0, RAM_SIZE);
    vm.engine = harts[0].vcpu.engine = &jit_engine;
    assert_int_equal(jit_engine.vm_init(&vm), 0);
    assert_int_equal(jit_engine.vcpu_init(&harts[0].vcpu), 0);
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    jit_engine.vcpu_destroy(&harts[0].vcpu);
    jit_engine.vm_destroy(&vm);
    board_test_fini();
    return 0;
}

/* From the start of RAM to its ECALL. */
static void run(void)
{
    struct exit exit = {0};
    enum exit_reason reason;
    harts[0].pc = BOARD_RAM;
    do
        reason = jit_engine.run(&harts[0].vcpu, &exit);
    while (reason == EXIT_KICKED);
    assert_int_equal(reason, EXIT_SBI);
}

#define ADDI_A0(n) (0x00050513u | (uint32_t)(n) << 20)
#define ECALL      0x00000073u
#define JAL(d)     (0x0000006fu | (uint32_t)(d) << 20) /* forward, less than 2048, even */

/* Two blocks, the second at +0x100, by a direct jump. */
static void two_blocks(void)
{
    A0 = 0;
    put(0, ADDI_A0(1));
    put(4, JAL(0xfc));
    put(0x100, ADDI_A0(2));
    put(0x104, ECALL);
    run();
    assert_int_equal(A0, 3);
}

static void code_is_translated_once(void **state)
{
    (void)state;
    two_blocks();
    uint64_t before = figure("blocks_translated");
    A0 = 0;
    run();
    assert_int_equal(A0, 3);
    assert_int_equal(figure("blocks_translated"), before);
}

static void an_access_around_the_end_of_addresses_finds_nothing(void **state)
{
    static const uint32_t accesses[] = {0x00052023, 0x00052583}; /* sw zero, 0(a0); lw a1, 0(a0) */
    (void)state;
    put(0, 0xffd00513); /* li a0, -3 */
    put(0x200, ECALL);
    harts[0].stvec = BOARD_RAM + 0x200;
    for (unsigned i = 0; i < 2; i++) {
        put(4, accesses[i]);
        jit_engine.code_changed(&vm, BOARD_RAM + 4, 4);
        harts[0].scause = 0;
        run();
        assert_int_equal(harts[0].scause, i == 0 ? 7 : 5); /* store, load access fault */
        assert_int_equal(harts[0].sepc, BOARD_RAM + 4);
    }
}

static void only_blocks_whose_line_is_written_are_dropped(void **state)
{
    (void)state;
    two_blocks();
    uint64_t dropped = figure("blocks_dropped");
    jit_engine.code_changed(&vm, BOARD_RAM + 0x40, 64); /* between the two */
    jit_engine.code_changed(&vm, BOARD_RAM + 0xff, 1);
    assert_int_equal(figure("blocks_dropped"), dropped);
    put(0x100, ADDI_A0(7));
    jit_engine.code_changed(&vm, BOARD_RAM + 0x103, 1);
    assert_true(figure("blocks_dropped") > dropped);
}

static void links_to_a_block_that_is_dropped_are_undone(void **state)
{
    (void)state;
    two_blocks();
    A0 = 0;
    run(); /* linked by now */
    uint64_t translated = figure("blocks_translated");
    put(0x100, ADDI_A0(7));
    jit_engine.code_changed(&vm, BOARD_RAM + 0x100, 4);
    A0 = 0;
    run();
    assert_int_equal(A0, 8);
    assert_int_equal(figure("blocks_translated"), translated + 1); /* the other is still good */
}

static void the_guests_own_stores_to_code_are_seen(void **state)
{
    (void)state;
    two_blocks();
    /* sw a1, 0x100(a2), in a block of its own; fence.i; j to the first */
    put(0x400, 0x10b62023);
    put(0x404, 0x0000100f);
    put(0x408, ECALL);
    harts[0].x[11] = ADDI_A0(9);
    harts[0].x[12] = BOARD_RAM;
    put(0, JAL(0x400));
    jit_engine.code_changed(&vm, BOARD_RAM, 4);
    run();
    put(0, ADDI_A0(1));
    jit_engine.code_changed(&vm, BOARD_RAM, 4);
    A0 = 0;
    run();
    assert_int_equal(A0, 10);
}

static void code_beside_what_is_written_stays(void **state)
{
    (void)state;
    two_blocks();
    uint64_t dropped = figure("blocks_dropped");
    jit_engine.code_changed(&vm, BOARD_RAM + 0x108, 8); /* the line of the second, behind it */
    assert_int_equal(figure("blocks_dropped"), dropped);
    jit_engine.code_changed(&vm, BOARD_RAM + 0x107, 1);
    assert_int_equal(figure("blocks_dropped"), dropped + 1);
}

/* Else what was code once would be slow to store to for ever. */
static void a_page_to_which_only_data_is_stored_is_code_no_more(void **state)
{
    (void)state;
    two_blocks();
    struct mem_slot *slot = mem_slot_find(&vm.mem, BOARD_RAM, 1);
    for (unsigned i = 0; i < 100; i++)
        jit_engine.code_changed(&vm, BOARD_RAM + 0x800, 8);
    assert_true((atomic_load(&slot->flags[0]) & MEM_PAGE_CODE) == 0);
    put(0x100, ADDI_A0(4)); /* nobody need tell: nothing of the page is kept */
    A0 = 0;
    run();
    assert_int_equal(A0, 5);
    assert_true((atomic_load(&slot->flags[0]) & MEM_PAGE_CODE) != 0);
}

static void a_flush_forgets_everything_and_goes_on(void **state)
{
    (void)state;
    two_blocks();
    uint64_t flushes = figure("code_flushes"), translated = figure("blocks_translated");
    memset(ram + 0x100, 0, 4); /* behind its back: only a flush shows it */
    put(0x100, ADDI_A0(5));
    vcpu_post(&harts[0].vcpu, VCPU_REQ_CODE_FLUSH);
    A0 = 0;
    run();
    assert_int_equal(A0, 6);
    assert_int_equal(figure("code_flushes"), flushes + 1);
    assert_true(figure("blocks_translated") > translated);
}

/* Pages that are no code any more may be stored to without a look at them. */
/* Shared memory of this process in the host's RAM, KiB: translated code is in a memfd. */
static unsigned long shared_kib(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        sscanf(line, "RssShmem: %lu", &kib);
    fclose(f);
    return kib;
}

static void wait_for_interrupt(void)
{
    struct exit exit = {0};
    enum exit_reason reason;
    harts[0].pc = BOARD_RAM + RAM_SIZE - 4;
    do
        reason = jit_engine.run(&harts[0].vcpu, &exit);
    while (reason == EXIT_KICKED);
    assert_int_equal(reason, EXIT_WFI);
}

static void code_of_a_guest_at_rest_is_given_back(void **state)
{
    (void)state;
    jit_set_options(&(struct jit_options){.rest_bytes = 256 << 10});
    clock_start(&vm.clock);
    for (unsigned at = 0; at < RAM_SIZE - 8; at += 4)
        put(at, 0x00b53023); /* sd a1, 0(a0) */
    put(0, 0x00000013);      /* nop, which the stores go to */
    put(4, 0x00000013);
    put(RAM_SIZE - 8, ECALL);
    put(RAM_SIZE - 4, 0x10500073); /* wfi */
    A0 = BOARD_RAM;
    harts[0].x[11] = 0x0000001300000013;
    run();
    unsigned long before = shared_kib();
    uint64_t flushes = figure("code_flushes");
    assert_true(before > 512);
    wait_for_interrupt();
    assert_int_equal(figure("code_flushes"), flushes);
    usleep(1100000);
    wait_for_interrupt();
    assert_int_equal(figure("code_flushes"), flushes + 1);
    assert_true(shared_kib() < before / 2);
    run(); /* and it can be made again */
    assert_true(shared_kib() > before / 2);
    clock_stop(&vm.clock);
}

static void pages_are_code_as_long_as_blocks_are_made_of_them(void **state)
{
    (void)state;
    two_blocks();
    struct mem_slot *slot = mem_slot_find(&vm.mem, BOARD_RAM, 1);
    assert_true((atomic_load(&slot->flags[0]) & MEM_PAGE_CODE) != 0);
    assert_true((atomic_load(&slot->flags[1]) & MEM_PAGE_CODE) == 0);
    jit_engine.vcpu_destroy(&harts[0].vcpu);
    jit_engine.vm_destroy(&vm);
    assert_true((atomic_load(&slot->flags[0]) & MEM_PAGE_CODE) == 0);
    assert_int_equal(jit_engine.vm_init(&vm), 0);
    assert_int_equal(jit_engine.vcpu_init(&harts[0].vcpu), 0);
}

/* Page-table entries (Privileged ISA, 10.3.1). */
#define PTE(at, flags) (((BOARD_RAM + (at)) >> 12 << 10) | (flags))
#define POINTER        0x01ULL
#define DATA           0xc7ULL /* D A W R V */
#define EVERYWHERE     0xefULL /* D A G X W R V */
#define SATP(root, asid)                                                                           \
    (8ULL << 60 | (uint64_t)(asid) << 44 | (BOARD_RAM + (root)) >> 12) /* Sv39 */

static void put_entry(unsigned table, unsigned index, uint64_t entry)
{
    memcpy(ram + table + index * 8, &entry, 8);
}

/* RAM as it is, for all address spaces; page 1 at `data`. Tables at `root`, and the two pages
 * behind it. */
static void make_space(unsigned root, unsigned data)
{
    put_entry(root, BOARD_RAM >> 30, PTE(0, EVERYWHERE));
    put_entry(root, 0, PTE(root + 0x1000, POINTER));
    put_entry(root + 0x1000, 0, PTE(root + 0x2000, POINTER));
    put_entry(root + 0x2000, 1, PTE(data, DATA));
}

/* No fence is needed between address spaces of their own ASIDs: what is global stays, what is not
 * must not be seen in the other. */
static void address_spaces_see_their_own_pages(void **state)
{
    static const uint32_t code[] = {
        0x18061073, /* csrw satp, a2 */
        0x0005b503, /* ld a0, 0(a1) */
        0x18069073, /* csrw satp, a3 */
        0x0005b703, /* ld a4, 0(a1) */
        ECALL,
    };
    const uint64_t first = 0x1111, second = 0x2222;
    (void)state;
    memcpy(ram, code, sizeof code);
    make_space(0x10000, 0x20000);
    make_space(0x14000, 0x21000);
    memcpy(ram + 0x20000, &first, 8);
    memcpy(ram + 0x21000, &second, 8);
    for (unsigned i = 0; i < 3; i++) {
        harts[0].x[11] = 0x1000;
        harts[0].x[12] = SATP(0x10000, 1);
        harts[0].x[13] = SATP(0x14000, 2);
        run();
        assert_int_equal(A0, first);
        assert_int_equal(harts[0].x[14], second);
    }
}

/* SFENCE.VMA with an ASID: that address space's pages are looked up anew. */
static void a_fence_of_an_address_space_is_heard(void **state)
{
    static const uint32_t code[] = {
        0x18061073, /* csrw satp, a2 */
        0x0005b503, /* ld a0, 0(a1) */
        0x00f83023, /* sd a5, 0(a6): the entry of page 1 */
        0x12d00073, /* sfence.vma x0, a3 */
        0x0005b703, /* ld a4, 0(a1) */
        ECALL,
    };
    const uint64_t first = 0x1111, second = 0x2222;
    (void)state;
    memcpy(ram, code, sizeof code);
    make_space(0x10000, 0x20000);
    memcpy(ram + 0x20000, &first, 8);
    memcpy(ram + 0x21000, &second, 8);
    for (unsigned i = 0; i < 3; i++) {
        put_entry(0x12000, 1, PTE(0x20000, DATA));
        harts[0].x[11] = 0x1000;
        harts[0].x[12] = SATP(0x10000, 1 + i);
        harts[0].x[13] = 1 + i;
        harts[0].x[15] = PTE(0x21000, DATA);
        harts[0].x[16] = BOARD_RAM + 0x12008;
        run();
        assert_int_equal(A0, first);
        assert_int_equal(harts[0].x[14], second);
    }
}

#define SW(rs2, rs1, at) /* at: below 32 */                                                        \
    (0x00002023u | (uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 | (uint32_t)(at) << 7)
#define CALL(rs1) (0x000000e7u | (uint32_t)(rs1) << 15) /* jalr ra, (rs1) */
#define FENCE_I   0x0000100fu
#define RET       0x00008067u

/* However many addresses a page is stored to by: each of them is heard once it holds code. */
static void stores_by_any_mapping_of_a_page_of_code_are_seen(void **state)
{
    enum { MAPPINGS = 5 }; /* s2.. hold their addresses, t3 the one that is called */
    uint32_t code[64];
    unsigned n = 0;
    (void)state;
    code[n++] = 0x18061073; /* csrw satp, a2 */
    for (unsigned i = 0; i < MAPPINGS; i++)
        code[n++] = SW(11, 18 + i, 16); /* data, beside what will be code */
    code[n++] = CALL(28);
    for (unsigned i = 0; i < MAPPINGS; i++) {
        code[n++] = SW(23 + i, 18 + i, 0); /* s7..: the function's first instruction */
        code[n++] = FENCE_I;
        code[n++] = CALL(28);
    }
    code[n++] = ECALL;
    memcpy(ram, code, sizeof code);
    make_space(0x10000, 0x20000);
    for (unsigned i = 0; i < MAPPINGS; i++) {
        put_entry(0x12000, 2 + i, PTE(0x20000, DATA));
        harts[0].x[18 + i] = (2 + i) << 12;
        harts[0].x[23 + i] = ADDI_A0(1 << (2 * i + 1));
    }
    put_entry(0x12000, 1, PTE(0x20000, 0xcfULL)); /* D A X W R V */
    put(0x20000, ADDI_A0(1));
    put(0x20004, RET);
    harts[0].x[12] = SATP(0x10000, 1);
    harts[0].x[28] = 0x1000;
    A0 = 0;
    run();
    assert_int_equal(A0, 1 + 2 + 8 + 32 + 128 + 512);
}

/* A function whose page two addresses show is translated once. What it says of its own address, and
 * where it returns to, is as it was called; written, it is another at both. */
static void code_that_is_in_two_places_is_translated_once(void **state)
{
    enum { PLACES = 2 };
    static const uint32_t function[] = {
        0x00000517,             /* auipc a0, 0 */
        0x00c50513,             /* addi a0, a0, 12 */
        0x00008293,             /* mv t0, ra */
        0x00000097, 0x00c080e7, /* auipc ra, 0; jalr ra, 12(ra): over the next */
        ADDI_A0(1),             /* never */
        0x00008593,             /* mv a1, ra */
        0x00028067,             /* jr t0 */
    };
    static const uint32_t code[] = {
        0x18061073, /* csrw satp, a2 */
        CALL(18),   /* s2 */
        0x00050a13, /* mv s4, a0 */
        CALL(19),   /* s3 */
        ECALL,
    };
    (void)state;
    memcpy(ram, code, sizeof code);
    memcpy(ram + 0x20000, function, sizeof function);
    make_space(0x10000, 0x21000);
    for (unsigned i = 0; i < PLACES; i++) {
        put_entry(0x12000, 2 + i, PTE(0x20000, 0xcfULL)); /* D A X W R V */
        harts[0].x[18 + i] = (2 + i) << 12;
    }
    harts[0].x[12] = SATP(0x10000, 1);
    run();
    assert_int_equal(harts[0].x[20], 0x200c);
    assert_int_equal(A0, 0x300c);
    assert_int_equal(harts[0].x[11], 0x3014);
    const uint64_t once = figure("blocks_translated");
    harts[0].x[18] = 0x3000;
    harts[0].x[19] = 0x2000;
    run();
    assert_int_equal(harts[0].x[20], 0x300c);
    assert_int_equal(A0, 0x200c);
    assert_int_equal(harts[0].x[11], 0x2014);
    assert_int_equal(figure("blocks_translated"), once);
    const uint32_t other = 0x01000517; /* auipc a0, 0x1000 */
    memcpy(ram + 0x20000, &other, 4);
    jit_engine.code_changed(&vm, BOARD_RAM + 0x20000, 4);
    run();
    assert_int_equal(harts[0].x[20], 0x100300c);
    assert_int_equal(A0, 0x100200c);
    harts[0].x[18] = 0x2000;
    harts[0].x[19] = 0x3000;
    run();
    assert_int_equal(harts[0].x[20], 0x100200c);
    assert_int_equal(A0, 0x100300c);
}

static void *kick_soon(void *arg)
{
    (void)arg;
    usleep(50000);
    atomic_store(&harts[0].vcpu.kick, 1);
    return NULL;
}

/* Who is kicked in a loop through 253 GiB, which is translated as a whole, comes out at once; here
 * all addresses are one page. */
static void a_loop_through_memory_hears_a_kick(void **state)
{
    static const uint32_t code[] = {
        0x18061073, /* csrw satp, a2 */
        0x0005c503, /* lbu a0, 0(a1) */
        0x00158593, /* addi a1, a1, 1 */
        0xff9ff06f, /* j -8 */
    };
    struct exit exit = {0};
    pthread_t thread;
    (void)state;
    memcpy(ram, code, sizeof code);
    make_space(0x10000, 0x20000);
    for (unsigned i = 0; i < 512; i++) {
        put_entry(0x12000, i, PTE(0x20000, DATA));
        put_entry(0x11000, i, PTE(0x12000, POINTER));
        if (i > BOARD_RAM >> 30 && i < 256)
            put_entry(0x10000, i, PTE(0x11000, POINTER));
    }
    harts[0].x[11] = ((BOARD_RAM >> 30) + 1) << 30;
    harts[0].x[12] = SATP(0x10000, 1);
    harts[0].pc = BOARD_RAM;
    alarm(20);
    assert_int_equal(pthread_create(&thread, NULL, kick_soon, NULL), 0);
    assert_int_equal(jit_engine.run(&harts[0].vcpu, &exit), EXIT_KICKED);
    alarm(0);
    pthread_join(thread, NULL);
    assert_true(figure("regions_translated") > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(code_is_translated_once),
        TEST(an_access_around_the_end_of_addresses_finds_nothing),
        TEST(only_blocks_whose_line_is_written_are_dropped),
        TEST(links_to_a_block_that_is_dropped_are_undone),
        TEST(the_guests_own_stores_to_code_are_seen),
        TEST(code_beside_what_is_written_stays),
        TEST(a_page_to_which_only_data_is_stored_is_code_no_more),
        TEST(a_flush_forgets_everything_and_goes_on),
        TEST(address_spaces_see_their_own_pages),
        TEST(stores_by_any_mapping_of_a_page_of_code_are_seen),
        TEST(code_that_is_in_two_places_is_translated_once),
        TEST(a_loop_through_memory_hears_a_kick),
        TEST(a_fence_of_an_address_space_is_heard),
        TEST(code_of_a_guest_at_rest_is_given_back),
        TEST(pages_are_code_as_long_as_blocks_are_made_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
