#include "type1/timer.h"

#include "engine/hext/csr.h"
#include "type1/sbi.h"

#include <stdatomic.h>

static uint64_t timebase_hz, ns_per_tick; /* ns_per_tick: 0 if not a whole number */
static bool have_sstc;
static struct host_lock lock;

void timer_setup(uint64_t timebase, bool sstc)
{
    timebase_hz = timebase;
    ns_per_tick = 1000000000 % timebase == 0 ? 1000000000 / timebase : 0;
    have_sstc = sstc;
    host_lock_init(&lock);
}

uint64_t host_time_ns(void)
{
    return timer_ns(hcsr_read(HCSR_TIME));
}

uint64_t timer_ns(uint64_t ticks)
{
    if (ns_per_tick != 0)
        return ticks * ns_per_tick;
    return ticks / timebase_hz * 1000000000 + ticks % timebase_hz * 1000000000 / timebase_hz;
}

/* The first tick at which host_time_ns() has reached `ns`. */
static uint64_t ticks_at(uint64_t ns)
{
    if (ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t seconds = ns / 1000000000, rest = ns % 1000000000;
    return seconds * timebase_hz + (rest * timebase_hz + 999999999) / 1000000000;
}

static void set_hardware(struct hart *hart, uint64_t ticks)
{
    if (ticks == hart->armed_ticks)
        return;
    hart->armed_ticks = ticks;
    if (have_sstc)
        hcsr_write(HCSR_STIMECMP, ticks);
    else
        sbi_set_timer(ticks);
}

static uint64_t earliest(const struct hart *hart)
{
    const struct host_timer *first = hart->timers;
    return first != NULL && first->deadline_ns < hart->slice_end_ns ? first->deadline_ns
                                                                    : hart->slice_end_ns;
}

void timer_program(void)
{
    struct hart *hart = this_hart();
    host_lock_acquire(&lock);
    uint64_t deadline = earliest(hart);
    host_lock_release(&lock);
    set_hardware(hart, ticks_at(deadline));
}

/*
 * A hart's timers are a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986), whose nodes are
 * the timers: no VCPU is one too many. `link` is what points to a timer: its parent's child, its
 * sibling's next or the hart's timers. heap_index is the hart's index + 1; 0: not armed.
 */

/* Of two heaps without siblings; NULL: none. */
static struct host_timer *heap_meld(struct host_timer *a, struct host_timer *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (b->deadline_ns < a->deadline_ns) {
        struct host_timer *later = a;
        a = b;
        b = later;
    }
    b->next = a->child;
    if (b->next != NULL)
        b->next->link = &b->next;
    a->child = b;
    b->link = &a->child;
    return a;
}

static void heap_add(struct hart *hart, struct host_timer *heap)
{
    hart->timers = heap_meld(hart->timers, heap);
    if (hart->timers != NULL)
        hart->timers->link = &hart->timers;
}

static void disarm(struct host_timer *timer)
{
    if (timer->heap_index == 0)
        return;
    struct hart *hart = harts[timer->heap_index - 1];
    struct host_timer *left = timer->child, *pairs = NULL;
    timer->heap_index = 0;
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    while (left != NULL) {
        struct host_timer *a = left, *b = a->next;
        left = b != NULL ? b->next : NULL;
        a = heap_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct host_timer *heap = pairs;
        pairs = heap->next;
        heap->next = NULL;
        heap_add(hart, heap);
    }
}

void host_timer_init(struct host_timer *timer, void (*fn)(void *arg), void *arg)
{
    *timer = (struct host_timer){.fn = fn, .arg = arg};
}

void host_timer_arm(struct host_timer *timer, uint64_t deadline_ns)
{
    struct hart *hart = this_hart();
    host_lock_acquire(&lock);
    disarm(timer);
    timer->deadline_ns = deadline_ns;
    timer->heap_index = (size_t)hart->hext.index + 1;
    timer->child = timer->next = NULL;
    heap_add(hart, timer);
    host_lock_release(&lock);
    uint64_t ticks = ticks_at(deadline_ns);
    if (ticks < hart->armed_ticks)
        set_hardware(hart, ticks);
}

void host_timer_cancel(struct host_timer *timer)
{
    struct hart *here = this_hart();
    host_lock_acquire(&lock);
    disarm(timer);
    for (unsigned i = 0; i < hart_count; i++) {
        /* Its function runs without waiting for anything, so this is short. */
        while (harts[i] != here && harts[i]->timer_running == timer) {
            host_lock_release(&lock);
            host_lock_acquire(&lock);
        }
    }
    host_lock_release(&lock);
}

void timer_interrupt(void)
{
    struct hart *hart = this_hart();
    uint64_t now = host_time_ns();

    host_lock_acquire(&lock);
    while (hart->timers != NULL && hart->timers->deadline_ns <= now) {
        struct host_timer *timer = hart->timers;
        disarm(timer);
        hart->timer_running = timer;
        host_lock_release(&lock);
        timer->fn(timer->arg);
        host_lock_acquire(&lock);
        hart->timer_running = NULL;
    }
    if (now >= hart->slice_end_ns) {
        hart->slice_end_ns = UINT64_MAX;
        atomic_store(&hart->hext.resched, true);
    }
    uint64_t deadline = earliest(hart);
    host_lock_release(&lock);
    /* Written even if it is the same: an interrupt that came too early stays pending otherwise. */
    hart->armed_ticks = 0;
    set_hardware(hart, ticks_at(deadline));
}
