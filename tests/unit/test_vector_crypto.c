/* Vector cryptography: known answers of FIPS 197, FIPS 180-4 and of GCM's specification, and plain
 * accounts of the same. */
#include <stdio.h>

#include "tests/unit/vector_test.h"

#define RUNS 4000

/* ---- plain accounts ---- */

static uint8_t gf_times(uint8_t a, uint8_t b)
{
    uint8_t product = 0;
    for (; b != 0; b >>= 1) {
        if (b & 1)
            product ^= a;
        a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
    }
    return product;
}

/* FIPS 197, 5.1.1: the inverse (a^254), then the affine transformation. */
static uint8_t sub_byte(uint8_t a)
{
    uint8_t inverse = 1;
    for (unsigned i = 0; i < 254; i++)
        inverse = gf_times(inverse, a);
    uint8_t out = 0x63;
    for (unsigned i = 0; i < 5; i++)
        out ^= (uint8_t)(inverse << i | inverse >> (8 - i));
    return out;
}

static uint8_t s_box[256], s_box_inverse[256];

static void aes_shift_and_sub(uint8_t out[16], const uint8_t in[16], bool decrypt)
{
    for (unsigned c = 0; c < 4; c++) {
        for (unsigned r = 0; r < 4; r++) {
            if (decrypt)
                out[4 * ((c + r) % 4) + r] = s_box_inverse[in[4 * c + r]];
            else
                out[4 * c + r] = s_box[in[4 * ((c + r) % 4) + r]];
        }
    }
}

static void aes_mix(uint8_t state[16], bool decrypt)
{
    static const uint8_t forward[4] = {2, 3, 1, 1}, backward[4] = {14, 11, 13, 9};
    uint8_t in[16];
    memcpy(in, state, 16);
    for (unsigned i = 0; i < 16; i++) {
        state[i] = 0;
        for (unsigned k = 0; k < 4; k++)
            state[i] ^=
                gf_times(in[i / 4 * 4 + k], (decrypt ? backward : forward)[(k + 4 - i % 4) % 4]);
    }
}

static void aes_add(uint8_t state[16], const uint8_t key[16])
{
    for (unsigned i = 0; i < 16; i++)
        state[i] ^= key[i];
}

/* What vs2 and vs1 have of one element group, and vd before and after. */
struct group {
    uint8_t d[32], s2[32], s1[32];
};

static void model_aes(struct group *g, unsigned op, unsigned uimm)
{
    const bool decrypt =
        op == OP_vaesdf_vv || op == OP_vaesdf_vs || op == OP_vaesdm_vv || op == OP_vaesdm_vs;
    const bool middle =
        op == OP_vaesem_vv || op == OP_vaesem_vs || op == OP_vaesdm_vv || op == OP_vaesdm_vs;
    uint8_t in[16];
    (void)uimm;
    memcpy(in, g->d, 16);
    if (op != OP_vaesz_vs)
        aes_shift_and_sub(g->d, in, decrypt);
    if (middle && !decrypt)
        aes_mix(g->d, false);
    aes_add(g->d, g->s2);
    if (middle && decrypt)
        aes_mix(g->d, true);
}

/* FIPS 197, 5.2: the words w[i - 1] (of vs2) and w[i - Nk] (of vs2, or vd with 256 bits). */
static void model_key(struct group *g, unsigned op, unsigned uimm)
{
    unsigned round = uimm % 16;
    const bool wide = op == OP_vaeskf2_vi;
    if (wide) /* 0 and 1 stand for 8 and 9, 15 for 7 */
        round = round < 2 ? round + 8 : round == 15 ? 7 : round;
    else /* 0 for 8, 11 to 15 for 3 to 7 */
        round = round == 0 ? 8 : round > 10 ? round - 8 : round;
    uint8_t word[4], out[16];
    const bool rotate = !wide || round % 2 == 0;
    for (unsigned i = 0; i < 4; i++)
        word[i] = s_box[g->s2[12 + (rotate ? (i + 1) % 4 : i)]];
    if (rotate) {
        uint8_t rcon = 1;
        for (unsigned i = 1; i < (wide ? round / 2 : round); i++)
            rcon = gf_times(rcon, 2);
        word[0] ^= rcon;
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] = (wide ? g->d : g->s2)[i] ^ (i < 4 ? word[i] : out[i - 4]);
    memcpy(g->d, out, 16);
}

