#include "devices/aplic.h"

enum {
    APLIC_DOMAINCFG = 0x0000,
    APLIC_SOURCECFG = 0x0004,
    APLIC_SETIP = 0x1c00,
    APLIC_SETIPNUM = 0x1cdc,
    APLIC_IN_CLRIP = 0x1d00,
    APLIC_CLRIPNUM = 0x1ddc,
    APLIC_SETIE = 0x1e00,
    APLIC_SETIENUM = 0x1edc,
    APLIC_CLRIE = 0x1f00,
    APLIC_CLRIENUM = 0x1fdc,
    APLIC_SETIPNUM_LE = 0x2000,
    APLIC_SETIPNUM_BE = 0x2004,
    APLIC_GENMSI = 0x3000,
    APLIC_TARGET = 0x3004,

    DOMAINCFG_FIXED = 0x80000000 | 1 << 2, /* and DM */
    DOMAINCFG_IE = 1 << 8,
    IMSIC_PAGE_SHIFT = 12,
};
#define TARGET_MASK 0xfffc07ffu /* hart index, EIID: no guest interrupt files */
#define EIID_MASK   0x7ffu

/* sourcecfg.SM (4.5.2) */
enum source_mode {
    INACTIVE = 0,
    DETACHED = 1,
    EDGE_RISING = 4,
    EDGE_FALLING = 5,
    LEVEL_HIGH = 6,
    LEVEL_LOW = 7,
};

static uint32_t bit_of(uint32_t source)
{
    return UINT32_C(1) << (source % 32);
}

static bool is_level(const struct aplic *aplic, uint32_t source)
{
    return aplic->mode[source] >= LEVEL_HIGH;
}

/* The rectified input value (4.5.2). */
static bool rectified(const struct aplic *aplic, uint32_t source)
{
    bool level = (aplic->level[source / 32] & bit_of(source)) != 0;
    switch (aplic->mode[source]) {
    case EDGE_RISING:
    case LEVEL_HIGH: return level;
    case EDGE_FALLING:
    case LEVEL_LOW: return !level;
    default: return false;
    }
}

static void send(const struct aplic *aplic, uint32_t target)
{
    uint32_t hart = target >> 18;
    if (hart < aplic->hart_count)
        msi_send(&aplic->msi, aplic->imsic + ((uint64_t)hart << IMSIC_PAGE_SHIFT),
                 target & EIID_MASK);
}

uint32_t aplic_target(const struct aplic *aplic, uint32_t source)
{
    bool on = aplic->enabled && aplic->mode[source] > DETACHED &&
              (aplic->enable[source / 32] & bit_of(source)) != 0;
    return on ? aplic->target[source] : 0;
}

static void tell(const struct aplic *aplic, uint32_t source)
{
    if (aplic->real.from != 0 && source >= aplic->real.from)
        aplic->real.changed(aplic->real.arg, source);
}

/* Forwarding a message clears the pending bit, of levels too (4.9.1). */
static void forward(struct aplic *aplic, uint32_t source)
{
    uint32_t w = source / 32, bit = bit_of(source);
    if (!aplic->enabled || (aplic->pending[w] & aplic->enable[w] & bit) == 0)
        return;
    aplic->pending[w] &= ~bit;
    send(aplic, aplic->target[source]);
}

static void forward_all(struct aplic *aplic)
{
    for (uint32_t source = 1; source < APLIC_SOURCES; source++) {
        tell(aplic, source);
        forward(aplic, source);
    }
}

/* The rectified value has changed from `before`. */
static void input_changed(struct aplic *aplic, uint32_t source, bool before)
{
    bool now = rectified(aplic, source);
    if (now && !before)
        aplic->pending[source / 32] |= bit_of(source);
    else if (!now && is_level(aplic, source))
        aplic->pending[source / 32] &= ~bit_of(source);
    forward(aplic, source);
}

void aplic_set(void *sink, uint32_t line, bool level)
{
    struct aplic *aplic = sink;
    if (line == 0 || line >= APLIC_SOURCES)
        return;
    host_lock_acquire(&aplic->lock);
    bool before = rectified(aplic, line);
    if (level)
        aplic->level[line / 32] |= bit_of(line);
    else
        aplic->level[line / 32] &= ~bit_of(line);
    input_changed(aplic, line, before);
    host_lock_release(&aplic->lock);
}

/* ---- Registers ---- */

