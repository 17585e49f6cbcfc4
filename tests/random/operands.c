/*
 * What instructions get to work with: values of registers, addresses, page table and PMP entries,
 * and which CSRs take which values. The numbered notes are those of generate.c.
 */
#include "maker.h"

const struct csr_rule csr_rules[] = {
    {0x001, CSR_FREE, 0},
    {0x002, CSR_FREE, 0},
    {0x003, CSR_FREE, 0},
    {0x008, CSR_FREE, 0}, /* V's, illegal without it */
    {0x009, CSR_FREE, 0},
    {0x00a, CSR_FREE, 0},
    {0x00f, CSR_FREE, 0},
    {0x100, CSR_VALUE, STATUS_S},
    {0x104, CSR_VALUE, INTERRUPTS_S},
    {0x105, CSR_READ, 0}, /* stvec: the harness's */
    {0x106, CSR_VALUE, 7},
    {0x10a, CSR_REPLACE, 0xf1},
    {0x140, CSR_FREE, 0},
    {0x141, CSR_VALUE, ~1ULL},
    {0x142, CSR_REPLACE, 0},
    {0x143, CSR_FREE, 0},
    {0x144, CSR_VALUE, INTERRUPTS_S},
    {0x14d, CSR_REPLACE, 0},
    {0x180, CSR_REPLACE, 0},
    {0x300, CSR_VALUE, STATUS_M | MSTATUS_MPP},
    {0x301, CSR_VOLATILE, 0},
    {0x302, CSR_VALUE, MEDELEG},
    {0x303, CSR_VALUE, INTERRUPTS_S},
    {0x304, CSR_VALUE, INTERRUPTS_M},
    {0x305, CSR_READ, 0},
    {0x306, CSR_VALUE, 7},
    {0x30a, CSR_REPLACE, 7ULL << 61 | 0xf1},
    {0x320, CSR_VALUE, 5},
    {0x340, CSR_FREE, 0},
    {0x341, CSR_VALUE, ~1ULL},
    {0x342, CSR_REPLACE, 0},
    {0x343, CSR_FREE, 0},
    {0x344, CSR_VALUE, INTERRUPTS_S},
    {0x3a0, CSR_REPLACE, 0},
    {0x3b1, CSR_REPLACE, 0},
    {0x3b2, CSR_REPLACE, 0},
    {0x3b3, CSR_REPLACE, 0},
    {0x3b4, CSR_REPLACE, 0},
    {0xb00, CSR_VOLATILE, 0},
    {0xb02, CSR_VOLATILE, 0},
    {0xc00, CSR_VOLATILE, 0},
    {0xc01, CSR_VOLATILE, 0},
    {0xc02, CSR_VOLATILE, 0},
    {0xc20, CSR_READ, 0},
    {0xc21, CSR_READ, 0},
    {0xc22, CSR_READ, 0},
    {0xf11, CSR_VOLATILE, 0},
    {0xf12, CSR_VOLATILE, 0},
    {0xf13, CSR_VOLATILE, 0},
    {0xf14, CSR_READ, 0},
    {0xf15, CSR_READ, 0},
    /* No CSR: the ranges for custom use and holes that no ratified extension has filled. */
    {0x0c0, CSR_READ, 0},
    {0x1ff, CSR_READ, 0},
    {0x3ff, CSR_READ, 0},
    {0x4c0, CSR_READ, 0},
    {0x8ff, CSR_READ, 0},
    {0x9c1, CSR_READ, 0},
    {0xbff, CSR_READ, 0},
    {0xcff, CSR_READ, 0},
    {0xdff, CSR_READ, 0},
    {0xfff, CSR_READ, 0},
    /* Of H, where it is there. */
    {0x200, CSR_VALUE, STATUS_S},
    {0x204, CSR_VALUE, INTERRUPTS_S},
    {0x205, CSR_READ, 0},
    {0x240, CSR_FREE, 0},
    {0x241, CSR_VALUE, ~1ULL},
    {0x242, CSR_REPLACE, 0},
    {0x243, CSR_FREE, 0},
    {0x244, CSR_READ, 0},
    {0x280, CSR_READ, 0},
    {0x600, CSR_VALUE, HSTATUS_H},
    {0x602, CSR_VALUE, HEDELEG},
    {0x603, CSR_VALUE, INTERRUPTS_VS},
    {0x604, CSR_VALUE, INTERRUPTS_VS},
    {0x605, CSR_READ, 0},
    {0x606, CSR_VALUE, 7},
    {0x607, CSR_READ, 0},
    {0x60a, CSR_REPLACE, 7ULL << 61 | 0xf1},
    {0x643, CSR_VOLATILE, 0},
    {0x644, CSR_READ, 0},
    {0x645, CSR_VALUE, 0x404},
    {0x64a, CSR_VOLATILE, 0},
    {0x680, CSR_READ, 0},
    {0xe12, CSR_READ, 0},
    {0x34a, CSR_VOLATILE, 0},
    {0x34b, CSR_VOLATILE, 0},
};
#define H_RULES 25
const unsigned csr_rule_count_h = sizeof csr_rules / sizeof csr_rules[0];
const unsigned csr_rule_count = sizeof csr_rules / sizeof csr_rules[0] - H_RULES;

