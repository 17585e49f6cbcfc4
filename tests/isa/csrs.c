/* CSRs: who may read and write which, and what WARL fields take (Privileged ISA 20240411, chapters
 * 2, 3 and 10). */
#include "isa.h"

static const uint16_t implemented[] = {
#define CSR(number, name) number,
#include "riscv/csr.def"
};

/* Of AIA, which a machine with a PLIC lacks (aia.c looks at these). */
static const uint16_t aia[] = {0x150, 0x151, 0x15c, 0x308, 0x309,
                               0x350, 0x351, 0x35c, 0xdb0, 0xfb0};

static bool is_implemented(unsigned csr)
{
    for (unsigned i = 0; i < sizeof aia / sizeof aia[0]; i++)
        if (aia[i] == csr)
            return false;
    /* Of H: level 2, and two of M-mode (hypervisor.c looks at these); of V (vector.c), Zkr
     * (seed.c). */
    if ((csr >> 8 & 3) == 2 || csr == MTINST || csr == MTVAL2 || (csr >= 0x008 && csr <= 0x015) ||
        (csr >= 0xc20 && csr <= 0xc22))
        return false;
    for (unsigned i = 0; i < sizeof implemented / sizeof implemented[0]; i++)
        if (implemented[i] == csr)
            return csr != 0xda0 && csr != 0x747; /* scountovf, mseccfg: this model lacks them */
    return false;
}

/* Bits 9:8 are the lowest mode that may access it, bits 11:10 = 3 makes it read-only (2.1). */
static void access_rules(void)
{
    static const enum mode modes[] = {U, S, M};

    csr_set(MENVCFG, MENVCFG_STCE); /* stimecmp in S-mode ("Sstc") */
    csr_write(MCOUNTEREN, ~0ULL);
    csr_write(SCOUNTEREN, ~0ULL);
    csr_write(MSTATEEN0, ~0ULL);
    csr_write(SSTATEEN0, ~0ULL);
    csr_write(MSTATEEN0 + 1, 1ULL << 63);
    csr_write(MSTATEEN0 + 2, 1ULL << 63);
    csr_write(MSTATEEN0 + 3, 1ULL << 63);
    for (unsigned m = 0; m < 3; m++)
        for (unsigned csr = 0; csr < 4096; csr++) {
            bool readable = is_implemented(csr) && modes[m] >= (csr >> 8 & 3);
            bool good;

            /*
             * QEMU makes counters that its PMU lacks illegal; ours are read-only zero (3.1.10).
             * With AIA, which it needs for the order of interrupts, it has CSRs more.
             */
            probe(modes[m], CSRR(csr), 0, 0);
            good = readable ? CHECK_OK("read")
                            : CHECK_ILLEGAL("read of a CSR that is not there", CSRR(csr));
            if (!readable) { /* nor may it be written, also without a read */
                probe(modes[m], ENC_I(MATCH_csrrw, 0, 10, csr), 0, 0);
                good &= CHECK_ILLEGAL("write of a CSR that is not there",
                                      ENC_I(MATCH_csrrw, 0, 10, csr));
            }
            if (readable && csr >> 10 == 3) { /* csrrs and csrrc write unless rs1 is x0 */
                probe(modes[m], CSRRW(csr), 0, 0);
                good &= CHECK_ILLEGAL("csrrw of a read-only CSR", CSRRW(csr));
                probe(modes[m], CSRRS(csr), 0, 0);
                good &= CHECK_ILLEGAL("csrrs of a read-only CSR", CSRRS(csr));
                probe(modes[m], CSRRC(csr), 0, 0);
                good &= CHECK_ILLEGAL("csrrc of a read-only CSR", CSRRC(csr));
                probe(modes[m], ENC_I(MATCH_csrrsi, 10, 0, csr), 0, 0);
                good &= CHECK_OK("csrrsi 0 of a read-only CSR");
                probe(modes[m], ENC_I(MATCH_csrrci, 10, 1, csr), 0, 0);
                good &=
                    CHECK_ILLEGAL("csrrci 1 of a read-only CSR", ENC_I(MATCH_csrrci, 10, 1, csr));
            }
            if (!good) {
                print("    csr ");
                print_hex(csr);
                print("\n");
            }
        }
    csr_clear(MENVCFG, MENVCFG_STCE);
    probe(S, CSRR(STIMECMP), 0, 0);
    CHECK_ILLEGAL("stimecmp in S without STCE", CSRR(STIMECMP));
    probe(M, CSRR(STIMECMP), 0, 0);
    CHECK_OK("stimecmp in M without STCE");
    csr_set(MENVCFG, MENVCFG_STCE);
    csr_clear(MCOUNTEREN, 2);
    probe(S, CSRR(STIMECMP), 0, 0);
    CHECK_ILLEGAL("stimecmp in S without mcounteren.TM", CSRR(STIMECMP));
    csr_set(MCOUNTEREN, 2);
    csr_clear(MENVCFG, MENVCFG_STCE);
}

