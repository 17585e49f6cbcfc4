# The measured loops: a0 = how many times, a1.. = what the operation needs. Each costs two instructions a time
# (counter and branch) besides the operation and its arguments, as the figures we compare with do.

    .macro loop name
    .balign 64
    .globl op_\name
op_\name:
    mv t0, a0
    .endm
    .macro again
    addi t0, t0, -1
    bnez t0, 1b
    ret
    .endm

    .text
    # SBI BASE get_spec_version
    loop hypercall
    li a7, 0x10
    li a6, 0
1:  ecall
    again

    # SBI BASE get_mvendorid: no firmware has a short way for it
    loop hypercall_table
    li a7, 0x10
    li a6, 4
1:  ecall
    again

    # SBI TIME set_timer, far away
    loop set_timer
    li a7, 0x54494d45
    li a6, 0
1:  li a0, -1
    ecall
    again

    # SBI IPI send_ipi to hart a1, which is this one; and the interrupt seen and cleared
    loop ipi
    mv t1, a1
    li a7, 0x735049
    li a6, 0
1:  li a0, 1
    mv a1, t1
    ecall
2:  csrr t2, sip
    andi t2, t2, 2
    beqz t2, 2b
    csrci sip, 2
    again

    # SBI RFENCE remote_sfence_vma: hart a1, one page at a2
    loop rfence
    mv t1, a1
    li a7, 0x52464e43
    li a6, 1
    li a3, 4096
1:  li a0, 1
    mv a1, t1
    ecall
    again

    # Devices at a1
    loop load32
1:  lw t2, (a1)
    again

    loop store32
1:  sw a2, (a1)
    again

    loop load8
1:  lbu t2, (a1)
    again

    loop store8
1:  sb a2, (a1)
    again

    loop stimecmp
    li t1, -1
1:  csrw 0x14d, t1
    again

    loop rdtime
1:  rdtime t1
    again

    loop rdcycle
1:  rdcycle t1
    again

    # An interrupt of sie is pending in sip.
    loop wfi
1:  wfi
    again

    # A program: 625 rounds of 8 instructions each time, through the memory at a1; a2 = its size - 1.
    loop cpu
    li t3, 0
    li t6, 0
1:  li t1, 625
2:  add t4, a1, t3
    ld t5, (t4)
    add t6, t6, t5
    sd t6, (t4)
    addi t3, t3, 64
    and t3, t3, a2
    addi t1, t1, -1
    bnez t1, 2b
    again

# void fp_fill(uint64_t seed): every floating-point register gets another value
    .globl fp_fill
fp_fill:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    addi a0, a0, 1
    fmv.d.x f\n, a0
    .endr
    csrwi fcsr, 0x1f
    ret

# long fp_changed(uint64_t seed): the number of registers that are no longer so
    .globl fp_changed
fp_changed:
    li t0, 0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    addi a0, a0, 1
    fmv.x.d t1, f\n
    xor t1, t1, a0
    snez t1, t1
    add t0, t0, t1
    .endr
    csrr t1, fcsr
    xori t1, t1, 0x1f
    snez t1, t1
    add a0, t0, t1
    ret

# Probing: an instruction that traps is stepped over, and scause is left in t1 (which begins as 0).
# long probe_csr_time_compare(void), long probe_cycle(void): 0, or the cause + 1
    .macro probe name, instruction:vararg
    .globl probe_\name
probe_\name:
    lla t2, 2f
    csrrw t2, stvec, t2
    li a0, 0
    .option push
    .option norvc
    \instruction
    .option pop
    j 3f
    .balign 4
2:  csrr a0, scause
    addi a0, a0, 1
3:  csrw stvec, t2
    ret
    .endm
    probe stimecmp, csrw 0x14d, t3
    probe cycle, rdcycle t3

# Nothing traps here: whatever does is reported.
    .globl ops_vector
    .balign 4
ops_vector:
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    lla sp, boot_stack_end
    call ops_trapped
