/* The board's UART, a 16550, and what the firmware says on it. */
#ifndef TYPE0_CONSOLE_H
#define TYPE0_CONSOLE_H

#include "core/fdt.h"

/* Finds the UART: /chosen stdout-path, or the first 16550 there is. Without one, words go nowhere.
 */
void console_setup(const struct fdt *fdt);
/* One line of the firmware's own. */
void console_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For the end: no lock. */
void console_emergency(const char *text);
/* Bytes as they are. */
void console_write(const void *bytes, size_t len);
/* Bytes typed; returns how many there were. */
size_t console_read(void *bytes, size_t len);

#endif
