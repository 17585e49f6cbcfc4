#include "type1/task.h"

#include "core/error.h"
#include "engine/hext/csr.h"
#include "engine/hext/hext.h"
#include "type1/dev_board.h"
#include "type1/dev_files.h"
#include "type1/panic.h"
#include "type1/sbi.h"
#include "type1/stacks.h"
#include "type1/timer.h"
#include "vmm/sbi.h"

/* start.S */
void context_switch(struct context *from, struct context *to);
void task_trampoline(void);

/* All tasks, their states, and who is idle. */
static struct host_lock lock;
static struct task *tasks;
static uint64_t virtual_now; /* the least virtual time of what runs or is ready; never falls */

void task_setup(void)
{
    host_lock_init(&lock);
}

/* ---- Choosing ---- */

/*
 * Whose turn it is on the hart; NULL: nobody's. *again_ns gets when it is to be looked at anew
 * because somebody's next period begins.
 */
static struct task *pick(unsigned hart, uint64_t now, uint64_t *again_ns)
{
    struct task *best = NULL;
    *again_ns = UINT64_MAX;
    for (struct task *task = tasks; task != NULL; task = task->next) {
        if (task->state != TASK_READY)
            continue;
        if (policy_allowance(&task->share, now) == 0) {
            task->throttled = true;
            if ((task->share.harts >> hart & 1) != 0 && task->share.period_end_ns < *again_ns)
                *again_ns = task->share.period_end_ns;
            continue;
        }
        if (task->throttled) {
            task->throttled = false;
            policy_join(&task->share, virtual_now, TASK_SLICE_NS);
        }
        if (policy_before(&task->share, best != NULL ? &best->share : NULL, hart, TASK_SLICE_NS))
            best = task;
    }
    return best;
}

/* When the turn of `task`, which begins or goes on now, is over. */
static uint64_t turn_end(struct task *task, const struct task *next, uint64_t now,
                         uint64_t again_ns)
{
    uint64_t allowance = policy_allowance(&task->share, now);
    if (next != NULL && allowance > TASK_SLICE_NS)
        allowance = TASK_SLICE_NS;
    uint64_t end = allowance == UINT64_MAX ? UINT64_MAX : now + allowance;
    return end < again_ns ? end : again_ns;
}

/* One idle hart for each task: the next one that becomes ready asks another. */
static void ask_for(struct hart *hart)
{
    atomic_store(&hart->idle, false);
    atomic_store(&hart->hext.resched, true);
    if (hart != this_hart())
        sbi_send_ipi(hart->id);
}

/* Who is to run it: a hart that is idle, else the one whose task has had most. Lock held. */
static struct hart *best_hart(const struct task *task, uint64_t allowed)
{
    struct hart *best = NULL;
    for (unsigned i = 0; i < hart_count; i++) {
        struct hart *hart = harts[i];
        if ((allowed >> i & 1) == 0 || !atomic_load(&hart->online))
            continue;
        if (atomic_load(&hart->idle)) {
            if (best == NULL || !atomic_load(&best->idle) || i == task->share.last_hart)
                best = hart;
        } else if (best == NULL ||
                   (!atomic_load(&best->idle) && hart->current != NULL && best->current != NULL &&
                    hart->current->share.vruntime > best->current->share.vruntime)) {
            best = hart;
        }
    }
    return best;
}

/* Its period began while this hart has better to do. Lock held. */
static void ask_idle(const struct task *task)
{
    struct hart *best = best_hart(task, task->share.harts);
    if (best != NULL && atomic_load(&best->idle))
        ask_for(best);
}

/* An idle hart may take it from the one that it is bound to. Lock held. */
static void invite(const struct task *task)
{
    struct hart *best = task->may != task->share.harts ? best_hart(task, task->may) : NULL;
    if (best != NULL && atomic_load(&best->idle))
        ask_for(best);
}

/* A task became ready. Where it is bound it gets its turn in any case. Lock held. */
static void find_hart(const struct task *task)
{
    struct hart *best = best_hart(task, task->share.harts);
    if (best == NULL)
        return;
    bool busy = !atomic_load(&best->idle);
    ask_for(best);
    if (busy)
        invite(task);
}

