#include "type1/dev_board.h"

#include "core/error.h"
#include "devices/virtio/virtio.h"
#include "engine/hext/csr.h"
#include "type1/console.h"
#include "type1/dev_blk.h"
#include "type1/dev_files.h"
#include "type1/dev_intc.h"
#include "type1/dev_iommu.h"
#include "type1/dev_net.h"
#include "type1/dev_rng.h"
#include "type1/memory.h"
#include "type1/print.h"
#include "type1/task.h"
#include "vmm/entropy.h"

#include <stdatomic.h>

#define VIOS_MAX       32
#define SWITCHES_MAX   16
#define PAGE           4096ULL
#define VA_LIMIT       (1ULL << 38)
#define SEED_BYTES     64
#define DRAIN_NS       1000000ULL
#define COPY_CHUNK     (1ULL << 20)
#define FAULTS_AT_ONCE 256 /* more than the IOMMU's queue holds */
#define FAULTS_SHOWN   4

/* A virtio device of the board. */
struct board_vio {
    int node;
    uint64_t address;
    uint32_t line;
    struct vio vio;
    unsigned number; /* among those of its kind: board:N */
    bool started;
    const struct net_switch *lan; /* whose uplink it is */
    struct dev_blk *blk;
    struct dev_net *net;
};

static const struct fdt *tree;
static struct intc intc;
static struct iommu iommu;
static struct board_vio vios[VIOS_MAX];
static unsigned vio_count;
static struct net_switch *switches[SWITCHES_MAX];
static unsigned switch_count;
static struct pass_set *sets; /* of all guests */
static struct entropy_pool pool;
static struct memdisk_worker worker;
static struct task worker_task;

/* ---- What there is ---- */

/* Pages that are mapped already, by a neighbour or the console, are left as they are. */
static bool map_page_range(struct gstage *table, uint64_t address, uint64_t size)
{
    const unsigned flags = PTE_R | PTE_W | PTE_A | PTE_D | PTE_G;
    uint64_t from = address & ~(PAGE - 1), to = (address + size + PAGE - 1) & ~(PAGE - 1);
    if (to <= from || to > VA_LIMIT)
        return false;
    int error = gstage_map(table, from, from, to - from, flags);
    return error == 0 || error == -E_EXIST;
}

/* In the order of their addresses. */
static void add_vio(const struct board_vio *vio)
{
    unsigned at = vio_count++;
    for (; at > 0 && vios[at - 1].address > vio->address; at--)
        vios[at] = vios[at - 1];
    vios[at] = *vio;
}

void dev_find(const struct fdt *fdt, uint64_t hart, struct gstage *table)
{
    tree = fdt;
    if (intc_find(&intc, fdt, hart) != 0 || !map_page_range(table, intc.address, intc.size))
        intc.base = NULL;
    iommu_find(&iommu, fdt);
    if (iommu.node >= 0 && !map_page_range(table, iommu.address, iommu.size))
        iommu.node = -1;
    /* Without an IOMMU nobody looks at PCI. */
    for (int node = -1; iommu.node >= 0 &&
                        (node = fdt_compatible_next(fdt, node, "pci-host-ecam-generic")) >= 0;) {
        uint64_t address, size;
        if (fdt_reg(fdt, node, 0, &address, &size) == 0)
            map_page_range(table, address, size < PASS_ECAM_MAX ? size : PASS_ECAM_MAX);
    }
    int last = -1, parent = -1;
    for (int node = fdt_compatible_next(fdt, -1, "virtio,mmio"); node >= 0 && vio_count < VIOS_MAX;
         node = fdt_compatible_next(fdt, node, "virtio,mmio")) {
        struct board_vio vio = {.node = node};
        uint64_t size;
        /* They follow one another, and the parent is far to seek. */
        if (fdt_next_sibling(fdt, last) != node)
            parent = fdt_parent(fdt, node);
        last = node;
        if (fdt_reg_under(fdt, parent, node, 0, &vio.address, &size) != 0 ||
            !map_page_range(table, vio.address, size))
            continue;
        add_vio(&vio);
    }
}

