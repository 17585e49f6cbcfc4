/*
 * Pointer masking: Smmpm, Smnpm and Ssnpm (Pointer Masking Extensions 1.0).
 *
 * QEMU 10.0 agrees about S and U but for MXR, which turns masking off there only for M-mode's
 * accesses with MPRV. Its M-mode masks nothing, and mseccfg.PMM cannot be cleared; VS takes what is
 * HS's; HLV and HSV are not masked as they should; the reserved PMM makes QEMU abort.
 */
#include "isa.h"

enum { MSECCFG = 0x747 };
#define PMM(value)   ((uint64_t)(value) << 32)
#define PMM_MASK     PMM(3)
#define HUPMM(value) ((uint64_t)(value) << 48)
#define HSTATUS_HU   (1ULL << 9)
#define HSTATUS_SPVP (1ULL << 8)
#define ENVCFG_CBO   (7ULL << 4 & ~(2ULL << 4) | 1ULL << 7)
#define HLV_D        ENC_R(MATCH_hlv_d, 10, 10, 0)
#define HLVX_WU      ENC_R(MATCH_hlvx_wu, 10, 10, 0)
#define HSV_D        ENC_R(MATCH_hsv_d, 0, 10, 11)
#define VALUE        0x1122334455667788ULL

static const enum mode modes[] = {M, S, U, VS, VU};
static const char names[] = "MSUVu";

static void set_field(unsigned csr, uint64_t value)
{
    switch (csr) {
    case MSECCFG: csr_write(MSECCFG, value); break;
    case MENVCFG: csr_write(MENVCFG, value | ENVCFG_CBO); break;
    case HENVCFG: csr_write(HENVCFG, value | ENVCFG_CBO); break;
    default: csr_write(SENVCFG, value | ENVCFG_CBO); break;
    }
}

static unsigned field_of(enum mode mode)
{
    return mode == M ? MSECCFG : mode == S ? MENVCFG : mode == VS ? HENVCFG : SENVCFG;
}

static void all(uint64_t value)
{
    for (unsigned i = 0; i < 5; i++)
        set_field(field_of(modes[i]), value);
}

/* What the fields hold after `v` is written; HUPMM is Ssnpm's with H. */
static void fields(unsigned v, bool legal)
{
    all(PMM(v));
    csr_write(HSTATUS, HUPMM(v));
    const uint64_t got[] = {csr_read(MSECCFG), csr_read(MENVCFG), csr_read(SENVCFG),
                            csr_read(HENVCFG), csr_read(HSTATUS) >> 16};
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ("PMM", (got[i] & PMM_MASK) == PMM(v), legal);
    csr_write(HSTATUS, 0);
    all(0);
}

static void say(unsigned i, uint64_t tag)
{
    print("    mode ");
    const char text[2] = {names[i], 0};
    print(text);
    print(" tag ");
    print_hex(tag);
    print("\n");
}

/* Each field masks the accesses of its own mode, by as many bits as it says. */
static void bare(void)
{
    volatile uint64_t *const data = (volatile uint64_t *)pages[0];
    const uint64_t at = FN(pages[0]);
    static const uint64_t tags[] = {0xfe00000000000000, 0x8200000000000000, 0x01ff000000000000,
                                    0x0100000000000000, 0x0001000000000000, 0xabcd000000000000};

    *data = VALUE;
    for (unsigned i = 0; i < 5; i++)
        for (unsigned pmm = 0; pmm < 4; pmm++)
            for (unsigned t = 0; t < 6 && pmm != 1; t++) {
                const unsigned bits = pmm == 0 ? 0 : pmm == 2 ? 7 : 16;
                const uint64_t seen = (at | tags[t]) & ~0ULL >> bits;
                const enum mode m = modes[i];
                bool good;
                all(pmm == 0 ? PMM(3) : 0);
                set_field(field_of(m), PMM(pmm));
                if (seen == at) {
                    good = CHECK_EQ("load", probe(m, LD, at | tags[t], 0), VALUE);
                    good &= CHECK_OK("load");
                    probe(m, SD, at + 8 | tags[t], i * 16 + t);
                    good &= CHECK_OK("store");
                    good &= CHECK_EQ("store", data[1], i * 16 + t);
                } else {
                    probe(m, LD, at | tags[t], 0);
                    good = CHECK_TRAP("load", m >= VU && seen >> 41 == 0 ? LOAD_GUEST : LOAD_ACCESS,
                                      seen);
                    probe(m, SD, at | tags[t], 0);
                    good &= CHECK_TRAP("store", STORE_ACCESS, seen);
                }
                if (!good)
                    say(i, tags[t]);
            }
    all(0);
}

