# tiny: the Image header, the first instructions of a hart, and the way into user mode and back.

    .section .head, "ax"
    .globl image_start
image_start:
    # Linux's boot image header (Documentation/arch/riscv/boot-image-header.rst).
    j boot
    .balign 8
    .dword 0x200000                  # text_offset: from the start of RAM, if the loader is free to choose
    .dword image_end - image_start   # image_size, .bss included
    .dword 0                         # flags: little-endian
    .word 2                          # header version 0.2
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0

# The first hart: a0 its id, a1 the device tree. No address is assumed: everything is reached from pc.
boot:
    lla t0, bss_start
    lla t1, image_end
1:  sd zero, (t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    lla sp, boot_stack_end
    lla t0, trap_in_kernel
    csrw stvec, t0
    call kernel_start

# The others (SBI HSM): a0 the id, a1 the top of its stack, with the hart's index in the word there.
    .globl hart_entry
    .balign 4
hart_entry:
    mv sp, a1
    lla t0, trap_in_kernel
    csrw stvec, t0
    ld a0, (a1)
    call hart_run

    .text
# struct trap enter_user(frame, user satp, kernel satp)
#
# Saves what a C function must preserve, becomes the process, and returns when the process traps. The frame's
# address waits in sscratch, the kernel's stack pointer and satp in the frame behind the registers.
    .globl enter_user
enter_user:
    addi sp, sp, -112
    sd ra, 0(sp)
    sd s0, 8(sp)
    sd s1, 16(sp)
    sd s2, 24(sp)
    sd s3, 32(sp)
    sd s4, 40(sp)
    sd s5, 48(sp)
    sd s6, 56(sp)
    sd s7, 64(sp)
    sd s8, 72(sp)
    sd s9, 80(sp)
    sd s10, 88(sp)
    sd s11, 96(sp)
    sd a2, 104(sp)
    sd sp, 0(a0)                     # x[0] of the frame: the kernel's stack
    csrw sscratch, a0
    lla t0, trap_from_user
    csrw stvec, t0
    ld t0, 256(a0)
    csrw sepc, t0
    li t0, 0x100                     # sstatus.SPP: return to U
    csrc sstatus, t0
    csrw satp, a1
    sfence.vma
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(a0)
    .endr
    ld a0, 80(a0)
    sret

    .balign 4
trap_from_user:
    csrrw a0, sscratch, a0
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8*\n(a0)
    .endr
    csrr t0, sscratch
    sd t0, 80(a0)
    csrr t0, sepc
    sd t0, 256(a0)
    ld sp, 0(a0)
    ld t0, 104(sp)
    csrw satp, t0
    sfence.vma
    lla t0, trap_in_kernel
    csrw stvec, t0
    csrr a0, scause
    csrr a1, stval
    ld ra, 0(sp)
    ld s0, 8(sp)
    ld s1, 16(sp)
    ld s2, 24(sp)
    ld s3, 32(sp)
    ld s4, 40(sp)
    ld s5, 48(sp)
    ld s6, 56(sp)
    ld s7, 64(sp)
    ld s8, 72(sp)
    ld s9, 80(sp)
    ld s10, 88(sp)
    ld s11, 96(sp)
    addi sp, sp, 112
    ret

# The kernel runs with interrupts off and does not fault: whatever arrives here is its own mistake.
    .balign 4
trap_in_kernel:
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    call kernel_fault

    .section .rodata
    .globl user_program, user_program_end
    .balign 4096
user_program:
    .incbin "user.bin"
user_program_end:

    .bss
    .balign 16
boot_stack:
    .skip 16384
boot_stack_end:
