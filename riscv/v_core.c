/* The vector extension's common part: what may be executed, vset*, CSRs, saved state. */
#include "riscv/v_internal.h"

#include "core/error.h"

#define VTYPE_FIELDS (VTYPE_LMUL | VTYPE_SEW | VTYPE_VTA | VTYPE_VMA)
#define ELEN_SHIFT   3 /* log2 of the bytes of the widest element */

/* Fields of vtype (V, 3.4.1, 3.4.2): log2 of SEW in bytes, and of LMUL. */
static unsigned sew_of(uint64_t vtype)
{
    return (unsigned)(vtype & VTYPE_SEW) >> VTYPE_SEW_SHIFT;
}

static int lmul_of(uint64_t vtype)
{
    const int field = (int)(vtype & VTYPE_LMUL);
    return field < 4 ? field : field - 8;
}

/* An element fits into a register's share of LMUL < 1: SEW <= LMUL * ELEN (V, 3.4.2). */
bool riscv_vtype_is_supported(uint64_t vtype)
{
    const int lmul = lmul_of(vtype), sew = (int)sew_of(vtype);
    return (vtype & ~(uint64_t)VTYPE_FIELDS) == 0 && lmul != -4 && sew <= ELEN_SHIFT &&
           (lmul >= 0 || sew <= ELEN_SHIFT + lmul);
}

uint64_t riscv_vlmax(uint64_t vtype, unsigned vlen)
{
    const int shift = lmul_of(vtype) - (int)sew_of(vtype);
    const uint64_t bytes = vlen / 8;
    return shift >= 0 ? bytes << shift : bytes >> -shift;
}

/* ---- vset* ---- */

static void set_vl(struct riscv_vcpu *hart, uint64_t vtype, uint64_t avl)
{
    if (!riscv_vtype_is_supported(vtype)) {
        hart->vtype = VTYPE_VILL;
        hart->vl = 0;
        return;
    }
    const uint64_t vlmax = riscv_vlmax(vtype, hart->isa.vlen);
    hart->vtype = vtype;
    hart->vl = avl < vlmax ? avl : vlmax;
}

static void vset(struct riscv_vcpu *hart, unsigned op, uint32_t raw)
{
    const unsigned rd = raw >> 7 & 31, rs1 = raw >> 15 & 31, rs2 = raw >> 20 & 31;

    if (op == OP_vsetivli) {
        set_vl(hart, raw >> 20 & 0x3ff, rs1);
    } else {
        const uint64_t vtype = op == OP_vsetvli ? raw >> 20 & 0x7ff : hart->x[rs2];
        /* x0 asks for the most, or with rd = x0 for what there is (V, 6.2). */
        const uint64_t avl = rs1 != 0 ? hart->x[rs1] : rd != 0 ? UINT64_MAX : hart->vl;
        set_vl(hart, vtype, avl);
    }
    if (rd != 0)
        hart->x[rd] = hart->vl;
}

/* ---- the others ---- */

/* Who executes what, by the fields that group the listing (V, "Vector Instruction Listing"). */
typedef bool executor(const struct vop *o);

static executor *of_opi(unsigned funct6, unsigned funct3)
{
    switch (funct6) {
    case 0x0c: /* vrgather, vslideup, vrgatherei16, vslidedown, vmerge, vmv.v */
    case 0x0e:
    case 0x0f:
    case 0x17: return v_permute;
    case 0x20: /* vsadd, vssub */
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x2a: /* vssrl, vssra, vnclip */
    case 0x2b:
    case 0x2e:
    case 0x2f: return v_fixed;
    case 0x27: return funct3 == 3 ? v_permute : v_fixed; /* vmv<nr>r, vsmul */
    case 0x30:                                           /* vwredsum */
    case 0x31: return v_reduce;
    default: return v_integer;
    }
}

static executor *of_opm(unsigned funct6, unsigned funct3, unsigned vs1)
{
    if (funct6 < 0x08)
        return v_reduce;
    if (funct6 < 0x0c)
        return v_fixed; /* vaadd, vasub */
    if (funct6 < 0x0e)
        return v_crypto; /* vclmul */
    if (funct6 < 0x10)
        return v_permute; /* vslide1 */
    if (funct6 == 0x10)
        return funct3 == 6 || vs1 == 0 ? v_permute : v_mask; /* vmv.s.x, vmv.x.s; vcpop, vfirst */
    if (funct6 == 0x14 || (funct6 > 0x17 && funct6 < 0x20))
        return v_mask;
    return funct6 == 0x17 ? v_permute : v_integer; /* vcompress */
}

static executor *executor_of(uint32_t raw)
{
    const unsigned funct6 = raw >> 26, funct3 = raw >> 12 & 7, vs1 = raw >> 15 & 31;

    if ((raw & 0x7f) == 0x77)
        return v_crypto;
    switch (funct3) {
    case 1:
    case 5: return v_float;
    case 2:
    case 6: return of_opm(funct6, funct3, vs1);
    default: return of_opi(funct6, funct3);
    }
}

