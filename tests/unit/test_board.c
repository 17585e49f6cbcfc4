/* The board: device tree, placing of payloads, start of the harts. */
#include "tests/unit/board_test.h"

#include "riscv/csr.h"

#include <stdio.h>
#include <unistd.h>

#define MIB (1ULL << 20)

static int teardown(void **state)
{
    (void)state;
    board_test_fini();
    return 0;
}

/* ---- Backends that are there and do nothing ---- */

static void held_submit(struct block_backend *backend, struct block_request *request)
{
    (void)backend;
    (void)request;
}
static const struct block_ops held_ops = {.submit = held_submit};
static struct block_backend disks[SPEC_DISKS_MAX];

static void net_send(struct net_backend *backend, const struct buffer *buffers, unsigned count,
                     const struct net_checksum *checksum)
{
    (void)backend;
    (void)buffers;
    (void)count;
    (void)checksum;
}
static const struct net_ops null_net_ops = {.send = net_send};
static struct net_backend nets[SPEC_NETS_MAX];

static int fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    (void)backend;
    memset(bytes, 0x5a, len);
    return 0;
}
static struct entropy_backend entropy = {.fill = fill};

static void release(struct reclaim_backend *backend, void *hva, size_t len)
{
    (void)backend;
    (void)hva;
    (void)len;
}
static struct reclaim_backend reclaim = {.release = release};
static struct stream_backend hvc = {.ops = &console_ops};

static struct board_backends full_set(unsigned disk_count, unsigned net_count)
{
    struct board_backends backends = {.console = &hvc, .entropy = &entropy, .reclaim = &reclaim};
    for (unsigned i = 0; i < disk_count; i++) {
        disks[i] = (struct block_backend){.ops = &held_ops, .size = 512 * 100};
        backends.disks[i] = &disks[i];
    }
    for (unsigned i = 0; i < net_count; i++) {
        nets[i] = (struct net_backend){.ops = &null_net_ops};
        backends.nets[i] = &nets[i];
    }
    backends.disk_count = disk_count;
    backends.net_count = net_count;
    return backends;
}

/* ---- Booting ---- */

static const char *problem;

static int boot(size_t kernel_size, uint64_t kernel_mem, size_t initrd_size, size_t firmware_size)
{
    uint8_t *kernel = kernel_size != 0 ? make_image(kernel_size, kernel_mem) : NULL;
    uint8_t *initrd = initrd_size != 0 ? malloc(initrd_size) : NULL;
    uint8_t *firmware = firmware_size != 0 ? malloc(firmware_size) : NULL;
    struct board_payload payload = {.cmdline = "console=ttyS0 quiet"};
    if (kernel != NULL)
        payload.kernel = (struct board_blob){kernel, kernel_size};
    if (initrd != NULL) {
        memset(initrd, 0xa7, initrd_size);
        payload.initrd = (struct board_blob){initrd, initrd_size};
    }
    if (firmware != NULL) {
        memset(firmware, 0x13, firmware_size);
        payload.firmware = (struct board_blob){firmware, firmware_size};
    }
    memset(payload.rng_seed, 0x42, sizeof payload.rng_seed);
    int error = board_boot(&board, &payload, &problem);
    free(kernel);
    free(initrd);
    free(firmware);
    return error;
}

static void open_tree(struct fdt *fdt, uint64_t gpa)
{
    assert_true(gpa >= BOARD_RAM && gpa - BOARD_RAM < ram_size);
    assert_int_equal(gpa % 8, 0);
    assert_int_equal(
        fdt_open(fdt, ram + (gpa - BOARD_RAM), fdt_total_size(ram + (gpa - BOARD_RAM))), 0);
}

static uint64_t rom_u64(unsigned offset)
{
    uint64_t value;
    assert_int_equal(mem_read(&vm.mem, BOARD_ROM_BASE + offset, &value, sizeof value), 0);
    return value;
}

