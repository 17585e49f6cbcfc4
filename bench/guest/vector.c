/*
 * Loops over arrays with the vector extension, written as the specification's examples are (V,
 * "Vector Assembly Code Examples"), and each beside the same in plain C on the same data: `plain-`
 * rows. Natively both are plain C. Sums of floats are of small integers, which are exact in any
 * order.
 */
#include "bench.h"

#include <string.h>

enum { BYTES = 16384, FLOATS = 4096, TEXT = 32768 };

static uint8_t from[BYTES], to[BYTES];
static float xs[FLOATS], ys[FLOATS];
static char text[TEXT + 1];

static uint64_t fold(const void *data, size_t size)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        memcpy(&word, (const char *)data + i, 8);
        sum = bench_mix(sum, word);
    }
    return sum;
}

static void fill(uint64_t seed)
{
    uint64_t state = seed;
    for (size_t i = 0; i < BYTES; i++) {
        from[i] = (uint8_t)bench_random(&state);
        to[i] = (uint8_t)bench_random(&state);
    }
    for (size_t i = 0; i < FLOATS; i++) {
        xs[i] = (float)(bench_random(&state) % 16);
        ys[i] = (float)(bench_random(&state) % 16);
    }
    memset(text, 'x', TEXT);
    for (size_t i = 0; i < TEXT; i += 1 + (size_t)(bench_random(&state) % 1000))
        text[i] = 0;
}

/* ---- in plain C ---- */

#define PLAIN                                                                                      \
    __attribute__((noinline, optimize("no-tree-vectorize", "no-tree-loop-distribute-patterns")))

static PLAIN void plain_copy(uint8_t *d, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t word;
        __builtin_memcpy(&word, s + i, 8);
        __builtin_memcpy(d + i, &word, 8);
    }
}

static PLAIN void plain_saxpy(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = __builtin_fmaf(a, x[i], y[i]);
}

static PLAIN float plain_dot(size_t n, const float *x, const float *y)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = __builtin_fmaf(x[i], y[i], sum);
    return sum;
}

static PLAIN size_t plain_length(const char *s)
{
    size_t n = 0;
    while (s[n] != 0)
        n++;
    return n;
}

static PLAIN void plain_add(uint8_t *d, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d[i] = (uint8_t)(d[i] + s[i]);
}

/* ---- with vectors ---- */

#ifdef __riscv
#define V ".option push\n .option arch, +v\n"
#define E ".option pop\n"

static void v_copy(uint8_t *d, const uint8_t *s, size_t n)
{
    size_t vl;
    __asm__ volatile(V "1: vsetvli %0, %3, e8, m8, ta, ma\n"
                       "vle8.v v0, (%2)\n"
                       "add %2, %2, %0\n"
                       "sub %3, %3, %0\n"
                       "vse8.v v0, (%1)\n"
                       "add %1, %1, %0\n"
                       "bnez %3, 1b\n" E
                     : "=&r"(vl), "+r"(d), "+r"(s), "+r"(n)
                     :
                     : "memory");
}

static void v_saxpy(size_t n, float a, const float *x, float *y)
{
    size_t vl, bytes;
    __asm__ volatile(V "1: vsetvli %0, %2, e32, m8, ta, ma\n"
                       "vle32.v v0, (%3)\n"
                       "sub %2, %2, %0\n"
                       "slli %1, %0, 2\n"
                       "add %3, %3, %1\n"
                       "vle32.v v8, (%4)\n"
                       "vfmacc.vf v8, %5, v0\n"
                       "vse32.v v8, (%4)\n"
                       "add %4, %4, %1\n"
                       "bnez %2, 1b\n" E
                     : "=&r"(vl), "=&r"(bytes), "+r"(n), "+r"(x), "+r"(y)
                     : "f"(a)
                     : "memory");
}

static float v_dot(size_t n, const float *x, const float *y)
{
    size_t vl, bytes;
    float sum;
    __asm__ volatile(V "vsetvli %0, zero, e32, m8, ta, ma\n"
                       "vmv.v.i v16, 0\n"
                       "1: vsetvli %0, %3, e32, m8, tu, ma\n"
                       "vle32.v v0, (%4)\n"
                       "sub %3, %3, %0\n"
                       "slli %1, %0, 2\n"
                       "add %4, %4, %1\n"
                       "vle32.v v8, (%5)\n"
                       "add %5, %5, %1\n"
                       "vfmacc.vv v16, v0, v8\n"
                       "bnez %3, 1b\n"
                       "vsetvli %0, zero, e32, m8, ta, ma\n"
                       "vmv.s.x v0, zero\n"
                       "vfredusum.vs v0, v16, v0\n"
                       "vfmv.f.s %2, v0\n" E
                     : "=&r"(vl), "=&r"(bytes), "=f"(sum), "+r"(n), "+r"(x), "+r"(y)
                     :
                     : "memory");
    return sum;
}

static size_t v_length(const char *s)
{
    const char *at = s;
    size_t vl;
    long first;
    __asm__ volatile(V "1: vsetvli %1, zero, e8, m8, ta, ma\n"
                       "vle8ff.v v8, (%0)\n"
                       "csrr %1, vl\n"
                       "vmseq.vi v0, v8, 0\n"
                       "vfirst.m %2, v0\n"
                       "add %0, %0, %1\n"
                       "bltz %2, 1b\n" E
                     : "+r"(at), "=&r"(vl), "=&r"(first)
                     :
                     : "memory");
    return (size_t)(at - s) - vl + (size_t)first;
}

