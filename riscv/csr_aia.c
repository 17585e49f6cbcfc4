/* CSRs of the AIA, and the interrupts of a hart that has it (RISC-V AIA 1.0, chapters 2, 3, 5, 6).
 */
#include "core/error.h"
#include "riscv/aia.h"
#include "riscv/csr.h"
#include "riscv/trap.h"

#define SELECT_MASK     0x1ffULL /* 9 bits, as vsiselect must have (2.3) */
#define SELECT_IPRIO    0x30
#define SELECT_IPRIO_15 0x3f

#define HVICTL_VTI    (1ULL << 30)
#define HVICTL_IID    (0x3fULL << 16)
#define HVICTL_DPR    (1ULL << 9)
#define HVICTL_IPRIOM (1ULL << 8)
#define HVICTL_IPRIO  0xffULL

#define SSI   (1ULL << IRQ_SSI)
#define STI   (1ULL << IRQ_STI)
#define SEI   (1ULL << IRQ_SEI)
#define LCOFI (1ULL << IRQ_LCOFI)

/* Lower than any identity that has a number of its own (5.4.1). */
#define PRIORITY_NONE 256

/* Local interrupts, which may be virtual for VS and S. */
static uint64_t local(const struct riscv_vcpu *hart)
{
    return riscv_has_hpm(hart) ? LCOFI : 0;
}

/* ---- Interrupt files ---- */

/* The file that VS-mode's CSRs mean; NULL: VGEIN is that of none. */
static struct imsic_file *guest_file(struct riscv_aia *aia)
{
    return aia->vgein != 0 ? &aia->files[aia->vgein] : NULL;
}

/* mip follows the files. The lock is held. */
static void drive_virtual(struct riscv_vcpu *hart)
{
    struct riscv_aia *aia = hart->aia;
    riscv_vcpu_irq(hart, IRQ_SGEI, (aia->hgeip & aia->hgeie) != 0);
    riscv_vcpu_irq(hart, IRQ_VSEI, aia->vseip || (aia->hgeip >> aia->vgein & 1) != 0);
}

static void drive(struct riscv_vcpu *hart, const struct imsic_file *file)
{
    struct riscv_aia *aia = hart->aia;
    const bool level = imsic_signals(file);
    if (file == &aia->machine) {
        riscv_vcpu_irq(hart, IRQ_MEI, level);
    } else if (file == &aia->files[0]) {
        riscv_vcpu_irq(hart, IRQ_SEI, level);
    } else {
        const uint64_t bit = 1ULL << (file - aia->files);
        aia->hgeip = level ? aia->hgeip | bit : aia->hgeip & ~bit;
        drive_virtual(hart);
    }
}

static void drive_all(struct riscv_vcpu *hart)
{
    drive(hart, &hart->aia->machine);
    for (unsigned i = 0; i <= hart->aia->guests; i++)
        drive(hart, &hart->aia->files[i]);
}

static void receive(struct riscv_vcpu *hart, struct imsic_file *file, uint32_t identity)
{
    host_lock_acquire(&hart->aia->lock);
    imsic_receive(file, identity);
    drive(hart, file);
    host_lock_release(&hart->aia->lock);
}

void riscv_aia_receive(struct riscv_vcpu *hart, unsigned guest, uint32_t identity)
{
    if (guest <= hart->aia->guests)
        receive(hart, &hart->aia->files[guest], identity);
}

void riscv_aia_receive_machine(struct riscv_vcpu *hart, uint32_t identity)
{
    receive(hart, &hart->aia->machine, identity);
}

void riscv_aia_set_vseip(struct riscv_vcpu *hart, bool level)
{
    host_lock_acquire(&hart->aia->lock);
    hart->aia->vseip = level;
    drive_virtual(hart);
    host_lock_release(&hart->aia->lock);
}

