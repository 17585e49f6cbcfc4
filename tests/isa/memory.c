/*
 * Misaligned accesses, LR and SC, AMOCAS.Q, CBO.ZERO, code that changes, counters, hints
 * (Unprivileged ISA 20240411: 2.6, 13.2, Zacas, CMO, Zifencei, Zicntr; Privileged ISA 3.1.10
 * to 3.1.12).
 */
#include "isa.h"

/* Ordinary accesses to RAM may be misaligned, and are here: Linux relies on it (as does every
 * kernel for RVA22). */
static void misaligned(void)
{
    uint8_t *bytes = pages[0];

    for (uint64_t at = FN(bytes) + 8; at < FN(bytes) + 24; at++)
        for (unsigned width = 1; width <= 8; width *= 2) {
            static const uint32_t loads[] = {[1] = LBU,
                                             [2] = MATCH_lhu | 10 << 7 | 10 << 15,
                                             [4] = MATCH_lwu | 10 << 7 | 10 << 15,
                                             [8] = LD};
            static const uint32_t stores[] = {[1] = SB, [2] = SH, [4] = SW, [8] = SD};
            uint64_t want = 0, mask = width == 8 ? ~0ULL : (1ULL << 8 * width) - 1;

            for (unsigned i = 0; i < 64; i++)
                bytes[i] = (uint8_t)(i * 37 + 11);
            for (unsigned i = 0; i < width; i++)
                want |= (uint64_t) * (uint8_t *)(at + i) << 8 * i;
            CHECK_EQ("misaligned load", probe(M, loads[width], at, 0), want);
            probe(M, stores[width], at, ~want);
            for (unsigned i = 0; i < 64; i++) {
                uint64_t byte = FN(bytes) + i;
                uint64_t expect = byte >= at && byte < at + width
                                      ? (~want & mask) >> 8 * (byte - at) & 0xff
                                      : (uint8_t)(i * 37 + 11);

                CHECK_EQ("misaligned store", bytes[i], expect);
            }
        }
}

static uint64_t cell[8] __attribute__((aligned(64)));

/* LR, two instructions, SC, in one piece: a0 = address, a1 = value. Returns SC's result. */
static uint64_t reserve_and_store(bool wide, uint64_t address, uint64_t value)
{
    uint64_t result;

    if (wide)
        __asm__ volatile("lr.d %0, (%1)\n nop\n sc.d %0, %2, (%1)"
                         : "=&r"(result)
                         : "r"(address), "r"(value)
                         : "memory");
    else
        __asm__ volatile("lr.w %0, (%1)\n nop\n sc.w %0, %2, (%1)"
                         : "=&r"(result)
                         : "r"(address), "r"(value)
                         : "memory");
    return result;
}

static void reservations(void)
{
    uint64_t result, old;

    covers(SC_W);
    covers(SC_D);
    cell[0] = 0x8000000180000002;
    CHECK_EQ("lr.w sign-extends", probe(M, LR_W, FN(cell), 0), 0xffffffff80000002);
    CHECK_EQ("lr.d", probe(M, LR_D, FN(cell), 0), 0x8000000180000002);
    CHECK_EQ("lr.w, sc.w", reserve_and_store(false, FN(cell), 0x1122334455667788), 0);
    CHECK_EQ("sc.w stores a word", cell[0], 0x8000000155667788);
    CHECK_EQ("lr.d, sc.d", reserve_and_store(true, FN(cell), 0x1122334455667788), 0);
    CHECK_EQ("sc.d stores", cell[0], 0x1122334455667788);
    /* SC succeeds at most once; without a reservation it fails (13.2), with a value other than 0.
     */
    __asm__ volatile("sc.d %0, zero, (%1)" : "=r"(result) : "r"(cell) : "memory");
    CHECK_EQ("sc.d without lr", result != 0, 1);
    CHECK_EQ("sc.d without lr stores nothing", cell[0], 0x1122334455667788);
    __asm__ volatile("lr.d %0, (%1)\n sc.d %0, zero, (%2)"
                     : "=&r"(result)
                     : "r"(cell), "r"(cell + 4)
                     : "memory");
    CHECK_EQ("sc.d elsewhere", result != 0, 1);
    /* Whether it succeeds or not, it ends the reservation (13.2). */
    __asm__ volatile("lr.d %0, (%1)\n sc.d %0, zero, (%2)\n sc.d %0, zero, (%1)"
                     : "=&r"(result)
                     : "r"(cell), "r"(cell + 4)
                     : "memory");
    CHECK_EQ("sc.d after an sc.d elsewhere", result != 0, 1);
    CHECK_EQ("sc.d after an sc.d elsewhere stores nothing", cell[0], 0x1122334455667788);
    /* A store in between that changes the bytes, even by the same hart: ours fails by value, and
     * may. */
    __asm__ volatile("lr.d %0, (%2)\n sd %3, 0(%2)\n sc.d %1, zero, (%2)"
                     : "=&r"(old), "=&r"(result)
                     : "r"(cell), "r"(0x99ULL)
                     : "memory");
    if (result == 0)
        CHECK_EQ("sc.d that succeeded after a store", cell[0], 0);
    else
        CHECK_EQ("sc.d that failed after a store", cell[0], 0x99);
}

