/* The VCPU's state on its way into the hart and out of it, and the engine's row of operations. */
#include "core/error.h"
#include "engine/hext/csr.h"
#include "engine/hext/internal.h"
#include "riscv/csr.h"

/* The bits of mstatus that vsstatus holds for the guest. */
#define VSSTATUS_MASK                                                                              \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | HSTAT_VS | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
/* Of what menvcfg grants a guest of ours, the part that lies in henvcfg. */
#define HENVCFG_MASK                                                                               \
    (ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_CBZE | ENVCFG_CBCFE | ENVCFG_CBIE | ENVCFG_FIOM |         \
     ENVCFG_ADUE)
#define HEDELEG    0xb1ffUL /* everything that a guest kernel would get from its firmware */
#define HCOUNTEREN 7UL
/* vtype after reset: no configuration has been set (V 1.0, 3.11). */
#define VTYPE_VILL (1ULL << 63)
#define VLENB_MAX  8192 /* VLEN is at most 65536 (V 1.0, 2) */

/* ---- Probing ---- */

void hext_probe(struct hext_features *f)
{
    uint64_t value;

    f->h = false;
    if (!hext_probe_read(PROBE_HGATP, &value))
        return;
    /* WARL: an unsupported mode leaves Bare. */
    for (unsigned levels = 3; levels <= 4 && !f->h; levels++) {
        hext_probe_write(PROBE_HGATP, (uint64_t)(levels + 5) << SATP_MODE_SHIFT | 0x3fffULL << 44);
        hext_probe_read(PROBE_HGATP, &value);
        f->h = value >> SATP_MODE_SHIFT == levels + 5;
        f->levels = levels;
        f->vmid_bits = (unsigned)__builtin_popcountll(value >> 44 & 0x3fff);
    }
    hext_probe_write(PROBE_HGATP, 0);
    if (!f->h)
        return;
    f->henvcfg = 0;
    if (hext_probe_write(PROBE_HENVCFG, HENVCFG_MASK)) {
        hext_probe_read(PROBE_HENVCFG, &f->henvcfg);
        f->henvcfg &= HENVCFG_MASK;
    }
    f->senvcfg = hext_probe_read(PROBE_SENVCFG, &value);
    f->sstc = (f->henvcfg & ENVCFG_STCE) != 0 && hext_probe_read(PROBE_STIMECMP, &value) &&
              hext_probe_read(PROBE_VSTIMECMP, &value);
    f->iselect = hext_probe_read(PROBE_VSISELECT, &value);
    f->aia = hext_probe_read(PROBE_HVIPRIO1, &value);
    f->files = 0;
    if (f->aia) {
        hcsr_write(HCSR_HGEIE, ~0UL);
        f->files = (unsigned)__builtin_popcountl(hcsr_read(HCSR_HGEIE));
        f->files = f->files < HEXT_FILES_MAX ? f->files : HEXT_FILES_MAX;
        hcsr_write(HCSR_HGEIE, 0);
    }
    f->vlenb = 0;
    if (f->v) {
        hcsr_set(HCSR_SSTATUS, HSTAT_VS_CLEAN);
        f->v = hext_probe_read(PROBE_VLENB, &value) && value >= 8 && value <= VLENB_MAX;
        f->vlenb = f->v ? (uint32_t)value : 0;
    }
}

void hext_hart_init(const struct hext_features *f)
{
    hcsr_write(HCSR_HEDELEG, HEDELEG);
    hcsr_write(HCSR_HIDELEG, HVIP_VSSIP | HVIP_VSTIP | HVIP_VSEIP);
    hcsr_write(HCSR_HVIP, 0);
    hcsr_write(HCSR_VSIE, 0);
    hcsr_write(HCSR_HCOUNTEREN, HCOUNTEREN);
    hcsr_write(HCSR_VSATP, 0);
    hcsr_write(HCSR_HGATP, 0);
    if (f->fp)
        hcsr_set(HCSR_SSTATUS, HSTAT_FS_CLEAN);
    if (f->v)
        hcsr_set(HCSR_SSTATUS, HSTAT_VS_CLEAN);
    hext_probe_write(PROBE_HSTATEEN0, HSTATEEN0_GUESTS);
    if (f->aia) {
        hcsr_write(HCSR_HVIEN, 0);
        hcsr_write(HCSR_HVICTL, 0);
        hcsr_write(HCSR_HGEIE, 0);
        hcsr_set(HCSR_HIE, HIRQ_SGEI);
    }
    hfence_gvma_all();
    hfence_vvma_all();
}

