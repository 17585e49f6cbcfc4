/* The engine's life: buffers, kicks, and its row of operations. */
#include "engine/interp/interp.h"

#include "core/error.h"
#include "engine/interp/internal.h"

static int interp_vm_init(struct vm *vm)
{
    (void)vm;
    return 0;
}

static void interp_vm_destroy(struct vm *vm)
{
    (void)vm;
}

static int interp_vcpu_init(struct vcpu *vcpu)
{
    struct interp *it = host_alloc(sizeof *it, 4096);
    if (it == NULL)
        return -E_NOMEM;
    it->arena = host_alloc(ARENA_BYTES, 4096);
    if (it->arena == NULL) {
        host_free(it, sizeof *it);
        return -E_NOMEM;
    }
    it->hart = riscv_of(vcpu);
    it->generation = 1;
    vcpu->engine_data = it;
    interp_run(vcpu, NULL); /* fills it->labels */
    interp_tlb_init(it);
    interp_mode_update(it);
    return 0;
}

static void interp_vcpu_destroy(struct vcpu *vcpu)
{
    struct interp *it = vcpu->engine_data;
    if (it == NULL)
        return;
    host_free(it->arena, ARENA_BYTES);
    host_free(it, sizeof *it);
    vcpu->engine_data = NULL;
}

/* Cached host addresses and decoded code may be void: every VCPU drops them before it goes on. */
static void interp_slot_changed(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_post(vm->vcpus[i], VCPU_REQ_TLB_FLUSH | VCPU_REQ_CODE_FLUSH);
}

/* Blocks are compared with the guest's bytes after its FENCE.I: nothing to do here. */
static void interp_code_changed(struct vm *vm, uint64_t gpa, uint64_t len)
{
    (void)vm, (void)gpa, (void)len;
}

static void interp_dirty_log(struct vm *vm, bool on)
{
    (void)on;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_post(vm->vcpus[i], VCPU_REQ_TLB_FLUSH);
}

/* The kick word, which vcpu_kick sets, is looked at on every way from block to block. */
static void interp_kick(struct vcpu *vcpu)
{
    (void)vcpu;
}

static void interp_state_get(struct vcpu *vcpu)
{
    (void)vcpu;
}

/*
 * Whoever changed the hart in between says by hart->effects, or by a request, what that voids: this
 * runs after every SBI call and must stay cheap.
 */
static void interp_state_put(struct vcpu *vcpu)
{
    riscv_of(vcpu)->effects |= EFFECT_MODE | EFFECT_INTERRUPTS;
}

/* The kick that ends the step is its own; one of somebody else's is left for him who runs next. */
static enum exit_reason interp_step(struct vcpu *vcpu, struct exit *exit)
{
    struct interp *it = vcpu->engine_data;
    it->stepping = true;
    enum exit_reason reason = interp_run(vcpu, exit);
    it->stepping = false;
    if (reason != EXIT_KICKED)
        atomic_fetch_and(&vcpu->kick, ~(uint32_t)INTERP_STEP_KICK);
    else if (it->kicked)
        atomic_store(&vcpu->kick, 1);
    return reason;
}

const struct engine_ops interp_engine = {
    .name = "interp",
    .vm_init = interp_vm_init,
    .vm_destroy = interp_vm_destroy,
    .slot_changed = interp_slot_changed,
    .code_changed = interp_code_changed,
    .dirty_log = interp_dirty_log,
    .vcpu_init = interp_vcpu_init,
    .vcpu_destroy = interp_vcpu_destroy,
    .run = interp_run,
    .step = interp_step,
    .kick = interp_kick,
    .irq_changed = interp_kick,
    .state_get = interp_state_get,
    .state_put = interp_state_put,
};
