/*
 * Vector loads and stores (V, 7). Elements are accessed in their order, the fields of a segment in
 * theirs; a trap leaves the index of its element in vstart, from which the instruction goes on.
 * What is next to each other and in a page that the engine can show is copied without asking for
 * each element.
 */
#include "riscv/v_internal.h"

/* What one instruction accesses. */
struct access {
    const struct vop *o;
    const struct riscv_vmemory *memory;
    bool store, first_only; /* first_only: fault-only-first */
    unsigned eew;           /* log2 of the bytes of data elements */
    int emul;               /* log2, of one field's group */
    unsigned fields;
    uint64_t count; /* elements, the ones before vstart included */
    uint64_t base;
};

static uint8_t *element(const struct access *a, unsigned field, uint64_t i)
{
    return v_reg(a->o, a->o->vd + field * v_group(a->emul)) + (i << a->eew);
}

static uint64_t get(const uint8_t *p, unsigned eew)
{
    uint64_t value = 0;
    memcpy(&value, p, (size_t)1 << eew);
    return value;
}

/* Element i, all of its fields, at `va` and behind it; false: a function refused. */
static bool move_element(const struct access *a, uint64_t i, uint64_t va)
{
    const unsigned width = 1u << a->eew;
    for (unsigned field = 0; field < a->fields; field++, va += width) {
        uint8_t *at = element(a, field, i);
        void *known = a->memory->at(a->memory->engine, va, width, a->store);
        uint64_t value;
        if (known != NULL) {
            switch (a->eew) { /* one access each: an aligned element is atomic */
#define MOVE(type)                                                                                 \
    if (a->store)                                                                                  \
        *(volatile type *)known = *(const type *)at;                                               \
    else                                                                                           \
        *(type *)at = *(const volatile type *)known;                                               \
    break
            case 0: MOVE(uint8_t);
            case 1: MOVE(v_u16);
            case 2: MOVE(v_u32);
            default: MOVE(v_u64);
#undef MOVE
            }
        } else if (a->store) {
            if (!a->memory->store(a->memory->engine, va, width, get(at, a->eew)))
                return false;
        } else {
            if (!a->memory->load(a->memory->engine, va, width, &value))
                return false;
            memcpy(at, &value, width);
        }
    }
    return true;
}

/* Bytes that lie in memory as in the registers. None is written twice: another hart may write
 * beside us. */
static void copy(uint8_t *to, const uint8_t *from, uint64_t len)
{
    uint64_t at = 0;
    for (; len - at >= 16; at += 16)
        *(v_u128 *)(to + at) = *(const v_u128 *)(from + at);
    for (; len - at >= 8; at += 8)
        *(v_u64 *)(to + at) = *(const v_u64 *)(from + at);
    for (; len - at >= 4; at += 4)
        *(v_u32 *)(to + at) = *(const v_u32 *)(from + at);
    for (; len - at >= 2; at += 2)
        *(v_u16 *)(to + at) = *(const v_u16 *)(from + at);
    if (len > at)
        to[at] = from[at];
}

/* As many elements from `i` on as lie whole in the page of the first, if the engine shows it; their
 * number. */
static uint64_t copy_in_page(const struct access *a, uint64_t i)
{
    const uint64_t va = a->base + (i << a->eew),
                   page_left = MEM_PAGE_SIZE - (va & (MEM_PAGE_SIZE - 1));
    uint64_t n = page_left >> a->eew;
    if (n > a->count - i)
        n = a->count - i;
    uint8_t *host = n != 0 ? a->memory->at(a->memory->engine, va, n << a->eew, a->store) : NULL;
    if (host == NULL)
        return 0;
    if (a->store)
        copy(host, element(a, 0, i), n << a->eew);
    else
        copy(element(a, 0, i), host, n << a->eew);
    return n;
}

static void leave_inactive(const struct access *a, uint64_t i)
{
    for (unsigned field = 0; !a->store && field < a->fields; field++)
        v_inactive(a->o, element(a, field, i), a->eew);
}

/* The tails of a load's fields. `vl` may have become less (fault-only-first). */
static void finish(const struct access *a)
{
    for (unsigned field = 0; !a->store && a->o->vstart < a->count && field < a->fields; field++) {
        struct vop o = *a->o;
        o.vl = a->count;
        v_tail(&o, o.vd + field * v_group(a->emul), a->eew, a->emul);
    }
}

