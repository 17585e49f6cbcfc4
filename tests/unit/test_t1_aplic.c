/*
 * Type 1's driver of a board's APLIC (RISC-V AIA 1.0, chapter 4), against registers that do what
 * the specification says of them as far as the driver uses them; and a device behind it that is
 * passed to a guest with interrupt files.
 */
#include "tests/unit/device_test.h"

#include "type1/dev_pass.h"

#define APLIC  0xd000000u
#define DEVICE 0x10008000u
#define HARTS  3
#define LINE   8

/* What an APLIC's registers hold. */
static struct {
    uint32_t domaincfg, sourcecfg[64], target[64], idelivery[HARTS], ithreshold[HARTS];
    uint64_t enabled, wires, pending;
    unsigned sent; /* messages, or interrupts made pending by software */
} chip;
static uint32_t identities[8]; /* in the file of the hart that looks */
static struct intc intc;
static uint8_t blob[16384];
static struct fdt fdt;

static uint32_t chip_read(void *registers, uint32_t offset)
{
    if ((uintptr_t)registers != APLIC)
        return 0;
    switch (offset) {
    case 0: return chip.domaincfg;
    case 0x1d00: return (uint32_t)chip.wires;
    case 0x4000 + 32 * 2 + 0x1c: { /* claimi of hart index 2 */
        uint64_t ready = chip.pending & chip.enabled;
        return ready != 0 ? (uint32_t)__builtin_ctzll(ready) << 16 | 1 : 0;
    }
    default: return 0;
    }
}

static void chip_write(void *registers, uint32_t offset, uint32_t value)
{
    if ((uintptr_t)registers != APLIC)
        return;
    if (offset == 0)
        chip.domaincfg = value;
    else if (offset < 0x100)
        chip.sourcecfg[offset / 4] = value;
    else if (offset == 0x1cdc) /* setipnum: a level that is down does not become pending (4.7) */
        chip.sent += (chip.wires >> value & 1) != 0;
    else if (offset == 0x1edc)
        chip.enabled |= 1ULL << value;
    else if (offset == 0x1fdc)
        chip.enabled &= ~(1ULL << value);
    else if (offset == 0x1f00 || offset == 0x1f04)
        chip.enabled &= ~((uint64_t)value << (offset - 0x1f00) * 8);
    else if (offset > 0x3000 && offset < 0x3100)
        chip.target[(offset - 0x3000) / 4] = value;
    else if (offset >= 0x4000 && offset < 0x4000 + 32 * HARTS && offset % 32 == 0)
        chip.idelivery[(offset - 0x4000) / 32] = value;
    else if (offset >= 0x4000 && offset < 0x4000 + 32 * HARTS && offset % 32 == 8)
        chip.ithreshold[(offset - 0x4000) / 32] = value;
}

static const struct dev_access chip_access = {.read = chip_read, .write = chip_write};

static void file_start(unsigned ids)
{
    (void)ids;
}

static uint32_t file_claim(void)
{
    uint32_t first = identities[0];
    memmove(identities, identities + 1, sizeof identities - sizeof identities[0]);
    return first;
}

static const struct imsic_access file_access = {.start = file_start, .claim = file_claim};

