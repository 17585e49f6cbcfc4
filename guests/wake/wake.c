/*
 * wake: its harts hand a token round, rounds=N (500) times, and sleep while they have not got it:
 * by WFI or suspended by HSM, with nothing that could wake them but the one IPI that comes with the
 * token. Between, some sleep until their timer, with nothing but that. Delays are chosen by seed=N,
 * so that the waker and the sleeper meet in all ways. A wake-up that is lost ends it: then it never
 * says that it is done.
 */
#include "guest.h"

enum { HARTS_MAX = 8, STACK_SIZE = 4096, HSM_START = 0, HSM_SUSPEND = 3 };

/* entry.S knows that the stack is its beginning, and how large it is. */
struct hart {
    uint8_t stack[STACK_SIZE];
    uint64_t id, random, naps;
} __attribute__((aligned(16)));

void hart_entry(void);
_Noreturn void hart_loop(struct hart *hart);

static struct hart harts[HARTS_MAX];
static unsigned hart_count;
static char options[256];
static uint64_t rounds;
static volatile uint64_t token; /* whose it is: harts[token % hart_count] */

static uint64_t random_below(struct hart *hart, uint64_t limit)
{
    /* xorshift64* (Vigna) */
    hart->random ^= hart->random >> 12;
    hart->random ^= hart->random << 25;
    hart->random ^= hart->random >> 27;
    return (hart->random * 0x2545f4914f6cdd1d >> 33) % limit;
}

static void delay(uint64_t loops)
{
    while (loops--)
        __asm__ volatile("");
}

static void sleep_once(struct hart *hart)
{
    if (random_below(hart, 8) == 0)
        sbi3(SBI_HSM, HSM_SUSPEND, 0, 0, 0); /* retentive: returns when woken */
    else
        __asm__ volatile("wfi" ::: "memory");
}

/* What wakes is cleared before the look at what it tells of. */
static void wait_for_token(struct hart *hart, unsigned index)
{
    csr_write(sie, SIP_SSIP);
    for (;;) {
        csr_clear(sip, SIP_SSIP);
        __asm__ volatile("fence" ::: "memory");
        if (token % hart_count == index)
            return;
        sleep_once(hart);
    }
}

static void nap(struct hart *hart)
{
    uint64_t until = time_now() + random_below(hart, 3000);

    csr_write(sie, SIP_STIP);
    sbi3(SBI_TIME, 0, until, 0, 0);
    delay(random_below(hart, 2000));
    /* By the time, not by sip.STIP: a guest on QEMU 7.2 reads that as 0 always. */
    while (time_now() < until)
        sleep_once(hart);
    sbi3(SBI_TIME, 0, UINT64_MAX, 0, 0);
    hart->naps++;
}

static _Noreturn void finish(void)
{
    uint64_t naps = 0;

    for (unsigned i = 0; i < hart_count; i++)
        naps += harts[i].naps;
    print("wake: ");
    print_number(token);
    print(" passes, ");
    print_number(naps);
    print(" naps\nwake: done\n");
    power_off(false);
}

void hart_loop(struct hart *hart)
{
    unsigned index = (unsigned)(hart - harts);

    for (;;) {
        if (random_below(hart, 4) == 0)
            nap(hart);
        wait_for_token(hart, index);
        if (token >= rounds * hart_count)
            finish();
        delay(random_below(hart, 4) ? random_below(hart, 3000) : 0);
        token = token + 1;
        __asm__ volatile("fence" ::: "memory");
        sbi3(SBI_IPI, 0, 1, harts[token % hart_count].id, 0);
    }
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof(options) - 1; i++)
            options[i] = (char)args->value[i];
    if (text_same(node->parent, "cpus") && text_begins(node->name, "cpu@") &&
        hart_count < HARTS_MAX)
        harts[hart_count++].id = tree_number(node, "reg", 0);
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)entered;
    csr_write(sie, 0);
    if (!tree_walk(tree, take_node, NULL) || hart_count == 0)
        power_off(true);
    rounds = option_number(options, "rounds", 500);
    struct hart *self = NULL;
    for (unsigned i = 0; i < hart_count; i++) {
        harts[i].random = option_number(options, "seed", 1) * 0x9e3779b97f4a7c15 + i + 1;
        if (harts[i].id == hart_id)
            self = &harts[i];
        else if (sbi3(SBI_HSM, HSM_START, harts[i].id, (uintptr_t)hart_entry, (uintptr_t)&harts[i])
                     .error)
            power_off(true);
    }
    if (!self)
        power_off(true);
    hart_loop(self);
}
