/*
 * Random programs. Every instruction is drawn from the table (riscv/insn.def); what must not be
 * left to chance (addresses, jump targets, values of CSRs that could end the harness) comes from
 * registers that the program reserves and never overwrites.
 *
 * What is left out or tamed, because the specification leaves it open or a reference is known to
 * depart from it, is said here and in csr_rules, and nowhere else (Privileged and Unprivileged ISA
 * 20240411):
 *
 * 1. cycle, time, instret, mcycle, minstret, misa and the identity CSRs: the value read is
 *    overwritten. It is the implementation's (Privileged, 3.1.1 to 3.1.5, 3.1.10).
 * 2. mhpmcounter3.., mhpmevent3.., hpmcounter3..: not accessed. Which ones exist is the platform's
 *    choice (3.1.10); QEMU makes those beyond its PMU mask illegal, not read-only zero.
 * 3. WLRL and WARL fields get legal values alone (mcause, scause, mstatus.MPP, satp.PPN, pmpcfg.W
 *    without R, menvcfg.CBIE; 2.3). CSR numbers that name nothing come from holes that no
 *    extension fills.
 * 4. medeleg bits 0, 3 and 9 stay 0: misaligned fetches do not happen with C, so that bit 0 may be
 *    read-only (3.1.8); the harness needs EBREAK and ECALL from S-mode. tests/isa has the last two.
 * 5. SC follows an LR of the same address and width: whether an SC that is bound to fail reports a
 *    fault, and whether it compares widths, is open (Unprivileged, 13.2).
 * 6. WFI is executed where it must trap or need not wait, WRS.NTO where TW cannot make it trap: how
 *    long they wait is open (Privileged, 3.3.3; Unprivileged, "Zawrs").
 * 7. CBO.* that may fault gets the address of its block: xtval may be any address in it. xtval of
 *    EBREAK: 0 and the address count as the same (log_trap in run.c; 3.1.16).
 * 8. Programs that hart 1 interrupts (`storm` in image.h) have no SC: whether the handler of an
 *    interrupt takes the reservation away is open (Unprivileged, 13.2).
 *
 * Where QEMU departs from the specification; tests/isa holds our side of each:
 *
 * 9. sepc and mepc are only written with bit 0 clear: QEMU keeps it (3.1.14: always zero).
 * 10. SFENCE.W.INVAL and SFENCE.INVAL.IR are not executed in U-mode: QEMU lets them pass
 *    ("Svinval": illegal instruction).
 * 11. Without AIA, QEMU takes the pending interrupt of the lowest number, not MEI, MSI, MTI, SEI,
 *    SSI, STI in this order (3.1.9): the command that starts it gives it smaia and ssaia.
 * 12. amocas.* has no x0 for rd: QEMU 10.0 then corrupts the constant 0 for the instructions behind
 *    it (Unprivileged, "Zacas").
 * 13. sip.STIP is masked out of what is read: with menvcfg.STCE, QEMU 10.0 reads it as 0
 * (Privileged, "Sstc": it reflects the comparison with stimecmp). mip.STIP is compared.
 * 14. stimecmp is written with menvcfg.STCE set alone, and menvcfg not later: without it, QEMU
 * still lets the write change mip.STIP ("Sstc": then mip.STIP is as if stimecmp were not there).
 * 15. Stores do not run from a mapped page into one that maps nothing: QEMU has then written the
 * first part, we have not (Privileged, 3.1.16, lets parts fault alone).
 * 16. CBO.INVAL, CLEAN and FLUSH are not given addresses without memory: QEMU lets them pass.
 * 17. AMOs fault in programs alone whose PTEs and PMP are tamed for it: QEMU loads first, which
 * sets A, and reports what the load lacks before what the store lacks (Privileged, "Virtual Address
 *    Translation Process": one access that needs both; a page fault goes before an access fault).
 * 18. CBO.* is left out where PMP entries are on: QEMU checks one byte of the block (3.7.1: an
 * entry must match all bytes).
 * 19. mstatus.FS is Off or Dirty, never Initial or Clean: how exactly Dirty is kept is open
 * (3.1.6.6); we always set it, QEMU not by a comparison that raises no flag.
 * 20. WFI does not reach the end of a page: where it traps, QEMU 10.0 reports an epc one page too
 * high.
 * 21. FROUND.* and FROUNDNX.* are followed by a store of their result: QEMU 10.0 takes them for
 * free of side effects and drops them, flags and all, when nothing uses the result.
 * 22. QEMU 7.2 is asked about M-mode without translation, faults and interrupts alone, and about
 * CSRs of floating point: it knows no Svade and no mstateen0, has other tvals, and calls a
 * misaligned AMO a misaligned load.
 * 23. Where PMP entries are on, accesses are aligned: a misaligned one may be checked whole, as we
 * do, or in parts (3.7.1); QEMU checks its first byte.
 * 24. mstatus.VS Initial and Clean count as Dirty (run.c), and are cleared with SD where mstatus or
 * sstatus is read: they may become Dirty at any time (Unprivileged, "V", 3.2.1). vector.c has more.
 * 25. Programs of H (operands.c, make_hyper_state): guests begin by SRET, and MPV and GVA are
 * cleared where mstatus is read: QEMU 10.0 loses what M-mode writes to them, and leaves GVA as it
 * was by a trap before. Guests have TVM, TW and TSR clear and all of S's interrupts delegated to
 * HS: QEMU has TVM and TSR act in VS-mode (18.6.1: they do not), gives a WFI of VU-mode the other
 * exception, and masks a guest's sie and sip by mideleg (18.4.3: by hideleg alone). hstatus.GVA is
 * compared at traps into HS-mode: those into VS-mode clear it in QEMU. hvip has VSSIP and VSEIP
 * alone. henvcfg has menvcfg's PBMTE and ADUE where HLV and HSV go through the VS stage: QEMU takes
 * menvcfg's then. HLVX reads what may be executed: its faults are those of fetches in QEMU, for PMP
 * too (18.3.4: of loads). mstatus.GVA of what M-mode gets from HLV and HSV is not compared, nor do
 * they have two pages of which one has no memory: which fault they give is open (18.3.4, 3.1.16).
 * Of mtinst, htinst, mtval2 and htval those of guest-page faults are compared, what else writes 0
 * there is free (18.6.3); Zcb's loads and stores are left out of guests: QEMU transforms them
 * wrongly. M-mode's tables are never found by way of what the G stage refuses (tests/isa).
 */
