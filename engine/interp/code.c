/* Blocks of decoded code: found by guest-physical address, checked against the guest's bytes after
 * FENCE.I. */
#include "engine/interp/internal.h"

#define PAGE_OFFSET (MEM_PAGE_SIZE - 1)

static inline unsigned hash_of(uint64_t pa)
{
    return (unsigned)(pa >> 1 ^ pa >> 13) & (HASH_BUCKETS - 1);
}

void interp_code_flush(struct interp *it)
{
    memset(it->hash, 0, sizeof it->hash);
    memset(it->jump, 0, sizeof it->jump);
    it->arena_used = 0;
    it->flushes++;
}

void interp_code_fence(struct interp *it)
{
    if (++it->generation == 0) { /* wrapped: an old block must not look new */
        interp_code_flush(it);
        it->generation = 1;
    }
}

struct block *interp_block_revalidate(struct interp *it, struct block *b)
{
    struct block **link = &it->hash[hash_of(b->pa)];

    if (memcmp(b->source, block_copy(b), b->bytes) == 0) {
        b->generation = it->generation;
        return b;
    }
    /* Links and jump entries that still name it find its generation old for ever. */
    while (*link != NULL && *link != b)
        link = &(*link)->hash_next;
    if (*link == b)
        *link = b->hash_next;
    return NULL;
}

/* Turns one instruction into an op. Returns true if the block ends with it. */
static bool op_make(const struct interp *it, const struct insn *in, unsigned at, struct op *op)
{
    const struct insn_info *info = &insn_table[in->op];

    op->code = it->labels[in->op];
    op->imm = in->imm;
    op->rd = in->rd;
    op->rs1 = in->rs1;
    op->rs2 = in->rs2;
    op->at = (uint8_t)(at / 2);
    if (op->rd == 0 && insn_writes_x(info->format))
        op->rd = 32;
    if (in->op == OP_jal || in->op == OP_jalr)
        op->rs2 = in->length;
    switch (info->format) {
    case FMT_FR:
    case FMT_FR4:
    case FMT_FCVT:
    case FMT_FTOX:
    case FMT_FFROMX: op->imm = in->rs3 << 8 | in->rm; break;
    /* A CSR that is only read changes nothing that the rest of the block depends on. */
    case FMT_CSR:
    case FMT_CSRI: return in->op == OP_csrrw || in->op == OP_csrrwi || in->rs1 != 0;
    default: break;
    }
    if (info->flags & INSN_VEC) { /* all go by their number */
        op->rs1 = (uint8_t)in->op;
        op->rs2 = (uint8_t)(in->op >> 8);
    }
    return (info->flags & INSN_END) != 0;
}

