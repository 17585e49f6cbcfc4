/* PLIC 1.0.0: gateway, priorities, thresholds, claim and completion. */
#include "tests/unit/device_test.h"

#include "devices/plic.h"

enum { HARTS = 2, CONTEXTS = 2 * HARTS };

static struct plic plic;
static struct wire wires[CONTEXTS];

static int setup(void **state)
{
    (void)state;
    struct irq outputs[CONTEXTS];
    memset(wires, 0, sizeof wires);
    for (uint32_t i = 0; i < CONTEXTS; i++)
        outputs[i] = wire_irq(wires, i);
    plic_init(&plic, HARTS, outputs);
    return 0;
}

static uint32_t rd(uint64_t offset)
{
    return (uint32_t)read_reg(&plic_bus_ops, &plic, offset, 4);
}

static void wr(uint64_t offset, uint32_t value)
{
    write_reg(&plic_bus_ops, &plic, offset, 4, value);
}

/* Addresses as the specification's memory map gives them. */
static uint64_t enable_reg(unsigned context, unsigned source)
{
    return 0x2000 + 0x80 * context + source / 32 * 4;
}

static void enable(unsigned context, unsigned source, uint32_t priority)
{
    wr(4 * source, priority);
    wr(enable_reg(context, source), rd(enable_reg(context, source)) | 1U << source % 32);
}

static void threshold(unsigned context, uint32_t value)
{
    wr(0x200000 + 0x1000 * context, value);
}

static uint32_t claim(unsigned context)
{
    return rd(0x200004 + 0x1000 * context);
}

static void complete(unsigned context, uint32_t source)
{
    wr(0x200004 + 0x1000 * context, source);
}

static bool pending(unsigned source)
{
    return (rd(0x1000 + source / 32 * 4) >> source % 32 & 1) != 0;
}

static void plic_claim_returns_highest_priority(void **state)
{
    (void)state;
    enable(1, 5, 2);
    enable(1, 40, 7);
    enable(1, 90, 3);
    plic_set(&plic, 5, true);
    plic_set(&plic, 40, true);
    plic_set(&plic, 90, true);
    assert_int_equal(claim(1), 40);
    assert_int_equal(claim(1), 90);
    assert_int_equal(claim(1), 5);
    assert_int_equal(claim(1), 0);
}

static void plic_claim_breaks_ties_by_lowest_id(void **state)
{
    (void)state;
    enable(0, 95, 4);
    enable(0, 33, 4);
    enable(0, 64, 4);
    plic_set(&plic, 95, true);
    plic_set(&plic, 64, true);
    plic_set(&plic, 33, true);
    assert_int_equal(claim(0), 33);
    assert_int_equal(claim(0), 64);
    assert_int_equal(claim(0), 95);
}

static void plic_wire_rises_and_falls_with_the_claim(void **state)
{
    (void)state;
    enable(3, 10, 1);
    assert_false(wires[3].level);
    plic_set(&plic, 10, true);
    assert_true(wires[3].level);
    assert_false(wires[0].level || wires[1].level || wires[2].level);
    assert_true(pending(10));
    assert_int_equal(claim(3), 10);
    assert_false(wires[3].level);
    assert_false(pending(10));
}

static void plic_gateway_stays_shut_until_completion(void **state)
{
    (void)state;
    enable(1, 10, 1);
    plic_set(&plic, 10, true);
    assert_int_equal(claim(1), 10);
    plic_set(&plic, 10, false);
    plic_set(&plic, 10, true);
    assert_false(pending(10));
    assert_int_equal(claim(1), 0);
    complete(1, 10);
    assert_true(pending(10));
    assert_true(wires[1].level);
    assert_int_equal(claim(1), 10);
    plic_set(&plic, 10, false);
    complete(1, 10);
    assert_false(pending(10));
    assert_false(wires[1].level);
}

static void plic_request_is_not_taken_back_when_the_wire_falls(void **state)
{
    (void)state;
    enable(1, 10, 1);
    plic_set(&plic, 10, true);
    plic_set(&plic, 10, false);
    assert_true(wires[1].level);
    assert_int_equal(claim(1), 10);
}

