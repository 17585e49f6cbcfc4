/*
 * Physical harts: what each has for itself, and what they all can do. tp and mscratch point to the
 * hart's struct wherever the firmware runs; interrupts are never on there (mstatus.MIE).
 */
#ifndef TYPE0_HART_H
#define TYPE0_HART_H

#include "riscv/vcpu.h"
#include "type0/csr.h"
#include "type0/offsets.h"
#include "vmm/plan.h"

#include <stdatomic.h>

#define HARTS_MAX PLAN_HARTS_MAX

/* What the harts can do, probed once on the boot hart. */
struct features {
    bool sstc;       /* partitions own stimecmp */
    bool time;       /* the time CSR is there; else it is emulated */
    bool h, fp, v;   /* extensions */
    bool mpv_sticks; /* M-mode can write mstatus.MPV (QEMU 10 cannot) */
    uint32_t vlenb;
    uint64_t menvcfg; /* what is set for partitions */
    uint64_t medeleg; /* the same */
    unsigned pmp_entries;
    uint64_t pmp_grain;
    uint64_t timebase; /* Hz */
};
extern struct features features;

/* Traps by reason, for the statistics. */
enum exit_count {
    COUNT_CALL,  /* answered by switch.S */
    COUNT_TABLE, /* calls answered in C */
    COUNT_TIMER,
    COUNT_IPI,
    COUNT_EMULATED, /* instructions */
    COUNT_DEVICE,   /* loads and stores that the firmware answers */
    COUNT_REDIRECTED,
    COUNT_SWITCH, /* from one VCPU to another */
    COUNTS,
};

struct world;

struct hart {
    /* offsets.h */
    uint64_t stack;       /* top */
    uint64_t *x;          /* registers of `current` */
    uint64_t t[2];        /* of switch.S */
    uint64_t panic_stack; /* top */
    uint64_t vid;         /* id of `current` in its partition */
    uint64_t timer;       /* TIMER_... */
    volatile uint64_t *mtimecmp;
    uint64_t id;             /* mhartid */
    uint64_t counts[COUNTS]; /* enum exit_count */

    unsigned index; /* in plan_board.harts and harts[] */
    volatile uint32_t *msip;
    bool panicking;
    struct world *current; /* whose registers are in the hart; NULL: nobody's yet */
    bool look;             /* at who is to be next: a turn has ended, or somebody woke up */
    uint64_t turn_began;   /* ticks */
    struct world *worlds[PLAN_SHARERS_MAX];
    unsigned world_count;
    /* In ticks, UINT64_MAX: never. */
    uint64_t guest_timer; /* of the world in the hart, without Sstc (TIMER_SHARED) */
    uint64_t slice_end;   /* of the turn of the world in the hart */
    uint64_t poll_at;     /* console */
    uint64_t watch_at;    /* watchdogs of its worlds */
};

_Static_assert(offsetof(struct hart, stack) == HART_STACK, "offsets.h");
_Static_assert(offsetof(struct hart, x) == HART_X, "offsets.h");
_Static_assert(offsetof(struct hart, t) == HART_T0, "offsets.h");
_Static_assert(offsetof(struct hart, panic_stack) == HART_PANIC_STACK, "offsets.h");
_Static_assert(offsetof(struct hart, vid) == HART_VID, "offsets.h");
_Static_assert(offsetof(struct hart, timer) == HART_TIMER, "offsets.h");
_Static_assert(offsetof(struct hart, mtimecmp) == HART_MTIMECMP, "offsets.h");
_Static_assert(offsetof(struct hart, id) == HART_ID, "offsets.h");
_Static_assert(offsetof(struct hart, counts) == HART_CALLS, "offsets.h");
_Static_assert(offsetof(struct riscv_vcpu, pc) - offsetof(struct riscv_vcpu, x) == X_PC,
               "offsets.h");

extern struct hart *harts[HARTS_MAX];
extern unsigned hart_count;

static inline struct hart *this_hart(void)
{
    struct hart *hart;
    __asm__ volatile("mv %0, tp" : "=r"(hart));
    return hart;
}

/* Looks at the hart that runs it. `fdt` knows the rest (extensions, timebase). */
void hart_probe(const struct fdt *fdt);
/* The hart's own CSRs, once: what it delegates and grants. */
void hart_setup(void);
/* Machine software interrupt for the hart: it leaves the partition and looks around. */
static inline void hart_signal(const struct hart *hart)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *hart->msip = 1;
}
void hart_pmp_set(const struct pmp_entry entries[PMP_ENTRIES]);
/* Ticks of the board's timer (mtime). */
uint64_t ticks_now(void);
/* Where mtime is; needed only if there is no time CSR. */
extern volatile uint64_t *mtime;

/* start.S, switch.S */
extern volatile uint32_t hart_table_ready;
void world_vector(void), machine_vector(void);
enum try {
    TRY_MENVCFG,
    TRY_MCOUNTINHIBIT,
    TRY_SENVCFG,
    TRY_SSTATEEN0,
    TRY_HSTATEEN0,
    TRY_JVT,
    TRY_SCONTEXT,
    TRY_HCONTEXT,
    TRY_SRMCFG,
    TRY_SWITCHED, /* those before are switched with the world */
    TRY_MCOUNTEREN = TRY_SWITCHED,
    TRY_MSTATEEN0,
    TRY_MIDELEG,
    TRY_MEDELEG,
    TRY_STIMECMP,
    TRY_TIME,
    TRY_SISELECT,
    TRY_VLENB,
};
/* False if the CSR is not there. Lose mstatus.MPP, MPV and what else a trap changes. */
bool try_read(enum try csr, uint64_t *value);
bool try_write(enum try csr, uint64_t value);
void trap_once(void);
long guest_load(uint64_t va, uint64_t mstatus);
bool guest_store(uint64_t va, uint64_t mstatus, uint8_t byte);
unsigned pmp_probe_count(void);
uint64_t pmp_probe_grain(void);
void pmp_write(const struct pmp_entry entries[PMP_ENTRIES], const uint64_t config[2],
               unsigned count);

#endif
