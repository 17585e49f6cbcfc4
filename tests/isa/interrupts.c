/* Interrupts: sources, enables, delegation, priority, vectors, xRET (Privileged ISA 20240411, 3.1.6
 * to 3.1.9, 3.3.2). */
#include "isa.h"

enum { SSI = 1, MSI = 3, STI = 5, MTI = 7, SEI = 9, MEI = 11 };

static void quiet(void)
{
    csr_clear(MSTATUS, MSTATUS_MIE | MSTATUS_SIE);
    csr_write(MIE, 0);
    csr_write(MIDELEG, 0);
    csr_write(MIP, 0);
    *CLINT_MSIP = 0;
    *CLINT_MTIMECMP = ~0ULL;
    csr_write(STIMECMP, ~0ULL);
}

static void raise(unsigned irq)
{
    switch (irq) {
    case MSI: *CLINT_MSIP = 1; break;
    case MTI: *CLINT_MTIMECMP = 0; break;
    default: csr_set(MIP, 1ULL << irq); break;
    }
}

static const unsigned sources[] = {SSI, MSI, STI, MTI, SEI};
#define SOURCES (sizeof sources / sizeof sources[0])

/* Whether it is taken, and where, in each mode with each enable. */
static void enables(void)
{
    for (unsigned i = 0; i < SOURCES; i++)
        for (unsigned setting = 0; setting < 16; setting++)
            for (unsigned m = 0; m < 3; m++) {
                static const enum mode modes[] = {U, S, M};
                unsigned irq = sources[i];
                bool enabled = setting & 1, mie = setting & 2, sie = setting & 4;
                bool delegated = (setting & 8) && (1 << irq & 0x222);
                enum mode mode = modes[m];
                bool taken;

                quiet();
                raise(irq);
                CHECK_EQ("mip", csr_read(MIP) & 0xaaa, 1ULL << irq);
                csr_write(MIDELEG, delegated ? 1ULL << irq : 0);
                csr_write(MIE, enabled ? 1ULL << irq : 0);
                csr_set(MSTATUS, sie ? MSTATUS_SIE : 0);
                /* M-mode's global enable counts in M-mode alone; it is on when the probe is
                 * entered. */
                if (mode == M) {
                    taken = enabled && mie && !delegated;
                    if (mie && taken) {
                        trap_clear();
                        csr_set(MSTATUS, MSTATUS_MIE);
                        csr_clear(MSTATUS, MSTATUS_MIE);
                    } else {
                        trap_clear();
                        csr_set(MSTATUS, mie ? MSTATUS_MIE : 0);
                        csr_clear(MSTATUS, MSTATUS_MIE);
                    }
                } else {
                    taken = enabled && (!delegated || mode == U || sie);
                    probe(mode, NOP, 0, 0);
                }
                if (!CHECK_EQ("taken", trap.count, taken)) {
                    print_hex(irq << 8 | setting << 4 | mode);
                    print("\n");
                }
                if (!taken)
                    continue;
                CHECK_EQ("cause", trap.cause, IRQ | irq);
                CHECK_EQ("level", trap.level, delegated ? S : M);
                CHECK_EQ("tval", trap.tval, 0);
                if (mode != M)
                    CHECK_EQ("epc: before the first instruction", trap.epc, probe_pc);
                if (delegated) {
                    CHECK_EQ("SPP", trap.status >> 8 & 1, mode);
                    CHECK_EQ("SPIE", trap.status >> 5 & 1, sie);
                    CHECK_EQ("SIE", trap.status & MSTATUS_SIE, 0);
                } else {
                    CHECK_EQ("MPP", trap.status >> 11 & 3, mode);
                    CHECK_EQ("MIE", trap.status & MSTATUS_MIE, 0);
                }
            }
    quiet();
}

/*
 * MEI, MSI, MTI, SEI, SSI, STI (3.1.9). QEMU without AIA takes the lowest number first; run.sh
 * gives it smaia. Interrupts for M-mode go before those for S-mode, whatever their numbers.
 */
