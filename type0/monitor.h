/* Commands of the operator, typed in the console's overview. */
#ifndef TYPE0_MONITOR_H
#define TYPE0_MONITOR_H

#include <stdint.h>

void monitor_command(char *line);
/* With no partition left and nobody who has typed a command, the board's work is done. */
void monitor_look(uint64_t now);

#endif
