/* The instruction table's own rules, and decoding of encodings worked out by hand from the ISA
 * manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "riscv/insn.h"

static void insn_table_is_grouped_by_opcode(void **state)
{
    (void)state;
    for (unsigned op = OP_ILLEGAL + 2; op < OP_COUNT; op++)
        assert_true((insn_table[op - 1].match & 0x7f) <= (insn_table[op].match & 0x7f));
}

static void insn_match_has_no_bit_outside_its_mask(void **state)
{
    (void)state;
    for (unsigned op = OP_ILLEGAL + 1; op < OP_COUNT; op++) {
        assert_int_equal(insn_table[op].match & ~insn_table[op].mask, 0);
        assert_int_equal(insn_table[op].match & 3, 3);
        assert_int_equal(insn_table[op].mask & 0x7f, 0x7f);
    }
    for (unsigned i = 0; i < insn_ctable_count; i++) {
        assert_int_equal(insn_ctable[i].match & ~insn_ctable[i].mask, 0);
        assert_int_not_equal(insn_ctable[i].match & 3, 3);
        assert_int_equal(insn_ctable[i].mask & 3, 3);
    }
}

/* Each row's own bits, with every free bit 0 and with every free bit 1, decode to that row or to a
 * special case of it that stands before it and whose mask is stricter. */
static void insn_row_decodes_to_itself_or_a_stricter_row(void **state)
{
    (void)state;
    for (unsigned op = OP_ILLEGAL + 1; op < OP_COUNT; op++) {
        const uint32_t words[2] = {insn_table[op].match,
                                   insn_table[op].match | ~insn_table[op].mask};
        for (unsigned i = 0; i < 2; i++) {
            struct insn in;
            assert_true(insn_decode(words[i], &in));
            assert_int_equal(in.length, 4);
            if (in.op != op) {
                assert_true(in.op < op);
                assert_int_equal(insn_table[in.op].mask & insn_table[op].mask, insn_table[op].mask);
            }
        }
    }
}

static unsigned row_by_row(uint32_t w)
{
    for (unsigned op = OP_ILLEGAL + 1; op < OP_COUNT; op++) {
        if ((w & insn_table[op].mask) == insn_table[op].match)
            return op;
    }
    return OP_ILLEGAL;
}

static int crow_by_crow(uint16_t raw)
{
    for (unsigned i = 0; i < insn_ctable_count; i++) {
        if ((raw & insn_ctable[i].mask) == insn_ctable[i].match)
            return (int)i;
    }
    return -1;
}

/* What has begun at some row for one instruction begins there for all that look like it. */
static void insn_row_is_the_first_that_matches(void **state)
{
    uint64_t x = 88172645463325252; /* xorshift64 */
    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint32_t word = (uint32_t)(x >> 32) | 3;
        const struct insn_info *row = &insn_table[1 + (x & 0xffff) % (OP_COUNT - 1)];
        if (i % 4 != 0) /* one of a row, */
            word = row->match | (word & ~row->mask);
        if (i % 4 == 3) /* or almost */
            word ^= 4u << (x >> 16) % 30;
        struct insn in;
        insn_decode(word, &in);
        assert_int_equal(in.op, row_by_row(word));
    }
    for (unsigned n = 0; n < 1 << 16; n++) {
        const uint16_t raw = (uint16_t)(n * 40503); /* odd: all of them, in another order */
        if (insn_length(raw) == 2)
            assert_int_equal(insn_crow(raw), crow_by_crow(raw));
    }
}

