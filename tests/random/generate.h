/*
 * The generator of random programs: program `index` of `seed`, always the same.
 */
#ifndef TESTS_RANDOM_GENERATE_H
#define TESTS_RANDOM_GENERATE_H

#include "image.h"
#include "riscv/insn.h"

#include <stdio.h>

#define ITEMS_MAX 60
#define CODE_MAX  2560

/* Rows of the table: first those of 32 bits (enum riscv_op), then the compressed. */
#define ROWS_MAX 1024

/* What the reference lacks or does otherwise; see excluded() and the table of CSRs in generate.c.
 */
enum reference { REFERENCE_QEMU7, REFERENCE_QEMU10 };

/* A few instructions that stay together; branches go from item to item. */
struct item {
    uint8_t bytes[48];
    uint8_t length;
    uint8_t fix_at;    /* offset of the branch whose target is filled in */
    uint8_t fix;       /* enum item_fix */
    uint8_t target;    /* item number */
    uint16_t rows[12]; /* rows of the table that it exercises */
    uint8_t row_count;
};

/* The machines that programs run on. */
struct machine {
    enum reference reference;
    unsigned vlen; /* bits of a vector register: programs with vector instructions; 0: without V */
    bool hyper; /* programs with the hypervisor extension, with that length there, but not used */
};

/*
 * Each item begins by setting its bit in the register `mark`, which nothing else writes, so that
 * the record tells which items were executed.
 */
struct program {
    struct descriptor descriptor; /* start, end and pc: program_place fills them */
    struct item items[ITEMS_MAX];
    unsigned item_count;
    unsigned mark;
};

_Static_assert(ITEMS_MAX <= 64, "a register has a bit for each item");

unsigned row_count(void);
const char *row_name(unsigned row);
/* The reference implements it, so that programs must cover it. */
bool row_covered(unsigned row, const struct machine *machine);
/* Rows of V count when they were legal. */
bool is_vector_row(unsigned row);

void program_make(struct program *program, uint64_t seed, uint64_t index,
                  const struct machine *machine);
/*
 * Writes the first `items` items and the EBREAK that ends them to `code`, to run at `pc` (as M-mode
 * sees it), and completes `descriptor`. Returns the bytes written, at most CODE_MAX.
 */
size_t program_place(const struct program *program, unsigned items, uint64_t pc, uint8_t *code,
                     struct descriptor *descriptor);
void program_print(const struct program *program, unsigned items, uint64_t pc, FILE *out);
/* The 64 words that fill the data area. */
void data_words(uint64_t words[64], const struct machine *machine);

#endif
