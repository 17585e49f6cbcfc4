/*
 * Loads and stores that PMP refuses and a device of the firmware's answers: the pages of the PLIC
 * that partitions share, and the UART that they see.
 */
#include "core/bus.h"
#include "engine/hext/access.h"
#include "riscv/csr.h"
#include "riscv/mmu.h"
#include "type0/partition.h"

/* The physical address, by the partition's own tables; false: there is none (any more). */
static bool find_address(struct riscv_vcpu *vcpu, uint64_t va, const struct hext_access *access,
                         uint64_t *pa)
{
    struct riscv_page page;
    vcpu->satp = hcsr_read(HCSR_SATP);
    vcpu->menvcfg = features.menvcfg;
    if (riscv_translate(vcpu, va, access->width,
                        access->kind == ACCESS_STORES ? ACCESS_STORE : ACCESS_LOAD, vcpu->priv,
                        &page) != 0)
        return false;
    *pa = page.pa;
    return true;
}

bool device_access(struct world *world, struct trap *trap)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    struct bus *bus = &vcpu->vcpu.vm->bus;
    struct hext_access access;
    uint64_t pa, data;
    uint32_t insn;

    /* A guest of the partition's own hypervisor has no such pages. */
    if (features.h && (vcpu->mstatus & MSTAT_MPV) != 0)
        return false;
    if (!hext_access_transformed(trap->insn, &access)) {
        struct trap fetch = *trap;
        if (!emulate_fetch(world, &fetch, &insn)) {
            *trap = fetch;
            return false;
        }
        hext_access_decode(insn, &access);
    }
    if ((access.kind != ACCESS_LOADS && access.kind != ACCESS_STORES) ||
        (trap->value & (access.width - 1)) != 0 || !find_address(vcpu, trap->value, &access, &pa))
        return false;
    if (access.kind == ACCESS_STORES) {
        data = vcpu->x[access.reg];
        if (access.width < 8)
            data &= (1ULL << 8 * access.width) - 1;
        if (bus_write(bus, pa, access.width, data) != 0)
            return false;
    } else {
        if (bus_read(bus, pa, access.width, &data) != 0)
            return false;
        vcpu->x[access.reg] = hext_access_extend(&access, data);
        vcpu->x[0] = 0;
    }
    vcpu->pc += access.length;
    return true;
}
