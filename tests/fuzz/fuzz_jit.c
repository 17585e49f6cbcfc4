/*
 * The translator's front and back end on arbitrary bytes: whatever guest code is, the block that it
 * becomes and the code that is made of it stay in their room, links lie in the code, and text can
 * be made of each operation. Nothing is executed.
 */
#include "tests/fuzz/fuzz.h"

#include "engine/jit/backend.h"
#include "riscv/insn.h"

#include <stdlib.h>
#include <string.h>

#define ROOM  (64u << 10)
#define GUARD 64u

static struct ir_block block;
static struct jit_emitted emitted;

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *fixed;
    static _Alignas(64) uint8_t code[ROOM + GUARD];
    static struct jit_room stubs;
    if (fixed == NULL) {
        fixed = malloc(ROOM);
        require(fixed != NULL);
        stubs = (struct jit_room){.write = fixed, .run = fixed, .size = ROOM};
        require(jit_host_backend->init(&stubs) > 0);
    }
    if (size < 9)
        return 0;
    uint64_t pc;
    memcpy(&pc, data, 8);
    pc &= ~1ULL;
    unsigned limit = 1 + data[8] * 64u; /* of the room */
    data += 9;
    size -= 9;
    if (size > 4096)
        size = 4096;
    memset(&block, 0xa5, sizeof block);
    /* Everything is there, or what a model has, with vectors of three lengths and vtype as of some
     * vset*. */
    struct riscv_isa isa;
    if ((pc >> 1 & 3) != 0)
        require(riscv_isa_of("rva23+zkn", 64u << (pc >> 1 & 3), &isa));
    block.isa = (pc >> 1 & 3) != 0 ? &isa : NULL;
    block.vtype = pc >> 3 & 0xff;
    if (!ir_translate(&block, pc, data, (unsigned)size)) {
        uint32_t raw = 0;
        memcpy(&raw, data, size < 4 ? size : 4);
        if ((raw & 3) != 3)
            return 0;
        ir_translate_crossing(&block, pc, raw);
        require(block.count > 0);
    } else {
        require(block.bytes <= size);
    }
    require(block.count > 0 && block.count <= IR_BLOCK_MAX);
    for (unsigned i = 0; i < block.count; i++) {
        char text[64];
        require(block.code[i].op < IR_OPS);
        require(block.code[i].done <= IR_GUEST_MAX);
        ir_describe(&block.code[i], text, sizeof text);
    }
    struct jit_room room = {.write = code, .run = code, .offset = 4096, .size = limit};
    memset(code + limit, 0x5a, GUARD);
    bool well = jit_host_backend->emit(&block, &room, &emitted);
    for (unsigned i = 0; i < GUARD; i++)
        require(code[limit + i] == 0x5a);
    require(!well || emitted.size <= limit);
    room.size = ROOM;
    require(jit_host_backend->emit(&block, &room, &emitted));
    require(emitted.size <= ROOM && emitted.link_count <= JIT_LINKS_MAX);
    for (unsigned i = 0; i < emitted.link_count; i++) {
        const uint32_t site = emitted.links[i].site, guard = emitted.links[i].guard;
        require(site >= room.offset && site + 4 <= room.offset + emitted.size && site % 4 == 0);
        if (guard == 0) {
            require(((emitted.links[i].pc ^ pc) & ~4095ULL) == 0);
            continue;
        }
        require(guard >= room.offset && guard < site && guard % 4 == 0);
        require(memcmp(code + guard - room.offset, "\xff\xff\xff\xff", 4) == 0);
    }
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    /* Each seed is 16 rows of the instruction table, with operands that differ. */
    size_t at = 9;
    if (index * 16u >= OP_COUNT || capacity < 9 + 16 * 4)
        return 0;
    memset(buf, 0, 9);
    buf[3] = 0x80;
    buf[8] = 200;
    for (unsigned i = 0; i < 16; i++) {
        unsigned op = 1 + (index * 16 + i) % (OP_COUNT - 1);
        uint32_t bits = 0x9e3779b9u * (index * 16 + i + 1);
        uint32_t word = insn_table[op].match | (bits & ~insn_table[op].mask);
        memcpy(buf + at, &word, 4);
        at += 4;
    }
    return at;
}
