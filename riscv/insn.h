/*
 * Instructions: their numbers, what the table says of each, decoding and disassembly.
 */
#ifndef RISCV_INSN_H
#define RISCV_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OP_add, OP_addi, ...; compressed instructions decode to these. OP_COUNT: how many. */
enum riscv_op {
    OP_ILLEGAL,
#define INSN(name, mnemonic, encoding, format, extension, flags) OP_##name,
#include "riscv/insn.def"
    OP_COUNT,
};

/* Operand layouts. Letters after F: which of rd, rs1, rs2 are floating-point registers is in the
 * comment. */
enum insn_format {
    FMT_NONE,
    FMT_R,        /* rd, rs1, rs2 */
    FMT_UNARY,    /* rd, rs1 */
    FMT_I,        /* rd, rs1, imm */
    FMT_SHIFT,    /* rd, rs1, shamt 0..63 */
    FMT_SHIFTW,   /* rd, rs1, shamt 0..31 */
    FMT_ROUND,    /* rd, rs1, round 0..10 */
    FMT_U,        /* rd, imm (already shifted by 12) */
    FMT_B,        /* rs1, rs2, offset */
    FMT_J,        /* rd, offset */
    FMT_JALR,     /* rd, imm(rs1) */
    FMT_LOAD,     /* rd, imm(rs1) */
    FMT_STORE,    /* rs2, imm(rs1) */
    FMT_FLOAD,    /* frd, imm(rs1) */
    FMT_FSTORE,   /* frs2, imm(rs1) */
    FMT_AMO,      /* rd, rs2, (rs1), aq, rl */
    FMT_LR,       /* rd, (rs1), aq, rl */
    FMT_FENCE,    /* pred, succ in imm */
    FMT_CBO,      /* (rs1) */
    FMT_PREFETCH, /* imm(rs1) */
    FMT_SFENCE,   /* rs1, rs2 */
    FMT_HLV,      /* rd, (rs1) */
    FMT_HSV,      /* rs2, (rs1) */
    FMT_CSR,      /* rd, csr, rs1 */
    FMT_CSRI,     /* rd, csr, zimm in rs1 */
    FMT_FR,       /* frd, frs1, frs2, rm */
    FMT_FRX,      /* frd, frs1, frs2 */
    FMT_FR4,      /* frd, frs1, frs2, frs3, rm */
    FMT_FCVT,     /* frd, frs1, rm */
    FMT_FCMP,     /* rd, frs1, frs2 */
    FMT_FTOX,     /* rd, frs1, rm */
    FMT_FTOXX,    /* rd, frs1 */
    FMT_FFROMX,   /* frd, rs1, rm */
    FMT_FFROMXX,  /* frd, rs1 */
    FMT_FLI,      /* frd, index in rs1 */
    /* Vector instructions (riscv/insn_v.def); imm is the instruction itself. [vm]: ", v0.t" if
     * masked. */
    FMT_VSETVLI,  /* rd, rs1, vtype */
    FMT_VSETIVLI, /* rd, uimm, vtype */
    FMT_VSETVL,   /* rd, rs1, rs2 */
    FMT_VMEM,     /* vd, (rs1) [vm] */
    FMT_VMEMS,    /* vd, (rs1), rs2 [vm] */
    FMT_VMEMX,    /* vd, (rs1), vs2 [vm] */
    FMT_VVV,      /* vd, vs2, vs1 [vm] */
    FMT_VVX,      /* vd, vs2, rs1 [vm] */
    FMT_VVI,      /* vd, vs2, simm5 [vm] */
    FMT_VVU,      /* vd, vs2, uimm5 [vm] */
    FMT_VVU6,     /* vd, vs2, uimm6 [vm] */
    FMT_VVF,      /* vd, vs2, frs1 [vm] */
    FMT_VMV,      /* vd, vs1, vs2 [vm]: multiply-add */
    FMT_VMX,      /* vd, rs1, vs2 [vm] */
    FMT_VMF,      /* vd, frs1, vs2 [vm] */
    FMT_VV,       /* vd, vs2 [vm] */
    FMT_VD,       /* vd [vm] */
    FMT_VDV,      /* vd, vs1 */
    FMT_VDX,      /* vd, rs1 */
    FMT_VDI,      /* vd, simm5 */
    FMT_VDF,      /* vd, frs1 */
    FMT_VXV,      /* rd, vs2 [vm] */
    FMT_VXS,      /* rd, vs2 */
    FMT_VFS,      /* frd, vs2 */
};

