/* Type 1's driver of the board's PLIC, against our own PLIC. */
#include "tests/unit/device_test.h"

#include "devices/plic.h"
#include "type1/dev_intc.h"

#define HARTS 3

static struct plic plic;
static struct wire wires[2 * HARTS];
static struct intc intc;
static uint8_t blob[8192];
static struct fdt fdt;

/* `registers` is where the tree says that they are: nothing is there. */
static uint32_t plic_read_reg(void *registers, uint32_t offset)
{
    (void)registers;
    return (uint32_t)read_reg(&plic_bus_ops, &plic, offset, 4);
}

static void plic_write_reg(void *registers, uint32_t offset, uint32_t value)
{
    (void)registers;
    write_reg(&plic_bus_ops, &plic, offset, 4, value);
}

static const struct dev_access access = {.read = plic_read_reg, .write = plic_write_reg};

/* A board whose harts are 10, 11, 12 and whose controllers have the phandles 20, 21, 22. */
static void describe(void)
{
    struct fdt_writer w;
    uint32_t phandles[HARTS];
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_put_u32(&w, "interrupt-parent", 99);
    fdt_node(&w, "cpus");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    for (unsigned i = 0; i < HARTS; i++) {
        fdt_node_at(&w, "cpu", 10 + i);
        fdt_put_str(&w, "device_type", "cpu");
        fdt_put_u32(&w, "reg", 10 + i);
        fdt_node(&w, "interrupt-controller");
        fdt_put_u32(&w, "phandle", phandles[i] = 20 + i);
        fdt_end(&w);
        fdt_end(&w);
    }
    fdt_end(&w);
    plic_fdt(&plic, &w, 0xc000000, 99, phandles);
    fdt_node_at(&w, "near", 0x1000);
    fdt_put_u32(&w, "interrupts", 7);
    fdt_end(&w);
    fdt_node_at(&w, "other", 0x2000);
    fdt_put_u32(&w, "interrupt-parent", 98);
    fdt_put_u32(&w, "interrupts", 7);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
}

static int setup(void **state)
{
    (void)state;
    struct irq outputs[2 * HARTS];
    memset(wires, 0, sizeof wires);
    for (unsigned i = 0; i < 2 * HARTS; i++)
        outputs[i] = wire_irq(wires, i);
    plic_init(&plic, HARTS, outputs);
    describe();
    assert_int_equal(intc_find(&intc, &fdt, 11), 0);
    intc_start(&intc, &access, NULL);
    return 0;
}

static unsigned handled;
static bool finish;

static bool handle(void *arg)
{
    handled++;
    if (arg != NULL)
        plic_set(&plic, 7, false);
    return finish;
}

static void interrupts_come_to_the_s_context_of_the_named_hart(void **state)
{
    (void)state;
    assert_int_equal(intc.contexts[0], 3); /* the second hart's; M-mode contexts come first */
    assert_int_equal(intc.address, 0xc000000);
    assert_int_equal(intc.line_max, PLIC_SOURCES - 1);
    struct intc none;
    assert_int_equal(intc_find(&none, &fdt, 13), -E_NODEV);
    assert_null(none.base);
}

static void line_of_a_node_follows_its_interrupt_parent(void **state)
{
    (void)state;
    assert_int_equal(intc_line_of(&intc, &fdt, fdt_path(&fdt, "/near")), 7);
    assert_int_equal(intc_line_of(&intc, &fdt, fdt_path(&fdt, "/other")), 0);
}

static void raised_line_is_handled_and_completed(void **state)
{
    (void)state;
    handled = 0;
    finish = true;
    assert_int_equal(intc_open(&intc, 7, handle, &plic), 0);
    assert_int_equal(intc_open(&intc, 7, handle, &plic), -E_EXIST);
    assert_int_equal(intc_open(&intc, 0, handle, NULL), -E_NODEV);
    assert_int_equal(intc_open(&intc, PLIC_SOURCES, handle, NULL), -E_NODEV);
    plic_set(&plic, 7, true);
    for (unsigned i = 0; i < 2 * HARTS; i++)
        assert_int_equal(wires[i].level, i == 3);
    intc_interrupt(&intc, 0);
    assert_int_equal(handled, 1);
    assert_false(wires[3].level);
    plic_set(&plic, 7, true);
    assert_true(wires[3].level);
}

