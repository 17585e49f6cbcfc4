# Where a hart starts: a1 = its struct hart, its stack behind it.
    .text
    .globl crowd_entry
    .balign 4
crowd_entry:
    li sp, 2048
    add sp, sp, a1
    mv a0, a1
    call crowd_hart
