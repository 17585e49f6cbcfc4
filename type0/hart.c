#include "type0/hart.h"

#include "riscv/csr.h"

struct features features;
struct hart *harts[HARTS_MAX];
unsigned hart_count;
volatile uint64_t *mtime;

/* misa: bit n is extension 'A' + n (3.1.1). */
static bool misa(char letter)
{
    return (hcsr_read(MCSR_MISA) >> (letter - 'A') & 1) != 0;
}

void hart_probe(const struct fdt *fdt)
{
    const uint64_t wanted = ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_CBZE | ENVCFG_CBCFE | ENVCFG_CBIE;
    /*
     * A tree with Svadu alone says that hardware updating of A and D is on from the start; with
     * Svade beside it, that it is off (riscv/extensions.yaml of Linux).
     */
    uint64_t adue = plan_lists(fdt, "svadu") && !plan_lists(fdt, "svade") ? ENVCFG_ADUE : 0;
    uint64_t ignored;

    features.h = misa('H');
    features.fp = misa('D');
    features.v = misa('V');
    features.time = try_read(TRY_TIME, &ignored);
    if (try_write(TRY_MENVCFG, wanted | adue))
        try_read(TRY_MENVCFG, &features.menvcfg);
    features.sstc =
        (features.menvcfg & ENVCFG_STCE) != 0 && features.time && try_read(TRY_STIMECMP, &ignored);
    if (features.v) {
        uint64_t vlenb = 0;
        hcsr_set(MCSR_MSTATUS, HSTAT_VS);
        try_read(TRY_VLENB, &vlenb);
        features.vlenb = (uint32_t)vlenb;
    }
    if (features.h) {
        hcsr_set(MCSR_MSTATUS, MSTAT_MPV);
        features.mpv_sticks = (hcsr_read(MCSR_MSTATUS) & MSTAT_MPV) != 0;
        hcsr_clear(MCSR_MSTATUS, MSTAT_MPV);
    }
    features.pmp_entries = pmp_probe_count();
    if (features.pmp_entries != 0)
        features.pmp_grain = pmp_grain(pmp_probe_grain());
    features.timebase = fdt_u32(fdt, fdt_path(fdt, "/cpus"), "timebase-frequency", 10000000);

    /*
     * Illegal instructions, misaligned accesses and access faults come here first. Where what a
     * trap says of VS cannot be given back, those that nobody needs to emulate do not.
     */
    features.medeleg = 1 << CAUSE_FETCH_MISALIGNED | 1 << CAUSE_BREAKPOINT | 1 << CAUSE_ECALL_U |
                       1 << CAUSE_FETCH_PAGE_FAULT | 1 << CAUSE_LOAD_PAGE_FAULT |
                       1 << CAUSE_STORE_PAGE_FAULT;
    if (features.h)
        features.medeleg |= 1 << HCAUSE_VS_ECALL | 1 << HCAUSE_FETCH_GUEST_PAGE |
                            1 << HCAUSE_LOAD_GUEST_PAGE | 1 << HCAUSE_VIRTUAL_INSN |
                            1 << HCAUSE_STORE_GUEST_PAGE;
    if (features.h && !features.mpv_sticks && features.time)
        features.medeleg |= 1 << CAUSE_ILLEGAL;
}

void hart_setup(void)
{
    try_write(TRY_MENVCFG, features.menvcfg);
    try_write(TRY_MCOUNTEREN, 7); /* the others count nothing (vmm/sbi_pmu.c) */
    try_write(TRY_MCOUNTINHIBIT, 0);
    try_write(TRY_MSTATEEN0, this_hart()->world_count > 1 ? MSTATEEN0_SWITCHED : UINT64_MAX);
    try_write(TRY_MIDELEG, MIRQ_S);
    try_write(TRY_MEDELEG, features.medeleg);
    hcsr_write(MCSR_MIE, MIRQ_MSI);
}

void hart_pmp_set(const struct pmp_entry entries[PMP_ENTRIES])
{
    uint64_t config[2] = {0, 0};
    for (unsigned i = 0; i < features.pmp_entries; i++)
        config[i / 8] |= (uint64_t)entries[i].cfg << i % 8 * 8;
    pmp_write(entries, config, features.pmp_entries);
    /* Translations of both stages may be cached with what PMP said of them (3.7.2). */
    if (features.h)
        hfence_gvma_all();
}

uint64_t ticks_now(void)
{
    return features.time ? hcsr_read(HCSR_TIME) : *mtime;
}
