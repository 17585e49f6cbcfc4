/*
 * Performance monitoring unit (SBI 2.0, chapter 11): the three fixed counters of Zicntr, which
 * Linux drives through mcountinhibit in our hands, and the programmable ones of a hart that has
 * Sscofpmf. No firmware counters.
 */
#include "vmm/sbi_impl.h"

#include "riscv/csr.h"
#include "riscv/csr_pmu.h"

enum { COUNTER_CYCLE = 0, COUNTER_TIME = 1, COUNTER_INSTRET = 2, COUNTERS_FIXED = 3 };

/* Flags of counter_config_matching, counter_start and counter_stop (11.5 to 11.7). */
enum {
    CONFIG_SKIP_MATCH = 1 << 0,
    CONFIG_CLEAR_VALUE = 1 << 1,
    CONFIG_AUTO_START = 1 << 2,
    CONFIG_SET_UINH = 1 << 5,
    CONFIG_SET_SINH = 1 << 6,
    CONFIG_SET_MINH = 1 << 7,
    CONFIG_FLAGS = 0xff,
    START_SET_INIT_VALUE = 1 << 0,
    STOP_RESET = 1 << 0,
};

static unsigned counters(const struct riscv_vcpu *hart)
{
    return COUNTERS_FIXED + (riscv_has_hpm(hart) ? HPM_COUNTERS : 0);
}

/* We are its M-mode software. */
static void machine_csr_write(struct riscv_vcpu *hart, enum riscv_csr csr, uint64_t value)
{
    uint8_t priv = hart->priv;
    hart->priv = PRIV_M;
    riscv_csr_write(hart, csr, value);
    hart->priv = priv;
    if (riscv_has_hpm(hart))
        riscv_hpm_update(hart); /* the mode it looked at was not the guest's */
}

static void counter_set(struct riscv_vcpu *hart, unsigned index, uint64_t value)
{
    if (index >= HPM_FIRST && counters(hart) > HPM_FIRST)
        riscv_hpm_write(hart, index - HPM_FIRST, value);
    else if (index != COUNTER_TIME)
        machine_csr_write(hart, index == COUNTER_CYCLE ? CSR_mcycle : CSR_minstret, value);
}

static bool counter_stopped(const struct riscv_vcpu *hart, unsigned index)
{
    return (hart->mcountinhibit >> index & 1) != 0;
}

/* Not for the time counter, which nothing stops. */
static void counter_stop(struct riscv_vcpu *hart, unsigned index, bool stop)
{
    uint32_t bit = UINT32_C(1) << index;
    machine_csr_write(hart, CSR_mcountinhibit,
                      stop ? hart->mcountinhibit | bit : hart->mcountinhibit & ~bit);
}

static struct sbi_result counter_info(const struct riscv_vcpu *hart, uint64_t index)
{
    enum { CSR_CYCLE = 0xc00, WIDTH_SHIFT = 12 };
    if (index >= counters(hart))
        return sbi_error(SBI_ERR_INVALID_PARAM);
    return sbi_value((CSR_CYCLE + index) | UINT64_C(63) << WIDTH_SHIFT);
}

/* Bits of the counters that (base, mask) names, or 0 if one of them does not exist. */
static uint32_t counter_mask(const struct riscv_vcpu *hart)
{
    const uint64_t base = hart->x[10], mask = hart->x[11];
    const uint32_t all = (1U << counters(hart)) - 1;
    if (base >= counters(hart) || (mask & ~(uint64_t)(all >> base)) != 0)
        return 0;
    return (uint32_t)(mask << base);
}

enum {
    EVENT_CPU_CYCLES = 1,
    EVENT_INSTRUCTIONS = 2,
};
#define NONE ~0U

