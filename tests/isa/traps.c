/* Every exception cause, with exact xepc, xcause and xtval (Privileged ISA
 * 20240411, 3.1.15, 3.1.16, 10.1.8). */
#include "isa.h"

static const enum mode modes[] = {U, S, M};

/* Jumps to `target` in `mode`: the trap's epc is the target itself, even. */
static void check_fetch(const char *what, enum mode mode, uint64_t target, uint64_t cause)
{
    probe(mode, JALR_A0, target, 0);
    CHECK_EQ(what, trap.count, 1);
    CHECK_EQ(what, trap.cause, cause);
    CHECK_EQ(what, trap.epc, target & ~1ULL); /* JALR clears bit 0 (Unprivileged ISA, 2.5.1) */
    CHECK_EQ(what, trap.tval, target & ~1ULL);
}

static void environment_calls(void)
{
    probe(U, ECALL, 0, 0);
    CHECK_TRAP("ecall from U", ECALL_U, 0);
    probe(S, ECALL, 0, 0);
    CHECK_TRAP("ecall from S", ECALL_S, 0);
    probe(M, ECALL, 0, 0);
    CHECK_TRAP("ecall from M", ECALL_M, 0);
    for (unsigned i = 0; i < 3; i++) {
        /* tval: 0 or the address of the instruction (3.1.16) */
        probe(modes[i], EBREAK, 0, 0);
        CHECK_TRAP("ebreak", BREAKPOINT, trap.tval == 0 ? 0 : probe_pc);
        probe(modes[i], C_EBREAK, 0, 0);
        CHECK_TRAP("c.ebreak", BREAKPOINT, trap.tval == 0 ? 0 : probe_pc);
    }
}

static void illegal_words(void)
{
    static const uint32_t words[] = {
        0xffffffff, /* longer than 32 bits, not implemented */
        0x0000007f, /* opcode of longer instructions */
        0x0000700b, /* custom-0 */
        0x00007003, /* LOAD, width 7 */
        0x00004023, /* STORE, width 4 */
        0x0000002b, /* custom-1 */
        0x02001013, /* slli with bit 25 of a longer XLEN: legal; its neighbour 26 is not */
        0x04001013,
        0x0200101b,            /* slliw with shamt[5] */
        0x00002063,            /* BRANCH, funct3 2 */
        0x00001067,            /* JALR, funct3 1 */
        0x0000400f,            /* MISC-MEM, funct3 4 */
        0x04000033,            /* OP, funct7 2 */
        0xf000202f,            /* AMO, funct5 0x1e */
        0x1010202f,            /* lr.w with rs2 */
        0x0000102f,            /* AMO, width 1 */
        0x0600007b,            /* custom-3 */
        0x10200173,            /* sret with rd */
        0x30200173,            /* mret with rd */
        0x00004073,            /* SYSTEM, funct3 4, no MOP */
        0x06000053,            /* fadd.q: no Q */
        0x00005053 | 5u << 12, /* fadd.s, rm 5 */
        0x00006053,            /* fadd.s, rm 6 */
        0x2a000053 | 4u << 12, /* fmin.d with funct3 4 */
        0xf0200053 | 1u << 12, /* fclass.s with rs2 */
    };
    /* 16 bits: defined illegal, reserved encodings (Unprivileged ISA, C, table 33 on) */
    static const uint16_t halves[] = {
        0x0000, /* defined illegal instruction */
        0x0008, /* c.addi4spn with immediate 0 */
        0x2001, /* c.addiw with rd 0 */
        0x6101, /* c.addi16sp with immediate 0 */
        0x6501, /* c.lui with immediate 0 */
        0x4002, /* c.lwsp with rd 0 */
        0x6002, /* c.ldsp with rd 0 */
        0x8002, /* c.jr with rs1 0 */
        0x9c79, /* CU, funct 6: reserved */
        0x9c7d, /* CU, funct 7: reserved */
        0x9c00, /* quadrant 0, funct3 4, funct6 0x27: reserved */
    };

    for (unsigned m = 0; m < 3; m++) {
        for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (words[i] == 0x02001013) {
                probe(modes[m], words[i], 0, 0);
                CHECK_OK("slli by 32");
                continue;
            }
            probe(modes[m], words[i], FN(pages), 0);
            if (!CHECK_ILLEGAL("illegal instruction", words[i])) {
                print_hex(words[i]);
                print("\n");
            }
        }
        for (unsigned i = 0; i < sizeof halves / sizeof halves[0]; i++) {
            probe(modes[m], halves[i], FN(pages), 0);
            if (!CHECK_ILLEGAL("illegal compressed instruction", halves[i])) {
                print_hex(halves[i]);
                print("\n");
            }
        }
    }
}

static const uint32_t ret_code = RET;

