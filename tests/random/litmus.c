/*
 * Runs the litmus tests that litmus.py made, on two harts, and prints a line for each outcome of
 * each: number of the test, outcome, how often, all in hexadecimal. An outcome is what the harts
 * read and what memory holds in the end, 5 bits for each, hart 0's first read lowest. Freestanding,
 * M-mode.
 */
#include <stddef.h>
#include <stdint.h>

#define ROUNDS    6
#define TICKS     2   /* of 100 ns: from one set of locations to the next */
#define LEAD      30  /* from the meeting to the first */
#define CELLS     512 /* sets of locations that both harts go through without waiting */
#define SPINS     10000000
#define DIGITS    5
#define LOCATIONS 2
#define OUTCOMES  64 /* more than any test has */

struct location {
    volatile uint64_t value;
    uint64_t apart[7];
};

struct test {
    void (*hart[2])(struct location *locations, uint64_t *results);
    uint64_t reads[2];
};

extern const struct test tests[];
extern const uint64_t test_count;
void litmus_main(uint64_t hart);

static struct location locations[CELLS][LOCATIONS];
static uint64_t results[CELLS][2][8];
static volatile uint64_t at[2], begin;

static void put(char c)
{
    volatile uint8_t *uart = (volatile uint8_t *)0x10000000;

    while ((uart[5] & 0x20) == 0)
        ;
    uart[0] = (uint8_t)c;
}

static void put_number(uint64_t value, char behind)
{
    int shift = 60;

    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
    put(behind);
}

/* Returns when both harts have come here as often. */
static void meet(uint64_t me)
{
    uint64_t mine = at[me] + 1;

    __asm__ volatile("fence rw, rw" : : : "memory");
    at[me] = mine;
    for (uint64_t spins = 0; at[1 - me] < mine; spins++)
        if (spins > SPINS) /* the other one's thread may have to wait for this processor */
            __asm__ volatile(".4byte 0x0100000f"); /* pause */
    __asm__ volatile("fence rw, rw" : : : "memory");
}

static uint64_t time_now(void)
{
    uint64_t now;

    __asm__ volatile("csrr %0, time" : "=r"(now));
    return now;
}

/* Both harts see the same tick at nearly the same moment. */
static void wait_until(uint64_t time)
{
    while (time_now() < time)
        ;
}

static uint64_t outcome_of(const struct test *test, unsigned cell)
{
    uint64_t outcome = 0;
    unsigned digit = 0;

    for (unsigned hart = 0; hart < 2; hart++)
        for (uint64_t i = 0; i < test->reads[hart]; i++)
            outcome |= results[cell][hart][i] << DIGITS * digit++;
    for (unsigned i = 0; i < LOCATIONS; i++)
        outcome |= locations[cell][i].value << DIGITS * digit++;
    return outcome;
}

static void clear(void)
{
    for (unsigned cell = 0; cell < CELLS; cell++)
        for (unsigned i = 0; i < LOCATIONS; i++)
            locations[cell][i].value = 0;
}

static void run(uint64_t hart, const struct test *test, uint64_t number)
{
    static struct {
        uint64_t outcome, times;
    } seen[OUTCOMES];
    uint64_t chance = number * 2 + hart;
    unsigned count = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        if (hart == 0) {
            clear();
            begin = time_now() + LEAD;
        }
        meet(hart);
        for (unsigned cell = 0; cell < CELLS; cell++) {
            chance = chance * 6364136223846793005 + 1442695040888963407;
            wait_until(begin + TICKS * cell);
            for (uint64_t wait = chance >> 60; wait > 0; wait--)
                __asm__ volatile("");
            test->hart[hart](locations[cell], results[cell][hart]);
        }
        meet(hart);
        for (unsigned cell = 0; cell < CELLS && hart == 0; cell++) {
            uint64_t outcome = outcome_of(test, cell);
            unsigned i = 0;

            while (i < count && seen[i].outcome != outcome)
                i++;
            if (i == count && count < OUTCOMES) {
                seen[count].times = 0;
                seen[count++].outcome = outcome;
            }
            if (i < count)
                seen[i].times++;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        put_number(number, ' ');
        put_number(seen[i].outcome, ' ');
        put_number(seen[i].times, '\n');
    }
}

void litmus_main(uint64_t hart)
{
    for (uint64_t i = 0; i < test_count; i++)
        run(hart, &tests[i], i);
    if (hart == 0) {
        put('E');
        put('\n');
        *(volatile uint32_t *)0x100000 = 0x5555;
    }
    for (;;)
        __asm__ volatile("wfi");
}
