#include "type1/dev_intc.h"

#include "core/error.h"

#include <stdatomic.h>

#define S_EXTERNAL     9
#define CONTEXTS_MAX   15872 /* RISC-V PLIC 1.0.0, chapter 3 */
#define CLAIMS_AT_ONCE 64

enum {
    PLIC_ENABLE = 0x2000,
    PLIC_ENABLE_STRIDE = 0x80,
    PLIC_CONTEXT = 0x200000,
    PLIC_CONTEXT_STRIDE = 0x1000,
    PLIC_CLAIM = 4,
};

static uint32_t enable_at(unsigned context, uint32_t line)
{
    return PLIC_ENABLE + context * PLIC_ENABLE_STRIDE + line / 32 * 4;
}

static uint32_t context_at(unsigned context)
{
    return PLIC_CONTEXT + context * PLIC_CONTEXT_STRIDE;
}

static const struct intc_kind plic_kind;

/* ---- The device tree ---- */

/* The hart whose local interrupt controller has the phandle. */
static bool belongs_to(const struct fdt *fdt, uint32_t phandle, uint64_t hart)
{
    int cpu = fdt_parent(fdt, fdt_by_phandle(fdt, phandle));
    const char *type = fdt_str(fdt, cpu, "device_type");
    return type != NULL && strcmp(type, "cpu") == 0 && fdt_u64(fdt, cpu, "reg", UINT64_MAX) == hart;
}

int intc_context_of(const struct fdt *fdt, int node, uint64_t hart)
{
    uint32_t len = 0;
    const uint8_t *cells = fdt_prop(fdt, node, "interrupts-extended", &len);
    for (unsigned i = 0; cells != NULL && i < len / 8 && i < CONTEXTS_MAX; i++) {
        if (fdt_cell(cells + 8 * i + 4) == S_EXTERNAL &&
            belongs_to(fdt, fdt_cell(cells + 8 * i), hart))
            return (int)i;
    }
    return -E_NODEV;
}

static int plic_context(const struct intc *intc, uint64_t hart)
{
    int context = intc_context_of(intc->fdt, intc->node, hart);
    return context >= 0 && intc->size >= context_at((unsigned)context) + 8ULL ? context : -E_NODEV;
}

static int plic_find(struct intc *intc, const struct fdt *fdt, uint64_t hart)
{
    int node = fdt_compatible_next(fdt, -1, "sifive,plic-1.0.0");
    if (node < 0)
        node = fdt_compatible_next(fdt, -1, "riscv,plic0");
    intc->kind = &plic_kind;
    intc->node = node;
    if (fdt_reg(fdt, node, 0, &intc->address, &intc->size) != 0 || plic_context(intc, hart) < 0)
        return -E_NODEV;
    intc->line_max = fdt_u32(fdt, node, "riscv,ndev", 0);
    return 0;
}

int intc_find(struct intc *intc, const struct fdt *fdt, uint64_t hart)
{
    memset(intc, 0, sizeof *intc);
    memset(intc->contexts, 0xff, sizeof intc->contexts);
    host_lock_init(&intc->lock);
    intc->fdt = fdt;
    if (plic_find(intc, fdt, hart) != 0 && aplic_find(intc, fdt, hart) != 0)
        return -E_NODEV;
    intc->phandle = fdt_u32(fdt, intc->node, "phandle", 0);
    intc->base = (uint8_t *)(uintptr_t)intc->address;
    intc_add_hart(intc, 0, hart);
    return 0;
}

bool intc_add_hart(struct intc *intc, unsigned index, uint64_t hart)
{
    int context =
        intc->base != NULL && index < INTC_HARTS_MAX ? intc->kind->context(intc, hart) : -E_NODEV;
    if (index < INTC_HARTS_MAX)
        intc->contexts[index] = context >= 0 ? (unsigned)context : INTC_NOWHERE;
    return context >= 0;
}

uint32_t intc_take_line(struct intc *intc, const uint8_t *cells, uint32_t len)
{
    enum { EDGE_RISING = 1, EDGE_FALLING = 2, LEVEL_LOW = 8 };
    uint32_t line = len >= 4 ? fdt_cell(cells) : 0;
    if (len < 8 || line / 32 >= sizeof intc->edges / sizeof intc->edges[0])
        return line;
    uint32_t bit = 1u << line % 32, kind = fdt_cell(cells + 4);
    if ((kind & (EDGE_RISING | EDGE_FALLING)) != 0)
        intc->edges[line / 32] |= bit;
    if ((kind & (EDGE_FALLING | LEVEL_LOW)) != 0)
        intc->falling[line / 32] |= bit;
    return line;
}

uint32_t intc_line_of(struct intc *intc, const struct fdt *fdt, int node)
{
    uint32_t len = 0, parent = 0;
    const uint8_t *cells = fdt_prop(fdt, node, "interrupts-extended", &len);
    if (cells != NULL && len >= 8)
        return fdt_cell(cells) == intc->phandle ? intc_take_line(intc, cells + 4, len - 4) : 0;
    for (int at = node; at >= 0 && parent == 0; at = at == 0 ? -1 : fdt_parent(fdt, at))
        parent = fdt_u32(fdt, at, "interrupt-parent", 0);
    cells = fdt_prop(fdt, node, "interrupts", &len);
    return parent == intc->phandle && cells != NULL ? intc_take_line(intc, cells, len) : 0;
}

/* ---- The PLIC ---- */

static void plic_start(struct intc *intc)
{
    (void)intc;
}

static void plic_start_context(const struct intc *intc, unsigned context)
{
    for (uint32_t line = 0; line <= intc->line_max; line += 32)
        intc->access->write(intc->base, enable_at(context, line), 0);
    intc->access->write(intc->base, context_at(context), 0);
}

