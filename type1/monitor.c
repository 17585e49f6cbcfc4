#include "type1/monitor.h"

#include "type1/dev_board.h"
#include "type1/guest.h"
#include "type1/memory.h"
#include "type1/print.h"
#include "type1/sbi.h"
#include "type1/trace.h"

#include <stdatomic.h>

struct command {
    const char *name, *arguments, *summary;
    void (*all)(void);
    void (*one)(struct guest *guest);
    void (*text)(struct guest *guest, char *text);
};

static void list_one(struct guest *guest)
{
    uint64_t ran = 0;
    for (unsigned i = 0; guest->vcpu_tasks != NULL && i < guest->spec->cpus; i++)
        ran += guest_ran_ns(guest, i);
    console_answer("%u  %-16s %-8s %2u VCPU%s %6lu MiB  %4u boots  %6lu.%01lu s of harts%s%s",
                   guest->index + 1, guest->spec->name, guest_state_name(guest), guest->spec->cpus,
                   guest->spec->cpus == 1 ? " " : "s", (unsigned long)(guest->spec->memory >> 20),
                   guest->boots, (unsigned long)(ran / 1000000000),
                   (unsigned long)(ran / 100000000 % 10), guest->why[0] != 0 ? "  " : "",
                   guest->why);
}

static void list_all(void)
{
    for (unsigned i = 0; i < guest_count; i++)
        list_one(guests[i]);
    for (unsigned i = 0; i < hart_count; i++) {
        uint64_t up = host_time_ns() - harts[i]->started_ns;
        uint64_t idle = harts[i]->idle_ns > up ? up : harts[i]->idle_ns;
        console_answer("hart %lu: %u %% busy", (unsigned long)harts[i]->id,
                       (unsigned)((up - idle) * 100 / (up != 0 ? up : 1)));
    }
}

static void memory_one(struct guest *guest)
{
    const struct gstage *table = &guest->hext.gstage;
    if (guest->ram == NULL) {
        console_answer("%-16s no memory", guest->spec->name);
        return;
    }
    console_answer("%-16s %6lu MiB at %lx: %lu leaves of 1 GiB, %lu of 2 MiB, %lu of 4 KiB; tables "
                   "%lu KiB",
                   guest->spec->name, (unsigned long)(guest->spec->memory >> 20),
                   (unsigned long)(uintptr_t)guest->ram, (unsigned long)table->leaves[2],
                   (unsigned long)table->leaves[1], (unsigned long)table->leaves[0],
                   (unsigned long)(table->table_bytes >> 10));
}

static void memory_all(void)
{
    struct memory_use use;
    memory_use(&use);
    for (unsigned i = 0; i < guest_count; i++)
        memory_one(guests[i]);
    console_answer(
        "board: %lu MiB; guests' RAM %lu MiB; hypervisor %lu KiB; largest free piece %lu "
        "MiB",
        (unsigned long)(use.total >> 20), (unsigned long)(use.guests >> 20),
        (unsigned long)((use.used - use.guests) >> 10), (unsigned long)(use.largest >> 20));
}

static void exits_one(struct guest *guest)
{
    const char *const *names = trace_exit_names;
    if (!guest->built)
        guest_refuse(guest, "has no exits");
    for (unsigned i = 0; guest->built && i < guest->spec->cpus; i++) {
        const struct hext_vcpu *v = guest->harts[i].vcpu.engine_data;
        console_answer("%s/%u: %s %lu, %s %lu, %s %lu, %s %lu, %s %lu, %s %lu", guest->spec->name,
                       i, names[0], (unsigned long)v->counts[0], names[1],
                       (unsigned long)v->counts[1], names[2], (unsigned long)v->counts[2], names[3],
                       (unsigned long)v->counts[3], names[4], (unsigned long)v->counts[4], names[5],
                       (unsigned long)v->counts[5]);
        if (v->imsic != NULL)
            console_answer("  interrupt file %u (0: in memory), %lu times taken from a hart",
                           v->file, (unsigned long)v->file_moves);
    }
}

static void exits_all(void)
{
    for (unsigned i = 0; i < guest_count; i++)
        exits_one(guests[i]);
}

/* "ecall 120, wfi 30": those that there were, of all VCPUs, most frequent first. */
static void exits_text(const struct guest *guest, char *text, size_t size)
{
    uint64_t sums[HEXT_EXIT_COUNTS] = {0};
    size_t at = 0;

    text[0] = 0;
    for (unsigned i = 0; guest->harts != NULL && i < guest->spec->cpus; i++) {
        const struct hext_vcpu *v = guest->harts[i].vcpu.engine_data;
        for (unsigned n = 0; v != NULL && n < HEXT_EXIT_COUNTS; n++)
            sums[n] += v->counts[n];
    }
    for (unsigned turn = 0; turn < HEXT_EXIT_COUNTS; turn++) {
        unsigned most = 0;
        for (unsigned n = 1; n < HEXT_EXIT_COUNTS; n++)
            most = sums[n] > sums[most] ? n : most;
        if (sums[most] == 0)
            break;
        at += text_format(text + at, size - at, "%s%s %lu", at != 0 ? ", " : "",
                          trace_exit_names[most], (unsigned long)sums[most]);
        sums[most] = 0;
    }
}

