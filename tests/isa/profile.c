/*
 * What the extensions say that name behaviour and no instruction (RVA23 profile; Unprivileged ISA
 * 20240411, "RVWMO"; Privileged ISA 20240411, chapter 10). Hart 1 is the disturber.
 */
#include "isa.h"

static _Atomic uint64_t stop, stopped;
static uint8_t block[192] __attribute__((aligned(64)));
static uint64_t shared[16] __attribute__((aligned(64)));

/* LUI a0, 0x11111 and LUI a0, 0xeeeee: halves of one with halves of the other give a third value.
 */
#define LUI_1 0x11111537u
#define LUI_E 0xeeeee537u

static void hart_1(void)
{
    volatile uint32_t *code = probe_code;
    volatile uint64_t *beside = &shared[8];

    while (stop == 0) {
        *code = LUI_E;
        *beside = 1;
        *code = LUI_1;
        *beside = 2;
    }
    stopped = 1;
}

/* A fetch of an aligned word is atomic. */
static void ziccif(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        fence_i();
        uint64_t got = ((uint64_t(*)(void))FN(probe_code))();
        if (got != 0x11111000 && got != 0xffffffffeeeee000)
            CHECK_EQ("Ziccif: halves of two instructions", got, 0x11111000);
    }
    CHECK_EQ("Ziccif", 1, 1);
}

/*
 * Stores 64 bytes away are outside of every reservation set (Za64rs): a constrained loop comes to
 * its end (Ziccrse).
 */
static void ziccrse_and_za64rs(void)
{
    uint64_t old, failed;

    for (unsigned i = 0; i < 2000; i++)
        do
            __asm__ volatile("lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)"
                             : "=&r"(old), "=&r"(failed)
                             : "r"(&shared[0])
                             : "memory");
        while (failed);
    CHECK_EQ("Ziccrse, Za64rs", shared[0], 2000);
}

/* Every AMO in main memory, of both widths (Ziccamoa). */
static void ziccamoa(void)
{
    static const uint32_t amos[] = {
        MATCH_amoadd_w,  MATCH_amoswap_w, MATCH_amoxor_w,  MATCH_amoor_w,   MATCH_amoand_w,
        MATCH_amomin_w,  MATCH_amomax_w,  MATCH_amominu_w, MATCH_amomaxu_w, MATCH_amoadd_d,
        MATCH_amoswap_d, MATCH_amoxor_d,  MATCH_amoor_d,   MATCH_amoand_d,  MATCH_amomin_d,
        MATCH_amomax_d,  MATCH_amominu_d, MATCH_amomaxu_d,
    };

    for (unsigned i = 0; i < sizeof amos / sizeof amos[0]; i++) {
        shared[1] = 6;
        CHECK_EQ("Ziccamoa: old value", probe(M, ENC_R(amos[i], 10, 10, 11), FN(&shared[1]), 3), 6);
        CHECK_OK("Ziccamoa");
    }
}

/* Misaligned loads and stores of main memory, over the end of a page too, in every mode (Zicclsm).
 */
static void zicclsm(void)
{
    static const enum mode modes[] = {U, S, M};

    for (unsigned m = 0; m < 3; m++)
        for (unsigned at = 4089; at < 4096; at++) {
            probe(modes[m], SD, FN(pages[0]) + at, 0x0123456789abcdef);
            CHECK_OK("Zicclsm: store");
            CHECK_EQ("Zicclsm: load", probe(modes[m], LD, FN(pages[0]) + at, 0),
                     0x0123456789abcdef);
            CHECK_OK("Zicclsm: load");
        }
}

/* Cache blocks are of 64 bytes, aligned (Zic64b): CBO.ZERO clears those and no others. */
static void zic64b(void)
{
    for (unsigned at = 64; at < 128; at += 9) {
        for (unsigned i = 0; i < sizeof block; i++)
            block[i] = 0xff;
        probe(M, MATCH_cbo_zero | 10 << 15, FN(&block[at]), 0);
        CHECK_OK("Zic64b: cbo.zero");
        unsigned wrong = 0;
        for (unsigned i = 0; i < sizeof block; i++)
            wrong += block[i] != (i >= 64 && i < 128 ? 0 : 0xff);
        CHECK_EQ("Zic64b: bytes", wrong, 0);
    }
}

/* Page tables in main memory are walked (Ssccptr), and satp.MODE can be Bare (Svbare) and Sv39. */
static void ssccptr_and_svbare(void)
{
    vm_on(8);
    vm_map(3, FN(pages[2]), PTE_ALL);
    *(uint64_t *)pages[2] = 0x5a5a;
    CHECK_EQ("Ssccptr", probe(S, LD, WINDOW + 3 * 4096, 0), 0x5a5a);
    CHECK_OK("Ssccptr");
    vm_on(0);
    CHECK_EQ("Svbare", csr_read(SATP), 0);
}

/* Sstvala: stval is the address of what faulted, or the instruction that is illegal. */
static void sstvala(void)
{
    csr_write(MEDELEG,
              1ULL << ILLEGAL | 1ULL << LOAD_PAGE | 1ULL << STORE_PAGE | 1ULL << LOAD_ACCESS);
    vm_on(8);
    vm_map(4, 0, 0);
    probe(S, LD, WINDOW + 4 * 4096 + 8, 0);
    CHECK_TRAP("Sstvala: load", LOAD_PAGE, WINDOW + 4 * 4096 + 8);
    probe(S, SD, WINDOW + 4 * 4096 + 16, 0);
    CHECK_TRAP("Sstvala: store", STORE_PAGE, WINDOW + 4 * 4096 + 16);
    probe(S, MRET, 0, 0);
    CHECK_TRAP("Sstvala: illegal instruction", ILLEGAL, MRET);
    CHECK_EQ("Sstvala: it was stval", trap.level, S);
    vm_on(0);
    probe(S, LD, HOLE, 0);
    CHECK_TRAP("Sstvala: access", LOAD_ACCESS, HOLE);
    csr_write(MEDELEG, 0);
}

/* Fields that must hold what they are given. */
static void fields(void)
{
    static const uint64_t bases[] = {0, 4, 0x80000000, 0x3ffffffffc, ~3ULL, 0x8000000000000004};
    uint64_t before = csr_read(STVEC);

    for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        csr_write(STVEC, bases[i]);
        CHECK_EQ("Sstvecd", csr_read(STVEC), bases[i]);
    }
    csr_write(STVEC, before);
    CHECK_EQ("Ssu64xl", csr_read(SSTATUS) >> 32 & 3, 2);
    csr_write(SCOUNTEREN, 0);
    CHECK_EQ("Sscounterenw", csr_read(SCOUNTEREN) & 7, 0);
    csr_write(SCOUNTEREN, 7);
    CHECK_EQ("Sscounterenw", csr_read(SCOUNTEREN) & 7, 7);
    /* B is Zba, Zbb and Zbs together. */
    CHECK_EQ("misa.B", csr_read(MISA) >> 1 & 1, 1);
}

void test_main(void)
{
    probe_code[0] = LUI_1;
    probe_code[1] = RET;
    other_entry = hart_1;
    while (shared[8] == 0)
        __asm__ volatile("" : : : "memory");
    ziccif();
    ziccrse_and_za64rs();
    stop = 1;
    while (stopped == 0)
        ;
    ziccamoa();
    zicclsm();
    zic64b();
    ssccptr_and_svbare();
    sstvala();
    fields();
}
