/*
 * Advanced platform-level interrupt controller (RISC-V AIA 1.0, chapter 4) of a machine whose harts
 * have IMSICs: a domain of supervisor level, and above it, where there is M-mode software, the root
 * domain of machine level, which delegates sources to it. Without that the first is the root. Both
 * deliver by messages alone (domaincfg.DM is 1). Little-endian; 32-bit accesses only.
 *
 * Where messages go is fixed, so that mmsiaddrcfgh reads as locked (4.5.3): hart n's interrupt file
 * of machine level is the page `imsic_m` + n * 4 KiB; of supervisor level and of guest g it is
 * `imsic` + (n << guest_bits | g) * 4 KiB. Invariant, under the lock: a source that is pending and
 * enabled while domaincfg.IE is set is forwarded at once, so the three never hold together for
 * long.
 */
#ifndef DEVICES_APLIC_H
#define DEVICES_APLIC_H

#include "core/bus.h"
#include "core/fdt.h"
#include "core/host.h"
#include "core/irq.h"
#include "core/state.h"

#define APLIC_SIZE       0x8000ULL
#define APLIC_SOURCES    96 /* with source 0, which does not exist */
#define APLIC_WORDS      (APLIC_SOURCES / 32)
#define APLIC_LEVEL_HIGH 4 /* the second cell of a line in device trees */

/*
 * Wires of devices that do not drive them through aplic_set alone, because the real wire goes to
 * the hypervisor, or past it. Called with the APLIC's lock held.
 */
struct aplic_real {
    uint32_t from; /* such sources begin here; 0: there are none */
    void *arg;
    /* Whether and where the source is delivered may have changed (aplic_target). */
    void (*changed)(void *arg, uint32_t source);
    /* The guest asks whether the level is still up (4.9.2). What is known; more may come later. */
    bool (*again)(void *arg, uint32_t source);
};

/* Where messages go. */
struct aplic_where {
    unsigned hart_count;
    uint64_t imsic; /* guest-physical, of hart 0's interrupt file of supervisor level */
    unsigned guest_bits;
    bool machine; /* there is a machine level */
    uint64_t imsic_m;
};

struct aplic_domain {
    bool machine;                /* the root domain of machine level */
    bool enabled;                /* domaincfg.IE */
    uint8_t mode[APLIC_SOURCES]; /* sourcecfg.SM */
    uint32_t target[APLIC_SOURCES];
    uint32_t pending[APLIC_WORDS];
    uint32_t enable[APLIC_WORDS];
};

struct aplic {
    struct aplic_domain s, m; /* m: if where.machine */
    struct host_lock lock;
    struct msi msi;
    struct aplic_where where;
    uint32_t level[APLIC_WORDS];     /* input wires */
    uint32_t delegated[APLIC_WORDS]; /* to the supervisor level's domain */
    struct aplic_real real;          /* of the supervisor level's domain */
};

/* `msi` takes the messages, with the APLIC's lock held. */
void aplic_init(struct aplic *aplic, const struct aplic_where *where, const struct msi *msi);
extern const struct bus_ops aplic_bus_ops; /* device: &aplic->s or &aplic->m */
/* A struct irq sink: drives input `line` (1..95; others go nowhere). Any thread. */
void aplic_set(void *aplic, uint32_t line, bool level);
/*
 * Where the source is sent when its wire says so (target: hart index and identity), or 0: nowhere
 * now. Without the lock: after a change, `changed` is called.
 */
uint32_t aplic_target(const struct aplic *aplic, uint32_t source);
/* Registers back to 0; the input wires keep their levels. */
void aplic_reset(struct aplic *aplic);
void aplic_state(struct aplic *aplic, struct state *state);
/* What nodes of a device tree are named by; m and imsic_m without a machine level by nothing. */
struct aplic_phandles {
    uint32_t s, m, imsic, imsic_m;
};
/* Writes the nodes interrupt-controller@base of the domains; a device names line n of that of
 * supervisor level as interrupts = <n 4>. */
void aplic_fdt(const struct aplic *aplic, struct fdt_writer *w, uint64_t base, uint64_t base_m,
               const struct aplic_phandles *phandles);
/* Writes the nodes of the harts' interrupt files (chapter 3), which have `ids` identities. */
void imsic_fdt(const struct aplic *aplic, struct fdt_writer *w, uint32_t ids,
               const struct aplic_phandles *phandles, const uint32_t *intc_phandles);

#endif