/* Instructions that depend on the mode and on mstatus (3.1.6, 3.3, 10.2). */
static void privileged_instructions(void)
{
    static const uint32_t s_only[] = {SRET, SFENCE_VMA, MATCH_sinval_vma, MATCH_sfence_w_inval,
                                      MATCH_sfence_inval_ir};

    probe(S, MRET, 0, 0);
    CHECK_ILLEGAL("mret in S", MRET);
    probe(U, MRET, 0, 0);
    CHECK_ILLEGAL("mret in U", MRET);
    for (unsigned i = 0; i < sizeof s_only / sizeof s_only[0]; i++) {
        /*
         * Svinval: "An attempt to execute SINVAL.VMA, SFENCE.W.INVAL or SFENCE.INVAL.IR in U-mode
         * raises an illegal-instruction exception" (Privileged ISA, "Svinval"). QEMU 10.0 lets the
         * last two pass.
         */
        probe(U, s_only[i], 0, 0);
        CHECK_ILLEGAL("supervisor instruction in U", s_only[i]);
    }
    probe(S, SFENCE_VMA, 0, 0);
    CHECK_OK("sfence.vma in S");
    csr_set(MSTATUS, MSTATUS_TVM);
    probe(S, SFENCE_VMA, 0, 0);
    CHECK_ILLEGAL("sfence.vma in S, TVM", SFENCE_VMA);
    probe(S, MATCH_sinval_vma, 0, 0);
    CHECK_ILLEGAL("sinval.vma in S, TVM", MATCH_sinval_vma);
    probe(S, MATCH_sfence_w_inval, 0, 0);
    CHECK_OK("sfence.w.inval in S, TVM");
    probe(S, CSRR(SATP), 0, 0);
    CHECK_ILLEGAL("satp in S, TVM", CSRR(SATP));
    probe(M, SFENCE_VMA, 0, 0);
    CHECK_OK("sfence.vma in M, TVM");
    probe(M, CSRR(SATP), 0, 0);
    CHECK_OK("satp in M, TVM");
    csr_clear(MSTATUS, MSTATUS_TVM);

    csr_set(MSTATUS, MSTATUS_TSR);
    probe(S, SRET, 0, 0);
    CHECK_ILLEGAL("sret in S, TSR", SRET);
    csr_clear(MSTATUS, MSTATUS_TSR);

    csr_set(MSTATUS, MSTATUS_TW);
    probe(S, WFI, 0, 0);
    CHECK_ILLEGAL("wfi in S, TW", WFI);
    probe(U, WFI, 0, 0);
    CHECK_ILLEGAL("wfi in U, TW", WFI);
    csr_clear(MSTATUS, MSTATUS_TW);

    /* In the last word of a page; QEMU 10.0 reports an epc one page too high. */
    csr_set(MSTATUS, MSTATUS_TW);
    probe_code[1023] = WFI;
    fence_i();
    trap_clear();
    trap_resume = FN(&ret_code);
    run_in(S, FN(&probe_code[1023]), 0, 0);
    trap_resume = 0;
    CHECK_EQ("wfi at the end of a page: cause", trap.cause, ILLEGAL);
    CHECK_EQ("wfi at the end of a page: epc", trap.epc, FN(&probe_code[1023]));
    csr_clear(MSTATUS, MSTATUS_TW);

    /* A pending interrupt that is enabled in mie completes WFI, whatever mstatus.MIE says (3.3.3).
     */
    csr_set(MIE, 2);
    csr_set(MIP, 2);
    probe(M, WFI, 0, 0);
    CHECK_OK("wfi with a pending interrupt");
    csr_clear(MIE, 2);
    csr_clear(MIP, 2);
}

