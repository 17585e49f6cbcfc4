/*
 * RAM that is cleared and mapped when it is first touched, by the guest or by a device of its: the
 * leaves of the G-stage table are there from the start but hidden, so that nothing is allocated
 * later. A leaf that is shown stays until the guest's next boot.
 */
#include "core/host.h"
#include "engine/hext/csr.h"
#include "engine/hext/internal.h"

/* Clears and shows the leaf of `gpa` if it is hidden. A leaf of RAM is 2 MiB at most: that long the
 * lock is held. */
static void show(struct vm *vm, uint64_t gpa)
{
    struct hext_vm *hv = vm->engine_data;
    uint64_t base, size;

    host_lock_acquire(&hv->lazy_lock);
    uint64_t *leaf = gstage_hidden(&hv->gstage, gpa, &base, &size);
    if (leaf != NULL) {
        const struct mem_slot *slot = mem_slot_find(&vm->mem, base, size);
        memset(slot->hva + (base - slot->gpa), 0, size);
        gstage_show(&hv->gstage, leaf, size);
    }
    host_lock_release(&hv->lazy_lock);
}

static void touch(void *arg, uint64_t gpa, uint64_t len)
{
    struct vm *vm = arg;
    const struct hext_vm *hv = vm->engine_data;
    uint64_t end = gpa + len, size;

    /* One leaf is found without the lock most of the time: shown ones stay shown. */
    for (; gpa < end; gpa = (gpa & ~(size - 1)) + size) {
        if (gstage_find(&hv->gstage, gpa, &size) == 0) {
            show(vm, gpa);
            gstage_find(&hv->gstage, gpa, &size);
        }
    }
}

void hext_lazy_init(struct vm *vm)
{
    struct hext_vm *hv = vm->engine_data;
    host_lock_init(&hv->lazy_lock);
    vm->mem.touch = touch;
    vm->mem.touch_arg = vm;
}

void hext_memory_reset(struct vm *vm, uint32_t generation)
{
    struct hext_vm *hv = vm->engine_data;
    for (unsigned i = 0; i < vm->mem.slot_count; i++)
        gstage_hide(&hv->gstage, vm->mem.slots[i].gpa, vm->mem.slots[i].size);
    hv->generation = generation;
}

bool hext_lazy_fault(struct hext_vcpu *v, uint64_t gpa)
{
    struct vm *vm = v->hart->vcpu.vm;
    if (!v->vm->lazy || mem_slot_find(&vm->mem, gpa, 1) == NULL)
        return false;
    show(vm, gpa);
    /* The hart may remember that there was nothing. */
    hfence_gvma_all();
    return true;
}
