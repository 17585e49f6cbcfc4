#include "type1/monitor.h"

#include "type1/dev_board.h"
#include "type1/guest.h"
#include "type1/memory.h"
#include "type1/sbi.h"

#include <stdatomic.h>

struct command {
    const char *name, *arguments, *summary;
    void (*all)(void);
    void (*one)(struct guest *guest);
};

static void list_one(struct guest *guest)
{
    uint64_t ran = 0;
    for (unsigned i = 0; guest->vcpu_tasks != NULL && i < guest->spec->cpus; i++)
        ran += guest->vcpu_tasks[i].ran_ns;
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
    static const char *const names[HEXT_EXIT_COUNTS] = {"interrupt", "ecall",   "mmio",
                                                        "wfi",       "virtual", "fault"};
    for (unsigned i = 0; guest->harts != NULL && i < guest->spec->cpus; i++) {
        const struct hext_vcpu *v = guest->harts[i].vcpu.engine_data;
        if (v == NULL)
            continue;
        console_answer("%s/%u: %s %lu, %s %lu, %s %lu, %s %lu, %s %lu, %s %lu", guest->spec->name,
                       i, names[0], (unsigned long)v->counts[0], names[1],
                       (unsigned long)v->counts[1], names[2], (unsigned long)v->counts[2], names[3],
                       (unsigned long)v->counts[3], names[4], (unsigned long)v->counts[4], names[5],
                       (unsigned long)v->counts[5]);
    }
}

static void exits_all(void)
{
    for (unsigned i = 0; i < guest_count; i++)
        exits_one(guests[i]);
}

static void poweroff_all(void)
{
    sbi_reset(false, false);
}

static void reboot_all(void)
{
    sbi_reset(true, false);
}

static void help_all(void);

static const struct command commands[] = {
    {"list", "", "guests and harts", list_all, NULL},
    {"start", "GUEST", "start a guest that is off", NULL, guest_start},
    {"stop", "GUEST", "switch a guest off at once", NULL, guest_stop},
    {"restart", "GUEST", "reset a guest, with fresh memory", NULL, guest_restart},
    {"pause", "GUEST", "stop its VCPUs and its clock", NULL, guest_pause},
    {"resume", "GUEST", "let a paused guest go on", NULL, guest_resume},
    {"memory", "[GUEST]", "memory and how it is mapped", memory_all, memory_one},
    {"devices", "", "the board's devices, and the networks", .all = dev_show},
    {"exits", "[GUEST]", "why VCPUs left the guest", exits_all, exits_one},
    {"poweroff", "", "switch the board off", poweroff_all, NULL},
    {"reboot", "", "restart the board", reboot_all, NULL},
    {"help", "", "this list; Ctrl-A h for the keys", help_all, NULL},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void help_all(void)
{
    for (unsigned i = 0; i < COMMANDS; i++)
        console_answer("%-9s %-8s %s", commands[i].name, commands[i].arguments,
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
        else
            console_answer("%s takes no name", name);
        return;
    }
    console_answer("no command %s; 'help' lists them", name);
}
