#define _GNU_SOURCE
#include "type2/machine_impl.h"

#include "type2/block_file.h"
#include "type2/config.h"
#include "type2/engines.h"
#include "type2/entropy.h"
#include "type2/host.h"
#include "type2/net_tap.h"
#include "type2/net_user.h"
#include "type2/payload.h"
#include "type2/savefile.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* A panic is believed when for this long nothing is printed and a hart spins without ever waiting.
 */
#define PANIC_SILENCE_NS 3000000000ULL
#define PANIC_LOOK_NS    500000000ULL

/* ---- console ---- */

static struct stream_backend *machine_mux_backend(struct machine *machine)
{
    return stream_mux_backend(machine->mux);
}

static size_t port_write(struct stream_backend *backend, const void *bytes, size_t len)
{
    struct console_port *port = (struct console_port *)backend;
    struct stream_backend *mux = machine_mux_backend(port->machine);

    return mux->ops->write(mux, bytes, len);
}

static void port_resume(struct stream_backend *backend)
{
    struct console_port *port = (struct console_port *)backend;
    struct stream_backend *mux = machine_mux_backend(port->machine);

    if (mux->device == backend->device)
        mux->ops->resume(mux);
}

static const struct stream_ops port_ops = {.write = port_write, .resume = port_resume};

static void machine_tap(void *arg, const void *bytes, size_t len)
{
    struct machine *machine = arg;

    pthread_mutex_lock(&machine->watch_lock);
    bool before = machine->watch.panic_ended;
    for (size_t i = 0; i < len; i++)
        machine->history[(machine->watch.bytes + i) % MACHINE_HISTORY] = ((const char *)bytes)[i];
    console_watch_feed(&machine->watch, bytes, len, host_time_ns());
    if (machine->watch.init_at != 0 && machine->init_ns == 0)
        machine->init_ns = machine->watch.init_at - machine->start_ns;
    bool panicked = machine->watch.panic_ended && !before;
    pthread_mutex_unlock(&machine->watch_lock);
    if (panicked)
        host_event_set(&machine->vm.power_event); /* machine_wait begins to look closely */
}

char *machine_history(struct machine *machine, size_t *length)
{
    char *copy = malloc(MACHINE_HISTORY);

    *length = 0;
    if (copy == NULL)
        return NULL;
    pthread_mutex_lock(&machine->watch_lock);
    uint64_t end = machine->watch.bytes;
    uint64_t start = end > MACHINE_HISTORY ? end - MACHINE_HISTORY : 0;
    for (uint64_t at = start; at < end; at++)
        copy[(*length)++] = machine->history[at % MACHINE_HISTORY];
    pthread_mutex_unlock(&machine->watch_lock);
    return copy;
}

/* ---- building ---- */

