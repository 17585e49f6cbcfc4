/* The run loop: enter the guest, see why it came back, go on or tell the hypervisor. */
#include "core/bus.h"
#include "engine/hext/access.h"
#include "engine/hext/csr.h"
#include "engine/hext/internal.h"
#include "riscv/csr.h"
#include "riscv/mmu.h"

#define INSN_WFI 0x10500073u

/* ---- Interrupts and requests on the way in ---- */

static void interrupts_update(struct hext_vcpu *v)
{
    struct riscv_vcpu *hart = v->hart;
    uint64_t mip = atomic_load_explicit(&hart->mip, memory_order_acquire);

    /* The guest clears this one itself: it moves into hvip, and back at hext_unload. */
    if ((mip & 1ULL << IRQ_SSI) != 0) {
        atomic_fetch_and(&hart->mip, ~(1ULL << IRQ_SSI));
        hcsr_set(HCSR_HVIP, HVIP_VSSIP);
    }
    bool seip = (mip & 1ULL << IRQ_SEI) != 0;
    if (seip != v->seip) {
        v->seip = seip;
        if (seip)
            hcsr_set(HCSR_HVIP, HVIP_VSEIP);
        else
            hcsr_clear(HCSR_HVIP, HVIP_VSEIP);
    }
    if (v->vm->features->sstc)
        return;
    bool stip = (mip & 1ULL << IRQ_STI) != 0;
    if (stip != v->stip) {
        v->stip = stip;
        if (stip)
            hcsr_set(HCSR_HVIP, HVIP_VSTIP);
        else
            hcsr_clear(HCSR_HVIP, HVIP_VSTIP);
    }
}

static void requests_serve(struct vcpu *vcpu)
{
    uint32_t requests = atomic_exchange(&vcpu->requests, 0);
    if ((requests & VCPU_REQ_TLB_FLUSH) != 0)
        hfence_vvma_all();
    if ((requests & (VCPU_REQ_FENCE_I | VCPU_REQ_CODE_FLUSH)) != 0)
        fence_i();
}

/* ---- Guest page faults ---- */

/* The access fault that belongs to a guest page fault. */
static unsigned access_fault(uint64_t cause)
{
    return cause == HCAUSE_FETCH_GUEST_PAGE  ? CAUSE_FETCH_ACCESS
           : cause == HCAUSE_LOAD_GUEST_PAGE ? CAUSE_LOAD_ACCESS
                                             : CAUSE_STORE_ACCESS;
}

static void decode(struct hext_vcpu *v, uint32_t insn, struct hext_access *access)
{
    unsigned at = (insn >> 7 ^ insn >> 12 ^ insn >> 2) & (HEXT_DECODED - 1);
    if (v->decoded[at].insn != insn || insn == 0) {
        hext_access_decode(insn, &v->decoded[at].access);
        v->decoded[at].insn = insn;
    }
    *access = v->decoded[at].access;
}

/* As hext_access_transformed; such encodings are never those of a fetched instruction with rs1. */
static bool transformed(struct hext_vcpu *v, uint64_t htinst, struct hext_access *access)
{
    if ((htinst & 1) == 0 || htinst >> 32 != 0)
        return false;
    decode(v, (uint32_t)htinst | 3, access);
    access->length = (htinst & 2) != 0 ? 4 : 2;
    return access->kind != ACCESS_NONE;
}

/* False: the guest has taken a fault, or is to try again. */
static bool access_fetch(struct hext_vcpu *v, struct hext_access *access)
{
    uint32_t insn;
    uint64_t cause = hext_fetch(v->world.sepc, &insn);
    if (cause == 0) {
        decode(v, insn, access);
        return true;
    }
    /* Another VCPU unmapped the code meanwhile; the guest's own fetch faults like this one. */
    if (cause == CAUSE_LOAD_PAGE_FAULT)
        hext_inject(v, CAUSE_FETCH_PAGE_FAULT, v->world.sepc);
    else
        hext_inject(v, CAUSE_FETCH_ACCESS, v->world.sepc);
    return false;
}

/* htval may be 0 although the address is not (15.6.2): then the guest's own tables are walked. */
static bool fault_address(struct hext_vcpu *v, uint64_t gva, uint64_t htval, bool store,
                          uint64_t *gpa)
{
    struct riscv_page page;
    *gpa = htval << 2 | (gva & 3);
    if (htval != 0 || gva < 4)
        return true;
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
    } else {
        v->hart->x[access->reg != 0 ? access->reg : 32] = data;
    }
}

