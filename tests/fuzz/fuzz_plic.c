/*
 * Three partitions do anything with the PLIC as each sees it (type0/plic.h), in any order of turns,
 * restarts and interrupts. What each may see and change is computed here from what the PLIC
 * specification 1.0.0 says of one that the partition had for itself, line by line, and all
 * registers are compared after each step.
 */
#include "tests/fuzz/fuzz.h"
#include "type0/plic.h"

#include <stdlib.h>
#include <string.h>

enum { PARTITIONS = 3, CONTEXTS = 12, NOBODY = PARTITIONS, SIZE = 0x200000 + CONTEXTS * 0x1000 };
/* Of contexts 1 and 3 each is one partition's, 5 and 7 are shared, the others no partition's. */
static const bool has[CONTEXTS][PARTITIONS] = {
    [1] = {true}, [3] = {false, true}, [5] = {true, true}, [7] = {true, true, true}};
static const bool is_shared[CONTEXTS] = {[5] = true, [7] = true};

/* What a partition has written, as it is to find it again. */
struct wish {
    bool enabled[PLIC_LINES];
    uint32_t threshold;
};

static struct {
    unsigned owner[PLIC_LINES];
    uint32_t priority[PLIC_LINES];
    bool pending[PLIC_LINES];
    struct wish wishes[CONTEXTS][PARTITIONS];
    unsigned holder[CONTEXTS]; /* whose turn it is; NOBODY */
    uint32_t claim[CONTEXTS];
    bool in_service[CONTEXTS][PARTITIONS]; /* lines may be, since before it went down */
} model;

static uint32_t registers[SIZE / 4 + 1];
static uint32_t lines[PARTITIONS][PLIC_WORDS];
static struct plic_context contexts[PARTITIONS][CONTEXTS];
static struct plic_view views[PARTITIONS];

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static struct plic_context *context_of(unsigned p, unsigned number)
{
    for (unsigned i = 0; i < views[p].count; i++) {
        if (contexts[p][i].number == number)
            return &contexts[p][i];
    }
    return NULL;
}

static void setup(uint32_t seed)
{
    memset(&model, 0, sizeof model);
    memset(registers, 0, sizeof registers);
    memset(lines, 0, sizeof lines);
    memset(contexts, 0, sizeof contexts);
    for (unsigned line = 0; line < PLIC_LINES; line++) {
        seed = seed * 1664525 + 1013904223;
        model.owner[line] = line == 0 ? NOBODY : seed >> 30;
        if (model.owner[line] != NOBODY)
            lines[model.owner[line]][line / 32] |= 1u << line % 32;
    }
    for (unsigned p = 0; p < PARTITIONS; p++) {
        unsigned count = 0;
        for (unsigned c = 0; c < CONTEXTS; c++) {
            if (has[c][p])
                contexts[p][count++] = (struct plic_context){
                    .number = c, .shared = is_shared[c], .live = !is_shared[c]};
        }
        views[p] = (struct plic_view){.registers = registers,
                                      .size = SIZE,
                                      .lines = lines[p],
                                      .contexts = contexts[p],
                                      .count = count};
        host_lock_init(&views[p].lock);
    }
    for (unsigned c = 0; c < CONTEXTS; c++)
        model.holder[c] = is_shared[c] ? NOBODY : has[c][0] ? 0 : has[c][1] ? 1 : NOBODY;
}

/* 32 lines of a register. */
static uint32_t pack(const bool *from, unsigned word, unsigned p)
{
    uint32_t bits = 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        unsigned line = word * 32 + bit;
        bits |= (uint32_t)(from[line] && (p == NOBODY || model.owner[line] == p)) << bit;
    }
    return bits;
}

/* What `p` is to read; what it writes is noted. */
static uint32_t access_model(unsigned p, uint32_t offset, bool write, uint32_t value)
{
    if (offset < 0x1000) {
        unsigned line = offset / 4;
        if (model.owner[line] != p)
            return 0;
        if (write)
            model.priority[line] = value;
        return model.priority[line];
    }
    if (offset < 0x1080)
        return pack(model.pending, (offset - 0x1000) / 4, p);
    if (offset >= 0x2000 && offset < 0x2000 + CONTEXTS * 0x80) {
        unsigned c = (offset - 0x2000) / 0x80, word = offset % 0x80 / 4;
        if (!has[c][p])
            return 0;
        bool *enabled = model.wishes[c][p].enabled;
        for (unsigned bit = 0; write && bit < 32; bit++)
            enabled[word * 32 + bit] = (value >> bit & 1) != 0 && model.owner[word * 32 + bit] == p;
        return pack(enabled, word, p);
    }
    if (offset >= 0x200000) {
        unsigned c = (offset - 0x200000) / 0x1000, reg = offset % 0x1000;
        if (!has[c][p] || reg > 4)
            return 0;
        if (reg == 0) {
            if (write)
                model.wishes[c][p].threshold = value;
            return model.wishes[c][p].threshold;
        }
        if (model.holder[c] != p)
            return 0;
        if (write && value < PLIC_LINES && model.owner[value] == p)
            model.claim[c] = value;
        return model.claim[c];
    }
    return 0;
}

static void access_both(unsigned p, uint32_t offset, bool write, uint32_t value)
{
    uint64_t got = 0;
    int error = write ? plic_view_bus_ops.write(&views[p], offset, 4, value)
                      : plic_view_bus_ops.read(&views[p], offset, 4, &got);
    if (offset >= SIZE) {
        expect(error != 0);
        return;
    }
    uint32_t want = access_model(p, offset, write, value);
    expect(error == 0 && (write || got == want));
}

