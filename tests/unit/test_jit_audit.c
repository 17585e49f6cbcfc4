/* The audit finds a back end that is wrong on purpose, and nothing where it is right. */
#include "tests/unit/board_test.h"

#include "engine/interp/interp.h"
#include "engine/jit/backend.h"
#include "engine/jit/jit.h"

#define RAM_SIZE (1ULL << 20)

static char told[8192];
static enum { RIGHT, WRONG_ADD, WRONG_STORE, LOST_STORE } mistake;
static struct ir_block altered;

static void line(void *arg, const char *text)
{
    (void)arg;
    if (strlen(told) + strlen(text) + 2 < sizeof told)
        strcat(strcat(told, text), "\n");
}

static bool wrong_emit(const struct ir_block *block, struct jit_room *room, struct jit_emitted *out)
{
    altered = *block;
    for (unsigned i = 0; i < altered.count; i++) {
        struct ir *ir = &altered.code[i];
        if (mistake == WRONG_ADD && ir->op == IR_ADD && ir->b != IR_NONE)
            ir->op = IR_SUB;
        if (mistake == WRONG_STORE && ir->op == IR_STORE)
            ir->imm += 8;
        if (mistake == LOST_STORE && ir->op == IR_STORE && i > 0)
            *ir = (struct ir){.op = IR_MOV, .a = IR_X(5), .dst = IR_X(0), .b = IR_NONE};
    }
    return jit_host_backend->emit(&altered, room, out);
}

static struct jit_backend wrong;

/* Runs `code` at the start of RAM with the audit. */
static enum exit_reason run(const uint32_t *code, size_t size, struct exit *exit)
{
    told[0] = 0;
    wrong = *jit_host_backend;
    wrong.emit = wrong_emit;
    jit_set_options(&(struct jit_options){.audit = true, .audit_line = line, .backend = &wrong});
    jit_set_reference(&interp_engine);
    assert_int_equal(board_test_init(1, RAM_SIZE, NULL), 0);
    memset(ram, 0, RAM_SIZE);
    memcpy(ram, code, size);
    vm.engine = harts[0].vcpu.engine = &jit_engine;
    assert_int_equal(jit_engine.vm_init(&vm), 0);
    assert_int_equal(jit_engine.vcpu_init(&harts[0].vcpu), 0);
    riscv_vcpu_reset(&harts[0], BOARD_RAM);
    riscv_vcpu_start_supervisor(&harts[0], BOARD_RAM, 0);
    atomic_store(&harts[0].vcpu.run_state, VCPU_RUNNING);
    harts[0].x[10] = BOARD_RAM + 0x1000;
    harts[0].x[11] = 5;
    harts[0].x[12] = 7;
    enum exit_reason reason;
    do
        reason = jit_engine.run(&harts[0].vcpu, exit);
    while (reason == EXIT_KICKED);
    return reason;
}

static void end(void)
{
    jit_engine.vcpu_destroy(&harts[0].vcpu);
    jit_engine.vm_destroy(&vm);
    board_test_fini();
    jit_set_options(&(struct jit_options){0});
}

static const uint32_t adds_and_stores[] = {
    0x00c58633, /* add a2, a1, a2 */
    0x00052283, /* lw t0, 0(a0): the page is known to the TLB */
    0x00c53023, /* sd a2, 0(a0) */
    0x00000073, /* ecall: to the SBI */
};

static void code_that_is_right_passes(void **state)
{
    struct exit exit = {0};
    (void)state;
    mistake = RIGHT;
    assert_int_equal(run(adds_and_stores, sizeof adds_and_stores, &exit), EXIT_SBI);
    assert_string_equal(told, "");
    assert_int_equal(harts[0].x[12], 12);
    assert_int_equal(*(uint64_t *)(void *)(ram + 0x1000), 12);
    end();
}

static void a_wrong_result_is_found_and_told(void **state)
{
    struct exit exit = {0};
    (void)state;
    mistake = WRONG_ADD;
    assert_int_equal(run(adds_and_stores, sizeof adds_and_stores, &exit), EXIT_HALTED);
    assert_non_null(strstr(exit.message, "audit"));
    assert_non_null(strstr(told, "pc 80000000"));
    assert_non_null(strstr(told, "a2       0000000000000007 before, fffffffffffffffe translated, "
                                 "000000000000000c reference"));
    assert_non_null(strstr(told, "add a2, a1, a2"));
    end();
}

static void a_store_to_the_wrong_place_is_found(void **state)
{
    struct exit exit = {0};
    (void)state;
    mistake = WRONG_STORE;
    assert_int_equal(run(adds_and_stores, sizeof adds_and_stores, &exit), EXIT_HALTED);
    assert_non_null(strstr(told, "00 before, 000000000000000c translated, 0000000000000000 refer"));
    end();
}

static void a_store_that_is_missing_is_found(void **state)
{
    struct exit exit = {0};
    (void)state;
    mistake = LOST_STORE;
    assert_int_equal(run(adds_and_stores, sizeof adds_and_stores, &exit), EXIT_HALTED);
    assert_non_null(strstr(told, "0000000000000000 translated, 000000000000000c reference"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_that_is_right_passes),
        cmocka_unit_test(a_wrong_result_is_found_and_told),
        cmocka_unit_test(a_store_to_the_wrong_place_is_found),
        cmocka_unit_test(a_store_that_is_missing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
