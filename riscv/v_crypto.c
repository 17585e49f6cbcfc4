/*
 * Vector cryptography (Unprivileged ISA 20240411, "Vector Cryptography": Zvbc, Zvkg, Zvkned,
 * Zvknhb; FIPS 197, FIPS 180-4, SP 800-38D).
 */
#include "riscv/crypto.h"
#include "riscv/integer.h"
#include "riscv/v_internal.h"

#define EGS 4u /* elements of a group, of all instructions here but Zvbc's */

/*
 * Whole element groups of `eew` are to be processed, and the group at vd is in order: checked even
 * if vl is 0 ("Element Groups", "Instruction Constraints").
 */
static bool has_element_groups(const struct vop *o, unsigned eew)
{
    const unsigned bytes = o->lmul >= 0 ? o->vlenb << o->lmul : o->vlenb >> -o->lmul;
    return o->sew == eew && bytes >= EGS << eew && o->vl % EGS == 0 && o->vstart % EGS == 0 &&
           v_aligned(o->vd, o->lmul);
}

/* Two of them are a block of 128 bits. */
static v_u64 *dwords(const struct vop *o, unsigned reg)
{
    return (v_u64 *)v_reg(o, reg);
}

static bool done(const struct vop *o)
{
    if (o->vstart < o->vl)
        v_tail(o, o->vd, o->sew, o->lmul);
    return true;
}

/* ---- Zvkned ---- */

enum aes { AES_LAST, AES_MIDDLE, AES_ZERO };

static bool aes(const struct vop *o, bool one_key, bool decrypt, enum aes round)
{
    if (!has_element_groups(o, 2) ||
        (one_key ? v_overlap(o->vd, v_group(o->lmul), o->vs2, 1) : !v_aligned(o->vs2, o->lmul)))
        return false;
    v_u64 *const state = dwords(o, o->vd);
    for (uint64_t i = o->vstart / 2; i < o->vl / 2; i += 2) {
        const v_u64 *const key = dwords(o, o->vs2) + (one_key ? 0 : i);
        uint64_t low = state[i], high = state[i + 1];
        if (round != AES_ZERO) {
            const bool mix = round == AES_MIDDLE && !decrypt;
            low = riscv_aes_round(state[i], state[i + 1], decrypt, mix);
            high = riscv_aes_round(state[i + 1], state[i], decrypt, mix);
        }
        low ^= key[0];
        high ^= key[1];
        /* The key is added before InvMixColumns: not that of the equivalent inverse cipher. */
        const bool unmix = round == AES_MIDDLE && decrypt;
        state[i] = unmix ? riscv_aes_unmix(low) : low;
        state[i + 1] = unmix ? riscv_aes_unmix(high) : high;
    }
    return done(o);
}

/* The next round key: its words are those of `before`, each with all that precede it and `first`.
 */
static void expand(v_u64 *next, const v_u64 *before, uint64_t first)
{
    const uint32_t w0 = (uint32_t)(first ^ before[0]), w1 = w0 ^ (uint32_t)(before[0] >> 32);
    const uint32_t w2 = w1 ^ (uint32_t)before[1], w3 = w2 ^ (uint32_t)(before[1] >> 32);
    next[0] = (uint64_t)w1 << 32 | w0;
    next[1] = (uint64_t)w3 << 32 | w2;
}

static bool aes_key(const struct vop *o, bool wide)
{
    if (!has_element_groups(o, 2) || !v_aligned(o->vs2, o->lmul))
        return false;
    unsigned round = o->vs1 & 15;
    if (wide ? round < 2 || round > 14 : round < 1 || round > 10)
        round ^= 8;
    /* AES64KS1I counts from 0; its 10 is without rotation and constant. */
    const unsigned kind = !wide ? round - 1 : round % 2 == 0 ? round / 2 - 1 : 10;
    v_u64 *const d = dwords(o, o->vd);
    const v_u64 *const s = dwords(o, o->vs2);
    for (uint64_t i = o->vstart / 2; i < o->vl / 2; i += 2)
        expand(d + i, wide ? d + i : s + i, riscv_aes_key(s[i + 1], kind));
    return done(o);
}

/* ---- Zvknhb ---- */

