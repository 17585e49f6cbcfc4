/* The hart's life: reset, wires, the supervisor timer, saved state, reports. */
#include "riscv/vcpu.h"

#include "core/error.h"
#include "riscv/aia.h"
#include "riscv/csr.h"
#include "riscv/csr_pmu.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"
#include "riscv/vector.h"

/* The timer wire follows time >= stimecmp while menvcfg.STCE is set (Sstc, 2.1). timer_lock is
 * held. */
static void stimer_update(struct riscv_vcpu *hart)
{
    if ((hart->menvcfg & ENVCFG_STCE) == 0)
        return; /* a timer still armed finds that out when it fires */
    if (clock_now(&hart->vcpu.vm->clock) >= hart->stimecmp) {
        riscv_vcpu_irq(hart, IRQ_STI, true);
        return;
    }
    riscv_vcpu_irq(hart, IRQ_STI, false);
    if (hart->stimecmp != UINT64_MAX)
        clock_timer_arm(&hart->stimer, hart->stimecmp);
}

/*
 * mip.VSTIP is hvip's or, while both STCE are set, (time + htimedelta) >= vstimecmp (Sstc, 2.2).
 * timer_lock is held.
 */
static void vstimer_update(struct riscv_vcpu *hart)
{
    bool level = (hart->hvip >> IRQ_VSTI & 1) != 0;

    if ((hart->menvcfg & hart->henvcfg & ENVCFG_STCE) != 0) {
        uint64_t now = clock_now(&hart->vcpu.vm->clock), guest = now + hart->htimedelta;
        if (guest >= hart->vstimecmp)
            level = true;
        else if (hart->vstimecmp - guest < UINT64_MAX - now)
            clock_timer_arm(&hart->vstimer, now + (hart->vstimecmp - guest));
    }
    riscv_vcpu_irq(hart, IRQ_VSTI, level);
}

static void vstimer_fired(void *arg)
{
    struct riscv_vcpu *hart = arg;
    host_lock_acquire(&hart->timer_lock);
    vstimer_update(hart);
    host_lock_release(&hart->timer_lock);
}

void riscv_vcpu_set_vstimer(struct riscv_vcpu *hart, uint64_t *field, uint64_t value)
{
    host_lock_acquire(&hart->timer_lock);
    *field = value;
    vstimer_update(hart);
    host_lock_release(&hart->timer_lock);
    hart->effects |= EFFECT_INTERRUPTS;
}

static void stimer_fired(void *arg)
{
    struct riscv_vcpu *hart = arg;
    host_lock_acquire(&hart->timer_lock);
    if ((hart->menvcfg & ENVCFG_STCE) != 0)
        stimer_update(hart);
    host_lock_release(&hart->timer_lock);
}

void riscv_vcpu_set_stimecmp(struct riscv_vcpu *hart, uint64_t ticks)
{
    host_lock_acquire(&hart->timer_lock);
    hart->stimecmp = ticks;
    stimer_update(hart);
    host_lock_release(&hart->timer_lock);
    hart->effects |= EFFECT_INTERRUPTS;
}

void riscv_vcpu_set_menvcfg(struct riscv_vcpu *hart, uint64_t value)
{
    host_lock_acquire(&hart->timer_lock);
    const bool changed = ((hart->menvcfg ^ value) & ENVCFG_STCE) != 0;
    hart->menvcfg = value;
    if (changed) {
        stimer_update(hart);
        if (riscv_has_h(hart))
            vstimer_update(hart);
    }
    host_lock_release(&hart->timer_lock);
    if (changed)
        hart->effects |= EFFECT_INTERRUPTS;
}

void riscv_vcpu_init(struct riscv_vcpu *hart, struct vm *vm, unsigned id)
{
    memset(hart, 0, sizeof *hart);
    vcpu_init(&hart->vcpu, vm, id);
    riscv_isa_of(NULL, 0, &hart->isa);
    host_lock_init(&hart->timer_lock);
    clock_timer_init(&hart->stimer, &vm->clock, stimer_fired, hart);
    if (RISCV_HPM)
        clock_timer_init(&hart->hpm_timer, &vm->clock, riscv_hpm_fired, hart);
    if (RISCV_H)
        clock_timer_init(&hart->vstimer, &vm->clock, vstimer_fired, hart);
    riscv_vcpu_reset(hart, 0x1000);
}

void riscv_vcpu_fini(struct riscv_vcpu *hart)
{
    clock_timer_fini(&hart->stimer);
    if (RISCV_HPM)
        clock_timer_fini(&hart->hpm_timer);
    if (RISCV_H)
        clock_timer_fini(&hart->vstimer);
}

/* `alone`: of the hart, and what something outside still drives stays. One step, so that no edge is
 * lost. */
