/* The state of a VCPU, out of KVM and into it. */
#include "engine/kvm/riscv64/internal.h"

#include "core/error.h"
#include "riscv/csr.h"
#include "riscv/mmu.h"

#include <errno.h>
#include <sys/ioctl.h>

#define NUDGE_TICKS (CLOCK_HZ / 100)

#define FP(index) KVM_ID(KVM_REG_RISCV_FP_D, index) /* f0 to f31 */
/* fcsr, behind them, has 32 bits. */
#define FCSR (KVM_REG_RISCV | KVM_REG_SIZE_U32 | KVM_REG_RISCV_FP_D | KVM_REG_RISCV_FP_D_REG(fcsr))

int kvm_get(const struct kvm_vcpu *kv, uint64_t id, void *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
    return ioctl(kv->fd, KVM_GET_ONE_REG, &reg) < 0 ? -errno : 0;
}

int kvm_set(const struct kvm_vcpu *kv, uint64_t id, const void *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
    return ioctl(kv->fd, KVM_SET_ONE_REG, &reg) < 0 ? -errno : 0;
}

uint64_t kvm_get64(const struct kvm_vcpu *kv, uint64_t id)
{
    uint64_t value = 0;
    return kvm_get(kv, id, &value) == 0 ? value : 0;
}

int kvm_set64(const struct kvm_vcpu *kv, uint64_t id, uint64_t value)
{
    return kvm_set(kv, id, &value);
}

/* Registers that are plain copies of a field. */
struct copied {
    uint64_t id;
    size_t offset;
};
#define COPIED(name)                                                                               \
    {                                                                                              \
        KVM_ID_CSR(name), offsetof(struct riscv_vcpu, name)                                        \
    }
static const struct copied copied[] = {
    COPIED(stvec), COPIED(sscratch), COPIED(sepc),    COPIED(scause),
    COPIED(stval), COPIED(satp),     COPIED(senvcfg),
};

static uint64_t *field(struct riscv_vcpu *hart, const struct copied *of)
{
    return (uint64_t *)((char *)hart + of->offset);
}

/* Register n of V, which has the size of one. */
static uint64_t vector_id(const struct riscv_vcpu *hart, unsigned n)
{
    const uint64_t size = (uint64_t)__builtin_ctz(hart->isa.vlen / 8u);
    return KVM_REG_RISCV | size << KVM_REG_SIZE_SHIFT | KVM_REG_RISCV_VECTOR |
           KVM_REG_RISCV_VECTOR_REG(n);
}

static void get_float(const struct kvm_vcpu *kv)
{
    struct riscv_vcpu *hart = kv->hart;
    uint32_t fcsr = 0;

    if (!riscv_has(hart, EXT_D))
        return;
    for (unsigned i = 0; i < 32; i++)
        hart->f[i] = kvm_get64(kv, FP(i));
    kvm_get(kv, FCSR, &fcsr);
    hart->fflags = fcsr & 31;
    hart->frm = fcsr >> 5 & 7;
}

static void put_float(const struct kvm_vcpu *kv)
{
    const struct riscv_vcpu *hart = kv->hart;
    const uint32_t fcsr = hart->frm << 5 | hart->fflags;

    if (!riscv_has(hart, EXT_D))
        return;
    for (unsigned i = 0; i < 32; i++)
        kvm_set64(kv, FP(i), hart->f[i]);
    kvm_set(kv, FCSR, &fcsr);
}

static void get_vector(const struct kvm_vcpu *kv)
{
    struct riscv_vcpu *hart = kv->hart;

    if (!riscv_has_v(hart))
        return;
    const uint64_t vcsr = kvm_get64(kv, KVM_ID_VECTOR(vcsr));
    hart->vstart = kvm_get64(kv, KVM_ID_VECTOR(vstart));
    hart->vl = kvm_get64(kv, KVM_ID_VECTOR(vl));
    hart->vtype = kvm_get64(kv, KVM_ID_VECTOR(vtype));
    hart->vxsat = (vcsr & 1) != 0;
    hart->vxrm = vcsr >> 1 & 3;
    for (unsigned i = 0; i < 32; i++)
        kvm_get(kv, vector_id(hart, i), hart->v + i * (hart->isa.vlen / 8u));
}

static void put_vector(const struct kvm_vcpu *kv)
{
    const struct riscv_vcpu *hart = kv->hart;

    if (!riscv_has_v(hart))
        return;
    kvm_set64(kv, KVM_ID_VECTOR(vstart), hart->vstart);
    kvm_set64(kv, KVM_ID_VECTOR(vl), hart->vl);
    kvm_set64(kv, KVM_ID_VECTOR(vtype), hart->vtype);
    kvm_set64(kv, KVM_ID_VECTOR(vcsr), (uint64_t)hart->vxrm << 1 | hart->vxsat);
    for (unsigned i = 0; i < 32; i++)
        kvm_set(kv, vector_id(hart, i), hart->v + i * (hart->isa.vlen / 8u));
}