/* Nothing is mapped there: a device, or a fault for the guest. The bus is called directly. */
static void guest_page_fault(struct hext_vcpu *v, uint64_t cause)
{
    uint64_t gva = hcsr_read(HCSR_STVAL), htval = hcsr_read(HCSR_HTVAL);
    uint64_t htinst = hcsr_read(HCSR_HTINST), gpa, data = 0;
    struct vcpu *vcpu = &v->hart->vcpu;
    struct hext_access access;

    if (cause == HCAUSE_FETCH_GUEST_PAGE || hext_access_implicit(htinst)) {
        hext_inject(v, access_fault(cause), gva);
        return;
    }
    if (!transformed(v, htinst, &access) && !access_fetch(v, &access))
        return;
    bool load = access.kind == ACCESS_LOADS || access.kind == ACCESS_FLOADS;
    bool store = access.kind == ACCESS_STORES || access.kind == ACCESS_FSTORES;
    if (!load && !store) {
        /* AMOs and the like: the kind of the instruction decides, some harts report a load. */
        hext_inject(v, access.kind == ACCESS_ATOMIC ? CAUSE_STORE_ACCESS : access_fault(cause),
                    gva);
        return;
    }
    if ((gva & (access.width - 1)) != 0) {
        hext_inject(v, load ? CAUSE_LOAD_MISALIGNED : CAUSE_STORE_MISALIGNED, gva);
        return;
    }
    bool there = fault_address(v, gva, htval, store, &gpa);
    struct bus *bus = &vcpu->vm->bus;
    v->counts[HEXT_EXIT_MMIO]++;
    if (load) {
        atomic_fetch_add_explicit(&vcpu->mmio_reads, 1, memory_order_relaxed);
        there = there && bus_read(bus, gpa, access.width, &data) == 0;
    } else {
        atomic_fetch_add_explicit(&vcpu->mmio_writes, 1, memory_order_relaxed);
        there = there && bus_write(bus, gpa, access.width, store_data(v, &access)) == 0;
    }
    if (!there) {
        hext_inject(v, load ? CAUSE_LOAD_ACCESS : CAUSE_STORE_ACCESS, gva);
        return;
    }
    if (load)
        load_result(v, &access, data);
    v->world.sepc += access.length;
}

/* ---- Exits ---- */

static enum exit_reason halted(struct exit *exit, const char *why)
{
    exit->message = why;
    return EXIT_HALTED;
}

/* SBI 2.0, 6.1: what the guest sets is in its own ticks, as vstimecmp is. */
static bool sbi_fast(struct hext_vcpu *v)
{
    enum { SBI_TIME = 0x54494d45 };
    struct riscv_vcpu *hart = v->hart;
    if (hart->x[17] == SBI_TIME && hart->x[16] == 0 && v->vm->features->sstc) {
        hcsr_write(HCSR_VSTIMECMP, hart->x[10]);
        hart->x[10] = hart->x[11] = 0;
        return true;
    }
    return v->vm->sbi_light != NULL && v->vm->sbi_light(hart->vcpu.vm, hart);
}

/* EXIT_REASONS: answered here, the guest goes on. */
static enum exit_reason exit_answer(struct hext_vcpu *v, uint64_t cause, struct exit *exit)
{
    uint64_t stval;

    switch (cause) {
    case HCAUSE_VS_ECALL:
        v->counts[HEXT_EXIT_ECALL]++;
        v->world.sepc += 4;
        return sbi_fast(v) ? EXIT_REASONS : EXIT_SBI;
    case HCAUSE_FETCH_GUEST_PAGE:
    case HCAUSE_LOAD_GUEST_PAGE:
    case HCAUSE_STORE_GUEST_PAGE: guest_page_fault(v, cause); return EXIT_REASONS;
    case HCAUSE_VIRTUAL_INSN:
        stval = hcsr_read(HCSR_STVAL);
        if (stval == INSN_WFI && (v->world.sstatus & HSTAT_SPP) != 0) {
            v->counts[HEXT_EXIT_WFI]++;
            v->world.sepc += 4;
            return EXIT_WFI;
        }
        v->counts[HEXT_EXIT_VIRTUAL]++;
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
    default: return halted(exit, "the hart reported a trap cause that is not known");
    }
}

enum exit_reason hext_run(struct vcpu *vcpu, struct exit *exit)
{
    struct hext_vcpu *v = vcpu->engine_data;

    for (;;) {
        hext_host_schedule();
        if (!v->loaded)
            hext_load(v);
        atomic_store_explicit(&v->on_hart, hext_this_hart()->index, memory_order_relaxed);
        atomic_store(&vcpu->in_guest, true);
        if (atomic_load(&vcpu->kick) != 0) {
            atomic_store(&vcpu->in_guest, false);
            return EXIT_KICKED;
        }
        if (atomic_load(&vcpu->requests) != 0)
            requests_serve(vcpu);
        interrupts_update(v);
        uint64_t cause = hext_enter(v->hart->x, &v->world);
        atomic_store_explicit(&vcpu->in_guest, false, memory_order_release);
        if ((cause & HCAUSE_INTERRUPT) != 0) {
            v->counts[HEXT_EXIT_INTERRUPT]++;
            hext_host_interrupt(cause);
            continue;
        }
        enum exit_reason reason = exit_answer(v, cause, exit);
        if (reason == EXIT_REASONS)
            continue;
        if (reason == EXIT_WFI) {
            hext_unload(v);
            hext_arm_timer(v);
        }
        return reason;
    }
}
