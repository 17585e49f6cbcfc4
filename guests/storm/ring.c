/*
 * storm: virtio devices (version 2 of the MMIO transport) with rings that lie: loops, descriptors
 * outside RAM, garbage in indirect tables, huge lengths, wrong sizes, changed while they are used.
 *
 * A device's part of memory: 4 KiB of request headers, four descriptor tables of 4 KiB, then
 * available rings, used rings and data. What the device may overwrite lies there, or behind the
 * end of RAM; a request that runs out of the part goes on to the end of RAM, where nothing is.
 */
#include "storm.h"

enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08,
    DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SEL = 0x24,
    QUEUE_SEL = 0x30,
    QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_READY = 0x44,
    NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60,
    INTERRUPT_ACK = 0x64,
    STATUS = 0x70,
    QUEUE_DESC = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
    CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { NET = 1, BALLOON = 5 };
enum { NET_HEADER = 12, BLOCK_HEADER = 16 };
enum { QUEUES = 4, TABLE = 4096, AVAILABLE = 20480, USED = 28672, DATA = 49152 };

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

static uint32_t get(const struct region *region, unsigned at)
{
    return *(volatile uint32_t *)(region->base + at);
}

static void set(const struct region *region, unsigned at, uint32_t value)
{
    *(volatile uint32_t *)(region->base + at) = value;
}

static struct descriptor *table(const struct region *region, unsigned queue)
{
    return (struct descriptor *)(region->dma + TABLE + 4096 * queue);
}

/* Block requests' types and sectors, control commands; page numbers for a balloon, which must not
 * be those of memory that is used. */
static void fill_data(struct hart *hart, const struct region *region, bool balloon)
{
    static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 14, 16, 0x80000000, 0xffffffff};
    uint32_t *words = (uint32_t *)region->dma;

    for (unsigned i = 0; i < 1024; i += 1 + (unsigned)random_below(hart, 4)) {
        uint64_t random = random_next(hart);
        if (balloon)
            words[i] = (uint32_t)(random & 1   ? (region->dma >> 12) + (random >> 60)
                                  : random & 2 ? (storm.ram_end >> 12) + (random >> 63)
                                  : random & 4 ? UINT32_MAX
                                               : random >> 62);
        else if (i % 4 == 0)
            words[i] = types[random % (sizeof(types) / sizeof(*types))];
        else
            words[i] = random & 3 ? (uint32_t)(random >> 58) : (uint32_t)random_number(hart);
    }
}

/* A frame that is answered, so that something comes in: who has 10.0.2.2 (libslirp's router)? */
static void fill_frame(const struct region *region)
{
    static const uint8_t frame[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, /* Ethernet */
        0,    1,    8,    0,    6,    4,    0,    1,                               /* ARP request */
        0x52, 0x54, 0,    0x12, 0x34, 0x56, 10,   0,    2, 15,   0,    0,    0, 0,
        0,    0,    10,   0,    2,    2,
    };
    volatile uint8_t *to = (volatile uint8_t *)(region->dma + DATA);

    for (size_t i = 0; i < sizeof(frame); i++)
        to[i] = frame[i];
}

static uint64_t address_random(struct hart *hart, const struct region *region)
{
    uint64_t random = random_next(hart);

    switch (random & 15) {
    case 0: return random_hole(hart);
    case 1: return storm.ram_end - (random >> 59);
    case 2: return storm.regions[(random >> 32) % storm.region_count].base + (random >> 56);
    case 3: return region->dma + (random >> 32) % DMA_SIZE;
    case 4: return region->dma + ((random >> 32) % DMA_SIZE & ~3UL);
    case 5: return -(random >> 58);
    case 6:
    case 7:
    case 8:
    case 9: return region->dma + 16 * (random >> 56);
    default: return region->dma + DATA + 512 * (random >> 60);
    }
}

