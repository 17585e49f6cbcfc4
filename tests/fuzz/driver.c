/*
 * Runs a fuzz target over mutations of its seeds, each of which is made from two numbers alone:
 *
 *     fuzz_x [--seed N] [--runs N] [--seconds N]    all runs from 0 on; what ends first ends it
 *     fuzz_x [--seed N] --run N                     one run again
 *     fuzz_x FILE...                                these inputs as they are
 *
 * Without options: 20,000 runs, or as many as go into 10 seconds.
 */
#include "tests/fuzz/fuzz.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX     16384
#define SEEDS_MAX     16
#define RUN_SECONDS   20 /* a run that takes longer hangs */
#define MUTATIONS_MAX 8

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t size;
};

static struct input seeds[SEEDS_MAX];
static unsigned seed_count;
static const char *program;
static unsigned long seed = 1;
static unsigned long run;

__attribute__((weak)) size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    (void)index;
    (void)buf;
    (void)capacity;
    return 0;
}

/* ---- How to see a failure again ---- */

static void tell_run(void)
{
    char line[200];
    int len =
        snprintf(line, sizeof(line), "\nagain: %s --seed %lu --run %lu\n", program, seed, run);
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}

static void on_signal(int number)
{
    tell_run();
    signal(number, SIG_DFL);
    raise(number == SIGALRM ? SIGABRT : number);
}

/* Of the sanitizers' runtime, where there is one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

/* ---- Mutations ---- */

/* SplitMix64. */
static uint64_t random_state;

static uint64_t random_u64(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* 0 to bound - 1. */
static size_t random_below(size_t bound)
{
    return bound == 0 ? 0 : (size_t)(random_u64() % bound);
}

static void overwrite_number(struct input *input)
{
    static const uint64_t telling[] = {
        0,      1,      2,          4,          0x7f,       0x80,       0xff,      0x7fff,
        0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, INT64_MAX, UINT64_MAX};
    size_t width = (size_t)1 << random_below(4);
    if (input->size < width)
        return;
    uint64_t value = telling[random_below(sizeof(telling) / sizeof(telling[0]))];
    if (random_below(4) == 0)
        value = random_below(input->size + 8);
    bool big_endian = random_below(2) == 0;
    size_t at = random_below(input->size - width + 1);
    for (size_t i = 0; i < width; i++)
        input->bytes[at + (big_endian ? width - 1 - i : i)] = (uint8_t)(value >> (8 * i));
}

static void erase(struct input *input)
{
    size_t at = random_below(input->size);
    size_t len = random_below(input->size - at < 64 ? input->size - at + 1 : 65);
    memmove(input->bytes + at, input->bytes + at + len, input->size - at - len);
    input->size -= len;
}

/* Puts a piece of `from` (perhaps the input itself) somewhere, in between or over what is there. */
static void splice(struct input *input, const struct input *from)
{
    uint8_t piece[64];
    size_t start = random_below(from->size);
    size_t len = random_below(from->size - start + 1);
    if (len > sizeof(piece))
        len = sizeof(piece);
    memcpy(piece, from->bytes + start, len);

    size_t at = random_below(input->size + 1);
    if (random_below(2) == 0 && at + len <= input->size) {
        memcpy(input->bytes + at, piece, len);
    } else if (input->size + len <= INPUT_MAX) {
        memmove(input->bytes + at + len, input->bytes + at, input->size - at);
        memcpy(input->bytes + at, piece, len);
        input->size += len;
    }
}

static void mutate(struct input *input)
{
    switch (random_below(8)) {
    case 0:
        if (input->size > 0)
            input->bytes[random_below(input->size)] ^= (uint8_t)(1 << random_below(8));
        break;
    case 1:
        if (input->size > 0)
            input->bytes[random_below(input->size)] = (uint8_t)random_u64();
        break;
    case 2:
    case 3: overwrite_number(input); break;
    case 4: erase(input); break;
    case 5: splice(input, input); break;
    case 6: splice(input, &seeds[random_below(seed_count)]); break;
    case 7:
        if (random_below(4) == 0)
            input->size = random_below(input->size + 1);
        break;
    }
}

static void run_bytes(const uint8_t *bytes, size_t size)
{
    /* A block of exactly this size, so that a sanitizer sees one byte too many. */
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, bytes, size);
    alarm(RUN_SECONDS);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void run_once(void)
{
    static struct input input;
    random_state = (uint64_t)seed << 40 ^ run;
    input = seeds[random_below(seed_count)];
    /* The first runs are the seeds as they are. */
    if (run < seed_count)
        input = seeds[run];
    else
        for (size_t n = 1 + random_below(MUTATIONS_MAX); n > 0; n--)
            mutate(&input);
    run_bytes(input.bytes, input.size);
}

static int run_file(const char *path)
{
    static struct input input;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 2;
    }
    input.size = fread(input.bytes, 1, INPUT_MAX, file);
    fclose(file);
    run_bytes(input.bytes, input.size);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long runs = 20000, seconds = 10;
    bool single = false;
    int i;

    program = argv[0];
    for (i = 1; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        unsigned long value = strtoul(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--seed") == 0) {
            seed = value;
        } else if (strcmp(argv[i], "--runs") == 0) {
            runs = value;
            seconds = ~0UL;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = value;
            runs = ~0UL;
        } else if (strcmp(argv[i], "--run") == 0) {
            run = value;
            single = true;
        } else {
            break;
        }
    }
    if (i < argc && strncmp(argv[i], "--", 2) == 0) {
        fprintf(stderr, "%s [--seed N] [--runs N] [--seconds N] [--run N] | FILE...\n", program);
        return 2;
    }

    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(tell_run);
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    for (; i < argc; i++) {
        if (run_file(argv[i]) != 0)
            return 2;
        single = true;
        runs = 0;
    }
    if (runs == 0)
        return 0;

    while (seed_count < SEEDS_MAX &&
           (seeds[seed_count].size = fuzz_seed(seed_count, seeds[seed_count].bytes, INPUT_MAX)) > 0)
        seed_count++;
    if (seed_count == 0)
        seed_count = 1; /* nothing at all */
    if (single) {
        run_once();
        return 0;
    }
    time_t end = time(NULL) + (time_t)(seconds > 1000000 ? 1000000 : seconds);
    while (run < runs && (run % 64 != 0 || time(NULL) < end)) {
        run_once();
        run++;
    }
    printf("%s: %lu runs from seed %lu\n", program, run, seed);
    return 0;
}
