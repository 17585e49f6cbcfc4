/*
 * storm: instructions that another hart replaces between their trap and the hypervisor's look at
 * them.
 */
#include "storm.h"

/* Nothing that could end storm itself, whichever of them is executed with x10 a device or a hole.
 */
static const uint32_t words[] = {
    0x00000000, 0x00002383, /* illegal; lw x7, 0(x0) */
    0x00000000, 0x00002023, /* sw x0, 0(x0) */
    0xffffffff, 0x00052603, /* illegal; lw x12, 0(x10) */
    0x00000000, 0x0000b607, /* fld x12, 0(x1) */
};

static void word_set(struct hart *hart, uint64_t random)
{
    uint32_t word = words[random % (sizeof(words) / sizeof(*words))];
    __atomic_store_n(shared_word(hart), word, __ATOMIC_RELAXED);
}

void storm_code(struct hart *hart)
{
    struct hart *next = &storm.harts[(hart->index + 1) % storm.hart_count];

    registers_fill(hart);
    hart->regs[10] = storm.region_count ? storm.regions[random_below(hart, storm.region_count)].base
                                        : random_hole(hart);
    for (int i = 0; i < 64; i++) {
        uint64_t random = random_next(hart);
        /* Often enough that a change falls between the two, whatever the time between them is. */
        for (uint64_t j = random >> 58; j != 0; j--)
            word_set(next, random >> j);
        word_set(hart, random >> 32 | 1);
        run_shared(hart);
    }
}
