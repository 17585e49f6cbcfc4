/*
 * What a load or store that trapped wants to do: from htinst where the hart fills it (Privileged
 * ISA 20240411, 15.6.3 "Transformed Instruction or Pseudoinstruction"), else from the instruction.
 */
#ifndef ENGINE_HEXT_ACCESS_H
#define ENGINE_HEXT_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

enum hext_access_kind {
    ACCESS_NONE,   /* not one that a device could answer */
    ACCESS_LOADS,  /* integer load into x[reg] */
    ACCESS_STORES, /* integer store from x[reg] */
    ACCESS_FLOADS, /* the same for f[reg] */
    ACCESS_FSTORES,
    ACCESS_RESERVES, /* LR; it faults as a load. Devices take neither it nor */
    ACCESS_ATOMIC,   /* AMO and SC, which fault as stores */
};

struct hext_access {
    enum hext_access_kind kind;
    uint8_t width;  /* 1, 2, 4 or 8 */
    bool sign;      /* the loaded value is sign-extended */
    uint8_t reg;    /* rd of loads, rs2 of stores */
    uint8_t length; /* of the instruction, in bytes */
};

/* Decodes an instruction as fetched. False, and kind ACCESS_NONE, if it is none of these. */
bool hext_access_decode(uint32_t insn, struct hext_access *access);
/* htinst names the access itself; false: it is 0, a pseudoinstruction or nothing we know: fetch. */
bool hext_access_transformed(uint64_t htinst, struct hext_access *access);
/* htinst says that the hart failed to read or write a VS-stage page table (15.6.3). */
bool hext_access_implicit(uint64_t htinst);
/* What goes into the register for the bytes read. */
uint64_t hext_access_extend(const struct hext_access *access, uint64_t data);

#endif
