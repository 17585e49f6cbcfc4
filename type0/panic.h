/* Faults of the firmware itself: reported, and the board stops. */
#ifndef TYPE0_PANIC_H
#define TYPE0_PANIC_H

#include <stdint.h>

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From switch.S: the firmware trapped; its registers. */
_Noreturn void panic_trap(const uint64_t *x);

#endif
