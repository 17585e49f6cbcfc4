# bool try_load(uint64_t address), bool try_store(uint64_t address, uint32_t value), bool try_run(uint64_t address):
# false if it trapped. A fetch that succeeds finds what it finds; whatever trap follows, from an address that is not
# ours, counts as reached unless it is a fetch fault.
    .text
    .macro try name, instruction:vararg
    .globl \name
    .balign 4
\name:
    lla t0, 1f
    csrrw t0, stvec, t0
    .option push
    .option norvc
    \instruction
    .option pop
    csrw stvec, t0
    li a0, 1
    ret
    .balign 4
1:  csrw stvec, t0
    li a0, 0
    ret
    .endm
    try try_load, lw t1, (a0)
    try try_store, sw a1, (a0)
    try try_mstatus, csrw mstatus, a0
    try try_mtvec, csrw mtvec, a0
    try try_mscratch, csrw mscratch, a0
    try try_pmpcfg, csrw pmpcfg0, a0
    try try_pmpaddr, csrw pmpaddr0, a0
    try try_medeleg, csrw medeleg, a0
    try try_menvcfg, csrw 0x30a, a0
    try try_mret, mret

    .globl try_run
    .balign 4
try_run:
    lla t0, 1f
    csrrw t0, stvec, t0
    mv t2, ra
    jalr a0
    csrw stvec, t0
    li a0, 1
    jr t2
    .balign 4
1:  csrw stvec, t0
    csrr a0, scause
    addi a0, a0, -1
    snez a0, a0
    jr t2