static void priority(void)
{
    static const unsigned order[] = {MSI, MTI, SEI, SSI, STI};

    for (unsigned first = 0; first < 5; first++) {
        quiet();
        for (unsigned i = first; i < 5; i++)
            raise(order[i]);
        csr_write(MIE, 0xaaa);
        probe(S, NOP, 0, 0);
        CHECK_EQ("all of them come", trap.count, 5 - first);
        CHECK_EQ("the least urgent comes last", trap.cause, IRQ | STI);
        for (unsigned second = first + 1; second < 5; second++) {
            quiet();
            raise(order[first]);
            raise(order[second]);
            csr_write(MIE, 0xaaa);
            csr_write(MIE, 1ULL << order[first] | 1ULL << order[second]);
            probe(S, NOP, 0, 0);
            CHECK_EQ("two come", trap.count, 2);
            CHECK_EQ("the less urgent comes last", trap.cause, IRQ | order[second]);
        }
    }
    quiet();
    raise(SEI);
    raise(MTI);
    raise(SSI);
    csr_write(MIDELEG, 1ULL << SEI);
    csr_write(MIE, 0xaaa);
    csr_set(MSTATUS, MSTATUS_SIE);
    probe(S, NOP, 0, 0);
    CHECK_EQ("M-mode's go first", trap.count, 3);
    CHECK_EQ("M-mode's go first: S-mode's is last", trap.cause, IRQ | SEI);
    CHECK_EQ("M-mode's go first: S-mode's is last", trap.level, S);
    quiet();
}

/* A write that makes an interrupt possible is followed by it at once (3.1.9). */
static void at_once(void)
{
    quiet();
    raise(MSI);
    csr_write(MIE, 1 << MSI);
    trap_clear();
    probe(S, CSRRW(SSCRATCH), 0, 0);
    CHECK_EQ("on entry of S-mode", trap.count, 1);
    CHECK_EQ("on entry of S-mode", trap.epc, probe_pc);

    quiet();
    csr_write(MIDELEG, 1 << SSI);
    csr_set(MSTATUS, MSTATUS_SIE);
    csr_write(MIE, 1 << SSI);
    probe(S, CSRRS(SIP), 1 << SSI, 0);
    CHECK_EQ("after sip was written", trap.count, 1);
    CHECK_EQ("after sip was written", trap.epc, probe_pc + 4);
    quiet();
    csr_write(MIP, 1 << SSI);
    csr_write(MIDELEG, 1 << SSI);
    csr_write(MIE, 1 << SSI);
    probe(S, CSRRS(SSTATUS), MSTATUS_SIE, 0);
    CHECK_EQ("after sstatus.SIE was set", trap.count, 1);
    CHECK_EQ("after sstatus.SIE was set", trap.epc, probe_pc + 4);
    quiet();
    csr_write(MIP, 1 << SSI);
    csr_write(MIDELEG, 1 << SSI);
    csr_set(MSTATUS, MSTATUS_SIE);
    probe(S, CSRRS(SIE), 1 << SSI, 0);
    CHECK_EQ("after sie was written", trap.count, 1);
    CHECK_EQ("after sie was written", trap.epc, probe_pc + 4);
    quiet();
}