/* Harts 0, 1, 2; the APLIC counts them from the last to the first where it drives them itself. */
static void describe(bool messages)
{
    struct fdt_writer w;
    uint32_t cells[2 * HARTS], reversed[2 * HARTS];
    fdt_begin(&w, blob, sizeof blob);
    fdt_node(&w, "");
    fdt_put_u32(&w, "#address-cells", 2);
    fdt_put_u32(&w, "#size-cells", 2);
    fdt_node(&w, "cpus");
    fdt_put_u32(&w, "#address-cells", 1);
    fdt_put_u32(&w, "#size-cells", 0);
    for (unsigned i = 0; i < HARTS; i++) {
        fdt_node_at(&w, "cpu", i);
        fdt_put_str(&w, "device_type", "cpu");
        fdt_put_u32(&w, "reg", i);
        fdt_node(&w, "interrupt-controller");
        fdt_put_u32(&w, "phandle", 20 + i);
        fdt_end(&w);
        fdt_end(&w);
        cells[2 * i] = reversed[2 * (HARTS - 1 - i)] = 20 + i;
        cells[2 * i + 1] = reversed[2 * i + 1] = 9;
    }
    fdt_end(&w);
    fdt_node_at(&w, "imsics", 0x28000000);
    fdt_put_str(&w, "compatible", "riscv,imsics");
    fdt_put_reg64(&w, 0x28000000, 0x10000);
    fdt_put_cells(&w, "interrupts-extended", cells, 2 * HARTS);
    fdt_put_u32(&w, "riscv,num-ids", 255);
    fdt_put_u32(&w, "riscv,guest-index-bits", 2);
    fdt_put_u32(&w, "phandle", 30);
    fdt_end(&w);
    fdt_node_at(&w, "aplic", APLIC);
    fdt_put_str(&w, "compatible", "riscv,aplic");
    fdt_put_reg64(&w, APLIC, 0x8000);
    if (messages)
        fdt_put_u32(&w, "msi-parent", 30);
    else
        fdt_put_cells(&w, "interrupts-extended", reversed, 2 * HARTS);
    fdt_put_u32(&w, "riscv,num-sources", 60);
    fdt_put_u32(&w, "phandle", 40);
    fdt_end(&w);
    fdt_node_at(&w, "device", DEVICE);
    fdt_put_str(&w, "compatible", "some,device");
    fdt_put_reg64(&w, DEVICE, 0x1000);
    fdt_put_u32(&w, "interrupt-parent", 40);
    const uint32_t line[2] = {LINE, 4}; /* a high level */
    fdt_put_cells(&w, "interrupts", line, 2);
    fdt_end(&w);
    fdt_end(&w);
    long size = fdt_finish(&w);
    assert_true(size > 0);
    assert_int_equal(fdt_open(&fdt, blob, (size_t)size), 0);
}

static void begin(bool messages)
{
    memset(&chip, 0, sizeof chip);
    memset(identities, 0, sizeof identities);
    chip.enabled = ~0ULL; /* what firmware left */
    describe(messages);
    assert_int_equal(intc_find(&intc, &fdt, 0), 0);
    for (unsigned i = 1; i < HARTS; i++)
        assert_true(intc_add_hart(&intc, i, i));
    assert_false(intc_add_hart(&intc, HARTS, 7));
    intc_start(&intc, &chip_access, &file_access);
    assert_int_equal(intc_line_of(&intc, &fdt, fdt_path(&fdt, "/device")), LINE);
}

static unsigned handled;

static bool handle(void *arg)
{
    (void)arg;
    handled++;
    return true;
}

static void messages_go_to_the_boot_hart_and_then_where_they_are_moved(void **state)
{
    (void)state;
    begin(true);
    assert_int_equal(chip.domaincfg, 1 << 8 | 1 << 2);
    assert_int_equal(chip.enabled, 0);
    assert_int_equal(intc_open(&intc, LINE, handle, NULL), 0);
    assert_int_equal(chip.sourcecfg[LINE], 6); /* level high */
    assert_int_equal(chip.target[LINE], 0 << 18 | 1);
    assert_int_equal(chip.enabled, 1 << LINE);
    intc_move(&intc, LINE, 2);
    assert_int_equal(chip.target[LINE], 2 << 18 | 1);
    assert_int_equal(chip.enabled, 1 << LINE);
    intc_move(&intc, LINE, HARTS); /* which gets no interrupts */
    assert_int_equal(chip.target[LINE], 2 << 18 | 1);
    handled = 0;
    identities[0] = 1;
    identities[1] = 9; /* nobody's */
    intc_interrupt(&intc, 2);
    assert_int_equal(handled, 1);
}

static void level_that_is_up_is_sent_again_and_one_that_is_down_is_not(void **state)
{
    (void)state;
    begin(true);
    chip.wires = 1 << LINE;
    assert_int_equal(intc_open(&intc, LINE, handle, NULL), 0);
    assert_int_equal(chip.sent, 1); /* it made its edge before anybody listened */
    intc_complete(&intc, LINE);
    assert_int_equal(chip.sent, 2);
    intc_move(&intc, LINE, 1); /* its message may not have reached the old hart */
    assert_int_equal(chip.sent, 3);
    chip.wires = 0;
    intc_complete(&intc, LINE);
    intc_complete(&intc, LINE + 1); /* nobody's */
    assert_int_equal(chip.sent, 3);
}

