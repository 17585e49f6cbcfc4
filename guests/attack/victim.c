/*
 * attack: the neighbour. What it holds and counts is known to whoever started it: the pattern in
 * its RAM and the chain that it computes follow from the seed.
 */
#include "attack.h"

enum { STEPS = 200000, TIMER_HZ = 100, TREE_MAX = 1 << 16 };
/* Knuth's MMIX generator, whose n-th value a host can compute at once. */
#define CHAIN_FACTOR 6364136223846793005UL
/* Goldfish RTC: nanoseconds. */
enum {
    RTC_LOW = 0,
    RTC_HIGH = 4,
    RTC_ALARM_LOW = 8,
    RTC_ALARM_HIGH = 12,
    RTC_ENABLED = 16,
    RTC_CLEAR = 28
};

static uint64_t seed, ticks, alarms, stray, next_tick;

static volatile uint32_t *at(uint64_t address)
{
    return (volatile uint32_t *)address;
}

static uint64_t visit(const void *tree, bool fill)
{
    uint64_t tree_at = (uint64_t)tree & ~4095UL, count = 0;
    for (uint64_t address = guest.ram; address < guest.ram_end; address += 8) {
        if (address >= (uint64_t)image_start && address < (uint64_t)image_end)
            address = ((uint64_t)image_end + 7) & ~7UL;
        if (address >= tree_at && address < tree_at + TREE_MAX) {
            address = tree_at + TREE_MAX - 8;
            continue;
        }
        volatile uint64_t *word = (volatile uint64_t *)address;
        if (fill)
            *word = mix(seed ^ address);
        else
            count += *word != mix(seed ^ address);
    }
    return count;
}

static uint64_t page_of(void)
{
    return guest.plic + 0x200000 + 0x1000 * guest.context;
}

static uint64_t enable_of(void)
{
    return guest.plic + 0x2000 + 0x80 * guest.context + guest.rtc_line / 32 * 4;
}

static void alarm_set(void)
{
    uint64_t now = *at(guest.rtc + RTC_LOW);
    now |= (uint64_t)*at(guest.rtc + RTC_HIGH) << 32;
    now += 1000000000 / TIMER_HZ;
    *at(guest.rtc + RTC_ALARM_HIGH) = (uint32_t)(now >> 32);
    *at(guest.rtc + RTC_ALARM_LOW) = (uint32_t)now;
}

static void begin_interrupts(void)
{
    csr_clear(sip, SIP_SSIP);
    next_tick = time_now() + guest.timebase / TIMER_HZ;
    sbi3(SBI_TIME, 0, next_tick, 0, 0);
    if (guest.rtc == 0 || guest.context == UINT64_MAX)
        return;
    *at(guest.plic + 4 * guest.rtc_line) = 3;
    *at(enable_of()) = 1U << guest.rtc_line % 32;
    *at(page_of()) = 2;
    *at(guest.rtc + RTC_ENABLED) = 1;
    alarm_set();
}

static void poll(void)
{
    uint64_t pending = csr_read(sip);
    if (pending & SIP_SSIP) { /* nobody of ours sends one */
        stray++;
        csr_clear(sip, SIP_SSIP);
    }
    if (pending & SIP_STIP && time_now() >= next_tick) {
        ticks++;
        next_tick = time_now() + guest.timebase / TIMER_HZ;
        sbi3(SBI_TIME, 0, next_tick, 0, 0);
    }
    if (pending & SIP_SEIP && guest.rtc) {
        uint32_t line = *at(page_of() + 4);
        if (line == guest.rtc_line) {
            alarms++;
            *at(guest.rtc + RTC_CLEAR) = 1;
            *at(page_of() + 4) = line;
            alarm_set();
        }
    }
}

static uint64_t plic_differs(void)
{
    if (guest.rtc == 0)
        return 0;
    return (uint64_t)(*at(guest.plic + 4 * guest.rtc_line) != 3) +
           (uint64_t)(*at(enable_of()) != 1U << guest.rtc_line % 32) +
           (uint64_t)(*at(page_of()) != 2);
}

static bool asked_to_end(void)
{
    static char key;
    struct sbi_result got = sbi3(SBI_DBCN, 1, 1, (uintptr_t)&key, 0);
    return got.error == 0 && got.value == 1 && key == 'q';
}

static void say(const char *what, uint64_t number)
{
    print(what);
    print_number(number);
}

void victim(const void *tree)
{
    uint64_t rounds = 0, chain = seed = option_number(guest.options, "seed", 1);

    visit(tree, true);
    registers_fill(guest.secret);
    begin_interrupts();
    print("victim: ready\n");
    do {
        for (unsigned i = 0; i < STEPS; i++) {
            chain = chain * CHAIN_FACTOR + 1;
            if (i % 256 == 0)
                poll();
        }
        rounds++;
        if (rounds % 2048 == 0) {
            say("victim: round ", rounds);
            print(" chain ");
            print_hex(chain);
            print("\n");
        }
    } while (!asked_to_end());
    say("victim: end after ", rounds);
    print(" rounds: chain ");
    print_hex(chain);
    say("\nvictim: changed: RAM ", visit(tree, false));
    say(" registers ", registers_differ(guest.secret));
    say(" PLIC ", plic_differs());
    say(" strays ", stray);
    uint64_t started = 0;
    for (uint64_t hart = 1; hart < guest.harts; hart++)
        started += sbi3(SBI_HSM, 2, hart, 0, 0).value != 1;
    say(" harts ", started);
    say("\nvictim: ticks ", ticks);
    say(" alarms ", alarms);
    print("\nvictim: done\n");
    power_off(false);
}