/* ---- Entropy ---- */

static uint64_t ticks(void)
{
    return hcsr_read(HCSR_TIME);
}

static void start_entropy(void)
{
    uint8_t bytes[SEED_BYTES];
    uint32_t len;

    entropy_init(&pool, ticks);
    const void *seed = fdt_prop(tree, fdt_path(tree, "/chosen"), "rng-seed", &len);
    if (seed != NULL)
        entropy_add(&pool, ENTROPY_SEED, seed, len);
    for (unsigned i = 0; i < vio_count; i++) {
        if (vios[i].vio.id != VIRTIO_ID_ENTROPY)
            continue;
        int count = dev_rng_read(&vios[i].vio, bytes, sizeof bytes);
        if (count > 0)
            entropy_add(&pool, ENTROPY_DEVICE, bytes, (size_t)count);
    }
    entropy_settle(&pool);
    memset(bytes, 0, sizeof bytes);
}

void dev_random(void *bytes, size_t len)
{
    pool.backend.fill(&pool.backend, bytes, len);
}

/* ---- The start ---- */

static void worker_main(void *arg)
{
    (void)arg;
    for (;;) {
        memdisk_work(&worker, task_breathe);
        host_event_wait(&worker.event, UINT64_MAX);
    }
}

static void say_device(const struct board_vio *vio)
{
    const char *kind = vio->vio.id == VIRTIO_ID_BLOCK ? "disk"
                       : vio->vio.id == VIRTIO_ID_NET ? "network"
                                                      : "device";
    console_line("board: %s board:%u is %s%s", kind, vio->number, fdt_name(tree, vio->node),
                 vio->vio.legacy ? " (legacy)" : "");
}

void dev_start(void)
{
    unsigned blks = 0, nets = 0;

    memdisk_worker_init(&worker);
    intc_start(&intc, &dev_mmio, &dev_imsic);
    if (intc.base == NULL)
        console_line("board: no interrupt controller that could be used");
    else
        console_line("board: interrupts come through the %s", intc.kind->name);
    if (iommu.node >= 0)
        console_line("board: IOMMU %s is %s", fdt_name(tree, iommu.node),
                     iommu_start(&iommu, &dev_mmio));
    for (unsigned i = 0; i < vio_count; i++) {
        struct board_vio *vio = &vios[i];
        int own = iommu_grant(&iommu, tree, vio->node, NULL);
        if (own >= 0)
            iommu_open(&iommu, own, 0); /* the hypervisor's, until it is passed on */
        if (vio_probe(&vio->vio, &dev_mmio, (void *)(uintptr_t)vio->address) != 0) {
            vio->vio.id = 0;
            continue;
        }
        vio->line = intc.base != NULL ? intc_line_of(&intc, tree, vio->node) : 0;
        if (vio->vio.id != VIRTIO_ID_BLOCK && vio->vio.id != VIRTIO_ID_NET)
            continue;
        vio->number = vio->vio.id == VIRTIO_ID_BLOCK ? blks++ : nets++;
        say_device(vio);
    }
    start_entropy();
    console_line("board: random numbers come from %s", entropy_source_name(&pool));
    task_start(&worker_task, "disks", NULL, worker_main, NULL, 0, 0, UINT64_MAX);
}

void dev_add_hart(unsigned index, uint64_t hart)
{
    intc_add_hart(&intc, index, hart);
}

bool dev_hart_start(void)
{
    unsigned index = hext_this_hart()->index;
    if (intc.base == NULL || intc.contexts[index] == INTC_NOWHERE)
        return false;
    /* All identities that there may be, since a line is opened by whatever hart. */
    if (intc.kind->messages)
        dev_imsic.start(INTC_LINES_MAX);
    return true;
}

