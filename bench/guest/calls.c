/* Recursive calls: returns, and a stack that goes up and down. */
#include "bench.h"

#define ALONE __attribute__((noinline, noclone))

ALONE static uint64_t fibonacci(uint64_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

ALONE static int tak(int x, int y, int z)
{
    return y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

ALONE static uint64_t ackermann(uint64_t m, uint64_t n)
{
    if (!m)
        return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

static uint64_t recursion(uint64_t count, uint64_t seed)
{
    uint64_t sum = seed;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        sum = bench_mix(sum, fibonacci(18 + (i & 1)));
        sum = bench_mix(sum, (uint64_t)tak(12, 8, (int)(i & 3)));
        sum = bench_mix(sum, ackermann(2, 50 + (i & 3)));
    }
    bench_end(count);
    return sum;
}

const struct bench_group bench_calls = {
    "calls", 1, (const struct bench[]){{"recursion", BENCH_WORK, 40, recursion}, {0}}};
