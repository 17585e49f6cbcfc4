/*
 * Save and restore: one file with the description, what its files were, the clock, the board and
 * RAM.
 */
#define _GNU_SOURCE
#include "type2/host.h"
#include "type2/machine_impl.h"
#include "type2/savefile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file that the machine was built from. */
struct file_facts {
    uint64_t size;
    uint64_t mtime_ns;
};

static void facts_of(const char *path, struct file_facts *facts)
{
    struct stat st;

    memset(facts, 0, sizeof(*facts));
    if (path == NULL || stat(path, &st) < 0)
        return;
    facts->size = (uint64_t)st.st_size;
    facts->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

static void facts_state(struct file_facts *facts, struct state *state)
{
    state_u64(state, &facts->size);
    state_u64(state, &facts->mtime_ns);
}

/*
 * The description with absolute paths, so that the file can be restored from any folder. The
 * strings of `paths` are the caller's to free.
 */
struct absolute_spec {
    struct spec_fleet fleet;
    char *paths[3 + SPEC_DISKS_MAX];
};

static const char *absolute(char **slot, const char *path)
{
    if (path == NULL)
        return NULL;
    *slot = realpath(path, NULL);
    return *slot != NULL ? *slot : path;
}

static void absolute_spec_init(struct absolute_spec *absolute_spec, const struct spec_vm *spec)
{
    struct spec_vm *vm = &absolute_spec->fleet.vms[0];
    char **paths = absolute_spec->paths;

    memset(absolute_spec, 0, sizeof(*absolute_spec));
    *vm = *spec;
    absolute_spec->fleet.vm_count = 1;
    vm->kernel = absolute(&paths[0], spec->kernel);
    vm->initrd = absolute(&paths[1], spec->initrd);
    vm->firmware = absolute(&paths[2], spec->firmware);
    for (unsigned i = 0; i < spec->disk_count; i++)
        vm->disks[i].path = absolute(&paths[3 + i], spec->disks[i].path);
}

static void absolute_spec_fini(struct absolute_spec *absolute_spec)
{
    for (size_t i = 0; i < sizeof(absolute_spec->paths) / sizeof(absolute_spec->paths[0]); i++)
        free(absolute_spec->paths[i]);
}

/* ---- saving ---- */

static void save_description(struct machine *machine, struct state *state)
{
    struct absolute_spec *whole = calloc(1, sizeof(*whole));
    uint8_t *blob = malloc(SPEC_BLOB_MAX);
    long size = -E_NOMEM;

    if (whole != NULL && blob != NULL) {
        absolute_spec_init(whole, machine->spec);
        size = spec_flatten(&whole->fleet, blob, SPEC_BLOB_MAX);
        absolute_spec_fini(whole);
    }
    uint32_t length = size > 0 ? (uint32_t)size : 0;
    uint64_t elapsed = host_time_ns() - machine->start_ns;
    uint32_t reboots = machine->reboots;
    state_section(state, "machine", 1);
    if (size < 0)
        state_fail(state, (int)size);
    state_u32(state, &length);
    state_bytes(state, blob, length);
    state_u64(state, &machine->init_ns);
    state_u64(state, &elapsed);
    state_u64(state, &machine->instructions);
    state_u32(state, &reboots);
    free(whole);
    free(blob);
}

static void save_files(struct machine *machine, struct state *state)
{
    const struct spec_vm *spec = machine->spec;
    const char *payload[3] = {spec->kernel, spec->initrd, spec->firmware};
    struct file_facts facts;

    state_section(state, "files", 1);
    for (unsigned i = 0; i < 3; i++) {
        facts_of(payload[i], &facts);
        facts_state(&facts, state);
    }
    for (unsigned i = 0; i < spec->disk_count; i++) {
        facts_of(spec->disks[i].path, &facts);
        facts.size = machine->disks[i]->size;
        facts_state(&facts, state);
    }
}

/* What both directions have in common. VCPUs are parked (which brings their state up to date), the
 * clock stands. */
static void machine_state(struct machine *machine, struct savefile *file)
{
    struct state *state = savefile_state(file);

    state_section(state, "clock", 1);
    clock_state(&machine->vm.clock, state);
    board_state(&machine->board, state);
    state_section(state, "ram", 1);
    if (state->error == 0)
        savefile_ram(file, machine->ram.hva, machine->ram.size);
}

static int machine_write(struct machine *machine, const char *path, struct problem *problem)
{
    struct savefile *file = savefile_create(path, true, problem);

    if (file == NULL)
        return -E_IO;
    board_drain(&machine->board);
    save_description(machine, savefile_state(file));
    save_files(machine, savefile_state(file));
    machine_state(machine, file);
    return savefile_finish(file, problem);
}

int machine_save(struct machine *machine, const char *path, bool keep, struct problem *problem)
{
    const struct spec_vm *spec = machine->spec;

    for (unsigned i = 0; keep && i < spec->disk_count; i++)
        if (!spec->disks[i].readonly)
            return problem_set(
                problem, -E_INVAL,
                "%s: cannot go on after saving: its disk %s would change; save without --keep",
                spec->name, spec->disks[i].path);
    int error = machine_lock_live(machine, problem);
    if (error < 0)
        return error;
    bool paused = atomic_load(&machine->vm.paused);
    machine_park(machine);
    if (vm_power_state(&machine->vm) != VM_POWER_ON)
        error = problem_set(problem, -E_BUSY,
                            "%s: it ended before it could be saved; start it again", spec->name);
    else
        error = machine_write(machine, path, problem);
    if (error == 0 && !keep)
        machine_order(machine, machine_ordered_save);
    else if (!paused)
        machine_unpark(machine);
    pthread_mutex_unlock(&machine->lock);
    return error;
}

/* ---- restoring ---- */

/* The description, and what has been counted so far. */
static int load_description(struct machine *machine, struct spec_fleet *fleet, uint8_t **blob,
                            struct state *state, const char *path, struct problem *problem)
{
    struct spec_problem why = {.text = ""};
    uint64_t elapsed = 0;
    uint32_t length = 0, reboots = 0;

    state_section(state, "machine", 1);
    state_u32(state, &length);
    if (length > SPEC_BLOB_MAX)
        state_fail(state, -E_PROTO);
    if (state->error < 0)
        return problem_set(
            problem, state->error,
            "%s: not a saved machine that this version can read; save it again with this one",
            path);
    *blob = malloc(length + 1u);
    if (*blob == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");
    state_bytes(state, *blob, length);
    state_u64(state, &machine->init_ns);
    state_u64(state, &elapsed);
    state_u64(state, &machine->instructions);
    state_u32(state, &reboots);
    machine->start_ns = host_time_ns() - elapsed;
    machine->reboots = reboots;
    if (state->error < 0 || spec_read(fleet, *blob, length, &why) < 0 || fleet->vm_count != 1)
        return problem_set(problem, -E_PROTO,
                           "%s: the description in it is damaged: %s; save the machine again", path,
                           why.text);
    return 0;
}

static int check_files(const struct spec_vm *spec, struct state *state, const char *path,
                       struct problem *problem)
{
    const char *payload[3] = {spec->kernel, spec->initrd, spec->firmware};
    struct file_facts then, now;

    state_section(state, "files", 1);
    for (unsigned i = 0; i < 3; i++) {
        facts_state(&then, state);
        facts_of(payload[i], &now);
        /* They are in RAM already; they matter again only when the guest reboots. */
        if (payload[i] != NULL && state->error == 0 &&
            (then.size != now.size || then.mtime_ns != now.mtime_ns))
            host_log(HOST_LOG_WARNING,
                     "%s has changed since the machine was saved; a reboot will use the new one",
                     payload[i]);
    }
    for (unsigned i = 0; i < spec->disk_count && state->error == 0; i++) {
        const struct spec_disk *disk = &spec->disks[i];
        struct stat st;

        facts_state(&then, state);
        facts_of(disk->path, &now);
        if (state->error != 0)
            break;
        if (stat(disk->path, &st) < 0)
            return problem_set(problem, -E_NOENT, "%s: its disk %s: %s; put the file back", path,
                               disk->path, strerror(errno));
        if (S_ISREG(st.st_mode) && now.size != then.size)
            return problem_set(problem, -E_INVAL,
                               "%s: its disk %s has %llu bytes now, %llu when it was saved; put "
                               "the saved one back",
                               path, disk->path, (unsigned long long)now.size,
                               (unsigned long long)then.size);
        if (S_ISREG(st.st_mode) && now.mtime_ns != then.mtime_ns)
            return problem_set(problem, -E_INVAL,
                               "%s: its disk %s was written to after the machine was saved; put "
                               "the saved one back "
                               "(with its time: cp -p)",
                               path, disk->path);
    }
    if (state->error != 0)
        return problem_set(problem, state->error, "%s: damaged; save the machine again", path);
    return 0;
}

int machine_restore(struct machine **out, const char *path, const char *name,
                    const struct machine_options *options, struct problem *problem)
{
    struct spec_fleet *fleet = calloc(1, sizeof(*fleet));
    struct machine *machine = machine_new(options);
    uint8_t *blob = NULL;
    int error = -E_NOMEM;
    struct savefile *file = savefile_open(path, problem);

    if (file == NULL) {
        error = -E_IO;
        goto done;
    }
    if (fleet == NULL || machine == NULL) {
        problem_set(problem, error, "out of memory; free some on this host");
        goto done;
    }
    struct state *state = savefile_state(file);
    error = load_description(machine, fleet, &blob, state, path, problem);
    if (error == 0) {
        if (name != NULL)
            fleet->vms[0].name = name;
        error = check_files(&fleet->vms[0], state, path, problem);
    }
    if (error == 0)
        error = machine_build(machine, &fleet->vms[0], problem);
    if (error == 0) {
        machine_state(machine, file);
        error = savefile_finish(file, problem);
        file = NULL;
    }
done:
    if (file != NULL)
        savefile_abort(file);
    free(blob);
    free(fleet);
    if (error < 0)
        machine_destroy(machine);
    else
        *out = machine;
    return error;
}
