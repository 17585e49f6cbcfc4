/*
 * The benchmark programs that run inside a guest (and, for comparison, natively): one binary,
 * `bench`, with one function for each row of the table. A row does a fixed amount of work that its
 * scale multiplies, times it with CLOCK_MONOTONIC and returns a checksum of what it computed. The
 * checksum depends on scale and seed alone, so that it is the same in every VMM and on every
 * architecture, and no work can be optimised away.
 */
#ifndef BENCH_GUEST_BENCH_H
#define BENCH_GUEST_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a row's operations and nanoseconds become its figure. */
enum bench_kind {
    BENCH_WORK,         /* milliseconds for all of it */
    BENCH_EACH,         /* microseconds for one operation */
    BENCH_BYTES,        /* an operation is a byte: MB/s (10^6) */
    BENCH_RATE,         /* operations per second */
    BENCH_INSTRUCTIONS, /* an operation is a guest instruction: millions per second */
};

struct bench {
    const char *name;
    enum bench_kind kind;
    uint64_t count; /* operations at scale 1 */
    /* Does `count` operations, the timed part between bench_begin and bench_end; returns the
     * checksum. */
    uint64_t (*run)(uint64_t count, uint64_t seed);
};

/* The rows of one character of work. They run in a guest of `harts` harts. */
struct bench_group {
    const char *name;
    unsigned harts;
    const struct bench *benches; /* ended by a null name */
};

extern const struct bench_group bench_instructions, bench_integer, bench_bytes, bench_calls,
    bench_indirect, bench_memory, bench_float, bench_syscall, bench_pipe, bench_process,
    bench_faults, bench_code, bench_harts, bench_scaling, bench_disk, bench_network, bench_vector,
    bench_scalar;

/* The timed part begins and ends. `operations` is what was really done (rows round their count). */
void bench_begin(void);
void bench_end(uint64_t operations);

/* Ends the program: the row could not be run here (no disk, say), or it found a wrong result. */
_Noreturn void bench_skip(const char *why);
_Noreturn void bench_fail(const char *what);

/* A pseudo-random sequence (xorshift64*); *state is not 0. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* Adds a value to a checksum (FNV-1a by words). */
static inline uint64_t bench_mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * UINT64_C(0x100000001B3);
}

/* Memory from the system, page-aligned and touched, never a huge page; fails the row when there is
 * none. */
void *bench_pages(size_t size);

#endif
