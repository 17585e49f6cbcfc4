/*
 * One vector instruction at a time on a hart of random registers, and how tests say what it should
 * have done: element by element, with sets of registers for what overlaps.
 */
#ifndef VECTOR_TEST_H
#define VECTOR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "riscv/csr.h"
#include "riscv/insn.h"
#include "riscv/vector.h"

/* What the test runs, chosen at random or by hand; vlmax, before and want are set by vt_prepare. */
struct vt {
    struct riscv_vcpu *hart;
    unsigned op, vd, vs2, vs1;
    bool masked, ones, vta, vma;
    bool uimm5;         /* bit 5 of a uimm6 */
    unsigned vlen, sew; /* sew: log2 of bytes */
    int lmul;           /* log2 */
    uint64_t vl, vstart, vlmax;
    uint8_t before[32 * RISCV_VLEN_MAX / 8], want[32 * RISCV_VLEN_MAX / 8];
    uint64_t x_before[33];
};

static uint64_t vt_seed = 0x243f6a8885a308d3; /* xorshift64 */

static inline uint64_t vt_random(void)
{
    vt_seed ^= vt_seed << 13;
    vt_seed ^= vt_seed >> 7;
    vt_seed ^= vt_seed << 17;
    return vt_seed * 0x2545f4914f6cdd1d;
}

static inline unsigned vt_below(unsigned n)
{
    return (unsigned)(vt_random() >> 33) % n;
}

static inline uint64_t vt_get(const uint8_t *v, const struct vt *t, unsigned reg, unsigned sew,
                              uint64_t i)
{
    uint64_t value = 0;
    memcpy(&value, v + reg * (t->vlen / 8) + (i << sew), (size_t)1 << sew);
    return value;
}

static inline void vt_set(uint8_t *v, const struct vt *t, unsigned reg, unsigned sew, uint64_t i,
                          uint64_t value)
{
    memcpy(v + reg * (t->vlen / 8) + (i << sew), &value, (size_t)1 << sew);
}

static inline bool vt_get_bit(const uint8_t *v, const struct vt *t, unsigned reg, uint64_t i)
{
    return v[reg * (t->vlen / 8) + i / 8] >> i % 8 & 1;
}

static inline void vt_set_bit(uint8_t *v, const struct vt *t, unsigned reg, uint64_t i, bool value)
{
    uint8_t *byte = v + reg * (t->vlen / 8) + i / 8;
    *byte = (uint8_t)(value ? *byte | 1 << i % 8 : *byte & ~(1 << i % 8));
}

static inline bool vt_active(const struct vt *t, uint64_t i)
{
    return !t->masked || vt_get_bit(t->before, t, 0, i);
}

/* The registers of a group, a bit each; more than 32 bits where it ends beyond v31. */
static inline uint64_t vt_group(unsigned reg, int emul)
{
    return ((1ULL << (emul > 0 ? 1 << emul : 1)) - 1) << reg;
}

static inline bool vt_aligned(unsigned reg, int emul)
{
    return emul <= 3 && emul >= -3 && reg % (emul > 0 ? 1u << emul : 1) == 0;
}

/* VLEN, SEW, LMUL, vl, vstart, masking and policies; groups are aligned more often than not. */
static inline void vt_choose(struct vt *t)
{
    t->vlen = 128u << vt_below(3);
    do {
        t->sew = vt_below(4);
        t->lmul = (int)vt_below(7) - 3;
    } while (t->lmul < 0 && (int)t->sew > 3 + t->lmul);
    t->masked = vt_below(2);
    t->ones = vt_below(2);
    t->vta = vt_below(2);
    t->vma = vt_below(2);
    const unsigned mask = vt_below(4) == 0 || t->lmul < 0 ? 31 : 31u & ~((1u << t->lmul) - 1);
    t->vd = vt_below(32) & mask;
    t->vs2 = vt_below(32) & mask;
    t->vs1 = vt_below(32) & mask;
    const unsigned vlmax = t->lmul >= (int)t->sew ? t->vlen / 8 << (t->lmul - (int)t->sew)
                                                  : t->vlen / 8 >> ((int)t->sew - t->lmul);
    const unsigned lengths[4] = {0, vlmax, vlmax, vt_below(vlmax + 1)};
    t->vl = lengths[vt_below(4) == 0 ? 0 : 1 + vt_below(3)];
    t->vstart = vt_below(4) == 0   ? vt_below(t->vlen)
                : vt_below(2) == 0 ? vt_below((unsigned)t->vl + 1)
                                   : 0;
}

