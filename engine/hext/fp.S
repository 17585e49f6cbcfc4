/*
 * Floating-point state. The hypervisor itself never touches it; only this file needs F and D.
 * By sp as base the instructions are short; nothing takes an interrupt here, and a fault is the end.
 */
    .section .text.hext, "ax"

/* uint64_t hext_fp_save(uint64_t f[32]): stores the registers, returns fcsr. sstatus.FS is not Off. */
    .globl hext_fp_save
    .p2align 2
hext_fp_save:
    mv t0, sp
    mv sp, a0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, 8 * \n(sp)
    .endr
    mv sp, t0
    frcsr a0
    ret

/* void hext_fp_load(const uint64_t f[32], uint64_t fcsr) */
    .globl hext_fp_load
    .p2align 2
hext_fp_load:
    mv t0, sp
    mv sp, a0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, 8 * \n(sp)
    .endr
    mv sp, t0
    fscsr a1
    ret
