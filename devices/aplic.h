/*
 * Advanced platform-level interrupt controller (RISC-V AIA 1.0, chapter 4) of a machine whose harts
 * have IMSICs: one domain, of supervisor level, which delivers by messages alone (domaincfg.DM is
 * 1) and has no child domains. Little-endian; 32-bit accesses only.
 *
 * Hart n's interrupt file is the page APLIC's `imsic` + n * 4 KiB; an interrupt is a write of its
 * identity there. Invariant, under the lock: a source that is pending and enabled while
 * domaincfg.IE is set is forwarded at once, so the three never hold together for long.
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

struct aplic {
    struct host_lock lock;
    struct msi msi;
    uint64_t imsic; /* guest-physical, of hart 0's interrupt file */
    unsigned hart_count;
    bool enabled;                /* domaincfg.IE */
    uint8_t mode[APLIC_SOURCES]; /* sourcecfg.SM */
    uint32_t target[APLIC_SOURCES];
    uint32_t level[APLIC_WORDS]; /* input wires */
    uint32_t pending[APLIC_WORDS];
    uint32_t enable[APLIC_WORDS];
    struct aplic_real real;
};

/* `msi` takes the messages, with the APLIC's lock held. */
void aplic_init(struct aplic *aplic, unsigned hart_count, uint64_t imsic, const struct msi *msi);
extern const struct bus_ops aplic_bus_ops;
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
/* Writes the node interrupt-controller@base; a device names line n of it as interrupts = <n 4>. */
void aplic_fdt(struct fdt_writer *w, uint64_t base, uint32_t phandle, uint32_t imsic_phandle);
/*
 * Writes the node of the harts' interrupt files for supervisor level (chapter 3): one page each
 * from `base` on, with `ids` identities.
 */
void imsic_fdt(struct fdt_writer *w, uint64_t base, uint32_t phandle, uint32_t ids,
               const uint32_t *intc_phandles, unsigned hart_count);

#endif
