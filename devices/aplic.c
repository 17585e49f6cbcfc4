#include "devices/aplic.h"

#include "core/error.h"

enum {
    APLIC_DOMAINCFG = 0x0000,
    APLIC_SOURCECFG = 0x0004,
    APLIC_MMSIADDRCFGH = 0x1bc4,
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
    SOURCECFG_D = 1 << 10,
    IMSIC_PAGE_SHIFT = 12,
};
#define MMSIADDRCFGH_L     0x80000000u
#define TARGET_GUEST_SHIFT 12
#define TARGET_HART_SHIFT  18
#define EIID_MASK          0x7ffu

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

/* Firmware and type 1 have guests under an SBI alone. */
static bool has_machine(const struct aplic *aplic)
{
    return __STDC_HOSTED__ && aplic->where.machine;
}

static unsigned guest_bits(const struct aplic_where *where)
{
    return __STDC_HOSTED__ ? where->guest_bits : 0;
}

static bool is_machine(const struct aplic_domain *domain)
{
    return __STDC_HOSTED__ && domain->machine;
}

static struct aplic *aplic_of(const struct aplic_domain *domain)
{
    const size_t at = is_machine(domain) ? offsetof(struct aplic, m) : offsetof(struct aplic, s);
    return (struct aplic *)(void *)((char *)(uintptr_t)domain - at);
}

static bool is_level(const struct aplic_domain *domain, uint32_t source)
{
    return domain->mode[source] >= LEVEL_HIGH;
}

/* The rectified input value (4.5.2). */
static bool rectified(const struct aplic_domain *domain, uint32_t source)
{
    bool level = (aplic_of(domain)->level[source / 32] & bit_of(source)) != 0;
    switch (domain->mode[source]) {
    case EDGE_RISING:
    case LEVEL_HIGH: return level;
    case EDGE_FALLING:
    case LEVEL_LOW: return !level;
    default: return false;
    }
}

/* The fields that target has: hart index, guest index, EIID. */
static uint32_t target_mask(const struct aplic_domain *domain)
{
    const uint32_t guest =
        is_machine(domain) ? 0 : (1u << guest_bits(&aplic_of(domain)->where)) - 1;
    return ~0u << TARGET_HART_SHIFT | guest << TARGET_GUEST_SHIFT | EIID_MASK;
}

static void send(const struct aplic_domain *domain, uint32_t target)
{
    const struct aplic_where *where = &aplic_of(domain)->where;
    const uint64_t hart = target >> TARGET_HART_SHIFT,
                   guest = target >> TARGET_GUEST_SHIFT & ((1u << guest_bits(where)) - 1);
    const uint64_t page = is_machine(domain) ? hart : hart << guest_bits(where) | guest;
    if (hart < where->hart_count)
        msi_send(&aplic_of(domain)->msi,
                 (is_machine(domain) ? where->imsic_m : where->imsic) + (page << IMSIC_PAGE_SHIFT),
                 target & EIID_MASK);
}

uint32_t aplic_target(const struct aplic *aplic, uint32_t source)
{
    const struct aplic_domain *domain = &aplic->s;
    bool on = domain->enabled && domain->mode[source] > DETACHED &&
              (domain->enable[source / 32] & bit_of(source)) != 0;
    return on ? domain->target[source] : 0;
}

static void tell(const struct aplic_domain *domain, uint32_t source)
{
    const struct aplic_real *real = &aplic_of(domain)->real;
    if (real->from != 0 && source >= real->from && !is_machine(domain))
        real->changed(real->arg, source);
}

/* Forwarding a message clears the pending bit, of levels too (4.9.1). */
static void forward(struct aplic_domain *domain, uint32_t source)
{
    uint32_t w = source / 32, bit = bit_of(source);
    if (!domain->enabled || (domain->pending[w] & domain->enable[w] & bit) == 0)
        return;
    domain->pending[w] &= ~bit;
    send(domain, domain->target[source]);
}

static void forward_all(struct aplic_domain *domain)
{
    for (uint32_t source = 1; source < APLIC_SOURCES; source++) {
        tell(domain, source);
        forward(domain, source);
    }
}

/* The rectified value has changed from `before`. */
static void input_changed(struct aplic_domain *domain, uint32_t source, bool before)
{
    bool now = rectified(domain, source);
    if (now && !before)
        domain->pending[source / 32] |= bit_of(source);
    else if (!now && is_level(domain, source))
        domain->pending[source / 32] &= ~bit_of(source);
    forward(domain, source);
}