/* Rows of what a model lacks are not there; hints become what they are without a name. */
static void insn_of_an_absent_extension_is_illegal(void **state)
{
    struct riscv_isa small, usual;
    struct insn in;
    (void)state;
    assert_true(riscv_isa_of("rv64gc", 0, &small));
    assert_true(riscv_isa_of(NULL, 0, &usual));
    assert_true(riscv_isa_has(&usual, EXT_V) && riscv_isa_has(&usual, EXT_H)); /* RVA23 */
    assert_int_equal(usual.vlen, 128);
    assert_true(riscv_isa_of("rva22", 0, &usual));
    assert_false(riscv_isa_of("rv64", 0, &small));
    assert_true(riscv_isa_of("rv64gc", 0, &small));
    assert_false(riscv_isa_has(&usual, EXT_V) || riscv_isa_has(&usual, EXT_H));
    struct riscv_isa crypto;
    assert_true(riscv_isa_of("rva22+zkn", 0, &crypto));
    assert_false(riscv_isa_of("rv64gc+zkn", 0, &small));
    assert_false(riscv_isa_of("rva22+zk", 0, &small));
    assert_false(riscv_isa_of("rv64gc+zkr", 0, &small));
    assert_false(riscv_isa_of("rva23+zkr+zkr", 0, &small));
    assert_false(riscv_isa_of("rva23+zkrx", 0, &small));
    assert_true(riscv_isa_of("rva22+zkr", 0, &small));
    assert_true(riscv_isa_has(&small, EXT_ZKR) && !riscv_isa_has(&small, EXT_ZKND));
    assert_true(riscv_isa_of("rva23+zkr+zkn", 0, &small));
    assert_true(riscv_isa_has(&small, EXT_ZKR) && riscv_isa_has(&small, EXT_ZKND));
    assert_true(riscv_isa_of("rv64gc", 0, &small));
    const uint32_t aes64es = 0x32b50533; /* a0, a0, a1 */
    assert_true(insn_decode_of(aes64es, &crypto, &in));
    assert_false(insn_decode_of(aes64es, &usual, &in));
    static const struct {
        uint32_t raw;
        unsigned op, op_small;
    } cases[] = {
        {0x00b50533, OP_add, OP_add},          /* add a0, a0, a1 */
        {0x40b57533, OP_andn, OP_ILLEGAL},     /* andn a0, a0, a1: Zbb */
        {0x0100000f, OP_pause, OP_fence},      /* Zihintpause */
        {0x00156013, OP_prefetch_r, OP_ori},   /* Zicbop: prefetch.r 0(a0) */
        {0x0045200f, OP_cbo_zero, OP_ILLEGAL}, /* Zicboz */
        {0x6081, OP_fence, OP_ILLEGAL},        /* c.mop.1: Zcmop; a reserved c.lui */
        {0x8d0d, OP_sub, OP_sub},              /* c.sub */
        {0x9d4d, OP_mul, OP_ILLEGAL},          /* c.mul: Zcb */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        insn_decode_of(cases[i].raw, &usual, &in);
        assert_int_equal(in.op, cases[i].op);
        insn_decode_of(cases[i].raw, &small, &in);
        assert_int_equal(in.op, cases[i].op_small);
    }
}

struct expected {
    uint32_t raw;
    const char *text;
};

