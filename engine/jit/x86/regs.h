/*
 * Who is where while translated code runs.
 *
 *   rbp  the VCPU: &hart->x[16], so that x[0..31] are at [rbp - 128 .. rbp + 120]
 *   r15  the context (struct jit_context)
 *   r14  hart->instret as of the block's start
 *   rax rcx rdx  scratch within one operation
 *   the others   guest registers, see x86_pin
 *   rsp  16-byte aligned; the guest's calls are the host's (lower.c), as far as X86_RETURNS goes:
 *        16 bytes for each of them, ra and where the host returns to
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
#define X86_RETURNS     1024

/* The frame of translated code: in hart->scratch. */
enum {
    FRAME_PAGE = 0,                /* virtual address of the page that the code is of */
    FRAME_WHERE = FRAME_PAGE + 8,  /* x86_where of what may fault */
    FRAME_VALUE = FRAME_WHERE + 8, /* result of a slow load */
    FRAME_MXCSR = FRAME_VALUE + 8,
    FRAME_GROUPS = FRAME_MXCSR + 8,
    FRAME_TEMPS = FRAME_GROUPS + 8 * X86_GROUP_SLOTS, /* IR_T(0).. */
    FRAME_EMPTY = FRAME_TEMPS + 8 * IR_TEMPS,         /* rsp with nothing to return to, */
    FRAME_LIMIT = FRAME_EMPTY + 8,                    /* and with no room for more */
    FRAME_SLIDES = FRAME_LIMIT + 8,
    FRAME_SIZE = FRAME_SLIDES + 16 * X86_SLIDES,
};
_Static_assert(FRAME_SIZE <= 8 * RISCV_SCRATCH, "the frame is there");

static inline struct x86_mem x86_frame(int32_t at)
{
    return mem_at(R_VCPU, VCPU(scratch) + at);
}

/* A window of the frame has two words: the last base that is good, or the first that is not; and
 * what makes a host address of it. */
static inline struct x86_mem x86_slide_word(unsigned word)
{
    return x86_frame(FRAME_SLIDES + 8 * (int32_t)word);
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
    /* rax: pc, ecx: site, ZF: its link's page is not known yet; r14 exact */
    const uint8_t *far;
    /* Returned to: ra is not what was expected there, or nothing was. */
    const uint8_t *returned;
    const uint8_t *return_kick; /* to the pc in ra, by a look-up */
    const uint8_t *system;      /* eax: x86_where, ecx: jit_system_code */
    const uint8_t *fault;       /* of the other stubs: where FRAME_WHERE says */
    /* eax: x86_where, ecx: jit_code, rdx: operand. Gives rax and the flags of the comparison of
     * what was done with JIT_GO_ON, or does not return. */
    const uint8_t *execute;
    /* rax: va; rdx: value (stores); ecx: x86_where. Loads give rax, zero-extended. By width: 1,
     * 2, 4, 8. */
    const uint8_t *load[4], *store[4];
    /* rax: va of the first byte, ecx: bytes behind it. ZF: rdx is the addend of their page, for
     * loads or for stores. Clobbers rcx. */
    const uint8_t *group[2];
    /* The same for stores, and context->stack is there. */
    const uint8_t *stack;
    /* rax: va, ecx: x86_atomic_code, rdx: operand; FRAME_WHERE set. Give rax. */
    const uint8_t *atomic;
    /* rax = f(rax, rdx) by cpu-independent helpers: ecx the enum ir_op. */
    const uint8_t *compute;
    /* eax: x86_where, ecx: the number of a vector instruction, edx: itself. As `execute`, without a
     * result. */
    const uint8_t *vector;
    /* rax: va; rdx: bytes, 1 to 512; rcx: where a vector group is. ZF: they are loaded, or stored
     * ([1]). Clobbers all three. */
    const uint8_t *copy[2];
    /* riscv_vsha512ms, riscv_vsha512c ([1]) of the addresses in rax, rcx, rdx. Clobbers all three.
     */
    const uint8_t *sha512[2];
    const uint8_t *zeros_ones; /* no code: 32 bytes of zeros, 32 of ones */
    /* No code: by SEW, 32 bytes of elements of which each has another bit of 0 to 7 (of 0 to 15,
     * SEW 16); and which byte of a word of 4 has the bit of byte i, for 32 of them. */
    const uint8_t *mask_bits[4], *mask_bytes;
    const uint8_t *reversed[4]; /* no code: by SEW, which byte is in place of byte i, of 32 */
    const uint8_t *flags;       /* no code: fflags by the low six bits of MXCSR */
};
extern struct x86_stubs x86_stubs;
/* What the host has. */
struct x86_features {
    bool bmi1, bmi2, lzcnt, fma, pclmul, sse41, avx, avx2, aes, sha;
};
extern struct x86_features x86_features;

long x86_init(struct jit_room *room);

/* What stubs and blocks emit alike. To the pc in rax by the jump cache, or to `lookup`: */
void x86_go_by_cache(struct x86_code *c, const uint8_t *lookup);
/* ZF: the jump cache has the pc in rax, and [r15 + rdx] is its entry. */
void x86_find_jump(struct x86_code *c);
/* Code is of the page of the pc in rax from now on. */
void x86_enter_page(struct x86_code *c);
struct x86_mem x86_found_code(void);
/* edx: where the page of `va` is in the TLB, in bytes; `va` is rdx or another. */
void x86_tlb_index(struct x86_code *c, unsigned va);
/* rax: the host's address of what rax says, or a jump to the rare path. Clobbers rcx, rdx. */
x86_hole x86_host_address(struct x86_code *c, unsigned width, int32_t tags);

/* eax: fflags, with what is still in MXCSR. `table`: x86_stubs.flags. Clobbers rcx. */
void x86_get_flags(struct x86_code *c, const uint8_t *table);
/* MXCSR has none. */
void x86_clear_flags(struct x86_code *c);

/* What `ecx` says at the atomic stub. */
static inline uint32_t x86_atomic_code(enum ir_op op, unsigned sub, int64_t which)
{
    return (uint32_t)op | sub << 8 | (uint32_t)which << 16;
}

#endif
