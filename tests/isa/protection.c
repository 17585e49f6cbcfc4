/* Physical memory protection: 16 entries, TOR, NA4, NAPOT, locks (Privileged ISA 20240411, 3.7). */
#include "isa.h"

enum { R = 1, W = 2, X = 4, TOR = 1 << 3, NA4 = 2 << 3, NAPOT = 3 << 3, L = 1 << 7 };

#define AREA FN(pages)

static void set_address(unsigned entry, uint64_t value)
{
    switch (entry) {
    case 0: csr_write(0x3b0, value); break;
    case 1: csr_write(0x3b1, value); break;
    case 2: csr_write(0x3b2, value); break;
    case 3: csr_write(0x3b3, value); break;
    case 4: csr_write(0x3b4, value); break;
    case 5: csr_write(0x3b5, value); break;
    }
}

/* Entry 15 opens the rest to all; entries 0 to 5 are the test's. */
static void reset_entries(void)
{
    csr_write(0x3a0, 0);
    csr_write(0x3bf, (1ULL << 54) - 1);
    csr_write(0x3a2, (uint64_t)(NAPOT | R | W | X) << 56);
    for (unsigned i = 0; i < 6; i++)
        set_address(i, 0);
}

static uint64_t napot(uint64_t at, uint64_t size)
{
    return at >> 2 | (size / 2 - 1) >> 2;
}

static void check_allowed(const char *what, enum mode mode, uint64_t at, unsigned permissions)
{
    *(uint32_t *)at = RET;
    probe(mode, LW, at, 0);
    if (permissions & R)
        CHECK_OK(what);
    else
        CHECK_TRAP(what, LOAD_ACCESS, at);
    probe(mode, SW, at, RET);
    if (permissions & W)
        CHECK_OK(what);
    else
        CHECK_TRAP(what, STORE_ACCESS, at);
    probe(mode, AMOADD_W, at, 0);
    if ((permissions & (R | W)) == (R | W))
        CHECK_OK(what);
    else
        CHECK_TRAP(what, STORE_ACCESS, at);
    probe(mode, JALR_A0, at, 0);
    if (permissions & X) {
        CHECK_OK(what);
    } else {
        CHECK_EQ(what, trap.count, 1);
        CHECK_EQ(what, trap.cause, FETCH_ACCESS);
        CHECK_EQ(what, trap.epc, at);
        CHECK_EQ(what, trap.tval, at);
    }
}

static const unsigned permissions[] = {0, R, R | W, X, R | X, R | W | X};

