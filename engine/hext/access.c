#include "engine/hext/access.h"

/* Unprivileged ISA, table "RISC-V base opcode map", and 13 to 15 for their widths (funct3). */
static void decode_long(uint32_t raw, struct hext_access *access)
{
    enum { LOAD = 0x03, LOAD_FP = 0x07, STORE = 0x23, STORE_FP = 0x27, AMO = 0x2f };
    unsigned width = raw >> 12 & 7;
    uint8_t rd = raw >> 7 & 31, rs2 = raw >> 20 & 31;
    bool fp = width >= 1 && width <= 3; /* half, single, double; the others are vectors */

    access->length = 4;
    access->width = (uint8_t)(1 << (width & 3));
    switch (raw & 0x7f) {
    case LOAD:
        access->kind = width != 7 ? ACCESS_LOADS : ACCESS_NONE;
        access->reg = rd;
        access->sign = width < 3;
        break;
    case STORE:
        access->kind = width <= 3 ? ACCESS_STORES : ACCESS_NONE;
        access->reg = rs2;
        break;
    case LOAD_FP:
        access->kind = fp ? ACCESS_FLOADS : ACCESS_NONE;
        access->reg = rd;
        break;
    case STORE_FP:
        access->kind = fp ? ACCESS_FSTORES : ACCESS_NONE;
        access->reg = rs2;
        break;
    case AMO: access->kind = raw >> 27 == 2 ? ACCESS_RESERVES : ACCESS_ATOMIC; break;
    default: break;
    }
}

/* C.LBU, C.LHU, C.LH, C.SB and C.SH (Zcb, "Zc* Code Size Reduction", 1.0.0). */
static void decode_zcb(uint32_t raw, struct hext_access *access)
{
    unsigned function = raw >> 10 & 7;
    bool bit6 = (raw & 0x40) != 0;

    access->width = (function & 1) != 0 ? 2 : 1;
    access->sign = function == 1 && bit6;
    if (function > 3 || (function == 3 && bit6))
        return;
    access->kind = function >= 2 ? ACCESS_STORES : ACCESS_LOADS;
}

/* Chapter "C" extension, table "RVC opcode map" for RV64: quadrants 0 and 2. */
static void decode_compressed(uint32_t raw, struct hext_access *access)
{
    unsigned quadrant = raw & 3, function = raw >> 13 & 7;
    bool store = function >= 5;
    uint8_t reg = raw >> 2 & 7;

    access->length = 2;
    access->reg = reg + 8;
    if (quadrant == 2)
        access->reg = (store ? raw >> 2 : raw >> 7) & 31;
    if (quadrant == 1 || function == 0 || (function == 4 && quadrant == 2))
        return;
    if (function == 4) {
        decode_zcb(raw, access);
        return;
    }
    bool fp = (function & 3) == 1;
    access->width = (function & 3) == 2 ? 4 : 8;
    access->sign = function == 2;
    /* C.LWSP and C.LDSP to x0 are reserved. */
    if (quadrant == 2 && !store && !fp && access->reg == 0)
        return;
    if (store)
        access->kind = fp ? ACCESS_FSTORES : ACCESS_STORES;
    else
        access->kind = fp ? ACCESS_FLOADS : ACCESS_LOADS;
}

bool hext_access_decode(uint32_t raw, struct hext_access *access)
{
    *access = (struct hext_access){.kind = ACCESS_NONE};
    if ((raw & 3) == 3)
        decode_long(raw, access);
    else
        decode_compressed(raw, access);
    return access->kind != ACCESS_NONE;
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
