/*
 * intruder: a guest of type 0 that tries what is not its own: every part of the address space, the
 * registers of the PLIC, SBI calls about others' harts, memory and partitions, and M-mode's CSRs.
 * Prints
 *
 *     intruder: N places reached, N registers changed, N calls accepted, N CSRs written
 *
 * which are to be 0, and ends. With mode=again in its command line it begins anew for ever; with
 * mode=control it does what it is allowed to: lists the partitions, and stops and starts the first;
 * with mode=ring and mode=wait two of them say something to each other through a window; with
 * mode=features it sets, reads and locks firmware features (SBI 3.0, chapter 18), and reboots.
 */
#include "guest.h"

bool try_load(uint64_t address);
bool try_store(uint64_t address, uint32_t value);
bool try_run(uint64_t address);
bool try_mstatus(uint64_t value);
bool try_mtvec(uint64_t value);
bool try_mscratch(uint64_t value);
bool try_pmpcfg(uint64_t value);
bool try_pmpaddr(uint64_t value);
bool try_medeleg(uint64_t value);
bool try_menvcfg(uint64_t value);
bool try_mret(uint64_t value);

enum { SBI_VENDOR = 0x09545256, PAGE = 4096, STEP = 64 << 10, SHOWN = 8 };

static struct {
    uint64_t ram, ram_end, plic, plic_end, uart, uart_end;
    uint64_t window, doorbell;
    bool again, control, ring, wait, features;
    unsigned shown;
} own;

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    uint64_t base, size;

    (void)context;
    if (args && text_same(node->name, "chosen")) {
        const char *mode = option_find((const char *)args->value, "mode");
        own.again = mode && text_begins(mode, "again");
        own.control = mode && text_begins(mode, "control");
        own.ring = mode && text_begins(mode, "ring");
        own.wait = mode && text_begins(mode, "wait");
        own.features = mode && text_begins(mode, "features");
    }
    if (!tree_range(node, 0, &base, &size))
        return;
    if (tree_compatible(node, "trivisor,window")) {
        own.window = base;
        own.doorbell = tree_number(node, "doorbell", 99);
    }
    if (text_begins(node->name, "memory@")) {
        own.ram = base;
        own.ram_end = base + size;
    }
    if (tree_compatible(node, "riscv,plic0") || tree_compatible(node, "sifive,plic")) {
        own.plic = base;
        own.plic_end = base + size;
    }
    if (tree_compatible(node, "ns16550")) {
        own.uart = base & ~(uint64_t)(PAGE - 1);
        own.uart_end = own.uart + PAGE;
    }
}

static bool is_own(uint64_t address)
{
    return (address >= own.ram && address < own.ram_end) ||
           (address >= own.plic && address < own.plic_end) ||
           (address >= own.uart && address < own.uart_end);
}

static uint64_t reach(uint64_t address)
{
    if (is_own(address))
        return 0;
    uint64_t count =
        (uint64_t)try_load(address) + try_store(address, 0xffffffff) + try_run(address);
    if (count && own.shown++ < SHOWN) {
        print("intruder: reached ");
        print_hex(address);
        print("\n");
    }
    return count;
}

static uint64_t reach_all(void)
{
    uint64_t count = 0;
    for (uint64_t address = 0; address < 1ULL << 32; address += STEP)
        count += reach(address);
    for (uint64_t address = 0x2000000; address < 0x2010000; address += PAGE)
        count += reach(address);
    for (uint64_t address = 0x10000000; address < 0x10010000; address += PAGE)
        count += reach(address);
    for (uint64_t address = 0x80000000; address < 0x80200000; address += PAGE)
        count += reach(address);
    for (uint64_t page = 1; page < 16; page++)
        count += reach(own.ram - page * PAGE) + reach(own.ram_end + (page - 1) * PAGE);
    for (unsigned bit = 32; bit < 56; bit++)
        count += reach(1ULL << bit) + reach(own.ram | 1ULL << bit);
    return count;
}