/* What is masked beside loads and stores, and what is not. */
static void kinds(void)
{
    const uint64_t at = FN(pages[0]), tag = 0x5a5a000000000000;
    volatile uint64_t *const data = (volatile uint64_t *)pages[0];

    for (unsigned i = 0; i < 3; i++) {
        const enum mode m = modes[i];
        all(0);
        set_field(MENVCFG, m == S ? PMM(3) : 0);
        set_field(field_of(m), PMM(3));
        *data = 5;
        CHECK_EQ("amoadd.d", probe(m, AMOADD_D, at | tag, 7), 5);
        CHECK_EQ("amoadd.d", *data, 12);
        CHECK_EQ("amoadd.w", probe(m, AMOADD_W, at | tag, 7), 12);
        CHECK_EQ("lr.d", probe(m, LR_D, at | tag, 0), 19);
        CHECK_OK("lr.d");
        probe(m, SC_D, at | tag, 1);
        CHECK_OK("sc.d"); /* whether it stores or not */
        *data = 19;
        CHECK_EQ("c.ld", probe(m, 0x6108, at | tag, 0), 19);
        CHECK_OK("c.ld");
        probe(m, ENC_I(MATCH_fld, 0, 10, 0), at | tag, 0);
        CHECK_OK("fld");
        probe(m, ENC_R(MATCH_cbo_clean, 0, 10, 0), at | tag, 0);
        CHECK_OK("cbo.clean");
        probe(m, ENC_R(MATCH_cbo_zero, 0, 10, 0), at | tag, 0);
        CHECK_OK("cbo.zero");
        CHECK_EQ("cbo.zero", *data, 0);
        if (have('v')) {
            data[0] = 0x0102030405060708;
            probe(m, 0xcc827057, 0, 0);        /* vsetivli x0, 4, e8, m1, ta, ma */
            probe(m, 0x02050007, at | tag, 0); /* vle8.v v0, (a0) */
            CHECK_OK("vle8.v");
            probe(m, 0x02050027, at + 16 | tag, 0); /* vse8.v v0, (a0) */
            CHECK_OK("vse8.v");
            CHECK_EQ("vse8.v", *(volatile uint32_t *)(pages[0] + 16), 0x05060708);
        }
        /* Faults tell of the address without the tag. */
        probe(m, AMOADD_D, HOLE | tag, 7);
        CHECK_TRAP("amoadd.d from nowhere", STORE_ACCESS, HOLE);
        probe(m, ENC_R(MATCH_cbo_zero, 0, 10, 0), HOLE | tag, 7);
        CHECK_TRAP("cbo.zero of nothing", STORE_ACCESS, HOLE);
        probe(m, LR_D, (at + 4) | tag, 0);
        CHECK_TRAP("lr.d, misaligned", LOAD_MISALIGNED, at + 4);
        /* Over the end of a page. */
        *(uint64_t *)(pages[1] - 4) = VALUE;
        CHECK_EQ("ld over the end of a page", probe(m, LD, (at + 4092) | tag, 0), VALUE);
        probe(m, SD, (at + 4092) | tag, ~VALUE);
        CHECK_EQ("sd over the end of a page", *(uint64_t *)(pages[1] - 4), ~VALUE);
        /* Fetches are not masked. */
        probe(m, JALR_A0, FN(probe_code) + 4 | tag, 0);
        CHECK_EQ("fetch", trap.cause, FETCH_ACCESS);
        CHECK_EQ("fetch", trap.tval, FN(probe_code) + 4 | tag);
    }
    all(0);
}

