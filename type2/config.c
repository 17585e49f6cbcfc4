#include "type2/config.h"

#include "core/error.h"
#include "type2/engines.h"
#include "type2/unpack.h"
#include "type2/yaml_lines.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_SIZE_MAX (1U << 20) /* bytes; libyaml's time grows faster than its input */

/*
 * ---- The document as it is written ----
 *
 * Every value is loaded as text and read by us: libcyaml would take "maybe" for a boolean, and
 * would say "Invalid value" of a size.
 */

struct yaml_disk {
    char *path, *readonly, *serial, *fresh;
};

struct yaml_net {
    char *kind, *ifname, *mac, *network, *uplink;
    char **forward;
    unsigned forward_count;
};

struct yaml_passthrough {
    char *device;
};

struct yaml_shared {
    char *name, *size;
};

struct yaml_vm {
    char *name, *cpus, *memory, *kernel, *initrd, *firmware, *cmdline, *engine, *cpu, *vlen;
    char *no_reboot, *no_balloon, *lazy_memory, *virtio_console;
    struct yaml_disk *disks;
    unsigned disk_count;
    struct yaml_net *nets;
    unsigned net_count;
    struct yaml_passthrough *passthrough;
    unsigned passthrough_count;
    char *weight, *budget, *watchdog, *on_failure, *irq;
    char **pin;
    unsigned pin_count;
    char *address, *trusted_dma, *control;
    struct yaml_shared *shared;
    unsigned shared_count;
};

struct yaml_fleet {
    struct yaml_vm *vms;
    unsigned vm_count;
};

#define TEXT(key, structure, member)                                                               \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           CYAML_UNLIMITED)
#define LIST(key, structure, member, count, entry, max)                                            \
    CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member,   \
                               count, entry, 0, max)

static const cyaml_schema_field_t disk_fields[] = {
    TEXT("path", struct yaml_disk, path),
    TEXT("readonly", struct yaml_disk, readonly),
    TEXT("serial", struct yaml_disk, serial),
    TEXT("fresh", struct yaml_disk, fresh),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t disk_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_disk, disk_fields),
};

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};
static const cyaml_schema_field_t net_fields[] = {
    TEXT("kind", struct yaml_net, kind),
    TEXT("ifname", struct yaml_net, ifname),
    TEXT("mac", struct yaml_net, mac),
    TEXT("network", struct yaml_net, network),
    TEXT("uplink", struct yaml_net, uplink),
    LIST("forward", struct yaml_net, forward, forward_count, &text_schema, SPEC_FORWARDS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t net_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_net, net_fields),
};

static const cyaml_schema_field_t passthrough_fields[] = {
    TEXT("device", struct yaml_passthrough, device),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t passthrough_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_passthrough, passthrough_fields),
};

static const cyaml_schema_field_t shared_fields[] = {
    TEXT("name", struct yaml_shared, name),
    TEXT("size", struct yaml_shared, size),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t shared_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_shared, shared_fields),
};

static const cyaml_schema_field_t vm_fields[] = {
    TEXT("name", struct yaml_vm, name),
    TEXT("cpus", struct yaml_vm, cpus),
    TEXT("memory", struct yaml_vm, memory),
    TEXT("kernel", struct yaml_vm, kernel),
    TEXT("initrd", struct yaml_vm, initrd),
    TEXT("firmware", struct yaml_vm, firmware),
    TEXT("cmdline", struct yaml_vm, cmdline),
    TEXT("engine", struct yaml_vm, engine),
    TEXT("cpu", struct yaml_vm, cpu),
    TEXT("vlen", struct yaml_vm, vlen),
    TEXT("no_reboot", struct yaml_vm, no_reboot),
    TEXT("no_balloon", struct yaml_vm, no_balloon),
    TEXT("lazy_memory", struct yaml_vm, lazy_memory),
    TEXT("virtio_console", struct yaml_vm, virtio_console),
    LIST("disks", struct yaml_vm, disks, disk_count, &disk_schema, SPEC_DISKS_MAX),
    LIST("net", struct yaml_vm, nets, net_count, &net_schema, SPEC_NETS_MAX),
    LIST("passthrough", struct yaml_vm, passthrough, passthrough_count, &passthrough_schema,
         SPEC_PASSTHROUGH_MAX),
    TEXT("weight", struct yaml_vm, weight),
    TEXT("budget", struct yaml_vm, budget),
    LIST("pin", struct yaml_vm, pin, pin_count, &text_schema, SPEC_PINS_MAX),
    TEXT("watchdog", struct yaml_vm, watchdog),
    TEXT("on_failure", struct yaml_vm, on_failure),
    TEXT("irq", struct yaml_vm, irq),
    TEXT("address", struct yaml_vm, address),
    TEXT("trusted_dma", struct yaml_vm, trusted_dma),
    TEXT("control", struct yaml_vm, control),
    LIST("shared", struct yaml_vm, shared, shared_count, &shared_schema, SPEC_SHARED_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t vm_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_vm, vm_fields),
};

