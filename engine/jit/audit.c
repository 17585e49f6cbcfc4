/*
 * Each translated block is executed twice from one state: by its code, whose stores are noted and
 * then undone, and by the reference, instruction by instruction. What differs is told, and the
 * machine stops.
 *
 * While audited, code is entered for one block at a time (no links, no jump cache), no store goes
 * by a TLB, and what touches a device or a CSR leaves to the interpreter before it has done
 * anything. One hart only: nobody else may change memory between the two.
 */
#include "core/error.h"
#include "engine/jit/backend.h"
#include "engine/jit/jit.h"
#include "riscv/csr.h"
#include "riscv/trap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOTES_MAX 4096u /* bytes that a block may write; one that writes more is left early */

struct note {
    uint8_t *at;
    uint8_t old, translated;
};

/* What a block may change, besides memory. */
struct registers {
    uint64_t x[32], f[32], pc, instret, mstatus;
    uint64_t mepc, mcause, mtval, sepc, scause, stval;
    uint64_t traps, reserved_value;
    uintptr_t reserved_at;
    uint32_t fflags, frm, effects;
    unsigned reserved_width;
    uint8_t priv;
    uint64_t vl, vtype, vstart;
    uint8_t v[sizeof((struct riscv_vcpu *)NULL)->v];
    uint8_t vxrm;
    bool vxsat;
};

struct jit_audit {
    struct note notes[NOTES_MAX];
    unsigned count;
    struct registers before, translated, reference;
    uint64_t blocks;
};

struct jit_audit *jit_audit_make(void)
{
    return calloc(1, sizeof(struct jit_audit));
}

void jit_audit_free(struct jit_audit *audit)
{
    free(audit);
}

/* `load`: from the hart, else into it. */
static void exchange(struct riscv_vcpu *hart, struct registers *r, bool load)
{
#define FIELD(name)                                                                                \
    do {                                                                                           \
        if (load)                                                                                  \
            memcpy(&r->name, &hart->name, sizeof r->name);                                         \
        else                                                                                       \
            memcpy(&hart->name, &r->name, sizeof r->name);                                         \
    } while (0)
    FIELD(x);
    FIELD(f);
    FIELD(pc);
    FIELD(instret);
    FIELD(mstatus);
    FIELD(mepc);
    FIELD(mcause);
    FIELD(mtval);
    FIELD(sepc);
    FIELD(scause);
    FIELD(stval);
    FIELD(traps);
    FIELD(reserved_value);
    FIELD(reserved_at);
    FIELD(reserved_width);
    FIELD(fflags);
    FIELD(frm);
    FIELD(effects);
    FIELD(priv);
    FIELD(vl);
    FIELD(vtype);
    FIELD(vstart);
    FIELD(v);
    FIELD(vxrm);
    FIELD(vxsat);
#undef FIELD
}

/* ---- memory ---- */

static struct note *find_note(struct jit_audit *audit, const uint8_t *at)
{
    for (unsigned i = 0; i < audit->count; i++) {
        if (audit->notes[i].at == at)
            return &audit->notes[i];
    }
    return NULL;
}

bool jit_audit_note(struct jit_audit *audit, void *at, unsigned width)
{
    if (audit->count + width > NOTES_MAX)
        return false;
    for (unsigned i = 0; i < width; i++) {
        uint8_t *byte = (uint8_t *)at + i;
        if (find_note(audit, byte) == NULL)
            audit->notes[audit->count++] =
                (struct note){.at = byte, .old = *byte, .translated = *byte};
    }
    return true;
}

/* The bytes that the instruction at pc will write are noted, if its code has not written them. */
static void note_store(struct jit_cpu *cpu)
{
    struct riscv_vcpu *hart = cpu->hart;
    const struct jit_fetch *fetch = jit_context_fetch(cpu, hart->pc);
    const uint64_t offset = hart->pc & (MEM_PAGE_SIZE - 1);
    struct insn in;
    uint32_t raw = 0;

    if (fetch == NULL)
        return;
    memcpy(&raw, fetch->hva + offset, offset > MEM_PAGE_SIZE - 4 ? 2 : 4);
    if (!insn_decode_of(raw, &hart->isa, &in))
        return;
    unsigned format = insn_table[in.op].format, width = 8;
    uint64_t va = hart->x[in.rs1];
    if (format == FMT_STORE || format == FMT_FSTORE)
        va += (uint64_t)(int64_t)in.imm;
    else if (format != FMT_AMO)
        return;
    /* Byte by byte, for it may cross a page; by what the TLB knows, because a walk may write. */
    const struct jit_context *context = cpu->context;
    for (; width > 0; width--, va++) {
        unsigned i = va >> MEM_PAGE_SHIFT & (JIT_TLB_SIZE - 1);
        if (context->tlb[i].read == (va & ~(MEM_PAGE_SIZE - 1)))
            jit_audit_note(cpu->audit, (void *)(context->tlb[i].addend + va), 1);
    }
}