#include "maker.h"

#include <stdlib.h>
#include <string.h>

enum item_fix { FIX_NONE, FIX_B, FIX_J, FIX_CJ, FIX_CB };

unsigned row_count(void)
{
    return OP_COUNT + insn_ctable_count;
}

const char *row_name(unsigned row)
{
    return row < OP_COUNT ? insn_table[row].mnemonic : insn_ctable[row - OP_COUNT].mnemonic;
}

static unsigned row_extension(unsigned row)
{
    return row < OP_COUNT ? insn_table[row].extension : insn_ctable[row - OP_COUNT].extension;
}

/* The machine may execute it in random programs. */
static bool row_exists(unsigned row, const struct machine *machine)
{
    const unsigned extension = row_extension(row);

    if (row == OP_ILLEGAL || (is_vector_row(row) && machine->vlen == 0))
        return false;
    /* With V there is H too: in programs of its own. */
    if (machine->vlen != 0 && extension == EXT_H)
        return false;
    if (machine->reference == REFERENCE_QEMU10)
        return true;
    if (row == OP_ctzw) /* more than 32 for a word of 0 */
        return false;
    switch (extension) { /* QEMU 7.2 lacks them */
    case EXT_ZICBOM:
    case EXT_ZICBOZ:
    case EXT_ZICOND:
    case EXT_ZIMOP:
    case EXT_ZCMOP:
    case EXT_ZACAS:
    case EXT_ZAWRS:
    case EXT_ZFA:
    case EXT_ZBKB:
    case EXT_ZBKX:
    case EXT_ZKND:
    case EXT_ZKNE:
    case EXT_ZKNH:
    case EXT_ZCB: return false;
    default: return true;
    }
}

bool row_covered(unsigned row, const struct machine *machine)
{
    if (machine->hyper)
        return row_extension(row) == EXT_H;
    return row_exists(row, machine) && is_vector_row(row) == (machine->vlen != 0);
}

/* ---- Instructions into items ---- */

static void emit(struct maker *m, uint32_t word)
{
    struct item *item = m->item;

    for (unsigned i = 0; i < insn_length((uint16_t)word); i++)
        item->bytes[item->length++] = (uint8_t)(word >> 8 * i);
}

void emit_row(struct maker *m, unsigned row, uint32_t word)
{
    m->item->rows[m->item->row_count++] = (uint16_t)row;
    emit(m, word);
}

static bool is_reserved(const struct maker *m, unsigned reg)
{
    return m->reserved >> reg & 1;
}

unsigned free_reg(struct maker *m)
{
    unsigned reg;

    do
        reg = one_in(m, 24) ? 0 : 1 + below(m, 31);
    while (is_reserved(m, reg));
    return reg;
}

unsigned free_reg_not_0(struct maker *m)
{
    unsigned reg;

    do
        reg = free_reg(m);
    while (reg == 0);
    return reg;
}

unsigned any_reg(struct maker *m)
{
    return below(m, 32);
}

static bool is_pointer(const struct maker *m, unsigned reg)
{
    return reg == m->pointer[0] || reg == m->pointer[1] || reg == m->pointer[2];
}

static int offset(struct maker *m)
{
    if (m->pmp)
        return ((int)below(m, 256) - 128) * 16;
    switch (below(m, 4)) {
    case 0: return 0;
    case 1: return ((int)below(m, 32) - 16) * 8;
    case 2: return (int)below(m, 64) - 32;
    default: return (int)below(m, 4096) - 2048;
    }
}

/* auipc t, 0; addi t, t, distance: the address of the instruction `distance` bytes behind the
 * first. */
static void emit_here(struct maker *m, unsigned reg, int distance)
{
    emit_row(m, OP_auipc, set_rd(insn_table[OP_auipc].match, reg));
    emit_row(m, OP_addi, i_type(OP_addi, reg, reg, distance));
}