static void direct_boot_enters_the_kernel_in_supervisor_mode(void **state)
{
    (void)state;
    assert_int_equal(board_test_init(2, 64 * MIB, NULL), 0);
    assert_int_equal(boot(8192, 3 * MIB, 0, 0), 0);
    assert_true(harts[0].pc == BOARD_RAM + 2 * MIB);
    assert_int_equal(harts[0].priv, PRIV_S);
    assert_int_equal(harts[0].x[10], 0);
    assert_true(harts[0].sbi);
    assert_int_equal(harts[0].vcpu.run_state, VCPU_RUNNING);
    assert_int_equal(harts[1].vcpu.run_state, VCPU_STOPPED);
    assert_memory_equal(ram + 2 * MIB, "\x6f\x00\x00\x04", 4);
    struct fdt fdt;
    open_tree(&fdt, harts[0].x[11]);
}

static void firmware_boot_starts_all_harts_at_the_reset_vector(void **state)
{
    (void)state;
    assert_int_equal(board_test_init(2, 64 * MIB, NULL), 0);
    assert_int_equal(boot(8192, 3 * MIB, 0, 4096), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(harts[i].pc == 0x1000);
        assert_int_equal(harts[i].priv, PRIV_M);
        assert_false(harts[i].sbi);
        assert_int_equal(harts[i].vcpu.run_state, VCPU_RUNNING);
    }
    assert_int_equal(ram[0], 0x13);
    assert_memory_equal(ram + 2 * MIB, "\x6f\x00\x00\x04", 4);
    struct fdt fdt;
    assert_true(rom_u64(24) == BOARD_RAM);
    open_tree(&fdt, rom_u64(32));
    assert_true(rom_u64(40) == 0x4942534f); /* "OSBI" */
    assert_int_equal(rom_u64(48), 2);
    assert_true(rom_u64(56) == BOARD_RAM + 2 * MIB);
    assert_int_equal(rom_u64(64), 1); /* S-mode */
    /* The code, as an assembler gives it: auipc t0,0; addi a2,t0,40; csrr a0,mhartid; ld a1,32(t0);
     * ld t0,24(t0); jr t0. */
    assert_true(rom_u64(0) == 0x0282861300000297);
    assert_true(rom_u64(8) == 0x0202b583f1402573);
    assert_true(rom_u64(16) == 0x000280670182b283);
}

static void rom_is_read_only(void **state)
{
    (void)state;
    assert_int_equal(board_test_init(1, 64 * MIB, NULL), 0);
    assert_int_equal(boot(0, 0, 0, 4096), 0);
    assert_null(mem_map(&vm.mem, BOARD_ROM_BASE, 8, true));
    assert_non_null(mem_map(&vm.mem, BOARD_ROM_BASE, 0xf000, false));
    assert_int_equal(mem_total(&vm.mem), 64 * MIB);
}

static void initrd_and_tree_lie_high_and_apart(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {16 * MIB, 33 * MIB, 1024 * MIB + 64 * MIB};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t initrd_size = 5 * MIB + 123;
        struct fdt fdt;
        assert_int_equal(board_test_init(1, sizes[i], NULL), 0);
        assert_int_equal(boot(MIB, 4 * MIB, initrd_size, 0), 0);
        uint64_t tree = harts[0].x[11];
        open_tree(&fdt, tree);
        int chosen = fdt_path(&fdt, "/chosen");
        uint64_t start = fdt_u64(&fdt, chosen, "linux,initrd-start", 0);
        uint64_t end = fdt_u64(&fdt, chosen, "linux,initrd-end", 0);
        assert_int_equal(end - start, initrd_size);
        assert_true(start >= BOARD_RAM + 6 * MIB && end <= tree);
        assert_true(tree + fdt_total_size(fdt.blob) + 0x1000 <= BOARD_RAM + sizes[i]);
        assert_true(tree < 0xc0000000);
        for (size_t at = 0; at < initrd_size; at++)
            if (ram[start - BOARD_RAM + at] != 0xa7)
                fail_msg("initrd byte %zu is damaged", at);
        assert_string_equal(fdt_str(&fdt, chosen, "bootargs"), "console=ttyS0 quiet");
        uint32_t len;
        const uint8_t *seed = fdt_prop(&fdt, chosen, "rng-seed", &len);
        assert_int_equal(len, 32);
        assert_int_equal(seed[31], 0x42);
        board_test_fini();
    }
}

