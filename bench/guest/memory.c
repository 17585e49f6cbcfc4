/* Memory beyond the caches and beyond what TLBs reach: 64 MiB. */
#include "bench.h"

enum { SIZE = 64 << 20 };

static uint64_t random_access(uint64_t count, uint64_t seed)
{
    uint64_t *data = bench_pages(SIZE);
    uint64_t state = seed, sum = 0;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t r = bench_random(&state);
        data[r % (SIZE / 8)] += r;
        sum += data[(r >> 32) % (SIZE / 8)];
    }
    bench_end(count);
    return sum;
}

static uint64_t chase(uint64_t count, uint64_t seed)
{
    /* One cycle through a word of every 256 bytes (Sattolo's shuffle): each load's address is the
     * last one's result. */
    enum { STRIDE = 256, LENGTH = SIZE / STRIDE };
    struct cell {
        uint32_t next;
        uint32_t unused[STRIDE / 4 - 1];
    } *cells = bench_pages(SIZE);
    uint64_t state = seed;
    for (uint32_t i = 0; i < LENGTH; i++)
        cells[i].next = i;
    for (uint32_t i = LENGTH - 1; i > 0; i--) {
        uint32_t j = (uint32_t)((bench_random(&state) >> 32) % i), t = cells[i].next;
        cells[i].next = cells[j].next;
        cells[j].next = t;
    }
    uint32_t at = 0;
    bench_begin();
    for (uint64_t i = 0; i < count; i++)
        at = cells[at].next;
    bench_end(count);
    return bench_mix(seed, at);
}

const struct bench_group bench_memory = {
    "memory", 1,
    (const struct bench[]){{"random-64m", BENCH_WORK, 800000, random_access},
                           {"pointer-chase", BENCH_WORK, 800000, chase},
                           {0}}};
