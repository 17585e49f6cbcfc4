/*
 * Saved machines that are damaged, or made to do harm: a board that has run is saved, the input
 * says where the bytes are changed, and another board loads them and runs. Loading may refuse; what
 * it takes must not reach outside RAM or hang the VMM.
 */
#include "core/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_board.h"

#define SAVED_MAX   0x40000
#define PATCHES_MAX 64
#define HARTS       2
#define TURNS       4

struct saved {
    uint8_t bytes[SAVED_MAX];
    size_t size, at;
};

static int transfer(struct state *state, void *bytes, size_t len)
{
    struct saved *saved = state->file;

    if (state->loading ? len > saved->size - saved->at : len > SAVED_MAX - saved->size)
        return -1;
    if (state->loading) {
        memcpy(bytes, saved->bytes + saved->at, len);
        saved->at += len;
    } else {
        memcpy(saved->bytes + saved->size, bytes, len);
        saved->size += len;
    }
    return 0;
}

static bool state_move(struct fuzz_board *m, struct saved *saved, bool loading)
{
    struct state state = {.transfer = transfer, .file = saved, .loading = loading};

    board_drain(&m->board);
    clock_state(&m->vm.clock, &state);
    board_state(&m->board, &state);
    return state.error == 0;
}

/* Every queue of every device live, with a few chains made available. */
static void start_devices(struct fuzz_board *m)
{
    struct bus *bus = &m->vm.bus;

    for (unsigned slot = 0; slot < m->board.slot_count; slot++) {
        const uint64_t base = BOARD_VIRTIO + slot * BOARD_VIRTIO_STRIDE;
        const unsigned queues = m->board.slots[slot].device->queue_count;
        bus_write(bus, base + VIRTIO_MMIO_STATUS, 4, 3);
        bus_write(bus, base + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, 1);
        bus_write(bus, base + VIRTIO_MMIO_DRIVER_FEATURES, 4, 1);
        bus_write(bus, base + VIRTIO_MMIO_STATUS, 4, 11);
        for (unsigned q = 0; q < queues; q++) {
            const uint64_t ring = 0x10000 + 0x1000 * (slot * 5ULL + q);
            /* Chains: a header or frame of 32 bytes, then 64 bytes to write to. */
            for (unsigned i = 0; i < 8; i++) {
                struct {
                    uint64_t addr;
                    uint32_t len;
                    uint16_t flags, next;
                } desc = {BOARD_RAM + ring + 0xc00, i & 1 ? 64 : 32, i & 1 ? 2 : 1,
                          (uint16_t)(i + 1)};
                memcpy(m->ram + ring + 16ULL * i, &desc, sizeof(desc));
                m->ram[ring + 0x404 + 2ULL * (i / 2)] = (uint8_t)(i & ~1U);
            }
            m->ram[ring + 0x402] = 4;
            bus_write(bus, base + VIRTIO_MMIO_QUEUE_SEL, 4, q);
            bus_write(bus, base + VIRTIO_MMIO_QUEUE_NUM, 4, 16);
            bus_write(bus, base + VIRTIO_MMIO_QUEUE_DESC_LOW, 4, BOARD_RAM + ring);
            bus_write(bus, base + VIRTIO_MMIO_QUEUE_DRIVER_LOW, 4, BOARD_RAM + ring + 0x400);
            bus_write(bus, base + VIRTIO_MMIO_QUEUE_DEVICE_LOW, 4, BOARD_RAM + ring + 0x800);
            bus_write(bus, base + VIRTIO_MMIO_QUEUE_READY, 4, 1);
        }
        bus_write(bus, base + VIRTIO_MMIO_STATUS, 4, 15);
    }
}

/*
 * A program that goes over memory, atomics, devices and its own page table base:
 * load, store, amoadd, csrr satp, sfence.vma, mret by turns, and back to its start.
 */
static void load_program(struct fuzz_board *m)
{
    static const uint32_t code[] = {
        0x0007b703, /* ld a4, 0(a5) */
        0x00e7b423, /* sd a4, 8(a5) */
        0x00e7b02f, /* amoadd.d zero, a4, (a5) */
        0x180026f3, /* csrr a3, satp */
        0x12000073, /* sfence.vma */
        0x00052703, /* lw a4, 0(a0) */
        0x00e52823, /* sw a4, 16(a0) */
        0x0000100f, /* fence.i */
        0x4187f7d3, /* fdiv-like bits: whatever they are */
        0x10200073, /* sret */
        0xfd9ff06f, /* j back */
    };

    memcpy(m->ram, code, sizeof(code));
    for (unsigned i = 0; i < HARTS; i++) {
        struct riscv_vcpu *hart = &m->harts[i];
        if (i == 0)
            riscv_vcpu_start_supervisor(hart, BOARD_RAM, 0);
        else
            riscv_vcpu_reset(hart, BOARD_RAM);
        hart->stvec = hart->mtvec = hart->sepc = hart->mepc = BOARD_RAM;
        hart->x[15] = BOARD_RAM + 0x8000;
        hart->x[10] = BOARD_VIRTIO;
        atomic_store(&hart->vcpu.run_state, VCPU_RUNNING);
    }
}

static void patch(struct saved *saved, const uint8_t *data, size_t size)
{
    static const uint64_t telling[] = {0,
                                       1,
                                       2,
                                       3,
                                       7,
                                       0xff,
                                       0xffff,
                                       UINT64_MAX,
                                       BOARD_RAM + FUZZ_RAM_SIZE - 8,
                                       BOARD_RAM + FUZZ_RAM_SIZE,
                                       BOARD_RAM + 1,
                                       0xf000000000080000,
                                       0x8000000000080000,
                                       1ULL << 63,
                                       0x7fff,
                                       0x1000};
    /* The ROM comes early and is most of it; it only holds code. */
    const size_t first = BOARD_ROM_SIZE < saved->size ? BOARD_ROM_SIZE : 0;

    for (unsigned i = 0; i < PATCHES_MAX && size >= 4; i++, data += 4, size -= 4) {
        size_t at = first + (data[0] | (size_t)data[1] << 8) % (saved->size - first);
        size_t width = (size_t)1 << (data[2] & 3);
        uint64_t value = data[2] & 0x80 ? data[3] : telling[data[3] % 16];
        if (width > saved->size - at)
            width = saved->size - at;
        memcpy(saved->bytes + at, &value, width);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct saved saved;
    const bool aia = (size & 1) != 0; /* which of the two boards */
    struct fuzz_board *m = host_alloc(sizeof(*m), 64);

    if (m == NULL)
        abort();
    saved.size = saved.at = 0;
    fuzz_board_init(m, HARTS, aia);
    load_program(m);
    start_devices(m);
    if (!state_move(m, &saved, false))
        abort();
    fuzz_board_fini(m);
    host_free(m, sizeof(*m));

    patch(&saved, data, size);

    m = host_alloc(sizeof(*m), 64);
    if (m == NULL)
        abort();
    fuzz_board_init(m, HARTS, aia);
    load_program(m);
    start_devices(m); /* for what is in RAM */
    if (state_move(m, &saved, true)) {
        board_thaw(&m->board);
        clock_start(&m->vm.clock);
        fuzz_board_run(m, TURNS);
    }
    fuzz_board_fini(m);
    host_free(m, sizeof(*m));
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    const size_t size = index == 0 ? 1 : 4 + 4 * (index % 4) + index / 4 % 2;

    if (index >= 16 || size > capacity)
        return 0;
    for (size_t i = 0; i < size; i++)
        buf[i] = (uint8_t)(index * 73 + i * 29);
    return size;
}
