/*
 * The run loop: enter the guest, see why it trapped, go on or tell the hypervisor.
 *
 * hext_answer runs below hext_enter, between the guest's trap and its going on. What may take
 * longer or switch tasks (devices, SBI calls from the table) happens with v->world up to date and
 * in_guest false, as if the guest had been left.
 */
#include "core/bus.h"
#include "core/hot.h"
#include "engine/hext/access.h"
#include "engine/hext/csr.h"
#include "engine/hext/internal.h"
#include "riscv/csr.h"
#include "riscv/mmu.h"

#define INSN_WFI     0x10500073u
#define INSN_WRS_NTO 0x00d00073u /* Zawrs */
#define KEPT         0x0ffc0308u /* registers that a function keeps: gp, s0..s11 */

/* ---- Interrupts and requests on the way in ---- */

/* Brings hvip in line with mip, as far as mip decides it. */
HOT static __attribute__((noinline)) void interrupts_tell(struct hext_vcpu *v, uint64_t pending)
{
    uint64_t ssi = pending & 1ULL << IRQ_SSI, rest = pending & ~ssi;

    /* The guest clears this one itself: it moves into hvip, and back at hext_unload. */
    if (ssi != 0) {
        atomic_fetch_and(&v->hart->mip, ~ssi);
        hcsr_set(HCSR_HVIP, HVIP_VSSIP);
    }
    /* Bits of hvip are one above those of mip (15.2.3). */
    hcsr_clear(HCSR_HVIP, (v->told & ~rest) << 1);
    hcsr_set(HCSR_HVIP, (rest & ~v->told) << 1);
    if (v->imsic != NULL)
        hcsr_write(HCSR_HVICTL, (rest & 1ULL << IRQ_SEI) != 0 ? HVICTL_EXTERNAL : 0);
    v->told = rest;
}

static inline void interrupts_update(struct hext_vcpu *v)
{
    uint64_t pending = atomic_load_explicit(&v->hart->mip, memory_order_relaxed) & v->watched;
    if (pending != v->told)
        interrupts_tell(v, pending);
}

static __attribute__((noinline)) void requests_serve(struct vcpu *vcpu)
{
    uint32_t requests = atomic_exchange(&vcpu->requests, 0);
    if ((requests & VCPU_REQ_TLB_FLUSH) != 0)
        hext_flush(vcpu->engine_data);
    if ((requests & (VCPU_REQ_FENCE_I | VCPU_REQ_CODE_FLUSH)) != 0)
        fence_i();
}

/* False: somebody wants attention. Else the guest may be entered; all that was asked of it is done.
 */
static inline bool guest_begin(struct hext_vcpu *v)
{
    struct vcpu *vcpu = &v->hart->vcpu;
    atomic_store_explicit(&vcpu->in_guest, true, memory_order_relaxed);
    /* Who kicks or requests stores first and then looks at in_guest (core/vcpu.c). */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&vcpu->kick, memory_order_relaxed) != 0) {
        atomic_store_explicit(&vcpu->in_guest, false, memory_order_release);
        return false;
    }
    if (atomic_load_explicit(&vcpu->requests, memory_order_relaxed) != 0)
        requests_serve(vcpu);
    interrupts_update(v);
    return true;
}

/* A release, and of what the guest has written to interrupt files too: see hext_imsic_move. */
static inline void guest_end(struct hext_vcpu *v)
{
    fence_release_devices();
    atomic_store_explicit(&v->hart->vcpu.in_guest, false, memory_order_relaxed);
}

static inline void world_take(struct hext_vcpu *v)
{
    v->world.sepc = hcsr_read(HCSR_SEPC);
    v->world.sstatus = hcsr_read(HCSR_SSTATUS);
    v->world.hstatus = hcsr_read(HCSR_HSTATUS);
}

static inline void world_give(const struct hext_vcpu *v)
{
    hcsr_write(HCSR_SEPC, v->world.sepc);
    hcsr_write(HCSR_SSTATUS, v->world.sstatus);
    hcsr_write(HCSR_HSTATUS, v->world.hstatus);
}

/* ---- Guest page faults ---- */

/* The access fault that belongs to a guest page fault. */
static unsigned access_fault(uint64_t cause)
{
    return cause == HCAUSE_FETCH_GUEST_PAGE  ? CAUSE_FETCH_ACCESS
           : cause == HCAUSE_LOAD_GUEST_PAGE ? CAUSE_LOAD_ACCESS
                                             : CAUSE_STORE_ACCESS;
}

