#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/entropy.h"

#include <string.h>

/* A clock that never moves: what differs then comes from what was stirred in. */
static uint64_t stopped(void)
{
    return 42;
}

static void block_is_that_of_rfc_8439(void **state)
{
    (void)state;
    /* 2.3.2: key 00 01 .. 1f, nonce 00 00 00 09 00 00 00 4a 00 00 00 00, counter 1 */
    static const uint32_t expected[16] = {0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3,
                                          0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
                                          0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
                                          0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
    uint8_t key_bytes[32];
    uint32_t key[8], out[16];
    static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
    for (unsigned i = 0; i < 32; i++)
        key_bytes[i] = (uint8_t)i;
    memcpy(key, key_bytes, sizeof key);
    chacha20_block(key, 1, nonce, out);
    assert_memory_equal(out, expected, sizeof out);
}

static void numbers_never_repeat_and_fill_every_length(void **state)
{
    (void)state;
    struct entropy_pool pool;
    uint8_t a[200], b[200];
    entropy_init(&pool, stopped);
    for (size_t len = 0; len < 150; len++) {
        memset(a, 0, sizeof a);
        assert_int_equal(pool.backend.fill(&pool.backend, a, len), 0);
        assert_int_equal(pool.backend.fill(&pool.backend, b, len), 0);
        if (len >= 16)
            assert_memory_not_equal(a, b, len);
        for (size_t i = len; i < sizeof a; i++)
            assert_int_equal(a[i], 0);
    }
}

static void used_key_is_gone(void **state)
{
    (void)state;
    struct entropy_pool pool;
    uint8_t out[32];
    uint32_t before[8];
    entropy_init(&pool, stopped);
    memcpy(before, pool.key, sizeof before);
    pool.backend.fill(&pool.backend, out, sizeof out);
    assert_memory_not_equal(before, pool.key, sizeof before);
    assert_memory_not_equal(out, pool.key, sizeof out);
}

static void every_seed_byte_counts_and_the_source_is_named(void **state)
{
    (void)state;
    struct entropy_pool one, two;
    uint8_t seed[33] = {0}, a[32], b[32];
    entropy_init(&one, stopped);
    entropy_init(&two, stopped);
    assert_string_equal(entropy_source_name(&one),
                        "clock jitter only, which an attacker may guess");
    entropy_add(&one, ENTROPY_SEED, seed, 8); /* too little to be called one */
    assert_int_equal(one.source, ENTROPY_JITTER);
    entropy_add(&two, ENTROPY_SEED, seed, 8);
    entropy_add(&one, ENTROPY_DEVICE, seed, sizeof seed);
    assert_string_equal(entropy_source_name(&one), "the board's entropy device");
    seed[32] = 1;
    entropy_add(&two, ENTROPY_SEED, seed, sizeof seed);
    assert_string_equal(entropy_source_name(&two), "the firmware's seed");
    one.backend.fill(&one.backend, a, sizeof a);
    two.backend.fill(&two.backend, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_is_that_of_rfc_8439),
        cmocka_unit_test(numbers_never_repeat_and_fill_every_length),
        cmocka_unit_test(used_key_is_gone),
        cmocka_unit_test(every_seed_byte_counts_and_the_source_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
