/* How a board is divided, and that nothing is reachable that should not be. Addresses are those
 * that the board's tree says (tests/unit/plan_board.h). */
#include "tests/unit/device_test.h"
#include "tests/unit/plan_board.h"

#include "vmm/plan.h"
#include "vmm/plan_check.h"

#include <stdio.h>
#include <string.h>

#define MIB        (1ULL << 20)
#define GIB        (1ULL << 30)
#define BASE       0x80000000ULL
#define FIRMWARE   (1 * MIB)
#define BUNDLE     (9 * MIB)
#define ALL_RIGHTS (PMP_R | PMP_W | PMP_X)

static uint8_t blob[65536];
static struct fdt fdt;
static struct plan_board board;
static struct spec_fleet fleet;
static struct plan plan;
static struct plan_problem problem;

static void make_board(unsigned harts, uint64_t memory)
{
    long size = board_write(blob, sizeof blob, harts, memory);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
    assert_int_equal(plan_board_read(&board, &fdt, &problem), 0);
    board.firmware = (struct plan_range){BASE, FIRMWARE};
    board.bundle = (struct plan_range){BASE + FIRMWARE, BUNDLE};
}

static struct spec_vm *add_vm(const char *name, unsigned cpus, uint64_t memory)
{
    struct spec_vm *vm = &fleet.vms[fleet.vm_count++];
    memset(vm, 0, sizeof *vm);
    vm->name = name;
    vm->cpus = cpus;
    vm->memory = memory;
    vm->kernel = "kernel";
    return vm;
}

static void pass(struct spec_vm *vm, const char *device)
{
    vm->passthrough[vm->passthrough_count++] = device;
}

static void pin(struct spec_vm *vm, unsigned hart)
{
    vm->pins[vm->pin_count++] = hart;
}

static void planned(void)
{
    struct spec_problem wrong;
    assert_int_equal(spec_check(&fleet, &wrong), 0);
    int error = plan_make(&plan, &board, &fleet, &problem);
    if (error != 0)
        fail_msg("%s", problem.text);
    error = plan_check(&plan, &board, &problem);
    if (error != 0)
        fail_msg("%s", problem.text);
}

