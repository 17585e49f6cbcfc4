/*
 * The board's IOMMU: what the driver leaves in memory and in registers, as the RISC-V IOMMU
 * Architecture Specification 1.0 lays them out. The device here is a model of its own: it walks the
 * directory and takes commands by that text.
 */
#include "tests/unit/device_test.h"

#include "type1/dev_iommu.h"

#include <stdlib.h>
#include <string.h>

enum { MODE_OFF, MODE_BARE, MODE_1LVL, MODE_2LVL, MODE_3LVL };
#define PHANDLE 0x8000

/* Registers by their offsets in chapter 6. */
static struct model {
    uint32_t regs[0x400];
    unsigned levels_max; /* of the directory */
    bool deaf;           /* takes no commands */
    uint64_t commands[256];
    unsigned count;
} model;
static struct iommu iommu;
static uint8_t blob[4096];
static struct fdt fdt;
static unsigned tables; /* levels of the directory when it was last on */

static uint64_t reg64(uint32_t offset)
{
    return (uint64_t)model.regs[offset / 4 + 1] << 32 | model.regs[offset / 4];
}

static void take_commands(void)
{
    const uint64_t *queue =
        (const uint64_t *)(uintptr_t)((reg64(0x18) >> 10 & ((1ULL << 44) - 1)) << 12);
    unsigned entries = 2u << (reg64(0x18) & 31);
    while (model.regs[0x20 / 4] != model.regs[0x24 / 4]) {
        unsigned head = model.regs[0x20 / 4];
        assert_int_equal(queue[2 * head + 1], 0);
        if (model.count < 256)
            model.commands[model.count++] = queue[2 * head];
        model.regs[0x20 / 4] = (head + 1) % entries;
    }
}

static uint32_t model_read(void *registers, uint32_t offset)
{
    assert_int_equal((uintptr_t)registers, 0x3010000);
    return model.regs[offset / 4];
}

static void model_write(void *registers, uint32_t offset, uint32_t value)
{
    uint32_t *reg = &model.regs[offset / 4];
    assert_int_equal((uintptr_t)registers, 0x3010000);
    switch (offset) {
    case 0x0:
    case 0x4:
    case 0x20: fail_msg("a register that is read-only");
    case 0x10: /* a mode that is not there is not taken, nor one over another */
        if ((value & 15) <= MODE_BARE)
            *reg = value;
        else if ((value & 15) - 1 <= model.levels_max && (*reg & 15) <= MODE_BARE)
            *reg = value;
        break;
    case 0x48:
    case 0x4c: *reg = (value & 1) | (value & 1) << 16; break;
    default: *reg = value; break;
    }
    if (offset == 0x24 && !model.deaf)
        take_commands();
}

static const struct dev_access access_model = {.read = model_read, .write = model_write};

/* The device context of 3.1.3; NULL: the directory has none, or it is not valid. */
static const uint64_t *context(uint32_t id)
{
    static uint64_t dc[8];
    unsigned words = model.regs[0] & 1u << 22 ? 8 : 4, low = words == 8 ? 6 : 7;
    unsigned levels = (model.regs[0x10 / 4] & 15) - 1;
    const uint64_t *table = (const uint64_t *)(uintptr_t)((reg64(0x10) >> 10) << 12);
    if (id >> (low + 9 * (levels - 1)) != 0)
        return NULL; /* 3.3, step 3 */
    if (levels == 3) {
        uint64_t entry = table[id >> (low + 9)];
        if (!(entry & 1))
            return NULL;
        assert_int_equal(entry & ~1ULL & ~(((1ULL << 44) - 1) << 10), 0);
        table = (const uint64_t *)(uintptr_t)((entry >> 10) << 12);
    }
    if (levels >= 2) {
        uint64_t entry = table[id >> low & 511];
        if (!(entry & 1))
            return NULL;
        assert_int_equal(entry & ~1ULL & ~(((1ULL << 44) - 1) << 10), 0);
        table = (const uint64_t *)(uintptr_t)((entry >> 10) << 12);
    }
    memcpy(dc, table + (id & ((1u << low) - 1)) * words, words * 8);
    return dc[0] & 1 ? dc : NULL;
}

static void put_map(struct fdt_writer *w, const char *name, const uint32_t *map, size_t cells)
{
    fdt_node(w, name);
    fdt_put_cells(w, "iommu-map", map, cells);
    fdt_end(w);
}

static void put_device(struct fdt_writer *w, const char *name, uint32_t phandle, uint32_t id)
{
    const uint32_t cells[2] = {phandle, id};
    fdt_node(w, name);
    fdt_put_cells(w, "iommus", cells, 2);
    fdt_end(w);
}

