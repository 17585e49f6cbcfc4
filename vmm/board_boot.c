/*
 * Where a payload goes in guest memory, and how the harts start.
 *
 *     RAM                firmware (raw; an ELF file goes to its own addresses)
 *     RAM + 2 MiB        kernel (Image: where its header says, never below this with firmware)
 *     ...
 *     below the limit    initrd, and above it the device tree
 *
 * The limit is the end of RAM or 0xc0000000, whichever is lower, as on QEMU's board: 32-bit-minded
 * loaders reach all of it. Only an initrd that does not fit moves the limit to the end of RAM.
 */
#include "core/error.h"
#include "vmm/board.h"

#define MIB              0x100000ULL
#define KERNEL_ALIGN     (2 * MIB)
#define LOAD_LIMIT       0xc0000000ULL
#define FW_DYNAMIC_MAGIC 0x4942534fULL /* "OSBI"; OpenSBI, docs/firmware/fw_dynamic.md */

struct placement {
    struct image image;
    uint64_t gpa;       /* where image_load puts it; ELF: unused */
    uint64_t low, high; /* what it occupies */
};

struct layout {
    uint64_t ram, ram_end;
    struct placement firmware, kernel; /* low == high: none */
    uint64_t initrd, fdt;
};

/* ---- Plain words ---- */

static void say(struct board *board, const char *text)
{
    size_t at = strlen(board->problem), len = strlen(text);
    if (len > sizeof board->problem - 1 - at)
        len = sizeof board->problem - 1 - at;
    memcpy(board->problem + at, text, len);
    board->problem[at + len] = 0;
}

static void say_size(struct board *board, uint64_t bytes, bool round_up)
{
    bool small = bytes < 16 * MIB;
    uint64_t unit = small ? 1024 : MIB;
    uint64_t value = bytes / unit + (round_up && bytes % unit != 0);
    char digits[24];
    unsigned at = sizeof digits - 1;

    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    say(board, digits + at);
    say(board, small ? " KiB" : " MiB");
}

/* How people say it: in options, or in the description. */
static const char more_memory[] = "; give it more memory (--memory, or memory:)";

static int no_room(struct board *board, const char *what, uint64_t needs, uint64_t left,
                   const char *where)
{
    say(board, "the ");
    say(board, what);
    say(board, " needs ");
    say_size(board, needs, true);
    say(board, " but only ");
    say_size(board, left, false);
    say(board, " are left ");
    say(board, where);
    say(board, more_memory);
    return -E_NOSPC;
}

/* ---- Placing ---- */

static uint64_t align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

/* `lowest`: the first address it may have. */
static int place(struct board *board, const struct layout *layout, struct placement *placement,
                 const char *what, const struct board_blob *blob, uint64_t lowest)
{
    struct image *image = &placement->image;
    int error = image_open(image, blob->bytes, blob->size);
    if (error != 0) {
        say(board, "the ");
        say(board, what);
        say(board, ": ");
        say(board, image->problem != NULL ? image->problem : "not an image that can be started");
        return error;
    }
    if (image->kind == IMAGE_ELF) {
        placement->low = image->low;
        placement->high = image->high;
        if (image->low < layout->ram || image->high > layout->ram_end) {
            say(board, "the ");
            say(board, what);
            say(board, " has segments outside the guest's memory");
            say(board, more_memory);
            return -E_NOSPC;
        }
        return 0;
    }
    uint64_t gpa = lowest;
    if (image->kind == IMAGE_LINUX) {
        uint64_t wanted = layout->ram + align_down(image->text_offset, KERNEL_ALIGN);
        gpa = wanted > lowest ? wanted : lowest;
    }
    uint64_t left = gpa < layout->ram_end ? layout->ram_end - gpa : 0;
    if (image->mem_size > left)
        return no_room(board, what, image->mem_size, left, "behind its place in memory");
    placement->gpa = placement->low = gpa;
    placement->high = gpa + image->mem_size;
    return 0;
}

