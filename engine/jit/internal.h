/* What the translator's files share. Nothing outside engine/jit includes this. */
#ifndef ENGINE_JIT_INTERNAL_H
#define ENGINE_JIT_INTERNAL_H

#include "core/engine.h"
#include "engine/jit/ir.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"
#include "riscv/vcpu.h"

/* ---- contexts: what translated code sees of an address space ---- */

#define PAGE_OFFSET     (MEM_PAGE_SIZE - 1)
#define JIT_TLB_BITS    14
#define JIT_TLB_SIZE    (1u << JIT_TLB_BITS)
#define JIT_JUMP_BITS   15
#define JIT_JUMP_SIZE   (1u << JIT_JUMP_BITS)
#define JIT_FETCH_SIZE  4096u
#define JIT_FETCH_SHIFT 5 /* log2 of the bytes of an entry */
#define JIT_FOUND_SIZE  16384u
#define JIT_HEATS       32768u
#define JIT_PAGES       4096u
#define JIT_CONTEXTS    16 /* of a VCPU */
#define JIT_WRITERS     8192u
#define JIT_WRITER_WAYS 4u
#define JIT_WINDOWS     2048u

/* Never the address of a page: matches none. */
#define JIT_EMPTY 1ULL

struct jit_jump {
    uint64_t pc;
    const void *code;
};

/* Which of up to JIT_SET_MAX entries may be in use: bit i of `words`, and bit i / 64 of `summary`.
 */
#define JIT_SET_MAX (1u << 16)
struct jit_set {
    uint64_t summary[JIT_SET_MAX / 64 / 64];
    uint64_t words[JIT_SET_MAX / 64];
};

static inline void jit_set_add(struct jit_set *set, unsigned i)
{
    set->words[i / 64] |= 1ULL << i % 64;
    set->summary[i / 64 / 64] |= 1ULL << i / 64 % 64;
}

/* Takes a member out into *i; false: there is none. */
bool jit_set_take(struct jit_set *set, unsigned *i);

/*
 * Entry i of the TLB is for pages whose number ends in i. `read` and `write` are the page's virtual
 * address if loads (stores) may go straight to `addend` + va, else JIT_EMPTY (or 0, where no such
 * page ends in i). An access whose last byte is in the page of its first and matches needs nothing
 * else.
 */
#define JIT_TLB_SHIFT 5 /* log2 of its bytes: an entry is in one line of the host's cache */
struct jit_tlb {
    uint64_t read, write;
    uintptr_t addend, unused;
};

/* What the loads, or the stores, at one place in a region last hit: va - page < room may go
 * straight to addend + va. */
struct jit_window {
    uint64_t page, room; /* room 0: nothing */
    uintptr_t addend;
    /* Since hart->instret was that: how often it was missed or, while it is closed, wanted; all
     * ones if it was emptied. `pace`: instructions in which that many misses are too many. */
    uint64_t since, count, pace;
};

/* Where the stack was last: what has its last byte at va, va - base < room, and no more than
 * JIT_STACK_SPAN bytes, may be loaded from and stored to at addend + va. */
#define JIT_STACK_SPAN 128
struct jit_stack {
    uint64_t base, room; /* room 0: nothing */
    uintptr_t addend, unused;
};

struct jit_context {
    /* First: their offsets are short in host code. */
    struct jit_stack stack;
    struct jit_tlb tlb[JIT_TLB_SIZE];
    struct jit_jump jump[JIT_JUMP_SIZE]; /* by pc >> 1 */
    struct jit_window windows[JIT_WINDOWS];
    uint64_t windows_used[JIT_WINDOWS / 64]; /* may show something */
    struct jit_cpu *cpu;
    /* Which address space it is for now; `local`: entries that are not those of all address spaces.
     */
    uint64_t satp, used_at;
    bool virt;                     /* of VS or VU: `satp` is vsatp, beneath it is a G stage */
    uint8_t tag_bits;              /* bits of addresses that are masked */
    struct jit_context *other_sum; /* the same but for mstatus.SUM, of the same satp; or NULL */
    bool valid, local_code;
    struct jit_set tlb_used, tlb_local, jump_used, fetch_used;
    /* Pages that code was looked for in, by their number. */
    struct jit_fetch {
        uint64_t page, pa; /* JIT_EMPTY: none */
        const uint8_t *hva;
        uint32_t pfn; /* of pa */
        bool global;
    } fetch[JIT_FETCH_SIZE];
};
_Static_assert(sizeof(struct jit_fetch) == 1 << JIT_FETCH_SHIFT, "back ends find an entry by it");

