/*
 * The world switch, in the style of a function call: hext_enter runs the guest and returns when it
 * traps, so that the run loop is C and the hypervisor's own traps keep their own vector.
 */
#include "engine/hext/csr.h"

/* Host frame. */
#define F_RA       0
#define F_S        8 /* s0..s11 */
#define F_TP       104
#define F_SWITCH   112
#define F_STVEC    120
#define F_SSCRATCH 128
#define F_SIZE     144

/* struct hext_switch */
#define SW_SEPC    0
#define SW_SSTATUS 8
#define SW_HSTATUS 16

/* x[32] of struct riscv_vcpu, which takes the writes to x0, holds the host's sp meanwhile. */
#define X_SP_HOST 256

.macro for_saved op
    \op s0, F_S + 0(sp)
    \op s1, F_S + 8(sp)
    \op s2, F_S + 16(sp)
    \op s3, F_S + 24(sp)
    \op s4, F_S + 32(sp)
    \op s5, F_S + 40(sp)
    \op s6, F_S + 48(sp)
    \op s7, F_S + 56(sp)
    \op s8, F_S + 64(sp)
    \op s9, F_S + 72(sp)
    \op s10, F_S + 80(sp)
    \op s11, F_S + 88(sp)
.endm

/* All guest registers but x10, which is the base. */
.macro for_guest op
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op x\n, 8 * \n(a0)
    .endr
.endm

    .section .text.hext, "ax"
    .option norelax

/* uint64_t hext_enter(uint64_t *x, struct hext_switch *s): scause. Interrupts are off (sstatus.SIE). */
    .globl hext_enter
    .p2align 2
hext_enter:
    addi sp, sp, -F_SIZE
    sd ra, F_RA(sp)
    for_saved sd
    sd tp, F_TP(sp)
    sd a1, F_SWITCH(sp)
    lla t0, hext_exit
    csrrw t1, HCSR_STVEC, t0
    sd t1, F_STVEC(sp)
    csrrw t1, HCSR_SSCRATCH, a0
    sd t1, F_SSCRATCH(sp)
    sd sp, X_SP_HOST(a0)
    ld t0, SW_SEPC(a1)
    ld t1, SW_SSTATUS(a1)
    ld t2, SW_HSTATUS(a1)
    csrw HCSR_SEPC, t0
    csrw HCSR_SSTATUS, t1
    csrw HCSR_HSTATUS, t2
    for_guest ld
    ld a0, 80(a0)
    sret

    .p2align 2
hext_exit:
    csrrw a0, HCSR_SSCRATCH, a0
    for_guest sd
    csrr t3, HCSR_SSCRATCH
    sd t3, 80(a0)
    ld sp, X_SP_HOST(a0)
    ld a1, F_SWITCH(sp)
    csrr t0, HCSR_SEPC
    csrr t1, HCSR_SSTATUS
    csrr t2, HCSR_HSTATUS
    sd t0, SW_SEPC(a1)
    sd t1, SW_SSTATUS(a1)
    sd t2, SW_HSTATUS(a1)
    ld t0, F_STVEC(sp)
    ld t1, F_SSCRATCH(sp)
    csrw HCSR_STVEC, t0
    csrw HCSR_SSCRATCH, t1
    csrr a0, HCSR_SCAUSE
    ld tp, F_TP(sp)
    for_saved ld
    ld ra, F_RA(sp)
    addi sp, sp, F_SIZE
    ret

/*
 * uint64_t hext_fetch(uint64_t gva, uint32_t *insn): reads an instruction as the guest would fetch it
 * (HLVX.HU, 15.3.1), at the privilege of hstatus.SPVP. 0, or the cause of the fault. Instructions that
 * may fault are 4 bytes long.
 */
    .globl hext_fetch
    .p2align 2
hext_fetch:
    lla t0, 1f
    csrrw t0, HCSR_STVEC, t0
    .insn r 0x73, 0x4, 0x32, t1, a0, x3 /* hlvx.hu t1, (a0) */
    andi t2, t1, 3
    li t3, 3
    bne t2, t3, 2f
    addi a0, a0, 2
    .insn r 0x73, 0x4, 0x32, t2, a0, x3 /* hlvx.hu t2, (a0) */
    slli t2, t2, 16
    or t1, t1, t2
2:  sw t1, (a1)
    csrw HCSR_STVEC, t0
    li a0, 0
    ret
    .p2align 2
1:  csrw HCSR_STVEC, t0
    csrr a0, HCSR_SCAUSE
    ret

/*
 * bool hext_probe_read(unsigned which, uint64_t *value), bool hext_probe_write(unsigned which, uint64_t value):
 * access a CSR that may not exist; false if it trapped. `which` counts the list below.
 */
.macro probe_begin
    lla t0, 9f
    csrrw t0, HCSR_STVEC, t0
    slli a0, a0, 3
    lla t1, 1f
    add t1, t1, a0
    jr t1
    .p2align 2
    .option push
    .option norvc
1:
.endm
.macro probe_end
    .option pop
    .p2align 2
9:  csrw HCSR_STVEC, t0
    li a0, 0
    ret
.endm

    .globl hext_probe_read
    .p2align 2
hext_probe_read:
    probe_begin
    .irp csr, HCSR_HGATP, HCSR_STIMECMP, HCSR_VSTIMECMP, HCSR_HENVCFG, HCSR_SENVCFG, HCSR_TIME, HCSR_HSTATUS, HCSR_VLENB
    csrr t2, \csr
    j 2f
    .endr
2:  sd t2, (a1)
    csrw HCSR_STVEC, t0
    li a0, 1
    ret
    probe_end

    .globl hext_probe_write
    .p2align 2
hext_probe_write:
    probe_begin
    .irp csr, HCSR_HGATP, HCSR_STIMECMP, HCSR_VSTIMECMP, HCSR_HENVCFG, HCSR_SENVCFG, HCSR_TIME, HCSR_HSTATUS
    csrw \csr, a1
    j 2f
    .endr
2:  csrw HCSR_STVEC, t0
    li a0, 1
    ret
    probe_end