/* ---- Tasks that are bound to a hart ---- */

void task_bind(void)
{
    struct hart *here = this_hart();
    here->current->share.harts = 1ULL << here->hext.index;
}

/* What this hart would take before `best` if it were not bound elsewhere is asked for. Lock held.
 */
static void ask_to_unbind(unsigned hart, const struct task *best)
{
    struct task *wanted = NULL;
    for (struct task *task = tasks; task != NULL; task = task->next) {
        const struct policy_entity *share = &task->share;
        if (task->state == TASK_READY && !task->throttled && !task->unbind &&
            ((task->may & ~share->harts) >> hart & 1) != 0 &&
            harts[__builtin_ctzll(share->harts)]->current != NULL &&
            (best == NULL || share->vruntime + 2 * TASK_SLICE_NS < best->share.vruntime) &&
            (wanted == NULL || share->vruntime < wanted->share.vruntime))
            wanted = task;
    }
    if (wanted == NULL)
        return;
    wanted->unbind = true;
    ask_for(harts[__builtin_ctzll(wanted->share.harts)]);
}

/* Those that other harts have asked this one for. Lock held, but not all the time. */
static void unbind(struct hart *here)
{
    struct task *task = tasks;
    while (task != NULL) {
        if (!task->unbind || task->state != TASK_READY ||
            task->share.harts != 1ULL << here->hext.index) {
            task = task->next;
            continue;
        }
        task->unbind = false;
        task->state = TASK_MOVING;
        host_lock_release(&lock);
        files_release(task->vcpu);
        host_lock_acquire(&lock);
        task->state = TASK_READY;
        task->share.harts = task->may;
        find_hart(task);
        task = tasks; /* the list may be another one */
    }
}

/* Running tasks have had more than was accounted: a joiner must not be given credit for that. */
static void advance(void)
{
    uint64_t now = host_time_ns(), least = UINT64_MAX;
    for (const struct task *task = tasks; task != NULL; task = task->next) {
        struct policy_entity share = task->share;
        if (task->state == TASK_RUNNING)
            policy_account(&share, now - task->started_ns);
        else if (task->state != TASK_READY || task->throttled)
            continue;
        if (share.vruntime < least)
            least = share.vruntime;
    }
    if (least != UINT64_MAX && least > virtual_now)
        virtual_now = least;
}

static void make_ready(struct task *task)
{
    advance();
    task->state = TASK_READY;
    task->ready_ns = host_time_ns();
    task->waiting = NULL;
    task->throttled = false;
    policy_join(&task->share, virtual_now, TASK_SLICE_NS);
    find_hart(task);
}

/* ---- Running ---- */

static void account(struct task *task, uint64_t now)
{
    policy_account(&task->share, now - task->started_ns);
    task->ran_ns += now - task->started_ns;
    task->started_ns = now;
}

void hart_interrupts(void)
{
    uint64_t pending = hcsr_read(HCSR_SIP);
    /* Cleared before anything that it tells of is looked at. */
    if ((pending & HIRQ_SSI) != 0)
        hcsr_clear(HCSR_SIP, HIRQ_SSI);
    if ((pending & HIRQ_STI) != 0)
        timer_interrupt();
    if ((pending & HIRQ_SEI) != 0)
        dev_interrupt();
    if ((hcsr_read(HCSR_HIP) & HIRQ_SGEI) != 0)
        hext_files_interrupt();
}

/* Lock held, and held again on return. A wake-up that comes before WFI leaves SSIP pending. */
static void idle(struct hart *hart, uint64_t until_ns)
{
    atomic_store(&hart->idle, true);
    hart->slice_end_ns = until_ns;
    host_lock_release(&lock);
    uint64_t since = host_time_ns();
    timer_program();
    if (!atomic_load(&hart->hext.resched))
        __asm__ volatile("wfi" ::: "memory");
    hart_interrupts();
    hart->idle_ns += host_time_ns() - since;
    host_lock_acquire(&lock);
    atomic_store(&hart->idle, false);
}

