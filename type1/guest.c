#include "type1/guest.h"

#include "core/error.h"
#include "type1/dev_files.h"
#include "type1/memory.h"
#include "type1/print.h"
#include "vmm/sbi.h"

#include <stdatomic.h>

#define GIB         (1ULL << 30)
#define MIB2        (2ULL << 20)
#define CLEAR_CHUNK (1ULL << 20)
#define SHOWN_VCPUS 8             /* of those whose registers are shown */
#define RESTART_NS  1000000000ULL /* between a failure and the restart by policy */

uint64_t entered_ns;
struct guest *guests[SPEC_VMS_MAX];
unsigned guest_count;
static _Atomic uint32_t generations; /* of G-stage tables; see hext_vm */
/* What guests are made of, at any time. */
static const struct bundle *source;
static const struct platform *board_is;

static void keep(void *arg);

uint32_t guest_generation(void)
{
    return atomic_fetch_add(&generations, 1) + 1;
}

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

static int payload_file(struct guest *guest, const char *what, const char *path,
                        struct board_blob *blob)
{
    uint64_t size;
    if (path == NULL)
        return 0;
    blob->bytes = bundle_file(source, path, &size);
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

static void clear_away(struct guest *guest)
{
    struct vm *vm = &guest->vm;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        hext_engine.vcpu_destroy(vm->vcpus[i]);
    dev_guest_close(&guest->devices);
    gstage_fini(&guest->hext.gstage);
    if (vm->board != NULL)
        board_fini(&guest->board);
}

/* The last thing is the task that looks after it, which waits for guest_start. */
static int build_vm(struct guest *guest)
{
    struct vm *vm = &guest->vm;
    struct board_backends backends = {.uart = &guest->console.uart,
                                      .console =
                                          guest->spec->virtio_console ? &guest->console.hvc : NULL,
                                      .no_rom = true};
    char why[sizeof guest->why];

    int error = dev_guest_open(&guest->devices, guest->spec, source, &backends, why, sizeof why);
    if (error != 0)
        return fail(guest, error, "%s", why);
    vm_init(vm, guest->spec->name);
    vm->engine = &hext_engine;
    vm->engine_data = &guest->hext;
    vm->steal_time = true;
    vm->clock.guest_hz = guest->hext.features->timebase;
    /* A real device would read what nobody has cleared yet. */
    guest->hext.lazy = guest->spec->lazy_memory && guest->spec->passthrough_count == 0;
    if (guest->spec->lazy_memory && !guest->hext.lazy)
        console_line("%s: lazy_memory is not for guests with a device of the board; its memory is "
                     "cleared at once",
                     guest->spec->name);
    if (guest->aia)
        files_offer(vm, &backends);
    error = mem_slot_add(&vm->mem, BOARD_RAM, guest->spec->memory, guest->ram, NULL);
    if (error == 0)
        error = board_init(&guest->board, vm, guest->harts, guest->spec->cpus, &backends);
    if (error == 0)
        error = hext_engine.vm_init(vm);
    if (error == 0)
        error = dev_guest_wire(&guest->devices, &guest->board, &guest->hext.gstage, guest->ram);
    if (error == 0)
        error = guest->aia ? files_map(vm) : 0;
    for (unsigned i = 0; error == 0 && i < guest->spec->cpus; i++)
        error = hext_engine.vcpu_init(&guest->harts[i].vcpu);
    if (error == 0 && guest->aia)
        error = files_init(vm);
    guest->board.cpu = guest->aia ? &board_is->aia_cpu : &board_is->cpu;
    if (error == 0)
        error = task_start(&guest->keeper, guest->spec->name, NULL, keep, guest, 0, 0, UINT64_MAX);
    if (error == 0)
        return 0;
    clear_away(guest);
    return fail(guest, error, "cannot be built (error %d)", -error);
}

/* The description names harts by the board's numbers. */
static int find_harts(struct guest *guest)
{
    const struct spec_vm *spec = guest->spec;
    if (spec->pin_count == 0)
        guest->harts_allowed = UINT64_MAX;
    for (unsigned i = 0; i < spec->pin_count; i++) {
        unsigned at = 0;
        while (at < hart_count && harts[at]->id != spec->pins[i])
            at++;
        if (at < hart_count)
            guest->harts_allowed |= 1ULL << at;
        else
            console_line("%s: pin: the board has no hart %u", spec->name, spec->pins[i]);
    }
    return guest->harts_allowed != 0
               ? 0
               : fail(guest, -E_NODEV, "is pinned to harts that the board does not have");
}

/* Unless it says what it wants: interrupt files where harts have some. */
static int choose_controller(struct guest *guest)
{
    const struct hext_features *features = guest->hext.features;
    const char *irq = guest->spec->irq;
    bool can = features->aia && features->imsic_ids != 0;

    if (irq == NULL)
        guest->aia = can && features->files != 0;
    else
        guest->aia = strcmp(irq, "aia") == 0;
    return can || !guest->aia
               ? 0
               : fail(guest, -E_NOTSUP, "irq: the board's harts have no IMSICs; write plic");
}

/* What one that could not be built has already, or anew. */
static void *vcpu_room(struct guest *guest, void *old, size_t each)
{
    return old != NULL ? old : host_alloc(each * guest->spec->cpus, 64);
}

/* What fails may be tried again when there is more memory, or a device is free. */
static int build(struct guest *guest)
{
    const struct spec_vm *spec = guest->spec;
    int error = 0;

    if (spec->firmware != NULL)
        return fail(guest, -E_NOTSUP, "firmware images need M-mode; give a kernel alone");
    error = payload_file(guest, "kernel", spec->kernel, &guest->payload.kernel);
    if (error == 0)
        error = payload_file(guest, "initrd", spec->initrd, &guest->payload.initrd);
    guest->payload.cmdline = spec->cmdline;
    guest->harts = vcpu_room(guest, guest->harts, sizeof *guest->harts);
    guest->vcpu_tasks = vcpu_room(guest, guest->vcpu_tasks, sizeof *guest->vcpu_tasks);
    guest->stats = vcpu_room(guest, guest->stats, sizeof *guest->stats);
    guest->pulses = vcpu_room(guest, guest->pulses, sizeof *guest->pulses);
    if (guest->harts == NULL || guest->vcpu_tasks == NULL || guest->stats == NULL ||
        guest->pulses == NULL)
        return fail(guest, -E_NOMEM, "no memory is left for its VCPUs");
    if (error == 0)
        error = find_harts(guest);
    if (error == 0)
        error = choose_controller(guest);
    if (error == 0)
        error = alloc_ram(guest);
    if (error != 0)
        return error;
    error = build_vm(guest);
    if (error != 0) {
        memory_free_guest(guest->ram, spec->memory);
        guest->ram = NULL;
        return error;
    }
    guest->built = true;
    atomic_store(&guest->state, GUEST_OFF);
    return 0;
}

/* ---- Life ---- */

static void vcpu_main(void *arg)
{
    struct riscv_vcpu *hart = arg;
    struct guest *guest = (struct guest *)((char *)hart->vcpu.vm - offsetof(struct guest, vm));
    if (hart->vcpu.id == 0)
        guest->began_ns = host_time_ns();
    vmm_run_vcpu(hart->vcpu.vm, hart, &guest->stats[hart->vcpu.id]);
    hext_trace_ended(&hart->vcpu);
}

static bool vcpus_ended(const struct guest *guest)
{
    for (unsigned i = 0; i < guest->spec->cpus; i++) {
        if (guest->vcpu_tasks[i].stack != NULL && !atomic_load(&guest->vcpu_tasks[i].ended))
            return false;
    }
    return true;
}

/* A guest never sees what was there before. */
static void clear_ram(struct guest *guest)
{
    if (guest->hext.lazy) {
        hext_memory_reset(&guest->vm, atomic_fetch_add(&generations, 1) + 1);
        return;
    }
    for (uint64_t at = 0; at < guest->spec->memory; at += CLEAR_CHUNK) {
        uint64_t left = guest->spec->memory - at;
        memset((char *)guest->ram + at, 0, left < CLEAR_CHUNK ? left : CLEAR_CHUNK);
        task_breathe();
    }
}

static int boot(struct guest *guest)
{
    const char *problem;
    uint64_t since = host_time_ns();
    atomic_store(&guest->want_restart, false); /* this is one */
    clear_ram(guest);
    guest->cleared_ns = host_time_ns() - since;
    if (guest->fresh)
        dev_guest_renew(&guest->devices);
    dev_random(guest->payload.rng_seed, sizeof guest->payload.rng_seed);
    int error = board_boot(&guest->board, &guest->payload, &problem);
    if (error != 0)
        return fail(guest, error, "%s", problem);
    for (unsigned i = 0; i < guest->spec->cpus; i++)
        hext_vcpu_reset(&guest->harts[i].vcpu);
    dev_guest_booted(&guest->devices);
    guest->vm.power_message = NULL;
    atomic_store(&guest->vm.paused, false);
    atomic_store(&guest->vm.power, VM_POWER_ON);
    guest->why[0] = 0;
    atomic_store(&guest->state, GUEST_RUNNING);
    guest->boots++;
    memset(guest->pulses, 0, sizeof *guest->pulses * guest->spec->cpus);
    clock_start(&guest->vm.clock);
    for (unsigned i = 0; i < guest->spec->cpus; i++) {
        guest->vcpu_tasks[i].ended_event = &guest->vcpu_ended;
        error = task_start(&guest->vcpu_tasks[i], guest->spec->name, &guest->harts[i].vcpu,
                           vcpu_main, &guest->harts[i], guest->spec->weight, guest->spec->budget,
                           guest->harts_allowed);
        if (error != 0) {
            vm_power_request(&guest->vm, VM_POWER_FAILED, 0, "no memory is left for its stacks");
            break;
        }
    }
    /* What the operator wanted while the power was not on yet. */
    if (!atomic_load(&guest->want_running))
        vm_power_request(&guest->vm, VM_POWER_OFF, 0, NULL);
    else if (atomic_load(&guest->want_restart))
        vm_power_request(&guest->vm, VM_POWER_REBOOT, 0, NULL);
    return 0;
}

/* ---- The watchdog ---- */

/* One at a time; both are tasks that are no VCPU's. */
static void pausing_begin(struct guest *guest)
{
    while (atomic_exchange(&guest->pausing, true))
        task_yield();
}

static void pausing_end(struct guest *guest)
{
    atomic_store(&guest->pausing, false);
}

uint64_t guest_ran_ns(const struct guest *guest, unsigned index)
{
    const struct task *task = &guest->vcpu_tasks[index];
    /* Not exact: the task may be switched just now. */
    uint64_t now = host_time_ns(), since = task->state == TASK_RUNNING ? task->started_ns : now;
    return task->ran_ns + (now > since ? now - since : 0);
}

/*
 * True if the VCPU has run for the watchdog's time without a call, an access to a device or a WFI.
 * A guest that computes sets its timer all the same, which only the stopped VCPU shows.
 */
static bool vcpu_silent(struct guest *guest, unsigned index)
{
    const struct hext_vcpu *v = guest->harts[index].vcpu.engine_data;
    struct guest_pulse *pulse = &guest->pulses[index];
    uint64_t exits =
        v->counts[HEXT_EXIT_ECALL] + v->counts[HEXT_EXIT_MMIO] + v->counts[HEXT_EXIT_WFI];
    uint64_t ran = guest_ran_ns(guest, index);
    if (exits == pulse->exits && ran >= pulse->ran_ns)
        return ran - pulse->ran_ns >= guest->spec->watchdog * 1000000000ULL;
    pulse->exits = exits;
    pulse->ran_ns = ran;
    return false;
}

/* The VCPU is parked. */
static bool timer_unchanged(struct guest *guest, unsigned index)
{
    struct guest_pulse *pulse = &guest->pulses[index];
    if (guest->harts[index].stimecmp == pulse->stimecmp)
        return true;
    pulse->stimecmp = guest->harts[index].stimecmp;
    pulse->ran_ns = guest_ran_ns(guest, index);
    return false;
}

static void look_for_life(struct guest *guest)
{
    bool silent = false, hung = false;
    unsigned at = 0;

    pausing_begin(guest);
    if (atomic_load(&guest->state) == GUEST_RUNNING) {
        for (unsigned i = 0; i < guest->spec->cpus; i++)
            silent = vcpu_silent(guest, i) || silent;
    }
    if (silent) {
        vmm_pause(&guest->vm);
        for (unsigned i = 0; i < guest->spec->cpus && !hung; i++) {
            hung = vcpu_silent(guest, i) && timer_unchanged(guest, i);
            at = i;
        }
        vmm_resume(&guest->vm);
    }
    pausing_end(guest);
    if (!hung)
        return;
    guest->hangs++;
    console_line("%s: VCPU %u has shown no sign of life for %u s", guest->spec->name, at,
                 guest->spec->watchdog);
    vm_power_request(&guest->vm, VM_POWER_FAILED, 0, "it hangs");
}

/* Returns when the VM's power is off in whatever way. */
static void watch(struct guest *guest)
{
    uint64_t look = guest->spec->watchdog != 0 ? guest->spec->watchdog * 500000000ULL : UINT64_MAX;
    while (vm_power_state(&guest->vm) == VM_POWER_ON) {
        if (!host_event_wait(&guest->vm.power_event, look))
            look_for_life(guest);
    }
}

/* ---- What is said of a guest ---- */

static void show_vcpu(const struct guest *guest, unsigned index)
{
    static const char *const names[] = {"stopped", "start pending", "running", "suspended"};
    const struct riscv_vcpu *hart = &guest->harts[index];
    uint32_t run_state = atomic_load(&hart->vcpu.run_state), state = atomic_load(&guest->state);
    const char *does = run_state < sizeof names / sizeof names[0] ? names[run_state] : "?";
    if (state == GUEST_PAUSED || state == GUEST_OFF)
        does = guest_state_name(guest);
    console_answer("  %s/%u %s: pc %lx %s-mode  ra %lx  sp %lx  tp %lx", guest->spec->name, index,
                   does, (unsigned long)hart->pc, hart->priv == PRIV_S ? "S" : "U",
                   (unsigned long)hart->x[1], (unsigned long)hart->x[2], (unsigned long)hart->x[4]);
    console_answer("    scause %lx  sepc %lx  stval %lx  stvec %lx  satp %lx  sie %lx  sip %lx",
                   (unsigned long)hart->scause, (unsigned long)hart->sepc,
                   (unsigned long)hart->stval, (unsigned long)hart->stvec,
                   (unsigned long)hart->satp, (unsigned long)hart->mie,
                   (unsigned long)atomic_load(&hart->mip));
}

/* Its VCPUs are parked or have ended. */
static void show_vcpus(const struct guest *guest)
{
    for (unsigned i = 0; i < guest->spec->cpus && i < SHOWN_VCPUS; i++)
        show_vcpu(guest, i);
}

/* ---- Ends ---- */

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
        show_vcpus(guest);
        if (restart || guest->spec->on_failure != SPEC_FAILURE_RESTART ||
            !atomic_load(&guest->want_running))
            break;
        console_line("%s: is restarted", guest->spec->name);
        host_event_wait(&guest->vm.power_event, RESTART_NS);
        restart = guest->fresh = true;
        break;
    default:
        console_line("%s: is off", guest->spec->name);
        atomic_store(&guest->state, GUEST_OFF);
        break;
    }
    return restart && atomic_load(&guest->want_running);
}

