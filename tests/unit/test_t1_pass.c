/* Devices of the board that are passed to a guest: which, where, and their line. */
#include "tests/unit/device_test.h"

#include "devices/plic.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"
#include "type1/dev_pass.h"
#include "type1/dev_virtio.h"

#include <string.h>

#define MODERN 0x10008000u
#define LEGACY 0x10007000u
#define PLAIN  0x10006000u /* modern, but without ACCESS_PLATFORM */

static struct plic board_plic, guest_plic;
static struct wire board_wires[2], guest_wires[2];
static struct intc intc;
static struct iommu iommu; /* there is none */
static struct pass_set set;
static struct gstage gstage;
static uint8_t blob[8192], described[8192];
static struct fdt fdt;
static uint32_t status_of_modern;
static unsigned resets;
static struct pass_set *sets;
static struct pass_set neighbour; /* another guest's */

/* The PLIC, and three virtio devices that have nothing but their first registers. */
static uint32_t board_read(void *registers, uint32_t offset)
{
    uintptr_t at = (uintptr_t)registers;
    if (at == 0xc000000)
        return (uint32_t)read_reg(&plic_bus_ops, &board_plic, offset, 4);
    switch (offset) {
    case VIRTIO_MMIO_MAGIC: return 0x74726976;
    case VIRTIO_MMIO_VERSION: return at == LEGACY ? 1 : 2;
    case VIRTIO_MMIO_DEVICE_ID: return VIRTIO_ID_BLOCK;
    case VIRTIO_MMIO_DEVICE_FEATURES: return at == MODERN ? 3 : 1; /* both words */
    case VIRTIO_MMIO_STATUS: return status_of_modern;
    default: return 0;
    }
}

static void board_write(void *registers, uint32_t offset, uint32_t value)
{
    if ((uintptr_t)registers == 0xc000000) {
        write_reg(&plic_bus_ops, &board_plic, offset, 4, value);
    } else if (offset == VIRTIO_MMIO_STATUS) {
        status_of_modern = value;
        resets += value == 0;
    }
}

static const struct dev_access board_access = {.read = board_read, .write = board_write};

static void device(struct fdt_writer *w, const char *name, uint64_t address, uint64_t size,
                   const char *compatible, uint32_t line)
{
    fdt_node_at(w, name, address);
    fdt_put_str(w, "compatible", compatible);
    fdt_put_reg64(w, address, size);
    fdt_put_u32(w, "interrupts", line);
    fdt_put_u32(w, "reg-shift", 2);
    fdt_put_u32(w, "clocks", 77);
    fdt_put_u32(w, "vdd-supply", 78);
    fdt_put_u32(w, "phandle", 500 + line);
    fdt_end(w);
}

/* Nodes as QEMU 10.0 describes them; `phandle` is that of a hart's interrupt controller. */
static void not_for_guests(struct fdt_writer *w, uint32_t phandle)
{
    const uint32_t both[4] = {phandle, 3, phandle, 7}, external[2] = {phandle, 11};

    fdt_node_at(w, "clint", 0x2000000);
    fdt_put_str(w, "compatible", "sifive,clint0");
    fdt_put_reg64(w, 0x2000000, 0x10000);
    fdt_put_cells(w, "interrupts-extended", both, 4);
    fdt_end(w);
    fdt_node_at(w, "mtimer", 0x2010000);
    fdt_put_str(w, "compatible", "riscv,aclint-mtimer");
    fdt_put_reg64(w, 0x2010000, 0x8000);
    fdt_put_cells(w, "interrupts-extended", both + 2, 2);
    fdt_end(w);
    for (unsigned i = 0; i < 2; i++) { /* of M-level, and then of S-level */
        fdt_node_at(w, "imsics", 0x24000000 + i * 0x4000000);
        fdt_put_str(w, "compatible", "riscv,imsics");
        fdt_put_reg64(w, 0x24000000 + i * 0x4000000, 0x4000);
        fdt_put_empty(w, "interrupt-controller");
        fdt_put_empty(w, "msi-controller");
        fdt_put_cells(w, "interrupts-extended", external, 2);
        fdt_end(w);
        fdt_node_at(w, "aplic", 0xd000000 + i * 0x1000000);
        fdt_put_str(w, "compatible", "riscv,aplic");
        fdt_put_reg64(w, 0xd000000 + i * 0x1000000, 0x8000);
        fdt_put_empty(w, "interrupt-controller");
        fdt_put_u32(w, "msi-parent", 98);
        fdt_end(w);
    }
    fdt_node_at(w, "msi", 0x2f000000);
    fdt_put_reg64(w, 0x2f000000, 0x1000);
    fdt_put_empty(w, "msi-controller");
    fdt_end(w);
    fdt_node_at(w, "iommu", 0x3010000);
    fdt_put_str(w, "compatible", "riscv,iommu");
    fdt_put_reg64(w, 0x3010000, 0x1000);
    fdt_put_u32(w, "#iommu-cells", 1);
    fdt_end(w);
    device(w, "test", 0x100000, 0x1000, "sifive,test0", 20);
    device(w, "power", 0x110000, 0x1000, "some,power", 21); /* phandle 521 */
    fdt_node(w, "poweroff");
    fdt_put_str(w, "compatible", "syscon-poweroff");
    fdt_put_u32(w, "regmap", 521);
    fdt_end(w);
    device(w, "serial", 0x10000000, 0x100, "ns16550a", 10);
    device(w, "in-ram", 0x8ffff000, 0x1000, "some,thing", 22);
    device(w, "around-ram", 0x7ffff000, 0x2000, "some,thing", 23);
    device(w, "below-ram", 0x7ffff000, 0x1000, "some,thing", 24);
    device(w, "in-reserved", 0x50001000, 0x1000, "some,thing", 25);
    device(w, "around-plic", 0xbfff000, 0x2000, "some,thing", 26);
    device(w, "on-timer", 0x102000, 0x100, "some,thing", 27); /* its second page */
    device(w, "endless", 0x10009000, UINT64_MAX - 100, "some,thing", 28);
}

