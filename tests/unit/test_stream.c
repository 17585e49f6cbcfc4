#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/host.h"
#include "type2/host.h"
#include "type2/stream.h"
#include "type2/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

static struct loop loop;
static struct stream_mux *mux;

static int open_mux(void **state)
{
    struct problem problem;

    (void)state;
    if (loop_init(&loop, &problem) != 0 || loop_start(&loop, "test", &problem) != 0)
        return -1;
    mux = stream_mux_new("web", &loop);
    return mux != NULL ? 0 : -1;
}

static int close_mux(void **state)
{
    (void)state;
    stream_mux_free(mux);
    loop_stop(&loop);
    loop_fini(&loop);
    return 0;
}

static size_t guest_writes(const void *bytes, size_t len)
{
    struct stream_backend *backend = stream_mux_backend(mux);

    return backend->ops->write(backend, bytes, len);
}

/* The n-th byte of the guest's endless speech. */
static unsigned char speech(uint64_t n)
{
    return (unsigned char)(n * 31 + (n >> 8) * 7);
}

/* ---- output ---- */

struct speaker {
    size_t total, step;
    size_t taken;
    _Atomic bool enough; /* the write under way is the last one */
};

static void *speak(void *arg)
{
    struct speaker *speaker = arg;
    unsigned char bytes[5000];

    for (size_t at = 0; at < speaker->total && !speaker->enough;) {
        size_t part = speaker->total - at < speaker->step ? speaker->total - at : speaker->step;
        for (size_t i = 0; i < part; i++)
            bytes[i] = speech(at + i);
        speaker->taken += guest_writes(bytes, part);
        at += part;
    }
    return NULL;
}

static void pipe_that_is_read_slowly_loses_nothing(void **state)
{
    struct speaker speaker = {.total = 3 << 20, .step = 4999};
    pthread_t thread;
    int ends[2];
    static unsigned char bytes[65536];
    size_t got = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_non_null(stream_mux_add_output(mux, ends[1]));
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    pthread_create(&thread, NULL, speak, &speaker);
    usleep(100000); /* all buffers are full now, and the speaker waits */
    while (got < speaker.total) {
        ssize_t n = read(ends[0], bytes, sizeof(bytes));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] != speech(got + (size_t)i))
                fail_msg("byte %zu is wrong", got + (size_t)i);
        got += (size_t)n;
    }
    pthread_join(thread, NULL);
    assert_int_equal(speaker.taken, speaker.total);
    assert_int_equal(stream_mux_lost(mux), 0);
    close(ends[0]);
    close(ends[1]);
}

static void single_bytes_reach_files_in_order(void **state)
{
    struct speaker speaker = {.total = 20000, .step = 1};
    struct problem problem;
    unsigned char bytes[20001];
    char path[] = "/tmp/trivisor-stream-XXXXXX", log[64], old[80];

    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(log, sizeof(log), "%s.log", path);
    snprintf(old, sizeof(old), "%s.log.1", path);
    assert_non_null(stream_mux_add_output(mux, fd));
    assert_non_null(stream_mux_add_log(mux, log, 15000, &problem));
    speak(&speaker);
    assert_true(stream_mux_flush(mux, 10000));
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 20000);
    for (size_t i = 0; i < 20000; i++)
        assert_int_equal(bytes[i], speech(i));

    /* The log was turned over once it had passed its limit, and the two halves are the whole. */
    struct stat first, second;
    assert_int_equal(stat(old, &first), 0);
    assert_int_equal(stat(log, &second), 0);
    assert_true(first.st_size >= 15000);
    assert_int_equal(first.st_size + second.st_size, 20000);
    close(fd);
    unlink(path);
    unlink(log);
    unlink(old);
}

static void reader_that_stands_still_holds_up_a_patient_mux_only(void **state)
{
    struct speaker speaker = {.total = 2 << 20, .step = 4096};
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_non_null(stream_mux_add_output(mux, ends[1]));
    int log = open("/dev/null", O_WRONLY);
    host_log_set_fd(log);
    pthread_create(&thread, NULL, speak, &speaker); /* nobody ever reads */
    usleep(1500000);
    assert_int_equal(stream_mux_lost(mux), 0);
    assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY);
    /* What a writer was about to say when patience ended is kept. */
    stream_mux_set_patient(mux, false);
    pthread_join(thread, NULL);
    assert_true(speaker.taken < speaker.total);
    assert_int_equal(stream_mux_lost(mux), speaker.total - speaker.taken);
    assert_false(stream_mux_flush(mux, 10));
    host_log_set_fd(STDERR_FILENO);
    close(log);
    close(ends[0]);
    close(ends[1]);
}

