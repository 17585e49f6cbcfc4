/*
 * V: what vset* make of vl and vtype, what traps, what vstart, tails and CSRs do (Unprivileged ISA
 * 20240411, "V"). What each instruction computes is in the programs of vector.py, loads and stores
 * are in vector_memory.c, VS off in vector_off.c. Two checks are of what the specification leaves
 * open, as QEMU 10 has it too: vl for an AVL above VLMAX, and agnostic elements, which are left
 * alone.
 */
#include "vector.h"

static struct vector_state state, before;

/* Fields of an instruction; vm = 1: not masked. */
static uint32_t v(uint32_t match, unsigned vd, unsigned vs2, unsigned vs1)
{
    return match | vd << 7 | vs1 << 15 | vs2 << 20 | 1u << 25;
}

static uint32_t masked(uint32_t word)
{
    return word & ~(1u << 25);
}

static bool same_state(void)
{
    const uint64_t *a = (const uint64_t *)&state, *b = (const uint64_t *)&before;

    before.on = state.on;
    for (size_t i = 0; i < sizeof state / 8; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

/* Illegal, and nothing has changed. */
static void refused_with(const char *what, uint32_t word)
{
    before = state;
    vector_execute(M, &state, word);
    if (check_illegal(__FILE_NAME__, 0, what, word))
        check_eq(__FILE_NAME__, 0, what, same_state(), 1);
}

static void refused(const char *what, unsigned vtype, uint32_t word)
{
    vector_fill(&state, vtype);
    refused_with(what, word);
}

static void accepted(const char *what, unsigned vtype, uint32_t word)
{
    vector_fill(&state, vtype);
    vector_execute(M, &state, word);
    check_ok(__FILE_NAME__, 0, what);
}

/* ---- vset* ---- */

static uint64_t vsetvl(uint64_t avl, uint64_t vtype)
{
    return probe(M, ENC_R(MATCH_vsetvl, 10, 10, 11), avl, vtype);
}

static bool is_legal(unsigned sew, int lmul)
{
    /* ELEN 64; LMUL of at least SEW / ELEN (3.4.2). */
    return sew <= E64 && lmul != -4 && (int)sew - lmul <= 3;
}

static void vl_is_the_smaller_of_avl_and_vlmax(void)
{
    for (unsigned sew = 0; sew < 8; sew++)
        for (int lmul = -4; lmul < 4; lmul++) {
            const unsigned vtype = E(sew, lmul) | 0xc0;
            const uint64_t max = is_legal(sew, lmul) ? vector_vlmax(vtype & 0x3f) : 0;
            const uint64_t avls[] = {0,           1,       max - 1,     max,  max + 1,
                                     2 * max - 1, 2 * max, 2 * max + 1, ~0ULL};

            for (size_t i = 0; i < sizeof avls / sizeof avls[0]; i++) {
                const uint64_t want = avls[i] < max ? avls[i] : max;

                csr_write(VSTART, 3);
                CHECK_EQ("vsetvl", vsetvl(avls[i], vtype), want);
                CHECK_EQ("vl", csr_read(VL), want);
                CHECK_EQ("vtype", csr_read(VTYPE), is_legal(sew, lmul) ? vtype : VTYPE_VILL);
                CHECK_EQ("vstart", csr_read(VSTART), 0);
                CHECK_EQ("vsetvli", probe(M, ENC_I(MATCH_vsetvli, 10, 10, vtype), avls[i], 0),
                         want);
                if (avls[i] < 32)
                    CHECK_EQ("vsetivli",
                             probe(M, ENC_I(MATCH_vsetivli, 10, avls[i], 0xc00 | vtype), 0, 0),
                             want);
            }
        }
}

static void x0_asks_for_all_or_for_what_there_is(void)
{
    vsetvl(5, E(E8, 0));
    probe(M, ENC_I(MATCH_vsetvli, 0, 0, E(E16, 1)), 0, 0); /* the same VLMAX */
    CHECK_EQ("kept", csr_read(VL), 5);
    CHECK_EQ("vtype", csr_read(VTYPE), E(E16, 1));
    CHECK_EQ("all", probe(M, ENC_I(MATCH_vsetvli, 10, 0, E(E32, 3)), 0, 0),
             vector_vlmax(E(E32, 3)));
    probe(M, ENC_R(MATCH_vsetvl, 0, 0, 11), 0, E(E32, 3));
    CHECK_EQ("kept by vsetvl", csr_read(VL), vector_vlmax(E(E32, 3)));
    probe(M, ENC_R(MATCH_vsetvl, 0, 10, 11), 3, E(E8, 0));
    CHECK_EQ("rd = x0", csr_read(VL), 3);
    probe(U, ENC_I(MATCH_vsetvli, 10, 10, E(E8, 0)), 2, 0);
    CHECK_OK("U");
    CHECK_EQ("U: vl", csr_read(VL), 2);
}

static void a_vtype_that_is_not_supported_is_ill(void)
{
    static const uint64_t ill[] = {
        1ULL << 8,        1ULL << 11, 1ULL << 62, 1ULL << 63, VTYPE_VILL | E(E8, 0),
        E(E8, 0) | 0x400, 4,          E(E64, -1), E(4, 0)};

    for (size_t i = 0; i < sizeof ill / sizeof ill[0]; i++) {
        vsetvl(4, E(E8, 0));
        CHECK_EQ("vl", vsetvl(4, ill[i]), 0);
        CHECK_OK("vsetvl");
        CHECK_EQ("vtype", csr_read(VTYPE), VTYPE_VILL);
        CHECK_EQ("vl", csr_read(VL), 0);
    }
    vector_fill(&state, 0);
    state.vtype = VTYPE_VILL;
    state.vl = 0;
    state.a[0] = FN(pages);
    refused_with("vadd.vv, vill", v(MATCH_vadd_vv, 8, 16, 24));
    refused_with("vmv1r.v, vill", v(MATCH_vmv1r_v, 8, 16, 0));
    refused_with("vmv.x.s, vill", v(MATCH_vmv_x_s, 11, 16, 0));
    refused_with("vle8.v, vill", v(MATCH_vle8_v, 8, 0, 10));
    refused_with("vsm.v, vill", v(MATCH_vsm_v, 8, 0, 10));
    vector_execute(M, &state, MATCH_vl1re8_v | 8 << 7 | 10 << 15);
    CHECK_OK("vl1re8.v, vill");
    vector_execute(M, &state, MATCH_vs2r_v | 8 << 7 | 10 << 15);
    CHECK_OK("vs2r.v, vill");
}

/* ---- reserved encodings ---- */

static void groups_are_aligned_and_in_range(void)
{
    refused("vd, LMUL 2", E(E8, 1), v(MATCH_vadd_vv, 9, 16, 24));
    refused("vs2, LMUL 4", E(E8, 2), v(MATCH_vadd_vv, 8, 18, 24));
    refused("vs1, LMUL 8", E(E8, 3), v(MATCH_vadd_vv, 8, 16, 28));
    refused("vx, LMUL 8", E(E8, 3), v(MATCH_vadd_vx, 4, 16, 10));
    accepted("any register, LMUL 1/2", E(E8, -1), v(MATCH_vadd_vv, 9, 17, 25));
    refused("wide vd", E(E8, 0), v(MATCH_vwadd_vv, 9, 16, 24));
    refused("EMUL 16", E(E8, 3), v(MATCH_vwadd_vv, 8, 16, 24));
    refused("SEW 128", E(E64, 0), v(MATCH_vwadd_vv, 8, 16, 24));
    refused("wide vs2", E(E8, 0), v(MATCH_vnsrl_wv, 8, 17, 24));
    refused("narrowing from 128", E(E64, 0), v(MATCH_vnsrl_wv, 8, 16, 24));
    refused("an eighth of 32", E(E32, 0), v(MATCH_vzext_vf8, 8, 16, 2));
    refused("vmv2r.v", E(E8, 0), v(MATCH_vmv2r_v, 9, 16, 1));
    refused("vmv8r.v", E(E8, 0), v(MATCH_vmv8r_v, 8, 20, 7));
    refused("indices of EMUL 2", E(E8, 0), v(MATCH_vrgatherei16_vv, 8, 16, 25));
    refused("indices of EMUL 16", E(E8, 3), v(MATCH_vrgatherei16_vv, 8, 16, 24));
}

static void overlaps_are_reserved(void)
{
    refused("wide vd over the low half", E(E8, 1), v(MATCH_vwadd_vv, 8, 8, 24));
    accepted("wide vd over the high half", E(E8, 1), v(MATCH_vwadd_vv, 8, 10, 24));
    refused("wide vd over vs1", E(E8, 0), v(MATCH_vwadd_vv, 8, 16, 8));
    refused("narrow vd over the high half", E(E8, 0), v(MATCH_vnsrl_wv, 17, 16, 24));
    accepted("narrow vd over the low half", E(E8, 0), v(MATCH_vnsrl_wv, 16, 16, 24));
    refused("extension from the low part", E(E16, 1), v(MATCH_vzext_vf2, 8, 8, 6));
    accepted("extension from the highest part", E(E16, 1), v(MATCH_vzext_vf2, 8, 9, 6));
    refused("a mask within vs2", E(E8, 1), v(MATCH_vmseq_vv, 9, 8, 24));
    accepted("a mask over the first of vs2", E(E8, 1), v(MATCH_vmseq_vv, 8, 8, 24));
    refused("masked vd = v0", E(E8, 0), masked(v(MATCH_vadd_vv, 0, 16, 24)));
    accepted("vd = v0", E(E8, 0), v(MATCH_vadd_vv, 0, 16, 24));
    accepted("a mask to v0, masked", E(E8, 0), masked(v(MATCH_vmseq_vv, 0, 16, 24)));
    refused("vadc to v0", E(E8, 0), MATCH_vadc_vvm | 16 << 20 | 24 << 15);
    refused("vmerge to v0", E(E8, 0), MATCH_vmerge_vvm | 16 << 20 | 24 << 15);
    refused("vslideup over vs2", E(E8, 0), v(MATCH_vslideup_vx, 8, 8, 10));
    accepted("vslidedown over vs2", E(E8, 0), v(MATCH_vslidedown_vx, 8, 8, 10));
    refused("vslide1up over vs2", E(E8, 0), v(MATCH_vslide1up_vx, 8, 8, 10));
    refused("vrgather over vs2", E(E8, 0), v(MATCH_vrgather_vv, 8, 8, 24));
    refused("vrgather over vs1", E(E8, 0), v(MATCH_vrgather_vv, 8, 16, 8));
    refused("vcompress over vs2", E(E8, 0), v(MATCH_vcompress_vm, 8, 8, 24));
    refused("vcompress over vs1", E(E8, 0), v(MATCH_vcompress_vm, 8, 16, 8));
    refused("viota over vs2", E(E8, 0), v(MATCH_viota_m, 8, 8, 16));
    refused("vmsbf over vs2", E(E8, 0), v(MATCH_vmsbf_m, 8, 8, 1));
    refused("vmsof, masked, to v0", E(E8, 0), masked(v(MATCH_vmsof_m, 0, 8, 2)));
    refused("v0 as elements too", E(E8, 0), masked(v(MATCH_vadd_vv, 8, 0, 24)));
    refused("a register read as 8 and as 16 bits", E(E8, 0), v(MATCH_vwadd_wv, 8, 16, 17));
}

static void a_vstart_that_cannot_be_is_refused(void)
{
    static const struct {
        const char *what;
        uint32_t match;
        unsigned vs1;
    } all[] = {
        {"vredsum", MATCH_vredsum_vs, 24},     {"vwredsum", MATCH_vwredsum_vs, 24},
        {"vfredosum", MATCH_vfredosum_vs, 24}, {"vcpop", MATCH_vcpop_m, 16},
        {"vfirst", MATCH_vfirst_m, 17},        {"vmsbf", MATCH_vmsbf_m, 1},
        {"vmsif", MATCH_vmsif_m, 3},           {"vmsof", MATCH_vmsof_m, 2},
        {"viota", MATCH_viota_m, 16},          {"vcompress", MATCH_vcompress_vm, 24},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        vector_fill(&state, E(E32, 0));
        state.vstart = 1;
        refused_with(all[i].what, v(all[i].match, 8, 16, all[i].vs1));
    }
}

static void floating_point_wants_its_widths_and_frm(void)
{
    refused("SEW 8", E(E8, 0), v(MATCH_vfadd_vv, 8, 16, 24));
    refused("SEW 16: Zvfhmin has no more than conversions", E(E16, 0),
            v(MATCH_vfadd_vv, 8, 16, 24));
    accepted("Zvfhmin", E(E16, 0), v(MATCH_vfwcvt_f_f_v, 8, 16, 12));
    accepted("Zvfhmin", E(E16, 0), v(MATCH_vfncvt_f_f_w, 8, 16, 20));
    refused("wide of 64", E(E64, 0), v(MATCH_vfwadd_vv, 8, 16, 24));
    refused("from 16 to an integer of 32", E(E16, 0), v(MATCH_vfwcvt_x_f_v, 8, 16, 9));
    for (unsigned frm = 5; frm < 8; frm++) {
        static const uint32_t words[] = {MATCH_vfadd_vv, MATCH_vfmin_vv, MATCH_vfsgnj_vv,
                                         MATCH_vmfeq_vv};

        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            vector_fill(&state, E(E32, 0));
            state.fcsr = frm << 5;
            refused_with("frm", v(words[i], 8, 16, 24));
        }
        vector_fill(&state, E(E32, 0));
        state.fcsr = frm << 5;
        refused_with("frm, vfmv.v.f", v(MATCH_vfmv_v_f, 8, 0, 10));
        refused_with("frm, vfmv.f.s", v(MATCH_vfmv_f_s, 10, 8, 0));
    }
}

static void cryptography_wants_its_groups(void)
{
    refused("vclmul, SEW 32", E(E32, 0), v(MATCH_vclmul_vv, 8, 16, 24));
    refused("vaesem, SEW 64", E(E64, 0), v(MATCH_vaesem_vv, 8, 16, 2));
    refused("vghsh, SEW 16", E(E16, 0), v(MATCH_vghsh_vv, 8, 16, 24));
    refused("vsha2ms, SEW 16", E(E16, 0), v(MATCH_vsha2ms_vv, 8, 16, 24));
    refused("vaesem, half a group", E(E32, -1), v(MATCH_vaesem_vv, 8, 16, 2));
    refused("vsha2ms of 512, half a group", E(E64, 0), v(MATCH_vsha2ms_vv, 8, 16, 24));
    accepted("vsha2ms of 512", E(E64, 1), v(MATCH_vsha2ms_vv, 8, 16, 24));
    refused("vaesem.vs over vs2", E(E32, 0), v(MATCH_vaesem_vs, 8, 8, 2));
    refused("vsha2ch over vs1", E(E32, 0), v(MATCH_vsha2ch_vv, 8, 16, 8));
    vector_fill(&state, E(E32, 1));
    state.vl = 6;
    refused_with("vl = 6", v(MATCH_vgmul_vv, 8, 16, 17));
    state.vl = 8;
    state.vstart = 2;
    refused_with("vstart = 2", v(MATCH_vgmul_vv, 8, 16, 17));
}

/* ---- what is left alone ---- */

static uint32_t element32(const struct vector_state *s, unsigned reg, unsigned i)
{
    return ((const uint32_t *)(const void *)vector_register((struct vector_state *)s, reg))[i];
}

static void only_the_body_from_vstart_on_changes(void)
{
    for (unsigned policy = 0; policy < 4; policy++)
        for (unsigned vstart = 0; vstart < 6; vstart++)
            for (unsigned vl = 0; vl <= 8; vl++) {
                vector_fill(&state, E(E32, 1));
                state.vtype |= policy << 6;
                state.vl = vl;
                state.vstart = vstart;
                *vector_register(&state, 0) = 0x6d;
                before = state;
                vector_execute(M, &state, masked(v(MATCH_vadd_vv, 8, 16, 24)));
                CHECK_OK("vadd.vv");
                CHECK_EQ("vstart", state.vstart, 0);
                CHECK_EQ("vl", state.vl, vl);
                for (unsigned i = 0; i < 8; i++) {
                    const bool active = i >= vstart && i < vl && (0x6d >> i & 1) != 0;

                    CHECK_EQ("element", element32(&state, 8, i),
                             active ? element32(&before, 16, i) + element32(&before, 24, i)
                                    : element32(&before, 8, i));
                }
            }
}

static void scalars_move_whatever_vl_is(void)
{
    vector_fill(&state, E(E32, 3));
    state.vl = 0;
    state.vstart = 5;
    before = state;
    vector_execute(M, &state, v(MATCH_vmv_x_s, 10, 17, 0)); /* 17: LMUL does not matter */
    CHECK_OK("vmv.x.s");
    CHECK_EQ("vmv.x.s", state.a[0], (uint64_t)(int64_t)(int32_t)element32(&before, 17, 0));
    CHECK_EQ("vstart", state.vstart, 0);
    state.vl = 0;
    vector_execute(M, &state, v(MATCH_vmv_s_x, 17, 0, 10));
    CHECK_EQ("vmv.s.x, vl = 0", element32(&state, 17, 0), element32(&before, 17, 0));
    vector_fill(&state, E(E32, 0));
    state.vl = 0;
    state.a[0] = 77;
    vector_execute(M, &state, v(MATCH_vfirst_m, 10, 8, 17));
    CHECK_EQ("vfirst.m, vl = 0", state.a[0], ~0ULL);
    vector_execute(M, &state, v(MATCH_vcpop_m, 10, 8, 16));
    CHECK_EQ("vcpop.m, vl = 0", state.a[0], 0);
}

/* ---- CSRs ---- */

static void csrs_have_their_fields(void)
{
    csr_write(VSTART, ~0ULL);
    CHECK_EQ("vstart: as many bits as an index has", csr_read(VSTART), 8 * csr_read(VLENB) - 1);
    csr_write(VSTART, 0);
    csr_write(VCSR, ~0ULL);
    CHECK_EQ("vcsr", csr_read(VCSR), 7);
    CHECK_EQ("vxrm", csr_read(VXRM), 3);
    CHECK_EQ("vxsat", csr_read(VXSAT), 1);
    csr_write(VXRM, 2);
    csr_write(VXSAT, 2);
    CHECK_EQ("vcsr", csr_read(VCSR), 4);
    static const uint16_t fixed[] = {VL, VTYPE, VLENB};
    for (size_t i = 0; i < 3; i++) {
        probe(M, CSRRW(fixed[i]), 0, 0);
        CHECK_ILLEGAL("read-only", CSRRW(fixed[i]));
    }
    CHECK_EQ("vlenb", probe(U, CSRR(VLENB), 0, 0), 16);
    CHECK_OK("vlenb, U");
    CHECK_EQ("misa.V", have('v'), 1);
}

static void what_changes_v_makes_it_dirty(void)
{
    static const uint32_t words[] = {CSRRW(VSTART), CSRRW(VXSAT), CSRRW(VXRM), CSRRW(VCSR),
                                     MATCH_vsetivli | 10 << 7};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (uint64_t status = 1; status < 4; status++) {
            csr_clear(MSTATUS, MSTATUS_VS | MSTATUS_FS);
            csr_set(MSTATUS, status << 9);
            probe(M, words[i], 1, 0);
            CHECK_OK("VS on");
            CHECK_EQ("VS is Dirty", csr_read(MSTATUS) & MSTATUS_VS, MSTATUS_VS);
            CHECK_EQ("in sstatus too", csr_read(SSTATUS) & MSTATUS_VS, MSTATUS_VS);
            CHECK_EQ("SD", csr_read(MSTATUS) >> 63, 1);
        }
    csr_set(MSTATUS, MSTATUS_FS);
    csr_write(VSTART, 0);
}

void test_main(void)
{
    csr_set(MSTATUS, MSTATUS_FS | MSTATUS_VS);
    csrs_have_their_fields();
    what_changes_v_makes_it_dirty();
    vl_is_the_smaller_of_avl_and_vlmax();
    x0_asks_for_all_or_for_what_there_is();
    a_vtype_that_is_not_supported_is_ill();
    groups_are_aligned_and_in_range();
    overlaps_are_reserved();
    a_vstart_that_cannot_be_is_refused();
    floating_point_wants_its_widths_and_frm();
    cryptography_wants_its_groups();
    only_the_body_from_vstart_on_changes();
    scalars_move_whatever_vl_is();
}
