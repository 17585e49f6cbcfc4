/* Loads, stores and atomics: the TLB in line, and what is done where it does not answer. */
#include "engine/jit/x86/lower.h"
#include "riscv/csr.h"

/* A window is closed for so many accesses, at first and when of so many misses each came within 4
 * accesses after the one before. */
#define WINDOW_CLOSED 1024
#define WINDOW_MISSES 32
#define WINDOW_PACE   3 /* WINDOW_CLOSED >> this is 4 * WINDOW_MISSES */

/* What a window of the frame lets its base grow by that is in a register; more is as if it were
 * elsewhere. */
#define STRIDE_MOST (int32_t) MEM_PAGE_SIZE

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
        for (unsigned slot = 0; g->kind == GROUP_PLAIN && g->count > 1 && slot < X86_GROUP_SLOTS;
             slot++) {
            if (busy[slot] <= g->first) {
                busy[slot] = (uint16_t)(g->last + 1);
                g->slot = (uint8_t)slot;
                break;
            }
        }
    }
}

static bool is_stack(const struct lowering *l, ir_reg base)
{
    return !l->block->region && base == IR_X(2);
}

/* How the address of a group moves in its region, as far as it can be told. */
struct motion {
    bool up, down; /* a constant is added, or subtracted */
    bool loaded;   /* it comes from memory right before: likely to be anywhere */
    bool reset;    /* another change, in the innermost loop */
};

/* The operations of the innermost loop around one of them, as written: from its label to its jump;
 * all if there is none. */
static void innermost(const struct lowering *l, unsigned at, unsigned *first, unsigned *last)
{
    const struct ir *code = l->block->code;
    *first = 0;
    *last = l->block->count - 1u;
    for (unsigned jump = at; jump <= *last; jump++) {
        if ((code[jump].op != IR_BRANCH && code[jump].op != IR_JUMP) || code[jump].c != IR_INSIDE)
            continue;
        for (unsigned label = at; label > *first; label--) {
            if (code[label].op == IR_LABEL && code[label].imm == code[jump].imm) {
                *first = label;
                *last = jump;
            }
        }
    }
}

static struct motion motion_of(const struct lowering *l, unsigned access)
{
    const ir_reg base = l->block->code[access].a;
    struct motion m = {0};
    unsigned first, last;
    innermost(l, access, &first, &last);
    /* From behind the access around to it: what is seen last is nearest. One that loads its own
     * base counts for itself: such are indices into tables. */
    for (unsigned n = 1; n <= l->block->count; n++) {
        const unsigned i = (access + n) % l->block->count;
        const struct ir *ir = &l->block->code[i];
        if (ir->dst != base)
            continue;
        m.loaded = ir->op == IR_LOAD;
        if (ir->op == IR_ADD && ir->a == base && ir->b == IR_NONE) {
            m.up = m.up || ir->imm > 0;
            m.down = m.down || ir->imm < 0;
        } else if (x86_stride(ir) != IR_NONE) {
            m.up = true;
        } else if (i >= first && i <= last) {
            m.reset = true;
        }
    }
    return m;
}

/*
 * Outside regions what goes by sp shares one window of the context. In a region each group has a
 * window for itself, as long as there are any: of the frame if its base moves in one direction, so
 * that one bound tells whether it has left the page; else of the context.
 */
