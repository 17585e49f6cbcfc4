#define _GNU_SOURCE
#include "type2/control.h"

#include "type2/runtime_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* How long the listener is left alone when there is no descriptor for another client. */
#define ACCEPT_PAUSE_MS 100

struct control_client {
    int fd; /* -1: free */
    size_t used;
    char line[CONTROL_LINE_MAX];
};

struct control {
    char name[64];
    struct sockaddr_un address;
    int listener;
    _Atomic bool ending;
    bool serving;
    pthread_t thread;
    control_handler handler;
    void *arg;
    struct control_client *clients[CONTROL_CLIENTS_MAX];
};

json_t *control_ok(void)
{
    return json_pack("{s:b}", "ok", 1);
}

json_t *control_error(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* json_pack refuses text that is not UTF-8 (a file name may be anything). */
    json_t *answer = json_pack("{s:b,s:s}", "ok", 0, "error", text);
    return answer != NULL ? answer : json_pack("{s:b,s:s}", "ok", 0, "error", "failed");
}

static int control_address(struct sockaddr_un *address, const char *name, struct problem *problem)
{
    char dir[PATH_MAX];

    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    int error = runtime_dir_path(dir, sizeof(dir));
    if (error == 0) {
        int n = snprintf(address->sun_path, sizeof(address->sun_path), "%.90s/%s.sock", dir, name);
        if (n < 0 || (size_t)n >= sizeof(address->sun_path) || strlen(dir) > 90)
            error = -E_RANGE;
    }
    if (error < 0)
        return problem_set(
            problem, error,
            "%s: the path of its control socket is too long; shorten the name or $XDG_RUNTIME_DIR",
            name);
    return 0;
}

/* A connection to whoever listens, or a negative errno: ECONNREFUSED is a socket whose process is
 * dead. */
static int control_try_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int control_open(struct control **out, const char *name, struct problem *problem)
{
    struct control *control = calloc(1, sizeof(*control));
    int error;

    if (control == NULL)
        return problem_set(problem, -E_NOMEM, "out of memory; free some on this host");
    snprintf(control->name, sizeof(control->name), "%s", name);
    control->listener = -1;
    error = control_address(&control->address, name, problem);
    if (error < 0)
        goto failed;

    int dir = runtime_dir_lock(true, problem);
    if (dir < 0) {
        error = dir;
        goto failed;
    }
    int other = control_try_connect(&control->address);
    if (other >= 0) {
        error = problem_set(problem, -E_BUSY,
                            "%s: a VM of this name runs already (process %ld); choose another "
                            "--name, or end it with "
                            "'trivisor stop %s'",
                            name, (long)control_peer(other), name);
        close(other);
    } else {
        if (other == -ECONNREFUSED)
            unlink(control->address.sun_path);
        control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (control->listener < 0 ||
            bind(control->listener, (struct sockaddr *)&control->address,
                 sizeof(control->address)) < 0 ||
            listen(control->listener, 16) < 0)
            error = problem_set(problem, -errno, "%s: cannot make the control socket: %s",
                                control->address.sun_path, strerror(errno));
    }
    close(dir);
    if (error < 0)
        goto failed;
    *out = control;
    return 0;

failed:
    if (control->listener >= 0)
        close(control->listener);
    free(control);
    return error;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_json(int fd, const json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
    size_t length = text != NULL ? strlen(text) : 0;

    if (text == NULL)
        return false;
    text[length] = '\n'; /* in place of the NUL: the line goes out in one piece */
    bool sent = send_all(fd, text, length + 1);
    free(text);
    return sent;
}

/* One complete request line. False: the connection is over, or no longer ours. */
static bool control_request(struct control *control, struct control_client *client, char *line)
{
    struct control_reply reply = {0};
    json_error_t json_error;
    json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, &json_error);
    const char *cmd = json_string_value(json_object_get(request, "cmd"));

    if (request == NULL)
        reply.answer = control_error("not a line of JSON: %s", json_error.text);
    else if (cmd == NULL)
        reply.answer = control_error("no \"cmd\" in the request");
    else
        control->handler(control->arg, cmd, request, &reply);
    json_decref(request);
    bool sent = send_json(client->fd, reply.answer);
    json_decref(reply.answer);
    if (reply.take != NULL) {
        /* Even when sending failed: the taker finds the broken connection by itself. */
        reply.take(reply.take_arg, client->fd);
        client->fd = -1;
        return false;
    }
    return sent;
}

