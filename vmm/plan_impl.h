/* What the parts of the planner share. */
#ifndef VMM_PLAN_IMPL_H
#define VMM_PLAN_IMPL_H

#include "core/error.h"
#include "core/host.h"
#include "vmm/plan.h"

#define PLAN_PAGE  4096ULL
#define PLAN_ALIGN (2ULL << 20) /* where Linux wants its memory to begin */
#define PLAN_LIMIT (1ULL << PMP_PA_BITS)

/* Fills problem->text as words_put does; returns `error`. */
int plan_fail(struct plan_problem *problem, int error, const char *format, ...);

static inline bool plan_overlap(struct plan_range a, struct plan_range b)
{
    return a.size != 0 && b.size != 0 && a.base < b.base + b.size && b.base < a.base + a.size;
}

static inline bool plan_inside(struct plan_range inner, struct plan_range outer)
{
    return inner.base >= outer.base && inner.size <= outer.size &&
           inner.base - outer.base <= outer.size - inner.size;
}

/* Names in one string, each with a NUL behind it: "a\0b\0". Without pointers, which the firmware
 * has no room for. */
static inline bool plan_is_one_of(const char *name, const char *names)
{
    for (; *names != 0; names += strlen(names) + 1) {
        if (strcmp(name, names) == 0)
            return true;
    }
    return false;
}

/* Takes a range out of a sorted list; what no longer fits in the list is lost. */
void plan_subtract(struct plan_range *list, unsigned *count, unsigned max, struct plan_range range);

#endif
