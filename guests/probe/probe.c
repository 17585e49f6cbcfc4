/*
 * probe: a guest that does one thing of which its hypervisor is to make something. First it counts
 * the words of its RAM, beyond what it was given, that are not zero, and prints "probe: N old words
 * in M MiB", behind it the first word of
 * /chosen/rng-seed if it was given one; then it fills all of that and does the last of
 *
 *     off (the default), reboot, fail, hang (interrupts off, for ever), spin (computes and sets its
 * timer, without a call, for ever), sleep (WFI, for ever), busy=N (computes for N ms of its own
 * time, then off)
 */
#include "guest.h"

#define PATTERN 0x5a17ed0b5e55ed00UL

static struct {
    char options[256];
    uint64_t ram, ram_end, timebase, seed;
} probe;

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    const struct tree_property *seed = tree_find(node, "rng-seed");
    uint64_t base, size;

    (void)context;
    if (text_same(node->name, "chosen"))
        for (uint32_t i = 0; args && i < args->length && i < sizeof(probe.options) - 1; i++)
            probe.options[i] = (char)args->value[i];
    for (uint32_t i = 0; seed && i < seed->length && i < 8; i++)
        probe.seed = probe.seed << 8 | seed->value[i];
    if (text_same(node->name, "cpus"))
        probe.timebase = tree_number(node, "timebase-frequency", 0);
    if (text_begins(node->name, "memory@") && tree_range(node, 0, &base, &size)) {
        probe.ram = base;
        probe.ram_end = base + size;
    }
}

/* Whether the word `name` is among the options. */
static bool option(const char *name)
{
    for (const char *at = probe.options; *at; at++) {
        const char *text = at, *want = name;
        while (*want && *text == *want)
            text++, want++;
        if (!*want && (!*text || *text == ' ') && (at == probe.options || at[-1] == ' '))
            return true;
    }
    return false;
}

/* All RAM but this image and the device tree. */
static uint64_t visit_words(const void *tree, bool fill)
{
    const uint8_t *header = tree;
    uint64_t tree_at = (uint64_t)tree & ~7UL, count = 0;
    uint64_t tree_size = (uint64_t)header[4] << 24 | (uint64_t)header[5] << 16 |
                         (uint64_t)header[6] << 8 | header[7];
    uint64_t tree_end = (tree_at + tree_size + 15) & ~7UL;

    for (uint64_t at = probe.ram; at < probe.ram_end; at += 8) {
        if (at >= (uint64_t)image_start && at < (uint64_t)image_end)
            at = (uint64_t)image_end;
        if (at >= tree_at && at < tree_end)
            at = tree_end;
        volatile uint64_t *word = (volatile uint64_t *)at;
        if (fill)
            *word = PATTERN ^ at;
        else
            count += *word != 0;
    }
    return count;
}

static void spin(uint64_t end)
{
    while (time_now() < end)
        for (volatile unsigned i = 0; i < 100000; i++)
            csr_write(0x14d, time_now() + (1UL << 40)); /* stimecmp */
}

_Noreturn void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)hart_id, (void)entered;
    tree_walk(tree, take_node, NULL);
    uint64_t old = visit_words(tree, false);
    print("probe: ");
    print_number(old);
    print(" old words in ");
    print_number((probe.ram_end - probe.ram) >> 20);
    print(" MiB");
    if (probe.seed != 0) {
        print(", seed ");
        print_number(probe.seed);
    }
    print("\n");
    visit_words(tree, true);

    if (option("hang"))
        for (;;)
            __asm__ volatile("" ::: "memory");
    if (option("spin"))
        spin(UINT64_MAX);
    if (option("sleep"))
        for (;;)
            __asm__ volatile("wfi" ::: "memory");
    uint64_t busy = option_number(probe.options, "busy", 0);
    if (busy != 0)
        spin(time_now() + busy * (probe.timebase / 1000));
    if (option("reboot"))
        sbi3(SBI_SRST, 0, 1, 0, 0);
    power_off(option("fail"));
}