/* Depends on nothing that vtype says (V, 3.4.4). */
static bool needs_no_vtype(uint32_t raw, uint16_t flags)
{
    return (flags & INSN_MEM) != 0 && (raw >> 26 & 3) == 0 && (raw >> 20 & 31) == 8;
}

enum riscv_vresult riscv_vector(struct riscv_vcpu *hart, unsigned op, uint32_t raw,
                                const struct riscv_vmemory *memory)
{
    const uint16_t flags = insn_table[op].flags;
    struct vop o = {
        .hart = hart,
        .op = op,
        .raw = raw,
        .vd = raw >> 7 & 31,
        .vs1 = raw >> 15 & 31,
        .vs2 = raw >> 20 & 31,
        .masked = (raw >> 25 & 1) == 0,
        .ones = hart->v_ones,
        .vlenb = hart->isa.vlen / 8u,
        .vl = hart->vl,
        .vstart = hart->vstart,
    };

    if ((hart->mstatus & MSTATUS_VS) == 0 ||
        ((flags & INSN_FP) != 0 && (hart->mstatus & MSTATUS_FS) == 0))
        return VECTOR_ILLEGAL;
    if (op == OP_vsetvli || op == OP_vsetivli || op == OP_vsetvl) {
        vset(hart, op, raw);
    } else {
        if ((hart->vtype & VTYPE_VILL) == 0) {
            o.sew = sew_of(hart->vtype);
            o.lmul = lmul_of(hart->vtype);
            o.vlmax = riscv_vlmax(hart->vtype, hart->isa.vlen);
        } else if (!needs_no_vtype(raw, flags)) {
            return VECTOR_ILLEGAL;
        }
        if ((flags & INSN_MEM) != 0) {
            const enum riscv_vresult result = v_memory(&o, memory);
            if (result != VECTOR_DONE) {
                hart->mstatus |= result == VECTOR_TRAP ? MSTATUS_VS : 0;
                return result;
            }
        } else if (!executor_of(raw)(&o)) {
            return VECTOR_ILLEGAL;
        }
    }
    hart->vstart = 0;
    /* FS: of all that may change fflags, as of scalar ones (Privileged ISA, 3.1.6.6). */
    hart->mstatus |= (flags & INSN_FP) != 0 ? MSTATUS_VS | MSTATUS_FS : MSTATUS_VS;
    return VECTOR_DONE;
}

/* ---- CSRs ---- */

bool riscv_vector_read(const struct riscv_vcpu *hart, unsigned csr, uint64_t *value)
{
    switch (csr) {
    case CSR_vstart: *value = hart->vstart; return true;
    case CSR_vxsat: *value = hart->vxsat; return true;
    case CSR_vxrm: *value = hart->vxrm; return true;
    case CSR_vcsr: *value = (uint64_t)hart->vxrm << 1 | hart->vxsat; return true;
    case CSR_vl: *value = hart->vl; return true;
    case CSR_vtype: *value = hart->vtype; return true;
    case CSR_vlenb: *value = hart->isa.vlen / 8; return true;
    default: return false;
    }
}

bool riscv_vector_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    switch (csr) {
    case CSR_vstart: hart->vstart = value & (hart->isa.vlen - 1u); break; /* V, 3.7 */
    case CSR_vxsat: hart->vxsat = value & 1; break;
    case CSR_vxrm: hart->vxrm = value & 3; break;
    case CSR_vcsr:
        hart->vxsat = value & 1;
        hart->vxrm = value >> 1 & 3;
        break;
    default: return false;
    }
    hart->mstatus |= MSTATUS_VS;
    return true;
}

/* ---- life ---- */

void riscv_vector_reset(struct riscv_vcpu *hart)
{
    memset(hart->v, 0, sizeof hart->v);
    hart->vl = hart->vstart = 0;
    hart->vtype = VTYPE_VILL;
    hart->vxrm = 0;
    hart->vxsat = false;
}

void riscv_vector_state(struct riscv_vcpu *hart, struct state *s)
{
    state_bytes(s, hart->v, 32u * hart->isa.vlen / 8);
    state_u64(s, &hart->vl);
    state_u64(s, &hart->vtype);
    state_u64(s, &hart->vstart);
    state_u8(s, &hart->vxrm);
    state_bool(s, &hart->vxsat);
}

bool riscv_vector_is_sound(const struct riscv_vcpu *hart)
{
    const bool ill = hart->vtype == VTYPE_VILL;
    return (ill ? hart->vl == 0
                : riscv_vtype_is_supported(hart->vtype) &&
                      hart->vl <= riscv_vlmax(hart->vtype, hart->isa.vlen)) &&
           hart->vstart < hart->isa.vlen && hart->vxrm <= 3;
}
