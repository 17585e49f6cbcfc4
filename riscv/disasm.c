/* Disassembly, by the operand layouts of the table. */
#include "riscv/insn.h"

const char *const riscv_reg_names[32] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};
const char *const riscv_freg_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};
static const char *const rounding_names[8] = {"rne", "rtz", "rdn", "rup",
                                              "rmm", "rm5", "rm6", "dyn"};

/* A line of text that never overflows. */
struct text {
    char *at;
    size_t left; /* bytes left, the NUL included */
};

static void put(struct text *t, const char *s)
{
    while (*s != 0 && t->left > 1)
        *t->at++ = *s++, t->left--;
    *t->at = 0;
}

static void put_hex(struct text *t, uint64_t v)
{
    char digits[19] = "0x", *p = digits + 2;
    int shift = 60;
    while (shift > 0 && (v >> shift & 15) == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *p++ = "0123456789abcdef"[v >> shift & 15];
    *p = 0;
    put(t, digits);
}

static void put_decimal(struct text *t, int64_t v)
{
    char digits[21], *p = digits + sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    *--p = 0;
    do
        *--p = (char)('0' + u % 10);
    while ((u /= 10) != 0);
    if (v < 0)
        *--p = '-';
    put(t, p);
}

static void put_csr(struct text *t, unsigned csr)
{
    const char *name = riscv_csr_name(csr);
    if (name != NULL)
        put(t, name);
    else
        put_hex(t, csr);
}

/* "rd, imm(rs1)" and its kin. */
static void put_address(struct text *t, const char *reg, const struct insn *in)
{
    if (reg != NULL) {
        put(t, reg);
        put(t, ", ");
    }
    put_decimal(t, in->imm);
    put(t, "(");
    put(t, riscv_reg_names[in->rs1]);
    put(t, ")");
}

static void put_list(struct text *t, const char *a, const char *b, const char *c, const char *d)
{
    const char *const items[4] = {a, b, c, d};
    for (unsigned i = 0; i < 4 && items[i] != NULL; i++) {
        if (i > 0)
            put(t, ", ");
        put(t, items[i]);
    }
}

/* The fields of a vector instruction, which are its operand imm. */
static void put_vector(struct text *t, unsigned reg)
{
    put(t, "v");
    put_decimal(t, reg);
}

static void put_vtype(struct text *t, unsigned vtype)
{
    static const char *const lmul[8] = {"m1", "m2", "m4", "m8", NULL, "mf8", "mf4", "mf2"};
    if ((vtype >> 5 & 1) != 0 || vtype >> 8 != 0 || lmul[vtype & 7] == NULL) {
        put_decimal(t, vtype);
        return;
    }
    put(t, "e");
    put_decimal(t, 8 << (vtype >> 3 & 3));
    put_list(t, "", lmul[vtype & 7], vtype & 0x40 ? "ta" : "tu", vtype & 0x80 ? "ma" : "mu");
}

/* Of segments, "segN" stands before the width: vlseg2e8.v, vluxseg2ei8.v. */
static void put_segment(struct text *t, const char *mnemonic, unsigned fields)
{
    size_t width = 0;
    while (mnemonic[width] < '0' || mnemonic[width] > '9')
        width++;
    width -= mnemonic[width - 1] == 'i' ? 2 : 1;
    for (size_t i = 0; i < width && t->left > 1; i++)
        *t->at++ = mnemonic[i], t->left--;
    put(t, "seg");
    put_decimal(t, fields);
    put(t, mnemonic + width);
}

/* What stands between vd and the mask. */
enum vpart { V_VS2, V_VS1, V_RS1, V_FS1, V_SIMM, V_UIMM, V_UIMM6, V_RS2, V_ADDRESS };

static void put_vpart(struct text *t, uint32_t raw, enum vpart part)
{
    const unsigned rs1 = raw >> 15 & 31, rs2 = raw >> 20 & 31;
    put(t, ", ");
    switch (part) {
    case V_VS2: put_vector(t, rs2); break;
    case V_VS1: put_vector(t, rs1); break;
    case V_RS1: put(t, riscv_reg_names[rs1]); break;
    case V_FS1: put(t, riscv_freg_names[rs1]); break;
    case V_SIMM: put_decimal(t, rs1 < 16 ? (int64_t)rs1 : (int64_t)rs1 - 32); break;
    case V_UIMM: put_decimal(t, rs1); break;
    case V_UIMM6: put_decimal(t, rs1 | (raw >> 26 & 1) << 5); break;
    case V_RS2: put(t, riscv_reg_names[rs2]); break;
    case V_ADDRESS:
        put(t, "(");
        put(t, riscv_reg_names[rs1]);
        put(t, ")");
        break;
    }
}

/* Those of insn_v.def but for vset*, with vd or what is in its place. */
static void put_voperands(struct text *t, const struct insn *in, const struct insn_info *info)
{
    static const struct {
        uint8_t count;
        uint8_t part[2];
    } parts[] = {
        [FMT_VMEM] = {1, {V_ADDRESS}},
        [FMT_VMEMS] = {2, {V_ADDRESS, V_RS2}},
        [FMT_VMEMX] = {2, {V_ADDRESS, V_VS2}},
        [FMT_VVV] = {2, {V_VS2, V_VS1}},
        [FMT_VVX] = {2, {V_VS2, V_RS1}},
        [FMT_VVI] = {2, {V_VS2, V_SIMM}},
        [FMT_VVU] = {2, {V_VS2, V_UIMM}},
        [FMT_VVU6] = {2, {V_VS2, V_UIMM6}},
        [FMT_VVF] = {2, {V_VS2, V_FS1}},
        [FMT_VMV] = {2, {V_VS1, V_VS2}},
        [FMT_VMX] = {2, {V_RS1, V_VS2}},
        [FMT_VMF] = {2, {V_FS1, V_VS2}},
        [FMT_VV] = {1, {V_VS2}},
        [FMT_VD] = {0, {0}},
        [FMT_VDV] = {1, {V_VS1}},
        [FMT_VDX] = {1, {V_RS1}},
        [FMT_VDI] = {1, {V_SIMM}},
        [FMT_VDF] = {1, {V_FS1}},
        [FMT_VXV] = {1, {V_VS2}},
        [FMT_VXS] = {1, {V_VS2}},
        [FMT_VFS] = {1, {V_VS2}},
    };

    if (info->format == FMT_VXV || info->format == FMT_VXS)
        put(t, riscv_reg_names[in->rd]);
    else if (info->format == FMT_VFS)
        put(t, riscv_freg_names[in->rd]);
    else
        put_vector(t, in->rd);
    for (unsigned i = 0; i < parts[info->format].count; i++)
        put_vpart(t, in->raw, (enum vpart)parts[info->format].part[i]);
    if ((in->raw >> 25 & 1) != 0)
        return;
    /* Where the mask is an operand, the row's encoding has its bit. */
    size_t last = 0;
    while (info->mnemonic[last + 1] != 0)
        last++;
    put(t, (info->mask >> 25 & 1) != 0 && info->mnemonic[last] == 'm' ? ", v0" : ", v0.t");
}

void insn_disassemble(uint32_t raw, uint64_t pc, char *buf, size_t capacity)
{
    struct text text = {buf, capacity}, *t = &text;
    struct insn in;
    if (capacity == 0)
        return;
    buf[0] = 0;
    if (!insn_decode(raw, &in)) {
        put(t, in.length == 2 ? ".half " : ".word ");
        put_hex(t, in.raw);
        return;
    }
    const struct insn_info *info = &insn_table[in.op];
    const char *const *x = riscv_reg_names, *const *f = riscv_freg_names;
    const char *rm = in.rm == 7 ? NULL : rounding_names[in.rm & 7];

    const unsigned fields = 1 + (in.raw >> 29);
    if ((info->flags & INSN_VEC) != 0 && (info->flags & INSN_MEM) != 0 && fields > 1 &&
        (info->mask >> 29) == 0)
        put_segment(t, info->mnemonic, fields);
    else
        put(t, info->mnemonic);
    if ((info->format == FMT_AMO || info->format == FMT_LR) && in.rm != 0)
        put(t, in.rm == 3 ? ".aqrl" : in.rm == 2 ? ".aq" : ".rl");
    if (info->format == FMT_NONE || info->format == FMT_FENCE)
        return;
    put(t, " ");
    switch ((enum insn_format)info->format) {
    case FMT_R: put_list(t, x[in.rd], x[in.rs1], x[in.rs2], NULL); break;
    case FMT_UNARY: put_list(t, x[in.rd], x[in.rs1], NULL, NULL); break;
    case FMT_I:
    case FMT_SHIFT:
    case FMT_SHIFTW:
    case FMT_ROUND:
        put_list(t, x[in.rd], x[in.rs1], "", NULL);
        put_decimal(t, in.imm);
        break;
    case FMT_U:
        put_list(t, x[in.rd], "", NULL, NULL);
        put_hex(t, (uint32_t)in.imm >> 12);
        break;
    case FMT_B:
        put_list(t, x[in.rs1], x[in.rs2], "", NULL);
        put_hex(t, pc + (uint64_t)(int64_t)in.imm);
        break;
    case FMT_J:
        put_list(t, x[in.rd], "", NULL, NULL);
        put_hex(t, pc + (uint64_t)(int64_t)in.imm);
        break;
    case FMT_JALR:
    case FMT_LOAD: put_address(t, x[in.rd], &in); break;
    case FMT_FLOAD: put_address(t, f[in.rd], &in); break;
    case FMT_STORE: put_address(t, x[in.rs2], &in); break;
    case FMT_FSTORE: put_address(t, f[in.rs2], &in); break;
    case FMT_PREFETCH:
    case FMT_CBO: put_address(t, NULL, &in); break;
    case FMT_AMO:
        put_list(t, x[in.rd], x[in.rs2], "(", NULL);
        put(t, x[in.rs1]);
        put(t, ")");
        break;
    case FMT_HSV:
        put_list(t, x[in.rs2], "(", NULL, NULL);
        put(t, x[in.rs1]);
        put(t, ")");
        break;
    case FMT_HLV:
    case FMT_LR:
        put_list(t, x[in.rd], "(", NULL, NULL);
        put(t, x[in.rs1]);
        put(t, ")");
        break;
    case FMT_SFENCE: put_list(t, x[in.rs1], x[in.rs2], NULL, NULL); break;
    case FMT_CSR:
        put_list(t, x[in.rd], "", NULL, NULL);
        put_csr(t, (unsigned)in.imm);
        put(t, ", ");
        put(t, x[in.rs1]);
        break;
    case FMT_CSRI:
        put_list(t, x[in.rd], "", NULL, NULL);
        put_csr(t, (unsigned)in.imm);
        put(t, ", ");
        put_decimal(t, in.rs1);
        break;
    case FMT_FR: put_list(t, f[in.rd], f[in.rs1], f[in.rs2], rm); break;
    case FMT_FRX: put_list(t, f[in.rd], f[in.rs1], f[in.rs2], NULL); break;
    case FMT_FR4:
        put_list(t, f[in.rd], f[in.rs1], f[in.rs2], f[in.rs3]);
        if (rm != NULL)
            put_list(t, "", rm, NULL, NULL);
        break;
    case FMT_FCVT: put_list(t, f[in.rd], f[in.rs1], rm, NULL); break;
    case FMT_FCMP: put_list(t, x[in.rd], f[in.rs1], f[in.rs2], NULL); break;
    case FMT_FTOX: put_list(t, x[in.rd], f[in.rs1], rm, NULL); break;
    case FMT_FTOXX: put_list(t, x[in.rd], f[in.rs1], NULL, NULL); break;
    case FMT_FFROMX: put_list(t, f[in.rd], x[in.rs1], rm, NULL); break;
    case FMT_FFROMXX: put_list(t, f[in.rd], x[in.rs1], NULL, NULL); break;
    case FMT_FLI:
        put_list(t, f[in.rd], "", NULL, NULL);
        put_decimal(t, in.rs1);
        break;
    case FMT_VSETVLI:
        put_list(t, x[in.rd], x[in.rs1], "", NULL);
        put_vtype(t, in.raw >> 20 & 0x7ff);
        break;
    case FMT_VSETIVLI:
        put_list(t, x[in.rd], "", NULL, NULL);
        put_decimal(t, in.rs1);
        put(t, ", ");
        put_vtype(t, in.raw >> 20 & 0x3ff);
        break;
    case FMT_VSETVL: put_list(t, x[in.rd], x[in.rs1], x[in.rs2], NULL); break;
    case FMT_NONE:
    case FMT_FENCE: break;
    default: put_voperands(t, &in, info); break;
    }
}
