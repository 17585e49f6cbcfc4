/*
 * Calls and returns (Unprivileged ISA, 2.5.1): a return goes where its register says, whatever was
 * called before; and direct jumps from page to page go to the page that is there now (Privileged
 * ISA, 10.2.1).
 */
#include "isa.h"

#define ALONE __attribute__((noinline))

/* ---- returns that are not those of the last call ---- */

static ALONE uint64_t sum_up_to(uint64_t n)
{
    uint64_t below = n == 0 ? 0 : sum_up_to(n - 1);
    __asm__ volatile("" : "+r"(below)); /* no loop instead */
    return below + n;
}

/* Returns `skip` bytes behind where it was called, with bit 0 of the address set or not. */
uint64_t skipping(uint64_t skip);
__asm__("skipping:\n"
        "    add ra, ra, a0\n"
        "    li a0, 0\n"
        "    ret\n");

/* 1 + 2 + 4, less what was skipped. */
uint64_t skipped(uint64_t skip);
__asm__("skipped:\n"
        "    mv t1, ra\n"
        "    .option push\n"
        "    .option norvc\n"
        "    jal ra, skipping\n"
        "    addi a0, a0, 1\n"
        "    addi a0, a0, 2\n"
        "    addi a0, a0, 4\n"
        "    .option pop\n"
        "    jr t1\n");

/* Calls itself `depth` deep, and returns from there to its first caller. */
uint64_t deep_and_out(uint64_t depth);
__asm__("deep_and_out:\n"
        "    mv t1, ra\n"
        "1:  addi a0, a0, -1\n"
        "    bltz a0, 2f\n"
        "    jal ra, 1b\n"
        "    li a0, 99\n" /* never */
        "2:  mv ra, t1\n"
        "    li a0, 7\n"
        "    ret\n");

/* Two that call each other in turn as coroutines do, each with its own stack of calls. */
uint64_t in_turn(uint64_t rounds);
__asm__("in_turn:\n"
        "    mv t1, ra\n"
        "    la t2, 3f\n" /* where the other goes on */
        "    li a1, 0\n"
        "1:  jal ra, 2f\n"
        "    addi a1, a1, 1\n"
        "    addi a0, a0, -1\n"
        "    bnez a0, 1b\n"
        "    mv a0, a1\n"
        "    mv ra, t1\n"
        "    ret\n"
        "2:  mv t3, ra\n" /* to the other, which goes on where it was */
        "    mv ra, t2\n"
        "    ret\n"
        "3:  slli a1, a1, 1\n"
        "    la t2, 4f\n"
        "    mv ra, t3\n"
        "    ret\n"
        "4:  addi a1, a1, -3\n"
        "    la t2, 3b\n"
        "    mv ra, t3\n"
        "    ret\n");

/* Returns to `where`, from which the trap comes back. */
void return_to(uint64_t where);
extern const char returned_to;
__asm__("return_to:\n"
        "    mv t1, ra\n"
        "    mv ra, a0\n"
        "    ret\n"
        "returned_to:\n"
        "    jr t1\n");

static void lost(void)
{
    for (uint64_t where = 0; where < 8; where++) {
        trap_clear();
        trap_resume = FN(&returned_to);
        return_to(where);
        trap_resume = 0;
        CHECK_EQ("return to where nothing is", trap.cause, FETCH_ACCESS);
        CHECK_EQ("return to where nothing is: epc", trap.epc, where & ~1ULL);
    }
}

static uint64_t in_turn_here(uint64_t rounds)
{
    uint64_t a = 0;
    for (uint64_t i = 0; i < rounds; i++)
        a = (i % 2 == 0 ? a << 1 : a - 3) + 1;
    return a;
}

static void returns(void)
{
    for (unsigned round = 0; round < 40; round++) {
        CHECK_EQ("skip nothing", skipped(0), 7);
        CHECK_EQ("bit 0 is ignored", skipped(1), 7);
        CHECK_EQ("skip one", skipped(4), 6);
        CHECK_EQ("skip two, and bit 0", skipped(9), 4);
        CHECK_EQ("out of the depth", deep_and_out(round * 50), 7);
        CHECK_EQ("in turn", in_turn(round + 1), in_turn_here(round + 1));
        CHECK_EQ("in turn in S", run_in(S, FN(in_turn), round + 1, 0), in_turn_here(round + 1));
    }
    for (uint64_t n = 1; n < 5000; n = n * 3 + 1)
        CHECK_EQ("recursion", sum_up_to(n), n * (n + 1) / 2);
}

/* ---- pages that change ---- */

#define MV_T1_RA 0x00008313u /* addi t1, ra, 0 */
#define MV_RA_T1 0x00030093u

