/*
 * storm: start, the sandbox, random numbers, the end.
 *
 * Options: storm.seed=N (1), storm.seconds=N (2), storm.parts=insn,csr,access,walk,call,race,ring,
 * code (all), storm.vary=1: another seed at each boot, which it says.
 */
#include "storm.h"

struct storm storm;

static struct {
    uint8_t sandbox[SANDBOX_SIZE], scratch[SCRATCH_SIZE];
    uint64_t tables[TABLES][512];
    uint8_t stack[16384];
} memory[HARTS_MAX] __attribute__((aligned(4096)));

#define C_EBREAK 0x9002

/* --- random numbers --- */

uint64_t random_next(struct hart *hart)
{
    /* xorshift64* (Vigna) */
    hart->random ^= hart->random >> 12;
    hart->random ^= hart->random << 25;
    hart->random ^= hart->random >> 27;
    return hart->random * 0x2545f4914f6cdd1d;
}

uint64_t random_below(struct hart *hart, uint64_t limit)
{
    return (random_next(hart) >> 32) % limit;
}

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a - b < b_size || b - a < a_size;
}

bool touches_ram(uint64_t address, uint64_t size)
{
    return overlaps(address, size, storm.ram, storm.ram_end - storm.ram);
}

uint64_t random_hole(struct hart *hart)
{
    uint64_t random = random_next(hart);

    switch (random & 3) {
    case 0: return random >> 58;
    case 1: return -(random >> 53);
    case 2: return random | 1UL << (57 + (random >> 8) % 7);
    default: break;
    }
    for (int i = 0; i < 8; i++) {
        uint64_t address = random_next(hart) >> (24 + random_below(hart, 12));
        bool free = !touches_ram(address - 8192, 16384);
        for (unsigned r = 0; r < storm.region_count && free; r++)
            free = !overlaps(address - 8192, 16384, storm.regions[r].base, storm.regions[r].size);
        if (free)
            return address;
    }
    return 1UL << 54;
}

uint64_t random_number(struct hart *hart)
{
    uint64_t random = random_next(hart), bit = 1UL << (random >> 58);

    switch (random & 7) {
    case 0: return 0;
    case 1: return bit;
    case 2: return bit - 1;
    case 3: return -bit;
    case 4: return random >> 60;
    case 5: return UINT64_MAX;
    case 6: return (uint32_t)random_next(hart);
    default: return random_next(hart);
    }
}

/* The middle of the scratch, where instructions reach 2 KiB to either side; a hole; a number that
 * is neither RAM nor a device. */
void registers_fill(struct hart *hart)
{
    for (int i = 1; i < 32; i++) {
        uint64_t random = random_next(hart);
        if (random & 1)
            hart->regs[i] = (uint64_t)hart->scratch + SCRATCH_SIZE / 2 + (random >> 58);
        else if (random & 2)
            hart->regs[i] = random_hole(hart);
        else
            hart->regs[i] = random & 4 ? random >> 59 : random | 3UL << 62;
    }
}

/* --- the sandbox --- */

static void sane(struct hart *hart)
{
    csr_write(sstatus, hart->sstatus);
    csr_write(stvec, (uintptr_t)trap_vector);
    csr_write(sscratch, (uintptr_t)hart);
    csr_write(sie, 0);
}

void wrong(const char *what, uint64_t a, uint64_t b, uint64_t answer)
{
    static unsigned count;

    if (__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) >= 8)
        return;
    print("\nstorm: WRONG: ");
    print(what);
    print(": ");
    print_hex(a);
    print(" ");
    print_hex(b);
    print(" is answered with ");
    print_hex(answer);
    print("\n");
}

