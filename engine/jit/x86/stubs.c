/* The back end's fixed code: into translated code, out of it, and to the slow paths in C. */
#include "core/error.h"
#include "engine/jit/jit.h"
#include "engine/jit/x86/regs.h"
#include "riscv/integer.h"
#include "riscv/vector.h"

#include <cpuid.h>
#include <stdatomic.h>

const struct x86_pin x86_pins[X86_PINS] = {
    {2, RBX, false}, /* sp */
    {8, R12, false}, /* s0 */
    {1, R13, false}, /* ra */
    {10, RSI, true}, /* a0 */
    {11, RDI, true}, /* a1 */
    {12, R8, true},  /* a2 */
    {13, R9, true},  /* a3 */
    {14, R10, true}, /* a4 */
    {15, R11, true}, /* a5 */
};
const uint8_t x86_host[32] = {
    NO_REG, R13,    RBX,    NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, R12,    NO_REG, RSI,
    RDI,    R8,     R9,     R10,    R11,    NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, NO_REG,
    NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, NO_REG, NO_REG,
};

struct x86_stubs x86_stubs;
struct x86_features x86_features;

/* ---- the slow paths, as translated code sees them ---- */

#define AMO_LOOP(type, at, old, operand, better)                                                   \
    do {                                                                                           \
        (old) = atomic_load(at);                                                                   \
        while (!atomic_compare_exchange_weak(                                                      \
            (at), &(old), (type)(old)better(type)(operand) ? (old) : (operand)))                   \
            ;                                                                                      \
    } while (0)

static uint64_t amo_w(_Atomic uint32_t *at, enum ir_amo which, uint32_t operand)
{
    uint32_t old = 0;
    switch (which) {
    case IR_SWAP: old = atomic_exchange(at, operand); break;
    case IR_AMO_ADD: old = atomic_fetch_add(at, operand); break;
    case IR_AMO_XOR: old = atomic_fetch_xor(at, operand); break;
    case IR_AMO_AND: old = atomic_fetch_and(at, operand); break;
    case IR_AMO_OR: old = atomic_fetch_or(at, operand); break;
    case IR_AMO_MIN: AMO_LOOP(int32_t, at, old, operand, <); break;
    case IR_AMO_MAX: AMO_LOOP(int32_t, at, old, operand, >); break;
    case IR_AMO_MINU: AMO_LOOP(uint32_t, at, old, operand, <); break;
    case IR_AMO_MAXU: AMO_LOOP(uint32_t, at, old, operand, >); break;
    }
    return (uint64_t)(int64_t)(int32_t)old;
}

static uint64_t amo_d(_Atomic uint64_t *at, enum ir_amo which, uint64_t operand)
{
    uint64_t old = 0;
    switch (which) {
    case IR_SWAP: old = atomic_exchange(at, operand); break;
    case IR_AMO_ADD: old = atomic_fetch_add(at, operand); break;
    case IR_AMO_XOR: old = atomic_fetch_xor(at, operand); break;
    case IR_AMO_AND: old = atomic_fetch_and(at, operand); break;
    case IR_AMO_OR: old = atomic_fetch_or(at, operand); break;
    case IR_AMO_MIN: AMO_LOOP(int64_t, at, old, operand, <); break;
    case IR_AMO_MAX: AMO_LOOP(int64_t, at, old, operand, >); break;
    case IR_AMO_MINU: AMO_LOOP(uint64_t, at, old, operand, <); break;
    case IR_AMO_MAXU: AMO_LOOP(uint64_t, at, old, operand, >); break;
    }
    return old;
}

#undef AMO_LOOP

static uint64_t load_reserved(struct jit_cpu *cpu, void *at, unsigned width)
{
    cpu->hart->reserved_at = (uintptr_t)at;
    cpu->hart->reserved_width = width;
    if (width == 8)
        return cpu->hart->reserved_value = atomic_load((_Atomic uint64_t *)at);
    cpu->hart->reserved_value = atomic_load((_Atomic uint32_t *)at);
    return (uint64_t)(int64_t)(int32_t)cpu->hart->reserved_value;
}

/* The reservation holds if the word still has the value that LR saw; any SC ends it. */
static uint64_t store_conditional(struct jit_cpu *cpu, void *at, unsigned width, uint64_t value)
{
    bool ok = cpu->hart->reserved_at == (uintptr_t)at && cpu->hart->reserved_width == width;
    cpu->hart->reserved_at = 0;
    if (ok && width == 8) {
        uint64_t expected = cpu->hart->reserved_value;
        ok = atomic_compare_exchange_strong((_Atomic uint64_t *)at, &expected, value);
    } else if (ok) {
        uint32_t expected = (uint32_t)cpu->hart->reserved_value;
        ok = atomic_compare_exchange_strong((_Atomic uint32_t *)at, &expected, (uint32_t)value);
    }
    return !ok;
}

