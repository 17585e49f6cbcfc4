/* The control socket: names, requests, stale sockets, bad clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "type2/control.h"
#include "type2/runtime_dir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char base[] = "/tmp/trivisor-test-XXXXXX";
static char folder[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(base) == NULL)
        return -1;
    setenv("XDG_RUNTIME_DIR", base, 1);
    snprintf(folder, sizeof(folder), "%s/trivisor", base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(base); /* fails if a test left something */
}

static bool exists(const char *name)
{
    char path[PATH_MAX + 64];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return lstat(path, &st) == 0;
}

static void take_hello(void *arg, int fd)
{
    (void)arg;
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    close(fd);
}

static void handler(void *arg, const char *cmd, const json_t *request, struct control_reply *reply)
{
    unsigned *calls = arg;

    (*calls)++;
    if (strcmp(cmd, "add") == 0) {
        reply->answer = control_ok();
        json_object_set_new(reply->answer, "sum",
                            json_integer(json_integer_value(json_object_get(request, "a")) +
                                         json_integer_value(json_object_get(request, "b"))));
    } else if (strcmp(cmd, "stream") == 0) {
        reply->answer = control_ok();
        reply->take = take_hello;
    } else {
        reply->answer = control_error("no such thing as %s", cmd);
    }
}

static struct control *serve(const char *name, unsigned *calls)
{
    struct control *control = NULL;
    struct problem problem;

    assert_int_equal(control_open(&control, name, &problem), 0);
    assert_int_equal(control_serve(control, handler, calls), 0);
    return control;
}

static json_t *call(int fd, const char *text, struct problem *problem)
{
    json_t *request = json_loads(text, 0, NULL);
    json_t *answer = control_call(fd, request, 2000, problem);

    json_decref(request);
    return answer;
}

static void request_gets_its_answer(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    struct problem problem = {.text = ""};
    int fd = control_connect("web", &problem);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(control_peer(fd), getpid());
    for (int i = 0; i < 3; i++) {
        json_t *answer = call(fd, "{\"cmd\":\"add\",\"a\":40,\"b\":2}", &problem);
        assert_non_null(answer);
        assert_int_equal(json_integer_value(json_object_get(answer, "sum")), 42);
        json_decref(answer);
    }
    assert_int_equal(calls, 3);
    close(fd);
    control_close(control);
}

static void refusal_becomes_the_problem(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    struct problem problem = {.text = ""};
    int fd = control_connect("web", &problem);

    (void)state;
    assert_null(call(fd, "{\"cmd\":\"fly\"}", &problem));
    assert_string_equal(problem.text, "no such thing as fly");
    assert_null(call(fd, "{\"command\":\"add\"}", &problem));
    assert_non_null(strstr(problem.text, "cmd"));
    assert_int_equal(calls, 1);
    close(fd);
    control_close(control);
}

static void line_that_is_not_json_is_answered_and_the_connection_lives(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    struct problem problem = {.text = ""};
    int fd = control_connect("web", &problem);
    char answer[512] = "";

    (void)state;
    assert_int_equal(send(fd, "what?\n", 6, 0), 6);
    assert_true(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
    assert_non_null(strstr(answer, "\"ok\":false"));
    assert_int_equal(calls, 0);
    json_t *sum = call(fd, "{\"cmd\":\"add\",\"a\":1,\"b\":1}", &problem);
    assert_non_null(sum);
    json_decref(sum);
    close(fd);
    control_close(control);
}

static void endless_line_ends_the_connection_not_the_server(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    struct problem problem = {.text = ""};
    int fd = control_connect("web", &problem);
    char junk[1024], answer[512];
    size_t sent = 0;
    ssize_t n;

    (void)state;
    memset(junk, 'x', sizeof(junk));
    while (sent < 4 * CONTROL_LINE_MAX && (n = send(fd, junk, sizeof(junk), MSG_NOSIGNAL)) > 0)
        sent += (size_t)n;
    while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
        ;
    close(fd);
    fd = control_connect("web", &problem);
    json_t *sum = call(fd, "{\"cmd\":\"add\",\"a\":1,\"b\":1}", &problem);
    assert_non_null(sum);
    json_decref(sum);
    close(fd);
    control_close(control);
}

static void two_requests_in_one_packet_get_two_answers(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    int fd = control_connect("web", NULL);
    const char *both = "{\"cmd\":\"add\",\"a\":1,\"b\":2}\n{\"cmd\":\"add\",\"a\":3,\"b\":4}\n";
    char answers[256] = "";
    size_t used = 0;

    (void)state;
    assert_int_equal(send(fd, both, strlen(both), 0), strlen(both));
    while (used < sizeof(answers) - 1 && strstr(answers, "\"sum\":7}\n") == NULL) {
        ssize_t n = recv(fd, answers + used, sizeof(answers) - 1 - used, 0);
        assert_true(n > 0);
        used += (size_t)n;
    }
    assert_non_null(strstr(answers, "\"sum\":3}\n"));
    close(fd);
    control_close(control);
}

static void stream_follows_the_answer(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    struct problem problem = {.text = ""};
    int fd = control_connect("web", &problem);
    char bytes[16] = "";

    (void)state;
    json_t *answer = call(fd, "{\"cmd\":\"stream\"}", &problem);
    assert_non_null(answer);
    json_decref(answer);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_WAITALL), 5);
    assert_string_equal(bytes, "hello");
    close(fd);
    control_close(control);
}

