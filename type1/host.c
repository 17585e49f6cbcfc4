/* core/host.h: memory, locks and log lines. Time is in timer.c, events are in task.c. */
#include "core/host.h"

#include "core/hot.h"
#include "engine/hext/csr.h"
#include "type1/console.h"
#include "type1/hart.h"
#include "type1/memory.h"
#include "type1/panic.h"
#include "type1/print.h"

#include <stdatomic.h>

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

static __attribute__((noinline)) void lock_wait(struct host_lock *lock, uint64_t me)
{
    uint64_t holder;
    do {
        holder = 0;
        if (atomic_compare_exchange_weak_explicit(lock_word(lock), &holder, me,
                                                  memory_order_acquire, memory_order_relaxed))
            return;
    } while (holder != me);
    /* Nothing interrupts a holder, so it would wait for ever. */
    panic("a lock is taken twice by one hart");
}

HOT void host_lock_acquire(struct host_lock *lock)
{
    uint64_t me = (uint64_t)this_hart()->hext.index + 1, holder = 0;
    if (!atomic_compare_exchange_weak_explicit(lock_word(lock), &holder, me, memory_order_acquire,
                                               memory_order_relaxed))
        lock_wait(lock, me);
}

HOT void host_lock_release(struct host_lock *lock)
{
    atomic_store_explicit(lock_word(lock), 0, memory_order_release);
}

/* ---- Memory ---- */

static struct pages pages;
static struct host_lock pages_lock;
static uint64_t guest_bytes;

void memory_setup(void)
{
    host_lock_init(&pages_lock);
}

struct pages *memory_pages(void)
{
    return &pages;
}

static uint64_t alloc(uint64_t size, uint64_t align, bool high)
{
    host_lock_acquire(&pages_lock);
    uint64_t base = pages_alloc(&pages, size, align, high);
    if (high && base != 0)
        guest_bytes += size;
    host_lock_release(&pages_lock);
    return base;
}

void *host_alloc(size_t size, size_t align)
{
    void *p = (void *)(uintptr_t)alloc(size, align, false);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

void host_free(void *p, size_t size)
{
    if (p == NULL)
        return;
    host_lock_acquire(&pages_lock);
    pages_free(&pages, (uint64_t)(uintptr_t)p, size);
    host_lock_release(&pages_lock);
}

void host_copy(void *restrict to, const void *restrict from, size_t len)
{
    memcpy(to, from, len);
}

void *memory_alloc(size_t size)
{
    return (void *)(uintptr_t)alloc(size, PAGES_SIZE, false);
}

void *memory_alloc_guest(uint64_t size, uint64_t align)
{
    return (void *)(uintptr_t)alloc(size, align, true);
}

void memory_free_guest(void *ram, uint64_t size)
{
    host_free(ram, size);
    guest_bytes -= size;
}

void memory_use(struct memory_use *use)
{
    host_lock_acquire(&pages_lock);
    *use = (struct memory_use){.total = pages.total,
                               .used = pages.used,
                               .largest = pages_largest(&pages),
                               .guests = guest_bytes};
    host_lock_release(&pages_lock);
}

/* ---- Time of day ---- */

/* No clock of the board is read yet: the epoch begins with the board's time. */
uint64_t host_wall_ns(void)
{
    return host_time_ns();
}

/* ---- Log ---- */

void host_log(enum host_log_level level, const char *format, ...)
{
    char line[200];
    va_list arguments;
    if (level == HOST_LOG_DEBUG)
        return;
    va_start(arguments, format);
    text_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    console_line("%s", line);
}
