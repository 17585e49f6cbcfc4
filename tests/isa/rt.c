/* Runtime of the bare-metal ISA tests. See isa.h. */
#include "isa.h"

struct trap trap;
uint64_t trap_resume;
uint64_t probe_pc;
uint64_t run_alias;
uint32_t probe_code[1024] __attribute__((aligned(4096)));
uint64_t leaf[512] __attribute__((aligned(4096)));
uint64_t mega[512] __attribute__((aligned(4096)));
uint64_t giga[512] __attribute__((aligned(4096)));
uint64_t root48[512] __attribute__((aligned(4096)));
uint64_t root57[512] __attribute__((aligned(4096)));
uint8_t pages[8][4096] __attribute__((aligned(32768)));

bool with_htval;

struct frame {
    uint64_t x[32];
};
extern struct frame mframe, sframe;
extern const char run_done[], run_leave[], run_virtual[], strap_leave[], mtrap_entry[],
    strap_entry[], stack_top[];
uint64_t run_enter(uint64_t pc, uint64_t a, uint64_t b, uint64_t sp);
void trap_m(struct frame *frame);
void trap_s(struct frame *frame);
void rt_start(void);

static uint64_t checks, failures;
static uint8_t run_stack[16384] __attribute__((aligned(16)));

void *memset(void *to, int value, size_t len)
{
    uint8_t *p = to;

    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    uint8_t *p = to;
    const uint8_t *q = from;

    for (size_t i = 0; i < len; i++)
        p[i] = q[i];
    return to;
}

void print(const char *text)
{
    while (*text != '\0')
        *(volatile uint8_t *)0x10000000 = (uint8_t)*text++;
}

