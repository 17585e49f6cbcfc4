/*
 * Vector instructions in the translator: what the front end makes of them, and what translated code
 * calls for those that the back end has no code for.
 */
#include "riscv/vector.h"

#include "engine/jit/front.h"
#include "riscv/csr.h"

/* ---- front end ---- */

/* Whether VS is on and vstart 0, looked at once; what follows leaves both as they are. */
static void vector_on(struct front *f)
{
    if (f->vector_on)
        return;
    front_add(f, IR_VECTOR_ON);
    f->vector_on = true;
}

static bool is_vset(unsigned op)
{
    return op == OP_vsetvli || op == OP_vsetivli || op == OP_vsetvl;
}

/* What the instruction takes from and gives to registers that are not vectors. */
static void operands(const struct insn *in, struct ir *ir)
{
    const enum insn_format format = (enum insn_format)insn_table[in->op].format;
    switch (format) {
    case FMT_VSETVLI:
    case FMT_VSETVL:
    case FMT_VMEM:
    case FMT_VMEMS:
    case FMT_VMEMX:
    case FMT_VVX:
    case FMT_VMX:
    case FMT_VDX: ir->a = IR_X(in->rs1); break;
    case FMT_VVF:
    case FMT_VMF:
    case FMT_VDF: ir->a = IR_F(in->rs1); break;
    default: ir->a = IR_X(0); break;
    }
    if (format == FMT_VSETVL || format == FMT_VMEMS)
        ir->b = IR_X(in->rs2);
    ir->dst = IR_X(insn_writes_x(format) ? in->rd : 0);
    if (format == FMT_VFS)
        ir->dst = IR_F(in->rd);
}

/* vtype as a later instruction will find it. */
static void follow_vtype(struct front *f, const struct insn *in)
{
    const bool known = in->op != OP_vsetvl;
    f->vtype_known = known;
    f->vtype = (in->raw >> 20) & (in->op == OP_vsetivli ? 0x3ff : 0x7ff);
}

enum front_step front_vector(struct front *f, const struct insn *in)
{
    const unsigned flags = insn_table[in->op].flags;

    if ((flags & INSN_FP) != 0) {
        front_fp_on(f, true);
        /* A reserved frm makes all of them illegal, even those that do not round (V, 13). */
        front_fp_nearest(f);
    }
    vector_on(f);
    const bool vset = is_vset(in->op);
    if (vset)
        follow_vtype(f, in);
    else if (!f->vtype_known)
        f->vtype = f->block->vtype; /* as it is now: perhaps always */
    struct ir *ir = front_add(f, IR_VECTOR);
    operands(in, ir);
    ir->sub = IR_D;
    ir->imm = jit_vector_code(in->op, in->raw, f->vtype, f->vtype_known || vset);
    front_forget(f, ir->dst < 32 ? ir->dst : 0);
    return FRONT_GO_ON;
}

bool front_vector_csr(struct front *f, unsigned csr, unsigned rd)
{
    if (csr != CSR_vl || (f->block->isa != NULL && !riscv_isa_has(f->block->isa, EXT_V)))
        return false;
    vector_on(f);
    struct ir *ir = front_add(f, IR_VECTOR_LENGTH);
    ir->dst = IR_X(rd);
    front_forget(f, rd);
    return true;
}

/* ---- called by translated code ---- */

static bool load(void *engine, uint64_t va, unsigned width, uint64_t *value)
{
    return jit_load(engine, va, width, value);
}

static bool store(void *engine, uint64_t va, unsigned width, uint64_t value)
{
    return jit_store(engine, va, width, value);
}

static void *at(void *engine, uint64_t va, uint64_t len, bool is_store)
{
    return jit_known_at(engine, va, len, is_store);
}

bool jit_vector(struct jit_cpu *cpu, uint32_t op, uint32_t raw)
{
    const struct riscv_vmemory memory = {cpu, load, store, at};
    jit_count(&cpu->counts.vectors);
    jit_count(&jit_stats(cpu->vm)->called[op]); /* of several harts, about */
    if (cpu->audit != NULL && (insn_table[op].flags & INSN_MEM) != 0)
        return false; /* the reference's stores could not be told from it */
    return riscv_vector(cpu->hart, op, raw, &memory) == VECTOR_DONE;
}