/*
 * The instruction, as htinst names it or fetched. 0: the guest has taken a fault; or it is 0 by
 * now, written by another VCPU, and the guest will take one when it goes on.
 */
static uint64_t access_find(struct hext_vcpu *v, uint64_t htinst, struct hext_access *access)
{
    if (hext_access_transformed(htinst, access))
        return htinst;
    uint64_t insn = hext_fetch(v->world.sepc);
    if (insn != (uint64_t)HEXT_NO_INSN) {
        hext_access_decode((uint32_t)insn, access);
        return insn;
    }
    /* Another VCPU unmapped the code meanwhile; the guest's own fetch faults like this one. */
    if (hcsr_read(HCSR_SCAUSE) == CAUSE_LOAD_PAGE_FAULT)
        hext_inject(v, CAUSE_FETCH_PAGE_FAULT, v->world.sepc);
    else
        hext_inject(v, CAUSE_FETCH_ACCESS, v->world.sepc);
    return 0;
}

/* htval may be 0 although the address is not (15.6.2): then the guest's own tables are walked. */
static __attribute__((noinline)) bool walk_own(struct hext_vcpu *v, uint64_t gva, bool store,
                                               uint64_t *gpa)
{
    struct riscv_page page;
    hext_unload(v);
    unsigned cause =
        riscv_translate(v->hart, gva, 1, store ? ACCESS_STORE : ACCESS_LOAD, v->hart->priv, &page);
    hext_load(v);
    *gpa = page.pa;
    return cause == 0;
}

static uint64_t store_data(struct hext_vcpu *v, const struct hext_access *access)
{
    uint64_t data;
    if (access->kind == ACCESS_FSTORES) {
        hext_fp_sync(v);
        data = v->hart->f[access->reg];
    } else {
        data = access->reg != 0 ? v->hart->x[access->reg] : 0;
    }
    return access->width == 8 ? data : data & ((1ULL << 8 * access->width) - 1);
}

static void load_result(struct hext_vcpu *v, const struct hext_access *access, uint64_t data)
{
    data = hext_access_extend(access, data);
    if (access->kind == ACCESS_FLOADS) {
        hext_fp_sync(v);
        v->hart->f[access->reg] = data;
        hext_fp_load(v->hart->f, v->hart->frm << 5 | v->hart->fflags);
        v->world.sstatus |= HSTAT_FS_DIRTY;
        hcsr_set(HCSR_VSSTATUS, HSTAT_FS_DIRTY);
    } else if (access->reg != 0) {
        v->hart->x[access->reg] = data;
        v->kept_lost |= KEPT >> access->reg & 1;
    }
}

static inline struct hext_seen *seen_at(struct hext_vcpu *v, uint64_t insn, uint64_t gpa)
{
    return &v->seen[(insn >> 7 ^ insn >> 12 ^ gpa >> 2) & (HEXT_SEEN - 1)];
}

/*
 * An aligned access to a device has been answered: the next one like it, same instruction (htinst
 * as it was, or fetched: they mean the same where they are equal) and same address, needs no look
 * at the bus. Slots of devices are fixed once the VM is built.
 */
static void remember(struct hext_vcpu *v, uint64_t insn, uint64_t gpa,
                     const struct hext_access *access)
{
    bool store = access->kind == ACCESS_STORES;
    struct bus_range *range = bus_find(&v->hart->vcpu.vm->bus, gpa);
    /* x[32] takes no writes here (switch.S). */
    if (range == NULL || insn == 0 ||
        !(store || (access->kind == ACCESS_LOADS && access->reg != 0)))
        return;
    *seen_at(v, insn, gpa) = (struct hext_seen){
        .gpa = gpa,
        .insn = insn,
        .range = range,
        .read = range->ops->read,
        .write = range->ops->write,
        .device = range->device,
        .offset = gpa - range->base,
        .store = store,
        .sign = access->sign,
        .width = access->width,
        .spare = (uint8_t)(64 - 8 * access->width),
        .reg = access->reg,
        .length = access->length,
        .back = !store && (KEPT >> access->reg & 1) != 0 ? HEXT_GO_ON_ALL : HEXT_GO_ON};
}

