/* Vector integer instructions by element (V, 11; Zvbb), against an account in 128 bits. */
#include "tests/unit/vector_test.h"

#define RUNS 400 /* of each instruction */

__extension__ typedef __int128 s128;
__extension__ typedef unsigned __int128 u128;

/* Elements of vs2 (x), vs1 or the scalar (y) and vd (z), without a sign and with it; c is v0's bit.
 * `bits` is SEW. */
struct in {
    u128 x, y, z;
    s128 sx, sy, sz;
    unsigned c, bits;
};

typedef u128 account(const struct in *k);

/* Widths of vd, vs2 and vs1 by SEW; and what is special. */
enum shape {
    SAME,
    WIDEN, /* vd is of 2 * SEW */
    WADD,  /* the same, and it is an operand */
    WIDE,  /* vs2 too */
    NARROW,
    MASK,
    CARRY,   /* v0 is an operand */
    CARRIES, /* the same of a mask, or neither */
    PART2,   /* vs2 is of SEW / 2, 4, 8 */
    PART4,
    PART8,
};

#define F(name, e)                                                                                 \
    static u128 name(const struct in *k)                                                           \
    {                                                                                              \
        return (u128)(e);                                                                          \
    }
F(add, k->x + k->y)
F(sub, k->x - k->y)
F(rsub, k->y - k->x)
F(and, k->x & k->y)
F(or, k->x | k->y)
F(xor, k->x ^ k->y)
F(andn, k->x & ~k->y)
F(minu, k->x < k->y ? k->x : k->y)
F(maxu, k->x > k->y ? k->x : k->y)
F(min, k->sx < k->sy ? k->sx : k->sy)
F(max, k->sx > k->sy ? k->sx : k->sy)
F(sll, k->x << (k->y % k->bits))
F(srl, k->x >> (k->y % k->bits))
F(sra, k->sx >> (k->y % k->bits))
F(nsrl, k->x >> (k->y % (2 * k->bits)))
F(nsra, k->sx >> (k->y % (2 * k->bits)))
F(wsll, k->x << (k->y % (2 * k->bits)))
F(rol, k->x << (k->y % k->bits) | k->x >> (k->bits - k->y % k->bits))
F(ror, k->x >> (k->y % k->bits) | k->x << (k->bits - k->y % k->bits))
F(mul, k->x * k->y)
F(mulhu, k->x * k->y >> k->bits)
F(mulh, k->sx * k->sy >> k->bits)
F(mulhsu, k->sx *(s128)k->y >> k->bits)
F(divu, k->y == 0 ? ~(u128)0 : k->x / k->y)
F(divs, k->sy == 0 ? -1 : k->sx / k->sy)
F(remu, k->y == 0 ? k->x : k->x % k->y)
F(rems, k->sy == 0 ? k->sx : k->sx % k->sy)
F(macc, k->z + k->x * k->y)
F(nmsac, k->z - k->x * k->y)
F(madd, k->x + k->z * k->y)
F(nmsub, k->x - k->z * k->y)
F(wadd, k->sx + k->sy)
F(wsub, k->sx - k->sy)
F(wmul, k->sx * k->sy)
F(wmulsu, k->sx *(s128)k->y)
F(wmacc, k->z + (u128)(k->sx * k->sy))
F(wmaccsu, k->z + (u128)((s128)k->x * k->sy))
F(wmaccus, k->z + (u128)(k->sx * (s128)k->y))
F(zext, k->x)
F(sext, k->sx)
F(eq, k->x == k->y)
F(ne, k->x != k->y)
F(ltu, k->x < k->y)
F(lt, k->sx < k->sy)
F(leu, k->x <= k->y)
F(le, k->sx <= k->sy)
F(gtu, k->x > k->y)
F(gt, k->sx > k->sy)
F(adc, k->x + k->y + k->c)
F(sbc, k->x - k->y - k->c)
F(carry, (k->x + k->y + k->c) >> k->bits)
F(borrow, (s128)k->x - (s128)k->y - (s128)k->c < 0)

