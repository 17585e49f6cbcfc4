/* Interrupt files of a hart and the CSRs of the AIA (specification 1.0, chapters 2, 3, 5): what
 * tests/isa/aia.c cannot arrange. */
#include "tests/unit/device_test.h"

#include "riscv/aia.h"
#include "riscv/csr.h"
#include "riscv/trap.h"

static struct vm vm;
static struct riscv_vcpu hart;
static struct riscv_aia aia;

static int setup(void **state)
{
    (void)state;
    vm_init(&vm, "test");
    riscv_vcpu_init(&hart, &vm, 0);
    vm.vcpus[0] = &hart.vcpu;
    vm.vcpu_count = 1;
    riscv_isa_of("rva23", 0, &hart.isa);
    riscv_isa_add_aia(&hart.isa);
    riscv_aia_init(&aia, &hart, AIA_GUESTS_MAX);
    riscv_vcpu_reset(&hart, 0x1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    riscv_vcpu_fini(&hart);
    return 0;
}

static uint64_t get(unsigned csr)
{
    uint64_t value = 0;
    assert_true(riscv_csr_read(&hart, csr, false, &value));
    return value;
}

static void put(unsigned csr, uint64_t value)
{
    assert_true(riscv_csr_write(&hart, csr, value));
}

static void select_put(unsigned select, uint64_t value)
{
    put(CSR_siselect, select);
    put(CSR_sireg, value);
}

static void open_file(void)
{
    select_put(IMSIC_EIE0, ~0ULL);
    select_put(IMSIC_EIDELIVERY, 1);
}

/* The two halves of one instruction, with a message of another hart between them. */
static void claim_takes_what_was_read_not_what_came_since(void **state)
{
    (void)state;
    uint64_t top;
    open_file();
    riscv_aia_receive(&hart, 0, 40);
    assert_true(riscv_csr_read(&hart, CSR_stopei, true, &top));
    assert_int_equal(top, 40 << 16 | 40);
    riscv_aia_receive(&hart, 0, 3);
    put(CSR_stopei, 0);
    assert_int_equal(get(CSR_stopei), 3 << 16 | 3);
    put(CSR_stopei, 0);
    assert_int_equal(get(CSR_stopei), 0);
}

static void message_between_read_and_write_of_eip_is_not_lost(void **state)
{
    (void)state;
    uint64_t old;
    open_file();
    put(CSR_siselect, IMSIC_EIP0);
    assert_true(riscv_csr_read(&hart, CSR_sireg, true, &old));
    riscv_aia_receive(&hart, 0, 5);
    put(CSR_sireg, old | 1 << 9); /* csrrs */
    assert_int_equal(get(CSR_sireg), 1 << 9 | 1 << 5);
    assert_true(riscv_csr_read(&hart, CSR_sireg, true, &old));
    riscv_aia_receive(&hart, 0, 6);
    put(CSR_sireg, 0); /* csrrw with rd */
    assert_int_equal(get(CSR_sireg), 1 << 6);
    put(CSR_sireg, 0); /* csrw */
    assert_int_equal(get(CSR_sireg), 0);
}

static void message_kicks_a_hart_that_waits(void **state)
{
    (void)state;
    open_file();
    put(CSR_mie, 1 << IRQ_SEI);
    atomic_store(&hart.vcpu.kick, 0);
    assert_false(riscv_vcpu_wfi_done(&hart));
    riscv_aia_receive(&hart, 0, 17);
    assert_true(riscv_vcpu_wfi_done(&hart));
    assert_int_not_equal(atomic_load(&hart.vcpu.kick), 0);
}

static void messages_to_files_that_are_not_are_ignored(void **state)
{
    (void)state;
    open_file();
    riscv_aia_receive(&hart, AIA_GUESTS_MAX + 1, 1);
    riscv_aia_receive(&hart, 0, AIA_IDS + 1);
    riscv_aia_receive(&hart, 0, 0);
    assert_int_equal(atomic_load(&hart.mip), 0);
}

static void reset_empties_files_and_a_start_by_sbi_keeps_them(void **state)
{
    (void)state;
    open_file();
    riscv_aia_receive(&hart, 0, 9);
    put(CSR_hgeie, 2);
    put(CSR_hvictl, 1 << 30);
    riscv_vcpu_start_supervisor(&hart, 0x80000000, 0);
    assert_int_equal(atomic_load(&hart.mip), 1 << IRQ_SEI);
    assert_int_equal(get(CSR_stopei), 9 << 16 | 9); /* mstateen0 is open */
    assert_int_equal(get(CSR_hgeie) | get(CSR_hvictl) | get(CSR_siselect), 0);
    riscv_vcpu_reset(&hart, 0x1000);
    assert_int_equal(atomic_load(&hart.mip), 0);
    assert_int_equal(get(CSR_stopei), 0);
}

static void state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    open_file();
    riscv_aia_receive(&hart, 0, 50);
    riscv_aia_receive_machine(&hart, 7);
    put(CSR_hstatus, 3ULL << HSTATUS_VGEIN_SHIFT);
    put(CSR_vsiselect, IMSIC_EIE0);
    put(CSR_vsireg, ~0ULL);
    put(CSR_vsiselect, IMSIC_EIDELIVERY);
    put(CSR_vsireg, 1);
    riscv_aia_receive(&hart, 3, 33);
    put(CSR_hgeie, 8);
    put(CSR_mvien, 1 << IRQ_SEI);
    put(CSR_mvip, 1 << IRQ_SEI);
    const uint64_t mip = atomic_load(&hart.mip);
    assert_int_equal(mip, 1 << IRQ_SEI | 1 << IRQ_VSEI | 1 << IRQ_SGEI);
    riscv_vcpu_state(&hart, save_open(&file, false));
    assert_int_equal(file.state.error, 0);
    teardown(NULL);
    setup(NULL);
    riscv_vcpu_state(&hart, save_open(&file, true));
    assert_int_equal(file.state.error, 0);
    assert_int_equal(atomic_load(&hart.mip), mip);
    assert_int_equal(get(CSR_vstopei), 33 << 16 | 33);
    assert_int_equal(get(CSR_stopei), 50 << 16 | 50);
    assert_int_equal(get(CSR_mvip), 1 << IRQ_SEI);
    put(CSR_miselect, IMSIC_EIP0);
    assert_int_equal(get(CSR_mireg), 1 << 7);
    /* A hart without guest files, or without IMSIC, is another. */
    aia.guests = 0;
    riscv_vcpu_state(&hart, save_open(&file, true));
    assert_int_not_equal(file.state.error, 0);
}

