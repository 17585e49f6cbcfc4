/*
 * vector: fills the vector registers with values of its own (seed=N) and computes while they lie
 * there; says whether each register and CSR still holds them, for rounds=N readings of a register
 * each of which comes after ticks=N of the time. Between readings it changes them, or (even rounds)
 * leaves them alone, so that both what is dirty and what is clean has to survive. Before the first
 * value it tells whether the registers were 0.
 */
#include "guest.h"

enum { VLENB_MAX = 1024, SEED_STEP = 0x9e37 };

uint64_t vector_length(void);
void vector_fill(const void *bytes, uint64_t vl, uint64_t vcsr, uint64_t vstart);
void vector_look(void *bytes, uint64_t csrs[4]);
long vector_use(void);
void vector_arm(void);
_Noreturn void vector_trapped(uint64_t cause, uint64_t pc, uint64_t value);

static char options[256];
static bool listed;
static uint8_t given[32 * VLENB_MAX], seen[32 * VLENB_MAX];

void vector_trapped(uint64_t cause, uint64_t pc, uint64_t value)
{
    print("vector: trapped: cause ");
    print_hex(cause);
    print(" pc ");
    print_hex(pc - (uint64_t)image_start);
    print(" value ");
    print_hex(value);
    print("\n");
    power_off(true);
}

static bool names_v(const struct tree_property *isa)
{
    for (uint32_t i = 4; isa != NULL && i < isa->length; i++) {
        char letter = (char)isa->value[i];
        if (letter == '_' || letter == 'z' || letter == 's' || letter == 'x')
            return false;
        if (letter == 'v')
            return true;
    }
    return false;
}

static void take_node(void *context, const struct tree_node *node)
{
    const struct tree_property *args = tree_find(node, "bootargs");

    (void)context;
    if (args && text_same(node->name, "chosen"))
        for (uint32_t i = 0; i < args->length && i < sizeof(options) - 1; i++)
            options[i] = (char)args->value[i];
    if (text_begins(node->name, "cpu@"))
        listed = names_v(tree_find(node, "riscv,isa"));
}

static void fill(uint64_t seed, uint64_t length)
{
    uint64_t value = seed;
    for (uint64_t i = 0; i < 32 * length; i++) {
        value = value * 6364136223846793005 + 1442695040888963407;
        given[i] = (uint8_t)(value >> 56);
    }
    vector_fill(given, seed % length + 1, seed & 7, seed % 5);
}

static unsigned changed(uint64_t seed, uint64_t length)
{
    uint64_t csrs[4];
    unsigned count = 0;

    vector_look(seen, csrs);
    for (unsigned reg = 0; reg < 32; reg++) {
        bool same = true;
        for (uint64_t i = 0; i < length; i++)
            same = same && seen[reg * length + i] == given[reg * length + i];
        count += !same;
    }
    /* e16, m2, ta, ma */
    return count + (csrs[0] != seed % length + 1) + (csrs[1] != 0xc9) + (csrs[2] != (seed & 7)) +
           (csrs[3] != seed % 5);
}

static bool begins_clean(uint64_t length)
{
    uint64_t csrs[4];
    bool clean = true;
    vector_look(seen, csrs);
    for (uint64_t i = 0; i < 32 * length; i++)
        clean = clean && seen[i] == 0;
    return clean && csrs[0] == 0 && csrs[1] == 1ULL << 63 && csrs[2] == 0 && csrs[3] == 0;
}

void guest_start(uint64_t hart_id, const void *tree, uint64_t entered)
{
    uint64_t worst = 0, last = entered;

    (void)hart_id;
    vector_arm();
    csr_write(sie, 0);
    if (!tree_walk(tree, take_node, NULL))
        power_off(true);
    uint64_t seed = option_number(options, "seed", 1),
             rounds = option_number(options, "rounds", 40);
    uint64_t ticks = option_number(options, "ticks", 200000);
    csr_clear(sstatus, SSTATUS_VS);
    print(listed ? "vector: listed" : "vector: not listed");
    print(vector_use() == 3 ? ", off is illegal\n" : ", OFF IS NOT ILLEGAL\n");
    uint64_t length = listed ? vector_length() : 0;
    print("vector: vlenb ");
    print_number(length);
    if (length == 0 || length > VLENB_MAX) {
        print("\nvector: done\n");
        power_off(false);
    }
    print(begins_clean(length) ? " clean\n" : " OLD BYTES\n");
    unsigned wrong = 0, gaps = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        if (round % 2 == 0)
            fill(seed += SEED_STEP, length);
        for (uint64_t end = time_now() + ticks; last < end;) {
            uint64_t now = time_now();
            /* Somebody else had the hart. */
            gaps += now - last > 10000;
            worst = now - last > worst ? now - last : worst;
            last = now;
        }
        wrong += changed(seed, length);
    }
    print("vector: gaps ");
    print_number(gaps);
    print(" changed ");
    print_number(wrong);
    print("\nvector: done\n");
    power_off(wrong != 0);
}
