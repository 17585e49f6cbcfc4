/* Commands of the operator, typed in the console's overview. */
#ifndef TYPE0_MONITOR_H
#define TYPE0_MONITOR_H

void monitor_command(char *line);

#endif