/* SP 800-38D, algorithm 1, on bytes: bit 0 is the top one of the first. */
static void model_ghash(struct group *g, unsigned op, unsigned uimm)
{
    uint8_t x[16], v[16], z[16] = {0};
    (void)uimm;
    for (unsigned i = 0; i < 16; i++)
        x[i] = g->d[i] ^ (op == OP_vghsh_vv ? g->s1[i] : 0);
    memcpy(v, g->s2, 16);
    for (unsigned i = 0; i < 128; i++) {
        if (x[i / 8] >> (7 - i % 8) & 1)
            aes_add(z, v);
        const bool last = v[15] & 1;
        for (unsigned k = 15; k > 0; k--)
            v[k] = (uint8_t)(v[k] >> 1 | v[k - 1] << 7);
        v[0] = (uint8_t)(v[0] >> 1 ^ (last ? 0xe1 : 0));
    }
    memcpy(g->d, z, 16);
}

static uint32_t ror32(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

static uint64_t ror64(uint64_t v, unsigned n)
{
    return v >> n | v << (64 - n);
}

/* The functions of FIPS 180-4, 4.1.2 and 4.1.3, and one step of each kind (6.2.2, 6.4.2). */
#define SHA_MODEL(T, ror, name, A, B, C, D, E, F, G, H, I, J, K, L)                                \
    static T name##_schedule(T w2, T w7, T w15, T w16)                                             \
    {                                                                                              \
        return (T)((ror(w2, J) ^ ror(w2, K) ^ w2 >> L) + w7 +                                      \
                   (ror(w15, G) ^ ror(w15, H) ^ w15 >> I) + w16);                                  \
    }                                                                                              \
    static void name##_round(T s[8], T word)                                                       \
    {                                                                                              \
        const T t1 = (T)(s[7] + (ror(s[4], D) ^ ror(s[4], E) ^ ror(s[4], F)) +                     \
                         ((s[4] & s[5]) ^ (~s[4] & s[6])) + word);                                 \
        const T t2 = (T)((ror(s[0], A) ^ ror(s[0], B) ^ ror(s[0], C)) +                            \
                         ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2])));                         \
        memmove(s + 1, s, 7 * sizeof *s);                                                          \
        s[4] += t1;                                                                                \
        s[0] = (T)(t1 + t2);                                                                       \
    }                                                                                              \
    static void name##_model(struct group *g, unsigned op, unsigned uimm)                          \
    {                                                                                              \
        T d[4], s2[4], s1[4];                                                                      \
        (void)uimm;                                                                                \
        memcpy(d, g->d, sizeof d);                                                                 \
        memcpy(s2, g->s2, sizeof s2);                                                              \
        memcpy(s1, g->s1, sizeof s1);                                                              \
        if (op == OP_vsha2ms_vv) {                                                                 \
            const T w16 = name##_schedule(s1[2], s2[1], d[1], d[0]);                               \
            const T w17 = name##_schedule(s1[3], s2[2], d[2], d[1]);                               \
            const T w18 = name##_schedule(w16, s2[3], d[3], d[2]);                                 \
            const T w19 = name##_schedule(w17, s1[0], s2[0], d[3]);                                \
            memcpy(g->d, (T[]){w16, w17, w18, w19}, sizeof d);                                     \
        } else {                                                                                   \
            T s[8] = {s2[3], s2[2], d[3], d[2], s2[1], s2[0], d[1], d[0]};                         \
            name##_round(s, s1[op == OP_vsha2ch_vv ? 2 : 0]);                                      \
            name##_round(s, s1[op == OP_vsha2ch_vv ? 3 : 1]);                                      \
            memcpy(g->d, (T[]){s[5], s[4], s[1], s[0]}, sizeof d);                                 \
        }                                                                                          \
    }
SHA_MODEL(uint32_t, ror32, sha256, 2, 13, 22, 6, 11, 25, 7, 18, 3, 17, 19, 10)
SHA_MODEL(uint64_t, ror64, sha512, 28, 34, 39, 14, 18, 41, 1, 8, 7, 19, 61, 6)