static const cyaml_schema_field_t fleet_fields[] = {
    LIST("vms", struct yaml_fleet, vms, vm_count, &vm_schema, SPEC_VMS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t fleet_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_fleet, fleet_fields),
};

struct config {
    struct spec_fleet fleet;
    struct yaml_fleet *yaml;
    char **paths; /* joined with the folder */
    unsigned path_count;
};

/* ---- Messages ---- */

/* A reading in progress. */
struct reading {
    struct config *config;
    const char *name;
    const char *folder;
    struct yaml_lines *lines;
    struct problem *problem;
    bool bare_metal;
    int error; /* the first */
};

#define PATH_SIZE 160

/* "FILE:LINE: PATH: WORDS". Keeps the first problem only. */
static void say(struct reading *r, const char *path, const char *words)
{
    if (r->error == 0)
        r->error =
            problem_set(r->problem, -E_INVAL, "%s:%u: %s%s%s", r->name,
                        yaml_lines_find(r->lines, path), path, *path != 0 ? ": " : "", words);
}

/* ---- What libcyaml has to say ---- */

/*
 * libcyaml logs an error as one message and then a back trace, innermost frame first:
 *     Load: Unexpected key: foo
 *     Load: Backtrace:
 *       in mapping (line: 3, column: 13)
 *       in sequence entry '1' (line: 2, column: 5)
 *       in mapping field 'vms' (line: 2, column: 3)
 * Its lines are those of the value before; its sequence entries count from 1.
 */
#define FRAMES_MAX 8

struct trace {
    char message[200];
    struct frame {
        enum { FRAME_MAPPING, FRAME_FIELD, FRAME_ENTRY } kind;
        char field[48];
        unsigned entry;
    } frames[FRAMES_MAX];
    unsigned count;
};

static void trace_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct trace *trace = context;
    char text[200];
    if (level < CYAML_LOG_ERROR)
        return;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = 0;

    const char *words = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
    if (strncmp(words, "  in ", 5) != 0) {
        if (trace->message[0] == 0)
            snprintf(trace->message, sizeof(trace->message), "%s", words);
        return;
    }
    if (trace->count == FRAMES_MAX)
        return;
    struct frame *frame = &trace->frames[trace->count++];
    if (sscanf(words, "  in mapping field '%47[^']'", frame->field) == 1)
        frame->kind = FRAME_FIELD;
    else if (sscanf(words, "  in sequence entry '%u'", &frame->entry) == 1)
        frame->kind = FRAME_ENTRY;
    else
        frame->kind = FRAME_MAPPING;
}

/* The path that the frames from `innermost` outwards stand for. */
static void trace_path(const struct trace *trace, unsigned innermost, char path[PATH_SIZE])
{
    size_t at = 0;
    path[0] = 0;
    for (unsigned i = trace->count; i-- > innermost && at < PATH_SIZE - 1;) {
        const struct frame *frame = &trace->frames[i];
        int len = 0;
        if (frame->kind == FRAME_FIELD)
            len = snprintf(path + at, PATH_SIZE - at, "%s%s", at > 0 ? "." : "", frame->field);
        else if (frame->kind == FRAME_ENTRY)
            len = snprintf(path + at, PATH_SIZE - at, "[%u]",
                           frame->entry > 0 ? frame->entry - 1 : 0);
        at += (size_t)len;
    }
}

