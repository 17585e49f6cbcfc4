#include "core/spec.h"

#include "core/error.h"
#include "core/host.h"
#include "core/words.h"

#define COMPATIBLE   "trivisor,fleet"
#define VERSION      1
#define NAME_MAX_LEN 31
#define IFNAME_MAX   15
#define SERIAL_MAX   20
#define MEMORY_STEP  4096ULL
#define ADDRESS_STEP (2ULL << 20)

/* ---- Problems in words ---- */

static int fail(struct spec_problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    words_put(problem->text, sizeof problem->text, 0, format, args);
    va_end(args);
    problem->vm = -1;
    problem->words = 0;
    return -E_INVAL;
}

/* The VM under inspection: what a problem's line begins with. */
struct place {
    struct spec_problem *problem;
    unsigned index;
    const char *name; /* NULL: none to show */
};

static int fail_at(const struct place *place, const char *format, ...)
{
    struct spec_problem *problem = place->problem;
    fail(problem, place->name != NULL ? "vms[%u] (%s): " : "vms[%u]: ", place->index, place->name);
    size_t at = strlen(problem->text);
    problem->vm = (int)place->index;
    problem->words = (unsigned)at;
    va_list args;
    va_start(args, format);
    words_put(problem->text, sizeof problem->text, at, format, args);
    va_end(args);
    return -E_INVAL;
}

/* ---- Checks ---- */

static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_LEN || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

static bool printable(const char *s)
{
    for (; *s != 0; s++) {
        if (*s < ' ' || *s > '~')
            return false;
    }
    return true;
}

static int check_name(const struct place *place, const struct spec_fleet *fleet)
{
    const char *name = fleet->vms[place->index].name;
    if (name == NULL)
        return fail_at(place, "name: is missing; write one, as name: web");
    if (!name_valid(name))
        return fail_at(place,
                       "name: '%s' is not a name; write 1 to %u letters, digits, '_', '.' or '-', "
                       "beginning with a letter or digit",
                       name, NAME_MAX_LEN);
    for (unsigned i = 0; i < place->index; i++) {
        if (strcmp(fleet->vms[i].name, name) == 0)
            return fail_at(place, "name: vms[%u] has the same name; give each its own", i);
    }
    return 0;
}

static int check_size(const struct place *place, const struct spec_vm *vm)
{
    if (vm->cpus < 1)
        return fail_at(place, "cpus: is 0; write 1 to %u", SPEC_CPUS_MAX);
    if (vm->cpus > SPEC_CPUS_MAX)
        return fail_at(place, "cpus: %u is more than %u; write 1 to %u", vm->cpus, SPEC_CPUS_MAX,
                       SPEC_CPUS_MAX);
    if (vm->memory == 0)
        return fail_at(place, "memory: is missing or 0; write 512M or 2G");
    if (vm->memory < SPEC_MEMORY_MIN)
        return fail_at(place, "memory: %z is less than %z; give it more, as 512M", vm->memory,
                       SPEC_MEMORY_MIN);
    if (vm->memory > SPEC_MEMORY_MAX)
        return fail_at(place, "memory: %z is more than %z; give it less, as 2G", vm->memory,
                       SPEC_MEMORY_MAX);
    if (vm->memory % MEMORY_STEP != 0)
        return fail_at(place, "memory: %z is not a multiple of 4K; write 512M or 2G", vm->memory);
    return 0;
}

static int check_payload(const struct place *place, const struct spec_vm *vm)
{
    const struct {
        const char *key, *value;
    } paths[] = {{"kernel", vm->kernel}, {"initrd", vm->initrd}, {"firmware", vm->firmware}};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (paths[i].value != NULL && paths[i].value[0] == 0)
            return fail_at(place, "%s: is empty; name a file or leave it out", paths[i].key);
    }
    if (vm->kernel == NULL && vm->firmware == NULL)
        return fail_at(place, "kernel: is missing; name a kernel or a firmware");
    if (vm->initrd != NULL && vm->kernel == NULL)
        return fail_at(place, "initrd: needs a kernel; name one, or leave the initrd out");
    if (vm->cmdline != NULL && strlen(vm->cmdline) > SPEC_CMDLINE_MAX)
        return fail_at(place, "cmdline: is longer than %u characters; shorten it",
                       SPEC_CMDLINE_MAX);
    if (vm->engine != NULL && strcmp(vm->engine, "interp") != 0 && strcmp(vm->engine, "jit") != 0 &&
        strcmp(vm->engine, "kvm") != 0)
        return fail_at(place, "engine: '%s' is not an engine; write interp, jit or kvm",
                       vm->engine);
    if (vm->vlen != 0 && vm->vlen != 128 && vm->vlen != 256 && vm->vlen != 512)
        return fail_at(place, "vlen: %u is no length of vectors; write 128, 256 or 512", vm->vlen);
    return 0;
}

