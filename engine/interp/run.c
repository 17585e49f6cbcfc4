/*
 * The dispatch loop. Every operation is a label; an op jumps to the next op's label by itself, so
 * that the host's branch predictor sees one indirect jump for each place in the guest's code. The
 * bodies are in ops_*.h, one label for each row of riscv/insn.def (a missing one does not compile).
 *
 * pc is known as the block's start plus op->at; instret as the count at the block's start plus the
 * op's index. Both become exact in `hart` before anything that may look at them.
 */
#include "engine/interp/hostfp.h"
#include "engine/interp/internal.h"

#include "riscv/crypto.h"
#include "riscv/fp.h"
#include "riscv/integer.h"

typedef uint16_t __attribute__((aligned(1), may_alias)) u16_any;
typedef uint32_t __attribute__((aligned(1), may_alias)) u32_any;
typedef uint64_t __attribute__((aligned(1), may_alias)) u64_any;

#define likely(c)   __builtin_expect(!!(c), 1)
#define unlikely(c) __builtin_expect(!!(c), 0)

/* A guest that traps this often without an instruction between (a vector that cannot be fetched) is
 * lost. */
#define TRAP_STREAK_MAX 1000

static inline uint64_t sext32(uint64_t v)
{
    return (uint64_t)(int64_t)(int32_t)v;
}

/* Work asked for by other threads, done while no cached translation is in use. */
static void serve_requests(struct interp *it)
{
    struct vcpu *vcpu = &it->hart->vcpu;
    uint32_t requests = atomic_load(&vcpu->requests);
    if (requests == 0)
        return;
    if (requests & VCPU_REQ_TLB_FLUSH)
        interp_tlb_flush(it);
    if (requests & VCPU_REQ_CODE_FLUSH) {
        interp_code_flush(it);
        interp_tlb_flush(it);
    }
    if (requests & VCPU_REQ_FENCE_I)
        interp_code_fence(it);
    atomic_fetch_and(&vcpu->requests, ~requests);
}

/* What CSR writes, traps and returns have changed for our caches. */
static void serve_effects(struct interp *it)
{
    uint32_t effects = it->hart->effects;
    it->hart->effects = 0;
    if (effects & (EFFECT_TRANSLATION | EFFECT_ADDRESS_SPACE)) /* it knows one address space */
        interp_tlb_flush(it);
    if (effects & (EFFECT_MODE | EFFECT_TRANSLATION | EFFECT_ADDRESS_SPACE))
        interp_mode_update(it);
}

/* True if the hart does nothing but trap: the same instruction count over and over. */
static bool trap_streak(struct interp *it)
{
    if (it->trap_instret != it->hart->instret) {
        it->trap_instret = it->hart->instret;
        it->trap_streak = 0;
        return false;
    }
    return ++it->trap_streak > TRAP_STREAK_MAX;
}

static enum exit_reason leave(struct interp *it, enum exit_reason reason)
{
    struct riscv_vcpu *hart = it->hart;
    atomic_store_explicit(&hart->vcpu.instructions, hart->instret, memory_order_relaxed);
    atomic_store(&hart->vcpu.in_guest, false);
    return reason;
}

#include "engine/interp/ops_helpers.h"

enum exit_reason interp_run(struct vcpu *vcpu, struct exit *exit)
{
    static const void *const labels[LABEL_COUNT] = {
        [OP_ILLEGAL] = &&op_illegal,
#define INSN(name, mnemonic, encoding, format, extension, flags)  [OP_##name] = &&op_##name,
#define VINSN(name, mnemonic, encoding, format, extension, flags) [OP_##name] = &&op_vector,
#include "riscv/insn.def"
        [LABEL_NEXT] = &&op_next,
    };
    struct riscv_vcpu *const hart = riscv_of(vcpu);
    struct interp *const it = vcpu->engine_data;
    uint64_t *const x = hart->x;
    uint64_t *const f = hart->f;
    struct tlb_entry *tlb;
    struct block *b;
    const struct op *op;
    uint64_t pc;   /* of the block's first instruction */
    uint64_t done; /* instructions retired before the block */
    uint64_t tval;
    unsigned cause;