static bool make_jump(struct maker *m, unsigned row)
{
    unsigned target = free_reg_not_0(m);
    uint32_t word;

    m->item->target = (uint8_t)(m->program->item_count + 1);
    if (row == OP_jalr) {
        int extra = (int)below(m, 2); /* bit 0 of the target is cleared */
        int bias = (int)below(m, 4000) - 2000;
        unsigned rd = free_reg(m);

        emit_here(m, target, 12 - bias);
        emit_row(m, row, i_type(OP_jalr, rd, target, bias + extra));
        return true;
    }
    emit_here(m, target, 10);
    word = insn_ctable[row - OP_COUNT].match | target << 7;
    if (insn_ctable[row - OP_COUNT].format == CFMT_CJALR && is_reserved(m, 1))
        return false;
    emit_row(m, row, word);
    return true;
}

/* A sequence that leaves for a mode of its choice and goes on behind itself; parts of it trap in
 * lower modes. */
static bool make_xret(struct maker *m, unsigned op)
{
    unsigned to = one_in(m, 3) ? MODE_M : one_in(m, 2) ? MODE_S : MODE_U;
    unsigned target = free_reg_not_0(m), one = free_reg_not_0(m);
    unsigned status = op == OP_mret ? 0x300 : 0x100;
    bool alias = to == MODE_U && m->vm != 0;

    if (m->clear == 0 || target == one)
        return false;
    if (op == OP_sret && to == MODE_M)
        to = MODE_S;
    emit_here(m, target, alias ? 36 : 24);
    if (alias) {
        emit_row(m, OP_addi, i_type(OP_addi, one, 0, 1));
        emit_row(m, OP_slli, i_type(OP_slli, one, one, 32));
        emit_row(m, OP_or, set_rs2(set_rs1(set_rd(insn_table[OP_or].match, target), target), one));
    }
    emit_row(m, OP_csrrw, i_type(OP_csrrw, 0, target, op == OP_mret ? 0x341 : 0x141));
    emit_row(m, OP_csrrc, i_type(to == MODE_M ? OP_csrrs : OP_csrrc, 0, m->clear, (int)status));
    if (to == MODE_S)
        emit_row(m, OP_csrrs, i_type(OP_csrrs, 0, m->supervisor, (int)status));
    else
        emit_row(m, OP_csrrs, i_type(OP_csrrs, 0, 0, (int)status));
    emit_row(m, op, insn_table[op].match);
    return true;
}

static bool make_wfi(struct maker *m)
{
    const struct descriptor *d = &m->program->descriptor;

    if (!m->still)
        return false;
    if (m->mode == MODE_U || (m->mode == MODE_S && d->mstatus & MSTATUS_TW) ||
        (m->guest && d->hstatus & HSTATUS_VTW)) {
        emit_row(m, OP_wfi, insn_table[OP_wfi].match);
        return true;
    }
    if (m->mode != MODE_M || d->msip == 0)
        return false;
    /* MSIP is pending and enabled, but not taken: WFI does not wait. */
    emit_row(m, OP_csrrci, i_type(OP_csrrci, 0, 8, 0x300));
    emit_row(m, OP_csrrsi, i_type(OP_csrrsi, 0, 8, 0x304));
    emit_row(m, OP_wfi, insn_table[OP_wfi].match);
    return true;
}

static bool make_csr(struct maker *m, unsigned op)
{
    const bool hyper = m->machine->hyper;
    const unsigned count = hyper ? csr_rule_count_h : csr_rule_count;
    const struct csr_rule *rule = &csr_rules[below(m, count)];
    bool immediate = insn_table[op].format == FMT_CSRI;
    bool replace = op == OP_csrrw || op == OP_csrrwi;
    unsigned rd = free_reg(m), source = immediate ? below(m, 32) : any_reg(m), reg = 0;

    if (m->machine->reference == REFERENCE_QEMU7)
        rule = &csr_rules[below(m, 3)];
    if (m->machine->reference == REFERENCE_QEMU10 &&
        one_in(m, 2)) { /* more of what this program holds values for */
        unsigned i = below(m, 3);

        for (const struct csr_rule *r = csr_rules; r < csr_rules + count; r++)
            if (m->csr_reg[i] != 0 && r->csr == m->csr[i])
                rule = r;
    }
    for (unsigned i = 0; i < 3; i++)
        if (m->csr_reg[i] != 0 && m->csr[i] == rule->csr)
            reg = m->csr_reg[i];
    switch (rule->kind) {
    case CSR_VALUE:
    case CSR_REPLACE:
        if (rule->csr == 0x300 || rule->csr == 0x100 || rule->csr == 0x180) /* see `still` */
            source = reg != 0 ? reg : 0;
        if (immediate)
            source = rule->kind == CSR_VALUE && reg != 0 ? source & (unsigned)rule->mask & 31 : 0;
        else
            source = rule->kind == CSR_VALUE || replace ? reg : 0;
        if (source == 0 && replace)
            return false;
        break;
    case CSR_READ:
        if (replace && rule->csr < 0xc00 && (rule->csr == 0x105 || rule->csr == 0x305))
            return false;
        source = 0;
        break;
    default: break;
    }
    emit_row(m, op, i_type((enum riscv_op)op, rd, source, rule->csr));
    if (rule->csr == 0x600)
        emit(m, i_type(OP_andi, rd, rd, ~(1 << 6)));
    if (rule->csr == 0x645)
        emit(m, i_type(OP_andi, rd, rd, 0x404));
    if (rule->csr == 0x144 || (hyper && (rule->csr == 0x244 || rule->csr == 0x344)))
        emit(m, i_type(OP_andi, rd, rd, ~(1 << 5)));
    if ((rule->csr == 0x300 || rule->csr == 0x100 || rule->csr == 0x200) &&
        (m->machine->vlen != 0 || hyper)) {
        static const uint8_t bits[] = {9, 10, 63, 38, 39}; /* VS, SD; mstatus.GVA, MPV */

        for (unsigned i = 0; i < (hyper && rule->csr == 0x300 ? 5 : 3); i++)
            emit(m, i_type(OP_bclri, rd, rd, (int)(insn_table[OP_bclri].match >> 20) | bits[i]));
    }
    if (rule->csr == 0x303) /* see take_record in run.c */
        emit(m, i_type(OP_bclri, rd, rd, (int)(insn_table[OP_bclri].match >> 20) | 12));
    if (rule->kind == CSR_VOLATILE)
        emit(m, i_type(OP_addi, rd, 0, (int)below(m, 64)));
    return true;
}

