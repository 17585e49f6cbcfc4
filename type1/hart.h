/*
 * Physical harts: what each has for itself. tp points to it wherever the hypervisor runs.
 */
#ifndef TYPE1_HART_H
#define TYPE1_HART_H

#include "core/host.h"
#include "engine/hext/host.h"
#include "type1/offsets.h"

#define HARTS_MAX 64

/* Registers that a function call keeps; layout known to start.S. */
struct context {
    uint64_t ra, sp, s[12];
};

struct task;

struct hart {
    struct hext_hart hext; /* first: the engine finds it through tp */
    uint64_t stack;        /* top of the scheduler's stack */
    uint64_t panic_stack;  /* top of the emergency stack */
    uint64_t scratch;
    uint64_t satp;

    uint64_t id; /* the firmware's number */
    struct context scheduler;
    struct task *current; /* NULL in the scheduler */
    _Atomic bool idle;    /* waits for work; under the scheduler's lock */
    _Atomic bool online;
    _Atomic bool unfit;    /* has looked at itself, and stops */
    unsigned panics;       /* how many reports of this hart's end have begun */
    uint64_t slice_end_ns; /* when the current task's turn ends; UINT64_MAX: nobody waits */
    uint64_t armed_ticks;  /* what the hart's timer is set to */
    uint64_t idle_ns, started_ns;

    /* Under the timers' lock: the earliest of those armed here, root of a heap; or NULL. */
    struct host_timer *timers;
    struct host_timer *timer_running;
};

_Static_assert(offsetof(struct hart, stack) == HART_STACK, "offsets.h");
_Static_assert(offsetof(struct hart, panic_stack) == HART_PANIC_STACK, "offsets.h");
_Static_assert(offsetof(struct hart, scratch) == HART_SCRATCH, "offsets.h");
_Static_assert(offsetof(struct hart, satp) == HART_SATP, "offsets.h");
_Static_assert(offsetof(struct hart, id) == HART_ID, "offsets.h");

/* Never keep it over something that may switch tasks. */
static inline struct hart *this_hart(void)
{
    return (struct hart *)hext_this_hart();
}

extern struct hart *harts[HARTS_MAX + 1]; /* NULL behind the last */
extern unsigned hart_count;

#endif