/* A hart without an IMSIC has none of its CSRs: illegal, also in V=1. */
static void with_a_plic_there_are_no_such_csrs(void **state)
{
    (void)state;
    static const uint16_t csrs[] = {
        CSR_miselect, CSR_mireg,    CSR_mtopei,    CSR_mtopi,  CSR_mvien,   CSR_mvip,
        CSR_siselect, CSR_sireg,    CSR_stopei,    CSR_stopi,  CSR_hvien,   CSR_hvictl,
        CSR_hviprio1, CSR_hviprio2, CSR_vsiselect, CSR_vsireg, CSR_vstopei, CSR_vstopi};
    uint64_t value;
    hart.aia = NULL;
    riscv_isa_of("rva23", 0, &hart.isa);
    riscv_vcpu_reset(&hart, 0x1000);
    for (unsigned i = 0; i < sizeof csrs / sizeof csrs[0]; i++) {
        hart.priv = PRIV_M;
        hart.virt = false;
        assert_false(riscv_csr_read(&hart, csrs[i], false, &value));
        assert_false(riscv_csr_write(&hart, csrs[i], 0));
        hart.priv = PRIV_S;
        hart.virt = true;
        assert_false(riscv_csr_read(&hart, csrs[i], false, &value));
        assert_int_equal(riscv_refusal(&hart, 0x2573u | (uint32_t)csrs[i] << 20), CAUSE_ILLEGAL);
    }
    hart.virt = false;
}

static unsigned received;

static void receive(void *arg, uint64_t page, uint32_t identity)
{
    (void)arg;
    received = (unsigned)page << 16 | identity;
}

static void pages_take_identities_in_both_orders_of_bytes(void **state)
{
    (void)state;
    struct imsic_pages pages = {.receive = receive};
    write_reg(&imsic_pages_bus_ops, &pages, 0x3000, 4, 0x12);
    assert_int_equal(received, 3 << 16 | 0x12);
    write_reg(&imsic_pages_bus_ops, &pages, 0x5004, 4, 0x34000000);
    assert_int_equal(received, 5 << 16 | 0x34);
    for (uint64_t offset = 8; offset < 0x1000; offset += 4)
        write_reg(&imsic_pages_bus_ops, &pages, offset, 4, 0x77);
    assert_int_equal(received, 5 << 16 | 0x34);
    assert_int_equal(read_reg(&imsic_pages_bus_ops, &pages, 0, 4), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(claim_takes_what_was_read_not_what_came_since),
        TEST(message_between_read_and_write_of_eip_is_not_lost),
        TEST(message_kicks_a_hart_that_waits),
        TEST(messages_to_files_that_are_not_are_ignored),
        TEST(reset_empties_files_and_a_start_by_sbi_keeps_them),
        TEST(state_survives_save_and_load),
        TEST(with_a_plic_there_are_no_such_csrs),
        TEST(pages_take_identities_in_both_orders_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
