#include "type1/dev_iommu.h"

#include "core/error.h"

#include <stdatomic.h>

#define PAGE     4096ULL
#define PPN_MASK (((1ULL << 44) - 1) << 10)
#define WAIT_MAX (1u << 20) /* reads of a register */
#define PCI_IDS  0xffff /* a PCI host's requester ids; QEMU's iommu-map leaves the last one out */
#define COMMANDS (PAGE / 16)
#define FAULTS   (PAGE / 32)

enum { /* registers, chapter 6 */
       CAPABILITIES = 0x0,
       FCTL = 0x8,
       DDTP = 0x10,
       CQB = 0x18,
       CQH = 0x20,
       CQT = 0x24,
       FQB = 0x28,
       FQH = 0x30,
       FQT = 0x34,
       CQCSR = 0x48,
       FQCSR = 0x4c,
       REGISTERS = 0x1000,
};
enum {
    CAP_MAJOR = 0xf0, /* of the version; 1 is understood */
    CAP_MAJOR_1 = 0x10,
    CAP_SV39X4_BIT = 17,
    CAP_MSI_FLAT = 1 << 22,
    FCTL_BE = 1 << 0,
    FCTL_GXL = 1 << 2,
    DDTP_MODE = 0xf,
    DDTP_OFF = 0,
    DDTP_1LVL = 2, /* and on */
    DDTP_BUSY = 1 << 4,
    QUEUE_ENABLE = 1 << 0,
    CQ_ERRORS = 7 << 8,
    FQ_ERRORS = 3 << 8,
    QUEUE_ON = 1 << 16,
    QUEUE_BUSY = 1 << 17,
};
/* Commands (4.1). */
#define IOTINVAL_VMA  1ULL
#define IOTINVAL_GVMA (1ULL | 1ULL << 7)
#define IOFENCE_C     (2ULL | 3ULL << 12) /* PR, PW: earlier reads and writes are done too */
#define INVAL_DDT     3ULL                /* DV 0: all of it */
#define CMD_GV        (1ULL << 33)
#define GSCID_SHIFT   44
/* Both kinds of entry of the device directory (3.1). */
#define ENTRY_V 1ULL

static uint32_t reg_read(const struct iommu *iommu, uint32_t offset)
{
    return iommu->access->read((void *)(uintptr_t)iommu->address, offset);
}

static void reg_write(const struct iommu *iommu, uint32_t offset, uint32_t value)
{
    iommu->access->write((void *)(uintptr_t)iommu->address, offset, value);
}

/* What takes effect is in the lower half. */
static void reg_write64(const struct iommu *iommu, uint32_t offset, uint64_t value)
{
    reg_write(iommu, offset + 4, (uint32_t)(value >> 32));
    reg_write(iommu, offset, (uint32_t)value);
}

static bool wait_for(const struct iommu *iommu, uint32_t offset, uint32_t mask, uint32_t want)
{
    for (unsigned i = 0; i < WAIT_MAX; i++) {
        if ((reg_read(iommu, offset) & mask) == want)
            return true;
    }
    return false;
}

static uint64_t ppn_field(const void *page)
{
    return (uint64_t)(uintptr_t)page >> 2;
}

/* ---- What there is ---- */

void iommu_find(struct iommu *iommu, const struct fdt *fdt)
{
    *iommu = (struct iommu){.node = fdt_compatible_next(fdt, -1, "riscv,iommu")};
    host_lock_init(&iommu->lock);
    if (iommu->node >= 0 && (fdt_reg(fdt, iommu->node, 0, &iommu->address, &iommu->size) != 0 ||
                             iommu->size < REGISTERS))
        iommu->node = -1;
    iommu->phandle = fdt_u32(fdt, iommu->node, "phandle", 0);
}

bool iommu_of_pci(const struct fdt *fdt)
{
    return fdt_compatible_next(fdt, -1, "riscv,pci-iommu") >= 0 ||
           fdt_compatible_next(fdt, -1, "pci1efd,edf1") >= 0;
}

/* ---- Commands ---- */

