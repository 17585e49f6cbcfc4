/*
 * Loops that are translated as a whole: random nested loops, with branches over instructions,
 * pointers that walk up and down and jump about, across pages, integers and floating point,
 * executed by the interpreter and by translated code that makes regions at once. Registers, flags,
 * counts and memory must agree.
 */
#include "tests/unit/board_test.h"

#include "engine/interp/interp.h"
#include "engine/jit/internal.h"
#include "engine/jit/jit.h"

#define RAM_SIZE (1ULL << 20)
#define DATA     0x80000u
#define PROGRAMS 400

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

/* ---- instructions (Unprivileged ISA, 2.2, and the tables of chapter 34) ---- */

static uint32_t program[512];
static unsigned length;

static void put(uint32_t insn)
{
    assert_true(length < 512);
    program[length++] = insn;
}

static uint32_t r_type(uint32_t f7, unsigned rs2, unsigned rs1, uint32_t f3, unsigned rd,
                       uint32_t op)
{
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}

static uint32_t i_type(int imm, unsigned rs1, uint32_t f3, unsigned rd, uint32_t op)
{
    return (uint32_t)imm << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}

static uint32_t s_type(int imm, unsigned rs2, unsigned rs1, uint32_t f3, uint32_t op)
{
    const uint32_t u = (uint32_t)imm;
    return (u >> 5 & 127) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (u & 31) << 7 | op;
}

static uint32_t branch(int distance, unsigned rs2, unsigned rs1, uint32_t f3)
{
    const uint32_t u = (uint32_t)distance;
    return (u >> 12 & 1) << 31 | (u >> 5 & 63) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 |
           (u >> 1 & 15) << 8 | (u >> 11 & 1) << 7 | 0x63;
}

enum { OUTER = 8, INNER = 9, UP = 18, DOWN = 19, ANYWHERE = 20, MASK = 21, BASE = 22 };

static unsigned data_reg(void)
{
    static const uint8_t regs[] = {1, 2, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 0};
    return regs[rnd(sizeof regs)];
}

static void alu(void)
{
    static const uint16_t ops[] = {0x000, 0x200, 0x001, 0x002, 0x003, 0x004, 0x005,
                                   0x205, 0x006, 0x007, 0x010, 0x011, 0x014, 0x015,
                                   0x016, 0x017, 0x051, 0x052, 0x053}; /* funct7 and funct3 */
    const uint32_t op = ops[rnd(sizeof ops / sizeof ops[0])];
    const uint32_t f3 = op & 7, f7 = op >> 4;
    switch (rnd(4)) {
    case 0:
        put(i_type((int)rnd(4096) - 2048, data_reg(), (uint32_t[]){0, 2, 3, 4, 6, 7}[rnd(6)],
                   data_reg(), 0x13));
        break;
    case 1: put(i_type((int)rnd(4096) - 2048, data_reg(), 0, data_reg(), 0x1b)); break; /* addiw */
    case 2: put(i_type((int)rnd(64), data_reg(), rnd(2) ? 1 : 5, data_reg(), 0x13)); break;
    default: put(r_type(f7, data_reg(), data_reg(), f3, data_reg(), 0x33)); break;
    }
}

static unsigned pointer(void)
{
    if (rnd(3) == 0) {
        put(r_type(0, MASK, data_reg(), 7, ANYWHERE, 0x33)); /* and */
        put(r_type(0, BASE, ANYWHERE, 0, ANYWHERE, 0x33));   /* add */
        return ANYWHERE;
    }
    return rnd(2) ? UP : DOWN;
}

static void memory(void)
{
    const unsigned base = pointer();
    for (unsigned n = 1 + rnd(3); n > 0; n--) {
        const int at = (int)rnd(200) - 100;
        if (rnd(2))
            put(i_type(at, base, rnd(7), data_reg(), 0x03));
        else
            put(s_type(at, data_reg(), base, rnd(4), 0x23));
    }
}