/* `off`: bits of sstatus that are to be 0. */
static uint64_t run_at(struct hart *hart, uintptr_t pc, uint64_t off)
{
    uint64_t random = random_next(hart);
    uint64_t status = hart->sstatus | (hart->user ? 0 : SSTATUS_SPP) |
                      (random & (SSTATUS_FS | SSTATUS_VS | SSTATUS_SUM | SSTATUS_MXR));

    __asm__ volatile("fence.i" : : : "memory");
    csr_write(sepc, pc);
    csr_write(sstatus, status & ~off);
    /* So that nothing waits for ever for an interrupt: one is always pending, masked by SIE (in
     * U-mode it would be taken). */
    csr_write(sie, hart->user ? 0 : SIP_SSIP);
    csr_set(sip, SIP_SSIP);
    sandbox_enter(hart);
    sane(hart);
    hart->progress++;
    if (hart->cause >> 63)
        hart->interrupts[hart->cause % CAUSES]++;
    else if (hart->cause == 3 && hart->pc != pc)
        hart->retired++;
    else
        hart->causes[hart->cause % CAUSES]++;
    return hart->cause;
}

uint64_t run(struct hart *hart, uint32_t first, uint32_t second)
{
    uint8_t *middle = hart->sandbox + SANDBOX_SIZE / 2;
    uint16_t *code = (uint16_t *)(void *)middle;

    *code++ = (uint16_t)first;
    if ((first & 3) == 3)
        *code++ = (uint16_t)(first >> 16);
    if (second) {
        *code++ = (uint16_t)second;
        *code++ = (uint16_t)(second >> 16);
    }
    for (int i = 0; i < 4; i++)
        *code++ = C_EBREAK;
    /* A vector store with garbage in the index register reaches all of memory. */
    return run_at(hart, (uintptr_t)middle, (first & 0x7f) == 0x27 ? SSTATUS_VS : 0);
}

uint32_t *shared_word(struct hart *hart)
{
    return (uint32_t *)(void *)(hart->sandbox + SANDBOX_SIZE / 4);
}

uint64_t run_shared(struct hart *hart)
{
    return run_at(hart, (uintptr_t)shared_word(hart), 0);
}

/* Interrupts of race.c; anything else is a fault in storm, or what it was built to find. */
void trap_outside(struct hart *hart)
{
    uint64_t cause = csr_read(scause);

    if (!(cause >> 63)) {
        print("\nstorm: hart ");
        print_number(hart->index);
        print(" trapped outside the sandbox, in ");
        print(hart->part);
        print(": cause ");
        print_hex(cause);
        print(" pc ");
        print_hex(csr_read(sepc) - (uintptr_t)image_start);
        print(" value ");
        print_hex(csr_read(stval));
        print("\n");
        power_off(true);
    }
    cause &= CAUSES - 1;
    hart->interrupts[cause]++;
    if (cause == 1)
        csr_clear(sip, SIP_SSIP);
    else if (cause == 5)
        sbi3(SBI_TIME, 0, hart->racing ? time_now() + storm.timebase / 10000 : UINT64_MAX, 0, 0);
    else
        csr_clear(sie, 1UL << cause);
}

/* --- the machine --- */

static void add_region(enum kind kind, uint64_t base, uint64_t size)
{
    if (size && storm.region_count < REGIONS_MAX)
        storm.regions[storm.region_count++] =
            (struct region){.kind = kind, .base = base, .size = size};
}

