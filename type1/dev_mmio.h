/* Device registers: 32-bit accesses, ordered against memory on both sides. */
#ifndef TYPE1_DEV_MMIO_H
#define TYPE1_DEV_MMIO_H

#include <stdint.h>

struct dev_access {
    uint32_t (*read)(void *registers, uint32_t offset);
    void (*write)(void *registers, uint32_t offset, uint32_t value);
};
/* The board's; `registers` is where they are. */
extern const struct dev_access dev_mmio;

#endif
