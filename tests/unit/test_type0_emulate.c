/* Loads and stores that the hart does not do (type0/access.h). Encodings as LLVM assembles them. */
#include "riscv/csr.h"
#include "type0/access.h"
#include "type0/csr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGE  0x1000u
#define FIRST 0x40001000u /* two pages; the second one may not be there */
#define AT    (FIRST + 0x101)
#define EDGE  (FIRST + PAGE - 3)

static uint8_t bytes[2 * PAGE];
static uint64_t present; /* bytes from FIRST on */
static uint64_t status_seen, highest_seen;
static uint64_t fp[32], fp_csr; /* the hart's */
static struct riscv_vcpu vcpu;

static bool at(uint64_t va, uint64_t mstatus)
{
    status_seen = mstatus;
    highest_seen = va > highest_seen ? va : highest_seen;
    return va >= FIRST && va - FIRST < present;
}

static long load(uint64_t va, uint64_t mstatus)
{
    return at(va, mstatus) ? bytes[va - FIRST] : -1;
}

static bool store(uint64_t va, uint64_t mstatus, uint8_t byte)
{
    if (!at(va, mstatus))
        return false;
    bytes[va - FIRST] = byte;
    return true;
}

static uint64_t fp_save(uint64_t *f)
{
    memcpy(f, fp, sizeof fp);
    return fp_csr;
}

static void fp_load(const uint64_t *f, uint64_t fcsr)
{
    memcpy(fp, f, sizeof fp);
    fp_csr = fcsr;
}

static const struct guest_memory memory = {load, store, fp_save, fp_load};

static int setup(void **state)
{
    (void)state;
    memset(&vcpu, 0, sizeof vcpu);
    memset(bytes, 0x11, sizeof bytes);
    present = sizeof bytes;
    highest_seen = 0;
    for (unsigned i = 0; i < 32; i++) {
        vcpu.x[i] = i == 0 ? 0 : 0x0101010101010101u * i;
        fp[i] = 0xf000000000000000u + i;
    }
    fp_csr = 0x55;
    vcpu.pc = FIRST;
    return 0;
}

static void put(uint64_t va, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[va - FIRST + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(uint64_t va)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[va - FIRST + i] << 8 * i;
    return value;
}

static enum access_result perform(uint32_t insn, uint64_t va)
{
    struct hext_access access;
    hext_access_decode(insn, &access);
    return access_perform(&memory, &vcpu, &access, va);
}

/* Of the bytes 81 82 .. 88, in memory in this order: a hart is little-endian. */
static void loads_get_what_is_there_extended_as_the_instruction_says(void **state)
{
    static const struct {
        uint32_t insn;
        uint64_t value;
        uint8_t length;
    } loads[] = {
        {0x00159503, 0xffffffffffff8281, 4}, /* lh a0, 1(a1) */
        {0x0015d503, 0x8281, 4},             /* lhu */
        {0x0015a503, 0xffffffff84838281, 4}, /* lw */
        {0x0015e503, 0x84838281, 4},         /* lwu */
        {0x0015b503, 0x8887868584838281, 4}, /* ld */
        {0x41c8, 0xffffffff84838281, 2},     /* c.lw a0, 4(a1) */
        {0x6588, 0x8887868584838281, 2},     /* c.ld a0, 8(a1) */
        {0x4512, 0xffffffff84838281, 2},     /* c.lwsp a0, 4(sp) */
        {0x6522, 0x8887868584838281, 2},     /* c.ldsp a0, 8(sp) */
        {0x85c8, 0xffffffffffff8281, 2},     /* c.lh a0, 0(a1) */
    };
    for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        setup(state);
        put(AT, 0x8887868584838281);
        assert_int_equal(perform(loads[i].insn, AT), ACCESS_DONE);
        assert_int_equal(vcpu.x[10], loads[i].value);
        assert_int_equal(vcpu.pc, FIRST + loads[i].length);
        assert_int_equal(vcpu.x[9], 0x0909090909090909);
        assert_int_equal(vcpu.x[11], 0x0b0b0b0b0b0b0b0b);
    }
}

