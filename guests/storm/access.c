/* storm: every kind and width of access at every page of every device, between them and outside. */
#include "storm.h"

enum { BASE = 10, VALUE = 11 };

enum what { LOAD, STORE, FP_STORE, FETCH };
struct access {
    uint32_t word; /* address in x10 (and x2), value in x11, result in x12 */
    uint8_t width;
    uint8_t what;
};

static const struct access accesses[] = {
    {0x00050603, 1, LOAD},      /* lb */
    {0x00051603, 2, LOAD},      /* lh */
    {0x00052603, 4, LOAD},      /* lw */
    {0x00053603, 8, LOAD},      /* ld */
    {0x00054603, 1, LOAD},      /* lbu */
    {0x00055603, 2, LOAD},      /* lhu */
    {0x00056603, 4, LOAD},      /* lwu */
    {0x00051607, 2, LOAD},      /* flh */
    {0x00052607, 4, LOAD},      /* flw */
    {0x00053607, 8, LOAD},      /* fld */
    {0x4110, 4, LOAD},          /* c.lw */
    {0x6110, 8, LOAD},          /* c.ld */
    {0x2110, 8, LOAD},          /* c.fld */
    {0x4602, 4, LOAD},          /* c.lwsp */
    {0x6602, 8, LOAD},          /* c.ldsp */
    {0x8110, 1, LOAD},          /* c.lbu */
    {0x8510, 2, LOAD},          /* c.lhu */
    {0x8550, 2, LOAD},          /* c.lh */
    {0x2602, 8, LOAD},          /* c.fldsp */
    {0x02050007, 1, LOAD},      /* vle8.v */
    {0x02057007, 8, LOAD},      /* vle64.v */
    {0x00156013, 1, LOAD},      /* prefetch.r */
    {0x1005262f, 4, LOAD},      /* lr.w */
    {0x1605262f, 4, LOAD},      /* lr.w.aqrl */
    {0x1005362f, 8, LOAD},      /* lr.d */
    {0x60054673, 1, LOAD},      /* hlv.b */
    {0x60154673, 1, LOAD},      /* hlv.bu */
    {0x64054673, 2, LOAD},      /* hlv.h */
    {0x64154673, 2, LOAD},      /* hlv.hu */
    {0x68054673, 4, LOAD},      /* hlv.w */
    {0x68154673, 4, LOAD},      /* hlv.wu */
    {0x68354673, 4, LOAD},      /* hlvx.wu */
    {0x6c054673, 8, LOAD},      /* hlv.d */
    {0x64354673, 2, LOAD},      /* hlvx.hu */
    {0x0005200f, 1, LOAD},      /* cbo.inval */
    {0x0015200f, 1, LOAD},      /* cbo.clean */
    {0x0025200f, 1, LOAD},      /* cbo.flush */
    {0x12050073, 1, LOAD},      /* sfence.vma x10 */
    {0x00b50023, 1, STORE},     /* sb */
    {0x00b51023, 2, STORE},     /* sh */
    {0x00b52023, 4, STORE},     /* sw */
    {0x00b53023, 8, STORE},     /* sd */
    {0xc10c, 4, STORE},         /* c.sw */
    {0xe10c, 8, STORE},         /* c.sd */
    {0xc02e, 4, STORE},         /* c.swsp */
    {0xe02e, 8, STORE},         /* c.sdsp */
    {0x890c, 1, STORE},         /* c.sb */
    {0x8d0c, 2, STORE},         /* c.sh */
    {0x18b5262f, 4, STORE},     /* sc.w */
    {0x18b5362f, 8, STORE},     /* sc.d */
    {0x00b5262f, 4, STORE},     /* amoadd.w */
    {0x00b5362f, 8, STORE},     /* amoadd.d */
    {0x08b5262f, 4, STORE},     /* amoswap.w */
    {0x08b5362f, 8, STORE},     /* amoswap.d */
    {0x1ab5362f, 8, STORE},     /* sc.d.rl */
    {0x20b5262f, 4, STORE},     /* amoxor.w */
    {0x40b5362f, 8, STORE},     /* amoor.d */
    {0x60b5262f, 4, STORE},     /* amoand.w */
    {0x80b5362f, 8, STORE},     /* amomin.d */
    {0xa0b5262f, 4, STORE},     /* amomax.w */
    {0xc0b5362f, 8, STORE},     /* amominu.d */
    {0xe0b5362f, 8, STORE},     /* amomaxu.d */
    {0x28b5262f, 4, STORE},     /* amocas.w */
    {0x28b5362f, 8, STORE},     /* amocas.d */
    {0x28b5462f, 16, STORE},    /* amocas.q */
    {0x08b5062f, 1, STORE},     /* amoswap.b */
    {0x62b54073, 1, STORE},     /* hsv.b */
    {0x66b54073, 2, STORE},     /* hsv.h */
    {0x6ab54073, 4, STORE},     /* hsv.w */
    {0x6eb54073, 8, STORE},     /* hsv.d */
    {0x0045200f, 64, FP_STORE}, /* cbo.zero: writes zeros wherever that is harmless, like these */
    {0x00b51027, 2, FP_STORE},  /* fsh */
    {0x00b52027, 4, FP_STORE},  /* fsw */
    {0x00b53027, 8, FP_STORE},  /* fsd */
    {0xa10c, 8, FP_STORE},      /* c.fsd */
    {0xa02e, 8, FP_STORE},      /* c.fsdsp */
    {0x000500e7, 4, FETCH},     /* jalr */
    {0x8502, 2, FETCH},         /* c.jr */
};

