/*
 * Instructions of the system that need no interpreter: CSRs, traps and returns, fences. Translated
 * code calls them where they stand, and goes on without leaving if nothing keeps it from doing so.
 */
#include "core/clock.h"
#include "engine/jit/internal.h"
#include "riscv/csr.h"
#include "riscv/trap.h"

void jit_serve_effects(struct jit_cpu *cpu)
{
    uint32_t effects = cpu->hart->effects;
    cpu->hart->effects = 0;
    cpu->reference_effects |= effects;
    if (effects & EFFECT_TRANSLATION)
        jit_context_flush_all(cpu);
    if (effects & (EFFECT_MODE | EFFECT_TRANSLATION | EFFECT_ADDRESS_SPACE))
        jit_context_choose(cpu);
}

/* Nobody wants anything of the VCPU, and no interrupt is to be taken. */
static bool calm(struct jit_cpu *cpu)
{
    return atomic_load_explicit(&cpu->hart->vcpu.kick, memory_order_relaxed) == 0 &&
           jit_epoch(cpu->vm) == cpu->epoch && riscv_interrupt_next(cpu->hart) < 0;
}

const void *jit_go_on(struct jit_cpu *cpu, uint64_t pc, uint32_t site)
{
    const void *code = NULL;
    jit_count(&cpu->counts.lookups);
    if (cpu->audit == NULL &&
        atomic_load_explicit(&cpu->hart->vcpu.kick, memory_order_relaxed) == 0 &&
        jit_epoch(cpu->vm) == cpu->epoch)
        code = jit_code_at(cpu, pc, site);
    if (code == NULL) {
        cpu->hart->pc = pc;
        cpu->why = JIT_LOOKUP;
    }
    return code;
}

/* ---- CSRs ---- */

/* False: illegal, nothing was done. */
static bool csr_access(struct riscv_vcpu *hart, uint32_t code, uint64_t operand, uint64_t *value)
{
    unsigned csr = code & 0xfff;
    bool writes = (code & JIT_CSR_WRITES) != 0;
    uint64_t old = 0;

    if ((code & JIT_CSR_READS) != 0 && !riscv_csr_read(hart, csr, writes, &old))
        return false;
    *value = old;
    if (!writes)
        return true;
    if ((code >> 12 & 7) == JIT_CSR_SET)
        operand |= riscv_csr_base(hart, csr, old);
    else if ((code >> 12 & 7) == JIT_CSR_CLEAR)
        operand = riscv_csr_base(hart, csr, old) & ~operand;
    return riscv_csr_write(hart, csr, operand);
}

/* The second half of an instruction that crosses into the next page is as it was. */
static bool same(struct jit_cpu *cpu, uint16_t half)
{
    uint64_t va = cpu->hart->pc + 2;
    const struct jit_fetch *fetch = jit_context_fetch(cpu, va);
    uint16_t now;
    if (fetch == NULL)
        return false;
    memcpy(&now, fetch->hva + (va & (MEM_PAGE_SIZE - 1)), 2);
    return now == half;
}

enum jit_done jit_execute(struct jit_cpu *cpu, uint32_t code, uint64_t operand, uint64_t *value)
{
    struct riscv_vcpu *hart = cpu->hart;

    jit_count(&cpu->counts.executed);
    *value = 0;
    if (cpu->audit != NULL)
        return JIT_REFUSED;
    const enum jit_kind kind = (enum jit_kind)(code >> 12 & 7);
    switch (kind) {
    case JIT_ZERO:
    case JIT_MANAGE:
        if (!riscv_cbo_allowed(hart, code & 0xfff))
            return JIT_REFUSED;
        return (kind == JIT_ZERO ? jit_zero : jit_manage)(cpu, operand) ? JIT_GO_ON : JIT_REFUSED;
    case JIT_SAME: return same(cpu, (uint16_t)operand) ? JIT_GO_ON : JIT_REFUSED;
    case JIT_PAUSE:
        if (hart->vcpu.vm->vcpu_count > 1)
            host_yield();
        return JIT_GO_ON;
    default: break;
    }
    if (!csr_access(hart, code, operand, value))
        return JIT_REFUSED;
    if (hart->effects == 0)
        return JIT_GO_ON;
    bool elsewhere = (hart->effects & (EFFECT_TRANSLATION | EFFECT_ADDRESS_SPACE)) != 0;
    jit_serve_effects(cpu);
    return !elsewhere && calm(cpu) ? JIT_GO_ON : JIT_LEAVE;
}

