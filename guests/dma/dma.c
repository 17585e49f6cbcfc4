/*
 * dma: a guest that was given the board's PCI host, on which there is QEMU's "edu" device (its
 * registers: QEMU's docs/specs/edu). It lets that copy a page of its own RAM to another place there
 * ("dma: own memory: copied"), raise its interrupt ("dma: interrupt: came"), and then write the
 * page to every `step` bytes of the board's memory from the end of its own RAM up to `end` and read
 * the page behind that ("dma: swept N places, M of them read something"). With "again=1" it then
 * asks for a reboot, else it goes off.
 */
#include "guest.h"

enum {
    PAGE = 4096,
    EDU = 0x11e81234,
    /* Registers of edu. */
    EDU_STATUS_IRQ = 0x24,
    EDU_RAISE = 0x60,
    EDU_LOWER = 0x64,
    EDU_SOURCE = 0x80,
    EDU_TARGET = 0x88,
    EDU_COUNT = 0x90,
    EDU_COMMAND = 0x98,
    EDU_BUFFER = 0x40000,
    EDU_START = 1,
    EDU_TO_RAM = 2,
    EDU_BAR_SIZE = 0x100000,
};

static struct {
    char options[256];
    uint64_t ram, ram_end, timebase, ecam, plic;
    uint64_t window, window_size; /* of 32-bit memory */
    uint8_t map[1024];            /* interrupt-map */
    uint32_t map_size, map_mask;
    volatile uint32_t *edu;
    uint32_t line;
} dma;
static uint8_t source[PAGE] __attribute__((aligned(PAGE)));
static uint8_t target[PAGE] __attribute__((aligned(PAGE)));

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void take_host(const struct tree_node *node)
{
    const struct tree_property *ranges = tree_find(node, "ranges");
    const struct tree_property *map = tree_find(node, "interrupt-map");
    const struct tree_property *mask = tree_find(node, "interrupt-map-mask");
    uint64_t size;

    tree_range(node, 0, &dma.ecam, &size);
    for (uint32_t i = 0; ranges && i + 28 <= ranges->length; i += 28) {
        if (be32(ranges->value + i) >> 24 != 2)
            continue;
        dma.window = be32(ranges->value + i + 16);
        dma.window_size = be32(ranges->value + i + 24);
    }
    if (!map || !mask)
        return;
    dma.map_mask = be32(mask->value);
    dma.map_size = map->length < sizeof(dma.map) ? map->length : sizeof(dma.map);
    for (uint32_t i = 0; i < dma.map_size; i++)
        dma.map[i] = map->value[i];
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    uint64_t base, size;

    (void)context;
    if (text_same(node->name, "chosen"))
        for (uint32_t i = 0; args && i < args->length && i < sizeof(dma.options) - 1; i++)
            dma.options[i] = (char)args->value[i];
    if (text_same(node->name, "cpus"))
        dma.timebase = tree_number(node, "timebase-frequency", 0);
    if (text_begins(node->name, "memory@") && tree_range(node, 0, &base, &size)) {
        dma.ram = base;
        dma.ram_end = base + size;
    }
    if (tree_compatible(node, "sifive,plic"))
        tree_range(node, 0, &dma.plic, &size);
    if (tree_compatible(node, "pci-host-ecam-generic"))
        take_host(node);
}

static _Noreturn void give_up(const char *what)
{
    print("dma: ");
    print(what);
    print("\n");
    power_off(true);
}

/* Device 0 to 31 of bus 0: its registers are where the window begins. */
static void find_edu(void)
{
    for (uint32_t device = 0; dma.ecam && device < 32; device++) {
        volatile uint32_t *config = (volatile uint32_t *)(dma.ecam + device * 0x8000);
        if (config[0] != EDU)
            continue;
        config[4] = (uint32_t)((dma.window + EDU_BAR_SIZE - 1) & ~(EDU_BAR_SIZE - 1UL));
        config[1] = 6; /* memory space, bus master */
        dma.edu = (volatile uint32_t *)(uint64_t)config[4];
        for (uint32_t at = 0; at + 24 <= dma.map_size; at += 24) {
            const uint8_t *entry = dma.map + at;
            if (be32(entry) == (device << 11 & dma.map_mask) && be32(entry + 12) == 1)
                dma.line = be32(entry + 20);
        }
        return;
    }
    give_up("there is no edu device");
}

