#include "type0/monitor.h"

#include "core/host.h"
#include "type0/board.h"
#include "type0/partition.h"

static const char *state_of(const struct partition *p)
{
    return p->why[0] != 0 ? "failed" : partition_is_on(p) ? "running" : "off";
}

static void list(struct partition *p)
{
    uint64_t memory = 0;
    for (unsigned i = 0; i < p->plan->ram_count; i++)
        memory += p->plan->ram[i].size;
    console_answer("%u %-16s %-8s %u harts  %lu MiB at %lx  %u boots%s%s", p->index + 1, p->vm.name,
                   state_of(p), p->plan->vcpu_count, (unsigned long)(memory >> 20),
                   (unsigned long)p->plan->ram[0].base, atomic_load(&p->boots),
                   p->why[0] != 0 ? "  " : "", p->why);
}

static void statistics(const struct hart *hart)
{
    const uint64_t *c = hart->counts;
    console_answer("hart %lu  calls %lu + %lu  timer %lu  IPI %lu  emulated %lu  devices %lu  "
                   "redirected %lu  switches %lu",
                   (unsigned long)hart->id, (unsigned long)c[COUNT_CALL],
                   (unsigned long)c[COUNT_TABLE], (unsigned long)c[COUNT_TIMER],
                   (unsigned long)c[COUNT_IPI], (unsigned long)c[COUNT_EMULATED],
                   (unsigned long)c[COUNT_DEVICE], (unsigned long)c[COUNT_REDIRECTED],
                   (unsigned long)c[COUNT_SWITCH]);
}

static struct partition *find(const char *name)
{
    for (unsigned i = 0; i < partition_count; i++) {
        if (strcmp(partitions[i]->vm.name, name) == 0)
            return partitions[i];
    }
    console_answer("no partition '%s'; 'list' shows them", name);
    return NULL;
}

/* Ends the first word of `line`; returns the second one, or "". */
static char *split(char *line)
{
    while (*line != 0 && *line != ' ')
        line++;
    while (*line == ' ')
        *line++ = 0;
    return line;
}

static void change(const char *verb, const char *name)
{
    struct partition *p = find(name);
    if (p == NULL)
        return;
    if (strcmp(verb, "start") == 0 && !partition_start(p))
        console_answer("%s is running", name);
    if (strcmp(verb, "stop") == 0 && !partition_stop(p))
        console_answer("%s is off", name);
    if (strcmp(verb, "restart") == 0)
        partition_restart(p);
}

static bool used;
static uint64_t all_off_since;

void monitor_look(uint64_t now)
{
    bool failed;
    if (used || !partitions_all_off(&failed)) {
        all_off_since = now;
        return;
    }
    if (now - all_off_since < 2 * features.timebase)
        return;
    console_line("no partition is running; the board goes off");
    board_power(failed ? BOARD_FAILED : BOARD_OFF, 1);
}

void monitor_command(char *line)
{
    char *argument = split(line);
    used = true;

    if (*line == 0)
        return;
    if (strcmp(line, "list") == 0) {
        for (unsigned i = 0; i < partition_count; i++)
            list(partitions[i]);
    } else if (strcmp(line, "stats") == 0) {
        for (unsigned i = 0; i < hart_count; i++)
            statistics(harts[i]);
    } else if (strcmp(line, "start") == 0 || strcmp(line, "stop") == 0 ||
               strcmp(line, "restart") == 0) {
        change(line, argument);
    } else if (strcmp(line, "poweroff") == 0) {
        board_power(BOARD_OFF, 0);
    } else {
        console_answer("list, stats, start NAME, stop NAME, restart NAME, poweroff; Ctrl-A h");
    }
}