static bool begins(const char *text, const char *with)
{
    while (*with != 0 && *text == *with) {
        text++;
        with++;
    }
    return *with == 0;
}

bool spec_console_is_hvc(const struct spec_vm *vm)
{
    bool hvc = false;
    for (const char *at = vm->cmdline; at != NULL && *at != 0;) {
        if (begins(at, "console="))
            hvc = begins(at, "console=hvc");
        while (*at != 0 && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
    return vm->virtio_console && hvc;
}

bool spec_board_index(const char *text, unsigned *index)
{
    static const char prefix[] = "board:";
    size_t len = sizeof prefix - 1;
    if (text == NULL || strlen(text) < len + 1 || memcmp(text, prefix, len) != 0)
        return false;
    const char *digits = text + len;
    size_t count = strlen(digits);
    unsigned value = 0;
    if (count > 2 || (count == 2 && digits[0] == '0'))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (unsigned)(digits[i] - '0');
    }
    *index = value;
    return true;
}

static bool of_board(const char *text)
{
    return text != NULL && strlen(text) >= 6 && memcmp(text, "board:", 6) == 0;
}

/* A disk that one VM writes belongs to that VM alone: those of the board, or else the files. */
static int check_disk_alone(const struct place *place, const struct spec_fleet *fleet, unsigned d,
                            bool board)
{
    const struct spec_disk *disk = &fleet->vms[place->index].disks[d];
    for (unsigned v = 0; v <= place->index && of_board(disk->path) == board; v++) {
        const struct spec_vm *vm = &fleet->vms[v];
        unsigned count = v == place->index ? d : vm->disk_count;
        for (unsigned i = 0; i < count; i++) {
            const struct spec_disk *other = &vm->disks[i];
            if ((disk->readonly && other->readonly) || strcmp(disk->path, other->path) != 0)
                continue;
            if (v == place->index)
                return fail_at(place,
                               "disks[%u].path: disks[%u] is the same file; give each its own, or "
                               "make both readonly",
                               d, i);
            return fail_at(place,
                           "disks[%u].path: vms[%u] has the same disk; give each its own file, "
                           "or make all readonly",
                           d, v);
        }
    }
    return 0;
}

static int check_disks(const struct place *place, const struct spec_fleet *fleet)
{
    const struct spec_vm *vm = &fleet->vms[place->index];
    if (vm->disk_count > SPEC_DISKS_MAX)
        return fail_at(place, "disks: %u are more than %u; leave some out", vm->disk_count,
                       SPEC_DISKS_MAX);
    for (unsigned i = 0; i < vm->disk_count; i++) {
        const struct spec_disk *disk = &vm->disks[i];
        if (disk->path == NULL || disk->path[0] == 0)
            return fail_at(place, "disks[%u].path: is missing; name a file", i);
        unsigned number;
        if (of_board(disk->path) && !spec_board_index(disk->path, &number))
            return fail_at(place,
                           "disks[%u].path: '%s' is no device of the board; write board:0 to "
                           "board:99, or ./%s for a file of that name",
                           i, disk->path, disk->path);
        if (disk->fresh && of_board(disk->path))
            return fail_at(place, "disks[%u].fresh: is for files, not for %s", i, disk->path);
        if (disk->serial != NULL && (strlen(disk->serial) > SERIAL_MAX || !printable(disk->serial)))
            return fail_at(place,
                           "disks[%u].serial: must be at most %u printable characters; shorten it",
                           i, SERIAL_MAX);
        int error = check_disk_alone(place, fleet, i, true);
        if (error != 0)
            return error;
    }
    return 0;
}

static bool forwards_clash(const struct spec_forward *a, const struct spec_forward *b)
{
    return a->udp == b->udp && a->host_port == b->host_port &&
           (a->host_address == b->host_address || a->host_address == 0 || b->host_address == 0);
}

static int check_forward_free(const struct place *place, const struct spec_fleet *fleet,
                              unsigned net, unsigned index)
{
    const struct spec_forward *forward = &fleet->vms[place->index].nets[net].forwards[index];
    for (unsigned v = 0; v <= place->index; v++) {
        const struct spec_vm *vm = &fleet->vms[v];
        for (unsigned n = 0; n < vm->net_count; n++) {
            for (unsigned f = 0; f < vm->nets[n].forward_count; f++) {
                if (v == place->index && (n > net || (n == net && f >= index)))
                    return 0;
                if (!forwards_clash(forward, &vm->nets[n].forwards[f]))
                    continue;
                if (v == place->index)
                    return fail_at(place,
                                   "net[%u].forward[%u]: host port %u is forwarded twice; choose "
                                   "another",
                                   net, index, (unsigned)forward->host_port);
                return fail_at(
                    place, "net[%u].forward[%u]: host port %u is taken by vms[%u]; choose another",
                    net, index, (unsigned)forward->host_port, v);
            }
        }
    }
    return 0;
}

/* A device of the board is in one network only, and a network has one. */
static int check_uplink(const struct place *place, const struct spec_fleet *fleet, unsigned n)
{
    const struct spec_net *net = &fleet->vms[place->index].nets[n];
    unsigned number;
    if (!spec_board_index(net->uplink, &number))
        return fail_at(place, "net[%u].uplink: '%s' is no device of the board; write board:0", n,
                       net->uplink);
    for (unsigned v = 0; v <= place->index; v++) {
        const struct spec_vm *vm = &fleet->vms[v];
        unsigned count = v == place->index ? n : vm->net_count;
        for (unsigned i = 0; i < count; i++) {
            const struct spec_net *other = &vm->nets[i];
            if (other->kind != SPEC_NET_SWITCH || other->uplink == NULL)
                continue;
            if ((strcmp(other->uplink, net->uplink) == 0) !=
                (strcmp(other->network, net->network) == 0))
                return fail_at(place,
                               "net[%u].uplink: %s for network %s, but vms[%u] has %s for %s", n,
                               net->uplink, net->network, v, other->uplink, other->network);
        }
    }
    return 0;
}

/* What belongs to one kind of network and stands in another. */
static int check_net_kind(const struct place *place, const struct spec_net *net, unsigned i)
{
    if (net->kind != SPEC_NET_TAP && net->ifname != NULL)
        return fail_at(place, "net[%u].ifname: is for kind tap only", i);
    if (net->kind != SPEC_NET_USER && net->forward_count > 0)
        return fail_at(place, "net[%u].forward: is for kind user only", i);
    if (net->kind != SPEC_NET_SWITCH && net->network != NULL)
        return fail_at(place, "net[%u].network: is for kind switch only", i);
    if (net->kind != SPEC_NET_SWITCH && net->uplink != NULL)
        return fail_at(place, "net[%u].uplink: is for kind switch only", i);
    if (net->kind == SPEC_NET_TAP) {
        if (net->ifname == NULL)
            return fail_at(place, "net[%u].ifname: is missing; name the tap device", i);
        size_t len = strlen(net->ifname);
        if (len == 0 || len > IFNAME_MAX || !printable(net->ifname))
            return fail_at(place, "net[%u].ifname: must be 1 to %u characters", i, IFNAME_MAX);
    }
    if (net->kind == SPEC_NET_SWITCH) {
        if (net->network == NULL)
            return fail_at(place, "net[%u].network: is missing; name the segment to join", i);
        if (!name_valid(net->network))
            return fail_at(place, "net[%u].network: '%s' is not a name", i, net->network);
    }
    return 0;
}

static int check_nets(const struct place *place, const struct spec_fleet *fleet)
{
    const struct spec_vm *vm = &fleet->vms[place->index];
    if (vm->net_count > SPEC_NETS_MAX)
        return fail_at(place, "net: %u are more than %u; leave some out", vm->net_count,
                       SPEC_NETS_MAX);
    for (unsigned i = 0; i < vm->net_count; i++) {
        const struct spec_net *net = &vm->nets[i];
        if (net->kind != SPEC_NET_USER && net->kind != SPEC_NET_TAP && net->kind != SPEC_NET_SWITCH)
            return fail_at(place, "net[%u].kind: write user, tap or switch", i);
        int wrong = check_net_kind(place, net, i);
        if (wrong == 0 && net->uplink != NULL)
            wrong = check_uplink(place, fleet, i);
        if (wrong != 0)
            return wrong;
        if (net->mac[0] & 1)
            return fail_at(place, "net[%u].mac: is a multicast address; make its first byte even",
                           i);
        if (net->forward_count > SPEC_FORWARDS_MAX)
            return fail_at(place, "net[%u].forward: %u are more than %u; leave some out", i,
                           net->forward_count, SPEC_FORWARDS_MAX);
        for (unsigned f = 0; f < net->forward_count; f++) {
            if (net->forwards[f].host_port == 0 || net->forwards[f].guest_port == 0)
                return fail_at(place, "net[%u].forward[%u]: a port is 0; write 1 to 65535", i, f);
            int error = check_forward_free(place, fleet, i, f);
            if (error != 0)
                return error;
        }
    }
    return 0;
}

/* A device is given to one VM. */
static int check_passthrough(const struct place *place, const struct spec_fleet *fleet)
{
    const struct spec_vm *vm = &fleet->vms[place->index];
    if (vm->passthrough_count > SPEC_PASSTHROUGH_MAX)
        return fail_at(place, "passthrough: %u are more than %u", vm->passthrough_count,
                       SPEC_PASSTHROUGH_MAX);
    for (unsigned i = 0; i < vm->passthrough_count; i++) {
        const char *device = vm->passthrough[i];
        if (device == NULL || device[0] == 0 || !printable(device))
            return fail_at(place,
                           "passthrough[%u].device: is missing; name a node of the board's device "
                           "tree, as virtio_mmio@10008000",
                           i);
        for (unsigned v = 0; v <= place->index; v++) {
            unsigned count = v == place->index ? i : fleet->vms[v].passthrough_count;
            for (unsigned other = 0; other < count; other++) {
                if (strcmp(fleet->vms[v].passthrough[other], device) == 0)
                    return fail_at(place, "passthrough[%u].device: vms[%u] has it already", i, v);
            }
        }
    }
    return 0;
}

/* How it is to be run. */
static int check_policy(const struct place *place, const struct spec_vm *vm)
{
    if (vm->weight > SPEC_WEIGHT_MAX)
        return fail_at(place, "weight: %u is more than %u", vm->weight, SPEC_WEIGHT_MAX);
    if (vm->budget > 100)
        return fail_at(place, "budget: %u percent are more than 100", vm->budget);
    if (vm->watchdog > SPEC_WATCHDOG_MAX)
        return fail_at(place, "watchdog: %u seconds are more than %u", vm->watchdog,
                       SPEC_WATCHDOG_MAX);
    if (vm->pin_count > SPEC_PINS_MAX)
        return fail_at(place, "pin: %u harts are more than %u", vm->pin_count, SPEC_PINS_MAX);
    for (unsigned i = 0; i < vm->pin_count; i++) {
        for (unsigned other = 0; other < i; other++) {
            if (vm->pins[i] == vm->pins[other])
                return fail_at(place, "pin[%u]: hart %u is named twice", i, vm->pins[i]);
        }
    }
    if (vm->on_failure != SPEC_FAILURE_STOP && vm->on_failure != SPEC_FAILURE_RESTART)
        return fail_at(place, "on_failure: write stop or restart");
    if (vm->irq != NULL && strcmp(vm->irq, "plic") != 0 && strcmp(vm->irq, "aia") != 0)
        return fail_at(place, "irq: '%s' is no interrupt controller; write plic or aia", vm->irq);
    return 0;
}

/* Where it lies, and what it shares: a window has two ends, of one size. */
static int check_shared(const struct place *place, const struct spec_fleet *fleet, unsigned i)
{
    const struct spec_shared *shared = &fleet->vms[place->index].shared[i];
    unsigned ends = 0;
    if (shared->name == NULL || !name_valid(shared->name))
        return fail_at(place, "shared[%u].name: is no name; write one, as name: mailbox", i);
    if (shared->size < 4096 || shared->size > SPEC_SHARED_SIZE_MAX ||
        (shared->size & (shared->size - 1)) != 0)
        return fail_at(place, "shared[%u].size: write a power of two from 4K to %z, as 64K", i,
                       (uint64_t)SPEC_SHARED_SIZE_MAX);
    for (unsigned v = 0; v < fleet->vm_count; v++) {
        const struct spec_vm *vm = &fleet->vms[v];
        for (unsigned n = 0; n < vm->shared_count && n < SPEC_SHARED_MAX; n++) {
            if (vm->shared[n].name == NULL || strcmp(vm->shared[n].name, shared->name) != 0)
                continue;
            ends++;
            if (v == place->index && n != i)
                return fail_at(place, "shared[%u].name: '%s' is there twice; leave one out", i,
                               shared->name);
            if (vm->shared[n].size != shared->size)
                return fail_at(place, "shared[%u].size: vms[%u] says %z; write the same", i, v,
                               vm->shared[n].size);
        }
    }
    return ends == 2 ? 0
                     : fail_at(place, "shared[%u].name: '%s' is named by %u; let two name it", i,
                               shared->name, ends);
}

static int check_place(const struct place *place, const struct spec_fleet *fleet)
{
    const struct spec_vm *vm = &fleet->vms[place->index];
    if (vm->placed && (vm->address % ADDRESS_STEP != 0 || vm->address >= 1ULL << 56))
        return fail_at(place, "address: is not a multiple of 2M; write one, as 0x88000000");
    if (vm->shared_count > SPEC_SHARED_MAX)
        return fail_at(place, "shared: more than %u", SPEC_SHARED_MAX);
    for (unsigned i = 0; i < vm->shared_count; i++) {
        int error = check_shared(place, fleet, i);
        if (error != 0)
            return error;
    }
    return 0;
}

static int check_slots(const struct place *place, const struct spec_vm *vm)
{
    unsigned used = vm->disk_count + vm->net_count + 1 /* entropy */ + (vm->no_balloon ? 0u : 1u) +
                    (vm->virtio_console ? 1u : 0u);
    if (used > SPEC_VIRTIO_SLOTS)
        return fail_at(place,
                       "disks and net: %u virtio devices with entropy, balloon and console are "
                       "more than the board's %u; leave one out",
                       used, SPEC_VIRTIO_SLOTS);
    return 0;
}

int spec_check(const struct spec_fleet *fleet, struct spec_problem *problem)
{
    problem->text[0] = 0;
    if (fleet->vm_count == 0)
        return fail(problem, "vms: there is none; describe at least one virtual machine");
    if (fleet->vm_count > SPEC_VMS_MAX)
        return fail(problem, "vms: %u are more than %u; leave some out", fleet->vm_count,
                    SPEC_VMS_MAX);

    for (unsigned i = 0; i < fleet->vm_count; i++) {
        const struct spec_vm *vm = &fleet->vms[i];
        struct place place = {.problem = problem, .index = i};
        int error = check_name(&place, fleet);
        place.name = vm->name;
        if (error == 0)
            error = check_size(&place, vm);
        if (error == 0)
            error = check_payload(&place, vm);
        if (error == 0)
            error = check_disks(&place, fleet);
        if (error == 0)
            error = check_nets(&place, fleet);
        if (error == 0)
            error = check_passthrough(&place, fleet);
        if (error == 0)
            error = check_policy(&place, vm);
        if (error == 0)
            error = check_place(&place, fleet);
        if (error == 0)
            error = check_slots(&place, vm);
        if (error != 0)
            return error;
    }
    return 0;
}

int spec_check_files(const struct spec_fleet *fleet, struct spec_problem *problem)
{
    int error = 0;
    for (unsigned v = 0; v < fleet->vm_count; v++) {
        struct place place = {.problem = problem, .index = v, .name = fleet->vms[v].name};
        for (unsigned i = 0; error == 0 && i < fleet->vms[v].disk_count; i++)
            error = check_disk_alone(&place, fleet, i, false);
    }
    return error;
}

static int check_hosted(const struct place *place, const struct spec_vm *vm)
{
    static const char words[] = "is for bare metal alone (trivisor bundle)";
    for (unsigned i = 0; i < vm->disk_count; i++) {
        unsigned number;
        if (spec_board_index(vm->disks[i].path, &number))
            return fail_at(place, "disks[%u].path: '%s' %s", i, vm->disks[i].path, words);
        if (vm->disks[i].fresh)
            return fail_at(place, "disks[%u].fresh: %s", i, words);
    }
    for (unsigned i = 0; i < vm->net_count; i++) {
        if (vm->nets[i].kind == SPEC_NET_SWITCH)
            return fail_at(place, "net[%u].kind: 'switch' %s", i, words);
    }
    if (vm->passthrough_count > 0)
        return fail_at(place, "passthrough: %s", words);
    const char *policy = vm->weight != 0                       ? "weight"
                         : vm->budget != 0                     ? "budget"
                         : vm->pin_count != 0                  ? "pin"
                         : vm->watchdog != 0                   ? "watchdog"
                         : vm->on_failure != SPEC_FAILURE_STOP ? "on_failure"
                         : vm->placed                          ? "address"
                         : vm->trusted_dma                     ? "trusted_dma"
                         : vm->control                         ? "control"
                         : vm->shared_count != 0               ? "shared"
                                                               : NULL;
    return policy != NULL ? fail_at(place, "%s: %s", policy, words) : 0;
}

int spec_check_hosted(const struct spec_fleet *fleet, unsigned vm, struct spec_problem *problem)
{
    struct place place = {.problem = problem, .index = vm, .name = fleet->vms[vm].name};
    return check_hosted(&place, &fleet->vms[vm]);
}

/* FNV-1a of the name and the index, behind the locally administered prefix 52:54. */
void spec_default_mac(const char *name, unsigned index, uint8_t mac[6])
{
    uint32_t hash = 2166136261u;

    for (const char *c = name; *c != 0; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    hash = (hash ^ index) * 16777619u;
    mac[0] = 0x52;
    mac[1] = 0x54;
    mac[2] = (uint8_t)(hash >> 24);
    mac[3] = (uint8_t)(hash >> 16);
    mac[4] = (uint8_t)(hash >> 8);
    mac[5] = (uint8_t)hash;
}

/* ---- The flattened form ---- */

static const char *const net_kinds[] = {"user", "tap", "switch"}; /* by enum spec_net_kind */

static void put_optional(struct fdt_writer *w, const char *name, const char *value)
{
    if (value != NULL)
        fdt_put_str(w, name, value);
}

static void put_flag(struct fdt_writer *w, const char *name, bool value)
{
    if (value)
        fdt_put_empty(w, name);
}

static void flatten_net(struct fdt_writer *w, const struct spec_net *net)
{
    fdt_put_str(w, "kind", net_kinds[net->kind]);
    put_optional(w, "ifname", net->ifname);
    put_optional(w, "network", net->network);
    put_optional(w, "uplink", net->uplink);
    fdt_put(w, "mac", net->mac, sizeof(net->mac));
    for (unsigned i = 0; i < net->forward_count; i++) {
        const struct spec_forward *forward = &net->forwards[i];
        fdt_node_at(w, "forward", i);
        put_flag(w, "udp", forward->udp);
        fdt_put_u32(w, "host-address", forward->host_address);
        fdt_put_u32(w, "host-port", forward->host_port);
        fdt_put_u32(w, "guest-port", forward->guest_port);
        fdt_end(w);
    }
}

static void flatten_vm(struct fdt_writer *w, const struct spec_vm *vm)
{
    fdt_put_str(w, "label", vm->name);
    fdt_put_u32(w, "cpus", vm->cpus);
    fdt_put_u64(w, "memory", vm->memory);
    put_optional(w, "kernel", vm->kernel);
    put_optional(w, "initrd", vm->initrd);
    put_optional(w, "firmware", vm->firmware);
    put_optional(w, "cmdline", vm->cmdline);
    put_optional(w, "engine", vm->engine);
    put_optional(w, "cpu", vm->cpu);
    if (vm->vlen != 0)
        fdt_put_u32(w, "vlen", vm->vlen);
    put_flag(w, "no-reboot", vm->no_reboot);
    put_flag(w, "no-balloon", vm->no_balloon);
    put_flag(w, "lazy-memory", vm->lazy_memory);
    put_flag(w, "virtio-console", vm->virtio_console);
    if (vm->weight != 0)
        fdt_put_u32(w, "weight", vm->weight);
    if (vm->budget != 0)
        fdt_put_u32(w, "budget", vm->budget);
    if (vm->pin_count != 0)
        fdt_put_cells(w, "pin", vm->pins, vm->pin_count);
    if (vm->watchdog != 0)
        fdt_put_u32(w, "watchdog", vm->watchdog);
    put_flag(w, "restart-on-failure", vm->on_failure == SPEC_FAILURE_RESTART);
    put_optional(w, "irq", vm->irq);
    if (vm->placed)
        fdt_put_u64(w, "address", vm->address);
    put_flag(w, "trusted-dma", vm->trusted_dma);
    put_flag(w, "control", vm->control);
    for (unsigned i = 0; i < vm->disk_count; i++) {
        fdt_node_at(w, "disk", i);
        fdt_put_str(w, "path", vm->disks[i].path);
        put_optional(w, "serial", vm->disks[i].serial);
        put_flag(w, "readonly", vm->disks[i].readonly);
        put_flag(w, "fresh", vm->disks[i].fresh);
        fdt_end(w);
    }
    for (unsigned i = 0; i < vm->net_count; i++) {
        fdt_node_at(w, "net", i);
        flatten_net(w, &vm->nets[i]);
        fdt_end(w);
    }
    for (unsigned i = 0; i < vm->passthrough_count; i++) {
        fdt_node_at(w, "passthrough", i);
        fdt_put_str(w, "device", vm->passthrough[i]);
        fdt_end(w);
    }
    for (unsigned i = 0; i < vm->shared_count; i++) {
        fdt_node_at(w, "shared", i);
        fdt_put_str(w, "label", vm->shared[i].name);
        fdt_put_u64(w, "size", vm->shared[i].size);
        fdt_end(w);
    }
}

long spec_flatten(const struct spec_fleet *fleet, void *buf, size_t capacity)
{
    struct spec_problem problem;
    int error = spec_check(fleet, &problem);
    if (error != 0)
        return error;

    struct fdt_writer w;
    fdt_begin(&w, buf, capacity);
    fdt_node(&w, "");
    fdt_put_str(&w, "compatible", COMPATIBLE);
    fdt_put_u32(&w, "version", VERSION);
    for (unsigned i = 0; i < fleet->vm_count; i++) {
        fdt_node_at(&w, "vm", i);
        flatten_vm(&w, &fleet->vms[i]);
        fdt_end(&w);
    }
    fdt_end(&w);
    return fdt_finish(&w);
}

struct reader {
    const struct fdt *fdt;
    struct place place;
    int error; /* the first */
};

/* `node` is called `kind`, or `kind`@something. */
static bool node_is(const struct fdt *fdt, int node, const char *kind)
{
    const char *name = fdt_name(fdt, node);
    size_t len = strlen(kind);
    return strlen(name) >= len && memcmp(name, kind, len) == 0 &&
           (name[len] == 0 || name[len] == '@');
}

static const char *read_str(struct reader *r, int node, const char *name)
{
    uint32_t len;
    const char *value = fdt_prop(r->fdt, node, name, &len);
    if (value == NULL || r->error != 0)
        return NULL;
    if (fdt_str(r->fdt, node, name) == NULL || strlen(value) + 1 != len) {
        r->error = fail_at(&r->place, "%s: is not a string", name);
        return NULL;
    }
    return value;
}

static uint16_t read_port(struct reader *r, int node, const char *name)
{
    uint32_t port = fdt_u32(r->fdt, node, name, 0);
    if (port > UINT16_MAX && r->error == 0)
        r->error = fail_at(&r->place, "%s: %u is not a port", name, port);
    return (uint16_t)port;
}

static bool read_flag(struct reader *r, int node, const char *name)
{
    return fdt_prop(r->fdt, node, name, NULL) != NULL;
}

static void read_disk(struct reader *r, int node, struct spec_vm *vm)
{
    if (vm->disk_count == SPEC_DISKS_MAX) {
        r->error = fail_at(&r->place, "disks: more than %u", SPEC_DISKS_MAX);
        return;
    }
    struct spec_disk *disk = &vm->disks[vm->disk_count++];
    disk->path = read_str(r, node, "path");
    disk->serial = read_str(r, node, "serial");
    disk->readonly = read_flag(r, node, "readonly");
    disk->fresh = read_flag(r, node, "fresh");
}

static void read_net(struct reader *r, int node, struct spec_vm *vm)
{
    if (vm->net_count == SPEC_NETS_MAX) {
        r->error = fail_at(&r->place, "net: more than %u", SPEC_NETS_MAX);
        return;
    }
    struct spec_net *net = &vm->nets[vm->net_count++];
    const char *kind = read_str(r, node, "kind");
    if (r->error != 0)
        return;
    unsigned which = 0;
    while (kind != NULL && which <= SPEC_NET_SWITCH && strcmp(kind, net_kinds[which]) != 0)
        which++;
    if (kind == NULL || which > SPEC_NET_SWITCH) {
        r->error = fail_at(&r->place, "net[%u].kind: write user, tap or switch", vm->net_count - 1);
        return;
    }
    net->kind = (enum spec_net_kind)which;
    net->ifname = read_str(r, node, "ifname");
    net->network = read_str(r, node, "network");
    net->uplink = read_str(r, node, "uplink");
    uint32_t len;
    const void *mac = fdt_prop(r->fdt, node, "mac", &len);
    if (mac != NULL && len == sizeof(net->mac))
        memcpy(net->mac, mac, sizeof(net->mac));

    for (int child = fdt_first_child(r->fdt, node); child >= 0 && r->error == 0;
         child = fdt_next_sibling(r->fdt, child)) {
        if (!node_is(r->fdt, child, "forward"))
            continue;
        if (net->forward_count == SPEC_FORWARDS_MAX) {
            r->error = fail_at(&r->place, "net[%u].forward: more than %u", vm->net_count - 1,
                               SPEC_FORWARDS_MAX);
            return;
        }
        struct spec_forward *forward = &net->forwards[net->forward_count++];
        forward->udp = read_flag(r, child, "udp");
        forward->host_address = fdt_u32(r->fdt, child, "host-address", 0);
        forward->host_port = read_port(r, child, "host-port");
        forward->guest_port = read_port(r, child, "guest-port");
    }
}

static void read_passthrough(struct reader *r, int node, struct spec_vm *vm)
{
    if (vm->passthrough_count == SPEC_PASSTHROUGH_MAX) {
        r->error = fail_at(&r->place, "passthrough: more than %u", SPEC_PASSTHROUGH_MAX);
        return;
    }
    vm->passthrough[vm->passthrough_count++] = read_str(r, node, "device");
}

static void read_shared(struct reader *r, int node, struct spec_vm *vm)
{
    if (vm->shared_count == SPEC_SHARED_MAX) {
        r->error = fail_at(&r->place, "shared: more than %u", SPEC_SHARED_MAX);
        return;
    }
    struct spec_shared *shared = &vm->shared[vm->shared_count++];
    shared->name = read_str(r, node, "label");
    shared->size = fdt_u64(r->fdt, node, "size", 0);
}

static void read_policy(struct reader *r, int node, struct spec_vm *vm)
{
    uint32_t len;
    vm->weight = fdt_u32(r->fdt, node, "weight", 0);
    vm->budget = fdt_u32(r->fdt, node, "budget", 0);
    vm->watchdog = fdt_u32(r->fdt, node, "watchdog", 0);
    vm->on_failure =
        read_flag(r, node, "restart-on-failure") ? SPEC_FAILURE_RESTART : SPEC_FAILURE_STOP;
    vm->irq = read_str(r, node, "irq");
    const uint8_t *cell = fdt_prop(r->fdt, node, "pin", &len);
    if (cell == NULL)
        return;
    if (len % 4 != 0 || len / 4 > SPEC_PINS_MAX) {
        r->error = fail_at(&r->place, "pin: is not a list of at most %u harts", SPEC_PINS_MAX);
        return;
    }
    for (; vm->pin_count < len / 4; cell += 4)
        vm->pins[vm->pin_count++] =
            (unsigned)cell[0] << 24 | (unsigned)cell[1] << 16 | (unsigned)cell[2] << 8 | cell[3];
}

static void read_vm(struct reader *r, int node, struct spec_vm *vm)
{
    vm->name = read_str(r, node, "label");
    r->place.name = vm->name;
    vm->cpus = fdt_u32(r->fdt, node, "cpus", 0);
    vm->memory = fdt_u64(r->fdt, node, "memory", 0);
    vm->kernel = read_str(r, node, "kernel");
    vm->initrd = read_str(r, node, "initrd");
    vm->firmware = read_str(r, node, "firmware");
    vm->cmdline = read_str(r, node, "cmdline");
    vm->engine = read_str(r, node, "engine");
    vm->no_reboot = read_flag(r, node, "no-reboot");
    vm->no_balloon = read_flag(r, node, "no-balloon");
    vm->lazy_memory = read_flag(r, node, "lazy-memory");
    vm->virtio_console = read_flag(r, node, "virtio-console");
    vm->placed = read_flag(r, node, "address");
    vm->address = fdt_u64(r->fdt, node, "address", 0);
    vm->trusted_dma = read_flag(r, node, "trusted-dma");
    vm->control = read_flag(r, node, "control");
    for (int child = fdt_first_child(r->fdt, node); child >= 0 && r->error == 0;
         child = fdt_next_sibling(r->fdt, child)) {
        if (node_is(r->fdt, child, "disk"))
            read_disk(r, child, vm);
        else if (node_is(r->fdt, child, "net"))
            read_net(r, child, vm);
        else if (node_is(r->fdt, child, "passthrough"))
            read_passthrough(r, child, vm);
        else if (node_is(r->fdt, child, "shared"))
            read_shared(r, child, vm);
    }
    if (r->error == 0)
        read_policy(r, node, vm);
}

int spec_decode(struct spec_fleet *fleet, const void *blob, size_t size,
                struct spec_problem *problem)
{
    struct fdt fdt;
    fleet->vm_count = 0;
    problem->text[0] = 0;
    if (fdt_open(&fdt, blob, size) != 0)
        return fail(problem, "the description is not a device tree, or a damaged one");
    const char *compatible = fdt_str(&fdt, fdt_root(&fdt), "compatible");
    if (compatible == NULL || strcmp(compatible, COMPATIBLE) != 0)
        return fail(problem, "the device tree does not describe virtual machines");
    uint32_t version = fdt_u32(&fdt, fdt_root(&fdt), "version", 0);
    if (version != VERSION)
        return fail(problem, "the description has version %u; this program reads version %u",
                    version, VERSION);

    for (int node = fdt_first_child(&fdt, fdt_root(&fdt)); node >= 0;
         node = fdt_next_sibling(&fdt, node)) {
        if (!node_is(&fdt, node, "vm"))
            continue;
        if (fleet->vm_count == SPEC_VMS_MAX)
            return fail(problem, "vms: more than %u", SPEC_VMS_MAX);
        struct reader reader = {.fdt = &fdt,
                                .place = {.problem = problem, .index = fleet->vm_count}};
        struct spec_vm *vm = &fleet->vms[fleet->vm_count++];
        memset(vm, 0, sizeof *vm);
        read_vm(&reader, node, vm);
        if (reader.error != 0)
            return reader.error;
    }
    return 0;
}

/* What firmware, whose harts are the board's, has no room to read. The rest has been read. */
static int read_models(struct spec_fleet *fleet, const void *blob, size_t size,
                       struct spec_problem *problem)
{
    struct fdt fdt;
    unsigned index = 0;
    struct reader reader = {.fdt = &fdt, .place = {.problem = problem}};
    fdt_open(&fdt, blob, size);
    for (int node = fdt_first_child(&fdt, fdt_root(&fdt)); node >= 0;
         node = fdt_next_sibling(&fdt, node)) {
        if (!node_is(&fdt, node, "vm"))
            continue;
        reader.place.index = index;
        struct spec_vm *vm = &fleet->vms[index++];
        vm->cpu = read_str(&reader, node, "cpu");
        vm->vlen = fdt_u32(&fdt, node, "vlen", 0);
    }
    return reader.error;
}

int spec_read(struct spec_fleet *fleet, const void *blob, size_t size, struct spec_problem *problem)
{
    int error = spec_decode(fleet, blob, size, problem);
    if (error == 0)
        error = read_models(fleet, blob, size, problem);
    return error == 0 ? spec_check(fleet, problem) : error;
}
