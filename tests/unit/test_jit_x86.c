/*
 * The x86-64 back end: each operation is emitted for all placements of its registers (pinned, in
 * memory, x0, temporaries, the same one twice), executed on this host, and compared with what C
 * computes (jit_portable.h).
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/jit_portable.h"

#include "engine/jit/x86/regs.h"
#include "riscv/csr.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM (1u << 20)
#define PC   0x80000000ULL

static struct jit_room room; /* behind the fixed code */
static struct riscv_vcpu hart;
static struct jit_cpu cpu;
static struct jit_context context;
static struct ir_block block;
static struct jit_emitted emitted;

static int setup(void **state)
{
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, ROOM), 0);
    room.write = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    room.run = mmap(NULL, ROOM, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(room.write != MAP_FAILED && (const void *)room.run != MAP_FAILED);
    room.size = ROOM;
    long fixed = jit_host_backend->init(&room);
    assert_true(fixed > 0);
    fixed = (fixed + 63) & ~63;
    room.write += fixed;
    room.run += fixed;
    room.offset = (uint32_t)fixed;
    room.size -= (uint32_t)fixed;
    context.cpu = &cpu;
    cpu.hart = &hart;
    cpu.context = &context;
    for (unsigned i = 0; i < JIT_TLB_SIZE; i++)
        context.tlb[i].read = context.tlb[i].write = JIT_EMPTY;
    for (unsigned i = 0; i < JIT_JUMP_SIZE; i++)
        context.jump[i].pc = JIT_EMPTY;
    return 0;
}

static struct ir *add(enum ir_op op)
{
    struct ir *ir = &block.code[block.count++];
    *ir = (struct ir){.op = (uint8_t)op, .b = IR_NONE, .c = IR_NONE};
    return ir;
}

static void begin(void)
{
    block.pc = PC;
    block.isa = &hart.isa;
    block.count = 0;
    block.bytes = 4;
}

/* Ends the block behind one instruction, and runs it. */
static void run(void)
{
    struct ir *end = add(IR_STEP);
    end->imm = (int64_t)PC + 4;
    end->done = 1;
    assert_true(jit_host_backend->emit(&block, &room, &emitted));
    assert_true(emitted.size <= room.size);
    hart.instret = 41;
    hart.pc = PC;
    assert_int_equal(jit_host_backend->enter(&context, &hart, room.run), JIT_STEP);
    assert_int_equal(hart.pc, PC + 4);
    assert_int_equal(hart.instret, 42);
}

static void fill(void)
{
    for (unsigned i = 1; i < 32; i++)
        hart.x[i] = 0x0101010101010101ULL * i;
}

static const uint64_t values[] = {
    0,          1,          UINT64_MAX,         INT64_MAX, 1ULL << 63,        0x7fffffff,
    0x80000000, 0xffffffff, 0xffffffff80000000, 63,        0x123456789abcdef0};
#define VALUES (sizeof values / sizeof values[0])

/* sp is kept by C functions, a0 and a5 are not; t0 and s2 are in memory. */
static const ir_reg places[] = {IR_X(0), IR_X(2),  IR_X(10), IR_X(15),
                                IR_X(5), IR_X(18), IR_T(0),  IR_T(7)};
#define PLACES (sizeof places / sizeof places[0])

static void give(ir_reg reg, uint64_t value)
{
    if (reg >= IR_T(0)) {
        struct ir *ir = add(IR_CONST);
        ir->dst = reg;
        ir->imm = (int64_t)value;
    } else if (reg != IR_X(0)) {
        hart.x[reg] = value;
    }
}

/* One operation, one placement, one pair of values. `b` IR_NONE: imm. */
static void check(enum ir_op op, ir_reg dst, ir_reg a, ir_reg b, uint64_t va, uint64_t vb,
                  unsigned sub)
{
    uint64_t expected[32], result;
    begin();
    fill();
    if (a == b)
        vb = va;
    if (a == IR_X(0))
        va = 0;
    if (b == IR_X(0))
        vb = 0;
    give(a, va);
    if (b != IR_NONE && b != a)
        give(b, vb);
    struct ir *ir = add(op);
    ir->dst = dst;
    ir->a = a;
    ir->b = b;
    ir->sub = (uint8_t)sub;
    ir->imm = b == IR_NONE ? (int64_t)vb : 0;
    assert_true(portable_compute(ir, va, vb, &result));
    memcpy(expected, hart.x, sizeof expected);
    if (dst >= IR_T(0)) {
        struct ir *mov = add(IR_MOV);
        mov->dst = IR_X(31);
        mov->a = dst;
        expected[31] = result;
    } else if (dst != IR_X(0)) {
        expected[dst] = result;
    }
    run();
    if (memcmp(expected, hart.x, sizeof expected) != 0) {
        char text[96];
        ir_describe(ir, text, sizeof text);
        for (unsigned i = 0; i < 32; i++) {
            if (expected[i] != hart.x[i])
                fail_msg("%s of %#llx, %#llx: x%u is %#llx, expected %#llx", text,
                         (unsigned long long)va, (unsigned long long)vb, i,
                         (unsigned long long)hart.x[i], (unsigned long long)expected[i]);
        }
    }
}