static bool make_amo(struct maker *m, unsigned op)
{
    uint32_t word = insn_table[op].match | ((uint32_t)rnd(m) & ~insn_table[op].mask);
    unsigned address = m->pointer[m->amo_anywhere ? below(m, 3) : 0];
    unsigned rd = free_reg(m), moved = free_reg_not_0(m);

    if (rd == 0 && insn_table[op].extension == EXT_ZACAS)
        return false;
    if (op == OP_amocas_q) {
        if (m->pmp)
            return false;
        rd &= ~1u;
        if (rd == 0 || is_reserved(m, rd) || is_reserved(m, rd + 1))
            return false;
    }
    if (op == OP_sc_w || op == OP_sc_d) {
        unsigned lr = op == OP_sc_w ? OP_lr_w : OP_lr_d;

        if (!m->still || m->program->descriptor.storm)
            return false;
        address = m->pointer[0];
        emit_row(m, lr, set_rs1(set_rd(insn_table[lr].match, free_reg(m)), address));
        if (one_in(m, 2))
            emit(m, i_type(OP_addi, moved, any_reg(m), offset(m)));
    } else if (m->machine->reference == REFERENCE_QEMU10 && one_in(m, 3)) {
        emit(m, i_type(OP_addi, moved, address, m->amo_anywhere ? offset(m) : offset(m) / 32 * 16));
        address = moved;
    }
    emit_row(m, op, set_rs1(set_rd(word, rd), address));
    return true;
}

static bool make_cbo(struct maker *m, unsigned op)
{
    unsigned address = m->pointer[0];
    bool manages = op != OP_cbo_zero;

    /* In M-mode and without translation, the windows have no memory. */
    if (manages && m->vm != 0 && (!m->still || m->mode == MODE_M))
        return false;
    if (m->pmp)
        return false;
    if (!m->still || one_in(m, 2)) { /* may fault */
        unsigned block = free_reg_not_0(m);
        unsigned pointer = m->pointer[m->vacant && manages ? 0 : below(m, 3)];

        emit_row(m, OP_andi, i_type(OP_andi, block, pointer, -64));
        address = block;
    }
    emit_row(m, op, set_rs1(insn_table[op].match, address));
    return true;
}

/* Illegal instructions: a row with a few of its fixed bits flipped. */
static bool make_illegal(struct maker *m)
{
    unsigned row = 1 + below(m, row_count() - 1);
    struct insn in;
    uint32_t word;

    if (!row_exists(row, m->machine))
        return false;
    if (row < OP_COUNT) {
        word = insn_table[row].match | ((uint32_t)rnd(m) & ~insn_table[row].mask);
        word ^= rnd(m) & rnd(m) & rnd(m) & insn_table[row].mask & ~0x7fu;
    } else {
        const struct insn_cinfo *c = &insn_ctable[row - OP_COUNT];

        word = c->match | (rnd(m) & rnd(m) & rnd(m) & ~c->mask & 0xffff);
    }
    if (insn_decode(word, &in))
        return false;
    emit(m, word);
    return true;
}

static bool make_compressed(struct maker *m, unsigned row)
{
    const struct insn_cinfo *c = &insn_ctable[row - OP_COUNT];
    struct insn in;

    if (c->format == CFMT_CJR || c->format == CFMT_CJALR)
        return make_jump(m, row);
    for (unsigned tries = 0; tries < 64; tries++) {
        uint32_t word = c->match | (rnd(m) & ~c->mask & 0xffff);

        if (!insn_decode(word, &in) || insn_crow((uint16_t)word) != (int)(row - OP_COUNT))
            continue;
        if (insn_writes_x(insn_table[in.op].format) && is_reserved(m, in.rd))
            continue;
        if (insn_table[in.op].flags & INSN_MEM && !is_pointer(m, in.rs1))
            continue;
        if (m->guest && c->extension == EXT_ZCB && insn_table[in.op].flags & INSN_MEM)
            return false;
        if (c->format == CFMT_CJ || c->format == CFMT_CB) {
            m->item->fix = c->format == CFMT_CJ ? FIX_CJ : FIX_CB;
            m->item->target = (uint8_t)(m->program->item_count + 1 + below(m, 3));
        }
        emit_row(m, row, word);
        return true;
    }
    return false;
}

