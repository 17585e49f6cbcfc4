#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/state.h"

#include <string.h>

/* A file of at most 256 bytes. */
struct tape {
    uint8_t bytes[256];
    size_t size, at;
};

static int tape_save(struct state *state, void *bytes, size_t len)
{
    struct tape *tape = state->file;
    if (len > sizeof(tape->bytes) - tape->size)
        return -E_NOSPC;
    memcpy(tape->bytes + tape->size, bytes, len);
    tape->size += len;
    return 0;
}

static int tape_load(struct state *state, void *bytes, size_t len)
{
    struct tape *tape = state->file;
    if (len > tape->size - tape->at)
        return -E_IO;
    memcpy(bytes, tape->bytes + tape->at, len);
    tape->at += len;
    return 0;
}

struct thing {
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    bool e;
    uint8_t f[3];
};

static uint32_t thing_state(struct thing *thing, struct state *state, uint32_t version)
{
    uint32_t found = state_section(state, "thing", version);
    state_u8(state, &thing->a);
    state_u16(state, &thing->b);
    state_u32(state, &thing->c);
    state_u64(state, &thing->d);
    state_bool(state, &thing->e);
    state_bytes(state, thing->f, sizeof(thing->f));
    return found;
}

static const struct thing example = {1, 0x1234, 0x12345678, 0x123456789abcdef0, true, {7, 8, 9}};

static struct tape saved_example(void)
{
    struct tape tape = {0};
    struct thing thing = example;
    struct state save = {.transfer = tape_save, .file = &tape};
    thing_state(&thing, &save, 2);
    assert_int_equal(save.error, 0);
    return tape;
}

static void what_was_saved_is_loaded(void **state)
{
    (void)state;
    struct tape tape = saved_example();
    struct thing thing = {0};
    struct state load = {.transfer = tape_load, .file = &tape, .loading = true};
    assert_int_equal(thing_state(&thing, &load, 3), 2);
    assert_int_equal(load.error, 0);
    assert_int_equal(thing.a, 1);
    assert_int_equal(thing.b, 0x1234);
    assert_int_equal(thing.c, 0x12345678);
    assert_true(thing.d == 0x123456789abcdef0);
    assert_true(thing.e);
    assert_memory_equal(thing.f, example.f, 3);
}

static void integers_are_little_endian_behind_name_and_version(void **state)
{
    (void)state;
    struct tape tape = saved_example();
    static const uint8_t expected[] = {
        't',  'h',  'i',  'n',  'g',  0,    0,    0,    0,    0,    0,    0,    0,
        0,    0,    0,    2,    0,    0,    0,    1,    0x34, 0x12, 0x78, 0x56, 0x34,
        0x12, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 1,    7,    8,    9,
    };
    assert_int_equal(tape.size, sizeof(expected));
    assert_memory_equal(tape.bytes, expected, sizeof(expected));
}

static void another_section_or_a_newer_version_is_refused(void **state)
{
    (void)state;
    struct tape tape = saved_example();
    struct state load = {.transfer = tape_load, .file = &tape, .loading = true};
    assert_int_equal(state_section(&load, "other", 9), 0);
    assert_int_equal(load.error, -E_PROTO);
    assert_string_equal(load.what, "other");

    struct thing thing = {0};
    tape.at = 0;
    struct state older = {.transfer = tape_load, .file = &tape, .loading = true};
    assert_int_equal(thing_state(&thing, &older, 1), 0);
    assert_int_equal(older.error, -E_PROTO);
    assert_int_equal(thing.a, 0);
}

static void the_first_error_sticks_and_leaves_fields_alone(void **state)
{
    (void)state;
    struct tape tape = saved_example();
    tape.size = 24; /* ends inside the field `c` */
    struct thing thing = {.c = 5, .d = 6};
    struct state load = {.transfer = tape_load, .file = &tape, .loading = true};
    thing_state(&thing, &load, 2);
    assert_int_equal(load.error, -E_IO);
    assert_int_equal(thing.b, 0x1234);
    assert_int_equal(thing.c, 5);
    assert_int_equal(thing.d, 6);
    state_fail(&load, -E_INVAL);
    assert_int_equal(load.error, -E_IO);
}

static void a_bool_is_nothing_but_0_or_1(void **state)
{
    (void)state;
    struct tape tape = saved_example();
    tape.bytes[35] = 2;
    struct thing thing = {0};
    struct state load = {.transfer = tape_load, .file = &tape, .loading = true};
    thing_state(&thing, &load, 2);
    assert_int_equal(load.error, -E_INVAL);
    assert_false(thing.e);
}

static void a_full_file_is_reported_when_saving(void **state)
{
    (void)state;
    struct tape tape = {.size = 250};
    struct thing thing = example;
    struct state save = {.transfer = tape_save, .file = &tape};
    thing_state(&thing, &save, 2);
    assert_int_equal(save.error, -E_NOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_loaded),
        cmocka_unit_test(integers_are_little_endian_behind_name_and_version),
        cmocka_unit_test(another_section_or_a_newer_version_is_refused),
        cmocka_unit_test(the_first_error_sticks_and_leaves_fields_alone),
        cmocka_unit_test(a_bool_is_nothing_but_0_or_1),
        cmocka_unit_test(a_full_file_is_reported_when_saving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
