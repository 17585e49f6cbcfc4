/* The end of the hypervisor itself: one report, and the board stops. */
#ifndef TYPE1_PANIC_H
#define TYPE1_PANIC_H

#include <stdint.h>

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From trap_vector: x[n] are the registers at the trap. */
_Noreturn void panic_trap(const uint64_t *x);

#endif
