/* A PCI host of the board that is passed to a guest: what is on it, where, and what the guest sees.
 * Addresses and the device tree are those of QEMU's virt board. */
#include "tests/unit/device_test.h"

#include "devices/plic.h"
#include "type1/dev_pass.h"

#include <string.h>

#define ECAM    0x30000000u
#define IOMMU   0x3010000u
#define PLIC    0xc000000u
#define PHANDLE 0x8000

/* Functions with their first 256 bytes of configuration space. */
static struct function {
    uint32_t where; /* bus << 8 | device << 3 | function */
    uint32_t config[64];
    uint32_t features[2], select; /* of a virtio device, seen through its window */
    unsigned quieted;
} functions[8];
static unsigned function_count, absent;
static uint32_t iommu_regs[0x400];
static struct plic board_plic, guest_plic;
static struct wire board_wires[2], guest_wires[2];
static struct intc intc;
static struct iommu iommu;
static struct pass_set set, *sets = &set; /* of all guests: one */

static bool unused(uint64_t from, uint64_t size)
{
    (void)from, (void)size;
    return false;
}
static struct gstage gstage;
static uint8_t blob[8192], described[8192];
static struct fdt fdt, tree;

static struct function *function_at(uintptr_t address)
{
    for (unsigned i = 0; i < function_count; i++) {
        if (functions[i].where == (address - ECAM) >> 12)
            return &functions[i];
    }
    return NULL;
}

/* The window is at 0x50, and bar 4's common configuration at 0x2000. */
static uint32_t *windowed(struct function *f)
{
    static uint32_t nothing;
    nothing = 0;
    if ((f->config[0x54 / 4] & 0xff) != 4 || f->config[0x5c / 4] != 4)
        return &nothing;
    if (f->config[0x58 / 4] == 0x2000)
        return &f->select;
    return f->config[0x58 / 4] == 0x2004 && f->select < 2 ? &f->features[f->select] : &nothing;
}

static bool has_window(const struct function *f)
{
    return f->config[0x34 / 4] == 0x40;
}

static uint32_t board_read(void *registers, uint32_t offset)
{
    uintptr_t at = (uintptr_t)registers;
    if (at == PLIC)
        return (uint32_t)read_reg(&plic_bus_ops, &board_plic, offset, 4);
    if (at == IOMMU)
        return iommu_regs[offset / 4];
    assert_true(at >= ECAM && at < ECAM + 0x8000000 && offset < 256);
    struct function *f = function_at(at);
    if (f == NULL) {
        absent++;
        return 0xffffffff;
    }
    return has_window(f) && offset == 0x60 ? *windowed(f) : f->config[offset / 4];
}

static void board_write(void *registers, uint32_t offset, uint32_t value)
{
    uintptr_t at = (uintptr_t)registers;
    if (at == PLIC) {
        write_reg(&plic_bus_ops, &board_plic, offset, 4, value);
    } else if (at == IOMMU) {
        iommu_regs[offset / 4] = value;
        if (offset == 0x24)
            iommu_regs[0x20 / 4] = value; /* it has done all at once */
        if (offset == 0x48 || offset == 0x4c)
            iommu_regs[offset / 4] = (value & 1) | (value & 1) << 16;
    } else {
        struct function *f = function_at(at);
        assert_non_null(f);
        if (has_window(f) && offset == 0x60)
            *windowed(f) = value;
        else
            f->config[offset / 4] = value;
        f->quieted += offset == 4;
    }
}

static const struct dev_access board_access = {.read = board_read, .write = board_write};

static struct function *add(unsigned bus, unsigned device, unsigned number, uint32_t id)
{
    struct function *f = &functions[function_count++];
    memset(f, 0, sizeof *f);
    f->where = bus << 8 | device << 3 | number;
    f->config[0] = id;
    f->config[1] = 0x00100007; /* memory, I/O, bus master */
    return f;
}