static void line_can_be_aimed_at_a_guests_file_and_back(void **state)
{
    (void)state;
    begin(true);
    assert_int_equal(intc_open(&intc, LINE, handle, NULL), 0);
    assert_true(intc_aim(&intc, LINE, 1 << 18 | 3 << 12 | 77));
    assert_int_equal(chip.target[LINE], 1 << 18 | 3 << 12 | 77);
    intc_move(&intc, LINE, 2);
    assert_int_equal(chip.target[LINE], 1 << 18 | 3 << 12 | 77);
    assert_true(intc_aim(&intc, LINE, 0));
    assert_int_equal(chip.target[LINE], 2 << 18 | 1);
    intc_close(&intc, LINE);
    assert_int_equal(chip.enabled, 0);
    assert_false(intc_aim(&intc, LINE, 1 << 18));
}

static void without_imsics_a_line_follows_too(void **state)
{
    (void)state;
    begin(false);
    assert_int_equal(chip.domaincfg, 1 << 8);
    for (unsigned i = 0; i < HARTS; i++) {
        assert_int_equal(chip.idelivery[i], 1);
        assert_int_equal(chip.ithreshold[i], 0);
    }
    assert_int_equal(intc_open(&intc, LINE, handle, NULL), 0);
    assert_int_equal(chip.target[LINE], 2 << 18 | 1); /* hart 0 is its last */
    assert_false(intc_aim(&intc, LINE, 1 << 18));
    handled = 0;
    chip.pending = 1 << LINE;
    struct intc *ours = &intc;
    assert_int_equal(ours->kind->claim(ours, 2), LINE);
    assert_int_equal(chip.enabled, 0); /* shut until it is completed */
    intc_complete(&intc, LINE);
    assert_int_equal(chip.enabled, 1 << LINE);
    intc_move(&intc, LINE, 1);
    assert_int_equal(chip.target[LINE], 1 << 18 | 1);
}

/* ---- A device of a guest that has an APLIC ---- */

static struct aplic guest;
static struct pass_set set, *sets = &set; /* of all guests: one */

static bool unused(uint64_t from, uint64_t size)
{
    (void)from, (void)size;
    return false;
}
static struct gstage gstage;
static struct {
    uint64_t address;
    uint32_t data;
    unsigned count;
} last;
static uint32_t files[2];
static unsigned here_now;

static void message(void *sink, uint64_t address, uint32_t data)
{
    (void)sink;
    last.address = address;
    last.data = data;
    last.count++;
}

static unsigned here(void)
{
    return here_now;
}

static uint32_t file_of(struct vm *vm, unsigned vcpu)
{
    (void)vm;
    return vcpu < 2 ? files[vcpu] : 0;
}

static void pass_one(void)
{
    const char *why;
    const struct msi msi = {.send = message};
    begin(true);
    memset(&last, 0, sizeof last);
    memset(files, 0, sizeof files);
    here_now = 0;
    aplic_init(&guest, &(struct aplic_where){.hart_count = 2, .imsic = 0x28000000}, &msi);
    static struct iommu none; /* not started */
    none.node = -1;
    set = (struct pass_set){.all = &sets,
                            .used = unused,
                            .fdt = &fdt,
                            .access = &chip_access,
                            .iommu = &none,
                            .intc = &intc,
                            .here = here,
                            .file_of = file_of};
    assert_int_equal(gstage_init(&gstage, 3, 11), 0);
    assert_int_equal(pass_add(&set, "/device@10008000", &why), 0);
    assert_int_equal(pass_wire(&set, NULL, &guest, &gstage), 0);
}

static void guest_write(uint32_t offset, uint32_t value)
{
    write_reg(&aplic_bus_ops, &guest.s, offset, 4, value);
}

