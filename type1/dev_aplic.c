/*
 * The board's APLIC (RISC-V AIA 1.0, chapter 4), the domain of S-mode: as messages to the IMSIC of
 * a hart (identity n + 1 is place n of the table of lines), or without IMSICs as its external
 * interrupt.
 */
#include "core/error.h"
#include "type1/dev_imsic_map.h"
#include "type1/dev_intc.h"

enum {
    APLIC_DOMAINCFG = 0x0000,
    APLIC_SOURCECFG = 0x0000, /* + 4 * line */
    APLIC_SETIPNUM = 0x1cdc,
    APLIC_IN_CLRIP = 0x1d00, /* + 4 * (line / 32) */
    APLIC_SETIENUM = 0x1edc,
    APLIC_CLRIE = 0x1f00, /* + 4 * (line / 32) */
    APLIC_CLRIENUM = 0x1fdc,
    APLIC_TARGET = 0x3000, /* + 4 * line */
    APLIC_IDC = 0x4000,    /* + 32 * hart index */
    APLIC_IDC_SIZE = 32,
    IDC_IDELIVERY = 0x00,
    IDC_ITHRESHOLD = 0x08,
    IDC_CLAIMI = 0x1c,

    DOMAINCFG_IE = 1 << 8,
    DOMAINCFG_DM = 1 << 2, /* by messages */
    TARGET_HART_SHIFT = 18,
    LINES_MAX = 1023,
};

enum source_mode { EDGE_RISING = 4, EDGE_FALLING = 5, LEVEL_HIGH = 6, LEVEL_LOW = 7 };

static void put(const struct intc *intc, uint32_t offset, uint32_t value)
{
    intc->access->write(intc->base, offset, value);
}

static void shut_all(const struct intc *intc)
{
    for (uint32_t line = 0; line <= intc->line_max; line += 32)
        put(intc, APLIC_CLRIE + line / 32 * 4, UINT32_MAX);
}

/* `low`: an identity or a priority. */
static void configure(const struct intc *intc, unsigned place, uint32_t low)
{
    uint32_t line = intc->lines[place].line;
    bool edge = (intc->edges[line / 32] >> line % 32 & 1) != 0;
    bool falling = (intc->falling[line / 32] >> line % 32 & 1) != 0;
    uint32_t target = intc->contexts[intc->lines[place].hart] << TARGET_HART_SHIFT | low;
    put(intc, APLIC_SOURCECFG + 4 * line, (edge ? EDGE_RISING : LEVEL_HIGH) + falling);
    put(intc, APLIC_TARGET + 4 * line,
        intc->lines[place].aimed != 0 ? intc->lines[place].aimed : target);
}

/* ---- By messages ---- */

/* The hart, as messages name it. */
static int msi_context(const struct intc *intc, uint64_t hart)
{
    struct imsic_map map;
    uint32_t parent = fdt_u32(intc->fdt, intc->node, "msi-parent", 0);
    if (parent == 0 || imsic_map_read(&map, intc->fdt, fdt_by_phandle(intc->fdt, parent)) != 0)
        return -E_NODEV;
    uint64_t page = imsic_map_page(&map, hart);
    return page != 0 ? (int)imsic_map_index(&map, page) : -E_NODEV;
}

static void msi_start(struct intc *intc)
{
    shut_all(intc);
    put(intc, APLIC_DOMAINCFG, DOMAINCFG_IE | DOMAINCFG_DM);
}

static void msi_start_context(const struct intc *intc, unsigned context)
{
    (void)intc, (void)context;
}

/*
 * A level that is up already makes no edge of its own, so it is asked to be sent (4.9.2). One that
 * is down is left alone: QEMU 7.2 would send it too.
 */
static void msi_resend(const struct intc *intc, uint32_t line)
{
    if ((intc->access->read(intc->base, APLIC_IN_CLRIP + line / 32 * 4) >> line % 32 & 1) != 0)
        put(intc, APLIC_SETIPNUM, line);
}