#if __STDC_HOSTED__
/* The first of `mask` that is free takes the hardware general event; the index, or NONE. */
static unsigned programmable(struct riscv_vcpu *hart, uint32_t mask, uint64_t event, uint64_t flags)
{
    if (event != EVENT_CPU_CYCLES && event != EVENT_INSTRUCTIONS)
        return NONE;
    for (unsigned i = 0; i < HPM_COUNTERS; i++) {
        if ((mask >> (i + HPM_FIRST) & 1) == 0 || (hart->hpm[i].event & HPM_SELECTOR) != 0)
            continue;
        counter_stop(hart, i + HPM_FIRST, true);
        riscv_hpm_set_event(hart, i,
                            event | ((flags & CONFIG_SET_UINH) != 0 ? HPM_UINH : 0) |
                                ((flags & CONFIG_SET_SINH) != 0 ? HPM_SINH : 0) |
                                ((flags & CONFIG_SET_MINH) != 0 ? HPM_MINH : 0));
        return i + HPM_FIRST;
    }
    return NONE;
}
#else
#define programmable(hart, mask, event, flags) NONE
#endif

static struct sbi_result config_matching(struct riscv_vcpu *hart)
{
    /* Event indices: hardware general events (11.1). */
    uint32_t mask = counter_mask(hart);
    uint64_t flags = hart->x[12], event = hart->x[13];
    unsigned index;

    if (mask == 0 || (flags & ~(uint64_t)CONFIG_FLAGS) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    /* The fixed counters count in all modes and say nothing of an overflow: they come last. */
    if ((flags & CONFIG_SKIP_MATCH) != 0)
        index = (unsigned)__builtin_ctz(mask);
    else if ((index = programmable(hart, mask, event, flags)) != NONE)
        ;
    else if (event == EVENT_CPU_CYCLES && (mask & 1U << COUNTER_CYCLE) != 0)
        index = COUNTER_CYCLE;
    else if (event == EVENT_INSTRUCTIONS && (mask & 1U << COUNTER_INSTRET) != 0)
        index = COUNTER_INSTRET;
    if (index == NONE)
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if ((flags & CONFIG_CLEAR_VALUE) != 0)
        counter_set(hart, index, 0);
    if ((flags & CONFIG_AUTO_START) != 0 && index != COUNTER_TIME)
        counter_stop(hart, index, false);
    return sbi_value(index);
}

static struct sbi_result start(struct riscv_vcpu *hart)
{
    uint32_t mask = counter_mask(hart);
    uint64_t flags = hart->x[12];
    bool any = false;

    if (mask == 0 || (flags & ~(uint64_t)START_SET_INIT_VALUE) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    for (unsigned i = 0; i < counters(hart); i++) {
        if ((mask >> i & 1) == 0 || !counter_stopped(hart, i))
            continue;
        any = true;
        if ((flags & START_SET_INIT_VALUE) != 0)
            counter_set(hart, i, hart->x[13]);
        if (i >= HPM_FIRST) /* it may overflow, and say so, anew */
            riscv_hpm_set_event(hart, i - HPM_FIRST, hart->hpm[i - HPM_FIRST].event & ~HPM_OF);
        counter_stop(hart, i, false);
    }
    return sbi_error(any ? SBI_SUCCESS : SBI_ERR_ALREADY_STARTED);
}

static struct sbi_result stop(struct riscv_vcpu *hart)
{
    uint32_t mask = counter_mask(hart);
    bool any = false;

    if (mask == 0 || (hart->x[12] & ~(uint64_t)STOP_RESET) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    for (unsigned i = 0; i < counters(hart); i++) {
        if (i == COUNTER_TIME || (mask >> i & 1) == 0)
            continue;
        if (!counter_stopped(hart, i)) {
            any = true;
            counter_stop(hart, i, true);
        }
        if (i >= HPM_FIRST && (hart->x[12] & STOP_RESET) != 0) /* one that stands too */
            riscv_hpm_set_event(hart, i - HPM_FIRST, 0);
    }
    return sbi_error(any ? SBI_SUCCESS : SBI_ERR_ALREADY_STOPPED);
}

struct sbi_result sbi_pmu(struct vm *vm, struct riscv_vcpu *hart)
{
    (void)vm;
    switch (hart->x[16]) {
    case 0: return sbi_value(counters(hart));
    case 1: return counter_info(hart, hart->x[10]);
    case 2: return config_matching(hart);
    case 3: return start(hart);
    case 4: return stop(hart);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}
