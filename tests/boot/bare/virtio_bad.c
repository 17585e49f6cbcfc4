/*
 * A driver of a virtio block device that breaks every rule of the ring (Virtual I/O
 * Device 1.2, 2.7). After each, the device must say NEEDS_RESET (2.1.2) with a configuration
 * interrupt, another device must still work, and the broken one must work again after a reset.
 * Needs two disks of at least two sectors, the second of which begins with "second disk".
 */
#include "bare.h"

enum {
    MAGIC = 0x000,
    DEVICE_ID = 0x008,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030,
    QUEUE_SIZE = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    INTERRUPT_STATUS = 0x060,
    INTERRUPT_ACK = 0x064,
    STATUS = 0x070,
    QUEUE_DESC = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 0x40 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { SIZE = 8 };

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct disk {
    struct desc desc[SIZE];
    uint64_t base;
    struct {
        uint16_t flags, idx, ring[SIZE], used_event;
    } avail;
    struct {
        uint16_t flags, idx;
        struct {
            uint32_t id, len;
        } ring[SIZE];
        uint16_t avail_event;
    } used __attribute__((aligned(4)));
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint8_t data[512];
    uint8_t status;
    struct desc table[SIZE] __attribute__((aligned(16)));
} __attribute__((aligned(16)));

static struct disk disks[2];

static void queue_address(struct disk *disk, unsigned reg, uint64_t address)
{
    put32(disk->base + reg, (uint32_t)address);
    put32(disk->base + reg + 4, (uint32_t)(address >> 32));
}

/* Reset and initialization (3.1.1) with VERSION_1 and INDIRECT_DESC, up to a queue that is not
 * ready yet. */
static void disk_reset(struct disk *disk)
{
    put32(disk->base + STATUS, 0);
    put32(disk->base + STATUS, ACKNOWLEDGE | DRIVER);
    put32(disk->base + DRIVER_FEATURES_SEL, 0);
    put32(disk->base + DRIVER_FEATURES, 1u << 28);
    put32(disk->base + DRIVER_FEATURES_SEL, 1);
    put32(disk->base + DRIVER_FEATURES, 1);
    put32(disk->base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    put32(disk->base + INTERRUPT_ACK, 3);
    disk->avail.idx = disk->used.idx = 0;
    put32(disk->base + QUEUE_SEL, 0);
    put32(disk->base + QUEUE_SIZE, SIZE);
    queue_address(disk, QUEUE_DESC, (uint64_t)disk->desc);
    queue_address(disk, QUEUE_DRIVER, (uint64_t)&disk->avail);
    queue_address(disk, QUEUE_DEVICE, (uint64_t)&disk->used);
}

static void disk_go(struct disk *disk)
{
    put32(disk->base + QUEUE_READY, 1);
    put32(disk->base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void disk_submit(struct disk *disk, uint16_t head)
{
    disk->avail.ring[disk->avail.idx % SIZE] = head;
    __atomic_store_n(&disk->avail.idx, (uint16_t)(disk->avail.idx + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    put32(disk->base + QUEUE_NOTIFY, 0);
}

/* A request as it should be: header, one sector, status. */
static void disk_request(struct disk *disk)
{
    disk->header.type = 0; /* VIRTIO_BLK_T_IN */
    disk->header.sector = 0;
    disk->status = 0xff;
    disk->desc[0] = (struct desc){(uint64_t)&disk->header, 16, NEXT, 1};
    disk->desc[1] = (struct desc){(uint64_t)disk->data, 512, NEXT | WRITE, 2};
    disk->desc[2] = (struct desc){(uint64_t)&disk->status, 1, WRITE, 0};
}

static int disk_works(struct disk *disk)
{
    disk_request(disk);
    uint16_t used = disk->used.idx;
    disk_submit(disk, 0);
    for (uint64_t wait = 0; __atomic_load_n(&disk->used.idx, __ATOMIC_ACQUIRE) == used; wait++)
        if (wait == 100000000)
            return 0;
    return *(volatile uint8_t *)&disk->status == 0;
}

static void expect(int ok, const char *what, const char *rule)
{
    if (ok)
        return;
    put_text("WRONG: ");
    put_text(what);
    put_text(": ");
    put_text(rule);
    put_text("\n");
}

static void broken_when(int running, const char *rule)
{
    struct disk *disk = &disks[0];
    uint64_t wait = 0;

    while ((get32(disk->base + STATUS) & NEEDS_RESET) == 0 && wait++ < 1000000)
        ;
    expect((get32(disk->base + STATUS) & NEEDS_RESET) != 0, "no NEEDS_RESET", rule);
    /* 2.1.2: a notification, if DRIVER_OK was set. */
    expect(!running || (get32(disk->base + INTERRUPT_STATUS) & 2) != 0,
           "no configuration interrupt", rule);
    disk_request(disk);
    disk_submit(disk, 0);
    expect(disk->used.idx == 0, "a broken device goes on", rule);
    expect(disk_works(&disks[1]), "the other disk does not work", rule);
    disk_reset(disk);
    disk_go(disk);
    expect(disk_works(disk), "a reset does not mend it", rule);
    put_text("rule: ");
    put_text(rule);
    put_text("\n");
    disk_reset(disk);
    disk_go(disk);
    disk_request(disk);
}

static void broken(const char *rule)
{
    broken_when(1, rule);
}

static void break_chains(struct disk *disk)
{
    disk->desc[0].next = 0;
    disk_submit(disk, 0);
    broken("a descriptor that is its own next");

    disk->desc[1].next = 1;
    disk_submit(disk, 0);
    broken("a chain that comes back to its middle");

    disk->desc[0].next = SIZE;
    disk_submit(disk, 0);
    broken("a next beyond the table");

    disk_submit(disk, SIZE);
    broken("a head beyond the table");

    disk->desc[1].addr = 0x40000000;
    disk_submit(disk, 0);
    broken("a buffer where nothing is");

    disk->desc[1].addr = UART;
    disk_submit(disk, 0);
    broken("a buffer in a device");

    disk->desc[1].addr = RAM - 256;
    disk_submit(disk, 0);
    broken("a buffer that begins before RAM");

    disk->desc[1].addr = UINT64_MAX - 100;
    disk_submit(disk, 0);
    broken("a buffer that wraps around");

    disk->desc[1].len = 0xfffffe00;
    disk_submit(disk, 0);
    broken("a buffer of 4 GiB");

    disk->desc[2].flags = 0;
    disk_submit(disk, 0);
    broken("something to read behind something to write");

    disk->desc[0].flags = 0;
    disk_submit(disk, 0);
    broken("a request without a status");

    disk->avail.idx = 1000;
    put32(disk->base + QUEUE_NOTIFY, 0);
    broken("more entries than the ring has");
}

static void break_indirect(struct disk *disk)
{
    struct desc *table = disk->table;

    disk->desc[0] = (struct desc){(uint64_t)table, 24, INDIRECT, 0};
    disk_submit(disk, 0);
    broken("a table of one and a half descriptors");

    disk->desc[0] = (struct desc){(uint64_t)table, 0, INDIRECT, 0};
    disk_submit(disk, 0);
    broken("an empty table");

    disk->desc[0] = (struct desc){0x50000000, 48, INDIRECT, 0};
    disk_submit(disk, 0);
    broken("a table where nothing is");

    disk->desc[0] = (struct desc){(uint64_t)table, 48, INDIRECT | NEXT, 1};
    disk_submit(disk, 0);
    broken("a table with a next");

    for (int i = 0; i < 3; i++)
        table[i] = disk->desc[i];
    table[1].next = 0;
    disk->desc[0] = (struct desc){(uint64_t)table, 48, INDIRECT, 0};
    disk_submit(disk, 0);
    broken("a loop inside a table");

    table[0] = (struct desc){(uint64_t)table, 48, INDIRECT, 0};
    disk->desc[0] = (struct desc){(uint64_t)table, 48, INDIRECT, 0};
    disk_submit(disk, 0);
    broken("a table in a table");
}

static void break_queues(struct disk *disk)
{
    disk_reset(disk);
    queue_address(disk, QUEUE_DESC, 0x40000000);
    disk_go(disk);
    broken_when(0, "a descriptor table where nothing is");

    disk_reset(disk);
    queue_address(disk, QUEUE_DEVICE, FINISHER);
    disk_go(disk);
    broken_when(0, "a used ring in a device");
}

void main(void)
{
    unsigned found = 0;

    for (uint64_t base = 0x10001000; base < 0x10009000 && found < 2; base += 0x1000)
        if (get32(base + MAGIC) == 0x74726976 && get32(base + DEVICE_ID) == 2)
            disks[found++].base = base;
    if (found < 2) {
        put_text("WRONG: there are no two disks\n");
        power_off();
    }
    for (unsigned i = 0; i < 2; i++) {
        disk_reset(&disks[i]);
        disk_go(&disks[i]);
        expect(disk_works(&disks[i]), "a disk does not work", "none");
    }
    disk_reset(&disks[0]);
    disk_go(&disks[0]);
    disk_request(&disks[0]);
    break_chains(&disks[0]);
    break_indirect(&disks[0]);
    break_queues(&disks[0]);
    disks[1].data[11] = 0;
    put_text((const char *)disks[1].data);
    put_text("\nthe guest goes on\n");
    power_off();
}