/* In turns, and at the end, lines left in service are completed: the claim register saw one of them
 * last. */
static void take_completed(unsigned p, unsigned c)
{
    uint32_t claim = registers[(0x200004 + c * 0x1000) / 4];
    expect(claim < PLIC_LINES && model.owner[claim] == p);
    model.claim[c] = claim;
}

static void turn(unsigned p, unsigned c)
{
    if (!is_shared[c])
        return;
    unsigned holder = model.holder[c];
    if (holder != NOBODY)
        plic_context_leave(&views[holder], context_of(holder, c));
    model.holder[c] = NOBODY;
    if (holder == p || !has[c][p])
        return;
    plic_context_enter(&views[p], context_of(p, c));
    model.holder[c] = p;
    if (model.in_service[c][p])
        take_completed(p, c);
    model.in_service[c][p] = false;
}

static void quiesce(unsigned p)
{
    bool completed = false;
    plic_view_quiesce(&views[p]);
    for (unsigned line = 0; line < PLIC_LINES; line++) {
        if (model.owner[line] == p)
            model.priority[line] = 0;
    }
    for (unsigned i = 0; i < views[p].count; i++) {
        unsigned c = contexts[p][i].number;
        memset(&model.wishes[c][p], 0, sizeof model.wishes[c][p]);
        /* Any context of its own will do. */
        if (model.holder[c] == p && !completed) {
            take_completed(p, c);
            completed = true;
        }
    }
    if (!completed && views[p].count != 0)
        model.in_service[contexts[p][0].number][p] = true;
}

/* Every register of the board is what it may be by now. */
static void compare(void)
{
    for (unsigned line = 0; line < PLIC_LINES; line++)
        expect(registers[line] == model.priority[line]);
    for (unsigned word = 0; word < PLIC_WORDS; word++)
        expect(registers[0x1000 / 4 + word] == pack(model.pending, word, NOBODY));
    for (unsigned c = 0; c < CONTEXTS; c++) {
        unsigned p = model.holder[c];
        for (unsigned word = 0; word < PLIC_WORDS; word++)
            expect(registers[(0x2000 + c * 0x80) / 4 + word] ==
                   (p == NOBODY ? 0 : pack(model.wishes[c][p].enabled, word, p)));
        uint32_t threshold = registers[(0x200000 + c * 0x1000) / 4];
        /* Between turns nothing is enabled, and the threshold says nothing. */
        expect(p == NOBODY || threshold == model.wishes[c][p].threshold);
        expect(registers[(0x200004 + c * 0x1000) / 4] == model.claim[c]);
    }
    for (unsigned p = 0; p < PARTITIONS; p++) {
        for (unsigned i = 0; i < views[p].count; i++) {
            bool want = false;
            const struct wish *wish = &model.wishes[contexts[p][i].number][p];
            for (unsigned line = 0; line < PLIC_LINES; line++)
                want = want || (wish->enabled[line] && model.pending[line]);
            expect(plic_context_pending(&views[p], &contexts[p][i]) == want);
        }
    }
}

static uint32_t offset_of(uint8_t where, uint32_t index)
{
    unsigned c = where % CONTEXTS;
    switch (where >> 5) {
    case 0:
    case 1: return 4 * (index % PLIC_LINES);
    case 2: return 0x1000 + 4 * (index % 64);
    case 3: return 0x2000 + c * 0x80 + 4 * (index % 32);
    case 4: return 0x200000 + c * 0x1000 + 4 * (index % 2);
    case 5: return 0x200000 + c * 0x1000 + 4 * (index % 1024);
    case 6: return (index * 64) % SIZE / 4 * 4;
    default: return SIZE + 4 * index;
    }
}

/* Four bytes for the lines; then eight for each step: what, where, index, value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t value;
    uint16_t index;

    if (size < 4)
        return 0;
    memcpy(&value, data, 4);
    setup(value);
    for (data += 4, size -= 4; size >= 8; data += 8, size -= 8) {
        unsigned p = data[0] % PARTITIONS, c = data[1] % CONTEXTS;
        memcpy(&index, data + 2, 2);
        memcpy(&value, data + 4, 4);
        switch (data[0] >> 5) {
        case 0:
        case 1:
        case 2: access_both(p, offset_of(data[1], index), true, value); break;
        case 3:
        case 4: access_both(p, offset_of(data[1], index), false, 0); break;
        case 5: /* a device interrupts, or its line falls; what a claim would give */
            model.pending[index % PLIC_LINES] = (value & 1) != 0;
            registers[0x1000 / 4 + index % PLIC_LINES / 32] =
                pack(model.pending, index % PLIC_LINES / 32, NOBODY);
            if (model.holder[c] != NOBODY)
                model.claim[c] = registers[(0x200004 + c * 0x1000) / 4] = value % PLIC_LINES;
            break;
        case 6: turn(p, c); break;
        default: quiesce(p);
        }
        compare();
    }
    /* Where there are no registers nothing was written. */
    for (unsigned at = 0x1080 / 4; at < 0x2000 / 4; at++)
        expect(registers[at] == 0);
    for (unsigned at = (0x2000 + CONTEXTS * 0x80) / 4; at < 0x200000 / 4; at++)
        expect(registers[at] == 0);
    for (unsigned at = 0x200000 / 4; at < SIZE / 4; at++)
        expect(registers[at] == 0 || at % 1024 < 2);
    expect(registers[SIZE / 4] == 0);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity)
{
    uint32_t random = index + 1;
    if (index >= 8)
        return 0;
    size_t size = capacity < 516 ? capacity : 516;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        buf[i] = (uint8_t)(random >> 24);
    }
    return size;
}