static uint32_t choose_rm(struct maker *m, uint32_t word)
{
    static const uint8_t modes[] = {0, 1, 2, 3, 4, 7, 7, 7};

    if (one_in(m, 64))
        return word;
    return field(word, 12, 3, modes[below(m, 8)]);
}

/* An instruction of integer registers alone. */
static uint32_t alu_word(struct maker *m)
{
    static const enum riscv_op ops[] = {OP_addi, OP_xori, OP_andi, OP_sltiu, OP_add,
                                        OP_sub,  OP_xor,  OP_mul,  OP_sltu,  OP_addw};
    enum riscv_op op = ops[below(m, sizeof ops / sizeof ops[0])];

    return set_rd(insn_table[op].match | ((uint32_t)rnd(m) & ~insn_table[op].mask), free_reg(m));
}

/*
 * An instruction that becomes another one each time it is come to: the item writes it before
 * FENCE.I (Zifencei) and loops go over it again. It lies at any even address, also across two
 * pages.
 */
static bool make_patch(struct maker *m)
{
    unsigned at = free_reg_not_0(m), word = free_reg_not_0(m), change = free_reg_not_0(m);
    uint32_t first = alu_word(m), mask = first ^ alu_word(m);

    if (at == word || at == change || word == change)
        return false;
    emit_here(m, at, 32);
    emit_row(m, OP_lw, i_type(OP_lw, word, at, 0));
    emit_row(m, OP_lui,
             field(set_rd(insn_table[OP_lui].match, change), 12, 20, (mask + 0x800) >> 12));
    emit_row(m, OP_addi, i_type(OP_addi, change, change, (int)(mask & 0xfff)));
    emit_row(m, OP_xor, set_rs2(set_rs1(set_rd(insn_table[OP_xor].match, word), word), change));
    emit_row(m, OP_sw, set_rs2(set_rs1(insn_table[OP_sw].match, at), word));
    emit_row(m, OP_fence_i, insn_table[OP_fence_i].match);
    emit(m, first);
    return true;
}

/* Fills the current item with an instruction of the row. False: this program cannot have it. */
static bool make_row(struct maker *m, unsigned row)
{
    const struct insn_info *info;
    struct insn in;
    uint32_t word;

    if (!row_exists(row, m->machine))
        return false;
    if (row >= OP_COUNT)
        return make_compressed(m, row);
    info = &insn_table[row];
    word = info->match | ((uint32_t)rnd(m) & ~info->mask);
    if (row == OP_sinval_vma && m->machine->reference == REFERENCE_QEMU7 && !m->still)
        return false; /* its tval of one that traps is 0 */
    switch (info->format) {
    case FMT_NONE:
        if ((row == OP_sfence_w_inval || row == OP_sfence_inval_ir) &&
            (!m->still || m->mode == MODE_U))
            return false;
        if (row == OP_wrs_nto &&
            !(m->still && !m->guest &&
              (m->mode == MODE_M || !(m->program->descriptor.mstatus & MSTATUS_TW))))
            return false;
        if (row == OP_mret || row == OP_sret)
            return make_xret(m, row);
        if (row == OP_wfi)
            return make_wfi(m);
        break;
    case FMT_B:
        m->item->fix = FIX_B;
        m->item->target = (uint8_t)(m->program->item_count + 1 + below(m, 4));
        break;
    case FMT_J:
        m->item->fix = FIX_J;
        m->item->target = (uint8_t)(m->program->item_count + 1 + below(m, 4));
        word = set_rd(word, free_reg(m));
        break;
    case FMT_JALR: return make_jump(m, row);
    case FMT_LOAD:
    case FMT_FLOAD:
        word = field(set_rs1(word, m->pointer[below(m, 3)]), 20, 12, (uint32_t)offset(m));
        if (info->format == FMT_LOAD)
            word = set_rd(word, free_reg(m));
        break;
    case FMT_STORE:
    case FMT_FSTORE: {
        uint32_t imm = (uint32_t)offset(m);

        word = set_rs1(word, m->pointer[below(m, 3)]);
        word = field(field(word, 7, 5, imm), 25, 7, imm >> 5);
        break;
    }
    case FMT_HLV: {
        const bool executes = row == OP_hlvx_hu || row == OP_hlvx_wu;

        if (executes && !m->guest && (m->program->descriptor.vsatp != 0 || m->pmp))
            return false;
        word = set_rs1(word, m->pointer[executes || m->vacant ? 0 : below(m, 3)]);
        word = set_rd(word, free_reg(m));
        break;
    }
    case FMT_HSV: word = set_rs1(word, m->pointer[m->vacant ? 0 : below(m, 3)]); break;
    case FMT_LR:
    case FMT_AMO: return make_amo(m, row);
    case FMT_CBO: return make_cbo(m, row);
    case FMT_CSR:
    case FMT_CSRI: return make_csr(m, row);
    case FMT_FR:
    case FMT_FR4:
    case FMT_FCVT:
    case FMT_FFROMX: word = choose_rm(m, word); break;
    case FMT_FTOX: word = choose_rm(m, set_rd(word, free_reg(m))); break;
    case FMT_R:
    case FMT_UNARY:
    case FMT_I:
    case FMT_SHIFT:
    case FMT_SHIFTW:
    case FMT_ROUND:
    case FMT_U:
    case FMT_FCMP:
    case FMT_FTOXX: word = set_rd(word, free_reg(m)); break;
    default: break;
    }
    if (!insn_decode(word, &in))
        in = (struct insn){.rd = (uint8_t)(word >> 7 & 31)};
    else if (in.op != row)
        return false;
    emit_row(m, row, word);
    if (info->format == FMT_FCVT && info->extension == EXT_ZFA)
        emit(m, set_rs2(set_rs1(insn_table[OP_fsd].match, m->pointer[0]), in.rd));
    return true;
}

