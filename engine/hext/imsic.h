/*
 * An interrupt file in memory (RISC-V AIA 1.0, 3.4 to 3.10): what a guest interrupt file of a
 * hart's IMSIC holds, for a VCPU that has none now, and how its CSRs answer then. Knows no hart;
 * the caller locks it.
 */
#ifndef ENGINE_HEXT_IMSIC_H
#define ENGINE_HEXT_IMSIC_H

#include <stdbool.h>
#include <stdint.h>

#define IMSIC_IDS_MAX 2047

/* Values of siselect. XLEN is 64: eip and eie have even numbers alone (3.8). */
enum imsic_select {
    IMSIC_EIDELIVERY = 0x70,
    IMSIC_EITHRESHOLD = 0x72,
    IMSIC_EIP0 = 0x80,
    IMSIC_EIE0 = 0xc0,
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
/* What stopei reads: the identity, twice (3.10); 0: none. */
uint32_t imsic_top(const struct imsic_file *file);
/* Whether the file signals an interrupt to its hart. */
bool imsic_signals(const struct imsic_file *file);
/*
 * Executes an access to sireg or stopei, as a guest's S-mode would, on the registers x[1..31].
 * `select` is siselect. False: it is another instruction, or an illegal one.
 */
bool imsic_execute(struct imsic_file *file, uint32_t insn, uint64_t select, uint64_t *x);

#endif
