/*
 * Vector loads and stores: each row, each number of fields, against a plain loop over elements; and
 * what a fault in the middle leaves (Unprivileged ISA 20240411, "V", 7). Where the specification
 * leaves open how much of a segment is done before its fault, nothing is checked.
 */
#include "vector.h"

static struct vector_state state, before, want;
#define BASE   1024
#define LENGTH 2048
static uint8_t *const data = pages[2];
static uint8_t memory_want[LENGTH] __attribute__((aligned(8)));

static const struct {
    const char *mnemonic;
    uint32_t match, mask;
} rows[] = {
#define INSN(name, mnemonic, encoding, format, extension, flags)
#define VINSN(name, mnemonic, encoding, format, extension, flags) {mnemonic, encoding},
#define CINSN(name, mnemonic, match, mask, format, extension, target)
#include "riscv/insn.def"
};
#define ROWS (sizeof rows / sizeof rows[0])

enum { UNIT, UNORDERED, STRIDED, ORDERED }; /* mop */
enum { WHOLE = 8, MASK = 11, FIRST = 16 };  /* lumop, sumop */

/* One instruction's fields; widths as log2 of bytes, EMUL as log2. */
struct access {
    uint32_t word;
    bool store, masked;
    unsigned mop, lumop, fields, eew, index_eew;
    int emul;
    uint64_t count, stride;
};

static unsigned width_of(uint32_t word)
{
    const unsigned field = word >> 12 & 7;
    return field == 0 ? 0 : field - 4;
}

static unsigned registers(int emul)
{
    return emul > 0 ? 1u << emul : 1;
}

static uint64_t element(const uint8_t *at, unsigned eew)
{
    uint64_t value = 0;

    __builtin_memcpy(&value, at, (size_t)1 << eew);
    return value;
}

static uint64_t offset_of(const struct access *a, uint64_t i)
{
    if (a->mop == UNORDERED || a->mop == ORDERED)
        return element(vector_register(&want, 16) + (i << a->index_eew), a->index_eew);
    return i * a->stride;
}

/* What it is to do, on `want` and memory_want. */
static void model(const struct access *a)
{
    for (uint64_t i = 0; i < a->count; i++) {
        if (a->masked && (vector_register(&want, 0)[i / 8] >> i % 8 & 1) == 0)
            continue;
        for (unsigned field = 0; field < a->fields; field++) {
            uint8_t *reg = vector_register(&want, 8 + field * registers(a->emul)) + (i << a->eew);
            uint8_t *memory = memory_want + BASE + offset_of(a, i) + (field << a->eew);

            for (unsigned byte = 0; byte < 1u << a->eew; byte++)
                if (a->store)
                    memory[byte] = reg[byte];
                else
                    reg[byte] = memory[byte];
        }
    }
}

/* Index of the first word of 8 bytes that differs, or that behind the last. */
static size_t difference(const void *a, const void *b, size_t len)
{
    const uint64_t *x = a, *y = b;
    size_t i = 0;

    while (i < len / 8 && x[i] == y[i])
        i++;
    return i;
}

static void execute_and_compare(const char *name, const struct access *a, uint32_t word)
{
    const size_t len = 32 * csr_read(VLENB);

    before = want = state;
    model(a);
    vector_execute(M, &state, word);
    check_ok(__FILE_NAME__, 0, name);
    check_eq("vector_memory.c: vl", 0, name, state.vl, before.vl);
    check_eq("vector_memory.c: vstart", 0, name, state.vstart, 0);
    check_eq("vector_memory.c: registers", 0, name, difference(state.v, want.v, len), len / 8);
    check_eq("vector_memory.c: memory", 0, name, difference(data, memory_want, LENGTH), LENGTH / 8);
}

