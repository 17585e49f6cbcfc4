/* The back end's fixed code: into translated code, out of it, and to the slow paths in C. */
#include "core/error.h"
#include "engine/jit/x86/regs.h"
#include "riscv/integer.h"

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

/*
 * Translated code leaves the flags of its floating-point operations in MXCSR, where they stay until
 * it leaves. Its exceptions are masked, rounding is to nearest even, nothing is flushed to zero.
 */
#define MXCSR_MASKED 0x1f80

static void emit_mxcsr_clear(struct x86_code *c, int32_t frame)
{
    x_store_const32(c, mem_at(RSP, frame + FRAME_MXCSR), MXCSR_MASKED);
    x_mem(c, false, 0x0fae, 2, mem_at(RSP, frame + FRAME_MXCSR)); /* LDMXCSR */
}

/* MXCSR: IE DE ZE OE UE PE, bits 0 to 5. fflags: NX UF OF DZ NV, bits 0 to 4. */
static uint8_t flags_of_mxcsr[64];

static void emit_mxcsr_merge(struct x86_code *c, int32_t frame, bool clear)
{
    x_mem(c, false, 0x0fae, 3, mem_at(RSP, frame + FRAME_MXCSR)); /* STMXCSR */
    x_mem(c, false, 0x8b, RAX, mem_at(RSP, frame + FRAME_MXCSR));
    x_alu_const(c, false, ALU_AND, RAX, 0x3f);
    x86_hole none = x_jcc(c, CC_E);
    x_const(c, RCX, (int64_t)(uintptr_t)flags_of_mxcsr);
    x_mem(c, false, 0x0fb6, RAX, mem_indexed(RCX, RAX, 0, 0));
    x_mem(c, false, 0x09, RAX, mem_at(R_VCPU, VCPU(fflags)));
    if (clear)
        emit_mxcsr_clear(c, frame);
    x_here(c, none);
}

/* The page of the pc in `pc`, which becomes its address. */
static void emit_page(struct x86_code *c, unsigned pc)
{
    x_alu_const(c, true, ALU_AND, pc, -(int32_t)MEM_PAGE_SIZE);
    x_store(c, mem_at(RSP, FRAME_PAGE), pc);
}

/* enum jit_leave enter(context rdi, &hart->x[16] rsi, code of hart->pc rdx) */
static void emit_enter(struct x86_code *c)
{
    for (unsigned i = 0; i < 6; i++)
        x_push(c, callee_saved[i]);
    x_alu_const(c, true, ALU_SUB, RSP, FRAME_SIZE);
    x_mov(c, R_CONTEXT, RDI);
    x_mov(c, R_VCPU, RSI);
    x_load(c, R_INSTRET, mem_at(R_VCPU, VCPU(instret)));
    x_mov(c, RAX, RDX);
    emit_mxcsr_clear(c, 0);
    x_load(c, RCX, mem_at(R_VCPU, VCPU(pc)));
    emit_page(c, RCX);
    load_pins(c, true);
    x_jmp_reg(c, RAX);
}

/* eax: why; hart->pc is set */
static void emit_leave(struct x86_code *c)
{
    save_pins(c, true);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), R_INSTRET);
    x_mov(c, RDX, RAX);
    emit_mxcsr_merge(c, 0, false);
    x_mov(c, RAX, RDX);
    x_alu_const(c, true, ALU_ADD, RSP, FRAME_SIZE);
    for (unsigned i = 6; i-- > 0;)
        x_pop(c, callee_saved[i]);
    x_ret(c);
}

/* hart->pc of the x86_where in `place`, which becomes what r14 lacks there. Clobbers rdx. `frame`:
 * from rsp to that of translated code. */
static void emit_place(struct x86_code *c, unsigned place, int32_t frame)
{
    x_extend16(c, RDX, place, false);
    x_alu_mem(c, true, ALU_ADD, RDX, mem_at(RSP, frame + FRAME_PAGE));
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
    emit_place(c, RCX, 0);
    x_alu(c, true, ALU_ADD, R_INSTRET, RCX);
    x_jmp_to(c, x86_stubs.leave);
}

enum { STUB_FRAME = 8 }; /* aligns the stack behind a return address */

