/*
 * crowd: all harts sleep by their timers, naps=N times, first=N ms and then some of 20 ms each;
 * then an interrupt goes round from hart to hart, laps=N times, and each waits for it asleep; of
 * few, every second one spins (so that its turn ends meanwhile). Says how often each happened.
 */
#include "guest.h"

enum { HARTS_MAX = 64, NAP_MS = 20, HART_START = 0 };

struct hart {
    volatile uint64_t naps, received, woken, late;
    uint64_t id;
    uint8_t stack[2048 - 40];
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct hart) == 2048, "entry.S");

void crowd_entry(void);
_Noreturn void crowd_hart(struct hart *hart);

static char options[256];
static uint64_t timebase, count, naps, laps, first;
static bool legacy;
static struct hart harts[HARTS_MAX];

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof(options) - 1; i++)
            options[i] = (char)args->value[i];
    if (text_same(node->name, "cpus"))
        timebase = tree_number(node, "timebase-frequency", 0);
    if (text_begins(node->name, "cpu@") && count < HARTS_MAX)
        harts[count++].id = tree_number(node, "reg", 0);
}

static void timer_set(uint64_t end)
{
    if (legacy)
        sbi3(0, 0, end, 0, 0);
    else
        sbi3(SBI_TIME, 0, end, 0, 0);
}

static void nap(struct hart *hart, uint64_t ticks)
{
    uint64_t end = time_now() + ticks;
    csr_write(sie, SIP_STIP);
    timer_set(end);
    /* Not until sip.STIP: below the hypervisor of QEMU 7.2 it reads 0 (and WFI ends all the same).
     */
    do {
        __asm__ volatile("wfi" ::: "memory");
        hart->woken++;
    } while (time_now() < end);
    uint64_t late = (time_now() - end) / (timebase / 1000);
    hart->late = late > hart->late ? late : hart->late;
    timer_set(UINT64_MAX);
    hart->naps++;
}

void crowd_hart(struct hart *hart)
{
    uint64_t number = (uint64_t)(hart - harts), random = number + 1;

    while (hart->naps < naps) {
        random = random * 6364136223846793005 + 1442695040888963407;
        nap(hart, hart->naps == 0 ? first : 1 + (random >> 33) % (timebase / 1000 * NAP_MS));
    }
    csr_write(sie, SIP_SSIP);
    while (hart->received < laps) {
        if ((csr_read(sip) & SIP_SSIP) == 0) {
            if (number % 2 == 0 || count > 8)
                __asm__ volatile("wfi" ::: "memory");
            continue;
        }
        csr_clear(sip, SIP_SSIP);
        hart->received++;
        if (number + 1 < count)
            sbi3(SBI_IPI, 0, 1, harts[number + 1].id, 0);
        else if (hart->received < laps)
            sbi3(SBI_IPI, 0, 1, harts[0].id, 0);
    }
    while (number == 0 && harts[count - 1].received < laps)
        nap(hart, timebase / 100);
    if (number == 0) {
        print("crowd: ");
        print_number(laps * count);
        print(" interrupts received\ncrowd: done\n");
        power_off(false);
    }
    for (;;)
        sbi3(SBI_HSM, 1, 0, 0, 0); /* stop */
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    uint64_t woken = 0, late = 0;

    (void)entered;
    if (!tree_walk(tree, take_node, NULL) || timebase == 0)
        power_off(true);
    naps = option_number(options, "naps", 10);
    legacy = option_number(options, "legacy", 0) != 0;
    laps = option_number(options, "laps", 10);
    for (uint64_t i = 1; i < count; i++)
        if (harts[i].id == hart_id) {
            harts[i].id = harts[0].id;
            harts[0].id = hart_id;
        }
    first = timebase / 1000 * option_number(options, "first", NAP_MS);
    for (uint64_t i = 1; i < count; i++)
        sbi3(SBI_HSM, HART_START, harts[i].id, (uintptr_t)crowd_entry, (uintptr_t)&harts[i]);
    for (uint64_t i = 1; i < count; i++) {
        while (harts[i].naps < naps)
            nap(&harts[0], timebase / 100);
        woken += harts[i].woken;
        late = harts[i].late > late ? harts[i].late : late;
    }
    print("crowd: ");
    print_number(count);
    print(" harts slept ");
    print_number(naps);
    print(" times\ncrowd: each was woken ");
    print_number(woken / (count - 1));
    print(" times, ");
    print_number(late);
    print(" ms late at most\n");
    harts[0].naps = naps;
    sbi3(SBI_IPI, 0, 1, hart_id, 0);
    crowd_hart(&harts[0]);
}
