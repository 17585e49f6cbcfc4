# Hart 0 runs main; the others stay here. RAM is zero at the start, and so is .bss.
    .section .text.start, "ax"
    .globl _start
_start:
    bnez    a0, 1f
    lla     sp, stack_top
    call    main
1:  wfi
    j       1b
