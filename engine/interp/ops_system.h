/* Fences, traps, privileged operations, CSRs. Included by run.c inside interp_run. */

#define SUCC_READ 2
#define PRED_WRITE (1 << 4)

    /* Only store-to-load order needs an instruction on hosts with total store order. */
    OP(fence)
    {
        if ((op->imm & (PRED_WRITE | SUCC_READ)) == (PRED_WRITE | SUCC_READ))
            atomic_thread_fence(memory_order_seq_cst);
        else
            atomic_thread_fence(memory_order_acq_rel);
        NEXT;
    }
    /* Not by a link: when generations wrap, the fence has dropped the blocks that links name. */
    OP(fence_i)
    {
        interp_code_fence(it);
        hart->pc = pc + b->bytes;
        goto finished;
    }
    OP(pause)
    {
        if (vcpu->vm->vcpu_count > 1)
            host_yield();
        NEXT;
    }
    OP(ecall)
    {
        if (riscv_ecall_is_sbi(hart)) {
            hart->pc = pc + b->bytes;
            hart->instret = done + b->count;
            return leave(it, EXIT_SBI);
        }
        cause = riscv_ecall_cause(hart);
        tval = 0;
        goto trap;
    }
    OP(ebreak)
    {
        cause = CAUSE_BREAKPOINT;
        tval = PC;
        goto trap;
    }
    OP(mret)
    {
        if (!riscv_mret(hart))
            goto illegal;
        goto finished;
    }
    OP(sret)
    {
        if (!riscv_sret(hart))
            goto illegal;
        goto finished;
    }
    OP(wfi)
    {
        if (!riscv_wfi_allowed(hart))
            goto illegal;
        hart->pc = pc + b->bytes;
        if (riscv_vcpu_wfi_done(hart))
            goto finished;
        hart->instret = done + b->count;
        return leave(it, EXIT_WFI);
    }
    /* Zawrs: a wait may end at any time; let others run, then let software look again. */
    OP(wrs_nto)
    OP(wrs_sto)
    {
        hart->pc = pc + b->bytes;
        host_yield();
        goto finished;
    }
    OP(sinval_vma)
    OP(sfence_vma)
    {
        if (!riscv_sfence_allowed(hart))
            goto illegal;
        if (op->rs1 == 0)
            interp_tlb_flush(it);
        else
            interp_tlb_flush_page(it, RS1);
        hart->pc = pc + b->bytes;
        goto finished;
    }
    /* It knows one guest at a time. */
    OP(hinval_vvma)
    OP(hfence_vvma)
    {
        if (!riscv_hfence_allowed(hart, false))
            goto illegal;
        interp_tlb_flush(it);
        hart->pc = pc + b->bytes;
        goto finished;
    }
    OP(hinval_gvma)
    OP(hfence_gvma)
    {
        if (!riscv_hfence_allowed(hart, true))
            goto illegal;
        interp_tlb_flush(it);
        hart->pc = pc + b->bytes;
        goto finished;
    }
    /* Svinval's fences order what SINVAL.VMA has already done; below S-mode they are illegal. */
    OP(sfence_w_inval)
    OP(sfence_inval_ir)
    {
        if (hart->priv == PRIV_U)
            goto illegal;
        NEXT;
    }

/* `source` is the operand; a set or clear with register or immediate field 0 does not write. */
#define CSR(name, source, reads, writes, update)                                                   \
    OP(name)                                                                                       \
    {                                                                                              \
        const uint64_t operand = (source);                                                         \
        const bool write = (writes);                                                               \
        uint64_t old = 0;                                                                          \
        SYNC;                                                                                      \
        if ((reads) && unlikely(!riscv_csr_read(hart, (unsigned)op->imm, write, &old)))            \
            goto illegal;                                                                          \
        if (!write) {                                                                              \
            RD = old;                                                                              \
            NEXT;                                                                                  \
        }                                                                                          \
        if (unlikely(!riscv_csr_write(hart, (unsigned)op->imm, update)))                           \
            goto illegal;                                                                          \
        RD = old;                                                                                  \
        if (hart->effects != 0) {                                                                  \
            hart->pc = pc + b->bytes;                                                              \
            goto finished;                                                                         \
        }                                                                                          \
        GO(pc + b->bytes, next);                                                                   \
    }
    CSR(csrrw, RS1, op->rd != 32, true, operand)
    CSR(csrrs, RS1, true, op->rs1 != 0, riscv_csr_base(hart, (unsigned)op->imm, old) | operand)
    CSR(csrrc, RS1, true, op->rs1 != 0, riscv_csr_base(hart, (unsigned)op->imm, old) & ~operand)
    CSR(csrrwi, op->rs1, op->rd != 32, true, operand)
    CSR(csrrsi, op->rs1, true, op->rs1 != 0, riscv_csr_base(hart, (unsigned)op->imm, old) | operand)
    CSR(csrrci, op->rs1, true, op->rs1 != 0, riscv_csr_base(hart, (unsigned)op->imm, old) & ~operand)

#undef CSR
#undef SUCC_READ
#undef PRED_WRITE