/* Of virtual addresses the bit below the tag is extended. */
static void translated(void)
{
    const uint64_t high = 0xffffffffc0000000; /* giga[511] of Sv39; the last of Sv48's and Sv57's */

    *(uint64_t *)pages[0] = VALUE;
    giga[511] = PTE_PPN(0x80000000) | PTE_ALL;
    root48[511] = PTE_PPN(FN(giga)) | PTE_V;
    root57[511] = PTE_PPN(FN(root48)) | PTE_V;
    const uint64_t ram = high + (FN(pages[0]) - 0x80000000);
    for (unsigned mode = 8; mode <= 10; mode++) {
        vm_on(mode);
        vm_map(0, FN(pages[0]), PTE_ALL);
        vm_map(1, 0, 0);
        for (unsigned pmm = 2; pmm <= 3; pmm++) {
            const uint64_t mask = ~0ULL >> (pmm == 2 ? 7 : 16), tag = 0x4a5b000000000000 & ~mask;
            set_field(MENVCFG, PMM(pmm));
            CHECK_EQ("lower half", probe(S, LD, WINDOW | tag, 0), VALUE);
            CHECK_OK("lower half");
            CHECK_EQ("upper half", probe(S, LD, (ram & mask) | tag, 0), VALUE);
            CHECK_OK("upper half");
            CHECK_EQ("no tag", probe(S, LD, ram, 0), VALUE);
            probe(S, LD, (WINDOW + 0x1000) | tag, 0);
            CHECK_TRAP("lower half", LOAD_PAGE, WINDOW + 0x1000);
            probe(S, SD, ((high - 0x1000) & mask) | tag, 0);
            CHECK_TRAP("upper half", STORE_PAGE, high - 0x1000);
            if (mode < 10 || pmm == 2) { /* the bit is not one of the address: not extended */
                probe(S, LD, WINDOW | (mask ^ mask >> 1), 0);
                CHECK_TRAP("not canonical", LOAD_PAGE, WINDOW | ~(mask >> 1));
            }
        }
        /* What is known of the page under one tag ends with its mapping. */
        CHECK_EQ("tag 1", probe(S, LD, WINDOW | 1ULL << 60, 0), VALUE);
        CHECK_EQ("tag 2", probe(S, LD, WINDOW | 2ULL << 60, 0), VALUE);
        *(uint64_t *)pages[1] = 77;
        leaf[0] = PTE_PPN(FN(pages[1])) | PTE_ALL;
        __asm__ volatile("sfence.vma %0" : : "r"(WINDOW) : "memory");
        CHECK_EQ("after sfence.vma", probe(S, LD, WINDOW | 2ULL << 60, 0), 77);
        CHECK_EQ("after sfence.vma", probe(S, LD, WINDOW, 0), 77);
        /* No fence is needed for PMM itself. */
        set_field(MENVCFG, PMM(2));
        probe(S, LD, WINDOW | 1ULL << 50, 0);
        CHECK_TRAP("fewer bits", LOAD_PAGE, WINDOW | 1ULL << 50);
        set_field(MENVCFG, 0);
        probe(S, LD, WINDOW | 2ULL << 60, 0);
        CHECK_TRAP("none", LOAD_PAGE, WINDOW | 2ULL << 60);
        set_field(MENVCFG, PMM(3));
        CHECK_EQ("on again", probe(S, LD, WINDOW | 2ULL << 60, 0), 77);
        /* U's are masked by senvcfg; fetches of it are not. */
        vm_map(0, FN(pages[0]), PTE_ALL | PTE_U);
        set_field(SENVCFG, PMM(2));
        CHECK_EQ("U", probe(U, LD, WINDOW | 2ULL << 60, 0), VALUE);
        CHECK_OK("U");
        probe(U, JALR_A0, WINDOW | 2ULL << 60, 0);
        CHECK_EQ("fetch", trap.cause, FETCH_PAGE);
        CHECK_EQ("fetch", trap.tval, WINDOW | 2ULL << 60);
        all(0);
        vm_on(0);
    }
    giga[511] = root48[511] = root57[511] = 0;
}

/* A load of M-mode with mstatus.MPRV and the `more` bits. */
static uint64_t load_as(enum mode mode, uint64_t more, uint64_t at)
{
    uint64_t value = 1;
    csr_clear(MSTATUS, MSTATUS_MPP(3));
    csr_set(MSTATUS, MSTATUS_MPP(mode));
    trap_clear();
    __asm__ volatile(".option push\n .option norvc\n csrs mstatus, %1\n ld %0, 0(%2)\n csrc "
                     "mstatus, %1\n .option pop"
                     : "+r"(value)
                     : "r"(MSTATUS_MPRV | more), "r"(at)
                     : "memory");
    return value;
}

