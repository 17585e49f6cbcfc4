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
#include "engine/jit/x86/regs.h"

#define RAM_SIZE (1ULL << 20)
#define DATA     0x80000u
#define PROGRAMS 1500

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
static bool only_floats; /* the program has little else, and little that is no special value */
static unsigned length, handler; /* in instructions */

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

enum {
    OUTER = 8,
    INNER = 9,
    UP = 18,
    DOWN = 19,
    ANYWHERE = 20,
    MASK = 21,
    BASE = 22,
    NEAR = 23,
    NEARER = 24
};

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
    switch (rnd(5)) {
    case 4: put(r_type(0, data_reg(), 0, 0, data_reg(), 0x33)); break; /* mv */
    case 0:
        put(i_type((int)rnd(4096) - 2048, data_reg(), (uint32_t[]){0, 2, 3, 4, 6, 7}[rnd(6)],
                   data_reg(), 0x13));
        break;
    case 1: /* addiw; or sext.w, which is nothing where it is one */
        if (rnd(2)) {
            const unsigned reg = data_reg();
            put(i_type(0, reg, 0, reg, 0x1b));
        } else {
            put(i_type((int)rnd(4096) - 2048, data_reg(), 0, data_reg(), 0x1b));
        }
        break;
    case 2: put(i_type((int)rnd(64), data_reg(), rnd(2) ? 1 : 5, data_reg(), 0x13)); break;
    default: put(r_type(f7, data_reg(), data_reg(), f3, data_reg(), 0x33)); break;
    }
}

/* A register near another: by addi, or mv. */
static unsigned near(void)
{
    static const uint8_t regs[] = {UP, DOWN, ANYWHERE, NEAR, NEARER};
    const unsigned from = regs[rnd(5)], to = rnd(8) == 0 ? regs[rnd(5)] : rnd(2) ? NEAR : NEARER;
    if (rnd(3) == 0)
        put(r_type(0, from, 0, 0, to, 0x33));
    else
        put(i_type((int)rnd(64) - 32, from, 0, to, 0x13));
    return to;
}

static unsigned pointer(void)
{
    if (rnd(4) == 0)
        return rnd(2) ? near() : rnd(2) ? NEAR : NEARER;
    if (rnd(3) == 0) {
        put(r_type(0, MASK, data_reg(), 7, ANYWHERE, 0x33)); /* and */
        put(r_type(0, BASE, ANYWHERE, 0, ANYWHERE, 0x33));   /* add */
        return ANYWHERE;
    }
    return rnd(2) ? UP : DOWN;
}

static void memory(void)
{
    const unsigned one = pointer(), other = rnd(2) ? pointer() : one;
    for (unsigned n = 1 + rnd(4); n > 0; n--) { /* in turn, if they are two */
        const unsigned base = n % 2 == 0 ? one : other;
        const int at = (int)rnd(200) - 100;
        if (rnd(2))
            put(i_type(at, base, rnd(7), data_reg(), 0x03));
        else
            put(s_type(at, data_reg(), base, rnd(4), 0x23));
    }
}

/* Mostly dynamic or to nearest even; at times another static one, or one that is none. */
static uint32_t rounding(void)
{
    return rnd(only_floats ? 100 : 8) ? (rnd(3) ? 7 : 0) : rnd(rnd(8) ? 5 : 8);
}