/* Reads what there is and answers each whole line. False: the connection is over. */
static bool control_read(struct control *control, struct control_client *client)
{
    ssize_t n = recv(client->fd, client->line + client->used, sizeof(client->line) - client->used,
                     MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    client->used += (size_t)n;
    for (;;) {
        char *end = memchr(client->line, '\n', client->used);
        if (end == NULL)
            break;
        *end = 0;
        if (!control_request(control, client, client->line))
            return false;
        client->used -= (size_t)(end + 1 - client->line);
        memmove(client->line, end + 1, client->used);
    }
    if (client->used < sizeof(client->line))
        return true;
    json_t *answer = control_error("a request line is at most %d bytes", CONTROL_LINE_MAX - 1);
    send_json(client->fd, answer);
    json_decref(answer);
    return false;
}

static void client_drop(struct control_client **slot)
{
    if ((*slot)->fd >= 0)
        close((*slot)->fd);
    free(*slot);
    *slot = NULL;
}

/* False: somebody waits, but this process has run out of descriptors (or memory) for now. */
static bool control_accept(struct control *control)
{
    int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    /* A client that does not read must not hold the server for long. */
    struct timeval patience = {.tv_sec = 2};

    if (fd < 0)
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        close(fd);
        return true;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (control->clients[i] != NULL)
            continue;
        control->clients[i] = calloc(1, sizeof(struct control_client));
        if (control->clients[i] == NULL)
            break;
        control->clients[i]->fd = fd;
        return true;
    }
    close(fd);
    return true;
}

static void *control_thread(void *arg)
{
    struct control *control = arg;
    bool pause = false;

    while (!atomic_load(&control->ending)) {
        struct pollfd polls[1 + CONTROL_CLIENTS_MAX];
        struct control_client **slots[1 + CONTROL_CLIENTS_MAX];
        nfds_t count = 1;

        polls[0] = (struct pollfd){.fd = pause ? -1 : control->listener, .events = POLLIN};
        for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
            if (control->clients[i] == NULL)
                continue;
            slots[count] = &control->clients[i];
            polls[count++] = (struct pollfd){.fd = control->clients[i]->fd, .events = POLLIN};
        }
        if (poll(polls, count, pause ? ACCEPT_PAUSE_MS : -1) < 0)
            continue;
        /* Who cannot be accepted keeps the listener readable: no use in asking without a pause. */
        pause = polls[0].revents != 0 && !control_accept(control);
        for (nfds_t i = 1; i < count; i++)
            if (polls[i].revents != 0 && !control_read(control, *slots[i]))
                client_drop(slots[i]);
    }
    return NULL;
}

int control_serve(struct control *control, control_handler handler, void *arg)
{
    control->handler = handler;
    control->arg = arg;
    int error = pthread_create(&control->thread, NULL, control_thread, control);
    if (error != 0)
        return -error;
    pthread_setname_np(control->thread, "control");
    control->serving = true;
    return 0;
}

void control_close(struct control *control)
{
    if (control == NULL)
        return;
    if (control->serving) {
        atomic_store(&control->ending, true);
        shutdown(control->listener, SHUT_RDWR); /* wakes its poll */
        pthread_join(control->thread, NULL);
    }
    int dir = runtime_dir_lock(false, NULL);
    unlink(control->address.sun_path);
    if (dir >= 0) {
        runtime_dir_tidy();
        close(dir);
    }
    close(control->listener);
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i] != NULL)
            client_drop(&control->clients[i]);
    free(control);
}

pid_t control_peer(int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : -1;
}