/* What follows "word: " in the message, without quotes. */
static void trace_subject(const struct trace *trace, char *subject, size_t size)
{
    const char *colon = strstr(trace->message, ": ");
    snprintf(subject, size, "%s", colon != NULL ? colon + 2 : "");
}

/* The keys that may stand beside the one at `path`. */
static const cyaml_schema_field_t *fields_beside(const char *path)
{
    if (strncmp(path, "vms[", 4) != 0)
        return fleet_fields;
    if (strstr(path, "].disks[") != NULL)
        return disk_fields;
    return strstr(path, "].net[") != NULL ? net_fields : vm_fields;
}

static void say_unknown_key(struct reading *r, const char *path)
{
    char words[PATH_SIZE + 120];
    int at = snprintf(words, sizeof(words), "no such key; there %s",
                      fields_beside(path) == fleet_fields ? "is" : "are");
    for (const cyaml_schema_field_t *field = fields_beside(path); field->key != NULL; field++)
        at += snprintf(words + at, sizeof(words) - (size_t)at, "%s %s",
                       field == fields_beside(path) ? "" : ",", field->key);
    say(r, path, words);
}

static void say_wrong_type(struct reading *r, const struct trace *trace, const char *path)
{
    const char *wanted = strstr(trace->message, "Expecting MAPPING") != NULL    ? "keys with values"
                         : strstr(trace->message, "Expecting SEQUENCE") != NULL ? "a list"
                                                                                : "one value";
    const char *found = strstr(trace->message, "event: MAPPING") != NULL    ? "keys with values"
                        : strstr(trace->message, "event: SEQUENCE") != NULL ? "a list"
                                                                            : "one value";
    char words[100];
    snprintf(words, sizeof(words), "must be %s, not %s", wanted, found);
    say(r, path, words);
}

static void say_trace(struct reading *r, cyaml_err_t error, const struct trace *trace)
{
    char path[PATH_SIZE], full[PATH_SIZE + 64], subject[64];
    char words[300];

    trace_subject(trace, subject, sizeof(subject));
    switch (error) {
    case CYAML_ERR_INVALID_KEY:
    case CYAML_ERR_UNEXPECTED_EVENT:
        trace_path(trace, 1, path);
        snprintf(full, sizeof(full), "%s%s%s", path, path[0] != 0 ? "." : "", subject);
        if (error == CYAML_ERR_INVALID_KEY && strstr(trace->message, "key: ") != NULL) {
            say_unknown_key(r, full);
            return;
        }
        if (strstr(trace->message, "already seen") != NULL) {
            say(r, full, "is written twice; keep one");
            return;
        }
        break;
    case CYAML_ERR_INVALID_VALUE:
        trace_path(trace, 0, path);
        say_wrong_type(r, trace, path);
        return;
    case CYAML_ERR_SEQUENCE_ENTRIES_MAX: {
        unsigned max = 0;
        const char *bracket = strchr(trace->message, '(');
        trace_path(trace, 1, path);
        if (bracket != NULL)
            sscanf(bracket, "(%u", &max);
        snprintf(words, sizeof(words), "has more than %u entries; leave some out", max);
        say(r, path, words);
        return;
    }
    case CYAML_ERR_ALIAS:
        trace_path(trace, 0, path);
        say(r, path, "aliases (*name) are not supported; write the value out");
        return;
    case CYAML_ERR_OOM:
        r->error = problem_set(r->problem, -E_NOMEM, "%s: not enough memory to read it", r->name);
        return;
    default: break;
    }
    trace_path(trace, 0, path);
    snprintf(words, sizeof(words), "cannot be read: %s",
             trace->message[0] != 0 ? trace->message : cyaml_strerror(error));
    say(r, path, words);
}

/* ---- From texts to values ---- */

/* Appends "[index].key" or ".key" to `base`. */
static void path_key(char path[PATH_SIZE], const char *base, const char *key)
{
    snprintf(path, PATH_SIZE, "%.90s.%.40s", base, key);
}