enum insn_cformat {
    CFMT_CNONE,
    CFMT_CIW,
    CFMT_CFLD,
    CFMT_CLW,
    CFMT_CLD,
    CFMT_CLB,
    CFMT_CLH,
    CFMT_CSB,
    CFMT_CSH,
    CFMT_CFSD,
    CFMT_CSW,
    CFMT_CSD,
    CFMT_CI,
    CFMT_CIRD,
    CFMT_CLI,
    CFMT_CI16,
    CFMT_CLUI,
    CFMT_CSHB,
    CFMT_CANDI,
    CFMT_CA,
    CFMT_CU,
    CFMT_CZEXTB,
    CFMT_CZEXTW,
    CFMT_CNOT,
    CFMT_CJ,
    CFMT_CB,
    CFMT_CSLLI,
    CFMT_CFLDSP,
    CFMT_CLWSP,
    CFMT_CLDSP,
    CFMT_CJR,
    CFMT_CMV,
    CFMT_CJALR,
    CFMT_CADD,
    CFMT_CFSDSP,
    CFMT_CSWSP,
    CFMT_CSDSP,
};

/* Extensions, in the canonical order of the ISA string (Unprivileged ISA, "ISA Extension Naming").
 */
enum riscv_extension {
    EXT_I,
    EXT_M,
    EXT_A,
    EXT_F,
    EXT_D,
    EXT_C,
    EXT_B,
    EXT_V,
    EXT_H,
    EXT_ZIC64B,
    EXT_ZICBOM,
    EXT_ZICBOP,
    EXT_ZICBOZ,
    EXT_ZICCAMOA,
    EXT_ZICCIF,
    EXT_ZICCLSM,
    EXT_ZICCRSE,
    EXT_ZICNTR,
    EXT_ZICOND,
    EXT_ZICSR,
    EXT_ZIFENCEI,
    EXT_ZIHINTNTL,
    EXT_ZIHINTPAUSE,
    EXT_ZIHPM,
    EXT_ZIMOP,
    EXT_ZA64RS,
    EXT_ZAAMO,
    EXT_ZACAS,
    EXT_ZALRSC,
    EXT_ZAWRS,
    EXT_ZFA,
    EXT_ZFH,
    EXT_ZFHMIN,
    EXT_ZCA,
    EXT_ZCB,
    EXT_ZCD,
    EXT_ZCMOP,
    EXT_ZBA,
    EXT_ZBB,
    EXT_ZBC,
    EXT_ZBKB,
    EXT_ZBKC,
    EXT_ZBKX,
    EXT_ZBS,
    EXT_ZKND,
    EXT_ZKNE,
    EXT_ZKNH,
    EXT_ZKR,
    EXT_ZVBB,
    EXT_ZVBC,
    EXT_ZVFHMIN,
    EXT_ZVKG,
    EXT_ZVKNED,
    EXT_ZVKNHB,
    EXT_ZVKT,
    EXT_ZKT,
    EXT_SMAIA,
    EXT_SMMPM,
    EXT_SMNPM,
    EXT_SMSTATEEN,
    EXT_SSAIA,
    EXT_SSCCPTR,
    EXT_SSCOFPMF,
    EXT_SSCOUNTERENW,
    EXT_SSNPM,
    EXT_SSSTATEEN,
    EXT_SSTC,
    EXT_SSTVALA,
    EXT_SSTVECD,
    EXT_SSU64XL,
    EXT_SUPM,
    EXT_SVADE,
    EXT_SVADU,
    EXT_SVBARE,
    EXT_SVINVAL,
    EXT_SVNAPOT,
    EXT_SVPBMT,
    EXT_SVVPTC,
    EXT_COUNT,
    EXT_S, /* supervisor instructions: part of every hart here, not named in the ISA string */
};

/* Which extensions a hart has. */
struct riscv_isa {
    uint64_t has[2]; /* bit n % 64 of word n / 64: enum riscv_extension n, EXT_S included */
    uint16_t vlen;   /* bits of a vector register; 0 without V */
};
_Static_assert(EXT_S < 128, "struct riscv_isa");

static inline bool riscv_isa_has(const struct riscv_isa *isa, enum riscv_extension extension)
{
    return (isa->has[extension / 64] >> extension % 64 & 1) != 0;
}

