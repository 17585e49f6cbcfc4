/*
 * The state of one RISC-V hart as its guest believes it to be (Privileged and Unprivileged ISA).
 *
 * The common part is first. Everything here is plain state; riscv/csr.c, mmu.c and trap.c give it
 * its meaning, engines advance it. Room is left for V (v0..v31).
 */
#ifndef RISCV_VCPU_H
#define RISCV_VCPU_H

#include "core/clock.h"
#include "core/state.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "riscv/insn.h"
#include "riscv/pmp.h"

enum riscv_priv { PRIV_U = 0, PRIV_S = 1, PRIV_M = 3 };
/* Added to a privilege where an access is meant: it is virtual (V=1), through two stages. */
#define PRIV_VIRT 4u

/* Firmware gives its guests no H of their own, and V is the hart's own there. */
#define RISCV_H __STDC_HOSTED__
#define RISCV_V __STDC_HOSTED__
/* And no IMSIC: type 1's guests have the hart's. */
#define RISCV_AIA __STDC_HOSTED__
/* And the programmable counters are the board's. */
#define RISCV_HPM __STDC_HOSTED__

/* Interrupt numbers: bits of mip, mie and mideleg (Privileged ISA, 3.1.9). */
enum riscv_irq {
    IRQ_SSI = 1,
    IRQ_VSSI = 2,
    IRQ_MSI = 3,
    IRQ_STI = 5,
    IRQ_VSTI = 6,
    IRQ_MTI = 7,
    IRQ_SEI = 9,
    IRQ_VSEI = 10,
    IRQ_MEI = 11,
    IRQ_SGEI = 12,
    IRQ_LCOFI = 13, /* a counter overflowed (Sscofpmf) */
};

/* Exception causes (Privileged ISA, table "Supervisor cause register values"). */
enum riscv_cause {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_ECALL_S = 9,
    CAUSE_ECALL_VS = 10,
    CAUSE_ECALL_M = 11,
    CAUSE_FETCH_PAGE_FAULT = 12,
    CAUSE_LOAD_PAGE_FAULT = 13,
    CAUSE_STORE_PAGE_FAULT = 15,
    CAUSE_FETCH_GUEST_FAULT = 20,
    CAUSE_LOAD_GUEST_FAULT = 21,
    CAUSE_VIRTUAL = 22,
    CAUSE_STORE_GUEST_FAULT = 23,
};

/* What a change of state means for an engine's caches; riscv_vcpu.effects. */
enum riscv_effect {
    EFFECT_TRANSLATION = 1, /* cached translations are void */
    EFFECT_MODE = 2, /* privilege, MPRV, SUM or MXR changed: another set of translations applies */
    EFFECT_INTERRUPTS = 4, /* an interrupt may have become takeable */
    EFFECT_ADDRESS_SPACE =
        8, /* satp, vsatp or hgatp changed: other translations apply, none is void */
};

/* A PMP entry as it decides: addresses low..last (inclusive), configuration. */
struct riscv_pmp {
    uint64_t low, last;
    uint8_t cfg;
};

/* The supervisor CSRs of the world that the hart is not in: VS's while V=0, HS's while V=1. */
struct riscv_bank {
    uint64_t status; /* what is in sstatus */
    uint64_t tvec, scratch, epc, cause, tval;
    uint64_t atp;
};

#define RISCV_SCRATCH  64
#define RISCV_VLEN_MAX 512

#define HPM_COUNTERS 4 /* mhpmcounter3 to mhpmcounter6; the others are read-only zero */
struct riscv_hpm {
    uint64_t event; /* mhpmevent */
    uint64_t value; /* the count; while it runs, less `instret` */
    uint64_t seen;  /* the count when it was last looked at: below that now, it overflowed */
};

struct riscv_vcpu {
    struct vcpu vcpu;
    struct riscv_isa isa; /* what it can do; a reset leaves it */