static void refused(const char *words)
{
    assert_int_not_equal(plan_make(&plan, &board, &fleet, &problem), 0);
    if (strstr(problem.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", problem.text, words);
}

static bool reaches(unsigned p, unsigned hart, uint64_t address, uint8_t rights)
{
    struct pmp_entry entries[PMP_ENTRIES];
    int count = plan_pmp(&plan, &board, p, hart, entries);
    assert_true(count >= 0);
    return pmp_allows(entries, (unsigned)count, address, 1, rights);
}

/* ---- The board ---- */

static void the_board_is_read(void **unused)
{
    (void)unused;
    make_board(3, GIB);
    assert_int_equal(board.hart_count, 3);
    for (unsigned h = 0; h < 3; h++) {
        assert_int_equal(board.harts[h].id, BOARD_FIRST_HART + h);
        assert_int_equal(board.harts[h].plic_context, 2 * h + 1);
    }
    /* Memory around what is reserved. */
    assert_int_equal(board.memory_count, 2);
    assert_int_equal(board.memory[0].base, BASE);
    assert_int_equal(board.memory[0].size, GIB - MIB);
    assert_int_equal(board.memory[1].base, BASE + GIB - MIB + 65536);
    assert_int_equal(board.memory[1].size, MIB - 65536);
    assert_int_equal(board.plic.base, 0xc000000);
    assert_int_equal(board.plic.size, 0x600000);
    assert_int_equal(board.plic_lines, 96);
    assert_int_equal(board.machine_count, 1);
    assert_int_equal(board.machine[0].base, 0x2000000);
    assert_int_equal(plan_claim_page(&board, 3).base, 0xc203000);
    assert_int_equal(board.uart, plan_board_device(&board, "serial"));
    assert_true(board.uart >= 0);
    int disk = plan_board_device(&board, "virtio_mmio@10003000");
    assert_true(disk >= 0);
    assert_true(board.devices[disk].master);
    assert_int_equal(board.devices[disk].line_count, 1);
    assert_int_equal(board.devices[disk].lines[0], 3);
    assert_int_equal(board.devices[disk].regs[0].base, 0x10003000);
    assert_int_equal(plan_board_device(&board, "/soc/virtio_mmio@10003000"), disk);
    assert_false(board.devices[plan_board_device(&board, "rtc")].master);
    assert_int_equal(plan_board_device(&board, "plic"), -1);
    assert_int_equal(plan_board_device(&board, "clint"), -1);
    assert_int_equal(plan_board_device(&board, "memory"), -1);
}

static void addresses_go_through_the_ranges_of_their_bus(void **unused)
{
    (void)unused;
    struct fdt_writer w;
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node_at(&w, "memory", BASE);
    fdt_put_str(&w, "device_type", "memory");
    fdt_put_reg64(&w, BASE, GIB);
    fdt_end(&w);
    board_harts(&w, 1);
    fdt_node_at(&w, "bus", 0x4000000);
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 1);
    fdt_put_cells(&w, "ranges", (const uint32_t[]){0x1000, 0, 0x4000000, 0x10000}, 4);
    fdt_node_at(&w, "uart", 0x3000);
    fdt_put_str(&w, "compatible", "ns16550a");
    fdt_put_cells(&w, "reg", (const uint32_t[]){0x3000, 0x100}, 2);
    fdt_end(&w);
    fdt_node_at(&w, "beyond", 0x20000);
    fdt_put_cells(&w, "reg", (const uint32_t[]){0x20000, 0x100}, 2);
    fdt_end(&w);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
    assert_int_equal(plan_board_read(&board, &fdt, &problem), 0);
    assert_int_equal(board.device_count, 1);
    assert_int_equal(board.devices[0].regs[0].base, 0x4002000);
}

static void a_tree_without_harts_or_memory_is_no_board(void **unused)
{
    (void)unused;
    struct fdt_writer w;
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
    assert_int_equal(plan_board_read(&board, &fdt, &problem), -E_INVAL);
    assert_non_null(strstr(problem.text, "no harts"));
}

/* ---- Harts ---- */

static void vcpus_have_harts_of_their_own_while_there_are_some(void **unused)
{
    (void)unused;
    make_board(4, GIB);
    fleet.vm_count = 0;
    add_vm("a", 2, 64 * MIB);
    pin(add_vm("b", 1, 64 * MIB), BOARD_FIRST_HART);
    add_vm("c", 1, 64 * MIB);
    planned();
    /* b said which; the others take what is left. */
    assert_int_equal(plan.partitions[1].harts[0], 0);
    assert_int_equal(plan.partitions[0].harts[0], 1);
    assert_int_equal(plan.partitions[0].harts[1], 2);
    assert_int_equal(plan.partitions[2].harts[0], 3);
    for (unsigned h = 0; h < 4; h++)
        assert_false(plan_hart_shared(&plan, h));
}

static void more_vcpus_than_harts_share_them_by_weight(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    add_vm("a", 2, 64 * MIB);
    add_vm("b", 1, 64 * MIB)->weight = 300;
    planned();
    assert_true(plan_hart_shared(&plan, 0));
    assert_false(plan_hart_shared(&plan, 1));
    assert_int_equal(plan.harts[0].sharers[0].weight, 100);
    assert_int_equal(plan.harts[0].sharers[1].partition, 1);
    assert_int_equal(plan.harts[0].sharers[1].weight, 300);
    /* The claim page would be the other's as well. */
    assert_false(reaches(0, 0, 0xc201004, PMP_R));
    assert_true(reaches(0, 1, 0xc203004, PMP_R));
}

static void a_hart_that_is_not_there_or_overfull_is_refused(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    pin(add_vm("a", 1, 64 * MIB), 99);
    refused("partition 0 (a): pin[0]: the board has no hart 99");
    fleet.vm_count = 0;
    pin(add_vm("a", 9, 64 * MIB), BOARD_FIRST_HART);
    refused("hart 4 has 8 VCPUs already");
    /* What is behind siselect would be the other's as well. */
    board.aia = true;
    fleet.vm_count = 0;
    add_vm("a", 2, 64 * MIB);
    planned();
    add_vm("b", 1, 64 * MIB);
    refused("partition 1 (b): hart 4 has 1 VCPU already, and registers of AIA");
}

/* ---- Memory ---- */

static void memory_lies_where_few_entries_say_it(void **unused)
{
    (void)unused;
    make_board(3, 2 * GIB);
    fleet.vm_count = 0;
    add_vm("small", 1, 64 * MIB);
    add_vm("large", 1, 512 * MIB);
    add_vm("odd", 1, 100 * MIB);
    planned();
    assert_int_equal(plan.partitions[1].ram[0].base, BASE + 512 * MIB);
    for (unsigned p = 0; p < 3; p++) {
        struct plan_range ram = plan.partitions[p].ram[0];
        assert_int_equal(ram.size, fleet.vms[p].memory);
        assert_int_equal(ram.base % (2 * MIB), 0);
        assert_true(ram.base >= BASE + FIRMWARE + BUNDLE);
        assert_true(ram.base + ram.size <= BASE + 2 * GIB - MIB);
        assert_true(reaches(p, p, ram.base, ALL_RIGHTS));
        assert_true(reaches(p, p, ram.base + ram.size - 1, ALL_RIGHTS));
        assert_false(reaches(p, p, ram.base + ram.size, PMP_R));
        assert_false(reaches(p, p, ram.base - 1, PMP_R));
    }
    assert_int_equal(plan.partitions[0].ram[0].base % (64 * MIB), 0);
}

static void a_tight_fleet_still_fits(void **unused)
{
    (void)unused;
    /* 512 MiB: natural places for 256 and 128 would leave none for 100. */
    make_board(3, 512 * MIB);
    fleet.vm_count = 0;
    add_vm("a", 1, 256 * MIB);
    add_vm("b", 1, 128 * MIB);
    add_vm("c", 1, 114 * MIB);
    planned();
    fleet.vms[2].memory = 124 * MIB;
    refused("partition 2 (c): 124M of memory do not fit; the largest free piece has 1");
}

static void a_fixed_address_is_kept_or_refused(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1, 96 * MIB), *b = add_vm("b", 1, 512 * MIB);
    a->placed = true;
    a->address = 0x88000000;
    planned();
    assert_int_equal(plan.partitions[0].ram[0].base, 0x88000000);
    b->placed = true;
    b->address = 0x88000000;
    refused("partition 1 (b): 512M at 0x88000000 is not all free memory");
    b->address = BASE;
    refused("512M at 0x80000000 is not all free");
    b->address = 0x40000000;
    refused("512M at 0x40000000 is not all free");
}