static bool csr_step(struct riscv_vcpu *hart, const struct insn *in)
{
    bool immediate = in->op == OP_csrrwi || in->op == OP_csrrsi || in->op == OP_csrrci;
    uint64_t operand = immediate ? in->rs1 : hart->x[in->rs1], value;
    uint32_t code;

    switch (in->op) {
    case OP_csrrw:
    case OP_csrrwi: code = jit_code((unsigned)in->imm, JIT_CSR_WRITE, in->rd != 0, true); break;
    case OP_csrrs:
    case OP_csrrsi: code = jit_code((unsigned)in->imm, JIT_CSR_SET, true, in->rs1 != 0); break;
    default: code = jit_code((unsigned)in->imm, JIT_CSR_CLEAR, true, in->rs1 != 0); break;
    }
    if (!csr_access(hart, code, operand, &value))
        return false;
    if (in->rd != 0)
        hart->x[in->rd] = value;
    return true;
}

/* ---- the others ---- */

static void fence_translations(struct jit_cpu *cpu, unsigned op, unsigned rs1, unsigned rs2)
{
    const struct riscv_vcpu *hart = cpu->hart;
    jit_context_fence_op(cpu, op, rs1 != 0, hart->x[rs1], rs2 != 0, hart->x[rs2]);
    cpu->reference_effects |= EFFECT_TRANSLATION;
}

/* Code of hart->pc, which is another now, or NULL. */
static const void *go_elsewhere(struct jit_cpu *cpu)
{
    struct riscv_vcpu *hart = cpu->hart;
    cpu->why = JIT_LOOKUP;
    if (hart->effects != 0)
        jit_serve_effects(cpu);
    if (!calm(cpu))
        return NULL;
    const struct jit_jump *jump = &cpu->context->jump[jit_jump_index(hart->pc)];
    return jump->pc == hart->pc ? jump->code : jit_go_on(cpu, hart->pc, 0);
}

/* False: nothing was done; right behind another trap, which the loop counts. */
static bool take_trap(struct jit_cpu *cpu, unsigned cause, uint64_t tval)
{
    struct riscv_vcpu *hart = cpu->hart;
    if (cpu->trap_instret == hart->instret)
        return false;
    cpu->trap_instret = hart->instret;
    cpu->trap_streak = 0;
    riscv_trap(hart, cause, tval);
    return true;
}

const void *jit_fault(struct jit_cpu *cpu)
{
    jit_count(&cpu->counts.faults);
    cpu->why = JIT_FAULT;
    if (cpu->audit != NULL || !take_trap(cpu, cpu->cause, cpu->tval))
        return NULL;
    return go_elsewhere(cpu);
}

const void *jit_system(struct jit_cpu *cpu, uint32_t code)
{
    struct riscv_vcpu *hart = cpu->hart;
    unsigned rs1 = code >> 16 & 0xff, rs2 = code >> 24;

    jit_count(&cpu->counts.systems);
    cpu->why = JIT_STEP; /* and nothing is done */
    if (cpu->audit != NULL)
        return NULL;
    switch ((enum riscv_op)(code & 0xffff)) {
    case OP_ecall:
        if (riscv_ecall_is_sbi(hart) || !take_trap(cpu, riscv_ecall_cause(hart), 0))
            return NULL;
        break;
    case OP_sret:
        if (!riscv_sret(hart))
            return NULL;
        hart->instret++;
        break;
    case OP_mret:
        if (!riscv_mret(hart))
            return NULL;
        hart->instret++;
        break;
    case OP_sfence_vma:
    case OP_sinval_vma:
        if (!riscv_sfence_allowed(hart))
            return NULL;
        fence_translations(cpu, code & 0xffff, rs1, rs2);
        hart->pc += 4;
        hart->instret++;
        break;
    case OP_fence_i:
        if (!jit_fence_i_quick(cpu))
            return NULL;
        hart->pc += 4;
        hart->instret++;
        break;
    default: return NULL;
    }
    return go_elsewhere(cpu);
}

bool jit_system_step(struct jit_cpu *cpu, enum exit_reason *reason)
{
    struct riscv_vcpu *hart = cpu->hart;
    const uint64_t offset = hart->pc & (MEM_PAGE_SIZE - 1);
    const struct jit_fetch *fetch = jit_context_fetch(cpu, hart->pc);
    struct insn in;
    uint32_t raw;

    if (fetch == NULL || offset > MEM_PAGE_SIZE - 4)
        return false;
    memcpy(&raw, fetch->hva + offset, 4);
    if (!insn_decode_of(raw, &hart->isa, &in) || in.length != 4)
        return false;
    *reason = EXIT_KICKED;
    switch (in.op) {
    case OP_csrrw:
    case OP_csrrs:
    case OP_csrrc:
    case OP_csrrwi:
    case OP_csrrsi:
    case OP_csrrci:
        if (!csr_step(hart, &in))
            return false;
        break;
    case OP_ecall:
        if (riscv_ecall_is_sbi(hart)) {
            *reason = EXIT_SBI;
            break;
        }
        return false;
    case OP_wfi:
        if (!riscv_wfi_allowed(hart))
            return false;
        if (!riscv_vcpu_wfi_done(hart))
            *reason = EXIT_WFI;
        break;
    case OP_fence_i: jit_fence_i(cpu); break;
    default: return false;
    }
    hart->pc += 4;
    hart->instret++;
    return true;
}
