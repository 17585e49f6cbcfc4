/* The device tree reader and writer, against each other and against dtc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/fdt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t blob[4096];

/* A tree with what a board has in it. Returns its size. */
static long write_example(void *buf, size_t capacity)
{
    static const char *const compatible[] = {"ns16550a", "vendor,uart"};
    static const uint32_t ranges[] = {1, 2, 0xdeadbeef};
    struct fdt_writer w;
    fdt_begin(&w, buf, capacity);
    fdt_reserve(&w, 0x80000000, 0x40000);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_put_str(&w, "model", "example");
    fdt_node_at(&w, "memory", 0x80000000);
    fdt_put_str(&w, "device_type", "memory");
    fdt_put_reg64(&w, 0x80000000, 0x120000000);
    fdt_end(&w);
    fdt_node(&w, "soc");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    fdt_put_empty(&w, "ranges");
    fdt_node_at(&w, "serial", 0x10000000);
    fdt_put_strs(&w, "compatible", compatible, 2);
    fdt_put_cells(&w, "reg", (const uint32_t[]){0x10000000, 0x10000100}, 2);
    fdt_put_cells(&w, "cells", ranges, 3);
    fdt_put_u64(&w, "big", 0x1122334455667788);
    fdt_put_u32(&w, "phandle", 7);
    fdt_put(&w, "bytes", "\x01\x02\x03", 3);
    fdt_end(&w);
    fdt_node_at(&w, "serial", 0);
    fdt_put_str(&w, "compatible", "vendor,uart");
    fdt_end(&w);
    fdt_end(&w);
    fdt_end(&w);
    return fdt_finish(&w);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct fdt fdt;
    uint32_t len;
    uint64_t address, size;
    long total = write_example(blob, sizeof(blob));
    assert_true(total > 0);
    assert_int_equal(fdt_total_size(blob), total);
    assert_int_equal(fdt_open(&fdt, blob, sizeof(blob)), 0);

    int memory = fdt_child(&fdt, fdt_root(&fdt), "memory");
    assert_true(memory > 0);
    assert_string_equal(fdt_name(&fdt, memory), "memory@80000000");
    assert_int_equal(fdt_reg(&fdt, memory, 0, &address, &size), 0);
    assert_true(address == 0x80000000 && size == 0x120000000);
    assert_int_equal(fdt_reg(&fdt, memory, 1, &address, &size), -E_NOENT);

    int serial = fdt_path(&fdt, "/soc/serial@10000000");
    assert_true(serial > memory);
    assert_int_equal(fdt_u32(&fdt, serial, "cells", 0), 1);
    assert_int_equal(fdt_u32(&fdt, serial, "absent", 99), 99);
    assert_int_equal(fdt_u32(&fdt, serial, "bytes", 99), 99);
    assert_true(fdt_u64(&fdt, serial, "big", 0) == 0x1122334455667788);
    assert_int_equal(fdt_u64(&fdt, serial, "phandle", 0), 7);
    assert_string_equal(fdt_str_at(&fdt, serial, "compatible", 0), "ns16550a");
    assert_string_equal(fdt_str_at(&fdt, serial, "compatible", 1), "vendor,uart");
    assert_null(fdt_str_at(&fdt, serial, "compatible", 2));
    assert_null(fdt_str(&fdt, serial, "bytes"));
    assert_memory_equal(fdt_prop(&fdt, serial, "bytes", &len), "\x01\x02\x03", 3);
    assert_int_equal(len, 3);
    assert_int_equal(fdt_reg(&fdt, serial, 1, &address, &size), 0);
    assert_true(address == 0x10000100 && size == 0);
    assert_non_null(fdt_prop(&fdt, fdt_path(&fdt, "/soc"), "ranges", &len));
    assert_int_equal(len, 0);
}

