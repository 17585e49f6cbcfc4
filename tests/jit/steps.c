/*
 * steps PID: of the thread `vcpu0` of a machine whose guest does the same again and again, how many
 * instructions the host executes in one turn, and how many the guest: "HOST GUEST". The thread is
 * single-stepped until what it executes has been seen to repeat. Exit status 77: this host does not
 * let it be. Of x86-64: the translator keeps the guest's count in r14 (engine/jit/x86/regs.h).
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#define STEPS   20000u /* a turn has to fit three times */
#define NOT_LET 77

static void fail(const char *what)
{
    fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
    exit(errno == EPERM || errno == EACCES || errno == ENOSYS ? NOT_LET : 1);
}

static pid_t vcpu_of(const char *pid)
{
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *folder = opendir(path);
    pid_t found = 0;

    if (folder == NULL)
        fail("no such process");
    for (struct dirent *entry; found == 0 && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%s/task/%s/comm", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL && strcmp(name, "vcpu0\n") == 0)
            found = (pid_t)atoi(entry->d_name);
        fclose(file);
    }
    closedir(folder);
    if (found == 0) {
        fprintf(stderr, "steps: no thread vcpu0\n");
        exit(1);
    }
    return found;
}

/* Where the translator's code is executed. */
static void find_code(const char *pid, uint64_t *begin, uint64_t *end)
{
    char path[300], line[512];
    unsigned long long from, to;
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *file = fopen(path, "r");

    *begin = *end = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strstr(line, "trivisor-code") != NULL && strstr(line, "r-xs") != NULL &&
            sscanf(line, "%llx-%llx", &from, &to) == 2) {
            *begin = *end == 0 ? from : *begin;
            *end = to;
        }
    if (file != NULL)
        fclose(file);
    if (*end == 0) {
        fprintf(stderr, "steps: there is no code of the translator\n");
        exit(1);
    }
}

static void wait_stop(pid_t thread)
{
    int status;
    if (waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) {
        fprintf(stderr, "steps: the thread has ended\n");
        exit(1);
    }
}

/* The shortest turn after which it all repeats, by the lengths of the longest borders; 0: none. */
static size_t turn_of(const uint64_t *at, size_t count)
{
    uint32_t *border = calloc(count + 1, sizeof *border);
    if (border == NULL)
        fail("memory");
    for (size_t i = 1, k = 0; i < count; i++) {
        while (k > 0 && at[i] != at[k])
            k = border[k];
        k += at[i] == at[k];
        border[i + 1] = (uint32_t)k;
    }
    size_t turn = count - border[count];
    free(border);
    return turn <= count / 3 ? turn : 0;
}

int main(int argc, char **argv)
{
    static uint64_t at[STEPS], guest[STEPS];
    struct user_regs_struct regs;

    if (argc != 2) {
        fprintf(stderr, "usage: steps PID\n");
        return 2;
    }
    const pid_t thread = vcpu_of(argv[1]);
    if (ptrace(PTRACE_SEIZE, thread, NULL, (void *)(long)PTRACE_O_EXITKILL) != 0 ||
        ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0)
        fail("cannot trace the thread");
    wait_stop(thread);
    for (size_t i = 0; i < STEPS; i++) {
        if (ptrace(PTRACE_SINGLESTEP, thread, NULL, NULL) != 0)
            fail("cannot step");
        wait_stop(thread);
        if (ptrace(PTRACE_GETREGS, thread, NULL, &regs) != 0)
            fail("cannot read registers");
        at[i] = regs.rip;
        guest[i] = regs.r14;
    }
    uint64_t begin, end;
    find_code(argv[1], &begin, &end);
    const size_t turn = turn_of(at, STEPS);
    size_t last = STEPS - 1; /* C has r14 for itself */
    while (last > turn && (at[last] < begin || at[last] >= end))
        last--;
    if (turn == 0 || last <= turn) {
        fprintf(stderr, "steps: it did not repeat in %u steps\n", STEPS);
        return 1;
    }
    /* r14 has less than the guest's count at some places, but the same less each turn. */
    printf("%zu %llu\n", turn, (unsigned long long)(guest[last] - guest[last - turn]));
    return 0;
}
