#include "vmm/entropy.h"

#include "core/hot.h"
#define START_SAMPLES  16
#define JITTER_SAMPLES 256 /* where there is nothing else */

/* ---- ChaCha20, RFC 8439 ---- */

static uint32_t rotate(uint32_t value, unsigned by)
{
    return value << by | value >> (32 - by);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b, *d = rotate(*d ^ *a, 16);
    *c += *d, *b = rotate(*b ^ *c, 12);
    *a += *b, *d = rotate(*d ^ *a, 8);
    *c += *d, *b = rotate(*b ^ *c, 7);
}

HOT void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                        uint32_t out[16])
{
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(start + 4, key, 32);
    start[12] = counter;
    memcpy(start + 13, nonce, 12);
    memcpy(out, start, sizeof start);
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned n = 0; n < 4; n++)
            quarter_round(&out[n], &out[4 + n], &out[8 + n], &out[12 + n]);
        for (unsigned n = 0; n < 4; n++)
            quarter_round(&out[n], &out[4 + (n + 1) % 4], &out[8 + (n + 2) % 4],
                          &out[12 + (n + 3) % 4]);
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] += start[i];
}

/* ---- The pool; its lock is held ---- */

/* The next key: the first half of a block whose nonce holds what is stirred in. */
static void stir(struct entropy_pool *pool, uint64_t word, uint32_t tag)
{
    uint32_t nonce[3] = {(uint32_t)word, (uint32_t)(word >> 32), tag}, block[16];
    chacha20_block(pool->key, 0, nonce, block);
    memcpy(pool->key, block, sizeof pool->key);
}

static int pool_fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    struct entropy_pool *pool = (struct entropy_pool *)backend;
    static const uint32_t nonce[3] = {0, 0, 0xffffffff};
    uint32_t block[16], counter = 0;
    uint8_t *to = bytes;

    host_lock_acquire(&pool->lock);
    stir(pool, pool->ticks(), 1);
    while (len > 0) {
        size_t piece = len < sizeof block ? len : sizeof block;
        chacha20_block(pool->key, counter++, nonce, block);
        memcpy(to, block, piece);
        to += piece;
        len -= piece;
    }
    stir(pool, pool->ticks(), 2);
    host_lock_release(&pool->lock);
    return 0;
}

void entropy_add(struct entropy_pool *pool, enum entropy_source source, const void *bytes,
                 size_t len)
{
    const uint8_t *from = bytes;
    host_lock_acquire(&pool->lock);
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = 0;
        memcpy(&word, from + at, len - at < 8 ? len - at : 8);
        stir(pool, word, 3);
    }
    if (source > pool->source && len >= 16)
        pool->source = source;
    host_lock_release(&pool->lock);
}

void entropy_init(struct entropy_pool *pool, uint64_t (*ticks)(void))
{
    *pool = (struct entropy_pool){.backend = {.fill = pool_fill}, .ticks = ticks};
    host_lock_init(&pool->lock);
    /* Of one reading the low bits alone are worth something. */
    uint64_t word = 0;
    for (unsigned i = 0; i < START_SAMPLES; i++)
        word = (word << 4 | word >> 60) ^ ticks();
    stir(pool, word, 0);
}

void entropy_settle(struct entropy_pool *pool)
{
    host_lock_acquire(&pool->lock);
    for (unsigned i = 0; pool->source == ENTROPY_JITTER && i < JITTER_SAMPLES; i++)
        stir(pool, pool->ticks(), 0);
    host_lock_release(&pool->lock);
}

const char *entropy_source_name(const struct entropy_pool *pool)
{
    switch (pool->source) {
    case ENTROPY_DEVICE: return "the board's entropy device";
    case ENTROPY_SEED: return "the firmware's seed";
    default: return "clock jitter only, which an attacker may guess";
    }
}