/* Sstc: STIP is time >= stimecmp, and read-only, while menvcfg.STCE is 1; else software's. */
static void supervisor_timer(void)
{
    uint64_t due, pending;

    quiet();
    csr_set(MENVCFG, MENVCFG_STCE);
    csr_write(STIMECMP, 0);
    CHECK_EQ("STIP, time has passed", csr_read(MIP) & 1 << STI, 1 << STI);
    csr_write(MIP, 0);
    CHECK_EQ("STIP is read-only", csr_read(MIP) & 1 << STI, 1 << STI);
    /* QEMU 10.0 reads sip.STIP as 0 here. */
    csr_write(MIDELEG, 1 << STI);
    CHECK_EQ("sip.STIP", csr_read(SIP), 1 << STI);
    csr_write(MIE, 1 << STI);
    csr_set(MSTATUS, MSTATUS_SIE);
    probe(S, NOP, 0, 0);
    CHECK_EQ("taken", trap.count, 1);
    CHECK_EQ("taken", trap.cause, IRQ | STI);
    CHECK_EQ("taken in S", trap.level, S);
    csr_write(STIMECMP, ~0ULL);
    CHECK_EQ("STIP, time to come", csr_read(MIP) & 1 << STI, 0);
    due = csr_read(TIME) + 20000; /* 2 ms */
    csr_write(STIMECMP, due);
    pending = csr_read(MIP) & 1 << STI;
    if (csr_read(TIME) < due)
        CHECK_EQ("STIP, not yet", pending, 0);
    for (uint64_t start = csr_read(TIME);
         csr_read(TIME) - start < 10000000 && !(csr_read(MIP) & 1 << STI);)
        ;
    CHECK_EQ("STIP, in time", csr_read(MIP) & 1 << STI, 1 << STI);
    csr_write(STIMECMP, ~0ULL);
    /* Without STCE, STIP is as if stimecmp were not there; QEMU 10.0 lets stimecmp change it. */
    csr_clear(MENVCFG, MENVCFG_STCE);
    csr_write(MIP, 1 << STI);
    csr_write(STIMECMP, ~0ULL);
    CHECK_EQ("STIP without STCE is software's", csr_read(MIP) & 1 << STI, 1 << STI);
    csr_write(MIP, 0);
    csr_write(STIMECMP, 0);
    CHECK_EQ("STIP without STCE, time has passed", csr_read(MIP) & 1 << STI, 0);
    /* Setting STCE makes the comparison count; QEMU 10.0 does not look again. */
    csr_set(MENVCFG, MENVCFG_STCE);
    CHECK_EQ("STIP when STCE is set", csr_read(MIP) & 1 << STI, 1 << STI);
    csr_clear(MENVCFG, MENVCFG_STCE);
    quiet();
}

static void machine_timer(void)
{
    uint64_t due, pending;

    quiet();
    due = *CLINT_MTIME + 20000;
    *CLINT_MTIMECMP = due;
    pending = csr_read(MIP) & 1 << MTI;
    if (*CLINT_MTIME < due)
        CHECK_EQ("MTIP, not yet", pending, 0);
    csr_write(MIE, 1 << MTI);
    __asm__ volatile("wfi"); /* MIE is off: goes on when the timer is due */
    CHECK_EQ("MTIP after wfi", csr_read(MIP) & 1 << MTI, 1 << MTI);
    trap_clear();
    csr_set(MSTATUS, MSTATUS_MIE);
    csr_clear(MSTATUS, MSTATUS_MIE);
    CHECK_EQ("taken", trap.count, 1);
    CHECK_EQ("taken", trap.cause, IRQ | MTI);
    *CLINT_MTIMECMP = ~0ULL;
    CHECK_EQ("MTIP, cleared by mtimecmp", csr_read(MIP) & 1 << MTI, 0);
    CHECK_EQ("time is mtime", csr_read(TIME) - *CLINT_MTIME + 1000000 < 2000000, 1);
    quiet();
}

/* mtvec, stvec MODE 1: interrupts go to BASE + 4 * cause, exceptions to BASE (3.1.7). */
__asm__(
    ".text\n .balign 256\n .option push\n .option norvc\n"
    "vectors: j v0\n j v1\n j v2\n j v3\n j v4\n j v5\n j v6\n j v7\n j v8\n j v9\n j v10\n j v11\n"
    "v0: csrwi mscratch, 0\n j vend\n"
    "v1: csrwi mscratch, 1\n j vend\n"
    "v2: csrwi mscratch, 2\n j vend\n"
    "v3: csrwi mscratch, 3\n j vend\n"
    "v4: csrwi mscratch, 4\n j vend\n"
    "v5: csrwi mscratch, 5\n j vend\n"
    "v6: csrwi mscratch, 6\n j vend\n"
    "v7: csrwi mscratch, 7\n j vend\n"
    "v8: csrwi mscratch, 8\n j vend\n"
    "v9: csrwi mscratch, 9\n j vend\n"
    "v10: csrwi mscratch, 10\n j vend\n"
    "v11: csrwi mscratch, 11\n"
    "vend: sd t0, vsave, t1\n csrr t0, mscratch\n sd t0, vector_taken, t1\n ld t0, vsave\n j "
    "mtrap_entry\n"
    ".option pop\n .bss\n .balign 8\n vsave: .skip 8\n .global vector_taken\n vector_taken: .skip "
    "8\n .text\n");
