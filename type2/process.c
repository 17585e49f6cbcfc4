#define _GNU_SOURCE
#include "type2/process.h"

#include "type2/control.h"
#include "type2/host.h"
#include "type2/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONSOLE_LOG_LIMIT (64ULL << 20)

struct life {
    struct machine *machine;
    struct terminal *terminal;
    struct loop_fd signals;
    unsigned signal_count; /* signals and Ctrl-A X: the first asks, the second does not */
};

/* ---- the control socket ---- */

static json_t *answer_of(int error, const struct problem *problem)
{
    return error < 0 ? control_error("%s", problem->text) : control_ok();
}

static void take_console(void *arg, int fd)
{
    struct machine *machine = arg;

    if (stream_mux_attach(machine_console(machine), fd, 1024, NULL, NULL) == NULL)
        close(fd);
}

static void take_logs_follow(void *arg, int fd)
{
    struct machine *machine = arg;

    if (stream_mux_attach(machine_console(machine), fd, 16 << 10, NULL, NULL) == NULL)
        close(fd);
}

static void take_logs(void *arg, int fd)
{
    size_t length;
    char *bytes = machine_history(arg, &length);

    for (size_t at = 0; at < length;) {
        ssize_t n = send(fd, bytes + at, length - at, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* gone, or does not read (the socket has a time limit) */
        at += (size_t)n;
    }
    free(bytes);
    close(fd);
}

static void life_answer(void *arg, const char *cmd, const json_t *request,
                        struct control_reply *reply)
{
    struct machine *machine = arg;
    struct problem problem = {.text = ""};

    if (strcmp(cmd, "status") == 0) {
        reply->answer = machine_status(machine);
    } else if (strcmp(cmd, "stop") == 0) {
        machine_stop(machine);
        reply->answer = control_ok();
    } else if (strcmp(cmd, "kill") == 0) {
        machine_kill(machine);
        reply->answer = control_ok();
    } else if (strcmp(cmd, "pause") == 0) {
        reply->answer = answer_of(machine_pause(machine, &problem), &problem);
    } else if (strcmp(cmd, "resume") == 0) {
        reply->answer = answer_of(machine_resume(machine, &problem), &problem);
    } else if (strcmp(cmd, "balloon") == 0) {
        const json_t *size = json_object_get(request, "size");
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            reply->answer = control_error("balloon: \"size\" must be a number of bytes");
        else
            reply->answer = answer_of(
                machine_balloon(machine, (uint64_t)json_integer_value(size), &problem), &problem);
    } else if (strcmp(cmd, "save") == 0) {
        const char *path = json_string_value(json_object_get(request, "file"));
        bool keep = json_is_true(json_object_get(request, "keep"));
        if (path == NULL || path[0] != '/')
            reply->answer = control_error("save: \"file\" must be an absolute path");
        else
            reply->answer = answer_of(machine_save(machine, path, keep, &problem), &problem);
    } else if (strcmp(cmd, "console") == 0) {
        reply->answer = control_ok();
        reply->take = take_console;
    } else if (strcmp(cmd, "logs") == 0) {
        reply->answer = control_ok();
        reply->take =
            json_is_true(json_object_get(request, "follow")) ? take_logs_follow : take_logs;
    } else {
        reply->answer = control_error("unknown command '%.40s'", cmd);
    }
    reply->take_arg = machine;
}

/* ---- signals and keys ---- */

static void life_signalled(void *arg, uint32_t events)
{
    struct life *life = arg;
    struct signalfd_siginfo info;

    (void)events;
    while (read(life->signals.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (life->signal_count++ == 0)
            machine_stop(life->machine);
        else
            machine_kill(life->machine);
    }
}

static void life_quit(void *arg)
{
    struct life *life = arg;

    if (life->signal_count++ == 0)
        machine_stop(life->machine);
    else
        machine_kill(life->machine);
}

static int life_catch_signals(struct life *life, sigset_t *old, struct problem *problem)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, old);
    signal(SIGPIPE, SIG_IGN);
    life->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (life->signals.fd < 0)
        return problem_set(problem, -errno, "cannot watch for signals: %s", strerror(errno));
    return 0;
}

