/*
 * Where the riscv64 program begins: as the C library's Scrt1.o, which asks for a relaxation that lld
 * of clang 14 does not know.
 */
    .section .text._start, "ax", %progbits
    .globl _start
    .type _start, %function
_start:
    .cfi_startproc
    .cfi_undefined ra
    mv a5, a0          /* what the dynamic linker wants called at the end */
    lla a0, main
    ld a1, 0(sp)       /* argc */
    addi a2, sp, 8     /* argv */
    andi sp, sp, -16
    li a3, 0           /* constructors and destructors are found by the C library itself */
    li a4, 0
    mv a6, sp
    call __libc_start_main@plt
    ebreak
    .cfi_endproc
    .size _start, . - _start

    .section .data.rel.local, "aw", %progbits
    .balign 8
    .globl __dso_handle
    .hidden __dso_handle
__dso_handle:
    .quad __dso_handle

    .section .note.GNU-stack, "", %progbits
