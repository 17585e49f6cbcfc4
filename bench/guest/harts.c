/* Atomic instructions, two threads on two harts, and what a second process gains. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t atomics(uint64_t count, uint64_t seed)
{
    static _Atomic uint64_t words[64];
    static _Atomic uint32_t flag;
    uint64_t sum = seed;
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        _Atomic uint64_t *word = &words[i & 63];
        sum += atomic_fetch_add(word, i);
        sum ^= atomic_fetch_xor(&words[(i * 5) & 63], sum);
        uint64_t seen = atomic_load(word);
        while (!atomic_compare_exchange_weak(word, &seen, seen * 3 + 1))
            ;
        while (atomic_exchange_explicit(&flag, 1, memory_order_acquire))
            ;
        sum += seen;
        atomic_store_explicit(&flag, 0, memory_order_release);
    }
    bench_end(count);
    return sum;
}

struct worker {
    pthread_t thread;
    uint64_t count, seed, result;
};

static atomic_uint waiting;

/* Both threads are running before the clock starts. */
static void meet(void)
{
    atomic_fetch_add(&waiting, 1);
    while (atomic_load(&waiting) < 3)
        ;
}

static void run_two(struct worker workers[2], void *(*function)(void *))
{
    for (int i = 0; i < 2; i++)
        if (pthread_create(&workers[i].thread, NULL, function, &workers[i]))
            bench_fail("no thread");
    while (atomic_load(&waiting) < 2)
        ;
    bench_begin();
    atomic_fetch_add(&waiting, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(workers[i].thread, NULL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t mutex_count, mutex_sum;

static void *mutex_worker(void *opaque)
{
    struct worker *worker = opaque;
    uint64_t state = worker->seed;
    meet();
    for (uint64_t i = 0; i < worker->count; i++) {
        pthread_mutex_lock(&mutex);
        mutex_count++;
        mutex_sum += bench_random(&state);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static uint64_t contended(uint64_t count, uint64_t seed)
{
    struct worker workers[2] = {{.count = count / 2, .seed = seed},
                                {.count = count / 2, .seed = seed + 1}};
    run_two(workers, mutex_worker);
    bench_end(count);
    if (mutex_count != count / 2 * 2)
        bench_fail("the mutex let two in");
    return bench_mix(mutex_sum, mutex_count);
}

static _Atomic uint64_t turn;

/* Independent work, and every 262144 steps a word is handed over from one to the other. */
static void *pair_worker(void *opaque)
{
    struct worker *worker = opaque;
    static uint32_t tables[2][1024];
    uint64_t me = worker->seed & 1, state = worker->seed + 2, sum = 0;
    uint32_t *table = tables[me];
    meet();
    for (uint64_t i = 0; i < worker->count; i++) {
        uint64_t r = bench_random(&state);
        table[r >> 54] += (uint32_t)r;
        sum += table[r & 1023];
        if (i % 262144 == 262143) {
            while (atomic_load_explicit(&turn, memory_order_acquire) % 2 != me)
                ;
            atomic_fetch_add_explicit(&turn, 1, memory_order_release);
        }
    }
    worker->result = sum;
    return NULL;
}

static uint64_t pair(uint64_t count, uint64_t seed)
{
    uint64_t even = seed & ~UINT64_C(1);
    struct worker workers[2] = {{.count = count / 2, .seed = even},
                                {.count = count / 2, .seed = even + 1}};
    run_two(workers, pair_worker);
    bench_end(count);
    return bench_mix(workers[0].result, workers[1].result);
}

const struct bench_group bench_harts = {
    "harts", 2,
    (const struct bench[]){{"atomics", BENCH_WORK, 1000000, atomics},
                           {"mutex", BENCH_WORK, 300000, contended},
                           {"two-harts", BENCH_WORK, 4000000, pair},
                           {0}}};

/* Work in the first-level cache that nobody shares. */
static uint64_t alone(uint64_t count, uint64_t seed)
{
    static uint32_t table[1024];
    uint64_t state = seed + 2, sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t r = bench_random(&state);
        table[r >> 54] += (uint32_t)r;
        sum += table[r & 1023];
    }
    return sum;
}

/* `processes` processes do `count` operations each, all of them at once. */
static uint64_t processes(unsigned processes, uint64_t count, uint64_t seed)
{
    uint64_t *results = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED)
        bench_fail("no memory");
    bench_begin();
    for (unsigned i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0)
            bench_fail("no process");
        if (child == 0) {
            results[i] = alone(count, seed + i);
            _exit(0);
        }
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < processes; i++)
        if (wait(NULL) < 0)
            bench_fail("a process is missing");
    bench_end(count * processes);
    for (unsigned i = 0; i < processes; i++)
        sum = bench_mix(sum, results[i]);
    return sum;
}

static uint64_t one_process(uint64_t count, uint64_t seed)
{
    return processes(1, count, seed);
}

static uint64_t two_processes(uint64_t count, uint64_t seed)
{
    return processes(2, count, seed);
}

const struct bench_group bench_scaling = {
    "scaling", 2,
    (const struct bench[]){{"one-process", BENCH_WORK, 8000000, one_process},
                           {"two-processes", BENCH_WORK, 8000000, two_processes},
                           {0}}};