/* No line is ours. */
static uint64_t change_plic(void)
{
    uint64_t count = 0;
    for (uint64_t offset = 0; own.plic && offset < 0x4000; offset += 4)
        try_store(own.plic + offset, 0xffffffff);
    for (uint64_t offset = 0; own.plic && offset < 0x4000; offset += 4)
        count += *(volatile uint32_t *)(own.plic + offset) != 0;
    return count;
}

static uint64_t accepted(uint64_t extension, uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    bool yes = sbi3(extension, function, a, b, c).error == 0;
    if (yes && own.shown++ < SHOWN) {
        print("intruder: accepted ");
        print_hex(extension);
        print(" ");
        print_number(function);
        print(" ");
        print_hex(a);
        print(" ");
        print_hex(b);
        print("\n");
    }
    return yes;
}

static uint64_t call_all(void)
{
    uint64_t count = 0, self = (uint64_t)sbi3(SBI_VENDOR, 1, 0, 0, 0).value;
    for (uint64_t address = 0; address < 1ULL << 32; address += 2 << 20) {
        if (address + 16 > own.ram && address < own.ram_end)
            continue;
        count += accepted(SBI_DBCN, 0, 16, address, 0) + accepted(SBI_DBCN, 1, 16, address, 0);
    }
    count += accepted(SBI_DBCN, 0, own.ram_end - own.ram + 1, own.ram, 0);
    count +=
        accepted(SBI_DBCN, 0, 16, own.ram_end - 8, 0) + accepted(SBI_DBCN, 0, -1ULL, own.ram, 0);
    count += accepted(SBI_DBCN, 0, 16, own.ram, 1);
    for (uint64_t hart = 1; hart < 64; hart++) {
        count += accepted(SBI_HSM, 0, hart, own.ram, 0) + accepted(SBI_HSM, 2, hart, 0, 0);
        count += accepted(SBI_IPI, 0, 1, hart, 0) + accepted(SBI_IPI, 0, 1ULL << hart, 0, 0);
        count += accepted(SBI_RFENCE, 1, 1, hart, 0) + accepted(SBI_RFENCE, 0, 1ULL << hart, 0, 0);
    }
    for (uint64_t index = 0; index < 16; index++) {
        count += accepted(SBI_VENDOR, 8, index, 0, 0);
        for (uint64_t function = 2; function <= 6; function++)
            count += accepted(SBI_VENDOR, function, index, own.ram, 0);
        count += index != self && accepted(SBI_VENDOR, 7, index, own.ram + (32 << 20), 0);
    }
    return count + accepted(SBI_VENDOR, 7, self, own.ram_end, 0) +
           accepted(SBI_VENDOR, 7, self, 0x80000000, 0);
}

static uint64_t write_csrs(void)
{
    return (uint64_t)try_mstatus(0) + try_mtvec(0) + try_mscratch(0) + try_pmpcfg(0) +
           try_pmpaddr(0) + try_medeleg(0) + try_menvcfg(0) + try_mret(0);
}

/* What the firmware writes for function 2 (docs/type0.md). */
struct info {
    char name[32];
    uint64_t running, boots, harts, memory_base, memory_size;
};

static struct info info_of(uint64_t index)
{
    static struct info info;
    struct sbi_result result = sbi3(SBI_VENDOR, 2, index, (uint64_t)&info, 0);
    if (result.error != 0 || result.value != sizeof info)
        info.name[0] = '?';
    return *(volatile struct info *)&info;
}

