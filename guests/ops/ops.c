/*
 * ops: what an operation costs. Runs each in a loop between two readings of the time and prints
 *
 *     op NAME ticks N loops 20000 insns/op X.X
 *
 * where X.X counts instructions if the time does (QEMU -icount shift=0: one nanosecond for each).
 * Every operation is measured plainly, with the floating-point registers in use (NAME+fp), and with
 * interrupts pending that are enabled in sie but masked by sstatus.SIE (NAME+pending).
 *
 * Options: ops=NAME,... (default: all), variants=plain,fp,pending, loops=N.
 */
#include "guest.h"

enum { UART_LSR = 5, UART_SCR = 7, PLIC_SOURCE = 10, CPU_MEMORY = 1 << 20 };

void op_hypercall(uint64_t loops, uint64_t a, uint64_t b);
void op_hypercall_table(uint64_t loops, uint64_t a, uint64_t b);
void op_set_timer(uint64_t loops, uint64_t a, uint64_t b);
void op_ipi(uint64_t loops, uint64_t a, uint64_t b);
void op_rfence(uint64_t loops, uint64_t a, uint64_t b);
void op_load32(uint64_t loops, uint64_t a, uint64_t b);
void op_store32(uint64_t loops, uint64_t a, uint64_t b);
void op_load8(uint64_t loops, uint64_t a, uint64_t b);
void op_store8(uint64_t loops, uint64_t a, uint64_t b);
void op_stimecmp(uint64_t loops, uint64_t a, uint64_t b);
void op_rdtime(uint64_t loops, uint64_t a, uint64_t b);
void op_rdcycle(uint64_t loops, uint64_t a, uint64_t b);
void op_wfi(uint64_t loops, uint64_t a, uint64_t b);
void op_cpu(uint64_t loops, uint64_t a, uint64_t b);
void fp_fill(uint64_t seed);
long fp_changed(uint64_t seed);
long probe_stimecmp(void);
long probe_cycle(void);
void ops_vector(void);
_Noreturn void ops_trapped(uint64_t cause, uint64_t pc, uint64_t value);

enum variant { PLAIN, FP, PENDING, VARIANTS };

static struct {
    char options[256];
    uint64_t hart_id, timebase, loops;
    uint64_t plic, uart, rtc, virtio; /* 0: there is none */
    uint64_t uart_shift;
    bool fp;
} ops;

void ops_trapped(uint64_t cause, uint64_t pc, uint64_t value)
{
    print("\nops: trapped: cause ");
    print_hex(cause);
    print(" pc ");
    print_hex(pc - (uint64_t)image_start);
    print(" value ");
    print_hex(value);
    print("\n");
    power_off(true);
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");
    uint64_t base, size;

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof(ops.options) - 1; i++)
            ops.options[i] = (char)args->value[i];
    if (text_same(node->name, "cpus"))
        ops.timebase = tree_number(node, "timebase-frequency", 0);
    if (!tree_range(node, 0, &base, &size))
        return;
    if (tree_compatible(node, "riscv,plic0") || tree_compatible(node, "sifive,plic"))
        ops.plic = base;
    if (tree_compatible(node, "google,goldfish-rtc"))
        ops.rtc = base;
    if (tree_compatible(node, "virtio,mmio"))
        ops.virtio = base;
    if (tree_compatible(node, "ns16550")) {
        ops.uart = base;
        ops.uart_shift = tree_number(node, "reg-shift", 0);
    }
}

/* Whether `name` is one of the comma-separated words of the option, or there is no such option. */
static bool chosen(const char *option, const char *name)
{
    const char *word = option_find(ops.options, option);

    if (!word)
        return true;
    for (;;) {
        size_t length = 0;
        while (name[length] && word[length] == name[length])
            length++;
        if (!name[length] && (word[length] == ',' || word[length] == ' ' || !word[length]))
            return true;
        while (*word && *word != ' ' && *word != ',')
            word++;
        if (*word++ != ',')
            return false;
    }
}

static const char *variant_name(enum variant variant)
{
    return variant == PLAIN ? "plain" : variant == FP ? "fp" : "pending";
}

