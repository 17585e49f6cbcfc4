/*
 * The engine of real harts: guests run in VS- and VU-mode of a RISC-V hart with the H extension
 * (Privileged ISA 20240411, chapter 15), behind two-stage translation. Works in HS-mode only.
 *
 * A VCPU's VS CSRs and floating-point registers stay in the hart between exits; hext_unload (and
 * state_get) brings them into struct riscv_vcpu. Its integer registers and pc are there at every
 * exit.
 */
#ifndef ENGINE_HEXT_HEXT_H
#define ENGINE_HEXT_HEXT_H

#include "core/engine.h"
#include "engine/hext/access.h"
#include "engine/hext/gstage.h"
#include "engine/hext/host.h"
#include "engine/hext/imsic.h"
#include "riscv/vcpu.h"

/* What the harts can do, probed once. */
struct hext_features {
    bool h;          /* there is an H extension at all */
    bool sstc;       /* guests own vstimecmp, the hypervisor stimecmp */
    bool fp;         /* F and D */
    bool v;          /* V */
    uint32_t vlenb;  /* bytes of a vector register; 0 without V */
    unsigned levels; /* of G-stage tables: 3 (Sv39x4) or 4 (Sv48x4) */
    unsigned vmid_bits;
    bool iselect;       /* vsiselect, of AIA or of Sscsrind without it */
    bool aia;           /* the VS CSRs of AIA */
    unsigned files;     /* guest interrupt files of a hart (GEILEN), up to HEXT_FILES_MAX */
    unsigned imsic_ids; /* of each, as the device tree says */
    uint64_t henvcfg;   /* the bits that may be granted */
    bool senvcfg;
    uint64_t timebase; /* Hz */
};

/*
 * A VM's part, in vm->engine_data. The hypervisor fills all above `gstage` before vm_init is
 * called.
 */
struct hext_vm {
    const struct hext_features *features;
    /*
     * Answer SBI calls that need the integer registers alone (vmm/sbi.h, sbi_call_alone,
     * sbi_call_light); false: try the next, and then the call is to be an exit.
     */
    bool (*sbi_alone)(struct vm *vm, struct riscv_vcpu *hart);
    bool (*sbi_light)(struct vm *vm, struct riscv_vcpu *hart);
    uint64_t
        sbi_version; /* what SBI's get_spec_version answers; calls of Linux that need no lookup */
    uint16_t vmid;   /* its own among the VMs that exist, while vmid_bits allow; else 0 */
    /*
     * Never the same for two VMs, and another one when a page was taken from its G-stage: harts
     * that have seen less flush all translations before they run it.
     */
    _Atomic uint32_t generation;
    bool lazy; /* RAM is cleared and mapped where and when it is first touched */
    struct host_lock lazy_lock;
    struct gstage gstage;
    uint64_t hgatp;
};

/* The guest's while hypervisor code that may switch tasks runs; else in the hart. */
struct hext_switch {
    uint64_t sepc, sstatus, hstatus;
};

enum hext_exit_count {
    HEXT_EXIT_INTERRUPT, /* timer and IPIs of the hypervisor */
    HEXT_EXIT_ECALL,
    HEXT_EXIT_MMIO,
    HEXT_EXIT_WFI,
    HEXT_EXIT_VIRTUAL,
    HEXT_EXIT_FAULT, /* redirected to the guest */
    HEXT_EXIT_COUNTS,
};

#define HEXT_SEEN      8     /* a power of two */
#define HEXT_SEEN_NONE ~0ULL /* no instruction has it, nor has htinst; 0 a guest can write */

/* An access to a device that was decoded before: drivers use the same few again and again. */
struct hext_seen {
    uint64_t gpa, insn; /* insn HEXT_SEEN_NONE: no access */
    struct bus_range *range;
    int (*read)(void *device, uint64_t offset, unsigned width, uint64_t *value);
    int (*write)(void *device, uint64_t offset, unsigned width, uint64_t value);
    void *device;
    uint64_t offset;
    bool store, sign;
    uint8_t width, spare, reg, length, back; /* spare: 64 - bits; back: what hext_answer returns */
};

