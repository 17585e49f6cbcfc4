/*
 * Sv39, Sv48, Sv57 (Privileged ISA 20240411, 10.3 to 10.6): the walk of 10.3.2 computed here, for
 * each combination of flags, against what accesses do; superpages, Svade and Svadu, Svnapot,
 * Svpbmt, reserved bits.
 */
#include "isa.h"

enum access { READ, WRITE, EXECUTE };
static const uint32_t access_word[] = {LB, SB, JALR_A0};
static const uint64_t page_fault[] = {LOAD_PAGE, STORE_PAGE, FETCH_PAGE};
static const uint64_t access_fault[] = {LOAD_ACCESS, STORE_ACCESS, FETCH_ACCESS};

/* The access at `va` must fault with `cause`, or succeed if it is 0. */
static bool check_access(const char *what, enum mode mode, enum access access, uint64_t va,
                         uint64_t cause)
{
    probe(mode, access_word[access], va, RET & 0xff); /* a store leaves the RET there intact */
    if (cause == 0)
        return CHECK_OK(what);
    return CHECK_EQ(what, trap.count, 1) && CHECK_EQ(what, trap.cause, cause) &&
           CHECK_EQ(what, trap.tval, va) &&
           CHECK_EQ(what, trap.epc, access == EXECUTE ? va : probe_pc);
}

/* 10.3.2, steps 4 to 9, for a leaf at level 0 with these flags. True: page fault. *after: the flags
 * then. */
static bool faults(uint64_t pte, enum mode mode, enum access access, bool sum, bool mxr, bool adue,
                   uint64_t *after)
{
    bool readable = (pte & PTE_R) || (mxr && (pte & PTE_X));

    *after = pte;
    if (!(pte & PTE_V) || (!(pte & PTE_R) && (pte & PTE_W)) || !(pte & (PTE_R | PTE_X)))
        return true;
    if (mode == U ? !(pte & PTE_U) : (pte & PTE_U) && (!sum || access == EXECUTE))
        return true;
    if ((access == READ && !readable) || (access == WRITE && !(pte & PTE_W)) ||
        (access == EXECUTE && !(pte & PTE_X)))
        return true;
    if ((pte & PTE_A) && (access != WRITE || (pte & PTE_D)))
        return false;
    if (!adue)
        return true;
    *after = pte | PTE_A | (access == WRITE ? PTE_D : 0);
    return false;
}

static void all_flags(unsigned satp_mode)
{
    vm_on(satp_mode);
    *(uint32_t *)pages[0] = RET;
    for (unsigned options = 0; options < 8; options++) {
        bool sum = options & 1, mxr = options & 2, adue = options & 4;

        csr_clear(MSTATUS, MSTATUS_SUM | MSTATUS_MXR);
        csr_set(MSTATUS, (sum ? MSTATUS_SUM : 0) | (mxr ? MSTATUS_MXR : 0));
        csr_clear(MENVCFG, MENVCFG_ADUE);
        csr_set(MENVCFG, adue ? MENVCFG_ADUE : 0);
        for (uint64_t flags = 0; flags < 256; flags++)
            for (unsigned mode = U; mode <= S; mode++)
                for (unsigned access = READ; access <= EXECUTE; access++) {
                    uint64_t after;
                    bool fault =
                        faults(flags, (enum mode)mode, (enum access)access, sum, mxr, adue, &after);

                    if (access != EXECUTE)
                        *(uint32_t *)pages[0] = RET;
                    vm_map(1, FN(pages[0]), flags);
                    if (!check_access("flags of a leaf", (enum mode)mode, (enum access)access,
                                      WINDOW + 0x1000, fault ? page_fault[access] : 0) ||
                        !CHECK_EQ("flags afterwards", leaf[1] & 0xff, after)) {
                        print_hex(flags | (uint64_t)options << 8 | (uint64_t)mode << 12 |
                                  (uint64_t)access << 16);
                        print("\n");
                    }
                    *(uint32_t *)pages[0] = RET;
                }
    }
    csr_clear(MSTATUS, MSTATUS_SUM | MSTATUS_MXR);
    csr_clear(MENVCFG, MENVCFG_ADUE);
    vm_on(0);
}

/* Each kind of access faults alike. */
static void all_accesses(const char *what, uint64_t va, const uint64_t cause[3])
{
    for (unsigned access = READ; access <= EXECUTE; access++) {
        sfence_vma();
        check_access(what, S, (enum access)access, va, cause == NULL ? 0 : cause[access]);
    }
    *(uint32_t *)pages[0] = RET;
}