/* ---- Floating point ---- */

void hext_fp_sync(struct hext_vcpu *v)
{
    struct riscv_vcpu *hart = v->hart;
    if (!v->vm->features->fp)
        return;
    /* QEMU (7.2, 10) leaves sstatus.FS Clean when the guest writes fcsr alone. */
    uint64_t fcsr = hcsr_read(HCSR_FCSR);
    hart->fflags = (uint32_t)fcsr & 31;
    hart->frm = (uint32_t)fcsr >> 5 & 7;
    if ((v->world.sstatus & HSTAT_FS) != HSTAT_FS_DIRTY)
        return;
    hext_fp_save(hart->f);
    v->world.sstatus = (v->world.sstatus & ~HSTAT_FS) | HSTAT_FS_CLEAN;
}

static void fp_load(struct hext_vcpu *v, struct hext_hart *here)
{
    struct riscv_vcpu *hart = v->hart;
    if (!v->vm->features->fp || (here->fp_owner == v && v->fp_hart == here->index))
        return;
    hext_fp_load(hart->f, hart->frm << 5 | hart->fflags);
    here->fp_owner = v;
    v->fp_hart = here->index;
    /* Our own sstatus became Dirty by the loading; the world's says what the guest has changed. */
    v->world.sstatus = (v->world.sstatus & ~HSTAT_FS) | HSTAT_FS_CLEAN;
}

/* ---- Vectors ---- */

/*
 * As for floating point: registers that the guest has not changed since they were loaded are not
 * saved, and what is still in the hart is not loaded. sstatus.VS follows what the guest does under
 * vsstatus.VS, except that QEMU (7.2, 10) leaves it Clean when a CSR alone is written: these are
 * saved always.
 */
static void v_save(struct hext_vcpu *v)
{
    if (v->vector == NULL)
        return;
    bool dirty = (v->world.sstatus & HSTAT_VS) == HSTAT_VS_DIRTY;
    if (dirty || (v->hart->mstatus & HSTAT_VS) != 0)
        hext_v_save_csrs(v->vector);
    if (!dirty)
        return;
    hext_v_save(v->vector);
    v->world.sstatus = (v->world.sstatus & ~HSTAT_VS) | HSTAT_VS_CLEAN;
}

static void v_load(struct hext_vcpu *v, struct hext_hart *here)
{
    if (v->vector == NULL || (here->v_owner == v && v->v_hart == here->index))
        return;
    hcsr_set(HCSR_SSTATUS, HSTAT_VS_CLEAN);
    hext_v_load(v->vector);
    here->v_owner = v;
    v->v_hart = here->index;
    v->world.sstatus = (v->world.sstatus & ~HSTAT_VS) | HSTAT_VS_CLEAN;
}

static size_t vector_size(const struct hext_features *f)
{
    return sizeof(struct hext_vector) + 32 * (size_t)f->vlenb;
}

void hext_vcpu_reset(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    v->v_hart = HEXT_NO_HART;
    v->iselect = v->iprio1 = v->iprio2 = 0;
    if (v->imsic != NULL) {
        host_lock_acquire(&v->imsic_lock);
        imsic_reset(v->imsic);
        host_lock_release(&v->imsic_lock);
    }
    if (v->vector == NULL)
        return;
    memset(v->vector, 0, vector_size(v->vm->features));
    v->vector->vtype = VTYPE_VILL;
}