static bool is_unary(unsigned op)
{
    return op == IR_MOV || (op >= IR_SEXT_B && op <= IR_ORC_B);
}

static void operations_of_two_registers(void **state)
{
    (void)state;
    for (unsigned op = IR_ADD; op < IR_SEXT_B; op++) {
        if (op == IR_SLLI_UW)
            continue;
        for (unsigned n = 0; n < PLACES * PLACES * PLACES; n++) {
            ir_reg dst = places[n % PLACES], a = places[n / PLACES % PLACES],
                   b = places[n / PLACES / PLACES];
            for (unsigned pair = n % 3; pair < VALUES * VALUES; pair += 3)
                check((enum ir_op)op, dst, a, b, values[pair % VALUES], values[pair / VALUES],
                      op == IR_SHADD ? 1 + n % 3 : n % 4);
        }
    }
}

static void operations_of_one_register(void **state)
{
    (void)state;
    for (unsigned op = 0; op < IR_LOAD; op++) {
        for (unsigned n = 0; is_unary(op) && n < PLACES * PLACES; n++) {
            for (unsigned v = 0; v < VALUES; v++)
                check((enum ir_op)op, places[n % PLACES], places[n / PLACES], places[n / PLACES],
                      values[v], 0, 0);
        }
    }
}

/* As on a host without any of what x86_init looks for. */
static void operations_that_the_host_has_no_instruction_for(void **state)
{
    const struct x86_features features = x86_features;
    x86_features = (struct x86_features){0};
    operations_of_two_registers(state);
    operations_of_one_register(state);
    x86_features = features;
}

/* Those that the front end emits with a constant. */
static void operations_with_a_constant(void **state)
{
    static const uint8_t plain[] = {IR_ADD, IR_AND, IR_OR, IR_XOR, IR_SLT, IR_SLTU, IR_ADDW};
    static const uint8_t shifts[] = {IR_SLL,  IR_SRL,  IR_SRA,    IR_ROR,  IR_BSET,
                                     IR_BCLR, IR_BINV, IR_BEXT,   IR_SLLW, IR_SRLW,
                                     IR_SRAW, IR_RORW, IR_SLLI_UW};
    static const int64_t constants[] = {0,    1,    -1,    127, 128,       -128,
                                        -129, 2047, -2048, 255, INT32_MAX, INT32_MIN};
    (void)state;
    for (unsigned n = 0; n < PLACES * PLACES; n++) {
        ir_reg dst = places[n % PLACES], a = places[n / PLACES];
        for (unsigned v = 0; v < VALUES; v++) {
            for (unsigned i = 0; i < sizeof plain; i++)
                for (unsigned k = 0; k < sizeof constants / sizeof constants[0]; k++)
                    check(plain[i], dst, a, IR_NONE, values[v], (uint64_t)constants[k], 0);
            for (unsigned i = 0; i < sizeof shifts; i++)
                for (unsigned k = 0; k < 64; k += k < 2 || k >= 30 ? 1 : 7)
                    check(shifts[i], dst, a, IR_NONE, values[v],
                          shifts[i] >= IR_SLLW && shifts[i] <= IR_RORW ? k & 31 : k, 0);
        }
    }
}

static void constants_of_all_sizes(void **state)
{
    (void)state;
    for (unsigned n = 0; n < PLACES; n++)
        for (unsigned v = 0; v < VALUES; v++) {
            begin();
            fill();
            struct ir *ir = add(IR_CONST), *mov;
            ir->dst = places[n];
            ir->imm = (int64_t)values[v];
            mov = add(IR_MOV);
            mov->dst = IR_X(31);
            mov->a = places[n];
            run();
            assert_int_equal(hart.x[31], places[n] == IR_X(0) ? 0 : values[v]);
        }
}

