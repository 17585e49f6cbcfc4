/* attack: what is ours, slots for wild instructions, random numbers, the report. */
#include "attack.h"

enum { SLOTS = 64, SLOT_WORDS = 4, SHOWN = 10 };

struct guest guest;
static uint32_t slots[SLOTS * SLOT_WORDS] __attribute__((aligned(64)));

/* ---- Random numbers ---- */

uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

uint64_t random_next(void)
{
    return mix(guest.random++);
}

uint64_t random_below(uint64_t limit)
{
    return (random_next() >> 16) % limit;
}

bool is_own(uint64_t address, uint64_t size)
{
    for (unsigned i = 0; i < guest.own_count; i++) {
        const struct range *own = &guest.own[i];
        if (address >= own->base && address < own->end && size <= own->end - address)
            return true;
    }
    return false;
}

uint64_t random_foreign(void)
{
    for (;;) {
        uint64_t random = random_next(), address;
        switch (random & 7) {
        case 0: address = random >> 12; break;
        case 1: address = random >> 34; break;
        case 2: address = guest.ram_end + (random >> 40 & ~7UL); break;
        case 3: address = guest.ram - 8 - (random >> 40 & ~7UL); break;
        case 4: address = guest.ram_end - 1 - (random >> 61); break; /* straddles */
        case 5: address = (guest.ram & ~0x7fffffffUL) | random >> 42; break;
        default: address = (guest.ram & ~0x7fffffffUL) | (random >> 33 & 0x3fffffff); break;
        }
        if (!is_own(address, 8))
            return address;
    }
}

/* ---- Slots ---- */

uint64_t slot_put(unsigned index, uint32_t first, uint32_t second)
{
    uint32_t *code = &slots[index % SLOTS * SLOT_WORDS];
    code[0] = first;
    code[1] = second != 0 ? second : EBREAK;
    code[2] = code[3] = EBREAK;
    __asm__ volatile("fence.i" ::: "memory");
    return (uintptr_t)code;
}

bool try_code(struct attempt *attempt, uint64_t code)
{
    attempt->code = code;
    attempt->status = csr_read(sstatus) | SSTATUS_SPP | SSTATUS_FS;
    attempt_run(attempt);
    return attempt->cause == CAUSE_DONE && attempt->pc > code && attempt->pc <= code + 8;
}

bool csr_try_read(unsigned number, uint64_t *value)
{
    struct attempt attempt = {0};
    bool done = try_code(&attempt, slot_put(0, number << 20 | 2 << 12 | 12 << 7 | 0x73, 0));
    *value = attempt.a[2];
    return done;
}

bool csr_try_write(unsigned number, uint64_t value)
{
    struct attempt attempt = {.a = {0, value}};
    return try_code(&attempt, slot_put(0, number << 20 | 11 << 15 | 1 << 12 | 0x73, 0));
}

/* ---- Words ---- */

static char *text_put(char *at, const char *text)
{
    while (*text != 0)
        *at++ = *text++;
    return at;
}

static char *number_put(char *at, uint64_t value)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count != 0)
        *at++ = digits[--count];
    return at;
}

/* In one piece, since a line that is long in coming is shown in two. */
void report(const char *what, uint64_t count, const char *unit, uint64_t through)
{
    char line[160], *at = number_put(text_put(line, what), count);
    at = text_put(number_put(text_put(at, unit), through), " got through\n");
    *at = 0;
    print(line);
}

void show(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    if (guest.shown++ >= SHOWN)
        return;
    print("attack: THROUGH: ");
    print(what);
    print(" ");
    print_hex(a);
    print(" ");
    print_hex(b);
    print(" ");
    print_hex(c);
    print("\n");
}

/* ---- The device tree ---- */

static uint32_t cell(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void take_intc(void *context, const struct tree_node *node)
{
    (void)context;
    /* Children come before parents: its hart is counted next. */
    if (text_same(node->name, "interrupt-controller") && text_begins(node->parent, "cpu@"))
        guest.intcs[guest.harts % 64] = (uint32_t)tree_number(node, "phandle", 0);
    if (text_begins(node->name, "cpu@"))
        guest.harts++;
    if (text_same(node->name, "cpus"))
        guest.timebase = tree_number(node, "timebase-frequency", 0);
}

static void take_plic(const struct tree_node *node, uint64_t base, uint64_t size)
{
    const struct tree_property *list = tree_find(node, "interrupts-extended");
    guest.plic = base;
    guest.plic_end = base + size;
    for (uint32_t i = 0; list && 8 * i + 8 <= list->length && i < 1024; i++) {
        for (uint64_t hart = 0; hart < guest.harts && hart < 64; hart++) {
            if (cell(list->value + 8 * i) != guest.intcs[hart] ||
                cell(list->value + 8 * i + 4) != 9)
                continue;
            guest.contexts[i / 64] |= 1UL << i % 64;
            guest.context = hart == 0 ? i : guest.context;
        }
    }
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    uint64_t base, size;

    (void)context;
    if (text_same(node->name, "chosen"))
        for (uint32_t i = 0; args && i < args->length && i < sizeof guest.options - 1; i++)
            guest.options[i] = (char)args->value[i];
    if (text_begins(node->name, "cpu@") || text_same(node->parent, "reserved-memory"))
        return;
    for (unsigned i = 0; tree_range(node, i, &base, &size) && guest.own_count < REGIONS_MAX; i++)
        guest.own[guest.own_count++] = (struct range){base, base + size};
    if (!tree_range(node, 0, &base, &size))
        return;
    if (text_begins(node->name, "memory@")) {
        guest.ram = base;
        guest.ram_end = base + size;
    }
    if (tree_compatible(node, "riscv,plic0") || tree_compatible(node, "sifive,plic")) {
        take_plic(node, base, size);
        return;
    }
    uint64_t line = tree_number(node, "interrupts", 0);
    if (line != 0 && line < 1024)
        guest.lines[line / 32] |= 1U << line % 32;
    if (tree_compatible(node, "google,goldfish-rtc")) {
        guest.rtc = base;
        guest.rtc_line = (uint32_t)line;
    }
}

static _Noreturn void attack(void)
{
    uint64_t value;

    guest.h = csr_try_read(0x680, &value); /* hgatp */
    do {
        guest.shown = 0;
        attack_space();
        attack_csrs();
        attack_plic();
        attack_calls();
        print("attack: done\n");
    } while (option_find(guest.options, "again"));
    power_off(false);
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)hart_id, (void)entered;
    guest.context = UINT64_MAX;
    csr_write(sie, 0);
    tree_walk(tree, take_intc, NULL);
    tree_walk(tree, take_node, NULL);
    guest.random = option_number(guest.options, "seed", 1);
    guest.secret = option_number(guest.options, "secret", 0);
    const char *role = option_find(guest.options, "role");
    if (role && text_begins(role, "victim"))
        victim(tree);
    attack();
}