static const struct region *uart(void)
{
    for (unsigned i = 0; i < storm.region_count; i++)
        if (storm.regions[i].kind == UART)
            return &storm.regions[i];
    return NULL;
}

void access_restore_uart(void)
{
    const struct region *region = uart();

    if (!region)
        return;
    volatile uint8_t *registers = (volatile uint8_t *)region->base;
    registers[3] = 3; /* LCR: 8 bits, no DLAB */
    registers[1] = 0; /* IER */
    registers[4] = 0; /* MCR: no loop-back */
    registers[2] = 7; /* FCR: on, emptied */
}

/* What may be written there without ending storm; false: nothing. */
static bool value_pick(struct hart *hart, const struct region *region, uint64_t offset,
                       const struct access *access, uint64_t *value)
{
    uint64_t width = access->width;

    *value = random_number(hart);
    if (!region)
        return true;
    switch (region->kind) {
    case FINISHER: /* every other word may switch off */
        *value = 0x1111111111111111;
        return access->what == STORE;
    case UART: /* what is printed is a dot */
        if (offset < 1)
            *value = (*value & ~0xffUL) | '.';
        return access->what == STORE;
    case CLINT: /* time must not jump: the deadline is in it */
        if (offset + width > 0xbff8 && offset < 0xc000)
            *value = time_now() + random_below(hart, 64);
        return !(offset + width > 0xbff8 && offset < 0xc000) || (width == 8 && offset == 0xbff8);
    case VIRTIO:
        if (access->what != STORE)
            return false;
        if (offset + width > 0x28 && offset < 0x48) {
            /* QueueNum; the legacy interface's page size and page number */
            *value = offset == 0x28 ? 4096 : offset == 0x40 ? region->dma >> 12 : *value;
            return (offset == 0x28 || offset == 0x38 || offset == 0x40) && width == 4;
        }
        if (offset + width > 0x80 && offset < 0xb0) {
            /* Addresses of rings: in the device's own memory or far outside RAM */
            if (random_below(hart, 2))
                *value = offset & 4 ? 0 : region->dma + random_below(hart, DMA_SIZE / 2);
            else
                *value |= 1UL << 31 | 3UL << 62;
            return width == 4 && (*value == 0 || !touches_ram((uint32_t)*value, 1 << 20) ||
                                  (uint32_t)*value - (uint32_t)region->dma < DMA_SIZE);
        }
        return true;
    case FW_CFG: /* its DMA address register */ return offset + width <= 16 || offset >= 24;
    case IOMMU:
    case ROM: return false; /* writes memory at addresses it is given; no registers */
    default: return true;
    }
}

enum { ILLEGAL = 2, NOTHING = 3, LOAD_MISALIGNED, LOAD_FAULT, STORE_MISALIGNED, STORE_FAULT };

/* What may come of it where there is nothing, with translation off: never a page fault, and from
 * what must access memory never success. */
static bool answer_allowed(const struct access *access, uint64_t cause)
{
    uint32_t opcode = access->word & 0x7f, operation = access->word >> 27;
    bool whole = (access->word & 3) == 3;

    if (access->what == FETCH)
        return cause < NOTHING;
    if (whole && opcode == 0x03)
        return cause == LOAD_MISALIGNED || cause == LOAD_FAULT;
    if (whole && opcode == 0x23)
        return cause == STORE_MISALIGNED || cause == STORE_FAULT;
    if (whole && opcode == 0x2f && operation == 2) /* lr */
        return cause == LOAD_MISALIGNED || cause == LOAD_FAULT;
    if (whole && opcode == 0x2f && operation == 3) /* sc without a reservation accesses nothing */
        return cause == NOTHING || cause == STORE_MISALIGNED || cause == STORE_FAULT;
    if (whole && opcode == 0x2f)
        return cause == ILLEGAL || cause == STORE_MISALIGNED || cause == STORE_FAULT;
    return cause >= ILLEGAL && cause <= STORE_FAULT;
}