static inline unsigned jit_jump_index(uint64_t pc)
{
    return (unsigned)(pc >> 1) & (JIT_JUMP_SIZE - 1);
}

/* The pc of an empty entry of the jump cache: one that is looked up at another entry. The guest
 * may jump to any address, and bit 0 of what is looked up is whatever the guest's register has. */
static inline uint64_t jit_no_jump(unsigned i)
{
    return i == 0 ? 2 : 0;
}

/* ---- why translated code leaves ---- */

enum jit_leave {
    JIT_LOOKUP, /* go on at hart->pc */
    JIT_STEP,   /* the interpreter executes the instruction at hart->pc */
    JIT_KICK,   /* vcpu.kick is set */
    JIT_FAULT,  /* cpu->cause and cpu->tval, at hart->pc */
    JIT_LEAVES,
};

/* ---- code ---- */

#define JIT_LINKS_MAX 4

/* A direct jump to another block, as the back end placed it. */
#define JIT_NO_PAGE UINT32_MAX
struct jit_link {
    struct jit_block *to;  /* NULL: not linked */
    struct jit_link *next; /* others that go to `to` */
    uint32_t site, ask;    /* offsets in the cache, for the back end's link and unlink */
    uint32_t guard;        /* to another page: where the number of the only one that it goes to is
                            * (physical; JIT_NO_PAGE: not known yet); 0: to its own page */
    uint16_t offset;       /* where it goes: in the page */
};

struct jit_block {
    uint64_t pa;      /* guest-physical address of its first byte: it is found by this alone */
    uint64_t page_va; /* virtual address of its page; `elsewhere`: of one of them */
    uint16_t bytes;   /* of guest code */
    uint16_t instructions;
    bool elsewhere;
    bool region, no_loop; /* no_loop: the head of no region */
    uint8_t link_count;
    uint32_t copy;            /* offset of the guest's bytes as they were translated */
    uint32_t code, code_size; /* offset and size in the cache */
    uint32_t rare, rare_size; /* of the part that is rarely executed */
    struct jit_block *page_next;
    struct jit_link *incoming;
    struct jit_link links[JIT_LINKS_MAX];
};

struct jit_stats {
    _Atomic uint64_t translated, regions, instructions, host_bytes, chained, steps, flushes,
        invalidated;
    _Atomic uint64_t stepped[OP_COUNT]; /* steps by instruction, */
    _Atomic uint64_t called[OP_COUNT];  /* and calls for vector instructions */
};

/* What one VCPU's thread counts for itself. */
struct jit_counts {
    _Atomic uint64_t left[JIT_LEAVES]; /* by why; JIT_STEP: for want of code too */
    _Atomic uint64_t tlb_fills, slow_loads, slow_stores, atomics;
    _Atomic uint64_t lookups, executed, systems, faults; /* without leaving */
    _Atomic uint64_t vectors;                            /* instructions that C executed */
};

static inline void jit_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

struct jit_vm; /* cache.c */

