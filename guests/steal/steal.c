/*
 * steal: asks for its steal time (SBI 2.0, chapter 16), computes for ms=N beside others=N harts of
 * its own that spin, and prints how much of that time the hart was somebody else's, in per cent.
 */
#include "guest.h"

enum { SBI_STA = 0x535441, SET_SHMEM = 0, PROBE = 3, HART_START = 0 };

void spin(void);

static char options[256];
static uint64_t timebase;
static struct {
    volatile uint32_t sequence, flags;
    volatile uint64_t steal;
    volatile uint8_t preempted, reserved[47];
} shmem __attribute__((aligned(64)));

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; args && i < args->length && i < sizeof(options) - 1; i++)
            options[i] = (char)args->value[i];
    if (text_same(node->name, "cpus"))
        timebase = tree_number(node, "timebase-frequency", 0);
}

static void refused(const char *what, uint64_t low, uint64_t high, uint64_t flags, long error)
{
    struct sbi_result result = sbi3(SBI_STA, SET_SHMEM, low, high, flags);
    if (result.error == error)
        return;
    print("steal: NOT REFUSED: ");
    print(what);
    print("\n");
    power_off(true);
}

static uint64_t steal(void)
{
    uint32_t before;
    uint64_t ns;
    do {
        before = shmem.sequence;
        __asm__ volatile("fence r, r" ::: "memory");
        ns = shmem.steal;
        __asm__ volatile("fence r, r" ::: "memory");
    } while (before % 2 != 0 || before != shmem.sequence);
    return ns;
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)entered;
    csr_write(sie, 0);
    if (!tree_walk(tree, take_node, NULL) || timebase == 0)
        power_off(true);
    if (sbi3(SBI_BASE, PROBE, SBI_STA, 0, 0).value == 0) {
        print("steal: none\n");
        power_off(false);
    }
    refused("misaligned", (uintptr_t)&shmem + 8, 0, 0, -3);
    refused("no memory", 0x1000000, 0, 0, -5);
    refused("far", (uintptr_t)&shmem, 1, 0, -5);
    refused("flags", (uintptr_t)&shmem, 0, 1, -3);
    shmem.steal = 77;
    if (sbi3(SBI_STA, SET_SHMEM, (uintptr_t)&shmem, 0, 0).error != 0)
        power_off(true);
    for (uint64_t i = 1; i <= option_number(options, "others", 0); i++)
        sbi3(SBI_HSM, HART_START, hart_id + i, (uintptr_t)spin, 0);
    uint64_t ticks = timebase / 1000 * option_number(options, "ms", 500);
    uint64_t stolen = steal(), begin = time_now(), now;
    do
        now = time_now();
    while (now - begin < ticks);
    stolen = steal() - stolen;
    uint64_t elapsed = (now - begin) * (1000000000 / timebase);
    print("steal: ");
    print_number(stolen * 100 / elapsed);
    print(" per cent in ");
    print_number(shmem.sequence / 2);
    print(shmem.preempted || shmem.flags ? " pieces; PREEMPTED WHILE IT RUNS\n" : " pieces\n");
    if (sbi3(SBI_STA, SET_SHMEM, UINT64_MAX, UINT64_MAX, 0).error != 0)
        power_off(true);
    stolen = shmem.steal;
    for (begin = time_now(); time_now() - begin < ticks / 4;)
        ;
    print(stolen == shmem.steal ? "steal: done\n" : "steal: STILL WRITTEN\n");
    power_off(false);
}
