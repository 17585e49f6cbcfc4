/* The hart's life: reset, wires, the supervisor timer, saved state, reports. */
#include "riscv/vcpu.h"

#include "core/error.h"
#include "riscv/csr.h"
#include "riscv/insn.h"
#include "riscv/mmu.h"

const char *const riscv_extension_names[EXT_COUNT] = {
    [EXT_I] = "i",
    [EXT_M] = "m",
    [EXT_A] = "a",
    [EXT_F] = "f",
    [EXT_D] = "d",
    [EXT_C] = "c",
    [EXT_ZICBOM] = "zicbom",
    [EXT_ZICBOP] = "zicbop",
    [EXT_ZICBOZ] = "zicboz",
    [EXT_ZICNTR] = "zicntr",
    [EXT_ZICOND] = "zicond",
    [EXT_ZICSR] = "zicsr",
    [EXT_ZIFENCEI] = "zifencei",
    [EXT_ZIHINTNTL] = "zihintntl",
    [EXT_ZIHINTPAUSE] = "zihintpause",
    [EXT_ZIHPM] = "zihpm",
    [EXT_ZIMOP] = "zimop",
    [EXT_ZACAS] = "zacas",
    [EXT_ZAWRS] = "zawrs",
    [EXT_ZFA] = "zfa",
    [EXT_ZFH] = "zfh",
    [EXT_ZFHMIN] = "zfhmin",
    [EXT_ZCA] = "zca",
    [EXT_ZCB] = "zcb",
    [EXT_ZCD] = "zcd",
    [EXT_ZCMOP] = "zcmop",
    [EXT_ZBA] = "zba",
    [EXT_ZBB] = "zbb",
    [EXT_ZBC] = "zbc",
    [EXT_ZBS] = "zbs",
    [EXT_SMSTATEEN] = "smstateen",
    [EXT_SSSTATEEN] = "ssstateen",
    [EXT_SSTC] = "sstc",
    [EXT_SVADE] = "svade",
    [EXT_SVADU] = "svadu",
    [EXT_SVINVAL] = "svinval",
    [EXT_SVNAPOT] = "svnapot",
    [EXT_SVPBMT] = "svpbmt",
};

const char *riscv_isa_extension(unsigned index)
{
    return index < EXT_COUNT ? riscv_extension_names[index] : NULL;
}

bool riscv_isa_listed(unsigned index, bool sbi)
{
    /*
     * A tree with Svadu alone says that hardware updating of A and D is on from the start, as our
     * SBI has it; with Svade beside it, that it is off (riscv/extensions.yaml of Linux). M-mode's
     * state enables are not the guest's when there is no M-mode software.
     */
    return !sbi || (index != EXT_SVADE && index != EXT_SMSTATEEN);
}

int riscv_isa_string(char *buf, size_t capacity, bool sbi)
{
    size_t n = 0;
    if (capacity < 5)
        return -E_NOSPC;
    memcpy(buf, "rv64", 4);
    n = 4;
    for (unsigned i = 0; i < EXT_COUNT; i++) {
        const char *name = riscv_extension_names[i];
        if (!riscv_isa_listed(i, sbi))
            continue;
        size_t len = strlen(name);
        if (n + len + 2 > capacity)
            return -E_NOSPC;
        if (len > 1)
            buf[n++] = '_';
        memcpy(buf + n, name, len);
        n += len;
    }
    buf[n] = 0;
    return (int)n;
}

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
    if (changed)
        stimer_update(hart);
    host_lock_release(&hart->timer_lock);
    if (changed)
        hart->effects |= EFFECT_INTERRUPTS;
}

void riscv_vcpu_init(struct riscv_vcpu *hart, struct vm *vm, unsigned id)
{
    memset(hart, 0, sizeof *hart);
    vcpu_init(&hart->vcpu, vm, id);
    host_lock_init(&hart->timer_lock);
    clock_timer_init(&hart->stimer, &vm->clock, stimer_fired, hart);
    riscv_vcpu_reset(hart, 0x1000);
}

void riscv_vcpu_fini(struct riscv_vcpu *hart)
{
    clock_timer_fini(&hart->stimer);
}

/* `wires`: the bits of mip that something outside still drives. One step, so that no edge is lost.
 */
