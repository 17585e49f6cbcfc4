/*
 * Vector instructions in random programs (machines with V): most items set vtype and vl to
 * something that the row has a meaning for, then execute it; some take what is there, some are
 * reserved on purpose. What is left out or tamed, beside the notes of generate.c (Unprivileged ISA
 * 20240411, "V"):
 *
 * 30. Strides and indices are small: addresses stay in the data area, or in the program's windows,
 * so that no program stores into the harness. Whole 64-bit indices are in tests/unit.
 * 31. Fault-only-first loads have aligned elements; those of segments do not leave their page: QEMU
 * 10.0 ends with an assertion where one lies in two pages, and takes the second page of segments to
 * begin elsewhere. They do not meet addresses without memory: QEMU 10.0 takes vl = 1 before it
 * traps
 * ("V", 7.7: vl is not modified). Nor do masked ones leave their page: QEMU sets A of the next page
 * even if no element there is active, which is open (Privileged, "Addressing and Memory
 * Protection": A may be set by speculation). A CSR is read behind them: without that QEMU 10.0
 * takes vl for VLMAX in what follows, if it was before.
 * 32. Loads and stores of whole registers have vstart < evl: QEMU 10.0 ends with an assertion where
 * it is not ("V", 7.9: nothing is done then).
 * 33. vsha2* has an LMUL of at least 1: QEMU 10.0 wants that, the specification an LMUL * VLEN that
 * an element group fits ("Zvknh").
 * 34. Where PMP entries are on, elements are aligned (23), and what QEMU accesses by the page is
 * left out: unmasked unit strides, whole registers and masks. It checks their first byte
 * (Privileged, 3.7.1: an entry must match all bytes of an access).
 */
#include "maker.h"

#include <string.h>