/* csrrw, csrrs and csrrc of fflags, frm and fcsr, and with a constant; frm is mostly left at 0 */
static void float_csr(void)
{
    const int csr = 1 + (int)rnd(3);
    switch (rnd(6)) {
    case 0: put(i_type(csr, 0, 2, data_reg(), 0x73)); break;
    case 1: put(i_type(1, data_reg(), 1 + rnd(3), data_reg(), 0x73)); break;
    case 2: put(i_type(1, rnd(32), 5 + rnd(3), data_reg(), 0x73)); break;
    case 3:
        put(i_type(csr, rnd(3) ? 0 : data_reg(), 1 + rnd(3), data_reg(), 0x73));
        if (rnd(2))
            put(i_type(2, 0, 1, 0, 0x73));
        break;
    case 4: /* flags, a comparison, and the flags as they were */
        put(i_type(1, 0, 2, 14, 0x73));
        put(r_type(0x50 + rnd(2), rnd(30), rnd(30), rnd(3), 15, 0x53));
        put(i_type(1, 14, 1, 0, 0x73));
        break;
    default: put(i_type(csr, 0, 7, 0, 0x73)); break;
    }
}

/* An operation of singles (format 0) or doubles (1), among registers that are used so; at times one
 * that is used otherwise. */
static void floating(uint32_t format)
{
    const unsigned first = format == 1 || rnd(12) == 0 ? 0 : 16;
    const unsigned many = only_floats ? 5 : 12; /* what is computed is used */
    const unsigned a = first + rnd(many), b = first + rnd(many), d = first + rnd(many);
    const unsigned width = format == 1 ? 8 : 4;
    const int at = ((int)rnd(64) - 32) * (int)width;

    switch (rnd(only_floats ? 20 : 23)) {
    case 0:
    case 1: put(i_type(at, rnd(2) ? UP : DOWN, 2 + format, d, 0x07)); break;
    case 2:
    case 3: put(s_type(at, a, rnd(2) ? UP : DOWN, 2 + format, 0x27)); break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        put(r_type(format + 4 * rnd(4), b, a, rounding(), d, 0x53)); /* fadd fsub fmul fdiv */
        break;
    case 9: put(r_type(0x2c + format, 0, a, rounding(), d, 0x53)); break;       /* fsqrt */
    case 10: put(r_type(0x50 + format, b, a, rnd(3), data_reg(), 0x53)); break; /* fle flt feq */
    case 11: put(r_type(0x10 + format, rnd(2) ? a : b, a, rnd(3), d, 0x53)); break; /* fsgnj */
    case 12: put(r_type(0x14 + format, b, a, rnd(2), d, 0x53)); break;              /* fmin */
    case 13: put(r_type(0x68 + format, rnd(4), data_reg(), rounding(), d, 0x53)); break;
    case 14: put(r_type(0x60 + format, rnd(4), a, rounding(), data_reg(), 0x53)); break;
    case 15: put(r_type(0x70 + format, 0, a, rnd(2), data_reg(), 0x53)); break; /* fmv.x fclass */
    case 16: put(r_type(0x78 + format, 0, data_reg(), 0, d, 0x53)); break;      /* fmv.f */
    case 17: /* fcvt.s.d, fcvt.d.s */
        put(r_type(0x20 + format, 1 - format, format == 1 ? 16 + rnd(many) : rnd(many), rounding(),
                   d, 0x53));
        break;
    case 20:
    case 21:
    case 22: float_csr(); break;
    default: /* fmadd, fmsub, fnmsub, fnmadd */
        put((first + rnd(12)) << 27 | format << 25 | b << 20 | a << 15 | rounding() << 12 | d << 7 |
            0x43 | rnd(4) << 2);
        break;
    }
}

/* Special values are found where they are aligned. */
static int step(void)
{
    return only_floats ? 8 * (1 + (int)rnd(4)) : 1 + (int)rnd(40);
}