static bool slow_atomic(struct jit_cpu *cpu, uint64_t va, uint32_t code, uint64_t operand,
                        uint64_t *value)
{
    enum ir_op op = (enum ir_op)(code & 0xff);
    unsigned width = 1u << (code >> 8 & IR_WIDTH);
    enum ir_amo which = (enum ir_amo)(code >> 16);
    void *at = jit_atomic_at(cpu, va, width, op != IR_LR);

    if (at == NULL)
        return false;
    if (op == IR_LR)
        *value = load_reserved(cpu, at, width);
    else if (op == IR_SC)
        *value = store_conditional(cpu, at, width, operand);
    else
        *value = width == 8 ? amo_d(at, which, operand) : amo_w(at, which, (uint32_t)operand);
    return true;
}

/* What has no short form on every host. */
static uint64_t compute(uint32_t op, uint64_t a, uint64_t b)
{
    switch (op) {
    case IR_CLZ: return a == 0 ? 64 : (uint64_t)__builtin_clzll(a);
    case IR_CTZ: return a == 0 ? 64 : (uint64_t)__builtin_ctzll(a);
    case IR_CLZW: return (uint32_t)a == 0 ? 32 : (uint64_t)__builtin_clz((uint32_t)a);
    case IR_CTZW: return (uint32_t)a == 0 ? 32 : (uint64_t)__builtin_ctz((uint32_t)a);
    case IR_CLMUL: return carryless_low(a, b);
    case IR_CLMULH: return carryless_high(a, b);
    case IR_CLMULR: return carryless_high(a, b) << 1 | carryless_low(a, b) >> 63;
    default: return b;
    }
}

/* ---- emission ---- */

static void save_pins(struct x86_code *c, bool all)
{
    for (unsigned i = 0; i < X86_PINS; i++) {
        if (all || x86_pins[i].saved)
            x_store(c, mem_at(R_VCPU, VCPU_X(x86_pins[i].guest)), x86_pins[i].host);
    }
}

static void load_pins(struct x86_code *c, bool all)
{
    for (unsigned i = 0; i < X86_PINS; i++) {
        if (all || x86_pins[i].saved)
            x_load(c, x86_pins[i].host, mem_at(R_VCPU, VCPU_X(x86_pins[i].guest)));
    }
}

static void call_c(struct x86_code *c, uintptr_t function)
{
    /* The only host addresses in the cache are here: this code is made anew in each process. */
    x_const(c, RAX, (int64_t)function);
    x_reg(c, false, 0xff, 2, RAX);
}

static const unsigned callee_saved[] = {RBX, RBP, R12, R13, R14, R15};
enum { ENTRY_FRAME = 8 }; /* aligns the stack behind them and the return address */

/*
 * Translated code leaves the flags of its floating-point operations in MXCSR, where they stay until
 * it leaves. Its exceptions are masked, rounding is to nearest even, nothing is flushed to zero.
 */
#define MXCSR_MASKED 0x1f80

void x86_clear_flags(struct x86_code *c)
{
    x_store_const32(c, x86_frame(FRAME_MXCSR), MXCSR_MASKED);
    x_mem(c, false, 0x0fae, 2, x86_frame(FRAME_MXCSR)); /* LDMXCSR */
}

void x86_get_flags(struct x86_code *c, const uint8_t *table)
{
    x_mem(c, false, 0x0fae, 3, x86_frame(FRAME_MXCSR)); /* STMXCSR */
    x_mem(c, false, 0x8b, RAX, x86_frame(FRAME_MXCSR));
    x_alu_const(c, false, ALU_AND, RAX, 0x3f);
    x_lea_code(c, RCX, table);
    x_mem(c, false, 0x0fb6, RAX, mem_indexed(RCX, RAX, 0, 0));
    x_mem(c, false, 0x0b, RAX, mem_at(R_VCPU, VCPU(fflags))); /* or */
}

/* MXCSR: IE DE ZE OE UE PE, bits 0 to 5. fflags: NX UF OF DZ NV, bits 0 to 4. */
static void emit_flags(struct x86_code *c)
{
    for (unsigned i = 0; i < 64; i++)
        put8(c, (i & 1) << 4 | (i >> 2 & 1) << 3 | (i >> 3 & 1) << 2 | (i >> 4 & 1) << 1 |
                    (i >> 5 & 1));
}

