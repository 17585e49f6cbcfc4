#include "vmm/board.h"

#include "core/engine.h"
#include "core/error.h"
#include "riscv/csr_pmu.h"

/* Phandles of the device tree. */
/* PHANDLE_PLIC: whatever devices name one cell to, which is the PLIC or stands before the APLIC. */
enum {
    PHANDLE_PLIC = 1,
    PHANDLE_FINISHER = 2,
    PHANDLE_APLIC = 3,
    PHANDLE_IMSIC = 4,
    PHANDLE_APLIC_M = 5,
    PHANDLE_IMSIC_M = 6,
    PHANDLE_CPUS = 7
};

static uint32_t cpu_phandle(unsigned hart)
{
    return PHANDLE_CPUS + 2 * hart;
}

static uint32_t intc_phandle(unsigned hart)
{
    return cpu_phandle(hart) + 1;
}

static uint64_t slot_base(unsigned slot)
{
    return BOARD_VIRTIO + slot * BOARD_VIRTIO_STRIDE;
}

/* ---- Wiring ---- */

static void finish(void *arg, enum finisher_event event, uint32_t code)
{
    struct vm *vm = arg;
    switch (event) {
    case FINISHER_PASS: vm_power_request(vm, VM_POWER_OFF, 0, NULL); break;
    case FINISHER_RESET: vm_power_request(vm, VM_POWER_REBOOT, 0, NULL); break;
    case FINISHER_FAIL: vm_power_request(vm, VM_POWER_FAILED, code != 0 ? code : 1, NULL); break;
    }
}

/* The harts have interrupt files, of the board's own. */
static bool has_files(const struct board *board)
{
    return RISCV_AIA && board->backends.aia;
}

/* For the seed CSR: what the virtio device gives. */
static int board_entropy(void *source, void *bytes, size_t len)
{
    struct entropy_backend *backend = source;
    return backend->fill(backend, bytes, len);
}

static void init_harts(struct board *board, unsigned hart_count)
{
    struct vm *vm = board->vm;
    for (unsigned i = 0; i < hart_count; i++) {
        riscv_vcpu_init(&board->harts[i], vm, i);
        if (has_files(board))
            riscv_aia_init(&board->aia[i], &board->harts[i], board->backends.aia_guests);
        if (board->backends.entropy != NULL) {
            board->harts[i].entropy = board_entropy;
            board->harts[i].entropy_source = board->backends.entropy;
        }
        vm->vcpus[i] = &board->harts[i].vcpu;
    }
    vm->vcpu_count = hart_count;
}

static struct irq hart_wire(struct board *board, unsigned hart, enum riscv_irq irq)
{
    return (struct irq){.set = riscv_vcpu_irq_sink, .sink = &board->harts[hart], .line = irq};
}

static bool has_imsic(const struct board *board)
{
    return board->backends.imsic_ids != 0;
}

/* ---- Interrupt files of the board's own ---- */

static unsigned guest_bits(const struct board *board)
{
    return has_files(board) && board->backends.aia_guests != 0 ? AIA_GUEST_BITS : 0;
}

static void receive_s(void *arg, uint64_t page, uint32_t identity)
{
    struct board *board = arg;
    const unsigned bits = guest_bits(board);
    riscv_aia_receive(&board->harts[page >> bits], (unsigned)page & ((1u << bits) - 1), identity);
}

static void receive_m(void *arg, uint64_t page, uint32_t identity)
{
    struct board *board = arg;
    riscv_aia_receive_machine(&board->harts[page], identity);
}

/* A message is a write to memory. */
static void send_message(void *vm, uint64_t address, uint32_t identity)
{
    bus_write(&((struct vm *)vm)->bus, address, 4, identity);
}

static int init_files(struct board *board, unsigned hart_count)
{
    if (!has_files(board))
        return 0;
    board->aia = host_alloc(hart_count * sizeof *board->aia, 64);
    board->backends.imsic = (struct msi){.send = send_message, .sink = board->vm};
    board->backends.imsic_ids = AIA_IDS;
    board->imsic_s = (struct imsic_pages){.receive = receive_s, .arg = board};
    board->imsic_m = (struct imsic_pages){.receive = receive_m, .arg = board};
    return board->aia != NULL ? 0 : -E_NOMEM;
}

