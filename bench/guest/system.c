/* Through the kernel: system calls, switches between processes, new processes. */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t getppid_calls(uint64_t count, uint64_t seed)
{
    long parent = getppid();
    uint64_t same = seed;
    bench_begin();
    for (uint64_t i = 0; i < count; i++)
        same += syscall(SYS_getppid) == parent;
    bench_end(count);
    return same;
}

static uint64_t ping_pong(uint64_t count, uint64_t seed)
{
    int there[2], back[2];
    uint64_t value = seed, got;
    if (pipe(there) || pipe(back))
        bench_fail("pipe");
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork");
    if (!child) {
        close(there[1]);
        while (read(there[0], &value, sizeof(value)) == sizeof(value)) {
            value = bench_mix(value, 1);
            if (write(back[1], &value, sizeof(value)) != sizeof(value))
                break;
        }
        _exit(0);
    }
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        if (write(there[1], &value, sizeof(value)) != sizeof(value) ||
            read(back[0], &got, sizeof(got)) != sizeof(got) || got != bench_mix(value, 1))
            bench_fail("wrong data through the pipe");
        value = got;
    }
    bench_end(count);
    close(there[1]);
    waitpid(child, NULL, 0);
    return value;
}

static uint64_t fork_exec(uint64_t count, uint64_t seed)
{
    uint64_t sum = seed;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        int status;
        pid_t child = fork();
        if (child < 0)
            bench_fail("fork");
        if (!child) {
            execl("/proc/self/exe", "bench", "nothing", (char *)NULL);
            _exit(127);
        }
        if (waitpid(child, &status, 0) != child || status)
            bench_fail("the child did not run");
        sum = bench_mix(sum, i);
    }
    bench_end(count);
    return sum;
}

const struct bench_group bench_syscall = {
    "syscall", 1, (const struct bench[]){{"getppid", BENCH_EACH, 60000, getppid_calls}, {0}}};
const struct bench_group bench_pipe = {
    "pipe", 1, (const struct bench[]){{"pipe-ping-pong", BENCH_EACH, 1500, ping_pong}, {0}}};
const struct bench_group bench_process = {
    "process", 1, (const struct bench[]){{"fork-exec-wait", BENCH_EACH, 30, fork_exec}, {0}}};
