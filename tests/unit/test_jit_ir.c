/* The front end: what guest instructions become; and that another back end can execute it. */
#include "tests/unit/board_test.h"
#include "tests/unit/jit_portable.h"

#include "engine/interp/interp.h"
#include "engine/jit/jit.h"

#define PC       0x80000ff0ULL
#define RAM_SIZE (1ULL << 20)

static struct ir_block block;
static char text[4096];

/* The block, one operation a line. */
static const char *described(void)
{
    text[0] = 0;
    for (unsigned i = 0; i < block.count; i++) {
        char line[128];
        ir_describe(&block.code[i], line, sizeof line);
        strcat(strcat(text, line), "\n");
    }
    return text;
}

static const char *translated(const uint32_t *code, size_t size)
{
    assert_true(ir_translate(&block, PC, (const uint8_t *)code, (unsigned)size));
    return described();
}

#define TRANSLATED(...)                                                                            \
    translated((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}))

static void addresses_made_of_two_instructions_become_constants(void **state)
{
    (void)state;
    /* lui a0, 0x12345; addi a0, a0, 0x678; ecall */
    const char *t = TRANSLATED(0x12345537, 0x67850513, 0x00000073);
    assert_non_null(strstr(t, "a0 = 0x12345678\n"));
    assert_null(strstr(t, "add"));
}

static void jumps_to_a_known_register_are_direct(void **state)
{
    (void)state;
    /* auipc ra, 0x1; jalr ra, -16(ra): 0x80000ff0 + 0x1000 - 16 */
    const char *t = TRANSLATED(0x00001097, 0xff0080e7);
    assert_non_null(strstr(t, "ra = address 80000ff8\njump 0x80001fe0\n"));
}

static void words_are_extended_once(void **state)
{
    (void)state;
    /* slli a0, a1, 32; srli a0, a0, 32: of a1; and then scaled: slli a2, a1, 32; srli a2, a2, 29 */
    const char *t = TRANSLATED(0x02059513, 0x02055513, 0x02059613, 0x01d65613);
    assert_non_null(strstr(t, "a0 = zext.w a1\na2 = zext.w a1\na2 = sll a2, 3\n"));
    /* slli a0, a1, 48; srai a0, a0, 48; slli a0, a0, 56; srli a0, a0, 56 */
    t = TRANSLATED(0x03059513, 0x43055513, 0x03851513, 0x03855513);
    assert_non_null(strstr(t, "a0 = sext.h a1\na0 = zext.b a0\n"));
    /* lw a0, 0(a2); lw a1, 4(a2); xor a0, a0, a1; sext.w a0, a0; sext.w a3, a0; ld a1, 0(a2);
     * or a0, a0, a1; sext.w a0, a0 */
    t = TRANSLATED(0x00062503, 0x00462583, 0x00b54533, 0x0005051b, 0x0005069b, 0x00063583,
                   0x00b56533, 0x0005051b);
    assert_non_null(strstr(t, "a0 = xor a0, a1\na3 = mov a0\n"));
    assert_non_null(strstr(t, "a0 = or a0, a1\na0 = sext.w a0\n"));
    /* andi a0, a1, -1; sext.w a0, a0: not a word */
    t = TRANSLATED(0xfff5f513, 0x0005051b);
    assert_non_null(strstr(t, "a0 = sext.w a0\n"));
}

static void what_is_overwritten_at_once_is_no_more_than_needed(void **state)
{
    (void)state;
    /* addw a0, a0, a1; addw a0, a2, a0; andi a0, a0, 15; addw a0, a0, a1; add a0, a0, a2 */
    const char *t = TRANSLATED(0x00b5053b, 0x00a6053b, 0x00f57513, 0x00b5053b, 0x00c50533);
    assert_non_null(strstr(t, "a0 = add a0, a1\na0 = add a2, a0\na0 = and a0, 15\n"
                              "a0 = addw a0, a1\na0 = add a0, a2\n"));
    /* slli a0, a1, 2; add a0, a2, a0; slli a0, a1, 2; add a0, a0, a0 */
    t = TRANSLATED(0x00259513, 0x00a60533, 0x00259513, 0x00a50533);
    assert_non_null(strstr(t, "a0 = shadd a1 << 2, a2\na0 = sll a1, 2\na0 = add a0, a0\n"));
}