static void copy(uint64_t from, uint64_t to, uint32_t command)
{
    dma.edu[EDU_SOURCE / 4] = (uint32_t)from;
    dma.edu[EDU_SOURCE / 4 + 1] = (uint32_t)(from >> 32);
    dma.edu[EDU_TARGET / 4] = (uint32_t)to;
    dma.edu[EDU_TARGET / 4 + 1] = (uint32_t)(to >> 32);
    dma.edu[EDU_COUNT / 4] = PAGE;
    __asm__ volatile("fence" ::: "memory");
    dma.edu[EDU_COMMAND / 4] = EDU_START | command;
    uint64_t end = time_now() + 10 * dma.timebase;
    while (dma.edu[EDU_COMMAND / 4] & EDU_START)
        if (time_now() > end)
            give_up("the device does not finish");
    __asm__ volatile("fence" ::: "memory");
}

/* Of the bytes that were read, those that are neither what was there before nor 0. */
static unsigned strange(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < PAGE; i++)
        count += source[i] != target[i] && target[i] != 0;
    return count;
}

static bool same(void)
{
    for (unsigned i = 0; i < PAGE; i++)
        if (source[i] != target[i])
            return false;
    return true;
}

/* Context 1 of the PLIC is S-mode of the first hart. */
static bool interrupts(void)
{
    volatile uint32_t *plic = (volatile uint32_t *)dma.plic;
    plic[dma.line] = 1;
    plic[(0x2080 + dma.line / 32 * 4) / 4] = 1u << dma.line % 32;
    plic[0x201000 / 4] = 0;
    for (unsigned round = 0; round < 2; round++) {
        dma.edu[EDU_RAISE / 4] = 1;
        uint64_t end = time_now() + 5 * dma.timebase;
        while (!(csr_read(sip) & SIP_SEIP))
            if (time_now() > end)
                return false;
        if (plic[0x201004 / 4] != dma.line || dma.edu[EDU_STATUS_IRQ / 4] != 1)
            return false;
        dma.edu[EDU_LOWER / 4] = 1;
        plic[0x201004 / 4] = dma.line;
        if (csr_read(sip) & SIP_SEIP)
            return false;
    }
    return true;
}

static void sweep(uint64_t end, uint64_t step)
{
    uint64_t count = 0, read = 0;
    for (uint64_t at = dma.ram_end; at < end; at += step) {
        copy((uint64_t)source, EDU_BUFFER, 0);
        copy(EDU_BUFFER, at, EDU_TO_RAM);
        copy(at + PAGE, EDU_BUFFER, 0);
        copy(EDU_BUFFER, (uint64_t)target, EDU_TO_RAM);
        count++;
        read += strange() != 0;
    }
    for (unsigned i = 0; i < PAGE; i++)
        target[i] = source[i];
    print("dma: swept ");
    print_number(count);
    print(" places, ");
    print_number(read);
    print(" of them read something\n");
}

_Noreturn void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)hart_id, (void)entered;
    tree_walk(tree, take_node, NULL);
    find_edu();
    /* No page of anything else is like it: a counter, and words that are found again. */
    for (unsigned i = 0; i < PAGE; i++)
        source[i] = "edu was here...."[i % 16] ^ (uint8_t)(i >> 4);
    copy((uint64_t)source, EDU_BUFFER, 0);
    copy(EDU_BUFFER, (uint64_t)target, EDU_TO_RAM);
    print(same() ? "dma: own memory: copied\n" : "dma: own memory: not copied\n");
    print(interrupts() ? "dma: interrupt: came\n" : "dma: interrupt: did not come\n");
    uint64_t end = option_number(dma.options, "end", 0);
    sweep(end, option_number(dma.options, "step", 1 << 23));
    if (option_number(dma.options, "again", 0))
        sbi3(SBI_SRST, 0, 1, 0, 0);
    power_off(false);
}