/* With SEW and LMUL, vl `short_by` less than VLMAX. */
static void check_access(const char *name, struct access *a, unsigned sew, int lmul,
                         unsigned short_by)
{
    const unsigned vtype = E(sew, lmul);
    const uint64_t vlenb = csr_read(VLENB);

    vector_fill(&state, vtype);
    state.vl -= state.vl > short_by ? short_by : 0;
    a->eew = width_of(a->word);
    a->emul = (int)a->eew - (int)sew + lmul;
    a->count = state.vl;
    a->stride = (uint64_t)a->fields << a->eew;
    state.a[0] = FN(data) + BASE;
    if (a->mop == UNIT && a->lumop == WHOLE) {
        a->count = (uint64_t)a->fields * vlenb >> a->eew;
        a->emul = a->fields == 8 ? 3 : a->fields == 4 ? 2 : a->fields == 2 ? 1 : 0;
        a->fields = 1;
        a->stride = 1u << a->eew;
    } else if (a->mop == UNIT && a->lumop == MASK) {
        a->count = (state.vl + 7) / 8;
        a->emul = 0;
    } else if (a->mop == STRIDED) {
        a->stride = state.a[1];
    } else if (a->mop != UNIT) {
        a->index_eew = a->eew;
        a->eew = sew;
        if (a->emul < -3 || a->emul > 3)
            return;
        for (uint64_t i = 0; i < vector_vlmax(vtype); i++) {
            const uint64_t index = (i * 37 + 11) % 200;
            __builtin_memcpy(vector_register(&state, 16) + (i << a->index_eew), &index,
                             (size_t)1 << a->index_eew);
        }
        a->emul = lmul;
    }
    if (a->emul < -3 || a->emul > 3 || a->fields * registers(a->emul) > 8)
        return;
    for (size_t i = 0; i < LENGTH; i++)
        data[i] = memory_want[i] = (uint8_t)(i * 89 + 3);
    if (a->mop == STRIDED) {
        const uint64_t strides[] = {0, 1u << a->eew, -(8ULL << a->eew), 13};

        for (size_t s = 0; s < 4; s++) {
            state.a[1] = a->stride = strides[s];
            execute_and_compare(name, a, a->word | 11 << 20);
            state = before;
        }
        return;
    }
    execute_and_compare(name, a, a->word | (a->mop == UNIT ? 0 : 16 << 20));
}

static void every_row_moves_its_elements(void)
{
    for (size_t r = 0; r < ROWS; r++) {
        const uint32_t match = rows[r].match, mask = rows[r].mask;
        const bool one = (mask & 0xe0000000) != 0;

        if ((match & 0x5f) != 0x07)
            continue;
        for (unsigned nf = 0; nf < (one ? 1u : 8u); nf++)
            for (unsigned is_masked = 0; is_masked < (mask >> 25 & 1 ? 1u : 2u); is_masked++)
                for (unsigned sew = 0; sew < 4; sew++)
                    for (int lmul = -1; lmul < 2; lmul++) {
                        struct access a = {
                            .word = match | 8 << 7 | 10 << 15 | nf << 29,
                            .store = (match & 0x20) != 0,
                            .masked = is_masked != 0,
                            .mop = match >> 26 & 3,
                            .lumop = match >> 20 & 31,
                            .fields = 1 + (match >> 29) + nf,
                        };

                        if (sew == E64 && lmul < 0) /* LMUL is at least SEW / ELEN */
                            continue;
                        a.word |= a.masked ? 0 : 1u << 25;
                        check_access(rows[r].mnemonic, &a, sew, lmul, sew & 1);
                    }
    }
}

/* ---- faults ---- */

/* Window page 0 is pages[2], page 1 pages[3] or nothing. */
static void window(bool second)
{
    vm_map(0, FN(pages[2]), PTE_ALL);
    vm_map(1, second ? FN(pages[3]) : 0, second ? PTE_ALL : 0);
}

static void fill_pages(void)
{
    for (unsigned i = 0; i < 4096; i++) {
        pages[2][i] = (uint8_t)(i * 89 + 3);
        pages[3][i] = (uint8_t)(i * 31 + 9);
    }
}

