/*
 * Between the generator's parts: what is drawn (generate.c; vector.c for vector instructions) and
 * the values that it gets (operands.c).
 */
#ifndef TESTS_RANDOM_MAKER_H
#define TESTS_RANDOM_MAKER_H

#include "generate.h"

#define MODE_U 0
#define MODE_S 1
#define MODE_M 3

#define MSTATUS_SIE  (1ULL << 1)
#define MSTATUS_MIE  (1ULL << 3)
#define MSTATUS_SPIE (1ULL << 5)
#define MSTATUS_MPIE (1ULL << 7)
#define MSTATUS_SPP  (1ULL << 8)
#define MSTATUS_VS   (3ULL << 9)
#define MSTATUS_MPP  (3ULL << 11)
#define MSTATUS_FS   (3ULL << 13)
#define MSTATUS_MPRV (1ULL << 17)
#define MSTATUS_SUM  (1ULL << 18)
#define MSTATUS_MXR  (1ULL << 19)
#define MSTATUS_TVM  (1ULL << 20)
#define MSTATUS_TW   (1ULL << 21)
#define MSTATUS_TSR  (1ULL << 22)
/* VS is read-only zero without V. */
#define STATUS_S                                                                                   \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_VS | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
#define STATUS_M                                                                                   \
    (STATUS_S | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR)
#define MIP_MSIP     8ULL
#define MEDELEG      0xb1f6ULL
#define INTERRUPTS_S 0x222ULL
#define INTERRUPTS_M 0xaaaULL
#define MSTATUS_MPV  (1ULL << 39)
/* Of H: */
#define HEDELEG       0xb1f6ULL
#define MEDELEG_H     (MEDELEG | 0xf00400ULL)
#define INTERRUPTS_VS 0x444ULL
#define HSTATUS_SPVP  (1ULL << 8)
#define HSTATUS_HU    (1ULL << 9)
#define HSTATUS_VTW   (1ULL << 21)
#define HSTATUS_H     (HSTATUS_SPVP | HSTATUS_HU | 1ULL << 20 | HSTATUS_VTW | 1ULL << 22)

enum csr_kind {
    CSR_FREE,     /* any value */
    CSR_VALUE,    /* values of the program's choice, which keep the harness alive */
    CSR_REPLACE,  /* the same, and only written as a whole */
    CSR_READ,     /* read, never written */
    CSR_VOLATILE, /* the value read is the implementation's */
};

struct csr_rule {
    uint16_t csr;
    uint8_t kind;
    uint64_t mask; /* bits that CSR_VALUE and CSR_REPLACE may have */
};

/* Every CSR that programs access. */
extern const struct csr_rule csr_rules[];
extern const unsigned csr_rule_count, csr_rule_count_h; /* with those of H behind them */

struct maker {
    struct program *program;
    uint64_t state; /* of the random numbers */
    const struct machine *machine;
    unsigned mode, vm; /* initial mode; satp.MODE, or vsatp.MODE */
    bool guest;        /* in a guest (V=1) */
    uint32_t reserved; /* registers that items must not write */
    unsigned pointer[3];
    unsigned counter;            /* of loops; only ever decremented */
    unsigned csr_reg[3], csr[3]; /* register that holds the value for a CSR; 0: none */
    unsigned clear,
        supervisor;    /* registers for xRET sequences: MPP | SPP, and MPP = SPP = S; 0: none */
    bool amo_anywhere; /* AMOs may fault */
    bool pmp;          /* entries are, or will be, on */
    bool vacant;       /* a pointer or an entry leads where no memory is */
    bool still; /* mode and translation stay as they start: no xRET, no write of mstatus or satp */
    struct item *item;
};

static inline uint64_t rnd(struct maker *m)
{
    uint64_t z = m->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline unsigned below(struct maker *m, unsigned limit)
{
    return (unsigned)((rnd(m) >> 32) * limit >> 32);
}

/* True in one of `n` cases. */
static inline bool one_in(struct maker *m, unsigned n)
{
    return below(m, n) == 0;
}

/* ---- Instructions into items (generate.c) ---- */

static inline uint32_t field(uint32_t word, unsigned low, unsigned width, uint32_t value)
{
    uint32_t mask = (width == 32 ? 0 : 1u << width) - 1;

    return (word & ~(mask << low)) | (value & mask) << low;
}

static inline uint32_t set_rd(uint32_t word, unsigned rd)
{
    return field(word, 7, 5, rd);
}

static inline uint32_t set_rs1(uint32_t word, unsigned rs1)
{
    return field(word, 15, 5, rs1);
}

static inline uint32_t set_rs2(uint32_t word, unsigned rs2)
{
    return field(word, 20, 5, rs2);
}

static inline uint32_t i_type(enum riscv_op op, unsigned rd, unsigned rs1, int imm)
{
    return field(set_rs1(set_rd(insn_table[op].match, rd), rs1), 20, 12, (uint32_t)imm);
}

/* The item exercises the row. */
void emit_row(struct maker *m, unsigned row, uint32_t word);
/* Registers that items may write, x0 now and then; and any to read. */
unsigned free_reg(struct maker *m);
unsigned free_reg_not_0(struct maker *m);
unsigned any_reg(struct maker *m);

/* Fills the current item with a vector instruction of the row; false: it shall be drawn again. */
bool make_vector(struct maker *m, unsigned row);
/* What of V a program starts with. */
void make_vector_state(struct maker *m);

/* ---- Values (operands.c) ---- */

#define PTE_W   4ULL
#define PTE_A   64ULL
#define PTE_V   1ULL
#define PTE_U   16ULL
#define PTE_ALL 0xcfULL
#define PTE_N   (1ULL << 63)

static inline uint64_t ppn(uint64_t pa)
{
    return pa >> 12 << 10;
}

/* Corner cases of integers, and any others. */
uint64_t interesting(struct maker *m);
/* A floating-point register: one of the three formats, NaN-boxed but for a few. */
uint64_t fp_register(struct maker *m);
/* What a register that addresses memory starts with. */
uint64_t pointer_value(struct maker *m);
uint64_t leaf_entry(struct maker *m, unsigned index);
/* What H adds to a program's state. */
void make_hyper_state(struct maker *m);
/* A leaf made to lead where no memory is. */
bool is_vacant(uint64_t pte);
uint64_t mega_entry(struct maker *m);
uint64_t satp_value(struct maker *m, unsigned vm);
unsigned random_vm(struct maker *m);
uint64_t pmpaddr_value(struct maker *m);
uint64_t pmpcfg_value(struct maker *m);
uint64_t envcfg_value(struct maker *m, uint64_t mask);
/* One that the program may write to this CSR. */
uint64_t csr_value(struct maker *m, const struct csr_rule *rule);

#endif
