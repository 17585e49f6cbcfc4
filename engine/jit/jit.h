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

/* This build makes code for the host that it is for. */
bool jit_is_here(void);

struct jit_backend;

/* For those who look at it. All zero: nothing of it. Strings outlive the VMs. */
struct jit_options {
    const char *dump;               /* the file that tells blocks at the end; NULL: none */
    uint64_t dump_first, dump_last; /* pc of blocks */
    uint32_t dump_count;            /* at most so many */
    bool perf_map;                  /* /tmp/perf-PID.map */
    const char *symbols;            /* ELF file or System.map with names for both, or NULL */
    bool audit; /* each block is executed by the reference too, and compared; one hart only */
    void (*audit_line)(void *arg, const char *text); /* where a difference is told; NULL: stderr */
    void *audit_arg;
    unsigned rest_bytes; /* of code that a guest at rest may keep; 0: 8 MiB (tests) */
    bool plain_host;     /* the back end does as on the least host that it supports */
    unsigned hot;        /* after so many turns a loop becomes a region; 0: as many as is good */
    const struct jit_backend *backend; /* another one than this host's (tests), or NULL */
};

/* Before the first VM. */
void jit_set_options(const struct jit_options *options);
const struct jit_options *jit_options(void);

#endif