/* ---- at random ---- */

static unsigned bytes_of(const struct vt *t)
{
    return t->lmul >= 0 ? t->vlen / 8 << t->lmul : t->vlen / 8 >> -t->lmul;
}

enum sources { ONE, TWO, SCALAR };

/* `model` of each whole element group; what else may be reserved is in `legal`. */
static void expect_groups(struct vt *t, bool legal, enum sources sources,
                          void model(struct group *g, unsigned op, unsigned uimm))
{
    const unsigned reg = t->vlen / 8, bytes = 4u << t->sew;
    legal = legal && bytes_of(t) >= bytes && t->vl % 4 == 0 && t->vstart % 4 == 0 &&
            vt_aligned(t->vd, t->lmul);
    if (sources != SCALAR)
        legal = legal && vt_aligned(t->vs2, t->lmul);
    if (sources == TWO)
        legal = legal && vt_aligned(t->vs1, t->lmul);
    for (uint64_t i = t->vstart / 4; legal && i < t->vl / 4; i++) {
        struct group g = {0};
        memcpy(g.d, t->before + t->vd * reg + i * bytes, bytes);
        memcpy(g.s2, t->before + t->vs2 * reg + (sources == SCALAR ? 0 : i * bytes), bytes);
        if (sources == TWO)
            memcpy(g.s1, t->before + t->vs1 * reg + i * bytes, bytes);
        model(&g, t->op, t->vs1);
        memcpy(t->want + t->vd * reg + i * bytes, g.d, bytes);
    }
    if (legal && t->vstart < t->vl)
        vt_policies(t, t->vstart, t->sew, t->lmul);
    vt_check(t, legal);
}

/* Element groups, more often than not. */
static void choose_groups(struct vt *t, unsigned sew)
{
    do
        vt_choose(t);
    while (t->sew != sew && vt_below(8) != 0);
    t->masked = false;
    if (vt_below(8) != 0) {
        t->vl &= ~3ULL;
        t->vstart &= ~3ULL;
    }
    vt_prepare(t);
}

static void aes_rounds_are_those_of_fips_197(void **state)
{
    static const unsigned ops[] = {OP_vaesem_vv, OP_vaesef_vv, OP_vaesdm_vv,
                                   OP_vaesdf_vv, OP_vaesem_vs, OP_vaesef_vs,
                                   OP_vaesdm_vs, OP_vaesdf_vs, OP_vaesz_vs};
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        const bool one_key = run % 9 >= 4;
        t->op = ops[run % 9];
        choose_groups(t, 2);
        if (one_key && vt_below(2) != 0)
            t->vs2 = vt_below(32);
        const bool legal =
            t->sew == 2 && !(one_key && (vt_group(t->vd, t->lmul) & vt_group(t->vs2, 0)) != 0);
        expect_groups(t, legal, one_key ? SCALAR : ONE, model_aes);
    }
}

static void aes_round_keys_are_those_of_fips_197(void **state)
{
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        t->op = run % 2 != 0 ? OP_vaeskf1_vi : OP_vaeskf2_vi;
        choose_groups(t, 2);
        t->vs1 = vt_below(32);
        expect_groups(t, t->sew == 2, ONE, model_key);
    }
}

static void ghash_is_that_of_sp_800_38d(void **state)
{
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        t->op = run % 2 != 0 ? OP_vghsh_vv : OP_vgmul_vv;
        choose_groups(t, 2);
        expect_groups(t, t->sew == 2, run % 2 != 0 ? TWO : ONE, model_ghash);
    }
}

static void sha2_steps_are_those_of_fips_180_4(void **state)
{
    static const unsigned ops[] = {OP_vsha2ms_vv, OP_vsha2ch_vv, OP_vsha2cl_vv};
    struct vt *t = *state;
    for (unsigned run = 0; run < 2 * RUNS; run++) {
        t->op = ops[run % 3];
        choose_groups(t, run % 2 != 0 ? 2 : 3);
        const uint64_t d = vt_group(t->vd, t->lmul);
        const bool legal = t->sew >= 2 && (d & vt_group(t->vs2, t->lmul)) == 0 &&
                           (d & vt_group(t->vs1, t->lmul)) == 0;
        expect_groups(t, legal, TWO, t->sew == 3 ? sha512_model : sha256_model);
    }
}

