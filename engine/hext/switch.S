/*
 * The world switch, in the style of a function call: hext_enter runs the guest and returns when C has
 * an exit for the run loop, so that the hypervisor's own traps keep their own vector. What a trap
 * needs is decided by v->answer (hext_answer), called from here: it keeps the callee-saved registers, so that a
 * guest that goes on has only the others loaded again.
 */
#include "engine/hext/csr.h"
#include "engine/hext/internal.h"

/* Host frame. */
#define F_RA    0
#define F_S     8 /* s0..s11 */
#define F_TP    104
#define F_X     112
#define F_VCPU  120
#define F_STVEC 128
#define F_EXIT  136
#define F_SIZE  144

/* x[32] of struct riscv_vcpu holds the host's sp while hext_enter runs. */
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

/* Guest registers but x10, which is the base: those that C may change, and those that it keeps. */
.macro for_changed op
    .irp n, 1,2,4,5,6,7,11,12,13,14,15,16,17,28,29,30,31
    \op x\n, 8 * \n(a0)
    .endr
.endm
.macro for_kept op
    .irp n, 3,8,9,18,19,20,21,22,23,24,25,26,27
    \op x\n, 8 * \n(a0)
    .endr
.endm

    .section .text.hext, "ax"
    .option norelax

/*
 * void hext_enter(uint64_t *x, struct hext_vcpu *v): sepc, sstatus and hstatus are the guest's.
 * Interrupts are off (sstatus.SIE). sscratch is tp in the hypervisor, x in the guest.
 */
    .globl hext_enter
    .p2align 2
hext_enter:
    addi sp, sp, -F_SIZE
    sd ra, F_RA(sp)
    for_saved sd
    sd tp, F_TP(sp)
    sd a0, F_X(sp)
    sd a1, F_VCPU(sp)
    lla t0, hext_exit
    csrrw t1, HCSR_STVEC, t0
    sd t1, F_STVEC(sp)
    sd t0, F_EXIT(sp)
    csrw HCSR_SSCRATCH, a0
    sd sp, X_SP_HOST(a0)
1:  for_kept ld
2:  for_changed ld
    ld a0, 80(a0)
    sret

    .p2align 2
hext_exit:
    csrrw a0, HCSR_SSCRATCH, a0
    for_changed sd
    for_kept sd
    ld sp, X_SP_HOST(a0)
    ld tp, F_TP(sp)
    csrrw t3, HCSR_SSCRATCH, tp
    sd t3, 80(a0)
    ld t0, F_STVEC(sp)
    csrw HCSR_STVEC, t0
    ld a0, F_VCPU(sp)
    csrr a1, HCSR_SCAUSE
    ld t1, HEXT_VCPU_ANSWER(a0)
    jalr t1
    /* If it is to leave, the hart may be another one by now: its tp, stvec and sscratch stay. */
    addi t2, a0, -HEXT_GO_ON
    ld a0, F_X(sp)
    bgtz t2, 3f
    ld t0, F_EXIT(sp)
    csrw HCSR_STVEC, t0
    csrw HCSR_SSCRATCH, a0
    beqz t2, 2b
    j 1b

3:  for_saved ld
    ld ra, F_RA(sp)
    addi sp, sp, F_SIZE
    ret

/*
 * uint64_t hext_fetch(uint64_t gva): the instruction there (16 or 32 bits) as the guest would fetch it
 * (HLVX, 15.3.1), at the privilege of hstatus.SPVP. HEXT_NO_INSN: scause says why not, and the CSRs of
 * the guest's own trap are lost. Instructions that may fault are 4 bytes long; an aligned word lies in
 * one page.
 */
    .globl hext_fetch
    .p2align 2
hext_fetch:
    lla t0, 3f
    csrrw t0, HCSR_STVEC, t0
    andi t1, a0, 3
    li t2, 3
    bnez t1, 1f
    .insn r 0x73, 0x4, 0x34, a0, a0, x3 /* hlvx.wu a0, (a0) */
    csrw HCSR_STVEC, t0
    andi t1, a0, 3
    bne t1, t2, 2f
    ret
1:  .insn r 0x73, 0x4, 0x32, t1, a0, x3 /* hlvx.hu t1, (a0) */
    andi t4, t1, 3
    addi a1, a0, 2
    mv a0, t1
    bne t4, t2, 4f
    .insn r 0x73, 0x4, 0x32, t1, a1, x3 /* hlvx.hu t1, (a1) */
    slli t1, t1, 16
    or a0, a0, t1
    j 4f
2:  slli a0, a0, 48
    srli a0, a0, 48
    ret
    .p2align 2
3:  li a0, HEXT_NO_INSN
4:  csrw HCSR_STVEC, t0
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
    .irp csr, HCSR_HGATP, HCSR_STIMECMP, HCSR_VSTIMECMP, HCSR_HENVCFG, HCSR_SENVCFG, HCSR_TIME, HCSR_HSTATUS, HCSR_VLENB, HCSR_VSISELECT, HCSR_HSTATEEN0, HCSR_HVIPRIO1
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
    .irp csr, HCSR_HGATP, HCSR_STIMECMP, HCSR_VSTIMECMP, HCSR_HENVCFG, HCSR_SENVCFG, HCSR_TIME, HCSR_HSTATUS, HCSR_VLENB, HCSR_VSISELECT, HCSR_HSTATEEN0, HCSR_HVIPRIO1
    csrw \csr, a1
    j 2f
    .endr
2:  csrw HCSR_STVEC, t0
    li a0, 1
    ret
    probe_end
