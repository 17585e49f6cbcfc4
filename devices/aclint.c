#include "devices/aclint.h"

#include "core/error.h"

enum {
    ACLINT_MSIP = 0x0,
    ACLINT_MTIMECMP = 0x4000,
    ACLINT_MTIME = 0xbff8,
};

/* Interrupt numbers for the device tree (Privileged ISA, 3.1.9). */
enum { S_SOFTWARE = 1, M_SOFTWARE = 3, M_TIMER = 7 };

/* Under the hart's lock. */
static void timer_update(struct aclint_hart *hart)
{
    bool due = clock_now(hart->clock) >= hart->mtimecmp;
    irq_set(&hart->wires.mti, due);
    /* A timer left armed for an older value is harmless: its callback asks again. */
    if (!due && hart->mtimecmp != UINT64_MAX)
        clock_timer_arm(&hart->timer, hart->mtimecmp);
}

static void timer_fired(void *arg)
{
    struct aclint_hart *hart = arg;
    host_lock_acquire(&hart->lock);
    if (clock_now(hart->clock) >= hart->mtimecmp)
        irq_set(&hart->wires.mti, true);
    host_lock_release(&hart->lock);
}

/* The part of a 64-bit register that an access of `width` at `offset` sees. */
static uint64_t part_read(uint64_t whole, uint64_t offset, unsigned width)
{
    return width == 8 ? whole : (uint32_t)(whole >> (offset % 8 * 8));
}

static uint64_t part_write(uint64_t whole, uint64_t offset, unsigned width, uint64_t value)
{
    if (width == 8)
        return value;
    unsigned shift = (unsigned)(offset % 8 * 8);
    return (whole & ~(UINT64_C(0xffffffff) << shift)) | ((value & 0xffffffff) << shift);
}

static int aclint_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    struct aclint *aclint = device;
    *value = 0;
    if (offset < ACLINT_MTIMECMP) {
        uint64_t index = (offset - ACLINT_MSIP) / 4;
        if (index < aclint->hart_count) {
            struct aclint_hart *hart = &aclint->harts[index];
            host_lock_acquire(&hart->lock);
            *value = hart->msip;
            host_lock_release(&hart->lock);
        }
    } else if (offset < ACLINT_MTIME) {
        uint64_t index = (offset - ACLINT_MTIMECMP) / 8;
        if (index < aclint->hart_count) {
            struct aclint_hart *hart = &aclint->harts[index];
            host_lock_acquire(&hart->lock);
            *value = part_read(hart->mtimecmp, offset, width);
            host_lock_release(&hart->lock);
        }
    } else if (offset < ACLINT_MTIME + 8) {
        *value = part_read(clock_now(aclint->harts[0].clock), offset, width);
    }
    return 0;
}

static int aclint_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct aclint *aclint = device;
    if (offset < ACLINT_MTIMECMP) {
        uint64_t index = (offset - ACLINT_MSIP) / 4;
        if (index < aclint->hart_count) {
            struct aclint_hart *hart = &aclint->harts[index];
            host_lock_acquire(&hart->lock);
            hart->msip = (value & 1) != 0;
            irq_set(&hart->wires.msi, hart->msip);
            host_lock_release(&hart->lock);
        }
    } else if (offset < ACLINT_MTIME) {
        uint64_t index = (offset - ACLINT_MTIMECMP) / 8;
        if (index < aclint->hart_count) {
            struct aclint_hart *hart = &aclint->harts[index];
            host_lock_acquire(&hart->lock);
            hart->mtimecmp = part_write(hart->mtimecmp, offset, width, value);
            timer_update(hart);
            host_lock_release(&hart->lock);
        }
    }
    return 0;
}

const struct bus_ops aclint_bus_ops = {.read = aclint_read, .write = aclint_write, .widths = 4 | 8};

static int sswi_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    (void)device;
    (void)offset;
    (void)width;
    *value = 0;
    return 0;
}