static void describe(void)
{
    /* QEMU's has an empty entry and leaves the last id out; the PCI form leaves itself out. */
    static const uint32_t qemu[] = {0, PHANDLE, 0, 0, 0, PHANDLE, 0, 0xffff};
    static const uint32_t part[] = {0, PHANDLE, 0, 0x100};
    static const uint32_t two[] = {0, PHANDLE, 0, 0x8000, 0x8000, 77, 0x8000, 0x8000};
    static const uint32_t hole[] = {0, PHANDLE, 0, 8, 9, PHANDLE, 9, 0xfff6};
    static const uint32_t high[] = {0, PHANDLE, 0x30000, 0x10000};
    struct fdt_writer w;
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node_at(&w, "iommu", 0x3010000);
    fdt_put_str(&w, "compatible", "riscv,iommu");
    fdt_put_reg64(&w, 0x3010000, 0x1000);
    fdt_put_u32(&w, "phandle", PHANDLE);
    fdt_end(&w);
    put_map(&w, "pci", qemu, 8);
    put_map(&w, "part", part, 4);
    put_map(&w, "two", two, 8);
    put_map(&w, "hole", hole, 8);
    put_map(&w, "high", high, 4);
    put_device(&w, "nine", PHANDLE, 0x20009);
    put_device(&w, "ten", PHANDLE, 0x2000a);
    put_device(&w, "other", 77, 3);
    put_device(&w, "small", PHANDLE, 5);
    fdt_node(&w, "free");
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
}

/* Tables may be in many places of those above. */
static void *pages[64];
static unsigned page_count;

static void collect_tables(uint64_t *table, unsigned level)
{
    for (unsigned i = 0; i < page_count; i++) {
        if (pages[i] == table)
            return;
    }
    assert_true(page_count < 64);
    pages[page_count++] = table;
    for (unsigned i = 0; level > 1 && i < 512; i++) {
        if (table[i] != 0)
            collect_tables((uint64_t *)(uintptr_t)((table[i] >> 10) << 12), level - 1);
    }
}

static int teardown(void **state)
{
    unsigned levels = (model.regs[0x10 / 4] & 15) > 1 ? (model.regs[0x10 / 4] & 15) - 1 : tables;
    (void)state;
    if (iommu.root == NULL)
        return 0;
    collect_tables(iommu.root, levels);
    while (page_count != 0)
        host_free(pages[--page_count], 4096);
    host_free(iommu.commands, 4096);
    host_free(iommu.faults, 4096);
    iommu.root = NULL;
    return 0;
}

static int setup(void **state)
{
    teardown(state);
    memset(&model, 0, sizeof model);
    model.regs[0] = 0x10 | 1u << 17 | 1u << 22; /* 1.0, Sv39x4, MSI_FLAT */
    model.levels_max = 3;
    describe();
    iommu_find(&iommu, &fdt);
    return 0;
}

static void started(void)
{
    const char *words = iommu_start(&iommu, &access_model);
    assert_non_null(strstr(words, "on: "));
    model.count = 0;
    tables = iommu.levels;
}

static int grant(const char *name)
{
    return iommu_grant(&iommu, &fdt, fdt_child(&fdt, 0, name), "guest");
}

static void takes_over_with_an_empty_directory(void **state)
{
    (void)state;
    model.regs[0x10 / 4] = MODE_BARE; /* as the firmware left it */
    const char *words = iommu_start(&iommu, &access_model);
    assert_non_null(strstr(words, "on: "));
    assert_int_equal(model.regs[0x10 / 4] & 15, MODE_3LVL);
    assert_int_equal(model.regs[0x48 / 4], 0x10001);
    assert_int_equal(model.regs[0x4c / 4], 0x10001);
    assert_int_equal(reg64(0x18) & 31, 7); /* LOG2SZ-1 of 256 commands */
    assert_int_equal(reg64(0x28) & 31, 6); /* and of 128 records */
    assert_int_equal(reg64(0x18) >> 54, 0);
    static const uint32_t ids[] = {0, 8, 0xffff, 0x10000, 0xffffff};
    for (unsigned i = 0; i < 5; i++)
        assert_null(context(ids[i]));
    /* IODIR.INVAL_DDT, IOTINVAL.VMA, IOTINVAL.GVMA for all; IOFENCE.C with PR and PW */
    static const uint64_t all[] = {0x3, 0x1, 0x81, 0x3002};
    assert_int_equal(model.count, 4);
    assert_memory_equal(model.commands, all, sizeof all);
}