static void free_files(struct board *board, unsigned hart_count)
{
    if (has_files(board))
        host_free(board->aia, hart_count * sizeof *board->aia);
}

static int place_files(struct board *board)
{
    struct bus *bus = &board->vm->bus;
    const uint64_t size = (uint64_t)board->vm->vcpu_count << IMSIC_PAGE_SHIFT;

    if (!has_files(board))
        return 0;
    int error = bus_add(bus, "imsic", BOARD_IMSIC, size << guest_bits(board), &imsic_pages_bus_ops,
                        &board->imsic_s);
    if (error != 0 || !board->backends.aia_machine)
        return error;
    error = bus_add(bus, "imsic-m", BOARD_IMSIC_M, size, &imsic_pages_bus_ops, &board->imsic_m);
    return error != 0 ? error
                      : bus_add(bus, "aplic-m", BOARD_APLIC_M, APLIC_SIZE, &aplic_bus_ops,
                                &board->aplic.m);
}

/* ---- */

static struct irq plic_wire(struct board *board, uint32_t line)
{
    if (has_imsic(board))
        return (struct irq){.set = aplic_set, .sink = &board->aplic, .line = line};
    return (struct irq){.set = plic_set, .sink = &board->plic, .line = line};
}

static void init_controllers(struct board *board)
{
    struct irq external[PLIC_CONTEXTS_MAX];
    struct aclint_wires local[ACLINT_HARTS_MAX];

    for (unsigned i = 0; i < board->vm->vcpu_count; i++) {
        external[2 * i] = hart_wire(board, i, IRQ_MEI);
        external[2 * i + 1] = hart_wire(board, i, IRQ_SEI);
        local[i].msi = hart_wire(board, i, IRQ_MSI);
        local[i].mti = hart_wire(board, i, IRQ_MTI);
        local[i].ssi = hart_wire(board, i, IRQ_SSI);
    }
    plic_init(&board->plic, board->vm->vcpu_count, external);
    const struct aplic_where where = {.hart_count = board->vm->vcpu_count,
                                      .imsic = BOARD_IMSIC,
                                      .guest_bits = guest_bits(board),
                                      .machine = board->backends.aia_machine,
                                      .imsic_m = BOARD_IMSIC_M};
    aplic_init(&board->aplic, &where, &board->backends.imsic);
    aclint_init(&board->aclint, &board->vm->clock, board->vm->vcpu_count, local);
}

static void add_slot(struct board *board, struct virtio_device *device)
{
    unsigned slot = board->slot_count++;
    virtio_mmio_init(&board->slots[slot], device, &board->vm->mem,
                     plic_wire(board, BOARD_IRQ_VIRTIO + slot));
}

/* A disk's device, and its requests behind it. */
static size_t blk_size(const struct board *board, unsigned disk)
{
    return sizeof(struct virtio_blk) +
           virtio_blk_depth(board->backends.disks[disk]) * sizeof(struct virtio_blk_request);
}

static void free_virtio(struct board *board)
{
    for (unsigned i = 0; i < board->backends.disk_count; i++) {
        host_free(board->blks[i], blk_size(board, i));
        board->blks[i] = NULL;
    }
    for (unsigned i = 0; i < SPEC_NETS_MAX; i++) {
        host_free(board->nets[i], sizeof *board->nets[i]);
        board->nets[i] = NULL;
    }
}

static int alloc_virtio(struct board *board)
{
    bool good = true;
    memset(board->blks, 0, sizeof board->blks);
    memset(board->nets, 0, sizeof board->nets);
    for (unsigned i = 0; good && i < board->backends.disk_count; i++) {
        board->blks[i] = host_alloc(blk_size(board, i), 64);
        good = board->blks[i] != NULL;
    }
    for (unsigned i = 0; good && i < board->backends.net_count; i++) {
        board->nets[i] = host_alloc(sizeof *board->nets[i], 64);
        good = board->nets[i] != NULL;
    }
    if (good)
        return 0;
    free_virtio(board);
    return -E_NOMEM;
}

