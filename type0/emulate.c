/* Instructions that this hart lacks, or does not do for misaligned addresses. */
#include "engine/hext/access.h"
#include "engine/hext/internal.h"
#include "riscv/csr.h"
#include "type0/world.h"

#define INSN_WFI     0x10500073u
#define INSN_WRS_NTO 0x00d00073u /* Zawrs */
#define INSN_WRS_STO 0x01d00073u

/* ---- The partition's memory as it sees it ---- */

/* The trap of a guest_load or guest_store that failed. */
static void access_trap(struct riscv_vcpu *vcpu, struct trap *trap)
{
    trap_read(trap);
    trap->insn = 0;
    vcpu->mstatus = (vcpu->mstatus & ~MSTAT_GVA) | (hcsr_read(MCSR_MSTATUS) & MSTAT_GVA);
}

/* One parcel; MXR: what may be executed may be read. */
static long fetch_parcel(struct riscv_vcpu *vcpu, uint64_t va)
{
    uint64_t status = vcpu->mstatus | MSTAT_MPRV | MSTAT_MXR;
    long low = guest_load(va, status);
    long high = low >= 0 ? guest_load(va + 1, status) : -1;
    return high >= 0 ? low | high << 8 : -1;
}

bool emulate_fetch(struct world *world, struct trap *trap, uint32_t *insn)
{
    struct riscv_vcpu *vcpu = world->vcpu;
    long low = fetch_parcel(vcpu, vcpu->pc), high = 0;
    if (low >= 0 && (low & 3) == 3)
        high = fetch_parcel(vcpu, vcpu->pc + 2);
    if (low >= 0 && high >= 0) {
        *insn = (uint32_t)(low | high << 16);
        return true;
    }
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
    /* CSRRS rd, time, x0: RDTIME. */
    if ((insn & 0xfffff07f) == (0x2073u | (uint32_t)HCSR_TIME << 20) && !features.time &&
        may_read_time(vcpu)) {
        uint64_t time = ticks_now();
        if (features.h && (vcpu->mstatus & MSTAT_MPV) != 0)
            time += hcsr_read(HCSR_HTIMEDELTA);
        vcpu->x[insn >> 7 & 31] = time;
        vcpu->x[0] = 0;
        vcpu->pc += 4;
        return true;
    }
    return false;
}

/* ---- Misaligned loads and stores ---- */

static bool load(struct riscv_vcpu *vcpu, const struct hext_access *access, uint64_t va)
{
    uint64_t data = 0, status = vcpu->mstatus | MSTAT_MPRV;
    for (unsigned i = 0; i < access->width; i++) {
        long byte = guest_load(va + i, status);
        if (byte < 0)
            return false;
        data |= (uint64_t)byte << 8 * i;
    }
    data = hext_access_extend(access, data);
    if (access->kind == ACCESS_LOADS) {
        vcpu->x[access->reg] = data;
        vcpu->x[0] = 0;
        return true;
    }
    uint64_t fcsr = hext_fp_save(vcpu->f);
    vcpu->f[access->reg] = data;
    hext_fp_load(vcpu->f, fcsr);
    vcpu->mstatus |= HSTAT_FS_DIRTY;
    if (features.h && (vcpu->mstatus & MSTAT_MPV) != 0)
        hcsr_set(HCSR_VSSTATUS, HSTAT_FS_DIRTY);
    return true;
}

static bool store(struct riscv_vcpu *vcpu, const struct hext_access *access, uint64_t va)
{
    uint64_t data = vcpu->x[access->reg], status = vcpu->mstatus | MSTAT_MPRV;
    if (access->kind == ACCESS_FSTORES) {
        hext_fp_save(vcpu->f);
        data = vcpu->f[access->reg];
    }
    for (unsigned i = 0; i < access->width; i++) {
        if (!guest_store(va + i, status, (uint8_t)(data >> 8 * i)))
            return false;
    }
    return true;
}

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
    bool done;
    if (access.kind == ACCESS_LOADS || access.kind == ACCESS_FLOADS)
        done = load(vcpu, &access, trap->value);
    else if (access.kind == ACCESS_STORES || access.kind == ACCESS_FSTORES)
        done = store(vcpu, &access, trap->value);
    else
        return false;
    if (done) {
        vcpu->pc += access.length;
        return true;
    }
    access_trap(vcpu, trap);
    return false;
}
