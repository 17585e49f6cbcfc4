/*
 * The interrupt file in memory, and where a board's files are. What is expected comes from the AIA
 * specification 1.0 (chapter 3, 4.9.1) and the device tree binding riscv,imsics.
 */
#include "tests/unit/device_test.h"

#include "engine/hext/imsic.h"
#include "type1/dev_imsic_map.h"

#define SIREG  0x151u
#define STOPEI 0x15cu
#define A0     10
#define A1     11

enum { CSRRW = 1, CSRRS = 2, CSRRC = 3, CSRRWI = 5, CSRRSI = 6, CSRRCI = 7 };

static struct imsic_file file;
static uint64_t x[33];

static int setup(void **state)
{
    (void)state;
    memset(&file, 0xa5, sizeof file);
    imsic_reset(&file);
    file.ids = 255;
    memset(x, 0, sizeof x);
    return 0;
}

/* csrr?? a0, csr, rs1 */
static uint32_t insn(unsigned kind, unsigned csr, unsigned source)
{
    return csr << 20 | source << 15 | kind << 12 | A0 << 7 | 0x73;
}

static void write_ireg(uint64_t select, uint64_t value)
{
    x[A1] = value;
    assert_true(imsic_execute(&file, insn(CSRRW, SIREG, A1), select, x));
}

static uint64_t read_ireg(uint64_t select)
{
    assert_true(imsic_execute(&file, insn(CSRRS, SIREG, 0), select, x));
    return x[A0];
}

static uint64_t read_topei(void)
{
    assert_true(imsic_execute(&file, insn(CSRRS, STOPEI, 0), 0, x));
    return x[A0];
}

static void enable_all(void)
{
    write_ireg(0x70, 1);
    for (unsigned w = 0; w < 4; w++)
        write_ireg(0xc0 + 2 * w, ~0ULL);
}

static void file_signals_what_is_pending_enabled_and_delivered(void **state)
{
    (void)state;
    imsic_receive(&file, 77);
    assert_false(imsic_signals(&file));
    assert_int_equal(read_topei(), 0);
    write_ireg(0xc2, 1ULL << 13); /* identity 77 */
    assert_int_equal(read_topei(), 77 << 16 | 77);
    assert_false(imsic_signals(&file)); /* eidelivery is 0 */
    write_ireg(0x70, 1);
    assert_true(imsic_signals(&file));
}

static void lower_identity_is_served_first_and_a_claim_clears_it(void **state)
{
    (void)state;
    enable_all();
    imsic_receive(&file, 200);
    imsic_receive(&file, 64);
    imsic_receive(&file, 3);
    const uint32_t order[] = {3, 64, 200};
    for (unsigned i = 0; i < 3; i++) {
        assert_true(imsic_execute(&file, insn(CSRRW, STOPEI, 0), 0, x));
        assert_int_equal(x[A0], order[i] << 16 | order[i]);
    }
    assert_false(imsic_signals(&file));
}

static void reading_topei_claims_nothing(void **state)
{
    (void)state;
    enable_all();
    imsic_receive(&file, 9);
    assert_int_equal(read_topei(), 9 << 16 | 9);
    assert_int_equal(read_topei(), 9 << 16 | 9);
    x[A1] = 0;
    /* csrrs with another register than x0 writes, whatever it holds (Zicsr). */
    assert_true(imsic_execute(&file, insn(CSRRS, STOPEI, A1), 0, x));
    assert_int_equal(read_topei(), 0);
}

static void claim_of_nothing_changes_nothing(void **state)
{
    (void)state;
    enable_all();
    assert_true(imsic_execute(&file, insn(CSRRW, STOPEI, 0), 0, x));
    assert_int_equal(x[A0], 0);
    for (unsigned w = 0; w < 4; w++)
        assert_int_equal(read_ireg(0x80 + 2 * w), 0);
}

static void threshold_holds_back_identities_from_it_on(void **state)
{
    (void)state;
    enable_all();
    imsic_receive(&file, 10);
    write_ireg(0x72, 10);
    assert_int_equal(read_topei(), 0);
    assert_false(imsic_signals(&file));
    write_ireg(0x72, 11);
    assert_int_equal(read_topei(), 10 << 16 | 10);
    write_ireg(0x72, 0);
    assert_true(imsic_signals(&file));
}