static void registers_that_change_are_no_constants_any_more(void **state)
{
    (void)state;
    /* li a0, 5; add a0, a0, a1; addi a0, a0, 1 */
    const char *t = TRANSLATED(0x00500513, 0x00b50533, 0x00150513);
    assert_non_null(strstr(t, "a0 = 0x5\na0 = add a0, a1\na0 = add a0, 1\n"));
}

static void results_for_x0_are_no_constants(void **state)
{
    (void)state;
    /* lui zero, 1; addi a0, zero, 3 */
    const char *t = TRANSLATED(0x00001037, 0x00300513);
    assert_non_null(strstr(t, "a0 = 0x3\n"));
    assert_null(strstr(t, "zero ="));
}

static void loads_and_stores_keep_width_and_sign(void **state)
{
    (void)state;
    /* lb a0, -1(a1); lwu a2, 4(a1); sd a0, 8(sp) */
    const char *t = TRANSLATED(0xfff58503, 0x0045e603, 0x00a13423);
    assert_non_null(strstr(t, "a0 = load.s8 [a1-1]\na2 = load.u32 [a1+4]\nstore64 [sp+8] = a0\n"));
}

static void carryless_products_are_operations(void **state)
{
    (void)state;
    /* clmul a0, a1, a2; clmulh a0, a1, a2; clmulr a0, a1, a2 */
    const char *t = TRANSLATED(0x0ac59533, 0x0ac5b533, 0x0ac5a533);
    assert_non_null(strstr(t, "a0 = clmul a1, a2\na0 = clmulh a1, a2\na0 = clmulr a1, a2\njump"));
}

static void cache_block_operations_say_what_allows_them(void **state)
{
    (void)state;
    /* cbo.zero (a0); cbo.inval (a1); cbo.clean (a2); cbo.flush (a3) */
    const char *t = TRANSLATED(0x0045200f, 0x0005a00f, 0x0016200f, 0x0026a00f);
    assert_null(strstr(t, "step"));
    /* CBZE, CBIE, CBCFE, CBCFE (Privileged ISA 20240411, 3.1.18) */
    static const unsigned bits[] = {1u << 7, 3u << 4, 1u << 6, 1u << 6};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(block.code[i].op, IR_EXECUTE);
        assert_int_equal(block.code[i].imm,
                         jit_code(bits[i], i == 0 ? JIT_ZERO : JIT_MANAGE, false, false));
    }
}

static void what_is_not_translated_is_left_to_the_interpreter_at_its_pc(void **state)
{
    (void)state;
    /* addi a0, a0, 1; an illegal word */
    const char *t = TRANSLATED(0x00150513, 0x0000007f);
    assert_non_null(strstr(t, "a0 = add a0, 1\nstep 0x80000ff4\n"));
    assert_int_equal(block.code[block.count - 1].done, 1);
}

static void code_that_ends_with_its_page_goes_on_in_the_next(void **state)
{
    (void)state;
    const char *t = TRANSLATED(0x00150513, 0x00150513, 0x00150513, 0x00150513);
    assert_non_null(strstr(t, "jump 0x80001000\n"));
    assert_int_equal(block.code[block.count - 1].done, 4);
    assert_int_equal(block.bytes, 16);
}

static void an_instruction_across_the_end_is_not_part_of_it(void **state)
{
    static const uint8_t half[] = {0x13, 0x05};
    (void)state;
    assert_false(ir_translate(&block, PC, half, sizeof half));
    assert_false(ir_translate(&block, PC, half, 1));
}