static void windows_are_reached_by_their_two_ends_alone(void **unused)
{
    (void)unused;
    make_board(3, GIB);
    fleet.vm_count = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct spec_vm *vm = add_vm(i == 0 ? "a" : i == 1 ? "b" : "c", 1, 64 * MIB);
        if (i < 2) {
            vm->shared_count = 2;
            vm->shared[0] = (struct spec_shared){"mailbox", 65536};
            vm->shared[1] = (struct spec_shared){"ring", 4096};
        }
    }
    planned();
    assert_int_equal(plan.window_count, 2);
    struct plan_range window = plan.windows[0].range;
    assert_int_equal(window.size, 65536);
    for (unsigned p = 0; p < 3; p++) {
        assert_int_equal(reaches(p, p, window.base, PMP_R | PMP_W), p < 2);
        assert_int_equal(reaches(p, p, window.base + 65535, PMP_R | PMP_W), p < 2);
        assert_false(reaches(p, p, window.base, PMP_X));
    }
    assert_int_equal(plan_window_of(&plan, 1, "ring"), 1);
    assert_int_equal(plan_window_of(&plan, 2, "ring"), -1);
}

/* ---- Devices ---- */

static void a_partition_reaches_its_devices_and_no_other(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1, 64 * MIB), *b = add_vm("b", 1, 64 * MIB);
    a->trusted_dma = b->trusted_dma = true;
    pass(a, "serial");
    pass(a, "virtio_mmio@10001000");
    pass(b, "/soc/virtio_mmio@10002000");
    planned();
    assert_true(reaches(0, 0, 0x10000000, PMP_R | PMP_W));
    assert_true(reaches(0, 0, 0x10001fff, PMP_R | PMP_W));
    assert_false(reaches(0, 0, 0x10001fff, PMP_X));
    assert_false(reaches(0, 0, 0x10002000, PMP_R));
    assert_true(reaches(1, 1, 0x10002000, PMP_R | PMP_W));
    assert_false(reaches(1, 1, 0x10001fff, PMP_R));
    assert_false(reaches(1, 1, 0x10003000, PMP_R));
    /* Side by side they are one range: 8 KiB at a multiple of 8 KiB. RAM and the claim page. */
    struct pmp_entry entries[PMP_ENTRIES];
    assert_int_equal(plan_pmp(&plan, &board, 0, 0, entries), 3);
    assert_true(plan_has_line(&plan.partitions[0], 10));
    assert_true(plan_has_line(&plan.partitions[0], 1));
    assert_false(plan_has_line(&plan.partitions[0], 2));
    assert_true(plan.partitions[0].has_uart);
    assert_false(plan.partitions[1].has_uart);
    /* Nobody: CLINT, firmware, bundle, priorities and enables, other contexts. */
    for (unsigned p = 0; p < 2; p++) {
        static const uint64_t nobody[] = {0x2000000, 0x2004000, BASE,      BASE + FIRMWARE + 5,
                                          0xc000000, 0xc002080, 0xc200000, 0xc202000};
        for (unsigned i = 0; i < sizeof nobody / sizeof nobody[0]; i++)
            assert_false(reaches(p, p, nobody[i], PMP_R));
        assert_int_equal(reaches(p, p, 0xc201000, PMP_R | PMP_W), p == 0);
        assert_int_equal(reaches(p, p, 0xc203ffc, PMP_R | PMP_W), p == 1);
    }
}

