/*
 * The translator: RV64 to the host's code, for type 2 on x86-64 (docs/jit.md). What it does not
 * translate is executed by the interpreter, which the hypervisor gives it.
 */
#ifndef ENGINE_JIT_JIT_H
#define ENGINE_JIT_JIT_H

#include "core/engine.h"

extern const struct engine_ops jit_engine;

/* Who executes single instructions: has `step`. Before the first VM. */
void jit_set_reference(const struct engine_ops *reference);

#endif