/* One VCPU's part: vcpu.engine_data. */
struct jit_cpu {
    struct riscv_vcpu *hart;
    struct jit_vm *vm;
    struct jit_context *context; /* the present one */
    void *reference;             /* engine_data of the interpreter, for steps */
    unsigned cause;              /* JIT_FAULT */
    uint64_t tval;
    uint64_t clock;     /* of contexts' use */
    enum jit_leave why; /* what a helper that gives no code leaves for */
    /* Which of `contexts` is for (satp, privileges of code and data, SUM, MXR, PMM; vsatp and hgatp
     * in the virtual modes, which thus keep theirs while others run). A supervisor's is
     * for all address spaces of satp's mode, once a page was seen that is in all (the G bit). */
    bool global_seen;
    struct {
        uint64_t satp, hgatp;
        uint16_t mode;
        bool valid;
    } keys[JIT_CONTEXTS];
    unsigned before; /* the context that was chosen before the present one */
    uint64_t trap_instret;
    unsigned trap_streak;
    struct jit_context *contexts; /* JIT_CONTEXTS */
    /* RAM in which PMP lets every mode do everything: whole pages of one slot; size 0: none. */
    struct {
        uint64_t gpa, size;
        uint8_t *hva;
        _Atomic uint8_t *flags; /* of its pages, as in struct mem_slot */
    } open;
    uint32_t epoch;             /* of code: what its jump caches know */
    uint64_t dropped_seen;      /* of the blocks that were dropped one by one */
    uint32_t reference_effects; /* enum riscv_effect that the interpreter has not seen yet */
    _Atomic bool in_code;
    struct jit_counts counts;
    struct jit_audit *audit; /* NULL: not audited */
    /* Where the TLBs let stores through to a page, by a hash of its host address: contexts and
     * entries, as JIT_WRITER says; 0: none. All of them are here. */
    uint32_t writers[JIT_WRITERS][JIT_WRITER_WAYS];
    /* The contexts, as bits, that may know something of a page: by its TLB entry (or have a window
     * of a page that was there), by its entry of `fetch`, by its hash in the jump cache. */
    uint16_t in_tlb[JIT_TLB_SIZE], in_fetch[JIT_FETCH_SIZE], in_jump[JIT_PAGES];
    /* Where each has seen a page larger than 4 KiB: [low, last]. */
    struct jit_large {
        uint64_t low, last;
    } large[JIT_CONTEXTS];
    /* Blocks found lately, in any context; good while no code was dropped since. */
    struct jit_found {
        uint64_t pa;
        uint64_t page_va; /* as of the block; JIT_EMPTY: it is elsewhere too */
        const void *code;
        uint32_t epoch;
    } found[JIT_FOUND_SIZE];
    /* How often backward jumps were taken that are not linked, by a hash of their sites. */
    uint8_t heats[JIT_HEATS];
};

#define JIT_WRITER(context, entry) (1u << 31 | (uint32_t)(context) << 16 | (entry))

/* A guest that traps this often without an instruction between (a vector that cannot be fetched) is
 * lost. */
#define JIT_TRAP_STREAK_MAX 1000

static inline bool jit_trap_streak(struct jit_cpu *cpu)
{
    if (cpu->trap_instret != cpu->hart->instret) {
        cpu->trap_instret = cpu->hart->instret;
        cpu->trap_streak = 0;
        return false;
    }
    return ++cpu->trap_streak > JIT_TRAP_STREAK_MAX;
}

/* ---- system.c: instructions that C executes, without the interpreter ---- */

/* What IR_EXECUTE and IR_SYSTEM say of an instruction. JIT_ZERO, JIT_MANAGE (CBO.INVAL, CLEAN and
 * FLUSH): in place of a CSR's number the bits of xenvcfg that allow it. */
enum jit_kind {
    JIT_CSR_WRITE,
    JIT_CSR_SET,
    JIT_CSR_CLEAR,
    JIT_ZERO,
    JIT_MANAGE,
    JIT_PAUSE,
    JIT_SAME
};
/* IR_VECTOR: bits 0 to 31 the instruction, 32 to 47 its number, 48 to 58 vtype as the instruction
 * finds it, 59: unless vtype is another, which is only assumed. Of vset*: vtype as it is asked for.
 */
#define JIT_VECTOR_ASSUMED (1ULL << 59)
static inline int64_t jit_vector_code(unsigned op, uint32_t raw, uint64_t vtype, bool known)
{
    return (int64_t)(raw | (uint64_t)op << 32 | (vtype & 0x7ff) << 48 |
                     (known ? 0 : JIT_VECTOR_ASSUMED));
}
/* Executes a vector instruction; false: the interpreter must, or what is left of it from vstart on.
 */
bool jit_vector(struct jit_cpu *cpu, uint32_t op, uint32_t raw);

#define JIT_CSR_READS  (1u << 16)
#define JIT_CSR_WRITES (1u << 17)

static inline uint32_t jit_code(unsigned csr, enum jit_kind kind, bool reads, bool writes)
{
    return csr | (uint32_t)kind << 12 | (reads ? JIT_CSR_READS : 0) | (writes ? JIT_CSR_WRITES : 0);
}

static inline uint32_t jit_system_code(unsigned op, unsigned rs1, unsigned rs2)
{
    return op | rs1 << 16 | rs2 << 24;
}

/*
 * Called by translated code, with hart->pc that of the instruction and hart->instret exact. Unless
 * it refuses (the interpreter must execute the instruction), *value is the old value; what follows
 * may be executed in cpu->context at once, or is to be looked up by the loop.
 */
