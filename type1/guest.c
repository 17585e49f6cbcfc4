#include "type1/guest.h"

#include "core/error.h"
#include "type1/memory.h"
#include "type1/print.h"
#include "vmm/sbi.h"

#include <stdatomic.h>

#define GIB         (1ULL << 30)
#define MIB2        (2ULL << 20)
#define CLEAR_CHUNK (1ULL << 20)

struct guest *guests[SPEC_VMS_MAX];
unsigned guest_count;

/* ---- Building ---- */

static int fail(struct guest *guest, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct guest *guest, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vformat(guest->why, sizeof guest->why, format, arguments);
    va_end(arguments);
    atomic_store(&guest->state, GUEST_FAILED);
    console_line("%s: %s", guest->spec->name, guest->why);
    return error;
}

static int payload_file(struct guest *guest, const struct bundle *bundle, const char *what,
                        const char *path, struct board_blob *blob)
{
    uint64_t size;
    if (path == NULL)
        return 0;
    blob->bytes = bundle_file(bundle, path, &size);
    blob->size = size;
    if (blob->bytes == NULL)
        return fail(guest, -E_NOENT, "the bundle holds no %s %s", what, path);
    return 0;
}

/* Aligned for the largest leaves that its size allows. */
static int alloc_ram(struct guest *guest)
{
    uint64_t size = guest->spec->memory;
    guest->ram_align = size >= GIB ? GIB : MIB2;
    guest->ram = memory_alloc_guest(size, guest->ram_align);
    if (guest->ram == NULL && size >= GIB)
        guest->ram = memory_alloc_guest(size, guest->ram_align = MIB2);
    if (guest->ram == NULL) {
        struct memory_use use;
        memory_use(&use);
        return fail(guest, -E_NOMEM,
                    "needs %lu MiB of memory in one piece but only %lu MiB are free",
                    (unsigned long)(size >> 20), (unsigned long)(use.largest >> 20));
    }
    return 0;
}

static int build_vm(struct guest *guest, const struct bundle *bundle)
{
    struct vm *vm = &guest->vm;
    struct board_backends backends = {.uart = &guest->console.backend};
    char why[sizeof guest->why];

    int error = dev_guest_open(&guest->devices, guest->spec, bundle, &backends, why, sizeof why);
    if (error != 0)
        return fail(guest, error, "%s", why);
    vm_init(vm, guest->spec->name);
    vm->engine = &hext_engine;
    vm->engine_data = &guest->hext;
    vm->steal_time = true;
    error = mem_slot_add(&vm->mem, BOARD_RAM, guest->spec->memory, guest->ram, NULL);
    if (error == 0)
        error = board_init(&guest->board, vm, guest->harts, guest->spec->cpus, &backends);
    if (error == 0)
        error = hext_engine.vm_init(vm);
    if (error == 0)
        error = dev_guest_wire(&guest->devices, &guest->board, &guest->hext.gstage, guest->ram);
    for (unsigned i = 0; error == 0 && i < guest->spec->cpus; i++)
        error = hext_engine.vcpu_init(&guest->harts[i].vcpu);
    return error == 0 ? 0 : fail(guest, error, "cannot be built (error %d)", -error);
}

static int build(struct guest *guest, const struct bundle *bundle, const struct platform *platform)
{
    const struct spec_vm *spec = guest->spec;
    int error = 0;

    if (spec->firmware != NULL)
        return fail(guest, -E_NOTSUP, "firmware images need M-mode; give a kernel alone");
    error = payload_file(guest, bundle, "kernel", spec->kernel, &guest->payload.kernel);
    if (error == 0)
        error = payload_file(guest, bundle, "initrd", spec->initrd, &guest->payload.initrd);
    guest->payload.cmdline = spec->cmdline;
    guest->harts = host_alloc(sizeof *guest->harts * spec->cpus, 64);
    guest->vcpu_tasks = host_alloc(sizeof *guest->vcpu_tasks * spec->cpus, 64);
    guest->stats = host_alloc(sizeof *guest->stats * spec->cpus, 64);
    if (guest->harts == NULL || guest->vcpu_tasks == NULL || guest->stats == NULL)
        return fail(guest, -E_NOMEM, "no memory is left for its VCPUs");
    if (error == 0)
        error = alloc_ram(guest);
    if (error == 0)
        error = build_vm(guest, bundle);
    guest->board.cpu = &platform->cpu;
    return error;
}

