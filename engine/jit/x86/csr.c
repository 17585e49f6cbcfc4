/* CSRs that are plain state, and sstatus as kernels use it most, without a call of C. */
#include "riscv/csr.h"
#include "engine/jit/jit.h"
#include "engine/jit/x86/lower.h"

/* Jumps to what is done by a call. */
struct slow {
    x86_hole from[8];
    unsigned count;
};

static void slow_if(struct x86_code *c, enum x86_cc cc, struct slow *slow)
{
    slow->from[slow->count++] = x_jcc(c, cc);
}

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

/* Whether the harts have V, and with it VS in sstatus. */
static bool has_vector(const struct lowering *l)
{
    return l->block->isa == NULL || riscv_isa_has(l->block->isa, EXT_V);
}

/* rax: mstatus, and then sstatus. */
static void to_sstatus(struct x86_code *c, bool vector)
{
    /* SD is 1 if both bits of FS are, or of VS: then adding the lower one carries into the bit
     * above them. */
    const uint32_t fields = (uint32_t)(MSTATUS_FS | (vector ? MSTATUS_VS : 0));
    x_mov32(c, RDX, RAX);
    x_alu_const(c, false, ALU_AND, RDX, (int32_t)fields);
    x_alu_const(c, false, ALU_ADD, RDX, (int32_t)(fields & ~(fields << 1)));
    x_alu_const(c, false, ALU_AND, RDX, (int32_t)(fields << 1 & ~fields));
    if (vector) {
        x_group3(c, true, G3_NEG, RDX); /* bit 63: there was one */
        x_shift(c, true, SHIFT_SHR, RDX, 63);
        x_shift(c, true, SHIFT_SHL, RDX, 63);
    } else {
        x_shift(c, true, SHIFT_SHL, RDX, 63 - 15);
    }
    x_alu_const(c, true, ALU_AND, RAX, (int32_t)(SSTATUS_MASK | (vector ? MSTATUS_VS : 0)));
    x_alu(c, true, ALU_OR, RAX, RDX);
    x_const(c, RDX, (int64_t)MSTATUS_UXL);
    x_alu(c, true, ALU_OR, RAX, RDX);
}

/* Jumps away if interrupts, were they on, might have to be taken. */
static void check_pending(struct x86_code *c, struct slow *slow)
{
    x_load(c, RCX, mem_at(R_VCPU, VCPU(mie)));
    x_mem(c, true, 0x85, RCX, mem_at(R_VCPU, VCPU(mip))); /* test */
    slow_if(c, CC_NE, slow);
    x_mem(c, false, 0x80, ALU_CMP, mem_at(R_VCPU, VCPU(mip_seip)));
    put8(c, 0);
    slow_if(c, CC_NE, slow);
}

/* Interrupts on or off; rax: what mstatus was. Jumps away with nothing done. */
static void change_sie(struct x86_code *c, bool on, struct slow *slow)
{
    struct x86_mem status = mem_at(R_VCPU, VCPU(mstatus));
    if (on)
        check_pending(c, slow);
    x_load(c, RAX, status);
    x_alu_mem_const(c, false, on ? ALU_OR : ALU_AND, status,
                    on ? (int32_t)MSTATUS_SIE : ~(int32_t)MSTATUS_SIE);
}

/* rcx: the context with the other SUM, which translated code goes on in. */
static void change_context(struct x86_code *c, struct slow *slow)
{
    x_alu_const(c, false, ALU_AND, RCX, (int32_t)MSTATUS_MXR);
    slow_if(c, CC_NE, slow);
    x_load(c, RCX, mem_at(R_CONTEXT, CONTEXT(other_sum)));
    x_test(c, true, RCX, RCX);
    slow_if(c, CC_E, slow);
    x_mov(c, R_CONTEXT, RCX);
    x_load(c, RCX, mem_at(R_CONTEXT, CONTEXT(cpu)));
    x_store(c, mem_at(RCX, (int32_t)offsetof(struct jit_cpu, context)), R_CONTEXT);
}