static void carryless_products_are_sums_without_carry(void **state)
{
    static const unsigned ops[] = {OP_vclmul_vv, OP_vclmul_vx, OP_vclmulh_vv, OP_vclmulh_vx};
    struct vt *t = *state;
    for (unsigned run = 0; run < RUNS; run++) {
        const bool vector = run % 2 == 0, high = run % 4 >= 2;
        t->op = ops[run % 4];
        do
            vt_choose(t);
        while (t->sew != 3 && vt_below(8) != 0);
        vt_prepare(t);
        const bool legal =
            t->sew == 3 && vt_aligned(t->vd, t->lmul) && vt_aligned(t->vs2, t->lmul) &&
            !(t->masked && (t->vd == 0 || t->vs2 == 0)) &&
            !(vector && (!vt_aligned(t->vs1, t->lmul) || (t->masked && t->vs1 == 0)));
        for (uint64_t i = t->vstart; legal && i < t->vl; i++) {
            const uint64_t a = vt_get(t->before, t, t->vs2, 3, i);
            const uint64_t b = vector ? vt_get(t->before, t, t->vs1, 3, i) : t->x_before[t->vs1];
            uint64_t low = 0, up = 0;
            for (unsigned bit = 0; bit < 64; bit++) {
                if ((b >> bit & 1) != 0) {
                    low ^= a << bit;
                    up ^= bit == 0 ? 0 : a >> (64 - bit);
                }
            }
            if (vt_active(t, i))
                vt_set(t->want, t, t->vd, 3, i, high ? up : low);
        }
        if (legal && t->vstart < t->vl)
            vt_policies(t, t->vstart, 3, t->lmul);
        vt_check(t, legal);
    }
}

/* ---- known answers ---- */

static void bytes_from(uint8_t *out, const char *hex)
{
    for (; *hex != 0; hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        *out++ = (uint8_t)byte;
    }
}

/* A hart of vl = 4, where registers are what the test puts there. */
static void plain(struct vt *t, unsigned vlen, unsigned sew, int lmul, uint64_t vl)
{
    memset(t->hart->v, 0, sizeof t->hart->v);
    t->vlen = vlen, t->sew = sew, t->lmul = lmul, t->vl = vl;
    t->vstart = 0;
    t->masked = t->ones = t->vta = t->vma = false;
    vt_prepare(t);
}

static uint8_t *v(struct vt *t, unsigned reg)
{
    return t->hart->v + reg * (t->vlen / 8);
}

static void insn(struct vt *t, unsigned op, unsigned vd, unsigned vs2, unsigned vs1)
{
    t->op = op, t->vd = vd, t->vs2 = vs2, t->vs1 = vs1;
    assert_int_equal(vt_run(t), VECTOR_DONE);
}

/* Round keys in v1, v2, ...; two of the key first if it has 256 bits. */
static void expand_key(struct vt *t, const char *hex)
{
    const bool wide = strlen(hex) == 64;
    uint8_t key[32];
    bytes_from(key, hex);
    memcpy(v(t, 1), key, 16);
    if (wide)
        memcpy(v(t, 2), key + 16, 16);
    for (unsigned round = wide ? 2 : 1; round <= (wide ? 14 : 10); round++) {
        if (wide)
            memcpy(v(t, 1 + round), v(t, round - 1), 16);
        insn(t, wide ? OP_vaeskf2_vi : OP_vaeskf1_vi, 1 + round, round, round);
    }
}

