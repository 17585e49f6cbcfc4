/*
 * Traps into M-mode. world_vector takes those of the partitions: short calls are answered here, for
 * the rest the registers go into the VCPU and run_trap (run.c) decides; what it leaves in the VCPU
 * that the hart then has goes on. machine_vector takes traps of the firmware itself.
 *
 * mscratch is the hart's struct hart, except within world_vector up to the switch of vectors, where it
 * is the partition's tp.
 */
#include "type0/csr.h"
#include "type0/offsets.h"

    .option norelax
    .section .text, "ax"

/* Registers but x2 (sp), x4 (tp), x5 and x6 (t0, t1), by sp as base, which makes short instructions. */
.macro for_most op
    .irp n, 1,3,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op x\n, 8 * \n(sp)
    .endr
.endm

    .globl world_vector
    .p2align 2
world_vector:
    csrrw tp, MCSR_MSCRATCH, tp
    sd t0, HART_T0(tp)
    sd t1, HART_T1(tp)
    csrr t0, MCSR_MCAUSE
    addi t0, t0, -MCAUSE_S_ECALL
    bnez t0, slow
    li t1, 0x54494d45 /* TIME (SBI 2.0, chapter 6) */
    beq a7, t1, set_timer
    li t1, 0x735049 /* IPI (chapter 7) */
    beq a7, t1, send_ipi
    li t1, 0x52464e43 /* RFENCE (chapter 8) */
    beq a7, t1, fence
    li t1, 0x10 /* BASE (chapter 4) */
    bne a7, t1, slow
    bnez a6, slow
    li a1, 2 << 24 /* get_spec_version */
    j answered

set_timer:
    bnez a6, slow
    ld t0, HART_TIMER(tp)
    bnez t0, 1f
    csrw HCSR_STIMECMP, a0
    j answered_0
1:  addi t0, t0, -TIMER_MACHINE
    bnez t0, slow
    ld t0, HART_MTIMECMP(tp)
    sd a0, (t0)
    li t0, HIRQ_STI
    csrc MCSR_MIP, t0
    li t0, MIRQ_MTI
    csrs MCSR_MIE, t0
    j answered_0

send_ipi:
    bnez a6, slow
    ld t0, HART_VID(tp)
    bltu t0, a1, slow /* -1: all; or none of its harts */
    sub t0, t0, a1
    sltiu t1, t0, 64
    beqz t1, slow
    li t1, 1
    sll t1, t1, t0
    bne t1, a0, slow
    csrsi MCSR_MIP, HIRQ_SSI
    j answered_0

fence:
    ld t0, HART_VID(tp)
    bltu t0, a1, slow
    sub t0, t0, a1
    sltiu t1, t0, 64
    beqz t1, slow
    li t1, 1
    sll t1, t1, t0
    bne t1, a0, slow
    sltiu t1, a6, 3
    beqz t1, slow
    bnez a6, 1f
    fence.i
    j answered_0
1:  sfence.vma

answered_0:
    li a1, 0
answered:
    li a0, 0
    csrr t0, MCSR_MEPC
    addi t0, t0, 4
    csrw MCSR_MEPC, t0
    ld t0, HART_CALLS(tp)
    addi t0, t0, 1
    sd t0, HART_CALLS(tp)
    ld t0, HART_T0(tp)
    ld t1, HART_T1(tp)
    csrrw tp, MCSR_MSCRATCH, tp
    mret

slow:
    ld t0, HART_X(tp)
    sd sp, 8 * 2(t0)
    mv sp, t0
    for_most sd
    ld t1, HART_T0(tp)
    sd t1, 8 * 5(sp)
    ld t1, HART_T1(tp)
    sd t1, 8 * 6(sp)
    csrrw t1, MCSR_MSCRATCH, tp
    sd t1, 8 * 4(sp)
    csrr t1, MCSR_MEPC
    sd t1, X_PC(sp)
    lla t1, machine_vector
    csrw MCSR_MTVEC, t1
    ld sp, HART_STACK(tp)
    mv a0, tp
    call run_trap
    .globl world_return
world_return:
    lla t0, world_vector
    csrw MCSR_MTVEC, t0
    csrw MCSR_MSCRATCH, tp
    ld sp, HART_X(tp)
    ld t1, X_PC(sp)
    csrw MCSR_MEPC, t1
    for_most ld
    ld t1, 8 * 6(sp)
    ld tp, 8 * 4(sp)
    ld t0, 8 * 5(sp)
    ld sp, 8 * 2(sp)
    mret

/* Interrupts are never on here, so each of these is a fault of ours: report it, on a stack of its own. */
    .globl machine_vector
    .p2align 2
machine_vector:
    csrr tp, MCSR_MSCRATCH
    sd sp, HART_T0(tp)
    ld sp, HART_PANIC_STACK(tp)
    addi sp, sp, -256
    .irp n, 1,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8 * \n(sp)
    .endr
    ld t0, HART_T0(tp)
    sd t0, 16(sp)
    sd tp, 32(sp)
    mv a0, sp
    call panic_trap
