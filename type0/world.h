/*
 * What type 0 adds to a VCPU and to a VM: a world is a VCPU on its hart, a partition a VM at
 * physical addresses. vcpu->engine_data is the world, vm->engine_data the partition.
 */
#ifndef TYPE0_WORLD_H
#define TYPE0_WORLD_H

#include "core/vm.h"
#include "type0/hart.h"

struct partition;

struct context;
struct plic_context;

struct world {
    struct riscv_vcpu *vcpu;
    struct partition *partition;
    struct hart *hart; /* the one that runs it */
    bool fresh;        /* begins anew: S-mode's CSRs and all registers as after reset */
    uint32_t left;     /* its hart's: the boot of its partition that it has left last */
    uint64_t medeleg;
    uint32_t locked; /* bit n: FWFT's feature n stays as it is until the partition starts anew */
    /* On a hart that several worlds share. */
    struct context *context;   /* while it is not in the hart; NULL: it has the hart for itself */
    struct plic_context *plic; /* or NULL */
    bool waiting;              /* in WFI */
    /* Watchdog: what was seen last, and when (ticks). */
    uint64_t watch_pulse, watch_since;
    unsigned weight;
    uint64_t used;                     /* ticks that it had, by weight: who has fewest is next */
    struct pmp_entry pmp[PMP_ENTRIES]; /* while it runs */
};

static inline struct world *world_of(struct vcpu *vcpu)
{
    return vcpu->engine_data;
}

/* run.c; the engine of all partitions: only kick is there. */
extern const struct engine_ops world_engine;
/* From switch.S: the partition on this hart has trapped. Returns when some world is to go on. */
void run_trap(struct hart *hart);
/* From start.S. */
void hart_main(void);

/* trap.c: the partition takes the exception itself, as if it had been delegated (3.1.8, 15.2.2). */
struct trap {
    uint64_t cause, value; /* mcause, mtval */
    uint64_t value2, insn; /* mtval2, mtinst; 0 without H */
};
void trap_read(struct trap *trap);
void trap_redirect(struct riscv_vcpu *vcpu, const struct trap *trap);
/* As if an interrupt had come while it was in VS- or VU-mode. False: none is enabled in HS-mode. */
bool trap_spurious(struct riscv_vcpu *vcpu);

/* emulate.c. False: not ours, to be redirected. */
bool emulate_illegal(struct world *world, struct trap *trap);
bool emulate_misaligned(struct world *world, struct trap *trap);
/* The instruction at pc, by the partition's own translation; false: `trap` is now the fault of the
 * fetch. */
bool emulate_fetch(struct world *world, struct trap *trap, uint32_t *insn);

/* device.c: the firmware plays a device there. False: it does not. */
bool device_access(struct world *world, struct trap *trap);

/* sbi.c: an ECALL from S-mode; pc is behind it. */
void world_call(struct world *world);

#endif
