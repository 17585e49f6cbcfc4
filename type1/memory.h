/* The board's memory as the hypervisor gives it out. */
#ifndef TYPE1_MEMORY_H
#define TYPE1_MEMORY_H

#include "type1/pages.h"

#include <stddef.h>

void memory_setup(void);
/* Before the first allocation. */
struct pages *memory_pages(void);
/* Pages that are not zeroed; NULL: none. host_free takes them back. */
void *memory_alloc(size_t size);
/* RAM for a guest, not zeroed; NULL: none. */
void *memory_alloc_guest(uint64_t size, uint64_t align);
void memory_free_guest(void *ram, uint64_t size);
struct memory_use {
    uint64_t total, used, largest;
    uint64_t guests; /* of `used` */
};
void memory_use(struct memory_use *use);

#endif