static enum kind node_kind(const struct tree_node *node)
{
    if (tree_compatible(node, "sifive,test") || tree_compatible(node, "syscon"))
        return FINISHER;
    if (tree_compatible(node, "ns16550"))
        return UART;
    if (tree_compatible(node, "riscv,clint") || tree_compatible(node, "sifive,clint") ||
        tree_compatible(node, "riscv,aclint-mtimer"))
        return CLINT;
    if (tree_compatible(node, "virtio,mmio"))
        return VIRTIO;
    if (tree_compatible(node, "qemu,fw-cfg"))
        return FW_CFG;
    if (tree_compatible(node, "riscv,iommu"))
        return IOMMU;
    return DEVICE;
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    const struct tree_property *type = tree_find(node, "device_type");
    uint64_t base, size;

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof(storm.options) - 1; i++)
            storm.options[i] = (char)args->value[i];
    const struct tree_property *chance = tree_find(node, "rng-seed");
    for (uint32_t i = 0; chance && i < 3 && i < chance->length; i++)
        storm.chance = storm.chance << 8 | chance->value[i];
    if (text_same(node->name, "cpus"))
        storm.timebase = tree_number(node, "timebase-frequency", 0);
    if (text_same(node->parent, "cpus") && text_begins(node->name, "cpu@")) {
        uint64_t id = tree_number(node, "reg", 0);
        const struct tree_property *names = tree_find(node, "riscv,isa-extensions");
        for (uint32_t i = 0; names && i + 2 <= names->length; i++)
            if ((i == 0 || !names->value[i - 1]) && names->value[i] == 'h' && !names->value[i + 1])
                storm.has_h = true;
        if (storm.hart_count < HARTS_MAX)
            storm.harts[storm.hart_count++].id = id;
        return;
    }
    for (unsigned i = 0; tree_range(node, i, &base, &size); i++) {
        if (type && text_same((const char *)type->value, "memory")) {
            uint64_t here = (uintptr_t)image_start;
            if (here - base < size) {
                storm.ram = base;
                storm.ram_end = base + size;
            }
        } else if (text_same(node->parent, "reserved-memory")) {
            if (tree_find(node, "no-map"))
                add_region(DEVICE, base, size);
        } else if (tree_find(node, "compatible")) {
            add_region(node_kind(node), base, size);
        }
    }
    /* That board's reset vector, which no device tree tells of. */
    if (tree_compatible(node, "riscv-virtio"))
        add_region(ROM, 0x1000, 0xf000);
}

/* A copy of the code and the constants, to see whether a device or another hart wrote over them. */
static uint64_t image_copy[8192];

static size_t image_words(void)
{
    extern char bss_start[];
    size_t words = (size_t)(bss_start - image_start) / 8;

    return words < 8192 ? words : 8192;
}

static void image_keep(void)
{
    for (size_t i = 0; i < image_words(); i++)
        image_copy[i] = ((const uint64_t *)(const void *)image_start)[i];
}

/* False, and says where, if it was. */
static bool image_intact(void)
{
    size_t changed = 0;

    for (size_t i = 0; i < image_words(); i++) {
        uint64_t word = ((const volatile uint64_t *)(const void *)image_start)[i];
        if (word == image_copy[i])
            continue;
        if (changed++ == 0) {
            print("\nstorm: THE IMAGE WAS OVERWRITTEN: at ");
            print_hex(i * 8);
            print(" by ");
            print_hex(word);
        }
    }
    if (changed) {
        print(" and ");
        print_number(changed - 1);
        print(" more\n");
    }
    return !changed;
}

/* --- the loop --- */

bool time_over(void)
{
    return time_now() >= storm.deadline;
}

static bool chosen(const char *part)
{
    const char *word = option_find(storm.options, "storm.parts");

    for (; word; word++) {
        if (text_begins(word, part))
            return true;
        while (*word && *word != ' ' && *word != ',')
            word++;
        if (*word != ',')
            return false;
    }
    return true;
}

static void repeat(struct hart *hart, const char *name, void (*part)(struct hart *), unsigned times)
{
    if (!chosen(name))
        return;
    hart->part = name;
    registers_fill(hart); /* the part before left addresses there that only it may use */
    while (times-- && !time_over())
        part(hart);
}

static _Noreturn void finish(struct hart *hart);