/* By bits, from the lowest: bit `i` of x goes where `e` says. */
#define BITS(name, e)                                                                              \
    static u128 name(const struct in *k)                                                           \
    {                                                                                              \
        u128 value = 0;                                                                            \
        for (unsigned i = 0; i < k->bits; i++)                                                     \
            value |= (k->x >> i & 1) << (e);                                                       \
        return value;                                                                              \
    }
BITS(brev, k->bits - 1 - i)
BITS(brev8, i - i % 8 + 7 - i % 8)
BITS(rev8, k->bits - 8 - (i - i % 8) + i % 8)

static u128 ctz(const struct in *k)
{
    unsigned n = 0;
    while (n < k->bits && (k->x >> n & 1) == 0)
        n++;
    return n;
}

static u128 clz(const struct in *k)
{
    unsigned n = 0;
    while (n < k->bits && (k->x >> (k->bits - 1 - n) & 1) == 0)
        n++;
    return n;
}

static u128 cpop(const struct in *k)
{
    unsigned n = 0;
    for (unsigned i = 0; i < k->bits; i++)
        n += (unsigned)(k->x >> i & 1);
    return n;
}

struct row {
    unsigned op;
    enum shape shape;
    account *f;
};

#define VV_VX(name, shape, f)                                                                      \
    {OP_##name##_vv, shape, f},                                                                    \
    {                                                                                              \
        OP_##name##_vx, shape, f                                                                   \
    }
#define VX_VI(name, shape, f)                                                                      \
    {OP_##name##_vx, shape, f},                                                                    \
    {                                                                                              \
        OP_##name##_vi, shape, f                                                                   \
    }
#define VV_VX_VI(name, shape, f) {OP_##name##_vv, shape, f}, VX_VI(name, shape, f)
#define WV_WX(name, shape, f)                                                                      \
    {OP_##name##_wv, shape, f},                                                                    \
    {                                                                                              \
        OP_##name##_wx, shape, f                                                                   \
    }
#define VVM_VXM(name, shape, f)                                                                    \
    {OP_##name##_vvm, shape, f},                                                                   \
    {                                                                                              \
        OP_##name##_vxm, shape, f                                                                  \
    }

static const struct row same[] = {
    VV_VX_VI(vadd, SAME, add), VV_VX(vsub, SAME, sub),     VX_VI(vrsub, SAME, rsub),
    VV_VX_VI(vand, SAME, and), VV_VX_VI(vor, SAME, or),    VV_VX_VI(vxor, SAME, xor),
    VV_VX(vandn, SAME, andn),  VV_VX(vminu, SAME, minu),   VV_VX(vmaxu, SAME, maxu),
    VV_VX(vmin, SAME, min),    VV_VX(vmax, SAME, max),     VV_VX_VI(vsll, SAME, sll),
    VV_VX_VI(vsrl, SAME, srl), VV_VX_VI(vsra, SAME, sra),  VV_VX(vrol, SAME, rol),
    VV_VX_VI(vror, SAME, ror), {OP_vbrev8_v, SAME, brev8}, {OP_vrev8_v, SAME, rev8},
    {OP_vbrev_v, SAME, brev},  {OP_vclz_v, SAME, clz},     {OP_vctz_v, SAME, ctz},
    {OP_vcpop_v, SAME, cpop},
};

static const struct row products[] = {
    VV_VX(vmul, SAME, mul),       VV_VX(vmulhu, SAME, mulhu), VV_VX(vmulh, SAME, mulh),
    VV_VX(vmulhsu, SAME, mulhsu), VV_VX(vdivu, SAME, divu),   VV_VX(vdiv, SAME, divs),
    VV_VX(vremu, SAME, remu),     VV_VX(vrem, SAME, rems),    VV_VX(vmacc, SAME, macc),
    VV_VX(vnmsac, SAME, nmsac),   VV_VX(vmadd, SAME, madd),   VV_VX(vnmsub, SAME, nmsub),
};

static const struct row widths[] = {
    VV_VX(vwaddu, WIDEN, add),     VV_VX(vwadd, WIDEN, wadd),      VV_VX(vwsubu, WIDEN, sub),
    VV_VX(vwsub, WIDEN, wsub),     VV_VX(vwmulu, WIDEN, mul),      VV_VX(vwmul, WIDEN, wmul),
    VV_VX(vwmulsu, WIDEN, wmulsu), VV_VX_VI(vwsll, WIDEN, wsll),   VV_VX(vwmaccu, WADD, macc),
    VV_VX(vwmacc, WADD, wmacc),    VV_VX(vwmaccsu, WADD, wmaccsu), {OP_vwmaccus_vx, WADD, wmaccus},
    WV_WX(vwaddu, WIDE, add),      WV_WX(vwadd, WIDE, wadd),       WV_WX(vwsubu, WIDE, sub),
    WV_WX(vwsub, WIDE, wsub),      WV_WX(vnsrl, NARROW, nsrl),     {OP_vnsrl_wi, NARROW, nsrl},
    WV_WX(vnsra, NARROW, nsra),    {OP_vnsra_wi, NARROW, nsra},    {OP_vzext_vf2, PART2, zext},
    {OP_vzext_vf4, PART4, zext},   {OP_vzext_vf8, PART8, zext},    {OP_vsext_vf2, PART2, sext},
    {OP_vsext_vf4, PART4, sext},   {OP_vsext_vf8, PART8, sext},
};

static const struct row masks[] = {
    VV_VX_VI(vmseq, MASK, eq),       VV_VX_VI(vmsne, MASK, ne),
    VV_VX(vmsltu, MASK, ltu),        VV_VX(vmslt, MASK, lt),
    VV_VX_VI(vmsleu, MASK, leu),     VV_VX_VI(vmsle, MASK, le),
    VX_VI(vmsgtu, MASK, gtu),        VX_VI(vmsgt, MASK, gt),
    VVM_VXM(vadc, CARRY, adc),       {OP_vadc_vim, CARRY, adc},
    VVM_VXM(vsbc, CARRY, sbc),       VVM_VXM(vmadc, CARRIES, carry),
    {OP_vmadc_vim, CARRIES, carry},  VV_VX_VI(vmadc, CARRIES, carry),
    VVM_VXM(vmsbc, CARRIES, borrow), VV_VX(vmsbc, CARRIES, borrow),
};

static s128 with_sign(u128 value, unsigned sew)
{
    const u128 top = (u128)1 << ((8u << sew) - 1);
    return (s128)((value ^ top) - top);
}

static bool takes_vs1(const struct vt *t)
{
    return insn_table[t->op].format == FMT_VVV || insn_table[t->op].format == FMT_VMV;
}

/* rs1, simm5, uimm5 or uimm6 as SEW bits. */
static uint64_t scalar(const struct vt *t)
{
    uint64_t value = t->vs1;
    switch (insn_table[t->op].format) {
    case FMT_VVX:
    case FMT_VMX: value = t->x_before[t->vs1]; break;
    case FMT_VVI: value = t->vs1 < 16 ? t->vs1 : (uint64_t)t->vs1 - 32; break;
    case FMT_VVU6: value += t->uimm5 ? 32 : 0; break;
    default: break;
    }
    return t->sew == 3 ? value : value & ((1ULL << (8 << t->sew)) - 1);
}

static unsigned registers(int emul)
{
    return emul > 0 ? 1u << emul : 1;
}

/* V, 5.2; by the log2 of widths (a mask's is -3) and of EMUL. */
static bool may_overlap(const struct vt *t, int deew, int demul, unsigned vs, int seew, int semul)
{
    if ((vt_group(t->vd, demul) & vt_group(vs, semul)) == 0 || deew == seew)
        return true;
    if (deew < seew)
        return t->vd == vs;
    return semul >= 0 && t->vd + registers(demul) == vs + registers(semul);
}

/* What an instruction of this shape has: log2 of widths in bytes and of EMUL. */
struct widths {
    int deew, demul, eew2, emul2;
};

static struct widths widths_of(const struct vt *t, enum shape shape)
{
    const int sew = (int)t->sew;
    struct widths w = {sew, t->lmul, sew, t->lmul};
    if (shape == WIDEN || shape == WADD || shape == WIDE)
        w.deew++, w.demul++;
    if (shape == WIDE || shape == NARROW)
        w.eew2++, w.emul2++;
    if (shape >= PART2) {
        const int by = 1 + (int)(shape - PART2);
        w.eew2 -= by, w.emul2 -= by;
    }
    if (shape == MASK || shape == CARRIES)
        w.deew = -3, w.demul = 0;
    return w;
}

static bool is_legal(const struct vt *t, enum shape shape)
{
    const struct widths w = widths_of(t, shape);
    const int sew = (int)t->sew;
    /* V, 5.2: one register is not read with two widths, be one a mask's. QEMU 10 does it when a
     * mask is made and with carries. */
    const bool two = shape == MASK || shape == CARRY || shape == CARRIES;

    if (w.deew > 3 || w.eew2 > 3 || w.eew2 < 0)
        return false;
    if (!vt_aligned(t->vd, w.demul) || !vt_aligned(t->vs2, w.emul2))
        return false;
    if (w.deew >= 0 && (t->masked || shape == CARRY) && t->vd == 0)
        return false;
    if (!may_overlap(t, w.deew, w.demul, t->vs2, w.eew2, w.emul2))
        return false;
    if (t->masked && !two && t->vs2 == 0)
        return false;
    /* vd is read with its width. */
    if (shape == WADD && (vt_group(t->vd, w.demul) & vt_group(t->vs2, w.emul2)) != 0)
        return false;
    if (!takes_vs1(t))
        return true;
    return vt_aligned(t->vs1, t->lmul) && may_overlap(t, w.deew, w.demul, t->vs1, sew, t->lmul) &&
           !(t->masked && !two && t->vs1 == 0) &&
           !(shape == WADD && (vt_group(t->vd, w.demul) & vt_group(t->vs1, t->lmul)) != 0) &&
           !(w.eew2 != sew && (vt_group(t->vs2, w.emul2) & vt_group(t->vs1, t->lmul)) != 0);
}

static void expect(struct vt *t, const struct row *row)
{
    const bool legal = is_legal(t, row->shape), mask = row->shape == MASK || row->shape == CARRIES;
    const bool carries = row->shape == CARRY || row->shape == CARRIES;
    const struct widths w = widths_of(t, row->shape);
    /* All elements of those with carries are active: the mask is an operand. */
    const bool reads_v0 = carries && (insn_table[t->op].match >> 25 & 1) == 0;

    for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
        struct in in = {.bits = 8u << t->sew};
        const unsigned deew = mask ? 0 : (unsigned)w.deew;
        if (!vt_active(t, i) && !carries) {
            if (mask && t->ones && t->vma)
                vt_set_bit(t->want, t, t->vd, i, true);
            continue;
        }
        in.x = vt_get(t->before, t, t->vs2, (unsigned)w.eew2, i);
        in.sx = with_sign(in.x, (unsigned)w.eew2);
        in.y = takes_vs1(t) ? vt_get(t->before, t, t->vs1, t->sew, i) : scalar(t);
        in.sy = with_sign(in.y, t->sew);
        in.z = mask ? 0 : vt_get(t->before, t, t->vd, deew, i);
        in.sz = with_sign(in.z, deew);
        in.c = reads_v0 && vt_get_bit(t->before, t, 0, i);
        const uint64_t value = (uint64_t)row->f(&in);
        if (mask)
            vt_set_bit(t->want, t, t->vd, i, (value & 1) != 0);
        else
            vt_set(t->want, t, t->vd, deew, i, value);
    }
    if (legal && t->vstart < t->vl) {
        for (uint64_t i = t->vl; mask && t->ones && i < t->vlen; i++)
            vt_set_bit(t->want, t, t->vd, i, true);
        if (!mask)
            vt_policies(t, t->vstart, (unsigned)w.deew, w.demul);
    }
    vt_check(t, legal);
}

static void check(struct vt *t, const struct row *rows, size_t n)
{
    for (size_t r = 0; r < n; r++) {
        for (unsigned run = 0; run < RUNS; run++) {
            const enum shape shape = rows[r].shape;
            t->op = rows[r].op;
            vt_choose(t);
            if (vt_below(4) != 0) { /* the widths' own alignment, and overlaps more often */
                const struct widths w = widths_of(t, shape);
                t->vd &= ~(registers(w.demul < 3 ? w.demul : 3) - 1);
                t->vs2 &= ~(registers(w.emul2 < 3 ? w.emul2 : 3) - 1);
                if (vt_below(4) == 0)
                    t->vs2 = (t->vd + registers(w.demul) - registers(w.emul2)) & 31;
                else if (vt_below(8) == 0)
                    t->vs2 = t->vd;
            }
            if (shape == CARRY || shape == CARRIES)
                t->masked = t->vma = false; /* vm is the row's, no element is inactive */
            t->uimm5 = insn_table[t->op].format == FMT_VVU6 && vt_below(2) != 0;
            vt_prepare(t);
            vt_corners(t);
            expect(t, &rows[r]);
        }
    }
    t->uimm5 = false;
}

#define CHECK(rows) check(*state, rows, sizeof rows / sizeof rows[0])

static void arithmetic_logic_and_shifts_are_by_element(void **state)
{
    CHECK(same);
}

static void products_and_quotients_are_by_element(void **state)
{
    CHECK(products);
}

static void widths_change_by_the_row(void **state)
{
    CHECK(widths);
}

static void comparisons_and_carries_are_bits(void **state)
{
    CHECK(masks);
}

/* V, 11.11, table: what does not divide. */
static void quotients_by_zero_and_of_the_least_number_do_not_trap(void **state)
{
    static const struct {
        unsigned op;
        uint64_t y, want; /* of 2^63 */
    } rows[] = {
        {OP_vdivu_vx, 0, UINT64_MAX},         {OP_vdiv_vx, 0, UINT64_MAX},
        {OP_vremu_vx, 0, 1ULL << 63},         {OP_vrem_vx, 0, 1ULL << 63},
        {OP_vdiv_vx, UINT64_MAX, 1ULL << 63}, {OP_vrem_vx, UINT64_MAX, 0},
    };
    struct vt *t = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        *t = (struct vt){.hart = t->hart, .op = rows[i].op, .vlen = 128, .sew = 3, .vl = 1};
        t->vd = 1, t->vs2 = 2, t->vs1 = 3;
        vt_prepare(t);
        t->hart->x[3] = rows[i].y;
        vt_set(t->hart->v, t, 2, 3, 0, 1ULL << 63);
        memcpy(t->want, t->hart->v, sizeof t->want);
        vt_set(t->want, t, 1, 3, 0, rows[i].want);
        vt_check(t, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_logic_and_shifts_are_by_element),
        cmocka_unit_test(products_and_quotients_are_by_element),
        cmocka_unit_test(widths_change_by_the_row),
        cmocka_unit_test(comparisons_and_carries_are_bits),
        cmocka_unit_test(quotients_by_zero_and_of_the_least_number_do_not_trap),
    };
    return cmocka_run_group_tests(tests, vt_setup, vt_teardown);
}
