/*
 * Time and timers of the physical harts. A timer is kept by the hart that armed it.
 */
#ifndef TYPE1_TIMER_H
#define TYPE1_TIMER_H

#include "type1/hart.h"

/* `timebase` in Hz; `sstc`: the hypervisor has stimecmp. */
void timer_setup(uint64_t timebase, bool sstc);
/* Runs what is due on this hart and sets its hardware timer anew. */
void timer_interrupt(void);
/* Sets the hardware timer for the earliest of the hart's timers and the end of the time slice. */
void timer_program(void);

/* host_time_ns() when the hart's time was `ticks`. */
uint64_t timer_ns(uint64_t ticks);

#endif