static uint8_t window_byte(uint64_t va)
{
    return pages[2 + (va >> 12 & 1)][va & 4095];
}

/* Unit stride, elements of 2^eew bytes, of which `fit` lie before the page that is missing. */
static void load_stops_and_goes_on(uint32_t word, unsigned eew, unsigned fit)
{
    const uint64_t base = WINDOW + 0x1000 - ((uint64_t)fit << eew);

    fill_pages();
    window(false);
    vector_fill(&state, E(eew, 0));
    state.a[0] = base;
    before = state;
    vector_execute(S, &state, word);
    CHECK_EQ("one trap", trap.count, 1);
    CHECK_EQ("cause", trap.cause, LOAD_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0x1000);
    CHECK_EQ("epc", trap.epc, FN(probe_code));
    CHECK_EQ("vstart", state.vstart, fit);
    CHECK_EQ("vl", state.vl, before.vl);
    for (uint64_t i = 0; i < before.vl << eew; i++)
        CHECK_EQ("so far", vector_register(&state, 8)[i],
                 i < (uint64_t)fit << eew ? window_byte(base + i) : vector_register(&before, 8)[i]);
    pages[2][0x1000 - 1] ^= 0x55; /* elements before vstart are not loaded again */
    window(true);
    vector_execute(S, &state, word);
    CHECK_OK("goes on");
    CHECK_EQ("vstart", state.vstart, 0);
    pages[2][0x1000 - 1] ^= 0x55;
    for (uint64_t i = 0; i < before.vl << eew; i++)
        CHECK_EQ("all", vector_register(&state, 8)[i], window_byte(base + i));
}

static void store_stops_and_goes_on(uint32_t word, unsigned eew, unsigned fit)
{
    const uint64_t base = WINDOW + 0x1000 - ((uint64_t)fit << eew);

    fill_pages();
    window(false);
    vector_fill(&state, E(eew, 0));
    state.a[0] = base;
    before = state;
    vector_execute(S, &state, word);
    CHECK_EQ("one trap", trap.count, 1);
    CHECK_EQ("cause", trap.cause, STORE_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0x1000);
    CHECK_EQ("vstart", state.vstart, fit);
    for (unsigned i = 0; i < fit << eew; i++)
        CHECK_EQ("so far", window_byte(base + i), vector_register(&before, 8)[i]);
    CHECK_EQ("before it", window_byte(base - 1), (uint8_t)((base - 1) * 89 + 3));
    if (fit > 0)
        pages[2][0xfff] = 0x99;
    window(true);
    vector_execute(S, &state, word);
    CHECK_OK("goes on");
    CHECK_EQ("vstart", state.vstart, 0);
    if (fit > 0)
        CHECK_EQ("not stored again", pages[2][0xfff], 0x99);
    for (uint64_t i = (uint64_t)fit << eew; i < before.vl << eew; i++)
        CHECK_EQ("the rest", window_byte(base + i), vector_register(&before, 8)[i]);
    CHECK_EQ("behind it", window_byte(base + (before.vl << eew)),
             (uint8_t)((before.vl - fit) << eew) * 31 + 9 & 255);
}

static void a_fault_leaves_its_element_in_vstart(void)
{
    static const uint32_t loads[] = {MATCH_vle8_v, MATCH_vle16_v, MATCH_vle32_v, MATCH_vle64_v};
    static const uint32_t stores[] = {MATCH_vse8_v, MATCH_vse16_v, MATCH_vse32_v, MATCH_vse64_v};

    for (unsigned eew = 0; eew < 4; eew++)
        for (unsigned fit = 0; fit < 16u >> eew; fit++) {
            load_stops_and_goes_on(loads[eew] | 1u << 25 | 8 << 7 | 10 << 15, eew, fit);
            store_stops_and_goes_on(stores[eew] | 1u << 25 | 8 << 7 | 10 << 15, eew, fit);
        }
}