/* ---- Life ---- */

static void vcpu_main(void *arg)
{
    struct riscv_vcpu *hart = arg;
    struct guest *guest = (struct guest *)((char *)hart->vcpu.vm - offsetof(struct guest, vm));
    vmm_run_vcpu(hart->vcpu.vm, hart, &guest->stats[hart->vcpu.id]);
}

static bool vcpus_ended(const struct guest *guest)
{
    for (unsigned i = 0; i < guest->spec->cpus; i++) {
        if (guest->vcpu_tasks[i].stack != NULL && !atomic_load(&guest->vcpu_tasks[i].ended))
            return false;
    }
    return true;
}

/* Zeroed first: a guest never sees what was there before. */
static int boot(struct guest *guest)
{
    const char *problem;
    for (uint64_t at = 0; at < guest->spec->memory; at += CLEAR_CHUNK) {
        uint64_t left = guest->spec->memory - at;
        memset((char *)guest->ram + at, 0, left < CLEAR_CHUNK ? left : CLEAR_CHUNK);
        task_breathe();
    }
    if (guest->fresh)
        dev_guest_renew(&guest->devices);
    dev_random(guest->payload.rng_seed, sizeof guest->payload.rng_seed);
    int error = board_boot(&guest->board, &guest->payload, &problem);
    if (error != 0)
        return fail(guest, error, "%s", problem);
    for (unsigned i = 0; i < guest->spec->cpus; i++)
        hext_vcpu_reset(&guest->harts[i].vcpu);
    dev_guest_booted(&guest->devices);
    atomic_store(&guest->vm.paused, false);
    atomic_store(&guest->vm.power, VM_POWER_ON);
    guest->vm.power_message = NULL;
    atomic_store(&guest->state, GUEST_RUNNING);
    guest->boots++;
    clock_start(&guest->vm.clock);
    for (unsigned i = 0; i < guest->spec->cpus; i++) {
        guest->vcpu_tasks[i].ended_event = &guest->vcpu_ended;
        error = task_start(&guest->vcpu_tasks[i], guest->spec->name, &guest->harts[i].vcpu,
                           vcpu_main, &guest->harts[i], 0, UINT64_MAX);
        if (error != 0) {
            vm_power_request(&guest->vm, VM_POWER_FAILED, 0, "no memory is left for its stacks");
            break;
        }
    }
    return 0;
}

/* Says how it ended; true if it is to start again. */
static bool ended(struct guest *guest)
{
    const struct vm *vm = &guest->vm;
    bool restart = atomic_exchange(&guest->want_restart, false);

    guest->fresh = restart;

    clock_stop(&guest->vm.clock);
    switch (vm_power_state(vm)) {
    case VM_POWER_REBOOT:
        restart = restart || !guest->spec->no_reboot;
        console_line("%s: %s", guest->spec->name, restart ? "reboots" : "ended by a reboot");
        atomic_store(&guest->state, GUEST_OFF);
        break;
    case VM_POWER_FAILED:
        if (vm->power_message != NULL)
            fail(guest, 0, "stopped: %s", vm->power_message);
        else
            fail(guest, 0, "reported failure (code %u)", vm->power_code);
        break;
    default:
        console_line("%s: is off", guest->spec->name);
        atomic_store(&guest->state, GUEST_OFF);
        break;
    }
    return restart && atomic_load(&guest->want_running);
}

