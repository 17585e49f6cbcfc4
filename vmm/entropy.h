/*
 * Random numbers for guests: the ChaCha20 stream (RFC 8439, 2.3) of a key that is replaced after
 * each use, so that what was given out cannot be computed from what is kept.
 *
 * The numbers are as good as what was stirred in, and `source` says what that was: a hardware
 * source's bytes, the firmware's seed, or nothing but the jitter of this hart's clocks, on which no
 * secret should rest.
 */
#ifndef VMM_ENTROPY_H
#define VMM_ENTROPY_H

#include "core/host.h"
#include "devices/backend.h"

enum entropy_source { ENTROPY_JITTER, ENTROPY_SEED, ENTROPY_DEVICE };

struct entropy_pool {
    struct entropy_backend backend; /* first */
    struct host_lock lock;
    uint32_t key[8];
    uint64_t (*ticks)(void); /* a counter that moves fast */
    enum entropy_source source;
};

/* `ticks` is sampled here and at each use. */
void entropy_init(struct entropy_pool *pool, uint64_t (*ticks)(void));
/* Stirs in `len` bytes of `source`. */
void entropy_add(struct entropy_pool *pool, enum entropy_source source, const void *bytes,
                 size_t len);
/* After what the board offers was added: much more of the clock if that was nothing. */
void entropy_settle(struct entropy_pool *pool);
/* In words, for the operator. */
const char *entropy_source_name(const struct entropy_pool *pool);

/* One block of ChaCha20. */
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint32_t out[16]);

#endif