static void fault_only_first_shortens_vl(void)
{
    static const uint32_t loads[] = {MATCH_vle8ff_v, MATCH_vle16ff_v, MATCH_vle32ff_v,
                                     MATCH_vle64ff_v};

    for (unsigned eew = 0; eew < 4; eew++)
        for (unsigned fit = 0; fit <= 16u >> eew; fit++) {
            const uint64_t base = WINDOW + 0x1000 - ((uint64_t)fit << eew);

            fill_pages();
            window(false);
            vector_fill(&state, E(eew, 0));
            state.a[0] = base;
            before = state;
            vector_execute(S, &state, loads[eew] | 1u << 25 | 8 << 7 | 10 << 15);
            if (fit == 0) {
                CHECK_EQ("the first traps", trap.cause, LOAD_PAGE);
                CHECK_EQ("vl", state.vl, before.vl);
            } else {
                CHECK_OK("no trap");
                CHECK_EQ("vl", state.vl, fit);
            }
            CHECK_EQ("vstart", state.vstart, 0);
            for (uint64_t i = 0; i < (uint64_t)fit << eew; i++)
                CHECK_EQ("loaded", vector_register(&state, 8)[i], window_byte(base + i));
        }
}

static void inactive_elements_do_not_fault(void)
{
    fill_pages();
    window(false);
    vector_fill(&state, E(E32, 0));
    state.a[0] = WINDOW + 0x1000 - 8;
    *vector_register(&state, 0) = 0x3;
    before = state;
    vector_execute(S, &state, MATCH_vle32_v | 8 << 7 | 10 << 15);
    CHECK_OK("vle32.v");
    vector_execute(S, &state, MATCH_vse32_v | 8 << 7 | 10 << 15);
    CHECK_OK("vse32.v");
    *vector_register(&state, 0) = 0xb;
    vector_execute(S, &state, MATCH_vle32_v | 8 << 7 | 10 << 15);
    CHECK_EQ("the fourth does", trap.cause, LOAD_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0x1004);
    CHECK_EQ("vstart", state.vstart, 3);
    state = before;
    state.vl = 0;
    state.a[0] = HOLE;
    vector_execute(S, &state, MATCH_vle32_v | 1u << 25 | 8 << 7 | 10 << 15);
    CHECK_OK("vl = 0");
}

/* Down from the second page, and to and fro. */
static void strides_and_indices_fault_at_their_element(void)
{
    static const uint32_t indices[] = {0, 0x10, 0x1000, 0x20};

    fill_pages();
    window(false);
    vm_map(1, FN(pages[3]), PTE_ALL);
    vm_map(0, 0, 0);
    vector_fill(&state, E(E32, 0));
    state.a[0] = WINDOW + 0x1004;
    state.a[1] = -4ULL;
    vector_execute(S, &state, MATCH_vlse32_v | 1u << 25 | 8 << 7 | 10 << 15 | 11 << 20);
    CHECK_EQ("vlse32.v", trap.cause, LOAD_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0xffc);
    CHECK_EQ("vstart", state.vstart, 2);
    window(false);
    vector_fill(&state, E(E32, 0));
    state.a[0] = WINDOW;
    __builtin_memcpy(vector_register(&state, 16), indices, sizeof indices);
    vector_execute(S, &state, MATCH_vsoxei32_v | 1u << 25 | 8 << 7 | 10 << 15 | 16 << 20);
    CHECK_EQ("vsoxei32.v", trap.cause, STORE_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0x1000);
    CHECK_EQ("vstart", state.vstart, 2);
    /* A segment: vstart counts whole ones (7.8). */
    vector_fill(&state, E(E16, 0));
    state.a[0] = WINDOW + 0x1000 - 2 * 6 - 2;
    vector_execute(S, &state, MATCH_vle16_v | 2u << 29 | 1u << 25 | 8 << 7 | 10 << 15);
    CHECK_EQ("vlseg3e16.v", trap.cause, LOAD_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0x1000);
    CHECK_EQ("vstart", state.vstart, 2);
}

