/* Code that changes, and much code that runs once: what translators pay for most. */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

static void *executable(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        bench_fail("no executable memory");
    return memory;
}

enum { STUB = 8 };

/* A function that returns `value` << 12. */
static void write_stub(unsigned char *at, uint32_t value)
{
#if defined(__riscv)
    uint32_t code[2] = {value << 12 | 10 << 7 | 0x37, 0x00008067}; /* lui a0, value; ret */
    memcpy(at, code, sizeof(code));
#elif defined(__x86_64__)
    uint32_t shifted = value << 12;
    at[0] = 0xB8; /* mov eax, shifted; ret */
    memcpy(at + 1, &shifted, sizeof(shifted));
    at[5] = 0xC3;
#else
    (void)at, (void)value;
    bench_skip("no code generator for this processor");
#endif
}

/* Sixteen functions in one page; one is patched, fence.i, and all are called. */
static uint64_t patched(uint64_t count, uint64_t seed)
{
    enum { STUBS = 16 };
    unsigned char *code = executable(4096);
    uint64_t state = seed, sum = 0;
    for (uint32_t i = 0; i < STUBS; i++)
        write_stub(code + i * STUB, i);
    __builtin___clear_cache((char *)code, (char *)code + 4096);
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t r = bench_random(&state);
        write_stub(code + (r >> 60) * STUB, (uint32_t)r & 0x3FFFF);
#ifdef __riscv
        __asm__ volatile("fence.i" : : : "memory"); /* enough in a guest of one hart */
#endif
        for (uint32_t j = 0; j < STUBS; j++) {
            uint32_t (*stub)(void);
            void *at = code + j * STUB;
            memcpy(&stub, &at, sizeof(stub));
            sum += (uint64_t)stub() << (j & 3);
        }
    }
    bench_end(count);
    return sum;
}

/*
 * 512 different functions in a section of their own. They are position-independent by their nature
 * (no calls, no constants of 64 bits), so that the section can be copied: each copy is code that
 * was never seen before.
 */
typedef uint32_t cold_function(uint32_t x, uint32_t y);
#define STEP(k, m)                                                                                 \
    x = (x ^ (uint32_t)(k)*UINT32_C(2654435761)) + (x >> ((k) % 13 + 3));                          \
    if (x & UINT32_C(1) << ((k) / 3 + (m)) % 31)                                                   \
        y += x ^ ((uint32_t)(k)-m);                                                                \
    else                                                                                           \
        y = y * ((k) % 29 + 3) - x;                                                                \
    x -= y << (k) % 7;
#define COLD(n)                                                                                    \
    __attribute__((section("bench_cold"), noinline, aligned(4))) static uint32_t cold_##n(         \
        uint32_t x, uint32_t y)                                                                    \
    {                                                                                              \
        STEP(n, 1) STEP(n * 3, 2) STEP(n * 5, 3) STEP(n * 7, 4) return x ^ y;                      \
    }
#define ENTRY(n)      cold_##n,
#define TIMES_8(f, n) f(n##0) f(n##1) f(n##2) f(n##3) f(n##4) f(n##5) f(n##6) f(n##7)
#define TIMES_64(f, n)                                                                             \
    TIMES_8(f, n##0)                                                                               \
    TIMES_8(f, n##1)                                                                               \
    TIMES_8(f, n##2)                                                                               \
    TIMES_8(f, n##3)                                                                               \
    TIMES_8(f, n##4)                                                                               \
    TIMES_8(f, n##5)                                                                               \
    TIMES_8(f, n##6)                                                                               \
    TIMES_8(f, n##7)
#define TIMES_512(f)                                                                               \
    TIMES_64(f, 1)                                                                                 \
    TIMES_64(f, 2)                                                                                 \
    TIMES_64(f, 3)                                                                                 \
    TIMES_64(f, 4)                                                                                 \
    TIMES_64(f, 5)                                                                                 \
    TIMES_64(f, 6)                                                                                 \
    TIMES_64(f, 7)                                                                                 \
    TIMES_64(f, 8)

TIMES_512(COLD)
static cold_function *const cold_functions[] = {TIMES_512(ENTRY)};
extern const char __start_bench_cold[], __stop_bench_cold[];

static uint64_t cold(uint64_t count, uint64_t seed)
{
    enum { FUNCTIONS = sizeof(cold_functions) / sizeof(cold_functions[0]) };
    size_t size = (size_t)(__stop_bench_cold - __start_bench_cold);
    size_t room = (size + 4095) & ~(size_t)4095;
    uint64_t copies = (count + FUNCTIONS - 1) / FUNCTIONS;
    unsigned char *code = executable(room * copies);
    for (uint64_t i = 0; i < copies; i++)
        memcpy(code + i * room, __start_bench_cold, size);
    __builtin___clear_cache((char *)code, (char *)code + room * copies);
    uint32_t x = (uint32_t)seed, y = 1;
    bench_begin();
    for (uint64_t i = 0; i < copies; i++)
        for (size_t j = 0; j < FUNCTIONS; j++) {
            cold_function *function;
            void *at = code + i * room + ((const char *)cold_functions[j] - __start_bench_cold);
            memcpy(&function, &at, sizeof(function));
            y = function(x + (uint32_t)j, y);
            x ^= y;
        }
    bench_end(copies * FUNCTIONS);
    return (uint64_t)x << 32 | y;
}

const struct bench_group bench_code = {
    "code", 1,
    (const struct bench[]){
        {"patched-code", BENCH_WORK, 12000, patched}, {"cold-code", BENCH_WORK, 81920, cold}, {0}}};
