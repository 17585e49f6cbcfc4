/* What people see of translated code: dumps of it, and a map for `perf`. */
#ifndef ENGINE_JIT_OBSERVE_H
#define ENGINE_JIT_OBSERVE_H

#include "engine/jit/backend.h"
#include "engine/jit/jit.h"

struct jit_observer;

/* NULL: nothing is to be seen (as the options say), or it cannot be written; 0 or -errno. */
int jit_observer_open(struct jit_observer **observer, const struct jit_options *options,
                      const struct jit_backend *backend);
/* Writes the dump. `observer` may be NULL. */
void jit_observer_close(struct jit_observer *observer);
/*
 * A block was translated: `guest` are block->bytes bytes of its code, `host` its host code's, which
 * runs at `run`. Not from two threads at once.
 */
void jit_observe(struct jit_observer *observer, const struct jit_block *block,
                 const struct ir_block *ir, const struct jit_emitted *emitted, const uint8_t *guest,
                 const uint8_t *host, const uint8_t *run);

#endif