static bool nothing_at(uint64_t address, uint64_t width)
{
    for (unsigned i = 0; i < storm.region_count; i++) {
        const struct region *region = &storm.regions[i];
        if (address - region->base < region->size || region->base - address < width)
            return false;
    }
    return true;
}

static void access_all(struct hart *hart, const struct region *region, uint64_t page)
{
    unsigned begin = (unsigned)random_below(hart, sizeof(accesses) / sizeof(*accesses));

    for (unsigned i = 0; i < sizeof(accesses) / sizeof(*accesses); i++) {
        const struct access *access =
            &accesses[(begin + i) % (sizeof(accesses) / sizeof(*accesses))];
        uint64_t random = random_next(hart);
        uint64_t offset = random & 1 ? random >> 52 : (random >> 52) % (random & 2 ? 0x110 : 0x30);
        uint64_t value = 0;

        if (region && region->kind == UART && random & 1)
            offset &= 15;
        if (random & 12)
            offset &= -(uint64_t)access->width;
        if (region && page + offset + access->width > region->base + region->size &&
            page + offset < region->base + region->size && random & 16)
            offset = 0; /* else it lies across the end */
        uint64_t address = page + offset;
        if (touches_ram(address, access->width))
            continue;
        if (access->what == FETCH && region && region->kind == ROM)
            address = region->base; /* its middle may jump into RAM */
        if ((access->what == STORE || access->what == FP_STORE) &&
            !value_pick(hart, region, address - (region ? region->base : 0), access, &value))
            continue;
        hart->regs[2] = hart->regs[BASE] = address;
        hart->regs[VALUE] = value;
        uint64_t cause = run(hart, access->word, 0);
        if (!answer_allowed(access, cause) && nothing_at(address, access->width))
            wrong("an access where nothing is", access->word, address, cause);
    }
}

/* The page before or behind a device's, if nothing is there. Not the finisher's: what lies across
 * its edge may switch off. */
static void access_beside(struct hart *hart)
{
    const struct region *region = &storm.regions[random_below(hart, storm.region_count)];
    uint64_t page = (random_below(hart, 2) ? region->base - 1 : region->base + region->size + 4095);

    page &= ~4095UL;
    for (unsigned i = 0; i < storm.region_count; i++) {
        const struct region *other = &storm.regions[i];
        if (page - other->base < other->size || other->base - page < 4096 + 64 ||
            (other->kind == FINISHER && page - other->base < other->size + 4096))
            return;
    }
    if (!touches_ram(page, 8192))
        access_all(hart, NULL, page);
}

/* Loads and stores across the last byte of RAM and just behind it. */
static void access_ram_end(struct hart *hart)
{
    for (unsigned i = 0; i < sizeof(accesses) / sizeof(*accesses); i++) {
        const struct access *access = &accesses[i];
        if (access->what == FETCH || access->width > 8)
            continue;
        hart->regs[2] = hart->regs[BASE] = storm.ram_end - random_below(hart, access->width);
        hart->regs[VALUE] = 0;
        run(hart, access->word, 0);
    }
}

/* The pages of all regions, one after the other; of the huge ones, 64 anywhere in them. Between
 * them, the first page of any region, since most devices have no more. */
void storm_access(struct hart *hart)
{
    uint64_t total = 0;

    if (storm.region_count && random_below(hart, 2)) {
        const struct region *region = &storm.regions[random_below(hart, storm.region_count)];
        access_all(hart, region, region->base);
        return;
    }

    for (unsigned i = 0; i < storm.region_count; i++) {
        uint64_t pages = (storm.regions[i].size + 4095) / 4096;
        total += pages > 4096 ? 64 : pages;
    }
    uint64_t step = (hart->origin + hart->walked_pages++) % (total + 32);
    registers_fill(hart);
    for (unsigned i = 0; i < storm.region_count; i++) {
        const struct region *region = &storm.regions[i];
        uint64_t pages = (region->size + 4095) / 4096;
        uint64_t steps = pages > 4096 ? 64 : pages;
        if (step < steps) {
            uint64_t page = pages > 4096 ? random_next(hart) % pages : step;
            access_all(hart, region, region->base + page * 4096);
            return;
        }
        step -= steps;
    }
    if (step == 0)
        access_ram_end(hart);
    else if (step < 16 && storm.region_count)
        access_beside(hart);
    else
        access_all(hart, NULL, random_hole(hart));
}
