/*
 * Traces: each exit of a guest as a line on the console. Bounded: a guest's exits wait in a small
 * buffer until the console has room for them, what does not fit meanwhile is counted.
 */
#ifndef TYPE1_TRACE_H
#define TYPE1_TRACE_H

#include "type1/guest.h"

/* The monitor's names of enum hext_exit_count. */
extern const char *const trace_exit_names[HEXT_EXIT_COUNTS + 1];

/* `text`: "on", "off", or how many exits are to be shown. */
void trace_command(struct guest *guest, char *text);
/* Which guests are traced. */
void trace_list(void);
/* From the console's task, often: shows what there is. */
void trace_show(void);

#endif
