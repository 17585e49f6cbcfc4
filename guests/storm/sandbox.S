# storm: into the sandbox and out of it, and interrupts elsewhere. sscratch holds the hart's struct hart.

    .text
# void sandbox_enter(struct hart *hart): sepc and sstatus are set; returns when the sandbox traps.
    .globl sandbox_enter
sandbox_enter:
    addi sp, sp, -112
    sd ra, 0(sp)
    sd s0, 8(sp)
    sd s1, 16(sp)
    sd s2, 24(sp)
    sd s3, 32(sp)
    sd s4, 40(sp)
    sd s5, 48(sp)
    sd s6, 56(sp)
    sd s7, 64(sp)
    sd s8, 72(sp)
    sd s9, 80(sp)
    sd s10, 88(sp)
    sd s11, 96(sp)
    sd sp, 512(a0)
    li t0, 1
    sd t0, 520(a0)
    .irp n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, 8*\n(a0)
    .endr
    ld a0, 80(a0)
    sret

    .globl trap_vector
    .balign 4
trap_vector:
    csrrw x31, sscratch, x31
    sd x30, 256+240(x31)
    ld x30, 520(x31)
    beqz x30, outside
    sd zero, 520(x31)
    sd a0, 560(x31)
    mv a0, x31
    csrw sscratch, a0
    csrr t0, scause
    sd t0, 528(a0)
    csrr t0, sepc
    sd t0, 536(a0)
    csrr t0, stval
    sd t0, 544(a0)
    ld sp, 512(a0)
    ld ra, 0(sp)
    ld s0, 8(sp)
    ld s1, 16(sp)
    ld s2, 24(sp)
    ld s3, 32(sp)
    ld s4, 40(sp)
    ld s5, 48(sp)
    ld s6, 56(sp)
    ld s7, 64(sp)
    ld s8, 72(sp)
    ld s9, 80(sp)
    ld s10, 88(sp)
    ld s11, 96(sp)
    addi sp, sp, 112
    ret

outside:
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    sd x\n, 256+8*\n(x31)
    .endr
    mv a0, x31
    csrrw t0, sscratch, a0
    sd t0, 256+248(a0)
    csrr s0, sepc
    csrr s1, sstatus
    mv s2, a0
    call trap_outside
    csrw sepc, s0
    csrw sstatus, s1
    mv x31, s2
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ld x\n, 256+8*\n(x31)
    .endr
    ld x31, 256+248(x31)
    sret

# A hart that starts (SBI HSM): a1 = its struct hart.
    .globl hart_entry
    .balign 4
hart_entry:
    csrw sscratch, a1
    lla t0, trap_vector
    csrw stvec, t0
    sd zero, 520(a1)
    ld sp, 552(a1)
    mv a0, a1
    call hart_loop