/* An exit, as the operator may want to see it. */
struct hext_record {
    uint64_t pc, cause, tval; /* sepc, scause, stval */
    uint64_t gpa;             /* of guest page faults */
    unsigned kind;            /* enum hext_exit_count, or that many: another one */
    bool fault;               /* the guest took an exception for it */
    bool answered;            /* SBI calls: false: it does not return (or its VCPU was reset) */
    uint64_t args[8];         /* a0 to a7 */
    uint64_t result[2];       /* a0 and a1 afterwards */
    struct hext_access access;
    uint64_t value; /* what an integer load or store moved */
};

struct hext_vcpu {
    /* First, which switch.S knows: what answers its traps. */
    uint64_t (*_Atomic answer)(struct hext_vcpu *v, uint64_t cause);
    struct hext_switch world;
    struct riscv_vcpu *hart;
    struct hext_vm *vm;
    bool loaded;      /* VS CSRs are in the hart that runs us */
    uint64_t watched; /* the bits of mip that we tell hvip; ... */
    uint64_t told;    /* ... and what it was told, SSI apart; only while loaded */
    bool kept_lost;   /* a load into a register that C keeps, or more, was answered */
    unsigned reason;  /* enum exit_reason, of HEXT_LEAVE; EXIT_REASONS: none, back to the loop */
    const char *message;
    unsigned fp_hart; /* whose floating-point registers are ours if its fp_owner agrees; or none */
    unsigned v_hart;  /* the same for vector registers */
    /* Those of a guest that has V: struct hext_vector and 32 registers. NULL: it has none. */
    struct hext_vector *vector;
    unsigned last_hart;
    uint64_t iselect, iprio1, iprio2; /* vsiselect, hviprio1, hviprio2 */
    /*
     * The interrupt file for S-mode; NULL: interrupts come by wires. It is here, in memory, or in
     * the guest interrupt file `file` of the only hart that may run the VCPU then, at `page`.
     */
    struct imsic_file *imsic;
    struct host_lock imsic_lock; /* of all five */
    unsigned file;               /* 0: in memory */
    uint64_t page;               /* host-physical */
    uint64_t file_moves;         /* how often it came into memory */
    _Atomic uint32_t on_hart;    /* while in_guest: its index */
    struct hext_seen seen[HEXT_SEEN];
    uint64_t counts[HEXT_EXIT_COUNTS];
    struct hext_record record; /* while it is traced: of the last exit, ... */
    bool answer_due;           /* ... an SBI call that has not been answered yet */
};

extern const struct engine_ops hext_engine;

/*
 * Looks at the hart that runs it. What the device tree knows (fp, timebase) is left alone; `v` on
 * entry is what it says, on return whether that is true.
 */
void hext_probe(struct hext_features *features);
/* Sets the hart up to run guests; each hart, once. */
void hext_hart_init(const struct hext_features *features);
/*
 * The VCPU's task is about to stop running on this hart; `sleeping`: until an interrupt of the
 * guest (its timer is then watched by the clock).
 */
void hext_switch_out(struct vcpu *vcpu, bool sleeping);
/*
 * Lazy VMs, none of whose VCPUs runs: all RAM is as before the first touch, under `generation`, a
 * new one.
 */
void hext_memory_reset(struct vm *vm, uint32_t generation);
/* From its next exit on: hext_host_record gets each. Any hart. */
void hext_trace(struct vcpu *vcpu, bool on);
/* The VCPU ends: a call that it made does not return. */
void hext_trace_ended(struct vcpu *vcpu);
/* The state that struct riscv_vcpu does not hold is as after reset. The VCPU does not run. */
void hext_vcpu_reset(struct vcpu *vcpu);
/* Interrupts for S-mode come through an interrupt file and no other wires. After vcpu_init.
 * -E_NOMEM. */
int hext_vcpu_add_imsic(struct vcpu *vcpu);
/*
 * What the file holds goes from memory into the guest interrupt file `file` of this hart, which
 * nobody sends to, or comes back (AIA 1.0, 3.8 and 6.2). The lock is held.
 */
void hext_imsic_move(struct imsic_file *imsic, unsigned file, bool back);
/* The file in memory has changed: the VCPU's interrupt follows. The lock is held. */
void hext_imsic_look(struct hext_vcpu *v);
/* Something arrived at interrupt files of this hart whose VCPUs sleep: they wake up. */
void hext_files_interrupt(void);

#endif