static void identities_that_there_are_not_are_ignored(void **state)
{
    (void)state;
    enable_all();
    imsic_receive(&file, 0);
    imsic_receive(&file, 256);
    imsic_receive(&file, UINT32_MAX);
    assert_int_equal(read_topei(), 0);
    write_ireg(0x88, ~0ULL); /* eip8: identities 256 to 319 */
    assert_int_equal(read_ireg(0x88), 0);
    write_ireg(0xc8, ~0ULL);
    assert_int_equal(read_ireg(0xc8), 0);
    write_ireg(0xc0, ~0ULL);
    assert_int_equal(read_ireg(0xc0), ~1ULL); /* identity 0 */
    imsic_receive(&file, 255);
    assert_int_equal(read_topei(), 255 << 16 | 255);
}

static void registers_that_do_not_exist_are_illegal(void **state)
{
    (void)state;
    static const unsigned selects[] = {0x30, 0x6f, 0x71, 0x73, 0x7f, 0x81, 0xbf, 0xc1, 0xff, 0x100};
    for (unsigned i = 0; i < sizeof selects / sizeof selects[0]; i++)
        assert_false(imsic_execute(&file, insn(CSRRS, SIREG, 0), selects[i], x));
    assert_false(imsic_execute(&file, insn(CSRRS, 0x150, 0), 0x70, x)); /* siselect */
    assert_false(imsic_execute(&file, insn(0, SIREG, 0), 0x70, x));     /* no CSR instruction */
    assert_false(imsic_execute(&file, insn(4, SIREG, 0), 0x70, x));
    assert_false(imsic_execute(&file, 0x00b50533, 0x70, x)); /* add */
}

static void every_form_of_the_instruction_does_what_zicsr_says(void **state)
{
    (void)state;
    write_ireg(0xc2, 0xf0);
    x[A1] = 0x3c;
    assert_true(imsic_execute(&file, insn(CSRRS, SIREG, A1), 0xc2, x));
    assert_int_equal(x[A0], 0xf0);
    assert_int_equal(read_ireg(0xc2), 0xfc);
    x[A1] = 0xcc;
    assert_true(imsic_execute(&file, insn(CSRRC, SIREG, A1), 0xc2, x));
    assert_int_equal(x[A0], 0xfc);
    assert_int_equal(read_ireg(0xc2), 0x30);
    assert_true(imsic_execute(&file, insn(CSRRWI, SIREG, 21), 0xc2, x));
    assert_int_equal(x[A0], 0x30);
    assert_true(imsic_execute(&file, insn(CSRRSI, SIREG, 2), 0xc2, x));
    assert_int_equal(x[A0], 21);
    assert_true(imsic_execute(&file, insn(CSRRCI, SIREG, 1), 0xc2, x));
    assert_int_equal(x[A0], 23);
    assert_int_equal(read_ireg(0xc2), 22);
    x[0] = 0;
    assert_true(imsic_execute(&file, insn(CSRRS, SIREG, 0) & ~(31u << 7), 0xc2, x));
    assert_int_equal(x[0], 0);
    write_ireg(0x70, ~0ULL);
    assert_int_equal(read_ireg(0x70), 1);
}

/* ---- Where a board's files are ---- */

static uint8_t blob[16384];
static struct fdt fdt;

/* Harts 0.. with controllers of phandle 100.., and what `imsics` writes into their node. */
static void describe(unsigned harts, void (*imsics)(struct fdt_writer *w))
{
    struct fdt_writer w;
    uint32_t cells[32];
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node(&w, "cpus");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    for (unsigned i = 0; i < harts; i++) {
        fdt_node_at(&w, "cpu", i);
        fdt_put_str(&w, "device_type", "cpu");
        fdt_put_u32(&w, "reg", i);
        fdt_node(&w, "interrupt-controller");
        fdt_put_u32(&w, "phandle", 100 + i);
        fdt_end(&w);
        fdt_end(&w);
        cells[2 * i] = 100 + i;
        cells[2 * i + 1] = 9;
    }
    fdt_end(&w);
    fdt_node_at(&w, "imsics", 0x28000000);
    fdt_put_str(&w, "compatible", "riscv,imsics");
    fdt_put_cells(&w, "interrupts-extended", cells, 2 * harts);
    imsics(&w);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
}

static void one_group(struct fdt_writer *w)
{
    fdt_put_reg64(w, 0x28000000, 0x10000);
    fdt_put_u32(w, "riscv,num-ids", 255);
    fdt_put_u32(w, "riscv,guest-index-bits", 2);
}

static void harts_of_one_group_are_side_by_side(void **state)
{
    (void)state;
    struct imsic_map map;
    describe(3, one_group);
    assert_int_equal(imsic_map_find(&map, &fdt, 1), 0);
    assert_int_equal(map.ids, 255);
    for (unsigned hart = 0; hart < 3; hart++) {
        assert_int_equal(imsic_map_page(&map, hart), 0x28000000 + hart * 0x4000);
        assert_int_equal(imsic_map_index(&map, 0x28000000 + hart * 0x4000 + 0x3000), hart);
    }
    assert_int_equal(imsic_map_page(&map, 3), 0);
    assert_int_equal(imsic_map_find(&map, &fdt, 3), -E_NODEV);
}