1:  wfi
    j 1b

/*
 * bool try_read(enum try which, uint64_t *value), bool try_write(enum try which, uint64_t value): access
 * a CSR that may not exist; false if it trapped. `which` counts the list below (hart.h).
 */
#define LIST MCSR_MENVCFG, MCSR_MCOUNTINHIBIT, HCSR_SENVCFG, HCSR_SSTATEEN0, HCSR_HSTATEEN0, HCSR_JVT, \
    HCSR_SCONTEXT, HCSR_HCONTEXT, HCSR_SRMCFG, MCSR_MCOUNTEREN, MCSR_MSTATEEN0, MCSR_MIDELEG, \
    MCSR_MEDELEG, HCSR_STIMECMP, HCSR_TIME, HCSR_SISELECT, HCSR_VLENB

.macro try_begin
    lla t0, 9f
    csrrw t0, MCSR_MTVEC, t0
    lla t1, 1f
    slli a0, a0, 1 /* 6 bytes each */
    add t1, t1, a0
    slli a0, a0, 1
    add t1, t1, a0
    jr t1
1:
.endm
.macro try_end
2:  csrw MCSR_MTVEC, t0
    li a0, 1
    ret
    .p2align 2
9:  csrw MCSR_MTVEC, t0
    li a0, 0
    ret
.endm

    .globl try_read
    .p2align 2
try_read:
    try_begin
    .irp csr, LIST
    csrr t2, \csr
    c.j 3f
    .endr
3:  sd t2, (a1)
    try_end

    .globl try_write
    .p2align 2
try_write:
    try_begin
    .irp csr, LIST
    csrw \csr, a1
    c.j 2f
    .endr
    try_end

/* void trap_once(void): a trap of M-mode's own, which clears mstatus.MPV where writes do not. */
    .globl trap_once
    .p2align 2
trap_once:
    lla t0, 1f
    csrrw t0, MCSR_MTVEC, t0
    ebreak
    .p2align 2
1:  csrw MCSR_MTVEC, t0
    ret

/*
 * long guest_load(uint64_t va, uint64_t mstatus): the byte there, as loads are made with `mstatus`, which
 * has MPRV set; -1: it trapped, mcause and mtval say why.
 * bool guest_store(uint64_t va, uint64_t mstatus, uint8_t byte): likewise.
 */
    .macro guest_access name, insn:vararg
    .globl \name
    .p2align 2
\name:
    lla t0, 1f
    csrrw t0, MCSR_MTVEC, t0
    csrrw t1, MCSR_MSTATUS, a1
    .option push
    .option norvc
    \insn
    .option pop
    csrw MCSR_MSTATUS, t1
    csrw MCSR_MTVEC, t0
    .endm

    guest_access guest_load, lbu a0, (a0)
    ret
    .p2align 2
1:  csrw MCSR_MSTATUS, t1
    csrw MCSR_MTVEC, t0
    li a0, -1
    ret
    guest_access guest_store, sb a2, (a0)
    li a0, 1
    ret
    .p2align 2
1:  csrw MCSR_MSTATUS, t1
    csrw MCSR_MTVEC, t0
    li a0, 0
    ret

/*
 * unsigned pmp_probe_count(void): how many of the first 16 entries there are; they are left 0.
 * uint64_t pmp_probe_grain(void): what entry 0 keeps of all ones (3.7.1).
 * void pmp_write(const struct pmp_entry entries[16], const uint64_t config[2], unsigned count): all that
 * there are. Rights are taken before others are given.
 */
    .globl pmp_probe_count
    .p2align 2
pmp_probe_count:
    lla t0, 9f
    csrrw t0, MCSR_MTVEC, t0
    li a0, 0
    li t2, -1
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    csrw MCSR_PMPADDR0 + \n, t2
    csrrw a1, MCSR_PMPADDR0 + \n, zero
    beqz a1, 9f
    addi a0, a0, 1
    .endr
    .p2align 2
9:  csrw MCSR_MTVEC, t0
    ret

    .globl pmp_probe_grain
    .p2align 2
pmp_probe_grain:
    li t0, -1
    csrw MCSR_PMPADDR0, t0
    csrr a0, MCSR_PMPADDR0
    csrw MCSR_PMPADDR0, zero
    ret

    .globl pmp_write
    .p2align 2
pmp_write:
    csrw MCSR_PMPCFG0, zero
    li t0, 8
    ble a2, t0, 1f
    csrw MCSR_PMPCFG0 + 2, zero
1:  mv a4, a2
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    beqz a4, 2f
    addi a4, a4, -1
    ld a3, 16 * \n(a0)
    csrw MCSR_PMPADDR0 + \n, a3
    .endr
2:  ld t1, (a1)
    csrw MCSR_PMPCFG0, t1
    ble a2, t0, 3f
    ld t1, 8(a1)
    csrw MCSR_PMPCFG0 + 2, t1
3:  sfence.vma
    ret
