/* console and logs: a VM's console as a byte stream on this terminal. */
#define _GNU_SOURCE
#include "type2/command.h"
#include "type2/control.h"
#include "type2/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 5000

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* A connection on which the VM has begun to stream, or -1 after one line on stderr. */
static int stream_open(const char *name, json_t *request)
{
    struct problem problem = {.text = ""};
    int fd = control_connect(name, &problem);

    if (fd >= 0) {
        json_t *answer = control_call(fd, request, ANSWER_MS, &problem);
        if (answer == NULL) {
            close(fd);
            fd = -1;
            command_fail("%s: %s", name, problem.text);
        }
        json_decref(answer);
    } else {
        command_fail("%s", problem.text);
    }
    json_decref(request);
    return fd;
}

/* Keys go to the guest. False: the person wants to leave. */
static bool keys_pump(int fd, struct terminal_escape *escape, bool raw, int *input)
{
    unsigned char keys[256];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

    if (n <= 0) {
        *input = -1; /* end of input; the guest may go on printing */
        return true;
    }
    if (!raw) {
        send(fd, keys, (size_t)n, MSG_NOSIGNAL);
        return true;
    }
    for (ssize_t i = 0; i < n; i++) {
        unsigned char out[2];
        char help[400];
        size_t count = 0;
        switch (terminal_escape_feed(escape, keys[i], out, &count)) {
        case TERMINAL_QUIT: return false;
        case TERMINAL_BYTES: send(fd, out, count, MSG_NOSIGNAL); break;
        case TERMINAL_HELP:
            write_all(STDOUT_FILENO, help, terminal_help(help, sizeof(help), "detach"));
            break;
        case TERMINAL_NOTHING: break;
        }
    }
    return true;
}

int cmd_console(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct terminal_escape escape = {0};
    int input = STDIN_FILENO;
    bool left = false;
    int c = command_getopt(argc, argv, options);

    if (c != -1)
        return c == -2 ? 0 : 2;
    if (!command_words(argc, argv, 1))
        return 2;
    const char *name = argv[optind];
    int fd = stream_open(name, json_pack("{s:s}", "cmd", "console"));
    if (fd < 0)
        return 2;
    bool raw = terminal_raw_enter(STDIN_FILENO) == 0;
    if (raw)
        dprintf(STDERR_FILENO, "Attached to %s; Ctrl-A X detaches.\r\n", name);
    for (;;) {
        struct pollfd polls[2] = {{.fd = fd, .events = POLLIN}, {.fd = input, .events = POLLIN}};
        char bytes[4096];

        if (poll(polls, 2, -1) < 0)
            continue;
        if (polls[0].revents != 0) {
            ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
            if (n <= 0 || !write_all(STDOUT_FILENO, bytes, (size_t)n))
                break;
        }
        if (polls[1].revents != 0 && !keys_pump(fd, &escape, raw, &input)) {
            left = true;
            break;
        }
    }
    terminal_raw_leave();
    close(fd);
    if (raw)
        fprintf(stderr, left ? "\nDetached from %s.\n" : "\n%s has ended.\n", name);
    return 0;
}

int cmd_logs(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"follow", no_argument, NULL, 'f'}, {0}};
    bool follow = false;
    char bytes[4096];
    ssize_t n;
    int c;

    while ((c = command_getopt(argc, argv, options)) == 'f')
        follow = true;
    if (c != -1)
        return c == -2 ? 0 : 2;
    if (!command_words(argc, argv, 1))
        return 2;
    int fd =
        stream_open(argv[optind], json_pack("{s:s,s:b}", "cmd", "logs", "follow", (int)follow));
    if (fd < 0)
        return 2;
    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        if (!write_all(STDOUT_FILENO, bytes, (size_t)n))
            break;
    close(fd);
    return 0;
}