static void branches_leave_where_their_condition_holds(void **state)
{
    (void)state;
    for (unsigned condition = IR_EQ; condition <= IR_GEU; condition++)
        for (unsigned n = 0; n < PLACES * PLACES; n++)
            for (unsigned pair = 0; pair < VALUES * VALUES; pair++) {
                ir_reg a = places[n % PLACES], b = places[n / PLACES];
                uint64_t va = a == IR_X(0) ? 0 : values[pair % VALUES];
                uint64_t vb = b == IR_X(0) ? 0 : a == b ? va : values[pair / VALUES];
                begin();
                give(a, va);
                give(b, vb);
                struct ir *ir = add(IR_BRANCH);
                ir->a = a;
                ir->b = b;
                ir->sub = (uint8_t)condition;
                ir->done = 1;
                ir->imm =
                    (int64_t)PC + 0x5000; /* another page: by the jump cache, which is empty */
                struct ir *end = add(IR_STEP);
                end->imm = (int64_t)PC + 4;
                end->done = 1;
                /* The look-up finds no code and leaves: the kick is set. */
                atomic_store(&hart.vcpu.kick, 1);
                assert_true(jit_host_backend->emit(&block, &room, &emitted));
                hart.pc = PC;
                enum jit_leave why = jit_host_backend->enter(&context, &hart, room.run);
                bool holds = portable_holds(condition, va, vb);
                assert_int_equal(why == JIT_STEP, !holds);
                assert_int_equal(hart.pc, holds ? PC + 0x5000 : PC + 4);
            }
    atomic_store(&hart.vcpu.kick, 0);
}

/* A block that was emitted for PC is entered where its page is now: all that it says of pcs is as
 * far from there. */
static void addresses_move_with_the_page(void **state)
{
    static const uint64_t pages[] = {0, 0x1000, 0x7fff12345000, 0xffffffff80200000,
                                     0xfffffffffffff000};
    static const int64_t distances[] = {0,      4,         0xffc,      0x1000,    -4096,
                                        123456, INT32_MAX, 0x80000ffe, INT32_MIN, -0x80000800LL};
    (void)state;
    for (unsigned p = 0; p < sizeof pages / sizeof pages[0]; p++)
        for (unsigned d = 0; d < sizeof distances / sizeof distances[0]; d++)
            for (unsigned n = 0; n < PLACES; n++) {
                const uint64_t to = pages[p] + (uint64_t)distances[d];
                begin();
                fill();
                struct ir *ir = add(IR_ADDRESS), *mov = add(IR_MOV), *end = add(IR_STEP);
                ir->dst = places[n];
                ir->imm = (int64_t)(PC + (uint64_t)distances[d]);
                mov->dst = IR_X(31);
                mov->a = places[n];
                end->imm = ir->imm;
                end->done = 3;
                assert_true(jit_host_backend->emit(&block, &room, &emitted));
                hart.pc = pages[p];
                hart.instret = 1;
                assert_int_equal(jit_host_backend->enter(&context, &hart, room.run), JIT_STEP);
                assert_int_equal(hart.x[31], places[n] == IR_X(0) ? 0 : to);
                assert_int_equal(hart.pc, to);
                assert_int_equal(hart.instret, 4);
            }
}

/* The second half of an instruction across pages: as translated, another, or of a page that is not
 * known, which is asked for. */
static void the_second_half_is_compared_in_its_page(void **state)
{
    static const uint16_t halves[] = {0, 1, 0x0513, 0x7fff, 0x8000, 0xffff};
    static const uint64_t pages[] = {0x1000, 0x7fff12345000, 0xffffffff80200000};
    static uint16_t next[2048] __attribute__((aligned(4096)));
    (void)state;
    for (unsigned n = 0; n < 3 * 6 * 6; n++) {
        const uint64_t page = pages[n % 3], before = cpu.counts.executed;
        const uint16_t translated = halves[n / 3 % 6], now = halves[n / 3 / 6];
        struct jit_fetch *fetch = &context.fetch[((page >> 12) + 1) & (JIT_FETCH_SIZE - 1)];
        *fetch = (struct jit_fetch){.page = page + 0x1000, .hva = (const uint8_t *)next};
        next[0] = now;
        begin();
        add(IR_SAME)->imm = translated;
        block.code[0].at = 0xffe;
        struct ir *end = add(IR_STEP);
        end->imm = (int64_t)PC + 0x1002;
        end->done = 1;
        assert_true(jit_host_backend->emit(&block, &room, &emitted));
        hart.pc = page;
        hart.instret = 1;
        assert_int_equal(jit_host_backend->enter(&context, &hart, room.run), JIT_STEP);
        assert_int_equal(hart.pc, page + (now == translated ? 0x1002 : 0xffe));
        assert_int_equal(hart.instret, now == translated ? 2 : 1);
        assert_int_equal(cpu.counts.executed - before, now == translated ? 0 : 1);
        fetch->page = JIT_EMPTY;
    }
}

