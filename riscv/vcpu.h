/*
 * The state of one RISC-V hart as its guest believes it to be (Privileged and Unprivileged ISA).
 *
 * The common part is first. Everything here is plain state; riscv/csr.c, mmu.c and trap.c give it
 * its meaning, engines advance it. Room is left for V (v0..v31) and H (vs* and h* CSRs).
 */
#ifndef RISCV_VCPU_H
#define RISCV_VCPU_H

#include "core/clock.h"
#include "core/state.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "riscv/pmp.h"

enum riscv_priv { PRIV_U = 0, PRIV_S = 1, PRIV_M = 3 };

/* Interrupt numbers: bits of mip, mie and mideleg (Privileged ISA, 3.1.9). */
enum riscv_irq {
    IRQ_SSI = 1,
    IRQ_MSI = 3,
    IRQ_STI = 5,
    IRQ_MTI = 7,
    IRQ_SEI = 9,
    IRQ_MEI = 11,
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
    CAUSE_ECALL_M = 11,
    CAUSE_FETCH_PAGE_FAULT = 12,
    CAUSE_LOAD_PAGE_FAULT = 13,
    CAUSE_STORE_PAGE_FAULT = 15,
};

/* What a change of state means for an engine's caches; riscv_vcpu.effects. */
enum riscv_effect {
    EFFECT_TRANSLATION = 1, /* cached translations are void */
    EFFECT_MODE = 2, /* privilege, MPRV, SUM or MXR changed: another set of translations applies */
    EFFECT_INTERRUPTS = 4,    /* an interrupt may have become takeable */
    EFFECT_ADDRESS_SPACE = 8, /* satp changed: other translations apply, none is void */
};

/* A PMP entry as it decides: addresses low..last (inclusive), configuration. */
struct riscv_pmp {
    uint64_t low, last;
    uint8_t cfg;
};

struct riscv_vcpu {
    struct vcpu vcpu;

    uint64_t x[33]; /* x[0] reads 0; x[32] takes the writes to x0 */
    uint64_t pc;
    uint64_t f[32]; /* NaN-boxed */
    uint32_t frm;
    uint32_t fflags;
    uint8_t priv; /* enum riscv_priv */
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
    uint64_t menvcfg, senvcfg;
    uint64_t mstateen[4], sstateen[4];
    uint32_t mcounteren, scounteren, mcountinhibit;
    uint64_t stimecmp;
    uint64_t steal_gpa; /* where the guest wants its steal time (SBI STA); 0: nowhere */
    uint8_t pmpcfg[PMP_ENTRIES];
    uint64_t pmpaddr[PMP_ENTRIES];
    /* mcycle [0] and minstret [2]: offset against `instret`; the frozen value while inhibited. */
    uint64_t counter[3];

    uint64_t instret; /* instructions retired since reset */

    struct host_lock timer_lock; /* stimecmp, STCE and mip.STIP against the timer's callback */
    struct clock_timer stimer;

    /*
     * LR/SC of software engines: the reservation is the host address and the value read (an ABA
     * change goes unseen). Not saved: an SC may fail at any time.
     */
    uintptr_t reserved_at; /* 0: none */
    uint64_t reserved_value;
    unsigned reserved_width;

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
};

static inline struct riscv_vcpu *riscv_of(struct vcpu *vcpu)
{
    return (struct riscv_vcpu *)vcpu;
}

/* Builds the hart in its reset state: M-mode, pc 0x1000, everything else as the ISA says. */
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

/* Saved fields, both directions. */
void riscv_vcpu_state(struct riscv_vcpu *hart, struct state *state);

/*
 * The extensions one by one ("i", "m", ..., "zba", ...), NULL past the last; for
 * riscv,isa-extensions. riscv_isa_listed: whether a device tree names it; `sbi`: for a hart that
 * starts under our own SBI.
 */
const char *riscv_isa_extension(unsigned index);
bool riscv_isa_listed(unsigned index, bool sbi);
/* "rv64imafdc_zicsr_..." of those; returns the length written (without NUL), or -E_NOSPC. */
int riscv_isa_string(char *buf, size_t capacity, bool sbi);

/* One line a register, for reports and the monitor. Calls `line` for each. */
void riscv_vcpu_describe(const struct riscv_vcpu *hart, void (*line)(void *arg, const char *text),
                         void *arg);

#endif