/* ---- The interrupt architecture ---- */

static void register_move(unsigned select, uint64_t *value, bool back)
{
    hcsr_write(HCSR_VSISELECT, select);
    if (back)
        *value = hcsr_read(HCSR_VSIREG);
    else
        hcsr_write(HCSR_VSIREG, *value);
}

void hext_imsic_move(struct imsic_file *imsic, unsigned file, bool back)
{
    uint64_t hstatus = hcsr_read(HCSR_HSTATUS), select = hcsr_read(HCSR_VSISELECT), off = 0;
    /* What others sent before they left the guest (in_guest) has come. */
    fence_devices();
    hcsr_write(HCSR_HSTATUS, (hstatus & ~HSTATUS_VGEIN) | (uint64_t)file << HSTATUS_VGEIN_SHIFT);
    for (unsigned w = 0; w <= imsic->ids / 64; w++) {
        register_move(IMSIC_EIP0 + 2 * w, &imsic->pending[w], back);
        register_move(IMSIC_EIE0 + 2 * w, &imsic->enabled[w], back);
    }
    register_move(IMSIC_EITHRESHOLD, &imsic->threshold, back);
    register_move(IMSIC_EIDELIVERY, &imsic->delivery, back);
    if (back)
        register_move(IMSIC_EIDELIVERY, &off, false);
    hcsr_write(HCSR_VSISELECT, select);
    hcsr_write(HCSR_HSTATUS, hstatus);
}

void hext_imsic_look(struct hext_vcpu *v)
{
    riscv_vcpu_irq(v->hart, IRQ_SEI, imsic_signals(v->imsic));
}

int hext_vcpu_add_imsic(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    host_lock_init(&v->imsic_lock);
    v->imsic = host_alloc(sizeof *v->imsic, 64);
    if (v->imsic == NULL)
        return -E_NOMEM;
    v->imsic->ids = v->vm->features->imsic_ids;
    return 0;
}

static void aia_load(struct hext_vcpu *v)
{
    const uint64_t sei = 1ULL << IRQ_SEI;
    if (v->imsic != NULL && v->file == 0)
        hext_host_file(v);
    /* The file drives VSEIP itself; without one mip does. */
    v->watched = v->file != 0 ? v->watched & ~sei : v->watched | sei;
    if (v->file != 0) {
        v->world.hstatus |= (uint64_t)v->file << HSTATUS_VGEIN_SHIFT;
        hcsr_clear(HCSR_HGEIE, 1UL << v->file);
    }
    hcsr_write(HCSR_HVIPRIO1, v->iprio1);
    hcsr_write(HCSR_HVIPRIO2, v->iprio2);
}

/* mip.SEIP is what the file says: no wire of a board drives it. */
static void file_look(struct hext_vcpu *v)
{
    if ((hcsr_read(HCSR_HGEIP) >> v->file & 1) != 0)
        atomic_fetch_or(&v->hart->mip, 1ULL << IRQ_SEI);
    else
        atomic_fetch_and(&v->hart->mip, ~(1ULL << IRQ_SEI));
}

static void aia_unload(struct hext_vcpu *v)
{
    v->iprio1 = hcsr_read(HCSR_HVIPRIO1);
    v->iprio2 = hcsr_read(HCSR_HVIPRIO2);
    hcsr_write(HCSR_HVICTL, 0);
    if (v->file != 0)
        file_look(v);
}

/* The file is watched from hext_switch_out on; what came before that is pending still. */
void hext_files_interrupt(void)
{
    struct hext_hart *here = hext_this_hart();
    uint64_t pending = hcsr_read(HCSR_HGEIP) & hcsr_read(HCSR_HGEIE);
    hcsr_clear(HCSR_HGEIE, pending);
    for (; pending != 0; pending &= pending - 1) {
        unsigned file = (unsigned)__builtin_ctzll(pending);
        if (here->files != NULL && file <= HEXT_FILES_MAX && here->files[file] != NULL)
            riscv_vcpu_irq(here->files[file]->hart, IRQ_SEI, true);
    }
}