static void floating(void)
{
    const unsigned a = rnd(20), b = rnd(20), d = rnd(20);
    switch (rnd(10)) {
    case 0: put(i_type((int)rnd(64) * 8 - 256, rnd(2) ? UP : DOWN, 3, d, 0x07)); break;
    case 1: put(s_type((int)rnd(64) * 8 - 256, a, rnd(2) ? UP : DOWN, 3, 0x27)); break;
    case 2: put(r_type(0x09, b, a, 7, d, 0x53)); break; /* fmul.d */
    case 3: put(r_type(0x01, b, a, 7, d, 0x53)); break;
    case 4: put(r_type(0x05, b, a, 0, d, 0x53)); break;
    case 5: put(r_type(0x0d, b, a, 7, d, 0x53)); break;
    case 6: put(r_type(0x51, b, a, rnd(3), data_reg(), 0x53)); break; /* fle flt feq */
    case 7: put(r_type(0x69, rnd(4), data_reg(), 7, d, 0x53)); break; /* fcvt.d.[wl] */
    case 8: put(r_type(0x11, b, a, rnd(3), d, 0x53)); break;          /* fsgnj */
    default: put(rnd(30) << 27 | 1 << 25 | b << 20 | a << 15 | 7 << 12 | d << 7 | 0x43); break;
    }
}

static void single(void)
{
    const unsigned a = 20 + rnd(10), b = 20 + rnd(10), d = 20 + rnd(10);
    switch (rnd(5)) {
    case 0: put(i_type((int)rnd(64) * 4, UP, 2, d, 0x07)); break;
    case 1: put(r_type(0x08, b, a, 7, d, 0x53)); break;
    case 2: put(r_type(0x20, 1, rnd(20), 7, d, 0x53)); break; /* fcvt.s.d */
    case 3: put(r_type(0x21, 0, a, 7, rnd(20), 0x53)); break; /* fcvt.d.s */
    default: put(r_type(0x00, b, a, 7, d, 0x53)); break;
    }
}

static void one(bool fp)
{
    switch (rnd(fp ? 10 : 6)) {
    case 0:
    case 1:
    case 2: alu(); break;
    case 3: memory(); break;
    case 4: put(i_type(1 + (int)rnd(40), UP, 0, UP, 0x13)); break;
    case 5: put(i_type(-1 - (int)rnd(40), DOWN, 0, DOWN, 0x13)); break;
    case 6: single(); break;
    default: floating(); break;
    }
}

static void body(unsigned count, bool fp)
{
    for (unsigned i = 0; i < count; i++) {
        if (rnd(4) == 0) { /* a branch over one to three others */
            const unsigned at = length;
            put(0);
            for (unsigned n = 1 + rnd(3); n > 0; n--)
                rnd(3) == 0 ? one(fp) : alu();
            program[at] = branch((int)(length - at) * 4, rnd(2) ? 0 : data_reg(), data_reg(),
                                 (uint32_t[]){0, 1, 4, 5, 6, 7}[rnd(6)]);
        } else {
            one(fp);
        }
    }
}

static void generate(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    length = 0;
    const bool fp = rnd(2);
    body(rnd(4), fp);
    const unsigned outer = length;
    put(i_type(1 + (int)rnd(30), 0, 0, INNER, 0x13));
    if (rnd(2))
        put(i_type(0, BASE, 0, UP, 0x13));
    body(rnd(6), fp);
    const unsigned inner = length;
    body(1 + rnd(14), fp);
    put(i_type(-1, INNER, 0, INNER, 0x13));
    put(branch(((int)inner - (int)length) * 4, 0, INNER, 1));
    body(rnd(8), fp);
    put(i_type(-1, OUTER, 0, OUTER, 0x13));
    put(branch(((int)outer - (int)length) * 4, 0, OUTER, 1));
    put(0x00000073);
}

/* ---- execution ---- */

struct outcome {
    uint64_t x[32], f[32], instret, pc;
    uint32_t fflags;
    uint8_t *ram;
};

static uint64_t regions;

