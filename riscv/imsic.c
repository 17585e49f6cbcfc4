#include "riscv/imsic.h"

void imsic_reset(struct imsic_file *file)
{
    file->delivery = file->threshold = 0;
    for (unsigned w = 0; w <= IMSIC_IDS_MAX / 64; w++)
        file->pending[w] = file->enabled[w] = 0;
}

void imsic_receive(struct imsic_file *file, uint32_t identity)
{
    if (identity != 0 && identity <= file->ids)
        file->pending[identity / 64] |= 1ULL << identity % 64;
}

uint32_t imsic_top(const struct imsic_file *file)
{
    for (uint32_t w = 0; w <= file->ids / 64; w++) {
        uint64_t ready = file->pending[w] & file->enabled[w];
        if (ready == 0)
            continue;
        uint32_t identity = w * 64 + (uint32_t)__builtin_ctzll(ready);
        /* Identities from the threshold on do not count, if it is not 0 (3.8.2). */
        return file->threshold == 0 || identity < file->threshold ? identity << 16 | identity : 0;
    }
    return 0;
}

void imsic_claim(struct imsic_file *file, uint32_t identity)
{
    if (identity != 0 && identity <= file->ids)
        file->pending[identity / 64] &= ~(1ULL << identity % 64);
}

bool imsic_signals(const struct imsic_file *file)
{
    return file->delivery != 0 && imsic_top(file) != 0;
}

uint64_t *imsic_register(struct imsic_file *file, uint64_t select, uint64_t *writable)
{
    *writable = 1;
    if (select == IMSIC_EIDELIVERY)
        return &file->delivery;
    *writable = IMSIC_IDS_MAX;
    if (select == IMSIC_EITHRESHOLD)
        return &file->threshold;
    if (select < IMSIC_EIP0 || select > IMSIC_SELECT_LAST || (select & 1) != 0)
        return NULL;
    unsigned w = (unsigned)(select & 0x3f) / 2;
    *writable = w > file->ids / 64 ? 0 : w == 0 ? ~1ULL : ~0ULL;
    return select < IMSIC_EIE0 ? &file->pending[w] : &file->enabled[w];
}

/* ---- Memory region ---- */

static int pages_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    (void)device, (void)offset, (void)width;
    *value = 0;
    return 0;
}

static int pages_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    const struct imsic_pages *pages = device;
    const uint64_t page = offset >> IMSIC_PAGE_SHIFT, at = offset & ((1 << IMSIC_PAGE_SHIFT) - 1);
    (void)width;
    if (at == 0)
        pages->receive(pages->arg, page, (uint32_t)value);
    else if (at == 4)
        pages->receive(pages->arg, page, __builtin_bswap32((uint32_t)value));
    return 0;
}

const struct bus_ops imsic_pages_bus_ops = {.read = pages_read, .write = pages_write, .widths = 4};