static void plic_ignores_completion_of_a_source_not_enabled_there(void **state)
{
    (void)state;
    enable(1, 10, 1);
    plic_set(&plic, 10, true);
    assert_int_equal(claim(1), 10);
    complete(3, 10);
    assert_int_equal(claim(1), 0);
    complete(1, 11);
    complete(1, 0);
    complete(1, 0xffffffff);
    assert_int_equal(claim(1), 0);
    /* Another context may complete it if the source is enabled there. */
    enable(3, 10, 1);
    complete(3, 10);
    assert_int_equal(claim(1), 10);
}

static void plic_threshold_gates_the_wire_and_not_the_claim(void **state)
{
    (void)state;
    enable(1, 10, 3);
    threshold(1, 3);
    plic_set(&plic, 10, true);
    assert_false(wires[1].level);
    threshold(1, 2);
    assert_true(wires[1].level);
    threshold(1, 7);
    assert_false(wires[1].level);
    assert_int_equal(claim(1), 10);
}

static void plic_priority_0_never_interrupts(void **state)
{
    (void)state;
    enable(1, 10, 0);
    plic_set(&plic, 10, true);
    assert_true(pending(10));
    assert_false(wires[1].level);
    assert_int_equal(claim(1), 0);
    wr(4 * 10, 1);
    assert_true(wires[1].level);
    wr(4 * 10, 0);
    assert_false(wires[1].level);
}

static void plic_enable_bit_moves_the_wire(void **state)
{
    (void)state;
    wr(4 * 70, 1);
    plic_set(&plic, 70, true);
    assert_false(wires[2].level);
    wr(enable_reg(2, 70), 1U << 70 % 32);
    assert_true(wires[2].level);
    wr(enable_reg(2, 70), 0);
    assert_false(wires[2].level);
    assert_int_equal(claim(2), 0);
}

static void plic_claim_in_one_context_lowers_the_others(void **state)
{
    (void)state;
    enable(1, 10, 1);
    enable(3, 10, 1);
    plic_set(&plic, 10, true);
    assert_true(wires[1].level && wires[3].level);
    assert_int_equal(claim(3), 10);
    assert_false(wires[1].level || wires[3].level);
    assert_int_equal(claim(1), 0);
}

static void plic_registers_keep_only_what_exists(void **state)
{
    (void)state;
    wr(4 * 7, 0xffffffff);
    assert_int_equal(rd(4 * 7), 7); /* WARL, 3 bits */
    wr(0, 5);
    assert_int_equal(rd(0), 0);
    wr(4 * 96, 5);
    assert_int_equal(rd(4 * 96), 0);
    threshold(0, 0xff);
    assert_int_equal(rd(0x200000), 7);
    wr(0x2000, 0xffffffff);
    assert_int_equal(rd(0x2000), 0xfffffffe); /* source 0 does not exist */
    wr(0x200c, 0xffffffff);
    assert_int_equal(rd(0x200c), 0);
    /* Contexts of harts that do not exist. */
    wr(0x2000 + 0x80 * CONTEXTS, 0xffffffff);
    assert_int_equal(rd(0x2000 + 0x80 * CONTEXTS), 0);
    threshold(CONTEXTS, 3);
    assert_int_equal(rd(0x200000 + 0x1000 * CONTEXTS), 0);
    wr(0x1000, 0xffffffff);
    assert_int_equal(rd(0x1000), 0);
    plic_set(&plic, 0, true);
    plic_set(&plic, 96, true);
    assert_int_equal(plic_bus_ops.widths, 4);
}

static void plic_reset_forgets_configuration_and_keeps_wires(void **state)
{
    (void)state;
    enable(1, 10, 5);
    enable(1, 11, 5);
    threshold(1, 1);
    plic_set(&plic, 10, true);
    assert_int_equal(claim(1), 10);
    plic_set(&plic, 11, true);
    plic_reset(&plic);
    assert_false(wires[1].level);
    assert_int_equal(rd(4 * 10), 0);
    assert_int_equal(rd(enable_reg(1, 10)), 0);
    assert_int_equal(rd(0x201000), 0);
    assert_true(pending(10)); /* its wire is still up and nobody is serving it */
}

