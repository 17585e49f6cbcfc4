/* See vector.h. */
#include "vector.h"

extern const char vector_call[];

void vector_execute(enum mode mode, struct vector_state *state, uint32_t word)
{
    covers(word);
    probe_code[0] = word;
    probe_code[1] = RET;
    fence_i();
    trap_clear();
    probe_pc = FN(probe_code);
    run_in(mode, FN(vector_call), FN(state), FN(probe_code));
}

uint8_t *vector_register(struct vector_state *state, unsigned reg)
{
    return state->v + reg * csr_read(VLENB);
}

uint64_t vector_vlmax(unsigned vtype)
{
    const int lmul = (vtype & 4) != 0 ? (int)(vtype & 7) - 8 : (int)(vtype & 7);
    const int shift = lmul - (int)(vtype >> 3 & 7);

    return shift >= 0 ? csr_read(VLENB) << shift : csr_read(VLENB) >> -shift;
}

void vector_fill(struct vector_state *state, unsigned vtype)
{
    *state = (struct vector_state){.vtype = vtype, .vl = vector_vlmax(vtype)};
    for (size_t i = 0; i < 32 * csr_read(VLENB); i++)
        state->v[i] = (uint8_t)(i * 53 + 7);
}

static void check_case(const struct vector_case *c)
{
    static struct vector_state state;
    uint64_t before[16];
    bool good, changed = false;

    vector_fill(&state, c->vtype);
    state.vl = c->vl;
    state.vcsr = c->vcsr;
    state.fcsr = c->fcsr;
    state.a[0] = c->x;
    state.fa1 = c->f;
    __builtin_memcpy(vector_register(&state, 0), c->mask, sizeof c->mask);
    __builtin_memcpy(vector_register(&state, 16), c->vs2, sizeof c->vs2);
    __builtin_memcpy(vector_register(&state, 24), c->vs1, sizeof c->vs1);
    __builtin_memcpy(before, vector_register(&state, 8), sizeof before);
    vector_execute(M, &state, c->word);
    good = check_ok("vector", 0, c->name) &&
           check_eq("vector: x", 0, c->name, state.a[0], c->want_x) &&
           check_eq("vector: f", 0, c->name, state.fa0, c->want_f) &&
           check_eq("vector: fcsr", 0, c->name, state.fcsr, c->want_fcsr) &&
           check_eq("vector: vcsr", 0, c->name, state.vcsr, c->want_vcsr) &&
           check_eq("vector: vstart", 0, c->name, state.vstart, 0);
    for (size_t i = 0; good && i < sizeof c->want / 8; i++) {
        uint64_t got;

        __builtin_memcpy(&got, vector_register(&state, 8) + 8 * i, 8);
        good = check_eq("vector: vd", (int)i, c->name, got, c->want[i]);
        changed = changed || got != before[i];
    }
    if (good && changed)
        good = check_eq("vector: VS is Dirty", 0, c->name, state.on, MSTATUS_VS);
    if (good)
        return;
    print("    word ");
    print_hex(c->word);
    print(" vtype ");
    print_hex(c->vtype);
    print(" vl ");
    print_hex(c->vl);
    print(" mask ");
    print_hex(c->mask[0]);
    print(" vs2 ");
    print_hex(c->vs2[0]);
    print(" vs1 ");
    print_hex(c->vs1[0]);
    print(" x ");
    print_hex(c->x);
    print(" f ");
    print_hex(c->f);
    print(" fcsr ");
    print_hex(c->fcsr);
    print("\n");
}

void check_vector_cases(const struct vector_case *cases, size_t count)
{
    csr_set(MSTATUS, MSTATUS_VS | MSTATUS_FS);
    CHECK_EQ("vlenb", csr_read(VLENB), 16);
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i]);
}
