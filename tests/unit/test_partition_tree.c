/* A partition's device tree, made from the tree of the board that the installed QEMU describes
 * (dumpdtb), and from one with clocks and shared harts. */
#include "tests/unit/device_test.h"
#include "tests/unit/plan_board.h"

#include "vmm/partition_tree.h"
#include "vmm/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB 0x100000ULL

static uint8_t blob[1 << 21], out[1 << 17]; /* QEMU pads its tree to 1 MiB */
static struct fdt fdt, tree;
static struct plan_board board;
static struct spec_fleet fleet;
static struct plan plan;
static struct plan_problem problem;

static void read_board(long size)
{
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
    assert_int_equal(plan_board_read(&board, &fdt, &problem), 0);
    board.firmware = (struct plan_range){0x80000000, MIB};
    board.bundle = (struct plan_range){0x80000000 + MIB, MIB};
}

/* False: there is no QEMU here. */
static bool read_qemu(const char *machine)
{
    char path[] = "/tmp/partition-tree-XXXXXX", command[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command,
             "qemu-system-riscv64 -M %s,dumpdtb=%s -smp 4 -m 1G -display none >/dev/null 2>&1",
             machine, path);
    int status = system(command);
    fd = open(path, O_RDONLY); /* another file by now */
    ssize_t size = read(fd, blob, sizeof blob);
    close(fd);
    unlink(path);
    if (status != 0 || size <= 0)
        return false;
    read_board(size);
    return true;
}

static struct spec_vm *add_vm(const char *name, unsigned cpus)
{
    struct spec_vm *vm = &fleet.vms[fleet.vm_count++];
    memset(vm, 0, sizeof *vm);
    vm->name = name;
    vm->cpus = cpus;
    vm->memory = 128 * MIB;
    vm->kernel = "kernel";
    vm->cmdline = "console=ttyS0";
    return vm;
}

static void planned(void)
{
    if (plan_make(&plan, &board, &fleet, &problem) != 0 || plan_check(&plan, &board, &problem) != 0)
        fail_msg("%s", problem.text);
}

static void write_tree(unsigned partition)
{
    const struct partition_boot boot = {
        .initrd = 0x84000000, .initrd_size = 0x1234, .seed = "seed", .seed_size = 4};
    long size = partition_tree_write(out, sizeof out, &plan, &board, partition, &boot);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&tree, out, (size_t)size), 0);
}

static bool has(const char *path)
{
    return fdt_path(&tree, path) >= 0;
}

static uint32_t cell_of(const char *path, const char *name, unsigned index)
{
    uint32_t len;
    const uint8_t *at = fdt_prop(&tree, fdt_path(&tree, path), name, &len);
    assert_non_null(at);
    assert_true(4 * (index + 1) <= len);
    at += 4 * (size_t)index;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static unsigned length_of(const char *path, const char *name)
{
    uint32_t len;
    fdt_prop(&tree, fdt_path(&tree, path), name, &len);
    return len;
}

/* dtc's own look at it: every phandle that something refers to is there, unit addresses fit. */
static void dtc_agrees(void)
{
    char path[] = "/tmp/partition-tree-XXXXXX", command[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, out, fdt_total_size(out)) == (ssize_t)fdt_total_size(out));
    close(fd);
    snprintf(command, sizeof command,
             "command -v dtc >/dev/null || exit 0; dtc -q -I dtb -O dts -o /dev/null "
             "-E interrupts_property -E interrupts_extended_property -E clocks_property "
             "-E reg_format -E duplicate_node_names -E explicit_phandles %s",
             path);
    assert_int_equal(system(command), 0);
    unlink(path);
}

static void harts_are_numbered_from_0_and_contexts_stay_the_boards(void **unused)
{
    (void)unused;
    if (!read_qemu("virt"))
        skip();
    fleet.vm_count = 0;
    add_vm("web", 1);
    add_vm("db", 2);
    planned();
    write_tree(1); /* on harts 1 and 2 */
    dtc_agrees();
    assert_int_equal(plan.partitions[1].harts[0], 1);
    assert_true(has("/cpus/cpu@0") && has("/cpus/cpu@1"));
    assert_false(has("/cpus/cpu@2") || has("/cpus/cpu-map"));
    assert_int_equal(cell_of("/cpus/cpu@1", "reg", 0), 1);
    assert_int_equal(cell_of("/cpus", "timebase-frequency", 0), 10000000);
    /* Four harts with two contexts each; of the eight, 3 and 5 are its own. */
    const char *plic = "/soc/plic@c000000";
    assert_int_equal(length_of(plic, "interrupts-extended"), 8 * 8);
    for (unsigned context = 0; context < 8; context++) {
        uint32_t phandle = cell_of(plic, "interrupts-extended", 2 * context);
        uint32_t irq = cell_of(plic, "interrupts-extended", 2 * context + 1);
        assert_int_equal(irq, context == 3 || context == 5 ? 9 : 0xffffffff);
        const char *own = context / 2 == 2 ? "/cpus/cpu@1/interrupt-controller"
                                           : "/cpus/cpu@0/interrupt-controller";
        assert_int_equal(phandle, cell_of(own, "phandle", 0));
    }
}

