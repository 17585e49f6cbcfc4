/*
 * On from a block: jumps and links, calls and returns, and out to C.
 *
 * A direct jump within the page is linked to its target; one to another page is too, behind a look
 * at where that page is; all else goes by the jump cache.
 */
#include "engine/jit/x86/lower.h"

/* Bytes from the begin of the block's page to `pc`. */
static int64_t from_page(const struct lowering *l, uint64_t pc)
{
    return (int64_t)(pc - (l->block->pc & ~PAGE_OFFSET));
}

static bool in_page(const struct lowering *l, uint64_t pc)
{
    return ((pc ^ l->block->pc) & ~PAGE_OFFSET) == 0;
}

void x86_get_address(struct lowering *l, unsigned to, uint64_t pc)
{
    struct x86_code *c = &l->c;
    const int64_t distance = from_page(l, pc);
    x_load(c, to, x86_frame(FRAME_PAGE));
    if (!fits32(distance)) {
        x_const(c, RCX, distance);
        x_alu(c, true, ALU_ADD, to, RCX);
    } else if (distance != 0) {
        x_alu_const(c, true, ALU_ADD, to, (int32_t)distance);
    }
}

int32_t x86_where_of(const struct lowering *l, uint64_t pc, unsigned done)
{
    return x86_where((uint64_t)from_page(l, pc), (int64_t)done - l->counted);
}

void x86_count_done(struct lowering *l, unsigned done)
{
    if (done != l->counted)
        x_lea(&l->c, R_INSTRET, mem_at(R_INSTRET, (int32_t)(done - l->counted)));
}

void x86_leave_at(struct lowering *l, uint64_t pc, unsigned done, enum jit_leave why)
{
    struct x86_code *c = &l->c;
    x86_spill(l);
    if (in_page(l, pc)) {
        x_const(c, RCX, (uint32_t)x86_where_of(l, pc, done));
        x_const(c, RAX, why);
        x_jmp_to(c, x86_stub(l, x86_stubs.leave_at));
        return;
    }
    x86_count_done(l, done);
    x86_get_address(l, RAX, pc);
    x_store(c, mem_at(R_VCPU, VCPU(pc)), RAX);
    x_const(c, RAX, why);
    x_jmp_to(c, x86_stub(l, x86_stubs.leave));
}

void x86_say_where(struct lowering *l, const struct ir *ir)
{
    x_const(&l->c, RCX, (uint32_t)x86_where_of(l, l->block->pc + ir->at, ir->done));
}

/* ---- going on ---- */

void x86_check_kick(struct lowering *l, const struct ir *ir)
{
    x_alu_mem_const(&l->c, false, ALU_CMP, mem_at(R_VCPU, VCPU(vcpu.kick)), 0);
    x86_later(l, LATE_KICK, x_jcc(&l->c, CC_NE), ir);
}

void x86_find_jump(struct x86_code *c)
{
    x_mov32(c, RDX, RAX);
    x_alu_const(c, false, ALU_AND, RDX, (JIT_JUMP_SIZE - 1) << 1);
    x_shift(c, false, SHIFT_SHL, RDX, 3);
    x_alu_mem(c, true, ALU_CMP, RAX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(jump)));
}

void x86_enter_page(struct x86_code *c)
{
    x_alu_const(c, true, ALU_AND, RAX, -(int32_t)MEM_PAGE_SIZE);
    x_store(c, x86_frame(FRAME_PAGE), RAX);
}

struct x86_mem x86_found_code(void)
{
    return mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(jump) + (int32_t)offsetof(struct jit_jump, code));
}

void x86_go_by_cache(struct x86_code *c, const uint8_t *lookup)
{
    x86_find_jump(c);
    x_jcc_to(c, CC_NE, lookup);
    x86_enter_page(c);
    x_jmp_mem(c, x86_found_code());
}

/*
 * A guest's call is one of the host, so that the host's processor guesses where the guest returns
 * to: what is returned to compares ra with what it was. All that changes where pages are, or the
 * address space, empties the stack (emit_go_elsewhere), and so does each guess that was wrong.
 */
static void push_return(struct lowering *l)
{
    struct x86_code *c = &l->c;
    x_alu_mem(c, true, ALU_CMP, RSP, x86_frame(FRAME_LIMIT));
    x86_later(l, LATE_FULL, x_jcc(c, CC_BE), NULL);
    x_push(c, x86_host[1]);
}

static void go_by_cache(struct lowering *l, bool call)
{
    struct x86_code *c = &l->c;
    const uint8_t *lookup = x86_stub(l, x86_stubs.lookup);
    if (!call) {
        x86_go_by_cache(c, lookup);
        return;
    }
    push_return(l);
    x86_find_jump(c);
    x86_later(l, LATE_CALL, x_jcc(c, CC_NE), NULL);
    const unsigned late = l->late_count - 1; /* or `full` */
    x86_enter_page(c);
    x_call_mem(c, x86_found_code());
    l->late[late].again = c->at;
}

