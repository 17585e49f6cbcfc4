/* attack: every part of the address space by loads, stores, atomics and fetches; in S-mode without
 * and with translation, through HLV and HSV, in VS-mode; and by page tables in foreign memory. */
#include "attack.h"

enum { FETCH = 1, NEEDS_H = 2 };
struct kind {
    uint32_t word; /* address in a0, value in a1, result in a2 */
    uint8_t width, flags;
};
static const struct kind kinds[] = {
    {0x00053603, 8, 0},       /* ld; the first three are tried everywhere */
    {0x00b53023, 8, 0},       /* sd */
    {0x000500e7, 1, FETCH},   /* jalr */
    {0x00054603, 1, 0},       /* lbu */
    {0x00052603, 4, 0},       /* lw */
    {0x00053607, 8, 0},       /* fld */
    {0x1005262f, 4, 0},       /* lr.w */
    {0x00b50023, 1, 0},       /* sb */
    {0x00b51023, 2, 0},       /* sh */
    {0x00b52023, 4, 0},       /* sw */
    {0x00b53027, 8, 0},       /* fsd */
    {0x00b5262f, 4, 0},       /* amoadd.w */
    {0x08b5362f, 8, 0},       /* amoswap.d */
    {0x0045200f, 64, 0},      /* cbo.zero */
    {0x6c054673, 8, NEEDS_H}, /* hlv.d */
    {0x68354673, 4, NEEDS_H}, /* hlvx.wu */
    {0x6eb54073, 8, NEEDS_H}, /* hsv.d */
};
enum { KINDS = sizeof kinds / sizeof *kinds, ALWAYS = 3, FIRST_SLOT = 8 };
enum mode { MODE_BARE, MODE_SV39, MODE_VS, MODES };
enum { CSR_VSATP = 0x280, CSR_HGATP = 0x680, CSR_HEDELEG = 0x602 };

#define SATP_SV39   (8UL << 60)
#define HSTATUS_SPV 0x80UL
#define GIB         (1UL << 30)
#define LEAF        0xcfUL /* D A X W R V */

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t code[KINDS], tried, through;

static void set_satp(uint64_t value)
{
    csr_write(satp, value);
    __asm__ volatile("sfence.vma" ::: "memory");
}

/* Whether that is how what PMP refuses ends. */
static bool refused(const struct kind *kind, const struct attempt *attempt, uint64_t address,
                    enum mode mode)
{
    bool virtual = mode == MODE_VS || (kind->flags & NEEDS_H) != 0;
    switch (attempt->cause) {
    case 1: /* QEMU 10: of hlvx too */
        return (kind->flags & FETCH) == 0 ? virtual : attempt->pc == (address & ~1UL);
    case 20: /* QEMU 7.2: what PMP refuses in VS-mode; there is no G-stage table of ours */
        return (kind->flags & FETCH) != 0 && virtual && attempt->pc == (address & ~1UL);
    case 2: /* the instruction is not there */
    case 22:
    case 4:
    case 5:
    case 6:
    case 7: return (kind->flags & FETCH) == 0;
    case 21:
    case 23: return (kind->flags & FETCH) == 0 && virtual;
    default: return false;
    }
}

static void try_one(unsigned k, uint64_t address, enum mode mode)
{
    const struct kind *kind = &kinds[k];
    struct attempt attempt = {.a = {address, 0x5a5a5a5a5a5a5a5a}};

    if (is_own((kind->flags & FETCH) != 0 ? address & ~1UL : address, kind->width) ||
        (kind->width == 64 && is_own(address & ~63UL, 1)))
        return;
    if ((kind->flags & NEEDS_H) != 0 && (!guest.h || mode == MODE_VS))
        return;
    if (mode == MODE_VS)             /* both stages Bare: where it goes is where it says */
        csr_set(0x600, HSTATUS_SPV); /* hstatus */
    tried++;
    try_code(&attempt, code[k]);
    if (guest.h)
        csr_clear(0x600, HSTATUS_SPV);
    if (refused(kind, &attempt, address, mode))
        return;
    through++;
    show("address, kind, cause", address, k | (uint64_t)mode << 8, attempt.cause);
}