static uint32_t length_random(struct hart *hart, const struct region *region, uint64_t address)
{
    static const uint32_t lengths[] = {0,   1,    8,          12,         16,
                                       512, 4096, 0x7fffffff, 0x80000000, 0xffffffff};
    uint64_t random = random_next(hart);
    uint32_t length = random & 1 ? lengths[(random >> 32) % (sizeof(lengths) / sizeof(*lengths))]
                                 : (uint32_t)(random >> 54);

    if (address - region->dma < DMA_SIZE && address + length > region->dma + DMA_SIZE &&
        address + length <= storm.ram_end)
        length = (uint32_t)(region->dma + DMA_SIZE - address);
    return length;
}

static void fill_table(struct hart *hart, const struct region *region, unsigned queue,
                       unsigned count, bool balloon)
{
    struct descriptor *descriptors = table(region, queue);

    for (unsigned n = 0; n < count; n++) {
        uint64_t random = random_next(hart);
        struct descriptor *d = &descriptors[random % 64];
        uint64_t address = address_random(hart, region);
        if (balloon && address - region->dma < DMA_SIZE)
            address = region->dma + (random >> 32) % 4096 / 4 * 4;
        *d = (struct descriptor){
            .address = address,
            .length = length_random(hart, region, address),
            .flags = random >> 16 & 3   ? (uint16_t)(random >> 24 & 3)
                     : random >> 18 & 1 ? (uint16_t)(random >> 24 & 7)
                                        : (uint16_t)(random >> 32),
            .next = random >> 48 & 7 ? (uint16_t)(random >> 58) : (uint16_t)(random >> 40),
        };
    }
    /* Among them some that are right: header, data, status. */
    uint32_t header = get(region, DEVICE_ID) == NET ? NET_HEADER : BLOCK_HEADER;
    for (unsigned n = 0; n + 2 < 64; n += 8) {
        uint64_t random = random_next(hart);
        uint16_t first = (uint16_t)n;
        if (!(random & 3))
            continue;
        descriptors[n] =
            (struct descriptor){region->dma + 16 * (random >> 56), header, NEXT, first + 1};
        descriptors[n + 1] = (struct descriptor){
            balloon ? region->dma : region->dma + DATA, 512 * (uint32_t)(1 + (random >> 8 & 7)),
            (uint16_t)(NEXT | (random >> 16 & WRITE)), first + 2};
        descriptors[n + 2] = (struct descriptor){region->dma + DATA + 8192, 1, WRITE, 0};
    }
}

static void offer(struct hart *hart, const struct region *region, unsigned queue)
{
    volatile uint16_t *available = (volatile uint16_t *)(region->dma + AVAILABLE + 2048 * queue);
    uint64_t random = random_next(hart);

    available[0] = random >> 60 == 0; /* NO_INTERRUPT */
    for (int i = 0; i < 8; i++)
        available[2 + (random >> (8 * i) & 255)] =
            (uint16_t)(random_below(hart, 16) ? random_below(hart, 8) * 8 : random_next(hart));
    __asm__ volatile("fence" : : : "memory");
    available[1] = (uint16_t)(available[1] +
                              (random_below(hart, 16) ? random_below(hart, 8) : random_next(hart)));
    __asm__ volatile("fence" : : : "memory");
    set(region, NOTIFY, random_below(hart, 8) ? queue : (uint32_t)random_number(hart));
}

/* Most set-ups are right, or nothing behind them would ever be reached. */
static bool rarely(struct hart *hart)
{
    return random_below(hart, 64) == 0;
}

static void set_address(struct hart *hart, const struct region *region, unsigned at, uint64_t good)
{
    uint64_t address = good;

    if (rarely(hart))
        address = random_hole(hart);
    else if (rarely(hart))
        address = storm.ram_end - 16 * random_below(hart, 64);
    else if (rarely(hart))
        address += random_below(hart, 16);
    set(region, at, (uint32_t)address);
    set(region, at + 4, (uint32_t)(address >> 32));
}