static void name_in_use_is_refused(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls), *second = NULL;
    struct problem problem = {.text = ""};

    (void)state;
    assert_int_equal(control_open(&second, "web", &problem), -E_BUSY);
    assert_non_null(strstr(problem.text, "web"));
    assert_true(exists("web.sock")); /* the first keeps its socket */
    control_close(control);
}

static void close_leaves_nothing(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);

    (void)state;
    assert_true(exists("web.sock"));
    control_close(control);
    assert_false(exists("web.sock"));
    assert_false(exists("."));
}

static void leave_stale(const char *name)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct control *control;
        _exit(control_open(&control, name, NULL) == 0 ? 0 : 1); /* without control_close */
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void name_of_a_dead_process_is_free_again(void **state)
{
    unsigned calls = 0;

    (void)state;
    leave_stale("web");
    assert_true(exists("web.sock"));
    struct control *control = serve("web", &calls);
    control_close(control);
    assert_false(exists("web.sock"));
}

static void connect_to_a_dead_one_clears_it_away(void **state)
{
    struct problem problem = {.text = ""};

    (void)state;
    leave_stale("web");
    assert_int_equal(control_connect("web", &problem), -E_NOENT);
    assert_non_null(strstr(problem.text, "web"));
    assert_false(exists("web.sock"));
}

static void connect_refuses_names_that_are_paths(void **state)
{
    struct problem problem = {.text = ""};

    (void)state;
    assert_true(control_connect("../web", &problem) < 0);
    assert_true(control_connect("", &problem) < 0);
}

static void collect(void *arg, const char *name, int fd)
{
    assert_true(fd >= 0);
    strcat(strcat(arg, name), " ");
}

static void list_is_sorted_and_clears_dead_ones_away(void **state)
{
    unsigned calls = 0;
    struct control *web = serve("web", &calls), *db = serve("db", &calls);
    char names[64] = "";

    (void)state;
    leave_stale("dead");
    assert_int_equal(control_each(collect, names, NULL), 0);
    assert_string_equal(names, "db web ");
    assert_false(exists("dead.sock"));
    control_close(web);
    control_close(db);
}

static void list_of_nothing_is_empty(void **state)
{
    char names[64] = "";

    (void)state;
    assert_int_equal(control_each(collect, names, NULL), 0);
    assert_string_equal(names, "");
}

static void open_folder_of_others_is_refused(void **state)
{
    struct control *control = NULL;
    struct problem problem = {.text = ""};

    (void)state;
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(control_open(&control, "web", &problem), -E_INVAL);
    assert_non_null(strstr(problem.text, "0700"));
    assert_int_equal(rmdir(folder), 0);
    /* nor is a link followed */
    assert_int_equal(symlink("/tmp", folder), 0);
    assert_true(control_open(&control, "web", &problem) < 0);
    assert_int_equal(unlink(folder), 0);
}

