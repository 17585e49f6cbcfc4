/* Calls of partitions: those that concern the hart itself, the rest by the table of vmm/sbi.c. */
#include "vmm/sbi.h"
#include "riscv/csr.h"
#include "type0/console.h"
#include "type0/partition.h"
#include "type0/vendor.h"
#include "vmm/sbi_impl.h"

enum { SBI_BASE = 0x10, SBI_RFENCE = 0x52464e43, SBI_FWFT = 0x46574654 };

/* ---- Firmware features (SBI 3.0, chapter 18) ---- */

enum { FWFT_MISALIGNED_DELEGATION = 0, FWFT_PTE_AD_UPDATING = 4 };
#define FWFT_LOCK 1 /* of its flags */

static const uint64_t misaligned = 1 << CAUSE_LOAD_MISALIGNED | 1 << CAUSE_STORE_MISALIGNED;

static bool fwft_has(uint64_t feature)
{
    return feature == FWFT_MISALIGNED_DELEGATION ||
           (feature == FWFT_PTE_AD_UPDATING && (features.menvcfg & ENVCFG_ADUE) != 0);
}

static void fwft_set(struct world *world, uint64_t value)
{
    world->medeleg = (world->medeleg & ~misaligned) | (value != 0 ? misaligned : 0);
    try_write(TRY_MEDELEG, world->medeleg);
}

static void fwft_set_updating(uint64_t value)
{
    uint64_t menvcfg = 0;
    try_read(TRY_MENVCFG, &menvcfg);
    try_write(TRY_MENVCFG, value != 0 ? menvcfg | ENVCFG_ADUE : menvcfg & ~ENVCFG_ADUE);
    __asm__ volatile("sfence.vma" ::: "memory");
}

static struct sbi_result fwft(struct world *world)
{
    enum { SET = 0, GET = 1 };
    const uint64_t *a = &world->vcpu->x[10];
    uint64_t feature = (uint32_t)a[0], menvcfg = 0;

    if (world->vcpu->x[16] > GET || !fwft_has(feature))
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if (world->vcpu->x[16] == SET) {
        uint32_t bit = 1u << feature;
        if (a[1] > 1 || a[2] > FWFT_LOCK)
            return sbi_error(SBI_ERR_INVALID_PARAM);
        if ((world->locked & bit) != 0)
            return sbi_error(SBI_ERR_DENIED_LOCKED);
        if (a[2] == FWFT_LOCK)
            world->locked |= bit;
        if (feature == FWFT_PTE_AD_UPDATING)
            fwft_set_updating(a[1]);
        else
            fwft_set(world, a[1]);
        return sbi_error(SBI_SUCCESS);
    }
    if (feature == FWFT_MISALIGNED_DELEGATION)
        return sbi_value((world->medeleg & misaligned) != 0);
    try_read(TRY_MENVCFG, &menvcfg);
    return sbi_value((menvcfg & ENVCFG_ADUE) != 0);
}

/* ---- The console of DBCN and of the legacy calls (vmm/sbi_impl.h) ---- */

#define CONSOLE_CALL_MAX 64 /* bytes of one call; the caller comes again for the rest */

/* NULL: plain firmware, which shares with nobody. */
static struct console_port *port_of(struct vm *vm)
{
    struct partition *partition = vm->engine_data;
    return partition->plan->everything ? NULL : &partition->port;
}

size_t sbi_console_write(struct vm *vm, const void *bytes, size_t len)
{
    /* The hart is not its partition's alone meanwhile, and the console is everybody's. */
    if (len > CONSOLE_CALL_MAX)
        len = CONSOLE_CALL_MAX;
    console_write(port_of(vm), bytes, len);
    return len;
}

size_t sbi_console_read(struct vm *vm, void *bytes, size_t len)
{
    return console_read(port_of(vm), bytes, len);
}

/* ---- Calls ---- */

static void answer(struct riscv_vcpu *vcpu, struct sbi_result result)
{
    vcpu->x[10] = (uint64_t)result.error;
    vcpu->x[11] = result.value;
}

void world_call(struct world *world)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    uint64_t *x = vcpu->x;

    /* The legacy calls read the partition's memory by its own tables. */
    vcpu->satp = hcsr_read(HCSR_SATP);
    vcpu->menvcfg = features.menvcfg;
    if (x[17] == SBI_BASE && x[16] == 3 && (x[10] == SBI_FWFT || x[10] == SBI_VENDOR)) {
        answer(vcpu, sbi_value(1));
    } else if (x[17] == SBI_FWFT) {
        answer(vcpu, fwft(world));
    } else if (x[17] == SBI_VENDOR) {
        answer(vcpu, vendor_call(world));
    } else if (x[17] == SBI_RFENCE && x[16] >= 3 && x[16] <= 6 && features.h) {
        /* The HFENCE ones: a flush of a hart's translations is one of both stages (run.c). */
        uint64_t function = x[16];
        x[16] = 1;
        sbi_call(vcpu->vcpu.vm, vcpu);
        x[16] = function;
    } else {
        sbi_call(vcpu->vcpu.vm, vcpu);
    }
}