/* The page of the pc in `pc`, which becomes its address. */
static void emit_page(struct x86_code *c, unsigned pc)
{
    x_alu_const(c, true, ALU_AND, pc, -(int32_t)MEM_PAGE_SIZE);
    x_store(c, x86_frame(FRAME_PAGE), pc);
}

/* enum jit_leave enter(context rdi, &hart->x[16] rsi, code of hart->pc rdx) */
static void emit_enter(struct x86_code *c)
{
    for (unsigned i = 0; i < 6; i++)
        x_push(c, callee_saved[i]);
    x_alu_const(c, true, ALU_SUB, RSP, ENTRY_FRAME);
    x_mov(c, R_CONTEXT, RDI);
    x_mov(c, R_VCPU, RSI);
    x_load(c, R_INSTRET, mem_at(R_VCPU, VCPU(instret)));
    x_mov(c, RAX, RDX);
    x86_clear_flags(c);
    x_load(c, RCX, mem_at(R_VCPU, VCPU(pc)));
    emit_page(c, RCX);
    x_lea_code(c, RCX, x86_stubs.returned);
    x_push(c, RCX); /* aligns */
    x_push(c, RCX);
    x_store(c, x86_frame(FRAME_EMPTY), RSP);
    x_lea(c, RCX, mem_at(RSP, -16 * X86_RETURNS));
    x_store(c, x86_frame(FRAME_LIMIT), RCX);
    load_pins(c, true);
    x_jmp_reg(c, RAX);
}

/* eax: why; hart->pc is set */
static void emit_leave(struct x86_code *c)
{
    save_pins(c, true);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), R_INSTRET);
    x_mov(c, RDX, RAX);
    x86_get_flags(c, x86_stubs.flags);
    x_mem(c, false, 0x89, RAX, mem_at(R_VCPU, VCPU(fflags)));
    x_mov(c, RAX, RDX);
    x_load(c, RSP, x86_frame(FRAME_EMPTY));
    x_alu_const(c, true, ALU_ADD, RSP, 16 + ENTRY_FRAME);
    for (unsigned i = 6; i-- > 0;)
        x_pop(c, callee_saved[i]);
    x_ret(c);
}

/* hart->pc of the x86_where in `place`, which becomes what r14 lacks there. Clobbers rdx. */
static void emit_place(struct x86_code *c, unsigned place)
{
    x_extend16(c, RDX, place, false);
    x_alu_mem(c, true, ALU_ADD, RDX, x86_frame(FRAME_PAGE));
    x_store(c, mem_at(R_VCPU, VCPU(pc)), RDX);
    x_movsxd(c, place, place);
    x_shift(c, true, SHIFT_SAR, place, 16);
}

/* The access or the atomic trapped. On the stub's own frame. */
static void emit_fault(struct x86_code *c, unsigned frame)
{
    x_alu_const(c, true, ALU_ADD, RSP, (int32_t)frame + 8); /* and the return address */
    x_jmp_to(c, x86_stubs.fault);
}

static void emit_leave_at(struct x86_code *c)
{
    emit_place(c, RCX);
    x_alu(c, true, ALU_ADD, R_INSTRET, RCX);
    x_jmp_to(c, x86_stubs.leave);
}

enum { STUB_FRAME = 8 }; /* aligns the stack behind a return address */

static void emit_load(struct x86_code *c, unsigned width)
{
    static const uint32_t opcodes[] = {0, 0x0fb6, 0x0fb7, 0, 0x8b, 0, 0, 0, 0x8b};
    x_store32(c, x86_frame(FRAME_WHERE), RCX);
    x86_hole miss = x86_host_address(c, width, CONTEXT(tlb[0].read));
    x_mem(c, width == 8, opcodes[width], RAX, mem_at(RAX, 0));
    x_ret(c);
    x_here(c, miss);
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RAX);
    x_const(c, RDX, (int64_t)width);
    x_lea(c, RCX, x86_frame(FRAME_VALUE));
    call_c(c, (uintptr_t)jit_load);
    x_reg8(c, 0x84, RAX, RAX);
    x86_hole fault = x_jcc(c, CC_E);
    load_pins(c, false);
    x_load(c, RAX, x86_frame(FRAME_VALUE));
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
    x_here(c, fault);
    emit_fault(c, STUB_FRAME);
}

