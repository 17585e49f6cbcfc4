/*
 * x86-64 machine code, one named function for each kind of instruction that the translator emits
 * (Intel SDM volume 2; the encodings' letters are those of its opcode tables). 64-bit operands
 * unless the name ends in 32. Memory operands are [base + index * 2^scale + disp].
 */
#ifndef ENGINE_JIT_X86_ENCODE_H
#define ENGINE_JIT_X86_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum x86_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    NO_REG = 0xff,
};

/* Condition codes: what Jcc, SETcc and CMOVcc add to their opcodes. */
enum x86_cc {
    CC_B = 2,
    CC_AE = 3,
    CC_E = 4,
    CC_NE = 5,
    CC_BE = 6,
    CC_A = 7,
    CC_S = 8,
    CC_P = 10,
    CC_NP = 11,
    CC_L = 12,
    CC_GE = 13,
    CC_LE = 14,
    CC_G = 15,
};

/* Most of an instruction is known where it is emitted: little remains of these there. */
#define X86_INLINE static inline __attribute__((always_inline))

struct x86_code {
    uint8_t *at, *end;     /* nothing is written at `end` or beyond */
    bool full;             /* something did not fit */
    const uint8_t *joined; /* the last place that a jump from before comes to */
};

struct x86_mem {
    uint8_t base, index; /* index NO_REG: none */
    uint8_t scale;
    int32_t disp;
};

static inline struct x86_mem mem_at(unsigned base, int32_t disp)
{
    return (struct x86_mem){.base = (uint8_t)base, .index = NO_REG, .disp = disp};
}

static inline struct x86_mem mem_indexed(unsigned base, unsigned index, unsigned scale,
                                         int32_t disp)
{
    return (struct x86_mem){
        .base = (uint8_t)base, .index = (uint8_t)index, .scale = (uint8_t)scale, .disp = disp};
}

/*
 * Instructions are put together in words and written so, with one look at the room for each: what
 * is written behind `at` is of no account, and where less than a word is left it counts as full.
 */
struct x86_bytes {
    uint64_t value; /* the first byte is the lowest */
    unsigned count; /* 8 at most */
};

static inline struct x86_bytes byte_of(unsigned byte)
{
    return (struct x86_bytes){.value = (uint8_t)byte, .count = 1};
}

/* `count` bytes of `value`, which has no others. */
static inline void append(struct x86_bytes *b, uint64_t value, unsigned count)
{
    b->value |= value << 8 * b->count;
    b->count += count;
}

static inline bool has_room(struct x86_code *c, unsigned words)
{
    if (c->end - c->at >= (ptrdiff_t)(words * sizeof(uint64_t)))
        return true;
    c->full = true;
    return false;
}

X86_INLINE void put_bytes(struct x86_code *c, struct x86_bytes b)
{
    if (!has_room(c, 1))
        return;
    memcpy(c->at, &b.value, sizeof b.value); /* this host is little-endian */
    c->at += b.count;
}

/* Both or none. */
X86_INLINE void put_both(struct x86_code *c, struct x86_bytes a, struct x86_bytes b)
{
    uint8_t *at = c->at;
    if (!has_room(c, 2))
        return;
    memcpy(at, &a.value, sizeof a.value);
    at += a.count;
    memcpy(at, &b.value, sizeof b.value);
    c->at = at + b.count;
}

static inline void put8(struct x86_code *c, unsigned byte)
{
    put_bytes(c, byte_of(byte));
}

static inline void put32(struct x86_code *c, uint32_t v)
{
    put_bytes(c, (struct x86_bytes){.value = v, .count = 4});
}

static inline void put64(struct x86_code *c, uint64_t v)
{
    put_bytes(c, (struct x86_bytes){.value = v, .count = 8});
}

static inline bool fits8(int64_t v)
{
    return v == (int8_t)v;
}

static inline bool fits32(int64_t v)
{
    return v == (int32_t)v;
}

/* Opcodes: 0x0Fxx and 0x0F38xx are two and three bytes; the upper half is a mandatory prefix. */
#define X86_PREFIX(prefix, opcode) ((uint32_t)(prefix) << 24 | (opcode))

