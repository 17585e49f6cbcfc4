/* For hosts that are no RISC-V: nothing of a guest can be executed by the host's own harts. */
#include "engine/kvm/kvm.h"

#include "core/error.h"

const char *kvm_missing(void)
{
    return "this host is no RISC-V; use another engine";
}

static int none_vm_init(struct vm *vm)
{
    (void)vm;
    return -E_NOTSUP;
}

const struct engine_ops kvm_engine = {.name = "kvm", .vm_init = none_vm_init};