static void a_page_is_not_given_that_holds_another_device(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1, 64 * MIB), *b = add_vm("b", 1, 64 * MIB);
    pass(a, "gpio");
    pass(b, "pwm");
    planned();
    assert_true(reaches(0, 0, 0x100600ff, PMP_R));
    assert_false(reaches(0, 0, 0x10060100, PMP_R));
    assert_true(reaches(1, 1, 0x10060100, PMP_R));
    assert_false(reaches(1, 1, 0x100600ff, PMP_R));
    /* Where the grain is a page it cannot be had. */
    board.pmp_grain = 4096;
    refused("partition 0 (a): the registers of gpio@10060000 share a place with pwm@10060100");
    b->passthrough_count = 0;
    pass(a, "pwm");
    planned();
    assert_true(reaches(0, 0, 0x10060fff, PMP_R));
}

static void bus_masters_are_for_those_that_are_trusted(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1, 64 * MIB), *b = add_vm("b", 1, 64 * MIB);
    pass(a, "virtio_mmio@10001000");
    refused("partition 0 (a): virtio_mmio@10001000 can reach all memory by DMA");
    assert_non_null(strstr(problem.text, "trusted_dma: true"));
    a->trusted_dma = true;
    planned();
    pass(b, "nosuch");
    refused("partition 1 (b): the board has no device 'nosuch'");
    b->passthrough[0] = "/soc/virtio_mmio@10001000";
    b->trusted_dma = true;
    refused("partition 1 (b): partition 0 has virtio_mmio@10001000 already");
}

static void too_few_entries_are_told_with_what_would_help(void **unused)
{
    (void)unused;
    make_board(3, GIB);
    fleet.vm_count = 0;
    add_vm("web", 1, 64 * MIB);
    add_vm("x", 1, 64 * MIB);
    struct spec_vm *db = add_vm("db", 1, 96 * MIB);
    db->placed = true;
    db->address = 0x88000000;
    board.pmp_entries = 2;
    refused("partition 2 (db) needs 3 PMP entries on hart 6, which has 2; its 96M at 0x88000000 "
            "take 2, 128M at 0x88000000 would take 1");
    db->memory = 128 * MIB;
    planned();
    pass(db, "rtc");
    refused("partition 2 (db) needs 3 PMP entries on hart 6, which has 2; give it fewer devices");
}

static void memory_of_any_number_of_pages_is_divided_to_the_byte(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    add_vm("odd", 1, 96 * MIB + 3 * 4096);
    add_vm("even", 1, 64 * MIB);
    planned();
    const struct plan_range *ram = &plan.partitions[0].ram[0];
    assert_int_equal(ram->size, 96 * MIB + 3 * 4096);
    assert_true(reaches(0, plan.partitions[0].harts[0], ram->base + ram->size - 1, PMP_R));
    assert_false(reaches(0, plan.partitions[0].harts[0], ram->base + ram->size, PMP_R));
    /* Where PMP cannot tell pages apart, the partition's size is to be a multiple of what it can.
     */
    board.pmp_grain = 65536;
    refused("memory: 98316K is no multiple of 64K, the grain of the board's PMP");
}