/* addi counter, counter, -1; blt x0, counter, back: ends, because nothing else writes the counter.
 */
static void make_loop(struct maker *m)
{
    unsigned here = m->program->item_count;
    unsigned back = here - below(m, here < 4 ? here + 1 : 4);

    emit(m, i_type(OP_addi, m->counter, m->counter, -1));
    m->item->fix = FIX_B;
    m->item->fix_at = m->item->length;
    m->item->target = (uint8_t)back;
    emit_row(m, OP_blt, set_rs2(insn_table[OP_blt].match, m->counter));
}

static void emit_mark(struct maker *m)
{
    unsigned mark = m->program->mark;

    emit(m, field(set_rs1(set_rd(insn_table[OP_bseti].match, mark), mark), 20, 6,
                  m->program->item_count));
    m->item->fix_at = m->item->length;
}

static void make_item(struct maker *m)
{
    bool done = false;

    m->item = &m->program->items[m->program->item_count];
    while (!done) {
        unsigned kind = below(m, 100);

        memset(m->item, 0, sizeof *m->item);
        emit_mark(m);
        if (kind < 8)
            done = make_csr(m, OP_csrrw + below(m, 3)) || make_csr(m, OP_csrrs);
        else if (kind < 11)
            done = m->machine->reference == REFERENCE_QEMU10 && make_illegal(m);
        else if (kind < 13)
            done = make_xret(m, one_in(m, 2) ? OP_mret : OP_sret);
        else if (kind < 15) {
            make_loop(m);
            done = true;
        } else if (kind < 17) {
            done = make_patch(m);
        } else {
            const unsigned row = 1 + below(m, row_count() - 1);
            /* Where there is V, of three instructions two are of V. */
            if (is_vector_row(row))
                done = m->machine->vlen != 0 && make_vector(m, row);
            else if (m->machine->vlen == 0 || one_in(m, 2))
                done = make_row(m, row);
        }
    }
    m->program->item_count++;
}

/* ---- The state a program starts with ---- */

static unsigned reserve(struct maker *m)
{
    unsigned reg = free_reg_not_0(m);

    m->reserved |= 1u << reg;
    return reg;
}

static void reserve_this(struct maker *m, unsigned reg)
{
    m->reserved |= 1u << reg;
}

