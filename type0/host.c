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

/* Tickets: whoever comes first is first, however often another one asks. opaque[1]: who is served;
 * opaque[2]: 1 + the index of the hart that holds it. */
void host_lock_init(struct host_lock *lock)
{
    *lock = (struct host_lock){{0}};
}

void host_lock_acquire(struct host_lock *lock)
{
    uint64_t me = (uint64_t)this_hart()->index + 1;
    /* Nothing interrupts a holder, so it would wait for ever. */
    if (lock->opaque[2] == me)
        panic("a lock is taken twice by one hart");
    uint64_t ticket = atomic_fetch_add_explicit(lock_word(lock), 1, memory_order_relaxed);
    while (__atomic_load_n(&lock->opaque[1], __ATOMIC_ACQUIRE) != ticket)
        ;
    lock->opaque[2] = me;
}

void host_lock_release(struct host_lock *lock)
{
    lock->opaque[2] = 0;
    __atomic_store_n(&lock->opaque[1], lock->opaque[1] + 1, __ATOMIC_RELEASE);
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

void host_copy(void *restrict to, const void *restrict from, size_t len)
{
    memcpy(to, from, len);
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
