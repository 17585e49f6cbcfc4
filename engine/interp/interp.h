/*
 * The decoded-block interpreter: the reference engine, portable to every host.
 *
 * Guest code is decoded once into blocks of operations (a label to jump to and its operands) that
 * are found by guest-physical address, kept per VCPU and linked to each other within a page.
 * FENCE.I does not drop them: it starts a new generation, and a block of an older one is compared
 * with the guest's bytes before it runs again.
 */
#ifndef ENGINE_INTERP_H
#define ENGINE_INTERP_H

#include "core/engine.h"

extern const struct engine_ops interp_engine;

#endif
