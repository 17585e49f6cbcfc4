#define _GNU_SOURCE

#include "type2/terminal.h"

#include "core/error.h"
#include "core/host.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A 0x01

/* ---- raw mode ---- */

/* One a process, because signal handlers have nothing else to find it by. */
static struct {
    _Atomic bool raw;
    int fd;
    struct termios before, now;
} tty;

static const int deadly[] = {SIGHUP, SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,
                             SIGBUS, SIGFPE,  SIGSEGV, SIGPIPE, SIGALRM, SIGTERM,
                             SIGSYS, SIGXCPU, SIGXFSZ, SIGUSR1, SIGUSR2};

/* From a background process group tcsetattr would stop us with SIGTTOU, unless that is blocked. */
static void tty_set(const struct termios *how)
{
    sigset_t ttou, before;

    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &ttou, &before);
    while (tcsetattr(tty.fd, TCSADRAIN, how) != 0 && errno == EINTR)
        ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void terminal_raw_leave(void)
{
    if (atomic_exchange(&tty.raw, false))
        tty_set(&tty.before);
}

static void tty_deadly_signal(int number)
{
    int error = errno;

    terminal_raw_leave();
    errno = error;
    raise(number); /* SA_RESETHAND: with its default action now */
}

static void tty_continued(int number)
{
    int error = errno;

    (void)number;
    /* The shell has had the terminal meanwhile. */
    if (atomic_load(&tty.raw) && tcgetpgrp(tty.fd) == getpgrp())
        tty_set(&tty.now);
    errno = error;
}

static void tty_catch(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, present;

    if (sigaction(number, NULL, &present) == 0 && !(present.sa_flags & SA_SIGINFO) &&
        present.sa_handler == SIG_DFL)
        sigaction(number, &action, NULL);
}

int terminal_raw_enter(int fd)
{
    static bool at_exit;

    if (atomic_load(&tty.raw))
        return -E_BUSY;
    if (isatty(fd) != 1 || tcgetpgrp(fd) != getpgrp() || tcgetattr(fd, &tty.before) != 0)
        return -E_NODEV;
    tty.fd = fd;
    tty.now = tty.before;
    cfmakeraw(&tty.now);
    tty.now.c_oflag = tty.before.c_oflag;
    tty.now.c_cc[VMIN] = 1;
    tty.now.c_cc[VTIME] = 0;

    if (!at_exit)
        at_exit = atexit(terminal_raw_leave) == 0;
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        tty_catch(deadly[i], tty_deadly_signal, (int)SA_RESETHAND | SA_NODEFER);
    tty_catch(SIGCONT, tty_continued, SA_RESTART);
    atomic_store(&tty.raw, true);
    tty_set(&tty.now);
    return 0;
}

/* ---- the escape key ---- */

enum terminal_key terminal_escape_feed(struct terminal_escape *escape, unsigned char byte,
                                       unsigned char out[2], size_t *count)
{
    *count = 0;
    if (!escape->pending) {
        if (byte == CTRL_A) {
            escape->pending = true;
            return TERMINAL_NOTHING;
        }
        out[(*count)++] = byte;
        return TERMINAL_BYTES;
    }
    escape->pending = false;
    switch (byte) {
    case 'x':
    case 'X':
    case 'X' - '@': /* Ctrl was still held down */ return TERMINAL_QUIT;
    case 'h':
    case 'H':
    case '?': return TERMINAL_HELP;
    case CTRL_A:
    case 'a':
    case 'A': out[(*count)++] = CTRL_A; return TERMINAL_BYTES;
    default:
        out[(*count)++] = CTRL_A;
        out[(*count)++] = byte;
        return TERMINAL_BYTES;
    }
}

size_t terminal_help(char *text, size_t capacity, const char *leave)
{
    int length = snprintf(
        text, capacity, "\r\n[Ctrl-A X: %s   Ctrl-A Ctrl-A: send Ctrl-A   Ctrl-A H: this help]\r\n",
        leave);

    if (length < 0 || capacity == 0)
        return 0;
    return (size_t)length < capacity ? (size_t)length : capacity - 1;
}

/* ---- stdin and stdout ---- */

struct terminal {
    struct stream_mux *mux;
    struct loop *loop;
    struct loop_fd in;
    int out_fd;
    bool raw;
    bool plain_file; /* always readable; epoll does not take it */
    bool reading;
    void (*quit)(void *arg);
    void *arg;
    struct terminal_escape escape;
    unsigned char held[2048]; /* read, and not yet taken by the mux */
    size_t held_count;
};

static void terminal_end_input(struct terminal *terminal)
{
    terminal->reading = false;
    if (terminal->in.added)
        loop_fd_del(terminal->loop, &terminal->in);
}

static void terminal_push(struct terminal *terminal)
{
    size_t taken = stream_mux_input(terminal->mux, terminal->held, terminal->held_count);

    terminal->held_count -= taken;
    memmove(terminal->held, terminal->held + taken, terminal->held_count);
}