    uint64_t x[33]; /* x[0] reads 0; x[32] takes the writes to x0 */
    uint64_t pc;
    uint64_t f[32]; /* NaN-boxed */
#if __STDC_HOSTED__ /* firmware runs guests by the hart itself */
    /* A software engine's own, while it runs: here, so that one address reaches them and the
     * registers. */
    uint64_t scratch[RISCV_SCRATCH];
    /* V: register i is the isa.vlen / 8 bytes from i times that, so that a group is one run of
     * bytes. */
    _Alignas(64) uint8_t v[32 * RISCV_VLEN_MAX / 8];
    uint64_t vl, vtype, vstart;
    uint8_t vxrm;
    bool vxsat;
    bool v_ones; /* agnostic elements become ones, so that software that relies on them is found */
#endif
    uint32_t frm;
    uint32_t fflags;
    uint8_t priv; /* enum riscv_priv */
    bool virt;    /* V=1: s* below are VS's CSRs, `bank` has HS's */
    /* V=1 and HS's sstatus.FS (VS) is Off, so that mstatus.FS (VS) reads Off here whatever that of
     * VS-mode is: that. */
    uint64_t fs_hidden;
    bool sbi; /* no M-mode software: ECALL from S exits to the hypervisor, which plays M-mode's part
               */

    uint64_t mstatus;
    uint64_t mideleg, medeleg;
    uint64_t mie;
    _Atomic uint64_t mip; /* wires and software bits; SEIP of software is in mip_seip */
    bool mip_seip;        /* mip.SEIP as M-mode software wrote it; reads OR it with the wire */
    uint64_t mtvec, mscratch, mepc, mcause, mtval;
    uint64_t stvec, sscratch, sepc, scause, stval;
    uint64_t satp;
    uint64_t menvcfg, senvcfg, mseccfg;
    uint64_t mstateen[4], sstateen[4];
    uint32_t mcounteren, scounteren, mcountinhibit;
    uint64_t stimecmp;
    struct riscv_bank bank;
    uint64_t hstatus, hedeleg, hideleg, hvip; /* VSSIP of hvip is that of mip */
    uint64_t htimedelta, htval, htinst, hgatp, henvcfg, hstateen[4];
    uint64_t mtval2, mtinst, vstimecmp;
    uint32_t hcounteren;
    uint64_t steal_gpa; /* where the guest wants its steal time (SBI STA); 0: nowhere */
    uint8_t pmpcfg[PMP_ENTRIES];
    uint64_t pmpaddr[PMP_ENTRIES];
    /* mcycle [0] and minstret [2]: offset against `instret`; the frozen value while inhibited. */
    uint64_t counter[3];

    uint64_t instret; /* instructions retired since reset */

    /* stimecmp, vstimecmp, htimedelta, STCE, hvip and mip.STIP and VSTIP against the timers'
     * callbacks */
    struct host_lock timer_lock;
    struct clock_timer stimer, vstimer;

    /*
     * LR/SC of software engines: the reservation is the host address and the value read (an ABA
     * change goes unseen). Not saved: an SC may fail at any time.
     */
    uintptr_t reserved_at; /* 0: none */
    uint64_t reserved_value;
    unsigned reserved_width;

    /* What riscv_translate says of the last access besides the cause, for riscv_trap. */
    bool access_virt;    /* it was virtual */
    uint64_t fault_gpa;  /* of a guest-page fault */
    uint32_t fault_inst; /* 0, or the pseudoinstruction of an implicit access */

    /* Derived, not saved. */
    uint32_t
        effects; /* enum riscv_effect, ORed in by CSR writes and traps, consumed by the engine */
    uint64_t mip_read; /* mip_update: what the set or clear of bits in mip or sip began with */
    bool mip_update;
    struct riscv_pmp pmp[PMP_ENTRIES]; /* the active ones, in order of priority */
    unsigned pmp_count;

    /* Statistics, by this VCPU's thread only. */
    uint64_t traps;
    uint64_t interrupts;

    /* Programmable counters (riscv/csr_pmu.h); last, for firmware, which has none, reaches what is
     * near in less code. */
    struct riscv_hpm hpm[HPM_COUNTERS];
    uint32_t hpm_running;         /* bit i: hpm[i] counts */
    bool hpm_modes;               /* derived: one of them counts in some modes alone */
    _Atomic bool hpm_due;         /* one may have overflowed: look */
    struct clock_timer hpm_timer; /* when one may */

