/*
 * An interrupt file (RISC-V AIA 1.0, 3.1 to 3.10), of an IMSIC or, in type 1, of a VCPU that has
 * none of the hart's now; and the memory region of some. Knows no hart; the caller locks it.
 */
#ifndef RISCV_IMSIC_H
#define RISCV_IMSIC_H

#include "core/bus.h"

#define IMSIC_IDS_MAX    2047
#define IMSIC_PAGE_SHIFT 12 /* each file has a page of the address space (3.5) */

/* Values of *iselect. XLEN is 64: eip and eie have even numbers alone (3.8). */
enum imsic_select {
    IMSIC_EIDELIVERY = 0x70,
    IMSIC_EITHRESHOLD = 0x72,
    IMSIC_EIP0 = 0x80,
    IMSIC_EIE0 = 0xc0,
    IMSIC_SELECT_LAST = 0xff,
};

struct imsic_file {
    unsigned ids;                 /* the largest identity, one less than a multiple of 64 */
    uint64_t delivery, threshold; /* eidelivery: 0 or 1 */
    /* Bit n % 64 of word n / 64: identity n. Never 0 or what is above `ids`. */
    uint64_t pending[(IMSIC_IDS_MAX + 1) / 64];
    uint64_t enabled[(IMSIC_IDS_MAX + 1) / 64];
};

/* As after a reset: nothing is delivered, enabled or pending. */
void imsic_reset(struct imsic_file *file);
/* A message came. Identities that there are not are ignored (3.5). */
void imsic_receive(struct imsic_file *file, uint32_t identity);
/* What *topei reads: the identity, twice (3.10); 0: none. */
uint32_t imsic_top(const struct imsic_file *file);
/* *topei is written: `identity`, which it read as, is claimed; 0 claims none. */
void imsic_claim(struct imsic_file *file, uint32_t identity);
/* Whether the file signals an interrupt to its hart. */
bool imsic_signals(const struct imsic_file *file);
/* The register that *iselect names and its bits that may be written; NULL: none (of 0x71 and 0x73
 * to 0x7f *ireg reads 0). */
uint64_t *imsic_register(struct imsic_file *file, uint64_t select, uint64_t *writable);

/*
 * The pages of files (3.5): seteipnum_le and seteipnum_be at 0 and 4 of each; all else reads 0.
 * `receive` gets the number of the page, whatever it is, and what was written. Any thread.
 */
struct imsic_pages {
    void (*receive)(void *arg, uint64_t page, uint32_t identity);
    void *arg;
};
extern const struct bus_ops imsic_pages_bus_ops; /* device: a struct imsic_pages */

#endif