/* ---- from birth to death ---- */

static void report_line(void *arg, const char *text)
{
    fprintf(arg, "%s\n", text);
}

/* In one piece, because other machines of `up` share stderr. */
static void life_report(struct life *life, const struct machine_result *result)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    if (file == NULL)
        return;
    machine_report(life->machine, result, report_line, file);
    fclose(file);
    fwrite(text, 1, length, stderr);
    free(text);
}

static int life_open_console(struct life *life, const struct process *process,
                             struct problem *problem)
{
    struct stream_mux *mux = machine_console(life->machine);

    if (process->console_log != NULL &&
        stream_mux_add_log(mux, process->console_log, CONSOLE_LOG_LIMIT, problem) == NULL)
        return -E_IO;
    if (process->console_in < 0 && process->console_out >= 0 &&
        stream_mux_add_output(mux, process->console_out) == NULL)
        return problem_set(problem, -E_IO,
                           "cannot write to standard output; redirect it elsewhere");
    return 0;
}

static int life_start(struct life *life, const struct process *process, struct problem *problem)
{
    struct loop *loop = machine_loop(life->machine);

    life->signals.events = EPOLLIN;
    life->signals.fn = life_signalled;
    life->signals.arg = life;
    int error = loop_fd_add(loop, &life->signals);
    if (error < 0)
        return problem_set(problem, error, "cannot watch for signals: %s", strerror(-error));
    if (process->console_in >= 0) {
        life->terminal = terminal_open(machine_console(life->machine), loop, process->console_in,
                                       process->console_out, life_quit, life);
        if (life->terminal == NULL)
            return problem_set(
                problem, -E_IO,
                "cannot use standard input and output as the console; redirect them");
    }
    return machine_start(life->machine, problem);
}

enum process_status process_run(struct process *process, struct problem *problem)
{
    struct life life = {.signals = {.fd = -1}};
    struct control *control = NULL;
    struct machine_result result;
    enum process_status status = PROCESS_REFUSED;
    sigset_t old_mask;

    process->result = NULL;
    if (life_catch_signals(&life, &old_mask, problem) < 0)
        return PROCESS_REFUSED;
    if (process->spec != NULL) {
        if (machine_check(process->spec, problem) < 0 ||
            control_open(&control, process->spec->name, problem) < 0 ||
            machine_create(&life.machine, process->spec, &process->options, problem) < 0)
            goto done;
    } else if (machine_restore(&life.machine, process->restore, process->name, &process->options,
                               problem) < 0 ||
               control_open(&control, machine_spec(life.machine)->name, problem) < 0) {
        goto done;
    }
    if (life_open_console(&life, process, problem) < 0)
        goto done;
    if (process->built != NULL && !process->built(process->arg)) {
        problem_set(problem, 0, "%s", "");
        goto done;
    }
    if (life_start(&life, process, problem) < 0)
        goto done;
    int error = control_serve(control, life_answer, life.machine);
    if (error < 0) {
        problem_set(problem, error, "cannot start the thread of the control socket: %s",
                    strerror(-error));
        machine_kill(life.machine);
    }
    machine_wait(life.machine, &result);
    if (error < 0)
        goto done;
    /* Before the report: it is to be read on a terminal that is itself again. */
    terminal_close(life.terminal);
    life.terminal = NULL;
    if (result.outcome == MACHINE_FAILED)
        life_report(&life, &result);
    process->result = machine_result_json(machine_spec(life.machine), &result);
    json_object_set_new(process->result, "engine", machine_engine_json(life.machine));
    status = result.outcome == MACHINE_FAILED || result.outcome == MACHINE_KILLED ? PROCESS_FAILED
                                                                                  : PROCESS_WELL;

done:
    if (life.terminal != NULL)
        terminal_close(life.terminal);
    control_close(control);
    if (life.signals.added)
        loop_fd_del(machine_loop(life.machine), &life.signals);
    machine_destroy(life.machine);
    if (life.signals.fd >= 0)
        close(life.signals.fd);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    return status;
}