static void stores_write_their_bytes_and_no_others(void **state)
{
    static const struct {
        uint32_t insn;
        unsigned width, length;
        uint64_t value;
    } stores[] = {
        {0x01f590a3, 2, 4, 0x1f1f},             /* sh t6, 1(a1) */
        {0x01f5a0a3, 4, 4, 0x1f1f1f1f},         /* sw */
        {0x01f5b0a3, 8, 4, 0x1f1f1f1f1f1f1f1f}, /* sd */
        {0x0005b0a3, 8, 4, 0},                  /* sd zero, 1(a1) */
        {0xc1c8, 4, 2, 0x0a0a0a0a},             /* c.sw a0, 4(a1) */
        {0xe588, 8, 2, 0x0a0a0a0a0a0a0a0a},     /* c.sd a0, 8(a1) */
        {0xc22a, 4, 2, 0x0a0a0a0a},             /* c.swsp a0, 4(sp) */
        {0xe42a, 8, 2, 0x0a0a0a0a0a0a0a0a},     /* c.sdsp a0, 8(sp) */
    };
    for (unsigned i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        uint64_t mask = stores[i].width == 8 ? ~0ULL : (1ULL << 8 * stores[i].width) - 1;
        setup(state);
        assert_int_equal(perform(stores[i].insn, AT), ACCESS_DONE);
        assert_int_equal(get(AT), stores[i].value | (0x1111111111111111 & ~mask));
        assert_int_equal(bytes[AT - FIRST - 1], 0x11);
        assert_int_equal(bytes[AT - FIRST + 8], 0x11);
        assert_int_equal(vcpu.pc, FIRST + stores[i].length);
    }
}

/* Narrower values are NaN-boxed (Unprivileged ISA 20240411, 21.2). */
static void fp_loads_change_one_register_of_the_hart_and_keep_fcsr(void **state)
{
    static const struct {
        uint32_t insn;
        uint64_t value;
        uint8_t length;
    } loads[] = {
        {0x0015a507, 0xffffffff84838281, 4}, /* flw fa0, 1(a1) */
        {0x0015b507, 0x8887868584838281, 4}, /* fld */
        {0x2588, 0x8887868584838281, 2},     /* c.fld fa0, 8(a1) */
        {0x2522, 0x8887868584838281, 2},     /* c.fldsp fa0, 8(sp) */
    };
    for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        setup(state);
        put(AT, 0x8887868584838281);
        assert_int_equal(perform(loads[i].insn, AT), ACCESS_DONE);
        assert_int_equal(fp[10], loads[i].value);
        assert_int_equal(fp[9], 0xf000000000000009);
        assert_int_equal(fp[11], 0xf00000000000000b);
        assert_int_equal(fp_csr, 0x55);
        assert_int_equal(vcpu.x[10], 0x0a0a0a0a0a0a0a0a);
        assert_int_equal(vcpu.pc, FIRST + loads[i].length);
    }
}

static void fp_stores_write_what_the_hart_holds(void **state)
{
    static const struct {
        uint32_t insn;
        uint64_t value;
    } stores[] = {
        {0x00a5a0a7, 0x111111118483828a}, /* fsw fa0, 1(a1) */
        {0x00a5b0a7, 0x888786858483828a}, /* fsd */
        {0xa588, 0x888786858483828a},     /* c.fsd fa0, 8(a1) */
        {0xa42a, 0x888786858483828a},     /* c.fsdsp fa0, 8(sp) */
    };
    for (unsigned i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        setup(state);
        fp[10] = 0x888786858483828a;
        assert_int_equal(perform(stores[i].insn, AT), ACCESS_DONE);
        assert_int_equal(get(AT), stores[i].value);
    }
}

static void a_load_into_x0_reads_and_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(perform(0x0015b003, AT), ACCESS_DONE); /* ld zero, 1(a1) */
    assert_int_equal(vcpu.x[0], 0);
    assert_int_equal(highest_seen, AT + 7);
    assert_int_equal(vcpu.pc, FIRST + 4);
}

static void an_access_may_cross_a_page(void **state)
{
    (void)state;
    put(EDGE, 0x8887868584838281);
    assert_int_equal(perform(0x0015b503, EDGE), ACCESS_DONE);
    assert_int_equal(vcpu.x[10], 0x8887868584838281);
    assert_int_equal(perform(0x01f5b0a3, EDGE), ACCESS_DONE);
    assert_int_equal(get(EDGE), 0x1f1f1f1f1f1f1f1f);
}

