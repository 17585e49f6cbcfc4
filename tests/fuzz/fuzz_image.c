/* Any bytes as a guest image: refused with a reason, or loaded without a byte outside of RAM. */
#include "core/image.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BASE 0x80200000
#define RAM_SIZE 65536

static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static _Atomic uint8_t flags[RAM_SIZE / 4096];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image image;
    struct memory mem;
    uint64_t entry, end;

    if (image_open(&image, data, size) != 0) {
        if (image.problem == NULL || image.problem[0] == 0)
            abort();
        return 0;
    }
    mem_init(&mem);
    mem_slot_add(&mem, RAM_BASE, RAM_SIZE, ram, flags);
    if (image_load(&image, &mem, RAM_BASE, &entry, &end) == 0 &&
        (end <= RAM_BASE || end > RAM_BASE + RAM_SIZE))
        abort();
    return 0;
}

static void put(uint8_t *at, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static size_t linux_seed(uint8_t *buf)
{
    memcpy(buf, "MZ", 2);
    put(buf + 8, 0x200000, 8);
    put(buf + 16, 0x8000, 8);
    memcpy(buf + 56, "RSC\x05", 4);
    put(buf + 60, 64, 4);
    memcpy(buf + 64, "PE\0\0", 4);
    put(buf + 64 + 6, 1, 2);
    put(buf + 64 + 20, 16, 2);
    put(buf + 104 + 16, 0x100, 4);
    put(buf + 104 + 20, 0x80, 4);
    return 0x200;
}

static size_t elf_seed(uint8_t *buf)
{
    memcpy(buf, "\177ELF\x02\x01\x01", 7);
    put(buf + 16, 2, 2);
    put(buf + 18, 243, 2);
    put(buf + 24, RAM_BASE, 8);
    put(buf + 32, 64, 8);
    put(buf + 54, 56, 2);
    put(buf + 56, 2, 2);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *segment = buf + 64 + 56 * i;
        put(segment, 1, 4);
        put(segment + 8, 0x100, 8);
        put(segment + 16, RAM_BASE + 0x1000 * i, 8);
        put(segment + 24, RAM_BASE + 0x1000 * i, 8);
        put(segment + 32, 0x80, 8);
        put(segment + 40, 0x800, 8);
    }
    return 0x200;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    memset(buf, 0, capacity);
    switch (index) {
    case 0: return linux_seed(buf);
    case 1: return elf_seed(buf);
    default: return 0;
    }
}