static void nodes_are_found_by_every_road(void **state)
{
    (void)state;
    struct fdt fdt;
    write_example(blob, sizeof(blob));
    assert_int_equal(fdt_open(&fdt, blob, sizeof(blob)), 0);
    int root = fdt_root(&fdt);
    int memory = fdt_first_child(&fdt, root);
    int soc = fdt_next_sibling(&fdt, memory);
    int first = fdt_first_child(&fdt, soc);
    int second = fdt_next_sibling(&fdt, first);
    assert_int_equal(root, 0);
    assert_string_equal(fdt_name(&fdt, root), "");
    assert_string_equal(fdt_name(&fdt, soc), "soc");
    assert_string_equal(fdt_name(&fdt, second), "serial@0");
    assert_int_equal(fdt_next_sibling(&fdt, second), -E_NOENT);
    assert_int_equal(fdt_next_sibling(&fdt, root), -E_NOENT);
    assert_int_equal(fdt_first_child(&fdt, first), -E_NOENT);

    assert_int_equal(fdt_path(&fdt, "/"), root);
    assert_int_equal(fdt_path(&fdt, "/soc/serial@0"), second);
    assert_int_equal(fdt_path(&fdt, "/soc/serial"), first);
    assert_int_equal(fdt_path(&fdt, "/soc/seria"), -E_NOENT);
    assert_int_equal(fdt_path(&fdt, "/soc/serial@1"), -E_NOENT);
    assert_int_equal(fdt_path(&fdt, "soc"), -E_NOENT);
    assert_int_equal(fdt_child(&fdt, -E_NOENT, "soc"), -E_NOENT);
    assert_null(fdt_prop(&fdt, -E_NOENT, "reg", NULL));

    assert_int_equal(fdt_compatible_next(&fdt, -1, "ns16550a"), first);
    assert_int_equal(fdt_compatible_next(&fdt, -1, "vendor,uart"), first);
    assert_int_equal(fdt_compatible_next(&fdt, first, "vendor,uart"), second);
    assert_int_equal(fdt_compatible_next(&fdt, second, "vendor,uart"), -E_NOENT);
    assert_int_equal(fdt_compatible_next(&fdt, -1, "vendor"), -E_NOENT);
    assert_int_equal(fdt_by_phandle(&fdt, 7), first);
    assert_int_equal(fdt_by_phandle(&fdt, 8), -E_NOENT);
    assert_int_equal(fdt_by_phandle(&fdt, 0), -E_NOENT);

    assert_int_equal(fdt_parent(&fdt, second), soc);
    assert_int_equal(fdt_parent(&fdt, soc), root);
    assert_int_equal(fdt_parent(&fdt, root), -E_NOENT);
    assert_int_equal(fdt_parent(&fdt, second + 4), -E_NOENT);
}

static void properties_come_in_the_order_written(void **state)
{
    (void)state;
    static const char *const names[] = {"compatible", "reg", "cells", "big", "phandle", "bytes"};
    struct fdt fdt;
    const char *name;
    const void *value;
    uint32_t len, cursor = 0;
    unsigned count = 0;
    write_example(blob, sizeof(blob));
    assert_int_equal(fdt_open(&fdt, blob, sizeof(blob)), 0);
    int serial = fdt_by_phandle(&fdt, 7);
    while (fdt_next_prop(&fdt, serial, &cursor, &name, &value, &len))
        assert_string_equal(name, names[count++]);
    assert_int_equal(count, 6);
    assert_false(fdt_next_prop(&fdt, serial, &cursor, &name, &value, &len));
}

static void any_number_of_names_is_written_and_repeated_ones_share(void **state)
{
    (void)state;
    enum { NAMES = 3 * FDT_NAMES };
    struct fdt_writer w;
    struct fdt fdt;
    char name[8];

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%u", i);
        fdt_put_u32(&w, name, i);
    }
    fdt_end(&w);
    assert_true(fdt_finish(&w) > 0);
    assert_int_equal(fdt_open(&fdt, blob, sizeof(blob)), 0);
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(fdt_u32(&fdt, fdt_root(&fdt), name, UINT32_MAX), i);
    }

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    for (uint32_t i = 0; i < FDT_NAMES / 2; i++) {
        snprintf(name, sizeof name, "c%u", i);
        fdt_node(&w, name);
        fdt_put_empty(&w, "first");
        fdt_put_empty(&w, "second");
        fdt_end(&w);
    }
    fdt_end(&w);
    assert_true(fdt_finish(&w) > 0);
    assert_int_equal(fdt_open(&fdt, blob, sizeof(blob)), 0);
    assert_int_equal(fdt.strings_size, sizeof "first" + sizeof "second");
}

static void a_buffer_too_small_by_any_amount_is_an_error(void **state)
{
    (void)state;
    uint8_t small[4096];
    long total = write_example(blob, sizeof(blob));
    for (size_t capacity = 0; capacity < (size_t)total; capacity++) {
        memset(small, 0xa5, sizeof(small));
        assert_int_equal(write_example(small, capacity), -E_NOSPC);
        for (size_t i = capacity; i < sizeof(small); i++)
            assert_int_equal(small[i], 0xa5);
    }
    assert_int_equal(write_example(small, (size_t)total), total);
    assert_memory_equal(small, blob, (size_t)total);
}