/* mstatus.FS off, and rounding modes (3.1.6.6; Unprivileged ISA, F, 21.2). */
static void floating_point(void)
{
    static const uint32_t words[] = {
        0x00b50553,               /* fadd.s */
        MATCH_fld | 10 << 15,     /* fld */
        MATCH_fsd | 10 << 15,     /* fsd */
        MATCH_fmv_x_w | 10 << 7,  /* fmv.x.w */
        MATCH_fsgnj_d,            /* fsgnj.d */
        MATCH_fclass_d | 10 << 7, /* fclass.d */
        0x2188,                   /* c.fld fa0, 0(a1) */
        0xa188,                   /* c.fsd fa0, 0(a1) */
    };

    for (unsigned m = 0; m < 3; m++) {
        csr_clear(MSTATUS, MSTATUS_FS);
        for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
            probe(modes[m], words[i], FN(pages), FN(pages));
            CHECK_ILLEGAL("floating point, FS off", words[i]);
        }
        for (unsigned csr = FFLAGS; csr <= FCSR; csr++) {
            probe(modes[m], CSRR(csr), 0, 0);
            CHECK_ILLEGAL("FP CSR, FS off", CSRR(csr));
        }
        csr_set(MSTATUS, MSTATUS_FS);
        for (unsigned frm = 0; frm < 8; frm++) {
            csr_write(FRM, frm);
            probe(modes[m], 0x00b57553, 0, 0); /* fadd.s, dynamic */
            if (frm <= 4)
                CHECK_OK("dynamic rounding");
            else
                CHECK_ILLEGAL("dynamic rounding, frm reserved", 0x00b57553);
            probe(modes[m], 0x00b50553, 0, 0); /* fadd.s, rne: frm does not matter */
            CHECK_OK("static rounding");
        }
        csr_write(FRM, 0);
    }
    /* Executing an FP instruction makes FS dirty, and SD follows (3.1.6.6). */
    csr_clear(MSTATUS, MSTATUS_FS);
    csr_set(MSTATUS, 1ULL << 13);
    CHECK_EQ("SD with FS initial", csr_read(MSTATUS) >> 63, 0);
    probe(M, MATCH_fsgnj_d, 0, 0);
    CHECK_EQ("FS after an FP write", csr_read(MSTATUS) & MSTATUS_FS, MSTATUS_FS);
    CHECK_EQ("SD with FS dirty", csr_read(MSTATUS) >> 63, 1);
}

static void access_faults(void)
{
    static const uint32_t loads[] = {LB,
                                     LH,
                                     LW,
                                     LD,
                                     LBU,
                                     MATCH_lhu | 10 << 7 | 10 << 15,
                                     MATCH_lwu | 10 << 7 | 10 << 15,
                                     MATCH_fld | 10 << 15,
                                     MATCH_flw | 10 << 15,
                                     MATCH_flh | 10 << 15,
                                     0x4108 /* c.lw a0, 0(a0) */,
                                     0x6108 /* c.ld */,
                                     0x8108 /* c.lbu */};
    static const uint32_t stores[] = {
        SB, SH, SW, SD, MATCH_fsd | 10 << 15, MATCH_fsw | 10 << 15, MATCH_fsh | 10 << 15,
        0xc10c /* c.sw a1, 0(a0) */, 0xe10c /* c.sd */, AMOADD_W, AMOADD_D,
        MATCH_amocas_w | 10 << 7 | 10 << 15, MATCH_amocas_d | 10 << 7 | 10 << 15,
        MATCH_amocas_q | 10 << 7 | 10 << 15, MATCH_cbo_zero | 10 << 15,
        /* QEMU 10.0 lets these three pass */
        MATCH_cbo_inval | 10 << 15, MATCH_cbo_clean | 10 << 15, MATCH_cbo_flush | 10 << 15};

    csr_write(MENVCFG, csr_read(MENVCFG) | 0xf0);
    csr_write(SENVCFG, 0xf0);
    for (unsigned m = 0; m < 3; m++) {
        for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++) {
            probe(modes[m], loads[i], HOLE, 0);
            CHECK_TRAP("load where nothing is", LOAD_ACCESS, HOLE);
        }
        for (unsigned i = 0; i < sizeof stores / sizeof stores[0]; i++) {
            probe(modes[m], stores[i], HOLE, 0);
            CHECK_TRAP("store or AMO where nothing is", STORE_ACCESS, HOLE);
        }
        probe(modes[m], LR_W, HOLE, 0);
        CHECK_TRAP("lr.w where nothing is", LOAD_ACCESS, HOLE);
        probe(modes[m], LR_D, HOLE, 0);
        CHECK_TRAP("lr.d where nothing is", LOAD_ACCESS, HOLE);
        check_fetch("fetch where nothing is", modes[m], HOLE, FETCH_ACCESS);
        check_fetch("fetch where nothing is, unaligned", modes[m], HOLE + 6, FETCH_ACCESS);
        /* What a program jumps to that has lost its way. */
        for (uint64_t target = 0; target < 8; target++) {
            check_fetch("fetch at the first addresses", modes[m], target, FETCH_ACCESS);
            check_fetch("fetch at the last addresses", modes[m], ~target & ~1ULL, FETCH_ACCESS);
        }
    }
    /* The part of a misaligned access that faults gives xtval (3.1.16). RAM ends at 0x84000000. */
    probe(M, LD, 0x84000000 - 4, 0);
    CHECK_TRAP("load across the end of RAM", LOAD_ACCESS, 0x84000000);
    probe(M, SD, 0x84000000 - 4, 0);
    CHECK_TRAP("store across the end of RAM", STORE_ACCESS, 0x84000000);
    probe(M, LD, 0x84000000 - 8, 0);
    CHECK_OK("the last word of RAM");
    probe(M, LD, 0xfffffffffffffffc, 0);
    CHECK_EQ("load that wraps", trap.count, 1);
    CHECK_EQ("load that wraps", trap.cause, LOAD_ACCESS);
}

