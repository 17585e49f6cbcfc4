/* The monitor: what the operator types in the overview. */
#ifndef TYPE1_MONITOR_H
#define TYPE1_MONITOR_H

void monitor_command(char *line);
/* How each guest fared, as a table. */
void monitor_table(void);

#endif
