/*
 * leak: a guest of type 0 that looks for what others leave in its hart, and what it has left there
 * itself before a restart. It looks at the CSRs that S- and HS-mode may write: they are to be as
 * after reset; then it writes `seed`, and for a second they are to stay as they are. Prints
 *
 *     leak: N CSRs there, N used before, N changed, counters N
 *
 * and ends; with `reboot` by a reboot. mode=type: types "stop quiet" and "poweroff" to itself by
 * the loopback of the UART that it has. mode=dma: says the command register of the PCI function
 * 00:01.0, sets it to 6 (memory, bus master), and reboots. mode=draw prints escape sequences.
 */
#include "guest.h"

#define CSRS 16

/* try.S: false if there is no such CSR for us. */
bool csr_get(unsigned index, uint64_t *value), csr_put(unsigned index, uint64_t value);

enum { PMU = 0x504d55, UART = 0x10000000, ECAM = 0x30000000, FUNCTION = 1 << 15, LCOFI = 1 << 13 };

static char options[256];
static uint64_t seed, found[CSRS];
static unsigned there, used, changed, counters;

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof options - 1; i++)
            options[i] = (char)args->value[i];
}

static void wait(uint64_t ms)
{
    uint64_t end = time_now() + ms * 10000;
    while (time_now() < end)
        ;
}

static void show(const char *what, uint64_t index, uint64_t value)
{
    print("leak: ");
    print(what);
    print(" ");
    print_number(index);
    print(" ");
    print_hex(value);
    print("\n");
}

static uint64_t instret(void)
{
    return csr_read(instret);
}

/* A guest has counted little when it begins, and counts on from what it has set. */
static void count_from(uint64_t value)
{
    sbi3(PMU, 4, 0, 5, 0);
    sbi(PMU, 3, (uint64_t[6]){0, 5, 1, value, 0, 0});
}

static void look(void)
{
    if (csr_read(cycle) >> 48 != 0 || instret() >> 48 != 0) {
        counters++;
        show("cycle", 0, csr_read(cycle));
    }
    if (((csr_read(sie) | csr_read(sip)) & LCOFI) != 0) {
        used++;
        show("sie, sip", csr_read(sie), csr_read(sip));
    }
    for (unsigned i = 0; i < CSRS; i++) {
        uint64_t value;
        if (!csr_get(i, &value))
            continue;
        there++;
        if (value != 0) {
            used++;
            show("used CSR", i, value);
        }
        csr_put(i, seed * 0x0101010101010101);
        csr_get(i, &found[i]);
    }
    csr_set(sie, (seed & 1) * LCOFI);
    csr_set(sip, (seed & 1) * LCOFI);
    uint64_t on = csr_read(sie) & LCOFI, up = csr_read(sip) & LCOFI;
    count_from(seed << 56);
    uint64_t end = time_now() + 10000000;
    while (time_now() < end) {
        if (csr_read(cycle) >> 56 != (seed & 255) || instret() >> 56 != (seed & 255)) {
            if (counters++ == 0)
                show("counters", instret(), csr_read(cycle));
            count_from(seed << 56);
        }
        changed += (csr_read(sie) & LCOFI) != on || (csr_read(sip) & LCOFI) != up;
        for (unsigned i = 0; i < CSRS; i++) {
            uint64_t value;
            if (csr_get(i, &value) && value != found[i]) {
                if (changed++ == 0)
                    show("changed CSR", i, value);
            }
        }
    }
    print("leak: ");
    print_number(there);
    print(" CSRs there, ");
    print_number(used);
    print(" used before, ");
    print_number(changed);
    print(" changed, counters ");
    print_number(counters);
    print("\n");
}

static void type(void)
{
    static const char *const lines[] = {"stop quiet\r", "poweroff\r"};
    volatile uint8_t *uart = (volatile uint8_t *)(uint64_t)UART;
    wait(500);
    uart[2] = 7; /* empties what was typed */
    for (unsigned i = 0; i < 2; i++) {
        uart[4] = 0x10; /* MCR.LOOP */
        for (const char *c = lines[i]; *c; c++)
            uart[0] = (uint8_t)*c;
        wait(500); /* and nobody else takes it: */
        for (const char *c = lines[i]; *c; c++)
            counters += !(uart[5] & 1) || uart[0] != (uint8_t)*c;
        uart[4] = 0;
    }
    const char *text = counters ? "leak: keys lost\r\n" : "leak: all keys are here\r\n";
    for (; *text; text++)
        uart[0] = (uint8_t)*text;
    wait(200);
}

static void dma(void)
{
    volatile uint16_t *command = (volatile uint16_t *)(uint64_t)(ECAM + FUNCTION + 4);
    show("command", 0, *command);
    *command = 6;
    show("command", 1, *command);
}

_Noreturn void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    (void)hart_id, (void)entered;
    tree_walk(tree, take_node, NULL);
    const char *mode = option_find(options, "mode");
    seed = option_number(options, "seed", 0x55);
    if (!mode)
        look();
    else if (text_begins(mode, "type"))
        type();
    else if (text_begins(mode, "draw"))
        print("a\033[31mb\033[2Jc\033(0de\033Mf\001\005g\177h\n");
    else if (text_begins(mode, "dma"))
        dma();
    if (option_number(options, "reboot", 0))
        sbi3(SBI_SRST, 0, 1, 0, 0);
    power_off(false);
}
