/*
 * Runtime of the bare-metal ISA tests: RV64, M-mode, one hart (harts.c: two), the `virt` board's
 * UART and test finisher.
 *
 * A test is a C file with `void test_main(void)`. It executes single instructions, given as words,
 * in a chosen mode through probe(), and checks what they did: their result, or the trap that they
 * took. Each failed check prints one line; the program ends through the finisher (0x5555: all
 * passed, 0x3333: some failed).
 */
#ifndef TESTS_ISA_ISA_H
#define TESTS_ISA_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* VU and VS are entered from HS-mode (hypervisor.c). */
enum mode { U = 0, S = 1, M = 3, VU = 4, VS = 5 };

/* Causes (Privileged ISA 20240411, table 14). */
#define IRQ (1ULL << 63)
enum cause {
    FETCH_MISALIGNED = 0,
    FETCH_ACCESS = 1,
    ILLEGAL = 2,
    BREAKPOINT = 3,
    LOAD_MISALIGNED = 4,
    LOAD_ACCESS = 5,
    STORE_MISALIGNED = 6,
    STORE_ACCESS = 7,
    ECALL_U = 8,
    ECALL_S = 9,
    ECALL_VS = 10,
    ECALL_M = 11,
    FETCH_PAGE = 12,
    LOAD_PAGE = 13,
    STORE_PAGE = 15,
    FETCH_GUEST = 20,
    LOAD_GUEST = 21,
    VIRTUAL = 22,
    STORE_GUEST = 23,
};

/* The last trap taken, and how many since trap_clear(). */
struct trap {
    uint64_t count;
    uint64_t cause, epc, tval;
    uint64_t status;     /* mstatus (sstatus if level is S) as the handler found it */
    enum mode level;     /* mode of the handler */
    uint64_t gpa2, inst; /* with H: mtval2, mtinst or htval, htinst */
    uint64_t hstatus;    /* with H, in M and HS */
};
extern struct trap trap;
void trap_clear(void);
/* The handler in S-mode is HS-mode's, and notes what only that has. */
extern bool with_htval;
/* When set, the next traps resume there instead of behind the instruction that trapped. */
extern uint64_t trap_resume;

/* Runs fn(a, b) in a mode, under the current satp, until it returns. Traps are recorded and
 * skipped. */
/* M-mode runs with the caller's mstatus.MIE. */
uint64_t run_in(enum mode mode, uint64_t pc, uint64_t a, uint64_t b);
#define FN(fn) ((uint64_t)(uintptr_t)(fn))

/*
 * Writes `word` (16 bits long if its low bits are not 11) followed by `ret` into probe_code, and
 * runs it in `mode` with a0 = a, a1 = b. Returns a0. `trap` is cleared first.
 */
uint64_t probe(enum mode mode, uint32_t word, uint64_t a, uint64_t b);
extern uint32_t probe_code[1024];
/* Address of probe_code as the last probe's mode saw it: the epc to expect. */
extern uint64_t probe_pc;

/* Checks. `what` is a literal. */
#define CHECK_EQ(what, got, want)                                                                  \
    check_eq(__FILE_NAME__, __LINE__, what, (uint64_t)(got), (uint64_t)(want))
#define CHECK_OK(what) check_ok(__FILE_NAME__, __LINE__, what)
/* The last probe took exactly one trap, at its own pc. */
#define CHECK_TRAP(what, cause, tval)                                                              \
    check_trap(__FILE_NAME__, __LINE__, what, cause, (uint64_t)(tval))
#define CHECK_ILLEGAL(what, word) check_illegal(__FILE_NAME__, __LINE__, what, word)
bool check_eq(const char *file, int line, const char *what, uint64_t got, uint64_t want);
bool check_ok(const char *file, int line, const char *what);
bool check_trap(const char *file, int line, const char *what, uint64_t cause, uint64_t tval);
/* tval of an illegal instruction: its bits, or 0 (Privileged ISA, 3.1.16). */
bool check_illegal(const char *file, int line, const char *what, uint32_t word);
void print(const char *text);
void print_hex(uint64_t value);

