/*
 * Stacks of tasks and harts. They lie in the upper half of the hypervisor's own address space, each
 * with as much address space without memory below it: a task that needs more traps, and the panic
 * says whose it was. A stack stays mapped when it is given back, for the next one who wants it.
 */
#ifndef TYPE1_STACKS_H
#define TYPE1_STACKS_H

#include "engine/hext/gstage.h"

#include <stdbool.h>

#define STACK_SIZE  16384ULL
#define STACKS_BASE 0xffffffc000000000ULL /* the first address of Sv39's upper half */
#define STACKS_MAX  4096

/*
 * `table`: Sv39, without anything in its upper half. `alloc`: gives pages, which
 * host_free takes. `fence`: makes what was added to the table known to all harts.
 */
void stacks_init(struct gstage *table, void *(*alloc)(size_t size), void (*fence)(void));
/* The stack's top, 16-byte aligned; NULL: no memory. Its bytes may be anything. */
void *stack_alloc(void);
void stack_free(void *top);
/* The address is one that an overrun stack reaches. */
bool stack_below(uint64_t address);

#endif