/* Harts may still hold translations of its VMID, but nobody runs with that until it is made anew.
 */
static void take_apart(struct guest *guest)
{
    hext_engine.vm_destroy(&guest->vm);
    memory_free_guest(guest->ram, guest->spec->memory);
    guest->ram = NULL;
    dev_guest_give_disks(&guest->devices);
    console_line("%s: is destroyed", guest->spec->name);
    atomic_store(&guest->state, GUEST_GONE);
}

/* What take_apart took, again. */
static int put_together(struct guest *guest)
{
    int error = alloc_ram(guest);
    if (error != 0) {
        atomic_store(&guest->state, GUEST_GONE);
        return error;
    }
    if (dev_guest_take_disks(&guest->devices) != 0) {
        memory_free_guest(guest->ram, guest->spec->memory);
        guest->ram = NULL;
        fail(guest, -E_NOMEM, "no memory is left for its disks");
        atomic_store(&guest->state, GUEST_GONE);
        return -E_NOMEM;
    }
    mem_slot_find(&guest->vm.mem, BOARD_RAM, 1)->hva = guest->ram;
    guest->hext.generation = guest_generation();
    error = hext_engine.vm_init(&guest->vm);
    if (error == 0)
        error = dev_guest_wire(&guest->devices, &guest->board, &guest->hext.gstage, guest->ram);
    if (error == 0)
        error = guest->aia ? files_map(&guest->vm) : 0;
    if (error == 0)
        return 0;
    memory_free_guest(guest->ram, guest->spec->memory);
    guest->ram = NULL;
    dev_guest_give_disks(&guest->devices);
    fail(guest, error, "cannot be built (error %d)", -error);
    atomic_store(&guest->state, GUEST_GONE);
    return error;
}