/* Encoders. Registers: 10 is a0, 11 a1. */
#define ENC_R(match, rd, rs1, rs2) ((uint32_t)(match) | (rd) << 7 | (rs1) << 15 | (rs2) << 20)
#define ENC_I(match, rd, rs1, imm)                                                                 \
    ((uint32_t)(match) | (rd) << 7 | (rs1) << 15 | ((uint32_t)(imm)&0xfff) << 20)
#define ENC_S(match, rs1, rs2, imm)                                                                \
    ((uint32_t)(match) | (rs1) << 15 | (rs2) << 20 | ((uint32_t)(imm)&0x1f) << 7 |                 \
     ((uint32_t)(imm) >> 5 & 0x7f) << 25)
#define CSRRW(csr) ENC_I(0x1073, 10, 10, csr)
#define CSRRS(csr) ENC_I(0x2073, 10, 10, csr)
#define CSRRC(csr) ENC_I(0x3073, 10, 10, csr)
#define CSRR(csr)  ENC_I(0x2073, 10, 0, csr)
#define LB         ENC_I(0x0003, 10, 10, 0) /* a0 = [a0] */
#define LH         ENC_I(0x1003, 10, 10, 0)
#define LW         ENC_I(0x2003, 10, 10, 0)
#define LD         ENC_I(0x3003, 10, 10, 0)
#define LBU        ENC_I(0x4003, 10, 10, 0)
#define SB         ENC_S(0x0023, 10, 11, 0) /* [a0] = a1 */
#define SH         ENC_S(0x1023, 10, 11, 0)
#define SW         ENC_S(0x2023, 10, 11, 0)
#define SD         ENC_S(0x3023, 10, 11, 0)
#define JALR_A0    ENC_I(0x0067, 0, 10, 0)
#define LR_W       ENC_R(0x1000202f, 10, 10, 0)
#define LR_D       ENC_R(0x1000302f, 10, 10, 0)
#define SC_W       ENC_R(0x1800202f, 10, 10, 11)
#define SC_D       ENC_R(0x1800302f, 10, 10, 11)
#define AMOADD_W   ENC_R(0x0000202f, 10, 10, 11)
#define AMOADD_D   ENC_R(0x0000302f, 10, 10, 11)
#define ECALL      0x00000073u
#define EBREAK     0x00100073u
#define C_EBREAK   0x9002u
#define WFI        0x10500073u
#define MRET       0x30200073u
#define SRET       0x10200073u
#define SFENCE_VMA 0x12000073u
#define NOP        0x00000013u
#define RET        0x00008067u
#define C_RET      0x8082u

#define csr_read(csr)                                                                              \
    ({                                                                                             \
        uint64_t v_;                                                                               \
        __asm__ volatile("csrr %0, %1" : "=r"(v_) : "i"(csr) : "memory");                          \
        v_;                                                                                        \
    })
#define csr_write(csr, value)                                                                      \
    __asm__ volatile("csrw %0, %1" : : "i"(csr), "r"((uint64_t)(value)) : "memory")
#define csr_set(csr, value)                                                                        \
    __asm__ volatile("csrs %0, %1" : : "i"(csr), "r"((uint64_t)(value)) : "memory")
#define csr_clear(csr, value)                                                                      \
    __asm__ volatile("csrc %0, %1" : : "i"(csr), "r"((uint64_t)(value)) : "memory")
#define fence_i()    __asm__ volatile("fence.i" : : : "memory")
#define sfence_vma() __asm__ volatile("sfence.vma" : : : "memory")

