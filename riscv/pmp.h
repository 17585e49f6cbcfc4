/*
 * Physical memory protection: what entries say, and how to write them (Privileged ISA 20240411,
 * 3.7). Pure: knows no hart.
 */
#ifndef RISCV_PMP_H
#define RISCV_PMP_H

#include <stdbool.h>
#include <stdint.h>

#define PMP_ENTRIES 16
#define PMP_PA_BITS 56

/* pmpcfg (3.7.1) */
#define PMP_R       0x01
#define PMP_W       0x02
#define PMP_X       0x04
#define PMP_A       0x18
#define PMP_A_OFF   0x00
#define PMP_A_TOR   0x08
#define PMP_A_NA4   0x10
#define PMP_A_NAPOT 0x18
#define PMP_L       0x80

/* One entry as its CSRs hold it. */
struct pmp_entry {
    uint64_t addr; /* pmpaddr: address bits 55:2 */
    uint8_t cfg;   /* its byte of pmpcfg */
};

/*
 * The bytes *first to *last (inclusive) that an entry matches; `below` is the pmpaddr of the entry
 * before it, 0 for entry 0. False if it matches none.
 */
bool pmp_entry_range(uint8_t cfg, uint64_t addr, uint64_t below, uint64_t *first, uint64_t *last);

#define PMP_NONE      (-1) /* no entry matches a byte of it: S and U are refused */
#define PMP_STRADDLES (-2) /* the entry that decides does not match all of it: refused */

/*
 * The entry that decides an access of `len` bytes (1 to 4096) at `pa`: the lowest that matches any
 * byte of it, which must match all (3.7.1, "Priority and Matching Logic").
 */
int pmp_match(const struct pmp_entry *entries, unsigned count, uint64_t pa, uint64_t len);
/* Whether S or U may make an access that needs the rights `need` (PMP_R, PMP_W, PMP_X, or several).
 */
bool pmp_allows(const struct pmp_entry *entries, unsigned count, uint64_t pa, uint64_t len,
                uint8_t need);

/*
 * Appends the entries that give exactly base to base + size the rights `rights` (0: refuse):
 * one NAPOT where that can say it, else TOR, which takes two, or one if the entry before ends at
 * `base`. Both are multiples of the grain; size > 0; base + size at most 2^56. *count is advanced.
 * -E_NOSPC when more than `room` entries in all would be needed; nothing has changed then.
 * -E_RANGE for one up to 2^56 that NAPOT cannot say: TOR has no room for that end.
 */
int pmp_put(struct pmp_entry *entries, unsigned *count, unsigned room, uint64_t base, uint64_t size,
            uint8_t rights);
/* How many entries base to base + size takes by itself: 1 or 2. */
unsigned pmp_cost(uint64_t base, uint64_t size);

/* The grain in bytes that pmpaddr tells which reads `addr` after all ones were written with the
 * entry off (3.7.1). */
uint64_t pmp_grain(uint64_t addr);

#endif