static void line_left_open_stays_shut_until_it_is_completed(void **state)
{
    (void)state;
    handled = 0;
    finish = false;
    assert_int_equal(intc_open(&intc, 7, handle, NULL), 0);
    plic_set(&plic, 7, true);
    intc_interrupt(&intc, 0);
    intc_interrupt(&intc, 0);
    assert_int_equal(handled, 1);
    assert_false(wires[3].level);
    intc_complete(&intc, 7); /* the device still drives it */
    assert_true(wires[3].level);
    intc_interrupt(&intc, 0);
    assert_int_equal(handled, 2);
}

static void line_that_never_falls_does_not_hold_the_hart(void **state)
{
    (void)state;
    handled = 0;
    finish = true;
    assert_int_equal(intc_open(&intc, 7, handle, NULL), 0);
    plic_set(&plic, 7, true);
    intc_interrupt(&intc, 0);
    assert_in_range(handled, 1, 1000);
    assert_true(wires[3].level); /* and comes again */
}

static void line_follows_to_another_hart_even_while_it_is_claimed(void **state)
{
    (void)state;
    handled = 0;
    finish = false;
    assert_true(intc_add_hart(&intc, 1, 12));
    assert_int_equal(intc_open(&intc, 7, handle, NULL), 0);
    intc_move(&intc, 7, 1);
    plic_set(&plic, 7, true);
    assert_false(wires[3].level);
    assert_true(wires[5].level);
    intc_interrupt(&intc, 0);
    assert_int_equal(handled, 0);
    intc_interrupt(&intc, 1);
    assert_int_equal(handled, 1);
    intc_move(&intc, 7, 0);
    assert_false(wires[3].level);
    intc_complete(&intc, 7);
    assert_true(wires[3].level);
    assert_false(wires[5].level);
}

static void closed_line_is_shut_and_its_place_free(void **state)
{
    (void)state;
    handled = 0;
    finish = true;
    for (unsigned round = 0; round < 3 * INTC_LINES_MAX; round++) {
        assert_int_equal(intc_open(&intc, 7, handle, &plic), 0);
        intc_close(&intc, 7);
    }
    plic_set(&plic, 7, true);
    assert_false(wires[3].level);
    intc_interrupt(&intc, 0);
    assert_int_equal(handled, 0);
    assert_int_equal(intc_open(&intc, 7, handle, &plic), 0);
    intc_interrupt(&intc, 0);
    assert_int_equal(handled, 1);
}

/* The board's line of a device that a guest has; see type1/dev_pass.c. */
static unsigned completions;

static void completed(void *arg, uint32_t source)
{
    assert_ptr_equal(arg, &plic);
    completions += source;
}

static void guests_completion_is_told(void **state)
{
    (void)state;
    completions = 0;
    plic.completed = completed;
    plic.completed_arg = &plic;
    assert_int_equal(intc_open(&intc, 7, handle, &plic), 0);
    plic_set(&plic, 7, true);
    plic_set(&plic, 7, false);
    finish = false;
    intc_interrupt(&intc, 0);
    assert_int_equal(completions, 0);
    intc_complete(&intc, 7);
    assert_int_equal(completions, 7);
    intc_complete(&intc, 8); /* not enabled: no completion */
    assert_int_equal(completions, 7);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(interrupts_come_to_the_s_context_of_the_named_hart),
        T(line_of_a_node_follows_its_interrupt_parent),
        T(raised_line_is_handled_and_completed),
        T(line_left_open_stays_shut_until_it_is_completed),
        T(line_that_never_falls_does_not_hold_the_hart),
        T(line_follows_to_another_hart_even_while_it_is_claimed),
        T(closed_line_is_shut_and_its_place_free),
        T(guests_completion_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