static void payload_that_does_not_fit_is_told_in_plain_words(void **state)
{
    static const struct {
        size_t kernel;
        uint64_t kernel_mem;
        size_t initrd, firmware;
        const char *text;
    } cases[] = {
        {4096, 12 * MIB, 40 * MIB, 0,
         "the initrd needs 40 MiB but only 17 MiB are left behind the kernel; give it more memory "
         "(--memory, or memory:)"},
        {4096, 31 * MIB, 0, 0,
         "the kernel needs 31 MiB but only 30 MiB are left behind its place in memory; give it "
         "more memory (--memory, or memory:)"},
        {4096, 30 * MIB, 0, 0,
         "the device tree needs 128 KiB but only 0 KiB are left behind the kernel; give it more "
         "memory (--memory, or memory:)"},
        {0, 0, 0, 33 * MIB,
         "the firmware needs 33 MiB but only 32 MiB are left behind its place in memory; give it "
         "more memory (--memory, or memory:)"},
        {4096, MIB, 0, 3 * MIB,
         "the kernel and the firmware would overlap in memory; link one of them elsewhere"},
        {0, 0, MIB, 0, "there is neither a kernel nor a firmware; name one"},
    };
    (void)state;
    assert_int_equal(board_test_init(1, 32 * MIB, NULL), 0);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int error = boot(cases[i].kernel, cases[i].kernel_mem, cases[i].initrd, cases[i].firmware);
        assert_int_equal(error, i == 5 ? -E_INVAL : -E_NOSPC);
        assert_string_equal(problem, cases[i].text);
    }
    assert_int_equal(boot(4096, 12 * MIB, 16 * MIB, 0), 0);
    assert_null(problem);
}

static void raw_kernel_is_refused_without_firmware(void **state)
{
    (void)state;
    uint8_t text[4096];
    memset(text, 'x', sizeof text);
    struct board_payload payload = {.kernel = {text, sizeof text}};
    assert_int_equal(board_test_init(1, 32 * MIB, NULL), 0);
    assert_int_equal(board_boot(&board, &payload, &problem), -E_NOEXEC);
    assert_non_null(strstr(problem, "kernel"));
    payload.firmware = payload.kernel;
    assert_int_equal(board_boot(&board, &payload, &problem), 0);
}

static void endless_command_line_is_refused(void **state)
{
    (void)state;
    static char line[200000];
    memset(line, 'a', sizeof line - 1);
    uint8_t *image = make_image(4096, MIB);
    struct board_payload payload = {.kernel = {image, 4096}, .cmdline = line};
    assert_int_equal(board_test_init(1, 32 * MIB, NULL), 0);
    assert_int_equal(board_boot(&board, &payload, &problem), -E_NOSPC);
    assert_non_null(strstr(problem, "command line"));
    free(image);
}

static void slots_hold_disks_nets_console_entropy_balloon_in_order(void **state)
{
    (void)state;
    static const uint32_t ids[] = {2, 2, 1, 1, 3, 4, 5}; /* Virtio 1.2, chapter 5 */
    struct board_backends backends = full_set(2, 2);
    assert_int_equal(board_test_init(1, 32 * MIB, &backends), 0);
    for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint64_t value;
        assert_int_equal(bus_read(&vm.bus, 0x10001000 + 0x1000 * i + 8, 4, &value), 0);
        assert_int_equal(value, ids[i]);
    }
    uint64_t value;
    assert_int_not_equal(bus_read(&vm.bus, 0x10008008, 4, &value), 0);
}

