/*
 * What type 1 makes of a guest's instructions, of mappings and of turns, with any input: the
 * interrupt file in memory stays sound, the decoder of accesses agrees with itself in both of its
 * forms, tables of the G-stage say what was mapped, and nobody starves under the policy.
 */
#include "core/error.h"
#include "engine/hext/access.h"
#include "engine/hext/gstage.h"
#include "engine/hext/imsic.h"
#include "tests/fuzz/fuzz.h"
#include "type1/pages.h"
#include "type1/policy.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static uint64_t word(const uint8_t *data, size_t size, size_t at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8 && at + i < size; i++)
        value |= (uint64_t)data[at + i] << 8 * i;
    return value;
}

static void decode(uint64_t raw)
{
    struct hext_access access;
    bool good = hext_access_decode((uint32_t)raw, &access);
    expect(good == (access.kind != ACCESS_NONE));
    if (good) {
        expect(access.length == ((raw & 3) == 3 ? 4 : 2) && access.reg < 32);
        if (access.kind != ACCESS_ATOMIC && access.kind != ACCESS_RESERVES) {
            expect(access.width == 1 || access.width == 2 || access.width == 4 ||
                   access.width == 8);
            uint64_t all = hext_access_extend(&access, raw);
            unsigned bits = 8 * access.width;
            expect(bits == 64 || (all & ((1ULL << bits) - 1)) == (raw & ((1ULL << bits) - 1)));
        }
    }
    if (hext_access_transformed(raw, &access))
        expect(!hext_access_implicit(raw) && (raw & 1) != 0 && access.kind != ACCESS_NONE);
}

/* Ranges as the input says; each is afterwards where it was put, or was refused. */
static void map(const uint8_t *data, size_t size)
{
    static const unsigned levels[] = {3, 4, 5};
    struct gstage table;
    unsigned depth = size > 0 ? levels[data[0] % 3] : 3;

    expect(gstage_init(&table, depth, 11) == 0);
    for (size_t at = 1; at + 8 <= size && at < 65; at += 8) {
        uint64_t bits = word(data, size, at);
        unsigned shift = 12 + (unsigned)(bits & 31);
        uint64_t va = (bits >> 5 & 0xfffff) << shift, pa = (bits >> 25 & 0xfffff) << 12;
        uint64_t length = ((bits >> 45 & 0x7ff) + 1) << 12, leaf;
        uint64_t before = gstage_find(&table, va, &leaf);
        int error = gstage_map(&table, va, pa, length, GSTAGE_RWX);
        expect(error == 0 || error == -E_EXIST || error == -E_INVAL);
        if (error != 0)
            continue;
        expect(before == 0);
        for (uint64_t offset = 0; offset < length; offset += 4096 * (1 + (length >> 15))) {
            uint64_t entry = gstage_find(&table, va + offset, &leaf);
            expect(entry != 0 && (entry & PTE_U) != 0);
            uint64_t found = (entry >> 10 << 12) + ((va + offset) & (leaf - 1));
            expect(found == pa + offset);
        }
    }
    gstage_fini(&table);
}

/* Four that always want to run, on one hart: each has at least half of its share of 400 turns. */
static void share(const uint8_t *data, size_t size)
{
    struct policy_entity entities[4];
    uint64_t turns[4] = {0}, total = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned weight = 1 + (unsigned)word(data, size, i) % 400;
        entities[i] = (struct policy_entity){.weight = weight, .harts = 1, .last_hart = 64};
        total += weight;
    }
    for (unsigned turn = 0; turn < 400; turn++) {
        unsigned best = 4;
        for (unsigned i = 0; i < 4; i++) {
            if (policy_before(&entities[i], best < 4 ? &entities[best] : NULL, 0, 5000000))
                best = i;
        }
        expect(best < 4);
        entities[best].last_hart = 0;
        policy_account(&entities[best], 5000000);
        turns[best]++;
    }
    for (unsigned i = 0; i < 4; i++)
        expect(turns[i] * total * 2 + 8 * total >= 400ULL * entities[i].weight);
}

