/*
 * keep: puts values of its own (seed=N) into the floating-point registers and into CSRs that no
 * access to them tells the hypervisor of, computes while they lie there, and says how often each
 * was another one afterwards: rounds=N readings, each after ticks=N of the time. Rounds are of four
 * kinds: all is new; nothing is changed; fcsr alone is; the registers are, and sstatus.FS is off
 * then. Before the first it tells whether the floating-point registers were 0.
 */
#include "guest.h"

enum { SEED_STEP = 0x9e37, GAP = 10000 };

void fp_fill(const uint64_t f[32], uint64_t fcsr);
uint64_t fp_look(uint64_t f[32]);
void fcsr_set(uint64_t fcsr);
void keep_arm(void);
_Noreturn void keep_trapped(uint64_t cause, uint64_t pc);

enum { FP, FCSR, SENVCFG, SCOUNTEREN, SSCRATCH, SEPC, SCAUSE, STVAL, SIE, SSIP, KINDS };
static const char *name_of(unsigned kind)
{
    static const char names[KINDS][12] = {"fp",   "fcsr",   "senvcfg", "scounteren", "sscratch",
                                          "sepc", "scause", "stval",   "sie",        "ssip"};
    return names[kind];
}

static char options[256];
static uint64_t f[32], fcsr, want[KINDS], changed[KINDS];

void keep_trapped(uint64_t cause, uint64_t pc)
{
    print("keep: trapped: cause ");
    print_hex(cause);
    print(" pc ");
    print_hex(pc - (uint64_t)image_start);
    print("\n");
    power_off(true);
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof(options) - 1; i++)
            options[i] = (char)args->value[i];
}

static uint64_t next(uint64_t *random)
{
    *random = *random * 6364136223846793005 + 1442695040888963407;
    return *random;
}

/* What can be read back at once is what must be there later. */
static void csrs_fill(uint64_t seed)
{
    uint64_t random = seed;

    csr_write(senvcfg, next(&random) >> 32);
    csr_write(scounteren, next(&random) >> 32);
    csr_write(sscratch, next(&random));
    csr_write(sepc, next(&random));
    csr_write(scause, next(&random) & 31);
    csr_write(stval, next(&random));
    csr_write(sie, next(&random) >> 32 & (SIP_STIP | SIP_SEIP));
    if (next(&random) >> 63)
        csr_set(sip, SIP_SSIP);
    else
        csr_clear(sip, SIP_SSIP);
}

static void csrs_look(uint64_t seen[KINDS])
{
    seen[SENVCFG] = csr_read(senvcfg);
    seen[SCOUNTEREN] = csr_read(scounteren);
    seen[SSCRATCH] = csr_read(sscratch);
    seen[SEPC] = csr_read(sepc);
    seen[SCAUSE] = csr_read(scause);
    seen[STVAL] = csr_read(stval);
    seen[SIE] = csr_read(sie);
    seen[SSIP] = csr_read(sip) & SIP_SSIP;
}

static void fill(uint64_t round, uint64_t seed)
{
    uint64_t random = seed;

    if (round % 4 == 0 || round % 4 == 3) {
        for (unsigned i = 0; i < 32; i++)
            f[i] = next(&random);
        fp_fill(f, fcsr = next(&random) >> 40 & 0x9f); /* rounding modes 0 and 4 */
    }
    if (round % 4 == 0) {
        csrs_fill(next(&random));
        csrs_look(want);
    } else if (round % 4 == 2) {
        fcsr_set(fcsr ^= 0x15);
    } else if (round % 4 == 3) {
        csr_clear(sstatus, SSTATUS_FS);
    }
}

static void look(void)
{
    uint64_t seen[KINDS], registers[32];

    csr_set(sstatus,
            SSTATUS_FS & -SSTATUS_FS << 1); /* Clean, if it was off: what is there counts */
    changed[FCSR] += fp_look(registers) != fcsr;
    for (unsigned i = 0; i < 32; i++)
        changed[FP] += registers[i] != f[i];
    csrs_look(seen);
    for (unsigned kind = SENVCFG; kind < KINDS; kind++)
        changed[kind] += seen[kind] != want[kind];
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    uint64_t last = entered, gaps = 0, wrong = 0, nonzero[KINDS] = {0};

    (void)hart_id;
    keep_arm();
    csr_write(sie, 0);
    if (!tree_walk(tree, take_node, NULL))
        power_off(true);
    uint64_t seed = option_number(options, "seed", 1),
             rounds = option_number(options, "rounds", 40);
    uint64_t ticks = option_number(options, "ticks", 200000);
    csr_set(sstatus, SSTATUS_FS);
    uint64_t old = fp_look(f);
    for (unsigned i = 0; i < 32; i++)
        old |= f[i];
    print(old == 0 ? "keep: clean\n" : "keep: OLD BYTES\n");
    for (uint64_t round = 0; round < rounds; round++) {
        fill(round, seed += SEED_STEP);
        for (uint64_t end = time_now() + ticks; last < end;) {
            uint64_t now = time_now();
            gaps += now - last > GAP; /* somebody else had the hart */
            last = now;
        }
        look();
        if (round == 0)
            print("keep: filled\n");
        for (unsigned kind = 0; kind < KINDS; kind++)
            nonzero[kind] |= want[kind];
    }
    csr_write(sie, 0);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (changed[kind] == 0)
            continue;
        print("keep: CHANGED ");
        print(name_of(kind));
        print(" ");
        print_number(changed[kind]);
        print("\n");
        wrong += changed[kind];
    }
    for (unsigned kind = SENVCFG; kind < KINDS; kind++) {
        if (nonzero[kind] == 0) {
            print("keep: always 0: ");
            print(name_of(kind));
            print("\n");
        }
    }
    print("keep: gaps ");
    print_number(gaps);
    print(" changed ");
    print_number(wrong);
    print("\nkeep: done\n");
    power_off(wrong != 0);
}
