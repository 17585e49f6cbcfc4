/*
 * Performance monitoring unit (SBI 2.0, chapter 11): the three fixed counters of Zicntr, which
 * Linux drives through mcountinhibit in our hands. No programmable and no firmware counters.
 */
#include "vmm/sbi_impl.h"

#include "riscv/csr.h"

enum { COUNTER_CYCLE = 0, COUNTER_TIME = 1, COUNTER_INSTRET = 2, COUNTERS = 3 };

/* Flags of counter_config_matching, counter_start and counter_stop (11.5 to 11.7). */
enum {
    CONFIG_SKIP_MATCH = 1 << 0,
    CONFIG_CLEAR_VALUE = 1 << 1,
    CONFIG_AUTO_START = 1 << 2,
    CONFIG_FLAGS = 0xff,
    START_SET_INIT_VALUE = 1 << 0,
    STOP_RESET = 1 << 0,
};

/* We are its M-mode software. */
static void machine_csr_write(struct riscv_vcpu *hart, enum riscv_csr csr, uint64_t value)
{
    uint8_t priv = hart->priv;
    hart->priv = PRIV_M;
    riscv_csr_write(hart, csr, value);
    hart->priv = priv;
}

static void counter_set(struct riscv_vcpu *hart, unsigned index, uint64_t value)
{
    if (index != COUNTER_TIME)
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

static struct sbi_result counter_info(uint64_t index)
{
    enum { CSR_CYCLE = 0xc00, WIDTH_SHIFT = 12 };
    if (index >= COUNTERS)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    return sbi_value((CSR_CYCLE + index) | UINT64_C(63) << WIDTH_SHIFT);
}

/* Bits of the counters that (base, mask) names, or 0 if one of them does not exist. */
static uint32_t counter_mask(uint64_t base, uint64_t mask)
{
    const uint32_t all = (1U << COUNTERS) - 1;
    if (base >= COUNTERS || (mask & ~(uint64_t)(all >> base)) != 0)
        return 0;
    return (uint32_t)(mask << base);
}

static struct sbi_result config_matching(struct riscv_vcpu *hart)
{
    /* Event indices: hardware general events (11.1). */
    enum { EVENT_CPU_CYCLES = 1, EVENT_INSTRUCTIONS = 2 };
    uint32_t mask = counter_mask(hart->x[10], hart->x[11]);
    uint64_t flags = hart->x[12], event = hart->x[13];
    unsigned index;

    if (mask == 0 || (flags & ~(uint64_t)CONFIG_FLAGS) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    if ((flags & CONFIG_SKIP_MATCH) != 0)
        index = (unsigned)__builtin_ctz(mask);
    else if (event == EVENT_CPU_CYCLES && (mask & 1U << COUNTER_CYCLE) != 0)
        index = COUNTER_CYCLE;
    else if (event == EVENT_INSTRUCTIONS && (mask & 1U << COUNTER_INSTRET) != 0)
        index = COUNTER_INSTRET;
    else
        return sbi_error(SBI_ERR_NOT_SUPPORTED);
    if ((flags & CONFIG_CLEAR_VALUE) != 0)
        counter_set(hart, index, 0);
    if ((flags & CONFIG_AUTO_START) != 0 && index != COUNTER_TIME)
        counter_stop(hart, index, false);
    return sbi_value(index);
}

static struct sbi_result start(struct riscv_vcpu *hart)
{
    uint32_t mask = counter_mask(hart->x[10], hart->x[11]);
    uint64_t flags = hart->x[12];
    bool any = false;

    if (mask == 0 || (flags & ~(uint64_t)START_SET_INIT_VALUE) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    for (unsigned i = 0; i < COUNTERS; i++) {
        if ((mask >> i & 1) == 0 || !counter_stopped(hart, i))
            continue;
        any = true;
        if ((flags & START_SET_INIT_VALUE) != 0)
            counter_set(hart, i, hart->x[13]);
        counter_stop(hart, i, false);
    }
    return sbi_error(any ? SBI_SUCCESS : SBI_ERR_ALREADY_STARTED);
}

static struct sbi_result stop(struct riscv_vcpu *hart)
{
    uint32_t mask = counter_mask(hart->x[10], hart->x[11]);
    bool any = false;

    if (mask == 0 || (hart->x[12] & ~(uint64_t)STOP_RESET) != 0)
        return sbi_error(SBI_ERR_INVALID_PARAM);
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (i != COUNTER_TIME && (mask >> i & 1) != 0 && !counter_stopped(hart, i)) {
            any = true;
            counter_stop(hart, i, true);
        }
    }
    return sbi_error(any ? SBI_SUCCESS : SBI_ERR_ALREADY_STOPPED);
}

struct sbi_result sbi_pmu(struct vm *vm, struct riscv_vcpu *hart)
{
    (void)vm;
    switch (hart->x[16]) {
    case 0: return sbi_value(COUNTERS);
    case 1: return counter_info(hart->x[10]);
    case 2: return config_matching(hart);
    case 3: return start(hart);
    case 4: return stop(hart);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}
