/*
 * What is told about a machine: its status while it runs, its result, and one screen when it
 * failed.
 */
#define _GNU_SOURCE
#include "type2/host.h"
#include "type2/machine_impl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const exit_names[EXIT_REASONS] = {
    [EXIT_KICKED] = "kicked",
    [EXIT_SBI] = "sbi",
    [EXIT_WFI] = "wfi",
    [EXIT_VIRTUAL_INSN] = "virtual-instruction",
    [EXIT_GUEST_PAGE_FAULT] = "guest-page-fault",
    [EXIT_DEBUG] = "debug",
    [EXIT_HALTED] = "halted",
};

const char *machine_outcome_name(enum machine_outcome outcome)
{
    switch (outcome) {
    case MACHINE_OFF: return "powered off";
    case MACHINE_STOPPED: return "stopped";
    case MACHINE_SAVED: return "saved";
    case MACHINE_FAILED: return "failed";
    case MACHINE_KILLED: return "killed";
    }
    return "unknown";
}

/*
 * An engine in this process calls the bus itself instead of leaving with an MMIO exit. What counts
 * for people is how often the guest touched a device, so both are told under one name.
 */
static json_t *exits_json(const struct machine_result *result)
{
    json_t *exits = json_object();

    for (unsigned reason = 0; reason < EXIT_REASONS; reason++)
        if (result->exits[reason] != 0 && reason != EXIT_MMIO_READ && reason != EXIT_MMIO_WRITE)
            json_object_set_new(exits, exit_names[reason],
                                json_integer((json_int_t)result->exits[reason]));
    json_object_set_new(exits, "mmio", json_integer((json_int_t)result->device_accesses));
    return exits;
}

static json_t *milliseconds(uint64_t ns)
{
    return ns == 0 ? json_null() : json_real((double)(ns / 1000) / 1000.0);
}

static json_t *counters_json(const struct spec_vm *spec, const struct machine_result *result)
{
    return json_pack("{s:s,s:i,s:I,s:o,s:o,s:I,s:o,s:i}", "name", spec->name, "harts",
                     (int)spec->cpus, "memory", (json_int_t)spec->memory, "init_ms",
                     milliseconds(result->init_ns), "run_ms", milliseconds(result->run_ns),
                     "instructions", (json_int_t)result->instructions, "exits", exits_json(result),
                     "reboots", (int)result->reboots);
}

json_t *machine_result_json(const struct spec_vm *spec, const struct machine_result *result)
{
    json_t *json = counters_json(spec, result);

    json_object_set_new(json, "result", json_string(machine_outcome_name(result->outcome)));
    json_object_set_new(
        json, "well",
        json_boolean(result->outcome != MACHINE_FAILED && result->outcome != MACHINE_KILLED));
    if (result->outcome == MACHINE_FAILED) {
        json_object_set_new(json, "code", json_integer(result->code));
        json_object_set_new(json, "message", json_string(result->message));
    }
    return json;
}

static void add_figure(void *arg, const char *name, uint64_t value)
{
    json_object_set_new(arg, name, json_integer((json_int_t)value));
}

json_t *machine_engine_json(struct machine *machine)
{
    const struct engine_ops *engine = machine->vm.engine;
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(engine->name));
    if (engine->figures != NULL)
        engine->figures(&machine->vm, add_figure, json);
    return json;
}

static const char *machine_state_name(struct machine *machine)
{
    switch (vm_power_state(&machine->vm)) {
    case VM_POWER_ON: return atomic_load(&machine->vm.paused) ? "paused" : "running";
    case VM_POWER_REBOOT: return "rebooting";
    default: return "ending";
    }
}

/* What the guest was asked for, what it has given, and what it says it could still do without. */
static json_t *balloon_json(struct machine *machine)
{
    struct virtio_balloon *balloon = &machine->board.balloon;

    if (machine->spec->no_balloon)
        return json_null();
    uint64_t available = virtio_balloon_stat(balloon, VIRTIO_BALLOON_S_AVAIL);
    virtio_balloon_request_stats(balloon); /* for whoever asks next */
    return json_pack("{s:I,s:I,s:o}", "target",
                     (json_int_t)virtio_balloon_target(balloon) << MEM_PAGE_SHIFT, "given",
                     (json_int_t)virtio_balloon_actual(balloon) << MEM_PAGE_SHIFT, "available",
                     available == UINT64_MAX ? json_null() : json_integer((json_int_t)available));
}

json_t *machine_status(struct machine *machine)
{
    struct machine_result counters = {0};

    machine_count(machine, &counters);
    json_t *status = counters_json(machine->spec, &counters);
    json_object_set_new(status, "ok", json_true());
    json_object_set_new(status, "pid", json_integer(getpid()));
    json_object_set_new(status, "state", json_string(machine_state_name(machine)));
    json_object_set_new(status, "engine", json_string(machine->vm.engine->name));
    json_object_set_new(status, "resident", json_integer((json_int_t)ram_resident(&machine->ram)));
    json_object_set_new(status, "balloon", balloon_json(machine));
    return status;
}

void machine_report(struct machine *machine, const struct machine_result *result,
                    void (*line)(void *arg, const char *text), void *arg)
{
    char text[400];

    snprintf(text, sizeof(text), "trivisor: %s: the guest failed: %s", machine->spec->name,
             result->message);
    line(arg, text);
    for (unsigned i = 0; i < machine->vm.vcpu_count; i++) {
        const struct riscv_vcpu *hart = &machine->harts[i];
        if (atomic_load(&hart->vcpu.run_state) == VCPU_STOPPED)
            continue;
        snprintf(text, sizeof(text),
                 "hart %u: pc %016llx, %llu instructions, %llu traps, %llu interrupts", i,
                 (unsigned long long)hart->pc,
                 (unsigned long long)atomic_load(&hart->vcpu.instructions),
                 (unsigned long long)hart->traps, (unsigned long long)hart->interrupts);
        line(arg, text);
        if (machine->vm.vcpu_count > 1 && i > 0)
            continue; /* one screen: registers of the first, where the others are */
        riscv_vcpu_describe(hart, line, arg);
    }
}