/* ---- Load and unload ---- */

void hext_flush(struct hext_vcpu *v)
{
    struct hext_hart *here = hext_this_hart();
    uint32_t generation = atomic_load(&v->vm->generation);
    if (here->generation < generation || v->vm->vmid == 0) {
        /* Tables of a VM that is gone may be cached under any VMID. */
        hfence_gvma_all();
        here->generation = here->generation < generation ? generation : here->generation;
    }
    hfence_vvma_all();
}

/* Translations that this hart may hold from earlier and that are not ours. */
static void flush_foreign(struct hext_vcpu *v, struct hext_hart *here)
{
    /* What the guest fenced on another hart, or for another VCPU, it did not fence here. */
    if (here->generation >= atomic_load(&v->vm->generation) && v->vm->vmid != 0 &&
        v->last_hart == here->index && (here->last == v || v->hart->vcpu.vm->vcpu_count == 1))
        return;
    hext_flush(v);
    fence_i();
}

/* The order matters: no walk may see one guest's vsatp with another's hgatp (15.5.3). */
void hext_load(struct hext_vcpu *v)
{
    const struct hext_features *f = v->vm->features;
    struct hext_hart *here = hext_this_hart();
    struct riscv_vcpu *hart = v->hart;

    hcsr_write(HCSR_VSATP, 0);
    hcsr_write(HCSR_HGATP, v->vm->hgatp);
    hcsr_write(HCSR_HENVCFG, hart->menvcfg & f->henvcfg);
    const struct clock *clock = &hart->vcpu.vm->clock;
    uint64_t offset = atomic_load(&clock->offset_ns) / CLOCK_NS_PER_TICK;
    hcsr_write(HCSR_HTIMEDELTA, 0 - clock_to_guest(clock, offset));
    hcsr_write(HCSR_VSSTATUS, (hart->mstatus & VSSTATUS_MASK) | HSTAT_UXL_64);
    hcsr_write(HCSR_VSTVEC, hart->stvec);
    hcsr_write(HCSR_VSSCRATCH, hart->sscratch);
    hcsr_write(HCSR_VSEPC, hart->sepc);
    hcsr_write(HCSR_VSCAUSE, hart->scause);
    hcsr_write(HCSR_VSTVAL, hart->stval);
    hcsr_write(HCSR_VSIE, hart->mie);
    hcsr_write(HCSR_SCOUNTEREN, hart->scounteren);
    if (f->senvcfg)
        hcsr_write(HCSR_SENVCFG, hart->senvcfg);
    if (f->sstc)
        hcsr_write(HCSR_VSTIMECMP, clock_to_guest(clock, hart->stimecmp));
    v->told = 0;

    v->world.sstatus = HSTAT_UXL_64 | (v->world.sstatus & (HSTAT_FS | HSTAT_VS));
    v->world.hstatus = HSTATUS_SPV | HSTATUS_VTW | HSTATUS_VSXL_64;
    if (hart->priv == PRIV_S) {
        v->world.sstatus |= HSTAT_SPP;
        v->world.hstatus |= HSTATUS_SPVP;
    }
    v->world.sepc = hart->pc;
    if (f->aia)
        aia_load(v);
    if (f->iselect)
        hcsr_write(HCSR_VSISELECT, v->iselect);
    fp_load(v, here);
    v_load(v, here);

    flush_foreign(v, here);
    hcsr_write(HCSR_VSATP, hart->satp);
    v->last_hart = here->index;
    here->last = v;
    v->loaded = true;
    if (v->answer_due)
        hext_trace_end(v, hart->pc == v->record.pc + 4);
}

