#include "core/vcpu.h"

#include "core/engine.h"

void vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned id)
{
    vcpu->vm = vm;
    vcpu->id = id;
    vcpu->engine = vm != NULL ? vm->engine : NULL;
    vcpu->engine_data = NULL;
    atomic_init(&vcpu->run_state, VCPU_STOPPED);
    atomic_init(&vcpu->kick, 0);
    atomic_init(&vcpu->requests, 0);
    atomic_init(&vcpu->in_guest, false);
    atomic_init(&vcpu->instructions, 0);
    host_event_init(&vcpu->wake);
}

void vcpu_kick(struct vcpu *vcpu)
{
    atomic_store(&vcpu->kick, 1);
    const struct engine_ops *engine = vcpu->engine;
    if (engine != NULL && engine->kick != NULL)
        engine->kick(vcpu);
    host_event_set(&vcpu->wake);
}

/*
 * The engine stores in_guest = true and then loads requests; here requests are stored and then
 * in_guest is loaded, all of it sequentially consistent. So either the engine sees the request
 * before its first instruction, or the poster sees in_guest and goes on waiting.
 */
void vcpu_post(struct vcpu *vcpu, uint32_t requests)
{
    atomic_fetch_or(&vcpu->requests, requests);
    vcpu_kick(vcpu);
}

bool vcpu_post_done(struct vcpu *vcpu, uint32_t requests)
{
    if (!atomic_load(&vcpu->in_guest))
        return true;
    return (atomic_load(&vcpu->requests) & requests) == 0;
}