static void uses_as_many_levels_as_there_are(void **state)
{
    for (unsigned levels = 3; levels >= 1; levels--) {
        for (unsigned flat = 0; flat < 2; flat++) {
            setup(state);
            model.levels_max = levels;
            model.regs[0] = 0x10 | 1u << 17 | flat << 22;
            started();
            assert_int_equal(model.regs[0x10 / 4] & 15, levels + 1);
            /* 16 bits: more than two levels of the extended format have. */
            bool fits = levels + !flat > 2;
            assert_int_equal(grant("pci"), fits ? 0 : -E_RANGE);
            assert_int_equal(grant("nine"), levels > 2 ? 1 : -E_RANGE);
            if (fits)
                continue;
            assert_int_equal(grant("small"), 0);
            assert_int_equal(iommu_open(&iommu, 0, 0x8000000000080000), 0);
            assert_non_null(context(5));
            assert_null(context(4));
            assert_null(context(6));
        }
    }
}

static void a_pci_host_has_all_its_requesters_and_no_other(void **state)
{
    static const uint32_t ids[] = {0, 1, 8, 63, 64, 127, 128, 0x1fff, 0x8000, 0xfffe};
    for (unsigned flat = 0; flat < 2; flat++) {
        setup(state);
        model.regs[0] = 0x10 | 1u << 17 | flat << 22;
        started();
        int at = grant("pci");
        assert_int_equal(at, 0);
        for (unsigned i = 0; i < 10; i++)
            assert_null(context(ids[i]));
        model.count = 0;
        assert_int_equal(iommu_open(&iommu, at, 0x8000000000081230), 0);
        for (unsigned i = 0; i < 10; i++) {
            const uint64_t *dc = context(ids[i]);
            assert_non_null(dc);
            assert_int_equal(dc[0], 1);
            assert_int_equal(dc[1], 0x8000100000081230); /* Sv39x4, GSCID 1, PPN 0x81230 */
            for (unsigned word = 2; word < (flat ? 8 : 4); word++)
                assert_int_equal(dc[word], 0);
        }
        assert_null(context(0xffff));
        assert_null(context(0x10008));
        static const uint64_t one[] = {0x3, 0x0000100200000001, 0x0000100200000081, 0x3002};
        assert_int_equal(model.count, 4);
        assert_memory_equal(model.commands, one, sizeof one);
        iommu_flush(&iommu, at);
        assert_non_null(context(8));
        assert_int_equal(model.count, 8);
        assert_memory_equal(model.commands + 4, one, sizeof one);
        iommu_close(&iommu, at);
        for (unsigned i = 0; i < 10; i++)
            assert_null(context(ids[i]));
        assert_int_equal(model.count, 12);
        assert_memory_equal(model.commands + 8, one, sizeof one);
    }
}

static void neighbours_in_a_leaf_table_are_apart(void **state)
{
    (void)state;
    started();
    int nine = grant("nine"), ten = grant("ten");
    assert_int_equal(iommu_open(&iommu, nine, 0x8000000000080000), 0);
    assert_int_equal(context(0x20009)[1], 0x8000100000080000);
    assert_null(context(0x2000a));
    assert_int_equal(iommu_open(&iommu, ten, 0x8000000000090000), 0);
    iommu_close(&iommu, nine);
    assert_null(context(0x20009));
    assert_int_equal(context(0x2000a)[1], 0x8000200000090000);
    /* The hypervisor's own: no second stage. */
    assert_int_equal(iommu_open(&iommu, ten, 0), 0);
    assert_int_equal(context(0x2000a)[1], 0);
}

static void what_is_not_wholly_behind_it_is_refused(void **state)
{
    (void)state;
    assert_int_equal(grant("pci"), -E_NODEV); /* not started */
    started();
    static const char *const names[] = {"part", "two", "hole", "other", "free", "none"};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(grant(names[i]), -E_NODEV);
    assert_int_equal(grant("high"), 0);
}

static void a_device_is_one_guests(void **state)
{
    (void)state;
    started();
    int pci = grant("pci");
    assert_int_equal(grant("pci"), -E_BUSY);
    assert_int_equal(grant("small"), -E_BUSY); /* one of that host's ids */
    assert_int_equal(iommu_open(&iommu, pci, 0x8000000000080000), 0);
    iommu_revoke(&iommu, pci);
    assert_null(context(8));
    assert_null(iommu_grant_of(&iommu, 8));
    assert_int_equal(iommu_grant(&iommu, &fdt, fdt_child(&fdt, 0, "pci"), "second"), pci);
    assert_null(context(8));
    assert_string_equal(iommu_grant_of(&iommu, 8)->owner, "second");
    assert_string_equal(iommu_grant_of(&iommu, 0xfffe)->device, "pci");
    assert_null(iommu_grant_of(&iommu, 0xffff));
}

static void the_hypervisors_own_device_can_be_given_away(void **state)
{
    (void)state;
    started();
    int own = iommu_grant(&iommu, &fdt, fdt_child(&fdt, 0, "small"), NULL);
    assert_int_equal(iommu_open(&iommu, own, 0), 0);
    assert_non_null(context(5));
    model.count = 0;
    assert_int_equal(grant("small"), own);
    assert_null(context(5));
    assert_int_equal(model.count, 4); /* and the IOMMU is told at once */
    assert_int_equal(model.commands[0], 0x3);
}