/* Registers at random; small numbers in x, so that slides and indices often stay in the group. */
static inline void vt_prepare(struct vt *t)
{
    struct riscv_vcpu *hart = t->hart;
    hart->isa.vlen = (uint16_t)t->vlen;
    hart->vtype =
        ((unsigned)t->lmul & 7) | t->sew << 3 | (unsigned)t->vta << 6 | (unsigned)t->vma << 7;
    t->vlmax = riscv_vlmax(hart->vtype, t->vlen);
    hart->vl = t->vl;
    hart->vstart = t->vstart;
    hart->v_ones = t->ones;
    hart->mstatus = MSTATUS_FS | MSTATUS_VS;
    for (size_t i = 0; i < sizeof hart->v; i++)
        hart->v[i] = (uint8_t)(vt_random() >> 40);
    for (unsigned i = 1; i < 32; i++)
        hart->x[i] = vt_below(4) == 0 ? vt_random() : vt_below((unsigned)t->vlmax + 2);
    memcpy(t->before, hart->v, sizeof t->before);
    memcpy(t->want, hart->v, sizeof t->want);
    memcpy(t->x_before, hart->x, sizeof t->x_before);
}

/* After vt_prepare: numbers at the ends of their range instead of some of those in v and x. */
static inline void vt_corners(struct vt *t)
{
    const uint64_t most = (1ULL << ((8u << t->sew) - 1)) - 1;
    const uint64_t corners[] = {0, 1, most, most + 1, UINT64_MAX};
    for (uint64_t i = 0; i < 32u * t->vlen / 8 >> t->sew; i++) {
        if (vt_below(4) == 0)
            vt_set(t->hart->v, t, 0, t->sew, i, corners[vt_below(5)]);
    }
    for (unsigned i = 1; i < 32; i++) {
        if (vt_below(4) == 0)
            t->hart->x[i] = corners[vt_below(5)];
    }
    memcpy(t->before, t->hart->v, sizeof t->before);
    memcpy(t->want, t->hart->v, sizeof t->want);
    memcpy(t->x_before, t->hart->x, sizeof t->x_before);
}

/* Executes it; the instruction's bits are the row's and the fields. */
static inline enum riscv_vresult vt_run(struct vt *t)
{
    uint32_t raw = insn_table[t->op].match;
    const uint32_t fields = t->vd << 7 | t->vs1 << 15 | t->vs2 << 20 | (t->masked ? 0u : 1u << 25);
    raw |= (fields | (uint32_t)t->uimm5 << 26) & ~insn_table[t->op].mask;
    return riscv_vector(t->hart, t->op, raw, NULL);
}

/* In `want`: inactive elements from `from` on and the tail as the policies say, if they are filled.
 */
static inline void vt_policies(struct vt *t, uint64_t from, unsigned eew, int emul)
{
    for (uint64_t i = from; t->ones && t->vma && i < t->vl; i++) {
        if (!vt_active(t, i))
            vt_set(t->want, t, t->vd, eew, i, UINT64_MAX);
    }
    const uint64_t end = ((uint64_t)t->vlen / 8 << (emul > 0 ? emul : 0)) >> eew;
    for (uint64_t i = t->vl; t->ones && t->vta && i < end; i++)
        vt_set(t->want, t, t->vd, eew, i, UINT64_MAX);
}

/* `want` and a legal encoding, or nothing but the refusal. */
static inline void vt_check(struct vt *t, bool legal)
{
    const enum riscv_vresult result = vt_run(t);
    const uint8_t *want = legal ? t->want : t->before;
    if (result != (legal ? VECTOR_DONE : VECTOR_ILLEGAL) ||
        memcmp(want, t->hart->v, 32 * t->vlen / 8) != 0) {
        print_error(
            "%s: vlen %u sew %u lmul %d vl %u vstart %u vd %u vs2 %u vs1 %u%s%s%s%s: result %d\n",
            insn_table[t->op].mnemonic, t->vlen, t->sew, t->lmul, (unsigned)t->vl,
            (unsigned)t->vstart, t->vd, t->vs2, t->vs1, t->masked ? " masked" : "",
            t->ones ? " ones" : "", t->vta ? " vta" : "", t->vma ? " vma" : "", (int)result);
        for (unsigned reg = 0; reg < 32; reg++) {
            for (uint64_t i = 0; i < t->vlen / 8; i++) {
                const unsigned have = (unsigned)vt_get(t->hart->v, t, reg, 0, i);
                const unsigned wanted = (unsigned)vt_get(want, t, reg, 0, i);
                if (have != wanted) {
                    print_error("v%u byte %u is %02x, not %02x\n", reg, (unsigned)i, have, wanted);
                    break;
                }
            }
        }
        fail();
    }
    assert_int_equal(t->hart->vstart, legal ? 0 : t->vstart);
}

static inline int vt_setup(void **state)
{
    struct vt *t = calloc(1, sizeof *t);
    t->hart = aligned_alloc(64, (sizeof *t->hart + 63) / 64 * 64);
    memset(t->hart, 0, sizeof *t->hart);
    *state = t;
    return 0;
}

static inline int vt_teardown(void **state)
{
    struct vt *t = *state;
    free(t->hart);
    free(t);
    return 0;
}

#endif