static void a_block_is_never_larger_than_its_room(void **state)
{
    static uint32_t code[1024];
    (void)state;
    for (unsigned i = 0; i < 1024; i++)
        code[i] = 0x00150513;
    assert_true(ir_translate(&block, PC & ~0xfffULL, (const uint8_t *)code, sizeof code));
    assert_true(block.count <= IR_BLOCK_MAX);
    assert_true(block.code[block.count - 1].done <= IR_GUEST_MAX);
    assert_int_equal(block.code[block.count - 1].op, IR_JUMP);
}

static const char *loop_at(const uint32_t *code, size_t size, unsigned head)
{
    if (!ir_translate_region(&block, PC + head, (const uint8_t *)code + head,
                             (unsigned)(size - head)))
        return NULL;
    return described();
}

static void a_loop_is_a_region_of_what_comes_back_to_its_head(void **state)
{
    /*  0: beqz a1, 12 (out); 4: addi a0, a0, 1; 8: j 0; c: addi a2, a2, 1; 10: ecall */
    static const uint32_t code[] = {0x00058663, 0x00150513, 0xff9ff06f, 0x00160613, 0x00000073};
    (void)state;
    const char *t = loop_at(code, sizeof code, 0);
    assert_non_null(t);
    assert_string_equal(
        t, "label 0x80000ff0\nif a1 == zero jump 0x80000ffc\na0 = add a0, 1\njump 0x80000ff0\n");
    assert_int_equal(block.code[1].c, IR_NONE);
    assert_int_equal(block.code[3].c, IR_INSIDE);
    assert_int_equal(block.code[3].done, 3);
    assert_int_equal(block.bytes, 12);
}

static void what_is_known_holds_where_branches_meet(void **state)
{
    /*  0: addi a5, a4, 8; 4: lw a0, 0(a5); 8: beqz a0, 16; c: addi a4, a4, 4; 10: mv a1, a0;
     * 14: sext.w a0, a0; 18: mv a4, a5; 1c: bnez a0, 0; 20: ecall */
    static const uint32_t code[] = {0x00870793, 0x0007a503, 0x00050663, 0x00470713, 0x00a005b3,
                                    0x0005051b, 0x00f00733, 0xfe0512e3, 0x00000073};
    static const uint32_t skips = 0x00a58593; /* addi a1, a1, 10, instead of that of a4 */
    uint32_t other[sizeof code / 4];
    (void)state;
    /* a5 is 4 or 8 from a4 at 14; a0 is a word by both ways. */
    const char *t = loop_at(code, sizeof code, 0);
    assert_non_null(t);
    assert_non_null(strstr(t, "a0 = load.s32 [a4+8]\n"));
    assert_null(strstr(t, "sext.w"));
    assert_non_null(strstr(t, "a4 = mov a5\n"));
    memcpy(other, code, sizeof code);
    other[3] = skips;
    t = loop_at(other, sizeof other, 0);
    assert_non_null(t);
    assert_non_null(strstr(t, "a4 = add a4, 8\n"));
    other[3] = 0x00073703; /* ld a4, 0(a4): nothing is left of where a5 was */
    other[4] = 0x0007b583; /* ld a1, 0(a5) */
    t = loop_at(other, sizeof other, 0);
    assert_non_null(t);
    assert_non_null(strstr(t, "a1 = load.u64 [a5+0]\n"));
}

static void what_never_comes_back_is_no_region(void **state)
{
    /* addi a0, a0, 1; jal ra, +8; j 0: a call goes out, and only its return would come back */
    static const uint32_t code[] = {0x00150513, 0x008000ef, 0xff9ff06f, 0x00000073};
    (void)state;
    assert_null(loop_at(code, sizeof code, 0));
    assert_null(loop_at(code, sizeof code, 12));
}

/* ---- the boundary ---- */