static void memory_and_chosen_are_its_own(void **unused)
{
    (void)unused;
    if (!read_qemu("virt"))
        skip();
    fleet.vm_count = 0;
    add_vm("web", 1);
    add_vm("db", 1);
    planned();
    write_tree(1);
    uint64_t address, size, reg[2];
    assert_int_equal(fdt_reg(&tree, fdt_path(&tree, "/memory"), 0, &address, &size), 0);
    assert_int_equal(address, plan.partitions[1].ram[0].base);
    assert_int_equal(size, 128 * MIB);
    assert_true(fdt_reg(&tree, fdt_path(&tree, "/memory"), 1, &reg[0], &reg[1]) != 0);
    int chosen = fdt_path(&tree, "/chosen");
    assert_string_equal(fdt_str(&tree, chosen, "bootargs"), "console=ttyS0");
    assert_int_equal(fdt_u64(&tree, chosen, "linux,initrd-start", 0), 0x84000000);
    assert_int_equal(fdt_u64(&tree, chosen, "linux,initrd-end", 0), 0x84001234);
    assert_int_equal(length_of("/chosen", "rng-seed"), 4);
    assert_string_equal(fdt_str(&tree, chosen, "stdout-path"), "/soc/serial@10000000");
    assert_true(has("/soc/serial@10000000"));
    assert_int_equal(length_of("/soc/serial@10000000", "interrupts"), 0);
}

static void devices_that_it_was_not_given_are_not_there(void **unused)
{
    (void)unused;
    if (!read_qemu("virt"))
        skip();
    fleet.vm_count = 0;
    struct spec_vm *web = add_vm("web", 1), *db = add_vm("db", 1);
    web->trusted_dma = true;
    web->passthrough[web->passthrough_count++] = "virtio_mmio@10003000";
    web->passthrough[web->passthrough_count++] = "serial";
    web->passthrough[web->passthrough_count++] = "pci";
    db->passthrough[db->passthrough_count++] = "test@100000";
    planned();
    write_tree(0);
    dtc_agrees();
    assert_true(has("/soc/virtio_mmio@10003000") && has("/soc/pci@30000000"));
    assert_int_equal(cell_of("/soc/serial@10000000", "interrupts", 0), 10);
    assert_true(plan_has_line(&plan.partitions[0], 0x20) &&
                plan_has_line(&plan.partitions[0], 0x23));
    static const char *const others[] = {"/soc/virtio_mmio@10001000",
                                         "/soc/clint@2000000",
                                         "/soc/test@100000",
                                         "/poweroff",
                                         "/reboot",
                                         "/soc/rtc@101000",
                                         "/fw-cfg@10100000",
                                         "/flash@20000000",
                                         "/pmu",
                                         "/platform-bus@4000000"};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(has(others[i]));
    /* Whoever has the test device has what works through it. */
    write_tree(1);
    dtc_agrees();
    assert_true(has("/soc/test@100000") && has("/poweroff") && has("/reboot"));
    assert_false(has("/soc/pci@30000000"));
}

static void plain_firmware_hides_only_what_is_of_m_mode(void **unused)
{
    (void)unused;
    if (!read_qemu("virt"))
        skip();
    assert_int_equal(plan_make(&plan, &board, NULL, &problem), 0);
    write_tree(0);
    dtc_agrees();
    static const char *const all[] = {"/soc/virtio_mmio@10001000",
                                      "/soc/test@100000",
                                      "/poweroff",
                                      "/soc/rtc@101000",
                                      "/fw-cfg@10100000",
                                      "/flash@20000000",
                                      "/soc/pci@30000000",
                                      "/cpus/cpu@3",
                                      "/cpus/cpu-map/cluster0/core3",
                                      "/memory@80000000",
                                      "/reserved-memory/trivisor@80000000",
                                      "/reserved-memory/trivisor@80100000"};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!has(all[i]))
            fail_msg("%s is missing", all[i]);
    }
    assert_false(has("/soc/clint@2000000"));
    for (unsigned context = 0; context < 8; context++)
        assert_int_equal(cell_of("/soc/plic@c000000", "interrupts-extended", 2 * context + 1),
                         context % 2 == 1 ? 9 : 0xffffffff);
    assert_int_equal(length_of("/soc/serial@10000000", "interrupts"), 4);
}

