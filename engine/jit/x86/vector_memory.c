/*
 * Vector loads and stores. What lies next to each other in a page that the TLB has is moved in
 * pieces, elements elsewhere one by one; what the TLB lacks is C's, from that element on.
 */
#include "engine/jit/x86/vector.h"

struct access {
    bool store, whole; /* whole: registers, whatever vl is */
    unsigned eew;      /* of the data, log2 of bytes */
    unsigned fields;
    int32_t tags;
};

/* A piece of memory to or from `ymm`; of a fraction to or from its low bytes, by way of ecx where
 * there are few. */
static void move_memory(const struct vector *v, bool y, unsigned ymm, struct x86_mem m, bool store)
{
    struct x86_code *c = &v->l->c;
    const bool eight = v->bytes == 8;
    if (!vec_is_fraction(v)) {
        x_v_mem(c, y, store ? VMOVDQU_STORE : VMOVDQU_LOAD, ymm, 0, m);
    } else if (v->bytes >= 4) { /* vmovq, vmovd */
        x_v_mem(c, false, (store ? X86_V(1, 1, 0x7e) : VMOVD_TO) | (eight ? X86_V_W(0, 0, 0) : 0),
                ymm, 0, m);
    } else if (store) {
        x_v(c, false, X86_V(1, 1, 0x7e), ymm, 0, RCX); /* vmovd */
        if (v->bytes == 2) {
            put8(c, 0x66);
            x_mem(c, false, 0x89, RCX, m);
        } else {
            x_mem8(c, 0x88, RCX, m);
        }
    } else {
        x_mem(c, false, v->bytes == 2 ? 0x0fb7 : 0x0fb6, RCX, m);
        x_v(c, false, VMOVD_TO, ymm, 0, RCX);
    }
}

/* The group of each field is where it may be, and an EMUL there is (V, 7.3). */
static bool groups_exist(const struct vector *v, const struct access *a)
{
    return v->bytes >= v->vlenb / 8 && v->regs * a->fields <= 8 && v->vd % v->regs == 0 &&
           v->vd + v->regs * a->fields <= 32;
}

/* ---- next to each other ---- */

/* vpmaskmovd, vpmaskmovq: of a piece to [rax + at] what is active. */
static void store_active(const struct vector *v, unsigned at)
{
    struct x86_code *c = &v->l->c;
    const bool y = vec_is_whole(v, at);
    vec_find_inactive(v, at);
    vec_ones(v, 1);
    x_v(c, y, VPXOR, 2, 2, 1);
    vec_load_piece(v, 0, v->vd, at);
    x_load(c, RAX, x86_frame(FRAME_VALUE));
    x_v_mem(c, y, v->sew == 3 ? X86_V_W(2, 1, 0x8e) : X86_V(2, 1, 0x8e), 0, 2,
            mem_at(RAX, (int32_t)at));
}

static bool lower_unit(struct vector *v, const struct access *a)
{
    struct lowering *l = v->l;
    struct x86_code *c = &l->c;

    if (v->masked) { /* a host has no store of some bytes or words of 16 bits alone */
        v->sew = a->eew;
        if (v->vd == 0 || (a->store && (a->eew < 2 || vec_is_fraction(v))))
            return false;
    }
    if (v->part) {
        x_lea(c, RCX, vec_group_at(v, v->vd, 0));
        x_load(c, RDX, mem_at(R_VCPU, VCPU(vl)));
        if (a->eew != 0)
            x_shift(c, true, SHIFT_SHL, RDX, a->eew);
        x86_get(l, RAX, v->ir->a);
        x_call_to(c, x86_stub(l, x86_stubs.copy[a->store]));
        vec_to_c(v, x_jcc(c, CC_NE), 0);
        return true;
    }
    vec_guard(v, !a->whole, a->whole ? ANY_LENGTH : WHOLE_OR_PART);
    x86_get(l, RAX, v->ir->a);
    x86_hole miss = x86_host_address(c, v->bytes, a->tags);
    if (a->whole || v->masked || jit_options()->audit)
        vec_to_c(v, miss, 0);
    else
        x86_later(l, LATE_VECTOR_PART, miss, v->ir); /* two pages, perhaps */
    if (v->masked)
        x_store(c, x86_frame(FRAME_VALUE), RAX);
    for (unsigned at = 0; at < v->bytes; at += PIECE) {
        const unsigned ymm = v->masked || vec_is_fraction(v) ? 0 : at / PIECE % 3;
        const bool y = vec_is_whole(v, at);
        if (v->masked && a->store) {
            store_active(v, at);
            continue;
        }
        if (v->masked && at > 0)
            x_load(c, RAX, x86_frame(FRAME_VALUE));
        if (a->store)
            vec_load_piece(v, ymm, v->vd, at);
        move_memory(v, y, ymm, mem_at(RAX, (int32_t)at), a->store);
        if (!a->store)
            vec_store_piece(v, v->vd, at, ymm);
    }
    vec_end_pieces(v);
    return true;
}

/* ---- one by one ---- */

#define MOVES_MOST  64u /* elements that are moved one by one */
#define MOVE_CODE   16u /* bytes of code */
#define SEARCH_CODE 110u