static struct plan_device *slot(uint64_t address)
{
    for (unsigned i = 0; i < board.device_count; i++) {
        if (board.devices[i].regs[0].base == address)
            return &board.devices[i];
    }
    return NULL;
}

static void the_boards_disks_and_networks_are_counted_by_address(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    board.virtio_known = true;
    slot(0x10003000)->virtio_id = 2;
    slot(0x10005000)->virtio_id = 1;
    slot(0x10007000)->virtio_id = 2;
    slot(0x10008000)->virtio_id = 4; /* random numbers */
    struct spec_vm *a = add_vm("a", 1, 64 * MIB), *b = add_vm("b", 1, 64 * MIB);
    a->disk_count = b->disk_count = a->net_count = 1;
    a->disks[0].path = "board:1";
    a->nets[0] = (struct spec_net){.kind = SPEC_NET_SWITCH, .network = "lan", .uplink = "board:0"};
    b->disks[0].path = "board:0";
    b->trusted_dma = true;
    refused("partition 0 (a): virtio_mmio@10007000 can reach all memory by DMA");
    a->trusted_dma = true;
    planned();
    unsigned ours = plan.partitions[0].harts[0], theirs = plan.partitions[1].harts[0];
    assert_true(reaches(0, ours, 0x10007000, PMP_W));
    assert_true(reaches(0, ours, 0x10005000, PMP_W));
    assert_false(reaches(0, ours, 0x10003000, PMP_R));
    assert_true(reaches(1, theirs, 0x10003000, PMP_W));
    assert_false(reaches(1, theirs, 0x10007000, PMP_R));
    assert_true(plan_has_line(&plan.partitions[0], 7));
    b->disks[0].path = "board:2";
    refused("partition 1 (b): the board has no device 'board:2'");
    /* A network is one partition's. */
    b->disk_count = 0;
    b->net_count = 1;
    b->nets[0] = a->nets[0];
    refused("partition 1 (b): partition 0 has virtio_mmio@10005000 already");
}

static void a_layout_is_checked_before_it_is_known_where_the_disks_are(void **unused)
{
    (void)unused;
    make_board(2, GIB);
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1, 64 * MIB);
    a->trusted_dma = true;
    a->disk_count = 2;
    a->disks[0].path = "board:0";
    a->disks[1].path = "board:1";
    a->net_count = 1;
    a->nets[0] = (struct spec_net){.kind = SPEC_NET_SWITCH, .network = "lan", .uplink = "board:0"};
    planned();
    assert_int_equal(plan.partitions[0].device_count, 3);
    a->disks[1].path = "board:8"; /* there are 8 */
    refused("partition 0 (a): the board has no device 'board:8'");
}

static void unfit(const struct spec_vm *vm, const char *words)
{
    const char *said = plan_refuses(vm);
    assert_non_null(said);
    if (strstr(said, words) == NULL)
        fail_msg("'%s' does not say '%s'", said, words);
    refused("its description is damaged");
}

static void what_type_0_has_not_is_said(void **unused)
{
    (void)unused;
    make_board(1, GIB);
    fleet.vm_count = 0;
    struct spec_vm *a = add_vm("a", 1, 64 * MIB);
    a->disk_count = 1;
    a->disks[0].path = "disk.raw";
    unfit(a, "disks: type 0 plays no disks");
    a->disks[0] = (struct spec_disk){.path = "board:0", .readonly = true};
    unfit(a, "disks: readonly: type 0 gives the device itself");
    a->disk_count = 0;
    a->net_count = 1;
    unfit(a, "net: type 0 plays no networks");
    a->nets[0] = (struct spec_net){.kind = SPEC_NET_SWITCH, .network = "lan"};
    unfit(a, "net: type 0 plays no networks");
    a->net_count = 0;
    a->firmware = "fw";
    unfit(a, "firmware:");
}

/* ---- Plain firmware ---- */