uint64_t riscv_aia_set_vgein(struct riscv_vcpu *hart, uint64_t vgein)
{
    struct riscv_aia *aia = hart->aia;
    if (vgein <= aia->guests && vgein != aia->vgein) {
        host_lock_acquire(&aia->lock);
        aia->vgein = (unsigned)vgein;
        drive_virtual(hart);
        host_lock_release(&aia->lock);
        hart->effects |= EFFECT_INTERRUPTS;
    }
    return aia->vgein;
}

/* *topei and *ireg: read under the lock, and what a write that follows goes by. */
static uint64_t topei_read(struct riscv_vcpu *hart, struct imsic_file *file, bool write)
{
    struct riscv_aia *aia = hart->aia;
    host_lock_acquire(&aia->lock);
    const uint64_t top = imsic_top(file);
    host_lock_release(&aia->lock);
    aia->seen = write;
    aia->seen_word = top;
    return top;
}

/* What the read reported is claimed, not what has come since. */
static void topei_write(struct riscv_vcpu *hart, struct imsic_file *file)
{
    struct riscv_aia *aia = hart->aia;
    host_lock_acquire(&aia->lock);
    imsic_claim(file, (uint32_t)(aia->seen ? aia->seen_word : imsic_top(file)) >> 16);
    drive(hart, file);
    host_lock_release(&aia->lock);
    aia->seen = false;
}

static uint64_t file_read(struct riscv_vcpu *hart, struct imsic_file *file, uint64_t select,
                          bool write)
{
    struct riscv_aia *aia = hart->aia;
    uint64_t writable, value = 0;
    host_lock_acquire(&aia->lock);
    const uint64_t *word = imsic_register(file, select, &writable);
    if (word != NULL)
        value = *word;
    host_lock_release(&aia->lock);
    aia->seen = write;
    aia->seen_word = value;
    return value;
}

static void file_write(struct riscv_vcpu *hart, struct imsic_file *file, uint64_t select,
                       uint64_t value)
{
    struct riscv_aia *aia = hart->aia;
    uint64_t writable;
    host_lock_acquire(&aia->lock);
    uint64_t *word = imsic_register(file, select, &writable);
    if (word != NULL) {
        /* Messages that came after the instruction's read came after the instruction. */
        const uint64_t came = aia->seen ? *word & ~aia->seen_word : 0;
        *word = (value & writable) | came;
        drive(hart, file);
    }
    host_lock_release(&aia->lock);
    aia->seen = false;
    hart->effects |= EFFECT_INTERRUPTS;
}

/* ---- Which interrupts there are ---- */

/* Virtual interrupts of S-mode, pending and enabled: those of mvip and sie that are no aliases. */
static uint64_t virtual_s(const struct riscv_vcpu *hart)
{
    return hart->aia->mvien & ~hart->mideleg;
}

static uint64_t hvip_local(const struct riscv_vcpu *hart)
{
    return hart->hvip & hart->aia->hvien;
}

/* vsip and vsie, at S-mode's numbers (18.2.14, 6.3.2). */
static uint64_t vsip(const struct riscv_vcpu *hart)
{
    return (riscv_mip(hart) & hart->hideleg & VS_INTERRUPTS) >> 1 | hvip_local(hart);
}

static uint64_t vsie(const struct riscv_vcpu *hart)
{
    return (hart->mie & hart->hideleg & VS_INTERRUPTS) >> 1 | (hart->aia->vsie & hart->aia->hvien);
}

static uint64_t machine_pending(const struct riscv_vcpu *hart)
{
    return riscv_mip(hart) & hart->mie & ~hart->mideleg;
}

static uint64_t supervisor_pending(const struct riscv_vcpu *hart)
{
    return (riscv_mip(hart) & hart->mie & hart->mideleg & ~hart->hideleg) |
           (virtual_s(hart) & hart->aia->mvip & hart->aia->sie);
}