static void reset(struct riscv_vcpu *hart, uint64_t pc, bool alone)
{
    const uint64_t wires = alone ? 1ULL << IRQ_SEI : 0;

    /* A callback that has begun must not find an old deadline and raise STIP once it is cleared. */
    host_lock_acquire(&hart->timer_lock);
    clock_timer_cancel(&hart->stimer);
    if (RISCV_H)
        clock_timer_cancel(&hart->vstimer);
    hart->menvcfg = hart->henvcfg = hart->hvip = hart->htimedelta = 0;
    hart->vstimecmp = UINT64_MAX;
    hart->stimecmp = UINT64_MAX;
    atomic_fetch_and(&hart->mip, wires);
    host_lock_release(&hart->timer_lock);
    memset(hart->x, 0, sizeof hart->x);
    memset(hart->f, 0, sizeof hart->f);
    memset(hart->pmpcfg, 0, sizeof hart->pmpcfg);
    memset(hart->pmpaddr, 0, sizeof hart->pmpaddr);
    memset(hart->mstateen, 0, sizeof hart->mstateen);
    memset(hart->sstateen, 0, sizeof hart->sstateen);
    memset(hart->counter, 0, sizeof hart->counter);
    if (RISCV_HPM)
        clock_timer_cancel(&hart->hpm_timer);
    memset(hart->hpm, 0, sizeof hart->hpm);
    hart->hpm_running = 0;
    hart->hpm_modes = false;
    atomic_store_explicit(&hart->hpm_due, false, memory_order_relaxed);
    hart->pc = pc;
    hart->frm = hart->fflags = 0;
    hart->priv = PRIV_M;
    hart->sbi = hart->virt = false;
    hart->mstatus = hart->fs_hidden = 0;
    if (RISCV_V)
        riscv_vector_reset(hart);
    hart->mideleg = riscv_h_interrupts(hart);
    hart->medeleg = hart->mie = 0;
    hart->bank = (struct riscv_bank){0};
    hart->hstatus = hart->hedeleg = hart->hideleg = hart->htval = hart->htinst = hart->hgatp = 0;
    hart->mtval2 = hart->mtinst = 0;
    hart->hcounteren = 0;
    memset(hart->hstateen, 0, sizeof hart->hstateen);
    hart->mip_seip = false;
    hart->mtvec = hart->mscratch = hart->mepc = hart->mcause = hart->mtval = 0;
    hart->stvec = hart->sscratch = hart->sepc = hart->scause = hart->stval = 0;
    hart->satp = hart->senvcfg = hart->mseccfg = 0;
    hart->mcounteren = hart->scounteren = hart->mcountinhibit = 0;
    hart->steal_gpa = 0;
    hart->instret = 0;
    hart->effects = EFFECT_TRANSLATION | EFFECT_MODE | EFFECT_INTERRUPTS;
    riscv_pmp_update(hart);
    if (riscv_aia(hart) != NULL)
        riscv_aia_reset(hart, !alone);
}

void riscv_vcpu_reset(struct riscv_vcpu *hart, uint64_t pc)
{
    reset(hart, pc, false);
}

void riscv_vcpu_start_supervisor(struct riscv_vcpu *hart, uint64_t pc, uint64_t opaque)
{
    uint64_t instret = hart->instret;

    reset(hart, pc & ~1ULL, true); /* IALIGN is 16 */
    hart->instret = instret;
    hart->sbi = true;
    hart->priv = PRIV_S;
    hart->x[10] = hart->vcpu.id;
    hart->x[11] = opaque;
    /* ECALL from S (9) is the hypervisor's; everything else is the guest's own. */
    hart->medeleg = 0xb1ff | (riscv_has_h(hart) ? MEDELEG_H : 0);
    hart->mideleg |= 1ULL << IRQ_SSI | 1ULL << IRQ_STI | 1ULL << IRQ_SEI;
    hart->mcounteren = 7;
    if (riscv_has_hpm(hart)) {
        hart->mideleg |= 1ULL << IRQ_LCOFI;
        hart->mcounteren |= HPM_MASK;
    }
    riscv_vcpu_set_menvcfg(hart, ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_ADUE | ENVCFG_CBZE |
                                     ENVCFG_CBCFE | ENVCFG_CBIE | ENVCFG_FIOM);
    hart->mseccfg = riscv_has(hart, EXT_ZKR) ? MSECCFG_SSEED : 0;
    hart->mstateen[0] = riscv_stateen_mask(hart);
    hart->pmpcfg[0] = PMP_R | PMP_W | PMP_X | 3 << 3;
    hart->pmpaddr[0] = (1ULL << 54) - 1;
    riscv_pmp_update(hart);
}