void dev_show(void)
{
    for (unsigned i = 0; i < vio_count; i++) {
        const struct board_vio *vio = &vios[i];
        if (vio->vio.id != 0)
            console_answer("board: %-24s %s", fdt_name(tree, vio->node),
                           vio->started ? "in use" : "free");
    }
    for (unsigned s = 0; s < switch_count; s++) {
        const struct net_switch *lan = switches[s];
        for (unsigned i = 0; i < atomic_load(&lan->port_count); i++) {
            const struct switch_port *port = lan->ports[i];
            const uint8_t *mac = port->backend.mac;
            console_answer("%-16s port %-3u %02x:%02x:%02x:%02x:%02x:%02x  %lu frames sent, %lu "
                           "delivered, %lu without a buffer, %lu refused",
                           lan->name, i, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
                           (unsigned long)port->counts.sent, (unsigned long)port->counts.delivered,
                           (unsigned long)port->counts.no_buffer,
                           (unsigned long)port->counts.refused);
        }
    }
}

void dev_interrupt(void)
{
    intc_interrupt(&intc, hext_this_hart()->index);
}

/* One line for each page, and not more than a few at once: a guest can make faults without end. */
void dev_poll(void)
{
    static struct iommu_fault fault;
    unsigned count = 0;

    for (unsigned i = 0; i < FAULTS_AT_ONCE; i++) {
        struct iommu_fault last = fault;
        if (!iommu_next_fault(&iommu, &fault))
            break;
        if (fault.address / PAGE == last.address / PAGE && fault.device == last.device &&
            fault.write == last.write)
            continue;
        if (count++ >= FAULTS_SHOWN)
            continue;
        const struct iommu_grant *grant = iommu_grant_of(&iommu, fault.device);
        console_line("%s: the IOMMU stopped a %s %lx by device %02x:%02x.%x of %s (cause %u%s)",
                     grant != NULL ? grant->owner : "board", fault.write ? "write to" : "read of",
                     (unsigned long)fault.address, fault.device >> 8, fault.device >> 3 & 31,
                     fault.device & 7, grant != NULL ? grant->device : "nobody", fault.cause,
                     fault.cause < IOMMU_EVENTS ? ": not the guest's memory" : "");
    }
    if (count > FAULTS_SHOWN)
        console_line("board: and %u more", count - FAULTS_SHOWN);
}

/* ---- The board's devices as backends ---- */

static struct board_vio *find_vio(uint32_t id, unsigned number)
{
    for (unsigned i = 0; i < vio_count; i++) {
        if (vios[i].vio.id == id && vios[i].number == number)
            return &vios[i];
    }
    return NULL;
}

static bool blk_line(void *arg)
{
    dev_blk_interrupt(arg);
    return true;
}

static bool net_line(void *arg)
{
    dev_net_interrupt(arg);
    return true;
}

/* Once; guests that share a read-only disk share the driver too. */
static int start_blk(struct board_vio *vio)
{
    if (vio->blk != NULL)
        return 0;
    if (vio->started)
        return -E_BUSY;
    vio->started = true;
    struct dev_blk *blk = host_alloc(sizeof *blk, 64);
    if (blk == NULL)
        return -E_NOMEM;
    int error = dev_blk_init(blk, &vio->vio);
    if (error == 0)
        error = intc_open(&intc, vio->line, blk_line, blk);
    if (error == 0)
        vio->blk = blk;
    return error;
}

static int start_uplink(struct board_vio *vio, struct net_switch *lan)
{
    if (vio->lan == lan)
        return 0;
    if (vio->started)
        return -E_BUSY;
    vio->started = true;
    struct dev_net *net = host_alloc(sizeof *net, 64);
    struct switch_port *port = host_alloc(sizeof *port, 64);
    if (net == NULL || port == NULL)
        return -E_NOMEM;
    int error = dev_net_init(net, &vio->vio);
    if (error == 0)
        error = switch_add(lan, port, NULL);
    if (error == 0)
        error = intc_open(&intc, vio->line, net_line, net);
    if (error != 0)
        return error;
    dev_net_attach(net, &port->backend);
    vio->net = net;
    vio->lan = lan;
    return 0;
}