/* What is patched while others may execute it is one aligned word, `bytes` behind this. */
static uint32_t align(struct lowering *l, unsigned bytes)
{
    struct x86_code *c = &l->c;
    while (!c->full && ((uintptr_t)c->at + bytes) % 4 != 0)
        put8(c, 0x90);
    return l->offset + (uint32_t)(c->at + bytes - l->start);
}

/* The jump at `from` can be linked, and goes to code that asks for it until then. */
static void ask_later(struct lowering *l, uint64_t pc, uint32_t site, x86_hole from)
{
    struct jit_emitted *out = l->out;
    out->links[out->link_count].pc = pc;
    out->links[out->link_count].site = site;
    x86_later(l, LATE_ASK, from, NULL);
    if (l->late_count > 0)
        l->late[l->late_count - 1].link = (uint8_t)out->link_count;
    out->link_count++;
}

static void go_by_link(struct lowering *l, uint64_t pc, bool call)
{
    const uint32_t site = align(l, 1);
    ask_later(l, pc, site, call ? x_call(&l->c) : x_jmp(&l->c));
}

bool x86_may_link(const struct lowering *l, const struct ir *ir)
{
    const uint64_t pc = (uint64_t)ir->imm;
    return !l->block->region && !l->place.moved && in_page(l, pc) && !x86_is_backward(l, ir, pc) &&
           l->out->link_count < JIT_LINKS_MAX;
}

void x86_align_branch(struct lowering *l, unsigned length)
{
    align(l, length + 2);
}

void x86_link_branch(struct lowering *l, enum x86_cc cc, uint64_t pc)
{
    x86_hole from = x_jcc(&l->c, cc);
    l->out->links[l->out->link_count].guard = 0;
    ask_later(l, pc, l->offset + (uint32_t)(from - l->start), from);
}

/* To `pc` in this page. */
static void go_near(struct lowering *l, uint64_t pc, bool call)
{
    if (l->out->link_count == JIT_LINKS_MAX) {
        x86_get_address(l, RAX, pc);
        go_by_cache(l, call);
        return;
    }
    if (call)
        push_return(l);
    l->out->links[l->out->link_count].guard = 0;
    go_by_link(l, pc, call);
}

/* Where the pages of code are is looked up in struct jit_context; rax: that of a page. */
void x86_find_fetch(struct x86_code *c)
{
    x_mov32(c, RDX, RAX);
    x_shift(c, false, SHIFT_SHR, RDX, MEM_PAGE_SHIFT - JIT_FETCH_SHIFT);
    x_alu_const(c, false, ALU_AND, RDX, (JIT_FETCH_SIZE - 1) << JIT_FETCH_SHIFT);
    x_alu_mem(c, true, ALU_CMP, RAX, mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(fetch[0].page)));
}

/*
 * To `pc` in another page, which is rax: a link behind a guard, because that page may be another
 * one in another address space, or later. `call`: see push_return.
 */
static void go_far(struct lowering *l, uint64_t pc, bool call)
{
    struct x86_code *c = &l->c;
    struct jit_emitted *out = l->out;
    const unsigned link = out->link_count;
    if (call)
        push_return(l);
    x86_find_fetch(c);
    x86_later(l, LATE_FAR, x_jcc(c, CC_NE), NULL);
    out->links[link].guard = align(l, 8);
    x_mem(
        c, false, 0x81, ALU_CMP,
        mem_indexed(R_CONTEXT, RDX, 0, CONTEXT(fetch) + (int32_t)offsetof(struct jit_fetch, pfn)));
    put32(c, JIT_NO_PAGE);
    x86_later(l, LATE_FAR_OTHER, x_jcc(c, CC_NE), NULL);
    const unsigned late = l->late_count;
    x_store(c, x86_frame(FRAME_PAGE), RAX);
    go_by_link(l, pc, call);
    for (unsigned i = late - 2; i < late && late >= 2; i++) {
        l->late[i].link = (uint8_t)link;
        l->late[i].again = call ? c->at : NULL;
    }
}

/* The page that rax says is not known, or not the one that the link is for. */
void x86_lower_far(struct lowering *l, const struct late *late)
{
    struct x86_code *c = &l->c;
    const unsigned link = late->link;
    const uint8_t *stub = x86_stub(l, x86_stubs.lookup);
    x_alu_const(c, true, ALU_ADD, RAX, (int32_t)(l->out->links[link].pc & PAGE_OFFSET));
    if (late->kind == LATE_FAR_OTHER) {
        stub = x86_stub(l, x86_stubs.far);
        x_const(c, RCX, l->out->links[link].site);
        /* cmp dword [rip + ...], JIT_NO_PAGE */
        put8(c, 0x83);
        put8(c, 0x3d);
        put32(c, 0);
        x86_hole guard = c->at - 4;
        put8(c, JIT_NO_PAGE & 0xff);
        x_fill(c, guard, l->start + (l->out->links[link].guard - l->offset) - 1);
    }
    if (late->again == NULL) {
        x_jmp_to(c, stub);
        return;
    }
    x_call_to(c, stub);
    x_jmp_to(c, late->again);
}

