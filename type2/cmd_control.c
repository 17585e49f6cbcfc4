/* stop, kill, pause, resume, balloon, save: one request to a VM's control socket. */
#define _GNU_SOURCE
#include "type2/command.h"
#include "type2/config.h"
#include "type2/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS      5000
#define KILL_ANSWER_MS 1000
#define SAVE_MS        (10 * 60 * 1000)

static const struct option no_options[] = {{"help", no_argument, NULL, 'h'}, {0}};

/* Sends {"cmd": cmd}; the connected descriptor, or -1 after one line on stderr. */
static int request(const char *name, const char *cmd, int timeout_ms)
{
    struct problem problem = {.text = ""};
    int fd = control_connect(name, &problem);

    if (fd < 0) {
        command_fail("%s", problem.text);
        return -1;
    }
    json_t *message = json_pack("{s:s}", "cmd", cmd);
    json_t *answer = control_call(fd, message, timeout_ms, &problem);
    json_decref(message);
    if (answer == NULL) {
        command_fail("%s: %s: %s", cmd, name, problem.text);
        close(fd);
        return -1;
    }
    json_decref(answer);
    return fd;
}

/* The VM's process closes the connection as it ends. */
static bool wait_for_end(int fd, int timeout_ms)
{
    struct timespec start, now;
    char byte;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        clock_gettime(CLOCK_MONOTONIC, &now);
        long left = timeout_ms -
                    ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000);
        if (left <= 0)
            return false;
        if (poll(&poll_fd, 1, (int)left) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0 &&
            errno != EAGAIN)
            return true;
    }
}

/* The same request to each NAME of the command line. */
static int request_each(int argc, char **argv)
{
    int status = 0;
    int c = command_getopt(argc, argv, no_options);

    if (c != -1)
        return c == -2 ? 0 : 2;
    if (optind == argc)
        return command_words(argc, argv, 1) ? 0 : 2;
    for (int i = optind; i < argc; i++) {
        int fd = request(argv[i], argv[0], ANSWER_MS);
        if (fd < 0)
            status = 2;
        else
            close(fd);
    }
    return status;
}

int cmd_pause(int argc, char **argv)
{
    return request_each(argc, argv);
}

int cmd_resume(int argc, char **argv)
{
    return request_each(argc, argv);
}

int cmd_stop(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"timeout", required_argument, NULL, 't'}, {0}};
    long timeout = 30;
    int status = 0, c;

    while ((c = command_getopt(argc, argv, options)) == 't') {
        char *end;
        errno = 0;
        timeout = strtol(optarg, &end, 10);
        if (*optarg == 0 || *end != 0 || errno != 0 || timeout < 0 || timeout > 86400)
            return command_fail("stop: --timeout %s: give seconds, 0 to 86400", optarg);
    }
    if (c != -1)
        return c == -2 ? 0 : 2;
    if (optind == argc)
        return command_words(argc, argv, 1) ? 0 : 2;
    /* All are asked before the first is waited for. */
    int *fds = calloc((size_t)argc, sizeof(*fds));
    if (fds == NULL)
        return command_fail("out of memory; free some on this host");
    for (int i = optind; i < argc; i++)
        fds[i] = request(argv[i], "stop", ANSWER_MS);
    for (int i = optind; i < argc; i++) {
        if (fds[i] < 0) {
            status = 2;
            continue;
        }
        if (!wait_for_end(fds[i], (int)timeout * 1000)) {
            command_fail("%s: still runs after %ld s; end it with 'trivisor kill %s'", argv[i],
                         timeout, argv[i]);
            status = 1;
        }
        close(fds[i]);
    }
    free(fds);
    return status;
}

static int kill_one(const char *name)
{
    struct problem problem = {.text = ""};
    int fd = control_connect(name, &problem);

    if (fd < 0)
        return command_fail("%s", problem.text);
    pid_t pid = control_peer(fd);
    json_t *message = json_pack("{s:s}", "cmd", "kill");
    json_t *answer = control_call(fd, message, KILL_ANSWER_MS, NULL);
    json_decref(message);
    bool gone = answer != NULL && wait_for_end(fd, KILL_ANSWER_MS);
    json_decref(answer);
    /* The connection is open: the process that we ask the kernel to end is the one that listens. */
    if (!gone && pid > 0 && kill(pid, SIGKILL) == 0)
        gone = wait_for_end(fd, ANSWER_MS);
    close(fd);
    control_clear(name);
    return gone ? 0
                : command_fail("kill: %s: cannot end its process %ld: %s", name, (long)pid,
                               strerror(errno));
}

int cmd_kill(int argc, char **argv)
{
    int status = 0;
    int c = command_getopt(argc, argv, no_options);

    if (c != -1)
        return c == -2 ? 0 : 2;
    if (optind == argc)
        return command_words(argc, argv, 1) ? 0 : 2;
    for (int i = optind; i < argc; i++)
        if (kill_one(argv[i]) != 0)
            status = 2;
    return status;
}

int cmd_balloon(int argc, char **argv)
{
    struct problem problem = {.text = ""};
    uint64_t size;
    int c = command_getopt(argc, argv, no_options);

    if (c != -1)
        return c == -2 ? 0 : 2;
    if (!command_words(argc, argv, 2))
        return 2;
    const char *name = argv[optind];
    if (config_parse_size(argv[optind + 1], &size, &problem) < 0)
        return command_fail("balloon: %s", problem.text);
    int fd = control_connect(name, &problem);
    if (fd < 0)
        return command_fail("%s", problem.text);
    json_t *message = json_pack("{s:s,s:I}", "cmd", "balloon", "size", (json_int_t)size);
    json_t *answer = control_call(fd, message, ANSWER_MS, &problem);
    json_decref(message);
    int status = answer != NULL ? 0 : command_fail("balloon: %s", problem.text);
    json_decref(answer);
    close(fd);
    return status;
}

int cmd_save(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"keep", no_argument, NULL, 'k'}, {0}};
    struct problem problem = {.text = ""};
    char folder[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
    bool keep = false;
    int c;

    while ((c = command_getopt(argc, argv, options)) == 'k')
        keep = true;
    if (c != -1)
        return c == -2 ? 0 : 2;
    if (!command_words(argc, argv, 2))
        return 2;
    const char *name = argv[optind], *file = argv[optind + 1];
    /* The VM's process writes it, and has a working directory of its own. */
    if (file[0] == '/')
        snprintf(path, sizeof(path), "%s", file);
    else if (getcwd(folder, sizeof(folder)) == NULL)
        return command_fail("save: the current folder: %s", strerror(errno));
    else
        snprintf(path, sizeof(path), "%s/%s", folder, file);
    int fd = control_connect(name, &problem);
    if (fd < 0)
        return command_fail("%s", problem.text);
    json_t *message = json_pack("{s:s,s:s,s:b}", "cmd", "save", "file", path, "keep", (int)keep);
    json_t *answer = message != NULL ? control_call(fd, message, SAVE_MS, &problem) : NULL;
    if (message == NULL)
        problem_set(&problem, -E_INVAL, "the file's name must be UTF-8");
    json_decref(message);
    int status = answer != NULL ? 0 : command_fail("save: %s", problem.text);
    if (answer != NULL && !keep)
        wait_for_end(fd, ANSWER_MS);
    json_decref(answer);
    close(fd);
    return status;
}
