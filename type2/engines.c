#include "type2/engines.h"

#include "engine/interp/interp.h"
#include "engine/jit/jit.h"
#include "engine/kvm/kvm.h"

#include <string.h>

static const struct engine_ops *const engines[] = {&jit_engine, &interp_engine, &kvm_engine};
const char engine_names[] = "jit, interp";

static const struct engine_ops *software(void)
{
    return jit_is_here() ? &jit_engine : &interp_engine;
}

const struct engine_ops *engine_find(const char *name)
{
    jit_set_reference(&interp_engine);
    if (name == NULL)
        return kvm_missing() == NULL ? &kvm_engine : software();
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

const struct engine_ops *engine_for(const struct spec_vm *vm)
{
    const struct engine_ops *engine = engine_find(vm->engine);

    if (vm->engine == NULL && engine == &kvm_engine && engine_refuses(engine, vm) != NULL)
        return software();
    return engine;
}

const char *engine_refuses(const struct engine_ops *engine, const struct spec_vm *vm)
{
    if (engine != &kvm_engine)
        return NULL;
    const char *missing = kvm_missing();
    if (missing != NULL)
        return missing;
    if (vm->firmware != NULL)
        return "a firmware runs in M-mode, which KVM's guests have not; leave it out";
    if (vm->irq != NULL && strcmp(vm->irq, "aia") == 0)
        return "it has no AIA here yet; write plic as the interrupt controller";
    return NULL;
}

const struct engine_ops *engine_instead(const struct engine_ops *engine)
{
    const struct jit_options *options = jit_options();
    if (engine != &jit_engine || options->dump != NULL || options->perf_map || options->audit)
        return NULL;
    return &interp_engine;
}
