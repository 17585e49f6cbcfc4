# The floating-point registers as memory: each value is seen by whoever looks at the bytes.

# void fp_fill(const uint64_t f[32], uint64_t fcsr)
    .text
    .globl fp_fill
fp_fill:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, 8*\n(a0)
    .endr
    fscsr a1
    ret

# uint64_t fp_look(uint64_t f[32]): fcsr
    .globl fp_look
fp_look:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, 8*\n(a0)
    .endr
    frcsr a0
    ret

# void fcsr_set(uint64_t fcsr): nothing else is changed
    .globl fcsr_set
fcsr_set:
    fscsr a0
    ret

    .balign 4
keep_trap:
    csrr a0, scause
    csrr a1, sepc
    lla sp, boot_stack_end
    call keep_trapped

    .globl keep_arm
keep_arm:
    lla t0, keep_trap
    csrw stvec, t0
    ret
