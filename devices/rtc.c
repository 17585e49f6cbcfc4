#include "devices/rtc.h"

#include "core/hot.h"
enum {
    RTC_TIME_LOW = 0x00,
    RTC_TIME_HIGH = 0x04,
    RTC_ALARM_LOW = 0x08,
    RTC_ALARM_HIGH = 0x0c,
    RTC_IRQ_ENABLED = 0x10,
    RTC_CLEAR_ALARM = 0x14,
    RTC_ALARM_STATUS = 0x18,
    RTC_CLEAR_INTERRUPT = 0x1c,
};

static uint64_t rtc_now(const struct rtc *rtc)
{
    return clock_wall_ns(rtc->clock) + rtc->offset_ns;
}

static void rtc_update(struct rtc *rtc)
{
    irq_set(&rtc->irq, rtc->irq_pending && rtc->irq_enabled);
}

static void alarm_ring(struct rtc *rtc)
{
    rtc->alarm_armed = false;
    rtc->irq_pending = true;
    rtc_update(rtc);
}

/*
 * The alarm is kept in guest time, which the wall clock may leave behind later: a paused VM then
 * rings that much late, as a sleeping machine does.
 */
static void alarm_arm(struct rtc *rtc)
{
    uint64_t now = rtc_now(rtc);
    if (rtc->alarm_ns <= now) {
        alarm_ring(rtc);
        return;
    }
    uint64_t ticks = (rtc->alarm_ns - now) / CLOCK_NS_PER_TICK + 1;
    rtc->alarm_ticks = clock_now(rtc->clock) + ticks;
    rtc->alarm_armed = true;
    clock_timer_arm(&rtc->timer, rtc->alarm_ticks);
}

static void alarm_fired(void *arg)
{
    struct rtc *rtc = arg;
    host_lock_acquire(&rtc->lock);
    if (rtc->alarm_armed && clock_now(rtc->clock) >= rtc->alarm_ticks)
        alarm_ring(rtc);
    host_lock_release(&rtc->lock);
}

static uint64_t with_low(uint64_t whole, uint32_t low)
{
    return (whole & ~UINT64_C(0xffffffff)) | low;
}

static uint64_t with_high(uint64_t whole, uint32_t high)
{
    return (whole & UINT64_C(0xffffffff)) | (uint64_t)high << 32;
}

HOT static int rtc_read(void *device, uint64_t offset, unsigned width, uint64_t *value)
{
    (void)width;
    struct rtc *rtc = device;
    uint64_t now;
    uint32_t result = 0;

    host_lock_acquire(&rtc->lock);
    switch (offset) {
    case RTC_TIME_LOW:
        now = rtc_now(rtc);
        rtc->time_high = (uint32_t)(now >> 32);
        result = (uint32_t)now;
        break;
    case RTC_TIME_HIGH: result = rtc->time_high; break;
    case RTC_ALARM_LOW: result = (uint32_t)rtc->alarm_ns; break;
    case RTC_ALARM_HIGH: result = (uint32_t)(rtc->alarm_ns >> 32); break;
    case RTC_IRQ_ENABLED: result = rtc->irq_enabled; break;
    case RTC_ALARM_STATUS: result = rtc->alarm_armed; break;
    default: break;
    }
    host_lock_release(&rtc->lock);
    *value = result;
    return 0;
}

HOT static int rtc_write(void *device, uint64_t offset, unsigned width, uint64_t value64)
{
    (void)width;
    struct rtc *rtc = device;
    uint32_t value = (uint32_t)value64;
    uint64_t now;

    host_lock_acquire(&rtc->lock);
    switch (offset) {
    case RTC_TIME_LOW:
        now = rtc_now(rtc);
        rtc->offset_ns += with_low(now, value) - now;
        break;
    case RTC_TIME_HIGH:
        now = rtc_now(rtc);
        rtc->offset_ns += with_high(now, value) - now;
        break;
    case RTC_ALARM_LOW:
        rtc->alarm_ns = with_low(rtc->alarm_ns, value);
        alarm_arm(rtc);
        break;
    case RTC_ALARM_HIGH: rtc->alarm_ns = with_high(rtc->alarm_ns, value); break;
    case RTC_IRQ_ENABLED:
        rtc->irq_enabled = (value & 1) != 0;
        rtc_update(rtc);
        break;
    case RTC_CLEAR_ALARM: rtc->alarm_armed = false; break;
    case RTC_CLEAR_INTERRUPT:
        rtc->irq_pending = false;
        rtc_update(rtc);
        break;
    default: break;
    }
    host_lock_release(&rtc->lock);
    return 0;
}

const struct bus_ops rtc_bus_ops = {.read = rtc_read, .write = rtc_write, .widths = 4};

void rtc_init(struct rtc *rtc, struct clock *clock, struct irq irq)
{
    memset(rtc, 0, sizeof *rtc);
    host_lock_init(&rtc->lock);
    rtc->clock = clock;
    rtc->irq = irq;
    clock_timer_init(&rtc->timer, clock, alarm_fired, rtc);
}

void rtc_reset(struct rtc *rtc)
{
    host_lock_acquire(&rtc->lock);
    rtc->alarm_ns = 0;
    rtc->time_high = 0;
    rtc->alarm_armed = rtc->irq_enabled = rtc->irq_pending = false;
    rtc_update(rtc);
    host_lock_release(&rtc->lock);
}

void rtc_state(struct rtc *rtc, struct state *state)
{
    state_section(state, "rtc", 1);
    host_lock_acquire(&rtc->lock);
    state_u64(state, &rtc->offset_ns);
    state_u64(state, &rtc->alarm_ns);
    state_u32(state, &rtc->time_high);
    state_bool(state, &rtc->alarm_armed);
    state_bool(state, &rtc->irq_enabled);
    state_bool(state, &rtc->irq_pending);
    if (state->loading) {
        rtc_update(rtc);
        /* The wall went on while the VM was a file, so the distance to the alarm is a new one. */
        if (rtc->alarm_armed)
            alarm_arm(rtc);
    }
    host_lock_release(&rtc->lock);
}

void rtc_fdt(const struct rtc *rtc, struct fdt_writer *w, uint64_t base,
             const struct fdt_line *line)
{
    (void)rtc;
    fdt_node_at(w, "rtc", base);
    fdt_put_str(w, "compatible", "google,goldfish-rtc");
    fdt_put_reg64(w, base, RTC_SIZE);
    fdt_put_line(w, line);
    fdt_end(w);
}

void rtc_fini(struct rtc *rtc)
{
    clock_timer_fini(&rtc->timer);
}