static void more_devices_than_slots_are_refused(void **state)
{
    (void)state;
    struct board_backends backends = full_set(5, 1);
    assert_int_equal(board_test_init(1, 32 * MIB, &backends), -E_NOSPC);
    board_test_fini();
    backends = full_set(4, 1);
    assert_int_equal(board_test_init(1, 32 * MIB, &backends), 0);
}

static void devices_interrupt_through_the_plic(void **state)
{
    (void)state;
    assert_int_equal(board_test_init(2, 32 * MIB, NULL), 0);
    /* S-mode context of hart 1 (3): line 10, the UART's. */
    assert_int_equal(bus_write(&vm.bus, BOARD_PLIC + 4 * 10, 4, 1), 0);
    assert_int_equal(bus_write(&vm.bus, BOARD_PLIC + 0x2000 + 0x80 * 3, 4, 1 << 10), 0);
    assert_int_equal(bus_write(&vm.bus, BOARD_UART + 1, 1, 2), 0); /* THRE */
    assert_true((atomic_load(&harts[1].mip) & 1ULL << IRQ_SEI) != 0);
    assert_int_equal(atomic_load(&harts[0].mip), 0);
    assert_int_equal(bus_write(&vm.bus, BOARD_CLINT, 4, 1), 0);
    assert_true((atomic_load(&harts[0].mip) & 1ULL << IRQ_MSI) != 0);
    assert_int_equal(bus_write(&vm.bus, BOARD_SSWI + 4, 4, 1), 0);
    assert_true((atomic_load(&harts[1].mip) & 1ULL << IRQ_SSI) != 0);
    /* A reset of the board takes all of it back. */
    assert_int_equal(boot(4096, MIB, 0, 0), 0);
    assert_int_equal(atomic_load(&harts[0].mip) | atomic_load(&harts[1].mip), 0);
}

static void finisher_sets_the_power(void **state)
{
    static const struct {
        uint32_t word;
        enum vm_power power;
        uint32_t code;
    } cases[] = {
        {0x5555, VM_POWER_OFF, 0},
        {0x7777, VM_POWER_REBOOT, 0},
        {0x00053333, VM_POWER_FAILED, 5},
        {0x3333, VM_POWER_FAILED, 1},
    };
    (void)state;
    assert_int_equal(board_test_init(1, 32 * MIB, NULL), 0);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&vm.power, VM_POWER_ON);
        assert_int_equal(bus_write(&vm.bus, 0x100000, 4, cases[i].word), 0);
        assert_int_equal(vm_power_state(&vm), cases[i].power);
        assert_int_equal(vm.power_code, cases[i].code);
    }
}

