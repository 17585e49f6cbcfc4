/*
 * The smaller model, on a machine of it (run.sh): what it lacks is not there. Instructions of other
 * extensions are illegal, their hints do nothing, their fields of CSRs are zero.
 */
#include "isa.h"

static const char *const here[] = {"I", "M",     "A",        "F", "D",
                                   "C", "ZICSR", "ZIFENCEI", "S", "SVINVAL"};
/* Hints by encoding: without their extension they are FENCE and ORI to x0. */
static const char *const hints[] = {"ZIHINTPAUSE", "ZICBOP"};

static const struct {
    const char *mnemonic;
    uint32_t match, mask;
    const char *extension;
} rows[] = {
#define INSN(name, mnemonic, encoding, format, extension, flags) {mnemonic, encoding, #extension},
#define CINSN(name, mnemonic, match, mask, format, extension, target)                              \
    {mnemonic, match, mask, #extension},
#include "riscv/insn.def"
};

static bool same(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool among(const char *name, const char *const *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (same(name, list[i]))
            return true;
    return false;
}

static void other_extensions_are_illegal(void)
{
    csr_set(MSTATUS, MSTATUS_FS);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (among(rows[i].extension, here, sizeof here / sizeof here[0]))
            continue;
        probe(M, rows[i].match, 0, 0);
        if (among(rows[i].extension, hints, sizeof hints / sizeof hints[0]))
            CHECK_EQ(rows[i].mnemonic, trap.count, 0);
        else if (CHECK_EQ(rows[i].mnemonic, trap.count, 1))
            CHECK_ILLEGAL(rows[i].mnemonic, rows[i].match);
    }
}

static void fields_of_absent_extensions_are_zero(void)
{
    /* QEMU 10 has these two fail: it lets the fields be set whatever the extensions. CBIE, CBCFE
     * and CBZE (Privileged ISA, 3.1.18 and 10.1.10). */
    csr_write(MENVCFG, ~0ULL);
    CHECK_EQ("menvcfg", csr_read(MENVCFG) & 0xf0, 0);
    csr_write(SENVCFG, ~0ULL);
    CHECK_EQ("senvcfg", csr_read(SENVCFG) & 0xf0, 0);
    /* RV64, and the letters ACDFIMSU (3.1.1). */
    CHECK_EQ("misa", csr_read(MISA), 2ULL << 62 | 0x14112d);
}

void test_main(void)
{
    other_extensions_are_illegal();
    fields_of_absent_extensions_are_zero();
}
