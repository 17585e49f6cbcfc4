/*
 * Who is where while translated code runs.
 *
 *   rbp  the VCPU: &hart->x[16], so that x[0..31] are at [rbp - 128 .. rbp + 120]
 *   r15  the context (struct jit_context)
 *   r14  hart->instret as of the block's start
 *   rax rcx rdx  scratch within one operation
 *   the others   guest registers, see x86_pin
 *   rsp  16-byte aligned; [rsp + FRAME_*] below
 */
#ifndef ENGINE_JIT_X86_REGS_H
#define ENGINE_JIT_X86_REGS_H

#include "engine/jit/backend.h"
#include "engine/jit/x86/encode.h"

#define R_VCPU    RBP
#define R_CONTEXT R15
#define R_INSTRET R14

/* The guest register that each host register holds, or 0. Those of calls' arguments are in
 * registers that C functions do not keep: they are saved around calls. */
#define X86_PINS 9
struct x86_pin {
    uint8_t guest, host;
    bool saved; /* around calls */
};
extern const struct x86_pin x86_pins[X86_PINS];
/* Host register by guest register; NO_REG: in memory. */
extern const uint8_t x86_host[32];

/* Offsets from rbp. */
#define VCPU_BASE      offsetof(struct riscv_vcpu, x[16])
#define VCPU(field)    ((int32_t)(offsetof(struct riscv_vcpu, field)) - (int32_t)VCPU_BASE)
#define VCPU_X(n)      (((int32_t)(n)-16) * 8)
#define VCPU_F(n)      (VCPU(f) + (int32_t)(n)*8)
#define CONTEXT(field) ((int32_t)offsetof(struct jit_context, field))

#define CONTEXT_WINDOW(n) (CONTEXT(windows) + (int32_t)(n) * (int32_t)sizeof(struct jit_window))

#define X86_GROUP_SLOTS 8
#define X86_SLIDES      16 /* windows of the frame */

/* The stack frame of translated code. */
enum {
    FRAME_PAGE = 0,                /* virtual address of the page that the code is of */
    FRAME_WHERE = FRAME_PAGE + 8,  /* x86_where of what may fault */
    FRAME_VALUE = FRAME_WHERE + 8, /* result of a slow load */
    FRAME_MXCSR = FRAME_VALUE + 8,
    FRAME_GROUPS = FRAME_MXCSR + 8,
    FRAME_TEMPS = FRAME_GROUPS + 8 * X86_GROUP_SLOTS, /* IR_T(0).. */
    FRAME_SLIDES = FRAME_TEMPS + 8 * IR_TEMPS,
    /* 8 more than a multiple of 16: return address and six registers */
    FRAME_SIZE = FRAME_SLIDES + 16 * X86_SLIDES + 8,
};

/* A window of the frame has two words: the last base that is good, or the first that is not; and
 * what makes a host address of it. `rsp`: bytes from the stack pointer to the frame. */
static inline struct x86_mem x86_slide_word(unsigned word, int32_t rsp)
{
    return mem_at(RSP, rsp + FRAME_SLIDES + 8 * (int32_t)word);
}

/* A place in a block: bytes from the page's begin, and instructions that r14 lacks there. */
static inline int32_t x86_where(uint64_t offset, int64_t lacks)
{
    return (int32_t)((uint32_t)lacks << 16 | (uint32_t)offset);
}

/* The fixed code: run addresses. */
struct x86_stubs {
    const uint8_t *enter;
    const uint8_t *leave;    /* eax: enum jit_leave; hart->pc is set, r14 exact */
    const uint8_t *leave_at; /* eax: enum jit_leave; ecx: x86_where */
    /* Jumped to. Go on in code, or leave. */
    const uint8_t *lookup; /* rax: pc, bit 0 ignored; r14 exact */
    const uint8_t *link;   /* eax: offset in the page, ecx: site; r14 exact */
    const uint8_t *turn;   /* the same, for a jump backwards: counts it before it asks */
    const uint8_t *system; /* eax: x86_where, ecx: jit_system_code */
    const uint8_t *fault;  /* of the other stubs: where FRAME_WHERE says */
    /* eax: x86_where, ecx: jit_code, rdx: operand. Gives rax and the flags of the comparison of
     * what was done with JIT_GO_ON, or does not return. */
    const uint8_t *execute, *execute_fp;
    /* rax: va; rdx: value (stores); FRAME_WHERE set. Loads give rax, zero-extended. By width: 1,
     * 2, 4, 8. */
    const uint8_t *load[4], *store[4];
    /* rax: va of the first byte, ecx: bytes behind it. ZF: context->stack.addend is for them.
     * Clobbers rcx, rdx. */
    const uint8_t *stack;
    /* rax: va, ecx: x86_atomic_code, rdx: operand; the same. Give rax. */
    const uint8_t *atomic;
    /* rax = f(rax, rdx) by cpu-independent helpers: ecx the enum ir_op. */
    const uint8_t *compute;
};
extern struct x86_stubs x86_stubs;
/* What the host has. */
struct x86_features {
    bool bmi1, bmi2, lzcnt, fma, pclmul;
};
extern struct x86_features x86_features;

long x86_init(struct jit_room *room);

/* What stubs and blocks emit alike. To the pc in rax by the jump cache, or to `lookup`: */
void x86_go_by_cache(struct x86_code *c, const uint8_t *lookup);
/* edx: where the page of `va` is in the TLB, in bytes; `va` is rdx or another. */
void x86_tlb_index(struct x86_code *c, unsigned va);
/* rax: the host's address of what rax says, or a jump to the rare path. Clobbers rcx, rdx. */
x86_hole x86_host_address(struct x86_code *c, unsigned width, int32_t tags);

/* What `ecx` says at the atomic stub. */
static inline uint32_t x86_atomic_code(enum ir_op op, unsigned sub, int64_t which)
{
    return (uint32_t)op | sub << 8 | (uint32_t)which << 16;
}

#endif