/* CSR numbers (Privileged ISA, chapter 2). */
enum {
    FFLAGS = 0x001,
    FRM = 0x002,
    FCSR = 0x003,
    CYCLE = 0xc00,
    TIME = 0xc01,
    INSTRET = 0xc02,
    HPMCOUNTER3 = 0xc03,
    SSTATUS = 0x100,
    SIE = 0x104,
    STVEC = 0x105,
    SCOUNTEREN = 0x106,
    SENVCFG = 0x10a,
    SSTATEEN0 = 0x10c,
    SSCRATCH = 0x140,
    SEPC = 0x141,
    SCAUSE = 0x142,
    STVAL = 0x143,
    SIP = 0x144,
    STIMECMP = 0x14d,
    SATP = 0x180,
    VSSTATUS = 0x200,
    VSIE = 0x204,
    VSTVEC = 0x205,
    VSSCRATCH = 0x240,
    VSEPC = 0x241,
    VSCAUSE = 0x242,
    VSTVAL = 0x243,
    VSIP = 0x244,
    VSTIMECMP = 0x24d,
    VSATP = 0x280,
    HSTATUS = 0x600,
    HEDELEG = 0x602,
    HIDELEG = 0x603,
    HIE = 0x604,
    HTIMEDELTA = 0x605,
    HCOUNTEREN = 0x606,
    HGEIE = 0x607,
    HENVCFG = 0x60a,
    HSTATEEN0 = 0x60c,
    HTVAL = 0x643,
    HIP = 0x644,
    HVIP = 0x645,
    HTINST = 0x64a,
    HGATP = 0x680,
    HGEIP = 0xe12,
    MTINST = 0x34a,
    MTVAL2 = 0x34b,
    MSTATUS = 0x300,
    MISA = 0x301,
    MEDELEG = 0x302,
    MIDELEG = 0x303,
    MIE = 0x304,
    MTVEC = 0x305,
    MCOUNTEREN = 0x306,
    MENVCFG = 0x30a,
    MSTATEEN0 = 0x30c,
    MCOUNTINHIBIT = 0x320,
    MHPMEVENT3 = 0x323,
    MSCRATCH = 0x340,
    MEPC = 0x341,
    MCAUSE = 0x342,
    MTVAL = 0x343,
    MIP = 0x344,
    PMPCFG0 = 0x3a0,
    PMPADDR0 = 0x3b0,
    MCYCLE = 0xb00,
    MINSTRET = 0xb02,
    MHPMCOUNTER3 = 0xb03,
    MVENDORID = 0xf11,
    MARCHID = 0xf12,
    MIMPID = 0xf13,
    MHARTID = 0xf14,
    MCONFIGPTR = 0xf15,
};

/* mstatus fields. */
#define MSTATUS_SIE    (1ULL << 1)
#define MSTATUS_MIE    (1ULL << 3)
#define MSTATUS_SPIE   (1ULL << 5)
#define MSTATUS_MPIE   (1ULL << 7)
#define MSTATUS_SPP    (1ULL << 8)
#define MSTATUS_MPP(m) ((uint64_t)(m) << 11)
#define MSTATUS_FS     (3ULL << 13)
#define MSTATUS_MPRV   (1ULL << 17)
#define MSTATUS_SUM    (1ULL << 18)
#define MSTATUS_MXR    (1ULL << 19)
#define MSTATUS_TVM    (1ULL << 20)
#define MSTATUS_TW     (1ULL << 21)
#define MSTATUS_TSR    (1ULL << 22)
#define MSTATUS_GVA    (1ULL << 38)
#define MSTATUS_MPV    (1ULL << 39)
#define MENVCFG_STCE   (1ULL << 63)
#define MENVCFG_PBMTE  (1ULL << 62)
#define MENVCFG_ADUE   (1ULL << 61)