static void waiting_write_is_kept_when_patience_ends(void **state)
{
    struct speaker speaker = {.total = 1 << 20, .step = 4096};
    static unsigned char bytes[1 << 20];
    pthread_t thread;
    int ends[2];
    size_t got = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_non_null(stream_mux_add_output(mux, ends[1]));
    pthread_create(&thread, NULL, speak, &speaker);
    usleep(1000000);
    assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY);
    speaker.enough = true; /* as a VCPU that is to be parked */
    stream_mux_set_patient(mux, false);
    pthread_join(thread, NULL);
    stream_mux_set_patient(mux, true);
    assert_int_equal(stream_mux_lost(mux), 0);
    assert_int_equal(speaker.taken % speaker.step, 0);
    while (got < speaker.taken) {
        ssize_t n = read(ends[0], bytes + got, sizeof(bytes) - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    for (size_t i = 0; i < got; i++)
        if (bytes[i] != speech(i))
            fail_msg("byte %zu is wrong", i);
    close(ends[0]);
    close(ends[1]);
}

static void closed_pipe_is_survived(void **state)
{
    int ends[2], log = open("/dev/null", O_WRONLY);

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_non_null(stream_mux_add_output(mux, ends[1]));
    close(ends[0]);
    host_log_set_fd(log);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(guest_writes("hello\n", 6), 6);
        assert_true(stream_mux_flush(mux, 10000));
    }
    host_log_set_fd(STDERR_FILENO);
    close(log);
    close(ends[1]);
}

struct tapped {
    char text[256];
    size_t length;
};

static void tap(void *arg, const void *bytes, size_t len)
{
    struct tapped *tapped = arg;

    if (len > sizeof(tapped->text) - 1 - tapped->length)
        len = sizeof(tapped->text) - 1 - tapped->length;
    memcpy(tapped->text + tapped->length, bytes, len);
    tapped->length += len;
}

static void removed_tap_hears_no_more(void **state)
{
    struct tapped a = {0}, b = {0};

    (void)state;
    struct stream_sink *sink = stream_mux_add_tap(mux, tap, &a);
    assert_non_null(stream_mux_add_tap(mux, tap, &b));
    guest_writes("one ", 4);
    assert_true(stream_mux_flush(mux, 10000));
    stream_mux_remove(mux, sink);
    guest_writes("two", 3);
    assert_true(stream_mux_flush(mux, 10000));
    assert_string_equal(a.text, "one ");
    assert_string_equal(b.text, "one two");
}

/* ---- input ---- */

struct slow_device {
    struct tapped got;
    size_t room;
    pthread_mutex_t lock;
};

static size_t device_receives(void *arg, const void *bytes, size_t len)
{
    struct slow_device *device = arg;

    pthread_mutex_lock(&device->lock);
    size_t taken = len < device->room ? len : device->room;
    tap(&device->got, bytes, taken);
    device->room -= taken;
    pthread_mutex_unlock(&device->lock);
    return taken;
}

static void device_makes_room(struct slow_device *device, size_t room)
{
    struct stream_backend *backend = stream_mux_backend(mux);

    pthread_mutex_lock(&device->lock);
    device->room = room;
    pthread_mutex_unlock(&device->lock);
    backend->ops->resume(backend);
}

static void wait_for_input(struct slow_device *device, const char *wanted)
{
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&device->lock);
        bool there = device->got.length >= strlen(wanted);
        pthread_mutex_unlock(&device->lock);
        if (there)
            break;
        usleep(1000);
    }
    pthread_mutex_lock(&device->lock);
    assert_string_equal(device->got.text, wanted);
    pthread_mutex_unlock(&device->lock);
}