uint64_t interesting(struct maker *m)
{
    static const uint64_t values[] = {
        0,          1,          2,          0x7f,       0x80,       0xff,
        0x7fff,     0x8000,     0xffff,     0x7fffffff, 0x80000000, 0xffffffff,
        1ULL << 32, 1ULL << 62, 1ULL << 63, ~0ULL >> 1, ~0ULL,      0xffffffff80000000,
    };

    switch (below(m, 5)) {
    case 0:
    case 1: return values[below(m, sizeof values / sizeof values[0])];
    case 2: return (uint64_t)(int64_t)(int32_t)rnd(m);
    case 3: return rnd(m) & 0xff;
    default: return rnd(m);
    }
}

/* Raw bits of a floating-point number of `width` bits, corner cases first. */
static uint64_t interesting_fp(struct maker *m, unsigned width)
{
    unsigned mantissa = width == 64 ? 52 : width == 32 ? 23 : 10;
    uint64_t exponent_max = (1ULL << (width - 1 - mantissa)) - 1, bias = exponent_max >> 1;
    uint64_t exponent, fraction, sign = rnd(m) & 1;
    uint64_t fraction_mask = (1ULL << mantissa) - 1;

    switch (below(m, 8)) {
    case 0: exponent = 0; break;
    case 1: exponent = exponent_max; break;
    case 2: exponent = rnd(m) & exponent_max; break;
    case 3: exponent = one_in(m, 2) ? 1 : exponent_max - 1; break;
    case 4: exponent = bias + 29 + below(m, 6); break;
    default: exponent = bias - 16 + below(m, 34); break;
    }
    exponent &= exponent_max;
    switch (below(m, 6)) {
    case 0: fraction = 0; break;
    case 1: fraction = 1; break;
    case 2: fraction = fraction_mask; break;
    case 3: fraction = 1ULL << below(m, mantissa); break;
    default: fraction = rnd(m); break;
    }
    return sign << (width - 1) | exponent << mantissa | (fraction & fraction_mask);
}

/* A floating-point register: one of the three formats, NaN-boxed but for a few. */
uint64_t fp_register(struct maker *m)
{
    switch (below(m, 8)) {
    case 0:
    case 1:
    case 2: return interesting_fp(m, 64);
    case 3:
    case 4: return ~0ULL << 32 | interesting_fp(m, 32);
    case 5:
    case 6: return ~0ULL << 16 | interesting_fp(m, 16);
    default: return rnd(m) << 32 | interesting_fp(m, 32);
    }
}

