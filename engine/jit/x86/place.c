/* Which guest registers are in which host registers. */
#include "engine/jit/x86/lower.h"

/* XMM registers below are scratch. */
#define XMM_FIRST 3
#define XMM_LAST  15

void x86_place_pinned(struct placement *place)
{
    memset(place, 0, sizeof *place);
    memcpy(place->host, x86_host, sizeof place->host);
    memset(place->xmm, NO_REG, sizeof place->xmm);
    memset(place->slide, NO_REG, sizeof place->slide);
}

struct uses {
    unsigned x[32], f[32];
};

static void use(struct uses *uses, ir_reg reg, unsigned weight)
{
    if (reg < 32)
        uses->x[reg] += weight;
    else if (reg < IR_T(0))
        uses->f[reg - 32] += weight;
}

static bool has_third(enum ir_op op)
{
    return op >= IR_FMADD && op <= IR_FNMADD;
}

/* How often operations are executed, guessed: 8 times as often for each loop around them. */
void x86_find_weights(uint16_t weights[IR_BLOCK_MAX], const struct ir_block *block)
{
    for (unsigned i = 0; i < block->count; i++)
        weights[i] = 1;
    for (unsigned i = 0; i < block->count; i++) {
        const struct ir *jump = &block->code[i];
        if ((jump->op != IR_BRANCH && jump->op != IR_JUMP) || jump->c != IR_INSIDE ||
            (uint64_t)jump->imm > block->pc + jump->at)
            continue;
        for (unsigned j = i + 1; j-- > 0;) {
            if (weights[j] < 512)
                weights[j] = (uint16_t)(weights[j] * 8);
            if (block->code[j].op == IR_LABEL && block->code[j].imm == jump->imm)
                break;
        }
    }
}

/* `weights`: NULL, all are alike. */
static void count_uses(struct uses *uses, struct placement *place, const struct ir_block *block,
                       const uint16_t weights[IR_BLOCK_MAX])
{
    memset(uses, 0, sizeof *uses);
    for (unsigned i = 0; i < block->count; i++) {
        const struct ir *ir = &block->code[i];
        if (ir->op == IR_LABEL || ir->op == IR_FP_ON || ir->op == IR_FP_NEAREST)
            continue;
        /* `a` of operations that have none is x0, which is never counted. */
        const unsigned weight = weights != NULL ? weights[i] : 1;
        use(uses, ir->a, weight);
        if (ir->b != IR_NONE)
            use(uses, ir->b, weight);
        if (has_third((enum ir_op)ir->op))
            use(uses, ir->c, weight);
        use(uses, ir->dst, weight);
        if (ir->dst < 32)
            place->written |= 1u << ir->dst;
        else if (ir->dst < IR_T(0))
            place->fp_written |= 1u << (ir->dst - 32);
    }
    uses->x[0] = 0;
    for (unsigned i = 1; i < 32; i++)
        place->used |= uses->x[i] > 0 ? 1u << i : 0;
}

static unsigned most_used(const unsigned *uses, uint32_t except)
{
    unsigned best = 0, most = 0;
    for (unsigned i = 0; i < 32; i++) {
        if ((except >> i & 1) == 0 && uses[i] > most) {
            most = uses[i];
            best = i;
        }
    }
    return most > 0 ? best : 32;
}

/* Those that are used most have XMM registers. */
static void place_floats(struct placement *place, const unsigned uses[32])
{
    uint32_t except = 0;
    for (unsigned xmm = XMM_FIRST; xmm <= XMM_LAST; xmm++) {
        const unsigned reg = most_used(uses, except);
        if (reg == 32)
            return;
        except |= 1u << reg;
        place->xmm[reg] = (uint8_t)xmm;
        place->moved = true;
    }
}

void x86_place_region(struct placement *place, const struct ir_block *block,
                      const uint16_t weights[IR_BLOCK_MAX])
{
    struct uses uses;
    uint32_t chosen = 0;

    memset(place, 0, sizeof *place);
    memset(place->host, NO_REG, sizeof place->host);
    memset(place->xmm, NO_REG, sizeof place->xmm);
    memset(place->slide, NO_REG, sizeof place->slide);
    count_uses(&uses, place, block, weights);
    for (unsigned n = 0; n < X86_PINS; n++) {
        unsigned reg = most_used(uses.x, chosen);
        if (reg == 32)
            break;
        chosen |= 1u << reg;
    }
    /* Whose place is pinned stays there. */
    bool taken[16] = {false};
    for (unsigned i = 1; i < 32; i++) {
        if ((chosen >> i & 1) && x86_host[i] != NO_REG) {
            place->host[i] = x86_host[i];
            taken[x86_host[i]] = true;
        }
    }
    unsigned pin = 0;
    for (unsigned i = 1; i < 32; i++) {
        if ((chosen >> i & 1) == 0 || place->host[i] != NO_REG)
            continue;
        while (taken[x86_pins[pin].host])
            pin++;
        place->host[i] = x86_pins[pin].host;
        place->guest[x86_pins[pin].host] = (uint8_t)i;
        taken[x86_pins[pin].host] = true;
        place->moved = true;
    }
    /* Those that nobody displaced stay where they are, too. */
    for (unsigned i = 0; i < X86_PINS; i++) {
        if (!taken[x86_pins[i].host])
            place->host[x86_pins[i].guest] = x86_pins[i].host;
    }
    place_floats(place, uses.f);
}