static const char *result(const struct guest *guest)
{
    switch (atomic_load(&guest->state)) {
    case GUEST_RUNNING: return "runs";
    case GUEST_PAUSED: return "paused";
    case GUEST_FAILED: return guest->why;
    case GUEST_GONE: return "destroyed";
    default: return guest->boots == 0 ? "not started" : "powered off";
    }
}

void monitor_table(void)
{
    char exits[120];
    console_answer("%-16s %5s %10s %5s %9s  %-72s  %s", "guest", "harts", "memory", "boots",
                   "harts' s", "exits by reason", "result");
    for (unsigned i = 0; i < guest_count; i++) {
        const struct guest *guest = guests[i];
        uint64_t ran = 0;
        for (unsigned n = 0; guest->vcpu_tasks != NULL && n < guest->spec->cpus; n++)
            ran += guest_ran_ns(guest, n);
        exits_text(guest, exits, sizeof exits);
        console_answer("%-16s %5u %6lu MiB %5u %7lu.%lu  %-72s  %s", guest->spec->name,
                       guest->spec->cpus, (unsigned long)(guest->spec->memory >> 20), guest->boots,
                       (unsigned long)(ran / 1000000000), (unsigned long)(ran / 100000000 % 10),
                       exits, result(guest));
    }
}

static void vcpus_all(void)
{
    for (unsigned i = 0; i < guest_count; i++)
        guest_show_vcpus(guests[i]);
}

/* What follows the name, and Enter. */
static void send_text(struct guest *guest, char *text)
{
    size_t length = strlen(text);
    uint32_t state = atomic_load(&guest->state);
    if (state != GUEST_RUNNING && state != GUEST_PAUSED) {
        guest_refuse(guest, "takes nothing");
        return;
    }
    text[length++] = '\r';
    if (!console_type(&guest->console, text, length))
        console_answer("%s does not take what is typed", guest->spec->name);
}

static void boot_one(struct guest *guest)
{
    if (guest->boots == 0) {
        guest_refuse(guest, "has not begun");
        return;
    }
    console_answer("%-16s began %lu us after the hypervisor, %lu us of it to clear its memory",
                   guest->spec->name, (unsigned long)((guest->began_ns - entered_ns) / 1000),
                   (unsigned long)(guest->cleared_ns / 1000));
}

static void boot_all(void)
{
    for (unsigned i = 0; i < guest_count; i++)
        boot_one(guests[i]);
}

static void poweroff_all(void)
{
    monitor_table();
    sbi_reset(false, false);
}

static void reboot_all(void)
{
    sbi_reset(true, false);
}

static void help_all(void);

static const struct command commands[] = {
    {"list", "", "guests and harts", .all = list_all},
    {"table", "", "how each guest fares", .all = monitor_table},
    {"start", "GUEST", "start a guest that is off", .one = guest_start},
    {"stop", "GUEST", "switch a guest off at once", .one = guest_stop},
    {"restart", "GUEST", "reset a guest, with fresh memory", .one = guest_restart},
    {"pause", "GUEST", "stop its VCPUs and its clock", .one = guest_pause},
    {"resume", "GUEST", "let a paused guest go on", .one = guest_resume},
    {"destroy", "GUEST", "end a guest and take its memory", .one = guest_destroy},
    {"create", "GUEST", "make a destroyed guest again, from the bundle", .one = guest_create},
    {"send", "GUEST TEXT", "type a line on a guest's console", .text = send_text},
    {"memory", "[GUEST]", "memory and how it is mapped", .all = memory_all, .one = memory_one},
    {"devices", "", "the board's devices, and the networks", .all = dev_show},
    {"exits", "[GUEST]", "why VCPUs left the guest", .all = exits_all, .one = exits_one},
    {"boot", "[GUEST]", "how long its start took", .all = boot_all, .one = boot_one},
    {"trace", "GUEST on|off|N", "show each exit, or the next N", .all = trace_list,
     .text = trace_command},
    {"vcpus", "[GUEST]", "where VCPUs are", .all = vcpus_all, .one = guest_show_vcpus},
    {"poweroff", "", "switch the board off", .all = poweroff_all},
    {"reboot", "", "restart the board", .all = reboot_all},
    {"help", "", "this list; Ctrl-A h for the keys", .all = help_all},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void help_all(void)
{
    for (unsigned i = 0; i < COMMANDS; i++)
        console_answer("%-9s %-14s %s", commands[i].name, commands[i].arguments,
                       commands[i].summary);
}

/* Cuts the next word off. */
static char *word(char **line)
{
    char *at = *line;
    while (*at == ' ')
        at++;
    char *begin = at;
    while (*at != 0 && *at != ' ')
        at++;
    if (*at != 0)
        *at++ = 0;
    *line = at;
    return begin;
}

void monitor_command(char *line)
{
    const char *name = word(&line), *argument = word(&line);
    if (*name == 0)
        return;
    for (unsigned i = 0; i < COMMANDS; i++) {
        const struct command *command = &commands[i];
        if (strcmp(command->name, name) != 0)
            continue;
        if (*argument == 0) {
            if (command->all != NULL)
                command->all();
            else
                console_answer("%s needs the name of a guest", name);
            return;
        }
        struct guest *guest = guest_find(argument);
        if (guest == NULL)
            console_answer("no guest %s; 'list' shows them", argument);
        else if (command->one != NULL)
            command->one(guest);
        else if (command->text != NULL)
            command->text(guest, line);
        else
            console_answer("%s takes no name", name);
        return;
    }
    console_answer("no command %s; 'help' lists them", name);
}
