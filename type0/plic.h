/*
 * The PLIC as one partition sees it: all registers where they are, but of the lines and contexts
 * only its own; others read 0 and ignore what is written (RISC-V PLIC 1.0.0). Pure but for the
 * registers themselves. Lines belong to one partition, so a line that it claimed waits for it
 * alone, whoever runs on the hart meanwhile.
 */
#ifndef TYPE0_PLIC_H
#define TYPE0_PLIC_H

#include "core/bus.h"
#include "core/host.h"

#define PLIC_LINES    1024
#define PLIC_WORDS    (PLIC_LINES / 32)
#define PLIC_PENDING  0x1000
#define PLIC_ENABLE   0x2000
#define PLIC_STRIDE   0x80
#define PLIC_CONTEXT  0x200000
#define PLIC_PAGE     0x1000
#define PLIC_CONTEXTS 15872

/* A hart's S-mode context. */
struct plic_context {
    uint32_t number;
    bool shared; /* other partitions have it too, in turn */
    bool live;   /* the registers hold what follows; always so if it is not shared */
    bool stale;  /* lines of the partition may be in service from before it went down */
    uint32_t threshold;
    uint32_t enables[PLIC_WORDS];
};

struct plic_view {
    volatile uint32_t *registers;
    uint64_t size;
    const uint32_t *lines; /* PLIC_WORDS, bit n: the line is the partition's */
    struct plic_context *contexts;
    unsigned count;
    struct host_lock lock;
};

extern const struct bus_ops plic_view_bus_ops; /* of a struct plic_view */

/* A shared context's turn begins or ends, on its hart. */
void plic_context_enter(struct plic_view *view, struct plic_context *context);
void plic_context_leave(struct plic_view *view, struct plic_context *context);
/* A line that the context has enabled is pending. */
bool plic_context_pending(const struct plic_view *view, const struct plic_context *context);
/* The partition is down: its lines interrupt nobody, and none is in service any more. */
void plic_view_quiesce(struct plic_view *view);

#endif
