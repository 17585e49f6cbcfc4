/*
 * What a world has in the hart besides its integer registers, pc and mstatus, kept while another
 * world of the same hart has its turn. Harts of one world have no contexts.
 */
#ifndef TYPE0_CONTEXT_H
#define TYPE0_CONTEXT_H

#include "type0/world.h"

#define CONTEXT_CSRS 29

struct hext_vector;

struct context {
    uint64_t csrs[CONTEXT_CSRS]; /* in the order of context.c's lists */
    uint64_t tried[TRY_SWITCHED];
    uint64_t pending; /* of mip: SSIP, and STIP without Sstc */
    uint64_t enabled; /* of mie: the interrupts of S-mode */
    uint64_t timer;   /* ticks; stimecmp, or what plays it */
    uint64_t vstimecmp;
    uint64_t f[32], fcsr;
    struct hext_vector *vector; /* NULL: no V */
};

/* Once, when the harts are known. False: no memory. */
bool context_setup(void);
/* NULL: no memory. */
struct context *context_new(void);
/* The world in this hart leaves it; its mstatus is in its VCPU already. */
void context_save(struct world *world);
/* It gets the hart; not for one that begins anew. */
void context_load(struct world *world);
/* The world begins anew: nothing of what was in the hart before is left. */
void context_reset(struct world *world);
/* Interrupts that are pending and enabled for a world that is not in the hart, as WFI counts them.
 */
bool context_pending(const struct world *world);
/* When a world that is not in the hart has such an interrupt by its timer; UINT64_MAX: never. */
uint64_t context_wakes(const struct world *world);

#endif
