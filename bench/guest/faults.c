/* Traps into the kernel that programs cause: page faults, signals, and both together. */
#define _GNU_SOURCE
#include "bench.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t page_faults(uint64_t count, uint64_t seed)
{
    enum { PAGES = 1024, SIZE = PAGES * 4096 };
    uint64_t sum = seed, touched = 0;
    bench_begin();
    while (touched < count) {
        volatile unsigned char *memory =
            mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            bench_fail("mmap");
        madvise((void *)(uintptr_t)memory, SIZE, MADV_NOHUGEPAGE);
        for (size_t page = 0; page < PAGES; page++, touched++) {
            memory[page * 4096] = (unsigned char)page;
            sum += memory[page * 4096 + 1];
        }
        munmap((void *)(uintptr_t)memory, SIZE);
    }
    bench_end(touched);
    return bench_mix(sum, touched);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

static uint64_t signals(uint64_t count, uint64_t seed)
{
    struct sigaction action = {.sa_handler = count_signal};
    pid_t self = getpid();
    sigaction(SIGUSR1, &action, NULL);
    bench_begin();
    for (uint64_t i = 0; i < count; i++)
        kill(self, SIGUSR1);
    bench_end(count);
    return bench_mix(seed, (uint64_t)signals_seen);
}

static volatile unsigned char *guarded;
static uint64_t guard_faults;

static void open_guard(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    if ((uintptr_t)info->si_addr != (uintptr_t)guarded + 8)
        _exit(3);
    guard_faults++;
    mprotect((void *)(uintptr_t)guarded, 4096, PROT_READ | PROT_WRITE);
}

static uint64_t segv(uint64_t count, uint64_t seed)
{
    struct sigaction action = {.sa_sigaction = open_guard, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    guarded = bench_pages(4096);
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        mprotect((void *)(uintptr_t)guarded, 4096, i & 1 ? PROT_READ : PROT_NONE);
        guarded[8] = (unsigned char)i;
    }
    bench_end(count);
    return bench_mix(seed, guard_faults);
}

const struct bench_group bench_faults = {
    "faults", 1,
    (const struct bench[]){{"page-fault", BENCH_EACH, 6000, page_faults},
                           {"signal", BENCH_EACH, 6000, signals},
                           {"segv-mprotect", BENCH_EACH, 2500, segv},
                           {0}}};
