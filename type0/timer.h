/*
 * The machine timer of a hart: the partition's own timer where there is no Sstc, turns of the
 * worlds that share the hart, and the console's.
 */
#ifndef TYPE0_TIMER_H
#define TYPE0_TIMER_H

#include "type0/hart.h"

/* Once, on the hart itself, when its worlds are known. `polls`: it looks after the console. */
void timer_setup(struct hart *hart, bool polls);
/* From the trap, or while idle: what is due is done. */
void timer_due(struct hart *hart);
/* The partition in this hart sets its timer (SBI 2.0, 6.1); UINT64_MAX: never. */
void timer_set_guest(struct hart *hart, uint64_t ticks);
/* hart->slice_end has changed. */
void timer_update(struct hart *hart);

#endif