/* Distances of FIPS 180-4, 4.1.2 and 4.1.3; the last of the small ones is a shift. */
struct sha {
    unsigned bits;
    uint8_t sum0[3], sum1[3], sigma0[3], sigma1[3];
};
static const struct sha sha256 = {32, {2, 13, 22}, {6, 11, 25}, {7, 18, 3}, {17, 19, 10}};
static const struct sha sha512 = {64, {28, 34, 39}, {14, 18, 41}, {1, 8, 7}, {19, 61, 6}};

static inline uint64_t rotated(const struct sha *sha, uint64_t v, unsigned n)
{
    const uint32_t half = (uint32_t)v;
    return sha->bits == 64 ? v >> n | v << (64 - n) : half >> n | half << (32 - n);
}

static inline uint64_t sum(const struct sha *sha, uint64_t v, const uint8_t n[3])
{
    return rotated(sha, v, n[0]) ^ rotated(sha, v, n[1]) ^ rotated(sha, v, n[2]);
}

static inline uint64_t sigma(const struct sha *sha, uint64_t v, const uint8_t n[3])
{
    const uint64_t whole = sha->bits == 64 ? v : (uint32_t)v;
    return rotated(sha, v, n[0]) ^ rotated(sha, v, n[1]) ^ whole >> n[2];
}

/* The next four words: d has the first of the sixteen, s2 the fifth, and the tenth to twelfth, s1
 * the last four. */
static inline void schedule(const struct sha *sha, uint64_t d[EGS], const uint64_t s1[EGS],
                            const uint64_t s2[EGS])
{
    uint64_t w[20]; /* 5 to 8 are not needed */
    for (unsigned k = 0; k < EGS; k++) {
        w[k] = d[k];
        w[k == 0 ? 4 : 8 + k] = s2[k];
        w[12 + k] = s1[k];
    }
    for (unsigned t = 16; t < 20; t++)
        d[t - 16] = w[t] = sigma(sha, w[t - 2], sha->sigma1) + w[t - 7] +
                           sigma(sha, w[t - 15], sha->sigma0) + w[t - 16];
}

/* Two rounds, with two words. s2 has f, e, b, a from element 0 on; v h, g, d, c. */
static inline void compress(const struct sha *sha, uint64_t v[EGS], const uint64_t *words,
                            const uint64_t s2[EGS])
{
    uint64_t a = s2[3], b = s2[2], c = v[3], d = v[2], e = s2[1], f = s2[0], g = v[1], h = v[0];

    for (unsigned round = 0; round < 2; round++) {
        const uint64_t t1 = h + sum(sha, e, sha->sum1) + ((e & f) ^ (~e & g)) + words[round];
        const uint64_t t2 = sum(sha, a, sha->sum0) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    v[0] = f, v[1] = e, v[2] = b, v[3] = a;
}

void riscv_vsha512ms(uint64_t d[4], const uint64_t s1[4], const uint64_t s2[4])
{
    schedule(&sha512, d, s1, s2);
}

void riscv_vsha512c(uint64_t d[4], const uint64_t words[2], const uint64_t s2[4])
{
    compress(&sha512, d, words, s2);
}

/* Elements i to i + 3. */
static void sha2_group(const struct vop *o, uint64_t i)
{
    uint64_t d[EGS], s1[EGS], s2[EGS];
    for (unsigned k = 0; k < EGS; k++) {
        d[k] = v_element(o, o->vd, i + k);
        s1[k] = v_element(o, o->vs1, i + k);
        s2[k] = v_element(o, o->vs2, i + k);
    }
    const uint64_t *words = s1 + (o->op == OP_vsha2ch_vv ? 2 : 0);
    if (o->op == OP_vsha2ms_vv)
        o->sew == 2 ? schedule(&sha256, d, s1, s2) : riscv_vsha512ms(d, s1, s2);
    else
        o->sew == 2 ? compress(&sha256, d, words, s2) : riscv_vsha512c(d, words, s2);
    for (unsigned k = 0; k < EGS; k++)
        v_set_element(o, o->vd, i + k, d[k]);
}

static bool sha2(const struct vop *o)
{
    const unsigned regs = v_group(o->lmul);
    if (!(has_element_groups(o, 2) || has_element_groups(o, 3)) || !v_aligned(o->vs1, o->lmul) ||
        !v_aligned(o->vs2, o->lmul) || v_overlap(o->vd, regs, o->vs1, regs) ||
        v_overlap(o->vd, regs, o->vs2, regs))
        return false;
    for (uint64_t i = o->vstart; i < o->vl; i += EGS)
        sha2_group(o, i);
    return done(o);
}

/* ---- Zvkg ---- */

/* d = a * b modulo x^128 + x^7 + x^2 + x + 1; x^0 is the top bit of the first byte (SP
 * 800-38D, 6.3). */
static void ghash_multiply(v_u64 *d, const uint64_t a[2], const v_u64 *b)
{
    const uint64_t x[2] = {riscv_reverse_in_bytes(a[0]), riscv_reverse_in_bytes(a[1])};
    const uint64_t y[2] = {riscv_reverse_in_bytes(b[0]), riscv_reverse_in_bytes(b[1])};
    uint64_t product[4] = {0};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            product[i + j] ^= carryless_low(x[i], y[j]);
            product[i + j + 1] ^= carryless_high(x[i], y[j]);
        }
    }
    for (unsigned i = 3; i >= 2; i--) {
        const uint64_t p = product[i];
        product[i - 2] ^= p ^ p << 1 ^ p << 2 ^ p << 7;
        product[i - 1] ^= p >> 63 ^ p >> 62 ^ p >> 57;
    }
    d[0] = riscv_reverse_in_bytes(product[0]);
    d[1] = riscv_reverse_in_bytes(product[1]);
}

