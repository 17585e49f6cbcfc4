/* What type 1 takes from trees of boards that QEMU does not play. */
#include "type1/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)

static struct platform platform;
static uint8_t blob[8192];

struct uart {
    const char *compatible, *status;
    uint64_t base;
    uint32_t shift, width, offset;
    bool big_endian;
};
struct tree {
    const char *stdout_path, *alias; /* alias: of serial0 */
    struct uart uarts[2];
    const char *isa[4];
    bool isa_list; /* isa[] has names separated by blanks, for riscv,isa-extensions */
    uint64_t reserved;
};

static void put_uart(struct fdt_writer *w, const struct uart *uart)
{
    if (uart->compatible == NULL)
        return;
    fdt_node_at(w, "serial", uart->base);
    fdt_put_str(w, "compatible", uart->compatible);
    fdt_put_reg64(w, uart->base, 256);
    if (uart->status != NULL)
        fdt_put_str(w, "status", uart->status);
    if (uart->shift != 0)
        fdt_put_u32(w, "reg-shift", uart->shift);
    if (uart->width != 0)
        fdt_put_u32(w, "reg-io-width", uart->width);
    if (uart->offset != 0)
        fdt_put_u32(w, "reg-offset", uart->offset);
    if (uart->big_endian)
        fdt_put_empty(w, "big-endian");
    fdt_end(w);
}

static void put_cpu(struct fdt_writer *w, const struct tree *tree, unsigned id)
{
    fdt_node_at(w, "cpu", id);
    fdt_put_str(w, "device_type", "cpu");
    fdt_put_u32(w, "reg", id);
    if (tree->isa_list) {
        char names[128];
        size_t len = strlen(tree->isa[id]) + 1;
        memcpy(names, tree->isa[id], len);
        for (size_t i = 0; i < len; i++)
            names[i] = names[i] == ' ' ? 0 : names[i];
        fdt_put(w, "riscv,isa-extensions", names, len);
    } else {
        fdt_put_str(w, "riscv,isa", tree->isa[id]);
    }
    fdt_end(w);
}

static void put_cells2(struct fdt_writer *w)
{
    fdt_put_u32(w, "#address-cells", 2);
    fdt_put_u32(w, "#size-cells", 2);
}

static void read_tree(struct tree tree, uint64_t boot_id)
{
    const char *problem;
    struct fdt_writer w;

    if (tree.isa[0] == NULL)
        tree.isa[0] = "rv64imafdch";
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    put_cells2(&w);
    fdt_node_at(&w, "memory", 0x80000000);
    fdt_put_str(&w, "device_type", "memory");
    fdt_put_reg64(&w, 0x80000000, 64 * MIB);
    fdt_end(&w);
    if (tree.reserved != 0) {
        fdt_node(&w, "reserved-memory");
        put_cells2(&w);
        fdt_node_at(&w, "mmode", tree.reserved);
        fdt_put_reg64(&w, tree.reserved, 0x40000);
        fdt_end(&w);
        fdt_end(&w);
    }
    fdt_node(&w, "cpus");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    fdt_put_u32(&w, "timebase-frequency", 10000000);
    for (unsigned id = 0; id < 4 && tree.isa[id] != NULL; id++)
        put_cpu(&w, &tree, id);
    fdt_end(&w);
    fdt_node(&w, "soc");
    put_cells2(&w);
    put_uart(&w, &tree.uarts[0]);
    put_uart(&w, &tree.uarts[1]);
    fdt_end(&w);
    fdt_node(&w, "aliases");
    if (tree.alias != NULL)
        fdt_put_str(&w, "serial0", tree.alias);
    fdt_end(&w);
    fdt_node(&w, "chosen");
    if (tree.stdout_path != NULL)
        fdt_put_str(&w, "stdout-path", tree.stdout_path);
    fdt_end(&w);
    fdt_end(&w);
    assert_true(fdt_finish(&w) > 0);
    assert_int_equal(platform_read(&platform, blob, boot_id, &problem), 0);
}

/* ---- The console ---- */

static const struct uart first = {.compatible = "ns16550a", .base = 0x10000000};

static void the_console_is_what_stdout_path_names_directly_or_by_an_alias(void **state)
{
    static const char *const paths[] = {"/soc/serial@20000000", "/soc/serial@20000000:115200n8",
                                        "serial0", "serial0:115200n8"};
    const struct uart second = {.compatible = "ns16550a", .base = 0x20000000};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        read_tree((struct tree){.stdout_path = paths[i],
                                .alias = "/soc/serial@20000000",
                                .uarts = {first, second}},
                  0);
        assert_int_equal(platform.uart, 0x20000000);
    }
}