static void wide_compare_and_swap(void)
{
    register uint64_t low __asm__("a0"), high __asm__("a1");
    register uint64_t new_low __asm__("a2") = 0x3333, new_high __asm__("a3") = 0x4444;
    register uint64_t at __asm__("a4") = FN(cell);

    /* amocas.q a0, a2, (a4) */
#define AMOCAS_Q                                                                                   \
    __asm__ volatile(".4byte 0x28c7452f"                                                           \
                     : "+r"(low), "+r"(high)                                                       \
                     : "r"(new_low), "r"(new_high), "r"(at)                                        \
                     : "memory")
    cell[0] = 0x1111;
    cell[1] = 0x2222;
    low = 0x1111;
    high = 0x2223;
    AMOCAS_Q;
    CHECK_EQ("amocas.q, high differs: low", low, 0x1111);
    CHECK_EQ("amocas.q, high differs: high", high, 0x2222);
    CHECK_EQ("amocas.q, high differs: memory", cell[0], 0x1111);
    CHECK_EQ("amocas.q, high differs: memory", cell[1], 0x2222);
    low = 0x1110;
    high = 0x2222;
    AMOCAS_Q;
    CHECK_EQ("amocas.q, low differs: low", low, 0x1111);
    CHECK_EQ("amocas.q, low differs: memory", cell[0], 0x1111);
    low = 0x1111;
    high = 0x2222;
    AMOCAS_Q;
    CHECK_EQ("amocas.q, equal: low", low, 0x1111);
    CHECK_EQ("amocas.q, equal: high", high, 0x2222);
    CHECK_EQ("amocas.q, equal: memory", cell[0], 0x3333);
    CHECK_EQ("amocas.q, equal: memory", cell[1], 0x4444);
    /* Odd registers are reserved; x0 as a pair reads 0 and takes nothing (Zacas). */
    probe(M, MATCH_amocas_q | 11 << 7 | 14 << 15 | 12 << 20, 0, 0);
    CHECK_ILLEGAL("amocas.q with odd rd", MATCH_amocas_q | 11 << 7 | 14 << 15 | 12 << 20);
    probe(M, MATCH_amocas_q | 10 << 7 | 14 << 15 | 13 << 20, 0, 0);
    CHECK_ILLEGAL("amocas.q with odd rs2", MATCH_amocas_q | 10 << 7 | 14 << 15 | 13 << 20);
    cell[0] = cell[1] = 0;
    probe(M, MATCH_amocas_q | 0 << 7 | 10 << 15 | 0 << 20, FN(cell), 1);
    CHECK_OK("amocas.q x0, x0");
    cell[0] = 5;
    /* rd x0: the comparison is with 0 and nothing is written. QEMU 10.0 overwrites its own 0. */
    __asm__ volatile(".option push\n .option norvc\n mv a4, %1\n li a2, 9\n .4byte 0x28c7202f\n mv "
                     "%0, zero\n .option pop"
                     : "=r"(low)
                     : "r"(cell)
                     : "a2", "a4", "memory"); /* amocas.w x0, a2, (a4) */
    CHECK_EQ("x0 after amocas.w with rd x0", low, 0);
    CHECK_EQ("amocas.w with rd x0, 5 in memory", cell[0], 5);
}