/* Nothing is mapped there: a device, or a fault for the guest. The bus is called directly. */
static void guest_page_fault(struct hext_vcpu *v, uint64_t cause)
{
    uint64_t gva = hcsr_read(HCSR_STVAL), htval = hcsr_read(HCSR_HTVAL);
    uint64_t htinst = hcsr_read(HCSR_HTINST), gpa = htval << 2 | (gva & 3), data = 0;
    struct bus *bus = &v->hart->vcpu.vm->bus;
    struct hext_access access;

    if (v->vm->lazy) {
        bool found =
            htval != 0 || gva < 4 || walk_own(v, gva, cause == HCAUSE_STORE_GUEST_PAGE, &gpa);
        if (found && hext_lazy_fault(v, gpa))
            return;
    }
    if (cause == HCAUSE_FETCH_GUEST_PAGE || hext_access_implicit(htinst)) {
        hext_inject(v, access_fault(cause), gva);
        return;
    }
    uint64_t insn = access_find(v, htinst, &access);
    if (insn == 0)
        return;
    bool load = access.kind == ACCESS_LOADS || access.kind == ACCESS_FLOADS;
    if (!load && access.kind != ACCESS_STORES && access.kind != ACCESS_FSTORES) {
        /* AMOs: the kind of the instruction decides, some harts report a load. */
        hext_inject(v, access.kind == ACCESS_ATOMIC ? CAUSE_STORE_ACCESS : access_fault(cause),
                    gva);
        return;
    }
    if ((gva & (access.width - 1)) != 0) {
        hext_inject(v, load ? CAUSE_LOAD_MISALIGNED : CAUSE_STORE_MISALIGNED, gva);
        return;
    }
    bool there = htval != 0 || gva < 4 || walk_own(v, gva, !load, &gpa);
    v->counts[HEXT_EXIT_MMIO]++;
    if (load)
        there = there && bus_read(bus, gpa, access.width, &data) == 0;
    else
        there = there && bus_write(bus, gpa, access.width, store_data(v, &access)) == 0;
    if (!there) {
        hext_inject(v, load ? CAUSE_LOAD_ACCESS : CAUSE_STORE_ACCESS, gva);
        return;
    }
    if (load)
        load_result(v, &access, data);
    v->world.sepc += access.length;
    if (htval != 0 && (htinst == 0 || insn == htinst))
        remember(v, insn, gpa, &access);
}

/* ---- SBI ---- */

/* Bit n of `mask` is hart base + n (SBI 2.0, 3.1): the caller and nobody else. All are meant by a
 * base of -1; 64 harts are all that there are. */
static inline bool is_self(const struct hext_vcpu *v, uint64_t mask, uint64_t base)
{
    uint64_t bit = v->hart->vcpu.id - base;
    return base < 64 && bit < 64 && mask == 1ULL << bit;
}

/*
 * Calls that touch nothing but the caller, without its leaving the guest: nobody waits for
 * anything. What a guest sets by set_timer is in its own ticks, as vstimecmp is (SBI 2.0, 6.1).
 */
static inline bool sbi_hot(struct hext_vcpu *v)
{
    enum { BASE = 0x10, TIME = 0x54494d45, IPI = 0x735049, RFENCE = 0x52464e43 };
    uint64_t *x = v->hart->x, value = 0;

    switch (x[17]) {
    case BASE:
        if (x[16] != 0)
            return false;
        value = v->vm->sbi_version;
        break;
    case TIME:
        if (x[16] != 0 || !v->vm->features->sstc)
            return false;
        hcsr_write(HCSR_VSTIMECMP, x[10]);
        break;
    case IPI:
        if (x[16] != 0 || !is_self(v, x[10], x[11]))
            return false;
        hcsr_set(HCSR_HVIP, HVIP_VSSIP);
        break;
    case RFENCE:
        if (x[16] > 2 || !is_self(v, x[10], x[11]))
            return false;
        if (x[16] == 0)
            fence_i();
        else
            hfence_vvma_all();
        break;
    default: return false;
    }
    x[10] = 0;
    x[11] = value;
    return true;
}

/* The guest goes on behind its ECALL. */
static inline uint64_t sbi_answered(struct hext_vcpu *v)
{
    v->counts[HEXT_EXIT_ECALL]++;
    hcsr_write(HCSR_SEPC, hcsr_read(HCSR_SEPC) + 4);
    return HEXT_GO_ON;
}

/* ---- The interrupt file in memory ---- */

