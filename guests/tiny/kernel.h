/* tiny: the kernel's own parts. */
#ifndef TINY_KERNEL_H
#define TINY_KERNEL_H

#include "tiny.h"

/* The registers of a process while it does not run. head.S knows the layout. */
struct frame {
    uint64_t x[32]; /* x[0]: unused */
    uint64_t pc;
};

/* machine.c: what the device tree and the SBI say. */
struct machine {
    struct machine_info info;
    uint64_t ram, ram_size;
    uint64_t timebase; /* ticks of `time` a second */
    uint64_t hart_ids[HARTS_MAX];
};
/* False if it is no device tree or lacks what a kernel needs. */
bool machine_read(struct machine *machine, const void *tree);
void console_open(void);
void console_write(const char *text, size_t length);
long console_read(char *buffer, size_t length);
void timer_set(uint64_t time);
bool hart_start(uint64_t id, uint64_t address, uint64_t opaque);
void hart_wake(uint64_t id);
_Noreturn void machine_off(bool failed);
uint64_t time_now(void);

/* memory.c: pages and page tables. `root` is a root page table's address. */
void memory_init(const struct machine *machine, uint64_t free_from);
void *page_alloc(void); /* zeroed; NULL: none left */
uint64_t kernel_root(void);
uint64_t space_new(const uint8_t *program, size_t size, size_t shared); /* 0: no memory */
void space_free(uint64_t root);
/* Between the kernel and a process: false if the process may not touch all of it that way. */
bool copy_in(uint64_t root, void *to, uint64_t from, size_t length);
bool copy_out(uint64_t root, uint64_t to, const void *from, size_t length);

/* head.S */
struct trap {
    uint64_t cause, value;
};
/* Runs a process until it traps; back in the kernel's own page table afterwards. */
struct trap enter_user(struct frame *frame, uint64_t user_satp, uint64_t kernel_satp);
extern char image_start[], image_end[], hart_entry[];
extern const uint8_t user_program[], user_program_end[];

#endif