static void plain_firmware_gives_all_but_its_own(void **unused)
{
    (void)unused;
    make_board(4, GIB);
    board.bundle.size = 0;
    assert_int_equal(plan_make(&plan, &board, NULL, &problem), 0);
    assert_int_equal(plan_check(&plan, &board, &problem), 0);
    assert_int_equal(plan.partition_count, 1);
    assert_int_equal(plan.partitions[0].vcpu_count, 4);
    static const uint64_t all[] = {0,         0x100000,   0x1ffffff,       0x2010000,
                                   0xc000000, 0x10000000, BASE + FIRMWARE, BASE + GIB - 1,
                                   1ULL << 40};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_true(reaches(0, 2, all[i], ALL_RIGHTS));
    static const uint64_t none[] = {BASE, BASE + FIRMWARE - 1, 0x2000000, 0x200ffff};
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(reaches(0, 2, none[i], PMP_R));
    struct pmp_entry entries[PMP_ENTRIES];
    assert_int_equal(plan_pmp(&plan, &board, 0, 0, entries), 3);
    assert_int_equal(plan.partitions[0].ram[0].base, BASE + FIRMWARE);
    board.pmp_entries = 2;
    assert_int_equal(plan_make(&plan, &board, NULL, &problem), -E_NOSPC);
}

/* ---- The checker finds what the planner does not do ---- */

static void checked(const char *words)
{
    assert_int_equal(plan_check(&plan, &board, &problem), -E_INVAL);
    if (strstr(problem.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", problem.text, words);
}

static void two_of_them(void)
{
    make_board(2, GIB);
    fleet.vm_count = 0;
    add_vm("a", 1, 64 * MIB);
    add_vm("b", 1, 64 * MIB);
    planned();
}

static void a_bad_plan_is_found_out(void **unused)
{
    (void)unused;
    two_of_them();
    plan.partitions[0].regions[0].range.size += 4;
    plan.partitions[1].regions[0].range.base = plan.partitions[0].regions[0].range.base + 64 * MIB;
    checked("partitions 0 (a) and 1 (b) would reach the same address");
    static const struct {
        uint64_t address;
        const char *words;
    } places[] = {
        {0x2004000, "partition 1 (b) would reach a device of M-mode at 0x2000000"},
        {BASE + 4096, "partition 1 (b) would reach the firmware"},
        {BASE + FIRMWARE, "partition 1 (b) would reach the bundle"},
        {0xc000000, "partition 1 (b) would reach the PLIC"},
        {0xc201000, "partition 1 (b) would reach the PLIC"},
        {0x10001000, "partition 1 (b) would reach virtio_mmio@10001000"},
    };
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        two_of_them();
        plan.partitions[1].regions[plan.partitions[1].region_count++] =
            (struct plan_region){{places[i].address, 4096}, PMP_R};
        checked(places[i].words);
    }
    /* A window that only one of them has. */
    two_of_them();
    plan.windows[0] = (struct plan_window){"w", {BASE + 900 * MIB, 4096}, {0, 0}};
    plan.window_count = 1;
    for (unsigned p = 0; p < 2; p++)
        plan.partitions[p].regions[plan.partitions[p].region_count++] =
            (struct plan_region){plan.windows[0].range, PMP_R};
    checked("would reach the same address");
    plan.windows[0].partitions[1] = 1;
    assert_int_equal(plan_check(&plan, &board, &problem), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_board_is_read),
        cmocka_unit_test(addresses_go_through_the_ranges_of_their_bus),
        cmocka_unit_test(a_tree_without_harts_or_memory_is_no_board),
        cmocka_unit_test(vcpus_have_harts_of_their_own_while_there_are_some),
        cmocka_unit_test(more_vcpus_than_harts_share_them_by_weight),
        cmocka_unit_test(a_hart_that_is_not_there_or_overfull_is_refused),
        cmocka_unit_test(memory_lies_where_few_entries_say_it),
        cmocka_unit_test(a_tight_fleet_still_fits),
        cmocka_unit_test(a_fixed_address_is_kept_or_refused),
        cmocka_unit_test(windows_are_reached_by_their_two_ends_alone),
        cmocka_unit_test(a_partition_reaches_its_devices_and_no_other),
        cmocka_unit_test(a_page_is_not_given_that_holds_another_device),
        cmocka_unit_test(bus_masters_are_for_those_that_are_trusted),
        cmocka_unit_test(too_few_entries_are_told_with_what_would_help),
        cmocka_unit_test(memory_of_any_number_of_pages_is_divided_to_the_byte),
        cmocka_unit_test(the_boards_disks_and_networks_are_counted_by_address),
        cmocka_unit_test(a_layout_is_checked_before_it_is_known_where_the_disks_are),
        cmocka_unit_test(what_type_0_has_not_is_said),
        cmocka_unit_test(plain_firmware_gives_all_but_its_own),
        cmocka_unit_test(a_bad_plan_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