/* IPRIO of a priority number, of an interrupt whose default is `above` external ones or not. */
static uint64_t iprio(unsigned priority, bool above)
{
    if (priority == 0)
        return above ? 0 : 255;
    return priority > 255 ? 255 : priority;
}

/* vstopi (6.3.3). */
static uint64_t vstopi(const struct riscv_vcpu *hart)
{
    struct riscv_aia *aia = hart->aia;
    const uint64_t hvictl = aia->hvictl, ready = vsip(hart) & vsie(hart);
    const unsigned iid = (unsigned)((hvictl & HVICTL_IID) >> 16);
    const unsigned given = (unsigned)(hvictl & HVICTL_IPRIO);
    const bool external = (ready & SEI) != 0;
    unsigned priority = PRIORITY_NONE, found;
    bool above = false;

    if (external) {
        const struct imsic_file *file = guest_file(aia);
        uint32_t top = 0;
        if (file != NULL) {
            host_lock_acquire(&aia->lock);
            top = imsic_top(file);
            host_lock_release(&aia->lock);
        }
        if (top != 0)
            priority = top >> 16;
        else if (aia->vgein == 0 && iid == IRQ_SEI && given != 0)
            priority = given;
    }
    found = IRQ_SEI;
    if ((hvictl & HVICTL_VTI) == 0) {
        /* All others have the number 0 and rank below external ones. */
        const int other = riscv_interrupt_first(ready & ~SEI);
        if (!external && other < 0)
            return 0;
        if (!external) {
            found = (unsigned)other;
            priority = 0;
        }
    } else if (iid != IRQ_SEI) {
        above = (hvictl & HVICTL_DPR) == 0;
        const bool first =
            !external || (given == 0 || given == priority ? above : given < priority);
        if (first) {
            found = iid;
            priority = given;
        }
    } else if (!external) {
        return 0;
    }
    return (uint64_t)found << 16 | ((hvictl & HVICTL_IPRIOM) != 0 ? iprio(priority, above) : 1);
}

static uint64_t topi(uint64_t pending)
{
    const int first = riscv_interrupt_first(pending);
    return first < 0 ? 0 : (uint64_t)first << 16 | 1;
}

int riscv_aia_next(const struct riscv_vcpu *hart)
{
    const bool virt = riscv_virt(hart), below_s = hart->priv < PRIV_S;
    const bool sie = hart->priv == PRIV_S && (hart->mstatus & MSTATUS_SIE) != 0; /* VS's if V=1 */

    if (hart->priv < PRIV_M || (hart->mstatus & MSTATUS_MIE) != 0) {
        const uint64_t pending = machine_pending(hart);
        if (pending != 0)
            return riscv_interrupt_first(pending);
    }
    if (virt || below_s || sie) {
        const uint64_t pending = supervisor_pending(hart);
        if (pending != 0)
            return riscv_interrupt_first(pending) | RISCV_TO_S;
    }
    if (virt && (below_s || sie)) {
        const uint64_t top = vstopi(hart);
        if (top != 0)
            return (int)(top >> 16) | RISCV_TO_VS;
    }
    return -1;
}

bool riscv_aia_wakes(const struct riscv_vcpu *hart)
{
    return machine_pending(hart) != 0 || supervisor_pending(hart) != 0 ||
           (riscv_has_h(hart) && vstopi(hart) != 0);
}

/* ---- Who may access what ---- */

bool riscv_aia_hides(const struct riscv_vcpu *hart)
{
    return (hart->aia->hvictl & HVICTL_VTI) != 0;
}

static bool of_file(uint64_t select)
{
    return select >= IMSIC_EIDELIVERY && select <= IMSIC_SELECT_LAST;
}

static bool of_iprio(uint64_t select)
{
    return select >= SELECT_IPRIO && select <= SELECT_IPRIO_15;
}