void hart_loop(struct hart *hart)
{
    hart->state = ALIVE;
    hart->racing = false;
    hart->user = false;
    hart->sstatus = csr_read(sstatus) & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_VS |
                                          SSTATUS_FS | SSTATUS_SUM | SSTATUS_MXR);
    csr_write(satp, 0);
    sane(hart);
    while (!time_over()) {
        repeat(hart, "insn", storm_insn, 256);
        repeat(hart, "csr", storm_csr, 8);
        repeat(hart, "access", storm_access, 2);
        repeat(hart, "walk", storm_walk, 1);
        repeat(hart, "call", storm_call, 32);
        repeat(hart, "ring", storm_ring, 1);
        repeat(hart, "code", storm_code, 1);
        if (random_below(hart, 4) == 0)
            repeat(hart, "race", storm_race, 1);
    }
    hart->part = "the end";
    if (hart->index == 0)
        finish(hart);
    hart->state = DONE;
    race_stop(hart);
}

static void count_line(const char *what, const char *name, uint64_t count)
{
    if (!count)
        return;
    print("storm: ");
    print(what);
    print(name);
    print(" ");
    print_number(count);
    print("\n");
}

static const char *cause_name(unsigned cause)
{
    static const char names[][32] = {
        "instruction misaligned",
        "instruction access fault",
        "illegal instruction",
        "breakpoint",
        "load misaligned",
        "load access fault",
        "store misaligned",
        "store access fault",
        "ecall from U",
        "ecall from S",
        "ecall from VS",
        "ecall from M",
        "instruction page fault",
        "load page fault",
        "reserved",
        "store page fault",
        "double trap",
        "reserved",
        "software check",
        "hardware error",
        "instruction guest-page",
        "load guest-page",
        "virtual instruction",
        "store guest-page",
    };
    return cause < sizeof(names) / sizeof(*names) ? names[cause] : "unknown";
}

static void report(void)
{
    struct hart sum = {0};

    for (unsigned i = 0; i < storm.hart_count; i++) {
        const struct hart *hart = &storm.harts[i];
        for (unsigned cause = 0; cause < CAUSES; cause++) {
            sum.causes[cause] += hart->causes[cause];
            sum.interrupts[cause] += hart->interrupts[cause];
        }
        sum.retired += hart->retired;
        sum.calls += hart->calls;
        sum.refused += hart->refused;
        sum.rings += hart->rings;
        sum.used += hart->used;
        sum.sleeps += hart->sleeps;
        sum.starts += hart->starts;
        sum.walked_words += hart->walked_words;
        sum.walked_csrs += hart->walked_csrs;
        sum.walked_pages += hart->walked_pages;
    }
    print("\n");
    count_line("", "words walked", sum.walked_words);
    count_line("", "CSR numbers walked", sum.walked_csrs);
    count_line("", "device pages walked", sum.walked_pages);
    count_line("", "instructions without a fault", sum.retired);
    for (unsigned cause = 0; cause < CAUSES; cause++) {
        count_line("exception ", cause_name(cause), sum.causes[cause]);
        /* None that an instruction of ours can lead to: the reserved ones, calls from elsewhere,
         * and a hypervisor's own where there is no H extension. */
        if (sum.causes[cause] && ((cause >= 9 && cause <= 11) || cause == 14 || cause == 16 ||
                                  cause == 17 || cause >= (storm.has_h ? 24 : 20)))
            count_line("WRONG CAUSE ", cause_name(cause), cause);
    }
    for (unsigned cause = 0; cause < CAUSES; cause++)
        count_line("interrupt ",
                   cause == 1   ? "software"
                   : cause == 5 ? "timer"
                   : cause == 9 ? "external"
                                : "other",
                   sum.interrupts[cause]);
    count_line("", "SBI calls", sum.calls);
    count_line("", "SBI calls refused", sum.refused);
    count_line("", "virtio devices set up", sum.rings);
    count_line("", "virtio buffers used", sum.used);
    count_line("", "sleeps", sum.sleeps);
    count_line("", "harts started again", sum.starts);
    image_intact();
}