/* Allocations are apart, inside, aligned, and all comes back. */
static void allocate(const uint8_t *data, size_t size)
{
    enum { PIECES = 32 };
    static struct pages pages;
    struct {
        uint64_t base, size;
    } held[PIECES] = {{0}};

    memset(&pages, 0, sizeof pages);
    pages_add(&pages, 1 << 20, 64 << 20);
    pages_reserve(&pages, word(data, size, 0) % (80 << 20), word(data, size, 3) % (1 << 20));
    uint64_t total = pages.total;
    for (size_t at = 0; at + 4 <= size && at < 512; at += 4) {
        unsigned slot = data[at] % PIECES;
        if (held[slot].base != 0) {
            pages_free(&pages, held[slot].base, held[slot].size);
            held[slot].base = 0;
            continue;
        }
        uint64_t length = 1 + (word(data, size, at + 1) & 0xffff) * 64,
                 align = 1ULL << (data[at] >> 5) * 3;
        uint64_t base = pages_alloc(&pages, length, align, (data[at + 3] & 1) != 0);
        if (base == 0)
            continue;
        expect(base % align == 0 && base >= 1 << 20 && base + length <= 65 << 20);
        for (unsigned i = 0; i < PIECES; i++)
            expect(held[i].base == 0 || base + length <= held[i].base ||
                   held[i].base + held[i].size <= base);
        held[slot].base = base;
        held[slot].size = length;
    }
    for (unsigned i = 0; i < PIECES; i++) {
        if (held[i].base != 0)
            pages_free(&pages, held[i].base, held[i].size);
    }
    expect(pages.used == 0 && pages.total == total);
}

/* Whatever a guest executes, a file holds identities that there are and claims are of those. */
static void interrupt_file(const uint8_t *data, size_t size)
{
    static struct imsic_file file;
    uint64_t x[33] = {0};
    file.ids = 64 * (1 + (unsigned)word(data, size, 0) % 32) - 1;
    imsic_reset(&file);
    for (size_t at = 1; at + 8 <= size && at < 512; at += 8) {
        uint64_t raw = word(data, size, at);
        x[1 + raw % 31] = raw * 0x9e3779b97f4a7c15;
        if ((raw >> 62) == 0)
            imsic_receive(&file, (uint32_t)(raw >> 8));
        /* Half of the time sireg or stopei, whatever else the input says. */
        uint32_t insn = (uint32_t)raw;
        if ((raw >> 63) != 0)
            insn = (insn & 0xfff80) | 0x73 | ((raw & 1) != 0 ? 0x151u : 0x15cu) << 20;
        imsic_execute(&file, insn, (raw >> 63) != 0 ? raw >> 32 & 0xff : raw >> 32, x);
        uint32_t top = imsic_top(&file), id = top >> 16;
        expect(x[0] == 0 && x[32] == 0 && id == (top & 0xffff) && id <= file.ids);
        expect(id == 0 || (file.pending[id / 64] & file.enabled[id / 64]) >> id % 64 & 1);
        expect((file.pending[0] & 1) == 0 && (file.enabled[0] & 1) == 0 && file.delivery <= 1);
        for (unsigned w = file.ids / 64 + 1; w < 32; w++)
            expect(file.pending[w] == 0 && file.enabled[w] == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 4 <= size; at += 4)
        decode(word(data, size, at));
    map(data, size);
    share(data, size);
    allocate(data, size);
    interrupt_file(data, size);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    /* lw a0,(a1); sd a0,8(a1); c.lw; c.sdsp; fld; amoadd.d; a transformed load; pseudo-instructions
     */
    static const uint32_t seeds[] = {0x0005a503, 0x00a5b423, 0x4188,     0xe42a,
                                     0x0005b507, 0x00a5b52f, 0x00002501, 0x3000};
    if (index > 0 || capacity < sizeof seeds)
        return 0;
    memcpy(buf, seeds, sizeof seeds);
    return sizeof seeds;
}