/* A register that XLEN 64 has: of those arrays even numbers alone (3.8, 5.2.1). */
static bool exists(uint64_t select)
{
    return of_iprio(select) ? (select & 1) == 0
                            : of_file(select) && (select < IMSIC_EIP0 || (select & 1) == 0);
}

/* State enables (2.5): the bits of [mh]stateen0 that a CSR wants. */
static uint64_t wants(unsigned csr, uint64_t select)
{
    switch (csr) {
    case CSR_siselect:
    case CSR_vsiselect: return STATEEN_CSRIND;
    case CSR_sireg:
    case CSR_vsireg:
        return STATEEN_CSRIND | (of_iprio(select)  ? STATEEN_AIA
                                 : of_file(select) ? STATEEN_IMSIC
                                                   : 0);
    case CSR_stopei:
    case CSR_vstopei: return STATEEN_IMSIC;
    default: return STATEEN_AIA;
    }
}

static bool enabled(uint64_t stateen, uint64_t bits)
{
    return (stateen & bits) == bits;
}

/* A register of VS's window that is there. */
static bool vs_register(const struct riscv_aia *aia)
{
    return of_file(aia->vsiselect) && exists(aia->vsiselect) && aia->vgein != 0;
}

bool riscv_aia_allowed(const struct riscv_vcpu *hart, unsigned csr)
{
    const struct riscv_aia *aia = riscv_aia(hart);
    if (aia == NULL)
        return false;
    const bool virt = riscv_virt(hart);
    const uint64_t select = virt || csr == CSR_vsireg ? aia->vsiselect : aia->siselect;
    const uint64_t bits = wants(csr, select);

    if (hart->priv < PRIV_M && !enabled(hart->mstateen[0], bits))
        return false;
    if (virt && !enabled(hart->hstateen[0], bits))
        return false;
    /* Filtered external interrupts are M-mode's, and so is the file (5.3). */
    const bool filtered = hart->priv == PRIV_S && !virt && (aia->mvien & SEI) != 0;
    switch (csr) {
    case CSR_mireg: return exists(aia->miselect);
    case CSR_sireg:
        return virt ? vs_register(aia) : exists(select) && !(filtered && of_file(select));
    case CSR_stopei: return virt ? aia->vgein != 0 : !filtered;
    case CSR_vsireg: return vs_register(aia);
    case CSR_vstopei: return aia->vgein != 0;
    default: return true;
    }
}

bool riscv_aia_is_virtual(const struct riscv_vcpu *hart, unsigned csr, bool write)
{
    const struct riscv_aia *aia = hart->aia;
    const uint64_t select = aia->vsiselect;

    if (csr >> 8 == 3 || csr >> 8 == 0xf || (write && csr >> 10 == 3))
        return false; /* M-mode's, or read-only for HS-mode too */
    if (csr == CSR_vsireg ||
        (csr == CSR_sireg && (hart->priv == PRIV_U || !enabled(hart->hstateen[0], STATEEN_CSRIND))))
        return enabled(hart->mstateen[0], STATEEN_CSRIND);
    if (!enabled(hart->mstateen[0], wants(csr, select)))
        return false;
    if (csr != CSR_sireg)
        return true;
    return of_iprio(select) || of_file(select); /* inaccessible, else reserved (2.3) */
}

/* ---- Access ---- */

static uint64_t mvip_read(const struct riscv_vcpu *hart)
{
    const struct riscv_aia *aia = hart->aia;
    uint64_t value = aia->mvip;
    if ((aia->mvien & SSI) == 0)
        value = (value & ~SSI) | (riscv_mip(hart) & SSI);
    if ((aia->mvien & SEI) == 0 && hart->mip_seip)
        value |= SEI;
    if ((hart->menvcfg & ENVCFG_STCE) == 0)
        value |= riscv_mip(hart) & STI;
    return value;
}