static void assign_windows(struct lowering *l, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct group *g = &l->groups[i];
        const ir_reg base = l->block->code[g->first].a;
        g->kind = is_stack(l, base) ? GROUP_STACK : GROUP_PLAIN;
        if (!l->block->region)
            continue;
        struct motion m = motion_of(l, g->first);
        if (!(m.up && m.down) && !m.reset && l->slides < X86_SLIDES) {
            g->kind = m.down ? GROUP_DOWN : GROUP_UP;
            g->window = (uint16_t)l->slides;
            l->slide_base[l->slides] = base;
            l->slide_weight[l->slides] = l->weights[g->first];
            l->slide_down[l->slides++] = m.down;
        } else if (!m.loaded && l->windows < JIT_WINDOWS) {
            g->kind = GROUP_WINDOW;
            g->window = (uint16_t)l->windows++;
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
        if (ir->op == IR_EXECUTE || ir->op == IR_LABEL)
            memset(open, NO_GROUP, sizeof open); /* another context, perhaps; or another way here */
        if (is_access(ir) && ir->a != IR_X(0) && ir->a < 32) {
            int32_t low = (int32_t)ir->imm, high = low + width_of(ir);
            struct group *g = open[ir->a] != NO_GROUP ? &l->groups[open[ir->a]] : NULL;
            const bool stack = is_stack(l, ir->a); /* looked for as what is written */
            const int32_t most = stack ? JIT_STACK_SPAN : GROUP_SPAN;
            bool writes = ir->op == IR_STORE || stack;
            if (g != NULL) {
                low = g->low < low ? g->low : low;
                high = g->high > high ? g->high : high;
            }
            if (g == NULL || high - low > most || (writes && !g->writes)) {
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
    assign_windows(l, count);
    assign_slots(l, count);
}

const struct group *x86_group_of(const struct lowering *l, const struct ir *ir)
{
    const unsigned i = (unsigned)(ir - l->block->code);
    return is_access(ir) && l->group_of[i] != NO_GROUP ? &l->groups[l->group_of[i]] : NULL;
}

static struct x86_mem slot_at(unsigned slot)
{
    return x86_frame(FRAME_GROUPS + 8 * (int32_t)slot);
}

/* ---- addresses ---- */

void x86_tlb_index(struct x86_code *c, unsigned va)
{
    if (va != RDX)
        x_mov32(c, RDX, va);
    x_shift(c, false, SHIFT_SHR, RDX, MEM_PAGE_SHIFT - JIT_TLB_SHIFT);
    x_alu_const(c, false, ALU_AND, RDX, (JIT_TLB_SIZE - 1) << JIT_TLB_SHIFT);
}

/* rdx: the addend, rcx: the address of the page that has the bytes from base + low to before base +
 * high, or a jump to the rare path. */
static x86_hole find_page(struct x86_code *c, unsigned base, int32_t low, int32_t high,
                          int32_t tags)
{
    if (low == 0 && x86_features.bmi2) {
        x_rorx32(c, RDX, base, MEM_PAGE_SHIFT - JIT_TLB_SHIFT);
        x_alu_const(c, false, ALU_AND, RDX, (JIT_TLB_SIZE - 1) << JIT_TLB_SHIFT);
    } else {
        x_lea32(c, RDX, mem_at(base, low));
        x86_tlb_index(c, RDX);
    }
    if (high == 1)
        x_mov(c, RCX, base);
    else
        x_lea(c, RCX, mem_at(base, high - 1));
    x_alu_const(c, true, ALU_AND, RCX, -(int32_t)MEM_PAGE_SIZE);
    x_alu_mem(c, true, ALU_CMP, RCX, mem_indexed(R_CONTEXT, RDX, 0, tags));
    x86_hole miss = x_jcc(c, CC_NE);
    x_load(c, RDX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(tlb[0].addend)));
    return miss;
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

x86_hole x86_host_address(struct x86_code *c, unsigned width, int32_t tags)
{
    x86_hole miss = find_page(c, RAX, 0, (int32_t)width, tags);
    x_alu(c, true, ALU_ADD, RAX, RDX);
    return miss;
}

/* rax: the guest's address of the group's first byte. */
static void group_address(struct lowering *l, const struct ir *ir, const struct group *g)
{
    unsigned base = x86_use(l, ir->a, RAX);
    if (g->low != 0)
        x_lea(&l->c, RAX, mem_at(base, g->low));
    else
        x_mov(&l->c, RAX, base);
}

/* A field of the group's window. */
static struct x86_mem window_at(const struct group *g, size_t field)
{
    return mem_at(R_CONTEXT, CONTEXT_WINDOW(g->window) + (int32_t)field);
}

/* To a word of the frame's windows, and to its register. */
static void put_word(struct lowering *l, unsigned word, unsigned from)
{
    x_store(&l->c, x86_slide_word(word), from);
    if (l->place.slide[word] != NO_REG)
        x_mov(&l->c, l->place.slide[word], from);
}

/*
 * Nothing is good. Bounds are compared with signs: a base that nobody looks at for long may wrap
 * around at 0, where pages are, but not at the middle of all addresses, from which it is farther
 * than it comes in steps of a page. Clobbers rax.
 */
static void close_slides(struct lowering *l, ir_reg base)
{
    struct x86_code *c = &l->c;
    for (int down = 0; down < 2; down++) {
        bool loaded = false;
        for (unsigned i = 0; i < l->slides; i++) {
            if (l->slide_down[i] != (down != 0) || (base != IR_NONE && l->slide_base[i] != base))
                continue;
            if (!loaded)
                x_const(c, RAX, down ? INT64_MAX : INT64_MIN);
            loaded = true;
            put_word(l, 2 * i, RAX);
        }
    }
}

void x86_slides_begin(struct lowering *l)
{
    close_slides(l, IR_NONE);
}

ir_reg x86_stride(const struct ir *ir)
{
    if (ir->op != IR_ADD || ir->b == IR_NONE || (ir->a != ir->dst && ir->b != ir->dst))
        return IR_NONE;
    const ir_reg stride = ir->a == ir->dst ? ir->b : ir->a;
    return stride != ir->dst && stride != IR_X(0) && stride < 32 ? stride : IR_NONE;
}

static bool has_slide(const struct lowering *l, ir_reg base)
{
    for (unsigned i = 0; i < l->slides; i++)
        if (l->slide_base[i] == base)
            return true;
    return false;
}

void x86_slides_follow(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    if (ir->dst == IR_X(0) || ir->dst >= 32 ||
        (ir->op == IR_ADD && ir->a == ir->dst && ir->b == IR_NONE))
        return;
    const ir_reg stride = x86_stride(ir);
    if (stride == IR_NONE) {
        close_slides(l, ir->dst);
    } else if (has_slide(l, ir->dst)) {
        x_lea(c, RAX, mem_at(x86_use(l, stride, RAX), -1));
        x_alu_const(c, true, ALU_CMP, RAX, STRIDE_MOST);
        x86_later(l, LATE_CLOSE, x_jcc(c, CC_AE), ir);
    }
}

void x86_late_close(struct lowering *l, const struct late *late)
{
    close_slides(l, late->ir->dst);
    x_jmp_to(&l->c, late->back);
}

/* rdx: the addend of the group, as those further members see it. */
static void load_addend(struct lowering *l, const struct group *g)
{
    struct x86_mem at;
    switch ((enum group_kind)g->kind) {
    case GROUP_PLAIN: at = slot_at(g->slot); break;
    case GROUP_STACK: at = mem_at(R_CONTEXT, CONTEXT(stack.addend)); break;
    case GROUP_WINDOW: at = window_at(g, offsetof(struct jit_window, addend)); break;
    default: at = x86_slide_word(2 * g->window + 1); break;
    }
    x_load(&l->c, RDX, at);
}

/* The same, if it is not there. */
static void want_addend(struct lowering *l, const struct group *g)
{
    const struct group *now = l->in_rdx;
    const bool stack = now != NULL && now->kind == GROUP_STACK && g->kind == GROUP_STACK;
    if (now != g && !stack)
        load_addend(l, g);
    l->in_rdx = g;
}

/* The group's bytes are within the page that its window shows, or it is moved on the rare path.
 * Further members of the group know it from the first. */
static struct x86_mem find_by_window(struct lowering *l, const struct ir *ir, const struct group *g,
                                     x86_hole *miss)
{
    struct x86_code *c = &l->c;
    const bool first = &l->block->code[g->first] == ir;
    unsigned base;

    x86_joins(l);
    l->again = c->at;
    if (g->kind == GROUP_STACK) {
        base = x86_use(l, ir->a, RAX);
        if (first) {
            x_lea(c, RAX, mem_at(base, g->high - 1));
            x_alu_mem(c, true, ALU_SUB, RAX, mem_at(R_CONTEXT, CONTEXT(stack.base)));
            x_alu_mem(c, true, ALU_CMP, RAX, mem_at(R_CONTEXT, CONTEXT(stack.room)));
            *miss = x_jcc(c, CC_AE);
            x86_joins(l);
            l->again = c->at;
        }
        if (first)
            l->in_rdx = NULL;
        want_addend(l, g);
    } else if (g->kind == GROUP_WINDOW) {
        if (first) {
            group_address(l, ir, g);
            x_alu_mem(c, true, ALU_SUB, RAX, window_at(g, offsetof(struct jit_window, page)));
            x_alu_mem(c, true, ALU_CMP, RAX, window_at(g, offsetof(struct jit_window, room)));
            *miss = x_jcc(c, CC_AE);
        }
        if (first)
            l->in_rdx = NULL;
        want_addend(l, g);
        x86_joins(l);
        l->again = c->at;
        base = x86_use(l, ir->a, RAX);
    } else {
        const unsigned bound = l->place.slide[2 * g->window];
        const unsigned addend = l->place.slide[2 * g->window + 1];
        base = x86_use(l, ir->a, RAX);
        if (first) {
            if (bound != NO_REG)
                x_alu(c, true, ALU_CMP, base, bound);
            else
                x_alu_mem(c, true, ALU_CMP, base, x86_slide_word(2 * g->window));
            *miss = x_jcc(c, g->kind == GROUP_UP ? CC_GE : CC_LE);
        }
        if (addend != NO_REG)
            return mem_indexed(addend, base, 0, (int32_t)ir->imm);
        if (first)
            l->in_rdx = NULL;
        want_addend(l, g);
    }
    return mem_indexed(RDX, base, 0, (int32_t)ir->imm);
}

/* rdx: the addend of the page in rcx, which has all bytes from rax on. */
static void show_window(struct lowering *l, const struct group *g)
{
    struct x86_code *c = &l->c;
    if (g->kind == GROUP_WINDOW) {
        x_store(c, window_at(g, offsetof(struct jit_window, page)), RCX);
        x_store(c, window_at(g, offsetof(struct jit_window, addend)), RDX);
        x_store_const(c, window_at(g, offsetof(struct jit_window, room)),
                      (int32_t)MEM_PAGE_SIZE + 1 - (g->high - g->low));
        /* or byte [windows_used + window / 8], 1 << window % 8 */
        x_mem8(c, 0x80, ALU_OR, mem_at(R_CONTEXT, CONTEXT(windows_used) + g->window / 8));
        put8(c, 1u << g->window % 8);
        return;
    }
    put_word(l, 2 * g->window + 1, RDX);
    x_lea(c, RCX,
          mem_at(RCX, g->kind == GROUP_UP ? (int32_t)MEM_PAGE_SIZE - g->high + 1 : -g->low - 1));
    put_word(l, 2 * g->window, RCX);
}

/*
 * rdx: the addend of the page of this access. Goes on here if the window is to be moved to it. One
 * that is missed too often is closed instead: what is in either of two pages by chance is guessed
 * wrong every second time. While it is closed, the rare path is taken each time, which is guessed
 * right; and it is seen how many instructions are from one access to the next.
 */
static void close_window(struct lowering *l, const struct late *late, const struct group *g)
{
    struct x86_code *c = &l->c;
    const struct x86_mem room = window_at(g, offsetof(struct jit_window, room));
    const struct x86_mem since = window_at(g, offsetof(struct jit_window, since));
    const struct x86_mem count = window_at(g, offsetof(struct jit_window, count));
    const struct x86_mem pace = window_at(g, offsetof(struct jit_window, pace));

    x_mov(c, RAX, R_INSTRET);
    x_alu_mem(c, true, ALU_SUB, RAX, since);
    x_alu_mem_const(c, true, ALU_ADD, count, 1);
    x86_hole open = x_jcc(c, CC_E); /* it was all ones: emptied */
    x_alu_mem_const(c, true, ALU_CMP, room, 0);
    x86_hole shows = x_jcc(c, CC_NE);
    x_alu_mem_const(c, true, ALU_CMP, count, WINDOW_CLOSED);
    x86_hole rested = x_jcc(c, CC_AE);
    const uint8_t *closed = c->at;
    if (g->count > 1)
        x_store(c, window_at(g, offsetof(struct jit_window, addend)), RDX);
    x_jmp_to(c, late->again);

    x_here(c, shows);
    x_alu_mem_const(c, true, ALU_CMP, count, WINDOW_MISSES);
    x86_hole few = x_jcc(c, CC_B);
    x_store(c, since, R_INSTRET);
    x_store_const(c, count, 0);
    x_alu_mem(c, true, ALU_CMP, RAX, pace);
    x86_hole seldom = x_jcc(c, CC_AE);
    x_store_const(c, room, 0);
    x_jmp_to(c, closed);

    x_here(c, rested);
    x_shift(c, true, SHIFT_SHR, RAX, WINDOW_PACE);
    x_store(c, pace, RAX);
    x_here(c, open);
    x_store(c, since, R_INSTRET);
    x_store_const(c, count, 0);
    x_here(c, few);
    x_here(c, seldom);
}

/* Moves the window if the TLB has the page and all of the group's bytes are in it, and tries again;
 * goes on here if not. */
static void move_window(struct lowering *l, const struct late *late, const struct group *g)
{
    struct x86_code *c = &l->c;
    const struct ir *ir = late->ir;

    if (g->kind != GROUP_WINDOW && l->slides_kick) {
        x_alu_mem_const(c, false, ALU_CMP, mem_at(R_VCPU, VCPU(vcpu.kick)), 0);
        x86_hole calm = x_jcc(c, CC_E);
        x86_leave_at(l, l->block->pc + ir->at, ir->done, JIT_KICK);
        x_here(c, calm);
    }
    group_address(l, ir, g);
    x86_hole none = find_page(c, RAX, 0, g->high - g->low,
                              ir->op == IR_STORE ? CONTEXT(tlb[0].write) : CONTEXT(tlb[0].read));
    if (g->kind == GROUP_WINDOW)
        close_window(l, late, g);
    show_window(l, g);
    if (late->in_rdx != NULL && late->in_rdx != g)
        load_addend(l, late->in_rdx);
    x_jmp_to(c, late->again);
    x_here(c, none);
}

/* Where the operation's bytes are, in registers or memory of the host; *miss: jumps to the rare
 * path. rax, rdx, rcx are clobbered. */
static struct x86_mem find(struct lowering *l, const struct ir *ir, x86_hole *miss, uint8_t *clear)
{
    struct x86_code *c = &l->c;
    unsigned i = (unsigned)(ir - l->block->code);
    const struct group *g = x86_group_of(l, ir);
    int32_t tags = ir->op == IR_STORE ? CONTEXT(tlb[0].write) : CONTEXT(tlb[0].read);

    *clear = NO_GROUP;
    if (g != NULL && g->kind != GROUP_PLAIN) {
        *miss = NULL;
        return find_by_window(l, ir, g, miss);
    }
    if (g == NULL || g->slot == NO_GROUP) {
        l->in_rdx = NULL;
        const unsigned a = x86_use(l, ir->a, RAX);
        const int32_t imm = (int32_t)ir->imm;
        *miss = find_page(c, a, imm, imm + width_of(ir), tags);
        return mem_indexed(RDX, a, 0, imm);
    }
    if (g->first != i) {
        *miss = NULL;
        want_addend(l, g);
        if (l->block->region) {
            l->in_rdx = NULL; /* the rare path leaves it elsewhere */
            x_test(c, true, RDX, RDX);
            *miss = x_jcc(c, CC_E);
        }
        return mem_indexed(RDX, x86_use(l, ir->a, RAX), 0, (int32_t)ir->imm);
    }
    unsigned base = x86_use(l, ir->a, RAX);
    *miss = find_page(c, base, g->low, g->high, tags);
    *clear = g->slot;
    x_store(c, slot_at(g->slot), RDX);
    l->in_rdx = l->block->region ? NULL : g;
    return mem_indexed(RDX, base, 0, (int32_t)ir->imm);
}

static void later(struct lowering *l, enum late_kind kind, x86_hole miss, const struct ir *ir,
                  unsigned host, uint8_t clear)
{
    if (miss == NULL)
        return; /* it was found before */
    x86_later(l, kind, miss, ir);
    if (l->late_count > 0) {
        struct late *late = &l->late[l->late_count - 1];
        late->again = l->again;
        late->host = (uint8_t)host;
        late->width = ir->sub & IR_WIDTH;
        late->clear = clear;
        late->in_rdx = l->in_rdx;
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
    unsigned width = ir->sub & IR_WIDTH, to = x86_target(l, ir->dst, RAX);
    static const uint32_t zero[] = {0x0fb6, 0x0fb7, 0x8b, 0x8b},
                          sign[] = {0x0fbe, 0x0fbf, 0x63, 0x8b};
    bool is_signed = (ir->sub & IR_SIGNED) != 0;
    x86_hole miss;
    uint8_t clear;

    struct x86_mem at = find(l, ir, &miss, &clear);
    const unsigned xmm = x86_xmm(l, ir->dst);
    if (xmm != NO_REG) {
        if (width == IR_W8) { /* movsd */
            x_mem(c, false, X86_PREFIX(0xf2, 0x0f10), xmm, at);
        } else { /* boxed: pcmpeqd; movss xmm0; movss */
            x_mem(c, false, X86_PREFIX(0xf3, 0x0f10), 0, at);
            x_reg(c, false, X86_PREFIX(0x66, 0x0f76), xmm, xmm);
            x_reg(c, false, X86_PREFIX(0xf3, 0x0f10), xmm, 0);
        }
        later(l, LATE_LOAD, miss, ir, RAX, clear);
        return;
    }
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
    if (x86_xmm(l, ir->b) != NO_REG) { /* movsd, movss */
        const unsigned prefix = (ir->sub & IR_WIDTH) == IR_W8 ? 0xf2 : 0xf3;
        x_mem(c, false, X86_PREFIX(prefix, 0x0f11), x86_xmm(l, ir->b), at);
        later(l, LATE_STORE, miss, ir, NO_REG, clear);
        return;
    }
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

/* ---- cache blocks ---- */

x86_hole x86_lower_zero(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;

    /* Allowed by menvcfg, in a guest by henvcfg and in U-mode by senvcfg too; M-mode, which needs
     * none, is rare. */
    x_mem(c, false, 0x8b, RAX, mem_at(R_VCPU, VCPU(menvcfg)));
    x_mem(c, false, 0x80, ALU_CMP, mem_at(R_VCPU, VCPU(virt)));
    put8(c, 0);
    x86_hole host = x_jcc(c, CC_E);
    x_alu_mem(c, false, ALU_AND, RAX, mem_at(R_VCPU, VCPU(henvcfg)));
    x_here(c, host);
    x_mem(c, false, 0x80, ALU_CMP, mem_at(R_VCPU, VCPU(priv)));
    put8(c, PRIV_U);
    x86_hole supervisor = x_jcc(c, CC_NE);
    x_alu_mem(c, false, ALU_AND, RAX, mem_at(R_VCPU, VCPU(senvcfg)));
    x_here(c, supervisor);
    put8(c, 0xa8); /* test al */
    put8(c, ENVCFG_CBZE);
    x86_hole refused = x_jcc(c, CC_E);

    x86_get(l, RAX, ir->a);
    x_alu_const(c, true, ALU_AND, RAX, -64);
    x86_hole miss = x86_host_address(c, 1, CONTEXT(tlb[0].write));
    x_reg(c, false, X86_PREFIX(0x66, 0x0fef), 0, 0); /* pxor */
    for (int32_t at = 0; at < 64; at += 16)
        x_mem(c, false, 0x0f29, 0, mem_at(RAX, at)); /* movaps */
    x86_hole done = x_jmp(c);
    x_here(c, refused);
    x_here(c, miss);
    return done;
}

/* ---- atomics ---- */

static void call_atomic(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x86_say_where(l, ir);
    x_store32(c, x86_frame(FRAME_WHERE), RCX);
    x86_get(l, RAX, ir->a);
    if (ir->op != IR_LR)
        x86_get(l, RDX, ir->b);
    x_const(c, RCX, x86_atomic_code(ir->op, ir->sub, ir->imm));
    x86_spill(l);
    x_call_to(c, x86_stub(l, x86_stubs.atomic));
    x86_fill(l);
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
        else if (x86_target(l, ir->b, NO_REG) != NO_REG)
            x_alu(c, wide, alu[ir->imm], RDX, x86_target(l, ir->b, NO_REG));
        else
            x_alu_mem(c, wide, alu[ir->imm], RDX, x86_home(ir->b));
        x_cmpxchg(c, wide, mem_at(RCX, 0), RDX);
        x_jcc_to(c, CC_NE, again);
        break;
    }
    }
}

/* rax: the host's address. rax becomes 0, or 1 if there is no reservation of it, or it is lost. */
static void lower_sc(struct lowering *l, const struct ir *ir, bool wide)
{
    struct x86_code *c = &l->c;
    x_mov(c, RCX, RAX);
    x_alu_mem(c, true, ALU_CMP, RAX, mem_at(R_VCPU, VCPU(reserved_at)));
    x86_hole elsewhere = x_jcc(c, CC_NE);
    x_alu_mem_const(c, false, ALU_CMP, mem_at(R_VCPU, VCPU(reserved_width)), wide ? 8 : 4);
    x86_hole other = x_jcc(c, CC_NE);
    x_load(c, RAX, mem_at(R_VCPU, VCPU(reserved_value)));
    x86_get(l, RDX, ir->b);
    x_cmpxchg(c, wide, mem_at(RCX, 0), RDX);
    x_here(c, elsewhere); /* all with the flags of what was compared */
    x_here(c, other);
    x_setcc(c, CC_NE, RAX);
    x_extend8(c, RAX, RAX, false);
    x_store_const(c, mem_at(R_VCPU, VCPU(reserved_at)), 0);
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
    rare[count++] =
        x86_host_address(c, 1, ir->op == IR_LR ? CONTEXT(tlb[0].read) : CONTEXT(tlb[0].write));
    if (ir->op == IR_LR) {
        x_store(c, mem_at(R_VCPU, VCPU(reserved_at)), RAX);
        x_mem(c, wide, 0x8b, RAX, mem_at(RAX, 0));
        x_store(c, mem_at(R_VCPU, VCPU(reserved_value)), RAX);
        x_store_const32(c, mem_at(R_VCPU, VCPU(reserved_width)), wide ? 8 : 4);
    } else if (ir->op == IR_SC) {
        lower_sc(l, ir, wide);
    } else {
        modify(l, ir, wide);
    }
    if (!wide && ir->op != IR_SC)
        x_movsxd(c, RAX, RAX);
    for (unsigned i = 0; i < count; i++)
        later(l, LATE_ATOMIC, rare[i], ir, RAX, NO_GROUP);
    x86_put(l, ir->dst, RAX);
}

/* rax: what a slow load gave. */
static void finish_load(struct lowering *l, const struct ir *ir, unsigned to)
{
    extend_load(l, ir, to, RAX);
    box(l, ir, to);
    x86_put(l, ir->dst, to);
}

/* ZF: rdx, and what further members look at, is the addend for the group. Clobbers rax, rcx. */
static void find_group(struct lowering *l, const struct ir *ir, const struct group *g)
{
    const uint8_t *stub = g->kind == GROUP_STACK ? x86_stubs.stack : x86_stubs.group[g->writes];
    group_address(l, ir, g);
    x_const(&l->c, RCX, g->high - g->low - 1);
    x_call_to(&l->c, x86_stub(l, stub));
    if (g->kind == GROUP_PLAIN)
        x_store(&l->c, slot_at(g->slot), RDX);
}

/* Further members rely on what the first has found: if that is nothing, they are executed by other
 * blocks. In a region they look for themselves, if it has no window. */
static bool is_relied_upon(const struct lowering *l, const struct group *g)
{
    if (g == NULL || g->count == 1)
        return false;
    return g->kind != GROUP_PLAIN || (!l->block->region && g->slot != NO_GROUP);
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
    const struct group *g = x86_group_of(l, ir);
    const bool leaves = is_relied_upon(l, g);
    if (g != NULL && g->kind == GROUP_STACK) {
        find_group(l, ir, g);
        x_jcc_to(c, CC_E, late->again);
        guest_address(l, ir);
    } else if (g != NULL && g->kind != GROUP_PLAIN) {
        move_window(l, late, g);
        guest_address(l, ir);
    } else {
        if (late->clear != NO_GROUP && !leaves)
            x_store_const(c, slot_at(late->clear), 0);
        guest_address(l, ir);
    }
    if (late->kind == LATE_LOAD) {
        x86_say_where(l, ir);
        x86_spill(l);
        x_call_to(c, x86_stub(l, x86_stubs.load[late->width]));
    } else {
        x86_get(l, RDX, ir->b);
        x86_say_where(l, ir);
        x86_spill(l);
        x_call_to(c, x86_stub(l, x86_stubs.store[late->width]));
    }
    if (leaves) {
        struct placement region = l->place;
        x86_place_pinned(&l->place);
        if (late->kind == LATE_LOAD)
            finish_load(l, ir, x86_target(l, ir->dst, RAX));
        if (!l->block->region) { /* the TLB may have the page by now */
            find_group(l, ir, g);
            if (late->kind == LATE_LOAD && late->host == RAX && ir->dst != IR_X(0))
                x86_get(l, RAX, ir->dst);
            x86_hole elsewhere = x_jcc(c, CC_NE);
            l->place = region;
            x86_fill(l);
            x86_place_pinned(&l->place);
            x_jmp_to(c, late->back);
            x_here(c, elsewhere);
        }
        x86_go_on_at(l, l->block->pc + ir->at + ir->length, ir->done + 1u);
        l->place = region;
        return;
    }
    x86_fill(l);
    if (late->kind == LATE_LOAD && x86_xmm(l, ir->dst) != NO_REG)
        finish_load(l, ir, RAX);
    else if (late->kind == LATE_LOAD)
        extend_load(l, ir, late->host, RAX);
    if (late->in_rdx != NULL && late->in_rdx != g)
        load_addend(l, late->in_rdx);
    x_jmp_to(c, late->back);
}
