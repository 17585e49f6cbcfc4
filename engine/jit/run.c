/* The translator's loop: find code, run it until it leaves, answer what it left for. */
#include "engine/jit/jit.h"

#include "core/error.h"
#include "engine/jit/backend.h"
#include "riscv/csr.h"
#include "riscv/insn.h"
#include "riscv/trap.h"

#include <stdio.h>
#include <stdlib.h>

static const struct engine_ops *reference_engine;

void jit_set_reference(const struct engine_ops *reference)
{
    reference_engine = reference;
}

bool jit_is_here(void)
{
    return jit_host_backend != NULL;
}

/* ---- life ---- */

static int jit_vm_init(struct vm *vm)
{
    struct jit_vm *jv;
    if (jit_options()->audit && vm->vcpu_count > 1)
        return -E_NOTSUP; /* another hart could change memory between the two */
    int error = reference_engine->vm_init(vm);
    if (error != 0)
        return error;
    error = jit_cache_init(vm, &jv);
    if (error == 0)
        vm->engine_data = jv;
    else
        reference_engine->vm_destroy(vm);
    return error;
}

static void jit_vm_destroy(struct vm *vm)
{
    jit_cache_fini(vm->engine_data);
    vm->engine_data = NULL;
    reference_engine->vm_destroy(vm);
}

static void jit_vcpu_destroy(struct vcpu *vcpu);

static int jit_vcpu_init(struct vcpu *vcpu)
{
    struct jit_cpu *cpu = host_alloc(sizeof *cpu, 64);
    struct jit_context *contexts = host_alloc(sizeof *contexts * JIT_CONTEXTS, 4096);
    int error = cpu != NULL && contexts != NULL ? reference_engine->vcpu_init(vcpu) : -E_NOMEM;
    if (error != 0) {
        if (cpu != NULL)
            host_free(cpu, sizeof *cpu);
        if (contexts != NULL)
            host_free(contexts, sizeof *contexts * JIT_CONTEXTS);
        return error;
    }
    cpu->hart = riscv_of(vcpu);
    cpu->vm = vcpu->vm->engine_data;
    cpu->contexts = cpu->context = contexts;
    cpu->reference = vcpu->engine_data;
    vcpu->engine_data = cpu;
    if (jit_options()->audit && (cpu->audit = jit_audit_make()) == NULL) {
        jit_vcpu_destroy(vcpu);
        return -E_NOMEM;
    }
    cpu->hart->v_ones = cpu->audit != NULL;
    jit_cache_join(cpu->vm, vcpu->id, cpu);
    jit_context_choose(cpu);
    return 0;
}

static void jit_vcpu_destroy(struct vcpu *vcpu)
{
    struct jit_cpu *cpu = vcpu->engine_data;
    if (cpu == NULL)
        return;
    jit_cache_join(cpu->vm, vcpu->id, NULL);
    jit_audit_free(cpu->audit);
    vcpu->engine_data = cpu->reference;
    reference_engine->vcpu_destroy(vcpu);
    host_free(cpu->contexts, sizeof *cpu->contexts * JIT_CONTEXTS);
    host_free(cpu, sizeof *cpu);
    vcpu->engine_data = NULL;
}

static void jit_slot_changed(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_post(vm->vcpus[i], VCPU_REQ_TLB_FLUSH | VCPU_REQ_CODE_FLUSH);
}

static void jit_code_changed(struct vm *vm, uint64_t gpa, uint64_t len)
{
    jit_code_written(vm->engine_data, NULL, gpa, len);
}

static void jit_dirty_log(struct vm *vm, bool on)
{
    (void)on;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_post(vm->vcpus[i], VCPU_REQ_TLB_FLUSH);
}

static void jit_kick(struct vcpu *vcpu)
{
    (void)vcpu; /* translated code looks at vcpu.kick at its loop edges */
}

/* ---- what others and the guest itself change ---- */

static void serve_requests(struct jit_cpu *cpu)
{
    struct vcpu *vcpu = &cpu->hart->vcpu;
    uint32_t requests = atomic_load(&vcpu->requests);
    if (requests == 0)
        return;
    if (requests & (VCPU_REQ_TLB_FLUSH | VCPU_REQ_CODE_FLUSH)) {
        jit_context_flush_all(cpu);
        cpu->reference_effects |= EFFECT_TRANSLATION;
    }
    if (requests & VCPU_REQ_CODE_FLUSH)
        jit_code_flush(cpu);
    atomic_fetch_and(&vcpu->requests, ~requests);
    if (requests & VCPU_REQ_FENCE_I)
        jit_fence_i(cpu);
}

