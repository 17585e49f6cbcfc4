/* The intermediate form as text: one table, in the order of enum ir_op. */
#include "engine/jit/ir.h"
#include "riscv/insn.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[IR_OPS] = {
#define N(op, name) [IR_##op] = name
    N(CONST, "const"),
    N(MOV, "mov"),
    N(ADD, "add"),
    N(SUB, "sub"),
    N(AND, "and"),
    N(OR, "or"),
    N(XOR, "xor"),
    N(ANDN, "andn"),
    N(ORN, "orn"),
    N(XNOR, "xnor"),
    N(SLL, "sll"),
    N(SRL, "srl"),
    N(SRA, "sra"),
    N(ROL, "rol"),
    N(ROR, "ror"),
    N(SLT, "slt"),
    N(SLTU, "sltu"),
    N(MIN, "min"),
    N(MINU, "minu"),
    N(MAX, "max"),
    N(MAXU, "maxu"),
    N(BSET, "bset"),
    N(BCLR, "bclr"),
    N(BINV, "binv"),
    N(BEXT, "bext"),
    N(MUL, "mul"),
    N(MULH, "mulh"),
    N(MULHSU, "mulhsu"),
    N(MULHU, "mulhu"),
    N(CLMUL, "clmul"),
    N(CLMULH, "clmulh"),
    N(CLMULR, "clmulr"),
    N(DIV, "div"),
    N(DIVU, "divu"),
    N(REM, "rem"),
    N(REMU, "remu"),
    N(CZERO_EQZ, "czero.eqz"),
    N(CZERO_NEZ, "czero.nez"),
    N(SHADD, "shadd"),
    N(SHADD_UW, "shadd.uw"),
    N(SLLI_UW, "slli.uw"),
    N(ADDW, "addw"),
    N(SUBW, "subw"),
    N(SLLW, "sllw"),
    N(SRLW, "srlw"),
    N(SRAW, "sraw"),
    N(ROLW, "rolw"),
    N(RORW, "rorw"),
    N(MULW, "mulw"),
    N(DIVW, "divw"),
    N(DIVUW, "divuw"),
    N(REMW, "remw"),
    N(REMUW, "remuw"),
    N(SEXT_B, "sext.b"),
    N(SEXT_H, "sext.h"),
    N(SEXT_W, "sext.w"),
    N(ZEXT_B, "zext.b"),
    N(ZEXT_H, "zext.h"),
    N(ZEXT_W, "zext.w"),
    N(CLZ, "clz"),
    N(CTZ, "ctz"),
    N(CPOP, "cpop"),
    N(CLZW, "clzw"),
    N(CTZW, "ctzw"),
    N(CPOPW, "cpopw"),
    N(REV8, "rev8"),
    N(ORC_B, "orc.b"),
    N(LOAD, "load"),
    N(STORE, "store"),
    N(AMO, "amo"),
    N(LR, "lr"),
    N(SC, "sc"),
    N(FENCE, "fence"),
    N(FP_ON, "fp.on"),
    N(FP_NEAREST, "fp.nearest"),
    N(FCSR_READ, "fcsr.read"),
    N(FCSR_WRITE, "fcsr.write"),
    N(FADD, "fadd"),
    N(FSUB, "fsub"),
    N(FMUL, "fmul"),
    N(FDIV, "fdiv"),
    N(FSQRT, "fsqrt"),
    N(FMADD, "fmadd"),
    N(FMSUB, "fmsub"),
    N(FNMSUB, "fnmsub"),
    N(FNMADD, "fnmadd"),
    N(FMIN, "fmin"),
    N(FMAX, "fmax"),
    N(FSGNJ, "fsgnj"),
    N(FSGNJN, "fsgnjn"),
    N(FSGNJX, "fsgnjx"),
    N(FEQ, "feq"),
    N(FLT, "flt"),
    N(FLE, "fle"),
    N(FCLASS, "fclass"),
    N(FMV_TO_X, "fmv.x"),
    N(FMV_FROM_X, "fmv.f"),
    N(FCVT_TO_INT, "fcvt.int"),
    N(FCVT_FROM_INT, "fcvt.f"),
    N(FCVT_FORMAT, "fcvt"),
    N(BRANCH, "branch"),
    N(CHECK, "check"),
    N(JUMP, "jump"),
    N(JUMP_REG, "jump"),
    N(STEP, "step"),
    N(VECTOR_ON, "vector.on"),
    N(VECTOR, "vector"),
    N(VECTOR_LENGTH, "vl"),
    N(EXECUTE, "execute"),
    N(SAME, "same"),
    N(LABEL, "label"),
    N(SYSTEM, "system"),
#undef N
};

/* For an operand: always NUL-terminated. */
static const char *reg_name(ir_reg reg, char text[8])
{
    if (reg < 32)
        return riscv_reg_names[reg];
    if (reg < IR_T(0))
        return riscv_freg_names[reg - 32];
    snprintf(text, 8, "t%u'", (unsigned)(reg - IR_T(0)) & 0xff);
    return text;
}