static void a_fault_in_the_second_page_leaves_registers_and_pc(void **state)
{
    (void)state;
    present = PAGE;
    assert_int_equal(perform(0x0015b503, EDGE), ACCESS_FAULT); /* ld a0, 1(a1) */
    assert_int_equal(vcpu.x[10], 0x0a0a0a0a0a0a0a0a);
    assert_int_equal(perform(0x0015b507, EDGE), ACCESS_FAULT); /* fld fa0, 1(a1) */
    assert_int_equal(fp[10], 0xf00000000000000a);
    assert_int_equal(perform(0x01f5b0a3, EDGE), ACCESS_FAULT); /* sd t6, 1(a1) */
    assert_int_equal(highest_seen, FIRST + PAGE);              /* what stval will be */
    assert_int_equal(bytes[PAGE], 0x11);
    assert_int_equal(vcpu.pc, FIRST);
}

static void memory_is_reached_with_the_partitions_own_rights(void **state)
{
    (void)state;
    vcpu.mstatus = MSTATUS_SUM;
    perform(0x0015b503, AT);
    assert_int_equal(status_seen, MSTATUS_SUM | MSTAT_MPRV);
    perform(0x01f5b0a3, AT);
    assert_int_equal(status_seen, MSTATUS_SUM | MSTAT_MPRV);
}

static void atomics_are_not_done(void **state)
{
    (void)state;
    assert_int_equal(perform(0x1005a52f, AT), ACCESS_FOREIGN); /* lr.w a0, (a1) */
    assert_int_equal(vcpu.pc, FIRST);
    assert_int_equal(highest_seen, 0);
}

static void an_instruction_is_fetched_parcel_by_parcel_and_may_be_execute_only(void **state)
{
    uint32_t insn = 0;
    (void)state;
    put(FIRST, 0x0015b503);
    assert_true(access_fetch(&memory, &vcpu, &insn));
    assert_int_equal(insn, 0x0015b503);
    assert_int_equal(status_seen, MSTAT_MPRV | MSTAT_MXR);
    /* The last two bytes of a page: a compressed one does not need the next. */
    present = PAGE;
    vcpu.pc = FIRST + PAGE - 2;
    put(vcpu.pc, 0x41c8);
    highest_seen = 0;
    assert_true(access_fetch(&memory, &vcpu, &insn));
    assert_int_equal(insn, 0x41c8);
    assert_int_equal(highest_seen, FIRST + PAGE - 1);
    put(vcpu.pc, 0x0015b503);
    assert_false(access_fetch(&memory, &vcpu, &insn));
    assert_int_equal(highest_seen, FIRST + PAGE);
    present = sizeof bytes;
    assert_true(access_fetch(&memory, &vcpu, &insn));
    assert_int_equal(insn, 0x0015b503);
}

static void rdtime_alone_is_taken_for_rdtime(void **state)
{
    (void)state;
    assert_true(access_is_rdtime(0xc0102573));  /* rdtime a0 */
    assert_true(access_is_rdtime(0xc0102073));  /* rdtime zero */
    assert_false(access_is_rdtime(0xc0151073)); /* csrw time, a0 */
    assert_false(access_is_rdtime(0xc0002573)); /* rdcycle a0 */
    access_rdtime(&vcpu, 0xc0102573, 0x123456789a);
    assert_int_equal(vcpu.x[10], 0x123456789a);
    assert_int_equal(vcpu.pc, FIRST + 4);
    access_rdtime(&vcpu, 0xc0102073, 7);
    assert_int_equal(vcpu.x[0], 0);
    assert_int_equal(vcpu.pc, FIRST + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(loads_get_what_is_there_extended_as_the_instruction_says, setup),
        cmocka_unit_test_setup(stores_write_their_bytes_and_no_others, setup),
        cmocka_unit_test_setup(fp_loads_change_one_register_of_the_hart_and_keep_fcsr, setup),
        cmocka_unit_test_setup(fp_stores_write_what_the_hart_holds, setup),
        cmocka_unit_test_setup(a_load_into_x0_reads_and_changes_nothing, setup),
        cmocka_unit_test_setup(an_access_may_cross_a_page, setup),
        cmocka_unit_test_setup(a_fault_in_the_second_page_leaves_registers_and_pc, setup),
        cmocka_unit_test_setup(memory_is_reached_with_the_partitions_own_rights, setup),
        cmocka_unit_test_setup(atomics_are_not_done, setup),
        cmocka_unit_test_setup(an_instruction_is_fetched_parcel_by_parcel_and_may_be_execute_only,
                               setup),
        cmocka_unit_test_setup(rdtime_alone_is_taken_for_rdtime, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
