/* Vector cryptography by the host's instructions for it. */
#include "engine/jit/x86/vector.h"

/* ---- cryptography: groups of four elements of 32 bits, which are 16 bytes ---- */

/* One round of AES: vd by the round keys in vs2, or that in its first group. */
static bool lower_aes(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    const bool scalar = (v->raw >> 26) == 0x29; /* .vs */
    uint32_t op;

    switch (v->vs1) {
    case 0: op = X86_V(2, 1, 0xde); break; /* vaesdm: VAESDEC, see below */
    case 1: op = X86_V(2, 1, 0xdf); break; /* vaesdf: VAESDECLAST */
    case 2: op = X86_V(2, 1, 0xdc); break; /* vaesem: VAESENC */
    case 3: op = X86_V(2, 1, 0xdd); break; /* vaesef: VAESENCLAST */
    case 7: op = VPXOR; break;             /* vaesz */
    default: return false;
    }
    if (!x86_features.aes || v->sew != 2 || v->vd % v->regs != 0 ||
        (scalar ? !vec_is_apart(v, v->vs2, 1) : v->vs2 % v->regs != 0))
        return false;
    vec_guard(v, true, WHOLE);
    for (unsigned at = 0; at < v->bytes; at += 16) {
        const struct x86_mem key = vec_group_at(v, v->vs2, scalar ? 0 : at),
                             state = vec_group_at(v, v->vd, at);
        x_v_mem(c, false, VMOVDQU_LOAD, 0, 0, state);
        if (v->vs1 ==
            0) { /* the key is added before the columns are mixed: mixed itself, behind that */
            x_v_mem(c, false, X86_V(2, 1, 0xdb), 1, 0, key); /* vaesimc */
            x_v(c, false, op, 0, 0, 1);
        } else {
            x_v_mem(c, false, op, 0, 0, key);
        }
        x_v_mem(c, false, VMOVDQU_STORE, 0, 0, state);
    }
    return true;
}

#define SHA256RNDS2 0x0f38cbu
#define SHA256MSG1  0x0f38ccu
#define SHA256MSG2  0x0f38cdu

/* SHA-256. The host's instructions have their operands in the same order of words. */
static bool lower_sha(struct vector *v)
{
    struct x86_code *c = &v->l->c;
    if (!x86_features.sha || v->sew != 2 || !vec_are_aligned(v, FROM_V) ||
        !vec_is_apart(v, v->vs1, v->regs) || !vec_is_apart(v, v->vs2, v->regs))
        return false;
    vec_guard(v, true, WHOLE);
    if (v->l->upper)
        vec_clear_upper(c); /* these know no other half */
    v->l->upper = false;
    for (unsigned at = 0; at < v->bytes; at += 16) {
        const struct x86_mem d = vec_group_at(v, v->vd, at), s1 = vec_group_at(v, v->vs1, at),
                             s2 = vec_group_at(v, v->vs2, at);
        x_v_mem(c, false, VMOVDQU_LOAD, 0, 0, s1);
        x_v_mem(c, false, VMOVDQU_LOAD, 1, 0, d);
        x_v_mem(c, false, VMOVDQU_LOAD, 2, 0, s2);
        if (v->op == OP_vsha2ms_vv) {
            x_reg(c, false, SHA256MSG1, 1, 2);
            x_v(c, false, X86_V(3, 1, 0x0f), 2, 0, 2); /* vpalignr: words 9 to 12 */
            put8(c, 4);
            x_v(c, false, vec_packed[P_ADD][2], 1, 1, 2);
            x_reg(c, false, SHA256MSG2, 1, 0);
        } else { /* by the lower two words, or the upper */
            if (v->op == OP_vsha2ch_vv) {
                x_v(c, false, X86_V(1, 1, 0x70), 0, 0, 0); /* vpshufd */
                put8(c, 0x0e);
            }
            x_reg(c, false, SHA256RNDS2, 1, 2);
        }
        x_v_mem(c, false, VMOVDQU_STORE, 1, 0, d);
    }
    return true;
}

/* SHA-512, of which a host has nothing: by C for each group, with nothing else to look at. */
static bool lower_sha512(struct vector *v)
{
    struct lowering *l = v->l;
    struct x86_code *c = &l->c;
    if (v->sew != 3 || v->bytes < 32 || !vec_are_aligned(v, FROM_V) ||
        !vec_is_apart(v, v->vs1, v->regs) || !vec_is_apart(v, v->vs2, v->regs))
        return false;
    vec_guard(v, true, WHOLE);
    if (l->upper)
        vec_clear_upper(c);
    l->upper = false;
    x86_spill(l);
    for (unsigned at = 0; at < v->bytes; at += 32) {
        x_lea(c, RAX, vec_group_at(v, v->vd, at));
        x_lea(c, RCX, vec_group_at(v, v->vs1, at + (v->op == OP_vsha2ch_vv ? 16 : 0)));
        x_lea(c, RDX, vec_group_at(v, v->vs2, at));
        x_call_to(c, x86_stub(l, x86_stubs.sha512[v->op != OP_vsha2ms_vv]));
    }
    x86_fill(l);
    return true;
}

/* ---- which ---- */

bool vec_lower_crypto(struct vector *v)
{
    if (vec_is_fraction(v))
        return false;
    switch (v->op) {
    case OP_vaesdf_vv:
    case OP_vaesdm_vv:
    case OP_vaesef_vv:
    case OP_vaesem_vv:
    case OP_vaesdf_vs:
    case OP_vaesdm_vs:
    case OP_vaesef_vs:
    case OP_vaesem_vs:
    case OP_vaesz_vs: return lower_aes(v);
    case OP_vsha2ms_vv:
    case OP_vsha2ch_vv:
    case OP_vsha2cl_vv: return v->sew == 3 ? lower_sha512(v) : lower_sha(v);
    default: return false;
    }
}
