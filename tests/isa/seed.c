/*
 * The seed CSR of Zkr and who may use it (Unprivileged ISA 20240411, 33.4; mseccfg.USEED and SSEED:
 * Privileged ISA, 3.1.19), on a model with H (run.sh).
 */
#include "isa.h"

enum { SEED = 0x015, MSECCFG = 0x747 };
#define USEED (1ULL << 8)
#define SSEED (1ULL << 9)
#define OPST  (3ULL << 30)
#define ES16  (2ULL << 30)

/* All 16 bits are seen as 0 and as 1, and numbers hardly come again. */
static void numbers(void)
{
    uint64_t ones = 0, zeros = 0, same = 0, last = ~0ULL;

    for (unsigned i = 0; i < 256; i++) {
        uint64_t value;
        do /* it may have to wait */
            value = probe(M, ENC_R(MATCH_csrrw, 10, 0, 0) | (uint32_t)SEED << 20, 0, 0);
        while ((value & OPST) == 1ULL << 30);
        CHECK_EQ("ES16", value & OPST, ES16);
        CHECK_EQ("reserved bits", value >> 24 & 0x3f, 0);
        ones |= value;
        zeros |= ~value;
        same += value == last;
        last = value;
    }
    CHECK_EQ("ones", ones & 0xffff, 0xffff);
    CHECK_EQ("zeros", zeros & 0xffff, 0xffff);
    CHECK_EQ("the same again", same < 4, 1);
}

static void access_rules(void)
{
    static const struct {
        enum mode mode;
        uint64_t allowed; /* by that bit; 0: always */
    } cases[] = {{M, 0}, {S, SSEED}, {U, USEED}, {VS, 0}, {VU, 0}};
    static const uint32_t writes[] = {CSRRW(SEED),
                                      CSRRS(SEED),
                                      CSRRC(SEED),
                                      ENC_I(0x5073, 10, 0, SEED),
                                      ENC_I(0x6073, 10, 1, SEED),
                                      ENC_I(0x7073, 10, 31, SEED)};
    static const uint32_t reads[] = {CSRR(SEED), ENC_I(0x3073, 10, 0, SEED),
                                     ENC_I(0x6073, 10, 0, SEED), ENC_I(0x7073, 10, 0, SEED)};

    for (unsigned bits = 0; bits < 4; bits++) {
        const uint64_t value = (bits & 1 ? USEED : 0) | (bits & 2 ? SSEED : 0);
        csr_write(MSECCFG, value);
        CHECK_EQ("mseccfg", csr_read(MSECCFG), value);
        for (unsigned c = 0; c < 5; c++) {
            const enum mode m = cases[c].mode;
            const bool virtual = m == VS || m == VU;
            for (unsigned i = 0; i < 6; i++) {
                probe(m, writes[i], ~0ULL, 0);
                if (virtual && (value & SSEED) != 0)
                    check_trap(__FILE_NAME__, __LINE__, "seed in V=1", VIRTUAL,
                               trap.tval == 0 ? 0 : writes[i]);
                else if (virtual || (value & cases[c].allowed) != cases[c].allowed)
                    CHECK_ILLEGAL("seed", writes[i]);
                else
                    CHECK_OK("seed");
            }
            for (unsigned i = 0; i < 4; i++) {
                probe(m, reads[i], 0, 0);
                CHECK_ILLEGAL("reading alone", reads[i]);
            }
        }
    }
    csr_write(MSECCFG, 0);
}

void test_main(void)
{
    csr_write(PMPADDR0, ~0ULL >> 10);
    csr_write(PMPCFG0, 0x1f);
    numbers();
    access_rules();
}
