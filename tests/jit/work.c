/* What the counts of counts.py are taken of: one kind of work each, the same in each run. */
#include "tests/isa/isa.h"

#ifdef STEADY
#define COUNT 40 /* of each turn of many */
#else
#define COUNT 20000
#endif

static volatile uint64_t sink, one = 1; /* a compiler does not know it */
static uint64_t table[8 * 512];         /* 8 pages */
#define WORDS (COUNT < 100 ? 128u : 8 * 512u)

#if defined(INTEGERS)
static void work(void)
{
    uint64_t h = one;
    uint32_t w = 7;
    for (uint64_t i = 0; i < COUNT; i++) {
        h = (h ^ i) * 0x100000001b3;
        h ^= h >> 29 | h << 35;
        w = w * 1664525 + 1013904223;
        w ^= (uint32_t)(w >> 11) + (uint32_t)(i / 3);
    }
    sink = h + w;
}
#elif defined(CALLS)
__attribute__((noinline)) static uint64_t fib(uint64_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
static void work(void)
{
    sink = fib((COUNT < 100 ? 7 : 17) + one);
}
#elif defined(MEMORY)
static void work(void)
{
    for (unsigned n = 0; n < (COUNT < 100 ? 1 : 8); n++) {
        for (unsigned i = 0; i < WORDS; i++)
            table[i] += i ^ n;
        for (unsigned i = 0; i + 1 < WORDS; i++)
            table[i] = table[i + 1] + (uint64_t)((volatile uint8_t *)table)[i];
    }
    sink = table[77];
}
#elif defined(INDIRECT)
#define FUNCTION(n)                                                                                \
    __attribute__((noinline)) static uint64_t f##n(uint64_t x)                                     \
    {                                                                                              \
        return x * (2 * n + 1) + n;                                                                \
    }
/* clang-format off */
FUNCTION(0) FUNCTION(1) FUNCTION(2) FUNCTION(3) FUNCTION(4) FUNCTION(5) FUNCTION(6) FUNCTION(7)
    /* clang-format on */
    static uint64_t (*volatile const functions[8])(uint64_t) = {f0, f1, f2, f3, f4, f5, f6, f7};
static void work(void)
{
    uint64_t x = one;
    for (unsigned i = 0; i < COUNT; i++)
        x = functions[(x >> 7 ^ i) & 7](x) + 3;
    sink = x;
}
#elif defined(FLOATS)
static void work(void)
{
    volatile double start = 1.5;
    double x = start, sum = 0;
    float y = 0.25f;
    for (unsigned i = 0; i < COUNT; i++) {
        x = x * 0.999 + 0.001 / (x + 1);
        y = y * 0.5f + (float)i;
        sum += x < 1.0 ? x : -x;
    }
    sink = (uint64_t)(int64_t)(sum + (double)y);
}
#elif defined(ATOMICS)
static void work(void)
{
    for (unsigned i = 0; i < COUNT / 4; i++) {
        __atomic_fetch_add(&table[0], i, __ATOMIC_SEQ_CST);
        __atomic_fetch_or((uint32_t *)&table[1], i, __ATOMIC_RELAXED);
        uint64_t old = table[2];
        __atomic_compare_exchange_n(&table[2], &old, old + 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
    }
    sink = table[0] + table[2];
}
#elif defined(SYSTEM)
static void work(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < COUNT / 10; i++) {
        uint64_t old, time;
        __asm__ volatile("csrrw %0, mscratch, %2\n\tcsrr %1, instret"
                         : "=r"(old), "=r"(time)
                         : "r"(i));
        sum += old;
    }
    sink = sum;
}
#elif defined(ZKT)
/* Each instruction of Zkt's list (Cryptography Extensions, 4.1) that a hart without Zkn has, on two
 * operands: -DA=, -DB=. */
static volatile uint64_t operands[2] = {A, B};
#define OF_TWO(op)                                                                                 \
    __asm__ volatile(op " %0, %1, %2" : "=r"(c) : "r"(a), "r"(b));                                 \
    sum ^= c;
#define OF_ONE(op)                                                                                 \
    __asm__ volatile(op " %0, %1" : "=r"(c) : "r"(a));                                             \
    sum ^= c;
#define OF_IMM(op)                                                                                 \
    __asm__ volatile(op " %0, %1, 13" : "=r"(c) : "r"(a));                                         \
    sum ^= c;
static void work(void)
{
    uint64_t a = operands[0], b = operands[1], c, sum = 0;
    /* clang-format off */
    OF_IMM("addi") OF_IMM("slti") OF_IMM("sltiu") OF_IMM("xori") OF_IMM("ori") OF_IMM("andi") OF_IMM("slli")
    OF_IMM("srli") OF_IMM("srai") OF_TWO("add") OF_TWO("sub") OF_TWO("sll") OF_TWO("slt") OF_TWO("sltu")
    OF_TWO("xor") OF_TWO("srl") OF_TWO("sra") OF_TWO("or") OF_TWO("and") OF_IMM("addiw") OF_IMM("slliw")
    OF_IMM("srliw") OF_IMM("sraiw") OF_TWO("addw") OF_TWO("subw") OF_TWO("sllw") OF_TWO("srlw") OF_TWO("sraw")
    OF_TWO("mul") OF_TWO("mulh") OF_TWO("mulhu") OF_TWO("mulhsu") OF_TWO("mulw") OF_TWO("clmul") OF_TWO("clmulh")
    OF_TWO("rol") OF_TWO("ror") OF_IMM("rori") OF_TWO("rolw") OF_TWO("rorw") OF_IMM("roriw") OF_TWO("andn")
    OF_TWO("orn") OF_TWO("xnor") OF_ONE("rev8") OF_TWO(".insn r 0x33, 5, 7,") OF_TWO(".insn r 0x33, 7, 7,")
        /* clang-format on */
        sink = sum;
}
#elif defined(VECTORS)
static uint8_t from[1000], to[1000];
static void work(void)
{
    __asm__ volatile("csrs mstatus, %0" : : "r"(3 << 9)); /* VS */
    for (unsigned i = 0; i < COUNT / 20; i++) {
        uint8_t *s = from, *d = to;
        uint64_t n = sizeof from, vl;
        __asm__ volatile("1: vsetvli %0, %3, e8, m8, ta, ma\n\t"
                         "vle8.v v0, (%1)\n\t"
                         "vle8.v v8, (%2)\n\t"
                         "vadd.vv v8, v8, v0\n\t"
                         "vse8.v v8, (%2)\n\t"
                         "add %1, %1, %0\n\t"
                         "add %2, %2, %0\n\t"
                         "sub %3, %3, %0\n\t"
                         "bnez %3, 1b"
                         : "=&r"(vl), "+r"(s), "+r"(d), "+r"(n)
                         :
                         : "memory");
    }
    sink = to[77];
}
#endif

void test_main(void)
{
    work();
#ifdef STEADY
    for (;;)
        work();
#endif
    CHECK_EQ("work was done", sink != 1, 1);
}
