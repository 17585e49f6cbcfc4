/*
 * The first instructions. All harts begin here at once, in M-mode: a0 = hart id, a1 = device tree,
 * a2 = fw_dynamic information or anything. One of them, by lottery, starts the board; the others wait
 * for a struct hart.
 */
#include "type0/csr.h"
#include "type0/offsets.h"

    .option norelax
    .section .text.head, "ax"
    .globl _start
_start:
    .option push
    .option norvc
    j start
    nop
    .option pop
    /*
     * Linux's Image header (Documentation/arch/riscv/boot-image-header.rst) tells `trivisor bundle` where
     * the firmware's memory ends.
     */
    .dword 0
    .dword image_end - image_start
    .dword 0 /* flags: little-endian */
    .word 2  /* header version 0.2 */
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0

start:
    csrw MCSR_MIE, zero
    lla t0, early_trap
    csrw MCSR_MTVEC, t0
    lla t0, lottery
    li t1, 1
    amoswap.w t1, t1, (t0)
    bnez t1, parked

    lla sp, boot_stack_top
    mv s0, a0
    mv s1, a1
    mv s2, a2
    /* The tick, if there is a time CSR. */
    li s4, 0
    lla t0, 1f
    csrw MCSR_MTVEC, t0
    csrr s4, HCSR_TIME
    .p2align 2
1:  lla t0, early_trap
    csrw MCSR_MTVEC, t0
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
    lla a0, relr_start
    lla a1, relr_end
    bgeu a0, a1, 5f
1:  ld a2, 0(a0)
    addi a0, a0, 8
    andi a3, a2, 1
    bnez a3, 2f
    add a4, a2, t0
    ld a3, 0(a4)
    add a3, a3, t0
    sd a3, 0(a4)
    addi a4, a4, 8
    bltu a0, a1, 1b
    j 5f
2:  mv a5, a4
    addi a4, a4, 63 * 8
3:  srli a2, a2, 1
    beqz a2, 4f
    andi a3, a2, 1
    beqz a3, 6f
    ld a3, 0(a5)
    add a3, a3, t0
    sd a3, 0(a5)
6:  addi a5, a5, 8
    j 3b
4:  bltu a0, a1, 1b
5:  mv a0, s0
    mv a1, s1
    mv a2, s2
    mv a3, s4
    call boot_main          /* returns the boot hart's struct hart */
    j 3f

    /* Until the winner has written the table of harts; then one that is not in it has no work. */
parked:
    li t0, MIRQ_MSI
    csrw MCSR_MIE, t0
    lla t1, hart_table_ready
1:  lw t2, (t1)
    fence r, rw
    bnez t2, 2f
    wfi
    j 1b
2:  fence.i
    lla t0, harts
    lla t1, hart_count
    lwu t1, (t1)
    mv t2, a0
4:  beqz t1, early_trap
    ld a0, (t0)
    ld t3, HART_ID(a0)
    addi t0, t0, 8
    addi t1, t1, -1
    bne t3, t2, 4b
3:  mv tp, a0
    csrw MCSR_MSCRATCH, tp
    ld sp, HART_STACK(tp)
    call hart_main
    j world_return

    .p2align 2
early_trap:
    csrw MCSR_MIE, zero
1:  wfi
    j 1b

    .data
    .p2align 3
lottery:
    .word 0
    .globl hart_table_ready
hart_table_ready:
    .word 0

    .section .stacks, "aw", @nobits
    .p2align 4
    .space 8192
boot_stack_top:
