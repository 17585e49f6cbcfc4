/*
 * CSRs of the hart that this code runs on: numbers that the assembler may not know by name, their
 * fields, and access to them. Only for code that runs in HS-mode.
 */
#ifndef ENGINE_HEXT_CSR_H
#define ENGINE_HEXT_CSR_H

/* Supervisor (Privileged ISA 20240411, 10.1) and Sstc. */
#define HCSR_SSTATUS    0x100
#define HCSR_SIE        0x104
#define HCSR_STVEC      0x105
#define HCSR_SCOUNTEREN 0x106
#define HCSR_SENVCFG    0x10a
#define HCSR_SSCRATCH   0x140
#define HCSR_SEPC       0x141
#define HCSR_SCAUSE     0x142
#define HCSR_STVAL      0x143
#define HCSR_SIP        0x144
#define HCSR_STIMECMP   0x14d
#define HCSR_SATP       0x180

/* Advanced interrupt architecture (AIA 1.0, chapter 2). */
#define HCSR_SISELECT  0x150
#define HCSR_SIREG     0x151
#define HCSR_STOPEI    0x15c
#define HCSR_VSISELECT 0x250
#define HCSR_VSIREG    0x251
#define HCSR_HVIEN     0x608
#define HCSR_HVICTL    0x609
#define HCSR_HVIPRIO1  0x646
#define HCSR_HVIPRIO2  0x647
#define HCSR_HSTATEEN0 0x60c
/* Guest external interrupts (Privileged ISA 20240411, 15.2.4). */
#define HCSR_HGEIE 0x607
#define HCSR_HIP   0x644
#define HCSR_HGEIP 0xe12

/* Virtual supervisor (15.2). */
#define HCSR_VSSTATUS  0x200
#define HCSR_VSIE      0x204
#define HCSR_VSTVEC    0x205
#define HCSR_VSSCRATCH 0x240
#define HCSR_VSEPC     0x241
#define HCSR_VSCAUSE   0x242
#define HCSR_VSTVAL    0x243
#define HCSR_VSIP      0x244
#define HCSR_VSTIMECMP 0x24d
#define HCSR_VSATP     0x280

/* Hypervisor (15.2). */
#define HCSR_HSTATUS    0x600
#define HCSR_HEDELEG    0x602
#define HCSR_HIDELEG    0x603
#define HCSR_HIE        0x604
#define HCSR_HTIMEDELTA 0x605
#define HCSR_HCOUNTEREN 0x606
#define HCSR_HENVCFG    0x60a
#define HCSR_HTVAL      0x643
#define HCSR_HVIP       0x645
#define HCSR_HTINST     0x64a
#define HCSR_HGATP      0x680

#define HCSR_TIME 0xc01

#define HCSR_FCSR 0x003

/* Vector (V 1.0, chapter 3). */
#define HCSR_VSTART 0x008
#define HCSR_VCSR   0x00f
#define HCSR_VL     0xc20
#define HCSR_VTYPE  0xc21
#define HCSR_VLENB  0xc22

/* sstatus, vsstatus */
#define HSTAT_SIE      (1UL << 1)
#define HSTAT_SPIE     (1UL << 5)
#define HSTAT_SPP      (1UL << 8)
#define HSTAT_VS       (3UL << 9)
#define HSTAT_VS_CLEAN (2UL << 9)
#define HSTAT_VS_DIRTY (3UL << 9)
#define HSTAT_FS       (3UL << 13)
#define HSTAT_FS_CLEAN (2UL << 13)
#define HSTAT_FS_DIRTY (3UL << 13)
#define HSTAT_UXL_64   (2UL << 32)

/* hstatus (15.2.1) */
#define HSTATUS_SPV         (1UL << 7)
#define HSTATUS_SPVP        (1UL << 8)
#define HSTATUS_VGEIN       (63UL << 12)
#define HSTATUS_VGEIN_SHIFT 12
#define HSTATUS_VTW         (1UL << 21)
#define HSTATUS_VSXL_64     (2UL << 32)

/* hvip, hideleg (15.2.2, 15.2.3) */
#define HVIP_VSSIP (1UL << 2)
#define HVIP_VSTIP (1UL << 6)
#define HVIP_VSEIP (1UL << 10)

/* hvictl (AIA 1.0, 6.3.3): what vstopi says of VSEIP when no file does */
#define HVICTL_EXTERNAL (9UL << 16 | 1)

/* sie, sip */
#define HIRQ_SSI  (1UL << 1)
#define HIRQ_STI  (1UL << 5)
#define HIRQ_SEI  (1UL << 9)
#define HIRQ_SGEI (1UL << 12) /* hie, hip */

/* hstateen0 (Smstateen; AIA 1.0, 2.5): what guests reach whose state is switched */
#define HSTATEEN0_GUESTS (1UL << 62 | 1UL << 60 | 1UL << 59 | 1UL << 58)

#define HCAUSE_INTERRUPT        (1UL << 63)
#define HCAUSE_VS_ECALL         10
#define HCAUSE_FETCH_GUEST_PAGE 20
#define HCAUSE_LOAD_GUEST_PAGE  21
#define HCAUSE_VIRTUAL_INSN     22
#define HCAUSE_STORE_GUEST_PAGE 23

#ifndef __ASSEMBLER__

#define HCSR_STRING_(x) #x
#define HCSR_STRING(x)  HCSR_STRING_(x)

#define hcsr_read(csr)                                                                             \
    __extension__({                                                                                \
        unsigned long hcsr_value_;                                                                 \
        __asm__ volatile("csrr %0, " HCSR_STRING(csr) : "=r"(hcsr_value_)::"memory");              \
        hcsr_value_;                                                                               \
    })
#define hcsr_write(csr, value)                                                                     \
    __asm__ volatile("csrw " HCSR_STRING(csr) ", %0" ::"rK"((unsigned long)(value)) : "memory")
#define hcsr_set(csr, value)                                                                       \
    __asm__ volatile("csrs " HCSR_STRING(csr) ", %0" ::"rK"((unsigned long)(value)) : "memory")
#define hcsr_clear(csr, value)                                                                     \
    __asm__ volatile("csrc " HCSR_STRING(csr) ", %0" ::"rK"((unsigned long)(value)) : "memory")

/* The assembler has no names for these: HFENCE.VVMA, HFENCE.GVMA (15.3.2). */
static inline void hfence_vvma_all(void)
{
    __asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, x0" ::: "memory");
}

static inline void hfence_gvma_all(void)
{
    __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0" ::: "memory");
}

/* Memory and devices, everything before before everything behind. */
static inline void fence_devices(void)
{
    __asm__ volatile("fence iorw, iorw" ::: "memory");
}

/* A release that counts writes to devices, too. */
static inline void fence_release_devices(void)
{
    __asm__ volatile("fence orw, w" ::: "memory");
}

static inline void fence_i(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

#endif
#endif