static void terminal_typed(struct terminal *terminal, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char out[2] = {bytes[i]};
        char text[160];
        size_t count = 1;
        enum terminal_key key = TERMINAL_BYTES;
        if (terminal->raw)
            key = terminal_escape_feed(&terminal->escape, bytes[i], out, &count);
        switch (key) {
        case TERMINAL_BYTES:
            memcpy(terminal->held + terminal->held_count, out, count);
            terminal->held_count += count;
            break;
        case TERMINAL_HELP:
            count = terminal_help(text, sizeof(text), "stop the machine");
            if (terminal->out_fd >= 0 && write(terminal->out_fd, text, count) < 0)
                break;
            break;
        case TERMINAL_QUIT:
            if (terminal->quit != NULL)
                terminal->quit(terminal->arg);
            break;
        case TERMINAL_NOTHING: break;
        }
    }
}

/* Reads and hands on until the mux takes no more, or (a tty, a pipe) once. */
static void terminal_pump(struct terminal *terminal)
{
    unsigned char bytes[1024]; /* Ctrl-A and another byte may make two of each */

    do {
        if (terminal->held_count > 0)
            terminal_push(terminal);
        if (terminal->held_count > 0)
            break;
        if (!terminal->reading)
            return;
        ssize_t got = read(terminal->in.fd, bytes, sizeof(bytes));
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (got <= 0) {
            terminal_end_input(terminal);
            return;
        }
        terminal_typed(terminal, bytes, (size_t)got);
        terminal_push(terminal);
    } while (terminal->held_count == 0 && terminal->plain_file);

    /* A keyboard that types faster than the guest reads must still be heard: Ctrl-A X. */
    if (terminal->in.added)
        loop_fd_set(terminal->loop, &terminal->in,
                    terminal->held_count > 0 && !terminal->raw ? 0 : EPOLLIN);
}

static void terminal_readable(void *arg, uint32_t events)
{
    struct terminal *terminal = arg;
    unsigned char bytes[256];

    if (terminal->held_count == 0) {
        terminal_pump(terminal);
        return;
    }
    if (terminal->raw) {
        ssize_t got = read(terminal->in.fd, bytes, sizeof(bytes));
        if (got <= 0 && !(got < 0 && (errno == EINTR || errno == EAGAIN))) {
            terminal_end_input(terminal);
            return;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (terminal->held_count + 2 > sizeof(terminal->held))
                terminal->held_count = 0; /* a guest that does not listen: forget what was typed */
            terminal_typed(terminal, &bytes[i], 1);
        }
        return;
    }
    /* EPOLLHUP cannot be silenced; what is held is not lost by that. */
    if (events & (EPOLLHUP | EPOLLERR))
        loop_fd_del(terminal->loop, &terminal->in);
}

static void terminal_input_ready(void *arg)
{
    struct terminal *terminal = arg;

    if (terminal->held_count > 0)
        terminal_push(terminal);
    if (terminal->held_count > 0)
        return;
    if (terminal->plain_file) {
        terminal_pump(terminal);
    } else if (terminal->reading && !terminal->in.added) {
        terminal->in.events = EPOLLIN;
        if (loop_fd_add(terminal->loop, &terminal->in) != 0)
            terminal->reading = false;
    } else if (terminal->in.added) {
        loop_fd_set(terminal->loop, &terminal->in, EPOLLIN);
    }
}

static void terminal_begin(void *arg)
{
    struct terminal *terminal = arg;

    if (terminal->in.fd < 0)
        return;
    terminal->reading = true;
    stream_mux_set_input_ready(terminal->mux, terminal_input_ready, terminal);
    if (loop_fd_add(terminal->loop, &terminal->in) == 0)
        return;
    terminal->plain_file = true;
    terminal_pump(terminal);
}

struct terminal *terminal_open(struct stream_mux *mux, struct loop *loop, int in_fd, int out_fd,
                               void (*quit)(void *arg), void *arg)
{
    struct terminal *terminal = calloc(1, sizeof(*terminal));

    if (terminal == NULL)
        return NULL;
    terminal->mux = mux;
    terminal->loop = loop;
    terminal->out_fd = out_fd;
    terminal->quit = quit;
    terminal->arg = arg;
    terminal->in =
        (struct loop_fd){.fd = in_fd, .events = EPOLLIN, .fn = terminal_readable, .arg = terminal};
    if (out_fd >= 0 && stream_mux_add_output(mux, out_fd) == NULL) {
        free(terminal);
        return NULL;
    }
    if (in_fd >= 0 && isatty(in_fd) == 1) {
        terminal->raw = terminal_raw_enter(in_fd) == 0;
        /* In the background a read would stop us: then there is no input. */
        if (!terminal->raw && tcgetpgrp(in_fd) != getpgrp())
            terminal->in.fd = -1;
    }
    loop_call(loop, terminal_begin, terminal);
    return terminal;
}

static void terminal_end(void *arg)
{
    struct terminal *terminal = arg;

    terminal_end_input(terminal);
    stream_mux_set_input_ready(terminal->mux, NULL, NULL);
}

void terminal_close(struct terminal *terminal)
{
    if (terminal == NULL)
        return;
    loop_call(terminal->loop, terminal_end, terminal);
    if (terminal->raw)
        terminal_raw_leave();
    free(terminal);
}