/* The model of a machine that names none: everything here but V and H. */
#define RISCV_CPU_DEFAULT "rva23"
extern const char riscv_cpu_names[]; /* for people: "rv64gc, rva22 or rva23 ..." */
/*
 * The extensions of a model, "rva22" or with options "rva22+zkn+zkr" (NULL: the default) with
 * vector registers of `vlen` bits (0: 128 if the model has V). False: there is no such model, or
 * not with these options.
 */
bool riscv_isa_of(const char *cpu, unsigned vlen, struct riscv_isa *isa);
/* The harts have IMSICs: Smaia and Ssaia. */
void riscv_isa_add_aia(struct riscv_isa *isa);

enum insn_flag {
    INSN_END = 1, /* may change pc, privilege or translation: ends a block */
    INSN_MEM = 2, /* accesses memory: may fault */
    INSN_FP = 4,  /* needs mstatus.FS */
    INSN_VEC = 8, /* needs mstatus.VS */
};

struct insn_info {
    const char *mnemonic;
    uint32_t match, mask;
    uint8_t format;    /* enum insn_format */
    uint8_t extension; /* enum riscv_extension */
    uint8_t flags;     /* enum insn_flag */
};

struct insn_cinfo {
    const char *mnemonic;
    uint16_t match, mask;
    uint8_t format; /* enum insn_cformat */
    uint8_t extension;
    uint16_t target; /* enum riscv_op */
};

/* Indexed by enum riscv_op; row OP_ILLEGAL is empty. */
extern const struct insn_info insn_table[OP_COUNT];
/* Compressed rows in the order of the file. */
extern const struct insn_cinfo insn_ctable[];
extern const unsigned insn_ctable_count;

struct insn {
    uint16_t op;    /* enum riscv_op; OP_ILLEGAL for anything reserved or not implemented */
    uint8_t length; /* 2 or 4 bytes */
    uint8_t rd, rs1, rs2, rs3;
    uint8_t rm;   /* rounding mode field (7: dynamic); for AMO and LR: aq << 1 | rl */
    int32_t imm;  /* sign-extended; CSR number for FMT_CSR and FMT_CSRI; `raw` for FMT_V* */
    uint32_t raw; /* 16 or 32 bits as fetched */
};

/* Whether the instruction writes the integer register rd. */
static inline bool insn_writes_x(enum insn_format format)
{
    switch (format) {
    case FMT_R:
    case FMT_UNARY:
    case FMT_I:
    case FMT_SHIFT:
    case FMT_SHIFTW:
    case FMT_ROUND:
    case FMT_U:
    case FMT_J:
    case FMT_JALR:
    case FMT_LOAD:
    case FMT_AMO:
    case FMT_LR:
    case FMT_HLV:
    case FMT_CSR:
    case FMT_CSRI:
    case FMT_FCMP:
    case FMT_FTOX:
    case FMT_FTOXX:
    case FMT_VSETVLI:
    case FMT_VSETIVLI:
    case FMT_VSETVL:
    case FMT_VXV:
    case FMT_VXS: return true;
    default: return false;
    }
}

/* Length in bytes of an instruction by its first 16 bits (2 or 4; longer encodings are reserved:
 * 4). */
static inline unsigned insn_length(uint16_t first)
{
    return (first & 3) == 3 ? 4 : 2;
}
/* Decodes `raw` (upper half ignored for 16-bit forms). False, and op OP_ILLEGAL, if it is not
 * implemented. */
bool insn_decode(uint32_t raw, struct insn *insn);
/*
 * The same as a hart of `isa` has it (NULL: one that has everything): rows of extensions that it
 * lacks are not there, so that a hint is what it is without its extension (ORI, FENCE).
 */
bool insn_decode_of(uint32_t raw, const struct riscv_isa *isa, struct insn *insn);
/* The compressed row that `raw` matches, or -1. Of all extensions. */
int insn_crow(uint16_t raw);

/* "addi a0, a0, 1"; `pc` makes branch targets absolute. Always NUL-terminates. */
void insn_disassemble(uint32_t raw, uint64_t pc, char *text, size_t capacity);

extern const char *const riscv_reg_names[32]; /* ABI names */
extern const char *const riscv_freg_names[32];
/* Lower-case names, canonical order; NULL for EXT_S. */
extern const char *const riscv_extension_names[EXT_COUNT];
/* Name of a CSR, or NULL. */
const char *riscv_csr_name(unsigned csr);

#endif