/* Loads and stores of a page that the TLB knows: widths, signs, every placement; x0 as a value. */
static void memory_of_a_page_that_the_tlb_knows(void **state)
{
    static _Alignas(4096) uint8_t page[4096];
    const uint64_t va = 0xffffffff80005000ULL;
    const unsigned index = va >> 12 & (JIT_TLB_SIZE - 1);
    (void)state;
    context.tlb[index].read = context.tlb[index].write = va;
    context.tlb[index].addend = (uintptr_t)page - va;
    for (unsigned i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)(i * 73 + 128);
    for (unsigned sub = 0; sub < 8; sub++)
        for (unsigned n = 0; n < PLACES * PLACES; n++) {
            ir_reg dst = places[n % PLACES], a = places[n / PLACES];
            const unsigned bytes = 1u << (sub & IR_WIDTH), at = 4096 - bytes - n;
            if (a == IR_X(0))
                continue;
            begin();
            fill();
            give(a, va + at + 40);
            struct ir *ir = add(IR_LOAD);
            ir->dst = dst;
            ir->a = a;
            ir->imm = -40;
            ir->sub = (uint8_t)sub;
            struct ir *mov = add(IR_MOV);
            mov->dst = IR_X(31);
            mov->a = dst;
            run();
            uint64_t value = 0;
            memcpy(&value, page + at, bytes);
            if (sub & IR_SIGNED)
                value = portable_sext(value, 8 * bytes);
            assert_int_equal(hart.x[31], dst == IR_X(0) ? 0 : value);
            if (sub & IR_SIGNED)
                continue;
            begin(); /* the same place, stored to; what is beside it stays */
            fill();
            give(a, va + at);
            if (dst != a)
                give(dst, 0x8899aabbccddeeffULL);
            ir = add(IR_STORE);
            ir->a = a;
            ir->b = dst;
            ir->sub = (uint8_t)sub;
            uint8_t expected[4096];
            uint64_t stored = dst == IR_X(0) ? 0 : dst == a ? va + at : 0x8899aabbccddeeffULL;
            memcpy(expected, page, sizeof page);
            memcpy(expected + at, &stored, bytes);
            run();
            assert_memory_equal(page, expected, sizeof page);
        }
    context.tlb[index].read = context.tlb[index].write = JIT_EMPTY;
}

/* Whatever room there is: nothing is written behind it. */
static void too_little_room_is_said(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 40; i++) {
        struct ir *ir = add(i % 2 ? IR_LOAD : IR_DIV);
        ir->dst = IR_X(5);
        ir->a = IR_X(6);
        ir->b = i % 2 ? IR_NONE : IR_X(7);
        ir->sub = IR_W8;
    }
    add(IR_STEP)->imm = (int64_t)PC;
    assert_true(jit_host_backend->emit(&block, &room, &emitted));
    const uint32_t whole = emitted.size;
    for (uint32_t size = 0; size < whole; size += 7) {
        struct jit_room small = room;
        small.size = size;
        memset(room.write + size, 0xa5, 64);
        assert_false(jit_host_backend->emit(&block, &small, &emitted));
        for (unsigned i = 0; i < 64; i++)
            assert_int_equal(room.write[size + i], 0xa5);
    }
}

/* CBO.ZERO at each place of the page, allowed by menvcfg and senvcfg or not (CMO 2.5): what the TLB
 * does not answer is a call, which cpu.counts knows. */