static void one(bool fp)
{
    if (only_floats && rnd(8) != 0) {
        floating(rnd(3) == 0 ? 0 : 1);
        return;
    }
    switch (rnd(fp ? 10 : 6)) {
    case 0:
    case 1:
    case 2: rnd(5) == 0 ? (void)near() : alu(); break;
    case 3: memory(); break;
    case 4: put(i_type(step(), UP, 0, UP, 0x13)); break;
    case 5:
        if (rnd(2)) { /* or UP by what is in a register: 0 to 127, at times below 0 */
            const unsigned stride = data_reg();
            if (rnd(4))
                put(i_type(127, stride, 7, NEARER, 0x13));
            else
                put(i_type(-(int)rnd(64), 0, 0, NEARER, 0x13));
            put(r_type(0, NEARER, UP, 0, UP, 0x33));
            put(i_type(0, BASE, 0, NEARER, 0x13));
            break;
        }
        put(i_type(-step(), DOWN, 0, DOWN, 0x13));
        break;
    case 6:
    case 7: floating(0); break;
    default: floating(1); break;
    }
}

static void body(unsigned count, bool fp)
{
    for (unsigned i = 0; i < count; i++) {
        if (rnd(only_floats ? 16 : 4) == 0) { /* a branch over one to three others */
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

/* What is illegal (a rounding mode that is none) is skipped: csrr t6, sepc; addi t6, t6, 4; csrw
 * sepc, t6; sret. */
static void put_handler(void)
{
    handler = length;
    put(i_type(0x141, 0, 2, 31, 0x73));
    put(i_type(4, 31, 0, 31, 0x13));
    put(i_type(0x141, 31, 1, 0, 0x73));
    put(0x10200073);
}

static void generate(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    length = 0;
    only_floats = rnd(3) == 0;
    const bool fp = only_floats || rnd(2);
    body(rnd(4), fp);
    const unsigned outer = length;
    put(i_type(1 + (int)rnd(30), 0, 0, INNER, 0x13));
    if (rnd(2))
        put(i_type(0, BASE, 0, UP, 0x13));
    body(rnd(6), fp);
    const unsigned inner = length;
    body(1 + rnd(only_floats ? 60 : 14), fp);
    put(i_type(-1, INNER, 0, INNER, 0x13));
    put(branch(((int)inner - (int)length) * 4, 0, INNER, 1));
    body(rnd(8), fp);
    put(i_type(-1, OUTER, 0, OUTER, 0x13));
    put(branch(((int)outer - (int)length) * 4, 0, OUTER, 1));
    put(0x00000073);
    put_handler();
}

/* ---- execution ---- */

/* What is rare by chance: zeros, infinities, NaNs of both kinds with payloads, subnormals, the
 * limits of integers, and, of 32 bits, the upper half of a boxed single. */
static uint64_t special(void)
{
    static const uint64_t values[] = {
        0,
        1ULL << 63,
        0x7ff0000000000000,
        0xfff0000000000000,
        0x7ff8000000000000,
        0xfff8000012345678,
        0x7ff0000000000001,
        0xfff4000000000000,
        1,
        0x800fffffffffffff,
        0x0010000000000000,
        0x7fefffffffffffff,
        0x3ff0000000000000,
        0xbfe0000000000000,
        0x4004000000000000,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0xc1e0000000200000,
        0x41efffffffe00000,
        0x43e0000000000000,
        0xc3e0000000000000,
        0x43f0000000000000,
        0x47efffffe0000000,
        0x36a0000000000000,
        0xffffffff00000000,
        0xffffffff80000000,
        0xffffffff7f800000,
        0xffffffffff800000,
        0xffffffff7fc00000,
        0xffffffffffc00001,
        0xffffffff7f800001,
        0xffffffff00000001,
        0xffffffff807fffff,
        0xffffffff3f800000,
        0xffffffffbf000000,
        0xffffffff40200000,
        0xffffffff4f000000,
        0xffffffffcf000000,
        0xffffffff4f7fffff,
        0xffffffff5f000000,
        0xffffffff7f7fffff,
        0xfffffffe3f800000,
    };
    return values[rnd(sizeof values / sizeof values[0])];
}

struct outcome {
    uint64_t x[32], f[32], instret, pc;
    uint32_t fflags, frm;
    uint8_t *ram;
};

static uint64_t regions;
static bool special_data;
static bool poor; /* the host has nothing that x86_init looks for */

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
    /* Most numbers among the data are such as are added and multiplied without overflow. */
    for (unsigned i = DATA - 0x4000; i < DATA + 0x18000; i += 8) {
        const uint32_t of = rnd(8);
        if (of == 0 || (special_data && of < 6)) {
            const uint64_t value = special();
            memcpy(ram + i, &value, 8);
        } else if (of < 4) {
            const double value = (double)(int32_t)rnd(UINT32_MAX) / (of == 1 ? 1 : 100000);
            memcpy(ram + i, &value, 8);
        } else if (of < 6) {
            const float value = (float)(int32_t)rnd(UINT32_MAX) / 100000;
            memcpy(ram + i, &value, 4);
            memcpy(ram + i + 4, &value, 4);
        }
    }
    memcpy(ram, program, length * 4);
    vm.engine = harts[0].vcpu.engine = engine;
    assert_int_equal(engine->vm_init(&vm), 0);
    assert_int_equal(engine->vcpu_init(&harts[0].vcpu), 0);
    if (poor)
        x86_features = (struct x86_features){0};
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
    harts[0].mstatus |= 3u << 13; /* FS: Dirty */
    for (unsigned i = 1; i < 32; i++) {
        harts[0].x[i] = (uint64_t)rnd(UINT32_MAX) << (rnd(2) ? 32 : 0);
        const double value = (double)(int32_t)rnd(UINT32_MAX) / 1000;
        const float as_single = (float)value;
        memcpy(&harts[0].f[i], &value, 8);
        if (i >= 16) {
            memcpy(&harts[0].f[i], &as_single, 4);
            harts[0].f[i] |= 0xffffffff00000000;
        }
        if (rnd(6) == 0)
            harts[0].f[i] = special();
    }
    harts[0].stvec = BOARD_RAM + handler * 4;
    harts[0].x[OUTER] = 1 + rnd(12);
    harts[0].x[MASK] = 0xfff8 | rnd(8);
    harts[0].x[NEAR] = harts[0].x[NEARER] = harts[0].x[ANYWHERE] = BOARD_RAM + DATA;
    harts[0].x[BASE] = harts[0].x[UP] = harts[0].x[DOWN] =
        BOARD_RAM + DATA + (special_data ? 8 * rnd(512) : rnd(4096));
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
    out->frm = harts[0].frm;
    memcpy(out->ram, ram, RAM_SIZE);
    if (engine->figures != NULL)
        engine->figures(&vm, take, NULL);
    engine->vcpu_destroy(&harts[0].vcpu);
    engine->vm_destroy(&vm);
    board_test_fini();
}

static void compare(uint64_t seed, struct outcome *want, struct outcome *got)
{
    execute(&interp_engine, seed, want);
    execute(&jit_engine, seed, got);
    for (unsigned i = 0; i < 32; i++) {
        if (want->x[i] != got->x[i] || want->f[i] != got->f[i])
            fail_msg("seed %llu: register %u: x %#llx, wanted %#llx; f %#llx, wanted %#llx",
                     (unsigned long long)seed, i, (unsigned long long)got->x[i],
                     (unsigned long long)want->x[i], (unsigned long long)got->f[i],
                     (unsigned long long)want->f[i]);
    }
    if (want->instret != got->instret || want->pc != got->pc || want->fflags != got->fflags ||
        want->frm != got->frm)
        fail_msg("seed %llu: %llu instructions, wanted %llu; flags %u, wanted %u; frm %u, "
                 "wanted %u",
                 (unsigned long long)seed, (unsigned long long)got->instret,
                 (unsigned long long)want->instret, got->fflags, want->fflags, got->frm, want->frm);
    if (memcmp(want->ram, got->ram, RAM_SIZE) != 0)
        fail_msg("seed %llu: memory differs", (unsigned long long)seed);
}

static struct outcome want, got;

static int make_outcomes(void **state)
{
    (void)state;
    want.ram = malloc(RAM_SIZE);
    got.ram = malloc(RAM_SIZE);
    return want.ram != NULL && got.ram != NULL ? 0 : -1;
}

static int free_outcomes(void **state)
{
    (void)state;
    free(want.ram);
    free(got.ram);
    return 0;
}

static void random_loops_do_what_the_interpreter_does(void **state)
{
    (void)state;
    const char *only = getenv("SEED"); /* to look at one that failed */
    for (uint64_t seed = only ? strtoull(only, NULL, 0) : 1; seed <= PROGRAMS || only != NULL;
         seed++) {
        generate(seed);
        poor = seed % 4 == 0;
        special_data = only_floats;
        compare(seed, &want, &got);
        if (only != NULL)
            break;
    }
    poor = false;
    assert_true(regions > 0);
}

/* A loop that adds with each rounding mode and flag written in it, and with what it began with. */
static void rounding_and_flags_change_within_a_loop(void **state)
{
    static const uint16_t writes[] = {0x002, 0x003, 0x001};
    (void)state;
    for (unsigned n = 0; n < 3 * 8; n++) {
        regions = 0;
        length = 0;
        put(i_type(20, 0, 0, OUTER, 0x13));
        put(r_type(0x01, 2, 1, 7, 1, 0x53));         /* fadd.d f1, f1, f2 */
        put(i_type(n / 3 % 8, OUTER, 7, 10, 0x13));  /* andi a0, s0, n / 3 */
        put(i_type(writes[n % 3], 10, 1, 11, 0x73)); /* csrrw a1, frm, a0; fcsr; fflags */
        put(r_type(0x0d, 2, 1, 7, 3, 0x53));         /* fdiv.d f3, f1, f2 */
        put(i_type(writes[n % 3], 0, 1, 12, 0x73));  /* csrrw a2, frm, zero */
        put(i_type(3, n / 3, 6, 13, 0x73));          /* csrrsi a3, fcsr, n / 3 */
        put(i_type(1, 11, 3, 14, 0x73));             /* csrrc a4, fflags, a1 */
        put(r_type(0x00, 0, 14, 0, 15, 0x33));       /* add a5, a4, zero */
        put(i_type(-1, OUTER, 0, OUTER, 0x13));
        put(branch(-9 * 4, 0, OUTER, 1));
        put(0x00000073);
        put_handler();
        compare(n, &want, &got);
        assert_true(regions > 0);
    }
}

/* A pointer that goes below 0 while nobody looks is not in the page that its window showed. */
static void a_pointer_that_wraps_around_leaves_its_window(void **state)
{
    (void)state;
    regions = 0;
    length = 0;
    put(i_type(20, 0, 0, OUTER, 0x13));
    put(i_type(0, DOWN, 3, 10, 0x03));  /* ld a0, 0(DOWN): a fault, at last */
    put(i_type(3, OUTER, 3, 11, 0x13)); /* sltiu a1, OUTER, 3 */
    put(i_type(21, 11, 1, 11, 0x13));   /* slli a1, a1, 21 */
    put(i_type(1, 11, 0, INNER, 0x13)); /* 1 turn of 2,048 bytes, or 2^21 + 1 */
    put(i_type(-2048, DOWN, 0, DOWN, 0x13));
    put(i_type(-1, INNER, 0, INNER, 0x13));
    put(branch(-2 * 4, 0, INNER, 1));
    put(i_type(-1, OUTER, 0, OUTER, 0x13));
    put(branch(-8 * 4, 0, OUTER, 1));
    put(0x00000073);
    put_handler();
    compare(1, &want, &got);
    assert_true(regions > 0);
}

/* What is computed of special values, and the next operation on it; `consumer` gives f4 or a0. */
static void put_consumer(uint32_t format, unsigned consumer)
{
    const uint32_t other = 1 - format;
    switch (consumer) {
    case 0: put(r_type(0x10 + format, 1, 3, 0, 4, 0x53)); break; /* fsgnj of f3, f1 */
    case 1: put(r_type(0x10 + format, 3, 1, 1, 4, 0x53)); break; /* fsgnjn of f1, f3 */
    case 2: put(r_type(0x10 + format, 3, 3, 1, 4, 0x53)); break; /* fneg */
    case 3: put(r_type(0x10 + format, 3, 3, 2, 4, 0x53)); break; /* fabs */
    case 4: put(r_type(0x10 + format, 1, 3, 2, 4, 0x53)); break; /* fsgnjx */
    case 5: put(r_type(0x10 + format, 3, 3, 0, 4, 0x53)); break; /* fmv */
    case 6: put(r_type(0x10 + other, 3, 3, 0, 4, 0x53)); break;  /* fmv of the other format */
    case 7: put(r_type(0x70 + format, 0, 3, 0, 10, 0x53)); break;
    case 8: put(r_type(0x70 + format, 0, 3, 1, 10, 0x53)); break; /* fclass */
    case 9: put(r_type(0x70 + other, 0, 3, 0, 10, 0x53)); break;
    case 10: put(r_type(0x14 + format, 2, 3, 0, 4, 0x53)); break; /* fmin */
    case 11: put(r_type(0x14 + format, 3, 2, 1, 4, 0x53)); break; /* fmax */
    case 12: put(r_type(0x50 + format, 3, 2, 1, 10, 0x53)); break;
    case 13: put(r_type(0x50 + format, 3, 3, 2, 10, 0x53)); break;
    case 14: put(r_type(0x20 + other, format, 3, 0, 4, 0x53)); break; /* to the other format */
    case 15: put(r_type(other, 3, 3, 0, 4, 0x53)); break;             /* added in it */
    case 16: put(r_type(0x2c + format, 0, 3, 0, 4, 0x53)); break;
    case 17: put(2u << 27 | format << 25 | 1 << 20 | 3 << 15 | 4 << 7 | 0x43); break;
    case 18: put(3u << 27 | format << 25 | 1 << 20 | 2 << 15 | 4 << 7 | 0x43); break;
    case 19: put(r_type(0x00 + format, 3, 1, 0, 4, 0x53)); break;
    default: /* fcvt.w, wu, l, lu; all rounding modes */
        put(r_type(0x60 + format, consumer % 4, 3, (consumer - 20) / 4, 10, 0x53));
        break;
    }
}

static void results_are_canonical_for_whatever_comes_next(void **state)
{
    (void)state;
    only_floats = special_data = true;
    for (unsigned n = 0; n < 2 * 6 * 40; n++) {
        const uint32_t format = n & 1, op = n / 2 % 6;
        regions = 0;
        length = 0;
        poor = n % 7 == 0;
        put(i_type(200, 0, 0, OUTER, 0x13));
        put(i_type(0, 0, 0, ANYWHERE, 0x13));
        const unsigned loop = length;
        put(s_type(0, 10, DOWN, 3, 0x27)); /* fsd f10: the window is there for those below */
        put(i_type(0, UP, 2 + format, 1, 0x07));
        put(i_type(8, UP, 2 + format, 2, 0x07));
        if (n % 5 == 1) { /* every other turn what was loaded, as it is */
            put(i_type(16, UP, 2 + format, 3, 0x07));
            put(i_type(1, OUTER, 7, 13, 0x13));
            put(branch(8, 0, 13, 0));
        }
        if (op < 4)
            put(r_type(format + 4 * op, 2, 1, 0, 3, 0x53)); /* fadd fsub fmul fdiv */
        else if (op == 4)
            put(r_type(0x2c + format, 0, 1, 7, 3, 0x53));
        else
            put(r_type(0x10 + format, 1, 1, 0, 3, 0x53));
        if (n % 5 == 2) /* a trap: nothing is at 0 */
            put(i_type(0, ANYWHERE, 3, 10, 0x07));
        put_consumer(format, n / 12);
        put(s_type(0, 4, DOWN, 3, 0x27));
        put(s_type(8, 3, DOWN, 3, 0x27));
        put(s_type(16, 10, DOWN, 3, 0x23));
        put(i_type(1, 0, 7, 11, 0x73)); /* csrrci a1, fflags, 0 */
        put(i_type(1, 0, 5, 0, 0x73));  /* csrrwi zero, fflags, 0 */
        put(r_type(0, 11, 12, 0, 12, 0x33));
        put(i_type(3, 12, 1, 12, 0x13));
        put(i_type(8, UP, 0, UP, 0x13));
        put(i_type(-24, DOWN, 0, DOWN, 0x13));
        put(i_type(-1, OUTER, 0, OUTER, 0x13));
        put(branch(((int)loop - (int)length) * 4, 0, OUTER, 1));
        put(0x00000073);
        put_handler();
        compare(n, &want, &got);
        assert_true(regions > 0);
    }
    poor = only_floats = special_data = false;
}

/* Nor is one that something below 0 is added to. */
static void a_stride_that_turns_back_leaves_its_window(void **state)
{
    (void)state;
    regions = 0;
    length = 0;
    put(i_type(20, 0, 0, OUTER, 0x13));
    put(i_type(0, UP, 3, 10, 0x03));       /* ld a0, 0(UP): a fault, at last */
    put(i_type(3, OUTER, 3, 11, 0x13));    /* sltiu a1, OUTER, 3 */
    put(i_type(31, 11, 1, 11, 0x13));      /* slli a1, a1, 31 */
    put(r_type(0x20, 11, 0, 0, 11, 0x33)); /* neg a1, a1 */
    put(i_type(64, 11, 0, 11, 0x13));
    put(r_type(0, 11, UP, 0, UP, 0x33)); /* add UP, UP, a1 */
    put(i_type(-1, OUTER, 0, OUTER, 0x13));
    put(branch(-7 * 4, 0, OUTER, 1));
    put(0x00000073);
    put_handler();
    compare(1, &want, &got);
    assert_true(regions > 0);
}

/* Between two accesses that share a window is one by another, which is slow where two pages meet.
 */
static void a_window_is_known_behind_a_slow_access(void **state)
{
    (void)state;
    regions = 0;
    length = 0;
    put(i_type(60, 0, 0, OUTER, 0x13));
    put(i_type(12, UP, 5, UP, 0x13)); /* srli; slli; addi: 4 bytes before a page's begin */
    put(i_type(12, UP, 1, UP, 0x13));
    put(i_type(-4, UP, 0, UP, 0x13));
    put(i_type(0, ANYWHERE, 3, 11,
               0x03)); /* ld a1, 0(ANYWHERE); ld a2, 0(UP); ld a3, 8(ANYWHERE) */
    put(i_type(0, UP, 3, 12, 0x03));
    put(i_type(8, ANYWHERE, 3, 13, 0x03));
    put(r_type(0, 13, 14, 0, 14, 0x33)); /* add a4, a4, a3 */
    put(i_type(16, ANYWHERE, 0, ANYWHERE, 0x13));
    put(i_type(-8, ANYWHERE, 0, ANYWHERE, 0x13));
    put(i_type(1024, UP, 0, UP, 0x13));
    put(i_type(-1, OUTER, 0, OUTER, 0x13));
    put(branch(-8 * 4, 0, OUTER, 1));
    put(0x00000073);
    put_handler();
    compare(1, &want, &got);
    assert_true(regions > 0);
}

/* fcvt.[sd].[w|wu|l|lu] in all rounding modes, of integers about where they stop to be exact. */
static void integers_are_rounded_as_told(void **state)
{
    (void)state;
    only_floats = special_data = true;
    for (unsigned n = 0; n < 2 * 4 * 5 * 6; n++) {
        const uint32_t format = n & 1, to = n / 2 % 4, rm = n / 8 % 5;
        static const uint8_t bits[] = {23, 24, 52, 53, 62, 63};
        regions = 0;
        length = 0;
        put(i_type(40, 0, 0, OUTER, 0x13));
        put(i_type(1, 0, 0, 14, 0x13));
        put(i_type(bits[n / 40], 14, 1, 14, 0x13)); /* slli a4 */
        put(i_type(-20, 14, 0, 10, 0x13));          /* a0: from 20 below it on */
        const unsigned loop = length;
        put(r_type(0x68 + format, to, 10, rm, 4, 0x53));
        put(r_type(0x20, 0, 10, 0, 11, 0x33)); /* neg a1, a0 */
        put(r_type(0x68 + format, to, 11, rm, 5, 0x53));
        put(s_type(0, 4, UP, 3, 0x27));
        put(s_type(8, 5, UP, 3, 0x27));
        put(i_type(1, 0, 7, 12, 0x73)); /* csrrci a2, fflags, 0 */
        put(i_type(1, 0, 5, 0, 0x73));
        put(s_type(16, 12, UP, 3, 0x23));
        put(i_type(1, 10, 0, 10, 0x13));
        put(i_type(24, UP, 0, UP, 0x13));
        put(i_type(-1, OUTER, 0, OUTER, 0x13));
        put(branch(((int)loop - (int)length) * 4, 0, OUTER, 1));
        put(0x00000073);
        put_handler();
        compare(n, &want, &got);
        assert_true(regions > 0);
    }
    only_floats = special_data = false;
}

/* Blocks whose floating-point registers are in XMM registers, and that look at a page of the stack
 * for the first time in their middle. */
static void blocks_with_floats_meet_new_pages_of_the_stack(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 8; n++) {
        length = 0;
        put(i_type(0, DOWN, 0, 2, 0x13));
        for (unsigned page = 0; page < 12; page++) {
            const int at = 8 * (int)rnd(20);
            put(r_type(0x01, 5, 4, 0, 9, 0x53)); /* f9 is there before */
            if (n & 1)
                put(s_type(at + 8, 9, 2, 3, 0x27));
            put(i_type(at, 2, 3, 4, 0x07));
            put(i_type(at + 8, 2, n & 2 ? 3 : 2, 6, 0x07));
            for (unsigned i = 0; i < 4; i++) {
                put(r_type(n & 4 ? 0x00 : 0x01, 4, 6, 7, 5, 0x53)); /* of what is no single, too */
                put(r_type(0x09, 5, 4, 0, 6, 0x53));
                put(r_type(0x05, 9, 6, 0, 4, 0x53));
            }
            put(s_type(8 * (int)page, 4, UP, 3, 0x27));
            put(1u << 12 | 28 << 7 | 0x37);    /* lui t3, 1 */
            put(r_type(0, 28, 2, 0, 2, 0x33)); /* add sp, sp, t3 */
            put(4u << 20 | 0x6f);              /* j + 4 */
        }
        put(0x00000073);
        put_handler();
        compare(n, &want, &got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_is_known_behind_a_slow_access),
        cmocka_unit_test(a_stride_that_turns_back_leaves_its_window),
        cmocka_unit_test(a_pointer_that_wraps_around_leaves_its_window),
        cmocka_unit_test(random_loops_do_what_the_interpreter_does),
        cmocka_unit_test(rounding_and_flags_change_within_a_loop),
        cmocka_unit_test(results_are_canonical_for_whatever_comes_next),
        cmocka_unit_test(integers_are_rounded_as_told),
        cmocka_unit_test(blocks_with_floats_meet_new_pages_of_the_stack),
    };
    return cmocka_run_group_tests(tests, make_outcomes, free_outcomes);
}
