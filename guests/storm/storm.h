/*
 * storm: a guest that does everything a guest may not do, as fast as it can, and counts what it
 * gets for it. Every hart has a `struct hart` and loops over the parts (insn.c, csr.c, access.c,
 * walk.c, call.c, race.c, ring.c) until the time is over.
 *
 * All wild work happens as one or two instructions in a sandbox (sandbox.S): whatever they do ends
 * in a trap, and run() returns. What could end storm itself is left out, and says so where it is.
 */
#ifndef STORM_H
#define STORM_H

#include "guest.h"

enum {
    HARTS_MAX = 8,
    REGIONS_MAX = 64,
    SANDBOX_SIZE = 16384, /* filled with c.ebreak; the code is put in the middle */
    SCRATCH_SIZE = 8192,  /* what wild loads and stores hit: its middle is in the registers */
    DMA_SIZE = 65536,     /* of each virtio device, behind the image */
    TABLES = 5,
    CAUSES = 64,
};

/* What must not be written where: see access.c. */
enum kind { DEVICE, FINISHER, UART, CLINT, VIRTIO, FW_CFG, IOMMU, ROM };

struct region {
    enum kind kind;
    uint64_t base, size;
    uint64_t dma; /* VIRTIO: its DMA_SIZE bytes */
    uint32_t lock;
};

/* sandbox.S knows the offsets down to stack_top. */
struct hart {
    uint64_t regs[32];         /* 0: what the sandbox starts with */
    uint64_t frame[32];        /* 256: of an interrupt outside the sandbox */
    uint64_t stack;            /* 512: of run(), while the sandbox runs */
    uint64_t in_sandbox;       /* 520 */
    uint64_t cause, pc, value; /* 528: of the trap that ended it */
    uint64_t stack_top;        /* 552 */
    uint64_t result;           /* 560: a0 when the sandbox trapped */

    uint64_t id;
    unsigned index;
    uint64_t random;
    uint64_t sstatus; /* how it was at the start, without the fields that run() sets */
    const char *part; /* what it does now */
    uint64_t origin;  /* where its walks begin */
    uint64_t progress, walked_words, walked_csrs, walked_pages;
    enum { ALIVE, STOPPING, DONE } state;
    bool user;   /* run() in U-mode */
    bool racing; /* timer interrupts arm the next one */

    uint64_t causes[CAUSES], interrupts[CAUSES];
    uint64_t retired; /* sandboxes that ended without an exception of their own */
    uint64_t calls, refused, rings, used, sleeps, starts;

    uint8_t *sandbox, *scratch;
    uint64_t (*tables)[512]; /* TABLES pages, for walk.c */
};

struct storm {
    char options[256];
    struct hart harts[HARTS_MAX];
    unsigned hart_count;
    struct region regions[REGIONS_MAX];
    unsigned region_count;
    uint64_t timebase, ram, ram_end, plic, deadline;
    uint64_t chance; /* of the device tree */
    bool has_h;
};
extern struct storm storm;

/* sandbox.S */
void sandbox_enter(struct hart *hart);
void trap_vector(void);
void hart_entry(void);

/* main.c */
/* One or two instructions (`second` 0: one); 16-bit ones in the low half. Takes hart->regs as the
 * registers, returns the cause (scause) with which it ended: 3 if it did nothing wrong. */
uint64_t run(struct hart *hart, uint32_t first, uint32_t second);
/* A word of the hart's sandbox that others may change while run_shared runs it. */
uint32_t *shared_word(struct hart *hart);
uint64_t run_shared(struct hart *hart);
/* Says that two things were answered as they must not be; the first few times. */
void wrong(const char *what, uint64_t a, uint64_t b, uint64_t answer);
uint64_t random_next(struct hart *hart);
/* 0 to limit - 1 */
uint64_t random_below(struct hart *hart, uint64_t limit);
/* An address at which there is no RAM of ours; mostly nothing at all. */
uint64_t random_hole(struct hart *hart);
/* A number of the kind that breaks comparisons. */
uint64_t random_number(struct hart *hart);
/* Whether [address, address + size) has a byte of RAM (modulo 2^64, as sloppy code computes). */
bool touches_ram(uint64_t address, uint64_t size);
void registers_fill(struct hart *hart);
bool time_over(void);
void hart_loop(struct hart *hart);
void trap_outside(struct hart *hart);

void storm_insn(struct hart *hart);
void storm_csr(struct hart *hart);
void storm_access(struct hart *hart);
void storm_walk(struct hart *hart);
void storm_call(struct hart *hart);
void storm_race(struct hart *hart);
void storm_ring(struct hart *hart);
void storm_code(struct hart *hart);
/* The UART as a driver expects it. */
void access_restore_uart(void);
/* The SBI call that ends a hart that has done its work. */
_Noreturn void race_stop(struct hart *hart);

#endif