/* `wide`: REX.W. `byte`: reg or rm is a byte register, for which REX makes sil, dil of 6 and 7. */
static inline struct x86_bytes prefixes(bool wide, unsigned reg, unsigned index, unsigned base,
                                        uint32_t opcode, bool byte)
{
    struct x86_bytes b = {0};
    unsigned rex = (wide ? 8u : 0u) | (reg >> 3 & 1) << 2 |
                   (index != NO_REG ? (index >> 3 & 1) << 1 : 0u) | (base >> 3 & 1);
    if (opcode >> 24 != 0)
        append(&b, opcode >> 24, 1);
    if (rex != 0 || (byte && ((reg >= 4 && reg < 8) || (base >= 4 && base < 8))))
        append(&b, 0x40 | rex, 1);
    return b;
}

static inline void append_opcode(struct x86_bytes *b, uint32_t opcode)
{
    opcode &= 0xffffff;
    if (opcode > 0xffff)
        append(b, opcode >> 16, 1);
    if (opcode > 0xff)
        append(b, opcode >> 8 & 0xff, 1);
    append(b, opcode & 0xff, 1);
}

/* ModRM with a register in both places. */
static inline struct x86_bytes reg_form(bool wide, uint32_t opcode, unsigned reg, unsigned rm,
                                        bool byte)
{
    struct x86_bytes b = prefixes(wide, reg, NO_REG, rm, opcode, byte);
    append_opcode(&b, opcode);
    append(&b, 0xc0 | (reg & 7) << 3 | (rm & 7), 1);
    return b;
}

X86_INLINE void x_reg(struct x86_code *c, bool wide, uint32_t opcode, unsigned reg, unsigned rm)
{
    put_bytes(c, reg_form(wide, opcode, reg, rm, false));
}

X86_INLINE void x_reg8(struct x86_code *c, uint32_t opcode, unsigned reg, unsigned rm)
{
    put_bytes(c, reg_form(false, opcode, reg, rm, true));
}

/* An opcode with a register in its low bits, and nothing else. */
static inline struct x86_bytes short_form(bool wide, uint32_t opcode, unsigned reg)
{
    struct x86_bytes b = prefixes(wide, 0, NO_REG, reg, 0, false);
    append_opcode(&b, opcode | (reg & 7));
    return b;
}

/* ModRM, SIB and displacement; bytes of the latter that do not count are there, so nothing is to be
 * appended. */
static inline struct x86_bytes mem_form(unsigned reg, struct x86_mem m)
{
    const bool none = m.disp == 0 && (m.base & 7) != RBP, small = fits8(m.disp);
    const bool sib = m.index != NO_REG || (m.base & 7) == RSP;
    struct x86_bytes b = byte_of((none    ? 0u
                                  : small ? 1u
                                          : 2u)
                                     << 6 |
                                 (reg & 7) << 3 | (sib ? 4u : m.base & 7u));
    if (sib)
        append(&b,
               (unsigned)m.scale << 6 | (m.index != NO_REG ? m.index & 7u : 4u) << 3 | (m.base & 7),
               1);
    append(&b, (uint32_t)m.disp, none ? 0 : small ? 1 : 4);
    return b;
}

/* Most of it is known where it is called. */
static inline __attribute__((always_inline)) void
x_mem(struct x86_code *c, bool wide, uint32_t opcode, unsigned reg, struct x86_mem m)
{
    struct x86_bytes b = prefixes(wide, reg, m.index, m.base, opcode, false);
    append_opcode(&b, opcode);
    put_both(c, b, mem_form(reg, m));
}

X86_INLINE void x_mem8(struct x86_code *c, uint32_t opcode, unsigned reg, struct x86_mem m)
{
    /* Only `reg` is a byte register. */
    struct x86_bytes b = prefixes(false, reg, m.index, m.base, 0, false);
    if (b.count == 0 && reg >= 4 && reg < 8)
        b = byte_of(0x40);
    append_opcode(&b, opcode);
    put_both(c, b, mem_form(reg, m));
}

