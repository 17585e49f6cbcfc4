/* `bench list`, or `bench ROW [SCALE [SEED]]`: see bench.h. */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const struct bench_group *const groups[] = {
    &bench_instructions, &bench_integer, &bench_bytes,   &bench_calls,   &bench_indirect,
    &bench_memory,       &bench_float,   &bench_syscall, &bench_pipe,    &bench_process,
    &bench_faults,       &bench_code,    &bench_harts,   &bench_scaling, &bench_disk,
    &bench_network,      &bench_vector,  &bench_scalar,
};
static const char *const kind_names[] = {"work", "each", "bytes", "rate", "instructions"};

static const struct bench *current;
static struct timespec begin_time, end_time;
static uint64_t operations_done;

void bench_begin(void)
{
    /* The host takes the time of this line too, to check the guest's clock. Its last character must
     * have left the UART before the clock starts. */
    printf("bench: %s begin\n", current->name);
    fflush(stdout);
    tcdrain(STDOUT_FILENO);
    clock_gettime(CLOCK_MONOTONIC, &begin_time);
}

void bench_end(uint64_t operations)
{
    clock_gettime(CLOCK_MONOTONIC, &end_time);
    operations_done = operations;
}

void bench_skip(const char *why)
{
    printf("bench: %s skipped: %s\n", current->name, why);
    exit(0);
}

void bench_fail(const char *what)
{
    printf("bench: %s failed: %s\n", current->name, what);
    exit(1);
}

void *bench_pages(size_t size)
{
    unsigned char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        bench_fail(strerror(errno));
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t offset = 0; offset < size; offset += 4096)
        memory[offset] = 0;
    return memory;
}

static void list(void)
{
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (const struct bench *bench = groups[g]->benches; bench->name; bench++)
            printf("%s %s %s %u\n", bench->name, groups[g]->name, kind_names[bench->kind],
                   groups[g]->harts);
}

static const struct bench *find(const char *name)
{
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (const struct bench *bench = groups[g]->benches; bench->name; bench++)
            if (!strcmp(bench->name, name))
                return bench;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "nothing")) /* what fork-exec executes */
        return 0;
    if (argc == 2 && !strcmp(argv[1], "list")) {
        list();
        return 0;
    }
    current = argc >= 2 && argc <= 4 ? find(argv[1]) : NULL;
    if (!current) {
        fprintf(stderr, "use: %s list | ROW [SCALE [SEED]]\n", argv[0]);
        return 2;
    }
    double scale = argc > 2 ? strtod(argv[2], NULL) : 1;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    double count = (double)current->count * scale;
    if (!(count <= 1e15) || scale < 0)
        bench_fail("no such scale");
    uint64_t sum = current->run(count < 1 ? 1 : (uint64_t)count, seed ? seed : 1);
    uint64_t ns = (uint64_t)(end_time.tv_sec - begin_time.tv_sec) * 1000000000 +
                  (uint64_t)end_time.tv_nsec - (uint64_t)begin_time.tv_nsec;
    printf("bench: %s end operations=%" PRIu64 " ns=%" PRIu64 " sum=%016" PRIx64 "\n",
           current->name, operations_done, ns, sum);
    return 0;
}