#define SD_A1 0x00b53023 /* sd a1, 0(a0) */

/* Two pages that were accessed before, in the other order than in memory: each place of the bound
 * between them, all of vl and less. */
static void groups_lie_in_two_pages(unsigned eew, uint32_t load, uint32_t store)
{
    const uint32_t fields = 1u << 25 | 10 << 15 | 8 << 7; /* vm, a0, v8 */

    vm_map(0, FN(pages[3]), PTE_ALL);
    vm_map(1, FN(pages[2]), PTE_ALL);
    for (unsigned lmul = 0; lmul < 4; lmul += 3) {
        for (unsigned behind = 0; behind < 40; behind += 1 + behind / 9) {
            const uint64_t base = WINDOW + 0x1000 - behind;
            for (unsigned less = 0; less < 3; less++) {
                fill_pages();
                vector_fill(&state, E(eew, lmul));
                state.a[0] = base;
                state.vl -= less;
                before = state;
                const uint64_t bytes = state.vl << eew;
                probe(S, SD_A1, WINDOW + 0x800, 0);
                probe(S, SD_A1, WINDOW + 0x1800, 0);
                vector_execute(S, &state, load | fields);
                CHECK_OK("loads");
                for (uint64_t i = 0; i < bytes; i++)
                    CHECK_EQ("loaded", vector_register(&state, 8)[i],
                             pages[3 - ((base + i) >> 12 & 1)][(base + i) & 4095]);
                CHECK_EQ("the element behind", vector_register(&state, 8)[bytes],
                         vector_register(&before, 8)[bytes]);
                state = before;
                vector_execute(S, &state, store | fields);
                CHECK_OK("stores");
                for (uint64_t i = 0; i < bytes; i++)
                    CHECK_EQ("stored", pages[3 - ((base + i) >> 12 & 1)][(base + i) & 4095],
                             vector_register(&before, 8)[i]);
                const uint64_t end = base + bytes;
                CHECK_EQ("the byte behind", pages[3 - (end >> 12 & 1)][end & 4095],
                         (uint8_t)((end & 4095) * ((end >> 12 & 1) != 0 ? 89 : 31) +
                                   ((end >> 12 & 1) != 0 ? 3 : 9)));
            }
        }
    }
}

/* An element that lies in two pages, the second of which is missing. */
static void a_misaligned_element_faults_in_its_second_page(void)
{
    fill_pages();
    window(false);
    vector_fill(&state, E(E64, 0));
    state.a[0] = WINDOW + 0x1000 - 8 - 3;
    before = state;
    vector_execute(S, &state, MATCH_vle64_v | 1u << 25 | 8 << 7 | 10 << 15);
    CHECK_EQ("cause", trap.cause, LOAD_PAGE);
    CHECK_EQ("tval", trap.tval, WINDOW + 0x1000);
    CHECK_EQ("vstart", state.vstart, 1);
    window(true);
    vector_execute(S, &state, MATCH_vle64_v | 1u << 25 | 8 << 7 | 10 << 15);
    CHECK_OK("vle64.v");
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ("all", vector_register(&state, 8)[i], window_byte(before.a[0] + i));
}

/*
 * 16 bytes in the middle of what is loaded or stored may not be accessed (Privileged ISA, 3.7.1).
 * QEMU 10 has the fault-only-first load fail: it asks for a page at once.
 */