/* virtio 1.2, 4.1.4: struct virtio_pci_cap. */
static struct function *add_virtio(unsigned bus, unsigned device, uint32_t high_features)
{
    struct function *f = add(bus, device, 0, 0x10421af4);
    f->config[0x34 / 4] = 0x40;
    f->config[0x40 / 4] = 0x01105009; /* common configuration; the next is at 0x50 */
    f->config[0x44 / 4] = 4;
    f->config[0x48 / 4] = 0x2000;
    f->config[0x4c / 4] = 0x38;
    f->config[0x50 / 4] = 0x05140009; /* the window */
    f->features[0] = 0xffffffff;
    f->features[1] = high_features;
    return f;
}

static void put_host(struct fdt_writer *w, bool behind)
{
    /* Slots 0 and 1, as QEMU swizzles them. */
    static const uint32_t map[] = {
        0, 0, 0,  1,  99,    32,    0, 0, 0,  2,  99,     33,    0, 0, 0,  3,  99, 34,    0,
        0, 0, 4,  99, 35,    0x800, 0, 0, 1,  99, 33,     0x800, 0, 0, 2,  99, 34, 0x800, 0,
        0, 3, 99, 35, 0x800, 0,     0, 4, 99, 32, 0x1000, 0,     0, 1, 20, 5}; /* to somebody else
                                                                                */
    static const uint32_t ranges[] = {0x1000000, 0, 0,          0, 0x3000000,  0, 0x10000,
                                      0x2000000, 0, 0x40000000, 0, 0x40000000, 0, 0x40000000,
                                      0x3000000, 4, 0,          4, 0,          4, 0};
    static const uint32_t mask[] = {0x1800, 0, 0, 7}, buses[] = {0, 255};
    static const uint32_t iommu_map[] = {0, PHANDLE, 0, 0, 0, PHANDLE, 0, 0xffff};
    fdt_node_at(w, "pci", ECAM);
    fdt_put_str(w, "compatible", "pci-host-ecam-generic");
    fdt_put_str(w, "device_type", "pci");
    fdt_put_reg64(w, ECAM, 0x10000000);
    fdt_put_u32(w, "#address-cells", 3);
    fdt_put_u32(w, "#size-cells", 2);
    fdt_put_u32(w, "#interrupt-cells", 1);
    fdt_put_u32(w, "msi-parent", 6);
    fdt_put_empty(w, "dma-coherent");
    fdt_put_cells(w, "bus-range", buses, 2);
    fdt_put_cells(w, "ranges", ranges, 21);
    fdt_put_cells(w, "interrupt-map", map, sizeof map / 4);
    fdt_put_cells(w, "interrupt-map-mask", mask, 4);
    if (behind)
        fdt_put_cells(w, "iommu-map", iommu_map, 8);
    fdt_end(w);
}

static void describe_board(bool behind)
{
    struct fdt_writer w;
    const uint32_t phandle = 20;
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node(&w, "cpus");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    fdt_node_at(&w, "cpu", 0);
    fdt_put_str(&w, "device_type", "cpu");
    fdt_put_u32(&w, "reg", 0);
    fdt_node(&w, "interrupt-controller");
    fdt_put_u32(&w, "phandle", phandle);
    fdt_end(&w);
    fdt_end(&w);
    fdt_end(&w);
    fdt_node(&w, "soc");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    plic_fdt(&board_plic, &w, PLIC, 99, &phandle);
    fdt_node_at(&w, "iommu", IOMMU);
    fdt_put_str(&w, "compatible", "riscv,iommu");
    fdt_put_reg64(&w, IOMMU, 0x1000);
    fdt_put_u32(&w, "phandle", PHANDLE);
    fdt_end(&w);
    put_host(&w, behind);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
}

static unsigned here(void)
{
    return 0;
}