static void upper_bits(unsigned satp_mode)
{
    uint64_t page = PTE_PPN(FN(pages[0])) | PTE_ALL;

    vm_on(satp_mode);
    *(uint32_t *)pages[0] = RET;
    leaf[1] = page;
    all_accesses("plain page", WINDOW + 0x1000, NULL);
    for (unsigned bit = 54; bit <= 60; bit++) {
        leaf[1] = page | 1ULL << bit;
        all_accesses("reserved bit of a leaf", WINDOW + 0x1000, page_fault);
    }
    for (unsigned bit = 8; bit <= 9; bit++) {
        leaf[1] = page | 1ULL << bit;
        all_accesses("RSW is software's", WINDOW + 0x1000, NULL);
    }
    leaf[1] = page | PTE_G;
    all_accesses("global", WINDOW + 0x1000, NULL);

    /* Svpbmt: 3 is reserved; anything but 0 is while menvcfg.PBMTE is 0. */
    for (unsigned pbmte = 0; pbmte < 2; pbmte++) {
        csr_clear(MENVCFG, MENVCFG_PBMTE);
        csr_set(MENVCFG, pbmte ? MENVCFG_PBMTE : 0);
        for (unsigned type = 1; type <= 3; type++) {
            leaf[1] = page | PTE_PBMT(type);
            all_accesses("PBMT", WINDOW + 0x1000, pbmte && type != 3 ? NULL : page_fault);
            leaf[1] = page;
            mega[0] |= PTE_PBMT(type);
            all_accesses("PBMT of an entry that is no leaf", WINDOW + 0x1000, page_fault);
            mega[0] = PTE_PPN(FN(leaf)) | PTE_V;
        }
    }
    csr_clear(MENVCFG, MENVCFG_PBMTE);

    /* Svnapot: 64 KiB alone (PPN[3:0] = 8); its low page number bits come from the address. */
    for (unsigned low = 0; low < 16; low++) {
        for (unsigned i = 0; i < 16; i++)
            leaf[i] = PTE_PPN(0x80000000 + ((uint64_t)low << 12)) | PTE_ALL | PTE_N;
        sfence_vma();
        check_access("NAPOT", S, READ, WINDOW + 0x3000, low == 8 ? 0 : LOAD_PAGE);
    }
    for (unsigned i = 0; i < 16; i++)
        leaf[i] = PTE_PPN(0x80008000) | PTE_ALL | PTE_N;
    sfence_vma();
    for (uint64_t i = 0; i < 16; i++)
        CHECK_EQ("NAPOT reaches its pages", probe(S, LD, WINDOW + 0x1000 * i, 0),
                 *(uint64_t *)(0x80000000 + 0x1000 * i));
    mega[1] = PTE_PPN(0x80000000) | PTE_ALL | PTE_N;
    all_accesses("NAPOT at level 1", WINDOW_MEGA + (FN(pages[0]) & 0x1fffff), page_fault);

    /* Entries that are no leaf: A, D and U are reserved; so are the upper bits, and the last level
     * has none. */
    leaf[1] = page;
    for (unsigned i = 0; i < 4; i++) {
        static const uint64_t bad[] = {PTE_A, PTE_D, PTE_U, PTE_N};

        mega[0] = PTE_PPN(FN(leaf)) | PTE_V | bad[i];
        all_accesses("reserved bit of an entry that is no leaf", WINDOW + 0x1000, page_fault);
    }
    for (unsigned bit = 54; bit <= 60; bit++) {
        mega[0] = PTE_PPN(FN(leaf)) | PTE_V | 1ULL << bit;
        all_accesses("reserved bit of an entry that is no leaf", WINDOW + 0x1000, page_fault);
    }
    mega[0] = PTE_PPN(FN(leaf)) | PTE_V;
    leaf[1] = PTE_PPN(FN(pages[0])) | PTE_V;
    all_accesses("no leaf at level 0", WINDOW + 0x1000, page_fault);
    mega[0] = PTE_PPN(FN(leaf));
    all_accesses("invalid entry at level 1", WINDOW + 0x1000, page_fault);
    /* A table where no memory is: an access fault of the original access (10.3.2, step 2). */
    mega[0] = PTE_PPN(HOLE) | PTE_V;
    all_accesses("table that is not there", WINDOW + 0x1000, access_fault);
    mega[0] = PTE_PPN(FN(leaf)) | PTE_V;
    leaf[1] = PTE_PPN(HOLE) | PTE_ALL;
    all_accesses("page that is not there", WINDOW + 0x1000, access_fault);
    vm_on(0);
}