/* Whatever is behind it reaches nothing from now on, and nobody is told that it could. */
static void give_up(struct iommu *iommu)
{
    reg_write64(iommu, DDTP, DDTP_OFF);
    iommu->levels = 0;
}

static void put_command(struct iommu *iommu, uint64_t command)
{
    iommu->commands[2 * iommu->tail] = command;
    iommu->tail = (iommu->tail + 1) % COMMANDS;
}

/* Lock held. The directory has changed, and tables of `guest`: CMD_GV and its GSCID, or 0. 7.3.1 */
static int invalidate(struct iommu *iommu, uint64_t guest)
{
    put_command(iommu, INVAL_DDT);
    put_command(iommu, IOTINVAL_VMA | guest);
    put_command(iommu, IOTINVAL_GVMA | guest);
    put_command(iommu, IOFENCE_C);
    reg_write(iommu, CQT, iommu->tail);
    if (wait_for(iommu, CQH, UINT32_MAX, iommu->tail) && (reg_read(iommu, CQCSR) & CQ_ERRORS) == 0)
        return 0;
    give_up(iommu);
    return -E_IO;
}

/* ---- The start ---- */

static bool set_directory(struct iommu *iommu, unsigned levels)
{
    uint64_t ddtp = levels != 0 ? (DDTP_1LVL + levels - 1) | ppn_field(iommu->root) : DDTP_OFF;
    reg_write64(iommu, DDTP, ddtp);
    return wait_for(iommu, DDTP, DDTP_BUSY, 0) &&
           (reg_read(iommu, DDTP) & DDTP_MODE) == (ddtp & DDTP_MODE);
}

/* `order`: 2 to its power are the entries that a page holds. */
static bool start_queue(struct iommu *iommu, uint32_t base, uint32_t index, uint32_t csr,
                        uint32_t errors, const void *page, unsigned order)
{
    reg_write64(iommu, base, ppn_field(page) | (order - 1));
    reg_write(iommu, index, 0);
    reg_write(iommu, csr, QUEUE_ENABLE | errors);
    return wait_for(iommu, csr, QUEUE_ON | QUEUE_BUSY, QUEUE_ON);
}

/* 7.2 */
static bool start(struct iommu *iommu)
{
    uint32_t capabilities = reg_read(iommu, CAPABILITIES);

    iommu->root = host_alloc(PAGE, PAGE);
    iommu->commands = host_alloc(PAGE, PAGE);
    iommu->faults = host_alloc(PAGE, PAGE);
    if (iommu->root == NULL || iommu->commands == NULL || iommu->faults == NULL ||
        (capabilities & CAP_MAJOR) != CAP_MAJOR_1 || !wait_for(iommu, DDTP, DDTP_BUSY, 0) ||
        !set_directory(iommu, 0))
        return false;
    iommu->id_bits = (capabilities & CAP_MSI_FLAT) != 0 ? 6 : 7;
    iommu->modes = capabilities >> CAP_SV39X4_BIT & 7;
    reg_write(iommu, FCTL, reg_read(iommu, FCTL) & ~(uint32_t)(FCTL_BE | FCTL_GXL));
    reg_write(iommu, CQCSR, 0);
    reg_write(iommu, FQCSR, 0);
    if ((reg_read(iommu, FCTL) & (FCTL_BE | FCTL_GXL)) != 0 ||
        !wait_for(iommu, CQCSR, QUEUE_ON | QUEUE_BUSY, 0) ||
        !wait_for(iommu, FQCSR, QUEUE_ON | QUEUE_BUSY, 0) ||
        !start_queue(iommu, CQB, CQT, CQCSR, CQ_ERRORS, iommu->commands, 8) ||
        !start_queue(iommu, FQB, FQH, FQCSR, FQ_ERRORS, iommu->faults, 7))
        return false;
    iommu->levels = 3;
    while (iommu->levels != 0 && !set_directory(iommu, iommu->levels))
        iommu->levels--;
    return iommu->levels != 0 && invalidate(iommu, 0) == 0;
}

const char *iommu_start(struct iommu *iommu, const struct dev_access *access)
{
    iommu->access = access;
    if (start(iommu))
        return "on: devices behind it reach what their guest has, and no other memory";
    give_up(iommu);
    return "off: it is not as it should be, so devices behind it reach no memory";
}