static void a_console_of_another_kind_or_disabled_is_left_to_the_firmware(void **state)
{
    const struct uart others[] = {
        {.compatible = "sifive,uart0", .base = 0x20000000},
        {.compatible = "ns16550a", .base = 0x20000000, .status = "disabled"},
        {.compatible = "ns16550a", .base = 0x20000000, .width = 2},
        {.compatible = "ns16550a", .base = 0x20000000, .width = 4},
        {.compatible = "ns16550a", .base = 0x20000000, .shift = 12},
        {.compatible = "ns16550a", .base = 0x20000000, .big_endian = true},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        read_tree((struct tree){.stdout_path = "/soc/serial@20000000", .uarts = {first, others[i]}},
                  0);
        assert_int_equal(platform.uart, 0);
    }
    read_tree((struct tree){.stdout_path = "serial0:115200n8", .uarts = {first}}, 0);
    assert_int_equal(platform.uart, 0);
}

static void without_stdout_path_the_first_16550_in_use_is_the_console(void **state)
{
    const struct uart off = {.compatible = "ns16550a", .base = 0x20000000, .status = "disabled"};
    const struct uart dw = {.compatible = "snps,dw-apb-uart", .base = 0x30000000};
    (void)state;
    read_tree((struct tree){.uarts = {off, dw}}, 0);
    assert_int_equal(platform.uart, 0x30000000);
    read_tree((struct tree){.uarts = {off}}, 0);
    assert_int_equal(platform.uart, 0);
}

static void registers_lie_where_the_node_says(void **state)
{
    const struct uart wide = {
        .compatible = "snps,dw-apb-uart", .base = 0x30000000, .shift = 2, .width = 4, .offset = 64};
    (void)state;
    read_tree((struct tree){.stdout_path = "/soc/serial@30000000", .uarts = {wide}}, 0);
    assert_int_equal(platform.uart, 0x30000040);
    assert_int_equal(platform.uart_shift, 2);
    assert_int_equal(platform.uart_width, 4);
    read_tree((struct tree){.uarts = {first}}, 0);
    assert_int_equal(platform.uart_shift, 0);
    assert_int_equal(platform.uart_width, 1);
}

/* ---- Harts ---- */

static void harts_that_lack_what_the_boot_hart_has_are_named(void **state)
{
    (void)state;
    read_tree((struct tree){.isa = {"rv64imac", "rv64imafdch_zicond_sstc",
                                    "rv64imafdchv_sstc_zba_zicond", "rv64imafdch_sstc"}},
              1);
    assert_int_equal(platform.hart_count, 4);
    assert_string_equal(platform.hart_lacks[0], "h");
    assert_null(platform.hart_lacks[1]);
    assert_null(platform.hart_lacks[2]); /* it may have more */
    assert_string_equal(platform.hart_lacks[3], "zicond");
    assert_true(platform.has_fp);
    assert_false(platform.has_v);
    assert_string_equal(platform.extensions[0], "i");
}

static void extensions_are_read_from_the_list_or_the_string(void **state)
{
    (void)state;
    read_tree((struct tree){.isa_list = true,
                            .isa = {"i m a f d c v h zba sstc", "i m a f d c h zba sstc"}},
              0);
    assert_true(platform.has_v);
    assert_null(platform.hart_lacks[0]);
    assert_string_equal(platform.hart_lacks[1], "v");
    read_tree((struct tree){.isa = {"rv64gch_zba"}}, 0);
    static const char *const want[] = {"i", "m", "a", "f", "d", "c", "zba"};
    for (unsigned i = 0; i < 7; i++)
        assert_string_equal(platform.extensions[i], want[i]);
    assert_null(platform.extensions[7]);
}

/* ---- Memory ---- */

static bool is_free(const struct pages *pages, uint64_t address)
{
    for (unsigned i = 0; i < pages->count; i++) {
        if (address - pages->free[i].base < pages->free[i].size)
            return true;
    }
    return false;
}

static void firmware_that_does_not_say_where_it_is_keeps_the_beginning(void **state)
{
    struct pages pages = {0};
    (void)state;
    read_tree((struct tree){0}, 0);
    platform_memory(&platform, 0x80200000, &pages);
    assert_false(is_free(&pages, 0x80000000));
    assert_false(is_free(&pages, 0x801ff000));
    assert_true(is_free(&pages, 0x80200000));
    pages = (struct pages){0};
    platform_memory(&platform, 0x80080000, &pages);
    assert_false(is_free(&pages, 0x8007f000));
    assert_true(is_free(&pages, 0x80080000));
    /* One that does say it keeps no more. */
    pages = (struct pages){0};
    read_tree((struct tree){.reserved = 0x80000000}, 0);
    platform_memory(&platform, 0x80200000, &pages);
    assert_false(is_free(&pages, 0x8003f000));
    assert_true(is_free(&pages, 0x80040000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_console_is_what_stdout_path_names_directly_or_by_an_alias),
        cmocka_unit_test(a_console_of_another_kind_or_disabled_is_left_to_the_firmware),
        cmocka_unit_test(without_stdout_path_the_first_16550_in_use_is_the_console),
        cmocka_unit_test(registers_lie_where_the_node_says),
        cmocka_unit_test(harts_that_lack_what_the_boot_hart_has_are_named),
        cmocka_unit_test(extensions_are_read_from_the_list_or_the_string),
        cmocka_unit_test(firmware_that_does_not_say_where_it_is_keeps_the_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
