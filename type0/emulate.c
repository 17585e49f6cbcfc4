/* Instructions that this hart lacks, or does not do for misaligned addresses. */
#include "engine/hext/internal.h"
#include "riscv/csr.h"
#include "type0/access.h"
#include "type0/world.h"

#define INSN_WFI     0x10500073u
#define INSN_WRS_NTO 0x00d00073u /* Zawrs */
#define INSN_WRS_STO 0x01d00073u

/* ---- The partition's memory as it sees it ---- */

static const struct guest_memory memory = {guest_load, guest_store, hext_fp_save, hext_fp_load};

/* The trap of a guest_load or guest_store that failed. */
static void access_trap(struct riscv_vcpu *vcpu, struct trap *trap)
{
    trap_read(trap);
    trap->insn = 0;
    vcpu->mstatus = (vcpu->mstatus & ~MSTAT_GVA) | (hcsr_read(MCSR_MSTATUS) & MSTAT_GVA);
}

bool emulate_fetch(struct world *world, struct trap *trap, uint32_t *insn)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    if (access_fetch(&memory, vcpu, insn))
        return true;
    access_trap(vcpu, trap);
    trap->cause = trap->cause == CAUSE_LOAD_PAGE_FAULT    ? CAUSE_FETCH_PAGE_FAULT
                  : trap->cause == HCAUSE_LOAD_GUEST_PAGE ? HCAUSE_FETCH_GUEST_PAGE
                                                          : CAUSE_FETCH_ACCESS;
    return false;
}

/* ---- Illegal instructions ---- */

/* May the mode that trapped read `time` (3.1.11, 10.1.5, 15.2.6)? */
static bool may_read_time(const struct riscv_vcpu *vcpu)
{
    const uint64_t bit = 1 << 1;
    bool virtual = features.h && (vcpu->mstatus & MSTAT_MPV) != 0;
    uint64_t allowed = virtual ? hcsr_read(HCSR_HCOUNTEREN) : bit;
    if (vcpu->priv == PRIV_U)
        allowed &= hcsr_read(HCSR_SCOUNTEREN);
    return (allowed & bit) != 0;
}

bool emulate_illegal(struct world *world, struct trap *trap)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    uint32_t insn = (uint32_t)trap->value;

    /* mtval may be zero instead (3.1.16). */
    if (insn == 0 && !emulate_fetch(world, trap, &insn))
        return false;
    if (insn == INSN_WRS_NTO || insn == INSN_WRS_STO) {
        vcpu->pc += 4;
        return true;
    }
    if (insn == INSN_WFI && world->context != NULL && vcpu->priv == PRIV_S) {
        if (features.h && (vcpu->mstatus & MSTAT_MPV) != 0 &&
            (hcsr_read(HCSR_HSTATUS) & HSTATUS_VTW) != 0) {
            trap->cause = HCAUSE_VIRTUAL_INSN;
            return false;
        }
        world->waiting = true;
        world->hart->look = true;
        vcpu->pc += 4;
        return true;
    }
    if (access_is_rdtime(insn) && !features.time && may_read_time(vcpu)) {
        uint64_t time = ticks_now();
        if (features.h && (vcpu->mstatus & MSTAT_MPV) != 0)
            time += hcsr_read(HCSR_HTIMEDELTA);
        access_rdtime(vcpu, insn, time);
        return true;
    }
    return false;
}

/* ---- Misaligned loads and stores ---- */

bool emulate_misaligned(struct world *world, struct trap *trap)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    struct hext_access access;
    uint32_t insn;

    if (!hext_access_transformed(trap->insn, &access)) {
        if (!emulate_fetch(world, trap, &insn))
            return false;
        hext_access_decode(insn, &access);
    }
    switch (access_perform(&memory, vcpu, &access, trap->value)) {
    case ACCESS_DONE: break;
    case ACCESS_FAULT: access_trap(vcpu, trap); return false;
    case ACCESS_FOREIGN: return false;
    }
    if (access.kind == ACCESS_FLOADS) {
        vcpu->mstatus |= HSTAT_FS_DIRTY;
        if (features.h && (vcpu->mstatus & MSTAT_MPV) != 0)
            hcsr_set(HCSR_VSSTATUS, HSTAT_FS_DIRTY);
    }
    return true;
}