int machine_check(const struct spec_vm *spec, struct problem *problem)
{
    struct spec_fleet *one = calloc(1, sizeof(*one));
    struct spec_problem why = {.text = ""};

    if (one == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");
    one->vms[0] = *spec;
    one->vm_count = 1;
    int error = spec_check_hosted(one, 0, &why); /* first: one alone has no peer to share with */
    if (error == 0)
        error = spec_check(one, &why);
    free(one);
    if (error < 0)
        return problem_set(problem, error, "%s", why.text + why.words);
    struct riscv_isa isa;
    return config_isa(spec, &isa, problem);
}

static int machine_set_spec(struct machine *machine, const struct spec_vm *spec,
                            struct problem *problem)
{
    struct spec_problem why = {.text = ""};
    struct spec_fleet *one = &machine->fleet;

    int error = machine_check(spec, problem);
    if (error < 0)
        return error;
    machine->spec_blob = malloc(SPEC_BLOB_MAX);
    if (machine->spec_blob == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");
    one->vms[0] = *spec;
    one->vm_count = 1;
    long size = spec_flatten(one, machine->spec_blob, SPEC_BLOB_MAX);
    if (size < 0)
        return problem_set(problem, (int)size,
                           "%s: the description is longer than %d KiB; shorten its texts",
                           spec->name, SPEC_BLOB_MAX >> 10);
    error = spec_read(&machine->fleet, machine->spec_blob, (size_t)size, &why);
    if (error < 0)
        return problem_set(problem, error, "%s: %s", spec->name, why.text);
    machine->spec = &machine->fleet.vms[0];
    return 0;
}

static int machine_find_engine(struct machine *machine, struct problem *problem)
{
    const char *name = machine->spec->engine;

    machine->vm.engine = engine_for(machine->spec);
    const char *why =
        machine->vm.engine != NULL ? engine_refuses(machine->vm.engine, machine->spec) : NULL;
    if (why != NULL)
        return problem_set(problem, -E_NOTSUP, "%s: the engine '%s' cannot be had: %s",
                           machine->spec->name, machine->vm.engine->name, why);
    if (machine->vm.engine != NULL)
        return 0;
    return problem_set(problem, -E_NOTSUP, "%s: engine '%s' is not in this build; use --engine %s",
                       machine->spec->name, name, engine_names);
}

static int machine_open_net(struct machine *machine, unsigned index, struct problem *problem)
{
    const struct spec_net *net = &machine->spec->nets[index];
    uint8_t mac[6];

    memcpy(mac, net->mac, sizeof(mac));
    if (memcmp(mac, "\0\0\0\0\0\0", sizeof(mac)) == 0)
        spec_default_mac(machine->spec->name, index, mac);
    if (net->kind == SPEC_NET_TAP) {
        struct net_tap_options options = {.ifname = net->ifname};
        memcpy(options.mac, mac, sizeof(mac));
        machine->nets[index] = net_tap_open(&options, &machine->loop, problem);
    } else {
        struct net_user_options options = {.hostname = machine->spec->name,
                                           .forwards = net->forwards,
                                           .forward_count = net->forward_count};
        memcpy(options.mac, mac, sizeof(mac));
        machine->nets[index] = net_user_open(&options, &machine->loop, problem);
    }
    return machine->nets[index] != NULL ? 0 : -E_IO;
}

static int machine_open_backends(struct machine *machine, struct problem *problem)
{
    const struct spec_vm *spec = machine->spec;

    for (unsigned i = 0; i < spec->disk_count; i++) {
        struct block_file_options options = {.path = spec->disks[i].path,
                                             .serial = spec->disks[i].serial,
                                             .readonly = spec->disks[i].readonly};
        machine->disks[i] = block_file_open(&options, &machine->loop, problem);
        if (machine->disks[i] == NULL)
            return -E_IO;
    }
    for (unsigned i = 0; i < spec->net_count; i++) {
        int error = machine_open_net(machine, i, problem);
        if (error < 0)
            return error;
    }
    machine->mux = stream_mux_new(spec->name, &machine->loop);
    if (machine->mux == NULL || stream_mux_add_tap(machine->mux, machine_tap, machine) == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");
    return 0;
}

static int machine_build_board(struct machine *machine, struct problem *problem)
{
    const struct spec_vm *spec = machine->spec;
    struct board_backends backends = {0};

    machine->uart = machine->hvc =
        (struct console_port){.backend = {.ops = &port_ops}, .machine = machine};
    backends.uart = &machine->uart.backend;
    if (spec->virtio_console)
        backends.console = &machine->hvc.backend;
    for (unsigned i = 0; i < spec->disk_count; i++)
        backends.disks[i] = machine->disks[i];
    backends.disk_count = spec->disk_count;
    for (unsigned i = 0; i < spec->net_count; i++)
        backends.nets[i] = machine->nets[i];
    backends.net_count = spec->net_count;
    backends.entropy = entropy_host();
    if (!spec->no_balloon)
        backends.reclaim = &machine->ram.reclaim;
    struct riscv_isa isa;
    riscv_isa_of(spec->cpu, spec->vlen, &isa);
    if (spec->irq != NULL && strcmp(spec->irq, "aia") == 0) {
        riscv_isa_add_aia(&isa);
        backends.aia = true;
        backends.aia_machine = spec->firmware != NULL;
        backends.aia_guests = riscv_isa_has(&isa, EXT_H) ? AIA_GUESTS_MAX : 0;
    }

    int error = board_init(&machine->board, &machine->vm, machine->harts, spec->cpus, &backends);
    if (error < 0)
        return problem_set(
            problem, error,
            error == -E_NOSPC
                ? "%s: more disks, networks and consoles than the board has slots for; "
                  "leave one out, or the balloon"
                : "%s: cannot build the board: %s",
            spec->name, strerror(-error));
    machine->built_board = true;
    for (unsigned i = 0; i < spec->cpus; i++)
        machine->harts[i].isa = isa;
    struct stream_backend *mux = machine_mux_backend(machine);
    const struct stream_backend *chosen =
        spec_console_is_hvc(spec) ? &machine->hvc.backend : &machine->uart.backend;
    mux->device = chosen->device;
    mux->receive = chosen->receive;
    return 0;
}

static void machine_stop_engine(struct machine *machine)
{
    const struct engine_ops *engine = machine->vm.engine;

    for (unsigned i = 0; i < machine->built_vcpus; i++)
        if (engine->vcpu_destroy != NULL)
            engine->vcpu_destroy(&machine->harts[i].vcpu);
    if (machine->built_engine && engine->vm_destroy != NULL)
        engine->vm_destroy(&machine->vm);
    machine->built_vcpus = 0;
    machine->built_engine = false;
}

static int machine_start_engine(struct machine *machine, const struct engine_ops *engine)
{
    machine->vm.engine = engine;
    int error = engine->vm_init(&machine->vm);

    machine->built_engine = error == 0;
    for (unsigned i = 0; error == 0 && i < machine->spec->cpus; i++) {
        machine->harts[i].vcpu.engine = engine;
        error = engine->vcpu_init(&machine->harts[i].vcpu);
        machine->built_vcpus += error == 0;
    }
    return error;
}

static int machine_build_engine(struct machine *machine, struct problem *problem)
{
    const struct engine_ops *engine = machine->vm.engine, *instead = engine_instead(engine);
    int error = machine_start_engine(machine, engine);

    if (error < 0 && instead != NULL) {
        host_log(HOST_LOG_WARNING,
                 "%s: the host lets no code be made (%s), so that the interpreter executes the "
                 "guest, which is slower; --engine %s asks for that",
                 machine->spec->name, strerror(-error), instead->name);
        machine_stop_engine(machine);
        error = machine_start_engine(machine, instead);
    }
    if (error < 0)
        return problem_set(problem, error, "%s: the engine '%s' cannot start: %s",
                           machine->spec->name, machine->vm.engine->name, strerror(-error));
    /* The host's harts have what they have. */
    const unsigned vlen = machine->harts[0].isa.vlen;
    if (machine->spec->vlen != 0 && machine->spec->vlen != vlen)
        return problem_set(
            problem, -E_NOTSUP,
            "%s: vlen: by the engine '%s' it is %u on this host, not %u; leave it out",
            machine->spec->name, machine->vm.engine->name, vlen, machine->spec->vlen);
    return 0;
}

/* Everything but what is in RAM and registers. */
int machine_build(struct machine *machine, const struct spec_vm *spec, struct problem *problem)
{
    int error = machine_set_spec(machine, spec, problem);
    if (error < 0)
        return error;
    spec = machine->spec;
    vm_init(&machine->vm, spec->name);
    error = machine_find_engine(machine, problem);
    if (error < 0)
        return error;

    machine->harts = host_alloc(spec->cpus * sizeof(*machine->harts), 64);
    machine->stats = calloc(spec->cpus, sizeof(*machine->stats));
    machine->threads = calloc(spec->cpus, sizeof(*machine->threads));
    if (machine->harts == NULL || machine->stats == NULL || machine->threads == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");

    error = loop_init(&machine->loop, problem);
    if (error < 0)
        return error;
    machine->built_loop = true;
    error = machine_open_backends(machine, problem);
    if (error < 0)
        return error;
    error = ram_init(&machine->ram, spec->name, spec->memory, problem);
    if (error < 0)
        return error;
    machine->built_ram = true;
    error = mem_slot_add(&machine->vm.mem, BOARD_RAM, machine->ram.size, machine->ram.hva,
                         machine->ram.flags);
    if (error < 0)
        return problem_set(problem, error, "%s: memory: %s", spec->name, strerror(-error));
    error = machine_build_board(machine, problem);
    if (error < 0)
        return error;
    return machine_build_engine(machine, problem);
}

/* Puts the payload into RAM and resets everything; also for a reboot. */
static int machine_boot(struct machine *machine, struct problem *problem)
{
    const struct spec_vm *spec = machine->spec;
    struct payload payload;
    const char *why = NULL;

    int error = payload_open(&payload, spec, problem);
    if (error < 0)
        return error;
    struct board_payload board_payload = {
        .kernel = {payload.kernel.bytes, payload.kernel.size},
        .initrd = {payload.initrd.bytes, payload.initrd.size},
        .firmware = {payload.firmware.bytes, payload.firmware.size},
        .cmdline = spec->cmdline,
    };
    if (getrandom(board_payload.rng_seed, sizeof(board_payload.rng_seed), GRND_NONBLOCK) < 0)
        memset(board_payload.rng_seed, 0, sizeof(board_payload.rng_seed));
    error = board_boot(&machine->board, &board_payload, &why);
    if (error < 0)
        problem_set(problem, error, "%s: %s", spec->name, why != NULL ? why : strerror(-error));
    payload_close(&payload);
    return error;
}

struct machine *machine_new(const struct machine_options *options)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    if (machine == NULL)
        return NULL;
    machine->history = malloc(MACHINE_HISTORY);
    if (machine->history == NULL) {
        free(machine);
        return NULL;
    }
    machine->options = *options;
    machine->start_ns = host_time_ns();
    pthread_mutex_init(&machine->lock, NULL);
    pthread_mutex_init(&machine->watch_lock, NULL);
    console_watch_init(&machine->watch);
    machine_orders_init(machine);
    return machine;
}

int machine_create(struct machine **out, const struct spec_vm *spec,
                   const struct machine_options *options, struct problem *problem)
{
    struct machine *machine = machine_new(options);

    if (machine == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");
    int error = machine_build(machine, spec, problem);
    if (error == 0)
        error = machine_boot(machine, problem);
    if (error < 0) {
        machine_destroy(machine);
        return error;
    }
    *out = machine;
    return 0;
}

void machine_destroy(struct machine *machine)
{
    if (machine == NULL)
        return;

    /* First what may call into devices, then the devices, then what they stand on. */
    for (unsigned i = 0; i < SPEC_NETS_MAX; i++) {
        if (machine->nets[i] == NULL)
            continue;
        if (machine->spec->nets[i].kind == SPEC_NET_TAP)
            net_tap_close(machine->nets[i]);
        else
            net_user_close(machine->nets[i]);
    }
    for (unsigned i = 0; i < SPEC_DISKS_MAX; i++)
        if (machine->disks[i] != NULL)
            block_file_close(machine->disks[i]);
    if (machine->mux != NULL)
        stream_mux_free(machine->mux);
    if (machine->built_loop) {
        loop_stop(&machine->loop);
        loop_fini(&machine->loop);
    }
    machine_stop_engine(machine);
    if (machine->built_board)
        board_fini(&machine->board);
    if (machine->built_ram)
        ram_fini(&machine->ram);
    if (machine->harts != NULL)
        host_free(machine->harts, machine->spec->cpus * sizeof(*machine->harts));
    free(machine->history);
    free(machine->stats);
    free(machine->threads);
    free(machine->spec_blob);
    pthread_mutex_destroy(&machine->lock);
    pthread_mutex_destroy(&machine->watch_lock);
    free(machine);
}

const struct spec_vm *machine_spec(const struct machine *machine)
{
    return machine->spec;
}

struct stream_mux *machine_console(struct machine *machine)
{
    return machine->mux;
}

struct loop *machine_loop(struct machine *machine)
{
    return &machine->loop;
}

/* ---- running ---- */

struct vcpu_start {
    struct machine *machine;
    unsigned index;
};

static void *machine_vcpu_thread(void *arg)
{
    struct vcpu_start start = *(struct vcpu_start *)arg;
    struct machine *machine = start.machine;

    free(arg);
    vmm_run_vcpu(&machine->vm, &machine->harts[start.index], &machine->stats[start.index]);
    return NULL;
}

/* Signals are blocked in every thread but the process's main one. */
static int machine_start_vcpus(struct machine *machine)
{
    sigset_t all, old;
    int error = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned i = 0; error == 0 && i < machine->spec->cpus; i++) {
        struct vcpu_start *start = malloc(sizeof(*start));
        char name[16];
        if (start == NULL) {
            error = ENOMEM;
            break;
        }
        *start = (struct vcpu_start){machine, i};
        error = pthread_create(&machine->threads[i], NULL, machine_vcpu_thread, start);
        if (error != 0) {
            free(start);
            break;
        }
        machine->threads_running++;
        snprintf(name, sizeof(name), "vcpu%u", i);
        pthread_setname_np(machine->threads[i], name);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -error;
}

static void machine_join_vcpus(struct machine *machine)
{
    for (unsigned i = 0; i < machine->threads_running; i++)
        pthread_join(machine->threads[i], NULL);
    machine->threads_running = 0;
}

/* The caller must not wait for a reader, as a VCPU may: it holds the lock, or is to handle signals.
 */
static void machine_thaw(struct machine *machine)
{
    stream_mux_set_patient(machine->mux, false);
    board_thaw(&machine->board);
    stream_mux_set_patient(machine->mux, true);
}

int machine_start(struct machine *machine, struct problem *problem)
{
    int error = loop_start(&machine->loop, "io", problem);

    if (error < 0)
        return error;
    clock_start(&machine->vm.clock);
    /* A restored guest may have made buffers available that were not looked at any more. */
    machine_thaw(machine);
    error = machine_start_vcpus(machine);
    if (error < 0) {
        vm_power_request(&machine->vm, VM_POWER_OFF, 0, machine_ordered_kill);
        machine_join_vcpus(machine);
        return problem_set(problem, error,
                           "%s: cannot start a thread for each of %u VCPUs: %s; give it fewer",
                           machine->spec->name, machine->spec->cpus, strerror(-error));
    }
    return 0;
}

/* The guest reboots by itself after a panic. */
static bool machine_panic_reboots(const struct machine *machine)
{
    const char *panic =
        machine->spec->cmdline != NULL ? strstr(machine->spec->cmdline, "panic=") : NULL;

    return panic != NULL && panic[strlen("panic=")] != '0';
}

/* Nanoseconds that the VCPU's thread has run. */
static uint64_t machine_vcpu_time(const struct machine *machine, unsigned index)
{
    struct timespec time = {0};
    clockid_t clock;

    if (pthread_getcpuclockid(machine->threads[index], &clock) == 0)
        clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*
 * A Linux that panicked spins in its panic loop for good. The words on the console alone prove
 * nothing (a guest may print an old log), so it is believed only if after them no more is printed
 * and some hart spins without a pause: an idle guest waits in WFI. An engine whose harts wait
 * without telling is judged by the time of its threads, of which an idle one takes next to none.
 */
static void machine_watch_panic(struct machine *machine)
{
    struct vm *vm = &machine->vm;
    uint64_t bytes = UINT64_MAX, since = 0;
    uint64_t wfi[VM_VCPUS_MAX], ran[VM_VCPUS_MAX];
    bool spins[VM_VCPUS_MAX];
    char text[sizeof(machine->watch.panic)];

    while (vm_power_state(vm) == VM_POWER_ON) {
        uint64_t now = host_time_ns();
        pthread_mutex_lock(&machine->watch_lock);
        bool suspected = machine->watch.panic_ended;
        uint64_t printed = machine->watch.bytes;
        memcpy(text, machine->watch.panic, sizeof(text));
        pthread_mutex_unlock(&machine->watch_lock);
        if (!suspected)
            return;
        if (printed != bytes || atomic_load(&vm->paused)) {
            bytes = printed;
            since = now;
            for (unsigned i = 0; i < vm->vcpu_count; i++) {
                wfi[i] = machine->stats[i].exits[EXIT_WFI];
                ran[i] = machine_vcpu_time(machine, i);
                spins[i] = true;
            }
        }
        bool any = false;
        for (unsigned i = 0; i < vm->vcpu_count; i++) {
            spins[i] =
                spins[i] && machine->stats[i].exits[EXIT_WFI] == wfi[i] &&
                (vm->engine->own_harts ? machine_vcpu_time(machine, i) - ran[i] >= (now - since) / 4
                                       : atomic_load(&vm->vcpus[i]->run_state) == VCPU_RUNNING);
            any |= spins[i];
        }
        if (!any) { /* it lives: the words were only words */
            pthread_mutex_lock(&machine->watch_lock);
            console_watch_reboot(&machine->watch);
            pthread_mutex_unlock(&machine->watch_lock);
            return;
        }
        if (now - since >= PANIC_SILENCE_NS)
            vm_power_request(vm, VM_POWER_FAILED, 0, "kernel panic");
        else
            host_event_wait(&vm->power_event, PANIC_LOOK_NS);
    }
}

/* Returns when power has left VM_POWER_ON for good. */
static enum vm_power machine_wait_power(struct machine *machine)
{
    struct vm *vm = &machine->vm;

    for (;;) {
        enum vm_power power = vm_power_state(vm);
        if (power == VM_POWER_OFF || power == VM_POWER_REBOOT || power == VM_POWER_FAILED)
            return power;
        pthread_mutex_lock(&machine->watch_lock);
        bool suspected = machine->watch.panic_ended;
        pthread_mutex_unlock(&machine->watch_lock);
        if (suspected && !machine_panic_reboots(machine))
            machine_watch_panic(machine);
        else
            host_event_wait(&vm->power_event, UINT64_MAX);
    }
}

/*
 * A reader that is only slow gets the whole console, however long it takes; it does not hold up
 * somebody's order to end the machine.
 */
static void machine_flush_console(struct machine *machine)
{
    do
        if (stream_mux_flush(machine->mux, STREAM_WAIT_MS))
            return;
    while (atomic_load(&machine->order) == NULL);
}

/*
 * A VCPU may be waiting for a reader of the console, or at work on a queue that never runs empty:
 * power went off, it has to come back.
 */
static void machine_end_vcpus(struct machine *machine)
{
    stream_mux_set_patient(machine->mux, false);
    board_freeze(&machine->board);
    machine_join_vcpus(machine);
    stream_mux_set_patient(machine->mux, true);
}

void machine_park(struct machine *machine)
{
    stream_mux_set_patient(machine->mux, false);
    vmm_pause(&machine->vm);
    stream_mux_set_patient(machine->mux, true);
}

void machine_unpark(struct machine *machine)
{
    if (atomic_load(&machine->vm.paused))
        machine_thaw(machine);
    vmm_resume(&machine->vm);
}

/* Everything is parked for good: VCPUs have ended. False: it cannot boot again. */
static bool machine_reboot(struct machine *machine, struct problem *problem)
{
    struct vm *vm = &machine->vm;

    machine_flush_console(machine);
    board_drain(&machine->board);
    for (unsigned i = 0; i < vm->vcpu_count; i++) /* a reset sets the harts' own counts to 0 */
        machine->instructions += atomic_load(&vm->vcpus[i]->instructions);
    if (machine_boot(machine, problem) < 0)
        return false;
    pthread_mutex_lock(&machine->watch_lock);
    console_watch_reboot(&machine->watch);
    pthread_mutex_unlock(&machine->watch_lock);
    machine->reboots++;
    vm->power_code = 0;
    vm->power_message = NULL;
    atomic_store(&vm->power, VM_POWER_ON);
    const char *order = atomic_load(&machine->order);
    if (order != NULL)
        vm_power_request(vm, VM_POWER_OFF, 0, order);
    int error = machine_start_vcpus(machine);
    if (error < 0) {
        problem_set(problem, error, "%s: cannot start the VCPUs again: %s", vm->name,
                    strerror(-error));
        vm_power_request(vm, VM_POWER_FAILED, 0, NULL);
        machine_join_vcpus(machine);
        return false;
    }
    return true;
}

void machine_count(struct machine *machine, struct machine_result *result)
{
    result->instructions = machine->instructions;
    for (unsigned i = 0; i < machine->vm.vcpu_count; i++) {
        result->instructions += atomic_load(&machine->harts[i].vcpu.instructions);
        for (unsigned reason = 0; reason < EXIT_REASONS; reason++)
            result->exits[reason] += machine->stats[i].exits[reason];
        result->sbi_calls += machine->stats[i].sbi_calls;
    }
    for (unsigned i = 0; i < machine->vm.bus.count; i++)
        result->device_accesses += atomic_load(&machine->vm.bus.ranges[i].accesses);
    result->reboots = machine->reboots;
    result->init_ns = machine->init_ns;
    result->run_ns = host_time_ns() - machine->start_ns;
}

static void machine_judge(struct machine *machine, enum vm_power power,
                          struct machine_result *result)
{
    const struct vm *vm = &machine->vm;

    pthread_mutex_lock(&machine->watch_lock);
    if (power == VM_POWER_FAILED) {
        result->outcome = MACHINE_FAILED;
        result->code = vm->power_code;
        if (vm->power_message != NULL && machine->watch.panic[0] != 0)
            snprintf(result->message, sizeof(result->message), "%s: %s", vm->power_message,
                     machine->watch.panic);
        else if (vm->power_message != NULL)
            snprintf(result->message, sizeof(result->message), "%s", vm->power_message);
        else
            snprintf(result->message, sizeof(result->message),
                     "the guest reported failure, code %u", vm->power_code);
    } else if (power == VM_POWER_REBOOT && machine->watch.panic[0] != 0) {
        result->outcome = MACHINE_FAILED;
        snprintf(result->message, sizeof(result->message), "kernel panic: %s",
                 machine->watch.panic);
    } else if (vm->power_message == machine_ordered_kill) {
        result->outcome = MACHINE_KILLED;
    } else if (vm->power_message == machine_ordered_save) {
        result->outcome = MACHINE_SAVED;
    } else if (vm->power_message == machine_ordered_stop ||
               atomic_load(&machine->order) == machine_ordered_stop) {
        result->outcome = MACHINE_STOPPED;
    }
    pthread_mutex_unlock(&machine->watch_lock);
}

void machine_wait(struct machine *machine, struct machine_result *result)
{
    struct problem problem = {.text = ""};
    enum vm_power power;

    memset(result, 0, sizeof(*result));
    for (;;) {
        power = machine_wait_power(machine);
        machine_end_vcpus(machine);
        pthread_mutex_lock(&machine->lock);
        bool again = power == VM_POWER_REBOOT && !machine->spec->no_reboot &&
                     machine_reboot(machine, &problem);
        machine->ended = !again;
        pthread_mutex_unlock(&machine->lock);
        if (!again)
            break;
    }
    clock_stop(&machine->vm.clock);
    machine_flush_console(machine);
    machine_count(machine, result);
    machine_judge(machine, power, result);
    if (problem.text[0] != 0) {
        result->outcome = MACHINE_FAILED;
        snprintf(result->message, sizeof(result->message), "cannot reboot: %s", problem.text);
    }
}
