/* Decoding: the table of riscv/insn.def read in both lengths. */
#include "riscv/insn.h"

#include <stdatomic.h>

#define END INSN_END
#define MEM INSN_MEM
#define FP  INSN_FP

const struct insn_info insn_table[OP_COUNT] = {
    [OP_ILLEGAL] = {"unimp", 0, 0, FMT_NONE, EXT_I, INSN_END},
#define INSN(name, mnemonic, encoding, format, extension, flags)                                   \
    [OP_##name] = {mnemonic, encoding, FMT_##format, EXT_##extension, flags},
#include "riscv/insn.def"
};

const struct insn_cinfo insn_ctable[] = {
#define CINSN(name, mnemonic, match, mask, format, extension, target)                              \
    {mnemonic, match, mask, CFMT_##format, EXT_##extension, OP_##target},
#include "riscv/insn.def"
};
const unsigned insn_ctable_count = sizeof insn_ctable / sizeof insn_ctable[0];

/* Bits hi..lo of v. */
static inline uint32_t bits(uint32_t v, unsigned hi, unsigned lo)
{
    return v >> lo & ((1u << (hi - lo + 1)) - 1);
}

/* Sign-extends the low `width` bits. */
static inline int32_t sext(uint32_t v, unsigned width)
{
    return (int32_t)(v << (32 - width)) >> (32 - width);
}

static void decode_operands(uint32_t w, enum insn_format format, struct insn *in)
{
    in->rd = (uint8_t)bits(w, 11, 7);
    in->rs1 = (uint8_t)bits(w, 19, 15);
    in->rs2 = (uint8_t)bits(w, 24, 20);
    in->rs3 = (uint8_t)bits(w, 31, 27);
    in->rm = (uint8_t)bits(w, 14, 12);
    in->imm = 0;
    switch (format) {
    case FMT_I:
    case FMT_JALR:
    case FMT_LOAD:
    case FMT_FLOAD:
    case FMT_FENCE: in->imm = (int32_t)w >> 20; break;
    case FMT_SHIFT: in->imm = (int32_t)bits(w, 25, 20); break;
    case FMT_SHIFTW: in->imm = (int32_t)bits(w, 24, 20); break;
    case FMT_U: in->imm = (int32_t)(w & 0xfffff000); break;
    case FMT_STORE:
    case FMT_FSTORE: in->imm = sext(bits(w, 31, 25) << 5 | bits(w, 11, 7), 12); break;
    case FMT_PREFETCH: in->imm = sext(bits(w, 31, 25) << 5, 12); break;
    case FMT_B:
        in->imm = sext(bits(w, 31, 31) << 12 | bits(w, 7, 7) << 11 | bits(w, 30, 25) << 5 |
                           bits(w, 11, 8) << 1,
                       13);
        break;
    case FMT_J:
        in->imm = sext(bits(w, 31, 31) << 20 | bits(w, 19, 12) << 12 | bits(w, 20, 20) << 11 |
                           bits(w, 30, 21) << 1,
                       21);
        break;
    case FMT_CSR:
    case FMT_CSRI: in->imm = (int32_t)bits(w, 31, 20); break;
    case FMT_AMO:
    case FMT_LR: in->rm = (uint8_t)bits(w, 26, 25); break;
    default: break;
    }
}

/*
 * Where to begin in the tables: by bits that most rows fix, the first row that does not contradict
 * them, found when such an instruction is first met. Whoever finds it finds the same.
 */
static _Atomic uint16_t row_first[1 << 8];
static _Atomic uint8_t crow_first[1 << 8];

/* The major opcode and funct3 or, where that is a rounding mode (OP-FP), the upper funct7. */
static unsigned row_key(uint32_t w, uint32_t *fixed)
{
    const bool fp = (w & 0x7f) == 0x53;
    *fixed = fp ? 0xe000007f : 0x0000707f;
    return bits(w, 6, 2) << 3 | (fp ? bits(w, 31, 29) : bits(w, 14, 12));
}

static unsigned row_begin(uint32_t w)
{
    uint32_t fixed;
    const unsigned key = row_key(w, &fixed);
    unsigned row = atomic_load_explicit(&row_first[key], memory_order_relaxed);
    if (row == 0) {
        row = OP_ILLEGAL + 1;
        while (row < OP_COUNT && ((w ^ insn_table[row].match) & insn_table[row].mask & fixed) != 0)
            row++;
        atomic_store_explicit(&row_first[key], (uint16_t)row, memory_order_relaxed);
    }
    return row;
}

/* Rows are grouped by major opcode. */
static unsigned row_find(uint32_t w)
{
    for (unsigned row = row_begin(w); row < OP_COUNT && ((insn_table[row].match ^ w) & 0x7f) == 0;
         row++)
        if ((w & insn_table[row].mask) == insn_table[row].match)
            return row;
    return OP_ILLEGAL;
}

int insn_crow(uint16_t raw)
{
    const uint16_t fixed = 0xfc03; /* funct6 or what it begins with, and the quadrant */
    _Atomic uint8_t *first = &crow_first[bits(raw, 15, 10) << 2 | bits(raw, 1, 0)];
    unsigned row = atomic_load_explicit(first, memory_order_relaxed);
    if (row == 0) {
        while (row < insn_ctable_count &&
               ((raw ^ insn_ctable[row].match) & insn_ctable[row].mask & fixed) != 0)
            row++;
        atomic_store_explicit(first, (uint8_t)row, memory_order_relaxed);
    }
    for (; row < insn_ctable_count; row++)
        if ((raw & insn_ctable[row].mask) == insn_ctable[row].match)
            return (int)row;
    return -1;
}

static int32_t c_shamt(uint32_t w)
{
    return (int32_t)(bits(w, 12, 12) << 5 | bits(w, 6, 2));
}

static int32_t c_imm6(uint32_t w)
{
    return sext((uint32_t)c_shamt(w), 6);
}

static int32_t c_lw_imm(uint32_t w)
{
    return (int32_t)(bits(w, 5, 5) << 6 | bits(w, 12, 10) << 3 | bits(w, 6, 6) << 2);
}

static int32_t c_ld_imm(uint32_t w)
{
    return (int32_t)(bits(w, 6, 5) << 6 | bits(w, 12, 10) << 3);
}

/* Fills the operands of a 16-bit form; false if the combination is reserved (Unprivileged
 * ISA, 26.8). */
static bool decode_compressed(uint32_t w, enum insn_cformat format, struct insn *in)
{
    const uint8_t rd = (uint8_t)bits(w, 11, 7), r2 = (uint8_t)bits(w, 6, 2);
    const uint8_t rdp = (uint8_t)(8 + bits(w, 4, 2)), rs1p = (uint8_t)(8 + bits(w, 9, 7));

    in->rd = in->rs1 = in->rs2 = in->rs3 = in->rm = 0;
    in->imm = 0;
    switch (format) {
    case CFMT_CNONE: return true;
    case CFMT_CIW:
        in->rd = rdp;
        in->rs1 = 2;
        in->imm = (int32_t)(bits(w, 10, 7) << 6 | bits(w, 12, 11) << 4 | bits(w, 5, 5) << 3 |
                            bits(w, 6, 6) << 2);
        return in->imm != 0;
    case CFMT_CLW: in->rd = rdp, in->rs1 = rs1p, in->imm = c_lw_imm(w); return true;
    case CFMT_CFLD:
    case CFMT_CLD: in->rd = rdp, in->rs1 = rs1p, in->imm = c_ld_imm(w); return true;
    case CFMT_CLB:
        in->rd = rdp, in->rs1 = rs1p;
        in->imm = (int32_t)(bits(w, 5, 5) << 1 | bits(w, 6, 6));
        return true;
    case CFMT_CLH:
        in->rd = rdp, in->rs1 = rs1p;
        in->imm = (int32_t)(bits(w, 5, 5) << 1);
        return true;
    case CFMT_CSB:
        in->rs2 = rdp, in->rs1 = rs1p;
        in->imm = (int32_t)(bits(w, 5, 5) << 1 | bits(w, 6, 6));
        return true;
    case CFMT_CSH:
        in->rs2 = rdp, in->rs1 = rs1p;
        in->imm = (int32_t)(bits(w, 5, 5) << 1);
        return true;
    case CFMT_CSW: in->rs2 = rdp, in->rs1 = rs1p, in->imm = c_lw_imm(w); return true;
    case CFMT_CFSD:
    case CFMT_CSD: in->rs2 = rdp, in->rs1 = rs1p, in->imm = c_ld_imm(w); return true;
    case CFMT_CI: in->rd = in->rs1 = rd, in->imm = c_imm6(w); return true;
    case CFMT_CIRD: in->rd = in->rs1 = rd, in->imm = c_imm6(w); return rd != 0;
    case CFMT_CLI: in->rd = rd, in->imm = c_imm6(w); return true;
    case CFMT_CI16:
        in->rd = in->rs1 = 2;
        in->imm = sext(bits(w, 12, 12) << 9 | bits(w, 4, 3) << 7 | bits(w, 5, 5) << 6 |
                           bits(w, 2, 2) << 5 | bits(w, 6, 6) << 4,
                       10);
        return in->imm != 0;
    case CFMT_CLUI:
        in->rd = rd, in->imm = (int32_t)((uint32_t)c_imm6(w) << 12);
        return in->imm != 0;
    case CFMT_CSHB: in->rd = in->rs1 = rs1p, in->imm = c_shamt(w); return true;
    case CFMT_CANDI: in->rd = in->rs1 = rs1p, in->imm = c_imm6(w); return true;
    case CFMT_CA: in->rd = in->rs1 = rs1p, in->rs2 = rdp; return true;
    case CFMT_CU:
    case CFMT_CZEXTW: in->rd = in->rs1 = rs1p; return true;
    case CFMT_CZEXTB: in->rd = in->rs1 = rs1p, in->imm = 0xff; return true;
    case CFMT_CNOT: in->rd = in->rs1 = rs1p, in->imm = -1; return true;
    case CFMT_CJ:
        in->imm = sext(bits(w, 12, 12) << 11 | bits(w, 8, 8) << 10 | bits(w, 10, 9) << 8 |
                           bits(w, 6, 6) << 7 | bits(w, 7, 7) << 6 | bits(w, 2, 2) << 5 |
                           bits(w, 11, 11) << 4 | bits(w, 5, 3) << 1,
                       12);
        return true;
    case CFMT_CB:
        in->rs1 = rs1p;
        in->imm = sext(bits(w, 12, 12) << 8 | bits(w, 6, 5) << 6 | bits(w, 2, 2) << 5 |
                           bits(w, 11, 10) << 3 | bits(w, 4, 3) << 1,
                       9);
        return true;
    case CFMT_CSLLI: in->rd = in->rs1 = rd, in->imm = c_shamt(w); return true;
    case CFMT_CLWSP:
        in->rd = rd, in->rs1 = 2;
        in->imm = (int32_t)(bits(w, 3, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 4) << 2);
        return rd != 0;
    case CFMT_CFLDSP:
    case CFMT_CLDSP:
        in->rd = rd, in->rs1 = 2;
        in->imm = (int32_t)(bits(w, 4, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 5) << 3);
        return format == CFMT_CFLDSP || rd != 0;
    case CFMT_CJR: in->rs1 = rd; return rd != 0;
    case CFMT_CJALR: in->rd = 1, in->rs1 = rd; return true;
    case CFMT_CMV: in->rd = rd, in->rs2 = r2; return true;
    case CFMT_CADD: in->rd = in->rs1 = rd, in->rs2 = r2; return true;
    case CFMT_CSWSP:
        in->rs2 = r2, in->rs1 = 2;
        in->imm = (int32_t)(bits(w, 8, 7) << 6 | bits(w, 12, 9) << 2);
        return true;
    case CFMT_CFSDSP:
    case CFMT_CSDSP:
        in->rs2 = r2, in->rs1 = 2;
        in->imm = (int32_t)(bits(w, 9, 7) << 6 | bits(w, 12, 10) << 3);
        return true;
    }
    return false;
}

bool insn_decode(uint32_t raw, struct insn *in)
{
    in->op = OP_ILLEGAL;
    if (insn_length((uint16_t)raw) == 2) {
        in->raw = raw & 0xffff;
        in->length = 2;
        int row = insn_crow((uint16_t)raw);
        if (row >= 0 && decode_compressed(in->raw, insn_ctable[row].format, in))
            in->op = insn_ctable[row].target;
    } else {
        in->raw = raw;
        in->length = 4;
        unsigned op = row_find(raw);
        decode_operands(raw, insn_table[op].format, in);
        in->op = (uint16_t)op;
    }
    return in->op != OP_ILLEGAL;
}