static void path_entry(char path[PATH_SIZE], const char *base, const char *list, unsigned index)
{
    snprintf(path, PATH_SIZE, "%.90s.%.20s[%u]", base, list, index);
}

static void convert_bool(struct reading *r, const char *base, const char *key, const char *text,
                         bool *value)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "on", "On"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "off", "Off"};
    char path[PATH_SIZE], words[200];

    if (text == NULL)
        return;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *value = strcmp(text, yes[i]) == 0;
            return;
        }
    }
    path_key(path, base, key);
    snprintf(words, sizeof(words), "'%.100s' is neither true nor false; write one of the two",
             text);
    say(r, path, words);
}

/* A path as the current folder sees it. */
static const char *convert_path(struct reading *r, const char *text)
{
    if (text == NULL || text[0] == 0 || text[0] == '/' || r->folder[0] == 0 ||
        strcmp(r->folder, ".") == 0)
        return text;

    struct config *config = r->config;
    size_t size = strlen(r->folder) + 1 + strlen(text) + 1;
    char *joined = malloc(size);
    char **paths = realloc(config->paths, (config->path_count + 1) * sizeof(*paths));
    if (paths != NULL)
        config->paths = paths;
    if (joined == NULL || paths == NULL) {
        free(joined);
        if (r->error == 0)
            r->error = problem_set(r->problem, -E_NOMEM, "%s: not enough memory", r->name);
        return NULL;
    }
    snprintf(joined, size, "%s/%s", r->folder, text);
    paths[config->path_count++] = joined;
    return joined;
}

/* Reports what one of the short forms' parsers found wrong. */
static void say_if(struct reading *r, int error, const struct problem *inner, const char *base,
                   const char *key)
{
    char path[PATH_SIZE];
    if (error == 0)
        return;
    path_key(path, base, key);
    say(r, path, inner->text);
}

static void convert_disk(struct reading *r, const char *base, const struct yaml_disk *yaml,
                         struct spec_disk *disk)
{
    /* Not a file: "board:0". A file of such a name is written ./board:0. */
    disk->path = yaml->path != NULL && strncmp(yaml->path, "board:", 6) == 0
                     ? yaml->path
                     : convert_path(r, yaml->path);
    disk->serial = yaml->serial;
    convert_bool(r, base, "readonly", yaml->readonly, &disk->readonly);
    convert_bool(r, base, "fresh", yaml->fresh, &disk->fresh);
}

static void convert_net(struct reading *r, const char *base, const struct yaml_net *yaml,
                        struct spec_net *net)
{
    struct problem inner;
    char path[PATH_SIZE], words[200];

    net->kind = SPEC_NET_USER;
    if (yaml->kind != NULL && strcmp(yaml->kind, "tap") == 0) {
        net->kind = SPEC_NET_TAP;
    } else if (yaml->kind != NULL && strcmp(yaml->kind, "switch") == 0) {
        net->kind = SPEC_NET_SWITCH;
    } else if (yaml->kind != NULL && strcmp(yaml->kind, "user") != 0) {
        path_key(path, base, "kind");
        snprintf(words, sizeof(words),
                 "'%.100s' is not a kind of network; write user, tap or switch", yaml->kind);
        say(r, path, words);
    }
    net->ifname = yaml->ifname;
    net->network = yaml->network;
    net->uplink = yaml->uplink;
    if (yaml->mac != NULL)
        say_if(r, config_parse_mac(yaml->mac, net->mac, &inner), &inner, base, "mac");
    for (unsigned i = 0; i < yaml->forward_count; i++) {
        path_entry(path, base, "forward", i);
        if (config_parse_forward(yaml->forward[i], &net->forwards[i], &inner) != 0)
            say(r, path, inner.text);
    }
    net->forward_count = yaml->forward_count;
}

/* A number from `least` on; spec_check knows the upper bounds. */
static void convert_number(struct reading *r, const char *path, const char *text, unsigned least,
                           unsigned *value)
{
    char words[160], *end;
    if (text == NULL)
        return;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && number >= least &&
        number <= UINT_MAX) {
        *value = (unsigned)number;
        return;
    }
    snprintf(words, sizeof(words), "'%.100s' is not a number from %u on", text, least);
    say(r, path, words);
}