static void reset(struct riscv_vcpu *hart, uint64_t pc, uint64_t wires)
{
    /* A callback that has begun must not find an old deadline and raise STIP once it is cleared. */
    host_lock_acquire(&hart->timer_lock);
    clock_timer_cancel(&hart->stimer);
    hart->menvcfg = 0;
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
    hart->pc = pc;
    hart->frm = hart->fflags = 0;
    hart->priv = PRIV_M;
    hart->sbi = false;
    hart->mstatus = 0;
    hart->mideleg = hart->medeleg = hart->mie = 0;
    hart->mip_seip = false;
    hart->mtvec = hart->mscratch = hart->mepc = hart->mcause = hart->mtval = 0;
    hart->stvec = hart->sscratch = hart->sepc = hart->scause = hart->stval = 0;
    hart->satp = hart->senvcfg = 0;
    hart->mcounteren = hart->scounteren = hart->mcountinhibit = 0;
    hart->steal_gpa = 0;
    hart->instret = 0;
    hart->effects = EFFECT_TRANSLATION | EFFECT_MODE | EFFECT_INTERRUPTS;
    riscv_pmp_update(hart);
}

void riscv_vcpu_reset(struct riscv_vcpu *hart, uint64_t pc)
{
    reset(hart, pc, 0);
}

void riscv_vcpu_start_supervisor(struct riscv_vcpu *hart, uint64_t pc, uint64_t opaque)
{
    uint64_t instret = hart->instret;

    reset(hart, pc & ~1ULL, 1ULL << IRQ_SEI); /* IALIGN is 16 */
    hart->instret = instret;
    hart->sbi = true;
    hart->priv = PRIV_S;
    hart->x[10] = hart->vcpu.id;
    hart->x[11] = opaque;
    /* ECALL from S (9) is the hypervisor's; everything else is the guest's own. */
    hart->medeleg = 0xb1ff;
    hart->mideleg = 1ULL << IRQ_SSI | 1ULL << IRQ_STI | 1ULL << IRQ_SEI;
    hart->mcounteren = 7;
    riscv_vcpu_set_menvcfg(hart, ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_ADUE | ENVCFG_CBZE |
                                     ENVCFG_CBCFE | ENVCFG_CBIE | ENVCFG_FIOM);
    hart->mstateen[0] = MSTATEEN_SE0 | MSTATEEN_ENVCFG;
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
    return (riscv_mip(hart) & hart->mie) != 0;
}

/* What no write of a guest could have brought about, and what the rest relies on. */
static bool state_is_sound(const struct riscv_vcpu *hart, uint32_t run_state)
{
    const uint64_t mode = hart->satp >> SATP_MODE_SHIFT;

    return ((hart->pc | hart->sepc | hart->mepc) & 1) == 0 &&
           ((hart->stvec | hart->mtvec) & 2) == 0 && hart->priv != 2 && hart->priv <= PRIV_M &&
           run_state <= VCPU_SUSPENDED && hart->frm <= 7 && hart->fflags <= 31 &&
           (hart->mstatus & MSTATUS_MPP) != 2ULL << MSTATUS_MPP_SHIFT &&
           (mode == SATP_BARE || (mode >= SATP_SV39 && mode <= SATP_SV57));
}

void riscv_vcpu_state(struct riscv_vcpu *hart, struct state *s)
{
    uint64_t mip = atomic_load(&hart->mip);
    uint32_t run_state = atomic_load(&hart->vcpu.run_state);

    state_section(s, "riscv-hart", 1);
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
    for (unsigned i = 0; i < 4; i++) {
        state_u64(s, &hart->mstateen[i]);
        state_u64(s, &hart->sstateen[i]);
    }
    state_u32(s, &hart->mcounteren);
    state_u32(s, &hart->scounteren);
    state_u32(s, &hart->mcountinhibit);
    state_u64(s, &hart->stimecmp);
    state_bytes(s, hart->pmpcfg, sizeof hart->pmpcfg);
    for (unsigned i = 0; i < PMP_ENTRIES; i++)
        state_u64(s, &hart->pmpaddr[i]);
    for (unsigned i = 0; i < 3; i++)
        state_u64(s, &hart->counter[i]);
    state_u64(s, &hart->instret);

    if (s->loading && s->error == 0) {
        if (!state_is_sound(hart, run_state)) {
            state_fail(s, -E_PROTO);
            return;
        }
        atomic_store(&hart->mip, mip);
        atomic_store(&hart->vcpu.run_state, run_state);
        hart->effects = EFFECT_TRANSLATION | EFFECT_MODE | EFFECT_INTERRUPTS;
        riscv_pmp_update(hart);
        if (hart->menvcfg & ENVCFG_STCE)
            riscv_vcpu_set_stimecmp(hart, hart->stimecmp);
    }
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
    };
    char text[128], *p = text;

    for (unsigned i = 0; i < sizeof csrs / sizeof csrs[0]; i++) {
        p = put_register(p, csrs[i].name, csrs[i].value);
        if (i % 4 == 3 || i + 1 == sizeof csrs / sizeof csrs[0])
            p = put_line(text, p, line, arg);
    }
    for (unsigned i = 1; i < 32; i++) {
        p = put_register(p, riscv_reg_names[i], hart->x[i]);
        if (i % 4 == 0 || i == 31)
            p = put_line(text, p, line, arg);
    }
}
