/*
 * A batch image of the random-program comparison: what the generator (random.c, on the host) and
 * the harness (harness.S, run.c, on the machine under test) agree on.
 *
 * The harness is loaded and entered at HARNESS_BASE. Behind it, at BATCH_BASE, lies a struct batch,
 * then the descriptors, then code. The harness runs one program after the other and prints a line
 * for each: a hash of its record, its marks (0 if it did not come to its end, for then its last
 * item may be half executed), and the items in which an instruction was illegal. "E" and the number
 * of interrupts that came from hart 1 is the last line.
 */
#ifndef TESTS_RANDOM_IMAGE_H
#define TESTS_RANDOM_IMAGE_H

#define HARNESS_BASE 0x80000000
#define TABLES_BASE  0x80040000 /* page tables: root57, root48, giga (root39), mega, leaf */
#define DATA_BASE    0x80060000 /* the memory that programs load and store */
#define DATA_SIZE    0x4000
#define DATA_CHUNK   0x100 /* bytes covered by one checksum of the record */
#define BATCH_BASE   0x80200000
/* Tables of the G stage: g_root (16 KiB), g_mega, g_leaf. They map RAM to itself and WINDOW's
 * pages, as guest-physical ones, by the program's own entries. */
#define G_TABLES 0x80048000
#define CODE_MASK                                                                                  \
    0x3fffffff /* of a pc: its offset in the 1 GiB page, the same in every mapping of RAM */

/*
 * Address space under Sv39, Sv48 and Sv57: RAM maps to itself for S-mode, to + USER_ALIAS for
 * U-mode; the 16 pages at WINDOW are the program's own entries, and so is the 2 MiB page at
 * WINDOW_MEGA.
 */
#define USER_ALIAS   0x100000000
#define WINDOW       0x140000000
#define WINDOW_PAGES 16
#define WINDOW_MEGA  0x140200000

#define STORM_RUN 500 /* so many programs in a row without storms, then as many with */

#define TRAP_MAX   40
#define TRAP_WORDS 6

#define V_WORDS 256 /* all vector registers, of at most 512 bits */

/* Offsets in struct descriptor, for the assembler. */
#define D_X    0
#define D_F    256
#define D_FCSR 512

#ifndef __ASSEMBLER__
#include <stdint.h>

/* hstatus, hedeleg, hideleg, hie, hvip, hcounteren, henvcfg, vsstatus, vsie, vsepc, vscause,
 * vstval, vsscratch, vsatp */
#define H_WORDS 14

struct descriptor {
    uint64_t x[32]; /* [0]: pc */
    uint64_t f[32];
    uint64_t fcsr;
    uint64_t end; /* address of the EBREAK that ends it, as M-mode sees it */
    uint64_t start;
    uint64_t mstatus; /* MPP is the mode it starts in */
    uint64_t medeleg, mideleg, mie, mip;
    uint64_t satp, mcounteren, scounteren, menvcfg, senvcfg;
    uint64_t pmpcfg0, pmpaddr[8];
    uint64_t leaf[WINDOW_PAGES], mega;
    uint64_t msip, mtimecmp, stimecmp;
    uint64_t data_seed;
    /* 1: in S- or U-mode, while hart 1 interrupts it again and again; M-mode takes these interrupts
     * and nothing of them is to be seen. */
    uint64_t storm;
    uint64_t mark; /* number of the register that tells which items were executed */
    uint64_t vl, vtype, vstart, vcsr; /* with BATCH_VECTOR */
    /* With BATCH_HYPER; mstatus.MPV tells whether it starts in a guest. */
    uint64_t hstatus, hedeleg, hideleg, hvip, hcounteren, henvcfg, vsstatus, vsatp, hgatp;
    uint64_t g_leaf[WINDOW_PAGES];
};

/* BATCH_STORM: a program in the batch has `storm`. BATCH_VECTOR: the machine has V.
 * BATCH_HYPER: programs of H. */
enum {
    BATCH_VERBOSE = 1,
    BATCH_SSTC = 2,
    BATCH_STATEEN = 4,
    BATCH_STORM = 8,
    BATCH_VECTOR = 16,
    BATCH_HYPER = 32,
};

struct batch {
    uint64_t count;
    uint64_t flags;
    uint64_t data[64]; /* the words that fill the data area and the vector registers */
    struct descriptor descriptors[];
};

/* What a program left behind. Hashed into one word, or printed word by word (BATCH_VERBOSE). */
struct record {
    uint64_t x[32]; /* [0]: 0 */
    uint64_t f[32];
    uint64_t fcsr;
    uint64_t end_cause, end_epc, end_status;
    uint64_t mie, mip, medeleg, mideleg;
    uint64_t sepc, scause, stval, stvec;
    uint64_t satp, mcounteren, scounteren, menvcfg, senvcfg;
    uint64_t pmpcfg0, pmpaddr[8];
    uint64_t leaf[WINDOW_PAGES], mega;
    uint64_t data[DATA_SIZE / DATA_CHUNK];
    uint64_t vl, vtype, vstart, vcsr, v[V_WORDS]; /* 0 without V */
    uint64_t h[H_WORDS];                          /* 0 without H */
    uint64_t traps;
    /* cause (bit 62: handled in HS-mode, 61: in VS-mode), epc, tval, status, a hash of the state of
     * V, and what H adds to it */
    uint64_t trap[TRAP_MAX][TRAP_WORDS];
};
#endif

#endif