static void elements_are_checked_by_pmp(void)
{
    const uint64_t base = FN(data) + BASE;
    const uint32_t unit = 1u << 25 | 8 << 7 | 10 << 15;

    fill_pages();
    csr_write(PMPADDR0 + 1, csr_read(PMPADDR0));
    csr_write(PMPADDR0, (base + 16) >> 2 | 1); /* NAPOT, 16 bytes */
    csr_write(PMPCFG0, 0x1f18);
    sfence_vma();
    vector_fill(&state, E(E32, 1));
    state.a[0] = base;
    before = state;
    vector_execute(S, &state, MATCH_vle32_v | unit);
    CHECK_EQ("vle32.v", trap.cause, LOAD_ACCESS);
    CHECK_EQ("tval", trap.tval, base + 16);
    CHECK_EQ("vstart", state.vstart, 4);
    for (unsigned i = 0; i < 32; i++)
        CHECK_EQ("vd", vector_register(&state, 8)[i],
                 i < 16 ? data[BASE + i] : vector_register(&before, 8)[i]);
    state = before;
    vector_execute(S, &state, MATCH_vse32_v | unit);
    CHECK_EQ("vse32.v", trap.cause, STORE_ACCESS);
    CHECK_EQ("vstart", state.vstart, 4);
    state = before;
    vector_execute(S, &state, MATCH_vle32ff_v | unit);
    CHECK_OK("vle32ff.v");
    CHECK_EQ("vl", state.vl, 4);
    state = before;
    vector_execute(S, &state, MATCH_vl2re8_v | 8 << 7 | 10 << 15);
    CHECK_EQ("vl2re8.v", trap.cause, LOAD_ACCESS);
    CHECK_EQ("vstart", state.vstart, 16);
    csr_write(PMPCFG0, 0x1f00);
    csr_write(PMPADDR0, csr_read(PMPADDR0 + 1));
    csr_write(PMPCFG0, 0x1f);
    sfence_vma();
}

/* ---- reserved ---- */

static void refused(const char *what, unsigned vtype, uint32_t word)
{
    vector_fill(&state, vtype);
    state.a[0] = FN(data);
    vector_execute(M, &state, word | 10 << 15);
    check_illegal(__FILE_NAME__, 0, what, word | 10 << 15);
}

static void groups_exist(void)
{
    const uint32_t vm = 1u << 25;

    refused("EMUL 16", E(E8, 3), MATCH_vle16_v | vm);
    refused("vd of EMUL 2", E(E8, 0), MATCH_vle16_v | vm | 9 << 7);
    refused("9 registers", E(E8, 1), MATCH_vle8_v | vm | 4u << 29 | 8 << 7);
    refused("beyond v31", E(E8, 0), MATCH_vle8_v | vm | 3u << 29 | 30 << 7);
    refused("masked vd = v0", E(E8, 0), MATCH_vle8_v);
    refused("vd within the indices", E(E8, 0), MATCH_vluxei16_v | vm | 17 << 7 | 16 << 20);
    refused("segments over the indices", E(E8, 0),
            MATCH_vluxei8_v | vm | 1u << 29 | 16 << 7 | 16 << 20);
    refused("indices of EMUL 2", E(E8, 0), MATCH_vluxei16_v | vm | 8 << 7 | 17 << 20);
    refused("indices of EMUL 16", E(E8, 3), MATCH_vluxei16_v | vm | 8 << 7 | 16 << 20);
    refused("vl2re8.v", E(E8, 0), MATCH_vl2re8_v | 9 << 7);
    refused("vs8r.v", E(E8, 0), MATCH_vs8r_v | 4 << 7);
}

void test_main(void)
{
    csr_set(MSTATUS, MSTATUS_FS | MSTATUS_VS);
    every_row_moves_its_elements();
    groups_exist();
    elements_are_checked_by_pmp();
    vm_on(8);
    a_fault_leaves_its_element_in_vstart();
    fault_only_first_shortens_vl();
    inactive_elements_do_not_fault();
    strides_and_indices_fault_at_their_element();
    a_misaligned_element_faults_in_its_second_page();
    groups_lie_in_two_pages(0, MATCH_vle8_v, MATCH_vse8_v);
    groups_lie_in_two_pages(2, MATCH_vle32_v, MATCH_vse32_v);
    vm_on(0);
}
