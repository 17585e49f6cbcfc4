/*
 * What the engine needs of the hypervisor it is part of, beyond core/host.h: who this hart is, and
 * interrupts of its own. Implemented once, by type 1.
 */
#ifndef ENGINE_HEXT_HOST_H
#define ENGINE_HEXT_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hext_vcpu;
struct hext_record;

#define HEXT_FILES_MAX 15

/* The engine's part of a physical hart; tp and sscratch point to it wherever the hypervisor runs.
 */
struct hext_hart {
    unsigned index;             /* dense, from 0 */
    struct hext_vcpu *last;     /* whose VS state was loaded here last */
    struct hext_vcpu *fp_owner; /* whose floating-point registers are here (if it agrees) */
    struct hext_vcpu *v_owner;  /* the same for vector registers */
    struct hext_vcpu **files;   /* who has guest interrupt file n, to HEXT_FILES_MAX; or NULL */
    uint64_t files_page;        /* where file 0 would be; 0: there are none */
    uint32_t generation;        /* of G-stage translations flushed here; see hext_vm */
    _Atomic bool resched;       /* hext_host_schedule has something to do */
};

/* After a call that may schedule, it may be another one. */
static inline struct hext_hart *hext_this_hart(void)
{
    struct hext_hart *hart;
    __asm__ volatile("mv %0, tp" : "=r"(hart));
    return hart;
}

/* Makes the guest on that hart exit. */
void hext_host_ipi(unsigned hart);
/* An interrupt for the hypervisor arrived while the guest ran (scause); interrupts are off. */
void hext_host_interrupt(uint64_t scause);
/* The VCPU is about to run here and its interrupt file is in memory: one of the hart's may be had.
 */
void hext_host_file(struct hext_vcpu *v);
/* An exit of a VCPU that is traced; short, and no lock of the guest's devices is held. */
void hext_host_record(struct hext_vcpu *v, const struct hext_record *record);
/* Lets other work run if it is due; the caller may go on on another hart, its VS state unloaded. */
void hext_host_schedule(void);

#endif
