/* Registers of the board, as this hart reads and writes them. */
#include "type1/dev_mmio.h"

static uint32_t mmio_read(void *registers, uint32_t offset)
{
    uint32_t value = *(const volatile uint32_t *)((const char *)registers + offset);
    __asm__ volatile("fence i, rw" ::: "memory");
    return value;
}

static void mmio_write(void *registers, uint32_t offset, uint32_t value)
{
    __asm__ volatile("fence rw, o" ::: "memory");
    *(volatile uint32_t *)((char *)registers + offset) = value;
}

const struct dev_access dev_mmio = {.read = mmio_read, .write = mmio_write};