/* Two sockets of two harts, 16 MiB apart: what QEMU's virt has with -numa. */
static void two_groups(struct fdt_writer *w)
{
    const uint32_t reg[] = {0, 0x28000000, 0, 0x4000, 0, 0x29000000, 0, 0x4000};
    fdt_put_cells(w, "reg", reg, 8);
    fdt_put_u32(w, "riscv,num-ids", 63);
    fdt_put_u32(w, "riscv,guest-index-bits", 1);
    fdt_put_u32(w, "riscv,hart-index-bits", 1);
    fdt_put_u32(w, "riscv,group-index-bits", 1);
    fdt_put_u32(w, "riscv,group-index-shift", 24);
}

static void groups_have_ranges_of_their_own(void **state)
{
    (void)state;
    static const uint64_t pages[] = {0x28000000, 0x28002000, 0x29000000, 0x29002000};
    struct imsic_map map;
    describe(4, two_groups);
    assert_int_equal(imsic_map_find(&map, &fdt, 3), 0);
    for (unsigned hart = 0; hart < 4; hart++) {
        assert_int_equal(imsic_map_page(&map, hart), pages[hart]);
        /* group << hart-index-bits | hart of the group; its guest file too (4.9.1) */
        assert_int_equal(imsic_map_index(&map, pages[hart] + 0x1000), hart);
    }
}

static void wide_groups(struct fdt_writer *w)
{
    const uint32_t reg[] = {0, 0x28000000, 0, 0x2000, 0x1, 0x28000000, 0, 0x2000};
    fdt_put_cells(w, "reg", reg, 8);
    fdt_put_u32(w, "riscv,num-ids", 2047);
    fdt_put_u32(w, "riscv,hart-index-bits", 4);
    fdt_put_u32(w, "riscv,group-index-bits", 3);
    fdt_put_u32(w, "riscv,group-index-shift", 32);
}

static void group_index_comes_from_its_shift(void **state)
{
    (void)state;
    struct imsic_map map;
    describe(4, wide_groups);
    assert_int_equal(imsic_map_find(&map, &fdt, 0), 0);
    assert_int_equal(imsic_map_page(&map, 2), 0x128000000);
    assert_int_equal(imsic_map_page(&map, 3), 0x128001000);
    assert_int_equal(imsic_map_index(&map, 0x128001000), 1 << 4 | 1);
}

static void small_range(struct fdt_writer *w)
{
    fdt_put_reg64(w, 0x28000000, 0x3000);
    fdt_put_u32(w, "riscv,num-ids", 63);
    fdt_put_u32(w, "riscv,guest-index-bits", 1);
}

static void hart_whose_files_lie_outside_has_none(void **state)
{
    (void)state;
    struct imsic_map map;
    describe(2, small_range);
    assert_int_equal(imsic_map_find(&map, &fdt, 0), 0);
    assert_int_equal(imsic_map_page(&map, 1), 0);
}

static void strange_bits(struct fdt_writer *w)
{
    fdt_put_reg64(w, 0x28000000, 0x10000);
    fdt_put_u32(w, "riscv,num-ids", 255);
    fdt_put_u32(w, "riscv,guest-index-bits", 7);
}

static void few_ids(struct fdt_writer *w)
{
    fdt_put_reg64(w, 0x28000000, 0x10000);
    fdt_put_u32(w, "riscv,num-ids", 62);
}

static void properties_that_no_imsic_has_are_refused(void **state)
{
    (void)state;
    struct imsic_map map;
    describe(1, strange_bits);
    assert_int_equal(imsic_map_find(&map, &fdt, 0), -E_NODEV);
    describe(1, few_ids);
    assert_int_equal(imsic_map_find(&map, &fdt, 0), -E_NODEV);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(file_signals_what_is_pending_enabled_and_delivered),
        T(lower_identity_is_served_first_and_a_claim_clears_it),
        T(reading_topei_claims_nothing),
        T(claim_of_nothing_changes_nothing),
        T(threshold_holds_back_identities_from_it_on),
        T(identities_that_there_are_not_are_ignored),
        T(registers_that_do_not_exist_are_illegal),
        T(every_form_of_the_instruction_does_what_zicsr_says),
        T(harts_of_one_group_are_side_by_side),
        T(groups_have_ranges_of_their_own),
        T(group_index_comes_from_its_shift),
        T(hart_whose_files_lie_outside_has_none),
        T(properties_that_no_imsic_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