static void emit_store(struct x86_code *c, unsigned width)
{
    x_store32(c, x86_frame(FRAME_WHERE), RCX);
    x_store(c, x86_frame(FRAME_VALUE), RDX);
    x86_hole miss = x86_host_address(c, width, CONTEXT(tlb[0].write));
    x_load(c, RDX, x86_frame(FRAME_VALUE));
    if (width == 1) {
        x_mem8(c, 0x88, RDX, mem_at(RAX, 0));
    } else {
        if (width == 2)
            put8(c, 0x66);
        x_mem(c, width == 8, 0x89, RDX, mem_at(RAX, 0));
    }
    x_ret(c);
    x_here(c, miss);
    x_load(c, RDX, x86_frame(FRAME_VALUE));
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RAX);
    x_mov(c, RCX, RDX);
    x_const(c, RDX, (int64_t)width);
    call_c(c, (uintptr_t)jit_store);
    x_reg8(c, 0x84, RAX, RAX);
    x86_hole fault = x_jcc(c, CC_E);
    load_pins(c, false);
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
    x_here(c, fault);
    emit_fault(c, STUB_FRAME);
}

static x86_hole emit_find_group(struct x86_code *c, int32_t tags)
{
    x86_tlb_index(c, RAX);
    x_alu(c, true, ALU_ADD, RCX, RAX);
    x_alu_const(c, true, ALU_AND, RCX, -(int32_t)MEM_PAGE_SIZE);
    x_alu_mem(c, true, ALU_CMP, RCX, mem_indexed(R_CONTEXT, RDX, 0, tags));
    x86_hole miss = x_jcc(c, CC_NE); /* the flags stay */
    x_load(c, RDX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(tlb[0].addend)));
    return miss;
}

static void emit_group(struct x86_code *c, int32_t tags)
{
    x_here(c, emit_find_group(c, tags));
    x_ret(c);
}

static void emit_stack(struct x86_code *c)
{
    x86_hole miss = emit_find_group(c, CONTEXT(tlb[0].write));
    x_store(c, mem_at(R_CONTEXT, CONTEXT(stack.addend)), RDX);
    x_lea(c, RCX, mem_at(RCX, JIT_STACK_SPAN - 1));
    x_store(c, mem_at(R_CONTEXT, CONTEXT(stack.base)), RCX);
    x_store_const(c, mem_at(R_CONTEXT, CONTEXT(stack.room)),
                  (int32_t)MEM_PAGE_SIZE - (JIT_STACK_SPAN - 1));
    x_here(c, miss);
    x_ret(c);
}

static void emit_atomic(struct x86_code *c)
{
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RAX);
    x_lea(c, R8, x86_frame(FRAME_VALUE));
    x_mov(c, RAX, RCX); /* exchange the two: code in edx, operand in rcx */
    x_mov(c, RCX, RDX);
    x_mov(c, RDX, RAX);
    call_c(c, (uintptr_t)slow_atomic);
    x_reg8(c, 0x84, RAX, RAX);
    x86_hole fault = x_jcc(c, CC_E);
    load_pins(c, false);
    x_load(c, RAX, x86_frame(FRAME_VALUE));
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
    x_here(c, fault);
    emit_fault(c, STUB_FRAME);
}

static void emit_compute(struct x86_code *c)
{
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_mov(c, RDI, RCX);
    x_mov(c, RSI, RAX);
    call_c(c, (uintptr_t)compute);
    load_pins(c, false);
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
}

/* rax: code to go on at, or NULL: leave for cpu->why. rdx: the VCPU's part. */
static void emit_go_on(struct x86_code *c)
{
    x_test(c, true, RAX, RAX);
    x86_hole none = x_jcc(c, CC_E);
    load_pins(c, false);
    x_jmp_reg(c, RAX);
    x_here(c, none);
    load_pins(c, false);
    x_load(c, RAX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mem(c, false, 0x8b, RAX, mem_at(RAX, offsetof(struct jit_cpu, why)));
    x_jmp_to(c, x86_stubs.leave);
}

/* To the pc in rax, or to an offset in this page; `site`: ecx is one. */
static void emit_lookup(struct x86_code *c, bool in_page, bool site)
{
    save_pins(c, false);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RAX);
    if (site)
        x_mov(c, RDX, RCX);
    else
        x_const(c, RDX, 0);
    if (in_page) {
        x_alu_mem(c, true, ALU_ADD, RSI, x86_frame(FRAME_PAGE));
    } else {
        x_alu_const(c, true, ALU_AND, RSI, -2);
        emit_page(c, RAX);
    }
    call_c(c, (uintptr_t)jit_go_on);
    emit_go_on(c);
}

static void emit_far(struct x86_code *c)
{
    x86_hole unknown = x_jcc(c, CC_E);
    x86_go_by_cache(c, x86_stubs.lookup);
    x_here(c, unknown);
    emit_lookup(c, false, true);
}

static void emit_returned(struct x86_code *c)
{
    x_load(c, RSP, x86_frame(FRAME_EMPTY)); /* what is still to come would not be right either */
    x_mov(c, RAX, x86_host[1]);
    x86_go_by_cache(c, x86_stubs.lookup);
}

