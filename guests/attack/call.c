/*
 * attack: SBI calls with every extension and function about what is others'. Left out is what may
 * be done and would end the guest or print: stopping, suspending and switching off itself.
 */
#include "attack.h"

enum {
    PMU = 0x504d55,
    SUSP = 0x53555350,
    CPPC = 0x43505043,
    NACL = 0x4e41434c,
    STA = 0x535441,
    SSE = 0x535345,
    FWFT = 0x46574654,
    DBTR = 0x44425452,
    MPXY = 0x4d505859,
    VENDOR = 0x09545256, /* of type 0: docs/type0.md */
    VENDOR_SELF = 1,
    VENDOR_RUNG = 9,
    VENDOR_STATISTICS = 7,
    CALLS = 16000,
};

static uint64_t self, calls, through;

/* A number of the kind that breaks comparisons. */
static uint64_t odd_number(void)
{
    uint64_t random = random_next(), bit = 1UL << (random >> 58);
    switch (random & 7) {
    case 0: return 0;
    case 1: return bit;
    case 2: return bit - 1;
    case 3: return -bit;
    case 4: return UINT64_MAX;
    case 5: return random >> 32;
    default: return random >> 8 & 15;
    }
}

/* Whether all harts of the mask are ours (SBI 2.0, 3.1). */
static bool own_harts(uint64_t mask, uint64_t base)
{
    if (base == UINT64_MAX)
        return true;
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((mask >> bit & 1) != 0 && (base + bit < base || base + bit >= guest.harts))
            return false;
    }
    return true;
}

/* Changes the arguments so that success would be wrong; false: not this one. */
static bool aim(uint64_t extension, uint64_t function, uint64_t a[6])
{
    switch (extension) {
    case 1:
    case 8: return false; /* legacy: putchar, shutdown */
    case 0:
    case 2:
    case 3: return false; /* its own */
    case 4:
    case 5:
    case 6:
    case 7: a[0] = random_foreign(); return extension != 5;
    case SBI_BASE:
    case SBI_TIME:
    case FWFT: return false;
    case SBI_IPI: return function == 0 && !own_harts(a[0], a[1]);
    case SBI_RFENCE: return function <= 6 && !own_harts(a[0], a[1]);
    case SBI_HSM:
        if (function == 0 && a[0] < guest.harts)
            a[1] = random_foreign();
        if (function == 2 && a[0] < guest.harts)
            return false;
        if (function == 3 && (uint32_t)(a[0] << 1) == 0)
            a[0] |= 4;
        return function != 1;
    case SBI_SRST: a[0] = (a[0] & 0xefffffff) | 4; return true;
    case SBI_DBCN:
        if (function == 2)
            return false;
        if (random_below(4) == 0) { /* across the end, or round the address space */
            a[1] = guest.ram_end - 1 - random_below(4096);
            a[0] = random_below(2) ? guest.ram_end - a[1] + 1 : UINT64_MAX - random_below(4096);
            a[2] = 0;
        } else {
            a[0] = 8 + random_below(64);
            a[1] = random_foreign();
            a[2] = random_below(4) ? 0 : odd_number();
        }
        return true;
    case SUSP: a[0] |= 1UL << random_below(31); return true;
    case PMU:
        if (function != 7)
            return false;
        a[0] = random_foreign() & ~4095UL;
        a[1] = 0;
        return !is_own(a[0], 1);
    case STA:
        if (function == 0) {
            a[0] = random_foreign() & ~63UL;
            a[1] = 0;
        }
        return function != 0 || !is_own(a[0], 1);
    case VENDOR:
        if (function == VENDOR_SELF || function == VENDOR_RUNG)
            return false;
        if (function == VENDOR_STATISTICS && a[0] == self)
            a[1] = random_foreign();
        return true;
    default: return true;
    }
}

static void call(uint64_t code, uint64_t extension, uint64_t function, uint64_t a[6])
{
    struct attempt attempt = {0};

    if (!aim(extension, function, a))
        return;
    for (int i = 0; i < 6; i++)
        attempt.a[i] = a[i];
    attempt.a[6] = function;
    attempt.a[7] = extension;
    calls++;
    if (!try_code(&attempt, code) || attempt.a[0] != 0)
        return;
    through++;
    show("call, function, a0", extension, function, a[0]);
    show("  a1, a2, value", a[1], a[2], attempt.a[1]);
}

void attack_calls(void)
{
    static const uint32_t known[] = {
        4,   6,    7,    SBI_IPI, SBI_RFENCE, SBI_HSM, SBI_SRST, SBI_DBCN, PMU,   SUSP,
        STA, CPPC, NACL, SSE,     DBTR,       MPXY,    SBI_BASE, SBI_TIME, VENDOR};
    uint64_t code = slot_put(3, ECALL, 0);

    calls = through = 0;
    self = (uint64_t)sbi3(VENDOR, VENDOR_SELF, 0, 0, 0).value;
    /* Every hart, alone; every function of control about every partition. */
    for (uint64_t hart = guest.harts; hart < 128; hart++) {
        call(code, SBI_IPI, 0, (uint64_t[6]){1, hart});
        call(code, SBI_HSM, 0, (uint64_t[6]){hart, guest.ram});
        call(code, SBI_HSM, 2, (uint64_t[6]){hart});
        for (uint64_t function = 0; function < 7; function++)
            call(code, SBI_RFENCE, function, (uint64_t[6]){1, hart, 0, 4096});
        if (hart < 64)
            call(code, SBI_IPI, 0, (uint64_t[6]){1UL << hart, 0});
    }
    for (uint64_t index = 0; index < 32; index++) {
        for (uint64_t function = 0; function < 16; function++)
            call(code, VENDOR, function, (uint64_t[6]){index, guest.ram_end - PAGE});
    }
    call(code, VENDOR, 6, (uint64_t[6]){UINT64_MAX});
    for (unsigned i = 0; i < CALLS; i++) {
        uint64_t extension = random_below(8) ? known[random_below(sizeof known / sizeof *known)]
                                             : random_next() >> random_below(60);
        uint64_t function = random_below(4) ? random_below(20) : odd_number(), a[6];
        for (int j = 0; j < 6; j++)
            a[j] = random_below(3) ? odd_number() : random_foreign();
        call(code, extension, function, a);
    }
    report("attack: calls: ", calls, " tried, ", through);
}