static void plug_device(struct slow_device *device)
{
    struct stream_backend *backend = stream_mux_backend(mux);

    pthread_mutex_init(&device->lock, NULL);
    backend->device = device;
    backend->receive = device_receives;
}

static void input_waits_until_the_device_takes_it(void **state)
{
    struct slow_device device = {.room = 3};

    (void)state;
    plug_device(&device);
    assert_int_equal(stream_mux_input(mux, "abcdefgh", 8), 8);
    wait_for_input(&device, "abc");
    device_makes_room(&device, 2);
    wait_for_input(&device, "abcde");
    device_makes_room(&device, 100);
    wait_for_input(&device, "abcdefgh");
}

static _Atomic int hung_up;

static void note_hung_up(void *arg)
{
    (void)arg;
    atomic_fetch_add(&hung_up, 1);
}

static void attached_person_sees_history_and_types(void **state)
{
    struct slow_device device = {.room = 100};
    int ends[2];
    char text[64];

    (void)state;
    plug_device(&device);
    guest_writes("login: ", 7);
    assert_true(stream_mux_flush(mux, 10000));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_non_null(stream_mux_attach(mux, ends[0], 5, note_hung_up, NULL));
    assert_int_equal(recv(ends[1], text, 5, MSG_WAITALL), 5);
    assert_memory_equal(text, "gin: ", 5);
    assert_int_equal(write(ends[1], "root\n", 5), 5);
    wait_for_input(&device, "root\n");
    guest_writes("# ", 2);
    assert_int_equal(recv(ends[1], text, 2, MSG_WAITALL), 2);
    assert_memory_equal(text, "# ", 2);
    close(ends[1]);
    for (int i = 0; i < 5000 && atomic_load(&hung_up) == 0; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&hung_up), 1);
}

static void attached_person_who_does_not_read_holds_nobody_up(void **state)
{
    struct speaker speaker = {.total = 2 << 20, .step = 4096};
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct stream_sink *sink = stream_mux_attach(mux, ends[0], 0, NULL, NULL);
    assert_non_null(sink);
    speak(&speaker);
    assert_true(stream_mux_flush(mux, 10000));
    assert_int_equal(speaker.taken, speaker.total);
    assert_int_equal(stream_mux_lost(mux), 0);
    stream_mux_remove(mux, sink);
    close(ends[1]);
}

/* ---- lines ---- */

