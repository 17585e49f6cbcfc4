/*
 * Guest RAM: a memfd, mapped shared.
 *
 * Shared and backed by a descriptor, so that a later snapshot or clone can map the same pages
 * privately (copy on write) and another process can be handed them. Pages cost nothing until the
 * guest touches them.
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
    _Atomic uint8_t *flags;         /* one byte a page, for mem_slot_add */
    int fd;                         /* the memfd (close-on-exec) */
    struct reclaim_backend reclaim; /* for the balloon: gives pages back to the host */
    _Atomic uint64_t released;      /* bytes given back so far */
};

/*
 * Makes `size` bytes of zeroed RAM for the VM `name` (the memfd's name). -E_NOMEM with one line
 * when the host has less available than `size`, or refuses the mapping: nothing is left behind
 * then. `huge` asks for transparent huge pages (faster; costs memory in 2 MiB steps).
 */
int ram_init(struct ram *ram, const char *name, uint64_t size, bool huge, struct problem *problem);
void ram_fini(struct ram *ram);
/* Bytes of it that are in host memory now. */
uint64_t ram_resident(const struct ram *ram);
/* Bytes of memory that the host can still give (MemAvailable and the cgroup's limit); UINT64_MAX if
 * unknown. */
uint64_t ram_available(void);

#endif