static void windows_are_told_with_their_doorbell(void **unused)
{
    (void)unused;
    read_board(board_write(blob, sizeof blob, 3, 1024 * MIB));
    fleet.vm_count = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct spec_vm *vm = add_vm(i == 0 ? "a" : i == 1 ? "b" : "c", 1);
        if (i != 1) {
            vm->shared_count = 1;
            vm->shared[0] = (struct spec_shared){"mailbox", 65536};
        }
    }
    planned();
    for (unsigned p = 0; p < 3; p++) {
        uint64_t address, size;
        write_tree(p);
        dtc_agrees();
        int firmware = fdt_path(&tree, "/trivisor"), window = fdt_first_child(&tree, firmware);
        assert_int_equal(fdt_u32(&tree, firmware, "partition", 99), p);
        assert_int_equal(window >= 0, p != 1);
        if (window < 0)
            continue;
        assert_int_equal(fdt_reg(&tree, window, 0, &address, &size), 0);
        assert_int_equal(address, plan.windows[0].range.base);
        assert_int_equal(size, 65536);
        assert_string_equal(fdt_str(&tree, window, "label"), "mailbox");
        assert_int_equal(fdt_u32(&tree, window, "peer", 99), 2 - p);
    }
}

static void two_vcpus_on_one_hart_have_names_of_their_own(void **unused)
{
    (void)unused;
    read_board(board_write(blob, sizeof blob, 1, 1024 * MIB));
    fleet.vm_count = 0;
    add_vm("a", 2);
    planned();
    write_tree(0);
    dtc_agrees();
    assert_int_not_equal(cell_of("/cpus/cpu@0/interrupt-controller", "phandle", 0),
                         cell_of("/cpus/cpu@1/interrupt-controller", "phandle", 0));
    assert_int_not_equal(cell_of("/cpus/cpu@0", "phandle", 0),
                         cell_of("/cpus/cpu@1", "phandle", 0));
}

/* A board whose UART has a fixed clock, and an RTC whose clock has registers. */
static long write_clocked(void)
{
    struct fdt_writer w;
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node_at(&w, "memory", 0x80000000);
    fdt_put_str(&w, "device_type", "memory");
    fdt_put_reg64(&w, 0x80000000, 1024 * MIB);
    fdt_end(&w);
    board_harts(&w, 1);
    fdt_node(&w, "crystal");
    fdt_put_u32(&w, "#clock-cells", 0);
    fdt_put_u32(&w, "phandle", 301);
    fdt_end(&w);
    fdt_node(&w, "half");
    fdt_put_u32(&w, "#clock-cells", 1);
    fdt_put_u32(&w, "clocks", 301);
    fdt_put_u32(&w, "phandle", 302);
    fdt_end(&w);
    fdt_node_at(&w, "prci", 0x10070000);
    fdt_put_reg64(&w, 0x10070000, 0x1000);
    fdt_put_u32(&w, "#clock-cells", 1);
    fdt_put_u32(&w, "phandle", 303);
    fdt_end(&w);
    fdt_node_at(&w, "serial", 0x10000000);
    fdt_put_str(&w, "compatible", "ns16550a");
    fdt_put_reg64(&w, 0x10000000, 0x1000);
    fdt_put_cells(&w, "clocks", (const uint32_t[]){302, 7}, 2);
    fdt_end(&w);
    fdt_node_at(&w, "rtc", 0x10010000);
    fdt_put_str(&w, "compatible", "google,goldfish-rtc");
    fdt_put_reg64(&w, 0x10010000, 0x1000);
    fdt_put_cells(&w, "clocks", (const uint32_t[]){303, 1, 301}, 3);
    fdt_end(&w);
    fdt_end(&w);
    return fdt_finish(&w);
}

static void clocks_without_registers_come_along(void **unused)
{
    (void)unused;
    read_board(write_clocked());
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1);
    a->passthrough[a->passthrough_count++] = "serial";
    planned();
    write_tree(0);
    dtc_agrees();
    assert_true(has("/half") && has("/crystal"));
    assert_false(has("/prci") || has("/rtc"));
    assert_int_equal(length_of("/serial@10000000", "clocks"), 8);
    /* One with registers stays the board's, and nothing refers to it. */
    a->passthrough[0] = "rtc";
    planned();
    write_tree(0);
    dtc_agrees();
    assert_false(has("/prci"));
    assert_int_equal(length_of("/rtc@10010000", "clocks"), 0);
}

