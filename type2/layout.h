/* A plan of type 0 as a person reads it. */
#ifndef TYPE2_LAYOUT_H
#define TYPE2_LAYOUT_H

#include "vmm/plan.h"

#include <stdio.h>

/* The board, a table of the partitions, harts that are shared, windows, and who is trusted. */
void layout_print(const struct plan *plan, const struct plan_board *board, FILE *to);

#endif