void print_hex(uint64_t value)
{
    char text[19] = "0x0000000000000000";

    for (int i = 17; i >= 2; i--, value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
    print(text);
}

static void print_number(uint64_t value)
{
    char text[21];
    int at = 20;

    text[at] = '\0';
    do
        text[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    print(text + at);
}

/* The rows of the table, special cases before general ones. */
static const struct {
    const char *mnemonic;
    uint32_t match, mask;
} rows[] = {
#define INSN(name, mnemonic, encoding, format, extension, flags)      {mnemonic, encoding},
#define CINSN(name, mnemonic, match, mask, format, extension, target) {mnemonic, match, mask},
#include "riscv/insn.def"
};
#define ROWS (sizeof rows / sizeof rows[0])
static bool covered[ROWS];

void covers(uint32_t word)
{
    if ((word & 3) != 3)
        word &= 0xffff;
    for (size_t i = 0; i < ROWS; i++)
        if ((word & rows[i].mask) == rows[i].match) {
            covered[i] = true;
            return;
        }
}

static void finish(void)
{
    print("rows:");
    for (size_t i = 0; i < ROWS; i++)
        if (covered[i]) {
            print(" ");
            print(rows[i].mnemonic);
        }
    print("\n");
    print_number(checks);
    print(" checks, ");
    print_number(failures);
    print(" failed\n");
    *(volatile uint32_t *)0x100000 = failures != 0 ? 0x13333 : 0x5555;
    for (;;)
        ;
}

static void report(const char *file, int line, const char *what)
{
    failures++;
    print("FAIL ");
    print(file);
    print(":");
    print_number((uint64_t)line);
    print(" ");
    print(what);
    print(": ");
}

bool check_eq(const char *file, int line, const char *what, uint64_t got, uint64_t want)
{
    checks++;
    if (got == want)
        return true;
    report(file, line, what);
    print("got ");
    print_hex(got);
    print(", want ");
    print_hex(want);
    print("\n");
    return false;
}

static void report_trap(void)
{
    print_number(trap.count);
    print(" traps, cause ");
    print_hex(trap.cause);
    print(" epc ");
    print_hex(trap.epc);
    print(" tval ");
    print_hex(trap.tval);
}

bool check_ok(const char *file, int line, const char *what)
{
    checks++;
    if (trap.count == 0)
        return true;
    report(file, line, what);
    print("want no trap, got ");
    report_trap();
    print("\n");
    return false;
}

bool check_trap(const char *file, int line, const char *what, uint64_t cause, uint64_t tval)
{
    checks++;
    if (trap.count == 1 && trap.cause == cause && trap.epc == probe_pc && trap.tval == tval)
        return true;
    report(file, line, what);
    print("want cause ");
    print_hex(cause);
    print(" epc ");
    print_hex(probe_pc);
    print(" tval ");
    print_hex(tval);
    print(", got ");
    report_trap();
    print("\n");
    return false;
}

bool check_illegal(const char *file, int line, const char *what, uint32_t word)
{
    if ((word & 3) != 3)
        word &= 0xffff;
    return check_trap(file, line, what, ILLEGAL, trap.tval == 0 ? 0 : word);
}

void trap_clear(void)
{
    trap = (struct trap){0};
}

/* Where to go on: behind the instruction at `epc`; after a fetch that failed, at the return
 * address. */
static uint64_t resume_at(const struct frame *frame)
{
    uint64_t pc = trap_resume;

    if (pc != 0)
        return pc;
    if (trap.cause & IRQ)
        return trap.epc;
    if (trap.cause == FETCH_MISALIGNED || trap.cause == FETCH_ACCESS || trap.cause == FETCH_PAGE ||
        trap.cause == FETCH_GUEST)
        return frame->x[1];
    pc = trap.epc;
    return pc + ((*(const uint16_t *)(uintptr_t)(pc - (pc & USER_ALIAS)) & 3) == 3 ? 4 : 2);
}

static void give_up(const char *why)
{
    report("rt.c", 0, why);
    report_trap();
    print("\n");
    finish();
}

/* An interrupt must not come again at once: its enable bit is cleared in the handler's level. */
void trap_m(struct frame *frame)
{
    uint64_t epc = csr_read(MEPC), cause = csr_read(MCAUSE);

    if ((cause == ECALL_U || cause == ECALL_S || cause == ECALL_VS || cause == ECALL_M) &&
        (epc - run_alias == FN(run_done) || epc == FN(strap_leave))) {
        csr_write(MEPC, FN(run_leave));
        csr_set(MSTATUS, MSTATUS_MPP(M));
        return;
    }
    trap.count++;
    trap.cause = cause;
    trap.epc = epc;
    trap.tval = csr_read(MTVAL);
    trap.status = csr_read(MSTATUS);
    trap.level = M;
    if (have('h')) {
        trap.gpa2 = csr_read(MTVAL2);
        trap.inst = csr_read(MTINST);
        trap.hstatus = csr_read(HSTATUS);
    }
    if (trap.count > 1000)
        give_up("endless traps: ");
    if (cause & IRQ)
        csr_clear(MIE, 1ULL << (cause & 63));
    csr_write(MEPC, resume_at(frame));
}

void trap_s(struct frame *frame)
{
    uint64_t epc = csr_read(SEPC), cause = csr_read(SCAUSE);

    if ((cause == ECALL_U || cause == ECALL_S) && epc - run_alias == FN(run_done)) {
        ((void (*)(void))FN(strap_leave))();
        return;
    }
    trap.count++;
    trap.cause = cause;
    trap.epc = epc;
    trap.tval = csr_read(STVAL);
    trap.status = csr_read(SSTATUS);
    trap.level = S;
    if (with_htval) {
        trap.gpa2 = csr_read(HTVAL);
        trap.inst = csr_read(HTINST);
        trap.hstatus = csr_read(HSTATUS);
    }
    if (cause & IRQ)
        csr_clear(SIE, 1ULL << (cause & 63));
    if (with_htval && cause == (IRQ | 12))
        csr_clear(HIE, 1ULL << 12);
    csr_write(SEPC, resume_at(frame));
}

/* Where a mode sees RAM: U and VU, once paging is on, at USER_ALIAS. */
static uint64_t alias_of(enum mode mode)
{
    uint64_t atp = mode == U ? csr_read(SATP) : mode == VU ? csr_read(VSATP) : 0;
    return atp >> 60 != 0 ? USER_ALIAS : 0;
}

uint64_t run_in(enum mode mode, uint64_t pc, uint64_t a, uint64_t b)
{
    uint64_t sp = FN(run_stack) + sizeof run_stack;

    run_alias = alias_of(mode);
    if (mode >= VU) { /* by sret: M-mode's write of MPV is lost by QEMU 10 */
        csr_set(HSTATUS, 1 << 7);
        csr_clear(SSTATUS, MSTATUS_SPP | MSTATUS_SPIE);
        csr_set(SSTATUS, (mode == VS ? MSTATUS_SPP : 0) |
                             (csr_read(SSTATUS) & MSTATUS_SIE ? MSTATUS_SPIE : 0));
        csr_write(SEPC, pc + run_alias);
        csr_clear(MSTATUS, MSTATUS_MPP(M) | MSTATUS_MPIE);
        csr_set(MSTATUS, MSTATUS_MPP(S) | MSTATUS_MPIE);
        return run_enter(FN(run_virtual), a, b, sp + run_alias);
    }
    csr_clear(MSTATUS, MSTATUS_MPP(M) | MSTATUS_MPIE);
    csr_set(MSTATUS, MSTATUS_MPP(mode) | (csr_read(MSTATUS) & MSTATUS_MIE ? MSTATUS_MPIE : 0));
    return run_enter(pc + run_alias, a, b, sp + run_alias);
}

uint64_t probe(enum mode mode, uint32_t word, uint64_t a, uint64_t b)
{
    uint16_t *code = (uint16_t *)probe_code;

    covers(word);
    *code++ = (uint16_t)word;
    if ((word & 3) == 3)
        *code++ = (uint16_t)(word >> 16);
    *code++ = (uint16_t)RET;
    *code = (uint16_t)(RET >> 16);
    fence_i();
    trap_clear();
    probe_pc = FN(probe_code) + alias_of(mode);
    return run_in(mode, FN(probe_code), a, b);
}

void vm_on(unsigned mode)
{
    uint64_t root = mode == 10 ? FN(root57) : mode == 9 ? FN(root48) : FN(giga);

    giga[1] = PTE_PPN(FN(mega)) | PTE_V;
    giga[2] = PTE_PPN(0x80000000) | PTE_ALL;
    giga[(USER_ALIAS + 0x80000000) >> 30] = PTE_PPN(0x80000000) | PTE_ALL | PTE_U;
    mega[0] = PTE_PPN(FN(leaf)) | PTE_V;
    root48[0] = PTE_PPN(FN(giga)) | PTE_V;
    root57[0] = PTE_PPN(FN(root48)) | PTE_V;
    csr_write(SATP, mode == 0 ? 0 : (uint64_t)mode << 60 | root >> 12);
    sfence_vma();
}

void vm_map(unsigned index, uint64_t pa, uint64_t flags)
{
    leaf[index] = PTE_PPN(pa) | flags;
    sfence_vma();
}

void check_vectors(const char *name, const void *stub, enum vector_kind kind,
                   const struct vector *vectors, size_t count)
{
    static uint64_t memory;
    const uint16_t *code = stub;
    uint32_t word = 0;

    for (; word != RET && word != C_RET; code += (word & 3) == 3 ? 2 : 1) {
        word = (code[0] & 3) == 3 ? code[0] | (uint32_t)code[1] << 16 : code[0];
        covers(word);
    }
    for (size_t i = 0; i < count; i++) {
        const struct vector *v = &vectors[i];
        struct stub_regs regs = {.a0 = v->a, .a1 = v->b, .fcsr = v->fcsr};
        bool good;

        if (kind == VECTOR_F || kind == VECTOR_C) {
            regs.fa1 = v->a;
            regs.fa2 = v->b;
            regs.fa3 = v->c;
        }
        memory = v->c;
        regs.a2 = FN(&memory);
        trap_clear();
        call_stub(stub, &regs);
        good = check_ok("arithmetic", 0, name) &&
               check_eq("arithmetic", 0, name,
                        kind == VECTOR_F || kind == VECTOR_T ? regs.fa0 : regs.a0, v->want);
        if (kind == VECTOR_M)
            good &= check_eq("arithmetic: memory", 0, name, memory, v->want_memory);
        if (kind >= VECTOR_F)
            good &= check_eq("arithmetic: fcsr", 0, name, regs.fcsr, v->want_fcsr);
        if (!good) {
            print("    operands ");
            print_hex(v->a);
            print(" ");
            print_hex(v->b);
            print(" ");
            print_hex(v->c);
            print(" fcsr ");
            print_hex(v->fcsr);
            print("\n");
        }
    }
}

bool have(char letter)
{
    return csr_read(MISA) >> (letter - 'a') & 1;
}

bool executes(uint32_t word)
{
    probe(M, word, FN(pages), 0);
    return trap.count == 0;
}

void rt_start(void)
{
    csr_write(STVEC, FN(strap_entry));
    csr_write(PMPADDR0, (1ULL << 54) - 1);
    csr_write(PMPCFG0, 0x1f);
    csr_write(MCOUNTEREN, 7);
    csr_write(SCOUNTEREN, 7);
    test_main();
    finish();
}
