/*
 * Goldfish real-time clock: nanoseconds since 1970 and an alarm (registers as in Linux'
 * drivers/rtc/rtc-goldfish.c and QEMU's device). 32-bit accesses only.
 *
 * Reading TIME_LOW latches TIME_HIGH. Writing TIME_LOW or TIME_HIGH moves that half of this clock;
 * the VM's time is the host's wall clock plus the offset that results. Writing ALARM_LOW arms the
 * alarm for the time in ALARM_HIGH:ALARM_LOW; one in the past goes off at once.
 */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/fdt.h"
#include "core/host.h"
#include "core/irq.h"
#include "core/state.h"

#define RTC_SIZE 0x1000ULL

struct rtc {
    struct host_lock lock;
    struct clock *clock;
    struct clock_timer timer;
    struct irq irq;
    uint64_t offset_ns; /* modulo 2^64: this clock minus clock_wall_ns() */
    uint64_t alarm_ns;
    uint64_t alarm_ticks; /* the alarm in guest time */
    uint32_t time_high;
    bool alarm_armed;
    bool irq_enabled;
    bool irq_pending;
};

void rtc_init(struct rtc *rtc, struct clock *clock, struct irq irq);
extern const struct bus_ops rtc_bus_ops;
/* Disarms the alarm; the time that the guest has set stays. */
void rtc_reset(struct rtc *rtc);
/* The clock must be stopped. */
void rtc_state(struct rtc *rtc, struct state *state);
/* Writes the node rtc@base. */
void rtc_fdt(const struct rtc *rtc, struct fdt_writer *w, uint64_t base,
             const struct fdt_line *line);
void rtc_fini(struct rtc *rtc);

#endif
