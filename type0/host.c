/* core/host.h for the firmware: nothing here sleeps, and memory is given once. */
#include "core/host.h"

#include "core/print.h"
#include "type0/console.h"
#include "type0/hart.h"
#include "type0/heap.h"
#include "type0/panic.h"

/* ---- Locks ---- */

/* opaque[0]: 0, or 1 + the index of the hart that holds it. */
static _Atomic uint64_t *lock_word(struct host_lock *lock)
{
    return (_Atomic uint64_t *)&lock->opaque[0];
}

void host_lock_init(struct host_lock *lock)
{
    atomic_store_explicit(lock_word(lock), 0, memory_order_relaxed);
}

void host_lock_acquire(struct host_lock *lock)
{
    uint64_t me = (uint64_t)this_hart()->index + 1, holder = 0;
    while (!atomic_compare_exchange_weak_explicit(lock_word(lock), &holder, me,
                                                  memory_order_acquire, memory_order_relaxed)) {
        /* Nothing interrupts a holder, so it would wait for ever. */
        if (holder == me)
            panic("a lock is taken twice by one hart");
        holder = 0;
    }
}

void host_lock_release(struct host_lock *lock)
{
    atomic_store_explicit(lock_word(lock), 0, memory_order_release);
}

/* ---- Memory ---- */

static uint64_t heap_at, heap_end;

void heap_setup(uint64_t from, uint64_t to)
{
    heap_at = from;
    heap_end = to;
}

void *host_alloc(size_t size, size_t align)
{
    uint64_t at = (heap_at + align - 1) & ~(uint64_t)(align - 1);
    if (at > heap_end || size > heap_end - at)
        return NULL;
    heap_at = at + size;
    return memset((void *)(uintptr_t)at, 0, size);
}

void host_free(void *p, size_t size)
{
    (void)p;
    (void)size;
}

/* ---- Events: harts sleep in run.c alone ---- */

void host_event_init(struct host_event *event)
{
    atomic_store_explicit(&event->word, 0, memory_order_relaxed);
}

void host_event_set(struct host_event *event)
{
    (void)event;
}

void host_yield(void)
{
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010"); /* pause (Zihintpause) */
}

/* ---- Time ---- */

uint64_t host_time_ns(void)
{
    return ticks_now() * (1000000000 / features.timebase);
}

/* ---- Log ---- */

void host_log(enum host_log_level level, const char *format, ...)
{
    char line[200];
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    text_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    console_line("%s", line);
}
