/* Memory within the caches: bytes, unaligned words and the C library's copies. Built with
 * -fno-builtin. */
#include "bench.h"

#include <string.h>

static uint64_t sieve(uint64_t count, uint64_t seed)
{
    enum { SIZE = 1 << 16 };
    static unsigned char composite[SIZE];
    uint64_t sum = seed;
    bench_begin();
    for (uint64_t done = 0; done < count; done += SIZE) {
        memset(composite, 0, SIZE);
        for (size_t i = 2; i * i < SIZE; i++)
            if (!composite[i])
                for (size_t j = i * i; j < SIZE; j += i)
                    composite[j] = 1;
        uint64_t primes = 0;
        for (size_t i = 2; i < SIZE; i++)
            primes += !composite[i];
        sum = bench_mix(sum, primes);
    }
    bench_end(count);
    return sum;
}

static uint64_t bytes(uint64_t count, uint64_t seed)
{
    enum { SIZE = 16384 };
    static unsigned char from[SIZE], to[SIZE];
    uint64_t state = seed, sum = 0;
    uint32_t histogram[256] = {0};
    for (size_t i = 0; i < SIZE; i++)
        from[i] = (unsigned char)(bench_random(&state) % 96 + 32);
    bench_begin();
    for (uint64_t done = 0; done < count; done += SIZE) {
        for (size_t i = 0; i < SIZE; i++) {
            unsigned char c = from[i];
            to[SIZE - 1 - i] = c >= 'a' && c <= 'z' ? (unsigned char)(c - 32) : c;
        }
        for (size_t i = 0; i < SIZE; i++)
            histogram[to[i]]++;
        from[done / SIZE % SIZE] ^= 1;
    }
    bench_end(count);
    for (size_t i = 0; i < 256; i++)
        sum = bench_mix(sum, histogram[i]);
    return sum;
}

/* The compiler would take a load of unknown alignment apart for RISC-V. */
static inline uint64_t load_64(const unsigned char *at)
{
    uint64_t value;
#ifdef __riscv
    __asm__ volatile("ld %0, 0(%1)" : "=r"(value) : "r"(at) : "memory");
#else
    __builtin_memcpy(&value, at, sizeof(value));
#endif
    return value;
}

static inline void store_32(unsigned char *at, uint32_t value)
{
#ifdef __riscv
    __asm__ volatile("sw %0, 0(%1)" : : "r"(value), "r"(at) : "memory");
#else
    __builtin_memcpy(at, &value, sizeof(value));
#endif
}

static uint64_t unaligned(uint64_t count, uint64_t seed)
{
    enum { SIZE = 16384 };
    static unsigned char data[SIZE + 16];
    uint64_t state = seed, sum = 0;
    for (size_t i = 0; i < SIZE + 16; i++)
        data[i] = (unsigned char)bench_random(&state);
    bench_begin();
    for (uint64_t i = 0; i < count; i++) {
        size_t offset = (size_t)(i * 13) % SIZE;
        sum += load_64(data + offset);
        store_32(data + (offset ^ 0x205) % SIZE, (uint32_t)sum);
    }
    bench_end(count);
    return sum;
}

static uint64_t copy(uint64_t count, uint64_t seed)
{
    enum { SIZE = 65536 };
    static unsigned char from[SIZE + 64], to[SIZE + 64];
    uint64_t state = seed, sum = 0;
    for (size_t i = 0; i < SIZE; i++)
        from[i] = (unsigned char)bench_random(&state);
    bench_begin();
    for (uint64_t done = 0, round = 0; done < count; round++) {
        /* Short and long ones, one of eight with another alignment at its source. */
        size_t size = round & 3 ? 64 + round * 24 % 1984 : 32768;
        memcpy(to + round * 8 % SIZE % 4096, from + (round & 7 ? 0 : 3), size);
        sum = bench_mix(sum, to[(round * 8 + size / 2) % 4096]);
        done += size;
    }
    bench_end(count);
    return sum;
}

static uint64_t lengths(uint64_t count, uint64_t seed)
{
    enum { SIZE = 32768 };
    static char text[SIZE + 1];
    uint64_t state = seed, sum = 0;
    memset(text, 'x', SIZE);
    for (size_t i = 0; i < SIZE; i += 1 + (size_t)(bench_random(&state) % 250))
        text[i] = 0;
    bench_begin();
    for (uint64_t done = 0; done < count; done += SIZE)
        for (size_t i = 0; i < SIZE;) {
            size_t length = strlen(text + i);
            sum = bench_mix(sum, length);
            i += length + 1;
        }
    bench_end(count);
    return sum;
}

const struct bench_group bench_bytes = {
    "bytes", 1,
    (const struct bench[]){{"sieve", BENCH_WORK, 3000000, sieve},
                           {"byte-loops", BENCH_WORK, 2400000, bytes},
                           {"unaligned", BENCH_WORK, 3000000, unaligned},
                           {"memcpy", BENCH_WORK, 150000000, copy},
                           {"strlen", BENCH_WORK, 50000000, lengths},
                           {0}}};