bool is_vector_row(unsigned row)
{
    return row < OP_COUNT && (insn_table[row].flags & INSN_VEC) != 0;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What a row has a meaning for. */
struct shape {
    unsigned sews;     /* bit n: SEW 8 << n */
    int vd, vs2, vs1;  /* log2 of the operand's width / SEW */
    int lmul_min;      /* log2, beside what SEW wants */
    unsigned multiple; /* vl and vstart are one of it: an element group */
};

static struct shape shape_of(const struct maker *m, unsigned row)
{
    const struct insn_info *info = &insn_table[row];
    const char *name = info->mnemonic;
    struct shape s = {.sews = info->flags & INSN_FP ? 0xc : 0xf, .lmul_min = -3, .multiple = 1};

    if (info->extension == EXT_ZVKG || info->extension == EXT_ZVKNED ||
        info->extension == EXT_ZVKNHB) {
        s.sews = info->extension == EXT_ZVKNHB ? 0xc : 4;
        s.multiple = 4;
        s.lmul_min = info->extension == EXT_ZVKNHB && m->machine->vlen == 128 ? 1 : 0;
    } else if (info->extension == EXT_ZVBC) {
        s.sews = 8;
    } else if (begins(name, "vfwcvt")) {
        s.sews = begins(name, "vfwcvt.f") ? 6 : 4;
        s.vd = 1;
    } else if (begins(name, "vfncvt")) {
        s.sews =
            begins(name, "vfncvt.f.f") || strstr(name, "x.f.w") || strstr(name, "xu.f.w") ? 6 : 4;
        s.vs2 = 1;
    } else if (begins(name, "vfw") || begins(name, "vw")) {
        s.sews = begins(name, "vfw") ? 4 : 7;
        s.vd = 1;
        s.vs2 = strstr(name, ".w") != NULL;
    } else if (begins(name, "vn") && strstr(name, ".w") != NULL) {
        s.sews = 7;
        s.vs2 = 1;
    } else if (begins(name, "vzext") || begins(name, "vsext")) {
        const unsigned factor = name[strlen(name) - 1] == '2'   ? 1
                                : name[strlen(name) - 1] == '4' ? 2
                                                                : 3;

        s.sews = 0xfu << factor & 0xf;
        s.vs2 = -(int)factor;
    }
    return s;
}

/* ---- vset* ---- */

struct vtype {
    unsigned sew, avl; /* log2 of bytes; operand of vset*: immediate, or register */
    int lmul;
    bool immediate;
};

static uint32_t vtype_bits(const struct vtype *t, unsigned policy)
{
    return ((unsigned)t->lmul & 7) | t->sew << 3 | policy << 6;
}

static unsigned vlmax(const struct maker *m, const struct vtype *t)
{
    const int shift = t->lmul - (int)t->sew;

    return shift >= 0 ? m->machine->vlen / 8 << shift : m->machine->vlen / 8 >> -shift;
}

static struct vtype choose_vtype(struct maker *m, const struct shape *s)
{
    struct vtype t;
    int widest = s->vd > s->vs2 ? s->vd : s->vs2, low;

    do
        t.sew = below(m, 4);
    while ((s->sews >> t.sew & 1) == 0 && !one_in(m, 16));
    low = (int)t.sew - 3;
    low = low < s->lmul_min ? s->lmul_min : low;
    low = low < -3 - s->vs2 ? -3 - s->vs2 : low;
    do
        t.lmul = (int)below(m, 8) - 4;
    while ((t.lmul < low || t.lmul + (widest > 0 ? widest : 0) > 3) && !one_in(m, 24));
    t.immediate = one_in(m, 2);
    t.avl = below(m, 32);
    if (s->multiple > 1 && !one_in(m, 8)) {
        t.immediate = true;
        t.avl &= 28;
    }
    return t;
}

/* Sets vl and vtype; no register but `scratch` (not x0) changes. */
static void emit_vset(struct maker *m, const struct vtype *t, unsigned scratch)
{
    const uint32_t bits = vtype_bits(t, below(m, 4));
    /* rs1 = x0 asks for VLMAX, but with rd = x0 for the vl that there is. */
    const unsigned rd = t->avl == 0 && !one_in(m, 8) ? scratch : 0;

    if (t->immediate)
        emit_row(m, OP_vsetivli,
                 field(set_rs1(insn_table[OP_vsetivli].match, t->avl), 20, 10, bits));
    else
        emit_row(m, OP_vsetvli,
                 field(set_rs1(set_rd(insn_table[OP_vsetvli].match, rd), t->avl), 20, 11, bits));
}

/* lui, addi: any signed 32 bits. */
static void emit_li(struct maker *m, unsigned reg, int value)
{
    emit_row(m, OP_lui,
             field(set_rd(insn_table[OP_lui].match, reg), 12, 20, ((uint32_t)value + 0x800) >> 12));
    emit_row(m, OP_addi, i_type(OP_addi, reg, reg, value & 0xfff));
}

static bool make_vset(struct maker *m, unsigned row)
{
    const struct shape any = {.sews = 0xf, .lmul_min = -3};
    const struct vtype t = choose_vtype(m, &any);
    const unsigned rd = free_reg(m), rs1 = one_in(m, 4) ? 0 : any_reg(m), value = free_reg_not_0(m);
    uint32_t bits = vtype_bits(&t, below(m, 4)),
             word = set_rs1(set_rd(insn_table[row].match, rd), rs1);

    if (one_in(m, 8))
        bits = (uint32_t)rnd(m);
    if (row == OP_vsetvl) {
        emit_li(m, value, (int)bits);
        if (one_in(m, 16)) /* vill */
            emit_row(m, OP_bseti,
                     field(set_rs1(set_rd(insn_table[OP_bseti].match, value), value), 20, 6,
                           below(m, 64)));
        emit_row(m, row, set_rs2(word, value));
    } else {
        emit_row(m, row, field(word, 20, row == OP_vsetvli ? 11 : 10, bits));
    }
    return true;
}

/* ---- Operands ---- */

/* A register for a group of 2^emul. `apart`: the 8 registers from 8 * `apart` on, which no other
 * operand has. */
static unsigned choose_v(struct maker *m, int emul, unsigned apart)
{
    const unsigned group = emul > 0 && emul <= 3 ? 1u << emul : 1;

    if (apart != 4)
        return 8 * apart + below(m, 8 / group) * group;
    return one_in(m, 8) ? below(m, 32) : below(m, 32 / group) * group;
}

struct operands {
    unsigned vd, vs2, vs1;
};

static struct operands choose_operands(struct maker *m, int vd, int vs2, int vs1)
{
    struct operands o;
    /* Three of the four places, v0's not for vd; or anything. */
    const bool apart = !one_in(m, 4);
    const unsigned first = 1 + below(m, 3), second = (first + 1 + below(m, 3)) & 3;
    unsigned third = below(m, 4);

    while (third == first || third == second)
        third = (third + 1) & 3;
    o.vd = choose_v(m, vd, apart ? first : 4);
    o.vs2 = choose_v(m, vs2, apart ? second : 4);
    o.vs1 = choose_v(m, vs1, apart ? third : 4);
    return o;
}

/* csrwi vstart: where an interrupted instruction would go on. */
static void maybe_vstart(struct maker *m, unsigned multiple)
{
    if (one_in(m, 12))
        emit_row(
            m, OP_csrrwi,
            i_type(OP_csrrwi, 0, below(m, one_in(m, 2) ? 4 : 32) / multiple * multiple, 0x008));
}

static uint32_t set_vm(uint32_t word, bool masked)
{
    return field(word, 25, 1, !masked);
}

/* ---- Loads and stores ---- */

/* A pointer that leads to memory or to a page fault, whatever the mode; 0: there is none. */
static unsigned memory_pointer(struct maker *m)
{
    const bool windows = m->vm != 0 && (!m->still || m->mode == MODE_M);

    if (windows && m->mode != MODE_M) /* M-mode may come to where they are not */
        return 0;
    return m->pointer[windows || m->vacant ? 0 : below(m, 3)];
}

static bool make_memory(struct maker *m, unsigned row)
{
    static const uint8_t log2_width[8] = {[5] = 1, [6] = 2, [7] = 3};
    const struct insn_info *info = &insn_table[row];
    const unsigned width = log2_width[info->match >> 12 & 7];
    const bool whole = info->format == FMT_VMEM && (info->mask & 0xe0000000) != 0;
    const bool masked = !whole && one_in(m, 2);
    const bool first_only = info->format == FMT_VMEM && (info->match >> 20 & 31) == 16;
    unsigned base = m->pointer[below(m, 3)];
    const unsigned scratch = free_reg_not_0(m);
    struct vtype t;
    int emul, tries = 0;
    unsigned fields;
    uint32_t word = set_rs1(info->match, base);
    struct operands o;

    if (m->pmp && info->format == FMT_VMEM && (!masked || first_only)) /* 34 */
        return false;
    /* One field half of the time; EMUL * NFIELDS <= 8 and EMUL in range most of it. */
    do {
        const struct shape any = {.sews = 0xf, .lmul_min = -3};

        t = choose_vtype(m, &any);
        fields = whole || one_in(m, 2) ? 1 : 1 + below(m, 8);
        emul = (int)width - (int)t.sew + t.lmul;
        if (info->format == FMT_VMEMX && (emul < -3 || emul > 3))
            continue;
        if (info->format == FMT_VMEMX)
            emul = t.lmul;
    } while ((emul < -3 || emul > 3 || (fields << (emul > 0 ? emul : 0)) > 8) && tries++ < 40);
    o = choose_operands(m, emul, (int)width - (int)t.sew + t.lmul, 0);
    if (fields > 1 && o.vd % 8 != 0 && !one_in(m, 4))
        o.vd &= 24; /* there is room for all fields */
    word = set_rd(word, o.vd);
    if (whole) {
        o.vd &= ~(one_in(m, 16) ? 0 : info->match >> 29);
        word = set_rd(info->match, o.vd) | base << 15;
        if (one_in(m, 2))
            emit_vset(m, &t, scratch);
        emit_row(m, OP_csrrwi,
                 i_type(OP_csrrwi, 0, one_in(m, 4) ? below(m, m->machine->vlen / 8 >> width) : 0,
                        0x008));
        emit_row(m, row, word);
        return true;
    }
    word = field(set_vm(word, masked), 29, 3, fields - 1);
    if (info->format == FMT_VMEM) {
        if (first_only) {
            const unsigned aligned = free_reg_not_0(m);

            base = memory_pointer(m);
            if (base == 0)
                return false;
            if (fields > 1 || masked)
                base = m->pointer[0];
            emit_row(m, OP_andi, i_type(OP_andi, aligned, base, -8));
            word = set_rs1(word, aligned);
            if (aligned == scratch)
                return false;
        }
        if (!one_in(m, 4))
            emit_vset(m, &t, scratch);
    } else if (info->format == FMT_VMEMS) {
        const unsigned most = t.immediate && t.avl < vlmax(m, &t) ? t.avl : vlmax(m, &t);
        const int limit = (int)(0x600 / (most == 0 ? 1 : most));
        const int dense = (int)(fields << width);
        int stride = one_in(m, 3) ? 0 : (int)below(m, 2 * (unsigned)limit + 1) - limit;

        if (dense <= limit && one_in(m, 3))
            stride = one_in(m, 2) ? dense : -dense;
        if (m->pmp)
            stride &= ~7;
        emit_li(m, scratch, stride);
        if (!t.immediate && t.avl == 0) /* would overwrite the stride */
            t.immediate = true;
        emit_vset(m, &t, 0);
        word = set_rs2(word, stride == 0 && one_in(m, 2) ? 0 : scratch);
    } else {
        static const uint16_t masks[] = {0x38, 0x78, 0x1f8, 0x5f0, 0x3f, 0xff, 0x1fc, 0x3ff};
        const struct vtype index = {
            .sew = width,
            .lmul = emul < -3 || emul > 3 ? -4 : (int)width - (int)t.sew + t.lmul,
            .immediate = t.immediate,
            .avl = t.avl};
        const unsigned other = free_reg_not_0(m);

        if (other == scratch || (!t.immediate && (t.avl == scratch || t.avl == other)))
            return false;
        emit_row(m, OP_addi, i_type(OP_addi, scratch, 0, masks[below(m, m->pmp ? 4 : 8)]));
        emit_vset(m, &index, other);
        emit_row(m, OP_vand_vx,
                 set_rs1(set_rs2(set_rd(insn_table[OP_vand_vx].match | 1u << 25, o.vs2), o.vs2),
                         scratch));
        emit_vset(m, &t, other);
        word = set_rs2(word, o.vs2);
    }
    maybe_vstart(m, 1);
    emit_row(m, row, word);
    if (first_only)
        emit_row(m, OP_csrrs, i_type(OP_csrrs, free_reg(m), 0, 0xc20));
    return true;
}

/* ---- The others ---- */

bool make_vector(struct maker *m, unsigned row)
{
    const struct insn_info *info = &insn_table[row];
    const char *name = info->mnemonic;
    struct shape s;
    struct vtype t;
    struct operands o;
    uint32_t word = info->match | ((uint32_t)rnd(m) & ~info->mask);
    bool masked = one_in(m, 2);
    int vd, vs1;

    if (row == OP_vsetvli || row == OP_vsetivli || row == OP_vsetvl)
        return make_vset(m, row);
    if (info->flags & INSN_MEM)
        return make_memory(m, row);
    s = shape_of(m, row);
    t = choose_vtype(m, &s);
    vd = t.lmul + s.vd;
    vs1 = row == OP_vrgatherei16_vv ? t.lmul + 1 - (int)t.sew : t.lmul + s.vs1;
    if (begins(name, "vms") || begins(name, "vmf") || begins(name, "vmadc") ||
        strstr(name, ".mm") != NULL || strstr(name, "red") != NULL)
        vd = 0;
    if (row == OP_vmv2r_v || row == OP_vmv4r_v || row == OP_vmv8r_v)
        t.lmul = vd = row == OP_vmv2r_v ? 1 : row == OP_vmv4r_v ? 2 : 3;
    o = choose_operands(m, vd, t.lmul + s.vs2, vs1);
    if (insn_writes_x((enum insn_format)info->format))
        word = set_rd(word, free_reg(m));
    else if (info->format != FMT_VFS)
        word = set_rd(word, o.vd);
    if ((info->mask >> 20 & 31) == 0)
        word = set_rs2(word, o.vs2);
    if (info->format == FMT_VVV || info->format == FMT_VMV || info->format == FMT_VDV)
        word = set_rs1(word, o.vs1);
    if ((info->mask >> 25 & 1) == 0)
        word = set_vm(word, masked);
    if (info->extension == EXT_ZVKNHB && t.lmul < 0) /* 33 */
        return false;
    if (info->extension == EXT_ZVKNHB || !one_in(m, 5))
        emit_vset(m, &t, free_reg_not_0(m));
    if (one_in(m, 16)) /* vxrm or vxsat */
        emit_row(m, OP_csrrwi, i_type(OP_csrrwi, 0, below(m, 8), 0x009 + below(m, 3) % 2));
    maybe_vstart(m, s.multiple);
    emit_row(m, row, word);
    return true;
}

void make_vector_state(struct maker *m)
{
    static const uint8_t status[] = {0, 1, 2, 3, 3, 3, 3, 3, 1, 2, 3, 3, 3, 3, 3, 3};
    const struct shape any = {.sews = 0xf, .lmul_min = -3};
    const struct vtype t = choose_vtype(m, &any);
    struct descriptor *d = &m->program->descriptor;

    d->mstatus |= (uint64_t)status[below(m, sizeof status)] << 9;
    d->vtype = one_in(m, 32) ? rnd(m) : vtype_bits(&t, below(m, 4));
    d->vl = one_in(m, 2) ? ~0ULL : below(m, 20);
    d->vstart = one_in(m, 16) ? below(m, 16) : 0;
    d->vcsr = below(m, 8);
}
