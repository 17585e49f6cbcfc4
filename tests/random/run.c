/* The harness: sets a program up, lets it run, records what it did. Freestanding, M-mode. See
 * image.h. */
#include "image.h"

#include <stdbool.h>
#include <stddef.h>

#define csr_read(csr)                                                                              \
    ({                                                                                             \
        uint64_t v_;                                                                               \
        __asm__ volatile("csrr %0, " #csr : "=r"(v_) : : "memory");                                \
        v_;                                                                                        \
    })
#define csr_write(csr, value)                                                                      \
    __asm__ volatile("csrw " #csr ", %0" : : "r"((uint64_t)(value)) : "memory")
#define csr_clear(csr, value)                                                                      \
    __asm__ volatile("csrc " #csr ", %0" : : "r"((uint64_t)(value)) : "memory")

#define MSTATUS_VS       0x600ULL
#define MSTATUS_SD       (1ULL << 63)
#define MSTATUS_FS_DIRTY 0x6000ULL
#define MIP_MSIP         8ULL
#define IRQ              (1ULL << 63)
#define IRQ_MSI          (IRQ | 3)
#define HSTATUS_TRAP     0x1c0ULL /* GVA, SPV, SPVP */
#define INTERRUPTS_VS    0x444ULL
#define MSTATUS_GVA      (1ULL << 38)
#define MSTATUS_MPV      (1ULL << 39)
#define HSTATUS_SPV      0x80ULL
#define HSTATUS_GVA      0x40ULL
#define HANDLED_HS       (1ULL << 62)
#define HANDLED_VS       (1ULL << 61)
enum {
    FETCH_MISALIGNED = 0,
    FETCH_ACCESS = 1,
    ILLEGAL = 2,
    BREAKPOINT = 3,
    ECALL_S = 9,
    ECALL_VS = 10,
    FETCH_PAGE = 12,
    FETCH_GUEST_PAGE = 20,
    LOAD_GUEST_PAGE = 21,
    STORE_GUEST_PAGE = 23,
};

extern uint64_t mframe[32], sframe[32];
extern const char strap_entry[], strap_ecall[], vstrap_entry[], vstrap_ecall[];
void program_run(const struct descriptor *descriptor, uint64_t mstatus, uint64_t by_sret);
void save_f(struct record *record);
void save_v(uint64_t *words);
void load_v(const uint64_t *words);
void set_vl(uint64_t vl, uint64_t vtype);
uint64_t trap_m(void);
uint64_t trap_s(void);
uint64_t trap_vs(void);
void harness_main(void);
void storm_main(void);

static struct batch *const batch = (struct batch *)BATCH_BASE;
static struct record record;
static uint64_t program_start, program_end, program_mark, illegal_items;

/*
 * Hart 1 interrupts hart 0 while storm_on, the next time when the last one was taken, and at most
 * STORM_MAX times a program: each must come to its end. storm_busy: it may be about to do so.
 */
#define STORM_MAX 16
static volatile uint32_t *const msip = (volatile uint32_t *)0x2000000;
static volatile uint64_t storm_on, storm_busy, storm_left, storms_sent, storms;

static void fence(void)
{
    __asm__ volatile("fence iorw, iorw" : : : "memory");
}

void storm_main(void)
{
    uint64_t chance = 1;

    csr_write(mie, MIP_MSIP);
    while ((csr_read(mip) & MIP_MSIP) == 0) /* a batch without storms leaves it here */
        __asm__ volatile("wfi");
    for (;;) {
        storm_busy = 1;
        fence();
        if (storm_on && storm_left > 0 && storms == storms_sent) {
            storm_left--;
            storms_sent++;
            msip[0] = 1;
        }
        fence();
        storm_busy = 0;
        chance = chance * 6364136223846793005 + 1442695040888963407;
        for (uint64_t wait = chance >> 57; wait > 0; wait--)
            __asm__ volatile("");
    }
}

static void storm_begin(void)
{
    storm_left = STORM_MAX;
    fence();
    storm_on = 1;
}

static void storm_end(void)
{
    storm_on = 0;
    fence();
    while (storm_busy)
        __asm__ volatile(".4byte 0x0100000f"); /* pause */
    msip[0] = 0;
    storms_sent = storms; /* the last one may not have been taken */
}

static uint64_t (*const tables)[512] = (void *)TABLES_BASE;
enum { ROOT57, ROOT48, GIGA, MEGA, LEAF };
static uint64_t *const g_root = (void *)G_TABLES, *const g_mega = g_root + 2048,
                       *const g_leaf = g_mega + 512;

static void put(char c)
{
    volatile uint8_t *uart = (volatile uint8_t *)0x10000000;

    while ((uart[5] & 0x20) == 0)
        ;
    uart[0] = (uint8_t)c;
}

static void put_number(uint64_t value, char behind)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
    put(behind);
}

static void put_hex(uint64_t value)
{
    put_number(value, '\n');
}

/*
 * The program's vl, vtype and vstart while the harness runs with others, always the same ones: QEMU
 * translates code anew for each combination.
 */
static struct {
    uint64_t vl, vtype, vstart;
} aside;

static void vector_begin(const struct descriptor *d)
{
    for (size_t i = 0; i < V_WORDS; i++)
        record.v[i] = batch->data[(i * 11 + d->data_seed) & 63];
    load_v(record.v);
    for (size_t i = 0; i < V_WORDS; i++)
        record.v[i] = 0;
    csr_write(0x00f, d->vcsr);
    set_vl(d->vl, d->vtype);
    csr_write(0x008, d->vstart);
}

/* VS must be on. */
static void vector_pause(void)
{
    aside.vstart = csr_read(0x008);
    csr_write(0x008, 0);
    aside.vl = csr_read(0xc20);
    aside.vtype = csr_read(0xc21);
    set_vl(0, 0);
}

static void vector_resume(void)
{
    set_vl(aside.vl, aside.vtype);
    csr_write(0x008, aside.vstart);
}

/* The state of V as one number, while it pauses. */
static uint64_t vector_hash(void)
{
    static uint64_t words[V_WORDS];
    uint64_t hash = aside.vstart;

    save_v(words);
    for (size_t i = 0, end = 32 * csr_read(0xc22) / 8; i < end; i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
    hash = (hash ^ aside.vl) * 0x9e3779b97f4a7c15;
    hash = (hash ^ aside.vtype) * 0x9e3779b97f4a7c15;
    hash = (hash ^ csr_read(0x00f)) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 32;
}

/* The item of the instruction at `pa`: each begins with bseti mark, mark, number. */
static uint64_t item_of(uint64_t pa)
{
    for (; pa >= program_start; pa -= 2) {
        uint32_t word = *(const uint16_t *)pa | (uint32_t) * (const uint16_t *)(pa + 2) << 16;

        if ((word & 0xfc0fffff) == (0x28001013 | program_mark << 7 | program_mark << 15))
            return word >> 20 & 63;
    }
    return 0;
}

/* mstatus or sstatus for the record: Initial and Clean may become Dirty at any time ("V", 3.2.1).
 */
static uint64_t seen_status(uint64_t status)
{
    return status & MSTATUS_VS ? status | MSTATUS_VS | MSTATUS_SD : status;
}

/* Returns where to go on, or 0 to end the program. */
static uint64_t log_trap(uint64_t level, uint64_t cause, uint64_t epc, uint64_t tval,
                         uint64_t status, uint64_t vector, uint64_t h)
{
    uint64_t pa = HARNESS_BASE + (epc & CODE_MASK);
    uint64_t *entry = record.trap[record.traps];

    /* EBREAK: xtval may be 0 or the address (Privileged ISA, 3.1.16). */
    if (cause == BREAKPOINT && tval == epc)
        tval = 0;
    if (record.traps == TRAP_MAX)
        return 0;
    record.traps++;
    entry[0] = cause | level;
    entry[1] = epc;
    entry[2] = tval;
    entry[3] = status;
    entry[4] = vector;
    entry[5] = h;
    if (cause & IRQ)
        return epc;
    if (cause == FETCH_MISALIGNED || cause == FETCH_ACCESS || cause == FETCH_PAGE ||
        cause == FETCH_GUEST_PAGE || pa < program_start || pa >= program_end)
        return 0;
    if (cause == ILLEGAL)
        illegal_items |= 1ULL << item_of(pa);
    return epc + ((*(const uint16_t *)pa & 3) == 3 ? 4 : 2);
}

/* What H has a trap leave: of guest-page faults, all else may be 0 (Privileged
 * ISA, 18.4.11, 18.6.3); QEMU transforms no CBO.*. */
static uint64_t hyper_trap(uint64_t cause, uint64_t epc, uint64_t tval2, uint64_t tinst)
{
    const uint64_t pa = HARNESS_BASE + (epc & CODE_MASK);

    if (pa < program_start || pa >= program_end || (*(const uint16_t *)pa & 0x7f) == 0x0f)
        tinst = 0;
    return cause == FETCH_GUEST_PAGE || cause == LOAD_GUEST_PAGE || cause == STORE_GUEST_PAGE
               ? tval2 | tinst << 32
               : 0;
}

static bool at_its_end(uint64_t cause, uint64_t epc)
{
    return cause == BREAKPOINT && (epc & CODE_MASK) == (program_end & CODE_MASK);
}

/* Not 0: the program has ended. */
uint64_t trap_m(void)
{
    uint64_t cause = csr_read(mcause), epc = csr_read(mepc), status = csr_read(mstatus);
    uint64_t vector = 0, h = 0, next;

    if (storm_on && cause == IRQ_MSI) {
        msip[0] = 0;
        fence();
        storms++;
        return 0;
    }
    record.end_cause = cause;
    record.end_epc = epc;
    record.end_status = seen_status(status);
    if (batch->flags & BATCH_HYPER) {
        h = hyper_trap(cause, epc, csr_read(0x34b), csr_read(0x34a));
        if (h == 0 || (status & MSTATUS_MPV) == 0) /* QEMU leaves it as it was */
            record.end_status &= ~MSTATUS_GVA;
    }
    if (batch->flags & BATCH_VECTOR) {
        csr_write(mstatus, status | MSTATUS_VS);
        vector_pause();
        vector = vector_hash();
    }
    if ((cause == ECALL_S && epc == (uint64_t)strap_ecall) ||
        (cause == ECALL_VS && epc == (uint64_t)vstrap_ecall))
        return 1;
    if (at_its_end(cause, epc))
        return 1;
    next = log_trap(0, cause, epc, csr_read(mtval), record.end_status, vector, h);
    if (next == 0)
        return 1;
    if (cause & IRQ) /* lest it come again at once */
        csr_clear(mie, 1ULL << (cause & 63));
    if (batch->flags & BATCH_VECTOR) {
        vector_resume();
        csr_write(mstatus, status);
    }
    csr_write(mepc, next);
    return 0;
}

static uint64_t trap_below(uint64_t level)
{
    uint64_t cause = csr_read(scause), status = csr_read(sstatus), vector = 0, h = 0, next;

    if (batch->flags & BATCH_VECTOR) {
        csr_write(sstatus, status | MSTATUS_VS);
        vector_pause();
        vector = vector_hash();
        vector_resume();
        csr_write(sstatus, status);
    }
    if (batch->flags & BATCH_HYPER && level == HANDLED_HS)
        h = hyper_trap(cause, csr_read(sepc), csr_read(0x643), csr_read(0x64a)) |
            (csr_read(0x600) & HSTATUS_TRAP) << 55;
    if (batch->flags & BATCH_HYPER) /* vsstatus.SD is 0 in QEMU */
        status &= ~MSTATUS_SD;
    next = log_trap(level, cause, csr_read(sepc), csr_read(stval), seen_status(status), vector, h);

    if (next == 0)
        return 1;
    if (cause & IRQ && level == HANDLED_HS && 1ULL << (cause & 63) & INTERRUPTS_VS)
        csr_clear(0x604, 1ULL << (cause & 63));
    else if (cause & IRQ)
        csr_clear(sie, 1ULL << (cause & 63));
    csr_write(sepc, next);
    return 0;
}

uint64_t trap_s(void)
{
    return trap_below(HANDLED_HS);
}

uint64_t trap_vs(void)
{
    return trap_below(HANDLED_VS);
}

#define FOR_PMPADDR(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* The rest of what a program starts with, where there is H. */
static void hyper_begin(const struct descriptor *d)
{
    for (size_t i = 0; i < WINDOW_PAGES; i++)
        g_leaf[i] = d->g_leaf[i];
    csr_write(0x60c, ~0ULL); /* hstateen0 */
    csr_write(0x600, d->hstatus);
    csr_write(0x602, d->hedeleg);
    csr_write(0x603, d->hideleg);
    csr_write(0x645, d->hvip);
    csr_write(0x605, 0); /* htimedelta */
    csr_write(0x606, d->hcounteren);
    csr_write(0x607, 0); /* hgeie */
    csr_write(0x60a, d->henvcfg);
    csr_write(0x643, 0); /* htval */
    csr_write(0x64a, 0); /* htinst */
    csr_write(0x34b, 0); /* mtval2 */
    csr_write(0x34a, 0); /* mtinst */
    csr_write(0x200, d->vsstatus);
    csr_write(0x205, vstrap_entry);
    csr_write(0x240, 0); /* vsscratch */
    csr_write(0x241, 0); /* vsepc */
    csr_write(0x242, 0); /* vscause */
    csr_write(0x243, 0); /* vstval */
    csr_write(0x24d, ~0ULL);
    csr_write(0x280, d->vsatp);
    csr_write(0x680, d->hgatp);
    __asm__ volatile(".4byte 0x62000073" : : : "memory"); /* hfence.gvma */
    __asm__ volatile(".4byte 0x22000073" : : : "memory"); /* hfence.vvma */
}

static void take_hyper_record(void)
{
    const uint64_t words[H_WORDS] = {
        csr_read(0x600) & ~HSTATUS_GVA,
        csr_read(0x602),
        csr_read(0x603),
        csr_read(0x604),
        csr_read(0x645) & 0x404,
        csr_read(0x606),
        csr_read(0x60a),
        csr_read(0x200),
        csr_read(0x204),
        csr_read(0x241),
        csr_read(0x242),
        csr_read(0x243),
        csr_read(0x240),
        csr_read(0x280),
    };

    for (size_t i = 0; i < H_WORDS; i++)
        record.h[i] = words[i];
    record.h[7] = seen_status(words[7] & ~MSTATUS_SD);
}

static void set_up(const struct descriptor *d)
{
    uint64_t *data = (uint64_t *)DATA_BASE;

    csr_write(mie, 0);
    csr_write(satp, 0);
    for (size_t i = 0; i < DATA_SIZE / 8; i++)
        data[i] = batch->data[(i * 5 + d->data_seed) & 63];
    for (size_t i = 0; i < WINDOW_PAGES; i++)
        tables[LEAF][i] = d->leaf[i];
    tables[MEGA][1] = d->mega;
    for (size_t i = 0; i < sizeof record / 8; i++)
        ((volatile uint64_t *)&record)[i] = 0;
    program_start = d->start;
    program_end = d->end;
    program_mark = d->mark;
    illegal_items = 0;

    msip[0] = (uint32_t)d->msip;
    *(volatile uint64_t *)0x2004000 = d->mtimecmp;
    csr_write(medeleg, d->medeleg);
    csr_write(mideleg, d->mideleg);
    csr_write(mcounteren, d->mcounteren);
    csr_write(scounteren, d->scounteren);
    csr_write(0x30a, d->menvcfg);
    csr_write(0x10a, d->senvcfg);
    if (batch->flags & BATCH_SSTC)
        csr_write(0x14d, d->stimecmp);
    if (batch->flags & BATCH_STATEEN) {
        csr_write(0x30c, ~0ULL);
        csr_write(0x10c, ~0ULL);
    }
    csr_write(mip, d->mip);
    if (batch->flags & BATCH_HYPER)
        hyper_begin(d);
    csr_write(stvec, strap_entry);
    csr_write(sepc, 0);
    csr_write(scause, 0);
    csr_write(stval, 0);
    csr_write(mtval, 0);
    csr_write(mscratch, 0);
    csr_write(sscratch, 0);
    __asm__ volatile("sc.d zero, zero, (%0)" : : "r"(data) : "memory"); /* no reservation is left */
    csr_write(pmpcfg0, 0);
#define SET_PMPADDR(n) csr_write(pmpaddr##n, d->pmpaddr[n]);
    FOR_PMPADDR(SET_PMPADDR)
    csr_write(pmpcfg0, d->pmpcfg0);
    csr_write(pmpaddr15, (1ULL << 54) - 1);
    csr_write(pmpcfg2, 0x1fULL << 56);
    csr_write(satp, d->satp);
    __asm__ volatile("sfence.vma" : : : "memory");
    csr_write(mie, d->mie | (d->storm ? MIP_MSIP : 0));
    if (d->storm)
        storm_begin();
}

static void take_record(const struct descriptor *d)
{
    const uint64_t *data = (const uint64_t *)DATA_BASE;
    uint64_t mstatus = record.end_status;

    if (d->storm) {
        storm_end();
        csr_clear(mie, MIP_MSIP);
    }
    csr_write(mie, csr_read(mie)); /* read first: nothing below may change what is recorded */
    record.mie = csr_read(mie);
    record.mip = csr_read(mip);
    csr_write(mie, 0);
    csr_write(mstatus, mstatus | MSTATUS_FS_DIRTY | MSTATUS_VS);
    for (size_t i = 1; i < 32; i++)
        record.x[i] = mframe[i];
    save_f(&record);
    __asm__ volatile("frcsr %0" : "=r"(record.fcsr));
    if (batch->flags & BATCH_VECTOR) {
        record.vl = aside.vl;
        record.vtype = aside.vtype;
        record.vstart = aside.vstart;
        record.vcsr = csr_read(0x00f);
        save_v(record.v);
    }
    record.medeleg = csr_read(medeleg);
    /* SGEIP's bit says whether there are guest external interrupts (18.4.2, "mideleg"). */
    record.mideleg = csr_read(mideleg) & ~(1ULL << 12);
    record.sepc = csr_read(sepc);
    record.scause = csr_read(scause);
    record.stval = csr_read(stval);
    record.stvec = csr_read(stvec);
    record.satp = csr_read(satp);
    record.mcounteren = csr_read(mcounteren);
    record.scounteren = csr_read(scounteren);
    record.menvcfg = csr_read(0x30a);
    record.senvcfg = csr_read(0x10a);
    if (batch->flags & BATCH_HYPER)
        take_hyper_record();
    record.pmpcfg0 = csr_read(pmpcfg0);
    csr_write(pmpcfg0, 0); /* an access that an entry matches in part fails in M-mode too
                              (Privileged ISA, 3.7.1) */
#define GET_PMPADDR(n) record.pmpaddr[n] = csr_read(pmpaddr##n);
    FOR_PMPADDR(GET_PMPADDR)
    for (size_t i = 0; i < WINDOW_PAGES; i++)
        record.leaf[i] = tables[LEAF][i];
    record.mega = tables[MEGA][1];
    for (size_t i = 0; i < DATA_SIZE / DATA_CHUNK; i++) {
        uint64_t hash = 0;

        for (size_t j = 0; j < DATA_CHUNK / 8; j++)
            hash = (hash ^ *data++) * 0x9e3779b97f4a7c15;
        record.data[i] = hash ^ hash >> 32;
    }
}

static void report(const struct descriptor *d)
{
    const uint64_t *words = (const uint64_t *)&record;
    size_t count = (offsetof(struct record, trap) + record.traps * sizeof record.trap[0]) / 8;
    uint64_t hash = 0;

    if (batch->flags & BATCH_VERBOSE) {
        put_hex(count);
        for (size_t i = 0; i < count; i++)
            put_hex(words[i]);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    put_number(hash, ' ');
    put_number(at_its_end(record.end_cause, record.end_epc) ? record.x[d->mark] : 0, ' ');
    put_hex(illegal_items);
}

static uint64_t by_sret(const struct descriptor *d)
{
    if ((batch->flags & BATCH_HYPER) == 0 || (d->mstatus >> 11 & 3) == 3)
        return 0;
    return (d->mstatus & MSTATUS_MPV) != 0 ? HSTATUS_SPV : 1;
}

void harness_main(void)
{
    enum { V = 1, ALL = 0xcf, USER = 0x10 };

    for (size_t i = 0; i < 5 * 512; i++)
        tables[0][i] = 0;
    tables[ROOT57][0] = (uint64_t)tables[ROOT48] >> 2 | V;
    tables[ROOT48][0] = (uint64_t)tables[GIGA] >> 2 | V;
    tables[GIGA][WINDOW >> 30] = (uint64_t)tables[MEGA] >> 2 | V;
    tables[GIGA][HARNESS_BASE >> 30] = (uint64_t)HARNESS_BASE >> 2 | ALL;
    tables[GIGA][(USER_ALIAS + HARNESS_BASE) >> 30] = (uint64_t)HARNESS_BASE >> 2 | ALL | USER;
    tables[MEGA][0] = (uint64_t)tables[LEAF] >> 2 | V;
    for (size_t i = 0; i < 2048 + 2 * 512; i++)
        g_root[i] = 0;
    g_root[HARNESS_BASE >> 30] = (uint64_t)HARNESS_BASE >> 2 | ALL | USER;
    g_root[WINDOW >> 30] = (uint64_t)g_mega >> 2 | V;
    g_mega[0] = (uint64_t)g_leaf >> 2 | V;
    if (batch->flags & BATCH_STORM)
        msip[1] = 1;
    for (uint64_t i = 0; i < batch->count; i++) {
        csr_write(mstatus, MSTATUS_FS_DIRTY | MSTATUS_VS);
        set_up(&batch->descriptors[i]);
        if (batch->flags & BATCH_VECTOR)
            vector_begin(&batch->descriptors[i]);
        program_run(&batch->descriptors[i], batch->descriptors[i].mstatus,
                    by_sret(&batch->descriptors[i]));
        take_record(&batch->descriptors[i]);
        report(&batch->descriptors[i]);
    }
    put('E');
    put_hex(storms);
    *(volatile uint32_t *)0x100000 = 0x5555;
    for (;;)
        ;
}
