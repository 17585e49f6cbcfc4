/* What a trapped load or store is: encodings as GNU as and the specification's tables give them. */
#include "engine/hext/access.h"
#include "riscv/insn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct encoding {
    uint32_t insn;
    enum hext_access_kind kind;
    uint8_t width;
    bool sign;
    uint8_t reg, length;
};

/* Assembled by GNU as 2.40: mnemonic in the comment. */
static const struct encoding encodings[] = {
    {0x00058503, ACCESS_LOADS, 1, true, 10, 4},    /* lb a0, 0(a1) */
    {0x00059503, ACCESS_LOADS, 2, true, 10, 4},    /* lh a0, 0(a1) */
    {0x0005a503, ACCESS_LOADS, 4, true, 10, 4},    /* lw a0, 0(a1) */
    {0x0005b503, ACCESS_LOADS, 8, false, 10, 4},   /* ld a0, 0(a1) */
    {0x0005c503, ACCESS_LOADS, 1, false, 10, 4},   /* lbu a0, 0(a1) */
    {0x0005d503, ACCESS_LOADS, 2, false, 10, 4},   /* lhu a0, 0(a1) */
    {0x0005e503, ACCESS_LOADS, 4, false, 10, 4},   /* lwu a0, 0(a1) */
    {0x01f58023, ACCESS_STORES, 1, false, 31, 4},  /* sb t6, 0(a1) */
    {0x01f59023, ACCESS_STORES, 2, false, 31, 4},  /* sh t6, 0(a1) */
    {0x01f5a023, ACCESS_STORES, 4, false, 31, 4},  /* sw t6, 0(a1) */
    {0x01f5b023, ACCESS_STORES, 8, false, 31, 4},  /* sd t6, 0(a1) */
    {0x4188, ACCESS_LOADS, 4, true, 10, 2},        /* c.lw a0, 0(a1) */
    {0x6188, ACCESS_LOADS, 8, false, 10, 2},       /* c.ld a0, 0(a1) */
    {0xc188, ACCESS_STORES, 4, false, 10, 2},      /* c.sw a0, 0(a1) */
    {0xe188, ACCESS_STORES, 8, false, 10, 2},      /* c.sd a0, 0(a1) */
    {0x4502, ACCESS_LOADS, 4, true, 10, 2},        /* c.lwsp a0, 0(sp) */
    {0x6502, ACCESS_LOADS, 8, false, 10, 2},       /* c.ldsp a0, 0(sp) */
    {0xc02a, ACCESS_STORES, 4, false, 10, 2},      /* c.swsp a0, 0(sp) */
    {0xe02a, ACCESS_STORES, 8, false, 10, 2},      /* c.sdsp a0, 0(sp) */
    {0x8188, ACCESS_LOADS, 1, false, 10, 2},       /* c.lbu a0, 0(a1) */
    {0x8588, ACCESS_LOADS, 2, false, 10, 2},       /* c.lhu a0, 0(a1) */
    {0x85c8, ACCESS_LOADS, 2, true, 10, 2},        /* c.lh a0, 0(a1) */
    {0x8988, ACCESS_STORES, 1, false, 10, 2},      /* c.sb a0, 0(a1) */
    {0x8d88, ACCESS_STORES, 2, false, 10, 2},      /* c.sh a0, 0(a1) */
    {0x0005a507, ACCESS_FLOADS, 4, false, 10, 4},  /* flw fa0, 0(a1) */
    {0x0005b507, ACCESS_FLOADS, 8, false, 10, 4},  /* fld fa0, 0(a1) */
    {0x00a5b027, ACCESS_FSTORES, 8, false, 10, 4}, /* fsd fa0, 0(a1) */
    {0x2188, ACCESS_FLOADS, 8, false, 10, 2},      /* c.fld fa0, 0(a1) */
};

static void loads_and_stores_are_decoded_with_width_sign_and_register(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        const struct encoding *e = &encodings[i];
        struct hext_access access;
        assert_true(hext_access_decode(e->insn, &access));
        assert_int_equal(access.kind, e->kind);
        assert_int_equal(access.width, e->width);
        assert_int_equal(access.sign, e->sign);
        assert_int_equal(access.reg, e->reg);
        assert_int_equal(access.length, e->length);
    }
}

static void atomics_are_named_and_other_instructions_are_not_accesses(void **state)
{
    (void)state;
    struct hext_access access;
    assert_true(hext_access_decode(0x00c5a52f, &access)); /* amoadd.w a0, a2, (a1) */
    assert_int_equal(access.kind, ACCESS_ATOMIC);
    assert_true(hext_access_decode(0x1005a52f, &access)); /* lr.w a0, (a1) */
    assert_int_equal(access.kind, ACCESS_RESERVES);
    assert_false(hext_access_decode(0x00c58533, &access)); /* add a0, a1, a2 */
    assert_int_equal(access.kind, ACCESS_NONE);
    assert_false(hext_access_decode(0xffffffff, &access));
    assert_false(hext_access_decode(0, &access));
}