/* ---- moves ---- */

X86_INLINE void x_mov(struct x86_code *c, unsigned to, unsigned from)
{
    if (to != from)
        x_reg(c, true, 0x8b, to, from);
}

X86_INLINE void x_mov32(struct x86_code *c, unsigned to, unsigned from)
{
    x_reg(c, false, 0x8b, to, from);
}

static inline void x_const(struct x86_code *c, unsigned to, int64_t value)
{
    if (value == 0) { /* changes flags */
        x_reg(c, false, 0x31, to, to);
    } else if (value > 0 && value <= UINT32_MAX) {
        struct x86_bytes b = short_form(false, 0xb8, to);
        append(&b, (uint32_t)value, 4);
        put_bytes(c, b);
    } else if (fits32(value)) {
        struct x86_bytes b = reg_form(true, 0xc7, 0, to, false);
        append(&b, (uint32_t)value, 4);
        put_bytes(c, b);
    } else {
        put_bytes(c, short_form(true, 0xb8, to));
        put64(c, (uint64_t)value);
    }
}

X86_INLINE void x_load(struct x86_code *c, unsigned to, struct x86_mem m)
{
    x_mem(c, true, 0x8b, to, m);
}

X86_INLINE void x_store(struct x86_code *c, struct x86_mem m, unsigned from)
{
    x_mem(c, true, 0x89, from, m);
}

/* A 64-bit store of a sign-extended 32-bit constant. */
X86_INLINE void x_store_const(struct x86_code *c, struct x86_mem m, int32_t value)
{
    x_mem(c, true, 0xc7, 0, m);
    put32(c, (uint32_t)value);
}

X86_INLINE void x_store32(struct x86_code *c, struct x86_mem m, unsigned from)
{
    x_mem(c, false, 0x89, from, m);
}

X86_INLINE void x_store_const32(struct x86_code *c, struct x86_mem m, uint32_t value)
{
    x_mem(c, false, 0xc7, 0, m);
    put32(c, value);
}

X86_INLINE void x_lea(struct x86_code *c, unsigned to, struct x86_mem m)
{
    x_mem(c, true, 0x8d, to, m);
}

X86_INLINE void x_lea32(struct x86_code *c, unsigned to, struct x86_mem m)
{
    x_mem(c, false, 0x8d, to, m);
}

/* Extensions of parts of a register. */
X86_INLINE void x_movsxd(struct x86_code *c, unsigned to, unsigned from)
{
    x_reg(c, true, 0x63, to, from);
}

X86_INLINE void x_extend8(struct x86_code *c, unsigned to, unsigned from, bool sign)
{
    const uint32_t opcode = sign ? 0x0fbe : 0x0fb6;
    struct x86_bytes b = prefixes(sign, to, NO_REG, from, opcode, from >= 4 && from < 8);
    append_opcode(&b, opcode);
    append(&b, 0xc0 | (to & 7) << 3 | (from & 7), 1);
    put_bytes(c, b);
}

X86_INLINE void x_extend16(struct x86_code *c, unsigned to, unsigned from, bool sign)
{
    x_reg(c, sign, sign ? 0x0fbf : 0x0fb7, to, from);
}

/* ---- arithmetic ---- */

/* The eight operations of opcodes 00-3F and of group 1. */
enum x86_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

X86_INLINE void x_alu(struct x86_code *c, bool wide, enum x86_alu op, unsigned to, unsigned from)
{
    x_reg(c, wide, (uint32_t)op << 3 | 3, to, from);
}

X86_INLINE void x_alu_mem(struct x86_code *c, bool wide, enum x86_alu op, unsigned to,
                          struct x86_mem m)
{
    x_mem(c, wide, (uint32_t)op << 3 | 3, to, m);
}

X86_INLINE void x_alu_const(struct x86_code *c, bool wide, enum x86_alu op, unsigned to,
                            int32_t value)
{
    struct x86_bytes b = reg_form(wide, fits8(value) ? 0x83 : 0x81, op, to, false);
    if (fits8(value))
        append(&b, (uint8_t)value, 1);
    else
        append(&b, (uint32_t)value, 4);
    put_bytes(c, b);
}