/* Bits 1, 5 and 9 alias those of mip, unless mvien makes them others (5.3). */
static void mvip_write(struct riscv_vcpu *hart, uint64_t value)
{
    struct riscv_aia *aia = hart->aia;
    const uint64_t own = (aia->mvien & (SSI | SEI)) | local(hart);
    aia->mvip = value & own;
    riscv_mip_write(hart, value, (SSI | STI | SEI) & ~own);
    hart->effects |= EFFECT_INTERRUPTS;
}

/* The software-writable SEIP is one bit, in mip or alone in mvip. */
static void mvien_write(struct riscv_vcpu *hart, uint64_t value)
{
    struct riscv_aia *aia = hart->aia;
    const uint64_t next = value & (SSI | SEI | local(hart)), changed = aia->mvien ^ next;
    if ((changed & next & SEI) != 0)
        aia->mvip |= hart->mip_seip ? SEI : 0;
    else if ((changed & SEI) != 0)
        hart->mip_seip = (aia->mvip & SEI) != 0;
    if ((next & SEI) != 0)
        hart->mip_seip = false;
    else
        aia->mvip &= ~SEI;
    if ((next & SSI) == 0)
        aia->mvip &= ~SSI;
    aia->mvien = next;
    hart->effects |= EFFECT_INTERRUPTS;
}

static void hgeie_write(struct riscv_vcpu *hart, uint64_t value)
{
    struct riscv_aia *aia = hart->aia;
    host_lock_acquire(&aia->lock);
    aia->hgeie = value & ((2ULL << aia->guests) - 2);
    drive_virtual(hart);
    host_lock_release(&aia->lock);
    hart->effects |= EFFECT_INTERRUPTS;
}

static uint64_t hgeip_read(struct riscv_aia *aia)
{
    host_lock_acquire(&aia->lock);
    const uint64_t value = aia->hgeip;
    host_lock_release(&aia->lock);
    return value;
}

static uint64_t ireg_read(struct riscv_vcpu *hart, struct imsic_file *file, uint64_t select,
                          bool write)
{
    return of_file(select) ? file_read(hart, file, select, write) : 0;
}

static void ireg_write(struct riscv_vcpu *hart, struct imsic_file *file, uint64_t select,
                       uint64_t value)
{
    if (of_file(select))
        file_write(hart, file, select, value);
}

/* VS-mode's CSRs, by their own names or, in V=1, by S-mode's. */
static bool vs_read(struct riscv_vcpu *hart, unsigned csr, bool write, uint64_t *value)
{
    struct riscv_aia *aia = hart->aia;
    switch (csr) {
    case CSR_vsie: *value = vsie(hart); return true;
    case CSR_vsip: *value = vsip(hart); return true;
    case CSR_vsiselect: *value = aia->vsiselect; return true;
    case CSR_vsireg: *value = ireg_read(hart, guest_file(aia), aia->vsiselect, write); return true;
    case CSR_vstopei: *value = topei_read(hart, guest_file(aia), write); return true;
    case CSR_vstopi: *value = vstopi(hart); return true;
    default: return false;
    }
}

/* The bits of hvip and vsie for local interrupts; the others are csr_hyp.c's. */
static void local_write(struct riscv_vcpu *hart, uint64_t *field, uint64_t value, uint64_t mask)
{
    *field = (*field & ~mask) | (value & mask);
    hart->effects |= EFFECT_INTERRUPTS;
}

static bool vs_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    struct riscv_aia *aia = hart->aia;
    switch (csr) {
    case CSR_vsie: local_write(hart, &aia->vsie, value, aia->hvien); return false;
    case CSR_vsip: local_write(hart, &hart->hvip, value, aia->hvien); return false;
    case CSR_vsiselect: aia->vsiselect = value & SELECT_MASK; return true;
    case CSR_vsireg: ireg_write(hart, guest_file(aia), aia->vsiselect, value); return true;
    case CSR_vstopei: topei_write(hart, guest_file(aia)); return true;
    default: return false;
    }
}