static bool imsic_emulate(struct hext_vcpu *v, uint32_t insn)
{
    if (v->imsic == NULL || v->file != 0 || (v->world.sstatus & HSTAT_SPP) == 0)
        return false;
    host_lock_acquire(&v->imsic_lock);
    bool done = imsic_execute(v->imsic, insn, hcsr_read(HCSR_VSISELECT), v->hart->x);
    hext_imsic_look(v);
    host_lock_release(&v->imsic_lock);
    if (done) {
        v->world.sepc += 4;
        v->kept_lost = true;
    }
    return done;
}

/* ---- Exits ---- */

/* EXIT_REASONS: answered here, the guest goes on. */
HOT static enum exit_reason exit_answer(struct hext_vcpu *v, uint64_t cause)
{
    uint64_t stval;

    switch (cause) {
    case HCAUSE_FETCH_GUEST_PAGE:
    case HCAUSE_LOAD_GUEST_PAGE:
    case HCAUSE_STORE_GUEST_PAGE: guest_page_fault(v, cause); return EXIT_REASONS;
    case HCAUSE_VIRTUAL_INSN:
        stval = hcsr_read(HCSR_STVAL);
        if (stval == 0) /* which is allowed (10.1.9), and what QEMU 10 gives for WRS.NTO */
            stval = hext_fetch(v->world.sepc);
        if (stval == (uint64_t)HEXT_NO_INSN)
            stval = 0;
        if (stval == INSN_WRS_NTO) {
            /* It waits for another hart, which may be one that waits for this. */
            v->counts[HEXT_EXIT_WFI]++;
            v->world.sepc += 4;
            atomic_store_explicit(&hext_this_hart()->resched, true, memory_order_relaxed);
            return EXIT_REASONS;
        }
        if (stval == INSN_WFI && (v->world.sstatus & HSTAT_SPP) != 0) {
            v->counts[HEXT_EXIT_WFI]++;
            v->world.sepc += 4;
            return EXIT_WFI;
        }
        v->counts[HEXT_EXIT_VIRTUAL]++;
        if (imsic_emulate(v, (uint32_t)stval))
            return EXIT_REASONS;
        hext_inject(v, CAUSE_ILLEGAL, stval);
        return EXIT_REASONS;
    case CAUSE_FETCH_MISALIGNED:
    case CAUSE_FETCH_ACCESS:
    case CAUSE_ILLEGAL:
    case CAUSE_BREAKPOINT:
    case CAUSE_LOAD_MISALIGNED:
    case CAUSE_LOAD_ACCESS:
    case CAUSE_STORE_MISALIGNED:
    case CAUSE_STORE_ACCESS:
    case CAUSE_ECALL_U:
    case CAUSE_FETCH_PAGE_FAULT:
    case CAUSE_LOAD_PAGE_FAULT:
    case CAUSE_STORE_PAGE_FAULT:
        /* Not delegated on this hart (hedeleg is WARL). */
        hext_inject(v, (unsigned)cause, hcsr_read(HCSR_STVAL));
        return EXIT_REASONS;
    default: v->message = "the hart reported a trap cause that is not known"; return EXIT_HALTED;
    }
}

/* A device may have let other tasks run, and this one go on on another hart. */
static inline __attribute__((always_inline)) bool goes_on(struct hext_vcpu *v)
{
    v->reason = EXIT_REASONS;
    return v->loaded && !atomic_load_explicit(&hext_this_hart()->resched, memory_order_relaxed) &&
           guest_begin(v);
}

HOT static __attribute__((noinline)) uint64_t answer(struct hext_vcpu *v, uint64_t cause)
{
    enum exit_reason reason = EXIT_REASONS;

    world_take(v);
    guest_end(v);
    v->kept_lost = false;
    if ((cause & HCAUSE_INTERRUPT) != 0) {
        v->counts[HEXT_EXIT_INTERRUPT]++;
        hext_host_interrupt(cause);
    } else {
        reason = exit_answer(v, cause);
    }
    if (reason == EXIT_WFI && (hcsr_read(HCSR_VSIP) & hcsr_read(HCSR_VSIE)) != 0)
        reason = EXIT_REASONS; /* it is over as soon as it begins */
    if (reason != EXIT_REASONS) {
        v->reason = reason;
        return HEXT_LEAVE;
    }
    if (!goes_on(v))
        return HEXT_LEAVE;
    world_give(v);
    return v->kept_lost ? HEXT_GO_ON_ALL : HEXT_GO_ON;
}

