/* Loads, stores and atomics: the TLB in line, and what is done where it does not answer. */
#include "engine/jit/x86/lower.h"

/* ---- groups ---- */

static bool is_access(const struct ir *ir)
{
    return ir->op == IR_LOAD || ir->op == IR_STORE;
}

static int32_t width_of(const struct ir *ir)
{
    return 1 << (ir->sub & IR_WIDTH);
}

/* Slots go to the groups that have more than one member, while they live. */
static void assign_slots(struct lowering *l, unsigned count)
{
    uint16_t busy[X86_GROUP_SLOTS] = {0}; /* past the last operation that uses the slot */
    for (unsigned i = 0; i < count; i++) {
        struct group *g = &l->groups[i];
        g->slot = NO_GROUP;
        for (unsigned slot = 0; g->count > 1 && slot < X86_GROUP_SLOTS; slot++) {
            if (busy[slot] <= g->first) {
                busy[slot] = (uint16_t)(g->last + 1);
                g->slot = (uint8_t)slot;
                break;
            }
        }
    }
}

void x86_find_groups(struct lowering *l)
{
    uint8_t open[32]; /* by base register */
    unsigned count = 0;

    memset(open, NO_GROUP, sizeof open);
    for (unsigned i = 0; i < l->block->count; i++) {
        const struct ir *ir = &l->block->code[i];
        if (ir->op == IR_EXECUTE)
            memset(open, NO_GROUP, sizeof open); /* another context, perhaps */
        if (is_access(ir) && ir->a != IR_X(0) && ir->a < 32) {
            int32_t low = (int32_t)ir->imm, high = low + width_of(ir);
            struct group *g = open[ir->a] != NO_GROUP ? &l->groups[open[ir->a]] : NULL;
            bool writes = ir->op == IR_STORE;
            if (g != NULL) {
                low = g->low < low ? g->low : low;
                high = g->high > high ? g->high : high;
            }
            if (g == NULL || high - low > GROUP_SPAN || (writes && !g->writes)) {
                if (count == GROUPS_MAX) {
                    l->group_of[i] = NO_GROUP;
                    continue;
                }
                g = &l->groups[count];
                low = (int32_t)ir->imm;
                high = low + width_of(ir);
                *g = (struct group){.first = (uint16_t)i, .writes = writes};
                open[ir->a] = (uint8_t)count++;
            }
            g->low = low;
            g->high = high;
            g->last = (uint16_t)i;
            g->count++;
            l->group_of[i] = open[ir->a];
        } else if (is_access(ir)) {
            l->group_of[i] = NO_GROUP;
        }
        if (ir->dst < 32)
            open[ir->dst] = NO_GROUP;
    }
    assign_slots(l, count);
}

static struct x86_mem slot_at(unsigned slot)
{
    return mem_at(RSP, FRAME_GROUPS + 8 * (int32_t)slot);
}

/* ---- addresses ---- */

/* edx: where the page of `va` is in the TLB, in bytes; `va` is rdx or another. */
static void index_of(struct x86_code *c, unsigned va)
{
    if (va != RDX)
        x_mov32(c, RDX, va);
    /* Scaled by 8 already: bits 12 and up of the address, where bits 3 and up are wanted. */
    x_shift(c, false, SHIFT_SHR, RDX, MEM_PAGE_SHIFT - 3);
    x_alu_const(c, false, ALU_AND, RDX, (JIT_TLB_SIZE - 1) << 3);
}

/* rax: the guest's address of [a + imm] */
static void guest_address(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned a = ir->a != IR_X(0) ? x86_use(l, ir->a, RAX) : (unsigned)NO_REG;

    if (a == NO_REG)
        x_const(c, RAX, ir->imm);
    else if (ir->imm != 0)
        x_lea(c, RAX, mem_at(a, (int32_t)ir->imm));
    else
        x_mov(c, RAX, a);
}

/* rax: the host's address of what rax says, or a jump to the rare path; rdx, rcx are clobbered. */
static x86_hole host_address(struct x86_code *c, unsigned width, int32_t tags)
{
    index_of(c, RAX);
    if (width == 1)
        x_mov(c, RCX, RAX);
    else
        x_lea(c, RCX, mem_at(RAX, (int32_t)width - 1));
    x_alu_const(c, true, ALU_AND, RCX, -(int32_t)MEM_PAGE_SIZE);
    x_alu_mem(c, true, ALU_CMP, RCX, mem_indexed(R_CONTEXT, RDX, 0, tags));
    x86_hole miss = x_jcc(c, CC_NE);
    x_alu_mem(c, true, ALU_ADD, RAX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(addend)));
    return miss;
}

/* Where the operation's bytes are, in registers or memory of the host; *miss: jumps to the rare
 * path. rax, rdx, rcx are clobbered. */