static enum riscv_vresult stopped_at(struct access *a, uint64_t i)
{
    if (a->first_only && i > 0) {
        a->o->hart->vl = a->count = i;
        finish(a);
        return VECTOR_DONE;
    }
    a->o->hart->vstart = i;
    return VECTOR_TRAP;
}

/* Elements `stride` bytes apart. */
static enum riscv_vresult by_stride(struct access *a, uint64_t stride)
{
    const bool dense = !a->o->masked && a->fields == 1 && stride == 1u << a->eew;

    for (uint64_t i = a->o->vstart; i < a->count;) {
        const uint64_t copied = dense ? copy_in_page(a, i) : 0;
        if (copied != 0) {
            i += copied;
            continue;
        }
        if (!v_active(a->o, i))
            leave_inactive(a, i);
        else if (!move_element(a, i, a->base + i * stride))
            return stopped_at(a, i);
        i++;
    }
    finish(a);
    return VECTOR_DONE;
}

static enum riscv_vresult by_index(struct access *a, unsigned index_eew)
{
    const uint8_t *indices = v_reg(a->o, a->o->vs2);
    for (uint64_t i = a->o->vstart; i < a->count; i++) {
        if (!v_active(a->o, i))
            leave_inactive(a, i);
        else if (!move_element(a, i, a->base + get(indices + (i << index_eew), index_eew)))
            return stopped_at(a, i);
    }
    finish(a);
    return VECTOR_DONE;
}

/* The fields' groups exist, and a masked load leaves v0 alone (V, 7.8, 5.3). */
static bool groups_exist(const struct access *a)
{
    const unsigned regs = v_group(a->emul);
    return v_aligned(a->o->vd, a->emul) && a->fields * regs <= 8 &&
           a->o->vd + a->fields * regs <= 32 && (a->store || v_mask_apart(a->o));
}

/* The indices' group, of EMUL `emul`, exists; a load may change what it reads of it only as
 * v_may_overlap says, one of segments not at all; no register is read with two widths, but for
 * fields behind the first, where QEMU 10 does it too (V, 5.2, 7.8.3). */
static bool indices_exist(const struct access *a, int emul)
{
    const struct vop *o = a->o;
    if (!v_aligned(o->vs2, emul) || !v_source_apart(o, o->vs2))
        return false;
    if (a->store)
        return v_source_apart(o, o->vd) &&
               (emul == a->emul || !v_overlap(o->vd, v_group(a->emul), o->vs2, v_group(emul)));
    if (a->fields > 1)
        return !v_overlap(o->vd, a->fields * v_group(a->emul), o->vs2, v_group(emul));
    return v_may_overlap(o->vd, a->emul, o->vs2, emul);
}

enum riscv_vresult v_memory(const struct vop *o, const struct riscv_vmemory *memory)
{
    static const uint8_t log2_width[8] = {[0] = 0, [5] = 1, [6] = 2, [7] = 3};
    const unsigned width = log2_width[o->raw >> 12 & 7], mop = o->raw >> 26 & 3;
    struct access a = {
        .o = o,
        .memory = memory,
        .store = (o->raw & 0x20) != 0,
        .eew = width,
        .fields = 1 + (o->raw >> 29),
        .count = o->vl,
        .base = o->hart->x[o->vs1],
    };
    const int relative = (int)width - (int)o->sew + o->lmul; /* EMUL of that width */

    if (mop == 0 && o->vs2 == 0x08) { /* whole registers: their number is in place of nf (V, 7.9) */
        a.count = (uint64_t)a.fields * o->vlenb >> width;
        a.emul = a.fields == 1 ? 0 : a.fields == 2 ? 1 : a.fields == 4 ? 2 : 3;
        a.fields = 1;
        return groups_exist(&a) ? by_stride(&a, 1u << width) : VECTOR_ILLEGAL;
    }
    if (mop == 0 && o->vs2 == 0x0b) { /* masks: bytes, one register, its tail agnostic (V, 7.4) */
        a.count = (o->vl + 7) / 8;
        return by_stride(&a, 1);
    }
    if (mop == 1 || mop == 3) {
        a.eew = o->sew;
        a.emul = o->lmul;
        return groups_exist(&a) && indices_exist(&a, relative) ? by_index(&a, width)
                                                               : VECTOR_ILLEGAL;
    }
    a.emul = relative;
    a.first_only = mop == 0 && o->vs2 == 0x10;
    if (!groups_exist(&a))
        return VECTOR_ILLEGAL;
    return by_stride(&a, mop == 2 ? o->hart->x[o->vs2] : (uint64_t)a.fields << width);
}