/* 15.6.3: rs1 replaced by the address offset; bit 1 clear says that the original was compressed. */
static void transformed_instructions_tell_the_length_of_the_original(void **state)
{
    (void)state;
    struct hext_access access;
    assert_true(hext_access_transformed(0x00002503, &access)); /* lw a0, as a 32-bit instruction */
    assert_int_equal(access.kind, ACCESS_LOADS);
    assert_int_equal(access.length, 4);
    assert_int_equal(access.reg, 10);
    assert_true(hext_access_transformed(0x00002501, &access)); /* the same from c.lw */
    assert_int_equal(access.length, 2);
    assert_int_equal(access.width, 4);
    assert_true(hext_access_transformed(0x00a03021, &access)); /* sd a0, from c.sd */
    assert_int_equal(access.kind, ACCESS_STORES);
    assert_int_equal(access.width, 8);
    assert_int_equal(access.length, 2);
}

static void what_is_not_a_transformed_instruction_is_fetched_instead(void **state)
{
    (void)state;
    struct hext_access access;
    assert_false(hext_access_transformed(0, &access));
    assert_false(hext_access_transformed(0x3000, &access));
    assert_false(hext_access_transformed(0x100002503ULL, &access));
    assert_false(hext_access_transformed(0x00c58533, &access));
    assert_true(hext_access_implicit(0x3000));
    assert_true(hext_access_implicit(0x3020));
    assert_false(hext_access_implicit(0));
    assert_false(hext_access_implicit(0x2503));
}

static void results_are_extended_as_the_instruction_says(void **state)
{
    (void)state;
    struct hext_access lb = {.kind = ACCESS_LOADS, .width = 1, .sign = true};
    struct hext_access lwu = {.kind = ACCESS_LOADS, .width = 4};
    struct hext_access flw = {.kind = ACCESS_FLOADS, .width = 4};
    assert_int_equal(hext_access_extend(&lb, 0x80), 0xffffffffffffff80);
    assert_int_equal(hext_access_extend(&lb, 0x17f), 0x7f);
    assert_int_equal(hext_access_extend(&lwu, 0xffffffff80000000), 0x80000000);
    assert_int_equal(hext_access_extend(&flw, 0x3f800000), 0xffffffff3f800000);
}

/* The decoder of our other engine, made from a table, knows every instruction that there is. */
static void compare(uint32_t raw)
{
    static const uint8_t kinds[] = {
        [FMT_LOAD] = ACCESS_LOADS,     [FMT_STORE] = ACCESS_STORES, [FMT_FLOAD] = ACCESS_FLOADS,
        [FMT_FSTORE] = ACCESS_FSTORES, [FMT_AMO] = ACCESS_ATOMIC,   [FMT_LR] = ACCESS_RESERVES};
    struct hext_access access;
    struct insn insn;
    bool known = insn_decode(raw, &insn);
    unsigned format = known ? insn_table[insn.op].format : 0;
    unsigned kind = known && format < sizeof kinds ? kinds[format] : ACCESS_NONE;

    hext_access_decode(raw, &access);
    /* An undefined one traps before it gets here. */
    bool atomic = access.kind == ACCESS_ATOMIC || access.kind == ACCESS_RESERVES;
    if (atomic && !known)
        return;
    if (access.kind != kind)
        fail_msg("%08x: kind %u, not %u", raw, access.kind, kind);
    if (kind == ACCESS_NONE || atomic)
        return;
    bool load = kind == ACCESS_LOADS || kind == ACCESS_FLOADS;
    if (access.length != insn.length || access.reg != (load ? insn.rd : insn.rs2))
        fail_msg("%08x: length %u, register %u", raw, access.length, access.reg);
}

static void every_instruction_is_what_the_interpreters_decoder_takes_it_for(void **state)
{
    (void)state;
    for (uint32_t raw = 0; raw < 0x10000; raw++) {
        if ((raw & 3) != 3)
            compare(raw);
    }
    for (uint32_t raw = 3; raw < 1u << 15; raw += 4) {
        compare(raw);
        compare(raw | 0x00a58000);
        compare(raw | 0xffff8000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_and_stores_are_decoded_with_width_sign_and_register),
        cmocka_unit_test(atomics_are_named_and_other_instructions_are_not_accesses),
        cmocka_unit_test(transformed_instructions_tell_the_length_of_the_original),
        cmocka_unit_test(what_is_not_a_transformed_instruction_is_fetched_instead),
        cmocka_unit_test(every_instruction_is_what_the_interpreters_decoder_takes_it_for),
        cmocka_unit_test(results_are_extended_as_the_instruction_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
