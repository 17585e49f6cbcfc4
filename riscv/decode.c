/* Decoding: the table of riscv/insn.def read in both lengths. */
#include "riscv/insn.h"

#include <stdatomic.h>

#define END INSN_END
#define MEM INSN_MEM
#define FP  INSN_FP
#define VEC INSN_VEC

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
    case FMT_ROUND: in->imm = (int32_t)bits(w, 23, 20); break;
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
    case FMT_VSETVLI:
    case FMT_VSETIVLI:
    case FMT_VSETVL:
    case FMT_VMEM:
    case FMT_VMEMS:
    case FMT_VMEMX:
    case FMT_VVV:
    case FMT_VVX:
    case FMT_VVI:
    case FMT_VVU:
    case FMT_VVU6:
    case FMT_VVF:
    case FMT_VMV:
    case FMT_VMX:
    case FMT_VMF:
    case FMT_VV:
    case FMT_VD:
    case FMT_VDV:
    case FMT_VDX:
    case FMT_VDI:
    case FMT_VDF:
    case FMT_VXV:
    case FMT_VXS:
    case FMT_VFS: in->imm = (int32_t)w; break;
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

static bool has(const struct riscv_isa *isa, unsigned extension)
{
    return isa == NULL || riscv_isa_has(isa, extension);
}

/* Rows are grouped by major opcode. */
static unsigned row_find(uint32_t w, const struct riscv_isa *isa)
{
    for (unsigned row = row_begin(w); row < OP_COUNT && ((insn_table[row].match ^ w) & 0x7f) == 0;
         row++)
        if ((w & insn_table[row].mask) == insn_table[row].match &&
            has(isa, insn_table[row].extension))
            return row;
    return OP_ILLEGAL;
}

static int crow_find(uint16_t raw, const struct riscv_isa *isa)
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
        if ((raw & insn_ctable[row].mask) == insn_ctable[row].match &&
            has(isa, insn_ctable[row].extension))
            return (int)row;
    return -1;
}