void ir_describe(const struct ir *ir, char *text, unsigned capacity)
{
    static const char *const conditions[] = {"==", "!=", "<", ">=", "<u", ">=u"};
    static const char *const amos[] = {"swap", "add", "xor",  "and", "or",
                                       "min",  "max", "minu", "maxu"};
    char d[8], a[8], b[8], c[8];
    const char *name = ir->op < IR_OPS && names[ir->op] != NULL ? names[ir->op] : "?";
    const char *dst = reg_name(ir->dst, d), *ra = reg_name(ir->a, a), *rb = reg_name(ir->b, b);
    const unsigned bits = 8u << (ir->sub & IR_WIDTH);

    switch ((enum ir_op)ir->op) {
    case IR_CONST: snprintf(text, capacity, "%s = %#" PRIx64, dst, (uint64_t)ir->imm); break;
    case IR_ADDRESS:
        snprintf(text, capacity, "%s = address %" PRIx64, dst, (uint64_t)ir->imm);
        break;
    case IR_LOAD:
        snprintf(text, capacity, "%s = %s%u [%s%+" PRId64 "]", dst,
                 ir->sub & IR_SIGNED ? "load.s" : "load.u", bits, ra, ir->imm);
        break;
    case IR_STORE:
        snprintf(text, capacity, "store%u [%s%+" PRId64 "] = %s", bits, ra, ir->imm, rb);
        break;
    case IR_AMO:
        snprintf(text, capacity, "%s = amo%s%u [%s], %s", dst,
                 ir->imm >= 0 && ir->imm <= IR_AMO_MAXU ? amos[ir->imm] : "?", bits, ra, rb);
        break;
    case IR_LR: snprintf(text, capacity, "%s = lr%u [%s]", dst, bits, ra); break;
    case IR_SC: snprintf(text, capacity, "%s = sc%u [%s], %s", dst, bits, ra, rb); break;
    case IR_FENCE:
        snprintf(text, capacity, "fence %s", ir->sub == IR_FENCE_FULL ? "full" : "order");
        break;
    case IR_FP_ON: snprintf(text, capacity, "fp.on %s", ir->sub ? "dirty" : "read"); break;
    case IR_FCSR_READ: snprintf(text, capacity, "%s = csr %" PRId64, dst, ir->imm); break;
    case IR_FCSR_WRITE: snprintf(text, capacity, "csr %" PRId64 " = %s", ir->imm, rb); break;
    case IR_VECTOR:
        snprintf(text, capacity, "%s = vector %08" PRIx32 " %s, %s", dst, (uint32_t)ir->imm, ra,
                 ir->b == IR_NONE ? "0" : rb);
        break;
    case IR_VECTOR_LENGTH: snprintf(text, capacity, "%s = vl", dst); break;
    case IR_VECTOR_ON:
    case IR_FP_NEAREST:
    case IR_CHECK: snprintf(text, capacity, "%s", name); break;
    case IR_BRANCH:
        snprintf(text, capacity, "if %s %s %s jump %#" PRIx64, ra,
                 ir->sub <= IR_GEU ? conditions[ir->sub] : "?", ir->b == IR_NONE ? "0" : rb,
                 (uint64_t)ir->imm);
        break;
    case IR_JUMP:
    case IR_STEP:
    case IR_SAME:
    case IR_LABEL:
    case IR_SYSTEM: snprintf(text, capacity, "%s %#" PRIx64, name, (uint64_t)ir->imm); break;
    case IR_JUMP_REG:
        snprintf(text, capacity, "jump %s%s", ra,
                 ir->sub == IR_CALL     ? " (call)"
                 : ir->sub == IR_RETURN ? " (return)"
                                        : "");
        break;
    default:
        if (ir->op >= IR_FADD && ir->op <= IR_FCVT_FORMAT)
            snprintf(text, capacity, "%s = %s.%c %s%s%s%s%s", dst, name,
                     ir->sub == IR_D ? 'd' : 's', ra, ir->b != IR_NONE ? ", " : "",
                     ir->b != IR_NONE ? rb : "",
                     ir->op >= IR_FMADD && ir->op <= IR_FNMADD ? ", " : "",
                     ir->op >= IR_FMADD && ir->op <= IR_FNMADD ? reg_name(ir->c, c) : "");
        else if (ir->op == IR_MOV || (ir->op >= IR_SEXT_B && ir->op <= IR_ORC_B))
            snprintf(text, capacity, "%s = %s %s", dst, name, ra);
        else if (ir->op == IR_SHADD || ir->op == IR_SHADD_UW)
            snprintf(text, capacity, "%s = %s %s << %u, %s", dst, name, ra, ir->sub, rb);
        else if (ir->b == IR_NONE)
            snprintf(text, capacity, "%s = %s %s, %" PRId64, dst, name, ra, ir->imm);
        else
            snprintf(text, capacity, "%s = %s %s, %s", dst, name, ra, rb);
        break;
    }
}