static void modified(void)
{
    const uint64_t at = FN(pages[0]), tag = 0x5a00000000000000;

    *(uint64_t *)pages[0] = VALUE;
    for (unsigned i = 1; i < 3; i++) {
        all(0);
        set_field(field_of(modes[i]), PMM(2));
        CHECK_EQ("MPRV: that of MPP", load_as(modes[i], 0, at | tag), VALUE);
        CHECK_EQ("MPRV", trap.count, 0);
        load_as(modes[i], MSTATUS_MXR, at | tag);
        CHECK_EQ("MPRV and MXR: none", trap.cause, LOAD_ACCESS);
        CHECK_EQ("MPRV and MXR", trap.tval, at | tag);
        all(PMM(2));
        set_field(field_of(modes[i]), 0);
        load_as(modes[i], 0, at | tag);
        CHECK_EQ("MPRV: not M's own", trap.tval, at | tag);
    }
    all(PMM(2));
    for (unsigned i = 0; i < 3; i++) {
        csr_set(MSTATUS, MSTATUS_MXR);
        probe(modes[i], LD, at | tag, 0);
        CHECK_TRAP("MXR: none", LOAD_ACCESS, at | tag);
        csr_clear(MSTATUS, MSTATUS_MXR);
        CHECK_EQ("without MXR", probe(modes[i], LD, at | tag, 0), VALUE);
    }
    all(0);
}

static void hypervisor(void)
{
    const uint64_t at = FN(pages[0]), tag = 0x5a00000000000000;
    static const struct {
        enum mode from;
        uint64_t spvp;
    } cases[] = {{M, 0}, {S, 0}, {U, 0}, {M, HSTATUS_SPVP}, {S, HSTATUS_SPVP}, {U, HSTATUS_SPVP}};

    *(volatile uint64_t *)pages[0] = VALUE;
    for (unsigned i = 0; i < 6; i++) {
        const enum mode m = cases[i].from;
        const bool by_hupmm = m == U && cases[i].spvp == 0;
        const unsigned by = cases[i].spvp != 0 ? HENVCFG : SENVCFG;
        all(0);
        csr_write(HSTATUS, HSTATUS_HU | cases[i].spvp | (by_hupmm ? HUPMM(2) : 0));
        if (!by_hupmm)
            set_field(by, PMM(2));
        CHECK_EQ("hlv.d", probe(m, HLV_D, at | tag, 0), VALUE);
        CHECK_OK("hlv.d");
        probe(m, HSV_D, at + 8 | tag, i);
        CHECK_OK("hsv.d");
        CHECK_EQ("hsv.d", *(volatile uint64_t *)(pages[0] + 8), i);
        probe(m, HLV_D, HOLE | tag, 0);
        CHECK_TRAP("hlv.d", LOAD_ACCESS, HOLE);
        probe(m, HLVX_WU, at | tag, 0);
        CHECK_TRAP("hlvx.wu is not masked", LOAD_ACCESS, at | tag);
        all(PMM(2));
        csr_write(HSTATUS, HSTATUS_HU | cases[i].spvp | (by_hupmm ? 0 : HUPMM(2)));
        if (!by_hupmm)
            set_field(by, 0);
        probe(m, HLV_D, at | tag, 0);
        CHECK_TRAP("hlv.d, by no other field", LOAD_ACCESS, at | tag);
    }
    csr_write(HSTATUS, 0);
    all(0);
}

/* Code that runs long enough to be translated, with other tags on the same pages all the time. */
static uint64_t __attribute__((noinline)) walk(uint64_t *const *list, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        volatile uint64_t *p = list[i & 63];
        sum += *p;
        *p += 1;
    }
    return sum;
}

static void hot(void)
{
    static uint64_t *list[64];
    uint64_t want = 0;

    set_field(MENVCFG, PMM(3));
    for (unsigned i = 0; i < 64; i++) {
        uint64_t *p = (uint64_t *)(pages[i & 3] + 64 * i);
        *p = i;
        list[i] = (uint64_t *)((uintptr_t)p | (uint64_t)(i * 0x0b0d) << 48);
        want += 1000ULL * i + 1000 * 999 / 2;
    }
    CHECK_EQ("hot", run_in(S, FN(walk), FN(list), 64000), want);
    for (unsigned i = 0; i < 64; i++)
        CHECK_EQ("hot", *(uint64_t *)(pages[i & 3] + 64 * i), i + 1000);
    all(0);
    trap_clear();
    run_in(S, FN(walk), FN(list + 1), 1);
    CHECK_EQ("masking off", trap.count, 3);
}

void test_main(void)
{
    csr_write(PMPADDR0, ~0ULL >> 10);
    csr_write(PMPCFG0, 0x1f);
    csr_set(MSTATEEN0, 1ULL << 62);
    csr_set(MSTATUS, MSTATUS_FS | 3 << 9);
    fields(2, true);
    fields(3, true);
    fields(0, true);
    probe(S, CSRR(MSECCFG), 0, 0);
    CHECK_ILLEGAL("mseccfg in S", CSRR(MSECCFG));
    bare();
    kinds();
    translated();
    modified();
    hypervisor();
    hot();
    fields(1, false); /* reserved */
}