static void check(const struct expected *cases, size_t count, uint64_t pc)
{
    for (size_t i = 0; i < count; i++) {
        char text[80];
        insn_disassemble(cases[i].raw, pc, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

/* Encodings as Debian's riscv64 binutils assemble these lines. */
static void insn_disassembles_as_the_assembler_reads(void **state)
{
    static const struct expected cases[] = {
        {0x00150513, "addi a0, a0, 1"},
        {0xfff00513, "addi a0, zero, -1"},
        {0x123452b7, "lui t0, 0x12345"},
        {0x02a5d593, "srli a1, a1, 42"},
        {0x4075d59b, "sraiw a1, a1, 7"},
        {0x00b50533, "add a0, a0, a1"},
        {0x40b50533, "sub a0, a0, a1"},
        {0x02b54533, "div a0, a0, a1"},
        {0x00853503, "ld a0, 8(a0)"},
        {0xfea53c23, "sd a0, -8(a0)"},
        {0xfe0008e3, "beq zero, zero, 0xfffffffffffffff0"},
        {0x008000ef, "jal ra, 0x8"},
        {0x00008067, "jalr zero, 0(ra)"},
        {0x1005252f, "lr.w a0, (a0)"},
        {0x1eb5362f, "sc.d.aqrl a2, a1, (a0)"},
        {0x04b5252f, "amoadd.w.aq a0, a1, (a0)"},
        {0x02b57553, "fadd.d fa0, fa0, fa1"},
        {0x68c5f543, "fmadd.s fa0, fa1, fa2, fa3"},
        {0xc0051553, "fcvt.w.s a0, fa0, rtz"},
        {0x30052573, "csrrs a0, mstatus, a0"},
        {0x10500073, "wfi"},
        {0x12b50073, "sfence.vma a0, a1"},
        {0x20b52533, "sh1add a0, a0, a1"},
        {0x60051513, "clz a0, a0"},
        {0x0ab55533, "minu a0, a0, a1"},
        {0x0eb55533, "czero.eqz a0, a0, a1"},
        {0x0100000f, "pause"},
    };
    (void)state;
    check(cases, sizeof cases / sizeof cases[0], 0);
}

/* Unprivileged ISA, "C": each means the 32-bit form beside it. */
static void insn_compressed_forms_decode_to_their_meaning(void **state)
{
    static const struct expected cases[] = {
        {0x0001, "addi zero, zero, 0"},  /* c.nop */
        {0x1141, "addi sp, sp, -16"},    /* c.addi sp, -16 */
        {0xe406, "sd ra, 8(sp)"},        /* c.sdsp */
        {0x60a2, "ld ra, 8(sp)"},        /* c.ldsp */
        {0x0141, "addi sp, sp, 16"},     /* c.addi */
        {0x8082, "jalr zero, 0(ra)"},    /* c.jr ra */
        {0x852a, "add a0, zero, a0"},    /* c.mv a0, a0 */
        {0x4501, "addi a0, zero, 0"},    /* c.li */
        {0x6505, "lui a0, 0x1"},         /* c.lui */
        {0x7139, "addi sp, sp, -64"},    /* c.addi16sp */
        {0x0808, "addi a0, sp, 16"},     /* c.addi4spn */
        {0x4188, "lw a0, 0(a1)"},        /* c.lw */
        {0xa001, "jal zero, 0x0"},       /* c.j . */
        {0xc101, "beq a0, zero, 0x0"},   /* c.beqz a0, . */
        {0x9002, "ebreak"},              /* c.ebreak */
        {0x9d71, "add.uw a0, a0, zero"}, /* c.zext.w a0 */
        {0x9d61, "andi a0, a0, 255"},    /* c.zext.b a0 */
        {0x9d75, "xori a0, a0, -1"},     /* c.not a0 */
        {0x0000, ".half 0x0"},           /* defined illegal */
        {0x6081, "fence"},               /* c.mop.1: does nothing */
        {0x2001, ".half 0x2001"},        /* c.addiw x0: reserved */
        {0x4002, ".half 0x4002"},        /* c.lwsp x0: reserved */
        {0x8002, ".half 0x8002"},        /* c.jr x0: reserved */
        {0x6101, ".half 0x6101"},        /* c.addi16sp 0: reserved */
    };
    (void)state;
    check(cases, sizeof cases / sizeof cases[0], 0);
}

static void insn_disassembly_never_overruns_its_buffer(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 24; capacity++) {
        char text[32];
        memset(text, 'x', sizeof text);
        insn_disassemble(0x68c5f543, 0, text, capacity);
        if (capacity > 0)
            assert_true(strlen(text) < capacity);
        for (size_t i = capacity; i < sizeof text; i++)
            assert_int_equal(text[i], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(insn_table_is_grouped_by_opcode),
        cmocka_unit_test(insn_match_has_no_bit_outside_its_mask),
        cmocka_unit_test(insn_row_decodes_to_itself_or_a_stricter_row),
        cmocka_unit_test(insn_row_is_the_first_that_matches),
        cmocka_unit_test(insn_of_an_absent_extension_is_illegal),
        cmocka_unit_test(insn_disassembles_as_the_assembler_reads),
        cmocka_unit_test(insn_compressed_forms_decode_to_their_meaning),
        cmocka_unit_test(insn_disassembly_never_overruns_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