/* [m] op= value */
X86_INLINE void x_alu_mem_const(struct x86_code *c, bool wide, enum x86_alu op, struct x86_mem m,
                                int32_t value)
{
    x_mem(c, wide, fits8(value) ? 0x83 : 0x81, op, m);
    if (fits8(value))
        put8(c, (uint8_t)value);
    else
        put32(c, (uint32_t)value);
}

X86_INLINE void x_test(struct x86_code *c, bool wide, unsigned a, unsigned b)
{
    x_reg(c, wide, 0x85, a, b);
}

enum x86_shift { SHIFT_ROL = 0, SHIFT_ROR = 1, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };

X86_INLINE void x_shift(struct x86_code *c, bool wide, enum x86_shift op, unsigned reg,
                        unsigned count)
{
    struct x86_bytes b = reg_form(wide, 0xc1, op, reg, false);
    append(&b, count, 1);
    put_bytes(c, b);
}

/* By cl. */
X86_INLINE void x_shift_cl(struct x86_code *c, bool wide, enum x86_shift op, unsigned reg)
{
    x_reg(c, wide, 0xd3, op, reg);
}

/* Group 3: rdx:rax by a register. */
enum x86_group3 { G3_NOT = 2, G3_NEG = 3, G3_MUL = 4, G3_IMUL = 5, G3_DIV = 6, G3_IDIV = 7 };

X86_INLINE void x_group3(struct x86_code *c, bool wide, enum x86_group3 op, unsigned reg)
{
    x_reg(c, wide, 0xf7, op, reg);
}

X86_INLINE void x_imul(struct x86_code *c, bool wide, unsigned to, unsigned from)
{
    x_reg(c, wide, 0x0faf, to, from);
}

/* rdx = sign of rax (cqo), edx of eax (cdq) */
X86_INLINE void x_cqo(struct x86_code *c, bool wide)
{
    put_bytes(c, short_form(wide, 0x99, 0));
}

X86_INLINE void x_setcc(struct x86_code *c, enum x86_cc cc, unsigned to)
{
    put_bytes(c, reg_form(false, 0x0f90u | cc, 0, to, true));
}

X86_INLINE void x_cmov(struct x86_code *c, enum x86_cc cc, unsigned to, unsigned from)
{
    x_reg(c, true, 0x0f40u | cc, to, from);
}

/* xchg of two registers */
X86_INLINE void x_xchg_reg(struct x86_code *c, unsigned a, unsigned b)
{
    x_reg(c, true, 0x87, a, b);
}

X86_INLINE void x_bswap(struct x86_code *c, unsigned reg)
{
    put_bytes(c, short_form(true, 0x0fc8, reg));
}

/* VEX three-operand forms of BMI1 and BMI2 (SDM 2.3): to = op(a, b), both registers. `prefix`: 0, 1
 * (66), 2 (F3), 3 (F2); map 2: 0F38, 3: 0F3A. */
X86_INLINE void x_vex(struct x86_code *c, unsigned map, unsigned prefix, bool wide, unsigned opcode,
                      unsigned reg, unsigned vvvv, unsigned rm)
{
    struct x86_bytes b = byte_of(0xc4);
    append(&b, (~reg >> 3 & 1) << 7 | 1u << 6 | (~rm >> 3 & 1) << 5 | map, 1);
    append(&b, (wide ? 0x80u : 0u) | (~vvvv & 15) << 3 | prefix, 1);
    append(&b, opcode, 1);
    append(&b, 0xc0 | (reg & 7) << 3 | (rm & 7), 1);
    put_bytes(c, b);
}

/* The prefix of a VEX instruction in map 0F, the short one where it does. */
static inline struct x86_bytes vex_0f(unsigned prefix, unsigned reg, unsigned vvvv, unsigned base,
                                      unsigned index)
{
    const unsigned low = (~vvvv & 15) << 3 | prefix;
    struct x86_bytes b;
    if (base < 8 && (index == NO_REG || index < 8)) {
        b = byte_of(0xc5);
        append(&b, (~reg >> 3 & 1) << 7 | low, 1);
    } else {
        const unsigned x = index != NO_REG ? ~index >> 3 & 1 : 1;
        b = byte_of(0xc4);
        append(&b, (~reg >> 3 & 1) << 7 | x << 6 | (~base >> 3 & 1) << 5 | 1, 1);
        append(&b, low, 1);
    }
    return b;
}