static void v_add(uint8_t *d, const uint8_t *s, size_t n)
{
    size_t vl;
    __asm__ volatile(V "1: vsetvli %0, %3, e8, m8, ta, ma\n"
                       "vle8.v v0, (%2)\n"
                       "vle8.v v8, (%1)\n"
                       "sub %3, %3, %0\n"
                       "add %2, %2, %0\n"
                       "vadd.vv v8, v8, v0\n"
                       "vse8.v v8, (%1)\n"
                       "add %1, %1, %0\n"
                       "bnez %3, 1b\n" E
                     : "=&r"(vl), "+r"(d), "+r"(s), "+r"(n)
                     :
                     : "memory");
}
#else
#define v_copy   plain_copy
#define v_saxpy  plain_saxpy
#define v_dot    plain_dot
#define v_length plain_length
#define v_add    plain_add
#endif

/* ---- rows ---- */

#define COPY(name, function)                                                                       \
    static uint64_t name(uint64_t count, uint64_t seed)                                            \
    {                                                                                              \
        fill(seed);                                                                                \
        bench_begin();                                                                             \
        for (uint64_t done = 0; done < count; done += BYTES) {                                     \
            from[done / BYTES % BYTES]++;                                                          \
            function(to, from, BYTES);                                                             \
        }                                                                                          \
        bench_end(count);                                                                          \
        return fold(to, BYTES);                                                                    \
    }
COPY(copy, v_copy)
COPY(copy_plain, plain_copy)
COPY(add, v_add)
COPY(add_plain, plain_add)

/* Of a few bytes: one round, and seldom a full one. */
#define SHORT(name, function)                                                                      \
    static uint64_t name(uint64_t count, uint64_t seed)                                            \
    {                                                                                              \
        fill(seed);                                                                                \
        bench_begin();                                                                             \
        for (uint64_t done = 0, at = 0; done < count; done += 1 + to[at] / 2) {                    \
            at = (at * 5 + 8) % (BYTES / 2);                                                       \
            function(to + BYTES / 2, from + at, (1 + to[at] / 2U + 7) & ~7U);                      \
        }                                                                                          \
        bench_end(count);                                                                          \
        return fold(to, BYTES);                                                                    \
    }
SHORT(copy_short, v_copy)
SHORT(copy_short_plain, plain_copy)

#define SAXPY(name, function)                                                                      \
    static uint64_t name(uint64_t count, uint64_t seed)                                            \
    {                                                                                              \
        fill(seed);                                                                                \
        bench_begin();                                                                             \
        for (uint64_t done = 0; done < count; done += FLOATS)                                      \
            function(FLOATS, (done / FLOATS & 1) != 0 ? 2.0f : -2.0f, xs, ys);                     \
        bench_end(count);                                                                          \
        return fold(ys, sizeof(ys));                                                               \
    }
SAXPY(saxpy, v_saxpy)
SAXPY(saxpy_plain, plain_saxpy)

#define DOT(name, function)                                                                        \
    static uint64_t name(uint64_t count, uint64_t seed)                                            \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        fill(seed);                                                                                \
        bench_begin();                                                                             \
        for (uint64_t done = 0; done < count; done += FLOATS) {                                    \
            xs[done / FLOATS % FLOATS] += 1;                                                       \
            sum = bench_mix(sum, (uint64_t)function(FLOATS, xs, ys));                              \
        }                                                                                          \
        bench_end(count);                                                                          \
        return sum;                                                                                \
    }
DOT(dot, v_dot)
DOT(dot_plain, plain_dot)

#define LENGTH(name, function)                                                                     \
    static uint64_t name(uint64_t count, uint64_t seed)                                            \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        fill(seed);                                                                                \
        bench_begin();                                                                             \
        for (uint64_t done = 0; done < count; done += TEXT)                                        \
            for (size_t i = 0; i < TEXT;) {                                                        \
                size_t length = function(text + i);                                                \
                sum = bench_mix(sum, length);                                                      \
                i += length + 1;                                                                   \
            }                                                                                      \
        bench_end(count);                                                                          \
        return sum;                                                                                \
    }
LENGTH(length, v_length)
LENGTH(length_plain, plain_length)

const struct bench_group bench_vector = {
    "vector", 1,
    (const struct bench[]){{"vector-memcpy", BENCH_WORK, 20000000, copy},
                           {"vector-saxpy", BENCH_WORK, 1000000, saxpy},
                           {"vector-dot", BENCH_WORK, 1000000, dot},
                           {"vector-strlen", BENCH_WORK, 10000000, length},
                           {"vector-byte-add", BENCH_WORK, 10000000, add},
                           {"vector-short-copy", BENCH_WORK, 5000000, copy_short},
                           {0}}};
/* The same in plain C: what vectors must not be slower than. */
const struct bench_group bench_scalar = {
    "scalar", 1,
    (const struct bench[]){{"plain-memcpy", BENCH_WORK, 20000000, copy_plain},
                           {"plain-saxpy", BENCH_WORK, 1000000, saxpy_plain},
                           {"plain-dot", BENCH_WORK, 1000000, dot_plain},
                           {"plain-strlen", BENCH_WORK, 10000000, length_plain},
                           {"plain-byte-add", BENCH_WORK, 10000000, add_plain},
                           {"plain-short-copy", BENCH_WORK, 5000000, copy_short_plain},
                           {0}}};