static void plic_enable(const struct intc *intc, unsigned place, bool on)
{
    uint32_t line = intc->lines[place].line, bit = 1u << line % 32;
    uint32_t at = enable_at(intc->contexts[intc->lines[place].hart], line);
    uint32_t word = intc->access->read(intc->base, at);
    if (on)
        intc->access->write(intc->base, line * 4, 1); /* its priority */
    intc->access->write(intc->base, at, on ? word | bit : word & ~bit);
}

static uint32_t plic_claim(struct intc *intc, unsigned context)
{
    return intc->access->read(intc->base, context_at(context) + PLIC_CLAIM);
}

/* Taken from a context where the line is enabled, and no other. */
static void plic_complete(const struct intc *intc, unsigned place)
{
    unsigned context = intc->contexts[intc->lines[place].hart];
    intc->access->write(intc->base, context_at(context) + PLIC_CLAIM, intc->lines[place].line);
}

static const struct intc_kind plic_kind = {
    .name = "PLIC",
    .context = plic_context,
    .start = plic_start,
    .start_context = plic_start_context,
    .enable = plic_enable,
    .claim = plic_claim,
    .complete = plic_complete,
};

/* ---- Lines ---- */

void intc_start(struct intc *intc, const struct dev_access *access,
                const struct imsic_access *imsic)
{
    intc->access = access;
    intc->imsic = imsic;
    if (intc->base == NULL)
        return;
    for (unsigned i = 0; i < INTC_HARTS_MAX; i++) {
        if (intc->contexts[i] != INTC_NOWHERE)
            intc->kind->start_context(intc, intc->contexts[i]);
    }
    intc->kind->start(intc);
}

/* Lock held. The place of the line in the table (0: a free one), or the count if there is none. */
static unsigned find_line(struct intc *intc, uint32_t line)
{
    unsigned count = atomic_load_explicit(&intc->line_count, memory_order_relaxed), i = 0;
    while (i < count && atomic_load_explicit(&intc->lines[i].line, memory_order_relaxed) != line)
        i++;
    return i;
}

int intc_open(struct intc *intc, uint32_t line, bool (*handle)(void *arg), void *arg)
{
    int error = 0;
    if (intc->base == NULL || line == 0 || line > intc->line_max)
        return -E_NODEV;
    host_lock_acquire(&intc->lock);
    unsigned count = atomic_load_explicit(&intc->line_count, memory_order_relaxed);
    unsigned at = find_line(intc, 0);
    if (find_line(intc, line) < count)
        error = -E_EXIST;
    else if (at == INTC_LINES_MAX)
        error = -E_NOSPC;
    if (error == 0) {
        intc->lines[at].handle = handle;
        intc->lines[at].arg = arg;
        intc->lines[at].hart = intc->lines[at].aimed = 0;
        atomic_store_explicit(&intc->lines[at].line, line, memory_order_release);
        if (at == count)
            atomic_store_explicit(&intc->line_count, count + 1, memory_order_release);
        intc->kind->enable(intc, at, true);
    }
    host_lock_release(&intc->lock);
    return error;
}

void intc_close(struct intc *intc, uint32_t line)
{
    if (intc->base == NULL || line == 0)
        return;
    host_lock_acquire(&intc->lock);
    unsigned at = find_line(intc, line);
    if (at < atomic_load_explicit(&intc->line_count, memory_order_relaxed)) {
        /* Whoever has it next finds it open. */
        intc->kind->complete(intc, at);
        intc->kind->enable(intc, at, false);
        atomic_store_explicit(&intc->lines[at].line, 0, memory_order_release);
    }
    host_lock_release(&intc->lock);
}

/* Lock held on return. Whether the line is somebody's. */
static bool lock_line(struct intc *intc, uint32_t line, unsigned *place)
{
    host_lock_acquire(&intc->lock);
    *place = line != 0 ? find_line(intc, line) : INTC_LINES_MAX;
    return *place < atomic_load_explicit(&intc->line_count, memory_order_relaxed);
}

void intc_complete(struct intc *intc, uint32_t line)
{
    unsigned place;
    if (lock_line(intc, line, &place))
        intc->kind->complete(intc, place);
    host_lock_release(&intc->lock);
}

void intc_move(struct intc *intc, uint32_t line, unsigned index)
{
    unsigned place;
    if (lock_line(intc, line, &place) && index < INTC_HARTS_MAX &&
        intc->contexts[index] != INTC_NOWHERE && intc->lines[place].hart != index) {
        intc->kind->enable(intc, place, false);
        intc->lines[place].hart = index;
        intc->kind->enable(intc, place, true);
    }
    host_lock_release(&intc->lock);
}

bool intc_aim(struct intc *intc, uint32_t line, uint32_t target)
{
    unsigned place;
    bool can = lock_line(intc, line, &place) && intc->kind->messages;
    if (can && intc->lines[place].aimed != target) {
        intc->lines[place].aimed = target;
        intc->kind->enable(intc, place, true);
    }
    host_lock_release(&intc->lock);
    return can;
}

static bool handle_line(struct intc *intc, uint32_t line)
{
    unsigned count = atomic_load_explicit(&intc->line_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        if (atomic_load_explicit(&intc->lines[i].line, memory_order_acquire) == line)
            return intc->lines[i].handle(intc->lines[i].arg);
    }
    return true;
}

/* What is left after so many claims interrupts again. */
void intc_interrupt(struct intc *intc, unsigned index)
{
    for (unsigned i = 0;
         intc->base != NULL && intc->contexts[index] != INTC_NOWHERE && i < CLAIMS_AT_ONCE; i++) {
        uint32_t line = intc->kind->claim(intc, intc->contexts[index]);
        if (line == 0)
            return;
        if (handle_line(intc, line))
            intc_complete(intc, line);
    }
}