static bool ghash(const struct vop *o, bool add)
{
    if (!has_element_groups(o, 2) || !v_aligned(o->vs2, o->lmul) ||
        (add && !v_aligned(o->vs1, o->lmul)))
        return false;
    v_u64 *const d = dwords(o, o->vd);
    for (uint64_t i = o->vstart / 2; i < o->vl / 2; i += 2) {
        uint64_t sum_or_hash[2] = {d[i], d[i + 1]};
        if (add) {
            sum_or_hash[0] ^= dwords(o, o->vs1)[i];
            sum_or_hash[1] ^= dwords(o, o->vs1)[i + 1];
        }
        ghash_multiply(d + i, sum_or_hash, dwords(o, o->vs2) + i);
    }
    return done(o);
}

/* ---- Zvbc ---- */

/* vs1 is that of .vv; else the factor is `x`. */
static bool carryless(const struct vop *o, bool vector, bool high, uint64_t x)
{
    if (o->sew != 3 || !v_mask_apart(o) || !v_aligned(o->vd, o->lmul) ||
        !v_aligned(o->vs2, o->lmul) || !v_source_apart(o, o->vs2) ||
        (vector && (!v_aligned(o->vs1, o->lmul) || !v_source_apart(o, o->vs1))))
        return false;
    if (o->vstart >= o->vl)
        return true;
    for (uint64_t i = o->vstart; i < o->vl; i++) {
        if (!v_active(o, i))
            continue;
        const uint64_t a = dwords(o, o->vs2)[i], b = vector ? dwords(o, o->vs1)[i] : x;
        dwords(o, o->vd)[i] = high ? carryless_high(a, b) : carryless_low(a, b);
    }
    v_inactives(o, o->vstart, 3);
    return done(o);
}

bool v_crypto(const struct vop *o)
{
    const uint64_t x = o->hart->x[o->vs1];

    switch (o->op) {
    case OP_vaesem_vv: return aes(o, false, false, AES_MIDDLE);
    case OP_vaesem_vs: return aes(o, true, false, AES_MIDDLE);
    case OP_vaesef_vv: return aes(o, false, false, AES_LAST);
    case OP_vaesef_vs: return aes(o, true, false, AES_LAST);
    case OP_vaesdm_vv: return aes(o, false, true, AES_MIDDLE);
    case OP_vaesdm_vs: return aes(o, true, true, AES_MIDDLE);
    case OP_vaesdf_vv: return aes(o, false, true, AES_LAST);
    case OP_vaesdf_vs: return aes(o, true, true, AES_LAST);
    case OP_vaesz_vs: return aes(o, true, false, AES_ZERO);
    case OP_vaeskf1_vi: return aes_key(o, false);
    case OP_vaeskf2_vi: return aes_key(o, true);
    case OP_vsha2ms_vv:
    case OP_vsha2ch_vv:
    case OP_vsha2cl_vv: return sha2(o);
    case OP_vghsh_vv: return ghash(o, true);
    case OP_vgmul_vv: return ghash(o, false);
    case OP_vclmul_vv: return carryless(o, true, false, 0);
    case OP_vclmul_vx: return carryless(o, false, false, x);
    case OP_vclmulh_vv: return carryless(o, true, true, 0);
    case OP_vclmulh_vx: return carryless(o, false, true, x);
    default: return false;
    }
}
