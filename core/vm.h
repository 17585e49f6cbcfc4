/*
 * A virtual machine: memory, VCPUs, devices on a bus, one clock.
 */
#ifndef CORE_VM_H
#define CORE_VM_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/vcpu.h"

#define VM_VCPUS_MAX 64
#define VM_NAME_MAX  32

enum vm_power {
    VM_POWER_ON,
    VM_POWER_OFF,    /* the guest asked to be switched off */
    VM_POWER_REBOOT, /* the guest asked for a reset */
    VM_POWER_FAILED, /* the guest reported failure (power_code) or cannot go on (power_message) */
};

struct vm {
    char name[VM_NAME_MAX];
    struct memory mem;
    struct bus bus;
    struct clock clock;
    struct vcpu *vcpus[VM_VCPUS_MAX];
    unsigned vcpu_count;
    const struct engine_ops *engine;
    void *engine_data;
    void *board;            /* struct board of vmm/board.h */
    bool steal_time;        /* VCPUs may wait for a hart, and the guest may ask how long */
    _Atomic uint32_t power; /* enum vm_power */
    uint32_t power_code;    /* VM_POWER_FAILED: the guest's code, 1..65535 */
    const char *power_message;
    _Atomic bool paused;     /* VCPUs park at their next loop edge */
    _Atomic uint32_t parked; /* how many of them have */
    struct host_event parked_event;
    struct host_event power_event; /* set once when power leaves VM_POWER_ON */
};

void vm_init(struct vm *vm, const char *name);
/*
 * First caller wins; kicks every VCPU and sets power_event. Any thread. `message` must outlive the
 * VM.
 */
void vm_power_request(struct vm *vm, enum vm_power power, uint32_t code, const char *message);
/* vm->power while the first caller of vm_power_request fills code and message: the VM still counts
 * as on. */
#define VM_POWER_CLAIMED 0x80000000u
static inline enum vm_power vm_power_state(const struct vm *vm)
{
    uint32_t power = atomic_load_explicit(&vm->power, memory_order_acquire);
    return power == VM_POWER_CLAIMED ? VM_POWER_ON : (enum vm_power)power;
}
void vm_kick_all(struct vm *vm);

#endif