int insn_crow(uint16_t raw)
{
    return crow_find(raw, NULL);
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

static int32_t c_lb_imm(uint32_t w)
{
    return (int32_t)(bits(w, 5, 5) << 1 | bits(w, 6, 6));
}

static int32_t c_lh_imm(uint32_t w)
{
    return (int32_t)(bits(w, 5, 5) << 1);
}

/* Registers of 5 bits, and of 3 (x8 to x15). */
static unsigned c_rd(uint32_t w)
{
    return bits(w, 11, 7);
}

static unsigned c_rs2(uint32_t w)
{
    return bits(w, 6, 2);
}

static unsigned c_low(uint32_t w)
{
    return 8 + bits(w, 4, 2);
}

static unsigned c_high(uint32_t w)
{
    return 8 + bits(w, 9, 7);
}

static inline bool give(struct insn *in, unsigned rd, unsigned rs1, unsigned rs2, int32_t imm)
{
    in->rd = (uint8_t)rd;
    in->rs1 = (uint8_t)rs1;
    in->rs2 = (uint8_t)rs2;
    in->rs3 = in->rm = 0;
    in->imm = imm;
    return true;
}

/* Fills the operands of a 16-bit form; false if the combination is reserved (Unprivileged
 * ISA, 26.8). */
static bool decode_compressed(uint32_t w, enum insn_cformat format, struct insn *in)
{
    switch (format) {
    case CFMT_CNONE: return give(in, 0, 0, 0, 0);
    case CFMT_CIW:
        give(in, c_low(w), 2, 0,
             (int32_t)(bits(w, 10, 7) << 6 | bits(w, 12, 11) << 4 | bits(w, 5, 5) << 3 |
                       bits(w, 6, 6) << 2));
        return in->imm != 0;
    case CFMT_CLW: return give(in, c_low(w), c_high(w), 0, c_lw_imm(w));
    case CFMT_CFLD:
    case CFMT_CLD: return give(in, c_low(w), c_high(w), 0, c_ld_imm(w));
    case CFMT_CLB: return give(in, c_low(w), c_high(w), 0, c_lb_imm(w));
    case CFMT_CLH: return give(in, c_low(w), c_high(w), 0, c_lh_imm(w));
    case CFMT_CSB: return give(in, 0, c_high(w), c_low(w), c_lb_imm(w));
    case CFMT_CSH: return give(in, 0, c_high(w), c_low(w), c_lh_imm(w));
    case CFMT_CSW: return give(in, 0, c_high(w), c_low(w), c_lw_imm(w));
    case CFMT_CFSD:
    case CFMT_CSD: return give(in, 0, c_high(w), c_low(w), c_ld_imm(w));
    case CFMT_CI: return give(in, c_rd(w), c_rd(w), 0, c_imm6(w));
    case CFMT_CIRD: return give(in, c_rd(w), c_rd(w), 0, c_imm6(w)) && in->rd != 0;
    case CFMT_CLI: return give(in, c_rd(w), 0, 0, c_imm6(w));
    case CFMT_CI16:
        give(in, 2, 2, 0,
             sext(bits(w, 12, 12) << 9 | bits(w, 4, 3) << 7 | bits(w, 5, 5) << 6 |
                      bits(w, 2, 2) << 5 | bits(w, 6, 6) << 4,
                  10));
        return in->imm != 0;
    case CFMT_CLUI:
        give(in, c_rd(w), 0, 0, (int32_t)((uint32_t)c_imm6(w) << 12));
        return in->imm != 0;
    case CFMT_CSHB: return give(in, c_high(w), c_high(w), 0, c_shamt(w));
    case CFMT_CANDI: return give(in, c_high(w), c_high(w), 0, c_imm6(w));
    case CFMT_CA: return give(in, c_high(w), c_high(w), c_low(w), 0);
    case CFMT_CU:
    case CFMT_CZEXTW: return give(in, c_high(w), c_high(w), 0, 0);
    case CFMT_CZEXTB: return give(in, c_high(w), c_high(w), 0, 0xff);
    case CFMT_CNOT: return give(in, c_high(w), c_high(w), 0, -1);
    case CFMT_CJ:
        return give(in, 0, 0, 0,
                    sext(bits(w, 12, 12) << 11 | bits(w, 8, 8) << 10 | bits(w, 10, 9) << 8 |
                             bits(w, 6, 6) << 7 | bits(w, 7, 7) << 6 | bits(w, 2, 2) << 5 |
                             bits(w, 11, 11) << 4 | bits(w, 5, 3) << 1,
                         12));
    case CFMT_CB:
        return give(in, 0, c_high(w), 0,
                    sext(bits(w, 12, 12) << 8 | bits(w, 6, 5) << 6 | bits(w, 2, 2) << 5 |
                             bits(w, 11, 10) << 3 | bits(w, 4, 3) << 1,
                         9));
    case CFMT_CSLLI: return give(in, c_rd(w), c_rd(w), 0, c_shamt(w));
    case CFMT_CLWSP:
        give(in, c_rd(w), 2, 0,
             (int32_t)(bits(w, 3, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 4) << 2));
        return in->rd != 0;
    case CFMT_CFLDSP:
    case CFMT_CLDSP:
        give(in, c_rd(w), 2, 0,
             (int32_t)(bits(w, 4, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 5) << 3));
        return format == CFMT_CFLDSP || in->rd != 0;
    case CFMT_CJR: return give(in, 0, c_rd(w), 0, 0) && in->rs1 != 0;
    case CFMT_CJALR: return give(in, 1, c_rd(w), 0, 0);
    case CFMT_CMV: return give(in, c_rd(w), 0, c_rs2(w), 0);
    case CFMT_CADD: return give(in, c_rd(w), c_rd(w), c_rs2(w), 0);
    case CFMT_CSWSP:
        return give(in, 0, 2, c_rs2(w), (int32_t)(bits(w, 8, 7) << 6 | bits(w, 12, 9) << 2));
    case CFMT_CFSDSP:
    case CFMT_CSDSP:
        return give(in, 0, 2, c_rs2(w), (int32_t)(bits(w, 9, 7) << 6 | bits(w, 12, 10) << 3));
    }
    return false;
}

bool insn_decode(uint32_t raw, struct insn *in)
{
    return insn_decode_of(raw, NULL, in);
}

bool insn_decode_of(uint32_t raw, const struct riscv_isa *isa, struct insn *in)
{
    in->op = OP_ILLEGAL;
    if (insn_length((uint16_t)raw) == 2) {
        in->raw = raw & 0xffff;
        in->length = 2;
        int row = crow_find((uint16_t)raw, isa);
        /* What it means is of an extension too: C.SEXT.B needs Zbb beside Zcb. */
        if (row >= 0 && has(isa, insn_table[insn_ctable[row].target].extension) &&
            decode_compressed(in->raw, insn_ctable[row].format, in))
            in->op = insn_ctable[row].target;
    } else {
        in->raw = raw;
        in->length = 4;
        unsigned op = row_find(raw, isa);
        decode_operands(raw, insn_table[op].format, in);
        in->op = (uint16_t)op;
    }
    return in->op != OP_ILLEGAL;
}