/* Guests name their disks and networks by the order of the slots. */
static void init_virtio(struct board *board)
{
    const struct board_backends *backends = &board->backends;
    struct memory *mem = &board->vm->mem;

    board->slot_count = 0;
    for (unsigned i = 0; i < backends->disk_count; i++) {
        virtio_blk_init(board->blks[i], mem, backends->disks[i],
                        (struct virtio_blk_request *)(void *)(board->blks[i] + 1));
        add_slot(board, &board->blks[i]->virtio);
    }
    for (unsigned i = 0; i < backends->net_count; i++) {
        virtio_net_init(board->nets[i], mem, backends->nets[i]);
        add_slot(board, &board->nets[i]->virtio);
    }
    if (backends->console != NULL) {
        virtio_console_init(&board->console, mem, backends->console);
        add_slot(board, &board->console.virtio);
    }
    if (backends->entropy != NULL) {
        virtio_rng_init(&board->rng, mem, backends->entropy);
        add_slot(board, &board->rng.virtio);
    }
    if (backends->reclaim != NULL) {
        virtio_balloon_init(&board->balloon, mem, backends->reclaim);
        add_slot(board, &board->balloon.virtio);
    }
}

static unsigned slots_needed(const struct board_backends *backends)
{
    return backends->disk_count + backends->net_count + (backends->console != NULL) +
           (backends->entropy != NULL) + (backends->reclaim != NULL);
}

static int place_devices(struct board *board)
{
    struct bus *bus = &board->vm->bus;
    bool imsic = has_imsic(board);
    const struct {
        const char *name;
        uint64_t base, size;
        const struct bus_ops *ops;
        void *device;
    } places[] = {
        {"finisher", BOARD_FINISHER, FINISHER_SIZE, &finisher_bus_ops, &board->finisher},
        {"rtc", BOARD_RTC, RTC_SIZE, &rtc_bus_ops, &board->rtc},
        {"clint", BOARD_CLINT, ACLINT_SIZE, &aclint_bus_ops, &board->aclint},
        {"sswi", BOARD_SSWI, ACLINT_SSWI_SIZE, &aclint_sswi_bus_ops, &board->aclint},
        {imsic ? "aplic" : "plic", imsic ? BOARD_APLIC : BOARD_PLIC, imsic ? APLIC_SIZE : PLIC_SIZE,
         imsic ? &aplic_bus_ops : &plic_bus_ops, imsic ? (void *)&board->aplic.s : &board->plic},
        {"uart", BOARD_UART, NS16550A_SIZE, &ns16550a_bus_ops, &board->uart},
    };
    int error = 0;
    for (unsigned i = 0; error == 0 && i < sizeof places / sizeof places[0]; i++)
        error = bus_add(bus, places[i].name, places[i].base, places[i].size, places[i].ops,
                        places[i].device);
    if (error == 0)
        error = place_files(board);
    for (unsigned i = 0; error == 0 && i < board->slot_count; i++)
        error = bus_add(bus, "virtio", slot_base(i), VIRTIO_MMIO_SIZE, &virtio_mmio_bus_ops,
                        &board->slots[i]);
    return error;
}

static int init_rom(struct board *board)
{
    struct memory *mem = &board->vm->mem;
    board->rom = NULL;
    if (board->backends.no_rom)
        return 0;
    board->rom = host_alloc(BOARD_ROM_SIZE, MEM_PAGE_SIZE);
    if (board->rom == NULL)
        return -E_NOMEM;
    for (unsigned i = 0; i < BOARD_ROM_SIZE / MEM_PAGE_SIZE; i++)
        atomic_init(&board->rom_flags[i], 0);
    int error = mem_slot_add(mem, BOARD_ROM_BASE, BOARD_ROM_SIZE, board->rom, board->rom_flags);
    if (error != 0) {
        host_free(board->rom, BOARD_ROM_SIZE);
        return error;
    }
    mem_slot_find(mem, BOARD_ROM_BASE, 1)->readonly = true;
    return 0;
}

