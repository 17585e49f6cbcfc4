/*
 * storm: SBI calls with every extension and function and wild arguments. Left out is what would end
 * storm if it succeeded: switching off, starting a hart that waits to be started, suspending
 * without a way back, memory of its own given away, handlers that would be jumped to.
 */
#include "storm.h"

enum { ECALL = 0x00000073 };
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
};

/* A place that may be written: the scratch, or where there is none. */
static uint64_t place_random(struct hart *hart)
{
    switch (random_below(hart, 4)) {
    case 0:
        return (uintptr_t)hart->scratch + (random_below(hart, 2) ? 0 : random_below(hart, 2048));
    case 1: return storm.ram_end - random_below(hart, 16);
    default: return random_hole(hart);
    }
}

static uint64_t extension_random(struct hart *hart)
{
    static const uint32_t known[] = {SBI_BASE, SBI_TIME, SBI_IPI, SBI_RFENCE, SBI_HSM, SBI_SRST,
                                     SBI_DBCN, PMU,      SUSP,    CPPC,       NACL,    STA,
                                     SSE,      FWFT,     DBTR,    MPXY};
    uint64_t random = random_next(hart);

    switch (random & 15) {
    case 0: return random >> 4 & 15; /* the legacy ones */
    case 1: return random >> 32;
    case 2: return random_number(hart);
    case 3: return 0x08000000 + (random >> 36); /* experimental, vendor, firmware */
    default: return known[(random >> 32) % (sizeof(known) / sizeof(*known))];
    }
}

/* False: not this call. */
static bool tame(struct hart *hart, uint64_t extension, uint64_t function, uint64_t a[6])
{
    static const char dots[] = "................";
    /* Firmware may look at 32 bits only, of the extension too. */
    uint32_t type = (uint32_t)a[0];

    switch ((uint32_t)extension) {
    case 1: /* legacy: console_putchar */ a[0] = '.'; return random_below(hart, 64) == 0;
    case 4: /* legacy: send_ipi and fences, with pointers to masks */
    case 5:
    case 6:
    case 7: a[0] = place_random(hart); return true;
    case 8: return false; /* legacy: shutdown */
    case SBI_SRST: return type > 2 && type < 0xf0000000;
    case SBI_HSM:
        if (function << 32 == 0) /* start: harts that cannot be, and itself */
            a[0] = random_below(hart, 2) ? hart->id : a[0] | 1UL << 40;
        else if ((uint32_t)function == 3) { /* suspend: see race.c for those that work */
            a[1] = (uintptr_t)hart_entry;
            a[2] = (uintptr_t)hart;
        }
        return (uint32_t)function != 1;
    case SUSP: /* system_suspend */
        a[1] = (uintptr_t)hart_entry;
        a[2] = (uintptr_t)hart;
        return true;
    case SBI_DBCN:
        if (function == 0 && random_below(hart, 64) == 0) {
            a[0] = random_below(hart, sizeof(dots));
            a[1] = (uintptr_t)dots;
            a[2] = 0;
        } else if (function == 2) {
            a[0] = '.';
            return random_below(hart, 64) == 0;
        } else {
            /* Nowhere, or so long that it cannot be. */
            a[1] = place_random(hart);
            a[2] = random_below(hart, 4) ? a[2] : 0;
            if (touches_ram(a[1], 1) && a[2] == 0)
                a[0] = random_below(hart, 2) && a[1] < storm.ram_end - 16 ? 0 : a[0] | 1UL << 47;
        }
        return true;
    case PMU:
        /* snapshots, and answers about events */
        if (((uint32_t)function == 7 || (uint32_t)function == 8) && touches_ram(a[0], 1))
            a[0] = (uintptr_t)hart->scratch;
        return true;
    case STA:
    case DBTR:
    case MPXY:
    case NACL:
    case SSE:
        for (int i = 0; i < 6; i++)
            if (i % 2 == 0 && (a[i] >> 32 || touches_ram(a[i], 1)))
                a[i] = place_random(hart);
        if (touches_ram(a[1], 1))
            a[1] = 0;
        if ((uint32_t)extension == SSE)
            return (uint32_t)function != 2 && (uint32_t)function != 7;
        if ((uint32_t)extension == NACL)
            return (uint32_t)function != 3 && (uint32_t)function != 5;
        if ((uint32_t)extension == DBTR)
            return (uint32_t)function != 3 && (uint32_t)function != 4;
        if ((uint32_t)extension == MPXY)
            return (uint32_t)function != 4;
        return true;
    case FWFT: /* landing pads and shadow stacks would need another compiler's storm */
        if (type == 1 || type == 2)
            a[1] = 0;
        return true;
    default: return true;
    }
}

void storm_call(struct hart *hart)
{
    uint64_t extension = extension_random(hart);
    uint64_t function = random_below(hart, 8) ? random_below(hart, 17) : random_number(hart);
    uint64_t arguments[6];

    for (int i = 0; i < 6; i++)
        arguments[i] = random_below(hart, 2)   ? random_below(hart, 9)
                       : random_below(hart, 4) ? random_number(hart)
                                               : place_random(hart);
    if (!tame(hart, extension, function, arguments))
        return;
    registers_fill(hart);
    for (int i = 0; i < 6; i++)
        hart->regs[10 + i] = arguments[i];
    hart->regs[16] = function;
    hart->regs[17] = extension;
    hart->calls++;
    hart->user = random_below(hart, 32) == 0; /* from there it is no call */
    /* In the sandbox: the legacy calls answer a bad pointer with the fault of a load by the caller.
     */
    if (run(hart, ECALL, 0) == 3 && hart->result)
        hart->refused++;
    hart->user = false;
    /* SBI 3.0, 3.1: 0, or an error that it names; the legacy ones answer what they like. */
    if (hart->cause == 3 && extension > 15 && hart->result + 14 > 14)
        wrong("a call", extension, function, hart->result);
}