/* One task for each guest looks after it, whether it runs or not. */
static void keep(void *arg)
{
    struct guest *guest = arg;
    for (;;) {
        while (!atomic_load(&guest->want_running))
            host_event_wait(&guest->vm.power_event, UINT64_MAX);
        bool again = guest->fresh = true;
        while (again && boot(guest) == 0) {
            while (vm_power_state(&guest->vm) == VM_POWER_ON)
                host_event_wait(&guest->vm.power_event, UINT64_MAX);
            while (!vcpus_ended(guest))
                host_event_wait(&guest->vcpu_ended, UINT64_MAX);
            dev_guest_quiet(&guest->devices);
            again = ended(guest);
        }
        atomic_store(&guest->want_running, false);
    }
}

/* ---- What the operator may do ---- */

void guest_start(struct guest *guest)
{
    if (guest->ram == NULL || guest->board.vm == NULL) {
        console_answer("%s cannot be started: %s", guest->spec->name, guest->why);
        return;
    }
    atomic_store(&guest->want_running, true);
    host_event_set(&guest->vm.power_event);
}

void guest_stop(struct guest *guest)
{
    atomic_store(&guest->want_running, false);
    if (atomic_load(&guest->state) == GUEST_PAUSED)
        guest_resume(guest);
    vm_power_request(&guest->vm, VM_POWER_OFF, 0, NULL);
}

void guest_restart(struct guest *guest)
{
    atomic_store(&guest->want_restart, true);
    if (atomic_load(&guest->state) == GUEST_PAUSED)
        guest_resume(guest);
    vm_power_request(&guest->vm, VM_POWER_REBOOT, 0, NULL);
}

void guest_pause(struct guest *guest)
{
    if (atomic_load(&guest->state) != GUEST_RUNNING)
        return;
    vmm_pause(&guest->vm);
    atomic_store(&guest->state, GUEST_PAUSED);
}

void guest_resume(struct guest *guest)
{
    if (atomic_load(&guest->state) != GUEST_PAUSED)
        return;
    atomic_store(&guest->state, GUEST_RUNNING);
    vmm_resume(&guest->vm);
}

struct guest *guest_find(const char *name)
{
    for (unsigned i = 0; i < guest_count; i++) {
        if (strcmp(guests[i]->spec->name, name) == 0)
            return guests[i];
    }
    return NULL;
}

bool guests_alive(void)
{
    for (unsigned i = 0; i < guest_count; i++) {
        if (atomic_load(&guests[i]->want_running))
            return true;
    }
    return false;
}

const char *guest_state_name(const struct guest *guest)
{
    static const char *const names[] = {"off", "running", "paused", "failed"};
    return names[atomic_load(&guest->state)];
}

void guests_start(const struct spec_fleet *fleet, const struct bundle *bundle,
                  const struct platform *platform, const struct hext_features *features)
{
    unsigned vmids = 1u << features->vmid_bits;
    for (unsigned i = 0; i < fleet->vm_count; i++) {
        struct guest *guest = host_alloc(sizeof *guest, 64);
        if (guest == NULL) {
            console_line("%s: no memory is left for it", fleet->vms[i].name);
            return;
        }
        guest->spec = &fleet->vms[i];
        guest->index = i;
        guest->hext.features = features;
        guest->hext.sbi_light = sbi_call_light;
        guest->hext.vmid = (uint16_t)(i + 1 < vmids ? i + 1 : 0);
        guest->hext.generation = i + 1;
        host_event_init(&guest->vcpu_ended);
        console_port_init(&guest->console, guest->spec->name, i);
        console_add(&guest->console);
        guests[guest_count++] = guest;
        if (build(guest, bundle, platform) != 0)
            continue;
        atomic_store(&guest->want_running, true);
        if (task_start(&guest->keeper, guest->spec->name, NULL, keep, guest, 0, UINT64_MAX) != 0)
            fail(guest, -E_NOMEM, "no memory is left for it");
    }
}
        guest->hext.sbi_version = SBI_SPEC_VERSION;