static void an_aia_board_keeps_its_s_mode_parts(void **unused)
{
    (void)unused;
    if (!read_qemu("virt,aia=aplic-imsic"))
        skip();
    assert_int_equal(board.harts[1].imsic.base, 0x28001000);
    assert_int_equal(board.harts[1].imsic.size, 0x1000);
    assert_int_equal(plan_make(&plan, &board, NULL, &problem), 0);
    write_tree(0);
    dtc_agrees();
    assert_true(has("/soc/imsics@28000000") && has("/soc/aplic@d000000"));
    assert_false(has("/soc/imsics@24000000") || has("/soc/aplic@c000000"));
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1), *b = add_vm("b", 1);
    planned();
    write_tree(1);
    dtc_agrees();
    assert_true(has("/soc/imsics@28000000"));
    assert_false(has("/soc/aplic@d000000"));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(cell_of("/soc/imsics@28000000", "interrupts-extended", 2 * i + 1),
                         i == 1 ? 9 : 0xffffffff);
    struct pmp_entry entries[PMP_ENTRIES];
    int count = plan_pmp(&plan, &board, 1, 1, entries);
    assert_true(pmp_allows(entries, (unsigned)count, 0x28001000, 4, PMP_W));
    assert_false(pmp_allows(entries, (unsigned)count, 0x28000000, 4, PMP_R));
    assert_false(pmp_allows(entries, (unsigned)count, 0xd000000, 4, PMP_R));
    /* Its harts interrupt each other by their files. */
    fleet.vm_count = 0;
    a = add_vm("a", 2), b = add_vm("b", 1);
    planned();
    for (unsigned h = 0; h < 2; h++) {
        count = plan_pmp(&plan, &board, 0, h, entries);
        assert_true(pmp_allows(entries, (unsigned)count, 0x28000000, 4, PMP_W));
        assert_true(pmp_allows(entries, (unsigned)count, 0x28001000, 4, PMP_W));
        assert_false(pmp_allows(entries, (unsigned)count, 0x28002000, 4, PMP_W));
    }
    count = plan_pmp(&plan, &board, 1, 2, entries);
    assert_false(pmp_allows(entries, (unsigned)count, 0x28001000, 4, PMP_W));
    fleet.vm_count = 0;
    a = add_vm("a", 1), b = add_vm("b", 1);
    /* No file is anybody's in turns. */
    a->pins[a->pin_count++] = b->pins[b->pin_count++] = 1;
    assert_int_not_equal(plan_make(&plan, &board, &fleet, &problem), 0);
    assert_non_null(strstr(problem.text, "hart 1 has 1 VCPU already, and registers of AIA"));
    a->pins[0] = 0;
    /* Nobody has wires of an APLIC. */
    b->passthrough[b->passthrough_count++] = "rtc";
    assert_int_not_equal(plan_make(&plan, &board, &fleet, &problem), 0);
    assert_non_null(strstr(problem.text, "rtc@101000 interrupts through an APLIC"));
}

static void a_buffer_that_is_too_small_is_told(void **unused)
{
    (void)unused;
    const struct partition_boot boot = {.seed = NULL};
    read_board(board_write(blob, sizeof blob, 3, 1024 * MIB));
    fleet.vm_count = 0;
    add_vm("a", 1);
    planned();
    long size = partition_tree_write(out, sizeof out, &plan, &board, 0, &boot);
    assert_true(size > 0);
    for (long less = 0; less < size; less += 13)
        assert_int_equal(partition_tree_write(out, (size_t)less, &plan, &board, 0, &boot),
                         -E_NOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harts_are_numbered_from_0_and_contexts_stay_the_boards),
        cmocka_unit_test(memory_and_chosen_are_its_own),
        cmocka_unit_test(devices_that_it_was_not_given_are_not_there),
        cmocka_unit_test(plain_firmware_hides_only_what_is_of_m_mode),
        cmocka_unit_test(windows_are_told_with_their_doorbell),
        cmocka_unit_test(two_vcpus_on_one_hart_have_names_of_their_own),
        cmocka_unit_test(clocks_without_registers_come_along),
        cmocka_unit_test(an_aia_board_keeps_its_s_mode_parts),
        cmocka_unit_test(a_buffer_that_is_too_small_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