/* Sums and stores 1 to 100, with a call in the loop and a fault at its end. */
static const uint32_t program[] = {
    0x00000513, /*  0: li a0, 0 */
    0x06400593, /*  4: li a1, 100 */
    0x00b50533, /*  8: add a0, a0, a1 */
    0x00a63023, /*  c: sd a0, 0(a2) */
    0x00860613, /* 10: addi a2, a2, 8 */
    0x014000ef, /* 14: jal ra, 28 */
    0xfff58593, /* 18: addi a1, a1, -1 */
    0xfe0596e3, /* 1c: bnez a1, 8 */
    0x00063683, /* 20: ld a3, 0(a2) */
    0x00000073, /* 24: ecall */
    0x02b506b3, /* 28: mul a3, a0, a1 */
    0x00d74733, /* 2c: xor a4, a4, a3 */
    0x00008067, /* 30: ret */
};

static void run_program(const struct engine_ops *engine, const struct jit_backend *backend,
                        uint64_t x[32], uint64_t *instret, uint64_t *last)
{
    struct exit exit = {0};
    jit_set_options(&(struct jit_options){.backend = backend});
    jit_set_reference(&interp_engine);
    assert_int_equal(board_test_init(1, RAM_SIZE, NULL), 0);
    memset(ram, 0, RAM_SIZE);
    memcpy(ram, program, sizeof program);
    vm.engine = harts[0].vcpu.engine = engine;
    assert_int_equal(engine->vm_init(&vm), 0);
    assert_int_equal(engine->vcpu_init(&harts[0].vcpu), 0);
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
    harts[0].x[12] = BOARD_RAM + 0x1000;
    harts[0].x[14] = 0;
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    enum exit_reason reason;
    do
        reason = engine->run(&harts[0].vcpu, &exit);
    while (reason == EXIT_KICKED);
    assert_int_equal(reason, EXIT_SBI);
    memcpy(x, harts[0].x, 32 * sizeof *x);
    *instret = harts[0].instret;
    memcpy(last, ram + 0x1000 + 99 * 8, 8);
    engine->vcpu_destroy(&harts[0].vcpu);
    engine->vm_destroy(&vm);
    board_test_fini();
    jit_set_options(&(struct jit_options){0});
}

static void two_back_ends_and_the_interpreter_agree(void **state)
{
    uint64_t x[3][32], instret[3], last[3], sum = 0, mixed = 0;
    (void)state;
    for (uint64_t i = 100; i > 0; i--) {
        sum += i;
        mixed ^= sum * i;
    }
    run_program(&interp_engine, NULL, x[0], &instret[0], &last[0]);
    run_program(&jit_engine, &jit_backend_portable, x[1], &instret[1], &last[1]);
    run_program(&jit_engine, NULL, x[2], &instret[2], &last[2]);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(x[i][10], sum);
        assert_int_equal(x[i][14], mixed);
        assert_int_equal(last[i], sum);
        assert_int_equal(instret[i], instret[0]);
        assert_memory_equal(x[i], x[0], sizeof x[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_made_of_two_instructions_become_constants),
        cmocka_unit_test(jumps_to_a_known_register_are_direct),
        cmocka_unit_test(words_are_extended_once),
        cmocka_unit_test(what_is_overwritten_at_once_is_no_more_than_needed),
        cmocka_unit_test(registers_that_change_are_no_constants_any_more),
        cmocka_unit_test(results_for_x0_are_no_constants),
        cmocka_unit_test(loads_and_stores_keep_width_and_sign),
        cmocka_unit_test(carryless_products_are_operations),
        cmocka_unit_test(cache_block_operations_say_what_allows_them),
        cmocka_unit_test(what_is_not_translated_is_left_to_the_interpreter_at_its_pc),
        cmocka_unit_test(code_that_ends_with_its_page_goes_on_in_the_next),
        cmocka_unit_test(an_instruction_across_the_end_is_not_part_of_it),
        cmocka_unit_test(a_block_is_never_larger_than_its_room),
        cmocka_unit_test(a_loop_is_a_region_of_what_comes_back_to_its_head),
        cmocka_unit_test(what_is_known_holds_where_branches_meet),
        cmocka_unit_test(what_never_comes_back_is_no_region),
        cmocka_unit_test(two_back_ends_and_the_interpreter_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
