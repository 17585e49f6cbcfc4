/*
 * Tasks: everything that type 1 runs, VCPUs and the hypervisor's own. Each has a small stack; on a
 * hart a task runs until it waits, ends, or its guest's turn is over. Code of the hypervisor is
 * never interrupted, so a task that holds a lock runs on.
 *
 * Who runs next is decided by weighted virtual time: the ready task that has had least of its
 * share.
 */
#ifndef TYPE1_TASK_H
#define TYPE1_TASK_H

#include "core/vcpu.h"
#include "type1/hart.h"
#include "type1/policy.h"

#define TASK_WEIGHT_DEFAULT 100
#define TASK_SLICE_NS       5000000ULL

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_MOVING, TASK_ENDED };

struct task {
    struct context context; /* while it does not run */
    struct policy_entity share;
    uint64_t may; /* where it may run; share.harts is one of them while it is bound */
    bool unbind;  /* another hart wants it */
    enum task_state state;
    const char *name;
    struct vcpu *vcpu; /* whose task it is, or NULL */
    void (*fn)(void *arg);
    void *arg;
    void *stack; /* its top */
    struct host_event *waiting;
    struct host_timer timeout;
    bool timed_out;
    bool throttled;      /* ready, but its budget is used up */
    uint64_t started_ns; /* when it last began to run */
    uint64_t ran_ns;
    uint64_t ready_ns;  /* when it last became ready */
    uint64_t waited_ns; /* ready, for a hart */
    _Atomic bool ended;
    struct host_event *ended_event; /* set when it has ended, or NULL */
    struct task *next;              /* all tasks */
};

void task_setup(void);
/*
 * Starts `fn`, which ends the task by returning. `weight`, `budget`, `harts`: as in struct
 * policy_entity; weight 0: the default. -E_NOMEM. The struct is the caller's until `ended`.
 */
int task_start(struct task *task, const char *name, struct vcpu *vcpu, void (*fn)(void *arg),
               void *arg, unsigned weight, unsigned budget, uint64_t harts);
/* The hart's loop; on its scheduler stack. */
_Noreturn void task_loop(void);
/*
 * The current task, a VCPU's, has something of this hart (dev_files.h) and stays here, until
 * another hart has nothing better to do and this one has taken it away.
 */
void task_bind(void);
/* The rest of the current task's turn goes to others. */
void task_yield(void);
/* The same if the hart is asked for: for loops over much memory. */
void task_breathe(void);
_Noreturn void task_exit(void);
/* Handles what made the hart's WFI, or a guest, stop. */
void hart_interrupts(void);

#endif
