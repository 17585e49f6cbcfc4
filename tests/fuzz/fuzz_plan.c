/*
 * Any description and any device tree: the planner refuses with words, or makes a plan that its
 * checker accepts, and of which trees can be made that our own reader accepts.
 */
#include "core/error.h"
#include "core/spec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/plan_board.h"
#include "vmm/partition_tree.h"
#include "vmm/plan.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static struct plan plan;
static struct plan_board board;
static uint8_t own[16384], tree[65536];
static long own_size;

static void write_trees(void)
{
    const struct partition_boot boot = {.initrd = 0x84000000, .initrd_size = 4096};
    for (unsigned p = 0; p < plan.partition_count; p++) {
        struct fdt fdt;
        long size = partition_tree_write(tree, sizeof tree, &plan, &board, p, &boot);
        expect(size < 0 || fdt_open(&fdt, tree, (size_t)size) == 0);
    }
}

static void divide(const struct spec_fleet *fleet)
{
    struct plan_problem problem;
    if (plan_make(&plan, &board, fleet, &problem) != 0) {
        expect(problem.text[0] != 0);
        return;
    }
    /* A tree may say such things of a board that no plan is safe on it; then the checker says so.
     */
    if (plan_check(&plan, &board, &problem) != 0)
        expect(problem.text[0] != 0 && board.fdt->blob != own);
    else
        write_trees();
}

/* The first byte: is the rest a board's tree, or a description for a board of ours? */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spec_fleet fleet;
    struct spec_problem wrong;
    struct plan_problem problem;
    struct fdt fdt;

    if (own_size == 0)
        expect((own_size = board_write(own, sizeof own, 4, 1 << 30)) > 0);
    if (size == 0)
        return 0;
    bool is_board = (data[0] & 1) != 0;
    unsigned entries = data[0] >> 4;
    if (is_board ? fdt_open(&fdt, data + 1, size - 1) != 0
                 : fdt_open(&fdt, own, (size_t)own_size) != 0)
        return 0;
    if (plan_board_read(&board, &fdt, &problem) != 0) {
        expect(problem.text[0] != 0);
        return 0;
    }
    board.firmware = (struct plan_range){0x80000000, 1 << 20};
    board.bundle = (struct plan_range){0x80100000, 1 << 20};
    board.pmp_entries = entries == 0 ? PMP_ENTRIES : entries;
    if (!is_board) {
        /* As the firmware reads it: nobody has checked the values. */
        if (spec_decode(&fleet, data + 1, size - 1, &wrong) == 0)
            divide(&fleet);
        return 0;
    }
    memset(&fleet, 0, sizeof fleet);
    for (unsigned i = 0; i < 2; i++)
        fleet.vms[i] = (struct spec_vm){.name = i == 0 ? "a" : "b",
                                        .cpus = 2,
                                        .memory = 64 << 20,
                                        .kernel = "k",
                                        .trusted_dma = i == 0,
                                        .passthrough = {i == 0 ? "virtio_mmio" : "rtc", "serial"},
                                        .passthrough_count = 2 - i};
    fleet.vm_count = 2;
    divide(&fleet);
    divide(NULL);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    static struct spec_fleet fleet;
    buf[0] = index == 0 ? 1 : 0;
    if (index == 0) {
        long size = board_write(buf + 1, capacity - 1, 2, 1 << 30);
        return size > 0 ? (size_t)size + 1 : 0;
    }
    if (index > 1)
        return 0;
    memset(&fleet, 0, sizeof fleet);
    fleet.vm_count = 3;
    for (unsigned i = 0; i < 3; i++) {
        struct spec_vm *vm = &fleet.vms[i];
        *vm = (struct spec_vm){.name = i == 0   ? "web"
                                       : i == 1 ? "db"
                                                : "log",
                               .cpus = 1 + i,
                               .memory = (96ULL << 20) << i,
                               .kernel = "k",
                               .weight = 50,
                               .placed = i == 1,
                               .address = i == 1 ? 0x88000000 : 0,
                               .trusted_dma = true,
                               .passthrough = {i == 0   ? "serial"
                                               : i == 1 ? "virtio_mmio@10001000"
                                                        : "gpio"},
                               .passthrough_count = 1,
                               .pins = {BOARD_FIRST_HART + i},
                               .pin_count = i == 2 ? 0 : 1};
        if (i < 2) {
            vm->shared[0] = (struct spec_shared){"mailbox", 65536};
            vm->shared_count = 1;
        }
    }
    long size = spec_flatten(&fleet, buf + 1, capacity - 1);
    return size > 0 ? (size_t)size + 1 : 0;
}