static void describe_board(void)
{
    struct fdt_writer w;
    const uint32_t intc_phandle = 20;
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_put_u32(&w, "interrupt-parent", 99);
    fdt_node_at(&w, "memory", 0x80000000);
    fdt_put_str(&w, "device_type", "memory");
    fdt_put_reg64(&w, 0x80000000, 0x10000000);
    fdt_end(&w);
    fdt_node(&w, "reserved-memory");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node_at(&w, "firmware", 0x50000000); /* which is no RAM by the tree */
    fdt_put_reg64(&w, 0x50000000, 0x10000);
    fdt_end(&w);
    fdt_end(&w);
    fdt_node(&w, "cpus");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    fdt_node_at(&w, "cpu", 0);
    fdt_put_str(&w, "device_type", "cpu");
    fdt_put_u32(&w, "reg", 0);
    fdt_node(&w, "interrupt-controller");
    fdt_put_u32(&w, "phandle", intc_phandle);
    fdt_end(&w);
    fdt_end(&w);
    fdt_end(&w);
    fdt_node(&w, "soc");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    plic_fdt(&board_plic, &w, 0xc000000, 99, &intc_phandle);
    device(&w, "virtio_mmio", MODERN, 0x1000, "virtio,mmio", 8);
    device(&w, "virtio_mmio", LEGACY, 0x1000, "virtio,mmio", 7);
    device(&w, "virtio_mmio", PLAIN, 0x1000, "virtio,mmio", 6);
    device(&w, "timer", 0x101000, 0x1800, "some,timer", 11);
    device(&w, "odd", 0x102010, 0x10, "some,odd", 12);
    device(&w, "huge", 0x400000000, 0x20000000, "some,huge", 13);
    not_for_guests(&w, intc_phandle);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
}

/* The hypervisor's console. */
static bool used(uint64_t from, uint64_t size)
{
    return from <= 0x10000000 && 0x10000000 < from + size;
}

static unsigned here_now;

static unsigned here(void)
{
    return here_now;
}

static int setup(void **state)
{
    (void)state;
    const struct irq board_out[2] = {wire_irq(board_wires, 0), wire_irq(board_wires, 1)};
    const struct irq guest_out[2] = {wire_irq(guest_wires, 0), wire_irq(guest_wires, 1)};
    memset(board_wires, 0, sizeof board_wires);
    memset(guest_wires, 0, sizeof guest_wires);
    plic_init(&board_plic, 1, board_out);
    plic_init(&guest_plic, 1, guest_out);
    describe_board();
    assert_int_equal(intc_find(&intc, &fdt, 0), 0);
    iommu_find(&iommu, &fdt);
    intc_start(&intc, &board_access, NULL);
    neighbour = (struct pass_set){.count = 0};
    sets = &set;
    set = (struct pass_set){.all = &sets,
                            .next = &neighbour,
                            .used = used,
                            .fdt = &fdt,
                            .access = &board_access,
                            .iommu = &iommu,
                            .intc = &intc,
                            .owner = "guest",
                            .ram_gpa = 0x80000000,
                            .ram_hpa = 0x1c0000000,
                            .ram_size = 0x10000000,
                            .here = here};
    assert_int_equal(gstage_init(&gstage, 3, 11), 0);
    resets = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gstage_fini(&gstage);
    return 0;
}

static void expect_refused(const char *name, int error, const char *words)
{
    const char *why;
    assert_int_equal(pass_add(&set, name, &why), error);
    assert_non_null(strstr(why, words));
    assert_int_equal(set.count, 0);
}

