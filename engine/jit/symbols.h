/* Names of guest functions, from an ELF file or a System.map, for the perf map and dumps. */
#ifndef ENGINE_JIT_SYMBOLS_H
#define ENGINE_JIT_SYMBOLS_H

#include <stdint.h>

struct jit_symbols;

/* NULL: the file cannot be read, or has no symbols. Any content is data. */
struct jit_symbols *jit_symbols_open(const char *path);
void jit_symbols_close(struct jit_symbols *symbols);
/* The function that `pc` is in, *offset bytes into it; NULL: none. `symbols` may be NULL. */
const char *jit_symbols_find(const struct jit_symbols *symbols, uint64_t pc, uint64_t *offset);

#endif