static void superpages(unsigned satp_mode)
{
    uint64_t at = FN(pages[0]) & 0x1fffff;

    vm_on(satp_mode);
    *(uint32_t *)pages[0] = RET;
    mega[1] = PTE_PPN(0x80000000) | PTE_ALL;
    all_accesses("2 MiB page", WINDOW_MEGA + at, NULL);
    CHECK_EQ("2 MiB page", probe(S, LD, WINDOW_MEGA, 0), *(uint64_t *)0x80000000);
    for (unsigned bit = 12; bit < 21; bit++) {
        mega[1] = PTE_PPN(0x80000000 | 1ULL << bit) | PTE_ALL;
        all_accesses("misaligned 2 MiB page", WINDOW_MEGA + at, page_fault);
    }
    giga[3] = PTE_PPN(0x80000000) | PTE_ALL;
    all_accesses("1 GiB page", WINDOW_GIGA + (FN(pages[0]) & 0x3fffffff), NULL);
    for (unsigned bit = 12; bit < 30; bit++) {
        giga[3] = PTE_PPN(0x80000000 | 1ULL << bit) | PTE_ALL;
        all_accesses("misaligned 1 GiB page", WINDOW_GIGA + (FN(pages[0]) & 0x3fffffff),
                     page_fault);
    }
    giga[3] = 0;
    if (satp_mode >= 9) { /* 512 GiB pages */
        root48[1] = PTE_PPN(0) | PTE_ALL;
        all_accesses("512 GiB page", (1ULL << 39) + FN(pages[0]), NULL);
        for (unsigned bit = 12; bit < 39; bit++) {
            root48[1] = PTE_PPN(1ULL << bit) | PTE_ALL;
            all_accesses("misaligned 512 GiB page", (1ULL << 39) + FN(pages[0]), page_fault);
        }
        root48[1] = 0;
    }
    if (satp_mode == 10) { /* 256 TiB pages */
        root57[1] = PTE_PPN(0) | PTE_ALL;
        all_accesses("256 TiB page", (1ULL << 48) + FN(pages[0]), NULL);
        root57[1] = PTE_PPN(1ULL << 47) | PTE_ALL;
        all_accesses("misaligned 256 TiB page", (1ULL << 48) + FN(pages[0]), page_fault);
        root57[1] = 0;
    }
    vm_on(0);
}

/* Bits above the address space equal its top bit, else a page fault (10.4.1, 10.5.1, 10.6.1). */
static void canonical(unsigned satp_mode)
{
    unsigned bits = 9 * (satp_mode - 8) + 39;
    uint64_t *root = satp_mode == 8 ? giga : satp_mode == 9 ? root48 : root57;
    uint64_t low = FN(pages[0]) & ((1ULL << (bits - 9)) - 1);

    vm_on(satp_mode);
    *(uint32_t *)pages[0] = RET;
    for (unsigned bit = bits; bit < 64; bit++)
        all_accesses("one upper bit set", FN(pages[0]) | 1ULL << bit, page_fault);
    root[511] = satp_mode == 8 ? PTE_PPN(0x80000000) | PTE_ALL : PTE_ALL;
    all_accesses("the highest root entry", ~0ULL << (bits - 9) | low, NULL);
    for (unsigned bit = bits; bit < 64; bit++)
        all_accesses("one upper bit clear", (~0ULL << (bits - 9) | low) & ~(1ULL << bit),
                     page_fault);
    root[511] = 0;
    vm_on(0);
}

