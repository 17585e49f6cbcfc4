# The vector registers as memory: each value is seen by whoever looks at the bytes, not by what was computed.

# uint64_t vector_length(void): vlenb, or 0 if sstatus.VS stays Off.
    .text
    .globl vector_length
vector_length:
    li t0, 0x600
    csrs sstatus, t0
    csrr t1, sstatus
    and t1, t1, t0
    li a0, 0
    beqz t1, 1f
    csrr a0, vlenb
1:  ret

# void vector_fill(const void *bytes, uint64_t vl, uint64_t vcsr, uint64_t vstart): 32 registers; vtype e16, m2
    .globl vector_fill
vector_fill:
    csrr t0, vlenb
    slli t0, t0, 3
    csrw vstart, zero
    .irp n, 0,8,16,24
    vl8re8.v v\n, (a0)
    add a0, a0, t0
    .endr
    vsetvli zero, a1, e16, m2, ta, ma
    csrw vcsr, a2
    csrw vstart, a3
    ret

# void vector_look(void *bytes, uint64_t csrs[4]): vl, vtype, vcsr, vstart
    .globl vector_look
vector_look:
    csrr t0, vl
    sd t0, 0(a1)
    csrr t0, vtype
    sd t0, 8(a1)
    csrr t0, vcsr
    sd t0, 16(a1)
    csrr t1, vstart
    sd t1, 24(a1)
    csrr t0, vlenb
    slli t0, t0, 3
    csrw vstart, zero
    .irp n, 0,8,16,24
    vs8r.v v\n, (a0)
    add a0, a0, t0
    .endr
    csrw vstart, t1
    ret

# long vector_use(void): 0, or the cause + 1 with which a vector instruction trapped, sstatus.VS being what it is
    .globl vector_use
vector_use:
    lla t2, 2f
    csrrw t2, stvec, t2
    li a0, 0
    .option push
    .option norvc
    vsetvli zero, zero, e8, m1, ta, ma
    .option pop
    j 3f
    .balign 4
2:  csrr a0, scause
    addi a0, a0, 1
3:  csrw stvec, t2
    ret

    .globl vector_trapped
    .balign 4
vector_trap:
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    lla sp, boot_stack_end
    call vector_trapped

    .globl vector_arm
vector_arm:
    lla t0, vector_trap
    csrw stvec, t0
    ret
