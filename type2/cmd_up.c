/*
 * up: several machines, each in a process of its own.
 *
 * The parent runs no guest: it forks, gathers the consoles line by line, hears from each child on a
 * second pipe (lines of JSON), and judges at the end. First all children build their machines; only
 * when the last one is ready do they run, so that a description that cannot be started leaves
 * nothing behind.
 */
#define _GNU_SOURCE
#include "type2/command.h"
#include "type2/config.h"
#include "type2/control.h"
#include "type2/host.h"
#include "type2/process.h"
#include "type2/results.h"
#include "type2/run_options.h"
#include "type2/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTE_MAX  4096
#define PROMPT_MS 300 /* a line without an end is shown after this silence */

const char cmd_up_help[] =
    "  --detach             return when all run; 'trivisor ps', 'console', 'logs' and 'stop' do "
    "the\n"
    "                       rest\n"
    "  --logs DIR           append each console to DIR/NAME.log as well\n" RUN_GRACE_HELP
    "  --json FILE          at the end, write how each machine ended to FILE\n"
    "\n"
    "Each line of a console comes with the machine's name in front. Ctrl-C or SIGTERM switches "
    "all\n"
    "machines off in order. At the end a table tells how each one ended; the status is 0 only if\n"
    "all ended well.\n"
    "\n"
    "Example: trivisor up fleet.yaml, where fleet.yaml is\n"
    "  vms:\n"
    "    - name: web\n"
    "      cpus: 2\n"
    "      memory: 512M\n"
    "      kernel: Image\n"
    "      initrd: initrd.img\n"
    "      cmdline: console=ttyS0\n"
    "      disks: [ { path: web.raw } ]\n"
    "      net: [ { kind: user, forward: [\"tcp:127.0.0.1:8080:80\"] } ]\n";

struct child {
    const struct spec_vm *spec;
    pid_t pid;
    int console; /* what the guest prints; -1: closed */
    int notes;   /* lines of JSON; -1: closed */
    int go;      /* a byte lets it run, end of file tells it to give up; -1: closed */
    bool ready;
    bool reaped;
    int wait_status;
    json_t *result;
    char problem[sizeof(((struct problem *)0)->text)];
    char note[NOTE_MAX];
    size_t note_length;
    struct line_printer printer;
};

struct up {
    bool detach;
    unsigned grace_ms;
    const char *logs;
    struct results_file json;
    struct child children[SPEC_VMS_MAX];
    unsigned count;
    int signals;
    unsigned signal_count;
};

/* ---- in the child ---- */

struct child_side {
    int notes;
    int go;
    bool detach;
};

static void child_note(int fd, json_t *note)
{
    char *text = json_dumps(note, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));

    if (text != NULL)
        dprintf(fd, "%s\n", text);
    free(text);
    json_decref(note);
}

static void child_to_null(int fd, int flags)
{
    int null = open("/dev/null", flags | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, fd);
        close(null);
    }
}

static bool child_built(void *arg)
{
    const struct child_side *side = arg;
    char byte;
    ssize_t n;

    child_note(side->notes, json_pack("{s:b}", "ready", 1));
    do
        n = read(side->go, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1 && side->detach) {
        child_to_null(STDOUT_FILENO, O_WRONLY);
        child_to_null(STDERR_FILENO, O_WRONLY);
    }
    return n == 1;
}

static int child_main(const struct up *up, const struct spec_vm *spec, int console,
                      struct child_side side)
{
    struct problem problem = {.text = ""};
    char prefix[64], log[PATH_MAX];

    snprintf(prefix, sizeof(prefix), "trivisor: %s", spec->name);
    host_log_set_prefix(prefix);
    child_to_null(STDIN_FILENO, O_RDONLY);
    if (up->detach)
        setsid();
    struct process process = {.spec = spec,
                              .options = {.grace_ms = up->grace_ms},
                              .console_in = -1,
                              .console_out = console,
                              .built = child_built,
                              .arg = &side};
    if (up->logs != NULL) {
        snprintf(log, sizeof(log), "%s/%s.log", up->logs, spec->name);
        process.console_log = log;
    }
    int status = (int)process_run(&process, &problem);
    if (process.result != NULL)
        child_note(side.notes, json_pack("{s:o}", "result", process.result));
    else if (problem.text[0] != 0)
        child_note(side.notes, json_pack("{s:s}", "problem", problem.text));
    return status;
}

