/* What the interpreter's files share. Nothing outside engine/interp includes this. */
#ifndef ENGINE_INTERP_INTERNAL_H
#define ENGINE_INTERP_INTERNAL_H

#include "core/engine.h"
#include "riscv/csr.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"
#include "riscv/trap.h"
#include "riscv/vcpu.h"
#include "riscv/vector.h"

/* ---- translation caches ---- */

#define TLB_BITS      9
#define TLB_ENTRIES   (1u << TLB_BITS)
#define FETCH_ENTRIES 128u
#define FETCHED_BITS  4096u

/* Sets of data translations, one for each way of looking at memory, so that changing it flushes
 * nothing. */
enum tlb_mode { TLB_U, TLB_S, TLB_S_SUM, TLB_M, TLB_VU, TLB_VS, TLB_VS_SUM, TLB_MODES };

/*
 * `read` and `write` are the page's virtual address if loads (stores) may go straight to `addend` +
 * va. An empty tag is a page that this index cannot hold, so that no address ever matches it. One
 * unsigned compare checks tag, bounds and page crossing: va - tag <= 4096 - width.
 */
struct tlb_entry {
    uint64_t read, write;
    uintptr_t addend;
    uint64_t unused; /* 32 bytes: the index is a shift */
};

static inline unsigned fetched_bit(uint64_t va)
{
    const uint64_t page = va >> MEM_PAGE_SHIFT;
    return (unsigned)(page ^ page >> 12) & (FETCHED_BITS - 1);
}

struct fetch_entry {
    uint64_t page; /* virtual address of the page */
    uint64_t pa;
    const uint8_t *hva; /* NULL: must be fetched instruction by instruction (PMP splits the page) */
    uint32_t epoch;
};

/* ---- code ---- */

#define BLOCK_OPS_MAX   64
#define BLOCK_BYTES_MAX (BLOCK_OPS_MAX * 4)
#define HASH_BUCKETS    (1u << 14)
#define JUMP_ENTRIES    (1u << 12)
#define ARENA_BYTES     (16u << 20)

struct op {
    const void *code; /* a label of interp_run */
    int32_t imm;      /* FP: rs3 << 8 | rm */
    uint8_t rd;       /* integer destination: 32 stands for x0 */
    uint8_t rs1, rs2; /* JAL, JALR: rs2 is the instruction's length */
    uint8_t at;       /* halfwords from the block's start */
};

struct block {
    uint64_t pa;
    const uint8_t *source; /* the guest's bytes */
    struct block *hash_next;
    struct block *taken, *next; /* links to blocks of the same page */
    uint32_t generation;
    uint16_t bytes; /* of guest code */
    uint16_t count; /* instructions */
    struct op
        ops[]; /* count, or one more that goes on to the next block; then a copy of the source */
};

/* The guest's bytes as they were decoded; a block ends in at most one op more than it has
 * instructions. */
static inline uint8_t *block_copy(struct block *b)
{
    return (uint8_t *)&b->ops[b->count + 1];
}

/* imm of a vector instruction's op is the instruction itself. */
static inline unsigned op_vector_number(const struct op *op)
{
    return op->rs1 | (unsigned)op->rs2 << 8;
}

struct jump_entry {
    uint64_t pc;
    struct block *block;
    uint32_t epoch;
};

/* One VCPU's interpreter. */
struct interp {
    struct riscv_vcpu *hart;
    const void *const *labels; /* by enum riscv_op, then LABEL_NEXT */
    uint32_t generation;       /* of code: FENCE.I adds one */
    uint32_t epoch;            /* of fetch translations, the present privilege's */
    uint32_t epochs[8];        /* by riscv_fetch_priv */
    uint32_t epoch_last;       /* the last number given out */
    enum tlb_mode mode;

    /* A trap that a helper found. */
    unsigned cause;
    uint64_t tval;

    /* The largest range in which a page larger than 4 KiB was cached (SFENCE.VMA of one address).
     */
    uint64_t large_low, large_last;

    struct riscv_vmemory vmemory;

    bool stepping; /* one instruction, then out */
    bool kicked;   /* somebody else wanted that, too */

    uint64_t trap_instret; /* endless trap loops: traps without an instruction between them */
    unsigned trap_streak;

    struct tlb_entry tlb[TLB_MODES][TLB_ENTRIES];
    uint64_t tlb_used[TLB_MODES][TLB_ENTRIES / 64]; /* bit i: entry i may hold something */
    /* Pages, by a hash of their number, that code was fetched from in these epochs. */
    uint64_t fetched[FETCHED_BITS / 64];
    struct fetch_entry fetch[FETCH_ENTRIES];
    struct jump_entry jump[JUMP_ENTRIES];
    struct block *hash[HASH_BUCKETS];
    uint8_t *arena;
    size_t arena_used;
    uint32_t flushes; /* of the arena: blocks seen before one must not be linked after it */
    /* A block for an instruction that cannot be kept: it crosses a page, or PMP splits its page. */
    _Alignas(16) uint8_t scratch[sizeof(struct block) + 2 * sizeof(struct op) + 8];
};

#define LABEL_NEXT  OP_COUNT
#define LABEL_COUNT (OP_COUNT + 1)

/* code.c: blocks */

/* The block at virtual address `pc` in the present mode, or NULL with it->cause and it->tval set.
 */
struct block *interp_block(struct interp *it, uint64_t pc);
/* Makes an old-generation block usable again; NULL if the guest's bytes have changed (then it is
 * gone). */
struct block *interp_block_revalidate(struct interp *it, struct block *block);
/* The same for one instruction, in it->scratch: nothing is kept. */
struct block *interp_block_single(struct interp *it, uint64_t pc);
void interp_code_flush(struct interp *it);
/* Begins a new generation (FENCE.I). */
void interp_code_fence(struct interp *it);

/* tlb.c: data */

void interp_tlb_init(struct interp *it);
void interp_tlb_flush(struct interp *it);
void interp_tlb_flush_page(struct interp *it, uint64_t va);
/* A page was cached of a leaf of `span` bytes: flushing one address of it must flush all of it. */
void interp_tlb_note_span(struct interp *it, uint64_t va, uint64_t span);
/* Chooses TLB set and epoch for the hart's present privilege, MPRV and SUM. */
void interp_mode_update(struct interp *it);
/* Slow paths: false with it->cause and it->tval set. `width` is 1, 2, 4 or 8. */
bool interp_load(struct interp *it, uint64_t va, unsigned width, uint64_t *value);
bool interp_store(struct interp *it, uint64_t va, unsigned width, uint64_t value);
/* Host address of naturally aligned RAM for an atomic (`store`) or LR; NULL with the trap set. */
void *interp_atomic_at(struct interp *it, uint64_t va, unsigned width, bool store);
/* HLV, HLVX (ACCESS_HLVX) and HSV: as load and store, through both stages, remembering nothing. */
bool interp_hlv(struct interp *it, uint64_t va, unsigned width, enum riscv_access access,
                uint64_t *value);
bool interp_hsv(struct interp *it, uint64_t va, unsigned width, uint64_t value);
/* The cache-block operations (CMO 2.7.1): `zero` or management. */
bool interp_cbo(struct interp *it, unsigned op, uint64_t va);

/* run.c */
#define INTERP_STEP_KICK 2 /* in vcpu.kick: of the step itself */
enum exit_reason interp_run(struct vcpu *vcpu, struct exit *exit);

#endif