/* Element i of each field, which begin at [rax + at]. Clobbers rcx. */
static void move_element(const struct vector *v, const struct access *a, unsigned i, unsigned at)
{
    struct x86_code *c = &v->l->c;
    for (unsigned field = 0; field < a->fields; field++) {
        const struct x86_mem memory = mem_at(RAX, (int32_t)(at + (field << a->eew))),
                             element = vec_group_at(v, v->vd + field * v->regs, i << a->eew);
        vec_load_low(c, a->eew, RCX, a->store ? element : memory);
        vec_store_low(c, a->eew, a->store ? memory : element, RCX);
    }
}

static bool has_moves(struct vector *v, const struct access *a, unsigned more)
{
    const unsigned moves = v->elements * a->fields;
    return moves <= MOVES_MOST && vec_has_share(v, moves * MOVE_CODE + more);
}

static bool lower_segments(struct vector *v, const struct access *a)
{
    const unsigned segment = a->fields << a->eew;
    if (!has_moves(v, a, 0))
        return false;
    vec_guard(v, true, WHOLE);
    x86_get(v->l, RAX, v->ir->a);
    vec_to_c(v, x86_host_address(&v->l->c, v->elements * segment, a->tags), 0);
    for (unsigned i = 0; i < v->elements; i++)
        move_element(v, a, i, i * segment);
    return true;
}

/* All in one page: the first and the last are, and none is far away. */
static bool lower_strided(struct vector *v, const struct access *a)
{
    struct x86_code *c = &v->l->c;
    const int32_t page = MEM_PAGE_SIZE, end = (int32_t)(a->fields << a->eew) - 1;
    if (!has_moves(v, a, 0))
        return false;
    vec_guard(v, true, WHOLE);
    x86_get(v->l, RAX, v->ir->a);
    x86_get(v->l, RDX, v->ir->b);
    x_lea(c, RCX, mem_at(RDX, page));
    x_alu_const(c, true, ALU_CMP, RCX, 2 * page);
    vec_to_c(v, x_jcc(c, CC_AE), 0);
    x_const(c, RCX, v->elements - 1);
    x_imul(c, true, RCX, RDX);
    x_alu(c, true, ALU_ADD, RCX, RAX); /* the last */
    for (unsigned i = 0; i < 2; i++) {
        x_lea(c, RDX, mem_at(i == 0 ? RAX : RCX, end));
        x_alu(c, true, ALU_XOR, RDX, i == 0 ? RCX : RAX);
        x_alu_const(c, true, ALU_AND, RDX, -page);
        vec_to_c(v, x_jcc(c, CC_NE), 0);
    }
    vec_to_c(v, x86_host_address(c, 1, a->tags), 0);
    x86_get(v->l, RDX, v->ir->b);
    for (unsigned i = 0; i < v->elements; i++) {
        if (i > 0)
            x_alu(c, true, ALU_ADD, RAX, RDX);
        move_element(v, a, i, 0);
    }
    return true;
}

/* What a load writes over is an index that has been used (V, 5.2). */
static bool is_behind(const struct vector *v, const struct access *a, unsigned index_eew)
{
    return !a->store && v->vd == v->vs2 && a->eew <= index_eew;
}

/* Each element is looked for in the TLB. */
static bool lower_indexed(struct vector *v, const struct access *a, unsigned index_eew)
{
    struct x86_code *c = &v->l->c;
    const unsigned bytes = v->elements << index_eew;
    const unsigned regs = bytes > v->vlenb ? bytes / v->vlenb : 1;
    if (a->fields > 1 || bytes < v->vlenb / 8 || regs > 8 || v->vs2 % regs != 0 ||
        !(vec_is_apart(v, v->vs2, regs) || is_behind(v, a, index_eew)) ||
        !has_moves(v, a, v->elements * SEARCH_CODE))
        return false;
    vec_guard(v, true, WHOLE);
    for (unsigned i = 0; i < v->elements; i++) {
        vec_load_low(c, index_eew, RAX, vec_group_at(v, v->vs2, i << index_eew));
        x_alu(c, true, ALU_ADD, RAX, x86_use(v->l, v->ir->a, RCX));
        vec_to_c(v, x86_host_address(c, 1u << a->eew, a->tags), i);
        move_element(v, a, i, 0);
    }
    return true;
}

/* ---- which ---- */

bool vec_lower_memory(struct vector *v)
{
    const unsigned width = v->raw >> 12 & 7, eew = width == 0 ? 0 : width - 4;
    const unsigned mop = v->raw >> 26 & 3;
    const bool indexed = mop == 1 || mop == 3;
    struct access a = {
        .store = (v->raw & 0x20) != 0,
        .whole = mop == 0 && v->vs2 == 0x08,
        .eew = indexed ? v->sew : eew,
        .fields = 1 + (v->raw >> 29),
    };
    a.tags = a.store ? CONTEXT(tlb[0].write) : CONTEXT(tlb[0].read);

    if (mop == 0 && v->vs2 != 0 && !a.whole && v->vs2 != 0x10)
        return false; /* masks, and what is reserved */
    vec_resize(v, a.whole ? a.fields * v->vlenb : v->elements << a.eew);
    if (a.whole)
        a.fields = 1;
    if (!groups_exist(v, &a) || !vec_tail_may_stay(v) || (v->masked && a.whole))
        return false;
    if (mop == 0 && a.fields == 1)
        return lower_unit(v, &a);
    if (v->masked)
        return false;
    if (mop == 0)
        return lower_segments(v, &a);
    return indexed ? lower_indexed(v, &a, eew) : lower_strided(v, &a);
}
