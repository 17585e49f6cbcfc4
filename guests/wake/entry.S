# A hart that HSM starts: a1 = its struct hart, whose stack is its beginning.
    .text
    .globl hart_entry
    .balign 4
hart_entry:
    li t0, 4096
    add sp, a1, t0
    mv a0, a1
    call hart_loop