static void mode_set(struct aplic *aplic, uint32_t source, uint32_t value)
{
    bool before = rectified(aplic, source);
    uint32_t mode = value & 7;
    /* Bit 10 would delegate to a child domain: there is none. 2 and 3 are reserved. */
    if ((value & 1 << 10) != 0 || mode == 2 || mode == 3)
        mode = INACTIVE;
    aplic->mode[source] = (uint8_t)mode;
    if (mode == INACTIVE) {
        aplic->pending[source / 32] &= ~bit_of(source);
        aplic->enable[source / 32] &= ~bit_of(source);
        aplic->target[source] = 0;
    }
    tell(aplic, source);
    input_changed(aplic, source, before);
}

/* Software makes an edge, or asks whether a level is still up (4.9.2). */
static void pending_set(struct aplic *aplic, uint32_t source)
{
    if (source == 0 || source >= APLIC_SOURCES || aplic->mode[source] == INACTIVE)
        return;
    if (is_level(aplic, source) && aplic->real.from != 0 && source >= aplic->real.from) {
        aplic->level[source / 32] &= ~bit_of(source);
        if (aplic->real.again(aplic->real.arg, source))
            aplic->level[source / 32] |= bit_of(source);
    }
    if (!is_level(aplic, source) || rectified(aplic, source))
        aplic->pending[source / 32] |= bit_of(source);
    forward(aplic, source);
}

static void pending_clear(struct aplic *aplic, uint32_t source)
{
    if (source < APLIC_SOURCES)
        aplic->pending[source / 32] &= ~bit_of(source);
}

static void enable_set(struct aplic *aplic, uint32_t source, bool on)
{
    if (source == 0 || source >= APLIC_SOURCES || aplic->mode[source] == INACTIVE)
        return;
    if (on)
        aplic->enable[source / 32] |= bit_of(source);
    else
        aplic->enable[source / 32] &= ~bit_of(source);
    tell(aplic, source);
    forward(aplic, source);
}

/* One of the arrays with a bit for each source, in words from `base` on; false: not in it. */
static bool word_of(uint64_t offset, uint32_t base, uint32_t *word)
{
    if (offset < base || offset >= base + APLIC_WORDS * 4)
        return false;
    *word = (uint32_t)(offset - base) / 4;
    return true;
}

static uint32_t inputs(const struct aplic *aplic, uint32_t word)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 32; i++)
        bits |= (uint32_t)rectified(aplic, word * 32 + i) << i;
    return bits;
}

static int aplic_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    struct aplic *aplic = device;
    uint32_t word, result = 0;

    (void)width;
    host_lock_acquire(&aplic->lock);
    if (offset == APLIC_DOMAINCFG)
        result = DOMAINCFG_FIXED | (aplic->enabled ? DOMAINCFG_IE : 0);
    else if (offset / 4 < APLIC_SOURCES)
        result = aplic->mode[offset / 4];
    else if (offset > APLIC_GENMSI && (offset - APLIC_GENMSI) / 4 < APLIC_SOURCES)
        result = aplic->target[(offset - APLIC_GENMSI) / 4];
    else if (word_of(offset, APLIC_SETIP, &word))
        result = aplic->pending[word];
    else if (word_of(offset, APLIC_SETIE, &word))
        result = aplic->enable[word];
    else if (word_of(offset, APLIC_IN_CLRIP, &word))
        result = inputs(aplic, word);
    host_lock_release(&aplic->lock);
    *value = result;
    return 0;
}

static void write_words(struct aplic *aplic, uint64_t offset, uint32_t value)
{
    uint32_t word;
    for (; value != 0; value &= value - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(value);
        if (word_of(offset, APLIC_SETIP, &word))
            pending_set(aplic, word * 32 + bit);
        else if (word_of(offset, APLIC_IN_CLRIP, &word))
            pending_clear(aplic, word * 32 + bit);
        else if (word_of(offset, APLIC_SETIE, &word))
            enable_set(aplic, word * 32 + bit, true);
        else if (word_of(offset, APLIC_CLRIE, &word))
            enable_set(aplic, word * 32 + bit, false);
    }
}