static void what_would_harm_others_is_refused(void **state)
{
    (void)state;
    expect_refused("virtio_mmio@1", -E_NODEV, "no such device");
    expect_refused("/soc/none@0", -E_NODEV, "no such device");
    expect_refused("memory@80000000", -E_BUSY, "that is memory");
    expect_refused("cpu@0", -E_INVAL, "no registers that could be mapped");
    expect_refused("odd@102010", -E_INVAL, "share a page");
    expect_refused("huge@400000000", -E_INVAL, "too large");
    expect_refused("virtio_mmio@10007000", -E_NOTSUP, "untranslated addresses");
    expect_refused("virtio_mmio@10006000", -E_NOTSUP, "untranslated addresses");
}

static void what_harts_and_the_board_depend_on_is_refused_by_its_kind(void **state)
{
    (void)state;
    expect_refused("plic@c000000", -E_BUSY, "an interrupt controller");
    expect_refused("aplic@d000000", -E_BUSY, "an interrupt controller");
    expect_refused("aplic@e000000", -E_BUSY, "an interrupt controller");
    expect_refused("imsics@24000000", -E_BUSY, "an interrupt controller");
    expect_refused("imsics@28000000", -E_BUSY, "an interrupt controller");
    expect_refused("msi@2f000000", -E_BUSY, "an interrupt controller");
    expect_refused("clint@2000000", -E_BUSY, "timer or IPIs");
    expect_refused("mtimer@2010000", -E_BUSY, "timer or IPIs");
    expect_refused("iommu@3010000", -E_BUSY, "an IOMMU");
    expect_refused("test@100000", -E_BUSY, "switches the board off");
    expect_refused("power@110000", -E_BUSY, "switches the board off");
}

static void registers_in_memory_or_where_the_hypervisor_is_are_refused(void **state)
{
    (void)state;
    const char *why;
    expect_refused("firmware@50000000", -E_BUSY, "that is memory");
    expect_refused("in-reserved@50001000", -E_BUSY, "that is memory");
    expect_refused("in-ram@8ffff000", -E_BUSY, "that is memory");
    expect_refused("around-ram@7ffff000", -E_BUSY, "that is memory");
    expect_refused("serial@10000000", -E_BUSY, "the hypervisor uses it");
    expect_refused("around-plic@bfff000", -E_BUSY, "the hypervisor uses it");
    expect_refused("endless@10009000", -E_INVAL, "too large");
    assert_int_equal(pass_add(&set, "below-ram@7ffff000", &why), 0);
}

static void pages_that_somebody_has_are_refused_until_they_are_free(void **state)
{
    (void)state;
    const char *why;
    neighbour = set;
    neighbour.next = NULL;
    assert_int_equal(pass_add(&neighbour, "timer@101000", &why), 0);
    expect_refused("timer@101000", -E_BUSY, "given already");
    expect_refused("/soc/on-timer@102000", -E_BUSY, "given already");
    assert_int_equal(pass_add(&neighbour, "timer@101000", &why), -E_BUSY);
    pass_close(&neighbour);
    assert_int_equal(pass_add(&set, "timer@101000", &why), 0);
    assert_int_equal(pass_add(&set, "on-timer@102000", &why), -E_BUSY);
}

static void add_both(void)
{
    const char *why;
    assert_int_equal(pass_add(&set, "virtio_mmio@10008000", &why), 0);
    assert_int_equal(pass_add(&set, "/soc/timer@101000", &why), 0);
    assert_int_equal(pass_wire(&set, &guest_plic, NULL, &gstage), 0);
}

static void registers_are_mapped_and_nothing_else(void **state)
{
    (void)state;
    uint64_t size;
    add_both();
    uint64_t leaf = gstage_find(&gstage, PASS_BASE, &size);
    assert_int_equal(size, 4096);
    assert_int_equal(leaf >> 10 << 12, MODERN);
    assert_int_equal(leaf & 0x3ff, PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D);
    leaf = gstage_find(&gstage, PASS_BASE + 4096, &size);
    assert_int_equal(leaf >> 10 << 12, 0x101000);
    leaf = gstage_find(&gstage, PASS_BASE + 8192, &size); /* 0x1800 bytes: two pages */
    assert_int_equal(leaf >> 10 << 12, 0x102000);
    assert_int_equal(gstage_find(&gstage, PASS_BASE + 12288, &size), 0);
    assert_int_equal(gstage_find(&gstage, MODERN, &size), 0);
}

static void guest_write(uint64_t offset, uint32_t value)
{
    write_reg(&plic_bus_ops, &guest_plic, offset, 4, value);
}

static uint32_t guest_claim(void)
{
    return (uint32_t)read_reg(&plic_bus_ops, &guest_plic, 0x201004, 4);
}