    /* Where the seed CSR (Zkr) has its bits from: fills `len` bytes without waiting, 0 or a
     * negative error; NULL: nowhere. The board's, as a reset leaves it. */
    int (*entropy)(void *source, void *bytes, size_t len);
    void *entropy_source;

    struct riscv_aia *aia; /* riscv/aia.h; NULL: it has none. The board's, as a reset leaves it */
};

static inline struct riscv_vcpu *riscv_of(struct vcpu *vcpu)
{
    return (struct riscv_vcpu *)vcpu;
}

static inline bool riscv_has(const struct riscv_vcpu *hart, enum riscv_extension extension)
{
    return riscv_isa_has(&hart->isa, extension);
}

static inline bool riscv_has_v(const struct riscv_vcpu *hart)
{
    return RISCV_V && riscv_has(hart, EXT_V);
}

/* Programmable counters. */
static inline bool riscv_has_hpm(const struct riscv_vcpu *hart)
{
    return RISCV_HPM && riscv_has(hart, EXT_SSCOFPMF);
}

static inline bool riscv_has_h(const struct riscv_vcpu *hart)
{
    return RISCV_H && riscv_has(hart, EXT_H);
}

/* V=1 */
static inline bool riscv_virt(const struct riscv_vcpu *hart)
{
    return RISCV_H && hart->virt;
}

/*
 * Builds the hart in its reset state: M-mode, pc 0x1000, everything else as the ISA says. It has
 * the extensions of the default model; others are put into `isa` before an engine or a device tree
 * is made.
 */
void riscv_vcpu_init(struct riscv_vcpu *hart, struct vm *vm, unsigned id);
void riscv_vcpu_fini(struct riscv_vcpu *hart);
/* Back to the reset state. The VCPU is outside the guest. */
void riscv_vcpu_reset(struct riscv_vcpu *hart, uint64_t pc);
/*
 * The state in which SBI starts a hart (SBI 2.0, 9.1 and "Supervisor execution environment"):
 * S-mode, satp 0, SIE 0, a0 = hart id, a1 = opaque; traps delegated, counters and Sstc allowed, PMP
 * open, `sbi` set.
 */
void riscv_vcpu_start_supervisor(struct riscv_vcpu *hart, uint64_t pc, uint64_t opaque);

/* Drives a wire of mip (an enum riscv_irq). Any thread. */
void riscv_vcpu_irq(struct riscv_vcpu *hart, unsigned irq, bool level);
/* A struct irq sink: `sink` is the hart, `line` the enum riscv_irq. */
void riscv_vcpu_irq_sink(void *sink, uint32_t line, bool level);
/* An enabled interrupt is pending, whatever xIE says: WFI completes (Privileged ISA, 3.3.3). */
bool riscv_vcpu_wfi_done(const struct riscv_vcpu *hart);
/* Sets stimecmp and what follows from it (SBI set_timer uses it too). */
void riscv_vcpu_set_stimecmp(struct riscv_vcpu *hart, uint64_t ticks);
/* Sets menvcfg, whose STCE the timer's callback looks at; legal values only. */
void riscv_vcpu_set_menvcfg(struct riscv_vcpu *hart, uint64_t value);
/* The VS timer and hvip, which mip.VSTIP follows: each sets one of them and what follows from it.
 */
void riscv_vcpu_set_vstimer(struct riscv_vcpu *hart, uint64_t *field, uint64_t value);

/* Saved fields, both directions. */
void riscv_vcpu_state(struct riscv_vcpu *hart, struct state *state);

/*
 * Whether a device tree names the extension, an index of riscv_extension_names, of a hart; `sbi`:
 * of one that starts under our own SBI.
 */
bool riscv_isa_listed(const struct riscv_isa *isa, unsigned index, bool sbi);

/* One line a register, for reports and the monitor. Calls `line` for each. */
void riscv_vcpu_describe(const struct riscv_vcpu *hart, void (*line)(void *arg, const char *text),
                         void *arg);

#endif