static void convert_policy(struct reading *r, const char *base, const struct yaml_vm *yaml,
                           struct spec_vm *vm)
{
    char path[PATH_SIZE], words[160];
    path_key(path, base, "weight");
    convert_number(r, path, yaml->weight, 1, &vm->weight);
    path_key(path, base, "budget");
    convert_number(r, path, yaml->budget, 1, &vm->budget);
    path_key(path, base, "watchdog");
    convert_number(r, path, yaml->watchdog, 1, &vm->watchdog);
    for (unsigned i = 0; i < yaml->pin_count; i++) {
        path_entry(path, base, "pin", i);
        convert_number(r, path, yaml->pin[i], 0, &vm->pins[i]);
    }
    vm->pin_count = yaml->pin_count;
    vm->irq = yaml->irq;
    if (yaml->on_failure == NULL || strcmp(yaml->on_failure, "stop") == 0)
        return;
    vm->on_failure = SPEC_FAILURE_RESTART;
    if (strcmp(yaml->on_failure, "restart") == 0)
        return;
    path_key(path, base, "on_failure");
    snprintf(words, sizeof(words), "'%.100s' is no policy; write stop or restart",
             yaml->on_failure);
    say(r, path, words);
}

/* What type 0 alone knows. */
static void convert_place(struct reading *r, const char *base, const struct yaml_vm *yaml,
                          struct spec_vm *vm)
{
    struct problem inner;
    char path[PATH_SIZE], words[160], *end;

    if (yaml->address != NULL) {
        errno = 0;
        vm->address = strtoull(yaml->address, &end, 16);
        vm->placed = true;
        if (strncmp(yaml->address, "0x", 2) != 0 || end == yaml->address + 2 || *end != 0 ||
            errno != 0) {
            path_key(path, base, "address");
            snprintf(words, sizeof(words), "'%.100s' is not an address; write 0x88000000",
                     yaml->address);
            say(r, path, words);
        }
    }
    convert_bool(r, base, "trusted_dma", yaml->trusted_dma, &vm->trusted_dma);
    convert_bool(r, base, "control", yaml->control, &vm->control);
    for (unsigned i = 0; i < yaml->shared_count; i++) {
        path_entry(path, base, "shared", i);
        vm->shared[i].name = yaml->shared[i].name;
        if (yaml->shared[i].size != NULL)
            say_if(r, config_parse_size(yaml->shared[i].size, &vm->shared[i].size, &inner), &inner,
                   path, "size");
    }
    vm->shared_count = yaml->shared_count;
}

static void convert_vm(struct reading *r, unsigned index, const struct yaml_vm *yaml,
                       struct spec_vm *vm)
{
    struct problem inner;
    char base[32], path[PATH_SIZE];
    snprintf(base, sizeof(base), "vms[%u]", index);

    vm->name = yaml->name;
    vm->cpus = 1;
    if (yaml->cpus != NULL)
        say_if(r, config_parse_cpus(yaml->cpus, &vm->cpus, &inner), &inner, base, "cpus");
    if (yaml->memory != NULL)
        say_if(r, config_parse_size(yaml->memory, &vm->memory, &inner), &inner, base, "memory");
    vm->kernel = convert_path(r, yaml->kernel);
    vm->initrd = convert_path(r, yaml->initrd);
    vm->firmware = convert_path(r, yaml->firmware);
    vm->cmdline = yaml->cmdline;
    vm->engine = yaml->engine;
    vm->cpu = yaml->cpu;
    if (yaml->vlen != NULL)
        say_if(r, config_parse_vlen(yaml->vlen, &vm->vlen, &inner), &inner, base, "vlen");
    convert_bool(r, base, "no_reboot", yaml->no_reboot, &vm->no_reboot);
    convert_bool(r, base, "no_balloon", yaml->no_balloon, &vm->no_balloon);
    convert_bool(r, base, "lazy_memory", yaml->lazy_memory, &vm->lazy_memory);
    convert_bool(r, base, "virtio_console", yaml->virtio_console, &vm->virtio_console);
    for (unsigned i = 0; i < yaml->disk_count; i++) {
        path_entry(path, base, "disks", i);
        convert_disk(r, path, &yaml->disks[i], &vm->disks[i]);
    }
    vm->disk_count = yaml->disk_count;
    for (unsigned i = 0; i < yaml->net_count; i++) {
        path_entry(path, base, "net", i);
        convert_net(r, path, &yaml->nets[i], &vm->nets[i]);
    }
    vm->net_count = yaml->net_count;
    for (unsigned i = 0; i < yaml->passthrough_count; i++)
        vm->passthrough[i] = yaml->passthrough[i].device;
    vm->passthrough_count = yaml->passthrough_count;
    convert_policy(r, base, yaml, vm);
    convert_place(r, base, yaml, vm);
}