/* Stores and loads by sp, and c.jalr: x1 is the address behind it, 2 bytes on. */
static void compressed_by_sp_and_jalr(void)
{
    uint64_t word, doubleword, fp, back, sp;
    static const uint16_t rows[] = {MATCH_c_swsp,          MATCH_c_sdsp,  MATCH_c_lwsp,
                                    MATCH_c_ldsp,          MATCH_c_fsdsp, MATCH_c_fldsp,
                                    MATCH_c_jalr | 10 << 7};

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        covers(rows[i]);
    for (unsigned i = 0; i < 8; i++)
        cell[i] = 0x5555555555555555;
    __asm__ volatile(
        ".option push\n .option rvc\n"
        " mv %4, sp\n mv sp, %5\n fmv.d.x fa5, %8\n"
        " c.swsp %6, 12(sp)\n c.sdsp %7, 16(sp)\n c.fsdsp fa5, 24(sp)\n fmv.d.x fa5, zero\n"
        " c.lwsp %0, 12(sp)\n c.ldsp %1, 16(sp)\n c.fldsp fa5, 24(sp)\n"
        " mv sp, %4\n fmv.x.d %2, fa5\n"
        " lla %3, 1f\n c.jalr %3\n 2: c.j 3f\n 1: mv %3, ra\n jr ra\n"
        " 3: lla ra, 2b\n sub %3, %3, ra\n .option pop"
        : "=&r"(word), "=&r"(doubleword), "=&r"(fp), "=&r"(back), "=&r"(sp)
        : "r"(cell), "r"(0x89abcdefULL), "r"(0x0123456789abcdefULL), "r"(0xfedcba9876543210ULL)
        : "ra", "fa5", "memory");
    CHECK_EQ("c.lwsp", word, 0xffffffff89abcdef);
    CHECK_EQ("c.ldsp", doubleword, 0x0123456789abcdef);
    CHECK_EQ("c.fldsp", fp, 0xfedcba9876543210);
    CHECK_EQ("c.swsp", cell[1], 0x89abcdef55555555);
    CHECK_EQ("c.sdsp", cell[2], 0x0123456789abcdef);
    CHECK_EQ("c.fsdsp", cell[3], 0xfedcba9876543210);
    CHECK_EQ("c.jalr links to what is behind it", back, 0);
}

static void zero_block(void)
{
    csr_write(MENVCFG, 0xf0);
    for (unsigned off = 0; off < 64; off += 9) {
        for (unsigned i = 0; i < 256; i++)
            pages[1][i] = 0xa5;
        probe(M, MATCH_cbo_zero | 10 << 15, FN(pages[1]) + 64 + off, 0);
        CHECK_OK("cbo.zero");
        for (unsigned i = 0; i < 256; i++)
            CHECK_EQ("cbo.zero clears its block of 64 bytes", pages[1][i], i / 64 == 1 ? 0 : 0xa5);
    }
    /* The other operations keep what memory holds. */
    for (unsigned i = 0; i < 64; i++)
        pages[1][i] = (uint8_t)i;
    probe(M, MATCH_cbo_clean | 10 << 15, FN(pages[1]), 0);
    probe(M, MATCH_cbo_flush | 10 << 15, FN(pages[1]), 0);
    probe(M, MATCH_cbo_inval | 10 << 15, FN(pages[1]), 0);
    for (unsigned i = 0; i < 64; i++)
        CHECK_EQ("cbo.clean, flush, inval", pages[1][i], i);
}

/* ROM takes no stores, also when its page has been read before (Privileged ISA, 3.6: PMAs). */
static void read_only_memory(void)
{
    static const uint32_t stores[] = {SB, SH, SW, SD, AMOADD_W, AMOADD_D};
    const uint64_t rom = 0x1000, word = *(volatile uint64_t *)0x1000;

    for (unsigned i = 0; i < sizeof stores / sizeof stores[0]; i++)
        for (unsigned m = U; m <= M; m += m == S ? 2 : 1) {
            if (i & 1)
                CHECK_EQ("load from ROM", probe((enum mode)m, LD, rom, 0), word);
            probe((enum mode)m, stores[i], rom, ~word);
            CHECK_TRAP("store into ROM", STORE_ACCESS, rom);
            CHECK_EQ("ROM", *(volatile uint64_t *)0x1000, word);
        }
}

/* Hints and prefetches do nothing, wherever they point. */
static void hints(void)
{
    static const uint32_t words[] = {
        MATCH_pause,
        MATCH_prefetch_i | 10 << 15,
        MATCH_prefetch_r | 10 << 15,
        MATCH_prefetch_w | 10 << 15,
        0x00200033, /* ntl.p1 */
        0x00500033, /* ntl.all */
        NOP,
        0x00000017, /* auipc x0 */
        0x00000037, /* lui x0 */
        MATCH_wrs_sto,
        MATCH_wrs_nto,
        0x0011, /* c.nop 4 */
        0x4001, /* c.li x0, 0 */
        0x0002, /* c.slli x0, 0 */
        0x900a, /* c.ntl.p1: c.add x0, x2 */
    };

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        for (unsigned m = U; m <= M; m += m == S ? 2 : 1) {
            CHECK_EQ("hint", probe((enum mode)m, words[i], HOLE, 1), HOLE);
            CHECK_OK("hint");
        }
}

