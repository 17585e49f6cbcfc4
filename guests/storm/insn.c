/*
 * storm: instructions. All 16-bit ones, all opcode/funct3/funct7 and all of SYSTEM that are no
 * CSR's in turn, and random words.
 */
#include "storm.h"

enum { WFI = 0x10500073, WRS_NTO = 0x00d00073 };

/* Whether a jump by `offset` ends in the sandbox, and not in itself (which would never end). */
static bool jump_ends(int64_t offset, int64_t length)
{
    return (offset < 0 || offset >= length) && offset >= -SANDBOX_SIZE / 2 &&
           offset < SANDBOX_SIZE / 2 - 8;
}

static int64_t field(uint32_t word, int from, int width, int to)
{
    return (int64_t)(word >> from & ((1U << width) - 1)) << to;
}

static int64_t extend(int64_t value, int width)
{
    return (int64_t)((uint64_t)value << (64 - width)) >> (64 - width);
}

static bool ends(const struct hart *hart, uint32_t w)
{
    uint32_t rs1 = w >> 15 & 31, funct3 = w >> 12 & 7;

    if ((w & 3) != 3) {
        funct3 = w >> 13 & 7;
        switch ((w & 3) << 3 | funct3) {
        case 1 << 3 | 5: /* c.j */
            return jump_ends(extend(field(w, 12, 1, 11) | field(w, 11, 1, 4) | field(w, 9, 2, 8) |
                                        field(w, 8, 1, 10) | field(w, 7, 1, 6) | field(w, 6, 1, 7) |
                                        field(w, 3, 3, 1) | field(w, 2, 1, 5),
                                    12),
                             2);
        case 1 << 3 | 6: /* c.beqz, c.bnez */
        case 1 << 3 | 7:
            return jump_ends(extend(field(w, 12, 1, 8) | field(w, 10, 2, 3) | field(w, 5, 2, 6) |
                                        field(w, 3, 2, 1) | field(w, 2, 1, 5),
                                    9),
                             2);
        case 2 << 3 | 4: /* c.jr, c.jalr: not into the scratch, which may hold anything */
            return (w & 0x7c) || !touches_ram(hart->regs[w >> 7 & 31] - 4, 8);
        default: return true;
        }
    }
    switch (w & 0x7f) {
    case 0x63:
        return jump_ends(extend(field(w, 31, 1, 12) | field(w, 7, 1, 11) | field(w, 25, 6, 5) |
                                    field(w, 8, 4, 1),
                                13),
                         4);
    case 0x6f:
        return jump_ends(extend(field(w, 31, 1, 20) | field(w, 12, 8, 12) | field(w, 20, 1, 11) |
                                    field(w, 21, 10, 1),
                                21),
                         4);
    case 0x67: return !touches_ram(hart->regs[rs1] - 4096, 8192);
    case 0x73: /* CSRs: csr.c; calls: call.c; in U-mode nothing would end wfi and wrs */
        if (hart->user && (w == WFI || w == WRS_NTO))
            return false;
        return funct3 == 4 || (funct3 == 0 && (w >> 7 || hart->user));
    default: return true;
    }
}

void storm_insn(struct hart *hart)
{
    uint64_t step = hart->origin + hart->walked_words++, random = random_next(hart);
    uint32_t word = (uint32_t)random;

    if (step % 8 == 0)
        registers_fill(hart);
    hart->user = random >> 62 == 0;
    switch (step % 5) {
    case 0: /* 16 bits */
        word = (uint32_t)(step / 5 * 40503) & 0xffff;
        if ((word & 3) == 3)
            word ^= 1;
        break;
    case 1: { /* opcode, funct3, funct7; the multiplier is odd, so that all come */
        uint32_t index = (uint32_t)(step / 5 * 12289) & 0x7fff;
        word = (word & ~0xfe00707fU) | 3 | (index & 31) << 2 | (index >> 5 & 7) << 12 |
               (index >> 8) << 25;
        break;
    }
    case 2: /* SYSTEM, MISC-MEM and AMO are where the rules are */
        word &= ~0x7fU;
        word |= random >> 40 & 1 ? 0x73 : random >> 41 & 1 ? 0x0f : 0x2f;
        if ((word & 0x7f) == 0x73)
            word &= random >> 42 & 1 ? 0xfff0007fU : 0xffffc07fU;
        break;
    case 3: { /* funct12 with funct3 0 and 4; half of them with registers 0, as the rules are */
        uint32_t index = (uint32_t)(step / 5 * 4099) & 0x1fff;
        word = (index & 0xfff) << 20 | (index >> 12) << 14 | 0x73 |
               (random >> 40 & 1 ? 0 : (word & 0x000f8f80));
        break;
    }
    default: break;
    }
    if (ends(hart, word))
        run(hart, word, 0);
    hart->user = false;
}