/* Elements of a vector: of some width, integers or floating-point numbers. */
static uint64_t interesting_elements(struct maker *m)
{
    const unsigned width = 8u << below(m, 4);
    const bool fp = width > 8 && one_in(m, 2);
    uint64_t word = 0;

    if (width == 64)
        return fp ? interesting_fp(m, 64) : interesting(m);
    for (unsigned at = 0; at < 64; at += width)
        word |= ((fp ? interesting_fp(m, width) : interesting(m)) & ((1ULL << width) - 1)) << at;
    return word;
}

void data_words(uint64_t words[64], const struct machine *machine)
{
    struct maker m = {.state = 1};

    for (unsigned i = 0; i < 64; i++)
        words[i] = machine->vlen != 0 ? interesting_elements(&m)
                   : i % 2            ? interesting(&m)
                                      : fp_register(&m);
}

/* ---- Memory and CSRs ---- */

#define HOLE 0x90000000ULL /* beyond RAM of 64 MiB; no device */

static uint64_t data_address(struct maker *m)
{
    uint64_t at = 0x800 + below(m, DATA_SIZE - 0x1000);

    return DATA_BASE + (one_in(m, 4) ? at : one_in(m, 2) ? at & ~7ULL : at & ~15ULL);
}

uint64_t pointer_value(struct maker *m)
{
    uint64_t page = WINDOW + 0x1000ULL * (1 + below(m, WINDOW_PAGES - 2));

    switch (below(m, m->vm != 0 ? 12 : 4)) {
    case 0:
        if (m->machine->reference == REFERENCE_QEMU10 && one_in(m, 3)) {
            m->vacant = true;
            return one_in(m, 2)
                       ? HOLE
                       : 1ULL << (36 + below(m, m->vm == 0 || m->mode == MODE_M ? 20 : 28));
        }
        return data_address(m);
    case 1:
    case 2: return data_address(m);
    case 3: return DATA_BASE + 0x1000 * (1 + below(m, 3)) - 8 + below(m, 16);
    case 4: return data_address(m) + USER_ALIAS;
    case 5:
    case 6: return WINDOW_MEGA + (data_address(m) & 0x1fffff);
    case 7: return page - 8 + below(m, 16);
    default: return page + (one_in(m, 4) ? below(m, 4096) : below(m, 4096) & ~7u);
    }
}

uint64_t leaf_entry(struct maker *m, unsigned index)
{
    uint64_t pte = ppn(DATA_BASE + 0x1000 * below(m, DATA_SIZE / 0x1000)) | PTE_ALL;

    if ((m->mode == MODE_U) != one_in(m, 10))
        pte |= PTE_U;
    switch (below(m, 24)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: return pte & ~(1ULL << below(m, 8));
    case 5: return pte & ~(rnd(m) & 0xff);
    case 6: return pte | 1ULL << (54 + below(m, 7)); /* reserved */
    case 7: return pte | 1ULL << (61 + below(m, 3)); /* PBMT, N */
    case 8: return pte | 3ULL << 61;
    case 9: return pte & ~0xeULL; /* not a leaf, at the last level */
    case 10: return pte | 0x320;  /* G, RSW */
    case 11:
        return index < DATA_SIZE / 0x1000 ? ppn(DATA_BASE) | ppn(0x8000) | (pte & 0xff) | PTE_N
                                          : pte;
    case 12: return ppn(DATA_BASE) | ppn(0x1000ULL << below(m, 4)) | (pte & 0xff) | PTE_N;
    case 13: m->vacant = true; return (pte & 0xff) | ppn(one_in(m, 2) ? HOLE : 1ULL << 50);
    case 14: return pte & ~0x80ULL; /* D */
    case 15: return pte & ~0xc0ULL; /* A, D */
    default: return pte;
    }
}

