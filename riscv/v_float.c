/* Vector floating point (V, 13, 14.3, 14.4, 16.2, 16.3): what is legal, and each element exactly.
 */
#include "riscv/v_float.h"

/* ---- elements ---- */

#define ELEMENT(name, s, T, expression)                                                            \
    static uint64_t name##_##s(uint64_t x_, uint64_t y_, uint64_t z_, unsigned rm,                 \
                               uint32_t *flags)                                                    \
    {                                                                                              \
        const T x = (T)x_, y = (T)y_, z = (T)z_;                                                   \
        (void)y, (void)z, (void)rm, (void)flags;                                                   \
        return expression;                                                                         \
    }
#define ELEMENTS(s, T)                                                                             \
    ELEMENT(add, s, T, fp_add_##s(x, y, rm, flags))                                                \
    ELEMENT(sub, s, T, fp_sub_##s(x, y, rm, flags))                                                \
    ELEMENT(mul, s, T, fp_mul_##s(x, y, rm, flags))                                                \
    ELEMENT(div, s, T, fp_div_##s(x, y, rm, flags))                                                \
    ELEMENT(fma, s, T, fp_fma_##s(x, y, z, rm, flags))                                             \
    ELEMENT(min, s, T, fp_min_##s(x, y, flags))                                                    \
    ELEMENT(max, s, T, fp_max_##s(x, y, flags))                                                    \
    ELEMENT(sgnj, s, T, (x & ~SIGN_##s) | (y & SIGN_##s))                                          \
    ELEMENT(sgnjn, s, T, (x & ~SIGN_##s) | (~y & SIGN_##s))                                        \
    ELEMENT(sgnjx, s, T, x ^ (y & SIGN_##s))                                                       \
    ELEMENT(eq, s, T, fp_eq_##s(x, y, flags))                                                      \
    ELEMENT(ne, s, T, !fp_eq_##s(x, y, flags))                                                     \
    ELEMENT(lt, s, T, fp_lt_##s(x, y, flags))                                                      \
    ELEMENT(le, s, T, fp_le_##s(x, y, flags))                                                      \
    ELEMENT(sqrt, s, T, fp_sqrt_##s(x, rm, flags))                                                 \
    ELEMENT(rsqrt7, s, T, fp_rsqrt7_##s(x, flags))                                                 \
    ELEMENT(rec7, s, T, fp_rec7_##s(x, rm, flags))                                                 \
    ELEMENT(class, s, T, fp_class_##s(x))
ELEMENTS(s, uint32_t)
ELEMENTS(d, uint64_t)

static uint64_t element(const struct v_operand *p, uint64_t i, uint32_t *flags)
{
    i *= p->step;
    uint64_t value;
    switch (p->eew) {
    case 1: value = ((const v_u16 *)p->at)[i]; break;
    case 2: value = ((const v_u32 *)p->at)[i]; break;
    default: value = ((const v_u64 *)p->at)[i]; break;
    }
    return (p->widen ? fp_s_to_d((uint32_t)value, flags) : value) ^ p->flip;
}

static void put(const struct v_job *j, uint64_t i, uint64_t value)
{
    uint8_t *const d = v_reg(j->o, j->o->vd);
    switch (j->eew) {
    case 1: ((v_u16 *)d)[i] = (uint16_t)value; break;
    case 2: ((v_u32 *)d)[i] = (uint32_t)value; break;
    default: ((v_u64 *)d)[i] = value; break;
    }
}

void v_by_elements(struct v_job *j, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        if (!v_active(j->o, i))
            continue;
        const uint64_t x = element(&j->x, i, &j->flags), y = element(&j->y, i, &j->flags),
                       z = element(&j->z, i, &j->flags);
        const uint64_t value = j->soft(x, y, z, j->rm, &j->flags);
        if (j->mask != NULL)
            j->mask[i / 64] |= value << i % 64;
        else
            put(j, i, value);
    }
}

/* ---- operands ---- */

static const uint8_t nothing[16];

/* f[rs1] as an element: what is not NaN-boxed is the canonical NaN (V, 13, "Vector
 * Floating-Point Instructions"). */
static uint64_t scalar_of(const struct vop *o)
{
    const uint64_t f = o->hart->f[o->vs1];
    return o->sew == 3 ? f : f >> 32 == UINT32_MAX ? (uint32_t)f : NAN_s;
}

static void vector(struct v_operand *p, const struct vop *o, unsigned reg, unsigned eew, bool widen)
{
    p->at = v_reg(o, reg);
    p->step = 1;
    p->eew = eew;
    p->widen = widen;
}

static void none(struct v_operand *p, unsigned eew)
{
    p->at = nothing;
    p->eew = eew;
}

static bool is_scalar(const struct vop *o)
{
    return (o->raw >> 12 & 7) == 5; /* OPFVF */
}

/* ---- what is reserved ---- */

/* A group of elements of SEW that is read; where the result is of another EMUL `demul`, by it too
 * (V, 5.2, 5.3). */
static bool may_read(const struct vop *o, unsigned reg, int emul, int demul)
{
    return v_aligned(reg, emul) && v_source_apart(o, reg) && v_may_overlap(o->vd, demul, reg, emul);
}

static bool may_write(const struct vop *o, int emul)
{
    return v_aligned(o->vd, emul) && v_mask_apart(o);
}

/* A mask is written: its register may be the lowest of a source (V, 5.2). Reading a register
 * with two widths, be it v0 as elements and as the mask, is reserved; QEMU 10 does it here and in
 * reductions, and so do we. */
static bool may_compare(const struct vop *o, unsigned reg)
{
    return v_aligned(reg, o->lmul) && (reg == o->vd || !v_overlap(o->vd, 1, reg, v_group(o->lmul)));
}

/* ---- by rows of the listing ---- */

enum how {
    SWAPPED = 1,      /* x is vs1 or f[rs1], y is vs2 */
    FUSED = 2,        /* x is vs1 or f[rs1], y is vs2, z is vd */
    FACTOR = 4,       /* y is vd, z is vs2 */
    NEG_PRODUCT = 8,  /* -(x * y) */
    NEG_ADDEND = 16,  /* - z */
    WIDENING = 32,    /* the result is of 2 * SEW */
    WIDE_SOURCE = 64, /* vs2 too */
    COMPARING = 128,  /* the result is a mask */
};

struct row {
    v_operation *of[2]; /* single, double */
    uint8_t host;       /* enum v_host_op */
    uint8_t how;        /* enum how */
};

/* By funct6. */
#define ROW(name, HOST, how)                                                                       \
    {                                                                                              \
        {name##_s, name##_d}, V_HOST_##HOST, (how)                                                 \
    }
static const struct row rows[64] = {
    [0x00] = ROW(add, ADD, 0),
    [0x02] = ROW(sub, SUB, 0),
    [0x04] = ROW(min, MIN, 0),
    [0x06] = ROW(max, MAX, 0),
    [0x08] = ROW(sgnj, SGNJ, 0),
    [0x09] = ROW(sgnjn, SGNJN, 0),
    [0x0a] = ROW(sgnjx, SGNJX, 0),
    [0x18] = ROW(eq, EQ, COMPARING),
    [0x19] = ROW(le, LE, COMPARING),
    [0x1b] = ROW(lt, LT, COMPARING),
    [0x1c] = ROW(ne, NE, COMPARING),
    [0x1d] = ROW(lt, LT, COMPARING | SWAPPED), /* vmfgt */
    [0x1f] = ROW(le, LE, COMPARING | SWAPPED), /* vmfge */
    [0x20] = ROW(div, DIV, 0),
    [0x21] = ROW(div, DIV, SWAPPED), /* vfrdiv */
    [0x24] = ROW(mul, MUL, 0),
    [0x27] = ROW(sub, SUB, SWAPPED), /* vfrsub */
    [0x28] = ROW(fma, FMA, FUSED | FACTOR),
    [0x29] = ROW(fma, FMA, FUSED | FACTOR | NEG_PRODUCT | NEG_ADDEND), /* vfnmadd */
    [0x2a] = ROW(fma, FMA, FUSED | FACTOR | NEG_ADDEND),               /* vfmsub */
    [0x2b] = ROW(fma, FMA, FUSED | FACTOR | NEG_PRODUCT),              /* vfnmsub */
    [0x2c] = ROW(fma, FMA, FUSED),
    [0x2d] = ROW(fma, FMA, FUSED | NEG_PRODUCT | NEG_ADDEND), /* vfnmacc */
    [0x2e] = ROW(fma, FMA, FUSED | NEG_ADDEND),               /* vfmsac */
    [0x2f] = ROW(fma, FMA, FUSED | NEG_PRODUCT),              /* vfnmsac */
    [0x30] = ROW(add, ADD, WIDENING),
    [0x32] = ROW(sub, SUB, WIDENING),
    [0x34] = ROW(add, ADD, WIDENING | WIDE_SOURCE),
    [0x36] = ROW(sub, SUB, WIDENING | WIDE_SOURCE),
    [0x38] = ROW(mul, MUL, WIDENING),
    [0x3c] = ROW(fma, FMA, FUSED | WIDENING),
    [0x3d] = ROW(fma, FMA, FUSED | WIDENING | NEG_PRODUCT | NEG_ADDEND), /* vfwnmacc */
    [0x3e] = ROW(fma, FMA, FUSED | WIDENING | NEG_ADDEND),               /* vfwmsac */
    [0x3f] = ROW(fma, FMA, FUSED | WIDENING | NEG_PRODUCT),              /* vfwnmsac */
};
static const struct row square_root = ROW(sqrt, SQRT, 0), estimate_of_root = ROW(rsqrt7, NONE, 0),
                        estimate = ROW(rec7, NONE, 0), class = ROW(class, NONE, 0);

static void run(struct v_job *j)
{
    if (!v_by_host(j))
        v_by_elements(j, j->o->vstart, j->o->vl);
    j->o->hart->fflags |= j->flags;
}

/* The elements of a job whose result is a group of EMUL `emul`. */
static bool write_group(struct v_job *j, int emul)
{
    const struct vop *o = j->o;
    if (o->vstart >= o->vl)
        return true;
    run(j);
    v_inactives(o, o->vstart, j->eew);
    v_tail(o, o->vd, j->eew, emul);
    return true;
}

static bool write_mask(struct v_job *j)
{
    const struct vop *o = j->o;
    uint64_t mask[V_ELEMENTS / 64] = {0};
    if (o->vstart >= o->vl)
        return true;
    j->mask = mask;
    run(j);
    for (unsigned w = 0; w < (o->vl + 63) / 64; w++)
        v_put_bits(o, w, mask[w]);
    v_mask_tail(o);
    return true;
}

static bool may_compute(const struct vop *o, unsigned how)
{
    const int wide = o->lmul + 1;
    const bool second = !is_scalar(o);

    if ((how & COMPARING) != 0)
        return o->sew >= 2 && may_compare(o, o->vs2) && (!second || may_compare(o, o->vs1));
    if ((how & WIDENING) == 0)
        return o->sew >= 2 && may_write(o, o->lmul) && may_read(o, o->vs2, o->lmul, o->lmul) &&
               (!second || may_read(o, o->vs1, o->lmul, o->lmul));
    if (o->sew != 2 || !may_write(o, wide) || (second && !may_read(o, o->vs1, o->lmul, wide)))
        return false;
    /* A register is read with one EEW (V, 5.2). */
    const unsigned group = v_group(o->lmul), wide_group = v_group(wide);
    if ((how & WIDE_SOURCE) != 0)
        return may_read(o, o->vs2, wide, wide) &&
               !(second && v_overlap(o->vs2, wide_group, o->vs1, group));
    return may_read(o, o->vs2, o->lmul, wide) &&
           !((how & FUSED) != 0 && (v_overlap(o->vd, wide_group, o->vs2, group) ||
                                    (second && v_overlap(o->vd, wide_group, o->vs1, group))));
}

static bool compute(const struct vop *o, unsigned rm, const struct row *row)
{
    const unsigned how = row->how;
    if (!may_compute(o, how))
        return false;

    const bool widening = (how & WIDENING) != 0, wide = (how & WIDE_SOURCE) != 0;
    const unsigned eew = o->sew + widening;
    const uint64_t sign = eew == 2 ? SIGN_s : SIGN_d;
    struct v_job j = {.o = o, .soft = row->of[eew - 2], .host = row->host, .eew = eew, .rm = rm};
    struct v_operand *a = &j.x, *b = &j.y, *d = &j.z; /* vs2, vs1 or f[rs1], vd */

    if ((how & FUSED) != 0) {
        b = &j.x;
        a = (how & FACTOR) != 0 ? &j.z : &j.y;
        d = (how & FACTOR) != 0 ? &j.y : &j.z;
        vector(d, o, o->vd, eew, false);
        j.x.flip = (how & NEG_PRODUCT) != 0 ? sign : 0;
        j.z.flip = (how & NEG_ADDEND) != 0 ? sign : 0;
    } else {
        if ((how & SWAPPED) != 0)
            a = &j.y, b = &j.x;
        none(d, eew);
    }
    vector(a, o, o->vs2, wide ? eew : o->sew, widening && !wide);
    vector(b, o, o->vs1, o->sew, widening);
    _Alignas(16) v_u64 scalar[2];
    if (is_scalar(o)) {
        const uint64_t value = scalar_of(o);
        scalar[0] = scalar[1] = o->sew == 2 ? value << 32 | value : value;
        b->at = (const uint8_t *)scalar;
        b->step = 0;
    }
    return (how & COMPARING) != 0 ? write_mask(&j) : write_group(&j, o->lmul + widening);
}

/* ---- of one operand ---- */

static bool compute_one(const struct vop *o, unsigned rm, const struct row *row)
{
    if (o->sew < 2 || !may_write(o, o->lmul) || !may_read(o, o->vs2, o->lmul, o->lmul))
        return false;
    struct v_job j = {
        .o = o, .soft = row->of[o->sew - 2], .host = row->host, .eew = o->sew, .rm = rm};
    vector(&j.x, o, o->vs2, o->sew, false);
    none(&j.y, o->sew);
    none(&j.z, o->sew);
    return write_group(&j, o->lmul);
}

static bool convert(const struct vop *o, unsigned rm)
{
    const struct v_conversion *c = v_conversion_of(o);
    const unsigned group = o->vs1 >> 3, kind = o->vs1 & 7;
    const unsigned from = o->sew + (group == 2), to = o->sew + (group == 1);
    const int semul = o->lmul + (group == 2), demul = o->lmul + (group == 1);

    if (c == NULL || !may_write(o, demul) || !may_read(o, o->vs2, semul, demul))
        return false;
    struct v_job j = {
        .o = o, .soft = c->soft, .host = c->host, .eew = to, .rm = kind >= 6 ? FP_RTZ : rm};
    vector(&j.x, o, o->vs2, from, c->host == V_HOST_MOVE && to == 3);
    none(&j.y, to);
    none(&j.z, to);
    return write_group(&j, demul);
}

/* ---- reductions (14.3, 14.4) ---- */

/* In the order of the elements, whichever: so does QEMU. */
static bool reduce(const struct vop *o, unsigned rm, const struct row *row, bool widening)
{
    const unsigned eew = o->sew + widening;
    if (o->sew < 2 || eew > 3 || o->vstart != 0 || !v_aligned(o->vs2, o->lmul))
        return false;
    if (o->vl == 0)
        return true;

    struct v_job j = {.o = o, .host = row->host, .eew = eew, .rm = rm};
    vector(&j.x, o, o->vs2, o->sew, widening);
    vector(&j.y, o, o->vs1, eew, false);
    uint64_t i = 0, value = element(&j.y, 0, &j.flags);
    while (i < o->vl && !v_active(o, i))
        i++;
    if (i < o->vl && !v_sum_by_host(&j, &value)) {
        for (; i < o->vl; i++) {
            if (v_active(o, i))
                value = row->of[eew - 2](value, element(&j.x, i, &j.flags), 0, rm, &j.flags);
        }
    }
    put(&j, 0, value);
    o->hart->fflags |= j.flags;

    struct vop one = *o;
    one.vl = 1;
    v_tail(&one, o->vd, eew, 0);
    return true;
}

/* ---- moves ---- */

static bool read_first(const struct vop *o)
{
    const uint64_t boxed = o->sew == 3 ? 0 : UINT64_C(0xffffffff00000000);
    o->hart->f[o->vd] = v_element(o, o->vs2, 0) | boxed;
    return true;
}

/* frm is checked even where nothing is rounded (V, 13); without Zvfh SEW is 32 or 64, but for
 * conversions. */
bool v_float(const struct vop *o)
{
    const unsigned funct6 = o->raw >> 26, rm = o->hart->frm;

    if (rm > FP_RMM)
        return false;
    if (funct6 == 0x12)
        return convert(o, rm);
    if (o->sew < 2)
        return false;
    switch (o->op) {
    case OP_vfredusum_vs:
    case OP_vfredosum_vs: return reduce(o, rm, &rows[0x00], false);
    case OP_vfwredusum_vs:
    case OP_vfwredosum_vs: return reduce(o, rm, &rows[0x00], true);
    case OP_vfredmin_vs: return reduce(o, rm, &rows[0x04], false);
    case OP_vfredmax_vs: return reduce(o, rm, &rows[0x06], false);
    case OP_vfslide1up_vf: return v_slide1(o, true, scalar_of(o));
    case OP_vfslide1down_vf: return v_slide1(o, false, scalar_of(o));
    case OP_vfmv_f_s: return read_first(o);
    case OP_vfmv_s_f: return v_first(o, scalar_of(o));
    case OP_vfmerge_vfm: return v_merge(o, scalar_of(o));
    case OP_vfmv_v_f: return v_splat(o, scalar_of(o));
    case OP_vfsqrt_v: return compute_one(o, rm, &square_root);
    case OP_vfrsqrt7_v: return compute_one(o, rm, &estimate_of_root);
    case OP_vfrec7_v: return compute_one(o, rm, &estimate);
    case OP_vfclass_v: return compute_one(o, rm, &class);
    default: return compute(o, rm, &rows[funct6]);
    }
}