void hext_unload(struct hext_vcpu *v)
{
    const struct hext_features *f = v->vm->features;
    struct riscv_vcpu *hart = v->hart;

    if (!v->loaded)
        return;
    hart->pc = v->world.sepc;
    hart->priv = (v->world.sstatus & HSTAT_SPP) != 0 ? PRIV_S : PRIV_U;
    hart->mstatus = (hart->mstatus & ~VSSTATUS_MASK) | (hcsr_read(HCSR_VSSTATUS) & VSSTATUS_MASK);
    hart->stvec = hcsr_read(HCSR_VSTVEC);
    hart->sscratch = hcsr_read(HCSR_VSSCRATCH);
    hart->sepc = hcsr_read(HCSR_VSEPC);
    hart->scause = hcsr_read(HCSR_VSCAUSE);
    hart->stval = hcsr_read(HCSR_VSTVAL);
    hart->mie = hcsr_read(HCSR_VSIE);
    hart->satp = hcsr_read(HCSR_VSATP);
    hart->scounteren = (uint32_t)hcsr_read(HCSR_SCOUNTEREN);
    if (f->senvcfg)
        hart->senvcfg = hcsr_read(HCSR_SENVCFG);
    if (f->sstc) {
        hart->stimecmp = clock_of_guest(&hart->vcpu.vm->clock, hcsr_read(HCSR_VSTIMECMP));
        hcsr_write(HCSR_VSTIMECMP, ~0UL);
    }
    /* The guest may have cleared, or set, its software interrupt itself. */
    if ((hcsr_read(HCSR_HVIP) & HVIP_VSSIP) != 0)
        atomic_fetch_or(&hart->mip, 1ULL << IRQ_SSI);
    /* A pending VS interrupt that is enabled would make the hypervisor's WFI return at once. */
    hcsr_write(HCSR_VSIE, 0);
    hcsr_write(HCSR_HVIP, 0);
    if (f->iselect)
        v->iselect = hcsr_read(HCSR_VSISELECT);
    if (f->aia)
        aia_unload(v);
    hext_fp_sync(v);
    v_save(v);
    v->loaded = false;
}

/* With Sstc the hart watched vstimecmp; from now on the clock watches stimecmp. */
void hext_arm_timer(struct hext_vcpu *v)
{
    if (v->vm->features->sstc)
        riscv_vcpu_set_stimecmp(v->hart, v->hart->stimecmp);
}

void hext_switch_out(struct vcpu *vcpu, bool sleeping)
{
    struct hext_vcpu *v = vcpu->engine_data;
    hext_unload(v);
    if (!sleeping)
        return;
    hext_arm_timer(v);
    if (v->file != 0)
        hcsr_set(HCSR_HGEIE, 1UL << v->file);
}

void hext_inject(struct hext_vcpu *v, unsigned cause, uint64_t tval)
{
    uint64_t status = hcsr_read(HCSR_VSSTATUS);
    status &= ~(HSTAT_SPP | HSTAT_SPIE);
    if ((v->world.sstatus & HSTAT_SPP) != 0)
        status |= HSTAT_SPP;
    if ((status & HSTAT_SIE) != 0)
        status |= HSTAT_SPIE;
    hcsr_write(HCSR_VSSTATUS, status & ~HSTAT_SIE);
    hcsr_write(HCSR_VSEPC, v->world.sepc);
    hcsr_write(HCSR_VSCAUSE, cause);
    hcsr_write(HCSR_VSTVAL, tval);
    v->world.sepc = hcsr_read(HCSR_VSTVEC) & ~3UL;
    v->world.sstatus |= HSTAT_SPP;
    v->world.hstatus |= HSTATUS_SPVP;
    v->hart->traps++;
    v->counts[HEXT_EXIT_FAULT]++;
}

/* ---- The engine's operations ---- */

static int map_slots(struct vm *vm, struct hext_vm *hv)
{
    int error = gstage_init(&hv->gstage, hv->features->levels, 11);
    if (hv->lazy) {
        hv->gstage.leaf_max = 1;
        hext_lazy_init(vm);
    }
    for (unsigned i = 0; error == 0 && i < vm->mem.slot_count; i++) {
        const struct mem_slot *slot = &vm->mem.slots[i];
        error = gstage_map(&hv->gstage, slot->gpa, (uint64_t)(uintptr_t)slot->hva, slot->size,
                           slot->readonly ? GSTAGE_RX : GSTAGE_RWX);
    }
    if (error != 0)
        gstage_fini(&hv->gstage);
    return error;
}