static void measure(const char *name, void (*run)(uint64_t, uint64_t, uint64_t), uint64_t a,
                    uint64_t b)
{
    if (!chosen("ops", name))
        return;
    for (enum variant variant = PLAIN; variant < VARIANTS; variant++) {
        uint64_t seed = 0x3ff0000000000000 + (uint64_t)(uintptr_t)run;
        if (!chosen("variants", variant_name(variant)) || (variant == FP && !ops.fp))
            continue;
        csr_write(sie, SIP_SSIP | SIP_STIP);
        csr_clear(sip, SIP_SSIP);
        sbi3(SBI_TIME, 0, variant == PENDING ? 0 : UINT64_MAX, 0, 0);
        if (variant == PENDING || run == op_wfi)
            csr_set(sip, SIP_SSIP);
        csr_clear(sstatus, SSTATUS_FS);
        if (variant == FP) {
            csr_set(sstatus, SSTATUS_FS);
            fp_fill(seed);
        }
        run(16, a, b); /* caches, lazily mapped pages */
        uint64_t before = time_now();
        run(ops.loops, a, b);
        uint64_t ticks = time_now() - before;
        long changed = variant == FP ? fp_changed(seed) : 0;

        /* A tick of a clock that counts instructions as nanoseconds. */
        uint64_t tenths = ticks * (1000000000 / ops.timebase) * 10 / ops.loops;
        print("op ");
        print(name);
        if (variant != PLAIN) {
            print("+");
            print(variant_name(variant));
        }
        print(" ticks ");
        print_number(ticks);
        print(" loops ");
        print_number(ops.loops);
        print(" insns/op ");
        print_number(tenths / 10);
        print(".");
        print_number(tenths % 10);
        print(changed ? " FP REGISTERS CHANGED\n" : "\n");
    }
}

static void missing(const char *name, const char *why, long cause)
{
    if (!chosen("ops", name))
        return;
    print("op ");
    print(name);
    print(" none: ");
    print(why);
    if (cause) {
        print(", cause ");
        print_number((uint64_t)(cause - 1));
    }
    print("\n");
}

static void measure_devices(void)
{
    if (ops.plic) {
        uint64_t priority = ops.plic + 4 * PLIC_SOURCE;
        uint32_t value = *(volatile uint32_t *)priority;
        measure("plic-read", op_load32, priority, 0);
        measure("plic-write", op_store32, priority, value);
    } else {
        missing("plic-read", "no PLIC", 0);
    }
    if (ops.uart) {
        measure("uart-read", op_load8, ops.uart + ((uint64_t)UART_LSR << ops.uart_shift), 0);
        measure("uart-write", op_store8, ops.uart + ((uint64_t)UART_SCR << ops.uart_shift), 0x55);
    } else {
        missing("uart-read", "no UART", 0);
    }
    if (ops.rtc)
        measure("rtc-read", op_load32, ops.rtc, 0);
    if (ops.virtio)
        measure("virtio-read", op_load32, ops.virtio, 0);
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    csr_write(stvec, (uintptr_t)ops_vector);
    csr_write(sie, 0);
    ops.hart_id = hart_id;
    if (!tree_walk(tree, take_node, NULL) || !ops.timebase) {
        print("ops: no device tree that says how fast time is\n");
        power_off(true);
    }
    ops.loops = option_number(ops.options, "loops", 20000);
    if (!ops.loops)
        ops.loops = 1;
    csr_set(sstatus, SSTATUS_FS);
    ops.fp = (csr_read(sstatus) & SSTATUS_FS) != 0;
    print("ops: entered at tick ");
    print_number(entered);
    print("\n");

    measure("hypercall", op_hypercall, 0, 0);
    measure("hypercall-table", op_hypercall_table, 0, 0);
    measure("set-timer", op_set_timer, 0, 0);
    measure("ipi-self", op_ipi, hart_id, 0);
    measure("rfence-self", op_rfence, hart_id, (uintptr_t)image_start);
    measure_devices();
    long cause = probe_stimecmp();
    if (cause)
        missing("stimecmp", "traps", cause);
    else
        measure("stimecmp", op_stimecmp, 0, 0);
    measure("rdtime", op_rdtime, 0, 0);
    cause = probe_cycle();
    if (cause)
        missing("rdcycle", "traps", cause);
    else
        measure("rdcycle", op_rdcycle, 0, 0);
    measure("wfi", op_wfi, 0, 0);
    measure("cpu", op_cpu, (uint64_t)image_end, CPU_MEMORY - 1);
    print("ops: done\n");
    power_off(false);
}