static void cache_blocks_are_zeroed_where_that_is_allowed(void **state)
{
    static uint8_t page[4096] __attribute__((aligned(4096))), expected[4096];
    const uint64_t va = 0x41000;
    const unsigned index = va >> 12 & (JIT_TLB_SIZE - 1);
    static const uint8_t privs[] = {PRIV_U, PRIV_S, PRIV_M};
    (void)state;
    context.tlb[index].addend = (uintptr_t)page - va;
    for (unsigned n = 0; n < 3 * 4 * PLACES; n++) {
        const ir_reg a = places[n % PLACES];
        const bool machine = n / PLACES % 4 & 1, supervisor = n / PLACES % 4 & 2;
        if (a == IR_X(0))
            continue;
        hart.priv = privs[n / PLACES / 4];
        hart.menvcfg = machine ? ENVCFG_CBZE : ~ENVCFG_CBZE;
        hart.senvcfg = supervisor ? ENVCFG_CBZE : ~ENVCFG_CBZE;
        const bool allowed =
            hart.priv == PRIV_M || (machine && (hart.priv == PRIV_S || supervisor));
        for (unsigned at = 0; at < 4096; at += 61) {
            const uint64_t before = cpu.counts.executed;
            memset(page, 0xa5, sizeof page);
            memset(expected, 0xa5, sizeof expected);
            if (allowed)
                memset(expected + at / 64 * 64, 0, 64);
            context.tlb[index].write = va;
            begin();
            fill();
            give(a, va + at);
            struct ir *ir = add(IR_EXECUTE);
            ir->dst = IR_X(0);
            ir->a = a;
            ir->imm = jit_code(ENVCFG_CBZE, JIT_ZERO, false, false);
            if (allowed) {
                run();
                assert_int_equal(cpu.counts.executed - before, machine ? 0 : 1);
            } else {
                hart.instret = 41;
                assert_true(jit_host_backend->emit(&block, &room, &emitted));
                assert_int_equal(jit_host_backend->enter(&context, &hart, room.run), JIT_STEP);
                assert_int_equal(hart.pc, PC);
                assert_int_equal(hart.instret, 41);
            }
            assert_memory_equal(page, expected, sizeof page);
        }
    }
    context.tlb[index].write = JIT_EMPTY;
}

/* CSRs that are done without a call (csr.c), for each state that matters to them. What calls would
 * count in cpu.counts. */
static void plain_csrs_are_those_of_riscv_csr(void **state)
{
    static const uint16_t csrs[] = {CSR_sscratch, CSR_sepc,   CSR_scause, CSR_stval,  CSR_mscratch,
                                    CSR_mepc,     CSR_mcause, CSR_mtval,  CSR_sstatus};
    (void)state;
    hart.priv = PRIV_M;
    hart.mie = hart.mideleg = 0x222;
    atomic_store(&hart.mip, 0);
    for (unsigned n = 0; n < sizeof csrs / sizeof csrs[0]; n++) {
        for (unsigned v = 0; v < VALUES; v++) {
            for (unsigned p = 0; p < PLACES; p++) {
                const bool status = csrs[n] == CSR_sstatus;
                const uint64_t before = cpu.counts.executed;
                uint64_t old, wanted;
                fill();
                hart.mstatus = 0;
                riscv_csr_write(&hart, CSR_mstatus, values[v] << 7 ^ values[v]);
                if (!status)
                    assert_true(riscv_csr_write(&hart, csrs[n], ~values[v]));
                assert_true(riscv_csr_read(&hart, csrs[n], true, &old));
                hart.effects = 0;
                begin();
                if (!status)
                    give(places[p], values[v]);
                struct ir *ir = add(IR_EXECUTE);
                ir->dst = IR_X(12);
                if (status) { /* csrrsi or csrrci a2, sstatus, 2; or csrr a2, sstatus */
                    ir->a = IR_NONE;
                    ir->c = p % 3 != 0 ? 2 : 0;
                    ir->imm = jit_code(CSR_sstatus, p % 3 == 1 ? JIT_CSR_SET : JIT_CSR_CLEAR, true,
                                       p % 3 != 0);
                } else {
                    ir->a = places[p];
                    ir->imm = jit_code(csrs[n], JIT_CSR_WRITE, true, true);
                }
                run();
                assert_int_equal(hart.x[12], old);
                assert_int_equal(cpu.counts.executed, before);
                uint64_t now;
                assert_true(riscv_csr_read(&hart, csrs[n], true, &now));
                if (status)
                    wanted = p % 3 == 1 ? old | 2 : p % 3 == 2 ? old & ~2ULL : old;
                else
                    wanted = (places[p] == IR_X(0) ? 0 : values[v]) &
                             (csrs[n] == CSR_sepc || csrs[n] == CSR_mepc ? ~1ULL : ~0ULL);
                assert_int_equal(now, wanted);
            }
        }
    }
}

