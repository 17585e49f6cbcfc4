/*
 * The first instructions, the trap vector and the switch between tasks.
 *
 * The image carries Linux's header (Documentation/arch/riscv/boot-image-header.rst), so that whatever
 * starts a kernel starts it. It may be loaded at any page-aligned address.
 */
#include "engine/hext/csr.h"
#include "type1/offsets.h"

    .option norelax
    .section .text.head, "ax"
    .globl _start
_start:
    .option push
    .option norvc
    j start
    nop
    .option pop
    .dword 0x200000                /* text_offset: where QEMU and U-Boot put it */
    .dword image_end - image_start /* image_size; `trivisor bundle` adds what it appends there */
    .dword 0                       /* flags: little-endian */
    .word 2                        /* header version 0.2 */
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0

start:
    csrw HCSR_SIE, zero
    csrw HCSR_SATP, zero
    lla t0, early_trap
    csrw HCSR_STVEC, t0
    /* Of the harts that come here, the first boots; the others see whether they were started. */
    lla t0, started
    li t1, STARTED_FIRST
    amoor.w.aq t1, t1, (t0)
    bnez t1, not_first
    lla sp, boot_stack + BOOT_STACK_SIZE
    mv s0, a0
    mv s1, a1
    rdtime s2
    /* What follows the file in memory may be anything. */
    lla t1, bss_start
    lla t2, bss_end
1:  sd zero, 0(t1)
    sd zero, 8(t1)
    addi t1, t1, 16
    bltu t1, t2, 1b
    /*
     * Addresses in the image, which is linked at 0, get its base added. SHT_RELR (generic ELF ABI):
     * an even entry is the place of one; an odd one is a bitmap, from bit 1 on, of the 63 words
     * behind what came before.
     */
    lla t0, image_start
    lla t1, relr_start
    lla t2, relr_end
    bgeu t1, t2, 5f
1:  ld t3, 0(t1)
    addi t1, t1, 8
    andi t4, t3, 1
    bnez t4, 2f
    add t5, t3, t0
    ld t4, 0(t5)
    add t4, t4, t0
    sd t4, 0(t5)
    addi t5, t5, 8
    bltu t1, t2, 1b
    j 5f
2:  mv t6, t5
    addi t5, t5, 63 * 8
3:  srli t3, t3, 1
    beqz t3, 4f
    andi t4, t3, 1
    beqz t4, 6f
    ld t4, 0(t6)
    add t4, t4, t0
    sd t4, 0(t6)
6:  addi t6, t6, 8
    j 3b
4:  bltu t1, t2, 1b
5:  li t1, STARTED_READY
    lla t0, started
    amoor.w.rl zero, t1, (t0)
    mv a0, s0
    mv a1, s1
    mv a2, s2
    li tp, 0
    call boot_main
early_trap:
    wfi
    j early_trap

/*
 * A hart that comes here though the image runs already. OpenSBI 1.1 says that a hart is to
 * start before it notes where: one that was still on its way into the firmware then begins where
 * the first one did, with its id, but with a1 old or new. Firmware older than HSM sends all harts
 * here at once: those stay.
 */
not_first:
    andi t1, t1, STARTED_READY
    beqz t1, early_trap
    lla t0, harts
1:  ld a1, 0(t0)
    beqz a1, early_trap
    ld t1, HART_ID(a1)
    addi t0, t0, 8
    bne t1, a0, 1b
/* A hart started by HSM: a0 is its id, a1 its struct hart. */
    .globl hart_entry
    .p2align 2
hart_entry:
    csrw HCSR_SIE, zero
    mv tp, a1
    csrw HCSR_SSCRATCH, tp
    lla t0, trap_vector
    csrw HCSR_STVEC, t0
    ld t0, HART_SATP(tp)
    sfence.vma
    csrw HCSR_SATP, t0
    sfence.vma
    ld sp, HART_STACK(tp)
    call hart_main
    j early_trap

/*
 * Traps from HS-mode itself. Interrupts are never enabled there (they are polled, and end guests), so
 * each one is a fault of the hypervisor: onto the hart's emergency stack, and report.
 */
    .globl trap_vector
    .p2align 2
trap_vector:
    csrrw tp, HCSR_SSCRATCH, tp
    sd sp, HART_SCRATCH(tp)
    ld sp, HART_PANIC_STACK(tp)
    addi sp, sp, -256
    .irp n, 1,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8 * \n(sp)
    .endr
    ld t0, HART_SCRATCH(tp)
    sd t0, 16(sp)
    csrrw t0, HCSR_SSCRATCH, tp
    sd t0, 32(sp)
    mv a0, sp
    call panic_trap
    j early_trap

/* void context_switch(struct context *from, struct context *to). tp is the hart's, not the task's. */
    .globl context_switch
    .p2align 2
context_switch:
    .macro context op, base
    \op ra, 0(\base)
    \op sp, 8(\base)
    \op s0, 16(\base)
    \op s1, 24(\base)
    \op s2, 32(\base)
    \op s3, 40(\base)
    \op s4, 48(\base)
    \op s5, 56(\base)
    \op s6, 64(\base)
    \op s7, 72(\base)
    \op s8, 80(\base)
    \op s9, 88(\base)
    \op s10, 96(\base)
    \op s11, 104(\base)
    .endm
    context sd, a0
    context ld, a1
    ret

/* Where a new task begins: its function is in s0, the argument in s1. */
    .globl task_trampoline
    .p2align 2
task_trampoline:
    mv a0, s1
    jalr s0
    call task_exit

    .section .data.start, "aw"
    .p2align 2
started:
    .word 0

    .section .stacks, "aw", @nobits
    .globl boot_stack_guard
    .p2align 12
boot_stack_guard:
    .space 4096 /* not mapped */
    .globl boot_stack
    .p2align 4
boot_stack:
    .space BOOT_STACK_SIZE
    .space 4096
    .globl boot_panic_stack_top
boot_panic_stack_top:
