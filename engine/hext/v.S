/* Vector state. The hypervisor itself never touches it; only this file needs V. */
#include "engine/hext/csr.h"

/* struct hext_vector */
#define V_START 0
#define V_CSR   8
#define V_L     16
#define V_TYPE  24
#define V_REGS  32

    .section .text.hext, "ax"

/* void hext_v_save_csrs(struct hext_vector *vector). sstatus.VS is not Off. */
    .globl hext_v_save_csrs
    .p2align 2
hext_v_save_csrs:
    csrr t0, HCSR_VSTART
    csrr t1, HCSR_VCSR
    csrr t2, HCSR_VL
    csrr t3, HCSR_VTYPE
    sd t0, V_START(a0)
    sd t1, V_CSR(a0)
    sd t2, V_L(a0)
    sd t3, V_TYPE(a0)
    ret

/*
 * void hext_v_save(struct hext_vector *vector): the registers alone. Whole-register stores depend on no CSR
 * but vstart (V 1.0, 7.9).
 */
    .globl hext_v_save
    .p2align 2
hext_v_save:
    csrr t4, HCSR_VLENB
    csrrw t0, HCSR_VSTART, zero
    slli t4, t4, 3
    addi a0, a0, V_REGS
    .irp n, 0,8,16,24
    vs8r.v v\n, (a0)
    add a0, a0, t4
    .endr
    csrw HCSR_VSTART, t0
    ret

/*
 * void hext_v_load(const struct hext_vector *vector). VSETVL gives vl back as it was, since vl is at most
 * VLMAX, and clears vstart, which comes last therefore; a vtype with vill set stays so.
 */
    .globl hext_v_load
    .p2align 2
hext_v_load:
    csrr t4, HCSR_VLENB
    ld t0, V_START(a0)
    ld t1, V_CSR(a0)
    ld t2, V_L(a0)
    ld t3, V_TYPE(a0)
    csrw HCSR_VSTART, zero
    slli t4, t4, 3
    addi a0, a0, V_REGS
    .irp n, 0,8,16,24
    vl8re8.v v\n, (a0)
    add a0, a0, t4
    .endr
    vsetvl zero, t2, t3
    csrw HCSR_VCSR, t1
    csrw HCSR_VSTART, t0
    ret