/* The domain in which the source may be active (4.2). */
static struct aplic_domain *domain_of(struct aplic *aplic, uint32_t source)
{
    const bool delegated = (aplic->delegated[source / 32] & bit_of(source)) != 0;
    return has_machine(aplic) && !delegated ? &aplic->m : &aplic->s;
}

void aplic_set(void *sink, uint32_t line, bool level)
{
    struct aplic *aplic = sink;
    if (line == 0 || line >= APLIC_SOURCES)
        return;
    host_lock_acquire(&aplic->lock);
    struct aplic_domain *domain = domain_of(aplic, line);
    bool before = rectified(domain, line);
    if (level)
        aplic->level[line / 32] |= bit_of(line);
    else
        aplic->level[line / 32] &= ~bit_of(line);
    input_changed(domain, line, before);
    host_lock_release(&aplic->lock);
}

/* ---- Registers ---- */

static void make_inactive(struct aplic_domain *domain, uint32_t source)
{
    domain->mode[source] = INACTIVE;
    domain->pending[source / 32] &= ~bit_of(source);
    domain->enable[source / 32] &= ~bit_of(source);
    domain->target[source] = 0;
}

/* What the domain above has given away or taken back is inactive in both (4.5.2). */
static void delegate(struct aplic *aplic, uint32_t source, bool on)
{
    make_inactive(&aplic->m, source);
    make_inactive(&aplic->s, source);
    if (on)
        aplic->delegated[source / 32] |= bit_of(source);
    else
        aplic->delegated[source / 32] &= ~bit_of(source);
}

static uint32_t sourcecfg_read(const struct aplic_domain *domain, uint32_t source)
{
    if (is_machine(domain) && (aplic_of(domain)->delegated[source / 32] & bit_of(source)) != 0)
        return SOURCECFG_D; /* child index 0 */
    return domain->mode[source];
}

static void sourcecfg_write(struct aplic_domain *domain, uint32_t source, uint32_t value)
{
    struct aplic *aplic = aplic_of(domain);
    if (is_machine(domain)) {
        const bool on = (value & SOURCECFG_D) != 0;
        if (on != (domain_of(aplic, source) == &aplic->s))
            delegate(aplic, source, on);
        if (on)
            return;
    } else if (domain_of(aplic, source) != domain) {
        return; /* not implemented here: it is not delegated */
    }
    bool before = rectified(domain, source);
    uint32_t mode = value & 7;
    /* Below this domain is none to delegate to. 2 and 3 are reserved. */
    if ((value & SOURCECFG_D) != 0 || mode == 2 || mode == 3)
        mode = INACTIVE;
    domain->mode[source] = (uint8_t)mode;
    if (mode == INACTIVE)
        make_inactive(domain, source);
    tell(domain, source);
    input_changed(domain, source, before);
}

/* Software makes an edge, or asks whether a level is still up (4.9.2). */
static void pending_set(struct aplic_domain *domain, uint32_t source)
{
    if (source == 0 || source >= APLIC_SOURCES || domain->mode[source] == INACTIVE)
        return;
    const struct aplic_real *real = &aplic_of(domain)->real;
    if (is_level(domain, source) && !is_machine(domain) && real->from != 0 &&
        source >= real->from) {
        aplic_of(domain)->level[source / 32] &= ~bit_of(source);
        if (real->again(real->arg, source))
            aplic_of(domain)->level[source / 32] |= bit_of(source);
    }
    if (!is_level(domain, source) || rectified(domain, source))
        domain->pending[source / 32] |= bit_of(source);
    forward(domain, source);
}

static void pending_clear(struct aplic_domain *domain, uint32_t source)
{
    if (source < APLIC_SOURCES)
        domain->pending[source / 32] &= ~bit_of(source);
}

static void enable_set(struct aplic_domain *domain, uint32_t source, bool on)
{
    if (source == 0 || source >= APLIC_SOURCES || domain->mode[source] == INACTIVE)
        return;
    if (on)
        domain->enable[source / 32] |= bit_of(source);
    else
        domain->enable[source / 32] &= ~bit_of(source);
    tell(domain, source);
    forward(domain, source);
}

/* One of the arrays with a bit for each source, in words from `base` on; false: not in it. */
static bool word_of(uint64_t offset, uint32_t base, uint32_t *word)
{
    if (offset < base || offset >= base + APLIC_WORDS * 4)
        return false;
    *word = (uint32_t)(offset - base) / 4;
    return true;
}

static uint32_t inputs(const struct aplic_domain *domain, uint32_t word)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 32; i++)
        bits |= (uint32_t)rectified(domain, word * 32 + i) << i;
    return bits;
}