enum jit_done { JIT_REFUSED, JIT_GO_ON, JIT_LEAVE };
enum jit_done jit_execute(struct jit_cpu *cpu, uint32_t code, uint64_t operand, uint64_t *value);
/* The same, with all registers in the hart: where to go on in cpu->context, or NULL: leave for
 * cpu->why; hart->pc and hart->instret say where. */
const void *jit_system(struct jit_cpu *cpu, uint32_t code);
/* The same for the trap of a load, store or atomic: cpu->cause and cpu->tval, at hart->pc. */
const void *jit_fault(struct jit_cpu *cpu);
/* Code of `pc`; `site`: as jit_code_at. NULL: leave for cpu->why; hart->pc is set. */
const void *jit_go_on(struct jit_cpu *cpu, uint64_t pc, uint32_t site);
/*
 * For the loop: executes the instruction at hart->pc if it is one that this file knows; false: it
 * does not. *reason: what to leave the guest for, or EXIT_KICKED.
 */
bool jit_system_step(struct jit_cpu *cpu, enum exit_reason *reason);
/* What the hart has changed for its contexts. */
void jit_serve_effects(struct jit_cpu *cpu);

/* ---- walk.c ---- */

struct jit_page {
    struct riscv_page page;
    _Atomic uint8_t *flags; /* of the page (enum mem_page_flag) where page.hva is not NULL */
    bool global;            /* known to be the same in all address spaces (G) */
};

/* As riscv_translate, which does what is not ordinary. */
unsigned jit_translate(struct jit_cpu *cpu, uint64_t va, unsigned len, enum riscv_access access,
                       unsigned priv, struct jit_page *page);
/* cpu->open, after changes of PMP or of the slots. */
void jit_open_update(struct jit_cpu *cpu);

/* ---- context.c ---- */

/* Chooses cpu->context for the hart's present satp, privilege, MPRV and SUM. */
void jit_context_choose(struct jit_cpu *cpu);
void jit_context_flush_all(struct jit_cpu *cpu);
/* SFENCE.VMA: `va` and `asid` count only if told. */
void jit_context_fence(struct jit_cpu *cpu, bool has_va, uint64_t va, bool has_asid, uint16_t asid);
/* The same, of the virtual address space that hgatp's VMID names: SFENCE.VMA in VS-mode,
 * HFENCE.VVMA. */
void jit_context_fence_virtual(struct jit_cpu *cpu, bool has_va, uint64_t va, bool has_asid,
                               uint16_t asid);
/* HFENCE.GVMA: all of a VMID, or of all. */
void jit_context_fence_guest(struct jit_cpu *cpu, bool has_vmid, uint16_t vmid);
/* What the fence `op` (OP_sfence_vma, OP_hinval_gvma, ...), which has been allowed, voids. */
void jit_context_fence_op(struct jit_cpu *cpu, unsigned op, bool has_rs1, uint64_t rs1,
                          bool has_rs2, uint64_t rs2);
/* Code was dropped: jump caches may name it. */
void jit_context_forget_code(struct jit_cpu *cpu);
/* The code of one block was. */
struct jit_dropped {
    uint64_t pa, page_va;
    const void *code;
    bool elsewhere; /* it may be known at any virtual address */
};
void jit_context_forget_block(struct jit_cpu *cpu, const struct jit_dropped *block);
/* Page at host address `hva` holds code now: no write entry for it stays. */
void jit_context_protect(struct jit_cpu *cpu, uintptr_t hva);
/*
 * The slow paths that back ends call: the whole access, TLB filled where possible. false: cause and
 * tval are set, nothing was done. Loads give the bytes zero-extended.
 */
bool jit_load(struct jit_cpu *cpu, uint64_t va, unsigned width, uint64_t *value);
bool jit_store(struct jit_cpu *cpu, uint64_t va, unsigned width, uint64_t value);
/* Host address of naturally aligned RAM for an atomic (`store`) or LR; NULL with the trap set. */
/* Where [va, va + len) may be loaded from or stored to at once; NULL: that is not known. */
void *jit_known_at(struct jit_cpu *cpu, uint64_t va, uint64_t len, bool store);
void *jit_atomic_at(struct jit_cpu *cpu, uint64_t va, unsigned width, bool store);