static int hext_vm_init(struct vm *vm)
{
    struct hext_vm *hv = vm->engine_data;
    int error = map_slots(vm, hv);
    if (error != 0)
        return error;
    hv->hgatp = (uint64_t)gstage_mode(&hv->gstage) << SATP_MODE_SHIFT | (uint64_t)hv->vmid << 44 |
                (uint64_t)(uintptr_t)hv->gstage.root >> 12;
    return 0;
}

static void hext_vm_destroy(struct vm *vm)
{
    struct hext_vm *hv = vm->engine_data;
    gstage_fini(&hv->gstage);
}

static int hext_vcpu_init(struct vcpu *vcpu)
{
    struct hext_vcpu *v = host_alloc(sizeof *v, 64);
    if (v == NULL)
        return -E_NOMEM;
    v->hart = riscv_of(vcpu);
    v->answer = hext_answer;
    v->vm = vcpu->vm->engine_data;
    for (unsigned i = 0; i < HEXT_SEEN; i++)
        v->seen[i].insn = HEXT_SEEN_NONE;
    v->watched = 1ULL << IRQ_SSI | 1ULL << IRQ_SEI;
    if (!v->vm->features->sstc)
        v->watched |= 1ULL << IRQ_STI;
    v->fp_hart = v->v_hart = v->last_hart = HEXT_NO_HART;
    v->world.sstatus = v->vm->features->fp ? HSTAT_FS_CLEAN : 0;
    if (v->vm->features->v) {
        v->vector = host_alloc(vector_size(v->vm->features), 64);
        if (v->vector == NULL) {
            host_free(v, sizeof *v);
            return -E_NOMEM;
        }
        v->world.sstatus |= HSTAT_VS_CLEAN;
    }
    vcpu->engine_data = v;
    hext_vcpu_reset(vcpu);
    return 0;
}

static void hext_vcpu_destroy(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    if (v != NULL) {
        host_free(v->imsic, sizeof *v->imsic);
        host_free(v->vector, vector_size(v->vm->features));
        host_free(v, sizeof *v);
    }
    vcpu->engine_data = NULL;
}

/* in_guest is looked at after the kick word was set, and the VCPU does it the other way round. */
static void hext_kick(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    if (v != NULL && atomic_load(&vcpu->in_guest))
        hext_host_ipi(atomic_load(&v->on_hart));
}

static void hext_state_get(struct vcpu *vcpu)
{
    hext_unload(vcpu->engine_data);
}

/* Somebody may have changed the registers: what a hart still holds of them is void. */
static void hext_state_put(struct vcpu *vcpu)
{
    struct hext_vcpu *v = vcpu->engine_data;
    if (!v->loaded)
        v->fp_hart = HEXT_NO_HART;
}

/* Slots are fixed once a VM is built. */
static void hext_slot_changed(struct vm *vm)
{
    (void)vm;
}

static void hext_code_changed(struct vm *vm, uint64_t gpa, uint64_t len)
{
    (void)vm, (void)gpa, (void)len;
}

static void hext_dirty_log(struct vm *vm, bool on)
{
    (void)vm, (void)on;
}

const struct engine_ops hext_engine = {
    .name = "hext",
    .vm_init = hext_vm_init,
    .vm_destroy = hext_vm_destroy,
    .slot_changed = hext_slot_changed,
    .code_changed = hext_code_changed,
    .dirty_log = hext_dirty_log,
    .vcpu_init = hext_vcpu_init,
    .vcpu_destroy = hext_vcpu_destroy,
    .run = hext_run,
    .kick = hext_kick,
    .irq_changed = hext_kick,
    .state_get = hext_state_get,
    .state_put = hext_state_put,
};