/* spec_check's words, with the line of the key that they begin with. */
static void check(struct reading *r)
{
    struct spec_problem found;
    char path[PATH_SIZE] = "";
    const struct spec_fleet *fleet = &r->config->fleet;
    if (r->error != 0 ||
        (spec_check(fleet, &found) == 0 && (r->bare_metal || spec_check_files(fleet, &found) == 0)))
        return;
    const char *words = found.text + found.words;
    const char *colon = strstr(words, ": ");
    size_t key_len = colon != NULL ? (size_t)(colon - words) : 0;
    if (found.vm >= 0)
        snprintf(path, sizeof(path), "vms[%d].%.*s", found.vm, (int)key_len, words);
    else
        snprintf(path, sizeof(path), "%.*s", (int)key_len, words);
    say(r, path, colon != NULL ? colon + 2 : words);
}

/* The same of config_isa. */
static void check_cpus(struct reading *r)
{
    for (unsigned i = 0; r->error == 0 && i < r->config->fleet.vm_count; i++) {
        struct riscv_isa isa;
        struct problem inner;
        char path[PATH_SIZE];
        if (config_isa(&r->config->fleet.vms[i], &isa, &inner) == 0)
            continue;
        const char *colon = strchr(inner.text, ':');
        snprintf(path, sizeof(path), "vms[%u].%.*s", i, (int)(colon - inner.text), inner.text);
        say(r, path, colon + 2);
    }
}

/* ---- What a description needs of this program and this host ---- */

static void check_engines(struct reading *r)
{
    for (unsigned i = 0; r->error == 0 && i < r->config->fleet.vm_count; i++) {
        const struct spec_vm *vm = &r->config->fleet.vms[i];
        const struct engine_ops *engine = engine_for(vm);
        const char *why = engine != NULL ? engine_refuses(engine, vm) : NULL;
        char path[PATH_SIZE], words[200];
        if (engine != NULL && why == NULL)
            continue;
        snprintf(path, sizeof(path), "vms[%u].engine", i);
        if (engine == NULL)
            snprintf(words, sizeof(words), "'%.20s' is not in this build; write %s", vm->engine,
                     engine_names);
        else
            snprintf(words, sizeof(words), "'%s' cannot be had: %s", engine->name, why);
        say(r, path, words);
    }
}

static void check_file(struct reading *r, unsigned vm, const char *key, const char *file,
                       bool writable)
{
    struct stat st;
    char path[PATH_SIZE], words[300];
    const char *reason = NULL;

    if (file == NULL)
        return;
    if (stat(file, &st) != 0)
        reason = errno == EACCES                 ? "no permission to reach it; check its folders"
                 : strncmp(key, "disks", 5) == 0 ? "no such file; make it: truncate -s 1G FILE"
                                                 : "no such file; check the path";
    else if (S_ISDIR(st.st_mode))
        reason = "is a folder, not a file; name a file in it";
    else if (access(file, R_OK) != 0)
        reason = "no permission to read it; make it readable for you: chmod a+r FILE";
    else if (writable && access(file, W_OK) != 0)
        reason = "no permission to write it; mend that, or add readonly: true";
    if (reason == NULL)
        return;
    snprintf(path, sizeof(path), "vms[%u].%s", vm, key);
    snprintf(words, sizeof(words), "%.200s: %s", file, reason);
    say(r, path, words);
}