static void emit_return_kick(struct x86_code *c)
{
    x_mov(c, RAX, x86_host[1]);
    x_jmp_to(c, x86_stubs.lookup);
}

static void emit_turn(struct x86_code *c)
{
    x_store(c, x86_frame(FRAME_VALUE), RCX);
    x_load(c, RDX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_shift(c, false, SHIFT_SHR, RCX, 2); /* sites are aligned */
    x_alu_const(c, false, ALU_AND, RCX, JIT_HEATS - 1);
    struct x86_mem heat = mem_indexed(RDX, RCX, 0, offsetof(struct jit_cpu, heats));
    x_mem8(c, 0x80, ALU_ADD, heat);
    put8(c, 1);
    x_mem8(c, 0x80, ALU_CMP, heat);
    put8(c, jit_hot() & 0xff);
    x86_hole hot = x_jcc(c, CC_AE);
    x_alu_mem(c, true, ALU_ADD, RAX, x86_frame(FRAME_PAGE));
    x86_go_by_cache(c, x86_stubs.lookup);
    x_here(c, hot);
    x_mem8(c, 0xc6, 0, heat); /* mov */
    put8(c, 0);
    x_load(c, RCX, x86_frame(FRAME_VALUE));
    x_jmp_to(c, x86_stubs.link);
}

/* The same, after a change of pc and perhaps of the context: what was expected to be returned to
 * may be elsewhere now. */
static void emit_go_elsewhere(struct x86_code *c)
{
    x_load(c, RSP, x86_frame(FRAME_EMPTY));
    x_load(c, RCX, mem_at(R_VCPU, VCPU(pc)));
    emit_page(c, RCX);
    x_load(c, RDX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_load(c, R_CONTEXT, mem_at(RDX, offsetof(struct jit_cpu, context)));
    x_load(c, R_INSTRET, mem_at(R_VCPU, VCPU(instret)));
    emit_go_on(c);
}

/* A trap of an access where FRAME_WHERE says, with the pins that C does not keep saved. */
static void emit_take_fault(struct x86_code *c)
{
    x_mem(c, false, 0x8b, RCX, x86_frame(FRAME_WHERE));
    emit_place(c, RCX);
    x_alu(c, true, ALU_ADD, RCX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RCX);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    call_c(c, (uintptr_t)jit_fault);
    emit_go_elsewhere(c);
}

static void emit_system(struct x86_code *c)
{
    save_pins(c, true);
    emit_place(c, RAX);
    x_alu(c, true, ALU_ADD, RAX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RAX);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RCX);
    call_c(c, (uintptr_t)jit_system);
    emit_go_elsewhere(c);
}

static void emit_execute(struct x86_code *c)
{
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_mov(c, RSI, RDX);
    emit_place(c, RAX);
    x_alu(c, true, ALU_ADD, RAX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RAX);
    x_mov(c, RDX, RSI);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RCX);
    x_lea(c, RCX, x86_frame(FRAME_VALUE));
    call_c(c, (uintptr_t)jit_execute);
    load_pins(c, false);
    x_load(c, RDX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_load(c, R_CONTEXT, mem_at(RDX, offsetof(struct jit_cpu, context)));
    x_mov32(c, RCX, RAX);
    x_load(c, RAX, x86_frame(FRAME_VALUE));
    x_lea(c, RSP, mem_at(RSP, STUB_FRAME));
    x_alu_const(c, false, ALU_CMP, RCX, JIT_GO_ON);
    x86_hole refused = x_jcc(c, CC_B);
    x_ret(c);
    x_here(c, refused);
    x_alu_const(c, true, ALU_ADD, RSP, 8);
    x_load(c, R_INSTRET, mem_at(R_VCPU, VCPU(instret)));
    x_const(c, RAX, JIT_STEP);
    x_jmp_to(c, x86_stubs.leave);
}

/* riscv_vector wants the flags that are in MXCSR in the hart, and adds to both. */
static void emit_vector(struct x86_code *c)
{
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, true);
    x_mov32(c, RSI, RDX);
    x_mov32(c, RDI, RCX);
    emit_place(c, RAX);
    x_alu(c, true, ALU_ADD, RAX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RAX);
    x86_get_flags(c, x86_stubs.flags);
    x_mem(c, false, 0x89, RAX, mem_at(R_VCPU, VCPU(fflags)));
    x_mov32(c, RDX, RSI);
    x_mov32(c, RSI, RDI);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    call_c(c, (uintptr_t)jit_vector);
    x_mov32(c, RCX, RAX);
    load_pins(c, true);
    x_reg8(c, 0x84, RCX, RCX);
    x86_hole refused = x_jcc(c, CC_E);
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
    x_here(c, refused);
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME + 8);
    x_load(c, R_INSTRET, mem_at(R_VCPU, VCPU(instret)));
    x_const(c, RAX, JIT_STEP);
    x_jmp_to(c, x86_stubs.leave);
}