/* ---- telling ---- */

static void tell(const char *text)
{
    const struct jit_options *options = jit_options();
    if (options->audit_line != NULL)
        options->audit_line(options->audit_arg, text);
    else
        fprintf(stderr, "audit: %s\n", text);
}

static void tell_code(struct jit_cpu *cpu, uint64_t pc, uint64_t count)
{
    char text[160], insn[96];
    for (uint64_t i = 0; i < count; i++) {
        const struct jit_fetch *fetch = jit_context_fetch(cpu, pc);
        const uint64_t offset = pc & (MEM_PAGE_SIZE - 1);
        uint32_t raw = 0;
        if (fetch == NULL)
            return;
        memcpy(&raw, fetch->hva + offset, offset > MEM_PAGE_SIZE - 4 ? 2 : 4);
        unsigned length = insn_length((uint16_t)raw);
        insn_disassemble(length == 2 ? raw & 0xffff : raw, pc, insn, sizeof insn);
        snprintf(text, sizeof text, "  %16" PRIx64 "  %s", pc, insn);
        tell(text);
        pc += length;
    }
}

static bool differ(bool told, const char *name, uint64_t before, uint64_t translated,
                   uint64_t reference)
{
    char text[160];
    if (translated == reference)
        return false;
    if (told) {
        snprintf(text, sizeof text,
                 "  %-8s %016" PRIx64 " before, %016" PRIx64 " translated, %016" PRIx64
                 " reference",
                 name, before, translated, reference);
        tell(text);
    }
    return true;
}

/* A vector register as the words that it is made of. */
static bool differ_in_vectors(bool told, const struct registers *b, const struct registers *t,
                              const struct registers *r)
{
    bool any = false;
    if (memcmp(t->v, r->v, sizeof t->v) == 0)
        return false;
    for (size_t at = 0; at < sizeof t->v; at += 8) {
        char name[16];
        uint64_t words[3];
        memcpy(&words[0], b->v + at, 8);
        memcpy(&words[1], t->v + at, 8);
        memcpy(&words[2], r->v + at, 8);
        snprintf(name, sizeof name, "v[%zu]", at); /* in bytes from that of v0 */
        any |= differ(told, name, words[0], words[1], words[2]);
    }
    return any;
}

/* Whether anything differs; says what if `told`. */
static bool compare(const struct jit_audit *a, bool told)
{
    const struct registers *b = &a->before, *t = &a->translated, *r = &a->reference;
    bool any = false;
    for (unsigned i = 1; i < 32; i++)
        any |= differ(told, riscv_reg_names[i], b->x[i], t->x[i], r->x[i]);
    for (unsigned i = 0; i < 32; i++)
        any |= differ(told, riscv_freg_names[i], b->f[i], t->f[i], r->f[i]);
    any |= differ(told, "pc", b->pc, t->pc, r->pc);
    any |= differ(told, "fflags", b->fflags, t->fflags, r->fflags);
    any |= differ(told, "frm", b->frm, t->frm, r->frm);
    any |= differ(told, "mstatus", b->mstatus, t->mstatus, r->mstatus);
    any |= differ(told, "minstret", b->instret, t->instret, r->instret);
    any |= differ(told, "mepc", b->mepc, t->mepc, r->mepc);
    any |= differ(told, "mcause", b->mcause, t->mcause, r->mcause);
    any |= differ(told, "mtval", b->mtval, t->mtval, r->mtval);
    any |= differ(told, "sepc", b->sepc, t->sepc, r->sepc);
    any |= differ(told, "scause", b->scause, t->scause, r->scause);
    any |= differ(told, "stval", b->stval, t->stval, r->stval);
    any |= differ(told, "priv", b->priv, t->priv, r->priv);
    any |= differ(told, "vl", b->vl, t->vl, r->vl);
    any |= differ(told, "vtype", b->vtype, t->vtype, r->vtype);
    any |= differ(told, "vstart", b->vstart, t->vstart, r->vstart);
    any |= differ(told, "vxrm", b->vxrm, t->vxrm, r->vxrm);
    any |= differ(told, "vxsat", b->vxsat, t->vxsat, r->vxsat);
    any |= differ_in_vectors(told, b, t, r);
    for (unsigned i = 0; i < a->count; i++) {
        const struct note *n = &a->notes[i];
        if (n->translated != *n->at) {
            char name[32];
            snprintf(name, sizeof name, "[%p]", (void *)n->at);
            any |= differ(told, name, n->old, n->translated, *n->at);
        }
    }
    return any;
}

