/*
 * What a back end offers. A back end turns blocks of the intermediate form into code of its host.
 * It keeps the hottest guest registers in host registers of its choice while translated code runs,
 * the same ones for all code; struct riscv_vcpu has the others, and all of them outside.
 */
#ifndef ENGINE_JIT_BACKEND_H
#define ENGINE_JIT_BACKEND_H

#include "engine/jit/internal.h"

/* Where code is put: written at `write`, executed at `run` (the same memory, two mappings). */
struct jit_room {
    uint8_t *write;
    const uint8_t *run;
    uint32_t offset; /* of both in the cache: what sites are counted in */
    uint32_t size;
    /* Where what is rarely executed goes, in the same cache; NULL: behind the rest. */
    uint8_t *rare;
    uint32_t rare_size;
    unsigned windows; /* of struct jit_context: those below are given away; `emit` takes more */
};

/* What was made of a block. */
struct jit_emitted {
    uint32_t size, rare_size;     /* bytes */
    uint32_t op_at[IR_BLOCK_MAX]; /* where each operation's code begins */
    unsigned link_count;
    struct {
        uint64_t pc;
        uint32_t site, ask, guard; /* see struct jit_link */
    } links[JIT_LINKS_MAX]; /* direct jumps, unlinked: they call jit_go_on; those that go backwards
                             * in the page only when they have been taken jit_hot() times */
};

struct jit_backend {
    const char *name;
    const char *disassembler; /* objdump's option -m, and more */
    /* Looks at the host CPU and writes the fixed code (entry, exit, slow paths) into `room`. Its
     * size, or -E_NOTSUP (this host cannot), -E_NOSPC. */
    long (*init)(struct jit_room *room);
    /* Translates; false: `room` is too small. */
    bool (*emit)(const struct ir_block *block, struct jit_room *room, struct jit_emitted *emitted);
    /* Makes the jump at `site` go to `target` (offset in the cache), or leave again. One store that
     * harts which execute it see whole. `cache`: the writable mapping's first byte. */
    void (*link)(uint8_t *cache, uint32_t site, uint32_t target);
    void (*unlink)(uint8_t *cache, uint32_t site, uint32_t ask);
    /* Runs code in `context` until it leaves. hart->instret and hart->pc are exact on return. */
    enum jit_leave (*enter)(struct jit_context *context, struct riscv_vcpu *hart, const void *code);
};

/* That of the host that this build is for (the folder that the Makefile chooses); NULL: there is
 * none. */
extern const struct jit_backend *const jit_host_backend;

#endif
