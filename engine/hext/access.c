#include "engine/hext/access.h"

#include "riscv/insn.h"

bool hext_access_decode(uint32_t raw, struct hext_access *access)
{
    struct insn insn;

    *access = (struct hext_access){.kind = ACCESS_NONE};
    if (!insn_decode(raw, &insn))
        return false;
    access->length = insn.length;
    switch (insn_table[insn.op].format) {
    case FMT_LOAD:
        access->kind = ACCESS_LOADS;
        access->reg = insn.rd;
        break;
    case FMT_STORE:
        access->kind = ACCESS_STORES;
        access->reg = insn.rs2;
        break;
    case FMT_FLOAD:
        access->kind = ACCESS_FLOADS;
        access->reg = insn.rd;
        break;
    case FMT_FSTORE:
        access->kind = ACCESS_FSTORES;
        access->reg = insn.rs2;
        break;
    case FMT_AMO:
    case FMT_LR: access->kind = ACCESS_ATOMIC; return true;
    default: return false;
    }
    switch (insn.op) {
    case OP_lb:
    case OP_lbu:
    case OP_sb: access->width = 1; break;
    case OP_lh:
    case OP_lhu:
    case OP_sh:
    case OP_flh:
    case OP_fsh: access->width = 2; break;
    case OP_lw:
    case OP_lwu:
    case OP_sw:
    case OP_flw:
    case OP_fsw: access->width = 4; break;
    default: access->width = 8; break;
    }
    access->sign = insn.op == OP_lb || insn.op == OP_lh || insn.op == OP_lw;
    return true;
}

bool hext_access_transformed(uint64_t htinst, struct hext_access *access)
{
    *access = (struct hext_access){.kind = ACCESS_NONE};
    /* Bit 0 set: a standard instruction, whose bit 1 says whether it was a 32-bit one. */
    if ((htinst & 1) == 0 || htinst >> 32 != 0)
        return false;
    if (!hext_access_decode((uint32_t)htinst | 3, access))
        return false;
    access->length = (htinst & 2) != 0 ? 4 : 2;
    return true;
}

bool hext_access_implicit(uint64_t htinst)
{
    /* 64-bit and 32-bit PTEs, read and write: table "Special pseudoinstruction values". */
    return htinst == 0x3000 || htinst == 0x3020 || htinst == 0x2000 || htinst == 0x2020;
}

uint64_t hext_access_extend(const struct hext_access *access, uint64_t data)
{
    if (access->kind == ACCESS_FLOADS) /* NaN-boxing of narrower values (13.2) */
        return access->width == 8 ? data : data | ~0ULL << 8 * access->width;
    if (access->width == 8)
        return data;
    unsigned spare = 64 - 8 * access->width;
    return access->sign ? (uint64_t)((int64_t)(data << spare) >> spare) : data << spare >> spare;
}