/* mcounteren and scounteren (3.1.11, 10.1.5). */
static void counter_enables(void)
{
    for (unsigned bit = 0; bit < 3; bit++) {
        csr_write(MCOUNTEREN, ~(1ULL << bit));
        csr_write(SCOUNTEREN, ~0ULL);
        probe(S, CSRR(CYCLE + bit), 0, 0);
        CHECK_ILLEGAL("counter in S, mcounteren off", CSRR(CYCLE + bit));
        probe(U, CSRR(CYCLE + bit), 0, 0);
        CHECK_ILLEGAL("counter in U, mcounteren off", CSRR(CYCLE + bit));
        probe(M, CSRR(CYCLE + bit), 0, 0);
        CHECK_OK("counter in M, mcounteren off");
        csr_write(MCOUNTEREN, 1ULL << bit);
        csr_write(SCOUNTEREN, ~(1ULL << bit));
        probe(S, CSRR(CYCLE + bit), 0, 0);
        CHECK_OK("counter in S, scounteren off");
        probe(U, CSRR(CYCLE + bit), 0, 0);
        CHECK_ILLEGAL("counter in U, scounteren off", CSRR(CYCLE + bit));
        csr_write(SCOUNTEREN, 1ULL << bit);
        probe(U, CSRR(CYCLE + bit), 0, 0);
        CHECK_OK("counter in U, both on");
    }
    csr_write(MCOUNTEREN, 7);
    csr_write(SCOUNTEREN, 7);
}

/* mstateen0.ENVCFG guards senvcfg, SE0 guards sstateen0 (Privileged ISA, "Smstateen"). */
static void state_enables(void)
{
    csr_write(MSTATEEN0, 0);
    probe(S, CSRR(SENVCFG), 0, 0);
    CHECK_ILLEGAL("senvcfg in S, mstateen0.ENVCFG off", CSRR(SENVCFG));
    probe(S, CSRR(SSTATEEN0), 0, 0);
    CHECK_ILLEGAL("sstateen0 in S, mstateen0.SE0 off", CSRR(SSTATEEN0));
    probe(M, CSRR(SENVCFG), 0, 0);
    CHECK_OK("senvcfg in M");
    csr_write(MSTATEEN0, 1ULL << 62);
    probe(S, CSRR(SENVCFG), 0, 0);
    CHECK_OK("senvcfg in S, mstateen0.ENVCFG on");
    csr_write(MSTATEEN0, 1ULL << 63);
    probe(S, CSRR(SSTATEEN0), 0, 0);
    CHECK_OK("sstateen0 in S, mstateen0.SE0 on");
    csr_write(MSTATEEN0, ~0ULL);
}