/* reg = vvvv op rm, of AVX's scalars; prefix as x_vex's. */
X86_INLINE void x_avx(struct x86_code *c, unsigned prefix, unsigned opcode, unsigned reg,
                      unsigned vvvv, unsigned rm)
{
    struct x86_bytes b = vex_0f(prefix, reg, vvvv, rm, NO_REG);
    append(&b, opcode, 1);
    append(&b, 0xc0 | (reg & 7) << 3 | (rm & 7), 1);
    put_bytes(c, b);
}

X86_INLINE void x_avx_mem(struct x86_code *c, unsigned prefix, unsigned opcode, unsigned reg,
                          unsigned vvvv, struct x86_mem m)
{
    struct x86_bytes b = vex_0f(prefix, reg, vvvv, m.base, m.index);
    append(&b, opcode, 1);
    put_both(c, b, mem_form(reg, m));
}

/* The general form, of 128 bits or 256 (`y`); the prefix bytes and the opcode. */
static inline struct x86_bytes vex_any(bool y, unsigned map, unsigned prefix, bool wide,
                                       unsigned opcode, unsigned reg, unsigned vvvv, unsigned base,
                                       unsigned index)
{
    const unsigned x = index != NO_REG ? ~index >> 3 & 1 : 1;
    struct x86_bytes b = byte_of(0xc4);
    append(&b, (~reg >> 3 & 1) << 7 | x << 6 | (~base >> 3 & 1) << 5 | map, 1);
    append(&b, (wide ? 0x80u : 0u) | (~vvvv & 15) << 3 | (y ? 4u : 0u) | prefix, 1);
    append(&b, opcode, 1);
    return b;
}

/* reg = vvvv op rm, of vectors. An opcode as X86_V says. */
#define X86_V(map, prefix, opcode)   ((uint32_t)(map) << 16 | (uint32_t)(prefix) << 12 | (opcode))
#define X86_V_W(map, prefix, opcode) (X86_V(map, prefix, opcode) | 0x800u)
X86_INLINE void x_v(struct x86_code *c, bool y, uint32_t op, unsigned reg, unsigned vvvv,
                    unsigned rm)
{
    struct x86_bytes b =
        vex_any(y, op >> 16, op >> 12 & 15, (op & 0x800) != 0, op & 0xff, reg, vvvv, rm, NO_REG);
    append(&b, 0xc0 | (reg & 7) << 3 | (rm & 7), 1);
    put_bytes(c, b);
}

X86_INLINE void x_v_mem(struct x86_code *c, bool y, uint32_t op, unsigned reg, unsigned vvvv,
                        struct x86_mem m)
{
    put_both(c,
             vex_any(y, op >> 16, op >> 12 & 15, (op & 0x800) != 0, op & 0xff, reg, vvvv, m.base,
                     m.index),
             mem_form(reg, m));
}

/* to = a shifted by b: SHLX, SHRX, SARX */
X86_INLINE void x_shiftx(struct x86_code *c, bool wide, enum x86_shift op, unsigned to, unsigned a,
                         unsigned b)
{
    x_vex(c, 2, op == SHIFT_SHL ? 1 : op == SHIFT_SHR ? 3 : 2, wide, 0xf7, to, b, a);
}

/* to = the low word of a, rotated right */
X86_INLINE void x_rorx32(struct x86_code *c, unsigned to, unsigned a, unsigned count)
{
    x_vex(c, 3, 3, false, 0xf0, to, 0, a);
    put8(c, count);
}

/* to = ~a & b */
X86_INLINE void x_andn(struct x86_code *c, unsigned to, unsigned a, unsigned b)
{
    x_vex(c, 2, 0, true, 0xf2, to, a, b);
}