/* What dtc says about the tree now in guest memory, one line a warning. */
static size_t dtc_complaints(const struct fdt *fdt, char *text, size_t capacity)
{
    char path[] = "/tmp/trivisor-tree-XXXXXX", command[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    uint32_t size = fdt_total_size(fdt->blob);
    assert_int_equal(write(fd, fdt->blob, size), size);
    close(fd);
    snprintf(command, sizeof command, "dtc -I dtb -O dts -o /dev/null %s 2>&1 || echo dtc failed",
             path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(text, 1, capacity - 1, pipe);
    text[len] = 0;
    assert_int_equal(pclose(pipe), 0);
    unlink(path);
    return len;
}

static void device_tree_passes_dtc(void **state)
{
    (void)state;
    static char text[65536];
    if (system("dtc --version >/dev/null 2>&1") != 0)
        skip();
    for (unsigned firmware = 0; firmware < 2; firmware++) {
        struct board_backends backends = full_set(2, 1);
        struct fdt fdt;
        assert_int_equal(board_test_init(firmware ? 4 : 64, 32 * MIB, &backends), 0);
        assert_int_equal(boot(4096, MIB, 4096, firmware ? 4096 : 0), 0);
        open_tree(&fdt, firmware ? rom_u64(32) : harts[0].x[11]);
        if (dtc_complaints(&fdt, text, sizeof text) != 0)
            fail_msg("%s", text);
        board_test_fini();
    }
}

/* A smaller model says less: neither instructions nor block sizes of what it lacks. */
static void device_tree_follows_the_model(void **state)
{
    struct board_backends backends = full_set(1, 0);
    struct fdt tree, *fdt = &tree;

    (void)state;
    assert_int_equal(board_test_init(1, 32 * MIB, &backends), 0);
    assert_true(riscv_isa_of("rv64gc", 0, &harts[0].isa));
    assert_int_equal(boot(4096, MIB, 0, 0), 0);
    open_tree(fdt, harts[0].x[11]);
    int cpu = fdt_compatible_next(fdt, -1, "riscv");
    assert_string_equal(fdt_str(fdt, cpu, "riscv,isa"),
                        "rv64imafdc_ziccamoa_ziccif_zicclsm_ziccrse_zicntr_zicsr_zifencei_zihpm_"
                        "za64rs_zaamo_zalrsc_zca_zcd_"
                        "ssccptr_sscounterenw_ssstateen_sstc_sstvala_sstvecd_ssu64xl_svadu_svbare_"
                        "svinval_svnapot_svpbmt_svvptc");
    assert_string_equal(fdt_str_at(fdt, cpu, "riscv,isa-extensions", 6), "ziccamoa");
    assert_int_equal(fdt_u32(fdt, cpu, "riscv,cbom-block-size", 0), 0);
    assert_int_equal(fdt_u32(fdt, cpu, "riscv,cboz-block-size", 0), 0);
}

/* M-mode's own settings are not the guest's under our own SBI. */
static void device_tree_names_pointer_masking(void **state)
{
    struct board_backends backends = full_set(1, 0);
    struct fdt tree, *fdt = &tree;

    (void)state;
    assert_int_equal(board_test_init(1, 32 * MIB, &backends), 0);
    assert_true(riscv_isa_of("rva23", 0, &harts[0].isa));
    assert_int_equal(boot(4096, MIB, 0, 0), 0);
    open_tree(fdt, harts[0].x[11]);
    const char *isa = fdt_str(fdt, fdt_compatible_next(fdt, -1, "riscv"), "riscv,isa");
    assert_non_null(strstr(isa, "_sscounterenw_ssnpm_ssstateen"));
    assert_non_null(strstr(isa, "_supm_"));
    assert_null(strstr(isa, "_smmpm"));
    assert_null(strstr(isa, "_smnpm"));
    assert_true(riscv_isa_listed(&harts[0].isa, EXT_SMMPM, false));
    assert_true(riscv_isa_listed(&harts[0].isa, EXT_SMNPM, false));
}

static int nothing_yet(void *source, void *bytes, size_t len)
{
    (void)source, (void)bytes, (void)len;
    return -E_AGAIN;
}

/* OPST of the seed CSR: ES16 with bits, WAIT while there are none, DEAD without a source. S-mode
 * may read it under our own SBI, U-mode not. */
static void seed_comes_from_the_backend(void **state)
{
    struct board_backends backends = full_set(1, 0);
    uint64_t value = 0;

    (void)state;
    assert_int_equal(board_test_init(1, 32 * MIB, &backends), 0);
    assert_true(riscv_isa_of("rva22+zkr", 0, &harts[0].isa));
    assert_int_equal(boot(4096, MIB, 0, 0), 0);
    assert_int_equal(harts[0].priv, PRIV_S);
    assert_true(riscv_csr_read(&harts[0], CSR_seed, true, &value));
    assert_int_equal(value >> 16, 2 << 14);
    assert_false(riscv_csr_read(&harts[0], CSR_seed, false, &value));
    harts[0].entropy = nothing_yet;
    assert_true(riscv_csr_read(&harts[0], CSR_seed, true, &value));
    assert_int_equal(value, 1 << 30);
    harts[0].entropy = NULL;
    assert_true(riscv_csr_read(&harts[0], CSR_seed, true, &value));
    assert_int_equal(value, 3U << 30);
    harts[0].priv = PRIV_U;
    assert_false(riscv_csr_read(&harts[0], CSR_seed, true, &value));
}

/* The facts that Linux, U-Boot and OpenSBI look up on QEMU's virt. */
static void device_tree_describes_the_board(void **state)
{
    (void)state;
    struct board_backends backends = full_set(1, 0);
    struct fdt tree, *fdt = &tree;
    uint64_t base, size;

    assert_int_equal(board_test_init(3, 32 * MIB, &backends), 0);
    assert_int_equal(boot(4096, MIB, 0, 0), 0);
    open_tree(fdt, harts[0].x[11]);
    assert_string_equal(fdt_str(fdt, 0, "compatible"), "riscv-virtio");
    int cpus = fdt_path(fdt, "/cpus");
    assert_int_equal(fdt_u32(fdt, cpus, "timebase-frequency", 0), 10000000);
    unsigned count = 0;
    for (int cpu = fdt_compatible_next(fdt, -1, "riscv"); cpu >= 0;
         cpu = fdt_compatible_next(fdt, cpu, "riscv")) {
        assert_int_equal(fdt_u32(fdt, cpu, "reg", 99), count++);
        assert_memory_equal(fdt_str(fdt, cpu, "riscv,isa"), "rv64imafdc", 10);
        assert_string_equal(fdt_str(fdt, cpu, "riscv,isa-base"), "rv64i");
        assert_string_equal(fdt_str_at(fdt, cpu, "riscv,isa-extensions", 1), "m");
        assert_string_equal(fdt_str(fdt, cpu, "mmu-type"), "riscv,sv57");
        assert_int_equal(fdt_u32(fdt, cpu, "riscv,cboz-block-size", 0), 64);
    }
    assert_int_equal(count, 3);
    assert_true(fdt_path(fdt, "/cpus/cpu-map/cluster0/core2") > 0);

    int memory = fdt_path(fdt, "/memory@80000000");
    assert_int_equal(fdt_reg(fdt, memory, 0, &base, &size), 0);
    assert_true(base == 0x80000000 && size == 32 * MIB);

    static const struct {
        const char *compatible;
        uint64_t base;
        uint32_t line;
    } devices[] = {
        {"ns16550a", 0x10000000, 10},        {"google,goldfish-rtc", 0x101000, 11},
        {"virtio,mmio", 0x10001000, 1},      {"sifive,clint0", 0x2000000, 0},
        {"sifive,plic-1.0.0", 0xc000000, 0}, {"sifive,test0", 0x100000, 0},
        {"riscv,aclint-sswi", 0x2f00000, 0},
    };
    int plic = fdt_compatible_next(fdt, -1, "sifive,plic-1.0.0");
    for (unsigned i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        int node = fdt_compatible_next(fdt, -1, devices[i].compatible);
        assert_true(node > 0);
        assert_int_equal(fdt_reg(fdt, node, 0, &base, &size), 0);
        assert_true(base == devices[i].base);
        assert_non_null(bus_find(&vm.bus, base + size - 1));
        assert_int_equal(fdt_u32(fdt, node, "interrupts", 0), devices[i].line);
        if (devices[i].line != 0)
            assert_int_equal(fdt_u32(fdt, node, "interrupt-parent", 0),
                             fdt_u32(fdt, plic, "phandle", 1000));
    }
    int poweroff = fdt_compatible_next(fdt, -1, "syscon-poweroff");
    assert_int_equal(fdt_u32(fdt, poweroff, "value", 0), 0x5555);
    assert_int_equal(fdt_by_phandle(fdt, fdt_u32(fdt, poweroff, "regmap", 0)),
                     fdt_compatible_next(fdt, -1, "sifive,test0"));
    int reboot = fdt_compatible_next(fdt, -1, "syscon-reboot");
    assert_int_equal(fdt_u32(fdt, reboot, "value", 0), 0x7777);
    const char *console_path = fdt_str(fdt, fdt_path(fdt, "/chosen"), "stdout-path");
    assert_int_equal(fdt_path(fdt, console_path), fdt_compatible_next(fdt, -1, "ns16550a"));
    /* Firmware gets the same board without the SSWI. */
    assert_int_equal(boot(4096, MIB, 0, 4096), 0);
    open_tree(fdt, rom_u64(32));
    assert_true(fdt_compatible_next(fdt, -1, "riscv,aclint-sswi") < 0);
}

/* The nodes of the APLIC and the IMSICs, of supervisor level and, for firmware, of machine level.
 */
static void aia_is_described(unsigned guests, bool machine)
{
    const struct board_backends backends = {
        .entropy = &entropy, .aia = true, .aia_guests = guests, .aia_machine = machine};
    uint64_t base, size;
    struct fdt tree, *fdt = &tree;

    assert_int_equal(board_test_init(3, 32 * MIB, &backends), 0);
    assert_int_equal(boot(4096, MIB, 0, machine ? 4096 : 0), 0);
    open_tree(fdt, machine ? rom_u64(32) : harts[0].x[11]);
    assert_true(fdt_compatible_next(fdt, -1, "sifive,plic-1.0.0") < 0);
    assert_true(fdt_compatible_next(fdt, -1, "riscv,aclint-sswi") < 0);
    int imsic = fdt_path(fdt, "/soc/interrupt-controller@28000000");
    int aplic = fdt_path(fdt, "/soc/interrupt-controller@d000000");
    assert_true(imsic > 0 && aplic > 0);
    assert_string_equal(fdt_str(fdt, imsic, "compatible"), "riscv,imsics");
    assert_string_equal(fdt_str(fdt, aplic, "compatible"), "riscv,aplic");
    assert_int_equal(fdt_reg(fdt, imsic, 0, &base, &size), 0);
    assert_int_equal(size, guests != 0 ? 3 * 0x8000 : 3 * 0x1000);
    assert_int_equal(fdt_u32(fdt, imsic, "riscv,guest-index-bits", 0), guests != 0 ? 3 : 0);
    assert_int_equal(fdt_u32(fdt, imsic, "riscv,num-ids", 0), 255);
    assert_int_equal(fdt_by_phandle(fdt, fdt_u32(fdt, aplic, "msi-parent", 0)), imsic);
    assert_non_null(bus_find(&vm.bus, base + size - 1));
    assert_null(bus_find(&vm.bus, base + size));
    uint32_t len;
    int uart = fdt_compatible_next(fdt, -1, "ns16550a");
    const uint8_t *line = fdt_prop(fdt, uart, "interrupts", &len);
    assert_int_equal(len, 8);
    assert_memory_equal(line, "\0\0\0\x0a\0\0\0\x04", 8);
    assert_int_equal(fdt_by_phandle(fdt, fdt_u32(fdt, uart, "interrupt-parent", 0)), aplic);
    int imsic_m = fdt_path(fdt, "/soc/interrupt-controller@24000000");
    int aplic_m = fdt_path(fdt, "/soc/interrupt-controller@c000000");
    assert_true((imsic_m > 0) == machine && (aplic_m > 0) == machine);
    assert_true((bus_find(&vm.bus, 0x24000000) != NULL) == machine);
    assert_true((bus_find(&vm.bus, 0xc000000) != NULL) == machine);
    if (machine) {
        assert_int_equal(fdt_by_phandle(fdt, fdt_u32(fdt, aplic_m, "msi-parent", 0)), imsic_m);
        assert_int_equal(fdt_by_phandle(fdt, fdt_u32(fdt, aplic_m, "riscv,children", 0)), aplic);
    }
    board_test_fini();
}

static void harts_with_interrupt_files_are_described(void **state)
{
    (void)state;
    aia_is_described(0, false);
    aia_is_described(AIA_GUESTS_MAX, false);
    aia_is_described(AIA_GUESTS_MAX, true);
    assert_int_equal(board_test_init(1, 32 * MIB, NULL), 0);
}

/* The UART's line by the APLIC to a guest's file of hart 2. */
static void devices_interrupt_through_the_aplic(void **state)
{
    (void)state;
    const struct board_backends backends = {.aia = true, .aia_guests = AIA_GUESTS_MAX};
    assert_int_equal(board_test_init(3, 32 * MIB, &backends), 0);
    const struct {
        uint64_t address;
        uint32_t value;
    } writes[] = {{0xd000000, 0x100},
                  {0xd000000 + 4 * 10, 6},
                  {0xd003000 + 4 * 10, 2u << 18 | 5 << 12 | 9},
                  {0xd001edc, 10}};
    harts[2].aia->files[5].enabled[0] = 1 << 9;
    harts[2].aia->files[5].delivery = 1;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(bus_write(&vm.bus, writes[i].address, 4, writes[i].value), 0);
    assert_int_equal(bus_write(&vm.bus, 0x10000001, 1, 2), 0); /* the transmitter is empty */
    assert_int_equal(harts[2].aia->hgeip, 1 << 5);
    assert_int_equal(harts[2].aia->files[5].pending[0], 1 << 9);
    /* And a message of software to hart 1. */
    harts[1].aia->files[0].enabled[0] = 1 << 3;
    harts[1].aia->files[0].delivery = 1;
    assert_int_equal(bus_write(&vm.bus, 0x28008000, 4, 3), 0);
    assert_int_equal(harts[1].mip, 1 << IRQ_SEI);
}

static void state_survives_save_and_load(void **state)
{
    (void)state;
    static struct save_file file;
    static uint8_t first[sizeof file.bytes];
    struct board_backends backends = {.entropy = &entropy};

    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(board_test_init(2, 32 * MIB, &backends), 0);
        if (round == 0) {
            assert_int_equal(boot(4096, MIB, 0, 4096), 0);
            harts[1].x[5] = 0x1122334455667788;
            harts[1].pc = BOARD_RAM + 0x44;
            assert_int_equal(bus_write(&vm.bus, BOARD_PLIC + 4 * 10, 4, 3), 0);
            assert_int_equal(bus_write(&vm.bus, BOARD_UART + 7, 1, 0x5a), 0);
        } else {
            board_state(&board, save_open(&file, true));
            assert_int_equal(file.state.error, 0);
            assert_int_equal(file.at, file.size);
            assert_true(harts[1].x[5] == 0x1122334455667788);
            assert_true(harts[1].pc == BOARD_RAM + 0x44);
            assert_true(rom_u64(24) == BOARD_RAM);
        }
        board_drain(&board);
        board_state(&board, save_open(&file, false));
        assert_int_equal(file.state.error, 0);
        if (round == 0)
            memcpy(first, file.bytes, file.size);
        else
            assert_memory_equal(first, file.bytes, file.size);
        board_test_fini();
    }
    /* Another board: refused. */
    assert_int_equal(board_test_init(3, 32 * MIB, &backends), 0);
    board_state(&board, save_open(&file, true));
    assert_int_not_equal(file.state.error, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(direct_boot_enters_the_kernel_in_supervisor_mode),
        TEST(firmware_boot_starts_all_harts_at_the_reset_vector),
        TEST(rom_is_read_only),
        TEST(initrd_and_tree_lie_high_and_apart),
        TEST(payload_that_does_not_fit_is_told_in_plain_words),
        TEST(raw_kernel_is_refused_without_firmware),
        TEST(endless_command_line_is_refused),
        TEST(slots_hold_disks_nets_console_entropy_balloon_in_order),
        TEST(more_devices_than_slots_are_refused),
        TEST(devices_interrupt_through_the_plic),
        TEST(devices_interrupt_through_the_aplic),
        TEST(harts_with_interrupt_files_are_described),
        TEST(finisher_sets_the_power),
        TEST(device_tree_passes_dtc),
        TEST(device_tree_follows_the_model),
        TEST(device_tree_names_pointer_masking),
        TEST(seed_comes_from_the_backend),
        TEST(device_tree_describes_the_board),
        TEST(state_survives_save_and_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