static void aes_vectors_of_fips_197(void **state)
{
    static const struct {
        const char *key, *plain, *cipher;
    } vectors[] = {
        /* Appendix B, C.1, C.3 */
        {"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734",
         "3925841d02dc09fbdc118597196a0b32"},
        {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
         "69c4e0d86a7b0430d8cdb78070b4c55a"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089"},
    };
    struct vt *t = *state;
    for (unsigned i = 0; i < 6; i++) {
        const bool one_key = i >= 3;
        const unsigned rounds = strlen(vectors[i % 3].key) == 64 ? 14 : 10;
        uint8_t in[16], out[16];
        plain(t, 128, 2, 0, 4);
        expand_key(t, vectors[i % 3].key);
        bytes_from(in, vectors[i % 3].plain);
        bytes_from(out, vectors[i % 3].cipher);
        memcpy(v(t, 20), in, 16);
        insn(t, OP_vaesz_vs, 20, 1, 0);
        for (unsigned round = 1; round < rounds; round++)
            insn(t, one_key ? OP_vaesem_vs : OP_vaesem_vv, 20, 1 + round, 0);
        insn(t, one_key ? OP_vaesef_vs : OP_vaesef_vv, 20, 1 + rounds, 0);
        assert_memory_equal(v(t, 20), out, 16);
        insn(t, OP_vaesz_vs, 20, 1 + rounds, 0);
        for (unsigned round = rounds - 1; round > 0; round--)
            insn(t, one_key ? OP_vaesdm_vs : OP_vaesdm_vv, 20, 1 + round, 0);
        insn(t, one_key ? OP_vaesdf_vs : OP_vaesdf_vv, 20, 1, 0);
        assert_memory_equal(v(t, 20), in, 16);
    }
}

static void round_keys_of_fips_197(void **state)
{
    struct vt *t = *state;
    uint8_t last[16];
    plain(t, 128, 2, 0, 4);
    expand_key(t, "2b7e151628aed2a6abf7158809cf4f3c"); /* A.1 */
    bytes_from(last, "d014f9a8c9ee2589e13f0cc8b6630ca6");
    assert_memory_equal(v(t, 11), last, 16);
    expand_key(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"); /* A.3 */
    bytes_from(last, "fe4890d1e6188d0b046df344706c631e");
    assert_memory_equal(v(t, 15), last, 16);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test case 2. */
static void ghash_of_gcm_test_case_2(void **state)
{
    struct vt *t = *state;
    uint8_t want[16];
    plain(t, 128, 2, 0, 4);
    memset(v(t, 1), 0, 16);
    bytes_from(v(t, 2), "66e94bd4ef8a2c3b884cfa59ca342b2e");
    bytes_from(v(t, 3), "0388dace60b6a392f328c2b971b2fe78");
    insn(t, OP_vghsh_vv, 1, 2, 3);
    bytes_from(want, "5e2ec746917062882c85b0685353deb7");
    assert_memory_equal(v(t, 1), want, 16);
    bytes_from(v(t, 3), "00000000000000000000000000000080");
    insn(t, OP_vghsh_vv, 1, 2, 3);
    bytes_from(want, "f38cbb1ad69223dcc3457ae5b6b0f885");
    assert_memory_equal(v(t, 1), want, 16);
    bytes_from(v(t, 1), "0388dace60b6a392f328c2b971b2fe78");
    insn(t, OP_vgmul_vv, 1, 2, 0);
    bytes_from(want, "5e2ec746917062882c85b0685353deb7");
    assert_memory_equal(v(t, 1), want, 16);
}

/* a * b, in words of 32 bits from the lowest on. */
static void times(uint32_t *out, const uint32_t *a, unsigned na, const uint32_t *b, unsigned nb)
{
    memset(out, 0, (na + nb) * sizeof *out);
    for (unsigned i = 0; i < na; i++) {
        uint64_t carry = 0;
        for (unsigned k = 0; k < nb; k++) {
            carry += (uint64_t)a[i] * b[k] + out[i + k];
            out[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
        out[i + nb] = (uint32_t)carry;
    }
}

/* The first 64 bits of the fraction of n's square or cube root: the constants of FIPS 180-4, 4.2
 * and 5.3. */
static uint64_t root_fraction(unsigned n, unsigned power)
{
    uint32_t root[3] = {0};
    for (unsigned bit = 70; bit-- > 0;) {
        uint32_t square[6], product[9] = {0};
        root[bit / 32] |= 1u << bit % 32;
        times(square, root, 3, root, 3);
        if (power == 3)
            times(product, square, 6, root, 3);
        else
            memcpy(product, square, sizeof square);
        const unsigned whole = 2 * power; /* where the integer's words begin */
        bool above = product[whole] >= n; /* n is no power: its root has a fraction */
        for (unsigned i = whole + 1; i < 9; i++)
            above = above || product[i] != 0;
        if (above)
            root[bit / 32] &= ~(1u << bit % 32);
    }
    return (uint64_t)root[1] << 32 | root[0];
}

static unsigned prime(unsigned index)
{
    for (unsigned n = 2;; n++) {
        bool is = true;
        for (unsigned d = 2; d * d <= n; d++)
            is = is && n % d != 0;
        if (is && index-- == 0)
            return n;
    }
}

/* The digest of "abc", one block, by the instructions as the specification shows their use. */
static void sha_of_abc(struct vt *t, unsigned sew, unsigned rounds, const char *digest)
{
    const unsigned narrow = sew == 2 ? 32 : 0;
    uint64_t words[16] = {0};
    uint8_t want[64];
    words[0] = 0x61626380ULL << (narrow ? 0 : 32);
    words[15] = 24;
    plain(t, 256, sew, 0, 4);
    /* v1: e f a b of FIPS's H in the order f, e, b, a; v2: h, g, d, c. v4..v7: the last 16 words.
     */
    static const unsigned order[8] = {5, 4, 1, 0, 7, 6, 3, 2};
    uint64_t start[8];
    for (unsigned i = 0; i < 8; i++) {
        start[i] = root_fraction(prime(order[i]), 2) >> narrow;
        vt_set(t->hart->v, t, 1 + i / 4, sew, i % 4, start[i]);
    }
    for (unsigned i = 0; i < 16; i++)
        vt_set(t->hart->v, t, 4 + i / 4, sew, i % 4, words[i]);
    for (unsigned round = 0; round < rounds; round += 4) {
        const unsigned now = 4 + round / 4 % 4;
        for (unsigned i = 0; i < 4; i++) {
            const uint64_t k = root_fraction(prime(round + i), 3) >> narrow;
            vt_set(t->hart->v, t, 10, sew, i, vt_get(t->hart->v, t, now, sew, i) + k);
        }
        insn(t, OP_vsha2cl_vv, 2, 1, 10);
        insn(t, OP_vsha2ch_vv, 1, 2, 10);
        /* Words 4 and 9 to 11 in one register, 12 to 15 in another. */
        const unsigned at4 = 4 + (round / 4 + 1) % 4, at8 = 4 + (round / 4 + 2) % 4,
                       at12 = 4 + (round / 4 + 3) % 4;
        for (unsigned i = 0; i < 4; i++)
            vt_set(t->hart->v, t, 11, sew, i, vt_get(t->hart->v, t, i == 0 ? at4 : at8, sew, i));
        insn(t, OP_vsha2ms_vv, now, 11, at12);
    }
    bytes_from(want, digest);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t sum = vt_get(t->hart->v, t, 1 + i / 4, sew, i % 4) + start[i], wanted = 0;
        for (unsigned k = 0; k < 1u << sew; k++)
            wanted = wanted << 8 | want[(order[i] << sew) + k];
        assert_int_equal(narrow ? (uint32_t)sum : sum, wanted);
    }
}

static void sha_256_and_512_of_abc(void **state)
{
    assert_int_equal(root_fraction(2, 2), 0x6a09e667f3bcc908);
    assert_int_equal(root_fraction(2, 3), 0x428a2f98d728ae22);
    sha_of_abc(*state, 2, 64, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha_of_abc(*state, 3, 80,
               "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
               "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static int setup(void **state)
{
    for (unsigned i = 0; i < 256; i++) {
        s_box[i] = sub_byte((uint8_t)i);
        s_box_inverse[s_box[i]] = (uint8_t)i;
    }
    return vt_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_vectors_of_fips_197),
        cmocka_unit_test(round_keys_of_fips_197),
        cmocka_unit_test(ghash_of_gcm_test_case_2),
        cmocka_unit_test(sha_256_and_512_of_abc),
        cmocka_unit_test(aes_rounds_are_those_of_fips_197),
        cmocka_unit_test(aes_round_keys_are_those_of_fips_197),
        cmocka_unit_test(ghash_is_that_of_sp_800_38d),
        cmocka_unit_test(sha2_steps_are_those_of_fips_180_4),
        cmocka_unit_test(carryless_products_are_sums_without_carry),
    };
    return cmocka_run_group_tests(tests, setup, vt_teardown);
}
