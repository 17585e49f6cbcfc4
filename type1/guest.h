/*
 * Guests: each virtual machine of the bundle, its life and its memory.
 */
#ifndef TYPE1_GUEST_H
#define TYPE1_GUEST_H

#include "core/bundle.h"
#include "core/spec.h"
#include "engine/hext/hext.h"
#include "type1/console.h"
#include "type1/dev_board.h"
#include "type1/platform.h"
#include "type1/task.h"
#include "vmm/board.h"
#include "vmm/run.h"

enum guest_state {
    GUEST_OFF, /* not started, or ended */
    GUEST_RUNNING,
    GUEST_PAUSED,
    GUEST_FAILED, /* could not start, or ended by failure; `why` says it */
    GUEST_GONE,   /* destroyed: its memory is not its own any more */
};

/* When a VCPU was last seen alive, for the watchdog. */
struct guest_pulse {
    uint64_t exits;    /* of those that a guest makes by itself */
    uint64_t stimecmp; /* its timer, when that was looked at */
    uint64_t ran_ns;   /* what it had run by then */
};

struct guest {
    const struct spec_vm *spec;
    unsigned index;
    struct board_payload payload;
    struct console_port console;
    struct vm vm;
    struct board board;
    struct riscv_vcpu *harts; /* spec->cpus of each */
    struct task *vcpu_tasks;
    struct vmm_stats *stats;
    struct guest_pulse *pulses;
    struct hext_vm hext;
    struct task keeper;
    uint64_t harts_allowed; /* bit n: the hart of index n may run its VCPUs */
    void *ram;
    uint64_t ram_align;
    struct dev_guest devices;
    bool built;             /* once: from then on it is destroyed and put together again */
    bool aia;               /* its interrupts come through interrupt files */
    bool fresh;             /* the next boot is the operator's: fresh disks are renewed */
    _Atomic uint32_t state; /* enum guest_state */
    char why[160];
    unsigned boots, hangs;
    /* host_time_ns(): how long clearing its memory took, and when VCPU 0 began; of the last boot.
     */
    uint64_t cleared_ns, began_ns;
    /* What the operator wants: set, then the VM's power_event. */
    _Atomic bool want_running, want_restart, want_gone;
    _Atomic bool stopped; /* by the operator, since it was last started */
    _Atomic bool pausing; /* somebody pauses it, resumes it, or looks at its VCPUs */
    struct host_event vcpu_ended;
    struct trace *trace; /* trace.h; NULL: there was none yet */
};

/* When the hypervisor got its first instruction (host_time_ns). */
extern uint64_t entered_ns;
extern struct guest *guests[SPEC_VMS_MAX];
extern unsigned guest_count;

/* A number that no G-stage table had before; see hext_vm. */
uint32_t guest_generation(void);
/* Makes a guest of each VM of the fleet and starts it; one that cannot be says so in a line. */
void guests_start(const struct spec_fleet *fleet, const struct bundle *bundle,
                  const struct platform *platform, const struct hext_features *features);
struct guest *guest_find(const char *name);
void guest_start(struct guest *guest);
void guest_stop(struct guest *guest);
void guest_restart(struct guest *guest);
void guest_pause(struct guest *guest);
void guest_resume(struct guest *guest);
/*
 * Ends it and gives its memory back; guest_create makes it again from the bundle, or at last one
 * that could not be built at boot, and starts it.
 */
void guest_destroy(struct guest *guest);
void guest_create(struct guest *guest);
/* Says in a line that a command has no effect, and in what state the guest is. */
void guest_refuse(const struct guest *guest, const char *what);
/* Where each of its VCPUs is, as lines of the console. */
void guest_show_vcpus(struct guest *guest);
/* How long VCPU `index` has run since the board's start, in ns. */
uint64_t guest_ran_ns(const struct guest *guest, unsigned index);
/* A guest that runs, or is to. */
bool guests_alive(void);
const char *guest_state_name(const struct guest *guest);

#endif