int board_init(struct board *board, struct vm *vm, struct riscv_vcpu *harts, unsigned hart_count,
               const struct board_backends *backends)
{
    if (hart_count == 0 || hart_count > VM_VCPUS_MAX)
        return -E_INVAL;
    if (backends->disk_count > SPEC_DISKS_MAX || backends->net_count > SPEC_NETS_MAX ||
        slots_needed(backends) > BOARD_VIRTIO_SLOTS)
        return -E_NOSPC;
    board->vm = vm;
    board->cpu = NULL;
    board->describe_more = NULL;
    board->harts = harts;
    board->backends = *backends;
    int error = alloc_virtio(board);
    if (error == 0)
        error = init_files(board, hart_count);
    if (error == 0)
        error = init_rom(board);
    if (error != 0) {
        free_files(board, hart_count);
        free_virtio(board);
        return error;
    }

    init_harts(board, hart_count);
    init_controllers(board);
    ns16550a_init(&board->uart, backends->uart, plic_wire(board, BOARD_IRQ_UART));
    rtc_init(&board->rtc, &vm->clock, plic_wire(board, BOARD_IRQ_RTC));
    finisher_init(&board->finisher, finish, vm);
    init_virtio(board);
    error = place_devices(board);
    if (error != 0) {
        board_fini(board);
        return error;
    }
    vm->board = board;
    return 0;
}

void board_fini(struct board *board)
{
    board->vm->board = NULL;
    rtc_fini(&board->rtc);
    aclint_fini(&board->aclint);
    for (unsigned i = 0; i < board->vm->vcpu_count; i++)
        riscv_vcpu_fini(&board->harts[i]);
    free_files(board, board->vm->vcpu_count);
    host_free(board->rom, BOARD_ROM_SIZE);
    free_virtio(board);
}

/* ---- Saving ---- */

void board_freeze(struct board *board)
{
    for (unsigned i = 0; i < board->slot_count; i++)
        virtio_mmio_freeze(&board->slots[i], true);
}

void board_drain(struct board *board)
{
    board_freeze(board);
    for (unsigned i = 0; i < board->slot_count; i++) {
        while (virtio_mmio_inflight(&board->slots[i]) != 0)
            host_yield();
    }
}

void board_thaw(struct board *board)
{
    for (unsigned i = 0; i < board->slot_count; i++)
        virtio_mmio_freeze(&board->slots[i], false);
}

/*
 * From the harts outward: whoever is loaded later drives its wires again, so input that came
 * between the saving of a controller and of a device is not lost.
 */
void board_state(struct board *board, struct state *state)
{
    uint32_t hart_count = board->vm->vcpu_count, slot_count = board->slot_count;

    state_section(state, "board", 1);
    state_u32(state, &hart_count);
    state_u32(state, &slot_count);
    if (hart_count != board->vm->vcpu_count || slot_count != board->slot_count) {
        state_fail(state, -E_INVAL);
        return;
    }
    if (board->rom != NULL)
        state_bytes(state, board->rom, BOARD_ROM_SIZE);
    for (unsigned i = 0; i < hart_count; i++)
        riscv_vcpu_state(&board->harts[i], state);
    if (has_imsic(board))
        aplic_state(&board->aplic, state);
    else
        plic_state(&board->plic, state);
    aclint_state(&board->aclint, state);
    ns16550a_state(&board->uart, state);
    rtc_state(&board->rtc, state);
    for (unsigned i = 0; i < slot_count; i++)
        virtio_mmio_state(&board->slots[i], state);
    if (state->loading) {
        if (board->rom != NULL)
            mem_done(&board->vm->mem, BOARD_ROM_BASE, BOARD_ROM_SIZE);
        for (unsigned i = 0; i < hart_count; i++)
            vcpu_post(&board->harts[i].vcpu,
                      VCPU_REQ_TLB_FLUSH | VCPU_REQ_CODE_FLUSH | VCPU_REQ_FENCE_I);
    }
}

/* ---- Device tree ---- */