static void plic_state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    enable(1, 10, 5);
    enable(1, 11, 6);
    enable(3, 64, 1);
    threshold(1, 2);
    plic_set(&plic, 11, true);
    assert_int_equal(claim(1), 11);
    plic_set(&plic, 10, true);
    plic_state(&plic, save_open(&file, false));
    assert_int_equal(file.state.error, 0);

    setup(NULL);
    plic_state(&plic, save_open(&file, true));
    assert_int_equal(file.state.error, 0);
    assert_int_equal(file.at, file.size);
    assert_true(wires[1].level);
    assert_int_equal(rd(4 * 11), 6);
    assert_int_equal(rd(0x201000), 2);
    assert_int_equal(claim(1), 10);
    assert_int_equal(claim(1), 0);
    complete(1, 11); /* its wire is up: it comes back */
    assert_int_equal(claim(1), 11);
    plic_set(&plic, 64, true);
    assert_true(wires[3].level);
}

static void plic_fdt_names_a_context_for_each_mode_of_each_hart(void **state)
{
    (void)state;
    static uint8_t buf[4096];
    const uint32_t intcs[HARTS] = {0x21, 0x22};
    const uint8_t expected[] = {0, 0, 0, 0x21, 0, 0, 0, 11, 0, 0, 0, 0x21, 0, 0, 0, 9,
                                0, 0, 0, 0x22, 0, 0, 0, 11, 0, 0, 0, 0x22, 0, 0, 0, 9};
    struct fdt_writer w;
    struct fdt fdt;
    uint64_t base, size;
    uint32_t len;

    tree_begin(&w, buf, sizeof buf);
    plic_fdt(&plic, &w, 0xc000000, 9, intcs);
    tree_close(&w, &fdt);
    int node = fdt_compatible_next(&fdt, -1, "sifive,plic-1.0.0");
    assert_string_equal(fdt_name(&fdt, node), "plic@c000000");
    assert_int_equal(fdt_reg(&fdt, node, 0, &base, &size), 0);
    assert_int_equal(base, 0xc000000);
    assert_int_equal(size, 0x600000);
    assert_int_equal(fdt_u32(&fdt, node, "riscv,ndev", 0), 95);
    assert_int_equal(fdt_u32(&fdt, node, "phandle", 0), 9);
    const void *cells = fdt_prop(&fdt, node, "interrupts-extended", &len);
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(cells, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(plic_claim_returns_highest_priority, setup),
        cmocka_unit_test_setup(plic_claim_breaks_ties_by_lowest_id, setup),
        cmocka_unit_test_setup(plic_wire_rises_and_falls_with_the_claim, setup),
        cmocka_unit_test_setup(plic_gateway_stays_shut_until_completion, setup),
        cmocka_unit_test_setup(plic_request_is_not_taken_back_when_the_wire_falls, setup),
        cmocka_unit_test_setup(plic_ignores_completion_of_a_source_not_enabled_there, setup),
        cmocka_unit_test_setup(plic_threshold_gates_the_wire_and_not_the_claim, setup),
        cmocka_unit_test_setup(plic_priority_0_never_interrupts, setup),
        cmocka_unit_test_setup(plic_enable_bit_moves_the_wire, setup),
        cmocka_unit_test_setup(plic_claim_in_one_context_lowers_the_others, setup),
        cmocka_unit_test_setup(plic_registers_keep_only_what_exists, setup),
        cmocka_unit_test_setup(plic_reset_forgets_configuration_and_keeps_wires, setup),
        cmocka_unit_test_setup(plic_state_survives_save_and_load, setup),
        cmocka_unit_test_setup(plic_fdt_names_a_context_for_each_mode_of_each_hart, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