static int aplic_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    struct aplic_domain *domain = device;
    uint32_t word, result = 0;

    (void)width;
    host_lock_acquire(&aplic_of(domain)->lock);
    if (offset == APLIC_DOMAINCFG)
        result = DOMAINCFG_FIXED | (domain->enabled ? DOMAINCFG_IE : 0);
    else if (offset / 4 < APLIC_SOURCES)
        result = sourcecfg_read(domain, (uint32_t)offset / 4);
    else if (offset > APLIC_GENMSI && (offset - APLIC_GENMSI) / 4 < APLIC_SOURCES)
        result = domain->target[(offset - APLIC_GENMSI) / 4];
    else if (offset == APLIC_MMSIADDRCFGH)
        result = is_machine(domain) ? MMSIADDRCFGH_L : 0;
    else if (word_of(offset, APLIC_SETIP, &word))
        result = domain->pending[word];
    else if (word_of(offset, APLIC_SETIE, &word))
        result = domain->enable[word];
    else if (word_of(offset, APLIC_IN_CLRIP, &word))
        result = inputs(domain, word);
    host_lock_release(&aplic_of(domain)->lock);
    *value = result;
    return 0;
}

static void write_words(struct aplic_domain *domain, uint64_t offset, uint32_t value)
{
    uint32_t word;
    for (; value != 0; value &= value - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(value);
        if (word_of(offset, APLIC_SETIP, &word))
            pending_set(domain, word * 32 + bit);
        else if (word_of(offset, APLIC_IN_CLRIP, &word))
            pending_clear(domain, word * 32 + bit);
        else if (word_of(offset, APLIC_SETIE, &word))
            enable_set(domain, word * 32 + bit, true);
        else if (word_of(offset, APLIC_CLRIE, &word))
            enable_set(domain, word * 32 + bit, false);
    }
}

static int aplic_write(void *device, uint64_t offset, unsigned width, uint64_t value64)
{
    struct aplic_domain *domain = device;
    uint32_t value = (uint32_t)value64, source;

    (void)width;
    host_lock_acquire(&aplic_of(domain)->lock);
    switch (offset) {
    case APLIC_DOMAINCFG:
        domain->enabled = (value & DOMAINCFG_IE) != 0;
        forward_all(domain);
        break;
    case APLIC_SETIPNUM:
    case APLIC_SETIPNUM_LE: pending_set(domain, value); break;
    case APLIC_SETIPNUM_BE: pending_set(domain, __builtin_bswap32(value)); break;
    case APLIC_CLRIPNUM: pending_clear(domain, value); break;
    case APLIC_SETIENUM: enable_set(domain, value, true); break;
    case APLIC_CLRIENUM: enable_set(domain, value, false); break;
    case APLIC_GENMSI: /* it names no guest (4.5.15) */
        send(domain, value & (~0u << TARGET_HART_SHIFT | EIID_MASK));
        break;
    default:
        if (offset / 4 < APLIC_SOURCES) {
            sourcecfg_write(domain, (uint32_t)offset / 4, value);
        } else if (offset > APLIC_GENMSI && (offset - APLIC_GENMSI) / 4 < APLIC_SOURCES) {
            source = (uint32_t)(offset - APLIC_GENMSI) / 4;
            if (domain->mode[source] != INACTIVE)
                domain->target[source] = value & target_mask(domain);
            tell(domain, source);
        } else {
            write_words(domain, offset, value);
        }
    }
    host_lock_release(&aplic_of(domain)->lock);
    return 0;
}

const struct bus_ops aplic_bus_ops = {.read = aplic_read, .write = aplic_write, .widths = 4};

/* ---- Life ---- */

void aplic_init(struct aplic *aplic, const struct aplic_where *where, const struct msi *msi)
{
    memset(aplic, 0, sizeof *aplic);
    host_lock_init(&aplic->lock);
    aplic->where = *where;
    aplic->msi = *msi;
    aplic->m.machine = true;
}

static void domain_reset(struct aplic_domain *domain)
{
    domain->enabled = false;
    memset(domain->mode, 0, sizeof domain->mode);
    memset(domain->target, 0, sizeof domain->target);
    memset(domain->pending, 0, sizeof domain->pending);
    memset(domain->enable, 0, sizeof domain->enable);
}

void aplic_reset(struct aplic *aplic)
{
    host_lock_acquire(&aplic->lock);
    memset(aplic->delegated, 0, sizeof aplic->delegated);
    if (has_machine(aplic))
        domain_reset(&aplic->m);
    domain_reset(&aplic->s);
    host_lock_release(&aplic->lock);
}