/* ---- The directory ---- */

/* The leaf table for the id, made where there is none: `page`, or one of its own. NULL: no memory.
 */
static uint64_t *leaf_of(struct iommu *iommu, uint32_t id, uint64_t *page)
{
    uint64_t *table = iommu->root;
    for (unsigned level = iommu->levels - 1; level > 0; level--) {
        uint64_t *entry = &table[id >> (iommu->id_bits + 9 * (level - 1)) & 511];
        if ((*entry & ENTRY_V) == 0) {
            uint64_t *below = level == 1 && page != NULL ? page : host_alloc(PAGE, PAGE);
            if (below == NULL)
                return NULL;
            *entry = ppn_field(below) | ENTRY_V;
        }
        table = (uint64_t *)(uintptr_t)((*entry & PPN_MASK) << 2);
    }
    return table;
}

/* Lock held. Writes the device context of each id (3.1.3), which is not valid meanwhile. */
static int write_contexts(struct iommu *iommu, const struct iommu_grant *grant, uint64_t tc,
                          uint64_t iohgatp)
{
    uint32_t in_leaf = 1u << iommu->id_bits, words = (uint32_t)(PAGE / 8) >> iommu->id_bits;
    for (uint32_t left = grant->count, id = grant->first; left != 0;) {
        uint32_t at = id & (in_leaf - 1), count = left < in_leaf - at ? left : in_leaf - at;
        uint64_t *leaf = leaf_of(iommu, id, count == in_leaf ? grant->shared : NULL);
        if (leaf == NULL)
            return -E_NOMEM;
        left -= count;
        id += count;
        for (volatile uint64_t *context = leaf + at * words; count != 0;
             count--, context += words) {
            context[0] = 0;
            atomic_thread_fence(memory_order_release);
            context[1] = iohgatp; /* the others stay zero: no first stage, no MSI table, no ATS */
            atomic_thread_fence(memory_order_release);
            context[0] = tc;
        }
    }
    return 0;
}

/* ---- Grants ---- */

static uint32_t cell_at(const uint8_t *cells, unsigned index)
{
    return fdt_cell(cells + 4 * (size_t)index);
}

/* All of a PCI host's requesters must be covered, or some would pass by. */
static bool find_ids(const struct iommu *iommu, const struct fdt *fdt, int node,
                     struct iommu_grant *grant)
{
    uint32_t len;
    const uint8_t *cells = fdt_prop(fdt, node, "iommus", &len);
    if (cells != NULL && len >= 8) {
        grant->first = cell_at(cells, 1);
        grant->count = 1;
        return cell_at(cells, 0) == iommu->phandle;
    }
    cells = fdt_prop(fdt, node, "iommu-map", &len);
    if (cells == NULL || fdt_prop(fdt, node, "iommu-map-mask", NULL) != NULL)
        return false;
    for (; len >= 16; len -= 16, cells += 16) { /* requester, phandle, device id, length */
        uint32_t first = cell_at(cells, 2), count = cell_at(cells, 3);
        if (count == 0)
            continue;
        if (grant->count == 0)
            grant->first = first;
        if (cell_at(cells, 1) != iommu->phandle || first != grant->first + grant->count ||
            cell_at(cells, 0) != grant->count || count > PCI_IDS + 1 - grant->count)
            return false;
        grant->count += count;
    }
    return grant->count >= PCI_IDS;
}

