/* Vector instructions under test, for vector_rt.c. Assembled with V; C is not. */
#include "vector.h"

/* void vector_call(struct vector_state *, const void *code): the state into the hart, the code, and back. V is on. */
    .text
    .global vector_call
vector_call:
    addi    sp, sp, -32
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    mv      s0, a0
    mv      t2, a1
    csrw    vstart, zero
    csrr    t1, vlenb
    slli    t1, t1, 3
    addi    t0, s0, VS_V
    vl8re8.v v0, (t0)
    add     t0, t0, t1
    vl8re8.v v8, (t0)
    add     t0, t0, t1
    vl8re8.v v16, (t0)
    add     t0, t0, t1
    vl8re8.v v24, (t0)
    ld      t0, VS_CSRS+32(s0)
    fscsr   t0
    fld     fa0, VS_F(s0)
    fld     fa1, VS_F+8(s0)
    ld      t0, VS_CSRS(s0)
    ld      t1, VS_CSRS+8(s0)
    vsetvl  zero, t0, t1
    ld      t0, VS_CSRS+24(s0)
    csrw    vcsr, t0
    ld      a0, VS_A(s0)
    ld      a1, VS_A+8(s0)
    ld      a2, VS_A+16(s0)
    ld      t0, VS_CSRS+16(s0)
    csrw    vstart, t0
    li      t0, 3 << 9
    csrc    sstatus, t0
    li      t0, 1 << 9
    csrs    sstatus, t0
    jalr    t2
    csrr    t0, sstatus
    li      t1, 3 << 9
    and     t0, t0, t1
    sd      t0, VS_ON(s0)
    sd      a0, VS_A(s0)
    fsd     fa0, VS_F(s0)
    frcsr   t0
    sd      t0, VS_CSRS+32(s0)
    csrr    t0, vstart
    sd      t0, VS_CSRS+16(s0)
    csrw    vstart, zero
    csrr    t0, vl
    sd      t0, VS_CSRS(s0)
    csrr    t0, vtype
    sd      t0, VS_CSRS+8(s0)
    csrr    t0, vcsr
    sd      t0, VS_CSRS+24(s0)
    csrr    t1, vlenb
    slli    t1, t1, 3
    addi    t0, s0, VS_V
    vs8r.v  v0, (t0)
    add     t0, t0, t1
    vs8r.v  v8, (t0)
    add     t0, t0, t1
    vs8r.v  v16, (t0)
    add     t0, t0, t1
    vs8r.v  v24, (t0)
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    addi    sp, sp, 32
    ret
