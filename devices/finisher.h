/*
 * SiFive test finisher: a guest ends itself by writing a word (also Linux' syscon-poweroff and
 * -reboot).
 *
 *     0x5555            pass: switch off
 *     0x3333 | n << 16  fail with code n
 *     0x7777            reset
 *
 * At offset 0, by 2- or 4-byte accesses; anything else is ignored. Reads 0.
 */
#ifndef DEVICES_FINISHER_H
#define DEVICES_FINISHER_H

#include "core/bus.h"
#include "core/fdt.h"

#define FINISHER_SIZE 0x1000ULL

enum finisher_event { FINISHER_PASS = 0x5555, FINISHER_FAIL = 0x3333, FINISHER_RESET = 0x7777 };

struct finisher {
    /* `code`: 0..65535, for FAIL. From a VCPU's thread. */
    void (*finish)(void *arg, enum finisher_event event, uint32_t code);
    void *arg;
};

void finisher_init(struct finisher *finisher,
                   void (*finish)(void *arg, enum finisher_event event, uint32_t code), void *arg);
extern const struct bus_ops finisher_bus_ops;
/* Writes the node test@base. The poweroff and reboot nodes, which name its phandle:
 * finisher_power_fdt. */
void finisher_fdt(const struct finisher *finisher, struct fdt_writer *w, uint64_t base,
                  uint32_t phandle);
void finisher_power_fdt(const struct finisher *finisher, struct fdt_writer *w, uint32_t phandle);

#endif