/* Page tables (Privileged ISA, 10.4): flags of an entry. */
#define PTE_V       1ULL
#define PTE_R       2ULL
#define PTE_W       4ULL
#define PTE_X       8ULL
#define PTE_U       16ULL
#define PTE_G       32ULL
#define PTE_A       64ULL
#define PTE_D       128ULL
#define PTE_N       (1ULL << 63)
#define PTE_PBMT(m) ((uint64_t)(m) << 61)
#define PTE_PPN(pa) ((uint64_t)(pa) >> 12 << 10)
#define PTE_ALL     (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

/*
 * A fixed address space for Sv39, Sv48 and Sv57 (modes 8, 9, 10). RAM is mapped to itself for
 * S-mode, and at
 * + USER_ALIAS for U-mode, by 1 GiB pages; 0x40000000 to 0x401fffff is `leaf` (512 pages of 4 KiB),
 * the 2 MiB page at 0x40200000 is `mega[1]`, the 1 GiB page at 0xc0000000 is `giga[3]`.
 */
#define USER_ALIAS  0x100000000ULL
#define WINDOW      0x40000000ULL
#define WINDOW_MEGA 0x40200000ULL
#define WINDOW_GIGA 0xc0000000ULL
extern uint64_t leaf[512], mega[512], giga[512], root48[512], root57[512];
extern uint8_t pages[8][4096]; /* RAM for windows, page-aligned; 32 KiB-aligned */
void vm_on(unsigned mode);     /* 0: bare */
/* Maps window page `index` to a physical address with flags, and fences. */
void vm_map(unsigned index, uint64_t pa, uint64_t flags);

/* What hart 1, if there is one, is to run; it waits for it. On its own stack of 4 KiB, in M-mode,
 * without traps. */
extern void (*volatile other_entry)(void);

/* Memory-mapped board. */
#define CLINT_MSIP     ((volatile uint32_t *)0x2000000)
#define CLINT_MTIMECMP ((volatile uint64_t *)0x2004000)
#define CLINT_MTIME    ((volatile uint64_t *)0x200bff8)
#define HOLE           0x90000000ULL /* no memory and no device there, on a board with 64 MiB */

/* MATCH_add, ...: the fixed bits of each instruction of the table. */
#define MATCH_FIRST(match, ...) match
#define MATCH_EXPAND(...)       MATCH_FIRST(__VA_ARGS__)
enum {
#define INSN(name, mnemonic, encoding, format, extension, flags)                                   \
    MATCH_##name = MATCH_EXPAND(encoding),
#define CINSN(name, mnemonic, match, mask, format, extension, target) MATCH_##name = match,
#include "riscv/insn.def"
};

/* Notes that the program executes `word` and checks what it does; probe() and check_vectors() do it
 * for theirs. run.sh wants each row of the table to be noted by some program. */
void covers(uint32_t word);

struct stub_regs {
    uint64_t a0, a1, a2;
    uint64_t fa0, fa1, fa2, fa3;
    uint64_t fcsr;
};
void call_stub(const void *code, struct stub_regs *regs);

/* One row of the tables that arithmetic.py makes; what is not used is 0. */
struct vector {
    uint64_t a, b, c; /* a0, a1 and memory; or the raw registers fa1, fa2, fa3 */
    uint64_t want;
    uint64_t want_memory;
    uint16_t fcsr, want_fcsr;
};
enum vector_kind {
    VECTOR_X, /* a0 = f(a0, a1) */
    VECTOR_M, /* a0 = f(a0, a1, memory at a2), and memory */
    VECTOR_F, /* fa0 = f(fa1, fa2, fa3), fcsr */
    VECTOR_C, /* a0 = f(fa1, fa2), fcsr */
    VECTOR_T, /* fa0 = f(a0), fcsr */
};
void check_vectors(const char *name, const void *stub, enum vector_kind kind,
                   const struct vector *vectors, size_t count);

/* True if the CPU lists a single-letter extension in misa. */
bool have(char letter);
/* True if `word` executes in M-mode (a0 = probe RAM): for extensions that no CSR announces. */
bool executes(uint32_t word);

void test_main(void);

#endif
