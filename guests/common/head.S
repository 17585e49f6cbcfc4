# The Image header and the first instructions of a bare guest's first hart.

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

# a0: the hart's id, a1: the device tree. No address is assumed: everything is reached from pc.
boot:
    rdtime a2
    lla t0, bss_start
    lla t1, image_end
1:  sd zero, (t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    lla sp, boot_stack_end
    call guest_start

    .bss
    .balign 16
boot_stack:
    .skip 16384
    .globl boot_stack_end
boot_stack_end:
