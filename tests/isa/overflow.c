/*
 * Programmable counters and what Sscofpmf adds (Privileged ISA 20240411, 3.1.10 and "Sscofpmf"), on
 * a model that has it (run.sh). Events 1 and 2 are cycles and instructions, as on QEMU's virt.
 */
#include "isa.h"

enum { MHPMCOUNTER4 = 0xb04, MHPMEVENT4 = 0x324, SCOUNTOVF = 0xda0, LCOFI = 13 };
#define OF   (1ULL << 63)
#define MINH (1ULL << 62)
#define SINH (1ULL << 61)
#define UINH (1ULL << 60)

static void spin(uint64_t turns)
{
    for (volatile uint64_t i = 0; i < turns; i++)
        ;
}

static void counting(void)
{
    csr_write(MHPMEVENT3, 2);
    csr_write(MHPMCOUNTER3, 0);
    uint64_t a = csr_read(MINSTRET);
    spin(10000);
    uint64_t counted = csr_read(MHPMCOUNTER3), b = csr_read(MINSTRET);
    CHECK_EQ("instructions", counted > 10000 && counted - (b - a) + 100 < 200, 1);
    csr_write(MCOUNTINHIBIT, 1 << 3);
    a = csr_read(MHPMCOUNTER3);
    spin(1000);
    CHECK_EQ("inhibited", csr_read(MHPMCOUNTER3), a);
    csr_write(MCOUNTINHIBIT, 0);
    csr_write(MHPMEVENT3, 0);
    a = csr_read(MHPMCOUNTER3);
    spin(1000);
    CHECK_EQ("no event", csr_read(MHPMCOUNTER3), a);
    csr_write(MHPMEVENT4, 1);
    csr_write(MHPMCOUNTER4, 0);
    spin(10000);
    CHECK_EQ("cycles", csr_read(MHPMCOUNTER4) > 1000, 1);
    csr_write(MHPMEVENT4, 0);
}

/* Counts only what runs in a mode that is not inhibited; spin runs in M-mode, the probe in U. */
static void modes(void)
{
    csr_write(MHPMEVENT3, 2 | MINH);
    CHECK_EQ("mhpmevent", csr_read(MHPMEVENT3), 2 | MINH);
    csr_write(MHPMCOUNTER3, 0);
    spin(10000);
    CHECK_EQ("MINH", csr_read(MHPMCOUNTER3), 0);
    for (unsigned i = 0; i < 100; i++)
        probe(U, NOP, 0, 0);
    uint64_t below = csr_read(MHPMCOUNTER3);
    CHECK_EQ("MINH: U-mode counts", below >= 100 && below < 20000, 1);
    csr_write(MHPMEVENT3, 2 | MINH | SINH | UINH);
    csr_write(MHPMCOUNTER3, 5);
    probe(U, NOP, 0, 0);
    probe(S, NOP, 0, 0);
    CHECK_EQ("all inhibited", csr_read(MHPMCOUNTER3), 5);
    csr_write(MHPMEVENT3, 0);
}

static void overflow(void)
{
    csr_write(MCOUNTEREN, ~0ULL);
    csr_write(MIP, 0);
    csr_write(MHPMEVENT3, 2);
    csr_write(MHPMCOUNTER3, -1000ULL);
    CHECK_EQ("not yet", csr_read(MHPMEVENT3) >> 63, 0);
    spin(1000000);
    CHECK_EQ("mhpmevent.OF", csr_read(MHPMEVENT3) >> 63, 1);
    CHECK_EQ("scountovf", csr_read(SCOUNTOVF), 1 << 3);
    CHECK_EQ("LCOFIP", csr_read(MIP) >> LCOFI & 1, 1);
    CHECK_EQ("scountovf in S", probe(S, CSRR(SCOUNTOVF), 0, 0), 1 << 3);
    csr_write(MCOUNTEREN, 7);
    CHECK_EQ("scountovf by mcounteren", probe(S, CSRR(SCOUNTOVF), 0, 0), 0);
    probe(U, CSRR(SCOUNTOVF), 0, 0);
    CHECK_ILLEGAL("scountovf in U", CSRR(SCOUNTOVF));
    csr_write(MIP, 0);
    CHECK_EQ("LCOFIP was cleared", csr_read(MIP) >> LCOFI & 1, 0);
    csr_write(MHPMCOUNTER3, -1000ULL); /* OF is set still: it does not tell again */
    spin(1000000);
    CHECK_EQ("no LCOFIP while OF is set", csr_read(MIP) >> LCOFI & 1, 0);
    csr_write(MHPMEVENT3, 0);
}

/* The interrupt comes by itself: without a look at any counter. */
static void interrupt(void)
{
    for (unsigned delegated = 0; delegated < 2; delegated++) {
        csr_write(MIDELEG, delegated << LCOFI);
        csr_write(MIE, 1 << LCOFI);
        csr_write(MIP, 0);
        csr_write(MHPMEVENT3, 2);
        csr_write(MHPMCOUNTER3, -100000ULL);
        trap_clear();
        csr_set(MSTATUS, MSTATUS_SIE);
        if (delegated) {
            run_in(S, FN(spin), 3000000, 0);
        } else {
            csr_set(MSTATUS, MSTATUS_MIE);
            spin(3000000);
            csr_clear(MSTATUS, MSTATUS_MIE);
        }
        csr_write(MIE, 0);
        CHECK_EQ("interrupt", trap.count > 0, 1);
        CHECK_EQ("cause", trap.cause, IRQ | LCOFI);
        CHECK_EQ("mode", trap.level, delegated ? S : M);
        csr_write(MHPMEVENT3, 0);
    }
    csr_write(MIDELEG, 0);
    csr_write(MIP, 0);
}

void test_main(void)
{
    counting();
    modes();
    overflow();
    interrupt();
}