static void check_files(struct reading *r)
{
    for (unsigned i = 0; r->error == 0 && i < r->config->fleet.vm_count; i++) {
        const struct spec_vm *vm = &r->config->fleet.vms[i];
        check_file(r, i, "kernel", vm->kernel, false);
        check_file(r, i, "initrd", vm->initrd, false);
        check_file(r, i, "firmware", vm->firmware, false);
        for (unsigned d = 0; d < vm->disk_count; d++) {
            char key[32];
            unsigned number;
            if (spec_board_index(vm->disks[d].path, &number))
                continue;
            snprintf(key, sizeof(key), "disks[%u].path", d);
            check_file(r, i, key, vm->disks[d].path, !vm->disks[d].readonly);
        }
    }
}

/* ---- Reading ---- */

static void load(struct reading *r, const void *bytes, size_t size)
{
    static const char *const shape =
        "must begin with 'vms:' and a list of virtual machines under it";
    enum yaml_root root = yaml_lines_root(r->lines);
    if (root == YAML_ROOT_NONE) {
        r->error = problem_set(r->problem, -E_INVAL, "%s: is empty; it %s", r->name, shape);
        return;
    }
    if (root != YAML_ROOT_MAPPING) {
        say(r, "", shape);
        return;
    }

    struct trace trace = {0};
    cyaml_config_t settings = {
        .log_fn = trace_log,
        .log_ctx = &trace,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    cyaml_data_t *data = NULL;
    cyaml_err_t error = cyaml_load_data(bytes, size, &settings, &fleet_schema, &data, NULL);
    if (error != CYAML_OK || data == NULL) {
        say_trace(r, error, &trace);
        return;
    }
    r->config->yaml = data;

    const struct yaml_fleet *yaml = data;
    for (unsigned i = 0; i < yaml->vm_count; i++)
        convert_vm(r, i, &yaml->vms[i], &r->config->fleet.vms[i]);
    r->config->fleet.vm_count = yaml->vm_count;
    check(r);
    check_cpus(r);
}

static int read_bytes(struct config **config, const char *name, const char *folder,
                      const void *bytes, size_t size, bool files, bool bare_metal,
                      struct problem *problem)
{
    char reason[200];
    unsigned line;

    *config = NULL;
    if (size > CONFIG_SIZE_MAX)
        return problem_set(problem, -E_INVAL, "%s: is larger than 1 MiB; is it a description?",
                           name);
    struct yaml_lines *lines = yaml_lines_read(bytes, size, &line, reason, sizeof(reason));
    if (lines == NULL)
        return problem_set(problem, -E_INVAL, "%s:%u: %s", name, line, reason);

    struct reading r = {
        .config = calloc(1, sizeof(struct config)),
        .name = name,
        .folder = folder,
        .lines = lines,
        .problem = problem,
        .bare_metal = bare_metal,
    };
    if (r.config == NULL) {
        r.error = problem_set(problem, -E_NOMEM, "%s: not enough memory to read it", name);
    } else {
        load(&r, bytes, size);
        if (files) {
            check_engines(&r);
            check_files(&r);
        }
    }
    yaml_lines_free(lines);
    if (r.error != 0) {
        config_free(r.config);
        return r.error;
    }
    *config = r.config;
    return 0;
}

int config_read_bytes(struct config **config, const char *name, const char *folder,
                      const void *bytes, size_t size, struct problem *problem)
{
    return read_bytes(config, name, folder, bytes, size, false, false, problem);
}

int config_read(struct config **config, const char *path, bool bare_metal, struct problem *problem)
{
    struct blob file;
    *config = NULL;
    int error = blob_map(&file, "description", path, problem);
    if (error != 0)
        return error;

    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;
    error = read_bytes(config, path, folder != NULL ? folder : ".", file.bytes, file.size, true,
                       bare_metal, problem);
    free(folder);
    blob_free(&file);
    return error;
}

const struct spec_fleet *config_fleet(const struct config *config)
{
    return &config->fleet;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    const cyaml_config_t settings = {.mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS};
    if (config->yaml != NULL)
        cyaml_free(&settings, &fleet_schema, config->yaml, 0);
    for (unsigned i = 0; i < config->path_count; i++)
        free(config->paths[i]);
    free(config->paths);
    free(config);
}