/* csrrw, csrrs, csrrc and their immediate forms (Unprivileged ISA, Zicsr). */
static void operations(void)
{
    /* sepc holds what is written, bit 0 apart, and no handler of ours runs in S-mode here. */
    csr_write(SEPC, 0xf0);
    CHECK_EQ("csrrw", probe(M, CSRRW(SEPC), 0x1234, 0), 0xf0);
    CHECK_EQ("csrrs", probe(M, CSRRS(SEPC), 0x0f0, 0), 0x1234);
    CHECK_EQ("csrrs", csr_read(SEPC), 0x12f4);
    CHECK_EQ("csrrc", probe(M, CSRRC(SEPC), 0x030, 0), 0x12f4);
    CHECK_EQ("csrrc", csr_read(SEPC), 0x12c4);
    CHECK_EQ("csrrwi", probe(M, ENC_I(MATCH_csrrwi, 10, 30, SEPC), 0, 0), 0x12c4);
    CHECK_EQ("csrrwi", csr_read(SEPC), 30);
    CHECK_EQ("csrrsi", probe(M, ENC_I(MATCH_csrrsi, 10, 1 << 3 | 1 << 2, SEPC), 0, 0), 30);
    CHECK_EQ("csrrci", probe(M, ENC_I(MATCH_csrrci, 10, 1 << 3, SEPC), 0, 0), 30);
    CHECK_EQ("csrrci", csr_read(SEPC), 22);
    CHECK_EQ("csrrw with rd x0", probe(M, ENC_I(MATCH_csrrw, 0, 10, SEPC), 0x7777776, 0),
             0x7777776);
    CHECK_EQ("csrrw with rd x0", csr_read(SEPC), 0x7777776);
    /* Bit 0 of xepc is always zero (3.1.14); QEMU 10.0 keeps it. */
    csr_write(SEPC, ~0ULL);
    CHECK_EQ("sepc[0]", csr_read(SEPC), ~1ULL);
    csr_write(MEPC, ~0ULL);
    CHECK_EQ("mepc[0]", csr_read(MEPC), ~1ULL);
}

/* What is left after all zeros and all ones were written. */
static void check_warl(const char *what, uint64_t zeros, uint64_t ones, uint64_t want_zeros,
                       uint64_t want_ones)
{
    CHECK_EQ(what, zeros, want_zeros);
    CHECK_EQ(what, ones, want_ones);
}