void riscv_vcpu_irq(struct riscv_vcpu *hart, unsigned irq, bool level)
{
    uint64_t bit = 1ULL << irq;
    if (level) {
        if ((atomic_fetch_or(&hart->mip, bit) & bit) == 0)
            vcpu_kick(&hart->vcpu);
    } else {
        atomic_fetch_and(&hart->mip, ~bit);
    }
}

void riscv_vcpu_irq_sink(void *sink, uint32_t line, bool level)
{
    riscv_vcpu_irq(sink, line, level);
}

bool riscv_vcpu_wfi_done(const struct riscv_vcpu *hart)
{
    return riscv_aia(hart) != NULL ? riscv_aia_wakes(hart) : (riscv_mip(hart) & hart->mie) != 0;
}

static bool mode_is_sound(uint64_t atp)
{
    const uint64_t mode = atp >> SATP_MODE_SHIFT;
    return mode == SATP_BARE || (mode >= SATP_SV39 && mode <= SATP_SV57);
}

/* What no write of a guest could have brought about, and what the rest relies on. */
static bool state_is_sound(const struct riscv_vcpu *hart, uint32_t run_state)
{
    return ((hart->pc | hart->sepc | hart->mepc) & 1) == 0 &&
           ((hart->stvec | hart->mtvec) & 2) == 0 && hart->priv != 2 && hart->priv <= PRIV_M &&
           run_state <= VCPU_SUSPENDED && hart->frm <= 7 && hart->fflags <= 31 &&
           (hart->mstatus & MSTATUS_MPP) != 2ULL << MSTATUS_MPP_SHIFT &&
           (!hart->virt || (riscv_has_h(hart) && hart->priv != PRIV_M)) &&
           (hart->bank.epc & 1) == 0 && (hart->bank.tvec & 2) == 0 &&
           mode_is_sound(hart->bank.atp) && mode_is_sound(hart->hgatp) &&
           mode_is_sound(hart->satp) && (hart->hpm_running >> HPM_COUNTERS) == 0 &&
           (!riscv_has_v(hart) || riscv_vector_is_sound(hart));
}

void riscv_vcpu_state(struct riscv_vcpu *hart, struct state *s)
{
    uint64_t mip = atomic_load(&hart->mip);
    uint32_t run_state = atomic_load(&hart->vcpu.run_state);

    struct riscv_isa isa = hart->isa;
    uint32_t vlen = isa.vlen;

    state_section(s, "riscv-hart", 5);
    /* Made of the description that is saved too: a program that has the model otherwise must not go
     * on with what this one began. */
    state_u64(s, &isa.has[0]);
    state_u64(s, &isa.has[1]);
    state_u32(s, &vlen);
    if (s->loading && s->error == 0 &&
        (isa.has[0] != hart->isa.has[0] || isa.has[1] != hart->isa.has[1] ||
         vlen != hart->isa.vlen)) {
        state_fail(s, -E_PROTO);
        return;
    }
    state_u32(s, &run_state);
    for (unsigned i = 1; i < 32; i++)
        state_u64(s, &hart->x[i]);
    for (unsigned i = 0; i < 32; i++)
        state_u64(s, &hart->f[i]);
    state_u64(s, &hart->pc);
    state_u32(s, &hart->frm);
    state_u32(s, &hart->fflags);
    state_u8(s, &hart->priv);
    state_bool(s, &hart->sbi);
    state_u64(s, &hart->mstatus);
    state_u64(s, &hart->mideleg);
    state_u64(s, &hart->medeleg);
    state_u64(s, &hart->mie);
    state_u64(s, &mip);
    state_bool(s, &hart->mip_seip);
    state_u64(s, &hart->mtvec);
    state_u64(s, &hart->mscratch);
    state_u64(s, &hart->mepc);
    state_u64(s, &hart->mcause);
    state_u64(s, &hart->mtval);
    state_u64(s, &hart->stvec);
    state_u64(s, &hart->sscratch);
    state_u64(s, &hart->sepc);
    state_u64(s, &hart->scause);
    state_u64(s, &hart->stval);
    state_u64(s, &hart->satp);
    state_u64(s, &hart->menvcfg);
    state_u64(s, &hart->senvcfg);
    state_u64(s, &hart->mseccfg);
    for (unsigned i = 0; i < 4; i++) {
        state_u64(s, &hart->mstateen[i]);
        state_u64(s, &hart->sstateen[i]);
    }
    state_u32(s, &hart->mcounteren);
    state_u32(s, &hart->scounteren);
    state_u32(s, &hart->mcountinhibit);
    state_u64(s, &hart->stimecmp);
    state_bool(s, &hart->virt);
    uint64_t *const hypervisor[] = {
        &hart->fs_hidden,   &hart->bank.status, &hart->bank.tvec,   &hart->bank.scratch,
        &hart->bank.epc,    &hart->bank.cause,  &hart->bank.tval,   &hart->bank.atp,
        &hart->hstatus,     &hart->hedeleg,     &hart->hideleg,     &hart->hvip,
        &hart->htimedelta,  &hart->htval,       &hart->htinst,      &hart->hgatp,
        &hart->henvcfg,     &hart->hstateen[0], &hart->hstateen[1], &hart->hstateen[2],
        &hart->hstateen[3], &hart->mtval2,      &hart->mtinst,      &hart->vstimecmp,
    };
    for (unsigned i = 0; i < sizeof hypervisor / sizeof hypervisor[0]; i++)
        state_u64(s, hypervisor[i]);
    state_u32(s, &hart->hcounteren);
    state_bytes(s, hart->pmpcfg, sizeof hart->pmpcfg);
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        state_u64(s, &hart->pmpaddr[i]);
    for (unsigned i = 0; i < 3; i++)
        state_u64(s, &hart->counter[i]);
    state_u64(s, &hart->instret);
    for (unsigned i = 0; i < HPM_COUNTERS; i++) {
        state_u64(s, &hart->hpm[i].event);
        state_u64(s, &hart->hpm[i].value);
        state_u64(s, &hart->hpm[i].seen);
    }
    state_u32(s, &hart->hpm_running);
    if (riscv_has_v(hart))
        riscv_vector_state(hart, s);

    if (s->loading && s->error == 0) {
        if (!state_is_sound(hart, run_state)) {
            state_fail(s, -E_PROTO);
            return;
        }
        atomic_store(&hart->mip, mip);
        atomic_store(&hart->vcpu.run_state, run_state);
        hart->effects = EFFECT_TRANSLATION | EFFECT_MODE | EFFECT_INTERRUPTS;
        riscv_pmp_update(hart);
        riscv_hpm_loaded(hart);
        if (hart->menvcfg & ENVCFG_STCE)
            riscv_vcpu_set_stimecmp(hart, hart->stimecmp);
        if (riscv_has_h(hart))
            riscv_vcpu_set_vstimer(hart, &hart->vstimecmp, hart->vstimecmp);
    }
    if (riscv_aia(hart) != NULL)
        riscv_aia_state(hart, s);
}