static uint64_t cpu_ms(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* A guest's connections can use up all descriptors of its process. */
static void server_without_descriptors_waits_for_one(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    struct problem problem = {.text = ""};
    struct rlimit all, none;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    int fd = control_connect("web", &problem);
    assert_true(fd >= 0);
    assert_null(call(fd, "{\"cmd\":\"fly\"}", &problem)); /* it is accepted */
    int spare = dup(fd), other = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address;
    socklen_t len = sizeof(address);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&address, &len), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)spare, .rlim_max = all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(other, (struct sockaddr *)&address, len), 0);
    uint64_t before = cpu_ms();
    usleep(500000);
    assert_true(cpu_ms() - before < 100);
    assert_null(call(fd, "{\"cmd\":\"fly\"}", &problem)); /* and goes on answering */
    assert_string_equal(problem.text, "no such thing as fly");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_null(call(other, "{\"cmd\":\"walk\"}", &problem));
    assert_string_equal(problem.text, "no such thing as walk");
    close(other);
    close(spare);
    close(fd);
    control_close(control);
}

#define SOMEBODY_ELSE 65534

static void need_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("only root can become somebody else\n");
    skip();
}

static void folder_that_somebody_else_owns_is_refused(void **state)
{
    struct control *control = NULL;
    struct problem problem = {.text = ""};

    (void)state;
    need_root();
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chown(folder, SOMEBODY_ELSE, SOMEBODY_ELSE), 0);
    assert_int_equal(control_open(&control, "web", &problem), -E_INVAL);
    assert_non_null(strstr(problem.text, "0700"));
    assert_int_equal(rmdir(folder), 0);
}

/* 0 if the server hung up on the first request; 1 if it answered; 2 if we did not get that far. */
static int request_as_somebody_else(const struct sockaddr_un *address)
{
    static const char request[] = "{\"cmd\":\"add\",\"a\":1,\"b\":1}\n";
    char answer[64];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (setgid(SOMEBODY_ELSE) < 0 || setuid(SOMEBODY_ELSE) < 0)
        return 2;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return 2;
    (void)send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
    return recv(fd, answer, sizeof(answer), 0) > 0;
}

/* The folder and the socket are opened to all, so that nothing but SO_PEERCRED tells them apart. */
static void peer_of_another_user_is_hung_up_on(void **state)
{
    unsigned calls = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int status;

    (void)state;
    need_root();
    struct control *control = serve("web", &calls);
    assert_true(strlen(base) + sizeof("/trivisor/web.sock") <= sizeof(address.sun_path));
    strcat(strcpy(address.sun_path, base), "/trivisor/web.sock");
    assert_int_equal(chmod(base, 0711), 0);
    assert_int_equal(chmod(folder, 0711), 0);
    assert_int_equal(chmod(address.sun_path, 0666), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(request_as_somebody_else(&address));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(chmod(base, 0700), 0);
    assert_int_equal(status, 0);
    assert_int_equal(calls, 0);
    control_close(control);
}

static void waiting_client_sees_the_end(void **state)
{
    unsigned calls = 0;
    struct control *control = serve("web", &calls);
    int fd = control_connect("web", NULL);
    struct problem problem = {.text = ""};
    char byte;

    (void)state;
    json_t *answer =
        call(fd, "{\"cmd\":\"add\",\"a\":1,\"b\":1}", &problem); /* accepted for sure */
    json_decref(answer);
    control_close(control);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_gets_its_answer),
        cmocka_unit_test(refusal_becomes_the_problem),
        cmocka_unit_test(line_that_is_not_json_is_answered_and_the_connection_lives),
        cmocka_unit_test(endless_line_ends_the_connection_not_the_server),
        cmocka_unit_test(two_requests_in_one_packet_get_two_answers),
        cmocka_unit_test(stream_follows_the_answer),
        cmocka_unit_test(name_in_use_is_refused),
        cmocka_unit_test(close_leaves_nothing),
        cmocka_unit_test(name_of_a_dead_process_is_free_again),
        cmocka_unit_test(connect_to_a_dead_one_clears_it_away),
        cmocka_unit_test(connect_refuses_names_that_are_paths),
        cmocka_unit_test(list_is_sorted_and_clears_dead_ones_away),
        cmocka_unit_test(list_of_nothing_is_empty),
        cmocka_unit_test(open_folder_of_others_is_refused),
        cmocka_unit_test(server_without_descriptors_waits_for_one),
        cmocka_unit_test(folder_that_somebody_else_owns_is_refused),
        cmocka_unit_test(peer_of_another_user_is_hung_up_on),
        cmocka_unit_test(waiting_client_sees_the_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
