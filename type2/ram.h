/*
 * Guest RAM: anonymous memory, in transparent huge pages where the host has them for who asks.
 *
 * A fault then brings 2 MiB, and the processor's own TLB reaches as far as QEMU's; most hosts have
 * no huge pages for a memfd. Memory costs nothing until the guest touches it.
 */
#ifndef TYPE2_RAM_H
#define TYPE2_RAM_H

#include "devices/backend.h"
#include "type2/problem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ram {
    uint64_t size;                  /* bytes, a multiple of 4096 */
    uint8_t *hva;                   /* 2 MiB-aligned */
    void *area;                     /* the mapping that it lies in, a gap at each end */
    _Atomic uint8_t *flags;         /* one byte a page, for mem_slot_add */
    struct reclaim_backend reclaim; /* for the balloon: gives pages back to the host */
    _Atomic uint64_t released;      /* bytes given back so far */
};

/*
 * Makes `size` bytes of zeroed RAM for the VM `name` (trivisor-NAME in /proc/PID/maps). -E_NOMEM
 * with one line when the host has less available than `size`, or refuses the mapping: nothing is
 * left behind then.
 */
int ram_init(struct ram *ram, const char *name, uint64_t size, struct problem *problem);
void ram_fini(struct ram *ram);
/* Bytes of it that are in host memory now. */
uint64_t ram_resident(const struct ram *ram);
/* Bytes of memory that the host can still give (MemAvailable and the cgroup's limit); UINT64_MAX if
 * unknown. */
uint64_t ram_available(void);

#endif