static int place_images(struct board *board, struct layout *layout,
                        const struct board_payload *payload)
{
    bool firmware = payload->firmware.bytes != NULL, kernel = payload->kernel.bytes != NULL;
    int error = 0;

    if (!firmware && !kernel) {
        say(board, "there is neither a kernel nor a firmware; name one");
        return -E_INVAL;
    }
    if (firmware && board->rom == NULL) {
        say(board, "a firmware cannot start here; give a kernel alone");
        return -E_NOEXEC;
    }
    if (firmware)
        error =
            place(board, layout, &layout->firmware, "firmware", &payload->firmware, layout->ram);
    if (error == 0 && kernel)
        error = place(board, layout, &layout->kernel, "kernel", &payload->kernel,
                      layout->ram + (firmware ? KERNEL_ALIGN : 0));
    if (error != 0)
        return error;
    if (!firmware && layout->kernel.image.kind == IMAGE_RAW) {
        say(board, "the kernel is neither a RISC-V Linux Image nor an ELF file; give one of these");
        return -E_NOEXEC;
    }
    if (firmware && kernel && layout->firmware.low < layout->kernel.high &&
        layout->kernel.low < layout->firmware.high) {
        say(board,
            "the kernel and the firmware would overlap in memory; link one of them elsewhere");
        return -E_NOSPC;
    }
    return 0;
}

/* Places the device tree and the initrd below `limit`. False: not enough room between `used` and
 * it. */
static bool place_below(struct layout *layout, uint64_t used, uint64_t limit, uint64_t initrd_size)
{
    if (limit < BOARD_FDT_MAX || limit - BOARD_FDT_MAX < used)
        return false;
    layout->fdt = align_down(limit - BOARD_FDT_MAX, KERNEL_ALIGN);
    if (layout->fdt < used || layout->fdt - used < initrd_size + MEM_PAGE_SIZE)
        layout->fdt = align_down(limit - BOARD_FDT_MAX, MEM_PAGE_SIZE);
    if (layout->fdt < used || initrd_size > layout->fdt - used)
        return false;
    layout->initrd = align_down(layout->fdt - initrd_size, MEM_PAGE_SIZE);
    return layout->initrd >= used;
}

static int place_rest(struct board *board, struct layout *layout, uint64_t initrd_size)
{
    bool kernel = layout->kernel.high > layout->firmware.high;
    uint64_t used = kernel ? layout->kernel.high : layout->firmware.high;
    uint64_t limit = layout->ram_end < LOAD_LIMIT ? layout->ram_end : LOAD_LIMIT;

    if (place_below(layout, used, limit, initrd_size) ||
        place_below(layout, used, layout->ram_end, initrd_size))
        return 0;
    const char *where = kernel ? "behind the kernel" : "behind the firmware";
    uint64_t left = layout->ram_end - used;
    if (left < BOARD_FDT_MAX || initrd_size == 0)
        return no_room(board, "device tree", BOARD_FDT_MAX, left, where);
    return no_room(board, "initrd", initrd_size, left - BOARD_FDT_MAX, where);
}

/* ---- Starting ---- */

static void put_le32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

static void put_le64(uint8_t *p, uint64_t value)
{
    put_le32(p, (uint32_t)value);
    put_le32(p + 4, (uint32_t)(value >> 32));
}

/* The reset vector: a0 = hart id, a1 = device tree, a2 = struct fw_dynamic_info, and into the
 * firmware. */
static void fill_rom(struct board *board, uint64_t firmware, uint64_t fdt, uint64_t next)
{
    enum { ENTRY = 24, FDT = 32, INFO = 40 };
    enum { PRV_S = 1, INFO_VERSION = 2 };
    static const uint32_t code[] = {
        0x00000297, /* auipc t0, 0 */
        0x02828613, /* addi a2, t0, INFO */
        0xf1402573, /* csrr a0, mhartid */
        0x0202b583, /* ld a1, FDT(t0) */
        0x0182b283, /* ld t0, ENTRY(t0) */
        0x00028067, /* jr t0 */
    };
    /* magic, version, next_addr, next_mode, options, boot_hart */
    const uint64_t info[] = {FW_DYNAMIC_MAGIC, INFO_VERSION, next, PRV_S, 0, 0};

    memset(board->rom, 0, BOARD_ROM_SIZE);
    for (unsigned i = 0; i < sizeof code / sizeof code[0]; i++)
        put_le32(board->rom + 4 * i, code[i]);
    put_le64(board->rom + ENTRY, firmware);
    put_le64(board->rom + FDT, fdt);
    for (unsigned i = 0; i < sizeof info / sizeof info[0]; i++)
        put_le64(board->rom + INFO + 8 * i, info[i]);
    mem_done(&board->vm->mem, BOARD_ROM_BASE, BOARD_ROM_SIZE);
}

