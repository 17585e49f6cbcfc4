#include "core/vm.h"

void vm_init(struct vm *vm, const char *name)
{
    size_t len = strlen(name);
    if (len > VM_NAME_MAX - 1)
        len = VM_NAME_MAX - 1;
    memset(vm->name, 0, sizeof(vm->name));
    memcpy(vm->name, name, len);

    mem_init(&vm->mem);
    bus_init(&vm->bus);
    clock_init(&vm->clock);
    memset(vm->vcpus, 0, sizeof(vm->vcpus));
    vm->vcpu_count = 0;
    vm->engine = NULL;
    vm->engine_data = NULL;
    vm->board = NULL;
    atomic_init(&vm->power, VM_POWER_ON);
    vm->power_code = 0;
    vm->power_message = NULL;
    atomic_init(&vm->paused, false);
    atomic_init(&vm->parked, 0);
    host_event_init(&vm->parked_event);
    host_event_init(&vm->power_event);
}

void vm_power_request(struct vm *vm, enum vm_power power, uint32_t code, const char *message)
{
    uint32_t expected = VM_POWER_ON;
    if (power == VM_POWER_ON ||
        !atomic_compare_exchange_strong(&vm->power, &expected, VM_POWER_CLAIMED))
        return;
    vm->power_code = code;
    vm->power_message = message;
    atomic_store(&vm->power, (uint32_t)power);
    host_event_set(&vm->power_event);
    vm_kick_all(vm);
}

void vm_kick_all(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (vm->vcpus[i] != NULL)
            vcpu_kick(vm->vcpus[i]);
    }
}