static void run_task(struct hart *hart, struct task *task)
{
    uint64_t now = host_time_ns(), waited = now - task->ready_ns;
    task->state = TASK_RUNNING;
    task->unbind = false;
    task->waited_ns += waited;
    task->started_ns = now;
    task->share.last_hart = hart->hext.index;
    hart->current = task;
    uint64_t again_ns;
    const struct task *other = pick(hart->hext.index, now, &again_ns);
    hart->slice_end_ns = turn_end(task, other, now, again_ns);
    if (other != NULL)
        invite(other);
    host_lock_release(&lock);

    if (task->vcpu != NULL)
        sbi_steal(task->vcpu->vm, riscv_of(task->vcpu), waited, false);
    timer_program();
    context_switch(&hart->scheduler, &task->context);

    /* Whoever switched back holds the lock. */
    account(task, host_time_ns());
    hart->current = NULL;
}

static void bury(struct task *task)
{
    struct task **link = &tasks;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    struct host_event *event = task->ended_event;
    void *stack = task->stack;
    host_lock_release(&lock);
    stack_free(stack);
    atomic_store(&task->ended, true); /* the struct is the owner's again */
    if (event != NULL)
        host_event_set(event);
    host_lock_acquire(&lock);
}

_Noreturn void task_loop(void)
{
    struct hart *hart = this_hart();
    atomic_store(&hart->online, true);
    host_lock_acquire(&lock);
    for (;;) {
        atomic_store(&hart->hext.resched, false);
        unbind(hart);
        uint64_t again_ns;
        struct task *task = pick(hart->hext.index, host_time_ns(), &again_ns);
        ask_to_unbind(hart->hext.index, task);
        if (task == NULL) {
            idle(hart, again_ns);
            continue;
        }
        run_task(hart, task);
        if (task->state == TASK_ENDED)
            bury(task);
    }
}

/* Others are before it. Lock held. */
static void wait_for_turn(struct task *task)
{
    task->state = TASK_READY;
    task->ready_ns = host_time_ns();
    if (task->vcpu != NULL)
        sbi_steal(task->vcpu->vm, riscv_of(task->vcpu), 0, true);
}

/* Lock held; released when the task goes on. */
static void leave(struct task *task)
{
    context_switch(&task->context, &this_hart()->scheduler);
}

int task_start(struct task *task, const char *name, struct vcpu *vcpu, void (*fn)(void *arg),
               void *arg, unsigned weight, unsigned budget, uint64_t allowed)
{
    struct host_event *event = task->ended_event;
    *task = (struct task){.name = name, .vcpu = vcpu, .fn = fn, .arg = arg, .ended_event = event};
    task->stack = stack_alloc();
    if (task->stack == NULL)
        return -E_NOMEM;
    task->context.ra = (uint64_t)(uintptr_t)task_trampoline;
    task->context.sp = (uint64_t)(uintptr_t)task->stack;
    task->context.s[0] = (uint64_t)(uintptr_t)fn;
    task->context.s[1] = (uint64_t)(uintptr_t)arg;
    task->share.weight = weight != 0 ? weight : TASK_WEIGHT_DEFAULT;
    task->share.budget = budget;
    task->share.harts = task->may = allowed;
    task->share.last_hart = HARTS_MAX;

    host_lock_acquire(&lock);
    task->next = tasks;
    tasks = task;
    make_ready(task);
    host_lock_release(&lock);
    return 0;
}

_Noreturn void task_exit(void)
{
    struct task *task = this_hart()->current;
    if (task->vcpu != NULL) {
        hext_switch_out(task->vcpu, false);
        files_release(task->vcpu);
    }
    host_lock_acquire(&lock);
    task->state = TASK_ENDED;
    leave(task);
    panic("a task that had ended went on");
}

void task_yield(void)
{
    struct task *task = this_hart()->current;
    if (task == NULL)
        return;
    if (task->vcpu != NULL)
        hext_switch_out(task->vcpu, false);
    host_lock_acquire(&lock);
    wait_for_turn(task);
    leave(task);
}

