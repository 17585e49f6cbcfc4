/* sstateen0, hstateen0, hgeie, siselect, vsiselect, jvt, scontext, hcontext, srmcfg, sctrctl, sstateen1,
   senvcfg, sscratch, hvictl, hvien, henvcfg */
#define LIST 0x10c, 0x60c, 0x607, 0x150, 0x250, 0x017, 0x5a8, 0x6a8, 0x181, 0x14e, 0x10d, 0x10a, 0x140, 0x609, 0x608, 0x60a

    .macro begin
    lla t0, 9f
    csrrw t0, stvec, t0
    slli a0, a0, 3
    lla t1, 1f
    add t1, t1, a0
    jr t1
    .p2align 2
    .option push
    .option norvc
1:
    .endm
    .macro end
2:  csrw stvec, t0
    li a0, 1
    ret
    .p2align 2
9:  csrw stvec, t0
    li a0, 0
    ret
    .option pop
    .endm

    .text
    .globl csr_get, csr_put
csr_get:
    begin
    .irp csr, LIST
    csrr t2, \csr
    j 3f
    .endr
3:  sd t2, (a1)
    end
csr_put:
    begin
    .irp csr, LIST
    csrw \csr, a1
    j 2f
    .endr
    end