static void boards_claim_is_completed_when_the_guest_completes(void **state)
{
    (void)state;
    add_both();
    guest_write(4 * PASS_LINE, 1);
    guest_write(0x2080 + PASS_LINE / 32 * 4, 1u << PASS_LINE % 32);

    plic_set(&board_plic, 8, true);
    assert_true(board_wires[1].level);
    intc_interrupt(&intc, 0);
    assert_true(guest_wires[1].level);
    /* The device still asks, and the hypervisor is left in peace. */
    assert_false(board_wires[1].level);
    assert_int_equal(guest_claim(), PASS_LINE);
    assert_false(board_wires[1].level);
    guest_write(0x201004, PASS_LINE);
    assert_true(board_wires[1].level);
    intc_interrupt(&intc, 0);
    assert_int_equal(guest_claim(), PASS_LINE);
    plic_set(&board_plic, 8, false);
    guest_write(0x201004, PASS_LINE);
    assert_false(board_wires[1].level);
    assert_int_equal(guest_claim(), 0);
    /* A completion that nobody waits for completes nothing. */
    plic_set(&board_plic, 8, true);
    intc_interrupt(&intc, 0);
    guest_write(0x201004, PASS_LINE + 1);
    assert_false(board_wires[1].level);
}

static void reset_silences_the_device_and_opens_its_line(void **state)
{
    (void)state;
    add_both();
    plic_set(&board_plic, 8, true);
    plic_set(&board_plic, 11, true);
    intc_interrupt(&intc, 0);
    assert_false(board_wires[1].level);
    resets = 0;
    pass_reset(&set);
    assert_int_equal(resets, 1); /* the virtio device; of the other nothing is known */
    assert_true(board_wires[1].level);
}

static void closed_devices_can_be_passed_again(void **state)
{
    (void)state;
    add_both();
    plic_set(&board_plic, 11, true);
    intc_interrupt(&intc, 0);
    pass_close(&set);
    assert_int_equal(set.count, 0);
    plic_set(&board_plic, 8, true);
    assert_false(board_wires[1].level);
    gstage_fini(&gstage);
    assert_int_equal(gstage_init(&gstage, 3, 11), 0);
    add_both();
    assert_true(board_wires[1].level);
}

static uint32_t cell_at(const struct fdt *tree, int node, const char *name, unsigned index)
{
    uint32_t len;
    const uint8_t *bytes = fdt_prop(tree, node, name, &len);
    assert_non_null(bytes);
    assert_true(len >= 4 * (index + 1));
    bytes += 4 * index;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void guest_is_told_where_they_are_and_where_its_memory_is(void **state)
{
    (void)state;
    struct fdt_writer w;
    struct fdt tree;
    uint64_t address, size;
    add_both();
    fdt_begin(&w, described, sizeof described);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    pass_describe(&set, &w, 1, 0);
    fdt_end(&w);
    long total = fdt_finish(&w);
    assert_true(total > 0);
    assert_int_equal(fdt_open(&tree, described, (size_t)total), 0);

    int bus = fdt_path(&tree, "/passthrough");
    static const uint32_t dma[6] = {1, 0xc0000000, 0, 0x80000000, 0, 0x10000000};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(cell_at(&tree, bus, "dma-ranges", i), dma[i]);
    int disk = fdt_path(&tree, "/passthrough/virtio_mmio@30000000");
    assert_int_equal(fdt_reg(&tree, disk, 0, &address, &size), 0);
    assert_int_equal(address, PASS_BASE);
    assert_int_equal(size, 0x1000);
    assert_string_equal(fdt_str(&tree, disk, "compatible"), "virtio,mmio");
    assert_int_equal(fdt_u32(&tree, disk, "interrupts", 0), PASS_LINE);
    assert_int_equal(fdt_u32(&tree, disk, "interrupt-parent", 0), 1);
    assert_int_equal(fdt_u32(&tree, disk, "reg-shift", 0), 2);
    static const char *const gone[] = {"clocks", "vdd-supply", "phandle"};
    for (unsigned i = 0; i < 3; i++)
        assert_null(fdt_prop(&tree, disk, gone[i], NULL));
    int timer = fdt_path(&tree, "/passthrough/timer@30001000");
    assert_int_equal(fdt_u32(&tree, timer, "interrupts", 0), PASS_LINE + 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_would_harm_others_is_refused),
        T(what_harts_and_the_board_depend_on_is_refused_by_its_kind),
        T(registers_in_memory_or_where_the_hypervisor_is_are_refused),
        T(pages_that_somebody_has_are_refused_until_they_are_free),
        T(registers_are_mapped_and_nothing_else),
        T(boards_claim_is_completed_when_the_guest_completes),
        T(reset_silences_the_device_and_opens_its_line),
        T(closed_devices_can_be_passed_again),
        T(guest_is_told_where_they_are_and_where_its_memory_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