/* One task for each guest looks after it, whether it runs or not. */
static void keep(void *arg)
{
    struct guest *guest = arg;
    for (;;) {
        while (!atomic_load(&guest->want_running)) {
            if (atomic_exchange(&guest->want_gone, false))
                take_apart(guest);
            host_event_wait(&guest->vm.power_event, UINT64_MAX);
        }
        /* In this order: a stop from here on is seen below, one before it in want_running. */
        atomic_store(&guest->stopped, false);
        if (!atomic_load(&guest->want_running))
            continue;
        bool again = guest->fresh = true;
        while (again && boot(guest) == 0) {
            watch(guest);
            while (!vcpus_ended(guest))
                host_event_wait(&guest->vcpu_ended, UINT64_MAX);
            dev_guest_quiet(&guest->devices);
            again = ended(guest);
        }
        /* Who was stopped may have been told to start again since. */
        if (!atomic_load(&guest->stopped))
            atomic_store(&guest->want_running, false);
        if (atomic_exchange(&guest->want_gone, false))
            take_apart(guest);
    }
}

/* ---- What the operator may do ---- */

void guest_refuse(const struct guest *guest, const char *what)
{
    console_answer("%s %s: it is %s%s%s", guest->spec->name, what, guest_state_name(guest),
                   guest->why[0] != 0 ? ": " : "", guest->why);
}