/* ---- single instructions ---- */

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* The instruction at pc, or 0 where that is not easily known. */
static unsigned op_at(struct jit_cpu *cpu, uint64_t pc, struct insn *in)
{
    const uint64_t offset = pc & (MEM_PAGE_SIZE - 1);
    const struct jit_fetch *fetch = jit_context_fetch(cpu, pc);
    uint32_t raw = 0;
    if (fetch == NULL || offset > MEM_PAGE_SIZE - 4)
        return OP_ILLEGAL;
    memcpy(&raw, fetch->hva + offset, 4);
    return insn_decode_of(raw, &cpu->hart->isa, in) ? in->op : (unsigned)OP_ILLEGAL;
}

enum exit_reason jit_reference_step(struct jit_cpu *cpu, struct exit *exit)
{
    struct vcpu *vcpu = &cpu->hart->vcpu;
    cpu->hart->effects |= cpu->reference_effects;
    cpu->reference_effects = 0;
    vcpu->engine_data = cpu->reference;
    enum exit_reason reason = reference_engine->step(vcpu, exit);
    vcpu->engine_data = cpu;
    atomic_store(&vcpu->in_guest, true);
    return reason;
}

/*
 * The interpreter executes what is at hart->pc. It keeps caches of its own, which it is told of by
 * hart->effects; fences that it executes are ours too.
 */
static enum exit_reason step(struct jit_cpu *cpu, struct exit *exit)
{
    struct riscv_vcpu *hart = cpu->hart;
    uint64_t pc = hart->pc;
    struct insn in;
    unsigned op = op_at(cpu, pc, &in);
    bool fence = op != OP_ILLEGAL && insn_table[op].format == FMT_SFENCE;
    uint64_t va = fence ? hart->x[in.rs1] : 0, asid = fence ? hart->x[in.rs2] : 0;
    enum exit_reason quick;

    if (cpu->audit == NULL && jit_system_step(cpu, &quick))
        return quick;
    count(&jit_stats(cpu->vm)->steps);
    count(&jit_stats(cpu->vm)->stepped[op]);
    enum exit_reason reason = jit_reference_step(cpu, exit);
    if (hart->pc == pc + 4) { /* it did not trap */
        if (fence)
            jit_context_fence_op(cpu, op, in.rs1 != 0, va, in.rs2 != 0, asid);
        else if (op == OP_fence_i)
            jit_fence_i(cpu);
    }
    return reason;
}

/* ---- the loop ---- */

static enum exit_reason leave(struct jit_cpu *cpu, enum exit_reason reason)
{
    struct riscv_vcpu *hart = cpu->hart;
    atomic_store_explicit(&hart->vcpu.instructions, hart->instret, memory_order_relaxed);
    atomic_store(&hart->vcpu.in_guest, false);
    return reason;
}

static const void *find(struct jit_cpu *cpu)
{
    struct jit_context *context = cpu->context;
    uint64_t pc = cpu->hart->pc;
    const struct jit_jump *jump = &context->jump[jit_jump_index(pc)];
    return jump->pc == pc ? jump->code : jit_code_at(cpu, pc, 0);
}

static enum exit_reason jit_run(struct vcpu *vcpu, struct exit *exit)
{
    struct jit_cpu *cpu = vcpu->engine_data;
    struct riscv_vcpu *hart = cpu->hart;
    const struct jit_backend *backend = jit_backend(cpu->vm);
    enum exit_reason reason;

    atomic_store(&vcpu->in_guest, true);
    for (;;) {
        if (atomic_load_explicit(&vcpu->requests, memory_order_relaxed) != 0)
            serve_requests(cpu);
        if (atomic_load_explicit(&vcpu->kick, memory_order_relaxed) != 0) {
            atomic_exchange(&vcpu->kick, 0);
            return leave(cpu, EXIT_KICKED);
        }
        if (hart->effects != 0)
            jit_serve_effects(cpu);
        int irq = riscv_interrupt_next(hart);
        if (irq >= 0) {
            riscv_interrupt(hart, (unsigned)irq);
            jit_serve_effects(cpu);
        }
        uint32_t epoch = jit_epoch(cpu->vm);
        if (epoch != cpu->epoch) {
            jit_context_forget_code(cpu);
            cpu->epoch = epoch;
        }
        jit_forget_dropped(cpu);
        const void *code = find(cpu);
        enum jit_leave why = JIT_STEP;
        if (code != NULL) {
            jit_code_enter(cpu);
            /* Flushed between the look-up and here? Then the code may be gone. */
            if (cpu->audit != NULL)
                why = jit_audit_enter(cpu, code);
            else if (jit_epoch(cpu->vm) == epoch)
                why = backend->enter(cpu->context, hart, code);
            else
                why = JIT_LOOKUP;
            jit_code_leave(cpu);
        }
        if (why == JIT_LEAVES) {
            exit->message = "audit: translated code and the interpreter differ";
            return leave(cpu, EXIT_HALTED);
        }
        jit_count(&cpu->counts.left[why]);
        switch (why) {
        case JIT_LOOKUP:
        case JIT_KICK: break;
        case JIT_STEP:
            reason = step(cpu, exit);
            if (reason == EXIT_WFI)
                jit_code_rest(cpu);
            if (reason != EXIT_KICKED)
                return leave(cpu, reason);
            break;
        case JIT_FAULT:
            riscv_trap(hart, cpu->cause, cpu->tval);
            if (jit_trap_streak(cpu)) {
                exit->message = "endless traps: the trap vector itself cannot be executed";
                return leave(cpu, EXIT_HALTED);
            }
            break;
        case JIT_LEAVES: break;
        }
    }
}