/* The table's answer: for other VCPUs too, perhaps; else it is an exit. */
HOT static __attribute__((noinline)) uint64_t sbi_call_answer(struct hext_vcpu *v)
{
    if (v->vm->sbi_alone(v->hart->vcpu.vm, v->hart))
        return sbi_answered(v);
    world_take(v);
    guest_end(v);
    v->counts[HEXT_EXIT_ECALL]++;
    v->world.sepc += 4;
    if (!v->vm->sbi_light(v->hart->vcpu.vm, v->hart)) {
        v->reason = EXIT_SBI;
        return HEXT_LEAVE;
    }
    if (!goes_on(v))
        return HEXT_LEAVE;
    world_give(v);
    return HEXT_GO_ON;
}

static __attribute__((noinline)) uint64_t device_refused(struct hext_vcpu *v, unsigned cause,
                                                         uint64_t gva)
{
    hext_inject(v, cause, gva);
    if (!goes_on(v))
        return HEXT_LEAVE;
    world_give(v);
    return HEXT_GO_ON;
}

/* What guest_page_fault does, for an access that it has seen before. Others are left to answer().
 */
HOT static __attribute__((noinline)) uint64_t device_hot(struct hext_vcpu *v, uint64_t cause)
{
    uint64_t gva = hcsr_read(HCSR_STVAL), htval = hcsr_read(HCSR_HTVAL);
    uint64_t insn = hcsr_read(HCSR_HTINST), data;

    world_take(v);
    if (insn == 0) {
        insn = hext_fetch(v->world.sepc);
        if (insn == (uint64_t)HEXT_NO_INSN) {
            hcsr_write(HCSR_STVAL, gva);
            hcsr_write(HCSR_HTVAL, htval);
            hcsr_write(HCSR_HTINST, 0);
            world_give(v);
            return answer(v, cause);
        }
    }
    uint64_t gpa = htval << 2 | (gva & 3);
    const struct hext_seen *seen = seen_at(v, insn, gpa);
    /* Else it is computed anew for each field. */
    __asm__("" : "+r"(seen));
    if (seen->insn != insn || seen->gpa != gpa)
        return answer(v, cause);

    guest_end(v);
    v->counts[HEXT_EXIT_MMIO]++;
    atomic_fetch_add_explicit(&seen->range->accesses, 1, memory_order_relaxed);
    uint64_t *x = v->hart->x;
    if (seen->store) {
        data = x[seen->reg] << seen->spare >> seen->spare;
        if (seen->write(seen->device, seen->offset, seen->width, data) != 0)
            return device_refused(v, CAUSE_STORE_ACCESS, gva);
    } else {
        if (seen->read(seen->device, seen->offset, seen->width, &data) != 0)
            return device_refused(v, CAUSE_LOAD_ACCESS, gva);
        data <<= seen->spare;
        x[seen->reg] = seen->sign ? (uint64_t)((int64_t)data >> seen->spare) : data >> seen->spare;
    }
    v->world.sepc += seen->length;
    if (!goes_on(v))
        return HEXT_LEAVE;
    hcsr_write(HCSR_SEPC, v->world.sepc);
    return seen->back;
}

HOT uint64_t hext_answer(struct hext_vcpu *v, uint64_t cause)
{
    if (cause == HCAUSE_VS_ECALL)
        return sbi_hot(v) ? sbi_answered(v) : sbi_call_answer(v);
    if (cause == HCAUSE_LOAD_GUEST_PAGE || cause == HCAUSE_STORE_GUEST_PAGE)
        return device_hot(v, cause);
    return answer(v, cause);
}

HOT enum exit_reason hext_run(struct vcpu *vcpu, struct exit *exit)
{
    struct hext_vcpu *v = vcpu->engine_data;

    for (;;) {
        hext_host_schedule();
        if (!v->loaded)
            hext_load(v);
        atomic_store_explicit(&v->on_hart, hext_this_hart()->index, memory_order_relaxed);
        if (!guest_begin(v))
            return EXIT_KICKED;
        world_give(v);
        hext_enter(v->hart->x, v);
        if (v->reason == EXIT_REASONS)
            continue;
        if (v->reason == EXIT_WFI) {
            hext_unload(v);
            hext_arm_timer(v);
        }
        exit->message = v->message;
        return v->reason;
    }
}