/* "name 0123456789abcdef  " at p; returns the place behind it. */
static char *put_register(char *p, const char *name, uint64_t value)
{
    size_t n = 0;
    for (; name[n] != 0; n++)
        *p++ = name[n];
    for (; n < 9; n++)
        *p++ = ' ';
    for (int shift = 60; shift >= 0; shift -= 4)
        *p++ = "0123456789abcdef"[value >> shift & 15];
    *p++ = ' ';
    *p++ = ' ';
    return p;
}

/* Ends the line that is in `text` and hands it out; returns where the next one begins. */
static char *put_line(char *text, char *end, void (*line)(void *arg, const char *text), void *arg)
{
    *end = 0;
    line(arg, text);
    return text;
}

void riscv_vcpu_describe(const struct riscv_vcpu *hart, void (*line)(void *arg, const char *text),
                         void *arg)
{
    const struct {
        const char *name;
        uint64_t value;
    } csrs[] = {
        {"pc", hart->pc},           {"priv", hart->priv},       {"mstatus", riscv_mstatus(hart)},
        {"satp", hart->satp},       {"mip", riscv_mip(hart)},   {"mie", hart->mie},
        {"mideleg", hart->mideleg}, {"medeleg", hart->medeleg}, {"stvec", hart->stvec},
        {"sepc", hart->sepc},       {"scause", hart->scause},   {"stval", hart->stval},
        {"mtvec", hart->mtvec},     {"mepc", hart->mepc},       {"mcause", hart->mcause},
        {"mtval", hart->mtval},     {"instret", hart->instret}, {"stimecmp", hart->stimecmp},
        {"virt", hart->virt},       {"hstatus", hart->hstatus}, {"hgatp", hart->hgatp},
    };
    const unsigned count = sizeof csrs / sizeof csrs[0] - (riscv_has_h(hart) ? 0 : 3);
    char text[128], *p = text;

    for (unsigned i = 0; i < count; i++) {
        p = put_register(p, csrs[i].name, csrs[i].value);
        if (i % 4 == 3 || i + 1 == count)
            p = put_line(text, p, line, arg);
    }
    for (unsigned i = 1; i < 32; i++) {
        p = put_register(p, riscv_reg_names[i], hart->x[i]);
        if (i % 4 == 0 || i == 31)
            p = put_line(text, p, line, arg);
    }
}
