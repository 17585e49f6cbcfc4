# attack: into an instruction that may trap, and out of it. tp is not used by what the compiler makes: in the handler
# it is the struct attempt.

    .text
    .option norvc
    .globl attempt_run
attempt_run:
    mv tp, a0
    sd ra, 104(tp)
    sd sp, 112(tp)
    sd s0, 120(tp)
    sd s1, 128(tp)
    sd s2, 136(tp)
    sd s3, 144(tp)
    sd s4, 152(tp)
    sd s5, 160(tp)
    sd s6, 168(tp)
    sd s7, 176(tp)
    sd s8, 184(tp)
    sd s9, 192(tp)
    sd s10, 200(tp)
    sd s11, 208(tp)
    lla t0, caught
    csrw stvec, t0
    ld t0, 64(tp)
    csrw sepc, t0
    ld t0, 72(tp)
    csrw sstatus, t0
    ld a0, 0(tp)
    ld a1, 8(tp)
    ld a2, 16(tp)
    ld a3, 24(tp)
    ld a4, 32(tp)
    ld a5, 40(tp)
    ld a6, 48(tp)
    ld a7, 56(tp)
    sret

    .balign 4
caught:
    sd a0, 0(tp)
    sd a1, 8(tp)
    sd a2, 16(tp)
    sd a3, 24(tp)
    csrr t0, scause
    sd t0, 80(tp)
    csrr t0, sepc
    sd t0, 88(tp)
    csrr t0, stval
    sd t0, 96(tp)
    ld ra, 104(tp)
    ld sp, 112(tp)
    ld s0, 120(tp)
    ld s1, 128(tp)
    ld s2, 136(tp)
    ld s3, 144(tp)
    ld s4, 152(tp)
    ld s5, 160(tp)
    ld s6, 168(tp)
    ld s7, 176(tp)
    ld s8, 184(tp)
    ld s9, 192(tp)
    ld s10, 200(tp)
    ld s11, 208(tp)
    ret

# void registers_fill(uint64_t secret): f<n> = secret + n, and sscratch.
    .globl registers_fill
registers_fill:
    li t0, 3 << 13
    csrs sstatus, t0
    csrw sscratch, a0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    addi t0, a0, \n
    fmv.d.x f\n, t0
    .endr
    ret

# uint64_t registers_differ(uint64_t secret): how many of them.
    .globl registers_differ
registers_differ:
    csrr t0, sscratch
    xor t0, t0, a0
    snez t1, t0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d t0, f\n
    addi t2, a0, \n
    xor t0, t0, t2
    snez t0, t0
    add t1, t1, t0
    .endr
    mv a0, t1
    ret