static void set_up_queue(struct hart *hart, const struct region *region, unsigned queue)
{
    static const uint32_t sizes[] = {0,     3,     1,     2,          32767,
                                     32768, 65535, 65536, 0x80000000, 0xffffffff};

    set(region, QUEUE_SEL, rarely(hart) ? (uint32_t)random_number(hart) : queue);
    uint32_t max = get(region, QUEUE_NUM_MAX), size = max < 256 ? max : 256;
    if (rarely(hart))
        size = random_below(hart, 4) ? sizes[random_below(hart, sizeof(sizes) / sizeof(*sizes))]
                                     : max * 2;
    else if (random_below(hart, 2))
        size = 1U << random_below(hart, 9);
    set(region, QUEUE_NUM, size);
    set_address(hart, region, QUEUE_DESC, region->dma + TABLE + 4096 * queue);
    set_address(hart, region, QUEUE_DRIVER, region->dma + AVAILABLE + 2048 * queue);
    set_address(hart, region, QUEUE_DEVICE, region->dma + USED + 4096 * queue);
    for (unsigned i = 0; i < 1024; i++)
        ((volatile uint16_t *)(region->dma + AVAILABLE + 2048 * queue))[i] = 0;
    set(region, QUEUE_READY, rarely(hart) ? (uint32_t)random_number(hart) : 1);
}

static void device(struct hart *hart, const struct region *region)
{
    bool balloon = get(region, DEVICE_ID) == BALLOON;
    uint64_t patience = time_now() + storm.timebase / 10;

    set(region, STATUS, 0);
    while (get(region, STATUS) && time_now() < patience)
        ;
    set(region, STATUS, ACKNOWLEDGE);
    set(region, STATUS, ACKNOWLEDGE | DRIVER);
    for (uint32_t word = 0; word < 2; word++) {
        set(region, DEVICE_FEATURES_SEL, word);
        uint32_t features = get(region, DEVICE_FEATURES);
        uint32_t wanted = (uint32_t)random_next(hart) | word; /* VERSION_1, mostly */
        if (random_below(hart, 8))
            wanted &= features;
        set(region, DRIVER_FEATURES_SEL, word);
        set(region, DRIVER_FEATURES, wanted);
    }
    if (!rarely(hart))
        set(region, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        fill_table(hart, region, queue, 64, balloon);
        set_up_queue(hart, region, queue);
    }
    fill_data(hart, region, balloon);
    fill_frame(region);
    if (!rarely(hart))
        set(region, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    for (int round = 0; round < 8; round++) {
        unsigned queue = (unsigned)random_below(hart, QUEUES);
        offer(hart, region, queue);
        /* While it may be reading: */
        fill_table(hart, region, queue, 4, balloon);
        fill_data(hart, region, balloon);
        set(region, INTERRUPT_ACK, get(region, INTERRUPT_STATUS));
        get(region, CONFIG + 4 * (unsigned)random_below(hart, 64));
        if (random_below(hart, 8) == 0)
            set(region, CONFIG + 4 * (unsigned)random_below(hart, 64),
                (uint32_t)random_number(hart));
        if (random_below(hart, 16) == 0)
            set_up_queue(hart, region, queue);
    }
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        hart->used += *(volatile uint16_t *)(region->dma + USED + 4096 * queue + 2);
        *(volatile uint16_t *)(region->dma + USED + 4096 * queue + 2) = 0;
    }
    if (random_below(hart, 4))
        set(region, STATUS, 0);
    hart->rings++;
    hart->progress++;
}

void storm_ring(struct hart *hart)
{
    unsigned begin = (unsigned)random_below(hart, storm.region_count);

    for (unsigned i = 0; i < storm.region_count; i++) {
        struct region *region = &storm.regions[(begin + i) % storm.region_count];
        if (region->kind != VIRTIO || get(region, MAGIC) != 0x74726976 ||
            get(region, VERSION) != 2 || !get(region, DEVICE_ID))
            continue;
        /* One hart at a time, so that most of it makes sense; access.c disturbs it from the others.
         */
        if (__atomic_exchange_n(&region->lock, 1, __ATOMIC_ACQUIRE))
            continue;
        device(hart, region);
        __atomic_store_n(&region->lock, 0, __ATOMIC_RELEASE);
        return;
    }
}
