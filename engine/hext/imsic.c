#include "engine/hext/imsic.h"

#include <stddef.h>

#define CSR_SIREG  0x151
#define CSR_STOPEI 0x15c

bool imsic_execute(struct imsic_file *file, uint32_t insn, uint64_t select, uint64_t *x)
{
    enum { SYSTEM = 0x73, WRITE = 1, SET = 2, CLEAR = 3, IMMEDIATE = 4 };
    unsigned kind = insn >> 12 & 3, source = insn >> 15 & 31, target = insn >> 7 & 31;
    unsigned csr = insn >> 20;
    bool immediate = (insn >> 12 & IMMEDIATE) != 0, writes = kind == WRITE || source != 0;
    uint64_t operand = immediate || source == 0 ? source : x[source], old, writable;

    if ((insn & 0x7f) != SYSTEM || kind == 0)
        return false;
    if (csr == CSR_STOPEI) {
        /* What is written is ignored: the identity that is read is claimed (3.10). */
        uint32_t identity = imsic_top(file) >> 16;
        old = identity << 16 | identity;
        if (writes)
            imsic_claim(file, identity);
    } else {
        uint64_t *word = imsic_register(file, select, &writable);
        if (csr != CSR_SIREG || word == NULL)
            return false;
        old = *word;
        if (writes) {
            uint64_t value = kind == SET ? old | operand : kind == CLEAR ? old & ~operand : operand;
            *word = value & writable;
        }
    }
    if (target != 0)
        x[target] = old;
    return true;
}