/* A hart sees its own stores to code after FENCE.I. */
static void changing_code(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        probe_code[0] = ENC_I(MATCH_addi, 10, 0, i);
        probe_code[1] = RET;
        fence_i();
        CHECK_EQ("patched code", ((uint64_t(*)(void))FN(probe_code))(), i < 2048 ? i : 0);
    }
    /* Code that rewrites the instruction behind its own FENCE.I, in one block. */
    for (unsigned i = 1; i < 64; i++) {
        probe_code[0] = ENC_S(MATCH_sw, 10, 11, 12); /* sw a1, 12(a0) */
        probe_code[1] = 0x0000100f;                  /* fence.i */
        probe_code[2] = NOP;
        probe_code[3] = ENC_I(MATCH_addi, 10, 0, 0);
        probe_code[4] = RET;
        fence_i();
        CHECK_EQ("code that patches itself",
                 ((uint64_t(*)(uint64_t, uint64_t))FN(probe_code))(FN(probe_code),
                                                                   ENC_I(MATCH_addi, 10, 0, i)),
                 i);
    }
    /* The same page through another mapping, and a page that is remapped. */
    vm_on(8);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t *code = (uint32_t *)pages[2 + i];

        code[0] = ENC_I(MATCH_addi, 10, 0, 100 + i);
        code[1] = RET;
    }
    fence_i();
    for (unsigned i = 0; i < 20; i++) {
        vm_map(1, FN(pages[2 + i % 2]), PTE_ALL);
        CHECK_EQ("code of a page that is remapped", run_in(S, WINDOW + 0x1000, 0, 0), 100 + i % 2);
    }
    vm_on(0);
}

static void counters(void)
{
    uint64_t a, b, c, d;

    /* Exactly the instructions between two reads retire. QEMU counts time instead, unless told
     * -icount. */
    __asm__ volatile(".option push\n .option norvc\n csrr %0, instret\n nop\n nop\n nop\n csrr %1, "
                     "instret\n .option pop"
                     : "=r"(a), "=r"(b));
    CHECK_EQ("instret counts 4", b - a, 4);
    /* A trap: ECALL does not retire. Setting and inhibiting (3.1.12). */
    csr_write(MCOUNTINHIBIT, 4);
    a = csr_read(MINSTRET);
    b = csr_read(MINSTRET);
    CHECK_EQ("minstret, inhibited", b, a);
    csr_write(MINSTRET, 1000);
    CHECK_EQ("minstret, inhibited and written", csr_read(MINSTRET), 1000);
    csr_write(MCOUNTINHIBIT, 1);
    a = csr_read(MCYCLE);
    b = csr_read(MCYCLE);
    CHECK_EQ("mcycle, inhibited", b, a);
    csr_write(MCYCLE, 2000);
    CHECK_EQ("mcycle, inhibited and written", csr_read(MCYCLE), 2000);
    csr_write(MCOUNTINHIBIT, 0); /* it goes on from there */
    a = csr_read(MCYCLE);
    CHECK_EQ("mcycle, no longer inhibited", a - 2001 < 1000000, 1);
    csr_write(MCOUNTINHIBIT, 0);
    __asm__ volatile(
        ".option push\n .option norvc\n csrw minstret, %2\n csrr %0, minstret\n csrr %1, minstret\n"
        ".option pop"
        : "=r"(a), "=r"(b)
        : "r"(0x123456789aULL));
    /* The written value takes the place of the increment (3.1.10: the write happens after). */
    CHECK_EQ("minstret after it was written", a, 0x123456789a);
    CHECK_EQ("minstret after it was written", b, 0x123456789b);
    /* Cycles are the implementation's, but they go on from what was written. */
    __asm__ volatile(
        ".option push\n .option norvc\n csrw mcycle, %2\n csrr %0, mcycle\n csrr %1, mcycle\n"
        ".option pop"
        : "=r"(a), "=r"(b)
        : "r"(0x123456789aULL));
    CHECK_EQ("mcycle after it was written", a - 0x123456789a < 1000000, 1);
    CHECK_EQ("mcycle after it was written", b - a - 1 < 1000000, 1);
    a = csr_read(CYCLE);
    b = csr_read(TIME);
    for (volatile unsigned i = 0; i < 100000; i++)
        ;
    c = csr_read(CYCLE);
    d = csr_read(TIME);
    CHECK_EQ("cycle runs", c > a, 1);
    CHECK_EQ("time runs", d > b, 1);
    CHECK_EQ("cycle is mcycle", csr_read(MCYCLE) - csr_read(CYCLE) < 1000000 || csr_read(CYCLE) > c,
             1);
}

void test_main(void)
{
    misaligned();
    reservations();
    wide_compare_and_swap();
    compressed_by_sp_and_jalr();
    zero_block();
    read_only_memory();
    hints();
    changing_code();
    counters();
}