/* ---- the comparison ---- */

static void undo(struct jit_audit *a)
{
    for (unsigned i = 0; i < a->count; i++) {
        a->notes[i].translated = *a->notes[i].at;
        *a->notes[i].at = a->notes[i].old;
    }
}

/* False: an interrupt came in between, or the machine is wanted elsewhere: nothing to compare. */
static bool run_reference(struct jit_cpu *cpu, uint64_t instructions, bool trap)
{
    struct riscv_vcpu *hart = cpu->hart;
    const uint64_t interrupts = hart->interrupts, traps = hart->traps;
    const uint64_t end = hart->instret + instructions;
    struct exit exit = {0};
    unsigned idle = 0;

    while (hart->instret != end || (trap && hart->traps == traps)) {
        uint64_t before = hart->instret;
        note_store(cpu);
        jit_reference_step(cpu, &exit);
        if (hart->interrupts != interrupts || idle > 100)
            return false;
        if (hart->traps != traps)
            break; /* where the code did not, if this is not the end */
        idle = hart->instret == before ? idle + 1 : 0;
    }
    return true;
}

enum jit_leave jit_audit_enter(struct jit_cpu *cpu, const void *code)
{
    struct riscv_vcpu *hart = cpu->hart;
    struct jit_audit *a = cpu->audit;

    const uint32_t epoch = jit_epoch(cpu->vm);

    a->count = 0;
    exchange(hart, &a->before, true);
    enum jit_leave why = jit_backend(cpu->vm)->enter(cpu->context, hart, code);
    const uint64_t instructions = hart->instret - a->before.instret;
    bool trap = why == JIT_FAULT && cpu->cause != JIT_AUDIT_STOP;
    if (why == JIT_FAULT)
        why = trap ? JIT_LOOKUP : JIT_STEP;
    if (trap)
        riscv_trap(hart, cpu->cause, cpu->tval);
    exchange(hart, &a->translated, true);
    undo(a);
    exchange(hart, &a->before, false);
    cpu->reference_effects |= EFFECT_MODE;
    if (jit_epoch(cpu->vm) != epoch) /* code was written */
        cpu->reference_effects |= EFFECT_TRANSLATION;
    bool comparable = run_reference(cpu, instructions, trap);
    exchange(hart, &a->reference, true);
    if (comparable && why == JIT_STEP && a->translated.fflags != a->reference.fflags) {
        /* Flags of an operation that left in its middle: those of the whole, when it is done. */
        comparable = run_reference(cpu, 1, false);
        if ((a->translated.fflags & ~hart->fflags) == 0)
            a->translated.fflags = a->reference.fflags;
        if (comparable && !compare(a, false))
            return JIT_LOOKUP;
        exchange(hart, &a->reference, false);
    }
    a->blocks++;
    if (!comparable) {
        for (unsigned i = 0; i < a->count; i++)
            *a->notes[i].at = a->notes[i].translated;
        exchange(hart, &a->translated, false);
    } else if (compare(a, false)) {
        char text[160];
        snprintf(text, sizeof text,
                 "block %" PRIu64 ", at pc %" PRIx64 ": its code and the interpreter differ after "
                 "%" PRIu64 " instructions%s",
                 a->blocks, a->before.pc, instructions, trap ? " and a trap" : "");
        tell(text);
        compare(a, true);
        exchange(hart, &a->before, false); /* to be found in its address space */
        tell_code(cpu, a->before.pc, instructions + 1);
        exchange(hart, &a->reference, false);
        why = JIT_LEAVES;
    }
    hart->effects |= EFFECT_MODE;
    return why;
}