/* A leaf made to lead where no memory is. */
bool is_vacant(uint64_t pte)
{
    return (pte & 0xfffffffffff) >> 10 == HOLE >> 12 || pte >> 48 & 1;
}

uint64_t mega_entry(struct maker *m)
{
    uint64_t pte = ppn(HARNESS_BASE) | PTE_ALL | (m->mode == MODE_U ? PTE_U : 0);

    switch (below(m, 16)) {
    case 0: return pte | ppn(0x1000ULL << below(m, 9)); /* misaligned */
    case 1:
    case 2: return pte & ~(1ULL << below(m, 8));
    case 3: return pte | 1ULL << (54 + below(m, 10));
    case 4: return ppn(TABLES_BASE + 0x4000) | PTE_V | (one_in(m, 2) ? 0x10ULL << below(m, 4) : 0);
    case 5: return pte & ~0xc0ULL;
    case 6: return pte | 1ULL << (61 + below(m, 2));
    default: return pte;
    }
}

uint64_t satp_value(struct maker *m, unsigned vm)
{
    static const uint64_t roots[] = {
        [8] = TABLES_BASE + 0x2000, [9] = TABLES_BASE + 0x1000, [10] = TABLES_BASE};

    return vm == 0 ? 0 : (uint64_t)vm << 60 | (rnd(m) & 0xffff) << 44 | roots[vm] >> 12;
}

unsigned random_vm(struct maker *m)
{
    return one_in(m, 4) ? 0 : 8 + below(m, 3);
}

/* Entries 1 to 7 stay within the data area, so that no program locks its handlers out; 0 stays off.
 */
uint64_t pmpaddr_value(struct maker *m)
{
    uint64_t at = DATA_BASE + 0x1000 + below(m, 0x2000);

    switch (below(m, 3)) {
    case 0: return at >> 2;
    case 1: {
        unsigned order = 3 + below(m, 9); /* 8 bytes to 2 KiB */

        return (at >> order << order | ((1ULL << (order - 1)) - 1)) >> 2;
    }
    default: return (at & ~0xfffULL) >> 2;
    }
}

uint64_t pmpcfg_value(struct maker *m)
{
    static const uint8_t permissions[] = {0, 1, 3, 4, 5, 7, 7, 7};
    uint64_t value = 0;

    for (unsigned i = 1; i < 8; i++)
        value |= (uint64_t)(permissions[below(m, 8)] | below(m, 4) << 3) << 8 * i;
    return value;
}

uint64_t envcfg_value(struct maker *m, uint64_t mask)
{
    uint64_t value = rnd(m) & mask;

    if ((value & 0x30) == 0x20) /* CBIE = 2 is reserved */
        value |= 0x10;
    if (m->machine->reference == REFERENCE_QEMU7)
        value &= 1ULL | 3ULL << 62;
    return value;
}

uint64_t csr_value(struct maker *m, const struct csr_rule *rule)
{
    static const uint8_t exceptions[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15};

    switch (rule->csr) {
    case 0x10a: return envcfg_value(m, rule->mask);
    case 0x30a: /* STCE stays */
        return (envcfg_value(m, rule->mask) & ~(1ULL << 63)) |
               (m->program->descriptor.menvcfg & 1ULL << 63);
    case 0x60a:
        return (envcfg_value(m, rule->mask) & ~(1ULL << 63)) |
               (m->program->descriptor.henvcfg & 1ULL << 63);
    case 0x142:
    case 0x242:
    case 0x342:
        return one_in(m, 2) ? 1ULL << 63 | (1 + 4 * below(m, 3))
                            : exceptions[below(m, sizeof exceptions)];
    case 0x14d: return one_in(m, 2) ? 0 : ~0ULL;
    case 0x180: return satp_value(m, m->machine->reference == REFERENCE_QEMU7 ? 0 : random_vm(m));
    case 0x300: {
        uint64_t value = rnd(m) & rule->mask & ~(MSTATUS_MPP | MSTATUS_FS);

        value |= one_in(m, 2) ? MSTATUS_FS : 0;

        return one_in(m, 2) ? value | MSTATUS_MPP : value;
    }
    case 0x3a0: return pmpcfg_value(m);
    case 0x3b1:
    case 0x3b2:
    case 0x3b3:
    case 0x3b4: return pmpaddr_value(m);
    case 0x200:
    case 0x100: return (rnd(m) & rule->mask & ~MSTATUS_FS) | (one_in(m, 2) ? MSTATUS_FS : 0);
    default: return rnd(m) & rule->mask;
    }
}

