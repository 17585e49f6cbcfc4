/*
 * A second back end, for tests: its "code" is the intermediate form itself, and C executes it. It
 * shows that the boundary (engine/jit/backend.h) knows no host, and says by the ISA's words what
 * each operation is to compute. Floating point and atomics it leaves to the interpreter.
 */
#ifndef TESTS_UNIT_JIT_PORTABLE_H
#define TESTS_UNIT_JIT_PORTABLE_H

#include "core/error.h"
#include "engine/jit/backend.h"

#include <string.h>

typedef __int128 int128;
typedef unsigned __int128 uint128;

static inline uint64_t portable_sext(uint64_t value, unsigned bits)
{
    return (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

static inline uint64_t portable_rotate(uint64_t value, unsigned left, unsigned bits)
{
    const uint64_t mask = bits == 64 ? UINT64_MAX : (1ULL << bits) - 1;
    value &= mask;
    left %= bits;
    return left == 0 ? value : (value << left | value >> (bits - left)) & mask;
}

static inline uint64_t portable_count(uint64_t value, unsigned bits, bool trailing)
{
    unsigned n = 0;
    while (n < bits && (value >> (trailing ? n : bits - 1 - n) & 1) == 0)
        n++;
    return n;
}

static inline uint64_t portable_divide(uint64_t a, uint64_t b, bool sign, bool rem, unsigned bits)
{
    if (sign) {
        int64_t x = (int64_t)portable_sext(a, bits), y = (int64_t)portable_sext(b, bits);
        if (y == 0)
            return rem ? (uint64_t)x : UINT64_MAX;
        if (y == -1)
            return rem ? 0 : 0 - (uint64_t)x;
        return (uint64_t)(rem ? x % y : x / y);
    }
    if (bits == 32) {
        a = (uint32_t)a;
        b = (uint32_t)b;
    }
    if (b == 0)
        return rem ? a : UINT64_MAX;
    return rem ? a % b : a / b;
}

static inline uint128 portable_carryless(uint64_t a, uint64_t b)
{
    uint128 product = 0;
    for (unsigned i = 0; i < 64; i++)
        product ^= (b >> i & 1) != 0 ? (uint128)a << i : 0;
    return product;
}

/* What an integer operation gives; false: it is none. `a` and `b`: its operands' values. */
static inline bool portable_compute(const struct ir *ir, uint64_t a, uint64_t b, uint64_t *result)
{
    const int64_t sa = (int64_t)a, sb = (int64_t)b;
    const uint32_t wa = (uint32_t)a;
    const unsigned n = b & 63, m = b & 31;
    uint64_t r = 0;

    switch ((enum ir_op)ir->op) {
    case IR_CONST:
    case IR_ADDRESS: r = (uint64_t)ir->imm; break;
    case IR_MOV: r = a; break;
    case IR_ADD: r = a + b; break;
    case IR_SUB: r = a - b; break;
    case IR_AND: r = a & b; break;
    case IR_OR: r = a | b; break;
    case IR_XOR: r = a ^ b; break;
    case IR_ANDN: r = a & ~b; break;
    case IR_ORN: r = a | ~b; break;
    case IR_XNOR: r = ~(a ^ b); break;
    case IR_SLL: r = a << n; break;
    case IR_SRL: r = a >> n; break;
    case IR_SRA: r = (uint64_t)(sa >> n); break;
    case IR_ROL: r = portable_rotate(a, n, 64); break;
    case IR_ROR: r = portable_rotate(a, 64 - n, 64); break;
    case IR_SLT: r = sa < sb; break;
    case IR_SLTU: r = a < b; break;
    case IR_MIN: r = sa < sb ? a : b; break;
    case IR_MINU: r = a < b ? a : b; break;
    case IR_MAX: r = sa > sb ? a : b; break;
    case IR_MAXU: r = a > b ? a : b; break;
    case IR_BSET: r = a | 1ULL << n; break;
    case IR_BCLR: r = a & ~(1ULL << n); break;
    case IR_BINV: r = a ^ 1ULL << n; break;
    case IR_BEXT: r = a >> n & 1; break;
    case IR_MUL: r = a * b; break;
    case IR_MULH: r = (uint64_t)((int128)sa * sb >> 64); break;
    case IR_MULHSU: r = (uint64_t)((int128)sa * (int128)(uint128)b >> 64); break;
    case IR_MULHU: r = (uint64_t)((uint128)a * b >> 64); break;
    case IR_CLMUL: r = (uint64_t)portable_carryless(a, b); break;
    case IR_CLMULH: r = (uint64_t)(portable_carryless(a, b) >> 64); break;
    case IR_CLMULR: r = (uint64_t)(portable_carryless(a, b) >> 63); break;
    case IR_DIV: r = portable_divide(a, b, true, false, 64); break;
    case IR_DIVU: r = portable_divide(a, b, false, false, 64); break;
    case IR_REM: r = portable_divide(a, b, true, true, 64); break;
    case IR_REMU: r = portable_divide(a, b, false, true, 64); break;
    case IR_CZERO_EQZ: r = b == 0 ? 0 : a; break;
    case IR_CZERO_NEZ: r = b != 0 ? 0 : a; break;
    case IR_SHADD: r = (a << ir->sub) + b; break;
    case IR_SHADD_UW: r = ((uint64_t)wa << ir->sub) + b; break;
    case IR_SLLI_UW: r = (uint64_t)wa << n; break;
    case IR_ADDW: r = portable_sext(a + b, 32); break;
    case IR_SUBW: r = portable_sext(a - b, 32); break;
    case IR_SLLW: r = portable_sext((uint64_t)wa << m, 32); break;
    case IR_SRLW: r = portable_sext(wa >> m, 32); break;
    case IR_SRAW: r = (uint64_t)(int64_t)((int32_t)wa >> m); break;
    case IR_ROLW: r = portable_sext(portable_rotate(a, m, 32), 32); break;
    case IR_RORW: r = portable_sext(portable_rotate(a, 32 - m, 32), 32); break;
    case IR_MULW: r = portable_sext(a * b, 32); break;
    case IR_DIVW: r = portable_sext(portable_divide(a, b, true, false, 32), 32); break;
    case IR_DIVUW: r = portable_sext(portable_divide(a, b, false, false, 32), 32); break;
    case IR_REMW: r = portable_sext(portable_divide(a, b, true, true, 32), 32); break;
    case IR_REMUW: r = portable_sext(portable_divide(a, b, false, true, 32), 32); break;
    case IR_SEXT_B: r = portable_sext(a, 8); break;
    case IR_SEXT_H: r = portable_sext(a, 16); break;
    case IR_SEXT_W: r = portable_sext(a, 32); break;
    case IR_ZEXT_B: r = a & 0xff; break;
    case IR_ZEXT_H: r = a & 0xffff; break;
    case IR_ZEXT_W: r = wa; break;
    case IR_CLZ: r = portable_count(a, 64, false); break;
    case IR_CTZ: r = portable_count(a, 64, true); break;
    case IR_CLZW: r = portable_count(wa, 32, false); break;
    case IR_CTZW: r = portable_count(wa, 32, true); break;
    case IR_CPOP:
    case IR_CPOPW:
        for (unsigned i = 0; i < (ir->op == IR_CPOP ? 64u : 32u); i++)
            r += a >> i & 1;
        break;
    case IR_REV8:
        for (unsigned i = 0; i < 64; i += 8)
            r |= (a >> i & 0xff) << (56 - i);
        break;
    case IR_ORC_B:
        for (unsigned i = 0; i < 64; i += 8)
            r |= (a >> i & 0xff) != 0 ? 0xffULL << i : 0;
        break;
    default: return false;
    }
    *result = r;
    return true;
}

static inline bool portable_holds(unsigned condition, uint64_t a, uint64_t b)
{
    switch (condition) {
    case IR_EQ: return a == b;
    case IR_NE: return a != b;
    case IR_LT: return (int64_t)a < (int64_t)b;
    case IR_GE: return (int64_t)a >= (int64_t)b;
    case IR_LTU: return a < b;
    default: return a >= b;
    }
}

struct portable {
    struct riscv_vcpu *hart;
    uint64_t temps[IR_TEMPS];
};

static inline uint64_t portable_get(const struct portable *p, ir_reg reg)
{
    return reg < 32        ? p->hart->x[reg]
           : reg < IR_T(0) ? p->hart->f[reg - 32]
                           : p->temps[reg - IR_T(0)];
}

static inline void portable_set(struct portable *p, ir_reg reg, uint64_t value)
{
    if (reg == IR_X(0))
        return;
    *(reg < 32        ? &p->hart->x[reg]
      : reg < IR_T(0) ? &p->hart->f[reg - 32]
                      : &p->temps[reg - IR_T(0)]) = value;
}

static inline enum jit_leave portable_leave(struct riscv_vcpu *hart, uint64_t pc, unsigned done,
                                            enum jit_leave why)
{
    hart->pc = pc;
    hart->instret += done;
    return why;
}

static inline enum jit_leave portable_enter(struct jit_context *context, struct riscv_vcpu *hart,
                                            const void *code)
{
    const struct ir_block *block = code;
    struct jit_cpu *cpu = context->cpu;
    struct portable p = {.hart = hart};

    for (unsigned i = 0; i < block->count; i++) {
        const struct ir *ir = &block->code[i];
        const uint64_t here = block->pc + ir->at;
        uint64_t a = ir->a != IR_NONE ? portable_get(&p, ir->a) : 0, value = 0;
        uint64_t b = ir->b != IR_NONE ? portable_get(&p, ir->b) : (uint64_t)ir->imm;
        const unsigned bits = 8u << (ir->sub & IR_WIDTH);
        if (portable_compute(ir, a, b, &value)) {
            portable_set(&p, ir->dst, value);
            continue;
        }
        switch ((enum ir_op)ir->op) {
        case IR_LOAD:
            if (!jit_load(cpu, a + (uint64_t)ir->imm, bits / 8, &value))
                return portable_leave(hart, here, ir->done, JIT_FAULT);
            if (ir->dst >= 32 && ir->dst < IR_T(0) && bits < 64)
                value |= UINT64_MAX << bits; /* NaN-boxed */
            portable_set(&p, ir->dst, ir->sub & IR_SIGNED ? portable_sext(value, bits) : value);
            break;
        case IR_STORE:
            if (!jit_store(cpu, a + (uint64_t)ir->imm, bits / 8, b))
                return portable_leave(hart, here, ir->done, JIT_FAULT);
            break;
        case IR_FENCE: atomic_thread_fence(memory_order_seq_cst); break;
        case IR_BRANCH:
            if (portable_holds(ir->sub, a, ir->b != IR_NONE ? b : 0))
                return portable_leave(hart, (uint64_t)ir->imm, ir->done, JIT_LOOKUP);
            break;
        case IR_LABEL:
        case IR_CHECK: break; /* the loop looks */
        case IR_JUMP: return portable_leave(hart, (uint64_t)ir->imm, ir->done, JIT_LOOKUP);
        case IR_JUMP_REG: return portable_leave(hart, a & ~1ULL, ir->done, JIT_LOOKUP);
        default: /* IR_STEP, IR_SYSTEM and what it leaves to the interpreter */
            return portable_leave(hart, here, ir->done, JIT_STEP);
        }
    }
    return JIT_LOOKUP;
}

static inline long portable_init(struct jit_room *room)
{
    (void)room;
    return 64;
}

static inline bool portable_emit(const struct ir_block *block, struct jit_room *room,
                                 struct jit_emitted *out)
{
    size_t size = offsetof(struct ir_block, code) + block->count * sizeof block->code[0];
    if (size > room->size)
        return false;
    memcpy(room->write, block, size);
    out->size = (uint32_t)size;
    out->link_count = 0;
    memset(out->op_at, 0, sizeof out->op_at);
    return true;
}

static inline void portable_link(uint8_t *cache, uint32_t site, uint32_t target)
{
    (void)cache, (void)site, (void)target;
}

static inline void portable_unlink(uint8_t *cache, uint32_t site, uint32_t ask)
{
    (void)ask;
    (void)cache, (void)site;
}

static const struct jit_backend jit_backend_portable = {
    .name = "portable",
    .disassembler = "binary",
    .init = portable_init,
    .emit = portable_emit,
    .link = portable_link,
    .unlink = portable_unlink,
    .enter = portable_enter,
};

#endif