static bool is_on(const struct guest *guest)
{
    uint32_t state = atomic_load(&guest->state);
    return state == GUEST_RUNNING || state == GUEST_PAUSED;
}

void guest_start(struct guest *guest)
{
    if (guest->ram == NULL) {
        console_answer("%s cannot be started: %s; create it", guest->spec->name,
                       atomic_load(&guest->state) == GUEST_GONE ? "it is destroyed" : guest->why);
        return;
    }
    if (is_on(guest) && atomic_load(&guest->want_running)) {
        guest_refuse(guest, "is not started");
        return;
    }
    atomic_store(&guest->want_running, true);
    host_event_set(&guest->vm.power_event);
}

static void switch_off(struct guest *guest)
{
    atomic_store(&guest->want_running, false);
    atomic_store(&guest->stopped, true);
    if (atomic_load(&guest->state) == GUEST_PAUSED)
        guest_resume(guest);
    vm_power_request(&guest->vm, VM_POWER_OFF, 0, NULL);
}

void guest_stop(struct guest *guest)
{
    if (is_on(guest) || atomic_load(&guest->want_running))
        switch_off(guest);
    else
        guest_refuse(guest, "is not stopped");
}

void guest_restart(struct guest *guest)
{
    if (!atomic_load(&guest->want_running)) {
        guest_start(guest);
        return;
    }
    atomic_store(&guest->want_restart, true);
    if (atomic_load(&guest->state) == GUEST_PAUSED)
        guest_resume(guest);
    vm_power_request(&guest->vm, VM_POWER_REBOOT, 0, NULL);
}