extern uint64_t vector_taken;
extern const char vectors[], mtrap_entry[];

static void vectored(void)
{
    for (unsigned i = 0; i < SOURCES; i++) {
        quiet();
        raise(sources[i]);
        csr_write(MIE, 1ULL << sources[i]);
        vector_taken = 99;
        csr_write(MTVEC, FN(vectors) | 1);
        trap_clear();
        csr_set(MSTATUS, MSTATUS_MIE);
        csr_clear(MSTATUS, MSTATUS_MIE);
        CHECK_EQ("vectored interrupt", vector_taken, sources[i]);
        CHECK_EQ("vectored interrupt", trap.cause, IRQ | sources[i]);
        vector_taken = 99;
        csr_write(MTVEC, FN(vectors));
        csr_write(MIE, 1ULL << sources[i]);
        csr_set(MSTATUS, MSTATUS_MIE);
        csr_clear(MSTATUS, MSTATUS_MIE);
        CHECK_EQ("direct interrupt", vector_taken, 0);
    }
    csr_write(MTVEC, FN(vectors) | 1);
    vector_taken = 99;
    probe(M, 0, 0, 0);
    CHECK_EQ("exceptions are not vectored", vector_taken, 0);
    probe(M, ECALL, 0, 0);
    CHECK_EQ("exceptions are not vectored", trap.cause, ECALL_M);
    csr_write(MTVEC, FN(mtrap_entry));
    quiet();
}

/* MRET and SRET: mode, enables, previous enables, MPRV (3.1.6.1, 3.3.2). */
static void returns(void)
{
    static const enum mode modes[] = {U, S, M};

    for (unsigned m = 0; m < 3; m++)
        for (unsigned bits = 0; bits < 4; bits++) {
            bool pie = bits & 1, mprv = bits & 2;
            uint64_t status;

            quiet();
            csr_clear(MSTATUS, MSTATUS_MPP(M) | MSTATUS_MPIE | MSTATUS_MPRV);
            /* run_in's own mret is what is looked at: the ECALL that follows shows what it made of
             * mstatus. */
            trap_clear();
            csr_set(MSTATUS, (pie ? MSTATUS_MIE : 0));
            if (mprv && modes[m] != M)
                csr_set(MSTATUS, MSTATUS_MPRV | MSTATUS_MPP(M));
            probe(modes[m], ECALL, 0, 0);
            status = trap.status;
            csr_clear(MSTATUS, MSTATUS_MIE | MSTATUS_MPRV);
            CHECK_EQ("mret: mode", status >> 11 & 3, modes[m]);
            CHECK_EQ("mret: MIE is what MPIE was", (status & MSTATUS_MPIE) != 0, pie);
            if (modes[m] != M)
                CHECK_EQ("mret: MPRV is cleared below M", status & MSTATUS_MPRV, 0);
        }
    /* mret sets MPIE, and MPP to the lowest mode. */
    quiet();
    csr_clear(MSTATUS, MSTATUS_MPIE);
    csr_set(MSTATUS, MSTATUS_MPP(M));
    __asm__ volatile("lla t0, 1f\n csrw mepc, t0\n mret\n 1:" : : : "t0", "memory");
    CHECK_EQ("mret: MPIE", csr_read(MSTATUS) & MSTATUS_MPIE, MSTATUS_MPIE);
    CHECK_EQ("mret: MPP", csr_read(MSTATUS) & MSTATUS_MPP(M), 0);

    /* sret from M-mode and from S-mode, to U and to S. */
    for (unsigned spp = 0; spp < 2; spp++)
        for (unsigned spie = 0; spie < 2; spie++) {
            uint32_t *code = probe_code + 256;

            quiet();
            code[0] = ECALL;
            code[1] = RET;
            csr_clear(MSTATUS, MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE);
            csr_set(MSTATUS, (spp ? MSTATUS_SPP : 0) | (spie ? MSTATUS_SPIE : 0));
            csr_write(SEPC, FN(code));
            probe(S, SRET, 0, 0);
            CHECK_EQ("sret: mode", trap.cause, spp ? ECALL_S : ECALL_U);
            CHECK_EQ("sret: pc", trap.epc, FN(code));
            CHECK_EQ("sret: SIE is what SPIE was", trap.status >> 1 & 1, spie);
            CHECK_EQ("sret: SPIE is set", trap.status & MSTATUS_SPIE, MSTATUS_SPIE);
            CHECK_EQ("sret: SPP is U", trap.status & MSTATUS_SPP, 0);
        }
    quiet();
}

