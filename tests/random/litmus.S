/* Entry of the litmus tests: litmus_main(hart) on each hart. */
    .section .text.start
    .global _start
_start:
    csrr    a0, mhartid
    lla     sp, stack_top
    beqz    a0, 1f
    lla     sp, storm_stack_top
1:  call    litmus_main