static void misuse_of_the_writer_is_an_error(void **state)
{
    (void)state;
    struct fdt_writer w;
    fdt_begin(&w, blob, sizeof(blob));
    assert_int_equal(fdt_finish(&w), -E_INVAL); /* no root */

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    assert_int_equal(fdt_finish(&w), -E_INVAL); /* not ended */

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    fdt_end(&w);
    fdt_end(&w);
    assert_int_equal(fdt_finish(&w), -E_INVAL); /* ended twice */

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    fdt_end(&w);
    fdt_node(&w, "");
    fdt_end(&w);
    assert_int_equal(fdt_finish(&w), -E_INVAL); /* two roots */

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    fdt_node(&w, "a");
    fdt_end(&w);
    fdt_put_u32(&w, "late", 1);
    fdt_end(&w);
    assert_int_equal(fdt_finish(&w), -E_INVAL); /* property behind a child */

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    fdt_reserve(&w, 1, 1);
    fdt_end(&w);
    assert_int_equal(fdt_finish(&w), -E_INVAL);

    fdt_begin(&w, blob, sizeof(blob));
    fdt_node(&w, "");
    for (unsigned i = 1; i <= FDT_DEPTH_MAX; i++)
        fdt_node(&w, "deep");
    for (unsigned i = 0; i <= FDT_DEPTH_MAX; i++)
        fdt_end(&w);
    assert_int_equal(fdt_finish(&w), -E_INVAL);
}

static void put_be32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Header fields by Devicetree Specification v0.4, 5.2. */
static void a_damaged_header_is_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned at;
        uint32_t value;
    } damages[] = {
        {0, 0xd00dfeec},  {4, 39},          {4, 0xffffffff},  {8, 0},   {8, 0x7ffffffc}, {8, 42},
        {12, 0xfffffff0}, {16, 4},          {16, 0xfffffff8}, {16, 44}, {20, 16},        {24, 18},
        {32, 0x7fffffff}, {36, 0x7fffffff}, {36, 0},          {36, 8},
    };
    struct fdt fdt;
    long total = write_example(blob, sizeof(blob));
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        uint8_t damaged[4096];
        memcpy(damaged, blob, sizeof(damaged));
        put_be32(damaged + damages[i].at, damages[i].value);
        if (fdt_open(&fdt, damaged, (size_t)total) != -E_INVAL)
            fail_msg("damage %zu was accepted", i);
    }
    for (size_t size = 0; size < (size_t)total; size++)
        assert_int_equal(fdt_open(&fdt, blob, size), -E_INVAL);
    assert_int_equal(fdt_total_size("\0\0\0\0\0\0\0\0"), 0);
}