/* sstatus by a register: no call, and what follows is executed in the context of its SUM. */
static void sstatus_takes_the_context_of_its_sum(void **state)
{
    static struct jit_context with_sum;
    static const uint64_t operands[] = {0,       2,       0x40000,   0x46600,
                                        0x40122, 0x06022, 0x4612200, ~(1ULL << 19)};
    static const uint64_t page[2][512] = {{1}, {2}};
    const uint64_t va = 0x41000;
    const unsigned index = va >> 12 & (JIT_TLB_SIZE - 1);
    (void)state;
    with_sum.cpu = &cpu;
    with_sum.other_sum = &context;
    context.other_sum = &with_sum;
    context.tlb[index].read = with_sum.tlb[index].read = va;
    context.tlb[index].addend = (uintptr_t)page[0] - va;
    with_sum.tlb[index].addend = (uintptr_t)page[1] - va;
    hart.priv = PRIV_S;
    hart.mie = 0x222;
    for (unsigned n = 0; n < 3 * 8 * 8 * PLACES; n++) {
        const ir_reg a = places[n % PLACES];
        const enum jit_kind kind = JIT_CSR_WRITE + n / PLACES % 3;
        const uint64_t operand = operands[n / PLACES / 3 % 8];
        const uint64_t had = operands[n / PLACES / 3 / 8] & ~MSTATUS_MXR;
        const uint64_t before = cpu.counts.executed;
        uint64_t old, now, wanted = a == IR_X(0) ? 0 : operand;
        fill();
        assert_true(riscv_csr_write(&hart, CSR_sstatus, had));
        assert_true(riscv_csr_read(&hart, CSR_sstatus, true, &old));
        cpu.context = hart.mstatus & MSTATUS_SUM ? &with_sum : &context;
        begin();
        give(a, operand);
        struct ir *ir = add(IR_EXECUTE), *load;
        ir->dst = n / 7 % 2 ? IR_X(12) : IR_X(0);
        ir->a = a;
        ir->imm = jit_code(CSR_sstatus, kind, true, true);
        load = add(IR_LOAD);
        load->dst = IR_X(13);
        load->a = IR_X(0);
        load->imm = (int64_t)va;
        load->sub = IR_W8;
        struct ir *end = add(IR_STEP);
        end->imm = (int64_t)PC + 4;
        assert_true(jit_host_backend->emit(&block, &room, &emitted));
        assert_int_equal(jit_host_backend->enter(cpu.context, &hart, room.run), JIT_STEP);
        /* Of the operand: SIE, SPIE, SPP, FS and SUM (Privileged ISA 20240411, 10.1.1). */
        wanted = kind == JIT_CSR_SET     ? old | wanted
                 : kind == JIT_CSR_CLEAR ? old & ~wanted
                                         : wanted;
        wanted &= 1u << 1 | 1u << 5 | 1u << 8 | 3u << 13 | 1u << 18;
        assert_true(riscv_csr_read(&hart, CSR_sstatus, true, &now));
        assert_int_equal(now & ~(MSTATUS_SD | MSTATUS_UXL), wanted);
        if (ir->dst == IR_X(12))
            assert_int_equal(hart.x[12], old);
        assert_int_equal(cpu.counts.executed, before);
        assert_ptr_equal(cpu.context, wanted & 1u << 18 ? &with_sum : &context);
        assert_int_equal(hart.x[13], wanted & 1u << 18 ? 2 : 1);
    }
    context.tlb[index].read = JIT_EMPTY;
    context.other_sum = NULL;
    cpu.context = &context;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_csrs_are_those_of_riscv_csr),
        cmocka_unit_test(sstatus_takes_the_context_of_its_sum),
        cmocka_unit_test(operations_of_two_registers),
        cmocka_unit_test(operations_of_one_register),
        cmocka_unit_test(operations_that_the_host_has_no_instruction_for),
        cmocka_unit_test(operations_with_a_constant),
        cmocka_unit_test(constants_of_all_sizes),
        cmocka_unit_test(addresses_move_with_the_page),
        cmocka_unit_test(the_second_half_is_compared_in_its_page),
        cmocka_unit_test(branches_leave_where_their_condition_holds),
        cmocka_unit_test(memory_of_a_page_that_the_tlb_knows),
        cmocka_unit_test(cache_blocks_are_zeroed_where_that_is_allowed),
        cmocka_unit_test(too_little_room_is_said),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