/* S-mode's number of a CSR becomes VS-mode's in V=1 (18.2). */
static unsigned present(const struct riscv_vcpu *hart, unsigned csr)
{
    return riscv_virt(hart) && (csr >> 8 & 3) == 1 ? csr + 0x100 : csr;
}

bool riscv_aia_read(struct riscv_vcpu *hart, unsigned csr, bool write, uint64_t *value)
{
    struct riscv_aia *aia = hart->aia;
    csr = present(hart, csr);
    switch (csr) {
    case CSR_miselect: *value = aia->miselect; break;
    case CSR_mireg: *value = ireg_read(hart, &aia->machine, aia->miselect, write); break;
    case CSR_mtopei: *value = topei_read(hart, &aia->machine, write); break;
    case CSR_mtopi: *value = topi(machine_pending(hart)); break;
    case CSR_mvien: *value = aia->mvien; break;
    case CSR_mvip: *value = mvip_read(hart); break;
    case CSR_siselect: *value = aia->siselect; break;
    case CSR_sireg: *value = ireg_read(hart, &aia->files[0], aia->siselect, write); break;
    case CSR_stopei: *value = topei_read(hart, &aia->files[0], write); break;
    case CSR_stopi: *value = topi(supervisor_pending(hart)); break;
    case CSR_sie:
        if (virtual_s(hart) == 0)
            return false;
        *value = (hart->mie & hart->mideleg & (SSI | STI | SEI | local(hart))) |
                 (aia->sie & virtual_s(hart));
        break;
    case CSR_sip:
        if (virtual_s(hart) == 0)
            return false;
        *value = (riscv_mip(hart) & hart->mideleg & (SSI | STI | SEI | local(hart))) |
                 (aia->mvip & virtual_s(hart));
        break;
    case CSR_hgeie: *value = aia->hgeie; break;
    case CSR_hgeip: *value = hgeip_read(aia); break;
    case CSR_hvien: *value = aia->hvien; break;
    case CSR_hvictl: *value = aia->hvictl; break;
    case CSR_hviprio1:
    case CSR_hviprio2: *value = 0; break;
    default: return vs_read(hart, csr, write, value);
    }
    return true;
}

bool riscv_aia_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value)
{
    struct riscv_aia *aia = hart->aia;
    csr = present(hart, csr);
    switch (csr) {
    case CSR_miselect: aia->miselect = value & SELECT_MASK; break;
    case CSR_mireg: ireg_write(hart, &aia->machine, aia->miselect, value); break;
    case CSR_mtopei: topei_write(hart, &aia->machine); break;
    case CSR_mvien: mvien_write(hart, value); break;
    case CSR_mvip: mvip_write(hart, value); break;
    case CSR_siselect: aia->siselect = value & SELECT_MASK; break;
    case CSR_sireg: ireg_write(hart, &aia->files[0], aia->siselect, value); break;
    case CSR_stopei: topei_write(hart, &aia->files[0]); break;
    /* The bits that alias mie and mip are csr.c's. SEIP is read-only in sip. */
    case CSR_sie: local_write(hart, &aia->sie, value, virtual_s(hart)); return false;
    case CSR_sip: local_write(hart, &aia->mvip, value, virtual_s(hart) & ~SEI); return false;
    case CSR_hgeie: hgeie_write(hart, value); break;
    case CSR_hvien: aia->hvien = value & local(hart); break;
    case CSR_hvictl:
        aia->hvictl = value & (HVICTL_VTI | HVICTL_IID | HVICTL_DPR | HVICTL_IPRIOM | HVICTL_IPRIO);
        hart->effects |= EFFECT_INTERRUPTS;
        break;
    case CSR_hviprio1:
    case CSR_hviprio2: break;
    default: return vs_write(hart, csr, value);
    }
    return true;
}

/* ---- Life ---- */

