/* Guest instructions per second: a loop whose instructions are counted by hand. */
#include "bench.h"

enum { LOOP_INSTRUCTIONS = 16 };

static uint64_t instructions(uint64_t count, uint64_t seed)
{
    uint64_t loops = count / LOOP_INSTRUCTIONS + 1, left = loops;
    uint64_t a = seed, b = 0, cell[2] = {seed, 0};
    bench_begin();
#ifdef __riscv
    uint64_t t;
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     "1: slli %[t], %[a], 13\n"
                     "xor %[a], %[a], %[t]\n"
                     "srli %[t], %[a], 7\n"
                     "xor %[a], %[a], %[t]\n"
                     "slli %[t], %[a], 17\n"
                     "xor %[a], %[a], %[t]\n"
                     "ld %[t], 0(%[cell])\n"
                     "add %[b], %[b], %[t]\n"
                     "andi %[t], %[a], 255\n"
                     "addw %[b], %[b], %[t]\n"
                     "sd %[b], 8(%[cell])\n"
                     "sltu %[t], %[a], %[b]\n"
                     "add %[b], %[b], %[t]\n"
                     "beqz %[left], 2f\n" /* never taken */
                     "2: addi %[left], %[left], -1\n"
                     "bnez %[left], 1b\n"
                     ".option pop\n"
                     : [a] "+&r"(a), [b] "+&r"(b), [left] "+&r"(left), [t] "=&r"(t)
                     : [cell] "r"(cell)
                     : "memory");
#else
    for (; left; left--) {
        a ^= a << 13;
        a ^= a >> 7;
        a ^= a << 17;
        b += *(volatile uint64_t *)&cell[0];
        b = (uint64_t)(int64_t)(int32_t)(uint32_t)(b + (a & 255));
        *(volatile uint64_t *)&cell[1] = b;
        b += a < b;
    }
#endif
    bench_end(loops * LOOP_INSTRUCTIONS);
    return bench_mix(a, b ^ cell[1]);
}

const struct bench_group bench_instructions = {
    "instructions", 1,
    (const struct bench[]){{"instructions", BENCH_INSTRUCTIONS, 60000000, instructions}, {0}}};