int iommu_grant(struct iommu *iommu, const struct fdt *fdt, int node, const char *owner)
{
    struct iommu_grant new = {.owner = owner, .device = fdt_name(fdt, node)};
    unsigned at = 0;
    int error = 0;

    if (iommu->levels == 0 || iommu->phandle == 0 || !find_ids(iommu, fdt, node, &new))
        return -E_NODEV;
    if (((uint64_t) new.first + new.count - 1) >> (iommu->id_bits + 9 * (iommu->levels - 1)) != 0)
        return -E_RANGE;
    host_lock_acquire(&iommu->lock);
    for (; at < IOMMU_GRANTS_MAX && iommu->grants[at].count != 0; at++) {
        const struct iommu_grant *old = &iommu->grants[at];
        if (old->first == new.first && old->count == new.count && old->owner == NULL)
            break; /* it has its tables already */
        if (new.first < old->first + old->count && old->first < new.first + new.count)
            error = -E_BUSY;
    }
    if (error == 0 && at == IOMMU_GRANTS_MAX)
        error = -E_NOSPC;
    if (error == 0) {
        struct iommu_grant *grant = &iommu->grants[at];
        new.shared = grant->shared;
        if (new.shared == NULL &&new.count >> iommu->id_bits != 0)
            new.shared = host_alloc(PAGE, PAGE);
        *grant = new;
        error = write_contexts(iommu, grant, 0, 0);
        if (error == 0)
            error = invalidate(iommu, 0);
    }
    host_lock_release(&iommu->lock);
    return error != 0 ? error : (int)at;
}

static int set(struct iommu *iommu, int at, uint64_t tc, uint64_t iohgatp)
{
    uint64_t gscid = (uint64_t)(at + 1) << GSCID_SHIFT;
    host_lock_acquire(&iommu->lock);
    int error = iommu->levels != 0 ? 0 : -E_IO;
    if (error == 0)
        error = write_contexts(iommu, &iommu->grants[at], tc, iohgatp != 0 ? iohgatp | gscid : 0);
    if (error == 0)
        error = invalidate(iommu, CMD_GV | gscid);
    host_lock_release(&iommu->lock);
    return error;
}

int iommu_open(struct iommu *iommu, int grant, uint64_t iohgatp)
{
    uint64_t mode = iohgatp >> 60;
    if (iohgatp != 0 && (mode < 8 || (iommu->modes >> (mode - 8) & 1) == 0))
        return -E_NOTSUP;
    return set(iommu, grant, ENTRY_V, iohgatp);
}

void iommu_flush(struct iommu *iommu, int grant)
{
    host_lock_acquire(&iommu->lock);
    if (iommu->levels != 0)
        invalidate(iommu, CMD_GV | (uint64_t)(grant + 1) << GSCID_SHIFT);
    host_lock_release(&iommu->lock);
}

void iommu_close(struct iommu *iommu, int grant)
{
    set(iommu, grant, 0, 0);
}

void iommu_revoke(struct iommu *iommu, int grant)
{
    iommu_close(iommu, grant);
    iommu->grants[grant].owner = NULL;
}

const struct iommu_grant *iommu_grant_of(const struct iommu *iommu, uint32_t device)
{
    for (unsigned i = 0; i < IOMMU_GRANTS_MAX; i++) {
        const struct iommu_grant *grant = &iommu->grants[i];
        if (device - grant->first < grant->count && grant->owner != NULL)
            return grant;
    }
    return NULL;
}

/* ---- Faults ---- */

/* 4.2 */
void iommu_decode_fault(const uint64_t record[4], struct iommu_fault *fault)
{
    enum { TTYP_WRITE = 3, TTYP_TRANSLATED_WRITE = 7 };
    uint64_t type = record[0] >> 34 & 0x3f;
    fault->cause = record[0] & 0xfff;
    fault->device = (uint32_t)(record[0] >> 40);
    fault->write = type == TTYP_WRITE || type == TTYP_TRANSLATED_WRITE;
    fault->address = record[2];
}

bool iommu_next_fault(struct iommu *iommu, struct iommu_fault *fault)
{
    if (iommu->levels == 0)
        return false;
    if (reg_read(iommu, FQT) % FAULTS == iommu->head) {
        /* One that was full has lost some and takes none until this is written. */
        if ((reg_read(iommu, FQCSR) & FQ_ERRORS) != 0)
            reg_write(iommu, FQCSR, QUEUE_ENABLE | FQ_ERRORS);
        return false;
    }
    iommu_decode_fault(&iommu->faults[4 * iommu->head], fault);
    iommu->head = (iommu->head + 1) % FAULTS;
    reg_write(iommu, FQH, iommu->head);
    return true;
}
