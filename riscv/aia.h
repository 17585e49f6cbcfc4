/*
 * Advanced Interrupt Architecture 1.0 of a hart with an IMSIC (Smaia, Ssaia): its interrupt files,
 * the CSRs that the AIA adds, and what these make of the interrupts of the others.
 *
 * Priorities of major interrupts are not configurable: the arrays iprio, hviprio1 and hviprio2 are
 * read-only zero, so that IPRIO of mtopi and stopi is 1 (5.2.2, 5.4.2). mvien has bits 1, 9 and,
 * with Sscofpmf, 13; hvien has the last alone. IID of hvictl has 6 bits.
 *
 * The lock is for the files, which messages reach from any thread, and for what makes mip.VSEIP and
 * mip.SGEIP of them; all else is the hart's own.
 */
#ifndef RISCV_AIA_H
#define RISCV_AIA_H

#include "riscv/imsic.h"
#include "riscv/vcpu.h"

#define AIA_GUESTS_MAX 7 /* GEILEN of a hart with H */
#define AIA_GUEST_BITS 3 /* of a page's number, for the guest interrupt file; 0 without these */
#define AIA_IDS        255

struct riscv_aia {
    struct host_lock lock;
    struct imsic_file machine;
    struct imsic_file files[1 + AIA_GUESTS_MAX]; /* [0]: S-mode's; [n]: that of guest n */
    unsigned guests;                             /* GEILEN: 0 or AIA_GUESTS_MAX */
    unsigned vgein;                              /* hstatus.VGEIN */
    bool vseip;                                  /* hvip.VSEIP */
    uint64_t hgeip, hgeie;

    uint64_t miselect, siselect, vsiselect;
    uint64_t mvien, mvip; /* bits 1 and 9 of mvip alias mip unless mvien has them */
    uint64_t sie, vsie;   /* bits that are no aliases of mie's */
    uint64_t hvien, hvictl;
    /* A read that a write by the same instruction follows has seen this of what others change. */
    bool seen;
    uint64_t seen_word;
};

static inline struct riscv_aia *riscv_aia(const struct riscv_vcpu *hart)
{
    return RISCV_AIA ? hart->aia : NULL;
}

/* Gives the hart, just initialized, an IMSIC with `guests` guest interrupt files. Its isa must name
 * Smaia and Ssaia when it runs. */
void riscv_aia_init(struct riscv_aia *aia, struct riscv_vcpu *hart, unsigned guests);
/* Every CSR as after a reset; `files`: interrupt files too. */
void riscv_aia_reset(struct riscv_vcpu *hart, bool files);
void riscv_aia_state(struct riscv_vcpu *hart, struct state *state);

/* A message to the file of guest `guest` (0: of S-mode), or of M-mode. Any thread. */
void riscv_aia_receive(struct riscv_vcpu *hart, unsigned guest, uint32_t identity);
void riscv_aia_receive_machine(struct riscv_vcpu *hart, uint32_t identity);

/* For riscv/csr.c and csr_hyp.c. What riscv_csr_allowed says of a CSR of the AIA; whether one
 * refused in V=1 is a virtual instruction; reading and writing, false: not its own. */
bool riscv_aia_allowed(const struct riscv_vcpu *hart, unsigned csr);
bool riscv_aia_is_virtual(const struct riscv_vcpu *hart, unsigned csr, bool write);
bool riscv_aia_read(struct riscv_vcpu *hart, unsigned csr, bool write, uint64_t *value);
bool riscv_aia_write(struct riscv_vcpu *hart, unsigned csr, uint64_t value);
/* hvictl.VTI: VS-mode may not see its own sip, sie and stimecmp. */
bool riscv_aia_hides(const struct riscv_vcpu *hart);
/* hvip.VSEIP and hstatus.VGEIN are written: what mip.VSEIP follows. VGEIN as it is then: a number
 * that no guest file has leaves it alone. */
void riscv_aia_set_vseip(struct riscv_vcpu *hart, bool level);
uint64_t riscv_aia_set_vgein(struct riscv_vcpu *hart, uint64_t vgein);

/* riscv_interrupt_next and riscv_vcpu_wfi_done of such a hart. */
int riscv_aia_next(const struct riscv_vcpu *hart);
bool riscv_aia_wakes(const struct riscv_vcpu *hart);

#endif
