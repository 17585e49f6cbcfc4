/* Where host_alloc takes its memory from. */
#ifndef TYPE0_HEAP_H
#define TYPE0_HEAP_H

#include <stdint.h>

void heap_setup(uint64_t from, uint64_t to);

#endif