void x86_ask_for_link(struct lowering *l, unsigned link)
{
    struct x86_code *c = &l->c;
    const uint64_t pc = l->out->links[link].pc;
    const bool far = l->out->links[link].guard != 0; /* then the page is that of pc by now */
    const bool turn = !far && pc < l->block->pc + l->block->bytes;
    l->out->links[link].ask = l->offset + (uint32_t)(c->at - l->start);
    x_const(c, RAX, (int64_t)(pc & PAGE_OFFSET));
    x_const(c, RCX, l->out->links[link].site);
    x_jmp_to(c, x86_stub(l, turn ? x86_stubs.turn : x86_stubs.link));
}

/* From the page of the code, or from `at` in the host register `base`, to the page of `pc`; false:
 * that is too far. */
static bool get_page(struct lowering *l, unsigned base, uint64_t at, uint64_t pc)
{
    const int64_t distance = (int64_t)((pc & ~PAGE_OFFSET) - at);
    if (!fits32(distance) || l->out->link_count == JIT_LINKS_MAX)
        return false;
    if (base != NO_REG) {
        x_lea(&l->c, RAX, mem_at(base, (int32_t)distance));
    } else {
        x_load(&l->c, RAX, x86_frame(FRAME_PAGE));
        x_alu_const(&l->c, true, ALU_ADD, RAX, (int32_t)distance);
    }
    return true;
}

void x86_go_on_at(struct lowering *l, uint64_t pc, unsigned done)
{
    if (l->place.moved)
        x86_emit_spill(&l->c, &l->place);
    x86_count_done(l, done);
    if (in_page(l, pc)) {
        go_near(l, pc, false);
    } else if (get_page(l, NO_REG, l->block->pc & ~PAGE_OFFSET, pc)) {
        go_far(l, pc, false);
    } else {
        x86_get_address(l, RAX, pc);
        go_by_cache(l, false);
    }
}

static uint64_t behind(const struct lowering *l, const struct ir *ir)
{
    return l->block->pc + ir->at + ir->length;
}

/* Whether what is called returns to this page, as far as is known. */
static bool is_call(const struct lowering *l, const struct ir *ir)
{
    return ir->sub == IR_CALL && in_page(l, behind(l, ir));
}

/* What the host returns to: on behind the call, if the guest did so too. */
static void lower_landing(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    x_pop(c, RAX);
    x_alu(c, true, ALU_CMP, RAX, x86_host[1]);
    x_jcc_to(c, CC_NE, x86_stub(l, x86_stubs.returned));
    x86_enter_page(c);
    go_near(l, behind(l, ir), false);
}

static void lower_call(struct lowering *l, const struct ir *ir)
{
    const uint64_t pc = (uint64_t)ir->imm;
    if (l->place.moved)
        x86_emit_spill(&l->c, &l->place);
    x86_count_done(l, ir->done);
    if (in_page(l, pc)) {
        go_near(l, pc, true);
    } else if (get_page(l, x86_host[1], behind(l, ir), pc)) {
        go_far(l, pc, true);
    } else {
        x86_get_address(l, RAX, pc);
        go_by_cache(l, true);
    }
    lower_landing(l, ir);
}

bool x86_is_backward(const struct lowering *l, const struct ir *ir, uint64_t pc)
{
    return pc <= l->block->pc + ir->at;
}

/* ---- closing operations ---- */

void x86_lower_jump(struct lowering *l, const struct ir *ir)
{
    if (x86_is_backward(l, ir, (uint64_t)ir->imm))
        x86_check_kick(l, ir);
    if (is_call(l, ir))
        lower_call(l, ir);
    else
        x86_go_on_at(l, (uint64_t)ir->imm, ir->done);
}

void x86_lower_jump_reg(struct lowering *l, const struct ir *ir)
{
    struct x86_code *c = &l->c;
    const bool returns = ir->sub == IR_RETURN && ir->a == IR_X(1);
    if (!returns)
        x86_get(l, RAX, ir->a);
    if (l->place.moved)
        x86_emit_spill(c, &l->place);
    x86_count_done(l, ir->done);
    /* A kick is looked at by whoever answers the look-up. */
    x_alu_mem_const(c, false, ALU_CMP, mem_at(R_VCPU, VCPU(vcpu.kick)), 0);
    x_jcc_to(c, CC_NE, x86_stub(l, returns ? x86_stubs.return_kick : x86_stubs.lookup));
    if (returns) {
        x_ret(c);
        return;
    }
    go_by_cache(l, is_call(l, ir)); /* an odd pc is in no entry */
    if (is_call(l, ir))
        lower_landing(l, ir);
}