/* What is used so often in a block is worth a load before it and a store behind it, if that is so
 * of some. What calls C or the interpreter with no spill is no block for it. */
#define OFTEN 3
#define SOME  8 /* uses beyond those two */

void x86_place_block(struct placement *place, const struct ir_block *block)
{
    struct uses uses;
    unsigned results = 0, gain = 0;

    x86_place_pinned(place);
    for (unsigned i = 0; i < block->count; i++) {
        const enum ir_op op = (enum ir_op)block->code[i].op;
        if (op == IR_EXECUTE || op == IR_SYSTEM || op == IR_SAME)
            return;
        results += op >= IR_FADD && op <= IR_FCVT_FORMAT;
    }
    if (3 * results < SOME)
        return;
    count_uses(&uses, place, block, NULL);
    for (unsigned i = 0; i < 32; i++) {
        if (uses.f[i] < OFTEN)
            uses.f[i] = 0;
        gain += uses.f[i] > 0 ? uses.f[i] - 2 : 0;
    }
    if (gain >= SOME)
        place_floats(place, uses.f);
}

/* A pinned register whose guest register the region does not use, or NO_REG. */
static unsigned unused_pin(const struct placement *place)
{
    for (unsigned i = 0; i < X86_PINS; i++) {
        if (place->guest[x86_pins[i].host] == 0 && (place->used >> x86_pins[i].guest & 1) == 0)
            return x86_pins[i].host;
    }
    return NO_REG;
}

void x86_place_slides(struct lowering *l)
{
    struct placement *place = &l->place;
    for (;;) {
        unsigned best = l->slides, pin = unused_pin(place);
        for (unsigned i = 0; i < l->slides; i++) {
            if (place->slide[2 * i] == NO_REG &&
                (best == l->slides || l->slide_weight[i] > l->slide_weight[best]))
                best = i;
        }
        if (best == l->slides || pin == NO_REG)
            return;
        const unsigned word = 2 * best + (place->slide[2 * best + 1] == NO_REG); /* addends first */
        for (unsigned i = 0; i < X86_PINS; i++) {
            if (x86_pins[i].host == pin)
                place->host[x86_pins[i].guest] = NO_REG;
        }
        place->guest[pin] = (uint8_t)(PLACE_SLIDE + word);
        place->slide[word] = (uint8_t)pin;
        place->moved = true;
    }
}

static struct x86_mem home_x(unsigned guest)
{
    return mem_at(R_VCPU, VCPU_X(guest));
}

#define MOVSD_LOAD  X86_PREFIX(0xf2, 0x0f10)
#define MOVSD_STORE X86_PREFIX(0xf2, 0x0f11)

void x86_emit_fill(struct x86_code *c, const struct placement *place, bool entry)
{
    for (unsigned i = 0; i < X86_PINS && entry; i++) {
        if (place->guest[x86_pins[i].host] != 0)
            x_store(c, home_x(x86_pins[i].guest), x86_pins[i].host);
    }
    for (unsigned i = 0; i < X86_PINS; i++) {
        const unsigned host = x86_pins[i].host, guest = place->guest[host];
        if (guest >= PLACE_SLIDE && !entry) /* in a subroutine: behind its return address */
            x_load(c, host, x86_slide_word(guest - PLACE_SLIDE));
        else if (guest != 0 && guest < PLACE_SLIDE)
            x_load(c, host, home_x(guest));
    }
    for (unsigned i = 0; i < 32; i++) {
        if (place->xmm[i] != NO_REG)
            x_mem(c, false, MOVSD_LOAD, place->xmm[i], mem_at(R_VCPU, VCPU_F(i)));
    }
}

void x86_emit_spill(struct x86_code *c, const struct placement *place)
{
    for (unsigned i = 0; i < X86_PINS; i++) {
        unsigned guest = place->guest[x86_pins[i].host];
        if (guest != 0 && guest < PLACE_SLIDE && (place->written >> guest & 1))
            x_store(c, home_x(guest), x86_pins[i].host);
    }
    for (unsigned i = 0; i < X86_PINS; i++) {
        if (place->guest[x86_pins[i].host] != 0)
            x_load(c, x86_pins[i].host, home_x(x86_pins[i].guest));
    }
    for (unsigned i = 0; i < 32; i++) {
        if (place->xmm[i] != NO_REG && (place->fp_written >> i & 1))
            x_mem(c, false, MOVSD_STORE, place->xmm[i], mem_at(R_VCPU, VCPU_F(i)));
    }
}
