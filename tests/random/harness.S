/* Entry, trap handlers and program start of the random-program comparison. See image.h. */
#include "image.h"

    .option norvc
    .option norelax
    .section .text.start
    .global _start
_start:
    lla     t0, mtrap_entry
    csrw    mtvec, t0
    csrr    t0, mhartid
    bnez    t0, 2f
    lla     sp, stack_top
    call    harness_main
1:  j       1b
2:  lla     sp, storm_stack_top
    call    storm_main

    .macro each_x op, base
    \op     x1, 8(\base)
    \op     x2, 16(\base)
    \op     x3, 24(\base)
    \op     x4, 32(\base)
    \op     x6, 48(\base)
    \op     x7, 56(\base)
    \op     x8, 64(\base)
    \op     x9, 72(\base)
    \op     x10, 80(\base)
    \op     x11, 88(\base)
    \op     x12, 96(\base)
    \op     x13, 104(\base)
    \op     x14, 112(\base)
    \op     x15, 120(\base)
    \op     x16, 128(\base)
    \op     x17, 136(\base)
    \op     x18, 144(\base)
    \op     x19, 152(\base)
    \op     x20, 160(\base)
    \op     x21, 168(\base)
    \op     x22, 176(\base)
    \op     x23, 184(\base)
    \op     x24, 192(\base)
    \op     x25, 200(\base)
    \op     x26, 208(\base)
    \op     x27, 216(\base)
    \op     x28, 224(\base)
    \op     x29, 232(\base)
    \op     x30, 240(\base)
    \op     x31, 248(\base)
    .endm
    .macro each_f op, base
    \op     f0, D_F+0(\base)
    \op     f1, D_F+8(\base)
    \op     f2, D_F+16(\base)
    \op     f3, D_F+24(\base)
    \op     f4, D_F+32(\base)
    \op     f5, D_F+40(\base)
    \op     f6, D_F+48(\base)
    \op     f7, D_F+56(\base)
    \op     f8, D_F+64(\base)
    \op     f9, D_F+72(\base)
    \op     f10, D_F+80(\base)
    \op     f11, D_F+88(\base)
    \op     f12, D_F+96(\base)
    \op     f13, D_F+104(\base)
    \op     f14, D_F+112(\base)
    \op     f15, D_F+120(\base)
    \op     f16, D_F+128(\base)
    \op     f17, D_F+136(\base)
    \op     f18, D_F+144(\base)
    \op     f19, D_F+152(\base)
    \op     f20, D_F+160(\base)
    \op     f21, D_F+168(\base)
    \op     f22, D_F+176(\base)
    \op     f23, D_F+184(\base)
    \op     f24, D_F+192(\base)
    \op     f25, D_F+200(\base)
    \op     f26, D_F+208(\base)
    \op     f27, D_F+216(\base)
    \op     f28, D_F+224(\base)
    \op     f29, D_F+232(\base)
    \op     f30, D_F+240(\base)
    \op     f31, D_F+248(\base)
    .endm

    .text
/*
 * void program_run(const struct descriptor *, uint64_t mstatus, uint64_t by_sret): mret into the program, or sret,
 * into a guest where by_sret is hstatus.SPV: QEMU 10.0 loses what is written to MPV; returns when it has
 * ended, with its registers in mframe and, by save_f, in the record.
 */
    .global program_run
program_run:
    addi    sp, sp, -112
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    sd      s1, 16(sp)
    sd      s2, 24(sp)
    sd      s3, 32(sp)
    sd      s4, 40(sp)
    sd      s5, 48(sp)
    sd      s6, 56(sp)
    sd      s7, 64(sp)
    sd      s8, 72(sp)
    sd      s9, 80(sp)
    sd      s10, 88(sp)
    sd      s11, 96(sp)
    lla     t0, run_sp
    sd      sp, 0(t0)
    mv      t0, a0
    each_f  fld, t0
    ld      t1, D_FCSR(t0)
    fscsr   t1
    csrw    mstatus, a1
    ld      t1, 0(t0)
    csrw    mepc, t1
    bnez    a2, 1f
    each_x  ld, t0
    ld      t0, 40(t0)
    mret
1:  csrw    sepc, t1
    andi    a2, a2, 0x80
    csrs    0x600, a2 /* hstatus.SPV */
    each_x  ld, t0
    ld      t0, 40(t0)
    sret
    .global program_leave
program_leave:
    lla     t0, run_sp
    ld      sp, 0(t0)
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    ld      s1, 16(sp)
    ld      s2, 24(sp)
    ld      s3, 32(sp)
    ld      s4, 40(sp)
    ld      s5, 48(sp)
    ld      s6, 56(sp)
    ld      s7, 64(sp)
    ld      s8, 72(sp)
    ld      s9, 80(sp)
    ld      s10, 88(sp)
    ld      s11, 96(sp)
    addi    sp, sp, 112
    ret

/* MPRV is cleared before the first access, which must be M-mode's. mscratch belongs to this handler. */
    .balign 4
    .global mtrap_entry
mtrap_entry:
    csrw    mscratch, t0
    lui     t0, 0x20
    csrc    mstatus, t0
    lla     t0, mframe
    each_x  sd, t0
    csrr    t1, mscratch
    sd      t1, 40(t0)
    lla     sp, trap_stack_top
    call    trap_m
    bnez    a0, program_leave
    lla     t0, mframe
    each_x  ld, t0
    ld      t0, 40(t0)
    mret

/* sscratch belongs to these handlers, or vsscratch. */
    .macro lower_handler name, c_handler
    .balign 4
    .global \name\()_entry
\name\()_entry:
    csrw    sscratch, t0
    lla     t0, sframe
    each_x  sd, t0
    csrr    t1, sscratch
    sd      t1, 40(t0)
    lla     sp, strap_stack_top
    call    \c_handler
    bnez    a0, 1f
    lla     t0, sframe
    each_x  ld, t0
    ld      t0, 40(t0)
    sret
1:  lla     t0, sframe /* M-mode is to see the program's registers */
    each_x  ld, t0
    ld      t0, 40(t0)
    .global \name\()_ecall
\name\()_ecall:
    ecall
    .endm
    lower_handler strap, trap_s
    lower_handler vstrap, trap_vs

/* void save_f(struct record *) */
    .global save_f
save_f:
    each_f  fsd, a0
    ret

/* V's registers, one behind the other, at a0; vstart is 0. Not of C: it is built without V. */
    .macro each_v op
    csrr    t0, vlenb
    slli    t0, t0, 3
    \op     v0, (a0)
    add     a0, a0, t0
    \op     v8, (a0)
    add     a0, a0, t0
    \op     v16, (a0)
    add     a0, a0, t0
    \op     v24, (a0)
    ret
    .endm
/* void save_v(uint64_t *) */
    .global save_v
save_v:
    each_v  vs8r.v
/* void load_v(const uint64_t *) */
    .global load_v
load_v:
    each_v  vl8re8.v
/* void set_vl(uint64_t vl, uint64_t vtype) */
    .global set_vl
set_vl:
    vsetvl  zero, a0, a1
    ret

    .bss
    .balign 16
    .global mframe, sframe
mframe: .skip 256
sframe: .skip 256
run_sp: .skip 8
