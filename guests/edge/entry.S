# Where the other hart starts: a1 = its stack's first byte.
    .text
    .globl edge_entry
    .balign 4
edge_entry:
    li sp, 2048
    add sp, sp, a1
    call edge_hart
