/*
 * Instructions and CSRs of V while mstatus.VS is Off, and those of floating point while FS is
 * (Unprivileged ISA 20240411, "V", 3.2). run.sh does not count them as covered.
 */
#include "vector.h"

static const struct {
    const char *mnemonic;
    uint32_t match, mask;
    bool fp;
} rows[] = {
#define FP  1
#define VEC 0
#define MEM 0
#define END 0
#define INSN(name, mnemonic, encoding, format, extension, flags)
#define VINSN(name, mnemonic, encoding, format, extension, flags)                                  \
    {mnemonic, encoding, (flags) != 0},
#define CINSN(name, mnemonic, match, mask, format, extension, target)
#include "riscv/insn.def"
};
#define ROWS (sizeof rows / sizeof rows[0])

static void every_instruction_is_illegal_while_vs_is_off(void)
{
    csr_clear(MSTATUS, MSTATUS_VS);
    for (size_t i = 0; i < ROWS; i++) {
        probe(M, rows[i].match, FN(pages), 0);
        check_illegal(__FILE_NAME__, 0, rows[i].mnemonic, rows[i].match);
    }
    probe(U, MATCH_vsetivli | 10 << 7, 0, 0);
    CHECK_ILLEGAL("U", MATCH_vsetivli | 10 << 7);
    probe(S, MATCH_vsetivli | 10 << 7, 0, 0);
    CHECK_ILLEGAL("S", MATCH_vsetivli | 10 << 7);
    static const uint16_t csrs[] = {VSTART, VXSAT, VXRM, VCSR, VL, VTYPE, VLENB};
    for (size_t i = 0; i < sizeof csrs / sizeof csrs[0]; i++) {
        probe(M, CSRR(csrs[i]), 0, 0);
        CHECK_ILLEGAL("CSR, VS off", CSRR(csrs[i]));
        probe(S, CSRR(csrs[i]), 0, 0);
        CHECK_ILLEGAL("CSR, VS off, S", CSRR(csrs[i]));
    }
    csr_set(MSTATUS, MSTATUS_VS);
}

static void floating_point_is_illegal_while_fs_is_off(void)
{
    csr_set(MSTATUS, MSTATUS_VS);
    probe(M, MATCH_vsetivli | 4 << 15 | E(E32, 0) << 20, 0, 0);
    csr_clear(MSTATUS, MSTATUS_FS);
    for (size_t i = 0; i < ROWS; i++) {
        const uint32_t word = rows[i].match | (rows[i].mask >> 25 & 1 ? 0 : 1u << 25);

        if (!rows[i].fp)
            continue;
        probe(M, word, 0, 0);
        check_illegal(__FILE_NAME__, 0, rows[i].mnemonic, word);
    }
    csr_set(MSTATUS, MSTATUS_FS);
}

void test_main(void)
{
    csr_set(MSTATUS, MSTATUS_FS);
    every_instruction_is_illegal_while_vs_is_off();
    floating_point_is_illegal_while_fs_is_off();
}