static void matching(void)
{
    for (unsigned i = 0; i < 6; i++)
        for (unsigned mode = U; mode <= M; mode += mode == S ? 2 : 1) {
            unsigned p = permissions[i], expected = mode == M ? 7 : p;
            enum mode in = (enum mode)mode;

            reset_entries(); /* one word */
            set_address(0, (AREA + 64) >> 2);
            csr_write(0x3a0, NA4 | p);
            check_allowed("NA4", in, AREA + 64, expected);
            check_allowed("below NA4", in, AREA + 60, 7);
            check_allowed("above NA4", in, AREA + 68, 7);
            for (uint64_t size = 8; size <= 8192; size *= 4) {
                reset_entries();
                set_address(0, napot(AREA + 8192, size));
                csr_write(0x3a0, NAPOT | p);
                check_allowed("NAPOT, first", in, AREA + 8192, expected);
                check_allowed("NAPOT, last", in, AREA + 8192 + size - 4, expected);
                check_allowed("below NAPOT", in, AREA + 8192 - 4, 7);
                check_allowed("above NAPOT", in, AREA + 8192 + size, 7);
            }
            reset_entries(); /* top of range: [pmpaddr0, pmpaddr1) */
            set_address(0, (AREA + 128) >> 2);
            set_address(1, (AREA + 256) >> 2);
            csr_write(0x3a0, (TOR | p) << 8);
            check_allowed("TOR, first", in, AREA + 128, expected);
            check_allowed("TOR, last", in, AREA + 252, expected);
            check_allowed("below TOR", in, AREA + 124, 7);
            check_allowed("above TOR", in, AREA + 256, 7);
            set_address(0, (AREA + 256) >> 2);
            check_allowed("TOR that is empty", in, AREA + 252, 7);
        }
    /* The lowest entry that matches decides (3.7.1). */
    reset_entries();
    set_address(0, (AREA + 64) >> 2);
    set_address(1, napot(AREA, 4096));
    csr_write(0x3a0, (NA4 | R) | (NAPOT | R | W) << 8);
    check_allowed("entry 0 before 1", S, AREA + 64, R);
    check_allowed("entry 1 beside 0", S, AREA + 68, R | W);
    csr_write(0x3a0, (NA4 | R | W | X) | (NAPOT | 0) << 8);
    check_allowed("entry 0 grants what 1 denies", S, AREA + 64, R | W | X);
    check_allowed("entry 1 denies", S, AREA + 60, 0);

    /* An entry must match all bytes of an access, even if it grants it, even in M-mode (3.7.1). */
    reset_entries();
    set_address(0, (AREA + 64) >> 2);
    csr_write(0x3a0, NA4 | R | W | X);
    for (unsigned mode = U; mode <= M; mode += mode == S ? 2 : 1) {
        probe((enum mode)mode, LD, AREA + 64, 0);
        CHECK_TRAP("match of the first half", LOAD_ACCESS, AREA + 64);
        probe((enum mode)mode, SD, AREA + 64, 0);
        CHECK_TRAP("match of the first half", STORE_ACCESS, AREA + 64);
        probe((enum mode)mode, LD, AREA + 60 - 4, 0);
        CHECK_OK("no match");
    }
    set_address(0, (AREA + 68) >> 2);
    probe(S, LD, AREA + 64, 0);
    CHECK_TRAP("match of the second half", LOAD_ACCESS, AREA + 64);

    /* So must all bytes of a cache block; QEMU 10.0 checks one of them. */
    csr_write(MENVCFG, 0xf0);
    csr_write(SENVCFG, 0xf0);
    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t words[] = {MATCH_cbo_zero, MATCH_cbo_inval, MATCH_cbo_clean,
                                         MATCH_cbo_flush};

        set_address(0, (AREA + 64 + 32) >> 2);
        csr_write(0x3a0, NA4 | R | W | X);
        probe(S, words[i] | 10 << 15, AREA + 64, 0);
        CHECK_TRAP("match of a part of a cache block", STORE_ACCESS, AREA + 64);
        probe(S, words[i] | 10 << 15, AREA + 128, 0);
        CHECK_OK("no match of a cache block");
    }

    /* No entry matches: S and U are denied, M is not. */
    reset_entries();
    set_address(0, napot(FN(0x80000000), 1ULL << 26));
    csr_write(0x3a0, NAPOT | R | W | X);
    csr_write(0x3a2, 0);
    probe(S, LW, 0x10000000, 0);
    CHECK_TRAP("no entry matches, S", LOAD_ACCESS, 0x10000000);
    probe(U, LBU, 0x10000000, 0);
    CHECK_TRAP("no entry matches, U", LOAD_ACCESS, 0x10000000);
    probe(M, LBU, 0x10000005, 0);
    CHECK_OK("no entry matches, M");
    reset_entries();
}

/* MPRV makes M-mode's loads and stores those of MPP, for PMP too (3.1.6.3). */
static void modify_privilege(void)
{
    uint64_t value = 1, mask = MSTATUS_MPRV;

    reset_entries();
    set_address(0, (AREA + 64) >> 2);
    csr_write(0x3a0, NA4);
    csr_clear(MSTATUS, MSTATUS_MPP(M));
    csr_set(MSTATUS, MSTATUS_MPP(S));
    trap_clear();
    __asm__ volatile(".option push\n .option norvc\n csrs mstatus, %1\n lw %0, 0(%2)\n csrc "
                     "mstatus, %1\n .option pop"
                     : "+r"(value)
                     : "r"(mask), "r"(AREA + 64)
                     : "memory");
    CHECK_EQ("load with MPRV", trap.count, 1);
    CHECK_EQ("load with MPRV", trap.cause, LOAD_ACCESS);
    CHECK_EQ("load with MPRV", trap.tval, AREA + 64);
    reset_entries();
}