int control_connect(const char *name, struct problem *problem)
{
    struct sockaddr_un address;

    if (strchr(name, '/') != NULL || name[0] == 0)
        return problem_set(problem, -E_INVAL,
                           "'%s' is not the name of a VM; 'trivisor ps' lists those that run",
                           name);
    int error = control_address(&address, name, problem);
    if (error < 0)
        return error;
    int fd = control_try_connect(&address);
    if (fd == -ECONNREFUSED)
        control_clear(name);
    if (fd == -ECONNREFUSED || fd == -ENOENT)
        return problem_set(problem, -E_NOENT,
                           "%s: no VM of this name runs; 'trivisor ps' lists those that do", name);
    if (fd < 0)
        return problem_set(problem, fd, "%s: cannot reach its control socket %s: %s", name,
                           address.sun_path, strerror(-fd));
    /* Below /tmp anybody may have made the folder first, and would get the orders meant for ours.
     */
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid()) {
        close(fd);
        return problem_set(problem, -E_INVAL,
                           "%s: its control socket %s belongs to another user; remove the folder, "
                           "or set XDG_RUNTIME_DIR",
                           name, address.sun_path);
    }
    return fd;
}

json_t *control_call(int fd, const json_t *request, int timeout_ms, struct problem *problem)
{
    char line[CONTROL_LINE_MAX * 4];
    size_t used = 0;
    json_error_t json_error;
    struct timespec start, now;

    if (!send_json(fd, request)) {
        problem_set(problem, -E_IO, "the VM has gone away");
        return NULL;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    /* Byte by byte: after the line a stream may follow, which is not ours to read. */
    while (used + 1 < sizeof(line)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        clock_gettime(CLOCK_MONOTONIC, &now);
        long left = timeout_ms -
                    ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000);
        if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0) {
            problem_set(problem, -E_AGAIN, "the VM did not answer within %d ms", timeout_ms);
            return NULL;
        }
        ssize_t n = recv(fd, line + used, 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            problem_set(problem, -E_IO, "the VM has gone away");
            return NULL;
        }
        if (line[used] == '\n')
            break;
        used++;
    }
    line[used] = 0;
    json_t *answer = json_loads(line, 0, &json_error);
    if (answer == NULL) {
        problem_set(problem, -E_PROTO, "its answer is not JSON: %s", json_error.text);
    } else if (!json_is_true(json_object_get(answer, "ok"))) {
        const char *text = json_string_value(json_object_get(answer, "error"));
        problem_set(problem, -E_INVAL, "%s", text != NULL ? text : "refused");
        json_decref(answer);
        answer = NULL;
    }
    return answer;
}

void control_clear(const char *name)
{
    struct sockaddr_un address;
    int dir = runtime_dir_lock(false, NULL);

    if (dir < 0)
        return;
    if (control_address(&address, name, NULL) == 0) {
        int fd = control_try_connect(&address);
        if (fd >= 0)
            close(fd);
        else if (fd == -ECONNREFUSED)
            unlink(address.sun_path);
    }
    runtime_dir_tidy();
    close(dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

int control_each(void (*each)(void *arg, const char *name, int fd), void *arg,
                 struct problem *problem)
{
    int dir = runtime_dir_lock(false, problem);
    char(*names)[64] = NULL;
    size_t count = 0;

    if (dir == -E_NOENT)
        return 0;
    if (dir < 0)
        return dir;
    DIR *list = fdopendir(dir); /* takes dir */
    struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len <= 5 || len - 5 >= sizeof(names[0]) ||
            strcmp(entry->d_name + len - 5, ".sock") != 0)
            continue;
        char(*more)[64] = realloc(names, (count + 1) * sizeof(names[0]));
        if (more == NULL)
            break;
        names = more;
        memcpy(names[count], entry->d_name, len - 5);
        names[count++][len - 5] = 0;
    }
    if (list != NULL)
        closedir(list); /* and with it the lock, which control_connect may need */
    else
        close(dir);
    if (count > 0)
        qsort(names, count, sizeof(names[0]), by_name);
    for (size_t i = 0; i < count; i++) {
        int fd = control_connect(names[i], NULL);
        if (fd < 0)
            continue;
        each(arg, names[i], fd);
        close(fd);
    }
    free(names);
    return 0;
}