    if (exit == NULL) {
        it->labels = labels;
        return EXIT_KICKED;
    }
    atomic_store(&vcpu->in_guest, true);
    serve_requests(it);
    if (unlikely(it->stepping)) {
        serve_effects(it);
        tlb = it->tlb[it->mode];
        pc = hart->pc;
        done = hart->instret;
        atomic_fetch_or(&vcpu->kick, INTERP_STEP_KICK);
        b = interp_block_single(it, pc);
        goto found;
    }

/* Where hart->pc and hart->instret are exact, and anything may have changed. */
enter:
    if (unlikely(atomic_load_explicit(&vcpu->kick, memory_order_relaxed) != 0)) {
        it->kicked = atomic_exchange(&vcpu->kick, 0) != INTERP_STEP_KICK;
        return leave(it, EXIT_KICKED);
    }
    if (hart->effects != 0)
        serve_effects(it);
    int irq = riscv_interrupt_next(hart);
    if (irq >= 0) {
        riscv_interrupt(hart, (unsigned)irq);
        serve_effects(it);
    }
    tlb = it->tlb[it->mode];
    pc = hart->pc;
    done = hart->instret;

/* The block at `pc`, with `done` up to date. */
find:
    b = interp_block(it, pc);
found:
    if (unlikely(b == NULL)) {
        hart->pc = pc;
        hart->instret = done;
        cause = it->cause;
        tval = it->tval;
        goto deliver;
    }
    op = b->ops;
    goto * op->code;

    /* ---- from op to op, from block to block ---- */

#define X(reg)   x[reg]
#define RD       X(op->rd)
#define RS1      X(op->rs1)
#define RS2      X(op->rs2)
#define IMM      ((uint64_t)(int64_t)op->imm)
#define PC       (pc + 2ULL * op->at)
#define OP(name) op_##name:
#define NEXT                                                                                       \
    do {                                                                                           \
        op++;                                                                                      \
        goto * op->code;                                                                           \
    } while (0)
/* Makes pc and instret exact as of this instruction, not counted. */
#define SYNC                                                                                       \
    do {                                                                                           \
        hart->pc = PC;                                                                             \
        hart->instret = done + (uint64_t)(op - b->ops);                                            \
    } while (0)
/* The block is done; go on at `target` by the link `slot` if both are of one page. */
#define GO(target, slot)                                                                           \
    do {                                                                                           \
        const uint64_t to = (target);                                                              \
        done += b->count;                                                                          \
        if (likely(((to ^ pc) & ~(MEM_PAGE_SIZE - 1)) == 0)) {                                     \
            pc = to;                                                                               \
            link = &b->slot;                                                                       \
            goto follow;                                                                           \
        }                                                                                          \
        pc = to;                                                                                   \
        goto jump;                                                                                 \
    } while (0)

/* FP registers are in use: illegal when mstatus.FS is Off (Privileged ISA, 3.1.6.6). */
#define FP_ON                                                                                      \
    if (unlikely((hart->mstatus & MSTATUS_FS) == 0))                                               \
    goto illegal
#define FP_DIRTY hart->mstatus |= MSTATUS_FS

    struct block **link;
follow:
    if (unlikely(atomic_load_explicit(&vcpu->kick, memory_order_relaxed) != 0))
        goto edge;
    if (likely(*link != NULL && (*link)->generation == it->generation)) {
        b = *link;
        op = b->ops;
        goto * op->code;
    }
    {
        const uint32_t flushes = it->flushes;
        struct block *to = interp_block(it, pc);
        if (likely(to != NULL)) {
            if (flushes == it->flushes && b != (struct block *)it->scratch)
                *link = to;
            b = to;
            op = b->ops;
            goto * op->code;
        }
    }
    goto find; /* the fetch faults: find says how */

jump:
    if (unlikely(atomic_load_explicit(&vcpu->kick, memory_order_relaxed) != 0))
        goto edge;
    {
        const struct jump_entry *j = &it->jump[pc >> 1 & (JUMP_ENTRIES - 1)];
        if (likely(j->pc == pc && j->epoch == it->epoch &&
                   j->block->generation == it->generation)) {
            b = j->block;
            op = b->ops;
            goto * op->code;
        }
    }
    goto find;

edge:
    hart->pc = pc;
    hart->instret = done;
    goto enter;

    /* The block ended without a jump: at its largest size or at the page's end. */
    OP(next) GO(PC, next);

/* After an instruction that ended the block and may have changed anything: hart->pc is set. */
finished:
    hart->instret = done + b->count;
    goto enter;

    /* ---- traps ---- */

    OP(illegal)
illegal : {
    uint32_t raw = 0;
    const uint8_t *bytes = block_copy(b) + 2 * op->at;
    memcpy(&raw, bytes, insn_length((uint16_t)(bytes[0] | bytes[1] << 8)));
    tval = raw;
    cause = riscv_refusal(hart, raw);
}
    goto trap;
memory_trap: /* a helper found the cause */
    cause = it->cause;
    tval = it->tval;
trap:
    SYNC;
deliver:
    riscv_trap(hart, cause, tval);
    if (unlikely(trap_streak(it))) {
        exit->message = "endless traps: the trap vector itself cannot be executed";
        return leave(it, EXIT_HALTED);
    }
    goto enter;

#include "engine/interp/ops_float.h"
#include "engine/interp/ops_integer.h"
#include "engine/interp/ops_memory.h"
#include "engine/interp/ops_system.h"
#include "engine/interp/ops_vector.h"
}