static _Noreturn void finish(struct hart *hart)
{
    bool lost = false;

    /* However slow the machine is: one that goes on is not lost. */
    for (unsigned i = 1; i < storm.hart_count; i++) {
        uint64_t progress = 0, patience = 0;
        while (storm.harts[i].state == ALIVE) {
            uint64_t now = time_now(), seen = *(volatile uint64_t *)&storm.harts[i].progress;
            if (!patience || seen != progress)
                patience = now + 30 * storm.timebase;
            progress = seen;
            if (now >= patience)
                break;
            __asm__ volatile("" : : : "memory");
        }
        if (storm.harts[i].state == ALIVE) {
            lost = true;
            print("\nstorm: HART LOST: ");
            print_number(i);
            print(" in ");
            print(storm.harts[i].part);
        }
    }
    access_restore_uart();
    report();
    /* Harts that start where nothing is fault for ever; switching off must still be possible. */
    for (unsigned i = 1; i < storm.hart_count; i++)
        sbi3(SBI_HSM, 0, storm.harts[i].id, random_hole(hart) & ~1UL, 0);
    for (uint64_t until = time_now() + storm.timebase / 100; time_now() < until;)
        ;
    print("storm: done\n");
    power_off(lost);
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    uint64_t dma = ((uintptr_t)image_end + 4095) & ~4095UL, seed;

    (void)entered;
    csr_write(sie, 0);
    if (!tree_walk(tree, take_node, NULL) || !storm.timebase || !storm.ram_end) {
        print("storm: no device tree that says where RAM is and how fast time is\n");
        power_off(true);
    }
    seed = option_number(storm.options, "storm.seed", 1);
    if (option_number(storm.options, "storm.vary", 0))
        seed = seed * 1000 + storm.chance;
    /* A balloon takes away the pages whose numbers it reads, so nothing else may write its memory:
     * not even a request of another device that runs over the end of its own. */
    for (int balloon = 1; balloon >= 0; balloon--) {
        for (unsigned i = 0; i < storm.region_count; i++) {
            struct region *region = &storm.regions[i];
            if (region->kind != VIRTIO ||
                (*(volatile uint32_t *)(region->base + 8) == 5) != balloon)
                continue;
            region->dma = dma;
            dma += DMA_SIZE;
        }
    }
    for (unsigned i = 0; i < storm.hart_count; i++) {
        if (storm.harts[i].id == hart_id) { /* the first in the list is the one that runs */
            storm.harts[i].id = storm.harts[0].id;
            storm.harts[0].id = hart_id;
        }
    }
    for (unsigned i = 0; i < storm.hart_count; i++) {
        struct hart *hart = &storm.harts[i];
        hart->index = i;
        hart->sandbox = memory[i].sandbox;
        hart->scratch = memory[i].scratch;
        hart->tables = memory[i].tables;
        hart->stack_top = (uintptr_t)memory[i].stack + sizeof(memory[i].stack);
        hart->random = (seed + 1) * 0x9e3779b97f4a7c15 + i * 0x2545f4914f6cdd1d;
        hart->random |= !hart->random;
        for (int j = 0; j < 8; j++)
            random_next(hart);
        hart->origin = random_next(hart) >> 16;
        for (size_t at = 0; at < SANDBOX_SIZE / 2; at++)
            ((uint16_t *)(void *)hart->sandbox)[at] = C_EBREAK;
    }
    image_keep();
    print("storm: seed ");
    print_number(seed);
    print(", ");
    print_number(storm.hart_count);
    print(" harts, ");
    print_number(storm.region_count);
    print(" device regions\n");
    storm.deadline = time_now() + option_number(storm.options, "storm.seconds", 2) * storm.timebase;
    for (unsigned i = 1; i < storm.hart_count; i++)
        if (sbi3(SBI_HSM, 0, storm.harts[i].id, (uintptr_t)hart_entry, (uintptr_t)&storm.harts[i])
                .error)
            print("storm: a hart does not start\n");
    register struct hart *self __asm__("a1") = &storm.harts[0];
    __asm__ volatile("j hart_entry" : : "r"(self) : "memory");
    __builtin_unreachable();
}
