/* Entry, trap vectors and mode changes of the ISA tests. See isa.h. */
    .option norvc
    .option norelax
    .section .text.start
    .global _start
_start:
    .option push
    .option norelax
    csrr    t0, mhartid
    bnez    t0, other_hart
    lla     t0, mtrap_entry
    csrw    mtvec, t0
    lla     sp, stack_top
    lla     t0, bss_start
    lla     t1, bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  li      t0, 0x6000              /* mstatus.FS */
    csrs    mstatus, t0
    call    rt_start
3:  j       3b

/* Another hart waits by PAUSE for a function, runs it once and stays. It takes no traps. */
other_hart:
    lla     sp, other_stack_top
    lla     t0, other_entry
1:  .4byte  0x0100000f
    ld      t1, 0(t0)
    beqz    t1, 1b
    fence
    jalr    t1
2:  wfi
    j       2b
    .option pop

    .data
    .balign 16
    .global other_entry
other_entry: .dword 0
    .skip   4096
other_stack_top:

    .text
    .macro save_all base
    sd      x1, 8(\base)
    sd      x2, 16(\base)
    sd      x3, 24(\base)
    sd      x4, 32(\base)
    sd      x6, 48(\base)
    sd      x7, 56(\base)
    sd      x8, 64(\base)
    sd      x9, 72(\base)
    sd      x10, 80(\base)
    sd      x11, 88(\base)
    sd      x12, 96(\base)
    sd      x13, 104(\base)
    sd      x14, 112(\base)
    sd      x15, 120(\base)
    sd      x16, 128(\base)
    sd      x17, 136(\base)
    sd      x18, 144(\base)
    sd      x19, 152(\base)
    sd      x20, 160(\base)
    sd      x21, 168(\base)
    sd      x22, 176(\base)
    sd      x23, 184(\base)
    sd      x24, 192(\base)
    sd      x25, 200(\base)
    sd      x26, 208(\base)
    sd      x27, 216(\base)
    sd      x28, 224(\base)
    sd      x29, 232(\base)
    sd      x30, 240(\base)
    sd      x31, 248(\base)
    .endm
    .macro load_all base /* all but x5, which is the base */
    ld      x1, 8(\base)
    ld      x2, 16(\base)
    ld      x3, 24(\base)
    ld      x4, 32(\base)
    ld      x6, 48(\base)
    ld      x7, 56(\base)
    ld      x8, 64(\base)
    ld      x9, 72(\base)
    ld      x10, 80(\base)
    ld      x11, 88(\base)
    ld      x12, 96(\base)
    ld      x13, 104(\base)
    ld      x14, 112(\base)
    ld      x15, 120(\base)
    ld      x16, 128(\base)
    ld      x17, 136(\base)
    ld      x18, 144(\base)
    ld      x19, 152(\base)
    ld      x20, 160(\base)
    ld      x21, 168(\base)
    ld      x22, 176(\base)
    ld      x23, 184(\base)
    ld      x24, 192(\base)
    ld      x25, 200(\base)
    ld      x26, 208(\base)
    ld      x27, 216(\base)
    ld      x28, 224(\base)
    ld      x29, 232(\base)
    ld      x30, 240(\base)
    ld      x31, 248(\base)
    .endm

/*
 * M-mode trap: mscratch is the handler's. MPRV is cleared before the first memory access, because the
 * handler's own accesses must be M-mode's (mtrap_mprv keeps what it was).
 */
    .balign 4
    .global mtrap_entry
mtrap_entry:
    csrw    mscratch, t0
    lui     t0, 0x20
    csrc    mstatus, t0
    lla     t0, mframe
    save_all t0
    csrr    t1, mscratch
    sd      t1, 40(t0)
    mv      a0, t0
    lla     sp, trap_stack_top
    call    trap_m
    lla     t0, mframe
    load_all t0
    ld      t0, 40(t0)
    mret

    .balign 4
    .global strap_entry
strap_entry:
    csrw    sscratch, t0
    lla     t0, sframe
    save_all t0
    csrr    t1, sscratch
    sd      t1, 40(t0)
    mv      a0, t0
    lla     sp, strap_stack_top
    call    trap_s
    lla     t0, sframe
    load_all t0
    ld      t0, 40(t0)
    sret

    /* Asks M-mode to end the current run_in, from S-mode's handler. */
    .global strap_leave
strap_leave:
    ecall
    ret

/* uint64_t run_enter(uint64_t pc, uint64_t a0, uint64_t a1, uint64_t sp): mret into the mode in mstatus.MPP. */
    .global run_enter
run_enter:
    lla     t0, run_context
    sd      ra, 0(t0)
    sd      sp, 8(t0)
    sd      s0, 16(t0)
    sd      s1, 24(t0)
    sd      s2, 32(t0)
    sd      s3, 40(t0)
    sd      s4, 48(t0)
    sd      s5, 56(t0)
    sd      s6, 64(t0)
    sd      s7, 72(t0)
    sd      s8, 80(t0)
    sd      s9, 88(t0)
    sd      s10, 96(t0)
    sd      s11, 104(t0)
    sd      gp, 112(t0)
    sd      tp, 120(t0)
    csrw    mepc, a0
    mv      sp, a3
    lla     ra, run_done
    lla     t1, run_alias
    ld      t1, 0(t1)
    add     ra, ra, t1
    mv      t2, a1
    mv      a1, a2
    mv      a0, t2
    mret
    .global run_virtual /* in HS-mode: into the mode in hstatus.SPV and sstatus.SPP */
run_virtual:
    sret
    .global run_done
run_done:
    ecall
    .global run_leave /* the trap handler returns here, in M-mode */
run_leave:
    lla     t0, run_context
    ld      ra, 0(t0)
    ld      sp, 8(t0)
    ld      s0, 16(t0)
    ld      s1, 24(t0)
    ld      s2, 32(t0)
    ld      s3, 40(t0)
    ld      s4, 48(t0)
    ld      s5, 56(t0)
    ld      s6, 64(t0)
    ld      s7, 72(t0)
    ld      s8, 80(t0)
    ld      s9, 88(t0)
    ld      s10, 96(t0)
    ld      s11, 104(t0)
    ld      gp, 112(t0)
    ld      tp, 120(t0)
    ret

/*
 * void call_stub(const void *code, struct stub_regs *regs): a0..a2, fa0..fa3 and fcsr from regs, calls, stores
 * a0, fa0 and fcsr back. Stubs use a0..a2 and fa0..fa3 alone.
 */
    .global call_stub
call_stub:
    addi    sp, sp, -16
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    mv      s0, a1
    mv      t0, a0
    ld      t1, 56(s0)
    fscsr   t1
    fld     fa0, 24(s0)
    fld     fa1, 32(s0)
    fld     fa2, 40(s0)
    fld     fa3, 48(s0)
    ld      a0, 0(s0)
    ld      a1, 8(s0)
    ld      a2, 16(s0)
    jalr    t0
    sd      a0, 0(s0)
    fsd     fa0, 24(s0)
    frcsr   t1
    sd      t1, 56(s0)
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    addi    sp, sp, 16
    ret

    .bss
    .balign 16
    .global mframe, sframe, run_context
mframe: .skip 264
sframe: .skip 264
run_context: .skip 128