static void describe_chosen(struct fdt_writer *w, const struct board_chosen *chosen)
{
    fdt_node(w, "chosen");
    if (chosen->cmdline != NULL)
        fdt_put_str(w, "bootargs", chosen->cmdline);
    if (chosen->initrd_size != 0) {
        fdt_put_u64(w, "linux,initrd-start", chosen->initrd);
        fdt_put_u64(w, "linux,initrd-end", chosen->initrd + chosen->initrd_size);
    }
    fdt_put_str(w, "stdout-path", "/soc/serial@10000000");
    if (chosen->rng_seed != NULL)
        fdt_put(w, "rng-seed", chosen->rng_seed, 32);
    fdt_end(w);
}

enum { EXTENSIONS_MAX = 96, ISA_MAX = 1024 };

/* "rv64imac_zicsr_..."; false: it does not fit. */
static bool isa_string(char *isa, const char *const *extensions, unsigned count)
{
    size_t n = 4;
    memcpy(isa, "rv64", n);
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(extensions[i]);
        if (n + len + 2 > ISA_MAX)
            return false;
        if (len > 1)
            isa[n++] = '_';
        memcpy(isa + n, extensions[i], len);
        n += len;
    }
    isa[n] = 0;
    return true;
}

static unsigned own_extensions(const char **extensions, const struct riscv_isa *isa, bool sbi)
{
    unsigned count = 0;
    for (unsigned i = 0; count < EXTENSIONS_MAX && i < EXT_COUNT; i++)
        if (riscv_isa_listed(isa, i, sbi))
            extensions[count++] = riscv_extension_names[i];
    return count;
}

static unsigned given_extensions(const char **extensions, const char *const *given)
{
    unsigned count = 0;
    while (count < EXTENSIONS_MAX && given[count] != NULL) {
        extensions[count] = given[count];
        count++;
    }
    return count;
}

static void put_block(struct fdt_writer *w, const char *name, uint32_t size)
{
    if (size != 0)
        fdt_put_u32(w, name, size);
}

static void describe_hart(struct fdt_writer *w, const struct board *board, unsigned hart, bool sbi)
{
    const struct riscv_isa *has = &board->harts[hart].isa;
    const struct board_cpu own = {.mmu_type = "riscv,sv57",
                                  .cbom_block = riscv_isa_has(has, EXT_ZICBOM) ? 64 : 0,
                                  .cbop_block = riscv_isa_has(has, EXT_ZICBOP) ? 64 : 0,
                                  .cboz_block = riscv_isa_has(has, EXT_ZICBOZ) ? 64 : 0};
    const struct board_cpu *cpu = board->cpu != NULL ? board->cpu : &own;
    const char *extensions[EXTENSIONS_MAX];
    /* Where nothing is hosted, guests have the real harts. */
    unsigned count = !__STDC_HOSTED__ || cpu->extensions != NULL
                         ? given_extensions(extensions, cpu->extensions)
                         : own_extensions(extensions, has, sbi);
    char isa[ISA_MAX];

    fdt_node_at(w, "cpu", hart);
    fdt_put_str(w, "device_type", "cpu");
    fdt_put_u32(w, "reg", hart);
    fdt_put_str(w, "status", "okay");
    fdt_put_str(w, "compatible", "riscv");
    if (isa_string(isa, extensions, count))
        fdt_put_str(w, "riscv,isa", isa);
    fdt_put_str(w, "riscv,isa-base", "rv64i");
    fdt_put_strs(w, "riscv,isa-extensions", extensions, count);
    if (cpu->mmu_type != NULL)
        fdt_put_str(w, "mmu-type", cpu->mmu_type);
    put_block(w, "riscv,cbom-block-size", cpu->cbom_block);
    put_block(w, "riscv,cbop-block-size", cpu->cbop_block);
    put_block(w, "riscv,cboz-block-size", cpu->cboz_block);
    fdt_put_u32(w, "phandle", cpu_phandle(hart));

    fdt_node(w, "interrupt-controller");
    fdt_put_str(w, "compatible", "riscv,cpu-intc");
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 1);
    fdt_put_u32(w, "#address-cells", 0);
    fdt_put_u32(w, "phandle", intc_phandle(hart));
    fdt_end(w);
    fdt_end(w);
}

