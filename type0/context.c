#include "type0/context.h"

#include "core/host.h"
#include "engine/hext/internal.h"
#include "type0/partition.h"
#include "type0/timer.h"

/* Applies M to each CSR with its number in struct context. */
#define S_CSRS(M)                                                                                  \
    M(0, HCSR_STVEC)                                                                               \
    M(1, HCSR_SSCRATCH)                                                                            \
    M(2, HCSR_SEPC)                                                                                \
    M(3, HCSR_SCAUSE)                                                                              \
    M(4, HCSR_STVAL)                                                                               \
    M(5, HCSR_SATP) M(6, HCSR_SCOUNTEREN) M(7, MCSR_MCYCLE) M(27, MCSR_MINSTRET)
#define H_CSRS(M)                                                                                  \
    M(8, HCSR_HSTATUS)                                                                             \
    M(9, HCSR_HEDELEG)                                                                             \
    M(10, HCSR_HIDELEG)                                                                            \
    M(11, HCSR_HIE)                                                                                \
    M(12, HCSR_HCOUNTEREN)                                                                         \
    M(13, HCSR_HTIMEDELTA)                                                                         \
    M(14, HCSR_HGATP)                                                                              \
    M(15, HCSR_HTVAL)                                                                              \
    M(16, HCSR_HTINST)                                                                             \
    M(17, HCSR_HVIP)                                                                               \
    M(18, HCSR_VSSTATUS)                                                                           \
    M(19, HCSR_VSIE)                                                                               \
    M(20, HCSR_VSTVEC)                                                                             \
    M(21, HCSR_VSSCRATCH)                                                                          \
    M(22, HCSR_VSEPC)                                                                              \
    M(23, HCSR_VSCAUSE)                                                                            \
    M(24, HCSR_VSTVAL) M(25, HCSR_VSATP) M(26, HCSR_HENVCFG) M(28, HCSR_HGEIE)

enum {
    AT_SCOUNTEREN = 6,
    AT_HSTATUS = 8,
    AT_VSSTATUS = 18,
};
#define CSR_SAVE(n, csr) c->csrs[n] = hcsr_read(csr);
#define CSR_LOAD(n, csr) hcsr_write(csr, c->csrs[n]);

static unsigned there; /* bit n: the CSR of enum try n */

struct context *context_new(void)
{
    struct context *context = host_alloc(sizeof *context, 64);
    if (context == NULL || !features.v)
        return context;
    context->vector = host_alloc(sizeof *context->vector + 32UL * features.vlenb, 16);
    return context->vector != NULL ? context : NULL;
}

void context_save(struct world *world)
{
    struct context *c = world->context;

    S_CSRS(CSR_SAVE)
    for (unsigned i = 0; i < TRY_SWITCHED; i++) {
        if ((there >> i & 1) != 0)
            try_read(i, &c->tried[i]);
    }
    c->enabled = hcsr_read(MCSR_MIE) & MIRQ_S;
    c->pending = hcsr_read(MCSR_MIP) & (HIRQ_SSI | (features.sstc ? 0 : HIRQ_STI));
    c->timer = features.sstc ? hcsr_read(HCSR_STIMECMP) : world->hart->guest_timer;
    if (features.h) {
        H_CSRS(CSR_SAVE)
        if (features.sstc)
            c->vstimecmp = hcsr_read(HCSR_VSTIMECMP);
    }
    hcsr_set(MCSR_MSTATUS, (features.fp ? HSTAT_FS : 0) | (features.v ? HSTAT_VS : 0));
    if (features.fp)
        c->fcsr = hext_fp_save(c->f);
    if (features.v) {
        hext_v_save_csrs(c->vector);
        hext_v_save(c->vector);
    }
}

static void load(struct world *world, const struct context *c)
{
    /* Speculation must not see one world's tables under the other's roots (15.6.2): PMP and the
     * flush of all translations come behind this. */
    S_CSRS(CSR_LOAD)
    for (unsigned i = 0; i < TRY_SWITCHED; i++) {
        if ((there >> i & 1) != 0)
            try_write(i, c->tried[i]);
    }
    try_write(TRY_MEDELEG, world->medeleg);
    hcsr_clear(MCSR_MIE, MIRQ_S);
    hcsr_set(MCSR_MIE, c->enabled);
    timer_set_guest(world->hart, c->timer);
    hcsr_clear(MCSR_MIP, HIRQ_SSI);
    hcsr_set(MCSR_MIP, c->pending);
    if (features.h) {
        H_CSRS(CSR_LOAD)
        if (features.sstc)
            hcsr_write(HCSR_VSTIMECMP, c->vstimecmp);
    }
    hcsr_set(MCSR_MSTATUS, (features.fp ? HSTAT_FS : 0) | (features.v ? HSTAT_VS : 0));
    if (features.fp)
        hext_fp_load(c->f, c->fcsr);
    if (features.v)
        hext_v_load(c->vector);
}

void context_load(struct world *world)
{
    load(world, world->context);
}

static const struct context *initial;

bool context_setup(void)
{
    struct context *c = context_new();
    if (c == NULL)
        return false;
    for (unsigned i = 0; i < TRY_SWITCHED; i++)
        there |= (unsigned)try_read(i, &c->tried[i]) << i;
    memset(c->tried, 0, sizeof c->tried);
    c->timer = c->vstimecmp = UINT64_MAX;
    c->csrs[AT_SCOUNTEREN] = 7;
    c->tried[TRY_MENVCFG] = features.menvcfg;
    c->csrs[AT_HSTATUS] = HSTATUS_VSXL_64;
    c->csrs[AT_VSSTATUS] = HSTAT_UXL_64;
    initial = c;
    return true;
}

void context_reset(struct world *world)
{
    load(world, initial);
}

bool context_pending(const struct world *world)
{
    const struct context *c = world->context;
    uint64_t pending = c->pending | (atomic_load(&world->vcpu->mip) & HIRQ_SSI);

    if (ticks_now() >= c->timer)
        pending |= HIRQ_STI;
    if (world->plic != NULL && plic_context_pending(&world->partition->plic, world->plic))
        pending |= HIRQ_SEI;
    return (pending & c->enabled) != 0 ||
           (features.h && features.sstc && ticks_now() >= c->vstimecmp);
}

uint64_t context_wakes(const struct world *world)
{
    const struct context *c = world->context;
    uint64_t at = (c->enabled & HIRQ_STI) != 0 ? c->timer : UINT64_MAX;
    return features.h && features.sstc && c->vstimecmp < at ? c->vstimecmp : at;
}