/* Misaligned LR and AMO: misaligned or access fault (Unprivileged ISA, 13.2, 13.4). */
static void misaligned_atomics(void)
{
    static const uint32_t amos[] = {AMOADD_W,
                                    AMOADD_D,
                                    MATCH_amoswap_w | 10 << 7 | 10 << 15,
                                    MATCH_amocas_w | 10 << 7 | 10 << 15,
                                    MATCH_amocas_d | 10 << 7 | 10 << 15,
                                    MATCH_amocas_q | 10 << 7 | 10 << 15};
    uint64_t at = FN(pages);

    for (unsigned m = 0; m < 3; m++) {
        for (unsigned i = 0; i < sizeof amos / sizeof amos[0]; i++)
            for (unsigned off = 1; off < 4; off++) {
                probe(modes[m], amos[i], at + off, 0);
                CHECK_TRAP("misaligned AMO",
                           trap.cause == STORE_ACCESS ? STORE_ACCESS : STORE_MISALIGNED, at + off);
            }
        probe(modes[m], MATCH_amocas_q | 10 << 7 | 10 << 15, at + 8, 0);
        CHECK_TRAP("amocas.q at 8", trap.cause == STORE_ACCESS ? STORE_ACCESS : STORE_MISALIGNED,
                   at + 8);
        probe(modes[m], LR_W, at + 2, 0);
        CHECK_TRAP("misaligned lr.w", trap.cause == LOAD_ACCESS ? LOAD_ACCESS : LOAD_MISALIGNED,
                   at + 2);
        probe(modes[m], LR_D, at + 4, 0);
        CHECK_TRAP("misaligned lr.d", trap.cause == LOAD_ACCESS ? LOAD_ACCESS : LOAD_MISALIGNED,
                   at + 4);
    }
}

/* medeleg: traps from S and U go to S-mode, those from M never (3.1.8). */
static void delegation(void)
{
    static const struct {
        uint32_t word;
        uint64_t cause, a;
    } kinds[] = {
        {0x00000000, ILLEGAL, 0},
        {0xffffffff, ILLEGAL, 0},
        {EBREAK, BREAKPOINT, 0},
        {LW, LOAD_ACCESS, HOLE},
        {SW, STORE_ACCESS, HOLE},
        {AMOADD_W, STORE_MISALIGNED, 0x80000001},
        {LR_W, LOAD_MISALIGNED, 0x80000001},
    };

    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        csr_write(MEDELEG, 1ULL << kinds[i].cause);
        for (unsigned m = 0; m < 3; m++) {
            probe(modes[m], kinds[i].word, kinds[i].a, 0);
            CHECK_EQ("delegated: cause", trap.cause, kinds[i].cause);
            CHECK_EQ("delegated: epc", trap.epc, probe_pc);
            CHECK_EQ("delegated: level", trap.level, modes[m] == M ? M : S);
            if (modes[m] != M) {
                CHECK_EQ("delegated: SPP", trap.status >> 8 & 1, modes[m]);
                CHECK_EQ("delegated: SIE", trap.status >> 1 & 1, 0);
            } else {
                CHECK_EQ("M-mode: MPP", trap.status >> 11 & 3, M);
            }
        }
        csr_write(MEDELEG,
                  ~(1ULL << kinds[i].cause) & 0xb1ff & ~(1ULL << BREAKPOINT) & ~(1ULL << ECALL_U));
        probe(U, kinds[i].word, kinds[i].a, 0);
        CHECK_EQ("not delegated: level", trap.level, M);
        CHECK_EQ("not delegated: MPP", trap.status >> 11 & 3, U);
        csr_write(MEDELEG, 0);
    }
    csr_write(MEDELEG, 1ULL << ECALL_U);
    probe(U, ECALL, 0, 0);
    CHECK_TRAP("ecall from U, delegated", ECALL_U, 0);
    CHECK_EQ("ecall from U, delegated", trap.level, S);
    csr_write(MEDELEG, 0);
    /* Bits of exceptions that cannot be delegated: ECALL from M, and reserved causes (3.1.8). */
    csr_write(MEDELEG, ~0ULL);
    CHECK_EQ("medeleg: ecall from M, reserved",
             csr_read(MEDELEG) & (1ULL << 11 | 1ULL << 14 | 1ULL << 10), 0);
    CHECK_EQ("medeleg: what Linux and OpenSBI delegate", csr_read(MEDELEG) & 0xb108, 0xb108);
    csr_write(MEDELEG, 0);
}

void test_main(void)
{
    environment_calls();
    illegal_words();
    privileged_instructions();
    floating_point();
    access_faults();
    misaligned_atomics();
    delegation();
}