static void emit_load(struct x86_code *c, unsigned width)
{
    static const uint32_t opcodes[] = {0, 0x0fb6, 0x0fb7, 0, 0x8b, 0, 0, 0, 0x8b};
    x86_hole miss = x86_host_address(c, width, CONTEXT(tlb[0].read));
    x_mem(c, width == 8, opcodes[width], RAX, mem_at(RAX, 0));
    x_ret(c);
    x_here(c, miss);
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RAX);
    x_const(c, RDX, (int64_t)width);
    x_lea(c, RCX, mem_at(RSP, STUB_FRAME + 8 + FRAME_VALUE));
    call_c(c, (uintptr_t)jit_load);
    x_reg8(c, 0x84, RAX, RAX);
    x86_hole fault = x_jcc(c, CC_E);
    load_pins(c, false);
    x_load(c, RAX, mem_at(RSP, STUB_FRAME + 8 + FRAME_VALUE));
    x_alu_const(c, true, ALU_ADD, RSP, STUB_FRAME);
    x_ret(c);
    x_here(c, fault);
    emit_fault(c, STUB_FRAME);
}

static void emit_store(struct x86_code *c, unsigned width)
{
    x_store(c, mem_at(RSP, 8 + FRAME_VALUE), RDX);
    x86_hole miss = x86_host_address(c, width, CONTEXT(tlb[0].write));
    x_load(c, RDX, mem_at(RSP, 8 + FRAME_VALUE));
    if (width == 1) {
        x_mem8(c, 0x88, RDX, mem_at(RAX, 0));
    } else {
        if (width == 2)
            put8(c, 0x66);
        x_mem(c, width == 8, 0x89, RDX, mem_at(RAX, 0));
    }
    x_ret(c);
    x_here(c, miss);
    x_load(c, RDX, mem_at(RSP, 8 + FRAME_VALUE));
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

static void emit_stack(struct x86_code *c)
{
    x86_tlb_index(c, RAX);
    x_alu(c, true, ALU_ADD, RCX, RAX);
    x_alu_const(c, true, ALU_AND, RCX, -(int32_t)MEM_PAGE_SIZE);
    x_alu_mem(c, true, ALU_CMP, RCX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(tlb[0].write)));
    x86_hole miss = x_jcc(c, CC_NE); /* the flags stay */
    x_load(c, RDX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(tlb[0].addend)));
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
    x_lea(c, R8, mem_at(RSP, STUB_FRAME + 8 + FRAME_VALUE));
    x_mov(c, RAX, RCX); /* exchange the two: code in edx, operand in rcx */
    x_mov(c, RCX, RDX);
    x_mov(c, RDX, RAX);
    call_c(c, (uintptr_t)slow_atomic);
    x_reg8(c, 0x84, RAX, RAX);
    x86_hole fault = x_jcc(c, CC_E);
    load_pins(c, false);
    x_load(c, RAX, mem_at(RSP, STUB_FRAME + 8 + FRAME_VALUE));
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

/* `linked`: to an offset in this page, and ecx is the site */
static void emit_lookup(struct x86_code *c, bool linked)
{
    save_pins(c, false);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RAX);
    if (linked) {
        x_alu_mem(c, true, ALU_ADD, RSI, mem_at(RSP, FRAME_PAGE));
        x_mov(c, RDX, RCX);
    } else {
        x_alu_const(c, true, ALU_AND, RSI, -2);
        emit_page(c, RAX);
        x_const(c, RDX, 0);
    }
    call_c(c, (uintptr_t)jit_go_on);
    emit_go_on(c);
}

static void emit_turn(struct x86_code *c)
{
    x_store(c, mem_at(RSP, FRAME_VALUE), RCX);
    x_load(c, RDX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_shift(c, false, SHIFT_SHR, RCX, 2); /* sites are aligned */
    x_alu_const(c, false, ALU_AND, RCX, JIT_HEATS - 1);
    struct x86_mem heat = mem_indexed(RDX, RCX, 0, offsetof(struct jit_cpu, heats));
    x_mem8(c, 0x80, ALU_ADD, heat);
    put8(c, 1);
    x_mem8(c, 0x80, ALU_CMP, heat);
    put8(c, jit_hot() & 0xff);
    x86_hole hot = x_jcc(c, CC_AE);
    x_alu_mem(c, true, ALU_ADD, RAX, mem_at(RSP, FRAME_PAGE));
    x86_go_by_cache(c, x86_stubs.lookup);
    x_here(c, hot);
    x_mem8(c, 0xc6, 0, heat); /* mov */
    put8(c, 0);
    x_load(c, RCX, mem_at(RSP, FRAME_VALUE));
    x_jmp_to(c, x86_stubs.link);
}

/* The same, after a change of pc and perhaps of the context. */
static void emit_go_elsewhere(struct x86_code *c)
{
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
    x_mem(c, false, 0x8b, RCX, mem_at(RSP, FRAME_WHERE));
    emit_place(c, RCX, 0);
    x_alu(c, true, ALU_ADD, RCX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RCX);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    call_c(c, (uintptr_t)jit_fault);
    emit_go_elsewhere(c);
}

static void emit_system(struct x86_code *c)
{
    save_pins(c, true);
    emit_place(c, RAX, 0);
    x_alu(c, true, ALU_ADD, RAX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RAX);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RCX);
    call_c(c, (uintptr_t)jit_system);
    emit_go_elsewhere(c);
}