/* ---- jumps ---- */

/* A forward jump whose target is not known yet: the place of its rel32. */
typedef uint8_t *x86_hole;

static inline x86_hole x_jcc(struct x86_code *c, enum x86_cc cc)
{
    put_bytes(c, (struct x86_bytes){.value = 0x800f | (uint64_t)cc << 8, .count = 6});
    return c->at - 4;
}

static inline x86_hole x_jmp(struct x86_code *c)
{
    put_bytes(c, (struct x86_bytes){.value = 0xe9, .count = 5});
    return c->at - 4;
}

/* The same of a call. */
static inline x86_hole x_call(struct x86_code *c)
{
    put_bytes(c, (struct x86_bytes){.value = 0xe8, .count = 5});
    return c->at - 4;
}

X86_INLINE void x_fill(const struct x86_code *c, x86_hole hole, const uint8_t *target)
{
    int32_t distance = (int32_t)(target - (hole + 4));
    if (!c->full)
        memcpy(hole, &distance, 4);
}

X86_INLINE void x_here(struct x86_code *c, x86_hole hole)
{
    c->joined = c->at;
    x_fill(c, hole, c->at);
}

/* The address of something in the code, relative to what is executed. */
X86_INLINE void x_lea_code(struct x86_code *c, unsigned to, const uint8_t *target)
{
    struct x86_bytes b = prefixes(true, to, NO_REG, 0, 0, false);
    append(&b, 0x8d, 1);
    append(&b, (to & 7) << 3 | RBP, 1);
    append(&b, 0, 4);
    put_bytes(c, b);
    x_fill(c, c->at - 4, target);
}

X86_INLINE void x_jmp_to(struct x86_code *c, const uint8_t *target)
{
    x_fill(c, x_jmp(c), target);
}

X86_INLINE void x_jcc_to(struct x86_code *c, enum x86_cc cc, const uint8_t *target)
{
    x_fill(c, x_jcc(c, cc), target);
}

X86_INLINE void x_call_to(struct x86_code *c, const uint8_t *target)
{
    x_fill(c, x_call(c), target);
}

X86_INLINE void x_call_mem(struct x86_code *c, struct x86_mem m)
{
    x_mem(c, false, 0xff, 2, m);
}

X86_INLINE void x_jmp_mem(struct x86_code *c, struct x86_mem m)
{
    x_mem(c, false, 0xff, 4, m);
}

X86_INLINE void x_jmp_reg(struct x86_code *c, unsigned reg)
{
    x_reg(c, false, 0xff, 4, reg);
}

X86_INLINE void x_ret(struct x86_code *c)
{
    put8(c, 0xc3);
}

X86_INLINE void x_push(struct x86_code *c, unsigned reg)
{
    put_bytes(c, short_form(false, 0x50, reg));
}

X86_INLINE void x_pop(struct x86_code *c, unsigned reg)
{
    put_bytes(c, short_form(false, 0x58, reg));
}

X86_INLINE void x_lock(struct x86_code *c)
{
    put8(c, 0xf0);
}

/* [m] gets `reg`, which gets what was there: XADD (with a lock), XCHG (always locked) */
X86_INLINE void x_xadd(struct x86_code *c, bool wide, struct x86_mem m, unsigned reg)
{
    x_lock(c);
    x_mem(c, wide, 0x0fc1, reg, m);
}

X86_INLINE void x_xchg(struct x86_code *c, bool wide, struct x86_mem m, unsigned reg)
{
    x_mem(c, wide, 0x87, reg, m);
}

/* If [m] is rax: `reg` goes there and ZF is set; else rax gets it. */
X86_INLINE void x_cmpxchg(struct x86_code *c, bool wide, struct x86_mem m, unsigned reg)
{
    x_lock(c);
    x_mem(c, wide, 0x0fb1, reg, m);
}

/* Stores before it are seen before loads after it are done: as MFENCE, in half its time. */
X86_INLINE void x_full_fence(struct x86_code *c)
{
    x_lock(c);
    x_alu_mem_const(c, false, ALU_OR, mem_at(RSP, -8), 0);
}

#endif