static void crossing_pages(void)
{
    vm_on(8);
    for (unsigned i = 0; i < 16; i++)
        leaf[i] = 0;
    vm_map(1, FN(pages[3]), PTE_ALL);
    vm_map(2, FN(pages[1]), PTE_ALL);
    for (unsigned i = 0; i < 4096; i++) {
        pages[3][i] = (uint8_t)(i * 7 + 1);
        pages[1][i] = (uint8_t)(i * 5 + 3);
    }
    for (unsigned off = 4096 - 7; off < 4096; off++) {
        uint64_t want = 0;

        for (unsigned i = 0; i < 8; i++)
            want |= (uint64_t)(off + i < 4096 ? pages[3][off + i] : pages[1][off + i - 4096])
                    << 8 * i;
        CHECK_EQ("load across pages", probe(S, LD, WINDOW + 0x1000 + off, 0), want);
        probe(S, SD, WINDOW + 0x1000 + off, ~want);
        CHECK_EQ("store across pages", probe(S, LD, WINDOW + 0x1000 + off, 0), ~want);
        for (unsigned i = 0; i < 8; i++) {
            uint8_t byte = off + i < 4096 ? pages[3][off + i] : pages[1][off + i - 4096];

            CHECK_EQ("store across pages, in memory", byte, ~want >> 8 * i & 0xff);
        }
    }
    /* The part that faults gives xtval (3.1.16). */
    vm_map(2, FN(pages[1]), PTE_ALL & ~PTE_W);
    probe(S, SD, WINDOW + 0x1ffc, ~*(uint64_t *)&pages[3][4092]);
    CHECK_TRAP("store into a page that cannot be written", STORE_PAGE, WINDOW + 0x2000);
    CHECK_EQ("nothing of it is stored", *(uint32_t *)&pages[3][4092],
             probe(S, LW, WINDOW + 0x1ffc, 0) & 0xffffffff);
    probe(S, LD, WINDOW + 0x1ffc, 0);
    CHECK_OK("load from a page that can be read");
    vm_map(2, FN(pages[1]), 0);
    probe(S, LD, WINDOW + 0x1ffc, 0);
    CHECK_TRAP("load into a page that is not there", LOAD_PAGE, WINDOW + 0x2000);
    probe(S, LD, WINDOW + 0x2ffc, 0);
    CHECK_TRAP("load from a page that is not there", LOAD_PAGE, WINDOW + 0x2ffc);
    /* An instruction of 4 bytes whose second half is on a page that is not there: epc is the
     * instruction. */
    *(uint16_t *)&pages[3][4094] = (uint16_t)NOP;
    fence_i();
    probe(S, JALR_A0, WINDOW + 0x1ffe, 0);
    CHECK_EQ("fetch across pages: cause", trap.cause, FETCH_PAGE);
    CHECK_EQ("fetch across pages: epc", trap.epc, WINDOW + 0x1ffe);
    CHECK_EQ("fetch across pages: tval", trap.tval, WINDOW + 0x2000);
    vm_map(2, FN(pages[1]), PTE_ALL);
    *(uint16_t *)&pages[1][0] = (uint16_t)(NOP >> 16);
    *(uint16_t *)&pages[1][2] = 0x8082; /* c.jr ra */
    fence_i();
    probe(S, JALR_A0, WINDOW + 0x1ffe, 0);
    CHECK_OK("fetch across pages");
    vm_on(0);
}

/*
 * An AMO is one access that needs R and W: what the page table denies goes before what lies behind
 * it (10.3.2), and an entry that denies it is left alone. QEMU 10.0 loads first: it sets A, and
 * reports what the load meets.
 */
static void atomics(void)
{
    vm_on(8);
    csr_set(MENVCFG, MENVCFG_ADUE);
    for (unsigned adue = 0; adue < 2; adue++) {
        csr_clear(MENVCFG, MENVCFG_ADUE);
        csr_set(MENVCFG, adue ? MENVCFG_ADUE : 0);
        vm_map(1, FN(pages[0]), PTE_ALL & ~(PTE_W | PTE_A));
        probe(S, AMOADD_W, WINDOW + 0x1000, 0);
        CHECK_TRAP("AMO on a page that cannot be written", STORE_PAGE, WINDOW + 0x1000);
        CHECK_EQ("AMO on a page that cannot be written: A", leaf[1] & PTE_A, 0);
        vm_map(1, HOLE, PTE_ALL & ~PTE_W);
        probe(S, AMOADD_W, WINDOW + 0x1000, 0);
        CHECK_TRAP("AMO on a page that cannot be written and is not there", STORE_PAGE,
                   WINDOW + 0x1000);
        vm_map(1, FN(pages[0]), PTE_ALL & ~(PTE_R | PTE_W));
        probe(S, AMOADD_W, WINDOW + 0x1000, 0);
        CHECK_TRAP("AMO on a page that cannot be read", STORE_PAGE, WINDOW + 0x1000);
        vm_map(1, FN(pages[0]), PTE_ALL & ~PTE_D);
        probe(S, AMOADD_W, WINDOW + 0x1000, 0);
        if (adue)
            CHECK_OK("AMO on a clean page, Svadu");
        else
            CHECK_TRAP("AMO on a clean page, Svade", STORE_PAGE, WINDOW + 0x1000);
        vm_map(1, FN(pages[0]), PTE_ALL & ~PTE_W);
        probe(S, LR_W, WINDOW + 0x1000, 0);
        CHECK_OK("LR on a page that can be read");
        vm_map(1, FN(pages[0]), 0);
        probe(S, LR_W, WINDOW + 0x1000, 0);
        CHECK_TRAP("LR on a page that is not there", LOAD_PAGE, WINDOW + 0x1000);
    }
    csr_clear(MENVCFG, MENVCFG_ADUE);
    vm_on(0);
}