static void a_table_that_it_does_not_know_is_refused(void **state)
{
    (void)state;
    started();
    int at = grant("small");
    assert_int_equal(iommu_open(&iommu, at, 0x9000000000080000), -E_NOTSUP); /* Sv48x4 */
    assert_int_equal(iommu_open(&iommu, at, 0x1000000000080000), -E_NOTSUP);
    assert_null(context(5));
    assert_int_equal(iommu_open(&iommu, at, 0x8000000000080000), 0);
}

static void one_that_does_not_answer_is_switched_off(void **state)
{
    (void)state;
    started();
    int at = grant("small");
    assert_int_equal(iommu_open(&iommu, at, 0x8000000000080000), 0);
    model.deaf = true;
    iommu_close(&iommu, at);
    assert_int_equal(model.regs[0x10 / 4] & 15, MODE_OFF);
    assert_int_equal(iommu_open(&iommu, at, 0x8000000000080000), -E_IO);
    assert_int_equal(grant("nine"), -E_NODEV);
    setup(state);
    model.deaf = true;
    assert_non_null(strstr(iommu_start(&iommu, &access_model), "off: "));
    assert_int_equal(model.regs[0x10 / 4] & 15, MODE_OFF);
    setup(state);
    model.regs[0] = 0x20 | 1u << 17; /* 2.0 */
    assert_non_null(strstr(iommu_start(&iommu, &access_model), "off: "));
}

/* Figure 38: CAUSE 11:0, PID 31:12, PV 32, PRIV 33, TTYP 39:34, DID 63:40; iotval, iotval2. */
static void faults_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        uint64_t record[4];
        struct iommu_fault fault;
    } rows[] = {
        /* write, guest page fault, requester 00:01.0 */
        {{23 | 3ULL << 34 | 8ULL << 40, 0, 0x81000004, 0x81000004}, {23, 8, 0x81000004, true}},
        /* read, requester ff:1f.7 */
        {{21 | 2ULL << 34 | 0xffffULL << 40, 0, 0xfffffffffffff000, 0},
         {21, 0xffff, 0xfffffffffffff000, false}},
        /* translated write where ATS is off; the process id is not the device's */
        {{260 | 0xfffffULL << 12 | 3ULL << 32 | 7ULL << 34 | 0xabcdefULL << 40, 0, 5, 0},
         {260, 0xabcdef, 5, true}},
        {{258 | 1ULL << 34, 0, 0, 0}, {258, 0, 0, false}},
    };
    struct iommu_fault fault;
    for (unsigned i = 0; i < 4; i++) {
        iommu_decode_fault(rows[i].record, &fault);
        assert_int_equal(fault.cause, rows[i].fault.cause);
        assert_int_equal(fault.device, rows[i].fault.device);
        assert_int_equal(fault.address, rows[i].fault.address);
        assert_int_equal(fault.write, rows[i].fault.write);
    }
}

static void faults_come_in_their_order_and_the_queue_goes_round(void **state)
{
    (void)state;
    struct iommu_fault fault;
    assert_false(iommu_next_fault(&iommu, &fault));
    started();
    uint64_t *queue = (uint64_t *)(uintptr_t)((reg64(0x28) >> 10) << 12);
    uint32_t tail = 0;
    for (unsigned round = 0; round < 300; round++) {
        queue[4 * tail] = 21 | 2ULL << 34;
        queue[4 * tail + 2] = round;
        tail = (tail + 1) % 128;
        model.regs[0x34 / 4] = tail;
        if (round % 3 == 0)
            continue;
        for (unsigned left = round % 3 == 1 ? 2 : 1; left != 0; left--) {
            assert_true(iommu_next_fault(&iommu, &fault));
            assert_int_equal(fault.address, round - left + 1);
        }
        assert_int_equal(model.regs[0x30 / 4], tail);
        assert_false(iommu_next_fault(&iommu, &fault));
    }
    /* What a device writes there, and the tail, are anything. */
    model.regs[0x34 / 4] = 0xffffffff;
    unsigned count = 0;
    while (count < 1000 && iommu_next_fault(&iommu, &fault))
        count++;
    assert_true(count < 128);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(takes_over_with_an_empty_directory),
        T(uses_as_many_levels_as_there_are),
        T(a_pci_host_has_all_its_requesters_and_no_other),
        T(neighbours_in_a_leaf_table_are_apart),
        T(what_is_not_wholly_behind_it_is_refused),
        T(a_device_is_one_guests),
        T(the_hypervisors_own_device_can_be_given_away),
        T(a_table_that_it_does_not_know_is_refused),
        T(one_that_does_not_answer_is_switched_off),
        T(faults_are_read_as_they_are_written),
        T(faults_come_in_their_order_and_the_queue_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