/* ---- A guest's devices ---- */

/* What goes wrong while one is opened. */
struct opening {
    struct dev_guest *guest;
    const struct bundle *bundle;
    struct board_backends *backends;
    char *why;
    size_t why_size;
};

static int refuse(struct opening *o, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(struct opening *o, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vformat(o->why, o->why_size, format, arguments);
    va_end(arguments);
    return error;
}

static int open_board_disk(struct opening *o, const struct spec_disk *disk, unsigned i,
                           unsigned number)
{
    struct board_vio *vio = find_vio(VIRTIO_ID_BLOCK, number);
    if (vio == NULL)
        return refuse(o, -E_NODEV, "the board has no disk %s", disk->path);
    int error = start_blk(vio);
    if (error != 0)
        return refuse(o, error, "the board's disk %s cannot be used (error %d%s)", disk->path,
                      -error, error == -E_NODEV ? ": no interrupt" : "");
    struct block_backend *backend = &vio->blk->backend;
    backend->readonly = backend->readonly || disk->readonly;
    if (disk->serial != NULL) {
        memset(backend->serial, 0, sizeof backend->serial);
        memcpy(backend->serial, disk->serial, strlen(disk->serial));
    }
    o->backends->disks[i] = backend;
    return 0;
}

/* What a copy of so many bytes takes: whole sectors, and at least one. */
static uint64_t disk_bytes(uint64_t size)
{
    return size != 0 ? (size + MEMDISK_SECTOR - 1) & ~(MEMDISK_SECTOR - 1) : MEMDISK_SECTOR;
}

static int open_memory_disk(struct opening *o, const struct spec_disk *disk, unsigned i)
{
    struct board_blob *image = &o->guest->images[i];
    uint64_t size;
    const void *bytes = bundle_file(o->bundle, disk->path, &size);
    if (bytes == NULL)
        return refuse(o, -E_NOENT, "the bundle holds no disk %s", disk->path);
    bool in_place = disk->readonly && size % MEMDISK_SECTOR == 0;
    if (!in_place) {
        char *copy = memory_alloc_guest(disk_bytes(size), PAGE);
        if (copy == NULL)
            return refuse(o, -E_NOMEM, "no memory is left for its disk %s (%lu MiB)", disk->path,
                          (unsigned long)(size >> 20));
        memcpy(copy, bytes, size);
        memset(copy + size, 0, disk_bytes(size) - size);
        *image = (struct board_blob){.bytes = bytes, .size = size};
        bytes = copy;
    }
    memdisk_init(&o->guest->disks[i], bytes, size, disk->readonly, disk->serial, &worker);
    o->backends->disks[i] = &o->guest->disks[i].backend;
    return 0;
}

static struct net_switch *find_switch(const char *name)
{
    for (unsigned i = 0; i < switch_count; i++) {
        if (strcmp(switches[i]->name, name) == 0)
            return switches[i];
    }
    struct net_switch *lan = switch_count < SWITCHES_MAX ? host_alloc(sizeof *lan, 64) : NULL;
    if (lan == NULL)
        return NULL;
    switch_init(lan, name);
    return switches[switch_count++] = lan;
}

static int open_net(struct opening *o, unsigned i)
{
    const struct spec_vm *spec = o->guest->spec;
    const struct spec_net *net = &spec->nets[i];
    uint8_t mac[6];
    unsigned number;

    if (net->kind != SPEC_NET_SWITCH)
        return refuse(o, -E_NOTSUP, "net[%u]: on bare metal there is kind switch alone", i);
    struct net_switch *lan = find_switch(net->network);
    if (o->guest->ports[i] != NULL) { /* from an earlier life */
        o->backends->nets[i] = &o->guest->ports[i]->backend;
        return 0;
    }
    struct switch_port *port = lan != NULL ? host_alloc(sizeof *port, 64) : NULL;
    if (port == NULL)
        return refuse(o, -E_NOMEM, "net[%u]: no room for it", i);
    memcpy(mac, net->mac, sizeof mac);
    if (memcmp(mac, "\0\0\0\0\0\0", sizeof mac) == 0)
        spec_default_mac(spec->name, i, mac);
    int error = switch_add(lan, port, mac);
    if (error != 0)
        return refuse(o, error, "net[%u]: %s", i,
                      error == -E_EXIST ? "another guest has its MAC address"
                                        : "too many ports on one network");
    if (net->uplink != NULL && spec_board_index(net->uplink, &number)) {
        struct board_vio *vio = find_vio(VIRTIO_ID_NET, number);
        error = vio != NULL ? start_uplink(vio, lan) : -E_NODEV;
        if (error != 0)
            console_line("%s: net[%u]: the board's network %s cannot be used (error %d); network "
                         "%s has no uplink",
                         spec->name, i, net->uplink, -error, net->network);
    }
    o->guest->ports[i] = port;
    o->backends->nets[i] = &port->backend;
    return 0;
}

static bool vio_in(const struct board_vio *vio, uint64_t from, uint64_t size)
{
    return vio->address - from < size;
}

static bool used(uint64_t from, uint64_t size)
{
    for (unsigned i = 0; i < vio_count; i++) {
        if (vios[i].started && vio_in(&vios[i], from, size))
            return true;
    }
    return console_uses(from, size);
}

/* Nobody else starts what is there meanwhile. */
static void mark_given(const struct pass *pass, bool given)
{
    for (unsigned i = 0; i < vio_count; i++) {
        if (vio_in(&vios[i], pass->address, pass->size))
            vios[i].started = given;
    }
}

static int open_pass(struct opening *o, const char *device)
{
    const char *why;
    int error = pass_add(&o->guest->passes, device, &why);
    if (error != 0)
        return refuse(o, error, "%s cannot be passed on: %s", device, why);
    const struct pass *pass = &o->guest->passes.passes[o->guest->passes.count - 1];
    mark_given(pass, true);
    console_line("%s: has the board's %s; %s", o->guest->spec->name, device,
                 pass->grant >= 0  ? "by DMA it reaches the guest's memory alone"
                 : iommu.node >= 0 ? "it is not behind the IOMMU, so its DMA is trusted"
                                   : "there is no IOMMU, so its DMA is trusted");
    return 0;
}

int dev_guest_open(struct dev_guest *guest, const struct spec_vm *spec, const struct bundle *bundle,
                   struct board_backends *backends, char *why, size_t why_size)
{
    struct opening o = {guest, bundle, backends, why, why_size};
    int error = 0;

    guest->spec = spec;
    if (guest->passes.all == NULL) {
        guest->passes.next = sets;
        sets = &guest->passes;
    }
    guest->passes.all = &sets;
    guest->passes.used = used;
    guest->passes.fdt = tree;
    guest->passes.access = &dev_mmio;
    guest->passes.iommu = &iommu;
    guest->passes.intc = &intc;
    guest->passes.owner = spec->name;
    host_event_init(&guest->tick);
    for (unsigned i = 0; error == 0 && i < spec->disk_count; i++) {
        unsigned number;
        if (spec_board_index(spec->disks[i].path, &number))
            error = open_board_disk(&o, &spec->disks[i], i, number);
        else
            error = open_memory_disk(&o, &spec->disks[i], i);
    }
    backends->disk_count = spec->disk_count;
    for (unsigned i = 0; error == 0 && i < spec->net_count; i++)
        error = open_net(&o, i);
    backends->net_count = spec->net_count;
    for (unsigned i = 0; error == 0 && i < spec->passthrough_count; i++)
        error = open_pass(&o, spec->passthrough[i]);
    backends->entropy = &pool.backend;
    if (error != 0)
        dev_guest_close(guest);
    return error;
}

static unsigned here(void)
{
    return hext_this_hart()->index;
}

int dev_guest_wire(struct dev_guest *guest, struct board *board, struct gstage *gstage,
                   const void *ram)
{
    struct pass_set *passes = &guest->passes;
    guest->board = board;
    passes->ram_gpa = BOARD_RAM;
    passes->ram_hpa = (uint64_t)(uintptr_t)ram;
    passes->ram_size = guest->spec->memory;
    if (passes->count != 0) {
        board->describe_more = pass_describe;
        board->describe_arg = passes;
    }
    bool aia = board->backends.imsic_ids != 0;
    passes->vm = board->vm;
    passes->here = here;
    passes->file_of = files_target;
    return pass_wire(passes, aia ? NULL : &board->plic, aia ? &board->aplic : NULL, gstage);
}

static void copy_image(uint8_t *disk, const struct board_blob *image)
{
    for (uint64_t at = 0; at < image->size; at += COPY_CHUNK) {
        uint64_t left = image->size - at;
        memcpy(disk + at, (const char *)image->bytes + at, left < COPY_CHUNK ? left : COPY_CHUNK);
        task_breathe();
    }
}

void dev_guest_renew(struct dev_guest *guest)
{
    for (unsigned i = 0; i < guest->spec->disk_count; i++) {
        if (guest->images[i].bytes != NULL && guest->spec->disks[i].fresh)
            copy_image(guest->disks[i].bytes, &guest->images[i]);
    }
}

void dev_guest_give_disks(struct dev_guest *guest)
{
    for (unsigned i = 0; i < guest->spec->disk_count; i++) {
        if (guest->images[i].bytes != NULL && guest->disks[i].bytes != NULL)
            memory_free_guest(guest->disks[i].bytes, disk_bytes(guest->images[i].size));
        if (guest->images[i].bytes != NULL)
            guest->disks[i].bytes = NULL;
    }
}

int dev_guest_take_disks(struct dev_guest *guest)
{
    for (unsigned i = 0; i < guest->spec->disk_count; i++) {
        const struct board_blob *image = &guest->images[i];
        if (image->bytes == NULL)
            continue;
        uint8_t *copy = memory_alloc_guest(disk_bytes(image->size), PAGE);
        if (copy == NULL) {
            dev_guest_give_disks(guest);
            return -E_NOMEM;
        }
        copy_image(copy, image);
        memset(copy + image->size, 0, disk_bytes(image->size) - image->size);
        guest->disks[i].bytes = copy;
    }
    return 0;
}

void dev_guest_quiet(struct dev_guest *guest)
{
    struct board *board = guest->board;
    for (unsigned i = 0; i < board->slot_count; i++)
        virtio_mmio_freeze(&board->slots[i], true);
    for (unsigned i = 0; i < board->slot_count; i++) {
        while (virtio_mmio_inflight(&board->slots[i]) != 0)
            host_event_wait(&guest->tick, DRAIN_NS);
    }
    pass_reset(&guest->passes);
}

void dev_guest_booted(struct dev_guest *guest)
{
    pass_reset(&guest->passes);
    int error = pass_start(&guest->passes);
    if (error != 0)
        console_line("%s: the IOMMU gives its devices no memory (error %d)", guest->spec->name,
                     -error);
}

void dev_guest_close(struct dev_guest *guest)
{
    for (unsigned i = 0; i < SPEC_NETS_MAX; i++) {
        if (guest->ports[i] != NULL)
            switch_unplug(guest->ports[i]);
    }
    for (unsigned i = 0; i < SPEC_DISKS_MAX; i++) {
        if (guest->images[i].bytes != NULL)
            memory_free_guest(guest->disks[i].bytes, disk_bytes(guest->images[i].size));
        guest->images[i] = (struct board_blob){0};
    }
    for (unsigned i = 0; i < guest->passes.count; i++)
        mark_given(&guest->passes.passes[i], false);
    pass_close(&guest->passes);
}