/* A piece of `bytes`, if rdx says that there is one. */
static void emit_copy_piece(struct x86_code *c, unsigned bytes)
{
    put8(c, 0xf6); /* test dl */
    put8(c, 0xc0 | RDX);
    put8(c, bytes);
    x86_hole none = x_jcc(c, CC_E);
    if (bytes >= 4) {
        const uint32_t load[] = {X86_V(1, 1, 0x6e), X86_V_W(1, 1, 0x6e), X86_V(1, 2, 0x6f)};
        const uint32_t store[] = {X86_V(1, 1, 0x7e), X86_V_W(1, 1, 0x7e), X86_V(1, 2, 0x7f)};
        x_v_mem(c, false, load[bytes / 8], 0, 0, mem_at(RAX, 0));
        x_v_mem(c, false, store[bytes / 8], 0, 0, mem_at(RCX, 0));
    } else {
        x_push(c, RDX);
        x_mem(c, false, bytes == 2 ? 0x0fb7 : 0x0fb6, RDX, mem_at(RAX, 0));
        if (bytes == 2) {
            put8(c, 0x66);
            x_mem(c, false, 0x89, RDX, mem_at(RCX, 0));
        } else {
            x_mem8(c, 0x88, RDX, mem_at(RCX, 0));
        }
        x_pop(c, RDX);
    }
    x_alu_const(c, true, ALU_ADD, RAX, (int32_t)bytes);
    x_alu_const(c, true, ALU_ADD, RCX, (int32_t)bytes);
    x_here(c, none);
}

/* The last rdx + 32 bytes, less than 32, from rax to rcx, if the page has 32 there: without a
 * branch on their number, and in one piece, which later loads of the group can take from the store.
 */
static x86_hole emit_load_last(struct x86_code *c)
{
    x_push(c, RCX);
    x_lea(c, RCX, mem_at(RAX, 32));
    x_alu(c, false, ALU_XOR, RCX, RAX);
    x_alu_const(c, false, ALU_AND, RCX, MEM_PAGE_SIZE); /* the next page, or so */
    x_pop(c, RCX);
    x86_hole near_end = x_jcc(c, CC_NE);
    x_group3(c, false, G3_NEG, RDX); /* 32 less the bytes */
    x_v_mem(c, true, X86_V(1, 2, 0x6f), 0, 0, mem_at(RAX, 0));
    x_push(c, RAX);
    x_lea_code(c, RAX, x86_stubs.zeros_ones);
    x_v_mem(c, true, X86_V(1, 2, 0x6f), 1, 0, mem_indexed(RAX, RDX, 0, 0));
    x_pop(c, RAX);
    x_v_mem(c, true, X86_V(3, 1, 0x4c), 0, 0, mem_at(RCX, 0)); /* vpblendvb */
    put8(c, 1 << 4);
    x_v_mem(c, true, X86_V(1, 2, 0x7f), 0, 0, mem_at(RCX, 0));
    x_alu_const(c, true, ALU_ADD, RCX, 32);
    x_alu(c, true, ALU_SUB, RCX, RDX);
    x86_hole done = x_jmp(c);
    x_here(c, near_end);
    return done;
}

/* rdx bytes between rax, in memory, and rcx, in a group; rcx is behind them then. No byte of
 * memory is written twice: another hart may write beside us. Clobbers rax, rdx; ZF at the end. */
static void emit_copy_bytes(struct x86_code *c, bool store)
{
    if (store)
        x_xchg_reg(c, RAX, RCX);
    const uint8_t *again = c->at;
    x_alu_const(c, false, ALU_SUB, RDX, 32);
    x86_hole less = x_jcc(c, CC_B);
    x_v_mem(c, true, X86_V(1, 2, 0x6f), 0, 0, mem_at(RAX, 0));
    x_v_mem(c, true, X86_V(1, 2, 0x7f), 0, 0, mem_at(RCX, 0));
    x_alu_const(c, true, ALU_ADD, RAX, 32);
    x_alu_const(c, true, ALU_ADD, RCX, 32);
    x_jmp_to(c, again);
    x_here(c, less);
    x86_hole done = store ? NULL : emit_load_last(c);
    for (unsigned bytes = 16; bytes > 0; bytes /= 2)
        emit_copy_piece(c, bytes); /* of edx - 32, the low bits are those of edx */
    if (done != NULL)
        x_here(c, done);
    if (store)
        x_xchg_reg(c, RAX, RCX);
    x_alu(c, false, ALU_CMP, RAX, RAX);
}