static void make_state(struct maker *m)
{
    static const uint8_t frm[] = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 7};
    struct descriptor *d = &m->program->descriptor;
    uint64_t mpp = m->mode;
    bool envcfg_written = false;

    for (unsigned i = 1; i < 32; i++)
        d->x[i] = interesting(m);
    for (unsigned i = 0; i < 32; i++)
        d->f[i] = fp_register(m);
    d->fcsr = (rnd(m) & 31) | (uint64_t)frm[below(m, sizeof frm)] << 5;
    d->mstatus = mpp << 11 | MSTATUS_FS |
                 (rnd(m) & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SIE | MSTATUS_SPIE));
    if (one_in(m, 4))
        d->mstatus |= rnd(m) & (MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR);
    if (one_in(m, 4))
        d->mstatus |= MSTATUS_MPIE;
    if (one_in(m, 16))
        d->mstatus &= ~MSTATUS_FS;
    if (one_in(m, 2))
        d->medeleg = rnd(m) & MEDELEG;
    if (one_in(m, 2))
        d->mideleg = rnd(m) & INTERRUPTS_S;
    if (m->machine->reference == REFERENCE_QEMU10 && one_in(m, 4)) {
        d->mie = rnd(m) & INTERRUPTS_M;
        d->mip = rnd(m) & INTERRUPTS_S;
    }
    d->msip = one_in(m, 4);
    if (d->storm) {
        d->msip = 0;
        d->mie &= ~MIP_MSIP;
    }
    d->mtimecmp = m->machine->reference == REFERENCE_QEMU10 && one_in(m, 4) ? 0 : ~0ULL;
    d->stimecmp = m->machine->reference == REFERENCE_QEMU10 && one_in(m, 4) ? 0 : ~0ULL;
    d->satp = satp_value(m, m->vm);
    d->mcounteren = one_in(m, 2) ? 7 : rnd(m) & 7;
    d->scounteren = one_in(m, 2) ? 7 : rnd(m) & 7;
    d->menvcfg = envcfg_value(m, 7ULL << 61 | 0xf1);
    d->senvcfg = envcfg_value(m, 0xf1);
    d->pmpaddr[0] = (DATA_BASE + 0x1000) >> 2;
    for (unsigned i = 1; i < 8; i++)
        d->pmpaddr[i] = pmpaddr_value(m);
    if (m->machine->reference == REFERENCE_QEMU10 && one_in(m, 4))
        d->pmpcfg0 = pmpcfg_value(m);
    for (unsigned i = 0; i < WINDOW_PAGES; i++)
        d->leaf[i] = leaf_entry(m, i);
    d->leaf[9] = d->leaf[7] & ~PTE_W;
    for (unsigned i = 1; i < WINDOW_PAGES; i++)
        if (is_vacant(d->leaf[i]) && !is_vacant(d->leaf[i - 1]))
            d->leaf[i - 1] &= ~PTE_W;
    m->amo_anywhere = m->machine->reference == REFERENCE_QEMU10 && !m->machine->hyper &&
                      (m->vm == 0 || (d->pmpcfg0 == 0 && one_in(m, 2)));
    for (unsigned i = 0; m->amo_anywhere && i < WINDOW_PAGES; i++)
        if ((d->leaf[i] & PTE_W) == 0)
            d->leaf[i] = is_vacant(d->leaf[i]) ? 0 : d->leaf[i] | PTE_A;
    d->leaf[8] = ppn(DATA_BASE + 0x1000) | PTE_ALL | (m->mode == MODE_U ? PTE_U : 0);
    d->mega = mega_entry(m);
    if (m->amo_anywhere && (d->mega & PTE_W) == 0 && (d->mega & 0xe) != 0)
        d->mega |= PTE_A;
    d->data_seed = rnd(m) & 63;

    m->pointer[0] = 8 + below(m, 8);
    reserve_this(m, m->pointer[0]);
    m->pointer[1] = is_reserved(m, 2) || one_in(m, 3) ? reserve(m) : 2;
    reserve_this(m, m->pointer[1]);
    m->pointer[2] = reserve(m);
    m->counter = reserve(m);
    /* Bare or in M-mode, or in the page that is always mapped; always aligned and writable. */
    d->x[m->pointer[0]] = (m->vm == 0 || m->mode == MODE_M ? DATA_BASE + 0x1000 : WINDOW + 0x8000) +
                          0x400 + 16ULL * below(m, 64);
    d->x[m->pointer[1]] = pointer_value(m);
    d->x[m->pointer[2]] = pointer_value(m);
    d->x[m->counter] = 1 + below(m, 6);
    m->program->mark = reserve(m);
    d->x[m->program->mark] = 0;
    d->mark = m->program->mark;
    m->still = true;
    m->pmp = d->pmpcfg0 != 0;
    if (m->machine->reference == REFERENCE_QEMU10 && one_in(m, 2)) {
        for (unsigned i = 0; i < 3; i++) {
            const struct csr_rule *rule =
                &csr_rules[below(m, m->machine->hyper ? csr_rule_count_h : csr_rule_count)];

            if (rule->kind != CSR_VALUE && rule->kind != CSR_REPLACE)
                continue;
            if (rule->csr == 0x14d &&
                (m->machine->reference == REFERENCE_QEMU7 || d->menvcfg >> 63 == 0))
                continue;
            if (m->machine->hyper && !m->guest && rule->csr == 0x60a)
                continue;
            if (m->machine->hyper &&
                (rule->csr == 0x14d || rule->csr == 0x180 || rule->csr == 0x300 ||
                 rule->csr == 0x30a || rule->csr == 0x344))
                continue;
            if (rule->csr == 0x30a)
                envcfg_written = true;
            if (rule->csr == 0x14d && envcfg_written)
                continue;
            if ((rule->csr == 0x3a0 || rule->csr == 0x180) && m->amo_anywhere)
                continue;
            m->pmp = m->pmp || rule->csr == 0x3a0;
            m->csr[i] = rule->csr;
            m->csr_reg[i] = reserve(m);
            d->x[m->csr_reg[i]] = csr_value(m, rule);
            m->still = m->still && rule->csr != 0x300 && rule->csr != 0x100 && rule->csr != 0x180;
        }
    }
    if (!m->machine->hyper && one_in(m, m->machine->reference == REFERENCE_QEMU7 ? 64 : 4)) {
        m->clear = reserve(m);
        d->x[m->clear] = MSTATUS_MPP | MSTATUS_SPP;
        m->supervisor = reserve(m);
        d->x[m->supervisor] = (uint64_t)MODE_S << 11 | MSTATUS_SPP;
        m->still = false;
    }
    if (m->pmp)
        for (unsigned i = 0; i < 3; i++)
            d->x[m->pointer[i]] &= ~15ULL;
}

