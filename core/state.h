/*
 * Saved state, listed once for both directions.
 *
 * Each device has one function `void x_state(struct x *, struct state *)` that names its saved
 * fields in order; the same function saves and loads. Sections carry a name and a version. All
 * integers are stored little-endian. The first error sticks; after it every call does nothing
 * (loads leave the field alone).
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state {
    /* Moves exactly `len` bytes to or from the file; 0 or a negative error. */
    int (*transfer)(struct state *state, void *bytes, size_t len);
    void *file;
    bool loading;
    int error;        /* 0, or the first negative error */
    const char *what; /* the section in which it happened */
};

/*
 * Begins a section. Saving writes `name` (at most 15 characters) and `version`. Loading checks the
 * name and returns the version found, which is 1..version; anything else sets -E_PROTO and returns
 * 0.
 */
uint32_t state_section(struct state *state, const char *name, uint32_t version);
void state_u8(struct state *state, uint8_t *value);
void state_u16(struct state *state, uint16_t *value);
void state_u32(struct state *state, uint32_t *value);
void state_u64(struct state *state, uint64_t *value);
void state_bool(struct state *state, bool *value);
void state_bytes(struct state *state, void *bytes, size_t len);
/* Loading: marks the file as malformed (a count out of range, say). */
void state_fail(struct state *state, int error);

#endif