static void take(void *arg, const char *name, uint64_t value)
{
    (void)arg;
    if (strcmp(name, "regions_translated") == 0)
        regions += value;
}

static void execute(const struct engine_ops *engine, uint64_t seed, struct outcome *out)
{
    struct exit exit = {0};
    enum exit_reason reason;
    jit_set_options(&(struct jit_options){.hot = 1});
    jit_set_reference(&interp_engine);
    assert_int_equal(board_test_init(1, RAM_SIZE, NULL), 0);
    random_state = seed + 77;
    for (unsigned i = 0; i < RAM_SIZE; i += 4) {
        const uint32_t word = rnd(UINT32_MAX);
        memcpy(ram + i, &word, 4);
    }
    memcpy(ram, program, length * 4);
    vm.engine = harts[0].vcpu.engine = engine;
    assert_int_equal(engine->vm_init(&vm), 0);
    assert_int_equal(engine->vcpu_init(&harts[0].vcpu), 0);
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
    harts[0].mstatus |= 3u << 13; /* FS: Dirty */
    for (unsigned i = 1; i < 32; i++) {
        harts[0].x[i] = (uint64_t)rnd(UINT32_MAX) << (rnd(2) ? 32 : 0);
        const double value = (double)(int32_t)rnd(UINT32_MAX) / 1000;
        memcpy(&harts[0].f[i], &value, 8);
    }
    harts[0].x[OUTER] = 1 + rnd(12);
    harts[0].x[MASK] = 0xfff8 | rnd(8);
    harts[0].x[BASE] = harts[0].x[UP] = harts[0].x[DOWN] = BOARD_RAM + DATA + rnd(4096);
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    do
        reason = engine->run(&harts[0].vcpu, &exit);
    while (reason == EXIT_KICKED);
    assert_int_equal(reason, EXIT_SBI);
    memcpy(out->x, harts[0].x, sizeof out->x);
    memcpy(out->f, harts[0].f, sizeof out->f);
    out->instret = harts[0].instret;
    out->pc = harts[0].pc;
    out->fflags = harts[0].fflags;
    memcpy(out->ram, ram, RAM_SIZE);
    if (engine->figures != NULL)
        engine->figures(&vm, take, NULL);
    engine->vcpu_destroy(&harts[0].vcpu);
    engine->vm_destroy(&vm);
    board_test_fini();
}

static void random_loops_do_what_the_interpreter_does(void **state)
{
    struct outcome want, got;
    (void)state;
    want.ram = malloc(RAM_SIZE);
    got.ram = malloc(RAM_SIZE);
    assert_true(want.ram != NULL && got.ram != NULL);
    const char *only = getenv("SEED"); /* to look at one that failed */
    for (uint64_t seed = only ? strtoull(only, NULL, 0) : 1; seed <= PROGRAMS || only != NULL;
         seed++) {
        generate(seed);
        execute(&interp_engine, seed, &want);
        execute(&jit_engine, seed, &got);
        for (unsigned i = 0; i < 32; i++) {
            if (want.x[i] != got.x[i] || want.f[i] != got.f[i])
                fail_msg("seed %llu: register %u: x %#llx, wanted %#llx; f %#llx, wanted %#llx",
                         (unsigned long long)seed, i, (unsigned long long)got.x[i],
                         (unsigned long long)want.x[i], (unsigned long long)got.f[i],
                         (unsigned long long)want.f[i]);
        }
        if (want.instret != got.instret || want.pc != got.pc || want.fflags != got.fflags)
            fail_msg("seed %llu: %llu instructions, wanted %llu; flags %u, wanted %u",
                     (unsigned long long)seed, (unsigned long long)got.instret,
                     (unsigned long long)want.instret, got.fflags, want.fflags);
        if (memcmp(want.ram, got.ram, RAM_SIZE) != 0)
            fail_msg("seed %llu: memory differs", (unsigned long long)seed);
        if (only != NULL)
            break;
    }
    assert_true(regions > 0);
    free(want.ram);
    free(got.ram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_loops_do_what_the_interpreter_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
