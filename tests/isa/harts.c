/*
 * Two harts: PAUSE while waiting for the other (Unprivileged ISA 20240411, "Zihintpause": a hint,
 * it changes nothing), atomics on one word (13.2, 13.4), and code that the other hart wrote
 * ("Zifencei").
 */
#include "isa.h"

#define TURNS 2000

static _Atomic uint64_t turn, added, reserved, finished;
static uint64_t bad_registers;

/* PAUSE between two samples of registers; counts what it changed. */
static void pause(void)
{
    uint64_t a = 0x1111, b = 0x2222;

    __asm__ volatile(".4byte 0x0100000f" : "+r"(a), "+r"(b));
    if (a != 0x1111 || b != 0x2222)
        bad_registers++;
}

static void wait_for_turn(uint64_t want)
{
    while (turn != want)
        pause();
}

static void increments(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t old, failed;

        __asm__ volatile("amoadd.d zero, %1, (%0)" : : "r"(&added), "r"(1ULL) : "memory");
        do
            __asm__ volatile("lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)"
                             : "=&r"(old), "=&r"(failed)
                             : "r"(&reserved)
                             : "memory");
        while (failed);
    }
    finished++;
}

static uint64_t call_code(void)
{
    fence_i();
    return ((uint64_t(*)(void))FN(probe_code))();
}

/* Odd turns are hart 1's. */
static void hart_1(void)
{
    for (uint64_t i = 1; i < TURNS; i += 2) {
        wait_for_turn(i);
        probe_code[0] = ENC_I(MATCH_addi, 10, 0, i % 2048);
        turn = i + 1;
    }
    increments();
}

void test_main(void)
{
    covers(MATCH_pause);
    probe_code[1] = RET;
    other_entry = hart_1;
    for (uint64_t i = 0; i < TURNS; i += 2) {
        wait_for_turn(i);
        if (i > 0)
            CHECK_EQ("code that the other hart wrote", call_code(), (i - 1) % 2048);
        turn = i + 1;
    }
    increments();
    while (finished != 2)
        pause();
    CHECK_EQ("registers around PAUSE", bad_registers, 0);
    CHECK_EQ("turns", turn, TURNS);
    CHECK_EQ("amoadd.d by two harts", added, 40000);
    CHECK_EQ("lr.d and sc.d by two harts", reserved, 40000);
}