/* rdx: the operand; rax: what mstatus was. Jumps away with nothing done. */
static void write_sstatus(struct x86_code *c, unsigned kind, bool vector, struct slow *slow)
{
    const struct x86_mem status = mem_at(R_VCPU, VCPU(mstatus));
    const int32_t mask = (int32_t)(SSTATUS_MASK | (vector ? MSTATUS_VS : 0));

    x_alu_const(c, true, ALU_AND, RDX, mask);
    x_load(c, RAX, status);
    if (kind == JIT_CSR_WRITE) {
        x_mov(c, RCX, RAX);
        x_alu_const(c, true, ALU_AND, RCX, ~mask);
        x_alu(c, true, ALU_OR, RDX, RCX);
    } else if (kind == JIT_CSR_SET) {
        x_alu(c, true, ALU_OR, RDX, RAX);
    } else {
        x_group3(c, true, G3_NOT, RDX);
        x_alu(c, true, ALU_AND, RDX, RAX);
    }
    put8(c, 0xf6); /* test dl */
    put8(c, 0xc0 | RDX);
    put8(c, MSTATUS_SIE);
    x86_hole off = x_jcc(c, CC_E);
    check_pending(c, slow);
    x_here(c, off);
    x_mov(c, RCX, RAX);
    x_alu(c, true, ALU_XOR, RCX, RDX);
    x_alu_const(c, false, ALU_AND, RCX, (int32_t)(MSTATUS_SUM | MSTATUS_MXR));
    x86_hole alike = x_jcc(c, CC_E);
    change_context(c, slow);
    x_here(c, alike);
    x_store(c, status, RDX);
}

x86_hole x86_lower_csr(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const uint32_t code = (uint32_t)ir->imm;
    const unsigned csr = code & 0xfff, kind = code >> 12 & 7;
    const bool reads = (code & JIT_CSR_READS) != 0, writes = (code & JIT_CSR_WRITES) != 0;
    struct slow slow = {.count = 0};
    bool even = false;
    int32_t at = 0;

    if (kind > JIT_CSR_CLEAR || jit_options()->audit)
        return NULL;
    if (csr != CSR_sstatus && (!plain(csr, &at, &even) || (writes && kind != JIT_CSR_WRITE)))
        return NULL;
    /* cmp byte [priv], the CSR's */
    x_mem(c, false, 0x80, ALU_CMP, mem_at(R_VCPU, VCPU(priv)));
    put8(c, (uint8_t)(csr >> 8 & 3));
    slow_if(c, CC_B, &slow);
    const bool sie =
        csr == CSR_sstatus && kind != JIT_CSR_WRITE && ir->a == IR_NONE && ir->c == MSTATUS_SIE;
    if (writes && !sie) {
        if (ir->a == IR_NONE)
            x_const(c, RDX, ir->c);
        else
            x86_get(l, RDX, ir->a);
    }
    if (csr == CSR_sstatus) {
        /* HS may have FP (or V) off while VS has it on, which is not in mstatus then; and that VS
         * has made it dirty is to be kept for HS before VS says that it is clean. */
        x_mem(c, false, 0x80, ALU_CMP,
              mem_at(R_VCPU, writes && !sie ? VCPU(virt) : VCPU(fs_hidden) + 1));
        put8(c, 0);
        slow_if(c, CC_NE, &slow);
        if (writes && sie)
            change_sie(c, kind == JIT_CSR_SET, &slow);
        else if (writes)
            write_sstatus(c, kind, has_vector(l), &slow);
        else
            x_load(c, RAX, mem_at(R_VCPU, VCPU(mstatus)));
        if (reads && ir->dst != IR_X(0))
            to_sstatus(c, has_vector(l));
    } else {
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
    for (unsigned i = 0; i < slow.count; i++)
        x_here(c, slow.from[i]);
    return done;
}
