/*
 * attack: a guest of a partitioned board that, as ROLE in its command line says,
 *
 *     role=attack   tries to reach, read and change everything that is not its own, and counts what
 * got through: addresses (space.c), CSRs and the PLIC (registers.c), SBI calls (call.c) role=victim
 * fills its RAM with a pattern, puts a secret into its registers, takes interrupts and computes
 * (victim.c), until 'q' is typed; then says what of that has changed
 *
 * Options: seed=N, secret=N (what attack looks for and victim holds), stride=KIB (of the walk
 * through foreign RAM, 128), again (attack begins anew until it is stopped).
 *
 * A wild instruction runs in a slot of its own with a trap handler that ends it (try.S).
 */
#ifndef ATTACK_H
#define ATTACK_H

#include "guest.h"

enum { PAGE = 4096, REGIONS_MAX = 32, PLIC_WORDS = 32 };
enum { EBREAK = 0x00100073, ECALL = 0x00000073 };
enum { CAUSE_DONE = 3 /* the EBREAK behind it */, CAUSE_ILLEGAL = 2 };

/* try.S knows the offsets. */
struct attempt {
    uint64_t a[8];             /* 0: a0 to a7, in and out */
    uint64_t code;             /* 64: where the instruction is */
    uint64_t status;           /* 72: sstatus to enter with */
    uint64_t cause, pc, value; /* 80: how it ended */
    uint64_t saved[14];        /* 104 */
};
void attempt_run(struct attempt *attempt);
void registers_fill(uint64_t secret);
uint64_t registers_differ(uint64_t secret);

struct range {
    uint64_t base, end;
};

struct guest {
    char options[256];
    uint64_t ram, ram_end, timebase, harts;
    struct range own[REGIONS_MAX];
    unsigned own_count;
    uint64_t plic, plic_end, rtc;
    uint32_t rtc_line;
    uint32_t intcs[64];         /* phandles, by hart */
    uint64_t context;           /* the PLIC's for hart 0, or UINT64_MAX */
    uint64_t contexts[16];      /* those of all harts of ours, a bit each */
    uint32_t lines[PLIC_WORDS]; /* of the PLIC, that are ours */
    uint64_t random, secret;
    bool h;
    unsigned shown;
};
extern struct guest guest;

/* main.c */
uint64_t mix(uint64_t value); /* splitmix64's output function */
uint64_t random_next(void);
uint64_t random_below(uint64_t limit);
/* All of [address, address + size). */
bool is_own(uint64_t address, uint64_t size);
/* Somewhere where others' things are, or nothing. */
uint64_t random_foreign(void);
/* Writes one or two instructions and an EBREAK to slot `index`; its address. */
uint64_t slot_put(unsigned index, uint32_t first, uint32_t second);
/* Runs what is at `code` with attempt->a; true: it was completed. */
bool try_code(struct attempt *attempt, uint64_t code);
bool csr_try_read(unsigned number, uint64_t *value);
bool csr_try_write(unsigned number, uint64_t value);
void report(const char *what, uint64_t count, const char *unit, uint64_t through);
/* The first few that got through are shown. */
void show(const char *what, uint64_t a, uint64_t b, uint64_t c);

void attack_space(void);
void attack_csrs(void);
void attack_plic(void);
void attack_calls(void);
/* `tree`: the device tree, which it leaves alone. */
_Noreturn void victim(const void *tree);

#endif