/* Accesses of the page table walk are S-mode's loads and stores; they fault as the access does
 * (3.7.1, 10.3.2). */
static void page_tables(void)
{
    static const uint32_t words[] = {LW, SW, JALR_A0};
    static const uint64_t causes[] = {LOAD_ACCESS, STORE_ACCESS, FETCH_ACCESS};

    vm_on(8);
    vm_map(1, AREA, PTE_ALL);
    reset_entries();
    set_address(0, napot(FN(leaf), 4096));
    csr_write(0x3a0, NAPOT | W | X); /* reserved combination, or no access: no read in any case */
    csr_write(0x3a0, NAPOT);
    sfence_vma();
    for (unsigned i = 0; i < 3; i++) {
        probe(S, words[i], WINDOW + 0x1000, 0);
        CHECK_EQ("page table that cannot be read", trap.cause, causes[i]);
        CHECK_EQ("page table that cannot be read", trap.tval, WINDOW + 0x1000);
    }
    /* A and D need a write of the table (Svadu). */
    csr_set(MENVCFG, MENVCFG_ADUE);
    csr_write(0x3a0, NAPOT | R);
    vm_map(1, AREA, PTE_ALL & ~PTE_A);
    probe(S, LW, WINDOW + 0x1000, 0);
    CHECK_TRAP("page table that cannot be written", LOAD_ACCESS, WINDOW + 0x1000);
    CHECK_EQ("A stays clear", leaf[1] & PTE_A, 0);
    csr_write(0x3a0, NAPOT | R | W);
    sfence_vma();
    probe(S, LW, WINDOW + 0x1000, 0);
    CHECK_OK("page table that can be written");
    CHECK_EQ("A is set", leaf[1] & PTE_A, PTE_A);
    csr_clear(MENVCFG, MENVCFG_ADUE);
    /* The page itself. */
    reset_entries();
    set_address(0, napot(AREA, 4096));
    csr_write(0x3a0, NAPOT | R);
    vm_map(1, AREA, PTE_ALL);
    probe(S, LW, WINDOW + 0x1000, 0);
    CHECK_OK("page that can be read");
    probe(S, SW, WINDOW + 0x1000, 0);
    CHECK_TRAP("page that cannot be written", STORE_ACCESS, WINDOW + 0x1000);
    vm_on(0);
    reset_entries();
}

/* Locked entries bind M-mode too, and stay until reset (3.7.1). This is the last test of the
 * program. */
static void locks(void)
{
    reset_entries();
    set_address(2, (AREA + 0x1000) >> 2);
    set_address(3, (AREA + 0x2000) >> 2);
    csr_write(0x3a0, (uint64_t)(L | TOR | R) << 24);
    for (unsigned mode = U; mode <= M; mode += mode == S ? 2 : 1) {
        probe((enum mode)mode, LW, AREA + 0x1000, 0);
        CHECK_OK("locked, read-only: load");
        probe((enum mode)mode, SW, AREA + 0x1000, 0);
        CHECK_TRAP("locked, read-only: store", STORE_ACCESS, AREA + 0x1000);
    }
    csr_write(0x3a0, 0);
    CHECK_EQ("a locked configuration stays", csr_read(0x3a0), (uint64_t)(L | TOR | R) << 24);
    set_address(3, 0);
    CHECK_EQ("a locked address stays", csr_read(0x3b3), (AREA + 0x2000) >> 2);
    set_address(2, 0);
    CHECK_EQ("the address below a locked TOR stays", csr_read(0x3b2), (AREA + 0x1000) >> 2);
    set_address(4, 0x1234);
    CHECK_EQ("other addresses do not", csr_read(0x3b4), 0x1234);
    csr_write(0x3a0, NA4 | R);
    CHECK_EQ("other configurations do not", csr_read(0x3a0),
             (uint64_t)(L | TOR | R) << 24 | NA4 | R);
}

void test_main(void)
{
    matching();
    modify_privilege();
    page_tables();
    locks();
}