static void try_at(uint64_t address)
{
    enum mode mode = (enum mode)random_below(MODES);
    if ((mode == MODE_SV39 && address >= 256 * GIB) || (mode == MODE_VS && !guest.h))
        mode = MODE_BARE;
    if (mode == MODE_SV39)
        set_satp(SATP_SV39 | (uintptr_t)root >> 12);
    for (unsigned k = 0; k < ALWAYS; k++)
        try_one(k, address, mode);
    try_one(ALWAYS + (unsigned)random_below(KINDS - ALWAYS), address, mode);
    if (mode == MODE_SV39)
        set_satp(0);
}

static void try_around(uint64_t edge)
{
    static const int offsets[] = {-4096, -64, -8, -7, -4, -2, -1, 0, 1, 2, 4, 7, 8, 64, 4096};
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        for (unsigned k = 0; k < KINDS; k++)
            try_one(k, edge + (uint64_t)(int64_t)offsets[i], MODE_BARE);
        try_at(edge + (uint64_t)(int64_t)offsets[i]);
    }
}

/* A table of a walk in foreign memory: the walk itself must be refused. */
static void try_walk(uint64_t page)
{
    struct attempt attempt = {.a = {255 * GIB | (random_next() >> 34 & ~7UL)}};

    if (is_own(page, PAGE))
        return;
    root[255] = page >> 12 << 10 | 1;
    set_satp(SATP_SV39 | (uintptr_t)root >> 12);
    tried++;
    try_code(&attempt, code[0]);
    set_satp(0);
    if (attempt.cause != 5) {
        through++;
        show("table, 0, cause", page, 0, attempt.cause);
    }
    for (unsigned second = 0; guest.h && second < 2; second++) {
        unsigned csr = second ? CSR_HGATP : CSR_VSATP;
        attempt.a[0] = random_next() >> 26 & ~7UL; /* below 2^38 */
        csr_try_write(csr, SATP_SV39 | (page & ~0x3fffUL) >> 12);
        __asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, x0\n" /* hfence.vvma */
                         ".insn r 0x73, 0, 0x31, x0, x0, x0" ::
                             : "memory"); /* hfence.gvma */
        tried++;
        try_code(&attempt, code[14]);
        csr_try_write(csr, 0);
        if (attempt.cause != 5 && attempt.cause != 21 && !is_own(page & ~0x3fffUL, 1)) {
            through++;
            show("root, stage, cause", page, second, attempt.cause);
        }
    }
}

void attack_space(void)
{
    uint64_t stride = option_number(guest.options, "stride", 128) << 10;

    tried = through = 0;
    for (unsigned k = 0; k < KINDS; k++)
        code[k] = slot_put(FIRST_SLOT + k, kinds[k].word, 0);
    for (uint64_t i = 0; i < 256; i++)
        root[i] = i * GIB >> 12 << 10 | LEAF;
    if (guest.h)
        csr_try_write(CSR_HEDELEG, 0);

    for (uint64_t base = 0; base < 4 * GIB; base += 1 << 20)
        try_at(base + random_below((1 << 20) / 8) * 8);
    for (uint64_t base = 2 * GIB; base < 3 * GIB; base += stride)
        try_at(base + random_below(stride / 8) * 8);
    for (uint64_t base = 2 * GIB; base < 2 * GIB + (4 << 20);
         base += PAGE) /* firmware and bundle */
        try_at(base + random_below(PAGE / 8) * 8);
    for (uint64_t base = 0x2000000; base < 0x2010000; base += 512) /* CLINT */
        try_at(base + random_below(64) * 8);
    for (uint64_t base = 0x100000; base < 0x110000; base += PAGE) /* finisher, RTC */
        try_at(base + random_below(8) * 4);
    for (uint64_t base = 0x10000000; base < 0x10020000; base += PAGE) /* UART, virtio */
        try_at(base + random_below(64) * 4);
    for (unsigned bit = 32; bit < 64; bit++) {
        try_at(1UL << bit);
        try_at(guest.ram | 1UL << bit);
        try_at(-(1UL << bit));
    }
    for (unsigned i = 0; i < guest.own_count; i++) {
        try_around(guest.own[i].base);
        try_around(guest.own[i].end);
    }
    try_around(2 * GIB);
    for (uint64_t base = 2 * GIB; base < 2 * GIB + (1 << 29); base += 32 * PAGE)
        try_walk(base + random_below(32) * PAGE);
    report("attack: space: ", tried, " accesses tried, ", through);
}
