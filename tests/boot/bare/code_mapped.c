/* One page of code at 98,304 virtual addresses: executed at each, rewritten, executed at each. */
#include "bare.h"

#define TABLES (RAM + (8UL << 20)) /* of three levels, and the page */
#define CODE   (TABLES + 0x3000)
#define COUNT  (192UL * 512)

/* Calls `va` in S-mode until its ECALL; gives a0. */
static uint64_t call_at(uint64_t va, uint64_t argument)
{
    register uint64_t a0 __asm__("a0") = argument;
    __asm__ volatile("la    t0, 1f\n"
                     "csrw  mtvec, t0\n"
                     "csrw  mepc, %1\n"
                     "li    t0, 3 << 11\n"
                     "csrc  mstatus, t0\n"
                     "li    t0, 1 << 11\n"
                     "csrs  mstatus, t0\n"
                     "mret\n"
                     ".balign 4\n"
                     "1:\n"
                     : "+r"(a0)
                     : "r"(va)
                     : "t0", "memory");
    return a0;
}

static void put64(uint64_t address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}

void main(void)
{
    put64(TABLES, (TABLES + 0x1000) >> 12 << 10 | 1);
    for (uint64_t i = 0; i < 512; i++) {
        put64(TABLES + 0x1000 + i * 8, (TABLES + 0x2000) >> 12 << 10 | 1);
        put64(TABLES + 0x2000 + i * 8, CODE >> 12 << 10 | 0xcf); /* D A X W R V */
    }
    __asm__ volatile("csrw pmpaddr0, %0\n"
                     "csrw pmpcfg0, %1\n"
                     "csrw satp, %2\n"
                     "sfence.vma"
                     :
                     : "r"(-1UL >> 10), "r"(0x1f), "r"(8UL << 60 | TABLES >> 12)
                     : "memory");
    for (uint32_t round = 1; round < 3; round++) {
        uint64_t sum = 0;
        put32(CODE, 0x00050513 | round << 20); /* addi a0, a0, round */
        put32(CODE + 4, 0x00000073);           /* ecall */
        __asm__ volatile("fence.i" : : : "memory");
        for (uint64_t i = 0; i < COUNT; i++)
            sum = call_at(i << 12, sum);
        put_text(sum == round * COUNT ? "as written\n" : "not as written\n");
    }
    power_off();
}