static int aplic_write(void *device, uint64_t offset, unsigned width, uint64_t value64)
{
    struct aplic *aplic = device;
    uint32_t value = (uint32_t)value64, source;

    (void)width;
    host_lock_acquire(&aplic->lock);
    switch (offset) {
    case APLIC_DOMAINCFG:
        aplic->enabled = (value & DOMAINCFG_IE) != 0;
        forward_all(aplic);
        break;
    case APLIC_SETIPNUM:
    case APLIC_SETIPNUM_LE: pending_set(aplic, value); break;
    case APLIC_SETIPNUM_BE: pending_set(aplic, __builtin_bswap32(value)); break;
    case APLIC_CLRIPNUM: pending_clear(aplic, value); break;
    case APLIC_SETIENUM: enable_set(aplic, value, true); break;
    case APLIC_CLRIENUM: enable_set(aplic, value, false); break;
    case APLIC_GENMSI: send(aplic, value); break;
    default:
        if (offset / 4 < APLIC_SOURCES) {
            mode_set(aplic, (uint32_t)offset / 4, value);
        } else if (offset > APLIC_GENMSI && (offset - APLIC_GENMSI) / 4 < APLIC_SOURCES) {
            source = (uint32_t)(offset - APLIC_GENMSI) / 4;
            if (aplic->mode[source] != INACTIVE)
                aplic->target[source] = value & TARGET_MASK;
            tell(aplic, source);
        } else {
            write_words(aplic, offset, value);
        }
    }
    host_lock_release(&aplic->lock);
    return 0;
}

const struct bus_ops aplic_bus_ops = {.read = aplic_read, .write = aplic_write, .widths = 4};

/* ---- Life ---- */

void aplic_init(struct aplic *aplic, unsigned hart_count, uint64_t imsic, const struct msi *msi)
{
    memset(aplic, 0, sizeof *aplic);
    host_lock_init(&aplic->lock);
    aplic->hart_count = hart_count;
    aplic->imsic = imsic;
    aplic->msi = *msi;
}

void aplic_reset(struct aplic *aplic)
{
    host_lock_acquire(&aplic->lock);
    aplic->enabled = false;
    memset(aplic->mode, 0, sizeof aplic->mode);
    memset(aplic->target, 0, sizeof aplic->target);
    memset(aplic->pending, 0, sizeof aplic->pending);
    memset(aplic->enable, 0, sizeof aplic->enable);
    host_lock_release(&aplic->lock);
}

void aplic_state(struct aplic *aplic, struct state *state)
{
    uint8_t enabled = aplic->enabled;
    state_section(state, "aplic", 1);
    host_lock_acquire(&aplic->lock);
    state_u8(state, &enabled);
    aplic->enabled = enabled != 0;
    for (uint32_t source = 1; source < APLIC_SOURCES; source++) {
        state_u8(state, &aplic->mode[source]);
        state_u32(state, &aplic->target[source]);
        aplic->mode[source] &= 7;
        aplic->target[source] &= TARGET_MASK;
    }
    for (unsigned w = 0; w < APLIC_WORDS; w++) {
        state_u32(state, &aplic->level[w]);
        state_u32(state, &aplic->pending[w]);
        state_u32(state, &aplic->enable[w]);
    }
    host_lock_release(&aplic->lock);
}

/* ---- Device tree ---- */

void aplic_fdt(struct fdt_writer *w, uint64_t base, uint32_t phandle, uint32_t imsic_phandle)
{
    fdt_node_at(w, "interrupt-controller", base);
    fdt_put_str(w, "compatible", "riscv,aplic");
    fdt_put_reg64(w, base, APLIC_SIZE);
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 2);
    fdt_put_u32(w, "#address-cells", 0);
    fdt_put_u32(w, "msi-parent", imsic_phandle);
    fdt_put_u32(w, "riscv,num-sources", APLIC_SOURCES - 1);
    fdt_put_u32(w, "phandle", phandle);
    fdt_end(w);
}

void imsic_fdt(struct fdt_writer *w, uint64_t base, uint32_t phandle, uint32_t ids,
               const uint32_t *intc_phandles, unsigned hart_count)
{
    enum { S_EXTERNAL = 9, HARTS_MAX = 64 };
    uint32_t cells[2 * HARTS_MAX];

    if (hart_count > HARTS_MAX)
        hart_count = HARTS_MAX;
    for (unsigned i = 0; i < hart_count; i++) {
        cells[2 * i] = intc_phandles[i];
        cells[2 * i + 1] = S_EXTERNAL;
    }
    fdt_node_at(w, "interrupt-controller", base);
    fdt_put_str(w, "compatible", "riscv,imsics");
    fdt_put_reg64(w, base, (uint64_t)hart_count << IMSIC_PAGE_SHIFT);
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 0);
    fdt_put_empty(w, "msi-controller");
    fdt_put_u32(w, "#msi-cells", 0);
    fdt_put_cells(w, "interrupts-extended", cells, (size_t)hart_count * 2);
    fdt_put_u32(w, "riscv,num-ids", ids);
    fdt_put_u32(w, "phandle", phandle);
    fdt_end(w);
}