void guest_pause(struct guest *guest)
{
    pausing_begin(guest);
    if (atomic_load(&guest->state) == GUEST_RUNNING) {
        vmm_pause(&guest->vm);
        atomic_store(&guest->state, GUEST_PAUSED);
    } else {
        guest_refuse(guest, "is not paused");
    }
    pausing_end(guest);
}

void guest_resume(struct guest *guest)
{
    pausing_begin(guest);
    if (atomic_load(&guest->state) == GUEST_PAUSED) {
        atomic_store(&guest->state, GUEST_RUNNING);
        vmm_resume(&guest->vm);
    } else {
        guest_refuse(guest, "does not go on");
    }
    pausing_end(guest);
}

void guest_destroy(struct guest *guest)
{
    if (guest->ram == NULL) {
        console_answer("%s has no memory to give back", guest->spec->name);
        return;
    }
    if (!pass_confined(&guest->devices.passes)) {
        console_answer("%s has a device that no IOMMU keeps from its memory; stop it instead",
                       guest->spec->name);
        return;
    }
    atomic_store(&guest->want_gone, true);
    switch_off(guest);
    host_event_set(&guest->vm.power_event);
}

void guest_create(struct guest *guest)
{
    if (guest->built && atomic_load(&guest->state) != GUEST_GONE) {
        console_answer("%s is there; 'destroy' it first", guest->spec->name);
        return;
    }
    guest->boots = 0;
    if ((guest->built ? put_together(guest) : build(guest)) == 0)
        guest_start(guest);
}