/* ---- in the parent ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int child_fork(struct up *up, struct child *child)
{
    int console[2] = {-1, -1}, notes[2] = {-1, -1}, go[2] = {-1, -1};
    pid_t parent = getpid();

    if ((!up->detach && pipe2(console, O_CLOEXEC) < 0) || pipe2(notes, O_CLOEXEC) < 0 ||
        pipe2(go, O_CLOEXEC) < 0 || (child->pid = fork()) < 0) {
        int error = -errno;
        int *fds[] = {&console[0], &console[1], &notes[0], &notes[1], &go[0], &go[1]};
        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
            close_fd(fds[i]);
        child->pid = 0;
        return error;
    }
    if (child->pid == 0) {
        /* Ctrl-C is the parent's business; its death is ours. */
        setpgid(0, 0);
        if (!up->detach) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() != parent)
                _exit(PROCESS_REFUSED);
        }
        for (unsigned i = 0; i < up->count; i++) {
            close_fd(&up->children[i].console);
            close_fd(&up->children[i].notes);
            close_fd(&up->children[i].go);
        }
        close_fd(&up->signals);
        close_fd(&console[0]);
        close_fd(&notes[0]);
        close_fd(&go[1]);
        /* Signals stay blocked: process_run takes up those that came meanwhile. */
        _exit(child_main(up, child->spec, console[1],
                         (struct child_side){notes[1], go[0], up->detach}));
    }
    close_fd(&console[1]);
    close_fd(&notes[1]);
    close_fd(&go[0]);
    child->console = console[0];
    child->notes = notes[0];
    child->go = go[1];
    return 0;
}

static void child_hear(struct child *child, const char *line)
{
    json_t *note = json_loads(line, 0, NULL);
    const char *problem = json_string_value(json_object_get(note, "problem"));

    if (json_is_true(json_object_get(note, "ready")))
        child->ready = true;
    if (problem != NULL)
        snprintf(child->problem, sizeof(child->problem), "%s", problem);
    if (json_object_get(note, "result") != NULL && child->result == NULL)
        child->result = json_incref(json_object_get(note, "result"));
    json_decref(note);
}

static void child_read_notes(struct child *child)
{
    ssize_t n = read(child->notes, child->note + child->note_length,
                     sizeof(child->note) - child->note_length);

    if (n <= 0) {
        close_fd(&child->notes);
        return;
    }
    child->note_length += (size_t)n;
    char *end;
    while ((end = memchr(child->note, '\n', child->note_length)) != NULL) {
        *end = 0;
        child_hear(child, child->note);
        child->note_length -= (size_t)(end + 1 - child->note);
        memmove(child->note, end + 1, child->note_length);
    }
    if (child->note_length == sizeof(child->note))
        child->note_length = 0; /* no note of ours is so long */
}

static void child_read_console(struct child *child)
{
    char bytes[4096];
    ssize_t n = read(child->console, bytes, sizeof(bytes));

    if (n > 0) {
        line_printer_feed(&child->printer, bytes, (size_t)n);
        return;
    }
    line_printer_flush(&child->printer);
    close_fd(&child->console);
}

static void child_ended(struct child *child)
{
    const struct spec_vm *spec = child->spec;

    child->reaped = true;
    if (child->notes >= 0) /* what it said last may still be in the pipe */
        child_read_notes(child);
    if (!WIFSIGNALED(child->wait_status))
        return;
    control_clear(spec->name);
    char how[64];
    snprintf(how, sizeof(how), "killed by signal %d (%s)", WTERMSIG(child->wait_status),
             strsignal(WTERMSIG(child->wait_status)));
    json_decref(child->result);
    child->result =
        json_pack("{s:s,s:i,s:I,s:n,s:n,s:I,s:{},s:s,s:b}", "name", spec->name, "harts",
                  (int)spec->cpus, "memory", (json_int_t)spec->memory, "init_ms", "run_ms",
                  "instructions", (json_int_t)0, "exits", "result", how, "well", 0);
    command_fail("%s: its process was %s", spec->name, how);
}