static struct x86_mem find(struct lowering *l, const struct ir *ir, x86_hole *miss, uint8_t *clear)
{
    struct x86_code *c = &l->c;
    unsigned i = (unsigned)(ir - l->block->code);
    const struct group *g = l->group_of[i] != NO_GROUP ? &l->groups[l->group_of[i]] : NULL;
    int32_t tags = ir->op == IR_STORE ? CONTEXT(write) : CONTEXT(read);

    *clear = NO_GROUP;
    if (g == NULL || g->slot == NO_GROUP) {
        guest_address(l, ir);
        *miss = host_address(c, (unsigned)width_of(ir), tags);
        return mem_at(RAX, 0);
    }
    if (g->first != i) {
        x_load(c, RAX, slot_at(g->slot));
        x_test(c, true, RAX, RAX);
        *miss = x_jcc(c, CC_E);
        return mem_at(RAX, (int32_t)ir->imm);
    }
    unsigned base = x86_use(l, ir->a, RAX);
    x_lea32(c, RDX, mem_at(base, g->low));
    index_of(c, RDX);
    x_lea(c, RCX, mem_at(base, g->high - 1));
    x_alu_const(c, true, ALU_AND, RCX, -(int32_t)MEM_PAGE_SIZE);
    x_alu_mem(c, true, ALU_CMP, RCX, mem_indexed(R_CONTEXT, RDX, 0, tags));
    *miss = x_jcc(c, CC_NE);
    *clear = g->slot;
    x_load(c, RDX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(addend)));
    x_alu(c, true, ALU_ADD, RDX, base);
    x_store(c, slot_at(g->slot), RDX);
    return mem_at(RDX, (int32_t)ir->imm);
}

static void later(struct lowering *l, enum late_kind kind, x86_hole miss, const struct ir *ir,
                  unsigned host, uint8_t clear)
{
    x86_later(l, kind, miss, ir);
    if (l->late_count > 0) {
        struct late *late = &l->late[l->late_count - 1];
        late->host = (uint8_t)host;
        late->width = ir->sub & IR_WIDTH;
        late->clear = clear;
    }
}

/* ---- loads and stores ---- */

static void extend_load(struct lowering *l, const struct ir *ir, unsigned to, unsigned from)
{
    struct x86_code *c = &l->c;
    bool sign = (ir->sub & IR_SIGNED) != 0;
    switch (ir->sub & IR_WIDTH) {
    case IR_W1: x_extend8(c, to, from, sign); break;
    case IR_W2: x_extend16(c, to, from, sign); break;
    case IR_W4:
        if (sign)
            x_movsxd(c, to, from);
        else
            x_mov32(c, to, from);
        break;
    default: x_mov(c, to, from); break;
    }
}

static void box(struct lowering *l, const struct ir *ir, unsigned value)
{
    struct x86_code *c = &l->c;
    if (ir->dst < 32 || ir->dst >= IR_T(0) || (ir->sub & IR_WIDTH) == IR_W8)
        return;
    x_const(c, RCX, (ir->sub & IR_WIDTH) == IR_W4 ? -(1LL << 32) : -(1LL << 16));
    x_alu(c, true, ALU_OR, value, RCX);
}

void x86_lower_load(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    unsigned width = ir->sub & IR_WIDTH, to = x86_target(ir->dst, RAX);
    static const uint32_t zero[] = {0x0fb6, 0x0fb7, 0x8b, 0x8b},
                          sign[] = {0x0fbe, 0x0fbf, 0x63, 0x8b};
    bool is_signed = (ir->sub & IR_SIGNED) != 0;
    x86_hole miss;
    uint8_t clear;

    struct x86_mem at = find(l, ir, &miss, &clear);
    x_mem(c, is_signed || width == IR_W8, is_signed ? sign[width] : zero[width], to, at);
    later(l, LATE_LOAD, miss, ir, to, clear);
    box(l, ir, to);
    x86_put(l, ir->dst, to);
}

void x86_lower_store(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x86_hole miss;
    uint8_t clear;

    struct x86_mem at = find(l, ir, &miss, &clear);
    unsigned value = x86_use(l, ir->b, RCX);
    switch (ir->sub & IR_WIDTH) {
    case IR_W1: x_mem8(c, 0x88, value, at); break;
    case IR_W2:
        put8(c, 0x66);
        x_mem(c, false, 0x89, value, at);
        break;
    case IR_W4: x_mem(c, false, 0x89, value, at); break;
    default: x_store(c, at, value); break;
    }
    later(l, LATE_STORE, miss, ir, NO_REG, clear);
}

/* ---- atomics ---- */

static void call_atomic(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x86_say_where(l, ir);
    x86_get(l, RAX, ir->a);
    if (ir->op != IR_LR)
        x86_get(l, RDX, ir->b);
    x_const(c, RCX, x86_atomic_code(ir->op, ir->sub, ir->imm));
    x_call_to(c, x86_stub(l, x86_stubs.atomic));
}