/* Guest time at which the timer's interrupt comes, in ticks of ours. */
static void get_timer(const struct kvm_vcpu *kv)
{
    struct riscv_vcpu *hart = kv->hart;
    uint64_t compare = kvm_get64(kv, KVM_ID_TIMER(compare));

    /* Without Sstc it is KVM that waits, and then says so in sip. */
    if (!kv->sstc) {
        if ((kvm_get64(kv, KVM_ID_CSR(sip)) >> IRQ_STI & 1) != 0)
            compare = 0;
        else if (kvm_get64(kv, KVM_ID_TIMER(state)) != KVM_RISCV_TIMER_STATE_ON)
            compare = UINT64_MAX;
    }
    hart->stimecmp = clock_of_guest(&hart->vcpu.vm->clock, compare);
}

/* From here on the timer is KVM's: ours, and the wire that it drives, rest. */
static void put_timer(const struct kvm_vcpu *kv)
{
    struct riscv_vcpu *hart = kv->hart;

    host_lock_acquire(&hart->timer_lock);
    clock_timer_cancel(&hart->stimer);
    riscv_vcpu_irq(hart, IRQ_STI, false);
    host_lock_release(&hart->timer_lock);
    kvm_set64(kv, KVM_ID_TIMER(compare), clock_to_guest(&hart->vcpu.vm->clock, hart->stimecmp));
    kvm_set64(kv, KVM_ID_TIMER(state),
              hart->stimecmp != UINT64_MAX ? KVM_RISCV_TIMER_STATE_ON : KVM_RISCV_TIMER_STATE_OFF);
}

/* Steal time: where the guest wants it, all ones is nowhere (SBI 3.0, 16.1). */
static void get_steal(const struct kvm_vcpu *kv)
{
    if (!kv->sta)
        return;
    const uint64_t at = kvm_get64(kv, KVM_ID_STA(shmem_lo));
    kv->hart->steal_gpa = at == UINT64_MAX ? 0 : at;
}

static void put_steal(const struct kvm_vcpu *kv)
{
    const uint64_t at = kv->hart->steal_gpa;

    if (!kv->sta)
        return;
    kvm_set64(kv, KVM_ID_STA(shmem_lo), at != 0 ? at : UINT64_MAX);
    kvm_set64(kv, KVM_ID_STA(shmem_hi), at != 0 ? 0 : UINT64_MAX);
}

/* KVM may have started the hart, and then it has nothing yet of what M-mode would have set. */
static void take_charge(struct riscv_vcpu *hart)
{
    if (!hart->sbi)
        riscv_vcpu_start_supervisor(hart, 0, 0);
}

void kvm_state_get(struct kvm_vcpu *kv)
{
    struct riscv_vcpu *hart = kv->hart;
    const uint64_t status = riscv_sstatus_mask(hart);
    struct kvm_mp_state mp = {.mp_state = kv->mp_state};

    take_charge(hart);

    for (unsigned i = 1; i < 32; i++)
        hart->x[i] = kvm_get64(kv, KVM_ID_X(i));
    hart->pc = kvm_get64(kv, KVM_ID_PC);
    hart->priv = kvm_get64(kv, KVM_ID_MODE) == KVM_RISCV_MODE_S ? PRIV_S : PRIV_U;
    for (unsigned i = 0; i < sizeof copied / sizeof copied[0]; i++)
        *field(hart, &copied[i]) = kvm_get64(kv, copied[i].id);
    hart->mstatus = (hart->mstatus & ~status) | (kvm_get64(kv, KVM_ID_CSR(sstatus)) & status);
    hart->scounteren = (uint32_t)kvm_get64(kv, KVM_ID_CSR(scounteren));
    hart->mie = (hart->mie & ~hart->mideleg) | (kvm_get64(kv, KVM_ID_CSR(sie)) & hart->mideleg);
    if (kv->stateen)
        hart->sstateen[0] = kvm_get64(kv, KVM_ID_STATEEN);
    /* The wire of the external interrupt is the board's; the timer's follows the timer. */
    const uint64_t soft = 1ULL << IRQ_SSI;
    const uint64_t sip = kvm_get64(kv, KVM_ID_CSR(sip)) & soft;
    atomic_fetch_and(&hart->mip, ~soft | sip);
    atomic_fetch_or(&hart->mip, sip);
    get_timer(kv);
    get_float(kv);
    get_vector(kv);
    get_steal(kv);
    ioctl(kv->fd, KVM_GET_MP_STATE, &mp);
    kv->mp_state = mp.mp_state;
    atomic_store(&hart->vcpu.run_state,
                 mp.mp_state == KVM_MP_STATE_STOPPED ? VCPU_STOPPED : VCPU_RUNNING);
}

