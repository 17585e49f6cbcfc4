#include "type0/vendor.h"

#include "core/host.h"
#include "type0/partition.h"

enum function {
    VENDOR_COUNT,
    VENDOR_SELF,
    VENDOR_INFO,
    VENDOR_START,
    VENDOR_STOP,
    VENDOR_RESTART,
    VENDOR_CONSOLE,
    VENDOR_STATISTICS,
    VENDOR_RING,
    VENDOR_RUNG,
};

/* What VENDOR_INFO writes. */
struct vendor_info {
    char name[32];
    uint64_t running; /* 1 or 0 */
    uint64_t boots, harts, memory_base, memory_size;
};

/* The caller's memory: physical address `low`, whose upper half is 0 (SBI 2.0, 3.2). */
static struct sbi_result give(struct world *world, const void *bytes, uint64_t size, uint64_t low,
                              uint64_t high)
{
    if (high != 0 || mem_write(&world->partition->vm.mem, low, bytes, size) != 0)
        return sbi_error(SBI_ERR_INVALID_ADDRESS);
    return sbi_value(size);
}

static struct sbi_result info(struct world *world, const struct partition *p, const uint64_t *a)
{
    struct vendor_info info = {
        .running = partition_is_on(p),
        .boots = atomic_load(&p->boots),
        .harts = p->vm.vcpu_count,
        .memory_base = p->plan->ram[0].base,
        .memory_size = p->plan->ram[0].size,
    };
    memcpy(info.name, p->vm.name, sizeof info.name);
    return give(world, &info, sizeof info, a[1], a[2]);
}

static struct sbi_result statistics(struct world *world, const struct partition *p,
                                    const uint64_t *a)
{
    uint64_t sum[COUNTS] = {0};
    for (unsigned i = 0; i < p->vm.vcpu_count; i++) {
        /* They tell what others do on the hart. */
        if (p->worlds[i].hart->world_count > 1 && !world->partition->plan->spec->control)
            return sbi_error(SBI_ERR_DENIED);
        for (unsigned n = 0; n < COUNTS; n++)
            sum[n] += p->worlds[i].hart->counts[n];
    }
    return give(world, sum, sizeof sum, a[1], a[2]);
}

static struct sbi_result done(bool changed, enum sbi_error otherwise)
{
    return sbi_error(changed ? SBI_SUCCESS : otherwise);
}

struct sbi_result vendor_call(struct world *world)
{
    const uint64_t *a = &world->vcpu->x[10], function = world->vcpu->x[16];
    const struct spec_vm *spec = world->partition->plan->spec;
    struct partition *self = world->partition;

    if (spec == NULL || function > VENDOR_RUNG)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (function == VENDOR_SELF)
        return sbi_value(self->index);
    if (function == VENDOR_RING)
        return done(partition_ring(self, a[0]), SBI_ERR_DENIED);
    if (function == VENDOR_RUNG)
        return sbi_value(atomic_exchange(&self->rung, 0));
    if (!spec->control && (function != VENDOR_STATISTICS || a[0] != self->index))
        return sbi_error(SBI_ERR_DENIED);
    if (function == VENDOR_COUNT)
        return sbi_value(partition_count);
    if (function == VENDOR_CONSOLE && a[0] == UINT64_MAX) {
        console_enter(NULL);
        return sbi_error(SBI_SUCCESS);
    }
    if (a[0] >= partition_count)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    struct partition *p = partitions[a[0]];
    switch (function) {
    case VENDOR_INFO: return info(world, p, a);
    case VENDOR_START: return done(partition_start(p), SBI_ERR_ALREADY_STARTED);
    case VENDOR_STOP: return done(partition_stop(p), SBI_ERR_ALREADY_STOPPED);
    case VENDOR_RESTART: return done(partition_restart(p), SBI_ERR_FAILED);
    case VENDOR_CONSOLE: console_enter(&p->port); return sbi_error(SBI_SUCCESS);
    default: return statistics(world, p, a);
    }
}