/* MPRV: loads and stores of M-mode as MPP's, fetches not (3.1.6.3). */
static void mprv(void)
{
    vm_on(8);
    vm_map(1, FN(pages[0]), PTE_ALL);
    vm_map(2, FN(pages[0]), PTE_ALL | PTE_U);
    *(uint64_t *)pages[0] = 0x1122334455667788;
    for (unsigned mode = U; mode <= S; mode++)
        for (unsigned sum = 0; sum < 2; sum++)
            for (unsigned page = 1; page <= 2; page++) {
                /* a0 = address, a1 = mstatus bits: set MPRV | MPP, load, and M-mode's own again */
                static const uint32_t code[] = {
                    0x30059073,     /* csrw mstatus, a1 */
                    0x00053503,     /* ld a0, 0(a0) */
                    0x30061073 | 0, /* csrw mstatus, a2 */
                    RET,
                };
                uint64_t mstatus =
                    csr_read(MSTATUS) & ~(MSTATUS_MPP(M) | MSTATUS_SUM | MSTATUS_MPRV);
                uint64_t value;
                bool fault = (mode == U) != (page == 2) && !(mode == S && page == 2 && sum);
                register uint64_t a0 __asm__("a0") = WINDOW + 0x1000 * page;
                register uint64_t a1 __asm__("a1") =
                    mstatus | MSTATUS_MPRV | MSTATUS_MPP(mode) | (sum ? MSTATUS_SUM : 0);
                register uint64_t a2 __asm__("a2") = mstatus;

                trap_clear();
                for (unsigned i = 0; i < 4; i++)
                    probe_code[i] = code[i];
                fence_i();
                __asm__ volatile("jalr %3"
                                 : "+r"(a0), "+r"(a1), "+r"(a2)
                                 : "r"(probe_code)
                                 : "ra", "memory", "t0");
                value = a0;
                CHECK_EQ("MPRV load", trap.count, fault);
                if (fault) {
                    CHECK_EQ("MPRV load: cause", trap.cause, LOAD_PAGE);
                    CHECK_EQ("MPRV load: tval", trap.tval, WINDOW + 0x1000 * page);
                    CHECK_EQ("MPRV load: trap from M", trap.status & MSTATUS_MPP(M),
                             MSTATUS_MPP(M));
                } else {
                    CHECK_EQ("MPRV load: value", value, 0x1122334455667788);
                }
            }
    vm_on(0);
}

/* A write of satp with a reserved mode has no effect (10.1.11). */
static void satp_modes(void)
{
    for (unsigned mode = 0; mode < 16; mode++) {
        uint64_t before = 8ULL << 60 | FN(giga) >> 12,
                 value = (uint64_t)mode << 60 | FN(root57) >> 12;

        csr_write(SATP, before);
        csr_write(SATP, value);
        if (mode == 0 || (mode >= 8 && mode <= 10))
            CHECK_EQ("satp with a mode we have", csr_read(SATP), value);
        else
            CHECK_EQ("satp with a reserved mode", csr_read(SATP), before);
    }
    csr_write(SATP, 0);
}

/* Two address spaces, and what S-mode sees there: each step writes satp, then sstatus.SUM by a
 * register, and loads from a page of U-mode's or of its own. */
static uint64_t other_giga[512] __attribute__((aligned(4096)));
static uint64_t other_mega[512] __attribute__((aligned(4096)));
static uint64_t other_leaf[512] __attribute__((aligned(4096)));