/* As Linux sets it up: VCPU 1, identity 21. */
static void guest_opens(void)
{
    guest_write(0, 1 << 8);
    guest_write(4 * PASS_LINE, 6);
    guest_write(0x3000 + 4 * PASS_LINE, 1 << 18 | 21);
    guest_write(0x1edc, PASS_LINE);
}

static void file_in_memory_gets_a_message_until_the_guest_asks_again(void **state)
{
    (void)state;
    pass_one();
    guest_opens();
    assert_int_equal(chip.target[LINE], 0 << 18 | 1); /* to the hypervisor */
    chip.wires = 1 << LINE;
    identities[0] = 1;
    intc_interrupt(&intc, 0);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.address, 0x28001000);
    assert_int_equal(last.data, 21);
    unsigned sent = chip.sent;
    here_now = 2;
    guest_write(0x2000, PASS_LINE);                   /* setipnum_le: the device still asks */
    assert_int_equal(chip.target[LINE], 2 << 18 | 1); /* and comes where the VCPU runs now */
    assert_true(chip.sent > sent);
    assert_int_equal(last.count, 1); /* nobody knows yet that it does */
    identities[0] = 1;
    intc_interrupt(&intc, 2);
    assert_int_equal(last.count, 2);
    chip.wires = 0;
    sent = chip.sent;
    guest_write(0x2000, PASS_LINE);
    assert_int_equal(chip.sent, sent);
    assert_int_equal(last.count, 2);
    gstage_fini(&gstage);
}

static void what_comes_while_the_guest_does_not_listen_is_kept(void **state)
{
    (void)state;
    pass_one();
    identities[0] = 1;
    intc_interrupt(&intc, 0);
    assert_int_equal(last.count, 0);
    guest_opens();
    assert_int_equal(last.count, 1);
    /* An edge that comes before the guest has asked again is not lost either. */
    identities[0] = 1;
    intc_interrupt(&intc, 0);
    assert_int_equal(last.count, 1);
    guest_write(0x2000, PASS_LINE);
    assert_int_equal(last.count, 2);
    gstage_fini(&gstage);
}

static void file_of_a_hart_gets_it_straight(void **state)
{
    (void)state;
    pass_one();
    files[1] = 2 << 18 | 3 << 12;
    assert_int_equal(chip.target[LINE], 0 << 18 | 1);
    guest_opens();
    assert_int_equal(chip.target[LINE], 2 << 18 | 3 << 12 | 21);
    chip.wires = 1 << LINE;
    unsigned sent = chip.sent;
    guest_write(0x2000, PASS_LINE);
    assert_true(chip.sent > sent);
    assert_int_equal(chip.target[LINE], 2 << 18 | 3 << 12 | 21);
    /* The guest masks it, or its VCPU loses the file: it comes to the hypervisor. */
    guest_write(0x1fdc, PASS_LINE);
    assert_int_equal(chip.target[LINE] >> 12 & 0x3f, 0);
    guest_write(0x1edc, PASS_LINE);
    assert_int_equal(chip.target[LINE], 2 << 18 | 3 << 12 | 21);
    files[1] = 0;
    pass_files_moved(&set);
    assert_int_equal(chip.target[LINE] & 0x3f7ff, 1);
    files[1] = 1 << 18 | 1 << 12;
    pass_files_moved(&set);
    assert_int_equal(chip.target[LINE], 1 << 18 | 1 << 12 | 21);
    guest_write(0x3000 + 4 * PASS_LINE, 0 << 18 | 22); /* a VCPU without a file */
    assert_int_equal(chip.target[LINE] & 0x3f7ff, 1);
    gstage_fini(&gstage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_to_the_boot_hart_and_then_where_they_are_moved),
        cmocka_unit_test(level_that_is_up_is_sent_again_and_one_that_is_down_is_not),
        cmocka_unit_test(line_can_be_aimed_at_a_guests_file_and_back),
        cmocka_unit_test(without_imsics_a_line_follows_too),
        cmocka_unit_test(file_in_memory_gets_a_message_until_the_guest_asks_again),
        cmocka_unit_test(what_comes_while_the_guest_does_not_listen_is_kept),
        cmocka_unit_test(file_of_a_hart_gets_it_straight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