static void emit_execute(struct x86_code *c, bool fp)
{
    x_alu_const(c, true, ALU_SUB, RSP, STUB_FRAME);
    save_pins(c, false);
    x_mov(c, RSI, RDX);
    emit_place(c, RAX, STUB_FRAME + 8);
    x_alu(c, true, ALU_ADD, RAX, R_INSTRET);
    x_store(c, mem_at(R_VCPU, VCPU(instret)), RAX);
    x_mov(c, RDX, RSI);
    x_load(c, RDI, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_mov(c, RSI, RCX);
    if (fp)
        emit_mxcsr_merge(c, STUB_FRAME + 8, true);
    x_lea(c, RCX, mem_at(RSP, STUB_FRAME + 8 + FRAME_VALUE));
    call_c(c, (uintptr_t)jit_execute);
    load_pins(c, false);
    x_load(c, RDX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_load(c, R_CONTEXT, mem_at(RDX, offsetof(struct jit_cpu, context)));
    x_mov32(c, RCX, RAX);
    x_load(c, RAX, mem_at(RSP, STUB_FRAME + 8 + FRAME_VALUE));
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

long x86_init(struct jit_room *room)
{
    struct x86_code c = {.at = room->write, .end = room->write + room->size};

    __builtin_cpu_init();
    if (!__builtin_cpu_supports("popcnt"))
        return -E_NOTSUP;
    x86_features.bmi1 = __builtin_cpu_supports("bmi") != 0;
    x86_features.bmi2 = __builtin_cpu_supports("bmi2") != 0;
    unsigned eax, ebx, ecx = 0, edx; /* not every compiler knows LZCNT by name */
    x86_features.lzcnt = __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_LZCNT);
    x86_features.fma = __builtin_cpu_supports("fma") != 0;
    x86_features.pclmul = __builtin_cpu_supports("pclmul") != 0;
    for (unsigned i = 0; i < 64; i++)
        flags_of_mxcsr[i] = (uint8_t)((i & 1) << 4 | (i >> 2 & 1) << 3 | (i >> 3 & 1) << 2 |
                                      (i >> 4 & 1) << 1 | (i >> 5 & 1));

    /* Addresses are of the writable mapping here: jumps among the fixed code are relative. */
    x86_stubs.leave = c.at;
    emit_leave(&c);
    x86_stubs.leave_at = c.at;
    emit_leave_at(&c);
    x86_stubs.enter = c.at;
    emit_enter(&c);
    x86_stubs.link = c.at;
    emit_lookup(&c, true);
    x86_stubs.lookup = c.at;
    emit_lookup(&c, false);
    x86_stubs.turn = c.at;
    emit_turn(&c);
    x86_stubs.system = c.at;
    emit_system(&c);
    x86_stubs.fault = c.at;
    emit_take_fault(&c);
    x86_stubs.execute = c.at;
    emit_execute(&c, false);
    x86_stubs.execute_fp = c.at;
    emit_execute(&c, true);
    for (unsigned i = 0; i < 4; i++) {
        x86_stubs.load[i] = c.at;
        emit_load(&c, 1u << i);
        x86_stubs.store[i] = c.at;
        emit_store(&c, 1u << i);
    }
    x86_stubs.stack = c.at;
    emit_stack(&c);
    x86_stubs.atomic = c.at;
    emit_atomic(&c);
    x86_stubs.compute = c.at;
    emit_compute(&c);
    if (c.full)
        return -E_NOSPC;

    ptrdiff_t to_run = room->run - room->write;
    const uint8_t **const all[] = {&x86_stubs.enter,      &x86_stubs.leave,  &x86_stubs.lookup,
                                   &x86_stubs.link,       &x86_stubs.system, &x86_stubs.execute,
                                   &x86_stubs.execute_fp, &x86_stubs.atomic, &x86_stubs.compute,
                                   &x86_stubs.leave_at,   &x86_stubs.stack,  &x86_stubs.fault,
                                   &x86_stubs.turn};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i] += to_run;
    for (unsigned i = 0; i < 4; i++) {
        x86_stubs.load[i] += to_run;
        x86_stubs.store[i] += to_run;
    }
    return (long)(c.at - room->write);
}