enum { FIRST = 0, SECOND = 1, SUM = 2 };
static const uint8_t steps[] = {
    FIRST | SUM, FIRST,        FIRST | SUM,  FIRST,        SECOND,       SECOND | SUM,
    SECOND,      SECOND | SUM, FIRST | SUM,  FIRST,        FIRST | SUM,  SECOND | SUM,
    SECOND,      FIRST,        FIRST | SUM,  SECOND | SUM, SECOND,       SECOND | SUM,
    FIRST | SUM, FIRST,        SECOND | SUM, FIRST | SUM,  SECOND | SUM, SECOND,
};
#define STEPS (sizeof steps)
static uint64_t space[2], seen[STEPS];

static void look_around(uint64_t without_sum)
{
    for (unsigned i = 0; i < STEPS; i++) {
        const uint64_t at = WINDOW + (steps[i] & SUM ? 0x1000 : without_sum);
        uint64_t value = 99;

        csr_write(SATP, space[steps[i] & SECOND]);
        if (steps[i] & SUM)
            csr_set(SSTATUS, MSTATUS_SUM);
        else
            csr_clear(SSTATUS, MSTATUS_SUM);
        __asm__ volatile("ld %0, 0(%1)" : "+r"(value) : "r"(at) : "memory");
        seen[i] = value;
    }
}

static void sum_of_address_spaces(uint64_t global)
{
    vm_on(8);
    for (unsigned i = 0; i < 4; i++)
        *(uint64_t *)pages[i] = i + 1;
    giga[2] |= global;
    for (unsigned i = 0; i < 512; i++)
        other_giga[i] = giga[i];
    other_giga[1] = PTE_PPN(FN(other_mega)) | PTE_V;
    other_mega[0] = PTE_PPN(FN(other_leaf)) | PTE_V;
    for (unsigned i = 0; i < 2; i++) {
        leaf[1 + i] = PTE_PPN(FN(pages[i])) | PTE_ALL | (i == 0 ? PTE_U : 0);
        other_leaf[1 + i] = PTE_PPN(FN(pages[2 + i])) | PTE_ALL | (i == 0 ? PTE_U : 0);
    }
    space[0] = 8ULL << 60 | 1ULL << 44 | FN(giga) >> 12;
    space[1] = 8ULL << 60 | 2ULL << 44 | FN(other_giga) >> 12;
    sfence_vma();
    for (unsigned round = 0; round < 6; round++) {
        const uint64_t without_sum = round % 2 ? 0x1000 : 0x2000;
        unsigned faults = 0;

        trap_clear();
        run_in(S, FN(look_around), without_sum, 0);
        for (unsigned i = 0; i < STEPS; i++) {
            const bool fault = !(steps[i] & SUM) && without_sum == 0x1000;

            faults += fault;
            CHECK_EQ("SUM, address space", seen[i],
                     fault ? 99 : 1 + (steps[i] & SECOND) * 2 + !(steps[i] & SUM));
        }
        CHECK_EQ("SUM: faults", trap.count, faults);
        if (faults != 0)
            CHECK_EQ("SUM: cause", trap.cause, LOAD_PAGE);
    }
    csr_clear(MSTATUS, MSTATUS_SUM);
    leaf[1] = leaf[2] = 0;
    vm_on(0);
}

/* Svvptc: a page that becomes valid is soon seen as such, without SFENCE.VMA; here, at once. */
static void valid_without_fence(void)
{
    static const uint64_t at = 0x40003000;
    vm_on(8);
    *(uint32_t *)pages[2] = RET;
    for (unsigned round = 0; round < 40; round++) {
        const enum access access = round % 3;
        leaf[3] = 0;
        sfence_vma();
        check_access("Svvptc: not valid yet", S, access, at, page_fault[access]);
        leaf[3] = PTE_PPN(FN(pages[2])) | PTE_ALL;
        check_access("Svvptc: valid now", S, access, at, 0);
    }
    leaf[3] = 0;
    vm_on(0);
}

void test_main(void)
{
    satp_modes();
    for (unsigned satp_mode = 8; satp_mode <= 10; satp_mode++) {
        if (satp_mode == 8)
            all_flags(satp_mode);
        upper_bits(satp_mode);
        superpages(satp_mode);
        canonical(satp_mode);
    }
    crossing_pages();
    atomics();
    mprv();
    sum_of_address_spaces(0);
    sum_of_address_spaces(PTE_G);
    valid_without_fence();
}
