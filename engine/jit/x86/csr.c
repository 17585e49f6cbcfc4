/* CSRs that are plain state, and sstatus as kernels use it most, without a call of C. */
#include "riscv/csr.h"
#include "engine/jit/jit.h"
#include "engine/jit/x86/lower.h"

/* What sstatus has of mstatus, UXL and SD apart (Privileged ISA 20240411, 10.1.1). */
#define SSTATUS_BITS                                                                               \
    ((int32_t)(MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR))

/* False: it is more than a word of the hart, or writing it has consequences. */
static bool plain(unsigned csr, int32_t *at, bool *even)
{
    *even = csr == CSR_sepc || csr == CSR_mepc; /* bit 0 is zero (IALIGN is 16) */
    switch (csr) {
    case CSR_sscratch: *at = VCPU(sscratch); return true;
    case CSR_sepc: *at = VCPU(sepc); return true;
    case CSR_scause: *at = VCPU(scause); return true;
    case CSR_stval: *at = VCPU(stval); return true;
    case CSR_mscratch: *at = VCPU(mscratch); return true;
    case CSR_mepc: *at = VCPU(mepc); return true;
    case CSR_mcause: *at = VCPU(mcause); return true;
    case CSR_mtval: *at = VCPU(mtval); return true;
    default: return false;
    }
}

/* rax: sstatus */
static void read_sstatus(struct x86_code *c)
{
    x_load(c, RAX, mem_at(R_VCPU, VCPU(mstatus)));
    /* SD is 1 if both bits of FS are: then adding the lower one carries into the bit above them. */
    x_mov32(c, RDX, RAX);
    x_alu_const(c, false, ALU_AND, RDX, (int32_t)MSTATUS_FS);
    x_alu_const(c, false, ALU_ADD, RDX, 1 << 13);
    x_alu_const(c, false, ALU_AND, RDX, 1 << 15);
    x_shift(c, true, SHIFT_SHL, RDX, 63 - 15);
    x_alu_const(c, true, ALU_AND, RAX, SSTATUS_BITS);
    x_alu(c, true, ALU_OR, RAX, RDX);
    x_const(c, RDX, (int64_t)MSTATUS_UXL);
    x_alu(c, true, ALU_OR, RAX, RDX);
}

/* Interrupts on or off; rax: what sstatus was. Jumps away, with nothing done, if one may be there
 * to be taken. */
static void change_sie(struct lowering *l, const struct ir *ir, bool on, x86_hole *pending)
{
    struct x86_code *c = &l->c;
    struct x86_mem status = mem_at(R_VCPU, VCPU(mstatus));
    if (on) {
        x_load(c, RAX, mem_at(R_VCPU, VCPU(mie)));
        x_mem(c, true, 0x85, RAX, mem_at(R_VCPU, VCPU(mip))); /* test */
        pending[0] = x_jcc(c, CC_NE);
        x_mem(c, false, 0x80, ALU_CMP, mem_at(R_VCPU, VCPU(mip_seip)));
        put8(c, 0);
        pending[1] = x_jcc(c, CC_NE);
    }
    if (ir->dst != IR_X(0))
        read_sstatus(c);
    x_alu_mem_const(c, false, on ? ALU_OR : ALU_AND, status,
                    on ? (int32_t)MSTATUS_SIE : ~(int32_t)MSTATUS_SIE);
}

x86_hole x86_lower_csr(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const uint32_t code = (uint32_t)ir->imm;
    const unsigned csr = code & 0xfff, kind = code >> 12 & 7;
    const bool reads = (code & JIT_CSR_READS) != 0, writes = (code & JIT_CSR_WRITES) != 0;
    const bool sie = csr == CSR_sstatus && writes && kind != JIT_CSR_WRITE && ir->a == IR_NONE &&
                     ir->c == MSTATUS_SIE;
    x86_hole slow[3] = {NULL, NULL, NULL};
    bool even = false;
    int32_t at = 0;

    if (kind > JIT_CSR_CLEAR || jit_options()->audit)
        return NULL;
    if (csr != CSR_sstatus ? !plain(csr, &at, &even) || (writes && kind != JIT_CSR_WRITE)
                           : writes && !sie)
        return NULL;
    /* cmp byte [priv], the CSR's */
    x_mem(c, false, 0x80, ALU_CMP, mem_at(R_VCPU, VCPU(priv)));
    put8(c, (uint8_t)(csr >> 8 & 3));
    slow[0] = x_jcc(c, CC_B);
    if (sie) {
        change_sie(l, ir, kind == JIT_CSR_SET, slow + 1);
    } else if (csr == CSR_sstatus) {
        read_sstatus(c);
    } else {
        if (writes && ir->a == IR_NONE)
            x_const(c, RDX, ir->c);
        else if (writes)
            x86_get(l, RDX, ir->a);
        if (even && writes)
            x_alu_const(c, true, ALU_AND, RDX, -2);
        if (reads)
            x_load(c, RAX, mem_at(R_VCPU, at));
        if (writes)
            x_store(c, mem_at(R_VCPU, at), RDX);
    }
    if (reads)
        x86_put(l, ir->dst, RAX);
    x86_hole done = x_jmp(c);
    for (unsigned i = 0; i < 3; i++) {
        if (slow[i] != NULL)
            x_here(c, slow[i]);
    }
    return done;
}
