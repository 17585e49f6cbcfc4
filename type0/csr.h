/* Machine-mode CSRs of the hart that this code runs on (Privileged ISA 20240411, chapter 3). */
#ifndef TYPE0_CSR_H
#define TYPE0_CSR_H

#include "engine/hext/csr.h"

#define MCSR_MSTATUS       0x300
#define MCSR_MISA          0x301
#define MCSR_MEDELEG       0x302
#define MCSR_MIDELEG       0x303
#define MCSR_MIE           0x304
#define MCSR_MTVEC         0x305
#define MCSR_MCOUNTEREN    0x306
#define MCSR_MENVCFG       0x30a
#define MCSR_MSTATEEN0     0x30c
#define MCSR_MCOUNTINHIBIT 0x320
#define MCSR_MSCRATCH      0x340
#define MCSR_MEPC          0x341
#define MCSR_MCAUSE        0x342
#define MCSR_MTVAL         0x343
#define MCSR_MIP           0x344
#define MCSR_MTINST        0x34a
#define MCSR_MTVAL2        0x34b
#define MCSR_PMPCFG0       0x3a0
#define MCSR_PMPADDR0      0x3b0
#define MCSR_MCYCLE        0xb00
#define MCSR_MINSTRET      0xb02
#define MCSR_MHARTID       0xf14

/* Of S-mode, switched where they are there. */
#define HCSR_JVT       0x017
#define HCSR_SSTATEEN0 0x10c
#define HCSR_SRMCFG    0x181
#define HCSR_SCONTEXT  0x5a8
#define HCSR_HCONTEXT  0x6a8

/* mstateen0 (Smstateen): what context.c switches: sstateen0 and hstateen0, envcfg, scontext and
 * hcontext, srmcfg, jvt, fcsr */
#define MSTATEEN0_SWITCHED (1UL << 63 | 1UL << 62 | 1UL << 57 | 1UL << 55 | 1UL << 2 | 1UL << 1)

/* mstatus bits beyond riscv/csr.h's */
#define MSTAT_MPRV (1UL << 17)
#define MSTAT_MXR  (1UL << 19)
#define MSTAT_GVA  (1UL << 38)
#define MSTAT_MPV  (1UL << 39)

#define MIRQ_MSI (1UL << 3)
#define MIRQ_MTI (1UL << 7)
#define MIRQ_S   (HIRQ_SSI | HIRQ_STI | HIRQ_SEI)

/* hstatus (15.2.1) */
#define HSTATUS_GVA (1UL << 6)

#define MCAUSE_S_ECALL 9

#endif