static void expect_lines(const char *fed, bool colour, const char *wanted)
{
    struct line_printer printer;
    char text[4096];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    line_printer_init(&printer, ends[1], "db", 4, 1, colour);
    for (const char *c = fed; *c != 0; c++) /* byte by byte, as a UART does */
        line_printer_feed(&printer, c, 1);
    line_printer_flush(&printer);
    close(ends[1]);
    ssize_t got = read(ends[0], text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = 0;
    assert_string_equal(text, wanted);
    close(ends[0]);
}

static void lines_get_the_name_in_front(void **state)
{
    (void)state;
    expect_lines("one\r\ntwo\n\nlogin: ", false,
                 "db   | one\ndb   | two\ndb   | \ndb   | login: \n");
}

static void cursor_movement_is_left_out_and_colours_stay(void **state)
{
    (void)state;
    expect_lines("a\033[2J\033[10;5Hb\033]0;title\007c\033(Bd\b\033[31mred\033[0m\n", false,
                 "db   | abcdred\n");
    expect_lines("\033[2J\033[31mred\033[K\n", true, "\033[33mdb   |\033[0m \033[31mred\033[0m\n");
    expect_lines("cut \033[3\nnext\n", false, "db   | cut \ndb   | next\n");
}

static void endless_lines_are_broken(void **state)
{
    static char fed[LINE_PRINTER_MAX + 11], wanted[LINE_PRINTER_MAX + 64];

    (void)state;
    memset(fed, 'x', LINE_PRINTER_MAX + 10);
    sprintf(wanted, "db   | %.*s\ndb   | xxxxxxxxxx\n", LINE_PRINTER_MAX, fed);
    expect_lines(fed, false, wanted);
}

/* ---- the terminal ---- */

static void escape_key_is_told_from_typing(void **state)
{
    struct terminal_escape escape = {0};
    unsigned char out[2];
    size_t count;

    (void)state;
    assert_int_equal(terminal_escape_feed(&escape, 'x', out, &count), TERMINAL_BYTES);
    assert_int_equal(count, 1);
    assert_int_equal(out[0], 'x');
    assert_int_equal(terminal_escape_feed(&escape, 1, out, &count), TERMINAL_NOTHING);
    assert_int_equal(terminal_escape_feed(&escape, 1, out, &count), TERMINAL_BYTES);
    assert_int_equal(count, 1);
    assert_int_equal(out[0], 1);
    assert_int_equal(terminal_escape_feed(&escape, 1, out, &count), TERMINAL_NOTHING);
    assert_int_equal(terminal_escape_feed(&escape, 'k', out, &count), TERMINAL_BYTES);
    assert_int_equal(count, 2);
    assert_memory_equal(out, "\001k", 2);
    assert_int_equal(terminal_escape_feed(&escape, 1, out, &count), TERMINAL_NOTHING);
    assert_int_equal(terminal_escape_feed(&escape, 'h', out, &count), TERMINAL_HELP);
    assert_int_equal(terminal_escape_feed(&escape, 1, out, &count), TERMINAL_NOTHING);
    assert_int_equal(terminal_escape_feed(&escape, 'X', out, &count), TERMINAL_QUIT);
    assert_int_equal(terminal_escape_feed(&escape, 'x', out, &count), TERMINAL_BYTES);
}

enum ending { END_RETURN, END_EXIT, END_ABORT, END_TERM, END_HUP };

static void child_uses_terminal(enum ending ending)
{
    if (terminal_raw_enter(0) != 0)
        _exit(99);
    if (write(1, "R", 1) != 1)
        _exit(98);
    char go;
    if (read(0, &go, 1) != 1 || go != 3) /* Ctrl-C is a byte like others */
        _exit(97);
    switch (ending) {
    case END_RETURN: terminal_raw_leave(); _exit(0);
    case END_EXIT: exit(0);
    case END_ABORT: abort();
    case END_TERM: raise(SIGTERM); break;
    case END_HUP: raise(SIGHUP); break;
    }
    _exit(96);
}

static void terminal_is_restored_whatever_happens(void **state)
{
    static const int signals[] = {0, 0, SIGABRT, SIGTERM, SIGHUP};

    (void)state;
    for (int ending = END_RETURN; ending <= END_HUP; ending++) {
        struct termios before, raw, after;
        int master, slave, status;
        char byte;
        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        assert_int_equal(tcgetattr(slave, &before), 0);
        assert_true(before.c_lflag & ICANON);
        pid_t child = fork();
        if (child == 0) {
            login_tty(slave);
            child_uses_terminal((enum ending)ending);
        }
        assert_int_equal(read(master, &byte, 1), 1);
        assert_int_equal(byte, 'R');
        assert_int_equal(tcgetattr(slave, &raw), 0);
        assert_int_equal(raw.c_lflag & (ICANON | ECHO | ISIG), 0);
        assert_int_equal(write(master, "\003", 1), 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (signals[ending] != 0) {
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), signals[ending]);
        } else {
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        assert_int_equal(tcgetattr(slave, &after), 0);
        assert_int_equal(after.c_lflag, before.c_lflag);
        assert_int_equal(after.c_iflag, before.c_iflag);
        assert_int_equal(after.c_oflag, before.c_oflag);
        close(master);
        close(slave);
    }
}

static size_t echo_in_capitals(void *device, const void *bytes, size_t len)
{
    (void)device;
    for (size_t i = 0; i < len; i++) {
        char c = ((const char *)bytes)[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        guest_writes(&c, 1);
    }
    return len;
}

static void ask_to_quit(void *arg)
{
    host_event_set(arg);
}

static void child_runs_console(void)
{
    struct host_event quit;

    host_event_init(&quit);
    if (open_mux(NULL) != 0)
        _exit(90);
    stream_mux_backend(mux)->receive = echo_in_capitals;
    struct terminal *terminal = terminal_open(mux, &loop, 0, 1, ask_to_quit, &quit);
    if (terminal == NULL)
        _exit(91);
    guest_writes("ready", 5);
    if (!host_event_wait(&quit, 10000000000ULL))
        _exit(92);
    terminal_close(terminal);
    close_mux(NULL);
    _exit(7);
}

static void read_text(int fd, const char *wanted)
{
    char text[32];
    size_t got = 0;

    while (got < strlen(wanted)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        ssize_t n = read(fd, text + got, strlen(wanted) - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(text, wanted, got);
}

static void keyboard_reaches_the_guest_and_escape_leaves(void **state)
{
    struct termios before, after;
    int master, slave, status;

    (void)state;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(slave, &before), 0);
    pid_t child = fork();
    if (child == 0) {
        login_tty(slave);
        child_runs_console();
    }
    read_text(master, "ready");
    assert_int_equal(write(master, "ab\003c\001\001d", 7), 7);
    read_text(master, "AB\003C\001D"); /* no echo, no signal */
    assert_int_equal(write(master, "\001x", 2), 2);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(tcgetattr(slave, &after), 0);
    assert_int_equal(after.c_lflag, before.c_lflag);
    close(master);
    close(slave);
}

static void raw_mode_needs_a_terminal(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(terminal_raw_enter(ends[0]), -E_NODEV);
    close(ends[0]);
    close(ends[1]);
}

static void redirected_input_is_passed_on_until_its_end(void **state)
{
    struct slow_device device = {.room = 4};
    int in[2], out[2];
    char byte;

    (void)state;
    plug_device(&device);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    struct terminal *terminal = terminal_open(mux, &loop, in[0], out[1], NULL, NULL);
    assert_non_null(terminal);
    assert_int_equal(write(in[1], "a\001xyz", 5), 5); /* no escape key on a pipe */
    close(in[1]);
    wait_for_input(&device, "a\001xy");
    device_makes_room(&device, 100);
    wait_for_input(&device, "a\001xyz");
    guest_writes("!", 1);
    assert_int_equal(read(out[0], &byte, 1), 1);
    assert_int_equal(byte, '!');
    terminal_close(terminal);
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

static void file_as_input_is_read_to_its_end(void **state)
{
    struct slow_device device = {.room = 0};
    char path[] = "/tmp/trivisor-stream-XXXXXX";
    static unsigned char bytes[20000];

    (void)state;
    plug_device(&device);
    int fd = mkstemp(path);
    memset(bytes, 'b', sizeof(bytes));
    memcpy(bytes, "begin", 5);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    lseek(fd, 0, SEEK_SET);
    struct terminal *terminal = terminal_open(mux, &loop, fd, -1, NULL, NULL);
    assert_non_null(terminal);
    usleep(10000);
    for (int i = 0; i < 5000 && lseek(fd, 0, SEEK_CUR) < 20000; i++) {
        device_makes_room(&device, 4096);
        usleep(1000);
    }
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 20000);
    assert_memory_equal(device.got.text, "begin", 5);
    terminal_close(terminal);
    close(fd);
    unlink(path);
}

int main(void)
{
#define MUX_TEST(f) cmocka_unit_test_setup_teardown(f, open_mux, close_mux)
    const struct CMUnitTest tests[] = {
        MUX_TEST(pipe_that_is_read_slowly_loses_nothing),
        MUX_TEST(single_bytes_reach_files_in_order),
        MUX_TEST(reader_that_stands_still_holds_up_a_patient_mux_only),
        MUX_TEST(waiting_write_is_kept_when_patience_ends),
        MUX_TEST(closed_pipe_is_survived),
        MUX_TEST(removed_tap_hears_no_more),
        MUX_TEST(input_waits_until_the_device_takes_it),
        MUX_TEST(attached_person_sees_history_and_types),
        MUX_TEST(attached_person_who_does_not_read_holds_nobody_up),
        cmocka_unit_test(lines_get_the_name_in_front),
        cmocka_unit_test(cursor_movement_is_left_out_and_colours_stay),
        cmocka_unit_test(endless_lines_are_broken),
        cmocka_unit_test(escape_key_is_told_from_typing),
        cmocka_unit_test(terminal_is_restored_whatever_happens),
        cmocka_unit_test(keyboard_reaches_the_guest_and_escape_leaves),
        cmocka_unit_test(raw_mode_needs_a_terminal),
        MUX_TEST(redirected_input_is_passed_on_until_its_end),
        MUX_TEST(file_as_input_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
