#include "core/state.h"

#include "core/error.h"
#include "core/host.h"

#define SECTION_NAME_SIZE 16 /* NUL-padded */

void state_fail(struct state *state, int error)
{
    if (state->error == 0)
        state->error = error < 0 ? error : -error;
}

static void transfer(struct state *state, void *bytes, size_t len)
{
    if (state->error != 0 || len == 0)
        return;
    int error = state->transfer(state, bytes, len);
    if (error != 0)
        state_fail(state, error);
}

/* Moves the low `width` bytes of `value`, little-endian; returns what the field is to hold. */
static uint64_t integer(struct state *state, uint64_t value, unsigned width)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    transfer(state, bytes, width);
    if (!state->loading || state->error != 0)
        return value;
    uint64_t loaded = 0;
    for (unsigned i = 0; i < width; i++)
        loaded |= (uint64_t)bytes[i] << (8 * i);
    return loaded;
}

uint32_t state_section(struct state *state, const char *name, uint32_t version)
{
    if (state->error != 0)
        return 0;
    state->what = name;

    char expected[SECTION_NAME_SIZE] = {0};
    size_t len = strlen(name);
    if (len == 0 || len >= SECTION_NAME_SIZE || version == 0) {
        state_fail(state, -E_INVAL);
        return 0;
    }
    memcpy(expected, name, len);

    char found[SECTION_NAME_SIZE];
    memcpy(found, expected, sizeof(found));
    transfer(state, found, sizeof(found));
    uint32_t found_version = (uint32_t)integer(state, version, 4);
    if (state->error != 0)
        return 0;
    if (memcmp(found, expected, sizeof(found)) != 0 || found_version == 0 ||
        found_version > version) {
        state_fail(state, -E_PROTO);
        return 0;
    }
    return found_version;
}

void state_u8(struct state *state, uint8_t *value)
{
    *value = (uint8_t)integer(state, *value, 1);
}

void state_u16(struct state *state, uint16_t *value)
{
    *value = (uint16_t)integer(state, *value, 2);
}

void state_u32(struct state *state, uint32_t *value)
{
    *value = (uint32_t)integer(state, *value, 4);
}

void state_u64(struct state *state, uint64_t *value)
{
    *value = integer(state, *value, 8);
}

void state_bool(struct state *state, bool *value)
{
    uint64_t loaded = integer(state, *value ? 1 : 0, 1);
    if (loaded > 1)
        state_fail(state, -E_INVAL);
    else
        *value = loaded != 0;
}

void state_bytes(struct state *state, void *bytes, size_t len)
{
    transfer(state, bytes, len);
}