void task_breathe(void)
{
    hart_interrupts();
    if (atomic_load(&this_hart()->hext.resched))
        task_yield();
}

void host_breathe(void)
{
    /* Not in an interrupt, whose task may hold anything, nor where no task runs yet. */
    const struct task *task = this_hart()->current;
    if (task != NULL && task->vcpu != NULL)
        task_breathe();
}

void host_yield(void)
{
    /* Whom the caller waits for runs on another hart, and soon. */
    __asm__ volatile("nop" ::: "memory");
}

/* ---- Preemption ---- */

static void preempt(struct hart *hart)
{
    struct task *task = hart->current;
    host_lock_acquire(&lock);
    atomic_store(&hart->hext.resched, false);
    unbind(hart);
    uint64_t now = host_time_ns(), again_ns;
    account(task, now);
    const struct task *other = pick(hart->hext.index, now, &again_ns);
    if (policy_allowance(&task->share, now) != 0 &&
        (other == NULL || other->share.vruntime >= task->share.vruntime)) {
        hart->slice_end_ns = turn_end(task, other, now, again_ns);
        if (other != NULL)
            ask_idle(other);
        host_lock_release(&lock);
        timer_program();
        return;
    }
    hext_switch_out(task->vcpu, false);
    wait_for_turn(task);
    leave(task);
}

void hext_host_schedule(void)
{
    struct hart *hart = this_hart();
    if (atomic_load_explicit(&hart->hext.resched, memory_order_relaxed))
        preempt(hart);
}

void hext_host_interrupt(uint64_t scause)
{
    (void)scause;
    hart_interrupts();
}

void hext_host_ipi(unsigned hart)
{
    sbi_send_ipi(harts[hart]->id);
}

/* ---- Events ---- */

enum { EVENT_SET = 1, EVENT_AWAITED = 2 };

void host_event_init(struct host_event *event)
{
    atomic_init(&event->word, 0);
}

static void wake(struct host_event *event)
{
    host_lock_acquire(&lock);
    atomic_fetch_and(&event->word, ~(uint32_t)EVENT_AWAITED);
    for (struct task *task = tasks; task != NULL; task = task->next) {
        if (task->state == TASK_WAITING && task->waiting == event)
            make_ready(task);
    }
    host_lock_release(&lock);
}

void host_event_set(struct host_event *event)
{
    if ((atomic_fetch_or(&event->word, EVENT_SET) & EVENT_AWAITED) != 0)
        wake(event);
}

static void wait_over(void *arg)
{
    struct task *task = arg;
    host_lock_acquire(&lock);
    task->timed_out = true;
    if (task->state == TASK_WAITING)
        make_ready(task);
    host_lock_release(&lock);
}

bool host_event_wait(struct host_event *event, uint64_t timeout_ns)
{
    struct task *task = this_hart()->current;
    bool limited = timeout_ns != UINT64_MAX, set;

    if (task == NULL)
        panic("a wait outside of a task");
    if ((atomic_fetch_and(&event->word, ~(uint32_t)EVENT_SET) & EVENT_SET) != 0)
        return true;
    task->timed_out = false;
    if (limited) {
        host_timer_init(&task->timeout, wait_over, task);
        host_timer_arm(&task->timeout, host_time_ns() + timeout_ns);
    }
    if (task->vcpu != NULL)
        hext_switch_out(task->vcpu, true);
    for (;;) {
        host_lock_acquire(&lock);
        /* One who sets it now either is seen here or sees that it is awaited, and takes the lock.
         */
        set = (atomic_fetch_or(&event->word, EVENT_AWAITED) & EVENT_SET) != 0;
        if (set || task->timed_out)
            break;
        task->waiting = event;
        task->state = TASK_WAITING;
        leave(task);
    }
    /* It may have been set after the look above: then it is not a time-out. */
    set = (atomic_fetch_and(&event->word, ~(uint32_t)EVENT_SET) & EVENT_SET) != 0;
    host_lock_release(&lock);
    if (limited)
        host_timer_cancel(&task->timeout);
    return set;
}