static void domain_state(struct aplic_domain *domain, struct state *state)
{
    state_bool(state, &domain->enabled);
    for (uint32_t source = 1; source < APLIC_SOURCES; source++) {
        state_u8(state, &domain->mode[source]);
        state_u32(state, &domain->target[source]);
        domain->mode[source] &= 7;
        domain->target[source] &= target_mask(domain);
    }
    for (unsigned w = 0; w < APLIC_WORDS; w++) {
        state_u32(state, &domain->pending[w]);
        state_u32(state, &domain->enable[w]);
    }
    /* What no guest could have brought about. */
    for (uint32_t source = 0; state->loading && source < APLIC_SOURCES; source++)
        if (domain->mode[source] == INACTIVE || domain_of(aplic_of(domain), source) != domain)
            make_inactive(domain, source);
}

void aplic_state(struct aplic *aplic, struct state *state)
{
    bool machine = has_machine(aplic);
    state_section(state, "aplic", 2);
    host_lock_acquire(&aplic->lock);
    state_bool(state, &machine);
    if (machine != has_machine(aplic))
        state_fail(state, -E_PROTO);
    for (unsigned w = 0; w < APLIC_WORDS; w++) {
        state_u32(state, &aplic->level[w]);
        state_u32(state, &aplic->delegated[w]);
    }
    domain_state(&aplic->s, state);
    if (machine)
        domain_state(&aplic->m, state);
    host_lock_release(&aplic->lock);
}

/* ---- Device tree ---- */

static void domain_fdt(struct fdt_writer *w, uint64_t base, uint32_t phandle, uint32_t imsic,
                       uint32_t child)
{
    fdt_node_at(w, "interrupt-controller", base);
    fdt_put_str(w, "compatible", "riscv,aplic");
    fdt_put_reg64(w, base, APLIC_SIZE);
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 2);
    fdt_put_u32(w, "#address-cells", 0);
    fdt_put_u32(w, "msi-parent", imsic);
    fdt_put_u32(w, "riscv,num-sources", APLIC_SOURCES - 1);
    if (child != 0) {
        const uint32_t delegation[] = {child, 1, APLIC_SOURCES - 1};
        fdt_put_u32(w, "riscv,children", child);
        fdt_put_cells(w, "riscv,delegation", delegation, 3);
        fdt_put_cells(w, "riscv,delegate", delegation, 3); /* its first name, in older firmware */
    }
    fdt_put_u32(w, "phandle", phandle);
    fdt_end(w);
}

void aplic_fdt(const struct aplic *aplic, struct fdt_writer *w, uint64_t base, uint64_t base_m,
               const struct aplic_phandles *phandles)
{
    if (has_machine(aplic))
        domain_fdt(w, base_m, phandles->m, phandles->imsic_m, phandles->s);
    domain_fdt(w, base, phandles->s, phandles->imsic, 0);
}

static void level_fdt(const struct aplic_where *where, struct fdt_writer *w, bool machine,
                      uint32_t phandle, uint32_t ids, const uint32_t *intc_phandles)
{
    enum { S_EXTERNAL = 9, M_EXTERNAL = 11, HARTS_MAX = 64 };
    const uint64_t base = machine ? where->imsic_m : where->imsic;
    const unsigned bits = machine ? 0 : guest_bits(where);
    const unsigned count = where->hart_count < HARTS_MAX ? where->hart_count : HARTS_MAX;
    uint32_t cells[2 * HARTS_MAX];

    for (unsigned i = 0; i < count; i++) {
        cells[2 * i] = intc_phandles[i];
        cells[2 * i + 1] = machine ? M_EXTERNAL : S_EXTERNAL;
    }
    fdt_node_at(w, "interrupt-controller", base);
    fdt_put_str(w, "compatible", "riscv,imsics");
    fdt_put_reg64(w, base, (uint64_t)count << (bits + IMSIC_PAGE_SHIFT));
    fdt_put_empty(w, "interrupt-controller");
    fdt_put_u32(w, "#interrupt-cells", 0);
    fdt_put_empty(w, "msi-controller");
    fdt_put_u32(w, "#msi-cells", 0);
    fdt_put_cells(w, "interrupts-extended", cells, (size_t)count * 2);
    fdt_put_u32(w, "riscv,num-ids", ids);
    if (bits != 0)
        fdt_put_u32(w, "riscv,guest-index-bits", bits);
    fdt_put_u32(w, "phandle", phandle);
    fdt_end(w);
}

void imsic_fdt(const struct aplic *aplic, struct fdt_writer *w, uint32_t ids,
               const struct aplic_phandles *phandles, const uint32_t *intc_phandles)
{
    if (has_machine(aplic))
        level_fdt(&aplic->where, w, true, phandles->imsic_m, ids, intc_phandles);
    level_fdt(&aplic->where, w, false, phandles->imsic, ids, intc_phandles);
}
