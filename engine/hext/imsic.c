#include "engine/hext/imsic.h"

#include <stddef.h>

#define CSR_SIREG  0x151
#define CSR_STOPEI 0x15c

void imsic_reset(struct imsic_file *file)
{
    file->delivery = file->threshold = 0;
    for (unsigned w = 0; w <= IMSIC_IDS_MAX / 64; w++)
        file->pending[w] = file->enabled[w] = 0;
}

void imsic_receive(struct imsic_file *file, uint32_t identity)
{
    if (identity != 0 && identity <= file->ids)
        file->pending[identity / 64] |= 1ULL << identity % 64;
}

uint32_t imsic_top(const struct imsic_file *file)
{
    for (uint32_t w = 0; w <= file->ids / 64; w++) {
        uint64_t ready = file->pending[w] & file->enabled[w];
        if (ready == 0)
            continue;
        uint32_t identity = w * 64 + (uint32_t)__builtin_ctzll(ready);
        /* Identities from the threshold on do not count, if it is not 0 (3.8.2). */
        return file->threshold == 0 || identity < file->threshold ? identity << 16 | identity : 0;
    }
    return 0;
}

bool imsic_signals(const struct imsic_file *file)
{
    return file->delivery != 0 && imsic_top(file) != 0;
}

/* The register that siselect names and the bits of it that may be written; NULL: none. */
static uint64_t *selected(struct imsic_file *file, uint64_t select, uint64_t *writable)
{
    *writable = 1;
    if (select == IMSIC_EIDELIVERY)
        return &file->delivery;
    *writable = IMSIC_IDS_MAX;
    if (select == IMSIC_EITHRESHOLD)
        return &file->threshold;
    if (select < IMSIC_EIP0 || select > 0xff || (select & 1) != 0)
        return NULL;
    unsigned w = (unsigned)(select & 0x3f) / 2;
    *writable = w > file->ids / 64 ? 0 : w == 0 ? ~1ULL : ~0ULL;
    return select < IMSIC_EIE0 ? &file->pending[w] : &file->enabled[w];
}

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
            file->pending[identity / 64] &= ~(1ULL << identity % 64);
    } else {
        uint64_t *word = selected(file, select, &writable);
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