/* rax: the host's address. rax becomes the old value, not extended. */
static void modify(struct lowering *l, const struct ir *ir, bool wide)
{
    static const uint8_t alu[] = {
        [IR_AMO_XOR] = ALU_XOR, [IR_AMO_AND] = ALU_AND, [IR_AMO_OR] = ALU_OR};
    struct x86_code *c = &l->c;

    switch ((enum ir_amo)ir->imm) {
    case IR_SWAP:
    case IR_AMO_ADD:
        x86_get(l, RDX, ir->b);
        if (ir->imm == IR_SWAP)
            x_xchg(c, wide, mem_at(RAX, 0), RDX);
        else
            x_xadd(c, wide, mem_at(RAX, 0), RDX);
        x_mov(c, RAX, RDX);
        break;
    default: {
        if (ir->dst == IR_X(0)) {
            unsigned b = x86_use(l, ir->b, RDX);
            x_lock(c);
            x_mem(c, wide, (uint32_t)alu[ir->imm] << 3 | 1, b, mem_at(RAX, 0));
            break;
        }
        x_mov(c, RCX, RAX);
        x_mem(c, wide, 0x8b, RAX, mem_at(RCX, 0));
        const uint8_t *again = c->at;
        x_mov(c, RDX, RAX);
        if (ir->b == IR_X(0))
            x_alu_const(c, wide, alu[ir->imm], RDX, 0);
        else if (x86_target(ir->b, NO_REG) != NO_REG)
            x_alu(c, wide, alu[ir->imm], RDX, x86_target(ir->b, NO_REG));
        else
            x_alu_mem(c, wide, alu[ir->imm], RDX, x86_home(ir->b));
        x_cmpxchg(c, wide, mem_at(RCX, 0), RDX);
        x_jcc_to(c, CC_NE, again);
        break;
    }
    }
}

void x86_lower_atomic(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    bool wide = (ir->sub & IR_WIDTH) == IR_W8;
    x86_hole rare[4];
    unsigned count = 0;

    if (ir->op == IR_AMO && ir->imm > IR_AMO_OR) {
        call_atomic(l, ir);
        x86_put(l, ir->dst, RAX);
        return;
    }
    x86_get(l, RAX, ir->a);
    /* test al, width - 1 */
    put8(c, 0xa8);
    put8(c, wide ? 7 : 3);
    rare[count++] = x_jcc(c, CC_NE);
    rare[count++] = host_address(c, 1, ir->op == IR_LR ? CONTEXT(read) : CONTEXT(write));
    if (ir->op == IR_LR) {
        x_store(c, mem_at(R_VCPU, VCPU(reserved_at)), RAX);
        x_mem(c, wide, 0x8b, RAX, mem_at(RAX, 0));
        x_store(c, mem_at(R_VCPU, VCPU(reserved_value)), RAX);
        x_store_const32(c, mem_at(R_VCPU, VCPU(reserved_width)), wide ? 8 : 4);
    } else if (ir->op == IR_SC) {
        x_alu_mem(c, true, ALU_CMP, RAX, mem_at(R_VCPU, VCPU(reserved_at)));
        rare[count++] = x_jcc(c, CC_NE);
        x_alu_mem_const(c, false, ALU_CMP, mem_at(R_VCPU, VCPU(reserved_width)), wide ? 8 : 4);
        rare[count++] = x_jcc(c, CC_NE);
        x_mov(c, RCX, RAX);
        x_load(c, RAX, mem_at(R_VCPU, VCPU(reserved_value)));
        x_store_const(c, mem_at(R_VCPU, VCPU(reserved_at)), 0);
        x86_get(l, RDX, ir->b);
        x_cmpxchg(c, wide, mem_at(RCX, 0), RDX);
        x_setcc(c, CC_NE, RAX);
        x_extend8(c, RAX, RAX, false);
    } else {
        modify(l, ir, wide);
    }
    if (!wide && ir->op != IR_SC)
        x_movsxd(c, RAX, RAX);
    for (unsigned i = 0; i < count; i++)
        later(l, LATE_ATOMIC, rare[i], ir, RAX, NO_GROUP);
    x86_put(l, ir->dst, RAX);
}

void x86_late_memory(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    const struct ir *ir = late->ir;

    if (late->kind == LATE_ATOMIC) {
        call_atomic(l, ir);
        x_jmp_to(c, late->back);
        return;
    }
    const struct group *g = l->group_of[ir - l->block->code] != NO_GROUP
                                ? &l->groups[l->group_of[ir - l->block->code]]
                                : NULL;
    if (g != NULL && g->slot != NO_GROUP) { /* else rax has the address */
        if (late->clear != NO_GROUP)
            x_store_const(c, slot_at(late->clear), 0);
        guest_address(l, ir);
    }
    if (late->kind == LATE_LOAD) {
        x86_say_where(l, ir);
        x_call_to(c, x86_stub(l, x86_stubs.load[late->width]));
        extend_load(l, ir, late->host, RAX);
    } else {
        x86_get(l, RDX, ir->b);
        x86_say_where(l, ir);
        x_call_to(c, x86_stub(l, x86_stubs.store[late->width]));
    }
    x_jmp_to(c, late->back);
}