/* Devices first: they lower the wires of the harts. */
static void reset(struct board *board)
{
    for (unsigned i = 0; i < board->slot_count; i++)
        virtio_mmio_reset(&board->slots[i]);
    board_thaw(board);
    ns16550a_reset(&board->uart);
    rtc_reset(&board->rtc);
    plic_reset(&board->plic);
    aplic_reset(&board->aplic);
    aclint_reset(&board->aclint);
    for (unsigned i = 0; i < board->vm->vcpu_count; i++) {
        riscv_vcpu_reset(&board->harts[i], BOARD_ROM_BASE);
        atomic_store(&board->harts[i].vcpu.run_state, VCPU_STOPPED);
        vcpu_post(&board->harts[i].vcpu,
                  VCPU_REQ_TLB_FLUSH | VCPU_REQ_CODE_FLUSH | VCPU_REQ_FENCE_I);
    }
}

static void start_harts(struct board *board, const struct layout *layout, bool firmware,
                        uint64_t kernel_entry)
{
    if (!firmware) {
        riscv_vcpu_start_supervisor(&board->harts[0], kernel_entry, layout->fdt);
        atomic_store(&board->harts[0].vcpu.run_state, VCPU_RUNNING);
        return;
    }
    for (unsigned i = 0; i < board->vm->vcpu_count; i++)
        atomic_store(&board->harts[i].vcpu.run_state, VCPU_RUNNING);
}

static int load(struct board *board, const struct layout *layout,
                const struct board_payload *payload, uint64_t *firmware, uint64_t *kernel)
{
    struct memory *mem = &board->vm->mem;
    const struct placement *placed[] = {&layout->firmware, &layout->kernel};
    uint64_t *entries[] = {firmware, kernel}, end;

    for (unsigned i = 0; i < 2; i++) {
        *entries[i] = 0;
        if (placed[i]->low == placed[i]->high)
            continue;
        int error = image_load(&placed[i]->image, mem, placed[i]->gpa, entries[i], &end);
        if (error != 0)
            return error;
    }
    if (payload->initrd.bytes != NULL && payload->initrd.size != 0) {
        void *to = mem_map(mem, layout->initrd, payload->initrd.size, true);
        if (to == NULL)
            return -E_FAULT;
        host_copy(to, payload->initrd.bytes, payload->initrd.size);
        mem_done(mem, layout->initrd, payload->initrd.size);
    }
    return 0;
}

/* In guest memory, where nothing is loaded. */
static int describe(struct board *board, const struct layout *layout,
                    const struct board_chosen *chosen)
{
    uint8_t *fdt = mem_map(&board->vm->mem, layout->fdt, BOARD_FDT_MAX, true);
    long size = fdt != NULL ? board_describe(board, chosen, fdt) : -E_NOSPC;
    mem_done(&board->vm->mem, layout->fdt, fdt != NULL ? BOARD_FDT_MAX : 0);
    if (size >= 0)
        return 0;
    say(board, "the device tree is too large: the command line is too long; shorten it");
    return (int)size;
}

int board_boot(struct board *board, const struct board_payload *payload, const char **problem)
{
    const struct mem_slot *ram = mem_slot_find(&board->vm->mem, BOARD_RAM, 1);
    uint64_t initrd_size = payload->initrd.bytes != NULL ? payload->initrd.size : 0;
    bool firmware = payload->firmware.bytes != NULL;
    uint64_t firmware_entry, kernel_entry;
    struct layout layout = {0};

    *problem = board->problem;
    board->problem[0] = 0;
    if (ram == NULL) {
        say(board, "there is no memory");
        return -E_INVAL;
    }
    layout.ram = ram->gpa;
    layout.ram_end = ram->gpa + ram->size;
    int error = place_images(board, &layout, payload);
    if (error == 0)
        error = place_rest(board, &layout, initrd_size);
    if (error != 0)
        return error;

    const struct board_chosen chosen = {
        .cmdline = payload->cmdline,
        .initrd = layout.initrd,
        .initrd_size = initrd_size,
        .rng_seed = payload->rng_seed,
        .sbi = !firmware,
    };
    error = describe(board, &layout, &chosen);
    if (error != 0)
        return error;
    reset(board);
    error = load(board, &layout, payload, &firmware_entry, &kernel_entry);
    if (error != 0) {
        say(board, "the images cannot be copied into the guest's memory");
        return error;
    }
    if (board->rom != NULL)
        fill_rom(board, firmware_entry, layout.fdt, kernel_entry);
    start_harts(board, &layout, firmware, kernel_entry);
    *problem = NULL;
    return 0;
}