void kvm_state_put(struct kvm_vcpu *kv)
{
    struct riscv_vcpu *hart = kv->hart;
    const uint64_t mip = atomic_load(&hart->mip);
    const uint64_t soft = 1ULL << IRQ_SSI;
    struct kvm_mp_state mp = {.mp_state = atomic_load(&hart->vcpu.run_state) == VCPU_STOPPED
                                              ? KVM_MP_STATE_STOPPED
                                              : KVM_MP_STATE_RUNNABLE};

    for (unsigned i = 1; i < 32; i++)
        kvm_set64(kv, KVM_ID_X(i), hart->x[i]);
    kvm_set64(kv, KVM_ID_PC, hart->pc);
    kvm_set64(kv, KVM_ID_MODE, hart->priv == PRIV_U ? KVM_RISCV_MODE_U : KVM_RISCV_MODE_S);
    for (unsigned i = 0; i < sizeof copied / sizeof copied[0]; i++)
        kvm_set64(kv, copied[i].id, *field(hart, &copied[i]));
    kvm_set64(kv, KVM_ID_CSR(sstatus), (hart->mstatus & riscv_sstatus_mask(hart)) | MSTATUS_UXL);
    kvm_set64(kv, KVM_ID_CSR(scounteren), hart->scounteren);
    kvm_set64(kv, KVM_ID_CSR(sie), hart->mie & hart->mideleg);
    if (kv->stateen)
        kvm_set64(kv, KVM_ID_STATEEN, hart->sstateen[0]);
    kvm_set64(kv, KVM_ID_CSR(sip), mip & soft);
    kv->external = WIRE_UNKNOWN;
    /* By this register KVM gets an interrupt into the hart, but not into what it looks at while the
     * hart waits for one: it is to look around once more. */
    if ((mip & soft) != 0)
        clock_timer_arm(&kv->nudge, clock_now(&hart->vcpu.vm->clock) + NUDGE_TICKS);
    put_timer(kv);
    put_float(kv);
    put_vector(kv);
    put_steal(kv);
    if (mp.mp_state != kv->mp_state && ioctl(kv->fd, KVM_SET_MP_STATE, &mp) == 0)
        kv->mp_state = mp.mp_state;
}

static bool fetch(struct riscv_vcpu *hart, uint64_t va, uint16_t *parcel)
{
    struct riscv_page page;
    return riscv_translate(hart, va, sizeof *parcel, ACCESS_FETCH, hart->priv, &page) == 0 &&
           mem_read(&hart->vcpu.vm->mem, page.pa, parcel, sizeof *parcel) == 0;
}

unsigned kvm_refused_access(struct kvm_vcpu *kv)
{
    enum { STORE_OPCODES = 0x27 }; /* of floating point and vectors */
    struct riscv_vcpu *hart = kv->hart;
    uint16_t low, high = 0;
    struct insn insn;

    take_charge(hart);
    hart->pc = kvm_get64(kv, KVM_ID_PC);
    hart->priv = kvm_get64(kv, KVM_ID_MODE) == KVM_RISCV_MODE_S ? PRIV_S : PRIV_U;
    hart->satp = kvm_get64(kv, KVM_ID_CSR(satp));
    if (!fetch(hart, hart->pc, &low) ||
        (insn_length(low) == 4 && !fetch(hart, hart->pc + 2, &high)))
        return CAUSE_FETCH_ACCESS;
    insn_decode((uint32_t)high << 16 | low, &insn);
    switch (insn_table[insn.op].format) {
    case FMT_STORE:
    case FMT_FSTORE:
    case FMT_AMO:
    case FMT_CBO: return CAUSE_STORE_ACCESS;
    default:
        return insn.length == 4 && (low & 0x7f) == STORE_OPCODES ? CAUSE_STORE_ACCESS
                                                                 : CAUSE_LOAD_ACCESS;
    }
}

void kvm_access_fault(struct kvm_vcpu *kv, unsigned cause)
{
    uint64_t status = kvm_get64(kv, KVM_ID_CSR(sstatus));
    const bool supervisor = kvm_get64(kv, KVM_ID_MODE) == KVM_RISCV_MODE_S;

    /* Privileged ISA, 4.1.1: into S-mode with interrupts off. The virtual address is not known
     * here, and stval may be 0 (4.1.9). */
    kvm_set64(kv, KVM_ID_CSR(sepc), kvm_get64(kv, KVM_ID_PC));
    kvm_set64(kv, KVM_ID_CSR(scause), cause);
    kvm_set64(kv, KVM_ID_CSR(stval), 0);
    kvm_set64(kv, KVM_ID_PC, kvm_get64(kv, KVM_ID_CSR(stvec)) & ~3ULL);
    kvm_set64(kv, KVM_ID_MODE, KVM_RISCV_MODE_S);
    const bool enabled = (status & MSTATUS_SIE) != 0;
    status &= ~(MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP);
    status |= (enabled ? MSTATUS_SPIE : 0) | (supervisor ? MSTATUS_SPP : 0);
    kvm_set64(kv, KVM_ID_CSR(sstatus), status);
}