/* A blob whose structure block is `words`, and whose strings are "a". */
static int open_structure(const uint32_t *words, size_t count)
{
    struct fdt fdt;
    uint8_t bytes[512] = {0};
    size_t strings = 56 + 4 * count;
    put_be32(bytes, 0xd00dfeed);
    put_be32(bytes + 4, (uint32_t)strings + 2);
    put_be32(bytes + 8, 56);
    put_be32(bytes + 12, (uint32_t)strings);
    put_be32(bytes + 16, 40);
    put_be32(bytes + 20, 17);
    put_be32(bytes + 24, 16);
    put_be32(bytes + 32, 2);
    put_be32(bytes + 36, (uint32_t)(4 * count));
    for (size_t i = 0; i < count; i++)
        put_be32(bytes + 56 + 4 * i, words[i]);
    bytes[strings] = 'a';
    return fdt_open(&fdt, bytes, sizeof(bytes));
}
#define OPEN(...)                                                                                  \
    open_structure((const uint32_t[]){__VA_ARGS__},                                                \
                   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void a_malformed_structure_is_refused(void **state)
{
    (void)state;
    assert_int_equal(OPEN(1, 0, 2, 9), 0);
    assert_int_equal(OPEN(1, 0, 4, 3, 4, 0, 0x12345678, 4, 1, 0x62000000, 2, 4, 2, 4, 9), 0);
    assert_int_equal(OPEN(9), -E_INVAL);                   /* no root */
    assert_int_equal(OPEN(1, 0, 9), -E_INVAL);             /* root not ended */
    assert_int_equal(OPEN(1, 0, 2, 2, 9), -E_INVAL);       /* ended twice */
    assert_int_equal(OPEN(1, 0, 2), -E_INVAL);             /* no end */
    assert_int_equal(OPEN(1, 0, 2, 1, 0, 2, 9), -E_INVAL); /* two roots */
    assert_int_equal(OPEN(1, 0, 5, 2, 9), -E_INVAL);       /* unknown token */
    assert_int_equal(OPEN(3, 0, 0, 1, 0, 2, 9), -E_INVAL); /* property outside of nodes */
    assert_int_equal(OPEN(1, 0, 3, 0, 2, 2, 9), -E_INVAL); /* name outside of the strings */
    assert_int_equal(OPEN(1, 0, 3, 0, 0xffffffff, 2, 9), -E_INVAL);
    assert_int_equal(OPEN(1, 0, 3, 9, 0, 2, 9), -E_INVAL); /* value outside of the block */
    assert_int_equal(OPEN(1, 0, 3, 0xffffffff, 0, 2, 9), -E_INVAL);
    assert_int_equal(OPEN(1, 0, 3, 0xfffffffe, 0, 2, 9), -E_INVAL);
    assert_int_equal(OPEN(1, 0x61616161), -E_INVAL); /* name without an end */
    assert_int_equal(OPEN(1, 0, 1, 0x62000000, 2, 3, 0, 0, 2, 9), -E_INVAL); /* late property */

    uint32_t deep[FDT_DEPTH_MAX * 3 + 4] = {0};
    for (unsigned depth = FDT_DEPTH_MAX; depth <= FDT_DEPTH_MAX + 1; depth++) {
        for (unsigned i = 0; i < depth; i++) {
            deep[2 * i] = 1;
            deep[2 * depth + i] = 2;
        }
        deep[3 * depth] = 9;
        assert_int_equal(open_structure(deep, 3 * depth + 1),
                         depth == FDT_DEPTH_MAX ? 0 : -E_INVAL);
    }
}

/* ---- dtc as a witness ---- */

static char folder[] = "/tmp/test_fdt.XXXXXX";

static void in_folder(char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[128];
    in_folder(path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static size_t read_file(const char *name, void *bytes, size_t capacity)
{
    char path[128];
    in_folder(path, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, capacity, file);
    fclose(file);
    unlink(path);
    return size;
}

static int setup_dtc(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int teardown_dtc(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void need_dtc(void)
{
    if (system("dtc --version >/dev/null 2>&1") != 0) {
        print_message(
            "dtc (package device-tree-compiler) is not installed: not compared with it\n");
        skip();
    }
}

static void dtc_reads_what_we_write(void **state)
{
    (void)state;
    static const char expected[] = "/dts-v1/;\n"
                                   "\n"
                                   "/memreserve/\t0x0000000080000000 0x0000000000040000;\n"
                                   "/ {\n"
                                   "\t#address-cells = <0x02>;\n"
                                   "\t#size-cells = <0x02>;\n"
                                   "\tmodel = \"example\";\n"
                                   "\n"
                                   "\tmemory@80000000 {\n"
                                   "\t\tdevice_type = \"memory\";\n"
                                   "\t\treg = <0x00 0x80000000 0x01 0x20000000>;\n"
                                   "\t};\n"
                                   "\n"
                                   "\tsoc {\n"
                                   "\t\t#address-cells = <0x01>;\n"
                                   "\t\t#size-cells = <0x00>;\n"
                                   "\t\tranges;\n"
                                   "\n"
                                   "\t\tserial@10000000 {\n"
                                   "\t\t\tcompatible = \"ns16550a\\0vendor,uart\";\n"
                                   "\t\t\treg = <0x10000000 0x10000100>;\n"
                                   "\t\t\tcells = <0x01 0x02 0xdeadbeef>;\n"
                                   "\t\t\tbig = <0x11223344 0x55667788>;\n"
                                   "\t\t\tphandle = <0x07>;\n"
                                   "\t\t\tbytes = [01 02 03];\n"
                                   "\t\t};\n"
                                   "\n"
                                   "\t\tserial@0 {\n"
                                   "\t\t\tcompatible = \"vendor,uart\";\n"
                                   "\t\t};\n"
                                   "\t};\n"
                                   "};\n";
    need_dtc();
    long total = write_example(blob, sizeof(blob));
    write_file("ours.dtb", blob, (size_t)total);
    char command[512], text[4096] = "";
    snprintf(command, sizeof(command),
             "dtc -q -q -I dtb -O dts -o %s/ours.dts %s/ours.dtb 2>&1 && rm %s/ours.dtb", folder,
             folder, folder);
    assert_int_equal(system(command), 0);
    read_file("ours.dts", text, sizeof(text) - 1);
    assert_string_equal(text, expected);
}

static void we_read_what_dtc_writes(void **state)
{
    (void)state;
    static const char source[] =
        "/dts-v1/;\n"
        "/memreserve/ 0x1000 0x2000;\n"
        "/ {\n"
        "  #address-cells = <1>; #size-cells = <1>;\n"
        "  cpus { #address-cells = <1>; #size-cells = <0>;\n"
        "    cpu0: cpu@0 { reg = <0>; compatible = \"riscv\"; };\n"
        "    cpu@1 { reg = <1>; compatible = \"x\", \"riscv\"; };\n"
        "  };\n"
        "  ram: memory@80000000 { reg = <0x80000000 0x100 0x90000000 0x200>; };\n"
        "  chosen { memory = <&ram>; boot = <&cpu0>; };\n"
        "};\n";
    need_dtc();
    write_file("theirs.dts", source, strlen(source));
    char command[512];
    snprintf(
        command, sizeof(command),
        "dtc -q -q -p 100 -I dts -O dtb -o %s/theirs.dtb %s/theirs.dts 2>&1 && rm %s/theirs.dts",
        folder, folder, folder);
    assert_int_equal(system(command), 0);
    size_t size = read_file("theirs.dtb", blob, sizeof(blob));

    struct fdt fdt;
    uint64_t address, len;
    assert_int_equal(fdt_open(&fdt, blob, size), 0);
    int cpu0 = fdt_compatible_next(&fdt, -1, "riscv");
    int cpu1 = fdt_compatible_next(&fdt, cpu0, "riscv");
    assert_string_equal(fdt_name(&fdt, cpu0), "cpu@0");
    assert_string_equal(fdt_name(&fdt, cpu1), "cpu@1");
    assert_int_equal(fdt_reg(&fdt, cpu1, 0, &address, &len), 0);
    assert_true(address == 1 && len == 0);
    int chosen = fdt_path(&fdt, "/chosen");
    int memory = fdt_by_phandle(&fdt, fdt_u32(&fdt, chosen, "memory", 0));
    assert_int_equal(memory, fdt_child(&fdt, 0, "memory"));
    assert_int_equal(fdt_by_phandle(&fdt, fdt_u32(&fdt, chosen, "boot", 0)), cpu0);
    assert_int_equal(fdt_reg(&fdt, memory, 1, &address, &len), 0);
    assert_true(address == 0x90000000 && len == 0x200);
}

/* A property without the parent's cells, or cells that no address of 64 bits has, is no "reg". */
static void reg_that_cannot_be_read_is_not_there(void **state)
{
    static const struct {
        uint32_t address_cells, size_cells;
        bool present;
        int want;
    } cases[] = {
        {2, 1, true, 0},        {1, 0, true, 0},
        {2, 2, true, 0},        {2, 1, false, -E_NOENT},
        {0, 1, true, -E_NOENT}, {3, 1, true, -E_NOENT},
        {1, 3, true, -E_NOENT}, {1, 0xffffffff, true, -E_NOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fdt_writer w;
        struct fdt fdt;
        uint64_t address = 1, size = 1;
        fdt_begin(&w, blob, sizeof(blob));
        fdt_node(&w, "");
        fdt_put_u32(&w, "#address-cells", cases[i].address_cells);
        fdt_put_u32(&w, "#size-cells", cases[i].size_cells);
        fdt_node(&w, "device");
        if (cases[i].present)
            fdt_put_cells(&w, "reg", (const uint32_t[]){0, 0, 0, 0, 0, 0}, 6);
        fdt_end(&w);
        fdt_end(&w);
        assert_int_equal(fdt_open(&fdt, blob, (size_t)fdt_finish(&w)), 0);
        assert_int_equal(fdt_reg(&fdt, fdt_child(&fdt, 0, "device"), 0, &address, &size),
                         cases[i].want);
    }
    /* The root has no parent to say how many cells. */
    struct fdt fdt;
    uint64_t address, size;
    assert_int_equal(fdt_open(&fdt, blob, sizeof(blob)), 0);
    assert_int_equal(fdt_reg(&fdt, 0, 0, &address, &size), -E_NOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(reg_that_cannot_be_read_is_not_there),
        cmocka_unit_test(nodes_are_found_by_every_road),
        cmocka_unit_test(properties_come_in_the_order_written),
        cmocka_unit_test(any_number_of_names_is_written_and_repeated_ones_share),
        cmocka_unit_test(a_buffer_too_small_by_any_amount_is_an_error),
        cmocka_unit_test(misuse_of_the_writer_is_an_error),
        cmocka_unit_test(a_damaged_header_is_refused),
        cmocka_unit_test(a_malformed_structure_is_refused),
        cmocka_unit_test(dtc_reads_what_we_write),
        cmocka_unit_test(we_read_what_dtc_writes),
    };
    return cmocka_run_group_tests(tests, setup_dtc, teardown_dtc);
}