/* ---- H ---- */

/* What the G stage does with a page of WINDOW: data, or a fault. */
static uint64_t g_leaf_entry(struct maker *m)
{
    const uint64_t pte = ppn(DATA_BASE + 0x1000 * below(m, DATA_SIZE / 0x1000)) | PTE_ALL | PTE_U;

    switch (below(m, 12)) {
    case 0:
    case 1:
    case 2: return pte & ~(1ULL << below(m, 8));
    case 3: return pte & ~(rnd(m) & 0xff);
    case 4: return pte | 1ULL << (54 + below(m, 7)); /* reserved */
    case 5: return pte & ~0xc0ULL;                   /* A, D */
    default: return pte;
    }
}

void make_hyper_state(struct maker *m)
{
    static const uint64_t roots[] = {
        [8] = TABLES_BASE + 0x2000, [9] = TABLES_BASE + 0x1000, [10] = TABLES_BASE};
    struct descriptor *d = &m->program->descriptor;
    const unsigned vm = m->guest ? m->vm : random_vm(m);

    d->hstatus = HSTATUS_HU | (rnd(m) & HSTATUS_SPVP);
    if (one_in(m, 4))
        d->hstatus = rnd(m) & HSTATUS_H;
    if (m->mode == MODE_S)
        d->mstatus |= MSTATUS_SPP;
    d->hedeleg = one_in(m, 3) ? 0 : rnd(m) & HEDELEG;
    d->hideleg = rnd(m) & INTERRUPTS_VS;
    if (one_in(m, 4)) {
        d->hvip = rnd(m) & 0x404;
        d->mie |= rnd(m) & INTERRUPTS_VS;
    }
    d->hcounteren = one_in(m, 2) ? 7 : rnd(m) & 7;
    d->henvcfg = envcfg_value(m, 7ULL << 61 | 0xf1);
    if (!m->guest)
        d->henvcfg = (d->henvcfg & ~(3ULL << 61)) | (d->menvcfg & 3ULL << 61);
    d->vsstatus = (rnd(m) & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SIE | MSTATUS_SPIE)) |
                  (one_in(m, 16) ? 0 : MSTATUS_FS);
    d->vsatp = vm == 0 ? 0 : (uint64_t)vm << 60 | roots[vm] >> 12;
    d->hgatp = 8ULL << 60 | G_TABLES >> 12;
    if (one_in(m, 2))
        d->medeleg = rnd(m) & MEDELEG_H;
    for (unsigned i = 0; i < WINDOW_PAGES; i++)
        d->g_leaf[i] = g_leaf_entry(m);
    d->g_leaf[8] = ppn(DATA_BASE + 0x1000) | PTE_ALL | PTE_U;
    if (!m->guest)
        return;
    d->mstatus |= MSTATUS_MPV;
    d->mstatus &= ~(MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR);
    d->mideleg = INTERRUPTS_S;
    d->satp = 0;
    /* Pages of the VS stage are guest-physical ones that the G stage may refuse. */
    for (unsigned i = 0; i < WINDOW_PAGES; i++)
        if (!is_vacant(d->leaf[i]) && one_in(m, 2))
            d->leaf[i] = (d->leaf[i] & ~0x3ffffffffffc00ULL) | ppn(WINDOW + 0x1000 * i);
}