#define WARL(csr, mask, want_zeros, want_ones)                                                     \
    ({                                                                                             \
        uint64_t before_ = csr_read(csr), zeros_, ones_;                                           \
        csr_write(csr, 0);                                                                         \
        zeros_ = csr_read(csr) & (mask);                                                           \
        csr_write(csr, ~0ULL);                                                                     \
        ones_ = csr_read(csr) & (mask);                                                            \
        csr_write(csr, before_);                                                                   \
        check_warl(#csr, zeros_, ones_, want_zeros, want_ones);                                    \
    })

/* CBIE = 2 is reserved: the other fields are written, and CBIE holds a legal value ("CMO"). */
#define CBIE(csr)                                                                                  \
    for (unsigned old_ = 0; old_ < 4; old_ += old_ == 1 ? 2 : 1) {                                 \
        csr_write(csr, old_ << 4);                                                                 \
        CHECK_EQ(#csr ".CBIE", csr_read(csr), old_ << 4);                                          \
        csr_write(csr, 0x20 | 0xc0);                                                               \
        CHECK_EQ(#csr ".CBIE: reserved", (csr_read(csr) & 0x30) == 0x20, 0);                       \
        CHECK_EQ(#csr ".CBIE reserved, the rest", csr_read(csr) & ~0x30ULL, 0xc0);                 \
        csr_write(csr, 0);                                                                         \
    }

static void fields(void)
{
    uint64_t status;

    WARL(FFLAGS, ~0ULL, 0, 0x1f);
    WARL(FRM, ~0ULL, 0, 7);
    WARL(FCSR, ~0ULL, 0, 0xff);
    WARL(SSCRATCH, ~0ULL, 0, ~0ULL);
    WARL(STVAL, ~0ULL, 0, ~0ULL);
    WARL(MTVAL, ~0ULL, 0, ~0ULL);
    WARL(MSCRATCH, ~0ULL, 0, ~0ULL);
    WARL(STIMECMP, ~0ULL, 0, ~0ULL);
    WARL(MIE, 0xfff, 0, 0xaaa);
    WARL(MIDELEG, 0xfff, 0, 0x222);
    WARL(SCOUNTEREN, 7, 0, 7);
    WARL(MCOUNTEREN, 7, 0, 7);
    WARL(MCOUNTINHIBIT, 7, 0, 5); /* bit 1 is read-only 0 (3.1.12) */
    WARL(MENVCFG, 7ULL << 61 | 0xfff, 0, 7ULL << 61 | 0xf1);
    WARL(SENVCFG, 0xfff, 0, 0xf1);
    CBIE(MENVCFG);
    CBIE(SENVCFG);

    /* sie and sip show what is delegated alone (10.1.3). */
    csr_write(MIDELEG, 0);
    csr_write(MIE, 0xaaa);
    CHECK_EQ("sie, nothing delegated", csr_read(SIE), 0);
    csr_write(SIE, 0);
    CHECK_EQ("sie writes nothing that is not delegated", csr_read(MIE) & 0xaaa, 0xaaa);
    csr_write(MIDELEG, 0x222);
    CHECK_EQ("sie, all delegated", csr_read(SIE), 0x222);
    csr_write(SIE, 0);
    CHECK_EQ("sie writes mie", csr_read(MIE) & 0xaaa, 0x888);
    csr_write(MIE, 0);
    csr_write(MIP, 0x222);
    CHECK_EQ("mip: software bits of M-mode", csr_read(MIP) & 0x222, 0x222);
    CHECK_EQ("sip", csr_read(SIP), 0x222);
    csr_write(SIP, 0);
    CHECK_EQ("sip: SSIP alone is writable", csr_read(MIP) & 0x222, 0x220);
    csr_write(MIP, 0);
    CHECK_EQ("mip: cleared", csr_read(MIP) & 0x222, 0);
    csr_write(MIP, 0x888);
    CHECK_EQ("mip: MSIP, MTIP and MEIP are read-only", csr_read(MIP) & 0x888, 0);
    csr_write(MIDELEG, 0);

    /* mtvec and stvec: direct and vectored; bit 1 is reserved (3.1.7). */
    csr_write(STVEC, 0x80000001);
    CHECK_EQ("stvec, vectored", csr_read(STVEC), 0x80000001);
    csr_write(STVEC, 0x80001000);
    CHECK_EQ("stvec, direct", csr_read(STVEC), 0x80001000);
    CHECK_EQ("medeleg: interrupts of M-mode cannot be delegated", csr_read(MIDELEG) & 0x888, 0);

    /* mstatus: UXL and SXL are 64 bits; XS, VS (no V) and UBE, SBE, MBE read 0; WPRI bits read 0.
     */
    status = csr_read(MSTATUS);
    csr_write(MSTATUS, ~(MSTATUS_MPRV | MSTATUS_MPP(M)) | MSTATUS_MPP(M));
    CHECK_EQ("mstatus, ones", csr_read(MSTATUS) & ~MSTATUS_MPP(M),
             1ULL << 63 | 0xaULL << 32 | MSTATUS_TSR | MSTATUS_TW | MSTATUS_TVM | MSTATUS_MXR |
                 MSTATUS_SUM | MSTATUS_FS | MSTATUS_SPP | MSTATUS_MPIE | MSTATUS_SPIE |
                 MSTATUS_MIE | MSTATUS_SIE);
    csr_write(MSTATUS, MSTATUS_MPP(M));
    CHECK_EQ("mstatus, zeros", csr_read(MSTATUS) & ~MSTATUS_MPP(M), 0xaULL << 32);
    csr_write(MSTATUS, status);
    CHECK_EQ("sstatus shows its fields alone",
             csr_read(SSTATUS) & (MSTATUS_MPP(M) | MSTATUS_MPIE | MSTATUS_TVM), 0);
    for (unsigned mpp = 0; mpp < 4; mpp++) {
        csr_clear(MSTATUS, MSTATUS_MPP(M));
        csr_set(MSTATUS, MSTATUS_MPP(mpp));
        if (mpp != 2)
            CHECK_EQ("MPP", csr_read(MSTATUS) & MSTATUS_MPP(M), MSTATUS_MPP(mpp));
        else /* no such mode: any legal value (3.1.6.1) */
            CHECK_EQ("MPP 2", (csr_read(MSTATUS) & MSTATUS_MPP(M)) == MSTATUS_MPP(2), 0);
    }
    CHECK_EQ("misa", csr_read(MISA) & (3ULL << 62 | 0x14112d),
             2ULL << 62 | 0x14112d); /* acdfimsu */
    CHECK_EQ("mhartid", csr_read(MHARTID), 0);

    /* pmpaddr holds bits 55:2 of an address (3.7.1). */
    csr_write(PMPADDR0 + 8, ~0ULL);
    CHECK_EQ("pmpaddr", csr_read(PMPADDR0 + 8), (1ULL << 54) - 1);
    csr_write(PMPADDR0 + 8, 0);
}

/* Legal values of xcause are kept (3.1.15, WLRL). */
static void causes(void)
{
    static const uint64_t legal[] = {0, 1, 2,  3,  4,  5,       6,       7,
                                     8, 9, 12, 13, 15, IRQ | 1, IRQ | 5, IRQ | 9};

    for (unsigned i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        csr_write(SCAUSE, legal[i]);
        CHECK_EQ("scause", csr_read(SCAUSE), legal[i]);
        csr_write(MCAUSE, legal[i]);
        CHECK_EQ("mcause", csr_read(MCAUSE), legal[i]);
    }
    csr_write(MCAUSE, ECALL_M);
    CHECK_EQ("mcause", csr_read(MCAUSE), ECALL_M);
    for (unsigned i = 3; i <= 11; i += 4) {
        csr_write(MCAUSE, IRQ | i);
        CHECK_EQ("mcause", csr_read(MCAUSE), IRQ | i);
    }
}

/* cbo.* under menvcfg and senvcfg (Privileged ISA, 3.1.18, 10.1.10; Unprivileged ISA, CMO). */
static void cache_block_enables(void)
{
    static const struct {
        uint32_t word;
        unsigned shift;
        uint64_t mask; /* of the field */
    } kinds[] = {
        {MATCH_cbo_inval, 4, 3},
        {MATCH_cbo_clean, 6, 1},
        {MATCH_cbo_flush, 6, 1},
        {MATCH_cbo_zero, 7, 1},
    };

    csr_write(MSTATEEN0, ~0ULL);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t word = kinds[i].word | 10 << 15;
        uint64_t on = kinds[i].mask << kinds[i].shift;

        for (unsigned set = 0; set < 4; set++) {
            csr_write(MENVCFG, set & 1 ? on : 0);
            csr_write(SENVCFG, set & 2 ? on : 0);
            probe(M, word, FN(pages), 0);
            CHECK_OK("cbo in M");
            probe(S, word, FN(pages), 0);
            if (set & 1)
                CHECK_OK("cbo in S, enabled");
            else
                CHECK_ILLEGAL("cbo in S, not enabled", word);
            probe(U, word, FN(pages), 0);
            if (set == 3)
                CHECK_OK("cbo in U, enabled");
            else
                CHECK_ILLEGAL("cbo in U, not enabled", word);
        }
    }
    csr_write(MENVCFG, 0);
    csr_write(SENVCFG, 0);
}

void test_main(void)
{
    *CLINT_MTIMECMP = ~0ULL;
    access_rules();
    counter_enables();
    state_enables();
    operations();
    fields();
    causes();
    cache_block_enables();
}