static uint32_t half(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

/* NULL: there is no whole instruction between `pa` and the page's end. */
static struct block *block_build(struct interp *it, uint64_t pa, const uint8_t *source)
{
    const unsigned page_left = (unsigned)(MEM_PAGE_SIZE - (pa & PAGE_OFFSET));
    const unsigned room = page_left < BLOCK_BYTES_MAX ? page_left : BLOCK_BYTES_MAX;
    const size_t most =
        sizeof(struct block) + (BLOCK_OPS_MAX + 1) * sizeof(struct op) + BLOCK_BYTES_MAX;
    uint8_t code[BLOCK_BYTES_MAX];
    unsigned bytes = 0, count = 0;
    bool ended = false;

    if (it->arena_used + most > ARENA_BYTES)
        interp_code_flush(it);
    struct block *b = (struct block *)(it->arena + it->arena_used);

    /*
     * Others may be writing here. What is decoded and what FENCE.I compares with later must be the
     * same bytes: else a block of old code, kept with a copy of the new, would pass for ever.
     */
    memcpy(code, source, room);
    atomic_signal_fence(memory_order_seq_cst);
    while (!ended && count < BLOCK_OPS_MAX && bytes + 2 <= room) {
        struct insn in;
        uint32_t raw = half(code + bytes);
        unsigned length = insn_length((uint16_t)raw);
        if (bytes + length > room)
            break; /* crosses into the next page: interp_block takes it by itself */
        if (length == 4)
            raw |= half(code + bytes + 2) << 16;
        insn_decode_of(raw, &it->hart->isa, &in);
        ended = op_make(it, &in, bytes, &b->ops[count]);
        bytes += length;
        count++;
    }
    if (count == 0)
        return NULL; /* since it was looked at, the last halfword has become half an instruction */
    if (!ended) {
        b->ops[count] = (struct op){.code = it->labels[LABEL_NEXT], .at = (uint8_t)(bytes / 2)};
    }
    b->pa = pa;
    b->source = source;
    b->taken = b->next = NULL;
    b->generation = it->generation;
    b->bytes = (uint16_t)bytes;
    b->count = (uint16_t)count;
    memcpy(block_copy(b), code, bytes);
    b->hash_next = it->hash[hash_of(pa)];
    it->hash[hash_of(pa)] = b;
    size_t size = (size_t)(block_copy(b) + bytes - (uint8_t *)b);
    it->arena_used += (size + 15) & ~(size_t)15;
    return b;
}

/* Where the page of `va` lies; NULL with the trap set. `len` bytes are going to be fetched at va.
 */
static const struct fetch_entry *fetch_page(struct interp *it, uint64_t va, unsigned len)
{
    struct fetch_entry *e = &it->fetch[va >> MEM_PAGE_SHIFT & (FETCH_ENTRIES - 1)];
    struct riscv_page page;

    if (e->epoch == it->epoch && e->page == (va & ~PAGE_OFFSET) && e->hva != NULL)
        return e;
    unsigned cause =
        riscv_translate(it->hart, va, len, ACCESS_FETCH, riscv_fetch_priv(it->hart), &page);
    if (cause == 0 && page.hva == NULL)
        cause = CAUSE_FETCH_ACCESS; /* devices hold no code */
    if (cause != 0) {
        it->cause = cause;
        it->tval = va;
        return NULL;
    }
    interp_tlb_note_span(it, va, page.span);
    it->fetched[fetched_bit(va) / 64] |= 1ULL << fetched_bit(va) % 64;
    e->page = va & ~PAGE_OFFSET;
    e->pa = page.pa & ~PAGE_OFFSET;
    e->hva = page.hva;
    /* A page that PMP splits is asked about again for every instruction. */
    e->epoch = page.uniform ? it->epoch : 0;
    return e;
}

/* One instruction that cannot be kept: fetched in halves, each half checked. */
struct block *interp_block_single(struct interp *it, uint64_t pc)
{
    struct block *b = (struct block *)it->scratch;
    const struct fetch_entry *e = fetch_page(it, pc, 2);
    struct insn in;

    if (e == NULL)
        return NULL;
    uint32_t raw = half(e->hva + (pc & PAGE_OFFSET));
    b->pa = e->pa + (pc & PAGE_OFFSET);
    if (insn_length((uint16_t)raw) == 4) {
        e = fetch_page(it, pc + 2, 2);
        if (e == NULL)
            return NULL;
        raw |= half(e->hva + ((pc + 2) & PAGE_OFFSET)) << 16;
    }
    insn_decode_of(raw, &it->hart->isa, &in);
    if (!op_make(it, &in, 0, &b->ops[0]))
        b->ops[1] = (struct op){.code = it->labels[LABEL_NEXT], .at = (uint8_t)(in.length / 2)};
    b->taken = b->next = NULL;
    b->generation = 0; /* never found by a link */
    b->bytes = in.length;
    b->count = 1;
    /* An illegal instruction reads its bits back from here. */
    memcpy(block_copy(b), &raw, 4);
    b->source = block_copy(b);
    return b;
}

struct block *interp_block(struct interp *it, uint64_t pc)
{
    struct jump_entry *j = &it->jump[pc >> 1 & (JUMP_ENTRIES - 1)];
    struct block *b;

    if (j->epoch == it->epoch && j->pc == pc) {
        b = j->block;
        if (b->generation == it->generation)
            return b;
        if ((b = interp_block_revalidate(it, b)) != NULL)
            return b;
    }
    const struct fetch_entry *e = fetch_page(it, pc, 2);
    if (e == NULL)
        return NULL;
    const uint64_t offset = pc & PAGE_OFFSET, pa = e->pa + offset;
    const uint8_t *source = e->hva + offset;
    if (e->epoch != it->epoch ||
        (offset == MEM_PAGE_SIZE - 2 && insn_length((uint16_t)half(source)) == 4))
        return interp_block_single(it, pc);

    for (b = it->hash[hash_of(pa)]; b != NULL; b = b->hash_next)
        if (b->pa == pa)
            break;
    if (b != NULL && b->generation != it->generation)
        b = interp_block_revalidate(it, b);
    if (b == NULL && (b = block_build(it, pa, source)) == NULL)
        return interp_block_single(it, pc);
    j->pc = pc;
    j->block = b;
    j->epoch = it->epoch;
    return b;
}
