/*
 * Two harts and the memory model (Unprivileged ISA 20240411, chapter 17): message passing and store
 * buffering with fences never show what RVWMO forbids.
 */
#include "isa.h"

#define ROUNDS 20000

static _Atomic uint64_t at[2], over;
static volatile uint8_t x[ROUNDS], y[ROUNDS], saw_y[ROUNDS], saw_x[ROUNDS];
static volatile uint64_t data, flag;

/* Both harts begin a round together. */
static void meet(unsigned me, uint64_t round)
{
    at[me] = round + 1;
    while (at[1 - me] < round + 1)
        __asm__ volatile(".4byte 0x0100000f"); /* pause */
}

static void hart_1(void)
{
    for (uint64_t i = 0; i < ROUNDS; i++) {
        meet(1, i);
        data = i + 1;
        __asm__ volatile("fence w, w" : : : "memory");
        flag = i + 1;
        y[i] = 1;
        __asm__ volatile("fence rw, rw" : : : "memory");
        saw_x[i] = x[i];
    }
    over = 1;
}

void test_main(void)
{
    uint64_t stale = 0, buffered = 0;
    other_entry = hart_1;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        meet(0, i);
        uint64_t told = flag;
        __asm__ volatile("fence r, r" : : : "memory");
        stale += data < told;
        x[i] = 1;
        __asm__ volatile("fence rw, rw" : : : "memory");
        saw_y[i] = y[i];
    }
    while (!over)
        ;
    for (uint64_t i = 0; i < ROUNDS; i++)
        buffered += !saw_x[i] && !saw_y[i];
    CHECK_EQ("messages whose flag came before their data", stale, 0);
    CHECK_EQ("rounds in which each hart missed the other's store", buffered, 0);
}