static void jit_state_get(struct vcpu *vcpu)
{
    (void)vcpu;
}

static void jit_state_put(struct vcpu *vcpu)
{
    riscv_of(vcpu)->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
}

static void jit_figures(struct vm *vm, void (*figure)(void *arg, const char *name, uint64_t value),
                        void *arg)
{
    const struct jit_stats *s = jit_stats(vm->engine_data);
    struct jit_counts sum = {0};
    char text[64];

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        const struct jit_cpu *cpu = jit_cpu_of(vm->engine_data, i);
        for (unsigned why = 0; why < JIT_LEAVES; why++)
            sum.left[why] += atomic_load_explicit(&cpu->counts.left[why], memory_order_relaxed);
        sum.tlb_fills += atomic_load_explicit(&cpu->counts.tlb_fills, memory_order_relaxed);
        sum.slow_loads += atomic_load_explicit(&cpu->counts.slow_loads, memory_order_relaxed);
        sum.slow_stores += atomic_load_explicit(&cpu->counts.slow_stores, memory_order_relaxed);
        sum.atomics += atomic_load_explicit(&cpu->counts.atomics, memory_order_relaxed);
        sum.lookups += atomic_load_explicit(&cpu->counts.lookups, memory_order_relaxed);
        sum.executed += atomic_load_explicit(&cpu->counts.executed, memory_order_relaxed);
        sum.vectors += atomic_load_explicit(&cpu->counts.vectors, memory_order_relaxed);
        sum.systems += atomic_load_explicit(&cpu->counts.systems, memory_order_relaxed);
        sum.faults += atomic_load_explicit(&cpu->counts.faults, memory_order_relaxed);
    }
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"blocks_translated", s->translated},
        {"regions_translated", s->regions},
        {"instructions_translated", s->instructions},
        {"host_code_bytes", s->host_bytes},
        {"links_made", s->chained},
        {"blocks_dropped", s->invalidated},
        {"code_flushes", s->flushes},
        {"left_for_look_up", sum.left[JIT_LOOKUP]},
        {"left_for_step", sum.left[JIT_STEP]},
        {"left_for_kick", sum.left[JIT_KICK]},
        {"left_for_fault", sum.left[JIT_FAULT]},
        {"tlb_fills", sum.tlb_fills},
        {"slow_loads", sum.slow_loads},
        {"slow_stores", sum.slow_stores},
        {"slow_atomics", sum.atomics},
        {"called_for_look_up", sum.lookups},
        {"called_to_execute", sum.executed},
        {"called_for_vectors", sum.vectors},
        {"called_for_system", sum.systems},
        {"called_for_fault", sum.faults},
        {"steps", s->steps},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        figure(arg, rows[i].name, rows[i].value);
    for (unsigned op = 0; op < OP_COUNT; op++) {
        uint64_t steps = s->stepped[op];
        if (steps != 0 && steps * 100 >= s->steps) {
            snprintf(text, sizeof text, "steps_%s",
                     op != OP_ILLEGAL ? insn_table[op].mnemonic : "other");
            figure(arg, text, steps);
        }
        uint64_t called = s->called[op];
        if (called != 0 && called * 100 >= sum.vectors) {
            snprintf(text, sizeof text, "called_%s", insn_table[op].mnemonic);
            figure(arg, text, called);
        }
    }
}

const struct engine_ops jit_engine = {
    .name = "jit",
    .vm_init = jit_vm_init,
    .vm_destroy = jit_vm_destroy,
    .slot_changed = jit_slot_changed,
    .code_changed = jit_code_changed,
    .dirty_log = jit_dirty_log,
    .vcpu_init = jit_vcpu_init,
    .vcpu_destroy = jit_vcpu_destroy,
    .run = jit_run,
    .kick = jit_kick,
    .irq_changed = jit_kick,
    .state_get = jit_state_get,
    .state_put = jit_state_put,
    .figures = jit_figures,
};