void guest_show_vcpus(struct guest *guest)
{
    if (guest->ram == NULL) {
        console_answer("%s has no VCPUs", guest->spec->name);
        return;
    }
    pausing_begin(guest);
    bool running = atomic_load(&guest->state) == GUEST_RUNNING;
    if (running)
        vmm_pause(&guest->vm);
    show_vcpus(guest);
    if (running)
        vmm_resume(&guest->vm);
    pausing_end(guest);
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
    static const char *const names[] = {"off", "running", "paused", "failed", "gone"};
    return names[atomic_load(&guest->state)];
}

void guests_start(const struct spec_fleet *fleet, const struct bundle *bundle,
                  const struct platform *platform, const struct hext_features *features)
{
    unsigned vmids = 1u << features->vmid_bits;
    source = bundle;
    board_is = platform;
    for (unsigned i = 0; i < fleet->vm_count; i++) {
        struct guest *guest = host_alloc(sizeof *guest, 64);
        if (guest == NULL) {
            console_line("%s: no memory is left for it", fleet->vms[i].name);
            return;
        }
        guest->spec = &fleet->vms[i];
        guest->index = i;
        guest->hext.features = features;
        guest->hext.sbi_alone = sbi_call_alone;
        guest->hext.sbi_light = sbi_call_light;
        guest->hext.sbi_version = SBI_SPEC_VERSION;
        guest->hext.vmid = (uint16_t)(i + 1 < vmids ? i + 1 : 0);
        guest->hext.generation = guest_generation();
        host_event_init(&guest->vcpu_ended);
        console_port_init(&guest->console, guest->spec->name, i, spec_console_is_hvc(guest->spec));
        console_add(&guest->console);
        guests[guest_count++] = guest;
        if (build(guest) == 0)
            guest_start(guest);
    }
}