static void set_up(bool behind)
{
    const struct irq board_out[2] = {wire_irq(board_wires, 0), wire_irq(board_wires, 1)};
    const struct irq guest_out[2] = {wire_irq(guest_wires, 0), wire_irq(guest_wires, 1)};
    memset(iommu_regs, 0, sizeof iommu_regs);
    iommu_regs[0] = 0x10 | 1u << 17;
    plic_init(&board_plic, 1, board_out);
    plic_init(&guest_plic, 1, guest_out);
    describe_board(behind);
    assert_int_equal(intc_find(&intc, &fdt, 0), 0);
    intc_start(&intc, &board_access, NULL);
    iommu_find(&iommu, &fdt);
    assert_non_null(strstr(iommu_start(&iommu, &board_access), "on: "));
    set = (struct pass_set){.all = &sets,
                            .used = unused,
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
    function_count = 0;
}

static int setup(void **state)
{
    (void)state;
    set_up(true);
    return 0;
}

static void free_leaves(void)
{
    /* Two levels above the leaf tables; all but the last of these are one. */
    uint64_t *middle = (uint64_t *)(uintptr_t)(iommu.root[0] >> 10 << 12);
    if (iommu.root[0] != 0) {
        host_free((void *)(uintptr_t)(middle[0] >> 10 << 12), 4096);
        host_free((void *)(uintptr_t)(middle[511] >> 10 << 12), 4096);
        host_free(middle, 4096);
    }
}

static int teardown(void **state)
{
    (void)state;
    free_leaves();
    host_free(iommu.root, 4096);
    host_free(iommu.commands, 4096);
    host_free(iommu.faults, 4096);
    gstage_fini(&gstage);
    return 0;
}

static void every_function_is_silenced(void **state)
{
    (void)state;
    struct function *host = add(0, 0, 0, 0x00081b36), *bridge = add(0, 2, 0, 0x000c1b36);
    struct function *many = add(0, 31, 0, 0x11111234), *last = add(0, 31, 7, 0x22221234);
    struct function *hidden = add(0, 3, 5, 0x33331234); /* its device has no function 0 */
    struct function *behind = add(3, 0, 0, 0x44441234), *beyond = add(4, 0, 0, 0x55551234);
    bridge->config[3] = 0x00010000;
    bridge->config[6] = 0x00030300; /* primary 0, secondary 3, subordinate 3 */
    many->config[3] = 0x00800000;
    assert_true(pci_quiet(&board_access, ECAM, 128));
    struct function *quiet[] = {host, bridge, many, last, behind};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(quiet[i]->config[1] & 0x407, 0x400);
    assert_int_equal(hidden->quieted, 0);
    assert_int_equal(beyond->quieted, 0);
    /* What a bridge says is not believed beyond what is mapped. */
    bridge->config[6] = 0x00ffff00;
    absent = 0;
    assert_true(pci_quiet(&board_access, ECAM, 2));
    assert_true(absent < 2 * 256 * 2);
}

static void virtio_devices_that_bypass_the_iommu_are_found(void **state)
{
    (void)state;
    add(0, 0, 0, 0x00081b36);
    struct function *virtio = add_virtio(0, 1, 3);
    assert_true(pci_quiet(&board_access, ECAM, 128));
    virtio->features[1] = 1; /* VERSION_1 alone */
    assert_false(pci_quiet(&board_access, ECAM, 128));
    assert_int_equal(virtio->config[1] & 7, 0);
    virtio->features[1] = 3;
    add(0, 2, 0, 0x10011af4); /* legacy: no capabilities */
    assert_false(pci_quiet(&board_access, ECAM, 128));
    /* A list of capabilities without an end. */
    function_count = 1;
    add_virtio(0, 1, 3)->config[0x50 / 4] = 0x05144009;
    assert_true(pci_quiet(&board_access, ECAM, 128));
}

static void a_host_without_an_iommu_is_refused(void **state)
{
    const char *why;
    teardown(state);
    set_up(false);
    assert_int_equal(pass_add(&set, "pci@30000000", &why), -E_NOTSUP);
    assert_non_null(strstr(why, "no IOMMU"));
    assert_int_equal(set.count, 0);
}

static void a_host_with_an_untranslated_device_is_refused(void **state)
{
    const char *why;
    (void)state;
    add_virtio(0, 1, 1);
    assert_int_equal(pass_add(&set, "pci@30000000", &why), -E_NOTSUP);
    assert_non_null(strstr(why, "iommu_platform"));
    assert_null(iommu_grant_of(&iommu, 8));
    function_count = 0;
    assert_int_equal(pass_add(&set, "pci@30000000", &why), 0);
}

static uint64_t context_of(uint32_t id, unsigned word)
{
    const uint64_t *middle = (const uint64_t *)(uintptr_t)(iommu.root[id >> 16] >> 10 << 12);
    const uint64_t *leaf = (const uint64_t *)(uintptr_t)(middle[id >> 7 & 511] >> 10 << 12);
    return leaf[(id & 127) * 4 + word];
}

static void pass_it(void)
{
    const char *why;
    assert_int_equal(pass_add(&set, "pci@30000000", &why), 0);
    assert_int_equal(pass_wire(&set, &guest_plic, NULL, &gstage), 0);
}

static void windows_and_configuration_are_mapped(void **state)
{
    (void)state;
    uint64_t size;
    pass_it();
    assert_int_equal(gstage_find(&gstage, 0x30000000, &size) >> 10 << 12, 0x30000000);
    assert_int_equal(size, 2 << 20);
    assert_int_equal(gstage_find(&gstage, 0x37ffffff, &size) >> 10 << 12, 0x37e00000);
    assert_int_equal(gstage_find(&gstage, 0x38000000, &size), 0); /* half the buses */
    assert_int_equal(gstage_find(&gstage, 0x3000000, &size) >> 10 << 12, 0x3000000);
    assert_int_equal(gstage_find(&gstage, 0x3010000, &size), 0); /* not the IOMMU */
    assert_int_equal(gstage_find(&gstage, 0x40000000, &size) >> 10 << 12, 0x40000000);
    assert_int_equal(size, 1 << 30);
    assert_int_equal(gstage_find(&gstage, 0x7fffffff, &size) >> 10 << 12, 0x40000000);
    assert_int_equal(gstage_find(&gstage, 0x400000000, &size) >> 10 << 12, 0x400000000);
    assert_int_equal(gstage_find(&gstage, 0x40000000, &size) & 0x3ff,
                     PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D);
}

static void a_window_that_meets_the_guests_ram_is_left_out(void **state)
{
    (void)state;
    uint64_t size;
    set.ram_size = 0x400000000 - 0x80000000 + 0x1000;
    pass_it();
    assert_int_equal(gstage_find(&gstage, 0x400000000, &size), 0);
    assert_int_not_equal(gstage_find(&gstage, 0x40000000, &size), 0);
}

static void requesters_reach_memory_from_start_to_reset(void **state)
{
    (void)state;
    struct function *f = add(0, 1, 0, 0x11e81234);
    pass_it();
    assert_int_equal(context_of(8, 0), 0);
    assert_int_equal(pass_start(&set), 0);
    assert_int_equal(context_of(8, 0), 1);
    assert_int_equal(context_of(8, 1),
                     8ULL << 60 | 1ULL << 44 | (uint64_t)(uintptr_t)gstage.root >> 12);
    f->config[1] = 6;
    pass_reset(&set);
    assert_int_equal(context_of(8, 0), 0);
    assert_int_equal(f->config[1] & 7, 0);
    assert_int_equal(pass_start(&set), 0);
    pass_close(&set);
    assert_int_equal(context_of(8, 0), 0);
    assert_null(iommu_grant_of(&iommu, 8));
}

static uint32_t cell_at(int node, const char *name, unsigned index)
{
    uint32_t len;
    const uint8_t *bytes = fdt_prop(&tree, node, name, &len);
    assert_non_null(bytes);
    assert_true(len >= 4 * (index + 1));
    return fdt_cell(bytes + 4 * (size_t)index);
}

static void describe_to_guest(uint32_t aplic_phandle)
{
    struct fdt_writer w;
    fdt_begin(&w, described, sizeof described);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    pass_describe(&set, &w, 7, aplic_phandle);
    fdt_end(&w);
    long total = fdt_finish(&w);
    assert_true(total > 0);
    assert_int_equal(fdt_open(&tree, described, (size_t)total), 0);
}

static void the_guests_tree_has_the_host_with_the_guests_lines(void **state)
{
    (void)state;
    uint64_t address, size;
    uint32_t len;
    pass_it();
    describe_to_guest(0);
    /* Not on the bus where addresses of memory are the board's. */
    assert_true(fdt_path(&tree, "/passthrough") < 0);
    int pci = fdt_path(&tree, "/pci@30000000");
    assert_int_equal(fdt_reg(&tree, pci, 0, &address, &size), 0);
    assert_int_equal(address, 0x30000000);
    assert_int_equal(size, 128 << 20);
    assert_int_equal(cell_at(pci, "bus-range", 0), 0);
    assert_int_equal(cell_at(pci, "bus-range", 1), 127);
    static const uint32_t memory[] = {0x2000000, 0, 0x40000000, 0, 0x40000000, 0, 0x40000000};
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(cell_at(pci, "ranges", 7 + i), memory[i]);
    assert_non_null(fdt_prop(&tree, pci, "interrupt-map", &len));
    assert_int_equal(len, 8 * 24);
    /* The board's 32 to 35 are the guest's 32 to 35: the first ones of both. */
    static const uint32_t pin2[] = {0x800, 0, 0, 4, 7, PASS_LINE};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(cell_at(pci, "interrupt-map", 7 * 6 + i), pin2[i]);
    assert_int_equal(cell_at(pci, "interrupt-map", 4 * 6 + 5), PASS_LINE + 1);
    assert_int_equal(cell_at(pci, "interrupt-map-mask", 0), 0x1800);
    assert_non_null(fdt_prop(&tree, pci, "dma-coherent", NULL));
    static const char *const gone[] = {"msi-parent", "iommu-map", "interrupts"};
    for (unsigned i = 0; i < 3; i++)
        assert_null(fdt_prop(&tree, pci, gone[i], NULL));
    /* The lines of an APLIC are its own, with how they are active: 4, high level. */
    describe_to_guest(9);
    pci = fdt_path(&tree, "/pci@30000000");
    assert_non_null(fdt_prop(&tree, pci, "interrupt-map", &len));
    assert_int_equal(len, 8 * 28);
    static const uint32_t of_aplic[] = {0x800, 0, 0, 4, 9, PASS_LINE, 4};
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(cell_at(pci, "interrupt-map", 7 * 7 + i), of_aplic[i]);
}

static void each_of_its_lines_comes_to_the_guest(void **state)
{
    (void)state;
    pass_it();
    for (unsigned i = 0; i < 4; i++) {
        plic_set(&board_plic, 32 + i, true);
        intc_interrupt(&intc, 0);
        write_reg(&plic_bus_ops, &guest_plic, 4 * (PASS_LINE + i), 4, 1);
        write_reg(&plic_bus_ops, &guest_plic, 0x2084, 4, 0xf);
        assert_int_equal(read_reg(&plic_bus_ops, &guest_plic, 0x201004, 4), PASS_LINE + i);
        plic_set(&board_plic, 32 + i, false);
        write_reg(&plic_bus_ops, &guest_plic, 0x201004, 4, PASS_LINE + i);
        assert_int_equal(read_reg(&plic_bus_ops, &guest_plic, 0x201004, 4), 0);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_function_is_silenced),
        T(virtio_devices_that_bypass_the_iommu_are_found),
        T(a_host_without_an_iommu_is_refused),
        T(a_host_with_an_untranslated_device_is_refused),
        T(windows_and_configuration_are_mapped),
        T(a_window_that_meets_the_guests_ram_is_left_out),
        T(requesters_reach_memory_from_start_to_reset),
        T(the_guests_tree_has_the_host_with_the_guests_lines),
        T(each_of_its_lines_comes_to_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