/* rdx: the addend of the page `page`, or a jump. */
static x86_hole emit_find_addend(struct x86_code *c, unsigned va, unsigned page, bool store)
{
    x86_tlb_index(c, va);
    x_alu_mem(c, true, ALU_CMP, page,
              mem_indexed(R_CONTEXT, RDX, 0, store ? CONTEXT(tlb[0].write) : CONTEXT(tlb[0].read)));
    x86_hole miss = x_jcc(c, CC_NE);
    x_load(c, RDX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(tlb[0].addend)));
    return miss;
}

/* What lies in a page that is known, or in two. */
static void emit_copy(struct x86_code *c, bool store)
{
    const struct x86_mem group = x86_frame(FRAME_VALUE), left = x86_frame(FRAME_WHERE);

    x_store(c, group, RCX);
    x_store(c, left, RDX);
    x_lea(c, RCX, mem_at(RAX, MEM_PAGE_SIZE - 1));
    x_alu_const(c, true, ALU_AND, RCX, -(int32_t)MEM_PAGE_SIZE); /* the next page, or rax itself */
    x_alu(c, true, ALU_ADD, RDX, RAX);
    x_alu(c, true, ALU_SUB, RDX, RCX); /* the bytes in it */
    x86_hole two = x_jcc(c, CC_A);
    x_alu_const(c, true, ALU_ADD, RCX, -(int32_t)MEM_PAGE_SIZE);
    const uint8_t *one = c->at;
    x86_hole miss = emit_find_addend(c, RAX, RCX, store);
    x_alu(c, true, ALU_ADD, RAX, RDX);
    x_load(c, RCX, group);
    x_load(c, RDX, left);
    emit_copy_bytes(c, store);
    x_here(c, miss);
    x_ret(c);

    x_here(c, two);
    x_alu(c, true, ALU_CMP, RCX, RAX);
    x_jcc_to(c, CC_E, one);
    x_push(c, RSI);
    x_push(c, RDX);
    x86_hole second = emit_find_addend(c, RCX, RCX, store);
    x_lea(c, RSI, mem_indexed(RCX, RDX, 0, 0));
    x_alu_const(c, true, ALU_ADD, RCX, -(int32_t)MEM_PAGE_SIZE);
    x86_hole first = emit_find_addend(c, RAX, RCX, store);
    x_alu(c, true, ALU_ADD, RAX, RDX);
    x_pop(c, RCX);
    x_load(c, RDX, left);
    x_alu(c, true, ALU_SUB, RDX, RCX);
    x_store(c, left, RCX);
    x_load(c, RCX, group);
    emit_copy_bytes(c, store);
    x_mov(c, RAX, RSI);
    x_load(c, RDX, left);
    emit_copy_bytes(c, store);
    x_pop(c, RSI);
    x_ret(c);
    x_here(c, second);
    x_here(c, first);
    x_pop(c, RDX);
    x_pop(c, RSI);
    x_ret(c);
}

static void emit_sha512(struct x86_code *c, uintptr_t function)
{
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_mov(c, RDI, RAX);
    x_mov(c, RSI, RCX);
    call_c(c, function);
    load_pins(c, false);
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
}

static void emit_mask_tables(struct x86_code *c)
{
    for (unsigned sew = 0; sew < 4; sew++) {
        const unsigned bits = 8u << sew, each = sew == 1 ? 16 : 8;
        x86_stubs.mask_bits[sew] = c->at;
        for (unsigned word = 0; word < 4; word++) {
            uint64_t value = 0;
            for (unsigned at = 0; at < 64; at += bits)
                value |= 1ULL << (word * 64 + at) / bits % each << at;
            put64(c, value);
        }
    }
    for (unsigned sew = 0; sew < 4; sew++) {
        x86_stubs.reversed[sew] = c->at;
        for (unsigned i = 0; i < 32; i++)
            put8(c, (i & 15) ^ ((1u << sew) - 1)); /* in each half, as VPSHUFB takes them */
    }
    x86_stubs.mask_bytes = c->at;
    for (unsigned word = 0; word < 4; word++)
        put64(c, 0x0101010101010101 * word);
}