static int sswi_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    (void)width;
    struct aclint *aclint = device;
    if (offset / 4 < aclint->hart_count && (value & 1) != 0)
        irq_set(&aclint->harts[offset / 4].wires.ssi, true);
    return 0;
}

const struct bus_ops aclint_sswi_bus_ops = {.read = sswi_read, .write = sswi_write, .widths = 4};

void aclint_init(struct aclint *aclint, struct clock *clock, unsigned hart_count,
                 const struct aclint_wires *wires)
{
    memset(aclint, 0, sizeof *aclint);
    aclint->hart_count = hart_count;
    for (unsigned i = 0; i < hart_count; i++) {
        struct aclint_hart *hart = &aclint->harts[i];
        host_lock_init(&hart->lock);
        hart->clock = clock;
        hart->wires = wires[i];
        hart->mtimecmp = UINT64_MAX;
        clock_timer_init(&hart->timer, clock, timer_fired, hart);
    }
}

void aclint_reset(struct aclint *aclint)
{
    for (unsigned i = 0; i < aclint->hart_count; i++) {
        struct aclint_hart *hart = &aclint->harts[i];
        host_lock_acquire(&hart->lock);
        hart->mtimecmp = UINT64_MAX;
        hart->msip = false;
        irq_set(&hart->wires.msi, false);
        irq_set(&hart->wires.mti, false);
        host_lock_release(&hart->lock);
    }
}

void aclint_state(struct aclint *aclint, struct state *state)
{
    state_section(state, "aclint", 1);
    for (unsigned i = 0; i < aclint->hart_count; i++) {
        struct aclint_hart *hart = &aclint->harts[i];
        host_lock_acquire(&hart->lock);
        state_u64(state, &hart->mtimecmp);
        state_bool(state, &hart->msip);
        if (state->loading) {
            irq_set(&hart->wires.msi, hart->msip);
            timer_update(hart);
        }
        host_lock_release(&hart->lock);
    }
}

void aclint_fdt(const struct aclint *aclint, struct fdt_writer *w, uint64_t base,
                const uint32_t *intc_phandles)
{
    static const char *const compatible[] = {"sifive,clint0", "riscv,clint0"};
    uint32_t cells[ACLINT_HARTS_MAX * 4];

    for (unsigned i = 0; i < aclint->hart_count; i++) {
        cells[4 * i] = cells[4 * i + 2] = intc_phandles[i];
        cells[4 * i + 1] = M_SOFTWARE;
        cells[4 * i + 3] = M_TIMER;
    }
    fdt_node_at(w, "clint", base);
    fdt_put_strs(w, "compatible", compatible, 2);
    fdt_put_reg64(w, base, ACLINT_SIZE);
    fdt_put_cells(w, "interrupts-extended", cells, (size_t)aclint->hart_count * 4);
    fdt_end(w);
}

void aclint_sswi_fdt(const struct aclint *aclint, struct fdt_writer *w, uint64_t base,
                     const uint32_t *intc_phandles)
{
    uint32_t cells[ACLINT_HARTS_MAX * 2];

    for (unsigned i = 0; i < aclint->hart_count; i++) {
        cells[2 * i] = intc_phandles[i];
        cells[2 * i + 1] = S_SOFTWARE;
    }
    fdt_node_at(w, "sswi", base);
    fdt_put_str(w, "compatible", "riscv,aclint-sswi");
    fdt_put_reg64(w, base, ACLINT_SSWI_SIZE);
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 0);
    fdt_put_u32(w, "#address-cells", 0);
    fdt_put_cells(w, "interrupts-extended", cells, (size_t)aclint->hart_count * 2);
    fdt_end(w);
}

void aclint_fini(struct aclint *aclint)
{
    for (unsigned i = 0; i < aclint->hart_count; i++)
        clock_timer_fini(&aclint->harts[i].timer);
}