static void msi_enable(const struct intc *intc, unsigned place, bool on)
{
    uint32_t line = intc->lines[place].line;
    if (on) {
        configure(intc, place, place + 1);
        put(intc, APLIC_SETIENUM, line);
        msi_resend(intc, line);
    } else {
        put(intc, APLIC_CLRIENUM, line);
    }
}

/* A message of a line that was closed meanwhile is nobody's. */
static uint32_t msi_claim(struct intc *intc, unsigned context)
{
    (void)context;
    uint32_t identity;
    while ((identity = intc->imsic->claim()) != 0) {
        uint32_t line = identity <= INTC_LINES_MAX ? intc->lines[identity - 1].line : 0;
        if (line != 0)
            return line;
    }
    return 0;
}

static void msi_complete(const struct intc *intc, unsigned place)
{
    uint32_t line = intc->lines[place].line;
    if ((intc->edges[line / 32] >> line % 32 & 1) == 0)
        msi_resend(intc, line);
}

static const struct intc_kind msi_kind = {
    .name = "APLIC and IMSIC",
    .messages = true,
    .context = msi_context,
    .start = msi_start,
    .start_context = msi_start_context,
    .enable = msi_enable,
    .claim = msi_claim,
    .complete = msi_complete,
};

/* ---- Directly ---- */

static uint32_t idc(unsigned context)
{
    return APLIC_IDC + APLIC_IDC_SIZE * context;
}

static int direct_context(const struct intc *intc, uint64_t hart)
{
    int context = intc_context_of(intc->fdt, intc->node, hart);
    return context >= 0 && intc->size >= idc((unsigned)context) + APLIC_IDC_SIZE ? context
                                                                                 : -E_NODEV;
}

static void direct_start(struct intc *intc)
{
    shut_all(intc);
    put(intc, APLIC_DOMAINCFG, DOMAINCFG_IE);
}

static void direct_start_context(const struct intc *intc, unsigned context)
{
    put(intc, idc(context) + IDC_ITHRESHOLD, 0);
    put(intc, idc(context) + IDC_IDELIVERY, 1);
}

static void direct_enable(const struct intc *intc, unsigned place, bool on)
{
    if (on)
        configure(intc, place, 1); /* its priority */
    put(intc, on ? APLIC_SETIENUM : APLIC_CLRIENUM, intc->lines[place].line);
}

/* A level stays pending while it is up: shut until it is completed. */
static uint32_t direct_claim(struct intc *intc, unsigned context)
{
    uint32_t line = intc->access->read(intc->base, idc(context) + IDC_CLAIMI) >> 16 & LINES_MAX;
    if (line != 0)
        put(intc, APLIC_CLRIENUM, line);
    return line;
}

static void direct_complete(const struct intc *intc, unsigned place)
{
    put(intc, APLIC_SETIENUM, intc->lines[place].line);
}

static const struct intc_kind direct_kind = {
    .name = "APLIC",
    .context = direct_context,
    .start = direct_start,
    .start_context = direct_start_context,
    .enable = direct_enable,
    .claim = direct_claim,
    .complete = direct_complete,
};

/* ---- The device tree ---- */

int aplic_find(struct intc *intc, const struct fdt *fdt, uint64_t hart)
{
    for (int node = fdt_compatible_next(fdt, -1, "riscv,aplic"); node >= 0;
         node = fdt_compatible_next(fdt, node, "riscv,aplic")) {
        intc->node = node;
        intc->line_max = fdt_u32(fdt, node, "riscv,num-sources", 0);
        if (intc->line_max > LINES_MAX || fdt_reg(fdt, node, 0, &intc->address, &intc->size) != 0 ||
            intc->size < APLIC_IDC)
            continue;
        intc->kind = &direct_kind;
        if (direct_context(intc, hart) >= 0)
            return 0;
        intc->kind = &msi_kind;
        if (msi_context(intc, hart) >= 0)
            return 0;
    }
    return -E_NODEV;
}