long x86_init(struct jit_room *room)
{
    struct x86_code c = {.at = room->write, .end = room->write + room->size};

    __builtin_cpu_init();
    if (!__builtin_cpu_supports("popcnt"))
        return -E_NOTSUP;
    x86_features.bmi1 = __builtin_cpu_supports("bmi") != 0;
    x86_features.bmi2 = __builtin_cpu_supports("bmi2") != 0;
    unsigned eax, ebx, ecx = 0, edx; /* not every compiler knows SHA and LZCNT by name */
    x86_features.sha = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & bit_SHA);
    ecx = 0;
    x86_features.lzcnt = __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_LZCNT);
    x86_features.sse41 = __builtin_cpu_supports("sse4.1") != 0;
    x86_features.avx = __builtin_cpu_supports("avx") != 0;
    x86_features.avx2 = __builtin_cpu_supports("avx2") != 0;
    x86_features.aes = __builtin_cpu_supports("aes") != 0;
    x86_features.fma = __builtin_cpu_supports("fma") != 0;
    x86_features.pclmul = __builtin_cpu_supports("pclmul") != 0;
    if (jit_options()->plain_host)
        x86_features = (struct x86_features){.sse41 = x86_features.sse41};

    /* Addresses are of the writable mapping here: jumps among the fixed code are relative. */
    x86_stubs.flags = c.at;
    emit_flags(&c);
    x86_stubs.leave = c.at;
    emit_leave(&c);
    x86_stubs.leave_at = c.at;
    emit_leave_at(&c);
    x86_stubs.link = c.at;
    emit_lookup(&c, true, true);
    x86_stubs.lookup = c.at;
    emit_lookup(&c, false, false);
    x86_stubs.far = c.at;
    emit_far(&c);
    x86_stubs.returned = c.at;
    emit_returned(&c);
    x86_stubs.return_kick = c.at;
    emit_return_kick(&c);
    x86_stubs.enter = c.at;
    emit_enter(&c);
    x86_stubs.turn = c.at;
    emit_turn(&c);
    x86_stubs.system = c.at;
    emit_system(&c);
    x86_stubs.fault = c.at;
    emit_take_fault(&c);
    x86_stubs.execute = c.at;
    emit_execute(&c);
    x86_stubs.zeros_ones = c.at;
    for (unsigned i = 0; i < 8; i++)
        put64(&c, i < 4 ? 0 : UINT64_MAX);
    emit_mask_tables(&c);
    for (unsigned i = 0; i < 2 && x86_features.avx2; i++) {
        x86_stubs.copy[i] = c.at;
        emit_copy(&c, i != 0);
    }
    x86_stubs.sha512[0] = c.at;
    emit_sha512(&c, (uintptr_t)riscv_vsha512ms);
    x86_stubs.sha512[1] = c.at;
    emit_sha512(&c, (uintptr_t)riscv_vsha512c);
    x86_stubs.vector = c.at;
    emit_vector(&c);
    for (unsigned i = 0; i < 4; i++) {
        x86_stubs.load[i] = c.at;
        emit_load(&c, 1u << i);
        x86_stubs.store[i] = c.at;
        emit_store(&c, 1u << i);
    }
    x86_stubs.group[0] = c.at;
    emit_group(&c, CONTEXT(tlb[0].read));
    x86_stubs.group[1] = c.at;
    emit_group(&c, CONTEXT(tlb[0].write));
    x86_stubs.stack = c.at;
    emit_stack(&c);
    x86_stubs.atomic = c.at;
    emit_atomic(&c);
    x86_stubs.compute = c.at;
    emit_compute(&c);
    if (c.full)
        return -E_NOSPC;

    ptrdiff_t to_run = room->run - room->write;
    const uint8_t **const all[] = {
        &x86_stubs.enter,        &x86_stubs.leave,        &x86_stubs.lookup,
        &x86_stubs.link,         &x86_stubs.system,       &x86_stubs.execute,
        &x86_stubs.flags,        &x86_stubs.atomic,       &x86_stubs.compute,
        &x86_stubs.leave_at,     &x86_stubs.stack,        &x86_stubs.fault,
        &x86_stubs.turn,         &x86_stubs.group[0],     &x86_stubs.group[1],
        &x86_stubs.returned,     &x86_stubs.far,          &x86_stubs.return_kick,
        &x86_stubs.vector,       &x86_stubs.copy[0],      &x86_stubs.copy[1],
        &x86_stubs.zeros_ones,   &x86_stubs.mask_bits[0], &x86_stubs.mask_bits[1],
        &x86_stubs.mask_bits[2], &x86_stubs.mask_bits[3], &x86_stubs.mask_bytes,
        &x86_stubs.reversed[0],  &x86_stubs.reversed[1],  &x86_stubs.reversed[2],
        &x86_stubs.reversed[3],  &x86_stubs.sha512[0],    &x86_stubs.sha512[1]};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i] += to_run;
    for (unsigned i = 0; i < 4; i++) {
        x86_stubs.load[i] += to_run;
        x86_stubs.store[i] += to_run;
    }
    return (long)(c.at - room->write);
}