static uint32_t jal(unsigned rd, int32_t offset)
{
    const uint32_t o = (uint32_t)offset;
    return (o & 0x100000) << 11 | (o & 0x7fe) << 20 | (o & 0x800) << 9 | (o & 0xff000) | rd << 7 |
           0x6f;
}

static uint32_t addi_a0(unsigned rs1, int32_t value)
{
    return (uint32_t)value << 20 | rs1 << 15 | 10 << 7 | 0x13;
}

static void map(unsigned window, unsigned page)
{
    leaf[window] = PTE_PPN(FN(pages[page])) | PTE_ALL;
}

/* A call returns into a page that has been exchanged meanwhile. */
static void exchanged_before_the_return(void)
{
    vm_on(8);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t *code = (uint32_t *)pages[i];
        code[0] = MV_T1_RA;
        code[1] = jal(1, 0x1000 - 4);
        code[2] = addi_a0(0, (int32_t)i + 1);
        code[3] = MV_RA_T1;
        code[4] = RET;
    }
    uint32_t *callee = (uint32_t *)pages[2];
    callee[0] = 0x00b53023; /* sd a1, 0(a0) */
    callee[1] = 0x12000073; /* sfence.vma */
    callee[2] = RET;
    map(1, 0);
    map(2, 2);
    sfence_vma();
    __asm__ volatile("fence.i" : : : "memory");
    for (unsigned round = 0; round < 60; round++) {
        const unsigned next = round % 3 != 0;
        CHECK_EQ("exchanged before the return",
                 run_in(S, WINDOW + 0x1000, FN(&leaf[1]), PTE_PPN(FN(pages[next])) | PTE_ALL),
                 next + 1);
    }
    leaf[1] = leaf[2] = 0;
    vm_on(0);
}

/* One page of code, known at two addresses, jumps (or calls, or branches) to the page behind it,
 * which is not the same there, and changes. */
static void followed_by_others(void)
{
    vm_on(8);
    uint32_t *code = (uint32_t *)pages[0];
    code[0] = jal(0, 0x1000);
    code[4] = MV_T1_RA;
    code[5] = jal(1, 0x1000 - 20);
    code[6] = addi_a0(10, 100);
    code[7] = MV_RA_T1;
    code[8] = RET;
    code[12] = 0x7ca58263; /* beq a1, a0, +0x7c4: to the jump below if they are equal */
    code[13] = addi_a0(0, 77);
    code[14] = RET;
    code[(0x30 + 0x7c4) / 4] = jal(0, 0x1000 - 0x30 - 0x7c4);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t *next = (uint32_t *)pages[1 + i];
        next[0] = addi_a0(10, (int32_t)i + 1);
        next[1] = RET;
    }
    map(1, 0);
    map(5, 0);
    for (unsigned round = 0; round < 90; round++) {
        const unsigned first = 1 + round / 7 % 3, second = 1 + round / 5 % 3;
        map(2, first);
        map(6, second);
        sfence_vma();
        if (round == 0)
            __asm__ volatile("fence.i" : : : "memory");
        CHECK_EQ("jump", run_in(S, WINDOW + 0x1000, 10, 0), 10 + first);
        CHECK_EQ("jump, elsewhere", run_in(S, WINDOW + 0x5000, 20, 0), 20 + second);
        CHECK_EQ("call", run_in(S, WINDOW + 0x1010, 30, 0), 130 + first);
        CHECK_EQ("call, elsewhere", run_in(S, WINDOW + 0x5010, 40, 0), 140 + second);
        CHECK_EQ("branch", run_in(S, WINDOW + 0x1030, 50, 50), 50 + first);
        CHECK_EQ("branch, not taken", run_in(S, WINDOW + 0x5030, 50, 51), 77);
    }
    /* And what the page behind says changes. */
    for (unsigned round = 0; round < 30; round++) {
        *(uint32_t *)pages[1] = addi_a0(10, (int32_t)round);
        map(2, 1);
        sfence_vma();
        __asm__ volatile("fence.i" : : : "memory");
        CHECK_EQ("written", run_in(S, WINDOW + 0x1000, 10, 0), 10 + round);
        CHECK_EQ("written, called", run_in(S, WINDOW + 0x1010, 10, 0), 110 + round);
    }
    leaf[2] = 0;
    sfence_vma();
    trap_clear();
    run_in(S, WINDOW + 0x1010, 1, 0);
    CHECK_EQ("gone: traps", trap.count > 0, 1);
    leaf[1] = leaf[5] = leaf[6] = 0;
    vm_on(0);
}

void test_main(void)
{
    returns();
    lost();
    exchanged_before_the_return();
    followed_by_others();
}
