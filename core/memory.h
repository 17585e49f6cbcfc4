/*
 * Guest-physical memory: RAM in slots, and the only door through which devices reach it.
 *
 * A device (or any thread that is not a VCPU's engine) calls mem_map for a range of guest-physical
 * addresses, uses the pointer, and calls mem_done with what it wrote. That checks bounds, marks
 * pages dirty and tells engines when code pages change. Snapshots, clones and migration stand on
 * this. Engines keep pointers of their own (TLBs) and mark pages through the same flags.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_PAGE_SHIFT 12
#define MEM_PAGE_SIZE  4096ULL
#define MEM_SLOTS_MAX  8

/* Per-page flags, set with atomic OR. */
enum mem_page_flag {
    MEM_PAGE_CODE = 1,   /* an engine holds code translated from this page */
    MEM_PAGE_DIRTY = 2,  /* written since the log was last cleared (only while logging) */
    MEM_PAGE_STORED = 4, /* an engine's: some VCPU has been allowed to write without telling */
};

struct mem_slot {
    uint64_t gpa;           /* page-aligned */
    uint64_t size;          /* bytes, page-aligned, not 0 */
    uint8_t *hva;           /* host-virtual address of the first byte */
    bool readonly;          /* ROM: the guest's stores take an access fault */
    _Atomic uint8_t *flags; /* one byte a page: enum mem_page_flag */
};

struct memory {
    struct mem_slot slots[MEM_SLOTS_MAX]; /* sorted by gpa, not overlapping */
    unsigned slot_count;
    _Atomic bool dirty_log;
    /* Told after bytes of a page that holds MEM_PAGE_CODE have changed. May be NULL. */
    void (*code_changed)(void *arg, uint64_t gpa, uint64_t len);
    void *code_changed_arg;
    /*
     * Called by mem_map with a range that is in one slot, before its pointer is handed out: for
     * hypervisors that clear memory when it is first touched. May be NULL.
     */
    void (*touch)(void *arg, uint64_t gpa, uint64_t len);
    void *touch_arg;
};

void mem_init(struct memory *mem);
/* Adds RAM; `flags` holds size / 4096 zero bytes. -E_INVAL misaligned or empty, -E_EXIST overlap,
 * -E_NOSPC full. */
int mem_slot_add(struct memory *mem, uint64_t gpa, uint64_t size, void *hva,
                 _Atomic uint8_t *flags);
/* The slot that holds all of [gpa, gpa + len), or NULL. len may be 0. Overflow-safe. */
struct mem_slot *mem_slot_find(struct memory *mem, uint64_t gpa, uint64_t len);
/*
 * Host pointer to [gpa, gpa + len) or NULL if it is not all memory of one slot, or is read-only and
 * `write` is asked for. `write`: mem_done must follow.
 */
void *mem_map(struct memory *mem, uint64_t gpa, uint64_t len, bool write);
/* [gpa, gpa + written) was written through a pointer of mem_map. */
void mem_done(struct memory *mem, uint64_t gpa, uint64_t written);
/* Copies; 0 or -E_FAULT (then nothing was copied). */
int mem_read(struct memory *mem, uint64_t gpa, void *to, uint64_t len);
int mem_write(struct memory *mem, uint64_t gpa, const void *from, uint64_t len);
/* Dirty log: while on, writers set MEM_PAGE_DIRTY. */
void mem_dirty_log(struct memory *mem, bool on);
/* Total bytes of RAM, ROM not counted. */
uint64_t mem_total(const struct memory *mem);

#endif