/* "core" and a number up to 63. */
static void describe_core(struct fdt_writer *w, unsigned hart)
{
    char name[8] = "core";
    unsigned at = 4;
    if (hart >= 10)
        name[at++] = (char)('0' + hart / 10);
    name[at++] = (char)('0' + hart % 10);
    name[at] = 0;
    fdt_node(w, name);
    fdt_put_u32(w, "cpu", cpu_phandle(hart));
    fdt_end(w);
}

/*
 * What M-mode firmware may program (riscv,pmu of OpenSBI): events cycles and instructions, selected
 * by their own numbers, on the fixed counter of each or any programmable one.
 */
static void describe_pmu(struct fdt_writer *w, const struct board *board)
{
    const uint32_t map[] = {1, 1, HPM_MASK | 1, 2, 2, HPM_MASK | 4};
    if (!riscv_has_hpm(&board->harts[0]))
        return;
    fdt_node(w, "pmu");
    fdt_put_str(w, "compatible", "riscv,pmu");
    fdt_put_cells(w, "riscv,event-to-mhpmcounters", map, sizeof map / sizeof map[0]);
    fdt_end(w);
}

static void describe_harts(struct fdt_writer *w, const struct board *board, bool sbi)
{
    unsigned count = board->vm->vcpu_count;
    uint64_t timebase = board->cpu != NULL ? board->cpu->timebase : board->vm->clock.guest_hz;
    fdt_node(w, "cpus");
    fdt_put_u32(w, "#address-cells", 1);
    fdt_put_u32(w, "#size-cells", 0);
    fdt_put_u32(w, "timebase-frequency", (uint32_t)timebase);
    for (unsigned i = 0; i < count; i++)
        describe_hart(w, board, i, sbi);
    fdt_node(w, "cpu-map");
    fdt_node(w, "cluster0");
    for (unsigned i = 0; i < count; i++)
        describe_core(w, i);
    fdt_end(w);
    fdt_end(w);
    fdt_end(w);
}

/*
 * Devices name their line in one cell, the APLIC wants two (the second: active high). A nexus
 * between them says how one becomes the other (Devicetree Specification 0.4, 2.4.3).
 */
static void describe_nexus(struct fdt_writer *w)
{
    enum { CELLS = 4 };
    uint32_t map[(APLIC_SOURCES - 1) * CELLS];
    for (uint32_t line = 1; line < APLIC_SOURCES; line++) {
        uint32_t *entry = &map[(line - 1) * CELLS];
        entry[0] = entry[2] = line;
        entry[1] = PHANDLE_APLIC;
        entry[3] = APLIC_LEVEL_HIGH;
    }
    fdt_node(w, "interrupt-nexus");
    fdt_put_u32(w, "#interrupt-cells", 1);
    fdt_put_u32(w, "#address-cells", 0);
    fdt_put_u32(w, "interrupt-map-mask", 0x7f);
    fdt_put_cells(w, "interrupt-map", map, sizeof map / sizeof map[0]);
    fdt_put_u32(w, "phandle", PHANDLE_PLIC);
    fdt_end(w);
}

static void describe_interrupts(struct fdt_writer *w, const struct board *board,
                                const uint32_t *intcs)
{
    if (!has_imsic(board)) {
        plic_fdt(&board->plic, w, BOARD_PLIC, PHANDLE_PLIC, intcs);
        return;
    }
    const struct aplic_phandles phandles = {.s = PHANDLE_APLIC,
                                            .m = PHANDLE_APLIC_M,
                                            .imsic = PHANDLE_IMSIC,
                                            .imsic_m = PHANDLE_IMSIC_M};
    imsic_fdt(&board->aplic, w, board->backends.imsic_ids, &phandles, intcs);
    aplic_fdt(&board->aplic, w, BOARD_APLIC, BOARD_APLIC_M, &phandles);
    if (!has_files(board))
        describe_nexus(w);
}