static void control(void)
{
    uint64_t count = (uint64_t)sbi3(SBI_VENDOR, 0, 0, 0, 0).value;
    for (uint64_t i = 0; i < count; i++) {
        struct info info = info_of(i);
        while (!info.running) /* its memory is still being filled */
            info = info_of(i);
        print("control: ");
        print(info.name);
        print(info.running ? " running " : " off ");
        print_number(info.memory_size >> 20);
        print(" MiB\n");
    }
    static uint64_t counts[8];
    long counted = sbi3(SBI_VENDOR, 7, 0, (uint64_t)counts, 0).value;
    sbi3(SBI_VENDOR, 7, (uint64_t)sbi3(SBI_VENDOR, 1, 0, 0, 0).value, (uint64_t)counts, 0);
    print("control: statistics of ");
    print_number((uint64_t)counted / 8);
    print(" kinds, own calls ");
    print_number(((volatile uint64_t *)counts)[0] + ((volatile uint64_t *)counts)[1]);
    print("\n");
    if (sbi3(SBI_VENDOR, 6, 0, 0, 0).error != 0 || sbi3(SBI_VENDOR, 6, -1ULL, 0, 0).error != 0)
        print("control: the console is not entered or left\n");
    long stopped = sbi3(SBI_VENDOR, 4, 0, 0, 0).error;
    while (stopped == 0 && info_of(0).running)
        ;
    long again = sbi3(SBI_VENDOR, 4, 0, 0, 0).error;
    long started = sbi3(SBI_VENDOR, 3, 0, 0, 0).error;
    while (started == 0 && !info_of(0).running)
        ;
    print("control: stop ");
    print_number((uint64_t)-stopped);
    print(", again ");
    print_number((uint64_t)-again);
    print(", start ");
    print_number((uint64_t)-started);
    print(", boots ");
    print_number(info_of(0).boots);
    print("\n");
    power_off(false);
}

/* Errors are printed as they are below 0; values of get. */
static void features(void)
{
    enum { FWFT = 0x46574654, SET = 0, GET = 1, MISALIGNED = 0, NONE = 5, LOCK = 1 };
    print("features: ");
    print_number((uint64_t)sbi3(FWFT, GET, MISALIGNED, 0, 0).value);
    const struct {
        uint64_t feature, value, flags;
    } sets[] = {{MISALIGNED, 1, 0}, {MISALIGNED, 2, 0},    {MISALIGNED, 0, 2},
                {NONE, 1, 0},       {MISALIGNED, 1, LOCK}, {MISALIGNED, 0, 0}};
    for (unsigned i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        print(" -");
        print_number(
            (uint64_t)-sbi3(FWFT, SET, sets[i].feature, sets[i].value, sets[i].flags).error);
    }
    print(" ");
    print_number((uint64_t)sbi3(FWFT, GET, MISALIGNED, 0, 0).value);
    print("\n");
    sbi3(SBI_SRST, 0, 1, 0, 0);
}

static void ring(void)
{
    *(volatile uint64_t *)own.window = 0x7269766973;
    print("ring: ");
    print_number((uint64_t)-sbi3(SBI_VENDOR, 8, own.doorbell, 0, 0).error);
    print(", another's ");
    print_number((uint64_t)-sbi3(SBI_VENDOR, 8, own.doorbell + 1, 0, 0).error);
    print("\n");
    power_off(false);
}

static void wait(void)
{
    uint64_t rung = 0;
    csr_write(sie, SIP_SSIP);
    while (!rung) {
        __asm__ volatile("wfi");
        if (csr_read(sip) & SIP_SSIP)
            rung = (uint64_t)sbi3(SBI_VENDOR, 9, 0, 0, 0).value;
        csr_clear(sip, SIP_SSIP);
    }
    print("wait: rung ");
    print_hex(rung);
    print(" window ");
    print_hex(*(volatile uint64_t *)own.window);
    print("\n");
    power_off(false);
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)hart_id, (void)entered;
    tree_walk(tree, take_node, NULL);
    if (own.control)
        control();
    if (own.features)
        features();
    if (own.ring)
        ring();
    if (own.wait)
        wait();
    do {
        uint64_t places = reach_all(), registers = change_plic(), calls = call_all();
        uint64_t csrs = write_csrs();
        print("intruder: ");
        print_number(places);
        print(" places reached, ");
        print_number(registers);
        print(" registers changed, ");
        print_number(calls);
        print(" calls accepted, ");
        print_number(csrs);
        print(" CSRs written\n");
    } while (own.again);
    power_off(false);
}