void riscv_aia_init(struct riscv_aia *aia, struct riscv_vcpu *hart, unsigned guests)
{
    memset(aia, 0, sizeof *aia);
    host_lock_init(&aia->lock);
    aia->guests = guests < AIA_GUESTS_MAX ? guests : AIA_GUESTS_MAX;
    aia->machine.ids = AIA_IDS;
    for (unsigned i = 0; i <= AIA_GUESTS_MAX; i++)
        aia->files[i].ids = AIA_IDS;
    hart->aia = aia;
}

void riscv_aia_reset(struct riscv_vcpu *hart, bool files)
{
    struct riscv_aia *aia = hart->aia;
    host_lock_acquire(&aia->lock);
    for (unsigned i = 0; files && i <= aia->guests; i++)
        imsic_reset(&aia->files[i]);
    if (files)
        imsic_reset(&aia->machine);
    aia->hgeie = 0;
    aia->vgein = 0;
    aia->vseip = false;
    drive_all(hart);
    host_lock_release(&aia->lock);
    aia->miselect = aia->siselect = aia->vsiselect = 0;
    aia->mvien = aia->mvip = aia->sie = aia->vsie = aia->hvien = aia->hvictl = 0;
    aia->seen = false;
}

static void file_state(struct imsic_file *file, struct state *s)
{
    const unsigned words = file->ids / 64 + 1;
    state_u64(s, &file->delivery);
    state_u64(s, &file->threshold);
    for (unsigned w = 0; w < words; w++) {
        state_u64(s, &file->pending[w]);
        state_u64(s, &file->enabled[w]);
    }
    if (!s->loading)
        return;
    file->delivery &= 1;
    file->threshold &= IMSIC_IDS_MAX;
    file->pending[0] &= ~1ULL;
    file->enabled[0] &= ~1ULL;
}

void riscv_aia_state(struct riscv_vcpu *hart, struct state *s)
{
    struct riscv_aia *aia = hart->aia;
    uint32_t guests = aia->guests;

    state_section(s, "riscv-aia", 1);
    state_u32(s, &guests);
    if (guests != aia->guests) {
        state_fail(s, -E_PROTO);
        return;
    }
    host_lock_acquire(&aia->lock);
    file_state(&aia->machine, s);
    for (unsigned i = 0; i <= guests; i++)
        file_state(&aia->files[i], s);
    state_u64(s, &aia->hgeie);
    host_lock_release(&aia->lock);
    uint64_t *const words[] = {&aia->miselect, &aia->siselect, &aia->vsiselect,
                               &aia->mvien,    &aia->mvip,     &aia->sie,
                               &aia->vsie,     &aia->hvien,    &aia->hvictl};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        state_u64(s, words[i]);
    if (!s->loading || s->error != 0)
        return;
    aia->miselect &= SELECT_MASK;
    aia->siselect &= SELECT_MASK;
    aia->vsiselect &= SELECT_MASK;
    aia->hvictl &= HVICTL_VTI | HVICTL_IID | HVICTL_DPR | HVICTL_IPRIOM | HVICTL_IPRIO;
    aia->mvien &= SSI | SEI | LCOFI;
    aia->mvip &= (aia->mvien & (SSI | SEI)) | LCOFI;
    aia->hvien &= LCOFI;
    aia->hgeie &= (2ULL << guests) - 2;
    host_lock_acquire(&aia->lock);
    aia->vseip = (hart->hvip >> IRQ_VSEI & 1) != 0;
    const uint64_t vgein = (hart->hstatus & HSTATUS_VGEIN) >> HSTATUS_VGEIN_SHIFT;
    aia->vgein = vgein <= guests ? (unsigned)vgein : 0;
    hart->hstatus = (hart->hstatus & ~HSTATUS_VGEIN) | (uint64_t)aia->vgein << HSTATUS_VGEIN_SHIFT;
    drive_all(hart);
    host_lock_release(&aia->lock);
}