/* As devices of QEMU's board name it; where interrupt files are not the board's own, by the nexus.
 */
static struct fdt_line line_of(const struct board *board, uint32_t line)
{
    if (has_files(board))
        return (struct fdt_line){PHANDLE_APLIC, line, APLIC_LEVEL_HIGH};
    return (struct fdt_line){PHANDLE_PLIC, line, 0};
}

static void describe_soc(struct fdt_writer *w, const struct board *board, bool sbi)
{
    const struct fdt_line rtc = line_of(board, BOARD_IRQ_RTC);
    const struct fdt_line uart = line_of(board, BOARD_IRQ_UART);
    uint32_t intcs[VM_VCPUS_MAX];
    for (unsigned i = 0; i < board->vm->vcpu_count; i++)
        intcs[i] = intc_phandle(i);

    fdt_node(w, "soc");
    fdt_put_u32(w, "#address-cells", 2);
    fdt_put_u32(w, "#size-cells", 2);
    fdt_put_str(w, "compatible", "simple-bus");
    fdt_put_empty(w, "ranges");
    finisher_fdt(&board->finisher, w, BOARD_FINISHER, PHANDLE_FINISHER);
    rtc_fdt(&board->rtc, w, BOARD_RTC, &rtc);
    aclint_fdt(&board->aclint, w, BOARD_CLINT, intcs);
    /* Firmware would take the SSWI for itself (OpenSBI) and QEMU's board has none. With IMSICs it
     * would be a second way to interrupt harts, of which Linux wants one. An engine that has the
     * harts has their software interrupts too. */
    const struct engine_ops *engine = board->vm->engine;
    const bool theirs = __STDC_HOSTED__ && engine != NULL && engine->own_harts;
    if (sbi && !has_imsic(board) && !theirs)
        aclint_sswi_fdt(&board->aclint, w, BOARD_SSWI, intcs);
    describe_interrupts(w, board, intcs);
    ns16550a_fdt(&board->uart, w, BOARD_UART, &uart);
    for (unsigned i = 0; i < board->slot_count; i++) {
        const struct fdt_line line = line_of(board, BOARD_IRQ_VIRTIO + i);
        virtio_mmio_fdt(w, slot_base(i), &line);
    }
    fdt_end(w);
}

long board_describe(struct board *board, const struct board_chosen *chosen, uint8_t *fdt)
{
    const struct mem_slot *ram = mem_slot_find(&board->vm->mem, BOARD_RAM, 1);
    /* The loader leaves room behind the tree, into which firmware may let it grow. */
    const size_t capacity = BOARD_FDT_MAX - 0x2000;
    struct fdt_writer writer, *w = &writer;

    fdt_begin(w, fdt, capacity);
    fdt_node(w, "");
    fdt_put_u32(w, "#address-cells", 2);
    fdt_put_u32(w, "#size-cells", 2);
    fdt_put_str(w, "compatible", "riscv-virtio");
    fdt_put_str(w, "model", "riscv-virtio,trivisor");
    fdt_node(w, "aliases");
    fdt_put_str(w, "serial0", "/soc/serial@10000000");
    fdt_end(w);
    describe_chosen(w, chosen);
    fdt_node_at(w, "memory", BOARD_RAM);
    fdt_put_str(w, "device_type", "memory");
    fdt_put_reg64(w, BOARD_RAM, ram != NULL ? ram->size : 0);
    fdt_end(w);
    if (!chosen->sbi)
        describe_pmu(w, board);
    describe_harts(w, board, chosen->sbi);
    finisher_power_fdt(&board->finisher, w, PHANDLE_FINISHER);
    describe_soc(w, board, chosen->sbi);
    if (board->describe_more != NULL)
        board->describe_more(board->describe_arg, w, PHANDLE_PLIC,
                             has_imsic(board) ? PHANDLE_APLIC : 0);
    fdt_end(w);

    long size = fdt_finish(w);
    /* The writer leaves names at the end. */
    size_t left = size > (long)w->strings_at ? (size_t)size : w->strings_at;
    memset(fdt + left, 0, capacity - left);
    return size;
}