void program_make(struct program *program, uint64_t seed, uint64_t index,
                  const struct machine *machine)
{
    const bool scalar_m = machine->reference == REFERENCE_QEMU7;
    struct maker m = {.program = program,
                      .machine = machine,
                      .state = seed * 0x2545f4914f6cdd1d + index * 0x9e3779b97f4a7c15};
    unsigned items;

    memset(program, 0, sizeof *program);
    rnd(&m);
    m.state ^= rnd(&m);
    m.mode = scalar_m || below(&m, 5) < 2 ? MODE_M : one_in(&m, 2) ? MODE_S : MODE_U;
    m.vm = scalar_m ? 0 : random_vm(&m);
    if (machine->hyper) {
        m.mode = one_in(&m, 6) ? MODE_M : one_in(&m, 2) ? MODE_S : MODE_U;
        m.guest = m.mode != MODE_M && !one_in(&m, 4);
    }
    program->descriptor.storm = !machine->hyper && index / STORM_RUN % 2 != 0 && m.mode != MODE_M;
    make_state(&m);
    if (machine->hyper)
        make_hyper_state(&m);
    if (machine->vlen != 0)
        make_vector_state(&m);
    items = 10 + below(&m, machine->vlen != 0 ? 36 : 46);
    while (program->item_count < items)
        make_item(&m);
}

/* ---- Placing ---- */

static void put_word(uint8_t *code, uint32_t word)
{
    for (unsigned i = 0; i < insn_length((uint16_t)word); i++)
        code[i] = (uint8_t)(word >> 8 * i);
}

static uint32_t get_word(const uint8_t *code)
{
    return (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
           (uint32_t)code[3] << 24;
}

/* `bits` is a list of immediate bits, least significant instruction bit first, from `low` on. */
static uint32_t scatter(uint32_t word, unsigned low, const uint8_t *bits, unsigned count,
                        int distance)
{
    for (unsigned i = 0; i < count; i++)
        word = field(word, low + i, 1, (uint32_t)distance >> bits[i]);
    return word;
}

static uint32_t fix_branch(uint32_t word, enum item_fix fix, int distance)
{
    static const uint8_t b_low[] = {11, 1, 2, 3, 4}, b_high[] = {5, 6, 7, 8, 9, 10, 12};
    static const uint8_t j[] = {12, 13, 14, 15, 16, 17, 18, 19, 11, 1,
                                2,  3,  4,  5,  6,  7,  8,  9,  10, 20};
    static const uint8_t cj[] = {5, 1, 2, 3, 7, 6, 10, 8, 9, 4, 11};
    static const uint8_t cb_low[] = {5, 1, 2, 6, 7}, cb_high[] = {3, 4, 8};

    switch (fix) {
    case FIX_B: return scatter(scatter(word, 7, b_low, 5, distance), 25, b_high, 7, distance);
    case FIX_J: return scatter(word, 12, j, 20, distance);
    case FIX_CJ: return scatter(word, 2, cj, 11, distance);
    case FIX_CB: return scatter(scatter(word, 2, cb_low, 5, distance), 10, cb_high, 3, distance);
    default: return word;
    }
}

size_t program_place(const struct program *program, unsigned items, uint64_t pc, uint8_t *code,
                     struct descriptor *descriptor)
{
    size_t at[ITEMS_MAX + 1], length = 0;
    const struct descriptor *d = &program->descriptor;
    bool user = (d->mstatus & MSTATUS_MPP) == 0 &&
                (d->mstatus & MSTATUS_MPV ? d->vsatp : d->satp) >> 60 != 0;

    for (unsigned i = 0; i < items; i++) {
        const struct item *item = &program->items[i];

        at[i] = length;
        memcpy(code + length, item->bytes, item->length);
        length += item->length;
    }
    at[items] = length;
    for (unsigned i = 0; i < items; i++) {
        const struct item *item = &program->items[i];
        uint8_t *branch = code + at[i] + item->fix_at;
        unsigned target = item->target < items ? item->target : items;

        if (item->fix != FIX_NONE)
            put_word(branch, fix_branch(get_word(branch), (enum item_fix)item->fix,
                                        (int)(at[target] - at[i]) - item->fix_at));
    }
    put_word(code + length, insn_table[OP_ebreak].match);
    *descriptor = program->descriptor;
    descriptor->start = pc;
    descriptor->end = pc + length;
    descriptor->x[0] = pc + (user ? USER_ALIAS : 0);
    return length + 4;
}

void program_print(const struct program *program, unsigned items, uint64_t pc, FILE *out)
{
    static uint8_t code[CODE_MAX + 4];
    struct descriptor d;
    size_t length = program_place(program, items, pc, code, &d);

    for (size_t at = 0; at < length;) {
        uint32_t word = get_word(code + at);
        unsigned width = insn_length((uint16_t)word);
        char text[80];

        insn_disassemble(width == 2 ? word & 0xffff : word, pc + at, text, sizeof text);
        fprintf(out, "  %8llx: %0*x%*s %s\n", (unsigned long long)(pc + at), (int)width * 2,
                width == 2 ? word & 0xffff : word, (int)(10 - 2 * width), "", text);
        at += width;
    }
}