static void up_reap(struct up *up)
{
    for (unsigned i = 0; i < up->count; i++) {
        struct child *child = &up->children[i];
        if (child->pid > 0 && !child->reaped &&
            waitpid(child->pid, &child->wait_status, WNOHANG) == child->pid)
            child_ended(child);
    }
}

static void up_signalled(struct up *up)
{
    struct signalfd_siginfo info;

    while (read(up->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        up->signal_count++;
        for (unsigned i = 0; i < up->count; i++)
            if (up->children[i].pid > 0 && !up->children[i].reaped)
                kill(up->children[i].pid, SIGTERM);
    }
    up_reap(up);
}

/* One round of hearing from everybody. */
static void up_poll(struct up *up)
{
    struct pollfd polls[1 + 2 * SPEC_VMS_MAX] = {{.fd = up->signals, .events = POLLIN}};
    bool prompts = false;

    for (unsigned i = 0; i < up->count; i++) {
        polls[1 + 2 * i] = (struct pollfd){.fd = up->children[i].console, .events = POLLIN};
        polls[2 + 2 * i] = (struct pollfd){.fd = up->children[i].notes, .events = POLLIN};
        prompts |= up->children[i].printer.length > 0;
    }
    int n = poll(polls, 1 + 2 * up->count, prompts ? PROMPT_MS : -1);
    for (unsigned i = 0; i < up->count; i++) {
        struct child *child = &up->children[i];
        if (n > 0 && polls[1 + 2 * i].revents != 0)
            child_read_console(child);
        if (n > 0 && polls[2 + 2 * i].revents != 0)
            child_read_notes(child);
        if (n == 0)
            line_printer_flush(&child->printer);
    }
    if (n > 0 && polls[0].revents != 0)
        up_signalled(up);
}

static bool up_any_left(const struct up *up)
{
    for (unsigned i = 0; i < up->count; i++) {
        const struct child *child = &up->children[i];
        if (child->pid > 0 && (!child->reaped || child->console >= 0 || child->notes >= 0))
            return true;
    }
    return false;
}

/* Waits until every child has built its machine. False: one cannot. */
static bool up_wait_ready(struct up *up)
{
    for (;;) {
        bool all = true;
        for (unsigned i = 0; i < up->count; i++) {
            const struct child *child = &up->children[i];
            if (!child->ready && (child->reaped || child->notes < 0))
                return false;
            all &= child->ready && !child->reaped;
        }
        if (all || up->signal_count > 0)
            return all && up->signal_count == 0;
        up_poll(up);
    }
}

/* Nothing has run yet: all are told to go, and the first reason is told. */
static int up_give_up(struct up *up)
{
    const char *reason = NULL;

    for (unsigned i = 0; i < up->count; i++)
        close_fd(&up->children[i].go);
    while (up_any_left(up))
        up_poll(up);
    for (unsigned i = 0; i < up->count && reason == NULL; i++)
        if (up->children[i].problem[0] != 0)
            reason = up->children[i].problem;
    if (reason != NULL)
        command_fail("%s", reason);
    else if (up->signal_count > 0)
        command_fail("up: interrupted before the machines ran");
    return PROCESS_REFUSED;
}

static int up_finish(struct up *up)
{
    struct problem problem = {.text = ""};
    json_t *results = json_array();
    int status = PROCESS_WELL;

    for (unsigned i = 0; i < up->count; i++) {
        struct child *child = &up->children[i];
        if (child->result == NULL) /* started, but could not go on and could still say why */
            child->result = json_pack("{s:s,s:i,s:I,s:n,s:n,s:I,s:{},s:s,s:s,s:b}", "name",
                                      child->spec->name, "harts", (int)child->spec->cpus, "memory",
                                      (json_int_t)child->spec->memory, "init_ms", "run_ms",
                                      "instructions", (json_int_t)0, "exits", "result", "failed",
                                      "message", child->problem, "well", 0);
        if (!json_is_true(json_object_get(child->result, "well")))
            status = PROCESS_FAILED;
        json_array_append_new(results, child->result);
        child->result = NULL;
    }
    putchar('\n');
    results_print(results, stdout);
    if (results_write(&up->json, results, &problem) < 0) {
        command_fail("%s", problem.text);
        status = PROCESS_FAILED;
    }
    json_decref(results);
    return status;
}

static int up_run(struct up *up)
{
    sigset_t set;
    unsigned width = 0;

    for (unsigned i = 0; i < up->count; i++)
        if (strlen(up->children[i].spec->name) > width)
            width = (unsigned)strlen(up->children[i].spec->name);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    up->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (up->signals < 0)
        return command_fail("up: cannot watch for signals: %s", strerror(errno));
    fflush(stdout);
    for (unsigned i = 0; i < up->count; i++) {
        struct child *child = &up->children[i];
        line_printer_init(&child->printer, STDOUT_FILENO, child->spec->name, width, i, -1);
        int error = child_fork(up, child);
        if (error < 0) {
            snprintf(child->problem, sizeof(child->problem), "%s: cannot make a process for it: %s",
                     child->spec->name, strerror(-error));
            return up_give_up(up);
        }
    }
    if (!up_wait_ready(up))
        return up_give_up(up);
    for (unsigned i = 0; i < up->count; i++) {
        if (write(up->children[i].go, "g", 1) != 1)
            up->children[i].problem[0] = 0; /* it died meanwhile; its wait status tells */
        close_fd(&up->children[i].go);
    }
    if (up->detach)
        return PROCESS_WELL;
    while (up_any_left(up))
        up_poll(up);
    return up_finish(up);
}

int cmd_up(int argc, char **argv)
{
    enum { DETACH = 1000, LOGS, JSON };
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"detach", no_argument, NULL, DETACH},
                                            {"logs", required_argument, NULL, LOGS},
                                            {"json", required_argument, NULL, JSON},
                                            {"grace", required_argument, NULL, RUN_GRACE},
                                            {0}};
    struct problem problem = {.text = ""};
    struct up *up = calloc(1, sizeof(*up));
    const char *json = NULL;
    struct stat st;
    int c;

    if (up == NULL)
        return command_fail("out of memory; free some on this host");
    int status = 2;
    up->grace_ms = RUN_GRACE_MS;
    while ((c = command_getopt(argc, argv, options)) > 0 && c != '?') {
        if (c == DETACH)
            up->detach = true;
        else if (c == LOGS)
            up->logs = optarg;
        else if (c == JSON)
            json = optarg;
        else if (c == RUN_GRACE && run_grace_parse(optarg, &up->grace_ms, &problem) < 0) {
            command_fail("up: %s", problem.text);
            goto done;
        }
    }
    if (c == -2)
        status = 0;
    if (c != -1 || !command_words(argc, argv, 1))
        goto done;
    if (up->logs != NULL && (stat(up->logs, &st) < 0 || !S_ISDIR(st.st_mode))) {
        command_fail("up: --logs %s: not a folder; make it first", up->logs);
        goto done;
    }
    if (up->detach && json != NULL) {
        command_fail("up: --json tells how machines ended; it does not go with --detach");
        goto done;
    }
    struct config *config = NULL;
    if (config_read(&config, argv[optind], false, &problem) < 0) {
        command_fail("%s", problem.text);
        goto done;
    }
    const struct spec_fleet *fleet = config_fleet(config);
    up->count = fleet->vm_count;
    for (unsigned i = 0; i < up->count; i++) {
        up->children[i].spec = &fleet->vms[i];
        up->children[i].console = up->children[i].notes = up->children[i].go = -1;
    }
    if (results_open(&up->json, json, &problem) < 0)
        status = command_fail("%s", problem.text);
    else
        status = up_run(up);
    results_abandon(&up->json); /* all went well: it is closed already */
    config_free(config);
done:
    free(up);
    return status;
}