static inline unsigned jit_page_hash(uint64_t va)
{
    const uint64_t page = va >> MEM_PAGE_SHIFT;
    return (unsigned)(page ^ page >> 12) & (JIT_PAGES - 1);
}

/* The jump cache has code of the page of `pc` from now on. */
static inline void jit_context_has_code(struct jit_context *context, uint64_t pc)
{
    context->cpu->in_jump[jit_page_hash(pc)] |=
        (uint16_t)(1u << (context - context->cpu->contexts));
}

static inline struct jit_found *jit_found_at(struct jit_cpu *cpu, uint64_t pa)
{
    return &cpu->found[(pa >> 1 ^ pa >> 13) & (JIT_FOUND_SIZE - 1)];
}

/* CBO.ZERO of the line of `va`, where that is RAM; false: nothing was done, and a trap is to be
 * found by whoever looks again. */
bool jit_zero(struct jit_cpu *cpu, uint64_t va);
/* The same of CBO.INVAL, CLEAN and FLUSH, which do nothing where they may be done. */
bool jit_manage(struct jit_cpu *cpu, uint64_t va);
/* Where the page of `va` lies, for code; NULL: it cannot be fetched, or not be kept. */
const struct jit_fetch *jit_context_fetch(struct jit_cpu *cpu, uint64_t va);

/* ---- cache.c ---- */

struct jit_backend;

int jit_cache_init(struct vm *vm, struct jit_vm **out);
void jit_cache_fini(struct jit_vm *jv);
/* VCPU `id` of the VM. Its engine_data is no way to it: during a step that is the interpreter's. */
void jit_cache_join(struct jit_vm *jv, unsigned id, struct jit_cpu *cpu);
const struct jit_cpu *jit_cpu_of(const struct jit_vm *jv, unsigned id);
const struct jit_backend *jit_backend(const struct jit_vm *jv);
/*
 * Code of the block at `pc` in the present context, translated if need be and entered in the jump
 * cache; NULL: take a step. `site`: the link to make, or 0.
 */
const void *jit_code_at(struct jit_cpu *cpu, uint64_t pc, uint32_t site);
/* After so many turns a backward jump asks for its link: then its loop is translated as a whole. */
unsigned jit_hot(void);
/* [gpa, gpa + len) was written, or is about to be; by `cpu`, or by a device (NULL). */
void jit_code_written(struct jit_vm *jv, struct jit_cpu *cpu, uint64_t gpa, uint64_t len);
/* The page holds code: stores must come by jit_code_written. */
bool jit_page_has_code(struct jit_vm *jv, uint64_t gpa);
/* What was dropped since the last time goes from this hart's caches. */
void jit_forget_dropped(struct jit_cpu *cpu);
/* What the hart executes from now on is as memory is now. The caller is in no code. */
void jit_fence_i(struct jit_cpu *cpu);
/* The same if no other hart has to be waited for, from code too; false: nothing was done. */
bool jit_fence_i_quick(struct jit_cpu *cpu);
/* Drops everything. The caller is in no code. */
void jit_code_flush(struct jit_cpu *cpu);
/* The hart is about to wait. Many translations, and a guest that has all but stood still for
 * seconds: their memory goes back to the host. The caller is in no code. */
void jit_code_rest(struct jit_cpu *cpu);
/* Around the back end's enter: code stays where it is. */
void jit_code_enter(struct jit_cpu *cpu);
void jit_code_leave(struct jit_cpu *cpu);
/* Another one: jump caches may name dropped code. */
uint32_t jit_epoch(struct jit_vm *jv);
struct jit_stats *jit_stats(struct jit_vm *jv);

/* ---- audit.c ---- */

/* cpu->cause of what the interpreter is to execute, while audited. */
#define JIT_AUDIT_STOP UINT32_MAX

struct jit_audit *jit_audit_make(void);
void jit_audit_free(struct jit_audit *audit);
/* [at, at + width) is about to be written; false: stop before it. */
bool jit_audit_note(struct jit_audit *audit, void *at, unsigned width);
/* In place of the back end's enter, for one block. Traps are taken. JIT_LEAVES: it differed. */
enum jit_leave jit_audit_enter(struct jit_cpu *cpu, const void *code);

/* run.c: the reference executes one instruction (or trap, or interrupt). */
enum exit_reason jit_reference_step(struct jit_cpu *cpu, struct exit *exit);

#endif