/* Endless loops that walk through memory, or only seem to: an interrupt ends each of them, at
 * `out`. `body` is what they do; a3 is where they begin, a4 is 0, a6 behind the last byte. */
#define LOOP(body)                                                                                 \
    __asm__ volatile("    la   t0, 9f\n"                                                           \
                     "    sd   t0, (%0)\n"                                                         \
                     "    mv   a3, %1\n"                                                           \
                     "    mv   a5, %1\n"                                                           \
                     "    mv   a6, %2\n"                                                           \
                     "    li   a4, 0\n"                                                            \
                     "    li   a7, 8\n"                                                            \
                     "    csrsi mstatus, 8\n"                                                      \
                     "1:\n" body "    j 1b\n"                                                      \
                     "9:  csrci mstatus, 8\n"                                                      \
                     :                                                                             \
                     : "r"(&trap_resume), "r"(pages), "r"(pages + sizeof pages)                    \
                     : "t0", "a0", "a3", "a4", "a5", "a6", "a7", "memory")

static void loops_are_left(void)
{
    for (unsigned loop = 0; loop < 9; loop++) {
        quiet();
        trap_clear();
        csr_write(MIE, 1 << MTI);
        *CLINT_MTIMECMP = *CLINT_MTIME + 5000;
        switch (loop) {
        case 0: LOOP("ld a0, 0(a5); add a5, a5, a4\n"); break;
        case 1: LOOP("sd a0, 0(a5); add a5, a5, a4\n"); break;
        case 2: LOOP("addi a5, a5, 8; ld a0, 0(a5); addi a5, a5, -8\n"); break;
        case 3: LOOP("ld a0, 0(a5); beqz a4, 2f; addi a5, a5, 8; 2:\n"); break;
        case 4: LOOP("ld a0, 0(a5); addi a4, a4, 8; andi a4, a4, 1023; add a5, a3, a4\n"); break;
        case 5: LOOP("ld a0, 0(a5); addi a5, a5, 8; bltu a5, a6, 1b; mv a5, a3\n"); break;
        case 6: LOOP("add a5, a5, a7; ld a0, 0(a5); neg a7, a7\n"); break;
        case 7: LOOP("ld a0, 0(a5); bnez a4, 2f; ld a0, 8(a5); j 1b; 2: addi a5, a5, 8\n"); break;
        default: LOOP("addi a4, a4, 1\n"); break;
        }
        trap_resume = 0;
        CHECK_EQ("a loop is left: traps", trap.count, 1);
        CHECK_EQ("a loop is left: cause", trap.cause, IRQ | MTI);
    }
    quiet();
}

void test_main(void)
{
    enables();
    priority();
    at_once();
    supervisor_timer();
    machine_timer();
    vectored();
    returns();
    loops_are_left();
}
